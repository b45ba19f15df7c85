//! relay-online renews the registration with its gateway.

use jiff::{SignedDuration, Timestamp};

use crate::online::gateway::{Clock, Place};
use crate::online::{Answer, Authority, Gateway, Resolver};
use crate::testenv::{Env, HUB, NOW, id};

const HOST: &str = "poweb.hub.example.org";

struct World {
    env: Env,
    resolver: Resolver,
    gateway: Gateway,
}

impl World {
    fn new() -> Self {
        let env = Env::with_gateways();
        let authority = Authority::new();
        authority.write(&env);
        let resolver = Resolver::start(&authority);
        let gateway = Gateway::start(&env, "hub", &authority, HOST);
        gateway.announce(&resolver, HUB, HOST);
        Self {
            env,
            resolver,
            gateway,
        }
    }

    /// A run after so many days, by a clock that is believed and that the gateway has, too.
    fn online(&self, days: i64) -> crate::testenv::Ran {
        let now = NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * days);
        self.gateway.set_clock(Clock::At(now));
        let now = now.to_string();
        let purge = self.env.relay("purge").at(&now);
        purge.args(["-N", "gateway", "-q", "--trust-clock"]).ok();
        let online = self.env.relay("online").at(&now);
        let resolver = self.resolver.url();
        online
            .args([
                "-N",
                "gateway",
                "-v",
                "--ca",
                "ca.pem",
                "--resolver",
                &resolver,
            ])
            .run()
    }

    /// Cargo comes from the hub by stick: its session key is signed, and has no end.
    fn answer_by_cargo(&self) {
        self.env.write("cca", self.env.cca("gateway", "hub"));
        let parcel = self.env.parcel("bob", "alice", b"by stick");
        // Later than the registration: of two keys, the one with the later date is used.
        let later = |program| self.env.relay(program).at("2026-03-01T12:05:00Z");
        let pack = later("pack-cargo").args(["-N", "hub", "--cca", "cca"]);
        let cargo = pack.stdin(parcel).ok().stdout;
        let unpack = later("unpack-cargo").args(["-N", "gateway"]);
        unpack.stdin(cargo).ok();
    }

    fn session_key(&self) -> String {
        self.env
            .text(format!("gateway/peers/{}/session.pem", id("hub")))
    }

    fn certificates(&self) -> usize {
        self.env
            .names(&format!("gateway/certs/{}", id("hub")))
            .len()
    }
}

#[test]
fn a_registration_is_renewed_from_the_middle_of_its_life_on() {
    let world = World::new();
    world.answer_by_cargo();
    world.online(80);
    assert_eq!(world.certificates(), 1);
    let ran = world.online(100);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("event=renewed gateway=hub until="),
        "{}",
        ran.stderr
    );
    assert_eq!(world.certificates(), 2);
    // What is new is not renewed again.
    let ran = world.online(101);
    assert!(!ran.stderr.contains("renewed"), "{}", ran.stderr);
    assert_eq!((ran.status, world.certificates()), (0, 2));
}

#[test]
fn a_renewal_that_fails_is_reported_and_tried_once_a_day() {
    let world = World::new();
    world.gateway.fail_next(
        Place::Nodes,
        crate::online::Fault::Answer(Answer::message(403, "closed")),
    );
    let ran = world.online(100);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("was not renewed: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("403"), "{}", ran.stderr);
    // Not with each run.
    let ran = world.online(100);
    assert!(!ran.stderr.contains("renewed"), "{}", ran.stderr);
    assert_eq!(world.certificates(), 1);
    let ran = world.online(101);
    assert!(ran.stderr.contains("event=renewed"), "{}", ran.stderr);
    assert_eq!(world.certificates(), 2);
}

/// Whoever ends TLS in the gateway's place can exchange the session key of a registration, which nothing signs.
#[test]
fn a_renewal_does_not_exchange_a_session_key_that_is_in_use() {
    let world = World::new();
    world.answer_by_cargo();
    let known = world.session_key();
    assert!(!known.contains("Sealed-Until"), "{known}");
    let ran = world.online(100);
    assert!(ran.stderr.contains("event=renewed"), "{}", ran.stderr);
    assert_eq!((world.certificates(), world.session_key()), (2, known));
}

#[test]
fn a_session_key_that_has_ended_is_renewed_with_the_registration() {
    let world = World::new();
    let known = world.session_key();
    // That of a registration is sealed to for 60 days, and the registration itself is not old then.
    world.online(59);
    assert_eq!(
        (world.certificates(), world.session_key()),
        (1, known.clone())
    );
    let ran = world.online(61);
    assert!(ran.stderr.contains("event=renewed"), "{}", ran.stderr);
    assert_eq!(world.certificates(), 2);
    assert_ne!(world.session_key(), known);
    let ran = world.online(63);
    assert!(!ran.stderr.contains("renewed"), "{}", ran.stderr);
    assert_eq!(world.certificates(), 2);
}

#[test]
fn one_of_two_registrations_is_renewed_like_the_only_one() {
    let world = World::new();
    world.env.make_node(
        "carol",
        &["--type", "gateway", "--address", "carol.example.org"],
    );
    let public = world
        .env
        .relay("export")
        .args(["-N", "gateway"])
        .ok()
        .stdout;
    let register = world.env.relay("register").args(["-q", "-N", "carol"]);
    let registration = register.stdin(public).ok().stdout;
    let import = world
        .env
        .relay("import")
        .args(["-q", "-N", "gateway", "--replace"]);
    import.stdin(registration).ok();
    let ran = world.online(100);
    assert!(
        ran.stderr.contains("event=renewed gateway=hub"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.certificates(), 2);
}
