//! From the spool onto a medium: cargo for every next hop that we may send to, and requests for our own.
//!
//! The order of effects: cargo is on the medium, read back and without its name; what it holds is recorded; it gets its
//! name; that is noted; acknowledgements that are in it leave their queue. A message itself waits on until its next hop
//! says that it has it, unless nobody will. A CCA is used up when all cargo that answers it is on the medium.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::layout::denied;
use super::{Error, ExchangeEvent, Medium, MediumFile, WaitReason, is_full};
use crate::asn1::Buffer;
use crate::cms::enveloped_data::Cipher;
use crate::disk::{FileRole, files};
use crate::message::{Item, cargo, message_set};
use crate::node::seen::{self, Memory};
use crate::node::{self, Keyring as _, certificates};
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::pki::{self, NodeId};
use crate::ramf::{self, Kind, SignedMessage, limits};
use crate::receive::{self, PendingReceipt, ReceiveOptions};
use crate::send::{self, Sealer};
use crate::spool::carried::{Carried, Load, Record};
use crate::spool::failed::FailedMessage;
use crate::spool::moves::Moves;
use crate::spool::name::{KeyDigest, MAX_PRIORITY, MessageKey};
use crate::spool::queue::{QueueEntry, Rank, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{self, Name, Queue, QueueId, Spool, Time};
use crate::verify::{self, Policy};
use crate::{cms, message, session};

/// How many messages are chosen at a time.
const PART: usize = 8192;

/// What a cargo takes on a medium besides its messages, at the most: certificates, and what a file system rounds up.
const OVERHEAD: u64 = 64 * 1024;

/// After how long a message goes again onto a medium that still has it, unless the node's config says otherwise.
const RESEND_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whoever gives to a medium. The spool is locked.
pub struct Exporter<'a> {
    spool: &'a Spool,
    medium: &'a Medium,
    terms: ReceiveOptions,
    time: Time,
    policy: Policy,
    cipher: Cipher,
    /// What was given to this medium.
    carried: Carried,
    /// What lies on the medium already, or has arrived, by next hop.
    on_medium: HashMap<NodeId, HashSet<KeyDigest>>,
    /// What a run that was killed gave, by next hop.
    unsettled: HashMap<NodeId, Unsettled>,
    /// What the medium has room for, in octets.
    room: u64,
}

/// A next hop for which something waits.
struct NextHop<'a> {
    id: NodeId,
    sealer: Sealer,
    /// The CCA that the cargo answers, and its file.
    answered: Option<(PendingReceipt<'a>, PathBuf, Name)>,
    /// Chosen, and not packed yet.
    chosen: Vec<Chosen>,
    /// How many cargoes were written.
    cargoes: usize,
    /// The records of those from which not everything has followed yet.
    records: Vec<Record>,
    left: Left,
    /// Something is where its cargo should be, or its directory may not be used.
    is_blocked: bool,
}

/// What a CCA lets us do, and the CCA, with its file.
type Answer<'a> = (Sealer, (PendingReceipt<'a>, PathBuf, Name));

/// Whether cargo can go to a hop.
enum Way<'a> {
    Open(Box<NextHop<'a>>),
    /// It cannot, and why.
    Closed(WaitReason),
}

/// Why a CCA is not answered.
enum Unanswered {
    /// Its time is over.
    Over,
    /// Nothing that a person does will make it answerable.
    Never(Error),
    /// It may be answered later: the disk, the keys or the clock are to be mended first.
    Now(Error),
}

impl<T: Into<Error>> From<T> for Unanswered {
    fn from(error: T) -> Self {
        Self::Now(error.into())
    }
}

/// Cargo that is on the medium, while not all is done that follows from it.
#[derive(Default)]
struct Unsettled {
    records: Vec<Record>,
    /// The CCA that it answers, which may not be used up yet.
    answered: Option<Name>,
}

/// A message that is in cargo on the medium.
struct PackedMessage {
    path: PathBuf,
    name: Name,
    id: Option<String>,
}

impl PackedMessage {
    /// Whether it is a parcel that nobody will acknowledge, and went out as often as it was to.
    fn is_last_copy(&self) -> bool {
        self.name.identity.kind == Kind::Parcel && self.name.copies.is_some_and(|it| it <= 1)
    }
}

/// What finds no room.
#[derive(Debug, Default, Clone, Copy)]
struct Left {
    messages: usize,
    octets: u64,
}

impl Left {
    fn add(&mut self, octets: u64) {
        self.messages += 1;
        self.octets += octets;
    }
}

/// A message that is to go, and its octets as its file has them.
struct Chosen {
    message: Waiting,
    len: usize,
}

/// A message that was read and verified.
struct LoadedMessage {
    octets: Vec<u8>,
    id: Option<String>,
    /// When its life ends, if it has an end of its own.
    expiry: Option<Timestamp>,
}

/// A cargo that is being filled.
struct CargoBuilder {
    set: Buffer,
    expiry: Timestamp,
    messages: Vec<PackedMessage>,
    /// What they have together.
    octets: u64,
}

impl<'a> Exporter<'a> {
    /// Prepares to give, and learns what lies on the medium already.
    ///
    /// # Errors
    /// When the node, its spool or the medium cannot be read.
    pub fn new(
        spool: &'a Spool,
        medium: &'a Medium,
        terms: ReceiveOptions,
        time: Time,
        cipher: Cipher,
    ) -> Result<Self, Error> {
        let owner = spool.owner();
        let mut exporter = Self {
            spool,
            medium,
            terms,
            time,
            policy: Policy::of_node(owner, Vec::new(), terms.window, time.told)?,
            cipher,
            carried: spool.carried(medium.id())?,
            on_medium: HashMap::new(),
            unsettled: HashMap::new(),
            room: 0,
        };
        exporter.look()?;
        exporter.skip_acknowledged()?;
        Ok(exporter)
    }

    /// What a next hop says it has need not go to it again, though relay-route has not removed it yet: this very
    /// medium may have brought the news.
    fn skip_acknowledged(&mut self) -> Result<(), Error> {
        for queue in self.spool.queues_in("control")? {
            let QueueId::Control(hop) = queue.place() else {
                continue;
            };
            let acknowledged = self.on_medium.entry(hop).or_default();
            for message in queue.messages()? {
                let identity = message?.name.identity;
                if identity.kind == Kind::Pca {
                    let parcel = MessageKey {
                        kind: Kind::Parcel,
                        ..identity
                    };
                    acknowledged.insert(parcel.key());
                }
            }
        }
        Ok(())
    }

    /// Learns what lies on the medium. What has left it may go again, and so may what has lain there for long; our
    /// own cargo whose life has ended is taken off.
    fn look(&mut self) -> Result<(), Error> {
        let owner = self.spool.owner();
        let resend_after = owner.config().resend_after().unwrap_or(RESEND_AFTER);
        for record in self.carried.records()? {
            let ends = (record.hop, owner.id());
            let found = self.medium.find(Kind::Cargo, ends, record.cargo);
            // It may lie there. Whoever gives to that hop says what is wrong.
            if let Err(Error::Unreadable(_)) = found {
                continue;
            }
            let file = found?;
            let load = self.carried.read(&record)?;
            let (Some(file), Some(load)) = (file, load) else {
                self.carried.forget(&record)?;
                continue;
            };
            let is_over = self.time.is_believed() && self.terms.window.is_after(load.expiry);
            if is_over || !record.is_settled && !self.finish(&file, &load)? {
                self.medium.remove(&file)?;
                self.carried.forget(&record)?;
                continue;
            }
            // A date far ahead is that of a clock that was wrong.
            if self.time.told.duration_since(load.date).abs() < resend_after {
                let keys = load.names.iter().map(|name| name.identity.key());
                self.on_medium.entry(record.hop).or_default().extend(keys);
            }
            if !record.is_settled {
                let cca = load
                    .names
                    .into_iter()
                    .find(|it| it.identity.kind == Kind::Cca);
                let unsettled = self.unsettled.entry(record.hop).or_default();
                unsettled.records.push(record);
                unsettled.answered = unsettled.answered.take().or(cca);
            }
        }
        Ok(())
    }

    /// Does what follows from cargo that an earlier run gave, and could not any more; `false` when the cargo is not
    /// what that run gave.
    fn finish(&self, file: &MediumFile, load: &Load) -> Result<bool, Error> {
        let item = match file.read() {
            Ok(octets) => octets.and_then(|octets| Item::parse(octets).ok()),
            Err(Error::Damaged | Error::Unreadable(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(cargo) = item.as_ref().and_then(Item::message) else {
            return Ok(false);
        };
        let mut given = Vec::new();
        for name in &load.names {
            let place = match name.identity.kind {
                Kind::Parcel => QueueId::Out(file.recipient),
                Kind::Cca => continue,
                _ => QueueId::Acks(file.recipient),
            };
            let path = self.spool.queue(place).path_of(name);
            // What has another name by now, or none, was seen to.
            let octets = match files::read(&path, FileRole::Spool, limits::MAX_MESSAGE_LEN) {
                Ok(octets) => octets,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            let item = Item::parse(octets).ok();
            let message = item.as_ref().and_then(Item::message);
            given.push(PackedMessage {
                path,
                name: name.clone(),
                id: message.map(|message| message.fields().id.clone()),
            });
        }
        self.note_and_release(file.recipient, &cargo.fields().id, &given)?;
        Ok(true)
    }

    /// Gives what waits, and asks for what is ours, and tells `each` what happened.
    ///
    /// # Errors
    /// What cannot be gone on from: the spool or the medium cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &mut self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        // A request is small, and without it nothing comes back.
        self.request(each)?;
        self.room = self.medium.free_space()?.saturating_sub(4 * OVERHEAD);
        let mut hops = Vec::new();
        let mut waiting = 0;
        for id in self.waiting_hops()? {
            let unsettled = self.unsettled.remove(&id).unwrap_or_default();
            let (messages, octets, untimely) = self.amount(id)?;
            if untimely > 0 {
                each(ExchangeEvent::Untimely(untimely))?;
            }
            if messages == 0 && unsettled.answered.is_none() {
                self.carried
                    .settle(&unsettled.records)
                    .map_err(Error::from)?;
                continue;
            }
            waiting += octets;
            let mut events = Vec::new();
            let way = self.hop(id, &mut events);
            events.into_iter().try_for_each(&mut *each)?;
            match way {
                Ok(Way::Open(mut hop)) => {
                    hop.resume(unsettled);
                    hops.push(*hop);
                }
                Ok(Way::Closed(_)) if messages == 0 => {
                    self.carried
                        .settle(&unsettled.records)
                        .map_err(Error::from)?;
                }
                Ok(Way::Closed(WaitReason::Ended)) if !self.time.is_believed() => {
                    each(ExchangeEvent::Untimely(messages))?;
                }
                Ok(Way::Closed(why)) => each(ExchangeEvent::Waiting {
                    hop: self.spool.owner().label_of(id).map_err(Error::from)?,
                    messages,
                    octets,
                    why,
                })?,
                Err(error @ (Error::Disk(_) | Error::Spool(_))) => return Err(error.into()),
                Err(error) if self.is_untimely(&error) => each(ExchangeEvent::Untimely(messages))?,
                Err(error) => each(ExchangeEvent::Failed {
                    what: self.spool.owner().label_of(id).map_err(Error::from)?,
                    error,
                })?,
            }
        }
        // Where there is room for all, few cargoes are better than sorted ones.
        let is_scarce = waiting + OVERHEAD * hops.len() as u64 > self.room;
        let levels: Vec<Option<u8>> = if is_scarce {
            (0..=MAX_PRIORITY).rev().map(Some).collect()
        } else {
            vec![None]
        };
        // Acknowledgements make room elsewhere; they travel with the first messages.
        for hop in &mut hops {
            self.give(hop, QueueId::Acks(hop.id), None, each)?;
        }
        for level in levels {
            for hop in &mut hops {
                self.give(hop, QueueId::Out(hop.id), level, each)?;
            }
        }
        for mut hop in hops {
            self.pack(&mut hop, each)?;
            if hop.left.messages > 0 {
                each(ExchangeEvent::Waiting {
                    hop: hop.sealer.peer().name.clone(),
                    messages: hop.left.messages,
                    octets: hop.left.octets,
                    why: WaitReason::NoRoom,
                })?;
            }
            if let Some((due, path, _)) = hop.answered
                && hop.cargoes > 0
                && let Err(error) = use_up(due, &path)
            {
                // The records stay unsettled, so the next run does it. Other hops do not wait for that.
                each(ExchangeEvent::Failed {
                    what: path.display().to_string(),
                    error,
                })?;
                continue;
            }
            self.carried.settle(&hop.records).map_err(Error::from)?;
        }
        Ok(())
    }

    /// The next hops for which there is a queue.
    fn waiting_hops(&self) -> Result<Vec<NodeId>, Error> {
        let mut hops = Vec::new();
        for folder in ["out", "acks"] {
            for queue in self.spool.queues_in(folder)? {
                if let QueueId::Out(hop) | QueueId::Acks(hop) = queue.place() {
                    hops.push(hop);
                }
            }
        }
        hops.extend(self.unsettled.keys());
        hops.sort_unstable();
        hops.dedup();
        Ok(hops)
    }

    /// How much waits for a hop that may go onto this medium.
    fn amount(&self, hop: NodeId) -> Result<(usize, u64, usize), Error> {
        let (mut messages, mut octets, mut untimely) = (0, 0, 0);
        for place in [QueueId::Acks(hop), QueueId::Out(hop)] {
            for message in self.spool.queue(place).messages()? {
                let message = message?;
                let has_expired = message.name.has_expired(self.time.told);
                untimely += usize::from(has_expired && !self.time.is_believed());
                if self.may_go(hop, &message.name)
                    && let Some(len) = message.len()?
                {
                    messages += 1;
                    octets += len;
                }
            }
        }
        Ok((messages, octets, untimely))
    }

    /// Whether an error may be for the clock alone, which is not believed.
    fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.depends_on_clock()
    }

    fn may_go(&self, hop: NodeId, name: &Name) -> bool {
        let is_on_medium =
            |on_medium: &HashSet<KeyDigest>| on_medium.contains(&name.identity.key());
        !name.has_expired(self.time.told) && !self.on_medium.get(&hop).is_some_and(is_on_medium)
    }

    /// How to send to a hop: it registered this node or peers with it, or it asks. What is wrong with a CCA becomes an
    /// event.
    fn hop(&self, id: NodeId, events: &mut Vec<ExchangeEvent>) -> Result<Way<'a>, Error> {
        let node = self.spool.owner();
        let open = |sealer, answered| {
            Way::Open(Box::new(NextHop {
                id,
                sealer,
                answered,
                chosen: Vec::new(),
                cargoes: 0,
                records: Vec::new(),
                left: Left::default(),
                is_blocked: false,
            }))
        };
        let refusal = match node.carrier(id, self.time.told) {
            Ok(peer) => {
                let _locks = node.lock_peer(id)?;
                let sealer = Sealer::new(node, peer, Kind::Cargo, self.cipher, self.time.told)?;
                return Ok(open(sealer, None));
            }
            Err(refusal) => refusal,
        };
        let (answer, why) = self.answer(id, events);
        let is_broken = matches!(refusal, node::Error::Disk(_) | node::Error::Damaged { .. });
        match (answer, refusal) {
            (Some((sealer, answered)), refusal) => {
                if is_broken {
                    let what = node.label_of(id)?;
                    let error = refusal.into();
                    events.push(ExchangeEvent::Failed { what, error });
                }
                Ok(open(sealer, Some(answered)))
            }
            (None, node::Error::NotCarrier(_) | node::Error::UnknownPeer(_)) => {
                Ok(Way::Closed(why))
            }
            (None, refusal) => Err(refusal.into()),
        }
    }

    /// The first CCA of a hop that can be answered; without one, why messages wait. A bad one is told of and does not
    /// keep the others from being tried: what could never be answered is set aside, and what a person can mend stays.
    fn answer(
        &self,
        id: NodeId,
        events: &mut Vec<ExchangeEvent>,
    ) -> (Option<Answer<'a>>, WaitReason) {
        let mut why = WaitReason::NoWay;
        let queue = self.spool.queue(QueueId::Cca(id));
        let unlisted = |error: spool::Error| ExchangeEvent::Failed {
            what: queue.dir().display().to_string(),
            error: error.into(),
        };
        let entries = match queue.entries() {
            Ok(entries) => entries,
            Err(error) => {
                events.push(unlisted(error));
                return (None, why);
            }
        };
        for found in entries {
            let held = match found {
                Ok(QueueEntry::Message(held)) => held,
                Ok(QueueEntry::Stray(path)) => {
                    events.push(ExchangeEvent::Stray(path));
                    continue;
                }
                Err(error) => {
                    events.push(unlisted(error));
                    break;
                }
            };
            let what = held.path.display().to_string();
            match self.answer_to(&held) {
                Ok(Some(answer)) => return (Some(answer), why),
                Ok(None) => {}
                // relay-purge removes it, if it believes the clock. The gateway asks again.
                Err(Unanswered::Over) => why = WaitReason::Ended,
                Err(Unanswered::Never(error)) => match self.set_aside(id, &held, &error) {
                    Ok(()) => events.push(ExchangeEvent::SetAside { what, error }),
                    Err(unmoved) => events.extend([error, unmoved.into()].map(|error| {
                        let what = what.clone();
                        ExchangeEvent::Failed { what, error }
                    })),
                },
                Err(Unanswered::Now(error)) => events.push(ExchangeEvent::Failed { what, error }),
            }
        }
        (None, why)
    }

    /// Prepares to answer a CCA; `None` for one that has gone or was answered before.
    fn answer_to(&self, held: &Waiting) -> Result<Option<Answer<'a>>, Unanswered> {
        let node = self.spool.owner();
        let Some(octets) = held.read()? else {
            return Ok(None);
        };
        match receive::cca(node, octets, &self.terms) {
            Ok(cca) => {
                let peer = cca.correspondent()?;
                let sealer = Sealer::new(node, peer, Kind::Cargo, self.cipher, self.time.told)?;
                // Nobody else packs while the queues are locked, and others need not wait for a slow medium.
                let (_, due) = cca.into_due();
                let answered = (due, held.path.clone(), held.name.clone());
                Ok(Some((sealer, answered)))
            }
            Err(node::Error::CcaUsed) => {
                seen::settle(node.root())?;
                files::remove(&held.path, FileRole::Spool)?;
                Ok(None)
            }
            Err(error) if !self.time.is_believed() && error.depends_on_clock() => {
                Err(Unanswered::Over)
            }
            Err(error) if is_over(&error) => Err(Unanswered::Over),
            Err(error) if is_settled(&error) => Err(Unanswered::Never(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    fn set_aside(&self, hop: NodeId, held: &Waiting, error: &Error) -> Result<(), spool::Error> {
        let aside = FailedMessage {
            path: &held.path,
            name: &held.name,
            id: None,
            why: error.to_string(),
            back_to: QueueId::Cca(hop),
        };
        let mut moves = Moves::default();
        self.spool.set_aside(&aside, self.time.told, &mut moves)?;
        moves.commit()
    }

    /// Gives what waits in a queue for a hop, at all levels of urgency or one.
    fn give<E: From<Error>>(
        &mut self,
        hop: &mut NextHop<'a>,
        place: QueueId,
        level: Option<u8>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let queue = self.spool.queue(place);
        let mut after: Option<Rank> = None;
        loop {
            let is_wanted = |message: &Waiting| {
                level.is_none_or(|level| message.name.urgency() == level)
                    && self.may_go(hop.id, &message.name)
            };
            let part = queue
                .in_order(after.as_ref(), PART, is_wanted)
                .map_err(Error::from)?;
            let Some(last) = part.last() else {
                return Ok(());
            };
            after = Some(last.rank());
            self.choose(part, hop)?;
            if hop.chosen.len() >= PART {
                self.pack(hop, each)?;
            }
            if hop.is_blocked {
                return Ok(());
            }
        }
    }

    /// Chooses those that there is room for, in order.
    fn choose(&mut self, part: Vec<Waiting>, hop: &mut NextHop<'a>) -> Result<(), Error> {
        for message in part {
            let Some(octets) = message.len()? else {
                continue;
            };
            let len = usize::try_from(octets).unwrap_or(usize::MAX);
            if len > limits::MAX_ITEM_LEN {
                // Nothing that came here is so long; whoever put it there finds it in the list.
                hop.left.add(octets);
                continue;
            }
            let needed = message_set::item_len(len) as u64;
            if needed + OVERHEAD > self.room {
                hop.left.add(octets);
            } else {
                self.room -= needed;
                hop.chosen.push(Chosen { message, len });
            }
        }
        Ok(())
    }

    /// Packs the chosen into as few cargoes as possible, and writes each. They are read and verified on every core.
    fn pack<E: From<Error>>(
        &mut self,
        hop: &mut NextHop<'a>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let chosen = std::mem::take(&mut hop.chosen);
        let sizes: Vec<usize> = chosen.iter().map(|chosen| chosen.len).collect();
        let cargoes = cargo::distribute(&sizes);
        let taken = OVERHEAD * cargoes.len() as u64;
        self.room = self.room.saturating_sub(taken);
        let mut chosen: Vec<Option<Chosen>> = chosen.into_iter().map(Some).collect();
        // The messages in the order of the cargoes, each with whether it is the last of its own.
        let mut order = cargoes.iter().flat_map(|cargo| {
            let last = cargo.last().copied();
            cargo.iter().map(move |&at| (at, Some(at) == last))
        });
        let mut builder = self.builder(&hop.sealer);
        let mut is_full_now = false;
        let exporter = &*self;
        workers::in_order(
            Bounds::octets(limits::MAX_EMITTED_MESSAGE_LEN),
            || {
                let (at, is_last) = order.next()?;
                let item = chosen[at].take()?;
                let octets = item.len;
                Some(WorkItem {
                    item: (item.message, is_last),
                    octets,
                })
            },
            |(message, is_last)| {
                let loaded = exporter.load(&message);
                (message, is_last, loaded)
            },
            |(message, is_last, loaded)| {
                match loaded {
                    Ok(Some(loaded)) => builder.add(message, loaded, exporter.time.told),
                    Ok(None) => {}
                    Err(error @ (Error::Disk(_) | Error::Spool(_))) => return Err(error.into()),
                    Err(error) if exporter.is_untimely(&error) => each(ExchangeEvent::Untimely(1))?,
                    Err(error) => each(ExchangeEvent::Failed {
                        what: message.path.display().to_string(),
                        error,
                    })?,
                }
                if !is_last || builder.messages.is_empty() {
                    return Ok(());
                }
                let mut builder = std::mem::replace(&mut builder, exporter.builder(&hop.sealer));
                if is_full_now {
                    hop.left_with(&builder);
                }
                if is_full_now || hop.is_blocked {
                    return Ok(());
                }
                match exporter.write(hop, &mut builder) {
                    Ok(event) => each(event),
                    // More was thought to fit than does.
                    Err(Error::Disk(error)) if is_full(&error) => {
                        hop.left_with(&builder);
                        is_full_now = true;
                        Ok(())
                    }
                    Err(error @ (Error::InTheWay(_) | Error::Unreadable(_))) => {
                        hop.is_blocked = true;
                        each(ExchangeEvent::Failed {
                            what: hop.sealer.peer().name.clone(),
                            error,
                        })
                    }
                    Err(error) => Err(error.into()),
                }
            },
        )?;
        if is_full_now {
            self.room = 0;
        }
        Ok(())
    }

    fn builder(&self, sealer: &Sealer) -> CargoBuilder {
        CargoBuilder {
            set: Buffer::with_capacity(0),
            expiry: sealer.date().max(self.time.told),
            messages: Vec::new(),
            octets: 0,
        }
    }

    /// Reads and verifies a message; `None` for one that has gone.
    fn load(&self, message: &Waiting) -> Result<Option<LoadedMessage>, Error> {
        let Some(octets) = message.read()? else {
            return Ok(None);
        };
        let kept = (message.name.identity.kind != Kind::Parcel).then(|| octets.clone());
        let item = verify::transport(Item::parse(octets)?, &self.policy)?;
        if item.kind() != message.name.identity.kind {
            return Err(Error::Damaged);
        }
        let id = item.message().map(|message| message.fields().id.clone());
        let expiry = item.expiry();
        let octets = item.into_message().map(SignedMessage::into_octets);
        Ok(octets
            .or(kept)
            .map(|octets| LoadedMessage { octets, id, expiry }))
    }

    /// Seals a cargo and writes it.
    fn write(
        &self,
        hop: &mut NextHop<'a>,
        builder: &mut CargoBuilder,
    ) -> Result<ExchangeEvent, Error> {
        let set = std::mem::replace(&mut builder.set, Buffer::with_capacity(0));
        let cargo = send::cargo(&hop.sealer, set, builder.expiry)?;
        let (now, fields) = (self.time.told, &cargo.fields);
        let octets = cargo.octets.as_slice();
        let ends = (hop.id, hop.sealer.sender());
        let (pending, sha256) = self.medium.prepare(Kind::Cargo, ends, octets)?;
        let answered = hop.answered.iter().map(|(_, _, name)| name);
        let names = builder.messages.iter().map(|given| &given.name);
        let dates = (now, fields.expiry());
        let record = self
            .carried
            .note((hop.id, &sha256), dates, names.chain(answered))?;
        pending.place().map_err(denied)?;
        self.note_and_release(hop.id, &fields.id, &builder.messages)?;
        hop.cargoes += 1;
        // The last thing that follows is that the CCA is used up.
        if hop.answered.is_some() {
            hop.records.push(record);
        } else {
            self.carried.settle(&[record])?;
        }
        Ok(ExchangeEvent::Packed {
            cargo: fields.id.clone(),
            hop: hop.id,
            messages: builder.messages.len(),
            len: octets.len(),
        })
    }

    /// Notes that messages are in cargo on the medium, and lets go of them where nobody will acknowledge them.
    fn note_and_release(
        &self,
        hop: NodeId,
        cargo: &str,
        given: &[PackedMessage],
    ) -> Result<(), Error> {
        let line = |given: &PackedMessage, event| {
            Some(Line {
                time: self.time.told,
                event,
                recipient: given.name.identity.recipient,
                sender: given.name.identity.sender,
                id: given.id.clone()?,
                to: Some(hop.to_string()),
                cargo: Some(cargo.to_owned()),
                medium: Some(self.medium.id().to_owned()),
            })
        };
        let packed = given.iter().filter_map(|it| line(it, SentEvent::Packed));
        let last = given.iter().filter(|it| it.is_last_copy());
        let released = last.filter_map(|it| line(it, SentEvent::Released));
        self.spool
            .note(&packed.chain(released).collect::<Vec<_>>())?;
        self.release(&self.spool.queue(QueueId::Out(hop)), given)
    }

    /// Lets go of what nobody will acknowledge: acknowledgements, and messages of which enough copies went out.
    fn release(&self, out: &Queue, given: &[PackedMessage]) -> Result<(), Error> {
        let owner = self.spool.owner();
        let mut memory = None;
        let mut moves = Moves::default();
        let mut passed = Vec::new();
        let mut gone = Vec::new();
        for given in given {
            let PackedMessage { path, name, id } = given;
            match (name.identity.kind, name.copies) {
                (Kind::Parcel, None) => {}
                (Kind::Parcel, Some(copies)) if !given.is_last_copy() => {
                    let fewer = Name {
                        copies: Some(copies - 1),
                        ..name.clone()
                    };
                    moves.rename(path, &out.path_of(&fewer))?;
                }
                (Kind::Parcel, Some(_)) => {
                    if memory.is_none() {
                        memory = Some(Memory::of(owner.root())?);
                    }
                    let named = &name.identity;
                    let id = id.as_deref().unwrap_or_default();
                    passed.push(node::ReplayKey::new(
                        named.kind,
                        named.recipient,
                        named.sender,
                        id,
                        name.expiry,
                    ));
                    gone.push(path);
                }
                _ => gone.push(path),
            }
        }
        if let Some(memory) = &mut memory {
            memory.pass_on(&passed)?;
        }
        for path in gone {
            moves.remove(path)?;
        }
        moves.commit()?;
        Ok(())
    }

    /// Asks the gateways that registered this one for its cargo, unless the medium has such a request already.
    fn request<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let node = self.spool.owner();
        for gateway in certificates::issuers(node).map_err(Error::from)? {
            let requested = self.request_from(gateway);
            match requested {
                Ok(None) => {}
                Ok(Some(id)) => each(ExchangeEvent::Requested { id, gateway })?,
                // A full medium may still have to be told of.
                Err(error @ Error::Disk(_)) if !matches!(&error, Error::Disk(it) if is_full(it)) => {
                    return Err(error.into());
                }
                Err(error @ Error::Spool(_)) => return Err(error.into()),
                // What waits for the gateway, or it for us, is counted there.
                Err(error) if self.is_untimely(&error) => {}
                Err(error) => each(ExchangeEvent::Failed {
                    what: node.label_of(gateway).map_err(Error::from)?,
                    error,
                })?,
            }
        }
        Ok(())
    }

    fn request_from(&self, gateway: NodeId) -> Result<Option<String>, Error> {
        let node = self.spool.owner();
        let mut files = self.medium.files_for(Kind::Cca, gateway)?;
        let mut ended = Vec::new();
        while let Some(file) = files.next_message()? {
            if file.sender != node.id() {
                continue;
            }
            if self.is_request_of_ours(&file) {
                return Ok(None);
            }
            ended.push(file);
        }
        let sent = send::cca(node, gateway, limits::CCA_LIFE, self.cipher, self.time.told)?;
        let ends = (gateway, node.id());
        let (pending, _) = self
            .medium
            .prepare(Kind::Cca, ends, sent.octets.as_slice())?;
        pending.place().map_err(denied)?;
        // By a clock that is not believed they may not have ended, and the new one may be dated in the future.
        if self.time.is_believed() {
            for file in &ended {
                self.medium.remove(file)?;
            }
        }
        Ok(Some(sent.fields.id))
    }

    /// Whether a CCA that bears our name is one that the gateway will take: whole, alive, and made by us.
    fn is_request_of_ours(&self, file: &MediumFile) -> bool {
        let Ok(Some(octets)) = file.read() else {
            return false;
        };
        let verdict = file.verified(octets, &self.policy);
        verdict.is_ok_and(|verdict| verdict.expiry.is_some_and(|end| end > self.time.told))
    }
}

/// Remembers that a CCA was answered, and removes it.
fn use_up(due: PendingReceipt<'_>, path: &Path) -> Result<(), Error> {
    due.complete_later()?;
    files::remove(path, FileRole::Spool)?;
    Ok(())
}

/// Whether the time of a CCA is over.
fn is_over(error: &node::Error) -> bool {
    use node::Error as E;
    let of_ramf = |error: &ramf::Error| {
        matches!(
            error,
            ramf::Error::Expired(_) | ramf::Error::Pki(pki::Error::Expired { .. })
        )
    };
    match error {
        E::Pki(pki::Error::Expired { .. })
        | E::Message(message::Error::Pki(pki::Error::Expired { .. })) => true,
        E::Ramf(error) | E::Message(message::Error::Ramf(error)) => of_ramf(error),
        _ => false,
    }
}

/// Whether a CCA that was refused so stays refused, whatever becomes of the disk, the keys and the clock.
fn is_settled(error: &node::Error) -> bool {
    use node::Error as E;
    let of_pki =
        |error: &pki::Error| !matches!(error, pki::Error::Crypto(_) | pki::Error::Early { .. });
    let of_session = |error: &session::Error| !matches!(error, session::Error::Crypto(_));
    let of_ramf = |error: &ramf::Error| match error {
        ramf::Error::Early(_) | ramf::Error::Cms(cms::Error::Crypto(_)) => false,
        ramf::Error::Pki(error) | ramf::Error::Cms(cms::Error::Pki(error)) => of_pki(error),
        _ => true,
    };
    match error {
        E::Pki(error) | E::Message(message::Error::Pki(error)) => of_pki(error),
        E::Session(error) | E::Message(message::Error::Session(error)) => of_session(error),
        E::Ramf(error) | E::Message(message::Error::Ramf(error)) => of_ramf(error),
        E::ForeignCarrier
        | E::UnknownCarrier(_)
        | E::EndpointCarrier(_)
        | E::UnknownSessionKey(_)
        | E::Asn1(_)
        | E::Message(_) => true,
        _ => false,
    }
}

impl NextHop<'_> {
    /// Takes on what a run that was killed has given.
    fn resume(&mut self, unsettled: Unsettled) {
        let is_answered = |name: &Name| Some(name) == unsettled.answered.as_ref();
        if self
            .answered
            .as_ref()
            .is_some_and(|(_, _, name)| is_answered(name))
        {
            self.cargoes += 1;
        }
        self.records = unsettled.records;
    }

    fn left_with(&mut self, builder: &CargoBuilder) {
        self.left.messages += builder.messages.len();
        self.left.octets += builder.octets;
    }
}

impl CargoBuilder {
    fn add(&mut self, message: Waiting, loaded: LoadedMessage, now: Timestamp) {
        let len = loaded.octets.len();
        message_set::append_header(&mut self.set, len);
        self.set.append(&loaded.octets);
        self.expiry = self
            .expiry
            .max(loaded.expiry.unwrap_or(message.name.expiry))
            .max(now);
        self.octets += len as u64;
        self.messages.push(PackedMessage {
            path: message.path,
            name: message.name,
            id: loaded.id,
        });
    }
}
