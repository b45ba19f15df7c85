//! Stopped while authorizations are revoked, and while gateways pass that on.

use std::fs;

use relaynet::message::Item;

use super::programs::CASE;
use super::scene::{FIRST, HALF, SECOND, Scene};
use super::sweep::{Case, sweep};

/// The number of cases in this file.
pub(crate) const CASES: usize = 4;

/// The PDDs below a directory.
fn pdds(scene: &Scene, dir: &str) -> Vec<Vec<u8>> {
    if !scene.path(dir).exists() {
        return Vec::new();
    }
    let mut files = scene.files(dir);
    files.retain(|file| file.rsplit('.').next() == Some("pdd"));
    let read = |file: &String| fs::read(scene.path(file)).unwrap();
    files.iter().map(read).collect()
}

/// Checks that what bob sends is refused.
fn refused(scene: &Scene, node: &str) {
    let run = scene.run(
        "relay-verify",
        &["-q", "-N", node, "in/first.parcel"],
        SECOND,
    );
    run.expect(77);
    assert!(run.stderr.contains(" is revoked by "), "{}", run.stderr);
}

#[test]
fn revoke() {
    sweep(&Case {
        name: "revoke, with a file",
        program: "relay-revoke",
        args: &["-q", "-N", "alice", "-o", "out/alice.pdd", "bob"],
        now: FIRST,
        nodes: &["friends/alice"],
        order: &["alice/revoked/", "out/alice.pdd"],
        left: |scene, _| {
            let whole = scene.results();
            for pdd in &whole {
                assert!(matches!(Item::parse(decoded(pdd)), Ok(Item::Pdd(_))));
            }
            // What left is enforced here.
            if !whole.is_empty() {
                refused(scene, "alice");
            }
        },
        next: |scene| {
            let is_written = scene.path("out/alice.pdd").exists();
            if is_written { 73 } else { 0 }
        },
        force: Some("-f"),
        proof: |scene, _| {
            assert_eq!(pdds(scene, "alice/revoked").len(), 1);
            refused(scene, "alice");
        },
        ..CASE
    });
}

fn decoded(octets: &[u8]) -> Vec<u8> {
    let blocks = relaynet::asn1::pem::blocks(octets).unwrap();
    blocks[0].contents.clone()
}

#[test]
fn revoke_at_an_endpoint_here() {
    sweep(&Case {
        name: "revoke, into the gateway's spool",
        program: "relay-revoke",
        args: &["-q", "-N", "field", "--issuer", "alice", "--all"],
        now: FIRST,
        nodes: &["revoking/field"],
        order: &["field/revoked/", "field/spool/in/"],
        left: |scene, stdout| {
            if !stdout.is_empty() || !pdds(scene, "field/spool/in").is_empty() {
                assert_eq!(pdds(scene, "field/revoked").len(), 1);
            }
        },
        proof: |scene, _| {
            assert_eq!(pdds(scene, "field/spool/in"), pdds(scene, "field/revoked"));
        },
        ..CASE
    });
}

#[test]
fn revoke_for_an_endpoint_of_the_gateway() {
    sweep(&Case {
        name: "revoke, for a local endpoint",
        program: "relay-revoke",
        args: &["-q", "-N", "field", "--issuer", "home", "--all"],
        now: HALF,
        nodes: &["homely/field"],
        order: &[
            "field/revoked/",
            "field/endpoints/home/revoked/",
            "field/spool/in/",
        ],
        left: |scene, stdout| {
            let told = pdds(scene, "field/endpoints/home/revoked");
            assert!(told.is_empty() || told == pdds(scene, "field/revoked"));
            // One that cannot be told keeps the gateways from nothing.
            if !stdout.is_empty() {
                assert_eq!(pdds(scene, "field/spool/in").len(), 1);
            }
        },
        proof: |scene, _| {
            let pdd = pdds(scene, "field/revoked");
            assert_eq!(pdd.len(), 1);
            assert_eq!(pdds(scene, "field/endpoints/home/revoked"), pdd);
            assert_eq!(pdds(scene, "field/spool/in"), pdd);
        },
        ..CASE
    });
}

#[test]
fn route_passes_it_on() {
    sweep(&Case {
        name: "route, a PDD",
        program: "relay-route",
        args: &["-q", "-N", "field"],
        now: FIRST,
        nodes: &["passing/field"],
        order: &[
            "field/spool/out/",
            "field/revoked/",
            "remove field/spool/in/",
        ],
        left: |scene, _| {
            // It goes only when it is stored, and that only when it is on its way.
            let (out, kept) = (pdds(scene, "field/spool/out"), pdds(scene, "field/revoked"));
            assert!(pdds(scene, "field/spool/in").len() == 1 || kept.len() == 1);
            assert!(kept.is_empty() || out == kept);
        },
        proof: |scene, _| {
            let pdd = fs::read(scene.path("in/alice.pdd")).unwrap();
            let one = std::slice::from_ref(&pdd);
            assert_eq!(pdds(scene, "field/spool/out"), one);
            assert_eq!(pdds(scene, "field/revoked"), one);
            assert_eq!(pdds(scene, "field/spool/in"), [[0; 0]; 0]);
        },
        ..CASE
    });
}
