#!/bin/sh
# first-parcel.sh [FILE]: the first parcel from Bob to Alice, and her answer.
#
# Makes two nodes in a temporary directory, with another directory instead of a stick, sends FILE
# (default: this script) and an answer, and shows what is refused. Each command is shown before it
# runs. The programs are built first, unless RELAY_BIN names a directory that has them.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='alice bob'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"

mkdir "$work/alice/inbox" "$work/bob/inbox"
cp "$file" "$work/bob/report"

echo
echo "Each makes a node, once."
run alice 'relay-keygen'
run bob 'relay-keygen'

echo
echo "First trip: Bob's public key goes to Alice."
run bob 'relay-export -o ../stick/bob.pub'

echo
echo "Second trip: Alice lets Bob send to her."
run alice 'relay-authorize --name bob -o ../stick/alice.conn ../stick/bob.pub'
run bob 'relay-import --name alice ../stick/alice.conn'
echo "(Over the telephone Bob reads out his fingerprint, below, and Alice compares it with what came on the"
echo "first trip. Then both compare the digits of the authorization as a whole, which came on the second.)"
run bob 'relay-inspect .relay/identity.pub'

echo
echo "Third trip: the parcel."
run bob 'relay-seal -t alice --name="$NAME" -o ../stick/report.parcel report'
run alice 'relay-open -d inbox --keep-name ../stick/report.parcel'
run alice 'ls inbox'
for received in "$work"/alice/inbox/*; do
    same "$file" "$received"
done

echo
echo "The answer: Bob lets Alice send to him, and she does."
run bob 'relay-authorize -o ../stick/bob.conn alice'
run alice 'relay-import ../stick/bob.conn'
echo "Received, thank you." > "$work/alice/answer.txt"
run alice 'relay-seal -t bob -y text/plain -o ../stick/answer.parcel answer.txt'
run bob 'relay-open -o inbox/answer.txt ../stick/answer.parcel'
same "$work/alice/answer.txt" "$work/bob/inbox/answer.txt"
run bob 'cat inbox/answer.txt'

echo
echo "A parcel that was changed on its way is refused, and nothing is written."
run bob 'relay-seal -t alice -o ../stick/good.parcel report'
tamper "$work/stick/good.parcel" > "$work/stick/bad.parcel"
refused 65 alice 'relay-open -o inbox/bad ../stick/bad.parcel'
[ ! -e "$work/alice/inbox/bad" ] || die "something was written"

echo
echo "A parcel that was opened before is refused."
refused 82 alice 'relay-open -o inbox/twice ../stick/report.parcel'
[ ! -e "$work/alice/inbox/twice" ] || die "something was written"

echo
echo "All is well: $NAME went from Bob to Alice unchanged, and her answer came back."
