//! Cargo that is collected (RS-008 §`CollectCargo`): packed for who shows a request of its gateway, sent one by one, and
//! taken off the medium once it is acknowledged.
//!
//! A request is good until everything that waits was acknowledged. What was acknowledged for it does not go again for
//! it. Once the gateway makes another request, all that it has not acknowledged is packed anew: what was collected may
//! have been lost on the way.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::context::{KeeperContext, KeeperEvent};
use crate::cms::enveloped_data::Cipher;
use crate::disk::{FileRole, files};
use crate::medium::export;
use crate::medium::import::request::store_request;
use crate::medium::{self, ExchangeEvent, Exporter, Medium, PassingMessage, TakenMark, passing};
use crate::message::Item;
use crate::node::{self, ReplayError};
use crate::ramf::Kind;
use crate::receive::{self, ReceiveOptions, Repeats};
use crate::serve::Error;
use crate::serve::carriage::{CargoSending, CarriageCall, MAX_REQUEST};
use crate::serve::outbox::Outbox;
use crate::serve::protocol::{CollectionClose, SessionId, ToFront};
use crate::spool::{self, Name, QueueId, Time};
use crate::verify::Policy;

/// The octets that are packed at a time: then what is packed is sent, and others have their turn.
const PACKED_AT_ONCE: u64 = 8 << 20;

/// How often it is tried again to pack while others move messages.
const LOCK_AGAIN: Duration = Duration::from_millis(50);

/// How often it is looked whether the time of a collection is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What calls are handled before those that collect have a turn.
const TOGETHER: usize = 16;

/// The most collections of cargo at once.
const SESSIONS: usize = 256;

/// Where nothing moved for this time, another call with the same request takes over.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// How cargo is encrypted: what every deployed gateway opens.
pub(super) const CIPHER: Cipher = Cipher::Cbc { key_len: 16 };

/// A collection of cargo.
struct CargoSession {
    sending: CargoSending,
    /// The request, while it is to be answered.
    octets: Vec<u8>,
    /// Whether the request is to be stored before anything is packed.
    is_new: bool,
    /// Whether all that waits is packed.
    is_packed: bool,
    /// Whether something had to be left: then the request is not used up.
    has_left: bool,
    /// When something last happened.
    moved: Instant,
}

/// All collections of cargo.
pub(super) struct Carriage<'a> {
    context: &'a KeeperContext<'a>,
    outbox: &'a Outbox<'a>,
    medium: &'a Medium,
    sessions: HashMap<SessionId, CargoSession>,
}

/// Why packing ended.
enum PackEnd {
    /// Enough is packed for now.
    Enough,
    Failed(Error),
}

impl From<medium::Error> for PackEnd {
    fn from(error: medium::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// The clock of a moment, and what follows from it.
struct Moment {
    time: Time,
    terms: ReceiveOptions,
    policy: Policy,
}

impl<'a> Carriage<'a> {
    pub(super) fn new(
        context: &'a KeeperContext<'a>,
        outbox: &'a Outbox<'a>,
        medium: &'a Medium,
    ) -> Self {
        Self {
            context,
            outbox,
            medium,
            sessions: HashMap::new(),
        }
    }

    /// Handles calls until no more can come.
    pub(super) fn work(&mut self, calls: &Receiver<CarriageCall>) {
        let mut is_waiting = false;
        loop {
            let within = if is_waiting { LOCK_AGAIN } else { LOOK_EVERY };
            match calls.recv_timeout(within) {
                Ok(call) => self.handle(call),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Not too many at a time: who collects has a turn between them.
            let batch: Vec<CarriageCall> = calls.try_iter().take(TOGETHER).collect();
            let gone: HashSet<SessionId> = batch
                .iter()
                .filter_map(|call| match call {
                    CarriageCall::Gone(session) => Some(*session),
                    _ => None,
                })
                .collect();
            for call in batch {
                match call {
                    // Nobody waits for it any more.
                    CarriageCall::Begin { session, .. } if gone.contains(&session) => {}
                    call => self.handle(call),
                }
            }
            is_waiting = false;
            let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
            for session in sessions {
                is_waiting |= self.advance(session);
            }
        }
    }

    fn handle(&mut self, call: CarriageCall) {
        match call {
            CarriageCall::Begin {
                session,
                request,
                within,
            } if self.sessions.len() < SESSIONS => match self.open(session, request, within) {
                Ok(state) => {
                    let node = *state.sending.gateway.digest();
                    self.outbox.tell(&ToFront::CollectionOpen { session, node });
                    self.sessions.insert(session, state);
                }
                Err(end) => self.end(session, end),
            },
            CarriageCall::Begin { session, .. } => self.end(session, CollectionClose::Again),
            CarriageCall::Collected { session, delivery } => {
                let state = self.sessions.get_mut(&session);
                let file = state.and_then(|state| {
                    let file = state.sending.acknowledged(&delivery)?;
                    state.moved = Instant::now();
                    Some((file, state.sending.request))
                });
                // Ids that are not known are ignored, as deployed servers do.
                if let Some((file, request)) = file
                    && let Err(error) = self.taken(&file, request)
                {
                    (self.context.report)(KeeperEvent::Failed(error));
                    self.end(session, CollectionClose::Failed);
                }
            }
            CarriageCall::TimeUp(session) => {
                if self.sessions.contains_key(&session) {
                    self.end(session, CollectionClose::Again);
                }
            }
            CarriageCall::Gone(session) => {
                self.sessions.remove(&session);
            }
        }
    }

    fn end(&mut self, session: SessionId, end: CollectionClose) {
        self.sessions.remove(&session);
        self.outbox.tell(&ToFront::CollectionEnd { session, end });
    }

    fn moment(&self) -> Result<Moment, Error> {
        let (time, window) = (self.context.clock)()?;
        Ok(Moment {
            time,
            terms: ReceiveOptions {
                window,
                now: time.sure,
                repeats: Repeats::Unjudged,
            },
            // What is on the medium is ours, or is not sent.
            policy: Policy::courier(Vec::new(), window, time.told),
        })
    }

    /// Opens a collection for who shows a request that can be answered.
    fn open(
        &mut self,
        session: SessionId,
        octets: Vec<u8>,
        within: Duration,
    ) -> Result<CargoSession, CollectionClose> {
        let failed = |error| {
            (self.context.report)(KeeperEvent::Failed(error));
            CollectionClose::Failed
        };
        let moment = self.moment().map_err(failed)?;
        let refused = |error: &medium::Error| {
            if passing::is_refused_for_good(error, moment.time.is_believed()) {
                CollectionClose::Refused("the request is not valid here".to_owned())
            } else {
                CollectionClose::Again
            }
        };
        if octets.len() > MAX_REQUEST {
            return Err(CollectionClose::Refused("too long".to_owned()));
        }
        let shown = PassingMessage::verify(octets.clone(), &[Kind::Cca], &moment.policy);
        let shown = shown.map_err(|error| refused(&error))?;
        let node = self.context.spool.owner();
        let is_used = match receive::cca(node, octets.clone(), &moment.terms) {
            Ok(_) => false,
            Err(node::Error::Replay(ReplayError::CcaUsed)) => true,
            Err(error) => return Err(refused(&error.into())),
        };
        let gateway = shown.sender;
        let others = self.sessions.iter();
        let mut others = others.filter(|(_, it)| it.sending.gateway == gateway);
        let other = others.next().map(|(id, it)| {
            let is_same = it.sending.request == shown.sha256;
            (*id, is_same && it.moved.elapsed() < STALE_AFTER)
        });
        // Whoever comes second has nothing to collect while the request is being answered. Where nothing moves, the line
        // may be broken, and who comes again takes over.
        if let Some((_, true)) = other {
            return Err(CollectionClose::Complete);
        }
        let answering = self.medium.answering(gateway);
        let answering = answering.map_err(|error| failed(error.into()))?;
        // One that is dated in the future was made or taken under a wrong clock.
        let answering = answering.filter(|it| !moment.terms.window.is_before(it.date));
        let is_new = answering.is_none_or(|it| it.request != shown.sha256);
        if is_used && is_new {
            return Err(CollectionClose::Used);
        }
        if is_new && answering.is_some_and(|it| it.date > shown.date) {
            // A later one of the same gateway was shown: nothing waits for this one.
            return Err(CollectionClose::Complete);
        }
        // One that carries an old request must not keep out who carries a newer one, however slowly it collects.
        if let Some((other, _)) = other {
            self.end(other, CollectionClose::Again);
        }
        let mut sending = CargoSending::new(session, gateway, shown.sha256, within);
        if is_used {
            let mut unread = |_, error: medium::Error| {
                (self.context.report)(KeeperEvent::Failed(error.into()));
            };
            let looked = sending.look(self.medium, &moment.policy, false, &mut unread);
            looked.map_err(failed)?;
            if sending.is_done() {
                return Err(CollectionClose::Used);
            }
        }
        Ok(CargoSession {
            sending,
            octets,
            is_new,
            is_packed: is_used,
            has_left: false,
            moved: Instant::now(),
        })
    }

    /// Packs and sends what can be packed and sent. Returns whether it waits for others that move messages.
    fn advance(&mut self, session: SessionId) -> bool {
        let Some(mut state) = self.sessions.remove(&session) else {
            return false;
        };
        match self.advanced(&mut state) {
            Ok(()) if state.is_packed && state.sending.is_done() && state.has_left => {
                self.sessions.insert(session, state);
                self.end(session, CollectionClose::Again);
                false
            }
            Ok(()) if state.is_packed && state.sending.is_done() => {
                let used = self.use_up(&state);
                self.sessions.insert(session, state);
                let end = match used {
                    Ok(()) => CollectionClose::Complete,
                    Err(error) => {
                        (self.context.report)(KeeperEvent::Failed(error));
                        CollectionClose::Failed
                    }
                };
                self.end(session, end);
                false
            }
            Ok(()) => {
                let is_waiting = !state.is_packed && state.sending.octets() == 0;
                self.sessions.insert(session, state);
                is_waiting
            }
            Err(Error::Spool(spool::Error::Locked)) => {
                self.sessions.insert(session, state);
                true
            }
            Err(error) => {
                (self.context.report)(KeeperEvent::Failed(error));
                self.end(session, CollectionClose::Failed);
                false
            }
        }
    }

    fn advanced(&self, state: &mut CargoSession) -> Result<(), Error> {
        if !state.is_packed && state.sending.octets() < PACKED_AT_ONCE {
            let moment = self.moment()?;
            // What is on the medium already goes while others move messages.
            let packed = self.pack(state, &moment);
            if !state.is_new {
                let mut unread = |_, error: medium::Error| {
                    (self.context.report)(KeeperEvent::Failed(error.into()));
                };
                state
                    .sending
                    .look(self.medium, &moment.policy, false, &mut unread)?;
            }
            state.sending.send(self.outbox)?;
            state.is_packed = packed?;
            return Ok(());
        }
        state.sending.send(self.outbox)
    }

    /// Packs some of what waits. Returns whether that was all.
    fn pack(&self, state: &mut CargoSession, moment: &Moment) -> Result<bool, Error> {
        let spool = self.context.spool;
        let gateway = state.sending.gateway;
        let _lock = spool.lock()?;
        let (terms, time) = (moment.terms, moment.time);
        let mut exporter = Exporter::for_hop(gateway, spool, self.medium, terms, time, CIPHER)?;
        if state.is_new {
            let item = Item::parse(state.octets.clone()).map_err(medium::Error::from)?;
            let Some(date) = item.message().map(|it| it.fields().date) else {
                return Err(medium::Error::Damaged.into());
            };
            let request = TakenMark {
                date,
                request: state.sending.request,
            };
            exporter.start_anew()?;
            self.medium.set_answering(gateway, &request)?;
            let octets = state.octets.clone();
            let mut unread = |held: &spool::queue::Waiting, error: medium::Error| {
                let what = held.path.display().to_string();
                let event = ExchangeEvent::Failed { what, error };
                (self.context.report)(KeeperEvent::Exchange(Box::new(event)));
            };
            store_request(spool, (gateway, date), octets, (&terms, &time), &mut unread)?;
            state.is_new = false;
        }
        let (mut octets, mut has_left) = (0, false);
        let ended = exporter.run(&mut |event| {
            match &event {
                ExchangeEvent::Packed { len, .. } => octets += *len as u64,
                // For want of room, or since the clock may be wrong.
                ExchangeEvent::Waiting { .. } | ExchangeEvent::Untimely(_) => has_left = true,
                _ => {}
            }
            (self.context.report)(KeeperEvent::Exchange(Box::new(event)));
            if octets >= PACKED_AT_ONCE {
                Err(PackEnd::Enough)
            } else {
                Ok(())
            }
        });
        state.has_left = has_left;
        match ended {
            Ok(()) => Ok(true),
            Err(PackEnd::Enough) => Ok(false),
            Err(PackEnd::Failed(error)) => Err(error),
        }
    }

    /// Marks cargo as taken, and removes it: what waits for its acknowledgement is in the queues.
    fn taken(&self, file: &medium::MediumFile, request: [u8; 32]) -> Result<(), Error> {
        let (time, _) = (self.context.clock)()?;
        let mark = TakenMark {
            date: time.sure,
            request,
        };
        self.medium
            .mark_taken(file.recipient, &file.sha256, &mark)?;
        // The last copy of what nobody acknowledges stays until it expires: who collected it may have lost it.
        if export::may_be_packed_again(self.context.spool, self.medium, file)? {
            self.medium.remove(file)?;
        }
        (self.context.report)(KeeperEvent::CargoTaken {
            gateway: file.recipient,
            len: file.len,
        });
        Ok(())
    }

    /// Remembers that a request was answered, and removes it.
    fn use_up(&self, state: &CargoSession) -> Result<(), Error> {
        let spool = self.context.spool;
        let moment = self.moment()?;
        match receive::cca(spool.owner(), state.octets.clone(), &moment.terms) {
            Ok(cca) => cca.into_due().1.complete_later()?,
            Err(node::Error::Replay(ReplayError::CcaUsed)) => {}
            Err(error) => return Err(error.into()),
        }
        let item = Item::parse(state.octets.clone()).map_err(medium::Error::from)?;
        let name = Name::of(&item, moment.terms.now);
        let queue = spool.queue(QueueId::Cca(state.sending.gateway));
        files::remove(&queue.path_of(&name), FileRole::Spool)?;
        Ok(())
    }
}
