//! The replay memory: `seen/<day of expiry>`, records of 32 octets.
//!
//! A record is the digest of a message's identity. Its file is named for the day on which the
//! message expires, after which the memory of it is no longer needed; `seen/floor` has the newest
//! expiry that was ever purged, below which nothing can be judged any more, and after the memory of an old
//! backup was restored, when that was: what was dated before may have been received since the backup.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::Error;
use super::directory::{damaged, ensure_dir, lock_file, read_text, rely_on, store};
use crate::crypto::hash::{Digest, Hasher};
use crate::disk::{Lock, Role, files, tree};
use crate::message::parts::TransferId;
use crate::pki::NodeId;
use crate::ramf::{Kind, SignedMessage};

/// Octets of a record.
const RECORD_LEN: usize = 32;

/// What stands for the kind of content that comes in parts, which is no kind of message.
const TRANSFER: u8 = 0xff;

/// The name of the file with the newest expiry ever purged.
pub(super) const FLOOR: &str = "floor";

/// What makes two messages the same: their kind, recipient, sender and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    record: [u8; RECORD_LEN],
    expiry: Timestamp,
    /// When the message was made, of one that may have to be judged by that.
    date: Option<Timestamp>,
}

impl Identity {
    /// The identity of a message.
    #[must_use]
    pub fn of(message: &SignedMessage) -> Self {
        let fields = message.fields();
        let identity = Self::new(
            message.kind(),
            fields.recipient,
            message.sender(),
            &fields.id,
            fields.expiry(),
        );
        Self {
            date: Some(fields.date),
            ..identity
        }
    }

    /// The identity of the message with these facts.
    #[must_use]
    pub fn new(kind: Kind, recipient: NodeId, sender: NodeId, id: &str, expiry: Timestamp) -> Self {
        Self::of_thing(kind.octet(), recipient, sender, id, expiry)
    }

    /// The identity of content that comes in parts.
    #[must_use]
    pub fn of_transfer(
        recipient: NodeId,
        sender: NodeId,
        transfer: TransferId,
        expiry: Timestamp,
    ) -> Self {
        let transfer = transfer.to_string();
        Self::of_thing(TRANSFER, recipient, sender, &transfer, expiry)
    }

    fn of_thing(kind: u8, recipient: NodeId, sender: NodeId, id: &str, expiry: Timestamp) -> Self {
        // Every part but the last has a fixed length, so no two identities hash the same octets.
        let mut hasher = Hasher::new(Digest::Sha256);
        hasher.update(&[kind]);
        hasher.update(recipient.digest());
        hasher.update(sender.digest());
        hasher.update(id.as_bytes());
        let mut record = [0; RECORD_LEN];
        record.copy_from_slice(hasher.finish().as_bytes());
        Self {
            record,
            expiry,
            date: None,
        }
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

    /// That the message was taken out of the cargo with this SHA-256, which has more that could not be taken yet.
    #[must_use]
    pub fn taken_from(&self, cargo: &[u8; 32]) -> Self {
        self.about(b"taken from", cargo)
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
            date: None,
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
    Ok(find(root, |record| *record == message.record)?.is_some()
        || Floor::of(root)?.covers(message))
}

/// Waits until all that is remembered is on the disk: a run may have been killed before it could do so. What is taken
/// for seen may be removed after this.
///
/// # Errors
/// When it cannot be listed or synced.
pub fn settle(root: &Path) -> Result<(), Error> {
    let seen = root.join("seen");
    for entry in tree::entries(&seen, Role::Node)?.entries {
        if entry.kind == tree::Kind::File {
            files::sync(&entry.path, Role::Node)?;
        }
    }
    for dir in [seen.as_path(), root] {
        files::sync_dir(dir, Role::Node)?;
    }
    Ok(())
}

/// The file with the first record that `is_it` says is the one.
fn find(
    root: &Path,
    mut is_it: impl FnMut(&[u8; RECORD_LEN]) -> bool,
) -> Result<Option<PathBuf>, Error> {
    for entry in tree::entries(&root.join("seen"), Role::Node)?.complete()? {
        if entry.kind != tree::Kind::File || entry.name == FLOOR {
            continue;
        }
        let mut is_found = false;
        files::each_record(&entry.path, Role::Node, |record| {
            is_found = is_it(record);
            if is_found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if is_found {
            return Ok(Some(entry.path));
        }
    }
    Ok(None)
}

/// The replay memory as it was read once, for a run that takes many messages and keeps others from taking the
/// same.
///
/// It holds the first eight octets of each record, and looks the rest up on the disk.
#[derive(Debug)]
pub struct Memory {
    root: PathBuf,
    beginnings: HashSet<u64>,
    /// Files that are on the disk for certain, as far as records were found in them.
    synced: Mutex<HashSet<PathBuf>>,
}

impl Memory {
    /// What a node remembers now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(root: &Path) -> Result<Self, Error> {
        let mut beginnings = HashSet::new();
        find(root, |record| {
            beginnings.insert(beginning(record));
            false
        })?;
        Ok(Self {
            root: root.to_owned(),
            beginnings,
            synced: Mutex::default(),
        })
    }

    /// Whether the message is remembered, for certain: the run that noted it may have been killed before that was
    /// synced. What was purged meanwhile does not count: this is for what arrived in time and has waited here
    /// since, be it longer than anything is remembered.
    ///
    /// # Errors
    /// When the memory cannot be read or synced.
    pub fn contains(&self, message: &Identity) -> Result<bool, Error> {
        if !self.beginnings.contains(&beginning(&message.record)) {
            return Ok(false);
        }
        let Some(day) = find(&self.root, |record| *record == message.record)? else {
            return Ok(false);
        };
        // Whoever panicked with the lock held had added nothing or all of a path.
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if !synced.contains(&day) {
            files::sync(&day, Role::Node)?;
            rely_on(&day)?;
            synced.insert(day);
        }
        Ok(true)
    }

    /// That of a node which is not told here: nothing.
    #[must_use]
    pub fn unknown(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            beginnings: HashSet::new(),
            synced: Mutex::default(),
        }
    }

    /// Whether this is remembered, as far as the beginning of its record tells.
    #[must_use]
    pub fn knows(&self, what: &Identity) -> bool {
        self.beginnings.contains(&beginning(&what.record))
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
        if messages.is_empty() {
            return Ok(());
        }
        let mut days: BTreeMap<String, Vec<[u8; RECORD_LEN]>> = BTreeMap::new();
        for message in messages {
            let day = days.entry(day_name(message.expiry)).or_default();
            day.push(message.record);
        }
        if days.is_empty() {
            return Ok(());
        }
        let seen = self.root.join("seen");
        let _lock = Lock::exclusive(&lock_file(&self.root, "seen")?)?;
        for (day, records) in days {
            let day = seen.join(day);
            if !files::exists(&day, Role::Node)? {
                ensure_dir(&self.root, &seen)?;
            }
            files::append_records(&day, Role::Node, &records)?;
            self.beginnings.extend(records.iter().map(beginning));
        }
        // A run that was killed may have made a file and appended a part of its records.
        files::sync_dir(&seen, Role::Node)?;
        Ok(())
    }
}

fn beginning(record: &[u8; RECORD_LEN]) -> u64 {
    let mut octets = [0; 8];
    octets.copy_from_slice(&record[..8]);
    u64::from_be_bytes(octets)
}

/// What is taken for seen without a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Floor {
    /// What expired until then, since the memory of it was purged.
    pub expiry: Option<Timestamp>,
    /// What was made until then, since the memory of it may be lost.
    pub dated: Option<Timestamp>,
}

/// What stands before the date until which everything is taken for seen.
const DATED: &str = "dated ";

impl Floor {
    /// What is taken for seen by a node.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read.
    pub fn of(root: &Path) -> Result<Self, Error> {
        Self::read(&root.join("seen").join(FLOOR))
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let mut floor = Self::default();
        for line in read_text(path)?.unwrap_or_default().lines() {
            let (place, time) = match line.strip_prefix(DATED) {
                Some(time) => (&mut floor.dated, time),
                None => (&mut floor.expiry, line),
            };
            *place = Some(time.parse().map_err(|_| damaged(path, &"not an instant"))?);
        }
        Ok(floor)
    }

    fn covers(&self, message: &Identity) -> bool {
        let is_dated = |date: Timestamp| self.dated.is_some_and(|dated| date <= dated);
        self.expiry.is_some_and(|floor| message.expiry <= floor)
            || message.date.is_some_and(is_dated)
    }
}

/// Takes all that `floor` covers for seen from now on; what was taken for seen before stays so.
///
/// # Errors
/// When that cannot be stored.
pub fn raise_floor(root: &Path, floor: Floor) -> Result<(), Error> {
    let path = root.join("seen").join(FLOOR);
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    let before = Floor::read(&path)?;
    let after = Floor {
        expiry: before.expiry.max(floor.expiry),
        dated: before.dated.max(floor.dated),
    };
    if after == before {
        return rely_on(&path);
    }
    let lines = [("", after.expiry), (DATED, after.dated)];
    let text: String = lines
        .iter()
        .filter_map(|(what, time)| time.map(|time| format!("{what}{time}\n")))
        .collect();
    store(root, &path, text.as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_floor_covers_what_expired_and_what_was_made_before() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("seen")).unwrap();
        let message = |date: &str, expiry: &str| {
            let node = NodeId::of_spki(b"node");
            Identity {
                date: Some(at(date)),
                ..Identity::new(Kind::Parcel, node, node, "x", at(expiry))
            }
        };
        let early = message("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
        let late = message("2026-03-02T00:00:00Z", "2026-04-02T00:00:00Z");
        let seen = || [&early, &late].map(|it| contains(dir.path(), it).unwrap());
        let raise = |expiry: Option<&str>, dated: Option<&str>| {
            let floor = Floor {
                expiry: expiry.map(at),
                dated: dated.map(at),
            };
            raise_floor(dir.path(), floor).unwrap();
        };
        assert_eq!(seen(), [false, false]);
        raise(Some("2026-04-01T00:00:00Z"), None);
        assert_eq!(seen(), [true, false]);
        // It never sinks.
        raise(Some("2026-01-01T00:00:00Z"), None);
        assert_eq!(seen(), [true, false]);
        raise(None, Some("2026-03-02T00:00:00Z"));
        assert_eq!(seen(), [true, true]);
        let text = std::fs::read_to_string(dir.path().join("seen/floor")).unwrap();
        assert_eq!(text, "2026-04-01T00:00:00Z\ndated 2026-03-02T00:00:00Z\n");
    }
}
