//! The ledger: at most what waits, so that a program that stores one message need not list a hundred
//! thousand.
//!
//! Who stores a message writes a record of it here before the message gets its name. Nobody removes a
//! record: what has left the spool stays in the ledger until all is counted anew. So a message without a
//! record is new, and who has room by the ledger has it; any other answer comes from the queues themselves.
//!
//! It can be removed at any time. Nothing in it is synced: one of an earlier boot does not count.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::payers::{CountedFile, Payer, Payers};
use super::{Error, Spool};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::records::OpenRecords;
use crate::disk::{self, FileRole, Lock, files};

/// The name of the file, in the spool.
pub(crate) const FILE: &str = "ledger";

/// The name of the lock: programs that store messages share it, and one that counts holds it alone.
const LOCK: &str = "ledger";

/// The length of a record, in octets.
///
/// `<beginning of the id: 8><payer: 8><octets: 8><the exclusive or of these and MAGIC: 8>`, all big-endian. The
/// first record is a head instead: `<MAGIC: 8><boot id: 16><number of records that were counted: 8>`.
const LEN: usize = 32;

const MAGIC: [u8; 8] = *b"ledger 1";

/// With fewer messages a listing is as fast.
const LEAST: usize = 2000;

type Record = [u8; LEN];

/// The ledger of a spool, in which a run notes what it stores. Meanwhile nobody counts anew.
#[derive(Debug)]
pub(super) struct SpoolLedger {
    _lock: Lock,
    path: PathBuf,
    /// The open file; `None` if there is no ledger that counts.
    file: Option<OpenRecords<LEN>>,
    content: LedgerContent,
}

/// What a ledger has.
#[derive(Debug, Default)]
pub(super) struct LedgerContent {
    /// The beginnings of the ids, in no order, until they are taken.
    ids: Vec<u64>,
    /// The octets for each payer.
    used: HashMap<u64, u64>,
    /// The number of records.
    count: u64,
    /// How many of them were counted; the others came later.
    counted: u64,
}

impl SpoolLedger {
    /// Opens the ledger of a spool, and removes one that does not count.
    ///
    /// # Errors
    /// When it cannot be read, removed or locked.
    pub(super) fn open(spool: &Spool) -> Result<Self, Error> {
        let lock = Lock::shared(&spool.owner().lock_file(LOCK)?)?;
        let path = spool.root().join(FILE);
        let content = match read(&path) {
            // Others cannot use it either.
            Err(disk::Error::NotRegular { .. }) => None,
            content => {
                let content = content.ok().flatten();
                if content.is_none() && files::exists(&path, FileRole::Spool)? {
                    // Who uses it writes on in a file without a name, and no later run sees that.
                    files::remove_unsynced(&path, FileRole::Spool)?;
                }
                content
            }
        };
        let Some((file, content)) = content else {
            return Ok(Self {
                _lock: lock,
                path,
                file: None,
                content: LedgerContent::default(),
            });
        };
        Ok(Self {
            _lock: lock,
            path,
            file: Some(file),
            content,
        })
    }

    /// As [`SpoolLedger::open`], with the beginnings of the ids of all that waits, and of some that has left. Counts
    /// first what waits if that will be worth it; `list` lists those ids.
    ///
    /// # Errors
    /// As [`SpoolLedger::open`], or an error of `list`.
    pub(super) fn open_with_ids(
        spool: &Spool,
        list: impl Fn() -> Result<Vec<u64>, Error>,
    ) -> Result<(Self, Vec<u64>), Error> {
        let mut ledger = Self::open(spool)?;
        if ledger.is_kept() && !ledger.content.is_overgrown() {
            let ids = std::mem::take(&mut ledger.content.ids);
            return Ok((ledger, ids));
        }
        if !ledger.is_kept() {
            let ids = list()?;
            if ids.len() < LEAST {
                return Ok((ledger, ids));
            }
        }
        drop(ledger);
        // Without a ledger, what waits is listed.
        let _ = Self::renew(spool, |found| found.is_none_or(LedgerContent::is_overgrown));
        let mut ledger = Self::open(spool)?;
        let ids = if ledger.is_kept() {
            std::mem::take(&mut ledger.content.ids)
        } else {
            list()?
        };
        Ok((ledger, ids))
    }

    /// Whether it has all that waits.
    pub(super) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// At most what a payer uses; `None` without a ledger.
    pub(super) fn used(&self, payer: Payer) -> Option<u64> {
        let used = self.content.used.get(&payer.digest());
        self.is_kept().then(|| used.copied().unwrap_or_default())
    }

    /// Notes what is about to be stored. Where that cannot be written there is no ledger from then on.
    ///
    /// # Errors
    /// When it can neither be written nor removed.
    pub(super) fn add(&mut self, claim: &CountedFile) -> disk::Result<()> {
        if let Some(file) = &mut self.file
            && file.append(&record(claim)).is_err()
        {
            self.file = None;
            files::remove_unsynced(&self.path, FileRole::Spool)?;
        }
        Ok(())
    }

    /// Ends a run that stored so many messages: the next one need not list them.
    pub(super) fn close(self, spool: &Spool, stored: usize) {
        let is_due = !self.is_kept() && stored >= LEAST;
        drop(self);
        if is_due {
            let _ = Self::renew(spool, |found| found.is_none());
        }
    }

    /// Counts what waits, unless others store something just now. `is_wanted` is asked with what the ledger has,
    /// if there is one that counts.
    ///
    /// # Errors
    /// When the queues cannot be listed, or the ledger neither be written nor removed.
    pub(super) fn renew(
        spool: &Spool,
        is_wanted: impl FnOnce(Option<&LedgerContent>) -> bool,
    ) -> Result<(), Error> {
        let Some(_lock) = Lock::try_exclusive(&spool.owner().lock_file(LOCK)?)? else {
            return Ok(());
        };
        let path = spool.root().join(FILE);
        let found = read(&path).ok().flatten();
        let content = found.as_ref().map(|(_, content)| content);
        let Some(boot) = boot_id().filter(|_| is_wanted(content)) else {
            return Ok(());
        };
        let mut octets = vec![0; LEN];
        Payers::of(Some(spool)).each(None, |counted, _| octets.extend(record(&counted)))?;
        let count = octets.len() / LEN - 1;
        if count >= LEAST {
            octets[..LEN].copy_from_slice(&head(&boot, count as u64));
            let options = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
            publish::publish(&path, &[&octets], &options)?;
        } else if found.is_some() {
            files::remove_unsynced(&path, FileRole::Spool)?;
        }
        Ok(())
    }
}

impl Spool {
    /// Counts anew what waits, if that was counted before: what the ledger has of messages that have left, or
    /// that came by the hands of a user, ends here. A ledger that cannot be renewed stays.
    pub(crate) fn renew_ledger(&self) {
        // Most spools have none, and then nothing is locked.
        if files::exists(&self.root().join(FILE), FileRole::Spool).unwrap_or(true) {
            let _ = SpoolLedger::renew(self, |found| found.is_some());
        }
    }
}

impl LedgerContent {
    /// Whether most of what it has may have left.
    fn is_overgrown(&self) -> bool {
        let few = self.counted.saturating_mul(2);
        self.count > few.saturating_add(4 * LEAST as u64)
    }
}

/// The file and what it has, unless that does not count.
fn read(path: &Path) -> disk::Result<Option<(OpenRecords<LEN>, LedgerContent)>> {
    let Some(file) = OpenRecords::open(path, FileRole::Spool)? else {
        return Ok(None);
    };
    let boot = boot_id();
    let mut content = LedgerContent::default();
    let mut is_head = true;
    let mut is_whole = false;
    files::each_record(path, FileRole::Spool, |record: &Record| {
        is_whole = if std::mem::take(&mut is_head) {
            let counted = number(record, 3);
            content.counted = counted;
            boot.is_some_and(|boot| *record == head(&boot, counted))
        } else {
            content.add(record)
        };
        if is_whole {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    // What was begun and not finished hides what follows.
    is_whole &= file.is_whole()? && content.counted <= content.count;
    Ok(is_whole.then_some((file, content)))
}

impl LedgerContent {
    /// Adds a record; `false` if it is none.
    fn add(&mut self, record: &Record) -> bool {
        let [id, payer, len, check] = [0, 1, 2, 3].map(|at| number(record, at));
        if checked(id, payer, len) != check {
            return false;
        }
        self.count += 1;
        self.ids.push(id);
        let used = self.used.entry(payer).or_default();
        *used = used.saturating_add(len);
        true
    }
}

fn record(counted: &CountedFile) -> Record {
    let [id, payer, len] = [counted.id, counted.payer.digest(), counted.len];
    let mut record = [0; LEN];
    let check = checked(id, payer, len);
    for (place, number) in record.chunks_mut(8).zip([id, payer, len, check]) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    record
}

/// Zeros are no record: a file that was made longer has them.
fn checked(id: u64, payer: u64, len: u64) -> u64 {
    id ^ payer ^ len ^ u64::from_be_bytes(MAGIC)
}

fn head(boot: &[u8; 16], counted: u64) -> Record {
    let mut head = [0; LEN];
    head[..8].copy_from_slice(&MAGIC);
    head[8..24].copy_from_slice(boot);
    head[24..].copy_from_slice(&counted.to_be_bytes());
    head
}

/// The number at this place of four.
fn number(record: &Record, at: usize) -> u64 {
    let mut octets = [0; 8];
    octets.copy_from_slice(&record[8 * at..8 * at + 8]);
    u64::from_be_bytes(octets)
}

/// The octets of what tells this boot of the system from others; `None` where nobody knows.
fn boot_id() -> Option<[u8; 16]> {
    let digits = publish::boot_id()?.replace('-', "");
    Some(u128::from_str_radix(&digits, 16).ok()?.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use tempfile::TempDir;

    use super::*;
    use crate::pki::NodeId;
    use crate::ramf::Kind;
    use crate::spool::name::MessageKey;
    use crate::spool::{Name, QueueId, testspool};

    fn bob() -> NodeId {
        NodeId::of_spki(b"bob")
    }

    fn name(nth: usize) -> Name {
        Name {
            identity: MessageKey {
                recipient: bob(),
                sender: NodeId::of_spki(b"sender"),
                id: crate::crypto::hash::sha256(&nth.to_be_bytes()),
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: None,
        }
    }

    fn claim(nth: usize, len: u64) -> CountedFile {
        CountedFile {
            payer: Payer::Recipient(bob()),
            id: name(nth).identity.beginning_of_id(),
            len,
        }
    }

    /// A spool with so many messages of 2000 octets, half of them routed.
    fn spool_of(count: usize) -> (TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let queues = [QueueId::In, QueueId::Out(bob())].map(|place| spool.make(place).unwrap());
        for nth in 0..count {
            let path = queues[nth % 2].path_of(&name(nth));
            fs::write(path, [0; 2000]).unwrap();
        }
        (dir, spool)
    }

    fn opened(spool: &Spool, listed: &[u64]) -> (SpoolLedger, Vec<u64>) {
        SpoolLedger::open_with_ids(spool, || Ok(listed.to_vec())).unwrap()
    }

    /// As a run does that lists what waits, finds that much, and closes the ledger.
    fn kept(count: usize) -> (TempDir, Spool) {
        let (dir, spool) = spool_of(count);
        let (ledger, ids) = opened(&spool, &vec![0; count]);
        assert_eq!((ledger.is_kept(), ids.len()), (true, count));
        drop(ledger);
        (dir, spool)
    }

    #[test]
    fn few_messages_are_listed() {
        let (_dir, spool) = spool_of(3);
        let (mut ledger, ids) = opened(&spool, &[7, 8, 9]);
        assert_eq!(ids, [7, 8, 9]);
        assert_eq!(ledger.used(Payer::Recipient(bob())), None);
        ledger.add(&claim(3, 1)).unwrap();
        ledger.close(&spool, 1);
        assert!(!spool.root().join(FILE).exists());
        // Who stored many counts for the next run, if they are still there.
        opened(&spool, &[]).0.close(&spool, LEAST);
        assert!(!spool.root().join(FILE).exists());
    }

    #[test]
    fn what_was_counted_or_noted_is_in_it_until_it_is_counted_anew() {
        let (_dir, spool) = kept(LEAST);
        let payer = Payer::Recipient(bob());
        let (mut ledger, ids) = opened(&spool, &[]);
        assert!(ids.contains(&claim(0, 0).id) && ids.contains(&claim(1, 0).id));
        assert_eq!(ledger.used(payer), Some(2000 * LEAST as u64));
        assert_eq!(ledger.used(Payer::Acks(bob().into())), Some(0));
        // While one run notes what it stores, nobody counts, and others note on.
        let (mut other, _) = opened(&spool, &[]);
        ledger.add(&claim(LEAST, 5000)).unwrap();
        other.add(&claim(LEAST + 1, 6000)).unwrap();
        spool.renew_ledger();
        drop((ledger, other));
        let (ledger, ids) = opened(&spool, &[]);
        assert!(ids.contains(&claim(LEAST, 0).id) && ids.contains(&claim(LEAST + 1, 0).id));
        assert_eq!(ledger.used(payer), Some(2000 * LEAST as u64 + 11_000));
        drop(ledger);
        // They never came.
        spool.renew_ledger();
        let (ledger, ids) = opened(&spool, &[]);
        assert_eq!(ids.len(), LEAST);
        assert_eq!(ledger.used(payer), Some(2000 * LEAST as u64));
        drop(ledger);
        for nth in 0..2 {
            let queue = spool.queue(QueueId::In);
            fs::remove_file(queue.path_of(&name(2 * nth))).unwrap();
        }
        spool.renew_ledger();
        assert!(!spool.root().join(FILE).exists());
    }

    #[test]
    fn one_that_is_torn_strange_or_of_another_boot_goes() {
        let (_dir, spool) = kept(LEAST);
        let path = spool.root().join(FILE);
        let whole = fs::read(&path).unwrap();
        let changed = |at: usize| {
            let mut octets = whole.clone();
            octets[at] ^= 1;
            octets
        };
        for octets in [
            whole[..whole.len() - 1].to_vec(),
            [&whole[..], &[0]].concat(),
            Vec::new(),
            changed(0),
            changed(8),
            changed(24),
            changed(LEN),
            [&whole[..], &[0; LEN]].concat(),
            changed(whole.len() - 1),
        ] {
            fs::write(&path, octets).unwrap();
            let ledger = SpoolLedger::open(&spool).unwrap();
            assert!(!ledger.is_kept() && !path.exists());
        }
        fs::create_dir(&path).unwrap();
        assert!(!SpoolLedger::open(&spool).unwrap().is_kept());
        assert_eq!(opened(&spool, &[1]).1, [1]);
    }

    #[test]
    fn what_has_mostly_left_is_counted_anew() {
        let (_dir, spool) = kept(LEAST);
        let (mut ledger, _) = opened(&spool, &[]);
        for nth in 0..5 * LEAST {
            ledger.add(&claim(nth, 1024)).unwrap();
        }
        drop(ledger);
        assert_eq!(opened(&spool, &[]).1.len(), 6 * LEAST);
        let mut ledger = SpoolLedger::open(&spool).unwrap();
        ledger.add(&claim(0, 1024)).unwrap();
        drop(ledger);
        assert_eq!(opened(&spool, &[]).1.len(), LEAST);
    }

    /// Else later runs would take for new what this one stored.
    #[test]
    #[cfg(debug_assertions)]
    fn without_a_record_there_is_no_ledger() {
        let (_dir, spool) = kept(LEAST);
        let path = spool.root().join(FILE);
        let (mut ledger, _) = opened(&spool, &[]);
        disk::fault::arm("ENOSPC:1").unwrap();
        let added = ledger.add(&claim(LEAST, 1024));
        disk::fault::disarm();
        added.unwrap();
        assert!(!ledger.is_kept() && !path.exists());
        drop(ledger);
        // A run that uses it already goes on, and no other one believes it.
        let (_ledger, ids) = opened(&spool, &[0; LEAST]);
        assert_eq!(ids.len(), LEAST);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(&[0; 5]).unwrap();
        assert!(!SpoolLedger::open(&spool).unwrap().is_kept() && !path.exists());
    }
}
