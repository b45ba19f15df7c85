//! An exchange with a gateway, stopped and failed at each step: parcels get to each side once, and nothing is acknowledged
//! that is not on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::law::{self, Step};
use super::refusals::{documented, is_sampled, statuses};
use crate::servers::site::{Site, each_at_once, node_id, put};
use crate::testenv::{Env, id, readable, sha256};

struct Made {
    env: Env,
    /// What waits at mallory for the hub.
    out: [Vec<u8>; 2],
    /// What the hub holds for mallory.
    held: [Vec<u8>; 2],
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let env = Env::with_gateways();
        env.introduce("alice", "mallory", &[]);
        let parcel = |from, to, id| env.parcel_with(from, to, b"hello", &["--id", id]);
        let out = ["m1", "m2"].map(|id| parcel("bob", "alice", id));
        for parcel in &out {
            put(&env, "mallory", parcel.clone());
        }
        let held = ["c1", "c2"].map(|id| parcel("alice", "mallory", id));
        Made { env, out, held }
    })
}

fn site() -> Site {
    let site = Site::copy_of(&made().env);
    for parcel in &made().held {
        site.gateway.post(node_id("mallory"), parcel.clone());
    }
    site
}

/// A run under a fault: its status, `None` if it was killed, and its diagnostics.
fn run(site: &Site, fault: &str) -> (Option<i32>, String) {
    let call = site.online("mallory").arg("-q").var("RELAY_FAULT", fault);
    let output = call.output();
    assert!(output.stdout.is_empty());
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// The steps of an undisturbed run, with paths relative to the node.
fn steps(site: &Site) -> Vec<Step> {
    let trace = site.env.path("trace");
    let (status, said) = run(site, &format!("trace:{}", trace.display()));
    assert_eq!((status, &*said), (Some(0), ""));
    let text = fs::read_to_string(trace).unwrap();
    let root = site.env.path("mallory");
    let node = fs::canonicalize(&root).unwrap();
    let lines = text.lines().map(|line| {
        let mut fields = line.split('\t');
        let op = fields.next().unwrap().to_owned();
        let relative = |path: &str| {
            let path = path.replace(&*node.to_string_lossy(), "field");
            path.replace(&*root.to_string_lossy(), "field")
                .replacen("mallory/", "field/", 1)
        };
        Step {
            op,
            paths: fields.map(relative).collect(),
        }
    });
    lines.collect()
}

/// The digests of the parcels in a part of mallory's spool.
fn stored(site: &Site, part: &str) -> Vec<String> {
    let start = format!("mallory/spool/{part}");
    let tree = site.env.tree();
    let parcels = tree
        .keys()
        .filter(|path| path.starts_with(&start) && path.ends_with(".parcel"));
    let mut digests: Vec<String> = parcels.map(|path| sha256(&site.env.read(path))).collect();
    digests.sort();
    digests
}

fn sorted(parcels: &[Vec<u8>]) -> Vec<String> {
    let mut digests: Vec<String> = parcels.iter().map(|it| sha256(it)).collect();
    digests.sort();
    digests
}

/// Checks what holds at every instant.
fn nothing_is_lost(site: &Site, what: &str) {
    let here = stored(site, "");
    for digest in site.gateway.acknowledged() {
        assert!(
            here.contains(&digest),
            "{what}: acknowledged, and not stored"
        );
    }
    let there = site.gateway.stored();
    for parcel in &made().out {
        let digest = sha256(parcel);
        let is_somewhere = there.contains(&digest) || here.contains(&digest);
        assert!(is_somewhere, "{what}: neither here nor at the gateway");
    }
}

/// The files of mallory's node that stay, without what time and chance make of their names.
fn files(site: &Site) -> BTreeSet<String> {
    let tree = site.env.tree();
    let own = tree.keys().filter(|path| path.starts_with("mallory/"));
    // relay-purge removes the temporary files of killed runs, after a day.
    let is_lasting = |path: &String| {
        !["/lock", "/tmp/", "/.relay-"]
            .iter()
            .any(|it| path.contains(it))
    };
    own.map(|path| readable(path)).filter(is_lasting).collect()
}

/// Runs again until all is done, and checks that each parcel arrived once.
fn finish(site: &Site, what: &str, undisturbed: &BTreeSet<String>) {
    for _ in 0..2 {
        let call = site.online("mallory").arg("-q");
        let output = call.output();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{what}: {said}");
        assert_eq!(said, "", "{what}");
    }
    assert_eq!(stored(site, "out"), [""; 0], "{what}");
    assert!(
        site.gateway.mailbox(node_id("mallory")).is_empty(),
        "{what}"
    );
    assert_eq!(
        sorted(&site.gateway.mailbox(node_id("gateway"))),
        sorted(&made().out),
        "{what}"
    );
    site.env
        .relay("route")
        .args(["-q", "-N", "mallory"])
        .ok()
        .quiet();
    assert_eq!(stored(site, ""), sorted(&made().held), "{what}");
    assert_eq!(stored(site, "home").len(), 2, "{what}");
    for message in ["m1", "m2"] {
        assert_eq!(
            site.state("mallory", message),
            (0, "accepted".to_owned()),
            "{what}"
        );
    }
    assert_eq!(&files(site), undisturbed, "{what}");
}

fn undisturbed() -> (Vec<Step>, BTreeSet<String>) {
    let site = site();
    let steps = steps(&site);
    site.env
        .relay("route")
        .args(["-q", "-N", "mallory"])
        .ok()
        .quiet();
    (steps, files(&site))
}

#[test]
fn the_order_of_steps_keeps_the_law() {
    let (steps, _) = undisturbed();
    law::check(&steps).unwrap();
    let hub = id("hub");
    let out = format!("remove field/spool/out/{hub}");
    // What left is noted and remembered before it is removed.
    law::check_order(&steps, &["field/spool/sent/", "field/seen/", &out]).unwrap();
    println!(
        "an exchange of two and two parcels has {} steps",
        steps.len()
    );
}

/// Points of faults, and how many were tried.
fn sweep(points: Vec<(String, usize)>, check: impl Fn(&Site, &str) + Sync) {
    let (_, expected) = undisturbed();
    let tried = AtomicUsize::new(0);
    let mut chunks: [Vec<String>; 4] = Default::default();
    let is_all = std::env::var_os("RELAY_ALL_FAULTS").is_some();
    let points = points.into_iter().filter(|(fault, at)| {
        let is_other = !matches!(&**fault, "kill" | "torn" | "ENOSPC");
        is_all || !is_other || is_sampled(&format!("online {at} {fault}"))
    });
    for (number, (fault, at)) in points.enumerate() {
        chunks[number % 4].push(format!("{fault}:{at}"));
    }
    each_at_once(chunks, |faults| {
        for fault in faults {
            let site = site();
            check(&site, &fault);
            nothing_is_lost(&site, &fault);
            finish(&site, &fault, &expected);
            tried.fetch_add(1, Ordering::Relaxed);
        }
    });
    println!("{} points", tried.into_inner());
}

#[test]
fn a_run_that_is_killed_anywhere_loses_nothing() {
    let (steps, _) = undisturbed();
    let mut points = Vec::new();
    for (at, step) in (1..).zip(&steps) {
        points.push(("kill".to_owned(), at));
        if step.writes() {
            points.push(("torn".to_owned(), at));
        }
    }
    sweep(points, |site, fault| {
        let (status, said) = run(site, fault);
        // What came in one batch may come in two, and there are more steps or fewer then.
        assert!(matches!(status, None | Some(0)), "{fault}: {said}");
    });
}

#[test]
fn a_disk_that_fails_anywhere_loses_nothing() {
    let (steps, _) = undisturbed();
    let allowed = statuses("relay-online");
    let mut points = Vec::new();
    for (at, step) in (1..).zip(&steps) {
        points.push(("ENOSPC".to_owned(), at));
        let others = documented(&step.op)
            .iter()
            .filter(|errno| **errno != "ENOSPC");
        points.extend(others.map(|errno| ((*errno).to_owned(), at)));
    }
    sweep(points, |site, fault| {
        let (status, said) = run(site, fault);
        let status = status.unwrap();
        assert!(
            status == 0 || allowed.contains(&status),
            "{fault}: {status}: {said}"
        );
        if fault.starts_with("ENOSPC") {
            assert!(
                [0, 73, 74, 75].contains(&status),
                "{fault}: {status}: {said}"
            );
        }
        assert!(said.lines().count() <= 4, "{fault}: {said}");
        assert_eq!(said.is_empty(), status == 0, "{fault}: {said}");
    });
}
