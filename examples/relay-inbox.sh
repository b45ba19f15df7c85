#!/bin/sh
# relay-inbox.sh DROP INBOX: opens the parcels in DROP, and puts their content into INBOX.
#
# For cron or a timer. A parcel that is opened, or was opened before, is removed. A parcel that later runs
# cannot open either (malformed, not for us, not authorized, expired, or it is not known whether it was opened
# before) is moved to DROP/refused, with the reason on standard error. A parcel that is dated in the future stays
# for a later run, silently, and so does one that has expired by a clock that relay-purge would not believe. An
# empty file, which may still be being written, stays, too, and is named on standard error.
#
# Any other failure is not caused by the parcel: no relay-open in PATH, INBOX not writable, disk full,
# node unusable, killed. Then the parcel stays, and the exit status is that of relay-open.
#
# Files must appear in DROP complete, under their names: by relay-seal, rsync or mv, not by cp.
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
