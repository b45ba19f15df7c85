# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-ack -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-ack -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-ack -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay-ack -l allow-empty -d 'Accept an empty input'
complete -c relay-ack -s f -l force -d 'Replace FILE if it exists'
complete -c relay-ack -l armor -d 'Write PEM instead of binary'
complete -c relay-ack -s q -l quiet -d 'Report errors only'
complete -c relay-ack -s v -l verbose -d 'Report every change of state'
complete -c relay-ack -s h -l help -d 'Print help'
complete -c relay-ack -s V -l version -d 'Print version'
complete -c relay-ack -F
