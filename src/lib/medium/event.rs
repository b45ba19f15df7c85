//! What happens in an exchange with a medium.

use std::path::PathBuf;

use super::{Error, MediumFile};
use crate::pki::NodeId;
use crate::spool::Name;

/// What happened in an exchange.
#[derive(Debug)]
pub enum ExchangeEvent {
    /// A message of cargo is in the spool.
    Stored {
        /// What it is.
        name: Name,
        /// Its id, if it has one.
        id: Option<String>,
        /// The id of the cargo.
        cargo: String,
    },
    /// A message of cargo was here before, and is acknowledged again.
    Repeated {
        /// What it is.
        name: Name,
        /// Its id, if it has one.
        id: Option<String>,
    },
    /// All that cargo held is where it belongs, and it has left the medium.
    Unpacked {
        /// What lay on the medium.
        file: MediumFile,
        /// How many messages were in it, unless it was unpacked by an earlier run.
        messages: Option<usize>,
    },
    /// A gateway asks for its cargo.
    Asked(MediumFile),
    /// Cargo is on the medium.
    Packed {
        /// The id of the cargo.
        cargo: String,
        /// Whom it is for.
        hop: NodeId,
        /// How many messages are in it.
        messages: usize,
        /// Its octets.
        len: usize,
    },
    /// A request for our own cargo is on the medium.
    Requested {
        /// The id of the CCA.
        id: String,
        /// The gateway that is asked.
        gateway: NodeId,
    },
    /// A message went from one medium to another.
    Carried(MediumFile),
    /// So many messages wait until the clock is believed.
    Untimely(usize),
    /// Messages wait on.
    Waiting {
        /// Whom they are for, or where they would go.
        hop: String,
        /// How many.
        messages: usize,
        /// Their octets.
        octets: u64,
        /// Why.
        why: WaitReason,
    },
    /// Something on the medium that does not belong there.
    Unexpected(PathBuf),
    /// More such things than are named one by one.
    MoreUnexpected {
        /// The directory that they are in.
        dir: PathBuf,
        /// How many.
        more: usize,
    },
    /// A request for cargo can never be answered, and was set aside.
    SetAside {
        /// Its file.
        what: String,
        /// Why.
        error: Error,
    },
    /// Something could not be done; all else is.
    Failed {
        /// What.
        what: String,
        /// Why not.
        error: Error,
    },
}

/// Why messages are not on a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// There is no room.
    NoRoom,
    /// Nothing lets us send cargo to their next hop.
    NoWay,
    /// It asked for its cargo, and the time of that has ended.
    Ended,
}
