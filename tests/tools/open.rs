//! relay-open

use std::fs;

use crate::testenv::{Env, id, is_root, json_lines, keys_in, sha256};

/// The name that a content has in a directory unless the sender's is used.
fn own_name(sender: &str, recipient: &str, message_id: &str) -> String {
    format!(
        "{}.{}.{}.content",
        id(recipient),
        id(sender),
        sha256(message_id.as_bytes())
    )
}

/// What opening a first parcel of Bob's changes in Alice's node.
const OPENED: [&str; 3] = [
    "*alice/peers/BOB/session.pem",
    "*alice/sessions/BOB/HEX.key",
    "+alice/seen/2026-03-31",
];

#[test]
fn content_goes_to_standard_output() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"a\0b\xff\n");
    env.write("x.parcel", &parcel);
    env.relay("open")
        .args(["-N", "alice", "x.parcel"])
        .ok()
        .quiet()
        .stdout(b"a\0b\xff\n")
        .changes(&OPENED);
    assert_eq!(env.mode("alice/seen/2026-03-31"), 0o600);
}

#[test]
fn empty_content_is_content() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"");
    env.relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("");
    assert_eq!(env.read("out"), b"");
}

#[test]
fn content_goes_to_a_file() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    env.relay("open")
        .args(["-N", "alice", "-o", "out", "-"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&["+out"]);
    assert_eq!(env.read("out"), b"content");
}

#[test]
fn content_goes_into_a_directory_under_a_name_of_its_own() {
    let env = Env::with_peers();
    env.mkdir("in");
    let parcel = env.parcel_with(
        "bob",
        "alice",
        b"content",
        &["--id", "../x", "--name", "evil"],
    );
    env.relay("open")
        .args(["-N", "alice", "-d", "in"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&["+in/ALICE.BOB.HEX.content"]);
    assert_eq!(env.names("in"), [own_name("bob", "alice", "../x")]);
}

/// The media type's name, and the file that --keep-name makes of it; `None`: the parcel's own.
const NAMES: [(&str, Option<&str>); 22] = [
    ("name=\"report.pdf\"", Some("report.pdf")),
    ("name=report.pdf", Some("report.pdf")),
    ("NAME=\"a b.txt\"", Some("a b.txt")),
    ("charset=utf-8; name=\"a;b.txt\"", Some("a;b.txt")),
    ("name=\"/etc/passwd\"", Some("passwd")),
    ("name=\"../../outside\"", Some("outside")),
    ("name=\"..\\\\..\\\\outside\"", Some("outside")),
    ("name=\"sub/file\"", Some("file")),
    ("name=\".bashrc\"", Some("bashrc")),
    ("name=\"..\"", None),
    ("name=\".\"", None),
    ("name=\"...\"", None),
    ("name=\"dir/\"", None),
    ("name=\"\"", None),
    ("name=\"   \"", None),
    ("name*=UTF-8''a%0Ab%1B%5B2Jc%00d%7F", Some("ab[2Jcd")),
    ("name*=UTF-8''%2E%2E%2Foutside", Some("outside")),
    ("name*=UTF-8''%01%2Ebashrc", Some("bashrc")),
    ("name*=UTF-8''r%C3%A9sum%C3%A9.pdf", Some("résumé.pdf")),
    ("name*=UTF-8''%E5%A0%B1%E5%91%8A.pdf", Some("報告.pdf")),
    ("name*=UTF-8''x%E2%80%AEfdp.exe", Some("xfdp.exe")),
    ("name*=UTF-8''%ff%fe", None),
];

#[test]
fn names_of_senders_stay_in_the_directory_and_in_sight() {
    let env = Env::with_peers();
    for (number, (parameter, expected)) in NAMES.iter().enumerate() {
        let dir = format!("in{number}");
        env.mkdir(&dir);
        let message_id = format!("id-{number}");
        let media_type = format!("text/plain; {parameter}");
        let options = ["-y", &media_type, "--id", &message_id];
        let parcel = env.parcel_with("bob", "alice", b"content", &options);
        let name = expected.map_or_else(|| own_name("bob", "alice", &message_id), str::to_owned);
        env.relay("open")
            .args(["-N", "alice", "-d", &dir, "--keep-name"])
            .stdin(parcel)
            .ok()
            .quiet()
            .stdout("");
        assert_eq!(env.names(&dir), [name], "{parameter}");
    }
    let mut top = env.names(".");
    top.retain(|name| !name.starts_with("in"));
    assert_eq!(top, ["alice", "bob", "carol"]);
}

#[test]
fn a_name_that_the_file_system_refuses_stops_no_parcel() {
    for errno in [
        "EINVAL",
        "EILSEQ",
        "ENAMETOOLONG",
        "ENOENT",
        "EISDIR",
        "EEXIST",
        "EPERM",
    ] {
        let env = Env::with_peers();
        env.mkdir("out");
        let mut parcels = Vec::new();
        for (id, name) in [("one", "10:30.txt"), ("two", "b.dat"), ("three", "c:.txt")] {
            let media_type = format!("text/plain; name=\"{name}\"");
            let options = ["--id", id, "-y", &media_type];
            parcels.extend(env.parcel_with("bob", "alice", id.as_bytes(), &options));
        }
        let open = |text: &str| {
            let call = env.relay("open").args(["-N", "alice", "--again"]);
            let call = call
                .args(["-d", "out", "--keep-name"])
                .stdin(parcels.clone());
            call.var("RELAY_FAULT", format!("{errno}={text}"))
        };
        open(":").ok().quiet();
        assert_eq!(
            env.names("out"),
            ["10_30.txt", "b.dat", "c_.txt"],
            "{errno}"
        );
        fs::remove_dir_all(env.path("out")).unwrap();
        env.mkdir("out");
        open(".txt").ok().quiet();
        let own = [
            own_name("bob", "alice", "one"),
            own_name("bob", "alice", "three"),
        ];
        let names = env.names("out");
        assert!(
            own.iter().all(|own| names.contains(own)),
            "{errno}: {names:?}"
        );
    }
}

#[test]
fn a_part_is_not_taken_for_the_content_that_it_belongs_to() {
    let env = Env::with_peers();
    env.write("film", "twenty-three octets ...");
    let split = env.relay("split").args(["--size", "10", "film"]).ok();
    let seal = ["-N", "bob", "-t", "alice", "--parts", "-o", "parts"];
    env.relay("seal").args(seal).stdin(split.stdout).ok();
    let text = "part 1 of larger content";
    let open = || env.relay("open").args(["-N", "alice", "parts"]);
    let ran = open().shell("", "> film2").run();
    assert_eq!((ran.status, env.read("film2").len()), (65, 0));
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    let ran = ran.says_somewhere(text);
    assert!(ran.hints()[0].contains("relay-join -o FILE") && !ran.stderr.contains("--cat"));
    open()
        .args(["-o", "film3"])
        .fails(64, "more than one parcel")
        .says_somewhere("relay-join");
    let one = env.relay("split").arg("film").ok().stdout;
    let seal = ["-N", "bob", "-t", "alice", "--parts", "-o", "one"];
    env.relay("seal").args(seal).stdin(one).ok();
    let open_one = env
        .relay("open")
        .args(["-N", "alice", "-o", "film3", "one"]);
    let refused = open_one.run();
    assert_eq!(refused.status, 65);
    refused.says_somewhere(text).changes(&[]);
    // Nothing was remembered, and a program or a directory gets the parts.
    let stream = open().ok().quiet().stdout;
    let joined = env.relay("join").stdin(stream).ok().quiet();
    assert_eq!(joined.text(), "twenty-three octets ...");
    env.mkdir("out");
    let open_all = env.relay("open").args(["-N", "alice", "-d", "out", "one"]);
    open_all.ok().quiet();
    assert_eq!(env.names("out").len(), 1);
}

#[test]
fn a_name_of_three_hundred_octets_is_cut_before_its_extension() {
    let env = Env::with_peers();
    for (dir, letter, encoded) in [("a", "x", "x"), ("b", "é", "%C3%A9")] {
        env.mkdir(dir);
        let count = 300 / letter.len();
        let media_type = format!("a/b; name*=UTF-8''{}.pdf", encoded.repeat(count));
        for content in ["one", "two"] {
            let parcel = env.parcel_with("bob", "alice", content.as_bytes(), &["-y", &media_type]);
            env.relay("open")
                .args(["-N", "alice", "-d", dir, "--keep-name"])
                .stdin(parcel)
                .ok()
                .quiet();
        }
        let names = env.names(dir);
        assert_eq!(names.len(), 2, "{names:?}");
        for name in names {
            assert!((100..=255).contains(&name.len()), "{name}");
            let stem = name.strip_suffix(".pdf").unwrap();
            let stem = stem.strip_suffix("~2").unwrap_or(stem);
            assert_eq!(stem, letter.repeat(stem.len() / letter.len()));
        }
    }
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let env = Env::with_peers();
    env.mkdir("in");
    env.write("in/report.pdf", "mine");
    env.write("in/README", "mine");
    let send = |content: &str, name: &str| {
        let parcel = env.parcel_with("bob", "alice", content.as_bytes(), &["--name", name]);
        env.relay("open")
            .args(["-N", "alice", "-f", "-d", "in", "--keep-name"])
            .stdin(parcel)
            .ok()
            .quiet()
            .stdout("")
    };
    send("one", "report.pdf").changes_outside_nodes(&["+in/report~2.pdf"]);
    send("two", "report.pdf").changes_outside_nodes(&["+in/report~3.pdf"]);
    send("two", "report.pdf").changes_outside_nodes(&[]);
    send("one", "README").changes_outside_nodes(&["+in/README~2"]);
    send("one", "a~2.pdf").changes_outside_nodes(&["+in/a~2.pdf"]);
    assert_eq!(env.read("in/report.pdf"), b"mine", "not even with -f");
    assert_eq!(env.read("in/report~2.pdf"), b"one");
    assert_eq!(env.read("in/report~3.pdf"), b"two");
}

/// A link under the sender's name: the content goes elsewhere.
#[test]
fn a_name_is_never_written_through_what_is_there() {
    let env = Env::with_peers();
    env.mkdir("in");
    env.write("target", "mine");
    env.link("../target", "in/link");
    env.link("../nowhere", "in/dangling");
    for name in ["link", "dangling"] {
        let parcel = env.parcel_with("bob", "alice", b"content", &["--name", name]);
        env.relay("open")
            .args(["-N", "alice", "-d", "in", "--keep-name"])
            .stdin(parcel)
            .ok()
            .quiet()
            .stdout("")
            .changes_outside_nodes(&[&format!("+in/{name}~2")]);
    }
    assert_eq!(env.read("target"), b"mine");
}

#[test]
fn a_second_parcel_is_refused_before_anything_is_written() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one");
    let two = env.parcel("bob", "alice", b"two");
    env.write("one.parcel", &one);
    env.write("two.parcel", &two);
    env.write("both.parcels", [&*one, &two].concat());
    env.write("junk.parcels", [&*one, b"junk"].concat());
    for output in [&[][..], &["-o", "out"], &["-f", "-o", "-"]] {
        let text = "more than one parcel";
        let open = || env.relay("open").args(["-N", "alice"]).args(output);
        open().args(["one.parcel", "two.parcel"]).fails(64, text);
        open().arg("both.parcels").fails(64, text);
        open().stdin([&*one, &two].concat()).fails(64, text);
        open().args(["one.parcel", "missing"]).fails(64, text);
        open().arg("junk.parcels").fails(65, "junk.parcels");
    }
    env.relay("open")
        .args(["-N", "alice", "one.parcel"])
        .ok()
        .stdout("one");
}

#[test]
fn several_parcels_with_cat() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one,");
    let two = env.parcel("carol", "alice", b"two,");
    let three = env.parcel("bob", "alice", b"three");
    env.write("both.parcels", [&*one, &two].concat());
    env.relay("open")
        .args(["-N", "alice", "--cat", "both.parcels", "-"])
        .stdin(three)
        .ok()
        .quiet()
        .stdout("one,two,three")
        .changes_outside_nodes(&[]);
    env.relay("open")
        .args(["-N", "alice", "--cat", "-o", "out", "both.parcels"])
        .fails(64, "--cat writes to standard output");
    env.relay("open")
        .args(["-N", "alice", "--cat", "-d", ".", "both.parcels"])
        .fails(
            64,
            "the argument '--cat' cannot be used with '--directory <DIR>'",
        );
}

#[test]
fn the_bad_ones_are_named_and_the_others_opened() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one,");
    let foreign = env.parcel("alice", "carol", b"bad");
    let two = env.parcel("bob", "alice", b"two");
    env.write("x.parcels", [&*one, &foreign, &two].concat());
    let ran = env
        .relay("open")
        .args(["-N", "alice", "--cat", "x.parcels"])
        .run()
        .says(&[&format!("x.parcels[2]: addressed to {}", id("carol"))])
        .stdout("one,two")
        .changes_outside_nodes(&[]);
    assert_eq!(ran.status, 67);
}

#[test]
fn where_framing_is_lost_the_rest_is_refused() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one,");
    let two = env.parcel("bob", "alice", b"two,");
    let three = env.parcel("bob", "alice", b"three");
    env.write("x.parcels", [&*one, &two, b"junk", &three].concat());
    let ran = env
        .relay("open")
        .args(["-N", "alice", "--cat", "x.parcels"])
        .run()
        .says(&["x.parcels[2]: "])
        .stdout("one,")
        .changes_outside_nodes(&[]);
    assert_eq!(ran.status, 65);
    // The one before the junk is refused too: what follows it makes it doubtful. It was not remembered.
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(two)
        .ok()
        .quiet()
        .stdout("two,");
}

#[test]
fn pem_and_binary_in_any_mixture() {
    let env = Env::with_peers();
    let binary = env.parcel("bob", "alice", b"1");
    let armored = env.parcel_with("bob", "alice", b"2", &["--armor"]);
    let also_binary = env.parcel("bob", "alice", b"3");
    let also_armored = env.parcel_with("bob", "alice", b"4", &["--armor"]);
    assert!(armored.starts_with(b"-----BEGIN RELAYNET PARCEL-----\n"));
    let mixed = [
        &*binary,
        &armored,
        &also_binary,
        &armored[..0],
        &also_armored,
    ]
    .concat();
    env.relay("open")
        .args(["-N", "alice", "--cat"])
        .stdin(mixed)
        .ok()
        .quiet()
        .stdout("1234");

    let crlf = String::from_utf8(env.parcel_with("bob", "alice", b"5", &["--armor"]))
        .unwrap()
        .replace('\n', "\r\n");
    let mail = format!("Dear Alice,\r\nhere it is.\r\n\r\n{crlf}");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(mail)
        .ok()
        .quiet()
        .stdout("5");
}

#[test]
fn an_empty_input_is_no_input() {
    let env = Env::with_peers();
    env.write("empty", "");
    let parcel = env.parcel("bob", "alice", b"content");
    env.relay("open")
        .args(["-N", "alice"])
        .fails(66, "-: empty");
    env.relay("open")
        .args(["-N", "alice", "-o", "out", "empty"])
        .fails(66, "empty: empty");
    env.relay("open")
        .args(["-N", "alice", "/dev/null"])
        .fails(66, "/dev/null: empty");
    for output in [&[][..], &["-o", "out"], &["--cat"], &["-d", "."]] {
        env.relay("open")
            .args(["-N", "alice", "--allow-empty", "empty"])
            .args(output)
            .ok()
            .quiet()
            .stdout("")
            .changes(&[]);
    }
    let ran = env
        .relay("open")
        .args(["-N", "alice", "--cat", "empty", "-"])
        .stdin(parcel)
        .run()
        .says(&["empty: empty"])
        .stdout("content");
    assert_eq!(ran.status, 66);
}

#[test]
fn inputs_that_cannot_be_read() {
    let env = Env::with_peers();
    env.mkdir("dir");
    env.relay("open")
        .args(["-N", "alice", "missing"])
        .fails(66, "missing: cannot open: No such file or directory");
    env.relay("open")
        .args(["-N", "alice", "dir"])
        .fails(66, "dir: ");
    env.relay("open")
        .args(["-N", "alice", "a\x1b[2Jb"])
        .fails(66, "a\\u{1b}[2Jb: ");
    env.relay("open")
        .args(["-N", "alice", "--cat", "-", "-"])
        .fails(64, "standard input can be read only once");
    if !is_root("an input that cannot be read") {
        env.write("secret", "x");
        env.chmod("secret", 0);
        env.relay("open")
            .args(["-N", "alice", "secret"])
            .fails(66, "secret: cannot open");
    }
}

#[test]
fn a_second_copy_is_refused_and_opened_again_on_demand() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    env.write("x.parcel", &parcel);
    env.relay("open")
        .args(["-N", "alice", "x.parcel"])
        .ok()
        .stdout("content");
    let ran = env
        .relay("open")
        .args(["-N", "alice", "-o", "out", "x.parcel"])
        .fails(82, "x.parcel: already received");
    assert!(ran.hints()[0].starts_with("--again "), "{:?}", ran.hints());
    env.relay("open")
        .args(["-N", "alice", "--again", "x.parcel"])
        .ok()
        .quiet()
        .stdout("content");

    // It is decided before decryption.
    fs::remove_dir_all(env.path("alice/sessions")).unwrap();
    env.relay("open")
        .args(["-N", "alice", "x.parcel"])
        .fails(82, "x.parcel: already received");
    env.relay("open")
        .args(["-N", "alice", "--again", "x.parcel"])
        .fails(67, "x.parcel: sealed to session key ");
}

/// The identity is recipient, sender and id: not the octets.
#[test]
fn another_parcel_with_the_same_id_is_a_repetition() {
    let env = Env::with_peers();
    let first = env.parcel_with("bob", "alice", b"first", &["--id", "same"]);
    let second = env.parcel_with("bob", "alice", b"second", &["--id", "same", "--ttl", "2d"]);
    let of_carol = env.parcel_with("carol", "alice", b"carol's", &["--id", "same"]);
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(first)
        .ok()
        .stdout("first");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(second)
        .fails(82, "-: already received");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(of_carol)
        .ok()
        .stdout("carol's");
}

#[test]
fn what_is_dated_wrong() {
    let env = Env::with_peers();
    let parcel = env.parcel_with("bob", "alice", b"content", &["--ttl", "1h"]);
    env.write("x.parcel", &parcel);
    let open = |now: &str| {
        env.relay("open")
            .at(now)
            .args(["-N", "alice", "-o", "out", "x.parcel"])
    };
    // It is dated five minutes before noon, and clocks may differ by two hours.
    let ran = open("2026-03-01T14:55:01Z").fails(80, "x.parcel: expired at 2026-03-01T12:55:00Z");
    assert_eq!(
        ran.hints(),
        ["ask the sender for a new one, or check this clock"]
    );
    let ran = open("2026-03-01T09:54:59Z").fails(81, "x.parcel: dated in the future");
    assert_eq!(ran.hints().len(), 1);
    open("2026-03-01T12:00:00Z")
        .arg("--clock-drift")
        .arg("1s")
        .ok()
        .quiet();
    assert_eq!(env.read("out"), b"content");
    open("2026-03-01T14:54:59Z")
        .args(["--again", "-f"])
        .ok()
        .quiet();
    open("2026-03-01T09:55:01Z")
        .args(["--again", "-f"])
        .ok()
        .quiet();
    open("2026-03-01T12:55:02Z")
        .args(["--again", "-f", "--clock-drift", "1s"])
        .fails(80, "x.parcel: expired at");
}

/// The authorization of a sender ends by itself.
#[test]
fn an_authorization_that_has_ended() {
    let env = Env::new();
    for node in ["alice", "bob"] {
        env.make_node(node, &[]);
    }
    env.introduce("bob", "alice", &["--valid", "2d"]);
    let parcel = env
        .relay("seal")
        .args(["-q", "-N", "bob", "-t", "alice"])
        .stdin("x")
        .ok()
        .stdout;
    // The parcel's life was cut to the authorization's, so both end together.
    env.relay("open")
        .at("2026-03-03T14:00:01Z")
        .args(["-N", "alice"])
        .stdin(parcel)
        .fails(80, "-: ");
}

#[test]
fn several_failures_have_one_status() {
    let env = Env::with_peers();
    env.mkdir("in");
    let now = env.parcel("bob", "alice", b"now");
    let late = |content: &[u8]| {
        env.relay("seal")
            .at("2026-03-02T12:00:00Z")
            .args(["-N", "bob", "-t", "alice"])
            .stdin(content)
            .ok()
            .stdout
    };
    env.write("early-1", late(b"early"));
    env.write("early-2", late(b"early too"));
    env.write("seen", env.parcel("bob", "alice", b"seen"));
    env.write("foreign", env.parcel("alice", "carol", b"x"));
    env.write("cut", &now[..now.len() - 1]);
    env.write("good", &now);
    env.relay("open").args(["-N", "alice", "seen"]).ok();
    let status = |files: &[&str]| {
        let ran = env
            .relay("open")
            .args(["-N", "alice", "--again"])
            .args(["-d", "in"])
            .args(files)
            .run();
        ran.status
    };
    let once = |files: &[&str]| {
        env.relay("open")
            .args(["-N", "alice", "-d", "in"])
            .args(files)
            .run()
            .status
    };
    assert_eq!(status(&["early-1"]), 81);
    assert_eq!(status(&["early-1", "early-2"]), 75);
    assert_eq!(status(&["good", "early-1"]), 75);
    assert_eq!(status(&["early-1", "foreign", "cut"]), 67);
    assert_eq!(status(&["early-1", "cut", "foreign"]), 65);
    assert_eq!(status(&["missing", "early-1"]), 66);
    assert_eq!(once(&["seen"]), 82);
    assert_eq!(once(&["seen", "seen"]), 0);
    assert_eq!(once(&["seen", "good"]), 0);
    assert_eq!(once(&["seen", "early-1"]), 75);
    assert_eq!(once(&["seen", "cut", "early-1"]), 65);
}

#[test]
fn facts_as_json() {
    let env = Env::with_peers();
    env.mkdir("in");
    let options = [
        "--id",
        "one",
        "-y",
        "text/plain; charset=utf-8; name=\"../a.txt\"",
        "--ttl",
        "1d",
    ];
    let one = env.parcel_with("bob", "alice", b"12345", &options);
    let two = env.parcel_with("carol", "alice", b"", &["--id", "two"]);
    env.relay("peers")
        .args(["-N", "alice", "--rename", "bobby", "bob"])
        .ok();
    env.write("x.parcels", [&*one, &two].concat());
    let ran = env
        .relay("open")
        .args([
            "-N",
            "alice",
            "--json",
            "--keep-name",
            "-d",
            "in",
            "x.parcels",
        ])
        .ok()
        .quiet();
    let lines = ran.json();
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
    ];
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(keys_in(line), keys);
    }
    assert_eq!(
        lines[0],
        serde_json::json!({
            "v": 1, "input": "x.parcels", "index": 1, "path": "in/a.txt", "sender": id("bob"), "peer": "bobby",
            "recipient": id("alice"), "type": "text/plain; charset=utf-8", "name": "../a.txt", "id": "one",
            "date": "2026-03-01T11:55:00Z", "expiry": "2026-03-02T11:55:00Z", "size": 5,
        })
    );
    assert_eq!(lines[1]["name"], serde_json::Value::Null);
    assert_eq!(
        lines[1]["path"],
        format!("in/{}", own_name("carol", "alice", "two"))
    );
    assert_eq!(lines[1]["type"], "application/octet-stream");

    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("open")
        .args(["-N", "alice", "--json"])
        .stdin(&*parcel)
        .fails(64, "--json needs -d DIR or -o FILE");
    let ran = env
        .relay("open")
        .args(["-N", "alice", "--json", "-o", "out"])
        .stdin(parcel)
        .ok();
    assert_eq!(ran.json()[0]["path"], "out");
}

#[test]
fn a_status_line_for_each_message() {
    let env = Env::with_peers();
    let one = env.parcel("bob", "alice", b"one");
    let two = env.parcel("alice", "carol", b"two");
    env.write("x.parcels", [&*one, &two].concat());
    let ran = env
        .relay("open")
        .args([
            "-N",
            "alice",
            "--cat",
            "--status-fd",
            "3",
            "x.parcels",
            "missing",
        ])
        .shell("", "3>>status")
        .run()
        .stdout("one")
        .changes_outside_nodes(&["+status"]);
    assert_eq!(ran.status, 67);
    let lines = json_lines(&env.text("status"));
    for line in &lines {
        assert_eq!(keys_in(line), ["v", "input", "index", "status", "error"]);
    }
    let brief: Vec<_> = lines
        .iter()
        .map(|line| format!("{} {} {}", line["input"], line["index"], line["status"]))
        .collect();
    assert_eq!(
        brief,
        [
            "\"x.parcels\" 1 0",
            "\"x.parcels\" 2 67",
            "\"missing\" 1 66"
        ]
    );
    assert_eq!(lines[0]["error"], serde_json::Value::Null);
    let said = ran.diagnostics();
    assert_eq!(
        said[0],
        format!("x.parcels[2]: {}", lines[1]["error"].as_str().unwrap())
    );

    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("open")
        .args(["-N", "alice", "--status-fd", "77"])
        .stdin(parcel)
        .fails(64, "file descriptor 77 is not open");
}

#[test]
fn outputs_that_exist() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    env.write("out", "mine");
    let ran = env
        .relay("open")
        .args(["-N", "alice", "-o", "out"])
        .stdin(&*parcel)
        .fails(73, "-: out: already exists");
    assert_eq!(ran.hints(), ["-f replaces it"]);
    env.chmod("out", 0o640);
    env.relay("open")
        .args(["-N", "alice", "-f", "-o", "out"])
        .stdin(parcel)
        .ok()
        .quiet()
        .changes_outside_nodes(&["*out"]);
    assert_eq!(env.read("out"), b"content");
    assert_eq!(env.mode("out"), 0o640);
}

#[test]
fn outputs_that_cannot_be_created() {
    let env = Env::with_peers();
    env.mkdir("dir");
    env.write("file", "");
    let parcel = env.parcel("bob", "alice", b"content");
    for (output, said) in [
        (["-o", "missing/out"], "missing/out"),
        (["-o", "file/out"], "file/out"),
        (["-o", "dir"], "dir: "),
        (["-d", "missing"], "missing/"),
        (["-d", "file"], "file/"),
    ] {
        let ran = env
            .relay("open")
            .args(["-N", "alice"])
            .args(output)
            .stdin(&*parcel)
            .run();
        assert_eq!(ran.status, 73, "{output:?} {}", ran.stderr);
        ran.says_somewhere(said).stdout("").changes(&[]);
    }
    if !is_root("a directory that cannot be written") {
        env.chmod("dir", 0o555);
        env.relay("open")
            .args(["-N", "alice", "-o", "dir/out"])
            .stdin(&*parcel)
            .fails(73, "dir/out: ");
    }
    // Not remembered, so it can be had once more.
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .stdout("content");
}

#[test]
fn outputs_that_fail_leave_the_parcel_to_be_opened() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let ran = env
        .relay("open")
        .args(["-N", "alice"])
        .stdin(&*parcel)
        .shell("", ">/dev/full")
        .fails(74, "cannot write: No space left on device");
    assert!(ran.hints().is_empty());
    env.relay("open")
        .args(["-N", "alice", "-o", "/dev/full"])
        .stdin(&*parcel)
        .fails(74, "-: /dev/full: cannot write: No space left on device");
    let ran = env
        .relay("open")
        .args(["-N", "alice"])
        .stdin(&*parcel)
        .without_reader()
        .run()
        .quiet()
        .changes(&[]);
    assert_eq!(ran.status, 141);
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .stdout("content");
}

#[test]
fn devices_and_links_as_outputs() {
    let env = Env::with_peers();
    env.write("target", "old");
    env.link("target", "link");
    env.link("new", "dangling");
    let parcel = env.parcel("bob", "alice", b"content");
    let open = || {
        env.relay("open")
            .args(["-N", "alice", "--again"])
            .stdin(&*parcel)
    };
    open()
        .args(["-o", "/dev/null"])
        .ok()
        .quiet()
        .changes_outside_nodes(&[]);
    assert!(fs::metadata("/dev/null").unwrap().len() == 0);
    open()
        .args(["-o", "/dev/stdout"])
        .ok()
        .quiet()
        .stdout("content");
    open()
        .args(["-o", "link"])
        .fails(73, "-: link: already exists");
    open()
        .args(["-f", "-o", "link"])
        .ok()
        .quiet()
        .changes_outside_nodes(&["*target"]);
    assert_eq!(env.read("target"), b"content");
    open()
        .args(["-o", "dangling"])
        .fails(73, "-: dangling: already exists");
    open()
        .args(["-f", "-o", "dangling"])
        .ok()
        .quiet()
        .changes_outside_nodes(&["+new"]);
    assert_eq!(env.read("new"), b"content");
}

#[test]
fn the_umask_bounds_what_is_written_and_not_the_secrets() {
    for (umask, mode) in [("000", 0o666), ("022", 0o644), ("077", 0o600)] {
        let env = Env::with_peers();
        let parcel = env.parcel("bob", "alice", b"content");
        env.relay("open")
            .args(["-N", "alice", "-o", "out"])
            .stdin(parcel)
            .shell(&format!("umask {umask}"), "")
            .ok()
            .quiet();
        assert_eq!(env.mode("out"), mode, "{umask}");
        for (path, (mode, content)) in env.tree() {
            if path.starts_with("alice/") {
                let secret = if content == crate::testenv::Content::Dir {
                    0o700
                } else {
                    0o600
                };
                assert_eq!(mode, secret, "{umask} {path}");
            }
        }
    }
}

#[test]
fn a_node_that_is_not_right() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let open = || {
        env.relay("open")
            .args(["-N", "alice", "-o", "out"])
            .stdin(&*parcel)
    };
    env.relay("open")
        .args(["-N", "nowhere"])
        .stdin(&*parcel)
        .fails(78, "nowhere is not a node directory");

    let config = env.text("alice/config");
    for (line, said) in [
        ("adress = a.example.org", "no such setting"),
        ("ttl = 1y", "ttl: not a duration"),
        ("type = courier", "type: neither endpoint nor gateway"),
        ("nonsense", "not key = value"),
    ] {
        env.write("alice/config", format!("{config}{line}\n"));
        let number = config.lines().count() + 1;
        open()
            .fails(78, &format!("alice/config: line {number}: "))
            .says_somewhere(said);
    }
    env.write("alice/config", &config);

    let version = env.text("alice/VERSION");
    env.write("alice/VERSION", "relay-node 2\n");
    open().fails(
        78,
        "alice is a node directory of another version: relay-node 2 is newer than these programs: upgrade them",
    );
    for (other, said) in [
        ("\n", "its VERSION is empty"),
        ("relay-node 0\n", "relay-node 0"),
        ("relay-node x\n", "relay-node x"),
    ] {
        env.write("alice/VERSION", other);
        let said = format!("alice is a node directory of another version: {said}");
        open().fails(78, &said);
    }
    env.write("alice/VERSION", &version);

    let sessions = format!("alice/sessions/{}", id("bob"));
    let key = format!("{sessions}/{}", env.names(&sessions)[0]);
    env.chmod(&key, 0o640);
    let ran = open().fails(78, &format!("-: {key}: open to other users (mode 0640)"));
    assert_eq!(ran.hints(), [format!("chmod 600 {key}")]);
    env.chmod(&key, 0o600);
    let octets = env.read(&key);
    env.write(&key, "nonsense");
    open().fails(78, &format!("-: {key}: "));
    env.write(&key, octets);
    open().ok().quiet();
}

#[test]
fn another_clock_needs_a_test_node() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let config = env.text("alice/config").replace("clock = test\n", "");
    env.write("alice/config", config);
    let ran = env
        .relay("open")
        .args(["-N", "alice"])
        .stdin(&*parcel)
        .fails(78, "--now is refused");
    assert_eq!(ran.hints().len(), 1);
    env.relay("open")
        .at_any_time()
        .args(["-N", "alice", "--now", "2026-03-01T12:00:00Z"])
        .stdin(parcel)
        .fails(78, "--now is refused");
}

#[test]
fn the_time_is_announced() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"content");
    let ran = env.relay("open").args(["-N", "alice"]).stdin(&*parcel).ok();
    assert_eq!(
        ran.stderr,
        "relay-open: the time is taken to be 2026-03-01T12:00:00Z\n"
    );
    let ran = env
        .relay("open")
        .args(["-q", "--again", "-N", "alice"])
        .stdin(&*parcel)
        .ok();
    assert_eq!(ran.stderr, "");
    let ran = env
        .relay("open")
        .args([
            "--again",
            "-N",
            "alice",
            "--now",
            "2026-03-01T12:30:00+00:00",
        ])
        .stdin(&*parcel)
        .ok();
    assert_eq!(
        ran.stderr, "relay-open: the time is taken to be 2026-03-01T12:30:00Z\n",
        "the option wins"
    );
    let ran = env
        .relay("open")
        .args(["-v", "--again", "-N", "alice"])
        .stdin(parcel)
        .ok();
    let event = ran.diagnostics();
    assert_eq!(event.len(), 1);
    assert!(event[0].starts_with("event=opened id="), "{event:?}");
    assert!(
        event[0].ends_with(&format!(" from={}", id("bob"))),
        "{event:?}"
    );
    assert!(!ran.stderr.contains("content"));
}

#[test]
fn command_lines_that_are_wrong() {
    let env = Env::with_peers();
    for (args, text) in [
        (
            &["--nonsense"][..],
            "unexpected argument '--nonsense' found",
        ),
        (&["-Z"], "unexpected argument '-Z' found"),
        (&["-N"], "a value is required for '--node <DIR>'"),
        (
            &["--keep-name"],
            "the following required arguments were not provided",
        ),
        (&["-o", "a", "-d", "."], "the argument "),
        (&["-q", "-v"], "the argument "),
        (
            &["--clock-drift", "1y"],
            "invalid value '1y' for '--clock-drift <DURATION>'",
        ),
        (
            &["--now", "noon"],
            "invalid value 'noon' for '--now <TIME>'",
        ),
        (
            &["--recipient", "07"],
            "invalid value '07' for '--recipient <ID>'",
        ),
        (
            &["--session-key-id", "00"],
            "the following required arguments were not provided",
        ),
        (&["--chain", "x"], "--chain and --recipient go with"),
        (&["--trust", "x"], "--session-key is needed"),
        (&["--session-key", "x"], "--trust or --any-sender is needed"),
        (&["--status-fd", "-1"], ""),
    ] {
        let ran = env.relay("open").args(["-N", "alice"]).args(args).run();
        let expected = if args[0] == "--trust" || args[0] == "--session-key" {
            "-N cannot be used with"
        } else {
            text
        };
        assert_eq!(ran.status, 64, "{args:?}: {}", ran.stderr);
        ran.says(&[expected]).stdout("").changes(&[]);
    }
    env.relay("open")
        .arg("--trust")
        .arg("x")
        .fails(64, "--session-key is needed");
    env.relay("open")
        .arg("--session-key")
        .arg("x")
        .fails(64, "--trust or --any-sender is needed");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let env = Env::new();
    for program in [
        "keygen",
        "export",
        "authorize",
        "import",
        "peers",
        "seal",
        "open",
        "verify",
        "inspect",
    ] {
        let version = env!("CARGO_PKG_VERSION");
        for option in ["-V", "--version"] {
            env.relay(program)
                .arg(option)
                .ok()
                .quiet()
                .stdout(format!("relay-{program} {version}\n"))
                .changes(&[]);
        }
        for option in ["-h", "--help"] {
            let ran = env.relay(program).arg(option).ok().quiet().changes(&[]);
            assert!(
                ran.text().contains(&format!("Usage: relay-{program}")),
                "{}",
                ran.text()
            );
        }
        let ran = env
            .relay(program)
            .arg("--help")
            .without_reader()
            .run()
            .quiet();
        assert_eq!(ran.status, 141, "{program}");
        let ran = env
            .relay(program)
            .arg("--help")
            .shell("", ">/dev/full")
            .run();
        assert_eq!(ran.status, 74, "{program}");
        let ran = env
            .relay(program)
            .arg("--xyzzy")
            .fails(64, "unexpected argument");
        assert_eq!(ran.hints(), ["see --help"]);
    }
}

/// A renewed authorization is taken in, and no content is written.
#[test]
fn an_authorization_in_a_parcel_is_imported() {
    let env = Env::with_peers();
    env.mkdir("in");
    let renewed = env
        .relay("authorize")
        .at("2026-05-01T12:00:00Z")
        .args(["-q", "-N", "bob", "--valid", "170d", "--der", &id("alice")])
        .ok()
        .stdout;
    let parcel = env
        .relay("seal")
        .at("2026-04-20T12:00:00Z")
        .args([
            "-N",
            "bob",
            "-t",
            "alice",
            "-y",
            "application/vnd+relaycorp.awala.pda-path",
        ])
        .stdin(renewed)
        .ok()
        .stdout;
    let ran = env
        .relay("open")
        .at("2026-05-01T12:10:00Z")
        .args(["-N", "alice", "-d", "in", "--json"])
        .stdin(parcel)
        .ok()
        .quiet()
        .stdout("")
        .changes_outside_nodes(&[]);
    let held: Vec<String> = ran
        .changed()
        .into_iter()
        .filter(|path| path.contains("/held/"))
        .collect();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(
        held[0].starts_with("+alice/peers/BOB/held/20261018T"),
        "{held:?}"
    );
}

/// Only its issuer may send it, and only to the node that it is for.
#[test]
fn an_authorization_of_others_is_refused() {
    let env = Env::with_peers();
    let of_carol = env
        .relay("authorize")
        .args(["-q", "-N", "carol", "--der", &id("alice")])
        .ok()
        .stdout;
    let for_carol = env
        .relay("authorize")
        .args(["-q", "-N", "bob", "--der", "-"])
        .stdin(env.read("carol/identity.pub"))
        .ok()
        .stdout;
    for (params, status) in [(of_carol, 77), (for_carol, 77), (b"nonsense".to_vec(), 65)] {
        let parcel = env.parcel_with(
            "bob",
            "alice",
            &params,
            &["-y", "application/vnd+relaycorp.awala.pda-path"],
        );
        env.relay("open")
            .args(["-N", "alice"])
            .stdin(parcel)
            .fails(status, "-: ");
    }
}

#[test]
fn what_killed_runs_left_beside_the_output_is_removed_when_it_is_old() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"secret");
    env.mkdir("out");
    let left = |name: &str, is_old: bool| {
        env.write(format!("out/{name}"), "half");
        if is_old {
            let file = fs::File::options()
                .write(true)
                .open(env.path(format!("out/{name}")));
            let days = std::time::Duration::from_secs(40 * 3600);
            file.unwrap()
                .set_modified(std::time::SystemTime::now() - days)
                .unwrap();
        }
    };
    for target in [["-o", "out/file"], ["-d", "out"]] {
        left(".relay-old.tmp", true);
        left(".relay-new.tmp", false);
        left("old.tmp", true);
        let open = env
            .relay("open")
            .args(["-N", "alice", "--again"])
            .args(target);
        open.stdin(&parcel[..]).ok().quiet();
        let names = env.names("out");
        assert!(!names.contains(&".relay-old.tmp".to_owned()), "{names:?}");
        assert_eq!(names.len(), 3 + usize::from(target[0] == "-d"), "{names:?}");
    }
}

#[test]
fn a_killed_run_leaves_nothing_incomplete_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"secret");
    let (mut kills, mut open_ones) = (0, 0);
    for force in [&["-f"][..], &[]] {
        for step in 1..100 {
            env.mkdir("out");
            env.write("out/taken", "before");
            let file = if force.is_empty() {
                "out/new"
            } else {
                "out/taken"
            };
            let open = env
                .relay("open")
                .args(["-N", "alice", "--again", "-o", file])
                .args(force);
            let open = open.var("RELAY_FAULT", format!("kill:{step}"));
            // A shell of its own, so that the test survives, too.
            let open = open.shell("\"$0\" \"$@\"; exit $?", "");
            let was_killed = open.stdin(&parcel[..]).run().status == 128 + 9;
            for name in env.names("out") {
                let meta = fs::metadata(env.path(format!("out/{name}"))).unwrap();
                let is_open = meta.permissions().mode() & 0o077 != 0;
                open_ones += usize::from(name.starts_with(".relay-") && is_open);
            }
            fs::remove_dir_all(env.path("out")).unwrap();
            if !was_killed {
                break;
            }
            kills += 1;
        }
    }
    // A complete one has the mode of the result immediately before it gets its name.
    assert!(kills > 5 && open_ones <= 1, "{kills}: {open_ones}");
}

#[test]
fn a_hint_is_given_once_in_a_run() {
    let env = Env::with_gateways();
    let cargo = env.cargo("gateway", "hub", env.parcel("alice", "bob", b"x"));
    env.write("a", &cargo);
    env.write("b", &cargo);
    env.mkdir("out");
    let open = env
        .relay("open")
        .args(["-N", "alice", "-d", "out", "a", "b"]);
    let ran = open.run();
    assert_eq!(ran.diagnostics().len(), 2, "{}", ran.stderr);
    assert_eq!(ran.hints(), ["relay-unpack-cargo takes it"]);
}
