#!/bin/sh
# peering.sh [FILE]: a file from Anna to Bert through two gateways that peer, with no Internet gateway
# anywhere.
#
# Anna is behind the gateway "island", Bert behind the gateway "harbour"; the two gateways authorize
# each other. FILE (default: this script; up to 8 MB) travels in cargo on a directory that stands for
# a boat, and is acknowledged with the boat back. Each command is shown before it runs. The programs
# are built first, unless RELAY_BIN names a directory that has them.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='anna bert island harbour'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"

# Anna and Bert live in the directories of their gateways.
node_of() {
    case $1 in
    anna) echo "$work/island/.relay/endpoints/anna" ;;
    bert) echo "$work/harbour/.relay/endpoints/bert" ;;
    esac
}

mkdir "$work/harbour/in" "$work/bert/inbox"
cp "$file" "$work/anna/report"

echo
echo "Once: each gateway lets the other send cargo to it, and makes an endpoint."
for gateway in island harbour; do
    run $gateway 'relay-keygen --type gateway'
    run $gateway "relay-export -o ../stick/$gateway.pub"
done
run island 'relay-authorize --name harbour -o ../stick/island.conn ../stick/harbour.pub'
run harbour 'relay-authorize --name island -o ../stick/harbour.conn ../stick/island.pub'
run island 'relay-import ../stick/harbour.conn'
run harbour 'relay-import ../stick/island.conn'
run island 'relay-keygen --endpoint anna'
run harbour 'relay-keygen --endpoint bert'

echo
echo "Once: Bert lets Anna send to him."
run anna 'relay-export -o ../stick/anna.pub'
run bert 'relay-authorize --name anna -o ../stick/bert.conn ../stick/anna.pub'
run anna 'relay-import --name bert ../stick/bert.conn'

echo
echo "The boat goes out: a parcel, packed for the harbour."
run anna 'relay-seal -t bert --name="$NAME" -o ../island/1.parcel report'
run island 'relay-pack-cargo -t harbour -o ../stick/1.cargo 1.parcel'
run harbour 'relay-unpack-cargo -d in ../stick/1.cargo'
run bert 'relay-open -d inbox --keep-name ../harbour/in/*.parcel'
run bert 'ls inbox'
for received in "$work"/bert/inbox/*; do
    same "$file" "$received"
done

echo
echo "The boat comes back: the harbour acknowledges, and the island forgets the parcel."
run harbour 'relay-ack in/*.parcel | relay-pack-cargo -t island -o ../stick/2.cargo'
run island 'relay-unpack-cargo -o acks ../stick/2.cargo'
run island 'test "$(relay-inspect --message-id acks)" = "$(relay-inspect --message-id 1.parcel)" && rm 1.parcel'

echo
echo "What is refused: cargo for another gateway, cargo that was unpacked, cargo that was changed."
refused 67 island 'relay-unpack-cargo -o again ../stick/1.cargo'
refused 82 harbour 'relay-unpack-cargo -o again ../stick/1.cargo'
tamper "$work/stick/2.cargo" > "$work/stick/bad.cargo"
refused 65 island 'relay-unpack-cargo -o again ../stick/bad.cargo'
if [ -e "$work/island/again" ] || [ -e "$work/harbour/again" ]; then
    die "something was written"
fi

echo
echo "All is well: $NAME went from Anna to Bert unchanged, and the island knows it."
