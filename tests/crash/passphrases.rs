//! Nodes whose private keys are encrypted, or become so, or not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use relaynet::crypto::Secret;
use relaynet::node::{Directory, Keyring as _, Passphrase, sessions};

use super::programs::{CASE, if_there, import};
use super::scene::{FIRST, START, Scene};
use super::sweep::{Case, sweep};

/// The number of cases in this file.
pub(crate) const CASES: usize = 4;

/// The node of [`keygen_encrypted`] writes to bob, who opens that.
fn encrypted_proof(scene: &Scene, node: &str, pass: &str) {
    scene.add("alone/bob");
    let keyed = ["-q", "-N", node, "--passphrase-file", pass];
    let run = |program: &str, args: &[&str]| {
        let args = [&keyed, args].concat();
        scene.run(program, &args, START).expect(0);
    };
    run("relay-authorize", &["-o", "tmp/new.conn", "in/bob.pub"]);
    import(scene, "bob", "tmp/new.conn", START);
    let seal = [
        "-q",
        "-N",
        "bob",
        "-t",
        "peer",
        "-o",
        "tmp/new.parcel",
        "in/report.txt",
    ];
    scene.run("relay-seal", &seal, FIRST).expect(0);
    run("relay-open", &["-o", "tmp/content", "tmp/new.parcel"]);
}

#[test]
fn keygen_encrypted() {
    sweep(&Case {
        name: "keygen --passphrase",
        program: "relay-keygen",
        args: &[
            "-q",
            "--set",
            "clock=test",
            "--passphrase",
            "--passphrase-file",
            "in/pass",
            "./new",
        ],
        order: &["new/identity.key", "new/sessions/any/", "new/VERSION", "-"],
        faults: &["kill", "torn"],
        next: |scene| if_there(scene, "new/VERSION", 73),
        left: |scene, _| {
            // No key was ever on the disk as it is.
            let is_there = scene.path("new").exists();
            let files = if is_there {
                scene.files("new")
            } else {
                Vec::new()
            };
            for file in files {
                let octets = fs::read(scene.path(&file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&octets);
                assert!(!text.contains("BEGIN PRIVATE KEY"), "{file}");
            }
        },
        proof: |scene, _| encrypted_proof(scene, "new", "in/pass"),
        ..CASE
    });
}

/// Whether this passphrase opens every private key of bob; `None` for no passphrase.
fn opens_all(scene: &Scene, passphrase: Option<&str>) -> bool {
    let passphrase = passphrase.map(str::to_owned);
    let read = move || Ok(passphrase.clone().map(|it| Secret::from(it.into_bytes())));
    let node = Directory::open(&scene.path("bob")).unwrap();
    let node = node.with_passphrase(Arc::new(Passphrase::read_by(Box::new(read))));
    let peers = [None, Some(scene.world().id("alice").parse().unwrap())];
    let mut keys = 0;
    for peer in peers {
        for key in sessions::list(node.root(), peer).unwrap() {
            keys += 1;
            if key.key(&node).is_err() {
                return false;
            }
        }
    }
    assert_eq!(keys, 3, "a key has gone");
    node.identity().is_ok()
}

/// How many files of bob hold an encrypted key.
fn encrypted(scene: &Scene) -> usize {
    let files = scene.files("bob").into_iter();
    let keys = files.filter(|file| Path::new(file).extension().is_some_and(|it| it == "key"));
    let texts = keys.map(|file| fs::read_to_string(scene.path(&file)).unwrap());
    texts
        .filter(|text| text.contains("BEGIN ENCRYPTED"))
        .count()
}

/// What bob seals, alice opens, and what was sealed to him before.
fn change_proof(scene: &Scene, pass: Option<&str>, expected: usize) {
    assert_eq!(encrypted(scene), expected);
    let keyed: Vec<&str> = pass
        .iter()
        .flat_map(|it| ["--passphrase-file", it])
        .collect();
    let seal = [
        "-q",
        "-N",
        "bob",
        "-t",
        "alice",
        "-o",
        "tmp/again.parcel",
        "in/report.txt",
    ];
    let args = [&seal[..], &keyed].concat();
    scene.run("relay-seal", &args, FIRST).expect(0);
    scene.add("friends/alice");
    let open = ["-q", "-N", "alice", "-o", "tmp/again", "tmp/again.parcel"];
    scene.run("relay-open", &open, FIRST).expect(0);
    let seal = [
        "-q",
        "-N",
        "alice",
        "-t",
        "bob",
        "-o",
        "tmp/answer",
        "in/report.txt",
    ];
    scene.run("relay-seal", &seal, FIRST).expect(0);
    let open = ["-q", "-N", "bob", "-o", "tmp/answered", "tmp/answer"];
    let args = [&open[..], &keyed].concat();
    scene.run("relay-open", &args, FIRST).expect(0);
}

/// The defaults of a change.
const CHANGE: Case<'static> = Case {
    program: "relay-keygen",
    order: &["bob/identity.key"],
    faults: &["kill", "torn", "ENOSPC"],
    ..CASE
};

#[test]
fn keygen_sets_a_passphrase() {
    sweep(&Case {
        name: "keygen --change-passphrase (set)",
        args: &[
            "-q",
            "-N",
            "bob",
            "--change-passphrase",
            "--new-passphrase-file",
            "in/pass.new",
        ],
        nodes: &["sealed/bob"],
        order: &["bob/identity.key", "bob/sessions/"],
        left: |scene, _| assert!(opens_all(scene, None) || opens_all(scene, Some("new"))),
        proof: |scene, _| change_proof(scene, Some("in/pass.new"), 4),
        ..CHANGE
    });
}

#[test]
fn keygen_changes_a_passphrase() {
    sweep(&Case {
        name: "keygen --change-passphrase",
        args: &[
            "-q",
            "-N",
            "bob",
            "--change-passphrase",
            "--passphrase-file",
            "in/pass",
            "--new-passphrase-file",
            "in/pass.new",
        ],
        nodes: &["locked/bob"],
        left: |scene, _| assert!(opens_all(scene, Some("old")) || opens_all(scene, Some("new"))),
        proof: |scene, _| change_proof(scene, Some("in/pass.new"), 4),
        ..CHANGE
    });
}

#[test]
fn keygen_removes_a_passphrase() {
    sweep(&Case {
        name: "keygen --change-passphrase (removed)",
        args: &[
            "-q",
            "-N",
            "bob",
            "--change-passphrase",
            "--passphrase-file",
            "in/pass",
            "--no-passphrase",
        ],
        nodes: &["locked/bob"],
        order: &["bob/identity.key", "bob/sessions/"],
        left: |scene, _| assert!(opens_all(scene, Some("old")) || opens_all(scene, None)),
        proof: |scene, _| change_proof(scene, None, 0),
        ..CHANGE
    });
}
