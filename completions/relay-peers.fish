# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-peers -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-peers -l rename -d 'Call PEER by another name' -r -f
complete -c relay-peers -l host -d 'Reach PEER at HOST:PORT, whatever DNS says of its address' -r -f
complete -c relay-peers -l pin -d 'Accept no other key there than the one with this SHA-256' -r -f
complete -c relay-peers -l json -d 'Print a line of JSON for each peer'
complete -c relay-peers -l forget -d 'Forget PEER, its session keys included'
complete -c relay-peers -l confirm -d 'Note that the digits of PEER were compared'
complete -c relay-peers -l expect-none -d 'Expect no more mail with PEER: relay-check reports nothing that ends'
complete -c relay-peers -l no-host -d 'Reach PEER where its address says'
complete -c relay-peers -s q -l quiet -d 'Report errors only'
complete -c relay-peers -s v -l verbose -d 'Report every change of state'
complete -c relay-peers -s h -l help -d 'Print help'
complete -c relay-peers -s V -l version -d 'Print version'
complete -c relay-peers -f -a '(_relay_complete peer)'
