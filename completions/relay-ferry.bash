# The helper is beside this file, under either name.
if ! declare -F _relay_complete >/dev/null; then
    for _relay_helper in "$(dirname -- "${BASH_SOURCE[0]}")"/relay-complete{.bash,}; do
        if [[ -r $_relay_helper ]]; then
            . "$_relay_helper"
            break
        fi
    done
    unset -v _relay_helper
fi

_relay__ferry() {
    local i cur prev opts cmd words ended typed
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    _relay_line "$2" 2>/dev/null
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="relay__ferry"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        relay__ferry)
            opts="-n -q -v -h -V -N --sync --dry-run --if-present --private --json --cipher --quiet --verbose --help --version --courier-address --node --passphrase-file --passphrase-fd --pause --splay --resolver --ca --now --clock-drift"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --cipher)
                    COMPREPLY=($(compgen -W "aes-128-cbc aes-192-cbc aes-256-cbc aes-128-gcm aes-192-gcm aes-256-gcm" -- "${cur}"))
                    return 0
                    ;;
                --courier-address)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --node)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                -N)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --passphrase-file)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --passphrase-fd)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --pause)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --splay)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --resolver)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --ca)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --now)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --clock-drift)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete dir 2>/dev/null
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _relay__ferry -o nosort -o bashdefault -o default relay-ferry
else
    complete -F _relay__ferry -o bashdefault -o default relay-ferry
fi
