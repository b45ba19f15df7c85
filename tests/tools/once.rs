//! One memory for all programs that hand out content: whatever runs in whatever order, two at once, killed and
//! repeated, or on a node that was restored, everything is handed out once, or set aside after a restoration.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;
use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use relaynet::message::Part;
use relaynet::message::stream::Stream;

use crate::testenv::{Call, Env, NOW, copy_tree};

const LOCAL: &str = "gateway/endpoints/local";

/// How many messages have content of their own; behind them come the parts of one content.
const SINGLE: usize = 4;

/// How many parcels there are.
const PARCELS: usize = SINGLE + 3;

/// How many of them live longer than this takes; the others may end.
const LONG: usize = 3;

/// The content in parts of ten octets, and how a mail has it.
const WHOLE: &str = "twenty-three octets ...";
const ENCODED: &str = "dHdlbnR5LXRocmVlIG9jdGV0cyAuLi4=";

/// A command takes its time, so that something else can happen meanwhile.
const COMMAND: &str = "cat >handed/$(ls handed | wc -l); sleep 0.05";

#[derive(Debug, Clone, Copy)]
enum Place {
    Directory,
    Maildir,
    Command,
}

/// What one program does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A parcel is put into the gateway's spool, perhaps not for the first time; or all parts are.
    Put(usize),
    PutParts,
    /// The endpoint's user opens a parcel by hand, into a directory.
    Open(usize),
    Route,
    Deliver(Place),
    Sync,
    Purge,
}

#[derive(Debug, Clone)]
enum Step {
    One(Act),
    Both(Act, Act),
    /// A parcel that has arrived is opened by hand while it is delivered.
    Race(usize, Place),
    /// It is killed before this change of the file system, and is run again.
    Killed(Act, u8),
    /// The hub is given a parcel, and gives it to the stick.
    Give(usize),
    /// The stick is copied, or becomes again what it was then.
    KeepStick,
    OldStick,
    Backup,
    Restore,
    /// So many hours pass.
    Wait(u16),
}

fn place() -> impl Strategy<Value = Place> {
    prop::sample::select(vec![Place::Directory, Place::Maildir, Place::Command])
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..PARCELS).prop_map(Act::Put),
        2 => Just(Act::PutParts),
        3 => (0..PARCELS).prop_map(Act::Open),
        3 => Just(Act::Route),
        5 => place().prop_map(Act::Deliver),
        2 => Just(Act::Sync),
        1 => Just(Act::Purge),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => act().prop_map(Step::One),
        6 => (act(), act()).prop_map(|(one, other)| Step::Both(one, other)),
        3 => (0..PARCELS, place()).prop_map(|(parcel, place)| Step::Race(parcel, place)),
        4 => (act(), 1_u8..40).prop_map(|(act, at)| Step::Killed(act, at)),
        2 => (0..PARCELS).prop_map(Step::Give),
        1 => Just(Step::KeepStick),
        1 => Just(Step::OldStick),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
        2 => (1_u16..100).prop_map(Step::Wait),
    ]
}

/// A gateway with an endpoint, a hub that has registered it, and a stick between them.
struct World {
    env: Env,
    now: Timestamp,
    parcels: Vec<Vec<u8>>,
    /// How often each was handed out, and how often it may have been.
    times: [usize; PARCELS],
    most: [usize; PARCELS],
    /// Whether the gateway has each, and whether it may have been lost with what was restored.
    is_taken: [bool; PARCELS],
    may_be_lost: [bool; PARCELS],
    was_restored: bool,
}

/// The nodes, the stick and the parcels, made once.
fn made() -> &'static (Env, Vec<Vec<u8>>) {
    static MADE: OnceLock<(Env, Vec<Vec<u8>>)> = OnceLock::new();
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
        let authorize = ["-q", "-N", LOCAL, "--name", "bob"];
        let conn = env
            .relay("authorize")
            .args(authorize)
            .stdin(key)
            .ok()
            .stdout;
        let import = ["-q", "-N", "bob", "--name", "local"];
        env.relay("import").args(import).stdin(conn).ok();
        let init = ["-N", "gateway", "--init", "stick"];
        env.relay("sync").args(init).ok();
        let dirs = [
            "opened", "inbox", "handed", "mail", "mail/cur", "mail/new", "mail/tmp",
        ];
        for dir in dirs {
            env.mkdir(dir);
        }
        let mut parcels: Vec<Vec<u8>> = (0..SINGLE)
            .map(|number| {
                let id = format!("m{number}");
                let ttl = if number < LONG { "150d" } else { "10d" };
                let options = ["--id", id.as_str(), "--ttl", ttl, "-y", "message/rfc822"];
                let content = format!("Subject: {id}\n\n");
                env.parcel_with("bob", "local", content.as_bytes(), &options)
            })
            .collect();
        env.write("whole", WHOLE);
        let split = ["--size", "10", "whole"];
        let stream = env.relay("split").args(split).ok().stdout;
        let seal = [
            "-N", "bob", "-t", "local", "--parts", "--id", "p", "--ttl", "150d",
        ];
        let stream = env.relay("seal").args(seal).stdin(stream).ok().stdout;
        let mut messages = Stream::new(&stream[..]);
        parcels.extend(std::iter::from_fn(|| messages.next_message()).map(Result::unwrap));
        assert_eq!(parcels.len(), PARCELS);
        (env, parcels)
    })
}

impl World {
    fn new() -> Self {
        let (made, parcels) = made();
        let env = Env::new();
        copy_tree(made.root(), env.root());
        let world = Self {
            env,
            now: NOW.parse().unwrap(),
            parcels: parcels.clone(),
            times: [0; PARCELS],
            most: [1; PARCELS],
            is_taken: [false; PARCELS],
            may_be_lost: [false; PARCELS],
            was_restored: false,
        };
        world.copy("gateway", "backup");
        world
    }

    fn call(&self, program: &str, args: &[&str]) -> Call<'_> {
        let now = self.now.to_string();
        self.env.relay(program).args(args).arg("-q").at(&now)
    }

    fn call_of(&self, act: Act) -> Call<'_> {
        match act {
            Act::Put(parcel) => {
                let put = self.call("put", &["-N", "gateway"]);
                put.stdin(self.parcels[parcel].clone())
            }
            Act::PutParts => {
                let put = self.call("put", &["-N", "gateway"]);
                put.stdin(self.parcels[SINGLE..].concat())
            }
            Act::Open(parcel) => {
                let open = self.call("open", &["-N", LOCAL, "-d", "opened"]);
                open.stdin(self.parcels[parcel].clone())
            }
            Act::Route => self.call("route", &["-N", "gateway"]),
            Act::Deliver(place) => {
                let deliver = self.call("deliver", &["-N", LOCAL]);
                deliver.args(match place {
                    Place::Directory => &["--dir", "inbox"][..],
                    Place::Maildir => &["--maildir", "mail"],
                    Place::Command => &["--", "sh", "-c", COMMAND],
                })
            }
            Act::Sync => self.call("sync", &["-N", "gateway", "stick"]),
            Act::Purge => self.call("purge", &["-N", "gateway"]),
        }
    }

    /// Notes what a program did that was not killed.
    fn did(&mut self, act: Act, output: &Output, is_alone: bool) {
        let status = output.status.code().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_ne!(status, 70, "{act:?}: {told}");
        let is_done = status == 0;
        match act {
            Act::Put(parcel) | Act::Open(parcel) => self.is_taken[parcel] |= is_done,
            Act::PutParts => {
                for is_taken in &mut self.is_taken[SINGLE..] {
                    *is_taken |= is_done;
                }
            }
            _ => {}
        }
        // What cannot be judged is reported, and then set aside.
        let may_be: &[i32] = match act {
            Act::Route | Act::Deliver(_) | Act::Purge if is_alone => &[0],
            Act::Route | Act::Deliver(_) | Act::Purge => &[0, 75],
            _ => return,
        };
        assert!(may_be.contains(&status), "{act:?}: {status}: {told}");
    }

    /// The parcels whose content is in a file that was handed out.
    fn parcels_in(octets: &[u8]) -> Vec<usize> {
        if let Ok(part) = Part::parse(octets) {
            return vec![SINGLE + part.header().index as usize - 1];
        }
        let text = String::from_utf8_lossy(octets);
        if text.contains(WHOLE) || text.contains(ENCODED) {
            return (SINGLE..PARCELS).collect();
        }
        let (_, number) = text.split_once("Subject: m").unwrap();
        vec![number[..1].parse().unwrap()]
    }

    /// Takes what was handed out, as users do.
    fn take_out(&mut self) {
        let mut dirs = vec![
            "opened".to_owned(),
            "mail/new".to_owned(),
            "handed".to_owned(),
        ];
        let folders = self.env.names("inbox").into_iter();
        dirs.extend(folders.map(|folder| format!("inbox/{folder}")));
        for dir in dirs {
            for name in self.env.names(&dir) {
                let path = format!("{dir}/{name}");
                for parcel in Self::parcels_in(&self.env.read(&path)) {
                    self.times[parcel] += 1;
                }
                fs::remove_file(self.env.path(path)).unwrap();
            }
        }
        for parcel in 0..PARCELS {
            let (times, most) = (self.times[parcel], self.most[parcel]);
            assert!(times <= most, "{parcel} was handed out {times} times");
        }
    }

    fn run(&mut self, act: Act) {
        let output = self.call_of(act).output();
        self.did(act, &output, true);
    }

    fn run_both(&mut self, one: Act, other: Act) {
        let calls = [one, other].map(|act| self.call_of(act));
        let outputs: Vec<Output> = std::thread::scope(|scope| {
            let runs = calls.map(|call| scope.spawn(|| call.output()));
            runs.map(|run| run.join().unwrap()).into()
        });
        for (act, output) in [one, other].into_iter().zip(&outputs) {
            self.did(act, output, false);
        }
    }

    fn run_killed(&mut self, act: Act, at: u8) {
        let killed = self
            .call_of(act)
            .var("RELAY_FAULT", format!("kill:{at}"))
            .output();
        if killed.status.signal().is_none() {
            self.did(act, &killed, true);
            return;
        }
        // The command that was running was given its content, and nothing knows that.
        if matches!(act, Act::Deliver(Place::Command)) {
            let last = self.env.names("handed").len().checked_sub(1);
            let last = last.map(|last| self.env.read(format!("handed/{last}")));
            for parcel in last.iter().flat_map(|octets| Self::parcels_in(octets)) {
                self.most[parcel] = self.most[parcel].max(self.times[parcel] + 2);
            }
        }
        self.run(act);
    }

    fn take(&mut self, step: &Step) {
        self.now += SignedDuration::from_mins(1);
        match step {
            Step::One(act) => self.run(*act),
            Step::Both(one, other) => self.run_both(*one, *other),
            Step::Race(parcel, place) => {
                self.run(Act::Put(*parcel));
                self.run(Act::Route);
                self.run_both(Act::Open(*parcel), Act::Deliver(*place));
            }
            Step::Killed(act, at) => self.run_killed(*act, *at),
            Step::Give(parcel) => {
                let put = self.call("put", &["-N", "hub"]);
                let put = put.stdin(self.parcels[*parcel].clone()).output();
                self.is_taken[*parcel] |= put.status.success();
                self.hub();
            }
            Step::KeepStick => self.copy("stick", "old-stick"),
            Step::OldStick => self.copy("old-stick", "stick"),
            Step::Backup => self.copy("gateway", "backup"),
            Step::Restore => self.restore(),
            Step::Wait(hours) => self.now += SignedDuration::from_hours((*hours).into()),
        }
        self.take_out();
    }

    fn hub(&self) {
        self.call("route", &["-N", "hub"]).output();
        self.call("sync", &["-N", "hub", "stick"]).output();
    }

    fn copy(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|path| self.env.path(path));
        if from.exists() {
            let _ = fs::remove_dir_all(&to);
            fs::create_dir(&to).unwrap();
            copy_tree(&from, &to);
        }
    }

    /// The backup takes the place of the gateway, and what came since is gone with it.
    fn restore(&mut self) {
        self.copy("backup", "gateway");
        let check = self
            .call("check", &["-N", "gateway", "--restored"])
            .output();
        let status = check.status.code();
        let told = String::from_utf8_lossy(&check.stderr);
        assert!(matches!(status, Some(0 | 1)), "{status:?}: {told}");
        self.was_restored = true;
        self.may_be_lost = self.is_taken;
    }

    /// The parcels that were set aside.
    fn aside(&self) -> BTreeSet<usize> {
        let failed = "gateway/spool/failed";
        let mut aside = BTreeSet::new();
        if !self.env.path(failed).exists() {
            return aside;
        }
        for name in self.env.names(failed) {
            if let Some(parcel) = name.strip_suffix(".why") {
                let why = self.env.text(format!("{failed}/{name}"));
                let why: serde_json::Value = serde_json::from_str(&why).unwrap();
                let error = why["error"].as_str().unwrap();
                assert!(
                    self.was_restored && error.contains("nobody can tell"),
                    "{why}"
                );
                let octets = self.env.read(format!("{failed}/{parcel}"));
                aside.extend(self.parcels.iter().position(|parcel| *parcel == octets));
            }
        }
        aside
    }

    /// Everything ends within some days. Cargo on the stick may be sealed to a key that went with what was restored;
    /// then the hub sends its messages again after a week.
    fn settle(&mut self) {
        for (place, hours) in [
            (Place::Directory, 25),
            (Place::Command, 25),
            (Place::Maildir, 25),
            (Place::Directory, 200),
            (Place::Directory, 25),
        ] {
            self.now += SignedDuration::from_hours(hours);
            for act in [Act::Sync, Act::Route, Act::Deliver(place), Act::Purge] {
                self.take(&Step::One(act));
            }
            self.hub();
        }
        let aside = self.aside();
        let is_due = |parcel: usize| {
            self.is_taken[parcel] && !self.may_be_lost[parcel] && !aside.contains(&parcel)
        };
        for parcel in (0..LONG).filter(|parcel| is_due(*parcel)) {
            assert!(self.times[parcel] > 0, "{parcel} is lost");
        }
        // Parts wait where another one was opened by hand.
        let times = &self.times[SINGLE..];
        if (SINGLE..PARCELS).all(is_due) {
            assert!(times.iter().any(|times| *times > 0), "parts are lost");
        }
    }
}

/// `CI_FULL=1` or `PROPTEST_CASES` has it play more of them.
#[test]
fn everything_is_handed_out_once_whatever_runs_when() {
    let cases = match std::env::var("PROPTEST_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) if std::env::var_os("CI_FULL").is_some() => 200,
        Err(_) => 8,
    };
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    let strategy = prop::collection::vec(step(), 6..20);
    let played = runner.run(&strategy, |steps| {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.settle();
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    println!("{cases} interleavings");
}
