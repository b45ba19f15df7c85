//! Invariants: what must hold at every instant, however a run ended.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use relaynet::asn1::{Hex, hex, pem};
use relaynet::crypto::hash::sha256;
use relaynet::crypto::pbes2::EncryptedKey;
use relaynet::message::parts::{self, PartStream};
use relaynet::message::stream::Stream;
use relaynet::message::{Item, Object, Part, Pdd};
use relaynet::node::{Error, PassphraseError, certificates, key_file};
use relaynet::pki::{IdentityKey, NodeId, PublicKey};
use relaynet::spool::Name;

use super::scene::{CONTENT, Scene, is_in_temporary, is_incomplete, is_temporary};

/// [`CONTENT`] in a mail.
const ENCODED: &[u8] = b"\nYSBmZXcgbGluZXMKdGhhdCBtdXN0IG5vdCBiZSBsb3N0Cg==\n";

/// Checks every file: a final name has whole content, and no file is of an unknown kind. Returns the
/// temporary files that were left.
pub(crate) fn check(scene: &Scene) -> Vec<String> {
    let mut leftovers = Vec::new();
    for path in scene.files("") {
        let parts: Vec<&str> = path.split('/').collect();
        let Some((&name, above)) = parts.split_last() else {
            continue;
        };
        let metadata = fs::symlink_metadata(scene.path(&path)).unwrap();
        // A backup is made beside the nodes.
        if metadata.is_dir() && is_temporary(name) && matches!(above, [] | ["out", ..]) {
            leftovers.push(path);
            continue;
        }
        if metadata.is_dir() || path == "in" || matches!(above, ["tmp", ..]) {
            continue;
        }
        assert!(metadata.is_file(), "{path}: neither file nor directory");
        // What is in a retired directory of a node is its own, until the directory goes.
        let is_result = matches!(above, ["out" | "box", ..])
            || above.first().is_some_and(|top| is_temporary(top));
        if is_temporary(name) || is_result && is_in_temporary(&path) {
            leftovers.push(path);
            continue;
        }
        let is_medium = matches!(above, ["stick" | "blue", "relaynet", ..]);
        if !is_medium && !matches!(above, ["out" | "drop" | "all" | "large" | "sent", ..]) {
            let mode = metadata.permissions().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{path}");
        }
        let octets = fs::read(scene.path(&path)).unwrap();
        let is_known = known().contains(&(path.clone(), octets.clone()));
        let is_taken = scene.is_bare && matches!(above, ["out", ..]) && is_incomplete(&octets);
        let problem = if is_known || is_taken {
            None
        } else if let ["drop" | "all" | "large" | "sent", ..] = above {
            (!is_dropped(&path, &octets)).then(|| "not what was left there".to_owned())
        } else if let ["out" | "box", ..] = above {
            problem_of_result(&octets)
        } else if is_medium {
            problem_of_medium_file(&above[2..], name, &octets)
        } else {
            let within = match &above[1..] {
                ["endpoints", _, within @ ..] | within => within,
            };
            problem_of_node_file(within, name, &octets)
        };
        if let Some(problem) = problem {
            panic!("{path}: {problem}");
        }
        if !is_taken {
            known().insert((path, octets));
        }
    }
    for node in [
        "alice",
        "bob",
        "carol",
        "hub",
        "field",
        "field/endpoints/mail",
        "new",
    ] {
        if scene.path(node).join("VERSION").exists() {
            check_whole_node(scene, node);
        }
    }
    leftovers
}

/// Whether a file in a drop folder, or one that was sent from there, is whole.
fn is_dropped(path: &str, octets: &[u8]) -> bool {
    match path.rsplit('/').next() {
        Some("lock") => octets.is_empty(),
        Some("large.txt") => octets.len() > CONTENT.len() && octets.starts_with(CONTENT),
        _ => octets == CONTENT,
    }
}

/// Paths and what was found there.
type Found = HashSet<(String, Vec<u8>)>;

/// Files that were found whole before. Most are the same in every scene, and parsing keys is slow.
fn known() -> MutexGuard<'static, Found> {
    static KNOWN: LazyLock<Mutex<Found>> = LazyLock::new(Mutex::default);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks that a result is whole: content, messages or parameters.
fn problem_of_result(octets: &[u8]) -> Option<String> {
    if octets == CONTENT {
        return None;
    }
    if octets.starts_with(b"X-Relay-Sender: ") {
        let is_whole = octets.ends_with(ENCODED);
        return (!is_whole).then(|| "half a mail".to_owned());
    }
    if octets.starts_with(b"Awala") {
        let mut stream = Stream::new(octets);
        return std::iter::from_fn(|| stream.next_message()).find_map(|next| match next {
            Ok(message) => Item::parse(message).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        });
    }
    if parts::is_part(octets) {
        return problem_of_parts(octets);
    }
    Object::parse(octets).err().map(|error| error.to_string())
}

/// Checks that a stream of parts is whole.
fn problem_of_parts(octets: &[u8]) -> Option<String> {
    let mut stream = PartStream::new(octets);
    let mut part = Vec::new();
    while let Some(next) = stream.next_part(&mut part) {
        let problem = match next {
            Ok(_) => Part::parse(&part).err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if problem.is_some() {
            return problem;
        }
        part.clear();
    }
    None
}

fn problem_of_identity_key(octets: &[u8]) -> Option<String> {
    // The tests that use the node open it.
    if key_file::is_encrypted(octets).unwrap_or_default() {
        return None;
    }
    match pem::private_key(octets) {
        Err(error) => Some(error.to_string()),
        Ok((pkcs8, _)) => IdentityKey::from_pkcs8(&pkcs8)
            .err()
            .map(|error| error.to_string()),
    }
}

/// Checks a file of a node; `above` are the directories that it is in.
fn problem_of_node_file(above: &[&str], name: &str, octets: &[u8]) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_line = || {
        let text = std::str::from_utf8(octets).ok()?;
        let line = text.strip_suffix('\n')?;
        (!line.is_empty() && !line.contains('\n')).then_some(())
    };
    match (above, name) {
        ([], "VERSION") => {
            let texts = [&b"relay-node 1\n"[..], b"relay-node 1 backup\n"];
            (!texts.contains(&octets)).then(|| "another text".to_owned())
        }
        ([], "config") => {
            let text = String::from_utf8_lossy(octets);
            (!text.ends_with('\n') || !text.contains("clock = test"))
                .then(|| "not the whole config".to_owned())
        }
        ([], "identity.key") => problem_of_identity_key(octets),
        ([] | ["peers", _], "identity.pub") | ([], "predecessor" | "successor") => {
            problem_of_public_key(octets)
        }
        (["peers", _], "successor" | "notice.pem") | (["peers", _, "successors"], _) => {
            problem_of_succession(name, octets)
        }
        (["peers", _], "name" | "address") => is_line().is_none().then(|| "not a line".to_owned()),
        (["peers", _], "compared" | "expect-none") => {
            (!octets.is_empty()).then(|| "a mark with content".to_owned())
        }
        (["peers", _], "renewal" | "rotation") => {
            let text = std::str::from_utf8(octets).unwrap_or_default();
            (!text.starts_with("Certificate: ") || !text.ends_with('\n'))
                .then(|| "not what is to be handed on".to_owned())
        }
        (["peers", _], "session.pem") => key_file::public_from_text(octets)
            .err()
            .map(|error| error.to_string()),
        (["certs", _] | ["peers", _, "held" | "given" | "registered"], _) if extension == "pem" => {
            certificates::path_from_octets(octets)
                .err()
                .map(|error| error.to_string())
        }
        (["sessions", _], _) if extension == "key" => {
            // An encrypted one is opened by the tests that use the node.
            let open = |_: &EncryptedKey| Err(PassphraseError::Missing.into());
            match key_file::private_from_text(octets, None, &open) {
                Err(Error::Passphrase(_)) => None,
                Err(error) => Some(error.to_string()),
                Ok((key, _, true)) if key.public().id().to_string() == stem => None,
                Ok(_) => Some("another key's file".to_owned()),
            }
        }
        // A torn record is cut off by the next run.
        (["sessions", "any"], _) if extension == "senders" => None,
        (["revoked", _], _) => Pdd::parse(octets).err().map(|error| error.to_string()),
        (["strangers", _], _) => key_file::public_from_text(octets)
            .err()
            .map(|error| error.to_string()),
        (["lock"], _) => (!octets.is_empty()).then(|| "a lock file with content".to_owned()),
        (["spool", "failed"], _) if extension == "why" => {
            let line: Result<serde_json::Value, _> = serde_json::from_slice(octets);
            line.err().map(|error| error.to_string())
        }
        (["spool"], "clock") => problem_of_clock(octets),
        (["spool", "carried", medium], _) => problem_of_carried(medium, name, octets),
        (["spool", "delivering"], _) => {
            let lines = octets.split_inclusive(|octet| *octet == b'\n');
            let parsed = lines.map(serde_json::from_slice::<serde_json::Value>);
            parsed
                .filter_map(Result::err)
                .map(|error| error.to_string())
                .next()
        }
        (
            ["spool", "in" | "failed"] | ["spool", "out" | "home" | "control" | "acks" | "cca", _],
            _,
        ) => match (name.parse::<Name>(), Item::parse(octets.to_vec())) {
            (Ok(named), Ok(item)) if named.identity.kind == item.kind() => None,
            found => Some(format!("not that message: {found:?}")),
        },
        // Records and lines are appended; a torn one at the end does not count.
        (["seen"] | ["rates", _] | ["spool", "sent"], _) | ([], "routes") => None,
        _ => Some("nobody knows this file".to_owned()),
    }
}

/// Checks a notice, or the record of who took the place of a peer.
fn problem_of_succession(name: &str, octets: &[u8]) -> Option<String> {
    if name == "successor" {
        let text = std::str::from_utf8(octets).unwrap_or_default();
        let is_whole = text.starts_with("Node: 0") && text.ends_with('\n');
        return (!is_whole).then(|| "not who took the place of the peer".to_owned());
    }
    match Object::parse(octets) {
        Ok(Object::SuccessorNotice(notice)) => notice.verify().err().map(|error| error.to_string()),
        _ => Some("not a notice".to_owned()),
    }
}

/// Checks a record of cargo on a medium, or the last exchange with it.
fn problem_of_carried(medium: &str, name: &str, octets: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(octets);
    let is_last = name == "last";
    let mut lines = text.lines();
    let dates = if is_last { 1 } else { 2 };
    let is_dated = (0..dates).all(|_| {
        let line = lines.next().unwrap_or_default();
        line.parse::<jiff::Timestamp>().is_ok()
    });
    let is_line = |line: &str| match line.split_once(" = ") {
        Some(("id", _)) => !is_last,
        Some((_, count)) => is_last && count.parse::<u64>().is_ok(),
        None => !is_last && line.parse::<Name>().is_ok(),
    };
    let is_whole = hex::parse(medium).is_some_and(|id| id.len() == 16)
        && is_dated
        && text.ends_with('\n')
        && lines.all(is_line);
    (!is_whole).then(|| format!("not a record: {text}"))
}

fn problem_of_clock(octets: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(octets);
    let mut beginnings = ["accepted = ", "candidate = "].iter();
    // Without either, it waits for evidence.
    let tells = text.is_empty() || beginnings.any(|it| text.starts_with(it));
    (!tells).then(|| format!("tells no time: {text}"))
}

/// Checks a file of a medium; `above` are the directories that it is in.
fn problem_of_medium_file(above: &[&str], name: &str, octets: &[u8]) -> Option<String> {
    let is_id = |text: &str| text.parse::<NodeId>().is_ok();
    let is_whole = match above {
        [] if name == "VERSION" => octets == b"relay-medium 1\n",
        [] if name == "ID" => octets
            .strip_suffix(b"\n")
            .and_then(|id| hex::parse(std::str::from_utf8(id).ok()?))
            .is_some_and(|id| id.len() == 16),
        [kind @ ("cargo" | "cca"), recipient] => {
            let parts: Vec<&str> = name.split('.').collect();
            let sha256 = Hex(&sha256(octets)).to_string();
            is_id(recipient)
                && matches!(&parts[..], [from, sha, end] if is_id(from) && *sha == sha256 && end == kind)
        }
        ["got", gateway] => {
            let date = String::from_utf8_lossy(octets);
            is_id(gateway) && date.trim_end().parse::<jiff::Timestamp>().is_ok()
        }
        _ => false,
    };
    (!is_whole).then(|| "not what belongs on a medium".to_owned())
}

fn problem_of_public_key(octets: &[u8]) -> Option<String> {
    let blocks = match pem::blocks(octets) {
        Ok(blocks) => blocks,
        Err(error) => return Some(error.to_string()),
    };
    match &blocks[..] {
        [block] if block.label == pem::PUBLIC_KEY => PublicKey::parse(&block.contents)
            .err()
            .map(|error| error.to_string()),
        _ => Some("not one public key".to_owned()),
    }
}

/// Checks that a directory with VERSION, which is made last, has all that a node needs.
fn check_whole_node(scene: &Scene, node: &str) {
    let files = scene.files(node);
    let has = |wanted: &dyn Fn(&[&str]) -> bool| {
        let mut files = files.iter();
        let depth = node.split('/').count();
        files.any(|path| wanted(&path.split('/').skip(depth).collect::<Vec<_>>()))
    };
    for wanted in [
        "config",
        "identity.key",
        "identity.pub",
        "peers",
        "seen",
        "lock",
    ] {
        assert!(
            has(&|path| path == [wanted]),
            "{node} has VERSION but no {wanted}"
        );
    }
    let own = |path: &[&str]| matches!(path, ["certs", _, file] if !is_temporary(file));
    assert!(has(&own), "{node} has VERSION but no certificate");
    let own = |path: &[&str]| matches!(path, ["sessions", "any", file] if !is_temporary(file));
    assert!(has(&own), "{node} has VERSION but no session key");
}
