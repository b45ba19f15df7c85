//! Exports from the spool to a medium: cargo for every next hop that we may send to, and requests
//! for our own.
//!
//! The order of effects: cargo is written, read back and synced without its name; its messages are
//! recorded; it gets its name; that is noted; the acknowledgements in it leave their queue. A
//! parcel waits on until its next hop acknowledges it, unless the route says that none will. A CCA
//! is used up when all cargo that answers it is on the medium. Before that, cargo is taken off whose
//! parcels have all left by another way.

mod context; // what every step works with
mod space; // free space, and what does not fit
mod record; // what follows from cargo that is written
mod on_medium; // what is on the medium already
mod withdraw; // cargo that nobody needs any more
mod answer; // how to send to a next hop: a peer, or one that asks
mod hop; // a next hop, and what is chosen for it
mod pack; // cargo is filled, sealed and written
mod request; // requests for our own cargo

use context::{Context, Coverage, unlisted};
use hop::NextHop;
use on_medium::{OnMedium, Unsettled};
use space::Space;

use std::collections::BTreeSet;

use super::{Error, ExchangeEvent, Medium, MediumFile, WaitReason};
use crate::cms::enveloped_data::Cipher;
use crate::pki::NodeId;
use crate::receive::ReceiveOptions;
use crate::spool::name::MAX_PRIORITY;
use crate::spool::queue::{QueueEntry, Rank, Waiting};
use crate::spool::{Name, QueueId, QueueKind, Spool, Time};
use crate::verify::Policy;

use answer::Way;

/// Whether all that is in a cargo of ours waits in the queues or can be made again.
///
/// # Errors
/// When its record cannot be read.
pub fn may_be_packed_again(
    spool: &Spool,
    medium: &Medium,
    cargo: &MediumFile,
) -> Result<bool, Error> {
    let carried = spool.carried(medium.id())?;
    let mut records = carried.records()?.into_iter();
    let record = records.find(|it| it.hop == cargo.recipient && it.cargo == cargo.sha256);
    let load = match record {
        Some(record) => carried.read(&record)?,
        None => None,
    };
    Ok(load.is_some_and(|load| withdraw::is_packed_again(&load)))
}

/// The number of messages that are chosen at a time.
const PART: usize = 8192;

/// Exports to a medium. The caller holds the queue lock.
pub struct Exporter<'a> {
    context: Context<'a>,
    on_medium: OnMedium,
    space: Space,
}

/// The messages that wait for a next hop.
#[derive(Clone, Copy, Default)]
struct Amount {
    messages: usize,
    octets: u64,
    /// The number of messages that seem to have expired, by a doubted clock.
    untimely: usize,
}

impl<'a> Exporter<'a> {
    /// Prepares an export, and surveys what is on the medium already.
    ///
    /// # Errors
    /// When the node, its spool or the medium cannot be read.
    pub fn new(
        spool: &'a Spool,
        medium: &'a Medium,
        options: ReceiveOptions,
        time: Time,
        cipher: Cipher,
    ) -> Result<Self, Error> {
        Self::all_but(BTreeSet::new(), spool, medium, options, time, cipher)
    }

    /// As [`new`](Self::new), for one next hop alone, which collects its cargo over a network; without requests for our own
    /// cargo.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_hop(
        hop: NodeId,
        spool: &'a Spool,
        medium: &'a Medium,
        options: ReceiveOptions,
        time: Time,
        cipher: Cipher,
    ) -> Result<Self, Error> {
        Self::to(Coverage::Only(hop), spool, medium, options, time, cipher)
    }

    /// As [`new`](Self::new), for all next hops but these, which get their messages in another way; they are not asked for
    /// cargo either.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn all_but(
        others: BTreeSet<NodeId>,
        spool: &'a Spool,
        medium: &'a Medium,
        options: ReceiveOptions,
        time: Time,
        cipher: Cipher,
    ) -> Result<Self, Error> {
        Self::to(
            Coverage::AllBut(others),
            spool,
            medium,
            options,
            time,
            cipher,
        )
    }

    /// Takes off the medium what its next hops did not get, so that it is packed anew, and forgets what they got: where one
    /// asks again, that may be lost.
    ///
    /// # Errors
    /// When the spool or the medium cannot be read or changed.
    pub fn start_anew(&mut self) -> Result<(), Error> {
        self.context.withdraw_all()?;
        self.on_medium = self.context.survey()?;
        Ok(())
    }

    fn to(
        coverage: Coverage,
        spool: &'a Spool,
        medium: &'a Medium,
        options: ReceiveOptions,
        time: Time,
        cipher: Cipher,
    ) -> Result<Self, Error> {
        let context = Context {
            spool,
            medium,
            options,
            time,
            policy: Policy::of_node(spool.owner(), Vec::new(), options.window, time.told)?,
            cipher,
            carried: spool.carried(medium.id())?,
            coverage,
        };
        let on_medium = context.survey()?;
        Ok(Self {
            context,
            on_medium,
            space: Space::default(),
        })
    }

    /// Writes requests for our own cargo, then the messages that wait. Reports to `each`.
    ///
    /// # Errors
    /// Fatal errors only: the spool or the medium cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &mut self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        std::mem::take(&mut self.on_medium.events)
            .into_iter()
            .try_for_each(&mut *each)?;
        let mut failed = BTreeSet::new();
        let key = |what: &str, error: &Error| (what.to_owned(), error.to_string());
        // First, since a request is small, and without one no cargo comes back.
        if matches!(self.context.coverage, Coverage::AllBut(_)) {
            self.context.request(&mut |event| {
                if let ExchangeEvent::Failed { what, error } = &event {
                    failed.insert(key(what, error));
                }
                each(event)
            })?;
        }
        self.space = Space::of(self.context.medium)?;
        // A gateway that no request can be sealed to gets no cargo for the same reason, which is said once.
        let (mut hops, waiting) = self.open_hops(&mut |event| match &event {
            ExchangeEvent::Failed { what, error } if failed.contains(&key(what, error)) => Ok(()),
            _ => each(event),
        })?;
        // With space for all messages, sorting by priority would only make more cargoes.
        let levels: Vec<Option<u8>> = if self.space.is_scarce(waiting, hops.len()) {
            (0..=MAX_PRIORITY).rev().map(Some).collect()
        } else {
            vec![None]
        };
        // First, since they are small and let other nodes remove parcels. They travel in the same
        // cargo as the first messages.
        for hop in &mut hops {
            self.export(hop, QueueId::Acks(hop.id), None, each)?;
        }
        for level in levels {
            for hop in &mut hops {
                self.export(hop, QueueId::Out(hop.id), level, each)?;
            }
        }
        hops.into_iter()
            .try_for_each(|hop| self.finish_hop(hop, each))
    }

    /// The next hops that can be sent to, and the octets that wait for all of them. Reports why the
    /// others cannot.
    fn open_hops<E: From<Error>>(
        &mut self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(Vec<NextHop<'a>>, u64), E> {
        let mut hops = Vec::new();
        let mut waiting = 0;
        for id in self.waiting_hops()? {
            let unsettled = self.on_medium.take_unsettled(id);
            let Some(amount) = self.amount(id, each)? else {
                continue;
            };
            if amount.untimely > 0 {
                each(ExchangeEvent::Untimely(amount.untimely))?;
            }
            // No messages and no CCA to use up: a killed run may have left records to settle.
            if amount.messages == 0 && unsettled.answered.is_none() {
                self.settle(&unsettled)?;
                continue;
            }
            waiting += amount.octets;
            hops.extend(self.open_hop(id, amount, unsettled, each)?);
        }
        Ok((hops, waiting))
    }

    fn open_hop<E: From<Error>>(
        &self,
        id: NodeId,
        amount: Amount,
        unsettled: Unsettled,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<Option<NextHop<'a>>, E> {
        let Amount {
            messages, octets, ..
        } = amount;
        let time = &self.context.time;
        let label = || self.context.spool.owner().label_of(id);
        let mut events = Vec::new();
        let way = self.context.way(id, &mut events);
        events.into_iter().try_for_each(&mut *each)?;
        match way {
            Ok(Way::Open(way)) => {
                let (sealer, answered) = *way;
                return Ok(Some(NextHop::new(id, sealer, answered, unsettled)));
            }
            Ok(Way::Closed(_)) if messages == 0 => self.settle(&unsettled)?,
            // The CCA may still be valid by a right clock.
            Ok(Way::Closed(WaitReason::Ended)) if !time.is_believed() => {
                each(ExchangeEvent::Untimely(messages))?;
            }
            Ok(Way::Closed(why)) => each(ExchangeEvent::Waiting {
                hop: label(),
                messages,
                octets,
                why,
            })?,
            Err(error) if self.context.is_untimely(&error) => {
                each(ExchangeEvent::Untimely(messages))?;
            }
            // A problem of one next hop does not stop the export to the others.
            Err(error) => each(ExchangeEvent::Failed {
                what: label(),
                error,
            })?,
        }
        Ok(None)
    }

    fn settle(&self, unsettled: &Unsettled) -> Result<(), Error> {
        Ok(self.context.carried.settle(&unsettled.records)?)
    }

    /// The next hops that have a queue, or something left to settle.
    fn waiting_hops(&self) -> Result<Vec<NodeId>, Error> {
        let mut hops = Vec::new();
        for kind in [QueueKind::Out, QueueKind::Acks] {
            let queues = self.context.spool.queues_in(kind)?;
            hops.extend(queues.into_iter().map(|(hop, _)| hop));
        }
        hops.extend(self.on_medium.unsettled_hops());
        hops.retain(|hop| self.context.covers(*hop));
        hops.sort_unstable();
        hops.dedup();
        Ok(hops)
    }

    /// How much waits for a next hop that may go onto this medium; `None` where that cannot be listed, which is
    /// reported, as is what is no message.
    fn amount<E: From<Error>>(
        &self,
        hop: NodeId,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<Option<Amount>, E> {
        let Context { spool, time, .. } = &self.context;
        let mut amount = Amount::default();
        for place in [QueueId::Acks(hop), QueueId::Out(hop)] {
            let queue = spool.queue(place);
            let entries = match queue.entries() {
                Ok(entries) => entries,
                Err(error) => {
                    each(unlisted(&queue, error))?;
                    return Ok(None);
                }
            };
            for entry in entries {
                let message = match entry {
                    Ok(QueueEntry::Message(message)) => message,
                    Ok(QueueEntry::Unexpected(path)) => {
                        each(ExchangeEvent::Unexpected(path))?;
                        continue;
                    }
                    Err(error) => {
                        each(unlisted(&queue, error))?;
                        return Ok(None);
                    }
                };
                let has_expired = message.name.has_expired(time.told);
                amount.untimely += usize::from(has_expired && !time.is_believed());
                // Of one that cannot be examined it is reported when it is packed.
                if self.may_go(hop, &message.name)
                    && let Some(len) = message.len().unwrap_or(Some(0))
                {
                    amount.messages += 1;
                    amount.octets += len;
                }
            }
        }
        Ok(Some(amount))
    }

    fn may_go(&self, hop: NodeId, name: &Name) -> bool {
        !name.has_expired(self.context.time.told) && !self.on_medium.has(hop, name)
    }

    /// Exports the messages in a queue for a next hop, of one priority or of all.
    fn export<E: From<Error>>(
        &mut self,
        hop: &mut NextHop<'a>,
        place: QueueId,
        level: Option<u8>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let queue = self.context.spool.queue(place);
        let mut after: Option<Rank> = None;
        // In parts, so that memory does not grow with the queue.
        loop {
            let is_wanted = |message: &Waiting| {
                level.is_none_or(|level| message.name.urgency() == level)
                    && self.may_go(hop.id, &message.name)
            };
            let part = match queue.in_order(after.as_ref(), PART, is_wanted) {
                Ok(part) => part,
                Err(error) => {
                    hop.is_blocked = true;
                    return each(unlisted(&queue, error));
                }
            };
            let Some(last) = part.last() else {
                return Ok(());
            };
            after = Some(last.rank());
            hop.choose(part, &mut self.space);
            // Chosen messages of several priorities share a cargo until there are enough.
            if hop.chosen.len() >= PART {
                self.context.pack(hop, &mut self.space, each)?;
            }
            if hop.is_blocked {
                return Ok(());
            }
        }
    }

    /// Packs the remaining messages, reports those that do not fit, and uses up the CCA that was
    /// answered.
    fn finish_hop<E: From<Error>>(
        &mut self,
        mut hop: NextHop<'a>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        self.context.pack(&mut hop, &mut self.space, each)?;
        if hop.left.messages > 0 {
            each(ExchangeEvent::Waiting {
                hop: hop.sealer.peer().name.clone(),
                messages: hop.left.messages,
                octets: hop.left.octets,
                why: WaitReason::NoRoom,
            })?;
        }
        // Who collects over the network comes again for what is left.
        let comes_again =
            matches!(self.context.coverage, Coverage::Only(_)) && hop.left.messages > 0;
        if let Some(answered) = hop.answered
            && hop.cargoes > 0
            && !comes_again
        {
            let what = answered.path.display().to_string();
            if let Err(error) = answered.use_up() {
                // The records stay unsettled, so the next run uses the CCA up. Other hops are not
                // kept waiting.
                return each(ExchangeEvent::Failed { what, error });
            }
        }
        let settled = self.context.carried.settle(&hop.records);
        Ok(settled.map_err(Error::from)?)
    }
}
