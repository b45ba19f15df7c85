//! relay-peers

use std::fs;

use crate::testenv::{Env, copy_tree, fingerprint, id, keys_in};

#[test]
fn a_node_without_peers_has_an_empty_table() {
    let env = Env::new();
    env.make_node("alice", &[]);
    for options in [&[][..], &["--json"]] {
        env.relay("peers")
            .at_any_time()
            .args(["-N", "alice"])
            .args(options)
            .ok()
            .quiet()
            .stdout("")
            .changes(&[]);
    }
    env.relay("peers")
        .at_any_time()
        .args(["-N", "alice", "bob"])
        .fails(67, "no peer is known as bob");
}

#[test]
fn a_mistyped_name_is_understood_and_an_id_never() {
    let env = Env::with_peers();
    let peers = |peer: &str| env.relay("peers").at_any_time().args(["-N", "alice", peer]);
    for (typed, meant) in [
        ("carlo", "carol"),
        ("Carol", "carol"),
        ("bo", ""),
        ("caro", "carol"),
    ] {
        let ran = peers(typed).fails(67, "no peer is known as ");
        let suggested = match meant {
            "" => String::new(),
            _ => format!(": did you mean {meant}?"),
        };
        assert_eq!(
            ran.diagnostics(),
            [format!("no peer is known as {typed}{suggested}")]
        );
    }
    let mut other = id("bob");
    let last = other.pop().unwrap();
    other.push(if last == '0' { '1' } else { '0' });
    let ran = peers(&other).fails(67, "no peer is known as ");
    assert_eq!(ran.diagnostics(), [format!("no peer is known as {other}")]);
    // What is named nearly like an id is not taken for it.
    let near = &other[..20];
    env.relay("peers")
        .at_any_time()
        .args(["-N", "alice", "--rename", "bobby", "bob"])
        .ok();
    let ran = peers(&near.replace(&near[10..11], "x")).fails(67, "no peer is known as ");
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
    let ran = env
        .relay("seal")
        .args(["-N", "alice", "-t", "boby"])
        .stdin("x")
        .fails(67, "no peer is known as ");
    assert_eq!(
        ran.diagnostics(),
        ["no peer is known as boby: did you mean bobby?"]
    );
}

#[test]
fn a_line_for_each_peer() {
    let env = Env::with_peers();
    let line = |name: &str, called: &str, session: &str| {
        let until = "2026-08-28T06:00:00Z";
        format!(
            "{called}\t{}\t{}\t-\t{until}\t{until}\t{session}\tnot compared\n",
            id(name),
            fingerprint(name)
        )
    };
    let date = "2026-03-01T09:00:00Z";
    let peers = || env.relay("peers").at_any_time().args(["-N", "alice"]);
    peers()
        .ok()
        .quiet()
        .changes(&[])
        .stdout(line("carol", "carol", date) + &line("bob", "bob", date));
    for peer in ["bob", &id("bob"), &id("bob")[..16]] {
        peers()
            .arg(peer)
            .ok()
            .quiet()
            .stdout(line("bob", "bob", date));
    }
    for unknown in ["Bob", &id("bob")[..7], &id("mallory"), ""] {
        peers()
            .arg(unknown)
            .fails(67, &format!("no peer is known as {unknown}"));
    }
    let parcel = env.parcel("bob", "alice", b"x");
    env.relay("open").args(["-N", "alice"]).stdin(parcel).ok();
    peers()
        .arg("bob")
        .ok()
        .stdout(line("bob", "bob", "2026-03-01T11:55:00Z"));
}

#[test]
fn json() {
    let env = Env::with_peers();
    let ran = env
        .relay("peers")
        .at_any_time()
        .args(["-N", "alice", "--json"])
        .ok()
        .quiet()
        .changes(&[]);
    let lines = ran.json();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert_eq!(
            keys_in(line),
            [
                "v",
                "id",
                "name",
                "fingerprint",
                "address",
                "host",
                "host_pin",
                "we_may_send_until",
                "they_may_send_until",
                "session_key",
                "compared",
                "expects_mail",
                "revoked",
                "revoked_by_peer",
                "successor",
                "successors_waiting",
                "successor_contested",
            ]
        );
        assert_eq!(
            keys_in(&line["session_key"]),
            ["key_id", "curve", "sha256", "date", "sealed_until"]
        );
    }
    let bob = lines.iter().find(|line| line["name"] == "bob").unwrap();
    assert_eq!(bob["id"], id("bob"));
    assert_eq!(bob["address"], serde_json::Value::Null);
    assert_eq!(bob["session_key"]["date"], "2026-03-01T09:00:00Z");
    assert_eq!(bob["session_key"]["sealed_until"], "2026-04-30T09:00:00Z");
}

#[test]
fn rename() {
    let env = Env::with_peers();
    let rename = |new: &str, peer: &str| {
        env.relay("peers")
            .args(["-N", "alice", "--rename", new, peer])
    };
    rename("robert", "bob")
        .ok()
        .quiet()
        .stdout("")
        .changes(&["*alice/peers/BOB/name"]);
    rename("robert", "robert").ok().quiet().changes(&[]);
    rename("bob", &id("bob"))
        .ok()
        .quiet()
        .changes(&["*alice/peers/BOB/name"]);
    let ran =
        rename("carol", "bob").fails(73, &format!("the name carol is taken by {}", id("carol")));
    assert_eq!(ran.hints().len(), 1);
    rename("x", "nobody").fails(67, "no peer is known as nobody");
    for bad in [
        "",
        "any",
        "Bob",
        "b/o",
        "../x",
        "0123456789ab",
        &id("bob"),
        &"b".repeat(64),
    ] {
        rename(bad, "bob").fails(64, &format!("{bad} cannot be a peer's name"));
    }
    let ran = rename("\x1b[2J", "bob").run();
    assert_eq!(ran.status, 64);
    ran.says(&["\\u{1b}[2J cannot be a peer's name"]);
    env.relay("peers")
        .args(["-N", "alice", "--rename", "x"])
        .fails(64, "the following required arguments");
}

#[test]
fn forget() {
    let env = Env::with_peers();
    let before = env
        .relay("peers")
        .args(["-N", "alice", "carol"])
        .ok()
        .stdout;
    env.write("bob.parcel", env.parcel("bob", "alice", b"x"));
    let ran = env
        .relay("peers")
        .args(["-N", "alice", "--forget", "bob"])
        .ok()
        .says(&["bob: what we gave it authorizes it until 2026-08-28T06:00:00Z all the same"])
        .stdout("");
    assert!(
        ran.changed()
            .iter()
            .all(|path| path.starts_with('-') && path.contains("/BOB")),
        "{:?}",
        ran.changed()
    );
    assert!(ran.changed().contains(&"-alice/sessions/BOB".to_owned()));
    env.relay("peers").args(["-N", "alice"]).ok().stdout(before);
    env.relay("peers")
        .args(["-N", "alice", "--forget", "bob"])
        .fails(67, "no peer is known as bob");
    env.relay("peers")
        .args(["-N", "alice", "--forget"])
        .fails(64, "the following required arguments");
    env.relay("seal")
        .args(["-N", "alice", "-t", "bob"])
        .fails(67, "no peer is known as bob");
    // Bob is authorized all the same, but what he seals to can no longer be opened.
    env.relay("open")
        .args(["-N", "alice", "bob.parcel"])
        .fails(67, "bob.parcel: sealed to session key ");

    // Authorized anew, and imported with --replace, they correspond again.
    env.introduce("bob", "alice", &[]);
    let replaced = env
        .relay("authorize")
        .at("2026-03-01T12:01:00Z")
        .args(["-q", "-N", "alice", &id("bob")])
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "bob", "--replace"])
        .stdin(replaced)
        .ok();
    let parcel = env.parcel("bob", "alice", b"again");
    env.relay("open")
        .args(["-N", "alice"])
        .stdin(parcel)
        .ok()
        .stdout("again");
}

#[test]
fn beginnings_of_ids_that_are_too_short_or_of_nobody() {
    let env = Env::with_peers();
    // A name beats a beginning.
    let beginning = id("bob")[..12].to_owned();
    env.relay("peers")
        .args(["-N", "alice", "--rename", &beginning, "carol"])
        .fails(64, &format!("{beginning} cannot be a peer's name"));
}

#[test]
fn outputs_that_fail() {
    let env = Env::with_peers();
    env.relay("peers")
        .args(["-N", "alice"])
        .shell("", ">/dev/full")
        .fails(74, "cannot write: ");
    let ran = env
        .relay("peers")
        .args(["-N", "alice", "--json"])
        .without_reader()
        .run()
        .quiet();
    assert_eq!(ran.status, 141);
    env.relay("peers")
        .args(["-N", "nowhere"])
        .fails(78, "nowhere is not a node directory");
}

/// What can be a name is said, and the nearest.
#[test]
fn a_name_that_cannot_be_one_is_mended() {
    let env = Env::with_peers();
    for (bad, good) in [
        ("Bob", "bob"),
        ("Bob Miller", "bob-miller"),
        ("-x_", "x"),
        ("Zoë", "zo"),
    ] {
        let authorize =
            env.relay("authorize")
                .args(["-N", "alice", &format!("--name={bad}"), "bob"]);
        let ran = authorize.fails(
            64,
            &format!("{bad} cannot be a peer's name: a name is of 1 to 63"),
        );
        assert_eq!(ran.hints(), [format!("{good} can be one")]);
    }
}

/// A command line that lacks a word is recognised.
#[test]
fn slips_of_a_command_line_have_a_hint() {
    let env = Env::with_peers();
    env.write("film", "x");
    for (args, hint) in [
        (
            "seal --tpye text/plain -N bob -t alice film",
            "did you mean --type?",
        ),
        ("keygen --type gatway x", "did you mean gateway?"),
        (
            "seal -N bob alice film",
            "a recipient is named with -t: -t alice",
        ),
        (
            "deliver -N bob wc -l",
            "a command stands after --: relay-deliver -- wc",
        ),
        ("route bob", "a node is named with -N: -N bob"),
        ("list bob", "a node is named with -N: -N bob"),
        ("open bob film", "a node is named with -N: -N bob"),
        ("seal --xyzzy film", "see --help"),
    ] {
        let mut words = args.split(' ');
        let ran = env.relay(words.next().unwrap()).args(words).run();
        assert!(matches!(ran.status, 64 | 78), "{args}: {}", ran.stderr);
        assert_eq!(ran.hints(), [hint], "{args}: {}", ran.stderr);
    }
}

/// A file comes before the peer of that name, and a directory does not.
#[test]
fn a_file_that_hides_a_peer_is_named() {
    let env = Env::with_peers();
    env.mkdir("dir");
    let authorize = |peer: &str| env.relay("authorize").args(["-N", "alice", peer]);
    authorize("dir").fails(67, "dir: neither a file nor a peer");
    authorize("bob").ok();
    fs::rename(env.path("bob"), env.path("bob.node")).unwrap();
    env.write("bob", "no key");
    authorize("bob").fails(65, "bob: a file, which hides the peer of that name: ");
}

/// A directory of the lower layer of an overlay file system cannot be renamed.
#[test]
fn a_peer_is_forgotten_where_directories_cannot_be_renamed() {
    let env = Env::with_peers();
    let forget = || {
        let call = env.relay("peers").args(["-N", "alice", "--forget", "bob"]);
        call.var(
            "RELAY_FAULT",
            format!("trace:{}", env.path("trace").display()),
        )
    };
    let before = env.path("before");
    fs::create_dir(&before).unwrap();
    copy_tree(&env.path("alice"), &before);
    forget().ok();
    let trace = env.text("trace");
    let at = trace.lines().position(|line| line.contains("rename"));
    let at = at.unwrap() + 1;
    fs::remove_dir_all(env.path("alice")).unwrap();
    fs::rename(&before, env.path("alice")).unwrap();
    env.chmod("alice", 0o700);
    fs::remove_file(env.path("trace")).unwrap();
    let ran = env
        .relay("peers")
        .args(["-N", "alice", "--forget", "bob"])
        .var("RELAY_FAULT", format!("EXDEV:{at}"))
        .ok();
    assert!(
        ran.changed()
            .iter()
            .any(|path| path.contains("identity.pub"))
    );
    assert_eq!(env.names("alice/peers"), [id("carol")]);
    env.relay("peers")
        .args(["-N", "alice", "bob"])
        .fails(67, "no peer is known as bob");
}

#[test]
fn that_digits_were_compared_is_noted() {
    let env = Env::with_peers();
    let digits = |peer: &str| {
        let ran = env.relay("peers").args(["-N", "alice", peer]).ok();
        ran.text()
            .trim_end()
            .rsplit('\t')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(digits("bob"), "not compared");
    let confirm = || env.relay("peers").args(["-N", "alice", "--confirm", "bob"]);
    let file = format!("alice/peers/{}/compared", id("bob"));
    let said = format!("bob: fingerprint {}", fingerprint("bob"));
    confirm()
        .ok()
        .says(&[&said])
        .changes(&["+alice/peers/BOB/compared"]);
    confirm().ok().changes(&[]);
    assert_eq!(
        (&*digits("bob"), &*digits("carol")),
        ("compared", "not compared")
    );
    assert_eq!(env.mode(&file), 0o600);
    env.relay("check")
        .args(["-N", "alice"])
        .run()
        .says_nothing_of("does not belong here");
    env.relay("peers")
        .args(["-N", "alice", "--confirm", "nobody"])
        .fails(67, "no peer is known as nobody");
    for one_of in [
        &["--confirm"][..],
        &["--confirm", "--forget", "bob"],
        &["--confirm", "--json", "bob"],
    ] {
        let ran = env.relay("peers").args(["-N", "alice"]).args(one_of).run();
        assert_eq!(ran.status, 64, "{one_of:?}");
    }
    // Digits that were given with the import are compared.
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "carol", "--name", "alice"]);
    let conn = conn.stdin(env.read("alice/identity.pub")).ok().stdout;
    env.write("carol.conn", &conn);
    let import = env
        .relay("import")
        .args(["-N", "alice", "--replace", "carol.conn"]);
    let said = import.ok().stderr;
    assert_eq!(digits("carol"), "not compared");
    let shown = said.lines().find_map(|line| line.split_once("as a whole "));
    let import = env
        .relay("import")
        .args(["-N", "alice", "--replace", "carol.conn"]);
    import.args(["--expect", shown.unwrap().1]).ok();
    assert_eq!(digits("carol"), "compared");
}

#[test]
fn the_beginning_of_an_id_is_long_enough_to_be_safe() {
    let env = Env::with_peers();
    let bob = id("bob");
    for len in [8, 15] {
        let ran = env.relay("peers").args(["-N", "alice", &bob[..len]]).run();
        assert_eq!(ran.status, 64, "{}", ran.stderr);
        let why = format!(
            "{}: so few digits of an id may be those of another one, too",
            &bob[..len]
        );
        let ran = ran.says_somewhere(&why);
        assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
    }
    env.relay("peers")
        .args(["-N", "alice", &bob[..7]])
        .fails(67, "no peer is known as ");
    env.relay("peers").args(["-N", "alice", &bob[..16]]).ok();
    // Another one that begins alike: nobody can make it, but two peers may be given by mistake.
    let other = format!("{}{}", &bob[..16], &id("carol")[16..]);
    let key = env.read(format!("alice/peers/{bob}/identity.pub"));
    env.mkdir(&format!("alice/peers/{other}"));
    env.write(format!("alice/peers/{other}/identity.pub"), key);
    let ran = env.relay("peers").args(["-N", "alice", &bob[..16]]).run();
    assert_eq!(ran.status, 64, "{}", ran.stderr);
    let ran = ran.says_somewhere(" begins several ids: ");
    for id in [&bob, &other] {
        assert!(ran.stderr.contains(id), "{}", ran.stderr);
    }
}

#[test]
fn a_host_is_named_and_forgotten_again() {
    let env = Env::with_peers();
    let pin = "ab".repeat(32);
    let peers = |args: &[&str]| {
        let ran = env.relay("peers").at_any_time().args(["-N", "alice"]);
        ran.args(args)
    };
    let file = || fs::read_to_string(env.path(format!("alice/peers/{}/host", id("bob")))).ok();
    let host = || {
        let ran = peers(&["--json", "bob"]).ok();
        let value: serde_json::Value = serde_json::from_str(ran.text()).unwrap();
        (value["host"].clone(), value["host_pin"].clone())
    };
    assert_eq!(host(), (serde_json::Value::Null, serde_json::Value::Null));
    peers(&["--host", "gw.example.org:8443", "bob"])
        .ok()
        .quiet()
        .changes(&["+alice/peers/BOB/host"]);
    assert_eq!(file().as_deref(), Some("gw.example.org:8443\n"));
    peers(&["--host", "[::1]:443", "--pin", &pin, "bob"])
        .ok()
        .changes(&["*alice/peers/BOB/host"]);
    assert_eq!(file().unwrap(), format!("[::1]:443\npin = {pin}\n"));
    assert_eq!(host(), ("[::1]:443".into(), pin.clone().into()));
    for bad in [
        "gw.example.org",
        "gw.example.org:0",
        "https://a.org:1",
        "a b:1",
    ] {
        peers(&["--host", bad, "bob"]).fails(64, bad).changes(&[]);
    }
    for bad in [
        &["--pin", &pin, "bob"][..],
        &["--host", "a.org:1", "--pin", "12", "bob"],
        &["--host", "a.org:1"],
        &["--host", "a.org:1", "--no-host", "bob"],
    ] {
        assert_eq!(peers(bad).run().status, 64, "{bad:?}");
    }
    peers(&["--host", "a.org:1", "zoe"]).fails(67, "no peer is known as zoe");
    // A file that a person wrote is checked.
    env.write(
        format!("alice/peers/{}/host", id("bob")),
        "gw.example.org\n",
    );
    let ran = env.relay("check").at_any_time().args(["-N", "alice"]).run();
    assert!(
        ran.text().contains("not HOST:PORT\talice/peers/"),
        "{}",
        ran.text()
    );
    peers(&["--no-host", "bob"])
        .ok()
        .quiet()
        .changes(&["-alice/peers/BOB/host"]);
    peers(&["--no-host", "bob"]).ok().quiet().changes(&[]);
}
