//! What others can make a node keep: within bounds that the pages state, whoever sends how much, and the others' mail
//! arrives. `CI_FULL=1` plays it with 10 000 messages.
//!
//! The bounds that are checked here are those of `quota` in relay-node(5), and of relay-medium(5).

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::write::{constructed, tlv};
use relaynet::message::certification_path::PathForm;
use relaynet::message::{CertificationPath, Pca, Rotation};
use relaynet::pki::NodeId;
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::ramf::Kind;

use crate::testenv::{Call, Env, id, identity, sha256};

/// The setting `quota` of each node that is flooded, in octets.
const QUOTA: u64 = 32 * 1024;

/// What a file counts at least, in octets.
const MIN_COUNTED: u64 = 1024;

/// How many acknowledgements wait that match nothing here.
const UNMATCHED: u64 = 1000;

/// What is remembered of each message that passes, in octets: its records, and the lines in `sent`.
const REMEMBERED: u64 = 512;

/// What a program may have of private memory, in KiB: far less than the messages of a flood.
const MEMORY: u64 = 256 * 1024;

/// How many messages a flood has.
pub(super) fn count() -> usize {
    if std::env::var_os("CI_FULL").is_some() {
        10_000
    } else {
        300
    }
}

/// A program at a node, within the bound on memory.
fn relay<'a>(env: &'a Env, program: &str, node: &str) -> Call<'a> {
    let call = env.relay(program).args(["-q", "-N", node]);
    call.shell(&format!("ulimit -d {MEMORY}"), "")
}

/// The octets and the files below a directory.
pub(super) fn size(dir: &Path) -> (u64, u64) {
    let (mut octets, mut files) = (0, 0);
    let Ok(entries) = fs::read_dir(dir) else {
        return (0, 0);
    };
    for entry in entries {
        let entry = entry.unwrap();
        let found = entry.metadata().unwrap();
        if found.is_dir() {
            let below = size(&entry.path());
            octets += below.0;
            files += below.1;
        } else {
            octets += found.len();
            files += 1;
        }
    }
    (octets, files)
}

/// Parcels with these contents, and the hub, with an endpoint that bob and alice may send to. Alice is behind gateway,
/// and nobody knows where carol is.
fn world() -> Env {
    let env = Env::with_gateways();
    let endpoint = ["-N", "hub", "--endpoint", "local", "--set", "clock=test"];
    env.relay("keygen").args(endpoint).ok();
    for peer in ["alice", "bob"] {
        let key = env.relay("export").args(["-N", peer]).ok().stdout;
        let authorize = ["-q", "-N", LOCAL, "--name", peer];
        let conn = env
            .relay("authorize")
            .args(authorize)
            .stdin(key)
            .ok()
            .stdout;
        let import = ["-q", "-N", peer, "--name", "local"];
        env.relay("import").args(import).stdin(conn).ok();
    }
    // The hub has an Internet address: anybody may send to it.
    let params = env.relay("export").args(["-N", "hub"]).ok().stdout;
    let import = ["-q", "-N", "alice", "--name", "hub"];
    env.relay("import").args(import).stdin(params).ok();
    env.make_node("carol", &[]);
    env.introduce("bob", "carol", &[]);
    let config = env.text("hub/config");
    env.write(
        "hub/config",
        format!("{config}quota = {QUOTA}\nreserve = 0\n"),
    );
    env.mkdir("inbox");
    relay(&env, "sync", "hub").args(["--init", "stick"]).ok();
    env
}

const LOCAL: &str = "hub/endpoints/local";

fn local_id(env: &Env) -> String {
    let inspect = env
        .relay("inspect")
        .args(["--id", &format!("{LOCAL}/identity.pub")]);
    inspect.ok().text().trim().to_owned()
}

/// So many parcels, one after another.
fn parcels(env: &Env, from: &str, to: &str, count: usize) -> Vec<u8> {
    let split = ["--size", "10"];
    let content = vec![b'x'; 10 * count];
    let parts = env.relay("split").args(split).stdin(content).ok().stdout;
    let seal = ["-N", from, "-t", to, "--parts"];
    env.relay("seal").args(seal).stdin(parts).ok().stdout
}

/// Lays cargo with these messages, each signed or not, onto the stick.
fn lay_cargo(env: &Env, from: &str, messages: &[Vec<u8>]) {
    let mut rest = messages;
    while !rest.is_empty() {
        let mut len = 0;
        let fits = rest.iter().take_while(|message| {
            len += message.len() + 8;
            len <= 4_000_000
        });
        let (now, later) = rest.split_at(fits.count());
        let items: Vec<Vec<u8>> = now.iter().map(|message| tlv(0x04, message)).collect();
        let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
        let cargo = env.sealed(from, "hub", Kind::Cargo, &constructed(0x30, &items));
        lay(env, from, &cargo);
        rest = later;
    }
}

/// Lays cargo for the hub onto the stick.
fn lay(env: &Env, from: &str, cargo: &[u8]) {
    let dir = format!("stick/relaynet/cargo/{}", id("hub"));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let name = format!("{dir}/{}.{}.cargo", id(from), sha256(cargo));
    env.write(name, cargo);
}

/// The messages in a stream of them.
fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut stream = relaynet::message::stream::Stream::new(stream);
    std::iter::from_fn(|| stream.next_message())
        .map(Result::unwrap)
        .collect()
}

fn node(name: &str) -> NodeId {
    id(name).parse().unwrap()
}

/// Acknowledgements of parcels that nobody here has sent.
fn pcas(count: usize) -> Vec<Vec<u8>> {
    let pca = |nth: usize| Pca {
        sender: node("alice"),
        recipient: node("bob"),
        parcel_id: format!("parcel {nth}"),
    };
    (0..count).map(|nth| pca(nth).to_octets()).collect()
}

/// Rotations that mallory makes for the hub, each with another end.
fn rotations(count: usize) -> Vec<Vec<u8>> {
    let (key, hub) = (identity("mallory"), identity("hub"));
    let at = |day: &str| -> Timestamp { format!("{day}T00:00:00Z").parse().unwrap() };
    let long = (at("2026-02-01"), at("2026-06-01"));
    let role = CertificateRole::SelfIssuedGateway;
    let own = issuance::issue(&key, None, key.public(), role, long).unwrap();
    let rotation = |nth: usize| {
        let end = at("2026-05-01") + SignedDuration::from_secs(nth.try_into().unwrap());
        let role = CertificateRole::Gateway;
        let validity = (long.0, end);
        let leaf = issuance::issue(&key, Some(&own), hub.public(), role, validity);
        let path = CertificationPath {
            leaf: leaf.unwrap(),
            authorities: vec![own.clone()],
        };
        let form = PathForm::OctetStrings;
        Rotation { path, form }.to_octets()
    };
    (0..count).map(rotation).collect()
}

/// A parcel of alice's for this node, on the same stick in the cargo of another gateway.
fn honest(env: &Env, to: &str) {
    let parcel = env.parcel("alice", to, b"honest");
    let cargo = env.cargo("gateway", "hub", parcel);
    lay(env, "gateway", &cargo);
}

/// Plays three turns of the hub, as cron does, for the mail of this node. Checks that the honest parcel arrives, and that
/// the hub never grows by more than this many octets and files.
#[track_caller]
fn play(env: &Env, node: &str, (octets, files): (u64, u64)) {
    let before = size(&env.path("hub"));
    let deliver = ["--no-join", "--dir", "inbox"];
    let mut said = String::new();
    for _ in 0..3 {
        for (program, call) in [
            ("sync", relay(env, "sync", "hub").arg("stick")),
            ("route", relay(env, "route", "hub")),
            ("deliver", relay(env, "deliver", node).args(deliver)),
        ] {
            let ran = call.run();
            said.push_str(&ran.stderr.chars().take(2000).collect::<String>());
            let after = size(&env.path("hub"));
            // Each with what else may be there: the honest parcel, or acknowledgements that match nothing.
            for (queues, accounts, others) in [
                (&["home"][..], 1, (8 * 1024, 1)),
                (&["in", "out", "failed"][..], 2, (8 * 1024, 1)),
                (&["acks"][..], 1, (1024, 1)),
                (&["control"][..], 1, (UNMATCHED * 200, UNMATCHED)),
            ] {
                let sizes = queues
                    .iter()
                    .map(|queue| size(&env.path(format!("hub/spool/{queue}"))));
                let found = sizes.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
                let quota = accounts * QUOTA;
                let most = (quota + others.0, quota / MIN_COUNTED + others.1);
                let is_within = found.0 <= most.0 && found.1 <= most.1;
                assert!(
                    is_within,
                    "{program}: {queues:?} {found:?}, not {most:?}: {said}"
                );
            }
            let control = size(&env.path("hub/spool/control"));
            let after = (after.0 - control.0, after.1 - control.1);
            let more = |after: u64, before| after.saturating_sub(before);
            let grown = (more(after.0, before.0), more(after.1, before.1));
            println!("{program}: {grown:?} of {octets} octets, {files} files");
            assert!(
                grown.0 <= octets && grown.1 <= files,
                "{program}: {grown:?}: {said}"
            );
        }
    }
    assert!(holds(&env.path("inbox"), b"honest"), "{said}");
}

/// Whether a file below a directory has this content.
fn holds(dir: &Path, content: &[u8]) -> bool {
    let mut entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.any(|path| {
        if path.is_dir() {
            holds(&path, content)
        } else {
            fs::read(path).unwrap() == content
        }
    })
}

/// What so many accounts with a quota hold, and what is remembered of so many messages; octets and files.
fn bound(accounts: u64, passed: usize) -> (u64, u64) {
    // Besides, there are the cargo of the honest gateway, marks of directories, days, sessions and locks.
    let rest = (32 * 1024, 60);
    let octets = accounts * QUOTA + REMEMBERED * passed as u64 + rest.0;
    (octets, accounts * QUOTA / MIN_COUNTED + rest.1)
}

#[test]
fn a_registered_gateway_fills_no_more_than_its_quotas() {
    let env = world();
    let count = count();
    let mut cargo = Vec::new();
    // On its way, without a way, and for a node here that fetches nothing.
    for to in ["alice", "carol", "local"] {
        cargo.extend(split(&parcels(&env, "bob", to, count / 4)));
    }
    cargo.extend(pcas(count / 4 + 1100));
    cargo.extend(rotations(count / 4));
    lay_cargo(&env, "mallory", &cargo);
    // Another node here does fetch its mail.
    honest(&env, "hub");
    // For other nodes, for the endpoint, and acknowledgements.
    play(&env, "hub", bound(3, count));
    // None of them keeps out the other.
    for queue in [
        format!("out/{}", id("gateway")),
        format!("home/{}", local_id(&env)),
    ] {
        let there = env.names(&format!("hub/spool/{queue}")).len();
        assert!(there >= 5, "{queue}: {there}");
    }
}

#[test]
fn an_authorized_peer_fills_no_more_than_the_quota_of_its_gateway() {
    let env = world();
    let count = count();
    // Each delivered once. Most are refused at first, and come as there is room.
    lay_cargo(
        &env,
        "mallory",
        &split(&parcels(&env, "bob", "local", count)),
    );
    honest(&env, "local");
    play(&env, LOCAL, bound(2, count));
}

#[test]
fn a_stranger_fills_no_more_than_the_quota_of_a_gateway() {
    let env = world();
    let count = count();
    let params = env.relay("export").args(["-N", "hub"]).ok().stdout;
    for stranger in ["bob", "carol"] {
        let import = ["-q", "-N", stranger, "--name", "hub"];
        env.relay("import").args(import).stdin(params.clone()).ok();
        let flood = parcels(&env, stranger, "hub", count / 2);
        lay_cargo(&env, "mallory", &split(&flood));
    }
    honest(&env, "hub");
    play(&env, "hub", bound(2, count));
}

/// Puts so many files onto the stick that do not belong there.
fn spoil(env: &Env, count: usize) {
    let top = "stick/relaynet";
    let hub = id("hub");
    let digest = |nth: usize| sha256(format!("junk {nth}").as_bytes());
    let any_node = |nth: usize| format!("0{}", &digest(nth));
    for nth in 0..count {
        let digest = digest(nth);
        let (dir, name) = match nth % 8 {
            0 => (
                format!("cargo/{hub}"),
                format!("{}.{digest}.cargo", id("mallory")),
            ),
            1 => (
                format!("cca/{hub}"),
                format!("{}.{digest}.cca", id("mallory")),
            ),
            2 => (
                format!("cargo/{}", any_node(nth)),
                format!("{hub}.{digest}.cargo"),
            ),
            3 => (format!("got/{hub}"), digest),
            4 => (format!("got/{}", any_node(nth)), digest),
            5 => (format!("cargo/{hub}"), format!("junk {nth}")),
            6 => (format!("junk/{nth}"), "x".repeat(200)),
            _ => (
                format!("cca/{}", any_node(nth)),
                format!("{hub}.{digest}.cca"),
            ),
        };
        fs::create_dir_all(env.path(format!("{top}/{dir}"))).unwrap();
        env.write(format!("{top}/{dir}/{name}"), vec![b'x'; 3000]);
    }
}

/// A stick that anybody could write to.
#[test]
fn a_stick_out_of_hand_fills_neither_a_node_nor_another_medium() {
    let env = world();
    spoil(&env, count());
    honest(&env, "hub");
    play(&env, "hub", bound(0, 1));

    env.mkdir("other");
    let carry = ["--quota", "100K", "stick", "other"];
    let limit = format!("ulimit -d {MEMORY}");
    let init = env.relay("carry").args(["-q", "--init"]).args(carry);
    init.shell(&limit, "").run();
    let (octets, files) = size(&env.path("other"));
    assert!(octets <= 110 * 1024 && files <= 110, "{octets} {files}");
}

/// Whether system calls can be counted; prints that they are not.
pub(super) fn can_trace() -> bool {
    let strace = std::process::Command::new("strace");
    let run = { strace }.args(["-f", "-o", "/dev/null", "true"]).output();
    let can_trace = run.is_ok_and(|run| run.status.success());
    if !can_trace {
        eprintln!("not tested, since strace cannot be used: how many system calls there are");
    }
    can_trace
}

/// The number of system calls of a program.
pub(super) fn calls(env: &Env, call: Call<'_>) -> usize {
    call.shell("exec strace -f -o calls \"$0\" \"$@\"", "")
        .run();
    let text = env.text("calls");
    fs::remove_file(env.path("calls")).unwrap();
    text.lines().count()
}

/// The work of a run grows with what is there, and no faster.
#[test]
fn four_times_the_messages_are_four_times_the_work() {
    if !can_trace() {
        return;
    }
    let work = |count: usize| {
        let env = world();
        let config = env.text("hub/config");
        env.write(
            "hub/config",
            config.replace(&format!("quota = {QUOTA}"), "quota = 1G"),
        );
        let mut cargo = pcas(count);
        for to in ["alice", "carol", "local"] {
            cargo.extend(split(&parcels(&env, "bob", to, count)));
        }
        lay_cargo(&env, "mallory", &cargo);
        spoil(&env, count);
        let sync = || env.relay("sync").args(["-q", "-N", "hub", "stick"]);
        let route = || env.relay("route").args(["-q", "-N", "hub"]);
        [sync(), route(), sync(), route()].map(|call| calls(&env, call))
    };
    let (few, many) = (work(30), work(120));
    for (few, many) in few.into_iter().zip(many) {
        assert!(many <= 4 * few + few / 2, "{few} calls, then {many}");
    }
}
