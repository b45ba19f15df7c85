# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-pack-cargo -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay-pack-cargo -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-pack-cargo -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-pack-cargo -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-pack-cargo -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-pack-cargo -s t -l to -d 'Pack for this gateway: its name, its id, or the beginning of its id' -r -f -a '(_relay_complete peer)'
complete -c relay-pack-cargo -l cca -d 'Answer this cargo collection authorization, which is used up by it' -r -F
complete -c relay-pack-cargo -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-pack-cargo -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay-pack-cargo -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-pack-cargo -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-pack-cargo -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-pack-cargo -l params -d 'How to reach the recipient: connection parameters, or for cargo a registration' -r -F
complete -c relay-pack-cargo -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay-pack-cargo -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay-pack-cargo -l save-session-key -d 'Store the session key to be answered under in FILE' -r -F
complete -c relay-pack-cargo -l allow-empty -d 'Accept an empty input'
complete -c relay-pack-cargo -s f -l force -d 'Replace FILE if it exists'
complete -c relay-pack-cargo -l armor -d 'Write PEM instead of binary'
complete -c relay-pack-cargo -s q -l quiet -d 'Report errors only'
complete -c relay-pack-cargo -s v -l verbose -d 'Report every change of state'
complete -c relay-pack-cargo -s h -l help -d 'Print help'
complete -c relay-pack-cargo -s V -l version -d 'Print version'
complete -c relay-pack-cargo -F
