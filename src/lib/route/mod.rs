//! Where each message goes next: by the node's table of routes or, where no line of it matches, by the certificates
//! of the message and the node's peers (relay-routes(5)).

pub mod target; // where a message goes
pub mod table; // the node's `routes`
pub mod next_hop; // decides on one message
pub mod control; // applies acknowledgements and rotations
pub mod run; // moves all messages of a queue

use std::path::PathBuf;

use crate::kind::ErrorKind;
use crate::{command, disk, message, node, spool};

pub use next_hop::Hops;
pub use run::{RouteOutcome, Router};
pub use table::Table;
pub use target::Target;

/// Why a message goes nowhere.
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
        /// What is wrong with it.
        problem: String,
    },
    /// Neither the table nor the message names a next hop.
    #[error("no route to {0}")]
    NoRoute(String),
    /// The only way leads to where the message came from.
    #[error("the route to {0} leads back to where the message came from")]
    Back(String),
    /// It is for a node here, and does not show that this node authorized its sender.
    #[error("nothing shows that its recipient, a node here, authorized its sender")]
    NotShown,
    /// A message that does not travel by itself.
    #[error("a {0} is not routed")]
    Kind(&'static str),
    /// A message that is no control message, where only those are.
    #[error("a {0} among control messages")]
    NoControl(&'static str),
    /// The directory of a route is not there.
    #[error("{}: there is no such directory", .0.display())]
    NoDirectory(PathBuf),
    /// A command does not take a message.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The message is not acceptable.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The node cannot be read, or does not take what a message brought.
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
            Self::Table { .. } => ErrorKind::Config,
            Self::NoRoute(_) | Self::Back(_) => ErrorKind::NoRoute,
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
