//! relay-route: control messages that cannot be applied, and names that are in use, do not block the rest.

use std::fs;

use relaynet::message::certification_path::PathForm;
use relaynet::message::{CertificationPath, Item, Pca, Rotation};
use relaynet::node::Directory;
use relaynet::pki::issuance::{self, CertificateRole};
use relaynet::pki::{Certificate, NodeId};
use relaynet::ramf::Kind;
use relaynet::spool::sent::SentEvent;
use relaynet::spool::wire::{MessageStore as _, SpoolMessages, Taken};
use relaynet::spool::{Name, QueueId, Spool};

use crate::testenv::{Call, Env, HUB, forged, id, identity, is_root};

/// When what the gateway's cargo brought ends, by the names of the files.
const ENDS: &str = "2026-04-01T00:00:00Z";

fn node(name: &str) -> NodeId {
    id(name).parse().unwrap()
}

fn route(env: &Env) -> Call<'_> {
    env.relay("route").args(["-N", "gateway"])
}

/// The messages in a queue of gateway's spool, without what tells why they were set aside.
fn queue(env: &Env, queue: &str) -> Vec<String> {
    let dir = format!("gateway/spool/{queue}");
    if !env.path(&dir).exists() {
        return Vec::new();
    }
    let mut names = env.names(&dir);
    names.retain(|name| !name.contains(".why"));
    names
}

fn control(by: &str) -> String {
    format!("control/{}", id(by))
}

/// A certificate of `subject` as a gateway, valid for these days, by `issuer` and under its name.
fn certificate(
    issuer: &str,
    subject: &str,
    (from, until): (&str, &str),
) -> (Certificate, Certificate) {
    let at = |day: &str| format!("{day}T00:00:00Z").parse().unwrap();
    let (key, subject) = (identity(issuer), identity(subject));
    let long = (at("2026-02-01"), at("2026-12-31"));
    let own = issuance::issue(
        &key,
        None,
        key.public(),
        CertificateRole::SelfIssuedGateway,
        long,
    )
    .unwrap();
    let validity = (at(from), at(until));
    let leaf = issuance::issue(
        &key,
        Some(&own),
        subject.public(),
        CertificateRole::Gateway,
        validity,
    );
    (leaf.unwrap(), own)
}

pub(super) fn rotation(issuer: &str, subject: &str, days: (&str, &str)) -> Vec<u8> {
    let (leaf, own) = certificate(issuer, subject, days);
    let path = CertificationPath {
        leaf,
        authorities: vec![own],
    };
    let form = PathForm::OctetStrings;
    Rotation { path, form }.to_octets()
}

/// Lays a file where the cargo of a gateway would have brought it; gives its name.
fn lay(env: &Env, by: &str, name: &Name, octets: &[u8]) -> String {
    let dir = env.path(format!("gateway/spool/{}", control(by)));
    fs::create_dir_all(&dir).unwrap();
    let name = name.to_string();
    fs::write(dir.join(&name), octets).unwrap();
    name
}

/// The same, under the name that it should have.
fn brought(env: &Env, by: &str, octets: &[u8]) -> String {
    lay(env, by, &name_of(octets), octets)
}

fn name_of(octets: &[u8]) -> Name {
    let item = Item::parse(octets.to_vec()).unwrap();
    Name::of(&item, ENDS.parse().unwrap())
}

/// The name of a file that is to pass for a message of this kind, of which there are several.
fn name_for(kind: Kind, number: u8) -> Name {
    let pca = Pca {
        sender: node("bob"),
        recipient: node("alice"),
        parcel_id: number.to_string(),
    };
    let mut name = name_of(&pca.to_octets());
    name.identity.kind = kind;
    name
}

pub(super) fn pca(parcel_id: &str) -> Pca {
    Pca {
        sender: node("alice"),
        recipient: node("bob"),
        parcel_id: parcel_id.to_owned(),
    }
}

/// Longer than the certificate that gateway has, and valid now.
const LATER: (&str, &str) = ("2026-02-20", "2026-12-01");

/// The same parcel, with an indefinite length outermost, which nobody signed.
pub(super) fn in_another_form(parcel: &[u8]) -> Vec<u8> {
    let (signature, value) = parcel.split_at(7);
    assert_eq!(value[..2], [0x30, 0x82]);
    [signature, &[0x30, 0x80], &value[4..], &[0, 0]].concat()
}

/// What cannot be applied is set aside once, with the reason; what is useless goes; the others go on, and so do
/// parcels. Before, each kind ended every run with 65, 67, 73, 77 or 80.
#[test]
#[allow(clippy::too_many_lines)] // one story, told in order
fn control_messages_that_cannot_be_applied_end() {
    let env = Env::with_gateways();
    let out = format!("out/{}", id("hub"));
    for message_id in ["first", "second"] {
        let parcel = env.parcel_with("alice", "bob", b"x", &["--id", message_id]);
        env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
        if message_id == "first" {
            route(&env).ok();
        }
    }
    let parcel = env.parcel("bob", "alice", b"lost its way");
    let cargo = env.cargo("gateway", "hub", &*parcel);
    let junk = |kind: Kind| [&kind.signature()[..], b"junk"].concat();
    for (by, name, octets, why) in [
        ("hub", None, rotation("hub", "mallory", LATER), "for "),
        (
            "hub",
            None,
            rotation("mallory", "gateway", LATER),
            "a rotation that ",
        ),
        (
            "bob",
            None,
            rotation("bob", "gateway", LATER),
            "no peer is known as ",
        ),
        (
            "hub",
            Some(name_for(Kind::Rotation, 1)),
            junk(Kind::Rotation),
            "malformed rotation",
        ),
        (
            "hub",
            Some(name_for(Kind::Pca, 2)),
            junk(Kind::Pca),
            "malformed ",
        ),
        (
            "hub",
            Some(name_for(Kind::Pca, 3)),
            Vec::new(),
            "not a Relaynet message",
        ),
        (
            "hub",
            Some(name_for(Kind::Pca, 4)),
            vec![0; 10_000_000],
            "over 9437184 octets",
        ),
        ("hub", Some(name_for(Kind::Pdd, 5)), junk(Kind::Pdd), ""),
        (
            "hub",
            None,
            parcel.clone(),
            "a parcel among control messages",
        ),
        (
            "hub",
            Some(name_for(Kind::Pca, 6)),
            cargo,
            "cargo among control messages",
        ),
    ] {
        let name = name.unwrap_or_else(|| name_of(&octets));
        lay(&env, by, &name, &octets);
        let ran = route(&env).ok();
        let said = ran.diagnostics();
        assert_eq!(said.len(), 1, "{why}: {said:?}");
        assert!(said[0].contains(": set aside in failed: "), "{}", said[0]);
        assert!(said[0].contains(why), "{why}: {}", said[0]);
        assert!(queue(&env, &control(by)).is_empty(), "{why}");
        route(&env).ok().quiet().changes(&[]);
    }
    assert_eq!(queue(&env, "failed").len(), 10);
    assert_eq!(env.names("gateway/spool/failed").len(), 20);
    // All of that beside good ones; and what is useless goes in silence.
    brought(
        &env,
        "hub",
        &rotation("hub", "mallory", ("2026-02-20", "2026-12-02")),
    );
    brought(&env, "hub", &pca("first").to_octets());
    let again = Name {
        expiry: "2026-04-02T00:00:00Z".parse().unwrap(),
        ..name_of(&pca("first").to_octets())
    };
    lay(&env, "hub", &again, &pca("first").to_octets());
    brought(
        &env,
        "hub",
        &rotation("hub", "gateway", ("2026-02-20", "2026-04-01")),
    );
    brought(&env, "hub", &rotation("hub", "gateway", LATER));
    let certs = format!("gateway/certs/{}", id("hub"));
    let before = env.names(&certs).len();
    let parcel = env.parcel_with("alice", "bob", b"x", &["--id", "third"]);
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let ran = route(&env).ok();
    assert_eq!(ran.diagnostics().len(), 1, "{}", ran.stderr);
    assert!(queue(&env, &control("hub")).is_empty());
    assert_eq!(env.names(&certs).len(), before + 1);
    assert_eq!(queue(&env, &out).len(), 2, "second and third");
    route(&env).ok().quiet().changes(&[]);
    // The others cope with them.
    for long in [&[][..], &["--long"], &["--json", "--long"]] {
        let list = env.relay("list").args(["-N", "gateway"]).args(long);
        assert_eq!(list.arg("failed").ok().text().lines().count(), 11);
    }
    let state = env.relay("list").args(["-N", "gateway", "--id", "2"]).run();
    assert_eq!(
        state.status, 67,
        "an acknowledgement is no message with that id"
    );
    let check = env.relay("check").args(["-N", "gateway"]).run();
    assert!(
        check.text().contains("11 messages set aside"),
        "{}",
        check.text()
    );
    assert!(!check.text().contains("foreign"), "{}", check.text());
}

/// What is not valid yet stays, and says so; under a clock that relay-purge would not believe nothing is set aside by
/// time, and what was returns when it is told to.
#[test]
fn rotations_wait_for_their_time() {
    let env = Env::with_gateways();
    let early = brought(
        &env,
        "hub",
        &rotation("hub", "gateway", ("2026-09-01", "2026-12-02")),
    );
    for _ in 0..2 {
        let ran = route(&env).run();
        assert_eq!(ran.status, 81, "{}", ran.stderr);
        assert_eq!(queue(&env, &control("hub")), std::slice::from_ref(&early));
    }
    let at = |now| route(&env).at(now);
    at("2026-09-10T00:00:00Z").ok().quiet();
    let certs = format!("gateway/certs/{}", id("hub"));
    let held = env.names(&certs).len();

    let expired = brought(
        &env,
        "hub",
        &rotation("hub", "gateway", ("2026-09-02", "2026-12-10")),
    );
    let late = "2026-12-25T00:00:00Z";
    for _ in 0..2 {
        let ran = at(late).run();
        assert_eq!(ran.status, 75, "{}", ran.stderr);
        assert!(ran.diagnostics()[0].starts_with("the clock shows "));
        assert_eq!(queue(&env, &control("hub")), std::slice::from_ref(&expired));
    }
    // A clock that was believed: what ended is set aside.
    let name = Name {
        expiry: "2027-01-10T00:00:00Z".parse().unwrap(),
        ..expired.parse().unwrap()
    };
    fs::rename(
        env.path(format!("gateway/spool/{}/{expired}", control("hub"))),
        env.path(format!("gateway/spool/{}/{name}", control("hub"))),
    )
    .unwrap();
    let purge = env.relay("purge").at(late).args(["-N", "gateway"]);
    purge.args(["-q", "--trust-clock"]).ok();
    let ran = at(late).ok();
    assert!(
        ran.diagnostics()[0].contains(": set aside in failed: "),
        "{}",
        ran.stderr
    );
    at(late).ok().quiet().changes(&[]);
    let failed = queue(&env, "failed");
    assert_eq!(failed.len(), 1);
    // It was valid after all: it returns to where it counts.
    let again = at("2026-12-01T00:00:00Z").args(["--retry", &failed[0]]);
    again.ok().quiet();
    assert!(queue(&env, "failed").is_empty());
    assert!(queue(&env, &control("hub")).is_empty());
    assert_eq!(env.names("gateway/spool/failed").len(), 0);
    assert_eq!(env.names(&certs).len(), held + 1);
}

/// What a retry cannot apply either is set aside again, and a parcel goes where parcels go: to who is registered here.
#[test]
fn what_was_set_aside_returns_to_where_it_belongs() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let parcel = brought(&env, "hub", &parcel);
    let foreign = brought(&env, "hub", &rotation("mallory", "gateway", LATER));
    route(&env).ok();
    let why = env.text(format!("gateway/spool/failed/{foreign}.why"));
    assert!(
        why.contains(&format!("\"queue\":\"{}\"", control("hub"))),
        "{why}"
    );
    let ran = route(&env).args(["--retry", &foreign]).ok();
    assert_eq!(ran.diagnostics().len(), 1);
    assert_eq!(queue(&env, "failed").len(), 2);
    route(&env).args(["--retry", &parcel]).ok().quiet();
    assert_eq!(queue(&env, &format!("out/{}", id("alice"))).len(), 1);
    assert_eq!(queue(&env, "failed"), [foreign]);
    // Its time comes by its name, since it does not tell itself, and neither does what is no message.
    lay(&env, "hub", &name_for(Kind::Pca, 1), b"junk");
    route(&env).ok();
    let purge = env
        .relay("purge")
        .at("2026-04-05T00:00:00Z")
        .args(["-N", "gateway"]);
    purge.args(["--trust-clock"]).ok().quiet();
    assert!(env.names("gateway/spool/failed").is_empty());
}

/// One file that cannot be read is reported, and the others go on.
#[test]
fn a_control_message_that_cannot_be_read_stays_alone() {
    if is_root("a control message that cannot be read") {
        return;
    }
    let env = Env::with_gateways();
    let name = brought(&env, "hub", &pca("none").to_octets());
    env.chmod(format!("gateway/spool/{}/{name}", control("hub")), 0);
    brought(&env, "hub", &rotation("hub", "gateway", LATER));
    let parcel = env.parcel("alice", "bob", b"x");
    env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    let ran = route(&env).run();
    assert_eq!(ran.status, 75, "one of several: {}", ran.stderr);
    assert_eq!(queue(&env, &control("hub")), [name]);
    assert_eq!(queue(&env, &format!("out/{}", id("hub"))).len(), 1);
}

/// What no program here put among control messages is reported and left alone.
#[test]
fn strays_among_control_messages_are_told_of() {
    let env = Env::with_gateways();
    brought(&env, "hub", &pca("none").to_octets());
    env.write(format!("gateway/spool/{}/junk", control("hub")), "");
    let ran = route(&env).ok();
    assert!(ran.diagnostics()[0].ends_with("/junk: not a message that these programs stored"));
    assert_eq!(queue(&env, &control("hub")), ["junk"]);
}

/// A parcel without a route, then the same in another encoding, then another of its name: each ends. Before, the second
/// and the third ended every run with 73.
#[test]
fn names_that_are_taken_keep_nothing_waiting() {
    let env = Env::new();
    env.make_node("gateway", &["--type", "gateway", "--address", HUB]);
    env.make_node("alice", &[]);
    env.make_node("bob", &[]);
    env.introduce("alice", "bob", &[]);
    let parcel = env.parcel("alice", "bob", b"x");
    let other = forged(&parcel, "alice", |forgery| forgery.payload.push(0));
    assert_eq!(name_of(&parcel), name_of(&other));
    let twin = in_another_form(&parcel);
    let arrives = |octets: &[u8]| {
        fs::create_dir_all(env.path("gateway/spool/in")).unwrap();
        env.write(format!("gateway/spool/in/{}", name_of(octets)), octets);
    };
    // In failed.
    arrives(&parcel);
    assert_eq!(route(&env).ok().diagnostics().len(), 1);
    arrives(&twin);
    let ran = route(&env).arg("-v").ok();
    assert!(
        ran.stderr.contains("event=repeated file="),
        "{}",
        ran.stderr
    );
    assert_eq!(queue(&env, "failed").len(), 1);
    arrives(&other);
    route(&env).ok();
    assert_eq!(queue(&env, "failed").len(), 2);
    assert_eq!(env.names("gateway/spool/failed").len(), 4);
    for octets in [&parcel, &twin, &other] {
        arrives(octets);
        route(&env).ok();
        assert_eq!(queue(&env, "failed").len(), 2);
    }
    assert!(queue(&env, "in").is_empty());
    route(&env).ok().quiet().changes(&[]);
    // In out; and in, when they return.
    env.introduce("gateway", "bob", &[]);
    env.write("gateway/routes", "* peer:bob\n");
    env.chmod("gateway/routes", 0o600);
    let out = format!("out/{}", id("bob"));
    for octets in [&parcel, &twin, &other, &twin] {
        arrives(octets);
        route(&env).ok().quiet();
        assert!(queue(&env, "in").is_empty());
    }
    assert_eq!(queue(&env, &out).len(), 2);
    arrives(&parcel);
    route(&env).args(["--reroute", "bob"]).ok().quiet();
    assert_eq!(queue(&env, &out).len(), 2);
    for name in queue(&env, "failed") {
        route(&env).args(["--retry", &name]).ok().quiet();
    }
    assert_eq!(queue(&env, &out).len(), 2);
    assert!(env.names("gateway/spool/failed").is_empty());
    route(&env).ok().quiet().changes(&[]);
}

/// A parcel in failed that does not show who authorized it does not stand for one that does.
#[test]
fn a_parcel_without_its_certificates_is_another_one() {
    let env = Env::with_gateways();
    let parcel = env.parcel("bob", "alice", b"x");
    let bare = forged(&parcel, "bob", |forgery| forgery.certificates.truncate(1));
    assert_eq!(name_of(&parcel), name_of(&bare));
    env.mkdir("spare");
    env.make_node("carol", &[]);
    let node = |octets: &[u8]| {
        fs::create_dir_all(env.path("carol/spool/in")).unwrap();
        env.write(format!("carol/spool/in/{}", name_of(octets)), octets);
        env.relay("route").args(["-N", "carol"]).run();
    };
    node(&bare);
    node(&parcel);
    let mut failed = env.names("carol/spool/failed");
    failed.retain(|name| !name.contains(".why"));
    assert_eq!(failed.len(), 2, "{failed:?}");
}

/// relay-deliver: the same in home, and in what it sets aside.
#[test]
fn what_is_at_home_twice_is_delivered_once() {
    let env = Env::with_peers();
    let parcel = env.parcel("bob", "alice", b"x");
    let twin = in_another_form(&parcel);
    let spoilt = forged(&parcel, "bob", |forgery| forgery.payload.push(0));
    let home = format!("alice/spool/home/{}", id("alice"));
    let arrives = |octets: &[u8]| {
        fs::create_dir_all(env.path("alice/spool/in")).unwrap();
        env.write(format!("alice/spool/in/{}", name_of(octets)), octets);
        env.relay("route").args(["-N", "alice"]).ok().quiet();
    };
    for octets in [&parcel, &twin] {
        arrives(octets);
    }
    assert_eq!(env.names(&home).len(), 1);
    let deliver = || env.relay("deliver").args(["-N", "alice", "--dir", "inbox"]);
    env.mkdir("inbox");
    deliver().ok().quiet();
    assert_eq!(env.names("inbox/bob").len(), 1);
    let unknown = |id: &str| forged(&spoilt, "bob", |forgery| forgery.fields.id = id.to_owned());
    for octets in [unknown("m"), in_another_form(&unknown("m"))] {
        arrives(&octets);
        deliver().ok();
        let failed = env.names("alice/spool/failed");
        assert_eq!(failed.len(), 2, "{failed:?}");
        deliver().ok().quiet();
    }
}

/// A server on the network took a parcel; its gateway acknowledges it later, in cargo.
#[test]
fn what_was_taken_online_is_acknowledged_later() {
    let env = Env::with_gateways();
    for message_id in ["first", "\"second\""] {
        let parcel = env.parcel_with("alice", "bob", b"x", &["--id", message_id]);
        env.relay("put").args(["-N", "gateway"]).stdin(parcel).ok();
    }
    route(&env).ok();
    let spool = Spool::of(Directory::open(&env.path("gateway")).unwrap()).unwrap();
    let mut store = SpoolMessages::of(&spool);
    let out = QueueId::Out(node("hub"));
    for message in store.page(out, None, 10).unwrap() {
        let octets = store.read(&message, Vec::new()).unwrap().unwrap();
        let item = Item::parse(octets).unwrap();
        let taken = Taken {
            message: &message,
            id: &item.message().unwrap().fields().id,
            event: SentEvent::Accepted,
            by: "gw.example.org",
        };
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        store.release(&[taken], now).unwrap();
    }
    let state = |message_id: &str| {
        let list = env
            .relay("list")
            .args(["-N", "gateway", "--id", message_id]);
        list.ok().text().split('\t').next().unwrap().to_owned()
    };
    // From another gateway than the one that it went to, it has no effect.
    brought(&env, "alice", &pca("first").to_octets());
    route(&env).ok();
    assert_eq!(state("first"), "accepted");
    for message_id in ["first", "\"second\"", "unknown"] {
        brought(&env, "hub", &pca(message_id).to_octets());
    }
    let ran = route(&env).ok();
    let said = ran.stderr.clone();
    assert!(queue(&env, &control("hub")).is_empty(), "{said}");
    for message_id in ["first", "\"second\""] {
        assert_eq!(state(message_id), "acknowledged", "{said}");
    }
    // Once more it says nothing new.
    let noted = |id| spool.noted(id).unwrap().len();
    let before = noted("first");
    brought(&env, "hub", &pca("first").to_octets());
    route(&env).ok();
    assert_eq!((noted("first"), noted("unknown")), (before, 0));
}
