# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-import -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-import -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-import -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-import -l name -d 'Call the peer NAME' -r -f
complete -c relay-import -l expect -d 'Accept only a file whose SHA-256 is HEX, or begins with eight groups of it, or that of the object in it' -r -f
complete -c relay-import -l successor -d 'Let the node with the digits of --expect take the place of PEER, or do what the notice in FILE says' -r -F -a '(_relay_complete file-or-peer)'
complete -c relay-import -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-import -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-import -l replace -d 'Change what is pinned'
complete -c relay-import -l one-way -d 'The peer authorized us with --one-way: its first session key lasts as long as that'
complete -c relay-import -s q -l quiet -d 'Report errors only'
complete -c relay-import -s v -l verbose -d 'Report every change of state'
complete -c relay-import -s h -l help -d 'Print help'
complete -c relay-import -s V -l version -d 'Print version'
complete -c relay-import -F
