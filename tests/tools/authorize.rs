//! relay-authorize

use std::fs;

use serde_json::Value;

use crate::testenv::{Env, fingerprint, forged, id, interop, sha256};

fn facts(env: &Env, octets: &[u8]) -> Value {
    let ran = env
        .relay("inspect")
        .arg("--json")
        .stdin(octets)
        .ok()
        .quiet();
    ran.json().remove(0)
}

/// Alice and no peers.
fn alone() -> Env {
    let env = Env::new();
    env.make_node("alice", &[]);
    env
}

#[test]
fn an_authorization_says_what_it_should() {
    let env = alone();
    let keys = env.keys("bob");
    let ran = env
        .relay("authorize")
        .args(["-N", "alice", "--valid", "30d", &keys.public])
        .ok();
    assert!(
        ran.text()
            .starts_with("-----BEGIN RELAYNET CONNECTION PARAMETERS-----\n")
    );
    let facts = facts(&env, &ran.stdout);
    assert_eq!(facts["kind"], "private-endpoint-connection-parameters");
    assert_eq!(facts["node"]["id"], id("alice"));
    assert_eq!(facts["gateway_address"], "relay.invalid");
    let leaf = &facts["authorization"]["leaf"];
    assert_eq!(leaf["subject"], id("bob"));
    assert_eq!(leaf["issuer_common_name"], id("alice"));
    assert_eq!(leaf["from"], "2026-03-01T09:00:00Z");
    assert_eq!(leaf["until"], "2026-03-31T12:00:00Z");
    assert_eq!(leaf["ca"], false);
    let authorities = facts["authorization"]["authorities"].as_array().unwrap();
    assert_eq!(authorities.len(), 1);
    assert_eq!(authorities[0]["subject"], id("alice"));
    let key_id = facts["session_key"]["key_id"].as_str().unwrap();
    assert_eq!(
        env.names(&format!("alice/sessions/{}", id("bob"))),
        [format!("{key_id}.key")]
    );
    // Without a name it is known by its id.
    ran.says(&[
        &format!("{}: fingerprint {}", &id("bob")[..16], fingerprint("bob")),
        &format!("{}: authorization as a whole", &id("bob")[..16]),
    ])
    .changes(&[
        "+alice/peers/BOB",
        "+alice/peers/BOB/given",
        "+alice/peers/BOB/given/20260331T120000Z.HEX.pem",
        "+alice/peers/BOB/identity.pub",
        "+alice/sessions/BOB",
        "+alice/sessions/BOB/HEX.key",
    ]);
}

#[test]
fn der_and_files() {
    let env = alone();
    let keys = env.keys("bob");
    let authorize = || {
        env.relay("authorize")
            .args(["-q", "-N", "alice", &keys.public])
    };
    let ran = authorize().arg("--der").ok().quiet();
    assert_eq!(ran.stdout[0], 0x30);
    env.relay("import")
        .args(["-q", "-N", "alice", "-"])
        .stdin(ran.stdout)
        .fails(67, "-: made for");
    authorize()
        .args(["-o", "conn"])
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&["+conn"]);
    // Nothing is given where it cannot be written.
    authorize()
        .args(["-o", "conn"])
        .fails(73, "conn: already exists");
    authorize()
        .args(["-f", "-o", "conn"])
        .ok()
        .quiet()
        .changes_outside_nodes(&["*conn"]);
}

/// Any object with an identity key will do.
#[test]
fn the_peer_comes_in_any_object() {
    let env = Env::with_peers();
    env.make_node(
        "gateway",
        &["--address", "gateway.example.org", "--type", "gateway"],
    );
    let parcel = env.parcel("bob", "alice", b"x");
    let params = env.relay("export").args(["-N", "gateway"]).ok().stdout;
    let pecp = env
        .relay("authorize")
        .args(["-q", "-N", "bob", &id("alice")])
        .ok()
        .stdout;
    let certificate = env.read(
        std::path::Path::new("bob/certs")
            .join(id("bob"))
            .join(&env.names(&format!("bob/certs/{}", id("bob")))[0]),
    );
    let registration = fs::read(interop().join("jvm/gsc/a.pnr")).unwrap();
    let registered = facts(&env, &registration)["node_certificate"]["subject"]
        .as_str()
        .unwrap()
        .to_owned();
    for (object, peer) in [
        (parcel, id("bob")),
        (params, id("gateway")),
        (pecp, id("bob")),
        (certificate, id("bob")),
        (registration, registered),
    ] {
        let ran = env
            .relay("authorize")
            .args(["-q", "-N", "carol"])
            .stdin(object)
            .ok()
            .quiet();
        assert_eq!(
            facts(&env, &ran.stdout)["authorization"]["leaf"]["subject"],
            peer
        );
    }
}

/// A known peer is named, unless there is a file of that name.
#[test]
fn a_known_peer_is_renewed_by_name() {
    let env = Env::with_peers();
    // The directory bob is no file, so it is not in the way.
    for peer in ["bob".to_owned(), id("bob"), id("bob")[..16].to_owned()] {
        let ran = env
            .relay("authorize")
            .args(["-q", "-N", "alice", &peer])
            .ok()
            .quiet();
        let facts = facts(&env, &ran.stdout);
        assert_eq!(
            facts["authorization"]["leaf"]["subject"],
            id("bob"),
            "{peer}"
        );
    }
    let ran = env
        .relay("authorize")
        .args(["-N", "alice", "nobody"])
        .fails(67, "nobody: neither a file nor a peer");
    assert_eq!(ran.hints().len(), 1);
    env.relay("authorize")
        .args(["-N", "alice", &id("mallory")])
        .fails(67, &id("mallory"));
    env.relay("authorize")
        .args(["-N", "alice", &id("bob")[..7]])
        .fails(67, &id("bob")[..7]);
}

#[test]
fn what_holds_no_identity_key() {
    let env = alone();
    let keys = env.keys("bob");
    let session = fs::read(interop().join("jvm/nodes/endpoint-b/session.pub.der")).unwrap();
    env.write("session", session);
    env.write("junk", "junk");
    env.write("nothing", "");
    let authorize = || env.relay("authorize").args(["-N", "alice", "-o", "out"]);
    authorize()
        .arg("session")
        .fails(65, "session: no identity key in a session public key");
    authorize().arg("junk").fails(65, "junk: ");
    authorize().arg("nothing").fails(66, "nothing: empty");
    authorize().fails(66, "-: empty");
    authorize()
        .arg(".")
        .fails(67, ".: neither a file nor a peer");
    authorize()
        .arg("alice/identity.pub")
        .fails(64, "a node needs no authorization to send to itself");
    authorize()
        .args([&keys.public, "more"])
        .fails(64, "unexpected argument 'more'");
}

#[test]
fn names_are_checked_before_anything_is_given() {
    let env = Env::with_peers();
    let keys = env.keys("mallory");
    let name = |name: &str| {
        env.relay("authorize")
            .args(["-N", "alice", "--name", name, "-o", "out", &keys.public])
    };
    for bad in [
        "",
        "any",
        "Bob",
        ".bob",
        "-",
        "a b",
        "a/b",
        "é",
        "0123456789",
        &id("bob"),
        &"a".repeat(64),
    ] {
        name(bad).fails(64, &format!("{bad} cannot be a peer's name"));
    }
    name("bob").fails(73, &format!("the name bob is taken by {}", id("bob")));
    env.relay("authorize")
        .args([
            "-N",
            "alice",
            "--name",
            "robert",
            "-o",
            "out",
            "bob/identity.pub",
        ])
        .fails(73, "this peer is known as bob already");
    for good in ["m", "9lives", "a.b_c-d", &"m".repeat(63)] {
        env.relay("authorize")
            .args(["-q", "-N", "alice", "--name", good, &keys.public])
            .ok()
            .quiet();
        env.relay("peers")
            .args(["-N", "alice", "--forget", good])
            .ok();
    }
}

#[test]
fn how_long_it_lasts() {
    let env = alone();
    let keys = env.keys("bob");
    let authorize = |valid: &str| {
        env.relay("authorize")
            .args(["-q", "-N", "alice", "--valid", valid, &keys.public])
    };
    for bad in ["0", "0s", "181d", "4321h"] {
        authorize(bad)
            .args(["-o", "out"])
            .fails(64, "--valid must be over 0 and at most 180d");
    }
    for bad in ["", "x", "1y", "1.5h", "99999999999999999999d"] {
        authorize(bad).fails(
            64,
            &format!("invalid value '{bad}' for '--valid <DURATION>'"),
        );
    }
    let until = |valid: &str| {
        let ran = authorize(valid).ok().quiet();
        facts(&env, &ran.stdout)["authorization"]["leaf"]["until"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(until("90m"), "2026-03-01T13:30:00Z");
    assert_eq!(until("24h"), "2026-03-02T12:00:00Z");
    // Months later the node's own certificate is renewed rather than the authorization cut.
    let ran = env
        .relay("authorize")
        .at("2026-06-01T12:00:00Z")
        .args(["-N", "alice", "--valid", "170d", &keys.public])
        .ok()
        .says(&[&id("bob")[..16], &id("bob")[..16]]);
    assert_eq!(
        facts(&env, &ran.stdout)["authorization"]["leaf"]["until"],
        "2026-11-18T12:00:00Z"
    );
    assert!(
        ran.changed()
            .contains(&"+alice/certs/ALICE/20261128T090000Z.HEX.pem".to_owned()),
        "{:?}",
        ran.changed()
    );
}

#[test]
fn an_identity_key_that_others_can_read() {
    let env = alone();
    let keys = env.keys("bob");
    env.chmod("alice/identity.key", 0o640);
    let ran = env
        .relay("authorize")
        .args(["-N", "alice", "-o", "out", "--name", "bob", &keys.public])
        .run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert_eq!(ran.hints(), ["chmod 600 alice/identity.key"]);
    ran.says(&["alice/identity.key: open to other users (mode 0640)"])
        .stdout("")
        .changes_outside_nodes(&[]);
    // Bob is not named, and nothing was given.
    assert!(
        !env.path(format!("alice/peers/{}/given", id("bob")))
            .exists()
    );
    assert!(!env.path(format!("alice/peers/{}/name", id("bob"))).exists());
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn explicit_files_leave_no_trace() {
    let env = Env::with_peers();
    let alice = env.keys("alice");
    let bob = env.keys("bob");
    let certificate = format!("alice/certs/{}", id("alice"));
    let certificate = format!("{certificate}/{}", env.names(&certificate)[0]);
    let authorize = || {
        env.relay("authorize")
            .var("RELAY_NODE", "/nonexistent")
            .args([
                "--identity-key",
                &alice.identity,
                "--certificate",
                &certificate,
            ])
    };
    let given = [
        ("--session-key", &alice.session),
        ("--session-key-id", &alice.session_id),
    ];
    let given = given.iter().flat_map(|(option, value)| [*option, value]);
    let ran = authorize()
        .args(given.clone())
        .args([
            "--valid",
            "30d",
            "--address",
            "gateway.example.org",
            &bob.public,
        ])
        .ok()
        .says(&[
            &format!("fingerprint {}", fingerprint("bob")),
            "authorization as a whole",
        ])
        .changes(&[]);
    let params = facts(&env, &ran.stdout);
    assert_eq!(params["gateway_address"], "gateway.example.org");
    assert_eq!(params["session_key"]["key_id"], alice.session_id);
    assert_eq!(params["authorization"]["leaf"]["subject"], id("bob"));

    let ran = authorize()
        .args(["-q", "--save-session-key", "new.key", &bob.public])
        .shell("umask 0", "")
        .ok()
        .quiet()
        .changes(&["+new.key"]);
    assert_eq!(env.mode("new.key"), 0o600);
    let key_id = facts(&env, &ran.stdout)["session_key"]["key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        env.text("new.key")
            .starts_with(&format!("Key-Id: {key_id}\n"))
    );
    for force in [None, Some("-f")] {
        authorize()
            .args(force)
            .args(["--save-session-key", "new.key", &bob.public])
            .fails(73, "");
    }

    authorize()
        .arg(&bob.public)
        .fails(64, "--session-key or --save-session-key is needed");
    authorize()
        .args(given.clone())
        .args(["--name", "bob", &bob.public])
        .fails(64, "--name cannot be used with --identity-key");
    authorize()
        .args(given.clone())
        .args(["-N", "alice", &bob.public])
        .fails(64, "-N cannot be used with --identity-key");
    env.relay("authorize")
        .args([
            "--identity-key",
            &bob.identity,
            "--certificate",
            &certificate,
        ])
        .args(given.clone())
        .arg(&bob.public)
        .fails(67, "")
        .says_somewhere(&format!("made for {}", id("alice")));
    env.relay("authorize")
        .args(["--identity-key", &alice.identity])
        .args(given)
        .arg(&bob.public)
        .fails(64, "--certificate is needed");
}

/// A parcel whose signature is not good shows a key as well as any; but the key is what is shown aloud.
#[test]
fn the_fingerprint_is_that_of_the_key() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"x");
    let tampered = forged(&parcel, "mallory", |_| {});
    env.relay("authorize")
        .args(["-N", "carol"])
        .stdin(tampered)
        .ok()
        .says(&[
            &format!("{}: fingerprint {}", &id("bob")[..16], fingerprint("bob")),
            &format!("{}: authorization as a whole", &id("bob")[..16]),
        ]);
    assert_eq!(sha256(&env.read(env.keys("bob").public)), id("bob")[1..]);
}

/// The public half of a private key would be enough, and nobody would learn that the key has left its node.
#[test]
fn a_private_key_is_refused_with_what_to_do() {
    let env = Env::with_gateways();
    let session = format!("bob/sessions/any/{}", env.names("bob/sessions/any")[0]);
    let key = env.text("bob/identity.key");
    let public = env.text("bob/identity.pub");
    env.write("both", format!("{public}{key}"));
    env.write("dos", key.replace('\n', "\r\n"));
    for file in ["bob/identity.key", &session, "both", "dos"] {
        for call in [
            "authorize -N alice",
            "register -N gateway",
            "register -N gateway --authorize",
            "register -N gateway --complete",
            "import -N alice",
        ] {
            let mut words = call.split(' ');
            let program = words.next().unwrap();
            let call = env.relay(program).args(words).arg(file);
            let ran = call.fails(65, &format!("{file}: "));
            assert!(ran.stderr.contains("private key"), "{}", ran.stderr);
            assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
            assert!(ran.hints()[0].contains("relay-keygen"), "{}", ran.stderr);
        }
    }
    let ran = env.relay("authorize").args(["-N", "alice"]).stdin(key);
    ran.fails(65, "-: a private key: anybody who has seen it");
}
