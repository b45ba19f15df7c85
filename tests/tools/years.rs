//! Years of trust: four nodes write, and their mail is lost, doubled, late or out of order, while keys, certificates and
//! authorizations are renewed, purged, withdrawn and restored, programs are killed, and clocks are wrong for a moment.
//! Two of them hand files to the third, which writes to the fourth through two gateways ([`road`]).
//!
//! What arrives in time and was authorized opens exactly once; nothing else ever does; superseded keys are gone at the end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::testenv::{Call, Env, copy_tree, id};

mod deleted_key;
mod road;

/// The directories of the nodes. The first is a local endpoint of a private gateway, and writes to and hears from all
/// others; the last, one of the Internet gateway of that.
const NODES: [&str; 4] = [
    "gateway/endpoints/anna",
    "bob",
    "carol",
    "hub/endpoints/dora",
];

/// Who writes to whom: in files, but for the last two, who do so through the gateways.
const PAIRS: [(usize, usize); 6] = [(0, 1), (1, 0), (0, 2), (2, 0), (0, 3), (3, 0)];

/// How many of those write in files.
const DIRECT: usize = 4;

/// When the years begin: a day after the nodes were made.
const START: &str = "2026-03-02T12:00:00Z";

/// A message that is no older is opened, unless a node was restored.
const IN_TIME: SignedDuration = SignedDuration::from_hours(29 * 24);

/// How far the clocks of nodes may differ.
const DRIFT: SignedDuration = SignedDuration::from_hours(2);

#[derive(Debug, Clone)]
enum Step {
    Seal(usize),
    /// Something that is under way arrives: counted from the newest, and whether a copy of it stays under way.
    Arrive(usize, bool),
    /// Both of a pair write and answer at once, twice, so that keys are superseded.
    Talk(usize),
    Lose(usize),
    /// A message of a pair goes into the spool of a gateway.
    Put(usize),
    /// A stick comes to a gateway.
    Visit(usize, usize),
    /// A stick goes to the Internet gateway and back.
    Trip(usize),
    /// A stick is empty, or like the other one.
    Refill(usize, bool),
    Rotate(usize),
    Purge(usize),
    /// The step is killed before this change of the file system, and then done again.
    Killed(Box<Step>, u8),
    /// So many hours pass.
    Wait(u16),
    /// One run of a program under a clock that is wrong by so many days.
    Wrong(usize, i32),
    Backup(usize),
    Restore(usize),
    /// The recipient of a pair withdraws what it gave.
    Revoke(usize),
}

fn simple() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..DIRECT).prop_map(Step::Seal),
        4 => (DIRECT..PAIRS.len()).prop_map(Step::Put),
        3 => (0_usize..2, 0_usize..2).prop_map(|(gateway, stick)| Step::Visit(gateway, stick)),
        12 => (0_usize..64, any::<bool>()).prop_map(|(nth, copy)| Step::Arrive(nth, copy)),
        3 => (0..NODES.len()).prop_map(Step::Rotate),
        3 => (0..NODES.len()).prop_map(Step::Purge),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => simple(),
        4 => (simple(), 1_u8..30).prop_map(|(step, at)| Step::Killed(Box::new(step), at)),
        6 => (0..DIRECT).prop_map(Step::Talk),
        3 => (0_usize..2).prop_map(Step::Trip),
        1 => (0_usize..2, any::<bool>()).prop_map(|(stick, copy)| Step::Refill(stick, copy)),
        2 => (0_usize..64).prop_map(Step::Lose),
        10 => (1_u16..12 * 24).prop_map(Step::Wait),
        1 => (20_u16 * 24..60 * 24).prop_map(Step::Wait),
        2 => (0..NODES.len(), prop::sample::select(vec![-20_000, -400, -31, 31, 400, 20_000]))
            .prop_map(|(node, days)| Step::Wrong(node, days)),
        1 => (0..NODES.len()).prop_map(Step::Backup),
        1 => (0..NODES.len()).prop_map(Step::Restore),
        1 => (0..PAIRS.len()).prop_map(Step::Revoke),
    ]
}

/// What is under way.
#[derive(Debug, Clone)]
struct UnderWay {
    pair: (usize, usize),
    octets: Vec<u8>,
    /// The number of the message; `None` for a renewed authorization.
    number: Option<usize>,
    sealed: Timestamp,
    expiry: Timestamp,
}

/// A message, and how often it was handed out.
#[derive(Debug, Clone, Default)]
struct Sent {
    times: usize,
    /// Whether it may be refused, or its key be gone, for what became of a node.
    is_doubtful: bool,
}

struct World {
    env: Env,
    now: Timestamp,
    under_way: Vec<UnderWay>,
    sent: Vec<Sent>,
    letters: Vec<road::Letter>,
    /// Nodes that were restored, and pairs whose recipient withdrew what it had given.
    restored: BTreeSet<usize>,
    revoked: BTreeSet<(usize, usize)>,
}

fn made() -> &'static Env {
    static MADE: OnceLock<Env> = OnceLock::new();
    MADE.get_or_init(|| {
        let env = Env::new();
        let hub = ["--type", "gateway", "--address", "hub.example.org"];
        env.make_node("hub", &hub);
        env.make_node("gateway", &["--type", "gateway"]);
        env.register("hub", "gateway", &[]);
        for node in ["bob", "carol"] {
            env.make_node(node, &[]);
        }
        for (gateway, endpoint) in [("gateway", "anna"), ("hub", "dora")] {
            let args = ["-N", gateway, "--endpoint", endpoint];
            let keygen = env.relay("keygen").args(args);
            keygen.args(["--set", "clock=test"]).ok();
        }
        for (from, to) in PAIRS {
            let [from_dir, to_dir] = [NODES[from], NODES[to]];
            let key = env.relay("export").args(["-N", from_dir]).ok().stdout;
            let authorize = ["-q", "-N", to_dir, "--name", World::name(from)];
            let conn = env
                .relay("authorize")
                .args(authorize)
                .stdin(key)
                .ok()
                .stdout;
            let import = ["-q", "-N", from_dir, "--name", World::name(to)];
            env.relay("import").args(import).stdin(conn).ok();
        }
        for dir in ["opened", "inbox"] {
            env.mkdir(dir);
        }
        road::acquaint(&env);
        env
    })
}

impl World {
    fn new() -> Self {
        let env = Env::new();
        copy_tree(made().root(), env.root());
        let world = Self {
            env,
            now: START.parse().unwrap(),
            under_way: Vec::new(),
            sent: Vec::new(),
            letters: Vec::new(),
            restored: BTreeSet::new(),
            revoked: BTreeSet::new(),
        };
        (0..NODES.len()).for_each(|node| world.back_up(node));
        world
    }

    fn call(&self, program: &str, args: &[&str], now: Timestamp) -> Call<'_> {
        let call = self.env.relay(program).args(args).arg("-q");
        call.at(&now.to_string())
    }

    /// The names that nodes have for each other.
    fn name(node: usize) -> &'static str {
        match node {
            0 => "anna",
            1 => "bob",
            2 => "carol",
            _ => "dora",
        }
    }

    /// The node directory that is purged, rotated, copied and restored: of an endpoint, with its gateway.
    fn whole(node: usize) -> &'static str {
        match node {
            0 => "gateway",
            3 => "hub",
            node => NODES[node],
        }
    }

    /// Runs a call; if it is killed before this change of the file system, once more.
    fn run<'a>(kill: Option<u8>, call: impl Fn() -> Call<'a>) -> (i32, String, Vec<u8>) {
        let killed = kill.map(|at| call().var("RELAY_FAULT", format!("kill:{at}")).output());
        let whole = killed.filter(|output| output.status.signal().is_none());
        let output = whole.unwrap_or_else(|| call().output());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let status = output.status.code().unwrap();
        assert_ne!(status, 70, "{told}");
        (status, told, output.stdout)
    }

    fn act(&mut self, step: &Step, kill: Option<u8>) {
        match step {
            Step::Seal(pair) => {
                if let Some((octets, number)) = self.seal(PAIRS[*pair], kill) {
                    self.add(octets, Some(number));
                }
            }
            Step::Put(pair) => self.put(PAIRS[*pair], kill),
            Step::Visit(gateway, stick) => self.visit(*gateway, *stick, kill),
            Step::Arrive(nth, is_copied) => {
                let Some(at) = self.place(*nth) else {
                    return;
                };
                let message = self.under_way[at].clone();
                let args = ["-N", NODES[message.pair.1], "-d", "opened"];
                let open = || {
                    self.call("open", &args, self.now)
                        .stdin(message.octets.clone())
                };
                let (status, told, _) = Self::run(kill, open);
                self.judge(&message, (status, kill.is_some()), &told);
                if !is_copied {
                    self.under_way.remove(at);
                }
            }
            Step::Rotate(node) => {
                let args = ["-N", Self::whole(*node)];
                let (status, told, _) = Self::run(kill, || self.call("rotate", &args, self.now));
                assert!(matches!(status, 0 | 75), "{step:?}: {status} {told}");
                self.collect(*node);
            }
            Step::Purge(node) => {
                let args = ["-N", Self::whole(*node)];
                let (status, told, _) = Self::run(kill, || self.call("purge", &args, self.now));
                assert!(matches!(status, 0 | 75), "{step:?}: {status} {told}");
            }
            _ => unreachable!("{step:?} is not killed"),
        }
    }

    /// Writes a message; `None` if the way is closed.
    fn seal(&mut self, (from, to): (usize, usize), kill: Option<u8>) -> Option<(Vec<u8>, usize)> {
        let number = self.sent.len();
        let content = format!("message {number}\n");
        let args = ["-N", NODES[from], "-t", Self::name(to), "--ttl", "150d"];
        let seal = || self.call("seal", &args, self.now).stdin(&*content);
        let (status, told, octets) = Self::run(kill, seal);
        // The authorization or the session key of the other side has ended.
        let is_closed = matches!(status, 67 | 77 | 80);
        assert!(status == 0 || is_closed, "{args:?}: {status} {told}");
        if is_closed {
            return None;
        }
        let is_doubtful = self.restored.contains(&from) || self.restored.contains(&to);
        self.sent.push(Sent::new(is_doubtful));
        Some((octets, number))
    }

    /// What a message says of itself.
    fn inspect(&self, octets: &[u8]) -> serde_json::Value {
        let inspect = self.env.relay("inspect").arg("--json");
        inspect.stdin(octets).ok().json().remove(0)
    }

    /// Notes that a message is under way.
    fn add(&mut self, octets: Vec<u8>, number: Option<usize>) {
        let facts = self.inspect(&octets);
        let place = |node: &str| (0..NODES.len()).find(|at| self.id(*at) == node).unwrap();
        let text = |key: &str| facts[key].as_str().unwrap().to_owned();
        let pair = (place(&text("sender")), place(&text("recipient")));
        self.under_way.push(UnderWay {
            pair,
            octets,
            number,
            sealed: self.now,
            expiry: text("expiry").parse().unwrap(),
        });
    }

    fn id(&self, node: usize) -> String {
        static LOCAL: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
        let local = match node {
            0 => &LOCAL[0],
            3 => &LOCAL[1],
            node => return id(NODES[node]),
        };
        let key = format!("{}/identity.pub", NODES[node]);
        let show = || self.env.relay("inspect").args(["--id", &key]).ok();
        let id = local.get_or_init(|| show().text().trim().to_owned());
        id.clone()
    }

    /// What a rotation left to be sent: renewed authorizations are under way from now on.
    fn collect(&mut self, node: usize) {
        let dir = format!("{}/spool/in", Self::whole(node));
        if !self.env.path(&dir).exists() {
            return;
        }
        // Those that go in files; the gateways have no way for others' PDDs, and nobody here asks them.
        let ids = [1, 2].map(|node| self.id(node));
        let is_direct = |name: &String| {
            let is_parcel = Path::new(name).extension() == Some("parcel".as_ref());
            is_parcel && ids.iter().any(|id| name.contains(id))
        };
        for name in self.env.names(&dir).into_iter().filter(is_direct) {
            let path = format!("{dir}/{name}");
            self.add(self.env.read(&path), None);
            fs::remove_file(self.env.path(path)).unwrap();
        }
    }

    /// Checks that a message was opened, or refused, as it had to be.
    fn judge(&mut self, message: &UnderWay, (status, is_repeated): (i32, bool), told: &str) {
        let (from, to) = message.pair;
        let what = format!(
            "{:?} {:?} at {}: {status} {told}",
            message.number, message.pair, self.now
        );
        let was_handed_out = self.take_out(message.number);
        let Some(number) = message.number else {
            assert!(!was_handed_out, "{what}");
            return;
        };
        // A run that is killed when all is done leaves nothing for the next one.
        let is_known = is_repeated && was_handed_out && status == 82;
        assert!(is_known || was_handed_out == (status == 0), "{what}");
        let sent = &mut self.sent[number];
        sent.times += usize::from(was_handed_out);
        assert!(sent.times <= 1, "handed out twice: {what}");
        let is_late = self.now > message.expiry + DRIFT;
        let is_revoked = self.revoked.contains(&message.pair);
        assert!(
            !was_handed_out || !is_late && !is_revoked,
            "not in time, or withdrawn: {what}"
        );
        let is_doubtful =
            sent.is_doubtful || [from, to].iter().any(|node| self.restored.contains(node));
        let is_in_time =
            self.now.duration_since(message.sealed) <= IN_TIME && self.now < message.expiry;
        if is_in_time && !is_doubtful && !is_revoked {
            let expected = if was_handed_out && !is_known { 0 } else { 82 };
            assert_eq!(status, expected, "{what}");
            assert_eq!(sent.times, 1, "not opened: {what}");
        }
    }

    /// Whether a message was handed out, which is the only one that may be.
    fn take_out(&self, number: Option<usize>) -> bool {
        let names = self.env.names("opened");
        for name in &names {
            let path = format!("opened/{name}");
            let content = number.map(|number| format!("message {number}\n"));
            assert_eq!(Some(self.env.text(&path)), content, "{name}");
            fs::remove_file(self.env.path(path)).unwrap();
        }
        assert!(names.len() <= 1, "{names:?}");
        !names.is_empty()
    }

    /// The place of something that is under way.
    fn place(&self, nth: usize) -> Option<usize> {
        let len = self.under_way.len();
        (len > 0).then(|| len - 1 - nth % len)
    }

    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|path| self.env.path(path));
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        copy_tree(&from, &to);
    }

    fn back_up(&self, node: usize) {
        self.copy(Self::whole(node), &format!("backup-{node}"));
    }

    fn take(&mut self, step: &Step) {
        self.now += SignedDuration::from_mins(1);
        match step {
            Step::Killed(step, at) => self.act(step, Some(*at)),
            Step::Wait(hours) => self.now += SignedDuration::from_hours((*hours).into()),
            Step::Lose(nth) => {
                if let Some(at) = self.place(*nth) {
                    self.under_way.remove(at);
                }
            }
            Step::Talk(pair) => {
                let (from, to) = PAIRS[*pair];
                let back = PAIRS.iter().position(|pair| *pair == (to, from)).unwrap();
                for pair in [*pair, back, *pair, back] {
                    let before = self.under_way.len();
                    self.take(&Step::Seal(pair));
                    if self.under_way.len() > before {
                        self.take(&Step::Arrive(0, false));
                    }
                }
            }
            Step::Wrong(node, days) => {
                let wrong = self.now + SignedDuration::from_hours(24 * i64::from(*days));
                for program in ["purge", "rotate"] {
                    let args = ["-N", Self::whole(*node)];
                    let output = self.call(program, &args, wrong).output();
                    let told = String::from_utf8_lossy(&output.stderr);
                    assert_ne!(output.status.code(), Some(70), "{step:?}: {told}");
                }
                self.collect(*node);
                // One that is behind by less than what was written since the last purge is believed, and sets aside what it
                // takes for early, until relay-route --retry.
                if *days != -31 {
                    self.visit_by(wrong, *node);
                }
            }
            Step::Trip(stick) => self.trip(*stick),
            Step::Refill(stick, is_copied) => self.refill(*stick, *is_copied),
            Step::Backup(node) => self.back_up(*node),
            Step::Restore(node) => {
                self.copy(&format!("backup-{node}"), Self::whole(*node));
                let args = ["-N", Self::whole(*node), "--restored"];
                let output = self.call("check", &args, self.now).output();
                let told = String::from_utf8_lossy(&output.stderr);
                assert!(
                    matches!(output.status.code(), Some(0 | 1)),
                    "{step:?}: {told}"
                );
                self.restored.insert(*node);
                self.revoked.retain(|(_, to)| to != node);
            }
            Step::Revoke(pair) => {
                let (from, to) = PAIRS[*pair];
                let args = ["-N", NODES[to], Self::name(from)];
                let output = self.call("revoke", &args, self.now).output();
                let told = String::from_utf8_lossy(&output.stderr);
                // 67: all that was given has ended, or was withdrawn before.
                assert!(
                    matches!(output.status.code(), Some(0 | 67)),
                    "{step:?}: {told}"
                );
                if output.status.success() {
                    self.revoked.insert((from, to));
                }
            }
            step => self.act(step, None),
        }
    }

    /// All write to each other for two months, and nothing is lost; then of each pair a key or two is left. Returns in how
    /// many directions messages come through the gateways.
    fn settle(&mut self) -> usize {
        let all = |step: fn(usize) -> Step, count: usize| (0..count).map(step);
        for round in 0..8 {
            for step in all(Step::Seal, DIRECT).chain(all(Step::Purge, NODES.len())) {
                self.take(&step);
            }
            // At the end nothing new, so that all has come that will.
            if round < 3 {
                (DIRECT..PAIRS.len()).for_each(|pair| self.take(&Step::Put(pair)));
            }
            if round < 5 {
                self.take(&Step::Trip(0));
            }
            while !self.under_way.is_empty() {
                self.take(&Step::Arrive(0, false));
            }
            self.take(&Step::Wait(9 * 24));
        }
        (0..NODES.len()).for_each(|node| self.take(&Step::Purge(node)));
        for (from, to) in PAIRS {
            let is_open = |pair: &(usize, usize)| !self.revoked.contains(pair);
            if is_open(&(from, to)) && is_open(&(to, from)) && self.restored.is_empty() {
                self.check_keys(NODES[from], &self.id(to), "First-Carried");
            }
        }
        self.check_road()
    }

    /// Checks that of the keys with this header that a node had for a peer few are left, besides the first one.
    fn check_keys(&self, node: &str, peer: &str, header: &str) {
        let folder = format!("{node}/sessions/{peer}");
        let keys = self.env.names(&folder);
        let is_later = |name: &&String| {
            let text = self.env.text(format!("{folder}/{name}"));
            let first = text
                .lines()
                .find_map(|line| line.strip_prefix("First-Carried: "));
            let first: Timestamp = first.unwrap().parse().unwrap();
            // What a clock far ahead sent may be opened when that time has come.
            !text.contains("Kept-Until") && text.contains(header) && first <= self.now
        };
        let later = keys.iter().filter(is_later);
        assert!(later.count() <= 6, "{folder}: {keys:?}");
    }
}

/// How many messages were handed out in all cases together: else the model would prove nothing.
static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);

/// In how many directions messages came through the gateways at the end: two for each case at most.
static OPEN_ROADS: AtomicUsize = AtomicUsize::new(0);

/// `CI_FULL=1` or `PROPTEST_CASES` has it play more of them.
#[test]
fn what_is_in_time_opens_once_and_nothing_else_does() {
    let cases = match std::env::var("PROPTEST_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) if std::env::var_os("CI_FULL").is_some() => 200,
        Err(_) => 8,
    };
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 8,
        ..ProptestConfig::default()
    };
    // The same cases each time by default; the sweep plays new ones.
    let is_sweep = cases != 8;
    let mut runner = if is_sweep {
        TestRunner::new(config)
    } else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng)
    };
    let strategy = prop::collection::vec(step(), 20..60);
    let played = runner.run(&strategy, |steps| {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        let open = world.settle();
        OPEN_ROADS.fetch_add(open, Ordering::Relaxed);
        let times = world.sent.iter().map(|sent| sent.times).sum();
        HANDED_OUT.fetch_add(times, Ordering::Relaxed);
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    let handed_out = HANDED_OUT.load(Ordering::Relaxed);
    let open = OPEN_ROADS.load(Ordering::Relaxed);
    println!("{cases} cases, {handed_out} messages handed out, {open} open roads");
    assert!(handed_out >= 8 * cases as usize && open >= cases as usize);
}
