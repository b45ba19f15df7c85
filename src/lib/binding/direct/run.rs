//! Posts all that waits for recipients on the Internet.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use super::DirectEvent;
use super::posting::{DirectContext, DirectDestination, DirectReport, post_all};
use crate::binding::outgoing::{self, PAGE};
use crate::binding::{Error, PeerPlace};
use crate::message::Item;
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::ramf::InternetAddress;
use crate::spool::queue::Rank;
use crate::spool::wire::{MessageStore as _, Queued, SpoolMessages};
use crate::spool::{QueueId, Spool};

/// The most connections at a time, each to another address.
const MAX_CONNECTIONS: usize = 5;

/// Posts what waits now. Reports to `each`, from several threads.
///
/// # Errors
/// When the spool cannot be read or changed, or `each` failed.
pub fn post_waiting<E: From<Error> + Send>(
    context: &DirectContext<'_>,
    each: DirectReport<'_, E>,
) -> Result<(), E> {
    let destinations = Mutex::new(destinations(context.spool, each)?);
    let next = || mutex::lock(&destinations).pop_front();
    let work = || -> Result<(), E> {
        while let Some(destination) = next() {
            if let Err(error) = post_all(context, destination, each) {
                // No other thread begins with another one.
                mutex::lock(&destinations).clear();
                return Err(error);
            }
        }
        Ok(())
    };
    let threads = mutex::lock(&destinations).len().min(MAX_CONNECTIONS);
    if threads < 2 {
        return work();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut ended = Ok(());
        for thread in threads {
            let worked = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            ended = ended.and(worked);
        }
        ended
    })
}

/// What waits now, for each server that it would go to.
///
/// # Errors
/// When the spool cannot be read.
pub fn planned(spool: &Spool) -> Result<VecDeque<DirectDestination>, Error> {
    destinations::<Error>(spool, &|_| Ok(()))
}

/// What waits, by address, in the order of the most urgent parcel of each.
fn destinations<E: From<Error>>(
    spool: &Spool,
    each: DirectReport<'_, E>,
) -> Result<VecDeque<DirectDestination>, E> {
    let store = SpoolMessages::of(spool);
    let mut destinations: VecDeque<DirectDestination> = VecDeque::new();
    let mut known = HashMap::new();
    let mut after: Option<Rank> = None;
    loop {
        let page = store
            .page(QueueId::Internet, after.as_ref(), PAGE)
            .map_err(Error::from)?;
        let Some(last) = page.last() else {
            return Ok(destinations);
        };
        after = Some(last.rank());
        for queued in page {
            let (address, recipient, id) = match addressed(&store, &queued) {
                Ok(Some(addressed)) => addressed,
                Ok(None) => continue, // it has left meanwhile
                Err(error) => {
                    let what = queued.label();
                    each(DirectEvent::Kept { what, error })?;
                    continue;
                }
            };
            let host = spool.owner().pinned_host(recipient).map_err(Error::from)?;
            let key = (address.as_str().to_ascii_lowercase(), host.clone());
            let at = *known.entry(key).or_insert(destinations.len());
            if at == destinations.len() {
                destinations.push_back(DirectDestination {
                    place: host.map_or(PeerPlace::Address(address.clone()), PeerPlace::Host),
                    address,
                    parcels: Vec::new(),
                });
            }
            destinations[at].parcels.push((queued, id));
        }
    }
}

/// The address of the recipient, its id, and the message id.
fn addressed(
    store: &SpoolMessages<'_>,
    queued: &Queued,
) -> Result<Option<(InternetAddress, NodeId, String)>, Error> {
    let Some(octets) = store.read(queued, Vec::new())? else {
        return Ok(None);
    };
    let item = Item::parse(octets)?;
    let Item::Parcel(parcel) = item else {
        return Err(outgoing::not_a_parcel(item.kind()));
    };
    let fields = parcel.as_ref().fields();
    let address = fields.address.clone();
    let address = address.ok_or_else(|| Error::NoAddress(fields.recipient.to_string()))?;
    Ok(Some((address, fields.recipient, fields.id.clone())))
}
