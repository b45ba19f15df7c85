//! Replay memory, one for all programs: messages that are known, new, or too old to tell.

use std::fs;

use crate::testenv::{Env, copy_tree, id};

fn restored(env: &Env, node: &str, at: &str) {
    let check = env.relay("check").args(["-N", node, "--restored", "-q"]);
    let ran = check.at(at).run();
    assert_eq!(ran.stderr, "");
}

fn route(env: &Env, node: &str, at: &str) {
    let route = env.relay("route").args(["-N", node]);
    route.at(at).ok().quiet();
}

/// What was delivered to alice.
fn inbox(env: &Env) -> usize {
    match fs::read_dir(env.path("inbox/bob")) {
        Ok(entries) => entries.count(),
        Err(_) => 0,
    }
}

/// Parcels that alice, a node restored at 13:00, got before that, which she may have received already.
fn with_a_parcel_from_before() -> (Env, Vec<u8>) {
    let env = Env::with_peers();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "before"]);
    env.mkdir("inbox");
    env.relay("put")
        .args(["-N", "alice"])
        .stdin(parcel.clone())
        .ok();
    restored(&env, "alice", "2026-03-01T13:00:00Z");
    (env, parcel)
}

const LATER: &str = "2026-03-01T14:00:00Z";

#[test]
fn what_nobody_can_tell_is_set_aside_and_delivered_when_a_person_says_so() {
    let (env, parcel) = with_a_parcel_from_before();
    route(&env, "alice", LATER);
    let deliver = || {
        let deliver = env.relay("deliver").args(["-N", "alice"]);
        deliver.args(["--dir", "inbox", "-v"]).at(LATER)
    };
    let ran = deliver().ok();
    ran.diagnostics()
        .iter()
        .find(|line| line.contains(": set aside in failed: already received, or its record"))
        .unwrap_or_else(|| panic!("{}", ran.stderr));
    assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
    assert_eq!(inbox(&env), 0);
    deliver().ok().quiet().changes(&[]);

    let failed = env.names("alice/spool/failed");
    assert_eq!(failed.len(), 2);
    let why = env.text(format!("alice/spool/failed/{}", failed[1]));
    assert!(why.contains("already received, or its record"), "{why}");
    let retry = env.relay("route").args(["-N", "alice", "--retry"]);
    retry.arg(&failed[0]).at(LATER).ok().quiet();
    deliver().ok();
    assert_eq!(inbox(&env), 1);

    // From here on there is a record.
    env.relay("put")
        .args(["-N", "alice"])
        .at(LATER)
        .stdin(parcel.clone())
        .fails(82, "-: a message with this id");
    let name = failed[0].clone();
    env.write(format!("alice/spool/home/{}/{name}", id("alice")), parcel);
    deliver().ok().says(&["event=repeated file="]);
    assert_eq!(inbox(&env), 1);
}

#[test]
fn who_vouched_for_a_message_did_not_vouch_for_a_later_restoration() {
    let (env, parcel) = with_a_parcel_from_before();
    route(&env, "alice", LATER);
    let deliver = |at: &str| {
        let deliver = env.relay("deliver").args(["-N", "alice"]);
        deliver.args(["--dir", "inbox", "-q"]).at(at).ok()
    };
    deliver(LATER);
    let failed = env.names("alice/spool/failed");
    let retry = env.relay("route").args(["-N", "alice", "--retry"]);
    retry.arg(&failed[0]).at(LATER).ok();
    // The backup is of this moment; then it is delivered, and the backup restored.
    fs::create_dir(env.path("backup")).unwrap();
    copy_tree(&env.path("alice"), &env.path("backup"));
    deliver(LATER);
    assert_eq!(inbox(&env), 1);
    fs::remove_dir_all(env.path("alice")).unwrap();
    fs::rename(env.path("backup"), env.path("alice")).unwrap();
    restored(&env, "alice", "2026-03-01T15:00:00Z");
    deliver("2026-03-01T16:00:00Z");
    let home = format!("alice/spool/home/{}", id("alice"));
    env.write(format!("{home}/{}", failed[0]), parcel);
    deliver("2026-03-01T16:00:00Z");
    assert_eq!(inbox(&env), 1);
    assert!(env.names(&home).is_empty());
}

#[test]
fn one_that_nobody_can_judge_counts_among_several() {
    let (env, before) = with_a_parcel_from_before();
    let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
    let after = seal.at("2026-03-01T13:30:00Z").stdin("y").ok().stdout;
    env.write("before", &before);
    env.write("after", &after);
    env.mkdir("out");
    let open = || {
        let open = env.relay("open").args(["-N", "alice", "-d", "out"]);
        open.args(["after", "before"]).at(LATER)
    };
    let ran = open().run();
    assert_eq!(ran.status, 82, "{}", ran.stderr);
    let ran = ran.says(&["before: already received, or its record"]);
    let hint = "--again opens it all the same, while its session key exists";
    assert_eq!(ran.hints(), [hint]);
    let ran = open().arg("--again").run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    // Of those that were received before for certain, nothing is left to do.
    let ran = open().run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.says(&["after: already received", "before: already received"]);
}

#[test]
fn a_restored_gateway_takes_cargo_that_it_never_saw() {
    let env = Env::with_gateways();
    env.write("hub/routes", "* peer:mallory\n");
    let parcel = env.parcel_with("alice", "bob", b"x", &["--id", "m1"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    route(&env, "gateway", LATER);
    let sync = |node: &str, at: &str| {
        let sync = env.relay("sync").args(["-N", node, "-v", "stick"]);
        sync.at(at)
    };
    sync("gateway", LATER).arg("--init").ok();
    restored(&env, "hub", "2026-03-01T15:00:00Z");
    let ran = sync("hub", "2026-03-01T16:00:00Z").ok();
    assert!(
        ran.stderr.contains("event=stored kind=parcel id=m1"),
        "{}",
        ran.stderr
    );
    assert_eq!(env.names("hub/spool/in").len(), 1);
    // By hand likewise.
    let cargo = env.cargo("gateway", "hub", env.parcel("alice", "bob", b"y"));
    restored(&env, "hub", "2026-03-01T17:00:00Z");
    let unpack = || {
        let unpack = env.relay("unpack-cargo").args(["-N", "hub"]);
        unpack.at("2026-03-01T18:00:00Z").stdin(cargo.clone())
    };
    assert!(!unpack().ok().quiet().stdout.is_empty());
    unpack().fails(82, "-: already received");
}

#[test]
fn a_restored_gateway_answers_requests_for_cargo_made_before() {
    let env = Env::with_gateways();
    let sync = |node: &str, at: &str| {
        let sync = env.relay("sync").args(["-N", node, "-v", "stick"]);
        sync.at(at).ok()
    };
    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "m1"]);
    env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
    route(&env, "hub", LATER);
    restored(&env, "hub", "2026-03-01T15:00:00Z");
    let ran = sync("hub", "2026-03-01T16:00:00Z");
    assert!(ran.stderr.contains("event=packed "), "{}", ran.stderr);
    // Each is answered once all the same.
    let ran = sync("hub", "2026-03-01T16:10:00Z");
    assert!(!ran.stderr.contains("event=packed "), "{}", ran.stderr);
}

/// A purge under a clock that is 29 days ahead, which relay-purge believes, forgets what was received.
#[test]
fn what_an_early_purge_forgot_is_not_delivered_twice() {
    let env = Env::with_peers();
    env.mkdir("inbox");
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "10d"]);
    let put = || {
        let put = env.relay("put").args(["-N", "alice"]);
        put.stdin(parcel.clone()).ok()
    };
    put();
    let deliver = || {
        let deliver = env.relay("deliver").args(["-N", "alice"]);
        deliver.args(["--dir", "inbox"]).ok()
    };
    route(&env, "alice", "2026-03-01T12:00:00Z");
    deliver();
    assert_eq!(inbox(&env), 1);
    let purge = env.relay("purge").args(["-N", "alice"]);
    purge.at("2026-03-30T12:00:00Z").ok();
    assert_eq!(env.names("alice/seen"), ["floor"]);

    put();
    route(&env, "alice", "2026-03-01T12:00:00Z");
    deliver().says_somewhere("set aside in failed: already received, or its record");
    assert_eq!(inbox(&env), 1);
    deliver().quiet().changes(&[]);
}

/// A box that is restored is one that may boot with a wrong clock.
#[test]
fn a_restoration_under_a_clock_that_was_ahead_is_mended_by_the_next() {
    let env = Env::with_peers();
    let seal = |id: &str, at: &str| {
        let seal = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--id", id]);
        seal.at(at).stdin(id).ok().stdout
    };
    restored(&env, "alice", "2069-01-01T00:00:00Z");
    let check = |at: &str| {
        let ran = env.relay("check").args(["-N", "alice"]).at(at).run();
        ran.text().to_owned()
    };
    let found = check(LATER);
    let hint = "relay-check --restored, with the right one, mends that";
    assert!(found.contains(hint), "{found}");
    restored(&env, "alice", LATER);
    assert_eq!(env.text("alice/seen/floor"), format!("dated {LATER}\n"));
    assert!(!check(LATER).contains(hint));
    let open = |parcel: Vec<u8>| {
        let open = env.relay("open").args(["-N", "alice"]);
        open.at("2026-03-01T15:00:00Z").stdin(parcel)
    };
    open(seal("before", "2026-03-01T13:00:00Z")).fails(82, "-: already received, or");
    open(seal("after", "2026-03-01T14:30:00Z"))
        .ok()
        .stdout("after");
    // A clock that is a little behind takes nothing back.
    restored(&env, "alice", "2026-03-01T13:00:00Z");
    assert_eq!(env.text("alice/seen/floor"), format!("dated {LATER}\n"));
}

/// Until it is delivered, whatever is purged meanwhile.
#[test]
fn a_purge_takes_back_no_word_that_a_person_gave() {
    let (env, _) = with_a_parcel_from_before();
    // Of this one the memory is purged.
    let short = env.parcel_with("bob", "alice", b"y", &["--ttl", "2d"]);
    let open = env.relay("open").args(["-N", "alice", "--again"]);
    open.stdin(short).ok();
    route(&env, "alice", LATER);
    let deliver = |at: &str| {
        let deliver = env.relay("deliver").args(["-N", "alice", "-q"]);
        deliver.args(["--dir", "inbox"]).at(at).ok()
    };
    deliver(LATER);
    let failed = env.names("alice/spool/failed");
    let retry = env.relay("route").args(["-N", "alice", "--retry"]);
    retry.arg(&failed[0]).at(LATER).ok();
    let later = "2026-03-20T12:00:00Z";
    env.relay("purge").args(["-N", "alice"]).at(later).ok();
    assert!(env.text("alice/seen/floor").starts_with("2026-03-03T"));
    deliver(later);
    assert_eq!(inbox(&env), 1);
}
