//! relay-revoke, and what every program does with a deauthorization.

use std::collections::BTreeSet;
use std::fs;

use jiff::{SignedDuration, Timestamp};

use relaynet::message::pdd::{Pdd, RevocationScope};
use relaynet::message::{Item, Parcel};
use relaynet::node::NodeType;
use relaynet::node::certificates;
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::pki::{Certificate, NodeId, PublicKey};
use relaynet::spool::Name;

use crate::testenv::{Call, Env, NOW, id, identity, self_issued};

/// When authorizations of the fixed nodes end, about.
const LATE: &str = "2026-08-20T00:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn node(name: &str) -> NodeId {
    id(name).parse().unwrap()
}

fn serials(list: &[&[u8]]) -> RevocationScope {
    RevocationScope::Serials(list.iter().map(|serial| serial.to_vec()).collect())
}

/// A PDD of the nodes' fixed keys, signed under a self-issued certificate.
fn pdd(signer: &str, issuer: &str, scope: &RevocationScope, end: &str) -> Vec<u8> {
    let own = self_issued(signer);
    Pdd::sign(node(issuer), scope, at(end), &identity(signer), &[&own]).unwrap()
}

/// The serial number of the certificate that a parcel is sent under.
fn serial_of(parcel: &[u8]) -> Vec<u8> {
    let parcel = Parcel::parse(parcel.to_vec()).unwrap().into_message();
    parcel.sender_certificate().serial().to_vec()
}

fn revoke<'a>(env: &'a Env, node: &str) -> Call<'a> {
    env.relay("revoke").args(["-N", node])
}

fn route<'a>(env: &'a Env, node: &str) -> Call<'a> {
    env.relay("route").args(["-N", node])
}

fn sync(env: &Env, node: &str) {
    env.relay("sync").args(["-q", "-N", node, "stick"]).ok();
}

/// The files of deauthorizations that a node stores, for all issuers.
fn stored(env: &Env, node: &str) -> Vec<String> {
    let dir = format!("{node}/revoked");
    if !env.path(&dir).exists() {
        return Vec::new();
    }
    let issuers = env.names(&dir).into_iter();
    issuers
        .flat_map(|issuer| env.names(&format!("{dir}/{issuer}")))
        .collect()
}

/// Lays a file where the cargo of a gateway would have brought it.
fn brought(env: &Env, to: &str, by: &str, octets: &[u8]) -> String {
    let dir = format!("{to}/spool/control/{}", id(by));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let item = Item::parse(octets.to_vec()).unwrap();
    let name = Name::of(&item, at(LATE)).to_string();
    env.write(format!("{dir}/{name}"), octets);
    name
}

/// relay-check finds nothing to say about what is revoked.
fn check(env: &Env, node: &str) {
    let found = env.relay("check").args(["-N", node]).run();
    let text = found.text();
    // But that the files of a test are made by another clock.
    let told = |line: &&str| line.contains("revoked") && !line.contains("check this clock");
    assert_eq!(text.lines().find(told), None, "{text}");
}

fn count(env: &Env, dir: &str) -> usize {
    let path = env.path(dir);
    if path.exists() {
        env.names(dir).len()
    } else {
        0
    }
}

#[test]
fn a_revoked_peer_is_refused_and_others_are_not() {
    let env = Env::with_peers();
    let (bob, carol) = (
        env.parcel("bob", "alice", b"by bob"),
        env.parcel("carol", "alice", b"by carol"),
    );
    env.write("bob.parcel", &bob);
    env.write("carol.parcel", &carol);
    env.relay("verify").args(["-N", "alice", "bob.parcel"]).ok();

    let serial = relaynet::asn1::Hex(&serial_of(&bob)).to_string();
    let planned = revoke(&env, "alice").args(["-n", "bob"]).ok().changes(&[]);
    let line = planned.text();
    assert!(
        line.starts_with(&format!("bob\t{serial}\t2026-08-2")),
        "{line}"
    );
    let done = revoke(&env, "alice").arg("bob").ok();
    assert_eq!(done.text(), line);
    assert!(
        done.stderr.contains("only this node knows it"),
        "{}",
        done.stderr
    );
    assert_eq!(stored(&env, "alice").len(), 1);

    let why = format!(
        "the authorization of {} is revoked by {} until 2026-08-2",
        id("bob"),
        id("alice")
    );
    for program in ["verify", "put", "open"] {
        let run = env.relay(program).args(["-N", "alice", "bob.parcel"]).run();
        assert_eq!(run.status, 77, "{program}: {}", run.stderr);
        assert!(run.stderr.contains(&why), "{program}: {}", run.stderr);
        let run = env
            .relay(program)
            .args(["-N", "alice", "carol.parcel"])
            .run();
        assert_eq!(run.status, 0, "{program}: {}", run.stderr);
    }
    // A pure filter knows no node, and so nothing that is revoked.
    let trust = env.keys("alice").public;
    env.relay("verify")
        .args(["--trust", &trust, "bob.parcel"])
        .ok();
    // By its serial number, and once more, it is the same.
    for node in ["alice", "bob"] {
        let shown = env.relay("peers").args(["-N", node]).ok();
        assert_eq!(
            shown.text().contains("\trevoked\t"),
            node == "alice",
            "{}",
            shown.text()
        );
    }
    for operand in ["bob", &serial] {
        let again = revoke(&env, "alice").arg(operand).ok();
        assert_eq!(again.text(), line);
        assert_eq!(stored(&env, "alice").len(), 1);
    }
    // A new authorization counts.
    let again = env
        .relay("authorize")
        .args(["-q", "-N", "alice", "bob"])
        .ok();
    let import = env.relay("import").args(["-q", "-N", "bob", "--replace"]);
    import.stdin(again.stdout).ok();
    env.write("new.parcel", env.parcel("bob", "alice", b"again"));
    env.relay("open")
        .args(["-N", "alice", "new.parcel"])
        .ok()
        .stdout("again");
    check(&env, "alice");
}

/// What is revoked is not renewed, and what was given anew is.
#[test]
fn relay_rotate_renews_nothing_that_is_revoked() {
    let env = Env::with_peers();
    let later = "2026-06-15T00:00:00Z";
    let purge = env
        .relay("purge")
        .args(["-q", "-N", "alice", "--trust-clock"]);
    purge.at(later).ok();
    let due = || {
        let ran = env.relay("rotate").args(["-N", "alice", "-n"]).at(later);
        let ran = ran.ok();
        let is_of = |name: &str| ran.text().lines().any(|line| line.contains(&id(name)));
        (is_of("bob"), is_of("carol"))
    };
    assert_eq!(due(), (true, true));
    revoke(&env, "alice").at(later).arg("bob").ok();
    assert_eq!(due(), (false, true));
    let before = env.names(&format!("alice/peers/{}/given", id("bob")));
    env.relay("rotate")
        .args(["-q", "-N", "alice"])
        .at(later)
        .run();
    let after = env.names(&format!("alice/peers/{}/given", id("bob")));
    assert_eq!(before, after);
}

/// What the peer revoked counts as nothing for each program that would send under it.
#[test]
fn nothing_is_sealed_under_what_a_peer_withdrew() {
    let env = Env::with_peers();
    let give = |name: &str| {
        let key = env.relay("export").args(["-N", "alice"]).ok().stdout;
        let authorize = ["-q", "-N", "bob", "-o", name];
        env.relay("authorize").args(authorize).stdin(key).ok();
    };
    revoke(&env, "bob").args(["-q", "-o", "pdd", "alice"]).ok();
    let import = |name: &str| {
        let args = ["-q", "-N", "alice", "--replace", name];
        env.relay("import").args(args).ok();
    };
    let (to_bob, to_all) = (["-N", "alice", "-t", "bob"], ["-N", "alice", "-t", "@all"]);
    let shown = || {
        env.relay("peers")
            .args(["-N", "alice", "bob"])
            .ok()
            .text()
            .to_owned()
    };
    let column = |at: usize| shown().split('\t').nth(at).unwrap().to_owned();
    env.relay("seal").args(to_bob).stdin("before").ok();
    assert!(column(4).starts_with("2026-08-"), "{}", shown());

    import("pdd");
    let line = "the authorization from bob is revoked until 2026-08-";
    let refused = env
        .relay("seal")
        .args(to_bob)
        .stdin("after")
        .fails(77, line);
    assert!(
        refused.stderr.contains("hint: ask them"),
        "{}",
        refused.stderr
    );
    env.write("file", "after");
    let file = ["-N", "alice", "-t", "bob", "file"];
    env.relay("send").args(file).ends(77).says(&[line]);
    // Of all peers, only those are meant that can be written to.
    let lines = env.relay("send").args(to_all).arg("file").ok();
    let lines = lines.text();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert_eq!(column(4), "revoked");
    let json = env
        .relay("peers")
        .args(["-N", "alice", "--json", "bob"])
        .ok();
    assert!(
        json.text().contains("\"revoked_by_peer\":true"),
        "{}",
        json.text()
    );
    let found = env.relay("check").args(["-N", "alice"]).run();
    let found = found.text();
    assert!(
        found.contains("the authorization from bob is revoked"),
        "{found}"
    );

    // A second one was not withdrawn, whatever ends first.
    give("second");
    import("second");
    env.relay("seal").args(to_bob).stdin("again").ok();
    assert!(column(4).starts_with("2026-08-"), "{}", shown());
}

#[test]
fn what_waits_at_home_since_before_is_delivered_and_what_is_not_routed_is_set_aside() {
    let env = Env::with_peers();
    let put = |parcel: &[u8]| env.relay("put").args(["-N", "alice"]).stdin(parcel).ok();
    put(&env.parcel("bob", "alice", b"before"));
    route(&env, "alice").ok();
    put(&env.parcel("bob", "alice", b"too late"));
    put(&env.parcel("carol", "alice", b"by carol"));
    let home = format!("alice/spool/home/{}", id("alice"));
    // Times of files have a granularity.
    std::thread::sleep(std::time::Duration::from_millis(50));
    revoke(&env, "alice").arg("bob").ok();
    let routed = route(&env, "alice").ok();
    assert!(
        routed.stderr.contains("set aside in failed: "),
        "{}",
        routed.stderr
    );
    assert!(
        routed.stderr.contains("is revoked by "),
        "{}",
        routed.stderr
    );
    assert_eq!(count(&env, &home), 2);
    env.mkdir("got");
    env.relay("deliver")
        .args(["-N", "alice", "--dir", "got"])
        .ok();
    let got = |peer: &str| -> Vec<String> {
        let names = env.names(&format!("got/{peer}")).into_iter();
        names
            .map(|name| env.text(format!("got/{peer}/{name}")))
            .collect()
    };
    assert_eq!(got("bob"), ["before"]);
    assert_eq!(got("carol"), ["by carol"]);
    // What reached home afterwards, as into that of another node, is not delivered.
    let failed: Vec<String> = env.names("alice/spool/failed");
    let name = failed.iter().find(|name| !name.contains(".why")).unwrap();
    let octets = env.read(format!("alice/spool/failed/{name}"));
    env.write(format!("{home}/{name}"), octets);
    env.chmod(format!("{home}/{name}"), 0o600);
    let run = env
        .relay("deliver")
        .args(["-N", "alice", "--dir", "got"])
        .run();
    assert!(run.stderr.contains("is revoked by "), "{}", run.stderr);
    assert_eq!(got("bob"), ["before"]);
    assert_eq!(count(&env, &home), 0);
}

/// A name that nobody has keeps no other peer from being revoked.
#[test]
fn one_unknown_name_among_several_is_67_and_the_others_are_revoked() {
    let env = Env::with_peers();
    for dry in [&["-n"][..], &[]] {
        let operands = ["mallory", "bob", "ab12"];
        let run = revoke(&env, "alice").args(dry).args(operands).ends(67);
        assert!(run.text().starts_with("bob\t"), "{}", run.text());
        assert_eq!(run.text().lines().count(), 1);
        let said = run.diagnostics();
        let said: Vec<_> = said
            .iter()
            .filter(|it| !it.contains("only this node"))
            .collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].contains("mallory") && said[1].contains("ab12"),
            "{said:?}"
        );
    }
    env.write("bob.parcel", env.parcel("bob", "alice", b"by bob"));
    env.relay("verify")
        .args(["-N", "alice", "bob.parcel"])
        .ends(77);
    // Where nothing is left, each one is named.
    let run = revoke(&env, "alice").args(["mallory", "ab12"]).ends(67);
    assert_eq!(run.diagnostics().len(), 2, "{}", run.stderr);
}

/// What is printed is the date until which programs refuse it.
#[test]
fn a_shorter_revocation_after_a_longer_one_prints_the_longer() {
    let env = Env::with_peers();
    let long = revoke(&env, "alice").arg("bob").ok();
    for dry in [&["-n"][..], &[]] {
        let short = revoke(&env, "alice")
            .args(dry)
            .args(["--valid", "1d", "bob"])
            .ok();
        assert_eq!(short.text(), long.text());
    }
    let json = revoke(&env, "alice")
        .args(["--json", "--valid", "1d", "bob"])
        .ok();
    let until = long.text().trim().split('\t').nth(2).unwrap();
    assert_eq!(json.json()[0]["until"], until);
    let all = revoke(&env, "alice")
        .args(["-n", "--valid", "1d", "--all"])
        .ok();
    let carol = all.text().lines().find(|line| line.starts_with("carol"));
    assert!(
        carol.unwrap().ends_with("\t2026-03-02T12:00:00Z"),
        "{}",
        all.text()
    );
}

/// What a gateway revokes for an endpoint of its own, that endpoint knows at once.
#[test]
fn an_endpoint_here_is_told_what_its_gateway_revokes() {
    let env = Env::with_gateways();
    env.relay("keygen")
        .args([
            "-q",
            "-N",
            "gateway",
            "--set",
            "clock=test",
            "--endpoint",
            "anna",
        ])
        .ok();
    let anna = "gateway/endpoints/anna";
    let authorize = || {
        let key = env.relay("export").args(["-N", "bob"]).ok().stdout;
        env.relay("authorize").args(["-q", "-N", anna]).stdin(key)
    };
    authorize().ok();
    revoke(&env, "gateway")
        .args(["--issuer", "anna", "--all"])
        .ok();
    assert_eq!(stored(&env, anna), stored(&env, "gateway"));
    let shown = env.relay("peers").args(["-N", anna, "--json"]).ok();
    let bob = shown.json().into_iter().find(|it| it["id"] == id("bob"));
    assert_eq!(bob.unwrap()["revoked"], true);
    authorize().fails(77, "all authorizations of this node are revoked until");
    // A run that was killed in between is repeated.
    fs::remove_dir_all(env.path(format!("{anna}/revoked"))).unwrap();
    revoke(&env, "gateway")
        .args(["--issuer", "anna", "--all"])
        .ok();
    assert_eq!(stored(&env, anna), stored(&env, "gateway"));
}

#[test]
fn what_cannot_be_revoked_is_67_or_64() {
    let env = Env::with_peers();
    for (operand, why) in [
        ("mallory", "no peer is known as mallory"),
        ("ab12", "neither a peer nor the serial number"),
    ] {
        let run = revoke(&env, "alice").arg(operand).ends(67);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    // Bob gave nothing to carol.
    let run = revoke(&env, "bob").arg("alice").ok();
    assert_eq!(run.text().lines().count(), 1);
    env.introduce("carol", "bob", &[]);
    let late = revoke(&env, "bob")
        .at("2027-06-01T00:00:00Z")
        .arg("carol")
        .run();
    assert_eq!(late.status, 67, "{}", late.stderr);
    assert!(
        late.stderr
            .contains("nothing that was given to carol is valid"),
        "{}",
        late.stderr
    );
    for arguments in [&[][..], &["--all", "bob"], &["--valid", "181d", "bob"]] {
        revoke(&env, "alice").args(arguments).ends(64);
    }
    revoke(&env, "alice")
        .args(["--issuer", "bob", "--all"])
        .ends(64);
    assert!(stored(&env, "alice").is_empty());
}

/// Alice, whose gateway is registered with the hub, revokes what bob has; both gateways refuse bob from then on.
#[test]
fn gateways_pass_it_on_over_a_stick_and_the_second_one_refuses_the_parcel() {
    let env = Env::with_gateways();
    env.relay("sync")
        .args(["--init", "-N", "hub", "stick"])
        .ok();
    let parcel = env.parcel("bob", "alice", b"x");
    env.write("bob.parcel", &parcel);
    env.relay("verify").args(["-N", "hub", "bob.parcel"]).ok();
    revoke(&env, "alice").args(["-o", "alice.pdd", "bob"]).ok();
    let shown = env.relay("inspect").args(["--json", "alice.pdd"]).ok();
    let shown = shown.text();
    assert!(shown.contains("\"kind\":\"pdd\""), "{shown}");
    assert!(
        shown.contains(&format!("\"issuer\":\"{}\"", id("alice"))),
        "{shown}"
    );
    for node in ["alice", "gateway"] {
        env.relay("verify").args(["-N", node, "alice.pdd"]).ok();
    }
    let imported = env
        .relay("import")
        .args(["-N", "gateway", "alice.pdd"])
        .ok();
    assert_eq!(imported.text(), format!("{}\n", id("alice")));
    route(&env, "gateway").ok().quiet();
    let out = format!("gateway/spool/out/{}", id("hub"));
    assert_eq!(count(&env, &out), 1);
    assert_eq!(count(&env, "gateway/spool/in"), 0);
    sync(&env, "gateway");
    assert_eq!(count(&env, &out), 0, "it needs no acknowledgement");
    sync(&env, "hub");
    route(&env, "hub").ok().quiet();
    assert_eq!(stored(&env, "hub").len(), 1);
    for node in ["gateway", "hub"] {
        let run = env.relay("put").args(["-N", node, "bob.parcel"]).run();
        assert_eq!(run.status, 77, "{node}: {}", run.stderr);
        assert!(run.stderr.contains("is revoked by "), "{}", run.stderr);
        check(&env, node);
    }
    // It comes again: useless, and goes nowhere.
    let octets = env
        .relay("revoke")
        .args(["-N", "alice", "--der", "-o", "-", "bob"])
        .ok()
        .stdout;
    brought(&env, "hub", "gateway", &octets);
    let ran = route(&env, "hub").arg("-v").ok();
    assert!(
        ran.stderr.contains("this is revoked here already"),
        "{}",
        ran.stderr
    );
    assert_eq!(count(&env, &format!("hub/spool/out/{}", id("gateway"))), 0);
    // After its end.
    brought(&env, "hub", "gateway", &octets);
    let late = route(&env, "hub").at("2026-10-01T00:00:00Z").run();
    assert_eq!(
        late.status, 75,
        "a clock that relay-purge would not believe: {}",
        late.stderr
    );
    env.relay("purge")
        .at("2026-10-01T00:00:00Z")
        .args(["-q", "-N", "hub", "--trust-clock"])
        .ok();
    assert!(stored(&env, "hub").is_empty());
    assert_eq!(env.names("hub/revoked").len(), 0);
    brought(&env, "hub", "gateway", &octets);
    let late = route(&env, "hub").at("2026-10-01T00:00:00Z").arg("-v").ok();
    assert!(late.stderr.contains("it has ended"), "{}", late.stderr);
    assert!(stored(&env, "hub").is_empty());
}

/// An endpoint in the directory of a gateway needs nothing but relay-revoke: the gateway's relay-route takes it from
/// the spool.
#[test]
fn what_an_endpoint_here_revokes_is_in_the_spool_of_its_gateway() {
    let env = Env::with_gateways();
    env.relay("keygen")
        .args([
            "-q",
            "-N",
            "gateway",
            "--endpoint",
            "desk",
            "--set",
            "clock=test",
        ])
        .ok();
    let desk = "gateway/endpoints/desk";
    let given = env
        .relay("authorize")
        .args(["-q", "-N", desk, "bob/identity.pub"])
        .ok();
    let import = env
        .relay("import")
        .args(["-q", "-N", "bob", "--name", "desk"]);
    import.stdin(given.stdout).ok();
    env.write("bob.parcel", env.parcel("bob", "desk", b"x"));
    env.relay("verify").args(["-N", "hub", "bob.parcel"]).ok();
    let bob = id("bob");
    revoke(&env, desk).arg(&bob[..16]).ok().says(&[]);
    assert_eq!(stored(&env, desk).len(), 1);
    assert_eq!(count(&env, "gateway/spool/in"), 1);
    check(&env, "gateway");
    let put = env.relay("put").args(["-N", "gateway", "bob.parcel"]);
    put.ok(); // not yet
    let routed = route(&env, "gateway").ok();
    assert!(
        routed.stderr.contains(" is revoked by "),
        "{}",
        routed.stderr
    );
    assert_eq!(count(&env, "gateway/spool/in"), 0);
    assert_eq!(stored(&env, "gateway").len(), 1);
    assert_eq!(count(&env, &format!("gateway/spool/out/{}", id("hub"))), 1);
    check(&env, "gateway");
    for queue in ["out", "failed"] {
        let list = env
            .relay("list")
            .args(["-N", "gateway", "--long", queue])
            .ok();
        assert_eq!(list.text().lines().count(), 1, "{}", list.text());
    }
    let refused = env.relay("put").args(["-N", "gateway", "bob.parcel"]);
    refused.ends(77);
}

/// What is revoked is refused at the door: the other parcels of its cargo are taken, and its sender gets no
/// acknowledgement for it.
#[test]
fn cargo_is_taken_without_the_parcel_that_is_revoked() {
    let env = Env::with_gateways();
    env.relay("sync")
        .args(["--init", "-N", "hub", "stick"])
        .ok();
    let (bad, good) = (
        env.parcel("bob", "alice", b"by bob"),
        env.parcel("alice", "bob", b"by alice"),
    );
    env.write("gateway/routes", "* peer:hub\n");
    env.chmod("gateway/routes", 0o600);
    env.write("hub/routes", "* dir:/nonexistent\n");
    env.chmod("hub/routes", 0o600);
    for parcel in [&bad, &good] {
        env.relay("put")
            .args(["-N", "gateway"])
            .stdin(parcel.clone())
            .ok();
    }
    route(&env, "gateway").ok();
    sync(&env, "gateway");
    env.write(
        "alice.pdd",
        pdd("alice", "alice", &serials(&[&serial_of(&bad)]), LATE),
    );
    let unknown = env
        .relay("import")
        .args(["-N", "hub", "alice.pdd"])
        .ends(77);
    assert!(
        unknown.stderr.contains("neither known here nor certified"),
        "{}",
        unknown.stderr
    );
    // In the form that relay-revoke gives it: with the certificates that lead to the gateway.
    revoke(&env, "alice")
        .args(["-f", "-o", "alice.pdd", "bob"])
        .ok();
    env.relay("import")
        .args(["-q", "-N", "hub", "alice.pdd"])
        .ok();
    let ran = env.relay("sync").args(["-q", "-N", "hub", "stick"]).run();
    assert_eq!(ran.status, 77, "{}", ran.stderr);
    assert_eq!(
        ran.stderr.matches(" is revoked by ").count(),
        1,
        "{}",
        ran.stderr
    );
    let of_alice = |name: &String| name.starts_with(&id("bob")) && name.ends_with(".parcel");
    let taken = env.names("hub/spool/in");
    assert_eq!(
        taken.iter().filter(|name| of_alice(name)).count(),
        1,
        "{taken:?}"
    );
    let out = format!("gateway/spool/out/{}", id("hub"));
    assert_eq!(count(&env, &out), 2);
    sync(&env, "gateway");
    route(&env, "gateway").ok();
    let waits = env.names(&out);
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert!(waits[0].starts_with(&id("alice")), "{waits:?}");
}

/// A file that cannot be read stops what it may concern, and nothing else; relay-check names it.
#[test]
fn a_damaged_file_stops_only_messages_for_its_issuer() {
    let env = Env::with_peers();
    env.write("bob.parcel", env.parcel("bob", "alice", b"x"));
    env.write("alice.parcel", env.parcel("alice", "bob", b"y"));
    revoke(&env, "alice").arg("bob").ok();
    let file = format!("alice/revoked/{}/{}", id("alice"), stored(&env, "alice")[0]);
    let octets = env.read(&file);
    for (damage, why) in [
        (octets[..300].to_vec(), "malformed"),
        (
            pdd("bob", "bob", &RevocationScope::All, LATE),
            "another issuer",
        ),
    ] {
        env.write(&file, damage);
        let run = env.relay("check").args(["-N", "alice"]).run();
        assert_eq!(run.status, 1, "{why}");
        assert!(run.text().contains("revoked/"), "{why}: {}", run.text());
        env.relay("verify")
            .args(["-N", "alice", "alice.parcel"])
            .ok();
    }
    env.write(&file, &octets[..300]);
    let run = env
        .relay("open")
        .args(["-N", "alice", "bob.parcel"])
        .ends(78);
    assert!(run.stderr.contains("revoked/"), "{}", run.stderr);
    env.write("alice/revoked/readme", "");
    let run = env.relay("check").args(["-N", "alice"]).run();
    assert!(
        run.text().contains("alice/revoked/readme"),
        "{}",
        run.text()
    );
}

/// A gateway that takes no more cargo from this one gets nothing that would wait for it.
#[test]
fn nothing_waits_for_a_gateway_whose_certificate_has_ended() {
    let env = Env::with_gateways();
    env.introduce("mallory", "gateway", &[]);
    env.introduce("gateway", "mallory", &["--valid", "3d"]);
    let later = "2026-03-10T12:00:00Z";
    let purge = env
        .relay("purge")
        .args(["-q", "-N", "gateway", "--trust-clock"]);
    purge.at(later).ok();
    brought(
        &env,
        "gateway",
        "alice",
        &pdd("alice", "alice", &serials(&[&[7]]), LATE),
    );
    route(&env, "gateway").at(later).ok().quiet();
    assert_eq!(count(&env, &format!("gateway/spool/out/{}", id("hub"))), 1);
    assert_eq!(
        count(&env, &format!("gateway/spool/out/{}", id("mallory"))),
        0
    );
}

/// It goes to each gateway once, and never back to where it came from.
#[test]
fn it_goes_on_to_peering_gateways_and_never_back() {
    let env = Env::with_gateways();
    env.introduce("gateway", "mallory", &[]);
    env.introduce("mallory", "gateway", &[]);
    let octets = pdd("alice", "alice", &serials(&[&[7]]), LATE);
    brought(&env, "gateway", "hub", &octets);
    route(&env, "gateway").ok().quiet();
    assert_eq!(count(&env, &format!("gateway/spool/out/{}", id("hub"))), 0);
    assert_eq!(
        count(&env, &format!("gateway/spool/out/{}", id("mallory"))),
        1
    );
    route(&env, "gateway").ok().quiet().changes(&[]);
}

/// A certificate of an endpoint that a gateway issued.
fn certified(gateway: &str, endpoint: &str) -> (Certificate, Certificate) {
    let key = identity(gateway);
    let own = certificates::issue_own(&key, NodeType::Gateway, at(NOW)).unwrap();
    let validity = (at("2026-02-20T00:00:00Z"), at("2026-08-01T00:00:00Z"));
    let role = CertificateRole::Endpoint;
    let subject = identity(endpoint);
    let leaf = issuance::issue(&key, Some(&own), subject.public(), role, validity).unwrap();
    (own, leaf)
}

fn by_gateway(gateway: &str, endpoint: &str, scope: &RevocationScope) -> Vec<u8> {
    let (own, leaf) = certified(gateway, endpoint);
    let key = identity(gateway);
    Pdd::sign(
        node(endpoint),
        scope,
        at("2026-07-01T00:00:00Z"),
        &key,
        &[&own, &leaf],
    )
    .unwrap()
}

/// The gateway that certified the endpoint may revoke; another one that claims the same does not count, since no path of a
/// parcel shows it.
#[test]
fn the_gateway_of_the_issuer_may_revoke_and_another_gateway_may_not() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    env.write("bob.parcel", &parcel);
    // Mallory certifies alice, too: the hub keeps it, as mallory is registered there, and it changes nothing.
    brought(
        &env,
        "hub",
        "mallory",
        &by_gateway("mallory", "alice", &RevocationScope::All),
    );
    route(&env, "hub").ok().quiet();
    assert_eq!(stored(&env, "hub").len(), 1);
    env.relay("verify").args(["-N", "hub", "bob.parcel"]).ok();

    let serial = relaynet::asn1::Hex(&serial_of(&parcel)).to_string();
    let done = revoke(&env, "gateway")
        .args(["--issuer", "alice", &serial])
        .ok();
    assert!(
        done.text().starts_with(&format!("-\t{serial}\t2026-08-2")),
        "{}",
        done.text()
    );
    route(&env, "gateway").ok().quiet();
    let run = env
        .relay("verify")
        .args(["-N", "gateway", "bob.parcel"])
        .run();
    assert_eq!(run.status, 77, "{}", run.stderr);
    env.relay("sync")
        .args(["--init", "-N", "hub", "stick"])
        .ok();
    sync(&env, "gateway");
    sync(&env, "hub");
    route(&env, "hub").ok().quiet();
    assert_eq!(stored(&env, "hub").len(), 2);
    let run = env.relay("put").args(["-N", "hub", "bob.parcel"]).run();
    assert_eq!(run.status, 77, "{}", run.stderr);
    assert!(
        run.stderr
            .contains(&format!("is revoked by {}", id("gateway"))),
        "{}",
        run.stderr
    );
    // The endpoint itself knows its gateway.
    let octets = env
        .relay("revoke")
        .args(["-N", "gateway", "--der", "-o", "-"]);
    let octets = octets.args(["--issuer", "alice", &serial]).ok().stdout;
    env.write("gateway.pdd", octets);
    env.relay("import")
        .args(["-N", "alice", "gateway.pdd"])
        .ok();
    let run = env.relay("open").args(["-N", "alice", "bob.parcel"]).run();
    assert_eq!(run.status, 77, "{}", run.stderr);
    // Not a gateway for a node that it did not certify.
    let run = revoke(&env, "gateway")
        .args(["--issuer", "hub", "--all"])
        .ends(77);
    assert!(
        run.stderr.contains("hub is not certified by this node"),
        "{}",
        run.stderr
    );
}

#[test]
fn who_may_not_revoke_is_set_aside_and_strangers_are_useless() {
    let env = Env::with_gateways();
    // Signed by neither the issuer nor a gateway of it.
    brought(
        &env,
        "gateway",
        "hub",
        &pdd("bob", "alice", &serials(&[&[7]]), LATE),
    );
    let ran = route(&env, "gateway").ok();
    assert!(
        ran.stderr.contains("set aside in failed: "),
        "{}",
        ran.stderr
    );
    let wrong = format!("signed by {}, which may not revoke", id("bob"));
    let why = env.names("gateway/spool/failed");
    let why = why.iter().find(|name| name.contains(".why")).unwrap();
    assert!(
        env.text(format!("gateway/spool/failed/{why}"))
            .contains(&wrong)
    );
    assert!(stored(&env, "gateway").is_empty());
    env.write("bad.pdd", pdd("bob", "alice", &serials(&[&[7]]), LATE));
    for program in ["verify", "import"] {
        let run = env.relay(program).args(["-N", "gateway", "bad.pdd"]).run();
        assert_eq!(run.status, 77, "{program}: {}", run.stderr);
        assert!(run.stderr.contains(&wrong), "{program}: {}", run.stderr);
    }
    // Bob is nobody to the gateway.
    let stranger = pdd("bob", "bob", &serials(&[&[7]]), LATE);
    brought(&env, "gateway", "hub", &stranger);
    let ran = route(&env, "gateway").arg("-v").ok();
    assert!(
        ran.stderr.contains("nothing here is of its signer"),
        "{}",
        ran.stderr
    );
    assert!(stored(&env, "gateway").is_empty());
    env.write("stranger.pdd", &stranger);
    let run = env
        .relay("import")
        .args(["-N", "gateway", "stranger.pdd"])
        .ends(77);
    assert!(
        run.stderr
            .contains("which is neither known here nor certified"),
        "{}",
        run.stderr
    );
    // To alice he is a peer.
    let imported = env
        .relay("import")
        .args(["-N", "alice", "stranger.pdd"])
        .ok();
    assert_eq!(imported.text(), format!("{}\n", id("bob")));
    let again = env
        .relay("import")
        .args(["-N", "alice", "stranger.pdd"])
        .ok();
    assert!(
        again.stderr.contains("this is revoked here already"),
        "{}",
        again.stderr
    );
}

#[test]
fn one_that_is_early_or_lasts_too_long_or_is_no_message() {
    let env = Env::with_gateways();
    // Its end is cut to 180 days from now.
    brought(
        &env,
        "gateway",
        "hub",
        &pdd("alice", "alice", &serials(&[&[7]]), "2031-01-01T00:00:00Z"),
    );
    route(&env, "gateway").ok().quiet();
    let names = stored(&env, "gateway");
    assert!(names[0].starts_with("20260828T120000Z."), "{names:?}");
    // It lasts as long as the others, so the same again is known.
    brought(
        &env,
        "gateway",
        "hub",
        &pdd("alice", "alice", &serials(&[&[7]]), "2030-01-01T00:00:00Z"),
    );
    let ran = route(&env, "gateway").arg("-v").ok();
    assert!(
        ran.stderr.contains("this is revoked here already"),
        "{}",
        ran.stderr
    );
    // Signed under a certificate of the future: it waits for a day, and not for a month.
    let key = identity("alice");
    let under = |start: &str| {
        let start = at(start);
        let validity = (start, start + SignedDuration::from_hours(24 * 90));
        let role = CertificateRole::Endpoint;
        let own = issuance::issue(&key, None, key.public(), role, validity).unwrap();
        Pdd::sign(key.id(), &serials(&[&[8]]), at(LATE), &key, &[&own]).unwrap()
    };
    let early = under("2026-03-02T00:00:00Z");
    let name = brought(&env, "gateway", "hub", &early);
    let ran = route(&env, "gateway").run();
    assert_eq!(ran.status, 81, "{}", ran.stderr);
    assert!(
        env.path(format!("gateway/spool/control/{}/{name}", id("hub")))
            .exists()
    );
    route(&env, "gateway")
        .at("2026-03-02T00:00:00Z")
        .ok()
        .quiet();
    assert_eq!(stored(&env, "gateway").len(), 2);
    brought(&env, "gateway", "hub", &under("2026-04-02T00:00:00Z"));
    let ran = route(&env, "gateway").arg("-v").ok();
    assert!(
        ran.stderr.contains("it begins more than a day from now"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        count(&env, &format!("gateway/spool/control/{}", id("hub"))),
        0
    );
    // Cut short, changed, and over the limit of serial numbers.
    let good = pdd("alice", "alice", &serials(&[&[9]]), LATE);
    for (file, octets, why) in [
        ("short", good[..good.len() - 9].to_vec(), "cut short"),
        ("junk", [b"Awala\x12\0".as_slice(), b"junk"].concat(), ""),
        ("many", too_many(), "257 serial numbers, over 256"),
    ] {
        env.write(file, &octets);
        for program in ["import", "inspect"] {
            let node: &[&str] = if program == "import" {
                &["-N", "gateway"]
            } else {
                &[]
            };
            let run = env.relay(program).args(node).arg(file).run();
            assert_eq!(run.status, 65, "{program} {file}: {}", run.stderr);
            assert!(run.stderr.contains(why), "{program} {file}: {}", run.stderr);
        }
    }
    assert_eq!(stored(&env, "gateway").len(), 2);
}

/// A PDD with 257 serial numbers, which this library does not sign.
fn too_many() -> Vec<u8> {
    use relaynet::asn1::{Buffer, write};
    use relaynet::cms::signed_data;
    use relaynet::crypto::hash;
    let numbers: Vec<Vec<u8>> = (0..257_u16)
        .map(|nth| write::tlv(2, &(nth + 256).to_be_bytes()))
        .collect();
    let content = write::constructed(
        0x30,
        &[
            &write::tlv(0x80, id("alice").as_bytes()),
            &write::tlv(0xa1, &numbers.concat()),
            &write::tlv(0x82, b"20260820000000"),
        ],
    );
    let mut buffer = Buffer::with_capacity(content.len());
    buffer.append(&content);
    let own = self_issued("alice");
    signed_data::sign(
        &mut buffer,
        &hash::sha256(&content),
        &identity("alice"),
        &[&own],
    )
    .unwrap();
    buffer.prepend(b"Awala\x12\0");
    buffer.into_octets()
}

#[test]
fn all_ends_what_the_node_may_give() {
    let env = Env::with_peers();
    env.write("bob.parcel", env.parcel("bob", "alice", b"x"));
    let done = revoke(&env, "alice").arg("--all").ok();
    assert_eq!(done.text().lines().count(), 2, "{}", done.text());
    let run = env.relay("open").args(["-N", "alice", "bob.parcel"]).run();
    assert_eq!(run.status, 77, "{}", run.stderr);
    let run = env.relay("authorize").args(["-N", "alice", "bob"]).run();
    assert_eq!(run.status, 77, "{}", run.stderr);
    assert!(
        run.stderr
            .contains("all authorizations of this node are revoked until"),
        "{}",
        run.stderr
    );
    // It covers what comes after it.
    let more = pdd("alice", "alice", &serials(&[&[7]]), "2026-04-01T00:00:00Z");
    env.write("more.pdd", more);
    env.relay("import").args(["-N", "alice", "more.pdd"]).ok();
    assert_eq!(stored(&env, "alice").len(), 1);
}

/// A public key of which nobody has the private one.
fn made_up_key(nth: usize) -> PublicKey {
    let mut spki = identity("alice").public().spki().to_vec();
    // In the middle of the modulus.
    let middle = spki.len() / 2;
    spki[middle..middle + 8].copy_from_slice(&nth.to_be_bytes());
    PublicKey::parse(&spki).unwrap()
}

/// Of one signer at most 256 serial numbers and 64 KiB are kept, and of an issuer that is unknown at most 256 for each
/// gateway that vouches; the rest is useless.
#[test]
fn ten_thousand_from_one_neighbour_stay_within_bounds() {
    let env = Env::with_gateways();
    let dir = format!("hub/spool/control/{}", id("gateway"));
    fs::create_dir_all(env.path(&dir)).unwrap();
    let gateway = identity("gateway");
    let own = certificates::issue_own(&gateway, NodeType::Gateway, at(NOW)).unwrap();
    let validity = (at("2026-02-20T00:00:00Z"), at("2026-08-01T00:00:00Z"));
    let lay = |octets: &[u8]| {
        let item = Item::parse(octets.to_vec()).unwrap();
        let name = Name::of(&item, at(LATE)).to_string();
        env.write(format!("{dir}/{name}"), octets);
    };
    // The gateway certifies endpoints that do not exist: their ids need no key of theirs.
    let number: usize = std::env::var("RELAY_TEST_PDDS").map_or(600, |it| it.parse().unwrap());
    let issuers: Vec<NodeId> = (0..number.min(300))
        .map(|nth| {
            let key = made_up_key(nth);
            let role = CertificateRole::Endpoint;
            let leaf = issuance::issue(&gateway, Some(&own), &key, role, validity).unwrap();
            let octets = Pdd::sign(
                key.id(),
                &RevocationScope::All,
                at(LATE),
                &gateway,
                &[&own, &leaf],
            );
            lay(&octets.unwrap());
            key.id()
        })
        .collect();
    // And one endpoint revokes one after the other.
    let (own, leaf) = certified("gateway", "alice");
    for nth in 0..number - issuers.len() {
        let serial = u16::try_from(nth + 256).unwrap().to_be_bytes();
        let octets = Pdd::sign(
            node("alice"),
            &serials(&[&serial]),
            at(LATE),
            &identity("alice"),
            &[&leaf, &own],
        );
        lay(&octets.unwrap());
    }
    let started = std::time::Instant::now();
    route(&env, "hub").ok().quiet();
    eprintln!("{number} deauthorizations: {:?}", started.elapsed());
    assert_eq!(count(&env, &dir), 0);
    let kept: BTreeSet<String> = env.names("hub/revoked").into_iter().collect();
    assert_eq!(kept.len(), 256);
    let of_alice = format!("hub/revoked/{}", id("alice"));
    let octets: usize = env
        .names(&of_alice)
        .iter()
        .map(|name| env.read(format!("{of_alice}/{name}")).len())
        .sum();
    assert!((32 * 1024..=64 * 1024).contains(&octets), "{octets}");
    assert_eq!(count(&env, "hub/spool/failed"), 0);
}
