//! relay-ferry, against the service definition that the Internet gateway of the network runs, on grpc-js.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::javascript::installed;
use super::poweb::certify;
use super::{World, content};

/// The server, while it runs.
struct CargoServer {
    child: Child,
    said: BufReader<ChildStdout>,
    port: String,
}

impl CargoServer {
    fn start(world: &World, mode: &str, gives: &[&str]) -> Self {
        let mut command = Command::new("node");
        let mut child = command
            .arg(installed().join("cogrpc.cjs"))
            .args([mode, "ca.pem", "tls.key", "got"])
            .args(gives)
            .current_dir(world.dir.path())
            // Proxies and authorities of this machine are not meant for loopback.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self {
            child,
            said,
            port: String::new(),
        };
        server.port = server.line();
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    #[track_caller]
    fn says(&mut self, lines: &[&str]) {
        let said: Vec<String> = lines.iter().map(|_| self.line()).collect();
        assert_eq!(said, lines);
    }
}

impl Drop for CargoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub and its gateway field, whose cargo and request are on the medium red; `back.N` is cargo for field.
fn world() -> World {
    let world = World::new();
    certify(&world);
    world.relay("keygen -q --type gateway --address hub.example.org hub");
    world.relay("keygen -q --type gateway field");
    world.relay("export -N field -o field.pub");
    world.relay("register -q -N hub --name field -o field.pnr field.pub");
    world.relay("import -q -N field --name hub field.pnr");
    for endpoint in ["anna", "bert"] {
        world.relay(&format!("keygen -q {endpoint}"));
    }
    world.relay("export -N bert -o bert.pub");
    world.relay("authorize -q -N anna --name bert -o anna.conn bert.pub");
    world.relay("import -q -N bert --name anna anna.conn");
    fs::create_dir(world.path("red")).unwrap();
    world.relay("sync -q -N field --init red");
    for number in 1..=3 {
        world.write("content", &content(number * 1_000_000));
        world.relay(&format!("seal -N bert -t anna -o parcel.{number} content"));
        world.relay(&format!("request-cargo -N field -t hub -o cca.{number}"));
        world.relay(&format!(
            "pack-cargo -N hub --cca cca.{number} -o back.{number} parcel.{number}"
        ));
    }
    world
}

/// Puts cargo of field's for the hub onto the medium; the files hold the octets.
fn load(world: &World, numbers: std::ops::RangeInclusive<usize>) {
    for number in numbers {
        world.write("content", &content(number * 100_000));
        world.relay(&format!("seal -N bert -t anna -o sent.{number} content"));
        world.relay(&format!(
            "pack-cargo -N field -t hub -o cargo.{number} sent.{number}"
        ));
        put(world, &world.read(&format!("cargo.{number}")));
    }
}

/// Puts octets onto the medium as cargo of field's for the hub.
fn put(world: &World, octets: &[u8]) {
    // The request that field left there is named for both.
    let name = |dir: &str| {
        let entry = fs::read_dir(world.path(dir)).unwrap().next().unwrap();
        entry.unwrap().file_name().into_string().unwrap()
    };
    let hub = name("red/relaynet/cca");
    let request = name(&format!("red/relaynet/cca/{hub}"));
    let field = request.split('.').next().unwrap();
    let digest = relaynet::crypto::hash::sha256(octets);
    let digest = relaynet::asn1::Hex(&digest).to_string();
    let dir = format!("red/relaynet/cargo/{hub}");
    fs::create_dir_all(world.path(&dir)).unwrap();
    world.write(&format!("{dir}/{field}.{digest}.cargo"), octets);
}

fn ferry(world: &World, server: &CargoServer) -> serde_json::Value {
    let port = &server.port;
    let said = world.relay(&format!("ferry --json --pause 0s red 127.0.0.1:{port}"));
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

#[test]
fn relay_ferry_exchanges_cargo_with_a_courier_on_grpc_js() {
    let world = world();
    load(&world, 1..=7);
    let mut server = CargoServer::start(&world, "courier", &["back.1", "back.2", "back.3"]);
    let summary = ferry(&world, &server);
    assert_eq!(
        (&summary["delivered"], &summary["received"]),
        (&7.into(), &3.into())
    );
    // It closes its side only when it has each acknowledgement: nothing is dropped.
    server.says(&[
        "delivering 0 in time",
        "delivered 7",
        "collecting Relaynet-CCA",
        "collected 0",
    ]);
    let shown = world.relay("inspect --json got.cca");
    assert!(shown.contains("cca"), "{shown}");
    // What came is what it gave.
    let mut came: Vec<Vec<u8>> = Vec::new();
    for dir in fs::read_dir(world.path("red/relaynet/cargo")).unwrap() {
        let files = fs::read_dir(dir.unwrap().path()).unwrap();
        came.extend(files.map(|file| fs::read(file.unwrap().path()).unwrap()));
    }
    for number in 1..=3 {
        let gave = world.read(&format!("back.{number}"));
        assert!(came.contains(&gave), "{number}");
    }
}

#[test]
fn relay_ferry_finds_the_cargo_that_a_courier_on_grpc_js_refuses() {
    let world = world();
    load(&world, 1..=2);
    load(&world, 11..=11);
    let mut server = CargoServer::start(&world, "courier", &[]);
    let summary = ferry(&world, &server);
    assert_eq!(
        (&summary["delivered"], &summary["refused"]),
        (&2.into(), &1.into())
    );
    // Which acknowledgements the refusal overtook is chance.
    server.says(&["delivering 0 in time"]);
}

#[test]
fn relay_ferry_takes_what_a_gateway_on_grpc_js_gives_without_waiting() {
    let world = world();
    load(&world, 1..=2);
    let mut server = CargoServer::start(&world, "gateway", &["back.1", "back.2"]);
    let summary = ferry(&world, &server);
    assert_eq!(
        (&summary["delivered"], &summary["received"]),
        (&2.into(), &2.into())
    );
    server.says(&[
        "delivering 0 in time",
        "delivered 2",
        "collecting Relaynet-CCA",
    ]);
    // With nothing to deliver there is no call for it.
    let mut empty = CargoServer::start(&world, "gateway", &[]);
    fs::remove_dir_all(world.path("red/relaynet/cargo")).unwrap();
    fs::create_dir(world.path("red/relaynet/cargo")).unwrap();
    let summary = ferry(&world, &empty);
    assert_eq!(
        (&summary["delivered"], &summary["asked"]),
        (&0.into(), &1.into())
    );
    empty.says(&["collecting Relaynet-CCA", "collected 0"]);
}
