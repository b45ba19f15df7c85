//! relay-send

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::testenv::{Env, id};

/// One part, and a bit more.
const LARGE: usize = 8_257_536 + 10;

/// What alice's relay-send prints for these arguments.
fn sent(env: &Env, args: &[&str]) -> Vec<Value> {
    let send = env.relay("send").args(["-N", "alice", "--json"]);
    send.args(args).ok().json()
}

/// Moves what waits at alice to a recipient, who delivers it.
fn delivered(env: &Env, to: &str, options: &[&str]) -> Vec<Value> {
    fs::create_dir_all(env.path(format!("{to}/spool/home/{}", id(to)))).unwrap();
    for name in env.names("alice/spool/in") {
        let from = env.path(format!("alice/spool/in/{name}"));
        if name.starts_with(&id(to)) {
            fs::rename(from, env.path(format!("{to}/spool/home/{}/{name}", id(to)))).unwrap();
        }
    }
    let deliver = env.relay("deliver").args(["-N", to, "--json"]);
    let mut lines = deliver.args(options).ok().json();
    assert_eq!(lines.pop().unwrap()["event"], "summary");
    lines
}

/// Makes a file as if it had been there for an hour.
fn old(env: &Env, name: &str, content: &str) {
    env.write(name, content);
    let file = fs::File::options()
        .write(true)
        .open(env.path(name))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
}

fn quota(env: &Env, size: &str) {
    let config = env.text("alice/config");
    let others = config.lines().filter(|line| !line.starts_with("quota"));
    let others: Vec<&str> = others.collect();
    env.write(
        "alice/config",
        format!("{}\nquota = {size}\n", others.join("\n")),
    );
}

fn drop_folder() -> Env {
    let env = Env::with_peers();
    env.mkdir("drop");
    env.mkdir("drop/bob");
    env.mkdir("drop/carol");
    env
}

const DROP: [&str; 4] = ["--drop", "drop", "--settle", "0s"];

/// Each operand has its line, or a report says what became of it.
#[test]
fn a_full_standard_output_leaves_no_operand_unnamed() {
    let env = Env::with_peers();
    let files: Vec<String> = (0..6).map(|nth| format!("f{nth}")).collect();
    for file in &files {
        env.write(file, file);
    }
    let send = env.relay("send").args(["-N", "alice", "-t", "bob"]);
    let ran = send.args(&files).shell("", ">/dev/full").run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    let mut queued = 0;
    for file in &files {
        let about = |line: &&String| line.starts_with(&format!("{file}: "));
        let said = ran.diagnostics();
        let said = said
            .iter()
            .find(about)
            .unwrap_or_else(|| panic!("{file}: {}", ran.stderr));
        if let Some(id) = said.strip_suffix(", without its line") {
            let id = id.rsplit(' ').next().unwrap().to_owned();
            env.relay("list")
                .args(["-N", "alice", "--id", &id])
                .ends(75);
            queued += 1;
        } else {
            assert!(said.ends_with(": not sent"), "{said}");
        }
    }
    assert_eq!(queued, env.names("alice/spool/in").len(), "{}", ran.stderr);
}

#[test]
fn files_of_any_size_arrive_with_their_names() {
    let env = Env::with_peers();
    env.write("a b.txt", "text");
    env.write("empty", "");
    env.write("large.bin", "x".repeat(LARGE));
    let lines = sent(
        &env,
        &[
            "-t",
            "bob",
            "-t",
            "carol",
            "-y",
            "text/x-log",
            "a b.txt",
            "empty",
            "large.bin",
        ],
    );
    let parcels: Vec<u64> = lines
        .iter()
        .map(|it| it["parcels"].as_u64().unwrap())
        .collect();
    assert_eq!(parcels, [1, 1, 1, 1, 2, 2]);
    for pair in lines.chunks(2) {
        assert_eq!(
            (&pair[0]["recipient"], &pair[1]["recipient"]),
            (&id("bob").into(), &id("carol").into())
        );
        assert_ne!(
            pair[0]["id"], pair[1]["id"],
            "couriers would see who gets the same"
        );
    }
    for to in ["bob", "carol"] {
        env.mkdir("inbox");
        let got = delivered(&env, to, &["--dir", "inbox", "--keep-name"]);
        assert!(got.iter().all(|it| it["type"] == "text/x-log"), "{got:?}");
        assert_eq!(env.names("inbox/alice"), ["a b.txt", "empty", "large.bin"]);
        assert_eq!(env.read("inbox/alice/large.bin").len(), LARGE);
        assert_eq!(env.text("inbox/alice/a b.txt"), "text");
        fs::remove_dir_all(env.path("inbox")).unwrap();
    }
}

#[test]
fn standard_input_and_no_names() {
    let env = Env::with_peers();
    env.write("file", "x");
    let ran = env
        .relay("send")
        .args(["-N", "alice", "-t", "bob", "--no-name", "-", "file"])
        .stdin("piped")
        .ok();
    let lines: Vec<Vec<&str>> = ran
        .text()
        .lines()
        .map(|it| it.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (lines[0][0], lines[0][1], lines[0][3]),
        (&*id("bob"), "-", "1")
    );
    let known = env
        .relay("list")
        .args(["-N", "alice", "--id", lines[0][4]])
        .run();
    assert_eq!(known.status, 75);
    assert!(known.text().contains("in"), "{}", known.text());
    let got = delivered(&env, "bob", &["--dir", "."]);
    assert!(got.iter().all(|it| it["name"] == Value::Null), "{got:?}");
}

#[test]
fn a_directory_is_one_content() {
    let env = Env::with_peers();
    env.mkdir("photos");
    env.write("photos/one.jpg", "1");
    symlink("one.jpg", env.path("photos/link")).unwrap();
    let ran = env
        .relay("send")
        .args(["-N", "alice", "-t", "bob", "photos/"])
        .ok();
    ran.says_somewhere("photos/link: left out: a symbolic link");
    let got = delivered(&env, "bob", &["--dir", ".", "--keep-name"]);
    assert_eq!(got[0]["type"], "application/x-tar; tree=1");
    assert_eq!(got[0]["name"], "photos.tar");
    let tar = env.read("alice/photos.tar");
    let is_head = |block: &[u8]| block.starts_with(b"photos/one.jpg\0");
    assert_eq!(tar.chunks(512).filter(|block| is_head(block)).count(), 1);
}

#[test]
fn what_cannot_be_read_keeps_the_others_from_nothing() {
    let env = Env::with_peers();
    env.write("good", "x");
    let ran = env
        .relay("send")
        .args(["-N", "alice", "-t", "bob", "none", "good"])
        .run();
    assert_eq!(ran.status, 66);
    assert_eq!(ran.text().lines().count(), 1);
    ran.says_somewhere("none: cannot open");
    // Nothing is sent if nothing can be sealed for one of those that are named.
    env.relay("send")
        .args(["-N", "alice", "-t", "bob", "-t", "nobody", "good"])
        .fails(67, "no peer is known as nobody");
}

#[test]
fn a_content_is_queued_as_a_whole_or_not_at_all() {
    let env = Env::with_peers();
    quota(&env, "9M");
    env.write("large", "x".repeat(3 * LARGE));
    env.write("small", "x");
    let ran = env
        .relay("send")
        .args(["-N", "alice", "-t", "bob", "large", "small"])
        .run();
    assert_ne!(ran.status, 0);
    assert_eq!(ran.text().lines().count(), 1, "{}", ran.text());
    assert_eq!(env.names("alice/spool/in").len(), 1);
}

#[test]
fn with_an_id_a_run_can_be_repeated() {
    let env = Env::with_peers();
    env.write("large", "x".repeat(LARGE));
    let args = ["-t", "bob", "--id", "order-7", "large"];
    assert_eq!(sent(&env, &args)[0]["id"], "order-7");
    let names = env.names("alice/spool/in");
    assert_eq!(names.len(), 2);
    // As if the run had been killed between its parcels.
    fs::remove_file(env.path(format!("alice/spool/in/{}", names[0]))).unwrap();
    sent(&env, &args);
    assert_eq!(env.names("alice/spool/in").len(), 2);
    delivered(&env, "bob", &["--dir", "."]);
    assert_eq!(
        env.names("alice")
            .iter()
            .filter(|it| it.starts_with("2026"))
            .count(),
        1
    );
}

/// At any later time, of which each parcel has the date: once the new one took the place of the one that waited.
#[test]
fn what_is_queued_under_an_id_stays() {
    let env = Env::with_peers();
    env.write("small", "one");
    env.write("other", "two");
    env.write("large", "x".repeat(LARGE));
    for (id, file) in [("r1", "small"), ("r2", "large")] {
        sent(&env, &["-t", "bob", "--id", id, file]);
    }
    let before = env.names("alice/spool/in");
    for later in ["2026-03-01T12:00:01Z", "2026-03-02T12:00:00Z"] {
        for (id, file) in [("r1", "small"), ("r1", "other"), ("r2", "large")] {
            let again = env
                .relay("send")
                .args(["-N", "alice", "-t", "bob", "--id", id, file]);
            let ran = again.at(later).run();
            let why = format!("{file}: a message with this id was queued before");
            assert!(
                ran.status == 82 && ran.stderr.contains(&why),
                "{}",
                ran.stderr
            );
        }
    }
    assert_eq!(env.names("alice/spool/in"), before);
}

#[test]
fn a_drop_folder_is_sent_once() {
    let env = drop_folder();
    env.write("drop/bob/report", "one");
    env.write("drop/carol/report", "two");
    for name in [".hidden", "half.part", "half.tmp", "x.crdownload", "old~"] {
        env.write(format!("drop/bob/{name}"), "x");
    }
    let lines = sent(&env, &DROP);
    let inputs: Vec<&str> = lines
        .iter()
        .map(|it| it["input"].as_str().unwrap())
        .collect();
    assert_eq!(inputs, ["bob/report", "carol/report"]);
    assert_eq!(sent(&env, &DROP), Vec::<Value>::new());
    assert_eq!(env.names("drop/carol"), Vec::<String>::new());
    assert_eq!(env.names("drop/bob").len(), 5);
    assert_eq!(env.names("drop/.sending"), ["lock"]);
    delivered(&env, "bob", &["--dir", ".", "--keep-name"]);
    assert_eq!(env.text("alice/report"), "one");
}

#[test]
fn what_was_sent_can_be_kept() {
    let env = drop_folder();
    env.mkdir("kept");
    for content in ["one", "two"] {
        env.write("drop/bob/report.pdf", content);
        sent(&env, &[&DROP[..], &["--sent", "kept"]].concat());
    }
    assert_eq!(env.names("kept/bob"), ["report.pdf", "report~2.pdf"]);
    assert_eq!(env.text("kept/bob/report~2.pdf"), "two");
}

#[test]
fn what_is_no_finished_file_stays_and_is_named() {
    let env = drop_folder();
    old(&env, "drop/bob/good", "x");
    env.write("drop/bob/fresh", "x");
    env.write("secret", "x");
    fs::hard_link(env.path("secret"), env.path("drop/bob/hard")).unwrap();
    symlink(env.path("secret"), env.path("drop/bob/link")).unwrap();
    env.mkdir("drop/bob/inner");
    env.mkdir("drop/nobody");
    env.write("drop/loose", "x");
    let fifo = env.path("drop/bob/fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, fifo, rustix::fs::Mode::RUSR).unwrap();
    let ran = env
        .relay("send")
        .args(["-N", "alice", "--drop", "drop"])
        .run();
    assert_eq!(ran.status, 66, "{}", ran.stderr);
    let said = ran.diagnostics().join("\n");
    for line in [
        "bob/fresh: changed a moment ago",
        "bob/hard: it has another name",
        "bob/link: not a regular file",
        "bob/fifo: not a regular file",
        "bob/inner: a directory, and a drop folder takes files only",
        "loose: without -t",
        "nobody: no peer is known as nobody",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // All of them changed a moment ago by the kernel's time, whatever their own say.
    assert_eq!(env.names("alice/spool/in").len(), 0);
    let ran = env.relay("send").args(["-N", "alice"]).args(DROP).run();
    assert_eq!(ran.text().lines().count(), 2);
    assert_eq!(env.text("secret"), "x");
    let mut left = env.names("drop/bob");
    left.sort();
    assert_eq!(left, ["fifo", "hard", "inner", "link"]);
}

/// Cron mails each line, and a file that somebody is writing is nothing to be told every minute.
#[test]
fn a_quiet_run_passes_over_what_is_written_now_without_a_word() {
    let env = drop_folder();
    env.write("drop/bob/fresh", "x");
    let send = |options: &[&str]| {
        env.relay("send")
            .args(["-N", "alice", "--drop", "drop"])
            .args(options)
            .run()
    };
    let ran = send(&["-q"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (75, ""));
    send(&[]).says_somewhere("bob/fresh: changed a moment ago");
    let lock = fs::File::open(env.path("drop/.sending/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let ran = send(&["-q"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (75, ""));
    let ran = send(&[]);
    assert_eq!(ran.status, 75);
    ran.says_somewhere("another run takes files from here");
    assert_eq!(env.text("drop/bob/fresh"), "x");
}

#[test]
fn a_folder_that_others_can_exchange_is_not_used() {
    let env = drop_folder();
    env.write("drop/bob/x", "x");
    let mode = |dir: &str, mode| {
        fs::set_permissions(env.path(dir), fs::Permissions::from_mode(mode)).unwrap();
    };
    let send = || env.relay("send").args(["-N", "alice"]).args(DROP);
    mode("drop", 0o777);
    let ran = send().run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    ran.says_somewhere("drop: others can write there");
    mode("drop", 0o1777);
    mode("drop/bob", 0o775);
    let ran = send().run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    ran.says_somewhere("bob: others can write there");
    mode("drop/bob", 0o1777);
    assert_eq!(send().ok().text().lines().count(), 1);
}

#[test]
fn a_file_that_waits_for_room_is_sent_as_the_same_message() {
    let env = drop_folder();
    quota(&env, "10M");
    env.write("other", "x".repeat(2_000_000));
    sent(&env, &["-t", "bob", "other"]);
    env.write("drop/bob/large", "x".repeat(9_000_000));
    let ran = env.relay("send").args(["-N", "alice"]).args(DROP).run();
    assert_ne!(ran.status, 0);
    assert_eq!(env.names("drop/bob"), Vec::<String>::new());
    let first = env.names("alice/spool/in");
    quota(&env, "20M");
    assert_eq!(sent(&env, &DROP).len(), 1);
    let all = env.names("alice/spool/in");
    assert_eq!(all.len(), 3);
    let key = |name: &str| name.split('.').take(3).collect::<Vec<_>>().join(".");
    assert!(
        first
            .iter()
            .all(|it| all.iter().any(|other| key(other) == key(it)))
    );
    assert_eq!(env.names("drop/.sending"), ["lock"]);
}
