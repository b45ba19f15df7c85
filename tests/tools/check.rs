//! relay-check: it finds each fault, and reports nothing that is as it should be.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use relaynet::node::Directory;
use relaynet::spool::Spool;
use relaynet::spool::exchanges::Exchange;
use relaynet::spool::hosts::HostFailure;

use crate::mounted::Mounted;
use crate::testenv::{Call, Env, NOW, copy_tree, id, is_root, keys_in};

/// Dates everything in a directory as if it had just been written.
fn settle(env: &Env, dir: &str, at: &str) {
    let at = SystemTime::from(at.parse::<Timestamp>().unwrap());
    for entry in walk(&env.path(dir)) {
        let file = File::options().write(true).open(entry).unwrap();
        file.set_modified(at).unwrap();
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            files.extend(walk(&path));
        } else if metadata.is_file() {
            files.push(path);
        }
    }
    files
}

fn check<'a>(env: &'a Env, at: &str) -> Call<'a> {
    env.relay("check").args(["-N", at])
}

/// What is found in a node: level, what, where. Nothing is changed by that.
#[track_caller]
fn found_at(env: &Env, at: &str, now: &str) -> Vec<String> {
    let ran = check(env, at).at(now).run().quiet().changes(&[]);
    let mut lines: Vec<String> = ran
        .text()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields.len(), 4, "{line}");
            format!("{} {}: {}", fields[0], fields[2], fields[1])
        })
        .collect();
    assert_eq!(ran.status, i32::from(!lines.is_empty()));
    lines.sort();
    lines
}

#[track_caller]
fn found(env: &Env, at: &str) -> Vec<String> {
    found_at(env, at, NOW)
}

/// Exactly these are found, as they begin.
#[track_caller]
fn finds(env: &Env, at: &str, now: &str, expected: &[&str]) {
    let found = found_at(env, at, now);
    let matches = found.len() == expected.len()
        && expected
            .iter()
            .all(|one| found.iter().any(|line| line.starts_with(one)));
    assert!(matches, "{found:#?} for {expected:#?}");
}

fn gateways() -> Env {
    let env = Env::with_gateways();
    for node in ["gateway", "hub", "alice", "bob", "mallory"] {
        settle(&env, node, NOW);
    }
    env
}

#[test]
fn nodes_that_are_in_order_say_nothing() {
    let env = gateways();
    for node in ["gateway", "hub", "alice", "bob", "mallory"] {
        finds(&env, node, NOW, &[]);
    }
    let ran = check(&env, "gateway").arg("-v").ok();
    assert!(
        ran.text()
            .lines()
            .all(|line| line.starts_with("information\t"))
    );
    let ends = format!(
        "the registration with hub ends at 2026-08-28T06:00:00Z\tgateway/certs/{}\t-",
        id("hub")
    );
    assert!(ran.text().contains(&ends), "{}", ran.text());
    // Nor those that are in use.
    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "gateway"]).ok();
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("open").args(["-N", "alice"]).stdin(parcel).ok();
    for node in ["gateway", "alice", "bob"] {
        env.relay("purge").args(["-N", node]).ok();
        settle(&env, node, NOW);
        finds(&env, node, NOW, &[]);
    }
}

#[test]
fn what_is_no_node_cannot_be_checked() {
    let env = gateways();
    check(&env, "stick").fails(78, "stick is not a node directory");
    env.write("gateway/VERSION", "relay-node 9\n");
    check(&env, "gateway").fails(78, "gateway is a node directory of another version");
}

#[test]
fn facts_come_as_json() {
    let env = gateways();
    env.chmod("alice/identity.key", 0o640);
    let ran = check(&env, "alice").arg("--json").run().quiet();
    assert_eq!(ran.status, 1);
    let facts = ran.json();
    assert_eq!(facts.len(), 1);
    let keys = ["v", "level", "check", "what", "where", "hint"];
    assert_eq!(keys_in(&facts[0]), keys);
    assert_eq!(facts[0]["level"], "error");
    assert_eq!(facts[0]["check"], "mode");
    assert_eq!(facts[0]["where"], "alice/identity.key");
    assert_eq!(facts[0]["hint"], "chmod 0600 alice/identity.key");
}

#[test]
fn modes_are_exactly_as_they_should_be() {
    let env = gateways();
    let key = env.names("alice/sessions/any").remove(0);
    for (path, mode) in [
        ("alice/config".to_owned(), 0o646),
        ("alice/seen".to_owned(), 0o755),
        ("alice".to_owned(), 0o755),
        (format!("alice/sessions/any/{key}"), 0o604),
        ("alice/identity.pub".to_owned(), 0o400),
    ] {
        env.chmod(&path, mode);
    }
    finds(
        &env,
        "alice",
        NOW,
        &[
            "warning alice/config: mode 0646, not 0600",
            "warning alice/seen: mode 0755, not 0700",
            "warning alice: mode 0755, not 0700",
            &format!("error alice/sessions/any/{key}: mode 0604, not 0600"),
            "warning alice/identity.pub: mode 0400, not 0600",
        ],
    );
}

#[test]
fn a_group_gets_what_it_needs_and_no_more() {
    let env = gateways();
    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let config = env.text("gateway/config");
    env.write("gateway/config", format!("{config}group = relay\n"));
    fs::create_dir_all(env.path(format!("gateway/spool/home/{}", id("gateway")))).unwrap();
    for dir in [
        "spool/home".to_owned(),
        format!("spool/home/{}", id("gateway")),
    ] {
        env.chmod(format!("gateway/{dir}"), 0o700);
    }
    settle(&env, "gateway", NOW);
    let home = format!("gateway/spool/home/{}", id("gateway"));
    finds(
        &env,
        "gateway",
        NOW,
        &[
            "warning gateway: mode 0700, not 0710",
            "warning gateway/spool/in: mode 0700, not 3770",
            "warning gateway/spool/tmp: mode 0700, not 3770",
        ],
    );
    env.chmod("gateway", 0o710);
    env.chmod("gateway/spool", 0o710);
    for dir in ["gateway/spool/in", "gateway/spool/tmp"] {
        fs::set_permissions(env.path(dir), fs::Permissions::from_mode(0o3770)).unwrap();
    }
    // The home of a node of the same user may be theirs alone.
    assert_eq!(env.mode(&home), 0o700);
    finds(&env, "gateway", NOW, &[]);
    // Keys stay the node's own.
    env.chmod("gateway/identity.key", 0o640);
    finds(
        &env,
        "gateway",
        NOW,
        &["error gateway/identity.key: mode 0640, not 0600"],
    );
}

#[test]
fn what_does_not_belong_there_is_found() {
    let env = gateways();
    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    for file in [
        "notes",
        "seen/notes",
        "spool/notes",
        "spool/in/notes",
        "spool/tmp/notes",
    ] {
        env.write(format!("gateway/{file}"), "x");
        env.chmod(format!("gateway/{file}"), 0o600);
    }
    env.mkdir("gateway/peers/bob");
    env.link("../config", "gateway/certs/link");
    let pipe = env.path("gateway/spool/in/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    settle(&env, "gateway", NOW);
    finds(
        &env,
        "gateway",
        NOW,
        &[
            "warning gateway/notes: does not belong here",
            "warning gateway/seen/notes: does not belong here",
            "warning gateway/spool/notes: does not belong here",
            "warning gateway/spool/in/notes: does not belong here",
            "warning gateway/spool/tmp/notes: does not belong here",
            "warning gateway/peers/bob: does not belong here",
            "error gateway/certs/link: neither a file nor a directory",
            "error gateway/spool/in/pipe: neither a file nor a directory",
        ],
    );
}

#[test]
fn directories_in_the_place_of_files_are_found_with_what_fails() {
    let env = gateways();
    let open = format!("alice/lock/open.{}", id("bob"));
    let key = env.names("alice/sessions/any").remove(0);
    let senders = format!("alice/sessions/any/{}", key.replace(".key", ".senders"));
    let peer = format!("alice/peers/{}/address", id("bob"));
    for dir in [&open, &senders, &peer] {
        env.mkdir(dir);
    }
    fs::remove_dir_all(env.path("alice/strangers")).ok();
    env.write("alice/strangers", "");
    settle(&env, "alice", NOW);
    let instead = "a directory in the place of a file";
    let found = found(&env, "alice");
    for line in [
        format!(
            "error {open}: {instead}: messages of this sender are neither delivered nor opened"
        ),
        format!(
            "error {senders}: {instead}: messages sealed to this key are neither delivered nor opened"
        ),
        format!("error {peer}: {instead}: what needs the file fails"),
        "error alice/strangers: a file in the place of a directory".to_owned(),
    ] {
        assert!(found.contains(&line), "{line}: {found:#?}");
    }
    assert!(
        found.iter().all(|line| !line.contains("does not belong")),
        "{found:#?}"
    );
}

#[test]
fn records_of_a_wrong_length_are_found() {
    let env = gateways();
    let key = env.names("alice/sessions/any").remove(0);
    let senders = format!("alice/sessions/any/{}", key.replace(".key", ".senders"));
    let files = [
        (senders.clone(), 64 * 3 + 7),
        (format!("{senders}.sorted"), 64 * 3 + 7),
        ("alice/seen/2026-03-01".to_owned(), 32 * 3 + 7),
        ("alice/seen/2026-03-02.sorted".to_owned(), 32 * 3 + 7),
        ("alice/seen/2026-03-03".to_owned(), 32 * 3),
    ];
    for (file, len) in &files {
        env.write(file, vec![7; *len]);
        env.chmod(file, 0o600);
    }
    settle(&env, "alice", NOW);
    let torn = "7 octets of an incomplete record at the end";
    finds(
        &env,
        "alice",
        NOW,
        &[
            &format!("warning {senders}: {torn}"),
            &format!("error {senders}.sorted: not whole records of 64 octets"),
            &format!("warning alice/seen/2026-03-01: {torn}"),
            "error alice/seen/2026-03-02.sorted: not whole records of 32 octets",
        ],
    );
}

#[test]
fn targets_of_routes_that_cannot_be_used_are_found() {
    let env = gateways();
    env.mkdir("dir");
    env.write("closed", "");
    let at = env.root().display().to_string();
    let lines = [
        "* exec:sh -c true".to_owned(),
        "* exec:/bin/sh".to_owned(),
        "* exec:no-such-command".to_owned(),
        format!("* exec:{at}/none"),
        format!("* exec:{at}/closed"),
        // Where this is depends on where relay-route is started.
        "* exec:./none".to_owned(),
        format!("* dir:{at}/dir"),
        format!("* dir:{at}/none"),
        format!("* dir:{at}/closed"),
    ];
    env.write("gateway/routes", lines.join("\n") + "\n");
    env.chmod("gateway/routes", 0o600);
    settle(&env, "gateway", NOW);
    let line = |number: usize, what: &str| format!("warning gateway/routes: line {number}: {what}");
    finds(
        &env,
        "gateway",
        NOW,
        &[
            &line(
                3,
                "there is no command no-such-command in the directories of PATH",
            ),
            &line(4, &format!("there is no command {at}/none")),
            &line(5, "user "),
            &line(8, &format!("{at}/none is not a directory")),
            &line(9, &format!("{at}/closed is not a directory")),
        ],
    );
}

#[test]
fn root_finds_targets_that_another_user_cannot_use() {
    if !is_root("targets of another user's routes") {
        return;
    }
    let env = gateways();
    for dir in ["theirs", "ours", "shut"] {
        env.mkdir(dir);
    }
    env.mkdir("shut/open");
    for (path, mode) in [
        ("", 0o755),
        ("ours", 0o755),
        ("shut", 0o700),
        ("shut/open", 0o777),
    ] {
        env.chmod(path, mode);
    }
    for (program, mode) in [("private", 0o700), ("public", 0o755)] {
        env.write(program, "");
        env.chmod(program, mode);
    }
    let at = env.root().display().to_string();
    let nobody = user_number("nobody");
    std::os::unix::fs::chown(env.path("theirs"), Some(nobody), None).unwrap();
    let lines = [
        format!("* dir:{at}/theirs"),
        format!("* dir:{at}/ours"),
        format!("* dir:{at}/shut/open"),
        format!("* exec:{at}/private"),
        format!("* exec:{at}/public"),
    ];
    env.write("gateway/routes", lines.join("\n") + "\n");
    let mut chown = std::process::Command::new("chown");
    let made = chown
        .args(["-R", "nobody"])
        .arg(env.path("gateway"))
        .status();
    assert!(made.unwrap().success());
    let found = found(&env, "gateway");
    let found: Vec<_> = found
        .iter()
        .filter(|line| line.contains(": line "))
        .collect();
    let line = |number: usize, what: &str| {
        format!("warning gateway/routes: line {number}: user nobody cannot {what}")
    };
    let expected = [
        line(2, &format!("write to {at}/ours")),
        line(3, &format!("write to {at}/shut/open")),
        line(4, &format!("run {at}/private")),
    ];
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
}

/// The number of a user.
fn user_number(name: &str) -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(name));
    line.unwrap().split(':').nth(2).unwrap().parse().unwrap()
}

#[test]
fn files_of_others_are_found() {
    if !is_root("") {
        return; // nobody else can give files away
    }
    let env = gateways();
    std::os::unix::fs::chown(env.path("alice/config"), Some(12345), None).unwrap();
    let found = found(&env, "alice");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("error alice/config: belongs to user 12345, "));
    std::os::unix::fs::chown(env.path("alice/config"), Some(0), None).unwrap();
    std::os::unix::fs::chown(env.path("bob"), Some(12345), None).unwrap();
    let found = found_at(&env, "bob", NOW);
    assert!(
        found
            .iter()
            .any(|line| line == "warning bob: belongs to user 12345, but this is user 0")
    );
}

#[test]
fn files_that_are_damaged_are_found_each_by_itself() {
    let env = gateways();
    let bob = id("bob");
    let cert = |dir: &str| format!("{dir}/{}", env.names(dir).remove(0));
    let held = cert(&format!("alice/peers/{bob}/held"));
    let given = cert(&format!("alice/peers/{bob}/given"));
    let key = cert(&format!("alice/sessions/{bob}"));
    let own = cert(&format!("alice/certs/{}", id("gateway")));
    env.write(&held, "junk");
    env.write(&own, env.read(&given));
    env.write(&key, "Key-Id: 00\njunk");
    env.write("alice/seen/floor", "soon");
    env.write("alice/identity.key", env.read("bob/identity.key"));
    env.write("alice/routes", "# ok\n\n* peer:nobody\n* peer:bob\nx\n");
    env.chmod("alice/routes", 0o600);
    for path in [&held, &own, &key] {
        env.chmod(path, 0o600);
    }
    env.write(
        format!("alice/sessions/{bob}/77.key"),
        env.read(cert("alice/sessions/any")),
    );
    env.chmod("alice/seen/floor", 0o600);
    env.chmod(format!("alice/sessions/{bob}/77.key"), 0o600);
    settle(&env, "alice", NOW);
    finds(
        &env,
        "alice",
        NOW,
        &[
            &format!("error {own}: for {bob}"),
            &format!("error {key}: "),
            &format!("error alice/sessions/{bob}/77.key: not the key that it is named for"),
            &format!("error {held}: "),
            "error alice/seen/floor: not an instant",
            "error alice/identity.key: not the private half of identity.pub",
            "error alice/routes: line 3: no peer is known as nobody",
            "error alice/routes: line 5: no peer is known as x",
        ],
    );
    let address = format!("alice/peers/{bob}/address");
    env.write(&address, "x");
    let found = found(&env, "alice");
    let bad = format!("error {address}: malformed Internet address");
    assert!(found.contains(&bad), "{found:#?}");
}

#[test]
fn a_node_that_cannot_be_opened_is_looked_at_as_far_as_it_goes() {
    let env = gateways();
    env.write("alice/config", "type = endpoint\nnonsense\n");
    env.chmod("alice/seen", 0o755);
    settle(&env, "alice", NOW);
    finds(
        &env,
        "alice",
        NOW,
        &[
            "error alice/config: line 2: nonsense: not key = value",
            "warning alice/seen: mode 0755, not 0700",
        ],
    );
    env.write("bob/identity.pub", "junk");
    settle(&env, "bob", NOW);
    finds(&env, "bob", NOW, &["error bob/identity.pub: "]);
}

#[test]
fn peers_that_are_not_whole_are_found() {
    let env = gateways();
    let (bob, gateway) = (id("bob"), id("gateway"));
    fs::remove_file(env.path(format!("alice/peers/{bob}/session.pem"))).unwrap();
    env.write(format!("alice/peers/{gateway}/name"), "bob\n");
    fs::create_dir_all(env.path(format!("alice/peers/{}", id("carol")))).unwrap();
    fs::create_dir_all(env.path(format!("alice/sessions/{}", id("hub")))).unwrap();
    for dir in ["peers", "sessions"] {
        let name = if dir == "peers" {
            id("carol")
        } else {
            id("hub")
        };
        env.chmod(format!("alice/{dir}/{name}"), 0o700);
    }
    settle(&env, "alice", NOW);
    let found = found(&env, "alice");
    let has = |text: &str| found.iter().any(|line| line.contains(text));
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(has("session.pem: no session key of bob is known"));
    assert!(has("/name: bob is the name of "));
    assert!(has("a peer without its key, which is not known"));
    assert!(has("session keys for a peer that is not known"));
}

#[test]
fn what_killed_runs_left_is_found_after_a_day() {
    let env = gateways();
    for (name, at) in [
        ("old", "2026-02-28T11:59:59Z"),
        ("new", "2026-02-28T12:00:01Z"),
    ] {
        let path = format!("alice/seen/.relay-{name}.tmp");
        env.write(&path, "torn");
        let file = File::options().write(true).open(env.path(&path)).unwrap();
        let at: Timestamp = at.parse().unwrap();
        file.set_modified(at.into()).unwrap();
    }
    let left = "warning alice/seen/.relay-old.tmp: left by a run that was killed";
    finds(&env, "alice", NOW, &[left]);
}

#[test]
fn what_ends_soon_is_told_for_a_month() {
    let env = gateways();
    let registration = format!(
        "warning alice/certs/{}: the registration with gateway ends at 2026-08-28T06:00:00Z",
        id("gateway")
    );
    let (held, given) = (
        format!(
            "warning alice/peers/{}/held: the authorization from bob ends at",
            id("bob")
        ),
        format!(
            "warning alice/peers/{}/given: the authorization given to bob ends at",
            id("bob")
        ),
    );
    let session = format!(
        "warning alice/peers/{}/session.pem: the first session key of bob",
        id("bob")
    );
    let at = |now: &str| settle(&env, "alice", now);
    at("2026-07-29T05:00:00Z");
    finds(&env, "alice", "2026-07-29T05:00:00Z", &[&session]);
    at("2026-07-29T07:00:00Z");
    finds(
        &env,
        "alice",
        "2026-07-29T07:00:00Z",
        &[&registration, &held, &given, &session],
    );
    // When it has ended, what nobody renewed is not mentioned for ever, but for a node that no gateway certifies.
    at("2026-09-01T00:00:00Z");
    let certs = "warning alice/certs: no gateway certifies this node since 2026-08-28T06:00:00Z";
    finds(&env, "alice", "2026-09-01T00:00:00Z", &[certs]);
    // What is given for a short time is renewed as it is used.
    env.cca("gateway", "hub");
    settle(&env, "gateway", NOW);
    finds(&env, "gateway", NOW, &[]);
}

/// What was issued under a clock that was ahead is of no use yet: told at once, and found under the
/// right clock while there is nothing else.
#[test]
fn what_begins_in_the_future_is_found() {
    let ahead = "2026-04-15T12:00:00Z";
    let env = Env::with_peers();
    for node in ["mallory", "hub"] {
        env.make_node(node, &["--type", "gateway"]);
    }
    let key = |of: &str| env.relay("export").args(["-N", of]).ok().stdout;
    for (program, node, of, word) in [
        ("authorize", "alice", "mallory", "authorization"),
        ("authorize", "alice", "bob", "authorization"),
        ("register", "hub", "mallory", "registration"),
    ] {
        env.relay("purge").args(["-q", "-N", node]).ok();
        let run = env
            .relay(program)
            .args(["-N", node])
            .stdin(key(of))
            .at(ahead)
            .ok();
        let says = format!(
            "the clock shows {ahead}, but nothing happened since 2026-03-01T12:00:00Z here: \
             the {word} is dated by it"
        );
        let lines = run.diagnostics();
        assert!(lines.contains(&says), "{lines:?}");
        assert!(
            run.hints()
                .iter()
                .any(|it| it.starts_with("check this clock"))
        );
        // Under the right clock nothing is said.
        let run = env
            .relay(program)
            .args(["-N", node])
            .stdin(key("carol"))
            .ok();
        assert!(!run.stderr.contains("clock shows"), "{}", run.stderr);
    }
    settle(&env, "alice", NOW);
    settle(&env, "hub", NOW);
    let begins = "begins at 2026-04-15T09:00:00Z, which is still to come: of no use until then";
    for (node, kind) in [("alice", "given"), ("hub", "registered")] {
        let path = format!("{node}/peers/{}/{kind}", id("mallory"));
        let found = found(&env, node);
        let told: Vec<_> = found
            .iter()
            .filter(|it| it.contains("still to come"))
            .collect();
        assert_eq!(told.len(), 1, "{found:#?}");
        assert!(told[0].starts_with(&format!("warning {path}/")), "{told:?}");
        assert!(told[0].ends_with(begins), "{told:?}");
    }
    // Bob has another one, so nothing is missed.
    let all = check(&env, "alice").arg("-v").run();
    let bob = all
        .text()
        .lines()
        .find(|it| it.contains(&id("bob")) && it.contains("still to come"));
    assert!(bob.unwrap().starts_with("information\t"), "{bob:?}");
}

/// Nothing renews what was given once, and nobody is told that something does.
#[test]
fn what_was_given_once_is_not_said_to_be_renewed() {
    let env = Env::with_peers();
    let key = env.relay("export").args(["-N", "carol"]).ok().stdout;
    env.make_node("mallory", &[]);
    let authorize = env
        .relay("authorize")
        .args(["-q", "-N", "mallory", "--once"]);
    authorize.stdin(key).ok();
    let hint = |node: &str, peer: &str| {
        let run = check(&env, node)
            .at("2026-08-20T12:00:00Z")
            .arg("--json")
            .run();
        let found = run.json();
        let of_peer = |it: &&serde_json::Value| {
            let path = it["where"].as_str().unwrap();
            path.contains(&id(peer)) && path.contains("given")
        };
        let found = found.iter().find(of_peer);
        found.map_or_else(
            || panic!("{}", run.text()),
            |it| it["hint"].as_str().unwrap().to_owned(),
        )
    };
    let once = hint("mallory", "carol");
    assert!(
        once.starts_with("it was given once, so nothing renews it"),
        "{once}"
    );
    assert!(hint("alice", "bob").starts_with("relay-rotate renews it"));
}

#[test]
fn that_authorizations_have_ended_is_found_while_mail_is_missed() {
    let env = gateways();
    let settled = |now: &str| settle(&env, "alice", now);
    let ended = |found: &[String]| {
        let held = format!(
            "warning alice/peers/{}/held: the authorization from bob ",
            id("bob")
        );
        let given = format!(
            "warning alice/peers/{}/given: the authorization given to bob ",
            id("bob")
        );
        let is_told = |start: &str| {
            found
                .iter()
                .any(|line| line.starts_with(start) && line.contains(" ended"))
        };
        (is_told(&held), is_told(&given))
    };
    let at = |now: &str| {
        settled(now);
        ended(&found_at(&env, "alice", now))
    };
    // Without any mail nothing is missed.
    assert_eq!(at("2026-09-01T00:00:00Z"), (false, false));
    for (from, to, now) in [
        ("alice", "bob", "2026-04-20T10:00:00Z"),
        ("bob", "alice", "2026-08-20T10:00:00Z"),
        ("alice", "bob", "2026-08-21T10:00:00Z"),
    ] {
        let seal = env.relay("seal").args(["-q", "-N", from, "-t", to]);
        let parcel = seal.at(now).stdin("x").ok().stdout;
        env.relay("open")
            .args(["-q", "-N", to])
            .at(now)
            .stdin(parcel)
            .ok();
    }
    for (now, expected) in [
        ("2026-08-27T00:00:00Z", (false, false)),
        ("2026-08-29T00:00:00Z", (true, true)),
        ("2026-11-18T00:00:00Z", (true, true)),
        ("2026-11-20T00:00:00Z", (false, false)),
    ] {
        assert_eq!(at(now), expected, "{now}");
    }
    // What relay-purge removed has ended, too.
    let now = "2026-09-10T00:00:00Z";
    for folder in ["held", "given"] {
        fs::remove_dir_all(env.path(format!("alice/peers/{}/{folder}", id("bob")))).unwrap();
    }
    assert_eq!(at(now), (true, true));
    let peers = |option: &str| env.relay("peers").args(["-N", "alice", option, "bob"]);
    let quiet = format!("alice/peers/{}/expect-none", id("bob"));
    peers("--expect-none")
        .ok()
        .quiet()
        .changes(&["+alice/peers/BOB/expect-none"]);
    peers("--expect-none").ok().quiet().changes(&[]);
    assert_eq!(at(now), (false, false));
    let listed = env
        .relay("peers")
        .args(["-N", "alice", "--json", "bob"])
        .ok();
    assert_eq!(listed.json()[0]["expects_mail"], false);
    // A peer that is authorized again is expected again.
    let authorize = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "bob/identity.pub"]);
    authorize.at(now).ok();
    assert!(!env.path(&quiet).exists());
    assert_eq!(at(now), (true, false));
}

#[test]
fn a_file_system_without_a_journal_is_found() {
    let env = gateways();
    env.mkdir("old");
    let Some(_mounted) = Mounted::ext2(env.path("old"), &env.path("image")) else {
        return;
    };
    env.mkdir("old/alice");
    copy_tree(&env.path("alice"), &env.path("old/alice"));
    env.chmod("old/alice", 0o700);
    settle(&env, "old/alice", NOW);
    let what = "warning old/alice: on a file system without a journal (ext2): a power cut can lose messages";
    finds(&env, "old/alice", NOW, &[what]);
}

#[test]
fn a_clock_that_is_wrong_is_found() {
    let env = gateways();
    env.relay("purge").args(["-N", "alice"]).ok();
    settle(&env, "alice", NOW);
    finds(&env, "alice", "2026-03-01T10:00:01Z", &[]);
    let found = found_at(&env, "alice", "2016-03-01T12:00:00Z");
    let has = |text: &str| found.iter().any(|line| line.contains(text));
    assert!(
        has(
            "error alice/spool/clock: the clock shows 2016-03-01T12:00:00Z, which is before 2026-03-01T12:00:00Z, a time already seen"
        ),
        "{found:#?}"
    );
    assert!(
        has("and the node was made at 2026-03-01T06:00:00Z"),
        "{found:#?}"
    );
    assert!(
        has("and this changed at 2026-03-01T12:00:00Z"),
        "{found:#?}"
    );
    let found = found_at(&env, "alice", "2026-04-05T12:00:00Z");
    let ahead = "warning alice/spool/clock: the clock shows 2026-04-05T12:00:00Z, but nothing happened since";
    assert!(
        found[0].starts_with(ahead) && found.len() == 1,
        "{found:#?}"
    );
    // Something that goes on there shows that it is right.
    settle(&env, "alice", "2026-04-01T12:00:00Z");
    finds(&env, "alice", "2026-04-05T12:00:00Z", &[]);
    env.write("alice/spool/clock", "x");
    env.write("alice/seen/floor", "2027-01-01T00:00:00Z\n");
    env.chmod("alice/seen/floor", 0o600);
    settle(&env, "alice", NOW);
    finds(
        &env,
        "alice",
        NOW,
        &[
            "error alice/spool/clock: not key = value",
            "error alice/seen/floor: everything that expires until 2027-01-01T00:00:00Z is refused",
        ],
    );
}

/// On most file systems no file can be dated so late.
#[test]
fn a_file_of_the_last_days_of_all_is_found_by_a_clock_that_is_ahead() {
    let env = gateways();
    env.mkdir("late");
    let Some(_mounted) = Mounted::on(env.path("late"), "16m", "files dated 9999") else {
        return;
    };
    env.mkdir("late/alice");
    copy_tree(&env.path("alice"), &env.path("late/alice"));
    env.chmod("late/alice", 0o700);
    env.relay("purge").args(["-N", "late/alice"]).ok();
    let config = File::options()
        .write(true)
        .open(env.path("late/alice/config"));
    let last: Timestamp = "9999-12-30T10:00:00Z".parse().unwrap();
    config.unwrap().set_modified(last.into()).unwrap();
    for now in [NOW, "2027-12-31T23:59:00Z"] {
        let found = found_at(&env, "late/alice", now);
        let changed = "and this changed at 9999-12-30T10:00:00Z";
        let is_said = found.iter().any(|line| line.contains(changed));
        assert!(is_said, "{found:#?}");
    }
}

#[test]
fn what_a_killed_run_left_of_a_cargo_is_no_fault() {
    let env = gateways();
    let (medium, cargo) = ("5f1d5f3e", "ab".repeat(32));
    for name in [
        format!("{}.{cargo}", id("alice")),
        format!("{}.{cargo}.new", id("alice")),
    ] {
        let dir = format!("gateway/spool/carried/{medium}");
        fs::create_dir_all(env.path(&dir)).unwrap();
        env.write(format!("{dir}/{name}"), "");
        env.chmod(format!("{dir}/{name}"), 0o600);
        for dir in [&*dir, "gateway/spool/carried", "gateway/spool"] {
            env.chmod(dir, 0o700);
        }
        settle(&env, "gateway", NOW);
        finds(&env, "gateway", NOW, &[]);
        let foreign = format!("{dir}/{name}.newer");
        env.write(&foreign, "");
        env.chmod(&foreign, 0o600);
        settle(&env, "gateway", NOW);
        let line = format!("warning {foreign}: does not belong here");
        finds(&env, "gateway", NOW, &[&line]);
        fs::remove_dir_all(env.path(dir)).unwrap();
    }
}

#[test]
fn messages_that_do_not_get_on_are_found() {
    let env = gateways();
    let args = [
        "-N",
        "gateway",
        "--endpoint",
        "local",
        "--set",
        "clock=test",
    ];
    env.relay("keygen").args(args).ok();
    let send = |to: &str, message_id: &str| {
        let parcel = env.parcel_with("alice", to, b"x", &["--id", message_id]);
        env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    };
    send("bob", "first");
    env.relay("route").args(["-N", "gateway"]).ok();
    send("bob", "second");
    for (folder, of) in [
        ("home", "alice"),
        ("home", "gateway"),
        ("out", "mallory"),
        ("out", "carol"),
    ] {
        let dir = format!("gateway/spool/{folder}/{}", id(of));
        fs::create_dir_all(env.path(&dir)).unwrap();
        env.chmod(&dir, 0o700);
        let name = env.names("gateway/spool/in").remove(0);
        env.write(format!("{dir}/{name}"), "x");
        env.chmod(format!("{dir}/{name}"), 0o600);
    }
    env.chmod("gateway/spool/home", 0o700);
    settle(&env, "gateway", NOW);
    let orphan = format!("warning gateway/spool/home/{}: 1 message for ", id("alice"));
    let no_way = |to: &str| format!("error gateway/spool/out/{}: 1 message for ", id(to));
    finds(
        &env,
        "gateway",
        NOW,
        &[&orphan, &no_way("mallory"), &no_way("carol")],
    );
    let late = "2026-03-08T12:00:01Z";
    settle(&env, "gateway", NOW);
    let since = |queue: &str| {
        format!("warning gateway/spool/{queue}: 1 message waiting since 2026-03-01T12:00:00Z")
    };
    let unpacked = |hop: &str| {
        format!(
            "warning gateway/spool/out/{}: 1 message not packed since 2026-03-01T12:00:00Z",
            id(hop)
        )
    };
    finds(
        &env,
        "gateway",
        late,
        &[
            &since("in"),
            &since(&format!("home/{}", id("alice"))),
            &since(&format!("home/{}", id("gateway"))),
            &unpacked("hub"),
            &unpacked("mallory"),
            &unpacked("carol"),
            &orphan,
            &no_way("mallory"),
            &no_way("carol"),
        ],
    );
}

#[test]
fn a_hop_that_has_to_ask_for_cargo_is_missed_when_it_does_not() {
    let env = gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "hub"]).ok();
    settle(&env, "hub", NOW);
    let gateway = id("gateway");
    let missed = format!(
        "warning hub/spool/out/{gateway}: 1 message for gateway, and no request for cargo to answer"
    );
    finds(&env, "hub", NOW, &[&missed]);
    let dir = format!("hub/spool/cca/{gateway}");
    fs::create_dir_all(env.path(&dir)).unwrap();
    for dir in ["hub/spool/cca", &dir] {
        env.chmod(dir, 0o700);
    }
    let name = format!("{}.{gateway}.{:064x}.20260310T000000Z.cca", id("hub"), 7);
    env.write(format!("{dir}/{name}"), env.cca("gateway", "hub"));
    env.chmod(format!("{dir}/{name}"), 0o600);
    settle(&env, "hub", NOW);
    finds(&env, "hub", NOW, &[]);
}

#[test]
fn what_was_set_aside_is_found() {
    let env = gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--ttl", "2d"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let late = "2026-03-05T12:00:00Z";
    env.relay("route").args(["-N", "gateway"]).at(late).ok();
    settle(&env, "gateway", late);
    finds(
        &env,
        "gateway",
        late,
        &["warning gateway/spool/failed: 1 message set aside"],
    );
}

#[test]
fn space_that_is_used_up_is_found() {
    let env = gateways();
    let parcel = env.parcel("alice", "bob", b"x");
    let quota = parcel.len();
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let config = env.text("gateway/config");
    env.write(
        "gateway/config",
        format!("{config}quota = {quota}\nreserve = {}\n", u64::MAX),
    );
    settle(&env, "gateway", NOW);
    finds(
        &env,
        "gateway",
        NOW,
        &[
            &format!("warning gateway/spool: a quota is used up: {quota} octets for "),
            "error gateway/spool: the disk has ",
        ],
    );
}

#[test]
fn local_endpoints_are_looked_at_too() {
    let env = gateways();
    let args = [
        "-N",
        "gateway",
        "--endpoint",
        "local",
        "--set",
        "clock=test",
    ];
    env.relay("keygen").args(args).ok();
    settle(&env, "gateway", NOW);
    finds(&env, "gateway", NOW, &[]);
    env.chmod("gateway/endpoints/local/identity.key", 0o644);
    env.write("gateway/endpoints/local/seen/x", "");
    env.mkdir("gateway/endpoints/Other");
    settle(&env, "gateway", NOW);
    let local = [
        "error gateway/endpoints/local/identity.key: mode 0644, not 0600",
        "warning gateway/endpoints/local/seen/x: does not belong here",
    ];
    let other = "warning gateway/endpoints/Other: does not belong here";
    finds(&env, "gateway", NOW, &[local[0], local[1], other]);
    finds(&env, "gateway/endpoints/local", NOW, &local);
}

/// What the gateway issued when it stood alone leads nowhere for a gateway on the Internet.
#[test]
fn an_endpoint_from_before_its_gateway_was_registered_is_found_and_mended() {
    let env = Env::new();
    let local = "gateway/endpoints/local";
    env.make_node("hub", &["--type", "gateway", "--address", "hub.example"]);
    env.make_node("gateway", &["--type", "gateway"]);
    let made = ["--endpoint", "local", "--set", "clock=test"];
    env.relay("keygen").args(["-N", "gateway"]).args(made).ok();
    env.make_node("alice", &[]);
    let introduce = || {
        let key = env.path("alice/identity.pub");
        let to = ["-q", "-N", local, "--name", "alice"];
        let given = env.relay("authorize").args(to).arg(key).ok().stdout;
        let from = ["-q", "-N", "alice", "--name", "local"];
        env.relay("import").args(from).stdin(given).ok();
        let sealed = env.relay("seal").args(["-N", "alice", "-t", "local"]);
        let parcel = sealed.stdin("x").ok().stdout;
        let shown = env.relay("inspect").stdin(parcel).ok().text().to_owned();
        shown.matches("attached ").count()
    };
    let found_here = || {
        settle(&env, "gateway", NOW);
        found(&env, "gateway")
    };
    assert_eq!(introduce(), 1);
    assert_eq!(found_here(), Vec::<String>::new());
    // It ends before what the gateway issued to itself.
    env.register("hub", "gateway", &["--valid", "60d"]);
    let [old] = &found_here()[..] else {
        panic!("{:#?}", found_here());
    };
    let expected = format!("warning {local}/certs: certified before hub registered this gateway");
    assert!(old.starts_with(&expected), "{old}");
    // As the hint says.
    let registered = env.relay("register").args(["-q", "-N", "gateway", "local"]);
    let registration = registered.ok().stdout;
    let taken = ["-q", "--replace", "-N", local];
    env.relay("import").args(taken).stdin(registration).ok();
    assert_eq!(found_here(), Vec::<String>::new());
    // What it gives from then on leads to the hub, although what it gave before ends later.
    assert_eq!(introduce(), 2);
}

// After an old backup was restored

#[test]
fn what_may_have_been_received_before_is_refused_after_a_restoration() {
    let env = Env::with_peers();
    let seal = |id: &str, at: &str| {
        let args = ["-N", "bob", "-t", "alice", "--id", id];
        let seal = env.relay("seal").args(args).at(at).stdin("x");
        seal.ok().stdout
    };
    let before = seal("before", "2026-03-01T12:30:00Z");
    let ran = check(&env, "alice")
        .arg("--restored")
        .at("2026-03-01T13:00:00Z")
        .run();
    let note = "alice: messages made before 2026-03-01T13:00:00Z are refused from now on, 0 session keys were replaced";
    assert_eq!(ran.diagnostics(), [note]);
    assert_eq!(env.text("alice/seen/floor"), "dated 2026-03-01T13:00:00Z\n");
    let after = seal("after", "2026-03-01T13:10:00Z");
    let open = |parcel: &[u8]| env.relay("open").args(["-N", "alice"]).stdin(parcel);
    open(&before)
        .at("2026-03-01T14:00:00Z")
        .fails(82, "-: already received");
    open(&before)
        .arg("--again")
        .at("2026-03-01T14:00:00Z")
        .ok()
        .stdout("x");
    open(&after).at("2026-03-01T14:00:00Z").ok().stdout("x");
    open(&after)
        .at("2026-03-01T14:00:00Z")
        .fails(82, "-: already received");
    // A later purge keeps that.
    env.relay("purge")
        .args(["-N", "alice"])
        .at("2026-03-20T00:00:00Z")
        .ok();
    env.relay("purge")
        .args(["-N", "alice"])
        .at("2026-04-15T00:00:00Z")
        .ok();
    assert_eq!(
        env.text("alice/seen/floor"),
        "2026-03-31T23:59:59Z\ndated 2026-03-01T13:00:00Z\n"
    );
}

#[test]
fn each_peer_gets_a_new_session_key_after_a_restoration() {
    let env = Env::with_peers();
    let args = ["-N", "alice", "-t", "bob"];
    let seal = |at: &str| env.relay("seal").args(args).at(at).stdin("x").ok();
    let dir = format!("alice/sessions/{}", id("bob"));
    seal("2026-03-01T12:00:00Z");
    seal("2026-03-01T12:10:00Z");
    assert_eq!(
        env.names(&dir).len(),
        2,
        "one that was given, and one in use"
    );
    let restored = |at: &str| check(&env, "alice").args(["--restored", "-q"]).at(at).run();
    assert_eq!(restored("2026-03-01T12:20:00Z").stderr, "");
    restored("2026-03-01T12:21:00Z");
    let last = seal("2026-03-01T12:30:00Z").stdout;
    assert_eq!(env.names(&dir).len(), 3);
    // The old ones still open what was sealed to them, and the new one is answered under.
    env.relay("open")
        .args(["-N", "bob"])
        .at("2026-03-01T12:31:00Z")
        .stdin(last)
        .ok();
    let seal = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice"])
        .at("2026-03-01T12:40:00Z");
    let answer = seal.stdin("y").ok().stdout;
    let open = env
        .relay("open")
        .args(["-N", "alice"])
        .at("2026-03-01T12:41:00Z");
    open.stdin(answer).ok().stdout("y");
}

#[test]
fn a_restoration_believes_no_clock_that_is_behind() {
    let env = Env::with_peers();
    let restored = |at: &str| check(&env, "alice").arg("--restored").at(at);
    restored("2016-03-01T12:00:00Z").fails(
        75,
        "the clock shows 2016-03-01T12:00:00Z, which is before 2026-03",
    );
    let config = env.text("alice/config").replace("clock = test\n", "");
    env.write("alice/config", config);
    restored(NOW).fails(78, "--now is refused");
    assert!(!env.path("alice/seen/floor").exists());
}

#[test]
fn a_lock_that_is_held_is_waited_for() {
    let env = gateways();
    let held = relaynet::disk::Lock::exclusive(&env.path("alice/lock/node")).unwrap();
    finds(&env, "alice", NOW, &[]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| check(&env, "alice").args(["--restored", "-q"]).run());
        std::thread::sleep(Duration::from_millis(200));
        assert!(!env.path("alice/seen/floor").exists());
        drop(held);
        waiting.join().unwrap();
    });
    assert!(env.path("alice/seen/floor").exists());
}

/// It takes parcels from anybody.
#[test]
fn an_authorization_that_a_node_on_the_internet_never_gave_has_not_ended() {
    let env = Env::with_peers();
    env.make_node("hub", &["--address", "hub.example.org"]);
    let params = env.relay("export").args(["-N", "hub"]).ok().stdout;
    let import = env
        .relay("import")
        .args(["-q", "-N", "alice", "--name", "hub"]);
    import.stdin(params).ok();
    let seal = env.relay("seal").args(["-N", "alice", "-t", "hub"]);
    seal.stdin("hello").ok();
    let ran = check(&env, "alice").run();
    assert!(!ran.text().contains("hub"), "{}", ran.text());
    let status = env.relay("status").args(["-N", "alice"]).ok();
    assert!(!status.text().contains("hub"), "{}", status.text());
}

/// Messages that wait for a gateway on the network, while no carrier works.
#[test]
fn messages_that_no_carrier_takes_are_found() {
    let env = gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--ttl", "10d"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "gateway"]).ok();
    let host = format!("gateway/peers/{}/host", id("hub"));
    env.write(&host, "gw.example.org:443\n");
    env.chmod(&host, 0o600);
    settle(&env, "gateway", NOW);
    let spool = Spool::of(Directory::open(&env.path("gateway")).unwrap()).unwrap();
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let found = |now: &str| -> Vec<String> {
        let ran = check(&env, "gateway").at(now).run();
        let lines = ran.text().lines();
        lines
            .filter(|line| line.contains("no carrier"))
            .map(str::to_owned)
            .collect()
    };
    let (soon, late) = ("2026-03-02T12:00:00Z", "2026-03-02T12:00:01Z");
    // It was not tried.
    assert_eq!(found(late), [""; 0]);
    let address = "gw.example.org:443";
    let failed = |error: &str, time: &str| {
        let failure = HostFailure {
            error,
            ..HostFailure::default()
        };
        let noted = spool.note_host_failure(address, &failure, at(time));
        noted.unwrap();
    };
    failed("refused", NOW);
    failed("no answer", soon);
    assert_eq!(found(soon), [""; 0]);
    let what = format!(
        "warning\t1 message for hub waits, and no carrier has worked since {NOW}: {address}: no answer\t\
         gateway/spool/out/{}\trelay-online tries again and says why not; relay-sync packs them onto a medium",
        id("hub")
    );
    assert_eq!(found(late), [what.as_str()]);
    // Under a doubted clock no age proves anything.
    assert_eq!(found("2031-03-02T12:00:01Z"), [""; 0]);
    // A medium was here, for another gateway.
    let exchange = Exchange {
        date: at(soon),
        taken: 1,
        given: 1,
        waiting: 0,
        failed: 0,
    };
    let medium = "00112233445566778899aabbccddeeff";
    spool.note_exchange(medium, &exchange).unwrap();
    let carry = |hop: &str| {
        let carried = spool.carried(medium).unwrap();
        let times = (at(soon), at("2026-04-01T00:00:00Z"));
        let hop = id(hop).parse().unwrap();
        carried
            .note((hop, &[7; 32]), times, std::iter::empty())
            .unwrap();
    };
    carry("mallory");
    assert_eq!(found(late), [what.as_str()]);
    carry("hub");
    assert_eq!(found(late), [""; 0]);
    let later = "2026-03-03T12:00:01Z";
    assert_eq!(found(later).len(), 1);
    // The server was reached.
    spool.note_host_success(address, at(later)).unwrap();
    assert_eq!(found(later), [""; 0]);
    // Nothing waits.
    let out = format!("gateway/spool/out/{}", id("hub"));
    assert_eq!(found("2026-03-05T12:00:01Z").len(), 1);
    fs::remove_dir_all(env.path(out)).unwrap();
    assert_eq!(found("2026-03-05T12:00:01Z"), [""; 0]);
}
