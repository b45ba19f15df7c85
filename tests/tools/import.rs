//! relay-import

use std::fs;

use relaynet::message::{NodeConnectionParams, Object, PrivateEndpointConnectionParams};
use relaynet::ramf::InternetAddress;

use crate::testenv::{Env, Ran, copy_tree, fingerprint, id, interop, sha256};

/// The nodes alice and bob, and what lets Bob send to Alice in `alice.conn`.
fn before_import() -> Env {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    authorize(&env, "alice", "bob/identity.pub", "alice.conn", &[]);
    env
}

fn authorize(env: &Env, node: &str, peer: &str, file: &str, options: &[&str]) -> Ran {
    env.relay("authorize")
        .args(["-q", "-N", node, "-o", file])
        .args(options)
        .arg(peer)
        .ok()
        .quiet()
}

fn pecp(env: &Env, file: &str) -> PrivateEndpointConnectionParams {
    match Object::parse(&env.read(file)).unwrap() {
        Object::PrivateEndpointConnectionParams(params) => *params,
        other => panic!("{}", other.word()),
    }
}

const IMPORTED: [&str; 6] = [
    "+bob/peers/ALICE",
    "+bob/peers/ALICE/held",
    "+bob/peers/ALICE/held/20260828T060000Z.HEX.pem",
    "+bob/peers/ALICE/identity.pub",
    "+bob/peers/ALICE/name",
    "+bob/peers/ALICE/session.pem",
];

/// What several relay-revoke made, in one file: each is taken, and one bad one stops no other.
#[test]
fn several_objects_in_one_text_are_imported() {
    let env = Env::with_peers();
    let revoke = |node: &str| {
        let args = ["-q", "-N", node, "-o", "-", "alice"];
        env.relay("revoke").args(args).ok().stdout
    };
    let key = env.relay("export").args(["-N", "bob"]).ok().stdout;
    env.write("all", [revoke("bob"), key, revoke("carol")].concat());
    let import = || env.relay("import").args(["-q", "-N", "alice"]);
    let ran = import().arg("all").run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    assert_eq!(ran.text(), format!("{}\n{}\n", id("bob"), id("carol")));
    assert_eq!(env.names("alice/revoked").len(), 2);
    assert!(ran.stderr.contains("all[2]: "), "{}", ran.stderr);
    let digits = "0".repeat(64);
    for one in [["--name", "x"], ["--expect", &digits]] {
        let refused = import().args(one).arg("all");
        refused.fails(64, "all: --name and --expect are for one object");
    }
}

#[test]
fn the_same_file_twice_changes_nothing() {
    let env = before_import();
    let import = || {
        env.relay("import")
            .args(["-N", "bob", "--name", "alice", "alice.conn"])
    };
    let shown = format!("alice: fingerprint {}", fingerprint("alice"));
    let said = [&*shown, "alice: authorization as a whole "];
    let id = format!("{}\n", id("alice"));
    import().ok().says(&said).stdout(&id).changes(&IMPORTED);
    import().ok().says(&said).stdout(&id).changes(&[]);
    import().arg("-q").ok().quiet().stdout(&id).changes(&[]);
    import()
        .arg("--replace")
        .ok()
        .says(&said)
        .stdout(&id)
        .changes(&[]);
}

/// PEM, DER and standard input are the same.
#[test]
fn every_form_is_recognised() {
    let env = before_import();
    env.write("alice.der", pecp(&env, "alice.conn").to_der());
    env.mkdir("bob-2");
    copy_tree(&env.path("bob"), &env.path("bob-2"));
    for (node, stdin) in [("bob", "alice.conn"), ("bob-2", "alice.der")] {
        env.relay("import")
            .args(["-q", "-N", node])
            .stdin(env.read(stdin))
            .ok()
            .quiet()
            .stdout(format!("{}\n", id("alice")));
    }
    let held = |node: &str| {
        let dir = format!("{node}/peers/{}/held", id("alice"));
        let names = env.names(&dir);
        (names.clone(), env.read(format!("{dir}/{}", names[0])))
    };
    assert_eq!(held("bob"), held("bob-2"));
}

#[test]
fn what_is_for_another_node() {
    let env = before_import();
    env.make_node("carol", &[]);
    env.relay("import")
        .args(["-N", "carol", "--name", "alice", "alice.conn"])
        .fails(
            67,
            &format!("alice.conn: made for {}, not for this node", id("bob")),
        );
    env.relay("import")
        .args(["-N", "alice", "alice.conn"])
        .fails(67, &format!("alice.conn: made for {}", id("bob")));
}

#[test]
fn an_expected_digest() {
    let env = before_import();
    let digest = sha256(&env.read("alice.conn"));
    let wrong = digest.replace(
        &digest[..1],
        if digest.starts_with('0') { "1" } else { "0" },
    );
    let import = |expect: &str| {
        env.relay("import")
            .args(["-N", "bob", "--expect", expect, "alice.conn"])
    };
    let ran = import(&wrong).fails(
        65,
        &format!("alice.conn: the file's SHA-256 is {digest}, that of the object in it "),
    );
    assert_eq!(ran.hints().len(), 1);
    for bad in ["", "00", "xyz", &digest[1..], &format!("{digest}00")] {
        import(bad).fails(64, "--expect needs the 64 hexadecimal digits");
    }
    env.relay("import")
        .args(["-N", "bob", "--expect", &digest, "alice.conn", "alice.conn"])
        .fails(64, "--name and --expect are for one FILE");
    env.relay("import")
        .args(["-N", "bob", "--name", "alice", "alice.conn", "alice.conn"])
        .fails(64, "--name and --expect are for one FILE");
    import(&digest).ok().stdout(format!("{}\n", id("alice")));
    import(&digest.to_ascii_uppercase())
        .ok()
        .stdout(format!("{}\n", id("alice")));
}

#[test]
fn what_is_no_object_to_import() {
    let env = before_import();
    let parcel_like = env.read("bob/identity.pub");
    env.write("key", parcel_like);
    env.write("junk", "junk");
    env.write("nothing", "");
    let conn = env.read("alice.conn");
    env.write("cut", &conn[..conn.len() / 2]);
    let der = pecp(&env, "alice.conn").to_der();
    env.write("cut.der", &der[..der.len() - 1]);
    env.write("longer.der", [&*der, b"\0"].concat());
    let import = |file: &str| env.relay("import").args(["-N", "bob", "--name", "x", file]);
    import("key").fails(65, "key: cannot import a public key");
    import("junk").fails(65, "junk: ");
    import("nothing").fails(66, "nothing: empty");
    import("-").fails(66, "-: empty");
    import("cut").fails(65, "cut: ");
    import("cut.der").fails(65, "cut.der: ");
    import("longer.der").fails(65, "longer.der: ");
    import("missing").fails(66, "missing: cannot open: No such file or directory");
    import(".").fails(66, ".: ");
    for at in (0..der.len()).step_by(97) {
        env.write("cut.der", &der[..at]);
        let status = if at == 0 { 66 } else { 65 };
        import("cut.der").fails(status, "cut.der: ");
    }
}

/// The authorization must be issued by the enclosed key.
#[test]
fn what_somebody_else_issued() {
    let env = before_import();
    env.make_node("carol", &[]);
    authorize(&env, "carol", "bob/identity.pub", "carol.conn", &[]);
    let mut forged = pecp(&env, "alice.conn");
    forged.authorization = pecp(&env, "carol.conn").authorization;
    env.write("forged", forged.to_der());
    env.relay("import")
        .args(["-N", "bob", "forged"])
        .fails(65, "forged: ");
    let mut forged = pecp(&env, "alice.conn");
    forged.identity = pecp(&env, "carol.conn").identity;
    env.write("forged", forged.to_der());
    env.relay("import")
        .args(["-N", "bob", "forged"])
        .fails(65, "forged: ");
}

#[test]
fn authorizations_that_are_not_valid_now() {
    let env = before_import();
    let import = |now: &str| {
        env.relay("import")
            .at(now)
            .args(["-N", "bob", "--name", "alice", "alice.conn"])
    };
    import("2026-08-28T08:00:01Z").fails(80, "alice.conn: ");
    import("2026-02-28T12:00:00Z").fails(81, "alice.conn: ");
    import("2026-08-28T07:00:00Z")
        .args(["--clock-drift", "0s"])
        .fails(80, "alice.conn: ");
    import("2026-03-01T08:59:59Z")
        .args(["--clock-drift", "0s"])
        .fails(81, "alice.conn: ");
    import("2026-08-28T05:00:00Z")
        .args(["--clock-drift", "0s"])
        .ok();
}

#[test]
fn names() {
    let env = before_import();
    env.make_node("carol", &[]);
    authorize(&env, "carol", "bob/identity.pub", "carol.conn", &[]);
    let import = |name: &str, file: &str| {
        env.relay("import")
            .args(["-N", "bob", "--name", name, file])
    };
    for bad in [
        "",
        "any",
        "Alice",
        "..",
        "a/b",
        "a\nb",
        "07676987e0",
        &id("alice"),
        &"a".repeat(64),
    ] {
        import(bad, "alice.conn").fails(64, "alice.conn: ");
    }
    import("alice", "alice.conn").ok();
    // Taken, and named already.
    let ran = import("alice", "carol.conn").fails(
        73,
        &format!("carol.conn: the name alice is taken by {}", id("alice")),
    );
    assert_eq!(ran.hints().len(), 1);
    let ran =
        import("alicia", "alice.conn").fails(73, "alice.conn: this peer is known as alice already");
    assert_eq!(ran.hints(), ["relay-peers --rename changes it"]);
    // --replace takes the name from the peer that has it.
    import("alice", "carol.conn")
        .arg("--replace")
        .ok()
        .says(&["alice: fingerprint ", "alice: authorization as a whole "]);
    env.relay("peers")
        .args(["-N", "bob", "alice"])
        .ok()
        .says_nothing_of(&id("alice"));
    let list = env.relay("peers").args(["-N", "bob"]).ok();
    assert!(
        list.text().contains(&format!("-\t{}\t", id("alice"))),
        "{}",
        list.text()
    );
    assert!(
        list.text().contains(&format!("alice\t{}\t", id("carol"))),
        "{}",
        list.text()
    );
}

#[test]
fn the_bad_ones_are_named_and_the_others_imported() {
    let env = before_import();
    env.make_node("carol", &[]);
    authorize(&env, "carol", "bob/identity.pub", "carol.conn", &[]);
    env.write("junk", "junk");
    let ran = env
        .relay("import")
        .args(["-N", "bob", "alice.conn", "missing", "junk", "carol.conn"])
        .run();
    assert_eq!(ran.status, 66);
    ran.says(&[
        &format!("{}: fingerprint ", &id("alice")[..16]),
        &format!("{}: authorization as a whole ", &id("alice")[..16]),
        "missing: ",
        "junk: ",
        &format!("{}: fingerprint ", &id("carol")[..16]),
        &format!("{}: authorization as a whole ", &id("carol")[..16]),
    ])
    .stdout(format!("{}\n{}\n", id("alice"), id("carol")));
}

/// A newer authorization is added, and the key with the later date is sealed to.
#[test]
fn renewed_authorizations() {
    let env = before_import();
    let import =
        |file: &str, now: &str| env.relay("import").at(now).args(["-q", "-N", "bob", file]);
    let session = || env.text(format!("bob/peers/{}/session.pem", id("alice")));
    import("alice.conn", "2026-03-01T12:00:00Z").ok();
    let first = session();
    env.relay("authorize")
        .at("2026-03-11T12:00:00Z")
        .args([
            "-q",
            "-N",
            "alice",
            "--valid",
            "30d",
            "-o",
            "later.conn",
            &id("bob"),
        ])
        .ok();
    import("later.conn", "2026-03-11T12:00:00Z")
        .ok()
        .quiet()
        .changes(&[
            "*bob/peers/ALICE/session.pem",
            "+bob/peers/ALICE/held/20260410T120000Z.HEX.pem",
        ]);
    let second = session();
    assert_ne!(first, second);
    // The first one once more: its key is older, so it stays unless --replace.
    import("alice.conn", "2026-03-11T13:00:00Z")
        .ok()
        .quiet()
        .changes(&[]);
    import("alice.conn", "2026-03-11T13:00:00Z")
        .arg("--replace")
        .ok()
        .quiet()
        .changes(&[
            "*bob/peers/ALICE/session.pem",
            "-bob/peers/ALICE/held/20260410T120000Z.HEX.pem",
        ]);
    assert_eq!(session(), first);
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn parameters_of_an_internet_node() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &["--address", "bob.example.org"]);
    env.relay("export")
        .args(["-N", "bob", "-o", "bob.ncp"])
        .ok();
    let import = |file: &str| {
        env.relay("import")
            .args(["-N", "alice", "--name", "bob", file])
    };
    import("bob.ncp")
        .ok()
        .says(&[
            &format!("bob: fingerprint {}", fingerprint("bob")),
            "bob: connection parameters as a whole ",
        ])
        .stdout(format!("{}\n", id("bob")))
        .changes(&[
            "+alice/peers/BOB",
            "+alice/peers/BOB/address",
            "+alice/peers/BOB/identity.pub",
            "+alice/peers/BOB/name",
            "+alice/peers/BOB/session.pem",
        ]);
    import("bob.ncp").ok().changes(&[]);

    // Another address is a change of what is pinned.
    let read = |file: &str| match Object::parse(&env.read(file)).unwrap() {
        Object::NodeConnectionParams(params) => params,
        other => panic!("{}", other.word()),
    };
    let moved = NodeConnectionParams {
        address: "bob.example.net".parse().unwrap(),
        ..read("bob.ncp")
    };
    env.write("moved.ncp", moved.to_der());
    let ran = import("moved.ncp").fails(
        73,
        "moved.ncp: the peer is known under another Internet address",
    );
    assert!(ran.hints()[0].starts_with("--replace "));
    import("moved.ncp")
        .arg("--replace")
        .ok()
        .changes(&["*alice/peers/BOB/address"]);
    assert_eq!(
        env.text(format!("alice/peers/{}/address", id("bob"))),
        "bob.example.net\n"
    );

    let nowhere = NodeConnectionParams {
        address: InternetAddress::nowhere(),
        ..read("bob.ncp")
    };
    env.write("nowhere.ncp", nowhere.to_der());
    import("nowhere.ncp").fails(65, "nowhere.ncp: ");

    // An undated key replaces an undated one, but none that a message brought.
    env.relay("export")
        .at("2026-04-15T12:00:00Z")
        .args(["-N", "bob", "-f", "-o", "bob.ncp"])
        .ok();
    import("bob.ncp")
        .arg("--replace")
        .ok()
        .changes(&["*alice/peers/BOB/address", "*alice/peers/BOB/session.pem"]);
    let parcel = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob"])
        .stdin("question")
        .ok()
        .stdout;
    env.relay("open")
        .args(["-N", "bob"])
        .stdin(parcel)
        .ok()
        .stdout("question");
    authorize(&env, "alice", "bob/identity.pub", "alice.conn", &[]);
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "alice", "alice.conn"])
        .ok();
    let answer = env
        .relay("seal")
        .at("2026-03-01T13:00:00Z")
        .args(["-N", "bob", "-t", "alice"])
        .stdin("answer")
        .ok()
        .stdout;
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(answer)
        .ok()
        .stdout("answer");
    env.relay("export")
        .at("2026-06-01T12:00:00Z")
        .args(["-N", "bob", "-f", "-o", "bob.ncp"])
        .ok();
    import("bob.ncp").fails(73, "bob.ncp: the session key here is newer");
    import("bob.ncp")
        .arg("--replace")
        .ok()
        .changes(&["*alice/peers/BOB/session.pem"]);
}

/// A registration of the samples, with the node that it is for.
#[test]
fn a_registration_and_a_second_gateway() {
    const AT: &str = "2026-12-01T00:00:00Z";
    let env = Env::new();
    let keys = env.keys("gateway");
    env.relay("keygen")
        .at(AT)
        .args([
            "--set",
            "clock=test",
            "--identity-key",
            &keys.identity,
            "--type",
            "gateway",
            "node",
        ])
        .ok();
    let registration = fs::read(interop().join("jvm/gsc/a.pnr")).unwrap();
    env.write("a.pnr", &registration);
    let import = || env.relay("import").at(AT).args(["-q", "-N", "node"]);
    let ran = import()
        .args(["--name", "the-internet", "a.pnr"])
        .ok()
        .quiet();
    let gateway = ran.text().trim().to_owned();
    assert!(env.path(format!("node/certs/{gateway}")).is_dir());
    assert_eq!(
        env.names(&format!("node/peers/{gateway}")),
        ["address", "identity.pub", "name", "session.pem"]
    );
    import().arg("a.pnr").ok().quiet().changes(&[]);

    env.relay("import")
        .at(AT)
        .args(["-q", "-N", "node"])
        .stdin(&registration[..registration.len() - 1])
        .fails(65, "-: ");
    env.make_node("alice", &[]);
    env.relay("import")
        .at(AT)
        .args(["-q", "-N", "alice", "a.pnr"])
        .fails(67, &format!("a.pnr: made for {}", id("gateway")));
    env.relay("import")
        .at("2090-01-01T00:00:00Z")
        .args(["-q", "-N", "node", "a.pnr"])
        .fails(80, "a.pnr: ");
}

#[test]
fn what_this_node_made_itself() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.relay("export").args(["-N", "alice", "-o", "own"]).ok();
    env.relay("import")
        .args(["-N", "alice", "own"])
        .fails(65, "own: made by this node itself");
}

#[test]
fn another_clock_needs_a_test_node() {
    let env = before_import();
    let config = env.text("bob/config").replace("clock = test\n", "");
    env.write("bob/config", config);
    env.relay("import")
        .args(["-N", "bob", "alice.conn"])
        .fails(78, "--now is refused");
}

/// Once imported, a full disk for the output is an error, and the import stands.
#[test]
fn an_output_that_fails() {
    let env = before_import();
    let import = || {
        env.relay("import")
            .args(["-N", "bob", "--name", "alice", "alice.conn"])
    };
    let ran = import().shell("", ">/dev/full").run();
    assert_eq!(ran.status, 74);
    let ran = import().without_reader().run();
    assert_eq!(ran.status, 141);
    import().ok().changes(&[]);
}

/// A private gateway registers endpoints unless it is told otherwise.
#[test]
fn a_gateway_that_was_registered_as_an_endpoint_hears_it_at_once_and_once() {
    let env = Env::new();
    for gateway in ["gateway", "mallory"] {
        env.make_node(gateway, &["--type", "gateway"]);
    }
    for endpoint in ["alice", "bob"] {
        env.make_node(endpoint, &[]);
    }
    env.introduce("bob", "alice", &[]);
    env.introduce("alice", "bob", &[]);
    let key = env.relay("export").args(["-N", "mallory"]).ok().stdout;
    let registered = |options: &[&str]| {
        let register = env
            .relay("register")
            .args(["-q", "-N", "gateway"])
            .args(options);
        let registration = register.stdin(&key[..]).ok().stdout;
        let import = env
            .relay("import")
            .args(["-N", "mallory", "--name", "gateway"]);
        import.stdin(registration).ok()
    };
    let ran = registered(&[]).says_somewhere("gateway: no session key came with the registration");
    assert!(
        ran.hints()[0].contains("relay-register --type gateway"),
        "{}",
        ran.stderr
    );

    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "mallory"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "mallory"]).ok();
    env.mkdir("stick");
    let sync = || env.relay("sync").args(["-N", "mallory", "--init", "stick"]);
    let ran = sync().run();
    assert_eq!(ran.status, 67, "{}", ran.stderr);
    ran.says(&["gateway: no session key of gateway is known"]);

    let ran = registered(&["--type", "gateway"]);
    assert!(!ran.stderr.contains("no session key"), "{}", ran.stderr);
    sync().ok();
}
