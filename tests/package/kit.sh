#!/bin/bash
# kit.sh DIR: uses the kit in DIR/relaynet as its README says, in a root that has nothing but the kit and busybox.
set -euo pipefail
kit=$(realpath "$1")/relaynet
cd "$(dirname "$0")/../.."
# shellcheck source=tests/package/lib.sh
. tests/package/lib.sh
root=$work/root
busybox=$(command -v busybox) || fail "busybox is not installed"
! ldd "$busybox" >/dev/null 2>&1 || fail "busybox is not static"

say "the kit has no link, and no name that FAT refuses"
same "links" "$(find "$kit" ! -type f ! -type d)" ""
same "names" "$(find "$kit" | grep '[<>:"|?*\\]' || :)" ""
(cd "$kit" && sha256sum --quiet -c SHA256SUMS)

mkdir -p "$root"/{bin,stick,root,tmp}
cp "$busybox" "$root/bin/busybox"
for command in $(busybox --list); do
    [ -e "$root/bin/$command" ] || ln -s busybox "$root/bin/$command"
done
mkdir "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3 2>/dev/null || : >"$root/dev/null" # only root makes devices
# FAT keeps no modes.
cp -R "$kit" "$root/stick/"
find "$root/stick" -type f -exec chmod 644 {} +

say "its README.txt, line by line"
sed -n 's/^    \$ //p' "$kit/README.txt" >"$root/script"
[ "$(wc -l <"$root/script")" -ge 4 ] || fail "README.txt has no commands"
inside=(env -i PATH=/bin HOME=/root "$(type -P chroot)" "$root")
[ "$(id -u)" -eq 0 ] || inside=(unshare --map-root-user "${inside[@]}")
"${inside[@]}" /bin/sh -euxc 'cd /stick/relaynet && . /script'
[ -x "$root/usr/local/bin/relay" ] || fail "nothing was installed"
"${inside[@]}" /usr/local/bin/relay-seal --version
say "the kit is well"
