//! relay-serve between two sites: they register, deliver and collect with our own programs.

use std::process::Child;
use std::time::{Duration, Instant};

use relaynet::ramf::SignedMessage;

use crate::online::hub::{Hub, queue_of, route_to_alice};
use crate::testenv::{Call, Env, HUB, forged, id};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// Parcels up to this length go between the two processes of the server in a message, longer ones in a file.
const INLINE: usize = 64 * 1024;

/// A hub that registers anybody, and two gateways that it does not know yet.
fn strangers() -> Env {
    let env = Env::new();
    let hub = [
        "--type",
        "gateway",
        "--address",
        HUB,
        "--set",
        "registration=open",
    ];
    env.make_node("hub", &hub);
    for gateway in ["gateway", "mallory"] {
        env.make_node(gateway, &["--type", "gateway"]);
    }
    env.make_node("bob", &[]);
    env
}

/// Registers a gateway online.
fn enroll(hub: &Hub, node: &str) {
    let enroll = hub.networked("enroll").args(["-q", "-N", node, HUB]);
    let registration = enroll.ok().stdout;
    let import = hub.env.relay("import");
    let import = import.args(["-q", "-N", node, "--name", "hub"]);
    import
        .stdin(registration)
        .ok()
        .quiet()
        .stdout(format!("{}\n", id("hub")));
}

/// A parcel of exactly this length, like another one.
fn of_length(parcel: &[u8], message: &str, len: usize) -> Vec<u8> {
    let with = |payload: usize| {
        forged(parcel, "bob", |it| {
            message.clone_into(&mut it.fields.id);
            it.payload = vec![7; payload];
        })
    };
    // The length of a length depends on it.
    let (mut payload, mut made) = (len - 4000, Vec::new());
    for _ in 0..3 {
        made = with(payload);
        payload = payload + len - made.len();
    }
    assert_eq!(made.len(), len);
    made
}

fn put(env: &Env, node: &str, parcel: &[u8]) {
    let put = env.relay("put").args(["-q", "-N", node]);
    put.stdin(parcel).ok().quiet();
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < LIMIT,
            "in {LIMIT:?} this did not happen: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What waits for alice at the node gateway, in the order of its octets.
fn arrived(env: &Env) -> Vec<Vec<u8>> {
    let queue = format!("out/{}", id("alice"));
    let names = queue_of(env, "gateway", &queue);
    let files = names
        .iter()
        .map(|name| env.read(format!("gateway/spool/{queue}/{name}")));
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// The state of a message at a node.
fn state(env: &Env, node: &str, message: &str) -> String {
    let list = env.relay("list").args(["-N", node, "--id", message]);
    let ran = list.ok();
    ran.text().split('\t').next().unwrap().trim().to_owned()
}

#[test]
fn parcels_of_all_lengths_get_from_site_to_site_once() {
    let hub = Hub::of(strangers());
    enroll(&hub, "mallory");
    enroll(&hub, "gateway");
    let env = &hub.env;
    env.make_node("alice", &[]);
    env.register("gateway", "alice", &[]);
    route_to_alice(env);
    env.introduce("bob", "alice", &[]);
    let small = env.parcel_with("bob", "alice", b"", &["--id", "small"]);
    let mut parcels = vec![small.clone()];
    for len in [INLINE - 1, INLINE, INLINE + 1] {
        parcels.push(of_length(&small, &format!("m{len}"), len));
    }
    let content = vec![5; 8_000_000];
    parcels.push(env.parcel_with("bob", "alice", &content, &["--id", "large"]));
    for parcel in &parcels {
        put(env, "mallory", parcel);
    }
    env.relay("route")
        .args(["-q", "-N", "mallory"])
        .ok()
        .quiet();
    hub.online("mallory").ok().quiet();
    assert!(queue_of(env, "mallory", &format!("out/{}", id("hub"))).is_empty());
    until("all are routed", || {
        hub.waiting("gateway").len() == parcels.len()
    });
    hub.online("gateway").ok().quiet();
    assert!(hub.waiting("gateway").is_empty(), "they were acknowledged");
    // Once more, and there is nothing.
    hub.online("gateway").ok().quiet();
    env.relay("route")
        .args(["-q", "-N", "gateway"])
        .ok()
        .quiet();
    parcels.sort();
    assert!(arrived(env) == parcels, "each once, and as it was sent");
    for message in ["small", "large"] {
        assert_eq!(state(env, "mallory", message), "accepted");
        assert_eq!(state(env, "hub", message), "accepted");
    }
    let ended = hub.server.stop();
    assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
    for (event, times) in [
        ("registered", 2),
        ("stored", 5),
        ("collected", 5),
        ("refused", 0),
    ] {
        let event = format!("event={event} ");
        let lines = ended.said.iter().filter(|it| it.contains(&event));
        assert_eq!(lines.count(), times, "{event}: {:#?}", ended.said);
    }
}

/// A run that goes on until it is dropped.
struct Follower(Child);

impl Follower {
    fn start(call: Call<'_>) -> Self {
        let mut child = call.arg("--follow").to_command().spawn().unwrap();
        drop(child.stdin.take());
        Self(child)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn followers_bring_each_parcel_at_once_and_once() {
    let hub = Hub::new();
    let env = &hub.env;
    let _followers = ["mallory", "gateway"].map(|node| Follower::start(hub.online(node).arg("-q")));
    for count in 1..=5 {
        let message = format!("m{count}");
        let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", &message]);
        put(env, "mallory", &parcel);
        until("it has arrived", || arrived(env).len() == count);
    }
    until("it is acknowledged", || hub.waiting("gateway").is_empty());
    let ids = arrived(env).into_iter().map(|octets| {
        let parcel = SignedMessage::parse(octets).unwrap();
        parcel.fields().id.clone()
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    assert_eq!(ids, ["m1", "m2", "m3", "m4", "m5"]);
    assert_eq!(state(env, "hub", "m5"), "accepted");
    assert_eq!(hub.server.count("event=stored "), 5);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn a_parcel_for_a_node_of_the_hub_comes_from_any_server_on_the_internet() {
    let hub = Hub::new();
    let env = &hub.env;
    // Carol has an endpoint on the Internet, and posts to the hub what is for alice, who is behind its gateway.
    env.make_node(
        "carol",
        &["--address", "carol.example.org", "--set", "direct=always"],
    );
    env.introduce("carol", "alice", &[]);
    let parcel = env.parcel_with("carol", "alice", b"hello", &["--id", "posted"]);
    put(env, "carol", &parcel);
    env.relay("route").args(["-q", "-N", "carol"]).ok().quiet();
    let post = hub
        .networked("post")
        .args(["-q", "-N", "carol", "--private"]);
    post.ok().quiet();
    assert_eq!(state(env, "carol", "posted"), "posted");
    until("it is routed", || hub.waiting("gateway").len() == 1);
    hub.online("gateway").ok().quiet();
    env.relay("route")
        .args(["-q", "-N", "gateway"])
        .ok()
        .quiet();
    let queue = format!("out/{}", id("alice"));
    let names = queue_of(env, "gateway", &queue);
    assert_eq!(names.len(), 1);
    let arrived = env.read(format!("gateway/spool/{queue}/{}", names[0]));
    let open = env.relay("open").args(["-N", "alice"]).stdin(arrived);
    open.ok().stdout("hello");
}
