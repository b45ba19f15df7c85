#!/bin/sh
# first-parcel.sh [FILE]: the first parcel from Bob to Alice, and her answer.
#
# Makes two nodes in a temporary directory, with another directory instead of a stick, sends FILE
# (default: this script) and an answer, and shows what is refused. Each command is shown before it
# runs. The programs are built first, unless RELAY_BIN names a directory that has them.
set -eu

die() {
    echo "first-parcel.sh: $*" >&2
    exit 1
}

# What follows the prompt when a person types it.
show() {
    line=
    for word do
        case $word in
        *[!A-Za-z0-9_./=-]* | '') word="'$word'" ;;
        esac
        line="$line $word"
    done
    echo "$who\$$line"
}

# as WHO COMMAND...: runs it as that person; the status is in $status.
as() {
    who=$1
    shift
    show "$@"
    status=0
    (cd "$work/$who" && RELAY_NODE=$work/$who/.relay && export RELAY_NODE && "$@") 2>&1 || status=$?
}

# run WHO COMMAND...: it must succeed.
run() {
    as "$@"
    [ "$status" -eq 0 ] || die "that failed with status $status"
}

# refused STATUS WHO COMMAND...: it must fail in exactly this way.
refused() {
    expected=$1
    shift
    as "$@"
    [ "$status" -eq "$expected" ] || die "status $status where $expected was expected"
    echo "(status $status)"
}

# same FILE FILE: both must hold the same octets.
same() {
    cmp "$1" "$2" || die "$2 is not what was sent"
}

here=$(cd "$(dirname "$0")" && pwd)
file=${1:-$here/$(basename "$0")}
if [ ! -f "$file" ] || [ ! -r "$file" ]; then
    die "$file: not a file that can be read"
fi

if [ -z "${RELAY_BIN:-}" ]; then
    echo "Building the programs (some minutes, the first time) …"
    (cd "$here/.." && cargo build --release --bins) || die "the programs cannot be built"
    target=${CARGO_TARGET_DIR:-target}
    case $target in
    /*) ;;
    *) target=$here/../$target ;;
    esac
    RELAY_BIN=$target/release
fi
[ -x "$RELAY_BIN/relay-open" ] || die "$RELAY_BIN has no relay-open; set RELAY_BIN to where the programs are"
RELAY_BIN=$(cd "$RELAY_BIN" && pwd)
PATH=$RELAY_BIN:$PATH
export PATH
unset RELAY_NOW

work=$(mktemp -d "${TMPDIR:-/tmp}/first-parcel.XXXXXX") || die "no temporary directory"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/alice" "$work/bob" "$work/stick"
name=$(basename "$file")
cp "$file" "$work/bob/report"
mkdir "$work/alice/inbox" "$work/bob/inbox"

echo
echo "Each makes a node, once."
run alice relay-keygen
run bob relay-keygen

echo
echo "First trip: Bob's public key goes to Alice."
run bob relay-export -o ../stick/bob.pub

echo
echo "Second trip: Alice lets Bob send to her."
run alice relay-authorize --name bob -o ../stick/alice.conn ../stick/bob.pub
run bob relay-import --name alice ../stick/alice.conn
echo "(That showed each the digits of the other. Over the telephone each now reads out his own, the"
echo "fingerprint below, while the other compares.)"
run alice relay-inspect .relay/identity.pub
run bob relay-inspect .relay/identity.pub

echo
echo "Third trip: the parcel."
run bob relay-seal -t alice --name "$name" -o ../stick/report.parcel report
run alice relay-open -d inbox --keep-name ../stick/report.parcel
run alice ls inbox
for received in "$work"/alice/inbox/*; do
    same "$file" "$received"
done

echo
echo "The answer: Bob lets Alice send to him, and she does."
run bob relay-authorize -o ../stick/bob.conn alice
run alice relay-import ../stick/bob.conn
echo "Received, thank you." > "$work/alice/answer.txt"
run alice relay-seal -t bob -y text/plain -o ../stick/answer.parcel answer.txt
run bob relay-open -o inbox/answer.txt ../stick/answer.parcel
same "$work/alice/answer.txt" "$work/bob/inbox/answer.txt"
run bob cat inbox/answer.txt

echo
echo "A parcel that was changed on its way is refused, and nothing is written."
run bob relay-seal -t alice -o ../stick/good.parcel report
{
    head -c 300 "$work/stick/good.parcel"
    printf 'tampered'
    tail -c +309 "$work/stick/good.parcel"
} > "$work/stick/bad.parcel"
refused 65 alice relay-open -o inbox/bad ../stick/bad.parcel
[ ! -e "$work/alice/inbox/bad" ] || die "something was written"

echo
echo "A parcel that was opened before is refused."
refused 82 alice relay-open -o inbox/twice ../stick/report.parcel
[ ! -e "$work/alice/inbox/twice" ] || die "something was written"

echo
echo "All is well: $name went from Bob to Alice unchanged, and her answer came back."
