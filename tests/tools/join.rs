//! relay-join: parts in any order and state, and what becomes of them.

use std::fs;

use relaynet::asn1::Buffer;
use relaynet::message::Part;
use relaynet::message::parts::{self, PartHeader};

use super::split::{ID, parts as parts_of, split};
use crate::testenv::{Env, keys_in, sha256};

const CONTENT: &[u8] = b"a few lines\nthat must not be lost\n";

/// Content of 34 octets in four parts.
fn parts(env: &Env) -> Vec<Vec<u8>> {
    parts_of(&split(env, CONTENT, &["--size", "10", "--transfer", ID]))
}

/// A part like this one but for what `change` does to it.
fn changed(part: &[u8], change: impl FnOnce(&mut PartHeader, &mut Vec<u8>)) -> Vec<u8> {
    let part = Part::parse(part).unwrap();
    let (mut header, mut content) = (part.header().clone(), part.content().to_vec());
    change(&mut header, &mut content);
    let mut buffer = Buffer::with_capacity(content.len());
    buffer.append(&content);
    parts::wrap(&mut buffer, &header).unwrap();
    buffer.as_slice().to_vec()
}

/// Fails like this, with nothing on standard output, no file changed, and one diagnostic.
#[track_caller]
fn refuses(env: &Env, stream: impl Into<Vec<u8>>, status: i32, problem: &str) {
    let stream = stream.into();
    for output in [&[][..], &["-o", "out"], &["-d", "."]] {
        let join = env.relay("join").args(output).stdin(stream.clone());
        join.fails(status, problem);
    }
}

#[test]
fn parts_are_joined_in_any_order_and_twice_is_once() {
    let env = Env::new();
    let parts = parts(&env);
    let mut shuffled: Vec<Vec<u8>> = parts.iter().rev().chain(&parts).cloned().collect();
    shuffled.swap(1, 6);
    for stream in [parts.concat(), shuffled.concat()] {
        let join = |output: &[&str]| env.relay("join").args(output).stdin(stream.clone());
        join(&[]).ok().quiet().stdout(CONTENT).changes(&[]);
        join(&["-o", "-"]).ok().quiet().stdout(CONTENT).changes(&[]);
        join(&["-f", "-o", "out"]).ok().quiet().stdout("");
        assert_eq!(env.read("out"), CONTENT);
    }
    for (at, part) in parts.iter().enumerate() {
        env.write(format!("{at}.x"), part);
    }
    let join = env.relay("join").args(["3.x", "1.x", "-", "1.x", "2.x"]);
    join.stdin(parts[0].clone()).ok().quiet().stdout(CONTENT);
}

#[test]
fn missing_parts_are_named() {
    let env = Env::new();
    let parts = parts(&env);
    let say = |text: &str| format!("{ID}: {text}");
    refuses(
        &env,
        &*parts[..3].concat(),
        75,
        &say("parts 4- are missing"),
    );
    refuses(&env, &*parts[3], 75, &say("parts 1-3 of 4 are missing"));
    refuses(
        &env,
        [&*parts[0], &parts[2], &parts[2]].concat(),
        75,
        &say("parts 2, 4- are missing"),
    );
    let named = parts_of(&split(
        &env,
        CONTENT,
        &["--size", "10", "--name", "a\u{1b}b"],
    ));
    let ran = env.relay("join").stdin(named[3].clone()).run();
    assert_eq!(ran.status, 75);
    ran.says_somewhere(": ab: parts 1-3 of 4 are missing");
    let hostile = changed(&parts[3], |header, _| {
        header.name = Some("\u{1b}[2J".into());
    });
    let ran = env.relay("join").stdin(hostile).run();
    ran.says_somewhere(": \\u{1b}[2J: parts 1-3 of 4 are missing");
}

#[test]
fn facts_come_as_json() {
    let env = Env::new();
    env.mkdir("out");
    let parts = parts(&env);
    let other = parts_of(&split(&env, b"other", &["--name", "x", "--size", "2"]));
    let stream = [&*parts.concat(), &other[0], &other[2]].concat();
    let join = env
        .relay("join")
        .args(["--json", "-d", "out"])
        .stdin(stream);
    let ran = join.run();
    assert_eq!(ran.status, 75, "{}", ran.stderr);
    let facts = ran.json();
    let keys = [
        "v", "transfer", "name", "path", "size", "sha256", "parts", "received", "missing", "error",
    ];
    assert_eq!(keys_in(&facts[0]), keys);
    assert_eq!(facts[0]["transfer"], ID);
    assert_eq!(facts[0]["path"], format!("out/{ID}.content"));
    assert_eq!(facts[0]["size"], 34);
    assert_eq!(facts[0]["sha256"], sha256(CONTENT));
    assert_eq!(facts[0]["missing"], serde_json::json!([]));
    assert!(facts[0]["error"].is_null() && facts[0]["name"].is_null());
    assert_eq!(facts[1]["name"], "x");
    assert!(facts[1]["path"].is_null());
    assert_eq!(
        (&facts[1]["parts"], &facts[1]["received"]),
        (&3.into(), &2.into())
    );
    assert_eq!(facts[1]["missing"], serde_json::json!(["2"]));
    assert_eq!(facts[1]["error"], "part 2 of 3 is missing");
    ran.changes(&["+out/HEX.content"]);
    let json = env.relay("join").arg("--json").stdin(other[0].clone());
    json.fails(64, "--json needs -d DIR or -o FILE");
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let env = Env::new();
    let parts = parts(&env);
    let whole = parts.concat();
    let part =
        |at: usize, change: &dyn Fn(&mut PartHeader, &mut Vec<u8>)| changed(&parts[at], change);
    for (odd, what) in [
        (part(1, &|_, content| content[3] ^= 1), "content"),
        (
            part(1, &|header, content| {
                header.size = 9;
                content.pop();
            }),
            "size",
        ),
        (
            part(1, &|header, _| header.name = Some("x".to_owned())),
            "name",
        ),
        (part(3, &|_, content| content[0] ^= 1), "content"),
        (part(3, &|_, content| content.truncate(3)), "end"),
        (part(3, &|header, _| header.sha256 = Some([1; 32])), "end"),
        (part(3, &|header, _| header.index = 3), "end"),
        (part(3, &|header, _| header.index = 5), "end"),
        (part(1, &|header, _| header.index = 5), "end"),
        (part(1, &|header, _| header.index = 1_048_576), "end"),
        (part(1, &|header, _| header.index = 4), "end"),
    ] {
        let index = Part::parse(&odd).unwrap().header().index;
        let problem =
            format!("{ID}: part {index} contradicts others of its transfer: another {what}");
        refuses(&env, [&*whole, &odd].concat(), 65, &problem);
        // Whichever came first.
        let ran = env.relay("join").stdin([&*odd, &whole].concat()).run();
        assert_eq!(ran.status, 65, "{what}: {}", ran.stderr);
        ran.says_somewhere("contradicts others of its transfer")
            .stdout("")
            .changes(&[]);
    }
}

#[test]
fn another_digest_is_no_result() {
    let env = Env::new();
    let mut parts = parts(&env);
    parts[2] = changed(&parts[2], |_, content| content[0] ^= 1);
    let problem =
        format!("{ID}: the joined content does not have the SHA-256 that its last part says");
    refuses(&env, parts.concat(), 65, &problem);
}

#[test]
fn what_is_no_part_is_reported_and_the_rest_is_joined() {
    let env = Env::new();
    let parts = parts(&env);
    for (tail, problem) in [
        (&b"junk"[..], "-[5]: not a part of a transfer"),
        (&parts[0][..30], "-[5]: cut short"),
        (b"RelayPart\x01", "-[5]: a part in version 1"),
        (
            b"RelayPart\0\x30\x84\xff\xff\xff\xff",
            "-[5]: part has 4294967311 octets",
        ),
        (b"RelayPart\0\x30\x02\x80\x00", "-[5]: malformed part"),
    ] {
        let ran = env
            .relay("join")
            .stdin([&*parts.concat(), tail].concat())
            .run();
        assert_eq!(ran.status, 65, "{problem}");
        ran.says(&[problem]).stdout(CONTENT).changes(&[]);
    }
    // A malformed part does not hide those after it.
    let malformed = b"RelayPart\0\x30\x02\x80\x00";
    let stream = [&*parts[0], malformed, &parts[1..].concat()].concat();
    let ran = env.relay("join").stdin(stream).run();
    ran.says(&["-[2]: malformed part"]).stdout(CONTENT);
    env.relay("join")
        .stdin("junk")
        .fails(65, "-: not a part of a transfer");
    env.relay("join").stdin("").fails(66, "-: empty");
    env.relay("join")
        .arg("--allow-empty")
        .ok()
        .quiet()
        .stdout("");
    env.relay("join").arg("none").fails(66, "none: cannot open");
    fs::create_dir(env.path("nothing")).unwrap();
    env.relay("join").arg("nothing").fails(66, "input: empty");
    let join = env.relay("join").args(["-o", "out", "nothing"]);
    join.fails(66, "input: empty");
    let join = env.relay("join").args(["-d", ".", "nothing"]);
    join.ok().quiet().changes(&[]);
}

#[test]
fn a_stream_cut_anywhere_never_becomes_a_result() {
    let env = Env::new();
    let stream = parts(&env).concat();
    for len in (1..stream.len()).step_by(17) {
        let join = env.relay("join").args(["-q", "-o", "out"]);
        let ran = join.stdin(&stream[..len]).run();
        assert!([65, 75].contains(&ran.status), "{len}: {}", ran.status);
        ran.stdout("").changes(&[]);
    }
}

#[test]
fn an_index_far_ahead_takes_no_room() {
    let env = Env::new();
    let parts = parts(&env);
    let far = changed(&parts[1], |header, content| {
        header.index = 900_000;
        header.size = 1000;
        content.resize(1000, 1);
    });
    refuses(
        &env,
        far,
        75,
        &format!("{ID}: parts 1-899999, 900001- are missing"),
    );
}

#[test]
fn several_contents_are_joined_each_by_itself() {
    let env = Env::new();
    env.mkdir("out");
    let first = parts(&env);
    let second = parts_of(&split(
        &env,
        b"second content",
        &["--size", "10", "--name", "two"],
    ));
    let third = parts_of(&split(&env, b"third", &["--size", "2", "--name", "three"]));
    let mixed = [
        &*second[1],
        &first[0],
        &third[1],
        &first[3],
        &second[0],
        &first[1],
        &first[2],
    ]
    .concat();
    let join = |output: &[&str]| env.relay("join").args(output).stdin(mixed.clone());
    join(&["-o", "x"]).fails(64, "parts of more than one content");
    join(&[]).fails(64, "parts of more than one content");
    let ran = join(&["-d", "out", "--keep-name"]).run();
    assert_eq!(ran.status, 75);
    ran.says_somewhere("three: parts 1, 3- are missing")
        .changes(&["+out/HEX.content", "+out/two"]);
    assert_eq!(env.read("out/two"), b"second content");
    assert_eq!(env.read(format!("out/{ID}.content")), CONTENT);
    // The same again leaves no second file, and what is missing is joined when it comes.
    env.write("mixed", &mixed);
    env.write("rest", [&*third[2], &third[0]].concat());
    env.relay("join")
        .args(["-d", "out", "--keep-name", "mixed", "rest"])
        .ok()
        .quiet()
        .changes(&["+out/three"]);
}

#[test]
fn of_very_many_contents_the_rest_is_left_for_another_run() {
    let env = Env::new();
    env.mkdir("out");
    let stream: Vec<Vec<u8>> = (0..203_u32)
        .map(|at| {
            let id = format!("{at:032x}");
            split(&env, b"x", &["--transfer", &id])
        })
        .collect();
    env.mkdir("in");
    for (at, part) in stream.iter().enumerate() {
        env.write(format!("in/{at}"), part);
    }
    let join = || env.relay("join").args(["-d", "out", "--remove", "in"]);
    let ran = join().run();
    assert_eq!(ran.status, 75);
    ran.says(&["-: over 200 contents: the rest is left for another run"]);
    assert_eq!((env.names("in").len(), env.names("out").len()), (3, 200));
    join().ok().quiet();
    assert_eq!((env.names("in").len(), env.names("out").len()), (0, 203));
}

#[test]
fn no_name_of_a_sender_leaves_the_directory_or_replaces_a_file() {
    let env = Env::new();
    env.mkdir("out");
    let parts = parts(&env);
    for (name, file) in [
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("..", &*format!("{ID}.content")),
        (".bashrc", "bashrc"),
        ("a\u{202e}b", "ab"),
    ] {
        let stream: Vec<u8> = parts
            .iter()
            .flat_map(|part| changed(part, |header, _| header.name = Some(name.to_owned())))
            .collect();
        let join = env.relay("join").args(["-f", "-d", "out", "--keep-name"]);
        let ran = join.stdin(stream).ok().quiet();
        assert_eq!(ran.changed(), [format!("+out/{}", file.replace(ID, "HEX"))]);
    }
    env.write("out/taken", "somebody's");
    env.mkdir("out/taken~2");
    env.link("taken", "out/taken~3");
    let stream = split(&env, CONTENT, &["--name", "taken"]);
    let join = env.relay("join").args(["-f", "-d", "out", "--keep-name"]);
    join.stdin(stream).ok().quiet().changes(&["+out/taken~4"]);
    assert_eq!(env.text("out/taken"), "somebody's");
    // Of a link in the directory nothing is written behind.
    env.link(
        "../elsewhere",
        &format!("out/{}.content", ID.replace('0', "f")),
    );
    let stream = split(&env, CONTENT, &["--transfer", &ID.replace('0', "f")]);
    let join = env.relay("join").args(["-f", "-d", "out"]).stdin(stream);
    join.fails(73, "out/");
}

#[test]
fn what_is_there_stays_unless_it_is_the_same() {
    let env = Env::new();
    let stream = parts(&env).concat();
    let join = |options: &[&str]| env.relay("join").args(options).stdin(stream.clone());
    env.write("out", "somebody's");
    join(&["-o", "out"]).fails(73, &format!("{ID}: out: already exists"));
    join(&["-f", "-o", "out"]).ok().quiet().changes(&["*out"]);
    join(&["-o", "out"]).ok().quiet().changes(&[]);
    join(&["-d", "."]).ok().changes(&["+HEX.content"]);
    join(&["-d", "."]).ok().quiet().changes(&[]);
    env.write(format!("{ID}.content"), "somebody's");
    join(&["-d", "."]).fails(73, ID);
    join(&["-f", "-d", "."]).ok().changes(&["*HEX.content"]);
    join(&["-o", "none/x"]).fails(73, "none/x: ");
    join(&["-d", "none"]).fails(73, "none: ");
    join(&["-o", "/dev/null"]).ok().quiet().changes(&[]);
}

#[test]
fn only_files_whose_content_is_stored_are_removed() {
    let env = Env::new();
    env.mkdir("in");
    let first = parts(&env);
    let second = parts_of(&split(&env, b"second", &["--size", "2"]));
    env.write("in/1", &first[0]);
    env.write("in/2", [&*first[1], &first[2]].concat());
    env.write("in/mixed", [&*second[0], &first[3]].concat());
    env.write("in/second", &second[1]);
    env.write("in/bad", [&*first[0], b"junk"].concat());
    env.write("in/none", "none");
    env.write("alone", &first[1]);
    let run = |options: &[&str]| env.relay("join").args(options).args(["in", "alone"]).run();
    env.relay("join")
        .args(["--remove", "in"])
        .fails(64, "--remove needs -d DIR or -o FILE");
    // Nothing goes while something is missing or cannot be stored.
    std::fs::rename(env.path("in/2"), env.path("held back")).unwrap();
    let ran = run(&["-q", "-d", ".", "--remove"]);
    assert_eq!(ran.status, 65);
    ran.changes(&[]);
    std::fs::rename(env.path("held back"), env.path("in/2")).unwrap();
    env.write(format!("{ID}.content"), "somebody's");
    run(&["-q", "-d", ".", "--remove"]).changes(&[]);
    let ran = run(&["-q", "-f", "-d", ".", "--remove"]);
    assert_eq!(ran.status, 65);
    ran.changes(&["*HEX.content", "-alone", "-in/1", "-in/2"]);
    env.write("in/3", second[2].clone());
    env.write("in/1", first[..3].concat());
    run(&["-q", "-d", ".", "--remove", "in"]).changes(&[
        "+HEX.content",
        "-in/1",
        "-in/3",
        "-in/mixed",
        "-in/second",
    ]);
}

#[test]
fn a_result_does_not_take_the_place_of_its_part() {
    let env = Env::new();
    env.write("file", parts(&env).concat());
    let join = env
        .relay("join")
        .args(["-f", "-o", "file", "--remove", "file"]);
    join.fails(64, "file: is read, too");
}

#[test]
fn empty_content_comes_back() {
    let env = Env::new();
    let stream = split(&env, b"", &["--allow-empty"]);
    let join = |options: &[&str]| env.relay("join").args(options).stdin(stream.clone());
    join(&[]).ok().quiet().stdout("");
    join(&["-o", "out"]).ok().quiet().changes(&["+out"]);
    assert_eq!(env.read("out"), b"");
}

#[test]
fn each_content_has_a_status_line() {
    let env = Env::new();
    let parts = parts(&env);
    let other = parts_of(&split(
        &env,
        b"other",
        &["--size", "2", "--transfer", &"1".repeat(32)],
    ));
    let stream = [&*parts.concat(), &other[0], b"junk"].concat();
    let ran = env
        .relay("join")
        .args(["--status-fd", "3", "-d", "."])
        .shell("", "3>status")
        .stdin(stream)
        .run();
    assert_eq!(ran.status, 65);
    let lines = crate::testenv::json_lines(&env.text("status"));
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["input"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("-", 65), (ID, 0), (&*"1".repeat(32), 75)]);
}

#[test]
fn a_fifo_gets_the_whole_and_nobody_reading_is_no_failure_of_ours() {
    let env = Env::new();
    let stream = parts(&env).concat();
    let made = std::process::Command::new("mkfifo")
        .arg(env.path("fifo"))
        .status();
    assert!(made.unwrap().success());
    let reader = std::thread::spawn({
        let fifo = env.path("fifo");
        move || std::fs::read(fifo).unwrap()
    });
    let join = env.relay("join").args(["-o", "fifo"]).stdin(stream.clone());
    join.ok().quiet().stdout("");
    assert_eq!(reader.join().unwrap(), CONTENT);
    let ran = env
        .relay("join")
        .stdin(stream.clone())
        .without_reader()
        .run();
    assert_eq!((ran.status, ran.stderr.as_str()), (141, ""));
    let full = env
        .relay("join")
        .args(["-o", "/dev/full"])
        .stdin(stream.clone());
    full.fails(74, &format!("{ID}: /dev/full: cannot write"));
    let nowhere = env
        .relay("join")
        .var("TMPDIR", "/nonexistent")
        .stdin(stream);
    let ran = nowhere.fails(74, "cannot create /nonexistent");
    assert_eq!(
        ran.hints(),
        ["set TMPDIR to another directory for temporary files"]
    );
}

#[test]
fn parcels_of_parts_are_opened_and_joined_whatever_their_order() {
    let env = Env::with_peers();
    env.mkdir("road");
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let stream = split(&env, &content, &["--size", "16K", "--name", "survey.tif"]);
    env.relay("seal")
        .args(["-N", "bob", "-t", "alice", "--parts", "-d", "road"])
        .stdin(stream)
        .ok()
        .quiet()
        .stdout("");
    let mut names = env.names("road");
    assert_eq!(names.len(), 7);
    names.reverse();
    let road = names.iter().map(|name| format!("road/{name}"));
    let opened = env.relay("open").args(["-N", "alice"]).args(road.clone());
    let opened = opened.ok().quiet().stdout;
    let join = env
        .relay("join")
        .args(["-d", ".", "--keep-name"])
        .stdin(opened);
    join.ok().quiet().changes(&["+survey.tif"]);
    assert_eq!(env.read("survey.tif"), content);
    // As files, too: each has the name that no sender chose.
    env.mkdir("home");
    let open = env
        .relay("open")
        .args(["-N", "alice", "--again", "-d", "home"]);
    open.args(road).ok().quiet();
    let join = env.relay("join").args(["-o", "joined", "--remove", "home"]);
    join.ok().quiet();
    assert_eq!(env.read("joined"), content);
    assert!(env.names("home").is_empty());
}
