#!/bin/bash
# deb.sh FILE.deb: installs the package into a scratch root, runs the lines of its units as their user, replaces it
# while a program runs and the spool is full, removes and purges it. Needs root.
set -euo pipefail
deb=$(realpath "$1")
cd "$(dirname "$0")/../.."
# shellcheck source=tests/package/lib.sh
. tests/package/lib.sh
if [ "$(id -u)" -ne 0 ]; then
    say "not tested, since only root can install packages"
    exit 0
fi
readonly MESSAGES=300
root=$work/root
chroot=$(type -P chroot)

# dpkg in the scratch root; the scripts of the package get DPKG_ROOT, and run outside of it.
in_dpkg() {
    dpkg --root="$root" --force-script-chrootless --force-depends "$@" >"$work/dpkg" 2>&1 ||
        fail "dpkg $*: $(cat "$work/dpkg")"
}

# inside COMMAND…: as root in the scratch root.
inside() {
    env -i PATH=/usr/bin:/usr/sbin:/bin HOME=/root "$chroot" "$root" "$@"
}

# as_relay COMMAND…: as the user relay there, with what a unit with User=relay has in its environment.
as_relay() {
    env -i PATH=/usr/bin:/bin HOME=/var/lib/relay USER=relay LOGNAME=relay "${environment[@]}" \
        "$chroot" --userspec="$relay" --groups="${relay#*:}" "$root" "$@"
}
environment=()

# of_unit NAME [INSTANCE]: the Environment and ExecStart of a unit, in $environment and $words.
of_unit() {
    local file=$root/usr/lib/systemd/system/$1 line
    same "User of $1" "$(sed -n 's/^User=//p' "$file")" relay
    read -r -a environment < <(sed -n 's/^Environment=//p' "$file")
    line=$(sed -n 's/^ExecStart=//p' "$file")
    line=${line//'$$'/'$'}
    line=${line//%[iI]/${2:-}}
    eval "words=($line)" # systemd quotes like a shell, and expands nothing that is left
    say "$1: ${words[*]}"
}

# unit NAME [INSTANCE]: runs the ExecStart of a unit, with its Environment, as its user.
unit() {
    local words
    of_unit "$@"
    (umask 0077 && as_relay "${words[@]}")
    environment=()
}

contents() {
    local name count=0
    say "contents"
    dpkg-deb --fsys-tarfile "$deb" | tar -tv | grep -v ' root/root ' && fail "files of others than root"
    dpkg-deb -R "$deb" "$work/unpacked"
    (cd "$work/unpacked" && md5sum --quiet -c DEBIAN/md5sums)
    as_released "$work/unpacked/usr/bin/relay"
    for name in src/bin/relay-*.rs; do
        name=$(basename "$name" .rs)
        count=$((count + 1))
        same "$name" "$(readlink "$work/unpacked/usr/bin/$name")" relay
        [ -s "$work/unpacked/usr/share/man/man1/$name.1.gz" ] || fail "no page $name"
        [ -s "$work/unpacked/usr/share/bash-completion/completions/$name" ] || fail "no completion of $name"
    done
    same "links" "$(find "$work/unpacked/usr/bin" -type l | wc -l)" $count
    if command -v man >/dev/null; then
        man -M "$work/unpacked/usr/share/man" relaynet 2>/dev/null | grep -q 'the road of a parcel' ||
            fail "man relaynet does not show relay(7)"
        man -M "$work/unpacked/usr/share/man" relay 2>/dev/null | grep -q 'run one of the programs' ||
            fail "man relay does not show relay(1)"
    fi
}

fresh() {
    say "a fresh installation"
    minimal_root "$root" sh cat cp date id install ls mkdir mv rm sleep useradd chown touch
    mkdir -p "$root"/var/lib/dpkg/{info,updates}
    : >"$root/var/lib/dpkg/status"
    in_dpkg -i "$deb"
    libraries "$root/usr/bin/relay" "$root"
    relay=$(sed -n 's/^relay:[^:]*:\([0-9]*:[0-9]*\):.*/\1/p' "$root/etc/passwd")
    [ -n "$relay" ] || fail "no user relay"
    same "/var/lib/relay" "$(stat -c '%a %u:%g' "$root/var/lib/relay")" "700 $relay"
    [ ! -e "$root/etc/systemd/system" ] || fail "something is enabled: $(find "$root/etc/systemd")"
    same version "$(inside relay --version)" "relay $(dpkg-deb -f "$deb" Version | sed 's/-.*//')"
}

# The same without systemd: in a root of its own, by the script alone.
without_systemd() {
    local other=$work/other
    say "without systemd-sysusers and systemd-tmpfiles"
    cp -a "$root" "$other"
    rm -rf "$other/var/lib/relay"
    sed -i '/^relay:/d' "$other/etc/passwd" "$other/etc/group" "$other/etc/shadow" "$other/etc/gshadow"
    cp "$work/unpacked/DEBIAN/postinst" "$other/postinst"
    for _ in first again; do
        env -i PATH=/bin:/usr/bin "$chroot" "$other" /postinst configure
        same "/var/lib/relay" "$(stat -c '%a %u:%g' "$other/var/lib/relay")" \
            "700 $(sed -n 's/^relay:[^:]*:\([0-9]*:[0-9]*\):.*/\1/p' "$other/etc/passwd")"
    done
    rm -rf "$other"
}

# A gateway with the endpoint "station", to which the endpoint "anna" may send.
nodes() {
    say "a gateway with two endpoints, as the user relay"
    as_relay relay-keygen --type gateway >/dev/null
    for name in station anna; do
        as_relay relay-keygen --endpoint "$name" >/dev/null
    done
    as_relay relay-authorize -N /var/lib/relay/endpoints/station --name anna -o /tmp/conn \
        /var/lib/relay/endpoints/anna/identity.pub >/dev/null 2>&1
    as_relay relay-import -N /var/lib/relay/endpoints/anna --name station /tmp/conn >/dev/null 2>&1
    install -d -o "${relay%:*}" -g "${relay#*:}" -m 750 "$root"/srv/relay/{,inbox,drop,outbox,outbox/station,sent}
}

# mail FIRST LAST: that many reports wait in spool/in.
mail() {
    local number
    for number in $(seq "$1" "$2"); do
        echo "report $number" >"$root/tmp/report-$number"
        as_relay relay-seal -N /var/lib/relay/endpoints/anna -t station --name "report-$number" "/tmp/report-$number"
        rm "$root/tmp/report-$number"
    done | as_relay relay-put -q >/dev/null
}

units() {
    say "the lines of the units, by hand, as their user"
    unit relay-spool.service
    mail 1 3
    unit relay-spool.service
    same "delivered" "$(find "$root/srv/relay/inbox" -type f | wc -l)" 3
    install -d -o "${relay%:*}" -g "${relay#*:}" -m 700 "$root/run/relay-stick" "$root/run/relay-stick/sdb1"
    unit relay-stick@.service sdb1 # a stick that is no medium is passed over
    as_relay relay-sync -q --init /run/relay-stick/sdb1
    unit relay-stick@.service sdb1
    [ -d "$root/run/relay-stick/sdb1/relaynet" ] || fail "the stick is no medium: $(ls -R "$root/run/relay-stick")"
    unit relay-purge.service
    unit relay-rotate.service
    unit relay-online.service # no gateway registered this one, so there is nobody to wait for
    unit relay-drop@.service anna
    same "in the drop folder" "$(ls "$root/srv/relay/outbox")" station
    # The unit relay-inbox is for a node that is an endpoint.
    mv "$root/var/lib/relay" "$root/var/lib/gateway"
    install -d -o "${relay%:*}" -g "${relay#*:}" -m 700 "$root/var/lib/relay"
    as_relay relay-keygen >/dev/null
    as_relay relay-authorize --name anna -o /tmp/conn2 /var/lib/gateway/endpoints/anna/identity.pub >/dev/null 2>&1
    as_relay relay-import -N /var/lib/gateway/endpoints/anna --name hut /tmp/conn2 >/dev/null 2>&1
    echo hello >"$root/tmp/hello"
    as_relay relay-seal -N /var/lib/gateway/endpoints/anna -t hut --name hello -o /srv/relay/drop/hello.parcel /tmp/hello
    unit relay-inbox.service
    same "opened" "$(cat "$root/srv/relay/inbox/hello")" hello
    same "left in drop" "$(find "$root/srv/relay/drop" -type f)" ""
    rm -r "$root/var/lib/relay" "$root/srv/relay/inbox/hello"
    mv "$root/var/lib/gateway" "$root/var/lib/relay"
}

# The server has its port from relay-serve.socket, so here another one, and starts itself again as /proc/self/exe.
serving() {
    local words server
    say "the server, as its user"
    same "the port" "$(sed -n 's/^ListenStream=//p' "$root/usr/lib/systemd/system/relay-serve.socket")" 443
    as_relay relay-keygen -N /var/lib/relay/hub --type gateway --address hub.example.org >/dev/null
    install -d -o "${relay%:*}" -g "${relay#*:}" -m 700 "$root/etc/relay-serve"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=hub.example.org \
        -keyout "$root/etc/relay-serve/privkey.pem" -out "$root/etc/relay-serve/fullchain.pem" 2>/dev/null
    chown "$relay" "$root"/etc/relay-serve/*
    of_unit relay-serve.service
    words=("${words[@]/#-q/-v}" -N /var/lib/relay/hub --listen 127.0.0.1:0)
    # shellcheck disable=SC2016 # the inner shell expands it
    unshare --mount --propagation private sh -c 'mount --bind /proc "$1/proc" && shift && umask 0077 && exec "$@"' sh "$root" \
        env -i HOME=/var/lib/relay "${environment[@]}" "$chroot" --userspec="$relay" --groups="${relay#*:}" "$root" \
        "${words[@]}" >"$work/serve" 2>&1 &
    server=$!
    environment=()
    while ! grep -q event=serving "$work/serve"; do
        kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$work/serve")"
        sleep 0.1
    done
    same "owner of the server" "$(stat -c '%u:%g' "/proc/$server")" "$relay"
    kill -HUP "$server"
    while ! grep -q event=reloaded "$work/serve"; do
        kill -0 "$server" 2>/dev/null || fail "the server ended: $(cat "$work/serve")"
        sleep 0.1
    done
    kill "$server"
    wait "$server" || fail "the server ended with status $?: $(cat "$work/serve")"
    rm -r "$root/var/lib/relay/hub" "$root/etc/relay-serve"
}

# newer: the same package with a higher version, in $work/newer.deb.
newer() {
    sed -i 's/^Version: .*/&+upgrade/' "$work/unpacked/DEBIAN/control"
    echo >>"$work/unpacked/usr/share/doc/relaynet/copyright"
    dpkg-deb --root-owner-group -Znone --build "$work/unpacked" "$work/newer.deb" >/dev/null
}

upgrade() {
    local running before inode
    say "an upgrade while a program runs, with $MESSAGES messages in the spool"
    mail 4 $((MESSAGES + 3))
    as_relay relay-route -q
    # As for a node that users share: the upgrade leaves it.
    chmod 710 "$root/var/lib/relay"
    # It waits in its first command until a file appears.
    # shellcheck disable=SC2016 # the program sets it
    as_relay relay-deliver -q -N /var/lib/relay/endpoints/station -- \
        sh -c 'touch /tmp/started; while [ ! -e /tmp/go ]; do sleep 0.1; done; cat >"/srv/relay/inbox/$RELAY_NAME"' &
    running=$!
    while [ ! -e "$root/tmp/started" ]; do
        kill -0 "$running" || fail "relay-deliver ended"
        sleep 0.1
    done
    before=$(tree "$root/var/lib/relay")
    inode=$(stat -c %i "$root/usr/bin/relay")
    newer
    in_dpkg -i "$work/newer.deb"
    [ "$inode" != "$(stat -c %i "$root/usr/bin/relay")" ] || fail "the executable was not replaced"
    same "the node after the upgrade" "$(tree "$root/var/lib/relay")" "$before"
    kill -0 "$running" || fail "relay-deliver ended"
    touch "$root/tmp/go"
    wait "$running" || fail "relay-deliver ended with status $?"
    unit relay-spool.service
    same "delivered" "$(find "$root/srv/relay/inbox" -type f | wc -l)" $((MESSAGES + 3))
    chmod 700 "$root/var/lib/relay"
    same "waiting" "$(as_relay relay-list -N /var/lib/relay | wc -l)" 0
    as_relay relay-check -q || fail "relay-check after the upgrade"
}

removal() {
    local before
    say "removal, and what stays"
    mkdir -p "$root/etc/systemd/system/timers.target.wants"
    ln -s /usr/lib/systemd/system/relay-spool.timer "$root/etc/systemd/system/timers.target.wants/relay-spool.timer"
    before=$(tree "$root/var/lib/relay")
    in_dpkg -r relaynet
    same "programs" "$(find "$root/usr" -path '*/bin/relay*')" ""
    same "the node after the removal" "$(tree "$root/var/lib/relay")" "$before"
    in_dpkg -P relaynet
    grep -q '/var/lib/relay stays' "$work/dpkg" || fail "purge says: $(cat "$work/dpkg")"
    same "the node after the purge" "$(tree "$root/var/lib/relay")" "$before"
    same "what is left of the package" "$(find "$root/usr" "$root/etc" -name '*relay*')" ""
    in_dpkg -i "$deb"
    same "the node when installed again" "$(tree "$root/var/lib/relay")" "$before"
}

contents
fresh
without_systemd
nodes
units
serving
upgrade
removal
say "the package is well"
