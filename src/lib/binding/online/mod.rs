//! The exchange of parcels with a gateway that can be reached now: what waits for it is submitted, and what it holds
//! for this node is collected (RS-016).

pub mod door; // which collected parcels come in
pub mod submit; // what waits, to the gateway
pub mod receive; // what the gateway holds, into the spool
pub mod registration; // the certificate that the gateway knows this node by
pub mod renew; // that certificate, before it ends
pub mod exchange; // both, once
pub mod follow; // both, for as long as the caller wants

use super::Error;
use crate::spool::Name;

/// An event of an exchange with a gateway.
#[derive(Debug)]
pub enum OnlineEvent {
    /// The gateway took a parcel.
    Accepted {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// Its length, in octets.
        len: usize,
    },
    /// The gateway will never take a parcel, which was set aside.
    Refused {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// Why.
        error: Error,
    },
    /// A collected parcel was stored.
    Collected {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// Its length, in octets.
        len: usize,
    },
    /// A collected parcel was here before, and is acknowledged again.
    CollectedAgain {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
    },
    /// A collected parcel is refused for good: it is acknowledged, so that it does not come again.
    Rejected {
        /// The id of its delivery, escaped.
        delivery: String,
        /// Why.
        error: Error,
    },
    /// A collected parcel is not taken now: it is not acknowledged, and comes again.
    Left {
        /// The id of its delivery, escaped.
        delivery: String,
        /// Why.
        error: Error,
    },
    /// Something that waits was not offered to the gateway.
    Kept {
        /// Where it is.
        what: String,
        /// Why.
        error: Error,
    },
}

/// What was done in an exchange.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct OnlineTally {
    /// Parcels that the gateway took.
    pub accepted: usize,
    /// Parcels that it refused for good.
    pub refused: usize,
    /// Parcels that were collected.
    pub collected: usize,
    /// Parcels that came and were here before.
    pub again: usize,
    /// Parcels that came and were refused for good.
    pub rejected: usize,
    /// Parcels that came and were left with the gateway.
    pub left: usize,
    /// Messages that were not offered.
    pub kept: usize,
}

impl OnlineTally {
    /// Counts an event.
    pub fn count(&mut self, event: &OnlineEvent) {
        let counter = match event {
            OnlineEvent::Accepted { .. } => &mut self.accepted,
            OnlineEvent::Refused { .. } => &mut self.refused,
            OnlineEvent::Collected { .. } => &mut self.collected,
            OnlineEvent::CollectedAgain { .. } => &mut self.again,
            OnlineEvent::Rejected { .. } => &mut self.rejected,
            OnlineEvent::Left { .. } => &mut self.left,
            OnlineEvent::Kept { .. } => &mut self.kept,
        };
        *counter += 1;
    }

    /// Whether nothing moved and nothing was to be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
