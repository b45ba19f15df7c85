# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-post -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-post -l splay -d 'Start at another moment within DURATION, which depends on the node' -r -f
complete -c relay-post -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay-post -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay-post -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-post -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-post -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-post -s n -l dry-run -d 'Print where it would connect to, and connect to no server'
complete -c relay-post -l private -d 'Connect to private addresses too, such as 10.0.0.1: where the network is one that you trust'
complete -c relay-post -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay-post -l allow-empty -d 'Accept an empty input'
complete -c relay-post -s q -l quiet -d 'Report errors only'
complete -c relay-post -s v -l verbose -d 'Report every change of state'
complete -c relay-post -s h -l help -d 'Print help'
complete -c relay-post -s V -l version -d 'Print version'
complete -c relay-post -F
