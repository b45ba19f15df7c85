# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-register -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-register -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-register -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-register -l type -d 'What to register it as [default: gateway on a node with an Internet address, else endpoint]' -r -f -a '(_relay_complete words endpoint gateway)'
complete -c relay-register -l valid -d 'How long the registration lasts, or the promise of one [default: 180d; with --authorize 14d]' -r -f
complete -c relay-register -l name -d 'Call the node NAME' -r -f
complete -c relay-register -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-register -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-register -l authorize -d 'Only promise to register the node with this public key'
complete -c relay-register -l request -d 'As the node: ask to be registered as FILE promises'
complete -c relay-register -l complete -d 'Register the node whose request is FILE'
complete -c relay-register -l allow -d 'Let relay-serve register the node when it asks (registration = known)'
complete -c relay-register -s f -l force -d 'Replace FILE if it exists'
complete -c relay-register -l der -d 'Write DER instead of PEM'
complete -c relay-register -s q -l quiet -d 'Report errors only'
complete -c relay-register -s v -l verbose -d 'Report every change of state'
complete -c relay-register -s h -l help -d 'Print help'
complete -c relay-register -s V -l version -d 'Print version'
complete -c relay-register -F -a '(_relay_complete file-or-peer)'
