//! The replay memory: `seen/<day of expiry>`, records of 32 octets.
//!
//! A record is the digest of a message's identity. Its file is named for the day on which the
//! message expires, after which the memory of it is no longer needed; `seen/floor` has the newest
//! expiry that was ever purged, below which nothing can be judged any more.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Error;
use super::directory::{damaged, ensure_dir, lock_file, read_text, rely_on, store};
use crate::crypto::hash::{Digest, Hasher};
use crate::disk::{Lock, Role, files, tree};
use crate::pki::NodeId;
use crate::ramf::{Kind, SignedMessage};

/// Octets of a record.
const RECORD_LEN: usize = 32;

/// The longest file that is read, in octets: 30 million messages of one day.
const MAX_FILE_LEN: usize = 1 << 30;

/// The name of the file with the newest expiry ever purged.
pub(super) const FLOOR: &str = "floor";

/// What makes two messages the same: their kind, recipient, sender and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    record: [u8; RECORD_LEN],
    expiry: Timestamp,
}

impl Identity {
    /// The identity of a message.
    #[must_use]
    pub fn of(message: &SignedMessage) -> Self {
        let fields = message.fields();
        Self::new(
            message.kind(),
            fields.recipient,
            message.sender(),
            &fields.id,
            fields.expiry(),
        )
    }

    /// The identity of the message with these facts.
    #[must_use]
    pub fn new(kind: Kind, recipient: NodeId, sender: NodeId, id: &str, expiry: Timestamp) -> Self {
        // Every part but the last has a fixed length, so no two identities hash the same octets.
        let mut hasher = Hasher::new(Digest::Sha256);
        hasher.update(&[kind.octet()]);
        hasher.update(recipient.digest());
        hasher.update(sender.digest());
        hasher.update(id.as_bytes());
        let mut record = [0; RECORD_LEN];
        record.copy_from_slice(hasher.finish().as_bytes());
        Self { record, expiry }
    }
}

impl Identity {
    /// That the message was passed on to a next hop, for the `nth` time, counted from 0, and is not held any more.
    #[must_use]
    pub fn passed_on(&self, nth: u8) -> Self {
        self.about(b"passed on", &[nth])
    }

    /// That this hop was the first to bring the message.
    #[must_use]
    pub fn brought_by(&self, hop: NodeId) -> Self {
        self.about(b"brought by", hop.digest())
    }

    /// Something that is known of the message. No kind of message is 0, so this is no message's identity.
    fn about(&self, what: &[u8], more: &[u8]) -> Self {
        let mut hasher = Hasher::new(Digest::Sha256);
        hasher.update(&[0]);
        hasher.update(&self.record);
        hasher.update(what);
        hasher.update(more);
        let mut record = [0; RECORD_LEN];
        record.copy_from_slice(hasher.finish().as_bytes());
        Self {
            record,
            expiry: self.expiry,
        }
    }
}

/// The name of the file for what happens on this day: `2027-05-22`.
pub(super) fn day_name(at: Timestamp) -> String {
    jiff::tz::Offset::UTC.to_datetime(at).date().to_string()
}

/// Whether the message was remembered, or can no longer be judged. The same identity counts on
/// whatever day it expires.
///
/// # Errors
/// When the memory cannot be read.
pub fn contains(root: &Path, message: &Identity) -> Result<bool, Error> {
    let seen = root.join("seen");
    for entry in tree::entries(&seen, Role::Node)?.complete()? {
        if entry.kind != tree::Kind::File {
            continue;
        }
        if entry.name == FLOOR {
            if message.expiry <= floor(&entry.path)? {
                return Ok(true);
            }
        } else {
            let records = files::read(&entry.path, Role::Node, MAX_FILE_LEN)?;
            // A torn record at the end was never relied upon.
            if records
                .chunks_exact(RECORD_LEN)
                .any(|record| record == message.record)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The replay memory, read once for many messages.
#[derive(Debug)]
pub struct Memory {
    root: PathBuf,
    records: HashSet<[u8; RECORD_LEN]>,
    floor: Option<Timestamp>,
}

impl Memory {
    /// What a node remembers now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(root: &Path) -> Result<Self, Error> {
        let mut memory = Self {
            root: root.to_owned(),
            records: HashSet::new(),
            floor: None,
        };
        for entry in tree::entries(&root.join("seen"), Role::Node)?.complete()? {
            if entry.kind != tree::Kind::File {
                continue;
            }
            if entry.name == FLOOR {
                memory.floor = Some(floor(&entry.path)?);
            } else {
                let records = files::read(&entry.path, Role::Node, MAX_FILE_LEN)?;
                memory.records.extend(records.as_chunks().0);
            }
        }
        Ok(memory)
    }

    /// That of a node which is not told here: nothing.
    #[must_use]
    pub fn unknown(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            records: HashSet::new(),
            floor: None,
        }
    }

    /// As [`contains`].
    #[must_use]
    pub fn contains(&self, message: &Identity) -> bool {
        self.floor.is_some_and(|floor| message.expiry <= floor)
            || self.records.contains(&message.record)
    }

    /// Whether this was remembered; what can no longer be judged was not.
    #[must_use]
    pub fn knows(&self, what: &Identity) -> bool {
        self.records.contains(&what.record)
    }

    /// How often the message was passed on; see [`Identity::passed_on`].
    #[must_use]
    pub fn times_passed_on(&self, message: &Identity) -> u8 {
        (0..u8::MAX)
            .find(|nth| !self.knows(&message.passed_on(*nth)))
            .unwrap_or(u8::MAX)
    }

    /// Remembers that these messages were passed on once more.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn pass_on(&mut self, messages: &[Identity]) -> Result<(), Error> {
        let passed: Vec<Identity> = messages
            .iter()
            .map(|message| message.passed_on(self.times_passed_on(message)))
            .collect();
        self.add_all(&passed)
    }

    /// Remembers messages; they are on disk when this returns.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub fn add_all(&mut self, messages: &[Identity]) -> Result<(), Error> {
        let mut days: BTreeMap<String, Vec<[u8; RECORD_LEN]>> = BTreeMap::new();
        for message in messages {
            let day = days.entry(day_name(message.expiry)).or_default();
            day.push(message.record);
        }
        let seen = self.root.join("seen");
        let _lock = Lock::exclusive(&lock_file(&self.root, "seen")?)?;
        for (day, records) in days {
            let day = seen.join(day);
            if !files::exists(&day, Role::Node)? {
                ensure_dir(&self.root, &seen)?;
            }
            files::append_records(&day, Role::Node, &records)?;
            self.records.extend(records);
        }
        Ok(())
    }
}

fn floor(path: &Path) -> Result<Timestamp, Error> {
    let text = read_text(path)?.unwrap_or_default();
    text.trim()
        .parse()
        .map_err(|_| damaged(path, &"not an instant"))
}

/// Takes all that expired until `newest` for seen from now on, so that the memory of it can be removed. What
/// was taken for seen before stays so.
///
/// # Errors
/// When that cannot be stored.
pub fn raise_floor(root: &Path, newest: Timestamp) -> Result<(), Error> {
    let path = root.join("seen").join(FLOOR);
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    if files::exists(&path, Role::Node)? && floor(&path)? >= newest {
        return rely_on(&path);
    }
    store(root, &path, format!("{newest}\n").as_bytes())
}

/// Remembers the message; it is on disk when this returns.
///
/// # Errors
/// When it cannot be stored.
pub fn add(root: &Path, message: &Identity) -> Result<(), Error> {
    let seen = root.join("seen");
    let day = seen.join(day_name(message.expiry));
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    if !files::exists(&day, Role::Node)? {
        ensure_dir(root, &seen)?;
    }
    files::append_record(&day, Role::Node, &message.record)?;
    Ok(())
}
