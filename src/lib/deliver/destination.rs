//! Destinations for content.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Error, maildir};
use crate::command::Command;
use crate::disk::{self, FileRole, Operation};

/// A destination for content.
#[derive(Debug, Clone)]
pub enum Destination {
    /// Files in `DIR/<sender>/`, named after the message, or as the sender named them.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Whether to use the names that senders chose.
        keeps_names: bool,
        /// Whether directories are made of content that is one ([`crate::archive`]).
        extracts: bool,
    },
    /// Mails in a Maildir.
    Maildir(PathBuf),
    /// Standard input of a command.
    Command(Command),
}

impl Destination {
    /// Checks before anything is done that the directory exists. Whether a command can be run shows
    /// only when it is run.
    ///
    /// # Errors
    /// When the directory does not exist or is not a Maildir.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Directory { dir, .. } => is_dir(dir),
            Self::Maildir(dir) => is_dir(dir).and_then(|()| maildir::check(dir)),
            Self::Command(_) => Ok(()),
        }
    }

    /// The limits of a group: number of messages, and their octets together. A command gets one
    /// message at a time, and that is remembered before the next, so that a crash repeats at most
    /// one.
    #[must_use]
    pub fn group(&self) -> (usize, u64) {
        // Large enough to share a sync between many small messages.
        match self {
            Self::Directory { .. } | Self::Maildir(_) => (250, 32 * 1024 * 1024),
            Self::Command(_) => (1, 0),
        }
    }
}

fn is_dir(dir: &Path) -> Result<(), Error> {
    let failed = |cause| disk::Error::Io {
        path: dir.to_owned(),
        role: FileRole::Delivery,
        doing: Operation::Open,
        cause,
    };
    if std::fs::metadata(dir).map_err(failed)?.is_dir() {
        Ok(())
    } else {
        Err(failed(std::io::ErrorKind::NotADirectory.into()).into())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { dir, .. } => write!(formatter, "dir:{}", dir.display()),
            Self::Maildir(dir) => write!(formatter, "maildir:{}", dir.display()),
            Self::Command(command) => write!(formatter, "exec:{command}"),
        }
    }
}
