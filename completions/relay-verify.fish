# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-verify -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-verify -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-verify -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-verify -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-verify -l trust -d 'Trust these certificates or public keys, and nothing else' -r -F
complete -c relay-verify -l chain -d 'Certificates that may be needed to find a path' -r -F
complete -c relay-verify -l recipient -d 'The node id that messages must be for' -r -f -a '(_relay_complete node-id)'
complete -c relay-verify -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-verify -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-verify -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-verify -l allow-empty -d 'Accept an empty input'
complete -c relay-verify -l json -d 'Print a line of JSON for each object'
complete -c relay-verify -s q -l quiet -d 'Report errors only'
complete -c relay-verify -s v -l verbose -d 'Report every change of state'
complete -c relay-verify -s h -l help -d 'Print help'
complete -c relay-verify -s V -l version -d 'Print version'
complete -c relay-verify -F
