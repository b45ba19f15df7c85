//! relay-keygen

use std::fs;

use relaynet::asn1::{Element, pem};

use crate::testenv::{Content, Env, MADE, id};

/// What a new node has.
const NODE: [&str; 14] = [
    "+node",
    "+node/VERSION",
    "+node/certs",
    "+node/certs/ALICE",
    "+node/certs/ALICE/20260828T060000Z.HEX.pem",
    "+node/config",
    "+node/identity.key",
    "+node/identity.pub",
    "+node/lock",
    "+node/peers",
    "+node/seen",
    "+node/sessions",
    "+node/sessions/any",
    "+node/sessions/any/HEX.key",
];

/// The modes of a node: everything for its owner alone.
fn assert_private(env: &Env, node: &str) {
    for (path, (mode, content)) in env.tree() {
        if path == node || path.starts_with(&format!("{node}/")) {
            let expected = if content == Content::Dir {
                0o700
            } else {
                0o600
            };
            assert_eq!(mode, expected, "{path}");
        }
    }
}

#[test]
fn a_new_node_has_new_keys() {
    let env = Env::new();
    for umask in ["000", "077"] {
        let node = format!("deep/er/{umask}");
        let ran = env
            .relay("keygen")
            .at_any_time()
            .arg(&node)
            .shell(&format!("umask {umask}"), "")
            .ok()
            .quiet();
        let line = ran.text().trim_end().to_owned();
        assert_eq!(line.len(), 65);
        assert!(line.starts_with('0'));
        env.relay("inspect")
            .args(["--id", &format!("{node}/identity.pub")])
            .ok()
            .quiet()
            .stdout(format!("{line}\n"));
        assert_private(&env, &node);
        assert_eq!(env.mode("deep"), 0o700);
        assert!(
            env.text(format!("{node}/identity.key"))
                .starts_with("-----BEGIN PRIVATE KEY-----\n")
        );
        assert_eq!(env.text(format!("{node}/VERSION")), "relay-node 1\n");
    }
    let keys: Vec<_> = ["000", "077"]
        .map(|node| env.read(format!("deep/er/{node}/identity.key")))
        .into();
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn a_key_may_be_adopted() {
    let env = Env::new();
    let keys = env.keys("alice");
    env.relay("keygen")
        .at(MADE)
        .args(["--set", "clock=test", "--identity-key", &keys.identity])
        .args([
            "--session-key",
            &keys.session,
            "--session-key-id",
            &keys.session_id,
        ])
        .arg("node")
        .ok()
        .quiet()
        .stdout(format!("{}\n", id("alice")))
        .changes(&NODE);
    assert_private(&env, "node");
    let session = env.text(format!("node/sessions/any/{}.key", keys.session_id));
    assert!(
        session.starts_with(&format!("Key-Id: {}\n", keys.session_id)),
        "{session}"
    );
    // The key that was given stays as it is.
    assert_eq!(env.mode(&keys.identity), 0o600);
}

/// PEM with text around it, and DER.
#[test]
fn a_key_may_come_in_any_form() {
    let env = Env::new();
    let keys = env.keys("alice");
    let identity = env.read(&keys.identity);
    let (pkcs8, _) = pem::private_key(&identity).unwrap();
    env.write("der", &*pkcs8);
    let crlf = env.text(&keys.identity).replace('\n', "\r\n");
    env.write(
        "crlf",
        format!("Bag Attributes\r\n  friendlyName: x\r\n{crlf}\r\n"),
    );
    for form in ["der", "crlf"] {
        env.chmod(form, 0o400);
        let node = format!("node-{form}");
        env.relay("keygen")
            .args(["--set", "clock=test", "--identity-key", form, &node])
            .ok()
            .quiet()
            .stdout(format!("{}\n", id("alice")));
        assert!(
            env.text(format!("{node}/identity.key"))
                .starts_with("-----BEGIN PRIVATE KEY-----\n")
        );
        env.relay("export").args(["-N", &node]).ok().quiet();
    }
    // A session key whose file states its id.
    let session = format!("Key-Id: 0badcafe\n{}", env.text(&keys.session));
    env.write("session", session);
    env.chmod("session", 0o600);
    env.relay("keygen")
        .args([
            "--set",
            "clock=test",
            "--identity-key",
            "der",
            "--session-key",
            "session",
            "stated",
        ])
        .ok()
        .quiet();
    assert_eq!(env.names("stated/sessions/any"), ["0badcafe.key"]);
}

#[test]
fn keys_that_cannot_be_adopted() {
    let env = Env::new();
    let keys = env.keys("alice");
    env.write("junk", "junk");
    env.write("empty", "");
    let identity = env.read(&keys.identity);
    let (pkcs8, _) = pem::private_key(&identity).unwrap();
    env.write("cut", &pkcs8[..pkcs8.len() - 1]);
    // PKCS#1, of which PKCS#8 is a wrapping.
    let mut fields = Element::der(&pkcs8, 0x30).unwrap().children();
    fields.take(0x02).unwrap();
    fields.take(0x30).unwrap();
    let pkcs1 = fields.take(0x04).unwrap();
    env.write("pkcs1", pem::encode("RSA PRIVATE KEY", pkcs1.content()));
    env.write(
        "encrypted",
        env.text(&keys.identity)
            .replace("PRIVATE", "ENCRYPTED PRIVATE"),
    );
    for file in ["junk", "empty", "pkcs1", "cut", "encrypted"] {
        env.chmod(file, 0o600);
    }
    let make = || env.relay("keygen").args(["--set", "clock=test"]);
    for (file, status) in [
        ("junk", 65),
        ("empty", 65),
        ("pkcs1", 65),
        ("cut", 65),
        ("encrypted", 65),
        (&*keys.session, 65),
        ("missing", 66),
        (".", 66),
    ] {
        make()
            .args(["--identity-key", file, "node"])
            .fails(status, "")
            .says_somewhere(file);
        if file != keys.session {
            make()
                .args(["--session-key", file, "--session-key-id", "00", "node"])
                .fails(status, "")
                .says_somewhere(file);
        }
    }
    make()
        .args([
            "--session-key",
            &keys.identity,
            "--session-key-id",
            "00",
            "node",
        ])
        .fails(65, &format!("{}: ", keys.identity));
    make()
        .args(["--session-key", &keys.session, "node"])
        .fails(64, "--session-key-id is needed");
    for mode in [0o640, 0o604, 0o601, 0o620] {
        env.chmod(&keys.identity, mode);
        let ran = make()
            .args(["--identity-key", &keys.identity, "node"])
            .fails(78, &format!("{}: ", keys.identity))
            .says_somewhere(&format!("open to other users (mode {mode:04o})"));
        assert_eq!(ran.hints(), [format!("chmod 600 {}", keys.identity)]);
    }
    env.chmod(&keys.session, 0o644);
    make()
        .args([
            "--session-key",
            &keys.session,
            "--session-key-id",
            "00",
            "node",
        ])
        .fails(78, &format!("{}: ", keys.session));
}

#[test]
fn an_existing_node_is_never_touched() {
    let env = Env::with_peers();
    let keys = env.keys("carol");
    env.relay("keygen")
        .at_any_time()
        .arg("alice")
        .fails(73, "alice is a node directory already");
    env.relay("keygen")
        .at_any_time()
        .args(["-N", "alice", "--identity-key", &keys.identity])
        .fails(73, "alice is a node directory already");
}

#[test]
fn a_run_that_was_cut_short_is_completed() {
    let env = Env::new();
    let keys = env.keys("alice");
    let make = |node: &str| {
        env.relay("keygen")
            .at(MADE)
            .args(["--set", "clock=test", "--identity-key", &keys.identity])
            .args([
                "--session-key",
                &keys.session,
                "--session-key-id",
                &keys.session_id,
            ])
            .arg(node)
    };
    make("whole").ok();
    let whole: Vec<String> = env
        .tree()
        .into_keys()
        .filter_map(|path| path.strip_prefix("whole/").map(str::to_owned))
        .collect();
    make("traced").var("RELAY_FAULT", "trace:trace").ok();
    let steps = env.text("trace").lines().count();
    assert!(steps > 40, "{steps}");
    for step in 1..=steps {
        let node = format!("node-{step}");
        let ran = make(&node)
            .var("RELAY_FAULT", format!("ENOSPC:{step}"))
            .run();
        if ran.status == 0 {
            // What was left of a temporary file could not be removed.
            continue;
        }
        assert_eq!(ran.status, 74, "{step}: {}", ran.stderr);
        assert!(ran.stdout.is_empty());
        assert_eq!(ran.diagnostics().len(), 1);
        let again = make(&node).run();
        if again.status == 73 {
            // Only the last sync failed: the node is there.
            assert!(env.path(&node).join("VERSION").exists());
        } else {
            assert_eq!(again.status, 0, "{step}: {}", again.stderr);
            assert_eq!(again.text(), format!("{}\n", id("alice")));
        }
        let prefix = format!("{node}/");
        let mut completed: Vec<String> = env
            .tree()
            .into_keys()
            .filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned))
            .collect();
        completed.sort();
        assert_eq!(without_hashes(&completed), without_hashes(&whole), "{step}");
        assert_private(&env, &node);
        fs::remove_dir_all(env.path(&node)).unwrap();
    }
}

/// Paths without the digits in which certificates differ.
fn without_hashes(paths: &[String]) -> Vec<String> {
    let mut paths: Vec<String> = paths
        .iter()
        .map(|path| match path.strip_prefix("certs/") {
            Some(path) => path.split('.').next().unwrap().to_owned(),
            None => path.clone(),
        })
        .collect();
    paths.sort();
    paths
}

/// An interrupted node keeps its key; another one to adopt is refused.
#[test]
fn an_interrupted_node_keeps_its_key() {
    let env = Env::new();
    env.make_node("alice", &[]);
    fs::remove_file(env.path("alice/VERSION")).unwrap();
    env.relay("export")
        .args(["-N", "alice"])
        .fails(78, "alice is not a node directory");
    let other = env.keys("bob");
    env.relay("keygen")
        .args([
            "--set",
            "clock=test",
            "--identity-key",
            &other.identity,
            "alice",
        ])
        .fails(73, "alice/identity.key: already exists");
    env.relay("keygen")
        .args(["--set", "clock=test", "alice"])
        .ok()
        .quiet()
        .stdout(format!("{}\n", id("alice")))
        .changes(&["+alice/VERSION"]);
}

#[test]
fn settings_become_the_config() {
    let env = Env::new();
    let keys = env.keys("alice");
    let gid = nix::unistd::getegid();
    let group = nix::unistd::Group::from_gid(gid).unwrap().unwrap().name;
    env.relay("keygen")
        .at_any_time()
        .args([
            "--identity-key",
            &keys.identity,
            "--type",
            "gateway",
            "--address",
            "gw.example.org",
        ])
        .args([
            "--set",
            "ttl=7d",
            "--set",
            "clock-drift = 15m",
            "--set",
            "session-grace=0",
        ])
        .args([
            "--set",
            "quota=1000000",
            "--set",
            "reserve=0",
            "--set",
            "resend-after=1d",
        ])
        .args([
            "--set",
            "log=syslog",
            "--set",
            &format!("group={group}"),
            "--set",
            "clock=test",
            "-N",
            "node",
        ])
        .ok()
        .quiet();
    let config = env.text("node/config");
    let lines: Vec<&str> = config
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(
        lines,
        [
            "type = gateway",
            "address = gw.example.org",
            &format!("group = {group}"),
            "ttl = 7d",
            "clock-drift = 15m",
            "session-grace = 0",
            "quota = 1000000",
            "reserve = 0",
            "resend-after = 1d",
            "log = syslog",
            "clock = test",
        ]
    );
    env.relay("export").args(["-q", "-N", "node"]).ok().quiet();
}

#[test]
fn command_lines_that_are_wrong() {
    let env = Env::new();
    let keys = env.keys("alice");
    for (args, text) in [
        (&["--set", "ttl"][..], "ttl: not KEY=VALUE"),
        (&["--set", "ttl=181d"], "ttl: too long"),
        (&["--set", "ttl=x"], "ttl: not a duration"),
        (&["--set", "colour=red"], "colour: no such setting"),
        (
            &["--set", "type=courier"],
            "type: neither endpoint nor gateway",
        ),
        (&["--set", "clock=fake"], "clock: neither system nor test"),
        (
            &["--set", "log=file"],
            "log: neither stderr, syslog nor syslog:PATH",
        ),
        (
            &["--set", "address=localhost"],
            "address: not a domain name",
        ),
        (&["--set", "ttl=1d\nclock=test"], "ttl: "),
        (&["--set", "group=a\nclock = test"], "group: "),
        (&["--address", "local host"], "address: "),
        (
            &["--type", "courier"],
            "invalid value 'courier' for '--type <TYPE>'",
        ),
        (
            &["--rsa", "1024"],
            "invalid value '1024' for '--rsa <BITS>'",
        ),
        (&["-N", "other"], "DIR and -N name the same thing twice"),
        (&["more"], "unexpected argument 'more' found"),
    ] {
        env.relay("keygen")
            .at_any_time()
            .args(["--identity-key", &keys.identity])
            .arg("node")
            .args(args)
            .fails(64, text);
    }
}

#[test]
fn another_clock_needs_a_test_node() {
    let env = Env::new();
    let keys = env.keys("alice");
    env.relay("keygen")
        .args(["--identity-key", &keys.identity, "node"])
        .fails(78, "--now is refused");
    env.relay("keygen")
        .at_any_time()
        .args(["--identity-key", &keys.identity, "--now", MADE, "node"])
        .fails(78, "--now is refused");
}

#[test]
fn an_output_that_fails_leaves_a_node_all_the_same() {
    let env = Env::new();
    let keys = env.keys("alice");
    let make = |node: &str| {
        env.relay("keygen").args([
            "--set",
            "clock=test",
            "--identity-key",
            &keys.identity,
            node,
        ])
    };
    let ran = make("full").shell("", ">/dev/full").run();
    assert_eq!(ran.status, 74);
    ran.says(&["cannot write: No space left on device"]);
    let ran = make("pipe").without_reader().run().quiet();
    assert_eq!(ran.status, 141);
    for node in ["full", "pipe"] {
        env.relay("export").args(["-N", node]).ok().quiet();
    }
}

/// Words that other programs take for commands make no directory.
#[test]
fn a_word_that_looks_like_a_subcommand_makes_no_node() {
    let env = Env::new();
    let make = |dir: &str| env.relay("keygen").args(["--set", "clock=test", dir]);
    for word in ["help", "version"] {
        make(word).fails(
            64,
            &format!("--{word} shows it; ./{word} would be a directory"),
        );
    }
    for word in ["init", "new", "list", "export", "rm"] {
        let text = format!("there is no subcommand {word}; ./{word} would be a directory");
        make(word).fails(64, &text).changes(&[]);
    }
    for word in ["gateway", "endpoint"] {
        let text = format!("--type {word} DIR makes one; ./{word} would be a directory");
        make(word).fails(64, &text).changes(&[]);
    }
    make("./help").ok();
    make("./new").ok();
    make("gateway").args(["--type", "gateway"]).ok();
    env.relay("keygen")
        .args(["--set", "clock=test", "-N", "init"])
        .ok();
    assert!(
        ["help", "new", "gateway", "init"]
            .iter()
            .all(|dir| env.path(dir).join("VERSION").is_file())
    );
}
