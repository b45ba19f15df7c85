//! Networks of several gateways, with one stick carried around.

use std::fs;

use crate::testenv::{Env, Ran, id, sha256};

/// A network: its gateways in the order in which the stick visits them.
struct Network<'a> {
    env: Env,
    gateways: &'a [&'a str],
}

impl Network<'_> {
    /// The stick goes round once: everybody exchanges and routes what came. The failures are given back.
    fn round(&self) -> Vec<Ran> {
        let mut failed = Vec::new();
        for gateway in self.gateways {
            self.env.relay("route").args(["-N", gateway]).ok();
            let synced = self.env.relay("sync").args(["-N", gateway, "stick"]).run();
            if synced.status != 0 {
                failed.push(synced);
            }
            self.env.relay("route").args(["-N", gateway]).ok();
        }
        failed
    }

    #[track_caller]
    fn rounds(&self, count: usize) {
        for round in 0..count {
            let failed = self.round();
            let told: Vec<&str> = failed.iter().map(|ran| ran.stderr.as_str()).collect();
            assert_eq!(told, [""; 0], "round {round}");
        }
    }

    /// What waits anywhere for next hops, to be routed, or aside.
    fn on_the_way(&self) -> Vec<String> {
        let mut found = Vec::new();
        for gateway in self.gateways {
            let listed = self.env.relay("list").args(["-N", gateway]).ok().stdout;
            for line in String::from_utf8(listed).unwrap().lines() {
                let place = line.split('\t').next().unwrap();
                if line.contains("\tparcel\t") && !place.starts_with("home/") {
                    found.push(format!("{gateway}/{place}"));
                }
            }
        }
        found
    }

    /// The digests of what waits for a node.
    fn home(&self, gateway: &str, node: &str) -> Vec<String> {
        let dir = format!("{gateway}/spool/home/{}", id(node));
        if !self.env.path(&dir).exists() {
            return Vec::new();
        }
        let names = self.env.names(&dir);
        names
            .iter()
            .map(|name| sha256(&self.env.read(format!("{dir}/{name}"))))
            .collect()
    }

    fn put(&self, gateway: &str, parcel: &[u8]) {
        let put = self.env.relay("put").args(["-N", gateway]);
        put.stdin(parcel).ok();
    }

    fn routes(&self, gateway: &str, table: &str) {
        self.env.write(format!("{gateway}/routes"), table);
    }

    fn state(&self, gateway: &str, message: &str) -> i32 {
        let list = self.env.relay("list").args(["-N", gateway]);
        list.args(["--id", message]).run().status
    }
}

/// Gateway, mallory, hub and carol peer in a row, and gateway with hub, too. Alice sends by gateway; bob is a local
/// endpoint of carol.
fn chain() -> Network<'static> {
    let env = Env::new();
    let gateways = ["gateway", "mallory", "hub", "carol"];
    for gateway in gateways {
        env.make_node(gateway, &["--type", "gateway"]);
    }
    for (a, b) in [
        ("gateway", "mallory"),
        ("mallory", "hub"),
        ("hub", "carol"),
        ("gateway", "hub"),
    ] {
        env.introduce(a, b, &[]);
        env.introduce(b, a, &[]);
    }
    for endpoint in ["alice", "bob"] {
        env.make_node(endpoint, &[]);
    }
    let register = env.relay("export").args(["-N", "bob"]).ok().stdout;
    let registration = env
        .relay("register")
        .args(["-q", "-N", "carol", "--type", "endpoint", "--name", "bob"])
        .stdin(register)
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "carol"])
        .stdin(registration)
        .ok();
    env.introduce("alice", "bob", &[]);
    fs::create_dir(env.path("carol/endpoints")).unwrap();
    fs::rename(env.path("bob"), env.path("carol/endpoints/bob")).unwrap();
    env.mkdir("stick");
    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    Network {
        env,
        gateways: &["gateway", "mallory", "hub", "carol"],
    }
}

/// Two gateways that have no Internet gateway anywhere and peer, each with an endpoint of its own; the order in which
/// that was done does not matter, and neither has a table of routes.
#[test]
fn two_gateways_that_peer_need_no_table() {
    for are_peers_first in [true, false] {
        let env = Env::new();
        for gateway in ["gateway", "mallory"] {
            env.make_node(gateway, &["--type", "gateway"]);
        }
        let peer = || {
            env.introduce("gateway", "mallory", &[]);
            env.introduce("mallory", "gateway", &[]);
        };
        if are_peers_first {
            peer();
        }
        for (gateway, endpoint) in [("gateway", "anna"), ("mallory", "bert")] {
            let keygen = env.relay("keygen").args(["-N", gateway]);
            keygen
                .args(["-q", "--set", "clock=test", "--endpoint", endpoint])
                .ok();
        }
        if !are_peers_first {
            peer();
        }
        let (anna, bert) = ("gateway/endpoints/anna", "mallory/endpoints/bert");
        let public = env.relay("export").args(["-N", anna]).ok().stdout;
        let authorize = env.relay("authorize").args(["-q", "-N", bert]);
        let connection = authorize.args(["--name", "anna"]).stdin(public).ok().stdout;
        let import = env.relay("import").args(["-q", "-N", anna]);
        import.args(["--name", "bert"]).stdin(connection).ok();

        env.mkdir("stick");
        env.mkdir("inbox");
        let sync = env.relay("sync").args(["-N", "gateway", "--init", "stick"]);
        sync.ok().quiet();
        let parcel = env.parcel(anna, "bert", b"by boat");
        let id = env.relay("inspect").arg("--message-id");
        let id = String::from_utf8(id.stdin(parcel.clone()).ok().stdout).unwrap();
        let network = Network {
            env,
            gateways: &["gateway", "mallory"],
        };
        network.put("gateway", &parcel);
        network.rounds(1);
        assert_eq!(network.state("gateway", id.trim()), 75, "{are_peers_first}");
        let deliver = network.env.relay("deliver").args(["-q", "-N", bert]);
        deliver.args(["--dir", "inbox"]).ok().quiet();
        let names = network.env.names("inbox/anna");
        assert_eq!(names.len(), 1, "{are_peers_first}");
        assert_eq!(
            network.env.text(format!("inbox/anna/{}", names[0])),
            "by boat"
        );
        network.rounds(1);
        assert_eq!(network.state("gateway", id.trim()), 0, "{are_peers_first}");
        assert_eq!(network.on_the_way(), [""; 0], "{are_peers_first}");
    }
}

#[test]
fn a_chain_of_peering_gateways_passes_on() {
    let network = chain();
    network.routes("gateway", "* peer:mallory\n");
    network.routes("mallory", "* peer:hub\n");
    network.routes("hub", "* peer:carol\n");
    let parcel = network
        .env
        .parcel_with("alice", "bob", b"hello", &["--id", "m1"]);
    network.put("gateway", &parcel);
    network.rounds(3);
    assert_eq!(network.home("carol", "bob"), [sha256(&parcel)]);
    assert_eq!(network.state("gateway", "m1"), 0);
    assert_eq!(network.state("hub", "m1"), 75);
    network.rounds(1);
    for gateway in ["gateway", "mallory", "hub"] {
        assert_eq!(network.state(gateway, "m1"), 0, "{gateway}");
    }
    assert_eq!(network.on_the_way(), [""; 0]);
}

#[test]
fn a_loop_is_noticed_loses_nothing_and_can_be_mended() {
    let network = chain();
    network.routes("gateway", "* peer:mallory\n");
    network.routes("mallory", "* peer:hub\n");
    network.routes("hub", "* peer:gateway\n");
    let parcels: Vec<Vec<u8>> = (0..3_u8)
        .map(|at| network.env.parcel("alice", "bob", &[at]))
        .collect();
    for parcel in &parcels {
        network.put("gateway", parcel);
    }
    let mut noticed = Vec::new();
    for _ in 0..20 {
        noticed.extend(network.round());
    }
    assert!(!noticed.is_empty(), "{:?}", network.on_the_way());
    for ran in &noticed {
        assert_eq!(ran.status, 69, "{}", ran.stderr);
        assert!(ran.stderr.contains("a routing loop"), "{}", ran.stderr);
    }
    // Each still waits somewhere, and nobody has made two of one.
    let waiting = network.on_the_way();
    assert_eq!(waiting.len(), 3, "{waiting:?}");
    assert_eq!(network.home("carol", "bob"), [""; 0]);

    network.routes("hub", "* peer:carol\n");
    for (at, waits_for) in [
        ("hub", "gateway"),
        ("gateway", "mallory"),
        ("mallory", "hub"),
    ] {
        let out = format!("{at}/out/{}", id(waits_for));
        if waiting.contains(&out) {
            let route = network.env.relay("route").args(["-N", at]);
            route.args(["--reroute", waits_for]).ok();
        }
    }
    for _ in 0..4 {
        network.round();
    }
    let mut arrived = network.home("carol", "bob");
    arrived.sort();
    let mut sent: Vec<String> = parcels.iter().map(|parcel| sha256(parcel)).collect();
    sent.sort();
    assert_eq!(arrived, sent);
}

#[test]
fn a_second_route_is_taken_by_what_waits() {
    let network = chain();
    network.routes("gateway", "* peer:mallory\n");
    network.routes("hub", "* peer:carol\n");
    let parcel = network
        .env
        .parcel_with("alice", "bob", b"hello", &["--id", "m1"]);
    network.put("gateway", &parcel);
    network.env.relay("route").args(["-N", "gateway"]).ok();
    // It is on a stick that is lost.
    network.env.mkdir("lost");
    let sync = network.env.relay("sync").args(["-N", "gateway", "--init"]);
    sync.arg("lost").ok().quiet();
    network.routes("gateway", "* peer:hub\n");
    let route = network.env.relay("route").args(["-N", "gateway"]);
    route.args(["--reroute", "mallory"]).ok().quiet();
    network.rounds(3);
    assert_eq!(network.home("carol", "bob"), [sha256(&parcel)]);
    assert_eq!(network.state("gateway", "m1"), 0);
    assert_eq!(network.on_the_way(), [""; 0]);
    // The stick is found, and brings it once more by the other way.
    network.routes("mallory", "* peer:hub\n");
    let sync = network.env.relay("sync").args(["-N", "mallory", "lost"]);
    sync.ok();
    network.rounds(4);
    assert_eq!(network.home("carol", "bob").len(), 1);
    assert_eq!(network.on_the_way(), [""; 0]);
}
