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

_relay__serve() {
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
                cmd="relay__serve"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        relay__serve)
            opts="-q -v -h -V -N --behind-proxy --init --front --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --listen --cert --key --courier --quota --connections --now --clock-drift"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
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
                --listen)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --cert)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --courier)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --quota)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --connections)
                    _relay_complete none 2>/dev/null
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
            _relay_complete none 2>/dev/null
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _relay__serve -o nosort -o bashdefault -o default relay-serve
else
    complete -F _relay__serve -o bashdefault -o default relay-serve
fi
