//! Whoever intercepts a parcel that is sealed to a key for anybody can sign its ciphertext as theirs.

use std::fs;

use relaynet::message::stream::Stream;

use crate::testenv::{Env, forged, id, self_issued};

/// A node that anybody may write to, and bob, who has its address.
fn strangers() -> Env {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &[]);
    let params = env.relay("export").args(["-q", "-N", "alice"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "alice"])
        .stdin(params)
        .ok();
    env
}

/// What mallory makes of a parcel: the same ciphertext, as hers.
fn stolen(parcel: &[u8], message_id: &str) -> Vec<u8> {
    signed_again(parcel, "mallory", message_id, 86_400)
}

fn signed_again(parcel: &[u8], by: &str, message_id: &str, ttl: u32) -> Vec<u8> {
    forged(parcel, by, |forgery| {
        message_id.clone_into(&mut forgery.fields.id);
        forgery.fields.ttl = ttl;
        forgery.certificates = vec![self_issued(by)];
    })
}

/// The reason for which a message from this sender waits, of which the other one sent the ciphertext first.
fn reason(first: &str, sender: &str) -> String {
    let (first, sender) = (id(first), id(sender));
    format!("{first} sent this before {sender}: nobody can tell who wrote it")
}

/// The same with short ids, as relay-deliver says it.
fn said(first: &str, sender: &str) -> String {
    let (first, sender) = (id(first), id(sender));
    let (first, sender) = (&first[..16], &sender[..16]);
    format!("{first} sent this before {sender}: nobody can tell who wrote it")
}

fn arrive(env: &Env, parcel: &[u8]) {
    env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "alice"]).ok();
}

/// What is in all files below a folder, sorted.
fn delivered(env: &Env, inbox: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in env.names(inbox) {
        let files = env.names(&format!("{inbox}/{folder}")).into_iter();
        found.extend(files.map(|file| env.text(format!("{inbox}/{folder}/{file}"))));
    }
    found.sort();
    found
}

#[test]
fn of_two_who_signed_a_ciphertext_the_second_is_not_opened_unasked() {
    let env = strangers();
    let original = env.parcel_with("bob", "alice", b"secret", &["--id", "m1"]);
    let open = |parcel: &[u8]| env.relay("open").args(["-N", "alice"]).stdin(parcel);
    let theft = stolen(&original, "m2");
    open(&original).ok().stdout("secret");
    open(&theft).fails(82, &format!("-: {}", reason("bob", "mallory")));
    // It was not remembered as received.
    open(&theft).fails(82, &format!("-: {}", reason("bob", "mallory")));
    open(&theft).arg("--again").ok().stdout("secret");
    // The first sender stays the first, and may send it again.
    open(&original).fails(82, "-: already received");
    open(&signed_again(&original, "bob", "m3", 86_400)).ok();

    // Whoever was first is believed, and the other one is not silenced.
    let original = env.parcel_with("bob", "alice", b"another", &["--id", "m4"]);
    open(&stolen(&original, "m5")).ok().stdout("another");
    open(&original).fails(82, &format!("-: {}", reason("mallory", "bob")));
    open(&original).arg("--again").ok().stdout("another");
    open(&original).fails(82, "-: already received");
}

#[test]
fn what_another_sent_first_is_set_aside() {
    for is_stolen_first in [false, true] {
        let env = strangers();
        env.mkdir("inbox");
        let original = env.parcel_with("bob", "alice", b"secret", &["--id", "m1"]);
        let theft = stolen(&original, "m2");
        let order = if is_stolen_first {
            [(&theft, "mallory"), (&original, "bob")]
        } else {
            [(&original, "bob"), (&theft, "mallory")]
        };
        let deliver = || {
            let args = ["-N", "alice", "--dir", "inbox"];
            env.relay("deliver").args(args)
        };
        arrive(&env, order[0].0);
        deliver().ok().quiet();
        arrive(&env, order[1].0);
        let [said, reason] =
            [said as fn(&str, &str) -> String, reason].map(|it| it(order[0].1, order[1].1));
        let ran = deliver().run();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.says_somewhere(&format!("set aside in failed: {said}"));
        deliver().ok().quiet().changes(&[]);
        assert_eq!(delivered(&env, "inbox"), ["secret"]);
        let failed = env.names("alice/spool/failed");
        let why = env.text(format!("alice/spool/failed/{}", failed[1]));
        assert!(why.contains(&reason), "{why}");
        // Whoever looked at both wants it.
        env.relay("route")
            .args(["-N", "alice", "--retry", &failed[0]])
            .ok();
        deliver().ok().quiet();
        assert_eq!(delivered(&env, "inbox"), ["secret", "secret"]);
        let open = env.relay("open").args(["-N", "alice"]);
        open.stdin(order[1].0.clone())
            .fails(82, "-: already received");
    }
}

/// They come in one run, to each kind of destination.
#[test]
fn of_two_that_wait_one_is_delivered() {
    let destinations: [&[&str]; 3] = [
        &["--dir", "inbox"],
        &["--maildir", "mail"],
        &["--", "sh", "-c", "cat >>log; echo >>log"],
    ];
    for destination in destinations {
        let env = strangers();
        for dir in ["inbox", "mail", "mail/cur", "mail/new", "mail/tmp"] {
            env.mkdir(dir);
        }
        let original = env.parcel_with("bob", "alice", b"secret", &["--id", "m1"]);
        arrive(&env, &original);
        arrive(&env, &stolen(&original, "m2"));
        // To look says nothing of who is first.
        let args = [&["-N", "alice", "-n"][..], destination].concat();
        env.relay("deliver").args(args).ok().changes(&[]);
        let args = [&["-N", "alice"][..], destination].concat();
        let ran = env.relay("deliver").args(args).run();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.says_somewhere("nobody can tell who wrote it");
        let log = env.path("log");
        let lines = fs::read_to_string(log).unwrap_or_default().lines().count();
        let times = delivered(&env, "inbox").len() + env.names("mail/new").len() + lines;
        assert_eq!(times, 1, "{destination:?}");
        assert_eq!(env.names("alice/spool/failed").len(), 2, "{destination:?}");
    }
}

#[test]
fn parts_that_another_sent_first_are_set_aside() {
    let env = strangers();
    env.mkdir("inbox");
    env.write("whole", "twenty-three octets ...");
    let split = ["--size", "10", "whole"];
    let stream = env.relay("split").args(split).ok().stdout;
    let seal = ["-N", "bob", "-t", "alice", "--parts", "--id", "p"];
    let stream = env.relay("seal").args(seal).stdin(stream).ok().stdout;
    let mut messages = Stream::new(&stream[..]);
    let parts: Vec<Vec<u8>> = std::iter::from_fn(|| messages.next_message())
        .map(Result::unwrap)
        .collect();
    let deliver = || {
        let args = ["-N", "alice", "--dir", "inbox"];
        env.relay("deliver").args(args)
    };
    // Bob's first part waits; mallory has all of them.
    arrive(&env, &parts[0]);
    deliver().ok().quiet();
    for (number, part) in parts.iter().enumerate() {
        arrive(&env, &stolen(part, &format!("s{number}")));
    }
    let ran = deliver().run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.says_somewhere(&said("bob", "mallory"));
    assert!(delivered(&env, "inbox").is_empty());
    // Of the others mallory was first.
    arrive(&env, &parts[1]);
    arrive(&env, &parts[2]);
    let ran = deliver().run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.says_somewhere(&said("mallory", "bob"));
    assert!(delivered(&env, "inbox").is_empty());
    let names = env.names("alice/spool/failed").into_iter();
    for name in names.filter(|name| name.strip_suffix(".why").is_none()) {
        let args = ["-N", "alice", "--retry", &name];
        env.relay("route").args(args).ok();
    }
    deliver().ok().quiet();
    let whole = "twenty-three octets ...";
    assert_eq!(delivered(&env, "inbox"), [whole, whole]);
}

/// A thief chooses how long the stolen parcel lasts, and when it comes.
#[test]
fn who_was_first_is_known_as_long_as_the_key_exists() {
    let env = strangers();
    let options = ["--id", "m1", "--ttl", "2d"];
    let original = env.parcel_with("bob", "alice", b"secret", &options);
    let open = |parcel: Vec<u8>, now| {
        let args = ["-N", "alice"];
        env.relay("open").args(args).at(now).stdin(parcel)
    };
    let later = "2026-03-25T12:00:00Z";
    open(original.clone(), crate::testenv::NOW).ok();
    let purge = |now| env.relay("purge").args(["-N", "alice"]).at(now).ok();
    purge(later);
    assert!(env.names("alice/seen").iter().all(|name| name == "floor"));
    let theft = signed_again(&original, "mallory", "m2", 100 * 86_400);
    open(theft, later).fails(82, &format!("-: {}", reason("bob", "mallory")));
    env.relay("check")
        .args(["-N", "alice"])
        .at(later)
        .run()
        .says_nothing_of("senders");
    // What belongs to the key goes with it.
    let folder = "alice/sessions/any";
    let senders = |env: &Env| {
        let names = env.names(folder).into_iter();
        names.filter(|name| name.contains(".senders")).count()
    };
    assert_eq!(senders(&env), 1);
    for now in [
        "2026-04-24T12:00:00Z",
        "2026-05-23T12:00:00Z",
        "2026-06-21T12:00:00Z",
        "2026-07-20T12:00:00Z",
        "2026-08-18T12:00:00Z",
        "2026-09-16T12:00:00Z",
        "2026-10-15T12:00:00Z",
        "2026-11-13T12:00:00Z",
    ] {
        purge(now);
    }
    assert_eq!(senders(&env), 0, "{:?}", env.names(folder));
}

#[test]
fn records_that_cannot_be_read_keep_only_messages_to_their_key_waiting() {
    for suffix in ["senders", "senders.sorted"] {
        let env = strangers();
        env.make_node("carol", &[]);
        env.introduce("carol", "alice", &[]);
        let stranger = env.parcel_with("bob", "alice", b"from anybody", &["--id", "m1"]);
        let peer = env.parcel_with("carol", "alice", b"from a peer", &["--id", "m2"]);
        arrive(&env, &stranger);
        arrive(&env, &peer);
        let keys = env.names("alice/sessions/any");
        let key = keys[0].strip_suffix(".key").unwrap();
        let file = format!("alice/sessions/any/{key}.{suffix}");
        env.mkdir(&file);
        let deliver = || env.relay("deliver").args(["-N", "alice", "--", "cat"]);
        let ran = deliver().run();
        assert_eq!(ran.stdout, b"from a peer", "{file}: {}", ran.stderr);
        assert_eq!(ran.status, 78, "{}", ran.stderr);
        assert!(ran.stderr.contains(&file), "{}", ran.stderr);
        assert_eq!(
            env.names(&format!("alice/spool/home/{}", id("alice")))
                .len(),
            1
        );
        fs::remove_dir(env.path(&file)).unwrap();
        deliver().ok().stdout("from anybody");
    }
}
