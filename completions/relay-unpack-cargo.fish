# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-unpack-cargo -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-unpack-cargo -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-unpack-cargo -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-unpack-cargo -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-unpack-cargo -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-unpack-cargo -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay-unpack-cargo -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-unpack-cargo -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-unpack-cargo -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-unpack-cargo -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay-unpack-cargo -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay-unpack-cargo -l trust -d 'Trust these certificates or public keys, and nothing else' -r -F
complete -c relay-unpack-cargo -l chain -d 'Certificates that may be needed to find a path' -r -F
complete -c relay-unpack-cargo -l recipient -d 'The node id that messages must be for' -r -f -a '(_relay_complete node-id)'
complete -c relay-unpack-cargo -l allow-empty -d 'Accept an empty input'
complete -c relay-unpack-cargo -s f -l force -d 'Replace FILE if it exists'
complete -c relay-unpack-cargo -l armor -d 'Write PEM instead of binary'
complete -c relay-unpack-cargo -l again -d 'Unpack cargo that was received before, too'
complete -c relay-unpack-cargo -l json -d 'Print a line of facts in JSON for each message'
complete -c relay-unpack-cargo -l any-sender -d 'Open messages from any sender'
complete -c relay-unpack-cargo -s q -l quiet -d 'Report errors only'
complete -c relay-unpack-cargo -s v -l verbose -d 'Report every change of state'
complete -c relay-unpack-cargo -s h -l help -d 'Print help'
complete -c relay-unpack-cargo -s V -l version -d 'Print version'
complete -c relay-unpack-cargo -F
