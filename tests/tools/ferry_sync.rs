//! relay-ferry --sync: a node's cargo and the courier of its network. Everything is on loopback.

use std::fs;
use std::net::TcpListener;

use relaynet::disk::Lock;

use crate::online::authority::{LIFE, Leaf};
use crate::online::{CargoRelay, Collects, Delivers};
use crate::testenv::{Call, Env, id};

/// The gateway, with parcels for the hub, and a courier at its network.
struct Site {
    env: Env,
    courier: CargoRelay,
}

/// A courier of which there may be several.
fn courier() -> CargoRelay {
    CargoRelay::start(&Leaf::self_signed(&["127.0.0.1"], LIFE))
}

impl Site {
    fn new() -> Self {
        let env = Env::with_gateways();
        // Bob is behind mallory, for the hub.
        env.write("hub/routes", "* peer:mallory\n");
        env.chmod("hub/routes", 0o600);
        Self {
            env,
            courier: courier(),
        }
    }

    /// Puts a parcel from alice to bob into the gateway's spool: it goes by the hub.
    fn put(&self, message: &str) {
        let parcel = self
            .env
            .parcel_with("alice", "bob", message.as_bytes(), &["--id", message]);
        let put = self.env.relay("put").args(["-N", "gateway"]);
        put.stdin(parcel).ok();
        self.env.relay("route").args(["-N", "gateway"]).ok();
    }

    fn sync_with(&self, courier: &CargoRelay) -> Call<'_> {
        let address = courier.address();
        let options = ["-N", "gateway", "--sync", "--courier-address", &address];
        self.env
            .relay("ferry")
            .args(options)
            .args(["--pause", "0s"])
    }

    fn sync(&self) -> Call<'_> {
        self.sync_with(&self.courier)
    }

    /// The files on the medium in the gateway's spool.
    fn on_wire(&self, kind: &str, gateway: &str) -> Vec<String> {
        let dir = format!("gateway/spool/wire/relaynet/{kind}/{}", id(gateway));
        if self.env.path(&dir).exists() {
            let names = self.env.names(&dir).into_iter();
            names.map(|name| format!("{dir}/{name}")).collect()
        } else {
            Vec::new()
        }
    }

    /// What the hub makes of cargo and a request that a courier brought: cargo for the gateway.
    fn answered(&self, cargo: &[Vec<u8>], cca: &[u8], messages: &[&str]) -> Vec<Vec<u8>> {
        let unpacked = cargo.iter().map(|cargo| {
            let unpack = self.env.relay("unpack-cargo").args(["-N", "hub"]);
            unpack.stdin(cargo.clone()).ok().stdout
        });
        assert!(unpacked.map(|it| it.len()).sum::<usize>() > 0 || cargo.is_empty());
        let parcels = messages.iter().map(|message| {
            self.env
                .parcel_with("bob", "alice", message.as_bytes(), &["--id", message])
        });
        self.env.write("shown.cca", cca);
        let pack = ["-N", "hub", "--cca", "shown.cca"];
        let pack = self.env.relay("pack-cargo").args(pack);
        vec![pack.stdin(parcels.collect::<Vec<_>>().concat()).ok().stdout]
    }
}

#[test]
fn cargo_goes_with_the_courier_and_what_it_brings_is_unpacked() {
    let site = Site::new();
    site.put("m1");
    site.put("m2");
    let ran = site.sync().arg("-v").ok();
    assert!(ran.stderr.contains("event=packed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("event=delivered"), "{}", ran.stderr);
    let seen = site.courier.seen();
    assert_eq!((seen.cargo.len(), seen.ccas.len()), (1, 1));
    // The parcels still wait: they have not arrived.
    assert_eq!(
        site.env
            .names(format!("gateway/spool/out/{}", id("hub")).as_str())
            .len(),
        2
    );
    // The courier was at the hub, and comes back.
    let back = site.answered(&seen.cargo, &seen.ccas[0], &["r1", "r2"]);
    site.courier.gives(&back);
    let ran = site.sync().arg("-v").ok();
    assert_eq!(
        ran.stderr.matches("event=stored").count(),
        2,
        "{}",
        ran.stderr
    );
    let seen = site.courier.seen();
    assert_eq!(seen.acknowledged, 1);
    // Acknowledgements of what came go with the same visit, and nothing goes twice.
    assert_eq!(seen.cargo.len(), 1, "{}", ran.stderr);
    let unpack = site.env.relay("unpack-cargo").args(["-N", "hub"]);
    let items = unpack.stdin(seen.cargo[0].clone()).ok();
    assert!(!items.stdout.is_empty());
    assert!(site.on_wire("cargo", "gateway").is_empty());
    // It was answered, so the next visit has a new request.
    site.courier.gives(&[]);
    site.sync().ok();
    let again = site.courier.seen();
    assert_eq!((again.cargo.len(), again.ccas.len()), (0, 1));
    assert_ne!(again.ccas[0], seen.ccas[0]);
    // Without cargo the same request is shown for an hour.
    site.sync().ok();
    assert_eq!(site.courier.seen().ccas[0], again.ccas[0]);
    site.sync().at("2026-03-01T13:30:00Z").ok();
    site.sync().at("2026-03-01T13:31:00Z").ok();
    assert_ne!(site.courier.seen().ccas[1], again.ccas[0]);
    let check = site.env.relay("check").args(["-N", "gateway"]).run();
    let found = check.text();
    assert!(
        !found.contains("wire") && !found.contains("carried"),
        "{found}"
    );
}

#[test]
fn a_courier_that_takes_everything_keeps_nothing_from_other_ways() {
    let site = Site::new();
    site.put("m1");
    site.sync().ok();
    assert_eq!(site.courier.seen().cargo.len(), 1);
    // The same courier gets it again after a week, another one after an hour.
    let other = courier();
    let at = |time: &str, courier: &CargoRelay| {
        let ran = site.sync_with(courier).at(time).ok();
        assert!(!ran.stderr.contains("set aside"), "{}", ran.stderr);
        courier.seen().cargo.len()
    };
    assert_eq!(at("2026-03-01T12:30:00Z", &site.courier), 0);
    assert_eq!(at("2026-03-01T12:30:00Z", &other), 0);
    assert_eq!(at("2026-03-01T13:00:00Z", &site.courier), 0);
    assert_eq!(at("2026-03-01T13:00:00Z", &other), 1);
    assert_eq!(at("2026-03-01T14:30:00Z", &other), 0);
    // A stick gets it at any time.
    let sync = ["-N", "gateway", "--init", "stick"];
    site.env.relay("sync").args(sync).ok();
    let dir = format!("stick/relaynet/cargo/{}", id("hub"));
    assert_eq!(site.env.names(&dir).len(), 1);
    // When a stick brings the acknowledgement, the copy leaves the medium of the spool.
    site.env.relay("sync").args(["-N", "hub", "stick"]).ok();
    site.env.relay("route").args(["-N", "hub"]).ok();
    site.env.relay("sync").args(["-N", "gateway", "stick"]).ok();
    site.env.relay("route").args(["-N", "gateway"]).ok();
    assert_eq!(at("2026-03-01T15:00:00Z", &site.courier), 0);
    assert!(site.on_wire("cargo", "hub").is_empty());
}

#[test]
fn what_a_courier_does_not_do_is_done_another_time() {
    let site = Site::new();
    site.put("m1");
    for (delivers, status) in [
        (Delivers::Nothing(1), 75),
        (Delivers::UnknownId, 76),
        (Delivers::HalfMessage, 76),
        (Delivers::Refuses(7, None, 0), 69),
        (Delivers::Refuses(3, None, 0), 0),
    ] {
        site.courier.delivers(delivers.clone());
        site.sync().ends(status);
        site.courier.seen();
        let out = format!("gateway/spool/out/{}", id("hub"));
        assert_eq!(site.env.names(&out).len(), 1, "{delivers:?}");
    }
    site.courier.delivers(Delivers::Acknowledges);
    site.sync().ok();
    assert_eq!(site.courier.seen().cargo.len(), 1);
    // Junk is not stored, a bad end is reported, and cargo goes only after a good one: the courier is asked first.
    site.courier.gives(&[b"junk".to_vec()]);
    site.sync().ok().says_somewhere("of no use");
    assert!(site.on_wire("cargo", "gateway").is_empty());
    for (collects, status) in [
        (Collects::TooLong(9_437_441), 76),
        (Collects::HalfMessage, 76),
        (Collects::Refuses(16, None), 69),
        (Collects::Refuses(7, None), 0),
    ] {
        site.courier.collects(collects);
        site.sync().ends(status);
    }
}

#[test]
fn cargo_of_strangers_and_for_strangers_is_not_stored() {
    let site = Site::new();
    let cca = site.env.cca("mallory", "hub");
    site.env.write("asked.cca", cca);
    let parcel = site.env.parcel_with("bob", "alice", b"x", &["--id", "x"]);
    let pack = ["-N", "hub", "--cca", "asked.cca"];
    let pack = site.env.relay("pack-cargo").args(pack);
    let for_mallory = pack.stdin(parcel).ok().stdout;
    site.courier.gives(&[for_mallory]);
    let ran = site.sync().arg("--json").ok();
    let summary = ran.json().pop().unwrap();
    assert_eq!(
        (summary["received"].as_u64(), summary["rejected"].as_u64()),
        (Some(0), Some(1))
    );
    assert!(
        site.on_wire("cargo", "gateway").is_empty() && site.on_wire("cargo", "mallory").is_empty()
    );
}

#[test]
fn without_room_nothing_is_acknowledged() {
    let site = Site::new();
    site.put("m1");
    let cca = site.env.cca("gateway", "hub");
    let arriving = site.answered(&[], &cca, &["r1"]);
    site.courier.gives(&arriving);
    let config = site.env.text("gateway/config");
    site.env
        .write("gateway/config", format!("{config}reserve = 900000G\n"));
    site.sync().ends(75).says_somewhere("are kept free");
    // Nor is anything packed; the request is small enough for any disk.
    let seen = site.courier.seen();
    assert_eq!((seen.acknowledged, seen.cargo.len()), (0, 0));
    assert!(site.on_wire("cargo", "gateway").is_empty());
    site.env.write("gateway/config", config);
    site.sync().ok();
    // The parcel, and that the other one came.
    let seen = site.courier.seen();
    assert_eq!((seen.acknowledged, seen.cargo.len()), (1, 2));
}

#[test]
fn without_a_courier_a_run_is_silent() {
    let site = Site::new();
    site.put("m1");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let address = format!("127.0.0.1:{port}");
    let sync = |quiet: &[&str]| {
        let options = ["-N", "gateway", "--sync", "--courier-address", &address];
        site.env.relay("ferry").args(options).args(quiet)
    };
    for _ in 0..3 {
        sync(&["-q"]).ends(75).says(&[]);
    }
    sync(&[]).ends(75).says_somewhere("no connection");
    // Nothing was packed for it.
    assert!(!site.env.path("gateway/spool/wire").exists());
    // A courier that is not well is reported once a day, and left alone meanwhile.
    site.courier.delivers(Delivers::Refuses(14, None, 0));
    let first = site.sync().arg("-q").ends(75);
    assert!(first.stderr.contains("UNAVAILABLE"), "{}", first.stderr);
    site.sync().arg("-q").ends(75).says(&[]);
    // Somebody who looks on wants it now.
    site.courier.delivers(Delivers::Acknowledges);
    site.sync().ok();
}

#[test]
fn strangers_are_asked_only_where_the_config_says_so() {
    let site = Site::new();
    let sync = |options: &[&str]| {
        let call = site.env.relay("ferry").args(["-N", "gateway", "--sync"]);
        call.args(options)
    };
    sync(&["-q"]).ok().quiet();
    sync(&[]).ok().says_somewhere("couriers is no");
    for address in ["9.9.9.9", "gw.example.org:1", "[::1]:1"] {
        sync(&["--courier-address", address]).ends(64);
    }
    let port = site.courier.port();
    let address = site.courier.address();
    let plan = format!("{address}\t127.0.0.1\t{port}\tself-signed\toption\n");
    sync(&["--courier-address", &address, "-n"])
        .ok()
        .stdout(plan)
        .changes(&[]);
    // Only gateways have cargo.
    let alice = ["-N", "alice", "--sync", "--courier-address", &address];
    site.env.relay("ferry").args(alice).run();
    assert!(site.courier.seen().calls.is_empty());
    let config = site.env.text("gateway/config");
    site.env
        .write("gateway/config", format!("{config}couriers = maybe\n"));
    sync(&[]).ends(78);
}

#[test]
fn another_run_and_a_gateway_that_is_online_are_left_to_themselves() {
    let site = Site::new();
    site.put("m1");
    let lock = site.env.path("gateway/lock/ferry");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let held = Lock::exclusive(&lock).unwrap();
    site.sync().ok();
    assert!(site.courier.seen().calls.is_empty());
    drop(held);
    // The hub is online with another run: neither cargo nor a request for it goes to a stranger.
    let now: jiff::Timestamp = crate::testenv::NOW.parse().unwrap();
    let node = relaynet::node::Directory::open(&site.env.path("gateway")).unwrap();
    let spool = relaynet::spool::Spool::of(node).unwrap();
    spool.note_host_success(crate::testenv::HUB, now).unwrap();
    let online = site.env.path(format!("gateway/lock/online.{}", id("hub")));
    let held = Lock::exclusive(&online).unwrap();
    site.sync().ok();
    let seen = site.courier.seen();
    assert!(seen.cargo.is_empty() && seen.ccas.is_empty());
    drop(held);
    site.sync().ok();
    let seen = site.courier.seen();
    assert_eq!((seen.cargo.len(), seen.ccas.len()), (1, 1));
}
