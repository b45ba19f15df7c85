# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-status -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-status -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-status -l nagios -d 'Print a line for a monitoring system, and end with 0, 1, 2 or 3' -r -f
complete -c relay-status -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-status -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-status -s f -l force -d 'Replace FILE if it exists'
complete -c relay-status -l json -d 'Print a line of JSON'
complete -c relay-status -l prometheus -d 'Print gauges in the text format of Prometheus'
complete -c relay-status -s q -l quiet -d 'Report errors only'
complete -c relay-status -s v -l verbose -d 'Report every change of state'
complete -c relay-status -s h -l help -d 'Print help'
complete -c relay-status -s V -l version -d 'Print version'
complete -c relay-status -f
