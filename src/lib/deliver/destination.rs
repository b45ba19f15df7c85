//! Where content goes.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Error, maildir};
use crate::command::Command;
use crate::disk::{self, FileRole, Operation};

/// Where content goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// Into `DIR/<sender>/`, under a name that follows from the message, or the one that its sender gave.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Whether the names that senders gave are kept.
        keeps_names: bool,
    },
    /// Into a Maildir.
    Maildir(PathBuf),
    /// To a command.
    Command(Command),
}

impl Destination {
    /// Checks before anything is done that the directory is there; a command is known only when it runs.
    ///
    /// # Errors
    /// When there is no such directory, or it is not a Maildir.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Directory { dir, .. } => is_dir(dir),
            Self::Maildir(dir) => is_dir(dir).and_then(|()| maildir::check(dir)),
            Self::Command(_) => Ok(()),
        }
    }

    /// The limits of a group: messages, and octets of them together. A command gets one message, and what it took is
    /// remembered before it gets the next.
    #[must_use]
    pub fn group(&self) -> (usize, u64) {
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
