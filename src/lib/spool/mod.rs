//! The spool: messages that wait, each in a file of its own, in a directory for each place where they wait
//! (relay-spool(5)).
//!
//! A message is delivered to a queue at the instant of a rename or link, and leaves it only when the next
//! place has it. Names are an index; facts come from the messages.

pub mod name; // what a file's name says of its message
mod queue_id; // which queue
pub mod queue; // a directory of messages
mod folders; // of the spool
mod store; // the spool itself: its folders, queues and locks
pub mod access; // what a user may do with a spool
pub mod homes; // the folders of `home`, and whose they are
pub mod room; // quotas, and the space that is kept free
mod twin; // the same message in another form
pub mod moves; // from queue to queue, many with one sync
pub mod failed; // messages that are set aside, and why
pub mod sent; // what happened to messages: a line for each event
pub mod state; // what became of one of them
pub mod carried; // what was written onto which medium
pub mod arrival; // whether a message is known, and what follows from it
pub mod precedent; // what a message that is put here may replace
pub mod admission; // whether a parcel may enter, and its file
pub mod clock; // whether the time may be believed

use jiff::Timestamp;

use crate::kind::ErrorKind;
use crate::{disk, node};

pub use access::Access;
pub use clock::Time;
pub use folders::DELIVERING;
pub(crate) use folders::{SENT, TMP};
pub use name::Name;
pub use queue::Queue;
pub(crate) use queue_id::HOME;
pub use queue_id::{QueueId, QueueKind};
pub use room::Room;
pub use store::Spool;

/// Why the spool cannot do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another run is at work.
    #[error("another run is at work on the queues")]
    Locked,
    /// A peer's messages take as much as they may.
    #[error("over the quota of {limit} octets for {peer}, of which {used} are used")]
    Quota {
        /// What to call the peer.
        peer: String,
        /// What its messages take in the queue, in octets.
        used: u64,
        /// What they may take, in octets.
        limit: u64,
    },
    /// The file system has not more room than is to be kept.
    #[error("the disk has {free} octets left, of which {reserve} are kept free")]
    Reserve {
        /// What is free, in octets.
        free: u64,
        /// What is to stay free, in octets.
        reserve: u64,
    },
    /// A message that only the gateway's own cargo can bring.
    #[error("a {0} counts only in the cargo of the gateway that sends it")]
    Control(&'static str),
    /// Another message with the same id went before, and may have arrived.
    #[error("a message with this id, to the same recipient, was packed or handed on before")]
    HandedOn,
    /// A later message with the same id waits.
    #[error("a later message with this id, to the same recipient, waits here")]
    Outdated,
    /// No message is known by this.
    #[error("no message is known as {0}")]
    UnknownMessage(String),
    /// No queue has this name.
    #[error("{0} is no queue")]
    NoQueue(String),
    /// The clock tells a time at which nothing may be purged, since it lies before what happened here.
    #[error("the clock tells {now}, and {known} was before")]
    ClockBehind {
        /// What the clock tells.
        now: Timestamp,
        /// When the spool was purged last, or its node made.
        known: Timestamp,
        /// When it will be believed, if it goes on like this.
        again: Option<Timestamp>,
    },
    /// The clock tells a time at which nothing may be purged yet, since nothing here leads to it.
    #[error("the clock tells {now}, and {} here", last.map_or_else(
        || "nothing tells the time".to_owned(),
        |last| format!("nothing happened since {last}"),
    ))]
    ClockAhead {
        /// What the clock tells.
        now: Timestamp,
        /// The newest time that is known, if there is one.
        last: Option<Timestamp>,
        /// When it will be believed, if it goes on like this.
        again: Option<Timestamp>,
    },
    /// The node cannot be read.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

impl Error {
    /// What went wrong, in a word that a caller can act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked => ErrorKind::Busy,
            Self::Quota { .. } | Self::Reserve { .. } => ErrorKind::Full,
            Self::ClockBehind { .. } | Self::ClockAhead { .. } => ErrorKind::ClockDoubted,
            Self::Control(_) => ErrorKind::Forbidden,
            Self::HandedOn | Self::Outdated => ErrorKind::Seen,
            Self::UnknownMessage(_) => ErrorKind::UnknownMessage,
            Self::NoQueue(_) => ErrorKind::Usage,
            Self::Node(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }

    /// Whether a single file is the reason, of which another user may be the owner: this user may not read it,
    /// or leased to a program, too long or no file, or its name is taken. Others are not kept waiting for that.
    #[must_use]
    pub fn is_of_one_file(&self) -> bool {
        match self {
            Self::Disk(
                disk::Error::TooLarge { .. }
                | disk::Error::NotRegular { .. }
                | disk::Error::Exists { .. },
            ) => true,
            Self::Disk(error) => {
                error.is_denied() || error.io_kind() == Some(std::io::ErrorKind::WouldBlock)
            }
            _ => false,
        }
    }
}
