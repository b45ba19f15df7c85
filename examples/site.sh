#!/bin/sh
# site.sh [FILE]: what relay-site(7) describes, at two sites in a temporary directory.
#
# The sites "field" and "harbour" each have a gateway with the endpoint "station", and the gateways peer. A stick
# goes back and forth and FILE (default: this script) with it; cron's part is played by the lines of cron.d-field.
# Then a stick is lost, a disk is replaced, a spool is full, and a computer is stolen. Each command is shown before it
# runs, and what it must print is checked. Paths are those of the page, inside of the directory of each site. The
# programs are built first, unless RELAY_BIN names a directory that has them.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='field harbour'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"

node_of() {
    echo "$work/$1/var/lib/relay"
}

# says PATTERN SITE COMMAND: the command must succeed, and a line that it prints must match.
says() {
    pattern=$1
    shift
    as "$@" > "$work/said"
    cat "$work/said"
    [ "$status" -eq 0 ] || die "that failed with status $status"
    sed 1d "$work/said" | grep -Eq -e "$pattern" || die "that did not print $pattern"
}

# silent SITE COMMAND: the command must succeed and print nothing.
silent() {
    as "$@" > "$work/said"
    cat "$work/said"
    [ "$status" -eq 0 ] || die "that failed with status $status"
    [ "$(wc -l < "$work/said")" -eq 1 ] || die "that should have printed nothing"
}

# The digits of the last authorization, as both sides see them.
digits() {
    sed -n 's/.* as a whole //p' "$work/said"
}

# compare DIGITS: what the two read to each other must be the same.
compare() {
    if [ -z "$1" ] || [ "$1" != "$(digits)" ]; then
        die "the digits differ"
    fi
}

# cron SITE MINUTE: runs the lines of the crontab that begin with this minute, with paths inside of the site, and without
# the minute that relay-send gives files in a drop folder to settle.
cron() {
    while read -r minute _ _ _ _ user command; do
        if [ "$minute" = "$2" ] && [ "$user" = relay ]; then
            command=$(echo "$command" | sed -e 's/--drop/--settle 0s --drop/' -e 's, /var/, var/,g' -e 's, /srv/, srv/,g' -e 's, /media/, media/,g')
            silent "$1" "$command" < /dev/null
        fi
    done < "$here/cron.d-field"
}

# carry FROM TO: takes the stick to another site. A mount point without a stick is an empty directory.
carry() {
    echo "(the stick goes from $1 to $2)"
    mv "$work/$1/media/relay" "$work/stick"
    mkdir "$work/$1/media/relay"
    rmdir "$work/$2/media/relay"
    mv "$work/stick" "$work/$2/media/relay"
}

# visit SITE: what cron does while the stick is there.
visit() {
    cron "$1" '*/2'
    cron "$1" '*/5'
}

rmdir "$work/stick"
umask 077
echo
echo "The programs are installed."
says '^relay-keygen [0-9]+\.[0-9]+\.[0-9]+' field 'relay-keygen --version'

echo
echo "User and directories (here without the user)."
for site in $people; do
    run "$site" 'install -d -m 700 var/lib/relay srv/relay srv/relay/inbox srv/relay/outbox srv/relay/sent media/relay'
done

echo
echo "The node: a gateway and its endpoint."
for site in $people; do
    says '^0[0-9a-f]{64}$' "$site" 'relay-keygen --type gateway'
    says '^0[0-9a-f]{64}$' "$site" 'relay-keygen --endpoint station'
    silent "$site" 'relay-check'
done

echo
echo "The stick."
silent field 'relay-sync --init media/relay'

echo
echo "The first trip: public keys."
silent field 'relay-export -o media/relay/field.pub'
silent field 'relay-export -N var/lib/relay/endpoints/station -o media/relay/field-station.pub'
says '^  fingerprint: ([0-9a-f]{4} ?){8}$' field 'relay-inspect var/lib/relay/identity.pub'

echo
echo "The second trip: harbour lets field send. Both read the digits to each other."
carry field harbour
says '^relay-authorize: field: fingerprint ' harbour 'relay-authorize --name field -o media/relay/harbour.conn media/relay/field.pub'
gateways=$(digits)
says '^relay-authorize: field: authorization as a whole ' harbour 'relay-authorize -N var/lib/relay/endpoints/station --name field -o media/relay/harbour-station.conn media/relay/field-station.pub'
endpoints=$(digits)
carry harbour field
says '^relay-import: harbour: authorization as a whole ' field 'relay-import --name harbour media/relay/harbour.conn'
compare "$gateways"
says '^relay-import: harbour: authorization as a whole ' field 'relay-import -N var/lib/relay/endpoints/station --name harbour media/relay/harbour-station.conn'
compare "$endpoints"
run field 'relay-peers --confirm harbour'
run field 'relay-peers -N var/lib/relay/endpoints/station --confirm harbour'

echo
echo "The third trip: field lets harbour send, and sends the first file, all in one."
says ' as a whole ' field 'relay-authorize -o media/relay/field.conn harbour'
gateways=$(digits)
says ' as a whole ' field 'relay-authorize -N var/lib/relay/endpoints/station -o media/relay/field-station.conn harbour'
endpoints=$(digits)
echo "All wells are dry." > "$work/field/wells.txt"
says '^0[0-9a-f]{64}	wells.txt	[-0-9T:Z]+	1	[-0-9a-f]{36}$' field 'relay-send -N var/lib/relay/endpoints/station -t harbour wells.txt'
id=$(sed -n '$s/.*	//p' "$work/said")
silent field 'relay-route'
says '^out/0[0-9a-f]{64}	parcel	' field 'relay-list'
silent field 'relay-sync media/relay'

carry field harbour
says ' as a whole ' harbour 'relay-import media/relay/field.conn'
compare "$gateways"
says ' as a whole ' harbour 'relay-import -N var/lib/relay/endpoints/station media/relay/field-station.conn'
compare "$endpoints"
run harbour 'relay-peers --confirm field'
run harbour 'relay-peers -N var/lib/relay/endpoints/station --confirm field'
silent harbour 'rm media/relay/*.pub media/relay/*.conn'
visit harbour
says '^All wells are dry\.$' harbour 'cat srv/relay/inbox/field/wells.txt'

echo
echo "The way back: the acknowledgement, and the first file from a drop folder."
silent harbour 'mkdir srv/relay/outbox/field'
cp "$file" "$work/harbour/srv/relay/outbox/field/$NAME"
visit harbour
[ -f "$work/harbour/srv/relay/sent/field/$NAME" ] || [ -f "$work/harbour/srv/relay/sent/$NAME" ] || die "$NAME was not sent"
carry harbour field
refused 75 field "relay-list --id $id"
visit field
same "$file" "$work/field/srv/relay/inbox/harbour/$NAME"
says '^acknowledged	' field "relay-list --id $id"

echo
echo "Aliases."
silent field 'echo "team: harbour" >> var/lib/relay/endpoints/station/aliases'
says '	wells.txt	' field 'relay-send -N var/lib/relay/endpoints/station -t @team wells.txt'

echo
echo "What cron does once a day and once a week. Nothing is wrong."
for site in $people; do
    cron "$site" 17
    cron "$site" 11
    cron "$site" 23
    cron "$site" 37
done

echo
echo "The stick is lost with what was on it. A new one gets all of it again."
visit field
silent field 'rm -r media/relay && mkdir media/relay'
visit field
silent field 'relay-sync --init media/relay'
visit field
carry field harbour
visit harbour
says '^All wells are dry\.$' harbour 'cat srv/relay/inbox/field/wells~2.txt'

echo
echo "Backup, and a new disk."
silent field 'mkdir -p mnt/backup'
silent field 'relay-check --wait 1h --backup mnt/backup/relay-1'
silent field 'rm -r var/lib/relay && mkdir -m 700 var/lib/relay'
silent field 'cp -a mnt/backup/relay-1/. var/lib/relay'
says 'relay: messages made before .* are refused from now on' field 'relay-check --restored'
says '	wells.txt	' field 'relay-send -N var/lib/relay/endpoints/station -t harbour wells.txt'
carry harbour field
visit field
carry field harbour
visit harbour
says '^All wells are dry\.$' harbour 'cat srv/relay/inbox/field/wells~3.txt'
carry harbour field
visit field
silent field 'relay-list'
silent field 'relay-check'

echo
echo "The spool is full: what is over the quota is not queued, and goes once there is room."
silent field 'echo "quota = 5K" >> var/lib/relay/config'
says '	wells.txt	' field 'relay-send -N var/lib/relay/endpoints/station -t harbour wells.txt'
refused 75 field 'relay-send -N var/lib/relay/endpoints/station -t harbour wells.txt'
silent field 'sed -i "s,^quota = .*,quota = 1G," var/lib/relay/config' # or an editor
says '	wells.txt	' field 'relay-send -N var/lib/relay/endpoints/station -t harbour wells.txt'

echo
echo "The authorization of field ends: harbour renews it."
carry field harbour
says ' as a whole ' harbour 'relay-authorize -o media/relay/harbour.conn field'
gateways=$(digits)
carry harbour field
says ' as a whole ' field 'relay-import media/relay/harbour.conn'
compare "$gateways"

echo
echo "The computer at field is stolen: harbour takes nothing from it any more."
says 'field	' harbour 'relay-revoke -N var/lib/relay/endpoints/station field'
run harbour 'relay-peers -N var/lib/relay/endpoints/station --forget field'
run harbour 'relay-peers --forget field'
visit field
carry field harbour
refused 77 harbour 'relay-sync media/relay'
refused 67 harbour 'relay-peers field'
silent harbour 'test ! -e srv/relay/inbox/field/wells~4.txt'

echo
echo "All is well: two sites were made, lost a stick, a disk and a computer, and no message that counts."
