//! Locks between runs: flock(2), which the kernel releases when a run is killed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::fault;
use super::metadata::{FileId, set_mode};
use super::open::flags;
use super::{Error, FileRole, Operation, Result};

/// A held lock, released on drop.
///
/// The lock file (mode 0600) is created if it is missing, and stays empty. It is never deleted but by
/// [`Lock::remove`]: a run that holds a deleted file does not exclude one that creates it again.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Waits until no other run holds the lock.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened, created or locked.
    pub fn exclusive(path: &Path) -> Result<Self> {
        wait(path, File::lock)
    }

    /// Waits until no other run holds the lock exclusively.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened, created or locked.
    pub fn shared(path: &Path) -> Result<Self> {
        wait(path, File::lock_shared)
    }

    /// Takes the lock, or returns `None` at once if another run holds it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened, created or locked.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        attempt(path, File::try_lock)
    }

    /// As [`Lock::try_exclusive`], where nothing can be written, so that the file is not created
    /// either. A missing one nobody can hold: `Some(None)`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened or locked.
    pub fn try_read_only(path: &Path) -> Result<Option<Option<Self>>> {
        let role = FileRole::Node;
        let file = match super::open::open(path, role) {
            Err(error) if error.is_not_found() => return Ok(Some(None)),
            opened => opened?.0,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Some(Self { file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io(path, role, Operation::Lock)(error)),
        }
    }

    /// Takes the lock, or returns `None` if another run holds it all the time of `patience`, of
    /// which only what is left stays.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened, created or locked.
    pub fn exclusive_within(path: &Path, patience: &mut Duration) -> Result<Option<Self>> {
        attempt(path, |file| {
            loop {
                match file.try_lock() {
                    // flock(2) waits for ever or not at all.
                    Err(TryLockError::WouldBlock) if *patience > Duration::ZERO => {
                        std::thread::sleep(TRY_EVERY);
                        *patience = patience.saturating_sub(TRY_EVERY);
                    }
                    tried => return tried,
                }
            }
        })
    }

    /// Takes the lock, or returns `None` at once if another run holds it exclusively.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened, created or locked.
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        attempt(path, File::try_lock_shared)
    }

    /// Removes the file of a lock that is held exclusively, then releases it. A run that waits for it
    /// takes it on a new file. A file that cannot be removed stays, as those of other locks do.
    pub fn remove(self, path: &Path) {
        if is_named(&self.file, path).unwrap_or(false) {
            let remove = || fs::remove_file(path);
            // Not synced: locks do not survive a reboot.
            let _ = fault::change(Operation::Remove, &[path], path, FileRole::Node, remove);
        }
    }
}

/// How long a run sleeps before it tries again.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// How often a lock is taken anew because its file has gone meanwhile. One is enough but where
/// somebody removes it again and again, or where the file system gives a file no lasting identity.
const ROUNDS: usize = 8;

fn wait(path: &Path, take: impl Fn(&File) -> io::Result<()>) -> Result<Lock> {
    let take = |file: &File| take(file).map_err(TryLockError::Error);
    loop {
        if let Some(lock) = attempt(path, take)? {
            return Ok(lock);
        }
    }
}

/// Takes the lock, unless `take` says that another run holds it.
///
/// Somebody may have removed the file, or all of its directory, after it was opened and before it
/// was locked: the lock would exclude nobody, so it is taken on the file that has the name now.
fn attempt(
    path: &Path,
    mut take: impl FnMut(&File) -> std::result::Result<(), TryLockError>,
) -> Result<Option<Lock>> {
    let failed = |operation| Error::io(path, FileRole::Node, operation);
    let mut round = 0;
    loop {
        let file = open(path)?;
        match take(&file) {
            Ok(()) => {
                round += 1;
                if round == ROUNDS || is_named(&file, path).map_err(failed(Operation::Examine))? {
                    return Ok(Some(Lock { file }));
                }
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(failed(Operation::Lock)(error)),
        }
    }
}

/// Whether an open file is the one that has this name.
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(FileId::from(&found) == FileId::of(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    match options.open(path) {
        // Created only if missing: the creation is a step of its own in `fault`.
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, &mut options),
        opened => opened.map_err(Error::io(path, FileRole::Node, Operation::Open)),
    }
}

fn create(path: &Path, options: &mut OpenOptions) -> Result<File> {
    fault::change(Operation::CreateLock, &[path], path, FileRole::Node, || {
        let file = options.create(true).open(path)?;
        set_mode(&file, path, 0o600)?; // a second run must be able to open it, whatever the umask of the first
        Ok(file)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_holder_excludes_the_others_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        let held = Lock::exclusive(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::try_shared(&path).unwrap().is_none());
        drop(held);
        // A process that another test forks holds the descriptor until it executes its program.
        let is_free = (0..100).any(|_| {
            let lock = Lock::try_exclusive(&path).unwrap();
            if lock.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            lock.is_some()
        });
        assert!(is_free && path.exists());
    }

    #[test]
    fn readers_share() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        let _first = Lock::shared(&path).unwrap();
        let _second = Lock::shared(&path).unwrap();
        assert!(Lock::try_shared(&path).unwrap().is_some());
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
    }

    #[test]
    fn a_waiting_run_gets_it_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        let held = Lock::exclusive(&path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::exclusive(&path).map(drop));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn what_was_locked_has_the_name_of_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        let taken = std::cell::Cell::new(0);
        let held = attempt(&path, |file| {
            taken.set(taken.get() + 1);
            if taken.get() < 3 {
                fs::remove_file(&path).unwrap();
            }
            file.try_lock()
        });
        assert!(held.unwrap().is_some());
        assert_eq!(taken.get(), 3);
        // Where it never has, there is an end to that.
        let held = attempt(&path, |file| {
            fs::remove_file(&path).unwrap();
            file.try_lock()
        });
        assert!(held.unwrap().is_some());
        let held = wait(&path, |file| {
            fs::remove_file(&path).unwrap();
            file.lock()
        });
        drop(held.unwrap());
        let held = Lock::exclusive(&path).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
    }

    #[test]
    fn who_waits_for_a_lock_that_is_removed_gets_it_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        let held = Lock::exclusive(&path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::exclusive(&path).unwrap());
            held.remove(&path);
            let held = waiting.join().unwrap();
            assert!(path.exists());
            assert!(Lock::try_exclusive(&path).unwrap().is_none());
            held.remove(&path);
            assert!(!path.exists());
        });
    }

    #[test]
    fn a_signal_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node");
        let interrupted = std::cell::Cell::new(2);
        let is_interrupted = || interrupted.replace(interrupted.get().max(1) - 1) > 0;
        let held = attempt(&path, |file| {
            if is_interrupted() {
                return Err(TryLockError::Error(io::ErrorKind::Interrupted.into()));
            }
            file.try_lock()
        });
        let held = held.unwrap().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        interrupted.set(2);
        let held = wait(&path, |file| {
            if is_interrupted() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            file.lock()
        });
        assert!(held.is_ok());
    }

    #[test]
    fn without_its_directory_there_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let error = Lock::exclusive(&dir.path().join("lock/node")).unwrap_err();
        assert_eq!((error.is_not_found(), error.role()), (true, FileRole::Node));
    }
}
