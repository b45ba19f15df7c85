//! Delivers what arrived: into files in a directory, mails in a Maildir, or to a command.
//!
//! A directory or Maildir gets each content once: a run that is repeated finds the file that the one before it
//! left, by a name that follows from the message, or that was noted before it was given. A command gets it at
//! least once.

pub mod content; // what is known of content, and what its files are called
pub mod destination; // where it goes
pub mod maildir; // as a mail
pub mod names; // names for the files of a group
pub mod intents; // names that were about to be given when a run was killed
pub mod parts; // which parts of content are there
pub mod run; // delivers everything that waits for a node, in groups
mod open; // opens messages and writes their content, without a name
mod hand_over; // gives files their names, or runs the command
mod settle; // then: notes, sessions, memory, removal
mod join; // joins parts and delivers the whole

use std::io;
use std::path::PathBuf;

use crate::disk::{self, group};
use crate::kind::ErrorKind;
use crate::message::parts::TransferId;
use crate::{command, message, node, spool, transfer};

pub use content::Content;
pub use destination::Destination;
pub use parts::LeftOut;
pub use run::{Delivery, DeliveryEffect, DeliveryOutcome};

/// Why something is not delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Maildir.
    #[error("{} is not a Maildir", .0.display())]
    NotAMaildir(PathBuf),
    /// The message holds an authorization that cannot be imported.
    #[error("its authorization cannot be imported: {0}")]
    Import(node::Error),
    /// The message cannot be opened.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// Its media type is longer than any of use.
    #[error("it has {0}")]
    Type(message::Error),
    /// The message has expired, and nothing shows that it arrived before.
    #[error(
        "{cause}, and the file belongs to user {}, not to user {}",
        group::label_of_user(*.owner),
        .keeper.map_or_else(String::new, group::label_of_user)
    )]
    Late {
        /// What is over.
        cause: node::Error,
        /// Whose file it is.
        owner: u32,
        /// By whose files it would show.
        keeper: Option<u32>,
    },
    /// A message says that it holds a part, and does not.
    #[error("not a part: {0}")]
    Part(message::Error),
    /// Parts do not become what they were made of.
    #[error(transparent)]
    Join(#[from] transfer::join::Error),
    /// Content that came in parts cannot be handed over.
    #[error("{count} parts of {transfer}: {cause}")]
    Parts {
        /// How many parcels there are with parts of it.
        count: usize,
        /// What they belong to.
        transfer: TransferId,
        /// Why not.
        cause: Box<Self>,
    },
    /// Too much content comes in parts for one run.
    #[error("{0}")]
    TooManyParts(LeftOut),
    /// The command did not take it.
    #[error(transparent)]
    Command(#[from] command::Error),
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
            Self::NotAMaildir(_) => ErrorKind::CannotCreate,
            Self::TooManyParts(_) => ErrorKind::Incomplete,
            Self::Import(error) | Self::Node(error) | Self::Late { cause: error, .. } => {
                error.kind()
            }
            Self::Part(error) | Self::Type(error) => error.kind(),
            Self::Parts { cause, .. } => cause.kind(),
            Self::Join(error) => error.kind(),
            Self::Command(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }

    /// Whether the message is genuine and another try gives the same result, so that it is set aside.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Command(error) => error.is_settled(),
            Self::Type(_)
            | Self::Late { .. }
            | Self::Part(_)
            | Self::Join(transfer::join::Error::Part(_) | transfer::join::Error::Digest) => true,
            Self::Node(error) => match error.kind() {
                ErrorKind::Unjudged
                | ErrorKind::UnknownKey
                | ErrorKind::Unauthorized
                | ErrorKind::OtherRecipient => true,
                // What was sealed and signed stays as it is, so it is never opened.
                kind => matches!(error, node::Error::Session(_)) && kind != ErrorKind::Internal,
            },
            // An honest one has begun when its parcel is dated, and that is not early, or it would not be open.
            Self::Import(error) => !matches!(
                error.kind(),
                ErrorKind::Disk { .. } | ErrorKind::Config | ErrorKind::Internal
            ),
            _ => false,
        }
    }

    /// Whether the destination takes no other content either: there is no room, or no command to run.
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
