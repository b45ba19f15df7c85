//! relay-keygen --successor and relay-import --successor: a node takes the place of another once a
//! person has compared its digits.

use std::fs;

use jiff::{SignedDuration, Timestamp};

use relaynet::asn1::pem;
use relaynet::message::successor::{SUCCESSOR_TYPE, SuccessorStatement};
use relaynet::pki::NodeId;

use crate::testenv::{Env, NOW, fingerprint, id, identity};

/// Text that no successor has.
const OTHER: &str = "0123 4567 89ab cdef 0123 4567 89ab cdef";

fn days(count: i64) -> String {
    let now: Timestamp = NOW.parse().unwrap();
    (now + SignedDuration::from_hours(24 * count)).to_string()
}

fn statement(old: &str, new: &str, peer: &str, date: &str) -> SuccessorStatement {
    SuccessorStatement {
        old: identity(old).public().clone(),
        new: identity(new).public().clone(),
        peer: id(peer).parse().unwrap(),
        date: date.parse().unwrap(),
        params: None,
    }
}

/// A notice that lets the peer send nothing.
fn notice(old: &str, new: &str, peer: &str, date: &str) -> Vec<u8> {
    let said = statement(old, new, peer, date);
    said.sign(&identity(old), &identity(new)).unwrap()
}

/// The same in a parcel of the old node.
fn parcel(env: &Env, old: &str, new: &str, peer: &str) -> Vec<u8> {
    let octets = notice(old, new, peer, NOW);
    env.parcel_with(old, peer, &octets, &["-y", SUCCESSOR_TYPE])
}

fn open(env: &Env, node: &str, parcel: &[u8]) -> crate::testenv::Ran {
    env.relay("open").args(["-N", node]).stdin(parcel).run()
}

/// What a node knows of a peer.
fn peer(env: &Env, node: &str, peer: &str) -> serde_json::Value {
    let ran = env
        .relay("peers")
        .args(["-q", "-N", node, "--json", peer])
        .ok();
    ran.json().remove(0)
}

/// What relay-check says of successors: level and text.
fn found(env: &Env, node: &str) -> Vec<String> {
    let ran = env.relay("check").args(["-v", "-N", node, "--json"]).run();
    let mut found = Vec::new();
    for finding in ran.json() {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        assert_ne!(text("check"), "unknown", "{finding}");
        assert_ne!(text("check"), "damaged", "{finding}");
        if text("check") == "successor" {
            found.push(format!("{}: {}", text("level"), text("what")));
        }
    }
    found
}

/// Makes anna, who takes the place of alice. Returns her id.
fn succeed(env: &Env, options: &[&str]) -> String {
    let made = env
        .relay("keygen")
        .args(["-q", "--successor", "alice"])
        .args(options)
        .arg("anna")
        .ok()
        .quiet();
    made.text().trim().to_owned()
}

/// The digits of a node, as people read them.
fn digits(id: &str) -> String {
    id.parse::<NodeId>().unwrap().fingerprint()
}

fn confirm(env: &Env, node: &str, of: &str, digits: &str) -> crate::testenv::Ran {
    let call = env.relay("import").args(["-N", node, "--successor", of]);
    call.args(["--expect", digits]).run()
}

/// The parcels that wait in the spool of a node for another.
fn waiting(env: &Env, node: &str, to: &str) -> Vec<Vec<u8>> {
    let dir = format!("{node}/spool/in");
    let names = env.names(&dir).into_iter();
    let names = names.filter(|name| name.contains(&format!("{to}.")));
    names
        .map(|name| env.read(format!("{dir}/{name}")))
        .collect()
}

/// Alice, bob and carol, each with a spool.
fn with_spools() -> Env {
    let env = Env::with_peers();
    for node in ["alice", "bob", "carol"] {
        env.mkdir(&format!("{node}/spool"));
        env.chmod(format!("{node}/spool"), 0o700);
    }
    env
}

#[test]
fn two_commands_put_a_node_in_the_place_of_another() {
    let env = with_spools();
    env.write("alice/aliases", "all-of-us: bob, carol\n");
    env.chmod("alice/aliases", 0o600);
    let anna = succeed(&env, &[]);
    assert_eq!(env.text("anna/config"), env.text("alice/config"));
    assert_eq!(env.text("anna/aliases"), env.text("alice/aliases"));
    assert_eq!(peer(&env, "anna", "bob")["id"], id("bob"));
    assert_eq!(found(&env, "anna"), [""; 0]);
    let own = format!("information: {} takes the place of this node", &anna[..16]);
    assert_eq!(found(&env, "alice"), [own]);
    // Once more: nothing is made or sent twice.
    let again = env
        .relay("keygen")
        .args(["-q", "--successor", "alice", "anna"]);
    let again = again.ok().changes(&[]);
    assert_eq!(again.text().trim(), anna);

    let sent = waiting(&env, "alice", &id("bob"));
    assert_eq!(sent.len(), 1);
    let short = &anna[..16];
    let opened = open(&env, "bob", &sent[0]);
    assert_eq!((opened.status, opened.text()), (0, ""));
    let says =
        format!("alice says that {short} succeeds it, which counts once the digits are compared");
    opened.says_somewhere(&says);
    // Nothing changed but that.
    let known = peer(&env, "bob", "alice");
    assert_eq!(known["id"], id("alice"));
    assert_eq!(known["successors_waiting"][0], anna);
    assert_eq!(known["successor_contested"], false);
    assert_eq!(found(&env, "bob").len(), 1);
    let status = env.relay("status").args(["-N", "bob"]).ok();
    assert!(
        status
            .text()
            .contains("relay-import --successor alice --expect DIGITS")
    );
    let metrics = env.relay("status").args(["-N", "bob", "--prometheus"]).ok();
    assert!(metrics.text().contains("\nrelay_successors_waiting 1\n"));

    confirm(&env, "bob", "alice", OTHER)
        .changes(&[])
        .ends_with(65)
        .says_somewhere("no successor that alice named has these digits");
    let ran = confirm(&env, "bob", "alice", &digits(&anna)).ends_with(0);
    assert_eq!(ran.text().trim(), anna);
    assert!(
        ran.stderr
            .contains("hint: if the old key was stolen: relay-revoke ")
    );
    assert_eq!(peer(&env, "bob", "alice")["id"], anna);
    assert_eq!(peer(&env, "bob", "alice")["compared"], true);
    assert_eq!(peer(&env, "bob", &id("alice"))["successor"], anna);
    assert_eq!(found(&env, "bob"), [""; 0]);
    // The second time is useless, by name and by id, of the old one and the new.
    for of in ["alice", &id("alice"), &anna] {
        let ran = confirm(&env, "bob", of, &anna).changes(&[]).ends_with(0);
        assert_eq!(ran.text().trim(), anna);
        ran.quiet();
    }

    // Bob's authorization is on its way, and then both can write.
    let given = waiting(&env, "bob", &anna);
    assert_eq!(given.len(), 1);
    assert_eq!(open(&env, "anna", &given[0]).status, 0);
    for (from, to, from_name) in [("anna", "bob", "alice"), ("bob", "alice", "bob")] {
        let sealed = env.parcel(from, to, b"hello");
        let reader = if from == "bob" { "anna" } else { "bob" };
        let call = env.relay("open").args(["-N", reader, "--json", "-d", "."]);
        let opened = call.stdin(sealed).ok();
        assert_eq!(opened.json()[0]["peer"], from_name);
    }
    // What alice sent before is still opened; what goes to her id goes to anna.
    let late = env
        .relay("seal")
        .args(["-N", "alice", "-t", "bob"])
        .stdin("late")
        .ok();
    late.says_somewhere("alice has the successor");
}

trait Ends {
    fn ends_with(self, status: i32) -> Self;
}

impl Ends for crate::testenv::Ran {
    #[track_caller]
    fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}", self.stderr);
        self
    }
}

#[test]
fn what_is_sent_to_the_old_node_goes_to_the_new_one() {
    let env = with_spools();
    let anna = succeed(&env, &[]);
    open(&env, "bob", &waiting(&env, "alice", &id("bob"))[0]);
    confirm(&env, "bob", "alice", &digits(&anna)).ends_with(0);
    let old = id("alice");
    env.write("bob/aliases", format!("girls: {old}\n"));
    env.chmod("bob/aliases", 0o600);
    for to in [&*old, "@girls"] {
        let ran = env
            .relay("send")
            .args(["-N", "bob", "-t", to, "-"])
            .stdin("x")
            .ok();
        assert!(ran.text().starts_with(&anna), "{}", ran.text());
        ran.says_somewhere("was succeeded by alice, which gets this");
    }
    let same = env
        .relay("seal")
        .args(["-N", "bob", "-t", "alice", "-t", &old]);
    same.stdin("x").run().ends_with(64);
}

#[test]
fn a_notice_that_proves_nothing_is_refused() {
    let env = Env::with_peers();
    let late = |hours: i64| {
        let now: Timestamp = NOW.parse().unwrap();
        (now + SignedDuration::from_hours(hours)).to_string()
    };
    let said = statement("bob", "mallory", "alice", NOW);
    let signed = |one: &str, other: &str| said.sign(&identity(one), &identity(other)).unwrap();
    let mut cut = notice("bob", "mallory", "alice", NOW);
    cut.pop();
    for (what, octets, status) in [
        ("the old key alone", signed("bob", "bob"), 65),
        ("the new key alone", signed("mallory", "mallory"), 65),
        ("both, exchanged", signed("mallory", "bob"), 65),
        ("cut short", cut, 65),
        ("itself", notice("bob", "bob", "alice", NOW), 65),
        ("of this node", notice("alice", "mallory", "alice", NOW), 65),
        ("to this node", notice("bob", "alice", "alice", NOW), 65),
        ("for another", notice("bob", "mallory", "carol", NOW), 67),
        (
            "of nobody known",
            notice("hub", "mallory", "alice", NOW),
            67,
        ),
        (
            "of tomorrow",
            notice("bob", "mallory", "alice", &late(24)),
            81,
        ),
        (
            "of last year",
            notice("bob", "mallory", "alice", &late(-24 * 181)),
            80,
        ),
    ] {
        let call = env.relay("import").args(["-N", "alice"]).stdin(&*octets);
        let ran = call.run();
        assert_eq!(ran.status, status, "{what}: {}", ran.stderr);
        ran.changes(&[]);
        let call = env.relay("import").args(["-N", "alice", "--expect"]);
        let ran = call.arg(fingerprint("mallory")).stdin(octets).run();
        assert_ne!(ran.status, 0, "{what}");
        ran.changes(&[]);
    }
    // A clock that differs a little is allowed.
    let soon = notice("bob", "mallory", "alice", &late(1));
    env.relay("import")
        .args(["-q", "-N", "alice"])
        .stdin(soon)
        .ok()
        .quiet();
}

#[test]
fn a_notice_in_a_parcel_of_another_sender_is_refused() {
    let env = Env::with_peers();
    let seal = |octets: &[u8]| env.parcel_with("carol", "alice", octets, &["-y", SUCCESSOR_TYPE]);
    let of_bob = seal(&notice("bob", "mallory", "alice", NOW));
    let ran = open(&env, "alice", &of_bob).ends_with(65);
    ran.says_somewhere("names the successor of another node than its sender");
    let said = statement("carol", "mallory", "alice", NOW);
    let half = said.sign(&identity("carol"), &identity("carol")).unwrap();
    let ran = open(&env, "alice", &seal(&half)).ends_with(65);
    ran.says_somewhere("bad signature in the successor notice");
    assert_eq!(open(&env, "alice", &seal(b"junk")).status, 65);
    // Of a node that was forgotten, it changes nothing.
    let of_carol = seal(&notice("carol", "mallory", "alice", NOW));
    env.relay("peers")
        .args(["-q", "-N", "alice", "carol", "--forget"])
        .ok();
    open(&env, "alice", &of_carol).changes(&[]).ends_with(67);
}

#[test]
fn strangers_who_name_successors_are_ignored() {
    let env = Env::with_peers();
    env.make_node("hub", &["--address", crate::testenv::HUB]);
    let params = env.relay("export").args(["-q", "-N", "hub"]).ok().stdout;
    let call = env
        .relay("import")
        .args(["-q", "-N", "bob", "--name", "hub"]);
    call.stdin(params).ok();
    let octets = notice("bob", "mallory", "hub", NOW);
    let sealed = env.parcel_with("bob", "hub", &octets, &["-y", SUCCESSOR_TYPE]);
    let ran = open(&env, "hub", &sealed).ends_with(0);
    assert_eq!(ran.text(), "");
    assert!(!env.path(format!("hub/peers/{}", id("bob"))).exists());
    assert_eq!(open(&env, "hub", &sealed).status, 82);
}

#[test]
fn two_successors_are_shown_and_the_right_digits_take_one() {
    let env = Env::with_peers();
    for new in ["mallory", "gateway"] {
        assert_eq!(
            open(&env, "alice", &parcel(&env, "bob", new, "alice")).status,
            0
        );
    }
    let said = peer(&env, "alice", "bob");
    assert_eq!(said["successors_waiting"].as_array().unwrap().len(), 2);
    assert_eq!(said["successor_contested"], true);
    let found_first = found(&env, "alice");
    assert!(found_first[0].starts_with("error: "), "{found_first:?}");
    assert!(found_first[0].ends_with("both claim to succeed bob: somebody may have its key"));
    let nagios = env
        .relay("status")
        .args(["-N", "alice", "--nagios", "failed=1:2"])
        .run();
    assert_eq!(nagios.status, 2, "{}{}", nagios.text(), nagios.stderr);
    // A third one finds no room, and changes nothing.
    let ran = open(&env, "alice", &parcel(&env, "bob", "hub", "alice")).ends_with(0);
    assert!(
        ran.stderr
            .contains("one more node claims to succeed it, and is not kept")
    );
    let as_file = "relay-import --successor FILE --expect DIGITS takes it";
    assert!(ran.stderr.contains(as_file), "{}", ran.stderr);
    assert_eq!(found(&env, "alice"), found_first);
    let ran = confirm(&env, "alice", "bob", &fingerprint("hub"))
        .changes(&[])
        .ends_with(65);
    assert!(
        ran.stderr
            .contains("several nodes claim to succeed bob, and none that is kept has these")
    );
    assert!(ran.stderr.contains(as_file), "{}", ran.stderr);
    // Its file with its digits is taken all the same: a thief who was first keeps nobody out.
    let other = Env::with_peers();
    for new in ["mallory", "gateway"] {
        open(&other, "alice", &parcel(&other, "bob", new, "alice"));
    }
    other.write("hub.successor", notice("bob", "hub", "alice", NOW));
    confirm(&other, "alice", "hub.successor", &fingerprint("hub")).ends_with(0);
    assert_eq!(peer(&other, "alice", "bob")["id"], id("hub"));

    confirm(&env, "alice", "bob", &fingerprint("gateway")).ends_with(0);
    assert_eq!(peer(&env, "alice", "bob")["id"], id("gateway"));
    assert_eq!(found(&env, "alice"), [""; 0]);
    let folder = format!("alice/peers/{}/successors", id("bob"));
    assert!(!env.path(&folder).exists());
    // The old key says nothing that counts any more.
    let octets = env.parcel_with(
        "bob",
        "alice",
        &notice("bob", "mallory", "alice", NOW),
        &["-y", SUCCESSOR_TYPE, "--id", "later"],
    );
    let ran = open(&env, "alice", &octets).ends_with(0);
    ran.says_somewhere("its key names another successor, and nothing changes");
    assert!(!env.path(&folder).exists());
    confirm(&env, "alice", &id("bob"), &fingerprint("mallory"))
        .changes(&[])
        .ends_with(65);
    env.write("again", notice("bob", "mallory", "alice", NOW));
    let again =
        env.relay("import")
            .args(["-N", "alice", "--expect", &fingerprint("mallory"), "again"]);
    let ran = again.run().changes(&[]).ends_with(73);
    assert!(
        ran.stderr
            .contains("another successor of that node was confirmed before")
    );
    assert!(!ran.stderr.contains("--replace"), "{}", ran.stderr);
    let call = env
        .relay("import")
        .args(["-N", "alice", "--replace", "again"]);
    let call = call.args(["--expect", &fingerprint("mallory")]);
    call.run().changes(&[]).ends_with(73);
}

#[test]
fn what_does_not_belong_among_the_notices_stops_nothing() {
    let env = Env::with_peers();
    let folder = format!("alice/peers/{}/successors", id("bob"));
    env.mkdir(&folder);
    for other in ["one", "two"] {
        env.mkdir(&format!("{folder}/{other}"));
    }
    env.chmod(&folder, 0o700);
    let sealed = parcel(&env, "bob", "mallory", "alice");
    let ran = open(&env, "alice", &sealed).ends_with(0);
    ran.says_somewhere("bob says that ");
    // Nor do they take the place of a notice.
    assert_eq!(env.names(&folder).len(), 3);
    let confirmed = || confirm(&env, "alice", "bob", &fingerprint("mallory"));
    confirmed().ends_with(0);
    assert_eq!(env.names(&folder), ["one", "two"]);
    confirmed().changes(&[]).ends_with(0);
    let checked = env.relay("check").args(["-N", "alice", "--json"]).run();
    let said = checked.json();
    let is = |finding: &serde_json::Value, what: &str| finding["check"] == what;
    let at = format!("{folder}/one");
    let mut unknown = said.iter().filter(|it| is(it, "unknown"));
    assert!(unknown.any(|it| it.to_string().contains(&at)), "{said:?}");
    assert!(!said.iter().any(|it| is(it, "successor")), "{said:?}");
}

#[test]
fn a_name_that_leads_elsewhere_names_no_file() {
    let env = Env::with_peers();
    env.mkdir("stick");
    env.mkdir("stick/in");
    for name in ["../evil", "/tmp/evil", ".", "a b"] {
        env.write(format!("alice/peers/{}/name", id("bob")), name);
        let anna = succeed(&env, &["-d", "stick/in"]);
        assert_eq!(env.names("stick"), ["in"], "{name}");
        let of_bob = format!("{}.successor", id("bob"));
        let mut expected = vec![of_bob.clone(), "carol.successor".to_owned()];
        expected.sort();
        assert_eq!(env.names("stick/in"), expected, "{name}");
        assert!(!anna.is_empty());
    }
}

#[test]
fn a_node_that_withdrew_all_is_asked_about() {
    let env = Env::with_peers();
    open(&env, "alice", &parcel(&env, "bob", "mallory", "alice"));
    assert!(found(&env, "alice")[0].starts_with("warning: "));
    env.relay("revoke")
        .args(["-q", "-N", "bob", "--all", "-o", "bob.pdd"])
        .ok();
    env.relay("import")
        .args(["-q", "-N", "alice", "bob.pdd"])
        .ok();
    let what = &found(&env, "alice")[0];
    assert!(what.starts_with("error: bob revoked all, and "), "{what}");
    confirm(&env, "alice", "bob", &fingerprint("mallory")).ends_with(0);
    assert_eq!(peer(&env, "alice", "bob")["id"], id("mallory"));
}

#[test]
fn notices_without_end_take_one_file_each() {
    let env = Env::with_peers();
    let folder = format!("alice/peers/{}/successors", id("bob"));
    let now: Timestamp = NOW.parse().unwrap();
    let mut dates: Vec<i64> = (0..40).collect();
    dates.rotate_left(17);
    for (number, seconds) in dates.into_iter().enumerate() {
        let date = (now - SignedDuration::from_secs(seconds)).to_string();
        let octets = notice("bob", "mallory", "alice", &date);
        let id = format!("n{number}");
        let octets = env.parcel_with(
            "bob",
            "alice",
            &octets,
            &["-y", SUCCESSOR_TYPE, "--id", &id],
        );
        assert_eq!(open(&env, "alice", &octets).status, 0);
        assert_eq!(env.names(&folder), [format!("{}.pem", id_of("mallory"))]);
    }
    let kept = env.read(format!("{folder}/{}.pem", id_of("mallory")));
    let kept = relaynet::asn1::pem::blocks(&kept)
        .unwrap()
        .remove(0)
        .contents;
    assert_eq!(kept, {
        let newest = relaynet::message::SuccessorNotice::parse(&kept).unwrap();
        assert_eq!(newest.unverified().date, now);
        kept.clone()
    });
    // After half a year nobody can take it any more.
    let purge = |now: &str| {
        let purge = env
            .relay("purge")
            .args(["-q", "-N", "alice", "--trust-clock"]);
        purge.at(now).ok();
    };
    purge(&days(179));
    assert!(env.path(&folder).exists());
    purge(&days(181));
    assert!(!env.path(&folder).exists());
}

fn id_of(name: &str) -> String {
    id(name)
}

#[test]
fn a_chain_is_followed_and_a_loop_refused() {
    let env = Env::with_peers();
    let import = |old: &str, new: &str| {
        let call = env.relay("import").args(["-q", "-N", "alice", "--expect"]);
        call.arg(fingerprint(new))
            .stdin(notice(old, new, "alice", NOW))
            .run()
    };
    import("bob", "mallory").ends_with(0);
    import("mallory", "gateway").ends_with(0);
    assert_eq!(peer(&env, "alice", "bob")["id"], id("gateway"));
    // Both steps can be confirmed again, by the name that all of them had.
    for new in ["mallory", "gateway"] {
        confirm(&env, "alice", "bob", &fingerprint(new))
            .changes(&[])
            .ends_with(0);
    }
    for new in ["bob", "mallory"] {
        import("gateway", new).changes(&[]).ends_with(65);
    }
    let ran = env
        .relay("seal")
        .args(["-N", "alice", "-t", &id("bob")])
        .stdin("x")
        .run();
    assert_eq!(
        ran.status, 67,
        "no session key of the last one is known: {}",
        ran.stderr
    );
    ran.says_somewhere("was succeeded by bob, which gets this");
}

#[test]
fn names_are_kept_or_given() {
    let env = Env::with_peers();
    // A peer with a name of its own is not renamed, and a third one's name not taken.
    let octets = notice("bob", "carol", "alice", NOW);
    let call = |options: &[&str]| {
        let call = env.relay("import").args(["-q", "-N", "alice", "--expect"]);
        call.arg(fingerprint("carol"))
            .args(options)
            .stdin(&*octets)
            .run()
    };
    call(&[]).changes(&[]).ends_with(73);
    let ran = env
        .relay("import")
        .args(["-q", "-N", "alice", "--name", "x"])
        .stdin(&*octets)
        .run();
    ran.changes(&[]).ends_with(65);
    call(&["--replace"]).ends_with(0);
    assert_eq!(peer(&env, "alice", "bob")["id"], id("carol"));
    let env = Env::with_peers();
    let octets = notice("bob", "mallory", "alice", NOW);
    let call = |name: &str| {
        let call = env
            .relay("import")
            .args(["-q", "-N", "alice", "--name", name, "--expect"]);
        call.arg(fingerprint("mallory")).stdin(&*octets).run()
    };
    call("carol").changes(&[]).ends_with(73);
    call("robert").ends_with(0);
    assert_eq!(peer(&env, "alice", "robert")["id"], id("mallory"));
}

/// The host that an operator named is that of a machine, which the new node has from the old one.
#[test]
fn a_host_is_kept_unless_another_is_named() {
    let env = Env::with_peers();
    let host = |of: &str| {
        let dir = format!("alice/peers/{}", id(of));
        let path = env.path(format!("{dir}/host"));
        path.exists().then(|| env.text(format!("{dir}/host")))
    };
    let peers = |args: &[&str]| env.relay("peers").args(["-q", "-N", "alice"]).args(args);
    let pin = "7".repeat(64);
    peers(&["--host", "10.1.2.3:8443", "--pin", &pin, "bob"]).ok();
    let before = host("bob");
    assert!(before.is_some());
    let import = env.relay("import").args(["-q", "-N", "alice", "--expect"]);
    let import = import.arg(fingerprint("mallory"));
    import.stdin(notice("bob", "mallory", "alice", NOW)).ok();
    assert_eq!((host("mallory"), host("bob")), (before.clone(), before));
}

#[test]
fn files_go_to_peers_without_a_spool() {
    let env = Env::with_peers();
    env.mkdir("stick");
    let told = env
        .relay("keygen")
        .args(["--successor", "alice", "anna"])
        .ok();
    told.says_somewhere("not told, since nothing can be sent there: ");
    let anna = succeed(&env, &["-d", "stick"]);
    assert_eq!(env.names("stick"), ["bob.successor", "carol.successor"]);
    let before = env.read("stick/bob.successor");
    succeed(&env, &["-d", "stick"]);
    assert_eq!(env.read("stick/bob.successor"), before);
    env.relay("verify").arg("stick/bob.successor").ok();
    let shown = env
        .relay("inspect")
        .args(["--json", "stick/bob.successor"])
        .ok();
    let facts = shown.json().remove(0);
    assert_eq!(facts["signed_by_both"], true);
    assert_eq!(facts["new"]["fingerprint"], digits(&anna));
    let carols = env
        .relay("import")
        .args(["-N", "bob", "stick/carol.successor"])
        .run();
    carols.changes(&[]).ends_with(67);
    let ran = env
        .relay("import")
        .args(["-N", "bob", "stick/bob.successor"])
        .ok();
    ran.says_somewhere("alice says that ");
    env.relay("import")
        .args(["-q", "-N", "bob", "stick/bob.successor"])
        .ok()
        .changes(&[]);
    // Without a spool, what bob gives her has to be carried.
    let ran = confirm(&env, "bob", "alice", &digits(&anna)).ends_with(0);
    assert!(
        ran.stderr
            .contains("relay-authorize alice -o FILE makes what it has to import")
    );
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "bob", "alice"])
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "anna"])
        .stdin(conn)
        .ok();
    let sealed = env.parcel("anna", "bob", b"hello");
    assert_eq!(open(&env, "bob", &sealed).text(), "hello");
}

#[test]
fn one_node_takes_the_place_of_another_and_no_second_one() {
    let env = with_spools();
    let anna = succeed(&env, &[]);
    let second = env
        .relay("keygen")
        .args(["--successor", "alice", "eve"])
        .run();
    second
        .changes(&[])
        .ends_with(73)
        .says_somewhere(&format!("alice has the successor {anna}"));
    let other = env
        .relay("keygen")
        .args(["--successor", "bob", "carol"])
        .run();
    other
        .changes(&[])
        .ends_with(73)
        .says_somewhere("carol is a node directory already");
    let itself = env
        .relay("keygen")
        .args(["--successor", "bob", "bob"])
        .run();
    itself.changes(&[]).ends_with(73);
    let none = env
        .relay("keygen")
        .args(["--successor", "nobody", "eve"])
        .run();
    none.changes(&[]).ends_with(78);
    let typed = env
        .relay("keygen")
        .args(["--successor", "bob", "--type", "gateway", "eve"]);
    typed.run().changes(&[]).ends_with(64);
    // The old one lets nobody send longer.
    for node in ["alice", "bob"] {
        let call = env.relay("purge").args(["-q", "-N", node, "--trust-clock"]);
        call.at(&days(120)).ok();
    }
    let ran = env
        .relay("rotate")
        .args(["-n", "-N", "alice"])
        .at(&days(120))
        .ok();
    assert!(!ran.text().contains("given"), "{}", ran.text());
    let ran = env
        .relay("rotate")
        .args(["-n", "-N", "bob"])
        .at(&days(120))
        .ok();
    assert!(ran.text().contains("given"), "{}", ran.text());
}

#[test]
fn under_a_doubted_clock_no_node_is_made() {
    let env = with_spools();
    let purge = env.relay("purge").args(["-q", "-N", "alice"]);
    purge.at(&days(2)).ok();
    let keygen = || {
        let call = env.relay("keygen");
        call.args(["--successor", "alice", "anna"])
    };
    let early = keygen().at(&days(-2)).run();
    early.changes(&[]).ends_with(75).says_somewhere("clock");
    keygen().at(&days(2)).ok();
    assert_eq!(waiting(&env, "alice", &id("bob")).len(), 1);
    // Nor does a repeated run go on.
    keygen().at(&days(-2)).run().changes(&[]).ends_with(75);
}

#[test]
fn what_a_peer_may_not_do_the_notice_does_not_give() {
    let env = with_spools();
    env.relay("revoke").args(["-q", "-N", "alice", "bob"]).ok();
    env.relay("peers")
        .args(["-q", "-N", "alice", "carol", "--expect-none"])
        .ok();
    let anna = succeed(&env, &[]);
    assert!(waiting(&env, "alice", &id("carol")).is_empty());
    let known = peer(&env, "anna", "carol");
    assert_eq!(known["expects_mail"], false);
    assert_eq!(known["they_may_send_until"], serde_json::Value::Null);
    assert_eq!(
        peer(&env, "anna", "bob")["they_may_send_until"],
        serde_json::Value::Null
    );
    open(&env, "bob", &waiting(&env, "alice", &id("bob"))[0]);
    let ran = confirm(&env, "bob", "alice", &digits(&anna)).ends_with(0);
    ran.says_somewhere("no parcel can bring it our authorization");
    // All was withdrawn because the key was lost: that is not about bob.
    let env = with_spools();
    env.relay("revoke")
        .args(["-q", "-N", "alice", "--all", "-o", "alice.pdd"])
        .ok();
    succeed(&env, &[]);
    assert_ne!(
        peer(&env, "anna", "bob")["they_may_send_until"],
        serde_json::Value::Null
    );
}

#[test]
fn a_registered_node_is_registered_first() {
    let env = Env::with_gateways();
    env.mkdir("alice/spool");
    env.chmod("alice/spool", 0o700);
    let first = env
        .relay("keygen")
        .args(["--successor", "alice", "anna"])
        .run()
        .ends_with(75);
    let anna = first.text().trim().to_owned();
    first.says_somewhere(
        "alice is registered with gateway, and nobody is told before the new node is",
    );
    assert!(!env.path("alice/spool/in").exists() && !env.path("alice/successor").exists());
    let key =
        env.relay("register")
            .args(["-q", "-N", "gateway", "--name", "anna", "anna/identity.pub"]);
    let registration = key.ok().stdout;
    env.relay("import")
        .args(["-q", "-N", "anna", "--name", "gateway"])
        .stdin(registration)
        .ok();
    assert_eq!(succeed(&env, &[]), anna);
    let sent = waiting(&env, "alice", &id("bob"));
    assert_eq!(open(&env, "bob", &sent[0]).status, 0);
    confirm(&env, "bob", "alice", &digits(&anna)).ends_with(0);
    // The way to her leads through the gateway.
    let sealed = env.parcel("bob", "alice", b"x");
    let shown = env.relay("inspect").arg("--json").stdin(sealed).ok();
    let shown = shown.json().remove(0);
    assert_eq!(shown["recipient"], anna);
    assert_eq!(shown["attached"][0]["issuer_common_name"], id("gateway"));
}

#[test]
fn a_local_endpoint_is_registered_at_once() {
    let env = Env::new();
    env.make_node("gateway", &["--type", "gateway"]);
    for name in ["ada", "bert"] {
        let made = env
            .relay("keygen")
            .args(["-q", "-N", "gateway", "--set", "clock=test"]);
        made.args(["--endpoint", name]).ok();
    }
    let (ada, bert) = ("gateway/endpoints/ada", "gateway/endpoints/bert");
    for (from, to, name, other) in [(ada, bert, "ada", "bert"), (bert, ada, "bert", "ada")] {
        let call = env
            .relay("authorize")
            .args(["-q", "-N", to, "--name", name, "--rate", "9/1d"]);
        let conn = call.arg(format!("{from}/identity.pub")).ok().stdout;
        env.relay("import")
            .args(["-q", "-N", from, "--name", other])
            .stdin(conn)
            .ok();
    }
    let call = env.relay("keygen").args([
        "-q",
        "-N",
        "gateway",
        "--successor",
        ada,
        "--endpoint",
        "ada2",
    ]);
    let new = call.ok().quiet().text().trim().to_owned();
    env.mkdir("inbox");
    let deliver = |node: &str| {
        env.relay("route").args(["-q", "-N", "gateway"]).ok();
        let call = env.relay("deliver").args(["-N", node, "--dir", "inbox"]);
        call.ok()
    };
    let ran = deliver(bert);
    assert!(
        ran.stderr
            .contains("relay-import --successor ada --expect DIGITS")
    );
    confirm(&env, bert, "ada", &digits(&new)).ends_with(0);
    deliver("gateway/endpoints/ada2");
    for (from, to) in [(bert, "ada"), ("gateway/endpoints/ada2", "bert")] {
        env.relay("send")
            .args(["-q", "-N", from, "-t", to, "-"])
            .stdin("hello")
            .ok();
    }
    deliver(bert);
    deliver("gateway/endpoints/ada2");
    assert_eq!(env.names("inbox"), ["ada", "bert"]);
    // The limit of the old one is that of the new one.
    let parcel = env.parcel("gateway/endpoints/ada2", "bert", b"x");
    let shown = env.relay("inspect").arg("--json").stdin(parcel).ok();
    assert!(shown.json()[0]["sender_certificate"]["rate"].is_string());
}

#[test]
fn gateways_that_peer_carry_files() {
    let env = Env::with_peering();
    env.mkdir("stick");
    let made = env
        .relay("keygen")
        .args(["-q", "--successor", "gateway", "-d", "stick", "second"]);
    let second = made.ok().quiet().text().trim().to_owned();
    assert_eq!(env.names("stick"), ["mallory.successor"]);
    assert!(env.text("second/config").contains("gateway"));
    let ran = confirm(&env, "mallory", "stick/mallory.successor", &digits(&second)).ends_with(0);
    ran.says_somewhere("no parcel can bring it our authorization");
    let conn = env
        .relay("authorize")
        .args(["-q", "-N", "mallory", "gateway"])
        .ok()
        .stdout;
    env.relay("import")
        .args(["-q", "-N", "second"])
        .stdin(conn)
        .ok();
    let parcel = env.parcel("bob", "alice", b"hello");
    for (from, to, called) in [
        ("mallory", "second", "gateway"),
        ("second", "mallory", "mallory"),
    ] {
        let cargo = env.cargo(from, called, &*parcel);
        let ran = env
            .relay("unpack-cargo")
            .args(["-q", "-N", to])
            .stdin(cargo)
            .ok();
        assert_eq!(ran.stdout, parcel);
    }
}

#[test]
fn encrypted_nodes_have_encrypted_successors() {
    let env = with_spools();
    env.write("words", "correct horse battery staple\n");
    env.chmod("words", 0o600);
    let secret = ["--passphrase-file", "words"];
    for node in ["alice", "bob"] {
        env.relay("keygen")
            .args([
                "-q",
                "-N",
                node,
                "--change-passphrase",
                "--new-passphrase-file",
                "words",
            ])
            .ok();
    }
    let bare = env
        .relay("keygen")
        .args(["-q", "--successor", "alice", "anna"])
        .run();
    bare.changes(&[]).ends_with(78);
    let anna = succeed(&env, &secret);
    assert!(env.text("anna/identity.key").contains("ENCRYPTED"));
    let sent = waiting(&env, "alice", &id("bob")).remove(0);
    env.relay("open")
        .args(["-q", "-N", "bob"])
        .args(secret)
        .stdin(sent)
        .ok();
    let bare = confirm(&env, "bob", "alice", &digits(&anna));
    bare.changes(&[]).ends_with(78);
    let call = env
        .relay("import")
        .args(["-q", "-N", "bob", "--successor", "alice"]);
    call.args(["--expect", &digits(&anna)]).args(secret).ok();
    assert_eq!(waiting(&env, "bob", &anna).len(), 1);
}

#[test]
fn a_damaged_notice_keeps_nobody_from_a_good_one_and_backups_have_them() {
    let env = Env::with_peers();
    open(&env, "alice", &parcel(&env, "bob", "mallory", "alice"));
    let folder = format!("alice/peers/{}/successors", id("bob"));
    let bad = format!("{folder}/{}.pem", id("hub"));
    env.write(&bad, pem::encode(pem::SUCCESSOR_NOTICE, b"junk"));
    env.chmod(&bad, 0o600);
    let checked = env.relay("check").args(["-N", "alice", "--json"]).run();
    let is_damaged = |finding: &serde_json::Value| finding["check"] == "damaged";
    assert!(checked.json().iter().any(is_damaged));
    env.relay("check")
        .args(["-q", "-N", "alice", "--backup", "backup"])
        .ok();
    assert_eq!(
        env.names(&folder.replace("alice/", "backup/")),
        env.names(&folder)
    );
    confirm(&env, "alice", "bob", &fingerprint("mallory")).ends_with(0);
    assert!(!env.path(&folder).exists());
    fs::remove_dir_all(env.path("backup")).unwrap();
}

#[test]
fn a_terminal_says_who_is_told() {
    let keygen = |env: &Env| {
        let call = env.relay("keygen").args(["--successor", "alice", "anna"]);
        call.at_terminal().ok().stderr.clone()
    };
    let said = keygen(&Env::with_peers());
    assert!(said.contains("nobody is told"), "{said}");
    let env = with_spools();
    let said = keygen(&env);
    let sent = "2 peers are told, once relay-route sends the notices that wait in the spool";
    assert!(said.contains(sent), "{said}");
    let parcel = waiting(&env, "alice", &id("bob")).remove(0);
    env.relay("put")
        .args(["-q", "-N", "bob"])
        .stdin(parcel)
        .ok();
    env.relay("route").args(["-q", "-N", "bob"]).ok();
    env.mkdir("inbox");
    let deliver = env.relay("deliver").args(["-N", "bob", "--dir", "inbox"]);
    let said = deliver.at_terminal().ok().stderr.clone();
    assert!(said.contains("took 1 successor notice"), "{said}");
}
