#!/bin/sh
# three-sites.sh [FILE]: two sites and a hub that exchange messages by sticks, with nobody watching.
#
# Anna is behind the gateway "field", Bert behind "village", and both gateways are registered with an
# Internet gateway, "hub". Ten messages go each way, and FILE (default: 100 MB of random octets) in
# parts. Each command of cron is shown before it runs. Two sticks travel; the first is lost on its way.
# In the end everything has arrived once and is acknowledged. The programs are built first, unless
# RELAY_BIN names a directory that has them.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='anna bert field village hub courier'
if [ $# -eq 0 ]; then
    file_is_made=yes
    set -- "$0"
fi
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"

# Anna and Bert live in the directories of their gateways.
node_of() {
    case $1 in
    anna) echo "$work/field/.relay/endpoints/anna" ;;
    bert) echo "$work/village/.relay/endpoints/bert" ;;
    esac
}

# visit SITE STICK: what cron does at a site while a stick is there.
visit() {
    run "$1" "relay-sync --if-present ../$2 && relay-route"
    case $1 in
    field) run anna 'relay-deliver -q --dir inbox' ;;
    village) run bert 'relay-deliver -q --keep-name --dir inbox' ;;
    esac
}

if [ -n "${file_is_made:-}" ]; then
    head -c 100000000 /dev/urandom > "$work/anna/big.bin"
    file=$work/anna/big.bin NAME=big.bin
else
    cp "$file" "$work/anna/big.bin"
    NAME=big.bin
fi
mkdir "$work/red" "$work/blue" "$work/anna/inbox" "$work/bert/inbox"

echo
echo "Once: the hub registers the gateways, and each has an endpoint."
run hub 'relay-keygen -q --type gateway --address hub.example.org'
for gateway in field village; do
    run $gateway 'relay-keygen -q --type gateway'
    run $gateway "relay-export | relay-register -q -N ../hub/.relay --name $gateway > registration"
    run $gateway 'relay-import -q --name hub registration'
done
run field 'relay-keygen -q --endpoint anna'
run village 'relay-keygen -q --endpoint bert'

echo
echo "Once: Anna and Bert let each other send."
run anna 'relay-export -o ../stick/anna.pub'
run bert 'relay-authorize -q --name anna -o ../stick/bert.conn ../stick/anna.pub'
run anna 'relay-import -q --name bert ../stick/bert.conn'
run bert 'relay-export -o ../stick/bert.pub'
run anna 'relay-authorize -q --name bert -o ../stick/anna.conn ../stick/bert.pub'
run bert 'relay-import -q --name anna ../stick/anna.conn'

echo
echo "Once: two sticks are made media."
run field 'relay-sync -q --init ../red'
run field 'relay-sync -q --init ../blue'

echo
echo "Both write: ten messages each way, and a large file in parts."
for number in 1 2 3 4 5 6 7 8 9 10; do
    echo "from anna, number $number" > "$work/anna/$number"
    echo "from bert, number $number" > "$work/bert/$number"
done
run anna 'for n in 1 2 3 4 5 6 7 8 9 10; do relay-seal -t bert --name=$n $n | relay-put >> sent; done'
run bert 'for n in 1 2 3 4 5 6 7 8 9 10; do relay-seal -t anna --name=$n $n | relay-put >> sent; done'
run anna 'relay-split --keep-name big.bin | relay-seal --parts -t bert | relay-put >> sent'
run field 'relay-route'
run village 'relay-route'

echo
echo "The red stick visits the field, and is lost."
visit field red
run courier 'rm -r ../red/*'

echo
echo "The blue stick goes round: field, village, hub, and again."
for trip in 1 2 3; do
    echo
    echo "Trip $trip"
    for site in field village hub village field hub; do
        visit $site blue
    done
done

echo
echo "Everything has arrived once, and is acknowledged."
for number in 1 2 3 4 5 6 7 8 9 10; do
    same "$work/anna/$number" "$work/bert/inbox/anna/$number"
done
[ "$(find "$work/bert/inbox" -type f | wc -l)" -eq 11 ] || die "not eleven files for Bert"
[ "$(find "$work/anna/inbox" -type f | wc -l)" -eq 10 ] || die "not ten files for Anna"
cat "$work/anna/inbox/bert"/* | sort > "$work/anna/received"
cat "$work/bert"/[0-9]* | sort | cmp - "$work/anna/received" || die "not what Bert wrote"
same "$work/anna/big.bin" "$work/bert/inbox/anna/$NAME"
for person in anna bert; do
    run $person 'cut -f 3 sent | while read -r id; do relay-list --id "$id" || exit; done > told; cut -f 1 told | sort | uniq -c'
done
echo "Only requests for cargo (CCAs) wait, which the next visit answers."
for gateway in field village hub; do
    run $gateway 'test -z "$(relay-list | grep -v "^cca/")"'
done

echo
count=$(cat "$work/anna/sent" "$work/bert/sent" | wc -l)
echo "All is well: $count parcels were sent, one stick was lost, and all of them arrived and are acknowledged."
