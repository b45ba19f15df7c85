//! relay-online on a disk that is really full: nothing is acknowledged that is not stored, and all comes once there is room.

use std::fs;

use crate::full::fill;
use crate::mounted::Mounted;
use crate::online::gateway::{Event, Place};
use crate::online::site::{Site, each_at_once, node_id, put};
use crate::testenv::{Env, copy_tree, id, sha256};

/// How many octets are left on the disk.
const ROOM: [u64; 6] = [0, 8192, 45_000, 70_000, 95_000, 200_000];

/// The digests of the parcels in a queue of the node on the small disk.
fn stored(site: &Site, queue: &str) -> Vec<String> {
    let dir = format!("small/gateway/spool/{queue}");
    let mut digests: Vec<String> = if site.env.path(&dir).exists() {
        let names = site.env.names(&dir).into_iter();
        names
            .map(|name| sha256(&site.env.read(format!("{dir}/{name}"))))
            .collect()
    } else {
        Vec::new()
    };
    digests.sort();
    digests
}

#[test]
fn whatever_room_there_is_nothing_is_acknowledged_that_is_not_stored() {
    let made = Env::with_gateways();
    made.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
    let config = made.text("gateway/config");
    made.write("gateway/config", format!("{config}reserve = 0\n"));
    // About 20 KB each, none of which compress.
    let content = |at: usize| -> Vec<u8> {
        (0..20_000)
            .map(|it| u8::try_from((it * it + at) % 251).unwrap())
            .collect()
    };
    let parcel = |at| made.parcel_with("bob", "alice", &content(at), &["--id", &format!("m{at}")]);
    let parcels: Vec<Vec<u8>> = (0..4).map(parcel).collect();
    put(
        &made,
        "gateway",
        made.parcel_with("alice", "bob", b"hello", &["--id", "out"]),
    );
    let mut expected: Vec<String> = parcels.iter().map(|it| sha256(it)).collect();
    expected.sort();
    each_at_once(ROOM, |room| {
        let site = Site::copy_of(&made);
        site.env.mkdir("small");
        let Some(_mounted) = Mounted::on(site.env.path("small"), "2m", "online") else {
            return;
        };
        site.env.mkdir("small/gateway");
        site.env.chmod("small/gateway", 0o700);
        copy_tree(&site.env.path("gateway"), &site.env.path("small/gateway"));
        fill(&site.env, room);
        for parcel in &parcels {
            site.gateway.post(node_id("gateway"), parcel.clone());
        }
        let ran = site.online("small/gateway").arg("-q").run();
        assert!(
            [0, 74, 75].contains(&ran.status),
            "{room}: {} {}",
            ran.status,
            ran.stderr
        );
        assert_eq!(
            ran.status == 0,
            ran.stderr.is_empty(),
            "{room}: {}",
            ran.stderr
        );
        let here = stored(&site, "in");
        for digest in site.gateway.acknowledged() {
            assert!(
                here.contains(&digest),
                "{room}: acknowledged, and not stored"
            );
        }
        assert!(
            here.iter().all(|it| expected.contains(it)),
            "{room}: half a parcel"
        );
        println!("{room}: {}, {} stored", ran.status, here.len());
        fs::remove_file(site.env.path("small/filler")).unwrap();
        let again = site.online("small/gateway").arg("-q").run();
        assert_eq!(again.status, 0, "{room}: {}", again.stderr);
        assert_eq!(stored(&site, "in"), expected, "{room}");
        assert!(site.gateway.mailbox(node_id("gateway")).is_empty());
    });
}

/// What is kept free ends a run, too, and so does the quota of the one who pays; what is submitted needs none.
#[test]
fn a_reserve_leaves_parcels_with_the_gateway() {
    let env = Env::with_gateways();
    env.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
    let config = env.text("gateway/config");
    let site = Site::of(env);
    let parcel = site.env.parcel("bob", "alice", b"hello");
    site.gateway.post(node_id("gateway"), parcel.clone());
    site.env
        .write("gateway/config", format!("{config}reserve = 999999G\n"));
    let ran = site.online("gateway").run();
    assert!(
        [74, 75].contains(&ran.status),
        "{} {}",
        ran.status,
        ran.stderr
    );
    assert_eq!(site.gateway.acknowledged(), [""; 0]);
    site.env.write("gateway/config", config);
    site.online("gateway").ok().quiet();
    assert_eq!(site.gateway.acknowledged(), [sha256(&parcel)]);
}

/// What a server took must be noted. Where that has no room, it would be offered again by each run, over a line that may
/// cost.
#[test]
fn nothing_is_submitted_whose_effects_have_no_room() {
    let made = Env::with_gateways();
    let config = made.text("mallory/config");
    made.write("mallory/config", format!("{config}reserve = 0\n"));
    let parcel = made.parcel("bob", "alice", b"hello");
    put(&made, "mallory", parcel.clone());
    let site = Site::copy_of(&made);
    site.env.mkdir("small");
    let Some(_mounted) = Mounted::on(site.env.path("small"), "2m", "online") else {
        return;
    };
    site.env.mkdir("small/mallory");
    site.env.chmod("small/mallory", 0o700);
    copy_tree(&site.env.path("mallory"), &site.env.path("small/mallory"));
    let asked = |it: &Event| matches!(it, Event::Answered(Place::Parcels, _));
    fill(&site.env, 4096);
    for _ in 0..2 {
        let ran = site.online("small/mallory").arg("-q").ends(74);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    assert_eq!(site.gateway.journal().count(asked), 0);
    fs::remove_file(site.env.path("small/filler")).unwrap();
    site.online("small/mallory").arg("-q").ok().quiet();
    assert_eq!(site.gateway.journal().count(asked), 1);
    assert_eq!(site.gateway.stored(), [sha256(&parcel)]);
}
