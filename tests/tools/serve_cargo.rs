//! relay-serve as an Internet gateway: cargo that comes and cargo that is collected, with clients that behave and others.

use std::time::{Duration, Instant};

use bytes::Bytes;
use relaynet::binding::cogrpc::{Call, CargoDelivery, CargoDeliveryAck, authorization};
use relaynet::disk::Lock;
use rustix::process::Signal;

use crate::online::caller::{CallEnd, Caller, CargoCall, delivery};
use crate::online::hub::{HOST, Hub, nodes, serve};
use crate::online::server::Server;
use crate::testenv::{Env, forged, id, self_issued, sha256};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

const OK: u32 = 0;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

fn caller(hub: &Hub) -> Caller {
    Caller::connect(hub.server.port(), HOST, &hub.authority)
}

/// A parcel of bob's for alice, who is behind the gateway.
pub(crate) fn parcel(env: &Env, id: &str, content: &[u8]) -> Vec<u8> {
    env.parcel_with("bob", "alice", content, &["--id", id])
}

/// Puts parcels into the hub's queue for the gateway.
pub(crate) fn put(env: &Env, parcels: &[Vec<u8>]) {
    for parcel in parcels {
        let put = env.relay("put").args(["-q", "-N", "hub"]);
        put.stdin(parcel.clone()).ok();
    }
    env.relay("route").args(["-q", "-N", "hub"]).ok();
}

/// The gateway stores what was collected. Returns how many parcels are there then, in all.
pub(crate) fn store(env: &Env, cargoes: &[Vec<u8>]) -> usize {
    env.mkdir("taken");
    env.relay("sync")
        .args(["-q", "-N", "gateway", "--init", "taken"])
        .ok();
    let dir = format!("taken/relaynet/cargo/{}", id("gateway"));
    std::fs::create_dir_all(env.path(&dir)).unwrap();
    for cargo in cargoes {
        env.write(
            format!("{dir}/{}.{}.cargo", id("hub"), sha256(cargo)),
            cargo,
        );
    }
    env.relay("sync")
        .args(["-q", "-N", "gateway", "taken"])
        .ok();
    std::fs::remove_dir_all(env.path("taken")).unwrap();
    env.relay("route").args(["-q", "-N", "gateway"]).ok();
    crate::online::hub::queue_of(env, "gateway", &format!("out/{}", id("alice"))).len()
}

#[track_caller]
fn is_refused(end: &CallEnd, code: u32) {
    assert_eq!(end.code(), Some(code), "{end:?}");
}

#[test]
fn what_is_no_call_of_cogrpc_is_told_so() {
    let hub = Hub::new();
    let caller = caller(&hub);
    let grpc = ("content-type", "application/grpc");
    for call in [Call::Deliver, Call::Collect] {
        let html = caller.request("POST", call, &[("content-type", "text/html")]);
        assert_eq!(html.end(), CallEnd::Http(415));
        assert_eq!(caller.request("POST", call, &[]).end(), CallEnd::Http(415));
        assert_eq!(
            caller.request("GET", call, &[grpc]).end(),
            CallEnd::Http(405)
        );
        let old = hub.post(call.path(), &[grpc], b"");
        assert_eq!(old.status(), 505, "{}", old.head);
    }
    let cca = hub.env.cca("gateway", "hub");
    let shown = authorization::write(&cca);
    let twice = [(authorization::HEADER, &*shown); 2];
    for headers in [&[][..], &twice, &[(authorization::HEADER, "Basic eA==")]] {
        is_refused(&caller.begin(Call::Collect, headers).end(), UNAUTHENTICATED);
    }
    // None of that used the request.
    assert_eq!(
        caller.collect_all(&cca),
        (vec![], CallEnd::Status(OK, None))
    );
    assert_eq!(hub.server.errors(), [""; 0]);
}

#[test]
fn what_is_no_cargo_ends_the_call_or_is_dropped() {
    let hub = Hub::new();
    let caller = caller(&hub);
    let cargo = hub
        .env
        .cargo("mallory", "hub", parcel(&hub.env, "m1", b"hello"));
    let good = delivery("good", &cargo);
    let mut compressed = good.clone();
    compressed[0] = 1;
    let mut too_long = good.clone();
    too_long[1..5].copy_from_slice(&9_437_441_u32.to_be_bytes());
    let cut = good[..good.len() - 1].to_vec();
    for (octets, code) in [
        (compressed, UNIMPLEMENTED),
        (too_long, RESOURCE_EXHAUSTED),
        (cut, INTERNAL),
        (vec![0, 0, 0, 0, 1, 0xff], INTERNAL),
        // An id that would not fit into an answer of the keeper, and others.
        (delivery(&"x".repeat(257), &cargo), INTERNAL),
        (delivery(&"x".repeat(140_000), &cargo), INTERNAL),
        (delivery(&"x".repeat(9_000_000), &cargo), INTERNAL),
    ] {
        let mut call = caller.begin(Call::Deliver, &[]);
        // What was good before it is stored and acknowledged all the same.
        call.give("before", &cargo);
        call.send(octets);
        call.close();
        let ack = call.next::<CargoDeliveryAck>().map(|it| it.id);
        assert_eq!(ack.as_deref(), Some("before"), "{code}");
        assert_eq!(call.next::<CargoDeliveryAck>(), None);
        is_refused(&call.end(), code);
    }
    // What can be of no use is acknowledged, or couriers would bring it again and again.
    let foreign = parcel(&hub.env, "m2", b"hello");
    let foreign = hub.env.cargo("gateway", "hub", foreign);
    let stranger = forged(&foreign, "bob", |it| {
        it.certificates = vec![self_issued("bob")];
    });
    let other = forged(&foreign, "gateway", |it| {
        it.fields.recipient = crate::online::site::node_id("mallory");
    });
    let old = forged(&foreign, "gateway", |it| {
        it.fields.date = "2026-01-01T00:00:00Z".parse().unwrap();
        it.fields.ttl = 60;
    });
    let cca = hub.env.cca("gateway", "hub");
    for useless in [&b""[..], b"nonsense", &stranger, &other, &old, &cca] {
        let (acknowledged, end) = caller.deliver(&[&cargo, useless, &cargo]);
        assert_eq!((acknowledged, end.code()), (3, Some(OK)));
    }
    // A sender's clock may heal.
    let early = forged(&foreign, "gateway", |it| {
        it.fields.date = "2026-06-01T00:00:00Z".parse().unwrap();
    });
    let (acknowledged, end) = caller.deliver(&[&early]);
    assert_eq!((acknowledged, end.code()), (0, Some(UNAVAILABLE)));
    hub.server.wait_for("event=routed", 1);
    assert_eq!(hub.waiting("gateway").len(), 1);
    assert_eq!(hub.server.errors(), [""; 0]);
}

#[test]
fn a_client_may_go_away_after_each_octet_of_a_delivery() {
    let hub = Hub::new();
    let caller = caller(&hub);
    let cargo = hub
        .env
        .cargo("mallory", "hub", parcel(&hub.env, "m1", b"hello"));
    let octets = delivery("id", &cargo);
    let ends = (0..60).chain((60..octets.len()).step_by(211));
    let mut count = 0;
    for end in ends {
        let mut call = caller.begin(Call::Deliver, &[]);
        call.send(&octets[..end]);
        // The one is reset, and the other closed.
        if end % 2 == 0 {
            call.close();
            let code = if end == 0 { OK } else { INTERNAL };
            is_refused(&call.end(), code);
        }
        count += 1;
    }
    println!("{count} calls");
    assert!(hub.waiting("gateway").is_empty());
    // Whole, but nobody waits for the acknowledgement.
    for _ in 0..10 {
        caller.begin(Call::Deliver, &[]).send(&octets[..]);
    }
    assert_eq!(caller.deliver(&[&cargo]).0, 1);
    hub.server.wait_for("event=routed", 1);
    assert_eq!(hub.waiting("gateway").len(), 1);
    let env = hub.env;
    let ended = hub.server.stop();
    assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
    assert_eq!(env.names("hub/spool/tmp"), [""; 0]);
}

/// The hub with parcels for the gateway that fill so many cargoes.
fn hub_with_cargo(count: usize) -> Hub {
    let env = nodes();
    let parcels: Vec<Vec<u8>> = (0..count)
        .map(|at| parcel(&env, &format!("m{at}"), &vec![7; 2_500_000]))
        .collect();
    put(&env, &parcels);
    Hub::of(env)
}

/// A collection of which the first octets are there. While the server does not know that the one before it is gone, there
/// is nothing to collect.
fn begun<'a>(caller: &'a Caller, cca: &[u8]) -> (CargoCall<'a>, Bytes) {
    let started = Instant::now();
    loop {
        let mut call = caller.collect(cca, &[]);
        if let Some(octets) = call.octets() {
            return (call, octets);
        }
        is_refused(&call.end(), OK);
        assert!(started.elapsed() < LIMIT);
    }
}

#[test]
fn a_collection_that_is_cut_short_gets_the_rest_with_the_same_request() {
    let hub = hub_with_cargo(4);
    let caller = caller(&hub);
    let cca = hub.env.cca("gateway", "hub");
    // The client does not acknowledge the second.
    let mut call = caller.collect(&cca, &[("grpc-timeout", "3S")]);
    let first = call.next::<CargoDelivery>().unwrap();
    call.acknowledge(&first.id);
    is_refused(&call.end(), UNAVAILABLE);
    // Others go away after each part of what comes.
    for parts in 1..12 {
        let (mut call, _) = begun(&caller, &cca);
        for _ in 1..parts {
            call.octets().unwrap();
        }
    }
    // Two at once: who comes second has nothing to collect.
    let (mut call, octets) = begun(&caller, &cca);
    call.feed(octets);
    let second = call.next::<CargoDelivery>().unwrap();
    assert_eq!(
        caller.collect_all(&cca),
        (vec![], CallEnd::Status(OK, None))
    );
    call.acknowledge(&second.id);
    let mut cargoes = vec![first.cargo.to_vec(), second.cargo.to_vec()];
    while let Some(delivery) = call.next::<CargoDelivery>() {
        call.acknowledge(&delivery.id);
        cargoes.push(delivery.cargo.to_vec());
    }
    is_refused(&call.end(), OK);
    assert_eq!(cargoes.len(), 4);
    // Phones receive no more with gRPC.
    assert!(cargoes.iter().all(|it| it.len() <= 4_190_000));
    assert_eq!(store(&hub.env, &cargoes), 4, "each is another one");
    assert_eq!(
        caller.collect_all(&cca),
        (vec![], CallEnd::Status(PERMISSION_DENIED, None))
    );
    assert_eq!(hub.server.errors(), [""; 0]);
}

#[test]
fn a_newer_request_gets_all_that_was_not_acknowledged_for_good() {
    let hub = Hub::of({
        let env = nodes();
        let routes = format!("{} peer:gateway\n* peer:mallory\n", id("alice"));
        env.write("hub/routes", routes);
        env.chmod("hub/routes", 0o600);
        put(&env, &[parcel(&env, "m1", b"hello")]);
        env
    });
    let caller = caller(&hub);
    // The gateway is owed an acknowledgement.
    let env = &hub.env;
    let sent = env.parcel_with("alice", "bob", b"out", &["--id", "o1"]);
    let cargo = env.cargo("gateway", "hub", sent);
    assert_eq!(caller.deliver(&[&cargo]).0, 1);
    hub.server.wait_for("event=unpacked", 1);
    let acks = || {
        env.names(&format!("hub/spool/acks/{}", id("gateway")))
            .len()
    };
    assert_eq!(acks(), 1);
    // It is given out, and nobody says that it came.
    let first = env.cca("gateway", "hub");
    let mut call = caller.collect(&first, &[]);
    let lost = call.next::<CargoDelivery>().unwrap();
    drop(call);
    let newer = forged(&env.cca("gateway", "hub"), "gateway", |it| {
        it.fields.date += jiff::SignedDuration::from_secs(1);
    });
    let (cargoes, end) = caller.collect_all(&newer);
    is_refused(&end, OK);
    assert_eq!(cargoes.len(), 1);
    assert_ne!(cargoes[0], lost.cargo);
    let items = |cargo: &[u8]| {
        let unpack = env.relay("unpack-cargo").args(["-q", "-N", "gateway"]);
        let items = unpack.stdin(cargo.to_vec()).ok().stdout;
        let shown = env.relay("inspect").arg("--json").stdin(items).ok();
        let is_of = |kind: &str| shown.json().iter().filter(|it| it["kind"] == kind).count();
        (is_of("parcel"), is_of("pca"))
    };
    assert_eq!(items(&cargoes[0]), (1, 1), "both are in it again");
    // The earlier request is used up by that, and its courier need not keep it.
    assert_eq!(
        caller.collect_all(&first),
        (vec![], CallEnd::Status(PERMISSION_DENIED, None))
    );
    // A newer one still gets the parcel: only a PCA of the gateway ends that.
    let newest = forged(&env.cca("gateway", "hub"), "gateway", |it| {
        it.fields.date += jiff::SignedDuration::from_secs(2);
    });
    let (cargoes, _) = caller.collect_all(&newest);
    assert_eq!(items(&cargoes[0]), (1, 0));
    assert_eq!(hub.server.errors(), [""; 0]);
}

#[test]
fn only_a_valid_request_of_a_registered_gateway_gets_cargo() {
    let env = nodes();
    put(&env, &[parcel(&env, "m1", b"hello")]);
    let hub = Hub::of(env);
    let caller = caller(&hub);
    let cca = hub.env.cca("gateway", "hub");
    let changed = |change: &dyn Fn(&mut crate::testenv::Forgery)| forged(&cca, "gateway", change);
    let other = crate::online::site::node_id("mallory");
    for bad in [
        forged(&cca, "bob", |it| it.certificates = vec![self_issued("bob")]),
        changed(&|it| it.fields.recipient = other),
        changed(&|it| {
            it.fields.date = "2026-01-01T00:00:00Z".parse().unwrap();
            it.fields.ttl = 60;
        }),
        hub.env
            .cargo("gateway", "hub", parcel(&hub.env, "m2", b"hello")),
        cca[..cca.len() - 1].to_vec(),
        b"x".to_vec(),
    ] {
        is_refused(&caller.collect(&bad, &[]).end(), UNAUTHENTICATED);
    }
    let early = changed(&|it| it.fields.date = "2026-06-01T00:00:00Z".parse().unwrap());
    is_refused(&caller.collect(&early, &[]).end(), UNAVAILABLE);
    // Who carries somebody else's gets what is for that gateway, and cannot open it.
    let (cargoes, end) = caller.collect_all(&cca);
    assert_eq!((cargoes.len(), end.code()), (1, Some(OK)));
    let opened = hub.env.relay("unpack-cargo").args(["-N", "mallory"]);
    assert_ne!(opened.stdin(cargoes[0].clone()).run().status, 0);
    assert_eq!(store(&hub.env, &cargoes), 1);
}

#[test]
fn calls_that_are_under_way_are_finished_when_it_is_told_to_end() {
    let hub = hub_with_cargo(2);
    let caller = caller(&hub);
    let cargo = hub
        .env
        .cargo("mallory", "hub", parcel(&hub.env, "m9", b"hello"));
    let octets = delivery("id", &cargo);
    let mut delivering = caller.begin(Call::Deliver, &[]);
    delivering.give("before", &cargo);
    assert_eq!(delivering.next::<CargoDeliveryAck>().unwrap().id, "before");
    delivering.send(&octets[..100]);
    let cca = hub.env.cca("gateway", "hub");
    // On another connection: what it does not read would stop the acknowledgements.
    let other = self::caller(&hub);
    let mut collecting = other.collect(&cca, &[]);
    let first = collecting.next::<CargoDelivery>().unwrap();
    hub.server.signal(Signal::TERM);
    delivering.send(&octets[100..]);
    delivering.close();
    let ack = delivering.next::<CargoDeliveryAck>();
    is_refused(&delivering.end(), OK);
    assert_eq!(ack.unwrap().id, "id");
    collecting.acknowledge(&first.id);
    is_refused(&collecting.end(), UNAVAILABLE);
    let ended = hub.server.ended();
    assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
}

#[test]
fn cargo_is_acknowledged_while_others_move_messages() {
    let hub = Hub::new();
    let caller = caller(&hub);
    let env = &hub.env;
    let cargo = env.cargo("mallory", "hub", parcel(env, "m1", b"hello"));
    let held = Lock::exclusive(&env.path("hub/lock/queue")).unwrap();
    let (acknowledged, end) = caller.deliver(&[&cargo]);
    assert_eq!((acknowledged, end.code()), (1, Some(OK)));
    assert_eq!(hub.server.count("event=unpacked"), 0);
    drop(held);
    hub.server.wait_for("event=routed", 1);
    assert_eq!(hub.waiting("gateway").len(), 1);
    assert_eq!(hub.server.errors(), [""; 0]);
}

#[test]
fn without_room_cargo_is_not_acknowledged_and_comes_another_time() {
    let env = nodes();
    let config = env.text("hub/config");
    env.write("hub/config", format!("{config}reserve = 16000000000G\n"));
    let cargo = env.cargo("mallory", "hub", parcel(&env, "m1", b"hello"));
    let large = parcel(&env, "m2", &vec![7; 100_000]);
    let large = env.cargo("mallory", "hub", large);
    let hub = Hub::of(env);
    for cargo in [&cargo, &large] {
        let (acknowledged, end) = caller(&hub).deliver(&[cargo]);
        assert_eq!((acknowledged, end.code()), (0, Some(RESOURCE_EXHAUSTED)));
    }
    let Hub { env, server, .. } = hub;
    assert_eq!(server.stop().status, Some(0));
    env.write("hub/config", config);
    let hub = Hub::of(env);
    assert_eq!(caller(&hub).deliver(&[&cargo, &large]).0, 2);
    hub.server.wait_for("event=routed", 2);
    assert_eq!(hub.waiting("gateway").len(), 2);
}

#[test]
fn a_clock_in_doubt_refuses_nothing_for_its_date() {
    let env = nodes();
    let cargo = env.cargo("mallory", "hub", parcel(&env, "m1", b"hello"));
    let cca = env.cca("gateway", "hub");
    let hub = Hub::of(env);
    // It has seen the right time.
    assert_eq!(caller(&hub).deliver(&[&cargo]).0, 1);
    hub.server.wait_for("event=routed", 1);
    let Hub {
        env,
        server,
        authority,
        ..
    } = hub;
    assert_eq!(server.stop().status, Some(0));
    let next = env.cargo("mallory", "hub", parcel(&env, "m2", b"hello"));
    for wrong in ["2027-03-01T12:00:00Z", "2025-03-01T12:00:00Z"] {
        let server = Server::start(serve(&env).at(wrong));
        let caller = Caller::connect(server.port(), HOST, &authority);
        let (acknowledged, end) = caller.deliver(&[&next]);
        assert_eq!(
            (acknowledged, end.code()),
            (0, Some(UNAVAILABLE)),
            "{wrong}"
        );
        is_refused(&caller.collect(&cca, &[]).end(), UNAVAILABLE);
        assert_eq!(server.stop().status, Some(0));
    }
    let server = Server::start(serve(&env));
    let caller = Caller::connect(server.port(), HOST, &authority);
    assert_eq!(caller.deliver(&[&next]).0, 1);
    server.wait_for("event=routed", 1);
    let (cargoes, end) = caller.collect_all(&cca);
    assert_eq!((cargoes.len(), end.code()), (1, Some(OK)));
    assert_eq!(store(&env, &cargoes), 2);
}
