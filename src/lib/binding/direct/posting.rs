//! Posts what waits for one address.

use jiff::{SignedDuration, Timestamp};

use super::DirectEvent;
use crate::binding::address::Service;
use crate::binding::outgoing::{self, AcceptedParcel, AnswerEffects, FailureReach};
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::pohttp::Poster;
use crate::binding::{Error, Network, PeerPlace, RequestBody, Server, walk};
use crate::ramf::InternetAddress;
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore as _, Queued, SpoolMessages};
use crate::spool::{Spool, Time};

/// What waits for the servers of an address.
#[derive(Debug)]
pub struct DirectDestination {
    /// The address.
    pub address: InternetAddress,
    /// Where they are.
    pub place: PeerPlace,
    /// The parcels, the most urgent first, with their ids.
    pub parcels: Vec<(Queued, String)>,
}

impl DirectDestination {
    /// The servers, in the order in which they are tried.
    ///
    /// # Errors
    /// When they cannot be found.
    pub fn servers(&self, context: &DirectContext<'_>) -> Result<Vec<Server>, Error> {
        let (service, now) = (Service::ParcelDelivery, context.time.told);
        let (network, spool) = (context.network, Some(context.spool));
        network.find_at(service, &self.place, spool, now)
    }
}

/// What a run needs.
#[derive(Clone, Copy)]
pub struct DirectContext<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// How servers are reached.
    pub network: &'a Network,
    /// The time.
    pub time: &'a Time,
    /// After how long a parcel that was not posted is routed anew, if a gateway is to have it then.
    pub gives_up_after: Option<SignedDuration>,
    /// Whether servers that failed before are left alone for a while.
    pub is_patient: bool,
}

/// Where events go.
pub type DirectReport<'a, E> = &'a (dyn Fn(DirectEvent) -> Result<(), E> + Sync);

/// Posts the parcels for one address, one after another on one connection.
///
/// # Errors
/// When the spool cannot be read or changed, or `each` failed.
pub fn post_all<E: From<Error>>(
    context: &DirectContext<'_>,
    destination: DirectDestination,
    each: DirectReport<'_, E>,
) -> Result<(), E> {
    let now = context.time.told;
    let address = destination.address.to_string();
    let state = context.spool.host_state(&address, now);
    let is_left_alone = !state.is_due(now) && context.is_patient;
    let servers = if is_left_alone {
        Ok(Vec::new())
    } else {
        destination.servers(context)
    };
    let mut posting = Posting {
        context,
        address: &address,
        store: SpoolMessages::of(context.spool),
        left: destination.parcels,
        effects: AnswerEffects::new(SentEvent::Posted, &address, now),
        each,
    };
    if let (true, Some(until)) = (is_left_alone, state.next_try) {
        let address = address.clone();
        each(DirectEvent::LeftAlone { address, until })?;
        return posting.give_up();
    }
    let ended = match servers {
        Ok(servers) => posting.post_to(&servers)?,
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => each(DirectEvent::Reached {
            address: address.clone(),
        })?,
        Err(error) => {
            let (address, parcels) = (address.clone(), posting.left.len());
            each(DirectEvent::Unreached {
                address,
                parcels,
                error,
            })?;
        }
    }
    posting.give_up()
}

struct Posting<'a, E> {
    context: &'a DirectContext<'a>,
    address: &'a str,
    store: SpoolMessages<'a>,
    /// What was not posted yet, or stays.
    left: Vec<(Queued, String)>,
    effects: AnswerEffects<'a>,
    each: DirectReport<'a, E>,
}

impl<E: From<Error>> Posting<'_, E> {
    /// Posts to the first server that can be reached. Within the result is why the rest stays.
    fn post_to(&mut self, servers: &[Server]) -> Result<Result<(), Error>, E> {
        walk::first_reached(servers, self.address, |server| {
            match Poster::new(self.context.network, server, self.context.time.told) {
                Ok(client) => {
                    let ended = self.post_by(&client);
                    // Whatever ended it: what the server has is released.
                    self.release()?;
                    ended
                }
                Err(error) => Ok(Err(error)),
            }
        })
    }

    fn post_by(&mut self, client: &Poster<'_>) -> Result<Result<(), Error>, E> {
        let mut kept = Vec::new();
        let mut ended = Ok(());
        let together = self.left.len().min(outgoing::STORE_TOGETHER);
        let mut waiting = std::mem::take(&mut self.left).into_iter();
        for (queued, id) in waiting.by_ref() {
            if outgoing::has_expired(&queued, self.context.time) {
                continue;
            }
            let opened = self.store.open(&queued).map_err(Error::from)?;
            let Some(opened) = opened else {
                continue; // it has left meanwhile
            };
            // Five connections at a time must not hold five of the largest parcels in memory.
            let parcel = RequestBody::Stored {
                len: opened.size(),
                read: &|octets, offset| Ok(opened.read_at(octets, offset)?),
            };
            self.store.prepare(together).map_err(Error::from)?;
            match client.post(parcel) {
                Ok(ParcelAnswer::Accepted) => {
                    let len = usize::try_from(opened.size()).unwrap_or(usize::MAX);
                    if self.effects.accept(AcceptedParcel { queued, id, len }) {
                        self.release()?;
                    }
                }
                Ok(ParcelAnswer::Refused(error)) => {
                    let parcel = (&queued, id.as_str());
                    self.effects.set_aside(&mut self.store, parcel, &error)?;
                    let name = queued.name().clone();
                    (self.each)(DirectEvent::Refused { name, id, error })?;
                }
                Err(error) => {
                    let what = queued.label();
                    kept.push((queued, id));
                    if self.effects.fail(&error) != FailureReach::Parcel {
                        ended = Err(error);
                        break;
                    }
                    (self.each)(DirectEvent::Kept { what, error })?;
                }
            }
        }
        kept.extend(waiting);
        self.left = kept;
        Ok(ended)
    }

    /// Performs the effects of the answers so far.
    fn release(&mut self) -> Result<(), E> {
        let accepted = self.effects.release(&mut self.store)?;
        accepted.into_iter().try_for_each(|it| {
            (self.each)(DirectEvent::Posted {
                name: it.queued.name().clone(),
                id: it.id,
                len: it.len,
                address: self.address.to_owned(),
            })
        })
    }

    /// Has what was tried for long enough routed anew.
    fn give_up(&mut self) -> Result<(), E> {
        let Some(after) = self.context.gives_up_after else {
            return Ok(());
        };
        let now = self.context.time.told;
        for (queued, _) in std::mem::take(&mut self.left) {
            let stored = queued.stored().map_err(Error::from)?;
            if stored.is_some_and(|stored| is_due(stored, after, now)) {
                self.store.route_anew(&queued).map_err(Error::from)?;
                let address = self.address.to_owned();
                let name = queued.name().clone();
                (self.each)(DirectEvent::GivenUp { name, address })?;
            }
        }
        Ok(())
    }
}

fn is_due(stored: Timestamp, after: SignedDuration, now: Timestamp) -> bool {
    stored.checked_add(after).is_ok_and(|due| due <= now)
}
