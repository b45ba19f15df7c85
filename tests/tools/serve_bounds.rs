//! relay-serve: what one client may take, and what its part for the network can reach.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::process::Pid;

use crate::online::client::{answer, answer_head, rest};
use crate::online::hub::{HOST, Hub, PARCEL, authorization, delivery, nodes, post};
use crate::online::objects::{self, MAX_PARCEL};
use crate::online::server::Server;
use crate::online::site::each_at_once;
use crate::testenv::Env;

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// Nothing, or something that is no whole head.
const SLOW: [&[u8]; 4] = [
    b"",
    b"P",
    b"POST / HTTP/1.1\r\nHost: gw.hub.example.org\r\n",
    // The preface of HTTP/2, without its last octet.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
];

/// Sends an octet a second, of a head that never ends; returns whether the connection ended.
fn trickle(mut stream: impl Read + Write) -> bool {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if stream
            .write_all(b"x")
            .and_then(|()| stream.flush())
            .is_err()
        {
            return true;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    false
}

#[test]
fn a_connection_without_a_head_ends_soon() {
    let hub = Hub::new();
    let tcp = || TcpStream::connect(("127.0.0.1", hub.server.port())).unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        // Before TLS: silent, and in the middle of its greeting.
        for octets in [&b""[..], &[0x16, 3, 1, 2, 0, 1]] {
            scope.spawn(move || {
                let mut stream = tcp();
                stream.write_all(octets).unwrap();
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                assert!(matches!(stream.read(&mut [0; 64]), Ok(0)), "{octets:?}");
            });
        }
        for octets in SLOW {
            let hub = &hub;
            scope.spawn(move || {
                let mut stream = hub.connect();
                stream.write_all(octets).unwrap();
                stream.flush().unwrap();
                // At most an answer that says why, or settings of HTTP/2.
                assert!(rest(&mut stream) < 512, "{octets:?}");
            });
        }
        let hub = &hub;
        scope.spawn(move || assert!(trickle(hub.connect()), "it goes on"));
    });
    // All of them together; each by itself would wait for the limit of its reads.
    println!("all ended within {:?}", started.elapsed());
    assert!(started.elapsed() < LIMIT);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn a_body_that_does_not_come_ends() {
    if env::var_os("CI_FULL").is_none() {
        return; // the limit is 30 s
    }
    let hub = Hub::new();
    let parcel = vec![7; 100_000];
    let whole = post("/", &[PARCEL], &parcel);
    let good = authorization(&hub.env, "mallory", objects::DELIVERY, &parcel);
    let delivered = post("/v1/parcels", &[PARCEL, ("Authorization", &good)], &parcel);
    each_at_once(
        [(whole.clone(), 1), (whole, 50_000), (delivered, 99_999)],
        |(octets, missing)| {
            let mut stream = hub.connect();
            stream.write_all(&octets[..octets.len() - missing]).unwrap();
            stream.flush().unwrap();
            let answer = answer(&mut stream).unwrap();
            assert_eq!(
                (answer.status(), answer.header("connection")),
                (503, Some("close"))
            );
            assert_eq!(rest(&mut stream), 0);
        },
    );
    assert_eq!(hub.env.names("hub/spool/tmp"), Vec::<String>::new());
}

#[test]
fn a_connection_that_asks_for_no_more_ends() {
    if env::var_os("CI_FULL").is_none() {
        return; // the limit is 30 s
    }
    let hub = Hub::new();
    let mut stream = hub.connect();
    stream.write_all(&post("/", &[PARCEL], b"x")).unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 400);
    assert_eq!(rest(&mut stream), 0);
}

#[test]
fn a_head_has_16_kib() {
    let hub = Hub::new();
    for (len, status) in [(8 * 1024, 400), (20 * 1024, 431)] {
        let value = "x".repeat(len);
        let octets = post("/", &[PARCEL, ("X-Long", &value)], b"x");
        let mut stream = hub.connect();
        // What is behind the limit is not read, so that the answer may be lost with it.
        let _ = stream.write_all(&octets).and_then(|()| stream.flush());
        match answer_head(&mut stream) {
            Ok(answer) => assert_eq!(answer.status(), status, "{len}"),
            Err(error) => assert_eq!(status, 431, "{error}"),
        }
    }
    // A head without an end, and one that is no HTTP.
    let mut stream = hub.connect();
    let mut sent = 0;
    while stream
        .write_all(&[b'x'; 1024])
        .and_then(|()| stream.flush())
        .is_ok()
    {
        sent += 1024;
        assert!(sent < 64 << 20, "it reads on");
    }
    let answer = hub.exchange(b"\x16\x03\x01 nothing\r\n\r\n");
    assert!(answer.is_err() || answer.unwrap().status() == 400);
    assert_eq!(hub.bring(b"x"), 400, "others are served");
}

#[test]
fn chunks_without_an_end_end() {
    let hub = Hub::new();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        PARCEL.1
    );
    let chunk = [
        format!("{:x}\r\n", 1 << 16).as_bytes(),
        &vec![0; 1 << 16],
        b"\r\n",
    ]
    .concat();
    let mut stream = hub.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let mut sent = 0;
    while stream.write_all(&chunk).is_ok() {
        sent += 1 << 16;
        assert!(sent < 16 * MAX_PARCEL, "it reads on");
    }
    println!("ended after {sent} octets");
    // The length of a chunk is a number, and small.
    for wrong in ["x\r\n", "ffffffffffffffffff\r\n", "-1\r\n"] {
        let octets = [head.as_bytes(), wrong.as_bytes()].concat();
        let mut stream = hub.connect();
        stream.write_all(&octets).unwrap();
        stream.flush().unwrap();
        let status = answer_head(&mut stream).map_or(400, |it| it.status());
        assert!((400..500).contains(&status), "{wrong:?}: {status}");
    }
    assert_eq!(hub.env.names("hub/spool/tmp"), Vec::<String>::new());
    assert_eq!(hub.bring(b"x"), 400, "others are served");
}

/// A server behind a proxy.
fn behind_proxy(env: &Env) -> Server {
    Server::start(
        env.relay("serve")
            .args(["-v", "-N", "hub", "--behind-proxy"]),
    )
}

/// The header of the PROXY protocol for a client with this address; `None` is the proxy itself.
fn proxy_header(client: Option<[u8; 4]>) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    match client {
        None => header.extend([0x20, 0, 0, 0]),
        Some(client) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(client);
            header.extend([127, 0, 0, 1, 0x9c, 0x40, 0x01, 0xbb]);
        }
    }
    header
}

/// A connection of a client that has asked for something, and stays open if it is served.
fn client_of(server: &Server, client: Option<[u8; 4]>, octets: &[u8]) -> (TcpStream, Option<u16>) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(&[&proxy_header(client), octets].concat())
        .unwrap();
    let status = answer(&mut stream).ok().map(|it| it.status());
    (stream, status)
}

#[test]
fn an_address_has_eight_connections_until_it_shows_a_node() {
    let env = nodes();
    let server = behind_proxy(&env);
    let get = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let asks = |client| client_of(&server, client, get.as_bytes());
    let stranger = Some([192, 0, 2, 7]);
    let mut open: Vec<_> = (0..8).map(|_| asks(stranger)).collect();
    assert!(open.iter().all(|it| it.1 == Some(200)));
    assert_eq!(asks(stranger).1, None, "one too many");
    assert_eq!(
        asks(Some([192, 0, 2, 8])).1,
        Some(200),
        "of another address"
    );
    // What ends makes place.
    drop(open.pop());
    let started = Instant::now();
    let ninth = loop {
        let asked = asks(stranger);
        if asked.1.is_some() {
            break asked;
        }
        assert!(started.elapsed() < LIMIT);
    };
    // So does a connection that shows a node.
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    let mut shows = ninth.0;
    shows
        .write_all(&delivery(&env, "mallory", &parcel))
        .unwrap();
    assert_eq!(answer(&mut shows).unwrap().status(), 202);
    let (_tenth, status) = asks(stranger);
    assert_eq!(status, Some(200));
    assert_eq!(asks(stranger).1, None);
    // The proxy's own connections, and those of this machine, are not counted.
    let own: Vec<_> = (0..12).map(|_| asks(None)).collect();
    let local: Vec<_> = (0..12).map(|_| asks(Some([127, 0, 0, 5]))).collect();
    assert!(own.iter().chain(&local).all(|it| it.1 == Some(200)));
    // Those that were open are served still.
    for (stream, _) in &mut open {
        stream.write_all(get.as_bytes()).unwrap();
        assert_eq!(answer(stream).unwrap().status(), 200);
    }
}

#[test]
fn behind_a_proxy_there_is_its_header_or_nothing() {
    let env = nodes();
    let server = behind_proxy(&env);
    for octets in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        // A length that no header has.
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff0000000000",
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(octets).unwrap();
        let mut came = Vec::new();
        let _ = stream.read_to_end(&mut came);
        assert_eq!(came, b"", "{octets:?}");
    }
    assert_eq!(server.stop().errors(), Vec::<&str>::new());
}

/// The fields of `status` of each thread of a process that have this name.
fn of_threads(pid: Pid, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", pid.as_raw_pid())).unwrap();
    let texts = tasks
        .flatten()
        .filter_map(|it| fs::read_to_string(it.path().join("status")).ok());
    let mut values = Vec::new();
    for text in texts {
        let value = text.lines().find_map(|line| line.strip_prefix(field));
        values.push(value.unwrap().trim().to_owned());
    }
    values
}

/// Where the descriptors of a process lead.
fn descriptors(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_pid())).unwrap();
    let targets = entries
        .flatten()
        .filter_map(|it| fs::read_link(it.path()).ok());
    targets.map(|it| it.display().to_string()).collect()
}

#[test]
fn the_process_for_the_network_has_no_files() {
    let hub = Hub::new();
    let front = hub.server.front();
    let large = hub
        .env
        .parcel_with("bob", "alice", &vec![5; 1_000_000], &["--id", "large"]);
    // The half of a long body is there: its file is open, and has no name.
    let octets = post("/", &[PARCEL], &large);
    let mut stream = hub.connect();
    stream.write_all(&octets[..octets.len() / 2]).unwrap();
    stream.flush().unwrap();
    let root = hub.env.root().to_str().unwrap().to_owned();
    let of_node = || {
        let all = descriptors(front).into_iter();
        all.filter(|it| it.starts_with(&root)).collect::<Vec<_>>()
    };
    let started = Instant::now();
    while of_node().is_empty() {
        assert!(started.elapsed() < LIMIT, "{:?}", descriptors(front));
    }
    let open = of_node();
    assert!(
        open.len() == 1 && open[0].ends_with(" (deleted)"),
        "{open:?}"
    );
    stream.write_all(&octets[octets.len() / 2..]).unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 202);
    let started = Instant::now();
    while !of_node().is_empty() {
        assert!(started.elapsed() < LIMIT, "{:?}", of_node());
    }
    // The keeper has those of the node, and no connection.
    let keeper = descriptors(hub.server.keeper());
    assert!(keeper.iter().any(|it| it.starts_with(&root)), "{keeper:?}");
    let sockets = keeper.iter().filter(|it| it.starts_with("socket:"));
    assert_eq!(sockets.count(), 1, "the other process: {keeper:?}");
}

#[test]
fn no_thread_of_the_process_for_the_network_opens_files() {
    if !has_landlock() {
        eprintln!("not tested: this system has no Landlock");
        return;
    }
    let hub = Hub::new();
    let front = hub.server.front();
    assert_eq!(hub.bring(b"x"), 400);
    // A thread under such rules has no new privileges; the kernel shows nothing else of them.
    let threads = of_threads(front, "NoNewPrivs:");
    assert!(threads.len() > 2, "{threads:?}");
    assert!(threads.iter().all(|it| it == "1"), "{threads:?}");
    let of_keeper = of_threads(hub.server.keeper(), "NoNewPrivs:");
    assert!(of_keeper.len() > 2, "{of_keeper:?}");
}

#[test]
fn the_process_for_the_network_has_no_privileges() {
    let hub = Hub::new();
    let front = hub.server.front();
    assert_eq!(hub.bring(b"x"), 400);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        let threads = of_threads(front, set);
        assert!(threads.len() > 2, "{threads:?}");
        let is_empty = |it: &String| it.bytes().all(|digit| digit == b'0');
        assert!(threads.iter().all(is_empty), "{set} {threads:?}");
    }
}

#[test]
fn a_slow_line_delivers() {
    if env::var_os("CI_FULL").is_none() {
        return; // it takes 36 s
    }
    let hub = Hub::new();
    let parcel = hub
        .env
        .parcel_with("bob", "alice", &vec![5; 40_000], &["--id", "slow"]);
    let mut stream = hub.connect();
    // As a line of 9.6 kbit/s.
    for octets in post("/", &[PARCEL], &parcel).chunks(1150) {
        stream.write_all(octets).unwrap();
        stream.flush().unwrap();
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(answer(&mut stream).unwrap().status(), 202);
}

#[test]
fn silent_bodies_from_many_addresses_keep_nobody_out() {
    let env = nodes();
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    let whole = post("/", &[PARCEL], &parcel);
    let server = behind_proxy(&env);
    // All places for short parcels, with heads that promise one. Each address has two.
    let promise = post("/", &[PARCEL], &vec![7; 60_000]);
    let promise = &promise[..promise.len() - 60_000];
    let silent = |number: u8| {
        let client = proxy_header(Some([10, 0, number / 2, 1]));
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(&[&client, promise].concat()).unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..=255).map(silent).collect();
    std::thread::sleep(Duration::from_millis(1200));
    for number in 0..20 {
        let (_, status) = client_of(&server, Some([192, 0, 2, number]), &whole);
        assert_eq!(status, Some(202), "{number}");
    }
    drop(held);
}

/// Whether the kernel has such rules.
fn has_landlock() -> bool {
    use landlock::{
        ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    };
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let handled = ruleset.handle_access(AccessFs::from_all(ABI::V1));
    handled.and_then(Ruleset::create).is_ok()
}
