//! Posts what waits for one address.

use jiff::{SignedDuration, Timestamp};

use super::DirectEvent;
use crate::binding::address::Service;
use crate::binding::parcel_answer::ParcelAnswer;
use crate::binding::pohttp::Poster;
use crate::binding::{Error, Network, Server};
use crate::kind::ErrorKind;
use crate::pki::NodeId;
use crate::ramf::InternetAddress;
use crate::spool::sent::SentEvent;
use crate::spool::wire::{MessageStore as _, Queued, SpoolMessages, Taken};
use crate::spool::{Spool, Time};

/// The effects of so many answers are stored together.
const STORE_TOGETHER: usize = 32;

/// How many parcels in a row may fail before the rest waits for the next run: the server is not well.
const MAX_FAILURES: usize = 3;

/// What waits for the servers of an address.
#[derive(Debug)]
pub struct DirectDestination {
    /// The address.
    pub address: InternetAddress,
    /// The recipient, if the operator said where its server is.
    pub pinned: Option<NodeId>,
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
        match self.pinned {
            Some(peer) => {
                let peer = (context.spool.owner(), peer);
                network.find_peer(service, peer, &self.address, spool, now)
            }
            None => network.find(service, &self.address, spool, now),
        }
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
        answered: Vec::new(),
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
    /// What a server took, and whose effects are not stored yet.
    answered: Vec<(Queued, String, usize)>,
    each: DirectReport<'a, E>,
}

impl<E: From<Error>> Posting<'_, E> {
    /// Posts to the first server that can be reached. Within the result is why the rest stays.
    fn post_to(&mut self, servers: &[Server]) -> Result<Result<(), Error>, E> {
        let mut failed = None;
        for server in servers {
            let client = Poster::new(self.context.network, server, self.context.time.told);
            let ended = match client {
                Ok(client) => {
                    let ended = self.post_by(&client);
                    // Whatever ended it: what the server has is released.
                    self.release()?;
                    ended?
                }
                Err(error) => Err(error),
            };
            match ended {
                Err(error) if error.is_of_connection() => failed = Some(error),
                ended => return Ok(ended),
            }
        }
        Ok(Err(failed.unwrap_or_else(|| {
            Error::NoServer(self.address.to_owned())
        })))
    }

    fn post_by(&mut self, client: &Poster<'_>) -> Result<Result<(), Error>, E> {
        let mut kept = Vec::new();
        let mut failures = 0;
        let mut ended = Ok(());
        let mut waiting = std::mem::take(&mut self.left).into_iter();
        for (queued, id) in waiting.by_ref() {
            if self.is_over(&queued) {
                continue;
            }
            let read = self.store.read(&queued, Vec::new()).map_err(Error::from)?;
            let Some(octets) = read else {
                continue; // it has left meanwhile
            };
            match client.post(&octets) {
                Ok(ParcelAnswer::Accepted) => {
                    failures = 0;
                    self.answered.push((queued, id, octets.len()));
                    if self.answered.len() >= STORE_TOGETHER {
                        self.release()?;
                    }
                }
                Ok(ParcelAnswer::Refused(error)) => {
                    failures = 0;
                    self.set_aside(&queued, id, error)?;
                }
                Err(error) => {
                    failures += 1;
                    let is_over = failures >= MAX_FAILURES || ends_run(&error);
                    let what = queued.label();
                    kept.push((queued, id));
                    if is_over {
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

    /// Whether a parcel is not posted: it has expired, which relay-purge sees to.
    fn is_over(&self, queued: &Queued) -> bool {
        self.context.time.is_believed() && queued.name().has_expired(self.context.time.told)
    }

    fn set_aside(&mut self, queued: &Queued, id: String, error: Error) -> Result<(), E> {
        let taken = Taken {
            message: queued,
            id: &id,
            event: SentEvent::Posted,
            by: self.address,
        };
        let why = error.to_string();
        self.store
            .set_aside(&taken, &why, self.context.time.told)
            .map_err(Error::from)?;
        let name = queued.name().clone();
        (self.each)(DirectEvent::Refused { name, id, error })
    }

    /// Performs the effects of the answers so far.
    fn release(&mut self) -> Result<(), E> {
        let answered = std::mem::take(&mut self.answered);
        let taken = answered.iter().map(|(message, id, _)| Taken {
            message,
            id,
            event: SentEvent::Posted,
            by: self.address,
        });
        let taken: Vec<Taken<'_>> = taken.collect();
        self.store
            .release(&taken, self.context.time.told)
            .map_err(Error::from)?;
        answered.into_iter().try_for_each(|(queued, id, len)| {
            (self.each)(DirectEvent::Posted {
                name: queued.name().clone(),
                id,
                len,
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

/// Whether the next parcel would meet the same error: it is of the connection or the way to the server, or the server
/// asked for a pause.
fn ends_run(error: &Error) -> bool {
    match error {
        Error::Answer {
            kind, retry_after, ..
        } => *kind != ErrorKind::Unreachable || retry_after.is_some(),
        _ => true,
    }
}
