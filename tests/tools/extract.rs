//! Directories as content: `--extract` of relay-open and relay-deliver, and what hostile archives leave.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use relaynet::archive::{self, MAX_ENTRIES, MEDIA_TYPE};

use crate::testenv::{Call, Env, id};

const BLOCK: usize = 512;

/// The fields of a header that are not the usual ones, by their offset.
type Odd<'a> = &'a [(usize, &'a [u8])];

const NAME: usize = 0;
const MODE: usize = 100;
const SIZE: usize = 124;
const MTIME: usize = 136;
const CHECKSUM: usize = 148;
const MAGIC: usize = 257;

/// A header of a type, octet by octet (POSIX.1-2017, pax §ustar Interchange Format).
fn header(name: &str, kind: u8, len: usize, odd: Odd<'_>) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    let mut put = |at: usize, octets: &[u8]| block[at..at + octets.len()].copy_from_slice(octets);
    put(NAME, name.as_bytes());
    put(MODE, b"0000600\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(SIZE, format!("{len:011o}\0").as_bytes());
    put(MTIME, b"14000000000\0");
    put(156, &[kind]);
    put(MAGIC, b"ustar\x0000");
    for (at, octets) in odd {
        put(*at, octets);
    }
    if odd.iter().all(|(at, _)| *at != CHECKSUM) {
        block[CHECKSUM..CHECKSUM + 8].fill(b' ');
        let sum: u32 = block.iter().map(|octet| u32::from(*octet)).sum();
        block[CHECKSUM..CHECKSUM + 8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    block
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut octets = content.to_vec();
    octets.resize(content.len().next_multiple_of(BLOCK), 0);
    octets
}

fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    [header(name, kind, content.len(), &[]), padded(content)].concat()
}

/// A pax header with these records.
fn pax(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let records = records.iter().map(|(key, value)| {
        let rest = key.len() + value.len() + 3;
        let len = (rest..rest + 9).find(|len| len.to_string().len() + rest == *len);
        format!("{} {key}={value}\n", len.unwrap())
    });
    entry("PaxHeader", kind, records.collect::<String>().as_bytes())
}

fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

/// An archive with a top directory `t`, and what follows it.
fn archive(rest: &[Vec<u8>]) -> Vec<u8> {
    [entry("t/", b'5', b""), rest.concat(), end()].concat()
}

fn extract(octets: &[u8], dir: &Path) -> Result<String, archive::Error> {
    let now = SystemTime::now();
    archive::extract(octets, octets.len() as u64, dir, now)?.place()
}

/// The archive is refused with an error that has this text, and leaves nothing.
fn refused(octets: &[u8], text: &str) {
    let dir = tempfile::tempdir().unwrap();
    match extract(octets, dir.path()) {
        Ok(name) => panic!("{name} for {text}"),
        Err(error) => assert!(error.to_string().contains(text), "{error} for {text}"),
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{text}");
}

/// A directory that came in parts, and beside it what is none: that is refused, and left nowhere.
#[test]
fn relay_join_makes_a_directory_of_parts() {
    let env = Env::new();
    let tree = archive(&[
        entry("t/sub/", b'5', b""),
        entry("t/sub/a", b'0', &[b'a'; 3000]),
        entry("t/b", b'0', b"b"),
    ]);
    let split = |content: &[u8]| {
        let split = env.relay("split").args(["--size", "1K", "--name", "t.tar"]);
        split.stdin(content).ok().stdout
    };
    let (parts, other) = (split(&tree), split(b"no archive"));
    env.mkdir("out");
    let join = |options: &[&str]| env.relay("join").args(["-d", "out"]).args(options);
    let ran = join(&["--extract", "--json"])
        .stdin([other, parts.clone()].concat())
        .ends(65);
    assert_eq!(
        ran.hints(),
        ["without --extract the archive is written as a file"]
    );
    assert_eq!(env.names("out"), ["t"]);
    assert_eq!(env.read("out/t/sub/a"), [b'a'; 3000]);
    assert_eq!(env.text("out/t/b"), "b");
    let facts = ran.json();
    assert_eq!((facts.len(), &facts[1]["path"]), (2, &"out/t".into()));
    // Once more is no second one, and other content of that name does not replace it.
    join(&["--extract"])
        .stdin(parts.clone())
        .ok()
        .quiet()
        .changes(&[]);
    env.write("out/t/b", "changed");
    join(&["--extract"]).stdin(parts.clone()).ok().quiet();
    assert_eq!(env.names("out"), ["t", "t~2"]);
    assert_eq!(env.text("out/t/b"), "changed");
    // What is not whole is not there.
    let half = [&parts[..parts.len() / 2 / 1024 * 1024]].concat();
    let ran = env
        .relay("join")
        .args(["-d", "out", "--extract"])
        .stdin(half)
        .run();
    assert_ne!(ran.status, 0);
    ran.changes(&[]);
    for (options, why) in [
        (
            &["--extract", "--keep-name"][..],
            "the argument '--extract' cannot be used with",
        ),
        (
            &["--extract", "--remove"],
            "the argument '--extract' cannot be used with",
        ),
    ] {
        join(options).stdin(parts.clone()).fails(64, why);
    }
    let alone = env.relay("join").arg("--extract").stdin(parts);
    assert_eq!(alone.run().status, 64);
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    for (path, text) in [
        ("/etc/passwd", "an absolute path"),
        ("t/../../x", "`..` in a path"),
        ("../x", "`..` in a path"),
        ("t/..", "`..` in a path"),
        ("t/./x", "`.` in a path"),
        ("./t/x", "`.` in a path"),
        ("t//x", "an empty name"),
        ("t/x/", "an empty name"),
        ("", "an empty name"),
        ("u", "outside of the top directory"),
        ("T/x", "outside of the top directory"),
        ("t/a/x", "whose directory does not come before it"),
    ] {
        refused(&archive(&[entry(path, b'0', b"x")]), text);
        let long = [pax(b'x', &[("path", path)]), entry("short", b'0', b"x")].concat();
        refused(&archive(&[long]), text);
    }
    refused(&[entry("../", b'5', b""), end()].concat(), "`..` in a path");
    refused(&[entry("/", b'5', b""), end()].concat(), "an empty name");
    refused(
        &[entry("t", b'0', b""), end()].concat(),
        "not the top directory",
    );
    refused(
        &[entry("t/a/", b'5', b""), end()].concat(),
        "not the top directory",
    );
    refused(&end(), "without an entry");
    let deep = vec!["t"; 33].join("/");
    refused(
        &archive(&[entry(&deep, b'5', b"")]),
        "over 32 directories deep",
    );
    let long = format!("t/{}", "n/".repeat(1100));
    let long = [pax(b'x', &[("path", &long)]), entry("t/x", b'5', b"")].concat();
    refused(&archive(&[long]), "over 2048 octets");
}

#[test]
fn all_but_files_and_directories_is_refused() {
    for (kind, text) in [
        (b'1', "a hard link"),
        (b'2', "a symbolic link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'6', "a FIFO"),
        (b'7', "an entry of an unknown kind"),
        (b'S', "a sparse file"),
        (b'L', "an entry of an unknown kind"),
        (b'K', "an entry of an unknown kind"),
        (b'M', "an entry of an unknown kind"),
        (b'V', "an entry of an unknown kind"),
        (b'!', "an entry of an unknown kind"),
    ] {
        let link: Odd<'_> = &[(157, b"/etc/passwd")];
        refused(&archive(&[header("t/x", kind, 0, link)]), text);
    }
    refused(
        &archive(&[entry("t/d/", b'5', b"x")]),
        "a directory with content",
    );
}

#[test]
fn only_a_few_records_are_taken() {
    for key in [
        "GNU.sparse.major",
        "SCHILY.xattr.user.x",
        "LIBARCHIVE.creationtime",
        "linkpath",
        "uid",
        "uname",
        "atime",
        "hdrcharset",
        "",
        "PATH",
    ] {
        let file = [pax(b'x', &[(key, "1")]), entry("t/x", b'0', b"x")].concat();
        refused(&archive(&[file]), "a pax record that is not accepted");
    }
    for key in ["path", "size", "mtime"] {
        let twice = pax(b'x', &[(key, "1"), (key, "1")]);
        refused(&archive(&[twice, entry("t/x", b'0', b"x")]), "not accepted");
        let global = pax(b'g', &[(key, "1")]);
        refused(
            &archive(&[global, entry("t/x", b'0', b"x")]),
            "not accepted",
        );
    }
    let file = || entry("t/x", b'0', b"x");
    for (records, text) in [
        (pax(b'x', &[("size", "-1")]), "a size that is no number"),
        (pax(b'x', &[("size", "0x1")]), "a size that is no number"),
        (
            pax(b'x', &[("size", "99999999999999999999")]),
            "a size that is no number",
        ),
        (pax(b'x', &[("size", "9999")]), "longer than the rest"),
        (pax(b'x', &[("mtime", "now")]), "a time that is no number"),
        (pax(b'x', &[("path", "")]), "an empty name"),
        (entry("p", b'x', b"no list"), "a pax header that is no list"),
        (
            entry("p", b'x', b"9 path=t/x\n"),
            "a pax header that is no list",
        ),
        (
            entry("p", b'x', &vec![b'1'; 20_000]),
            "a pax header that is too long",
        ),
    ] {
        refused(&archive(&[records, file()]), text);
    }
    let one = || pax(b'x', &[("comment", "one")]);
    refused(&archive(&[one(), one(), file()]), "two pax headers");
    refused(&archive(&[one()]), "a pax header without an entry");
    // What is taken.
    let dir = tempfile::tempdir().unwrap();
    let records = [
        ("comment", "of git"),
        ("path", "t/é"),
        ("size", "2"),
        ("mtime", "1.5"),
    ];
    let taken = archive(&[
        pax(b'g', &[("comment", "of git")]),
        pax(b'x', &records),
        header("short", b'0', 0, &[]),
        padded(b"ab"),
    ]);
    assert_eq!(extract(&taken, dir.path()).unwrap(), "t");
    let file = dir.path().join("t/é");
    assert_eq!(fs::read(&file).unwrap(), b"ab");
    let found = fs::metadata(&file).unwrap();
    assert_eq!((found.mtime(), found.mtime_nsec()), (1, 500_000_000));
}

#[test]
fn damaged_headers_are_refused() {
    for (odd, text) in [
        (&[(CHECKSUM, &b"000000\0 "[..])][..], "a wrong checksum"),
        (&[(CHECKSUM, b"xxxxxx\0 ")], "a wrong checksum"),
        (&[(MAGIC, b"ustar  \0")], "a header that is not ustar"),
        (
            &[(MAGIC, b"\0\0\0\0\0\0\0\0")],
            "a header that is not ustar",
        ),
        (&[(SIZE, b"0000000000x\0")], "a size that is no number"),
        (&[(SIZE, b"77777777777\0")], "longer than the rest"),
        (
            &[(SIZE, b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff")],
            "longer than the rest",
        ),
        (&[(MODE, b"rwxrwxr\0")], "a mode that is no number"),
        (&[(MTIME, b"yesterday..\0")], "a time that is no number"),
    ] {
        refused(&archive(&[header("t/x", b'0', 0, odd)]), text);
    }
    refused(&[], "ends early");
    refused(b"not an archive", "ends early");
    refused(&vec![b'x'; 4096], "a wrong checksum");
    let whole = archive(&[entry("t/a", b'0', b"a"), entry("t/b", b'0', &[b'b'; 1500])]);
    for len in (0..whole.len()).step_by(BLOCK) {
        refused(&whole[..len], "");
        refused(&whole[..=len], "");
    }
    refused(&[&whole[..], b"x"].concat(), "octets after the end");
    refused(&[&whole[..], &whole[..]].concat(), "octets after the end");
    let torn = [&whole[..whole.len() - BLOCK], &vec![0; 300], b"x"].concat();
    refused(
        &[&torn[..], &vec![0; 1000]].concat(),
        "octets after the end",
    );
}

/// A stream that never ends: entries of no content, as many as are asked for.
struct Endless {
    made: usize,
    block: Vec<u8>,
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            self.block = if self.made == 0 {
                header("t/", b'5', 0, &[])
            } else {
                header(&format!("t/{}", self.made), b'0', 0, &[])
            };
            (self.made, self.at) = (self.made + 1, 0);
        }
        let len = octets.len().min(self.block.len() - self.at);
        octets[..len].copy_from_slice(&self.block[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

#[test]
fn too_many_entries_are_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut endless = Endless {
        made: 0,
        block: Vec::new(),
        at: 0,
    };
    let len = 1_000_000 * BLOCK as u64;
    let refused = archive::extract(&mut endless, len, dir.path(), SystemTime::now());
    let refused = refused.map(drop).unwrap_err();
    assert!(matches!(refused, archive::Error::TooMany), "{refused}");
    assert_eq!(endless.made, MAX_ENTRIES + 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    // Headers that make nothing count, too.
    let comment = pax(b'g', &[("comment", "x")]);
    let many = comment.repeat(MAX_ENTRIES + 1);
    let read = archive::extract(&*many, many.len() as u64, dir.path(), SystemTime::now());
    assert!(matches!(read.map(drop), Err(archive::Error::TooMany)));
}

#[test]
fn many_files_of_one_name_take_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let one = header("t/x", b'0', 0, &[]);
    let some = archive(&[one.repeat(3000)]);
    extract(&some, dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("t")).unwrap().count(), 3000);
    assert!(dir.path().join("t/x~3000").exists());
    refused(
        &archive(&[one.repeat(10_001)]),
        "too many files with this name",
    );
}

#[test]
fn other_programs_read_what_is_written_and_the_other_way_round() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    fs::create_dir_all(at("sent/d/e")).unwrap();
    let long = "n".repeat(180);
    for name in ["a", "d/e/grün", "d/x y", &*long] {
        fs::write(at("sent").join(name), name.repeat(100)).unwrap();
    }
    let mut tree = archive::Tree::open(&at("sent"), "sent").unwrap();
    let mut octets = Vec::new();
    tree.read_to_end(&mut octets).unwrap();
    fs::write(at("ours.tar"), &octets).unwrap();
    fs::create_dir(at("out")).unwrap();
    let tar = |args: &[&str]| {
        let mut tar = Command::new("tar");
        let tar = tar.args(args).current_dir(dir.path());
        let done = tar.stderr(Stdio::piped()).output().unwrap();
        let text = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && text.is_empty(), "{args:?}: {text}");
    };
    tar(&["-xf", "ours.tar", "-C", "out"]);
    let same = |a: &str, b: &str| {
        let mut diff = Command::new("diff");
        diff.args(["-r", a, b]).current_dir(dir.path());
        assert!(diff.status().unwrap().success(), "{a} {b}");
    };
    same("sent", "out/sent");
    let found = fs::metadata(at("out/sent/d/e/grün")).unwrap();
    let sent = fs::metadata(at("sent/d/e/grün")).unwrap();
    assert_eq!(
        (found.mtime(), found.mtime_nsec()),
        (sent.mtime(), sent.mtime_nsec())
    );
    // What GNU tar writes for others; its own format is refused, since it has more than files.
    let only = "--pax-option=delete=atime,delete=ctime";
    tar(&["--format=posix", only, "-cf", "theirs.tar", "out"]);
    let theirs = fs::read(at("theirs.tar")).unwrap();
    assert_eq!(extract(&theirs, &at("out")).unwrap(), "out");
    same("sent", "out/out/sent");
    tar(&["--format=gnu", "-cf", "gnu.tar", "sent"]);
    refused(
        &fs::read(at("gnu.tar")).unwrap(),
        "a header that is not ustar",
    );
}

// The programs

/// Bob's parcel for alice with a directory `photos`, in which a file has this content.
fn photos(env: &Env, content: &str, options: &[&str]) -> Vec<u8> {
    let octets = [
        entry("photos/", b'5', b""),
        entry("photos/d/", b'5', b""),
        entry("photos/d/a.txt", b'0', content.as_bytes()),
        header("photos/run", b'0', 0, &[(MODE, b"0000755\0")]),
        end(),
    ];
    parcel(env, &octets.concat(), options)
}

fn parcel(env: &Env, octets: &[u8], options: &[&str]) -> Vec<u8> {
    let options = [&["-y", MEDIA_TYPE], options].concat();
    env.parcel_with("bob", "alice", octets, &options)
}

fn open<'a>(env: &'a Env, args: &[&str]) -> Call<'a> {
    env.relay("open")
        .args(["-N", "alice", "-d", "in"])
        .args(args)
}

fn deliver<'a>(env: &'a Env, args: &[&str]) -> Call<'a> {
    let deliver = env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
    deliver.args(args)
}

fn arrive(env: &Env, parcel: Vec<u8>) {
    env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    env.relay("route").args(["-N", "alice"]).ok().quiet();
}

fn peers() -> Env {
    let env = Env::with_peers();
    env.mkdir("in");
    env.mkdir("inbox");
    env
}

#[test]
fn an_opened_directory_has_its_name_and_never_one_that_is_taken() {
    let env = peers();
    let one = photos(&env, "one", &[]);
    let ran = open(&env, &["--extract", "--json"]).stdin(&*one).ok();
    assert_eq!(ran.json()[0]["path"], "in/photos");
    assert_eq!(env.text("in/photos/d/a.txt"), "one");
    assert_eq!(
        (env.mode("in/photos"), env.mode("in/photos/d")),
        (0o700, 0o700)
    );
    let modes = (env.mode("in/photos/d/a.txt"), env.mode("in/photos/run"));
    assert_eq!(modes, (0o600, 0o700));
    let modified = fs::metadata(env.path("in/photos/run")).unwrap().mtime();
    assert_eq!(modified, 0o14_000_000_000);
    // The same once more is no second one; another one is.
    open(&env, &["--extract", "--again"])
        .stdin(&*one)
        .ok()
        .quiet()
        .changes(&[]);
    let two = photos(&env, "two", &[]);
    open(&env, &["--extract", "--keep-name", "-f"])
        .stdin(two)
        .ok()
        .quiet();
    assert_eq!(env.text("in/photos~2/d/a.txt"), "two");
    assert_eq!(env.text("in/photos/d/a.txt"), "one");
    // Without the option it is a file, and so is content of any other type.
    open(&env, &["--again"]).stdin(&*one).ok().quiet();
    let plain = env.parcel_with("bob", "alice", b"one", &["-y", "application/x-tar"]);
    open(&env, &["--extract"]).stdin(plain).ok().quiet();
    let names = env.names("in");
    assert_eq!(
        names
            .iter()
            .filter(|name| name.ends_with(".content"))
            .count(),
        2
    );
    assert_eq!(names.len(), 4, "{names:?}");
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let env = peers();
    let open = env.relay("open").args(["-N", "alice", "--extract"]);
    open.fails(
        64,
        "the following required arguments were not provided: --directory <DIR>",
    );
    let open = env
        .relay("open")
        .args(["-N", "alice", "--extract", "-o", "x"]);
    open.fails(
        64,
        "the argument '--extract' cannot be used with '--output <FILE>'",
    );
    for other in [&["--maildir", "inbox"][..], &["--", "cat"]] {
        let deliver = env.relay("deliver").args(["-N", "alice", "--extract"]);
        let ran = deliver.args(other).run();
        assert_eq!(ran.status, 64, "{other:?}: {}", ran.stderr);
    }
}

#[test]
fn a_bad_archive_fails_alone_and_leaves_nothing() {
    let env = peers();
    let bad = archive(&[entry("../x", b'0', b"x")]);
    let stream = [parcel(&env, &bad, &[]), photos(&env, "one", &[])].concat();
    let ran = open(&env, &["--extract"]).stdin(stream).run();
    assert_eq!(ran.status, 65);
    let ran = ran.says(&["-[1]: ../x: `..` in a path, which is not accepted"]);
    let hint = "without --extract the archive is written as a file";
    assert_eq!(ran.hints(), [hint]);
    assert_eq!(env.names("in"), ["photos"]);
    // It was not remembered, so it can be had as a file.
    let again = parcel(&env, &bad, &["--id", "bad"]);
    open(&env, &["--extract"])
        .stdin(&*again)
        .fails(65, "-: ../x: `..` in a path, which is not accepted");
    open(&env, &[]).stdin(again).ok().quiet();
    assert!(!env.path("x").exists());
}

#[test]
fn control_characters_of_a_bad_archive_reach_no_terminal() {
    let env = peers();
    let bad = archive(&[entry("t/\x1b[2J\n", b'2', b"")]);
    let ran = open(&env, &["--extract"])
        .stdin(parcel(&env, &bad, &[]))
        .run();
    assert_eq!(ran.status, 65);
    assert!(!ran.stderr.contains('\x1b'), "{:?}", ran.stderr);
    assert!(ran.stderr.contains("a symbolic link"), "{}", ran.stderr);
}

#[test]
fn a_delivered_directory_is_in_the_folder_of_its_sender() {
    let env = peers();
    for (content, options) in [("one", &["--id", "m1"][..]), ("two", &["--id", "m2"])] {
        arrive(&env, photos(&env, content, options));
    }
    arrive(&env, env.parcel_with("bob", "alice", b"plain", &[]));
    let ran = deliver(&env, &["--extract", "--json"]).ok();
    let lines = ran.json();
    let paths = lines.iter().filter_map(|line| line["path"].as_str());
    let mut paths: Vec<_> = paths.collect();
    paths.sort_unstable();
    assert_eq!(paths[1..], ["inbox/bob/photos", "inbox/bob/photos~2"]);
    let mut found = [
        env.text("inbox/bob/photos/d/a.txt"),
        env.text("inbox/bob/photos~2/d/a.txt"),
    ];
    found.sort();
    assert_eq!(found, ["one", "two"]);
    assert_eq!(env.names("inbox/bob").len(), 3);
    deliver(&env, &["--extract"]).ok().quiet().changes(&[]);
    // The same content in another message is another one, as a file with a name is.
    arrive(&env, photos(&env, "one", &["--id", "m3"]));
    deliver(&env, &["--extract", "--keep-name"]).ok().quiet();
    assert!(env.path("inbox/bob/photos~3/run").exists());
}

#[test]
fn a_bad_archive_is_set_aside_and_the_others_go_on() {
    let env = peers();
    let bad = archive(&[entry("t/x", b'2', b"")]);
    arrive(&env, parcel(&env, &bad, &["--id", "bad"]));
    arrive(&env, photos(&env, "one", &["--id", "good"]));
    deliver(&env, &["--extract"])
        .ok()
        .says_somewhere("a symbolic link");
    assert_eq!(env.names("inbox/bob"), ["photos"]);
    let told = env.relay("list").args(["-N", "alice", "--id", "bad"]).run();
    assert!(told.text().starts_with("failed\t"), "{}", told.text());
    let home = format!("alice/spool/home/{}", id("alice"));
    assert_eq!(env.names(&home).len(), 0);
}

#[test]
fn names_that_are_taken_by_other_things_are_left_alone() {
    let env = peers();
    env.mkdir("inbox/bob");
    env.write("inbox/bob/photos", "a file");
    symlink("/nonexistent", env.path("inbox/bob/photos~2")).unwrap();
    env.mkdir("inbox/bob/photos~3");
    arrive(&env, photos(&env, "one", &[]));
    deliver(&env, &["--extract"]).ok().quiet();
    assert_eq!(env.text("inbox/bob/photos~4/d/a.txt"), "one");
    assert_eq!(env.text("inbox/bob/photos"), "a file");
    assert_eq!(env.names("inbox/bob/photos~3").len(), 0);
}

#[test]
fn a_folder_that_takes_nothing_is_told_and_the_message_waits() {
    let env = peers();
    env.mkdir("inbox/bob");
    fs::set_permissions(env.path("inbox/bob"), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(env.path("inbox/bob/x"), "").is_ok() {
        eprintln!("root may write anywhere, so nothing is refused");
        return;
    }
    arrive(&env, photos(&env, "one", &[]));
    let ran = deliver(&env, &["--extract"]).run();
    assert_eq!(ran.status, 73, "{}", ran.stderr);
    ran.says_somewhere("inbox/bob: cannot create: Permission denied");
    fs::set_permissions(env.path("inbox/bob"), fs::Permissions::from_mode(0o700)).unwrap();
    deliver(&env, &["--extract"]).ok().quiet();
    assert_eq!(env.names("inbox/bob"), ["photos"]);
}

/// That an old one is removed is a test of `disk`: the time that counts cannot be set.
#[test]
fn a_directory_that_may_be_in_use_is_not_removed() {
    let env = peers();
    env.mkdir("inbox/bob");
    for dir in ["in", "inbox/bob"] {
        let left = env.path(dir).join(".relay-left.tmp");
        fs::create_dir(&left).unwrap();
        // The time of its content is not its own.
        let handle = fs::File::open(&left).unwrap();
        handle.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    arrive(&env, photos(&env, "one", &[]));
    deliver(&env, &["--extract"]).ok().quiet();
    let parcel = photos(&env, "one", &["--id", "again"]);
    open(&env, &["--extract"]).stdin(parcel).ok().quiet();
    for dir in ["in", "inbox/bob"] {
        assert_eq!(env.names(dir), [".relay-left.tmp", "photos"]);
    }
}

/// Brings an archive to alice in parts.
fn arrive_in_parts(env: &Env, octets: &[u8], transfer: &str) {
    env.write("photos.tar", octets);
    let split = ["--size", "1000", "--transfer", transfer, "photos.tar"];
    let parts = env.relay("split").args(split).ok().stdout;
    let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
    let seal = seal.args(["--parts", "-y", MEDIA_TYPE]);
    arrive(env, seal.stdin(parts).ok().stdout);
}

#[test]
fn a_directory_that_came_in_parts_is_one_again() {
    let env = peers();
    let home = format!("alice/spool/home/{}", id("alice"));
    let big = "0123456789".repeat(1000);
    let octets = archive(&[entry("t/x", b'0', big.as_bytes())]);
    arrive_in_parts(&env, &octets, &"1".repeat(32));
    assert!(env.names(&home).len() > 10);
    let ran = deliver(&env, &["--extract", "--json"]).ok();
    assert_eq!(ran.json()[0]["path"], "inbox/bob/t");
    assert_eq!(env.text("inbox/bob/t/x"), big);
    assert_eq!(env.names(&home).len(), 0);
    // The same content once more is another one, and nothing is left of the joined archive.
    arrive_in_parts(&env, &octets, &"2".repeat(32));
    deliver(&env, &["--extract"]).ok().quiet();
    assert_eq!(env.names("inbox/bob"), ["t", "t~2"]);
    // One that is bad is set aside with all of its parts.
    let bad = archive(&[entry("t/x", b'0', big.as_bytes()), entry("../x", b'0', b"")]);
    arrive_in_parts(&env, &bad, &"3".repeat(32));
    deliver(&env, &["--extract"])
        .ok()
        .says_somewhere("`..` in a path");
    assert_eq!(env.names("inbox/bob"), ["t", "t~2"]);
    assert_eq!(env.names(&home).len(), 0);
    // Without the option it is a file.
    arrive_in_parts(&env, &octets, &"4".repeat(32));
    deliver(&env, &[]).ok().quiet();
    let names = env.names("inbox/bob");
    let file = names.iter().find(|name| name.starts_with("2026"));
    assert_eq!(env.read(format!("inbox/bob/{}", file.unwrap())), octets);
}
