#!/bin/sh
# courier.sh [FILE]: a file from Anna to Bert, by couriers, with no connection anywhere.
#
# Anna is behind the gateway "field", Bert behind the gateway "village", and both gateways are
# registered with an Internet gateway, "hub". FILE (default: this script; up to 8 MB) travels in
# cargo on a directory that stands for a stick, and is acknowledged on the way back. Each
# command is shown before it runs. The programs are built first, unless RELAY_BIN names a directory
# that has them.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='anna bert field village hub courier'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"

# Anna and Bert live in the directories of their gateways.
node_of() {
    case $1 in
    anna) echo "$work/field/.relay/endpoints/anna" ;;
    bert) echo "$work/village/.relay/endpoints/bert" ;;
    esac
}

mkdir "$work/field/out" "$work/hub/queue" "$work/village/in" "$work/bert/inbox"
cp "$file" "$work/anna/report"

echo
echo "Once: the hub registers the gateways, and each makes an endpoint."
run hub 'relay-keygen --type gateway --address hub.example.org'
for gateway in field village; do
    run $gateway 'relay-keygen --type gateway'
    run $gateway "relay-export -o ../stick/$gateway.pub"
    run hub "relay-register --name $gateway -o ../stick/$gateway.pnr ../stick/$gateway.pub"
    run $gateway "relay-import --name hub ../stick/$gateway.pnr"
done
run field 'relay-keygen --endpoint anna'
run village 'relay-keygen --endpoint bert'

echo
echo "Once: Bert lets Anna send to him."
run anna 'relay-export -o ../stick/anna.pub'
run bert 'relay-authorize --name anna -o ../stick/bert.conn ../stick/anna.pub'
run anna 'relay-import --name bert ../stick/bert.conn'

echo
echo "The first trip: Anna's gateway packs her parcel for the hub. Both gateways ask for their own cargo."
run anna 'relay-seal -t bert --name="$NAME" -d ../field/out report'
run field 'relay-pack-cargo -t hub -o ../stick/field.cargo out'
run field 'relay-request-cargo -t hub -o ../stick/field.cca'
run village 'relay-request-cargo -t hub -o ../stick/village.cca'

echo
echo "The courier sees that it is worth carrying, but not what is inside."
run courier 'relay-verify ../stick/field.cargo ../stick/*.cca'

echo
echo "The hub unpacks, acknowledges to the field, and passes on to the village."
run hub 'relay-unpack-cargo -d queue ../stick/field.cargo'
run hub 'relay-ack queue/*.parcel | relay-pack-cargo --cca ../stick/field.cca -o ../stick/to-field.cargo'
run hub 'relay-pack-cargo --cca ../stick/village.cca -o ../stick/to-village.cargo queue'

echo
echo "The second trip: the village unpacks, and Bert opens."
run village 'relay-unpack-cargo -d in ../stick/to-village.cargo'
run bert 'relay-open -d inbox --keep-name ../village/in/*.parcel'
run bert 'ls inbox'
for received in "$work"/bert/inbox/*; do
    same "$file" "$received"
done

echo
echo "Each gateway keeps the parcel until the next one acknowledges it."
run field 'relay-unpack-cargo -o acks ../stick/to-field.cargo'
run field 'test "$(relay-inspect --message-id acks)" = "$(relay-inspect --message-id out/*.parcel)" && rm out/*.parcel'
run village 'relay-ack in/*.parcel | relay-pack-cargo -t hub -o ../stick/village.cargo'
run hub 'relay-unpack-cargo -o acks ../stick/village.cargo'
run hub 'test "$(relay-inspect --message-id acks)" = "$(relay-inspect --message-id queue/*.parcel)" && rm queue/*.parcel'

echo
echo "What is refused: a request that was answered, cargo that was unpacked, cargo that was changed."
refused 82 hub 'relay-ack acks ../village/in/*.parcel | relay-pack-cargo --cca ../stick/village.cca -o again'
refused 82 village 'relay-unpack-cargo -o again ../stick/to-village.cargo'
tamper "$work/stick/to-village.cargo" > "$work/stick/bad.cargo"
refused 65 village 'relay-unpack-cargo -o again ../stick/bad.cargo'
if [ -e "$work/hub/again" ] || [ -e "$work/village/again" ]; then
    die "something was written"
fi

echo
echo "All is well: $NAME went from Anna to Bert unchanged, and both gateways know it."
