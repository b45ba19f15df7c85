//! Errors of the programs themselves, beside those of the library.

use crate::disk;

/// What no message can do without: the program cannot go on with the others.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// Messages cannot be set aside until it is known which of them travel together.
    #[error(transparent)]
    Aside(disk::Error),
    /// What fails in writing one message fails in writing the others.
    #[error(transparent)]
    Output(disk::Error),
}

impl Fatal {
    /// What an output fails with. A name that is taken there is of one message alone.
    #[must_use]
    pub fn output(error: disk::Error) -> anyhow::Error {
        match error {
            disk::Error::Exists { .. } | disk::Error::NotRegular { .. } => error.into(),
            error => Self::Output(error).into(),
        }
    }
}

/// A command line that clap could not find fault with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// An input that has no octets.
#[derive(Debug, thiserror::Error)]
#[error("empty")]
pub struct Empty;

/// What was left for another run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Postponed(pub String);

/// A directory in which there is nothing to read.
#[derive(Debug, thiserror::Error)]
#[error("no file in it")]
pub struct NoFile;

/// A request to be registered where a public key is enough.
#[derive(Debug, thiserror::Error)]
#[error("a registration request, which nobody has checked")]
pub struct Unchecked;

/// An input that was not done with, since another run may get more of it.
#[derive(Debug, thiserror::Error)]
#[error("left for another run")]
pub struct Again;

/// Content that a terminal should not get.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not written to a terminal")]
pub struct ForTerminal(pub &'static str);

/// A file whose message is not the one that was verified.
#[derive(Debug, thiserror::Error)]
#[error("changed while it was being packed")]
pub struct Changed;
