# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-put -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-put -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-put -l priority -d 'How urgent they are; 9 goes first' -r -f -a '(_relay_complete words 0 1 2 3 4 5 6 7 8 9)'
complete -c relay-put -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-put -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-put -l allow-empty -d 'Accept an empty input'
complete -c relay-put -l json -d 'Print a line of facts in JSON for each message'
complete -c relay-put -s q -l quiet -d 'Report errors only'
complete -c relay-put -s v -l verbose -d 'Report every change of state'
complete -c relay-put -s h -l help -d 'Print help'
complete -c relay-put -s V -l version -d 'Print version'
complete -c relay-put -F
