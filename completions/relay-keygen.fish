# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-keygen -l type -d 'What the node is to be [default: endpoint]' -r -f -a "endpoint\t''
gateway\t''"
complete -c relay-keygen -l rsa -d 'Bits of the new identity key' -r -f -a "2048\t''
3072\t''
4096\t''"
complete -c relay-keygen -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-keygen -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-keygen -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-keygen -l endpoint -d 'Make a local endpoint of the gateway that -N names, registered with it under NAME' -r -f
complete -c relay-keygen -l address -d 'The node\'s domain name on the Internet, if it has one' -r -f
complete -c relay-keygen -l successor -d 'Make the node that takes the place of the node in OLD, and tell the peers of that' -r -f -a '(_relay_complete dir)'
complete -c relay-keygen -s d -l directory -d 'With --successor: also write what each peer is to import into DIR' -r -f -a '(_relay_complete dir)'
complete -c relay-keygen -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay-keygen -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay-keygen -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay-keygen -l new-passphrase-file -d 'With --change-passphrase: the new passphrase is in FILE' -r -F
complete -c relay-keygen -l new-passphrase-fd -d 'With --change-passphrase: descriptor N gives the new passphrase' -r -f
complete -c relay-keygen -l set -d 'Write this setting into the config' -r -f -a '(_relay_complete words type= address= group= ttl= clock-drift= session-grace= quota= reserve= resend-after= log= resolver= proxy= ca= direct= direct-for= online-every= online-max-size= online-when= couriers= registration= max-peers= foreign-quota=)'
complete -c relay-keygen -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-keygen -l passphrase -d 'Encrypt the private keys under the passphrase'
complete -c relay-keygen -l change-passphrase -d 'Set, change or remove the passphrase of all private keys of the node'
complete -c relay-keygen -l no-passphrase -d 'With --change-passphrase: the keys are to have none'
complete -c relay-keygen -l json -d 'Print a line of facts in JSON instead of the id'
complete -c relay-keygen -s q -l quiet -d 'Report errors only'
complete -c relay-keygen -s v -l verbose -d 'Report every change of state'
complete -c relay-keygen -s h -l help -d 'Print help'
complete -c relay-keygen -s V -l version -d 'Print version'
complete -c relay-keygen -f -a '(_relay_complete dir)'
