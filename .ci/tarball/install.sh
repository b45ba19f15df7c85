#!/bin/sh
# install.sh [PREFIX]: installs the programs, the manual, completions and examples under PREFIX.
#
# The default is /usr/local for root, else ~/.local. A file that is there and was not installed by this script, or
# was changed since, is not replaced: then nothing is installed, and each such file is named (73). An earlier
# version is replaced file by file, each by a rename, so that running programs go on. Undo it by
# PREFIX/lib/relay/uninstall.sh. Node directories are not touched.
set -eu
umask 022
export LC_ALL=C

die() {
    status=$1
    shift
    echo "install.sh: $*" >&2
    exit "$status"
}

# sum FILE: its SHA-256; of a link, where it leads.
sum() {
    if [ -h "$1" ]; then
        echo "link:$(readlink "$1")"
    else
        sha256sum <"$1" | cut -d ' ' -f 1
    fi
}

# is_ours PATH: what has this name under PREFIX is what some version installed.
is_ours() {
    [ -f "$list" ] && grep -qxF "$(sum "$prefix/$1")  $1" "$list"
}

# blockers: what stands in the way, one a line.
blockers() {
    while IFS= read -r path; do
        target=$prefix/$path
        if [ -d "$target" ] && [ ! -h "$target" ]; then
            echo "$target is a directory"
        elif [ -f "$target" ] || [ -h "$target" ]; then
            [ "$(sum "$target")" = "$(sum "$here/$path")" ] || is_ours "$path" ||
                echo "$target is another file"
        elif [ -e "$target" ]; then
            echo "$target is no file"
        fi
    done
}

# directories: those of the files that are not there yet, and those above them, up to PREFIX.
directories() {
    while IFS= read -r path; do
        while [ "$path" != "${path%/*}" ]; do
            path=${path%/*}
            [ -d "$prefix/$path" ] || echo "dir  $path"
        done
    done | sort -u
}

main() {
    case ${1:-} in -*) set -- one two ;; esac
    [ $# -le 1 ] || die 64 "usage: install.sh [PREFIX]"
    here=$(cd "$(dirname "$0")" && pwd)
    [ "$(uname -s) $(uname -m)" = "Linux @MACHINE@" ] ||
        die 69 "these programs are for Linux on @MACHINE@; this is $(uname -s) on $(uname -m)"
    if [ $# -eq 1 ]; then
        prefix=$1
    elif [ "$(id -u)" -eq 0 ]; then
        prefix=/usr/local
    else
        prefix=${HOME:?}/.local
    fi
    [ -n "$prefix" ] || die 64 "PREFIX is empty"
    command -v sha256sum >/dev/null || die 69 "sha256sum is not installed"
    (cd "$here" && sha256sum -c SHA256SUMS >/dev/null 2>&1) ||
        die 65 "$here is damaged: sha256sum -c SHA256SUMS tells where"
    prefix_is_new=
    [ -d "$prefix" ] || prefix_is_new=yes
    if ! mkdir -p "$prefix" 2>/dev/null || [ ! -w "$prefix" ]; then
        die 73 "$prefix cannot be written: run this as root, or name another PREFIX, such as ~/.local"
    fi
    prefix=$(cd "$prefix" && pwd)
    list=$prefix/lib/relay/installed

    files=$(cd "$here" && find bin lib share ! -type d | sort)
    blockers=$(echo "$files" | blockers)
    if [ -n "$blockers" ]; then
        echo "$blockers" | sed 's/^/install.sh: /' >&2
        die 73 "nothing is installed; remove these, or name another PREFIX"
    fi
    # First the list of all that may be there from now on, so that uninstall.sh finds it after a kill, too.
    new=$(echo "$files" | while IFS= read -r path; do echo "$(sum "$here/$path")  $path"; done)
    old=
    [ ! -f "$list" ] || old=$(cat "$list")
    dirs=$({ echo "$files" | directories; [ -z "$prefix_is_new" ] || echo "dir  ."; echo "$old" | grep '^dir  ' || :; } | sort -u)
    mkdir -p "${list%/*}"
    write_list "$dirs" "$old" "$new"
    echo "$files" | while IFS= read -r path; do place "$path"; done
    # What an earlier version had, and this one has not.
    echo "$old" | while IFS= read -r line; do
        path=${line#*  }
        case $line in "" | "dir  "*) continue ;; esac
        echo "$files" | grep -qxF "$path" || ! is_ours "$path" || rm -f "$prefix/$path"
    done
    write_list "$dirs" "$new"
    report
}

write_list() {
    printf '%s\n' "$@" | grep -v '^$' | sort -u >"$list.new"
    mv -f "$list.new" "$list"
}

# place PATH: under a temporary name, then by a rename.
place() {
    target=$prefix/$1
    temporary=$target.relaynet-new
    mkdir -p "${target%/*}"
    rm -f "$temporary"
    if [ -h "$here/$1" ]; then
        ln -s "$(readlink "$here/$1")" "$temporary"
    else
        cp "$here/$1" "$temporary"
        chmod "$(mode "$1")" "$temporary"
    fi
    mv -f "$temporary" "$target"
}

# mode PATH: of the name, since a stick may not keep modes.
mode() {
    case $1 in
    bin/* | *.sh) echo 755 ;;
    *) echo 644 ;;
    esac
}

report() {
    version=$("$prefix/bin/relay" --version) || die 69 "$prefix/bin/relay does not run here"
    echo "$version is in $prefix; $(quoted "$prefix/lib/relay/uninstall.sh") removes it"
    case :$PATH: in
    *:"$prefix/bin":*) echo "begin with: man relaynet" ;;
    *) echo "begin with: PATH=$(quoted "$prefix")/bin:\$PATH MANPATH=$(quoted "$prefix")/share/man: man relaynet" ;;
    esac
}

# quoted PATH: as a shell reads it, since this is to be pasted.
quoted() {
    case $1 in
    *[!A-Za-z0-9/._+-]*) printf "'%s'\n" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s\n' "$1" ;;
    esac
}

main "$@"
