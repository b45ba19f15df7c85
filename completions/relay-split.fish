# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-split -l name -d 'Send NAME along as the name of the file' -r -f
complete -c relay-split -l size -d 'Octets of content in each part but the last [default: 8257536]' -r -f
complete -c relay-split -l transfer -d 'Id of the transfer, in hexadecimal [default: random]' -r -f
complete -c relay-split -l only -d 'Write only these parts, such as 7, 3-5 or 9-' -r -f
complete -c relay-split -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-split -s d -l directory -d 'Write each part into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay-split -l keep-name -d 'Send the name of FILE along'
complete -c relay-split -s f -l force -d 'Replace FILE if it exists'
complete -c relay-split -l allow-empty -d 'Accept an input without a single octet'
complete -c relay-split -s q -l quiet -d 'Report errors only'
complete -c relay-split -s v -l verbose -d 'Report every change of state'
complete -c relay-split -s h -l help -d 'Print help'
complete -c relay-split -s V -l version -d 'Print version'
complete -c relay-split -F
