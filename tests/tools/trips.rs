//! Trips of media between gateways: lost ones, late ones, copies and several at once.

use std::fs;
use std::os::fd::AsFd as _;

use crate::testenv::{Call, Env, Ran, copy_tree, forged, id, self_issued, sha256};
use relaynet::message::{Item, Pca};

fn sync<'a>(env: &'a Env, at: &str, medium: &str) -> Call<'a> {
    env.relay("sync").args(["-N", at, medium])
}

fn route(env: &Env, at: &str) {
    env.relay("route").args(["-N", at]).ok().quiet();
}

/// A world with the media red and blue, and these parcels of bob's for alice at mallory, on their way to the hub.
fn waiting(parcels: &[&str]) -> Env {
    let env = Env::with_gateways();
    for medium in ["red", "blue"] {
        env.mkdir(medium);
        sync(&env, "hub", medium).arg("--init").ok().quiet();
    }
    for parcel in parcels {
        let octets = env.parcel_with("bob", "alice", parcel.as_bytes(), &["--id", parcel]);
        let put = env.relay("put").args(["-N", "mallory"]).stdin(octets);
        put.ok().quiet();
    }
    route(&env, "mallory");
    // Alice is behind gateway, and fetches what is for her in some other way.
    env.write("gateway/routes", format!("{} peer:alice\n", id("alice")));
    env
}

/// The names in a directory that need not be there.
fn names(env: &Env, dir: &str) -> Vec<String> {
    if env.path(dir).exists() {
        env.names(dir)
    } else {
        Vec::new()
    }
}

fn queue(env: &Env, at: &str, queue: &str) -> Vec<String> {
    names(env, &format!("{at}/spool/{queue}"))
}

fn out(env: &Env, at: &str, hop: &str) -> Vec<String> {
    queue(env, at, &format!("out/{}", id(hop)))
}

fn on_medium(env: &Env, medium: &str, kind: &str, gateway: &str) -> Vec<String> {
    let dir = format!("{medium}/relaynet/{kind}/{}", id(gateway));
    let of_kind = |name: &String| name.ends_with(&format!(".{kind}"));
    names(env, &dir).into_iter().filter(of_kind).collect()
}

fn state(env: &Env, at: &str, message: &str) -> i32 {
    let list = env.relay("list").args(["-N", at, "--id", message]);
    list.run().status
}

#[track_caller]
fn said(ran: &Ran, event: &str) -> usize {
    ran.stderr.matches(&format!("event={event}")).count()
}

#[test]
fn of_two_media_one_may_be_lost_and_found_again() {
    let env = waiting(&["m1", "m2"]);
    for medium in ["red", "blue"] {
        sync(&env, "mallory", medium).ok().quiet();
        assert_eq!(on_medium(&env, medium, "cargo", "hub").len(), 1);
    }
    // Red is lost. Blue goes to the hub and back, and all is done.
    sync(&env, "hub", "blue").ok().quiet();
    sync(&env, "mallory", "blue").ok().quiet();
    route(&env, "mallory");
    assert_eq!(out(&env, "mallory", "hub"), [""; 0]);
    assert_eq!(state(&env, "mallory", "m1"), 0);
    // The hub passes on what it has.
    route(&env, "hub");
    sync(&env, "gateway", "blue").ok().quiet();
    sync(&env, "hub", "blue").ok().quiet();
    sync(&env, "gateway", "blue").ok().quiet();
    sync(&env, "hub", "blue").ok().quiet();
    route(&env, "hub");
    assert_eq!(queue(&env, "gateway", "in").len(), 2);
    assert_eq!(out(&env, "hub", "gateway"), [""; 0]);
    // Red is found: what the hub has passed on it takes once more, since that may have been lost, and acknowledges.
    let ran = sync(&env, "hub", "red").arg("-v").ok();
    assert_eq!(
        (said(&ran, "repeated"), said(&ran, "stored")),
        (0, 2),
        "{}",
        ran.stderr
    );
    assert_eq!(queue(&env, "hub", "in").len(), 2);
    sync(&env, "mallory", "red").ok().quiet();
    route(&env, "mallory");
    assert_eq!(
        queue(&env, "mallory", &format!("control/{}", id("hub"))),
        [""; 0]
    );
}

#[test]
fn a_stick_that_returns_with_what_it_once_held_changes_nothing() {
    let env = waiting(&["m1"]);
    sync(&env, "mallory", "red").ok().quiet();
    env.mkdir("image");
    copy_tree(&env.path("red"), &env.path("image"));
    let round = || {
        for node in ["hub", "mallory", "gateway", "hub", "mallory"] {
            sync(&env, node, "red").ok().quiet();
            route(&env, node);
        }
    };
    round();
    round();
    assert_eq!(out(&env, "gateway", "alice").len(), 1);
    fs::remove_dir_all(env.path("red")).unwrap();
    env.mkdir("red");
    copy_tree(&env.path("image"), &env.path("red"));
    let ran = sync(&env, "hub", "red").arg("-v").ok();
    assert_eq!(
        said(&ran, "stored") + said(&ran, "repeated") + said(&ran, "asked"),
        0
    );
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), [""; 0]);
    assert_eq!(
        on_medium(&env, "red", "cca", "hub"),
        [""; 0],
        "an answered CCA is of no use"
    );
    round();
    for node in ["hub", "mallory"] {
        assert_eq!(queue(&env, node, "in"), [""; 0]);
    }
    assert_eq!(out(&env, "mallory", "hub"), [""; 0]);
}

#[test]
fn a_copy_of_a_stick_is_as_good_as_the_stick() {
    let env = waiting(&["m1"]);
    sync(&env, "mallory", "red").ok().quiet();
    env.mkdir("twin");
    copy_tree(&env.path("red"), &env.path("twin"));
    env.relay("carry")
        .args(["red", "twin"])
        .fails(64, "twin is the same medium");
    sync(&env, "hub", "twin").ok().quiet();
    sync(&env, "hub", "red").ok().quiet();
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    // What has left the one is still on the other.
    sync(&env, "mallory", "twin").ok().quiet();
    sync(&env, "mallory", "red").ok().quiet();
    route(&env, "mallory");
    assert_eq!(out(&env, "mallory", "hub"), [""; 0]);
    sync(&env, "hub", "red").ok().quiet();
    sync(&env, "hub", "twin").ok().quiet();
    assert_eq!(queue(&env, "hub", "in").len(), 1);
}

#[test]
fn hints_free_the_medium_where_they_lie_and_a_false_one_costs_a_trip() {
    let env = waiting(&["m1"]);
    sync(&env, "mallory", "red").ok().quiet();
    env.relay("carry").args(["red", "blue"]).ok().quiet();
    let cargo = on_medium(&env, "blue", "cargo", "hub");
    assert_eq!(cargo.len(), 1);
    // The hub gets it from blue, and says so; it is not put there again, and stays on red.
    sync(&env, "hub", "blue").ok().quiet();
    env.relay("carry").args(["red", "blue"]).ok().quiet();
    assert_eq!(on_medium(&env, "blue", "cargo", "hub"), [""; 0]);
    env.relay("carry").args(["blue", "red"]).ok().quiet();
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), cargo);
    // With it comes the acknowledgement: nothing goes again.
    let ran = sync(&env, "mallory", "red").arg("-v").ok();
    assert_eq!(said(&ran, "packed"), 0, "{}", ran.stderr);
    route(&env, "mallory");
    assert_eq!(out(&env, "mallory", "hub"), [""; 0]);

    // A false hint takes cargo off, so that it goes again.
    let env = waiting(&["m1"]);
    sync(&env, "mallory", "red").ok().quiet();
    let cargo = on_medium(&env, "red", "cargo", "hub").remove(0);
    let sha256 = cargo.split('.').nth(1).unwrap();
    let got = format!("red/relaynet/got/{}", id("hub"));
    fs::create_dir_all(env.path(&got)).unwrap();
    env.write(format!("{got}/{sha256}"), "2026-03-01T11:00:00Z\n");
    // Gateways do not listen to it.
    let ran = sync(&env, "mallory", "red").arg("-v").ok();
    assert_eq!(said(&ran, "packed"), 0);
    env.relay("carry").args(["red", "blue"]).ok().quiet();
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), [""; 0]);
    assert_eq!(on_medium(&env, "blue", "cargo", "hub"), [""; 0]);
    sync(&env, "mallory", "red").ok().quiet();
    env.relay("carry").args(["red", "blue"]).ok().quiet();
    sync(&env, "hub", "blue").ok().quiet();
    assert_eq!(queue(&env, "hub", "in").len(), 1);
}

#[test]
fn one_run_is_at_work_on_a_node() {
    let env = waiting(&["m1"]);
    let file = fs::File::open(env.path("mallory/lock/queue")).unwrap();
    rustix::fs::flock(file.as_fd(), rustix::fs::FlockOperation::LockExclusive).unwrap();
    sync(&env, "mallory", "red").fails(75, "another run is active");
    sync(&env, "mallory", "red")
        .args(["--wait", "1s"])
        .fails(75, "another run is active");
    let ran = sync(&env, "mallory", "red").arg("-q").run();
    assert_eq!((ran.status, &ran.stderr[..]), (75, ""));
    // Nobody is waited for where there is nothing to do.
    env.mkdir("empty");
    sync(&env, "mallory", "empty")
        .arg("--if-present")
        .ok()
        .quiet();
    drop(file);
    sync(&env, "mallory", "red").ok().quiet();
}

#[test]
fn gateways_share_a_directory_at_the_same_time() {
    let env = waiting(&["m1", "m2", "m3"]);
    let nodes = ["mallory", "hub", "gateway"];
    for round in 0..8 {
        let parcel = format!("r{round}");
        let octets = env.parcel_with("bob", "alice", b"more", &["--id", &parcel]);
        env.relay("put")
            .args(["-N", "mallory"])
            .stdin(octets)
            .ok()
            .quiet();
        std::thread::scope(|scope| {
            for node in nodes {
                let env = &env;
                scope.spawn(move || {
                    let ran = sync(env, node, "red").run();
                    assert_eq!(ran.status, 0, "{node}: {}", ran.stderr);
                    route(env, node);
                });
            }
        });
    }
    for node in nodes.iter().cycle().take(18) {
        sync(&env, node, "red").ok().quiet();
        route(&env, node);
    }
    let parcels = |at: &str| {
        let home = queue(&env, at, &format!("home/{}", id("alice"))).len();
        queue(&env, at, "in").len() + home + out(&env, at, "alice").len()
    };
    assert_eq!(parcels("gateway"), 11);
    assert_eq!(parcels("hub") + parcels("mallory"), 0);
    assert_eq!(out(&env, "mallory", "hub"), [""; 0]);
    assert_eq!(out(&env, "hub", "gateway"), [""; 0]);
    assert_eq!(names(&env, "red/relaynet/tmp"), [""; 0]);
}

#[test]
fn what_lies_on_a_medium_goes_again_after_the_time_that_the_node_sets() {
    let env = waiting(&["m1"]);
    let config = env.text("mallory/config");
    env.write("mallory/config", format!("{config}resend-after = 2h\n"));
    sync(&env, "mallory", "red").ok().quiet();
    for (now, cargoes) in [
        ("2026-03-01T13:59:59Z", 1),
        ("2026-03-01T14:00:00Z", 2),
        ("2026-03-01T15:59:59Z", 2),
        ("2026-03-01T16:00:00Z", 3),
        // A clock that was wrong keeps nothing from going.
        ("2026-03-08T12:00:00Z", 4),
        ("2026-03-01T18:30:00Z", 5),
    ] {
        sync(&env, "mallory", "red").at(now).run();
        assert_eq!(
            on_medium(&env, "red", "cargo", "hub").len(),
            cargoes,
            "{now}"
        );
    }
}

#[test]
fn our_own_cargo_is_taken_off_when_its_life_has_ended() {
    let env = waiting(&[]);
    let parcel = env.parcel_with("bob", "alice", b"short", &["--id", "m1", "--ttl", "2h"]);
    env.relay("put")
        .args(["-N", "mallory"])
        .stdin(parcel)
        .ok()
        .quiet();
    route(&env, "mallory");
    sync(&env, "mallory", "red").ok().quiet();
    assert_eq!(on_medium(&env, "red", "cargo", "hub").len(), 1);
    let later = "2026-03-01T16:30:00Z"; // more than the drift of clocks after that
    sync(&env, "mallory", "red").at(later).ok().quiet();
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), [""; 0]);
    let carried = names(&env, "mallory/spool/carried");
    assert_eq!(
        names(&env, &format!("mallory/spool/carried/{}", carried[0])),
        ["last"]
    );
    sync(&env, "mallory", "red")
        .at(later)
        .ok()
        .quiet()
        .changes(&[]);
}

#[test]
fn a_request_is_made_when_the_medium_has_none_that_holds() {
    let env = waiting(&[]);
    let made = |now: &str| {
        said(
            &sync(&env, "mallory", "red").at(now).arg("-v").ok(),
            "requested",
        )
    };
    assert_eq!(made("2026-03-01T12:00:00Z"), 1);
    assert_eq!(made("2026-03-01T12:00:00Z"), 0);
    assert_eq!(made("2026-03-15T11:00:00Z"), 0);
    assert_eq!(made("2026-03-15T12:30:00Z"), 1, "it holds for 14 days");
    assert_eq!(
        on_medium(&env, "red", "cca", "hub").len(),
        1,
        "the old one is gone"
    );
    // One that only bears our name does not hold.
    let dir = format!("red/relaynet/cca/{}", id("hub"));
    let name = on_medium(&env, "red", "cca", "hub").remove(0);
    let genuine = env.read(format!("{dir}/{name}"));
    let forgeries = [
        forged(&genuine, "gateway", |it| {
            it.certificates = vec![self_issued("gateway")];
        }),
        forged(&genuine, "mallory", |it| {
            it.fields.recipient = id("gateway").parse().unwrap();
        }),
        genuine[..genuine.len() - 1].to_vec(),
        relaynet::asn1::pem::encode("RELAYNET CCA", &genuine).into_bytes(),
    ];
    for forgery in forgeries {
        fs::remove_file(env.path(format!("{dir}/{}", on_medium(&env, "red", "cca", "hub")[0])))
            .unwrap();
        env.write(
            format!("{dir}/{}.{}.cca", id("mallory"), sha256(&forgery)),
            &forgery,
        );
        assert_eq!(made("2026-03-15T12:30:00Z"), 1);
        assert_eq!(on_medium(&env, "red", "cca", "hub").len(), 1);
    }
    // When it was taken, the next one is due.
    sync(&env, "hub", "red")
        .at("2026-03-15T12:30:00Z")
        .ok()
        .quiet();
    assert_eq!(on_medium(&env, "red", "cca", "hub"), [""; 0]);
    assert_eq!(made("2026-03-15T12:30:00Z"), 1);
}

/// Puts a CCA onto red, for the hub unless it says otherwise.
fn lay_cca(env: &Env, octets: &[u8], sender: &str, recipient: &str) -> String {
    let dir = format!("red/relaynet/cca/{}", id(recipient));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let path = format!("{dir}/{}.{}.cca", id(sender), sha256(octets));
    env.write(&path, octets);
    path
}

#[test]
fn of_requests_the_latest_is_kept_and_answered_once() {
    let env = waiting(&[]);
    let cca = |now: &str| {
        let request = env
            .relay("request-cargo")
            .args(["-N", "gateway", "-t", "hub"]);
        request.at(now).ok().stdout
    };
    let (older, newer) = (cca("2026-03-01T11:00:00Z"), cca("2026-03-01T12:00:00Z"));
    let held = || queue(&env, "hub", &format!("cca/{}", id("gateway")));
    // In either order.
    for (first, second) in [(&older, &newer), (&newer, &older)] {
        for octets in [first, second] {
            let path = lay_cca(&env, octets, "gateway", "hub");
            sync(&env, "hub", "red").ok().quiet();
            assert!(!env.path(path).exists());
        }
        let held = held();
        assert_eq!(held.len(), 1);
        let path = format!("hub/spool/cca/{}/{}", id("gateway"), held[0]);
        assert_eq!(env.read(path), newer);
    }
    // It is answered, and comes back.
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    env.relay("put")
        .args(["-N", "hub"])
        .stdin(parcel)
        .ok()
        .quiet();
    route(&env, "hub");
    sync(&env, "hub", "red").ok().quiet();
    assert_eq!(
        (
            held().len(),
            on_medium(&env, "red", "cargo", "gateway").len()
        ),
        (0, 1)
    );
    lay_cca(&env, &newer, "gateway", "hub");
    let ran = sync(&env, "hub", "red").arg("-v").ok();
    assert_eq!(said(&ran, "asked") + said(&ran, "packed"), 0);
    assert_eq!(
        (held().len(), on_medium(&env, "red", "cca", "hub").len()),
        (0, 0)
    );
    // What is for another gateway, or says that it is of another one, stays where it is.
    let others = lay_cca(&env, &env.cca("gateway", "hub"), "gateway", "mallory");
    let lie = lay_cca(&env, &env.cca("gateway", "hub"), "mallory", "hub");
    let ran = sync(&env, "hub", "red").run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    let ran = sync(&env, "mallory", "red").run();
    assert_eq!(ran.status, 67, "{}", ran.stderr);
    assert!(
        env.path(others).exists() && !env.path(&lie).exists(),
        "mallory takes off what bears its name"
    );
    assert_eq!(held().len(), 0);
}

#[test]
fn requests_of_gateways_that_were_forgotten_do_not_wait_for_each_other() {
    let env = waiting(&["m1"]);
    let to_mallory = env.parcel_with("alice", "bob", b"back", &["--id", "m2"]);
    for node in ["mallory", "gateway"] {
        sync(&env, node, "red").ok().quiet();
    }
    sync(&env, "hub", "red").ok().quiet();
    env.write(
        "hub/routes",
        format!("{} peer:gateway\n* peer:mallory\n", id("alice")),
    );
    env.relay("put")
        .args(["-N", "hub"])
        .stdin(to_mallory)
        .ok()
        .quiet();
    route(&env, "hub");
    assert_eq!(
        (
            out(&env, "hub", "gateway").len(),
            out(&env, "hub", "mallory").len()
        ),
        (1, 1)
    );
    for node in ["mallory", "gateway"] {
        env.relay("peers")
            .args(["-N", "hub", "--forget", node])
            .run();
    }
    let ran = sync(&env, "hub", "red").run();
    assert!([0, 75, 77].contains(&ran.status), "{}", ran.stderr);
}

#[test]
fn where_nobody_acknowledges_messages_leave_after_their_copies() {
    for media in [["red", "blue"], ["red", "red"]] {
        let env = waiting(&[]);
        env.write("mallory/routes", "* peer:hub ack=no copies=2\n");
        let parcel = env.parcel_with("bob", "alice", b"21.5", &["--id", "m1"]);
        env.relay("put")
            .args(["-N", "mallory"])
            .stdin(parcel)
            .ok()
            .quiet();
        route(&env, "mallory");
        for (at, medium) in media.into_iter().enumerate() {
            assert_eq!(out(&env, "mallory", "hub").len(), 1);
            assert_eq!(state(&env, "mallory", "m1"), 75);
            let ran = sync(&env, "mallory", medium).arg("-v").ok();
            assert_eq!(said(&ran, "packed"), 1);
            let ran = sync(&env, "mallory", medium).arg("-v").ok();
            assert_eq!(said(&ran, "packed"), 0, "while it lies there");
            assert_eq!(out(&env, "mallory", "hub").len(), 1 - at);
            // The courier brings it to the hub, and nothing back.
            sync(&env, "hub", medium).ok().quiet();
            let dir = format!("{medium}/relaynet/cargo/{}", id("mallory"));
            fs::remove_dir_all(env.path(dir)).unwrap();
        }
        assert_eq!(queue(&env, "hub", "in").len(), 1);
        let ran = sync(&env, "mallory", media[0]).arg("-v").ok();
        assert_eq!(said(&ran, "packed"), 0);
        let list = env.relay("list").args(["-N", "mallory", "--id", "m1"]);
        let told = String::from_utf8(list.ok().stdout).unwrap();
        assert!(told.starts_with("released\t"), "{told}");
    }
}

#[test]
fn acknowledgements_count_only_with_the_gateway_that_the_parcel_went_to() {
    // The hub has m1 for gateway, and m2 for mallory.
    let env = waiting(&[]);
    env.write("hub/routes", format!("{} peer:mallory\n", id("bob")));
    let parcels = [("bob", "alice", "m1"), ("alice", "bob", "m2")];
    let mut pcas = Vec::new();
    for (from, to, message) in parcels {
        let parcel = env.parcel_with(from, to, b"hello", &["--id", message]);
        pcas.push(env.relay("ack").stdin(parcel.clone()).ok().stdout);
        env.relay("put")
            .args(["-N", "hub"])
            .stdin(parcel)
            .ok()
            .quiet();
    }
    route(&env, "hub");
    let waits = || {
        (
            out(&env, "hub", "gateway").len(),
            out(&env, "hub", "mallory").len(),
        )
    };
    assert_eq!(waits(), (1, 1));
    let lay = |from: &str, pcas: &[u8]| {
        let cargo = env.cargo(from, "hub", pcas);
        let dir = format!("red/relaynet/cargo/{}", id("hub"));
        fs::create_dir_all(env.path(&dir)).unwrap();
        env.write(
            format!("{dir}/{}.{}.cargo", id(from), sha256(&cargo)),
            &cargo,
        );
        sync(&env, "hub", "red").ok().quiet();
        route(&env, "hub");
    };
    // Each says that it has what the other one is to get, and mallory makes up more.
    let Item::Pca(genuine) = Item::parse(pcas[0].clone()).unwrap() else {
        panic!("not a PCA");
    };
    let genuine = genuine.into_value();
    let other_id = Pca {
        parcel_id: "m2".to_owned(),
        ..genuine.clone()
    };
    let other_sender = Pca {
        sender: id("carol").parse().unwrap(),
        ..genuine
    };
    let made_up = [
        other_id.to_octets(),
        other_sender.to_octets(),
        pcas[0].clone(),
    ]
    .concat();
    lay("mallory", &made_up);
    lay("gateway", &pcas[1]);
    assert_eq!(waits(), (1, 1));
    assert_eq!(
        (state(&env, "hub", "m1"), state(&env, "hub", "m2")),
        (75, 75)
    );
    // What they were for they are good for.
    lay("gateway", &pcas[0]);
    assert_eq!(waits(), (0, 1));
    lay("mallory", &pcas[1]);
    assert_eq!(waits(), (0, 0));
    assert_eq!((state(&env, "hub", "m1"), state(&env, "hub", "m2")), (0, 0));
}

#[test]
fn what_is_over_a_quota_or_the_reserve_stays_and_is_taken_later() {
    let env = waiting(&["m1", "m2", "m3"]);
    let config = env.text("hub/config");
    let len = {
        let name = out(&env, "mallory", "hub").remove(0);
        env.read(format!("mallory/spool/out/{}/{name}", id("hub")))
            .len()
    };
    sync(&env, "mallory", "red").ok().quiet();
    let set = |setting: &str| env.write("hub/config", format!("{config}{setting}\n"));
    let acks = || queue(&env, "hub", &format!("acks/{}", id("mallory"))).len();

    set(&format!("reserve = {}", u64::MAX / 2));
    let ran = sync(&env, "hub", "red").run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    assert!(
        ran.diagnostics()[0].contains("item 1 and 2 others: the disk has"),
        "{}",
        ran.stderr
    );
    assert_eq!((queue(&env, "hub", "in").len(), acks()), (0, 0));
    assert_eq!(on_medium(&env, "red", "cargo", "hub").len(), 1);

    // There is room for two of three: they are here and acknowledged, but the cargo stays.
    set(&format!("quota = {}", 2 * len + len / 2));
    for _ in 0..2 {
        let ran = sync(&env, "hub", "red").run();
        assert_eq!(ran.status, 75, "{}", ran.stderr);
        assert!(
            ran.diagnostics()[0].contains("over the quota"),
            "{}",
            ran.stderr
        );
        assert_eq!(queue(&env, "hub", "in").len(), 2);
        assert_eq!(on_medium(&env, "red", "cargo", "hub").len(), 1);
    }
    // They go on, so that there is room again; they do not come twice.
    for _ in 0..3 {
        route(&env, "hub");
        sync(&env, "gateway", "red").ok().quiet();
        sync(&env, "hub", "red").run();
    }
    route(&env, "hub");
    sync(&env, "hub", "red").ok().quiet();
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), [""; 0]);
    assert_eq!(out(&env, "hub", "gateway").len(), 1);
    for node in ["mallory", "hub", "mallory"] {
        sync(&env, node, "red").ok().quiet();
    }
    route(&env, "mallory");
    assert_eq!(out(&env, "mallory", "hub"), [""; 0]);
}

/// Nobody here knows where it should go, so it is left with its sender, who has it still, and the cargo is done.
#[test]
fn what_has_no_route_is_refused_at_the_door() {
    let env = waiting(&["m1"]);
    env.make_node("carol", &[]);
    env.introduce("bob", "carol", &[]);
    let lost = env.parcel_with("bob", "carol", b"x", &["--id", "lost"]);
    let put = |at: &str| env.relay("put").args(["-N", at]).stdin(lost.clone());
    put("mallory").ok();
    route(&env, "mallory");
    sync(&env, "mallory", "red").ok().quiet();
    let ran = sync(&env, "hub", "red").run();
    assert_eq!(ran.status, 67, "{}", ran.stderr);
    let said = ran.diagnostics();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(": no route to "), "{said:?}");
    // The other one is taken, and the cargo does not come again.
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), [""; 0]);
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    let acks = format!("acks/{}", id("mallory"));
    route(&env, "hub");
    assert_eq!(queue(&env, "hub", "failed"), [""; 0]);
    sync(&env, "hub", "red").ok().quiet();
    sync(&env, "mallory", "red").ok().quiet();
    route(&env, "mallory");
    let left = out(&env, "mallory", "hub");
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with(&id("carol")), "{left:?}");
    // While the routes are wrong, it stays on the medium.
    env.write("hub/routes", "* peer:nobody\n");
    sync(&env, "mallory", "blue").ok().quiet();
    for _ in 0..2 {
        let ran = sync(&env, "hub", "blue").args(["--take"]).run();
        assert_eq!(ran.status, 78, "{}", ran.stderr);
        assert_eq!(on_medium(&env, "blue", "cargo", "hub").len(), 1);
    }
    // With a route it is taken, once it comes again.
    env.write("hub/routes", format!("{} peer:gateway\n", id("carol")));
    sync(&env, "hub", "blue").args(["--take"]).ok().quiet();
    assert_eq!(queue(&env, "hub", &acks).len(), 1);
    route(&env, "hub");
    assert_eq!(out(&env, "hub", "gateway").len(), 2);
    // What a user here puts is kept, since nobody else has it.
    fs::remove_file(env.path("hub/routes")).unwrap();
    let own = env.parcel_with("bob", "carol", b"x", &["--id", "own"]);
    let put = env.relay("put").args(["-N", "hub"]).stdin(own);
    put.ok();
    env.relay("route").args(["-N", "hub"]).ok();
    assert_eq!(queue(&env, "hub", "failed").len(), 2);
}

/// A hub that takes from every stick before it gives to any of them answers with what has just come.
#[test]
fn what_was_taken_first_goes_with_the_answer() {
    let env = waiting(&["m1"]);
    sync(&env, "mallory", "red").ok().quiet();
    sync(&env, "gateway", "blue").ok().quiet();
    for medium in ["red", "blue"] {
        sync(&env, "hub", medium).arg("--take").ok().quiet();
        assert_eq!(on_medium(&env, medium, "cargo", "gateway"), [""; 0]);
        assert_eq!(on_medium(&env, medium, "cargo", "mallory"), [""; 0]);
    }
    route(&env, "hub");
    for medium in ["red", "blue"] {
        sync(&env, "hub", medium).ok().quiet();
    }
    sync(&env, "gateway", "red").ok().quiet();
    sync(&env, "gateway", "blue").ok().quiet();
    assert_eq!(queue(&env, "gateway", "in").len(), 1);
}

/// Nobody is told that a message arrived whose file was removed.
#[test]
fn what_is_gone_is_not_acknowledged() {
    let env = waiting(&["m1"]);
    assert_eq!(state(&env, "mallory", "m1"), 75);
    let name = out(&env, "mallory", "hub").remove(0);
    fs::remove_file(env.path(format!("mallory/spool/out/{}/{name}", id("hub")))).unwrap();
    let list = env.relay("list").args(["-N", "mallory", "--id", "m1"]);
    let told = list.run();
    assert_eq!(told.status, 67);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.starts_with("missing\t"), "{told}");
}

/// Acknowledgements of what does not wait fill no disk.
#[test]
fn acknowledgements_of_nothing_are_bounded() {
    let env = waiting(&["m1"]);
    sync(&env, "mallory", "red").ok().quiet();
    let pca = |message: String| {
        let pca = Pca {
            sender: id("bob").parse().unwrap(),
            recipient: id("alice").parse().unwrap(),
            parcel_id: message,
        };
        pca.to_octets()
    };
    let messages: Vec<u8> = (0..1100).flat_map(|at| pca(format!("m{at}"))).collect();
    let cargo = env.cargo("mallory", "hub", messages);
    let dir = format!("red/relaynet/cargo/{}", id("hub"));
    let name = format!("{}.{}.cargo", id("mallory"), sha256(&cargo));
    env.write(format!("{dir}/{name}"), cargo);
    sync(&env, "hub", "red").ok().quiet();
    // One is for m1, which waits, though not for mallory.
    let control = format!("control/{}", id("mallory"));
    let stored = queue(&env, "hub", &control).len();
    assert!((1000..=1001).contains(&stored), "{stored}");
    assert_eq!(queue(&env, "hub", "in").len(), 1);
    assert_eq!(on_medium(&env, "red", "cargo", "hub"), [""; 0]);
}
