//! The state that nodes keep: replay memory, clocks, locks and registrations.

use std::fs;

use crate::testenv::{Env, id, interop, not_utf8};

/// Several runs at once: one opens the parcel.
#[test]
fn of_runs_at_once_one_opens_the_parcel() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let mut runs: Vec<(i32, Vec<u8>)> = std::thread::scope(|scope| {
        let open = || {
            let ran = env
                .relay("open")
                .args(["-N", "alice"])
                .stdin(&*parcel)
                .run();
            (ran.status, ran.stdout)
        };
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    runs.sort();
    let statuses: Vec<i32> = runs.iter().map(|run| run.0).collect();
    assert_eq!(statuses, [0, 82, 82, 82]);
    assert_eq!(runs[0].1, b"content");
    assert!(runs[1..].iter().all(|run| run.1.is_empty()));
}

#[test]
fn a_torn_record_is_ignored_and_cut_off() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one");
    let two = env.parcel("bob", "alice", b"two");
    env.relay("open").args(["-N", "alice"]).stdin(&*one).ok();
    let seen = "alice/seen/2026-03-31";
    let record = env.read(seen);
    assert_eq!(record.len(), 32);
    env.write(seen, [&*record, b"torn"].concat());
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(one)
        .fails(82, "-: already received");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(&*two)
        .ok()
        .stdout("two");
    let records = env.read(seen);
    assert_eq!(records.len(), 64);
    assert_eq!(records[..32], record);
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(two)
        .fails(82, "-: already received");
}

/// What expires before the newest expiry that was purged cannot be judged any more.
#[test]
fn what_expires_below_the_floor_is_refused() {
    let env = Env::with_peers();
    let short = env.parcel_with("bob", "alice", b"short", &["--ttl", "1d"]);
    let long = env.parcel_with("bob", "alice", b"long", &["--ttl", "2d"]);
    env.write("alice/seen/floor", "2026-03-02T11:55:00Z\n");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(short)
        .fails(82, "-: already received");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(&*long)
        .ok()
        .stdout("long");
    env.write("alice/seen/floor", "nonsense\n");
    env.relay("open")
        .args(["-N", "alice", "--again"])
        .stdin(long)
        .ok();
    let unseen = env.parcel("bob", "alice", b"unseen");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(unseen)
        .fails(78, "-: alice/seen/floor: ");
}

#[test]
fn a_clock_drift_of_the_node() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    env.write(
        "alice/config",
        env.text("alice/config") + "clock-drift = 1m\n",
    );
    let open = |now: &str| {
        env.relay("open")
            .at(now)
            .args(["-N", "alice"])
            .stdin(&*parcel)
    };
    open("2026-03-01T11:53:59Z").fails(81, "-: dated in the future");
    open("2026-03-01T11:53:59Z")
        .args(["--clock-drift", "2m"])
        .ok()
        .stdout("content");
    open("2026-03-01T11:54:01Z")
        .arg("--again")
        .ok()
        .stdout("content");
}

/// A node directory has no name in it: it is moved, and opens what was sent before.
#[test]
fn a_node_is_moved() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    fs::rename(env.path("alice"), env.path(not_utf8())).unwrap();
    let ran = env
        .relay("open")
        .arg("-N")
        .arg(not_utf8())
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("content");
    assert!(ran.stderr.is_ascii());
}

#[test]
fn names_that_are_no_text_or_look_like_options() {
    let env = Env::with_peers();
    fs::write(env.path(not_utf8()), "content").unwrap();
    let parcel = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "--keep-name"])
        .arg(not_utf8())
        .ok()
        .quiet()
        .stdout;
    env.write("-x.parcel", &parcel);
    env.mkdir("in");
    env.relay("open")
        .args(["-N", "alice", "-d", "in", "--keep-name", "--", "-x.parcel"])
        .ok()
        .quiet()
        .changes_outside_nodes(&["+in/na\u{fffd}me"]);
    env.relay("open")
        .args(["-N", "alice", "--"])
        .arg("-y.parcel")
        .fails(66, "-y.parcel: cannot open");
}

/// In a directory an identical file is success, and another one is not replaced without -f.
#[test]
fn another_file_of_the_parcels_own_name() {
    let env = Env::with_peers();
    env.mkdir("in");
    let parcel = env.parcel("bob", "alice", b"content");
    let open = || {
        env.relay("open")
            .args(["-N", "alice", "-d", "in", "--again"])
            .stdin(&*parcel)
    };
    open()
        .ok()
        .quiet()
        .changes_outside_nodes(&["+in/ALICE.BOB.HEX.content"]);
    open().ok().quiet().changes_outside_nodes(&[]);
    let name = format!("in/{}", env.names("in")[0]);
    env.write(&name, "mine");
    open().fails(73, &format!("-: {name}: already exists"));
    open()
        .arg("-f")
        .ok()
        .quiet()
        .changes_outside_nodes(&["*in/ALICE.BOB.HEX.content"]);
    assert_eq!(env.read(&name), b"content");
}

/// Links in a node are never followed.
#[test]
fn links_in_a_node() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let sessions = format!("alice/sessions/{}", id("bob"));
    let key = format!("{sessions}/{}", env.names(&sessions)[0]);
    fs::rename(env.path(&key), env.path("moved.key")).unwrap();
    std::os::unix::fs::symlink(env.path("moved.key"), env.path(&key)).unwrap();
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(parcel)
        .fails(78, &format!("-: {key}: not a regular file"));
    fs::rename(env.path("alice/VERSION"), env.path("VERSION")).unwrap();
    env.link("../VERSION", "alice/VERSION");
    env.relay("export")
        .args(["-N", "alice"])
        .fails(78, "alice/VERSION: not a regular file");
}

/// An endpoint that a gateway registered authorizes under what the gateway certified.
#[test]
fn an_authorization_under_a_gateways_certificate() {
    const AT: &str = "2026-12-01T12:00:00Z";
    let env = Env::new();
    let alpha = interop().join("alpha");
    fs::copy(
        alpha.join("nodes/endpoint-a/identity.key.pem"),
        env.path("key"),
    )
    .unwrap();
    env.chmod("key", 0o600);
    env.relay("keygen")
        .at(AT)
        .args(["--set", "clock=test", "--identity-key", "key", "node"])
        .ok();
    env.write("a.pnr", fs::read(alpha.join("gsc/endpoint-a.pnr")).unwrap());
    env.relay("import")
        .at(AT)
        .args(["-q", "-N", "node", "--name", "gateway", "a.pnr"])
        .ok();
    let bob = env.keys("bob");
    let ran = env
        .relay("authorize")
        .at(AT)
        .args(["-N", "node", "--name", "bob", &bob.public])
        .ok()
        .says(&["bob: fingerprint ", "bob: authorization as a whole "]);
    let facts = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*ran.stdout)
        .ok()
        .json()
        .remove(0);
    assert_eq!(facts["gateway_address"], "gateway.alpha.example.org");
    let own = facts["node"]["id"].as_str().unwrap();
    let authorities = facts["authorization"]["authorities"].as_array().unwrap();
    assert_eq!(authorities[0]["subject"], own);
    assert_ne!(
        authorities[0]["issuer_common_name"], own,
        "not the node's own"
    );

    // A second gateway is taken only on demand.
    let other = fs::read(alpha.join("gsc/private-gateway-a.pnr")).unwrap();
    env.write("other.pnr", other);
    env.relay("import")
        .at(AT)
        .args(["-q", "-N", "node", "other.pnr"])
        .fails(67, "other.pnr: made for ");
}

/// On a gateway the authorization is one to deliver cargo.
#[test]
fn a_gateway_authorizes_another() {
    let env = Env::new();
    env.make_node("gateway", &["--type", "gateway"]);
    let bob = env.keys("bob");
    let ran = env
        .relay("authorize")
        .args(["-N", "gateway", "--name", "bob", &bob.public])
        .ok()
        .says(&["bob: fingerprint ", "bob: authorization as a whole "]);
    let facts = env
        .relay("inspect")
        .arg("--json")
        .stdin(&*ran.stdout)
        .ok()
        .json()
        .remove(0);
    let leaf = &facts["authorization"]["leaf"];
    assert_eq!(
        (&leaf["ca"], &leaf["path_length"]),
        (&false.into(), &0.into())
    );
    assert_eq!(facts["authorization"]["authorities"][0]["path_length"], 2);
}

/// Who can write there decides which commands the node's user runs, and whom the node trusts.
#[test]
fn a_node_that_others_can_write_is_not_used() {
    let env = Env::with_gateways();
    env.write("gateway/routes", "* exec:touch pwned\n");
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    for (path, mode) in [
        ("gateway", 0o700),
        ("gateway/VERSION", 0o600),
        ("gateway/certs", 0o700),
        ("gateway/config", 0o600),
        ("gateway/identity.pub", 0o600),
        ("gateway/peers", 0o700),
        ("gateway/routes", 0o644),
    ] {
        for others in [0o002, 0o020] {
            env.chmod(path, mode | others);
            let line = format!("{path} can be changed by other users (mode ");
            let ran = env.relay("route").args(["-N", "gateway"]).fails(78, &line);
            let hint = format!(
                "chmod go-w {path}; a file system without modes, such as FAT, cannot hold a node"
            );
            assert_eq!(ran.hints(), [hint]);
            let found = env.relay("check").args(["-N", "gateway"]).run();
            assert_eq!(found.status, 1, "{}", found.stderr);
            assert!(found.text().contains(path), "{}", found.text());
        }
        env.chmod(path, mode);
    }
    // Single files of peers are the business of who reads them, and what lies above is not the node's.
    env.chmod("", 0o777);
    env.relay("list").args(["-N", "gateway"]).ok();
}

#[test]
fn a_local_endpoint_needs_a_gateway_that_nobody_else_can_write() {
    let env = Env::new();
    env.make_node("gateway", &["--type", "gateway"]);
    let keygen = env
        .relay("keygen")
        .args(["-N", "gateway", "--endpoint", "anna"]);
    keygen.at_any_time().ok();
    let anna = "gateway/endpoints/anna";
    env.chmod("gateway/config", 0o666);
    for program in ["deliver", "list"] {
        let call = env.relay(program).at_any_time().args(["-N", anna]);
        let args: &[&str] = if program == "deliver" {
            &["--dir", "."]
        } else {
            &[]
        };
        call.args(args).fails(
            78,
            "gateway/config can be changed by other users (mode 0666)",
        );
    }
}

#[test]
fn no_node_is_made_where_others_can_write() {
    let env = Env::new();
    env.mkdir("open");
    for (mode, expected) in [(0o777, 78), (0o770, 78), (0o755, 0)] {
        env.chmod("open", mode);
        let ran = env
            .relay("keygen")
            .at_any_time()
            .args(["-q", "-N", "open"])
            .run();
        assert_eq!(ran.status, expected, "{mode:o}: {}", ran.stderr);
        if expected == 78 {
            ran.says_somewhere("open can be changed by other users (mode ")
                .changes(&[]);
        }
    }
}
