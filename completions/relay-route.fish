# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-route -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-route -l retry -d 'Try again with this message, which was set aside: its name, its id, or the transfer of its parts' -r -f -a '(_relay_complete set-aside)'
complete -c relay-route -l reroute -d 'Decide anew on what waits for PEER or for @internet, after a change of routes' -r -f -a '(_relay_complete peer)'
complete -c relay-route -l timeout -d 'Give a command DURATION for each message; 0 for ever [default: 10m, and 1m for each 16 MiB]' -r -f
complete -c relay-route -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay-route -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-route -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-route -s n -l dry-run -d 'Print the decisions and move nothing'
complete -c relay-route -l json -d 'Print a line of JSON for each message'
complete -c relay-route -s q -l quiet -d 'Report errors only'
complete -c relay-route -s v -l verbose -d 'Report every change of state'
complete -c relay-route -s h -l help -d 'Print help'
complete -c relay-route -s V -l version -d 'Print version'
complete -c relay-route -f
