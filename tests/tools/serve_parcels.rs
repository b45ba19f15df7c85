//! relay-serve: what it answers to parcels, of anybody and of registered nodes.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use relaynet::ramf::Kind;

use crate::online::Authority;
use crate::online::client::{self, Answered, answer, answer_head, countersigned};
use crate::online::hub::{HOST, Hub, PARCEL, authorization, nodes, post, queue_of};
use crate::online::objects::{self, MAX_PARCEL};
use crate::online::server::Server;
use crate::testenv::{Env, NOW, forged, id, identity, self_issued};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// A parcel from bob to alice, and the hub.
fn hub() -> (Hub, Vec<u8>) {
    let hub = Hub::new();
    let parcel = hub
        .env
        .parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    (hub, parcel)
}

/// The same with another id.
fn renamed(parcel: &[u8], message: &str) -> Vec<u8> {
    forged(parcel, "bob", |it| message.clone_into(&mut it.fields.id))
}

/// What is wrong, what anybody is answered who brings it, and what a registered node is answered.
type Wrong = (&'static str, Vec<u8>, u16, u16);

/// Parcels that are never taken.
fn wrong(parcel: &[u8]) -> Vec<Wrong> {
    let mut broken = renamed(parcel, "broken");
    *broken.last_mut().unwrap() ^= 1;
    let expired = forged(parcel, "bob", |it| {
        "expired".clone_into(&mut it.fields.id);
        it.fields.ttl = 1;
        it.fields.date = NOW.parse::<Timestamp>().unwrap() - SignedDuration::from_hours(3);
    });
    let unauthorized = forged(parcel, "bob", |it| {
        "unauthorized".clone_into(&mut it.fields.id);
        it.certificates.truncate(1);
    });
    let cargo = forged(parcel, "bob", |it| it.kind = Kind::Cargo);
    vec![
        ("no message", b"x".to_vec(), 400, 400),
        ("nothing", Vec::new(), 400, 400),
        (
            "half a parcel",
            parcel[..parcel.len() / 2].to_vec(),
            400,
            400,
        ),
        ("cargo", cargo, 400, 400),
        ("a bad signature", broken, 403, 422),
        ("an expired parcel", expired, 403, 422),
        ("a sender without authorization", unauthorized, 403, 422),
    ]
}

#[test]
fn a_parcel_is_answered_by_what_becomes_of_it() {
    let (hub, parcel) = hub();
    let first = hub.post("/", &[PARCEL], &parcel);
    assert_eq!((first.status(), &*first.body), (202, &b""[..]));
    assert_eq!(hub.bring(&parcel), 202, "again");
    assert_eq!(hub.deliver("mallory", &parcel), 202, "by another road");
    assert_eq!(hub.deliver("mallory", &renamed(&parcel, "m2")), 202);
    for (what, octets, anybody, node) in wrong(&parcel) {
        assert_eq!(hub.bring(&octets), anybody, "{what}");
        assert_eq!(hub.deliver("mallory", &octets), node, "{what}");
    }
    // Nodes of ours may send anywhere; nobody else may use this server as a way to another.
    let abroad = forged(&parcel, "bob", |it| {
        "abroad".clone_into(&mut it.fields.id);
        it.fields.address = Some("other.example.org".parse().unwrap());
    });
    assert_eq!(hub.bring(&abroad), 403);
    hub.server.wait_for("event=repeated ", 2);
    hub.server.wait_for("event=refused ", 15);
    assert_eq!(hub.server.count("event=stored "), 2);
    assert_eq!(hub.server.count("event=refused "), 15);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn the_first_parcel_of_a_new_node_may_be_long() {
    let hub = Hub::new();
    let content = vec![5; 200_000];
    let large = hub.env.parcel("bob", "alice", &content);
    assert_eq!(hub.bring(&large), 202);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn a_parcel_of_a_clock_that_is_early_may_come_again() {
    let (hub, parcel) = hub();
    let early = forged(&parcel, "bob", |it| {
        it.fields.date = NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(3);
    });
    let answer = hub.post("/", &[PARCEL], &early);
    assert_eq!(
        (answer.status(), answer.header("retry-after")),
        (503, Some("30"))
    );
    assert_eq!(hub.deliver("mallory", &early), 503);
    assert!(hub.queue("in").is_empty());
}

/// The with one more line in the hub's config.
fn with_setting(line: &str) -> Env {
    let env = nodes();
    let config = env.text("hub/config");
    env.write("hub/config", format!("{config}{line}\n"));
    env
}

/// What a body is answered that is refused before it is read: the connection ends then, and the answer may be lost.
fn refused_early(ask: impl Fn() -> io::Result<Answered>) -> Answered {
    (0..100).find_map(|_| ask().ok()).unwrap()
}

#[test]
fn without_room_a_parcel_may_come_again() {
    let large = |env: &Env| env.parcel_with("bob", "alice", &vec![5; 200_000], &["--id", "large"]);
    for (setting, is_small_full) in [("reserve = 16000000000G", true), ("quota = 100K", false)] {
        let setting = setting.replace("16000000000G", "16000000G");
        let hub = Hub::of(with_setting(&setting));
        let small = hub
            .env
            .parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
        let large = large(&hub.env);
        let status = if is_small_full { 507 } else { 202 };
        assert_eq!(hub.bring(&small), status, "{setting}");
        for answer in [
            refused_early(|| hub.try_post("/", &[PARCEL], &large)),
            refused_early(|| hub.try_deliver("mallory", &large)),
        ] {
            let later = answer.header("retry-after");
            assert_eq!((answer.status(), later), (507, Some("600")), "{setting}");
        }
        assert_eq!(
            hub.server.count("event=stored "),
            usize::from(!is_small_full)
        );
    }
}

#[test]
fn a_countersignature_is_that_of_a_registered_node_over_this_parcel() {
    let (hub, parcel) = hub();
    let value = |purpose, octets: &[u8]| authorization(&hub.env, "mallory", purpose, octets);
    let good = value(objects::DELIVERY, &parcel);
    let encoded = good.split_once(' ').unwrap().1;
    let own = self_issued("mallory");
    let own = countersigned(&identity("mallory"), &own, objects::DELIVERY, &parcel);
    let cases = [
        ("none", None),
        ("another scheme", Some(format!("Bearer {encoded}"))),
        ("no signature", Some("Relaynet-Countersignature".to_owned())),
        ("no base64", Some("Relaynet-Countersignature ?".to_owned())),
        ("no CMS", Some("Relaynet-Countersignature AAAA".to_owned())),
        (
            "half",
            Some(format!(
                "Relaynet-Countersignature {}",
                &encoded[..encoded.len() / 8 * 4]
            )),
        ),
        ("another purpose", Some(value(objects::COLLECTION, &parcel))),
        ("another parcel", Some(value(objects::DELIVERY, b"x"))),
        (
            "a certificate of its own",
            Some(format!(
                "Relaynet-Countersignature {}",
                STANDARD.encode(own)
            )),
        ),
        (
            "too long",
            Some(format!(
                "Relaynet-Countersignature {}",
                "A".repeat(8 * 1024 + 4)
            )),
        ),
    ];
    for (what, value) in cases {
        let mut headers = vec![PARCEL];
        headers.extend(value.as_deref().map(|it| ("Authorization", it)));
        let answer = hub.post("/v1/parcels", &headers, &parcel);
        let scheme = answer.header("www-authenticate");
        assert_eq!(
            (answer.status(), scheme),
            (401, Some("Relaynet-Countersignature")),
            "{what}"
        );
    }
    assert_eq!(hub.server.count("event=stored "), 0);
    // Deployed clients write the first, and the specification has the second.
    for scheme in ["Relaynet-Countersignature", "awala-countersignature"] {
        let value = format!("{scheme} {encoded}");
        let answer = hub.post("/v1/parcels", &[PARCEL, ("Authorization", &value)], &parcel);
        assert_eq!(answer.status(), 202, "{scheme}");
    }
}

/// Sends a head without its body, and reads the answer.
fn head_alone(hub: &Hub, path: &str, headers: &[(&str, &str)], length: usize) -> Answered {
    let whole = post(path, headers, b"");
    let head = String::from_utf8(whole).unwrap();
    let head = head.replace("Content-Length: 0", &format!("Content-Length: {length}"));
    let mut stream = hub.connect();
    stream.write_all(head.as_bytes()).unwrap();
    answer(&mut stream).unwrap()
}

#[test]
fn a_long_body_is_refused_before_it_is_read() {
    let (hub, parcel) = hub();
    let own = self_issued("mallory");
    let own = countersigned(&identity("mallory"), &own, objects::DELIVERY, &parcel);
    let own = format!("Relaynet-Countersignature {}", STANDARD.encode(own));
    let good = authorization(&hub.env, "mallory", objects::DELIVERY, &parcel);
    for (path, authorization, length, status) in [
        ("/", None, MAX_PARCEL + 1, 413),
        ("/v1/parcels", Some(&good), MAX_PARCEL + 1, 413),
        ("/v1/parcels", Some(&own), 8_000_000, 401),
        ("/v1/parcels", None, 8_000_000, 401),
    ] {
        let mut headers = vec![PARCEL];
        headers.extend(authorization.map(|it| ("Authorization", it.as_str())));
        let answer = head_alone(&hub, path, &headers, length);
        assert_eq!(answer.status(), status, "{path} {length}");
    }
    // Its length is not announced: one octet more than a parcel may have.
    let mut stream = hub.connect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        PARCEL.1,
        MAX_PARCEL + 1
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![0; MAX_PARCEL + 1]).unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 413);
    // A parcel of any length may come so, too.
    let mut stream = hub.connect();
    let head = head.replace(
        &format!("{:x}\r\n", MAX_PARCEL + 1),
        &format!("{:x}\r\n", parcel.len()),
    );
    stream
        .write_all(&[head.as_bytes(), &parcel, b"\r\n0\r\n\r\n"].concat())
        .unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 202);
    assert_eq!(hub.env.names("hub/spool/tmp"), Vec::<String>::new());
}

#[test]
fn paths_types_and_methods_are_those_of_the_bindings() {
    let (hub, parcel) = hub();
    for content_type in [
        "application/octet-stream",
        "text/plain",
        "application/vnd.awala.parcels",
    ] {
        let headers = [("Content-Type", content_type)];
        assert_eq!(
            hub.post("/", &headers, &parcel).status(),
            415,
            "{content_type}"
        );
        assert_eq!(hub.post("/v1/parcels", &headers, &parcel).status(), 415);
    }
    assert_eq!(hub.post("/", &[], &parcel).status(), 415);
    let typed = [("Content-Type", "application/vnd.awala.parcel; x=y")];
    assert_eq!(hub.post("/", &typed, &parcel).status(), 202);
    for (path, methods) in [
        ("/", "HEAD, GET, POST"),
        ("/connection-params.der", "HEAD, GET"),
        ("/v1/parcels", "POST"),
        ("/v1/pre-registrations", "POST"),
        ("/v1/nodes", "POST"),
        ("/v1/parcel-collection", "GET"),
    ] {
        let answer = hub.asks("DELETE", path);
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (405, Some(methods)),
            "{path}"
        );
        let answer = hub.asks("OPTIONS", path);
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (204, Some(methods)),
            "{path}"
        );
    }
    for method in ["GET", "HEAD"] {
        let answer = hub.asks(method, "/");
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        let answer = hub.asks(method, "/connection-params.der");
        assert_eq!(answer.status(), 200);
        assert_eq!(
            answer.header("content-type"),
            Some("application/vnd.etsi.tsl.der")
        );
    }
    assert_eq!(
        hub.asks("GET", "/v1/parcel-collection").status(),
        404,
        "without an upgrade"
    );
    assert_eq!(hub.asks("GET", "/v2/parcels").status(), 404);
    assert_eq!(hub.asks("GET", "/v1/parcels/").status(), 404);
}

#[test]
fn connection_parameters_are_those_of_the_node() {
    let (hub, _) = hub();
    let get = format!("GET /connection-params.der HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let params = hub.exchange(get.as_bytes()).unwrap().body;
    hub.env.make_node("carol", &[]);
    let import = hub
        .env
        .relay("import")
        .args(["-q", "-N", "carol", "--name", "hub"]);
    import.stdin(params).ok().quiet();
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let (hub, parcel) = hub();
    let mut stream = hub.connect();
    let octets = post("/", &[PARCEL, ("Expect", "100-continue")], &parcel);
    let (head, body) = octets.split_at(octets.len() - parcel.len());
    stream.write_all(head).unwrap();
    assert_eq!(answer_head(&mut stream).unwrap().status(), 100);
    stream.write_all(body).unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 202);
    // The connection serves more, and many requests may be sent at once.
    let more: Vec<u8> = (0..5)
        .flat_map(|at| post("/", &[PARCEL], &renamed(&parcel, &format!("p{at}"))))
        .collect();
    stream.write_all(&more).unwrap();
    for _ in 0..5 {
        assert_eq!(answer(&mut stream).unwrap().status(), 202);
    }
    let last = post("/", &[PARCEL, ("Connection", "close")], &parcel);
    stream.write_all(&last).unwrap();
    assert_eq!(answer(&mut stream).unwrap().status(), 202);
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn an_endpoint_takes_its_own_parcels_alone() {
    let env = nodes();
    env.make_node("carol", &["--address", "carol.example.org"]);
    env.introduce("bob", "carol", &[]);
    let authority = Authority::new();
    authority.leaf(&[HOST]).write(&env, "server");
    let options = [
        "-v",
        "-N",
        "carol",
        "--cert",
        "server.pem",
        "--key",
        "server.key",
    ];
    let server = Server::start(env.relay("serve").args(options));
    let status = |octets: &[u8]| {
        let answer = client::exchange(server.port(), HOST, &authority, octets);
        answer.unwrap().status()
    };
    let parcel = env.parcel("bob", "carol", b"hello");
    assert_eq!(status(&post("/", &[PARCEL], &parcel)), 202);
    let other = env.parcel("bob", "alice", b"hello");
    assert_eq!(status(&post("/", &[PARCEL], &other)), 403);
    for path in ["/v1/parcels", "/v1/pre-registrations", "/v1/nodes"] {
        assert_eq!(status(&post(path, &[PARCEL], &parcel)), 404, "{path}");
    }
    server.wait_for("event=stored ", 1);
    assert_eq!(server.stop().status, Some(0));
    env.relay("route").args(["-q", "-N", "carol"]).ok().quiet();
    let home = format!("home/{}", id("carol"));
    let names = queue_of(&env, "carol", &home);
    assert_eq!(names.len(), 1);
    let arrived = env.read(format!("carol/spool/{home}/{}", names[0]));
    env.relay("open")
        .args(["-N", "carol"])
        .stdin(arrived)
        .ok()
        .stdout("hello");
}

#[test]
fn a_registered_node_sends_so_much_to_other_servers_in_a_day() {
    let env = nodes();
    let config = env.text("hub/config");
    env.write("hub/config", format!("{config}foreign-quota = 2\n"));
    env.write("hub/routes", "@elsewhere.example.org peer:gateway\n");
    let hub = Hub::of(env);
    let parcel = hub.env.parcel("bob", "alice", b"x");
    let abroad = |message_id: &str| {
        forged(&parcel, "bob", |forgery| {
            forgery.fields.id = message_id.to_owned();
            forgery.fields.address = Some("elsewhere.example.org".parse().unwrap());
        })
    };
    assert_eq!(hub.deliver("mallory", &abroad("a")), 202);
    // One that was here before is not counted.
    assert_eq!(hub.deliver("mallory", &abroad("a")), 202);
    assert_eq!(hub.deliver("mallory", &abroad("b")), 202);
    let full = hub.try_deliver("mallory", &abroad("c")).unwrap();
    assert_eq!(
        (full.status(), full.header("retry-after")),
        (507, Some("600"))
    );
    // What stays here goes on.
    assert_eq!(hub.deliver("mallory", &parcel), 202);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn what_waited_is_looked_for_on_the_disk_before_it_is_acknowledged() {
    let hub = Hub::new();
    let parcel = hub.env.parcel("bob", "alice", b"x");
    let routed = || hub.waiting("gateway");
    let path = |name: &str| {
        let path = format!("hub/spool/out/{}/{name}", id("gateway"));
        hub.env.path(path)
    };
    for round in 0..3 {
        assert_eq!(hub.bring(&parcel), 202);
        let started = Instant::now();
        while routed().is_empty() {
            assert!(started.elapsed() < LIMIT, "{round}");
        }
        // Where it is, it is not stored again.
        assert_eq!(hub.bring(&parcel), 202);
        hub.server.wait_for("event=repeated", round + 1);
        assert_eq!(hub.queue("in"), Vec::<String>::new());
        // Somebody removes it, as relay-purge, a disk or an operator may; the queues were listed a while ago.
        fs::remove_file(path(&routed()[0])).unwrap();
        std::thread::sleep(Duration::from_millis(1100));
    }
    hub.server.wait_for("event=stored", 3);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}
