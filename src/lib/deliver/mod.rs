//! Delivers received content: to files in a directory, mails in a Maildir, or a command.
//!
//! A directory or Maildir gets each content once: a repeated run finds the file of the run before
//! it, by a name that follows from the message or was noted before it was given. A command gets
//! each content at least once.

pub mod content; // what is known of content, and what its files are called
pub mod destination; // where it goes
pub mod maildir; // as a mail
pub mod names; // names for the files of a group
pub mod parts; // which parts of content are there
pub mod run; // delivers everything that waits for a node, in groups
mod trees; // directories, made of content
mod open; // opens messages and writes their content, without a name
mod hand_over; // gives files their names, or runs the command
mod settle; // then: notes, sessions, memory, removal
mod join; // joins parts and delivers the whole

use std::io;
use std::path::PathBuf;

use crate::disk::{self, group};
use crate::kind::ErrorKind;
use crate::message::parts::TransferId;
use crate::{archive, command, message, node, spool, transfer};

pub use content::Content;
pub use destination::Destination;
pub use parts::{LeftOut, PartsLeft};
pub use run::{Delivery, DeliveryEffect, DeliveryOutcome, MessageHead};

/// The reason why a message is not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory is not a Maildir.
    #[error("{} is not a Maildir", .0.display())]
    NotAMaildir(PathBuf),
    /// The message holds an authorization that cannot be imported.
    #[error("its authorization cannot be imported: {0}")]
    Import(node::Error),
    /// The message cannot be opened.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The media type is too long.
    #[error("it has {0}")]
    Type(message::Error),
    /// The message has expired, and it cannot be shown that it arrived in time.
    #[error(
        "{cause}, and the file belongs to user {}, not to user {}",
        group::label_of_user(*.owner),
        .keeper.map_or_else(String::new, group::label_of_user)
    )]
    Late {
        /// The reason for the expiry.
        cause: node::Error,
        /// The owner of the file.
        owner: u32,
        /// The user whose files are known to have arrived in time.
        keeper: Option<u32>,
    },
    /// The message claims to hold a part, but does not.
    #[error("not a part: {0}")]
    Part(message::Error),
    /// The parts do not join to the content that they were cut from.
    #[error(transparent)]
    Join(#[from] transfer::join::Error),
    /// The content is no directory that can be made here.
    #[error(transparent)]
    Archive(archive::Error),
    /// Content in parts cannot be delivered.
    #[error("{count} parts of {transfer}: {cause}")]
    Parts {
        /// The number of parcels with parts of it.
        count: usize,
        /// The transfer that they belong to.
        transfer: TransferId,
        /// The reason.
        cause: Box<Self>,
    },
    /// There are too many parts for one run.
    #[error("{0}")]
    TooManyParts(LeftOut),
    /// The command failed.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The spool cannot be read or changed.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::Disk(error) => Self::Disk(error),
            error => Self::Archive(error),
        }
    }
}

impl Error {
    /// The kind of this error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAMaildir(_) => ErrorKind::CannotCreate,
            Self::TooManyParts(_) => ErrorKind::Incomplete,
            Self::Import(error) | Self::Node(error) | Self::Late { cause: error, .. } => {
                error.kind()
            }
            Self::Part(error) | Self::Type(error) => error.kind(),
            Self::Parts { cause, .. } => cause.kind(),
            Self::Join(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Command(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }

    /// Whether every further try fails in the same way, so that the message is set aside. That holds
    /// for what is no parcel at all, or not as it was signed: files appear whole here, so nothing
    /// completes it later.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Command(error) => error.is_settled(),
            Self::Archive(error) => error.kind() == ErrorKind::Malformed,
            Self::Type(_)
            | Self::Late { .. }
            | Self::Part(_)
            | Self::Join(transfer::join::Error::Part(_) | transfer::join::Error::Digest)
            | Self::Spool(spool::Error::Disk(disk::Error::TooLarge { .. })) => true,
            Self::Node(error) => match error.kind() {
                ErrorKind::Malformed
                | ErrorKind::Corrupt
                | ErrorKind::Conflict
                | ErrorKind::Unsuitable
                | ErrorKind::Unjudged
                | ErrorKind::UnknownKey
                | ErrorKind::Unauthorized
                | ErrorKind::OtherRecipient => true,
                // The signature is good, so a payload that cannot be opened will never be.
                kind => matches!(error, node::Error::Session(_)) && kind != ErrorKind::Internal,
            },
            // An honest authorization begins before its parcel is dated, and an early parcel is not
            // opened at all. So this is final even if our clock is behind.
            Self::Import(error) => !matches!(
                error.kind(),
                ErrorKind::Disk { .. } | ErrorKind::Config | ErrorKind::Internal
            ),
            _ => false,
        }
    }

    /// Whether the destination would refuse all other content, too: the disk is full, or the
    /// command cannot be run.
    #[must_use]
    pub fn is_of_destination(&self) -> bool {
        match self {
            Self::Command(error) => error.is_of_command(),
            Self::Parts { cause, .. } => cause.is_of_destination(),
            Self::Disk(error) | Self::Join(transfer::join::Error::Disk(error)) => matches!(
                error.io_kind(),
                Some(
                    io::ErrorKind::StorageFull
                        | io::ErrorKind::QuotaExceeded
                        | io::ErrorKind::ReadOnlyFilesystem
                )
            ),
            _ => false,
        }
    }
}
