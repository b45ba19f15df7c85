//! Rates of authorizations: who counts, what counts, and what becomes of one parcel too many.

use std::fs;
use std::path::Path;

use crate::testenv::{Call, Env, Ran, id};

const DAYS: [&str; 2] = ["2026-03-01T12:00:00Z", "2026-03-02T12:05:00Z"];

/// Carol may send two parcels a day to alice, who is behind gateway, which is behind hub.
fn limited() -> Env {
    let env = Env::with_gateways();
    env.make_node("carol", &[]);
    env.introduce("carol", "alice", &["--rate", "2/1d"]);
    env.introduce("alice", "carol", &[]);
    env.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
    env
}

fn parcel(env: &Env, now: &str, message: &str) -> Vec<u8> {
    let seal = env.relay("seal").at(now);
    let seal = seal.args(["-N", "carol", "-t", "alice", "--id", message]);
    seal.stdin(message).ok().quiet().stdout
}

fn put(env: &Env, at: &str, now: &str, parcels: &[Vec<u8>]) {
    let put = env.relay("put").at(now).args(["-N", at]);
    put.stdin(parcels.concat()).ok().quiet();
}

fn route<'a>(env: &'a Env, at: &str, now: &str) -> Call<'a> {
    env.relay("route").at(now).args(["-N", at])
}

fn names(env: &Env, dir: &str) -> Vec<String> {
    if env.path(dir).exists() {
        env.names(dir)
    } else {
        Vec::new()
    }
}

/// How many messages wait for alice, and how many were set aside.
fn sorted(env: &Env, at: &str, hop: &str) -> (usize, usize) {
    let out = names(env, &format!("{at}/spool/out/{}", id(hop)));
    let failed = names(env, &format!("{at}/spool/failed")).into_iter();
    (
        out.len(),
        failed.filter(|name| name.ends_with(".parcel")).count(),
    )
}

#[track_caller]
fn over(ran: &Ran, times: usize) {
    let line = "over the rate of its sender's authorization, 2/1d";
    assert_eq!(ran.stderr.matches(line).count(), times, "{}", ran.stderr);
}

#[test]
fn a_private_gateway_counts_parcels_at_their_dates() {
    let env = limited();
    let [first, second] = DAYS;
    let of_two_days = [
        (first, "a"),
        (first, "b"),
        (first, "c"),
        (second, "d"),
        (second, "e"),
    ];
    let parcels = of_two_days.map(|(now, message)| parcel(&env, now, message));
    // All come on the second day, the later ones first.
    for (taken, (parcel, one_too_many)) in parcels.iter().rev().zip([0, 0, 0, 0, 1]).enumerate() {
        put(&env, "gateway", second, std::slice::from_ref(parcel));
        let ran = route(&env, "gateway", second).ok();
        over(&ran, one_too_many);
        assert_eq!(
            sorted(&env, "gateway", "alice"),
            (taken + 1 - one_too_many, one_too_many)
        );
    }
    // It is said once, and a run at once has nothing to do.
    route(&env, "gateway", second).ok().quiet();
    let failed = names(&env, "gateway/spool/failed");
    let why = failed
        .iter()
        .find(|name| Path::new(name).extension() == Some("why".as_ref()))
        .unwrap();
    let why = env.text(format!("gateway/spool/failed/{why}"));
    assert!(
        why.contains("over the rate of its sender's authorization, 2/1d"),
        "{why}"
    );
    // Others are not limited.
    let other = env.parcel("bob", "alice", b"bob's");
    put(&env, "gateway", second, &[other]);
    route(&env, "gateway", second).ok().quiet();
    assert_eq!(sorted(&env, "gateway", "alice"), (5, 1));
}

#[test]
fn a_person_lets_one_pass_all_the_same() {
    let env = limited();
    let now = DAYS[0];
    let parcels: Vec<_> = ["a", "b", "c", "d"].map(|it| parcel(&env, now, it)).into();
    put(&env, "gateway", now, &parcels);
    over(&route(&env, "gateway", now).ok(), 2);
    assert_eq!(sorted(&env, "gateway", "alice"), (2, 2));
    let aside = names(&env, "gateway/spool/failed");
    let name = aside.iter().find(|name| name.ends_with(".parcel")).unwrap();
    route(&env, "gateway", now)
        .args(["--retry", name])
        .ok()
        .quiet();
    assert_eq!(sorted(&env, "gateway", "alice"), (3, 1));
    // The other one is still one too many, on each day on which it comes back.
    put(&env, "gateway", DAYS[1], &[parcel(&env, now, "f")]);
    over(&route(&env, "gateway", DAYS[1]).ok(), 1);
}

#[test]
fn an_internet_gateway_counts_parcels_when_they_come() {
    let env = limited();
    let [first, second] = DAYS;
    let parcels = [(first, "a"), (second, "b"), (second, "c")];
    let parcels = parcels.map(|(now, message)| parcel(&env, now, message));
    env.write("hub/routes", format!("{} peer:gateway\n", id("alice")));
    put(&env, "hub", second, &parcels);
    over(&route(&env, "hub", second).ok(), 1);
    assert_eq!(sorted(&env, "hub", "gateway"), (2, 1));
    // A clock that goes back finds the same day full, and the next day has room.
    put(&env, "hub", second, &[parcel(&env, second, "d")]);
    over(&route(&env, "hub", "2026-03-02T11:00:00Z").ok(), 1);
    put(
        &env,
        "hub",
        "2026-03-03T12:06:00Z",
        &[parcel(&env, second, "e")],
    );
    route(&env, "hub", "2026-03-03T12:06:00Z").ok().quiet();
    assert_eq!(sorted(&env, "hub", "gateway"), (3, 2));
}

#[test]
fn the_recipient_counts_as_well() {
    let env = limited();
    let now = DAYS[0];
    let open = |message: &str| {
        env.write(message, parcel(&env, now, message));
        env.relay("open").at(now).args(["-N", "alice", message])
    };
    open("a").ok().stdout("a");
    open("b").ok().stdout("b");
    open("a").fails(82, "a: already received");
    let refused = open("c").fails(77, "c: over the rate of its sender's authorization, 2/1d");
    assert!(
        refused.hints()[0].contains("--again"),
        "{:?}",
        refused.hints()
    );
    open("c").arg("--again").ok().stdout("c");
    // A new authorization for the same sender gives no second allowance.
    env.introduce("carol", "alice", &["--rate", "2/1d"]);
    open("d").fails(77, "d: over the rate");
    let tomorrow = DAYS[1];
    env.write("e", parcel(&env, tomorrow, "e"));
    env.relay("open")
        .at(tomorrow)
        .args(["-N", "alice", "e"])
        .ok()
        .stdout("e");
    let check = env.relay("check").at(tomorrow).args(["-N", "alice"]).run();
    check.says_nothing_of("rates");
}

#[test]
fn a_renewed_authorization_has_the_same_rate() {
    let env = Env::with_peers();
    env.make_node("mallory", &[]);
    env.introduce("carol", "mallory", &["--rate", "2/1d"]);
    env.introduce("mallory", "carol", &[]);
    // A message gets through, which brings the session key that the renewal is sealed to.
    let seal = env.relay("seal").at("2026-04-20T12:00:00Z");
    let hello = seal
        .args(["-N", "carol", "-t", "mallory"])
        .stdin("hello")
        .ok()
        .stdout;
    let open = env.relay("open").at("2026-04-20T12:00:00Z");
    open.args(["-N", "mallory"]).stdin(hello).ok();
    let later = "2026-06-15T12:00:00Z";
    let purge = env.relay("purge").at(later);
    purge.args(["-N", "mallory", "--trust-clock"]).ok();
    env.relay("rotate").at(later).args(["-N", "mallory"]).ok();
    let given = format!("mallory/peers/{}/given", id("carol"));
    let given = env.names(&given);
    assert_eq!(given.len(), 2, "{given:?}");
    for name in given {
        let path = format!("mallory/peers/{}/given/{name}", id("carol"));
        let facts = env
            .relay("inspect")
            .at(later)
            .args(["--json", &path])
            .ok()
            .json();
        assert!(
            facts[0].to_string().contains(r#""rate":"2/1d""#),
            "{}",
            facts[0]
        );
    }
}

#[test]
fn commands_get_no_parcel_too_many() {
    let env = limited();
    let now = DAYS[0];
    env.write(
        "gateway/routes",
        format!("{} exec:{}\n", id("alice"), env.path("take").display()),
    );
    env.write("take", "#!/bin/sh\necho taken >>\"$RELAY_NODE/../taken\"\n");
    env.chmod("take", 0o755);
    let parcels: Vec<_> = ["a", "b", "c"].map(|it| parcel(&env, now, it)).into();
    put(&env, "gateway", now, &parcels);
    over(&route(&env, "gateway", now).ok(), 1);
    assert_eq!(env.text("taken"), "taken\n".repeat(2));
    assert_eq!(sorted(&env, "gateway", "alice"), (0, 1));
}

#[test]
fn counts_that_cannot_be_read_stop_nobody_else() {
    let env = limited();
    let now = DAYS[0];
    let day = format!("gateway/rates/{}.{}/2026-03-01", id("alice"), id("carol"));
    fs::create_dir_all(env.path(&day)).unwrap();
    let bobs = env.parcel("bob", "alice", b"bob's");
    put(&env, "gateway", now, &[parcel(&env, now, "a"), bobs]);
    let ran = route(&env, "gateway", now).run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert!(ran.stderr.contains("not a regular file"), "{}", ran.stderr);
    assert_eq!(sorted(&env, "gateway", "alice"), (1, 0));
    fs::remove_dir(env.path(&day)).unwrap();
    route(&env, "gateway", now).ok().quiet();
    assert_eq!(sorted(&env, "gateway", "alice"), (2, 0));
}

#[test]
fn counts_are_kept_while_a_parcel_may_come_that_needs_them() {
    let env = limited();
    let now = DAYS[0];
    put(&env, "gateway", now, &[parcel(&env, now, "a")]);
    route(&env, "gateway", now).ok().quiet();
    let folder = format!("gateway/rates/{}.{}", id("alice"), id("carol"));
    let purge = |now: &str| env.relay("purge").at(now).args(["-N", "gateway"]).run();
    for (now, left) in [("2027-02-20T12:00:00Z", 1), ("2027-03-02T12:00:00Z", 0)] {
        purge(now);
        assert_eq!(env.names(&folder).len(), left, "{now}");
    }
}

#[test]
fn a_rate_that_makes_no_sense_is_refused() {
    let env = Env::with_gateways();
    let keys = env.keys("carol");
    let authorize = |node: &str, rate: &str| {
        let authorize = env.relay("authorize");
        authorize.args(["-N", node, "--rate", rate, &keys.public])
    };
    for rate in [
        "24", "24/", "/1d", "x/1d", "0/1d", "65537/1d", "1/0", "1/181d", "24/1w",
    ] {
        authorize("alice", rate)
            .fails(64, "invalid value")
            .changes(&[]);
    }
    let refused = authorize("gateway", "1/1d").fails(64, "--rate limits parcels");
    refused.changes(&[]);
    let made = authorize("alice", "24/1d").ok().stdout;
    let facts = env.relay("inspect").arg("--json").stdin(made).ok().json();
    assert_eq!(facts[0]["authorization"]["leaf"]["rate"], "24/1d");
}
