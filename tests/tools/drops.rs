//! relay-send under attack and after failures: what others leave in a drop folder, claims of earlier runs, full quotas.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

use crate::testenv::{Call, Env, id};

/// The directory of what an earlier run has claimed.
const CLAIMS: &str = "drop/.sending/00112233445566778899aabbccddeeff";

/// Alice, and folders for two of her peers.
fn drop_folder() -> Env {
    let env = Env::with_peers();
    for dir in ["drop", "drop/bob", "drop/carol", "kept", "got"] {
        env.mkdir(dir);
    }
    env
}

fn send<'a>(env: &'a Env, args: &[&str]) -> Call<'a> {
    env.relay("send").args(["-N", "alice"]).args(args)
}

fn dropped<'a>(env: &'a Env, args: &[&str]) -> Call<'a> {
    send(env, &["--drop", "drop", "--settle", "0s"]).args(args)
}

fn json(call: Call<'_>) -> Vec<Value> {
    call.arg("--json").ok().json()
}

fn waiting(env: &Env) -> Vec<String> {
    env.names("alice/spool/in")
}

fn quota(env: &Env, size: &str) {
    let config = env.text("alice/config");
    env.write("alice/config", format!("{config}quota = {size}\n"));
}

/// Makes a directory as runs make them.
fn claims(env: &Env, folder: &str) -> String {
    let dir = format!("{CLAIMS}/{folder}");
    fs::create_dir_all(env.path(&dir)).unwrap();
    for dir in ["drop/.sending", CLAIMS, &dir] {
        env.chmod(dir, 0o700);
    }
    dir
}

/// Its private key would be on its way to a peer, and gone from the node.
#[test]
fn no_file_of_a_node_is_dropped_or_sent_with_a_directory() {
    let env = drop_folder();
    for (args, named) in [
        (
            &["-t", "bob", "--drop", "carol", "--settle", "0s"][..],
            "carol",
        ),
        (&["-t", "bob", "--drop", "carol/certs"], "carol/certs"),
        (
            &["-t", "bob", "--drop", "drop", "--sent", "carol/peers"],
            "carol/peers",
        ),
    ] {
        let why =
            format!("{named}: belongs to a node, whose files are not sent: name a place outside");
        send(&env, args).fails(64, &why);
    }
    assert!(!env.path("carol/.sending").exists());
    // A home of a service has other files, too.
    env.mkdir("carol/mine");
    env.write("carol/mine/note", "hello");
    env.mkdir("drop/tree");
    env.mkdir("drop/tree/deep");
    fs::rename(env.path("carol"), env.path("drop/tree/deep/carol")).unwrap();
    for (operand, named) in [
        ("drop/tree", "drop/tree/deep/carol"),
        ("drop/tree/deep/carol", "drop/tree/deep/carol"),
        (
            "drop/tree/deep/carol/sessions",
            "drop/tree/deep/carol/sessions",
        ),
    ] {
        env.write("beside", "for bob");
        let ran = send(&env, &["-t", "bob", operand, "beside"]).run();
        let why = format!("{named}: belongs to a node, whose files are not sent");
        assert!(
            ran.status == 65 && ran.stderr.contains(&why),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.text().lines().count(), 1, "{operand}");
    }
    send(&env, &["-t", "bob", "drop/tree/deep/carol/mine"]).ok();
    // A folder with the name of a peer that is a node.
    fs::remove_dir(env.path("drop/bob")).unwrap();
    fs::rename(env.path("drop/tree/deep/carol"), env.path("drop/bob")).unwrap();
    let ran = dropped(&env, &[]).run();
    let why = "bob: belongs to a node, whose files are not sent";
    assert!(
        ran.status == 65 && ran.stderr.contains(why),
        "{}",
        ran.stderr
    );
    assert!(env.path("drop/bob/identity.key").exists());
}

/// What bob delivers of what waits at alice, under the names that were sent along.
fn delivered(env: &Env) -> Vec<String> {
    let home = format!("bob/spool/home/{}", id("bob"));
    fs::create_dir_all(env.path(&home)).unwrap();
    for name in waiting(env) {
        if name.starts_with(&id("bob")) {
            let from = env.path(format!("alice/spool/in/{name}"));
            fs::rename(from, env.path(format!("{home}/{name}"))).unwrap();
        }
    }
    let deliver = env.relay("deliver").args(["-N", "bob", "--keep-name"]);
    deliver.args(["--dir", "got"]).ok();
    env.names("got/alice")
}

#[test]
fn input_that_is_closed_is_nothing_to_send() {
    let env = Env::with_peers();
    for redirection in ["<&-", "0>/dev/null", "0<>/dev/null"] {
        let ran = send(&env, &["-t", "bob", "-"]).shell("", redirection).run();
        assert_eq!(ran.status, 66, "{redirection}: {}", ran.stderr);
        assert_eq!(waiting(&env), Vec::<String>::new());
    }
    let empty = send(&env, &["-t", "bob", "-"]).shell("", "</dev/null");
    assert_eq!(empty.ok().text().lines().count(), 1);
}

#[test]
fn a_place_that_is_none_is_named() {
    let env = drop_folder();
    env.write("drop/bob/x", "x");
    env.write("file", "x");
    send(&env, &["--drop", "none"]).fails(66, "cannot examine");
    send(&env, &["--drop", "file"]).fails(78, "file: not a directory");
    for sent in ["file", "none", "/proc"] {
        let ran = dropped(&env, &["--sent", sent]).run();
        assert_eq!(ran.status, 78, "{sent}: {}", ran.stderr);
        assert_eq!(env.names("drop/bob"), ["x"], "{sent}");
    }
    env.write("drop/.sending", "x");
    dropped(&env, &[]).fails(78, "drop/.sending: not a directory");
    fs::remove_file(env.path("drop/.sending")).unwrap();
    symlink(env.path("kept"), env.path("drop/.sending")).unwrap();
    dropped(&env, &[]).fails(78, "drop/.sending: not a directory");
}

#[test]
fn what_a_run_has_claimed_goes_to_nobody_else() {
    let env = drop_folder();
    let dir = claims(&env, "bob");
    env.write(format!("{dir}/secret"), "for bob");
    env.write("drop/open", "for carol");
    // This run has another recipient for the folder itself.
    fs::remove_dir(env.path("drop/bob")).unwrap();
    fs::remove_dir(env.path("drop/carol")).unwrap();
    let lines = json(dropped(&env, &["-t", "carol"]));
    let found: Vec<(&Value, &Value)> = lines
        .iter()
        .map(|it| (&it["input"], &it["recipient"]))
        .collect();
    let (bob, carol) = (id("bob").into(), id("carol").into());
    assert_eq!(
        found,
        [(&"bob/secret".into(), &bob), (&"open".into(), &carol)]
    );
}

#[test]
fn claims_without_a_recipient_wait_and_are_named() {
    let env = drop_folder();
    let dir = claims(&env, "");
    env.write(format!("{dir}loose"), "x");
    let dir = claims(&env, "nobody");
    env.write(format!("{dir}/x"), "x");
    env.write("drop/bob/good", "x");
    let ran = dropped(&env, &[]).run();
    assert_eq!(ran.status, 66, "{}", ran.stderr);
    assert_eq!(ran.text().lines().count(), 1);
    let place = CLAIMS.strip_prefix("drop/").unwrap();
    let said = ran.diagnostics().join("\n");
    for line in [
        format!("{place}/loose: waits there for a run with -t"),
        format!("{place}/nobody/x: waits there until its recipient is known"),
        "nobody: no peer is known as nobody".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert_eq!(
        dropped(&env, &["-t", "bob"]).run().text().lines().count(),
        1
    );
    assert_eq!(env.names(CLAIMS), ["nobody"]);
}

#[test]
fn claims_that_are_no_files_of_their_own_are_put_back() {
    let env = drop_folder();
    env.write("secret", "x");
    env.mkdir("tree");
    env.write("tree/x", "x");
    let dir = claims(&env, "bob");
    fs::hard_link(env.path("secret"), env.path(format!("{dir}/hard"))).unwrap();
    symlink(env.path("secret"), env.path(format!("{dir}/link"))).unwrap();
    fs::rename(env.path("tree"), env.path(format!("{dir}/tree"))).unwrap();
    // In the place of a folder: others may have brought it here under the name of a file.
    env.mkdir("carol2");
    env.write("carol2/y", "y");
    env.chmod("carol2", 0o777);
    fs::rename(env.path("carol2"), env.path(format!("{CLAIMS}/carol"))).unwrap();
    let ran = dropped(&env, &[]).run();
    assert_eq!(ran.status, 66, "{}", ran.stderr);
    assert_eq!(ran.text(), "");
    assert_eq!(env.names("drop/bob"), ["hard", "link", "tree"]);
    assert_eq!(env.names("drop/carol~2"), ["y"]);
    assert_eq!(env.names("drop/.sending"), ["lock"]);
    assert_eq!(waiting(&env), Vec::<String>::new());
}

#[test]
fn one_that_cannot_be_put_back_stops_no_other() {
    let env = drop_folder();
    let dir = claims(&env, "bob");
    symlink("none", env.path(format!("{dir}/a-link"))).unwrap();
    env.write(format!("{dir}/good"), "x");
    fs::remove_dir(env.path("drop/bob")).unwrap();
    let ran = dropped(&env, &[]).run();
    assert_eq!(ran.status, 66, "{}", ran.stderr);
    ran.says_somewhere(&format!("{}/bob/a-link: ", &CLAIMS[5..]));
    assert_eq!(env.names(&dir), ["a-link"]);
    assert_eq!(waiting(&env).len(), 1);
}

#[test]
fn a_file_that_never_fits_is_refused_for_good() {
    let env = drop_folder();
    quota(&env, "9M");
    env.write("drop/bob/large", vec![b'x'; 20_000_000]);
    env.write("drop/bob/small", "x");
    for _ in 0..2 {
        let ran = dropped(&env, &[]).run();
        assert_eq!(ran.status, 65, "{}", ran.stderr);
        let ran = ran.says_somewhere("octets in all, and only 9437184 may wait for one peer");
        assert!(ran.hints()[0].contains("raise quota"), "{}", ran.stderr);
        assert_eq!(env.names("drop/bob"), ["large"]);
        assert_eq!(env.names("drop/.sending"), ["lock"]);
        assert_eq!(waiting(&env).len(), 1);
    }
    let ran = send(&env, &["-t", "bob", "drop/bob/large"]).run();
    assert_eq!(ran.status, 65, "{}", ran.stderr);
    assert_eq!(waiting(&env).len(), 1);
}

/// A file that is sent, and cannot leave the claims.
fn stuck(env: &Env, content: &[u8]) -> String {
    env.write("drop/bob/file", content);
    env.write("kept/bob", "in the way");
    let ran = dropped(env, &["--sent", "kept"]).run();
    assert_ne!(ran.status, 0);
    fs::remove_file(env.path("kept/bob")).unwrap();
    let run = env.names("drop/.sending").remove(0);
    format!("drop/.sending/{run}/bob/file")
}

#[test]
fn what_waits_of_a_claim_stays_as_it_is() {
    let env = drop_folder();
    quota(&env, "9M");
    stuck(&env, &vec![b'x'; 8_500_000]);
    let before = waiting(&env);
    assert_eq!(before.len(), 2);
    // It has no room twice, and needs none.
    let lines = json(dropped(&env, &["--sent", "kept"]));
    assert_eq!(lines.len(), 1);
    assert_eq!(waiting(&env), before);
    assert_eq!(env.names("kept/bob"), ["file"]);
    assert_eq!(delivered(&env), ["file"]);
}

#[test]
fn a_claim_that_was_written_to_is_another_content() {
    let env = drop_folder();
    let claim = stuck(&env, b"one");
    env.write(claim, "one, two");
    assert_eq!(json(dropped(&env, &["--sent", "kept"])).len(), 1);
    let mut contents: Vec<String> = delivered(&env)
        .iter()
        .map(|name| env.text(format!("got/alice/{name}")))
        .collect();
    contents.sort_by_key(String::len);
    assert_eq!(contents, ["one", "one, two"]);
}

#[test]
fn what_was_sent_may_be_kept_in_the_folder() {
    let env = drop_folder();
    env.mkdir("drop/sent");
    env.write("drop/bob/x", "x");
    let ran = dropped(&env, &["--sent", "drop/sent"]).ok();
    assert_eq!(ran.diagnostics(), Vec::<String>::new());
    assert_eq!(env.names("drop/sent/bob"), ["x"]);
    env.write("drop/y", "y");
    let ran = dropped(&env, &["--sent", "drop/sent", "-t", "bob"]).run();
    assert_eq!(ran.text().lines().count(), 1);
    ran.says_nothing_of("sent: ");
}

#[test]
fn a_name_may_come_any_number_of_times() {
    let env = drop_folder();
    env.mkdir("kept/bob");
    env.write("kept/bob/report.pdf", "x");
    for count in 2..10_001 {
        env.write(format!("kept/bob/report~{count}.pdf"), "x");
    }
    env.write("drop/bob/report.pdf", "new");
    let call = dropped(&env, &["--sent", "kept"]);
    let ended = call.output();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(env.names("kept/bob").len(), 10_001);
    assert_eq!(env.names("drop/.sending"), ["lock"]);
}

#[test]
fn names_of_all_kinds_are_sent_once_each() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let env = drop_folder();
    let names: [&[u8]; 7] = [
        b"new\nline",
        b"-rf",
        &[b'x'; 255],
        b"\xff\xfe.bin",
        b"\x1b[31m\x07",
        b"tab\t.txt",
        b" ",
    ];
    for (at, name) in names.iter().enumerate() {
        let path = env.path("drop/bob").join(OsStr::from_bytes(name));
        fs::write(path, at.to_string()).unwrap();
    }
    let ran = dropped(&env, &["--sent", "kept"]).ok();
    assert_eq!(ran.text().lines().count(), names.len());
    assert!(!ran.text().contains('\x1b'));
    assert_eq!(fs::read_dir(env.path("kept/bob")).unwrap().count(), 7);
    let mut contents: Vec<String> = delivered(&env)
        .iter()
        .map(|name| env.text(format!("got/alice/{name}")))
        .collect();
    contents.sort();
    assert_eq!(contents, ["0", "1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_killed_run_is_finished_by_the_next_one() {
    for at in 1.. {
        let env = drop_folder();
        env.write("drop/bob/one", "one");
        env.write("drop/bob/two", "two");
        env.write("drop/carol/three", "three");
        let args = ["--sent", "kept"];
        let killed = dropped(&env, &args)
            .var("RELAY_FAULT", format!("kill:{at}"))
            .output();
        if killed.status.code() == Some(0) {
            assert!(at > 20, "{at} steps");
            return;
        }
        dropped(&env, &args).ok();
        assert_eq!(waiting(&env).len(), 3, "{at}");
        assert_eq!(env.names("kept/bob"), ["one", "two"], "{at}");
        assert_eq!(env.names("drop/.sending"), ["lock"], "{at}");
        let mode = fs::metadata(env.path("drop/.sending"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o700, "{at}");
    }
}
