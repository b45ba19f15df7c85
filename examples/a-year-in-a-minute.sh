#!/bin/sh
# a-year-in-a-minute.sh [YEARS]: two gateways and three endpoints that run for YEARS (default: 2) by the lines of
# their crontabs alone.
#
# Anna and Ada are behind the gateway "field", which the Internet gateway "hub" has registered, and Bert is at the hub
# itself. Each writes to another once a week, and a stick goes from the field to the hub and back. Certificates and
# authorizations last for 180 days at most: all of them are renewed, several times, with nobody watching. Once, the
# computer of the field is lost and its backup restored; once, Bert sends Ada more than she lets him; Anna withdraws what
# she let Ada do; and Ada, whose key has to change, gets another node, by one command of hers and one of Bert's. In the end
# every mail has arrived, once. The time of the nodes is made up (clock = test). The programs are built first, unless RELAY_BIN names a
# directory that has them.
set -eu
years=2
case ${1:-} in
[1-9])
    years=$1
    shift
    ;;
esac
people='anna ada bert field hub'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"

day=86400
began=$(date +%s)
now=$began

# A time in seconds, as the programs take it.
rfc3339() {
    date -u -d "@$1" +%FT%TZ 2> /dev/null || date -u -r "$1" +%FT%TZ
}

# later SECONDS: time passes.
later() {
    now=$((now + $1))
    RELAY_NOW=$(rfc3339 "$now")
    export RELAY_NOW
}

# gateway_of PERSON: where their endpoint is.
gateway_of() {
    case $1 in
    bert) echo hub ;;
    *) echo field ;;
    esac
}

# quietly COMMAND...: a line of a crontab, which says nothing when all is well. With -q the programs do not repeat that the
# time is made up. A mail to root would be the end of this story.
quietly() {
    "$@" > "$work/said" 2>&1 || die "$RELAY_NOW: $*: status $?: $(cat "$work/said")"
    [ ! -s "$work/said" ] || die "$RELAY_NOW: $*: $(cat "$work/said")"
}

# at PERSON PROGRAM ARGUMENT...: a program of an endpoint.
at() {
    person=$1 program=$2
    shift 2
    quietly "$program" -q -N "$work/$(gateway_of "$person")/.relay/endpoints/$person" "$@"
}

# visit GATEWAY PERSON...: what cron does while the stick is there.
visit() {
    gateway=$1
    shift
    quietly relay-sync -q -N "$work/$gateway/.relay" --take "$work/stick"
    if [ -n "$flood" ]; then
        relay-route -N "$work/$gateway/.relay" >> "$work/flood" 2>&1
    else
        quietly relay-route -q -N "$work/$gateway/.relay"
    fi
    quietly relay-sync -q -N "$work/$gateway/.relay" "$work/stick"
    for recipient; do
        at "$recipient" relay-deliver --keep-name --dir "$work/${recipient%2}/inbox"
    done
}

# weekly GATEWAY: what cron does there once a day or once a week; relay-route runs every few minutes.
weekly() {
    quietly relay-rotate -q -N "$work/$1/.relay"
    quietly relay-route -q -N "$work/$1/.relay"
    quietly relay-purge -q -N "$work/$1/.relay"
    # What only informs is no problem. How long messages wait it tells by the dates of files, which no clock here made up.
    relay-check -q -N "$work/$1/.relay" > "$work/said" 2>&1 || true
    if grep -v -e '^information' -e 'messages* [a-z ]* since' -e 'no request for cargo to answer' -e 'set aside' "$work/said"; then
        die "$RELAY_NOW: relay-check at the $1 found that"
    fi
}

# introduce PERSON PERSON [OPTION...]: the first lets the second send.
introduce() {
    from=$work/$(gateway_of "$1")/.relay/endpoints/$1
    to=$work/$(gateway_of "$2")/.relay/endpoints/$2
    giver=$1 name=$2
    shift 2
    relay-authorize -q -N "$from" --name "$name" "$@" -o "$work/conn" "$to/identity.pub"
    relay-import -q -N "$to" --name "$giver" "$work/conn" > /dev/null
    rm "$work/conn"
}

# write NUMBER FROM TO: the mail of a week.
write() {
    echo "from $2 to $3, number $1" > "$work/$2/$2-$3-$1"
    person=$2
    relay-send -q -N "$work/$(gateway_of "$2")/.relay/endpoints/$2" -t "$3" "$work/$2/$2-$3-$1" > /dev/null
    written=$((written + 1))
}

# advertise: on one day Bert sends Ada ten letters, of which she takes as many as her rate allows.
advertise() {
    later $((2 * day))
    echo "$RELAY_NOW: Bert sends Ada ten letters on one day"
    for number in 1 2 3 4 5 6 7 8 9 10; do
        echo "buy now, $number" > "$work/bert/advertisement-$number"
        relay-send -q -N "$work/hub/.relay/endpoints/bert" -t ada "$work/bert/advertisement-$number" > /dev/null
    done
    flood=yes
    visit hub bert
    # shellcheck disable=SC2086 # several words
    visit field $readers
    flood=
    came=$(find "$work/ada/inbox" -name 'advertisement-*' | wc -l)
    aside=$(grep -c 'set aside in failed: over the rate' "$work/flood")
    echo "$RELAY_NOW: $((came)) of them came, and $aside were set aside"
    if [ "$came" -ne 4 ] || [ "$aside" -ne 6 ]; then
        die "4 and 6 were expected: $(cat "$work/flood")"
    fi
    rm "$work/ada/inbox/bert/advertisement-"*
}

# withdraw: Anna lets Ada send no more, and neither expects anything of the other.
withdraw() {
    echo "$RELAY_NOW: Anna withdraws what she let Ada do"
    relay-revoke -q -N "$work/field/.relay/endpoints/anna" ada
    quietly relay-route -q -N "$work/field/.relay"
    status=0
    echo "one more" > "$work/ada/refused"
    relay-send -q -N "$work/field/.relay/endpoints/ada" -t anna "$work/ada/refused" > /dev/null 2> "$work/said" || status=$?
    [ "$status" -eq 77 ] || die "status $status where 77 was expected: $(cat "$work/said")"
    cat "$work/said"
    relay-peers -q -N "$work/field/.relay/endpoints/anna" ada --expect-none > /dev/null
    relay-peers -q -N "$work/field/.relay/endpoints/ada" anna --expect-none > /dev/null
}

# succeed: Ada's key has to change. A new node takes the place of hers, which still opens what is under way.
succeed() {
    echo "$RELAY_NOW: a new node takes the place of Ada's"
    endpoints=$work/field/.relay/endpoints
    relay-keygen -q -N "$work/field/.relay" --successor "$endpoints/ada" --endpoint ada2 > /dev/null
    readers='anna ada ada2'
}

# accept: Bert has heard the digits of the new node from Ada, over the telephone.
accept() {
    heard=$(relay-inspect "$work/field/.relay/endpoints/ada2/identity.pub" | sed -n 's/^ *fingerprint: //p')
    echo "$RELAY_NOW: Bert takes the node that has the digits $heard"
    relay-import -q -N "$work/hub/.relay/endpoints/bert" --successor ada --expect "$heard" > /dev/null
}

# measure: the files with keys, and the octets, of both nodes.
measure() {
    keys=$(find "$work/field/.relay" "$work/hub/.relay" -name '*.key' | wc -l)
    certificates=$(find "$work/field/.relay" "$work/hub/.relay" -name '*.pem' | wc -l)
    octets=$(find "$work/field/.relay" "$work/hub/.relay" -type f -exec cat {} + | wc -c)
    echo "$1: $((keys)) private keys, $((certificates)) certificates and public keys, $((octets)) octets in all files"
}

# lose_and_restore: the field's computer is lost, and replaced by one with the backup of the night before.
lose_and_restore() {
    echo "$RELAY_NOW: the computer of the field is lost, and its backup restored"
    relay-check -q -N "$work/field/.relay" --backup "$work/backup"
    rm -r "$work/field/.relay"
    cp -R -p "$work/backup" "$work/field/.relay"
    relay-check -q -N "$work/field/.relay" --restored > /dev/null || true
    rm -r "$work/backup"
}

echo "Once: two gateways, three endpoints, and who may send to whom."
later 0
relay-keygen -q --set clock=test --type gateway --address hub.example.org "$work/hub/.relay"
relay-keygen -q --set clock=test --type gateway "$work/field/.relay"
relay-register -q -N "$work/hub/.relay" --name field -o "$work/pnr" "$work/field/.relay/identity.pub"
relay-import -q -N "$work/field/.relay" --name hub "$work/pnr" > /dev/null
for person in anna ada bert; do
    mkdir "$work/$person/inbox"
    relay-keygen -q -N "$work/$(gateway_of "$person")/.relay" --set clock=test --endpoint "$person" > /dev/null
done
for pair in 'anna bert' 'bert ada' 'ada anna'; do
    # shellcheck disable=SC2086 # two words
    set -- $pair
    introduce "$1" "$2" --rate 4/1d
    introduce "$2" "$1" --rate 4/1d
done
relay-sync -q -N "$work/hub/.relay" --init "$work/stick"
flood=
readers='anna ada'
visit field
visit hub
measure "At the beginning"

echo "Then, for $((years * 52)) weeks, only cron."
written=0 week=0
while [ "$week" -lt $((years * 52)) ]; do
    later $((7 * day))
    week=$((week + 1))
    weekly field
    weekly hub
    write $week anna bert
    write $week bert ada
    [ "$week" -gt 35 ] || write $week ada anna
    # shellcheck disable=SC2086 # several words
    visit field $readers
    later 3600
    visit hub bert
    later 3600
    # shellcheck disable=SC2086 # several words
    visit field $readers
    case $week in
    30) advertise ;;
    35) withdraw ;;
    40) lose_and_restore ;;
    45) succeed ;;
    46) accept ;;
    26 | 52 | 78) measure "After $week weeks" ;;
    esac
done

echo "The last answers come home."
for _ in 1 2; do
    later $((2 * day))
    # shellcheck disable=SC2086 # several words
    visit field $readers
    visit hub bert
done
measure "At the end"
found=0
for pair in 'anna bert' 'bert ada' 'ada anna'; do
    # shellcheck disable=SC2086 # two words
    set -- $pair
    number=0 last=$week
    [ "$*" != 'ada anna' ] || last=35
    while [ "$number" -lt "$last" ]; do
        number=$((number + 1))
        same "$work/$1/$1-$2-$number" "$work/$2/inbox/$1/$1-$2-$number"
    done
    found=$((found + $(find "$work/$2/inbox" -type f | wc -l)))
done
[ "$found" -eq "$written" ] || die "$found files for $written mails: one came twice"
renewed=$(find "$work/field/.relay/certs" -name '*.pem' | wc -l)
[ "$renewed" -gt 2 ] || die "nothing was renewed"
echo "All is well: $written mails in $week weeks, all of them arrived, and each once."
