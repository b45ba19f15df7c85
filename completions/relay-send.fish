# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-send -l cipher -d 'How the content is encrypted; only aes-128-cbc is opened by every deployed node' -r -f -a "aes-128-cbc\t''
aes-192-cbc\t''
aes-256-cbc\t''
aes-128-gcm\t''
aes-192-gcm\t''
aes-256-gcm\t''"
complete -c relay-send -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-send -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-send -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-send -s t -l to -d 'Send to this peer: its name, its id, or the beginning of its id; @NAME for an alias' -r -f -a '(_relay_complete recipient)'
complete -c relay-send -s y -l type -d 'The media type of files [default: application/octet-stream]' -r -f -a '(_relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4)'
complete -c relay-send -l name -d 'Send NAME along as the name of the only FILE' -r -f
complete -c relay-send -l id -d 'The id of the only FILE\'s message [default: a random UUID]' -r -f
complete -c relay-send -l drop -d 'Send what waits in DIR, each file once' -r -f -a '(_relay_complete dir)'
complete -c relay-send -l sent -d 'Move what was sent from the drop folder into DIR, instead of removing it' -r -f -a '(_relay_complete dir)'
complete -c relay-send -l settle -d 'Leave files in the drop folder that changed in the last DURATION [default: 60s]' -r -f
complete -c relay-send -l ttl -d 'Let the parcel expire after DURATION [default: 30d]' -r -f
complete -c relay-send -l priority -d 'How urgent they are; 9 goes first' -r -f -a '(_relay_complete words 0 1 2 3 4 5 6 7 8 9)'
complete -c relay-send -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-send -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-send -l no-name -d 'Send no names along'
complete -c relay-send -l authorize -d 'Let the peers answer: send each our authorization, too'
complete -c relay-send -l json -d 'Print a line of facts in JSON for each file and recipient'
complete -c relay-send -s q -l quiet -d 'Report errors only'
complete -c relay-send -s v -l verbose -d 'Report every change of state'
complete -c relay-send -s h -l help -d 'Print help'
complete -c relay-send -s V -l version -d 'Print version'
complete -c relay-send -F
