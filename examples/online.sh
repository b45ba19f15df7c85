#!/bin/sh
# online.sh [FILE]: two sites with an Internet gateway, by wire while there is one, by stick while there is none.
#
# Anna is behind the gateway "island", Bert behind the gateway "harbour", and both gateways register with an Internet
# gateway, a small one in Python that is part of this example and listens on loopback alone. FILE (default: this
# script; up to 8 MB) goes from Anna to Bert three times: by wire, by stick while the gateway's server is down, and by wire
# again. Each arrives once, whatever roads it took. Each command is shown before it runs. The programs are built first,
# unless RELAY_BIN names a directory that has them.
# shellcheck disable=SC2016 # commands are shown as they are typed
set -eu
people='anna bert island harbour gateway'
# shellcheck source=examples/scene.sh
. "$(dirname "$0")/scene.sh"
for tool in python3 openssl; do
    command -v $tool > /dev/null || die "$tool is not in PATH: the gateway of this example needs it"
done

# Anna and Bert live in the directories of their gateways.
node_of() {
    case $1 in
    anna) echo "$work/island/.relay/endpoints/anna" ;;
    bert) echo "$work/harbour/.relay/endpoints/bert" ;;
    esac
}

# The gateway's server. The second time it takes the port of the first.
server=
start_server() {
    rm -f "$work/port"
    python3 "$here/online/gateway.py" --node "$work/gateway/.relay" --known "$work/known" --mail "$work/mail" \
        --certificate "$work/server.pem" --key "$work/server.key" --port "${port:-0}" \
        > "$work/port" 2> "$work/gateway.log" &
    server=$!
    tries=0
    until [ -s "$work/port" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || die "the gateway's server does not start: $(cat "$work/gateway.log")"
        sleep 0.1
    done
    read -r port < "$work/port"
}
stop_server() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$server" ] || wait "$server" 2> /dev/null || true
    server=
}
trap 'stop_server; rm -rf "$work"' EXIT

# The certificate of the gateway's server: on the Internet an authority would give it.
certify() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=example authority' \
        -keyout "$work/ca.key" -out "$work/ca.pem"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=example server' \
        -keyout "$work/server.key" -out "$work/server.csr"
    printf 'subjectAltName=DNS:poweb.gw.example.org,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n' > "$work/ext"
    openssl x509 -req -in "$work/server.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 1 \
        -extfile "$work/ext" -out "$work/server.pem"
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

mkdir "$work/known" "$work/mail" "$work/bert/inbox"
cp "$file" "$work/anna/report"

echo
echo "Once, at the Internet gateway: a node, a certificate, whom it registers, and its server."
run gateway 'relay-keygen --type gateway --address gw.example.org'
certify 2> "$work/openssl.log" || die "openssl: $(cat "$work/openssl.log")"
for site in island harbour; do
    run $site "relay-keygen --type gateway -q && relay-export -o ../known/$site.pub"
done
start_server

echo
echo "Once, at both sites: where to look names up, and the registration. A gateway is enrolled before its endpoints are made."
for site in island harbour; do
    run $site "echo resolver = https://127.0.0.1:$port/dns-query >> .relay/config"
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
echo "The gateway's server is down: what Anna sends waits, and a stick takes it."
stop_server
run anna 'relay-seal -t bert --name="2-$NAME" report | relay-put'
run island 'relay-route'
refused 75 island 'relay-online --ca ../ca.pem'
refused 75 island 'relay-online -q --ca ../ca.pem'
run island 'relay-sync --init ../stick'
run harbour 'relay-sync ../stick'
run gateway 'relay-sync --take ../stick && relay-route && relay-sync ../stick'
run harbour 'relay-sync ../stick && relay-route'
arrived 2

echo
echo "The server is back: what no acknowledgement came for goes by wire, too, and is known at the other end."
start_server
run anna 'relay-seal -t bert --name="3-$NAME" report | relay-put'
run island 'relay-route && relay-online -v --ca ../ca.pem'
run harbour 'relay-online -v --ca ../ca.pem && relay-route'
arrived 3
run island 'relay-list out'
[ -z "$(cd "$work/island" && HOME=$work/island relay-list out)" ] || die "something still waits"

echo
echo "All of it in one line of crontab(5), in which any program may fail and any road be gone."
run island 'relay-route -q; relay-online -q --ca ../ca.pem; relay-post -q --ca ../ca.pem; relay-route -q; relay-sync -q --if-present ../stick'

echo
echo "All is well: $NAME went from Anna to Bert three times, by wire and by stick, and came three times."
