# shellcheck shell=bash
# lib.sh: what the tests of the packages share. Sourced; makes a temporary directory $work.

work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

say() {
    printf -- '-- %s\n' "$*"
}

fail() {
    printf '%s: FAILED: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# same WHAT FOUND EXPECTED
same() {
    [ "$2" = "$3" ] || fail "$1: found '$2', expected '$3'"
}

# ends STATUS COMMAND…: the command ends with this status; what it says is in $said.
ends() {
    local expected=$1 status=0
    shift
    said=$("$@" 2>&1) || status=$?
    [ "$status" -eq "$expected" ] || fail "$*: status $status, expected $expected: $said"
}

# tree DIR: every file in it: kind, mode, owner, name, and content or target.
tree() {
    (cd "$1" && find . -printf '%y %m %U:%G %p %l\n' | sort
    find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

# minimal_root DIR COMMAND…: a root with these commands of this system and the libraries they need.
minimal_root() {
    local root=$1 command
    shift
    mkdir -p "$root"/{bin,dev,etc,proc,root,run,srv,tmp,usr/sbin,var/lib}
    chmod 1777 "$root/tmp"
    printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\n' >"$root/etc/group"
    : >"$root/etc/shadow"
    : >"$root/etc/gshadow"
    for command in "$@"; do
        command=$(type -P "$command") || fail "$command is not installed"
        cp -L "$command" "$root/bin/$(basename "$command")"
        libraries "$command" "$root"
    done
    install -m 755 /dev/null "$root/usr/sbin/nologin"
    mknod -m 666 "$root/dev/null" c 1 3
}

# libraries EXECUTABLE ROOT: copies those that it needs.
libraries() {
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while IFS= read -r file; do
        mkdir -p "$2$(dirname "$file")"
        cp -nL "$file" "$2$file"
    done
}

# as_released EXECUTABLE: it is small, and names no directory of the machine that built it. With RELAY_QUICK=1 it is the
# release build, which is neither.
as_released() {
    local path
    [ -z "${RELAY_QUICK:-}" ] || return 0
    [ "$(stat -c %s "$1")" -le 14000000 ] || fail "$1 has $(stat -c %s "$1") octets"
    for path in "${CARGO_HOME:-$HOME/.cargo}" "$(rustc --print sysroot)" "$PWD" "${CARGO_TARGET_DIR:-$PWD/target}"; do
        ! grep -aqF "$path/" "$1" || fail "$path/ is in $1"
    done
}
