# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-join -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay-join -s d -l directory -d 'Write each content into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay-join -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-join -l allow-empty -d 'Accept an empty input'
complete -c relay-join -s f -l force -d 'Replace FILE if it exists'
complete -c relay-join -l keep-name -d 'In DIR, use the names that senders gave'
complete -c relay-join -l extract -d 'In DIR, make a directory of each content, which must be a directory that was sent as tar'
complete -c relay-join -l remove -d 'Remove the files with parts whose content is whole and stored'
complete -c relay-join -l json -d 'Print a line of facts in JSON for each content'
complete -c relay-join -s q -l quiet -d 'Report errors only'
complete -c relay-join -s v -l verbose -d 'Report every change of state'
complete -c relay-join -s h -l help -d 'Print help'
complete -c relay-join -s V -l version -d 'Print version'
complete -c relay-join -F
