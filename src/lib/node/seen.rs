//! The replay memory: `seen/<day of expiry>` and `seen/<day of expiry>.sorted`, with records of 32
//! octets.
//!
//! A record is a digest of what makes a message unique ([`ReplayKey`]). Its file is named for the
//! day on which the message expires; after that day the record is not needed. `seen/floor` says for
//! which messages records may be missing: those that expired until the newest purged day, and in a
//! node restored from a backup, those dated before the restoration.
//!
//! So there are three answers ([`Recall`]). Only a record proves that a message was received
//! before. A message without a record that the floor covers may be new or a repetition, and the
//! user decides.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use jiff::Timestamp;

use super::Error;
use super::day::day_name;
use super::files::{damaged, ensure_dir, lock_file, read_text, rely_on, store};
pub(crate) use super::seen_days::FLOOR;
use super::seen_days::{self, SeenRecord, Sorted};
pub use super::seen_days::{RECORD_LEN, end_of_seen_day};
use crate::crypto::hash::{Digest, Hasher};
use crate::disk::files::FileVersion;
use crate::disk::{FileRole, Lock, files, tree};
use crate::message::parts::TransferId;
use crate::pipeline::mutex;
use crate::pki::{NodeId, Window};
use crate::ramf::{Kind, SignedMessage};

/// In place of the kind octet, for content in parts; no kind of message has this value.
const TRANSFER: u8 = 0xff;

/// The identity of a message: its kind, recipient, sender and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplayKey {
    record: [u8; RECORD_LEN],
    expiry: Timestamp,
    /// The date, if the floor applies to the message: for parcels and cargo.
    date: Option<Timestamp>,
}

/// The answer of the replay memory about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// It was not received before.
    New,
    /// It was received before: there is a record.
    Seen,
    /// Unknown: there is no record, but the floor covers the message, so a record may have been
    /// purged or lost.
    Unjudged,
}

impl ReplayKey {
    /// The key of a message.
    ///
    /// The floor does not apply to a CCA. To answer one twice costs only a cargo, but a refused one
    /// keeps its gateway waiting, since that sends no other while this one is valid.
    #[must_use]
    pub fn of(message: &SignedMessage) -> Self {
        let fields = message.fields();
        let is_covered = matches!(message.kind(), Kind::Parcel | Kind::Cargo);
        let identity = Self::new(
            message.kind(),
            fields.recipient,
            message.sender(),
            &fields.id,
            fields.expiry(),
        );
        Self {
            date: is_covered.then_some(fields.date),
            ..identity
        }
    }

    /// The key of the message with these facts.
    #[must_use]
    pub fn new(kind: Kind, recipient: NodeId, sender: NodeId, id: &str, expiry: Timestamp) -> Self {
        Self::of_thing(kind.octet(), recipient, sender, id, expiry)
    }

    /// The key of content in parts.
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
        // All inputs but the last have a fixed length, so no two keys hash the same octets.
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

impl ReplayKey {
    /// The record that the message was passed on to a next hop for the `nth` time, counted from 0,
    /// and left this node.
    #[must_use]
    pub fn passed_on(&self, nth: u8) -> Self {
        self.about(b"passed on", &[nth])
    }

    /// The record that this hop was the first to bring the message.
    #[must_use]
    pub fn brought_by(&self, hop: NodeId) -> Self {
        self.about(b"brought by", hop.digest())
    }

    /// The record that the message was taken from the cargo with this SHA-256, of which other
    /// messages could not be taken yet.
    #[must_use]
    pub fn taken_from(&self, cargo: &[u8; 32]) -> Self {
        self.about(b"taken from", cargo)
    }

    /// The record that the user accepts the message although another sender sent its ciphertext
    /// first.
    #[must_use]
    pub fn whoever_wrote_it(&self) -> Self {
        self.about(b"whoever wrote it", &[])
    }

    /// The record that the user accepts the message although its sender has sent too many.
    #[must_use]
    pub fn whatever_its_rate(&self) -> Self {
        self.about(b"whatever its rate", &[])
    }

    /// What makes the message unique, as a digest.
    pub(super) fn digest(&self) -> &[u8; RECORD_LEN] {
        &self.record
    }

    /// The record that the user accepts the message although this floor covers it. After a later
    /// restoration raises the floor, the record no longer counts.
    fn vouched_for(&self, floor: Floor) -> Self {
        // Only the date of a restoration is part of it: a purge raises the other date, and must not
        // revoke the user's word.
        let dated = floor.dated.map_or(i64::MIN, Timestamp::as_second);
        self.about(b"vouched for", &dated.to_be_bytes())
    }

    /// A record of a fact about the message. No kind of message is 0, so it never equals the key of
    /// a message.
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

/// Looks a message up. A record counts whatever its expiry.
///
/// # Errors
/// When the memory cannot be read.
pub fn recall(root: &Path, message: &ReplayKey) -> Result<Recall, Error> {
    if is_recorded(root, &message.record)? {
        return Ok(Recall::Seen);
    }
    let floor = Floor::of(root)?;
    if !floor.covers(message) {
        return Ok(Recall::New);
    }
    let vouched = message.vouched_for(floor).record;
    let is_vouched = is_recorded(root, &vouched)?;
    Ok(if is_vouched {
        Recall::New
    } else {
        Recall::Unjudged
    })
}

/// Records that the user accepts this message although the floor covers it.
///
/// # Errors
/// When the memory cannot be read or written.
pub fn vouch(root: &Path, message: &ReplayKey) -> Result<(), Error> {
    match recall(root, message)? {
        Recall::Unjudged => add(root, &message.vouched_for(Floor::of(root)?)),
        Recall::New | Recall::Seen => Ok(()),
    }
}

/// Syncs the whole memory, since a killed run may not have synced its records. After this, messages
/// with a record may be removed.
///
/// # Errors
/// When it cannot be listed or synced.
pub fn settle(root: &Path) -> Result<(), Error> {
    let seen = root.join("seen");
    for entry in tree::entries(&seen, FileRole::Node)?.entries {
        if entry.kind == tree::EntryKind::File {
            files::sync(&entry.path, FileRole::Node)?;
        }
    }
    for dir in [seen.as_path(), root] {
        files::sync_dir(dir, FileRole::Node)?;
    }
    Ok(())
}

/// Whether there is a record like this, in a sorted file or a tail.
fn is_recorded(root: &Path, record: &SeenRecord) -> Result<bool, Error> {
    let seen = root.join("seen");
    for day in seen_days::days(&seen)? {
        if is_in_tail(&day, record)?
            || Sorted::of(&day, false)?.map_or(Ok(false), |sorted| sorted.contains(record))?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_in_tail(day: &Path, record: &SeenRecord) -> Result<bool, Error> {
    let mut is_found = false;
    seen_days::each_of_tail(day, |other| {
        is_found = other == record;
        if is_found {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(is_found)
}

/// The replay memory, for a run that takes many messages. The run holds a lock that keeps others
/// from taking the same ones.
///
/// It holds the first 16 octets of each record of the tails, and searches sorted days where they
/// are.
#[derive(Debug)]
pub struct Memory {
    root: PathBuf,
    beginnings: HashSet<u128>,
    sorted: HashMap<PathBuf, Sorted>,
    /// The two files of each day as they were when they were read.
    versions: HashMap<PathBuf, [Option<FileVersion>; 2]>,
    floor: Floor,
    /// When the file of the floor was modified last.
    raised: Option<Timestamp>,
    /// Files that this run has synced.
    synced: Mutex<HashSet<PathBuf>>,
    /// Files of which this run has synced the name.
    named: HashSet<PathBuf>,
}

impl Memory {
    /// Reads the memory of a node.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(root: &Path) -> Result<Self, Error> {
        let seen = root.join("seen");
        for day in seen_days::days(&seen)? {
            // Who may not write here, or has no room, reads all of it.
            let _ = seen_days::sort_if_long(root, &day);
        }
        let mut memory = Self::unknown(root);
        memory.refresh()?;
        Ok(memory)
    }

    /// Reads what other runs have recorded since.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let seen = self.root.join("seen");
        for day in seen_days::days(&seen)? {
            // Before it is read: what is appended meanwhile is read again.
            let versions = seen_days::versions(&day);
            if self.versions.get(&day) == Some(&versions) {
                continue;
            }
            seen_days::each_of_tail(&day, |record| {
                self.beginnings.insert(beginning(record));
                ControlFlow::Continue(())
            })?;
            if let Some(sorted) = Sorted::of(&day, true)? {
                self.sorted.insert(day.clone(), sorted);
            }
            self.versions.insert(day, versions);
        }
        self.floor = Floor::of(&self.root)?;
        self.raised = raised(&self.root)?.and_then(|time| Timestamp::try_from(time).ok());
        Ok(())
    }

    /// Looks up a message at `now`, which waits in a file last written at `stored`.
    ///
    /// As [`recall`], except that the floor of a purge does not apply to a message that was stored
    /// before that purge, however late it is delivered. A floor file from the future was written
    /// under a wrong clock, so its time proves nothing.
    ///
    /// # Errors
    /// When the memory cannot be read or synced.
    pub fn recall(
        &self,
        message: &ReplayKey,
        stored: Timestamp,
        now: Timestamp,
    ) -> Result<Recall, Error> {
        if self.contains(message)? {
            return Ok(Recall::Seen);
        }
        let is_older = |raised: Timestamp| stored < raised && raised <= now;
        let floor = Floor {
            expiry: self
                .floor
                .expiry
                .filter(|_| !self.raised.is_some_and(is_older)),
            ..self.floor
        };
        Ok(
            if floor.covers(message) && !self.contains(&message.vouched_for(self.floor))? {
                Recall::Unjudged
            } else {
                Recall::New
            },
        )
    }

    /// Whether there is a record of this on disk. Its file is synced, since the run that added the
    /// record may have been killed before it did.
    ///
    /// # Errors
    /// When the memory cannot be read or synced.
    pub fn contains(&self, message: &ReplayKey) -> Result<bool, Error> {
        if self.is_sorted(&message.record)? {
            return Ok(true);
        }
        if !self.beginnings.contains(&beginning(&message.record)) {
            return Ok(false);
        }
        for day in seen_days::days(&self.root.join("seen"))? {
            if is_in_tail(&day, &message.record)? {
                // A thread that panicked with the lock held had added no path or a whole one.
                let mut synced = mutex::lock(&self.synced);
                if !synced.contains(&day) {
                    files::sync(&day, FileRole::Node)?;
                    rely_on(&day)?;
                    synced.insert(day);
                }
                return Ok(true);
            }
        }
        // Another run may have sorted it since.
        is_recorded(&self.root, &message.record)
    }

    fn is_sorted(&self, record: &SeenRecord) -> Result<bool, Error> {
        for day in self.sorted.values() {
            if day.contains(record)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An empty memory, for a node whose own cannot be read.
    #[must_use]
    pub fn unknown(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            beginnings: HashSet::new(),
            sorted: HashMap::new(),
            versions: HashMap::new(),
            floor: Floor::default(),
            raised: None,
            synced: Mutex::default(),
            named: HashSet::new(),
        }
    }

    /// Whether this is recorded. Of records that were not sorted yet 128 bits are compared, and
    /// nothing waits for the disk.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn knows(&self, what: &ReplayKey) -> Result<bool, Error> {
        Ok(self.beginnings.contains(&beginning(&what.record)) || self.is_sorted(&what.record)?)
    }

    /// How often the message was passed on, see [`ReplayKey::passed_on`].
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn times_passed_on(&self, message: &ReplayKey) -> Result<u8, Error> {
        for nth in 0..u8::MAX {
            if !self.knows(&message.passed_on(nth))? {
                return Ok(nth);
            }
        }
        Ok(u8::MAX)
    }

    /// Records that these messages were passed on once more.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn pass_on(&mut self, messages: &[ReplayKey]) -> Result<(), Error> {
        let mut passed = Vec::with_capacity(messages.len());
        for message in messages {
            passed.push(message.passed_on(self.times_passed_on(message)?));
        }
        self.add_all(&passed)
    }

    /// Records messages. The records are on disk when this returns.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub fn add_all(&mut self, messages: &[ReplayKey]) -> Result<(), Error> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut days: BTreeMap<String, Vec<SeenRecord>> = BTreeMap::new();
        for message in messages {
            let day = days.entry(day_name(message.expiry)).or_default();
            day.push(message.record);
        }
        let seen = self.root.join("seen");
        let _lock = Lock::exclusive(&lock_file(&self.root, "seen")?)?;
        let mut unnamed = Vec::new();
        for (day, records) in days {
            let day = seen.join(day);
            let is_new = !files::exists(&day, FileRole::Node)?;
            if is_new {
                ensure_dir(&self.root, &seen)?;
            }
            files::append_records(&day, FileRole::Node, &records)?;
            self.beginnings.extend(records.iter().map(beginning));
            if is_new || !self.named.contains(&day) {
                unnamed.push(day.clone());
            }
            seen_days::sort_after_append(&day)?;
        }
        // A run that was killed may have made a file and appended a part of its records. A file
        // that is new, or new again since it was sorted, is synced with its name.
        if !unnamed.is_empty() {
            files::sync_dir(&seen, FileRole::Node)?;
            self.named.extend(unnamed);
        }
        Ok(())
    }
}

fn beginning(record: &SeenRecord) -> u128 {
    let mut octets = [0; 16];
    octets.copy_from_slice(&record[..16]);
    u128::from_be_bytes(octets)
}

/// The messages whose records may be missing: without a record, they may have been received before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Floor {
    /// Messages that expired until this time: their records were purged.
    pub expiry: Option<Timestamp>,
    /// Messages dated until this time: their records may be lost with a backup.
    pub dated: Option<Timestamp>,
}

/// The prefix of the line for [`Floor::dated`].
const DATED: &str = "dated ";

impl Floor {
    /// Reads the floor of a node.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read.
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

    fn covers(&self, message: &ReplayKey) -> bool {
        let is_covered = |date: Timestamp| {
            self.expiry.is_some_and(|floor| message.expiry <= floor)
                || self.dated.is_some_and(|dated| date <= dated)
        };
        message.date.is_some_and(is_covered)
    }
}

/// When the floor was raised last, by the clock of the file system; `None` if it never was.
///
/// # Errors
/// When its file cannot be examined.
pub fn raised(root: &Path) -> Result<Option<SystemTime>, Error> {
    let floor = tree::stat(&root.join("seen").join(FLOOR), FileRole::Node)?;
    Ok(floor.map(|stat| stat.modified))
}

/// Raises the floor after a purge: without a record, messages that expired until `expiry` can no
/// longer be judged. It is never lowered.
///
/// # Errors
/// When that cannot be stored.
pub fn raise_floor(root: &Path, expiry: Timestamp) -> Result<(), Error> {
    change_floor(root, |before| Floor {
        expiry: before.expiry.max(Some(expiry)),
        ..before
    })
}

/// Raises the floor after a restoration: without a record, messages dated until `now` can no longer
/// be judged.
///
/// It is lowered only from a time in the future of `window`. Then an earlier restoration ran under
/// a clock that was ahead, and everything received before it was dated before `now`.
///
/// # Errors
/// When that cannot be stored.
pub fn restore_floor(root: &Path, now: Timestamp, window: &Window) -> Result<(), Error> {
    change_floor(root, |before| Floor {
        dated: before
            .dated
            .filter(|dated| !window.is_before(*dated))
            .max(Some(now)),
        ..before
    })
}

fn change_floor(root: &Path, change: impl FnOnce(Floor) -> Floor) -> Result<(), Error> {
    let path = root.join("seen").join(FLOOR);
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    let before = Floor::read(&path)?;
    let after = change(before);
    if after == before {
        // A killed run may not have synced the file that the caller relies on.
        return rely_on(&path);
    }
    let lines = [("", after.expiry), (DATED, after.dated)];
    let text: String = lines
        .iter()
        .filter_map(|(what, time)| time.map(|time| format!("{what}{time}\n")))
        .collect();
    store(root, &path, text.as_bytes())
}

/// Records a message. The record is on disk when this returns.
///
/// # Errors
/// When it cannot be stored.
pub fn add(root: &Path, message: &ReplayKey) -> Result<(), Error> {
    let seen = root.join("seen");
    let day = seen.join(day_name(message.expiry));
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    if !files::exists(&day, FileRole::Node)? {
        ensure_dir(root, &seen)?;
    }
    files::append_record(&day, FileRole::Node, &message.record)?;
    seen_days::sort_after_append(&day)
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
            ReplayKey {
                date: Some(at(date)),
                ..ReplayKey::new(Kind::Parcel, node, node, date, at(expiry))
            }
        };
        let early = message("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
        let late = message("2026-03-02T00:00:00Z", "2026-04-02T00:00:00Z");
        let seen = || [&early, &late].map(|it| recall(dir.path(), it).unwrap() == Recall::Unjudged);
        let raise = |expiry: Option<&str>, dated: Option<&str>| {
            if let Some(expiry) = expiry {
                raise_floor(dir.path(), at(expiry)).unwrap();
            }
            if let Some(dated) = dated {
                let window = Window::new(at(dated), jiff::SignedDuration::from_hours(2));
                restore_floor(dir.path(), at(dated), &window).unwrap();
            }
        };
        assert_eq!(seen(), [false, false]);
        raise(Some("2026-04-01T00:00:00Z"), None);
        assert_eq!(seen(), [true, false]);
        // What was stored before has arrived before, but not what has the same time: that was given to it.
        let raised = Timestamp::try_from(raised(dir.path()).unwrap().unwrap()).unwrap();
        let memory = Memory::of(dir.path()).unwrap();
        for (earlier, answer) in [(1, Recall::New), (0, Recall::Unjudged)] {
            let stored = raised - jiff::SignedDuration::from_nanos(earlier);
            let recalled = memory.recall(&early, stored, Timestamp::MAX);
            assert_eq!(recalled.unwrap(), answer, "{earlier}");
        }
        // It is never lowered.
        raise(Some("2026-01-01T00:00:00Z"), None);
        assert_eq!(seen(), [true, false]);
        raise(None, Some("2026-03-02T00:00:00Z"));
        assert_eq!(seen(), [true, true]);
        let text = std::fs::read_to_string(dir.path().join("seen/floor")).unwrap();
        assert_eq!(text, "2026-04-01T00:00:00Z\ndated 2026-03-02T00:00:00Z\n");
        // A record wins over the floor, and both lookups agree.
        add(dir.path(), &late).unwrap();
        let asked = |it: &ReplayKey| {
            let answer = recall(dir.path(), it).unwrap();
            let memory = Memory::of(dir.path()).unwrap();
            let recalled = memory.recall(it, Timestamp::MAX, Timestamp::MAX);
            assert_eq!(recalled.unwrap(), answer);
            answer
        };
        assert_eq!(asked(&late), Recall::Seen);
        assert_eq!(asked(&early), Recall::Unjudged);
        vouch(dir.path(), &early).unwrap();
        assert_eq!(asked(&early), Recall::New);
        // The memory was lost again after the user vouched for the message.
        raise(None, Some("2026-03-05T00:00:00Z"));
        assert_eq!(asked(&early), Recall::Unjudged);
        vouch(dir.path(), &early).unwrap();
        add(dir.path(), &early).unwrap();
        assert_eq!(asked(&early), Recall::Seen);
    }

    #[test]
    fn sorted_days_and_tails_are_one_memory() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        std::fs::create_dir(&seen).unwrap();
        let node = NodeId::of_spki(b"node");
        let keys = |ids: std::ops::Range<u32>| -> Vec<ReplayKey> {
            let key = |id: u32| {
                let expiry = at(["2026-04-01T10:00:00Z", "2026-04-02T00:00:00Z"][id as usize % 2]);
                ReplayKey::new(Kind::Parcel, node, node, &id.to_string(), expiry)
            };
            ids.map(key).collect()
        };
        let all_known = |memory: &Memory, ids| {
            keys(ids).iter().all(|key| {
                let known = memory.knows(key).unwrap();
                assert_eq!(known, memory.contains(key).unwrap());
                known
            })
        };
        let names = || -> Vec<String> {
            let entries = tree::entries(&seen, FileRole::Node).unwrap().entries;
            entries
                .iter()
                .map(|it| it.name.to_str().unwrap().to_owned())
                .collect()
        };
        // A day as older versions left it, longer than a tail may be, with a torn record.
        let old: Vec<SeenRecord> = keys(0..5000).iter().map(|key| key.record).collect();
        let torn = [old.as_flattened(), b"torn"].concat();
        std::fs::write(seen.join("2026-04-01"), &torn).unwrap();
        let mut memory = Memory::of(dir.path()).unwrap();
        assert_eq!(names(), ["2026-04-01.sorted"]);
        assert!(all_known(&memory, 0..5000));
        assert!(
            !keys(5000..9000)
                .iter()
                .any(|key| memory.knows(key).unwrap())
        );
        // Any day can have a record, and a killed run may have left it in both files.
        std::fs::write(seen.join("2026-04-01"), &torn[..3200]).unwrap();
        for ids in [5000..5001, 5001..5300, 5300..9800, 9800..9801] {
            memory.add_all(&keys(ids.clone())).unwrap();
            assert!(all_known(&memory, 0..ids.end));
            let again = Memory::of(dir.path()).unwrap();
            assert!(all_known(&again, 0..ids.end));
            let later = keys(ids.end..ids.end + 100);
            assert!(!later.iter().any(|key| again.knows(key).unwrap()));
            let [last, next] = [ids.end - 1, ids.end].map(|id| keys(id..id + 1).remove(0));
            assert_eq!(recall(dir.path(), &last).unwrap(), Recall::Seen);
            assert_eq!(recall(dir.path(), &next).unwrap(), Recall::New);
        }
        let days = ["2026-04-01", "2026-04-02"];
        let expected = ["2026-04-01", "2026-04-01.sorted", "2026-04-02.sorted"];
        assert_eq!(names(), expected);
        for day in days {
            let sorted = std::fs::read(seen.join(day.to_owned() + ".sorted")).unwrap();
            let records = sorted.as_chunks::<RECORD_LEN>().0;
            assert!(records.is_sorted() && !records.is_empty());
        }
    }
}
