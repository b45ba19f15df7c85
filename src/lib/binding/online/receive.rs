//! What a gateway holds for this node is collected, stored, and then acknowledged.

use std::time::{Duration, Instant};

use super::OnlineEvent;
use super::door::{Admittance, Door};
use crate::binding::Error;
use crate::binding::excerpt::excerpt;
use crate::binding::poweb::socket::{Collected, CollectionSocket};
use crate::message::parcel_collection::ParcelDelivery;
use crate::pki::NodeId;
use crate::spool;
use crate::spool::wire::{Arrived, MessageStore, Reception};

/// The most parcels that are stored together, with one sync.
const STORE_TOGETHER: usize = 32;

/// From this length on, in octets, they are stored without waiting for another one.
///
/// A large parcel is stored alone, since the next one is in memory already.
const STORE_OCTETS: usize = 1024 * 1024;

/// Or those that came within this time.
const STORE_WITHIN: Duration = Duration::from_millis(100);

/// A parcel that is alone for this long is stored without waiting for others.
const ALONE_FOR: Duration = Duration::from_millis(10);

/// A gateway that is not told of every parcel goes on sending pings. If nothing else comes for this long, it has sent
/// everything.
const QUIET_FOR: Duration = Duration::from_secs(3);

/// So many parcels are left with a gateway before the rest waits for another connection: each costs memory.
const MAX_OPEN: usize = 4096;

/// So many deliveries in a row that are refused or were here before end a run that is to end: a gateway could repeat them
/// for ever.
const MAX_USELESS: usize = 4096;

/// How long a count of quotas is used before one that is reached is counted anew.
const RECOUNT_AFTER: Duration = Duration::from_secs(10);

/// How collecting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionEnd {
    /// The gateway has sent everything.
    Done,
    /// Everything came, and some of it was left with the gateway.
    SomeLeft,
    /// The caller wanted no more.
    Stopped,
}

/// Collects from one gateway.
pub struct Receiving<'a> {
    /// Gives what judges parcels: it is asked before each batch, since what the node knows may change.
    pub door: &'a mut dyn FnMut() -> Result<Door, Error>,
    /// The gateway.
    pub gateway: NodeId,
    /// Whether the gateway's clock, asked in this run, and ours agree.
    pub agrees: &'a mut dyn FnMut() -> bool,
    /// Whether to go on.
    pub goes_on: &'a dyn Fn() -> bool,
    /// Whether the gateway ends the stream when everything was sent.
    pub ends: bool,
    /// How many deliveries in a row brought nothing new; 0 at first.
    pub useless: usize,
    /// When quotas were last counted anew.
    pub recounted: Instant,
}

/// A delivery with the verdict on its parcel.
struct Judged {
    delivery: String,
    len: usize,
    admittance: Admittance,
}

impl Receiving<'_> {
    /// Collects until the gateway has sent everything, or `goes_on` says no. Reports to `each`.
    ///
    /// # Errors
    /// When the gateway goes away or breaks the protocol, the spool is full or cannot be changed, or `each` failed. What
    /// came before is stored and acknowledged as far as the connection allows.
    pub fn run<E: From<Error>>(
        &mut self,
        store: &mut dyn MessageStore,
        socket: &mut CollectionSocket,
        each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
    ) -> Result<CollectionEnd, E> {
        let mut batch: Vec<ParcelDelivery> = Vec::new();
        let (mut octets, mut since) = (0, Instant::now());
        loop {
            let is_full = batch.len() >= STORE_TOGETHER || octets >= STORE_OCTETS;
            let is_due = !batch.is_empty() && since.elapsed() >= STORE_WITHIN;
            if is_full || is_due {
                self.store(std::mem::take(&mut batch), store, socket, each)?;
                octets = 0;
            }
            if batch.is_empty() && socket.open_deliveries() >= MAX_OPEN {
                return Ok(CollectionEnd::SomeLeft);
            }
            if self.ends && self.useless >= MAX_USELESS {
                return Ok(CollectionEnd::SomeLeft);
            }
            if !(self.goes_on)() {
                self.store(batch, store, socket, each)?;
                return Ok(CollectionEnd::Stopped);
            }
            let wait = if batch.is_empty() {
                Duration::from_secs(1)
            } else {
                ALONE_FOR
            };
            match socket.next(wait) {
                Ok(Collected::Delivery(delivery)) => {
                    if batch.is_empty() {
                        since = Instant::now();
                    }
                    octets += delivery.len();
                    batch.push(delivery);
                }
                Ok(Collected::Nothing) if !batch.is_empty() => {
                    self.store(std::mem::take(&mut batch), store, socket, each)?;
                    octets = 0;
                }
                Ok(Collected::Nothing)
                    if self.ends
                        && socket.open_deliveries() > 0
                        && socket.quiet_for() >= QUIET_FOR =>
                {
                    return Ok(CollectionEnd::SomeLeft);
                }
                // Pings alone do not make it well: this run would hold the lock for ever.
                Ok(Collected::Nothing) if self.ends => socket.check_pace()?,
                Ok(Collected::Nothing) => {}
                Ok(Collected::Done) => {
                    self.store(batch, store, socket, each)?;
                    return Ok(CollectionEnd::Done);
                }
                Err(error) => {
                    // What came before the end is worth keeping, even if it cannot be acknowledged any more: it is
                    // known when it comes again.
                    let _ = self.store(batch, store, socket, each);
                    return Err(error.into());
                }
            }
        }
    }

    /// Stores a batch, then acknowledges it.
    fn store<E: From<Error>>(
        &mut self,
        batch: Vec<ParcelDelivery>,
        store: &mut dyn MessageStore,
        socket: &mut CollectionSocket,
        each: &mut dyn FnMut(OnlineEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        if batch.is_empty() {
            return Ok(());
        }
        let door = (self.door)()?;
        let judged: Vec<Judged> = batch
            .into_iter()
            .map(|delivery| {
                let (id, len) = (delivery.id.clone(), delivery.len());
                Judged {
                    delivery: id,
                    len,
                    admittance: door.judge(delivery.into_parcel(), self.agrees),
                }
            })
            .collect();
        let (stored, failed) = self.put(store, &judged);
        let mut acknowledged = Vec::new();
        let mut events = Vec::new();
        let mut stored = stored.into_iter();
        let mut is_full = None;
        for it in judged {
            let shown = excerpt(it.delivery.as_bytes());
            let event = match it.admittance {
                Admittance::Refused(error) => {
                    acknowledged.push(it.delivery);
                    OnlineEvent::Rejected {
                        delivery: shown,
                        error,
                    }
                }
                Admittance::Left(error) => OnlineEvent::Left {
                    delivery: shown,
                    error,
                },
                Admittance::Welcome(item) => {
                    let Some(arrived) = Arrived::new(&item, self.gateway) else {
                        continue;
                    };
                    let (name, id) = (arrived.name().clone(), arrived.id().to_owned());
                    match stored.next() {
                        Some(Ok(Reception::Stored)) => {
                            acknowledged.push(it.delivery);
                            OnlineEvent::Collected {
                                name,
                                id,
                                len: it.len,
                            }
                        }
                        Some(Ok(Reception::Repeated)) => {
                            acknowledged.push(it.delivery);
                            OnlineEvent::CollectedAgain { name, id }
                        }
                        Some(Ok(Reception::Loop)) => OnlineEvent::Left {
                            delivery: shown,
                            error: Error::Loop,
                        },
                        Some(Err(error)) => {
                            let is_reserve = matches!(error, spool::Error::Reserve { .. });
                            if is_reserve && is_full.is_none() {
                                is_full = Some(Error::from(error));
                                continue;
                            }
                            OnlineEvent::Left {
                                delivery: shown,
                                error: error.into(),
                            }
                        }
                        // The whole batch failed, which is said once.
                        None => continue,
                    }
                }
            };
            events.push(event);
        }
        self.note_use(&events);
        socket.acknowledge(acknowledged.iter().map(String::as_str))?;
        events.into_iter().try_for_each(each)?;
        // A disk that is full or fails does so for all that comes.
        match failed.or(is_full) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Counts how many deliveries in a row brought nothing new.
    fn note_use(&mut self, events: &[OnlineEvent]) {
        for event in events {
            self.useless = match event {
                OnlineEvent::Rejected { .. } | OnlineEvent::CollectedAgain { .. } => {
                    self.useless.saturating_add(1)
                }
                _ => 0,
            };
        }
    }

    /// Stores what may come in. Acknowledgements for the gateway that waited are gone then: it is told on the wire.
    fn put(
        &mut self,
        store: &mut dyn MessageStore,
        judged: &[Judged],
    ) -> (Vec<Result<Reception, spool::Error>>, Option<Error>) {
        let arrived = judged.iter().filter_map(|it| match &it.admittance {
            Admittance::Welcome(item) => Arrived::new(item, self.gateway),
            _ => None,
        });
        let arrived: Vec<Arrived<'_>> = arrived.collect();
        let stored = store.put(&arrived).and_then(|mut stored| {
            // A connection may last for days, in which what came by it has long left.
            if self.recounted.elapsed() >= RECOUNT_AFTER {
                self.recounted = Instant::now();
                store.retry_quota(&arrived, &mut stored)?;
            }
            Ok(stored)
        });
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => return (Vec::new(), Some(error.into())),
        };
        let failed = store.withdraw_acks(self.gateway, &arrived).err();
        (stored, failed.map(Error::from))
    }
}
