//! Our private session keys: `sessions/<peer-id|any>/<key-id>.key`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::files::{damaged, ensure_dir, read_secret, rely_on};
use super::key_file::{self, Headers};
use super::private_keys::{IDENTITY, key_problem};
use super::session_secret::SessionSecret;
use super::{Directory, DirectoryError, Error};
use crate::crypto::ecdh::Curve;
use crate::crypto::pbes2::EncryptedKey;
use crate::disk::{self, FileRole, files, tree};
use crate::pki::NodeId;
use crate::session::ratchet::{self, OwnKey};
use crate::session::{KeyId, PrivateSessionKey};

/// The folder for keys that are bound to nobody.
pub(crate) const ANYBODY: &str = "any";

/// The ends of the names of files that say who was first to send what was sealed to such a key.
const SENDERS: [&str; 2] = [".senders", ".senders.sorted"];

/// Header: the date of the first message that carried the key, or of the object that it was handed
/// out with.
const FIRST: &str = "First-Carried";
/// Header: the date of the last message that carried the key.
const LAST: &str = "Last-Carried";
/// Header: when the first message that was sealed to the key was opened.
const FIRST_USED: &str = "First-Used";
/// Header: the date of the last message that was sealed to the key.
const USED: &str = "Last-Used";
/// Header: since when the key is not put into messages any more.
const RETIRED: &str = "Retired";
/// Header: until when a key is kept that was handed out with an authorization or parameters.
const KEPT_UNTIL: &str = "Kept-Until";

/// Header: the curve of the key, so that choosing one need not decode them all.
const CURVE: &str = "Curve";

/// A stored session key with its headers. The key itself is decoded only when it is used.
pub struct StoredOwnKey {
    id: KeyId,
    path: PathBuf,
    headers: Headers,
    text: Zeroizing<Vec<u8>>,
}

impl StoredOwnKey {
    fn read(path: PathBuf) -> Result<Option<Self>, Error> {
        let Some(text) = read_secret(&path)? else {
            return Ok(None);
        };
        let headers = key_file::headers_of(&text);
        match headers.key_id() {
            Ok(Some(id)) => Ok(Some(Self {
                id,
                path,
                headers,
                text,
            })),
            Ok(None) => Err(damaged(&path, &"no Key-Id")),
            Err(error) => Err(damaged(&path, &error)),
        }
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key.
    ///
    /// # Errors
    /// When it is malformed, or encrypted and not opened.
    pub fn key(&self, node: &Directory) -> Result<PrivateSessionKey, Error> {
        let open = |key: &EncryptedKey| node.open_session_key(key);
        let read = key_file::private_from_text(&self.text, Some(self.id.clone()), &open);
        let (key, ..) = read.map_err(|error| key_problem(&self.path, error))?;
        Ok(key)
    }

    /// The key, to be handed out. The name of its file is synced first, since the run that made it
    /// may have been killed before it did.
    ///
    /// # Errors
    /// As [`StoredOwnKey::key`], or when it cannot be synced.
    pub fn key_to_hand_out(&self, node: &Directory) -> Result<PrivateSessionKey, Error> {
        rely_on(&self.path)?;
        self.key(node)
    }

    /// The date of the first message that carried the key, or of the object that it was handed out
    /// with.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.headers.date(FIRST)
    }

    fn is_on(&self, curve: Curve) -> bool {
        self.headers.get(CURVE) == Some(&curve.to_string())
    }

    /// The facts that the choice of a key depends on. A malformed date counts as one that keeps the
    /// key.
    fn facts(&self) -> OwnKey {
        let used = self.headers.date(FIRST_USED);
        let or_ever = |name: &str| {
            let is_there = self.headers.get(name).is_some();
            // A header that is there but malformed: the latest time keeps the key.
            is_there.then(|| self.headers.date(name).unwrap_or(Timestamp::MAX))
        };
        OwnKey {
            id: self.id.clone(),
            first: self.first().unwrap_or(Timestamp::MIN),
            last: self.headers.date(LAST),
            used: used.or_else(|| or_ever(USED)),
            retired: self.headers.get(RETIRED).is_some(),
            kept_until: or_ever(KEPT_UNTIL),
        }
    }

    /// Stores the changed headers with the same key.
    fn save(&self) -> Result<(), Error> {
        let text = key_file::with_headers(&self.text, &self.headers);
        let options = disk::PublishOptions::stored(FileRole::Node, disk::IfExists::Replace);
        disk::publish::publish(&self.path, &[&text], &options)?;
        Ok(())
    }
}

/// The folder for the keys of a peer, or for unbound keys.
fn dir(root: &Path, peer: Option<NodeId>) -> PathBuf {
    let name = peer.map_or_else(|| ANYBODY.to_owned(), |peer| peer.to_string());
    root.join("sessions").join(name)
}

/// The file of a key that anybody may use.
pub(super) fn unbound_path(root: &Path, id: &KeyId) -> PathBuf {
    dir(root, None).join(format!("{id}.key"))
}

/// The files of [`ciphertexts`](super::ciphertexts) for the unbound key in this file: the one that
/// grows, and the sorted one.
#[must_use]
pub fn senders_of(key: &Path) -> [PathBuf; 2] {
    SENDERS.map(|end| key.with_extension(&end[1..]))
}

/// Whether this is the name of such a file.
#[must_use]
pub fn is_senders(name: &str) -> bool {
    let key = SENDERS.iter().find_map(|end| name.strip_suffix(end));
    key.is_some_and(|key| !key.is_empty())
}

/// The date of the last message to this peer, as far as a key remembers it.
///
/// # Errors
/// When a key cannot be read.
pub fn last_sent(root: &Path, peer: NodeId) -> Result<Option<Timestamp>, Error> {
    let keys = list(root, Some(peer))?;
    Ok(keys.iter().filter_map(|key| key.facts().last).max())
}

/// The keys with this id that `peer` may have sealed to: bound to it, or unbound.
///
/// # Errors
/// When one is unreadable, or readable by others.
pub fn find(root: &Path, peer: NodeId, id: &KeyId) -> Result<Vec<StoredOwnKey>, Error> {
    let mut found = Vec::new();
    for dir in [dir(root, Some(peer)), dir(root, None)] {
        if let Some(stored) = StoredOwnKey::read(dir.join(format!("{id}.key")))?
            && stored.id == *id
        {
            found.push(stored);
        }
    }
    Ok(found)
}

/// All keys for a peer, or all unbound keys.
///
/// # Errors
/// When one is unreadable, or readable by others.
pub fn list(root: &Path, peer: Option<NodeId>) -> Result<Vec<StoredOwnKey>, Error> {
    let mut keys = Vec::new();
    for entry in tree::entries(&dir(root, peer), FileRole::Node)?.complete()? {
        if entry
            .path
            .extension()
            .is_some_and(|extension| extension == "key")
            && let Some(stored) = StoredOwnKey::read(entry.path)?
        {
            keys.push(stored);
        }
    }
    Ok(keys)
}

/// Our session key for a message, which carries its public half.
pub struct OriginatorKey {
    /// The key.
    pub key: PrivateSessionKey,
    /// The date up to which earlier messages to the peer were dated ahead of this one, if the key
    /// is new for that reason.
    pub dated_ahead: Option<Timestamp>,
}

impl From<PrivateSessionKey> for OriginatorKey {
    fn from(key: PrivateSessionKey) -> Self {
        Self {
            key,
            dated_ahead: None,
        }
    }
}

/// The key that a message of `date` to the peer carries: the current one, or a new one. Its file
/// has that date on disk before it is returned.
///
/// # Errors
/// When it cannot be read, made or stored.
pub fn current(
    node: &Directory,
    peer: NodeId,
    curve: Curve,
    date: Timestamp,
) -> Result<OriginatorKey, Error> {
    let root = node.root();
    // No other run writes here: the caller has locked the peer.
    disk::publish::sweep(&dir(root, Some(peer)), FileRole::Node, None)?;
    let mut stored = list(root, Some(peer))?;
    stored.retain(|stored| stored.is_on(curve));
    let facts: Vec<OwnKey> = stored.iter().map(StoredOwnKey::facts).collect();
    if let Some(current) = ratchet::current(&facts, date)
        && let Some(mut stored) = stored.into_iter().find(|stored| stored.id == current.id)
    {
        // The date is on disk before the key is given out: it decides how long the key is kept.
        if current.last.is_none_or(|last| last < date) {
            stored.headers.set(LAST, &date);
            stored.save()?;
        } else {
            rely_on(&stored.path)?;
        }
        return stored.key(node).map(OriginatorKey::from);
    }
    let mut headers = Headers::default();
    headers.set(FIRST, &date);
    headers.set(LAST, &date);
    let key = PrivateSessionKey::generate(curve)?;
    let secret = node.secret_to_seal()?;
    let key = create(root, Some(peer), key, &headers, secret.as_deref())?;
    Ok(OriginatorKey {
        key,
        dated_ahead: ratchet::dated_ahead(&facts, date),
    })
}

/// Makes an initial key, dated `date` and kept until `kept_until`.
///
/// # Errors
/// When it cannot be made or stored.
pub fn create_initial(
    node: &Directory,
    peer: Option<NodeId>,
    date: Timestamp,
    kept_until: Timestamp,
) -> Result<PrivateSessionKey, Error> {
    let key = PrivateSessionKey::generate(Curve::P256)?;
    let secret = node.secret_to_seal()?;
    adopt(
        node.root(),
        peer,
        key,
        (date, kept_until),
        secret.as_deref(),
    )
}

/// Stores an existing key as an initial one, dated and kept until these times; encrypted if there is a
/// password for that.
///
/// # Errors
/// When there is a key with its id already, or it cannot be stored.
pub fn adopt(
    root: &Path,
    peer: Option<NodeId>,
    key: PrivateSessionKey,
    (date, kept_until): (Timestamp, Timestamp),
    secret: Option<&SessionSecret>,
) -> Result<PrivateSessionKey, Error> {
    let mut headers = Headers::default();
    headers.set(FIRST, &date);
    headers.set(KEPT_UNTIL, &kept_until);
    create(root, peer, key, &headers, secret)
}

fn create(
    root: &Path,
    peer: Option<NodeId>,
    key: PrivateSessionKey,
    headers: &Headers,
    secret: Option<&SessionSecret>,
) -> Result<PrivateSessionKey, Error> {
    let dir = dir(root, peer);
    ensure_dir(root, &dir)?;
    let mut headers = headers.clone();
    headers.set(CURVE, &key.public().curve());
    let text = key_file::private_to_text(&key, &headers, secret)?;
    let path = dir.join(format!("{}.key", key.public().id()));
    disk::publish::publish_key(&path, FileRole::Node, &[text.as_bytes()])?;
    Ok(key)
}

/// Notes that a message of `date`, opened now, was sealed to this key, so that the next message
/// carries a new one.
///
/// # Errors
/// When it cannot be stored.
pub fn mark_used(
    node: &Directory,
    peer: NodeId,
    id: &KeyId,
    date: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let path = dir(node.root(), Some(peer)).join(format!("{id}.key"));
    // An unbound key may be used by many peers, so its use proves nothing about one.
    let Some(mut stored) = StoredOwnKey::read(path)? else {
        return Ok(());
    };
    if stored.headers.date(USED).is_none_or(|used| used < date) {
        if stored.headers.get(USED).is_none() {
            stored.headers.set(FIRST_USED, &now);
        }
        stored.headers.set(USED, &date);
        stored.save()
    } else {
        node.rely_on_once(&stored.path)
    }
}

/// Retires all current keys, so that the next message to each peer carries a new one. Returns how
/// many were retired. The caller holds the node's exclusive lock.
///
/// # Errors
/// When a key cannot be read or stored.
pub fn retire(root: &Path, now: Timestamp) -> Result<usize, Error> {
    let mut retired = 0;
    for folder in tree::entries(&root.join("sessions"), FileRole::Node)?.entries {
        let Some(peer) = folder.name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        for mut key in list(root, Some(peer))? {
            // Initial keys are never put into messages.
            if key.headers.get(KEPT_UNTIL).is_some() || key.headers.get(RETIRED).is_some() {
                continue;
            }
            key.headers.set(RETIRED, &now);
            key.save()?;
            retired += 1;
        }
        files::sync_dir(&folder.path, FileRole::Node)?;
    }
    Ok(retired)
}

/// Checks that a file holds a usable private session key with the id that it is named for. Returns whether
/// it is encrypted, or `None` if it has gone. Without the passphrase, of an encrypted key only the form is checked.
///
/// # Errors
/// When it does not, or is readable by others.
pub fn check(node: &Directory, path: &Path) -> Result<Option<bool>, Error> {
    let Some(stored) = StoredOwnKey::read(path.to_owned())? else {
        return Ok(None);
    };
    let is_named = path.file_stem().and_then(|stem| stem.to_str()) == Some(&stored.id.to_string());
    if !is_named {
        return Err(damaged(path, &"not the key that it is named for"));
    }
    if stored.first().is_none() {
        return Err(damaged(path, &"no First-Carried"));
    }
    let is_encrypted = key_file::is_encrypted(&stored.text);
    let is_encrypted = is_encrypted.map_err(|error| key_problem(path, error))?;
    match stored.key(node) {
        // The identity key is not opened, so neither are those that depend on it.
        Err(Error::Directory(DirectoryError::Locked { path, .. })) if path.ends_with(IDENTITY) => {}
        read => drop(read?),
    }
    Ok(Some(is_encrypted))
}

/// A key that is of no use any more.
#[derive(Debug)]
pub struct Spent {
    /// Its id.
    pub id: KeyId,
    /// Its file.
    pub path: PathBuf,
    /// The reason.
    pub why: ratchet::SpentReason,
}

/// The keys in a folder, sorted by use.
#[derive(Debug, Default)]
pub struct Sorted {
    /// Keys that are of no use any more.
    pub spent: Vec<Spent>,
    /// Files that are not keys, and the errors.
    pub others: Vec<(PathBuf, Error)>,
}

/// The keys for a peer, or unbound keys, that are of no use any more under these rules.
///
/// # Errors
/// When the folder cannot be listed.
pub fn spent(
    root: &Path,
    peer: Option<NodeId>,
    keeping: &ratchet::Keeping,
) -> Result<Sorted, Error> {
    let mut keys = Vec::new();
    let mut others = Vec::new();
    for entry in tree::entries(&dir(root, peer), FileRole::Node)?.entries {
        let name = entry.name.to_str();
        if peer.is_none() && name.is_some_and(is_senders) {
            continue;
        }
        match StoredOwnKey::read(entry.path.clone()) {
            Ok(Some(stored)) => keys.push(stored),
            Ok(None) => {}
            Err(error) => others.push((entry.path, error)),
        }
    }
    let facts: Vec<OwnKey> = keys.iter().map(StoredOwnKey::facts).collect();
    let spent = keys.into_iter().zip(&facts).filter_map(|(key, fact)| {
        // The use of an unbound key proves nothing about the others.
        let all = if peer.is_some() { &facts[..] } else { &[] };
        // Without its date, it is unknown whether the key is still needed.
        key.first()?;
        let why = ratchet::useless(fact, all, keeping)?;
        let StoredOwnKey { id, path, .. } = key;
        Some(Spent { id, path, why })
    });
    Ok(Sorted {
        spent: spent.collect(),
        others,
    })
}

/// Deletes every key for this peer.
///
/// # Errors
/// When one cannot be deleted.
pub fn forget(root: &Path, peer: NodeId) -> Result<(), Error> {
    disk::files::remove_tree(&dir(root, Some(peer)), FileRole::Node)?;
    Ok(())
}
