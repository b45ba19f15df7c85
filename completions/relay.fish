# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_relay_global_optspecs
    string join \n h/help V/version
end

function __fish_relay_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_relay_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_relay_using_subcommand
    set -l cmd (__fish_relay_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c relay -n "__fish_relay_needs_command" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_needs_command" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_needs_command" -f -a "ack" -d 'Acknowledge stored parcels: parcels to parcel collection acknowledgements'
complete -c relay -n "__fish_relay_needs_command" -f -a "authorize" -d 'Let a peer send to this node: print connection parameters with an authorization for it'
complete -c relay -n "__fish_relay_needs_command" -f -a "carry" -d 'Carry cargo and requests for it from one medium to another; needs no node and no keys'
complete -c relay -n "__fish_relay_needs_command" -f -a "check" -d 'Check a node directory, and print a line for each thing that is not as it should be'
complete -c relay -n "__fish_relay_needs_command" -f -a "deliver" -d 'Hand what arrived for this node to a directory, a Maildir or a command'
complete -c relay -n "__fish_relay_needs_command" -f -a "enroll" -d 'Register this node with a gateway over a network: registration to standard output'
complete -c relay -n "__fish_relay_needs_command" -f -a "export" -d 'Print what others need to reach this node: its public key, or its connection parameters'
complete -c relay -n "__fish_relay_needs_command" -f -a "ferry" -d 'Take cargo to gateways and couriers, and fetch cargo from them, over a network'
complete -c relay -n "__fish_relay_needs_command" -f -a "import" -d 'Accept a registration, authorization, connection parameters, rotation, PDD or successor, and pin it'
complete -c relay -n "__fish_relay_needs_command" -f -a "inspect" -d 'Show any object of this network as text or JSON'
complete -c relay -n "__fish_relay_needs_command" -f -a "join" -d 'Join parts, in any order, to the content that they were cut from'
complete -c relay -n "__fish_relay_needs_command" -f -a "keygen" -d 'Make a node directory: identity key, self-issued certificate, first session key'
complete -c relay -n "__fish_relay_needs_command" -f -a "list" -d 'List what waits in the spool, or tell what became of one message'
complete -c relay -n "__fish_relay_needs_command" -f -a "online" -d 'Exchange parcels with this node\'s gateways over a network'
complete -c relay -n "__fish_relay_needs_command" -f -a "open" -d 'Verify parcels, decrypt them and write out their service messages'
complete -c relay -n "__fish_relay_needs_command" -f -a "pack-cargo" -d 'Pack messages into as few cargoes as possible, sealed and signed for a gateway'
complete -c relay -n "__fish_relay_needs_command" -f -a "peers" -d 'List peers and what was authorized in either direction'
complete -c relay -n "__fish_relay_needs_command" -f -a "post" -d 'Deliver parcels to the servers of nodes on the Internet'
complete -c relay -n "__fish_relay_needs_command" -f -a "purge" -d 'Remove what time has made useless from a node and its spool'
complete -c relay -n "__fish_relay_needs_command" -f -a "put" -d 'Store messages in the spool, where relay-route takes them from; print a line for each'
complete -c relay -n "__fish_relay_needs_command" -f -a "register" -d 'Certify a private node as its gateway: public key to registration'
complete -c relay -n "__fish_relay_needs_command" -f -a "request-cargo" -d 'Make a cargo collection authorization: let couriers collect our cargo from a gateway'
complete -c relay -n "__fish_relay_needs_command" -f -a "revoke" -d 'Withdraw authorizations to send to this node'
complete -c relay -n "__fish_relay_needs_command" -f -a "rotate" -d 'Renew certificates, authorizations and keys that are past the middle of their life'
complete -c relay -n "__fish_relay_needs_command" -f -a "route" -d 'Decide where each message in the spool goes next, and move it there'
complete -c relay -n "__fish_relay_needs_command" -f -a "seal" -d 'Seal content for a peer: service message to parcel'
complete -c relay -n "__fish_relay_needs_command" -f -a "send" -d 'Send files and directories to peers: seal them, and store them in the spool'
complete -c relay -n "__fish_relay_needs_command" -f -a "serve" -d 'Serve other nodes: take parcels, register nodes, and give them theirs'
complete -c relay -n "__fish_relay_needs_command" -f -a "split" -d 'Cut content too large for one parcel into parts'
complete -c relay -n "__fish_relay_needs_command" -f -a "status" -d 'Show what waits, what failed, when media came and what ends, for people or for a monitoring system'
complete -c relay -n "__fish_relay_needs_command" -f -a "sync" -d 'Exchange messages with a medium: take what is for this node, give what it is to carry'
complete -c relay -n "__fish_relay_needs_command" -f -a "unpack-cargo" -d 'Verify cargo, decrypt it and write out the messages in it, each verified on its own'
complete -c relay -n "__fish_relay_needs_command" -f -a "verify" -d 'Check messages and certificates as a courier or gateway must, without opening them'
complete -c relay -n "__fish_relay_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c relay -n "__fish_relay_using_subcommand ack" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand ack" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand ack" -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand ack" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand ack" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand ack" -l armor -d 'Write PEM instead of binary'
complete -c relay -n "__fish_relay_using_subcommand ack" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand ack" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand ack" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand ack" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand authorize" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand authorize" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand authorize" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -l valid -d 'How long the authorization lasts' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -l rate -d 'Let the peer send at most N parcels in any such time, such as 24/1d' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -l name -d 'Call the peer NAME' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand authorize" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand authorize" -l certificate -d 'Our own certificate, and its issuers\', to sign under' -r -F
complete -c relay -n "__fish_relay_using_subcommand authorize" -l address -d 'The domain name of our Internet gateway' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand authorize" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand authorize" -l save-session-key -d 'Store the new session key in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand authorize" -l one-way -d 'The peer will never be answered: let its first session key last as long as the authorization'
complete -c relay -n "__fish_relay_using_subcommand authorize" -l once -d 'Let it end: relay-rotate does not renew it'
complete -c relay -n "__fish_relay_using_subcommand authorize" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand authorize" -l der -d 'Write DER instead of PEM'
complete -c relay -n "__fish_relay_using_subcommand authorize" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand authorize" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand authorize" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand authorize" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand carry" -l quota -d 'Leave at most SIZE octets of messages on TO, as in 500M' -r -f
complete -c relay -n "__fish_relay_using_subcommand carry" -l for -d 'Carry first what is for the gateway ID; may be repeated' -r -f -a '(_relay_complete node-id)'
complete -c relay -n "__fish_relay_using_subcommand carry" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand carry" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand carry" -l init -d 'Make TO a medium first, if it is not one'
complete -c relay -n "__fish_relay_using_subcommand carry" -l if-present -d 'Do nothing, and succeed, if one of the media is not there'
complete -c relay -n "__fish_relay_using_subcommand carry" -l move -d 'Remove from FROM what has arrived on TO'
complete -c relay -n "__fish_relay_using_subcommand carry" -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay -n "__fish_relay_using_subcommand carry" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand carry" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand carry" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand carry" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand check" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand check" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand check" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand check" -l backup -d 'Copy the node, as it is at one instant, to the new directory DIR' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand check" -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay -n "__fish_relay_using_subcommand check" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand check" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand check" -l restored -d 'Make the node safe to be used after an old backup of it was restored, then check it'
complete -c relay -n "__fish_relay_using_subcommand check" -l json -d 'Print a line of JSON for each finding'
complete -c relay -n "__fish_relay_using_subcommand check" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand check" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand check" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand check" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand deliver" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand deliver" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand deliver" -s y -l type -d 'Deliver only content of this media type; a * at the end stands for anything [default: all]' -r -f -a '(_relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4)'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l dir -d 'Write each content into DIR, in a folder for its sender' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l maildir -d 'Write each content into this Maildir, as a mail' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l timeout -d 'Give a command DURATION for each message; 0 for ever [default: 10m, and 1m for each 16 MiB]' -r -f
complete -c relay -n "__fish_relay_using_subcommand deliver" -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay -n "__fish_relay_using_subcommand deliver" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand deliver" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand deliver" -l keep-name -d 'In DIR, use the names that senders gave'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l extract -d 'In DIR, give back directories that were sent as one content'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l no-join -d 'Deliver parts of larger content as they are, instead of putting them together'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l join
complete -c relay -n "__fish_relay_using_subcommand deliver" -s n -l dry-run -d 'Print what would be done, without doing it'
complete -c relay -n "__fish_relay_using_subcommand deliver" -l json -d 'Print a line of facts in JSON for each content'
complete -c relay -n "__fish_relay_using_subcommand deliver" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand deliver" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand deliver" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand deliver" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand enroll" -l pin -d 'Accept the certificate whose public key has this SHA-256, and no other' -r -f
complete -c relay -n "__fish_relay_using_subcommand enroll" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand enroll" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand enroll" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand enroll" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand enroll" -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay -n "__fish_relay_using_subcommand enroll" -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay -n "__fish_relay_using_subcommand enroll" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand enroll" -l local -d 'Register an endpoint with the gateway on this machine [default: 127.0.0.1:13276]'
complete -c relay -n "__fish_relay_using_subcommand enroll" -s n -l dry-run -d 'Print where it would connect to, and connect to no gateway'
complete -c relay -n "__fish_relay_using_subcommand enroll" -l json -d 'Print a line of JSON for each server'
complete -c relay -n "__fish_relay_using_subcommand enroll" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand enroll" -l der -d 'Write DER instead of PEM'
complete -c relay -n "__fish_relay_using_subcommand enroll" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand enroll" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand enroll" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand enroll" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand export" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand export" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand export" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand export" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand export" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand export" -l address -d 'The domain name to print with that key' -r -f
complete -c relay -n "__fish_relay_using_subcommand export" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand export" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand export" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand export" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand export" -l der -d 'Write DER instead of PEM'
complete -c relay -n "__fish_relay_using_subcommand export" -l qr -d 'Draw the public key as a code that phones read; an image if FILE ends with .png'
complete -c relay -n "__fish_relay_using_subcommand export" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand export" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand export" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand export" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand ferry" -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay -n "__fish_relay_using_subcommand ferry" -l courier-address -d 'Where the courier is, as a private IPv4 address [default: that of the default route, if couriers is yes]' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand ferry" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand ferry" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -l pause -d 'Pause for DURATION between delivering and collecting [default: 10s; with --sync, 5s]' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -l splay -d 'Start at another moment within DURATION, which depends on the node' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay -n "__fish_relay_using_subcommand ferry" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand ferry" -l sync -d 'Exchange this node\'s cargo with the courier of this network'
complete -c relay -n "__fish_relay_using_subcommand ferry" -s n -l dry-run -d 'Print where it would connect to, and connect to no server'
complete -c relay -n "__fish_relay_using_subcommand ferry" -l if-present -d 'Do nothing, and succeed, if no medium is there'
complete -c relay -n "__fish_relay_using_subcommand ferry" -l private -d 'Connect to private addresses too, such as 10.0.0.1: where the network is one that you trust'
complete -c relay -n "__fish_relay_using_subcommand ferry" -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay -n "__fish_relay_using_subcommand ferry" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand ferry" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand ferry" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand ferry" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand import" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand import" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand import" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand import" -l name -d 'Call the peer NAME' -r -f
complete -c relay -n "__fish_relay_using_subcommand import" -l expect -d 'Accept only a file whose SHA-256 is HEX, or begins with eight groups of it, or that of the object in it' -r -f
complete -c relay -n "__fish_relay_using_subcommand import" -l successor -d 'Let the node with the digits of --expect take the place of PEER, or do what the notice in FILE says' -r -F -a '(_relay_complete file-or-peer)'
complete -c relay -n "__fish_relay_using_subcommand import" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand import" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand import" -l replace -d 'Change what is pinned'
complete -c relay -n "__fish_relay_using_subcommand import" -l one-way -d 'The peer authorized us with --one-way: its first session key lasts as long as that'
complete -c relay -n "__fish_relay_using_subcommand import" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand import" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand import" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand import" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand inspect" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l json -d 'Print a line of JSON for each object'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l id -d 'Print just the id of the node behind the object'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l message-id -d 'Print just the id of the message'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l sender -d 'Print just the id of the node that sent the message'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l recipient -d 'Print just the id of the node that the message is for'
complete -c relay -n "__fish_relay_using_subcommand inspect" -l qr -d 'Draw the SHA-256 of the object as a whole as a code, for relay-import --expect'
complete -c relay -n "__fish_relay_using_subcommand inspect" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand inspect" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand inspect" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand join" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand join" -s d -l directory -d 'Write each content into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand join" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand join" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand join" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand join" -l keep-name -d 'In DIR, use the names that senders gave'
complete -c relay -n "__fish_relay_using_subcommand join" -l extract -d 'In DIR, make a directory of each content, which must be a directory that was sent as tar'
complete -c relay -n "__fish_relay_using_subcommand join" -l remove -d 'Remove the files with parts whose content is whole and stored'
complete -c relay -n "__fish_relay_using_subcommand join" -l json -d 'Print a line of facts in JSON for each content'
complete -c relay -n "__fish_relay_using_subcommand join" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand join" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand join" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand join" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l type -d 'What the node is to be [default: endpoint]' -r -f -a "endpoint\t''
gateway\t''"
complete -c relay -n "__fish_relay_using_subcommand keygen" -l rsa -d 'Bits of the new identity key' -r -f -a "2048\t''
3072\t''
4096\t''"
complete -c relay -n "__fish_relay_using_subcommand keygen" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand keygen" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand keygen" -l endpoint -d 'Make a local endpoint of the gateway that -N names, registered with it under NAME' -r -f
complete -c relay -n "__fish_relay_using_subcommand keygen" -l address -d 'The node\'s domain name on the Internet, if it has one' -r -f
complete -c relay -n "__fish_relay_using_subcommand keygen" -l successor -d 'Make the node that takes the place of the node in OLD, and tell the peers of that' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand keygen" -s d -l directory -d 'With --successor: also write what each peer is to import into DIR' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand keygen" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand keygen" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand keygen" -l new-passphrase-file -d 'With --change-passphrase: the new passphrase is in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand keygen" -l new-passphrase-fd -d 'With --change-passphrase: descriptor N gives the new passphrase' -r -f
complete -c relay -n "__fish_relay_using_subcommand keygen" -l set -d 'Write this setting into the config' -r -f -a '(_relay_complete words type= address= group= ttl= clock-drift= session-grace= quota= reserve= resend-after= log= resolver= proxy= ca= direct= direct-for= online-every= online-max-size= online-when= couriers= registration= max-peers= foreign-quota=)'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand keygen" -l passphrase -d 'Encrypt the private keys under the passphrase'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l change-passphrase -d 'Set, change or remove the passphrase of all private keys of the node'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l no-passphrase -d 'With --change-passphrase: the keys are to have none'
complete -c relay -n "__fish_relay_using_subcommand keygen" -l json -d 'Print a line of facts in JSON instead of the id'
complete -c relay -n "__fish_relay_using_subcommand keygen" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand keygen" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand keygen" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand keygen" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand list" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand list" -l id -d 'Show what became of this message: its id, its name, or what the ids of parts begin with' -r -f -a '(_relay_complete message)'
complete -c relay -n "__fish_relay_using_subcommand list" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand list" -l long -d 'Add what the messages themselves say, without verifying it: id, date, octets'
complete -c relay -n "__fish_relay_using_subcommand list" -s 0 -l null -d 'Print the paths of the files, each followed by a NUL'
complete -c relay -n "__fish_relay_using_subcommand list" -l json -d 'Print a line of JSON for each message'
complete -c relay -n "__fish_relay_using_subcommand list" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand list" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand list" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand list" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand online" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand online" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand online" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand online" -l splay -d 'Start at another moment within DURATION, which depends on the node' -r -f
complete -c relay -n "__fish_relay_using_subcommand online" -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay -n "__fish_relay_using_subcommand online" -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay -n "__fish_relay_using_subcommand online" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand online" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand online" -s n -l dry-run -d 'Print where it would connect to, and connect to no gateway'
complete -c relay -n "__fish_relay_using_subcommand online" -l follow -d 'Go on: submit what is routed at once, and collect what comes'
complete -c relay -n "__fish_relay_using_subcommand online" -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay -n "__fish_relay_using_subcommand online" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand online" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand online" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand online" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand open" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand open" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand open" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand open" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand open" -s d -l directory -d 'Write each content into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand open" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand open" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand open" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand open" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand open" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand open" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand open" -l trust -d 'Trust these certificates or public keys, and nothing else' -r -F
complete -c relay -n "__fish_relay_using_subcommand open" -l chain -d 'Certificates that may be needed to find a path' -r -F
complete -c relay -n "__fish_relay_using_subcommand open" -l recipient -d 'The node id that messages must be for' -r -f -a '(_relay_complete node-id)'
complete -c relay -n "__fish_relay_using_subcommand open" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand open" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand open" -l keep-name -d 'In DIR, use the names that senders gave'
complete -c relay -n "__fish_relay_using_subcommand open" -l extract -d 'In DIR, give back directories that were sent as one content'
complete -c relay -n "__fish_relay_using_subcommand open" -l again -d 'Open parcels that were received before, too'
complete -c relay -n "__fish_relay_using_subcommand open" -l cat -d 'Write the contents of several parcels one after the other'
complete -c relay -n "__fish_relay_using_subcommand open" -l json -d 'Print a line of facts in JSON for each parcel'
complete -c relay -n "__fish_relay_using_subcommand open" -l any-sender -d 'Open messages from any sender'
complete -c relay -n "__fish_relay_using_subcommand open" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand open" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand open" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand open" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s t -l to -d 'Pack for this gateway: its name, its id, or the beginning of its id' -r -f -a '(_relay_complete peer)'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l cca -d 'Answer this cargo collection authorization, which is used up by it' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l params -d 'How to reach the recipient: connection parameters, or for cargo a registration' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l save-session-key -d 'Store the session key to be answered under in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -l armor -d 'Write PEM instead of binary'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand pack-cargo" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand peers" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand peers" -l rename -d 'Call PEER by another name' -r -f
complete -c relay -n "__fish_relay_using_subcommand peers" -l host -d 'Reach PEER at HOST:PORT, whatever DNS says of its address' -r -f
complete -c relay -n "__fish_relay_using_subcommand peers" -l pin -d 'Accept no other key there than the one with this SHA-256' -r -f
complete -c relay -n "__fish_relay_using_subcommand peers" -l json -d 'Print a line of JSON for each peer'
complete -c relay -n "__fish_relay_using_subcommand peers" -l forget -d 'Forget PEER, its session keys included'
complete -c relay -n "__fish_relay_using_subcommand peers" -l confirm -d 'Note that the digits of PEER were compared'
complete -c relay -n "__fish_relay_using_subcommand peers" -l expect-none -d 'Expect no more mail with PEER: relay-check reports nothing that ends'
complete -c relay -n "__fish_relay_using_subcommand peers" -l no-host -d 'Reach PEER where its address says'
complete -c relay -n "__fish_relay_using_subcommand peers" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand peers" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand peers" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand peers" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand post" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand post" -l splay -d 'Start at another moment within DURATION, which depends on the node' -r -f
complete -c relay -n "__fish_relay_using_subcommand post" -l resolver -d 'Ask the resolver at URL, not those of the node\'s config' -r -f
complete -c relay -n "__fish_relay_using_subcommand post" -l ca -d 'Believe the authorities in FILE, not those of the node\'s config or the system' -r -F
complete -c relay -n "__fish_relay_using_subcommand post" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand post" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand post" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand post" -s n -l dry-run -d 'Print where it would connect to, and connect to no server'
complete -c relay -n "__fish_relay_using_subcommand post" -l private -d 'Connect to private addresses too, such as 10.0.0.1: where the network is one that you trust'
complete -c relay -n "__fish_relay_using_subcommand post" -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay -n "__fish_relay_using_subcommand post" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand post" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand post" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand post" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand post" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand purge" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand purge" -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay -n "__fish_relay_using_subcommand purge" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand purge" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand purge" -s n -l dry-run -d 'Print what would be removed, and remove nothing'
complete -c relay -n "__fish_relay_using_subcommand purge" -l json -d 'Print it in JSON'
complete -c relay -n "__fish_relay_using_subcommand purge" -l trust-clock -d 'Purge by this clock, although nothing in the spool confirms the time that it shows'
complete -c relay -n "__fish_relay_using_subcommand purge" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand purge" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand purge" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand purge" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand put" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand put" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand put" -l priority -d 'How urgent they are; 9 goes first' -r -f -a '(_relay_complete words 0 1 2 3 4 5 6 7 8 9)'
complete -c relay -n "__fish_relay_using_subcommand put" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand put" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand put" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand put" -l json -d 'Print a line of facts in JSON for each message'
complete -c relay -n "__fish_relay_using_subcommand put" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand put" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand put" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand put" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand register" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand register" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand register" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand register" -l type -d 'What to register it as [default: gateway on a node with an Internet address, else endpoint]' -r -f -a '(_relay_complete words endpoint gateway)'
complete -c relay -n "__fish_relay_using_subcommand register" -l valid -d 'How long the registration lasts, or the promise of one [default: 180d; with --authorize 14d]' -r -f
complete -c relay -n "__fish_relay_using_subcommand register" -l name -d 'Call the node NAME' -r -f
complete -c relay -n "__fish_relay_using_subcommand register" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand register" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand register" -l authorize -d 'Only promise to register the node with this public key'
complete -c relay -n "__fish_relay_using_subcommand register" -l request -d 'As the node: ask to be registered as FILE promises'
complete -c relay -n "__fish_relay_using_subcommand register" -l complete -d 'Register the node whose request is FILE'
complete -c relay -n "__fish_relay_using_subcommand register" -l allow -d 'Let relay-serve register the node when it asks (registration = known)'
complete -c relay -n "__fish_relay_using_subcommand register" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand register" -l der -d 'Write DER instead of PEM'
complete -c relay -n "__fish_relay_using_subcommand register" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand register" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand register" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand register" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s t -l to -d 'The gateway to collect from: its name, its id, or the beginning of its id' -r -f -a '(_relay_complete peer)'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l valid -d 'How long the request holds, and the gateway may send cargo for it' -r -f
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l params -d 'How to reach the recipient: connection parameters, or for cargo a registration' -r -F
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l save-session-key -d 'Store the session key to be answered under in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -l armor -d 'Write PEM instead of binary'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand request-cargo" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand revoke" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand revoke" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand revoke" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand revoke" -l issuer -d 'Gateway: revoke what this endpoint, which is registered here, gave; only with serial numbers or --all' -r -f -a '(_relay_complete peer)'
complete -c relay -n "__fish_relay_using_subcommand revoke" -l valid -d 'How long it is revoked [default: as long as it lasts]' -r -f
complete -c relay -n "__fish_relay_using_subcommand revoke" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand revoke" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand revoke" -s n -l dry-run -d 'Print what would be revoked, and change nothing'
complete -c relay -n "__fish_relay_using_subcommand revoke" -l json -d 'Print a line of JSON for each authorization'
complete -c relay -n "__fish_relay_using_subcommand revoke" -l all -d 'Revoke all authorizations of this node, and give no more'
complete -c relay -n "__fish_relay_using_subcommand revoke" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand revoke" -l der -d 'Write DER instead of PEM'
complete -c relay -n "__fish_relay_using_subcommand revoke" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand revoke" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand revoke" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand revoke" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand rotate" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand rotate" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand rotate" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand rotate" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand rotate" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand rotate" -s n -l dry-run -d 'Print what is due, and renew nothing'
complete -c relay -n "__fish_relay_using_subcommand rotate" -l json -d 'Print it in JSON'
complete -c relay -n "__fish_relay_using_subcommand rotate" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand rotate" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand rotate" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand rotate" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand route" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand route" -l retry -d 'Try again with this message, which was set aside: its name, its id, or the transfer of its parts' -r -f -a '(_relay_complete set-aside)'
complete -c relay -n "__fish_relay_using_subcommand route" -l reroute -d 'Decide anew on what waits for PEER or for @internet, after a change of routes' -r -f -a '(_relay_complete peer)'
complete -c relay -n "__fish_relay_using_subcommand route" -l timeout -d 'Give a command DURATION for each message; 0 for ever [default: 10m, and 1m for each 16 MiB]' -r -f
complete -c relay -n "__fish_relay_using_subcommand route" -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay -n "__fish_relay_using_subcommand route" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand route" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand route" -s n -l dry-run -d 'Print the decisions and move nothing'
complete -c relay -n "__fish_relay_using_subcommand route" -l json -d 'Print a line of JSON for each message'
complete -c relay -n "__fish_relay_using_subcommand route" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand route" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand route" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand route" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand seal" -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay -n "__fish_relay_using_subcommand seal" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand seal" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand seal" -s t -l to -d 'Seal for this peer: its name, its id, or the beginning of its id; @NAME for an alias' -r -f -a '(_relay_complete recipient)'
complete -c relay -n "__fish_relay_using_subcommand seal" -s y -l type -d 'The media type of the content [default: application/octet-stream]' -r -f -a '(_relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4)'
complete -c relay -n "__fish_relay_using_subcommand seal" -l ttl -d 'Let the parcel expire after DURATION [default: 30d]' -r -f
complete -c relay -n "__fish_relay_using_subcommand seal" -l id -d 'The parcel\'s id [default: a random UUID]' -r -f
complete -c relay -n "__fish_relay_using_subcommand seal" -l name -d 'Send NAME along as the name of the file' -r -f
complete -c relay -n "__fish_relay_using_subcommand seal" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand seal" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand seal" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -l params -d 'How to reach the recipient: connection parameters, or for cargo a registration' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand seal" -l save-session-key -d 'Store the session key to be answered under in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -l certificate -d 'Our own certificate, and its issuers\', to sign under' -r -F
complete -c relay -n "__fish_relay_using_subcommand seal" -l keep-name -d 'Send the name of FILE along'
complete -c relay -n "__fish_relay_using_subcommand seal" -l parts -d 'Make a parcel of each part that relay-split makes'
complete -c relay -n "__fish_relay_using_subcommand seal" -l authorize -d 'Let the peer answer: seal our authorization for it as a parcel of its own'
complete -c relay -n "__fish_relay_using_subcommand seal" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand seal" -l armor -d 'Write PEM instead of binary'
complete -c relay -n "__fish_relay_using_subcommand seal" -l json -d 'Print a line of facts in JSON for each parcel'
complete -c relay -n "__fish_relay_using_subcommand seal" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand seal" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand seal" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand seal" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand send" -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay -n "__fish_relay_using_subcommand send" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand send" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand send" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -s t -l to -d 'Send to this peer: its name, its id, or the beginning of its id; @NAME for an alias' -r -f -a '(_relay_complete recipient)'
complete -c relay -n "__fish_relay_using_subcommand send" -s y -l type -d 'The media type of files [default: application/octet-stream]' -r -f -a '(_relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4)'
complete -c relay -n "__fish_relay_using_subcommand send" -l name -d 'Send NAME along as the name of the only FILE' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -l id -d 'The id of the only FILE\'s message [default: a random UUID]' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -l drop -d 'Send what waits in DIR, each file once' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand send" -l sent -d 'Move what was sent from the drop folder into DIR, instead of removing it' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand send" -l settle -d 'Leave files in the drop folder that changed in the last DURATION [default: 60s]' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -l ttl -d 'Let the parcel expire after DURATION [default: 30d]' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -l priority -d 'How urgent they are; 9 goes first' -r -f -a '(_relay_complete words 0 1 2 3 4 5 6 7 8 9)'
complete -c relay -n "__fish_relay_using_subcommand send" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand send" -l no-name -d 'Send no names along'
complete -c relay -n "__fish_relay_using_subcommand send" -l authorize -d 'Let the peers answer: send each our authorization, too'
complete -c relay -n "__fish_relay_using_subcommand send" -l json -d 'Print a line of facts in JSON for each file and recipient'
complete -c relay -n "__fish_relay_using_subcommand send" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand send" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand send" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand send" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand serve" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand serve" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand serve" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand serve" -l listen -d 'Listen at ADDRESS:PORT or on a Unix socket [default: `[::]:443`, for local applications 127.0.0.1:13276, as a courier `[::]:21473`]' -r -F
complete -c relay -n "__fish_relay_using_subcommand serve" -l cert -d 'Show the certificate in FILE, with its issuers, in PEM' -r -F
complete -c relay -n "__fish_relay_using_subcommand serve" -l key -d 'Use the key of that certificate in FILE, in PEM' -r -F
complete -c relay -n "__fish_relay_using_subcommand serve" -l courier -d 'Be a courier with the medium in DIR, without a node, for gateways in a local network' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand serve" -l quota -d 'Leave at most SIZE octets of messages on that medium, as in 500M' -r -f
complete -c relay -n "__fish_relay_using_subcommand serve" -l connections -d 'Serve N connections at once' -r -f
complete -c relay -n "__fish_relay_using_subcommand serve" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand serve" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand serve" -l behind-proxy -d 'Let a proxy on this machine have the certificate, and name the clients (PROXY protocol, version 2)'
complete -c relay -n "__fish_relay_using_subcommand serve" -l init -d 'Make it a medium first, if it is not one'
complete -c relay -n "__fish_relay_using_subcommand serve" -l front -d 'Speak with the network for the process at the other end of standard input'
complete -c relay -n "__fish_relay_using_subcommand serve" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand serve" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand serve" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand serve" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand split" -l name -d 'Send NAME along as the name of the file' -r -f
complete -c relay -n "__fish_relay_using_subcommand split" -l size -d 'Octets of content in each part but the last [default: 8257536]' -r -f
complete -c relay -n "__fish_relay_using_subcommand split" -l transfer -d 'Id of the transfer, in hexadecimal [default: random]' -r -f
complete -c relay -n "__fish_relay_using_subcommand split" -l only -d 'Write only these parts, such as 7, 3-5 or 9-' -r -f
complete -c relay -n "__fish_relay_using_subcommand split" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand split" -s d -l directory -d 'Write each part into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand split" -l keep-name -d 'Send the name of FILE along'
complete -c relay -n "__fish_relay_using_subcommand split" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand split" -l allow-empty -d 'Accept an input without a single octet'
complete -c relay -n "__fish_relay_using_subcommand split" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand split" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand split" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand split" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand status" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand status" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand status" -l nagios -d 'Print a line for a monitoring system, and end with 0, 1, 2 or 3' -r -f
complete -c relay -n "__fish_relay_using_subcommand status" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand status" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand status" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand status" -l json -d 'Print a line of JSON'
complete -c relay -n "__fish_relay_using_subcommand status" -l prometheus -d 'Print gauges in the text format of Prometheus'
complete -c relay -n "__fish_relay_using_subcommand status" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand status" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand status" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand status" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand sync" -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay -n "__fish_relay_using_subcommand sync" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand sync" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand sync" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand sync" -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay -n "__fish_relay_using_subcommand sync" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand sync" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand sync" -l init -d 'Make it a medium first, if it is not one'
complete -c relay -n "__fish_relay_using_subcommand sync" -l if-present -d 'Do nothing, and succeed, if no medium is there'
complete -c relay -n "__fish_relay_using_subcommand sync" -l take -d 'Take only, and give nothing: it is another run\'s turn when what came has been routed'
complete -c relay -n "__fish_relay_using_subcommand sync" -l json -d 'Print a line of JSON for each event, and one at the end'
complete -c relay -n "__fish_relay_using_subcommand sync" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand sync" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand sync" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand sync" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s d -l directory -d 'Write each message into DIR, under a name of its own' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l session-key -d 'Our private session key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l session-key-id -d 'The id of that key, in hexadecimal' -r -f
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l trust -d 'Trust these certificates or public keys, and nothing else' -r -F
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l chain -d 'Certificates that may be needed to find a path' -r -F
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l recipient -d 'The node id that messages must be for' -r -f -a '(_relay_complete node-id)'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s f -l force -d 'Replace FILE if it exists'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l armor -d 'Write PEM instead of binary'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l again -d 'Unpack cargo that was received before, too'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l json -d 'Print a line of facts in JSON for each message'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -l any-sender -d 'Open messages from any sender'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand unpack-cargo" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand verify" -l status-fd -d 'Write a line of JSON for each message to this file descriptor' -r -f
complete -c relay -n "__fish_relay_using_subcommand verify" -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay -n "__fish_relay_using_subcommand verify" -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay -n "__fish_relay_using_subcommand verify" -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay -n "__fish_relay_using_subcommand verify" -l trust -d 'Trust these certificates or public keys, and nothing else' -r -F
complete -c relay -n "__fish_relay_using_subcommand verify" -l chain -d 'Certificates that may be needed to find a path' -r -F
complete -c relay -n "__fish_relay_using_subcommand verify" -l recipient -d 'The node id that messages must be for' -r -f -a '(_relay_complete node-id)'
complete -c relay -n "__fish_relay_using_subcommand verify" -l identity-key -d 'Our private identity key (PKCS#8, PEM or DER)' -r -F
complete -c relay -n "__fish_relay_using_subcommand verify" -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay -n "__fish_relay_using_subcommand verify" -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay -n "__fish_relay_using_subcommand verify" -l allow-empty -d 'Accept an empty input'
complete -c relay -n "__fish_relay_using_subcommand verify" -l json -d 'Print a line of JSON for each object'
complete -c relay -n "__fish_relay_using_subcommand verify" -s q -l quiet -d 'Report errors only'
complete -c relay -n "__fish_relay_using_subcommand verify" -s v -l verbose -d 'Report every change of state'
complete -c relay -n "__fish_relay_using_subcommand verify" -s h -l help -d 'Print help'
complete -c relay -n "__fish_relay_using_subcommand verify" -s V -l version -d 'Print version'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "ack" -d 'Acknowledge stored parcels: parcels to parcel collection acknowledgements'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "authorize" -d 'Let a peer send to this node: print connection parameters with an authorization for it'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "carry" -d 'Carry cargo and requests for it from one medium to another; needs no node and no keys'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "check" -d 'Check a node directory, and print a line for each thing that is not as it should be'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "deliver" -d 'Hand what arrived for this node to a directory, a Maildir or a command'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "enroll" -d 'Register this node with a gateway over a network: registration to standard output'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "export" -d 'Print what others need to reach this node: its public key, or its connection parameters'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "ferry" -d 'Take cargo to gateways and couriers, and fetch cargo from them, over a network'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "import" -d 'Accept a registration, authorization, connection parameters, rotation, PDD or successor, and pin it'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "inspect" -d 'Show any object of this network as text or JSON'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "join" -d 'Join parts, in any order, to the content that they were cut from'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "keygen" -d 'Make a node directory: identity key, self-issued certificate, first session key'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "list" -d 'List what waits in the spool, or tell what became of one message'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "online" -d 'Exchange parcels with this node\'s gateways over a network'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "open" -d 'Verify parcels, decrypt them and write out their service messages'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "pack-cargo" -d 'Pack messages into as few cargoes as possible, sealed and signed for a gateway'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "peers" -d 'List peers and what was authorized in either direction'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "post" -d 'Deliver parcels to the servers of nodes on the Internet'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "purge" -d 'Remove what time has made useless from a node and its spool'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "put" -d 'Store messages in the spool, where relay-route takes them from; print a line for each'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "register" -d 'Certify a private node as its gateway: public key to registration'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "request-cargo" -d 'Make a cargo collection authorization: let couriers collect our cargo from a gateway'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "revoke" -d 'Withdraw authorizations to send to this node'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "rotate" -d 'Renew certificates, authorizations and keys that are past the middle of their life'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "route" -d 'Decide where each message in the spool goes next, and move it there'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "seal" -d 'Seal content for a peer: service message to parcel'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "send" -d 'Send files and directories to peers: seal them, and store them in the spool'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "serve" -d 'Serve other nodes: take parcels, register nodes, and give them theirs'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "split" -d 'Cut content too large for one parcel into parts'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "status" -d 'Show what waits, what failed, when media came and what ends, for people or for a monitoring system'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "sync" -d 'Exchange messages with a medium: take what is for this node, give what it is to carry'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "unpack-cargo" -d 'Verify cargo, decrypt it and write out the messages in it, each verified on its own'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "verify" -d 'Check messages and certificates as a courier or gateway must, without opening them'
complete -c relay -n "__fish_relay_using_subcommand help; and not __fish_seen_subcommand_from ack authorize carry check deliver enroll export ferry import inspect join keygen list online open pack-cargo peers post purge put register request-cargo revoke rotate route seal send serve split status sync unpack-cargo verify help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c relay -n '__fish_relay_using_subcommand ack' -F
complete -c relay -n '__fish_relay_using_subcommand authorize' -F -a '(_relay_complete file-or-peer)'
complete -c relay -n '__fish_relay_using_subcommand carry' -f -a '(_relay_complete dir)'
complete -c relay -n '__fish_relay_using_subcommand check' -f
complete -c relay -n '__fish_relay_using_subcommand deliver' -f
complete -c relay -n '__fish_relay_using_subcommand deliver; and contains -- -- (commandline -opc)' -F -a '(_relay_complete command)'
complete -c relay -n '__fish_relay_using_subcommand enroll' -f
complete -c relay -n '__fish_relay_using_subcommand export' -f
complete -c relay -n '__fish_relay_using_subcommand ferry' -f -a '(_relay_complete dir)'
complete -c relay -n '__fish_relay_using_subcommand ferry' -f
complete -c relay -n '__fish_relay_using_subcommand import' -F
complete -c relay -n '__fish_relay_using_subcommand inspect' -F
complete -c relay -n '__fish_relay_using_subcommand join' -F
complete -c relay -n '__fish_relay_using_subcommand keygen' -f -a '(_relay_complete dir)'
complete -c relay -n '__fish_relay_using_subcommand list' -f -a '(_relay_complete queue in failed home out control acks cca)'
complete -c relay -n '__fish_relay_using_subcommand online' -f -a '(_relay_complete peer)'
complete -c relay -n '__fish_relay_using_subcommand open' -F
complete -c relay -n '__fish_relay_using_subcommand pack-cargo' -F
complete -c relay -n '__fish_relay_using_subcommand peers' -f -a '(_relay_complete peer)'
complete -c relay -n '__fish_relay_using_subcommand post' -F
complete -c relay -n '__fish_relay_using_subcommand purge' -f
complete -c relay -n '__fish_relay_using_subcommand put' -F
complete -c relay -n '__fish_relay_using_subcommand register' -F -a '(_relay_complete file-or-peer)'
complete -c relay -n '__fish_relay_using_subcommand request-cargo' -f
complete -c relay -n '__fish_relay_using_subcommand revoke' -f -a '(_relay_complete peer)'
complete -c relay -n '__fish_relay_using_subcommand rotate' -f
complete -c relay -n '__fish_relay_using_subcommand route' -f
complete -c relay -n '__fish_relay_using_subcommand seal' -F
complete -c relay -n '__fish_relay_using_subcommand send' -F
complete -c relay -n '__fish_relay_using_subcommand serve' -f
complete -c relay -n '__fish_relay_using_subcommand split' -F
complete -c relay -n '__fish_relay_using_subcommand status' -f
complete -c relay -n '__fish_relay_using_subcommand sync' -f -a '(_relay_complete dir)'
complete -c relay -n '__fish_relay_using_subcommand unpack-cargo' -F
complete -c relay -n '__fish_relay_using_subcommand verify' -F
