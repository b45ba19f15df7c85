//! relay-rotate: what is due, what it renews, how that comes to the others, and how often.

use std::fs;

use jiff::{SignedDuration, Timestamp};

use crate::testenv::{Call, Env, MADE, Ran, id};

/// The time so many days after the nodes were made.
fn day(days: i64) -> String {
    let made: Timestamp = MADE.parse().unwrap();
    (made + SignedDuration::from_hours(24 * days)).to_string()
}

fn rotate<'a>(env: &'a Env, node: &str, now: &str) -> Call<'a> {
    env.relay("rotate").args(["-N", node]).at(now)
}

/// Lets nodes believe this time.
fn believe(env: &Env, nodes: &[&str], now: &str) {
    for node in nodes {
        let purge = env.relay("purge").args(["-N", node, "--trust-clock"]);
        purge.at(now).ok().quiet();
    }
}

/// What `-n` says is due, without the node and the dates.
fn due(env: &Env, node: &str, now: &str) -> Vec<String> {
    let ran = rotate(env, node, now).arg("-n").ok().changes(&[]);
    let lines = ran.text().lines().map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [own, what, peer, since, end, way] = cells[..] else {
            panic!("{line}");
        };
        assert_eq!(own.len(), 65, "{line}");
        assert!(since.parse::<Timestamp>().unwrap() < end.parse().unwrap());
        let known = ["alice", "bob", "carol", "gateway", "mallory", "hub"];
        let peer = known.into_iter().find(|name| id(name) == peer);
        format!("{what} {} {way}", peer.unwrap_or("-"))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// The names in a directory that need not be there.
fn names(env: &Env, dir: &str) -> Vec<String> {
    if env.path(dir).exists() {
        env.names(dir)
    } else {
        Vec::new()
    }
}

/// How many certificates a node issued to a peer, or holds from one.
fn count(env: &Env, node: &str, peer: &str, folder: &str) -> usize {
    names(env, &format!("{node}/peers/{}/{folder}", id(peer))).len()
}

fn acks(env: &Env, node: &str, hop: &str) -> Vec<String> {
    names(env, &format!("{node}/spool/acks/{}", id(hop)))
}

fn events(ran: &Ran, event: &str) -> usize {
    ran.stderr.matches(&format!("event={event} ")).count()
}

/// relay-check finds nothing but ends, waiting messages, and files of a later time than the test has.
fn is_in_order(env: &Env, node: &str, now: &str) {
    let ran = env
        .relay("check")
        .args(["-N", node, "--json"])
        .at(now)
        .run();
    for finding in ran.json() {
        let check = finding["check"].as_str().unwrap();
        assert!(matches!(check, "ending" | "waiting" | "clock"), "{finding}");
    }
}

/// A visit of the stick: what the crontab of a site does.
fn visit(env: &Env, node: &str, now: &str) {
    for program in [
        &["sync", "--take", "stick"][..],
        &["route"],
        &["sync", "stick"],
    ] {
        let call = env.relay(program[0]).args(["-N", node]);
        call.args(&program[1..]).at(now).ok();
    }
}

/// The peers write to each other on the second day, so that their first session keys are done with.
fn with_mail() -> Env {
    let env = Env::with_peers();
    for (from, to) in [
        ("alice", "bob"),
        ("bob", "alice"),
        ("alice", "carol"),
        ("carol", "alice"),
    ] {
        write(&env, from, to, &day(1));
    }
    env
}

/// A message gets through.
fn write(env: &Env, from: &str, to: &str, now: &str) {
    let seal = env.relay("seal").args(["-N", from, "-t", to]).at(now);
    let parcel = seal.stdin("a mail").ok().stdout;
    let open = env.relay("open").args(["-N", to]).at(now);
    open.stdin(parcel).ok().stdout("a mail");
}

/// The stick goes from the site to the hub and back.
fn round(env: &Env, now: &str) {
    for node in ["gateway", "hub", "gateway"] {
        visit(env, node, now);
    }
}

/// A parcel for alice comes to the hub.
fn send(env: &Env, now: &str) {
    let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]).at(now);
    let parcel = seal.stdin("x").ok().stdout;
    let put = env.relay("put").args(["-N", "hub"]).at(now);
    put.stdin(parcel).ok();
}

fn with_stick() -> Env {
    let env = Env::with_gateways();
    let init = env.relay("sync").args(["-N", "hub", "--init", "stick"]);
    init.ok();
    // What is for alice waits at gateway.
    for (node, hop) in [("hub", "gateway"), ("gateway", "alice")] {
        env.write(
            format!("{node}/routes"),
            format!("{} peer:{hop}\n", id("alice")),
        );
        env.chmod(format!("{node}/routes"), 0o600);
    }
    send(&env, &day(1));
    round(&env, &day(1));
    for (from, to) in [("alice", "bob"), ("bob", "alice")] {
        write(&env, from, to, &day(1));
    }
    env
}

#[test]
fn nothing_is_due_in_the_first_half_of_a_life() {
    let env = with_stick();
    for node in ["hub", "gateway", "alice", "bob"] {
        let now = day(14);
        assert_eq!(due(&env, node, &now), [""; 0], "{node}");
        let ran = rotate(&env, node, &now).args(["-v", "--json"]).ok();
        ran.quiet().stdout("").changes(&[]);
    }
}

#[test]
fn all_that_is_due_is_listed() {
    let env = with_stick();
    let now = day(100);
    believe(&env, &["hub", "gateway", "alice", "bob"], &now);
    assert_eq!(
        due(&env, "hub", &now),
        [
            "own - here",
            "parameters - here",
            "registered gateway cargo",
            "registered mallory cargo"
        ]
    );
    // What ends with the certificate from the hub waits for that.
    assert_eq!(due(&env, "gateway", &now), ["own - here"]);
    assert_eq!(due(&env, "bob", &now), ["given alice parcel", "own - here"]);
    let ran = rotate(&env, "hub", &now).args(["-n", "--json"]).ok();
    let lines = ran.json();
    assert_eq!(lines.len(), 4);
    let registered = lines.iter().find(|line| line["what"] == "registered");
    let registered = registered.unwrap();
    assert_eq!(registered["node"], id("hub"));
    assert_eq!(registered["way"], "cargo");
    assert_eq!(registered["again"], false);
    assert_eq!(registered["since"], "2026-05-30T07:30:00Z");
    // On a terminal, with names.
    let ran = rotate(&env, "hub", &now).arg("-n").shown().ok();
    let text = ran.text();
    assert!(text.starts_with("NODE  WHAT "), "{text}");
    assert!(text.contains("  registered  gateway "), "{text}");
}

#[test]
fn a_wrong_clock_renews_nothing() {
    let env = with_stick();
    for (now, text) in [
        (day(4000), "but nothing happened since "),
        ("2020-01-01T00:00:00Z".to_owned(), "a time already seen"),
    ] {
        for arg in ["-n", "-v"] {
            let ran = rotate(&env, "hub", &now).arg(arg).run();
            assert_eq!(ran.status, 75, "{}", ran.stderr);
            ran.changes(&[]).says_somewhere(text);
        }
    }
}

/// The first certificate of the gateway ends on day 180: without the second one, nothing would arrive after that.
#[test]
fn a_registration_is_renewed_with_cargo_until_it_is_in_use() {
    let env = with_stick();
    let now = day(100);
    believe(&env, &["hub", "gateway"], &now);
    let ran = rotate(&env, "hub", &now).arg("-v").ok();
    assert_eq!(events(&ran, "renewed"), 4, "{}", ran.stderr);
    assert_eq!(count(&env, "hub", "gateway", "registered"), 2);
    let record = format!("hub/peers/{}/rotation", id("gateway"));
    let text = env.text(&record);
    assert!(text.starts_with("Certificate: 2026"), "{text}");
    assert!(text.contains(&format!("\nEmitted: {now}\n")), "{text}");
    assert_eq!(env.mode(&record), 0o600);
    let waiting = acks(&env, "hub", "gateway");
    assert_eq!(waiting.len(), 2, "both forms: {waiting:?}");
    assert!(waiting.iter().all(|it| it.ends_with(".p9.rotation")));
    // Both are good objects.
    for name in &waiting {
        let rotation = env.read(format!("hub/spool/acks/{}/{name}", id("gateway")));
        let verify = env.relay("verify").args(["-N", "gateway"]).at(&now);
        verify.stdin(rotation).ok();
    }
    is_in_order(&env, "hub", &now);
    // At once and for a week, nothing more.
    rotate(&env, "hub", &now)
        .arg("-v")
        .ok()
        .quiet()
        .changes(&[]);
    let later = day(104);
    assert_eq!(due(&env, "hub", &later), [""; 0]);
    // The stick is lost; then they go again, the same ones.
    let before = waiting.clone();
    for name in &before {
        fs::remove_file(env.path(format!("hub/spool/acks/{}/{name}", id("gateway")))).unwrap();
    }
    let later = day(108);
    let ran = rotate(&env, "hub", &later).arg("-v").ok();
    assert_eq!(events(&ran, "resent"), 2, "{}", ran.stderr);
    assert_eq!(acks(&env, "hub", "gateway"), before);
    assert_eq!(count(&env, "hub", "gateway", "registered"), 2);
    // They arrive, are applied, and their use is noticed.
    round(&env, &later);
    let certs = format!("gateway/certs/{}", id("hub"));
    assert_eq!(names(&env, &certs).len(), 2, "of two forms one is enough");
    assert_eq!(acks(&env, "hub", "gateway"), [""; 0]);
    assert!(env.path(&record).exists(), "not in use yet");
    send(&env, &day(109));
    round(&env, &day(109));
    assert!(!env.path(&record).exists(), "in use");
    rotate(&env, "hub", &day(111)).ok().quiet();
    // Long after the first one has ended, they still exchange cargo.
    let late = day(195);
    believe(&env, &["hub", "gateway"], &late);
    round(&env, &late);
    let ran = rotate(&env, "hub", &late).arg("-v").ok();
    assert!(ran.stderr.contains("what=registered"), "{}", ran.stderr);
    assert!(env.path(&record).exists());
}

/// A gateway that is gone gets one certificate more, and then no others.
#[test]
fn a_gateway_that_is_silent_gets_one_certificate_more() {
    let env = with_stick();
    for days in (95..600).step_by(20) {
        let now = day(days);
        believe(&env, &["hub"], &now);
        rotate(&env, "hub", &now).ok().quiet();
        assert!(acks(&env, "hub", "mallory").len() <= 2);
        assert!(count(&env, "hub", "mallory", "registered") <= 2);
    }
    assert_eq!(count(&env, "hub", "mallory", "registered"), 1);
    assert!(
        !env.path(format!("hub/peers/{}/rotation", id("mallory")))
            .exists()
    );
    assert_eq!(acks(&env, "hub", "mallory"), [""; 0], "relay-purge ends it");
    let check = env.relay("check").args(["-N", "hub"]).at(&day(595)).run();
    check.says_nothing_of("foreign");
}

/// Gateways that peer directly renew in the same way what lets the other send cargo.
#[test]
fn gateways_that_peer_renew_each_other() {
    let env = Env::with_peering();
    env.mkdir("stick");
    let init = env.relay("sync").args(["-N", "gateway", "--init", "stick"]);
    init.ok();
    // They have never exchanged anything, and their first session keys are soon too old.
    let now = day(31);
    believe(&env, &["gateway", "mallory"], &now);
    assert_eq!(due(&env, "gateway", &now), ["given mallory cargo"]);
    for node in ["gateway", "mallory"] {
        rotate(&env, node, &now).ok().quiet();
        assert_eq!(
            count(
                &env,
                node,
                if node == "gateway" {
                    "mallory"
                } else {
                    "gateway"
                },
                "given"
            ),
            2
        );
    }
    for node in [
        "gateway", "mallory", "gateway", "mallory", "gateway", "mallory",
    ] {
        visit(&env, node, &now);
    }
    for (node, peer) in [("gateway", "mallory"), ("mallory", "gateway")] {
        assert_eq!(count(&env, node, peer, "held"), 2, "{node}");
    }
    let late = day(150);
    believe(&env, &["gateway", "mallory"], &late);
    env.write("gateway/routes", "* peer:mallory\n");
    env.chmod("gateway/routes", 0o600);
    let parcel = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice"])
        .at(&day(150));
    let parcel = parcel.run();
    assert_eq!(parcel.status, 80, "bob and alice renewed nothing");
    for node in ["gateway", "mallory"] {
        let ran = rotate(&env, node, &late).arg("-v").ok();
        assert!(ran.stderr.contains("what=given"), "{}", ran.stderr);
    }
    for node in ["gateway", "mallory", "gateway"] {
        visit(&env, node, &late);
    }
    for (node, peer) in [("gateway", "mallory"), ("mallory", "gateway")] {
        assert!(
            !env.path(format!("{node}/peers/{}/renewal", id(peer)))
                .exists(),
            "{node}: in use"
        );
    }
}

/// An authorization goes in a parcel, once, and is imported without a command.
#[test]
fn an_authorization_is_renewed_in_a_parcel() {
    let env = with_mail();
    let now = day(100);
    believe(&env, &["alice", "bob", "carol"], &now);
    assert_eq!(
        due(&env, "alice", &now),
        ["given bob parcel", "given carol parcel", "own - here"]
    );
    let ran = rotate(&env, "alice", &now).arg("-v").ok();
    assert_eq!(events(&ran, "renewed"), 3, "{}", ran.stderr);
    assert_eq!(count(&env, "alice", "bob", "given"), 2);
    let parcels = names(&env, "alice/spool/in");
    assert_eq!(parcels.len(), 2, "{parcels:?}");
    assert!(parcels.iter().all(|it| it.ends_with(".p9.parcel")));
    let record = format!("alice/peers/{}/renewal", id("bob"));
    let text = env.text(&record);
    assert!(text.contains(&format!("\nEmitted: {now}\n")), "{text}");
    is_in_order(&env, "alice", &now);
    rotate(&env, "alice", &now)
        .arg("-v")
        .ok()
        .quiet()
        .changes(&[]);
    let for_bob = parcels
        .iter()
        .find(|it| it.starts_with(&id("bob")))
        .unwrap();
    let parcel = env.read(format!("alice/spool/in/{for_bob}"));
    let open = || env.relay("open").args(["-N", "bob", "-v"]).at(&now);
    let ran = open().stdin(parcel.clone()).ok();
    assert!(ran.stdout.is_empty(), "it is no content");
    assert_eq!(count(&env, "bob", "alice", "held"), 2);
    assert_eq!(open().stdin(parcel).run().status, 82);
    // The first one has ended, and bob still writes to alice, and she to him.
    let late = day(185);
    let seal = |from: &str, to: &str| env.relay("seal").args(["-N", from, "-t", to]).at(&late);
    let parcel = seal("bob", "alice").stdin("still here").ok().stdout;
    let open = env.relay("open").args(["-N", "alice"]).at(&late);
    open.stdin(parcel).ok().stdout("still here");
    assert!(!env.path(&record).exists(), "in use");
    // The newest certificate signs.
    seal("alice", "bob").stdin("x").run();
}

/// What is lost beyond the next gateway goes again: another parcel, some times, until the peer shows that it has it.
#[test]
fn an_authorization_that_is_lost_goes_again() {
    let env = with_mail();
    let start = day(100);
    believe(&env, &["alice"], &start);
    rotate(&env, "alice", &start).ok();
    let to_bob = || {
        let mut names = names(&env, "alice/spool/in");
        names.retain(|it| it.starts_with(&id("bob")));
        names
    };
    let lose = || {
        for name in names(&env, "alice/spool/in") {
            fs::remove_file(env.path(format!("alice/spool/in/{name}"))).unwrap();
        }
    };
    let run = |days: i64| {
        let now = day(days);
        believe(&env, &["alice"], &now);
        let expected = due(&env, "alice", &now)
            .iter()
            .any(|it| it.starts_with("given bob"));
        let ran = rotate(&env, "alice", &now).arg("-v").ok();
        let about = ran
            .stderr
            .lines()
            .filter(|it| it.contains("what=given") && it.contains(&id("bob")));
        let count = about.filter(|it| it.contains("event=resent")).count();
        let renewed = ran.stderr.contains("event=renewed") && ran.stderr.contains(&id("bob"));
        assert_eq!(expected, count > 0 || renewed, "{days}: {}", ran.stderr);
        // At once, nothing more.
        rotate(&env, "alice", &now)
            .arg("-v")
            .ok()
            .quiet()
            .changes(&[]);
        count
    };
    // While it waits here, no other one goes.
    let first = to_bob();
    assert_eq!((run(119), to_bob()), (0, first.clone()));
    lose();
    assert_eq!(run(120), 1);
    let mut ids = vec![first[0].clone()];
    let mut again = vec![120];
    for days in 121..=174 {
        ids.extend(to_bob());
        lose();
        if run(days) == 1 {
            again.push(days);
        }
    }
    // Each tenth of 180 days.
    assert_eq!(again, [120, 138, 156, 174]);
    let last = to_bob();
    ids.extend(last.clone());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), again.len() + 1, "each is another parcel");
    assert_eq!(count(&env, "alice", "bob", "given"), 2);
    // The last one arrives, and is used.
    let parcel = env.read(format!("alice/spool/in/{}", last[0]));
    let open = env.relay("open").args(["-N", "bob"]).at(&day(175));
    open.stdin(parcel).ok();
    write(&env, "bob", "alice", &day(176));
    assert!(
        !env.path(format!("alice/peers/{}/renewal", id("bob")))
            .exists()
    );
    lose();
    assert_eq!(run(178), 0);
}

/// What is not renewed: given once, with nobody to send it to, with nothing more expected, or ended.
#[test]
fn some_authorizations_end() {
    let env = with_mail();
    env.make_node("mallory", &[]);
    env.introduce("mallory", "alice", &["--one-way"]);
    let authorize = env.relay("authorize").args(["-N", "alice", "-q", "--once"]);
    let given = authorize.args(["--valid", "180d", "bob"]).at(&day(1)).ok();
    env.relay("import")
        .args(["-N", "bob", "-q"])
        .stdin(given.stdout)
        .at(&day(1))
        .ok();
    let given = format!("alice/peers/{}/given", id("bob"));
    let texts = env.names(&given).into_iter();
    let mut texts = texts.map(|name| env.text(format!("{given}/{name}")));
    let once = "Valid: 15552000\nOnce: yes\n-----BEGIN";
    assert!(texts.any(|text| text.starts_with(once)));
    let peers = env
        .relay("peers")
        .args(["-N", "alice", "carol", "--expect-none"]);
    peers.ok();
    let now = day(100);
    believe(&env, &["alice"], &now);
    assert_eq!(
        due(&env, "alice", &now),
        ["given mallory hand", "own - here"]
    );
    let ran = rotate(&env, "alice", &now).args(["-v", "--json"]).ok();
    assert_eq!(events(&ran, "due"), 1, "{}", ran.stderr);
    assert_eq!(ran.json().len(), 1, "{}", ran.text());
    assert_eq!(names(&env, "alice/spool/in"), [""; 0]);
    // Who may not write to us any more gets nothing by itself.
    let env = with_mail();
    let late = day(200);
    believe(&env, &["alice"], &late);
    assert_eq!(due(&env, "alice", &late), ["own - here"]);
}

/// An authorization for some days is renewed for as many.
#[test]
fn a_short_authorization_stays_short() {
    let env = Env::with_peers();
    env.make_node("mallory", &[]);
    env.introduce("mallory", "alice", &["--valid", "20d"]);
    env.introduce("alice", "mallory", &[]);
    let now = day(11);
    rotate(&env, "alice", &now).ok().quiet();
    let given = env.names(&format!("alice/peers/{}/given", id("mallory")));
    let days: Vec<&str> = given.iter().map(|name| &name[..8]).collect();
    assert_eq!(days, ["20260321", "20260401"]);
}

/// Local endpoints get their certificates at once, even after they have ended, and are rotated with their gateway.
#[test]
fn local_endpoints_are_renewed_at_once() {
    let env = Env::new();
    env.make_node(
        "gateway",
        &["--type", "gateway", "--address", "gw.example.org"],
    );
    let keygen = env
        .relay("keygen")
        .args(["-N", "gateway", "--endpoint", "anna"]);
    keygen.args(["--set", "clock=test"]).at(MADE).ok();
    let anna = "gateway/endpoints/anna";
    let certs = format!("{anna}/certs/{}", id("gateway"));
    assert_eq!(names(&env, &certs).len(), 1);
    for (days, left) in [(100, 2), (190, 3), (1000, 4)] {
        let now = day(days);
        believe(&env, &["gateway"], &now);
        let lines = due(&env, "gateway", &now);
        assert!(lines.contains(&"registered - here".to_owned()), "{lines:?}");
        assert!(lines.len() >= 3, "with those of anna: {lines:?}");
        rotate(&env, "gateway", &now).ok().quiet();
        let names = names(&env, &certs);
        assert!(names.len() >= 2 && names.len() <= left, "{names:?}");
        rotate(&env, "gateway", &now)
            .arg("-v")
            .ok()
            .quiet()
            .changes(&[]);
        is_in_order(&env, "gateway", &now);
    }
    // Only the endpoint.
    let now = day(1100);
    believe(&env, &["gateway"], &now);
    let ran = rotate(&env, anna, &now).arg("-v").ok();
    assert_eq!(events(&ran, "renewed"), 1, "{}", ran.stderr);
}

/// What one peer spoils keeps nothing from being renewed for the others.
#[test]
fn one_bad_peer_does_not_stop_the_others() {
    let env = with_mail();
    let now = day(100);
    believe(&env, &["alice"], &now);
    let given = format!("alice/peers/{}/given", id("bob"));
    let name = &env.names(&given)[0];
    env.write(format!("{given}/{name}"), "junk");
    let ran = rotate(&env, "alice", &now).arg("-v").run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    assert_eq!(events(&ran, "renewed"), 2, "{}", ran.stderr);
    ran.says_somewhere("bob: ");
    // Neither does what is no name of a certificate.
    let env = with_mail();
    believe(&env, &["alice"], &now);
    env.write(
        format!("alice/peers/{}/renewal", id("bob")),
        "Certificate: none\n",
    );
    env.chmod(format!("alice/peers/{}/renewal", id("bob")), 0o600);
    let ran = rotate(&env, "alice", &now).arg("-v").ok();
    assert_eq!(events(&ran, "renewed"), 3, "{}", ran.stderr);
    env.write(format!("alice/peers/{}/renewal", id("bob")), "junk\n");
    env.chmod(format!("alice/peers/{}/renewal", id("bob")), 0o600);
    let ran = rotate(&env, "alice", &now).run();
    assert_eq!(ran.status, 78, "{}", ran.stderr);
    let check = env.relay("check").args(["-N", "alice"]).at(&now).run();
    assert!(
        check.text().contains("names no certificate"),
        "{}",
        check.text()
    );
}

/// All valid certificates verify, and the newest signs.
#[test]
fn the_newest_certificate_signs_and_all_valid_ones_verify() {
    let env = with_stick();
    let parcel = |now: &str| {
        let seal = env.relay("seal").args(["-N", "bob", "-t", "alice"]);
        seal.at(now).stdin("x").ok().stdout
    };
    let cargo = |now: &str| {
        let pack = env.relay("pack-cargo").args(["-N", "gateway", "-t", "hub"]);
        pack.at(now).stdin(parcel(now)).ok().stdout
    };
    let now = day(100);
    believe(&env, &["hub", "gateway"], &now);
    let old = cargo(&now);
    rotate(&env, "hub", &now).ok();
    round(&env, &now);
    let new = cargo(&now);
    let signer = |cargo: &[u8]| {
        let item = relaynet::message::Item::parse(cargo.to_vec()).unwrap();
        item.message().unwrap().sender_certificate().not_after()
    };
    assert!(signer(&new) > signer(&old));
    for cargo in [new, old] {
        let unpack = env.relay("unpack-cargo").args(["-N", "hub"]).at(&now);
        unpack.stdin(cargo).ok();
    }
}

/// Two gateways and two endpoints by their crontabs alone, and a stick every three weeks. Nobody writes for 400 days,
/// while each certificate lasts for 180; then a mail arrives, and its answer.
#[test]
fn after_four_hundred_silent_days_a_mail_arrives() {
    let env = Env::new();
    env.make_node(
        "hub",
        &["--type", "gateway", "--address", crate::testenv::HUB],
    );
    env.make_node("gateway", &["--type", "gateway"]);
    env.register("hub", "gateway", &[]);
    env.mkdir("stick");
    let init = env.relay("sync").args(["-N", "hub", "--init", "stick"]);
    init.ok();
    let (anna, bert) = ("gateway/endpoints/anna", "hub/endpoints/bert");
    for (gateway, name) in [("gateway", "anna"), ("hub", "bert")] {
        let keygen = env
            .relay("keygen")
            .args(["-N", gateway, "--endpoint", name]);
        keygen.args(["--set", "clock=test"]).at(&day(0)).ok();
    }
    for (from, (to, name)) in [(bert, (anna, "anna")), (anna, (bert, "bert"))] {
        let key = env.read(format!("{to}/identity.pub"));
        let authorize = env
            .relay("authorize")
            .args(["-q", "-N", from, "--name", name]);
        let conn = authorize.stdin(key).at(&day(0)).ok().stdout;
        let own = from.rsplit('/').next().unwrap();
        let import = env.relay("import").args(["-q", "-N", to, "--name", own]);
        import.stdin(conn).at(&day(0)).ok();
    }
    let deliver = |now: &str| {
        for (node, inbox) in [(anna, "in-anna"), (bert, "in-bert")] {
            let deliver = env.relay("deliver").args(["-N", node, "--dir", inbox]);
            deliver.at(now).ok().quiet();
        }
    };
    for inbox in ["in-anna", "in-bert"] {
        env.mkdir(inbox);
    }
    for week in 0..58 {
        let now = day(7 * week + 1);
        for node in ["gateway", "hub"] {
            for program in ["rotate", "purge", "route"] {
                let ran = env.relay(program).args(["-N", node]).at(&now).output();
                let said = String::from_utf8_lossy(&ran.stderr);
                assert!(ran.status.success(), "{now}: {program}: {said}");
                assert_eq!(said.lines().count(), 1, "but the time: {said}");
            }
        }
        if week % 3 == 0 {
            round(&env, &now);
            deliver(&now);
        }
    }
    for (node, to, content) in [(anna, "bert", "still here"), (bert, "anna", "so am I")] {
        let now = day(408);
        let send = env.relay("send").args(["-N", node, "-t", to, "-"]);
        send.stdin(content).at(&now).ok();
        for _ in 0..2 {
            round(&env, &now);
        }
        deliver(&now);
        let from = node.rsplit('/').next().unwrap();
        let dir = format!("in-{to}/{from}");
        let names = env.names(&dir);
        assert_eq!(names.len(), 1, "{names:?}");
        assert_eq!(env.text(format!("{dir}/{}", names[0])), content);
    }
    for node in ["gateway", "hub"] {
        assert_eq!(names(&env, &format!("{node}/spool/failed")), [""; 0]);
        // Of each kind two or three: what has ended is removed.
        for (dir, most) in [("certs", 8), ("peers", 20)] {
            let count = count_files(&env, &format!("{node}/{dir}"));
            assert!(count <= most, "{node}/{dir}: {count}");
        }
    }
}

fn count_files(env: &Env, dir: &str) -> usize {
    let tree = env.tree();
    let inside = tree.iter().filter(|(path, _)| path.starts_with(dir));
    let files =
        inside.filter(|(_, (_, content))| matches!(content, crate::testenv::Content::File(_)));
    files.count()
}

/// A rotation of an authorization to send cargo, valid for these days, by the key of one node for that of another.
fn renewed_carrier(issuer: &str, subject: &str, until: &str) -> Vec<u8> {
    use relaynet::message::certification_path::PathForm;
    use relaynet::message::{CertificationPath, Rotation};
    use relaynet::pki::issuance::{self, CertificateRole};
    let at = |day: &str| format!("{day}T00:00:00Z").parse().unwrap();
    let (key, subject) = (
        crate::testenv::identity(issuer),
        crate::testenv::identity(subject),
    );
    let long = (at("2026-02-01"), at("2027-01-20"));
    let role = CertificateRole::SelfIssuedGateway;
    let own = issuance::issue(&key, None, key.public(), role, long).unwrap();
    let days = (at("2026-02-20"), at(until));
    let role = CertificateRole::DeliveryAuthorization(None);
    let leaf = issuance::issue(&key, Some(&own), subject.public(), role, days).unwrap();
    let path = CertificationPath {
        leaf,
        authorities: vec![own],
    };
    let form = PathForm::Certificates;
    Rotation { path, form }.to_octets()
}

/// Only who was authorized before gets more, from the same gateway, and never less.
#[test]
fn rotations_that_renew_no_authorization() {
    let env = Env::with_peering();
    let import =
        |node: &str, rotation: Vec<u8>| env.relay("import").args(["-N", node]).stdin(rotation);
    let later = "2026-12-20";
    let stranger = "-: no gateway that lets this one send cargo signed it";
    import("gateway", renewed_carrier("hub", "gateway", later)).fails(65, stranger);
    import("gateway", renewed_carrier("bob", "gateway", later)).fails(65, stranger);
    import("gateway", renewed_carrier("mallory", "alice", later)).fails(67, "-: made for ");
    let backwards = "-: the certificate here lasts as long or longer";
    import(
        "gateway",
        renewed_carrier("mallory", "gateway", "2026-05-01"),
    )
    .fails(73, backwards);
    import(
        "gateway",
        renewed_carrier("mallory", "gateway", "2026-02-25"),
    )
    .fails(80, "-: ");
    let none = "-: a rotation of something that is no registration";
    import("alice", renewed_carrier("bob", "alice", later)).fails(65, none);
    // The good one, twice; in the form that another gateway made it in, too.
    let good = renewed_carrier("mallory", "gateway", later);
    import("gateway", good.clone()).ok();
    import("gateway", good).ok().changes(&[]);
    assert_eq!(count(&env, "gateway", "mallory", "held"), 2);
    // One that mallory sends again and again: four are kept.
    for day in 10..20 {
        import(
            "gateway",
            renewed_carrier("mallory", "gateway", &format!("2027-01-{day}")),
        )
        .ok();
    }
    assert_eq!(count(&env, "gateway", "mallory", "held"), 4);
}

/// The gateway's own certificate is renewed by the hub, then that of its endpoint, then what the endpoint gave.
#[test]
fn a_rotation_reaches_endpoints_and_what_they_gave() {
    let env = with_stick();
    let anna = "gateway/endpoints/anna";
    let keygen = env
        .relay("keygen")
        .args(["-N", "gateway", "--endpoint", "anna"]);
    keygen.args(["--set", "clock=test"]).at(&day(1)).ok();
    for (from, to, name) in [("bob", anna, "anna"), (anna, "bob", "bob")] {
        let key = env.read(format!("{to}/identity.pub"));
        let authorize = env
            .relay("authorize")
            .args(["-q", "-N", from, "--name", name]);
        let conn = authorize.stdin(key).at(&day(1)).ok().stdout;
        let own = from.rsplit('/').next().unwrap();
        let import = env.relay("import").args(["-q", "-N", to, "--name", own]);
        import.stdin(conn).at(&day(1)).ok();
    }
    for (from, to, name) in [(anna, "bob", "bob"), ("bob", anna, "anna")] {
        let seal = env.relay("seal").args(["-N", from, "-t", name]).at(&day(2));
        let parcel = seal.stdin("x").ok().stdout;
        env.relay("open")
            .args(["-N", to])
            .at(&day(2))
            .stdin(parcel)
            .ok();
    }
    let given = format!("{anna}/peers/{}/given", id("bob"));
    let ends = |names: Vec<String>| -> Vec<String> {
        names.into_iter().map(|name| name[..8].to_owned()).collect()
    };
    assert_eq!(ends(env.names(&given)), ["20260828"], "with the gateway's");
    let now = day(100);
    believe(&env, &["hub", "gateway"], &now);
    // Before the hub has renewed it, there is nothing to gain.
    let lines = due(&env, "gateway", &now);
    assert!(
        lines.iter().all(|line| line.starts_with("own ")),
        "{lines:?}"
    );
    rotate(&env, "hub", &now).ok().quiet();
    round(&env, &now);
    let lines = due(&env, "gateway", &now);
    assert!(lines.contains(&"registered - here".to_owned()), "{lines:?}");
    rotate(&env, "gateway", &now).ok().quiet();
    // The same run renews what is issued under that.
    assert_eq!(ends(env.names(&given)), ["20260828", "20261206"]);
    let certs = format!("{anna}/certs/{}", id("gateway"));
    assert_eq!(ends(env.names(&certs)), ["20260828", "20261206"]);
    let newest = env.names(&given).pop().unwrap();
    let path = env.read(format!("{given}/{newest}"));
    let verify = env.relay("verify").args(["-N", "hub"]).at(&day(200));
    verify.stdin(path).ok();
    let parcels = names(&env, "gateway/spool/in");
    assert_eq!(parcels.len(), 1, "{parcels:?}");
    let parcel = env.read(format!("gateway/spool/in/{}", parcels[0]));
    env.relay("open")
        .args(["-N", "bob"])
        .at(&now)
        .stdin(parcel)
        .ok();
    assert_eq!(
        env.names(&format!("bob/peers/{}/held", anna_id(&env)))
            .len(),
        2
    );
}

fn anna_id(env: &Env) -> String {
    let inspect = env
        .relay("inspect")
        .args(["--id", "gateway/endpoints/anna/identity.pub"]);
    inspect.ok().text().trim().to_owned()
}

/// One run of relay-authorize under a clock that was a year ahead left an authorization that nobody could import, and
/// that no later one was newer than: mail ended after 180 days.
#[test]
fn what_a_clock_that_was_ahead_issued_keeps_nothing_from_being_renewed() {
    let env = with_mail();
    let ahead = env.relay("authorize").at("2027-03-01T12:00:00Z");
    ahead.args(["-q", "-N", "alice", "bob"]).ok();
    let now = day(100);
    believe(&env, &["alice", "bob"], &now);
    assert!(due(&env, "alice", &now).contains(&"given bob parcel".to_owned()));
    rotate(&env, "alice", &now).ok();
    assert_eq!(count(&env, "alice", "bob", "given"), 3);
    assert_eq!(due(&env, "alice", &now), [""; 0]);
}

/// The peer gets nothing in a parcel that everybody refuses; whether it gets anything, a person decides.
#[test]
fn a_peer_that_withdrew_our_authorization_fails_no_run() {
    let env = with_mail();
    let revoke = ["-q", "-N", "bob", "-o", "withdrawn", "alice"];
    env.relay("revoke").at(&day(50)).args(revoke).ok();
    let import = ["-q", "-N", "alice", "withdrawn"];
    env.relay("import").at(&day(50)).args(import).ok();
    let now = day(100);
    believe(&env, &["alice"], &now);
    assert!(due(&env, "alice", &now).contains(&"given bob hand".to_owned()));
    rotate(&env, "alice", &now).ok();
    assert_eq!(count(&env, "alice", "bob", "given"), 1);
}

/// The passphrase of a gateway is that of its endpoints, unless they have their own.
#[test]
fn endpoints_with_encrypted_keys_are_renewed_with_their_gateway() {
    let env = Env::new();
    env.write("passphrase", "one two three");
    env.chmod("passphrase", 0o600);
    let encrypted = ["--passphrase", "--passphrase-file", "passphrase"];
    let keygen = env.relay("keygen").at(MADE);
    let gateway = ["--set", "clock=test", "--type", "gateway", "-N", "site"];
    keygen.args(gateway).args(encrypted).ok();
    let keygen = env.relay("keygen").at(MADE);
    let endpoint = [
        "-N",
        "site",
        "--endpoint",
        "anna",
        "--set",
        "clock=test",
        "--passphrase-file",
        "passphrase",
    ];
    keygen.args(endpoint).ok();
    let now = day(100);
    believe(&env, &["site"], &now);
    let passphrase = ["--passphrase-file", "passphrase"];
    rotate(&env, "site", &now).args(passphrase).ok().quiet();
    assert_eq!(due(&env, "site", &now), [""; 0]);
    // Without it, who cannot be renewed is named.
    let failed = rotate(&env, "site", &day(190)).run();
    assert_ne!(failed.status, 0);
    assert!(
        !failed.stderr.contains("relay-rotate: : "),
        "{}",
        failed.stderr
    );
}
