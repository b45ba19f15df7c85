# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-online -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-online -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-online -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-online -l splay -d 'Start at another moment within DURATION, which depends on the node' -r -f
complete -c relay-online -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay-online -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay-online -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-online -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-online -s n -l dry-run -d 'Print where it would connect to, and connect to no gateway'
complete -c relay-online -l follow -d 'Go on: submit what is routed at once, and collect what comes'
complete -c relay-online -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay-online -s q -l quiet -d 'Report errors only'
complete -c relay-online -s v -l verbose -d 'Report every change of state'
complete -c relay-online -s h -l help -d 'Print help'
complete -c relay-online -s V -l version -d 'Print version'
complete -c relay-online -f -a '(_relay_complete peer)'
