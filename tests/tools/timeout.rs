//! Commands of relay-deliver and relay-route that do not end, and signals while one runs.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::testenv::{Call, Env, id};

/// Peers, of whom bob has sent alice this many contents, `m0` and so on.
fn arrived(count: usize) -> Env {
    let env = Env::with_peers();
    for number in 0..count {
        let (content, id) = (format!("content {number}"), format!("m{number}"));
        let parcel = env.parcel_with("bob", "alice", content.as_bytes(), &["--id", &id]);
        env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    }
    env.relay("route").args(["-N", "alice"]).ok().quiet();
    env
}

fn deliver<'a>(env: &'a Env, script: &str) -> Call<'a> {
    let args = ["-N", "alice", "--timeout", "1s", "--", "sh", "-c", script];
    env.relay("deliver").args(args)
}

fn waiting(env: &Env) -> usize {
    env.names(&format!("alice/spool/home/{}", id("alice")))
        .len()
}

fn notes(env: &Env, node: &str) -> Vec<String> {
    let dir = format!("{node}/spool/delivering");
    if env.path(&dir).exists() {
        env.names(&dir)
    } else {
        Vec::new()
    }
}

/// Whether a process runs whose id is in this file.
fn is_alive(env: &Env, file: &str) -> bool {
    let pid = env.text(file);
    // One that has ended, and that nobody has asked for its status, has no command line.
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.trim()));
    line.is_ok_and(|line| !line.is_empty())
}

/// Starts a run of which a command writes the file `started`, and waits for that file.
fn start(env: &Env, call: &Call<'_>) -> Child {
    let mut command = call.to_command();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    await_file(&env.path("started"));
    child
}

fn await_file(path: &Path) {
    for _ in 0..1200 {
        if path.exists() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{} did not appear", path.display());
}

#[test]
fn a_command_that_hangs_three_times_for_a_message_gets_it_no_more() {
    let env = arrived(3);
    let script = "[ $RELAY_ID != m1 ] && exec cat; sleep 60 & echo $! > pid; wait";
    for time in 1..=2 {
        let ran = deliver(&env, script).run();
        assert_eq!(ran.status, 75, "{}", ran.stderr);
        let why = format!("sh did not end within 1s (time-out {time} of 3)");
        let ran = ran.says_somewhere(&why);
        let expected = if time == 1 { 18 } else { 0 };
        assert_eq!(ran.text().len(), expected, "the others were delivered");
        assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
        assert!(!is_alive(&env, "pid"));
        assert_eq!(waiting(&env), 1);
        assert_eq!(notes(&env, "alice"), [id("alice")]);
        let found = env.relay("check").args(["-N", "alice"]).at_any_time().run();
        assert!(!found.text().contains("delivering"), "{}", found.text());
    }
    let ran = deliver(&env, script).ok();
    let ran = ran.says_somewhere("sh did not end within 1s (time-out 3 of 3)");
    // It has just been set aside, which the hint must not announce.
    ran.says_nothing_of("set aside after three");
    assert_eq!((waiting(&env), notes(&env, "alice").len()), (0, 0));
    let why = env.names("alice/spool/failed").pop().unwrap();
    let why = env.text(format!("alice/spool/failed/{why}"));
    assert!(why.contains("time-out 3 of 3"), "{why}");
    deliver(&env, script).ok().quiet();
    // Returned, it has three more.
    let name = env.names("alice/spool/failed").remove(0);
    let args = ["-N", "alice", "--retry", &name];
    env.relay("route").args(args).ok().quiet();
    let ran = deliver(&env, script).run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    ran.says_somewhere("(time-out 1 of 3)");
    deliver(&env, "cat").ok().quiet().stdout("content 1");
    assert!(notes(&env, "alice").is_empty());
}

#[test]
fn a_command_that_hangs_for_five_in_a_row_is_left_alone() {
    let env = arrived(7);
    let script = "echo $RELAY_ID >> asked; sleep 60";
    let ran = deliver(&env, script).run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    ran.says_somewhere("sh did not end in time for 5 messages in a row");
    assert_eq!(env.text("asked").lines().count(), 5);
    assert_eq!(waiting(&env), 7);
}

#[test]
fn a_signal_is_passed_on_and_then_ends_the_run() {
    for (signal, name) in [
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
    ] {
        let env = arrived(2);
        let script = format!(
            "trap 'echo > got; exit 65' {name}; sleep 60 & echo $! > pid; : > started; wait"
        );
        let args = ["-N", "alice", "--", "sh", "-c", &script];
        let call = env.relay("deliver").args(args);
        // Whoever runs the tests in the background has them ignore SIGINT, which children inherit.
        let call = call.shell(r#"exec env --default-signal "$0" "$@""#, "");
        let mut child = start(&env, &call);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let end = child.wait().unwrap();
        assert_eq!(end.signal(), Some(signal.as_raw()), "{end}");
        assert!(env.path("got").exists(), "{name}");
        assert!(!is_alive(&env, "pid"), "{name}");
        // No refusal: the command was told to end.
        assert_eq!(waiting(&env), 2);
        assert!(notes(&env, "alice").is_empty());
    }
}

#[test]
fn what_a_command_accepts_after_a_signal_is_remembered() {
    let env = arrived(2);
    let script = "trap 'exit 0' TERM; echo $RELAY_ID >> asked; : > started; sleep 60 & wait";
    let args = ["-N", "alice", "--", "sh", "-c", script];
    let mut child = start(&env, &env.relay("deliver").args(args));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let end = child.wait().unwrap();
    assert_eq!(end.signal(), Some(15), "{end}");
    assert_eq!(env.text("asked").lines().count(), 1);
    assert_eq!(waiting(&env), 1);
}

#[test]
fn a_signal_that_is_ignored_is_not_passed_on() {
    let env = arrived(1);
    let script = ": > started; while [ ! -e go ]; do sleep 0.05; done";
    let args = ["-N", "alice", "--", "sh", "-c", script];
    let call = env.relay("deliver").args(args).shell("trap '' HUP", "");
    let mut child = start(&env, &call);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    env.write("go", "");
    let end = child.wait().unwrap();
    assert!(end.success(), "{end}");
    assert_eq!(waiting(&env), 0);
}

/// A gateway whose routes hand each parcel to `slow.sh`, with two parcels; returns their names.
fn handing(script: &str) -> (Env, Vec<String>) {
    let env = Env::with_gateways();
    env.write("slow.sh", script);
    env.write("hub/routes", "* exec:sh slow.sh\n");
    for id in ["m0", "m1"] {
        let parcel = env.parcel_with("bob", "alice", b"x", &["--id", id]);
        env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
    }
    let names = env.names("hub/spool/in");
    (env, names)
}

fn route(env: &Env) -> Call<'_> {
    let args = ["-N", "hub", "--timeout", "1s"];
    env.relay("route").args(args)
}

#[test]
fn a_command_of_routes_that_hangs_three_times_is_no_longer_tried() {
    let script = "[ $RELAY_ID = m0 ] || exec cat > taken; sleep 60 & echo $! > pid; wait";
    let (env, names) = handing(script);
    assert_eq!(names.len(), 2);
    for time in 1..=2 {
        let ran = route(&env).run();
        assert_eq!(ran.status, 75, "{}", ran.stderr);
        ran.says_somewhere(&format!("sh did not end within 1s (time-out {time} of 3)"));
        assert!(!is_alive(&env, "pid"));
        assert!(env.path("taken").exists());
        assert_eq!(env.names("hub/spool/in").len(), 1);
        assert_eq!(notes(&env, "hub"), ["in"]);
        let found = env.relay("check").args(["-N", "hub"]).at_any_time().run();
        assert!(!found.text().contains("delivering"), "{}", found.text());
    }
    route(&env).ok().says_somewhere("(time-out 3 of 3)");
    assert!(env.names("hub/spool/in").is_empty() && notes(&env, "hub").is_empty());
    assert_eq!(env.names("hub/spool/failed").len(), 2);
    route(&env).ok().quiet();
}

#[test]
fn a_note_on_a_message_that_has_gone_is_dropped() {
    let (env, names) = handing("sleep 60");
    assert_eq!(route(&env).run().status, 75);
    assert_eq!(notes(&env, "hub"), ["in"]);
    for name in names {
        std::fs::remove_file(env.path(format!("hub/spool/in/{name}"))).unwrap();
    }
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "m2"]);
    env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
    env.write("slow.sh", "cat > taken");
    route(&env).ok().quiet();
    assert!(notes(&env, "hub").is_empty());
}

#[test]
fn a_note_goes_with_its_message_when_nothing_has_a_command_any_more() {
    let (env, names) = handing("sleep 60");
    assert_eq!(route(&env).run().status, 75);
    assert_eq!(notes(&env, "hub"), ["in"]);
    for name in names {
        std::fs::remove_file(env.path(format!("hub/spool/in/{name}"))).unwrap();
    }
    route(&env).arg("-n").ok().quiet();
    assert_eq!(notes(&env, "hub"), ["in"]);
    route(&env).ok().quiet();
    assert!(notes(&env, "hub").is_empty());
}

#[test]
fn nobody_waits_for_a_command_of_routes() {
    let script = ": > started; while [ ! -e go ]; do sleep 0.05; done";
    let (env, names) = handing(script);
    let call = env.relay("route").args(["-N", "hub"]);
    let mut child = start(&env, &call);
    // Another run moves what is not for the command, and leaves the rest to the first.
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "m2"]);
    env.relay("put").args(["-N", "hub"]).stdin(parcel).ok();
    route(&env).ok().quiet();
    assert_eq!(env.names("hub/spool/in").len(), names.len() + 1);
    env.write("hub/routes", format!("* peer:{}\n", id("gateway")));
    route(&env).ok().quiet();
    env.write("go", "");
    let end = child.wait().unwrap();
    assert!(end.success(), "{end}");
    assert!(env.names("hub/spool/in").is_empty());
}

#[test]
fn content_in_parts_counts_as_one() {
    let env = arrived(0);
    env.write("whole", "twenty-three octets ...");
    let split = ["--size", "10", "whole"];
    let stream = env.relay("split").args(split).ok().stdout;
    let seal = ["-N", "bob", "-t", "alice", "--parts"];
    let parcels = env.relay("seal").args(seal).stdin(stream).ok().stdout;
    env.relay("put").args(["-N", "alice"]).stdin(parcels).ok();
    env.relay("route").args(["-N", "alice"]).ok().quiet();
    for time in 1..=2 {
        let ran = deliver(&env, "sleep 60").run();
        assert_eq!(ran.status, 75, "{}", ran.stderr);
        ran.says_somewhere(&format!("(time-out {time} of 3)"));
        assert_eq!((waiting(&env), notes(&env, "alice").len()), (3, 1));
    }
    deliver(&env, "sleep 60").ok();
    assert_eq!((waiting(&env), notes(&env, "alice").len()), (0, 0));
    assert_eq!(env.names("alice/spool/failed").len(), 6);
}
