//! relay-export

use std::fs;

use crate::testenv::{Env, id};

fn pem_of(label: &str) -> (String, String) {
    (
        format!("-----BEGIN {label}-----\n"),
        format!("-----END {label}-----\n"),
    )
}

#[test]
fn a_private_node_gives_its_public_key() {
    let env = Env::with_peers();
    let keys = env.keys("alice");
    let der = env.read(&keys.public);
    env.relay("export")
        .args(["-N", "alice", "--der"])
        .ok()
        .quiet()
        .stdout(&der)
        .changes(&[]);
    let ran = env
        .relay("export")
        .args(["-N", "alice"])
        .ok()
        .quiet()
        .changes(&[]);
    let (begin, end) = pem_of("PUBLIC KEY");
    assert!(
        ran.text().starts_with(&begin) && ran.text().ends_with(&end),
        "{}",
        ran.text()
    );
    assert_eq!(ran.text(), env.text("alice/identity.pub"));
    // No private key is needed for that.
    fs::remove_file(env.path("alice/identity.key")).unwrap();
    env.relay("export")
        .args(["-N", "alice", "-o", "out"])
        .ok()
        .quiet()
        .changes(&["+out"]);
    assert_eq!(env.text("out"), env.text("alice/identity.pub"));
}

#[test]
fn an_internet_node_gives_its_parameters() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    let export = |now: &str| env.relay("export").at(now).args(["-N", "alice"]);
    let first = export("2026-03-01T12:00:00Z")
        .ok()
        .says(&["connection parameters as a whole "])
        .changes(&[]);
    let (begin, end) = pem_of("RELAYNET CONNECTION PARAMETERS");
    assert!(first.text().starts_with(&begin) && first.text().ends_with(&end));
    let facts = |octets: &[u8]| {
        let ran = env
            .relay("inspect")
            .arg("--json")
            .stdin(octets)
            .ok()
            .quiet();
        ran.json().remove(0)
    };
    let facts_1 = facts(&first.stdout);
    assert_eq!(facts_1["kind"], "connection-parameters");
    assert_eq!(facts_1["address"], "alice.example.org");
    assert_eq!(facts_1["node"]["id"], id("alice"));
    assert_eq!(
        facts_1["session_key"]["key_id"],
        env.keys("alice").session_id
    );

    let der = export("2026-03-31T08:00:00Z")
        .arg("--der")
        .ok()
        .says(&["connection parameters as a whole "])
        .stdout;
    assert_eq!(
        facts(&der)["session_key"],
        facts_1["session_key"],
        "the same for 30 days"
    );
    let later = export("2026-03-31T10:00:00Z")
        .ok()
        .says(&["connection parameters as a whole "])
        .changes(&["+alice/sessions/any/HEX.key"]);
    let facts_2 = facts(&later.stdout);
    assert_ne!(facts_2["session_key"], facts_1["session_key"]);
    let same = export("2026-03-31T11:00:00Z")
        .ok()
        .says(&["connection parameters as a whole "])
        .changes(&[]);
    assert_eq!(same.stdout, later.stdout);
}

#[test]
fn explicit_files_give_the_same() {
    let env = Env::with_peers();
    let keys = env.keys("alice");
    env.relay("export")
        .var("RELAY_NODE", "/nonexistent")
        .args(["--identity-key", &keys.identity])
        .ok()
        .quiet()
        .stdout(env.read("alice/identity.pub"))
        .changes(&[]);
    let loose = env
        .relay("export")
        .args([
            "--identity-key",
            &keys.identity,
            "--address",
            "alice.example.org",
        ])
        .args([
            "--session-key",
            &keys.session,
            "--session-key-id",
            &keys.session_id,
        ])
        .ok()
        .says(&["connection parameters as a whole "])
        .changes(&[])
        .stdout;
    let other = Env::new();
    other.make_node("alice", &["--address", "alice.example.org"]);
    other
        .relay("export")
        .args(["-N", "alice"])
        .ok()
        .stdout(loose);
}

#[test]
fn outputs() {
    let env = Env::with_peers();
    let export = || env.relay("export").args(["-N", "alice"]);
    env.write("out", "mine");
    let ran = export()
        .args(["-o", "out"])
        .fails(73, "out: already exists");
    assert_eq!(ran.hints(), ["-f replaces it"]);
    export()
        .args(["-f", "-o", "out"])
        .ok()
        .quiet()
        .changes(&["*out"]);
    export()
        .args(["-o", "-"])
        .ok()
        .quiet()
        .stdout(env.read("out"));
    export()
        .args(["-o", "missing/out"])
        .fails(73, "missing/out: ");
    export()
        .shell("", ">/dev/full")
        .fails(74, "cannot write: No space left on device");
    export()
        .args(["-o", "/dev/full"])
        .fails(74, "/dev/full: cannot write: No space left on device");
    let ran = export().without_reader().run().quiet().changes(&[]);
    assert_eq!(ran.status, 141);
}

#[test]
fn command_lines_that_are_wrong() {
    let env = Env::with_peers();
    let keys = env.keys("alice");
    let export = || env.relay("export");
    export()
        .args(["-N", "alice", "--identity-key", &keys.identity])
        .fails(64, "-N cannot be used with --identity-key");
    export()
        .args(["--session-key", &keys.session, "--session-key-id", "00"])
        .fails(64, "--identity-key is needed");
    export()
        .args([
            "--identity-key",
            &keys.identity,
            "--session-key",
            &keys.session,
            "--session-key-id",
            "00",
        ])
        .fails(64, "--address is needed");
    export()
        .args([
            "--identity-key",
            &keys.identity,
            "--address",
            "a.example.org",
        ])
        .fails(64, "the following required arguments were not provided");
    export()
        .args([
            "--identity-key",
            &keys.identity,
            "--address",
            "a.example.org",
        ])
        .args(["--session-key", &keys.session])
        .fails(64, "--session-key-id is needed");
    export()
        .args(["-N", "alice", "operand"])
        .fails(64, "unexpected argument 'operand'");
    env.chmod(&keys.identity, 0o644);
    export()
        .args(["--identity-key", &keys.identity])
        .fails(78, &format!("{}: ", keys.identity))
        .says_somewhere("open to other users (mode 0644)");
}
