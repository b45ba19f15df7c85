#!/bin/sh
# online.sh [FILE]: two sites and an Internet gateway: by wire, by stick while its server is down, and by a courier's hotspot
# where there is no Internet at all.
#
# Anna is behind the gateway "island", Bert behind the gateway "harbour", and both gateways register with an Internet
# gateway, which is relay-serve on loopback. FILE (default: this script; up to 8 MB) goes from Anna to Bert four times: by
# wire, pushed to a site that waits, by stick, and by a courier. Each arrives once, whatever roads it took. Each command is
# shown before it runs. The programs are built first, unless RELAY_BIN names a directory that has them.
#
# For root, where the system has network namespaces, the courier's hotspot is a network of its own that the island's
# machine gets its default route from, as from a phone; for others the courier is on loopback.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='anna bert island harbour gateway courier'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"
for tool in python3 openssl; do
    command -v $tool > /dev/null || die "$tool is not in PATH: the resolver and the certificates of this example need it"
done

# Anna and Bert live in the directories of their gateways.
node_of() {
    case $1 in
    anna) echo "$work/island/.relay/endpoints/anna" ;;
    bert) echo "$work/harbour/.relay/endpoints/bert" ;;
    esac
}

# start NAME WHO COMMAND: shows a command and has it run in the background, until "stop NAME".
start() {
    echo "$2\$ $3 &"
    # "exec" makes the shell the program, so that its process can be ended.
    (cd "$work/$2" && HOME=$work/$2 exec ${inside:-} sh -c "exec $3") > "$work/$1.out" 2> "$work/$1.log" < /dev/null &
    echo $! > "$work/$1.pid"
}
stop() {
    [ -s "$work/$1.pid" ] || return 0
    pid=$(cat "$work/$1.pid")
    kill "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
    rm -f "$work/$1.pid"
}
# until_so WHAT COMMAND...: waits at most 20 seconds for a command to succeed.
until_so() {
    what=$1
    shift
    tries=0
    until "$@" > /dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || die "$what: $(tail -n 5 "$work"/*.log)"
        sleep 0.1
    done
}
end() {
    for name in server resolver courier follower; do
        stop $name
    done
    [ -z "$hotspot" ] || ip netns delete "$hotspot-courier" 2> /dev/null || true
    [ -z "$hotspot" ] || ip netns delete "$hotspot-island" 2> /dev/null || true
    rm -rf "$work"
}
hotspot=
trap end EXIT

# Certificates: on the Internet an authority would give them.
certify() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=example authority' \
        -keyout "$work/ca.key" -out "$work/ca.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=example server' \
        -keyout "$work/server.key" -out "$work/server.csr"
    printf 'subjectAltName=DNS:host.example.org,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n' > "$work/ext"
    openssl x509 -req -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 1 \
        -extfile "$work/ext" -out "$work/server.pem"
}

# The Internet gateway's server. The second time it takes the port of the first.
start_server() {
    start server gateway "relay-serve -v --listen 127.0.0.1:${port:-0} --cert ../server.pem --key ../server.key"
    until_so 'the server does not start' grep -q 'event=serving' "$work/server.log"
    port=$(sed -n 's/.*at=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/server.log")
}

# arrived NUMBER: so many files came to Bert, each what was sent.
arrived() {
    run bert 'relay-deliver -q --keep-name --dir inbox'
    [ "$(find "$work/bert/inbox" -type f | wc -l)" -eq "$1" ] || die "not $1 files in Bert's inbox"
    for received in "$work"/bert/inbox/*/*; do
        same "$file" "$received"
    done
    echo "Bert has $1 file(s), each unchanged and each once."
}

# The hotspot: two network namespaces with a cable between them. The courier's has the address of a phone, the island's
# has its default route there.
make_hotspot() {
    [ "$(id -u)" -eq 0 ] && command -v ip > /dev/null || return 1
    hotspot=relay$$
    ip netns add "$hotspot-courier" 2> /dev/null || {
        hotspot=
        return 1
    }
    ip netns add "$hotspot-island" &&
        ip -n "$hotspot-courier" link add phone type veth peer name wlan netns "$hotspot-island" &&
        ip -n "$hotspot-courier" address add 192.168.43.1/24 dev phone &&
        ip -n "$hotspot-courier" link set phone up &&
        ip -n "$hotspot-courier" link set lo up &&
        ip -n "$hotspot-island" address add 192.168.43.7/24 dev wlan &&
        ip -n "$hotspot-island" link set wlan up &&
        ip -n "$hotspot-island" link set lo up &&
        ip -n "$hotspot-island" route add default via 192.168.43.1
}

mkdir "$work/bert/inbox" "$work/courier/medium"
cp "$file" "$work/anna/report"
# shellcheck disable=SC2034 # used by "as" in scene.sh
inside=

echo
echo "Once, at the Internet gateway: a node, a certificate, whom it registers, and its server."
run gateway 'relay-keygen --type gateway --address gw.example.org --set registration=known'
certify 2> "$work/openssl.log" || die "openssl: $(cat "$work/openssl.log")"
for site in island harbour; do
    run $site "relay-keygen --type gateway -q && relay-export -o ../$site.pub"
    run gateway "relay-register --allow ../$site.pub"
done
start_server
start resolver gateway "python3 '$here/online/resolver.py' --address gw.example.org --host host.example.org \
--port $port --certificate ../server.pem --key ../server.key"
until_so 'the resolver does not start' test -s "$work/resolver.out"
resolver=https://127.0.0.1:$(cat "$work/resolver.out")/dns-query

echo
echo "Once, at both sites: where to look names up, and the registration. A gateway is enrolled before its endpoints are made."
for site in island harbour; do
    run $site "echo resolver = $resolver >> .relay/config"
    run $site 'relay-enroll --ca ../ca.pem gw.example.org | relay-import --name home'
    run $site 'relay-online -n --ca ../ca.pem'
done
run island 'relay-keygen --endpoint anna'
run harbour 'relay-keygen --endpoint bert'

echo
echo "Once: Bert lets Anna send to him."
run anna 'relay-export -o ../stick/anna.pub'
run bert 'relay-authorize --name anna -o ../stick/bert.conn ../stick/anna.pub'
run anna 'relay-import --name bert ../stick/bert.conn'

echo
echo "By wire: Anna's parcel is with the gateway at once, and Bert's site fetches it."
run anna 'relay-seal -t bert --name="$NAME" report | relay-put'
run island 'relay-route && relay-online -v --ca ../ca.pem'
run harbour 'relay-online -v --ca ../ca.pem && relay-route'
arrived 1

echo
echo "Live: Bert's site keeps its connection, and what Anna sends is there a moment later."
start follower harbour 'relay-online --follow -v --ca ../ca.pem'
run anna 'relay-seal -t bert --name="2-$NAME" report | relay-put'
run island 'relay-route -q && relay-online -q --ca ../ca.pem'
until_so 'nothing was pushed' grep -q 'event=collected' "$work/follower.log"
until_so 'nothing was routed' sh -c "HOME='$work/harbour' relay-list | grep -q '^home/'"
stop follower
grep 'event=collected' "$work/follower.log"
arrived 2

echo
echo "The gateway's server is down: what Anna sends waits, and a stick takes it."
stop server
run anna 'relay-seal -t bert --name="3-$NAME" report | relay-put'
run island 'relay-route'
refused 75 island 'relay-online --ca ../ca.pem'
run island 'relay-sync --init ../stick'
run harbour 'relay-sync ../stick'
run gateway 'relay-sync --take ../stick && relay-route && relay-sync ../stick'
run harbour 'relay-sync ../stick && relay-route'
arrived 3

echo
echo "No Internet at the island: a courier with a hotspot comes by, who needs no node and no keys."
start_server
if make_hotspot; then
    courier=192.168.43.1:21473
    inside="ip netns exec $hotspot-courier"
    start courier courier "relay-serve -v --courier medium --init --listen $courier"
    # The gateways that couriers are given cargo by find it at their default route.
    ferry='relay-ferry -v --sync --pause 1s'
    inside="ip netns exec $hotspot-island"
    run island 'echo couriers = yes >> .relay/config'
else
    start courier courier 'relay-serve -v --courier medium --init --listen 127.0.0.1:0'
    until_so 'the courier does not start' grep -q 'event=serving' "$work/courier.log"
    courier=$(sed -n 's/.*at=\([0-9.:]*\).*/\1/p' "$work/courier.log")
    ferry="relay-ferry -v --sync --courier-address $courier --pause 1s"
fi
until_so 'the courier does not start' grep -q 'event=serving' "$work/courier.log"
run anna 'relay-seal -t bert --name="4-$NAME" report | relay-put'
run island "relay-route -q && $ferry"
# shellcheck disable=SC2034
inside=
echo "The courier is back where there is Internet, and goes to the Internet gateway with what the medium holds."
run courier "relay-ferry -v --private --resolver $resolver --ca ../ca.pem --pause 2s medium"
run harbour 'relay-online -v --ca ../ca.pem && relay-route'
arrived 4

echo
echo "Home again, the courier brings what came for the island: acknowledgements, and nothing waits there any more."
run harbour 'relay-online -q --ca ../ca.pem; relay-sync -q ../stick'
run gateway 'relay-sync -q ../stick && relay-route -q && relay-sync -q ../stick'
run courier "relay-ferry -q --private --resolver $resolver --ca ../ca.pem --pause 2s medium"
[ -z "$hotspot" ] || inside="ip netns exec $hotspot-island"
run island "relay-route -q; $ferry && relay-route"
run island 'relay-list out'
[ -z "$(cd "$work/island" && HOME=$work/island relay-list out)" ] || die "something still waits"

# Still in the network of the hotspot: the default route of this machine is nobody's courier.
echo
echo "All of it in one line of crontab(5), in which any program may fail and any road be gone."
run island 'relay-route -q; relay-online -q --ca ../ca.pem; relay-post -q --ca ../ca.pem; relay-ferry -q --sync; relay-route -q; relay-sync -q --if-present ../stick'

echo
echo "All is well: $NAME went from Anna to Bert four times, by wire, by stick and by courier, and came four times."
