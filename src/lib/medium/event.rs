//! Events of an exchange with a medium.

use std::path::PathBuf;

use super::{Error, MediumFile};
use crate::pki::NodeId;
use crate::spool::Name;

/// An event of an exchange.
#[derive(Debug)]
pub enum ExchangeEvent {
    /// A message from cargo was stored in the spool.
    Stored {
        /// Its name in the queue.
        name: Name,
        /// Its message id, if it has one.
        id: Option<String>,
        /// The id of the cargo.
        cargo: String,
    },
    /// A message from cargo was known already, and is acknowledged again.
    Repeated {
        /// Its name in the queue.
        name: Name,
        /// Its message id, if it has one.
        id: Option<String>,
    },
    /// All messages of a cargo are stored, and it was removed from the medium.
    Unpacked {
        /// The file on the medium.
        file: MediumFile,
        /// The number of messages in it; `None` if an earlier run unpacked it.
        messages: Option<usize>,
    },
    /// A gateway asks for its cargo.
    Asked(MediumFile),
    /// Cargo was written to the medium.
    Packed {
        /// The id of the cargo.
        cargo: String,
        /// The gateway that it is for.
        hop: NodeId,
        /// The number of messages in it.
        messages: usize,
        /// Its length, in octets.
        len: usize,
    },
    /// A request for our own cargo was written to the medium.
    Requested {
        /// The id of the CCA.
        id: String,
        /// The gateway that is asked.
        gateway: NodeId,
    },
    /// A message was copied to the other medium.
    Carried(MediumFile),
    /// A message was removed from a medium, since a hint says that it has arrived.
    Freed {
        /// The file.
        file: MediumFile,
        /// The id of the medium that it was on.
        medium: String,
    },
    /// Our own cargo was taken off the medium: its parcels do not wait any more.
    Withdrawn {
        /// The file.
        file: MediumFile,
        /// The number of acknowledgements in it, which wait again.
        acks: usize,
    },
    /// There are messages for recipients that the courier has no reason to know.
    Strangers {
        /// The number of recipients.
        recipients: usize,
        /// The number of messages.
        messages: usize,
        /// How many of them do not show that their recipient authorized their sender.
        not_shown: usize,
        /// How many of them had no room.
        left: usize,
    },
    /// This many messages wait until the clock is believed.
    Untimely(usize),
    /// Messages still wait.
    Waiting {
        /// The next hop, or the medium that is full.
        hop: String,
        /// The number of messages.
        messages: usize,
        /// Their octets together.
        octets: u64,
        /// The reason.
        why: WaitReason,
    },
    /// An unexpected file on the medium.
    Unexpected(PathBuf),
    /// More unexpected files, which are not named.
    MoreUnexpected {
        /// The directory that they are in.
        dir: PathBuf,
        /// The number of them.
        more: usize,
    },
    /// A CCA was set aside, since it can never be answered.
    SetAside {
        /// Its file.
        what: String,
        /// The reason.
        error: Error,
    },
    /// Something failed; the rest of the exchange goes on.
    Failed {
        /// The file, directory or node that it concerns.
        what: String,
        /// The error.
        error: Error,
    },
}

/// The reason why messages are not on a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// The medium is full.
    NoRoom,
    /// Nothing authorizes this node to send cargo to their next hop.
    NoWay,
    /// The next hop's CCA has expired.
    Ended,
}
