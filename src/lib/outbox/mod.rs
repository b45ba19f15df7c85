//! Files and folders, sealed and put into the spool: what relay-send does.
//!
//! A content becomes one parcel for each recipient, or parts where it is too large, and counts as sent once all of its
//! parcels are stored. The ids of its parcels follow from one number, so that a run that repeats one which was killed
//! makes the same messages: the spool takes each once.

pub mod source; // where content is read
mod ids; // ids of the parcels that a content becomes
pub mod feed; // content cut into what one parcel holds
pub mod submit; // parcels sealed, and stored in groups
pub mod drop_folder; // a folder from which files are taken

use std::path::PathBuf;

use crate::kind::ErrorKind;
use crate::message::parts::{MAX_COUNT, MAX_EMITTED_CONTENT_LEN};
use crate::{archive, disk, message, node, spool};

pub use drop_folder::{Claimed, DropFolder};
pub use ids::Ids;
pub use source::{Outgoing, OutgoingSource};
pub use submit::{Submission, SubmittedTo};

/// The reason why content is not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The content was written to while it was read.
    #[error("changed while it was read")]
    Changed,
    /// The content cannot be read.
    #[error("cannot read: {0}")]
    Read(std::io::Error),
    /// The content makes too many parts.
    #[error("over {MAX_COUNT} parts of {MAX_EMITTED_CONTENT_LEN} octets")]
    TooManyParts,
    /// The parts of the content alone exceed the quota of a recipient, so they never fit.
    #[error("{len} octets in all, and only {limit} may wait for one peer")]
    OverQuota {
        /// What the parcels would count, in octets.
        len: u64,
        /// The quota, in octets.
        limit: u64,
    },
    /// A directory cannot be read as one content.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A media type cannot be sent.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// A parcel cannot be sealed.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A parcel cannot be stored.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Another run takes files from this folder.
    #[error("{}: another run takes files from here", .0.display())]
    Locked(PathBuf),
    /// Others could exchange what is in the folder.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// What is to be sent, or the place for what was sent, belongs to a node: it would lose its files, and others get its
    /// private keys.
    #[error("{}: belongs to a node, whose files are not sent", .0.display())]
    OfNode(PathBuf),
    /// All of a content with the id that the user gave was queued before.
    #[error("a message with this id was queued before: nothing is missing")]
    NothingMissing,
    /// A file in the folder is not one that is sent.
    #[error("{0}")]
    NotTaken(&'static str),
}

impl Error {
    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Changed | Self::Locked(_) => ErrorKind::Busy,
            Self::Read(_) => ErrorKind::Io,
            Self::TooManyParts | Self::OverQuota { .. } | Self::OfNode(_) => ErrorKind::Unsuitable,
            Self::NotTaken(_) => ErrorKind::NotFound,
            Self::Folder { .. } => ErrorKind::Config,
            Self::NothingMissing => ErrorKind::Seen,
            Self::Archive(error) => error.kind(),
            Self::Message(error) => error.kind(),
            Self::Node(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }

    /// Whether the content itself is the reason: it cannot be read, has changed, or never fits. Nothing that was stored of
    /// it is of use, and no later run goes on with it.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        match self {
            Self::Changed
            | Self::Read(_)
            | Self::TooManyParts
            | Self::OverQuota { .. }
            | Self::Archive(_)
            | Self::Message(_)
            | Self::OfNode(_)
            | Self::NotTaken(_) => true,
            Self::Spool(error) => matches!(error, spool::Error::OverQuota { .. }),
            Self::Node(_)
            | Self::Disk(_)
            | Self::Locked(_)
            | Self::Folder { .. }
            | Self::NothingMissing => false,
        }
    }

    /// Whether the parcel was stored before, by a run that was killed after that.
    fn is_there_already(&self) -> bool {
        matches!(
            self,
            Self::Spool(
                spool::Error::HandedOn | spool::Error::Outdated | spool::Error::OtherContent
            )
        )
    }
}
