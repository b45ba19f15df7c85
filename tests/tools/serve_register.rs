//! relay-serve: whom it registers.

use std::io::Write as _;
use std::net::TcpStream;

use jiff::{SignedDuration, Timestamp};
use relaynet::message::registration::RegistrationRequest;
use relaynet::message::{Object, Registration};
use rustix::process::Signal;

use crate::online::client::{Answered, answer, request};
use crate::online::hub::{HOST, Hub, ONCE, Seen, next, nodes, post, serve};
use crate::online::objects;
use crate::online::server::Server;
use crate::testenv::{Env, HUB, NOW, id, identity, sha256};

const TEXT: (&str, &str) = ("Content-Type", "text/plain");
const REQUEST: (&str, &str) = (
    "Content-Type",
    "application/vnd.awala.node-registration.request",
);

/// The of which gateway and mallory are registered at the hub, with this setting of the hub.
fn with_policy(policy: &str) -> Env {
    let env = nodes();
    let config = env.text("hub/config");
    env.write("hub/config", format!("{config}registration = {policy}\n"));
    env
}

/// The digest of the key of a node, as it is sent.
fn digest(node: &str) -> String {
    sha256(identity(node).public().spki())
}

/// Asks for a promise to register a node.
fn promised(hub: &Hub, node: &str) -> Answered {
    hub.post("/v1/pre-registrations", &[TEXT], digest(node).as_bytes())
}

/// Asks to be registered with a promise.
fn registered(hub: &Hub, node: &str, promise: &[u8]) -> Answered {
    let request = RegistrationRequest::sign(&identity(node), promise).unwrap();
    hub.post("/v1/nodes", &[REQUEST], &request.to_der())
}

/// The statuses of both steps; 0 for a second one that was not taken.
fn both(hub: &Hub, node: &str) -> (u16, u16) {
    let promise = promised(hub, node);
    match promise.status() {
        200 => (200, registered(hub, node, &promise.body).status()),
        status => (status, 0),
    }
}

fn parsed(octets: &[u8]) -> Registration {
    match Object::parse(octets).unwrap() {
        Object::Registration(registration) => *registration,
        other => panic!("{}", other.word()),
    }
}

#[test]
fn both_steps_are_answered_as_clients_expect_it() {
    let hub = Hub::of(with_policy("open"));
    let promise = promised(&hub, "carol");
    let media_type = "application/vnd.awala.node-registration.authorization";
    assert_eq!(
        (promise.status(), promise.header("content-type")),
        (200, Some(media_type))
    );
    let answer = registered(&hub, "carol", &promise.body);
    let media_type = "application/vnd.awala.node-registration.registration";
    assert_eq!(
        (answer.status(), answer.header("content-type")),
        (200, Some(media_type))
    );
    let registration = parsed(&answer.body);
    registration.verify().unwrap();
    assert_eq!(registration.gateway_address.as_str(), HUB);
    assert_eq!(registration.node.id().to_string(), id("carol"));
    assert!(registration.session_key.is_some());
    // An answer that was lost is asked for again.
    assert_eq!(registered(&hub, "carol", &promise.body).status(), 200);
    assert_eq!(
        hub.server
            .count(&format!("event=registered node={}", id("carol"))),
        2
    );
}

#[test]
fn the_setting_says_who_is_registered() {
    let hub = Hub::new();
    assert_eq!(both(&hub, "carol"), (403, 0), "closed is the default");
    assert_eq!(
        both(&hub, "mallory"),
        (200, 200),
        "who is registered may renew that"
    );
    drop(hub);

    let hub = Hub::of(with_policy("closed"));
    assert_eq!(both(&hub, "carol"), (403, 0));
    // A promise from before the setting was changed.
    let soon = NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(5);
    let spki = identity("carol").public().spki().to_vec();
    let digest = relaynet::crypto::hash::sha256(&spki);
    let promise = objects::promise(&identity("hub"), &digest, soon);
    assert_eq!(registered(&hub, "carol", &promise).status(), 403);
    drop(hub);

    let hub = Hub::of(with_policy("known"));
    assert_eq!(both(&hub, "carol"), (403, 0), "there is no list");
    assert_eq!(both(&hub, "gateway"), (200, 200));
    let list = format!("# friends\n{} Carol\n", id("carol"));
    hub.env.write("hub/register.allow", list);
    assert_eq!(
        both(&hub, "carol"),
        (200, 200),
        "the list is read each time"
    );
    assert_eq!(both(&hub, "bob"), (403, 0));
    drop(hub);

    let hub = Hub::of(with_policy("local"));
    assert_eq!(both(&hub, "carol"), (200, 200), "loopback is private");
}

/// What a client with this address is answered by a server behind a proxy.
fn through_proxy(server: &Server, client: [u8; 4], octets: &[u8]) -> Answered {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend_from_slice(&client);
    header.extend_from_slice(&[127, 0, 0, 1, 0x9c, 0x40, 0x01, 0xbb]);
    stream.write_all(&[&header, octets].concat()).unwrap();
    answer(&mut stream).unwrap()
}

#[test]
fn local_means_the_address_of_the_client_and_not_of_the_proxy() {
    let env = with_policy("local");
    let server = Server::start(
        env.relay("serve")
            .args(["-v", "-N", "hub", "--behind-proxy"]),
    );
    let octets = post("/v1/pre-registrations", &[TEXT], digest("carol").as_bytes());
    for (client, status) in [
        ([192, 168, 1, 2], 200),
        ([10, 9, 8, 7], 200),
        ([192, 0, 2, 1], 403),
        ([8, 8, 8, 8], 403),
    ] {
        assert_eq!(
            through_proxy(&server, client, &octets).status(),
            status,
            "{client:?}"
        );
    }
    // Refusals name the network of the client, and not more.
    server.wait_for("from=192.0.2.0/24", 1);
    server.wait_for("from=8.8.8.0/24", 1);
}

#[test]
fn an_address_begins_ten_registrations_an_hour() {
    let env = with_policy("open");
    let server = Server::start(
        env.relay("serve")
            .args(["-v", "-N", "hub", "--behind-proxy"]),
    );
    let octets = post("/v1/pre-registrations", &[TEXT], digest("carol").as_bytes());
    for _ in 0..10 {
        assert_eq!(
            through_proxy(&server, [192, 0, 2, 1], &octets).status(),
            200
        );
    }
    let late = through_proxy(&server, [192, 0, 2, 1], &octets);
    assert_eq!(
        (late.status(), late.header("retry-after")),
        (503, Some("30"))
    );
    assert_eq!(
        through_proxy(&server, [192, 0, 2, 2], &octets).status(),
        200
    );
    assert_eq!(
        through_proxy(&server, [127, 0, 0, 1], &octets).status(),
        200
    );
}

#[test]
fn a_gateway_has_as_many_peers_as_it_may() {
    let hub = Hub::of(with_policy("open\nmax-peers = 3"));
    assert_eq!(both(&hub, "carol"), (200, 200));
    let full = promised(&hub, "bob");
    assert_eq!(
        (full.status(), full.header("retry-after")),
        (507, Some("600"))
    );
    // Who is registered renews that.
    assert_eq!(both(&hub, "carol"), (200, 200));
    assert_eq!(both(&hub, "mallory"), (200, 200));
}

#[test]
fn who_registered_and_signs_nothing_in_a_day_is_dropped() {
    let hub = Hub::of(with_policy("open"));
    for node in ["carol", "alice", "mallory"] {
        assert_eq!(both(&hub, node), (200, 200));
    }
    let untried = |env: &Env, node: &str| env.path(format!("hub/peers/{}/untried", id(node)));
    // Mallory was registered by a person; alice signs a number.
    assert!(untried(&hub.env, "carol").exists() && untried(&hub.env, "alice").exists());
    assert!(!untried(&hub.env, "mallory").exists());
    let mut socket = hub.collecting("alice", &[ONCE]);
    assert_eq!(next(&mut socket), Seen::Close(1000));
    assert!(!untried(&hub.env, "alice").exists());
    hub.server.signal(Signal::TERM);
    let (env, ended) = (hub.env, hub.server.ended());
    assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
    for (time, is_there) in [
        ("2026-03-02T11:59:59Z", true),
        ("2026-03-02T12:00:00Z", false),
    ] {
        let server = Server::start(serve(&env).at(time));
        if !is_there {
            server.wait_for(&format!("event=dropped node={}", id("carol")), 1);
        }
        server.wait_for("event=serving", 1);
        server.signal(Signal::TERM);
        assert_eq!(server.ended().status, Some(0));
        let peer = |node: &str| env.path(format!("hub/peers/{}", id(node))).exists();
        assert_eq!(peer("carol"), is_there, "{time}");
        assert!(peer("alice") && peer("mallory"), "{time}");
    }
}

#[test]
fn wrong_steps_are_refused_as_the_deployed_gateway_refuses_them() {
    let hub = Hub::of(with_policy("open"));
    let pre = |headers: &[(&str, &str)], body: &str| {
        hub.post("/v1/pre-registrations", headers, body.as_bytes())
            .status()
    };
    let carol = digest("carol");
    for body in [
        "",
        &carol[1..],
        &format!("{carol}\n"),
        &"g".repeat(64),
        &"0".repeat(16 * 1024),
    ] {
        assert_eq!(pre(&[TEXT], body), 400, "{body}");
    }
    assert_eq!(pre(&[TEXT], &carol.to_uppercase()), 200);
    assert_eq!(pre(&[TEXT], &"0".repeat(16 * 1024 + 1)), 413);
    // The deployed gateway wants the type without parameters; a server of ours takes them.
    assert_eq!(
        pre(&[("Content-Type", "text/plain; charset=utf-8")], &carol),
        200
    );
    assert_eq!(pre(&[("Content-Type", "application/json")], &carol), 415);
    assert_eq!(pre(&[], &carol), 415);
    let singular = hub.post("/v1/pre-registration", &[TEXT], carol.as_bytes());
    assert_eq!(singular.status(), 404);

    let nodes =
        |headers: &[(&str, &str)], body: &[u8]| hub.post("/v1/nodes", headers, body).status();
    assert_eq!(nodes(&[REQUEST], b"x"), 400);
    assert_eq!(nodes(&[REQUEST], b""), 400);
    assert_eq!(nodes(&[TEXT], b"x"), 415);
    let promise = promised(&hub, "carol").body;
    assert_eq!(
        registered(&hub, "mallory", &promise).status(),
        403,
        "a promise to another key"
    );
    let mut request = RegistrationRequest::sign(&identity("carol"), &promise)
        .unwrap()
        .to_der();
    *request.last_mut().unwrap() ^= 1;
    assert_eq!(
        nodes(&[REQUEST], &request),
        400,
        "a signature that is wrong"
    );
    let now: Timestamp = NOW.parse().unwrap();
    let spki = identity("carol").public().spki().to_vec();
    let digest = relaynet::crypto::hash::sha256(&spki);
    for (signer, seconds, status) in [("hub", 5, 200), ("hub", -1, 400), ("mallory", 5, 400)] {
        let expiry = now + SignedDuration::from_secs(seconds);
        let promise = objects::promise(&identity(signer), &digest, expiry);
        let answer = registered(&hub, "carol", &promise);
        assert_eq!(answer.status(), status, "{signer} {seconds}");
    }
    assert_eq!(hub.server.errors(), Vec::<String>::new());
}

#[test]
fn an_endpoint_registers_with_a_local_gateway() {
    let env = Env::new();
    env.make_node(
        "gateway",
        &["--type", "gateway", "--set", "registration=local"],
    );
    env.make_node("alice", &[]);
    let server = Server::start(env.relay("serve").args(["-v", "-N", "gateway"]));
    let at = format!("127.0.0.1:{}", server.port());
    let enroll = env
        .relay("enroll")
        .args(["-q", "-N", "alice", "--local", &at]);
    let registration = enroll.ok().stdout;
    assert!(parsed(&registration).session_key.is_none());
    let import = env.relay("import").args(["-q", "-N", "alice"]);
    import.stdin(registration).ok().quiet();
    server.wait_for(&format!("event=registered node={}", id("alice")), 1);
    // It is no server on the Internet: nobody brings parcels there, and no page in a browser reaches it, whose name may
    // lead here, too.
    for (host, status) in [(at.as_str(), 405), ("localhost", 405), (HOST, 400)] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let octets = request("POST", "/", &[("Host", host)], b"x");
        stream.write_all(&octets).unwrap();
        assert_eq!(answer(&mut stream).unwrap().status(), status, "{host}");
    }
}
