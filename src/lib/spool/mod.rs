//! The spool: waiting messages, each in its own file, in a directory for each queue
//! (relay-spool(5)).
//!
//! A message enters a queue by an atomic rename or link, and leaves it only once the next queue has
//! it. File names are an index; facts are read from the messages.

pub mod name; // what a file's name says of its message
mod queue_id; // which queue
pub mod queue; // a directory of messages
mod folders; // of the spool
mod store; // the spool itself: its folders, queues and locks
pub mod access; // what a user may do with a spool
pub mod homes; // the folders of `home`, and whose they are
pub mod payers; // whose quota a message counts against
mod ledger; // at most what waits, for those who store one message
pub mod room; // quotas, and the space that is kept free
mod twin; // the same message in another form
pub mod moves; // from queue to queue, many with one sync
pub mod failed; // messages that are set aside, and why
pub mod intents; // notes on messages that are handed over
pub mod sent; // what happened to messages: a line for each event
pub mod meant; // which messages a user means
pub mod state; // what became of one of them
pub mod carried; // what was written onto which medium
pub mod exchanges; // when each medium was here last
pub mod hosts; // what is known of servers on the network
pub mod served; // what relay-serve did since its start
pub mod arrival; // whether a message is known, and what follows from it
pub mod precedent; // what a message that is put here may replace
pub mod admission; // whether a parcel may enter, and its file
pub mod wire; // what carriers on the wire may do with messages
pub mod clock; // whether the time may be believed
#[cfg(test)]
pub(crate) mod testspool; // a spool, for the tests

use std::path::PathBuf;

use jiff::Timestamp;

use crate::kind::ErrorKind;
use crate::{disk, node};

pub use access::Access;
pub use clock::Time;
pub(crate) use folders::{DELIVERING, SENT, SPOOL, TMP, WIRE};
pub use intents::Intents;
pub(crate) use ledger::FILE as LEDGER;
pub use name::Name;
pub use queue::Queue;
pub(crate) use queue_id::HOME;
pub use queue_id::{INTERNET, QueueId, QueueKind};
pub use room::Room;
pub use store::Spool;

/// An error of the spool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another run holds the lock.
    #[error("another run is active on these queues")]
    Locked,
    /// The message would exceed the quota of a peer.
    #[error("over the quota of {limit} octets for {peer}, of which {used} are used")]
    Quota {
        /// A short form of the peer's id.
        peer: String,
        /// The total of its waiting messages, in octets.
        used: u64,
        /// The quota, in octets.
        limit: u64,
    },
    /// The message alone exceeds the quota of a peer, so it never fits.
    #[error("{len} octets are more than the whole quota of {limit} octets for {peer}")]
    OverQuota {
        /// A short form of the peer's id.
        peer: String,
        /// What the message counts, in octets.
        len: u64,
        /// The quota, in octets.
        limit: u64,
    },
    /// The file system would have less free space than the reserve.
    #[error("the disk has {free} octets left, of which {reserve} are kept free")]
    Reserve {
        /// The free space, in octets.
        free: u64,
        /// The space to keep free, in octets.
        reserve: u64,
    },
    /// A control message, which counts only in the cargo of its gateway.
    #[error("a {0} counts only in the cargo of the gateway that sends it")]
    Control(&'static str),
    /// Another message with the same id was packed or passed on before, and may have arrived.
    #[error("a message with this id, to the same recipient, was packed or handed on before")]
    HandedOn,
    /// A later message with the same id waits.
    #[error("a later message with this id, to the same recipient, waits here")]
    Outdated,
    /// Another message with the same id and date waits.
    #[error("another message with this id and date, to the same recipient, waits here")]
    OtherContent,
    /// No message is known by this id or name.
    #[error("no message is known as {0}")]
    UnknownMessage(String),
    /// The message is not in `failed`, but known.
    #[error("{text} is not set aside: it {state}")]
    NotSetAside {
        /// What it is known by.
        text: String,
        /// Its state, in words.
        state: &'static str,
    },
    /// Several messages are known by the beginning of a digest of their ids, or by one id.
    #[error("{text} is more than one message: {}", names.join(", "))]
    AmbiguousMessage {
        /// What they are known by.
        text: String,
        /// Their names or ids.
        names: Vec<String>,
    },
    /// No queue has this name.
    #[error("{0}: no such queue")]
    NoQueue(String),
    /// The clock is before a known time, so nothing may be purged.
    #[error("the clock shows {now}, which is before {known}, a time already seen")]
    ClockBehind {
        /// The time of the system clock.
        now: Timestamp,
        /// The known time: of the last purge, of the node's creation, or of a date from another
        /// node.
        known: Timestamp,
        /// When the clock will be believed, if it continues like this.
        again: Option<Timestamp>,
    },
    /// The clock is too far after the newest known time, so nothing may be purged yet.
    #[error("the clock shows {now}, but {} here", last.map_or_else(
        || "there is no evidence of the time".to_owned(),
        |last| format!("nothing happened since {last}"),
    ))]
    ClockAhead {
        /// The time of the system clock.
        now: Timestamp,
        /// The newest known time.
        last: Option<Timestamp>,
        /// When the clock will be believed, if it continues like this.
        again: Option<Timestamp>,
    },
    /// The queue of a node here that this user may not list.
    #[error("cannot list {}: Permission denied", .0.display())]
    Closed(PathBuf),
    /// The node cannot be read.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

impl Error {
    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked => ErrorKind::Busy,
            Self::Quota { .. } | Self::Reserve { .. } => ErrorKind::Full,
            Self::ClockBehind { .. } | Self::ClockAhead { .. } => ErrorKind::ClockDoubted,
            Self::Closed(_) => ErrorKind::Config,
            // The message is right, but over a limit of this node.
            Self::OverQuota { .. } => ErrorKind::Unsuitable,
            Self::Control(_) => ErrorKind::Forbidden,
            Self::HandedOn | Self::Outdated | Self::OtherContent => ErrorKind::Seen,
            Self::UnknownMessage(_) | Self::NotSetAside { .. } => ErrorKind::UnknownMessage,
            Self::NoQueue(_) | Self::AmbiguousMessage { .. } => ErrorKind::Usage,
            Self::Node(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }

    /// Whether a single file is the reason: it cannot be read, whatever the system says, is too long or no file, or its
    /// name is taken. Others are not kept waiting for that.
    #[must_use]
    pub fn is_of_one_file(&self) -> bool {
        match self {
            Self::Disk(
                disk::Error::TooLarge { .. }
                | disk::Error::NotRegular { .. }
                | disk::Error::Exists { .. },
            ) => true,
            Self::Disk(error) => error.is_denied() || error.is_of_reading(),
            _ => false,
        }
    }
}
