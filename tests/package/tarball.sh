#!/bin/bash
# tarball.sh FILE.tar.gz: runs the programs where there is nothing else, and installs, replaces and removes them, with
# every shell that is here. RELAY_QUICK=1: the executable is not static, and is not tried in an empty root.
set -euo pipefail
tarball=$(realpath "$1")
cd "$(dirname "$0")/../.."
# shellcheck source=tests/package/lib.sh
. tests/package/lib.sh
name=$(basename "$tarball" .tar.gz)
here=$work/$name
shells=(sh)
! command -v busybox >/dev/null || shells+=("busybox sh")

# rooted COMMAND…: in the root $root, without being root.
rooted() {
    local inside=(env -i PATH=/bin "$(type -P chroot)" "$root")
    [ "$(id -u)" -eq 0 ] || inside=(unshare --map-root-user "${inside[@]}")
    "${inside[@]}" "$@"
}

# unprivileged COMMAND…: as somebody who is not root.
unprivileged() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$work/home" "$@"
    else
        env HOME="$work/home" "$@"
    fi
}

contents() {
    local program
    say "contents"
    tar -C "$work" -xzf "$tarball"
    (cd "$here" && sha256sum --quiet -c SHA256SUMS)
    same "files without a checksum" "$(cd "$here" && find . -type f ! -name SHA256SUMS | wc -l)" "$(wc -l <"$here/SHA256SUMS")"
    as_released "$here/bin/relay"
    for program in src/bin/relay-*.rs; do
        program=$(basename "$program" .rs)
        same "$program" "$(readlink "$here/bin/$program")" relay
        grep -q "^NAME" "$here/share/doc/relaynet/pages/$program.1.txt" || fail "no text of $program(1)"
    done
    ! grep -rqP '[\x00-\x08\x0b-\x1f]' "$here/share/doc/relaynet/pages" || fail "a page as text has control characters"
    [ -n "${RELAY_QUICK:-}" ] || ! objdump -p "$here/bin/relay" | grep -q 'NEEDED\|INTERP' || fail "relay is not static"
}

# A session where nothing is but the programs: no shell, no /etc, no /proc, no /dev.
empty_root() {
    root=$work/empty
    mkdir "$root"
    cp -a "$here/bin" "$root/bin"
    say "in a root with nothing but bin/relay and its links: $(ls "$root")"
    trace rooted relay-keygen /alice
    trace rooted relay keygen /bob
    trace rooted relay-export -N /bob -o /bob.pub
    trace rooted relay-authorize -N /alice --name bob -o /alice.conn /bob.pub
    trace rooted relay-import -N /bob --name alice /alice.conn
    date >"$root/report"
    trace rooted relay-seal -N /bob -t alice --keep-name -o /report.parcel /report
    trace rooted relay-open -N /alice -o /opened /report.parcel
    cmp "$root/report" "$root/opened"
    # A group that the files list, with name services that a static executable cannot load; and one by number.
    mkdir "$root/etc"
    echo 'group: ldap sss systemd files' >"$root/etc/nsswitch.conf"
    echo 'couriers:x:0:' >"$root/etc/group"
    trace rooted relay-keygen --type gateway --set group=couriers /named
    trace rooted relay-keygen --type gateway --set group=0 /numbered
    ends 78 rooted relay-keygen --type gateway --set group=no-such-group /unknown
    [ "$(id -u)" -ne 0 ] || own_groups
    same "the mode of a gateway with a group" "$(stat -c %a "$root/named") $(stat -c %a "$root/numbered")" "710 710"
}

# What waits for an endpoint is for the own group of the gateway's user, if the files say that it has no other member.
own_groups() {
    local listed expected found
    echo 'couriers:x:4711:' >"$root/etc/group"
    while read -r listed expected; do
        [ "$listed" = no ] || echo "$listed" >>"$root/etc/group"
        rm -rf "$root/shared"
        rooted relay-keygen --type gateway --set group=couriers /shared </dev/null >/dev/null
        found=$(rooted relay-keygen -N /shared --endpoint anna </dev/null)
        same "spool/home/ID where root's group is listed as $listed" \
            "$(stat -c '%a %g' "$root/shared/spool/home/$found")" "$expected"
    done <<'END'
no 3770 4711
root:x:0: 770 0
END
}

trace() {
    printf '$ %s\n' "${*:2}"
    "$@"
}

# install_as SHELL: installs as nobody, runs, refuses, replaces, and removes.
install_as() {
    local sh prefix=$work/home/prefix before changed copy=$work/copy
    read -r -a sh <<<"$1"
    say "install.sh with $1"
    rm -rf "${work:?}/home"
    mkdir -p "$prefix/bin"
    echo mine >"$prefix/bin/mine"
    [ "$(id -u)" -ne 0 ] || chown -R 65534:65534 "$work/home"
    before=$(tree "$prefix")

    ends 0 unprivileged "${sh[@]}" "$here/install.sh" "$prefix"
    [[ $said == relay\ *" is in $prefix;"* ]] || fail "install.sh says: $said"
    "$prefix/bin/relay-seal" --version >/dev/null
    cmp "$here/bin/relay" "$prefix/bin/relay"
    ends 0 unprivileged "${sh[@]}" "$here/install.sh" "$prefix" # again
    ends 0 unprivileged "${sh[@]}" "$prefix/lib/relay/uninstall.sh"
    same "after uninstall.sh" "$(tree "$prefix")" "$before"

    # A PREFIX that was not there, with a blank: what is printed can be pasted, and PREFIX goes again.
    ends 0 unprivileged "${sh[@]}" "$here/install.sh" "$work/home/somebody's own"
    said=${said##*begin with: }
    [[ $(sh -c "${said%man relaynet}relay --version") == relay\ * ]] || fail "install.sh says: $said"
    ends 0 unprivileged "${sh[@]}" "$work/home/somebody's own/lib/relay/uninstall.sh"
    [ ! -e "$work/home/somebody's own" ] || fail "uninstall.sh leaves a PREFIX that install.sh made"

    # What is in the way is named, and nothing is changed.
    echo mine >"$prefix/bin/relay"
    mkdir "$prefix/bin/relay-seal"
    mkfifo "$prefix/bin/relay-open"
    before=$(tree "$prefix")
    ends 73 unprivileged "${sh[@]}" "$here/install.sh" "$prefix"
    for changed in "relay is another file" "relay-seal is a directory" "relay-open is no file"; do
        [[ $said == *"$prefix/bin/$changed"* ]] || fail "install.sh says: $said"
    done
    same "after a refusal" "$(tree "$prefix")" "$before"
    rm -r "$prefix/bin"/relay*
    before=$(tree "$prefix")
    ends 66 unprivileged "${sh[@]}" "$here/lib/relay/uninstall.sh" "$prefix"
    ends 64 unprivileged "${sh[@]}" "$here/install.sh" --help
    ends 64 unprivileged "${sh[@]}" "$here/install.sh" "$prefix" two
    ends 73 unprivileged "${sh[@]}" "$here/install.sh" /proc/relay
    same "after refusals" "$(tree "$prefix")" "$before"

    # Another version: one file changed, one gone; a damaged copy is refused; what a user changed stays.
    rm -rf "$copy"
    cp -a "$here" "$copy"
    echo '# newer' >>"$copy/lib/relay/relay-inbox.sh"
    ends 65 unprivileged "${sh[@]}" "$copy/install.sh" "$prefix"
    rm "$copy/share/man/man1/relay-seal.1"
    sums "$copy"
    ends 0 unprivileged "${sh[@]}" "$here/install.sh" "$prefix"
    ends 0 unprivileged "${sh[@]}" "$copy/install.sh" "$prefix"
    [ ! -e "$prefix/share/man/man1/relay-seal.1" ] || fail "a page of an earlier version stays"
    cmp "$copy/lib/relay/relay-inbox.sh" "$prefix/lib/relay/relay-inbox.sh"
    echo '# mine' >>"$prefix/lib/relay/relay-inbox.sh"
    ends 73 unprivileged "${sh[@]}" "$here/install.sh" "$prefix"
    ends 0 unprivileged "${sh[@]}" "$prefix/lib/relay/uninstall.sh"
    [[ $said == *"relay-inbox.sh was changed, and stays"* ]] || fail "uninstall.sh says: $said"
    rm -r "${prefix:?}/lib"
    same "after uninstall.sh" "$(tree "$prefix")" "$before"
    # busybox has a cp of its own, which cannot be made to fail.
    [ "$1" != sh ] || interrupted "$@"
}

# sums DIR: checksums of what is there now.
sums() {
    (cd "$1" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum) >"$1/SHA256SUMS"
}

# An installation that a full disk ends at some file: uninstall.sh removes what there is, and another run completes it.
interrupted() {
    local sh files at
    read -r -a sh <<<"$1"
    mkdir -p "$work/path"
    cat >"$work/path/cp" <<'END'
#!/bin/sh
echo >>"$COUNTED"
[ "$(wc -l <"$COUNTED")" -lt "$FAILS" ] || { echo part >"$2"; exit 1; }
exec /bin/cp "$@"
END
    chmod 755 "$work/path/cp"
    files=$(wc -l <"$here/SHA256SUMS")
    for at in 1 2 $((files / 2)); do
        : >"$work/home/counted"
        chmod 666 "$work/home/counted"
        ends 1 unprivileged env COUNTED="$work/home/counted" FAILS="$at" PATH="$work/path:$PATH" \
            "${sh[@]}" "$here/install.sh" "$prefix"
        if [ "$at" -eq 2 ]; then
            ends 0 unprivileged "${sh[@]}" "$here/install.sh" "$prefix"
        fi
        ends 0 unprivileged "${sh[@]}" "$here/lib/relay/uninstall.sh" "$prefix"
        same "after an installation that failed at file $at" "$(tree "$prefix")" "$before"
    done
}

contents
[ -n "${RELAY_QUICK:-}" ] || empty_root
for shell in "${shells[@]}"; do
    install_as "$shell"
done
say "the tarball is well"
