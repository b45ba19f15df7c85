//! What waits for recipients on the Internet, by address.

use std::collections::{HashMap, VecDeque};

use super::{DirectContext, DirectEvent, DirectReport};
use crate::binding::address::Service;
use crate::binding::outgoing::{self, PAGE};
use crate::binding::{Error, PeerPlace, Server};
use crate::message::{Item, Parcel};
use crate::node::Directory;
use crate::spool::queue::Rank;
use crate::spool::wire::{MessageStore as _, Queued, SpoolMessages};
use crate::spool::{QueueId, Spool};

/// What waits for the servers of an address.
#[derive(Debug)]
pub struct DirectDestination {
    /// The Internet address; the host that the operator named, if the recipient has none.
    pub address: String,
    /// Where the servers are.
    pub place: PeerPlace,
    /// The parcels, the most urgent first, with their ids.
    pub parcels: VecDeque<(Queued, String)>,
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

/// Where the servers of a parcel's recipient are: where the operator of `node` said, or else at its address.
///
/// # Errors
/// [`Error::NoAddress`] when neither is known, and when the node cannot be read.
pub fn place_of(parcel: &Parcel, node: Option<&Directory>) -> Result<PeerPlace, Error> {
    let fields = parcel.as_ref().fields();
    let (recipient, address) = (fields.recipient, fields.address.clone());
    let place = match node {
        Some(node) => PeerPlace::of(node, recipient, address)?,
        None => address.map(PeerPlace::Address),
    };
    place.ok_or_else(|| Error::NoAddress(recipient.to_string()))
}

/// What waits now, for each server that it would go to.
///
/// # Errors
/// When the spool cannot be read.
pub fn planned(spool: &Spool) -> Result<VecDeque<DirectDestination>, Error> {
    destinations::<Error>(spool, &|_| Ok(()))
}

/// What waits, by address, in the order of the most urgent parcel of each.
pub(super) fn destinations<E: From<Error>>(
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
            let (address, place, id) = match addressed(spool, &store, &queued) {
                Ok(Some(addressed)) => addressed,
                Ok(None) => continue, // it has left meanwhile
                Err(error) => {
                    each(DirectEvent::Kept {
                        address: None,
                        what: queued.label(),
                        error,
                    })?;
                    continue;
                }
            };
            let host = match &place {
                PeerPlace::Host(host) => Some(host.clone()),
                PeerPlace::Address(_) => None,
            };
            let key = (address.to_ascii_lowercase(), host);
            let at = *known.entry(key).or_insert(destinations.len());
            if at == destinations.len() {
                destinations.push_back(DirectDestination {
                    address,
                    place,
                    parcels: VecDeque::new(),
                });
            }
            destinations[at].parcels.push_back((queued, id));
        }
    }
}

/// The address of a parcel's recipient, where its servers are, and the message id.
fn addressed(
    spool: &Spool,
    store: &SpoolMessages<'_>,
    queued: &Queued,
) -> Result<Option<(String, PeerPlace, String)>, Error> {
    let Some(octets) = store.read(queued, Vec::new())? else {
        return Ok(None);
    };
    let item = Item::parse(octets)?;
    let Item::Parcel(parcel) = item else {
        return Err(outgoing::not_a_parcel(item.kind()));
    };
    let place = place_of(&parcel, Some(spool.owner()))?;
    let fields = parcel.as_ref().fields();
    let address = fields.address.as_ref().map(ToString::to_string);
    let address = address.unwrap_or_else(|| place.to_string());
    Ok(Some((address, place, fields.id.clone())))
}
