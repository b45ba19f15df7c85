# relay-complete.bash: values for the completions of the relay programs, whose files read this one. For bash 4.4 and later.
#
# It takes no lock and changes nothing: what a node knows is asked of relay-peers(1) and relay-list(1).

# _relay_line TYPED: sets the caller's words, cur and prev to the words of the line as the programs get them, and ended if
# a -- came before. Bash divides the line at = @ and : too, and gives the quotes; TYPED is the piece that it will replace.
_relay_line() {
    local line=${COMP_LINE:0:COMP_POINT} i word raw=()
    typed=$1
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${line#"${line%%[![:blank:]]*}"}
        if ((i < COMP_CWORD)); then
            word=${COMP_WORDS[i]}
        fi
        if ((${#raw[@]} == 0)) || [[ $line == [[:blank:]]* ]]; then
            raw+=("$word")
        else
            raw[-1]+=$word
        fi
        line=${line#"${line%%[![:blank:]]*}"}
        line=${line#"$word"}
    done
    words=() ended=
    for word in "${raw[@]}"; do
        _relay_unquote "$word"
        words+=("$REPLY")
    done
    cur=${words[-1]} prev=
    unset 'words[-1]'
    for word in "${words[@]}"; do
        if [[ $word == -- ]]; then
            ended=yes
        fi
    done
    if [[ -z $ended && $cur == --*=* ]]; then
        prev=${cur%%=*} cur=${cur#*=}
    elif [[ -z $ended && ${words[-1]} =~ ^-[0fhnqvV]*([A-Za-z0-9])$ ]]; then
        prev=-${BASH_REMATCH[1]}
    else
        prev=${words[-1]}
    fi
}

# _relay_unquote WORD: sets REPLY to what the shell makes of the word. Nothing in it is run, so a word with a command
# substitution remains as it is.
_relay_unquote() {
    local rest=$1 quote='' char
    REPLY=
    if [[ $rest == *'$('* || $rest == *'`'* ]]; then
        REPLY=$rest
        return
    fi
    if [[ $rest == '~' || $rest == '~/'* ]]; then
        REPLY=$HOME rest=${rest#'~'}
    fi
    while [[ -n $rest ]]; do
        char=${rest:0:1} rest=${rest:1}
        if [[ $char == "$quote" ]]; then
            quote=
        elif [[ $quote == \' ]]; then
            REPLY+=$char
        elif [[ -z $quote && ($char == \' || $char == \") ]]; then
            quote=$char
        elif [[ $char == \\ && (-z $quote || $rest == [\\\"\$]*) ]]; then
            REPLY+=${rest:0:1} rest=${rest:1}
        elif [[ $char == \$ && $rest =~ ^(([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\}) ]]; then
            rest=${rest:${#BASH_REMATCH[0]}}
            char=${BASH_REMATCH[2]}${BASH_REMATCH[3]}
            REPLY+=${!char-}
        else
            REPLY+=$char
        fi
    done
}

# _relay_node: sets REPLY to the directory of the node that the line is about; fails if that is no node.
_relay_node() {
    local i line node=${RELAY_NODE-}
    if [[ -z $node ]]; then
        node=${HOME-}/.relay
        if [[ ${LOGNAME:-${USER-}} == relay ]]; then
            node=/var/lib/relay
        fi
    fi
    for ((i = 1; i < ${#words[@]}; i++)); do
        case ${words[i]} in
            --) break ;;
            --node) node=${words[i + 1]-} ;;
            --node=*) node=${words[i]#--node=} ;;
            *)
                if [[ ${words[i]} =~ ^-[0fhnqvV]*N(.*)$ ]]; then
                    node=${BASH_REMATCH[1]:-${words[i + 1]-}}
                fi
                ;;
        esac
    done
    [[ -f $node/VERSION && -r $node/VERSION ]] && read -r line <"$node/VERSION" && [[ $line == 'relay-node '* ]] && REPLY=$node
}

# _relay_peers KIND: names of peers, and ids of those without one or where an id is begun; with "node-id", ids.
_relay_peers() {
    _relay_node || return 0
    command relay-peers --node="$REPLY" 2>/dev/null </dev/null | KIND=$1 CUR=$cur awk -F '\t' '
        $2 !~ /^0[0-9a-f]+$/ { next }
        ENVIRON["KIND"] != "node-id" && $1 ~ /^[a-z0-9][a-z0-9._-]*$/ { print $1 }
        ENVIRON["KIND"] == "node-id" || $1 == "-" || ENVIRON["CUR"] ~ /^0/ { print $2 }' | sort
}

# _relay_aliases: @NAME for each alias, in the forms of relay-node(5).
_relay_aliases() {
    _relay_node || return 0
    local file name
    printf '%s\n' @all
    if [[ -f $REPLY/aliases ]]; then
        sed -n 's/^\([A-Za-z0-9][A-Za-z0-9._-]*\)[[:blank:]]*:.*/@\1/p' <"$REPLY/aliases"
    fi
    for file in "$REPLY"/aliases.d/*; do
        name=${file##*/}
        if [[ -f $file && $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]]; then
            printf '@%s\n' "$name"
        fi
    done
}

# _relay_messages [QUEUE]: names of the messages that wait.
_relay_messages() {
    _relay_node || return 0
    command relay-list --node="$REPLY" ${1+"$1"} 2>/dev/null </dev/null | awk -F '\t' '$NF ~ /^[A-Za-z0-9._,+=-]+$/ { print $NF }'
}

# _relay_complete KIND [WORD...]: sets COMPREPLY to what can stand at the cursor.
_relay_complete() {
    local kind=$1 list='' word
    shift
    COMPREPLY=()
    case $kind in
        file) return 0 ;; # readline does it, quotes and all, where there are no other candidates
        dir)
            compopt -o dirnames +o bashdefault +o default
            return 0
            ;;
        command)
            [[ ${words[-1]} == -- ]] && list=$(compgen -c -- "$cur")
            [[ -n $list ]] || return 0
            ;;
        words) list=$(printf '%s\n' "$@") ;;
        queue)
            list=$(printf '%s\n' "$@")
            if [[ $cur == */* ]]; then
                word=${cur%%/*} cur=${cur#*/}
                list=$(_relay_peers peer | sed "s/^/${word//[!a-z]/}\\//")
                cur=$word/$cur
            fi
            ;;
        peer | node-id) list=$(_relay_peers "$kind") ;;
        file-or-peer)
            list=$(_relay_peers peer)
            compopt -o filenames
            list+=$'\n'$(compgen -f -- "$cur")
            ;;
        recipient)
            # relay-peers tells nothing of what is no node of this user, and then its aliases do not count either.
            list=$(_relay_peers peer)
            [[ -z $list ]] || list=$(_relay_aliases)$'\n'$list
            ;;
        message) list=$(_relay_messages) ;;
        set-aside) list=$(_relay_messages failed) ;;
    esac
    if [[ $kind != file-or-peer ]]; then
        compopt +o bashdefault +o default
    fi
    # Faster than reading lines, which bash does an octet at a time.
    local - IFS=$'\n'
    set -f
    for word in $list; do
        if [[ $word == "$cur"* ]]; then
            # Bash replaces only what comes after the last of its own divisions of the word.
            COMPREPLY+=("${word#"${cur%"$typed"}"}")
        fi
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
    return 0
}
