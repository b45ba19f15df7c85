# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-purge -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-purge -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay-purge -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-purge -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-purge -s n -l dry-run -d 'Print what would be removed, and remove nothing'
complete -c relay-purge -l json -d 'Print it in JSON'
complete -c relay-purge -l trust-clock -d 'Purge by this clock, although nothing in the spool confirms the time that it shows'
complete -c relay-purge -s q -l quiet -d 'Report errors only'
complete -c relay-purge -s v -l verbose -d 'Report every change of state'
complete -c relay-purge -s h -l help -d 'Print help'
complete -c relay-purge -s V -l version -d 'Print version'
complete -c relay-purge -f
