//! File systems that can give a file a name only by replacing what has it: exFAT and FAT through FUSE,
//! and those of virtual machines and cloud clients.

use std::fs;
use std::process::Command;

use crate::testenv::*;

/// What a run leaves that is killed between taking a name and writing the file.
const LEFT: &str = "relay placeholder 4711 01234567-89ab-cdef-0123-456789abcdef\n";

#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn of_runs_for_one_name_one_gets_it() {
    let env = Env::new();
    for round in 0..12 {
        let out = env.path("out");
        let _ = fs::remove_file(&out);
        if round % 2 == 1 {
            env.write("out", LEFT);
        }
        let runs: Vec<_> = (0..8)
            .map(|at| {
                let text = format!("text {at}");
                env.write(&text, &text);
                let program = env!("CARGO_BIN_EXE_relay-split");
                let mut split = Command::new(program);
                split.args(["-q", "-o", "out", &text]);
                split.current_dir(env.root()).env("RELAY_FAULT", "bare=out");
                split.stderr(std::process::Stdio::null());
                (at, split.spawn().unwrap())
            })
            .collect();
        let ends = runs.into_iter().map(|(at, mut run)| {
            let status = run.wait().unwrap();
            (at, status.code().unwrap())
        });
        let ends: Vec<(u32, i32)> = ends.collect();
        let won: Vec<u32> = ends
            .iter()
            .filter(|end| end.1 == 0)
            .map(|end| end.0)
            .collect();
        assert!(ends.iter().all(|end| matches!(end.1, 0 | 73)), "{ends:?}");
        // Of runs that want the name of a killed one, each may have looked while another did.
        assert!(
            won.len() <= 1 && (won.len() == 1 || round % 2 == 1),
            "{ends:?}"
        );
        if won.is_empty() {
            continue;
        }
        let joined = env.relay("join").arg("out").ok();
        assert_eq!(joined.text(), format!("text {}", won[0]));
        assert!(
            !env.names(".")
                .iter()
                .any(|name| name.starts_with(".relay-"))
        );
    }
}

#[test]
fn a_name_that_is_only_taken_is_no_message() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    env.mkdir("box");
    env.write("box/a.parcel", &parcel);
    env.write("box/b.parcel", LEFT);
    env.relay("put").args(["-N", "hub", "box"]).ok().quiet();
    env.relay("put").args(["-N", "hub", "box/b.parcel"]).fails(
        66,
        "box/b.parcel: only reserved by a run that did not write it yet",
    );
    for (program, node) in [("inspect", None), ("verify", None), ("open", Some("alice"))] {
        let call = env.relay(program);
        let call = match node {
            Some(node) => call.args(["-N", node]),
            None => call,
        };
        call.arg("box/b.parcel").fails(
            66,
            "box/b.parcel: only reserved by a run that did not write it yet",
        );
    }
    env.relay("split")
        .args(["--size", "4", "-d", "box"])
        .stdin("a text")
        .ok();
    env.relay("join").arg("box/b.parcel").fails(
        66,
        "box/b.parcel: only reserved by a run that did not write it yet",
    );
    fs::remove_file(env.path("box/a.parcel")).unwrap();
    assert_eq!(env.relay("join").arg("box").ok().quiet().text(), "a text");
    // The next run for that name writes it.
    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "-o", "box/b.parcel"])
        .stdin("more")
        .ok();
    env.relay("open")
        .args(["-N", "alice", "box/b.parcel"])
        .ok()
        .stdout("more");
}

#[test]
fn a_name_that_is_only_taken_in_a_queue_or_on_a_medium_is_swept() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"content");
    env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
    let queued = env.names("hub/spool/in")[0].clone();
    let taken = format!("hub/spool/in/{}", queued.replace("20", "21"));
    env.write(&taken, LEFT);
    env.chmod(&taken, 0o600);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(400 * 86_400);
    let file = fs::File::options()
        .write(true)
        .open(env.path(&taken))
        .unwrap();
    file.set_modified(old).unwrap();
    env.relay("route").args(["-N", "hub"]).run();
    assert_eq!(env.text(&taken), LEFT);
    assert!(!env.path("hub/spool/failed").exists());
    let list = env.relay("list").args(["-N", "hub"]).run();
    assert!(!list.text().contains("relay placeholder"));
    let check = env.relay("check").args(["-N", "hub"]).run();
    assert!(
        check.text().contains("left by a run that was killed"),
        "{}",
        check.text()
    );
    env.relay("purge").args(["-N", "hub"]).run();
    assert!(!env.path(&taken).exists());

    env.relay("sync")
        .args(["-N", "gateway", "--init", "stick"])
        .ok();
    let cca = fs::read_dir(env.path("stick/relaynet/cca"))
        .unwrap()
        .next()
        .unwrap();
    let dir = cca.unwrap().path();
    let name = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    fs::write(&name, LEFT).unwrap();
    env.mkdir("blue");
    env.relay("sync")
        .args(["-N", "mallory", "--init", "blue"])
        .ok();
    env.relay("carry").args(["stick", "blue"]).ok().quiet();
    env.relay("sync").args(["-N", "hub", "stick"]).ok().quiet();
    assert!(!env.path("hub/spool/cca").exists() || env.names("hub/spool/cca").is_empty());
}

#[test]
#[cfg(debug_assertions)] // without them, programs take no faults
fn a_node_needs_more() {
    let env = Env::new();
    let keygen = env.relay("keygen").args(["-N", "new"]).at_any_time();
    let ran = keygen.var("RELAY_FAULT", "bare=new").run();
    assert_eq!(ran.status, 78);
    ran.says(&["new/identity.key: this file system cannot hold a node or a key"]);
    assert_eq!(env.names("new"), ["lock"]);
}
