//! Decides where each message goes next: by the node's routes, or if no line matches, by the
//! certificates in the message and the node's peers (relay-routes(5)).

pub mod target; // where a message goes
pub mod table; // the node's `routes`
pub mod next_hop; // decides on one message
pub mod control; // applies acknowledgements and rotations
pub mod revocation; // takes deauthorizations
pub mod run; // moves all messages of a queue
mod rates; // what senders may not send any number of
mod commands; // after which those for commands are handed over

use std::path::PathBuf;

use crate::kind::ErrorKind;
use crate::{command, disk, message, node, spool};

pub use next_hop::Hops;
pub use run::{RouteOutcome, Router};
pub use table::Table;
pub use target::Target;

/// The reason why a message cannot be routed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line of `routes` is wrong.
    #[error("{}: line {line}: {problem}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// No route and no certificate of the message names a next hop.
    #[error("no route to {to}")]
    NoRoute {
        /// The recipient.
        to: String,
        /// Whether its own server on the Internet would take it, and only the setting `direct` keeps it from there.
        is_direct_off: bool,
    },
    /// The only route leads back to where the message came from.
    #[error("the route to {0} leads back to where it came from")]
    Back(String),
    /// The recipient is a node here, and the message does not show that it authorized the sender.
    #[error("not shown to be authorized by its recipient here")]
    NotShown,
    /// A kind of message that is not routed.
    #[error("{} is not routed", message::phrase(.0))]
    Kind(&'static str),
    /// A message in a control queue that is not a control message.
    #[error("{} among control messages", message::phrase(.0))]
    NoControl(&'static str),
    /// The directory of a route does not exist.
    #[error("{}: there is no such directory", .0.display())]
    NoDirectory(PathBuf),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The message is not valid.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The node cannot be read, or refuses a control message.
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
    /// Why a message is not valid, or a peer that it depends on cannot be read.
    pub(crate) fn of_message(error: node::Error) -> Self {
        match error {
            node::Error::Message(error) => Self::Message(error),
            node::Error::Ramf(error) => Self::Message(error.into()),
            node::Error::Pki(error) => Self::Message(error.into()),
            error => Self::Node(error),
        }
    }

    /// The kind of this error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Table { .. } => ErrorKind::Config,
            Self::NoRoute { .. } | Self::Back(_) => ErrorKind::NoRoute,
            Self::NotShown => ErrorKind::Unauthorized,
            Self::Kind(_) | Self::NoControl(_) => ErrorKind::Unsuitable,
            Self::NoDirectory(_) => ErrorKind::CannotCreate,
            Self::Command(error) => error.kind(),
            Self::Message(error) => error.kind(),
            Self::Node(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }
}
