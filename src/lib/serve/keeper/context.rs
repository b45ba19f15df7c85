//! What a keeper works with, and what it tells of its work.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::policy::RegistrationPolicy;
use super::verdicts::verdict_of;
use crate::medium::ExchangeEvent;
use crate::pki::{NodeId, Window};
use crate::serve::Error;
use crate::serve::protocol::{FrontCounts, ServeRole, ServeVerdict};
use crate::spool::wire::Reception;
use crate::spool::{Name, Spool, Time};

/// An event of a server.
#[derive(Debug)]
pub enum KeeperEvent {
    /// A parcel came.
    Parcel {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// Its length, in octets.
        len: usize,
        /// What became of it.
        fate: Reception,
    },
    /// A parcel was not taken, or a node not registered.
    Refused {
        /// Why.
        verdict: ServeVerdict,
        /// Who asked to be registered.
        peer: Option<IpAddr>,
    },
    /// A node was registered.
    Registered {
        /// The node.
        node: NodeId,
        /// Until when.
        until: Timestamp,
    },
    /// A node that had registered was forgotten, since it signed nothing.
    Dropped(NodeId),
    /// A registered node has collected a parcel.
    Collected {
        /// Its name in the queue.
        name: Name,
        /// Its message id.
        id: String,
        /// The node.
        by: NodeId,
    },
    /// Cargo for this gateway came and is stored.
    Cargo {
        /// The gateway that sent it.
        sender: NodeId,
        /// Its length, in octets.
        len: usize,
        /// Whether it was not here already.
        is_new: bool,
    },
    /// Cargo was stored by who collected it for a gateway.
    CargoTaken {
        /// The gateway.
        gateway: NodeId,
        /// Its length, in octets.
        len: u64,
    },
    /// Something was unpacked or packed.
    Exchange(Box<ExchangeEvent>),
    /// What the front counted since its start.
    Counted(FrontCounts),
    /// Something of this node failed. Who asked was told to come again.
    Failed(Error),
}

/// Routes what comes, until the flag is set; calls the second argument after each run.
pub type Routing<'a> = dyn Fn(&AtomicBool, &dyn Fn()) + Sync + 'a;

/// What a keeper works with.
pub struct KeeperContext<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// What the server is for.
    pub role: ServeRole,
    /// Who may be registered.
    pub registration: RegistrationPolicy,
    /// The time, and the instants that dates are checked against.
    pub clock: &'a (dyn Fn() -> Result<(Time, Window), Error> + Sync),
    /// Whether the server is to stop.
    pub stops: &'a AtomicBool,
    /// Told of each event, by several threads at once.
    pub report: &'a (dyn Fn(KeeperEvent) + Sync),
    /// Routes what comes.
    pub route: &'a Routing<'a>,
    /// Called when cargo was unpacked, which may have brought what no parcel shows: acknowledgements.
    pub came: &'a (dyn Fn() + Sync),
}

impl KeeperContext<'_> {
    /// The verdict for a client where this node fails. The error is reported here, and not told to the client: where the
    /// verdict does not depend on it, the client gets this text.
    pub(super) fn failed(&self, error: Error, text: &str) -> ServeVerdict {
        let verdict = verdict_of(error.kind(), "", true);
        (self.report)(KeeperEvent::Failed(error));
        match verdict {
            verdict @ (ServeVerdict::Full(_) | ServeVerdict::Busy(_)) => verdict,
            _ => ServeVerdict::Busy(text.to_owned()),
        }
    }
}
