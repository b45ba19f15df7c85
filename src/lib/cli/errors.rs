//! Errors of the programs themselves, beside those of the library.

use std::path::PathBuf;

use crate::disk;

/// Errors that end the run, because the other messages would fail in the same way.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The scratch file cannot be written, where messages wait until it is known which of them
    /// travel together.
    #[error(transparent)]
    Aside(disk::Error),
    /// The output cannot be written.
    #[error(transparent)]
    Output(disk::Error),
}

impl Fatal {
    /// Wraps an error of an output. A name that is taken concerns one message only, so it is not
    /// fatal.
    #[must_use]
    pub fn output(error: disk::Error) -> anyhow::Error {
        match error {
            disk::Error::Exists { .. }
            | disk::Error::NotRegular { .. }
            | disk::Error::IsInput { .. } => error.into(),
            error => Self::Output(error).into(),
        }
    }
}

/// A usage error that clap cannot detect.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// An input without a single octet.
#[derive(Debug, thiserror::Error)]
#[error("empty")]
pub struct Empty;

/// Work that is left for another run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Postponed(pub String);

/// A part of larger content, where a single whole content is wanted.
#[derive(Debug, thiserror::Error)]
#[error("part {0} of larger content, which is of no use alone")]
pub struct LonePart(pub u32);

/// A parcel that is for another node at the same gateway.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct ForNeighbour {
    /// What is wrong with it here.
    pub cause: String,
    /// The directory of the node that it is for.
    pub node: PathBuf,
}

/// A directory that holds no file.
#[derive(Debug, thiserror::Error)]
#[error("no file in it")]
pub struct NoFile;

/// A registration request was given where a public key is expected.
#[derive(Debug, thiserror::Error)]
#[error("a registration request, which nobody has checked")]
pub struct Unchecked;

/// A private key where a public one is to be certified or trusted: it has left its node.
#[derive(Debug, thiserror::Error)]
#[error("a private key: anybody who has seen it can act as that node")]
pub struct LeakedKey;

/// An input that is not finished: another run may get more of it.
#[derive(Debug, thiserror::Error)]
#[error("left for another run")]
pub struct Again;

/// Content that must not be written to a terminal.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not written to a terminal")]
pub struct ForTerminal(pub &'static str);

/// Text of so many characters, which no code holds.
#[derive(Debug, thiserror::Error)]
#[error("{0} characters are too many for a code that phones read")]
pub struct NoCode(pub usize);

/// A file whose message has changed since it was verified.
#[derive(Debug, thiserror::Error)]
#[error("changed while it was being packed")]
pub struct Changed;
