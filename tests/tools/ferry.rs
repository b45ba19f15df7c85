//! relay-ferry: cargo on a medium, taken to servers and fetched from them. Everything is on loopback.

use std::fs;
use std::net::TcpListener;

use relaynet::binding::cogrpc::Call as CargoCall;

use crate::online::authority::{LIFE, Leaf};
use crate::online::{Authority, CargoRelay, Collects, Delivers, Mode, Resolver};
use crate::testenv::{Call, Env, HUB, id, sha256};

const HOST: &str = "cogrpc.hub.example.org";

/// The medium red, with cargo and a request of the gateway's for the hub, whose server runs.
struct World {
    env: Env,
    resolver: Resolver,
    hub: CargoRelay,
}

impl World {
    fn new() -> Self {
        let env = Env::with_gateways();
        env.mkdir("red");
        let init = env.relay("sync").args(["-N", "hub", "--init", "red"]);
        init.ok().quiet();
        let authority = Authority::new();
        authority.write(&env);
        let resolver = Resolver::start(&authority);
        let hub = CargoRelay::start(&authority.leaf(&[HOST]));
        resolver.add_service("_awala-crc", HUB, HOST, hub.port());
        resolver.add_address(HOST);
        Self { env, resolver, hub }
    }

    /// The same with so much cargo of the gateway's, and a request of theirs.
    fn laden(cargoes: usize) -> Self {
        let world = Self::new();
        for number in 0..cargoes {
            let cargo = world.cargo("gateway", "hub", number);
            world.put("cargo", ("hub", "gateway"), &cargo);
        }
        let cca = world.env.cca("gateway", "hub");
        world.put("cca", ("hub", "gateway"), &cca);
        world
    }

    /// Cargo that differs from others by its number.
    fn cargo(&self, from: &str, to: &str, number: usize) -> Vec<u8> {
        let content = format!("{number}");
        let parcel = self
            .env
            .parcel_with("bob", "alice", content.as_bytes(), &["--id", &content]);
        if from != "hub" {
            return self.env.cargo(from, to, parcel);
        }
        let cca = self.env.cca(to, from);
        self.env.write("asked.cca", cca);
        let pack = ["-N", from, "--cca", "asked.cca"];
        let packed = self.env.relay("pack-cargo").args(pack).stdin(parcel).ok();
        packed.stdout
    }

    fn put(&self, kind: &str, (recipient, sender): (&str, &str), octets: &[u8]) {
        let dir = format!("red/relaynet/{kind}/{}", id(recipient));
        fs::create_dir_all(self.env.path(&dir)).unwrap();
        let name = format!("{}.{}.{kind}", id(sender), sha256(octets));
        self.env.write(format!("{dir}/{name}"), octets);
    }

    fn ferry(&self) -> Call<'_> {
        let url = self.resolver.url();
        let options = ["red", "--resolver", &url, "--ca", "ca.pem", "--private"];
        self.env
            .relay("ferry")
            .args(options)
            .args(["--pause", "0s"])
    }

    /// Runs it for the hub's server alone, by its address.
    fn ferry_to(&self, server: &CargoRelay) -> Call<'_> {
        let address = server.address();
        self.env
            .relay("ferry")
            .args(["red", &address, "--pause", "0s"])
    }

    /// How many files of a kind there are for a gateway.
    fn count(&self, kind: &str, gateway: &str) -> usize {
        let dir = format!("red/relaynet/{kind}/{}", id(gateway));
        if self.env.path(&dir).exists() {
            self.env.names(&dir).len()
        } else {
            0
        }
    }
}

/// A courier on the local network.
fn courier() -> CargoRelay {
    CargoRelay::start(&Leaf::self_signed(&["127.0.0.1"], LIFE))
}

#[test]
fn cargo_goes_to_its_gateway_and_what_was_requested_comes_back() {
    let world = World::laden(12);
    let back: Vec<Vec<u8>> = (20..23)
        .map(|number| world.cargo("hub", "gateway", number))
        .collect();
    world.hub.gives(&back);
    let ran = world.ferry().arg("-v").ok();
    let count = |event: &str| ran.stderr.matches(&format!("event={event} ")).count();
    assert_eq!(
        (count("delivered"), count("asked"), count("received")),
        (12, 1, 3),
        "{}",
        ran.stderr
    );
    let seen = world.hub.seen();
    assert_eq!(seen.cargo.len(), 12);
    assert!(
        seen.most_unacknowledged <= 5,
        "{}",
        seen.most_unacknowledged
    );
    assert!(!seen.closed_early, "it closed its side too early");
    let calls: Vec<CargoCall> = seen.calls.iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, [CargoCall::Deliver, CargoCall::Collect]);
    assert!(seen.calls[0].1.is_some(), "a deadline by its size");
    assert_eq!((seen.ccas.len(), seen.acknowledged), (1, 3));
    assert_eq!(
        (world.count("cargo", "hub"), world.count("cca", "hub")),
        (0, 0)
    );
    assert_eq!(world.count("cargo", "gateway"), 3);
    // The gateway takes it from the medium as always, and there is nothing more to do.
    let synced = world
        .env
        .relay("sync")
        .args(["-N", "gateway", "--take", "red"]);
    synced.ok();
    assert_eq!(world.env.names("gateway/spool/in").len(), 3);
    let ran = world.ferry().arg("--json").ok();
    assert_eq!(ran.json().len(), 1, "only a summary");
    assert!(world.hub.seen().calls.is_empty());
}

#[test]
fn a_named_server_gets_copies_alone() {
    let world = World::laden(2);
    let courier = courier();
    courier.gives(&[world.cargo("hub", "gateway", 20)]);
    world.ferry_to(&courier).ok().quiet();
    let seen = courier.seen();
    assert_eq!((seen.cargo.len(), seen.acknowledged), (2, 1));
    assert_eq!(
        (world.count("cargo", "hub"), world.count("cca", "hub")),
        (2, 1)
    );
    assert_eq!(world.count("cargo", "gateway"), 1);
    // What came goes there as well, for it may be a courier of both.
    world.ferry_to(&courier).ok().quiet();
    assert_eq!(courier.seen().cargo.len(), 3);
    // A host that may be anybody's gets copies alone, too, when a node's operator named it.
    let address = courier.address();
    let named = ["-N", "gateway", "--host", &address, "hub"];
    world.env.relay("peers").args(named).ok();
    world.ferry().args(["-N", "gateway"]).ok().quiet();
    assert_eq!(courier.seen().cargo.len(), 2);
    assert_eq!(
        (world.count("cargo", "hub"), world.count("cca", "hub")),
        (2, 1)
    );
}

#[test]
fn a_dry_run_says_where_it_would_go() {
    let world = World::laden(2);
    let port = world.hub.port();
    let plan = format!("{HUB}\t{HOST}\t{port}\tpublic\tresolver\t3\n");
    world.ferry().arg("-n").ok().stdout(plan).changes(&[]);
    let courier = courier();
    let (address, port) = (courier.address(), courier.port());
    let plan = format!("{address}\t127.0.0.1\t{port}\tself-signed\thost\t3\n");
    world.ferry_to(&courier).arg("-n").ok().stdout(plan);
    let line = world.ferry().args(["-n", "--json"]).ok().json().remove(0);
    assert_eq!(
        (line["host"].as_str(), line["messages"].as_u64()),
        (Some(HOST), Some(3))
    );
    assert!(courier.seen().calls.is_empty() && world.hub.seen().calls.is_empty());
}

#[test]
fn a_server_that_is_not_there_or_not_it_leaves_everything() {
    let world = World::laden(1);
    // Another authority's certificate, and no private addresses.
    let other = Authority::new();
    world.env.write("other.pem", other.pem());
    let url = world.resolver.url();
    let ferry = |options: &[&str]| {
        world
            .env
            .relay("ferry")
            .args(["red", "--resolver", &url])
            .args(options)
    };
    ferry(&["--ca", "other.pem", "--private"]).ends(75);
    ferry(&["--ca", "ca.pem"])
        .ends(69)
        .says_somewhere("is a private address");
    // It is proven that there is no such server; then that nobody answers.
    world
        .resolver
        .set_mode(Mode::NxDomain { is_validated: true });
    world.ferry().ends(69);
    world.resolver.set_mode(Mode::NxDomain {
        is_validated: false,
    });
    world.ferry().ends(75);
    world.resolver.set_mode(Mode::Honest);
    assert!(world.hub.seen().calls.is_empty());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let address = format!("127.0.0.1:{port}");
    world.env.relay("ferry").args(["red", &address]).ends(75);
    // A self-signed certificate is not enough for a public name, nor one for another address.
    let wrong = CargoRelay::start(&Leaf::self_signed(&["10.9.8.7"], LIFE));
    world.ferry_to(&wrong).ends(75);
    let old = ((2001, 1, 1), (2002, 1, 1));
    let expired = CargoRelay::start(&Leaf::self_signed(&["127.0.0.1"], old));
    world.ferry_to(&expired).ends(75);
    assert_eq!(
        (world.count("cargo", "hub"), world.count("cca", "hub")),
        (1, 1)
    );
    let none = world.env.relay("ferry").args(["nowhere"]);
    none.ends(66);
    let none = world.env.relay("ferry").args(["--if-present", "nowhere"]);
    none.ok().quiet();
}

#[test]
fn what_is_not_acknowledged_stays() {
    let world = World::laden(7);
    let courier = courier();
    for (delivers, status, acknowledged) in [
        (Delivers::Nothing(1), 75, 0),
        (Delivers::Nothing(5), 75, 0),
        (Delivers::UnknownId, 76, 0),
        (Delivers::HalfMessage, 76, 0),
        (Delivers::Cuts, 75, 1),
        (Delivers::Http(503), 75, 0),
        (Delivers::Http(403), 69, 0),
        (Delivers::Http(404), 76, 0),
        (Delivers::Http(200), 76, 0),
        (Delivers::Refuses(8, Some("full"), 2), 75, 2),
        (Delivers::Twice, 0, 7),
    ] {
        courier.delivers(delivers.clone());
        let ran = world.ferry_to(&courier).arg("--json").ends(status);
        let lines = ran.json();
        let delivered = lines.last().unwrap()["delivered"].as_u64();
        assert_eq!(
            delivered,
            Some(acknowledged),
            "{delivers:?}: {}",
            ran.stderr
        );
        // Without success in delivery nothing is asked for.
        let asked = lines.last().unwrap()["asked"].as_u64();
        assert_eq!(asked, Some(u64::from(status == 0)), "{delivers:?}");
    }
    // The hub is believed: what it acknowledged before it failed leaves, and no more.
    world.hub.delivers(Delivers::Refuses(14, None, 2));
    world.ferry().ends(75);
    assert_eq!(world.count("cargo", "hub"), 5);
    world.hub.delivers(Delivers::Cuts);
    world.ferry().ends(75);
    assert_eq!(world.count("cargo", "hub"), 4);
    world.hub.delivers(Delivers::NoEnd);
    world.ferry().ok();
    assert_eq!(world.count("cargo", "hub"), 0);
}

#[test]
fn each_status_of_a_call_has_its_exit_status() {
    let world = World::laden(1);
    let courier = courier();
    for code in 1..=17 {
        let expected = match code {
            3 => 0, // of this cargo, and so no failure of the run
            5 | 7 | 16 => 69,
            6 | 9 | 11 | 12 | 15 => 76,
            _ => 75,
        };
        courier.delivers(Delivers::Refuses(code, Some("no %25 %7F"), 0));
        world.ferry_to(&courier).ends(expected);
        courier.delivers(Delivers::Refuses(code, None, 1));
        let status = if code == 3 { 69 } else { expected };
        world.ferry_to(&courier).ends(status);
    }
    courier.delivers(Delivers::Acknowledges);
    for code in 1..=16 {
        let expected = match code {
            7 => 0, // it was used before
            3 | 5 | 16 => 69,
            6 | 9 | 11 | 12 | 15 => 76,
            _ => 75,
        };
        courier.collects(Collects::Refuses(code, None));
        world.ferry_to(&courier).ends(expected);
    }
    assert_eq!(
        (world.count("cargo", "hub"), world.count("cca", "hub")),
        (1, 1)
    );
}

#[test]
fn one_bad_cargo_keeps_no_other_from_being_delivered() {
    let world = World::laden(8);
    let bad = world.cargo("gateway", "hub", 99);
    world.put("cargo", ("hub", "gateway"), &bad);
    world.hub.delivers(Delivers::RefusesOne(bad.clone()));
    let ran = world.ferry().arg("--json").ok();
    let summary = ran.json().pop().unwrap();
    assert_eq!(summary["delivered"], 8, "{}", ran.stderr);
    assert_eq!(summary["refused"], 1);
    assert!(ran.stderr.contains("refused: "), "{}", ran.stderr);
    assert_eq!(world.count("cargo", "hub"), 1);
    let dir = format!("red/relaynet/cargo/{}", id("hub"));
    let left = world.env.names(&dir).remove(0);
    assert_eq!(world.env.read(format!("{dir}/{left}")), bad);
    // None is lost when the server refuses each of them.
    world.hub.delivers(Delivers::Refuses(3, None, 0));
    world.ferry().ok();
    assert_eq!(world.count("cargo", "hub"), 1);
}

#[test]
fn a_request_stays_until_it_is_used() {
    let world = World::laden(0);
    let back = world.cargo("hub", "gateway", 20);
    world.hub.gives(std::slice::from_ref(&back));
    for (collects, status) in [
        (Collects::Refuses(7, Some("used")), 69),
        (Collects::Refuses(16, None), 69),
        (Collects::Refuses(14, None), 75),
        (Collects::HalfMessage, 76),
        (Collects::Cuts, 75),
        (Collects::Compressed, 76),
        (Collects::Junk, 76),
        (Collects::TooLong(9_437_441), 76),
        (Collects::NoEnd, 75),
    ] {
        world.hub.collects(collects.clone());
        world.ferry().ends(status);
        assert_eq!(world.count("cca", "hub"), 1, "{collects:?}");
    }
    // What came without an end is there, and was acknowledged.
    assert_eq!(world.count("cargo", "gateway"), 1);
    world.hub.collects(Collects::Refuses(7, None));
    world.ferry().ok();
    assert_eq!(world.count("cca", "hub"), 0);
    let cca = world.env.cca("gateway", "hub");
    world.put("cca", ("hub", "gateway"), &cca);
    world.hub.collects(Collects::GivesAndEnds);
    world.ferry().ok();
    assert_eq!(
        (world.count("cca", "hub"), world.count("cargo", "gateway")),
        (0, 1)
    );
}

#[test]
fn a_request_that_nothing_came_for_stays_for_an_hour() {
    let world = World::laden(0);
    world.ferry().ok().quiet();
    assert_eq!(
        (world.hub.seen().ccas.len(), world.count("cca", "hub")),
        (1, 1)
    );
    world.hub.gives(&[world.cargo("hub", "gateway", 20)]);
    world.ferry().ok().quiet();
    assert_eq!(
        (world.count("cca", "hub"), world.count("cargo", "gateway")),
        (0, 1)
    );
}

#[test]
fn what_comes_is_judged_before_it_is_acknowledged() {
    let world = World::laden(0);
    let good = world.cargo("hub", "gateway", 20);
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let of_strangers = world.cargo("hub", "mallory", 21);
    let cca = world.env.cca("gateway", "hub");
    world.hub.gives(&[
        changed,
        of_strangers,
        cca,
        b"junk".to_vec(),
        Vec::new(),
        good.clone(),
    ]);
    let ran = world.ferry().arg("--json").ok();
    let summary = ran.json().pop().unwrap();
    assert_eq!(
        (summary["received"].as_u64(), summary["rejected"].as_u64()),
        (Some(1), Some(5))
    );
    assert_eq!(world.count("cargo", "gateway"), 1);
    assert_eq!(world.count("cargo", "mallory"), 0);
    assert_eq!(world.hub.seen().acknowledged, 6);
    // By another clock it would be good: it is not acknowledged, and the request stays.
    let cca = world
        .env
        .relay("request-cargo")
        .args(["-N", "gateway", "-t", "hub"]);
    let cca = cca.at("2026-04-20T12:00:00Z").ok().stdout;
    world.put("cca", ("hub", "gateway"), &cca);
    world.hub.gives(&[good]);
    let ran = world.ferry().at("2026-04-20T12:00:00Z").arg("--json").run();
    let summary = ran.json().pop().unwrap();
    assert_eq!(summary["left"], 1, "{}", ran.stderr);
    assert_eq!(
        (world.count("cca", "hub"), world.hub.seen().acknowledged),
        (1, 0)
    );
    assert_ne!(ran.status, 0);
}

#[test]
fn a_server_that_gives_the_same_for_ever_is_ended() {
    let world = World::laden(0);
    world.hub.gives(&[world.cargo("hub", "gateway", 20)]);
    world.hub.collects(Collects::ForEver);
    world.ferry().ends(76).says_somewhere("of no use for ever");
    assert_eq!(
        (world.count("cargo", "gateway"), world.count("cca", "hub")),
        (1, 1)
    );
}

#[test]
fn large_cargo_passes_both_ways() {
    let world = World::new();
    let content = vec![7; 8_000_000];
    let parcel = world
        .env
        .parcel_with("bob", "alice", &content, &["--id", "big"]);
    let out = world.env.cargo("gateway", "hub", parcel.clone());
    world.put("cargo", ("hub", "gateway"), &out);
    let cca = world.env.cca("gateway", "hub");
    world.put("cca", ("hub", "gateway"), &cca);
    world.env.write("asked.cca", cca);
    let pack = ["-N", "hub", "--cca", "asked.cca"];
    let back = world.env.relay("pack-cargo").args(pack).stdin(parcel);
    let back = back.ok().stdout;
    assert!(back.len() > 8_000_000);
    world.hub.gives(&[back.clone(), back]);
    world.ferry().ok();
    assert_eq!(world.hub.seen().cargo, [out]);
    assert_eq!(world.count("cargo", "gateway"), 1);
}
