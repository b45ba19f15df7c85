# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-authorize -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-authorize -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-authorize -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-authorize -l valid -d 'How long the authorization lasts' -r -f
complete -c relay-authorize -l rate -d 'Let the peer send at most N parcels in any such time, such as 24/1d' -r -f
complete -c relay-authorize -l name -d 'Call the peer NAME' -r -f
complete -c relay-authorize -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-authorize -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-authorize -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-authorize -l certificate -d 'Our own certificate, and its issuers\', to sign under' -r -F
complete -c relay-authorize -l address -d 'The domain name of our Internet gateway' -r -f
complete -c relay-authorize -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay-authorize -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay-authorize -l save-session-key -d 'Store the new session key in FILE' -r -F
complete -c relay-authorize -l one-way -d 'The peer will never be answered: let its first session key last as long as the authorization'
complete -c relay-authorize -l once -d 'Let it end: relay-rotate does not renew it'
complete -c relay-authorize -s f -l force -d 'Replace FILE if it exists'
complete -c relay-authorize -l der -d 'Write DER instead of PEM'
complete -c relay-authorize -s q -l quiet -d 'Report errors only'
complete -c relay-authorize -s v -l verbose -d 'Report every change of state'
complete -c relay-authorize -s h -l help -d 'Print help'
complete -c relay-authorize -s V -l version -d 'Print version'
complete -c relay-authorize -F -a '(_relay_complete file-or-peer)'
