//! What waits for recipients on the Internet goes to their own servers (RS-007).

pub mod run; // all that waits
pub mod posting; // what waits for one address

use super::Error;
use crate::spool::Name;

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
        /// The number of its parcels.
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
