//! Moves messages between queues, many with one sync.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::twin::{is_taken, is_twin, is_twin_of_file};
use super::{Error, Name, Queue};
use crate::disk::batch::{self, Batch};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{FileRole, Published, files, publish};

/// Renames and removals that are done but not yet synced. After a crash each message is in its old
/// or its new queue; after [`Moves::commit`] it is in the new one.
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

/// The result of moving a message into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is there, in its own file.
    New,
    /// The same message was there already, in any encoding, and this file was removed.
    Repeated,
    /// It was another user's and no message, and is gone.
    Useless,
}

impl Moves {
    /// Moves a file. If a file with the same octets has the new name, that is success.
    ///
    /// # Errors
    /// When something else has the name, or it cannot be moved.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        // Success, since a killed run may have linked the new name and not removed the old one.
        let moved = publish::rename_unsynced(from, to, FileRole::Spool, IfExists::SameIsSuccess)?;
        if moved == Published::Written {
            self.to.extend(to.parent().map(Path::to_owned));
        }
        self.from.extend(from.parent().map(Path::to_owned));
        Ok(())
    }

    /// Moves a file into a queue, under another name if a different message has this one. If the
    /// same message has it, in any encoding, this file is removed instead.
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

    /// As [`Moves::place`], for another user's file, which is [copied](Moves::copy).
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

    /// Moves another user's file by writing the `octets` that were read from it to a file of our
    /// own, which the former owner cannot change. The original is removed on commit.
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

    /// Removes a file that is no longer needed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self, path: &Path) -> Result<(), Error> {
        // The file may be the last other copy of one that was moved: the new name is synced first.
        self.sync_new()?;
        files::remove_unsynced(path, FileRole::Spool)?;
        self.from.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    /// Syncs everything: the new names first, then the removal of the old ones.
    ///
    /// # Errors
    /// When a directory cannot be synced.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.batch.commit()?;
        self.sync_new()?;
        let refused = self.batch.take_refused();
        for (from, to) in std::mem::take(&mut self.copied) {
            // If the new name was taken meanwhile, the original stays, and the next run finds it.
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
