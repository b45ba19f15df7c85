//! Clocks that are wrong for a while: what must not be decided by them, and what continues meanwhile.

use crate::testenv::{Call, Env, Ran, id};

/// When the tests begin: the nodes are three hours old.
const BEGIN: &str = "2026-03-01T12:00:00Z";

/// So many days, and hours, later.
fn later(days: i32, hours: i32) -> String {
    let begin: jiff::Timestamp = BEGIN.parse().unwrap();
    let hours = i64::from(24 * days + hours);
    (begin + jiff::SignedDuration::from_hours(hours)).to_string()
}

fn purge<'a>(env: &'a Env, at: &str) -> Call<'a> {
    env.relay("purge").args(["-N", "gateway"]).at(at)
}

fn route<'a>(env: &'a Env, at: &str) -> Call<'a> {
    env.relay("route").args(["-N", "gateway"]).at(at)
}

/// Puts a parcel from alice to bob into the spool of gateway.
fn put(env: &Env, message_id: &str, ttl: &str) {
    let options = ["--id", message_id, "--ttl", ttl];
    let parcel = env.parcel_with("alice", "bob", message_id.as_bytes(), &options);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
}

fn out(env: &Env) -> usize {
    env.names(&format!("gateway/spool/out/{}", id("hub"))).len()
}

fn is_refused(ran: &Ran) -> bool {
    ran.stderr.contains("the clock shows ")
}

/// A gateway with a message that lives for 30 days, which was purged.
fn waiting() -> Env {
    let env = Env::with_gateways();
    put(&env, "first", "30d");
    route(&env, BEGIN).ok();
    purge(&env, BEGIN).ok();
    env
}

// What relay-purge believes

#[test]
fn a_day_that_another_program_noted_under_a_wrong_clock_leads_nowhere() {
    let env = waiting();
    put(&env, "second", "30d");
    // One boot 40 days ahead. What happens then is noted under the last day that is believed.
    route(&env, &later(40, 0)).run();
    assert_eq!(env.names("gateway/spool/sent"), ["2026-03-01"]);
    for day in 1..=12 {
        purge(&env, &later(day, 0)).ok().quiet();
    }
    let ran = purge(&env, &later(52, 0)).run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    assert!(is_refused(&ran));
    assert_eq!(out(&env), 1);
}

/// As an earlier version noted it, or a clock less than 30 days ahead.
#[test]
fn a_day_ahead_of_a_right_purge_never_counts() {
    for ahead in [20, 40] {
        let env = waiting();
        let day = &later(ahead, 0)[..10];
        let noted = env.read("gateway/spool/sent/2026-03-01");
        env.write(format!("gateway/spool/sent/{day}"), noted);
        env.chmod(format!("gateway/spool/sent/{day}"), 0o600);
        purge(&env, &later(1, 0)).ok().quiet();
        let clock = env.text("gateway/spool/clock");
        assert!(
            clock.contains(&format!("false-day = {day}T00:00:00Z")),
            "{clock}"
        );
        purge(&env, &later(12, 0)).ok().quiet();
        let ran = purge(&env, &later(12 + 31, 0)).run();
        assert_eq!(ran.status, 75, "{ahead}: {}", ran.stderr);
        assert_eq!(out(&env), 1);
        // relay-check does not complain of a day that does no harm.
        let check = env.relay("check").args(["-N", "gateway"]).at(&later(12, 1));
        let ran = check.run();
        assert!(
            !ran.text().contains("something was noted at"),
            "{}",
            ran.text()
        );
    }
}

#[test]
fn what_happens_under_a_wrong_clock_is_noted_with_the_time_that_it_told() {
    let env = waiting();
    put(&env, "second", "60d");
    for (at, told) in [(later(35, 0), "2026-04-05"), (later(-200, 0), "2025-08-13")] {
        assert!(at.starts_with(told));
        let recall = env
            .relay("route")
            .args(["-N", "gateway", "--reroute", "hub"]);
        recall.at(&at).run();
        assert_eq!(env.names("gateway/spool/sent"), ["2026-03-01"], "{at}");
    }
    let noted = env.text("gateway/spool/sent/2026-03-01");
    assert!(
        noted.contains(r#""time":"2026-04-05T12:00:00Z""#),
        "{noted}"
    );
}

#[test]
fn a_purge_ahead_of_time_stops_no_right_clock_for_longer_than_a_day() {
    let env = waiting();
    purge(&env, &later(29, 0)).ok().quiet();
    let run = |at: &str| purge(&env, at).run();
    let ran = run(&later(0, 1));
    assert_eq!(ran.status, 75);
    let hint = format!(
        "check this clock; if it is right, a run from {} on purges, or one of relay-purge --trust-clock",
        later(1, 1)
    );
    assert_eq!(ran.hints(), [hint]);
    assert_eq!(run(&later(1, 0)).status, 75);
    // Meanwhile one wrong clock does not lead to the next.
    assert_eq!(run(&later(40, 0)).status, 75);
    assert_eq!(run(&later(1, 2)).status, 75, "it begins anew");
    assert_eq!(run(&later(2, 2)).status, 0);
    assert_eq!(run(&later(3, 2)).status, 0);
    assert_eq!(run(&later(40, 0)).status, 75);
    assert_eq!(out(&env), 1);
}

/// Where relay-purge runs rarely, the newest known time is that of a day with notes.
#[test]
fn a_clock_that_went_back_since_the_last_notes_sets_nothing_aside() {
    let env = waiting();
    let put_at = |message_id: &str, at: &str| {
        let seal = env.relay("seal").args(["-q", "-N", "alice", "-t", "bob"]);
        let parcel = seal
            .args(["--id", message_id])
            .at(at)
            .stdin("x")
            .ok()
            .stdout;
        let put = env.relay("put").args(["-N", "gateway"]).at(at);
        put.stdin(parcel).ok();
    };
    let right = later(20, 0);
    put_at("noted", &right);
    route(&env, &right).ok();
    // Two wrong clocks do not confirm each other where a right one ran in between.
    for (hours, wrong) in (0..).zip([later(5, 0), later(6, 1), later(7, 2), later(19, 0)]) {
        put_at(&wrong, &later(20, hours));
        route(&env, &wrong).run();
        assert_eq!(env.names("gateway/spool/in").len(), 1, "{wrong}");
        route(&env, &later(20, hours)).ok();
        assert_eq!(env.names("gateway/spool/in").len(), 0, "{wrong}");
    }
    assert_eq!(out(&env), 6);
    // A clock that was a little ahead leaves notes, too: relay-purge decides the same day.
    route(&env, &later(45, 0)).run();
    put_at("right", &later(21, 0));
    route(&env, &later(21, 0)).run();
    purge(&env, &later(21, 1)).ok();
    route(&env, &later(21, 2)).ok();
    assert_eq!((out(&env), env.names("gateway/spool/in").len()), (7, 0));
}

/// A clock whose battery is empty may be wrong by as much at each boot, for a moment. An endpoint may run nothing but
/// relay-purge then, and open and seal by hand afterwards.
#[test]
fn wrong_times_in_the_same_future_are_no_clock_that_goes_on() {
    let again = later(20_010, 0);
    let purge = |env: &Env, at: &str| {
        let ran = env.relay("purge").args(["-N", "alice"]).at(at).run();
        (
            ran.status,
            env.names(&format!("alice/sessions/{}", id("bob"))),
        )
    };
    let run = |env: &Env, program: &str| {
        let node = ["-N", "alice"];
        let call = match program {
            "none" => return,
            "open" => env
                .relay("open")
                .args(node)
                .stdin(env.parcel("bob", "alice", b"hello")),
            "seal" => env
                .relay("seal")
                .args(node)
                .args(["-t", "bob"])
                .stdin("hello"),
            program => env.relay(program).args(node),
        };
        call.at(&later(5, 0)).run();
    };
    for program in ["none", "open", "seal", "rotate"] {
        let env = Env::with_gateways();
        env.relay("purge").args(["-N", "alice"]).at(BEGIN).ok();
        assert_eq!(purge(&env, &later(20_000, 0)).0, 75, "{program}");
        run(&env, program);
        let (status, keys) = purge(&env, &again);
        // If nothing else ran there, the time is that of the last known clock.
        assert_eq!(status, if program == "none" { 0 } else { 75 }, "{program}");
        assert_eq!(keys.is_empty(), program == "none", "{program}: {keys:?}");
        if program == "none" {
            continue;
        }
        // A time a day later is one that went on.
        assert_eq!(purge(&env, &later(20_012, 0)).0, 0, "{program}");
    }
}

#[test]
fn a_clock_behind_what_others_made_is_never_believed() {
    let env = Env::with_gateways();
    // The hub's registration of this gateway is of this time.
    purge(&env, &later(20, 0)).ok();
    env.register("hub", "gateway", &[]);
    let files = env.names(&format!("gateway/certs/{}", id("hub")));
    assert!(!files.is_empty());
    for hours in [0, 24, 48, 72] {
        let ran = purge(&env, &later(-100, hours)).run();
        assert_eq!(ran.status, 75, "{hours}");
    }
    assert!(!env.text("gateway/spool/clock").contains("candidate"));
}

// What other programs do meanwhile

/// Clocks that nothing here leads to, or that are behind what happened here.
const WRONG: [&str; 6] = [
    "1970-01-02T00:00:00Z",
    "2000-01-01T00:00:00Z",
    "2025-11-15T12:00:00Z",
    "2026-04-05T12:00:00Z",
    "2069-12-31T12:00:00Z",
    "8999-01-01T00:00:00Z",
];

fn waits(ran: &Ran, count: usize) {
    let said = ran.diagnostics();
    let wait = match count {
        1 => "1 message waits".to_owned(),
        count => format!("{count} messages wait"),
    };
    let end = format!(": {wait} until the clock is right");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("the clock shows ") && said[0].ends_with(&end),
        "{said:?}"
    );
    assert_eq!(
        ran.hints(),
        ["check this clock; if it is right, relay-purge --trust-clock has it believed"]
    );
}

#[test]
fn no_wrong_clock_sets_aside_what_is_to_be_routed() {
    for wrong in WRONG {
        let env = waiting();
        put(&env, "second", "30d");
        put(&env, "third", "10d");
        let ran = route(&env, wrong).run();
        assert_eq!(ran.status, 75, "{wrong}: {}", ran.stderr);
        waits(&ran, 2);
        assert_eq!(env.names("gateway/spool/in").len(), 2, "{wrong}");
        assert!(!env.path("gateway/spool/failed").exists(), "{wrong}");
        // Twice changes nothing, and with a right clock all goes on.
        assert_eq!(route(&env, wrong).run().status, 75);
        route(&env, &later(0, 1)).ok().quiet();
        assert_eq!(out(&env), 3, "{wrong}");
        purge(&env, &later(0, 2)).ok().quiet();
    }
}

#[test]
fn under_a_wrong_clock_acknowledgements_count_and_what_arrived_is_delivered() {
    for wrong in WRONG {
        let env = Env::with_peers();
        env.mkdir("inbox");
        let arrive = |id: &str| {
            let parcel = env.parcel_with("bob", "alice", id.as_bytes(), &["--id", id]);
            env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
        };
        arrive("first");
        env.relay("route").args(["-N", "alice"]).ok();
        arrive("second");
        let ran = env.relay("route").args(["-N", "alice"]).at(wrong).run();
        assert_eq!(ran.status, 75, "{wrong}");
        let deliver = env.relay("deliver").args(["-N", "alice"]);
        deliver.args(["--dir", "inbox"]).at(wrong).ok().quiet();
        assert_eq!(env.names("inbox/bob").len(), 1, "{wrong}");
        // The session goes by a time that was: keys are superseded when they are with a right clock.
        let keys = format!("alice/sessions/{}", id("bob"));
        for key in env.names(&keys) {
            let text = env.text(format!("{keys}/{key}"));
            assert!(
                !text.contains(&wrong[..4]) || wrong.starts_with("2026"),
                "{text}"
            );
        }
        // All of it was done once.
        env.relay("route").args(["-N", "alice"]).ok().quiet();
        let deliver = env.relay("deliver").args(["-N", "alice"]);
        deliver.args(["--dir", "inbox"]).ok().quiet();
        assert_eq!(env.names("inbox/bob").len(), 2, "{wrong}");
    }
}

/// A gateway and a hub that have exchanged a parcel and its acknowledgement by stick.
fn exchanged() -> Env {
    let env = Env::with_gateways();
    for (message, ttl) in [("first", "30d"), ("second", "20d")] {
        put(&env, message, ttl);
    }
    route(&env, BEGIN).ok();
    let sync = env.relay("sync").args(["-N", "gateway", "stick", "--init"]);
    sync.at(BEGIN).ok();
    env
}

fn sync<'a>(env: &'a Env, node: &str, at: &str) -> Call<'a> {
    env.relay("sync").args(["-N", node, "stick"]).at(at)
}

#[test]
fn no_wrong_clock_takes_anything_off_a_medium() {
    for wrong in WRONG {
        let env = exchanged();
        env.write("hub/routes", "* peer:mallory\n");
        purge(&env, BEGIN).ok();
        let waiting = |env: &Env| {
            let hub = id("hub");
            let names = |kind: &str| env.names(&format!("stick/relaynet/{kind}/{hub}"));
            [names("cargo"), names("cca")]
        };
        let before = waiting(&env);
        // Neither does it take its own cargo off, nor the hub what it cannot open at that time.
        let ran = sync(&env, "gateway", wrong).run();
        assert!([0, 75].contains(&ran.status), "{wrong}: {}", ran.stderr);
        let ran = sync(&env, "hub", wrong).run();
        // It may have met a request of that time, which it takes.
        assert!([0, 75].contains(&ran.status), "{wrong}: {}", ran.stderr);
        waits(&ran, 2);
        let after = waiting(&env);
        for (before, after) in before.iter().zip(&after) {
            assert!(before.iter().all(|name| after.contains(name)), "{wrong}");
        }
        // With a right clock both go on as if nothing had been.
        sync(&env, "hub", &later(0, 1)).ok().quiet();
        assert_eq!(env.names("hub/spool/in").len(), 2, "{wrong}");
        sync(&env, "gateway", &later(0, 2)).ok().quiet();
        // Acknowledgements need no certificate.
        route(&env, wrong).ok().quiet();
        assert_eq!(out(&env), 0, "{wrong}");
    }
}

#[test]
fn what_is_old_by_a_clock_that_is_believed_is_set_aside_as_ever() {
    let env = waiting();
    put(&env, "second", "2d");
    let ran = route(&env, &later(10, 0)).run();
    assert_eq!(ran.status, 0);
    ran.says_somewhere("set aside in failed: expired at ");
}

/// What an earlier version set aside under a clock that was ahead.
#[test]
fn what_was_set_aside_by_a_wrong_clock_is_named_and_comes_back() {
    let env = Env::with_gateways();
    env.relay("purge")
        .args(["-N", "gateway", "--trust-clock"])
        .at(&later(40, 0))
        .ok();
    put(&env, "second", "30d");
    route(&env, &later(40, 0)).run();
    let check = |at: &str| {
        let ran = env.relay("check").args(["-N", "gateway"]).at(at).run();
        ran.text().to_owned()
    };
    assert!(!check(&later(40, 1)).contains("by a clock that was ahead"));
    env.relay("purge")
        .args(["-N", "gateway", "--trust-clock"])
        .at(BEGIN)
        .ok();
    let found = check(BEGIN);
    assert!(
        found.contains("1 message set aside by a clock that was ahead"),
        "{found}"
    );
    let failed = env.names("gateway/spool/failed");
    let retry = env.relay("route").args(["-N", "gateway", "--retry"]);
    retry.arg(&failed[0]).at(BEGIN).ok();
    assert!(!check(BEGIN).contains("by a clock that was ahead"));
    assert_eq!(out(&env), 1);
}

/// By its age relay-deliver knows that the purge may have forgotten it. A file system has the clock of the system, so here
/// the purge is in the future instead.
#[test]
fn what_arrives_by_a_clock_that_went_back_is_no_older_than_the_last_purge() {
    let hour = std::time::Duration::from_secs(3600);
    let now = std::time::SystemTime::now();
    let purged = |env: &Env, at: std::time::SystemTime, accepted: std::time::SystemTime| {
        env.write("hub/seen/floor", "2026-02-01T00:00:00Z\n");
        let floor = std::fs::File::options()
            .write(true)
            .open(env.path("hub/seen/floor"));
        floor.unwrap().set_modified(at).unwrap();
        let accepted = jiff::Timestamp::try_from(accepted).unwrap();
        env.write("hub/spool/clock", format!("accepted = {accepted}\n"));
    };
    // By a right clock; by one that was ahead, and counts no more; and earlier.
    for (at, accepted, is_dated) in [
        (now + 2 * hour, now + 2 * hour, true),
        (now + 30 * 24 * hour, now, false),
        (now - hour, now - hour, false),
    ] {
        let env = exchanged();
        env.write("hub/routes", "* peer:mallory\n");
        std::fs::create_dir_all(env.path("hub/seen")).unwrap();
        std::fs::create_dir_all(env.path("hub/spool")).unwrap();
        purged(&env, at, accepted);
        // One by hand, and two by the stick.
        let parcel = env.parcel("bob", "alice", b"x");
        env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
        env.relay("sync").args(["-N", "hub", "stick"]).run();
        let names = env.names("hub/spool/in");
        assert_eq!(names.len(), 3);
        for name in names {
            let metadata = env.path(format!("hub/spool/in/{name}")).metadata();
            let stored = metadata.unwrap().modified().unwrap();
            assert_eq!(stored == at, is_dated);
            assert!(stored >= now - hour);
        }
    }
}

/// The script for cron that opens what falls into a directory keeps to that, too.
#[test]
fn the_example_for_a_drop_folder_refuses_nothing_for_a_wrong_clock() {
    let env = Env::with_peers();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "first"]);
    env.mkdir("drop");
    env.write("drop/first.parcel", parcel);
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/relay-inbox.sh");
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_relay-open")).parent();
    let path = format!("{}:/usr/bin:/bin", programs.unwrap().display());
    let run = |now: &str| {
        let mut sh = std::process::Command::new("sh");
        sh.arg(&script).args(["drop", "inbox"]);
        sh.current_dir(env.root()).env_clear();
        sh.env("PATH", &path)
            .env("RELAY_NODE", "alice")
            .env("RELAY_NOW", now);
        sh.status().unwrap().code()
    };
    for wrong in ["1970-01-02T00:00:00Z", "2069-12-31T12:00:00Z"] {
        assert_eq!(run(wrong), Some(0), "{wrong}");
        assert_eq!(env.names("drop"), ["first.parcel", "refused"], "{wrong}");
    }
    let check = env.relay("check").args(["-N", "alice", "--restored", "-q"]);
    check.at(&later(0, 1)).run();
    // Nobody can tell whether it was opened before, so it is not removed.
    assert_eq!(run(&later(0, 2)), Some(0));
    assert_eq!(env.names("drop/refused"), ["first.parcel"]);
    assert!(env.names("inbox").is_empty());
}

#[test]
fn a_wrong_time_is_named_for_where_it_comes_from() {
    let env = Env::with_peers();
    let list = || env.relay("list").args(["-N", "alice"]).at_any_time();
    let why = "not a time such as 2026-03-01T10:00:00Z";
    let text = format!("invalid value 'soon' for 'RELAY_NOW': {why}");
    list().var("RELAY_NOW", "soon").fails(64, &text);
    let text = format!("invalid value 'soon' for '--now <TIME>': {why}");
    list().args(["--now", "soon"]).fails(64, &text);
    let both = list().arg("--now=soon").var("RELAY_NOW", "later");
    both.fails(64, &text);
    let most = "the last time is 8999-12-31T23:59:59Z";
    for time in ["9999-12-31", "9999-12-31T23:59:59Z"] {
        let ran = list().var("RELAY_NOW", time).run();
        assert_eq!(ran.status, 64, "{}", ran.stderr);
        ran.says_somewhere(most);
    }
}
