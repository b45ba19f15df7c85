//! relay-post with more addresses than connections: each has its turn, and one that is slow keeps no other waiting.

use std::io::Write as _;
use std::time::Duration;

use jiff::SignedDuration;
use relaynet::binding::address::ResolverUrl;
use relaynet::binding::direct::run::post_waiting;
use relaynet::binding::direct::turns::TurnLimits;
use relaynet::binding::direct::{DirectContext, DirectEvent};
use relaynet::binding::tls::Authorities;
use relaynet::binding::{Error, Network};
use relaynet::node::Directory;
use relaynet::pki::Window;
use relaynet::spool::Spool;

use crate::online::http::{read_body, read_head};
use crate::online::journal::Journal;
use crate::online::listener::Listener;
use crate::online::{Answer, Authority, Resolver};
use crate::testenv::{Env, NOW, id};

/// One more than there may be connections.
const HOSTS: [&str; 6] = [
    "n0.example.org",
    "n1.example.org",
    "n2.example.org",
    "n3.example.org",
    "n4.example.org",
    "n5.example.org",
];

/// The address that the others keep waiting, if they may.
const LAST: &str = HOSTS[5];

/// Posts so many parcels to each address but the last, which gets one, and comes last. The other servers answer the
/// requests from the `held`th on, counted from 0, only when the last one has its parcel.
///
/// Returns the hosts of all whole requests.
fn post(parcels: usize, held: usize, turns: TurnLimits) -> Vec<String> {
    let env = Env::new();
    env.make_node("alice", &["--set", "direct=fallback"]);
    env.make_node("bob", &["--address", HOSTS[0]]);
    let params = env.relay("export").args(["-N", "bob"]).ok().stdout;
    let import = env.relay("import").args(["-q", "-N", "alice"]);
    import.args(["--name", "bob"]).stdin(params).ok();
    let authority = Authority::new();
    let resolver = Resolver::start(&authority);
    let requests: Journal<String> = Journal::new();
    let seen = requests.clone();
    let server = Listener::start(Some(authority.leaf(&HOSTS).server()), move |connection| {
        while let Some(mut request) = read_head(connection) {
            if read_body(connection, &mut request).is_err() {
                return;
            }
            let host = request.server_name.unwrap();
            let before = seen.count(|it| *it == host);
            seen.add(host.clone());
            if host != LAST && before >= held {
                seen.wait("the last address is served", |all| {
                    all.iter().any(|it| it == LAST)
                });
            }

            if connection
                .write_all(&Answer::new(202).octets(None, true))
                .is_err()
            {
                return;
            }
        }
    });
    for host in HOSTS {
        resolver.add_service("_awala-pdc", host, host, server.port());
        resolver.add_address(host);
        // He moves from one address to the next.
        env.write(
            format!("alice/peers/{}/address", id("bob")),
            format!("{host}\n"),
        );
        let (number, ttl) = if host == LAST {
            (1, "2d")
        } else {
            (parcels, "1d")
        };
        for _ in 0..number {
            let parcel = env.parcel_with("alice", "bob", b"hello", &["--ttl", ttl]);
            let put = env.relay("put").args(["-q", "-N", "alice"]);
            put.stdin(parcel).ok();
        }
    }
    env.relay("route").args(["-q", "-N", "alice"]).ok();
    let spool = Spool::of(Directory::open(&env.path("alice")).unwrap()).unwrap();
    let now = NOW.parse().unwrap();
    let window = Window::new(now, SignedDuration::from_hours(2));
    let mut network = Network::default();
    network.resolvers = vec![resolver.url().parse::<ResolverUrl>().unwrap()];
    network.authorities = Authorities::from_pem(authority.pem().as_bytes(), "test").unwrap();
    let context = DirectContext {
        spool: &spool,
        network: &network,
        time: &spool.time(now, &window).unwrap(),
        gives_up_after: None,
        is_patient: false,
        turns,
    };
    let events = Journal::new();
    post_waiting::<Error>(&context, &|event| {
        events.add(match event {
            DirectEvent::Posted { address, .. } => format!("posted {address}"),
            DirectEvent::Reached { address } => format!("reached {address}"),
            event => panic!("{event:?}"),
        });
        Ok(())
    })
    .unwrap();
    let left = env.names("alice/spool/out/@internet");
    assert!(left.is_empty(), "{left:?}");
    let posted = events.count(|it| it.starts_with("posted "));
    let reached = events.count(|it| it.starts_with("reached "));
    assert_eq!((posted, reached), (5 * parcels + 1, 6));
    requests.all()
}

#[test]
fn an_address_with_many_parcels_lets_others_have_a_turn() {
    let turns = TurnLimits {
        turn: Duration::ZERO,
        parcel: Duration::MAX,
    };
    let requests = post(3, 1, turns);
    assert_eq!(requests.len(), 16);
    let first_of_last = requests.iter().position(|it| it == LAST).unwrap();
    // Each of the others had answered once, and at most five had another one under way.
    assert!(first_of_last <= 10, "{requests:?}");
}

#[test]
fn a_slow_parcel_is_broken_off_once_for_others() {
    let turns = TurnLimits {
        turn: Duration::MAX,
        parcel: Duration::ZERO,
    };
    let requests = post(1, 0, turns);
    assert_eq!(requests.len(), 6, "{requests:?}");
}
