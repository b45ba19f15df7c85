//! Imports from a medium into the spool: cargo for this node, and requests for cargo.
//!
//! The order of effects: the messages of a cargo are stored in their queues, the sender's session
//! key is stored, the acknowledgements are queued, the cargo is remembered, the cargo is removed
//! from the medium. Each step may be repeated.

pub mod request;
mod stored;
mod tally;

use std::sync::atomic::{AtomicUsize, Ordering};

use self::stored::{ItemDisposition, SimilarFailures, StagedItem, StoredItems, stage};
use self::tally::ControlTally;
use super::names::dir_name;
use super::{Error, ExchangeEvent, Hint, Medium, MediumFile};
use crate::crypto::hash;
use crate::disk::batch::Batch;
use crate::disk::publish::IfExists;
use crate::kind::ErrorKind;
use crate::message::{CargoMessageSet, Item};
use crate::node::{self, seen};
use crate::pipeline::Buffers;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::pki::NodeId;
use crate::ramf::{Head, Kind, SignedMessage, limits};
use crate::receive::{self, Arrival, ReceiveOptions, Unpacked};
use crate::route::{self, Hops, Target};
use crate::spool::arrival::{Effects, History, Known, Origin};
use crate::spool::name::HopPrefix;
use crate::spool::payers::Payer;
use crate::spool::{self, Name, QueueId, QueueKind, Room, Spool, Time};
use crate::verify::Policy;

/// The most stored acknowledgements for parcels that do not wait here. Without it, only the disk
/// would bound them.
const MAX_UNMATCHED: usize = 1000;

/// Imports from a medium. The caller holds the queue lock.
pub struct Importer<'a> {
    spool: &'a Spool,
    medium: &'a Medium,
    terms: ReceiveOptions,
    time: Time,
    policy: Policy,
    /// The ways from here.
    hops: Hops,
    /// Whether the routes of the node are wrong, so that only what stays here has a way.
    is_pathless: bool,
    room: Room<'a>,
    /// What is known of earlier messages. The queues are added with the first cargo.
    history: History,
    /// Whether the queues were added.
    is_queues_read: bool,
    /// Whether the replay memory is synced for certain.
    is_settled: bool,
    /// The control messages that waited at first, and acknowledgements since then for parcels that
    /// do not wait here.
    unmatched: AtomicUsize,
    /// The control messages that wait from the gateway whose cargo is imported.
    control: ControlTally,
    /// Buffers for copies of messages.
    pool: Buffers,
}

impl<'a> Importer<'a> {
    /// Prepares an import.
    ///
    /// # Errors
    /// When the node or its spool cannot be read.
    pub fn new(
        spool: &'a Spool,
        medium: &'a Medium,
        terms: ReceiveOptions,
        time: Time,
    ) -> Result<Self, Error> {
        let owner = spool.owner();
        let policy = Policy::of_node(owner, Vec::new(), terms.window, time.told)?;
        let history = History::of(spool)?;
        // What is for nodes here and what goes from here needs no routes.
        let hops = match Hops::of(owner) {
            Err(route::Error::Table { .. }) => Hops::without_routes(owner).map(|it| (it, true)),
            hops => hops.map(|it| (it, false)),
        };
        let (hops, is_pathless) = hops.map_err(unrouted)?;
        spool.make(QueueId::In)?;
        // A killed run may have left names on the medium that are not synced; nothing may rely on
        // them before.
        medium.settle()?;
        Ok(Self {
            spool,
            medium,
            terms,
            time,
            policy,
            hops,
            is_pathless,
            room: Room::new(spool.root(), owner.config(), Some(spool)),
            history,
            is_queues_read: false,
            is_settled: false,
            unmatched: AtomicUsize::new(0),
            control: ControlTally::default(),
            pool: Buffers::default(),
        })
    }

    /// Imports the messages on the medium that are for this node. Reports to `each`.
    ///
    /// # Errors
    /// Fatal errors only: the spool or the medium cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &mut self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let medium = self.medium;
        let us = self.spool.owner().id();
        medium.unexpected(Some(us))?.tell(medium.dir(), each)?;
        for kind in [Kind::Cargo, Kind::Cca] {
            let unlisted = |error| ExchangeEvent::Failed {
                what: dir_name(kind, us),
                error,
            };
            let mut files = match medium.files_for(kind, us) {
                Ok(files) => files,
                Err(error @ Error::Unreadable(_)) => {
                    each(unlisted(error))?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            files.take_unexpected().tell(medium.dir(), each)?;
            loop {
                let file = match files.next_message() {
                    Ok(Some(file)) => file,
                    Ok(None) => break,
                    Err(error @ Error::Unreadable(_)) => {
                        each(unlisted(error))?;
                        break;
                    }
                    Err(error) => return Err(error.into()),
                };
                let mut events = Vec::new();
                let taken = match kind {
                    Kind::Cargo => self.cargo(&file, &mut |event| events.push(event)),
                    _ => self.cca(&file, &mut |event| events.push(event)),
                };
                events.into_iter().try_for_each(&mut *each)?;
                match taken {
                    Ok(()) => {}
                    Err(error) if self.is_untimely(&error) => each(ExchangeEvent::Untimely(1))?,
                    // A failing disk would fail for the other files, too.
                    Err(error) if error.is_of_disk() && !error.is_of_one_file() => {
                        return Err(error.into());
                    }
                    Err(error) => each(ExchangeEvent::Failed {
                        what: file.to_string(),
                        error,
                    })?,
                }
            }
        }
        self.room.close();
        Ok(())
    }

    /// Imports one cargo.
    fn cargo(
        &mut self,
        file: &MediumFile,
        each: &mut dyn FnMut(ExchangeEvent),
    ) -> Result<(), Error> {
        let Some(octets) = file.read()? else {
            return Ok(());
        };
        let node = self.spool.owner();
        let cargo = match receive::cargo(node, octets, &self.terms) {
            Ok(cargo) => cargo,
            Err(node::Error::Replay(node::ReplayError::Seen)) => {
                // The record may not be synced yet, and the cargo is removed because of it.
                settle_memory(self.spool, &mut self.is_settled).map_err(unstored)?;
                self.leave(file, None, each);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // The file name is not signed: only the message tells its sender.
        if cargo.head().sender.id() != file.sender {
            return Err(Error::OtherSender);
        }
        self.read_queues()?;
        let stored = self.items(&cargo, file, each)?;
        let messages = cargo.content().len();
        let (_, due) = cargo.into_due();
        let last = if stored.is_whole {
            due.identity().cloned().into_iter().collect()
        } else {
            // The next run reads this cargo again, and must not store these parcels again if they
            // have left the queue by then.
            self.history.taken_from(&stored.parcels, &file.sha256)?
        };
        let effects = Effects {
            receipt: &due,
            hop: file.sender,
            parcels: &stored.parcels,
            brought: &stored.brought,
            last: &last,
        };
        let (spool, is_settled) = (self.spool, &mut self.is_settled);
        let settle = || {
            // Records that a killed run made must be synced before the cargo is remembered because
            // of them.
            if stored.is_repeated {
                settle_memory(spool, is_settled)?;
            }
            Ok(())
        };
        effects
            .complete(spool, &mut self.history, settle)
            .map_err(unstored)?;
        if stored.is_whole {
            self.leave(file, Some(messages), each);
        }
        Ok(())
    }

    /// Reads the queues, for the first cargo of a run.
    fn read_queues(&mut self) -> Result<(), Error> {
        if self.is_queues_read {
            return Ok(());
        }
        self.history.set_waiting(self.spool.waiting()?);
        for (_, queue) in self.spool.queues_in(QueueKind::Control)? {
            // relay-route reports one that cannot be listed.
            let messages = queue.messages().into_iter().flatten();
            *self.unmatched.get_mut() += messages.take(MAX_UNMATCHED).count();
        }
        self.is_queues_read = true;
        Ok(())
    }

    /// Stores the messages of a cargo in their queues.
    fn items(
        &self,
        cargo: &Arrival<'_, CargoMessageSet>,
        file: &MediumFile,
        each: &mut dyn FnMut(ExchangeEvent),
    ) -> Result<StoredItems, Error> {
        let head = cargo.head();
        let hop = file.sender;
        self.control.count(&self.spool.make(QueueId::Control(hop))?);
        let mut stored = StoredItems {
            is_whole: true,
            ..StoredItems::default()
        };
        let mut batch = Batch::default();
        let mut events = Vec::new();
        let mut number = 0;
        // If there is no room or no way for one message, there is none for many.
        let (mut no_room, mut no_way) = (SimilarFailures::default(), SimilarFailures::default());
        let mut too_large = SimilarFailures::default();
        workers::in_order(
            Bounds::octets(limits::MAX_MESSAGE_LEN),
            {
                let mut items = cargo.content().messages();
                move || {
                    let item = items.next()?;
                    Some(WorkItem {
                        item,
                        octets: item.len(),
                    })
                }
            },
            |octets| self.ready(octets, head, file),
            |ready| {
                number += 1;
                match ready {
                    Ok(ready) => stored.add(ready, head, hop, &mut batch, &mut events)?,
                    Err(error) if error.is_of_disk() => return Err(error),
                    // It never fits, so the cargo does not wait for it. Its sender keeps it.
                    Err(error @ Error::Spool(spool::Error::OverQuota { .. })) => {
                        too_large.add(number, error);
                    }
                    Err(error @ Error::Spool(_)) => {
                        stored.is_whole = false;
                        no_room.add(number, error);
                    }
                    Err(error @ Error::Unrouted(_)) => {
                        stored.is_whole &= !error.may_pass();
                        no_way.add(number, error);
                    }
                    Err(error) if self.is_untimely(&error) => {
                        stored.is_whole = false;
                        each(ExchangeEvent::Untimely(1));
                    }
                    Err(error) => {
                        // An item that may succeed later keeps the cargo on the medium.
                        stored.is_whole &= !error.may_pass();
                        each(ExchangeEvent::Failed {
                            what: format!("{file}: item {number}"),
                            error,
                        });
                    }
                }
                Ok(())
            },
        )?;
        too_large.tell(file, each);
        no_room.tell(file, each);
        no_way.tell(file, each);
        batch.commit()?;
        // A parcel that could not be stored must not be acknowledged.
        for refused in batch.take_refused() {
            let path = refused.path().to_owned();
            let is_it = |name: &Name| path.ends_with(name.to_string());
            stored.is_whole = false;
            stored.parcels.retain(|(name, _)| !is_it(name));
            events.retain(
                |event| !matches!(event, ExchangeEvent::Stored { name, .. } if is_it(name)),
            );
            each(ExchangeEvent::Failed {
                what: file.to_string(),
                error: Error::Replaces,
            });
        }
        events.into_iter().for_each(each);
        Ok(stored)
    }

    /// Verifies a message of cargo on its own, and writes it unless it was here before.
    /// Thread-safe.
    fn ready(&self, octets: &[u8], head: &Head, file: &MediumFile) -> Result<StagedItem, Error> {
        let hop = file.sender;
        let (unpacked, way) = receive::item_seen(
            octets,
            head,
            &self.policy,
            &self.pool,
            |parcel, is_shown| self.way(parcel, hop, is_shown),
        )?;
        let mut name = name_of(&unpacked, octets, head, hop);
        let stored = self.spool.arriving(unpacked.kind, IfExists::SameIsSuccess);
        let manner = |tmp| stored.written_in(tmp);
        let tmp = self.spool.tmp();
        let id = unpacked.id;
        if unpacked.kind == Kind::Pca
            && !self.history.waits(name.identity.of_parcel().key())
            // A medium can bring any number of them, and nothing here would ever match them.
            && self.unmatched.fetch_add(1, Ordering::Relaxed) >= MAX_UNMATCHED
        {
            let fate = ItemDisposition::Useless;
            return Ok(StagedItem { name, id, fate });
        }
        if self.control.is_over(unpacked.kind) {
            let fate = ItemDisposition::Useless;
            return Ok(StagedItem { name, id, fate });
        }
        if unpacked.kind != Kind::Parcel {
            if unpacked.kind != Kind::Pca {
                self.room
                    .promise(Payer::Hop(hop.into()), &name, hop, octets.len())?;
            }
            let queue = self.spool.queue(QueueId::Control(hop));
            let fate = ItemDisposition::Control(stage(&queue, &mut name, octets, &manner(&tmp))?);
            return Ok(StagedItem { name, id, fate });
        }
        let identity = name.to_replay_key(id.as_deref().unwrap_or_default());
        let sha256 = &file.sha256;
        let known = self
            .history
            .known(&name, &identity, Origin::Cargo { hop, sha256 })?;
        let fate = match known {
            known if known.is_loop() => return Err(Error::Loop),
            Known::New | Known::PassedOn(_) => {
                // Refused at the door, and not acknowledged: its sender has it, and sends it again later.
                if let Some(Err(error)) = way {
                    return Err(unrouted(error));
                }
                // Reserved only for new messages: repetitions take no room.
                self.room.promise_acknowledged(&name, hop, octets.len())?;
                let is_first = self.history.is_first_pass(&name, &identity)?;
                let queue = self.spool.queue(QueueId::In);
                let staged = stage(&queue, &mut name, octets, &manner(&tmp))?;
                ItemDisposition::New(staged, is_first)
            }
            Known::Waits | Known::Delivered | Known::TakenFrom | Known::BroughtBy => {
                if known != Known::Waits {
                    self.room.promise_ack(&name, hop)?;
                }
                ItemDisposition::Known(self.history.is_unremembered(&name, &identity, hop)?)
            }
        };
        Ok(StagedItem { name, id, fate })
    }

    /// Whether a parcel has a way from here. While the routes are wrong, only what stays here has.
    fn way(&self, parcel: &SignedMessage, hop: NodeId, is_shown: bool) -> Result<(), route::Error> {
        let way = self.hops.decide(parcel, Some(hop.into()), is_shown);
        match way.map(|way| way.target) {
            Ok(Target::Home(_)) => Ok(()),
            Err(error @ route::Error::NotShown) => Err(error),
            _ if self.is_pathless => Hops::of(self.spool.owner()).map(drop),
            way => way.map(drop),
        }
    }

    /// Whether an error may only be due to the clock, which is doubted.
    fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.kind().depends_on_clock()
    }

    /// Removes cargo from the medium whose messages are all stored, and leaves a hint.
    fn leave(
        &self,
        file: &MediumFile,
        messages: Option<usize>,
        each: &mut dyn FnMut(ExchangeEvent),
    ) {
        let hint = Hint {
            gateway: file.recipient,
            sha256: file.sha256,
            // A hint dated in the future would not count.
            date: self.time.told.min(self.time.sure),
        };
        // Tried first, so that a crash leaves the hint. On a full medium there is room for it only
        // after the removal.
        let hinted = self.medium.hint(&hint);
        self.remove(file, each);
        if let Err(error) = hinted.or_else(|_| self.medium.hint(&hint)) {
            each(ExchangeEvent::Failed {
                what: hint.dir_name(),
                error,
            });
        }
        each(ExchangeEvent::Unpacked {
            file: file.clone(),
            messages,
        });
    }

    /// Removes a useless file from the medium. A failure is only reported.
    fn remove(&self, file: &MediumFile, each: &mut dyn FnMut(ExchangeEvent)) {
        if let Err(error) = self.medium.remove(file) {
            each(ExchangeEvent::Failed {
                what: file.to_string(),
                error,
            });
        }
    }

    /// Imports a CCA, unless a later one of the same gateway is here.
    fn cca(&mut self, file: &MediumFile, each: &mut dyn FnMut(ExchangeEvent)) -> Result<(), Error> {
        let Some(octets) = file.read()? else {
            return Ok(());
        };
        let node = self.spool.owner();
        // Opening decrypts in place, so a copy is stored.
        let date = match receive::cca(node, octets.clone(), &self.terms) {
            Ok(cca) if cca.head().sender.id() != file.sender => return Err(Error::OtherSender),
            Ok(cca) => cca.head().fields.date,
            Err(node::Error::Replay(node::ReplayError::CcaUsed)) => {
                // The record may not be synced yet, and the CCA is removed because of it.
                settle_memory(self.spool, &mut self.is_settled).map_err(unstored)?;
                self.remove(file, each);
                return Ok(());
            }
            Err(error)
                if error.kind() == ErrorKind::UnknownKey && self.is_outdated(file, &octets) =>
            {
                self.remove(file, each);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let mut report = |held: &spool::queue::Waiting, error| {
            each(ExchangeEvent::Failed {
                what: held.path.display().to_string(),
                error,
            });
        };
        let made = (file.sender, date);
        let terms = (&self.terms, &self.time);
        request::store_request(self.spool, made, octets, terms, &mut report)?;
        self.remove(file, each);
        each(ExchangeEvent::Asked(file.clone()));
        Ok(())
    }

    /// Whether a gateway has written to this node since it made this CCA, of which only the key is not known any more:
    /// a copy that a courier brings late.
    fn is_outdated(&self, file: &MediumFile, cca: &[u8]) -> bool {
        let newest = self.spool.owner().newest_date_from(file.sender);
        let item = Item::parse(cca.to_vec()).ok();
        let cca = item.as_ref().and_then(Item::message);
        let is_older = |cca: &SignedMessage| {
            cca.sender() == file.sender && newest.is_some_and(|newest| cca.fields().date < newest)
        };
        self.time.is_believed() && cca.is_some_and(is_older)
    }
}

/// Syncs the replay memory, once in a run, before anything is removed because of what it says.
fn settle_memory(spool: &Spool, is_settled: &mut bool) -> Result<(), spool::Error> {
    if !*is_settled {
        seen::settle(spool.owner().root())?;
        *is_settled = true;
    }
    Ok(())
}

/// Makes a failing disk end the run: it would fail for all other cargo, too.
fn unstored(error: spool::Error) -> Error {
    match error {
        spool::Error::Node(node::Error::Disk(error)) => Error::Disk(error),
        spool::Error::Node(error) => Error::Node(error),
        error => Error::Spool(error),
    }
}

/// Why a parcel has no way from here.
fn unrouted(error: route::Error) -> Error {
    match error {
        route::Error::Node(error) => Error::Node(error),
        route::Error::Disk(error) => Error::Disk(error),
        error => Error::Unrouted(Box::new(error)),
    }
}

/// The name in a queue of a message from this cargo. Control messages live as long as the cargo.
fn name_of(unpacked: &Unpacked, octets: &[u8], head: &Head, hop: NodeId) -> Name {
    Name {
        identity: spool::name::MessageKey {
            recipient: unpacked.recipient,
            sender: unpacked.sender,
            id: match &unpacked.id {
                Some(id) => hash::sha256(id.as_bytes()),
                None => hash::sha256(octets),
            },
            kind: unpacked.kind,
        },
        expiry: unpacked.expiry.unwrap_or(head.fields.expiry()),
        priority: None,
        copies: None,
        from: (unpacked.kind == Kind::Parcel).then(|| HopPrefix::from(hop)),
    }
}
