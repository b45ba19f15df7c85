//! Many files that appear whole, synced together: one wait for the disk serves all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{parent, sync_dir};
use super::publish::{self, Existing, Manner, Pending};
use super::{Error, Result, Role};

/// From how many files on the whole file system is synced instead of each of them.
const MANY: usize = 8;

/// The most files that wait, each with a descriptor.
const MAX_FILES: usize = 256;

/// The most octets that wait.
const MAX_OCTETS: usize = 32 * 1024 * 1024;

/// Files of one file system that are written and not synced yet; none of them has its name before
/// [`Batch::commit`]. Dropped before, nothing is left.
#[derive(Debug, Default)]
#[must_use = "the files are removed unless the batch is committed"]
pub struct Batch {
    pending: Vec<Pending>,
    octets: usize,
    /// Directories with names that are not synced.
    dirs: BTreeMap<PathBuf, Role>,
}

/// A file that is written and waits for a batch; dropped before, nothing is left.
#[derive(Debug)]
#[must_use = "the file is removed unless a batch takes it"]
pub struct Staged {
    /// None for one that has its name already, with the same octets.
    pending: Option<Pending>,
    dir: PathBuf,
    role: Role,
    octets: usize,
}

/// Writes a file that holds `parts`, for a batch to sync and name; several may be written at once. A file
/// that has the name is dealt with here.
///
/// # Errors
///
/// As [`publish::publish`].
pub fn stage(path: &Path, parts: &[&[u8]], manner: &Manner<'_>) -> Result<Staged> {
    let (role, existing) = manner.role_and_existing();
    let mut staged = Staged {
        pending: None,
        dir: parent(path).to_owned(),
        role,
        octets: parts.iter().map(|part| part.len()).sum(),
    };
    if existing == Existing::SameIsSuccess
        && let Some(mut held) = publish::open_existing(path, role)
    {
        publish::same(path, role, &mut held, &mut parts.concat().as_slice(), false)?;
        return Ok(staged);
    }
    let mut pending = Pending::create(path, &manner.dir_unsynced())?;
    pending.write(parts)?;
    staged.pending = Some(pending);
    Ok(staged)
}

impl Batch {
    /// Takes a file, which gets its name when the batch is committed: by [`Batch::commit`], or here when
    /// much waits.
    ///
    /// # Errors
    ///
    /// As [`Batch::commit`].
    pub fn add(&mut self, staged: Staged) -> Result<()> {
        self.dirs.insert(staged.dir, staged.role);
        if let Some(pending) = staged.pending {
            self.pending.push(pending);
            self.octets += staged.octets;
        }
        if self.pending.len() >= MAX_FILES || self.octets >= MAX_OCTETS {
            self.commit()?;
        }
        Ok(())
    }

    /// Syncs the files, gives them their names, and syncs the directories of those.
    ///
    /// # Errors
    ///
    /// The first failure; files before it may have their names, those after it are gone.
    pub fn commit(&mut self) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        let dirs = std::mem::take(&mut self.dirs);
        self.octets = 0;
        sync(&mut pending)?;
        let mut failure: Option<Error> = None;
        for file in pending {
            if failure.is_none() {
                failure = file.place().err();
            }
        }
        for (dir, role) in dirs {
            sync_dir(&dir, role)?;
        }
        failure.map_or(Ok(()), Err)
    }
}

fn sync(pending: &mut [Pending]) -> Result<()> {
    #[cfg(target_os = "linux")]
    if let (true, Some(first)) = (pending.len() >= MANY, pending.first()) {
        return first.sync_file_system();
    }
    pending.iter_mut().try_for_each(Pending::sync)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn nothing_has_its_name_before_the_batch_is_committed() {
        for count in [1, MANY, MAX_FILES - 1] {
            let dir = tempfile::tempdir().unwrap();
            let manner = Manner::delivery(Existing::SameIsSuccess);
            let mut batch = Batch::default();
            for at in 0..count {
                let path = dir.path().join(format!("{at:04}"));
                let staged = stage(&path, &[b"content ", b"of a file"], &manner).unwrap();
                batch.add(staged).unwrap();
            }
            let is_temporary = |name: &String| name.starts_with(".relay-");
            assert!(names(dir.path()).iter().all(is_temporary));
            batch.commit().unwrap();
            let expected: Vec<String> = (0..count).map(|at| format!("{at:04}")).collect();
            assert_eq!(names(dir.path()), expected);
            assert_eq!(
                fs::read(dir.path().join("0000")).unwrap(),
                b"content of a file"
            );
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let manner = Manner::delivery(Existing::SameIsSuccess);
        let mut batch = Batch::default();
        for at in 0..=MAX_FILES {
            let path = dir.path().join(format!("{at:04}"));
            batch.add(stage(&path, &[b"x"], &manner).unwrap()).unwrap();
        }
        assert_eq!(batch.pending.len(), 1);
        drop(batch);
        assert_eq!(names(dir.path()).len(), MAX_FILES);
    }

    #[test]
    fn an_identical_file_is_success_and_another_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let manner = Manner::delivery(Existing::SameIsSuccess);
        let path = dir.path().join("a");
        fs::write(&path, "there").unwrap();
        let mut batch = Batch::default();
        batch
            .add(stage(&path, &[b"there"], &manner).unwrap())
            .unwrap();
        let error = stage(&path, &[b"other"], &manner).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }));
        batch.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"there");
    }
}
