//! relay-deliver: where content goes, how often, and what becomes of messages that cannot be delivered.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use relaynet::message::file_name;
use relaynet::message::stream::Stream;
use relaynet::ramf::Kind;
use relaynet::spool::Name;

use crate::testenv::{Call, Env, forged, id, is_root, keys_in, self_issued};

/// Where the parcels for alice wait.
fn home() -> String {
    format!("alice/spool/home/{}", id("alice"))
}

/// Brings parcels to a node.
fn arrive(env: &Env, at: &str, parcel: impl Into<Vec<u8>>) {
    env.relay("put").args(["-N", at]).stdin(parcel).ok();
    env.relay("route").args(["-N", at]).ok().quiet();
}

/// Peers, of whom bob has sent alice these contents.
fn arrived(contents: &[&[u8]]) -> Env {
    let env = Env::with_peers();
    for (number, content) in contents.iter().enumerate() {
        let message_id = format!("m{number}");
        let options = ["--id", &message_id, "-y", "text/plain"];
        arrive(
            &env,
            "alice",
            env.parcel_with("bob", "alice", content, &options),
        );
    }
    env.mkdir("inbox");
    env
}

fn deliver<'a>(env: &'a Env, args: &[&str]) -> Call<'a> {
    env.relay("deliver").args(["-N", "alice"]).args(args)
}

/// What is in the files of a directory, in the order of their names.
fn contents(env: &Env, dir: &str) -> Vec<String> {
    let names = env.names(dir).into_iter();
    names
        .map(|name| env.text(format!("{dir}/{name}")))
        .collect()
}

fn waiting(env: &Env) -> usize {
    env.names(&home()).len()
}

#[test]
fn content_is_in_a_directory_once() {
    let env = arrived(&[b"one", b"two"]);
    deliver(&env, &["--dir", "inbox"]).ok().quiet().stdout("");
    let names = env.names("inbox/bob");
    assert_eq!(names.len(), 2);
    for name in &names {
        let (date, hash) = name.split_once('.').unwrap();
        assert_eq!(date, "20260301T115500Z");
        assert!(hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
    let mut found = contents(&env, "inbox/bob");
    found.sort();
    assert_eq!(found, ["one", "two"]);
    assert_eq!(waiting(&env), 0);
    deliver(&env, &["--dir", "inbox"]).ok().quiet().changes(&[]);
    // A search by id says that it was handed over.
    let told = env.relay("list").args(["-N", "alice", "--id", "m0"]).ok();
    assert!(told.text().starts_with("acknowledged\t"), "{}", told.text());
    assert!(told.text().contains("dir:inbox"), "{}", told.text());
}

#[test]
fn a_sender_without_a_name_has_a_folder_by_its_id() {
    let env = Env::with_peers();
    fs::remove_file(env.path(format!("alice/peers/{}/name", id("bob")))).unwrap();
    arrive(&env, "alice", env.parcel("bob", "alice", b"one"));
    env.mkdir("inbox");
    deliver(&env, &["--dir", "inbox"]).ok().quiet();
    assert_eq!(contents(&env, &format!("inbox/{}", id("bob"))), ["one"]);
}

#[test]
fn facts_are_those_of_relay_open() {
    let env = arrived(&[]);
    env.write("report.txt", "hello");
    let mut options = vec![
        "-N",
        "bob",
        "-t",
        "alice",
        "-y",
        "text/plain; charset=utf-8",
    ];
    options.extend(["--keep-name", "--id", "first", "report.txt"]);
    let parcel = env.relay("seal").args(options).ok().stdout;
    arrive(&env, "alice", parcel);
    let ran = deliver(&env, &["--dir", "inbox", "--keep-name", "--json", "-v"]).ok();
    let facts = &ran.json()[0];
    let keys = [
        "v",
        "input",
        "index",
        "path",
        "sender",
        "peer",
        "recipient",
        "type",
        "name",
        "id",
        "date",
        "expiry",
        "size",
        "transfer",
    ];
    assert_eq!(keys_in(facts), keys);
    assert!(facts["transfer"].is_null());
    assert_eq!(facts["path"], "inbox/bob/report.txt");
    assert_eq!(facts["sender"], id("bob"));
    assert_eq!(facts["peer"], "bob");
    assert_eq!(facts["recipient"], id("alice"));
    assert_eq!(facts["type"], "text/plain; charset=utf-8");
    assert_eq!(facts["name"], "report.txt");
    assert_eq!(facts["id"], "first");
    assert_eq!(facts["size"], 5);
    assert!(facts["input"].as_str().unwrap().starts_with(&home()));
    let event = format!(
        "event=delivered id=first from={} to={} type=\"text/plain; charset=utf-8\" path=inbox/bob/report.txt",
        id("bob"),
        id("alice")
    );
    ran.says(&[&event]);
}

/// A parcel from bob whose content bears a name, whatever that is.
fn named(env: &Env, content: &[u8], name: &str) -> Vec<u8> {
    let media_type = file_name::with_name("text/plain", name);
    env.parcel_with("bob", "alice", content, &["-y", &media_type])
}

#[test]
fn files_of_one_name_are_all_kept() {
    let env = arrived(&[]);
    for content in [&b"same"[..], b"same", b"other"] {
        arrive(&env, "alice", named(&env, content, "a.txt"));
    }
    deliver(&env, &["--dir", "inbox", "--keep-name"])
        .ok()
        .quiet();
    assert_eq!(env.names("inbox/bob"), ["a.txt", "a~2.txt", "a~3.txt"]);
    // The same once more is another message, which is another file.
    arrive(&env, "alice", named(&env, b"same", "a.txt"));
    deliver(&env, &["--dir", "inbox", "--keep-name"])
        .ok()
        .quiet();
    assert_eq!(env.names("inbox/bob").len(), 4);
    let mut found = contents(&env, "inbox/bob");
    found.sort();
    assert_eq!(found, ["other", "same", "same", "same"]);
    assert!(env.names("alice/spool/delivering").is_empty());
}

#[test]
fn a_name_that_the_file_system_refuses_keeps_nobody_waiting() {
    let errnos = [
        "EILSEQ",
        "EISDIR",
        "ELOOP",
        "ENAMETOOLONG",
        "ENOENT",
        "EEXIST",
        "EPERM",
        "EINVAL",
    ];
    for errno in errnos {
        let env = arrived(&[]);
        for name in ["w?.txt", "a.txt", "b.txt", "v?.txt", "c.txt"] {
            arrive(&env, "alice", named(&env, name.as_bytes(), name));
        }
        let refusing = |text: &str| {
            let run = deliver(&env, &["--dir", "inbox", "--keep-name"]);
            run.var("RELAY_FAULT", format!("{errno}={text}"))
        };
        refusing("?").ok().quiet();
        let names = env.names("inbox/bob");
        assert_eq!(
            names,
            ["a.txt", "b.txt", "c.txt", "v_.txt", "w_.txt"],
            "{errno}"
        );
        assert_eq!(env.text("inbox/bob/w_.txt"), "w?.txt");
        // Where no name of the sender's is taken, the one that follows from the message is.
        arrive(&env, "alice", named(&env, b"x", "x?.txt"));
        refusing(".txt").ok().quiet();
        assert!(env.names("inbox/bob")[0].starts_with("2026"), "{errno}");
        assert_eq!(waiting(&env), 0);
        // What takes no name at all is reported once, and others go on.
        for id in ["one", "two"] {
            arrive(
                &env,
                "alice",
                env.parcel_with("bob", "alice", b"plain", &["--id", id]),
            );
        }
        arrive(&env, "alice", named(&env, b"d", "d.txt"));
        let ran = refusing("2026").run();
        assert_eq!(ran.status, 73, "{errno}: {}", ran.stderr);
        assert_eq!(ran.diagnostics().len(), 2, "{}", ran.stderr);
        assert!(
            ran.stderr.contains(".parcel: inbox/bob/2026"),
            "{}",
            ran.stderr
        );
        assert!(env.path("inbox/bob/d.txt").exists());
        assert_eq!(waiting(&env), 2);
        deliver(&env, &["--dir", "inbox", "--keep-name"])
            .ok()
            .quiet();
        assert_eq!(
            (waiting(&env), env.names("inbox/bob").len()),
            (0, 9),
            "{errno}"
        );
        assert!(env.names("alice/spool/delivering").is_empty());
    }
}

#[test]
fn a_folder_that_fails_is_reported_once_and_the_others_get_theirs() {
    for (errno, status) in [("EIO", 75), ("ESTALE", 73), ("EACCES", 73)] {
        let env = arrived(&[]);
        for name in ["a.txt", "b.txt", "c.dat", "d.txt"] {
            arrive(&env, "alice", named(&env, b"x", name));
        }
        let run = deliver(&env, &["--dir", "inbox", "--keep-name"]);
        let ran = run.var("RELAY_FAULT", format!("{errno}=.txt")).run();
        assert_eq!(ran.status, status, "{}", ran.stderr);
        let said = ran.diagnostics();
        assert_eq!(said.len(), 2, "{}", ran.stderr);
        assert!(said[1].contains("inbox/bob: ") && said[1].contains("2 more messages wait"));
        assert_eq!(env.names("inbox/bob"), ["c.dat"]);
        deliver(&env, &["--dir", "inbox", "--keep-name"])
            .ok()
            .quiet();
        assert_eq!((waiting(&env), env.names("inbox/bob").len()), (0, 4));
    }
}

#[test]
fn joined_content_whose_name_is_refused_gets_another_one() {
    for (text, expected) in [("?", "a_b.txt"), (".txt", "20260301T115500Z.")] {
        let env = arrived(&[]);
        env.write("a?b.txt", "twenty-three octets ...");
        let split = ["--size", "10", "--keep-name", "a?b.txt"];
        let stream = env.relay("split").args(split).ok().stdout;
        let seal = ["-N", "bob", "-t", "alice", "--parts"];
        let parcels = env.relay("seal").args(seal).stdin(stream.clone()).ok();
        arrive(&env, "alice", parcels.stdout);
        let fault = format!("EINVAL={text}");
        let run = deliver(&env, &["--dir", "inbox", "--keep-name"]);
        run.var("RELAY_FAULT", &fault).ok().quiet();
        let names = env.names("inbox/bob");
        assert!(
            names.len() == 1 && names[0].starts_with(expected),
            "{names:?}"
        );
        assert_eq!(waiting(&env), 0);
        assert!(env.names("alice/spool/delivering").is_empty());
        env.mkdir("out");
        let join = env.relay("join").args(["-d", "out", "--keep-name"]);
        join.var("RELAY_FAULT", &fault).stdin(stream).ok().quiet();
        let names = env.names("out");
        let expected = if text == "?" { "a_b.txt" } else { ".content" };
        assert!(
            names.len() == 1 && names[0].ends_with(expected),
            "{names:?}"
        );
    }
}

#[test]
fn no_name_leads_anywhere_else() {
    let env = arrived(&[]);
    let long = "x".repeat(400);
    for (name, expected) in [
        ("../../escape", Some("escape")),
        ("/etc/passwd", Some("passwd")),
        (".bashrc", Some("bashrc")),
        ("-rf", Some("rf")),
        ("a\n\u{1b}[2Jb", Some("a[2Jb")),
        ("..", None),
        (&long, Some(&long[..200])),
    ] {
        arrive(&env, "alice", named(&env, b"x", name));
        let ran = deliver(&env, &["--dir", "inbox", "--keep-name"])
            .ok()
            .quiet();
        let own = "20260301T115500Z.";
        let names = env.names("inbox/bob");
        match expected {
            Some(expected) => assert_eq!(names, [expected], "{name:?}"),
            None => assert!(names[0].starts_with(own), "{name:?}: {names:?}"),
        }
        let outside = ran.changed().into_iter().filter(|path| {
            !path.starts_with("+inbox/bob") && !path[1..].starts_with("alice/") && path != "*inbox"
        });
        assert_eq!(outside.count(), 0, "{name:?}");
        fs::remove_dir_all(env.path("inbox/bob")).unwrap();
    }
}

#[test]
fn a_file_of_somebody_else_is_never_replaced() {
    let env = arrived(&[b"one"]);
    let ran = deliver(&env, &["--dir", "inbox", "--json"]).ok();
    let path = ran.json()[0]["path"].as_str().unwrap().to_owned();
    let again = arrived(&[b"one"]);
    again.mkdir("inbox/bob");
    again.write(&path, "somebody else's");
    deliver(&again, &["--dir", "inbox"]).ok().quiet();
    let mut found = contents(&again, "inbox/bob");
    found.sort();
    assert_eq!(found, ["one", "somebody else's"]);
}

#[test]
fn a_run_that_was_killed_leaves_no_second_file() {
    for options in [
        &["--dir", "inbox"][..],
        &["--dir", "inbox", "--keep-name"],
        &["--maildir", "mail"],
    ] {
        let env = arrived(&[]);
        for folder in ["mail", "mail/tmp", "mail/new", "mail/cur"] {
            env.mkdir(folder);
        }
        arrive(&env, "alice", named(&env, b"x", "a.txt"));
        let count = || {
            let folders = ["inbox/bob", "mail/new", "mail/cur"].into_iter();
            let there = folders.filter(|folder| env.path(folder).exists());
            there.map(|folder| env.names(folder).len()).sum::<usize>()
        };
        // The step at which the memory is written: content is in its place by then.
        let trace = env.path("trace");
        let scratch = Env::new();
        crate::testenv::copy_tree(env.root(), scratch.root());
        scratch
            .relay("deliver")
            .args(["-N", "alice"])
            .args(options)
            .var("RELAY_FAULT", format!("trace:{}", trace.display()))
            .ok();
        let steps = env.text("trace");
        let is_memory = |step: &str| step.starts_with("append") && step.contains("alice/seen/");
        let at = steps.lines().position(is_memory).unwrap() + 1;
        let failed = deliver(&env, options)
            .var("RELAY_FAULT", format!("EIO:{at}"))
            .run();
        assert_eq!(failed.status, 74, "{}", failed.stderr);
        assert_eq!((count(), waiting(&env)), (1, 1), "{options:?}");
        if options[0] == "--maildir" {
            // Meanwhile a mail reader has seen it.
            let name = env.names("mail/new").remove(0);
            let seen = env.path(format!("mail/cur/{name}:2,S"));
            fs::rename(env.path(format!("mail/new/{name}")), seen).unwrap();
        }
        deliver(&env, options).ok().quiet();
        assert_eq!((count(), waiting(&env)), (1, 0), "{options:?}");
    }
}

#[test]
fn content_becomes_a_mail() {
    let env = arrived(&[]);
    env.mkdir("mail");
    deliver(&env, &["--maildir", "mail"]).fails(73, "mail is not a Maildir");
    for folder in ["tmp", "new", "cur"] {
        env.mkdir(&format!("mail/{folder}"));
    }
    arrive(&env, "alice", named(&env, b"hello\n", "a.txt"));
    deliver(&env, &["--maildir", "mail"])
        .ok()
        .quiet()
        .stdout("");
    let mails = contents(&env, "mail/new");
    let expected = format!(
        "X-Relay-Sender: {bob}\nDate: Sun, 01 Mar 2026 11:55:00 +0000\nFrom: bob <{bob}@relay.invalid>\n\
         To: <{alice}@relay.invalid>\nMessage-ID: <{name}@relay.invalid>\nSubject: a.txt\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8; name=\"a.txt\"\nContent-Transfer-Encoding: base64\n\naGVsbG8K\n",
        bob = id("bob"),
        alice = id("alice"),
        name = env.names("mail/new")[0].strip_suffix(".relay").unwrap(),
    );
    assert_eq!(mails, [expected]);
    assert!(env.names("mail/tmp").is_empty() && env.names("mail/cur").is_empty());
    fs::remove_dir_all(env.path("mail/new")).unwrap();
    env.mkdir("mail/new");
    let options = ["-y", "message/rfc822"];
    let mail = b"From: carol@example.org\nSubject: x\n\ny\n";
    arrive(
        &env,
        "alice",
        env.parcel_with("bob", "alice", mail, &options),
    );
    deliver(&env, &["--maildir", "mail"]).ok().quiet();
    let expected = format!(
        "X-Relay-Sender: {}\n{}",
        id("bob"),
        String::from_utf8_lossy(mail)
    );
    assert_eq!(contents(&env, "mail/new"), [expected]);
}

#[test]
fn a_command_gets_content_and_facts_and_no_shell() {
    let env = arrived(&[]);
    arrive(&env, "alice", named(&env, b"content\n", "../$(reboot)"));
    let script = "cat; env | grep ^RELAY_ | sort; echo \"$1\"";
    let args = ["--", "sh", "-c", script, "sh", "$(id)"];
    let ran = deliver(&env, &args).ok().quiet();
    let root = env.path("alice").display().to_string();
    let message_id = ran
        .text()
        .lines()
        .find(|line| line.starts_with("RELAY_ID="))
        .unwrap();
    let expected = format!(
        "content\nRELAY_DATE=2026-03-01T11:55:00Z\nRELAY_EXPIRY=2026-03-31T11:55:00Z\n{message_id}\n\
         RELAY_NAME=$(reboot)\nRELAY_NODE={root}\nRELAY_NOW=2026-03-01T12:00:00Z\nRELAY_PEER=bob\n\
         RELAY_RECIPIENT={}\nRELAY_SENDER={}\nRELAY_SIZE=8\nRELAY_TYPE=text/plain\n$(id)\n",
        id("alice"),
        id("bob")
    );
    assert_eq!(ran.text(), expected);
    assert_eq!(waiting(&env), 0);
    deliver(&env, &args).ok().quiet().stdout("").changes(&[]);
}

/// relay-open beside relay-deliver handed out what the command was given: content was there twice.
#[test]
fn what_a_command_is_handed_nothing_else_opens() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one");
    for (name, parcel) in [
        ("one.parcel", one.clone()),
        ("two.parcel", env.parcel("bob", "alice", b"two")),
        ("carols.parcel", env.parcel("carol", "alice", b"three")),
    ] {
        env.write(name, parcel);
    }
    arrive(&env, "alice", one);
    // The sender can be answered meanwhile, and others be read.
    let script = "cat >got
        $BIN/relay-open -N alice one.parcel 2>said; echo $? >>ends
        $BIN/relay-open -N alice -d out --again one.parcel two.parcel 2>/dev/null; echo $? >>ends
        $BIN/relay-open -N alice -o three carols.parcel; echo $? >>ends
        $BIN/relay-seal -N alice -t bob -o answer got; echo $? >>ends";
    let programs = Path::new(env!("CARGO_BIN_EXE_relay-open")).parent();
    env.mkdir("out");
    deliver(&env, &["--", "sh", "-c", script])
        .var("BIN", programs.unwrap())
        .ok()
        .stdout("");
    assert_eq!(env.text("ends"), "75\n75\n0\n0\n");
    let said = env.text("said");
    assert!(
        said.contains("one.parcel: another run is handing out messages from bob\n"),
        "{said}"
    );
    assert_eq!(
        (env.text("got"), env.text("three")),
        ("one".to_owned(), "three".to_owned())
    );
    assert_eq!(env.names("out"), [""; 0]);
    env.relay("open")
        .args(["-q", "-N", "bob", "answer"])
        .ok()
        .stdout("one");

    let open = |file| env.relay("open").args(["-N", "alice", file]);
    open("one.parcel").fails(82, "one.parcel: already received");
    open("two.parcel").ok().stdout("two");
}

/// The parts of content that a command is handed as a whole.
#[test]
fn what_a_command_is_handed_in_one_is_not_opened_in_parts() {
    let env = arrived(&[]);
    let content = "twenty-three octets ...";
    for (number, parcel) in parts(&env, "bob", content, TRANSFER, "x")
        .iter()
        .enumerate()
    {
        env.write(format!("{number}.parcel"), parcel);
        arrive(&env, "alice", parcel.clone());
    }
    let script = "cat; $BIN/relay-open -N alice -d inbox 0.parcel 2>/dev/null; echo $?";
    let programs = Path::new(env!("CARGO_BIN_EXE_relay-open")).parent();
    deliver(&env, &["--", "sh", "-c", script])
        .var("BIN", programs.unwrap())
        .ok()
        .stdout(format!("{content}75\n"));
    assert_eq!((waiting(&env), env.names("inbox").len()), (0, 0));
    let args = ["-N", "alice", "-d", "inbox", "0.parcel"];
    env.relay("open")
        .args(args)
        .fails(82, "0.parcel: already received");
}

/// A file in the queue may bear the name of another sender's message.
#[test]
fn the_sender_is_claimed_whatever_the_file_is_called() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    let other = name.replace(&id("bob"), &id("carol"));
    assert_ne!(name, other);
    fs::rename(
        env.path(format!("{}/{name}", home())),
        env.path(format!("{}/{other}", home())),
    )
    .unwrap();
    fs::copy(
        env.path(format!("{}/{other}", home())),
        env.path("one.parcel"),
    )
    .unwrap();
    let script = "cat; $BIN/relay-open -N alice one.parcel 2>/dev/null; echo $?";
    let programs = Path::new(env!("CARGO_BIN_EXE_relay-open")).parent();
    deliver(&env, &["--", "sh", "-c", script])
        .var("BIN", programs.unwrap())
        .ok()
        .stdout("one75\n");
    let args = ["-N", "alice", "one.parcel"];
    env.relay("open")
        .args(args)
        .fails(82, "one.parcel: already received");
}

#[test]
fn strangers_leave_no_claims() {
    let env = Env::new();
    env.make_node("alice", &["--address", "alice.example.org"]);
    env.make_node("bob", &[]);
    let ncp = env.relay("export").args(["-q", "-N", "alice"]).ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "alice"])
        .stdin(ncp)
        .ok();
    arrive(&env, "alice", env.parcel("bob", "alice", b"one"));
    deliver(&env, &["--", "cat"]).ok().stdout("one");
    let parcel = env.parcel("bob", "alice", b"two");
    let open = env.relay("open").args(["-N", "alice"]);
    open.stdin(parcel).ok().stdout("two");
    let claims = env.names("alice/lock").into_iter();
    assert_eq!(claims.filter(|name| name.starts_with("open.")).count(), 0);
}

#[test]
fn a_command_need_not_read() {
    let big = vec![7; 2_000_000];
    let env = arrived(&[&big]);
    deliver(&env, &["--", "true"]).ok().quiet().stdout("");
    assert_eq!(waiting(&env), 0);
}

#[test]
fn a_command_that_fails_gets_it_again() {
    for script in ["exit 75", "exit 74", "exit 1", "exit 124", "kill -9 $$"] {
        let env = arrived(&[b"one"]);
        let ran = deliver(&env, &["--", "sh", "-c", script]).run();
        assert_eq!(ran.status, 75, "{script}: {}", ran.stderr);
        assert!(ran.stderr.contains("sh failed: "), "{}", ran.stderr);
        assert_eq!(waiting(&env), 1, "{script}");
        let told = env.relay("list").args(["-N", "alice", "--id", "m0"]).run();
        assert_eq!((told.status, told.text().starts_with("home\t")), (75, true));
        deliver(&env, &["--", "cat"]).ok().quiet().stdout("one");
        assert_eq!(waiting(&env), 0, "{script}");
    }
}

#[test]
fn what_a_command_refuses_is_set_aside_and_comes_back() {
    for status in [64, 65, 67, 69, 70, 77, 78] {
        let env = arrived(&[b"one"]);
        let script = format!("exit {status}");
        let ran = deliver(&env, &["--", "sh", "-c", &script]).run();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let ran = ran.says_somewhere(&format!(
            "set aside in failed: sh refused it with status {status}"
        ));
        assert!(ran.stdout.is_empty());
        let failed = env.names("alice/spool/failed");
        assert_eq!((failed.len(), waiting(&env)), (2, 0));
        let why: serde_json::Value =
            serde_json::from_str(&env.text(format!("alice/spool/failed/{}.why", failed[0])))
                .unwrap();
        assert_eq!(why["id"], "m0");
        assert_eq!(why["queue"], format!("home/{}", id("alice")));
        let told = env.relay("list").args(["-N", "alice", "--id", "m0"]).run();
        assert_eq!(
            (told.status, told.text().starts_with("failed\t")),
            (67, true)
        );
        // It comes back to where it was, be it that its life has ended meanwhile.
        env.relay("route")
            .args(["-N", "alice", "--retry", &failed[0]])
            .at("2026-06-01T12:00:00Z")
            .ok()
            .quiet();
        assert!(env.names("alice/spool/failed").is_empty());
        assert_eq!(waiting(&env), 1);
        deliver(&env, &["--", "cat"])
            .at("2026-06-01T12:00:00Z")
            .ok()
            .stdout("one");
        let told = env.relay("list").args(["-N", "alice", "--id", "m0"]).ok();
        assert!(told.text().starts_with("acknowledged\t"), "{}", told.text());
    }
}

#[test]
fn a_command_that_cannot_be_run_is_an_error_once() {
    let env = arrived(&[b"one", b"two"]);
    let ran = deliver(&env, &["--", "/nonexistent/command"]).run();
    assert_eq!(ran.status, 69, "{}", ran.stderr);
    let ran = ran.says(&["/nonexistent/command: No such file or directory"]);
    assert!(ran.stdout.is_empty());
    assert_eq!(waiting(&env), 2);
}

#[test]
fn one_refusal_does_not_stop_the_others() {
    let env = arrived(&[b"one", b"bad", b"two"]);
    let script = "content=$(cat); test \"$content\" != bad || exit 1; echo $content";
    let ran = deliver(&env, &["--", "sh", "-c", script]).run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    let mut lines: Vec<&str> = ran.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(waiting(&env), 1);
}

#[test]
fn types_choose_and_the_rest_stays() {
    let env = arrived(&[]);
    for (content, media_type) in [
        ("1", "text/plain"),
        ("2", "Text/HTML; charset=utf-8"),
        ("3", "application/pdf"),
        ("4", "odd/type"),
    ] {
        let options = ["-y", media_type];
        arrive(
            &env,
            "alice",
            env.parcel_with("bob", "alice", content.as_bytes(), &options),
        );
    }
    let run = |types: &[&str], expected: &str, left: usize| {
        let ran = deliver(&env, types).args(["--", "cat"]).ok().quiet();
        let mut found = ran.stdout.clone();
        found.sort_unstable();
        assert_eq!(String::from_utf8(found).unwrap(), expected, "{types:?}");
        assert_eq!(waiting(&env), left, "{types:?}");
    };
    run(&["--type", "image/*"], "", 4);
    run(&["--type", "text/plain", "-y", "application/PDF"], "13", 2);
    run(&["--type", "text/*"], "2", 1);
    run(&["--type", "*"], "4", 0);
}

#[test]
fn a_local_endpoint_does_not_wait_for_its_gateway() {
    let env = Env::with_gateways();
    let local = "gateway/endpoints/local";
    env.relay("keygen")
        .args([
            "-N",
            "gateway",
            "--endpoint",
            "local",
            "--set",
            "clock=test",
        ])
        .ok();
    let key = env.relay("export").args(["-N", "bob"]).ok().stdout;
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", local, "--name", "robert"])
        .stdin(key)
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "local"])
        .stdin(conn)
        .ok();
    let parcel = env.parcel("bob", "local", b"one");
    env.write("a.parcel", &parcel);
    env.mkdir("inbox");
    let run = |node: &str| env.relay("deliver").args(["-N", node, "--dir", "inbox"]);
    // Nobody who gets nothing is left to guess why: the parcel is to be routed, or is another node's.
    env.relay("put").args(["-N", "gateway", "a.parcel"]).ok();
    run(local).ok().quiet();
    let input = env.names("gateway/spool/in").remove(0);
    let input = std::fs::File::open(env.path(format!("gateway/spool/in/{input}"))).unwrap();
    let long_ago = "2026-02-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
    input.set_modified(long_ago.into()).unwrap();
    let told = "1 message waits in the queue in: relay-route -N gateway brings them home";
    for node in ["gateway", local] {
        run(node).ok().says(&[told]).changes(&[]);
    }
    env.relay("route").args(["-N", "gateway"]).ok().quiet();
    let told = format!("1 message waits for local: relay-deliver -N {local} delivers them");
    run("gateway").ok().says(&[&told]).changes(&[]);
    run("gateway").arg("-q").ok().quiet();
    let open = env.relay("open").args(["-N", "gateway", "a.parcel"]);
    let opened = open.run();
    let hint = format!("it is for another node here: -N {local}");
    assert_eq!((opened.status, opened.hints()), (67, vec![&*hint]));
    let own = relaynet::disk::Lock::exclusive(&env.path(format!("{local}/lock/queue"))).unwrap();
    let blocked = run(local).run();
    assert_eq!(blocked.status, 75, "{}", blocked.stderr);
    assert_eq!(blocked.hints(), ["--wait DURATION waits for it"]);
    let quiet = run(local).arg("-q").run();
    assert_eq!((quiet.status, quiet.stderr.as_str()), (75, ""));
    drop(own);
    let routing = relaynet::disk::Lock::exclusive(&env.path("gateway/lock/queue")).unwrap();
    run(local).ok().quiet();
    drop(routing);
    assert_eq!(contents(&env, "inbox/robert"), ["one"]);
    assert!(!env.path(format!("{local}/spool")).exists());
}

#[test]
fn what_arrived_in_time_is_delivered_at_any_age() {
    let env = Env::with_peers();
    let parcel = env.parcel_with("bob", "alice", b"old", &["--ttl", "2d"]);
    arrive(&env, "alice", parcel);
    env.mkdir("inbox");
    // Its authorization has ended, too, and so has what is remembered of that time.
    env.write("alice/seen/floor", "2028-01-01T00:00:00Z\n");
    env.chmod("alice/seen/floor", 0o600);
    deliver(&env, &["--dir", "inbox"])
        .at("2029-01-01T00:00:00Z")
        .ok()
        .quiet();
    assert_eq!(contents(&env, "inbox/bob"), ["old"]);
    assert_eq!(waiting(&env), 0);
}

#[test]
fn what_is_dated_in_the_future_waits() {
    let env = arrived(&[b"one"]);
    let ran = deliver(&env, &["--dir", "inbox"])
        .at("2026-03-01T09:30:00Z")
        .run();
    assert_eq!(ran.status, 81, "{}", ran.stderr);
    assert_eq!(waiting(&env), 1);
}

#[test]
fn what_is_remembered_is_removed() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    let parcel = env.read(format!("{}/{name}", home()));
    deliver(&env, &["--dir", "inbox"]).ok();
    fs::remove_dir_all(env.path("inbox/bob")).unwrap();
    env.write(format!("{}/{name}", home()), parcel);
    let ran = deliver(&env, &["--dir", "inbox", "-v"]).ok();
    assert!(
        ran.stderr.contains("event=repeated file="),
        "{}",
        ran.stderr
    );
    assert!(env.names("inbox").is_empty());
    assert_eq!(waiting(&env), 0);
}

#[test]
fn one_message_under_two_names_is_delivered_once() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    let parcel = env.read(format!("{}/{name}", home()));
    for priority in [1, 9] {
        let mut other: Name = name.parse().unwrap();
        other.priority = Some(priority);
        env.write(format!("{}/{other}", home()), &parcel);
    }
    deliver(&env, &["--dir", "inbox"]).ok().quiet();
    assert_eq!(contents(&env, "inbox/bob"), ["one"]);
    assert_eq!(waiting(&env), 0);
}

#[test]
fn what_is_not_genuine_is_set_aside_once_and_the_rest_is_delivered() {
    let env = arrived(&[b"one", b"bad", b"cut", b"long", b"cargo", b"two"]);
    let names = env.names(&home());
    let at = |nth: usize| format!("{}/{}", home(), names[nth]);
    let mut octets = env.read(at(0));
    let last = octets.len() - 1;
    octets[last] ^= 1;
    env.write(at(0), &octets);
    env.write(at(1), &env.read(at(1))[..100]);
    env.write(at(2), vec![0; 10_000_000]);
    env.write(at(3), "no message at all");
    env.write(at(4), "");
    let ran = deliver(&env, &["--dir", "inbox"]).ok();
    let said = ran.diagnostics();
    assert_eq!(said.len(), 5, "{}", ran.stderr);
    for line in &said {
        let is_named = line.contains(" from bob to this node: set aside in failed: ");
        assert!(
            is_named && line.chars().count() <= 160 - "relay-deliver: ".len(),
            "{line}"
        );
    }
    assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
    assert_eq!(env.names("inbox/bob").len(), 1);
    assert_eq!(
        (waiting(&env), env.names("alice/spool/failed").len()),
        (0, 10)
    );
    // Of what nobody signed like this, nobody is told anything.
    assert!(
        !env.text("alice/spool/sent/2026-03-01")
            .contains("\"failed\"")
    );
    deliver(&env, &["--dir", "inbox"]).ok().quiet().changes(&[]);
    // A person may have it tried once more, with the same result.
    let retry = ["-N", "alice", "--retry", &names[0]];
    env.relay("route").args(retry).ok().quiet();
    let again = deliver(&env, &["--dir", "inbox"]).ok();
    again.says_somewhere("set aside in failed: bad signature");
}

#[test]
fn what_is_no_message_is_left_to_its_owner() {
    let env = arrived(&[b"one"]);
    env.write(format!("{}/junk", home()), "junk");
    let link = env.names(&home())[0].replace(".2026", ".2027");
    env.link("/etc/passwd", &format!("{}/{link}", home()));
    for _ in 0..2 {
        let ran = deliver(&env, &["--dir", "inbox"]).ok();
        assert_eq!(ran.diagnostics().len(), 2, "{}", ran.stderr);
    }
    assert_eq!(contents(&env, "inbox/bob"), ["one"]);
    assert_eq!(waiting(&env), 2);
}

#[test]
fn a_home_that_cannot_be_listed_is_an_error() {
    let untested = "a queue that its user has closed";
    if is_root(untested) {
        return;
    }
    let env = arrived(&[b"one"]);
    env.chmod(home(), 0);
    let text = "home/";
    deliver(&env, &["--dir", "inbox"]).fails(78, text);
    env.relay("list").args(["-N", "alice"]).fails(78, text);
    env.chmod(home(), 0o700);
    deliver(&env, &["--dir", "inbox"]).ok().quiet();
}

#[test]
fn what_is_genuine_and_cannot_be_opened_is_set_aside() {
    let env = arrived(&[b"one"]);
    // A peer that was forgotten takes the keys along that it sealed to.
    arrive(&env, "alice", env.parcel("carol", "alice", b"two"));
    env.relay("peers")
        .args(["-q", "-N", "alice", "bob", "--forget"])
        .ok();
    let ran = deliver(&env, &["--dir", "inbox"]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.says_somewhere("set aside in failed: sealed to session key ");
    assert_eq!(contents(&env, "inbox/carol"), ["two"]);
    assert_eq!(env.names("inbox"), ["carol"]);
    assert_eq!(env.names("alice/spool/failed").len(), 2);
    assert_eq!(waiting(&env), 0);
}

#[test]
fn what_alice_did_not_authorize_is_set_aside() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    let parcel = env.read(format!("{}/{name}", home()));
    let stranger = forged(&parcel, "mallory", |forgery| {
        forgery.certificates = vec![self_issued("mallory")];
    });
    env.write(format!("{}/{name}", home()), stranger);
    let ran = deliver(&env, &["--dir", "inbox"]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(env.names("inbox").is_empty());
    let failed = env.names("alice/spool/failed");
    assert_eq!((failed.len(), waiting(&env)), (2, 0));
    assert!(
        env.text(format!("alice/spool/failed/{}", failed[1]))
            .contains("not authorized")
    );
}

#[test]
fn what_is_for_somebody_else_is_set_aside_and_goes_to_be_routed() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    let parcel = env.parcel("alice", "bob", b"for bob");
    env.write(format!("{}/{name}", home()), parcel);
    let ran = deliver(&env, &["--dir", "inbox"]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let failed = env.names("alice/spool/failed");
    let why = env.text(format!("alice/spool/failed/{}", failed[1]));
    assert!(why.contains("\"queue\":\"in\""), "{why}");
}

#[test]
fn authorizations_are_imported_and_never_handed_over() {
    let env = Env::with_peers();
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "bob", "--der", "alice"])
        .at("2026-03-02T12:00:00Z")
        .ok()
        .stdout;
    let held = format!("alice/peers/{}/held", id("bob"));
    let before = env.names(&held).len();
    let of_type = ["-y", relaynet::receive::AUTHORIZATION_TYPE];
    let parcel = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice"])
        .args(of_type)
        .at("2026-03-02T12:00:00Z")
        .stdin(conn.clone())
        .ok()
        .stdout;
    // Carol has no business to pass on what bob gave.
    let foreign = env
        .relay("seal")
        .args(["-N", "carol", "-t", "alice"])
        .args(of_type)
        .at("2026-03-02T12:00:00Z")
        .stdin(conn)
        .ok()
        .stdout;
    let later = "2026-03-02T12:30:00Z";
    for parcel in [parcel, foreign] {
        env.relay("put")
            .args(["-N", "alice"])
            .at(later)
            .stdin(parcel)
            .ok();
    }
    env.relay("route").args(["-N", "alice"]).at(later).ok();
    let expect_none = ["-N", "alice", "--expect-none", "bob"];
    env.relay("peers").args(expect_none).at(later).ok();
    let args = ["-v", "--type", "text/plain", "--", "cat"];
    let ran = deliver(&env, &args).at(later).ok().stdout("");
    assert!(ran.stderr.contains("event=imported id="), "{}", ran.stderr);
    ran.says_somewhere("set aside in failed: its authorization cannot be imported: ");
    assert_eq!(env.names(&held).len(), before + 1);
    // What a person noted of bob stays, and bob cannot note that somebody compared the digits.
    let noted = ["compared", "expect-none"];
    let has = |mark| {
        env.path(format!("alice/peers/{}/{mark}", id("bob")))
            .exists()
    };
    assert_eq!(noted.map(has), [false, true]);
    assert_eq!(env.names("alice/spool/failed").len(), 2);
    assert_eq!(waiting(&env), 0);
}

#[test]
fn what_cannot_be_stored_waits() {
    let env = arrived(&[b"one"]);
    deliver(&env, &["--dir", "nowhere"]).fails(73, "nowhere: cannot open: No such file");
    env.write("file", "x");
    deliver(&env, &["--dir", "file"]).fails(73, "file: cannot open: ");
    deliver(&env, &["--maildir", "nowhere"]).fails(73, "nowhere: cannot open: ");
    for step in 1..6 {
        let ran = deliver(&env, &["--dir", "inbox"])
            .var("RELAY_FAULT", format!("ENOSPC:{step}"))
            .run();
        assert_eq!(ran.status, 74, "{step}: {}", ran.stderr);
        assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
        assert_eq!(waiting(&env), 1, "{step}");
    }
    deliver(&env, &["--dir", "inbox"]).ok().quiet();
    assert_eq!(contents(&env, "inbox/bob"), ["one"]);
}

#[test]
fn a_sender_whose_folder_is_in_the_way_keeps_nobody_else_waiting() {
    let env = arrived(&[b"one"]);
    arrive(&env, "alice", env.parcel("carol", "alice", b"two"));
    env.write("inbox/bob", "a file");
    let ran = deliver(&env, &["--dir", "inbox"]).run();
    assert_eq!(ran.status, 73, "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    assert_eq!(contents(&env, "inbox/carol"), ["two"]);
    assert_eq!(waiting(&env), 1);
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    for args in [
        &["--dir", "inbox"][..],
        &["--dir", "inbox", "--keep-name"],
        &["--", "false"],
    ] {
        let ran = deliver(&env, &["-n"]).args(args).ok().quiet();
        let ran = ran.stdout(format!("{name}\tdeliver\ttext/plain\n"));
        ran.changes(&[]);
    }
    let left = deliver(&env, &["-n", "-y", "image/*", "--dir", "inbox"]).ok();
    left.stdout(format!("{name}\tleave\ttext/plain\n"));
    let ran = deliver(&env, &["-n", "--json", "--dir", "inbox"]).ok();
    let facts = &ran.json()[0];
    assert_eq!(
        (&facts["decision"], &facts["id"]),
        (&"deliver".into(), &"m0".into())
    );
    assert!(facts["error"].is_null() && facts["path"].is_null());
    env.relay("peers")
        .args(["-q", "-N", "alice", "bob", "--forget"])
        .ok();
    let ran = deliver(&env, &["-n", "--dir", "inbox"]).ok().changes(&[]);
    assert!(
        ran.text().contains("\tfail\tsealed to session key "),
        "{}",
        ran.text()
    );
}

#[test]
fn there_is_one_destination() {
    let env = arrived(&[]);
    for args in [
        &[][..],
        &["--dir", "inbox", "--maildir", "mail"],
        &["--dir", "inbox", "--", "cat"],
        &["--keep-name", "--maildir", "mail"],
        &["cat"],
    ] {
        deliver(&env, args).fails(64, "");
    }
}

#[test]
fn many_messages_are_delivered_in_groups() {
    let env = Env::with_peers();
    env.mkdir("parcels");
    for number in 0..300 {
        let content = format!("{number:03}");
        let parcel = env.parcel("bob", "alice", content.as_bytes());
        env.write(format!("parcels/{number}"), parcel);
    }
    env.relay("put").args(["-N", "alice", "parcels"]).ok();
    env.relay("route").args(["-N", "alice"]).ok();
    env.mkdir("inbox");
    let ran = deliver(&env, &["--dir", "inbox", "--json"]).ok().quiet();
    let told = ran.json();
    assert_eq!((told.len(), &told[300]["delivered"]), (301, &300.into()));
    let mut found = contents(&env, "inbox/bob");
    found.sort();
    let expected: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    assert_eq!(found, expected);
    let seen: u64 = env
        .names("alice/seen")
        .iter()
        .map(|day| {
            fs::metadata(env.path(format!("alice/seen/{day}")))
                .unwrap()
                .len()
        })
        .sum();
    assert_eq!((seen, waiting(&env)), (300 * 32, 0));
}

#[test]
fn only_parcels_are_at_home() {
    let env = arrived(&[b"one"]);
    let name = env.names(&home()).remove(0);
    let parcel = env.read(format!("{}/{name}", home()));
    let disguised = forged(&parcel, "bob", |forgery| forgery.kind = Kind::Cargo);
    env.write(format!("{}/{name}", home()), disguised);
    let ran = deliver(&env, &["--dir", "inbox"]).ok();
    ran.says_somewhere("set aside in failed: ");
    assert_eq!(waiting(&env), 0);
}

/// What parts belong to.
const TRANSFER: &str = "000102030405060708090a0b0c0d0e0f";

/// Parcels from a peer with the parts, of ten octets each, of this content, in their order; their ids begin like
/// `id`.
fn parts(env: &Env, from: &str, content: &str, transfer: &str, id: &str) -> Vec<Vec<u8>> {
    env.write("whole.txt", content);
    let stream = env
        .relay("split")
        .args(["--size", "10", "--keep-name", "--transfer", transfer])
        .arg("whole.txt")
        .ok()
        .stdout;
    fs::remove_file(env.path("whole.txt")).unwrap();
    let stream = env
        .relay("seal")
        .args(["-N", from, "-t", "alice", "--parts", "--id", id])
        .stdin(stream)
        .ok()
        .stdout;
    let mut messages = Stream::new(&stream[..]);
    std::iter::from_fn(|| messages.next_message())
        .map(Result::unwrap)
        .collect()
}

#[test]
fn parts_are_joined_unless_they_are_to_stay_parts() {
    let env = arrived(&[b"another"]);
    for parcel in parts(&env, "bob", "twenty-three octets ...", TRANSFER, "x") {
        arrive(&env, "alice", parcel);
    }
    let told = "3 of these are parts of larger content: relay-join puts them together";
    let ran = deliver(&env, &["--dir", "inbox", "--no-join"]).ok();
    ran.says(&[told]);
    assert_eq!(env.names("inbox/bob").len(), 4);
    let all = env.names("inbox/bob").into_iter();
    let all = all.map(|name| env.read(format!("inbox/bob/{name}")));
    let stream: Vec<Vec<u8>> = all.filter(|content| content != b"another").collect();
    let joined = env.relay("join").stdin(stream.concat()).ok();
    assert_eq!(joined.text(), "twenty-three octets ...");

    let env = arrived(&[b"another"]);
    for parcel in parts(&env, "bob", "twenty-three octets ...", TRANSFER, "x") {
        arrive(&env, "alice", parcel);
    }
    deliver(&env, &["--dir", "inbox"]).ok().quiet();
    let mut found = contents(&env, "inbox/bob");
    found.sort();
    assert_eq!(found, ["another", "twenty-three octets ..."]);
    // Older scripts say so, and need not change.
    deliver(&env, &["--join", "--dir", "inbox"]).ok().quiet();
}

#[test]
fn the_type_of_a_part_may_have_parameters() {
    let env = arrived(&[]);
    env.write("whole.txt", "twenty-three octets ...");
    env.mkdir("parts");
    env.relay("split")
        .args(["--size", "10", "-d", "parts", "whole.txt"])
        .ok();
    let mut parcels = Vec::new();
    for (name, media_type) in env.names("parts").iter().zip(PART_TYPES) {
        let part = env.read(format!("parts/{name}"));
        let parcel = env.parcel_with("bob", "alice", &part, &["-y", media_type]);
        arrive(&env, "alice", parcel.clone());
        parcels.push(parcel);
    }
    deliver(&env, &["--dir", "inbox"]).ok().quiet();
    assert_eq!(contents(&env, "inbox/bob"), ["twenty-three octets ..."]);
    let stream = env
        .relay("open")
        .args(["-N", "alice", "--again"])
        .stdin(parcels.concat())
        .ok()
        .quiet()
        .stdout;
    let joined = env.relay("join").stdin(stream).ok().quiet();
    assert_eq!(joined.text(), "twenty-three octets ...");
}

/// What the type of a part may look like.
const PART_TYPES: [&str; 3] = [
    "application/vnd.relaynet.part; x=\"video/mp4\"",
    "Application/VND.Relaynet.part",
    "application/vnd.relaynet.part ; x=text/plain; name=\"a.txt\"",
];

/// Leaves a part of each of these types for alice.
fn arrive_in_parts(env: &Env, content: &str, types: &[&str]) {
    env.write("whole.txt", content);
    let size = content.len().div_ceil(types.len()).to_string();
    env.mkdir("parts");
    env.relay("split")
        .args(["--size", &size, "-d", "parts", "whole.txt"])
        .ok();
    let names = env.names("parts");
    assert_eq!(names.len(), types.len());
    for (name, media_type) in names.iter().zip(types) {
        let part = env.read(format!("parts/{name}"));
        let parcel = env.parcel_with("bob", "alice", &part, &["-y", media_type]);
        arrive(env, "alice", parcel);
    }
    fs::remove_dir_all(env.path("parts")).unwrap();
}

#[test]
fn the_whole_has_the_type_that_its_parts_say() {
    let env = arrived(&[]);
    env.write("whole.txt", "twenty-three octets ...");
    let stream = env.relay("split").args(["--size", "10", "whole.txt"]).ok();
    let parcels = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "--parts"])
        .args(["-y", "text/x-log; charset=utf-8"])
        .stdin(stream.stdout)
        .ok()
        .stdout;
    let mut messages = Stream::new(&parcels[..]);
    while let Some(parcel) = messages.next_message() {
        arrive(&env, "alice", parcel.unwrap());
    }
    for other in [
        "application/*",
        "application/vnd.relaynet.part",
        "text/plain",
    ] {
        deliver(&env, &["--dir", "inbox", "-y", other]).ok().quiet();
        assert_eq!(waiting(&env), 3, "{other}");
    }
    let ran = deliver(&env, &["--dir", "inbox", "-y", "text/*", "--json"]).ok();
    assert_eq!(ran.json()[0]["type"], "text/x-log; charset=utf-8");
    assert_eq!(contents(&env, "inbox/bob"), ["twenty-three octets ..."]);
}

#[test]
fn parts_that_disagree_on_the_type_are_set_aside() {
    let part = "application/vnd.relaynet.part";
    for other in [part, "application/vnd.relaynet.part; of=\"text/html\""] {
        let env = arrived(&[b"another"]);
        let types = ["application/vnd.relaynet.part; of=\"text/plain\"", other];
        arrive_in_parts(&env, "twenty-three octets ...", &types);
        deliver(&env, &["--dir", "inbox"])
            .ok()
            .says_somewhere("part 2 contradicts oth");
        assert_eq!(contents(&env, "inbox/bob"), ["another"]);
        assert_eq!(waiting(&env), 0);
    }
}

#[test]
fn content_that_programs_act_on_does_not_come_in_parts() {
    for of in [
        "application/vnd+relaycorp.awala.pda-path",
        "Application/VND.Relaynet.Part",
        "application/vnd.relaynet.request",
        "plain",
        &format!("text/{}", "x".repeat(156)),
    ] {
        let env = arrived(&[b"another"]);
        let sealed = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--parts", "-y", of])
            .stdin("")
            .run();
        assert_eq!(sealed.status, 64, "{}", sealed.stderr);
        let media_type = format!("application/vnd.relaynet.part; of=\"{of}\"");
        arrive_in_parts(&env, "x", &[&media_type]);
        deliver(&env, &["--dir", "inbox"])
            .ok()
            .says_somewhere("not a part: malformed type of a part");
        assert_eq!(contents(&env, "inbox/bob"), ["another"]);
        assert_eq!(waiting(&env), 0);
    }
}

#[test]
fn a_mail_in_parts_is_that_mail() {
    let env = arrived(&[]);
    for dir in ["mail", "mail/tmp", "mail/new", "mail/cur"] {
        env.mkdir(dir);
    }
    let mail = "From: bob\nSubject: long\n\ntext\n";
    let types = ["application/vnd.relaynet.part; of=\"message/rfc822\""; 2];
    arrive_in_parts(&env, mail, &types);
    deliver(&env, &["--maildir", "mail"]).ok().quiet();
    let expected = format!("X-Relay-Sender: {}\n{mail}", id("bob"));
    assert_eq!(contents(&env, "mail/new"), [expected]);
}

#[test]
fn parts_wait_until_all_are_there() {
    for (options, expected) in [
        (&["--dir", "inbox"][..], "20260301T115500Z."),
        (&["--dir", "inbox", "--keep-name"], "whole.txt"),
    ] {
        let env = arrived(&[b"another"]);
        let parcels = parts(&env, "bob", "twenty-three octets ...", TRANSFER, "x");
        // Somebody else's parts of the same transfer are none of these.
        let foreign = parts(&env, "carol", "twenty-three octets ...", TRANSFER, "x");
        arrive(&env, "alice", foreign[0].clone());
        let mut left = 1;
        for parcel in [&parcels[2], &parcels[0]] {
            arrive(&env, "alice", parcel.clone());
            left += 1;
            let args = options.to_vec();
            deliver(&env, &args).ok().quiet().stdout("");
            assert_eq!(waiting(&env), left);
            assert_eq!(contents(&env, "inbox/bob"), ["another"]);
        }
        let told = deliver(&env, &["-n", "--dir", "inbox"]).ok();
        assert!(
            told.text()
                .lines()
                .all(|line| line.contains("\tjoin\tapplication/vnd.relaynet.part"))
        );
        arrive(&env, "alice", parcels[1].clone());
        let args = [options, &["--json", "-v"]].concat();
        let ran = deliver(&env, &args).ok();
        assert_eq!(waiting(&env), 1);
        let facts = &ran.json()[0];
        assert_eq!(
            (&facts["transfer"], &facts["id"]),
            (&TRANSFER.into(), &TRANSFER.into())
        );
        assert_eq!(facts["name"], "whole.txt");
        assert_eq!(facts["size"], 23);
        assert_eq!(facts["type"], "application/octet-stream");
        let path = facts["path"].as_str().unwrap();
        assert!(path.starts_with(&format!("inbox/bob/{expected}")), "{path}");
        assert_eq!(env.text(path), "twenty-three octets ...");
        assert!(
            ran.stderr
                .contains(&format!("event=delivered id={TRANSFER} "))
        );
        assert_eq!(env.names("inbox/bob").len(), 2);
        // What comes once more is known, in whatever parcel.
        arrive(
            &env,
            "alice",
            parts(&env, "bob", "twenty-three octets ...", TRANSFER, "y").remove(1),
        );
        let args = [options, &["-v"]].concat();
        let again = deliver(&env, &args).ok().stdout("");
        assert!(again.stderr.contains("event=repeated"), "{}", again.stderr);
        assert_eq!((waiting(&env), env.names("inbox/bob").len()), (1, 2));
    }
}

#[test]
fn joined_content_goes_to_a_command_or_becomes_a_mail() {
    let env = arrived(&[]);
    for folder in ["mail", "mail/tmp", "mail/new", "mail/cur"] {
        env.mkdir(folder);
    }
    let content = "0123456789".repeat(30) + "end";
    for parcel in parts(&env, "bob", &content, TRANSFER, "x")
        .into_iter()
        .rev()
    {
        arrive(&env, "alice", parcel);
    }
    let script = "echo $RELAY_ID $RELAY_SIZE $RELAY_NAME $RELAY_TYPE $RELAY_PEER; cat; exit $0";
    let command = |status| ["--", "sh", "-c", script, status];
    let facts = format!("{TRANSFER} 303 whole.txt application/octet-stream bob\n{content}");
    let ran = deliver(&env, &command("1")).run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    ran.says_somewhere(&format!("31 parts of {TRANSFER}: sh failed"))
        .stdout(&facts);
    assert_eq!(waiting(&env), 31);
    // What is refused is set aside with all of its parts, and comes back with them.
    let ran = deliver(&env, &command("65")).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    assert_eq!(waiting(&env), 0);
    let failed = env.names("alice/spool/failed");
    assert_eq!(failed.len(), 62);
    // They are known as what was reported.
    let told = || {
        let list = env.relay("list").args(["-N", "alice", "--id", TRANSFER]);
        let ran = list.run();
        let words = ran
            .text()
            .lines()
            .map(|line| line.split('\t').next().unwrap());
        let words: HashSet<String> = words.map(str::to_owned).collect();
        (ran.status, ran.text().lines().count(), words)
    };
    assert_eq!(told(), (67, 31, HashSet::from(["failed".to_owned()])));
    let retry = || {
        env.relay("route")
            .args(["-N", "alice", "--retry", TRANSFER])
    };
    retry().ok();
    assert_eq!(waiting(&env), 31);
    assert_eq!(told(), (75, 31, HashSet::from(["home".to_owned()])));
    let missing = retry().run();
    assert_eq!(missing.status, 67, "{}", missing.stderr);
    missing.says_somewhere(&format!("{TRANSFER} is not set aside: it waits in home"));
    let missing = deliver(&env, &["--", "/nonexistent/command"]).run();
    assert_eq!(missing.status, 69, "{}", missing.stderr);
    deliver(&env, &["--maildir", "mail"]).ok().quiet();
    let mail = contents(&env, "mail/new").remove(0);
    let (head, body) = mail.split_once("\n\n").unwrap();
    assert!(head.contains("Subject: whole.txt\n"), "{head}");
    assert!(body.ends_with("NDU2Nzg5ZW5k\n"), "{body}");
    assert_eq!((waiting(&env), env.names("mail/new").len()), (0, 1));
    assert_eq!(told(), (0, 31, HashSet::from(["acknowledged".to_owned()])));
    let list = env.relay("list").args(["-N", "alice", "--id", TRANSFER]);
    let shown = list.shown().ok();
    assert_eq!(shown.text().trim_end(), "31 of 31 acknowledged");
    let delivered = retry().run();
    assert_eq!(delivered.status, 67, "{}", delivered.stderr);
    delivered.says_somewhere(&format!("{TRANSFER} is not set aside: it was delivered"));
}

#[test]
fn parts_of_two_senders_are_not_returned_by_one_transfer() {
    let env = arrived(&[]);
    for from in ["bob", "carol"] {
        for parcel in parts(&env, from, "twenty-three octets ...", TRANSFER, from) {
            arrive(&env, "alice", parcel);
        }
    }
    deliver(&env, &["--", "sh", "-c", "exit 65"]).run();
    assert_eq!(env.names("alice/spool/failed").len(), 12);
    for call in [
        env.relay("route")
            .args(["-N", "alice", "--retry", TRANSFER]),
        env.relay("list").args(["-N", "alice", "--id", TRANSFER]),
    ] {
        let ran = call.run();
        assert_eq!(ran.status, 64, "{}", ran.stderr);
        ran.says_somewhere(&format!("{TRANSFER} is more than one message: "));
    }
    assert_eq!(
        (env.names("alice/spool/failed").len(), waiting(&env)),
        (12, 0)
    );
}

#[test]
fn parts_that_make_nothing_are_set_aside() {
    let env = arrived(&[]);
    let good = parts(&env, "bob", "twenty-three octets ...", TRANSFER, "x");
    let other = parts(&env, "bob", "twenty-three octets !!!", TRANSFER, "y");
    for parcel in [&good[0], &good[1], &other[2], &good[2]] {
        arrive(&env, "alice", parcel.clone());
    }
    let ran = deliver(&env, &["--dir", "inbox"]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.says_somewhere(&format!("set aside in failed: 4 parts of {TRANSFER}: "));
    assert_eq!(env.names("alice/spool/failed").len(), 8);
    assert_eq!(waiting(&env), 0);
    assert!(!env.path("inbox/bob").exists() || env.names("inbox/bob").is_empty());

    let env = arrived(&[]);
    let options = ["-y", "application/vnd.relaynet.part"];
    arrive(
        &env,
        "alice",
        env.parcel_with("bob", "alice", b"none", &options),
    );
    let ran = deliver(&env, &["--dir", "inbox"]).run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.says_somewhere("set aside in failed: not a part: ");
}

#[test]
fn joined_files_are_all_kept_and_never_replaced() {
    let env = arrived(&[]);
    let transfers = ["00", "01", "02"].map(|last| format!("{}{last}", &TRANSFER[..30]));
    for transfer in &transfers {
        for parcel in parts(
            &env,
            "bob",
            "the same content each time",
            transfer,
            transfer,
        ) {
            arrive(&env, "alice", parcel);
        }
    }
    deliver(&env, &["--dir", "inbox", "--keep-name"])
        .ok()
        .quiet();
    assert_eq!(
        env.names("inbox/bob"),
        ["whole.txt", "whole~2.txt", "whole~3.txt"]
    );
    assert_eq!(
        contents(&env, "inbox/bob"),
        ["the same content each time"; 3]
    );
    assert_eq!(waiting(&env), 0);
    assert!(env.names("alice/spool/delivering").is_empty());
}
