# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-seal -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay-seal -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-seal -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-seal -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-seal -s t -l to -d 'Seal for this peer: its name, its id, or the beginning of its id; @NAME for an alias' -r -f -a '(_relay_complete recipient)'
complete -c relay-seal -s y -l type -d 'The media type of the content [default: application/octet-stream]' -r -f -a '(_relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4)'
complete -c relay-seal -l ttl -d 'Let the parcel expire after DURATION [default: 30d]' -r -f
complete -c relay-seal -l id -d 'The parcel\'s id [default: a random UUID]' -r -f
complete -c relay-seal -l name -d 'Send NAME along as the name of the file' -r -f
complete -c relay-seal -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-seal -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay-seal -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-seal -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-seal -l params -d 'How to reach the recipient: connection parameters, or for cargo a registration' -r -F
complete -c relay-seal -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay-seal -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay-seal -l save-session-key -d 'Store the session key to be answered under in FILE' -r -F
complete -c relay-seal -l certificate -d 'Our own certificate, and its issuers\', to sign under' -r -F
complete -c relay-seal -l keep-name -d 'Send the name of FILE along'
complete -c relay-seal -l parts -d 'Make a parcel of each part that relay-split makes'
complete -c relay-seal -l authorize -d 'Let the peer answer: seal our authorization for it as a parcel of its own'
complete -c relay-seal -s f -l force -d 'Replace FILE if it exists'
complete -c relay-seal -l armor -d 'Write PEM instead of binary'
complete -c relay-seal -l json -d 'Print a line of facts in JSON for each parcel'
complete -c relay-seal -s q -l quiet -d 'Report errors only'
complete -c relay-seal -s v -l verbose -d 'Report every change of state'
complete -c relay-seal -s h -l help -d 'Print help'
complete -c relay-seal -s V -l version -d 'Print version'
complete -c relay-seal -F
