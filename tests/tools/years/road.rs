//! The road through the gateways: what anna and dora write to each other goes through the spools of their gateways, on two
//! sticks that are emptied, copied onto each other and carried in any order.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::{DIRECT, DRIFT, IN_TIME, NODES, PAIRS, START, Sent, Step, World};
use crate::testenv::{Env, copy_tree, id, sha256};

/// The gateways, each with its local endpoint.
const GATEWAYS: [(&str, &str); 2] = [("gateway", NODES[0]), ("hub", NODES[3])];

/// A message that was put into the spool of its sender's gateway.
pub(super) struct Letter {
    number: usize,
    pair: (usize, usize),
    /// That of its id, which names of files have.
    digest: String,
    sealed: Timestamp,
    expiry: Timestamp,
    /// Whether it came too late and was set aside.
    is_aside: bool,
}

/// Makes the sticks, and has anna and dora write to each other, so that they and their gateways have other session keys than
/// the first ones, which end in two months.
pub(super) fn acquaint(env: &Env) {
    for stick in ["stick-empty", "stick-0", "stick-1"] {
        env.mkdir(stick);
        env.relay("sync")
            .args(["-q", "-N", "hub", "--init", stick])
            .ok();
    }
    for (from, to) in &PAIRS[DIRECT..] {
        let seal = ["-N", NODES[*from], "-t", World::name(*to)];
        let parcel = env.relay("seal").args(seal).stdin("hello").at(START).ok();
        let put = ["-q", "-N", World::whole(*from)];
        env.relay("put")
            .args(put)
            .stdin(parcel.stdout)
            .at(START)
            .ok();
    }
    for gateway in [0, 1, 0, 1] {
        for args in runs(gateway, "stick-0") {
            let call = env.relay(args[0]).arg("-q").args(&args[1..]);
            call.at(START).ok();
        }
    }
    assert_eq!(drain(&env.path("inbox")), ["hello", "hello"]);
}

/// What the crontab of a site does.
fn runs(gateway: usize, stick: &str) -> [Vec<&str>; 4] {
    let (whole, endpoint) = GATEWAYS[gateway];
    [
        vec!["sync", "-N", whole, "--take", stick],
        vec!["route", "-N", whole],
        vec!["deliver", "-N", endpoint, "--dir", "inbox"],
        vec!["sync", "-N", whole, stick],
    ]
}

impl World {
    /// Writes a message and puts it into the spool.
    pub(super) fn put(&mut self, (from, to): (usize, usize), kill: Option<u8>) {
        let Some((octets, number)) = self.seal((from, to), kill) else {
            return;
        };
        let args = ["-N", Self::whole(from)];
        let put = || self.call("put", &args, self.now).stdin(octets.clone());
        let (status, told, _) = Self::run(kill, put);
        if status == 77 {
            // The recipient withdrew what it gave, maybe before it was restored.
            let is_withdrawn = self.revoked.contains(&(from, to)) || self.restored.contains(&to);
            assert!(is_withdrawn, "{told}");
            return;
        }
        assert_eq!(status, 0, "{told}");
        let facts = self.inspect(&octets);
        let text = |key: &str| facts[key].as_str().unwrap();
        self.letters.push(Letter {
            number,
            pair: (from, to),
            digest: sha256(text("id").as_bytes()),
            sealed: self.now,
            expiry: text("expiry").parse().unwrap(),
            is_aside: false,
        });
    }

    /// A stick comes to a gateway.
    pub(super) fn visit(&mut self, gateway: usize, stick: usize, kill: Option<u8>) {
        self.run_all(gateway, stick, (self.now, kill));
    }

    /// A stick comes to the gateway of this node, if it has one, whose clock shows this time.
    pub(super) fn visit_by(&mut self, clock: Timestamp, node: usize) {
        let is_of = |(_, endpoint): &(&str, &str)| *endpoint == NODES[node];
        if let Some(gateway) = GATEWAYS.iter().position(is_of) {
            self.run_all(gateway, 0, (clock, None));
        }
    }

    fn run_all(&mut self, gateway: usize, stick: usize, (clock, kill): (Timestamp, Option<u8>)) {
        for args in runs(gateway, &format!("stick-{stick}")) {
            let (status, told, _) = Self::run(kill, || self.call(args[0], &args[1..], clock));
            // What is refused is said, and what cannot go on waits: the files show what became of it.
            let is_fault = matches!(status, 64 | 65 | 66 | 70 | 73 | 74 | 78);
            assert!(!is_fault, "{args:?} at {clock}: {status} {told}");
        }
        self.take_in();
        self.look_aside();
    }

    /// The stick goes from the private gateway to the other one and back.
    pub(super) fn trip(&mut self, stick: usize) {
        for gateway in [0, 1, 0] {
            self.take(&Step::Visit(gateway, stick));
        }
    }

    /// All that is on a stick is lost, or what is on the other one is on this one as well: older messages come again.
    pub(super) fn refill(&self, stick: usize, is_copied: bool) {
        let [this, other] = [stick, 1 - stick].map(|it| self.env.path(format!("stick-{it}")));
        fs::remove_dir_all(&this).unwrap();
        fs::create_dir(&this).unwrap();
        if is_copied {
            copy_tree(&other, &this);
        } else {
            copy_tree(&self.env.path("stick-empty"), &this);
        }
    }

    /// Counts what was delivered, and checks that it might be.
    fn take_in(&mut self) {
        for content in drain(&self.env.path("inbox")) {
            let number = content.trim_end().strip_prefix("message ").unwrap();
            let number: usize = number.parse().unwrap();
            let letter = self.letters.iter().find(|it| it.number == number).unwrap();
            let what = format!("{number} {:?} at {}", letter.pair, self.now);
            let sent = &mut self.sent[number];
            sent.times += 1;
            assert!(sent.times <= 1, "delivered twice: {what}");
            assert!(self.now <= letter.expiry + DRIFT, "not in time: {what}");
            assert!(!self.revoked.contains(&letter.pair), "withdrawn: {what}");
        }
    }

    /// Checks that what a gateway set aside came too late, or was not to be delivered.
    fn look_aside(&mut self) {
        let failed = GATEWAYS.map(|(whole, _)| format!("{whole}/spool/failed"));
        let failed = failed.iter().filter(|dir| self.env.path(dir).exists());
        let aside: Vec<String> = failed
            .flat_map(|dir| {
                let names = self.env.names(dir).into_iter();
                names.map(move |name| format!("{dir}/{name}"))
            })
            .collect();
        for at in 0..self.letters.len() {
            let letter = &self.letters[at];
            let is_open = self.sent[letter.number].times == 0 && !letter.is_aside;
            let mut files = aside.iter().filter(|name| name.contains(&letter.digest));
            let Some(file) = files.next().filter(|_| is_open) else {
                continue;
            };
            let is_late = self.now.duration_since(letter.sealed) > IN_TIME;
            let is_excused = is_late || self.is_doubtful(letter);
            let why = self
                .env
                .text(file.trim_end_matches(".why").to_owned() + ".why");
            let what = format!("{} {:?}", letter.number, letter.pair);
            assert!(is_excused, "{what} set aside at {}: {why}", self.now);
            self.letters[at].is_aside = true;
        }
    }

    /// Whether what became of the nodes may have ended this message.
    fn is_doubtful(&self, letter: &Letter) -> bool {
        let (from, to) = letter.pair;
        let is_restored = |node| self.restored.contains(&node);
        is_restored(from)
            || is_restored(to)
            || self.revoked.contains(&letter.pair)
            || self.sent[letter.number].is_doubtful
    }

    /// Checks that each message was delivered that might be, if the gateways still know each other. Returns in how many
    /// directions the newest one was.
    pub(super) fn check_road(&self) -> usize {
        let is_there = |letter: &&Letter| self.sent[letter.number].times == 1;
        let mut open = 0;
        for pair in &PAIRS[DIRECT..] {
            let of_pair = || self.letters.iter().filter(|letter| letter.pair == *pair);
            let is_open = of_pair()
                .next_back()
                .is_some_and(|newest| is_there(&newest));
            open += usize::from(is_open);
            if !is_open && !self.is_registered() {
                continue;
            }
            for letter in of_pair().filter(|it| !is_there(it)) {
                let is_over = letter.is_aside || self.now > letter.expiry;
                let is_excused = is_over || self.is_doubtful(letter);
                let Letter { number, sealed, .. } = letter;
                assert!(is_excused, "{number} of {sealed} {pair:?} was lost");
            }
        }
        if open == 2 && self.restored.is_empty() {
            // Each CCA that nothing answers has a key that nothing supersedes.
            self.check_keys("gateway", &id("hub"), "First-Used");
            self.check_keys("hub", &id("gateway"), "First-Used");
        }
        open
    }

    /// Whether a certificate of the private gateway is valid: nobody may have run what renews it for half a year.
    fn is_registered(&self) -> bool {
        let now: String = self.now.to_string().split(['-', ':']).collect();
        let certificates = format!("gateway/certs/{}", id("hub"));
        // Their names begin with their ends.
        let names = self.env.names(&certificates);
        names.last().is_some_and(|newest| *newest > now)
    }
}

/// The contents of all files below a directory, which are removed.
fn drain(dir: &Path) -> Vec<String> {
    let mut contents = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents.extend(drain(&path));
        } else {
            contents.push(fs::read_to_string(&path).unwrap());
            fs::remove_file(path).unwrap();
        }
    }
    contents
}

impl Sent {
    /// A message that may or may not be handed out, for what became of its nodes before.
    pub(super) fn new(is_doubtful: bool) -> Self {
        Self {
            times: 0,
            is_doubtful,
        }
    }
}
