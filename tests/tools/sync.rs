//! relay-sync and relay-carry: what goes onto a medium and comes off it.

use std::fs;

use crate::testenv::{Call, Env, Ran, id};

fn sync<'a>(env: &'a Env, at: &str, medium: &str) -> Call<'a> {
    env.relay("sync").args(["-N", at, medium])
}

fn put(env: &Env, at: &str, parcel: Vec<u8>) {
    env.relay("put").args(["-N", at]).stdin(parcel).ok().quiet();
}

fn route(env: &Env, at: &str) {
    env.relay("route").args(["-N", at]).ok().quiet();
}

/// A medium in the directory `stick`.
fn medium(env: &Env) {
    sync(env, "gateway", "stick").arg("--init").ok().quiet();
}

/// The files of a queue of a node's spool.
fn queue(env: &Env, at: &str, queue: &str) -> Vec<String> {
    let dir = format!("{at}/spool/{queue}");
    if env.path(&dir).exists() {
        env.names(&dir)
    } else {
        Vec::new()
    }
}

/// What lies on the medium for a gateway.
fn lying(env: &Env, kind: &str, gateway: &str) -> Vec<String> {
    let dir = format!("stick/relaynet/{kind}/{}", id(gateway));
    if env.path(&dir).exists() {
        env.names(&dir)
    } else {
        Vec::new()
    }
}

fn state(env: &Env, at: &str, message: &str) -> (i32, String) {
    let ran = env.relay("list").args(["-N", at, "--id", message]).run();
    let text = String::from_utf8(ran.stdout).unwrap();
    (
        ran.status,
        text.split('\t')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned(),
    )
}

#[track_caller]
fn said(ran: &Ran, event: &str) {
    assert!(
        ran.stderr.contains(&format!("event={event}")),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_parcel_crosses_two_gateways_and_is_acknowledged() {
    let env = Env::with_gateways();
    medium(&env);
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    put(&env, "mallory", parcel.clone());
    route(&env, "mallory");
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    said(&ran, "packed");
    said(&ran, "requested");
    assert_eq!(lying(&env, "cargo", "hub").len(), 1);
    assert_eq!(lying(&env, "cca", "hub").len(), 2); // that of gateway, which made the medium, and this one
    assert_eq!(state(&env, "mallory", "m1").0, 75);

    // The hub has it, says so to mallory, and waits for somebody to ask for it.
    let ran = sync(&env, "hub", "stick").arg("-v").ok();
    said(&ran, "stored");
    said(&ran, "asked");
    assert_eq!(lying(&env, "cargo", "hub"), [""; 0]);
    assert_eq!(lying(&env, "cca", "hub"), [""; 0]);
    assert_eq!(lying(&env, "cargo", "mallory").len(), 1);
    route(&env, "hub");
    assert_eq!(
        queue(&env, "hub", &format!("out/{}", id("gateway"))).len(),
        1
    );
    sync(&env, "hub", "stick").ok().quiet();
    assert_eq!(lying(&env, "cargo", "gateway").len(), 1);

    sync(&env, "mallory", "stick").ok().quiet();
    route(&env, "mallory");
    assert_eq!(state(&env, "mallory", "m1"), (0, "acknowledged".to_owned()));
    assert_eq!(
        queue(&env, "mallory", &format!("out/{}", id("hub"))),
        [""; 0]
    );

    sync(&env, "gateway", "stick").ok().quiet();
    let arrived = queue(&env, "gateway", "in");
    assert_eq!(arrived.len(), 1);
    assert_eq!(env.read(format!("gateway/spool/in/{}", arrived[0])), parcel);
    sync(&env, "hub", "stick").ok().quiet();
    route(&env, "hub");
    assert_eq!(state(&env, "hub", "m1"), (0, "acknowledged".to_owned()));
    assert_eq!(
        queue(&env, "hub", &format!("out/{}", id("gateway"))),
        [""; 0]
    );
}

#[test]
fn what_is_no_medium_is_left_alone() {
    let env = Env::with_gateways();
    sync(&env, "gateway", "stick").fails(66, "stick is not a medium");
    sync(&env, "gateway", "stick")
        .arg("--if-present")
        .ok()
        .quiet()
        .changes(&[]);
    sync(&env, "gateway", "nowhere")
        .arg("--if-present")
        .ok()
        .quiet()
        .changes(&[]);
    fs::create_dir(env.path("stick/relaynet")).unwrap();
    env.write("stick/relaynet/VERSION", "relay-medium 2\n");
    sync(&env, "gateway", "stick").fails(66, "stick is a medium of another version");
}

/// The first file of a directory on the medium.
fn first(env: &Env, kind: &str, gateway: &str) -> String {
    format!(
        "stick/relaynet/{kind}/{}/{}",
        id(gateway),
        lying(env, kind, gateway)[0]
    )
}

/// A world in which a parcel of bob's for alice waits at mallory for the hub.
fn waiting() -> Env {
    let env = Env::with_gateways();
    medium(&env);
    put(
        &env,
        "mallory",
        env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]),
    );
    route(&env, "mallory");
    env
}

#[test]
fn a_message_goes_once_onto_a_medium_and_again_when_its_cargo_has_left() {
    let env = waiting();
    sync(&env, "mallory", "stick").ok().quiet();
    sync(&env, "mallory", "stick").ok().quiet().changes(&[]);
    let cargo = first(&env, "cargo", "hub");
    fs::remove_file(env.path(&cargo)).unwrap();
    let ran = sync(&env, "mallory", "stick").arg("-v").ok();
    said(&ran, "packed");
    assert_eq!(lying(&env, "cargo", "hub").len(), 1);
    assert_ne!(first(&env, "cargo", "hub"), cargo);
    // Another medium is another chance.
    env.mkdir("other");
    let ran = sync(&env, "mallory", "other").args(["--init", "-v"]).ok();
    said(&ran, "packed");
    // What lies there for as long as the node's config says goes again.
    let later = "2026-03-08T12:00:01Z";
    let ran = sync(&env, "mallory", "stick").at(later).arg("-v").ok();
    said(&ran, "packed");
    assert_eq!(lying(&env, "cargo", "hub").len(), 2);
    sync(&env, "mallory", "stick")
        .at(later)
        .ok()
        .quiet()
        .changes(&[]);
}

#[test]
fn cargo_that_comes_again_is_acknowledged_again_and_nothing_is_there_twice() {
    let env = waiting();
    sync(&env, "mallory", "stick").ok().quiet();
    let cargo = first(&env, "cargo", "hub");
    let octets = env.read(&cargo);
    sync(&env, "hub", "stick").ok().quiet();
    let answer = first(&env, "cargo", "mallory");
    fs::remove_file(env.path(&answer)).unwrap();
    // The same cargo once more: it was seen, and is taken off.
    env.write(&cargo, &octets);
    sync(&env, "hub", "stick").ok().quiet();
    assert_eq!(lying(&env, "cargo", "hub"), [""; 0]);
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    // The acknowledgement was lost, so mallory sends again, in other cargo; that is acknowledged, too.
    sync(&env, "mallory", "stick").ok().quiet();
    let ran = sync(&env, "hub", "stick").arg("-v").ok();
    said(&ran, "repeated");
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    sync(&env, "mallory", "stick").ok().quiet();
    route(&env, "mallory");
    assert_eq!(state(&env, "mallory", "m1"), (0, "acknowledged".to_owned()));
}
