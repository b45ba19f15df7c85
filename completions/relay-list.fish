# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-list -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-list -l id -d 'Show what became of this message: its id, its name, or what the ids of parts begin with' -r -f -a '(_relay_complete message)'
complete -c relay-list -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-list -l long -d 'Add what the messages themselves say, without verifying it: id, date, octets'
complete -c relay-list -s 0 -l null -d 'Print the paths of the files, each followed by a NUL'
complete -c relay-list -l json -d 'Print a line of JSON for each message'
complete -c relay-list -s q -l quiet -d 'Report errors only'
complete -c relay-list -s v -l verbose -d 'Report every change of state'
complete -c relay-list -s h -l help -d 'Print help'
complete -c relay-list -s V -l version -d 'Print version'
complete -c relay-list -f -a '(_relay_complete queue in failed home out control acks cca)'
