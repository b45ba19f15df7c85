//! relay-carry: from medium to medium, without keys.

use std::fs;

use crate::testenv::{Call, Env, id, sha256};

fn carry<'a>(env: &'a Env, from: &str, to: &str) -> Call<'a> {
    env.relay("carry").args([from, to])
}

/// A world with the media red and blue; on red are a cargo and a CCA of mallory's for the hub.
fn laden() -> Env {
    let env = Env::with_gateways();
    for medium in ["red", "blue"] {
        env.mkdir(medium);
        let init = env.relay("sync").args(["-N", "hub", "--init", medium]);
        init.ok().quiet();
    }
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    env.relay("put")
        .args(["-N", "mallory"])
        .stdin(parcel)
        .ok()
        .quiet();
    env.relay("route").args(["-N", "mallory"]).ok().quiet();
    env.relay("sync")
        .args(["-N", "mallory", "red"])
        .ok()
        .quiet();
    env
}

/// The files for the hub of one kind.
fn lying(env: &Env, medium: &str, kind: &str) -> Vec<String> {
    let dir = format!("{medium}/relaynet/{kind}/{}", id("hub"));
    if !env.path(&dir).exists() {
        return Vec::new();
    }
    let names = env.names(&dir).into_iter();
    names.map(|name| format!("{dir}/{name}")).collect()
}

fn counts(env: &Env, medium: &str) -> (usize, usize) {
    (
        lying(env, medium, "cargo").len(),
        lying(env, medium, "cca").len(),
    )
}

#[test]
fn cargo_and_requests_are_copied_or_moved() {
    let env = laden();
    let ran = carry(&env, "red", "blue").arg("-v").ok();
    assert_eq!(
        ran.stderr.matches("event=carried").count(),
        2,
        "{}",
        ran.stderr
    );
    assert_eq!(
        (counts(&env, "red"), counts(&env, "blue")),
        ((1, 1), (1, 1))
    );
    let copy = lying(&env, "blue", "cargo").remove(0);
    assert_eq!(env.read(copy.replace("blue", "red")), env.read(&copy));
    carry(&env, "red", "blue").ok().quiet().changes(&[]);
    carry(&env, "red", "blue").arg("--move").ok().quiet();
    assert_eq!(
        (counts(&env, "red"), counts(&env, "blue")),
        ((0, 0), (1, 1))
    );
    carry(&env, "blue", "red").arg("--move").ok().quiet();
    assert_eq!(
        (counts(&env, "red"), counts(&env, "blue")),
        ((1, 1), (0, 0))
    );
    env.relay("sync").args(["-N", "hub", "red"]).ok().quiet();
    assert_eq!(env.names("hub/spool/in").len(), 1);
}

#[test]
fn a_quota_bounds_what_lies_there() {
    let env = laden();
    let len = |kind: &str| env.read(&lying(&env, "red", kind)[0]).len();
    let (cargo, cca) = (len("cargo"), len("cca"));
    for (quota, expected) in [
        ("0", (0, 0)),
        (&(cca - 1).to_string(), (0, 0)),
        (&cca.to_string(), (0, 1)),
        (&(cca + cargo - 1).to_string(), (0, 1)),
        (&(cca + cargo).to_string(), (1, 1)),
    ] {
        let ran = carry(&env, "red", "blue").args(["--quota", quota]).ok();
        let left = 2 - expected.0 - expected.1;
        let said = format!("blue: no room for {left} message");
        assert_eq!(
            ran.stderr.contains(&said),
            left > 0,
            "{quota}: {}",
            ran.stderr
        );
        assert_eq!(counts(&env, "blue"), expected, "{quota}");
    }
    for (quota, said) in [(cca - 1, true), (cca, false)] {
        let env = laden();
        let quota = quota.to_string();
        let ran = carry(&env, "red", "blue").args(["-q", "--quota", &quota]);
        let stderr = ran.ok().stderr;
        let line = "relay-carry: blue: no room for 2 messages (";
        assert_eq!(stderr.starts_with(line), said, "{quota}: {stderr}");
        assert_eq!(stderr.is_empty(), !said, "{quota}: {stderr}");
    }
}

#[test]
fn a_damaged_copy_is_made_good_before_the_other_one_leaves() {
    let env = laden();
    carry(&env, "red", "blue").ok().quiet();
    let copy = lying(&env, "blue", "cargo").remove(0);
    let whole = env.read(&copy);
    // Some sticks lose the end of a file.
    env.write(&copy, &whole[..whole.len() / 2]);
    carry(&env, "red", "blue").ok().quiet();
    assert_eq!(env.read(&copy), whole);
    // Others keep its length; it is read where that counts.
    env.write(&copy, vec![0; whole.len()]);
    carry(&env, "red", "blue").arg("--move").ok().quiet();
    assert_eq!(env.read(&copy), whole);
    assert_eq!(counts(&env, "red"), (0, 0));
}

#[test]
fn what_is_not_worth_it_stays_and_is_told() {
    let env = laden();
    let dir = format!("red/relaynet/cargo/{}", id("hub"));
    env.write(
        format!("{dir}/{}.{}.cargo", id("mallory"), sha256(b"junk")),
        "junk",
    );
    let cargo = lying(&env, "red", "cargo");
    let swapped = env.read(cargo.iter().find(|path| env.read(path).len() > 4).unwrap());
    env.write(
        format!("{dir}/{}.{}.cargo", id("gateway"), sha256(&swapped)),
        &swapped,
    );
    fs::create_dir(env.path("red/relaynet/cargo/notes")).unwrap();
    let ran = carry(&env, "red", "blue").run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    let lines = ran.diagnostics();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|it| it.starts_with("red/relaynet/cargo/notes: does not belong"))
    );
    assert!(
        lines
            .iter()
            .any(|it| it.contains("another sender or recipient")),
        "{lines:?}"
    );
    assert_eq!(
        (counts(&env, "red"), counts(&env, "blue")),
        ((3, 1), (1, 1))
    );
    // All of it has expired some day.
    env.mkdir("green");
    let later = "2026-06-01T12:00:00Z";
    let ran = carry(&env, "red", "green").arg("--init").at(later).run();
    assert_eq!(ran.status, 80, "{}", ran.stderr);
    assert_eq!(counts(&env, "green"), (0, 0));
}

#[test]
fn media_that_are_not_there_are_told_or_passed_over() {
    let env = laden();
    env.mkdir("empty");
    carry(&env, "red", "empty").fails(66, "empty is not a medium");
    carry(&env, "empty", "red").fails(66, "empty is not a medium");
    for (from, to) in [("red", "empty"), ("empty", "red"), ("red", "nowhere")] {
        carry(&env, from, to)
            .arg("--if-present")
            .ok()
            .quiet()
            .changes(&[]);
    }
    carry(&env, "empty", "green")
        .arg("--init")
        .fails(66, "empty is not a medium");
    carry(&env, "red", "red").fails(64, "red is the same medium");
    carry(&env, "red", "empty").arg("--init").ok().quiet();
    assert_eq!(counts(&env, "empty"), (1, 1));
    env.relay("carry").arg("red").fails(64, "");
}

/// Hints on a medium that these cargoes of the hub have arrived, at this time.
fn hint<'a>(env: &Env, medium: &str, names: impl IntoIterator<Item = &'a String>, date: &str) {
    let got = format!("{medium}/relaynet/got/{}", id("hub"));
    fs::create_dir_all(env.path(&got)).unwrap();
    for name in names {
        env.write(format!("{got}/{name}"), date);
    }
}

/// The hints on a medium.
fn hints(env: &Env, medium: &str) -> Vec<String> {
    let got = format!("{medium}/relaynet/got/{}", id("hub"));
    if env.path(&got).exists() {
        env.names(&got)
    } else {
        Vec::new()
    }
}

#[test]
fn hints_that_free_nothing_go_nowhere() {
    let env = laden();
    let names: Vec<String> = (0..300).map(|at| format!("{at:064x}")).collect();
    hint(&env, "red", &names, "2026-03-01T11:00:00Z\n");
    let ran = carry(&env, "red", "blue")
        .args(["-v", "--quota", "1M"])
        .ok();
    assert_eq!(ran.stderr.matches("event=carried").count(), 2);
    assert_eq!(hints(&env, "blue").len(), 0);
    assert_eq!(hints(&env, "red"), names);
}

/// The digest of the only cargo for the hub on red.
fn digest(env: &Env) -> String {
    let cargo = lying(env, "red", "cargo").remove(0);
    cargo.split('.').nth(1).unwrap().to_owned()
}

#[test]
fn a_hint_frees_only_the_medium_where_it_lies() {
    let env = laden();
    let name = digest(&env);
    carry(&env, "red", "blue").ok().quiet();
    let before = [lying(&env, "red", "cargo"), lying(&env, "blue", "cargo")];
    env.mkdir("evil");
    let init = env.relay("sync").args(["-N", "hub", "--init", "evil"]);
    init.ok().quiet();
    for cca in lying(&env, "evil", "cca") {
        fs::remove_file(env.path(&cca)).unwrap();
    }
    hint(&env, "evil", [&name], "2026-03-01T11:00:00Z\n");
    // A forged hint removes no other cargo, and its author is given none.
    for quota in ["1G", "0"] {
        for store in ["red", "blue"] {
            let ran = carry(&env, "evil", store).args(["--quota", quota]).run();
            assert!(!ran.stderr.contains("freed"), "{}", ran.stderr);
            carry(&env, store, "evil").args(["--quota", quota]).run();
        }
    }
    assert_eq!(
        before,
        [lying(&env, "red", "cargo"), lying(&env, "blue", "cargo")]
    );
    assert_eq!(counts(&env, "evil").0, 0);
    assert_eq!(
        (hints(&env, "red").len(), hints(&env, "blue").len()),
        (0, 0)
    );
    // Where it lies it frees, and that is an event.
    hint(&env, "red", [&name], "2026-03-01T11:00:00Z\n");
    let ran = carry(&env, "red", "blue").arg("-v").ok();
    assert_eq!(
        ran.stderr.matches("event=freed").count(),
        1,
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains(&name), "{}", ran.stderr);
    assert_eq!((counts(&env, "red").0, counts(&env, "blue").0), (0, 1));
}

#[test]
fn a_store_without_room_loses_copies_of_what_has_arrived_but_no_last_one() {
    let arrived = "2026-03-01T11:00:00Z\n";
    for holds_it in [true, false] {
        let env = laden();
        let name = digest(&env);
        carry(&env, "red", "blue").ok().quiet();
        let used: usize = ["cargo", "cca"]
            .map(|kind| env.read(&lying(&env, "blue", kind)[0]).len())
            .iter()
            .sum();
        // Another message on red, which fits only in the place of the cargo.
        let parcel = env.parcel_with("bob", "alice", b"more", &["--id", "m2"]);
        let put = env.relay("put").args(["-N", "mallory"]);
        put.stdin(parcel).ok().quiet();
        env.relay("route").args(["-N", "mallory"]).ok().quiet();
        let sync = env.relay("sync").args(["-N", "mallory", "red"]);
        sync.at("2026-03-01T13:00:00Z").ok().quiet();
        assert_eq!(counts(&env, "red").0, 2);
        hint(&env, "red", [&name], arrived);
        if !holds_it {
            let cargo = lying(&env, "red", "cargo");
            let file = cargo.iter().find(|path| path.contains(&name)).unwrap();
            fs::remove_file(env.path(file)).unwrap();
        }
        let quota = (used + 100).to_string();
        let ran = carry(&env, "red", "blue").args(["-v", "--quota", &quota]);
        let ran = ran.at("2026-03-01T13:00:00Z").ok();
        let there = lying(&env, "blue", "cargo").concat();
        assert_eq!(there.contains(&name), !holds_it, "{}", ran.stderr);
        assert_eq!(counts(&env, "blue").0, 1, "{}", ran.stderr);
        // What made room there stays here for this run.
        let here = lying(&env, "red", "cargo").concat();
        assert_eq!(here.contains(&name), holds_it, "{}", ran.stderr);
        let freed = ran.stderr.matches("event=freed").count();
        assert_eq!(freed, usize::from(holds_it), "{}", ran.stderr);
    }
}

#[test]
fn a_hint_from_the_future_frees_nothing() {
    let env = laden();
    let name = digest(&env);
    hint(&env, "red", [&name], "2026-03-05T11:00:00Z\n");
    carry(&env, "red", "blue").ok().quiet();
    assert_eq!(
        (counts(&env, "red"), counts(&env, "blue")),
        ((1, 1), (1, 1))
    );
    carry(&env, "red", "blue").at("2026-03-05T11:00:00Z").ok();
    assert_eq!((counts(&env, "red").0, counts(&env, "blue").0), (0, 1));
    assert_eq!(
        (hints(&env, "red"), hints(&env, "blue")),
        (vec![name], Vec::new())
    );
}

/// Writes cargo of the hub for a gateway onto red; returns its length.
fn load(env: &Env, to: &str, content: &[u8]) -> usize {
    let parcel = env.parcel_with("bob", "alice", content, &[]);
    env.write("cca", env.cca(to, "hub"));
    let pack = env.relay("pack-cargo").args(["-N", "hub", "--cca", "cca"]);
    let cargo = pack.stdin(parcel).ok().stdout;
    let dir = format!("red/relaynet/cargo/{}", id(to));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let name = format!("{}.{}.cargo", id("hub"), sha256(&cargo));
    env.write(format!("{dir}/{name}"), &cargo);
    cargo.len()
}

/// How many cargoes for a gateway are on blue.
fn carried(env: &Env, to: &str) -> usize {
    let dir = format!("blue/relaynet/cargo/{}", id(to));
    if env.path(&dir).exists() {
        env.names(&dir).len()
    } else {
        0
    }
}

#[test]
fn what_nobody_here_asked_for_gets_half_of_the_room_and_is_counted() {
    let env = Env::with_gateways();
    for medium in ["red", "blue"] {
        env.mkdir(medium);
        let init = env.relay("sync").args(["-N", "hub", "--init", medium]);
        init.ok().quiet();
    }
    let len = (0..4)
        .map(|nth| load(&env, "gateway", &[nth; 4000]))
        .max()
        .unwrap();
    for nth in 4..6 {
        load(&env, "mallory", &[nth; 4000]);
    }
    // Half of the room is for two; more runs do not give them more.
    let quota = (4 * len + len / 2).to_string();
    for left in [4, 4] {
        let ran = carry(&env, "red", "blue").args(["--quota", &quota]).ok();
        let said = format!(
            "for 2 gateways that no request, hint or --for names: authorized: not shown for 0, {left} not"
        );
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
        // One for each, not two for the one that has more.
        assert_eq!((carried(&env, "gateway"), carried(&env, "mallory")), (1, 1));
    }
    // The one that is named comes first, and is not among the others.
    let named = id("mallory");
    let args = ["--quota", &quota, "--for", &named];
    let ran = carry(&env, "red", "blue").args(args).ok();
    assert_eq!((carried(&env, "gateway"), carried(&env, "mallory")), (1, 2));
    assert!(ran.stderr.contains("for 1 gateway that"), "{}", ran.stderr);
    // So is one that asks, by what it signed: a name is only a claim.
    let dir = format!("red/relaynet/cca/{}", id("hub"));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let cca = env.cca("gateway", "hub");
    let path = |octets: &[u8]| format!("{dir}/{}.{}.cca", id("gateway"), sha256(octets));
    env.write(path(b"junk"), "junk");
    let ran = carry(&env, "red", "blue").args(args).run();
    assert!(ran.stderr.contains("for 1 gateway that"), "{}", ran.stderr);
    fs::remove_file(env.path(path(b"junk"))).unwrap();
    env.write(path(&cca), &cca);
    let ran = carry(&env, "red", "blue").args(["--for", &named]).ok();
    ran.quiet();
    assert_eq!((carried(&env, "gateway"), carried(&env, "mallory")), (4, 2));
}

#[test]
fn what_shows_no_authorization_is_counted_and_carried() {
    let env = laden();
    for cca in lying(&env, "red", "cca") {
        fs::remove_file(env.path(cca)).unwrap();
    }
    carry(&env, "red", "blue").ok().says(&[
        "1 message for 1 gateway that no request, hint or --for names: authorized: not shown for 1, \
         0 not carried (they get at most half of the room)",
    ]);
    assert_eq!(counts(&env, "blue"), (1, 0));
}
