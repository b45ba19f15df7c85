//! Messages that go from queue to queue, many with one sync.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Error;
use crate::disk::publish::Existing;
use crate::disk::{Published, Role, files, publish};

/// Renames and removals that are done and not yet synced. What was moved is in one of both places whatever
/// happens; it is certain to be in the new one after [`Moves::commit`].
#[derive(Debug, Default)]
#[must_use = "what is not committed may be undone by a power failure"]
pub struct Moves {
    to: BTreeSet<PathBuf>,
    from: BTreeSet<PathBuf>,
}

impl Moves {
    /// Moves a file. One with the same octets that has the name already is success.
    ///
    /// # Errors
    /// When something else has the name, or it cannot be moved.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let moved = publish::rename_unsynced(from, to, Role::Spool, Existing::SameIsSuccess)?;
        if moved == Published::Written {
            self.to.extend(to.parent().map(Path::to_owned));
        }
        self.from.extend(from.parent().map(Path::to_owned));
        Ok(())
    }

    /// Removes a file that is not needed any more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self, path: &Path) -> Result<(), Error> {
        self.sync_new()?;
        files::remove_unsynced(path, Role::Spool)?;
        self.from.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    /// Waits until all of it lasts: the new names first, then the removal of the old ones.
    ///
    /// # Errors
    /// When a directory cannot be synced.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.sync_new()?;
        for dir in std::mem::take(&mut self.from) {
            files::sync_dir(&dir, Role::Spool)?;
        }
        Ok(())
    }

    fn sync_new(&mut self) -> Result<(), Error> {
        for dir in std::mem::take(&mut self.to) {
            files::sync_dir(&dir, Role::Spool)?;
        }
        Ok(())
    }
}
