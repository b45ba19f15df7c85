//! The client that desktop gateways run, against relay-serve.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use super::World;
use super::javascript::installed;

/// A server, while it runs.
pub(super) struct Gateway {
    child: Child,
    pub(super) port: String,
}

impl Gateway {
    /// relay-serve for this node, with the certificate in ca.pem.
    pub(super) fn serve(world: &World, node: &str) -> Self {
        let certified = ["--cert", "ca.pem", "--key", "tls.key"];
        Self::start(world, &[&["-N", node], &certified[..]].concat())
    }

    /// relay-serve with these options.
    pub(super) fn start(world: &World, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_relay-serve"))
            .args(["-v", "--listen", "127.0.0.1:0"])
            .args(options)
            .current_dir(world.dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        // It may warn of its certificate first.
        while !line.contains("event=serving") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it ended");
        }
        let (_, port) = line.trim().rsplit_once(':').expect(&line);
        let port = port.to_owned();
        let mut log = File::create(world.path("gateway.log")).unwrap();
        std::thread::spawn(move || std::io::copy(&mut errors, &mut log));
        Self { child, port }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub that knows the gateway field; anna is an endpoint of field's, and bert may send to her.
fn world() -> World {
    let world = World::new();
    world.relay("keygen -q --type gateway --address hub.example.org hub");
    world.relay("keygen -q --type gateway field");
    fs::create_dir(world.path("known")).unwrap();
    world.relay("export -N field -o known/field.pub");
    world
}

/// A certificate for this machine, in ca.pem, with its key in tls.key.
pub(super) fn certify(world: &World) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-days",
            "1",
        ])
        .args(["-keyout", "tls.key", "-out", "ca.pem"])
        .current_dir(world.dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Parcels from bert to anna, who is behind field: field is registered by now.
fn parcel(world: &World, name: &str) {
    world.write("content", name.as_bytes());
    world.relay(&format!("seal -N bert -t anna -o {name} content"));
}

fn client(world: &World, gateway: &Gateway, out: &str, parcels: &[&str]) -> Output {
    let mut command = Command::new("node");
    command
        .arg(installed().join("poweb.cjs"))
        .args([&*gateway.port, "field/identity.key", out])
        .args(parcels)
        .current_dir(world.dir.path())
        // Proxies and authorities of this machine are not meant for loopback.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if world.path("ca.pem").exists() {
        command.env("NODE_EXTRA_CA_CERTS", world.path("ca.pem"));
    }
    command.output().unwrap()
}

#[track_caller]
fn says(world: &World, output: &Output, lines: &[&str]) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let log = fs::read_to_string(world.path("gateway.log")).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines, "{errors}\n{log}");
}

const REGISTERED: &str = "registered hub.example.org with a session key";

/// The whole of what the client does: it registers, delivers and collects.
fn goes_all_the_way(world: &World, gateway: &Gateway) {
    says(
        world,
        &client(world, gateway, "first", &[]),
        &[REGISTERED, "closed"],
    );
    world.relay("import -q -N field --name hub first.pnr");

    world.relay("keygen -q -N field --endpoint anna");
    world.relay("keygen -q bert");
    world.relay("export -N bert -o bert.pub");
    world.relay("authorize -q -N field/endpoints/anna --name bert -o anna.conn bert.pub");
    world.relay("import -q -N bert --name anna anna.conn");
    parcel(world, "one");
    parcel(world, "two");
    let mut tampered = world.read("one");
    *tampered.last_mut().unwrap() ^= 1;
    world.write("tampered", &tampered);
    world.write("nonsense", b"nonsense");
    let output = client(
        world,
        gateway,
        "second",
        &["one", "two", "one", "tampered", "nonsense"],
    );
    says(
        world,
        &output,
        &[
            REGISTERED,
            "delivered one",
            "delivered two",
            "delivered one",
            "refused tampered RefusedParcelError",
            "refused nonsense ParcelDeliveryError",
            "collected 1",
            "collected 2",
            "closed",
        ],
    );
    // In which order is the gateway's affair.
    let sorted = |names: [&str; 2]| {
        let mut octets = names.map(|name| world.read(name));
        octets.sort_unstable();
        octets
    };
    assert!(sorted(["second.1", "second.2"]) == sorted(["one", "two"]));
}

#[test]
fn the_poweb_client_registers_delivers_and_collects_at_relay_serve() {
    let world = world();
    certify(&world);
    let field = world.inspect("known/field.pub")["node"]["id"].clone();
    world.write(
        "hub/register.allow",
        format!("{}\n", field.as_str().unwrap()).as_bytes(),
    );
    let config = world.path("hub/config");
    let config_text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{config_text}registration = known\n")).unwrap();
    let gateway = Gateway::serve(&world, "hub");
    goes_all_the_way(&world, &gateway);
    let left = world.relay("list -N hub");
    assert!(left.is_empty(), "{left}");
}

#[test]
fn relay_serve_registers_nobody_whom_it_does_not_know() {
    let world = world();
    certify(&world);
    let gateway = Gateway::serve(&world, "hub");
    let output = client(&world, &gateway, "out", &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("403"), "{errors}");
    says(&world, &output, &[]);
    assert!(!world.path("out.pnr").exists());
}
