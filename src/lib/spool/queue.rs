//! A directory of messages.

use std::path::{Path, PathBuf};

use super::{Error, Name, Place};
use crate::disk::tree::{self, Kind, Met};
use crate::disk::{Role, files};
use crate::ramf::limits;

/// A directory of messages, each in a file of its own.
#[derive(Debug, Clone)]
pub struct Queue {
    dir: PathBuf,
    place: Place,
}

/// What a queue holds.
#[derive(Debug)]
pub enum Found {
    /// A message, as far as its name tells.
    Message(Waiting),
    /// Something that no program here put there.
    Stray(PathBuf),
}

/// A message that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// What the file's name says.
    pub name: Name,
    entry: tree::Entry,
}

impl Waiting {
    /// How many octets it has; `None` when it has gone since it was listed.
    ///
    /// # Errors
    /// When its file cannot be examined.
    pub fn len(&self) -> Result<Option<u64>, Error> {
        Ok(self.entry.stat()?.map(|stat| stat.len))
    }

    /// Its octets; `None` when it has gone since it was listed.
    ///
    /// # Errors
    /// When its file cannot be read, or is no regular one.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        match files::read(&self.path, Role::Spool, limits::MAX_MESSAGE_LEN) {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Queue {
    pub(super) fn new(dir: PathBuf, place: Place) -> Self {
        Self { dir, place }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which queue it is.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The file of a message of this name.
    #[must_use]
    pub fn path_of(&self, name: &Name) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// What is in it, as the file system gives it, in memory that does not grow with it. What says why a
    /// message was set aside is passed over.
    ///
    /// # Errors
    /// When it cannot be listed; one that does not exist is empty.
    pub fn entries(&self) -> Result<impl Iterator<Item = Result<Found, Error>> + use<>, Error> {
        let is_aside = self.place == Place::Failed;
        let found = move |met: Met| match met {
            Met::Entry(entry) => {
                let name = entry.name.to_str().unwrap_or_default();
                if is_aside && name.ends_with(WHY) {
                    return None;
                }
                Some(match (entry.kind, name.parse()) {
                    (Kind::File, Ok(name)) => Found::Message(Waiting {
                        path: entry.path.clone(),
                        name,
                        entry,
                    }),
                    _ => Found::Stray(entry.path),
                })
            }
            Met::Other(path) => Some(Found::Stray(path)),
        };
        let entries = tree::stream(&self.dir, Role::Spool)?;
        Ok(entries.filter_map(move |met| met.map(found).map_err(Error::from).transpose()))
    }

    /// The messages in it; what else is there is passed over.
    ///
    /// # Errors
    /// As [`Queue::entries`].
    pub fn messages(&self) -> Result<impl Iterator<Item = Result<Waiting, Error>> + use<>, Error> {
        Ok(self.entries()?.filter_map(|found| match found {
            Ok(Found::Message(message)) => Some(Ok(message)),
            Ok(Found::Stray(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }
}

/// The end of the name of a file that says why a message was set aside.
pub const WHY: &str = ".why";
