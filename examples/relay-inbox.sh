#!/bin/sh
# relay-inbox.sh DROP INBOX: opens the parcels in DROP, and puts their content into INBOX.
#
# For cron or a timer. A parcel that is opened, or was before, is removed. One that no other run will
# open (malformed, not for us, not authorized, expired, or nobody can tell whether it was opened before) goes
# to DROP/refused, and what was wrong with it is on standard error. One that is dated in the future is left for
# a later run, silently, and so is one that has expired by a clock which relay-purge would not believe. An empty
# file, which somebody may still be writing, is left too, and named on standard error.
#
# Any other failure says nothing about the parcel: no relay-open in PATH, INBOX not writable, disk full,
# node unusable, killed. Then the parcel stays, and the exit status is that of relay-open.
#
# A file must appear in DROP whole, under its name: by relay-seal, rsync or mv, not by cp.
# The node is that of RELAY_NODE or of the user who runs this.
set -eu

say() {
    echo "relay-inbox.sh: $*" >&2
}

[ $# -eq 2 ] || {
    echo "usage: relay-inbox.sh DROP INBOX" >&2
    exit 64
}
drop=$1 inbox=$2
mkdir -p "$drop/refused" "$inbox" || exit 73

result=0
for parcel in "$drop"/*.parcel; do
    [ -f "$parcel" ] || continue
    status=0
    said=$(relay-open -q -d "$inbox" --keep-name -- "$parcel" 2>&1) || status=$?
    [ "$status" -eq 81 ] || [ -z "$said" ] || printf '%s\n' "$said" >&2
    case $status in
    0) # opened now
        rm -f "$parcel" || exit 73
        ;;
    82) # opened before, for certain or perhaps
        case $said in
        *": already received") rm -f "$parcel" || exit 73 ;;
        *) mv -f "$parcel" "$drop/refused/" || exit 73 ;;
        esac
        ;;
    65 | 67 | 77) # no other run will open it
        mv -f "$parcel" "$drop/refused/" || exit 73
        ;;
    80) # nor this one, if the clock is right
        if relay-purge -q -n >/dev/null 2>&1; then
            mv -f "$parcel" "$drop/refused/" || exit 73
        fi
        ;;
    81) ;; # too early
    66)
        if [ ! -e "$parcel" ]; then
            : # gone meanwhile
        elif [ ! -s "$parcel" ]; then
            say "$parcel may still be being written, and is left for a later run"
        else
            result=66 # not readable by us; the others may be
        fi
        ;;
    *)
        say "$parcel stays: relay-open ended with status $status"
        exit "$status"
        ;;
    esac
done
exit "$result"
