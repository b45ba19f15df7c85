# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-check -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-check -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-check -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-check -l backup -d 'Copy the node, as it is at one instant, to the new directory DIR' -r -f -a '(_relay_complete dir)'
complete -c relay-check -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay-check -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-check -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-check -l restored -d 'Make the node safe to be used after an old backup of it was restored, then check it'
complete -c relay-check -l json -d 'Print a line of JSON for each finding'
complete -c relay-check -s q -l quiet -d 'Report errors only'
complete -c relay-check -s v -l verbose -d 'Report every change of state'
complete -c relay-check -s h -l help -d 'Print help'
complete -c relay-check -s V -l version -d 'Print version'
complete -c relay-check -f
