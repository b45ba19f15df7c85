//! A server for nodes on the network: it takes parcels from anybody for this node and those behind it (RS-007), and
//! registers nodes, takes their parcels and gives them theirs (RS-016).
//!
//! Two processes share the work, so that what speaks with strangers has nothing to lose:
//!
//! ```text
//!  network <-> front: TLS, HTTP, limits          no keys of the node, no files
//!                |  channel, protocol
//!              keeper: judges, stores, signs     keys and spool, no network
//! ```

pub mod channel; // messages between the processes
pub mod protocol; // what they say
mod blocks; // of addresses: whose a limit is
pub mod front; // speaks with the network
mod outbox; // what it is told
mod rooms; // files for what is on its way
mod carriage; // cargo on its way out
mod dispatch; // what the front says
pub mod courier; // keeps cargo on a medium, without keys
pub mod keeper; // judges and stores

use std::io;

use crate::kind::ErrorKind;
use crate::{disk, medium, message, node, route, spool};

/// An error of a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other process is gone, or cannot be started or spoken to.
    #[error("the two processes of the server cannot speak with each other: {0}")]
    Channel(#[from] io::Error),
    /// An address cannot be listened on.
    #[error("{address}: cannot listen: {cause}")]
    Listen {
        /// The address, or the path of a Unix socket.
        address: String,
        /// Why.
        cause: io::Error,
    },
    /// An endpoint that has no Internet address: nobody would look for a server of it.
    #[error("an endpoint without an Internet address has nothing to serve")]
    NoRole,
    /// The process that speaks with the network has ended by itself.
    #[error("the process that speaks with the network has ended")]
    FrontEnded,
    /// The system refuses the restriction of that process.
    #[error("the system does not restrict the process for the network: {0}")]
    Sandbox(String),
    /// The certificate and key that it shows cannot be used.
    #[error("the certificate cannot be used: {problem}")]
    Certificate {
        /// Why.
        problem: String,
    },
    /// A message is not acceptable.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// The node cannot be read or changed.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The routes are wrong.
    #[error(transparent)]
    Route(#[from] route::Error),
    /// The spool cannot be read or changed.
    #[error(transparent)]
    Spool(#[from] spool::Error),
    /// The medium that cargo is on cannot be read or changed, or cargo is not acceptable.
    #[error(transparent)]
    Medium(#[from] medium::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
}

impl Error {
    /// The error of another floor that this one passes on.
    #[must_use]
    pub fn inner(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Message(error) => Some(error),
            Self::Node(error) => Some(error),
            Self::Route(error) => Some(error),
            Self::Spool(error) => Some(error),
            Self::Medium(error) => Some(error),
            Self::Disk(error) => Some(error),
            _ => None,
        }
    }

    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Channel(_) | Self::FrontEnded => ErrorKind::Internal,
            Self::Listen { cause, .. } if cause.kind() == io::ErrorKind::AddrInUse => {
                ErrorKind::Busy
            }
            Self::Listen { .. } | Self::NoRole | Self::Sandbox(_) | Self::Certificate { .. } => {
                ErrorKind::Config
            }
            Self::Message(error) => error.kind(),
            Self::Node(error) => error.kind(),
            Self::Route(error) => error.kind(),
            Self::Spool(error) => error.kind(),
            Self::Medium(error) => error.kind(),
            Self::Disk(error) => error.kind(),
        }
    }
}
