//! relay-route: where messages go, what is set aside, and what control messages do.

use std::fs;

use relaynet::message::Pca;
use relaynet::pki::NodeId;
use relaynet::ramf::Kind;
use relaynet::spool::Name;
use relaynet::spool::name::MessageKey;

use crate::testenv::{Call, Env, HUB, forged, id, keys_in, self_issued, sha256};

fn node(name: &str) -> NodeId {
    id(name).parse().unwrap()
}

fn put(env: &Env, at: &str, parcel: Vec<u8>) {
    env.relay("put").args(["-N", at]).stdin(parcel).ok();
}

fn route<'a>(env: &'a Env, at: &str) -> Call<'a> {
    env.relay("route").args(["-N", at])
}

/// The messages in a queue of a node's spool.
fn queue(env: &Env, at: &str, queue: &str) -> Vec<String> {
    let dir = format!("{at}/spool/{queue}");
    if env.path(&dir).exists() {
        env.names(&dir)
    } else {
        Vec::new()
    }
}

#[test]
fn what_was_set_aside_is_returned_by_its_short_name_or_its_id() {
    let env = Env::with_peering();
    for to in ["alice", "carol"] {
        for message_id in ["first", "second"] {
            let parcel = env.parcel_with("bob", "alice", b"x", &["--id", message_id]);
            let stray = forged(&parcel, "bob", |forgery| {
                forgery.fields.recipient = node(to);
                forgery.fields.address = Some("nowhere.example.org".parse().unwrap());
                forgery.certificates = vec![self_issued("bob")];
            });
            put(&env, "mallory", stray);
        }
    }
    route(&env, "mallory").ok();
    let failed = || queue(&env, "mallory", "failed").len() / 2;
    assert_eq!(failed(), 4);
    let short = &sha256(b"first")[..16];
    for text in [short, "first"] {
        let ran = route(&env, "mallory").args(["--retry", text]).run();
        assert_eq!(ran.status, 64, "{}", ran.stderr);
        let told = ran.diagnostics();
        let begin = format!("{text} is more than one message: ");
        assert!(told.len() == 1 && told[0].starts_with(&begin), "{told:?}");
        for name in queue(&env, "mallory", "failed") {
            let is_candidate = name.ends_with(".parcel") && name.contains(short);
            assert_eq!(ran.stderr.contains(&name), is_candidate, "{name}");
        }
    }
    for name in queue(&env, "mallory", "failed") {
        if name.starts_with(&id("carol")) {
            fs::remove_file(env.path(format!("mallory/spool/failed/{name}"))).unwrap();
        }
    }
    env.mkdir("out");
    let out = env.path("out");
    env.write("mallory/routes", format!("* dir:{}\n", out.display()));
    for text in [short, "second"] {
        route(&env, "mallory").args(["--retry", text]).ok().quiet();
    }
    assert_eq!((failed(), env.names("out").len()), (0, 2));
    route(&env, "mallory")
        .args(["--retry", short])
        .run()
        .says_somewhere("is not set aside: it was passed on");
}

/// A gateway, mallory, with three parcels: "passed" waits in `out`, "aside" was set aside, "fresh" is in `in`.
fn with_one_aside() -> Env {
    let env = Env::with_peering();
    let parcel = |id: &str| env.parcel_with("bob", "alice", b"x", &["--id", id]);
    env.write("mallory/routes", "* peer:gateway\n");
    put(&env, "mallory", parcel("passed"));
    route(&env, "mallory").ok();
    env.write("mallory/routes", "@elsewhere.example.org peer:gateway\n");
    let stray = forged(&parcel("aside"), "bob", |forgery| {
        forgery.fields.recipient = node("carol");
        forgery.fields.address = Some("nowhere.example.org".parse().unwrap());
        forgery.certificates = vec![self_issued("bob")];
    });
    put(&env, "mallory", stray);
    route(&env, "mallory").ok();
    assert_eq!(queue(&env, "mallory", "failed").len(), 2);
    env.write("mallory/routes", "* peer:gateway\n");
    put(&env, "mallory", parcel("fresh"));
    env
}

#[test]
fn what_cannot_be_returned_is_refused_before_anything_moves() {
    let env = with_one_aside();
    let retry = |names: &[&str]| {
        let call = route(&env, "mallory");
        let call = names
            .iter()
            .fold(call, |call, name| call.args(["--retry", name]));
        call.run()
    };
    let aside = queue(&env, "mallory", "failed").remove(0);
    let full = aside.replace(&id("carol"), &id("alice"));
    for (text, told, hint) in [
        (
            "nothing",
            "no message is known as nothing",
            "relay-list failed",
        ),
        (
            &full,
            &format!("no message is known as {full}"),
            "relay-list failed",
        ),
        (
            "0123456789",
            "no message is known as 0123456789",
            "at least 16 digits",
        ),
        (
            "fresh",
            "fresh is not set aside: it waits in in",
            "relay-list failed lists what was set aside",
        ),
        (
            "passed",
            "passed is not set aside: it waits in out",
            "relay-list failed lists what was set aside",
        ),
    ] {
        let ran = retry(&[text]);
        assert_eq!(ran.status, 67, "{}", ran.stderr);
        assert_eq!(ran.diagnostics(), [told], "{}", ran.stderr);
        let hints = ran.hints();
        assert!(hints.iter().any(|it| it.contains(hint)), "{hints:?}");
        assert_eq!(queue(&env, "mallory", "in").len(), 1, "{text}");
    }
    let ran = route(&env, "mallory").args(["--reroute", "nobody"]).run();
    assert_eq!((ran.status, queue(&env, "mallory", "in").len()), (67, 1));
    assert_eq!(ran.diagnostics(), ["no peer is known as nobody"]);
    // One that is known is returned all the same, and the run goes on.
    let ran = retry(&["nothing", "aside"]);
    assert_eq!(ran.status, 67, "{}", ran.stderr);
    assert_eq!(queue(&env, "mallory", "failed"), [""; 0]);
    assert_eq!(queue(&env, "mallory", "in"), [""; 0]);
    let ran = retry(&["aside"]);
    assert_eq!(ran.status, 67, "{}", ran.stderr);
    ran.says_somewhere("aside is not set aside: it waits in out");
}

#[test]
fn what_was_returned_waits_and_its_failure_is_past() {
    let env = with_one_aside();
    let told = |id: &str| {
        let list = env.relay("list").args(["-N", "mallory", "--id", id]);
        let ran = list.run();
        let fields = ran.text().trim_end().split('\t');
        (ran.status, fields.map(str::to_owned).collect::<Vec<_>>())
    };
    let (status, row) = told("aside");
    assert_eq!((status, &*row[0]), (67, "failed"));
    let name = queue(&env, "mallory", "failed").remove(0);
    // The name of the file is taken, as relay-route --retry takes it.
    assert_eq!(told(&name), (67, row.clone()));
    // A run that was killed noted that it was returned, and no more.
    let day = env.names("mallory/spool/sent").pop().unwrap();
    let day = format!("mallory/spool/sent/{day}");
    let lines = env.text(&day);
    let of_aside = lines
        .lines()
        .find(|line| line.contains("\"failed\""))
        .unwrap();
    let returned = of_aside.replace("\"failed\"", "\"returned\"");
    env.write(&day, format!("{lines}{returned}\n"));
    assert_eq!(told("aside"), (67, row));
    // Nothing has a way, so that what was returned stays in the queue.
    env.write("mallory/routes", "* dir:/nonexistent/directory\n");
    let retry = route(&env, "mallory").args(["--retry", &name]);
    retry.at("2026-03-01T13:00:00Z").run();
    let (status, row) = told("aside");
    assert_eq!(
        (status, &*row[0], &*row[1], &*row[4]),
        (75, "in", "2026-03-01T13:00:00Z", "returned")
    );
    let name = queue(&env, "mallory", "in")
        .into_iter()
        .find(|name| name.starts_with(&id("carol")));
    assert_eq!(told(&name.unwrap()), (75, row));
    let list = env
        .relay("list")
        .args(["-N", "mallory", "--id", "aside", "--json"]);
    let story = list.run().json().remove(0);
    assert_eq!(story["id"], "aside");
    let event = story["events"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&event["event"], &event["to"]),
        (&"returned".into(), &"in".into())
    );
}

#[test]
fn a_terminal_shows_names_and_no_long_ids() {
    let env = Env::with_gateways();
    env.write("gateway/routes", "* peer:hub\n");
    put(
        &env,
        "gateway",
        env.parcel_with("bob", "alice", b"x", &["--id", "first"]),
    );
    let dry = route(&env, "gateway").arg("-n").shown().ok();
    let short = &sha256(b"first")[..16];
    assert_eq!(dry.text(), format!("{short}\tmove\tpeer:hub\n"));
    let ran = route(&env, "gateway").arg("-v").at_terminal().ok();
    let from = &id("bob")[..16];
    let event = format!("event=routed id=first from={from} to=alice next=peer:hub");
    ran.says_somewhere(&event);
}

#[test]
fn a_parcel_goes_to_the_gateway_in_its_path() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    put(&env, "hub", parcel.clone());
    route(&env, "hub").ok().quiet().stdout("");
    let out = format!("out/{}", id("gateway"));
    let names = queue(&env, "hub", &out);
    assert_eq!(names.len(), 1);
    assert_eq!(env.read(format!("hub/spool/{out}/{}", names[0])), parcel);
    assert!(queue(&env, "hub", "in").is_empty());
    let noted = env.text("hub/spool/sent/2026-03-01");
    assert_eq!(noted.lines().count(), 1, "{noted}");
    route(&env, "hub").ok().quiet().changes(&[]);
}

#[test]
fn what_has_no_other_way_goes_to_the_only_registrar() {
    let env = Env::with_gateways();
    put(&env, "gateway", env.parcel("alice", "bob", b"x"));
    route(&env, "gateway").ok().quiet();
    assert_eq!(
        queue(&env, "gateway", &format!("out/{}", id("hub"))).len(),
        1
    );
}

#[test]
fn what_is_for_a_node_here_goes_home_if_it_shows_that_it_may() {
    let env = Env::with_gateways();
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
        .args(["-q", "-N", "gateway/endpoints/local"])
        .stdin(key)
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "bob", "--name", "local"])
        .stdin(conn)
        .ok();
    let parcel = env.parcel_with("bob", "local", b"x", &["--id", "first"]);
    put(&env, "gateway", parcel);
    env.write("gateway/routes", "* peer:hub\n"); // which changes nothing
    let ran = route(&env, "gateway").arg("-n").ok();
    let fields: Vec<&str> = ran.text().trim_end().split('\t').collect();
    assert_eq!(fields[1], "move");
    let local = fields[2].strip_prefix("home:").unwrap().to_owned();
    route(&env, "gateway").ok().quiet();
    let home = queue(&env, "gateway", &format!("home/{local}"));
    assert_eq!(home.len(), 1);
    env.relay("open")
        .args(["-N", "gateway/endpoints/local"])
        .arg(format!("gateway/spool/home/{local}/{}", home[0]))
        .ok()
        .stdout("x");
}

#[test]
fn what_is_for_a_registered_endpoint_waits_for_it() {
    // As deployed: a gateway for one machine, which may have a gateway of its own, and one on the Internet.
    for (options, has_hub) in [
        (&["--type", "gateway"][..], false),
        (&["--type", "gateway"], true),
        (&["--type", "gateway", "--address", HUB], false),
    ] {
        let env = Env::new();
        env.make_node("gateway", options);
        if has_hub {
            env.make_node("hub", &["--type", "gateway", "--address", HUB]);
            env.register("hub", "gateway", &[]);
        }
        for node in ["alice", "bob"] {
            env.make_node(node, &[]);
            env.register("gateway", node, &["--type", "endpoint"]);
        }
        env.introduce("bob", "alice", &[]);
        let parcel = env.parcel("bob", "alice", b"x");
        put(&env, "gateway", parcel.clone());
        let ran = route(&env, "gateway").arg("-n").ok();
        let text = ran.text();
        assert!(
            text.contains(&format!("\tmove\tpeer:{}\n", id("alice"))),
            "{text}"
        );
        route(&env, "gateway").ok().quiet();
        let out = format!("out/{}", id("alice"));
        let names = queue(&env, "gateway", &out);
        assert_eq!(names.len(), 1, "{options:?}");
        let stored = env.read(format!("gateway/spool/{out}/{}", names[0]));
        assert_eq!(stored, parcel);
        // A line of the table comes first.
        env.write("gateway/routes", "* peer:bob\n");
        route(&env, "gateway").args(["--reroute", "alice"]).ok();
        assert!(queue(&env, "gateway", &out).is_empty());
        let out = format!("out/{}", id("bob"));
        assert_eq!(queue(&env, "gateway", &out).len(), 1);
    }
}

#[test]
fn the_first_line_for_a_message_decides() {
    let env = Env::with_gateways();
    env.mkdir("drop");
    let parcel = env.parcel("alice", "bob", b"x");
    let bob = id("bob");
    for (routes, expected) in [
        ("* peer:hub", format!("peer:{}", id("hub"))),
        (&format!("{bob} dir:/DROP\n* peer:hub"), "dir:".to_owned()),
        (
            &format!("{} dir:/DROP\n* peer:hub", id("carol")),
            format!("peer:{}", id("hub")),
        ),
        (
            "@nowhere.example.org dir:/DROP\n* peer:hub",
            format!("peer:{}", id("hub")),
        ),
        (
            "# nothing\n\n  *   dir:/DROP   priority=9",
            "dir:".to_owned(),
        ),
    ] {
        let drop = env.path("drop").display().to_string();
        env.write("gateway/routes", routes.replace("/DROP", &drop));
        if queue(&env, "gateway", "in").is_empty() {
            put(&env, "gateway", parcel.clone());
        }
        let ran = route(&env, "gateway").arg("-n").ok().changes(&[]);
        assert!(
            ran.text().contains(&format!("\tmove\t{expected}")),
            "{routes}: {}",
            ran.text()
        );
    }
    route(&env, "gateway").ok().quiet();
    let dropped = env.names("drop");
    assert_eq!(dropped.len(), 1);
    assert_eq!(env.read(format!("drop/{}", dropped[0])), parcel);
    assert!(queue(&env, "gateway", "in").is_empty());
}

#[test]
fn the_table_gives_urgency_unless_the_sender_did() {
    let env = Env::with_gateways();
    env.write("gateway/routes", "* peer:hub priority=7\n");
    put(&env, "gateway", env.parcel("alice", "bob", b"x"));
    env.relay("put")
        .args(["-N", "gateway", "--priority", "2"])
        .stdin(env.parcel("alice", "bob", b"y"))
        .ok();
    route(&env, "gateway").ok();
    let names = queue(&env, "gateway", &format!("out/{}", id("hub")));
    for end in [".p7.parcel", ".p2.parcel"] {
        assert!(
            names.iter().any(|name| name.ends_with(end)),
            "{end}: {names:?}"
        );
    }
}

#[test]
fn a_wrong_table_stops_everything() {
    let env = Env::with_gateways();
    put(&env, "gateway", env.parcel("alice", "bob", b"x"));
    env.relay("route").args(["-N", "gateway", "-n"]).ok();
    for (routes, problem) in [
        ("*", "PATTERN and TARGET are needed"),
        ("* hub", "hub: neither"),
        ("* peer:nobody", "no peer is known"),
        ("nobody peer:hub", "no peer is known"),
        ("* dir:relative", "relative: not a path"),
        ("* peer:hub priority=10", "priority: "),
        ("* peer:hub color=red", "color=red: no such option"),
        ("@ peer:hub", "@: neither"),
        ("@a*b peer:hub", "@a*b: neither"),
    ] {
        env.write("gateway/routes", format!("# a table\n{routes}\n"));
        let prefix = format!("gateway/routes: line 2: {problem}");
        route(&env, "gateway").fails(78, &prefix);
    }
}

#[test]
fn what_has_no_way_is_set_aside_and_may_be_tried_again() {
    let env = Env::with_peering();
    let parcel = env.parcel_with("bob", "alice", b"x", &["--id", "first"]);
    env.write("mallory/routes", "@elsewhere.example.org peer:gateway\n");
    let stray = forged(&parcel, "bob", |forgery| {
        forgery.fields.recipient = node("carol");
        forgery.fields.address = Some("nowhere.example.org".parse().unwrap());
        forgery.certificates = vec![self_issued("bob")];
    });
    put(&env, "mallory", stray.clone());
    let ran = route(&env, "mallory").run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    // Who, what, where it is now and what to do, on a line that can be read.
    let said = ran.diagnostics();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("first from "), "{}", said[0]);
    assert!(
        said[0].contains(": set aside in failed: no route to "),
        "{}",
        said[0]
    );
    for line in ran.stderr.lines() {
        assert!(line.chars().count() <= 160, "{line}");
    }
    assert!(
        ran.hints()
            .iter()
            .any(|hint| hint.contains("relay-route --retry NAME")),
        "{}",
        ran.stderr
    );
    let failed = queue(&env, "mallory", "failed");
    assert_eq!(failed.len(), 2);
    let why: serde_json::Value =
        serde_json::from_str(&env.text(format!("mallory/spool/failed/{}.why", failed[0]))).unwrap();
    assert_eq!(
        keys_in(&why),
        ["v", "time", "recipient", "sender", "id", "error", "queue"]
    );
    assert_eq!(why["recipient"], id("carol"));
    let listed = env.relay("list").args(["-N", "mallory", "failed"]).ok();
    assert!(listed.text().contains(&failed[0]));
    // Once there is a way, it goes.
    env.write("mallory/routes", "* peer:gateway\n");
    let ran = route(&env, "mallory").args(["--retry", "nothing"]).run();
    assert_eq!(ran.status, 67, "{}", ran.stderr);
    route(&env, "mallory")
        .args(["--retry", &failed[0]])
        .ok()
        .quiet();
    assert!(queue(&env, "mallory", "failed").is_empty());
    assert_eq!(
        queue(&env, "mallory", &format!("out/{}", id("gateway"))).len(),
        1
    );
}

#[test]
fn nothing_goes_back_to_where_it_came_from() {
    let env = Env::with_gateways();
    let parcel = env.parcel("alice", "bob", b"x");
    put(&env, "gateway", parcel);
    let name = queue(&env, "gateway", "in").remove(0);
    let mut brought: Name = name.parse().unwrap();
    brought.from = Some(node("hub").into());
    std::fs::rename(
        env.path(format!("gateway/spool/in/{name}")),
        env.path(format!("gateway/spool/in/{brought}")),
    )
    .unwrap();
    for routes in ["", "* peer:hub"] {
        env.write("gateway/routes", routes);
        let ran = route(&env, "gateway").arg("-n").ok();
        assert!(
            ran.text().contains("\tfail\tthe route to "),
            "{}",
            ran.text()
        );
    }
}

#[test]
fn what_has_expired_is_set_aside_and_what_is_early_waits() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--ttl", "2d", "--id", "first"]);
    put(&env, "gateway", parcel);
    let ran = route(&env, "gateway").at("2026-03-01T08:00:00Z").run();
    assert_eq!(ran.status, 81, "{}", ran.stderr);
    assert_eq!(queue(&env, "gateway", "in").len(), 1);
    let ran = route(&env, "gateway").at("2026-03-09T12:00:00Z").run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(queue(&env, "gateway", "failed").len(), 2);
    let ran = env
        .relay("list")
        .args(["-N", "gateway", "--id", "first"])
        .at("2026-03-09T12:00:00Z")
        .run();
    assert_eq!(
        (ran.status, ran.text().starts_with("expired\t")),
        (80, true)
    );
}

#[test]
fn what_is_no_parcel_is_set_aside_once_and_nobody_is_told() {
    let env = Env::with_gateways();
    for content in [
        &b"good"[..],
        b"changed",
        b"short",
        b"long",
        b"junk",
        b"cargo",
    ] {
        put(&env, "gateway", env.parcel("alice", "bob", content));
    }
    let mut names = queue(&env, "gateway", "in");
    let mut spoil = |change: &dyn Fn(&mut Vec<u8>)| {
        let name = names.remove(0);
        let path = env.path(format!("gateway/spool/in/{name}"));
        let mut octets = fs::read(&path).unwrap();
        change(&mut octets);
        fs::write(path, octets).unwrap();
        name
    };
    let mut spoilt = vec![
        spoil(&|octets| *octets.last_mut().unwrap() ^= 1),
        spoil(&|octets| octets.truncate(octets.len() / 2)),
        spoil(&|octets| octets.resize(10 * 1024 * 1024, 0)),
        spoil(&|octets| *octets = b"junk".to_vec()),
    ];
    let cargo = env.relay("pack-cargo").args(["-N", "gateway", "-t", "hub"]);
    let cargo = cargo.stdin(env.parcel("alice", "bob", b"x")).ok().stdout;
    let cargo = spoil(&|octets| octets.clone_from(&cargo));
    // Anybody's file of another name is no message of the queue.
    env.write("gateway/spool/in/junk", "junk");
    let dry = route(&env, "gateway").arg("-n").ok().changes(&[]);
    assert_eq!(dry.text().matches("\tfail\t").count(), 5, "{}", dry.text());
    let ran = route(&env, "gateway").run();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches("set aside in failed").count(),
        5,
        "{}",
        ran.stderr
    );
    let failed = queue(&env, "gateway", "failed");
    assert_eq!(failed.len(), 10, "{failed:?}");
    for name in &spoilt {
        assert!(failed.contains(name), "{name}: {failed:?}");
    }
    spoilt.push(cargo);
    assert_eq!(queue(&env, "gateway", "in"), ["junk"]);
    let out = queue(&env, "gateway", &format!("out/{}", id("hub")));
    assert_eq!(out.len(), 1);
    // What nobody signed like this says nothing of the message whose name it has.
    let told = env.text("gateway/spool/sent/2026-03-01");
    assert!(!told.contains("\"failed\""), "{told}");
    let again = route(&env, "gateway").ok().changes(&[]);
    assert!(!again.stderr.contains("set aside"), "{}", again.stderr);
    // One that is set aside twice is there once.
    env.relay("route")
        .args(["-N", "gateway", "--retry", &spoilt[0]])
        .ok();
    assert_eq!(queue(&env, "gateway", "failed"), failed);
}

#[test]
fn a_file_is_called_what_its_message_is() {
    let env = Env::with_gateways();
    put(&env, "gateway", env.parcel("alice", "bob", b"x"));
    let name = queue(&env, "gateway", "in").remove(0);
    let lie = name.replace(&id("bob"), &id("carol"));
    std::fs::rename(
        env.path(format!("gateway/spool/in/{name}")),
        env.path(format!("gateway/spool/in/{lie}")),
    )
    .unwrap();
    route(&env, "gateway").ok().quiet();
    assert_eq!(
        queue(&env, "gateway", &format!("out/{}", id("hub"))),
        [name]
    );
}

/// Puts an acknowledgement where the cargo of a gateway would have brought it.
fn brought(env: &Env, by: &str, pca: &Pca) {
    let name = Name {
        identity: MessageKey {
            recipient: pca.recipient,
            sender: pca.sender,
            id: relaynet::crypto::hash::sha256(pca.parcel_id.as_bytes()),
            kind: Kind::Pca,
        },
        expiry: "2026-04-01T00:00:00Z".parse().unwrap(),
        priority: None,
        copies: None,
        from: None,
    };
    let dir = format!("gateway/spool/control/{}", id(by));
    std::fs::create_dir_all(env.path(&dir)).unwrap();
    env.write(format!("{dir}/{name}"), pca.to_octets());
}

#[test]
fn an_acknowledgement_removes_one_parcel_from_one_queue() {
    let env = Env::with_gateways();
    for message_id in ["first", "second"] {
        let parcel = env.parcel_with("alice", "bob", b"x", &["--id", message_id]);
        put(&env, "gateway", parcel);
    }
    route(&env, "gateway").ok();
    let out = format!("out/{}", id("hub"));
    let pca = |sender: &str, recipient: &str, parcel_id: &str| Pca {
        sender: node(sender),
        recipient: node(recipient),
        parcel_id: parcel_id.to_owned(),
    };
    // From another gateway, of somebody else, or of another id: nothing goes.
    brought(&env, "mallory", &pca("alice", "bob", "first"));
    brought(&env, "hub", &pca("carol", "bob", "first"));
    brought(&env, "hub", &pca("alice", "carol", "first"));
    brought(&env, "hub", &pca("alice", "bob", "third"));
    route(&env, "gateway").ok().quiet();
    assert_eq!(queue(&env, "gateway", &out).len(), 2);
    for by in ["hub", "mallory"] {
        assert!(queue(&env, "gateway", &format!("control/{}", id(by))).is_empty());
    }
    brought(&env, "hub", &pca("alice", "bob", "first"));
    route(&env, "gateway").ok().quiet();
    let left = queue(&env, "gateway", &out);
    assert_eq!(left.len(), 1);
    assert!(left[0].contains(&sha256(b"second")));
    let ran = env
        .relay("list")
        .args(["-N", "gateway", "--id", "first"])
        .ok();
    assert!(ran.text().starts_with("acknowledged\t"), "{}", ran.text());
}

#[test]
fn an_acknowledgement_that_lies_about_its_name_does_nothing() {
    let env = Env::with_gateways();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--id", "first"]);
    put(&env, "gateway", parcel);
    route(&env, "gateway").ok();
    let pca = Pca {
        sender: node("alice"),
        recipient: node("bob"),
        parcel_id: "first".to_owned(),
    };
    brought(&env, "hub", &pca);
    let dir = format!("gateway/spool/control/{}", id("hub"));
    let name = env.names(&dir).remove(0);
    let other = Pca {
        parcel_id: "second".to_owned(),
        ..pca.clone()
    };
    env.write(format!("{dir}/{name}"), other.to_octets());
    // It says itself what it acknowledges, and nothing of that waits.
    route(&env, "gateway").ok().quiet();
    assert_eq!(
        queue(&env, "gateway", &format!("out/{}", id("hub"))).len(),
        1
    );
    assert!(env.names(&dir).is_empty());
    // The other way round it counts.
    env.write(
        format!("{dir}/{}", name.replace(&sha256(b"first"), &sha256(b"x"))),
        pca.to_octets(),
    );
    route(&env, "gateway").ok().quiet();
    assert!(queue(&env, "gateway", &format!("out/{}", id("hub"))).is_empty());
    assert!(env.names(&dir).is_empty());
}

#[test]
fn two_runs_do_not_get_into_each_others_way() {
    let env = Env::with_gateways();
    put(&env, "gateway", env.parcel("alice", "bob", b"x"));
    let held = relaynet::disk::Lock::exclusive(&env.path("gateway/lock/queue")).unwrap();
    let blocked = route(&env, "gateway").run();
    assert_eq!(blocked.status, 75);
    assert_eq!(blocked.hints(), ["--wait DURATION waits for it"]);
    let quiet = route(&env, "gateway").arg("-q").run();
    assert_eq!(
        (quiet.status, quiet.stderr.contains("another run")),
        (75, false)
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| route(&env, "gateway").args(["--wait", "60s"]).ok());
        std::thread::sleep(std::time::Duration::from_millis(200));
        drop(held);
        waiting.join().unwrap();
    });
    assert!(queue(&env, "gateway", "in").is_empty());
}

#[test]
fn junk_in_a_queue_is_told_in_few_words() {
    let env = Env::with_gateways();
    fs::create_dir_all(env.path("hub/spool/in")).unwrap();
    for at in 0..30 {
        env.write(format!("hub/spool/in/junk-{at}"), "");
    }
    for tool in ["route", "list"] {
        let ran = env.relay(tool).args(["-N", "hub"]).ok();
        let lines = ran.diagnostics();
        assert_eq!(lines.len(), 9, "{lines:?}");
        let more = "hub/spool/in: 22 others are not messages that these programs stored";
        assert_eq!(lines[8], more);
    }
}
