# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-carry -l quota -d 'Leave at most SIZE octets of messages on TO, as in 500M' -r -f
complete -c relay-carry -l for -d 'Carry first what is for the gateway ID; may be repeated' -r -f -a '(_relay_complete node-id)'
complete -c relay-carry -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-carry -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-carry -l init -d 'Make TO a medium first, if it is not one'
complete -c relay-carry -l if-present -d 'Do nothing, and succeed, if one of the media is not there'
complete -c relay-carry -l move -d 'Remove from FROM what has arrived on TO'
complete -c relay-carry -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay-carry -s q -l quiet -d 'Report errors only'
complete -c relay-carry -s v -l verbose -d 'Report every change of state'
complete -c relay-carry -s h -l help -d 'Print help'
complete -c relay-carry -s V -l version -d 'Print version'
complete -c relay-carry -f -a '(_relay_complete dir)'
