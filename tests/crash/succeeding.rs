//! A node takes the place of another, stopped and failed at each step: peers are told of one node, once,
//! and a name is never lost.

use std::sync::LazyLock;

use relaynet::asn1::hex;
use relaynet::crypto::hash;
use relaynet::node::Directory;
use relaynet::pki::NodeId;

use super::programs::{CASE, deliver, is_remembered_by};
use super::scene::{ANSWER, FIRST, RENEWAL, SECOND, Scene, is_temporary};
use super::sweep::{Case, sweep};

/// The number of cases in this file.
pub(crate) const CASES: usize = 5;

/// The fingerprint of the successor.
static DIGITS: LazyLock<String> = LazyLock::new(|| {
    let dir = env!("CARGO_MANIFEST_DIR");
    let file = format!("{dir}/tests/interop/alpha/nodes/endpoint-c/identity.pub.der");
    hex::groups(&hash::sha256(&std::fs::read(file).unwrap()))
});

/// The files in a node that have this in their paths.
fn files_with(scene: &Scene, node: &str, part: &str) -> Vec<String> {
    if !scene.path(node).exists() {
        return Vec::new();
    }
    let files = scene.files(node).into_iter();
    files
        .filter(|path| path.contains(part) && !is_temporary(path) && scene.path(path).is_file())
        .collect()
}

/// Takes bob the notice and has him take the successor in `new`; then both write to each other.
fn taken(scene: &Scene, notice: &str) {
    scene.add("succeeding/bob");
    scene
        .run("relay-open", &["-q", "-N", "bob", notice], FIRST)
        .expect(0);
    let args = [
        "-q",
        "-N",
        "bob",
        "--successor",
        "alice",
        "--expect",
        &DIGITS,
    ];
    scene.run("relay-import", &args, FIRST).expect(0);
    answered(scene);
}

/// Bob's authorization is in his spool; the successor takes it, and both write to each other.
fn answered(scene: &Scene) {
    let parcels = files_with(scene, "bob/spool/in", "");
    assert_eq!(parcels.len(), 1, "{parcels:?}");
    let args = ["-q", "-N", "new", &parcels[0]];
    scene.run("relay-open", &args, SECOND).expect(0);
    deliver(scene, "bob", "alice", "new", ANSWER);
    deliver(scene, "new", "bob", "bob", RENEWAL);
}

const KEYGEN: &[&str] = &[
    "-q",
    "--successor",
    "alice",
    "--identity-key",
    "in/mail.key",
    "-d",
    "out",
    "./new",
];

#[test]
fn keygen_successor() {
    sweep(&Case {
        name: "keygen --successor OLD",
        program: "relay-keygen",
        args: KEYGEN,
        now: FIRST,
        nodes: &["succeeding/alice"],
        order: &[
            "new/identity.key",
            "new/VERSION",
            "alice/successor",
            "alice/spool/in/",
            "out/",
        ],
        // A session key and an authorization, of which nobody has heard.
        spare: 2,
        left: |scene, _| {
            // What left names keys that are on disk.
            let sent = files_with(scene, "alice", "/spool/in/").len() + scene.results().len();
            let notices = files_with(scene, "new", "/notice.pem").len();
            assert!(sent == 0 || notices == 1, "{sent} left, {notices} stored");
        },
        proof: |scene, _| {
            let sent = files_with(scene, "alice", "/spool/in/");
            assert_eq!(sent.len(), 1, "{sent:?}");
            assert_eq!(scene.results().len(), 1);
            taken(scene, &sent[0]);
        },
        ..CASE
    });
}

#[test]
fn open_a_successor_notice() {
    sweep(&Case {
        name: "open of a successor notice",
        program: "relay-open",
        args: &["-q", "-N", "bob", "in/successor.parcel"],
        now: FIRST,
        nodes: &["succeeding/bob"],
        order: &["bob/peers/", "bob/seen/"],
        left: |scene, stdout| {
            assert_eq!(stdout, b"", "it is for the node alone");
            if !scene.files("bob/seen").is_empty() && is_remembered_by(scene, "bob") {
                let waiting = files_with(scene, "bob", "/successors/");
                assert_eq!(waiting.len(), 1, "remembered without the notice");
            }
        },
        next: |scene| {
            if is_remembered_by(scene, "bob") {
                82
            } else {
                0
            }
        },
        proof: |scene, _| {
            scene.add("succeeded/new");
            let args = [
                "-q",
                "-N",
                "bob",
                "--successor",
                "alice",
                "--expect",
                &DIGITS,
            ];
            scene.run("relay-import", &args, FIRST).expect(0);
            answered(scene);
        },
        ..CASE
    });
}

/// Checks that the name is somebody's, or the record says whose it will be.
fn named_left(scene: &Scene) {
    let bob = Directory::open(&scene.path("bob")).unwrap();
    let old: NodeId = scene.world().id("alice").parse().unwrap();
    let record = bob.successor_of(old).unwrap();
    let is_named = bob.find_peer("alice").is_ok();
    assert!(is_named || record.is_some(), "the name is lost");
    // Whoever is told apart by the name may be written to.
    if let Ok(peer) = bob.find_peer("alice")
        && peer.id != old
    {
        assert!(record.is_some(), "named without a record");
        assert!(bob.is_compared(peer.id).unwrap());
    }
}

fn confirm(name: &'static str, stage: &'static str, args: &[&str]) {
    sweep(&Case {
        name,
        program: "relay-import",
        args,
        now: FIRST,
        nodes: Box::leak(Box::new([stage])),
        order: &["bob/peers/", "bob/spool/in/", "-"],
        left: |scene, _| named_left(scene),
        proof: |scene, _| {
            scene.add("succeeded/new");
            assert!(files_with(scene, "bob", "/successors/").is_empty());
            let due = files_with(scene, "bob", "/renewal");
            assert_eq!(due.len(), 1, "{due:?}");
            let text = std::fs::read_to_string(scene.path(&due[0])).unwrap();
            assert!(text.contains("\nEmitted: "), "{text}");
            answered(scene);
        },
        ..CASE
    });
}

#[test]
fn import_successor() {
    let args = [
        "-q",
        "-N",
        "bob",
        "--successor",
        "alice",
        "--expect",
        &DIGITS,
    ];
    confirm("import --successor PEER", "named/bob", &args);
}

#[test]
fn import_successor_of_a_file() {
    let args = ["-q", "-N", "bob", "--expect", &DIGITS, "in/bob.successor"];
    confirm("import --expect of a notice", "succeeding/bob", &args);
}

#[test]
fn purge_a_notice() {
    sweep(&Case {
        name: "purge, a notice that waited for half a year",
        program: "relay-purge",
        args: &["-q", "-N", "bob", "--trust-clock"],
        now: "2027-06-15T12:00:00Z",
        nodes: &["named/bob"],
        left: |scene, _| {
            let bob = Directory::open(&scene.path("bob")).unwrap();
            assert!(bob.find_peer("alice").is_ok());
        },
        proof: |scene, _| {
            assert!(files_with(scene, "bob", "/successors/").is_empty());
        },
        ..CASE
    });
}
