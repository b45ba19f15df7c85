//! The client of CogRPC that desktop gateways run, against relay-serve as an Internet gateway and as a courier.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::World;
use super::javascript::installed;
use super::poweb::{Gateway, certify};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// What the client is told when it shows a request again. Without a text couriers remove the request.
const USED: &str = "error 7 PERMISSION_DENIED: ";

/// The hub is on the Internet; field with anna and isle with bert are its gateways, and bert may write to anna. Three
/// parcels wait at isle, and each is in a cargo of its own: cargo.1 to cargo.3.
fn world() -> World {
    let world = World::new();
    world.relay("keygen -q --type gateway --address hub.example.org hub");
    for gateway in ["field", "isle"] {
        world.relay(&format!("keygen -q --type gateway {gateway}"));
        register(&world, "hub", gateway);
        fs::create_dir(world.path(&format!("at-{gateway}"))).unwrap();
    }
    world.relay("keygen -q -N field --endpoint anna");
    world.relay("keygen -q -N isle --endpoint bert");
    world.relay("export -N isle/endpoints/bert -o bert.pub");
    world.relay("authorize -q -N field/endpoints/anna --name bert -o anna.conn bert.pub");
    world.relay("import -q -N isle/endpoints/bert --name anna anna.conn");
    for number in 1..=3 {
        world.write("content", format!("parcel {number}").as_bytes());
        let options = format!("--id m{number} -o parcel.{number}");
        world.relay(&format!(
            "seal -N isle/endpoints/bert -t anna {options} content"
        ));
        world.relay(&format!("put -q -N isle parcel.{number}"));
        world.relay(&format!(
            "pack-cargo -N isle -t hub -o cargo.{number} parcel.{number}"
        ));
    }
    world.relay("route -q -N isle");
    world
}

/// A gateway registers a node.
fn register(world: &World, gateway: &str, node: &str) {
    world.relay(&format!("export -f -N {node} -o public"));
    world.relay(&format!(
        "register -f -q -N {gateway} --name {node} -o registration public"
    ));
    world.relay(&format!(
        "import -q -N {node} --name {gateway} registration"
    ));
}

/// The files in a directory of a medium and of a gateway's own there.
fn files(world: &World, dir: &str) -> Vec<PathBuf> {
    let Ok(recipients) = fs::read_dir(world.path(dir)) else {
        return Vec::new();
    };
    recipients
        .flat_map(|it| fs::read_dir(it.unwrap().path()).unwrap())
        .map(|it| it.unwrap().path())
        .collect()
}

/// The gateway makes its medium ready: what it has for the hub becomes `OUT.1` and so on, its request `CCA`. Returns how
/// many cargoes there are.
fn sync(world: &World, gateway: &str, out: &str, cca: &str) -> usize {
    let medium = format!("at-{gateway}");
    world.relay(&format!("sync -q -N {gateway} --init {medium}"));
    let cargo = files(world, &format!("{medium}/relaynet/cargo"));
    for (number, file) in cargo.iter().enumerate() {
        fs::copy(file, world.path(&format!("{out}.{}", number + 1))).unwrap();
    }
    let requests = files(world, &format!("{medium}/relaynet/cca"));
    assert_eq!(requests.len(), 1, "{requests:?}");
    fs::copy(&requests[0], world.path(cca)).unwrap();
    cargo.len()
}

/// When a request was made.
fn request_date(world: &World, cca: &str) -> String {
    world.inspect(cca)["date"].as_str().unwrap().to_owned()
}

/// Puts cargo of the hub onto the medium of a gateway.
fn put(world: &World, gateway: &str, cargo: &str) {
    let octets = world.read(cargo);
    let digest = relaynet::crypto::hash::sha256(&octets);
    let digest = relaynet::asn1::Hex(&digest).to_string();
    // Its request is named for both.
    let request = &files(world, &format!("at-{gateway}/relaynet/cca"))[0];
    let hub = request.parent().unwrap().file_name().unwrap();
    let name = request.file_name().unwrap().to_str().unwrap();
    let dir = format!(
        "at-{gateway}/relaynet/cargo/{}",
        name.split('.').next().unwrap()
    );
    fs::create_dir_all(world.path(&dir)).unwrap();
    let name = format!("{}.{digest}.cargo", hub.to_str().unwrap());
    world.write(&format!("{dir}/{name}"), &octets);
}

/// What the client says.
fn client(world: &World, gateway: &Gateway, words: &str) -> String {
    let output = Command::new("node")
        .arg(installed().join("cargo.cjs"))
        .arg(&gateway.port)
        .args(words.split(' '))
        .current_dir(world.dir.path())
        // Proxies and authorities of this machine are not meant for loopback.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn says(world: &World, gateway: &Gateway, words: &str, lines: &[&str]) {
    let said = client(world, gateway, words);
    let log = fs::read_to_string(world.path("gateway.log")).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), lines, "{words}: {log}");
}

/// Waits until a queue of a node has so many messages: what was acknowledged is unpacked a little later.
#[track_caller]
fn waits(world: &World, queue: &str, messages: usize) {
    let begun = Instant::now();
    loop {
        let listed = world.relay(&format!("list {queue}"));
        if listed.lines().count() == messages {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{queue}: {listed}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_client_delivers_to_relay_serve_as_a_gateway_and_collects_from_it() {
    let world = world();
    certify(&world);
    let gateway = Gateway::serve(&world, "hub");
    world.write("nonsense", b"nonsense");
    // It stops once nothing is left to be acknowledged, though its next cargo takes a while.
    says(
        &world,
        &gateway,
        "deliver 300 cargo.1 nonsense cargo.2 cargo.3",
        &[
            "acknowledged cargo.1",
            "acknowledged nonsense",
            "acknowledged cargo.2",
            "acknowledged cargo.3",
        ],
    );
    waits(&world, "-N hub out/field", 3);

    assert_eq!(sync(&world, "field", "none", "field.cca"), 0);
    // One gets everything, the other nothing, and neither an error.
    says(
        &world,
        &gateway,
        "collect field.cca got other",
        &["collected 0 1"],
    );
    says(&world, &gateway, "collect field.cca again", &[USED]);
    let came = if world.path("got.1").exists() {
        "got.1"
    } else {
        "other.1"
    };
    put(&world, "field", came);
    assert_eq!(sync(&world, "field", "back", "field.2.cca"), 1);
    let listed = world.relay("list -N field");
    assert_eq!(listed.lines().count(), 3, "{listed}");

    // The acknowledgements go back to the hub, and the hub's to isle.
    says(
        &world,
        &gateway,
        "deliver 0 back.1",
        &["acknowledged back.1"],
    );
    waits(&world, "-N hub out", 0);
    sync(&world, "isle", "sent", "isle.cca");
    says(&world, &gateway, "collect isle.cca acks", &["collected 1"]);
    put(&world, "isle", "acks.1");
    sync(&world, "isle", "sent", "isle.cca");
    world.relay("route -q -N isle");
    for number in 1..=3 {
        // Its status is 0 for what was acknowledged.
        let state = world.relay(&format!("list -N isle --id m{number}"));
        assert!(state.contains("acknowledged"), "{state}");
    }
}

#[test]
fn relay_serve_as_a_gateway_tells_the_client_why_it_gives_nothing() {
    let world = world();
    certify(&world);
    let gateway = Gateway::serve(&world, "hub");
    world.relay("keygen -q --type gateway --address other.example.org other");
    world.relay("keygen -q --type gateway stranger");
    register(&world, "other", "stranger");
    world.relay("request-cargo -N stranger -t other -o stranger.cca");
    world.write("nonsense.cca", b"nonsense");
    for cca in ["stranger.cca", "nonsense.cca", "cargo.1"] {
        let said = client(&world, &gateway, &format!("collect {cca} got"));
        assert!(said.starts_with("error 16 UNAUTHENTICATED: "), "{said}");
    }
    // With nothing to give a good one ends well, and is used.
    assert_eq!(sync(&world, "field", "none", "field.cca"), 0);
    says(&world, &gateway, "collect field.cca got", &["collected 0"]);
    says(&world, &gateway, "collect field.cca got", &[USED]);
    assert!(!world.path("got.1").exists());
}

#[test]
fn the_client_delivers_to_relay_serve_as_a_courier_and_collects_from_it() {
    let world = world();
    fs::create_dir(world.path("red")).unwrap();
    // It makes its own certificate, which the client fetches first.
    let courier = Gateway::start(&world, &["--courier", "red", "--init"]);
    world.write("nonsense", b"nonsense");
    says(
        &world,
        &courier,
        "deliver 300 cargo.1 cargo.2 cargo.3",
        &[
            "acknowledged cargo.1",
            "acknowledged cargo.2",
            "acknowledged cargo.3",
        ],
    );
    assert_eq!(files(&world, "red/relaynet/cargo").len(), 3);
    says(
        &world,
        &courier,
        "deliver 0 cargo.2 nonsense",
        &[
            "acknowledged cargo.2",
            "error 3 INVALID_ARGUMENT: not a Relaynet message",
        ],
    );
    // Its carrier goes to the hub with field's request, and comes back with what answers it.
    assert_eq!(sync(&world, "field", "none", "field.cca"), 0);
    says(
        &world,
        &courier,
        "collect field.cca early",
        &["collected 0"],
    );
    for run in [
        "sync -q -N hub red",
        "route -q -N hub",
        "sync -q -N hub red",
    ] {
        world.relay(run);
    }
    // Only a newer request takes cargo off it, and gateways make one for each exchange.
    let first = request_date(&world, "field.cca");
    while request_date(&world, "field.cca") == first {
        fs::remove_dir_all(world.path("at-field/relaynet/cca")).unwrap();
        fs::create_dir(world.path("at-field/relaynet/cca")).unwrap();
        sync(&world, "field", "none", "field.cca");
    }
    says(&world, &courier, "collect field.cca got", &["collected 1"]);
    // Nothing is refused, and what was taken does not come again.
    says(
        &world,
        &courier,
        "collect field.cca again",
        &["collected 0"],
    );
    says(&world, &courier, "collect nonsense again", &["collected 0"]);
    put(&world, "field", "got.1");
    sync(&world, "field", "back", "field.cca");
    let listed = world.relay("list -N field");
    assert_eq!(listed.lines().count(), 3, "{listed}");
}
