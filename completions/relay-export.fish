# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-export -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-export -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-export -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-export -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-export -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-export -l address -d 'The domain name to print with that key' -r -f
complete -c relay-export -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay-export -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay-export -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-export -s f -l force -d 'Replace FILE if it exists'
complete -c relay-export -l der -d 'Write DER instead of PEM'
complete -c relay-export -l qr -d 'Draw the public key as a code that phones read; an image if FILE ends with .png'
complete -c relay-export -s q -l quiet -d 'Report errors only'
complete -c relay-export -s v -l verbose -d 'Report every change of state'
complete -c relay-export -s h -l help -d 'Print help'
complete -c relay-export -s V -l version -d 'Print version'
complete -c relay-export -f
