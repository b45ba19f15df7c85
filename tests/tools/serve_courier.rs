//! relay-serve as a courier: what it takes, and what leaves its medium.

use std::time::{Duration, Instant};

use crate::online::caller::Caller;
use crate::online::server::Server;
use crate::serve_cargo::parcel;
use crate::testenv::{Env, forged, id};

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

const OK: u32 = 0;
const RESOURCE_EXHAUSTED: u32 = 8;

struct Courier {
    env: Env,
    server: Server,
}

impl Courier {
    fn start(env: Env, options: &[&str], now: &str) -> Self {
        let call = env.relay("serve").args(["-v", "--courier", "red"]);
        let server = Server::start(call.args(options).at(now));
        Self { env, server }
    }

    /// With an empty medium.
    fn new(options: &[&str]) -> Self {
        let env = Env::with_gateways();
        env.mkdir("red");
        let options = [&["--init"], options].concat();
        Self::start(env, &options, "2026-03-01T12:00:00Z")
    }

    fn caller(&self) -> Caller {
        Caller::connect_to_courier(self.server.port())
    }

    /// The same at another time.
    fn again(self, now: &str) -> Self {
        let Self { env, server } = self;
        let ended = server.stop();
        assert_eq!((ended.status, ended.errors()), (Some(0), vec![]));
        Self::start(env, &[], now)
    }

    /// The cargo on the medium for a node.
    fn cargo_for(&self, node: &str) -> usize {
        let dir = format!("red/relaynet/cargo/{}", id(node));
        if self.env.path(&dir).exists() {
            self.env.names(&dir).len()
        } else {
            0
        }
    }
}

#[test]
fn strangers_fill_half_of_a_courier_at_most() {
    let courier = Courier::new(&["--quota", "100K"]);
    let env = &courier.env;
    let cargo = |at: usize| {
        let message = env.parcel_with("alice", "bob", &[7; 4000], &["--id", &format!("m{at}")]);
        env.cargo("gateway", "hub", message)
    };
    let caller = courier.caller();
    let mut octets = 0;
    let mut stored = 0;
    let fill = |octets: &mut usize, stored: &mut usize| {
        loop {
            let cargo = cargo(*stored);
            let (acknowledged, end) = caller.deliver(&[&cargo]);
            if acknowledged == 0 {
                assert_eq!(end.code(), Some(RESOURCE_EXHAUSTED), "{end:?}");
                return cargo.len();
            }
            assert_eq!(end.code(), Some(OK), "{end:?}");
            *octets += cargo.len();
            *stored += 1;
        }
    };
    let len = fill(&mut octets, &mut stored);
    assert!(octets <= 51_200 && octets + len > 51_200, "{octets}");
    // Once the gateway has asked, it may fill the rest.
    let (cargoes, end) = caller.collect_all(&env.cca("gateway", "hub"));
    assert_eq!((cargoes.len(), end.code()), (0, Some(OK)));
    let len = fill(&mut octets, &mut stored);
    // Its request is there, too.
    assert!(
        octets <= 102_400 && octets + len + 8192 > 102_400,
        "{octets}"
    );
    assert_eq!(courier.cargo_for("hub"), stored);
    assert_eq!(courier.server.errors(), [""; 0]);
}

#[test]
fn cargo_that_was_taken_leaves_a_courier_after_a_day() {
    let courier = Courier::new(&[]);
    let env = &courier.env;
    let first = env.cca("gateway", "hub");
    env.write("asked.cca", &first);
    let pack = env.relay("pack-cargo");
    let pack = pack.args(["-q", "-N", "hub", "--cca", "asked.cca"]);
    let cargo = pack.stdin(parcel(env, "m1", b"hello")).ok().stdout;
    assert_eq!(courier.caller().deliver(&[&cargo]).0, 1);
    let (cargoes, end) = courier.caller().collect_all(&first);
    assert_eq!((cargoes, end.code()), (vec![cargo.clone()], Some(OK)));
    // It does not come again, neither for the same nor for a newer request.
    let newer = forged(&first, "gateway", |it| {
        it.fields.date += jiff::SignedDuration::from_secs(1);
    });
    for cca in [&first, &newer, &first] {
        let (cargoes, end) = courier.caller().collect_all(cca);
        assert_eq!((cargoes.len(), end.code()), (0, Some(OK)));
    }
    // Who shows an older one gets what is new, and ends nothing with it.
    env.write("another.cca", env.cca("gateway", "hub"));
    let other = env.relay("pack-cargo");
    let other = other.args(["-q", "-N", "hub", "--cca", "another.cca"]);
    let other = other.stdin(parcel(env, "m2", b"hello")).ok().stdout;
    assert_eq!(courier.caller().deliver(&[&other]).0, 1);
    for _ in 0..2 {
        let (cargoes, _) = courier.caller().collect_all(&first);
        assert_eq!(cargoes.len(), 1);
    }
    let courier = courier.again("2026-03-02T11:00:00Z");
    courier.caller().collect_all(&first);
    courier.caller().collect_all(&first);
    assert_eq!(courier.cargo_for("gateway"), 2);
    let courier = courier.again("2026-03-02T12:01:00Z");
    courier.caller().collect_all(&first);
    let started = Instant::now();
    while courier.cargo_for("gateway") != 1 {
        assert!(started.elapsed() < LIMIT, "it stays");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(courier.server.errors(), [""; 0]);
}
