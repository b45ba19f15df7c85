//! A peer or a stranger whose every message names another session key: the newest by date counts, the node keeps one of
//! them, and the mail of others is opened meanwhile. `CI_FULL=1` plays it with 10 000 messages.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use relaynet::asn1::{Buffer, write};
use relaynet::cms::enveloped_data::Cipher;
use relaynet::crypto::ecdh::Curve;
use relaynet::node::{Correspondent, Directory, Keyring as _};
use relaynet::pki::Certificate;
use relaynet::ramf::{Fields, Kind, SignedMessage};
use relaynet::session::{PrivateSessionKey, agreement};

use super::bounds::{self, can_trace, count, size};
use crate::testenv::{Call, Env, id, identity};

/// When the flood arrives: ten days after the nodes were made.
const NOW: &str = "2026-03-11T12:00:00Z";

/// What a program may have of private memory, in KiB.
const MEMORY: u64 = 256 * 1024;

/// How many system calls more a run may make after the flood, for a spool that was not there before among others.
const MORE_CALLS: usize = 100;

/// What is remembered of each message, in octets: that it came, who was first to send what anybody may have sealed, and
/// that a user here put it into the spool and it was delivered.
const SEEN: u64 = 32;
const SENDER: u64 = 64;
const EVENTS: u64 = 2 * 320;

/// How much larger the node may be, besides its memory of messages: octets and files.
const REST: (u64, u64) = (16 * 1024, 8);

/// Makes parcels of one sender for alice, each with a session key of its own.
struct Flood {
    from: &'static str,
    to: Correspondent,
}

/// A session key that a parcel brought.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Carried {
    date: Timestamp,
    key: String,
}

impl Flood {
    fn new(env: &Env, from: &'static str) -> Self {
        let node = Directory::open(&env.path(from)).unwrap();
        let to = node.find_recipient("alice").unwrap();
        let to = node.correspondent(to, now()).unwrap();
        Self { from, to }
    }

    /// A parcel of this date that names this session key.
    fn parcel(&self, date: Timestamp, content: &str, key: &PrivateSessionKey) -> Vec<u8> {
        let fields = [
            write::tlv(0x80, b"text/plain"),
            write::tlv(0x81, content.as_bytes()),
        ];
        let plaintext = write::constructed(0x30, &[&fields[0], &fields[1]]);
        let mut buffer = Buffer::with_capacity(plaintext.len());
        buffer.append(&plaintext);
        let cipher = Cipher::Cbc { key_len: 16 };
        let payload = agreement::seal(buffer, cipher, &self.to.session_key, key);
        let fields = Fields {
            recipient: self.to.id,
            address: self.to.address.clone(),
            id: content.to_owned(),
            date,
            ttl: 20 * 86_400,
        };
        let path: Vec<&Certificate> = self.to.certificates.iter().collect();
        let signer = identity(self.from);
        let sealed = SignedMessage::seal(payload.unwrap(), Kind::Parcel, &fields, &signer, &path);
        sealed.unwrap().as_slice().to_vec()
    }

    /// So many parcels, a second apart and not in the order of their dates, and the newest key that they bring.
    fn parcels(&self, count: usize) -> (Vec<Vec<u8>>, Carried) {
        // Odd, and so prime to any power of two: each date once.
        let dates = count.next_power_of_two();
        let nth = |nth: usize| nth * 7919 % dates;
        let start = now() - SignedDuration::from_hours(6);
        let all = (0..dates).map(nth).filter(|second| *second < count);
        let mut newest = None;
        let parcels = all.map(|second| {
            let date = start + SignedDuration::from_secs(second.try_into().unwrap());
            let key = PrivateSessionKey::generate(Curve::P256).unwrap();
            let carried = Carried {
                date,
                key: key.id().to_string(),
            };
            newest = newest.take().max(Some(carried));
            self.parcel(date, &format!("{} {second}", self.from), &key)
        });
        let parcels = parcels.collect();
        (parcels, newest.unwrap())
    }
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Alice, on the Internet if she has an address, and who may write to her.
fn world(options: &[&str]) -> Env {
    let env = Env::new();
    env.make_node("alice", options);
    for node in ["bob", "carol"] {
        env.make_node(node, &[]);
        if options.is_empty() {
            env.introduce(node, "alice", &[]);
            env.introduce("alice", node, &[]);
        } else {
            let params = env.relay("export").args(["-N", "alice"]).ok().stdout;
            let import = ["-q", "-N", node, "--name", "alice"];
            env.relay("import").args(import).stdin(params).ok();
        }
    }
    env.mkdir("inbox");
    env
}

/// A program at alice's.
fn relay<'a>(env: &'a Env, program: &str) -> Call<'a> {
    env.relay(program).args(["-q", "-N", "alice"]).at(NOW)
}

/// The same, with as much memory and CPU time as so many messages may need, in programs that are not optimized.
fn bounded<'a>(env: &'a Env, program: &str, count: usize) -> Call<'a> {
    let seconds = 20 + count / 20;
    relay(env, program).shell(&format!("ulimit -t {seconds}; ulimit -d {MEMORY}"), "")
}

/// The system calls of alice's programs for one honest message and its answer, and for what cron runs.
fn work(env: &Env, honest: &Flood, nth: usize) -> Vec<usize> {
    let can_trace = can_trace();
    let calls = |env: &Env, call: Call<'_>| {
        if can_trace {
            return bounds::calls(env, call);
        }
        call.run();
        0
    };
    let key = PrivateSessionKey::generate(Curve::P256).unwrap();
    let content = format!("honest {nth}");
    let parcel = honest.parcel(now(), &content, &key);
    let open = relay(env, "open").args(["-o", &content]);
    let mut all = vec![calls(env, open.stdin(parcel))];
    assert_eq!(env.text(&content), content);
    all.extend(["purge", "rotate", "check", "peers"].map(|it| calls(env, relay(env, it))));
    all
}

/// The session key in a file of alice's, and its date.
fn stored(env: &Env, path: impl AsRef<Path>) -> Carried {
    let text = env.text(path);
    let header = |name: &str| {
        let lines = text.lines();
        let mut found = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.next().unwrap().to_owned()
    };
    Carried {
        date: header("Date").parse().unwrap(),
        key: header("Key-Id"),
    }
}

/// Checks that alice keeps the newest key alone in this file, that what she keeps has grown by no more than so many octets
/// for each message, and that the next message is as much work as before.
#[track_caller]
fn is_bounded(env: &Env, before: &Before, (file, newest): (&str, &Carried), each: u64) {
    assert_eq!(stored(env, file), *newest);
    let after = size(&env.path("alice"));
    let more = |after: u64, before| after.saturating_sub(before);
    let grown = (more(after.0, before.size.0), more(after.1, before.size.1));
    println!("{grown:?} octets and files for {} keys", count());
    let octets = each * count() as u64 + REST.0;
    assert!(grown.0 <= octets && grown.1 <= REST.1, "{grown:?}");
    let calls = work(env, &before.honest, 1);
    println!("{:?} calls, then {calls:?}", before.calls);
    for (before, after) in before.calls.iter().zip(&calls) {
        assert!(
            *after <= before + MORE_CALLS,
            "{before} calls, then {after}"
        );
    }
}

/// What there was before the flood.
struct Before {
    honest: Flood,
    size: (u64, u64),
    calls: Vec<usize>,
}

impl Before {
    fn of(env: &Env) -> Self {
        let honest = Flood::new(env, "carol");
        let calls = work(env, &honest, 0);
        let size = size(&env.path("alice"));
        Self {
            honest,
            size,
            calls,
        }
    }
}

/// The parcels of the flood with one of carol's among them, and those that are dated ahead at the end.
fn with_others(flood: &Flood, honest: &Flood, mut parcels: Vec<Vec<u8>>) -> Vec<u8> {
    let fresh = || PrivateSessionKey::generate(Curve::P256).unwrap();
    let middle = parcels.len() / 2;
    let date = now() - SignedDuration::from_hours(1);
    parcels.insert(middle, honest.parcel(date, "in between", &fresh()));
    for hours in [3, 30, 24 * 30] {
        let date = now() + SignedDuration::from_hours(hours);
        parcels.push(flood.parcel(date, &format!("in {hours} hours"), &fresh()));
    }
    parcels.concat()
}

/// Checks that so many were handed out, carol's among them, and nothing that is dated ahead.
#[track_caller]
fn are_delivered(env: &Env) {
    let mut files = Vec::new();
    contents(&env.path("inbox"), &mut files);
    assert_eq!(files.len(), count() + 1);
    assert!(files.iter().any(|content| content == "in between"));
    assert!(!files.iter().any(|content| content.ends_with(" hours")));
}

fn contents(dir: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents(&path, all);
        } else {
            all.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn a_peer_with_many_keys_has_one_when_opened() {
    let env = world(&[]);
    let before = Before::of(&env);
    let flood = Flood::new(&env, "bob");
    let (parcels, newest) = flood.parcels(count());
    let stream = with_others(&flood, &before.honest, parcels);
    let open = bounded(&env, "open", count()).args(["-d", "inbox"]);
    open.stdin(stream).ends(75);
    are_delivered(&env);
    let file = format!("alice/peers/{}/session.pem", id("bob"));
    is_bounded(&env, &before, (&file, &newest), SEEN);
    // The answer is sealed to it.
    let seal = relay(&env, "seal").args(["-t", "bob"]).stdin("x").ok();
    let inspect = env.relay("inspect").arg("--json").stdin(seal.stdout).ok();
    assert_eq!(
        inspect.json()[0]["payload"]["recipient_key_id"],
        *newest.key
    );
}

#[test]
fn a_peer_with_many_keys_has_one_when_delivered() {
    let env = world(&[]);
    let before = Before::of(&env);
    let flood = Flood::new(&env, "bob");
    let (parcels, newest) = flood.parcels(count());
    let stream = with_others(&flood, &before.honest, parcels);
    bounded(&env, "put", count()).stdin(stream).ends(75);
    bounded(&env, "route", count()).ok();
    let deliver = bounded(&env, "deliver", count());
    deliver.args(["--dir", "inbox"]).ok();
    are_delivered(&env);
    let file = format!("alice/peers/{}/session.pem", id("bob"));
    is_bounded(&env, &before, (&file, &newest), SEEN + EVENTS);
}

/// To a session key that anybody may use: who was first to send each is remembered as well.
#[test]
fn a_stranger_with_many_keys_has_one() {
    for is_delivered in [false, true] {
        let env = world(&["--address", "alice.example.org"]);
        let before = Before::of(&env);
        let flood = Flood::new(&env, "bob");
        let (parcels, newest) = flood.parcels(count());
        let stream = with_others(&flood, &before.honest, parcels);
        if is_delivered {
            bounded(&env, "put", count()).stdin(stream).ends(75);
            bounded(&env, "route", count()).ok();
            let deliver = bounded(&env, "deliver", count());
            deliver.args(["--dir", "inbox"]).ok();
        } else {
            let open = bounded(&env, "open", count()).args(["-d", "inbox"]);
            open.stdin(stream).ends(75);
        }
        are_delivered(&env);
        let file = format!("alice/strangers/2026-03-11/{}.pem", id("bob"));
        let events = if is_delivered { EVENTS } else { 0 };
        is_bounded(&env, &before, (&file, &newest), SEEN + SENDER + events);
    }
}

/// A session key belongs to the peer that it was given to, and a key that a message names to its sender.
#[test]
fn a_key_of_one_peer_is_no_other_peers() {
    let env = world(&[]);
    let (bob, carol) = (Flood::new(&env, "bob"), Flood::new(&env, "carol"));
    let key = PrivateSessionKey::generate(Curve::P256).unwrap();
    let honest = carol.parcel(now(), "carol's", &key);
    relay(&env, "open").stdin(honest).ok().stdout("carol's");
    let [of_bob, of_carol] = ["bob", "carol"].map(|peer| format!("alice/peers/{}", id(peer)));
    let is_carols = || stored(&env, format!("{of_carol}/session.pem"));
    let before = is_carols();
    assert_eq!(before.key, key.id().to_string());

    // Carol seals to the key that alice gave to bob.
    let stolen = Flood {
        from: "carol",
        to: Correspondent {
            session_key: bob.to.session_key.clone(),
            ..Flood::new(&env, "carol").to
        },
    };
    let fresh = PrivateSessionKey::generate(Curve::P256).unwrap();
    let parcel = stolen.parcel(now(), "stolen", &fresh);
    let unknown = format!(
        "-: sealed to session key {}, which is not known here",
        bob.to.session_key.id()
    );
    relay(&env, "open").stdin(&*parcel).fails(67, &unknown);
    relay(&env, "put").stdin(parcel).ok();
    relay(&env, "route").ok();
    relay(&env, "deliver").args(["--dir", "inbox"]).ok();
    assert!(env.names("inbox").is_empty());
    assert_eq!(is_carols(), before);

    // Bob names the id of carol's key, later than she did: it is a key of his, and hers stays.
    let pkcs8 = fresh.to_pkcs8().unwrap();
    let same_id = PrivateSessionKey::from_pkcs8(key.id().clone(), pkcs8.as_bytes()).unwrap();
    let date = now() + SignedDuration::from_mins(30);
    let parcel = bob.parcel(date, "bob's", &same_id);
    relay(&env, "open").stdin(parcel).ok().stdout("bob's");
    assert_eq!(is_carols(), before);
    let session = |dir: &str| env.text(format!("{dir}/session.pem"));
    assert_ne!(session(&of_bob), session(&of_carol));
    let answer = relay(&env, "seal")
        .args(["-t", "carol"])
        .stdin("x")
        .ok()
        .stdout;
    let answer = relaynet::ramf::SignedMessage::parse(answer).unwrap();
    let sealed = agreement::Sealed::parse(answer.payload()).unwrap();
    let mut octets = answer.payload().to_vec();
    assert!(sealed.open_in_place(&[same_id], &mut octets).is_err());
    let mut octets = answer.payload().to_vec();
    assert!(sealed.open_in_place(&[key], &mut octets).is_ok());
}
