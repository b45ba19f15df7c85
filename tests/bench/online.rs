//! relay-online and relay-post as whole processes, over TLS on loopback, against the servers of the tests: one waiting
//! parcel beside a listing of the same queue, many parcels of 1 KiB each way, parcels of 8 MB each way and to five
//! addresses with the most memory that they took, and what a follower costs that has nothing to do. Beside them curl,
//! which posts the same octets and stores nothing, where it is installed.
//!
//! `cargo bench --bench online` measures the programs of the dist profile; `RELAY_BENCH_BIN` names another directory of
//! programs, `RELAY_BENCH_PARCELS` how many parcels there are (10000), `RELAY_BENCH_IDLE` the seconds that a follower is
//! watched (20), and `RELAY_BENCH_ONLY` one part: `gateway` (relay-online) or `direct` (relay-post).

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::Buffer;
use relaynet::cms::enveloped_data::Cipher;
use relaynet::node::Directory;
use relaynet::pki::NodeId;
use relaynet::send::{self, Draft};

#[path = "measure.rs"]
mod measure;
#[path = "../testenv/online/mod.rs"]
mod online;
#[path = "programs.rs"]
mod programs;
#[path = "../testenv/mod.rs"]
mod testenv;

use online::collecting::{Session, Step};
use online::gateway::Place as Request;
use online::{Answer, Authority, Fault, Gateway, Resolver, Web};
use programs::{Place, Usage};
use testenv::{Env, HUB, NOW, id};

const HOST: &str = "poweb.hub.example.org";
const MIB: f64 = 1024.0 * 1024.0;

struct World {
    env: Env,
    place: Place,
    resolver: Resolver,
    gateway: Gateway,
}

impl World {
    fn new() -> Self {
        let env = Env::with_gateways();
        // An endpoint behind the gateway, to which bob may send.
        let dave = "gateway/endpoints/dave";
        let keygen = env.relay("keygen").args([
            "-N",
            "gateway",
            "--endpoint",
            "dave",
            "--set",
            "clock=test",
        ]);
        keygen.ok();
        let public = env.relay("export").args(["-N", "bob"]).ok().stdout;
        let authorize = env
            .relay("authorize")
            .args(["-q", "-N", dave, "--name", "bob"]);
        let params = authorize.stdin(public).ok().stdout;
        let import = env
            .relay("import")
            .args(["-q", "-N", "bob", "--name", "dave"]);
        import.stdin(params).ok();
        let authority = Authority::new();
        authority.write(&env);
        let resolver = Resolver::start(&authority);
        let gateway = Gateway::start(&env, "hub", &authority, HOST);
        gateway.announce(&resolver, HUB, HOST);
        let place = Place {
            programs: programs::directory(),
            dir: env.root().to_owned(),
        };
        programs::compile(&["peak"], &place.dir);
        Self {
            env,
            place,
            resolver,
            gateway,
        }
    }

    /// A run of a program at the gateway of the site: how long it took, and what.
    fn time(&self, words: &[&str]) -> (f64, Usage) {
        time(&self.place, words)
    }

    fn online(&self) -> (f64, Usage) {
        let url = self.resolver.url();
        let words = [
            "relay-online",
            "-N",
            "gateway",
            "-q",
            "--ca",
            "ca.pem",
            "--resolver",
            &url,
        ];
        self.time(&words)
    }

    /// Parcels of this length between two endpoints.
    fn parcels(&self, from_to: (&str, &str), number: usize, len: usize) -> Vec<Vec<u8>> {
        parcels(&self.env, from_to, number, len)
    }

    /// Parcels that wait for the hub.
    fn put(&self, parcels: &[Vec<u8>]) {
        self.env.write("stream", parcels.concat());
        self.time(&["relay-put", "-q", "-N", "gateway", "stream"]);
        self.time(&["relay-route", "-q", "-N", "gateway"]);
        fs::remove_file(self.env.path("stream")).unwrap();
    }

    fn waiting(&self, queue: &str) -> usize {
        let dir = self.env.path("gateway/spool").join(queue).read_dir();
        dir.map_or(0, Iterator::count)
    }
}

/// A run of a program: how long it took, and what.
fn time(place: &Place, words: &[&str]) -> (f64, Usage) {
    let now = format!("RELAY_NOW={NOW}");
    let program = place.programs.join(words[0]);
    let words = &words[1..];
    let words: Vec<&str> = ["env", &now, program.to_str().unwrap()]
        .iter()
        .chain(words)
        .copied()
        .collect();
    let start = Instant::now();
    let usage = place.measured(&words, true);
    (start.elapsed().as_secs_f64(), usage)
}

/// Parcels of this length between two nodes.
fn parcels(env: &Env, (from, to): (&str, &str), number: usize, len: usize) -> Vec<Vec<u8>> {
    let node = Directory::open(&env.path(from)).unwrap();
    let draft = Draft {
        media_type: "application/octet-stream",
        ttl: SignedDuration::from_hours(24 * 30),
        id: None,
        cipher: Cipher::Cbc { key_len: 16 },
        now: NOW.parse::<Timestamp>().unwrap(),
    };
    let peer = node.find_recipient(to).unwrap();
    let seal = |_| {
        let mut content = Buffer::with_capacity(len);
        content.append(&vec![7; len]);
        let sent = send::parcel(&node, peer, content, &draft).unwrap();
        sent.octets.as_slice().to_vec()
    };
    (0..number).map(seal).collect()
}

/// A node that posts to five addresses.
struct Direct {
    env: Env,
    place: Place,
    resolver: Resolver,
    web: Web,
}

impl Direct {
    fn new() -> Self {
        let env = Env::new();
        env.make_node("alice", &["--set", "direct=fallback"]);
        let hosts: Vec<String> = (0..5).map(|at| format!("n{at}.example.org")).collect();
        let authority = Authority::new();
        authority.write(&env);
        let resolver = Resolver::start(&authority);
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let web = Web::start(&authority, &names);
        for host in &hosts {
            let name = host.split('.').next().unwrap();
            let keygen = env.relay("keygen").args(["--set", "clock=test"]);
            keygen.args(["--address", host, name]).ok();
            let params = env.relay("export").args(["-N", name]).ok().stdout;
            let import = env.relay("import");
            let import = import.args(["-q", "-N", "alice", "--name", name]);
            import.stdin(params).ok();
            resolver.add_service("_awala-pdc", host, host, web.port());
            resolver.add_address(host);
        }
        let place = Place {
            programs: programs::directory(),
            dir: env.root().to_owned(),
        };
        programs::compile(&["peak"], &place.dir);
        Self {
            env,
            place,
            resolver,
            web,
        }
    }

    /// A parcel of this length that waits for each of so many addresses.
    fn put(&self, addresses: usize, len: usize) {
        let each = (0..addresses)
            .flat_map(|at| parcels(&self.env, ("alice", &format!("n{at}")), 1, len))
            .collect::<Vec<_>>();
        self.env.write("stream", each.concat());
        time(&self.place, &["relay-put", "-q", "-N", "alice", "stream"]);
        time(&self.place, &["relay-route", "-q", "-N", "alice"]);
    }

    fn post(&self) -> (f64, Usage) {
        let url = self.resolver.url();
        let words = ["relay-post", "-N", "alice", "-q", "--private"];
        let options = ["--ca", "ca.pem", "--resolver", &url];
        let posted = time(&self.place, &[&words[..], &options[..]].concat());
        let left = self.env.names("alice/spool/out/@internet");
        assert!(left.is_empty(), "{left:?}");
        posted
    }
}

fn main() {
    let only = std::env::var("RELAY_BENCH_ONLY").ok();
    println!("programs: {}", programs::directory().display());
    if only.as_deref() != Some("direct") {
        let world = World::new();
        one(&world);
        many(&world, measure::number("RELAY_BENCH_PARCELS", 10_000));
        large(&world);
        idle(&world, measure::number("RELAY_BENCH_IDLE", 20));
    }
    if only.as_deref() != Some("gateway") {
        direct();
    }
}

/// One waiting parcel, beside a listing of the same queue.
fn one(world: &World) {
    let parcels = world.parcels(("alice", "bob"), 21, 1024);
    world.online(); // what the resolver says is kept
    let (mut list, mut online) = (Vec::new(), Vec::new());
    for parcel in &parcels {
        world.put(std::slice::from_ref(parcel));
        list.push(world.time(&["relay-list", "-N", "gateway", "out"]).0);
        online.push(world.online().0);
    }
    let (list, online) = (median(list), median(online));
    println!("\none waiting parcel                      ms");
    println!("{:<34} {list:>7.1}", "relay-list");
    println!("{:<34} {online:>7.1}", "relay-online, submit and collect");
    println!("{:<34} {:>7.1}", "over relay-list", online - list);
}

/// Milliseconds.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2] * 1e3
}

/// What relay-post takes for one waiting parcel, and for one of 8 MB to each of five addresses.
fn direct() {
    let direct = Direct::new();
    direct.put(5, 1024);
    direct.post(); // what the resolver says is kept
    let (mut list, mut post) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        direct.put(1, 1024);
        let words = ["relay-list", "-N", "alice", "out"];
        list.push(time(&direct.place, &words).0);
        post.push(direct.post().0);
    }
    let (list, post) = (median(list), median(post));
    println!("\none waiting parcel                      ms");
    println!("{:<34} {list:>7.1}", "relay-list");
    println!("{:<34} {post:>7.1}", "relay-post");
    println!("{:<34} {:>7.1}", "over relay-list", post - list);
    direct.put(5, 8_000_000);
    let before = direct.web.requests().all().len();
    let (seconds, usage) = direct.post();
    assert_eq!(direct.web.requests().all().len() - before, 5, "posted");
    println!("\n5 parcels of 8 MB to 5 addresses         s    MB/s     MiB");
    println!(
        "{:<34} {seconds:>8.2} {:>7.0} {:>7.1}",
        "relay-post",
        40.0 / seconds,
        usage.memory as f64 / MIB
    );
}

/// Many small parcels each way.
fn many(world: &World, number: usize) {
    println!("\n{number} parcels of 1 KiB                    s  a second   cores     MiB");
    let row = |name: &str, (seconds, usage): (f64, Usage)| {
        println!(
            "{name:<34} {seconds:>8.2} {:>9.0} {:>7.2} {:>7.1}",
            number as f64 / seconds,
            usage.cpu / seconds,
            usage.memory as f64 / MIB,
        );
    };
    let parcels = world.parcels(("alice", "bob"), number, 1024);
    if let Some(seconds) = curl(world, &parcels[..number.min(1000)]) {
        let each = seconds / parcels[..number.min(1000)].len() as f64;
        println!(
            "{:<34} {:>8} {:>9.0}",
            "curl, one connection, nothing kept",
            "",
            1.0 / each
        );
    }
    world.put(&parcels);
    let hub = format!("out/{}", id("hub"));
    assert_eq!(world.waiting(&hub), number);
    // The gateway of the tests looks at its files for each parcel, which takes longer than all of ours.
    let taken = Fault::Answer(Answer::new(202));
    world.gateway.faults(Request::Parcels).always(Some(taken));
    row("submit", world.online());
    world.gateway.faults(Request::Parcels).always(None);
    assert_eq!(world.waiting(&hub), 0, "submitted");
    let gateway: NodeId = id("gateway").parse().unwrap();
    let before = world.waiting("in");
    for parcel in world.parcels(("bob", "dave"), number, 1024) {
        world.gateway.post(gateway, parcel);
    }
    // As deployed gateways do: all at once, whatever was acknowledged. The usual session of the tests looks at the whole
    // mailbox after each acknowledgement.
    let session = [
        Step::SendMail,
        Step::Acknowledgements(number),
        Step::Close(1000, ""),
    ];
    world
        .gateway
        .collect_next(Session::after_handshake(session));
    row("collect", world.online());
    assert_eq!(world.waiting("in") - before, number, "collected");
}

/// Parcels of 8 MB each way.
fn large(world: &World) {
    println!("\n4 parcels of 8 MB                        s    MB/s     MiB");
    let row = |name: &str, (seconds, usage): (f64, Usage)| {
        let rate = 32.0 / seconds;
        println!(
            "{name:<34} {seconds:>8.2} {rate:>7.0} {:>7.1}",
            usage.memory as f64 / MIB
        );
    };
    let gateway: NodeId = id("gateway").parse().unwrap();
    world.put(&world.parcels(("alice", "bob"), 4, 8_000_000));
    row("submit", world.online());
    for parcel in world.parcels(("bob", "dave"), 4, 8_000_000) {
        world.gateway.post(gateway, parcel);
    }
    row("collect", world.online());
}

/// A follower that has nothing to do.
fn idle(world: &World, seconds: usize) {
    let url = world.resolver.url();
    let mut follower = Command::new(world.place.programs.join("relay-online"))
        .args([
            "-N",
            "gateway",
            "--follow",
            "-q",
            "--ca",
            "ca.pem",
            "--resolver",
            &url,
        ])
        .current_dir(world.env.root())
        .env("RELAY_NOW", NOW)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let stat = format!("/proc/{}/stat", follower.id());
    let before = ticks(Path::new(&stat));
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let after = ticks(Path::new(&stat));
    let _ = follower.kill();
    let _ = follower.wait();
    let share = (after - before) as f64 / 100.0 / seconds as f64;
    println!(
        "\na follower without anything to do, for {seconds} s: {:.2} % of a core",
        share * 100.0
    );
}

/// The time that a process took of all cores, in hundredths of a second.
fn ticks(stat: &Path) -> u64 {
    let text = fs::read_to_string(stat).unwrap();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The seconds that curl takes to post these to the front of the gateway, on one connection.
fn curl(world: &World, parcels: &[Vec<u8>]) -> Option<f64> {
    let mut config = String::new();
    for (at, parcel) in parcels.iter().enumerate() {
        let name = format!("curl.{at}");
        world.env.write(&name, parcel);
        let port = world.gateway.port();
        for line in [
            "next",
            &format!("url = \"https://{HOST}:{port}/v1/parcels\""),
            &format!("resolve = \"{HOST}:{port}:127.0.0.1\""),
            "cacert = \"ca.pem\"",
            &format!("data-binary = \"@{name}\""),
            "header = \"Content-Type: application/vnd.awala.parcel\"",
            "output = \"/dev/null\"",
        ] {
            config.push_str(line);
            config.push('\n');
        }
    }
    world.env.write("curl.config", &config);
    let start = Instant::now();
    let status = Command::new("curl")
        .args(["-s", "-K", "curl.config"])
        .current_dir(world.env.root())
        .status();
    status
        .ok()?
        .success()
        .then(|| start.elapsed().as_secs_f64())
}
