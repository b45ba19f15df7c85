//! relay-online --follow: parcels leave and come at once, for as long as nobody stops it.

use std::io::Read as _;
use std::process::Child;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};

use crate::online::collecting::{Session, Step};
use crate::online::gateway::Event;
use crate::online::gateway::Place;
use crate::online::site::{Site, each_at_once, node_id};
use crate::online::{Answer, Fault};
use crate::testenv::{Call, Env, forged};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(30);

/// A follower, which is killed if the test fails.
struct Follower(Option<Child>);

impl Follower {
    fn start(call: Call<'_>) -> Self {
        let mut child = call.arg("--follow").to_command().spawn().unwrap();
        drop(child.stdin.take());
        Self(Some(child))
    }

    /// Ends it as a service manager does. Returns its status, how long it took, and its diagnostics.
    fn stop(self) -> (Option<i32>, Duration, String) {
        let (status, took, said, _) = self.stop_and_read();
        (status, took, said)
    }

    /// The same, and its standard output.
    fn stop_and_read(mut self) -> (Option<i32>, Duration, String, String) {
        let mut child = self.0.take().unwrap();
        let pid = Pid::from_child(&child);
        let started = Instant::now();
        kill_process(pid, Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        let took = started.elapsed();
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let mut printed = String::new();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_to_string(&mut printed).unwrap();
        (status.code(), took, said, printed)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Nodes where bob may send to the node gateway itself, whose home is then seen.
fn site() -> Site {
    let env = Env::with_gateways();
    env.introduce("bob", "gateway", &[]);
    Site::of(env)
}

fn is_shown(site: &Site, node: &str, times: usize) {
    let shown = Event::Shown(node_id(node));
    let journal = site.gateway.journal();
    journal.wait("a collection begins", |all| {
        all.iter().filter(|it| **it == shown).count() >= times
    });
}

/// Waits until something is so, and returns how long that took.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) -> Duration {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < LIMIT,
            "in {LIMIT:?} this did not happen: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    started.elapsed()
}

/// The parcels at home at gateway.
fn at_home(site: &Site) -> usize {
    let home = site.env.path("gateway/spool/home");
    let files = walk(&home);
    files.iter().filter(|it| it.ends_with(".parcel")).count()
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for entry in entries.flatten() {
        names.extend(walk(&entry.path()));
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names
}

/// The lines of diagnostics that are no notes about the time.
fn lines(said: &str) -> Vec<&str> {
    let is_news =
        |line: &&str| !line.contains("the time is taken to be") && !line.contains("hint: ");
    said.lines().filter(is_news).collect()
}

#[test]
fn a_parcel_gets_from_one_follower_to_the_other_at_once() {
    let site = site();
    let followers =
        ["mallory", "gateway"].map(|node| (node, Follower::start(site.online(node).arg("-q"))));
    for (node, _) in &followers {
        is_shown(&site, node, 1);
    }
    for count in 1..=3 {
        let id = format!("m{count}");
        let parcel = site
            .env
            .parcel_with("bob", "gateway", b"hello", &["--id", &id]);
        site.env
            .relay("put")
            .args(["-q", "-N", "mallory"])
            .stdin(parcel)
            .ok()
            .quiet();
        let took = until("the parcel is at home", || at_home(&site) == count);
        println!("put to home: {took:?}");
    }
    assert_eq!(site.state("mallory", "m1"), (0, "accepted".to_owned()));
    // Another run leaves it to them.
    site.online("gateway").ok().quiet().stdout("");
    site.online("gateway").arg("--follow").ok().quiet();
    for (node, follower) in followers {
        let (status, took, said) = follower.stop();
        println!("{node} stopped in {took:?}");
        assert_eq!(
            (status, lines(&said)),
            (Some(0), Vec::<&str>::new()),
            "{node}"
        );
        assert!(took < Duration::from_secs(10), "{node}: {took:?}");
    }
    assert_eq!(at_home(&site), 3);
}

#[test]
fn a_gateway_that_goes_away_is_reported_once_and_found_again() {
    let site = site();
    let follower = Follower::start(site.online("gateway"));
    is_shown(&site, "gateway", 1);
    site.gateway
        .collect_always(Session::refused(Answer::message(503, "away")));
    site.gateway.listener().cut();
    let asked = |times| {
        let asks = |all: &[Event]| {
            all.iter()
                .filter(|it| matches!(it, Event::Collecting(_)))
                .count()
        };
        site.gateway
            .journal()
            .wait("it is tried again", |all| asks(all) >= times);
    };
    asked(4);
    site.gateway.collect_always(Session::usual());
    is_shown(&site, "gateway", 2);
    let parcel = site.env.parcel("bob", "gateway", b"hello");
    site.gateway.post(node_id("gateway"), parcel);
    until("the parcel is at home", || at_home(&site) == 1);
    let (status, took, said) = follower.stop();
    assert_eq!(status, Some(0), "{said}");
    println!("stopped in {took:?}");
    // The end of the connection, and then the answer.
    assert_eq!(lines(&said).len(), 2, "{said}");
    assert_eq!(
        lines(&said)
            .iter()
            .filter(|it| it.contains("503: "))
            .count(),
        1,
        "{said}"
    );
}

#[test]
fn errors_that_alternate_are_each_reported_once() {
    let site = site();
    let bad = Session::after_handshake([Step::Close(1011, "broken")]);
    site.gateway.collect_always(bad);
    let faults = site.gateway.faults(Place::Parcels);
    faults.always(Some(Fault::Answer(Answer::message(500, "broken"))));
    let parcel = site.env.parcel("bob", "gateway", b"hello");
    site.put("mallory", parcel.clone());
    let follower = Follower::start(site.online("mallory"));
    is_shown(&site, "mallory", 3);
    faults.always(None);
    site.gateway.collect_always(Session::usual());
    until("the parcel is delivered", || {
        site.waiting("mallory").is_empty()
    });
    assert!(site.gateway.mailbox(node_id("gateway")) == [parcel]);
    let (status, _, said) = follower.stop();
    assert_eq!(status, Some(0), "{said}");
    let said = lines(&said);
    for (text, most) in [("closed: 1011", 1), ("500: ", 4)] {
        let count = said.iter().filter(|it| it.contains(text)).count();
        assert!((1..=most).contains(&count), "{text}: {said:#?}");
    }
}

#[test]
fn it_follows_through_a_connection_that_is_cut_in_a_parcel() {
    let site = site();
    let parcel = site.env.parcel("bob", "gateway", b"hello");
    let half = Session::after_handshake([
        Step::Raw(crate::online::collecting::frame_header(0x82, 5000)),
        Step::Raw(vec![0x30; 100]),
        Step::Cut,
    ]);
    site.gateway.collect_next(half);
    site.gateway.post(node_id("gateway"), parcel);
    let follower = Follower::start(site.online("gateway").arg("-q"));
    until("the parcel is at home", || at_home(&site) == 1);
    let (status, _, said) = follower.stop();
    assert_eq!((status, lines(&said).len()), (Some(0), 1), "{said}");
}

#[test]
fn a_gateway_that_asks_for_no_pause_is_not_asked_without_one() {
    let site = site();
    let answer = Answer::message(503, "busy").with("Retry-After", "0");
    site.gateway.collect_always(Session::refused(answer));
    let follower = Follower::start(site.online("gateway"));
    let asked = |it: &Event| matches!(it, Event::Collecting(_));
    site.gateway.journal().wait("it is tried again", |all| {
        all.iter().filter(|it| asked(it)).count() >= 2
    });
    std::thread::sleep(Duration::from_millis(500));
    let (status, _, said) = follower.stop();
    assert_eq!(status, Some(0), "{said}");
    // Without pauses there would be hundreds.
    let tries = site.gateway.journal().count(asked);
    assert!(tries < 6, "{tries}");
}

#[test]
fn a_follower_ends_soon_whatever_a_server_makes_it_wait_for() {
    let site = site();
    let parcel = site.env.parcel("bob", "gateway", b"hello");
    site.put("mallory", parcel);
    let faults = site.gateway.faults(Place::Parcels);
    faults.always(Some(Fault::Silence));
    let unfinished = Session::after_handshake([
        Step::Raw(crate::online::collecting::frame_header(0x82, 5000)),
        Step::Silence,
    ]);
    site.gateway.collect_always(unfinished);
    let follower = Follower::start(site.online("mallory"));
    is_shown(&site, "mallory", 1);
    // The second connection is for the parcel.
    until("a parcel is offered", || {
        site.gateway.listener().accepted() >= 2
    });
    let (status, took, said) = follower.stop();
    assert_eq!((status, lines(&said)), (Some(0), Vec::<&str>::new()));
    println!("stopped in {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(site.waiting("mallory").len(), 1);
}

#[test]
fn what_is_not_named_is_counted() {
    let site = site();
    let junk = (0..25).map(|at| Step::DeliverAs(format!("junk{at}"), b"junk".to_vec()));
    let parcel = site.env.parcel("bob", "gateway", b"early");
    let early = forged(&parcel, "bob", |it| {
        it.fields.date += SignedDuration::from_hours(24);
    });
    let left = (0..10).map(|at| Step::DeliverAs(format!("early{at}"), early.clone()));
    let steps = left.chain(junk).chain([Step::Acknowledgements(25)]);
    site.gateway
        .collect_next(Session::after_handshake(steps.chain([Step::OnlyPings])));
    let follower = Follower::start(site.online("gateway").arg("--json"));
    site.gateway
        .journal()
        .wait("all junk is acknowledged", |all| {
            let acknowledged = |it: &&Event| matches!(it, Event::Acknowledged(..));
            all.iter().filter(acknowledged).count() == 25
        });
    let (status, _, said, printed) = follower.stop_and_read();
    assert_eq!(status, Some(0), "{said}");
    let said = lines(&said);
    let count = |text: &str| said.iter().filter(|it| it.contains(text)).count();
    assert_eq!(count("refused for good"), 20, "{said:#?}");
    assert_eq!(count("delivery early"), 8, "{said:#?}");
    assert_eq!(count("5 more parcels were refused"), 1, "{said:#?}");
    assert_eq!(count("2 more parcels were left with a gateway"), 1);
    let last: serde_json::Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["rejected"], &last["left"]),
        (&25.into(), &10.into()),
        "{last}"
    );
}

/// A change of a file that fails once, anywhere: it is tried again.
#[test]
fn a_shortage_that_passes_ends_no_follower() {
    let made = Env::with_gateways();
    made.introduce("bob", "gateway", &[]);
    let parcel = made.parcel("bob", "gateway", b"hello");
    let follow = |site: &Site, fault: &str| {
        site.gateway.post(node_id("gateway"), parcel.clone());
        let call = site.online("gateway").arg("-q");
        let follower = Follower::start(call.var("RELAY_FAULT", fault));
        until("the parcel is at home", || at_home(site) == 1);
        let (status, _, said) = follower.stop();
        assert_eq!(status, Some(0), "{fault}: {said}");
        assert!(lines(&said).len() <= 1, "{fault}: {said}");
        said
    };
    let site = Site::copy_of(&made);
    let trace = site.env.path("trace");
    follow(&site, &format!("trace:{}", trace.display()));
    let trace = site.env.text("trace");
    // Not those of its start and of its end.
    let is_first = |line: &str| line.contains("/spool/in/") || line.contains("/spool/tmp/");
    let first = trace.lines().position(is_first).unwrap() + 1;
    let last = trace.lines().count() - 2;
    let steps = [0, 1, 2, 3].map(|it| first + it * (last - first) / 4);
    each_at_once(steps, |step| {
        let said = follow(&Site::copy_of(&made), &format!("ENOSPC:{step}"));
        println!("{step}: {said}");
    });
}
