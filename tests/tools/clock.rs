//! Clocks that are wrong for a while: what they must not decide, and what goes on meanwhile.

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
    ran.stderr.contains("the clock tells ")
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
    let parcel = env.parcel_with("alice", "bob", b"x", &["--id", "second"]);
    let ran = env.relay("put").args(["-N", "gateway"]).stdin(parcel);
    ran.ok();
    env.write("gateway/routes", "* peer:hub\n");
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
