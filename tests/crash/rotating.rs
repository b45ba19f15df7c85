//! relay-rotate and relay-seal --authorize, stopped and failed at each step: nothing is issued twice, and what was issued leaves.

use std::fs;

use jiff::Timestamp;
use relaynet::node::Directory;
use relaynet::node::issued::{self, HandOver, IssuedKind};
use relaynet::pki::NodeId;

use super::programs::CASE;
use super::scene::{AGAIN, CONTENT, HALF, MONTH, Scene, is_temporary};
use super::sweep::{Case, sweep};

/// The number of cases in this file.
pub(crate) const CASES: usize = 5;

const ROTATE: Case<'static> = Case {
    program: "relay-rotate",
    now: MONTH,
    ..CASE
};

/// The certificates of a kind that a node issued to a peer.
fn issued_to(scene: &Scene, node: &str, peer: &str, kind: IssuedKind) -> usize {
    let folder = kind.folder();
    let dir = format!("{node}/peers/{}/{folder}", scene.world().id(peer));
    let files = scene.files(&dir).into_iter();
    files.filter(|path| !is_temporary(path)).count()
}

/// Checks that there is one certificate more at most, and that the next run knows of one that has not left yet.
fn one_more(scene: &Scene, (node, peer): (&str, &str), kind: IssuedKind, queue: &str) {
    let count = issued_to(scene, node, peer, kind);
    assert!(matches!(count, 1 | 2), "{count}");
    let queue = format!("{node}/spool/{queue}");
    let left = scene.path(&queue).exists() && !scene.files(&queue).is_empty();
    if count == 2 && !left {
        let node = Directory::open(&scene.path(node)).unwrap();
        let peer: NodeId = scene.world().id(peer).parse().unwrap();
        let newest = issued::newest(&node, peer, kind, Timestamp::MAX)
            .unwrap()
            .unwrap();
        let due = HandOver::of(&node, peer, kind).unwrap().unwrap();
        assert_eq!(due.certificate, newest.name);
    }
}

#[test]
fn rotate_an_authorization() {
    sweep(&Case {
        name: "rotate, an authorization in a parcel",
        args: &["-q", "-N", "alice"],
        nodes: &["due/alice"],
        order: &["alice/peers/", "alice/sessions/", "alice/spool/in/"],
        left: |scene, _| one_more(scene, ("alice", "bob"), IssuedKind::Given, "in"),
        proof: |scene, _| {
            let parcels = scene.files("alice/spool/in");
            assert_eq!(parcels.len(), 1, "{parcels:?}");
            assert_eq!(issued_to(scene, "alice", "bob", IssuedKind::Given), 2);
            scene.add("friends/bob");
            let opened = scene.run("relay-open", &["-q", "-N", "bob", &parcels[0]], MONTH);
            opened.expect(0);
            let held = format!("bob/peers/{}/held", scene.world().id("alice"));
            assert_eq!(scene.files(&held).len(), 2);
            // Long after the first session key of alice has become too old.
            let mut args = vec!["-q", "-N", "bob", "-t", "alice", "-o", "tmp/parcel"];
            args.push("in/report.txt");
            scene.run("relay-seal", &args, HALF).expect(0);
            let opened = scene.run("relay-open", &["-q", "-N", "alice", "tmp/parcel"], HALF);
            opened.expect(0);
            assert_eq!(opened.stdout, CONTENT);
        },
        ..ROTATE
    });
}

#[test]
fn rotate_an_authorization_that_was_lost() {
    sweep(&Case {
        name: "rotate, an authorization once more",
        args: &["-q", "-N", "alice"],
        now: AGAIN,
        nodes: &["again/alice"],
        order: &["alice/spool/in/", "alice/peers/"],
        // A run that was killed before it noted the parcel leaves that to the next tenth.
        unfinished: &["alice/peers/"],
        left: |scene, _| {
            assert_eq!(issued_to(scene, "alice", "bob", IssuedKind::Given), 2);
        },
        proof: |scene, _| {
            let parcels = scene.files("alice/spool/in");
            assert_eq!(parcels.len(), 1, "{parcels:?}");
            assert_eq!(issued_to(scene, "alice", "bob", IssuedKind::Given), 2);
            scene.add("friends/bob");
            let opened = scene.run("relay-open", &["-q", "-N", "bob", &parcels[0]], AGAIN);
            opened.expect(0);
            let held = format!("bob/peers/{}/held", scene.world().id("alice"));
            assert_eq!(scene.files(&held).len(), 2);
        },
        ..ROTATE
    });
}

#[test]
fn rotate_a_registration() {
    sweep(&Case {
        name: "rotate, a registration in cargo",
        args: &["-q", "-N", "hub"],
        nodes: &["due/hub"],
        order: &["hub/sessions/any/", "hub/peers/", "hub/spool/acks/"],
        left: |scene, _| one_more(scene, ("hub", "field"), IssuedKind::Registered, "acks"),
        proof: |scene, _| {
            assert_eq!(issued_to(scene, "hub", "field", IssuedKind::Registered), 2);
            let mut rotations = scene.files("hub/spool/acks");
            rotations.retain(|path| path.ends_with(".rotation"));
            assert_eq!(rotations.len(), 2, "{rotations:?}");
            for rotation in rotations {
                scene.add("gateways/field");
                let args = ["-q", "-N", "field", &rotation];
                scene.run("relay-import", &args, MONTH).expect(0);
                let certs = format!("field/certs/{}", scene.world().id("hub"));
                assert_eq!(scene.files(&certs).len(), 2);
                fs::remove_dir_all(scene.path("field")).unwrap();
            }
        },
        ..ROTATE
    });
}

#[test]
fn rotate_a_local_endpoint() {
    sweep(&Case {
        name: "rotate, a local endpoint",
        args: &["-q", "-N", "field"],
        now: HALF,
        nodes: &["homely/field"],
        order: &[
            "field/certs/",
            "field/peers/",
            "field/endpoints/home/certs/",
        ],
        proof: |scene, _| {
            let mut certs = scene.files("field/endpoints/home/certs");
            certs.retain(|path| scene.path(path).is_file());
            assert_eq!(certs.len(), 4, "two own, two of the gateway: {certs:?}");
            let left = scene.files("field/peers").into_iter();
            let left = left.filter(|path| path.ends_with("/rotation"));
            assert_eq!(left.count(), 0);
        },
        ..ROTATE
    });
}

/// The authorization that bob gave carol has ended: the parcel brings another.
#[test]
fn seal_with_an_authorization() {
    sweep(&Case {
        name: "seal --authorize -d DIR",
        program: "relay-seal",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "carol",
            "--authorize",
            "-d",
            "out",
            "in/report.txt",
        ],
        nodes: &["told/bob"],
        order: &["bob/sessions/", "bob/peers/", "out/"],
        spare: 2,
        left: |scene, _| {
            // What it names is on disk before it leaves.
            if scene.results().len() > 1 {
                assert_eq!(issued_to(scene, "bob", "carol", IssuedKind::Given), 3);
            }
        },
        proof: |scene, _| {
            scene.add("alone/carol");
            for parcel in scene.results() {
                let file = scene.keep("parcel", &parcel);
                let opened = scene.run("relay-open", &["-q", "-N", "carol", &file], MONTH);
                opened.expect(0);
                assert!(opened.stdout.is_empty() || opened.stdout == CONTENT);
            }
            let bob = scene.world().id("bob").to_owned();
            let args = [
                "-q",
                "-N",
                "carol",
                "-t",
                &bob,
                "-o",
                "tmp/a",
                "in/report.txt",
            ];
            scene.run("relay-seal", &args, MONTH).expect(0);
            let opened = scene.run("relay-open", &["-q", "-N", "bob", "tmp/a"], MONTH);
            opened.expect(0);
            assert_eq!(opened.stdout, CONTENT);
        },
        ..ROTATE
    });
}
