//! Posts what waits for one address, a turn at a time.

use std::cell::Cell;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use super::destination::DirectDestination;
use super::turns::{Turn, TurnEnd};
use super::{DirectContext, DirectEvent, DirectReport};
use crate::binding::outgoing::{self, AcceptedParcel, AnswerEffects, FailureReach};
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::pohttp::Poster;
use crate::binding::{Error, RequestBody, Server, walk};
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore as _, Queued, SpoolMessages};

/// The parcels for one address, one after another on one connection.
pub(super) struct DirectPosting<'a, E> {
    context: &'a DirectContext<'a>,
    each: DirectReport<'a, E>,
    destination: DirectDestination,
    /// The servers, from the first turn on.
    servers: Option<Vec<Server>>,
    /// What was offered, and stays.
    kept: Vec<Queued>,
    effects: AnswerEffects,
}

/// What became of one parcel.
enum OfferedParcel {
    /// The server answered.
    Answered(ParcelAnswer, u64),
    /// It has left meanwhile.
    Gone,
    /// It was broken off, since other addresses wait.
    Overtaken,
}

impl<'a, E: From<Error>> DirectPosting<'a, E> {
    pub(super) fn new(
        context: &'a DirectContext<'a>,
        destination: DirectDestination,
        each: DirectReport<'a, E>,
    ) -> Self {
        let (address, now) = (destination.address.clone(), context.time.told);
        Self {
            context,
            each,
            destination,
            servers: None,
            kept: Vec::new(),
            effects: AnswerEffects::new(SentEvent::Posted, address, now),
        }
    }

    /// Posts for a turn. The connection lasts no longer.
    ///
    /// # Errors
    /// When the spool cannot be read or changed, or a report failed.
    pub(super) fn take_turn(&mut self, turn: &Turn<'_>) -> Result<TurnEnd, E> {
        let servers = match self.servers.take() {
            Some(servers) => Ok(servers),
            None if self.is_left_alone()? => {
                self.give_up()?;
                return Ok(TurnEnd::Done);
            }
            None => self.destination.servers(self.context),
        };
        let ended = match servers {
            Ok(servers) => {
                let ended = self.post_to(&servers, turn)?;
                self.servers = Some(servers);
                ended
            }
            Err(error) => Err(error),
        };
        let address = self.destination.address.clone();
        match ended {
            Ok(TurnEnd::Done) => (self.each)(DirectEvent::Reached { address })?,
            Ok(end) => return Ok(end),
            Err(error) => (self.each)(DirectEvent::Unreached {
                address,
                parcels: self.destination.parcels.len(),
                error,
            })?,
        }
        self.give_up()?;
        Ok(TurnEnd::Done)
    }

    /// Whether the servers are not tried yet, since they failed before or asked for that; it is reported.
    fn is_left_alone(&self) -> Result<bool, E> {
        let (address, now) = (self.destination.address.clone(), self.context.time.told);
        let state = self.context.spool.host_state(&address, now);
        let until = state.next_try.filter(|_| !state.is_due(now));
        match until.filter(|_| self.context.is_patient) {
            Some(until) => (self.each)(DirectEvent::LeftAlone { address, until }).map(|()| true),
            None => Ok(false),
        }
    }

    /// Posts to the first server that can be reached. Within the result is why the rest stays.
    fn post_to(
        &mut self,
        servers: &[Server],
        turn: &Turn<'_>,
    ) -> Result<Result<TurnEnd, Error>, E> {
        let address = self.destination.address.clone();
        let mut store = SpoolMessages::of(self.context.spool);
        walk::first_reached(servers, &address, |server| {
            match Poster::new(self.context.network, server, self.context.time.told) {
                Ok(client) => {
                    let ended = self.post_by(&client, &mut store, turn);
                    // Whatever ended it: what the server has is released.
                    self.release(&mut store)?;
                    ended
                }
                Err(error) => Ok(Err(error)),
            }
        })
    }

    fn post_by(
        &mut self,
        client: &Poster<'_>,
        store: &mut SpoolMessages<'_>,
        turn: &Turn<'_>,
    ) -> Result<Result<TurnEnd, Error>, E> {
        let together = self.destination.parcels.len().min(outgoing::STORE_TOGETHER);
        while let Some((queued, id)) = self.destination.parcels.pop_front() {
            if outgoing::has_expired(&queued, self.context.time) {
                continue;
            }
            store.prepare(together).map_err(Error::from)?;
            match offer(client, store, &queued, turn) {
                Ok(OfferedParcel::Answered(ParcelAnswer::Accepted, len)) => {
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    if self.effects.accept(AcceptedParcel { queued, id, len }) {
                        self.release(store)?;
                    }
                }
                Ok(OfferedParcel::Answered(ParcelAnswer::Refused(error), _)) => {
                    let parcel = (&queued, id.as_str());
                    self.effects.set_aside(store, parcel, &error)?;
                    let name = queued.name().clone();
                    (self.each)(DirectEvent::Refused { name, id, error })?;
                }
                Ok(OfferedParcel::Gone) => {}
                Ok(OfferedParcel::Overtaken) => {
                    self.destination.parcels.push_front((queued, id));
                    return Ok(Ok(TurnEnd::Overtaken));
                }
                Err(error) if self.effects.fail(&error) == FailureReach::Parcel => {
                    (self.each)(DirectEvent::Kept {
                        address: Some(self.destination.address.clone()),
                        what: queued.label(),
                        error,
                    })?;
                    self.kept.push(queued);
                }
                Err(error) => {
                    self.destination.parcels.push_front((queued, id));
                    return Ok(Err(error));
                }
            }
            if !self.destination.parcels.is_empty() && turn.is_over() {
                return Ok(Ok(TurnEnd::Again));
            }
        }
        Ok(Ok(TurnEnd::Done))
    }

    /// Performs the effects of the answers so far.
    fn release(&mut self, store: &mut SpoolMessages<'_>) -> Result<(), E> {
        let accepted = self.effects.release(store)?;
        accepted.into_iter().try_for_each(|it| {
            (self.each)(DirectEvent::Posted {
                name: it.queued.name().clone(),
                id: it.id,
                len: it.len,
                address: self.destination.address.clone(),
            })
        })
    }

    /// Has what was tried for long enough routed anew.
    fn give_up(&mut self) -> Result<(), E> {
        let Some(after) = self.context.gives_up_after else {
            return Ok(());
        };
        let now = self.context.time.told;
        let mut store = SpoolMessages::of(self.context.spool);
        let unsent = std::mem::take(&mut self.destination.parcels);
        let unsent = unsent.into_iter().map(|(queued, _)| queued);
        for queued in std::mem::take(&mut self.kept).into_iter().chain(unsent) {
            let stored = queued.stored().map_err(Error::from)?;
            if stored.is_some_and(|stored| is_due(stored, after, now)) {
                store.route_anew(&queued).map_err(Error::from)?;
                let address = self.destination.address.clone();
                let name = queued.name().clone();
                (self.each)(DirectEvent::GivenUp { name, address })?;
            }
        }
        Ok(())
    }
}

/// Offers a parcel to a server.
fn offer(
    client: &Poster<'_>,
    store: &SpoolMessages<'_>,
    queued: &Queued,
    turn: &Turn<'_>,
) -> Result<OfferedParcel, Error> {
    let Some(opened) = store.open(queued)? else {
        return Ok(OfferedParcel::Gone);
    };
    let (begun, is_overtaken) = (Instant::now(), Cell::new(false));
    // Five connections at a time must not hold five of the largest parcels in memory.
    let parcel = RequestBody::Stored {
        len: opened.size(),
        read: &|octets, offset| {
            is_overtaken.set(turn.is_overtaken(begun));
            if is_overtaken.get() {
                // It ends the request, and is not reported.
                return Err(Error::Slow {
                    server: String::new(),
                    waited: begun.elapsed(),
                });
            }
            Ok(opened.read_at(octets, offset)?)
        },
    };
    match client.post(parcel) {
        Err(_) if is_overtaken.get() => Ok(OfferedParcel::Overtaken),
        posted => Ok(OfferedParcel::Answered(posted?, opened.size())),
    }
}

fn is_due(stored: Timestamp, after: SignedDuration, now: Timestamp) -> bool {
    stored.checked_add(after).is_ok_and(|due| due <= now)
}
