//! Where content is read, and whether it stays the same meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, Ids};
use crate::archive::{self, Tree};
use crate::disk::FileRole;
use crate::disk::files::{self, FileState};
use crate::send::Sealer;

/// Content to send.
pub struct Outgoing {
    /// Who gets it; not empty.
    pub to: Vec<Arc<Sealer>>,
    /// Its media type, without a name.
    pub media_type: String,
    /// The name that is sent along.
    pub name: Option<String>,
    /// Where it is read.
    pub source: OutgoingSource,
    /// What the ids of its parcels follow from.
    pub ids: Ids,
}

/// Content to be read once.
pub struct OutgoingSource {
    pub(super) reader: Box<dyn Read + Send>,
    /// Its length in octets, if it is known before it is read.
    pub(super) len: Option<u64>,
    steady: Option<Steady>,
}

/// A file that must not change while it is read.
struct Steady {
    file: File,
    /// Its name, which must stay its own.
    path: Option<PathBuf>,
    before: FileState,
}

impl OutgoingSource {
    /// An operand: a file behind links, a FIFO or a device.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn operand(path: &Path) -> Result<Self, Error> {
        Ok(Self::of(files::open_input(path)?, None))
    }

    /// An open file.
    #[must_use]
    pub fn open(file: File) -> Self {
        Self::of(file, None)
    }

    /// A file that was taken from a drop folder: regular, and no link.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn dropped(path: &Path) -> Result<Self, Error> {
        let file = files::open_to_read(path, FileRole::Dropped)?;
        Ok(Self::of(file, Some(path.to_owned())))
    }

    fn of(file: File, path: Option<PathBuf>) -> Self {
        // Without a second handle it cannot be watched, and is sent as it is.
        let steady = FileState::of(&file).and_then(|before| {
            let file = file.try_clone().ok()?;
            Some(Steady { file, path, before })
        });
        // Files of some special file systems have a length of 0 and content.
        let len = steady.as_ref().map(|steady| steady.before.len());
        let len = len.filter(|len| *len > 0);
        Self {
            len,
            steady: steady.filter(|_| len.is_some()),
            reader: Box::new(file),
        }
    }

    /// A stream of unknown length, such as standard input.
    #[must_use]
    pub fn stream(reader: Box<dyn Read + Send>) -> Self {
        Self {
            reader,
            len: None,
            steady: None,
        }
    }

    /// A directory, as one tar stream. It reports changes itself.
    #[must_use]
    pub fn tree(tree: Tree) -> Self {
        Self {
            len: Some(tree.len()),
            reader: Box::new(tree),
            steady: None,
        }
    }

    /// What is left to be asked once everything is read.
    pub(super) fn split(self) -> (Box<dyn Read + Send>, SteadyCheck) {
        let check = SteadyCheck {
            steady: self.steady,
        };
        (self.reader, check)
    }

    /// The state of the file, to compare it with later; `None` for what is no regular file with content.
    #[must_use]
    pub fn state(&self) -> Option<FileState> {
        self.steady.as_ref().map(|steady| steady.before)
    }
}

/// Whether content stayed the same while it was read.
pub(super) struct SteadyCheck {
    steady: Option<Steady>,
}

impl SteadyCheck {
    /// Asks after `read` octets, which were all.
    ///
    /// # Errors
    /// [`Error::Changed`].
    pub(super) fn ask(&self, read: u64) -> Result<(), Error> {
        let Some(Steady { file, path, before }) = &self.steady else {
            return Ok(());
        };
        let is_same = |found: Option<FileState>| found.as_ref() == Some(before);
        let is_there = path
            .as_ref()
            .is_none_or(|path| is_same(FileState::at(path)));
        if read == before.len() && is_same(FileState::of(file)) && is_there {
            Ok(())
        } else {
            Err(Error::Changed)
        }
    }
}

/// The reason why a read failed: of a directory, what its reader says.
pub(super) fn read_error(cause: io::Error) -> Error {
    match cause.downcast::<archive::Error>() {
        Ok(error) => Error::Archive(error),
        Err(cause) => Error::Read(cause),
    }
}
