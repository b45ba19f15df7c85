//! Takes the cargo of a medium to servers of `CogRPC`, and fetches cargo onto the medium: what relay-ferry does.

pub mod fetch; // cargo that comes, judged and stored
pub mod errand; // a medium without a node
pub mod default_route; // where the courier of this network is
pub mod visit; // a node at a courier

use std::time::Duration;

use super::Error;
use crate::medium::MediumFile;
use crate::pki::NodeId;

/// How long relay-ferry pauses between delivering and collecting, unless somebody says otherwise: stock gateways need
/// time to open cargo and to queue what answers it.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(10);

/// What happens on an errand.
#[derive(Debug)]
pub enum FerryEvent {
    /// A server acknowledged a cargo.
    Delivered {
        /// The file on the medium.
        file: MediumFile,
        /// The server, as `host:port`.
        server: String,
    },
    /// A server refused a cargo, sent alone.
    Refused {
        /// The file on the medium.
        file: MediumFile,
        /// Why.
        error: Error,
    },
    /// A request was shown, and the server has no more for who made it.
    Asked {
        /// The file on the medium.
        file: MediumFile,
        /// How many cargoes came.
        cargoes: usize,
        /// The server, as `host:port`.
        server: String,
    },
    /// A cargo came and was stored.
    Received {
        /// The gateway that it is for.
        recipient: NodeId,
        /// The gateway that sent it.
        sender: NodeId,
        /// Its length, in octets.
        len: usize,
        /// The server, as `host:port`.
        server: String,
    },
    /// A cargo came that was there before.
    Repeated {
        /// The gateway that it is for.
        recipient: NodeId,
        /// The gateway that sent it.
        sender: NodeId,
        /// The server, as `host:port`.
        server: String,
    },
    /// Something came that is refused for good, and was acknowledged.
    Rejected {
        /// The server, as `host:port`.
        server: String,
        /// Why.
        error: Error,
    },
    /// A cargo came that could not be judged or stored now, and was not acknowledged.
    Left {
        /// The server, as `host:port`.
        server: String,
        /// Why.
        error: Error,
    },
    /// A file on the medium cannot be sent.
    Unsent {
        /// The file on the medium.
        file: MediumFile,
        /// Why.
        error: Error,
    },
    /// A server did what it was asked for.
    Reached {
        /// The Internet address, or the server.
        address: String,
    },
    /// A server was not reached, or did not do all that it was asked for.
    Unreached {
        /// The Internet address, or the server.
        address: String,
        /// How many messages of the medium stay because of that.
        messages: usize,
        /// Why.
        error: Error,
    },
}

/// What was done, counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FerryTally {
    /// Cargoes that servers acknowledged.
    pub delivered: usize,
    /// Cargoes that servers refused.
    pub refused: usize,
    /// Requests that were shown.
    pub asked: usize,
    /// Cargoes that came and were stored.
    pub received: usize,
    /// Cargoes that came and were there before.
    pub repeated: usize,
    /// Cargoes that came and were refused for good.
    pub rejected: usize,
    /// Cargoes that came and were not acknowledged.
    pub left: usize,
    /// Messages on the medium that stay, since a server was not reached or did not do its part.
    pub kept: usize,
}

impl FerryTally {
    /// Counts an event.
    pub fn count(&mut self, event: &FerryEvent) {
        match event {
            FerryEvent::Delivered { .. } => self.delivered += 1,
            FerryEvent::Refused { .. } => self.refused += 1,
            FerryEvent::Asked { .. } => self.asked += 1,
            FerryEvent::Received { .. } => self.received += 1,
            FerryEvent::Repeated { .. } => self.repeated += 1,
            FerryEvent::Rejected { .. } => self.rejected += 1,
            FerryEvent::Left { .. } => self.left += 1,
            FerryEvent::Unsent { .. } => self.kept += 1,
            FerryEvent::Unreached { messages, .. } => self.kept += messages,
            FerryEvent::Reached { .. } => {}
        }
    }
}
