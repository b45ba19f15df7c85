//! `relay-check --backup`: a copy of a node as it is at one instant, and what is made of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use relaynet::node::Directory;
use relaynet::spool::Spool;

use super::mounted::Mounted;
use super::testenv::{Call, Env, User, copy_tree, id, is_root};

const LATER: &str = "2026-03-01T14:00:00Z";

fn check<'a>(env: &'a Env, node: &str) -> Call<'a> {
    env.relay("check").args(["-N", node]).at(LATER)
}

fn back_up<'a>(env: &'a Env, node: &str) -> Call<'a> {
    check(env, node).args(["--backup", "copy"])
}

/// The gateway with a local endpoint `anna`, to whom bob may write; in its spool are parcels for anna, who has one of them.
fn site() -> Env {
    let env = Env::with_gateways();
    let endpoint = ["-q", "-N", "gateway", "--endpoint", "anna"];
    let clock = ["--set", "clock=test"];
    env.relay("keygen")
        .args(endpoint)
        .args(clock)
        .at("2026-03-01T09:00:00Z")
        .ok();
    let public = env.relay("export").args(["-N", "bob"]).ok().stdout;
    let authorize = ["-q", "-N", "gateway/endpoints/anna", "--name", "bob"];
    let conn = env
        .relay("authorize")
        .args(authorize)
        .stdin(public)
        .ok()
        .stdout;
    let import = env
        .relay("import")
        .args(["-q", "-N", "bob", "--name", "anna"]);
    import.stdin(conn).ok();
    env.mkdir("inbox");
    for number in 0..4 {
        put(&env, &format!("m{number}"));
    }
    route(&env);
    put(&env, "m4");
    env
}

/// Leaves a parcel from bob in the gateway's spool.
fn put(env: &Env, content: &str) {
    let seal = env
        .relay("seal")
        .args(["-N", "bob", "-t", "anna", "--id", content]);
    let parcel = seal.stdin(content).at("2026-03-01T12:30:00Z").ok().stdout;
    let put = env.relay("put").args(["-q", "-N", "gateway"]);
    put.stdin(parcel).at("2026-03-01T12:30:00Z").ok();
}

fn route(env: &Env) {
    let route = env.relay("route").args(["-q", "-N", "gateway"]);
    route.at("2026-03-01T12:40:00Z").ok();
}

fn deliver(env: &Env, at: &str) -> Vec<String> {
    let deliver = env
        .relay("deliver")
        .args(["-q", "-N", "gateway/endpoints/anna"]);
    let ran = deliver.args(["--dir", "inbox"]).at(at).run();
    assert!([0, 75].contains(&ran.status), "{}", ran.stderr);
    let inbox = env.path("inbox/bob");
    let Ok(entries) = fs::read_dir(inbox) else {
        return Vec::new();
    };
    let contents = entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut contents: Vec<String> = contents.collect();
    contents.sort();
    contents
}

fn is_why(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == "why")
}

fn restore(env: &Env, node: &str) {
    let ran = check(env, node).args(["--restored", "-q"]).run();
    // The clock of the files is another one.
    assert!([0, 1].contains(&ran.status), "{}", ran.stderr);
}

/// What is at a path: its mode, the time of a file, and its content.
type Found = (u32, Option<(i64, i64)>, Vec<u8>);

/// The files and directories below one.
fn tree(dir: &Path) -> BTreeMap<String, Found> {
    fn fill(dir: &Path, above: &str, tree: &mut BTreeMap<String, Found>) {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{above}{}", entry.file_name().to_str().unwrap());
            let found = entry.metadata().unwrap();
            let is_dir = found.is_dir();
            let time = (!is_dir).then(|| (found.mtime(), found.mtime_nsec()));
            let content = if is_dir {
                Vec::new()
            } else {
                fs::read(entry.path()).unwrap()
            };
            tree.insert(name.clone(), (found.mode(), time, content));
            if is_dir {
                fill(&entry.path(), &format!("{name}/"), tree);
            }
        }
    }
    let mut tree = BTreeMap::new();
    fill(dir, "", &mut tree);
    tree
}

#[test]
fn a_backup_is_a_copy_of_the_node_and_of_its_endpoints() {
    let env = site();
    deliver(&env, "2026-03-01T12:50:00Z");
    env.write("gateway/.profile", "the user's");
    back_up(&env, "gateway").ok().quiet();
    let (node, copy) = (tree(&env.path("gateway")), tree(&env.path("copy")));
    let is_copied = |name: &str| {
        let parts: Vec<&str> = name.split('/').collect();
        let own = parts.strip_prefix(&["endpoints", "anna"]).unwrap_or(&parts);
        own.first() != Some(&"lock") && own.first() != Some(&".profile")
    };
    for (name, found) in &node {
        if !is_copied(name) {
            assert!(!copy.contains_key(name), "{name}");
        } else if name.ends_with("VERSION") {
            assert_eq!(copy[name].2, b"relay-node 1 backup\n");
        } else {
            assert!(copy[name] == *found, "{name}");
        }
    }
    assert!(copy.keys().all(|name| node.contains_key(name)));
    assert!(
        copy.keys()
            .any(|name| name.starts_with("endpoints/anna/seen/2"))
    );
    assert!(copy.keys().any(|name| name.starts_with("spool/in/")));
}

#[test]
fn a_backup_is_no_node_until_it_is_restored() {
    let env = site();
    back_up(&env, "gateway").ok();
    // What is found depends on the clock, but not on which of the two it is.
    let found = |node: &str| {
        let ran = check(&env, node).run();
        let text = String::from_utf8(ran.stdout).unwrap().replace(node, "NODE");
        let lines = text.lines().filter(|line| !line.contains("the clock says"));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(found("copy"), found("gateway"));
    for (program, node) in [
        ("list", "copy"),
        ("route", "copy"),
        ("peers", "copy/endpoints/anna"),
    ] {
        let refused = env.relay(program).args(["-N", node]).at(LATER);
        refused.fails(78, &format!("{node} is a backup"));
    }
    back_up(&env, "copy").fails(78, "copy is a backup");
    // An endpoint is used only with its gateway.
    let endpoint = check(&env, "copy/endpoints/anna").arg("--restored");
    endpoint.fails(78, "copy is a backup");
    restore(&env, "copy");
    for node in ["copy", "copy/endpoints/anna"] {
        assert_eq!(env.text(format!("{node}/VERSION")), "relay-node 1\n");
        env.relay("peers").args(["-N", node]).at(LATER).ok();
    }
}

#[test]
fn what_was_delivered_after_a_backup_is_not_delivered_again() {
    let env = site();
    back_up(&env, "gateway").ok();
    let all = ["m0", "m1", "m2", "m3"];
    assert_eq!(deliver(&env, "2026-03-01T12:50:00Z"), all);
    fs::remove_dir_all(env.path("gateway")).unwrap();
    fs::rename(env.path("copy"), env.path("gateway")).unwrap();
    restore(&env, "gateway");
    // Nobody can tell which of them were delivered, and none is lost.
    assert_eq!(deliver(&env, "2026-03-01T15:00:00Z"), all);
    let failed = env.names("gateway/spool/failed");
    assert_eq!(failed.iter().filter(|name| is_why(name)).count(), 4);
    let route = env.relay("route").args(["-q", "-N", "gateway"]);
    route.at("2026-03-01T15:00:00Z").ok();
    let retry = env
        .relay("route")
        .args(["-q", "-N", "gateway", "--retry"])
        .args(&failed[..1]);
    retry.at("2026-03-01T15:00:00Z").ok();
}

#[test]
fn a_backup_replaces_nothing_and_lies_outside_the_node() {
    let env = site();
    env.mkdir("copy");
    back_up(&env, "gateway").fails(73, "copy: already exists");
    fs::remove_dir(env.path("copy")).unwrap();
    symlink("nowhere", env.path("copy")).unwrap();
    back_up(&env, "gateway").fails(73, "copy: already exists");
    for within in ["gateway/spool/copy", "gateway/endpoints/anna/peers/x"] {
        let inside = check(&env, "gateway").args(["--backup", within]);
        inside.fails(64, &format!("{within}: within a node"));
    }
    // A dash would be a directory that is hard to remove.
    let dash = check(&env, "gateway").args(["--backup", "-"]);
    dash.fails(64, "--backup makes a directory");
    let nowhere = check(&env, "gateway").args(["--backup", "no/copy"]);
    nowhere.fails(73, "no/copy: cannot");
    check(&env, "gateway")
        .args(["--backup", "x", "--restored"])
        .fails(64, "the argument '--backup <DIR>' cannot be used with");
    check(&env, "gateway")
        .args(["--wait", "1s"])
        .fails(64, "--wait goes with --backup");
}

#[test]
fn a_backup_waits_for_whoever_moves_messages() {
    let env = site();
    for lock in ["gateway/lock/queue", "gateway/endpoints/anna/lock/node"] {
        let held = relaynet::disk::Lock::exclusive(&env.path(lock)).unwrap();
        back_up(&env, "gateway").fails(75, "another run is active");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| back_up(&env, "gateway").args(["--wait", "1m"]).run());
            thread::sleep(Duration::from_millis(300));
            assert!(!env.path("copy").exists());
            // Nothing is held meanwhile.
            let other = relaynet::disk::Lock::try_exclusive(&env.path("gateway/lock/node"));
            drop(other.unwrap());
            drop(held);
            assert_eq!(waiting.join().unwrap().status, 0);
        });
        fs::remove_dir_all(env.path("copy")).unwrap();
    }
}

#[test]
fn a_message_that_cannot_be_copied_does_not_stop_the_others() {
    let env = site();
    let home = fs::read_dir(env.path("gateway/spool/home"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    symlink("/etc/passwd", home.join("link")).unwrap();
    let ran = back_up(&env, "gateway").run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("link: not a regular file"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        tree(&env.path("copy/spool/home"))
            .values()
            .filter(|it| it.1.is_some())
            .count(),
        4
    );
    fs::remove_dir_all(env.path("copy")).unwrap();
    fs::remove_file(home.join("link")).unwrap();
    if is_root("files that cannot be read") {
        return;
    }
    let first = fs::read_dir(&home).unwrap().next().unwrap().unwrap().path();
    fs::set_permissions(&first, fs::Permissions::from_mode(0o000)).unwrap();
    let ran = back_up(&env, "gateway").run();
    assert_eq!(ran.status, 74, "{}", ran.stderr);
    assert_eq!(
        tree(&env.path("copy/spool/home"))
            .values()
            .filter(|it| it.1.is_some())
            .count(),
        3
    );
    fs::remove_dir_all(env.path("copy")).unwrap();
    // Without a key, a backup is worth nothing.
    let sessions = format!("gateway/sessions/{}", id("hub"));
    let name = env.names(&sessions).remove(0);
    env.chmod(format!("{sessions}/{name}"), 0);
    back_up(&env, "gateway").fails(78, "cannot open");
    assert!(!env.path("copy").exists());
}

/// What no program made is no part of the node: without it, the backup is as good.
#[test]
fn a_stray_file_that_cannot_be_read_does_not_stop_a_backup() {
    let env = site();
    let is_root = rustix::process::geteuid().is_root();
    let strays = ["peers/notes", "endpoints/anna/seen/old", "peers/more"];
    for stray in &strays[..2] {
        env.write(format!("gateway/{stray}"), "x");
    }
    env.mkdir("gateway/peers/more");
    let owner = User {
        uid: 4243,
        group: None,
    };
    if is_root {
        let all = Command::new("chown")
            .args(["-R", "4243:4243"])
            .arg(env.root())
            .status();
        assert!(all.unwrap().success());
    }
    for stray in strays {
        env.chmod(format!("gateway/{stray}"), 0);
    }
    let run = |call: Call<'_>| {
        if is_root {
            call.by(owner).run()
        } else {
            call.run()
        }
    };
    let ran = run(back_up(&env, "gateway"));
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    let said = ran.diagnostics();
    assert_eq!(said.len(), 3, "{said:?}");
    for stray in strays {
        let line = format!("gateway/{stray}: cannot ");
        assert!(said.iter().any(|it| it.starts_with(&line)), "{said:?}");
    }
    assert!(!env.path("copy/peers/notes").exists());
    let keys = tree(&env.path("gateway/endpoints/anna/sessions"));
    assert_eq!(tree(&env.path("copy/endpoints/anna/sessions")), keys);
    fs::remove_dir_all(env.path("copy")).unwrap();
    // What a program made is missed when it is needed.
    let pinned = format!("gateway/peers/{}/identity.pub", id("hub"));
    env.chmod(&pinned, 0);
    let ran = run(back_up(&env, "gateway"));
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert!(!env.path("copy").exists());
}

/// It says what waits in this very directory, and may be anything that somebody made of it.
#[test]
fn the_ledger_of_a_spool_is_not_in_a_backup() {
    let env = site();
    let ledger = env.path("gateway/spool/ledger");
    let copied = || {
        back_up(&env, "gateway").ok();
        assert!(!env.path("copy/spool/ledger").exists());
        fs::remove_dir_all(env.path("copy")).unwrap();
    };
    fs::write(&ledger, "x").unwrap();
    env.chmod("gateway/spool/ledger", 0);
    copied();
    fs::remove_file(&ledger).unwrap();
    std::os::unix::fs::symlink("in", &ledger).unwrap();
    copied();
}

/// What is known of servers is out of date when a backup is used.
#[test]
fn what_is_known_of_servers_is_not_in_a_backup() {
    let env = site();
    let spool = Spool::of(Directory::open(&env.path("gateway")).unwrap()).unwrap();
    let now = LATER.parse().unwrap();
    spool.note_host_success("gw.example.org", now).unwrap();
    assert_eq!(env.names("gateway/spool/hosts").len(), 1);
    back_up(&env, "gateway").ok();
    assert!(env.path("copy/spool/in").exists());
    assert!(!env.path("copy/spool/hosts").exists());
}

/// Where nothing can be written, nothing changes either, and a lock that is there is taken.
#[test]
fn a_node_that_is_mounted_read_only_is_copied() {
    let env = site();
    env.mkdir("disk");
    let Some(mounted) = Mounted::on(env.path("disk"), "8m", "backup of what is read-only") else {
        return;
    };
    env.mkdir("disk/gateway");
    copy_tree(&env.path("gateway"), &env.path("disk/gateway"));
    mounted.remount("ro");
    back_up(&env, "disk/gateway").ok().quiet();
    assert!(env.path("copy/identity.key").exists());
    fs::remove_dir_all(env.path("copy")).unwrap();
    let held = relaynet::disk::Lock::try_read_only(&env.path("disk/gateway/lock/queue"));
    let held = held.unwrap().unwrap().unwrap();
    back_up(&env, "disk/gateway").fails(75, "another run is active");
    drop(held);
    mounted.remount("rw");
    fs::remove_dir_all(env.path("disk/gateway/lock")).unwrap();
    mounted.remount("ro");
    let says = "disk/gateway: read-only, and without locks";
    back_up(&env, "disk/gateway").ok().says(&[says]);
}

/// A backup that was killed left private keys: the next one to that place removes them.
#[test]
fn what_a_killed_backup_left_goes_with_the_next_one() {
    let env = site();
    back_up(&env, "gateway")
        .var("RELAY_FAULT", "kill:9")
        .output();
    let left = || {
        let mut names = env.names("");
        names.retain(|name| name.starts_with(".relay-"));
        names
    };
    assert_eq!(left().len(), 1);
    let killed = env.path(left().remove(0));
    fs::rename(&killed, env.path(".relay-held.tmp")).unwrap();
    fs::create_dir(env.path(".relay-empty.tmp")).unwrap();
    let lock = fs::File::open(env.path(".relay-held.tmp")).unwrap();
    lock.lock().unwrap();
    back_up(&env, "gateway").ok();
    assert_eq!(left(), [".relay-empty.tmp", ".relay-held.tmp"]);
    drop(lock);
    fs::rename(env.path("copy"), env.path("first")).unwrap();
    back_up(&env, "gateway").ok();
    // One that has just been made has no keys yet, and its run is about to lock it.
    assert_eq!(left(), [".relay-empty.tmp"]);
}

#[test]
fn what_a_group_may_use_stays_so() {
    let env = Env::new();
    let group = format!("group={}", rustix::process::getgid().as_raw());
    let keygen = ["-q", "--type", "gateway", "--set", &group, "gateway"];
    env.relay("keygen").args(keygen).at_any_time().ok();
    back_up(&env, "gateway").ok().quiet();
    for (dir, mode) in [("", 0o710), ("spool", 0o710), ("spool/in", 0o3770)] {
        for node in ["gateway", "copy"] {
            assert_eq!(env.mode(format!("{node}/{dir}")), mode, "{node}/{dir}");
        }
    }
}

#[test]
fn few_descriptors_are_enough() {
    let env = site();
    back_up(&env, "gateway").shell("ulimit -n 80", "").ok();
    back_up(&env, "gateway").fails(73, "copy: already exists");
    fs::rename(env.path("copy"), env.path("first")).unwrap();
    back_up(&env, "gateway").ok();
    let copied = |name: &str| {
        let files = tree(&env.path(name)).into_iter();
        files
            .filter(|(name, _)| !name.ends_with("VERSION"))
            .collect::<Vec<_>>()
    };
    assert!(copied("first") == copied("copy"));
}

/// What the loops of a site do, by the real clock, while a backup is made again and again.
#[test]
fn a_backup_of_a_node_at_work_loses_nothing_and_repeats_nothing() {
    let env = Env::new();
    let run = |line: &str| {
        let (program, args) = line.split_once(' ').unwrap();
        let ran = env
            .relay(program)
            .args(args.split(' '))
            .at_any_time()
            .output();
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        (ran.status.code().unwrap(), ran.stdout, errors)
    };
    let ok = |line: &str| {
        let (status, stdout, errors) = run(line);
        assert_eq!(status, 0, "{line}: {errors}");
        stdout
    };
    ok("keygen -q --type gateway -N site");
    ok("keygen -q -N site --endpoint anna");
    ok("keygen -q bob");
    fs::write(env.path("bob.pub"), ok("export -N bob")).unwrap();
    ok("authorize -q -N site/endpoints/anna --name bob -o bob.conn bob.pub");
    ok("import -q -N bob --name anna bob.conn");
    env.mkdir("inbox");
    let is_over = AtomicBool::new(false);
    let put = AtomicBool::new(false);
    let repeat = |line: &str| {
        while !is_over.load(Ordering::Relaxed) {
            let (status, _, errors) = run(line);
            assert!([0, 75].contains(&status), "{line}: {errors}");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                env.write("content", format!("m{number}"));
                ok("seal -q -N bob -t anna -f -o parcel content");
                ok("put -q -N site parcel");
                put.store(true, Ordering::Relaxed);
            }
        });
        scope.spawn(|| repeat("route -q -N site"));
        scope.spawn(|| repeat("deliver -q -N site/endpoints/anna --dir inbox"));
        scope.spawn(|| repeat("purge -q -N site"));
        while !put.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
        for number in 0..8 {
            thread::sleep(Duration::from_millis(120));
            ok(&format!("check -q -N site --wait 1m --backup copy{number}"));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for number in 0..8 {
        let copy = format!("copy{number}");
        assert_eq!(ok(&format!("check -N {copy}")), b"", "{copy}");
        restored(&env, &copy, &ok);
    }
}

/// Uses a restored backup: each message in it can be handed out, none that is remembered is.
fn restored(env: &Env, copy: &str, ok: &dyn Fn(&str) -> Vec<u8>) {
    let home = env.path(copy).join("spool");
    let waiting = |folder: &str| {
        let dir = home.join(folder);
        let files = tree_or_nothing(&dir);
        files.len()
    };
    let before = waiting("in") + waiting("home");
    ok(&format!("check -q -N {copy} --restored"));
    ok(&format!("route -q -N {copy}"));
    let out = format!("inbox-{copy}");
    env.mkdir(&out);
    ok(&format!("deliver -q -N {copy}/endpoints/anna --dir {out}"));
    assert_eq!(waiting("in") + waiting("home"), 0, "{copy}");
    // All of them are older than the restoration: set aside, or known as delivered.
    assert_eq!(tree_or_nothing(&env.path(&out)), Vec::<String>::new());
    let failed = tree_or_nothing(&home.join("failed"));
    let aside: Vec<&String> = failed.iter().filter(|name| !is_why(name)).collect();
    assert!(aside.len() <= before, "{copy}");
    for name in &aside {
        ok(&format!(
            "route -q -N {copy} --retry {}",
            name.rsplit('/').next().unwrap()
        ));
    }
    ok(&format!("route -q -N {copy}"));
    ok(&format!("deliver -q -N {copy}/endpoints/anna --dir {out}"));
    assert_eq!(
        tree_or_nothing(&env.path(&out)).len(),
        aside.len(),
        "{copy}"
    );
}

/// The files below a directory.
fn tree_or_nothing(dir: &Path) -> Vec<String> {
    if !dir.exists() {
        return Vec::new();
    }
    let files = tree(dir).into_iter().filter(|(_, found)| found.1.is_some());
    files.map(|(name, _)| name).collect()
}
