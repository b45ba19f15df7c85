# shellcheck shell=sh
# scene.sh: what the example scripts share. Sourced, with the script's arguments: FILE.
#
# Finds or builds the programs, makes a temporary directory $work with one directory for each of
# $people and one that stands for a stick, and leaves the path of FILE in $file and its name in $NAME.

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# The node of a person, if it is not the one in their home.
node_of() {
    :
}

# as WHO COMMAND: shows the command, a line of shell, and runs it as that person, in their directory;
# the status is in $status. A script may set $inside to a command that runs it, such as one that enters a network namespace.
as() {
    echo "$1\$ $2"
    status=0
    # shellcheck disable=SC2086 # $inside is a command with its arguments, or nothing
    (cd "$work/$1" && HOME=$work/$1 RELAY_NODE=$(node_of "$1") ${inside:-} sh -c "$2") 2>&1 || status=$?
}

# run WHO COMMAND: the command must succeed.
run() {
    as "$@"
    [ "$status" -eq 0 ] || die "that failed with status $status"
}

# refused STATUS WHO COMMAND: the command must fail with this status.
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

# tamper FILE: a copy with some octets changed.
tamper() {
    head -c 300 "$1"
    printf 'tampered'
    tail -c +309 "$1"
}

# can_build: whether the build can work, and if not, why; an old cargo itself fails with a word about editions.
can_build() {
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
    how="README.md, \"Install\", says how to get it; a package or the tarball needs no Rust"
    command -v cargo > /dev/null || die "cargo is not in PATH, and the programs need Rust $needed or later: $how"
    found=$(rustc --version | sed -n 's/^rustc \([0-9][0-9.]*\).*/\1/p') || found=
    [ -n "$found" ] || die "rustc does not say its version, and the programs need Rust $needed or later: $how"
    # Rust 2 would be later than any 1.x.
    minor=${found#1.} needed_minor=${needed#1.}
    if [ "$minor" != "$found" ] && [ "${minor%%.*}" -lt "${needed_minor%%.*}" ]; then
        die "$(command -v rustc) is Rust $found, and the programs need $needed or later: $how"
    fi
    command -v cc > /dev/null || die "cc is not in PATH: a C compiler is needed, such as the package gcc"
}

here=$(cd "$(dirname "$0")" && pwd)
file=${1:-$here/$(basename "$0")}
case $file in
-*) file=./$file ;; # no option of cp, cmp and basename
esac
if [ ! -f "$file" ] || [ ! -r "$file" ]; then
    die "$file: not a file that can be read"
fi

# An installed copy has no sources beside it.
if [ -z "${RELAY_BIN:-}" ] && [ ! -e "$here/../Cargo.toml" ] && installed=$(command -v relay-open); then
    RELAY_BIN=$(dirname "$installed")
fi
if [ -z "${RELAY_BIN:-}" ]; then
    can_build
    echo "Building the programs with Rust $found (some minutes, the first time) …"
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
NAME=$(basename "$file")
export PATH NAME
unset RELAY_NOW

work=$(mktemp -d "${TMPDIR:-/tmp}/relay-example.XXXXXX") || die "no temporary directory"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$work/stick"
for person in ${people:?}; do
    mkdir "$work/$person"
done
