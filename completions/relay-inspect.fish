# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-inspect -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-inspect -l allow-empty -d 'Accept an empty input'
complete -c relay-inspect -l json -d 'Print a line of JSON for each object'
complete -c relay-inspect -l id -d 'Print just the id of the node behind the object'
complete -c relay-inspect -l message-id -d 'Print just the id of the message'
complete -c relay-inspect -l sender -d 'Print just the id of the node that sent the message'
complete -c relay-inspect -l recipient -d 'Print just the id of the node that the message is for'
complete -c relay-inspect -l qr -d 'Draw the SHA-256 of the object as a whole as a code, for relay-import --expect'
complete -c relay-inspect -s q -l quiet -d 'Report errors only'
complete -c relay-inspect -s v -l verbose -d 'Report every change of state'
complete -c relay-inspect -s h -l help -d 'Print help'
complete -c relay-inspect -s V -l version -d 'Print version'
complete -c relay-inspect -F
