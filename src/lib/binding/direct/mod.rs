//! What waits for recipients on the Internet goes to their own servers (RS-007).

pub mod turns; // how long one address keeps others waiting
pub mod destination; // what waits, by address
mod posting; // what waits for one address
pub mod run; // all that waits

use jiff::SignedDuration;

use super::{Error, Network};
use crate::spool::{Name, Spool, Time};
use turns::TurnLimits;

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
    /// How long an address is served while others wait.
    pub turns: TurnLimits,
}

/// Where events go.
pub type DirectReport<'a, E> = &'a (dyn Fn(DirectEvent) -> Result<(), E> + Sync);

/// An event of a run.
#[derive(Debug)]
pub enum DirectEvent {
    /// The server of the recipient took a parcel.
    Posted {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// Its length, in octets.
        len: usize,
        /// The address that its server was found by.
        address: String,
    },
    /// The server will never take a parcel, which was set aside.
    Refused {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// Why.
        error: Error,
    },
    /// A parcel was tried for long enough, and is routed anew: to a gateway.
    GivenUp {
        /// Its name in the queue.
        name: Name,
        /// The address that its server was to be found by.
        address: String,
    },
    /// Something that waits was not sent.
    Kept {
        /// The address of its recipient, if it was offered to its server.
        address: Option<String>,
        /// Where it is.
        what: String,
        /// Why.
        error: Error,
    },
    /// The servers of an address took what there was for them.
    Reached {
        /// The address.
        address: String,
    },
    /// What waits for an address stays.
    Unreached {
        /// The address.
        address: String,
        /// The number of its parcels, without those that were reported as kept.
        parcels: usize,
        /// Why.
        error: Error,
    },
    /// The servers of an address asked to be left alone, or failed before: they are not tried yet.
    LeftAlone {
        /// The address.
        address: String,
        /// When they will be.
        until: jiff::Timestamp,
    },
}
