//! relay-serve: how it ends, what it reads again, and what becomes of parcels when a part of it is killed.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tungstenite::Message;

use crate::online::authority::Leaf;
use crate::online::client::{self, answer};
use crate::online::hub::{
    HOST, Hub, LIVE, PARCEL, Seen, delivery, next, nodes, post, queue_of, serve,
};
use crate::online::server::Server;
use crate::online::{Authority, Resolver};
use crate::testenv::{Env, HUB, NOW, forged, id};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn what_a_server_did_is_in_numbers() {
    let hub = Hub::new();
    let parcel = hub
        .env
        .parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    for (octets, status) in [(&parcel[..], 202), (&parcel, 202), (b"x", 400)] {
        assert_eq!(hub.bring(octets), status);
    }
    while !hub.env.path("hub/spool/metrics/serve").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let status = |env: &Env, time: &str, options: &[&str]| {
        let call = env.relay("status").args(["-N", "hub"]).at(time);
        let ran = call.args(options).run();
        (ran.status, ran.text().to_owned())
    };
    let line = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("serve"));
        line.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    // It runs, though by this clock it has written nothing for long.
    let late = "2026-03-01T12:01:00Z";
    let shown = line(&status(&hub.env, late, &[]).1);
    assert!(shown.contains(", which last said so 1m ago"), "{shown}");
    let nagios = ["--nagios", "serve=30s:2m"];
    let (code, text) = status(&hub.env, late, &nagios);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("server ran 1m ago (WARNING) | serve=60s;30;120"),
        "{text}"
    );

    hub.server.signal(Signal::TERM);
    let env = hub.env;
    assert_eq!(hub.server.ended().status, Some(0));
    let (_, text) = status(&env, NOW, &["--json"]);
    let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
    let counts = &facts["serve"]["counts"];
    for (what, expected) in [
        ("connections", 3),
        ("requests", 3),
        ("bodies", 3),
        ("stored", 1),
        ("repeated", 1),
        ("refused_malformed", 1),
        ("octets_in", 2 * parcel.len() + 1),
        ("connections_open", 0),
        ("bodies_open", 0),
        ("bodies_slow", 0),
        ("failures", 0),
    ] {
        assert_eq!(counts[what], expected, "{what}: {counts}");
    }
    assert_eq!(facts["serve"]["since"], NOW);
    let (_, text) = status(&env, NOW, &["--prometheus"]);
    for sample in [
        "relay_serve_running 1",
        "relay_serve_count{what=\"stored\"} 1",
        "relay_serve_written_timestamp_seconds ",
    ] {
        assert!(text.contains(sample), "{sample}: {text}");
    }
    let shown = line(&status(&env, late, &[]).1);
    assert!(shown.contains("not running, last seen 1m ago"), "{shown}");
    assert!(
        shown.ends_with("stored 1, collected 0, refused 1"),
        "{shown}"
    );
    // No message is named in it, and relay-check knows it.
    assert!(!env.text("hub/spool/metrics/serve").contains("m1"));
    let checked = env.relay("check").args(["-N", "hub"]).run();
    let mut lines = checked.text().lines();
    // But for its time, which is of another clock.
    let said = lines.find(|it| it.contains("metrics") && !it.contains("the clock says"));
    assert_eq!(said, None);
}

#[test]
fn what_is_under_way_when_it_is_told_to_end_is_finished() {
    let hub = Hub::new();
    let parcel = hub
        .env
        .parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    // A request of which the half is there, an open collection, and a connection that asks for nothing.
    let octets = post("/", &[PARCEL], &parcel);
    let (first, second) = octets.split_at(octets.len() - 100);
    let mut stream = hub.connect();
    stream.write_all(first).unwrap();
    stream.flush().unwrap();
    let mut socket = hub.collecting("mallory", &[LIVE]);
    let mut idle = hub.connect();
    idle.write_all(&post("/", &[PARCEL], b"x")).unwrap();
    assert_eq!(answer(&mut idle).unwrap().status(), 400);
    // The handshake of the collection is over once a ping of ours is answered after it.
    socket.send(Message::Ping("x".into())).unwrap();
    while !matches!(socket.read().unwrap(), Message::Pong(_)) {}

    hub.server.signal(Signal::TERM);
    assert_eq!(next(&mut socket), Seen::Close(4000));
    assert_eq!(client::rest(&mut idle), 0);
    stream.write_all(second).unwrap();
    stream.flush().unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 202);
    let (env, port) = (hub.env, hub.server.port());
    let ended = hub.server.ended();
    assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
    assert!(client::connect(port, HOST, &hub.authority).is_err());
    env.relay("route").args(["-q", "-N", "hub"]).ok().quiet();
    let waiting = queue_of(&env, "hub", &format!("out/{}", id("gateway")));
    assert_eq!(waiting.len(), 1);
    let temporary = env.names("hub/spool/tmp");
    assert_eq!(temporary, Vec::<String>::new());
}

/// The certificate that a new connection is shown.
fn shown(hub: &Hub) -> Vec<u8> {
    let stream = hub.connect();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

fn write(leaf: &Leaf, env: &Env) -> Vec<u8> {
    leaf.write(env, "server");
    leaf.chain[0].to_vec()
}

#[test]
fn a_certificate_is_read_again_on_sighup() {
    let hub = Hub::new();
    let before = shown(&hub);
    let mut old = hub.connect();
    let renewed = write(&hub.authority.leaf(&[HOST]), &hub.env);
    assert_eq!(shown(&hub), before, "not before it is told");
    hub.server.signal(Signal::HUP);
    hub.server.wait_for("event=reloaded", 1);
    let started = Instant::now();
    while shown(&hub) != renewed {
        assert!(started.elapsed() < LIMIT);
    }
    // One that cannot be used changes nothing.
    hub.env.write("server.pem", "nothing\n");
    hub.server.signal(Signal::HUP);
    hub.server.wait_for("server.pem: no certificate in PEM", 1);
    assert_eq!(shown(&hub), renewed);
    write(&hub.authority.leaf(&[HOST]), &hub.env);
    let other = hub.authority.leaf(&[HOST]);
    other.write(&hub.env, "other");
    fs::copy(hub.env.path("other.key"), hub.env.path("server.key")).unwrap();
    hub.server.signal(Signal::HUP);
    hub.server.wait_for("the certificate cannot be used", 2);
    fs::remove_file(hub.env.path("server.key")).unwrap();
    hub.server.signal(Signal::HUP);
    hub.server.wait_for("server.key: ", 1);
    assert_eq!(shown(&hub), renewed);
    assert_eq!(
        hub.server
            .count("hint: the certificate from before stays in use"),
        1
    );
    // Connections from before go on.
    old.write_all(&post("/", &[PARCEL], b"x")).unwrap();
    assert_eq!(answer(&mut old).unwrap().status(), 400);
    assert_eq!(hub.server.stop().status, Some(0));
}

/// Waits until a process is gone.
fn wait_until_gone(pid: Pid) {
    let started = Instant::now();
    while test_kill_process(pid).is_ok() {
        // It may be a zombie for a moment, which its new parent reaps.
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
        if stat.is_ok_and(|it| it.contains(") Z ")) {
            return;
        }
        assert!(started.elapsed() < LIMIT, "{pid:?} goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn when_one_of_the_two_is_killed_the_other_ends() {
    let hub = Hub::new();
    let port = hub.server.port();
    let front = hub.server.front();
    kill_process(front, Signal::KILL).unwrap();
    let ended = hub.server.ended();
    assert_eq!(ended.status, Some(70));
    let text = "relay-serve: the process that speaks with the network has ended";
    assert_eq!(ended.errors(), [text]);
    assert!(client::connect(port, HOST, &hub.authority).is_err());

    let hub = Hub::new();
    let front = hub.server.front();
    let mut socket = hub.collecting("gateway", &[LIVE]);
    socket.send(Message::Ping("x".into())).unwrap();
    while !matches!(socket.read().unwrap(), Message::Pong(_)) {}
    hub.server.signal(Signal::KILL);
    assert_eq!(next(&mut socket), Seen::Close(4000));
    let port = hub.server.port();
    assert_eq!(hub.server.ended().status, None);
    wait_until_gone(front);
    assert!(client::connect(port, HOST, &hub.authority).is_err());
}

/// Numbers that look random; the seed is a part of what a failure says.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % most
    }
}

/// A server that is killed and started again, at the same port.
pub(crate) struct Killed<'a> {
    env: &'a Env,
    socket: TcpListener,
    running: Mutex<Option<Server>>,
}

impl<'a> Killed<'a> {
    pub(crate) fn new(env: &'a Env) -> Self {
        let killed = Self {
            env,
            socket: TcpListener::bind(("127.0.0.1", 0)).unwrap(),
            running: Mutex::default(),
        };
        killed.start();
        killed
    }

    pub(crate) fn start(&self) {
        let socket = self.socket.try_clone().unwrap();
        let server = Server::start_on(serve(self.env), socket);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    /// Kills one of the two processes after this time, waits for the other, and starts both again.
    pub(crate) fn kill(&self, front: bool, after: Duration) {
        let server = self.running.lock().unwrap().take().unwrap();
        let pids = (server.keeper(), server.front());
        std::thread::sleep(after);
        kill_process(if front { pids.1 } else { pids.0 }, Signal::KILL).unwrap();
        let ended = server.ended();
        let expected = if front { Some(70) } else { None };
        assert_eq!(ended.status, expected, "{:?}", ended.said);
        wait_until_gone(pids.1);
        self.start();
    }

    pub(crate) fn stop(&self) {
        let server = self.running.lock().unwrap().take().unwrap();
        server.wait_for("event=serving", 1);
        let ended = server.stop();
        assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
    }
}

/// Kills, deliveries: 30 and 200 with `CI_FULL=1`.
fn size() -> (usize, usize) {
    match env::var_os("CI_FULL") {
        Some(_) => (30, 200),
        None => (5, 60),
    }
}

/// The parcels of a queue by recipient, sender and the digest of their ids.
fn keys(names: &[String]) -> BTreeSet<Vec<&str>> {
    let keys = names.iter().map(|it| it.splitn(4, '.').take(3).collect());
    keys.collect()
}

/// What is delivered and collected while the server is killed.
struct Played<'a> {
    env: &'a Env,
    authority: &'a Authority,
    hub: &'a Killed<'a>,
    seed: u64,
}

impl Played<'_> {
    /// Delivers parcels, each until it is taken.
    fn deliver(&self, parcels: &[Vec<u8>]) {
        for parcel in parcels {
            let octets = delivery(self.env, "mallory", parcel);
            let started = Instant::now();
            loop {
                let answer = client::exchange(self.hub.port(), HOST, self.authority, &octets);
                match answer.map(|it| it.status()) {
                    Ok(202) => break,
                    // It is about to stop, or the keeper is gone.
                    Ok(503) | Err(_) => {}
                    Ok(other) => panic!("{other}"),
                }
                assert!(started.elapsed() < LIMIT, "seed {}", self.seed);
            }
        }
    }

    /// What waits at the hub.
    fn waiting(&self) -> Vec<String> {
        queue_of(self.env, "hub", &format!("out/{}", id("gateway")))
    }

    /// Collects with our own program until nothing waits and `is_over`.
    fn collect(&self, is_over: impl Fn() -> bool) {
        let resolver = Resolver::start(self.authority);
        resolver.add_service("_awala-gsc", HUB, HOST, self.hub.port());
        let url = resolver.url();
        let started = Instant::now();
        while !(is_over() && self.waiting().is_empty()) {
            // It would come back after a minute, and the clock of the test stands still.
            let _ = fs::remove_dir_all(self.env.path("gateway/spool/hosts"));
            let call = self.env.relay("online").args(["-q", "-N", "gateway"]);
            let output = call.args(["--resolver", &url, "--ca", "ca.pem"]).output();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 75)), "{said}");
            assert!(started.elapsed() < LIMIT, "seed {}: {said}", self.seed);
        }
    }
}

/// Checks that so many parcels are in a queue, each once.
#[track_caller]
pub(crate) fn each_once(names: &[String], number: usize, seed: u64) {
    let found = (names.len(), keys(names).len());
    assert_eq!(found, (number, number), "seed {seed}");
}

#[test]
fn after_202_no_parcel_is_lost_or_doubled_whatever_is_killed() {
    let (kills, number) = size();
    let env = nodes();
    let authority = Authority::new();
    authority.write(&env);
    authority.leaf(&[HOST]).write(&env, "server");
    let first = env.parcel_with("bob", "alice", b"hello", &["--id", "m0"]);
    let parcels: Vec<Vec<u8>> = (0..number)
        .map(|at| forged(&first, "bob", |it| it.fields.id = format!("m{at}")))
        .collect();
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let hub = Killed::new(&env);
    let played = Played {
        env: &env,
        authority: &authority,
        hub: &hub,
        seed,
    };
    let mut killed = 0;
    std::thread::scope(|scope| {
        let senders = parcels.chunks(number.div_ceil(3));
        let senders: Vec<_> = senders
            .map(|parcels| scope.spawn(|| played.deliver(parcels)))
            .collect();
        while killed < kills || !senders.iter().all(ScopedJoinHandle::is_finished) {
            let after = Duration::from_millis(dice.below(400));
            hub.kill(dice.below(2) == 0, after);
            killed += 1;
        }
    });
    hub.stop();
    env.relay("route").args(["-q", "-N", "hub"]).ok().quiet();
    println!("{killed} kills, {number} deliveries");
    each_once(&played.waiting(), number, seed);
    assert!(queue_of(&env, "hub", "in").is_empty());

    // Then they are collected, and again one of the two is killed.
    hub.start();
    std::thread::scope(|scope| {
        let kills = scope.spawn(|| {
            for _ in 0..kills {
                let after = Duration::from_millis(dice.below(300));
                hub.kill(dice.below(2) == 0, after);
            }
        });
        played.collect(|| kills.is_finished());
    });
    hub.stop();
    let route = env.relay("route").args(["-q", "-N", "gateway"]);
    route.ok().quiet();
    let arrived = queue_of(&env, "gateway", &format!("out/{}", id("alice")));
    each_once(&arrived, number, seed);
}
