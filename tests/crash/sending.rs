//! Contents sent from operands and drop folders, stopped and failed at each step.

use std::fs;

use super::law::Step;
use super::programs::CASE;
use super::scene::{CONTENT, FIRST, SECOND, Scene, World};
use super::sweep::{Case, sweep};

/// The number of cases in this file.
pub(crate) const CASES: usize = 3;

const SEND: Case = Case {
    program: "relay-send",
    now: FIRST,
    nodes: &["told/bob"],
    order: &["bob/sessions/", "bob/spool/in/", "-"],
    ..CASE
};

/// The parcels that wait at bob for a peer.
fn waiting(scene: &Scene, peer: &str) -> Vec<Vec<u8>> {
    let start = format!("bob/spool/in/{}", scene.world().id(peer));
    let files = scene.files("bob").into_iter();
    files
        .filter(|path| path.starts_with(&start))
        .map(|path| fs::read(scene.path(&path)).unwrap())
        .collect()
}

/// Checks that these contents wait at bob for a peer, each once.
fn is_queued(scene: &Scene, peer: &str, expected: &[&[u8]]) {
    let parcels = waiting(scene, peer);
    let file = scene.keep("parcels", &parcels.concat());
    let opened = scene.run("relay-open", &["-q", "--cat", "-N", peer, &file], SECOND);
    opened.expect(0);
    let found = if parcels.len() > expected.len() {
        let file = scene.keep("parts", &opened.stdout);
        let joined = scene.run("relay-join", &["-q", &file], SECOND);
        joined.expect(0);
        joined.stdout
    } else {
        opened.stdout
    };
    assert!(
        found == expected.concat(),
        "{} octets for {peer}",
        found.len()
    );
}

/// The status of a second run with the same id: nothing is missing, or something is.
fn if_all_wait(scene: &Scene, parcels: usize) -> i32 {
    if waiting(scene, "alice").len() < parcels {
        0
    } else {
        82
    }
}

#[test]
fn send_an_operand() {
    sweep(&Case {
        name: "send FILE",
        args: &[
            "-q",
            "-N",
            "bob",
            "-t",
            "alice",
            "--id",
            "a report",
            "in/report.txt",
        ],
        next: |scene| if_all_wait(scene, 1),
        proof: |scene, _| {
            scene.add("friends/alice");
            is_queued(scene, "alice", &[CONTENT]);
        },
        ..SEND
    });
}

/// Checks that each file is in the folder, among those that were sent, or queued for all `peers`.
fn nothing_is_lost(scene: &Scene, dir: &str, contents: usize, peers: &[&str]) {
    let count = |top: &str| {
        let files = scene.files("").into_iter();
        let files = files.filter(|path| path.starts_with(&format!("{top}/")));
        files
            .filter(|path| path.ends_with("/one.txt") || path.ends_with("/two.txt"))
            .count()
    };
    let (there, sent) = (count(dir), count("sent"));
    assert!(there + sent <= contents);
    for peer in peers {
        let waiting = waiting(scene, peer).len();
        assert!(
            there + waiting >= contents,
            "{there} there, {waiting} for {peer}"
        );
    }
}

/// Checks that the folder is empty.
fn is_over(scene: &Scene, dir: &str) {
    let left = scene.files(&format!("{dir}/.sending"));
    assert_eq!(left, [format!("{dir}/.sending/lock")]);
}

#[test]
fn send_a_drop_folder() {
    sweep(&Case {
        name: "send --drop DIR",
        args: &["-q", "-N", "bob", "--drop", "drop", "--settle", "0s"],
        nodes: &["told/bob", "dropped/drop"],
        left: |scene, _| nothing_is_lost(scene, "drop", 2, &["alice"]),
        proof: |scene, _| {
            scene.add("friends/alice");
            is_queued(scene, "alice", &[CONTENT, CONTENT]);
            is_over(scene, "drop");
            assert_eq!(scene.files("drop/alice"), [""; 0]);
        },
        ..SEND
    });
}

#[test]
fn send_a_drop_folder_and_keep_it() {
    sweep(&Case {
        name: "send --drop DIR --sent DIR -t, to two",
        args: &[
            "-q", "-N", "bob", "--drop", "all", "--sent", "sent", "--settle", "0s", "-t", "alice",
            "-t", "carol",
        ],
        nodes: &["told/bob", "dropped/all", "dropped/sent"],
        left: |scene, _| nothing_is_lost(scene, "all", 1, &["alice", "carol"]),
        proof: |scene, _| {
            for stage in ["friends/alice", "alone/carol"] {
                scene.add(stage);
            }
            for peer in ["alice", "carol"] {
                is_queued(scene, peer, &[CONTENT]);
            }
            is_over(scene, "all");
            assert_eq!(fs::read(scene.path("sent/one.txt")).unwrap(), CONTENT);
        },
        ..SEND
    });
}

/// Kills a run that sends a content of two parts, where a name comes or goes, and runs it once more.
fn kills_in_parts(nodes: &[&str], args: &[&str], ended: fn(&Scene)) {
    let world = World::get();
    let (ran, steps) = world.scene(nodes).run_traced("relay-send", args, FIRST);
    ran.expect(0);
    let names = |step: &Step| matches!(&*step.op, "link" | "rename" | "remove" | "emit");
    let counts =
        |step: &Step| names(step) && !step.paths.iter().any(|path| path.contains("/sessions/"));
    let mut kills = 0;
    for (at, _) in (1..).zip(&steps).filter(|(_, step)| counts(step)) {
        let scene = world.scene(nodes);
        let killed = scene.run_under(&format!("kill:{at}"), "relay-send", args, FIRST);
        assert_eq!(killed.status.code(), None, "{at}: {}", killed.stderr);
        let all_wait = waiting(&scene, "alice").len() == 2 && args.contains(&"--id");
        let again = scene.run("relay-send", args, FIRST);
        again.expect(if all_wait { 82 } else { 0 });
        ended(&scene);
        scene.add("friends/alice");
        let content = fs::read(scene.path("in/large.txt")).unwrap();
        is_queued(&scene, "alice", &[&content]);
        kills += 1;
    }
    assert!(kills > 3, "{steps:?}");
}

#[test]
fn send_an_operand_in_parts() {
    let args = ["-q", "-N", "bob", "-t", "alice", "--id", "a report"];
    let args = [&args[..], &["in/large.txt"]].concat();
    kills_in_parts(&["told/bob"], &args, |_| ());
}

#[test]
fn send_a_large_file_of_a_drop_folder() {
    let args = [
        "-q", "-N", "bob", "-t", "alice", "--settle", "0s", "--drop", "large",
    ];
    kills_in_parts(&["told/bob", "dropped/large"], &args, |scene| {
        is_over(scene, "large");
        assert_eq!(scene.files("large").len(), 2, "the lock in its directory");
    });
}
