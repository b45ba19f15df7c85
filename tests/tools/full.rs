//! Disks that are really full, at every point where they can be: the failure is reported, nothing half done
//! is visible, and the same command works once there is room.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::process::Command;

use crate::mounted::Mounted;
use crate::testenv::{Call, Env, copy_tree, id, sha256};

const IDS: [&str; 4] = ["m1", "m2", "m3", "m4"];

/// How many octets are left on the disk when a program is run.
const ROOM: [u64; 9] = [
    0, 4096, 8192, 20_000, 45_000, 70_000, 95_000, 120_000, 200_000,
];

/// Parcels of bob's for alice with about 20 KB each, none of which compress.
fn parcels(env: &Env) -> Vec<Vec<u8>> {
    let parcel = |id: &&str| env.parcel_with("bob", "alice", &content(id), &["--id", id]);
    IDS.iter().map(parcel).collect()
}

fn content(id: &str) -> Vec<u8> {
    id.as_bytes().iter().copied().cycle().take(20_000).collect()
}

/// Leaves so much room on the disk, and no more.
pub(crate) fn fill(env: &Env, room: u64) {
    let path = env.path("small/filler");
    let mut file = File::create(&path).unwrap();
    let block = [0; 4096];
    let mut len = 0;
    while file.write_all(&block).is_ok() {
        len += 4096;
    }
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len - room / 4096 * 4096).unwrap();
}

/// With every amount of room: runs the command on a disk that `prepare` has filled the node or the destination into,
/// then with enough room again; each time `found` says what is there in the end, and what is visible half way.
fn whatever_room_there_is(
    name: &str,
    prepare: impl Fn(&Env),
    run: impl for<'a> Fn(&'a Env) -> Call<'a>,
    found: impl Fn(&Env) -> Vec<String>,
    expected: &[String],
) {
    let (mut failures, mut done) = (0, 0);
    for room in ROOM {
        let env = Env::with_gateways();
        env.mkdir("small");
        let Some(_mounted) = Mounted::on(env.path("small"), "2m", name) else {
            return;
        };
        prepare(&env);
        fill(&env, room);
        let ran = run(&env).run();
        match ran.status {
            0 => done += 1,
            74 | 75 => failures += 1,
            status => panic!("{name} with {room}: {status} {}", ran.stderr),
        }
        assert_eq!(ran.status == 0, ran.stderr.is_empty(), "{}", ran.stderr);
        for visible in found(&env) {
            assert!(expected.contains(&visible), "{name} with {room}: {visible}");
        }
        fs::remove_file(env.path("small/filler")).unwrap();
        let again = run(&env).run();
        let is_done = again.status == 0 || again.status == 82;
        assert!(
            is_done,
            "{name} after {room}: {} {}",
            again.status, again.stderr
        );
        assert_eq!(
            found(&env),
            expected,
            "{name} after {room}: {}",
            again.stderr
        );
    }
    assert!(done > 0, "{name}: never done");
    println!("{name}: {failures} times no room, {done} times enough; nothing lost or half done");
}

fn node(env: &Env, name: &str) -> String {
    let small = format!("small/{name}");
    fs::create_dir(env.path(&small)).unwrap();
    copy_tree(&env.path(name), &env.path(&small));
    let config = env.text(format!("{small}/config"));
    env.write(format!("{small}/config"), format!("{config}reserve = 0\n"));
    env.chmod(&small, 0o700);
    small
}

/// The digests of the files in these directories, which need not be there.
fn digests(env: &Env, dirs: &[String]) -> Vec<String> {
    let dirs = dirs.iter().filter(|dir| env.path(dir).exists());
    let digests = dirs.flat_map(|dir| {
        let names = env.names(dir).into_iter();
        names.map(move |name| sha256(&env.read(format!("{dir}/{name}"))))
    });
    let mut digests: Vec<String> = digests.collect();
    digests.sort();
    digests
}

fn sorted(octets: &[Vec<u8>]) -> Vec<String> {
    let mut digests: Vec<String> = octets.iter().map(|it| sha256(it)).collect();
    digests.sort();
    digests
}

fn put(env: &Env, at: &str, octets: Vec<u8>) {
    env.relay("put").args(["-N", at]).stdin(octets).ok().quiet();
}

fn route(env: &Env, at: &str) {
    env.relay("route").args(["-N", at]).ok().quiet();
}

/// Parcels are the same in each run only if they are made once.
fn made() -> Vec<Vec<u8>> {
    parcels(&Env::with_gateways())
}

#[test]
fn put_on_a_full_disk() {
    let parcels = made();
    whatever_room_there_is(
        "put",
        |env| drop(node(env, "hub")),
        |env| {
            let put = env.relay("put").args(["-q", "-N", "small/hub"]);
            put.stdin(parcels.concat())
        },
        |env| digests(env, &["small/hub/spool/in".to_owned()]),
        &sorted(&parcels),
    );
}

#[test]
fn route_on_a_full_disk() {
    let parcels = made();
    let out = format!("small/hub/spool/out/{}", id("gateway"));
    whatever_room_there_is(
        "route",
        |env| put(env, &node(env, "hub"), parcels.concat()),
        |env| env.relay("route").args(["-q", "-N", "small/hub"]),
        |env| digests(env, std::slice::from_ref(&out)),
        &sorted(&parcels),
    );
}

#[test]
fn sync_takes_to_a_full_disk() {
    let parcels = made();
    whatever_room_there_is(
        "sync, taking",
        |env| {
            put(env, "mallory", parcels.concat());
            route(env, "mallory");
            for options in [&["--init", "stick"][..], &["stick"]] {
                env.relay("sync").args(["-N", "mallory"]).args(options).ok();
            }
            node(env, "hub");
        },
        |env| env.relay("sync").args(["-q", "-N", "small/hub", "stick"]),
        |env| digests(env, &["small/hub/spool/in".to_owned()]),
        &sorted(&parcels),
    );
}

#[test]
fn deliver_to_a_full_disk() {
    let parcels = made();
    let contents: Vec<Vec<u8>> = IDS.iter().map(|id| content(id)).collect();
    whatever_room_there_is(
        "deliver",
        |env| {
            put(env, "alice", parcels.concat());
            route(env, "alice");
            env.mkdir("small/inbox");
        },
        |env| {
            let deliver = env.relay("deliver").args(["-q", "-N", "alice"]);
            deliver.args(["--dir", "small/inbox"])
        },
        |env| digests(env, &["small/inbox/bob".to_owned()]),
        &sorted(&contents),
    );
}

#[test]
fn content_in_parts_on_a_full_disk() {
    let whole: Vec<u8> = IDS.iter().flat_map(|id| content(id)).collect();
    let env = Env::with_gateways();
    let split = env
        .relay("split")
        .args(["-q", "--name", "whole", "--size", "20000"]);
    let parts = split.stdin(whole.clone()).ok().stdout;
    let seal = env
        .relay("seal")
        .args(["-q", "-N", "bob", "-t", "alice", "--parts"]);
    let parcels = seal.stdin(parts.clone()).ok().stdout;
    let expected = sorted(&[whole]);
    whatever_room_there_is(
        "deliver parts",
        |env| {
            put(env, "alice", parcels.clone());
            route(env, "alice");
            env.mkdir("small/inbox");
        },
        |env| {
            let deliver = env.relay("deliver").args(["-q", "-N", "alice"]);
            deliver.args(["--keep-name", "--dir", "small/inbox"])
        },
        |env| digests(env, &["small/inbox/bob".to_owned()]),
        &expected,
    );
    whatever_room_there_is(
        "join",
        |env| {
            env.mkdir("small/out");
            env.write("parts", &parts);
        },
        |env| {
            env.relay("join")
                .args(["-q", "-o", "small/out/whole", "parts"])
        },
        |env| digests(env, &["small/out".to_owned()]),
        &expected,
    );
}

/// What makes room needs none.
#[test]
fn purge_on_a_full_disk() {
    let parcels = made();
    let left = |env: &Env| {
        let out = format!("small/hub/spool/out/{}", id("gateway"));
        let left = digests(env, &[out, "small/hub/spool/in".to_owned()]);
        vec![format!("{}", left.len())]
    };
    for room in ROOM {
        let env = Env::with_gateways();
        env.mkdir("small");
        let Some(_mounted) = Mounted::on(env.path("small"), "2m", "purge") else {
            return;
        };
        let hub = node(&env, "hub");
        put(&env, &hub, parcels.concat());
        route(&env, &hub);
        fill(&env, room);
        assert_eq!(left(&env), ["4"]);
        let purge = env
            .relay("purge")
            .args(["-q", "--trust-clock", "-N", "small/hub"]);
        let ran = purge.at("2026-05-01T12:00:00Z").run();
        assert!(
            [0, 74].contains(&ran.status),
            "{} {}",
            ran.status,
            ran.stderr
        );
        fs::remove_file(env.path("small/filler")).unwrap();
        let purge = env
            .relay("purge")
            .args(["-q", "--trust-clock", "-N", "small/hub"]);
        purge.at("2026-05-01T12:00:00Z").ok().quiet();
        assert_eq!(left(&env), ["0"]);
    }
}

/// A limit on the size of files (`ulimit -f`, in units of 512 octets) is an error like a full disk.
#[test]
fn a_limit_on_file_size_leaves_nothing() {
    let env = Env::with_peers();
    let content = vec![7; 300_000];
    env.write("content", &content);
    env.write("parcel", env.parcel("bob", "alice", &content));
    env.mkdir("out");
    env.write(
        "parts",
        env.relay("split")
            .args(["--size", "100000", "content"])
            .ok()
            .stdout,
    );
    for call in [
        "seal -N bob -t alice -o sealed content",
        "open -N alice -o opened parcel",
        "open -N alice -d out parcel",
        "put -N alice parcel",
        "split -o parts.2 content",
        "join -o joined parts",
        "join -d out parts",
        "ack -o out/ack -f parcel",
    ] {
        let mut words = call.split(' ');
        let program = words.next().unwrap();
        let limit = if program == "ack" {
            "ulimit -f 0"
        } else {
            "ulimit -f 100"
        };
        let ran = env.relay(program).args(words).shell(limit, "").run();
        assert_eq!(ran.status, 74, "{call}: {}", ran.stderr);
        ran.says_somewhere("File too large");
        let found = Command::new("find")
            .arg(env.root())
            .args(["-name", "*.tmp"])
            .output();
        assert_eq!(
            String::from_utf8(found.unwrap().stdout).unwrap(),
            "",
            "{call}"
        );
    }
    // Neither is the message taken for received, nor does a command inherit what becomes of the signal.
    env.relay("put").args(["-N", "alice", "parcel"]).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    let script = "cat >content.2; grep SigIgn /proc/self/status >ignored";
    env.relay("deliver")
        .args(["-N", "alice", "--", "sh", "-c", script])
        .ok();
    let ignored = env.text("ignored");
    let mask = u64::from_str_radix(ignored.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(mask >> (25 - 1) & 1, 0, "SIGXFSZ is ignored: {ignored}");
}
