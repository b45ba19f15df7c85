//! relay-put: what it stores, under which name, and what it refuses before it writes anything.

use std::fs;

use relaynet::ramf::Kind;

use crate::control::in_another_form;
use crate::testenv::{Env, forged, id, json_lines, keys_in, self_issued, sha256};

/// Where the parcels of the gateway wait.
const IN: &str = "gateway/spool/in";

fn line(from: &str, to: &str, message_id: &str) -> String {
    format!("{}\t{}\t{message_id}\n", id(to), id(from))
}

#[test]
fn a_parcel_is_stored_as_it_came_and_a_line_says_so() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "first", "--ttl", "10d"]);
    let put = || {
        env.relay("put")
            .args(["-N", "gateway"])
            .stdin(parcel.clone())
    };
    put().ok().quiet().stdout(line("bob", "alice", "first"));
    let name = format!(
        "{}.{}.{}.20260311T115500Z.parcel",
        id("alice"),
        id("bob"),
        sha256(b"first")
    );
    assert_eq!(env.names(IN), [name.as_str()]);
    assert_eq!(env.read(format!("{IN}/{name}")), parcel);
    assert_eq!(env.mode(format!("{IN}/{name}")), 0o600);
    assert_eq!(env.mode("gateway/spool"), 0o700);
    assert!(env.names("gateway/spool/tmp").is_empty());
    // Twice is once.
    put()
        .ok()
        .quiet()
        .stdout(line("bob", "alice", "first"))
        .changes(&[]);
}

#[test]
fn urgency_is_part_of_the_name() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("put")
        .args(["-N", "gateway", "--priority", "9"])
        .stdin(parcel.clone())
        .ok();
    assert!(env.names(IN)[0].ends_with("Z.p9.parcel"));
    for wrong in ["10", "-1", "x", ""] {
        env.relay("put")
            .args(["-N", "gateway", &format!("--priority={wrong}")])
            .stdin(parcel.clone())
            .fails(64, "");
    }
}

#[test]
fn facts_come_as_json() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "first"]);
    let ran = env
        .relay("put")
        .args(["-N", "gateway", "--json"])
        .stdin(parcel.clone())
        .ok();
    let facts = &ran.json()[0];
    let keys = [
        "v",
        "path",
        "kind",
        "recipient",
        "sender",
        "id",
        "expiry",
        "priority",
        "size",
    ];
    assert_eq!(keys_in(facts), keys);
    assert_eq!(facts["recipient"], id("alice"));
    assert_eq!(facts["size"], parcel.len());
    assert_eq!(env.read(facts["path"].as_str().unwrap()), parcel);
}

#[test]
fn the_bad_ones_are_reported_and_the_rest_is_stored() {
    let env = Env::with_gateways();
    env.mkdir("queue");
    for at in 0..300 {
        let content = format!("{at}");
        env.write(
            format!("queue/{at}"),
            env.parcel("bob", "alice", content.as_bytes()),
        );
    }
    let mut torn = env.parcel("bob", "alice", b"x");
    torn.truncate(1000);
    env.write("queue/torn", &torn);
    env.write("queue/junk", "junk");
    let ran = env.relay("put").args(["-N", "gateway", "queue"]).run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 2, "{}", ran.stderr);
    assert_eq!(ran.text().lines().count(), 300);
    assert_eq!(env.names(IN).len(), 300);
}

#[test]
fn what_is_no_parcel_is_refused() {
    let env = Env::with_gateways();
    env.relay("put")
        .args(["-N", "gateway", "--allow-empty"])
        .stdin("")
        .ok();
    let parcel = env.parcel("bob", "alice", b"x");
    let pca = env.relay("ack").stdin(parcel.clone()).ok().stdout;
    let cargo = env.cargo("mallory", "hub", parcel.clone());
    let put = |octets: Vec<u8>| env.relay("put").args(["-N", "gateway"]).stdin(octets);
    put(pca).fails(77, "-: a pca counts only in the cargo of the gateway");
    let ran = put(cargo).fails(65, "-: a cargo, not a parcel");
    assert_eq!(ran.hints(), ["relay-unpack-cargo takes it"]);
    put(b"junk".to_vec()).fails(65, "-: ");
    put(Vec::new()).fails(66, "-: empty");
}

#[test]
fn what_is_not_genuine_valid_or_authorized_is_refused() {
    let env = Env::with_gateways();
    env.relay("put")
        .args(["-N", "gateway", "--allow-empty"])
        .stdin("")
        .ok();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--ttl", "2d"]);
    let put = |octets: Vec<u8>| env.relay("put").args(["-N", "gateway"]).stdin(octets);
    let mut tampered = parcel.clone();
    let last = tampered.len() - 1;
    tampered[last] ^= 1;
    put(tampered).fails(65, "-: bad signature");
    let stranger = forged(&parcel, "mallory", |forgery| {
        forgery.certificates = vec![self_issued("mallory")];
    });
    put(stranger).fails(77, "-: ");
    put(parcel.clone())
        .at("2026-03-09T12:00:00Z")
        .fails(80, "-: ");
    put(parcel).at("2026-03-01T09:00:00Z").fails(81, "-: ");
}

#[test]
fn quota_and_reserve_hold_before_anything_is_written() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let other = env.parcel("bob", "alice", b"y");
    let config = env.text("gateway/config");
    let put = |octets: &[u8]| env.relay("put").args(["-N", "gateway"]).stdin(octets);
    env.write(
        "gateway/config",
        format!("{config}quota = {}\n", parcel.len()),
    );
    put(&parcel).ok();
    put(&other).fails(75, "-: over the quota of ");
    // What alone is over the quota never fits.
    let large = env.parcel("bob", "alice", &[0; 1000]);
    let len = large.len();
    let told = format!(
        "-: {len} octets are more than the whole quota of {} octets for ",
        parcel.len()
    );
    put(&large).fails(65, &told);
    env.write("gateway/config", format!("{config}quota = {len}\n"));
    put(&large).fails(75, "-: over the quota of ");
    env.write(
        "gateway/config",
        format!("{config}reserve = {}\n", u64::MAX),
    );
    put(&other).fails(75, "-: the disk has ");
    env.write("gateway/config", config);
    put(&other).ok();
}

#[test]
fn a_local_endpoint_uses_its_gateways_spool() {
    let env = Env::with_gateways();
    env.relay("keygen")
        .args(["-N", "gateway", "--endpoint", "local"])
        .ok();
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("put")
        .args(["-N", "gateway/endpoints/local"])
        .stdin(parcel)
        .ok();
    assert_eq!(env.names(IN).len(), 1);
    assert!(!env.path("gateway/endpoints/local/spool").exists());
}

#[test]
fn a_kind_that_only_looks_like_a_parcel_is_refused() {
    let env = Env::with_gateways();
    env.relay("put")
        .args(["-N", "gateway", "--allow-empty"])
        .stdin("")
        .ok();
    let disguised = forged(&env.parcel("bob", "alice", b"x"), "bob", |forgery| {
        forgery.kind = Kind::Cca;
    });
    let put = env.relay("put").args(["-N", "gateway"]);
    put.stdin(disguised).fails(65, "-: ");
}

#[test]
fn a_later_message_replaces_an_earlier_one_until_that_has_left() {
    let env = Env::with_gateways();
    let sealed = |content: &[u8], now: &str, ttl: &str| {
        let seal = env.relay("seal").at(now).args(["-N", "bob", "-t", "alice"]);
        let seal = seal.args(["--id", "weather", "--ttl", ttl]);
        seal.stdin(content).ok().stdout
    };
    let first = sealed(b"rain", "2026-03-01T11:00:00Z", "10d");
    let second = sealed(b"sun", "2026-03-01T11:30:00Z", "10d");
    let third = sealed(b"snow", "2026-03-01T11:45:00Z", "11d");
    let put = |parcel: &[u8]| env.relay("put").args(["-N", "gateway"]).stdin(parcel);
    let waiting = || -> Vec<Vec<u8>> {
        let names = env.names(IN);
        names
            .iter()
            .map(|name| env.read(format!("{IN}/{name}")))
            .collect()
    };
    put(&first).ok().quiet();
    put(&second)
        .ok()
        .quiet()
        .stdout(line("bob", "alice", "weather"));
    assert_eq!(waiting(), std::slice::from_ref(&second));
    put(&first).fails(82, "-: a later message with this id");
    put(&second).ok().quiet().changes(&[]);
    put(&third).ok().quiet();
    assert_eq!(waiting(), std::slice::from_ref(&third));

    // Once it is on a medium, it may have arrived.
    env.write("gateway/routes", "* peer:hub\n");
    let route = env.relay("route").args(["-N", "gateway"]);
    route.ok().quiet();
    put(&third).ok().quiet().changes(&[]);
    let fourth = sealed(b"hail", "2026-03-01T11:50:00Z", "12d");
    let sync = env.relay("sync").args(["-N", "gateway", "--init", "stick"]);
    sync.ok().quiet();
    put(&fourth).fails(82, "-: a message with this id");
    put(&third).ok().quiet().changes(&[]);

    // Nor does one replace what was delivered here.
    let put = |parcel: &[u8]| env.relay("put").args(["-N", "alice"]).stdin(parcel);
    put(&first).ok().quiet();
    env.relay("route").args(["-N", "alice"]).ok().quiet();
    let deliver = env.relay("deliver").args(["-q", "-N", "alice"]);
    deliver.args(["--", "cat"]).ok().stdout("rain");
    for parcel in [&first, &second] {
        put(parcel).fails(82, "-: a message with this id");
    }
}

/// Nobody signed the certificates that are attached, nor the form in which a message is written.
#[test]
fn of_twins_the_one_that_shows_its_authorization_stays() {
    let env = Env::with_gateways();
    // A node that knows neither of both.
    env.make_node("carol", &[]);
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "first"]);
    let bare = forged(&parcel, "bob", |it| it.certificates.truncate(1));
    let twin = in_another_form(&parcel);
    let other = forged(&parcel, "bob", |it| it.payload.push(0));
    let put = |octets: &[u8]| env.relay("put").args(["-N", "carol"]).stdin(octets);
    let queues = ["in".to_owned(), format!("out/{}", id("hub"))];
    let queues = queues.map(|queue| format!("carol/spool/{queue}"));
    let waits = |octets: &[u8]| {
        let files = queues.iter().flat_map(|queue| {
            let names = if env.path(queue).exists() {
                env.names(queue)
            } else {
                Vec::new()
            };
            names.into_iter().map(move |name| format!("{queue}/{name}"))
        });
        let files: Vec<String> = files.collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(env.read(&files[0]) == octets, "{files:?}");
        files[0].clone()
    };
    let route = |file: String| {
        fs::create_dir_all(env.path(&queues[1])).unwrap();
        let to = file.replace(&queues[0], &queues[1]);
        fs::rename(env.path(&file), env.path(to)).unwrap();
    };
    for is_routed in [false, true] {
        put(&bare).ok().quiet();
        if is_routed {
            route(waits(&bare));
        }
        put(&parcel).ok().quiet();
        let file = waits(&parcel);
        if is_routed {
            route(file);
        }
        for again in [&bare, &twin, &parcel] {
            let line = line("bob", "alice", "first");
            put(again).ok().quiet().stdout(line).changes(&[]);
        }
        put(&other).fails(82, "-: another message with this id and date");
        fs::remove_file(env.path(waits(&parcel))).unwrap();
    }
}

#[test]
fn events_go_to_the_systems_log_if_the_node_wants_it() {
    let env = Env::with_gateways();
    let log = std::os::unix::net::UnixDatagram::bind(env.path("log")).unwrap();
    let path = env.path("log").display().to_string();
    let config = env.text("gateway/config") + &format!("log = syslog:{path}\n");
    env.write("gateway/config", config);
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "m1"]);
    let put = |parcel: Vec<u8>| env.relay("put").args(["-N", "gateway"]).stdin(parcel);
    put(parcel).ok().quiet();
    let mut octets = [0; 1000];
    let mut heard = || {
        let len = log.recv(&mut octets).unwrap();
        String::from_utf8(octets[..len].to_vec()).unwrap()
    };
    while !heard().contains("event=put id=m1") {}
    put(b"nothing".to_vec()).fails(65, "-: ");
    while !heard().starts_with("<11>relay-put[") {}
    // Without the log it works all the same.
    drop(log);
    std::fs::remove_file(env.path("log")).unwrap();
    let parcel = env.parcel("bob", "alice", b"y");
    let ran = put(parcel).ok();
    assert!(ran.stderr.contains("/log: "), "{}", ran.stderr);
}

#[test]
fn a_directory_with_nothing_in_it_is_empty_input() {
    let env = Env::with_gateways();
    env.mkdir("queue");
    let put = |options: &[&str]| {
        env.relay("put")
            .args(["-N", "gateway", "queue"])
            .args(options)
    };
    put(&["--allow-empty"]).ok().quiet();
    put(&[]).fails(66, "queue: no file in it");
}

#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn what_the_spool_fails_with_is_said_once() {
    let env = Env::with_gateways();
    let parcels: Vec<u8> = (0..20_u8)
        .flat_map(|at| env.parcel("bob", "alice", &[at]))
        .collect();
    env.relay("put")
        .args(["-N", "gateway", "--allow-empty"])
        .stdin("")
        .ok();
    let ran = env
        .relay("put")
        .args(["-N", "gateway", "--status-fd", "3"])
        .stdin(parcels)
        .shell("", "3>status")
        .var("RELAY_FAULT", "EROFS:4")
        .run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    // What was written before is stored, and said to be.
    let stored = env.names(IN).len();
    assert_eq!(ran.text().lines().count(), stored);
    let told = json_lines(&env.text("status"));
    let is_ok = |line: &&serde_json::Value| line["status"] == 0;
    assert_eq!(told.iter().filter(is_ok).count(), stored);
}
