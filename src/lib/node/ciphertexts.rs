//! Who was first to send what: `sessions/any/<key-id>.senders` and `.senders.sorted`, with records
//! of 64 octets.
//!
//! A ciphertext says nothing of who made it. One that is sealed to a key that anybody may use can be
//! taken out of its parcel and be signed by somebody else, who cannot read it, but would be taken for
//! its author. So the node remembers who was first to send each. It remembers that as long as it has
//! the key: how long a parcel lasts is the choice of its signer.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::files::{lock_file, rely_on};
use super::{Error, ReplayKey, seen, sessions};
use crate::disk::sorted::{self, SortedRecords};
use crate::disk::{FileRole, Lock, files, tree};
use crate::pki::NodeId;
use crate::ramf::{Kind, SignedMessage};
use crate::session::{KeyId, Sealed};

/// The longest file that is left unsorted, in octets.
const MAX_TAIL: u64 = 64 * 1024;

/// Octets of a digest, and of an id.
const HALF: usize = 32;

/// The length of a record, in octets.
pub const RECORD_LEN: usize = 2 * HALF;

/// The digest of a ciphertext and the digest of its first sender.
type SenderRecord = [u8; RECORD_LEN];

/// A ciphertext with the sender of the parcel that holds it.
#[derive(Debug, Clone)]
pub struct Ciphertext {
    key: KeyId,
    digest: [u8; HALF],
    sender: NodeId,
}

impl Ciphertext {
    /// The ciphertext in a message; `None` if it is not about its author: only parcels have content
    /// that is not signed itself.
    #[must_use]
    pub fn of(message: &SignedMessage, sealed: &Sealed) -> Option<Self> {
        (message.kind() == Kind::Parcel).then(|| Self {
            key: sealed.recipient_key_id().clone(),
            digest: sealed.digest(),
            sender: message.sender(),
        })
    }

    /// The sender of the parcel.
    #[must_use]
    pub fn sender(&self) -> NodeId {
        self.sender
    }
}

/// Records who was first to send these, in order. Returns, for each, the first sender if that is
/// another. The records are on disk when this returns.
///
/// # Errors
/// When they cannot be read or stored.
pub fn record(root: &Path, sent: &[&Ciphertext]) -> Result<Vec<Option<NodeId>>, Error> {
    let mut others = vec![None; sent.len()];
    for (key, numbers) in by_key(sent) {
        let Some(files) = files_for(root, key)? else {
            continue;
        };
        let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
        let mut known = FirstSenders::of(files)?;
        let (mut new, mut is_relied_on) = (Vec::new(), false);
        for number in numbers {
            let Ciphertext { digest, sender, .. } = sent[number];
            match known.first(digest)? {
                Some(first) if first == *sender => is_relied_on = true,
                Some(first) => others[number] = Some(first),
                None => {
                    known.tail.insert(*digest, *sender);
                    let mut record = [0; 2 * HALF];
                    record[..HALF].copy_from_slice(digest);
                    record[HALF..].copy_from_slice(sender.digest());
                    new.push(record);
                }
            }
        }
        known.add(&new, is_relied_on)?;
    }
    Ok(others)
}

/// As [`record`], but records nothing.
///
/// # Errors
/// When the records cannot be read.
pub fn others(root: &Path, sent: &[&Ciphertext]) -> Result<Vec<Option<NodeId>>, Error> {
    let mut others = vec![None; sent.len()];
    for (key, numbers) in by_key(sent) {
        let Some(files) = files_for(root, key)? else {
            continue;
        };
        let known = FirstSenders::of(files)?;
        for number in numbers {
            let first = known.first(&sent[number].digest)?;
            others[number] = first.filter(|first| *first != sent[number].sender);
        }
    }
    Ok(others)
}

/// Records that the user wants this message, if another sender sent its ciphertext first.
///
/// # Errors
/// When the records cannot be read or stored.
pub fn vouch(root: &Path, message: &SignedMessage) -> Result<(), Error> {
    let sealed = Sealed::parse(message.payload()).ok();
    let Some(ciphertext) = sealed.and_then(|sealed| Ciphertext::of(message, &sealed)) else {
        return Ok(());
    };
    let accepted = ReplayKey::of(message).whoever_wrote_it();
    if others(root, &[&ciphertext])? == [None]
        || seen::recall(root, &accepted)? == seen::Recall::Seen
    {
        return Ok(());
    }
    seen::add(root, &accepted)
}

fn by_key<'a>(sent: &[&'a Ciphertext]) -> BTreeMap<&'a KeyId, Vec<usize>> {
    let mut numbers: BTreeMap<&KeyId, Vec<usize>> = BTreeMap::new();
    for (number, one) in sent.iter().enumerate() {
        numbers.entry(&one.key).or_default().push(number);
    }
    numbers
}

/// The files for a key that anybody may use; `None` for other keys.
fn files_for(root: &Path, key: &KeyId) -> Result<Option<[PathBuf; 2]>, Error> {
    let path = sessions::unbound_path(root, key);
    let is_unbound = files::exists(&path, FileRole::Node)?;
    Ok(is_unbound.then(|| sessions::senders_of(&path)))
}

/// The records for a key.
struct FirstSenders {
    tail: HashMap<[u8; HALF], NodeId>,
    sorted: Option<SortedRecords<{ 2 * HALF }>>,
    paths: [PathBuf; 2],
}

impl FirstSenders {
    fn of(paths: [PathBuf; 2]) -> Result<Self, Error> {
        let mut tail = HashMap::new();
        // The tail first: its records may move meanwhile, and never back.
        files::each_record(&paths[0], FileRole::Node, |record: &SenderRecord| {
            let (digest, sender) = halves(record);
            tail.entry(digest).or_insert(sender);
            ControlFlow::Continue(())
        })?;
        let sorted = SortedRecords::open(&paths[1], FileRole::Node)?;
        Ok(Self {
            tail,
            sorted,
            paths,
        })
    }

    fn first(&self, digest: &[u8; HALF]) -> Result<Option<NodeId>, Error> {
        let sorted = || match &self.sorted {
            Some(sorted) => sorted.find(digest, &self.paths[1], FileRole::Node),
            None => Ok(None),
        };
        Ok(match self.tail.get(digest) {
            Some(sender) => Some(*sender),
            None => sorted()?.map(|record| halves(&record).1),
        })
    }

    fn add(&self, new: &[SenderRecord], is_relied_on: bool) -> Result<(), Error> {
        let [tail, sorted] = &self.paths;
        if !new.is_empty() {
            files::append_records(tail, FileRole::Node, new)?;
            let len = tree::stat(tail, FileRole::Node)?.map_or(0, |stat| stat.len);
            if len > MAX_TAIL {
                sorted::merge::<{ 2 * HALF }>(tail, sorted, FileRole::Node)?;
            }
        } else if is_relied_on && !self.tail.is_empty() {
            // The run that added it may have been killed before it synced it.
            files::sync(tail, FileRole::Node)?;
            rely_on(tail)?;
        }
        Ok(())
    }
}

fn halves(record: &SenderRecord) -> ([u8; HALF], NodeId) {
    let (mut digest, mut sender) = ([0; HALF], [0; HALF]);
    digest.copy_from_slice(&record[..HALF]);
    sender.copy_from_slice(&record[HALF..]);
    (digest, NodeId::of_digest(sender))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"key";

    fn sent(by: &str, number: usize) -> Ciphertext {
        let mut digest = [0; HALF];
        // Spread like digests.
        let number = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        digest[..8].copy_from_slice(&number.to_be_bytes());
        Ciphertext {
            key: KeyId::new(KEY).unwrap(),
            digest,
            sender: NodeId::of_spki(by.as_bytes()),
        }
    }

    fn record_all(root: &Path, sent: &[Ciphertext]) -> Vec<Option<NodeId>> {
        record(root, &sent.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_first_sender_of_each_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::write(root.join("VERSION"), "1\n").unwrap();
        let bob = Some(NodeId::of_spki(b"bob"));
        let key = sessions::unbound_path(root, &KeyId::new(KEY).unwrap());
        std::fs::create_dir_all(key.parent().unwrap()).unwrap();
        // Only the peer may use another key, so nothing is recorded for it.
        assert_eq!(
            record_all(root, &[sent("bob", 0), sent("eve", 0)]),
            [None, None]
        );
        std::fs::write(&key, "").unwrap();
        // To look records nothing.
        assert_eq!(others(root, &[&sent("eve", 0)]).unwrap(), [None]);
        assert_eq!(
            record_all(root, &[sent("bob", 0), sent("eve", 0)]),
            [None, bob]
        );
        let [tail, sorted] = sessions::senders_of(&key);
        // More than fit into the file that grows, at once and one by one.
        for numbers in [1..1100, 1100..1101, 1101..2500, 2500..2501] {
            let all: Vec<_> = numbers.clone().map(|number| sent("bob", number)).collect();
            assert!(record_all(root, &all).iter().all(Option::is_none));
            let stolen: Vec<_> = (0..numbers.end).map(|number| sent("eve", number)).collect();
            assert!(record_all(root, &stolen).iter().all(|first| *first == bob));
            let ours = (0..numbers.end).map(|number| sent("bob", number));
            let ours: Vec<_> = ours.collect();
            assert!(record_all(root, &ours).iter().all(Option::is_none));
        }
        assert!(tail.exists() && sorted.exists());
        let len = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert_eq!(len(&tail) + len(&sorted), 2501 * 64);
    }
}
