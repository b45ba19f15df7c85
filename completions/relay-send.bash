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

_relay__send() {
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
                cmd="relay__send"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        relay__send)
            opts="-q -v -h -V -N -t -y --no-name --authorize --cipher --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --to --type --name --id --drop --sent --settle --ttl --priority --now --clock-drift"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --cipher)
                    COMPREPLY=($(compgen -W "aes-128-cbc aes-192-cbc aes-256-cbc aes-128-gcm aes-192-gcm aes-256-gcm" -- "${cur}"))
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
                --to)
                    _relay_complete recipient 2>/dev/null
                    return 0
                    ;;
                -t)
                    _relay_complete recipient 2>/dev/null
                    return 0
                    ;;
                --type)
                    _relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4 2>/dev/null
                    return 0
                    ;;
                -y)
                    _relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4 2>/dev/null
                    return 0
                    ;;
                --name)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --id)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --drop)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --sent)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --settle)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --ttl)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --priority)
                    _relay_complete words 0 1 2 3 4 5 6 7 8 9 2>/dev/null
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
            _relay_complete file 2>/dev/null
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _relay__send -o nosort -o bashdefault -o default relay-send
else
    complete -F _relay__send -o bashdefault -o default relay-send
fi
