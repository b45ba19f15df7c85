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

_relay__keygen() {
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
                cmd="relay__keygen"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        relay__keygen)
            opts="-q -v -h -V -N -d --type --rsa --passphrase --change-passphrase --no-passphrase --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --endpoint --address --successor --directory --identity-key --session-key --session-key-id --new-passphrase-file --new-passphrase-fd --set --now"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --type)
                    COMPREPLY=($(compgen -W "endpoint gateway" -- "${cur}"))
                    return 0
                    ;;
                --rsa)
                    COMPREPLY=($(compgen -W "2048 3072 4096" -- "${cur}"))
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
                --endpoint)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --address)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --successor)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --directory)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                -d)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --identity-key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --session-key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --session-key-id)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --new-passphrase-file)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --new-passphrase-fd)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --set)
                    _relay_complete words type= address= group= ttl= clock-drift= session-grace= quota= reserve= resend-after= log= resolver= proxy= ca= direct= direct-for= online-every= online-max-size= online-when= couriers= registration= max-peers= foreign-quota= 2>/dev/null
                    return 0
                    ;;
                --now)
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
    complete -F _relay__keygen -o nosort -o bashdefault -o default relay-keygen
else
    complete -F _relay__keygen -o bashdefault -o default relay-keygen
fi
