# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-sync -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay-sync -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-sync -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-sync -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-sync -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay-sync -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-sync -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-sync -l init -d 'Make it a medium first, if it is not one'
complete -c relay-sync -l if-present -d 'Do nothing, and succeed, if no medium is there'
complete -c relay-sync -l take -d 'Take only, and give nothing: it is another run\'s turn when what came has been routed'
complete -c relay-sync -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay-sync -s q -l quiet -d 'Report errors only'
complete -c relay-sync -s v -l verbose -d 'Report every change of state'
complete -c relay-sync -s h -l help -d 'Print help'
complete -c relay-sync -s V -l version -d 'Print version'
complete -c relay-sync -f -a '(_relay_complete dir)'
