# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-enroll -l pin -d 'Accept the certificate whose public key has this SHA-256, and no other' -r -f
complete -c relay-enroll -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-enroll -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-enroll -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-enroll -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-enroll -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay-enroll -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay-enroll -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-enroll -l local -d 'Register an endpoint with the gateway on this machine [default: 127.0.0.1:13276]'
complete -c relay-enroll -s n -l dry-run -d 'Print where it would connect to, and connect to no gateway'
complete -c relay-enroll -l json -d 'Print a line of JSON for each server'
complete -c relay-enroll -s f -l force -d 'Replace FILE if it exists'
complete -c relay-enroll -l der -d 'Write DER instead of PEM'
complete -c relay-enroll -s q -l quiet -d 'Report errors only'
complete -c relay-enroll -s v -l verbose -d 'Report every change of state'
complete -c relay-enroll -s h -l help -d 'Print help'
complete -c relay-enroll -s V -l version -d 'Print version'
complete -c relay-enroll -f
