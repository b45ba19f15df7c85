//! The session of the README: the first message, its answer, and what follows.

use serde_json::Value;

use crate::testenv::{Env, fingerprint, id};

/// Alice and Bob as the README has it, each with a node directory.
#[test]
fn three_trips_of_the_stick() {
    let env = Env::new();
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    env.mkdir("stick");
    env.mkdir("in");
    env.write("report.pdf", b"%PDF-1.7\nthe report\n");

    env.relay("export")
        .args(["-N", "bob", "-o", "stick/bob.pub"])
        .ok()
        .quiet()
        .stdout("")
        .changes(&["+stick/bob.pub"]);
    let public = env.text("stick/bob.pub");
    assert!(
        public.starts_with("-----BEGIN PUBLIC KEY-----\n"),
        "{public}"
    );
    assert!(public.ends_with("-----END PUBLIC KEY-----\n"), "{public}");

    env.relay("authorize")
        .args(["-N", "alice", "--name", "bob"])
        .args(["-o", "stick/alice.conn", "stick/bob.pub"])
        .ok()
        .says(&[
            &format!("bob: fingerprint {}", fingerprint("bob")),
            "bob: authorization as a whole ",
        ])
        .stdout("")
        .changes(&[
            "+alice/peers/BOB",
            "+alice/peers/BOB/given",
            "+alice/peers/BOB/given/20260828T060000Z.HEX.pem",
            "+alice/peers/BOB/identity.pub",
            "+alice/peers/BOB/name",
            "+alice/sessions/BOB",
            "+alice/sessions/BOB/HEX.key",
            "+stick/alice.conn",
        ]);
    let conn = env.text("stick/alice.conn");
    assert!(conn.starts_with("-----BEGIN RELAYNET CONNECTION PARAMETERS-----\n"));

    env.relay("import")
        .args(["-N", "bob", "--name", "alice", "stick/alice.conn"])
        .ok()
        .says(&[
            &format!("alice: fingerprint {}", fingerprint("alice")),
            "alice: authorization as a whole ",
        ])
        .stdout(format!("{}\n", id("alice")))
        .changes(&[
            "+bob/peers/ALICE",
            "+bob/peers/ALICE/held",
            "+bob/peers/ALICE/held/20260828T060000Z.HEX.pem",
            "+bob/peers/ALICE/identity.pub",
            "+bob/peers/ALICE/name",
            "+bob/peers/ALICE/session.pem",
        ]);

    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "--keep-name"])
        .args(["-o", "stick/report.parcel", "report.pdf"])
        .ok()
        .quiet()
        .stdout("")
        .changes(&[
            "+bob/sessions/ALICE",
            "+bob/sessions/ALICE/HEX.key",
            "+stick/report.parcel",
        ]);

    env.relay("open")
        .args(["-N", "alice", "-d", "in", "--keep-name"])
        .arg("stick/report.parcel")
        .ok()
        .quiet()
        .stdout("")
        .changes(&[
            "*alice/sessions/BOB/HEX.key",
            "+alice/peers/BOB/session.pem",
            "+alice/seen/2026-03-31",
            "+in/report.pdf",
        ]);
    assert_eq!(env.read("in/report.pdf"), b"%PDF-1.7\nthe report\n");
}

/// What a courier sees of the session keys of a parcel: sealed to, and to be answered under.
fn keys_of(env: &Env, parcel: &[u8]) -> (String, String) {
    let ran = env
        .relay("inspect")
        .arg("--json")
        .stdin(parcel)
        .ok()
        .quiet();
    let payload = &ran.json()[0]["payload"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&payload["recipient_key_id"]),
        text(&payload["originator_key_id"]),
    )
}

#[test]
fn each_side_answers_under_the_newest_key_of_the_other() {
    let env = Env::with_peers();
    let at = |minute: u32| format!("2026-03-02T08:{minute:02}:00Z");
    let send = |from: &str, to: &str, minute: u32, text: &str| {
        let parcel = env
            .relay("seal")
            .at(&at(minute))
            .args(["-N", from, "-t", to])
            .stdin(text)
            .ok()
            .quiet()
            .stdout;
        let keys = keys_of(&env, &parcel);
        env.relay("open")
            .at(&at(minute + 1))
            .args(["-N", to])
            .stdin(parcel)
            .ok()
            .quiet()
            .stdout(text);
        keys
    };
    let (to_first, bob_1) = send("bob", "alice", 0, "one");
    let (to_bob_1, alice_1) = send("alice", "bob", 10, "two");
    assert_eq!(to_bob_1, bob_1, "alice answers under what bob sent");
    assert_ne!(to_first, alice_1);
    let (to_alice_1, bob_2) = send("bob", "alice", 20, "three");
    assert_eq!(to_alice_1, alice_1);
    assert_ne!(bob_2, bob_1, "a key that was used is not sent again");
    let (to_bob_2, alice_2) = send("alice", "bob", 30, "four");
    assert_eq!(to_bob_2, bob_2);
    assert_ne!(alice_2, alice_1);

    // Without an answer the key stays, for a day.
    let (to_bob_2, alice_same) = send("alice", "bob", 40, "five");
    assert_eq!((to_bob_2, alice_same), (bob_2, alice_2));
}

/// A message that was sealed to a key before it was superseded is opened still.
#[test]
fn a_late_parcel_is_opened_with_the_older_key() {
    let env = Env::with_peers();
    let early = env.parcel("bob", "alice", b"early");
    let late = env
        .relay("seal")
        .at("2026-03-03T12:00:00Z")
        .args(["-N", "bob", "-t", "alice"])
        .stdin("late")
        .ok()
        .stdout;
    let (_, first) = keys_of(&env, &early);
    let (_, second) = keys_of(&env, &late);
    assert_ne!(first, second, "a key is renewed after a day");
    for (parcel, content) in [(late, "late"), (early, "early")] {
        env.relay("open")
            .at("2026-03-04T12:00:00Z")
            .args(["-N", "alice"])
            .stdin(parcel)
            .ok()
            .quiet()
            .stdout(content);
    }
    let answer = env
        .relay("seal")
        .at("2026-03-04T13:00:00Z")
        .args(["-N", "alice", "-t", "bob"])
        .stdin("answer")
        .ok()
        .stdout;
    assert_eq!(
        keys_of(&env, &answer).0,
        second,
        "the latest date counts, not the order"
    );
}

/// The environment and ~/.relay name a node where -N does not.
#[test]
fn the_node_is_an_option_else_the_environment_else_the_home() {
    let env = Env::with_peers();
    let own = |name: &str| format!("{}\n", env.text(format!("{name}/identity.pub")).trim_end());
    env.relay("export")
        .var("RELAY_NODE", "bob")
        .args(["-N", "alice"])
        .ok()
        .quiet()
        .stdout(own("alice"))
        .changes(&[]);
    env.relay("export")
        .var("RELAY_NODE", "bob")
        .ok()
        .quiet()
        .stdout(own("bob"))
        .changes(&[]);
    env.relay("export").fails(
        78,
        &format!(
            "{}/.relay is not a node directory",
            env.path("home").display()
        ),
    );
    env.mkdir("home");
    std::fs::rename(env.path("carol"), env.path("home/.relay")).unwrap();
    env.relay("export")
        .ok()
        .quiet()
        .stdout(own("home/.relay"))
        .changes(&[]);
    env.relay("export")
        .var("HOME", "")
        .fails(64, "-N is needed where HOME is not set");
}

/// One message under a clock that is a month ahead does not fix the session key for that month, and
/// can be opened when its date has come.
#[test]
fn a_clock_that_was_ahead_once_does_not_keep_its_session_key() {
    let env = Env::with_peers();
    let seal = |from: &str, to: &str, at: &str| {
        env.relay("seal")
            .at(at)
            .args(["-N", from, "-t", to])
            .stdin("text")
            .ok()
    };
    let open = |node: &str, parcel: &[u8], at: &str| {
        env.relay("open")
            .at(at)
            .args(["-N", node])
            .stdin(parcel.to_vec())
            .ok()
            .quiet()
            .stdout("text");
    };
    let purge = |at: &str| {
        for node in ["alice", "bob"] {
            env.relay("purge").args(["-N", node]).at(at).run();
        }
    };
    let ahead = seal("bob", "alice", "2026-04-01T12:00:00Z").quiet().stdout;
    let right = seal("bob", "alice", "2026-03-02T12:00:00Z");
    let right = right
        .says(&["earlier messages to "])
        .says_somewhere("were dated up to 2026-04-01T")
        .stdout;
    let next = seal("bob", "alice", "2026-03-02T13:00:00Z").quiet().stdout;
    let (_, of_future) = keys_of(&env, &ahead);
    let (_, of_now) = keys_of(&env, &right);
    assert_ne!(of_now, of_future);
    assert_eq!(
        keys_of(&env, &next).1,
        of_now,
        "the new key stays for a day"
    );
    let renewed = seal("bob", "alice", "2026-03-04T12:00:00Z").stdout;
    assert_ne!(keys_of(&env, &renewed).1, of_now);

    open("alice", &renewed, "2026-03-04T12:30:00Z");
    let answer = seal("alice", "bob", "2026-03-04T13:00:00Z").stdout;
    open("bob", &answer, "2026-03-04T13:30:00Z");
    purge("2026-03-20T12:00:00Z");
    // The message of the future brings alice back to its key, which bob still has.
    open("alice", &ahead, "2026-04-01T13:00:00Z");
    let late = seal("alice", "bob", "2026-04-01T14:00:00Z").stdout;
    assert_eq!(keys_of(&env, &late).0, of_future);
    open("bob", &late, "2026-04-01T15:00:00Z");
}
