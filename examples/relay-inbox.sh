#!/bin/sh
# relay-inbox.sh DROP INBOX: opens the parcels in DROP, and puts their content into INBOX.
#
# For cron or a timer. A parcel that is opened, or was before, is removed. One that another run may
# open is left. Any other goes to DROP/refused, and what was wrong with it is on standard error.
#
# A file must appear in DROP whole, under its name: by relay-seal, rsync or mv, not by cp.
# The node is that of RELAY_NODE or of the user who runs this.
set -eu

[ $# -eq 2 ] || {
    echo "usage: relay-inbox.sh DROP INBOX" >&2
    exit 64
}
drop=$1 inbox=$2
mkdir -p "$drop/refused" "$inbox"

for parcel in "$drop"/*.parcel; do
    [ -f "$parcel" ] || continue
    status=0
    relay-open -q -d "$inbox" --keep-name -- "$parcel" || status=$?
    case $status in
    0 | 82) rm -f "$parcel" ;;          # opened now, or before
    66 | 74 | 75 | 81) ;;               # gone meanwhile, disk full, locked, too early: next time
    64 | 70 | 78) exit "$status" ;;     # nothing to do with this parcel
    *) mv -f "$parcel" "$drop/refused/" ;;
    esac
done
