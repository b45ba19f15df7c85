# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-serve -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-serve -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-serve -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-serve -l listen -d 'Listen at ADDRESS:PORT or on a Unix socket [default: `[::]:443`, for local applications 127.0.0.1:13276, as a courier `[::]:21473`]' -r -F
complete -c relay-serve -l cert -d 'Show the certificate in FILE, with its issuers, in PEM' -r -F
complete -c relay-serve -l key -d 'Use the key of that certificate in FILE, in PEM' -r -F
complete -c relay-serve -l courier -d 'Be a courier with the medium in DIR, without a node, for gateways in a local network' -r -f -a '(_relay_complete dir)'
complete -c relay-serve -l quota -d 'Leave at most SIZE octets of messages on that medium, as in 500M' -r -f
complete -c relay-serve -l connections -d 'Serve N connections at once' -r -f
complete -c relay-serve -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-serve -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-serve -l behind-proxy -d 'Let a proxy on this machine have the certificate, and name the clients (PROXY protocol, version 2)'
complete -c relay-serve -l init -d 'Make it a medium first, if it is not one'
complete -c relay-serve -l front -d 'Speak with the network for the process at the other end of standard input'
complete -c relay-serve -s q -l quiet -d 'Report errors only'
complete -c relay-serve -s v -l verbose -d 'Report every change of state'
complete -c relay-serve -s h -l help -d 'Print help'
complete -c relay-serve -s V -l version -d 'Print version'
complete -c relay-serve -f
