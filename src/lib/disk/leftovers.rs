//! Temporary files and directories that killed runs left.

use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::existing::open_existing;
use super::metadata::is_of_another;
use super::names::is_temporary;
use super::new_tree;
use super::placeholder;
use super::remove::{remove_tree, remove_unsynced};
use super::tree::{self, EntryKind};
use super::{FileRole, Result};

/// The temporary files and directories that killed runs left in `dir`, sorted. A missing directory
/// has none.
///
/// Without `before`, no other run may be writing there: the caller holds the lock. With it, only
/// those that were last written before that instant are listed.
///
/// # Errors
///
/// [`Error::Io`](super::Error::Io) while [`Operation::List`](super::Operation::List).
pub fn leftovers(dir: &Path, role: FileRole, before: Option<SystemTime>) -> Result<Vec<Leftover>> {
    let mut leftovers = Vec::new();
    tree::each(dir, role, |path, name, kind| {
        let is_old = || match before {
            None => true,
            Some(before) => fs::symlink_metadata(&path)
                .and_then(|it| it.modified())
                // One that has gone meanwhile was a file of a run that is still at work.
                .is_ok_and(|modified| modified < before),
        };
        if let Some(kind) = kind
            && (is_temporary(&name) || role == FileRole::Spool && is_abandoned(&path, kind))
            && is_old()
        {
            leftovers.push(Leftover {
                path,
                is_dir: kind == EntryKind::Dir,
                role,
            });
        }
        Ok(())
    })?;
    leftovers.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(leftovers)
}

/// Whether a run that was killed only took the name. No program does so in a spool, but files may be
/// put there by others.
fn is_abandoned(path: &Path, kind: EntryKind) -> bool {
    let len = || fs::symlink_metadata(path).map(|found| found.len());
    kind == EntryKind::File
        && len().is_ok_and(|len| placeholder::is_at(path, len))
        && placeholder::is_abandoned(path)
}

/// A temporary file or directory that a killed run left.
#[derive(Debug)]
pub struct Leftover {
    /// The file, or the directory that was to be removed.
    pub path: PathBuf,
    is_dir: bool,
    role: FileRole,
}

impl Leftover {
    /// Whether it is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.is_dir
    }

    /// Removes it, with its content. This need not survive a crash, after which it is removed
    /// again. Returns `false` if it has gone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](super::Error::Io) while [`Operation::List`](super::Operation::List) or
    /// [`Operation::Remove`](super::Operation::Remove).
    pub fn remove(&self) -> Result<bool> {
        if self.is_dir {
            remove_tree(&self.path, self.role)
        } else {
            remove_unsynced(&self.path, self.role)
        }
    }
}

/// Removes the [`leftovers`] in `dir`, and returns their number.
///
/// # Errors
///
/// As [`leftovers`] and [`Leftover::remove`].
pub fn sweep(dir: &Path, role: FileRole, before: Option<SystemTime>) -> Result<usize> {
    let mut removed = 0;
    for leftover in leftovers(dir, role, before)? {
        removed += usize::from(leftover.remove()?);
    }
    Ok(removed)
}

/// Removes the temporary files and directories of this user in a directory of users' files that were
/// last written before that instant, unless a run still writes them. Nothing depends on it, so what
/// cannot be listed or removed stays.
pub fn sweep_ours(dir: &Path, before: SystemTime) {
    let role = FileRole::Delivery;
    for leftover in leftovers(dir, role, Some(before)).unwrap_or_default() {
        let is_ours = is_of_another(&leftover.path, role).is_ok_and(|is| !is);
        if leftover.is_dir {
            let _ = new_tree::sweep(dir, &leftover.path, Some(before));
        } else if is_ours && !is_locked(&leftover.path) {
            let _ = leftover.remove();
        }
    }
}

/// Removes the temporary directories of this user in a directory of users' files that no run holds, however
/// new they are: there may be keys in them. What cannot be removed stays, and so does what
/// is on a file system without locks.
pub fn sweep_trees(dir: &Path) {
    for leftover in leftovers(dir, FileRole::Delivery, None).unwrap_or_default() {
        if leftover.is_dir {
            let _ = new_tree::sweep(dir, &leftover.path, None);
        }
    }
}

/// Whether a run holds the lock that it takes on the temporary file of a result: a clock that jumped
/// makes a new file look old.
fn is_locked(path: &Path) -> bool {
    let file = open_existing(path, FileRole::Delivery);
    file.is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::testdir::names;

    #[test]
    fn only_leftovers_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            ".relay-a1b2c3.tmp",
            ".relay-.tmp",
            ".relay-x",
            ".other.tmp",
            "relay-x.tmp",
            ".profile",
        ] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        fs::create_dir(dir.path().join(".relay-dir.tmp")).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        assert_eq!(
            sweep(dir.path(), FileRole::Node, Some(long_ago)).unwrap(),
            0
        );
        assert_eq!(sweep(dir.path(), FileRole::Node, None).unwrap(), 2);
        assert_eq!(
            names(dir.path()),
            [
                ".other.tmp",
                ".profile",
                ".relay-.tmp",
                ".relay-x",
                "relay-x.tmp"
            ]
        );
        assert_eq!(
            sweep(&dir.path().join("none"), FileRole::Node, None).unwrap(),
            0
        );
    }
}
