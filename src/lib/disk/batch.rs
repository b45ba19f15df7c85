//! Publishes many files with one sync; each appears whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::existing::{PublishTarget, open_existing, same, survey};
use super::names::parent;
use super::options::{IfExists, PublishOptions};
use super::publish::Pending;
use super::sync::sync_dir;
use super::{Error, FileRole, Result};

pub use super::existing::TargetState;

/// At least this many files are synced with one syncfs(2) of their file system, not one by one.
const MANY: usize = 8;

/// Maximum number of files in a batch: each has a descriptor open.
const MAX_FILES: usize = 256;

/// Maximum size of the files in a batch, in octets.
const MAX_OCTETS: usize = 32 * 1024 * 1024;

/// Files that are written and not synced yet. They get their names from [`Batch::commit`]; if the
/// batch is dropped before, nothing is left.
#[derive(Debug, Default)]
#[must_use = "the files are removed unless the batch is committed"]
pub struct Batch {
    pending: Vec<Pending>,
    octets: usize,
    /// Directories to sync once the files have their names.
    dirs: BTreeMap<PathBuf, FileRole>,
    /// Errors of files whose names were taken.
    refused: Vec<Error>,
}

/// A file that is written, to be added to a batch. If it is dropped before, nothing is left.
#[derive(Debug)]
#[must_use = "the file is removed unless a batch takes it"]
pub struct Staged {
    /// `None` if a file with the same octets has the name already.
    pending: Option<Pending>,
    dir: PathBuf,
    role: FileRole,
    octets: usize,
}

impl Staged {
    /// Whether the file is new; `false` if one with the same octets exists under its name.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.pending.is_some()
    }
}

/// Writes a file that consists of `parts`, for a batch to sync and name. Several threads may do so
/// at once. If the name is taken, `options` apply immediately.
///
/// # Errors
///
/// As [`publish`](super::publish::publish).
pub fn stage(path: &Path, parts: &[&[u8]], options: &PublishOptions<'_>) -> Result<Staged> {
    let (role, existing) = options.role_and_existing();
    let mut staged = Staged {
        pending: None,
        dir: parent(path).to_owned(),
        role,
        octets: parts.iter().map(|part| part.len()).sum(),
    };
    let found = survey(path, role, existing)?;
    if let (IfExists::SameIsSuccess, PublishTarget::Taken(_)) = (existing, found)
        && let Some(mut file) = open_existing(path, role)
    {
        // The directory is synced by the batch, once for all its files.
        same(path, role, &mut file, &mut parts.concat().as_slice(), false)?;
        return Ok(staged);
    }
    // Without a name, since a killed run could leave as many temporary files as a batch has.
    let mut pending = Pending::create_in(found, path, &options.dir_unsynced().unnamed())?;
    pending.write(parts)?;
    staged.pending = Some(pending);
    Ok(staged)
}

/// A file that is written and gets its name later.
#[derive(Debug)]
#[must_use = "the file is removed unless a batch takes it"]
pub struct UnnamedFile {
    pending: Pending,
    dir: PathBuf,
    role: FileRole,
    octets: usize,
}

/// Writes a file whose name in `dir` is not known yet. A file that has that name is never replaced.
///
/// # Errors
///
/// As [`Pending::create`] and [`Pending::write`].
pub fn write(dir: &Path, parts: &[&[u8]], options: &PublishOptions<'_>) -> Result<UnnamedFile> {
    let (role, _) = options.role_and_existing();
    let options = options.dir_unsynced().unnamed().written_by_default_in(dir);
    // `dir` stands for the name until `UnnamedFile::named` sets it.
    let mut pending = Pending::create_in(PublishTarget::Free, dir, &options)?;
    pending.write(parts)?;
    Ok(UnnamedFile {
        pending,
        dir: dir.to_owned(),
        role,
        octets: parts.iter().map(|part| part.len()).sum(),
    })
}

impl UnnamedFile {
    /// Appends `parts`.
    ///
    /// # Errors
    ///
    /// As [`Pending::write`].
    pub fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        self.octets += parts.iter().map(|part| part.len()).sum::<usize>();
        self.pending.write(parts)
    }

    /// Compares the file with an existing one of this name in its directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Create`](super::Operation::Create),
    /// [`Operation::Read`](super::Operation::Read) or [`Operation::Sync`](super::Operation::Sync).
    pub fn held_at(&mut self, name: &OsStr) -> Result<TargetState> {
        self.pending.held_at(&self.dir.join(name))
    }

    /// Stages the file under this name.
    pub fn named(mut self, name: &OsStr) -> Staged {
        self.pending.set_target(self.dir.join(name));
        Staged {
            pending: Some(self.pending),
            dir: self.dir,
            role: self.role,
            octets: self.octets,
        }
    }

    /// Discards the file, because one with the same octets exists under its name.
    pub fn there(self) -> Staged {
        Staged {
            pending: None,
            dir: self.dir,
            role: self.role,
            octets: 0,
        }
    }
}

impl Batch {
    /// Adds a file, which gets its name from [`Batch::commit`]. Commits now if the batch has
    /// reached its bound of files or octets.
    ///
    /// # Errors
    ///
    /// As [`Batch::commit`].
    pub fn add(&mut self, staged: Staged) -> Result<()> {
        // Also for an existing file: the run that wrote it may have been killed before it synced
        // the directory.
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

    /// Syncs the files, gives them their names, and syncs the directories of those. A file whose
    /// name is taken, or refused by the file system of a result, is left out and remembered as
    /// refused; the others get theirs.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while syncing, after which no file has its name, or renaming: then the others
    /// may have theirs.
    pub fn commit(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let dirs = std::mem::take(&mut self.dirs);
        self.octets = 0;
        let (pending, unsynced) = sync(pending);
        if let Some(error) = unsynced.into_iter().next() {
            return Err(error);
        }
        let mut failed = None;
        for error in place(pending, &dirs) {
            let is_result = matches!(error.role(), FileRole::Output | FileRole::Delivery);
            let is_taken = matches!(
                error,
                Error::Exists { .. } | Error::NotRegular { .. } | Error::IsInput { .. }
            );
            if is_taken || is_result && error.is_of_name() {
                self.refused.push(error);
            } else {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether a file waits that will get this path.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        let name = path.as_os_str();
        self.pending.iter().any(|file| file.target() == name)
    }

    /// Whether a name was taken since the last [`Batch::take_refused`].
    #[must_use]
    pub fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.dirs.is_empty()
    }

    /// Takes the errors of files whose names were taken.
    pub fn take_refused(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.refused)
    }
}

/// Syncs the files, calls `ready`, which records what must be on the disk before they have their
/// names, then names them and syncs the directories. No file stops another: returns the errors of
/// those that have not got their names, and of directories that are not synced, each with its path.
///
/// # Errors
///
/// The error of `ready`, after which no file has its name.
pub fn name_all<E>(
    files: Vec<Staged>,
    ready: impl FnOnce() -> std::result::Result<(), E>,
) -> std::result::Result<Vec<Error>, E> {
    let mut dirs = BTreeMap::new();
    let mut pending = Vec::new();
    for file in files {
        dirs.insert(file.dir, file.role);
        pending.extend(file.pending);
    }
    let (pending, mut failed) = sync(pending);
    ready()?;
    failed.extend(place(pending, &dirs));
    Ok(failed)
}

/// Names the files and syncs the directories; returns the errors.
fn place(pending: Vec<Pending>, dirs: &BTreeMap<PathBuf, FileRole>) -> Vec<Error> {
    let placed = pending.into_iter().map(|file| file.place().map(drop));
    let mut results: Vec<Result<()>> = placed.collect();
    results.extend(dirs.iter().map(|(dir, role)| sync_dir(dir, *role)));
    results.into_iter().filter_map(Result::err).collect()
}

/// Waits until the octets are on the disk; once for each file system that has many of the files.
/// Returns the files of which it is certain, and the errors of the others.
fn sync(pending: Vec<Pending>) -> (Vec<Pending>, Vec<Error>) {
    let systems = synced_systems(&pending);
    let (mut synced, mut failed) = (Vec::new(), Vec::new());
    for mut file in pending {
        let is_synced = !systems.is_empty() && is_on(&file, &systems);
        match if is_synced { Ok(()) } else { file.sync() } {
            Ok(()) => synced.push(file),
            // It is not synced once more: fsync(2) reports an error once, and success after that.
            Err(error) => failed.push(error),
        }
    }
    (synced, failed)
}

/// The file systems that have many of the files, and were synced. Where that fails each file is
/// synced by itself: only this tells which of them is concerned.
#[cfg(target_os = "linux")]
fn synced_systems(pending: &[Pending]) -> BTreeSet<u64> {
    let mut systems: BTreeMap<u64, Vec<&Pending>> = BTreeMap::new();
    if pending.len() >= MANY {
        for file in pending {
            if let Ok(device) = file.device() {
                systems.entry(device).or_default().push(file);
            }
        }
    }
    let synced = systems
        .into_iter()
        .filter(|(_, files)| files.len() >= MANY && files[0].sync_file_system().is_ok());
    synced.map(|(device, _)| device).collect()
}

#[cfg(not(target_os = "linux"))]
fn synced_systems(_: &[Pending]) -> BTreeSet<u64> {
    BTreeSet::new()
}

#[cfg(target_os = "linux")]
fn is_on(file: &Pending, systems: &BTreeSet<u64>) -> bool {
    file.device().is_ok_and(|device| systems.contains(&device))
}

#[cfg(not(target_os = "linux"))]
fn is_on(_: &Pending, _: &BTreeSet<u64>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::disk::testdir::names;

    #[test]
    fn nothing_has_its_name_before_the_batch_is_committed() {
        for count in [1, MANY, MAX_FILES - 1] {
            let dir = tempfile::tempdir().unwrap();
            let options = PublishOptions::delivery(IfExists::SameIsSuccess);
            let mut batch = Batch::default();
            for at in 0..count {
                let path = dir.path().join(format!("{at:04}"));
                let staged = stage(&path, &[b"content ", b"of a file"], &options).unwrap();
                batch.add(staged).unwrap();
                assert!(batch.holds(&path));
            }
            assert!(!batch.holds(&dir.path().join("x")));
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
        let options = PublishOptions::delivery(IfExists::SameIsSuccess);
        let mut batch = Batch::default();
        for at in 0..=MAX_FILES {
            let path = dir.path().join(format!("{at:04}"));
            batch.add(stage(&path, &[b"x"], &options).unwrap()).unwrap();
        }
        assert_eq!(batch.pending.len(), 1);
        drop(batch);
        assert_eq!(names(dir.path()).len(), MAX_FILES);
    }

    #[test]
    fn of_two_files_of_one_name_the_second_is_refused_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let options = PublishOptions::delivery(IfExists::SameIsSuccess);
        let mut batch = Batch::default();
        for (name, content) in [("a", "one"), ("a", "two"), ("b", "three"), ("a", "one")] {
            let path = dir.path().join(name);
            batch
                .add(stage(&path, &[content.as_bytes()], &options).unwrap())
                .unwrap();
        }
        batch.commit().unwrap();
        assert!(batch.has_refused());
        assert_eq!(names(dir.path()), ["a", "b"]);
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"one");
        assert!(
            matches!(&batch.take_refused()[..], [Error::Exists { path, .. }] if path.ends_with("a"))
        );
        assert!(batch.take_refused().is_empty());
    }

    #[test]
    fn a_name_may_come_last() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("same"), "octets").unwrap();
        fs::write(dir.path().join("other"), "else").unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        let options = PublishOptions::delivery(IfExists::SameIsSuccess);
        let mut files = Vec::new();
        for (name, state) in [
            ("same", TargetState::Same),
            ("other", TargetState::Other),
            ("dir", TargetState::Other),
            ("free", TargetState::Nothing),
        ] {
            let mut file = write(dir.path(), &[b"oct", b"ets"], &options).unwrap();
            assert_eq!(file.held_at(OsStr::new(name)).unwrap(), state, "{name}");
            match state {
                TargetState::Nothing => files.push(file.named(OsStr::new(name))),
                TargetState::Same => files.push(file.there()),
                TargetState::Other => drop(file),
            }
        }
        let taken = write(dir.path(), &[b"late"], &options).unwrap();
        files.push(taken.named(OsStr::new("other")));
        let refused = name_all(files, || {
            assert!(!dir.path().join("free").exists());
            Ok::<(), Error>(())
        });
        assert!(
            matches!(&refused.unwrap()[..], [Error::Exists { path, .. }] if path.ends_with("other"))
        );
        assert_eq!(fs::read(dir.path().join("free")).unwrap(), b"octets");
        assert_eq!(names(dir.path()), ["dir", "free", "other", "same"]);
    }

    #[test]
    fn an_identical_file_is_success_and_another_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let options = PublishOptions::delivery(IfExists::SameIsSuccess);
        let path = dir.path().join("a");
        fs::write(&path, "there").unwrap();
        let mut batch = Batch::default();
        batch
            .add(stage(&path, &[b"there"], &options).unwrap())
            .unwrap();
        let error = stage(&path, &[b"other"], &options).unwrap_err();
        assert!(matches!(error, Error::Exists { .. }));
        batch.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"there");
    }
}
