//! Messages as carriers on the wire see them: all that a binding may do with a spool.
//!
//! A binding names messages by handles and never by paths, and holds no lock of the queues: while it waits for
//! a server, other runs route, pack and purge. So a message may be gone when it is read or released.
//!
//! ```text
//! killed after              the next run
//! a parcel is stored        knows it: it waits; acknowledges it when it comes again
//! it is remembered          the same
//! a line is in `sent`       offers the message again, which its server knows by sender, recipient and id
//! it counts as passed on    the same, and it counts twice
//! ```

use std::path::PathBuf;

use jiff::Timestamp;

use super::arrival::{ExpectedPlace, History, Known, Origin};
use super::failed::FailedMessage;
use super::moves::Moves;
use super::name::HopPrefix;
use super::queue::{Rank, Waiting};
use super::sent::{Line, SentEvent};
use super::twin::is_taken;
use super::{Error, Name, QueueId, Room, Spool};
use crate::disk::batch::{self, Batch, Staged, UnnamedFile};
use crate::disk::publish::IfExists;
use crate::disk::{FileRole, OpenFile, files};
use crate::message::{Item, Pca};
use crate::node::ReplayKey;
use crate::node::seen::{self, Memory};
use crate::pki::NodeId;
use crate::ramf::{Kind, SignedMessage};

/// The octets that effects take on the disk: new files and directories, in blocks.
const EFFECTS: usize = 16 * 1024;

/// And those of one message: a line of about 450 octets in `sent`, and 32 in the replay memory.
const EFFECTS_OF_ONE: usize = 512;

/// The messages of a node, for carriers on the wire.
pub trait MessageStore {
    /// Stores parcels that a hop brought, which the caller has verified. What is not an error here is on the disk
    /// when this returns, and may be acknowledged. The results are in the order of the parcels.
    ///
    /// # Errors
    /// When nothing can be stored. A single parcel fails where a quota or the reserve is reached, or its routes form
    /// a loop ([`Reception::Loop`]).
    fn put(&mut self, parcels: &[Arrived<'_>]) -> Result<Vec<Result<Reception, Error>>, Error>;

    /// The first `most` messages of a place by rank that come after `after`.
    ///
    /// # Errors
    /// When the place cannot be listed.
    fn page(&self, place: QueueId, after: Option<&Rank>, most: usize)
    -> Result<Vec<Queued>, Error>;

    /// The octets of a message, in `buffer`; `None` if it has left meanwhile.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, message: &Queued, buffer: Vec<u8>) -> Result<Option<Vec<u8>>, Error>;

    /// Opens a message, to be read in parts; `None` if it has left meanwhile. What is open is read to its end although
    /// it leaves.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, message: &Queued) -> Result<Option<OpenFile>, Error>;

    /// Counts anew what quotas are used for, and tries once more what one kept out: what waited may have left since. A store
    /// that is used for long counts up alone.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn retry_quota(
        &mut self,
        parcels: &[Arrived<'_>],
        results: &mut [Result<Reception, Error>],
    ) -> Result<(), Error>;

    /// Makes sure that the effects for so many messages can be stored, before they are offered to a server. Otherwise each
    /// run would offer them again, over a line that may cost.
    ///
    /// # Errors
    /// When they cannot.
    fn prepare(&mut self, messages: usize) -> Result<(), Error>;

    /// Performs the effects for messages that a server took: each is noted, counts as passed on, and is removed. All
    /// are on the disk when this returns.
    ///
    /// # Errors
    /// When an effect cannot be stored.
    fn release(&mut self, taken: &[Taken<'_>], now: Timestamp) -> Result<(), Error>;

    /// Sets aside a message that its server will never take.
    ///
    /// # Errors
    /// When it cannot be moved.
    fn set_aside(&mut self, refused: &Taken<'_>, why: &str, now: Timestamp) -> Result<(), Error>;

    /// Has a message routed anew that could not be taken to its recipient's own server, which is not tried again.
    ///
    /// # Errors
    /// When it cannot be moved.
    fn route_anew(&mut self, message: &Queued) -> Result<(), Error>;

    /// Removes the acknowledgements of parcels for this hop: it has been told in another way.
    ///
    /// # Errors
    /// When one cannot be removed.
    fn withdraw_acks(&mut self, hop: NodeId, parcels: &[Arrived<'_>]) -> Result<(), Error>;
}

/// A verified parcel that a hop brought.
#[derive(Debug, Clone)]
pub struct Arrived<'a> {
    message: &'a SignedMessage,
    hop: NodeId,
    name: Name,
    expected: Option<ExpectedPlace>,
}

impl<'a> Arrived<'a> {
    /// A parcel from this hop; `None` if it is another kind of message.
    #[must_use]
    pub fn new(item: &'a Item, hop: NodeId) -> Option<Self> {
        let Item::Parcel(parcel) = item else {
            return None;
        };
        let message = parcel.as_ref();
        let name = Name {
            from: Some(HopPrefix::from(hop)),
            ..Name::of(item, message.fields().expiry())
        };
        Some(Self {
            message,
            hop,
            name,
            expected: None,
        })
    }

    /// The same, of which it is known where routing puts it. Then what is said to wait is looked for on the disk: for a
    /// store that is used for long, between whose lists of the queues a message may leave.
    #[must_use]
    pub fn expected_at(self, expected: Option<ExpectedPlace>) -> Self {
        Self { expected, ..self }
    }

    /// The message id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.message.fields().id
    }

    /// Its sender, recipient and expiry, and the hop that brought it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    fn octets(&self) -> &[u8] {
        self.message.octets()
    }
}

/// What became of a parcel that a hop brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It is new, and waits.
    Stored,
    /// It was here before.
    Repeated,
    /// It was passed on so often that its routes must be a loop. It is not stored, and not to be acknowledged.
    Loop,
}

/// A message in a place, according to its name there; it has not been read.
#[derive(Debug, Clone)]
pub struct Queued {
    waiting: Waiting,
}

impl Queued {
    /// Its name, which is an index of the message and proves nothing.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.waiting.name
    }

    /// Its rank in its place.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.waiting.rank()
    }

    /// Its length in octets; `None` if it has left meanwhile.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn len(&self) -> Result<Option<u64>, Error> {
        self.waiting.len()
    }

    /// When it was stored here; `None` if it has left meanwhile.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn stored(&self) -> Result<Option<Timestamp>, Error> {
        self.waiting.stored()
    }

    /// Where it is, for reports.
    #[must_use]
    pub fn label(&self) -> String {
        self.waiting.path.display().to_string()
    }
}

/// A message that a server answered for.
#[derive(Debug)]
pub struct Taken<'a> {
    /// Its handle.
    pub message: &'a Queued,
    /// Its id, from the message itself.
    pub id: &'a str,
    /// [`SentEvent::Accepted`] or [`SentEvent::Posted`].
    pub event: SentEvent,
    /// Who took or refused it, as the sender may read it.
    pub by: &'a str,
}

/// The messages in the spool of a node that this user owns.
#[derive(Debug)]
pub struct SpoolMessages<'a> {
    spool: &'a Spool,
    room: Room<'a>,
    /// What is known of earlier messages; read when the first parcel comes.
    history: Option<History>,
    /// Whether what killed runs left is synced.
    is_settled: bool,
    /// Holds the space for the effects of answers until these are stored.
    prepared: Option<UnnamedFile>,
}

impl<'a> SpoolMessages<'a> {
    /// The messages of a spool. Nothing is read yet.
    #[must_use]
    pub fn of(spool: &'a Spool) -> Self {
        Self {
            spool,
            room: Room::new(spool.root(), spool.owner().config(), Some(spool)),
            history: None,
            is_settled: false,
            prepared: None,
        }
    }

    /// Reads what is known of earlier messages. Queues are listed once: what has left one since counts as here, which
    /// it was, and what has come by another way is stored a second time, which relay-route notices.
    fn read_history(&mut self) -> Result<(), Error> {
        if let Some(history) = &mut self.history {
            return history.refresh();
        }
        let mut history = History::of(self.spool)?;
        history.set_waiting(self.spool.waiting()?);
        self.history = Some(history);
        Ok(())
    }

    /// What is known of a parcel, and what is to be remembered once it is stored.
    fn known(&mut self, arrived: &Arrived<'_>) -> Result<(Known, Option<ReplayKey>), Error> {
        let Some(history) = &mut self.history else {
            return Ok((Known::New, None));
        };
        let identity = arrived.name.to_replay_key(arrived.id());
        let origin = Origin::Wire { hop: arrived.hop };
        let mut known = history.known(&arrived.name, &identity, origin)?;
        if known == Known::Waits
            && let Some(expected) = &arrived.expected
            && !history.still_waits(self.spool, &arrived.name, expected)?
        {
            history.forget_waiting(&arrived.name);
            known = history.known(&arrived.name, &identity, origin)?;
        }
        let is_remembered_next = if known == Known::Waits {
            history.is_unremembered(&arrived.name, &identity, arrived.hop)?
        } else {
            history.is_first_pass(&arrived.name, &identity)?
        };
        let brought = is_remembered_next.then(|| identity.brought_by(arrived.hop));
        Ok((known, brought))
    }

    /// Remembers which hop brought parcels that are stored.
    fn remember(
        &mut self,
        written: &[WrittenFile],
        mut brought: Vec<ReplayKey>,
    ) -> Result<(), Error> {
        let Some(history) = &mut self.history else {
            return Ok(());
        };
        brought.extend(written.iter().filter_map(|it| it.brought.clone()));
        history.add_brought(&brought, written.iter().map(|it| &it.name))
    }

    /// Syncs what a killed run may have left, once, before anything is acknowledged because of it.
    fn settle(&mut self) -> Result<(), Error> {
        if !self.is_settled {
            files::sync_dir(self.spool.make(QueueId::In)?.dir(), FileRole::Spool)?;
            seen::settle(self.spool.owner().root())?;
            self.is_settled = true;
        }
        Ok(())
    }

    /// Writes a new parcel, or tells why it is not one.
    fn ready(&self, arrived: &Arrived<'_>, known: Known) -> Result<Ready, Error> {
        match known {
            known if known.is_loop() => Ok(Ready::Done(Reception::Loop)),
            Known::Waits | Known::Delivered | Known::TakenFrom | Known::BroughtBy => {
                Ok(Ready::Done(Reception::Repeated))
            }
            Known::New | Known::PassedOn(_) => {
                let payer = self.room.payer(&arrived.name);
                let len = arrived.octets().len();
                self.room.promise(payer, &arrived.name, arrived.hop, len)?;
                let staged = self.stage(arrived);
                if staged.is_err() {
                    self.room.give_back(payer, len);
                }
                staged.map(|(staged, path)| Ready::Written(staged, path))
            }
        }
    }

    /// Writes a parcel for `in`, under another name if something else has this one: what anybody put there.
    fn stage(&self, arrived: &Arrived<'_>) -> Result<(Staged, PathBuf), Error> {
        let queue = self.spool.make(QueueId::In)?;
        let tmp = self.spool.tmp();
        let kind = arrived.name.identity.kind;
        let manner = self
            .spool
            .arriving(kind, IfExists::SameIsSuccess)
            .written_in(&tmp);
        let mut refused = None;
        for name in arrived.name.and_others() {
            let path = queue.path_of(&name);
            match batch::stage(&path, &[arrived.octets()], &manner) {
                Err(error) => {
                    let error = Error::from(error);
                    if !is_taken(&error) {
                        return Err(error);
                    }
                    refused.get_or_insert(error);
                }
                Ok(staged) => return Ok((staged, path)),
            }
        }
        Err(refused.unwrap_or(Error::OtherContent))
    }
}

/// A parcel on its way into the queue.
enum Ready {
    /// It is written, and gets this path.
    Written(Staged, PathBuf),
    /// Nothing is to be written.
    Done(Reception),
}

/// A parcel that gets its name with the batch.
struct WrittenFile {
    /// Its number in the batch.
    at: usize,
    path: PathBuf,
    name: Name,
    brought: Option<ReplayKey>,
}

impl MessageStore for SpoolMessages<'_> {
    fn put(&mut self, parcels: &[Arrived<'_>]) -> Result<Vec<Result<Reception, Error>>, Error> {
        self.settle()?;
        self.read_history()?;
        let mut results = Vec::with_capacity(parcels.len());
        let mut written: Vec<WrittenFile> = Vec::new();
        let mut brought_before = Vec::new();
        let mut files = Batch::default();
        for (at, arrived) in parcels.iter().enumerate() {
            // Several of one batch may be the same.
            let is_again = |it: &WrittenFile| it.name.identity == arrived.name.identity;
            let (known, brought) = if written.iter().any(is_again) {
                (Known::Waits, None)
            } else {
                self.known(arrived)?
            };
            results.push(match self.ready(arrived, known) {
                Ok(Ready::Written(staged, path)) => {
                    files.add(staged)?;
                    let name = arrived.name.clone();
                    written.push(WrittenFile {
                        at,
                        path,
                        name,
                        brought,
                    });
                    Ok(Reception::Stored)
                }
                Ok(Ready::Done(done)) => {
                    // A killed run stored it, and did not remember that.
                    brought_before.extend(brought.filter(|_| done == Reception::Repeated));
                    Ok(done)
                }
                // A disk that fails does so for all.
                Err(Error::Disk(error)) => return Err(error.into()),
                Err(error) => Err(error),
            });
        }
        files.commit()?;
        // Another run took the name in between: the next offer finds a free one.
        for error in files.take_refused() {
            let of_it = |it: &WrittenFile| it.path == error.path();
            if let Some(at) = written.iter().position(of_it) {
                results[written.swap_remove(at).at] = Err(error.into());
            }
        }
        self.remember(&written, brought_before)?;
        Ok(results)
    }

    fn page(
        &self,
        place: QueueId,
        after: Option<&Rank>,
        most: usize,
    ) -> Result<Vec<Queued>, Error> {
        let queue = self.spool.queue(place);
        let waiting = queue.in_order(after, most, |_| true)?.into_iter();
        Ok(waiting.map(|waiting| Queued { waiting }).collect())
    }

    fn read(&self, message: &Queued, buffer: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        message.waiting.read_into(buffer)
    }

    fn open(&self, message: &Queued) -> Result<Option<OpenFile>, Error> {
        message.waiting.open()
    }

    fn retry_quota(
        &mut self,
        parcels: &[Arrived<'_>],
        results: &mut [Result<Reception, Error>],
    ) -> Result<(), Error> {
        let is_kept_out = |result: &Result<_, _>| matches!(result, Err(Error::Quota { .. }));
        let again: Vec<usize> = (0..results.len())
            .filter(|at| is_kept_out(&results[*at]))
            .collect();
        if again.is_empty() {
            return Ok(());
        }
        // What this store put is on the disk by now, so nothing is promised any more.
        self.room.close();
        self.room = Room::new(
            self.spool.root(),
            self.spool.owner().config(),
            Some(self.spool),
        );
        let parcels: Vec<Arrived<'_>> = again.iter().map(|at| parcels[*at].clone()).collect();
        for (at, result) in again.into_iter().zip(self.put(&parcels)?) {
            results[at] = result;
        }
        Ok(())
    }

    fn prepare(&mut self, messages: usize) -> Result<(), Error> {
        if self.prepared.is_none() {
            let tmp = self.spool.tmp();
            let manner = self
                .spool
                .arriving(Kind::Parcel, IfExists::SameIsSuccess)
                .written_in(&tmp);
            let filler = vec![0; EFFECTS + messages.saturating_mul(EFFECTS_OF_ONE)];
            self.prepared = Some(batch::write(&tmp, &[&filler], &manner)?);
        }
        Ok(())
    }

    fn release(&mut self, taken: &[Taken<'_>], now: Timestamp) -> Result<(), Error> {
        if taken.is_empty() {
            return Ok(());
        }
        // The space is there again.
        self.prepared = None;
        let lines: Vec<Line> = taken
            .iter()
            .map(|it| it.line(it.event, it.by, now))
            .collect();
        self.spool.note(&lines)?;
        // Remembered before the files are removed: if a message comes back, it must not count as new.
        let keys: Vec<_> = taken
            .iter()
            .map(|it| it.message.name().to_replay_key(it.id))
            .collect();
        Memory::of(self.spool.owner().root())?.pass_on(&keys)?;
        let mut moves = Moves::default();
        for it in taken {
            moves.remove(&it.message.waiting.path)?;
        }
        moves.commit()
    }

    fn set_aside(&mut self, refused: &Taken<'_>, why: &str, now: Timestamp) -> Result<(), Error> {
        self.prepared = None;
        self.spool
            .note(&[refused.line(SentEvent::Failed, why, now)])?;
        let mut moves = Moves::default();
        let waiting = &refused.message.waiting;
        let failed = FailedMessage {
            path: &waiting.path,
            name: &waiting.name,
            id: Some(refused.id),
            why: why.to_owned(),
            back_to: QueueId::In,
            transfer: None,
            has_room: true,
        };
        self.spool.set_aside(&failed, now, &mut moves)?;
        moves.commit()
    }

    fn route_anew(&mut self, message: &Queued) -> Result<(), Error> {
        let queue = self.spool.make(QueueId::In)?;
        let name = Name {
            from: Some(HopPrefix::internet()),
            ..message.waiting.name.clone()
        };
        let mut moves = Moves::default();
        let _ = moves.place(&message.waiting.path, &queue, &name)?;
        moves.commit()
    }

    fn withdraw_acks(&mut self, hop: NodeId, parcels: &[Arrived<'_>]) -> Result<(), Error> {
        let queue = self.spool.queue(QueueId::Acks(hop));
        if !files::exists(queue.dir(), FileRole::Spool)? {
            return Ok(());
        }
        let mut is_changed = false;
        for arrived in parcels {
            let pca = Item::from(Pca {
                sender: arrived.name.identity.sender,
                recipient: arrived.name.identity.recipient,
                parcel_id: arrived.id().to_owned(),
            });
            let path = queue.path_of(&Name::of(&pca, arrived.name.expiry));
            is_changed |= files::remove_unsynced(&path, FileRole::Spool)?;
        }
        if is_changed {
            files::sync_dir(queue.dir(), FileRole::Spool)?;
        }
        Ok(())
    }
}

impl Taken<'_> {
    fn line(&self, event: SentEvent, to: &str, now: Timestamp) -> Line {
        let identity = &self.message.name().identity;
        Line {
            time: now,
            event,
            recipient: identity.recipient,
            sender: identity.sender,
            id: self.id.to_owned(),
            to: Some(to.to_owned()),
            cargo: None,
            medium: None,
            transfer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Parcel;
    use crate::spool::testspool;

    fn hop(name: &str) -> NodeId {
        NodeId::of_spki(name.as_bytes())
    }

    /// A parcel that was made so many seconds after the first one, to the node itself.
    fn item(later: i64) -> Item {
        Item::Parcel(Parcel::try_from(testspool::parcel(later)).unwrap())
    }

    fn put(store: &mut dyn MessageStore, items: &[&Item], from: &str) -> Vec<Reception> {
        let arrived = items.iter().map(|item| Arrived::new(item, hop(from)));
        let arrived: Vec<_> = arrived.map(Option::unwrap).collect();
        let results = store.put(&arrived).unwrap();
        results.into_iter().map(Result::unwrap).collect()
    }

    fn octets(item: &Item) -> &[u8] {
        item.message().unwrap().octets()
    }

    fn all(store: &dyn MessageStore, place: QueueId) -> Vec<Queued> {
        store.page(place, None, 1000).unwrap()
    }

    /// What every store must do, whatever it keeps messages in. `reopen` ends the run and begins another.
    fn conforms<'a>(open: &mut dyn FnMut() -> Box<dyn MessageStore + 'a>) {
        let mut store = open();
        let (first, second) = (item(0), item(0));
        assert_eq!(all(&*store, QueueId::In).len(), 0);
        assert_eq!(
            put(&mut *store, &[&first, &second], "gateway"),
            [Reception::Stored, Reception::Repeated]
        );
        assert_eq!(
            put(&mut *store, &[&first], "gateway"),
            [Reception::Repeated]
        );
        // Another run knows what this one stored.
        let mut store = open();
        assert_eq!(
            put(&mut *store, &[&second], "gateway"),
            [Reception::Repeated]
        );
        let waiting = all(&*store, QueueId::In);
        assert_eq!(waiting.len(), 1);
        let read = store.read(&waiting[0], Vec::new()).unwrap().unwrap();
        let opened = store.open(&waiting[0]).unwrap().unwrap();
        assert_eq!(opened.size(), read.len() as u64);
        assert!(read == octets(&first) || read == octets(&second));
        assert_eq!(waiting[0].len().unwrap(), Some(read.len() as u64));
        assert!(
            store
                .page(QueueId::In, Some(&waiting[0].rank()), 1)
                .unwrap()
                .is_empty()
        );
        // What is released is gone, and reading it is no error.
        let taken = Taken {
            message: &waiting[0],
            id: "id",
            event: SentEvent::Accepted,
            by: "gateway",
        };
        let now = "2027-05-22T10:11:12Z".parse().unwrap();
        store.prepare(1).unwrap();
        store.prepare(1).unwrap();
        store.release(std::slice::from_ref(&taken), now).unwrap();
        assert_eq!(store.read(&waiting[0], Vec::new()).unwrap(), None);
        assert!(store.open(&waiting[0]).unwrap().is_none());
        let mut part = vec![0; read.len()];
        assert_eq!(opened.read_at(&mut part, 0).unwrap(), read.len());
        assert_eq!(part, read);
        assert_eq!(waiting[0].len().unwrap(), None);
        // A second release of the same is harmless: a killed run may not have removed it.
        store.release(&[taken], now).unwrap();
        assert_eq!(all(&*store, QueueId::In).len(), 0);
    }

    #[test]
    fn the_spool_conforms() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        conforms(&mut || Box::new(SpoolMessages::of(&spool)));
        let lines = spool.noted("id").unwrap();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.event == SentEvent::Accepted));
    }

    #[test]
    fn a_store_that_is_used_for_long_counts_what_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        std::fs::write(spool.owner().root().join("config"), "quota = 12K\n").unwrap();
        let spool = Spool::of(crate::node::Directory::open(spool.owner().root()).unwrap()).unwrap();
        let mut store = SpoolMessages::of(&spool);
        let numbered = |number: usize| {
            let message = testspool::parcel_called(&format!("m{number}"), 0);
            Item::Parcel(Parcel::try_from(message).unwrap())
        };
        let mut kept_out = 0;
        for number in 0..24 {
            let item = numbered(number);
            let arrived = [Arrived::new(&item, hop("gateway")).unwrap()];
            let mut results = store.put(&arrived).unwrap();
            if matches!(results[..], [Err(Error::Quota { .. })]) {
                kept_out += 1;
                store.retry_quota(&arrived, &mut results).unwrap();
            }
            assert!(
                matches!(results[..], [Ok(Reception::Stored)]),
                "{number}: {results:?}"
            );
            // It leaves at once.
            for waiting in all(&store, QueueId::In) {
                std::fs::remove_file(waiting.label()).unwrap();
            }
        }
        assert!(kept_out > 0, "the quota is never reached");
        // What waits counts as ever.
        let items: Vec<Item> = (100..124).map(numbered).collect();
        let arrived: Vec<_> = items
            .iter()
            .map(|item| Arrived::new(item, hop("gateway")).unwrap())
            .collect();
        let mut results = store.put(&arrived).unwrap();
        store.retry_quota(&arrived, &mut results).unwrap();
        assert!(
            results
                .iter()
                .any(|it| matches!(it, Err(Error::Quota { .. })))
        );
        assert_eq!(
            all(&store, QueueId::In).len(),
            results.iter().filter(|it| it.is_ok()).count()
        );
    }

    #[test]
    fn a_full_store_takes_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        std::fs::write(spool.owner().root().join("config"), "reserve = 999999G\n").unwrap();
        let spool = Spool::of(crate::node::Directory::open(spool.owner().root()).unwrap()).unwrap();
        let mut store = SpoolMessages::of(&spool);
        let item = item(0);
        let arrived = Arrived::new(&item, hop("gateway")).unwrap();
        let results = store.put(&[arrived]).unwrap();
        assert!(
            matches!(results[..], [Err(Error::Reserve { .. })]),
            "{results:?}"
        );
        assert!(all(&store, QueueId::In).is_empty());
    }

    #[test]
    fn a_refused_message_is_set_aside_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        let mut store = SpoolMessages::of(&spool);
        let item = item(0);
        put(&mut store, &[&item], "gateway");
        let waiting = all(&store, QueueId::In);
        let refused = Taken {
            message: &waiting[0],
            id: "id",
            event: SentEvent::Accepted,
            by: "gateway",
        };
        let now = "2027-05-22T10:11:12Z".parse().unwrap();
        store
            .set_aside(&refused, "gw.example.org:443: 422: no", now)
            .unwrap();
        assert!(all(&store, QueueId::In).is_empty());
        assert_eq!(spool.count(QueueId::Failed).unwrap(), 1);
        let lines = spool.noted("id").unwrap();
        assert_eq!(lines[0].event, SentEvent::Failed);
        assert_eq!(lines[0].to.as_deref(), Some("gw.example.org:443: 422: no"));
    }

    #[test]
    fn an_acknowledgement_that_is_given_on_the_wire_leaves_the_queue() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        let mut store = SpoolMessages::of(&spool);
        let (item, hop) = (item(0), hop("gateway"));
        let arrived = [Arrived::new(&item, hop).unwrap()];
        store.withdraw_acks(hop, &arrived).unwrap();
        let pca = Item::from(Pca {
            sender: arrived[0].name().identity.sender,
            recipient: arrived[0].name().identity.recipient,
            parcel_id: "id".to_owned(),
        });
        let queue = spool.make(QueueId::Acks(hop)).unwrap();
        let path = queue.path_of(&Name::of(&pca, arrived[0].name().expiry));
        std::fs::write(&path, pca.octets()).unwrap();
        store.withdraw_acks(hop, &arrived).unwrap();
        assert!(!path.exists());
    }
}
