//! relay-serve, killed while cargo is delivered to it and collected from it: nothing is lost, and nothing comes twice.

use std::time::{Duration, Instant};
use std::{env, thread};

use relaynet::binding::cogrpc::{Call, CargoDelivery, CargoDeliveryAck, authorization};

use crate::online::Authority;
use crate::online::caller::{CallEnd, Caller};
use crate::online::hub::{HOST, nodes, queue_of};
use crate::serve_cargo::{parcel, put, store};
use crate::serve_ends::{Dice, Killed, each_once};
use crate::testenv::id;

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(240);

/// What a request that is used up is answered.
const USED: CallEnd = CallEnd::Status(7, None);

/// Kills: 30 of each with `CI_FULL=1`.
fn kills() -> usize {
    env::var_os("CI_FULL").map_or(4, |_| 30)
}

/// Delivers cargo as far as the server takes it. Returns how many were acknowledged; the first were.
fn deliver(port: u16, authority: &Authority, cargoes: &[Vec<u8>]) -> usize {
    let Ok(caller) = Caller::try_connect(port, HOST, authority) else {
        return 0;
    };
    let Ok(mut call) = caller.try_begin(Call::Deliver, &[]) else {
        return 0;
    };
    for (at, cargo) in cargoes.iter().enumerate() {
        call.give(&at.to_string(), cargo);
    }
    call.close();
    let mut acknowledged = 0;
    while call.next::<CargoDeliveryAck>().is_some() {
        acknowledged += 1;
    }
    acknowledged
}

/// Collects what there is, and acknowledges each. Returns the end, if there was a call.
fn collect(
    port: u16,
    authority: &Authority,
    cca: &[u8],
    cargoes: &mut Vec<Vec<u8>>,
) -> Option<CallEnd> {
    let caller = Caller::try_connect(port, HOST, authority).ok()?;
    let shown = authorization::write(cca);
    let headers = [(authorization::HEADER, &*shown)];
    let mut call = caller.try_begin(Call::Collect, &headers).ok()?;
    while let Some(delivery) = call.next::<CargoDelivery>() {
        cargoes.push(delivery.cargo.to_vec());
        call.acknowledge(&delivery.id);
    }
    Some(call.end())
}

#[test]
fn no_cargo_is_lost_or_doubled_whatever_is_killed() {
    let env = nodes();
    let authority = Authority::new();
    authority.write(&env);
    authority.leaf(&[HOST]).write(&env, "server");
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let number = 12;
    let cargoes: Vec<Vec<u8>> = (0..number)
        .map(|at| env.cargo("mallory", "hub", parcel(&env, &format!("m{at}"), b"hello")))
        .collect();
    let hub = Killed::new(&env);
    let started = Instant::now();
    thread::scope(|scope| {
        // Again and again: what was acknowledged may come once more.
        let (hub, authority) = (&hub, &authority);
        let sender = scope.spawn(move || {
            let mut left = &cargoes[..];
            while !left.is_empty() {
                left = &left[deliver(hub.port(), authority, left)..];
                assert!(started.elapsed() < LIMIT, "seed {seed}");
            }
        });
        let mut killed = 0;
        while killed < kills() || !sender.is_finished() {
            let after = Duration::from_millis(dice.below(300));
            hub.kill(dice.below(2) == 0, after);
            killed += 1;
        }
    });
    // What is on the medium is unpacked at the next start.
    let waiting = || queue_of(&env, "hub", &format!("out/{}", id("gateway")));
    while waiting().len() < number {
        assert!(
            started.elapsed() < LIMIT,
            "seed {seed}: {}",
            waiting().len()
        );
        thread::sleep(Duration::from_millis(20));
    }
    hub.stop();
    each_once(&waiting(), number, seed);
    assert!(queue_of(&env, "hub", "in").is_empty());

    // Five more, each of which fills a cargo.
    let large = 5;
    let parcels: Vec<Vec<u8>> = (0..large)
        .map(|at| parcel(&env, &format!("l{at}"), &vec![7; 2_500_000]))
        .collect();
    put(&env, &parcels);
    hub.start();
    let cca = env.cca("gateway", "hub");
    let mut came = Vec::new();
    thread::scope(|scope| {
        let kills = scope.spawn(|| {
            for _ in 0..kills() {
                let after = Duration::from_millis(dice.below(500));
                hub.kill(dice.below(2) == 0, after);
            }
        });
        let mut is_used = false;
        while !(kills.is_finished() && is_used) {
            is_used = collect(hub.port(), &authority, &cca, &mut came) == Some(USED);
            assert!(started.elapsed() < LIMIT, "seed {seed}");
        }
    });
    println!("{} cargoes came", came.len());
    store(&env, &came);
    let arrived = queue_of(&env, "gateway", &format!("out/{}", id("alice")));
    each_once(&arrived, number + large, seed);
    hub.stop();
}
