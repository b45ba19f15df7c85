//! Messages that go from queue to queue, many with one sync.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::twin::{is_taken, is_twin, is_twin_of_file};
use super::{Error, Name, Queue};
use crate::disk::batch::{self, Batch};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{FileRole, Published, files, publish};

/// Renames and removals that are done and not yet synced. What was moved is in one of both places whatever
/// happens; it is certain to be in the new one after [`Moves::commit`].
#[derive(Debug, Default)]
#[must_use = "what is not committed may be undone by a power failure"]
pub struct Moves {
    to: BTreeSet<PathBuf>,
    from: BTreeSet<PathBuf>,
    /// Copies that wait for their names.
    batch: Batch,
    /// The files that were copied, and their new names.
    copied: Vec<(PathBuf, PathBuf)>,
}

/// What became of a message that was to be in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is there.
    New,
    /// It was there already, in whatever form, and this one has gone.
    Repeated,
}

impl Moves {
    /// Moves a file. One with the same octets that has the name already is success.
    ///
    /// # Errors
    /// When something else has the name, or it cannot be moved.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let moved = publish::rename_unsynced(from, to, FileRole::Spool, IfExists::SameIsSuccess)?;
        if moved == Published::Written {
            self.to.extend(to.parent().map(Path::to_owned));
        }
        self.from.extend(from.parent().map(Path::to_owned));
        Ok(())
    }

    /// Moves a file into a queue, where it gets another name if something else has this one. One that is the same
    /// message as the file which has the name is not needed, and goes.
    ///
    /// # Errors
    /// When it cannot be moved, or too many others have such names.
    pub fn place(&mut self, from: &Path, queue: &Queue, name: &Name) -> Result<Placed, Error> {
        let mut refused = None;
        for name in name.and_others() {
            let to = queue.path_of(&name);
            match self.rename(from, &to) {
                Err(error) if is_taken(&error) => {
                    if is_twin_of_file(&to, from)? {
                        self.remove(from)?;
                        return Ok(Placed::Repeated);
                    }
                    refused.get_or_insert(error);
                }
                moved => return moved.map(|()| Placed::New),
            }
        }
        refused.map_or(Ok(Placed::New), Err)
    }

    /// The same for another user's file, of which a copy is made: [`Moves::copy`].
    ///
    /// # Errors
    /// As [`Moves::place`].
    pub fn place_copy(
        &mut self,
        from: &Path,
        (queue, name): (&Queue, &Name),
        octets: &[u8],
        manner: &PublishOptions<'_>,
    ) -> Result<Placed, Error> {
        let mut refused = None;
        for name in name.and_others() {
            let to = queue.path_of(&name);
            match self.copy(from, &to, octets, manner) {
                Err(error) if is_taken(&error) => {
                    if is_twin(&to, octets) {
                        self.remove(from)?;
                        return Ok(Placed::Repeated);
                    }
                    refused.get_or_insert(error);
                }
                copied => return copied.map(|()| Placed::New),
            }
        }
        refused.map_or(Ok(Placed::New), Err)
    }

    /// Moves another user's file, as it was when it had these octets: they get a file of our own, of which its former
    /// owner cannot change anything. The other one goes when the moves are committed.
    ///
    /// # Errors
    /// When something else has the name, or it cannot be written.
    pub fn copy(
        &mut self,
        from: &Path,
        to: &Path,
        octets: &[u8],
        manner: &PublishOptions<'_>,
    ) -> Result<(), Error> {
        let staged = batch::stage(to, &[octets], manner)?;
        self.batch.add(staged)?;
        self.copied.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    /// Removes a file that is not needed any more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self, path: &Path) -> Result<(), Error> {
        self.sync_new()?;
        files::remove_unsynced(path, FileRole::Spool)?;
        self.from.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    /// Waits until all of it lasts: the new names first, then the removal of the old ones.
    ///
    /// # Errors
    /// When a directory cannot be synced.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.batch.commit()?;
        self.sync_new()?;
        let refused = self.batch.take_refused();
        for (from, to) in std::mem::take(&mut self.copied) {
            // Of one whose name was taken in this instant nothing is moved; the next run finds it.
            if refused.iter().all(|error| error.path() != to) {
                files::remove_unsynced(&from, FileRole::Spool)?;
                self.from.extend(from.parent().map(Path::to_owned));
            }
        }
        for dir in std::mem::take(&mut self.from) {
            files::sync_dir(&dir, FileRole::Spool)?;
        }
        Ok(())
    }

    fn sync_new(&mut self) -> Result<(), Error> {
        for dir in std::mem::take(&mut self.to) {
            files::sync_dir(&dir, FileRole::Spool)?;
        }
        Ok(())
    }
}
