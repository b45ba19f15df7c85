//! relay-serve: collections, and clients that break off or lie.

use std::env;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::online::client::{self, countersigned, response};
use crate::online::hub::{
    HOST, Hub, LIVE, ONCE, Seen, acknowledge, certificate, collect_all, next, nodes, queue_of,
};
use crate::online::objects;
use crate::online::server::Server;
use crate::testenv::{Env, forged, id, identity, self_issued};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// A hub where these many parcels wait for alice, who is behind the node gateway.
fn hub_with(count: usize) -> (Hub, Vec<Vec<u8>>) {
    let env = nodes();
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m0"]);
    let parcels: Vec<Vec<u8>> = (0..count)
        .map(|at| forged(&parcel, "bob", |it| it.fields.id = format!("m{at}")))
        .collect();
    for parcel in &parcels {
        env.relay("put")
            .args(["-q", "-N", "hub"])
            .stdin(parcel.clone())
            .ok();
    }
    env.relay("route").args(["-q", "-N", "hub"]).ok().quiet();
    let hub = Hub::of(env);
    assert_eq!(hub.waiting("gateway").len(), count);
    (hub, parcels)
}

/// The end of a collection whose challenge is answered by these octets, made of the nonce.
fn answered(hub: &Hub, make: impl FnOnce(&[u8]) -> Message) -> Seen {
    let mut socket = hub.collect(&[ONCE]).unwrap();
    let challenge = client::challenge(&mut socket);
    assert_eq!(challenge.len(), 20);
    socket.send(make(&challenge[4..])).unwrap();
    next(&mut socket)
}

fn signed(hub: &Hub, node: &str, nonce: &[u8]) -> Vec<u8> {
    let certificate = certificate(&hub.env, node);
    countersigned(&identity(node), &certificate, objects::COLLECTION, nonce)
}

/// Signs a nonce.
type Signs<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

#[test]
fn a_collection_is_for_one_node_that_signs_this_nonce() {
    let (hub, parcels) = hub_with(1);
    let own = |nonce: &[u8]| {
        let certificate = self_issued("gateway");
        countersigned(
            &identity("gateway"),
            &certificate,
            objects::COLLECTION,
            nonce,
        )
    };
    let delivery = |nonce: &[u8]| {
        let certificate = certificate(&hub.env, "gateway");
        countersigned(&identity("gateway"), &certificate, objects::DELIVERY, nonce)
    };
    let refused = Seen::Close(1003);
    assert_eq!(answered(&hub, |_| Message::binary("x")), refused);
    assert_eq!(answered(&hub, |_| Message::binary("")), refused);
    assert_eq!(answered(&hub, |_| Message::text("x")), refused);
    assert_eq!(answered(&hub, |_| Message::binary(response(&[]))), refused);
    let signatures: [(&str, Signs<'_>); 4] = [
        ("of another nonce", &|_| signed(&hub, "gateway", &[7; 16])),
        ("with its own certificate", &own),
        ("for another purpose", &delivery),
        ("no signature", &|_| vec![5, 0]),
    ];
    for (what, signature) in signatures {
        let seen = answered(&hub, |nonce| {
            Message::binary(response(&[&signature(nonce)]))
        });
        assert_eq!(seen, refused, "{what}");
    }
    let both = answered(&hub, |nonce| {
        let nodes = ["gateway", "mallory"].map(|node| signed(&hub, node, nonce));
        Message::binary(response(&[&nodes[0], &nodes[1]]))
    });
    assert_eq!(both, refused);
    assert!(answered(&hub, |_| Message::binary(vec![0; 16 * 1024 + 1])).closes());
    // Mallory gets nothing of the gateway's.
    let seen = answered(&hub, |nonce| {
        Message::binary(response(&[&signed(&hub, "mallory", nonce)]))
    });
    assert_eq!(seen, Seen::Close(1000));
    let seen = answered(&hub, |nonce| {
        Message::binary(response(&[&signed(&hub, "gateway", nonce)]))
    });
    assert_eq!(seen.parcel().1, parcels[0]);
    assert_eq!(hub.server.count("event=collected "), 0);
}

impl Seen {
    fn closes(&self) -> bool {
        !matches!(self, Self::Parcel(..))
    }
}

#[test]
fn everything_is_collected_once_one_after_the_other() {
    let (hub, mut parcels) = hub_with(20);
    let mut socket = hub.collecting("gateway", &[ONCE]);
    let (mut collected, end) = collect_all(&mut socket);
    assert_eq!(end, Seen::Close(1000));
    collected.sort();
    parcels.sort();
    assert!(collected == parcels);
    assert!(hub.waiting("gateway").is_empty());
    let (again, end) = collect_all(&mut hub.collecting("gateway", &[ONCE]));
    assert_eq!((again.len(), end), (0, Seen::Close(1000)));
    let line = format!("event=collected id=m7 to={} by=gateway", id("alice"));
    assert_eq!(hub.server.count(&line), 1);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn a_collection_that_is_kept_open_gets_what_comes() {
    let (hub, parcels) = hub_with(1);
    let mut socket = hub.collecting("gateway", &[LIVE]);
    let (delivery, parcel) = next(&mut socket).parcel();
    assert_eq!(parcel, parcels[0]);
    acknowledge(&mut socket, &delivery);
    for at in 1..4 {
        let parcel = forged(&parcels[0], "bob", |it| it.fields.id = format!("m{at}"));
        assert_eq!(hub.deliver("mallory", &parcel), 202);
        let (delivery, came) = next(&mut socket).parcel();
        assert!(came == parcel, "{at}");
        acknowledge(&mut socket, &delivery);
    }
    hub.server.wait_for("event=collected ", 4);
    socket.close(None).unwrap();
    assert!(next(&mut socket).closes());
}

#[test]
fn a_client_with_a_window_gets_so_many_before_it_acknowledges() {
    let (hub, parcels) = hub_with(5);
    let headers = [ONCE, ("x-relaynet-delivery-window", "3")];
    let mut socket = hub.collecting("gateway", &headers);
    let first: Vec<_> = (0..3).map(|_| next(&mut socket).parcel()).collect();
    // In any order, and each makes place for another.
    acknowledge(&mut socket, &first[2].0);
    let fourth = next(&mut socket).parcel();
    acknowledge(&mut socket, &first[0].0);
    let fifth = next(&mut socket).parcel();
    for (delivery, _) in [&first[1], &fifth, &fourth] {
        acknowledge(&mut socket, delivery);
    }
    assert_eq!(next(&mut socket), Seen::Close(1000));
    let mut all: Vec<_> = first
        .into_iter()
        .chain([fourth, fifth])
        .map(|it| it.1)
        .collect();
    let mut parcels = parcels;
    all.sort();
    parcels.sort();
    assert!(all == parcels);
    assert!(hub.waiting("gateway").is_empty());
}

#[test]
fn only_a_delivery_is_acknowledged_and_once() {
    let (hub, _) = hub_with(2);
    for wrong in [
        "",
        "x",
        "8f14e45f-ceea-467f-a0e6-000000000001",
        &"x".repeat(10_000),
    ] {
        let mut socket = hub.collecting("gateway", &[ONCE]);
        next(&mut socket).parcel();
        acknowledge(&mut socket, wrong);
        assert_eq!(next(&mut socket), Seen::Close(1003), "{wrong}");
        assert_eq!(hub.waiting("gateway").len(), 2);
    }
    // Twice.
    let mut socket = hub.collecting("gateway", &[ONCE]);
    let (delivery, _) = next(&mut socket).parcel();
    acknowledge(&mut socket, &delivery);
    acknowledge(&mut socket, &delivery);
    let mut end = next(&mut socket);
    while let Seen::Parcel(..) = end {
        end = next(&mut socket);
    }
    assert_eq!(end, Seen::Close(1003));
    hub.server.wait_for("event=collected ", 1);
    assert_eq!(hub.waiting("gateway").len(), 1);
    // As octets, which deployed gateways take, too.
    let mut socket = hub.collecting("gateway", &[ONCE]);
    let (delivery, _) = next(&mut socket).parcel();
    socket.send(Message::binary(delivery)).unwrap();
    assert_eq!(next(&mut socket), Seen::Close(1000));
    assert!(hub.waiting("gateway").is_empty());
}

#[test]
fn an_id_of_another_collection_acknowledges_nothing() {
    let (hub, _) = hub_with(1);
    let mut first = hub.collecting("gateway", &[LIVE]);
    let mut second = hub.collecting("gateway", &[LIVE]);
    let (delivery, _) = next(&mut first).parcel();
    let (other, _) = next(&mut second).parcel();
    assert_ne!(delivery, other);
    acknowledge(&mut second, &delivery);
    assert_eq!(next(&mut second), Seen::Close(1003));
    assert_eq!(hub.waiting("gateway").len(), 1);
    acknowledge(&mut first, &delivery);
    hub.server.wait_for("event=collected ", 1);
    assert!(hub.waiting("gateway").is_empty());
}

#[test]
fn a_third_collection_of_a_node_ends_the_oldest() {
    let (hub, _) = hub_with(1);
    let mut others = hub.collecting("mallory", &[LIVE]);
    let mut first = hub.collecting("gateway", &[LIVE]);
    next(&mut first).parcel();
    let mut second = hub.collecting("gateway", &[LIVE]);
    next(&mut second).parcel();
    let mut third = hub.collecting("gateway", &[LIVE]);
    let (delivery, _) = next(&mut third).parcel();
    assert_eq!(next(&mut first), Seen::Close(4000));
    // The others go on.
    acknowledge(&mut third, &delivery);
    hub.server.wait_for("event=collected ", 1);
    for socket in [&mut second, &mut third, &mut others] {
        socket.send(Message::Ping("x".into())).unwrap();
        while !matches!(socket.read().unwrap(), Message::Pong(_)) {}
    }
}

#[test]
fn a_browser_is_refused() {
    let (hub, _) = hub_with(1);
    let mut socket = hub
        .collect(&[ONCE, ("origin", "https://example.org")])
        .unwrap();
    assert_eq!(next(&mut socket), Seen::Close(1008));
}

#[test]
fn nothing_is_compressed() {
    let (hub, _) = hub_with(1);
    let offer = (
        "sec-websocket-extensions",
        "permessage-deflate; client_max_window_bits",
    );
    let mut stream = hub.connect();
    let head = format!(
        "GET /v1/parcel-collection?x=y HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}: {}\r\n\r\n",
        offer.0, offer.1
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = client::answer_head(&mut stream).unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(
        answer.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    assert_eq!(answer.header("sec-websocket-protocol"), None);
}

#[test]
fn who_does_not_answer_the_challenge_is_left() {
    let (hub, _) = hub_with(1);
    // It answers pings, and nothing else.
    let mut socket = hub.collect(&[ONCE]).unwrap();
    let started = Instant::now();
    let mut pings = 0;
    let end = loop {
        match socket.read() {
            Ok(Message::Ping(_)) => pings += 1,
            Ok(Message::Close(frame)) => break frame.map(|it| u16::from(it.code)),
            Ok(_) => {}
            Err(_) => break None,
        }
        assert!(started.elapsed() < LIMIT);
    };
    assert_eq!(end, Some(1008));
    assert!(pings >= 1, "the first is sent at once");
}

#[test]
fn who_answers_no_ping_is_left() {
    if env::var_os("CI_FULL").is_none() {
        return;
    }
    let (hub, _) = hub_with(1);
    let mut socket = hub.collecting("gateway", &[LIVE]);
    next(&mut socket).parcel();
    // Pings are read from the stream itself, so nothing answers them.
    let stream = socket.get_mut();
    let mut octets = [0; 4096];
    while !matches!(stream.read(&mut octets), Ok(0) | Err(_)) {}
    assert_eq!(hub.waiting("gateway").len(), 1);
}

/// The octets that a client sends after the challenge: its answer, and an acknowledgement of nothing.
fn script(hub: &Hub, nonce: &[u8]) -> Vec<u8> {
    let response = response(&[&signed(hub, "gateway", nonce)]);
    let mut octets = Vec::new();
    for (first, payload) in [(0x82, &response[..]), (0x81, b"x")] {
        octets.push(first);
        // Masked, and the length in one octet or in the two after it.
        if let Ok(len @ ..=125) = u8::try_from(payload.len()) {
            octets.push(0x80 | len);
        } else {
            octets.push(0x80 | 0x7e);
            octets.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
        octets.extend([0; 4]); // a mask that changes nothing
        octets.extend(payload);
    }
    octets
}

#[test]
fn a_client_may_go_away_after_any_octet() {
    let (hub, parcels) = hub_with(1);
    let len = script(&hub, &[0; 16]).len();
    // The first and last octets, where lengths, masks and frames begin and end, and some between.
    let step = if env::var_os("CI_FULL").is_some() {
        7
    } else {
        151
    };
    let is_tried = |at: &usize| *at < 10 || at.is_multiple_of(step) || *at + 12 > len;
    let mut tried = 0;
    for cut in (0..=len).filter(is_tried) {
        let mut socket = hub.collect(&[LIVE]).unwrap();
        let challenge = client::challenge(&mut socket);
        let octets = script(&hub, &challenge[4..]);
        let stream = socket.get_mut();
        stream.write_all(&octets[..cut]).unwrap();
        stream.flush().unwrap();
        // Without a goodbye of TLS.
        drop(socket);
        tried += 1;
    }
    println!("{tried} cuts in {len} octets");
    let mut socket = hub.collecting("gateway", &[ONCE]);
    let (collected, end) = collect_all(&mut socket);
    assert!(collected == parcels);
    assert_eq!(end, Seen::Close(1000));
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn what_was_delivered_and_not_acknowledged_comes_again() {
    let (hub, parcels) = hub_with(1);
    // A client that is killed between the two: its connection ends with a reset, or without a word.
    let mut socket = hub.collecting("gateway", &[LIVE]);
    assert!(next(&mut socket).parcel().1 == parcels[0]);
    drop(socket);
    assert_eq!(hub.waiting("gateway").len(), 1);
    // Ours, killed at any moment.
    for delay in [0, 5, 20, 50, 100] {
        let mut run = hub.online("gateway").args(["-q", "--follow"]).to_command();
        let mut child = run.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    hub.online("gateway").ok();
    hub.env.relay("route").args(["-q", "-N", "gateway"]).ok();
    assert!(hub.waiting("gateway").is_empty());
    let queue = format!("out/{}", id("alice"));
    assert_eq!(queue_of(&hub.env, "gateway", &queue).len(), 1);
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn a_local_gateway_gives_to_several_nodes_in_one_collection() {
    let env = Env::new();
    env.make_node("gateway", &["--type", "gateway"]);
    for node in ["alice", "bob"] {
        env.make_node(node, &[]);
        env.register("gateway", node, &[]);
    }
    env.introduce("alice", "bob", &[]);
    env.introduce("bob", "alice", &[]);
    let server = Server::start(env.relay("serve").args(["-v", "-N", "gateway"]));
    let ids = [("alice", "bob"), ("bob", "alice")].map(|(from, to)| {
        let parcel = env.parcel(from, to, b"hello");
        env.relay("put")
            .args(["-q", "-N", "gateway"])
            .stdin(parcel.clone())
            .ok();
        parcel
    });
    env.relay("route").args(["-q", "-N", "gateway"]).ok();
    let (mut socket, _) = tungstenite::client(
        format!("ws://127.0.0.1:{}/v1/parcel-collection", server.port()),
        std::net::TcpStream::connect(("127.0.0.1", server.port())).unwrap(),
    )
    .unwrap();
    let challenge = client::challenge(&mut socket);
    let gateway = relaynet::node::Directory::open(&env.path("gateway")).unwrap();
    let signatures = ["alice", "bob"].map(|node| {
        let given = relaynet::node::registrations::given_to(&gateway, id(node).parse().unwrap());
        let certificate = given.unwrap()[0].leaf.clone();
        countersigned(
            &identity(node),
            &certificate,
            objects::COLLECTION,
            &challenge[4..],
        )
    });
    socket
        .send(Message::binary(response(&[&signatures[0], &signatures[1]])))
        .unwrap();
    let mut came = Vec::new();
    while came.len() < 2 {
        if let Message::Binary(octets) = socket.read().unwrap() {
            let (delivery, parcel) = client::delivered(&octets).unwrap();
            socket.send(Message::text(delivery)).unwrap();
            came.push(parcel);
        }
    }
    came.sort();
    let mut ids = ids.to_vec();
    ids.sort();
    assert!(came == ids);
    server.wait_for("event=collected ", 2);
}
