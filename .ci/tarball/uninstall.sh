#!/bin/sh
# uninstall.sh [PREFIX]: removes what install.sh installed under PREFIX, by default where this file is.
#
# A file that was changed since stays, and is named. Directories go if install.sh made them and they are empty.
# Node directories are not touched.
set -eu
export LC_ALL=C

die() {
    status=$1
    shift
    echo "uninstall.sh: $*" >&2
    exit "$status"
}

sum() {
    if [ -h "$1" ]; then
        echo "link:$(readlink "$1")"
    else
        sha256sum <"$1" | cut -d ' ' -f 1
    fi
}

# A function, so that the whole script is read before it removes itself.
main() {
    case ${1:-} in -*) set -- one two ;; esac
    [ $# -le 1 ] || die 64 "usage: uninstall.sh [PREFIX]"
    prefix=${1:-$(dirname "$0")/../..}
    list=$prefix/lib/relay/installed
    [ -f "$list" ] || die 66 "$list is missing: nothing here was installed by install.sh"
    prefix=$(cd "$prefix" && pwd)
    list=$prefix/lib/relay/installed
    all=$(cat "$list")
    if [ ! -w "$prefix/bin" ] || [ ! -w "$prefix/lib/relay" ]; then
        die 73 "$prefix cannot be written: run this as its owner"
    fi
    echo "$all" | sed -n 's/^[^ ]*  //p' | sort -u | while IFS= read -r path; do
        target=$prefix/$path
        rm -f "$target.relaynet-new" # of an installation that was interrupted
        [ -h "$target" ] || [ -f "$target" ] || continue
        if echo "$all" | grep -qxF "$(sum "$target")  $path"; then
            rm -f "$target"
        else
            echo "uninstall.sh: $target was changed, and stays" >&2
        fi
    done
    rm -f "$list"
    echo "$all" | sed -n 's/^dir  //p' | sort -r | while IFS= read -r path; do
        # "." is PREFIX itself, which rmdir(1) does not remove under that name.
        rmdir "$prefix/${path#.}" 2>/dev/null || :
    done
    exit 0
}

main "$@"
