//! Media that are damaged, full, write-protected, or made to do harm.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::mounted::Mounted;
use crate::testenv::{Call, Content, Env, Ran, Tree, copy_tree, id, sha256};

/// The ids of the parcels that wait on the stick, each in cargo of its own.
/// What cannot be tested where nothing can be mounted.
const MEDIA: &str = "media that are full or write-protected";

const BROKEN: &str = "stick is a damaged medium: its VERSION or ID cannot be used";

const PARCELS: [&str; 4] = ["m1", "m2", "m3", "m4"];

/// The longest message that is read, in octets.
const MAX_MESSAGE_LEN: usize = 9_437_184;

fn sync<'a>(env: &'a Env, at: &str, medium: &str) -> Call<'a> {
    env.relay("sync").args(["-N", at, medium])
}

fn mkfifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// A world in which mallory has put four cargoes and a CCA for the hub onto the stick. `outside` has what links on the stick may name: the same.
fn laden() -> Env {
    let env = Env::with_gateways();
    sync(&env, "hub", "stick").arg("--init").ok().quiet();
    for parcel in PARCELS {
        let octets = env.parcel_with("bob", "alice", parcel.as_bytes(), &["--id", parcel]);
        env.relay("put").args(["-N", "mallory"]).stdin(octets).ok();
        env.relay("route").args(["-N", "mallory"]).ok().quiet();
        sync(&env, "mallory", "stick").ok().quiet();
    }
    env.mkdir("outside");
    copy_tree(&env.path("stick"), &env.path("outside"));
    assert_eq!(cargo(&env).len(), 4);
    env
}

/// A copy of a world, to be spoiled.
fn copy(of: &Env) -> Env {
    let env = Env::new();
    copy_tree(of.root(), env.root());
    env
}

/// The cargo files for the hub.
fn cargo(env: &Env) -> Vec<PathBuf> {
    let dir = env.path(format!("stick/relaynet/cargo/{}", id("hub")));
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// What arrived at the hub.
fn arrived(env: &Env) -> Vec<Vec<u8>> {
    let dir = env.path("hub/spool/in");
    if !dir.exists() {
        return Vec::new();
    }
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

/// What waits at mallory: all that was sent.
fn sent(env: &Env) -> Vec<Vec<u8>> {
    let dir = format!("mallory/spool/out/{}", id("hub"));
    env.names(&dir)
        .iter()
        .map(|name| env.read(format!("{dir}/{name}")))
        .collect()
}

fn below(tree: &Tree, dir: &str) -> Tree {
    let of = |(path, found): (&String, &(u32, Content))| {
        path.starts_with(dir).then(|| (path.clone(), found.clone()))
    };
    tree.iter().filter_map(of).collect()
}

/// Nothing arrived that was not sent, nothing twice, and nothing outside was touched.
fn check(env: &Env, outside: &Tree, ran: &Ran) {
    let sent = sent(env);
    let arrived = arrived(env);
    for (at, parcel) in arrived.iter().enumerate() {
        assert!(sent.contains(parcel), "not sent");
        assert!(!arrived[..at].contains(parcel), "twice");
    }
    assert_eq!(&below(&env.tree(), "outside"), outside);
    ran.diagnostics(); // each line is ours, and harmless
    assert!(
        [0, 65, 66, 67, 73, 74, 75].contains(&ran.status),
        "{}: {}",
        ran.status,
        ran.stderr
    );
}

/// What is put where something of the medium should be.
const PRANKS: [&str; 4] = ["link", "broken link", "file", "FIFO"];

fn prank(env: &Env, path: &Path, instead: &str) {
    match instead {
        "link" => symlink(
            env.path("outside")
                .join(path.strip_prefix(env.path("stick")).unwrap()),
            path,
        )
        .unwrap(),
        "broken link" => symlink("/nowhere/at/all", path).unwrap(),
        "file" => fs::write(path, "a file").unwrap(),
        _ => mkfifo(path),
    }
}

#[test]
fn what_stands_where_directories_should_is_passed_over() {
    let world = laden();
    let outside = below(&world.tree(), "outside");
    let (hub, mallory) = (id("hub"), id("mallory"));
    // The hub takes the CCA, too, and has acknowledgements to give to mallory.
    for (what, taken, status) in [
        ("relaynet".to_owned(), 0, 66),
        ("relaynet/cargo".to_owned(), 0, 0),
        (format!("relaynet/cargo/{hub}"), 0, 0),
        (format!("relaynet/cargo/{mallory}"), 4, 73),
        ("relaynet/cca".to_owned(), 4, 0),
        (format!("relaynet/cca/{hub}"), 4, 0),
        ("relaynet/got".to_owned(), 4, 73),
        (format!("relaynet/got/{hub}"), 4, 73),
        ("relaynet/tmp".to_owned(), 4, 73),
    ] {
        for instead in PRANKS {
            let env = copy(&world);
            let path = env.path("stick").join(&what);
            let is_dir = path.is_dir();
            if is_dir {
                fs::rename(&path, env.path("taken-away")).unwrap();
            }
            prank(&env, &path, instead);
            let ran = sync(&env, "hub", "stick").run();
            let context = format!("{what}, {instead}: {} {}", ran.status, ran.stderr);
            check(&env, &outside, &ran);
            assert_eq!(arrived(&env).len(), taken, "{context}");
            assert_eq!(ran.status, status, "{context}");
            assert!(
                what == "relaynet" || ran.stderr.contains(&what),
                "{context}"
            );
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert!(!metadata.is_dir(), "{context}");
            // When the prank is over all is as it should be.
            fs::remove_file(&path).unwrap();
            if is_dir {
                fs::rename(env.path("taken-away"), &path).unwrap();
            }
            sync(&env, "hub", "stick").ok().quiet();
            assert_eq!(arrived(&env).len(), 4, "{context}");
            sync(&env, "mallory", "stick").ok().quiet();
            env.relay("route").args(["-N", "mallory"]).ok().quiet();
            assert_eq!(sent(&env), [[0; 0]; 0], "{context}");
        }
    }
}

/// Numbers as random as it takes (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

/// Damages one file of the stick, and says how.
#[allow(clippy::too_many_lines)] // one story, told in order
fn damage(env: &Env, random: &mut Random) -> &'static str {
    let mut files = Vec::new();
    files_below(&env.path("stick"), &mut files);
    files.retain(|path| fs::symlink_metadata(path).unwrap().is_file());
    let path = random.one_of(&files).clone();
    let dir = path.parent().unwrap().to_owned();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut octets = fs::read(&path).unwrap();
    let all_dirs = ["cargo", "cca", "got"].map(|kind| {
        ["hub", "mallory", "alice"]
            .map(|node| env.path(format!("stick/relaynet/{kind}/{}", id(node))))
    });
    let all_dirs = all_dirs.as_flattened();
    match random.below(14) {
        0 => {
            octets.truncate(random.below(octets.len().max(1)));
            fs::write(&path, octets).unwrap();
            "cut"
        }
        1 => {
            let from = random.below(octets.len().max(1));
            octets[from..].fill(0);
            fs::write(&path, octets).unwrap();
            "filled with zeros"
        }
        2 => {
            let at = random.below(octets.len().max(1));
            octets[at] ^= 1 << random.below(8);
            fs::write(&path, octets).unwrap();
            "a bit"
        }
        3 => {
            octets.push(0);
            fs::write(&path, octets).unwrap();
            "an octet more"
        }
        4 => {
            let renamed = ["A.cargo", "..cargo", "\u{1b}[31m.cargo", " ", "x\ny.cca"];
            fs::rename(&path, dir.join(random.one_of(&renamed))).unwrap();
            "renamed"
        }
        5 => {
            fs::rename(&path, dir.join(name.to_ascii_uppercase())).unwrap();
            "in upper case"
        }
        6 => {
            // Its name tells of other octets, or of another sender.
            let swapped = name.replace(&id("mallory"), &id("gateway"));
            fs::rename(&path, dir.join(swapped)).unwrap();
            "of another sender"
        }
        7 => {
            let other = random.one_of(&files);
            let others = fs::read(other).unwrap();
            fs::write(&path, others).unwrap();
            fs::write(other, octets).unwrap();
            "swapped"
        }
        8 => {
            let to = random.one_of(all_dirs);
            fs::create_dir_all(to).unwrap();
            let as_cca = [name.replace(".cargo", ".cca"), name.clone()];
            fs::rename(&path, to.join(random.one_of(&as_cca))).unwrap();
            "in another directory"
        }
        9 => {
            let to = random.one_of(all_dirs);
            fs::create_dir_all(to).unwrap();
            fs::copy(&path, to.join(&name)).unwrap();
            "twice"
        }
        10 => {
            // Well named, and whatever it holds is forged.
            octets.extend_from_slice(b"forged");
            let name = format!("{}.{}.cargo", id("mallory"), sha256(&octets));
            fs::write(dir.join(name), octets).unwrap();
            "forged"
        }
        11 => {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            fs::write(path.join("deep"), octets).unwrap();
            "a directory"
        }
        _ => {
            fs::remove_file(&path).unwrap();
            let instead: &str = PRANKS[random.below(PRANKS.len())];
            prank(env, &path, instead);
            "a prank"
        }
    }
}

static CASES: AtomicUsize = AtomicUsize::new(0);

/// Damages a stick at random, and sees what a gateway and a courier make of it.
fn case(world: &Env, outside: &Tree, seed: u64) -> Vec<&'static str> {
    let env = copy(world);
    let mut random = Random(seed);
    let whole: BTreeMap<PathBuf, Vec<u8>> = cargo(&env)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let count = 1 + random.below(4);
    let done: Vec<&str> = (0..count).map(|_| damage(&env, &mut random)).collect();
    let context = format!("seed {seed}: {done:?}");
    let intact = |path: &Path| {
        let is_file = fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
        is_file && fs::read(path).unwrap() == whole[path]
    };
    let is_medium = env
        .relay("sync")
        .args(["-N", "gateway", "--if-present", "stick"])
        .run()
        .status
        != 66;
    let intact: Vec<&PathBuf> = whole.keys().filter(|path| intact(path)).collect();

    // The courier carries what is whole, and no more.
    env.mkdir("other");
    sync(&env, "gateway", "other").arg("--init").ok().quiet();
    let ran = env.relay("carry").args(["stick", "other"]).run();
    check(&env, outside, &ran);
    let carried: Vec<String> = {
        let dir = format!("other/relaynet/cargo/{}", id("hub"));
        if env.path(&dir).exists() {
            env.names(&dir)
        } else {
            Vec::new()
        }
    };
    for name in &carried {
        let path = format!("other/relaynet/cargo/{}/{name}", id("hub"));
        let octets = env.read(&path);
        assert!(whole.values().any(|it| *it == octets), "{context}: carried");
    }

    let ran = sync(&env, "hub", "stick").run();
    check(&env, outside, &ran);
    let number = arrived(&env).len();
    let is_read = is_medium && ran.status != 66;
    assert!(
        !is_read || number >= intact.len(),
        "{context}: {number} of {}",
        intact.len()
    );
    assert!(number <= 4, "{context}");
    for path in &whole {
        let is_left = fs::symlink_metadata(path.0).is_ok();
        let is_intact = intact.contains(&path.0);
        // What was taken leaves; what is not what its name says stays.
        assert!(!(is_read && is_intact && is_left), "{context}: stays");
    }
    // Nothing more comes of a second look.
    let again = sync(&env, "hub", "stick").run();
    check(&env, outside, &again);
    assert_eq!(arrived(&env).len(), number, "{context}");
    CASES.fetch_add(1, Ordering::Relaxed);
    done
}

/// The seeds are fixed; `RELAY_DAMAGE` sets how many.
#[test]
fn whatever_happens_to_a_stick_nothing_is_taken_that_was_not_sent() {
    let world = laden();
    let outside = below(&world.tree(), "outside");
    let number: u64 = std::env::var("RELAY_DAMAGE")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(64);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..number {
        for kind in case(&world, &outside, seed) {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    println!(
        "{} damaged sticks: {kinds:?}",
        CASES.load(Ordering::Relaxed)
    );
}

#[test]
fn junk_in_a_directory_is_passed_over_and_told_in_few_words() {
    let env = laden();
    let dir = format!("stick/relaynet/cargo/{}", id("hub"));
    for at in 0..20_000 {
        env.write(format!("{dir}/junk-{at}"), "");
    }
    let ran = sync(&env, "hub", "stick").ok();
    assert_eq!(arrived(&env).len(), 4);
    let lines = ran.diagnostics();
    assert_eq!(lines.len(), 9, "{lines:?}");
    assert_eq!(lines[8], "stick: 19992 others do not belong there");
    env.mkdir("other");
    let ran = env.relay("carry").args(["--init", "stick", "other"]).ok();
    assert_eq!(ran.diagnostics().len(), 9);
}

#[test]
fn what_is_too_long_stays_and_the_rest_is_taken() {
    for len in [MAX_MESSAGE_LEN, MAX_MESSAGE_LEN + 1] {
        let env = laden();
        // It comes first, and last.
        for sender in ["0", "0f"] {
            let mut octets = b"Awala\x43\x00".to_vec();
            octets.resize(len - sender.len(), 0x30);
            octets.resize(len, 0x31);
            let name = format!("{}.{}.cargo", id("mallory"), sha256(&octets));
            env.write(format!("stick/relaynet/cargo/{}/{name}", id("hub")), octets);
        }
        let ran = sync(&env, "hub", "stick").run();
        assert_eq!(ran.status, 65, "{}", ran.stderr);
        assert_eq!(ran.diagnostics().len(), 2, "{}", ran.stderr);
        assert_eq!(arrived(&env).len(), 4);
        assert_eq!(cargo(&env).len(), 2);
        env.mkdir("other");
        let ran = env.relay("carry").args(["--init", "stick", "other"]).run();
        assert_eq!(ran.status, 65, "{}", ran.stderr);
    }
}

#[test]
fn a_medium_whose_version_or_id_is_damaged_is_none_until_it_is_made_anew() {
    let world = laden();
    let outside = below(&world.tree(), "outside");
    for (file, text) in [
        ("VERSION", &b""[..]),
        ("VERSION", &[0; 15]),
        ("VERSION", b"relay-mediu"),
        ("VERSION", &[b'x'; 10_000]),
        ("ID", b""),
        ("ID", &[0; 33]),
        ("ID", b"../../../../etc/passwd\n"),
        ("ID", b"0123456789ABCDEF0123456789ABCDEF\n"),
        ("ID", &[b'0'; 10_000]),
    ] {
        let env = copy(&world);
        env.write(format!("stick/relaynet/{file}"), text);
        sync(&env, "hub", "stick").fails(66, BROKEN);
        sync(&env, "hub", "stick")
            .arg("--if-present")
            .fails(66, BROKEN);
        env.relay("carry")
            .args(["stick", "outside"])
            .fails(66, BROKEN);
        let ran = sync(&env, "hub", "stick").arg("--init").ok().quiet();
        check(&env, &outside, &ran);
        assert_eq!(arrived(&env).len(), 4, "{file} {text:?}");
    }
    for file in ["VERSION", "ID"] {
        for instead in PRANKS {
            let env = copy(&world);
            let path = env.path(format!("stick/relaynet/{file}"));
            fs::remove_file(&path).unwrap();
            prank(&env, &path, instead);
            sync(&env, "hub", "stick").fails(66, BROKEN);
            if instead != "file" {
                sync(&env, "hub", "stick")
                    .arg("--init")
                    .fails(73, &format!("stick/relaynet/{file} is in the way"));
            }
        }
    }
    let env = copy(&world);
    env.write("stick/relaynet/VERSION", "relay-medium 2\n");
    sync(&env, "hub", "stick").fails(66, "stick is a medium of another version");
    sync(&env, "hub", "stick")
        .arg("--init")
        .fails(66, "stick is a medium of another version");
}

#[test]
fn media_are_made_where_they_belong() {
    let env = Env::with_gateways();
    let init = |node: &str, medium: &str| sync(&env, node, medium).arg("--init");
    env.write("file", "");
    init("hub", "nowhere").fails(66, "nowhere is not a directory");
    init("hub", "file").fails(66, "file is not a directory");
    init("hub", "hub").fails(64, "hub belongs to a node or to another medium");
    init("alice", "stick").fails(64, "");
    init("nobody", "stick").fails(78, "");
    assert_eq!(env.names("stick"), [""; 0]);
    init("hub", "stick").ok().quiet();
    init("hub", "stick/relaynet")
        .fails(64, "stick/relaynet belongs to a node or to another medium");
    init("hub", "stick").ok().quiet().changes(&[]);
    sync(&env, "hub", "file").fails(66, "file is not a medium");
    env.relay("carry")
        .args(["stick", "stick"])
        .fails(64, "stick is the same medium");
    env.relay("carry")
        .args(["stick", "nowhere"])
        .fails(66, "nowhere is not a medium");
    env.relay("carry")
        .args(["--init", "stick", "file"])
        .fails(66, "file is not a directory");
    // Through a link it is that directory, as everywhere.
    env.link("stick", "link");
    sync(&env, "hub", "link").ok().quiet();
}

#[test]
fn a_write_protected_stick_is_read() {
    let env = laden();
    env.mkdir("locked");
    let Some(mounted) = Mounted::on(env.path("locked"), "64m", MEDIA) else {
        return;
    };
    copy_tree(&env.path("stick"), &env.path("locked"));
    mounted.remount("ro");
    let ran = sync(&env, "hub", "locked").run();
    assert!(
        [74, 75].contains(&ran.status),
        "{} {}",
        ran.status,
        ran.stderr
    );
    assert_eq!(arrived(&env).len(), 4, "{}", ran.stderr);
    // Once more changes nothing but what is said.
    let ran = sync(&env, "hub", "locked").run();
    assert!([74, 75].contains(&ran.status), "{}", ran.stderr);
    assert_eq!(arrived(&env).len(), 4);
    // A courier can carry from it, though not move.
    env.mkdir("other");
    env.relay("carry")
        .args(["--init", "locked", "other"])
        .ok()
        .quiet();
    assert_eq!(
        env.names(&format!("other/relaynet/cargo/{}", id("hub")))
            .len(),
        4
    );
    let ran = env.relay("carry").args(["--move", "locked", "other"]).run();
    assert!([74, 75].contains(&ran.status), "{}", ran.stderr);
    let ran = env.relay("carry").args(["other", "locked"]).run();
    assert!([0, 74].contains(&ran.status), "{}", ran.stderr);
    mounted.remount("rw");
    sync(&env, "hub", "locked").ok().quiet();
    assert_eq!(arrived(&env).len(), 4);
    assert_eq!(
        env.names(&format!("locked/relaynet/cargo/{}", id("hub"))),
        [""; 0]
    );
}

#[test]
fn a_full_stick_has_what_is_urgent_and_the_rest_waits_for_the_next_trip() {
    let env = Env::with_gateways();
    let Some(_mounted) = Mounted::on(env.path("stick"), "1m", MEDIA) else {
        return;
    };
    sync(&env, "hub", "stick").arg("--init").ok().quiet();
    let put = |name: &str, options: &[&str]| {
        let content = vec![name.as_bytes()[1]; 60_000];
        let parcel = env.parcel_with("bob", "alice", &content, &["--id", name]);
        let put = env.relay("put").args(["-N", "mallory"]).args(options);
        put.stdin(parcel).ok().quiet();
    };
    for at in 0..18 {
        put(&format!("m{at:02}"), &[]);
    }
    put("urgent", &["--priority", "9"]);
    put("idle", &["--priority", "0"]);
    env.relay("route").args(["-N", "mallory"]).ok().quiet();
    let mut trips = 0;
    let mut taken = 0;
    while taken < 20 {
        trips += 1;
        assert!(trips < 6, "{taken} after {trips} trips");
        // What has arrived is acknowledged, and does not go again before it leaves the queue.
        let ran = sync(&env, "mallory", "stick").ok();
        env.relay("route").args(["-N", "mallory"]).ok().quiet();
        assert!(ran.stderr.len() < 4000, "{}", ran.stderr);
        let before = taken;
        sync(&env, "hub", "stick").ok().quiet();
        taken = arrived(&env).len();
        assert!(taken > before);
        let left = 20 - taken;
        if left > 0 {
            let said = format!("hub: no room for {left} message");
            assert!(ran.stderr.contains(&said), "{said}: {}", ran.stderr);
            let state = |id: &str| {
                env.relay("list")
                    .args(["-N", "hub", "--id", id])
                    .run()
                    .status
            };
            assert_eq!(state("urgent"), 75);
            assert_eq!(state("idle"), 67, "the idle one went before others");
        } else {
            ran.quiet();
        }
        assert!(sent(&env).len() >= left);
    }
    assert!(trips > 1);
}

/// A tmpfs without a limit counts no blocks, as do file systems of the network.
#[test]
fn a_file_system_that_tells_no_room_is_not_full() {
    let env = Env::with_gateways();
    env.mkdir("sticks");
    let Some(_mounted) = Mounted::on(env.path("sticks"), "0", MEDIA) else {
        return;
    };
    env.mkdir("sticks/first");
    env.mkdir("sticks/second");
    env.mkdir("sticks/mallory");
    copy_tree(&env.path("mallory"), &env.path("sticks/mallory"));
    env.chmod("sticks/mallory", 0o700);
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    let put = env.relay("put").args(["-N", "sticks/mallory"]);
    put.stdin(parcel).ok().quiet();
    let route = env.relay("route").args(["-N", "sticks/mallory"]);
    route.ok().quiet();
    sync(&env, "hub", "sticks/first").arg("--init").ok().quiet();
    sync(&env, "sticks/mallory", "sticks/first").ok().quiet();
    let carry = env.relay("carry").args(["--init", "sticks/first"]);
    carry.arg("sticks/second").ok().quiet();
    sync(&env, "hub", "sticks/second").ok().quiet();
    assert_eq!(arrived(&env).len(), 1);
}

#[test]
fn that_nothing_fits_is_said_to_those_who_want_only_errors() {
    let env = Env::with_gateways();
    let Some(_mounted) = Mounted::on(env.path("stick"), "200k", MEDIA) else {
        return;
    };
    sync(&env, "hub", "stick").arg("--init").ok().quiet();
    let parcel = env.parcel_with("bob", "alice", b"hello", &["--id", "m1"]);
    let put = env.relay("put").args(["-N", "mallory"]);
    put.stdin(parcel).ok().quiet();
    env.relay("route").args(["-N", "mallory"]).ok().quiet();
    let ran = sync(&env, "mallory", "stick").arg("-q").ok();
    let line = "relay-sync: hub: no room for 1 message (";
    assert!(ran.stderr.starts_with(line), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn a_stick_without_any_room_is_still_read() {
    let env = laden();
    env.mkdir("full");
    let Some(mounted) = Mounted::on(env.path("full"), "1m", MEDIA) else {
        return;
    };
    copy_tree(&env.path("stick"), &env.path("full"));
    let filler = vec![0; 1 << 20];
    let _ = fs::write(env.path("full/filler"), &filler);
    let ran = sync(&env, "hub", "full").run();
    assert!(
        [0, 74, 75].contains(&ran.status),
        "{} {}",
        ran.status,
        ran.stderr
    );
    assert_eq!(arrived(&env).len(), 4, "{}", ran.stderr);
    let dir = format!("full/relaynet/cargo/{}", id("hub"));
    assert_eq!(env.names(&dir), [""; 0], "room is made: {}", ran.stderr);
    drop(mounted);
}

#[test]
fn a_hint_has_any_date_and_does_no_harm() {
    let env = laden();
    let got = format!("stick/relaynet/got/{}", id("hub"));
    fs::create_dir_all(env.path(&got)).unwrap();
    let names: Vec<String> = (0..6).map(|at| format!("{at}").repeat(64)).collect();
    for (name, text) in names.iter().zip([
        "2026-03-01T11:00:00Z\n",
        "9999-12-30T22:00:00Z\n",
        "-009999-01-02T01:59:59Z",
        "",
        "\0\0\0\0\0\0\0\0",
        "2026-02-01T11:00:00Z\n",
    ]) {
        env.write(format!("{got}/{name}"), text);
    }
    env.write(format!("{got}/notes.txt"), "mine");
    let cargo = format!("stick/relaynet/cargo/{}", id("hub"));
    let file = |name: &String| format!("{}.{name}.cargo", id("mallory"));
    for name in &names {
        env.write(format!("{cargo}/{}", file(name)), "x");
    }
    env.mkdir("other");
    env.relay("carry").args(["--init", "stick", "other"]).run();
    let there = env.names(&cargo);
    assert!(!there.contains(&file(&names[0])), "{there:?}");
    assert!(names[1..].iter().all(|it| there.contains(&file(it))));
    // It keeps its date, so that it ends some day.
    assert_eq!(env.names(&got), [names[0].clone(), "notes.txt".to_owned()]);
    let later = "2026-03-15T11:00:01Z";
    env.relay("carry").at(later).args(["other", "stick"]).run();
    assert_eq!(env.names(&got), ["notes.txt"]);
}

#[test]
fn directories_where_files_are_written_are_left_alone() {
    let env = laden();
    let tmp = env.path("stick/relaynet/tmp");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let age = |path: &Path| {
        let file = fs::File::open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    };
    fs::create_dir_all(tmp.join(".relay-deep.tmp/below")).unwrap();
    fs::write(tmp.join(".relay-deep.tmp/below/file"), "").unwrap();
    fs::write(tmp.join(".relay-left.tmp"), "").unwrap();
    age(&tmp.join(".relay-deep.tmp"));
    age(&tmp.join(".relay-left.tmp"));
    env.mkdir("other");
    sync(&env, "hub", "stick").ok().quiet();
    env.relay("carry").args(["--init", "stick", "other"]).ok();
    assert_eq!(env.names("stick/relaynet/tmp"), [".relay-deep.tmp"]);
    assert!(tmp.join(".relay-deep.tmp/below/file").is_file());
}

#[test]
fn nothing_becomes_a_medium_within_a_node_or_another_medium() {
    let env = Env::with_gateways();
    fs::create_dir_all(env.path("hub/spool/in/deep")).unwrap();
    env.link("hub/spool", "link");
    sync(&env, "hub", "stick").arg("--init").ok().quiet();
    let within = [
        "hub/spool",
        "hub/spool/in",
        "hub/spool/in/deep",
        "link",
        "link/in",
        "stick/relaynet/cargo",
    ];
    for dir in within {
        let said = format!("{dir} belongs to a node or to another medium");
        let ran = sync(&env, "hub", dir).arg("--init").fails(64, &said);
        ran.changes(&[]);
        let ran = env
            .relay("carry")
            .args(["--init", "stick", dir])
            .fails(64, &said);
        ran.changes(&[]);
    }
    env.mkdir("stick/other");
    sync(&env, "hub", "stick/other").arg("--init").ok().quiet();
}

#[test]
fn what_is_no_hint_of_use_frees_nothing() {
    let env = laden();
    env.mkdir("other");
    let carry = |at: &str| {
        let ran = env.relay("carry").args(["-v", "stick", "other"]);
        ran.at(at).run()
    };
    let now = "2026-03-01T12:00:00Z";
    env.relay("carry")
        .args(["--init", "stick", "other"])
        .ok()
        .quiet();
    let got = env.path(format!("other/relaynet/got/{}", id("hub")));
    let names: Vec<PathBuf> = cargo(&env)
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            got.join(name.split('.').nth(1).unwrap())
        })
        .collect();
    fs::create_dir_all(&names[0]).unwrap();
    fs::write(&names[1], "no date").unwrap();
    fs::write(&names[2], "2026-01-01T12:00:00Z\n").unwrap();
    symlink(env.path("stick/relaynet/ID"), &names[3]).unwrap();
    // By age only where something vouches for the clock: a hint of the last month.
    let ran = carry(now);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!names[1].exists() && names[2].exists());
    fs::write(got.join(sha256(b"other")), "2026-02-10T12:00:00Z\n").unwrap();
    for _ in 0..2 {
        let ran = carry(now);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert!(!ran.stderr.contains("event=carried"), "{}", ran.stderr);
        let there = format!("other/relaynet/cargo/{}", id("hub"));
        assert_eq!(env.names(&there).len(), 4);
    }
    assert!(names[0].is_dir() && !names[1].exists() && !names[2].exists());
    // Those on the stick free the stick, whatever lies in their places on the other medium.
    let from = env.path(format!("stick/relaynet/got/{}", id("hub")));
    fs::create_dir_all(&from).unwrap();
    for name in &names {
        fs::write(from.join(name.file_name().unwrap()), format!("{now}\n")).unwrap();
    }
    let ran = carry(now);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("event=freed").count(), 4);
    assert_eq!(cargo(&env), [""; 0].map(PathBuf::from));
}

/// Runs a program while a directory has this mode, which is to bind root, too.
pub(crate) fn bound(call: Call<'_>, mode: u32, dir: &Path) -> Ran {
    let dir = dir.display();
    let script = format!(
        r#"chmod {mode:o} {dir}
        set -- "$0" "$@"
        [ "$(id -u)" -ne 0 ] || set -- setpriv --bounding-set=-dac_override,-dac_read_search "$@"
        "$@"
        status=$?
        chmod 700 {dir}
        exit $status"#
    );
    call.shell(&script, "").run()
}

#[test]
fn a_directory_that_cannot_be_listed_keeps_nothing_else_waiting() {
    let world = laden();
    let (hub, mallory) = (id("hub"), id("mallory"));
    // The hub's acknowledgements lie there for mallory.
    for (what, taken) in [
        (format!("cargo/{hub}"), 0),
        (format!("cca/{hub}"), 4),
        (format!("cca/{mallory}"), 4),
        (format!("cargo/{mallory}"), 4),
        (format!("got/{hub}"), 4),
    ] {
        for mode in [0, 0o100, 0o300] {
            let env = copy(&world);
            env.mkdir("other");
            let dir = env.path("stick/relaynet").join(&what);
            fs::create_dir_all(&dir).unwrap();
            let carry = env.relay("carry").args(["--init", "stick", "other"]);
            let ran = bound(carry, mode, &dir);
            let context = format!("{what} {mode:o}: {} {}", ran.status, ran.stderr);
            assert!([74, 75].contains(&ran.status), "{context}");
            assert_eq!(ran.stderr.matches(&what).count(), 2, "{context}");
            for kind in ["cargo", "cca"] {
                let there = env.path(format!("other/relaynet/{kind}/{hub}"));
                let is_listed = what != format!("{kind}/{hub}");
                assert_eq!(there.is_dir(), is_listed, "{context}");
            }
            let ran = bound(sync(&env, "hub", "stick"), mode, &dir);
            let context = format!("{what} {mode:o}: {} {}", ran.status, ran.stderr);
            assert_eq!(arrived(&env).len(), taken, "{context}");
        }
    }
}

/// Runs a program while somebody takes directories of the stick away and puts links in their places, again and again.
fn raced(env: &Env, name: &str, args: &[&str], dirs: &[String]) {
    let program = Path::new(env!("CARGO_BIN_EXE_relay-open")).with_file_name(name);
    let mut child = Command::new(program)
        .args(args)
        .current_dir(env.root())
        .env("RELAY_NOW", "2026-03-01T12:00:00Z")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let paths = dirs.iter().map(|dir| {
        let dir = Path::new(dir);
        let to = env.path("outside").join(dir.strip_prefix("stick").unwrap());
        (env.path(dir), to)
    });
    let paths: Vec<(PathBuf, PathBuf)> = paths.collect();
    let aside = env.path("aside");
    let started = std::time::Instant::now();
    let status = loop {
        for (path, to) in &paths {
            if fs::rename(path, &aside).is_err() {
                continue;
            }
            let _ = symlink(to, path); // a program may have made a directory there
            std::thread::yield_now();
            let is_link = fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink());
            if is_link {
                fs::remove_file(path).unwrap();
            }
            // Whatever was made there meanwhile may stay.
            let _ = fs::rename(&aside, path);
            let _ = fs::remove_dir_all(&aside);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed().as_secs() > 60 {
            child.kill().unwrap();
            panic!("{name} {args:?} does not end");
        }
    };
    // Whatever it says, it is no bug.
    assert!(status.code().is_some_and(|it| it != 70), "{name} {args:?}");
}

#[test]
fn directories_that_become_links_meanwhile_lead_nowhere() {
    let world = laden();
    let (hub, mallory) = (id("hub"), id("mallory"));
    let hints: Vec<String> = (0..40).map(|at| format!("{at:064}")).collect();
    for top in ["stick", "outside"] {
        for name in &hints {
            let got = world.path(format!("{top}/relaynet/got/{hub}"));
            fs::create_dir_all(&got).unwrap();
            fs::write(got.join(name), "old").unwrap();
            let left = world.path(format!("{top}/relaynet/tmp/.relay-{name}.tmp"));
            fs::write(&left, "").unwrap();
            let file = fs::File::open(&left).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }
        fs::create_dir_all(world.path(format!("{top}/relaynet/cargo/{mallory}"))).unwrap();
        fs::create_dir_all(world.path(format!("{top}/relaynet/cca/{mallory}"))).unwrap();
    }
    for dirs in [
        vec![format!("stick/relaynet/got/{hub}")],
        vec!["stick/relaynet/tmp".to_owned()],
        vec![
            format!("stick/relaynet/cargo/{hub}"),
            format!("stick/relaynet/cargo/{mallory}"),
        ],
        vec![
            "stick/relaynet/cargo".to_owned(),
            "stick/relaynet/cca".to_owned(),
        ],
        vec!["stick/relaynet".to_owned()],
    ] {
        let env = Env::new();
        copy_tree(world.root(), env.root());
        for name in &hints {
            for top in ["stick", "outside"] {
                let left = env.path(format!("{top}/relaynet/tmp/.relay-{name}.tmp"));
                let file = fs::File::open(&left).unwrap();
                file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                    .unwrap();
            }
        }
        let outside = below(&env.tree(), "outside");
        env.mkdir("other");
        sync(&env, "gateway", "other").arg("--init").ok().quiet();
        for _ in 0..3 {
            raced(&env, "relay-carry", &["stick", "other"], &dirs);
            raced(&env, "relay-carry", &["other", "stick"], &dirs);
            raced(&env, "relay-sync", &["-N", "hub", "stick"], &dirs);
            let is_same = below(&env.tree(), "outside") == outside;
            assert!(is_same, "{dirs:?}: something outside is changed");
        }
    }
}

#[test]
fn damaged_files_are_told_in_few_words_and_count_for_the_status() {
    let env = laden();
    let dir = format!("stick/relaynet/cargo/{}", id("hub"));
    for at in 0..30 {
        env.write(format!("{dir}/{}.{at:064x}.cargo", id("mallory")), "x");
    }
    let ran = sync(&env, "hub", "stick").run();
    assert_eq!(arrived(&env).len(), 4);
    let told = |ran: &Ran, top: &str| {
        let lines = ran.diagnostics();
        let of = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!(
            of(": damaged: it is not what its name says"),
            8,
            "{lines:?}"
        );
        let damaged = format!("{top}cargo/{}", id("hub"));
        assert_eq!(of(&damaged), 9, "{lines:?}");
        let more = format!("{damaged}: and 22 more");
        assert_eq!(lines.last(), Some(&more));
        assert_eq!(lines.len(), 9, "{lines:?}");
        assert_eq!(ran.status, 65);
    };
    told(&ran, "stick/relaynet/");
    env.mkdir("other");
    let carry = env.relay("carry").args(["--init", "stick", "other"]);
    told(&carry.run(), "");
}
