//! The gateway of the tests behaves as the deployed one, and in each of its modes as it is told, seen by a plain client.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use relaynet::message::countersignature::{self, Purpose};
use relaynet::message::registration::{RegistrationAuthorization, RegistrationRequest};
use relaynet::message::{Object, Registration};
use relaynet::node::{Directory, registrations};
use relaynet::pki::{Certificate, IdentityKey, NodeId};
use relaynet::ramf::Kind;
use tungstenite::{Error, Message, WebSocket};

use crate::online::client::{
    Answered, Tls, collect, connect, countersigned, delivered, exchange, request, response, rest,
    shake_hands,
};
use crate::online::collecting::{Session, Step, Upgrade, frame, frame_header};
use crate::online::gateway::{Clock, Event, Place};
use crate::online::http::{Date, http_date};
use crate::online::objects::{self, MAX_PARCEL};
use crate::online::{Answer, Authority, Fault, Gateway, Resolver};
use crate::testenv::{Env, HUB, NOW, forged, id, identity, self_issued, sha256};

/// The server of the gateway.
const HOST: &str = "poweb.hub.example.org";

const ONCE: (&str, &str) = ("x-relaynet-streaming-mode", "close-upon-completion");
const LIVE: (&str, &str) = ("x-relaynet-streaming-mode", "keep-alive");

struct World {
    env: Env,
    authority: Authority,
    gateway: Gateway,
}

impl World {
    fn new() -> Self {
        Self::of(Env::with_gateways())
    }

    fn of(env: Env) -> Self {
        let authority = Authority::new();
        let gateway = Gateway::start(&env, "hub", &authority, HOST);
        Self {
            env,
            authority,
            gateway,
        }
    }

    /// The certificate that the hub gave to a gateway.
    fn certificate(&self, of: &str) -> Certificate {
        let hub = Directory::open(&self.env.path("hub")).unwrap();
        registrations::given_to(&hub, node_id(of)).unwrap()[0]
            .leaf
            .clone()
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answered> {
        let octets = request("POST", path, headers, body);
        exchange(self.gateway.port(), HOST, &self.authority, &octets)
    }

    /// Delivers a parcel as a gateway.
    fn deliver(&self, by: &str, parcel: &[u8]) -> std::io::Result<Answered> {
        let signature = self.countersigned(by, objects::DELIVERY, parcel);
        let authorization = format!("Relaynet-Countersignature {}", STANDARD.encode(signature));
        let headers = [PARCEL, ("Authorization", &authorization)];
        self.post("/v1/parcels", &headers, parcel)
    }

    fn countersigned(&self, by: &str, purpose: &[u8], plaintext: &[u8]) -> Vec<u8> {
        countersigned(&identity(by), &self.certificate(by), purpose, plaintext)
    }

    fn collect(&self, headers: &[(&'static str, &'static str)]) -> Result<WebSocket<Tls>, Error> {
        collect(self.gateway.port(), HOST, &self.authority, headers)
    }

    /// Collects as the gateway `gateway`, after the handshake.
    fn collecting(&self, headers: &[(&'static str, &'static str)]) -> WebSocket<Tls> {
        let mut socket = self.collect(headers).unwrap();
        shake_hands(
            &mut socket,
            &identity("gateway"),
            &self.certificate("gateway"),
        );
        socket
    }

    /// What a client sees in a session of these steps after the handshake.
    fn sees(&self, steps: impl IntoIterator<Item = Step>) -> Vec<Seen> {
        self.gateway.collect_next(Session::after_handshake(steps));
        all(&mut self.collecting(&[ONCE]))
    }
}

const PARCEL: (&str, &str) = ("Content-Type", "application/vnd.awala.parcel");

fn node_id(name: &str) -> NodeId {
    id(name).parse().unwrap()
}

/// What a client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Binary(usize),
    Text(usize),
    Ping,
    Close(Option<u16>),
    /// The connection ended, or broke the protocol.
    Error,
}

/// Everything until the end; nothing is acknowledged.
fn all(socket: &mut WebSocket<Tls>) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        seen.push(match socket.read() {
            Ok(Message::Binary(octets)) => Seen::Binary(octets.len()),
            Ok(Message::Text(text)) => Seen::Text(text.len()),
            Ok(Message::Ping(_)) => Seen::Ping,
            Ok(Message::Close(frame)) => Seen::Close(frame.map(|it| it.code.into())),
            Ok(_) => continue,
            Err(Error::ConnectionClosed) => return seen,
            Err(_) => {
                seen.push(Seen::Error);
                return seen;
            }
        });
    }
}

/// Asks to be registered, as `node`, with a promise for `promised`.
fn asked(
    world: &World,
    node: &str,
    promised: &IdentityKey,
) -> (RegistrationAuthorization, Answered) {
    let digest = sha256(promised.public().spki());
    let promise = world
        .post(
            "/v1/pre-registrations",
            &[("Content-Type", "text/plain")],
            digest.as_bytes(),
        )
        .unwrap();
    assert_eq!(promise.status(), 200);
    let media_type = "application/vnd.awala.node-registration.authorization";
    assert_eq!(promise.header("content-type"), Some(media_type));
    let request = RegistrationRequest::sign(&identity(node), &promise.body).unwrap();
    let answer = registered(world, &request);
    (
        RegistrationAuthorization::parse(&promise.body).unwrap(),
        answer,
    )
}

fn registered(world: &World, request: &RegistrationRequest) -> Answered {
    let headers = [(
        "Content-Type",
        "application/vnd.awala.node-registration.request",
    )];
    world
        .post("/v1/nodes", &headers, &request.to_der())
        .unwrap()
}

fn parsed(octets: &[u8]) -> Registration {
    match Object::parse(octets).unwrap() {
        Object::Registration(registration) => *registration,
        other => panic!("{}", other.word()),
    }
}

#[test]
fn it_registers_a_gateway_that_can_import_the_answer() {
    let env = Env::new();
    env.make_node("hub", &["--type", "gateway", "--address", HUB]);
    env.make_node("gateway", &["--type", "gateway"]);
    let world = World::of(env);
    let (promise, answer) = asked(&world, "gateway", &identity("gateway"));
    assert_eq!(promise.expiry.to_string(), "2026-03-01T12:00:10Z");
    assert!(
        promise.verify(identity("hub").public()).is_ok(),
        "made by hand, read by the library"
    );
    assert!(promise.is_for(identity("gateway").public()));
    let media_type = "application/vnd.awala.node-registration.registration";
    assert_eq!(
        (answer.status(), answer.header("content-type")),
        (200, Some(media_type))
    );
    let registration = parsed(&answer.body);
    registration.verify().unwrap();
    assert_eq!(registration.gateway_address.as_str(), HUB);
    assert!(registration.session_key.is_some());
    world
        .env
        .relay("import")
        .args(["-q", "-N", "gateway", "--name", "hub"])
        .stdin(answer.body)
        .ok()
        .quiet()
        .stdout(format!("{}\n", id("hub")));
    let events = world.gateway.journal().all();
    assert!(
        events.contains(&Event::Registered(node_id("gateway"))),
        "{events:?}"
    );
}

#[test]
fn it_refuses_registrations_as_the_deployed_one_does() {
    let world = World::new();
    let pre = "/v1/pre-registrations";
    let digest = "0".repeat(64);
    let status = |path: &str, media_type: &str, body: &str| {
        let answer = world.post(path, &[("Content-Type", media_type)], body.as_bytes());
        answer.unwrap().status()
    };
    assert_eq!(status(pre, "text/plain; charset=utf-8", &digest), 415);
    assert_eq!(status(pre, "text/plain", &digest[1..]), 400);
    assert_eq!(status("/v1/pre-registration", "text/plain", &digest), 404);
    let media_type = "application/vnd.awala.node-registration.request";
    assert_eq!(status("/v1/nodes", media_type, "x"), 400);
    assert_eq!(status("/v1/nodes", "text/plain", "x"), 415);
    assert_eq!(
        asked(&world, "gateway", &identity("mallory")).1.status(),
        403
    );
    let (promise, _) = asked(&world, "gateway", &identity("gateway"));
    let late = promise.expiry + SignedDuration::from_secs(1);
    let request = RegistrationRequest::sign(&identity("gateway"), &promise.to_der()).unwrap();
    assert_eq!(
        registered(&world, &request).status(),
        200,
        "twice within its 10 s"
    );
    world.gateway.set_clock(Clock::At(late));
    assert_eq!(registered(&world, &request).status(), 400);
    let foreign = objects::promise(&identity("mallory"), &[0; 32], late);
    let request = RegistrationRequest::sign(&identity("gateway"), &foreign).unwrap();
    assert_ne!(registered(&world, &request).status(), 200);
}

#[test]
fn it_takes_parcels_into_mailboxes_and_refuses_what_the_deployed_one_refuses() {
    let world = World::new();
    let parcel = world.env.parcel("bob", "alice", b"for alice");
    let answer = world.deliver("mallory", &parcel).unwrap();
    assert_eq!((answer.status(), &*answer.body), (202, &b"{}"[..]));
    assert!(world.gateway.mailbox(node_id("gateway")) == std::slice::from_ref(&parcel));
    assert_eq!(world.gateway.stored(), [sha256(&parcel)]);
    assert_eq!(world.deliver("mallory", &parcel).unwrap().status(), 202);
    assert_eq!(
        world.gateway.mailbox(node_id("gateway")).len(),
        1,
        "the same again is not stored again"
    );

    let expired = forged(&parcel, "bob", |it| it.fields.ttl = 1);
    let replaced = forged(&parcel, "bob", |it| it.fields.id = "other".to_owned());
    let mut broken = replaced.clone();
    *broken.last_mut().unwrap() ^= 1;
    let unauthorized = forged(&replaced, "bob", |it| it.certificates.truncate(1));
    let abroad = forged(&parcel, "bob", |it| {
        it.fields.id = "abroad".to_owned();
        it.fields.address = Some("other.example.org".parse().unwrap());
    });
    let cargo = forged(&parcel, "bob", |it| it.kind = Kind::Cargo);
    for (octets, status) in [
        (&expired, 422),
        (&broken, 422),
        (&unauthorized, 422),
        (&abroad, 202),
        (&cargo, 400),
        (&b"x".to_vec(), 400),
        (&vec![0; MAX_PARCEL + 1], 413),
    ] {
        let answer = world.deliver("gateway", octets).unwrap();
        assert_eq!(
            answer.status(),
            status,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    assert!(world.gateway.abroad() == [abroad]);

    let refused = |authorization: Option<String>| {
        let mut headers = vec![PARCEL];
        headers.extend(authorization.as_deref().map(|it| ("Authorization", it)));
        let answer = world.post("/v1/parcels", &headers, &replaced).unwrap();
        let scheme = answer.header("www-authenticate");
        assert_eq!(
            (answer.status(), scheme),
            (401, Some("Relaynet-Countersignature"))
        );
    };
    let good = STANDARD.encode(world.countersigned("gateway", objects::DELIVERY, &replaced));
    let purpose = STANDARD.encode(world.countersigned("gateway", objects::COLLECTION, &replaced));
    let own = self_issued("gateway");
    let own = countersigned(&identity("gateway"), &own, objects::DELIVERY, &replaced);
    refused(None);
    refused(Some(format!("Awala-Countersignature {good}")));
    refused(Some("Relaynet-Countersignature ?".to_owned()));
    refused(Some(format!("Relaynet-Countersignature {purpose}")));
    refused(Some(format!(
        "Relaynet-Countersignature {}",
        STANDARD.encode(own)
    )));
    let typed = [("Content-Type", "application/vnd.awala.parcel; x=y")];
    assert_eq!(
        world
            .post("/v1/parcels", &typed, &replaced)
            .unwrap()
            .status(),
        415
    );
}

#[test]
fn its_answers_fail_in_each_way() {
    let world = World::new();
    let parcel = world.env.parcel("bob", "alice", b"for alice");
    let fail = |fault| world.gateway.fail_next(Place::Parcels, fault);
    let status = || world.deliver("gateway", &parcel).map(|it| it.status());
    for code in [200, 302, 400, 401, 403, 413, 422, 429, 500, 503, 507] {
        fail(Fault::Answer(Answer::new(code).with("Retry-After", "7")));
        let answer = world.deliver("gateway", &parcel).unwrap();
        assert_eq!(
            (answer.status(), answer.header("retry-after")),
            (code, Some("7"))
        );
    }
    fail(Fault::CutInRequest(100));
    assert!(status().is_err());
    assert_eq!(
        world.gateway.stored().len(),
        0,
        "nothing of these was looked at"
    );
    fail(Fault::AnswerLost);
    assert!(status().is_err());
    assert_eq!(world.gateway.stored().len(), 1);
    for octets in [0, 12, 60] {
        fail(Fault::CutInAnswer(octets));
        assert!(status().is_err());
    }
    fail(Fault::DoneBut(Answer::new(500)));
    assert_eq!(status().unwrap(), 500);
    assert_eq!(world.gateway.stored().len(), 5);
    assert_eq!(status().unwrap(), 202, "and then it is well");

    // The Date of its answers.
    let now: jiff::Timestamp = NOW.parse().unwrap();
    for hours in [0, -3, 72, -24 * 365] {
        let shift = SignedDuration::from_hours(hours);
        world.gateway.set_date(Date::Shifted(shift));
        let mut stream = connect(world.gateway.port(), HOST, &world.authority).unwrap();
        stream
            .write_all(&request("HEAD", "/", &[("Connection", "close")], b""))
            .unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(
            text.contains(&format!("Date: {}\r\n", http_date(now + shift))),
            "{text}"
        );
    }
    world.gateway.set_date(Date::Absent);
    assert_eq!(
        world.deliver("gateway", &parcel).unwrap().header("date"),
        None
    );
}

#[test]
fn it_closes_upon_completion_when_all_is_acknowledged() {
    let world = World::new();
    let parcels = [
        world.env.parcel("bob", "alice", b"1"),
        world.env.parcel("bob", "alice", b"2"),
    ];
    for parcel in &parcels {
        world.gateway.post(node_id("gateway"), parcel.clone());
    }
    world
        .gateway
        .post(node_id("mallory"), b"another's".to_vec());
    let mut socket = world.collecting(&[ONCE]);
    let mut got = Vec::new();
    for _ in 0..2 {
        let (id, parcel) = delivered(&socket.read().unwrap().into_data()).unwrap();
        assert_eq!(id.len(), 36);
        got.push(parcel);
        socket.send(Message::text(id)).unwrap();
    }
    assert_eq!(got, parcels);
    assert_eq!(all(&mut socket), [Seen::Close(Some(1000))]);
    assert_eq!(
        world.gateway.acknowledged(),
        [sha256(&parcels[0]), sha256(&parcels[1])]
    );
    assert!(world.gateway.mailbox(node_id("gateway")).is_empty());
    assert_eq!(world.gateway.mailbox(node_id("mallory")).len(), 1);
    assert_eq!(
        all(&mut world.collecting(&[ONCE])),
        [Seen::Close(Some(1000))],
        "nothing is left"
    );
}

#[test]
fn what_is_not_acknowledged_comes_again() {
    let world = World::new();
    world
        .gateway
        .post(node_id("gateway"), b"any octets".to_vec());
    let mut socket = world.collecting(&[ONCE]);
    let (_, first) = delivered(&socket.read().unwrap().into_data()).unwrap();
    drop(socket);
    let mut socket = world.collecting(&[ONCE]);
    let (_, second) = delivered(&socket.read().unwrap().into_data()).unwrap();
    assert_eq!(first, second);
    socket.send(Message::text("unknown")).unwrap();
    assert_eq!(all(&mut socket), [Seen::Close(Some(1003))]);
    assert_eq!(world.gateway.mailbox(node_id("gateway")).len(), 1);
}

#[test]
fn it_keeps_alive_pings_and_sends_what_comes_later() {
    let world = World::new();
    world.gateway.set_pings(Some(Duration::from_millis(1)));
    let mut socket = world.collecting(&[LIVE]);
    let journal = world.gateway.journal();
    assert_eq!(socket.read().unwrap(), Message::Ping(Vec::new().into()));
    world.gateway.post(node_id("gateway"), b"later".to_vec());
    let id = loop {
        if let Message::Binary(octets) = socket.read().unwrap() {
            break delivered(&octets).unwrap().0;
        }
    };
    socket.send(Message::text(id)).unwrap();
    let acknowledged = |events: &[Event]| {
        events
            .iter()
            .any(|it| matches!(it, Event::Acknowledged(..)))
    };
    journal.wait("an acknowledgement", acknowledged);
    assert!(world.gateway.mailbox(node_id("gateway")).is_empty());
    socket.close(None).unwrap();
    let seen = all(&mut socket);
    assert!(!seen.contains(&Seen::Error), "{seen:?}");
    let events = journal.wait("the end", |events| events.contains(&Event::Ended(None)));
    assert!(events.contains(&Event::Pong));
}

#[test]
fn it_refuses_bad_responses_origins_and_requests_that_are_no_upgrade() {
    let world = World::new();
    let closes = |response: Vec<u8>| {
        let mut socket = world.collect(&[ONCE]).unwrap();
        socket.read().unwrap();
        socket.send(Message::binary(response)).unwrap();
        all(&mut socket)
    };
    let signature = world.countersigned("gateway", objects::COLLECTION, b"another nonce");
    assert_eq!(closes(b"x".to_vec()), [Seen::Close(Some(1003))]);
    assert_eq!(closes(response(&[])), [Seen::Close(Some(1003))]);
    assert_eq!(closes(response(&[&signature])), [Seen::Close(Some(1003))]);
    assert_eq!(
        closes(response(&[&signature, &signature])),
        [Seen::Close(Some(1003))]
    );
    assert_eq!(closes(vec![0; 6145]), [Seen::Close(Some(1009))]);
    let mut socket = world.collect(&[("origin", "https://example.org")]).unwrap();
    assert_eq!(all(&mut socket), [Seen::Close(Some(1008))]);
    let get = request("GET", "/v1/parcel-collection", &[], b"");
    let answer = exchange(world.gateway.port(), HOST, &world.authority, &get).unwrap();
    assert_eq!(answer.status(), 404);
}

#[test]
fn its_collections_go_wrong_in_each_way() {
    let world = World::new();
    world.gateway.post(node_id("gateway"), vec![7; 1000]);
    for code in [1000, 1001, 1003, 1008, 1009, 1011, 4000] {
        assert_eq!(
            world.sees([Step::Close(code, "why")]),
            [Seen::Close(Some(code))]
        );
    }
    assert_eq!(world.sees([Step::CloseWithoutCode]), [Seen::Close(None)]);
    assert_eq!(world.sees([Step::Cut]), [Seen::Error]);
    let parcel = Seen::Binary(objects::delivery(&"x".repeat(36), &[7; 1000]).len());
    assert_eq!(
        world.sees([Step::SendMail, Step::Close(1000, "")]),
        [parcel.clone(), Seen::Close(Some(1000))],
        "too early"
    );
    assert_eq!(world.gateway.mailbox(node_id("gateway")).len(), 1);
    let half = frame(2, &[7; 1000])[..500].to_vec();
    assert_eq!(world.sees([Step::Raw(half), Step::Cut]), [Seen::Error]);
    let huge = frame_header(0x82, 9_437_185);
    assert_eq!(huge, [0x82, 127, 0, 0, 0, 0, 0, 0x90, 0, 1]);
    assert_eq!(
        world.sees([
            Step::Binary(vec![0; 9_437_185]),
            Step::Text("x".repeat(3 << 20))
        ]),
        [Seen::Binary(9_437_185), Seen::Text(3 << 20), Seen::Error]
    );
    assert_eq!(
        world.sees([Step::Fragments(3, vec![1; 100]), Step::Cut]),
        [Seen::Binary(100), Seen::Error]
    );
    assert_eq!(
        world.sees([Step::Ping, Step::Cut]),
        [Seen::Ping, Seen::Error]
    );
    let twice = [
        Step::DeliverAs("a".repeat(36), vec![7; 1000]),
        Step::DeliverAs("b".repeat(36), vec![7; 1000]),
        Step::Cut,
    ];
    assert_eq!(world.sees(twice), [parcel.clone(), parcel, Seen::Error]);

    // Masked, reserved and unknown frames are against RFC 6455: the client must see an error.
    for raw in [
        vec![0x82, 0x80, 0, 0, 0, 0],
        vec![0xc2, 0],
        vec![0x83, 0],
        vec![0x89, 126, 0, 200],
    ] {
        assert_eq!(world.sees([Step::Raw(raw), Step::Cut]), [Seen::Error]);
    }
}

#[test]
fn its_challenges_are_as_long_as_they_are_told_to_be() {
    let world = World::new();
    for octets in [0, 1, 16, 64, 65] {
        world
            .gateway
            .collect_next(Session::of(vec![Step::Nonce(octets), Step::Cut]));
        let mut socket = world.collect(&[ONCE]).unwrap();
        assert_eq!(
            socket.read().unwrap().into_data().len(),
            octets + 4,
            "two headers"
        );
    }
    world.gateway.collect_next(Session::of(vec![
        Step::Binary(b"0".to_vec()),
        Step::AnyResponse,
        Step::Cut,
    ]));
    let mut socket = world.collect(&[ONCE]).unwrap();
    assert_eq!(socket.read().unwrap().into_data(), b"0".as_slice());
    socket
        .send(Message::binary(b"anything".as_slice()))
        .unwrap();
    assert_eq!(all(&mut socket), [Seen::Error]);
}

#[test]
fn an_upgrade_fails_as_it_is_told_to() {
    let world = World::new();
    let fails = |upgrade: Upgrade| {
        world
            .gateway
            .collect_next(Session::usual().upgraded(upgrade));
        world.collect(&[ONCE]).unwrap_err().to_string()
    };
    let refused = fails(Upgrade::Answer(Answer::message(503, "later")));
    assert!(refused.contains("503"), "{refused}");
    assert!(fails(Upgrade::WrongKey).contains("Sec-WebSocket-Accept"));
    let raw = fails(Upgrade::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    assert!(!raw.is_empty());
    let subprotocol = fails(Upgrade::With("Sec-WebSocket-Protocol", "other".to_owned()));
    assert!(subprotocol.contains("SubProtocol"), "{subprotocol}");
    world
        .gateway
        .collect_always(Session::refused(Answer::new(401)));
    for _ in 0..2 {
        assert!(
            world
                .collect(&[ONCE])
                .unwrap_err()
                .to_string()
                .contains("401")
        );
    }
}

#[test]
fn its_silence_lasts_until_the_client_has_enough() {
    let world = World::new();
    world.gateway.set_pings(Some(Duration::from_millis(1)));
    let before_challenge = Session::of(vec![Step::Silence]).without_pings();
    let after_challenge = Session::of(vec![Step::Nonce(16), Step::Silence]);
    let in_the_middle = Session::after_handshake([Step::Deliver(vec![1; 10]), Step::Silence]);
    for (session, messages) in [
        (before_challenge, 0),
        (after_challenge, 1),
        (in_the_middle, 2),
    ] {
        world.gateway.collect_next(session.without_pings());
        let mut socket = world.collect(&[LIVE]).unwrap();
        if messages == 2 {
            shake_hands(
                &mut socket,
                &identity("gateway"),
                &world.certificate("gateway"),
            );
        }
        for _ in 0..messages.min(1) {
            assert!(matches!(socket.read().unwrap(), Message::Binary(_)));
        }
        let limit = Some(Duration::from_millis(50));
        socket.get_ref().sock.set_read_timeout(limit).unwrap();
        assert!(matches!(socket.read(), Err(Error::Io(_))));
    }
    world
        .gateway
        .collect_next(Session::usual().upgraded(Upgrade::Silence));
    let mut stream = connect(world.gateway.port(), HOST, &world.authority).unwrap();
    stream
        .write_all(&request(
            "GET",
            "/v1/parcel-collection",
            &[("Sec-WebSocket-Key", "x")],
            b"",
        ))
        .unwrap();
    drop(stream);
    let ended = |events: &[Event]| {
        events
            .iter()
            .filter(|it| matches!(it, Event::Ended(_)))
            .count()
            == 4
    };
    world.gateway.journal().wait("four ends", ended);

    // Pings alone are not silence.
    world
        .gateway
        .collect_next(Session::after_handshake([Step::OnlyPings]));
    let mut socket = world.collecting(&[LIVE]);
    for _ in 0..3 {
        assert!(matches!(socket.read().unwrap(), Message::Ping(_)));
    }
}

#[test]
fn a_cable_that_is_pulled_ends_all_connections() {
    let world = World::new();
    let resolver = Resolver::start(&world.authority);
    world.gateway.announce(&resolver, HUB, HOST);
    let mut socket = world.collecting(&[LIVE]);
    let mut idle = connect(world.gateway.port(), HOST, &world.authority).unwrap();
    let shown = |events: &[Event]| events.contains(&Event::Shown(node_id("gateway")));
    world.gateway.journal().wait("the handshake", shown);
    world.gateway.listener().cut();
    assert_eq!(all(&mut socket), [Seen::Error]);
    assert_eq!(rest(&mut idle), 0);
    drop(world.collecting(&[ONCE]));
    assert_eq!(world.gateway.listener().accepted(), 3);
}

#[test]
fn countersignatures_made_by_hand_and_by_the_library_are_alike() {
    let world = World::new();
    let (key, certificate) = (identity("gateway"), world.certificate("gateway"));
    let now = NOW.parse().unwrap();
    for (purpose, by_hand) in [
        (Purpose::Delivery, objects::DELIVERY),
        (Purpose::Collection, objects::COLLECTION),
    ] {
        let made = countersigned(&key, &certificate, by_hand, b"content");
        let signer = countersignature::verify(&made, purpose, b"content").unwrap();
        assert_eq!(signer.id(), certificate.id());
        let made = countersignature::sign(purpose, b"content", &key, &certificate).unwrap();
        let hub = identity("hub");
        let judged = |purpose, content: &[u8], gateway: &IdentityKey| {
            objects::countersigner(&made, purpose, content, gateway.public(), now)
        };
        assert_eq!(
            judged(by_hand, b"content", &hub).unwrap().id(),
            certificate.id()
        );
        assert!(judged(by_hand, b"Content", &hub).is_err());
        assert!(judged(by_hand, b"content", &identity("mallory")).is_err());
        let other = if by_hand == objects::DELIVERY {
            objects::COLLECTION
        } else {
            objects::DELIVERY
        };
        assert!(judged(other, b"content", &hub).is_err());
    }
}

#[test]
fn it_serves_without_tls_too() {
    let env = Env::with_gateways();
    let gateway = Gateway::start_plain(&env, "gateway");
    let mut tcp = TcpStream::connect(("127.0.0.1", gateway.port())).unwrap();
    let head = request("HEAD", "/", &[("Connection", "close")], b"");
    tcp.write_all(&head).unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}
