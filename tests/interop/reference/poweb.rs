//! The client that desktop gateways run, against the gateway of `examples/online`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::World;
use super::javascript::installed;

/// The gateway of the example, while it runs.
struct Gateway {
    child: Child,
    port: String,
}

impl Gateway {
    fn start(world: &World, options: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/online/gateway.py");
        let programs = Path::new(env!("CARGO_BIN_EXE_relay-open"))
            .parent()
            .unwrap();
        let mut child = Command::new("python3")
            .arg(script)
            .args(["--node", "hub", "--known", "known", "--mail", "mail"])
            .args(options)
            .current_dir(world.dir.path())
            .env(
                "PATH",
                format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()),
            )
            .stdout(Stdio::piped())
            .stderr(File::create(world.path("gateway.log")).unwrap())
            .spawn()
            .expect("python3 is needed for the gateway of the example");
        let mut port = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        let port = port.trim().to_owned();
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
    for dir in ["known", "mail"] {
        fs::create_dir(world.path(dir)).unwrap();
    }
    world.relay("export -N field -o known/field.pub");
    world
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

#[test]
fn the_poweb_client_registers_delivers_and_collects_at_the_gateway_of_the_example() {
    let world = world();
    let gateway = Gateway::start(&world, &[]);
    says(
        &world,
        &client(&world, &gateway, "first", &[]),
        &[REGISTERED, "closed"],
    );
    world.relay("import -q -N field --name hub first.pnr");

    world.relay("keygen -q -N field --endpoint anna");
    world.relay("keygen -q bert");
    world.relay("export -N bert -o bert.pub");
    world.relay("authorize -q -N field/endpoints/anna --name bert -o anna.conn bert.pub");
    world.relay("import -q -N bert --name anna anna.conn");
    parcel(&world, "one");
    parcel(&world, "two");
    let mut tampered = world.read("one");
    *tampered.last_mut().unwrap() ^= 1;
    world.write("tampered", &tampered);
    world.write("nonsense", b"nonsense");
    let output = client(
        &world,
        &gateway,
        "second",
        &["one", "two", "one", "tampered", "nonsense"],
    );
    says(
        &world,
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
    for (collected, sent) in [("second.1", "two"), ("second.2", "one")] {
        assert!(
            world.read(collected) == world.read(sent),
            "one came again, so it is the younger"
        );
    }
    let field = world.inspect("known/field.pub")["node"]["id"].clone();
    let mailbox = world.path("mail").join(field.as_str().unwrap());
    let left = fs::read_dir(mailbox).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn the_gateway_of_the_example_registers_nobody_whom_it_does_not_know() {
    let world = world();
    fs::remove_file(world.path("known/field.pub")).unwrap();
    let gateway = Gateway::start(&world, &[]);
    let output = client(&world, &gateway, "out", &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("403"), "{errors}");
    says(&world, &output, &[]);
    assert!(!world.path("out.pnr").exists());
}

#[test]
fn the_gateway_of_the_example_speaks_tls() {
    let world = world();
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
    let gateway = Gateway::start(&world, &["--certificate", "ca.pem", "--key", "tls.key"]);
    let output = client(&world, &gateway, "out", &[]);
    says(&world, &output, &[REGISTERED, "closed"]);
}
