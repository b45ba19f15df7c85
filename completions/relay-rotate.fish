# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-rotate -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-rotate -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-rotate -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-rotate -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-rotate -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-rotate -s n -l dry-run -d 'Print what is due, and renew nothing'
complete -c relay-rotate -l json -d 'Print it in JSON'
complete -c relay-rotate -s q -l quiet -d 'Report errors only'
complete -c relay-rotate -s v -l verbose -d 'Report every change of state'
complete -c relay-rotate -s h -l help -d 'Print help'
complete -c relay-rotate -s V -l version -d 'Print version'
complete -c relay-rotate -f
