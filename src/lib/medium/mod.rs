//! Media: directories on sticks or shares that couriers carry between gateways (relay-medium(5)).
//!
//! A medium is not trusted: its carrier can change everything on it. What is read from it is
//! authenticated, what is written is read back, and nothing outside of it is touched.

pub mod names; // files on a medium, and what their names say
mod event; // what happens in an exchange
pub mod layout; // a medium: made, opened, written to
pub mod walk; // what is on a medium
pub mod taken; // that cargo went over the network
pub mod hints; // that cargo has arrived
pub mod passing; // what goes over the network, without keys
pub mod import; // from a medium into the spool
pub mod export; // from the spool onto a medium
pub mod courier; // from medium to medium, without keys

use std::path::PathBuf;

use crate::kind::ErrorKind;
use crate::{disk, message, node, route, spool};

pub use courier::Courier;
pub use event::{ExchangeEvent, WaitReason};
pub use export::Exporter;
pub use hints::Hint;
pub use import::Importer;
pub use layout::Medium;
pub use names::MediumFile;
pub use passing::{PassingMessage, WaitingCargo};
pub use taken::TakenMark;
pub use walk::UnexpectedFiles;

/// The reason why something cannot be exchanged with a medium.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no medium: none was made, or it is not mounted.
    #[error("{} is not a medium", .0.display())]
    NotAMedium(PathBuf),
    /// The VERSION or ID of the medium is damaged or missing.
    #[error("{} is a damaged medium: its VERSION or ID cannot be used", .0.display())]
    Broken(PathBuf),
    /// The path is not a directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The directory belongs to a node or to another medium.
    #[error("{} belongs to a node or to another medium", .0.display())]
    NotAPlace(PathBuf),
    /// The medium is of a version that we do not know.
    #[error("{} is a medium of another version", .0.display())]
    Version(PathBuf),
    /// The same medium was named twice.
    #[error("{} is the same medium", .0.display())]
    SameMedium(PathBuf),
    /// Something else is in the place of a file or directory of the medium.
    #[error("{} is in the way", .0.display())]
    InTheWay(PathBuf),
    /// A file or directory on the medium cannot be read; others may be.
    #[error(transparent)]
    Unreadable(disk::Error),
    /// A file does not hold what its name says.
    #[error("damaged: it is not what its name says")]
    Damaged,
    /// The sender or recipient in a file's name is not the one in the message.
    #[error("its name has another sender or recipient")]
    OtherSender,
    /// The message was passed on and came back too often.
    #[error("passed on three times already, and back again: a routing loop")]
    Loop,
    /// Something else has each name that a message could get in its queue.
    #[error("other files have the names that it could get in the queue")]
    Replaces,
    /// A parcel has no way from here to its recipient.
    #[error(transparent)]
    Unrouted(Box<route::Error>),
    /// The message is not valid.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The node cannot be read or changed, or refuses the message.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The spool cannot be read or changed.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

impl Error {
    /// The kind of this error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAMedium(_) | Self::Broken(_) | Self::Version(_) | Self::NotADirectory(_) => {
                ErrorKind::NotFound
            }
            Self::SameMedium(_) | Self::NotAPlace(_) => ErrorKind::Usage,
            Self::InTheWay(_) => ErrorKind::Exists,
            Self::Damaged | Self::OtherSender => ErrorKind::Conflict,
            Self::Loop => ErrorKind::Loop,
            Self::Replaces => ErrorKind::Busy,
            Self::Unrouted(error) => error.kind(),
            Self::Message(error) => error.kind(),
            Self::Node(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Unreadable(error) | Self::Disk(error) => error.kind(),
        }
    }

    /// Whether the node's private keys are encrypted and not opened, which is so for every message.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self {
            Self::Node(error) | Self::Spool(spool::Error::Node(error)) => error.is_locked(),
            _ => false,
        }
    }

    /// Whether a file of the spool or the medium is the reason.
    fn is_of_disk(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Spool(spool::Error::Disk(_)))
    }

    /// Whether it is one file, of one peer or message, and others may be right.
    fn is_of_one_file(&self) -> bool {
        match self {
            Self::Disk(error) => error.is_denied() || error.is_of_reading(),
            Self::Spool(error) => error.is_of_one_file(),
            _ => false,
        }
    }

    /// Whether another run may succeed without any change.
    fn may_pass(&self) -> bool {
        if let Self::Unrouted(error) = self {
            // Once its routes or files are put right, a node knows the way.
            return !matches!(error.kind(), ErrorKind::NoRoute | ErrorKind::Unauthorized);
        }
        if matches!(self, Self::Spool(spool::Error::OverQuota { .. })) {
            return false;
        }
        matches!(
            self,
            Self::Disk(_)
                | Self::Unreadable(_)
                | Self::Spool(_)
                | Self::Replaces
                | Self::Node(node::Error::UnreadablePeer { .. })
        ) || self.kind() == ErrorKind::Early
    }
}

/// Whether the disk or a quota is full.
fn is_full(error: &disk::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.io_kind(),
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    )
}
