//! relay-split: the parts that it writes, and what it refuses before it writes any.

use relaynet::message::Part;
use relaynet::message::parts::{MAX_EMITTED_CONTENT_LEN, PartStream};

use crate::testenv::{Env, sha256};

/// A transfer id.
pub(crate) const ID: &str = "000102030405060708090a0b0c0d0e0f";

/// The octets of each part in a stream.
pub(crate) fn parts(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut input = PartStream::new(&mut stream);
    let mut parts = Vec::new();
    let mut part = Vec::new();
    while let Some(next) = input.next_part(&mut part) {
        next.unwrap();
        parts.push(std::mem::take(&mut part));
    }
    parts
}

/// A stream of parts of this content.
pub(crate) fn split(env: &Env, content: &[u8], options: &[&str]) -> Vec<u8> {
    let split = env.relay("split").args(options).stdin(content);
    split.ok().quiet().changes(&[]).stdout
}

#[test]
fn every_part_says_where_its_place_is_and_the_last_what_the_whole_is() {
    let env = Env::new();
    let content: Vec<u8> = (0..=255).cycle().take(2500).collect();
    let parts = parts(&split(&env, &content, &["--size", "1K", "--name", "a b"]));
    let parts: Vec<Part<'_>> = parts.iter().map(|it| Part::parse(it).unwrap()).collect();
    assert_eq!(parts.len(), 3);
    for (at, part) in parts.iter().enumerate() {
        let header = part.header();
        assert_eq!(header.transfer, parts[0].header().transfer);
        assert_eq!((header.index as usize, header.size), (at + 1, 1024));
        assert_eq!(header.name.as_deref(), Some("a b"));
        let digest = header.sha256.map(|it| relaynet::asn1::Hex(&it).to_string());
        assert_eq!(digest, (at == 2).then(|| sha256(&content)));
        let end = content.len().min(1024 * (at + 1));
        assert!(part.content() == &content[1024 * at..end]);
    }
}

#[test]
fn content_that_ends_where_a_part_does_has_no_empty_part() {
    let env = Env::new();
    for (len, count) in [(1, 1), (10, 1), (11, 2), (20, 2)] {
        let parts = parts(&split(&env, &vec![7; len], &["--size", "10"]));
        assert_eq!(parts.len(), count, "{len}");
        assert!(Part::parse(&parts[count - 1]).unwrap().header().is_last());
    }
}

#[test]
fn the_same_transfer_is_cut_into_the_same_octets() {
    let env = Env::new();
    let cut = |options: &[&str]| split(&env, b"the content", options);
    assert_ne!(cut(&["--size", "4"]), cut(&["--size", "4"]));
    let whole = cut(&["--size", "4", "--transfer", ID]);
    let upper = ID.to_uppercase();
    assert_eq!(cut(&["--size", "4", "--transfer", &upper]), whole);
    let all = parts(&whole);
    for (only, expected) in [
        (&["2"][..], &all[1..2]),
        (&["1-2"], &all[..2]),
        (&["2-"], &all[1..]),
        (&["1", "3-9"], &[all[0].clone(), all[2].clone()]),
    ] {
        let mut options = vec!["--size", "4", "--transfer", ID];
        options.extend(only.iter().flat_map(|only| ["--only", only]));
        assert_eq!(cut(&options), expected.concat(), "{only:?}");
    }
}

#[test]
fn a_directory_gets_a_file_for_each_and_keeps_what_it_has() {
    let env = Env::new();
    env.mkdir("out");
    env.write("content", "0123456789");
    let run = |options: &[&str]| {
        env.relay("split")
            .args(["--size", "4", "--transfer", ID, "-d", "out"])
            .args(options)
            .arg("content")
    };
    let names: Vec<String> = (1..=3)
        .map(|at| format!("out/{ID}.000000{at}.part"))
        .collect();
    let new: Vec<_> = names
        .iter()
        .map(|name| format!("+{}", name.replace(ID, "HEX")))
        .collect();
    let new: Vec<&str> = new.iter().map(String::as_str).collect();
    run(&[]).ok().quiet().stdout("").changes(&new);
    run(&[]).ok().quiet().changes(&[]);
    let stream = split(&env, b"0123456789", &["--size", "4", "--transfer", ID]);
    let files: Vec<u8> = names.iter().flat_map(|name| env.read(name)).collect();
    assert_eq!(files, stream);
    // Other content of the same transfer would contradict it.
    env.write("content", "0123");
    let ran = run(&[]).run();
    assert_eq!(ran.status, 73);
    ran.says(&["out/0001"]).changes(&[]);
    run(&["-f"]).ok().quiet();
}

#[test]
fn a_file_is_whole_or_not_there() {
    let env = Env::new();
    env.write("content", "0123456789");
    let run = |options: &[&str]| {
        env.relay("split")
            .args(options)
            .args(["-o", "out", "content"])
    };
    run(&["--keep-name"])
        .ok()
        .quiet()
        .stdout("")
        .changes(&["+out"]);
    let stream = parts(&env.read("out"));
    let header = Part::parse(&stream[0]).unwrap().header().clone();
    assert_eq!(header.name.as_deref(), Some("content"));
    assert_eq!(header.size, MAX_EMITTED_CONTENT_LEN);
    run(&[]).fails(73, "out: already exists");
    run(&["-f"]).ok().changes(&["*out"]);
    run(&["-f", "--transfer", ID]).ok();
    run(&["--transfer", ID]).ok().quiet().changes(&[]);
    env.relay("split")
        .args(["-d", "none", "content"])
        .fails(73, "none: cannot open");
}

#[test]
fn no_octet_at_all_is_no_content_unless_it_is_meant() {
    let env = Env::new();
    env.relay("split").stdin("").fails(66, "-: empty");
    env.relay("split")
        .args(["-o", "out", "-"])
        .fails(66, "-: empty");
    env.write("empty", "");
    let meant = env.relay("split").arg("--allow-empty").ok().quiet().stdout;
    let named = env.relay("split").arg("empty").ok().quiet().stdout;
    for stream in [meant, named] {
        let part = Part::parse(&stream).unwrap();
        assert_eq!((part.header().index, part.content()), (1, &b""[..]));
        assert!(part.header().is_last());
    }
    env.relay("split")
        .arg("none")
        .fails(66, "none: cannot open");
    env.mkdir("dir");
    env.relay("split").arg("dir").fails(66, "dir: ");
}

#[test]
fn command_lines_that_are_wrong() {
    let env = Env::new();
    env.write("content", "0123456789");
    for (args, problem) in [
        (
            &["--size", "0"][..],
            "invalid value '0' for '--size <SIZE>'",
        ),
        (&["--size", "8257537"], "invalid value '8257537'"),
        (&["--size", "8M"], "invalid value '8M'"),
        (&["--size", "1k"], "invalid value '1k'"),
        (&["--transfer", "00"], "invalid value '00'"),
        (&["--only", "0"], "invalid value '0'"),
        (&["--only", "3-2"], "invalid value '3-2'"),
        (&["--only", "2"], "--only: the last part is 1"),
        (&["--keep-name", "-"], "--keep-name needs a FILE"),
        (&["--name", "..", "content"], "\"..\" cannot be the name"),
        (&["--name", "a", "--keep-name"], "the argument '--name"),
        (&["-o", "x", "-d", "."], "the argument '--output"),
    ] {
        env.relay("split").args(args).stdin("x").fails(64, problem);
    }
    // Said before anything is written, where the length is known.
    let long = std::fs::File::create(env.path("long")).unwrap();
    long.set_len(1_048_577).unwrap();
    let split = env.relay("split").args(["--size", "1", "long"]);
    split.fails(64, "the content makes over 1048576 parts of 1 octets");
}

#[test]
fn names_do_not_leave_their_directory_on_the_way() {
    let env = Env::new();
    let stream = split(&env, b"x", &["--name", "../../.bashrc"]);
    let part = Part::parse(&stream).unwrap();
    assert_eq!(part.header().name.as_deref(), Some("bashrc"));
}

#[test]
fn nobody_reads_the_parts() {
    let env = Env::new();
    let ran = env.relay("split").stdin("x").without_reader().run();
    assert_eq!((ran.status, ran.stderr.as_str()), (141, ""));
}

#[test]
fn the_largest_part_fits_a_parcel_of_every_cipher() {
    let env = Env::with_peers();
    let content = vec![7; MAX_EMITTED_CONTENT_LEN as usize];
    let name = "n".repeat(200);
    let stream = split(&env, &content, &["--name", &name]);
    for cipher in [
        "aes-128-cbc",
        "aes-192-cbc",
        "aes-256-cbc",
        "aes-128-gcm",
        "aes-192-gcm",
        "aes-256-gcm",
    ] {
        let parcel = env
            .relay("seal")
            .args(["-N", "bob", "-t", "alice", "--parts", "--cipher", cipher])
            .stdin(stream.clone())
            .ok()
            .quiet()
            .stdout;
        // Room for the certificates of a long path, too.
        assert!(parcel.len() <= 8_322_037 - 50_000, "{}", parcel.len());
        let open = env.relay("open").args(["-N", "alice"]).stdin(parcel);
        assert!(open.ok().quiet().stdout == stream, "{cipher}");
    }
}
