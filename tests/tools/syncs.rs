//! How often programs wait for the disk: for a group of messages, not for each.

use std::fs;

use crate::testenv::{Call, Env, copy_tree};

/// How many messages more the larger of two runs has.
const MORE: usize = 300;

/// Runs a program, and counts the syncs that it announces.
fn syncs(env: &Env, call: Call<'_>) -> usize {
    let trace = env.path("trace");
    call.var("RELAY_FAULT", format!("trace:{}", trace.display()))
        .ok();
    let text = fs::read_to_string(&trace).unwrap();
    fs::remove_file(&trace).unwrap();
    let count = text.lines().filter(|line| line.starts_with("sync")).count();
    assert!(count > 0, "{text}");
    count
}

/// Parcels from alice to bob.
fn parcels(env: &Env, count: usize) -> Vec<u8> {
    let split = [
        "--size",
        "10",
        "--transfer",
        "00112233445566778899aabbccddeeff",
    ];
    let content = vec![b'x'; 10 * count];
    let parts = env.relay("split").args(split).stdin(content).ok().stdout;
    let seal = ["-N", "alice", "-t", "bob", "--parts"];
    env.relay("seal").args(seal).stdin(parts).ok().stdout
}

/// A program at a node.
fn relay<'a>(env: &'a Env, program: &str, node: &str) -> Call<'a> {
    env.relay(program).args(["-q", "-N", node])
}

/// The syncs of each program that these messages go through.
fn on_the_road(messages: usize) -> Vec<(&'static str, usize)> {
    let env = Env::with_gateways();
    let sent = parcels(&env, messages);
    let mut counts = Vec::new();
    let mut count = |what, call| counts.push((what, syncs(&env, call)));
    count("put", relay(&env, "put", "gateway").stdin(sent.clone()));
    count("route out", relay(&env, "route", "gateway"));
    count(
        "give",
        relay(&env, "sync", "gateway").args(["--init", "stick"]),
    );
    // What has no route when it comes is refused; it is lost later.
    env.write(
        "hub/routes",
        format!("* dir:{}\n", env.path("drop").display()),
    );
    count("take", relay(&env, "sync", "hub").args(["--take", "stick"]));
    env.mkdir("other");
    copy_tree(&env.path("hub"), &env.path("other"));
    fs::remove_file(env.path("hub/routes")).unwrap();
    count("set aside", relay(&env, "route", "hub"));
    assert_eq!(env.names("hub/spool/failed").len(), 2 * messages);
    env.mkdir("drop");
    env.write(
        "other/routes",
        format!("* dir:{}\n", env.path("drop").display()),
    );
    count("route to a directory", relay(&env, "route", "other"));
    assert_eq!(env.names("drop").len(), messages);
    for gateway in ["gateway", "hub"] {
        count(
            "purge",
            relay(&env, "purge", gateway)
                .arg("--trust-clock")
                .at("2026-10-01T00:00:00Z"),
        );
    }
    assert!(env.names("hub/spool/failed").is_empty());

    count("put for here", relay(&env, "put", "bob").stdin(sent));
    count("route home", relay(&env, "route", "bob"));
    env.mkdir("got");
    count(
        "deliver",
        relay(&env, "deliver", "bob").args(["--no-join", "--dir", "got"]),
    );
    assert_eq!(env.names("got/alice").len(), messages);
    counts
}

#[test]
fn a_group_of_messages_waits_for_the_disk_once() {
    let (few, many) = (on_the_road(20), on_the_road(20 + MORE));
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        assert!(many <= few + MORE / 10, "{what}: {few}, then {many}");
    }
}

#[test]
fn a_message_for_a_command_waits_for_the_disk_three_times() {
    let delivered = |messages: usize, command: &str| {
        let env = Env::with_gateways();
        let sent = parcels(&env, messages);
        relay(&env, "put", "bob").stdin(sent).ok();
        relay(&env, "route", "bob").ok();
        let call = relay(&env, "deliver", "bob").args(["--no-join", "--", "sh", "-c", command]);
        let count = syncs(&env, call);
        let ran = env.read("ran");
        assert_eq!(ran.len(), messages);
        count
    };
    // What was handed over, and what is set aside since the command refused it for good.
    for end in ["exit 0", "exit 65"] {
        let command = format!("printf x >>ran; {end}");
        let (few, many) = (delivered(5, &command), delivered(25, &command));
        assert!(many <= few + 3 * 20, "{end}: {few}, then {many}");
    }
}
