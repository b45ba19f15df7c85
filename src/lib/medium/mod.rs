//! Media: what couriers carry between gateways, a directory on anything that holds files (relay-medium(5)).
//!
//! A medium is not trusted: its carrier can change all of it. What is taken from it is authenticated, what is
//! written to it is read back, and nothing outside of it is touched.

pub mod names; // files on a medium, and what their names say
mod event; // what happens in an exchange
pub mod layout; // a medium: made, opened, written to
pub mod walk; // what is on a medium
pub mod hints; // that cargo has arrived
pub mod import; // from a medium into the spool
pub mod export; // from the spool onto a medium
pub mod courier; // from medium to medium, without keys

use std::path::PathBuf;

use crate::kind::ErrorKind;
use crate::{disk, message, node, spool};

pub use courier::Courier;
pub use event::{ExchangeEvent, WaitReason};
pub use export::Exporter;
pub use hints::Hint;
pub use import::Importer;
pub use layout::Medium;
pub use names::MediumFile;
pub use walk::UnexpectedFiles;

/// Why something cannot be exchanged with a medium.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No medium is there: nobody made one, or it is not mounted.
    #[error("{} is not a medium", .0.display())]
    NotAMedium(PathBuf),
    /// One was there, and its `VERSION` or `ID` is damaged or gone.
    #[error("{} is a damaged medium: its VERSION or ID cannot be used", .0.display())]
    Broken(PathBuf),
    /// There is no directory to make a medium of.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// A directory that is something else's: a node's, or of another medium.
    #[error("{} belongs to a node or to another medium", .0.display())]
    NotAPlace(PathBuf),
    /// A medium of a layout that we do not know.
    #[error("{} is a medium of another version", .0.display())]
    Version(PathBuf),
    /// The same medium was named twice.
    #[error("{} is the same medium", .0.display())]
    SameMedium(PathBuf),
    /// Something else has the name of a file or directory of the medium.
    #[error("{} is in the way", .0.display())]
    InTheWay(PathBuf),
    /// A file or directory on the medium that cannot be read; others may.
    #[error(transparent)]
    Unreadable(disk::Error),
    /// A file does not hold what its name says.
    #[error("damaged: it is not what its name says")]
    Damaged,
    /// The sender or recipient in a file's name is not the one in the message.
    #[error("its name has another sender or recipient")]
    OtherSender,
    /// A message that comes round again and again.
    #[error("it comes back for the fourth time after it was passed on: a loop")]
    Loop,
    /// Another message that is to be the same waits here.
    #[error("another message with the same id waits here")]
    Replaces,
    /// The message is not acceptable.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The node cannot be read or changed, or does not take a message.
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
    /// What went wrong, in a word that a caller can act on.
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
            Self::Replaces => ErrorKind::Seen,
            Self::Message(error) => error.kind(),
            Self::Node(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Unreadable(error) | Self::Disk(error) => error.kind(),
        }
    }

    /// Whether another try may succeed though nothing else is changed.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Unreadable(_) | Self::Spool(_))
            || self.kind() == ErrorKind::Early
    }
}

/// Whether there is no room for what was to be written.
fn is_full(error: &disk::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.io_kind(),
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    )
}
