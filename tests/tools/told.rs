//! What a run tells of its work: lines of JSON for programs, and one line at the end for people.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::mounted::Mounted;
use crate::testenv::{Call, Env, Ran, id, keys_in};

/// A world with the media red and blue, and a parcel that waits at mallory for the hub.
fn laden() -> Env {
    let env = Env::with_gateways();
    for medium in ["red", "blue"] {
        env.mkdir(medium);
        sync(&env, "hub", medium).arg("--init").ok().quiet();
    }
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    put(&env, "mallory", &parcel);
    env.relay("route").args(["-N", "mallory"]).ok().quiet();
    env
}

fn put(env: &Env, at: &str, parcel: &[u8]) {
    env.relay("put").args(["-N", at]).stdin(parcel).ok().quiet();
}

fn sync<'a>(env: &'a Env, at: &str, medium: &str) -> Call<'a> {
    env.relay("sync").args(["-N", at, medium])
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect()
}

/// The event of this name, of which there is one.
#[track_caller]
fn the<'a>(lines: &'a [Value], event: &str) -> &'a Value {
    let found: Vec<_> = lines.iter().filter(|line| line["event"] == event).collect();
    assert_eq!(found.len(), 1, "{event}: {lines:#?}");
    found[0]
}

/// The last diagnostic, which only a terminal shows.
#[track_caller]
fn summary(ran: &Ran) -> String {
    ran.diagnostics().pop().expect("a summary")
}

#[test]
fn an_exchange_is_told_in_json() {
    let env = laden();
    let given = sync(&env, "mallory", "red")
        .arg("--json")
        .ok()
        .quiet()
        .json();
    assert_eq!(events(&given), ["requested", "packed", "summary"]);
    let medium = env.text("red/relaynet/ID");
    for line in &given {
        assert_eq!(line["medium"], medium.trim());
    }
    let packed = the(&given, "packed");
    assert_eq!(packed["recipient"], id("hub"));
    assert_eq!(packed["messages"], 1);
    let expected = json!({
        "v": 1, "event": "summary", "medium": medium.trim(),
        "cargoes_taken": 0, "messages_taken": 0, "messages_repeated": 0, "asked": 0,
        "cargoes_given": 1, "messages_given": 1, "requested": 1, "carried": 0,
        "size": packed["size"], "waiting": 0, "failed": 0, "safe_to_remove": true,
    });
    assert_eq!(given[2], expected);

    let carry = |options: &[&str]| {
        let carry = env.relay("carry").args(["red", "blue", "--json"]);
        carry.args(options).run()
    };
    let carried = carry(&["--quota", "1"]).json();
    let waiting = the(&carried, "waiting");
    assert_eq!(
        (&waiting["why"], &waiting["messages"]),
        (&json!("room"), &json!(2))
    );
    assert_eq!(carried.last().unwrap()["waiting"], 2);
    let carried = carry(&[]).quiet().json();
    assert_eq!(events(&carried), ["carried", "carried", "summary"]);
    assert_eq!(
        (&carried[0]["kind"], &carried[1]["kind"]),
        (&json!("cca"), &json!("cargo"))
    );
    assert_eq!(carried[1]["sender"], id("mallory"));
    assert_eq!(carried[1]["size"], packed["size"]);
    assert_eq!(carried[2]["carried"], 2);

    let taken = sync(&env, "hub", "blue").arg("--json").ok().quiet().json();
    let stored = the(&taken, "stored");
    assert_eq!(
        keys_in(stored),
        [
            "v",
            "event",
            "medium",
            "kind",
            "recipient",
            "sender",
            "id",
            "cargo"
        ]
    );
    assert_eq!(
        (&stored["kind"], &stored["id"]),
        (&json!("parcel"), &json!("m1"))
    );
    assert_eq!(stored["cargo"], packed["cargo"]);
    assert_eq!(the(&taken, "unpacked")["messages"], 1);
    assert_eq!(the(&taken, "asked")["sender"], id("mallory"));
    let last = taken.last().unwrap();
    assert_eq!(
        (&last["cargoes_taken"], &last["messages_taken"]),
        (&json!(1), &json!(1))
    );

    // The same again on the other medium: an earlier run unpacked it.
    let again = sync(&env, "hub", "red").arg("--json").ok().quiet().json();
    assert_eq!(the(&again, "unpacked")["messages"], Value::Null);
}

#[test]
fn what_fails_in_an_exchange_is_told_in_json_too() {
    let env = laden();
    sync(&env, "mallory", "red").ok().quiet();
    let dir = format!("red/relaynet/cargo/{}", id("hub"));
    let cargo = env.path(&dir).join(&env.names(&dir)[0]);
    fs::write(&cargo, "no cargo").unwrap();
    env.write(format!("{dir}/stranger"), "");
    for call in [
        env.relay("carry").args(["red", "blue", "--json"]),
        sync(&env, "hub", "red").arg("--json"),
    ] {
        let ran = call.run();
        assert_eq!(ran.status, 65, "{}", ran.stderr);
        let lines = ran.json();
        let failed = the(&lines, "failed");
        let (what, error) = (
            failed["what"].as_str().unwrap(),
            failed["error"].as_str().unwrap(),
        );
        let ran = ran.says_somewhere(&format!("{what}: {error}"));
        let unexpected = the(&lines, "unexpected");
        assert_eq!(unexpected["more"], Value::Null);
        ran.says_somewhere(unexpected["what"].as_str().unwrap());
        let last = lines.last().unwrap();
        assert_eq!(
            (&last["failed"], &last["safe_to_remove"]),
            (&json!(1), &json!(true))
        );
    }
}

#[test]
fn what_waits_for_the_clock_is_told_in_json() {
    let env = laden();
    let ran = sync(&env, "mallory", "red")
        .arg("--json")
        .at("1999-01-01T00:00:00Z")
        .run();
    let lines = ran.json();
    assert!(
        lines
            .iter()
            .any(|line| line["event"] == "waiting" && line["why"] == "clock"),
        "{lines:#?}"
    );
}

#[test]
fn what_relay_route_did_is_told_in_json() {
    let env = Env::with_gateways();
    let route = |options: &[&str]| {
        let route = env.relay("route").args(["-N", "hub", "--json"]);
        route.args(options).ok().json()
    };
    assert!(route(&[]).is_empty());
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "m1"]);
    put(&env, "hub", &parcel);
    let decided = route(&["-n"]);
    assert_eq!(decided[0]["decision"], "move");
    assert_eq!(decided[0]["target"], format!("peer:{}", id("gateway")));
    // What is done is told as what would be done.
    assert_eq!(route(&[]), decided);
    // A parcel without a route is set aside.
    let lost = env.parcel_with("alice", "bob", b"x", &["--id", "m2"]);
    put(&env, "hub", &lost);
    let lost = route(&[]);
    assert_eq!(
        (&lost[0]["decision"], &lost[0]["kind"]),
        (&json!("fail"), &json!("parcel"))
    );
    assert!(
        lost[0]["error"].is_string() && lost[0]["target"].is_null(),
        "{lost:?}"
    );
    assert_eq!(
        (&lost[0]["id"], &lost[0]["by"]),
        (&json!("m2"), &Value::Null)
    );
}

#[test]
fn control_messages_are_told_in_json() {
    let env = laden();
    sync(&env, "mallory", "red").ok().quiet();
    sync(&env, "hub", "red").ok().quiet();
    sync(&env, "mallory", "red").ok().quiet();
    let ran = env.relay("route").args(["-N", "mallory", "--json"]).ok();
    let lines = ran.quiet().json();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let told = &lines[0];
    assert_eq!(
        (&told["kind"], &told["decision"]),
        (&json!("pca"), &json!("apply"))
    );
    assert_eq!(
        (&told["id"], &told["by"]),
        (&json!("m1"), &json!(id("hub")))
    );
}

#[test]
fn sealed_parcels_are_told_in_json() {
    let env = Env::with_peers();
    env.mkdir("out");
    let seal = |options: &[&str]| {
        let seal = env.relay("seal").args(["-N", "alice", "--json"]);
        seal.args(["-t", "bob", "-t", "carol"])
            .args(options)
            .stdin("content")
    };
    let lines = seal(&["-d", "out", "--id", "m1"]).ok().quiet().json();
    assert_eq!(lines.len(), 2);
    for (line, peer) in lines.iter().zip(["bob", "carol"]) {
        assert_eq!(line["recipient"], id(peer));
        assert_eq!(line["sender"], id("alice"));
        assert_eq!((&line["id"], &line["cut_to"]), (&json!("m1"), &Value::Null));
        let path = line["path"].as_str().unwrap();
        assert_eq!(env.read(path).len(), line["size"]);
    }
    let lines = seal(&["-o", "both"]).ok().quiet().json();
    assert_eq!(
        (&lines[0]["path"], &lines[1]["path"]),
        (&json!("both"), &json!("both"))
    );
    // Parcels and lines cannot both go to standard output.
    seal(&[]).fails(64, "--json needs -d DIR or -o FILE");
    // A file that is there is kept, and no parcel is told of.
    seal(&["-o", "both"]).fails(73, "both");
}

#[test]
fn each_part_that_is_sealed_is_told_in_json() {
    let env = Env::with_peers();
    env.mkdir("out");
    let parts = env
        .relay("split")
        .args(["--size", "1000"])
        .stdin([7; 5000])
        .ok();
    let seal = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "--parts"]);
    let lines = seal
        .args(["-d", "out", "--json"])
        .stdin(parts.stdout)
        .ok()
        .json();
    let mut paths: Vec<_> = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    let mut names = env.names("out");
    names.sort_unstable();
    let names: Vec<_> = names.iter().map(|name| format!("out/{name}")).collect();
    assert_eq!(paths, names);
    assert!(names.len() > 4, "{names:?}");
}

#[test]
fn a_node_that_is_made_is_told_in_json() {
    let env = Env::new();
    let keygen = |options: &[&str]| {
        env.relay("keygen")
            .at_any_time()
            .args(options)
            .arg("--json")
            .ok()
    };
    let made = keygen(&["--type", "gateway", "--address", "hub.example.org", "hub"])
        .quiet()
        .json();
    let id = env.relay("inspect").args(["--id", "hub/identity.pub"]).ok();
    let id = id.text().trim().to_owned();
    assert_eq!(
        keys_in(&made[0]),
        ["v", "id", "fingerprint", "path", "type", "address"]
    );
    assert_eq!(made[0]["id"], id);
    assert_eq!(
        (&made[0]["path"], &made[0]["type"]),
        (&json!("hub"), &json!("gateway"))
    );
    assert_eq!(made[0]["address"], "hub.example.org");
    let made = keygen(&["-N", "hub", "--endpoint", "anna"]).json();
    assert_eq!(
        (&made[0]["path"], &made[0]["type"]),
        (&json!("hub/endpoints/anna"), &json!("endpoint"))
    );
    assert_eq!(made[0]["address"], Value::Null);
}

#[test]
fn a_terminal_has_a_summary_at_the_end() {
    let env = laden();
    let at_terminal = |call: Call<'_>| summary(&call.at_terminal().ok());
    let given = at_terminal(sync(&env, "mallory", "red"));
    assert!(given.starts_with("gave 1 message in 1 cargo, "), "{given}");
    assert!(
        given.ends_with(" kB and 1 request; safe to remove"),
        "{given}"
    );
    let carried = at_terminal(env.relay("carry").args(["red", "blue"]));
    assert!(
        carried.starts_with("carried 1 cargo and 1 request, "),
        "{carried}"
    );
    let taken = at_terminal(sync(&env, "hub", "red").arg("--take"));
    assert_eq!(
        taken,
        "took 1 cargo with 1 new message and 1 request; safe to remove"
    );
    let again = at_terminal(sync(&env, "hub", "red").arg("--take"));
    assert_eq!(again, "nothing to do; safe to remove");
    let routed = at_terminal(env.relay("route").args(["-N", "hub"]));
    assert_eq!(routed, "moved 1 parcel to other gateways");
    let routed = at_terminal(env.relay("route").args(["-N", "hub"]));
    assert_eq!(routed, "nothing to move");
}

#[test]
fn a_terminal_has_a_summary_of_what_an_endpoint_does() {
    let env = Env::with_peers();
    let at_terminal = |call: Call<'_>| summary(&call.at_terminal().ok());
    let seal = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "-o", "m"]);
    let sealed = at_terminal(seal.stdin("content"));
    assert!(sealed.starts_with("sealed 1 parcel, "), "{sealed}");
    put(&env, "alice", &env.read("m"));
    let routed = at_terminal(env.relay("route").args(["-N", "alice"]));
    assert_eq!(routed, "moved 1 parcel home");
    env.mkdir("inbox");
    let deliver = || env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
    assert_eq!(at_terminal(deliver()), "delivered 1");
    assert_eq!(at_terminal(deliver()), "nothing to deliver");
    let stream = env
        .relay("split")
        .args(["--size", "2"])
        .stdin("content")
        .ok();
    let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
    let seal = seal.args(["--parts", "-d", ".", "--json"]);
    let sealed = seal.stdin(stream.stdout).ok().json();
    let parcels: Vec<&str> = sealed
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!(parcels.len(), 4);
    put(&env, "alice", &env.read(parcels[2]));
    env.relay("route").args(["-N", "alice"]).ok();
    assert_eq!(
        at_terminal(deliver()),
        "1 part of 1 content waits for the rest"
    );
    for name in [parcels[0], parcels[3]] {
        put(&env, "alice", &env.read(name));
    }
    put(&env, "alice", &env.parcel("bob", "alice", b"another"));
    env.relay("route").args(["-N", "alice"]).ok();
    let told = deliver().arg("--json").at_terminal().ok();
    assert_eq!(
        summary(&told),
        "delivered 1, 3 parts of 1 content wait for the rest"
    );
    let told = told.json();
    assert_eq!(told.len(), 2);
    assert_eq!(
        told[1],
        json!({
            "v": 1, "event": "summary", "delivered": 1, "imported": 0, "set_aside": 0,
            "waiting": 0, "parts_waiting": 3, "contents_waiting": 1,
        })
    );
    put(&env, "alice", &env.read(parcels[1]));
    env.relay("route").args(["-N", "alice"]).ok();
    assert_eq!(at_terminal(deliver()), "delivered 1");
    let made = env.relay("keygen").at_any_time().arg("dora");
    assert_eq!(at_terminal(made), "the node dora is made");
}

#[test]
fn a_summary_is_only_for_a_terminal_and_not_with_q() {
    let env = laden();
    sync(&env, "mallory", "red").ok().quiet();
    sync(&env, "hub", "red")
        .arg("-q")
        .at_terminal()
        .ok()
        .quiet();
    for program in ["route", "sync"] {
        let call = env.relay(program).args(["-N", "hub", "-q"]);
        let call = if program == "sync" {
            call.arg("red")
        } else {
            call
        };
        call.at_terminal().ok().quiet();
    }
    env.relay("carry")
        .args(["red", "blue", "-q"])
        .at_terminal()
        .ok()
        .quiet();
}

/// Seals what comes through a pipe after two seconds.
fn seal_slowly<'a>(env: &'a Env, options: &[&str]) -> Call<'a> {
    let before = "rm -f pipe; mkfifo pipe; (sleep 2; echo content >&3) 3> pipe 2> /dev/null &";
    let call = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
    call.args(options).shell(before, "< pipe")
}

#[test]
fn who_waits_at_a_terminal_sees_a_bar_that_leaves_nothing() {
    let env = Env::with_peers();
    let ran = seal_slowly(&env, &[])
        .at_terminal()
        .var("TERM", "xterm")
        .ok();
    assert!(ran.stderr.contains(" 1s"), "{:?}", ran.stderr);
    // Whatever stood on a line before it was cleared is gone.
    let seen = |line: &str| line.rsplit("\u{1b}[2K").next().unwrap().to_owned();
    let lines: Vec<String> = ran.stderr.split('\n').map(seen).collect();
    assert!(lines.iter().all(|line| !line.contains(" 1s")), "{lines:?}");
    let last = lines
        .iter()
        .rfind(|line| !line.trim_matches('\r').is_empty());
    assert!(
        last.unwrap().starts_with("relay-seal: sealed "),
        "{lines:?}"
    );
}

#[test]
fn nobody_else_sees_a_bar() {
    let env = Env::with_peers();
    let ran = seal_slowly(&env, &[]).ok();
    assert!(!ran.stderr.contains(" 1s"), "{}", ran.stderr);
    for options in [&["-q"][..], &["-v"], &["--json", "-d", "."]] {
        let ran = seal_slowly(&env, options).at_terminal().ok();
        assert!(
            !ran.stderr.contains('\u{1b}'),
            "{options:?}: {:?}",
            ran.stderr
        );
    }
    let ran = seal_slowly(&env, &[])
        .at_terminal()
        .var("TERM", "dumb")
        .ok();
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    // One that is done at once shows none.
    let call = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice"])
        .stdin("x");
    let ran = call.at_terminal().ok();
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

#[test]
fn a_command_has_the_terminal_for_itself() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    let script = "sleep 2; echo said >&2";
    let args = ["-N", "alice", "--", "sh", "-c", script];
    let ran = env.relay("deliver").args(args).at_terminal().ok();
    assert!(ran.stderr.contains("said\n"), "{:?}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

/// A log that takes one line, and the next ones not before two seconds have passed since `path`
/// appeared.
fn slow_log(socket: &Path, path: PathBuf) {
    let log = UnixDatagram::bind(socket).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.connect(socket).unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send(b"full").is_ok() {}
    std::thread::spawn(move || {
        let mut line = [0; 1000];
        log.recv(&mut line).unwrap();
        while fs::read_dir(&path).unwrap().next().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(2));
        while log.recv(&mut line).is_ok() {}
    });
}

#[test]
fn a_bar_counts_each_part_once_and_is_gone_before_the_summary() {
    let env = Env::with_peers();
    let split = env.relay("split").args(["--size", "16"]);
    let stream = split.stdin([7; 48]).ok().stdout;
    let seal = ["-N", "bob", "-t", "alice", "--parts"];
    let parcels = env.relay("seal").args(seal).stdin(stream).ok().stdout;
    put(&env, "alice", &parcels);
    env.relay("route").args(["-N", "alice"]).ok().quiet();
    env.mkdir("inbox");
    let socket = env.path("log");
    let config = env.text("alice/config");
    env.write(
        "alice/config",
        format!("{config}log = syslog:{}\n", socket.display()),
    );
    // Takes the line about the time, and not yet the one about the content.
    slow_log(&socket, env.path("inbox"));
    let deliver = ["-N", "alice", "--dir", "inbox"];
    let deliver = env.relay("deliver").args(deliver).at_terminal();
    let ran = deliver.var("TERM", "xterm").ok();
    let (bar, last) = ran.stderr.rsplit_once("relay-deliver: ").unwrap();
    assert_eq!(last, "delivered 1\n");
    assert!(bar.contains("] 3 of 3"), "{bar:?}");
    assert!(!bar.contains("4 of"), "{bar:?}");
}

#[test]
fn a_run_that_ends_early_says_at_a_terminal_what_it_did() {
    let env = Env::with_peers();
    for number in 0..7 {
        let id = format!("m{number}");
        let parcel = env.parcel_with("bob", "alice", b"x", &["--id", &id]);
        put(&env, "alice", &parcel);
    }
    env.relay("route").args(["-N", "alice"]).ok().quiet();
    // One is accepted, and the others wait for something that is down.
    let script = "mkdir taken 2> /dev/null || exec sleep 60";
    let args = ["-N", "alice", "--timeout", "1s", "--", "sh", "-c", script];
    let ran = env.relay("deliver").args(args).at_terminal().run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    let told = ran.diagnostics();
    let (error, told) = told.split_last().unwrap();
    let why = "sh did not end in time for 5 messages in a row";
    assert_eq!(error, why);
    let (summary, told) = told.split_last().unwrap();
    assert_eq!(summary, "delivered 1, 6 wait; the run ended early");
    // As a message that is set aside is named, and not by the path of its file.
    assert_eq!(told.len(), 5, "{told:?}");
    for line in told {
        let line = line.strip_prefix('m').expect(line);
        let why = " from bob to this node: sh did not end within 1s (time-out 1 of 3)";
        assert_eq!(&line[1..], why);
    }
}

#[test]
fn what_a_command_postpones_is_named_by_path_off_a_terminal_only() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "m1"]);
    env.write("hub/routes", "* exec:false\n");
    put(&env, "hub", &parcel);
    let name = env.names("hub/spool/in").pop().unwrap();
    let route = || env.relay("route").args(["-N", "hub"]);
    let why = "false failed: exit status: 1";
    let line = format!("hub/spool/in/{name}: {why}");
    route().fails(75, &line);
    let ran = route().at_terminal().run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    let told = ran.diagnostics();
    assert!(told[0].starts_with("m1 from "), "{told:?}");
    assert!(told[0].ends_with(&format!(": {why}")), "{told:?}");
    assert_eq!(told[1], "left 1 where they were");
}

#[test]
fn an_exchange_that_ends_early_is_told() {
    let env = laden();
    env.mkdir("locked");
    let untested = "an exchange with a medium that cannot be written to";
    let Some(mounted) = Mounted::on(env.path("locked"), "2m", untested) else {
        return;
    };
    sync(&env, "hub", "locked").arg("--init").ok().quiet();
    mounted.remount("ro");
    let ran = sync(&env, "mallory", "locked").arg("--json").run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    let last = ran.json().pop().expect("a summary");
    assert_eq!(
        (&last["event"], &last["safe_to_remove"]),
        (&json!("summary"), &json!(false))
    );
    // What comes is taken, and cannot be removed: its path is named once.
    mounted.remount("rw");
    sync(&env, "mallory", "locked").ok().quiet();
    mounted.remount("ro");
    let ran = sync(&env, "hub", "locked").run();
    let lines = ran.diagnostics();
    for line in &lines {
        assert_eq!(line.matches("locked/relaynet/").count(), 1, "{lines:?}");
    }
    assert!(
        lines[0].ends_with(": cannot remove: Read-only file system"),
        "{lines:?}"
    );
    mounted.remount("rw");
    put(&env, "mallory", &env.parcel("bob", "alice", b"another"));
    env.relay("route").args(["-N", "mallory"]).ok().quiet();
    mounted.remount("ro");
    // A courier's, too.
    sync(&env, "mallory", "red").ok().quiet();
    let calls = [
        sync(&env, "mallory", "locked"),
        env.relay("carry").args(["red", "locked"]),
    ];
    for call in calls {
        let ran = call.at_terminal().run();
        assert_eq!(ran.status, 74, "{}", ran.stderr);
        let told = ran.diagnostics();
        assert_eq!(told[0], "nothing done; the run ended early");
        let path = told[1].strip_prefix("cannot create locked/relaynet/");
        assert!(
            path.is_some_and(|it| it.ends_with(": Read-only file system")),
            "{told:?}"
        );
    }
}

#[test]
fn a_sender_whose_disk_is_full_learns_what_was_sealed() {
    let env = Env::with_peers();
    env.mkdir("out");
    let untested = "parcels that find no room";
    let Some(_mounted) = Mounted::on(env.path("out"), "100k", untested) else {
        return;
    };
    let seal = ["-N", "alice", "-t", "bob", "-t", "carol", "-d", "out"];
    let seal = env.relay("seal").args(seal).stdin(vec![7; 60_000]);
    let ran = seal.at_terminal().run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    let told = ran.diagnostics();
    let (error, summary) = (&told[told.len() - 1], &told[told.len() - 2]);
    assert!(error.contains("No space left"), "{told:?}");
    assert!(summary.starts_with("sealed 1 parcel, 6"), "{told:?}");
    assert!(summary.ends_with(" kB; the run ended early"), "{told:?}");
    assert_eq!(env.names("out").len(), 1);
}

#[test]
fn a_recipient_whose_disk_is_full_learns_what_was_delivered() {
    let env = Env::with_peers();
    env.mkdir("inbox");
    let untested = "content that finds no room";
    let Some(_mounted) = Mounted::on(env.path("inbox"), "100k", untested) else {
        return;
    };
    for id in ["m1", "m2"] {
        let parcel = env.parcel_with("bob", "alice", &vec![7; 70_000], &["--id", id]);
        put(&env, "alice", &parcel);
    }
    env.relay("route").args(["-N", "alice"]).ok().quiet();
    let deliver = || env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
    let last = deliver().arg("--json").run().json().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["waiting"], &last["parts_waiting"]),
        (&json!("summary"), &json!(1), &Value::Null)
    );
    let ran = deliver().at_terminal().run();
    let told = ran.diagnostics();
    let (error, summary) = (&told[told.len() - 1], &told[told.len() - 2]);
    assert!(error.contains("No space left"), "{told:?}");
    assert!(
        summary.ends_with("1 waits; the run ended early"),
        "{told:?}"
    );
}

#[test]
fn damaged_messages_in_the_spool_are_told_in_few_words() {
    let env = Env::with_gateways();
    env.mkdir("red");
    let node = env.path("mallory").display().to_string();
    for number in 0..12 {
        let id = format!("m{number}");
        let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", &id]);
        put(&env, "mallory", &parcel);
    }
    env.relay("route").args(["-N", "mallory"]).ok().quiet();
    let out = format!("mallory/spool/out/{}", id("hub"));
    for name in env.names(&out) {
        env.write(format!("{out}/{name}"), "damaged");
    }
    let ran = sync(&env, &node, "red").arg("--init").run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    let told = ran.diagnostics();
    let damaged = told.iter().filter(|line| line.contains(": set aside: "));
    assert_eq!(damaged.count(), 8, "{told:#?}");
    let rest = format!("{}: and 4 more", env.path(&out).display());
    assert!(told.contains(&rest), "{told:#?}");
}

#[test]
fn a_parcel_whose_content_finds_no_room_is_named() {
    let env = Env::with_peers();
    env.mkdir("full");
    let Some(_mounted) = Mounted::on(env.path("full"), "16k", "content that finds no room") else {
        return;
    };
    env.write("p.parcel", env.parcel("bob", "alice", &[7; 4000]));
    env.write("q.parcel", env.parcel("bob", "alice", &vec![7; 40_000]));
    let open = ["-N", "alice", "-d", "full", "p.parcel", "q.parcel"];
    let ran = env.relay("open").args(open).run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    let told = ran.diagnostics();
    assert!(
        told[0].starts_with("q.parcel: ") && told[0].contains("No space left"),
        "{told:?}"
    );
}

#[test]
fn a_retried_message_is_told_with_v() {
    let env = Env::with_gateways();
    let lost = env.parcel_with("alice", "bob", b"x", &["--id", "m2"]);
    put(&env, "hub", &lost);
    env.relay("route").args(["-N", "hub"]).ok();
    let name = env.names("hub/spool/failed").remove(0);
    let args = ["-N", "hub", "-v", "--retry", "m2"];
    let ran = env.relay("route").args(args).run();
    ran.says_somewhere(&format!("event=retried file={name} queue=in"));
}

#[test]
fn a_name_that_cannot_be_read_is_told_where_mail_is_delivered() {
    for destination in ["--dir", "--maildir"] {
        let env = Env::with_peers();
        for folder in ["inbox", "inbox/tmp", "inbox/new", "inbox/cur"] {
            env.mkdir(folder);
        }
        for id in ["m1", "m2"] {
            let parcel = env.parcel_with("bob", "alice", b"x", &["--id", id]);
            put(&env, "alice", &parcel);
        }
        env.relay("route").args(["-N", "alice"]).ok().quiet();
        let name = format!("alice/peers/{}/name", id("bob"));
        fs::remove_file(env.path(&name)).unwrap();
        env.mkdir(&name);
        let deliver = ["-N", "alice", destination, "inbox"];
        let ran = env.relay("deliver").args(deliver).ok();
        let told = ran.diagnostics();
        assert_eq!(told.len(), 1, "{told:?}");
        let why = format!(
            "{name}: not a regular file: {} is named by its id",
            &id("bob")[..16]
        );
        assert_eq!(told[0], why);
    }
}
