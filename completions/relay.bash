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

_relay() {
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
                cmd="relay"
                ;;
            relay,ack)
                cmd="relay__subcmd__ack"
                ;;
            relay,authorize)
                cmd="relay__subcmd__authorize"
                ;;
            relay,carry)
                cmd="relay__subcmd__carry"
                ;;
            relay,check)
                cmd="relay__subcmd__check"
                ;;
            relay,deliver)
                cmd="relay__subcmd__deliver"
                ;;
            relay,enroll)
                cmd="relay__subcmd__enroll"
                ;;
            relay,export)
                cmd="relay__subcmd__export"
                ;;
            relay,ferry)
                cmd="relay__subcmd__ferry"
                ;;
            relay,help)
                cmd="relay__subcmd__help"
                ;;
            relay,import)
                cmd="relay__subcmd__import"
                ;;
            relay,inspect)
                cmd="relay__subcmd__inspect"
                ;;
            relay,join)
                cmd="relay__subcmd__join"
                ;;
            relay,keygen)
                cmd="relay__subcmd__keygen"
                ;;
            relay,list)
                cmd="relay__subcmd__list"
                ;;
            relay,online)
                cmd="relay__subcmd__online"
                ;;
            relay,open)
                cmd="relay__subcmd__open"
                ;;
            relay,pack-cargo)
                cmd="relay__subcmd__pack__subcmd__cargo"
                ;;
            relay,peers)
                cmd="relay__subcmd__peers"
                ;;
            relay,post)
                cmd="relay__subcmd__post"
                ;;
            relay,purge)
                cmd="relay__subcmd__purge"
                ;;
            relay,put)
                cmd="relay__subcmd__put"
                ;;
            relay,register)
                cmd="relay__subcmd__register"
                ;;
            relay,request-cargo)
                cmd="relay__subcmd__request__subcmd__cargo"
                ;;
            relay,revoke)
                cmd="relay__subcmd__revoke"
                ;;
            relay,rotate)
                cmd="relay__subcmd__rotate"
                ;;
            relay,route)
                cmd="relay__subcmd__route"
                ;;
            relay,seal)
                cmd="relay__subcmd__seal"
                ;;
            relay,send)
                cmd="relay__subcmd__send"
                ;;
            relay,serve)
                cmd="relay__subcmd__serve"
                ;;
            relay,split)
                cmd="relay__subcmd__split"
                ;;
            relay,status)
                cmd="relay__subcmd__status"
                ;;
            relay,sync)
                cmd="relay__subcmd__sync"
                ;;
            relay,unpack-cargo)
                cmd="relay__subcmd__unpack__subcmd__cargo"
                ;;
            relay,verify)
                cmd="relay__subcmd__verify"
                ;;
            relay__subcmd__help,ack)
                cmd="relay__subcmd__help__subcmd__ack"
                ;;
            relay__subcmd__help,authorize)
                cmd="relay__subcmd__help__subcmd__authorize"
                ;;
            relay__subcmd__help,carry)
                cmd="relay__subcmd__help__subcmd__carry"
                ;;
            relay__subcmd__help,check)
                cmd="relay__subcmd__help__subcmd__check"
                ;;
            relay__subcmd__help,deliver)
                cmd="relay__subcmd__help__subcmd__deliver"
                ;;
            relay__subcmd__help,enroll)
                cmd="relay__subcmd__help__subcmd__enroll"
                ;;
            relay__subcmd__help,export)
                cmd="relay__subcmd__help__subcmd__export"
                ;;
            relay__subcmd__help,ferry)
                cmd="relay__subcmd__help__subcmd__ferry"
                ;;
            relay__subcmd__help,help)
                cmd="relay__subcmd__help__subcmd__help"
                ;;
            relay__subcmd__help,import)
                cmd="relay__subcmd__help__subcmd__import"
                ;;
            relay__subcmd__help,inspect)
                cmd="relay__subcmd__help__subcmd__inspect"
                ;;
            relay__subcmd__help,join)
                cmd="relay__subcmd__help__subcmd__join"
                ;;
            relay__subcmd__help,keygen)
                cmd="relay__subcmd__help__subcmd__keygen"
                ;;
            relay__subcmd__help,list)
                cmd="relay__subcmd__help__subcmd__list"
                ;;
            relay__subcmd__help,online)
                cmd="relay__subcmd__help__subcmd__online"
                ;;
            relay__subcmd__help,open)
                cmd="relay__subcmd__help__subcmd__open"
                ;;
            relay__subcmd__help,pack-cargo)
                cmd="relay__subcmd__help__subcmd__pack__subcmd__cargo"
                ;;
            relay__subcmd__help,peers)
                cmd="relay__subcmd__help__subcmd__peers"
                ;;
            relay__subcmd__help,post)
                cmd="relay__subcmd__help__subcmd__post"
                ;;
            relay__subcmd__help,purge)
                cmd="relay__subcmd__help__subcmd__purge"
                ;;
            relay__subcmd__help,put)
                cmd="relay__subcmd__help__subcmd__put"
                ;;
            relay__subcmd__help,register)
                cmd="relay__subcmd__help__subcmd__register"
                ;;
            relay__subcmd__help,request-cargo)
                cmd="relay__subcmd__help__subcmd__request__subcmd__cargo"
                ;;
            relay__subcmd__help,revoke)
                cmd="relay__subcmd__help__subcmd__revoke"
                ;;
            relay__subcmd__help,rotate)
                cmd="relay__subcmd__help__subcmd__rotate"
                ;;
            relay__subcmd__help,route)
                cmd="relay__subcmd__help__subcmd__route"
                ;;
            relay__subcmd__help,seal)
                cmd="relay__subcmd__help__subcmd__seal"
                ;;
            relay__subcmd__help,send)
                cmd="relay__subcmd__help__subcmd__send"
                ;;
            relay__subcmd__help,serve)
                cmd="relay__subcmd__help__subcmd__serve"
                ;;
            relay__subcmd__help,split)
                cmd="relay__subcmd__help__subcmd__split"
                ;;
            relay__subcmd__help,status)
                cmd="relay__subcmd__help__subcmd__status"
                ;;
            relay__subcmd__help,sync)
                cmd="relay__subcmd__help__subcmd__sync"
                ;;
            relay__subcmd__help,unpack-cargo)
                cmd="relay__subcmd__help__subcmd__unpack__subcmd__cargo"
                ;;
            relay__subcmd__help,verify)
                cmd="relay__subcmd__help__subcmd__verify"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        relay)
            opts="-h -V --help --version ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__ack)
            opts="-f -q -v -h -V -o -d --allow-empty --force --armor --quiet --verbose --help --version --status-fd --output --directory"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file 2>/dev/null
            return 0
            ;;
        relay__subcmd__authorize)
            opts="-f -q -v -h -V -N -o --one-way --once --force --der --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --valid --rate --name --output --now --identity-key --certificate --address --session-key --session-key-id --save-session-key"
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
                --valid)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --rate)
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
                --now)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --identity-key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --certificate)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --address)
                    _relay_complete none 2>/dev/null
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file-or-peer 2>/dev/null
            return 0
            ;;
        relay__subcmd__carry)
            opts="-q -v -h -V --init --if-present --move --json --quiet --verbose --help --version --quota --for --now --clock-drift"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --quota)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --for)
                    _relay_complete node-id 2>/dev/null
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
        relay__subcmd__check)
            opts="-q -v -h -V -N --restored --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --backup --wait --now --clock-drift"
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
                --backup)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --wait)
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
        relay__subcmd__deliver)
            opts="-n -q -v -h -V -N -y --keep-name --extract --no-join --join --dry-run --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --type --dir --maildir --timeout --wait --now --clock-drift"
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
                --type)
                    _relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4 2>/dev/null
                    return 0
                    ;;
                -y)
                    _relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4 2>/dev/null
                    return 0
                    ;;
                --dir)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --maildir)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                --timeout)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --wait)
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
            if [[ -n ${ended} ]]; then
                _relay_complete command 2>/dev/null
            else
                _relay_complete none 2>/dev/null
            fi
            return 0
            ;;
        relay__subcmd__enroll)
            opts="-n -f -q -v -h -V -N -o --local --dry-run --json --force --der --quiet --verbose --help --version --pin --node --passphrase-file --passphrase-fd --output --resolver --ca --now"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --pin)
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
                --output)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                -o)
                    _relay_complete file 2>/dev/null
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__export)
            opts="-f -q -v -h -V -N -o --force --der --qr --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --output --identity-key --address --session-key --session-key-id --now"
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
                --output)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                -o)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --identity-key)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --address)
                    _relay_complete none 2>/dev/null
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
                --now)
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
        relay__subcmd__ferry)
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
        relay__subcmd__help)
            opts="ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__ack)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__authorize)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__carry)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__check)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__deliver)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__enroll)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__export)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__ferry)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__help)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__import)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__inspect)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__join)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__keygen)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__list)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__online)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__open)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__pack__subcmd__cargo)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__peers)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__post)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__purge)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__put)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__register)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__request__subcmd__cargo)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__revoke)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__rotate)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__route)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__seal)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__send)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__serve)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__split)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__status)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__sync)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__unpack__subcmd__cargo)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__help__subcmd__verify)
            opts=""
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__import)
            opts="-q -v -h -V -N --replace --one-way --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --name --expect --successor --now --clock-drift"
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
                --name)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --expect)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --successor)
                    _relay_complete file-or-peer 2>/dev/null
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
        relay__subcmd__inspect)
            opts="-q -v -h -V --allow-empty --json --id --message-id --sender --recipient --qr --quiet --verbose --help --version --status-fd"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
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
        relay__subcmd__join)
            opts="-f -q -v -h -V -d -o --allow-empty --force --keep-name --extract --remove --json --quiet --verbose --help --version --status-fd --directory --output"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
                    _relay_complete none 2>/dev/null
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
                --output)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                -o)
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
        relay__subcmd__keygen)
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
        relay__subcmd__list)
            opts="-0 -q -v -h -V -N --long --null --json --quiet --verbose --help --version --node --id --now"
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
                --id)
                    _relay_complete message 2>/dev/null
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
            _relay_complete queue in failed home out control acks cca 2>/dev/null
            return 0
            ;;
        relay__subcmd__online)
            opts="-n -q -v -h -V -N --dry-run --follow --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --splay --resolver --ca --now --clock-drift"
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
            _relay_complete peer 2>/dev/null
            return 0
            ;;
        relay__subcmd__open)
            opts="-f -q -v -h -V -N -d -o --allow-empty --force --keep-name --extract --again --cat --json --any-sender --quiet --verbose --help --version --status-fd --node --passphrase-file --passphrase-fd --directory --output --now --clock-drift --identity-key --session-key --session-key-id --trust --chain --recipient"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
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
                --directory)
                    _relay_complete dir 2>/dev/null
                    return 0
                    ;;
                -d)
                    _relay_complete dir 2>/dev/null
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
                --now)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --clock-drift)
                    _relay_complete none 2>/dev/null
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
                --trust)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --chain)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --recipient)
                    _relay_complete node-id 2>/dev/null
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file 2>/dev/null
            return 0
            ;;
        relay__subcmd__pack__subcmd__cargo)
            opts="-f -q -v -h -V -N -t -o -d --allow-empty --cipher --force --armor --quiet --verbose --help --version --status-fd --node --passphrase-file --passphrase-fd --to --cca --output --directory --now --clock-drift --identity-key --params --session-key --session-key-id --save-session-key"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --cipher)
                    COMPREPLY=($(compgen -W "aes-128-cbc aes-192-cbc aes-256-cbc aes-128-gcm aes-192-gcm aes-256-gcm" -- "${cur}"))
                    return 0
                    ;;
                --status-fd)
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
                --to)
                    _relay_complete peer 2>/dev/null
                    return 0
                    ;;
                -t)
                    _relay_complete peer 2>/dev/null
                    return 0
                    ;;
                --cca)
                    _relay_complete file 2>/dev/null
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
                --clock-drift)
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file 2>/dev/null
            return 0
            ;;
        relay__subcmd__peers)
            opts="-q -v -h -V -N --json --forget --confirm --expect-none --no-host --quiet --verbose --help --version --node --rename --host --pin"
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
                --rename)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --host)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --pin)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete peer 2>/dev/null
            return 0
            ;;
        relay__subcmd__post)
            opts="-n -q -v -h -V -N --dry-run --private --json --allow-empty --quiet --verbose --help --version --node --splay --resolver --ca --now --clock-drift --status-fd"
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
                --status-fd)
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
        relay__subcmd__purge)
            opts="-n -q -v -h -V -N --dry-run --json --trust-clock --quiet --verbose --help --version --node --wait --now --clock-drift"
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
                --wait)
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
        relay__subcmd__put)
            opts="-q -v -h -V -N --allow-empty --json --quiet --verbose --help --version --status-fd --node --priority --now --clock-drift"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
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
        relay__subcmd__register)
            opts="-f -q -v -h -V -N -o --authorize --request --complete --allow --force --der --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --type --valid --name --output --now"
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
                --type)
                    _relay_complete words endpoint gateway 2>/dev/null
                    return 0
                    ;;
                --valid)
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
                --now)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file-or-peer 2>/dev/null
            return 0
            ;;
        relay__subcmd__request__subcmd__cargo)
            opts="-f -q -v -h -V -N -t -o -d --cipher --force --armor --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --to --valid --output --directory --now --identity-key --params --session-key --session-key-id --save-session-key"
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
                    _relay_complete peer 2>/dev/null
                    return 0
                    ;;
                -t)
                    _relay_complete peer 2>/dev/null
                    return 0
                    ;;
                --valid)
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete none 2>/dev/null
            return 0
            ;;
        relay__subcmd__revoke)
            opts="-n -f -q -v -h -V -N -o --dry-run --json --all --force --der --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --issuer --valid --output --now"
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
                --issuer)
                    _relay_complete peer 2>/dev/null
                    return 0
                    ;;
                --valid)
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
                --now)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete peer 2>/dev/null
            return 0
            ;;
        relay__subcmd__rotate)
            opts="-n -q -v -h -V -N --dry-run --json --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --now --clock-drift"
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
        relay__subcmd__route)
            opts="-n -q -v -h -V -N --dry-run --json --quiet --verbose --help --version --node --retry --reroute --timeout --wait --now --clock-drift"
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
                --retry)
                    _relay_complete set-aside 2>/dev/null
                    return 0
                    ;;
                --reroute)
                    _relay_complete peer 2>/dev/null
                    return 0
                    ;;
                --timeout)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --wait)
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
        relay__subcmd__seal)
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
        relay__subcmd__send)
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
        relay__subcmd__serve)
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
        relay__subcmd__split)
            opts="-f -q -v -h -V -o -d --keep-name --force --allow-empty --quiet --verbose --help --version --name --size --transfer --only --output --directory"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --name)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --size)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --transfer)
                    _relay_complete none 2>/dev/null
                    return 0
                    ;;
                --only)
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
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file 2>/dev/null
            return 0
            ;;
        relay__subcmd__status)
            opts="-f -q -v -h -V -N -o --force --json --prometheus --quiet --verbose --help --version --node --output --nagios --now --clock-drift"
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
                --output)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                -o)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --nagios)
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
        relay__subcmd__sync)
            opts="-q -v -h -V -N --init --if-present --take --json --cipher --quiet --verbose --help --version --node --passphrase-file --passphrase-fd --wait --now --clock-drift"
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
                --wait)
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
            _relay_complete dir 2>/dev/null
            return 0
            ;;
        relay__subcmd__unpack__subcmd__cargo)
            opts="-f -q -v -h -V -N -o -d --allow-empty --force --armor --again --json --any-sender --quiet --verbose --help --version --status-fd --node --passphrase-file --passphrase-fd --output --directory --now --clock-drift --identity-key --session-key --session-key-id --trust --chain --recipient"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
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
                --clock-drift)
                    _relay_complete none 2>/dev/null
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
                --trust)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --chain)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --recipient)
                    _relay_complete node-id 2>/dev/null
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            _relay_complete file 2>/dev/null
            return 0
            ;;
        relay__subcmd__verify)
            opts="-q -v -h -V -N --allow-empty --json --quiet --verbose --help --version --status-fd --node --passphrase-file --passphrase-fd --trust --chain --recipient --identity-key --now --clock-drift"
            if [[ ${cur} == -* && -z ${ended} ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --status-fd)
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
                --trust)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --chain)
                    _relay_complete file 2>/dev/null
                    return 0
                    ;;
                --recipient)
                    _relay_complete node-id 2>/dev/null
                    return 0
                    ;;
                --identity-key)
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
            _relay_complete file 2>/dev/null
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _relay -o nosort -o bashdefault -o default relay
else
    complete -F _relay -o bashdefault -o default relay
fi
