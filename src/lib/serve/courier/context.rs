//! What a courier works with, and what it tells of its work.

use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use crate::medium::{self, Medium, MediumFile};
use crate::pki::{NodeId, Window};
use crate::serve::Error;
use crate::serve::protocol::FrontCounts;

/// An event of a courier.
#[derive(Debug)]
pub enum CourierEvent {
    /// Cargo came and is stored.
    Received {
        /// The gateway that sent it.
        sender: NodeId,
        /// The gateway that it is for.
        recipient: NodeId,
        /// Its length, in octets.
        len: usize,
        /// Whether it was not here already.
        is_new: bool,
    },
    /// A gateway asks for its cargo.
    Asked {
        /// The gateway that is asked.
        gateway: NodeId,
        /// The gateway that asks.
        by: NodeId,
    },
    /// Cargo was stored by who collected it for a gateway.
    Taken {
        /// The gateway.
        gateway: NodeId,
        /// Its length, in octets.
        len: u64,
    },
    /// Cargo left the medium.
    Freed(MediumFile),
    /// A file on the medium cannot be given to anybody.
    Unread {
        /// The file.
        file: MediumFile,
        /// Why.
        error: medium::Error,
    },
    /// What came was not taken.
    Refused(String),
    /// What the front counted since its start.
    Counted(FrontCounts),
    /// Something of this machine failed. Who asked was told to come again.
    Failed(Error),
}

/// What a courier works with.
pub struct CourierContext<'a> {
    /// The medium.
    pub medium: &'a Medium,
    /// The most octets of messages on it.
    pub quota: Option<u64>,
    /// The time, and the instants that dates are checked against.
    pub clock: &'a (dyn Fn() -> Result<(Timestamp, Window), Error> + Sync),
    /// Whether the server is to stop.
    pub stops: &'a AtomicBool,
    /// Told of each event, by several threads at once.
    pub report: &'a (dyn Fn(CourierEvent) + Sync),
}
