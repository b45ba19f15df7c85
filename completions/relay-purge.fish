complete -c relay-purge -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -F
complete -c relay-purge -l wait -d 'Wait so long for another run that is at work on the queues [default: not at all]' -r
complete -c relay-purge -l now -d 'Take this for the time (RFC 3339) instead of the clock\'s' -r
complete -c relay-purge -l clock-drift -d 'Allow for clocks that differ by this much [default: 2h]' -r
complete -c relay-purge -s n -l dry-run -d 'Print what would be removed, and remove nothing'
complete -c relay-purge -l json -d 'Print it in JSON'
complete -c relay-purge -l trust-clock -d 'Purge by this clock though nothing here leads to the time that it tells'
complete -c relay-purge -s q -l quiet -d 'Report errors only'
complete -c relay-purge -s v -l verbose -d 'Report every change of state'
complete -c relay-purge -s h -l help -d 'Print help'
complete -c relay-purge -s V -l version -d 'Print version'
