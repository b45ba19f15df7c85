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

_relay__seal() {
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
                cmd="relay__seal"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        relay__seal)
            opts="-f -q -v -h -V -N -t -y -o -d --keep-name --parts --authorize --cipher --force --armor --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --to --type --ttl --id --name --output --directory --now --identity-key --params --session-key --session-key-id --save-session-key --certificate"
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
                --ttl)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --id)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --name)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --output)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                -o)
                    _relay_complete file 2>/dev/null
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
                --now)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --identity-key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --params)
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
                --save-session-key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --certificate)
                    _relay_complete file 2>/dev/null
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
    complete -F _relay__seal -o nosort -o bashdefault -o default relay-seal
else
    complete -F _relay__seal -o bashdefault -o default relay-seal
fi
