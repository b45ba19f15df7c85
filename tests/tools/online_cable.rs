//! A cable that is pulled at random moments: each message arrives, and once.

use std::collections::BTreeSet;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::online::site::{Site, node_id};
use crate::testenv::{Env, id};

/// Only a fault takes this long, once the cable is in for good.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the cable is played with, and the number of messages meanwhile: two minutes and 200 with `CI_FULL=1`.
fn play() -> (Duration, usize) {
    if env::var_os("CI_FULL").is_some() {
        (Duration::from_secs(120), 200)
    } else {
        (Duration::from_secs(5), 10)
    }
}

/// Numbers that look random; the seed is a part of what a failure says.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % most
    }
}

/// What waits at home at the node gateway.
fn at_home(site: &Site) -> Vec<String> {
    let queue = format!("home/{}", id("gateway"));
    let mut names = site.queue("gateway", &queue);
    names.retain(|name| name.ends_with(".parcel"));
    names
}

/// Whether nothing moves any more. An answer that the cable cut off has its parcel submitted again, and collected again
/// after it is at home.
fn is_at_rest(site: &Site) -> bool {
    site.waiting("mallory").is_empty()
        && site.gateway.mailbox(node_id("gateway")).is_empty()
        && site.queue("gateway", "in").is_empty()
}

/// One after another what a crontab runs at a site, until `is_over`. Whatever fails is tried again.
fn cron(site: &Site, node: &str, is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        for status in [
            site.env.relay("route").args(["-q", "-N", node]).output(),
            site.online(node).output(),
        ] {
            let code = status.status.code();
            assert!(
                matches!(code, Some(0 | 75)),
                "{node}: {code:?}: {}",
                String::from_utf8_lossy(&status.stderr)
            );
        }
    }
}

#[test]
fn a_cable_that_is_pulled_at_any_moment_loses_and_doubles_nothing() {
    let (lasts, number) = play();
    let env = Env::with_gateways();
    // Bob's parcels are put at mallory, and are for the node gateway itself.
    env.introduce("bob", "gateway", &[]);
    let site = Site::of(env);
    let parcels: Vec<Vec<u8>> = (0..number)
        .map(|at| {
            let id = format!("m{at}");
            let content = format!("message {at}");
            site.env
                .parcel_with("bob", "gateway", content.as_bytes(), &["--id", &id])
        })
        .collect();
    let is_over = AtomicBool::new(false);
    let seed = u64::from(std::process::id());
    let mut pulls = 0;
    std::thread::scope(|scope| {
        for node in ["mallory", "gateway"] {
            let (site, is_over) = (&site, &is_over);
            scope.spawn(move || cron(site, node, is_over));
        }
        scope.spawn(|| {
            let pause = lasts / u32::try_from(number).unwrap();
            for parcel in &parcels {
                let put = site.env.relay("put").args(["-q", "-N", "mallory"]);
                assert!(put.stdin(parcel.clone()).output().status.success());
                std::thread::sleep(pause);
            }
        });
        let mut dice = Dice(seed);
        let started = Instant::now();
        while started.elapsed() < lasts {
            std::thread::sleep(Duration::from_millis(dice.below(700)));
            site.gateway.listener().unplug();
            pulls += 1;
            std::thread::sleep(Duration::from_millis(dice.below(400)));
            site.gateway.listener().plug();
        }
        let plugged = Instant::now();
        while plugged.elapsed() < LIMIT && (at_home(&site).len() < number || !is_at_rest(&site)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    let home = at_home(&site);
    // A file begins with recipient, sender and the digest of the id.
    let keys: BTreeSet<_> = home
        .iter()
        .map(|name| name.splitn(4, '.').take(3).collect::<Vec<_>>())
        .collect();
    println!(
        "{pulls} pulls, {number} messages, {} at home, {} of them different",
        home.len(),
        keys.len()
    );
    assert_eq!((home.len(), keys.len()), (number, number), "seed {seed}");
    assert!(site.waiting("mallory").is_empty(), "seed {seed}");
    assert!(
        site.gateway.mailbox(node_id("gateway")).is_empty(),
        "seed {seed}"
    );
    assert!(pulls > 3, "{pulls}");
}
