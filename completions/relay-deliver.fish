# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-deliver -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-deliver -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-deliver -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-deliver -s y -l type -d 'Deliver only content of this media type; a * at the end stands for anything [default: all]' -r -f -a '(_relay_complete words application/gzip application/json application/octet-stream application/pdf application/x-tar application/zip audio/mpeg audio/ogg image/jpeg image/png image/svg+xml message/rfc822 text/calendar text/csv text/html text/markdown text/plain text/vcard video/mp4)'
complete -c relay-deliver -l dir -d 'Write each content into DIR, in a folder for its sender' -r -f -a '(_relay_complete dir)'
complete -c relay-deliver -l maildir -d 'Write each content into this Maildir, as a mail' -r -f -a '(_relay_complete dir)'
complete -c relay-deliver -l timeout -d 'Give a command DURATION for each message; 0 for ever [default: 10m, and 1m for each 16 MiB]' -r -f
complete -c relay-deliver -l wait -d 'Wait up to DURATION for another run [default: fail at once]' -r -f
complete -c relay-deliver -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-deliver -l clock-drift -d 'Allow clocks to differ by up to DURATION [default: 2h]' -r -f
complete -c relay-deliver -l keep-name -d 'In DIR, use the names that senders gave'
complete -c relay-deliver -l extract -d 'In DIR, give back directories that were sent as one content'
complete -c relay-deliver -l no-join -d 'Deliver parts of larger content as they are, instead of putting them together'
complete -c relay-deliver -l join
complete -c relay-deliver -s n -l dry-run -d 'Print what would be done, without doing it'
complete -c relay-deliver -l json -d 'Print a line of facts in JSON for each content'
complete -c relay-deliver -s q -l quiet -d 'Report errors only'
complete -c relay-deliver -s v -l verbose -d 'Report every change of state'
complete -c relay-deliver -s h -l help -d 'Print help'
complete -c relay-deliver -s V -l version -d 'Print version'
complete -c relay-deliver -f
complete -c relay-deliver -n 'contains -- -- (commandline -opc)' -F -a '(_relay_complete command)'
