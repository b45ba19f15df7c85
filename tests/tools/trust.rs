//! Whom a node believes: what attackers tried, each under the name of what went wrong.

use std::fs;

use crate::testenv::{Env, HUB, forged, id, self_issued};

/// Cargo from anybody was `authorized: yes` at a gateway on the Internet, which takes parcels from anybody.
#[test]
fn strangers_cargo_is_not_authorized_at_an_internet_gateway() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    for message in [
        env.cargo("gateway", "hub", parcel),
        env.cca("gateway", "hub"),
    ] {
        let stranger = forged(&message, "carol", |message| {
            message.certificates = vec![self_issued("carol")];
        });
        let verify = |octets: &[u8]| env.relay("verify").args(["-N", "hub"]).stdin(octets);
        let ran = verify(&stranger)
            .run()
            .says(&["-: the recipient has not authorized "]);
        assert_eq!(ran.status, 77);
        assert!(ran.text().ends_with(": authorized: no\n"), "{}", ran.text());
        let ran = verify(&message).ok().quiet();
        assert!(
            ran.text().ends_with(": authorized: yes\n"),
            "{}",
            ran.text()
        );
    }
}

/// A gateway that was forgotten seals to the session key that anybody may have, under the certificate
/// that it has still: it was taken, and known again.
#[test]
fn a_gateway_that_was_forgotten_does_not_come_back() {
    let env = Env::with_gateways();
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "mallory", "--replace"])
        .stdin(ncp)
        .ok();
    let cargo = env.cargo("mallory", "hub", env.parcel("bob", "alice", b"x"));
    let cca = env.cca("mallory", "hub");
    env.write("mal.cargo", &cargo);
    env.write("mal.cca", &cca);
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    env.relay("peers")
        .args(["-q", "-N", "hub", "--forget", "mallory"])
        .ok();

    let unknown = format!(
        "mal.cargo: {} is certified by this gateway, but not known here",
        id("mallory")
    );
    env.relay("unpack-cargo")
        .args(["-N", "hub", "mal.cargo"])
        .fails(77, &unknown);
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "mal.cca", "x.parcel"])
        .fails(77, &unknown.replace("cargo: ", "cca: "));
    for message in ["mal.cargo", "mal.cca"] {
        let ran = env
            .relay("verify")
            .args(["-N", "hub", message])
            .run()
            .says(&[&format!("{message}: the recipient has not authorized ")]);
        assert_eq!(ran.status, 77);
    }
    assert!(!env.path(format!("hub/peers/{}", id("mallory"))).exists());

    // Known again, its cargo counts again.
    env.relay("register")
        .args(["-q", "-N", "hub", "mallory/identity.pub"])
        .ok();
    env.relay("unpack-cargo")
        .args(["-q", "-N", "hub", "mal.cargo"])
        .ok();
}

/// While the sender was not known, the lock was that of strangers; opening made it known, and a second run
/// took the lock of the peer before the first had remembered the message.
#[test]
fn whoever_this_node_certified_has_a_lock_of_its_own() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &[]);
    env.make_node("carol", &[]);
    let ncp = env.relay("export").args(["-q", "-N", "alice"]).ok().stdout;
    env.introduce("bob", "alice", &[]);
    for node in ["bob", "carol"] {
        env.relay("import")
            .args(["-q", "-N", node, "--replace", "--name", "alice"])
            .stdin(&*ncp)
            .ok();
    }
    let parcels = ["bob", "carol"].map(|from| env.parcel(from, "alice", b"x"));
    env.relay("peers")
        .args(["-q", "-N", "alice", "--forget", "bob"])
        .ok();
    fs::remove_dir_all(env.path("alice/lock")).unwrap();
    for parcel in parcels {
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(&*parcel)
            .ok()
            .stdout("x");
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(parcel)
            .fails(82, "-: already received");
    }
    let locks = env.names("alice/lock");
    let own = format!("peer.{}", id("bob"));
    assert_eq!(locks, ["node", &own, "seen", "strangers"]);
    // Nor does it come back by a message of its own.
    env.relay("peers").args(["-N", "alice"]).ok().stdout("");
}

/// An endpoint's certificate is one of an authority, too: cargo and CCAs under it were taken.
#[test]
fn an_endpoint_is_no_gateway() {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("mallory", &["--type", "gateway"]);
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    env.introduce("bob", "alice", &[]);
    env.register("hub", "mallory", &["--type", "endpoint"]);
    let ncp = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "mallory", "--replace"])
        .stdin(ncp)
        .ok();
    env.write("x.parcel", env.parcel("bob", "alice", b"x"));
    env.write(
        "mal.cargo",
        env.cargo("mallory", "hub", env.read("x.parcel")),
    );
    env.write("mal.cca", env.cca("mallory", "hub"));
    let endpoint = format!("{} is registered here as an endpoint", id("mallory"));
    env.relay("unpack-cargo")
        .args(["-N", "hub", "mal.cargo"])
        .fails(77, &format!("mal.cargo: {endpoint}"));
    env.relay("pack-cargo")
        .args(["-N", "hub", "--cca", "mal.cca", "x.parcel"])
        .fails(77, &format!("mal.cca: {endpoint}"));
    for message in ["mal.cargo", "mal.cca"] {
        let ran = env
            .relay("verify")
            .args(["-N", "hub", message])
            .run()
            .says(&[&format!("{message}: the recipient has not authorized ")]);
        assert_eq!(ran.status, 77);
    }
}
