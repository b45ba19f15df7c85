//! relay-seal

use serde_json::Value;

use crate::testenv::{Env, id, sha256};

fn facts(env: &Env, octets: &[u8]) -> Vec<Value> {
    env.relay("inspect")
        .arg("--json")
        .stdin(octets)
        .ok()
        .quiet()
        .json()
}

#[test]
fn a_parcel_says_what_it_should() {
    let env = Env::with_peers();
    env.write("content", "the content");
    let ran = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "content"])
        .ok()
        .quiet()
        .changes(&["+bob/sessions/ALICE/HEX.key"]);
    let facts = &facts(&env, &ran.stdout)[0];
    assert_eq!(facts["kind"], "parcel");
    assert_eq!(facts["recipient"], id("alice"));
    assert_eq!(facts["sender"], id("bob"));
    assert_eq!(facts["address"], Value::Null);
    assert_eq!(facts["date"], "2026-03-01T11:55:00Z");
    assert_eq!(facts["expiry"], "2026-03-31T11:55:00Z");
    assert_eq!(facts["ttl"], 2_592_000);
    assert_eq!(facts["size"], ran.stdout.len());
    let message_id = facts["id"].as_str().unwrap();
    assert_eq!(message_id.len(), 36);
    assert_eq!(
        (&message_id[14..15], &message_id[8..9]),
        ("4", "-"),
        "a UUID of version 4"
    );
    assert_eq!(facts["payload"]["cipher"], "AES-128-CBC");
    assert_eq!(facts["payload"]["kdf"], "SHA-256");
    assert_eq!(facts["payload"]["key_wrap"], "AES-128");
    let certificate = &facts["sender_certificate"];
    assert_eq!(certificate["subject"], id("bob"));
    assert_eq!(certificate["issuer_common_name"], id("alice"));
    // Its content is not in it.
    assert!(
        !ran.stdout
            .windows(11)
            .any(|octets| octets == b"the content")
    );
    // The private half of the key to be answered under is on disk.
    let key_id = facts["payload"]["originator_key_id"].as_str().unwrap();
    let key = env.text(format!("bob/sessions/{}/{key_id}.key", id("alice")));
    assert!(key.starts_with(&format!("Key-Id: {key_id}\n")), "{key}");
}

#[test]
fn one_for_each_recipient() {
    let env = Env::with_peers();
    let ran = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "--to", "carol", "--id", "both"])
        .stdin("for both")
        .ok()
        .quiet();
    let facts = facts(&env, &ran.stdout);
    let recipients: Vec<_> = facts
        .iter()
        .map(|facts| facts["recipient"].as_str().unwrap())
        .collect();
    assert_eq!(recipients, [id("bob"), id("carol")]);
    env.write("both.parcels", &ran.stdout);
    for (at, node) in ["bob", "carol"].into_iter().enumerate() {
        let ran = env
            .relay("open")
            .args(["-N", node, "--cat", "both.parcels"])
            .run()
            .says(&[&format!("both.parcels[{}]: ", 2 - at)])
            .stdout("for both");
        assert_eq!(ran.status, 67);
    }
    env.mkdir("out");
    let seal = || {
        env.relay("seal").args([
            "-N", "alice", "-t", "bob", "-t", "carol", "--id", "both", "-d", "out",
        ])
    };
    seal()
        .stdin("x")
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&["+out/BOB.ALICE.HEX.parcel", "+out/CAROL.ALICE.HEX.parcel"]);
    let name = format!("{}.{}.{}.parcel", id("bob"), id("alice"), sha256(b"both"));
    assert!(env.names("out").contains(&name), "{:?}", env.names("out"));
    // Never the same octets twice, so it is another file.
    let ran = seal().stdin("x").run();
    assert_eq!(ran.status, 73);
    ran.says(&["out/"]).stdout("").changes_outside_nodes(&[]);
    seal()
        .arg("-f")
        .stdin("x")
        .ok()
        .changes_outside_nodes(&["*out/BOB.ALICE.HEX.parcel", "*out/CAROL.ALICE.HEX.parcel"]);
}

#[test]
fn recipients_that_are_wrong() {
    let env = Env::with_peers();
    let seal = |to: &[&str]| {
        env.relay("seal")
            .args(["-N", "alice", "-o", "out"])
            .args(to)
            .stdin("x")
    };
    seal(&[]).fails(64, "-t PEER is needed");
    seal(&["-t", "bob", "-t", "bob"]).fails(64, "-t bob: the same peer twice");
    seal(&["-t", "bob", "-t", &id("bob")[..16]]).fails(64, "-t ");
    let ran = seal(&["-t", "nobody"]).fails(67, "no peer is known as nobody");
    assert_eq!(ran.hints().len(), 1);
    seal(&["-t", "bob", "-t", "nobody"]).fails(67, "no peer is known as nobody");
    seal(&["-t", &id("mallory")]).fails(67, "no peer is known as ");
    seal(&["-t", ""]).fails(67, "no peer is known as ");
    seal(&["-t", "bob,carol"]).fails(67, "no peer is known as bob,carol");
    let ran = seal(&["-t", "\x1b[31m"]).run();
    assert_eq!(ran.status, 67);
    ran.says(&["no peer is known as \\u{1b}[31m"]).changes(&[]);
    for to in [id("bob"), id("bob")[..16].to_owned()] {
        seal(&["-f", "-t", &to]).ok().quiet();
    }
}

/// Whom we authorized has not thereby authorized us.
#[test]
fn peers_that_cannot_be_sent_to() {
    let env = Env::new();
    for node in ["alice", "bob"] {
        env.make_node(node, &[]);
    }
    env.introduce("bob", "alice", &[]);
    let seal = || {
        env.relay("seal")
            .args(["-N", "alice", "-t", "bob", "-o", "out"])
            .stdin("x")
    };
    seal().fails(67, "no session key of bob is known");
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("open").args(["-N", "alice"]).stdin(parcel).ok();
    let ran = seal().fails(77, "bob has not authorized this node to send to it");
    assert_eq!(ran.hints().len(), 1);
}

#[test]
fn every_cipher() {
    let env = Env::with_peers();
    for (cipher, shown) in [
        ("aes-128-cbc", "AES-128-CBC"),
        ("aes-192-cbc", "AES-192-CBC"),
        ("aes-256-cbc", "AES-256-CBC"),
        ("aes-128-gcm", "AES-128-GCM"),
        ("aes-192-gcm", "AES-192-GCM"),
        ("aes-256-gcm", "AES-256-GCM"),
    ] {
        for content in [&b""[..], b"0123456789abcdef", &[7; 5000]] {
            let parcel = env.parcel_with("bob", "alice", content, &["--cipher", cipher]);
            assert_eq!(facts(&env, &parcel)[0]["payload"]["cipher"], shown);
            env.relay("open")
                .args(["-N", "alice"])
                .stdin(parcel)
                .ok()
                .quiet()
                .stdout(content);
        }
    }
    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "--cipher", "des"])
        .fails(64, "invalid value 'des' for '--cipher <CIPHER>'");
}

#[test]
fn armor() {
    let env = Env::with_peers();
    let ran = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "-t", "carol", "--armor"])
        .stdin("x")
        .ok()
        .quiet();
    let text = ran.text();
    assert_eq!(text.matches("-----BEGIN RELAYNET PARCEL-----\n").count(), 2);
    assert_eq!(text.matches("-----END RELAYNET PARCEL-----\n").count(), 2);
    assert!(text.lines().all(|line| line.len() <= 64));
    assert_eq!(facts(&env, &ran.stdout).len(), 2);
}

/// What a content is called and typed, as the recipient gets it.
#[test]
fn types_and_names() {
    let env = Env::with_peers();
    env.mkdir("sub");
    env.write("sub/.résumé\n2.pdf", "x");
    let opened = |options: &[&str]| {
        let parcel = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice"])
            .args(options)
            .stdin("x")
            .ok()
            .quiet()
            .stdout;
        let ran = env
            .relay("open")
            .args(["-N", "alice", "-f", "-o", "out", "--json"])
            .stdin(parcel)
            .ok()
            .quiet();
        let line = ran.json().remove(0);
        (
            line["type"].as_str().unwrap().to_owned(),
            line["name"].as_str().map(str::to_owned),
        )
    };
    let default = "application/octet-stream".to_owned();
    assert_eq!(opened(&[]), (default.clone(), None));
    assert_eq!(
        opened(&["sub/.résumé\n2.pdf"]),
        (default.clone(), None),
        "told only when asked"
    );
    assert_eq!(
        opened(&["--keep-name", "sub/.résumé\n2.pdf"]),
        (default.clone(), Some("résumé2.pdf".to_owned()))
    );
    assert_eq!(
        opened(&[
            "--name",
            "a \"b\"; c.txt",
            "-y",
            "text/plain; charset=utf-8"
        ]),
        (
            "text/plain; charset=utf-8".to_owned(),
            Some("a \"b\"; c.txt".to_owned())
        )
    );
    assert_eq!(
        opened(&["--name", "../../x"]),
        (default.clone(), Some("x".to_owned()))
    );
    assert_eq!(
        opened(&["--name", "報告.pdf"]),
        (default, Some("報告.pdf".to_owned()))
    );
}

#[test]
fn command_lines_that_are_wrong() {
    let env = Env::with_peers();
    env.write("content", "x");
    let seal = |options: &[&str]| {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice", "-o", "out"])
            .args(options)
            .stdin("x")
    };
    for (options, text) in [
        (&["--keep-name"][..], "--keep-name needs a FILE"),
        (&["--keep-name", "-"], "--keep-name needs a FILE"),
        (
            &["--keep-name", "--name", "x", "content"],
            "the argument '--keep-name' cannot be used with",
        ),
        (&["--name", "..."], "\"...\" cannot be the name of a file"),
        (&["--name", ""], "\"\" cannot be the name of a file"),
        (&["--name", "a/"], "\"a/\" cannot be the name of a file"),
        (&["--ttl", "0"], "--ttl must be over 5m"),
        (&["--ttl", "181d"], "--ttl must be over 5m"),
        (
            &["--ttl", "soon"],
            "invalid value 'soon' for '--ttl <DURATION>'",
        ),
        (&["-d", "."], "the argument "),
        (&["content", "more"], "unexpected argument 'more' found"),
        (&["--params", "x"], "the "),
        (&["--session-key", "x"], "--params is needed beside"),
        (&["--identity-key", "x"], "--params is needed beside"),
        (
            &["--save-session-key", "x"],
            "the following required arguments were not provided",
        ),
        (&["-q", "-v"], "the argument "),
    ] {
        seal(options).fails(64, text);
    }
}

/// Types that no message can have: the command line is wrong, and no key is made for it.
#[test]
fn types_that_no_message_can_have() {
    let env = Env::with_peers();
    for media_type in ["", "é", "a\nb"] {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice", "-o", "out", "-y", media_type])
            .stdin("x")
            .fails(64, "malformed media type");
    }
    let seal = |options: &[&str]| {
        let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
        seal.args(options).stdin("x")
    };
    // With a name of file that takes three octets for each, more is left for the type than anybody needs.
    let (longest, name) = (format!("t/{}", "t".repeat(253)), "é".repeat(100));
    seal(&["-y", &longest]).ok().quiet();
    seal(&["-y", &longest, "--name", &name]).ok().quiet();
    for (media_type, len) in [
        (format!("t/{}", "t".repeat(254)), 256),
        (";".repeat(65_536), 65_536),
    ] {
        let text = format!("a media type of {len} octets, over 255");
        seal(&["-y", &media_type]).fails(64, &text);
        seal(&["-y", &media_type, "--name", "x"]).fails(64, &text);
    }
}

#[test]
fn the_longest_id() {
    let env = Env::with_peers();
    let message_id = "x".repeat(63);
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", &message_id]);
    assert_eq!(facts(&env, &parcel)[0]["id"], *message_id);
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .stdout("x");
}

#[test]
fn inputs_that_cannot_be_read() {
    let env = Env::with_peers();
    let seal = |file: &str| {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice", "-o", "out", file])
    };
    seal("missing").fails(66, "missing: cannot open: No such file or directory");
    seal("alice").fails(66, "alice: ");
    // Empty content is content.
    seal("/dev/null").ok().quiet();
    env.relay("open")
        .args(["-N", "alice", "out"])
        .ok()
        .quiet()
        .stdout("");
}

#[test]
fn outputs() {
    let env = Env::with_peers();
    env.write("out", "mine");
    env.write("target", "old");
    env.link("target", "link");
    let seal = |output: &[&str]| {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice"])
            .args(output)
            .stdin("x")
    };
    // Refused before a key is made.
    let ran = seal(&["-o", "out"]).fails(73, "out: already exists");
    assert_eq!(ran.hints(), ["-f replaces it"]);
    for (output, status) in [
        (["-o", "missing/out"], 73),
        (["-d", "missing"], 73),
        (["-d", "out"], 73),
        (["-o", "/dev/full"], 74),
    ] {
        let ran = seal(&output).run();
        assert_eq!(ran.status, status, "{output:?}: {}", ran.stderr);
        assert_eq!(ran.diagnostics().len(), 1);
        ran.stdout("").changes_outside_nodes(&[]);
    }
    let ran = seal(&[]).shell("", ">/dev/full").run();
    assert_eq!(ran.status, 74);
    ran.says(&["cannot write: No space left on device"])
        .changes_outside_nodes(&[]);
    let ran = seal(&[]).without_reader().run().quiet();
    assert_eq!(ran.status, 141);
    seal(&["-f", "-o", "out"])
        .ok()
        .quiet()
        .changes_outside_nodes(&["*out"]);
    seal(&["-f", "-o", "link"])
        .ok()
        .quiet()
        .changes_outside_nodes(&["*target"]);
    for (umask, mode) in [("000", 0o666), ("077", 0o600)] {
        let out = format!("umask-{umask}");
        seal(&["-o", &out])
            .shell(&format!("umask {umask}"), "")
            .ok()
            .quiet();
        assert_eq!(env.mode(&out), mode);
        for (path, (mode, content)) in env.tree() {
            if path.starts_with("bob/sessions") {
                let secret = if content == crate::testenv::Content::Dir {
                    0o700
                } else {
                    0o600
                };
                assert_eq!(mode, secret, "{path}");
            }
        }
    }
}

/// Nothing is left of a parcel whose disk is full.
#[test]
fn a_full_disk() {
    let env = Env::with_peers();
    let seal = || {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice", "-o", "out"])
            .stdin("x")
    };
    // Once a session key is there, every run takes the same steps.
    seal().ok();
    std::fs::remove_file(env.path("out")).unwrap();
    seal().var("RELAY_FAULT", "trace:trace").ok();
    let steps = env.text("trace").lines().count();
    assert!(steps >= 5, "{}", env.text("trace"));
    std::fs::remove_file(env.path("out")).unwrap();
    for step in 1..=steps {
        let ran = seal().var("RELAY_FAULT", format!("ENOSPC:{step}")).run();
        assert_eq!(ran.status, 74, "{step}: {}", ran.stderr);
        assert_eq!(ran.diagnostics().len(), 1);
        // Only when the last sync of the directory fails does the file have its name.
        if step < steps {
            ran.changes_outside_nodes(&[]);
        }
    }
}

#[test]
fn content_that_is_too_large() {
    let env = Env::with_peers();
    env.write("large", vec![0; 8_322_038]);
    env.write("almost", vec![0; 8_322_037]);
    let seal = |file: &str| {
        env.relay("seal")
            .args(["-N", "bob", "-t", "alice", "-o", "out", file])
    };
    let hint = "relay-split cuts it into parts, which --parts seals";
    let ran = seal("large").fails(65, "large: over 8322037 octets");
    assert_eq!(ran.hints(), [hint]);
    // The parcel around it is larger than what is carried.
    let ran = seal("almost").run();
    assert_eq!((ran.status, ran.hints()), (65, vec![hint]));
    ran.says(&["parcel has "])
        .stdout("")
        .changes_outside_nodes(&[]);
    env.write("fits", vec![0; 8_318_000]);
    seal("fits").ok().quiet();
    assert!(env.read("out").len() <= 8_322_037);
    env.relay("open")
        .args(["-N", "alice", "out"])
        .ok()
        .quiet()
        .stdout(vec![0; 8_318_000]);
}

/// Alice and Bob, whom Alice authorized with these options.
fn authorized(options: &[&str]) -> Env {
    let env = Env::new();
    for node in ["alice", "bob"] {
        env.make_node(node, &[]);
    }
    env.introduce("bob", "alice", options);
    env
}

#[test]
fn a_life_is_cut_to_the_paths_end() {
    let env = authorized(&["--valid", "10d"]);
    let seal = |now: &str| {
        env.relay("seal")
            .at(now)
            .args(["-N", "bob", "-t", "alice"])
            .stdin("x")
    };
    let cut = "the life of the parcel for 096119e26651d9d7 is cut to 2026-03-11T12:00:00Z";
    let ran = seal("2026-03-05T12:00:00Z").ok().says(&[cut]);
    assert_eq!(
        facts(&env, &ran.stdout)[0]["expiry"],
        "2026-03-11T12:00:00Z"
    );
    seal("2026-03-05T12:00:00Z").arg("-q").ok().quiet();
    seal("2026-03-05T12:00:00Z")
        .args(["--ttl", "2d"])
        .ok()
        .quiet();
    seal("2026-03-10T12:00:00Z").ok().says(&[cut]);
    for now in ["2026-03-10T12:00:01Z", "2026-03-11T11:59:59Z"] {
        let ran = seal(now).args(["--ttl", "1h"]).fails(
            80,
            "the authorization from alice ends at 2026-03-11T12:00:00Z",
        );
        assert_eq!(ran.hints().len(), 1);
    }
    seal("2026-03-11T12:00:01Z").fails(
        80,
        "the authorization from alice ends at 2026-03-11T12:00:00Z",
    );
    seal("2026-04-11T12:00:00Z").fails(
        80,
        "the authorization from alice ends at 2026-03-11T12:00:00Z",
    );
}

#[test]
fn a_first_session_key_is_used_up_after_sixty_days() {
    let env = authorized(&[]);
    let seal = |now: &str| {
        env.relay("seal")
            .at(now)
            .args(["-N", "bob", "-t", "alice"])
            .stdin("x")
    };
    seal("2026-04-30T09:00:00Z").ok().quiet();
    let ran = seal("2026-04-30T09:00:01Z").fails(
        80,
        "the first session key of alice expired at 2026-04-30T09:00:00Z",
    );
    assert_eq!(ran.hints().len(), 1);
}

#[test]
fn one_way_the_first_session_key_lasts() {
    let env = authorized(&["--one-way"]);
    let parcel = env
        .relay("seal")
        .at("2026-08-20T12:00:00Z")
        .args(["-N", "bob", "-t", "alice", "--ttl", "2d"])
        .stdin("still")
        .ok()
        .quiet()
        .stdout;
    env.relay("open")
        .at("2026-08-21T12:00:00Z")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("still");
}

/// A parcel to an Internet node goes under the sender's own certificate.
#[test]
fn to_an_internet_node() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &["--address", "bob.example.org"]);
    let ncp = env.relay("export").args(["-N", "bob"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "alice", "--name", "bob"])
        .stdin(ncp)
        .ok();
    let parcel = env.parcel("alice", "bob", b"hello");
    let facts = &facts(&env, &parcel)[0];
    assert_eq!(facts["address"], "bob.example.org");
    assert_eq!(
        facts["sender_certificate"]["issuer_common_name"],
        id("alice")
    );
    assert_eq!(facts["attached"], serde_json::json!([]));
    env.relay("open")
        .args(["-N", "bob"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("hello")
        .changes(&[
            "+bob/seen/2026-03-31",
            "+bob/sessions/any/HEX.senders",
            "+bob/strangers",
            "+bob/strangers/2026-03-01",
            "+bob/strangers/2026-03-01/ALICE.pem",
        ]);
}

#[test]
fn settings_of_the_node() {
    let env = Env::with_peers();
    env.write("bob/config", env.text("bob/config") + "ttl = 7d\n");
    let parcel = env.parcel("bob", "alice", b"x");
    assert_eq!(facts(&env, &parcel)[0]["ttl"], 7 * 86_400);
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "2d"]);
    assert_eq!(
        facts(&env, &parcel)[0]["ttl"],
        2 * 86_400,
        "the option wins"
    );
    env.write("bob/config", "ttl = 7y\n");
    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "-o", "out"])
        .fails(78, "bob/config: line 1: ttl: not a duration");
}

#[test]
fn keys_that_others_can_read() {
    let env = Env::with_peers();
    env.chmod("bob/identity.key", 0o604);
    let ran = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "-o", "out"])
        .stdin("x")
        .run();
    assert_eq!(ran.status, 78);
    assert_eq!(ran.hints(), ["chmod 600 bob/identity.key"]);
    ran.says(&["bob/identity.key: open to other users (mode 0604)"])
        .stdout("")
        .changes_outside_nodes(&[]);
}

#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn explicit_files_leave_no_trace() {
    let env = Env::with_peers();
    let bob = env.keys("bob");
    let alice = env.keys("alice");
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "alice", &bob.public])
        .ok()
        .stdout;
    env.write("alice.conn", conn);
    let seal = || {
        env.relay("seal")
            .var("RELAY_NODE", "/nonexistent")
            .args(["--identity-key", &bob.identity, "--params", "alice.conn"])
            .stdin("x")
    };
    let parcel = seal().ok().quiet().changes(&[]).stdout;
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .stdout("x");
    let parcel = seal()
        .args([
            "--session-key",
            &bob.session,
            "--session-key-id",
            &bob.session_id,
        ])
        .ok()
        .quiet()
        .changes(&[])
        .stdout;
    assert_eq!(
        facts(&env, &parcel)[0]["payload"]["originator_key_id"],
        bob.session_id
    );
    let parcel = seal()
        .args(["--save-session-key", "new.key"])
        .ok()
        .quiet()
        .changes(&["+new.key"])
        .stdout;
    assert_eq!(env.mode("new.key"), 0o600);
    let key_id = facts(&env, &parcel)[0]["payload"]["originator_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        env.text("new.key")
            .starts_with(&format!("Key-Id: {key_id}\n"))
    );
    seal().args(["--save-session-key", "new.key"]).fails(73, "");

    seal()
        .args(["-N", "bob"])
        .fails(64, "-N cannot be used with --params");
    seal().args(["-t", "alice"]).fails(64, "the argument ");
    seal()
        .args(["--session-key", &bob.session])
        .fails(64, "--session-key-id is needed");
    env.relay("seal")
        .args([
            "--identity-key",
            &alice.identity,
            "--params",
            "alice.conn",
            "-o",
            "out",
        ])
        .stdin("x")
        .fails(67, "")
        .says_somewhere(&format!("made for {}", id("bob")));
    env.relay("seal")
        .args([
            "--identity-key",
            &bob.identity,
            "--params",
            &bob.public,
            "-o",
            "out",
        ])
        .fails(
            64,
            &format!(
                "{}: connection parameters are needed, not a public key",
                bob.public
            ),
        );
    env.relay("seal")
        .args([
            "--identity-key",
            &bob.identity,
            "--params",
            "missing",
            "-o",
            "out",
        ])
        .fails(66, "missing: cannot open");
}

/// And opening with them leaves none, either.
#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn opening_with_explicit_files_leaves_no_trace() {
    let env = Env::with_peers();
    let alice = env.keys("alice");
    let parcel = env.parcel("bob", "alice", b"content");
    let key_id = facts(&env, &parcel)[0]["payload"]["recipient_key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let session = format!("alice/sessions/{}/{key_id}.key", id("bob"));
    env.write("x.parcel", &parcel);
    let open = || {
        env.relay("open").var("RELAY_NODE", "/nonexistent").args([
            "--session-key",
            &session,
            "x.parcel",
        ])
    };
    for _ in 0..2 {
        open()
            .args(["--trust", &alice.public])
            .ok()
            .quiet()
            .stdout("content")
            .changes(&[]);
    }
    open()
        .args(["--any-sender"])
        .ok()
        .quiet()
        .stdout("content")
        .changes(&[]);
    open()
        .args([
            "--trust",
            "alice/identity.pub",
            "--identity-key",
            &alice.identity,
        ])
        .ok()
        .stdout("content");
    open()
        .args(["--any-sender", "--recipient", &id("alice")])
        .ok()
        .stdout("content");
    open()
        .args(["--any-sender", "--session-key-id", &key_id])
        .ok()
        .stdout("content");

    open()
        .args(["--trust", "carol/identity.pub"])
        .fails(77, "x.parcel: ");
    open()
        .args(["--trust", "missing"])
        .fails(66, "missing: cannot open");
    open()
        .args(["--trust", "x.parcel", "--chain", "missing"])
        .fails(66, "missing: cannot open");
    let bob = env.keys("bob");
    open()
        .args(["--any-sender", "--identity-key", &bob.identity])
        .fails(67, &format!("x.parcel: addressed to {}", id("alice")));
    open()
        .args(["--any-sender", "--recipient", &id("bob")])
        .fails(67, &format!("x.parcel: addressed to {}", id("alice")));
    open()
        .args(["--any-sender", "--session-key-id", "00"])
        .fails(
            67,
            &format!("x.parcel: sealed to session key {key_id}, which is not known here"),
        );
    open()
        .args(["--any-sender", "-N", "alice"])
        .fails(64, "-N cannot be used with");
    env.relay("open")
        .args(["--any-sender", "--session-key", &alice.session, "x.parcel"])
        .fails(65, "x.parcel: ");
    env.relay("open")
        .args(["--any-sender", "--session-key", "missing", "x.parcel"])
        .fails(66, "missing: cannot open: No such file or directory");
    env.relay("open")
        .args(["--any-sender", "--session-key", &alice.identity, "x.parcel"])
        .fails(65, &format!("{}: ", alice.identity));
    env.chmod(&alice.session, 0o644);
    env.relay("open")
        .args(["--any-sender", "--session-key", &alice.session, "x.parcel"])
        .fails(78, &format!("{}: ", alice.session));
}

/// A stream of three parts of ten octets.
fn stream_of_parts(env: &Env) -> Vec<u8> {
    let split = env.relay("split").args(["--size", "10"]);
    split.stdin([7; 30]).ok().stdout
}

#[test]
fn each_part_becomes_a_parcel_under_one_session_key() {
    let env = Env::with_peers();
    let stream = stream_of_parts(&env);
    env.write("parts", &stream);
    let seal = |options: &[&str]| {
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--parts"]);
        seal.args(options)
    };
    let ran = seal(&["-"])
        .stdin(stream.clone())
        .ok()
        .quiet()
        .changes(&["+bob/sessions/ALICE/HEX.key"]);
    let facts = facts(&env, &ran.stdout);
    assert_eq!(facts.len(), 3);
    for key in ["originator_key_id", "recipient_key_id"] {
        assert_eq!(facts[0]["payload"][key], facts[2]["payload"][key]);
    }
    assert_ne!(facts[0]["id"], facts[1]["id"]);
    let opened = env.relay("open").args(["-N", "alice"]).stdin(ran.stdout);
    opened.ok().quiet().stdout(&stream);

    env.mkdir("out");
    seal(&["-d", "out", "--id", "x", "parts"])
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&["+out/ALICE.BOB.HEX.parcel"; 3]);
    assert_eq!(env.names("out").len(), 3);
    env.mkdir("opened");
    for index in 1..=3 {
        let digest = sha256(format!("x.{index}").as_bytes());
        let name = format!("out/{}.{}.{digest}.parcel", id("alice"), id("bob"));
        let open = env
            .relay("open")
            .args(["-N", "alice", "--json", "-d", "opened", &name]);
        let facts = &open.ok().quiet().json()[0];
        assert_eq!(facts["type"], "application/vnd.relaynet.part");
        assert!(facts["name"].is_null());
    }
    let text = seal(&["--armor", "parts"]).ok().quiet();
    assert_eq!(text.text().matches("BEGIN RELAYNET PARCEL").count(), 3);
    seal(&["-o", "file", "parts"]).ok().quiet();
    assert_eq!(super::seal::facts(&env, &env.read("file")).len(), 3);
    seal(&["-o", "file", "parts"]).fails(73, "file: already exists");
}

#[test]
fn each_part_becomes_a_parcel_for_every_recipient() {
    let env = Env::with_peers();
    let stream = stream_of_parts(&env);
    let seal = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob", "-t", "carol", "--parts"]);
    let sealed = seal.stdin(stream.clone()).ok().quiet().stdout;
    let recipients: Vec<Value> = facts(&env, &sealed)
        .into_iter()
        .map(|facts| facts["recipient"].clone())
        .collect();
    let (bob, carol) = (Value::from(id("bob")), Value::from(id("carol")));
    assert_eq!(
        recipients,
        [&bob, &carol, &bob, &carol, &bob, &carol].map(Clone::clone)
    );
    for node in ["bob", "carol"] {
        let opened = env
            .relay("open")
            .args(["-N", node])
            .stdin(sealed.clone())
            .run();
        assert_eq!(opened.status, 67);
        assert_eq!(opened.stdout, stream, "{node}");
    }
}

#[test]
fn parts_that_are_none() {
    let env = Env::with_peers();
    let stream = stream_of_parts(&env);
    let seal = |options: &[&str]| {
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--parts"]);
        seal.args(options)
    };
    seal(&[]).stdin("").fails(66, "-: empty");
    seal(&[])
        .stdin("junk")
        .fails(65, "-: not a part of a transfer");
    seal(&["none"]).fails(66, "none: cannot open");
    for option in [&["--name", "x"][..], &["--keep-name"]] {
        seal(option)
            .stdin(stream.clone())
            .fails(64, "the argument '--parts' cannot be used with");
    }
    let long = "x".repeat(62);
    let ran = seal(&["--id", &long]).stdin(stream.clone()).run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    ran.stdout("").changes_outside_nodes(&[]);
    for bad in [&b"junk"[..], &stream[..20], b"RelayPart\0\x30\x02\x80\x00"] {
        let broken = [&stream, bad].concat();
        for (output, leaves) in [(&[][..], 3), (&["-o", "file"], 0)] {
            let ran = seal(output).stdin(broken.clone()).run();
            assert_eq!(ran.status, 65);
            let said = ran.diagnostics();
            assert!(said.len() == 1 && said[0].starts_with("-[4]: "), "{said:?}");
            let parcels = ran.stdout.windows(7).filter(|it| it == b"AwalaP\0");
            assert_eq!(parcels.count(), leaves);
            ran.changes_outside_nodes(&[]);
        }
    }
}

#[test]
fn a_media_type_has_a_type_and_a_subtype() {
    let env = Env::with_peers();
    let seal = |media_type: &str| {
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "-y", media_type]);
        seal.stdin("x")
    };
    for wrong in [
        "txt",
        "text/",
        "/plain",
        "text/plain/x",
        "te xt/plain",
        ".a/b",
        "text",
    ] {
        seal(wrong).fails(64, &format!("{wrong}: not a media type such as text/plain"));
    }
    for right in [
        "text/plain",
        "application/vnd.a+json",
        "text/plain; charset=utf-8",
        "a/b;c=\"d\"",
    ] {
        seal(right).ok();
    }
}
