//! Each program by clocks that are wrong by hours to millennia, then by the right one again: nothing is lost or ends
//! that a right clock would have kept, and what needs no certificate goes on meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use relaynet::message::Item;
use relaynet::spool::Name;

use crate::control::pca;
use crate::testenv::{Content, Env, NOW, Ran, Tree, copy_tree, forged, id, readable, self_issued};

const LOCAL: &str = "gateway/endpoints/local";

/// The day on which the clock goes wrong: nodes have exchanged messages before, and purged.
const DAY: i64 = 10;

/// So many hours later than when it goes wrong.
fn at(hours: i64) -> String {
    let begin: Timestamp = NOW.parse().unwrap();
    (begin + SignedDuration::from_hours(24 * DAY + hours)).to_string()
}

/// A call of a program: its name, node, and arguments.
type Step = (&'static str, &'static str, &'static [&'static str]);

fn run(env: &Env, (program, node, args): Step, now: &str) -> Ran {
    let node = if node.is_empty() {
        vec![]
    } else {
        vec!["-N", node]
    };
    let ran = env.relay(program).args(node).args(args).at(now).run();
    assert_ne!(ran.status, 70, "{program} at {now}: {}", ran.stderr);
    ran
}

/// What a day brings with a right clock.
const DAILY: [Step; 12] = [
    ("purge", "gateway", &["-q"]),
    ("purge", "hub", &["-q"]),
    ("route", "gateway", &["-q"]),
    ("sync", "gateway", &["-q", "stick"]),
    ("sync", "hub", &["-q", "stick"]),
    ("route", "hub", &["-q"]),
    ("sync", "hub", &["-q", "stick"]),
    ("sync", "gateway", &["-q", "stick"]),
    ("route", "gateway", &["-q"]),
    ("deliver", LOCAL, &["-q", "--dir", "inbox"]),
    ("sync", "gateway", &["-q", "stick"]),
    ("carry", "", &["-q", "stick", "stick2"]),
];

fn daily(env: &Env, now: &str) -> Vec<(Step, Ran)> {
    DAILY
        .into_iter()
        .map(|step| (step, run(env, step, now)))
        .collect()
}

/// A parcel with this id and content, sealed at this time.
fn parcel(env: &Env, from: &str, to: &str, id: &str, ttl: &str, now: &str) -> Vec<u8> {
    let seal = env
        .relay("seal")
        .args(["-N", from, "-t", to, "--id", id, "--ttl", ttl]);
    seal.at(now).stdin(format!("<{id}>")).ok().stdout
}

fn put(env: &Env, node: &str, parcel: &[u8], now: &str) {
    env.relay("put")
        .args(["-q", "-N", node])
        .at(now)
        .stdin(parcel)
        .ok();
}

/// Two gateways, an endpoint of one, a peer of that endpoint, and two sticks, with messages in each place.
fn made() -> &'static Env {
    static MADE: OnceLock<Env> = OnceLock::new();
    MADE.get_or_init(|| {
        let env = Env::with_gateways();
        let local = [
            "-N",
            "gateway",
            "--endpoint",
            "local",
            "--set",
            "clock=test",
        ];
        env.relay("keygen").args(local).ok();
        let key = env.relay("export").args(["-N", "bob"]).ok().stdout;
        let authorize = env
            .relay("authorize")
            .args(["-q", "-N", LOCAL, "--name", "bob"]);
        let conn = authorize.stdin(key).ok().stdout;
        let import = env
            .relay("import")
            .args(["-q", "-N", "bob", "--name", "local"]);
        import.stdin(conn).ok();
        for stick in ["stick", "stick2"] {
            fs::create_dir_all(env.path(stick)).unwrap();
            env.relay("sync")
                .args(["-N", "gateway", "--init", stick])
                .ok();
        }
        for dir in ["inbox", "bobs", "out"] {
            env.mkdir(dir);
        }
        // The routes of the hub have the whole path of `bobs`: `world`.
        env.write("hub/routes", "");
        env.chmod("hub/routes", 0o600);
        traffic(&env);
        lay(&env);
        env
    })
}

/// Some days of ordinary traffic, which supersedes keys.
fn traffic(env: &Env) {
    for day in [0, 4, 8] {
        let now = at(24 * (day - DAY));
        let id = format!("old-{day}");
        put(
            env,
            "hub",
            &parcel(env, "bob", "local", &id, "60d", &now),
            &now,
        );
        for hours in [0, 1] {
            for (_, ran) in daily(env, &at(24 * (day - DAY) + hours)) {
                assert_eq!(ran.status, 0, "{}", ran.stderr);
            }
        }
    }
}

/// A message in each place, when the clock is about to go wrong.
fn lay(env: &Env) {
    let now = at(0);
    let one = |from: &str, to: &str, id: &str, ttl: &str| parcel(env, from, to, id, ttl, &now);
    // At home, on its way out, and set aside.
    for (id, ttl) in [("home-long", "150d"), ("home-short", "3d")] {
        put(env, "gateway", &one("bob", "local", id, ttl), &now);
    }
    for (id, ttl) in [("out-long", "150d"), ("out-short", "3d"), ("acked", "150d")] {
        put(env, "gateway", &one("alice", "bob", id, ttl), &now);
    }
    let stranger = forged(&one("bob", "local", "aside", "150d"), "mallory", |it| {
        it.certificates = vec![self_issued("mallory")];
    });
    let name = Name::of(
        &Item::parse(stranger.clone()).unwrap(),
        now.parse().unwrap(),
    );
    env.write(format!("gateway/spool/in/{name}"), stranger);
    for step in [
        ("purge", "gateway", &[][..]),
        ("purge", "hub", &[]),
        ("route", "gateway", &["-q"]),
    ] {
        assert_eq!(run(env, step, &now).status, 0);
    }
    assert_eq!(env.names("gateway/spool/failed").len(), 2);
    // On the stick, from the hub.
    for (id, ttl) in [("stick-long", "150d"), ("stick-short", "3d")] {
        put(env, "hub", &one("bob", "local", id, ttl), &now);
    }
    for step in [("route", "hub", &[][..]), ("sync", "hub", &["stick"])] {
        assert_eq!(run(env, step, &now).status, 0);
    }
    // In `in`, and an acknowledgement that was not applied yet.
    for (id, ttl) in [("in-long", "150d"), ("in-short", "3d")] {
        put(env, "gateway", &one("bob", "local", id, ttl), &now);
    }
    put(
        env,
        "gateway",
        &one("alice", "bob", "inb-long", "150d"),
        &now,
    );
    let ack = pca("acked").to_octets();
    let name = Name::of(
        &Item::parse(ack.clone()).unwrap(),
        at(24 * 30).parse().unwrap(),
    );
    let control = format!("gateway/spool/control/{}", id("hub"));
    fs::create_dir_all(env.path(&control)).unwrap();
    env.write(format!("{control}/{name}"), ack);
    env.write("gateway/spool/tmp/.relay-0011223344556677.tmp", "half");
    for name in ["put", "open"] {
        let parcel = one("bob", "local", &format!("{name}-long"), "150d");
        env.write(format!("{name}.parcel"), parcel);
    }
}

/// What a gateway, its endpoint, a peer and a courier run by a wrong clock; and by the right one, the hub in between.
const PROGRAMS: [Step; 18] = [
    ("list", "gateway", &["--long"]),
    ("check", "gateway", &[]),
    ("peers", "gateway", &[]),
    ("verify", "", &["put.parcel"]),
    ("deliver", LOCAL, &["--dir", "inbox"]),
    ("route", "gateway", &[]),
    ("put", "gateway", &["put.parcel"]),
    ("open", LOCAL, &["-d", "out", "open.parcel"]),
    (
        "seal",
        "bob",
        &["-t", "local", "-o", "sealed.parcel", "put.parcel"],
    ),
    ("sync", "gateway", &["--take", "stick"]),
    ("route", "gateway", &[]),
    ("deliver", LOCAL, &["--dir", "inbox"]),
    ("sync", "gateway", &["stick"]),
    ("sync", "hub", &["stick"]),
    ("carry", "", &["stick", "stick2"]),
    ("carry", "", &["stick2", "stick"]),
    (
        "request-cargo",
        "gateway",
        &["-t", "hub", "-o", "request.cca"],
    ),
    ("purge", "gateway", &[]),
];

/// What a clock tells: so many hours off, or another time altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Off(i64),
    At(&'static str),
}

/// By how much relay-purge believes a clock that goes ahead.
const BELIEVED: i64 = 30 * 24;

const CLOCKS: [Clock; 10] = [
    Clock::Off(-2),
    Clock::Off(2),
    Clock::Off(-29 * 24),
    Clock::Off(29 * 24),
    Clock::Off(-31 * 24),
    Clock::Off(31 * 24),
    Clock::At("1970-01-02T00:00:00Z"),
    Clock::At("2000-01-01T00:00:00Z"),
    Clock::At("2069-12-31T12:00:00Z"),
    // A clock beyond counts as one of that year.
    Clock::At("8999-12-29T12:00:00Z"),
];

impl Clock {
    fn tells(self) -> String {
        match self {
            Self::Off(hours) => at(hours),
            Self::At(time) => time.to_owned(),
        }
    }

    fn is_believed(self) -> bool {
        matches!(self, Self::Off(-2..=BELIEVED))
    }

    fn is_ahead(self) -> bool {
        self.tells() > at(2)
    }
}

fn world() -> Env {
    let env = Env::new();
    copy_tree(made().root(), env.root());
    let route = format!("{} dir:{}\n", id("bob"), env.path("bobs").display());
    env.write("hub/routes", route);
    env
}

/// Some days by the right clock; gives what the last one brought.
fn settle(env: &Env) -> Vec<(Step, Ran)> {
    for hours in [3, 27] {
        for step in [
            ("open", LOCAL, &["-d", "out", "open.parcel"][..]),
            ("put", "gateway", &["put.parcel"]),
        ] {
            run(env, step, &at(hours));
        }
        for _ in 0..2 {
            daily(env, &at(hours));
        }
    }
    daily(env, &at(53))
}

/// The contents of the files in a directory, together.
fn contents(tree: &Tree, dir: &str) -> String {
    let files = tree.iter().filter(|(path, _)| path.starts_with(dir));
    let texts = files.filter_map(|(_, (_, content))| match content {
        Content::File(octets) => Some(String::from_utf8_lossy(octets)),
        _ => None,
    });
    texts.collect()
}

fn names(tree: &Tree, dir: &str) -> BTreeSet<String> {
    let inside = tree.keys().filter(|path| path.starts_with(dir));
    inside.cloned().collect()
}

/// Whether what has this name, of which a part is the day on which it ends, ends before this time.
fn ends_before(path: &str, time: &str) -> bool {
    let day = time[..10].replace('-', "");
    let parts = path.rsplit('/').next().unwrap().split('.');
    let digits = parts.map(|part| part.replace('-', ""));
    let days = digits.filter_map(|part| part.get(..8).map(str::to_owned));
    let mut days = days.filter(|part| part.starts_with("20") && part.parse::<u32>().is_ok());
    days.next().is_some_and(|ends| ends < day)
}

/// What shows that a session key is kept for a shorter time; the rest are the times of its last uses.
fn life_of(key: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(key);
    let is_use = |line: &&str| line.starts_with("Last-") || line.starts_with("First-Used");
    text.lines()
        .filter(|line| !is_use(line))
        .map(str::to_owned)
        .collect()
}

/// The right clock alone, for comparison.
fn right() -> &'static Tree {
    static RIGHT: OnceLock<Tree> = OnceLock::new();
    RIGHT.get_or_init(|| {
        let env = world();
        for (step, ran) in settle(&env) {
            assert_eq!(ran.status, 0, "{step:?}: {}", ran.stderr);
        }
        env.tree()
    })
}

/// What goes on by a wrong clock, and what does not.
fn meanwhile(env: &Env, programs: &[Step], clock: Clock) {
    let aside = names(&made().tree(), "gateway/spool/failed/");
    for step in programs {
        let (program, node, _) = step;
        let time = if *node == "hub" { at(1) } else { clock.tells() };
        let ran = run(env, *step, &time);
        let tree = env.tree();
        let told = format!("{step:?} at {time}: {} {}", ran.status, ran.stderr);
        let is_doubted = !clock.is_believed();
        match *program {
            "purge" if is_doubted => {
                assert_eq!(ran.status, 75, "{told}");
                let changed = ran.changed();
                let is_clock = |path: &String| path == "*gateway/spool/clock";
                assert!(changed.iter().all(is_clock), "{told}: {changed:?}");
            }
            "purge" | "list" | "peers" => assert_eq!(ran.status, 0, "{told}"),
            "check" => assert!([0, 1].contains(&ran.status), "{told}"),
            "deliver" => {
                assert_eq!(ran.status, 0, "{told}");
                let inbox = contents(&tree, "inbox/");
                for id in ["<home-long>", "<home-short>"] {
                    assert!(inbox.contains(id), "{told}");
                }
            }
            "route" if *node == "gateway" => {
                assert!([0, 75].contains(&ran.status), "{told}");
                let left = names(&tree, "gateway/spool/control/");
                assert!(left.iter().all(|path| !path.contains(".pca")), "{told}");
            }
            "sync" => assert!([0, 75, 80, 81].contains(&ran.status), "{told}"),
            // What it was given, or what it sends by, is not valid by that clock.
            _ if is_doubted => assert!([0, 75, 80, 81].contains(&ran.status), "{told}"),
            _ => {}
        }
        if is_doubted {
            assert_eq!(names(&tree, "gateway/spool/failed/"), aside, "{told}");
        }
    }
}

/// After some days by the right clock nothing is missing that a right clock would have kept.
fn afterwards(env: &Env, clock: Clock) {
    let ends = clock.tells();
    // At 29 days ahead, what ends before then has gone.
    let has_ended = clock.is_believed() && clock.is_ahead();
    let mut last = settle(env);
    if clock.is_ahead() {
        // What was made by that clock counts no more after resend-after.
        last = daily(env, &at(9 * 24));
        last.extend(daily(env, &at(9 * 24 + 1)));
    }
    for (step, ran) in last {
        // Cargo of the future waits on its medium.
        let looks = ["sync", "carry"].contains(&step.0);
        let is_of_future = clock.is_ahead() && looks && [75, 81].contains(&ran.status);
        assert!(
            ran.status == 0 || is_of_future,
            "{clock:?}, {step:?}: {} {}",
            ran.status,
            ran.stderr
        );
    }
    let tree = env.tree();
    let arrived = contents(&tree, "inbox/") + &contents(&tree, "out/");
    for id in [
        "home-long",
        "stick-long",
        "in-long",
        "put-long",
        "open-long",
        "home-short",
        "stick-short",
        "in-short",
    ] {
        let times = arrived.matches(&format!("<{id}>")).count();
        let may_end = has_ended && id.ends_with("short");
        assert!(
            times == 1 || times == 0 && may_end,
            "{clock:?}: {id} arrived {times} times"
        );
    }
    // What is in a directory of the first tree and not of the second, but for what has ended.
    let more = |one: &Tree, other: &Tree, dir: &str| -> Vec<String> {
        let other = names(other, dir);
        let more = names(one, dir)
            .into_iter()
            .filter(|path| !other.contains(path));
        more.filter(|path| !has_ended || !ends_before(path, &ends))
            .collect()
    };
    assert_eq!(more(right(), &tree, "bobs/"), [""; 0], "{clock:?}");
    let aside = more(&tree, right(), "gateway/spool/failed/");
    assert_eq!(aside, [""; 0], "{clock:?}: set aside");
    for (path, (_, content)) in made().tree() {
        let Some((_, by_right)) = right().get(&path) else {
            continue;
        };
        let is_hint = path.contains("/got/");
        match (tree.get(&path), &content) {
            (None, _) => {
                let may_go = has_ended && (is_hint || ends_before(&path, &ends));
                // It is settled for longer than the other.
                let is_over = clock.is_ahead() && (is_hint || ends_before(&path, &at(9 * 24)));
                assert!(may_go || is_over, "{clock:?}: {} has gone", readable(&path));
            }
            (Some((_, Content::File(key))), Content::File(before))
                if path.contains("/sessions/") && by_right == &content =>
            {
                assert_eq!(life_of(key), life_of(before), "{clock:?}: {path}");
            }
            _ => {}
        }
    }
}

#[test]
fn one_boot_by_a_wrong_clock_ends_nothing() {
    for clock in CLOCKS {
        let env = world();
        meanwhile(&env, &PROGRAMS, clock);
        afterwards(&env, clock);
    }
}

/// `CI_FULL=1` has each program be the only one that runs by each clock.
#[test]
fn each_program_by_a_wrong_clock_ends_nothing() {
    let is_full = std::env::var_os("CI_FULL").is_some();
    for (number, step) in PROGRAMS.iter().enumerate() {
        for (at, clock) in CLOCKS.into_iter().enumerate() {
            // Each program with one of the clocks that are not believed.
            if is_full || at == 4 + number % 6 && number % 3 == 0 {
                let env = world();
                let alone = step.0 != "route" && step.0 != "deliver";
                if alone {
                    meanwhile(&env, std::slice::from_ref(step), clock);
                } else {
                    run(&env, *step, &clock.tells());
                }
                afterwards(&env, clock);
            }
        }
    }
}
