# The helper is beside this file.
functions -q _relay_complete; or source (status dirname)/relay_complete.fish

complete -c relay-revoke -s N -l node -d 'The node directory [default: `$RELAY_NODE`, else ~/.relay]' -r -f -a '(_relay_complete dir)'
complete -c relay-revoke -l passphrase-file -d 'Open encrypted keys with the passphrase in FILE' -r -F
complete -c relay-revoke -l passphrase-fd -d 'Open encrypted keys with the passphrase that descriptor N gives' -r -f
complete -c relay-revoke -l issuer -d 'Gateway: revoke what this endpoint, which is registered here, gave; only with serial numbers or --all' -r -f -a '(_relay_complete peer)'
complete -c relay-revoke -l valid -d 'How long it is revoked [default: as long as it lasts]' -r -f
complete -c relay-revoke -s o -l output -d 'Write to FILE, which appears only when it is complete' -r -F
complete -c relay-revoke -l now -d 'Use TIME (RFC 3339) instead of the system clock' -r -f
complete -c relay-revoke -s n -l dry-run -d 'Print what would be revoked, and change nothing'
complete -c relay-revoke -l json -d 'Print a line of JSON for each authorization'
complete -c relay-revoke -l all -d 'Revoke all authorizations of this node, and give no more'
complete -c relay-revoke -s f -l force -d 'Replace FILE if it exists'
complete -c relay-revoke -l der -d 'Write DER instead of PEM'
complete -c relay-revoke -s q -l quiet -d 'Report errors only'
complete -c relay-revoke -s v -l verbose -d 'Report every change of state'
complete -c relay-revoke -s h -l help -d 'Print help'
complete -c relay-revoke -s V -l version -d 'Print version'
complete -c relay-revoke -f -a '(_relay_complete peer)'
