//! Imports from media and exports onto them, stopped and failed at each step.

use std::fs;

use super::programs::CASE;
use super::scene::{FIRST, SECOND, Scene};
use super::sweep::{Case, sweep};

/// The number of cases in this file.
pub(crate) const CASES: usize = 8;

/// The faults at each step: a medium may be full, worn out, write-protected or gone.
const FAULTS: &[&str] = &["kill", "torn", "ENOSPC", "EIO", "EDQUOT", "EROFS", "ENOENT"];

/// Which of two messages carried a session key first depends on which of them failed.
const KEYS: &[&str] = &["field/sessions/hub/"];

const SYNC: Case = Case {
    program: "relay-sync",
    now: SECOND,
    faults: FAULTS,
    ..CASE
};

const CARRY: Case = Case {
    program: "relay-carry",
    now: SECOND,
    faults: FAULTS,
    nodes: &["both/stick", "both/blue"],
    ..CASE
};

/// The messages in a directory, in no order.
fn messages(scene: &Scene, dir: &str) -> Vec<Vec<u8>> {
    if !scene.path(dir).exists() {
        return Vec::new();
    }
    let mut found: Vec<Vec<u8>> = scene
        .files(dir)
        .iter()
        .filter(|path| !super::scene::is_temporary(path) && scene.path(path).is_file())
        .map(|path| fs::read(scene.path(path)).unwrap())
        .collect();
    found.sort();
    found
}

/// The content of files of `in`, in no order.
fn files(scene: &Scene, names: &[&str]) -> Vec<Vec<u8>> {
    let read = |name: &&str| fs::read(scene.path(&format!("in/{name}"))).unwrap();
    let mut files: Vec<Vec<u8>> = names.iter().map(read).collect();
    files.sort();
    files
}

fn sync(scene: &Scene, node: &str, medium: &str) {
    let ran = scene.run("relay-sync", &["-q", "-N", node, medium], SECOND);
    ran.expect(0);
    assert_eq!(ran.stderr, "");
}

fn of(scene: &Scene, path: &str, node: &str) -> String {
    format!("{path}/{}", scene.world().id(node))
}

/// Whether a node's replay memory has any entry.
fn remembers(scene: &Scene, node: &str) -> bool {
    let files = scene.files(&format!("{node}/seen"));
    files
        .iter()
        .any(|path| fs::metadata(scene.path(path)).unwrap().len() >= 32)
}

const PARCELS: [&str; 2] = ["first.parcel", "second.parcel"];

#[test]
fn sync_takes() {
    sweep(&Case {
        name: "sync, taking",
        args: &["-q", "-N", "field", "stick"],
        nodes: &["asked/field", "laden/stick"],
        order: &[
            "field/spool/in/",
            "field/peers/",
            "field/spool/acks/",
            "field/seen/",
            "remove stick/relaynet/cargo/",
            "stick/relaynet/cca/",
            "field/spool/carried/",
            "stick/relaynet/cargo/",
            "remove field/spool/acks/",
        ],
        unfinished: KEYS,
        spare: 1,
        left: |scene, _| {
            let cargo = messages(scene, &of(scene, "stick/relaynet/cargo", "field"));
            if remembers(scene, "field") {
                let arrived = messages(scene, "field/spool/in");
                assert_eq!(arrived, files(scene, &PARCELS), "remembered and not here");
            }
            if cargo.is_empty() {
                assert!(remembers(scene, "field"), "gone and not remembered");
            }
        },
        proof: |scene, _| {
            let all_is_here = || {
                assert_eq!(messages(scene, "field/spool/in"), files(scene, &PARCELS));
                let control = messages(scene, &of(scene, "field/spool/control", "hub"));
                assert_eq!(control, files(scene, &["first.pca", "field.rotation"]));
            };
            all_is_here();
            // The same cargo once more changes nothing.
            let dir = of(scene, "stick/relaynet/cargo", "field");
            let octets = fs::read(scene.path("in/answer.cargo")).unwrap();
            let sha256 = relaynet::asn1::Hex(&relaynet::crypto::hash::sha256(&octets)).to_string();
            let name = format!("{}.{sha256}.cargo", scene.world().id("hub"));
            fs::write(scene.path(&format!("{dir}/{name}")), octets).unwrap();
            sync(scene, "field", "stick");
            all_is_here();
            assert_eq!(messages(scene, &dir), [[0; 0]; 0]);
            // Every parcel is acknowledged, whatever was interrupted.
            scene.add("laden/hub");
            sync(scene, "hub", "stick");
            let acks = messages(scene, &of(scene, "hub/spool/control", "field"));
            assert_eq!(acks.len(), 2);
            assert_eq!(
                messages(scene, &of(scene, "hub/spool/cca", "field")).len(),
                1
            );
        },
        ..SYNC
    });
}

#[test]
fn sync_gives() {
    sweep(&Case {
        name: "sync, giving",
        args: &["-q", "-N", "field", "stick"],
        nodes: &["outgoing/field", "blank/stick"],
        order: &[
            "field/sessions/",
            "stick/relaynet/cca/",
            "field/spool/carried/",
            "stick/relaynet/cargo/",
            "field/spool/sent/",
            "field/spool/out/",
        ],
        unfinished: KEYS,
        spare: 1,
        left: |scene, _| {
            let out = messages(scene, &of(scene, "field/spool/out", "hub"));
            assert_eq!(out, files(scene, &PARCELS));
        },
        proof: |scene, _| {
            let out = messages(scene, &of(scene, "field/spool/out", "hub"));
            assert_eq!(out, files(scene, &PARCELS));
            scene.add("routed/hub");
            sync(scene, "hub", "stick");
            assert_eq!(messages(scene, "hub/spool/in"), files(scene, &PARCELS));
            // The answer acknowledges both; nobody waits for that of the second one.
            sync(scene, "field", "stick");
            let routed = scene.run("relay-route", &["-q", "-N", "field"], SECOND);
            routed.expect(0);
            let out = messages(scene, &of(scene, "field/spool/out", "hub"));
            assert_eq!(out, [[0; 0]; 0]);
        },
        ..SYNC
    });
}

#[test]
fn sync_answers() {
    sweep(&Case {
        name: "sync, answering a CCA",
        args: &["-q", "-N", "hub", "stick"],
        nodes: &["routed/hub", "given/stick"],
        order: &[
            "hub/spool/in/",
            "hub/peers/",
            "hub/spool/acks/",
            "hub/seen/",
            "remove stick/relaynet/cargo/",
            "hub/spool/cca/",
            "remove stick/relaynet/cca/",
            "hub/spool/carried/",
            "stick/relaynet/cargo/",
            "remove hub/spool/acks/",
            "remove hub/spool/cca/",
        ],
        spare: 1,
        left: |scene, _| {
            let cca = messages(scene, &of(scene, "hub/spool/cca", "field"));
            let asked = messages(scene, &of(scene, "stick/relaynet/cca", "hub"));
            let answered = messages(scene, &of(scene, "stick/relaynet/cargo", "field"));
            assert!(
                !cca.is_empty() || !asked.is_empty() || !answered.is_empty(),
                "used up without an answer"
            );
        },
        proof: |scene, _| {
            let parcel = &PARCELS[..1];
            assert_eq!(messages(scene, "hub/spool/in"), files(scene, parcel));
            scene.add("asked/field");
            sync(scene, "field", "stick");
            let control = messages(scene, &of(scene, "field/spool/control", "hub"));
            assert_eq!(control, files(scene, &["first.pca"]));
        },
        ..SYNC
    });
}

#[test]
fn sync_withdraws() {
    sweep(&Case {
        name: "sync, taking cargo off",
        args: &["-q", "-N", "field", "stick"],
        nodes: &["withdrawn/field", "withdrawn/stick"],
        order: &[
            "field/spool/acks/",
            "remove stick/relaynet/cargo/",
            "remove field/spool/carried/",
            "field/spool/carried/",
            "stick/relaynet/cargo/",
            "remove field/spool/acks/",
        ],
        unfinished: KEYS,
        spare: 1,
        left: |scene, _| {
            let acks = messages(scene, &of(scene, "field/spool/acks", "hub"));
            let cargo = messages(scene, &of(scene, "stick/relaynet/cargo", "hub"));
            assert!(!acks.is_empty() || !cargo.is_empty(), "it is lost");
        },
        proof: |scene, _| {
            scene.add("routed/hub");
            sync(scene, "hub", "stick");
            assert_eq!(messages(scene, "hub/spool/in"), [[0; 0]; 0]);
            let control = messages(scene, &of(scene, "hub/spool/control", "field"));
            assert_eq!(control, files(scene, &["first.pca"]));
        },
        ..SYNC
    });
}

/// A message that can be answered.
fn request_proof(scene: &Scene) {
    scene.add("routed/hub");
    sync(scene, "hub", "stick");
    assert_eq!(
        messages(scene, &of(scene, "hub/spool/cca", "field")).len(),
        1
    );
    let args = ["-q", "-N", "hub", "in/first.parcel"];
    scene.run("relay-put", &args, SECOND).expect(0);
    fs::write(scene.path("hub/routes"), "* peer:field\n").unwrap();
    let args = ["-q", "-N", "hub"];
    scene.run("relay-route", &args, SECOND).expect(0);
    sync(scene, "hub", "stick");
    sync(scene, "field", "stick");
    assert_eq!(
        messages(scene, "field/spool/in"),
        files(scene, &PARCELS[..1])
    );
}

#[test]
fn sync_asks() {
    sweep(&Case {
        name: "sync, making a CCA",
        args: &["-q", "-N", "field", "stick"],
        nodes: &["routed/field", "blank/stick"],
        order: &["field/peers/", "field/sessions/", "stick/relaynet/cca/"],
        spare: 1,
        proof: |scene, _| request_proof(scene),
        ..SYNC
    });
}

#[test]
fn sync_makes_a_medium() {
    sweep(&Case {
        name: "sync --init",
        args: &["-q", "-N", "field", "--init", "stick"],
        nodes: &["routed/field", "empty/stick"],
        order: &[
            "stick/relaynet/ID",
            "stick/relaynet/VERSION",
            "stick/relaynet/cca/",
        ],
        spare: 1,
        proof: |scene, _| request_proof(scene),
        ..SYNC
    });
}

/// Checks that whatever a gateway has not taken is still on a medium.
fn carried_left(scene: &Scene) {
    for (kind, file) in [("cargo", "first.cargo"), ("cca", "field.cca")] {
        let on = |medium: &str| {
            let dir = of(scene, &format!("{medium}/relaynet/{kind}"), "hub");
            messages(scene, &dir) == files(scene, &[file])
        };
        assert!(on("stick") || on("blue"), "{file} is lost");
    }
}

fn carry_proof(scene: &Scene, moved: bool) {
    assert_eq!(
        messages(scene, &of(scene, "stick/relaynet/cargo", "hub")).is_empty(),
        moved
    );
    // What had arrived is not carried, and leaves.
    for (medium, hints) in [("stick", 1), ("blue", 0)] {
        let dir = format!("{medium}/relaynet");
        let cargo = messages(scene, &of(scene, &format!("{dir}/cargo"), "field"));
        assert_eq!(cargo, [[0; 0]; 0]);
        let got = messages(scene, &of(scene, &format!("{dir}/got"), "field"));
        assert_eq!(got, vec![format!("{FIRST}\n").into_bytes(); hints]);
    }
    scene.add("routed/hub");
    sync(scene, "hub", "blue");
    let arrived = messages(scene, "hub/spool/in");
    assert_eq!(arrived, files(scene, &PARCELS[..1]));
}

#[test]
fn carry() {
    sweep(&Case {
        name: "carry",
        args: &["-q", "stick", "blue"],
        order: &[
            "blue/relaynet/cca/",
            "blue/relaynet/cargo/",
            "remove stick/relaynet/cargo/",
        ],
        left: |scene, _| carried_left(scene),
        proof: |scene, _| carry_proof(scene, false),
        ..CARRY
    });
}

#[test]
fn carry_and_move() {
    sweep(&Case {
        name: "carry --move",
        args: &["-q", "--move", "stick", "blue"],
        order: &[
            "blue/relaynet/cca/",
            "remove stick/relaynet/cca/",
            "blue/relaynet/cargo/",
        ],
        left: |scene, _| carried_left(scene),
        proof: |scene, _| carry_proof(scene, true),
        ..CARRY
    });
}
