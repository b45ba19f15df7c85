//! Cargo that gateways collect from a courier (RS-008 §`CollectCargo`).
//!
//! Whoever shows a valid request gets the cargo of its gateway, which only that can open. But a request is known to all
//! that carried it. So only who shows one that is newer than all before ends with it what the courier keeps; for others
//! the cargo stays.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use jiff::Timestamp;

use super::context::{CourierContext, CourierEvent};
use super::store::CourierStore;

use crate::medium::{self, MediumFile, PassingMessage, TakenMark};
use crate::ramf::Kind;
use crate::serve::Error;
use crate::serve::carriage::{CargoSending, CarriageCall, MAX_REQUEST};
use crate::serve::outbox::Outbox;
use crate::serve::protocol::{CollectionClose, SessionId, ToFront};
use crate::verify::Policy;

/// How often it is looked what may leave the medium, at least.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A collection.
struct CourierSession {
    sending: CargoSending,
    /// Whether the request is newer than all that were shown before.
    is_newest: bool,
}

/// All collections.
pub(super) struct CourierCarriage<'a> {
    context: &'a CourierContext<'a>,
    outbox: &'a Outbox<'a>,
    store: &'a CourierStore<'a>,
    sessions: HashMap<SessionId, CourierSession>,
}

impl<'a> CourierCarriage<'a> {
    pub(super) fn new(
        context: &'a CourierContext<'a>,
        outbox: &'a Outbox<'a>,
        store: &'a CourierStore<'a>,
    ) -> Self {
        Self {
            context,
            outbox,
            store,
            sessions: HashMap::new(),
        }
    }

    /// Handles calls until no more can come.
    pub(super) fn work(&mut self, calls: &Receiver<CarriageCall>) {
        loop {
            match calls.recv_timeout(LOOK_EVERY) {
                Ok(call) => self.handle(call),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let swept = (self.context.clock)()
                .and_then(|(now, _)| self.store.sweep(now, self.context.report));
            if let Err(error) = swept {
                (self.context.report)(CourierEvent::Failed(error));
            }
        }
    }

    fn handle(&mut self, call: CarriageCall) {
        match call {
            CarriageCall::Begin {
                session,
                request,
                within,
            } => match self.open(session, request, within) {
                Ok(Some(state)) => {
                    let node = *state.sending.gateway.digest();
                    self.outbox.tell(&ToFront::CollectionOpen { session, node });
                    self.sessions.insert(session, state);
                    self.advance(session);
                }
                Ok(None) => self.end(session, CollectionClose::Complete),
                Err(error) => {
                    (self.context.report)(CourierEvent::Failed(error));
                    self.end(session, CollectionClose::Failed);
                }
            },
            CarriageCall::Collected { session, delivery } => {
                let state = self.sessions.get_mut(&session);
                let file = state.and_then(|state| {
                    let file = state.sending.acknowledged(&delivery)?;
                    Some((file, state.sending.request, state.is_newest))
                });
                if let Some((file, request, is_newest)) = file {
                    if is_newest && let Err(error) = self.mark(&file, request) {
                        (self.context.report)(CourierEvent::Failed(error));
                    }
                    let (gateway, len) = (file.recipient, file.len);
                    (self.context.report)(CourierEvent::Taken { gateway, len });
                    self.advance(session);
                }
            }
            // Stock gateways take an error for the end of the exchange, and deliver nothing after it.
            CarriageCall::TimeUp(session) => {
                if self.sessions.contains_key(&session) {
                    self.end(session, CollectionClose::Complete);
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

    /// Opens a collection; `None` for a request that is not valid, or for no gateway on the Internet: nothing is here for it.
    fn open(
        &self,
        session: SessionId,
        octets: Vec<u8>,
        within: Duration,
    ) -> Result<Option<CourierSession>, Error> {
        let (now, window) = (self.context.clock)()?;
        let policy = Policy::courier(Vec::new(), window, now);
        if octets.len() > MAX_REQUEST {
            return Ok(None);
        }
        let shown = match PassingMessage::verify(octets, &[Kind::Cca], &policy) {
            Ok(shown) if shown.address.is_some() => shown,
            Ok(_) => return Ok(None),
            Err(error) => {
                (self.context.report)(CourierEvent::Refused(error.to_string()));
                return Ok(None);
            }
        };
        let gateway = shown.sender;
        let medium = self.context.medium;
        // One that is dated in the future was made or taken under a wrong clock.
        let newest = medium.answering(gateway)?;
        let newest = newest.filter(|newest| !window.is_before(newest.date));
        let is_newest = newest.is_none_or(|newest| newest.date < shown.date)
            && self.store.has_room_for_request(&shown)?;
        if is_newest {
            let request = TakenMark {
                date: shown.date,
                request: shown.sha256,
            };
            medium.store_request(&shown, &policy)?;
            medium.set_answering(gateway, &request)?;
            (self.context.report)(CourierEvent::Asked {
                gateway: shown.recipient,
                by: gateway,
            });
        }
        let mut sending = CargoSending::new(session, gateway, shown.sha256, within);
        let mut unread = |file: MediumFile, error: medium::Error| {
            (self.context.report)(CourierEvent::Unread { file, error });
        };
        sending.look(medium, &policy, true, &mut unread)?;
        Ok(Some(CourierSession { sending, is_newest }))
    }

    /// Sends what can be sent, and ends once everything was acknowledged.
    fn advance(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get_mut(&session) else {
            return;
        };
        let end = match state.sending.send(self.outbox) {
            Ok(()) if state.sending.is_done() => CollectionClose::Complete,
            Ok(()) => return,
            Err(error) => {
                (self.context.report)(CourierEvent::Failed(error));
                CollectionClose::Failed
            }
        };
        self.end(session, end);
    }

    fn mark(&self, file: &MediumFile, request: [u8; 32]) -> Result<(), Error> {
        let (now, _): (Timestamp, _) = (self.context.clock)()?;
        let mark = TakenMark { date: now, request };
        let medium = self.context.medium;
        Ok(medium.mark_taken(file.recipient, &file.sha256, &mark)?)
    }
}
