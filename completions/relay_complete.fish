# relay_complete.fish: values for the completions of the relay programs, whose files read this one. For fish 3.1 and later.
#
# It takes no lock and changes nothing: what a node knows is asked of relay-peers(1) and relay-list(1).

# What the shell makes of the beginning of a word: its ~ or its $NAME. Nothing in it is run.
function _relay_unquote
    set -l word $argv[1]
    set -l parts (string match -r -- '^\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?(.*)$' $word)
    if test (count $parts) -ge 2
        set -l name $parts[2]
        echo -- $$name$parts[3]
    else
        string replace -r -- '^~(?=/|$)' (string escape --style=regex -- $HOME | string replace -a '\\' '') $word
    end
end

# The directory of the node that the line is about; fails if that is no node.
function _relay_node
    set -l node $RELAY_NODE
    if test -z "$node"
        set node $HOME/.relay
        set -l user $LOGNAME $USER
        if test "$user[1]" = relay
            set node /var/lib/relay
        end
    end
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        set -l word $words[1]
        set -e words[1]
        if test "$word" = --
            break
        else if string match -qr -- '^(--node|-[0fhnqvV]*N)$' $word
            set -q words[1]; and set node (_relay_unquote $words[1])
        else if string match -qr -- '^(--node=|-[0fhnqvV]*N)' $word
            set node (_relay_unquote (string replace -r -- '^(--node=|-[0fhnqvV]*N)' '' $word))
        end
    end
    test -f "$node/VERSION" -a -r "$node/VERSION"; or return 1
    read -l line <$node/VERSION
    string match -q -- 'relay-node *' $line; or return 1
    echo -- $node
end

# Names of peers, and ids of those without one or where an id is begun; with "node-id", ids.
function _relay_peers
    set -l node (_relay_node); or return
    command relay-peers --node=$node 2>/dev/null </dev/null | env KIND=$argv[1] CUR=(commandline -ct) awk -F '\t' '
        $2 !~ /^0[0-9a-f]+$/ { next }
        ENVIRON["KIND"] == "node-id" { print $2 "\t" $1; next }
        $1 ~ /^[a-z0-9][a-z0-9._-]*$/ { print $1 }
        $1 == "-" || ENVIRON["CUR"] ~ /^0/ { print $2 "\t" $1 }'
end

# @NAME for each alias, in the forms of relay-node(5).
function _relay_aliases
    set -l node (_relay_node); or return
    echo @all
    if test -f $node/aliases
        sed -n 's/^\([A-Za-z0-9][A-Za-z0-9._-]*\)[[:blank:]]*:.*/@\1/p' $node/aliases 2>/dev/null
    end
    for file in $node/aliases.d/*
        if test -f $file
            string replace -rf -- '^.*/([A-Za-z0-9][A-Za-z0-9._-]*)$' '@$1' $file
        end
    end
end

# Names of the messages that wait.
function _relay_messages
    set -l node (_relay_node); or return
    command relay-list --node=$node $argv 2>/dev/null </dev/null | awk -F '\t' '$NF ~ /^[A-Za-z0-9._,+=-]+$/ { print $NF }'
end

# _relay_complete KIND [WORD...]: what can stand at the cursor.
function _relay_complete
    set -l kind $argv[1]
    set -e argv[1]
    switch $kind
        case words
            printf '%s\n' $argv
        case queue
            printf '%s\n' $argv
            set -l folder (string match -r -- '^[a-z]+/' (commandline -ct))
            and _relay_peers peer | string replace -r -- '^' $folder
        case dir
            __fish_complete_directories (commandline -ct) ''
        case command
            complete -C (string replace -r -- '^.*? -- ' '' (commandline -cp))
        case peer node-id file-or-peer
            _relay_peers (string replace file-or-peer peer $kind)
        case recipient
            # relay-peers tells nothing of what is no node of this user, and then its aliases do not count either.
            set -l peers (_relay_peers peer)
            if set -q peers[1]
                _relay_aliases
                printf '%s\n' $peers
            end
        case message
            _relay_messages
        case set-aside
            _relay_messages failed
    end
end
