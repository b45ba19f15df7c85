//! relay-purge: what expired is removed, what is live stays, and a wrong clock destroys nothing.

use std::fs::{self, File};
use std::process::Command;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::Value;

use crate::testenv::{Call, Env, id, keys_in};

fn purge<'a>(env: &'a Env, at: &str) -> Call<'a> {
    env.relay("purge").args(["-N", at])
}

/// Puts a parcel from alice to bob into the spool of gateway, and routes it to the hub.
fn send(env: &Env, message_id: &str, ttl: &str) {
    let options = ["--id", message_id, "--ttl", ttl];
    let parcel = env.parcel_with("alice", "bob", message_id.as_bytes(), &options);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "gateway"]).ok().quiet();
}

fn out() -> String {
    format!("gateway/spool/out/{}", id("hub"))
}

/// The events that were noted on a day.
fn noted(env: &Env, day: &str) -> Vec<(String, String)> {
    let path = format!("gateway/spool/sent/{day}");
    if !env.path(&path).exists() {
        return Vec::new();
    }
    let text = env.text(path);
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| line[key].as_str().unwrap().to_owned();
        (word("event"), word("id"))
    });
    lines.collect()
}

/// Sets when a file was last written.
fn date(env: &Env, path: &str, at: &str) {
    let at: Timestamp = at.parse().unwrap();
    let file = File::options().write(true).open(env.path(path)).unwrap();
    file.set_modified(SystemTime::from(at)).unwrap();
}

/// Changes a line above a session key.
fn change_key(env: &Env, path: &str, name: &str, value: &str) {
    let text = env.text(path);
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some((known, _)) if known == name => format!("{name}: {value}\n"),
        _ => format!("{line}\n"),
    });
    env.write(path, lines.collect::<String>());
}

// Messages

#[test]
fn a_message_goes_when_its_life_has_ended_and_that_is_noted() {
    let env = Env::with_gateways();
    send(&env, "short", "2d");
    send(&env, "long", "10d");
    assert_eq!(env.names(&out()).len(), 2);
    // Its clock may go behind by as much as is allowed.
    purge(&env, "gateway")
        .at("2026-03-03T13:55:00Z")
        .ok()
        .quiet()
        .stdout("")
        .changes(&["+gateway/spool/clock"]);
    let ran = purge(&env, "gateway")
        .arg("-v")
        .at("2026-03-03T13:55:01Z")
        .ok();
    let events = ran.diagnostics();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = "event=purged what=message why=expired path=gateway/spool/out/";
    assert!(events[0].starts_with(event), "{events:?}");
    let (alice, bob) = (id("alice"), id("bob"));
    let facts = format!("id=short from={alice} to={bob}");
    assert!(events[0].ends_with(&facts), "{events:?}");
    assert_eq!(env.names(&out()).len(), 1);
    let expired = ("expired".to_owned(), "short".to_owned());
    assert_eq!(noted(&env, "2026-03-03"), [expired]);
    for (message, status) in [("short", 80), ("long", 75)] {
        let ran = env
            .relay("list")
            .args(["-N", "gateway", "--id", message])
            .at("2026-03-03T14:00:00Z")
            .run();
        assert_eq!(ran.status, status, "{message}");
    }
    // Nothing is left to do.
    purge(&env, "gateway")
        .at("2026-03-03T13:55:01Z")
        .ok()
        .quiet()
        .changes(&[]);
}

#[test]
fn what_was_set_aside_goes_with_its_reason_and_is_not_noted_twice() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--ttl", "2d", "--id", "first"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let late = "2026-03-09T12:00:00Z";
    env.relay("route").args(["-N", "gateway"]).at(late).ok();
    assert_eq!(env.names("gateway/spool/failed").len(), 2);
    env.write("gateway/spool/failed/note.why", "{}");
    let ran = purge(&env, "gateway").at(late).ok();
    ran.says(&["gateway/spool/failed/note.why: stays: not named for a message"]);
    assert_eq!(env.names("gateway/spool/failed"), ["note.why"]);
    let expired = ("expired".to_owned(), "first".to_owned());
    assert_eq!(noted(&env, "2026-03-09"), [expired]);
}

#[test]
fn a_reason_goes_when_there_is_nothing_that_it_is_for() {
    let env = Env::with_gateways();
    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "mallory"]).stdin(parcel).ok();
    fs::remove_dir_all(env.path(format!("mallory/certs/{}", id("hub")))).unwrap();
    env.relay("route").args(["-N", "mallory"]).ok();
    let names = env.names("mallory/spool/failed");
    assert_eq!(names.len(), 2);
    purge(&env, "mallory").ok().quiet();
    assert_eq!(env.names("mallory/spool/failed"), names);
    fs::remove_file(env.path(format!("mallory/spool/failed/{}", names[0]))).unwrap();
    let ran = purge(&env, "mallory").arg("-v").ok();
    ran.says(&["event=purged what=reason why=orphan path=mallory/spool/failed/"]);
    assert!(env.names("mallory/spool/failed").is_empty());
}

#[test]
fn what_arrived_here_in_time_stays_at_any_age() {
    let env = Env::with_gateways();
    let home = format!("gateway/spool/home/{}", id("alice"));
    fs::create_dir_all(env.path(&home)).unwrap();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "2d"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let name = env.names("gateway/spool/in").remove(0);
    fs::rename(
        env.path(format!("gateway/spool/in/{name}")),
        env.path(format!("{home}/{name}")),
    )
    .unwrap();
    purge(&env, "gateway")
        .arg("--trust-clock")
        .at("2027-03-01T12:00:00Z")
        .ok();
    assert_eq!(env.names(&home), [name]);
}

#[test]
fn acknowledgements_and_requests_go_too() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--ttl", "2d", "--id", "first"]);
    let pca = env.relay("ack").stdin(parcel).ok().stdout;
    let cca = env.cca("gateway", "hub");
    let digest = crate::testenv::sha256(b"first");
    let (alice, bob, hub, own) = (id("alice"), id("bob"), id("hub"), id("gateway"));
    let mut kept = Vec::new();
    for (folder, octets, ends) in [
        ("acks", &pca, "20260303T115500Z.pca"),
        ("control", &pca, "20260303T115500Z.pca"),
        ("control", &pca, "20260330T115500Z.pca"),
        ("cca", &cca, "20260303T115500Z.cca"),
    ] {
        let dir = format!("gateway/spool/{folder}/{hub}");
        fs::create_dir_all(env.path(&dir)).unwrap();
        let name = if folder == "cca" {
            format!("{hub}.{own}.{digest}.{ends}")
        } else {
            format!("{bob}.{alice}.{digest}.{ends}")
        };
        env.write(format!("{dir}/{name}"), octets);
        if ends.contains("0330") || folder == "cca" {
            kept.push(format!("{dir}/{name}"));
        }
    }
    let ran = purge(&env, "gateway").at("2026-03-04T12:00:00Z").ok();
    // A request tells itself how long it lives.
    ran.says(&[&format!("{}: stays: expires at 2026-03-15T", kept[1])]);
    for folder in ["acks", "control", "cca"] {
        let dir = format!("gateway/spool/{folder}/{hub}");
        let names = env.names(&dir).into_iter();
        let found: Vec<String> = names.map(|name| format!("{dir}/{name}")).collect();
        let expected = kept.iter().filter(|path| path.starts_with(&dir));
        assert_eq!(found, expected.cloned().collect::<Vec<_>>());
    }
    // Nothing becomes of parcels by that.
    assert!(noted(&env, "2026-03-04").is_empty());
}

#[test]
fn a_name_alone_is_no_reason() {
    let env = Env::with_gateways();
    send(&env, "first", "10d");
    let name = env.names(&out()).remove(0);
    let lie = name.replace("20260311T", "20260302T");
    let place = |name: &str| env.path(format!("{}/{name}", out()));
    fs::rename(place(&name), place(&lie)).unwrap();
    let junk = name.replace("20260311T", "20260301T");
    fs::write(place(&junk), "junk").unwrap();
    fs::write(place("junk"), "junk").unwrap();
    fs::create_dir(place(&junk.replace("0301T", "0228T"))).unwrap();
    let ran = purge(&env, "gateway").at("2026-03-04T12:00:00Z").ok();
    let said = ran.diagnostics();
    assert_eq!(said.len(), 4, "{said:?}");
    let of = |end: &str| said.iter().any(|line| line.ends_with(end));
    assert!(of(
        "stays: expires at 2026-03-11T11:55:00Z, but its name says another time"
    ));
    assert!(
        of("stays: not a Relaynet message")
            && of("junk: stays: not a message that these programs stored"),
        "{said:?}"
    );
    assert_eq!(env.names(&out()).len(), 4);
    assert!(noted(&env, "2026-03-04").is_empty());
}

// What it says

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let env = Env::with_gateways();
    send(&env, "short", "2d");
    let late = "2026-03-04T12:00:00Z";
    let path = format!("{}/{}", out(), env.names(&out())[0]);
    let ran = purge(&env, "gateway").arg("-n").at(late).ok();
    ran.quiet()
        .stdout(format!("message\texpired\t2026-03-03T11:55:00Z\t{path}\n"))
        .changes(&[]);
    let ran = purge(&env, "gateway").args(["-n", "--json"]).at(late).ok();
    let facts = &ran.json()[0];
    let keys = [
        "v",
        "what",
        "why",
        "since",
        "path",
        "recipient",
        "sender",
        "id",
    ];
    assert_eq!(keys_in(facts), keys);
    assert_eq!(facts["recipient"], id("bob"));
    assert_eq!(
        (&facts["id"], &facts["path"]),
        (&"short".into(), &path.into())
    );
    purge(&env, "gateway").arg("--json").fails(64, "");
}

#[test]
fn it_waits_for_nobody_unless_asked_to() {
    let env = Env::with_gateways();
    let held = relaynet::disk::Lock::exclusive(&env.path("gateway/lock/queue")).unwrap();
    purge(&env, "gateway").fails(75, "another run is active");
    purge(&env, "gateway").arg("-n").ok();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| purge(&env, "gateway").args(["--wait", "60s"]).ok());
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(held);
        waiting.join().unwrap();
    });
}

#[test]
fn what_cannot_be_purged_is_said() {
    let env = Env::with_gateways();
    purge(&env, "nowhere").fails(78, "nowhere is not a node directory");
    env.write("gateway/spool", "");
    let ran = purge(&env, "gateway").run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    let config = env.text("hub/config").replace("clock = test\n", "");
    env.write("hub/config", config);
    purge(&env, "hub").fails(78, "--now is refused");
}

// The clock

/// All that could be destroyed, with a purge in March 2026.
fn lived_in() -> Env {
    let env = Env::with_gateways();
    send(&env, "first", "30d");
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("open").args(["-N", "alice"]).stdin(parcel).ok();
    let cargo = env.cargo("gateway", "hub", env.parcel("alice", "bob", b"y"));
    let ran = env.relay("unpack-cargo").args(["-N", "hub"]).stdin(cargo);
    ran.ok();
    for node in ["gateway", "alice", "hub"] {
        purge(&env, node).ok().quiet();
    }
    env
}

#[test]
fn a_clock_that_is_wrong_destroys_nothing() {
    let env = lived_in();
    for node in ["gateway", "alice", "hub"] {
        for now in ["2026-03-01T10:00:00Z", "2026-03-01T14:00:00Z"] {
            purge(&env, node).at(now).ok().quiet();
        }
        let ran = purge(&env, node).at("2016-03-01T12:00:00Z").fails(
            75,
            "the clock shows 2016-03-01T12:00:00Z, which is before 2026-03-01T14:00:00Z, a time already seen",
        );
        assert_eq!(
            ran.hints(),
            ["check this clock; if it is right, relay-purge --trust-clock purges by it"]
        );
        let ran = purge(&env, node)
            .at("2036-03-01T12:00:00Z")
            .run()
            .says(&[
                "the clock shows 2036-03-01T12:00:00Z, but nothing happened since 2026-03-01T14",
            ])
            .changes(&[&format!("*{node}/spool/clock")]);
        assert_eq!(ran.status, 75);
        assert_eq!(
            ran.hints(),
            [
                "check this clock; if it is right, a run from 2036-03-02T12:00:00Z on purges, or one of relay-purge --trust-clock"
            ]
        );
        // Nor does it once it is right again.
        purge(&env, node).at("2026-03-01T14:30:00Z").ok().quiet();
        assert!(
            !env.text(format!("{node}/spool/clock"))
                .contains("candidate")
        );
    }
}

#[test]
fn one_boot_with_a_wrong_clock_leads_nowhere() {
    let env = lived_in();
    send(&env, "second", "10d");
    let bad = "2036-03-01T12:00:00Z";
    // Others note nothing under that day, and set nothing aside that seems to have expired.
    let parcel = env.parcel("alice", "bob", b"z");
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let ran = env.relay("route").args(["-N", "gateway"]).at(bad).run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    assert_eq!(env.names("gateway/spool/sent"), ["2026-03-01"]);
    for now in [bad, "2036-03-01T18:00:00Z"] {
        let ran = purge(&env, "gateway").at(now).run();
        assert_eq!(ran.status, 75, "{now}");
    }
    assert_eq!(env.names(&out()).len(), 2);
    assert_eq!(env.names("gateway/spool/in").len(), 1);
}

#[test]
fn a_first_run_with_a_wrong_clock_destroys_nothing() {
    let env = Env::with_gateways();
    send(&env, "first", "30d");
    purge(&env, "gateway")
        .at("2016-03-01T12:00:00Z")
        .fails(75, "the clock shows 2016");
    let ran = purge(&env, "gateway").at("2036-03-01T12:00:00Z").run();
    ran.says(&["the clock shows 2036-03-01T12:00:00Z, but nothing happened since 2026-03-01T06"])
        .changes(&["+gateway/spool/clock"]);
    assert_eq!(env.names(&out()).len(), 1);
}

#[test]
fn a_time_that_goes_on_for_a_day_is_believed() {
    let env = lived_in();
    let run = |now: &str| purge(&env, "gateway").at(now).run().status;
    assert_eq!(run("2026-06-01T12:00:00Z"), 75);
    assert_eq!(run("2026-06-02T11:59:59Z"), 75);
    // Another one starts anew.
    assert_eq!(run("2026-07-20T12:00:00Z"), 75);
    assert_eq!(run("2026-06-03T12:00:00Z"), 75);
    assert_eq!(env.names(&out()).len(), 1);
    assert_eq!(run("2026-06-04T12:00:00Z"), 0);
    assert!(env.names(&out()).is_empty());
    assert_eq!(run("2026-03-01T14:00:00Z"), 75);
}

#[test]
fn a_user_may_vouch_for_a_time() {
    let env = lived_in();
    purge(&env, "gateway")
        .args(["-n", "--trust-clock"])
        .at("2026-06-01T12:00:00Z")
        .ok()
        .changes(&[]);
    purge(&env, "gateway")
        .arg("--trust-clock")
        .at("2026-06-01T12:00:00Z")
        .ok();
    assert!(env.names(&out()).is_empty());
    let ran = purge(&env, "gateway").at("2026-03-02T12:00:00Z").run();
    assert_eq!(ran.status, 75);
    ran.says(&["the clock shows 2026-03-02T12:00:00Z, which is before 2026-06-01T12:00:00Z, a time already seen"])
        .changes(&["*gateway/spool/clock"]);
    // What was believed wrongly is put right in the same way.
    purge(&env, "gateway")
        .arg("--trust-clock")
        .at("2026-03-02T12:00:00Z")
        .ok();
    purge(&env, "gateway").at("2026-03-03T12:00:00Z").ok();
    env.write("gateway/spool/clock", "junk");
    purge(&env, "gateway").fails(78, "gateway/spool/clock: not key = value");
    purge(&env, "gateway").arg("--trust-clock").ok();
    purge(&env, "gateway").ok();
}

// What killed runs left

#[test]
fn what_killed_runs_left_goes_after_a_day_and_a_half() {
    let env = Env::with_gateways();
    send(&env, "first", "10d");
    let hub = id("hub");
    let dirs = [
        "spool/tmp".to_owned(),
        "spool".to_owned(),
        format!("spool/out/{hub}"),
        "seen".to_owned(),
        "sessions/any".to_owned(),
        format!("peers/{hub}"),
    ];
    for dir in &dirs {
        for (name, at) in [
            ("old", "2026-02-27T23:59:59Z"),
            ("new", "2026-02-28T00:00:00Z"),
        ] {
            let path = format!("gateway/{dir}/.relay-{name}.tmp");
            env.write(&path, "torn");
            date(&env, &path, at);
        }
        env.write(format!("gateway/{dir}/.other.tmp"), "somebody else's");
        date(
            &env,
            &format!("gateway/{dir}/.other.tmp"),
            "2026-02-01T00:00:00Z",
        );
    }
    let listed = purge(&env, "gateway").arg("-n").ok();
    let temporary = listed
        .text()
        .lines()
        .filter(|line| line.starts_with("temporary\told\t-\t"));
    assert_eq!(temporary.count(), dirs.len());
    let ran = purge(&env, "gateway").run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for dir in &dirs {
        let names = env.names(&format!("gateway/{dir}"));
        assert!(!names.contains(&".relay-old.tmp".to_owned()), "{dir}");
        assert!(names.contains(&".other.tmp".to_owned()), "{dir}");
        // In a node that is locked nobody is at work.
        let is_spool = dir.starts_with("spool");
        assert_eq!(
            names.contains(&".relay-new.tmp".to_owned()),
            is_spool,
            "{dir}"
        );
    }
}

// Replay memory

#[test]
fn the_memory_of_a_day_goes_when_nothing_of_it_can_be_accepted() {
    let env = Env::with_peers();
    let opened = |id: &str, ttl: &str| {
        let parcel = env.parcel_with("bob", "alice", b"x", &["--id", id, "--ttl", ttl]);
        let open = env.relay("open").args(["-N", "alice"]);
        open.stdin(parcel.clone()).ok();
        parcel
    };
    opened("first", "2d");
    let second = opened("second", "20d");
    assert_eq!(env.names("alice/seen"), ["2026-03-03", "2026-03-21"]);
    env.write("alice/seen/notes", "x");
    let foreign = "alice/seen/notes: stays: not named for a day";
    let last = "2026-03-10T23:59:59Z";
    purge(&env, "alice")
        .at(last)
        .ok()
        .says(&[foreign])
        .changes(&["+alice/spool", "+alice/spool/clock"]);
    // Two hours for clocks that differ, and a week for those that will be allowed to.
    purge(&env, "alice")
        .at("2026-03-11T02:00:00Z")
        .ok()
        .changes(&[
            "*alice/spool/clock",
            "+alice/seen/floor",
            "-alice/seen/2026-03-03",
        ]);
    assert_eq!(env.text("alice/seen/floor"), "2026-03-03T23:59:59Z\n");
    // What is remembered is refused, and what expires later is not.
    let open = env.relay("open").args(["-N", "alice"]);
    open.stdin(second)
        .at("2026-03-11T02:00:00Z")
        .fails(82, "-: already received");
    opened("third", "20d");
    fs::remove_file(env.path("alice/seen/notes")).unwrap();
    purge(&env, "alice").at("2026-04-09T12:00:00Z").ok();
    assert_eq!(env.text("alice/seen/floor"), "2026-03-21T23:59:59Z\n");
    assert_eq!(env.names("alice/seen"), ["floor"]);
}

#[test]
fn the_floor_never_sinks_and_never_passes_what_waits_at_home() {
    let env = Env::with_peers();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "2d"]);
    let open = env.relay("open").args(["-N", "alice"]);
    open.stdin(parcel).ok();
    let waiting = env.parcel_with("bob", "alice", b"y", &["--ttl", "2d", "--id", "waiting"]);
    env.relay("put").args(["-N", "alice"]).stdin(waiting).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    let home = format!("alice/spool/home/{}", id("alice"));
    let name = env.names(&home).remove(0);
    purge(&env, "alice").at("2026-03-20T12:00:00Z").ok().quiet();
    assert_eq!(env.names("alice/seen"), ["2026-03-03"]);
    fs::remove_file(env.path(format!("{home}/{name}"))).unwrap();
    env.write("alice/seen/floor", "2026-03-10T00:00:00Z\n");
    purge(&env, "alice").at("2026-03-20T12:00:00Z").ok().quiet();
    assert_eq!(env.names("alice/seen"), ["floor"]);
    assert_eq!(env.text("alice/seen/floor"), "2026-03-10T00:00:00Z\n");
}

// Session keys

/// The keys of alice for bob, those of the earliest date first.
fn keys(env: &Env, node: &str, peer: &str) -> Vec<String> {
    let dir = format!("{node}/sessions/{}", id(peer));
    let mut keys: Vec<(String, String)> = env
        .names(&dir)
        .into_iter()
        .map(|name| {
            let text = env.text(format!("{dir}/{name}"));
            let first = text
                .lines()
                .find_map(|line| line.strip_prefix("First-Carried: "));
            (first.unwrap().to_owned(), format!("{dir}/{name}"))
        })
        .collect();
    keys.sort();
    keys.into_iter().map(|(_, path)| path).collect()
}

/// One seals, and the other opens.
fn exchange(env: &Env, from: &str, to: &str, now: &str) {
    let seal = env.relay("seal").args(["-N", from, "-t", to]).at(now);
    let parcel = seal.stdin("x").ok().stdout;
    let open = env.relay("open").args(["-N", to]).at(now);
    open.stdin(parcel).ok();
}

#[test]
fn an_endpoint_keeps_a_superseded_key_for_its_grace() {
    let env = Env::with_peers();
    // Bob comes to know a key of alice's, and uses it.
    exchange(&env, "alice", "bob", "2026-03-02T12:00:00Z");
    exchange(&env, "bob", "alice", "2026-03-02T13:00:00Z");
    let all = keys(&env, "alice", "bob");
    assert_eq!(all.len(), 2);
    assert!(
        env.text(&all[1])
            .contains("First-Used: 2026-03-02T13:00:00Z\n")
    );
    exchange(&env, "bob", "alice", "2026-03-10T13:00:00Z");
    purge(&env, "alice").at("2026-03-20T13:00:00Z").ok().quiet();
    purge(&env, "alice").at("2026-04-01T13:00:00Z").ok().quiet();
    assert_eq!(keys(&env, "alice", "bob"), all);
    let ran = purge(&env, "alice")
        .arg("-v")
        .at("2026-04-01T13:00:01Z")
        .ok();
    ran.says(&[&format!(
        "event=purged what=session-key why=superseded path={}",
        all[0]
    )]);
    assert_eq!(keys(&env, "alice", "bob"), all[1..]);
    // The one that is left serves on.
    exchange(&env, "bob", "alice", "2026-04-01T14:00:00Z");
    exchange(&env, "alice", "bob", "2026-04-01T15:00:00Z");
}

#[test]
fn the_grace_is_set_in_the_config() {
    let env = Env::with_peers();
    exchange(&env, "alice", "bob", "2026-03-02T12:00:00Z");
    exchange(&env, "bob", "alice", "2026-03-02T13:00:00Z");
    let all = keys(&env, "alice", "bob");
    let config = env.text("alice/config");
    env.write("alice/config", format!("{config}session-grace = 0\n"));
    purge(&env, "alice").at("2026-03-02T13:00:01Z").ok().quiet();
    assert_eq!(keys(&env, "alice", "bob"), all[1..]);
}

#[test]
fn a_key_that_a_waiting_message_names_is_kept() {
    let env = Env::with_peers();
    let early = env.parcel_with("bob", "alice", b"early", &["--id", "early"]);
    exchange(&env, "alice", "bob", "2026-03-02T12:00:00Z");
    exchange(&env, "bob", "alice", "2026-03-02T13:00:00Z");
    let all = keys(&env, "alice", "bob");
    env.relay("put").args(["-N", "alice"]).stdin(early).ok();
    let home = format!("alice/spool/home/{}", id("alice"));
    let late = "2026-04-10T13:00:00Z";
    purge(&env, "alice").at("2026-03-30T13:00:00Z").ok();
    let is_key = |line: &str| line.starts_with("session-key\t");
    let dry = purge(&env, "alice").arg("-n").at(late).ok();
    assert!(!dry.text().lines().any(is_key), "{}", dry.text());
    env.relay("route").args(["-N", "alice"]).ok();
    purge(&env, "alice").at("2026-04-10T13:00:00Z").ok();
    assert_eq!(keys(&env, "alice", "bob"), all);
    let name = env.names(&home).remove(0);
    let path = format!("{home}/{name}");
    let open = env.relay("open").args(["-N", "alice"]).arg(&path);
    open.ok().stdout("early");
    fs::remove_file(env.path(&path)).unwrap();
    purge(&env, "alice").at("2026-04-10T13:00:00Z").ok();
    assert_eq!(keys(&env, "alice", "bob"), all[1..]);
}

/// A disk that fails now and then cost the key, and with it the message.
#[test]
fn a_key_is_kept_for_a_waiting_message_that_cannot_be_read() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("there is no strace, so every message can be read");
        assert!(std::env::var_os("CI").is_none(), "strace is needed in CI");
        return;
    }
    let env = Env::with_peers();
    let early = env.parcel_with("bob", "alice", b"early", &["--id", "early"]);
    exchange(&env, "alice", "bob", "2026-03-02T12:00:00Z");
    exchange(&env, "bob", "alice", "2026-03-02T13:00:00Z");
    let all = keys(&env, "alice", "bob");
    env.relay("put").args(["-N", "alice"]).stdin(early).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    purge(&env, "alice").at("2026-03-30T13:00:00Z").ok();
    let home = format!("alice/spool/home/{}", id("alice"));
    let path = format!("{home}/{}", env.names(&home).remove(0));
    for call in ["openat", "read"] {
        let plain = purge(&env, "alice").at("2026-04-10T13:00:00Z").to_command();
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-q", "-o", "/dev/null", "-P", &path, "-e"])
            .args([&format!("trace={call}"), "-e"])
            .arg(format!("inject={call}:error=EIO"))
            .arg(plain.get_program())
            .args(plain.get_args())
            .envs(
                plain
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(env.root());
        let ran = strace.output().unwrap();
        let text = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(74), "{call}: {text}");
        assert!(text.contains("Input/output error"), "{text}");
        assert_eq!(keys(&env, "alice", "bob"), all, "{call}");
    }
    purge(&env, "alice").at("2026-04-10T13:00:00Z").ok();
    env.relay("open")
        .args(["-N", "alice", &path])
        .ok()
        .stdout("early");
}

#[test]
fn a_gateway_keeps_a_superseded_key_until_the_next_exchange() {
    let env = Env::with_gateways();
    let to_hub = |now: &str| {
        let parcel = env.parcel("alice", "bob", now.as_bytes());
        let args = ["-N", "gateway", "-t", "hub"];
        let cargo = env
            .relay("pack-cargo")
            .args(args)
            .at(now)
            .stdin(parcel)
            .ok();
        let unpack = env.relay("unpack-cargo").args(["-N", "hub"]).at(now);
        unpack.stdin(cargo.stdout).ok();
    };
    // The gateway asks, and what it gets is sealed to the key that the request carried.
    let from_hub = |now: &str| {
        let ask = env
            .relay("request-cargo")
            .args(["-N", "gateway", "-t", "hub"]);
        env.write("cca", ask.at(now).ok().stdout);
        let parcel = env.parcel("bob", "alice", now.as_bytes());
        let pack = env.relay("pack-cargo").args(["-N", "hub", "--cca", "cca"]);
        let cargo = pack.at(now).stdin(parcel).ok().stdout;
        let unpack = env.relay("unpack-cargo").args(["-N", "gateway"]).at(now);
        unpack.stdin(cargo).ok();
    };
    to_hub("2026-03-03T12:00:00Z");
    from_hub("2026-03-05T12:00:00Z");
    let two = keys(&env, "gateway", "hub");
    assert_eq!(two.len(), 2);
    purge(&env, "gateway")
        .at("2026-03-20T12:00:00Z")
        .ok()
        .quiet();
    assert_eq!(keys(&env, "gateway", "hub"), two);
    from_hub("2026-03-20T13:00:00Z");
    purge(&env, "gateway")
        .at("2026-03-20T13:00:00Z")
        .ok()
        .quiet();
    let left = keys(&env, "gateway", "hub");
    assert_eq!((left.len(), &left[0]), (2, &two[1]));
    from_hub("2026-03-21T13:00:00Z");
}

#[test]
fn first_keys_are_kept_as_long_as_was_said_and_others_while_they_may_be_used() {
    let env = Env::with_peers();
    exchange(&env, "alice", "bob", "2026-03-02T12:00:00Z");
    let all = keys(&env, "alice", "bob");
    let any = env.names("alice/sessions/any");
    // Authorizations last for 180 days, first keys are kept for 240.
    let at = |now: &str| {
        let ran = purge(&env, "alice").args(["--trust-clock", "-q"]).at(now);
        ran.ok();
        (keys(&env, "alice", "bob"), env.names("alice/sessions/any"))
    };
    assert_eq!(at("2026-08-20T12:00:00Z"), (all.clone(), any.clone()));
    assert_eq!(at("2026-10-26T00:00:00Z"), (all[..1].to_vec(), any.clone()));
    assert_eq!(at("2026-10-28T00:00:00Z"), (Vec::new(), Vec::new()));
}

#[test]
fn a_key_that_is_damaged_stays_and_the_others_are_judged() {
    let env = Env::with_peers();
    exchange(&env, "alice", "bob", "2026-03-02T12:00:00Z");
    exchange(&env, "bob", "alice", "2026-03-02T13:00:00Z");
    let all = keys(&env, "alice", "bob");
    let junk = format!("alice/sessions/{}/00.key", id("bob"));
    env.write(&junk, "junk");
    env.chmod(&junk, 0o600);
    env.mkdir("alice/sessions/bob");
    change_key(&env, &all[1], "First-Used", "2026-02-01T00:00:00Z");
    let ran = purge(&env, "alice").at("2026-03-20T12:00:00Z").ok();
    ran.says(&[
        "alice/sessions/",
        "alice/sessions/bob: stays: not named for a peer",
    ])
    .says_somewhere("00.key: stays: ");
    assert!(!env.path(&all[0]).exists() && env.path(&junk).exists());
}

// The rest

#[test]
fn certificates_that_ended_go_but_for_the_last() {
    let env = Env::with_peers();
    let dir = format!("alice/peers/{}/given", id("bob"));
    for now in ["2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"] {
        let key = env.relay("export").args(["-N", "bob"]).ok().stdout;
        let args = ["-q", "-N", "alice", "--valid", "90d"];
        env.relay("authorize").args(args).at(now).stdin(key).ok();
    }
    let all = env.names(&dir);
    assert_eq!(all.len(), 3, "{all:?}");
    let own = env.names(&format!("alice/certs/{}", id("alice"))).len();
    let left = |now: &str| {
        purge(&env, "alice")
            .args(["--trust-clock", "-q"])
            .at(now)
            .ok();
        env.names(&dir)
    };
    assert_eq!(left("2026-07-01T00:00:00Z"), all[1..]);
    assert_eq!(left("2027-03-01T00:00:00Z"), all[2..]);
    let held = format!("alice/peers/{}/held", id("bob"));
    assert_eq!(env.names(&held).len(), 1);
    let owns = env.names(&format!("alice/certs/{}", id("alice"))).len();
    assert!(owns == 1 && own >= 1, "{own} {owns}");
    let ran = env.relay("seal").args(["-N", "alice", "-t", "bob"]);
    let ran = ran.at("2027-03-01T00:00:00Z").stdin("x").run();
    assert_eq!(ran.status, 80, "{}", ran.stderr);
}

#[test]
fn what_is_kept_by_the_day_goes_with_it() {
    let env = Env::with_gateways();
    send(&env, "first", "10d");
    let hub = id("hub");
    let record = |day: u32| format!("{hub}.{day:064x}");
    for node in [
        "gateway/spool/carried/5a",
        "gateway/strangers/2025-12-30",
        "gateway/strangers/2025-12-31",
    ] {
        fs::create_dir_all(env.path(node)).unwrap();
        env.write(format!("{node}/x.pem"), "x");
    }
    for (day, text) in [
        (1, "2025-08-03T09:59:59Z\nx\n"),
        (2, "2025-08-03T10:00:00Z\nx\n"),
        (3, "torn"),
    ] {
        env.write(format!("gateway/spool/carried/5a/{}", record(day)), text);
    }
    // A medium that comes no more goes with its records, and one that was here lately stays.
    for (medium, date) in [
        ("6b", "2025-08-03T09:59:59Z"),
        ("7c", "2025-08-03T10:00:00Z"),
    ] {
        env.mkdir(&format!("gateway/spool/carried/{medium}"));
        env.write(format!("gateway/spool/carried/{medium}/last"), date);
        let old = "2025-08-03T09:59:58Z\n";
        env.write(format!("gateway/spool/carried/{medium}/{}", record(4)), old);
    }
    let dry = purge(&env, "gateway").arg("-n").ok();
    let media: Vec<&str> = dry
        .text()
        .lines()
        .filter(|it| it.starts_with("medium"))
        .collect();
    assert_eq!(
        media,
        ["medium\told\t2025-08-03T09:59:59Z\tgateway/spool/carried/6b"]
    );
    for day in ["2025-08-02", "2025-08-03", "notes"] {
        env.write(format!("gateway/spool/sent/{day}"), "");
    }
    let ran = purge(&env, "gateway").at("2026-03-01T12:00:00Z").ok();
    let torn = format!("gateway/spool/carried/5a/{}", record(3));
    let said = ran.diagnostics();
    assert_eq!(said.len(), 3, "{said:?}");
    for foreign in [
        "gateway/spool/sent/notes: stays: not named for a day",
        "gateway/spool/carried/5a/x.pem: stays: not a record of cargo",
        &format!("{torn}: stays: not a record of cargo"),
    ] {
        assert!(
            said.iter().any(|line| line == foreign),
            "{foreign}: {said:?}"
        );
    }
    ran.changes(&[
        "+gateway/spool/clock",
        "-gateway/spool/carried/5a/HUB.HEX",
        "-gateway/spool/carried/6b",
        "-gateway/spool/carried/6b/HUB.HEX",
        "-gateway/spool/carried/6b/last",
        "-gateway/spool/carried/7c/HUB.HEX",
        "-gateway/spool/sent/2025-08-02",
        "-gateway/strangers/2025-12-30",
        "-gateway/strangers/2025-12-30/x.pem",
    ]);
}

#[test]
fn what_is_known_of_servers_goes_when_it_is_not_used() {
    let env = Env::with_gateways();
    fs::create_dir_all(env.path("gateway/spool/hosts")).unwrap();
    let file = |digit: char| format!("gateway/spool/hosts/{}", digit.to_string().repeat(64));
    for (digit, date) in [('a', "2025-12-31T09:59:59Z"), ('b', "2025-12-31T10:00:01Z")] {
        let text = format!(
            r#"{{"version":1,"address":"{digit}.example.org","services":{{}},"failures":0,"changed":"{date}"}}"#
        );
        env.write(file(digit), text);
    }
    // It may be of a newer version.
    env.write(file('c'), r#"{"version":2}"#);
    env.write("gateway/spool/hosts/x", "");
    let dry = purge(&env, "gateway").at("2026-03-01T12:00:00Z").arg("-n");
    let dry = dry.ok();
    let hosts: Vec<&str> = dry
        .text()
        .lines()
        .filter(|it| it.starts_with("host"))
        .collect();
    let expected = format!("host\told\t2025-12-31T09:59:59Z\t{}", file('a'));
    assert_eq!(hosts, [expected]);
    let ran = purge(&env, "gateway").at("2026-03-01T12:00:00Z").ok();
    assert_eq!(
        ran.diagnostics(),
        ["gateway/spool/hosts/x: stays: not named for an address"]
    );
    let left = ["b", "c"].map(|digit| digit.repeat(64));
    assert_eq!(env.names("gateway/spool/hosts"), [&left[0], &left[1], "x"]);
    // relay-check knows the folder.
    let ran = env.relay("check").args(["-N", "gateway", "--json"]).run();
    let mut unknown = ran.text().lines().filter(|it| it.contains("\"unknown\""));
    let first = unknown.next().unwrap();
    assert!(first.contains("\"gateway/spool/hosts/x\""), "{first}");
    assert_eq!(unknown.next(), None);
}

#[test]
fn a_gateway_purges_its_endpoints_and_an_endpoint_its_gateway() {
    let env = Env::with_gateways();
    let args = ["-N", "gateway", "--endpoint", "local"];
    let test = ["--set", "clock=test"];
    env.relay("keygen").args(args).args(test).ok();
    let local = "gateway/endpoints/local";
    let ended = ["2026-01-01", "2026-02-01"];
    for node in [local, "gateway"] {
        for day in ended {
            env.write(format!("{node}/seen/{day}"), [7; 32]);
        }
    }
    let ran = purge(&env, local).ok();
    ran.quiet().changes(&[
        "+gateway/endpoints/local/seen/floor",
        "+gateway/seen/floor",
        "+gateway/spool",
        "+gateway/spool/clock",
        "-gateway/endpoints/local/seen/2026-01-01",
        "-gateway/endpoints/local/seen/2026-02-01",
        "-gateway/seen/2026-01-01",
        "-gateway/seen/2026-02-01",
    ]);
    let config = format!("{local}/config");
    env.write(&config, env.text(&config).replace("clock = test\n", ""));
    purge(&env, "gateway").fails(78, "--now is refused");
    env.relay("purge").args(["-N", "gateway", "-n"]).ok();
}
