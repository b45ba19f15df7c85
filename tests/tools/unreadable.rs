//! What cannot be read of one peer or message is reported, and keeps no other from being served.

use std::fs;

use crate::testenv::{Call, Env, id};

/// A program at a node.
fn relay<'a>(env: &'a Env, program: &str, node: &str) -> Call<'a> {
    env.relay(program).args(["-N", node])
}

/// The hub with a parcel from bob to alice, who is behind gateway, on its way out; mallory is another gateway that it
/// registered.
fn with_parcel() -> Env {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    relay(&env, "put", "hub").stdin(parcel).ok();
    // The gateway asks for its cargo.
    relay(&env, "sync", "gateway")
        .args(["--init", "stick"])
        .ok();
    env
}

/// Puts a directory where a file is, which can then not be read.
fn spoil(env: &Env, file: &str) {
    let path = env.path(file);
    fs::remove_file(&path).ok();
    fs::create_dir(&path).unwrap();
}

fn mallory() -> String {
    format!("hub/peers/{}", id("mallory"))
}

fn out(gateway: &str) -> String {
    format!("hub/spool/out/{}", id(gateway))
}

/// A program that reads more peers than its messages name would meet the one that cannot be read. With 20 000 peers, it
/// would take seconds for one message.
#[test]
fn peers_that_no_message_names_are_not_read() {
    for file in ["identity.pub", "name", "address", "session.pem"] {
        let env = with_parcel();
        relay(&env, "keygen", "hub")
            .args(["--endpoint", "local", "--set", "clock=test"])
            .ok();
        spoil(&env, &format!("{}/{file}", mallory()));
        relay(&env, "route", "hub").ok().quiet();
        assert_eq!(env.names(&out("gateway")).len(), 1, "{file}");
        relay(&env, "sync", "hub").arg("stick").ok().quiet();
        let cargo = format!("stick/relaynet/cargo/{}", id("gateway"));
        assert_eq!(env.names(&cargo).len(), 1, "{file}");
        let parcel = env.parcel("bob", "alice", b"y");
        relay(&env, "put", "hub").stdin(parcel).ok().quiet();
        relay(&env, "list", "hub").ok().quiet();
    }
}

#[test]
fn a_peer_that_cannot_be_read_is_told_where_peers_are_listed() {
    let env = Env::with_gateways();
    spoil(&env, &format!("{}/name", mallory()));
    let peers = relay(&env, "peers", "hub").run();
    assert_ne!(peers.status, 0);
    assert!(peers.text().contains(&id("gateway")), "{}", peers.stderr);
    let about = peers.diagnostics();
    let told = about.iter().filter(|line| line.contains("/name")).count();
    assert_eq!(told, 1, "{about:?}");
}

#[test]
fn what_may_go_by_a_peer_that_cannot_be_read_is_not_set_aside() {
    let env = Env::with_gateways();
    // Alice is known by this path alone.
    let parcel = env.parcel("bob", "alice", b"x");
    relay(&env, "put", "hub").stdin(parcel).ok();
    let gateway = format!("hub/peers/{}", id("gateway"));
    let key = env.read(format!("{gateway}/identity.pub"));
    spoil(&env, &format!("{gateway}/identity.pub"));
    let ran = relay(&env, "route", "hub").run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    let about = format!("hub/peers/{}/identity.pub", id("gateway"));
    assert!(ran.stderr.contains(&about), "{}", ran.stderr);
    assert!(!env.path("hub/spool/failed").exists() || env.names("hub/spool/failed").is_empty());
    fs::remove_dir(env.path(format!("{gateway}/identity.pub"))).unwrap();
    env.write(format!("{gateway}/identity.pub"), key);
    relay(&env, "route", "hub").ok().quiet();
    assert_eq!(env.names(&out("gateway")).len(), 1);
}

#[test]
fn a_fifo_in_a_queue_is_said() {
    let env = with_parcel();
    relay(&env, "route", "hub").ok();
    let name = env.names(&out("gateway")).remove(0);
    let fifo = format!("{}/{}", out("gateway"), name.replace(".2026", ".2027"));
    let made = std::process::Command::new("mkfifo")
        .arg(env.path(&fifo))
        .status();
    assert!(made.unwrap().success());
    let ran = relay(&env, "sync", "hub").arg("stick").ok();
    assert!(
        ran.stderr.contains("does not belong there"),
        "{}",
        ran.stderr
    );
    let cargo = format!("stick/relaynet/cargo/{}", id("gateway"));
    assert_eq!(env.names(&cargo).len(), 1);
}

#[test]
fn junk_in_a_queue_to_a_gateway_is_set_aside_once() {
    let env = with_parcel();
    relay(&env, "route", "hub").ok();
    let name = env.names(&out("gateway")).remove(0);
    let junk = name.replace(".2026", ".2027");
    env.write(format!("{}/{junk}", out("gateway")), "junk");
    let sync = || relay(&env, "sync", "hub").arg("stick");
    let ran = sync().run();
    assert!(ran.stderr.contains("set aside"), "{}", ran.stderr);
    assert_eq!(env.names("hub/spool/failed").len(), 2);
    sync().ok().quiet();
}

#[test]
fn a_name_that_is_taken_keeps_no_message_from_being_stored() {
    let env = Env::with_gateways();
    env.write("hub/routes", "* peer:mallory\n");
    let parcel = env.parcel("alice", "bob", b"x");
    relay(&env, "put", "gateway").stdin(parcel).ok();
    let name = env.names("gateway/spool/in").remove(0);
    relay(&env, "route", "gateway").ok();
    relay(&env, "sync", "gateway")
        .args(["--init", "stick"])
        .ok();
    fs::create_dir_all(env.path("hub/spool/in")).unwrap();
    let fifo = env.path(format!("hub/spool/in/{name}"));
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    relay(&env, "sync", "hub")
        .args(["--take", "stick"])
        .ok()
        .quiet();
    let files = env.names("hub/spool/in");
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn a_claim_that_cannot_be_taken_keeps_only_its_sender_waiting() {
    let env = Env::with_peers();
    env.introduce("carol", "alice", &[]);
    for (from, message) in [("bob", "m1"), ("carol", "m2"), ("bob", "m3")] {
        let parcel = env.parcel_with(from, "alice", message.as_bytes(), &["--id", message]);
        env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    }
    env.relay("route").args(["-N", "alice"]).ok();
    let claim = format!("alice/lock/open.{}", id("bob"));
    env.mkdir(&claim);
    let deliver = || env.relay("deliver").args(["-N", "alice", "--", "cat"]);
    let ran = deliver().run();
    assert_eq!(ran.stdout, b"m2", "{}", ran.stderr);
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    let failed = format!("cannot open {claim}: Is a directory");
    assert_eq!(ran.stderr.matches(&failed).count(), 2, "{}", ran.stderr);
    fs::remove_dir(env.path(&claim)).unwrap();
    assert_eq!(deliver().ok().stdout.len(), 4);
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let env = Env::with_gateways();
    relay(&env, "serve", "hub")
        .args(["--listen", "127.0.0.1:0"])
        .args(["--cert", "missing.pem", "--key", "missing.key"])
        .fails(66, "missing.pem: cannot open");
}
