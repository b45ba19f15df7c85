//! relay-serve as a whole process, over TLS on loopback: parcels of 1 KiB over many connections, each durable and routed,
//! beside a Node server that validates them with the library of deployed gateways and stores nothing; what idle
//! collections take; the memory that large parcels of many peers take; and what is left for an honest peer while somebody
//! makes a thousand connections a second.
//!
//! `cargo bench --bench serve` measures the programs of the dist profile; `RELAY_BENCH_BIN` names another directory of
//! programs, `RELAY_BENCH_ONLY` one part (`deliveries`, `idle`, `large` or `hostile`), `RELAY_BENCH_PARCELS` how many
//! parcels are delivered (10000), `RELAY_BENCH_WAITING` how many wait already (100000), `RELAY_BENCH_RECORDS` how many are
//! remembered (1000000), `RELAY_BENCH_IDLE` how many collections are idle (5000), and `RELAY_BENCH_JS` a directory with
//! the npm packages of tests/interop/reference. Without npm the Node server is left out. `TMPDIR` says on which disk the
//! spool is: where others write to it too, a sync waits for what is theirs.
//!
//! The goals, on two cores: 2000 deliveries a second; 320 MiB and 5 % of a core for 5000 idle collections; 64 MiB for 64
//! peers with 8 MB each; 80 % of its rate for an honest peer, without what the attacker itself takes of the machine.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench that cannot go on may as well stop
#![allow(clippy::cast_precision_loss)] // figures are shown, not counted on

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::Buffer;
use relaynet::cms::enveloped_data::Cipher;
use relaynet::message::Item;
use relaynet::node::registrations::{self, RegistrationOptions};
use relaynet::node::{Directory, certificates};
use relaynet::pki::{Certificate, IdentityKey};
use relaynet::send::{self, Draft};
use relaynet::spool::Name;
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

#[path = "measure.rs"]
mod measure;
#[path = "../testenv/online/mod.rs"]
mod online;
#[path = "programs.rs"]
#[allow(dead_code)] // a server is started otherwise than what runs and ends
mod programs;
#[path = "../testenv/mod.rs"]
mod testenv;

use measure::number;
use online::Authority;
use online::client::{self, Tls, answer};
use online::hub::{HOST, PARCEL, nodes, post};
use testenv::{Env, NOW, id};

/// Octets of a record of the replay memory (relay-node(5)).
const RECORD: usize = 32;

/// The connections that deliver.
const CONNECTIONS: usize = 16;

/// The most names that a file may have here: ext4 has 65 000.
const NAMES: usize = 50_000;

fn main() {
    let only = std::env::var("RELAY_BENCH_ONLY").ok();
    let is_asked = |part: &str| only.as_deref().is_none_or(|only| only == part);
    println!("programs: {}", programs::directory().display());
    if is_asked("deliveries") {
        deliveries();
    }
    if is_asked("idle") {
        idle(number("RELAY_BENCH_IDLE", 5000));
    }
    if is_asked("large") {
        large();
    }
    if is_asked("hostile") {
        hostile();
    }
}

/// The hub and its server.
struct World {
    env: Env,
    authority: Authority,
    server: Child,
    port: u16,
}

impl World {
    fn start(env: Env, options: &[&str]) -> Self {
        let authority = Authority::new();
        authority.write(&env);
        authority.leaf(&[HOST]).write(&env, "server");
        let has_tls = !options.contains(&"--behind-proxy");
        let mut command = Command::new(programs::directory().join("relay-serve"));
        command.args(["-v", "-N", "hub", "--listen", "127.0.0.1:0"]);
        if has_tls {
            command.args(["--cert", "server.pem", "--key", "server.key"]);
        }
        let mut server = command
            .args(options)
            .current_dir(env.root())
            .env("RELAY_NOW", NOW)
            // As the unit has it.
            .env("MALLOC_MMAP_THRESHOLD_", "131072")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("event=serving") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it does not serve");
        }
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        // Its events go where the tests read them; here nobody does.
        std::thread::spawn(move || io::copy(&mut said, &mut io::sink()));
        Self {
            env,
            authority,
            server,
            port,
        }
    }

    fn connect(&self) -> Tls {
        client::connect(self.port, HOST, &self.authority).unwrap()
    }

    /// Both processes.
    fn processes(&self) -> [u32; 2] {
        let keeper = self.server.id();
        let path = format!("/proc/{keeper}/task/{keeper}/children");
        let front = fs::read_to_string(path).unwrap();
        [keeper, front.trim().parse().unwrap()]
    }

    /// What both processes took of all cores, in seconds.
    fn cpu(&self) -> f64 {
        let ticks = self
            .processes()
            .map(|pid| ticks(&format!("/proc/{pid}/stat")));
        ticks.into_iter().sum::<u64>() as f64 / 100.0
    }

    /// The memory of each process, now or at most, in MiB.
    fn memory(&self, field: &str) -> [f64; 2] {
        let of = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(field));
            let words = line.unwrap().trim_start_matches(':').split_whitespace();
            words.into_iter().next().unwrap().parse::<f64>().unwrap()
        };
        self.processes().map(|pid| of(pid) / 1024.0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The time that a process or thread took of all cores, in hundredths of a second.
fn ticks(stat: &str) -> u64 {
    let text = fs::read_to_string(stat).unwrap();
    let rest = text.rsplit(')').next().unwrap();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Parcels of this length from bob to alice, sealed by as many threads as there are cores.
fn parcels(env: &Env, number: usize, len: usize) -> Vec<Vec<u8>> {
    let draft = Draft {
        media_type: "application/octet-stream",
        ttl: SignedDuration::from_hours(24 * 30),
        id: None,
        cipher: Cipher::Cbc { key_len: 16 },
        now: NOW.parse::<Timestamp>().unwrap(),
    };
    let node = Directory::open(&env.path("bob")).unwrap();
    let alice = node.find_recipient("alice").unwrap();
    let seal = || {
        let mut content = Buffer::with_capacity(len);
        content.append(&vec![7; len]);
        let sent = send::parcel(&node, alice, content, &draft).unwrap();
        sent.octets.as_slice().to_vec()
    };
    // A directory is of one thread; what is sealed here is no part of the figures.
    (0..number).map(|_| seal()).collect()
}

/// Posts each of these parcels once, over so many connections that `connect` makes; returns the seconds that it took.
fn post_all<S: Read + Write>(
    parcels: &[Vec<u8>],
    connections: usize,
    connect: impl Fn() -> S + Sync,
) -> f64 {
    let next = AtomicUsize::new(0);
    let requests: Vec<Vec<u8>> = parcels.iter().map(|it| post("/", &[PARCEL], it)).collect();
    let started = Mutex::new(None::<Instant>);
    let barrier = std::sync::Barrier::new(connections);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut stream = connect();
                barrier.wait();
                started.lock().unwrap().get_or_insert_with(Instant::now);
                loop {
                    let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    stream.write_all(request).unwrap();
                    stream.flush().unwrap();
                    assert_eq!(answer(&mut stream).unwrap().status(), 202);
                }
            });
        }
    });
    started
        .into_inner()
        .unwrap()
        .unwrap()
        .elapsed()
        .as_secs_f64()
}

/// Many small parcels, where much waits and more is remembered.
fn deliveries() {
    let (count, waiting) = (
        number("RELAY_BENCH_PARCELS", 10_000),
        number("RELAY_BENCH_WAITING", 100_000),
    );
    let records = number("RELAY_BENCH_RECORDS", 1_000_000);
    let env = nodes();
    let parcels = parcels(&env, count, 1024);
    let queue = env.path(format!("hub/spool/out/{}", id("gateway")));
    wait_there(&queue, &parcels[0], waiting);
    remember(&env.path("hub/seen"), records);
    let world = World::start(env, &[]);
    println!(
        "\n{count} parcels of 1 KiB, {CONNECTIONS} connections      s  a second   cores     MiB"
    );
    let before = world.cpu();
    let seconds = post_all(&parcels, CONNECTIONS, || world.connect());
    let cores = (world.cpu() - before) / seconds;
    let memory: f64 = world.memory("VmHWM").iter().sum();
    println!(
        "{:<34} {seconds:>8.2} {:>9.0} {cores:>7.2} {memory:>7.1}",
        "relay-serve, on the disk",
        count as f64 / seconds,
    );
    // All of it is routed, too.
    let started = Instant::now();
    while fs::read_dir(&queue).unwrap().count() < waiting + count {
        assert!(started.elapsed() < Duration::from_secs(120), "not routed");
        std::thread::sleep(Duration::from_millis(50));
    }
    let seconds = seconds + started.elapsed().as_secs_f64();
    let cores = (world.cpu() - before) / seconds;
    println!(
        "{:<34} {seconds:>8.2} {:>9.0} {cores:>7.2}",
        "and routed",
        count as f64 / seconds,
    );
    node_server(&world, &parcels[..count.min(3000)]);
}

/// The same parcels, at a Node server with the library of deployed gateways.
fn node_server(world: &World, parcels: &[Vec<u8>]) {
    let Some(packages) = packages() else {
        println!("Node: no packages");
        return;
    };
    let hub = Directory::open(&world.env.path("hub")).unwrap();
    let now = NOW.parse::<Timestamp>().unwrap();
    let (own, _) = certificates::issuing_path(&hub, now, now).unwrap();
    let authority = own.iter().last().unwrap();
    fs::write(world.env.path("hub.der"), authority.octets()).unwrap();
    let script = packages.join("serve.cjs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/serve.cjs");
    fs::copy(source, &script).unwrap();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut node = Command::new("node")
        .arg(script)
        .args([&port.to_string(), "server.pem", "server.key", "hub.der"])
        .current_dir(world.env.root())
        .env("RELAY_NOW", NOW)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "listening\n");
    let stat = format!("/proc/{}/stat", node.id());
    let connect = || client::connect(port, HOST, &world.authority).unwrap();
    // Warm, as a server that has run for long.
    post_all(&parcels[..parcels.len() / 4], CONNECTIONS, connect);
    let before = ticks(&stat);
    let seconds = post_all(parcels, CONNECTIONS, connect);
    let cores = (ticks(&stat) - before) as f64 / 100.0 / seconds;
    println!(
        "{:<34} {seconds:>8.2} {:>9.0} {cores:>7.2}",
        "Node, validated, nothing stored",
        parcels.len() as f64 / seconds,
    );
    let _ = node.kill();
    let _ = node.wait();
}

/// Where the npm packages of tests/interop/reference are.
fn packages() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("RELAY_BENCH_JS") {
        return Some(fs::canonicalize(dir).unwrap());
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/reference");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-js");
    fs::create_dir_all(&dir).unwrap();
    for name in ["package.json", "package-lock.json"] {
        fs::copy(sources.join(name), dir.join(name)).unwrap();
    }
    if dir.join("node_modules/@relaycorp/relaynet-core").exists() {
        return Some(dir);
    }
    let installed = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&dir)
        .stdout(Stdio::null())
        .status();
    installed
        .is_ok_and(|status| status.success())
        .then_some(dir)
}

/// Has so many parcels wait in a queue. They are names of a few files, since only names are looked at.
fn wait_there(queue: &Path, parcel: &[u8], number: usize) {
    fs::create_dir_all(queue).unwrap();
    let item = Item::parse(parcel.to_vec()).unwrap();
    let expiry = item.message().unwrap().fields().expiry();
    let mut name = Name::of(&item, expiry);
    let mut source = PathBuf::new();
    for at in 0..number {
        name.identity.id[..8].copy_from_slice(&(at as u64).to_be_bytes());
        let path = queue.join(name.to_string());
        if at % NAMES == 0 {
            fs::write(&path, parcel).unwrap();
            source = path;
        } else {
            fs::hard_link(&source, &path).unwrap();
        }
    }
}

/// Writes a memory of a month, whose records are spread as digests are.
fn remember(seen: &Path, records: usize) {
    const DAYS: usize = 30;
    fs::create_dir_all(seen).unwrap();
    let each = records / DAYS;
    let start: Timestamp = NOW.parse().unwrap();
    for day in 0..DAYS {
        let date = start + SignedDuration::from_hours(24 * i64::try_from(day).unwrap());
        let path = seen.join(format!("{}.sorted", date.strftime("%F")));
        let mut file = io::BufWriter::new(File::create(path).unwrap());
        let step = u64::MAX / (each as u64 + 1);
        for nth in 0..each as u64 {
            let mut record = [0; RECORD];
            record[..8].copy_from_slice(&(nth * step + day as u64).to_be_bytes());
            record[8..16].copy_from_slice(&nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            file.write_all(&record).unwrap();
        }
        file.flush().unwrap();
    }
}

/// Keys of many nodes. One takes a tenth of a second to find, so their primes are shared, as no node may do it.
fn keys(number: usize) -> Vec<IdentityKey> {
    let mut primes = Vec::new();
    let mut exponent = None;
    while primes.len() * (primes.len().max(1) - 1) / 2 < number {
        let key = IdentityKey::generate(2048).unwrap();
        let key =
            <rsa::RsaPrivateKey as rsa::pkcs8::DecodePrivateKey>::from_pkcs8_der(key.as_bytes());
        let key = key.unwrap();
        primes.extend(key.primes().iter().map(|prime| prime.as_ref().clone()));
        exponent = Some(key.e().clone());
    }
    let exponent = exponent.unwrap();
    let mut keys = Vec::with_capacity(number);
    for (at, one) in primes.iter().enumerate() {
        for other in &primes[at + 1..] {
            if keys.len() == number {
                return keys;
            }
            let key = rsa::RsaPrivateKey::from_p_q(one.clone(), other.clone(), exponent.clone());
            // Two primes of 1024 bits may have a product of 2047.
            let Ok(key) = key else { continue };
            let der = key.to_pkcs8_der().unwrap();
            keys.extend(IdentityKey::from_pkcs8(der.as_bytes()));
        }
    }
    keys
}

/// What so many collections take in which nothing happens; each node has two.
fn idle(number: usize) {
    // Two descriptors for each, and what else there is.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let env = nodes();
    let hub = Directory::open(&env.path("hub")).unwrap();
    let options = RegistrationOptions {
        now: NOW.parse().unwrap(),
        valid_for: SignedDuration::from_hours(24 * 180),
        node_type: None,
    };
    let registered = keys(number.div_ceil(2)).into_iter().map(|key| {
        let given = registrations::give(&hub, key.public(), &options).unwrap();
        (key, given.registration.node)
    });
    let registered: Vec<(IdentityKey, Certificate)> = registered.collect();
    drop(hub);
    let world = World::start(env, &[]);
    let empty: f64 = world.memory("VmRSS").iter().sum();
    let mut sockets: Vec<WebSocket<Tls>> = Vec::with_capacity(number);
    let mut heard = Instant::now();
    for (key, certificate) in registered.iter().cycle().take(number) {
        sockets.push(collecting(&world, key, certificate));
        if heard.elapsed() >= Duration::from_secs(2) {
            sockets.iter_mut().for_each(hear);
            heard = Instant::now();
        }
    }
    let listen = |sockets: &mut Vec<WebSocket<Tls>>, seconds: u64| {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(seconds) {
            sockets.iter_mut().for_each(hear);
            std::thread::sleep(Duration::from_millis(500));
        }
    };
    listen(&mut sockets, 10);
    let (before, started) = (world.cpu(), Instant::now());
    listen(&mut sockets, 30);
    let share = (world.cpu() - before) / started.elapsed().as_secs_f64() * 100.0;
    let memory: f64 = world.memory("VmRSS").iter().sum();
    println!("\n{number} idle collections                  MiB   KiB each   % of a core");
    println!(
        "{:<34} {memory:>8.1} {:>9.1} {share:>12.2}",
        "relay-serve",
        (memory - empty) * 1024.0 / number as f64,
    );
    assert!(sockets.iter().all(WebSocket::can_read), "some have ended");
}

/// A collection that goes on, with small buffers here as well.
fn collecting(world: &World, key: &IdentityKey, certificate: &Certificate) -> WebSocket<Tls> {
    let url = format!("wss://{HOST}:{}/v1/parcel-collection", world.port);
    let mut request = url.into_client_request().unwrap();
    let value = "keep-alive".parse().unwrap();
    request
        .headers_mut()
        .insert("x-relaynet-streaming-mode", value);
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(1024);
    let socket = tungstenite::client::client_with_config(request, world.connect(), Some(config));
    let mut socket = socket.unwrap().0;
    client::shake_hands(&mut socket, key, certificate);
    socket.get_ref().sock.set_nonblocking(true).unwrap();
    socket
}

/// Answers the pings that came.
fn hear(socket: &mut WebSocket<Tls>) {
    loop {
        match socket.read() {
            Ok(Message::Ping(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let _ = socket.flush();
}

/// The memory that 64 peers take who bring 8 MB each at once.
fn large() {
    const PEERS: usize = 64;
    let env = nodes();
    let parcels = parcels(&env, PEERS, 8_000_000);
    let world = World::start(env, &[]);
    let next = AtomicUsize::new(0);
    let tries = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..PEERS {
            scope.spawn(|| {
                let request = post(
                    "/",
                    &[PARCEL],
                    &parcels[next.fetch_add(1, Ordering::Relaxed)],
                );
                // There are 32 places; who finds none is told to come again.
                loop {
                    tries.fetch_add(1, Ordering::Relaxed);
                    let mut stream = world.connect();
                    let sent = stream.write_all(&request).and_then(|()| stream.flush());
                    let status = sent
                        .and_then(|()| answer(&mut stream))
                        .map(|it| it.status());
                    match status {
                        Ok(202) => return,
                        Ok(503) | Err(_) => std::thread::sleep(Duration::from_millis(200)),
                        Ok(status) => panic!("{status}"),
                    }
                }
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let [keeper, front] = world.memory("VmHWM");
    println!("\n{PEERS} peers with 8 MB each                 s    MB/s   tries     MiB  the front");
    println!(
        "{:<34} {seconds:>8.2} {:>7.0} {:>7} {:>7.1} {front:>10.1}",
        "relay-serve",
        8.0 * PEERS as f64 / seconds,
        tries.load(Ordering::Relaxed),
        keeper + front,
    );
}

/// The header of the PROXY protocol for a client with this address.
fn proxy_header(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x9c, 0x40, 0x01, 0xbb]);
    header
}

/// What an honest peer delivers, alone and while somebody makes a thousand connections a second from as many addresses.
fn hostile() {
    const RATE: usize = 1000;
    const HONEST: usize = 2;
    const ROUNDS: usize = 4;
    let env = nodes();
    let count = number("RELAY_BENCH_PARCELS", 10_000) / (2 * ROUNDS);
    let parcels = parcels(&env, 2 * ROUNDS * count, 1024);
    let mut parts = parcels.chunks(count);
    let world = World::start(env, &["--behind-proxy"]);
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&proxy_header([192, 0, 2, 1])).unwrap();
        stream
    };
    // In turns, since the machine may have other things to do.
    let (mut alone, mut under, mut made, mut attacker) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        alone += post_all(parts.next().unwrap(), HONEST, connect);
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let attack = scope.spawn(|| attack(world.port, RATE, &ends));
            std::thread::sleep(Duration::from_secs(2));
            under += post_all(parts.next().unwrap(), HONEST, connect);
            ends.store(true, Ordering::Relaxed);
            let (rate, share) = attack.join().unwrap();
            made += rate / ROUNDS as f64;
            attacker += share / ROUNDS as f64;
        });
    }
    let cores = std::thread::available_parallelism().unwrap().get() as f64;
    let number = (ROUNDS * count) as f64;
    let (alone, under) = (number / alone, number / under);
    // What the attacker takes of this machine would be its own elsewhere.
    let taken_off = under / (1.0 - attacker / cores);
    println!("\nan honest peer, {HONEST} connections         a second       of it");
    println!("{:<34} {alone:>12.0}", "alone");
    println!(
        "{:<34} {under:>12.0} {:>9.0} %",
        "under attack",
        under / alone * 100.0
    );
    println!(
        "{:<34} {taken_off:>12.0} {:>9.0} %",
        "without the attacker's own CPU",
        taken_off / alone * 100.0
    );
    println!("{made:.0} connections a second, for which the attacker took {attacker:.2} cores");
}

/// Makes so many connections a second, each from another address with the half of a head, and keeps each for 3 seconds.
/// Returns how many it made a second, and the cores that it took.
fn attack(port: u16, rate: usize, ends: &AtomicBool) -> (f64, f64) {
    let mut open: VecDeque<(Instant, TcpStream)> = VecDeque::new();
    let stat = "/proc/thread-self/stat";
    let (before, started) = (ticks(stat), Instant::now());
    let mut made = 0_usize;
    while !ends.load(Ordering::Relaxed) {
        let due = usize::try_from(started.elapsed().as_millis()).unwrap() * rate / 1000;
        while made < due {
            made += 1;
            let [_, b, c, d] = u32::try_from(made).unwrap().to_be_bytes();
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
                continue;
            };
            let head = b"POST / HTTP/1.1\r\nHost: gw";
            let _ = stream.write_all(&[&proxy_header([10 + b, c, d, 1])[..], head].concat());
            open.push_back((Instant::now(), stream));
        }
        while open
            .front()
            .is_some_and(|it| it.0.elapsed() > Duration::from_secs(3))
        {
            open.pop_front();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (ticks(stat) - before) as f64 / 100.0;
    (made as f64 / seconds, cpu / seconds)
}
