# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-ferry -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay-ferry -l courier-address -d 'Where the courier is, as a private IPv4 address [default: that of the default route, if couriers is yes]' -r -f
complete -c relay-ferry -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-ferry -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-ferry -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-ferry -l pause -d 'Pause for DURATION between delivering and collecting [default: 10s; with --sync, 5s]' -r -f
complete -c relay-ferry -l splay -d 'Start at another moment within DURATION, which depends on the node' -r -f
complete -c relay-ferry -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay-ferry -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay-ferry -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-ferry -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-ferry -l sync -d 'Exchange this node\'s cargo with the courier of this network'
complete -c relay-ferry -s n -l dry-run -d 'Print where it would connect to, and connect to no server'
complete -c relay-ferry -l if-present -d 'Do nothing, and succeed, if no medium is there'
complete -c relay-ferry -l private -d 'Connect to private addresses too, such as 10.0.0.1: where the network is one that you trust'
complete -c relay-ferry -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay-ferry -s q -l quiet -d 'Report errors only'
complete -c relay-ferry -s v -l verbose -d 'Report every change of state'
complete -c relay-ferry -s h -l help -d 'Print help'
complete -c relay-ferry -s V -l version -d 'Print version'
complete -c relay-ferry -f -a '(_relay_complete dir)'
complete -c relay-ferry -f
