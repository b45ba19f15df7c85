//! Locks between runs: flock(2), which the kernel releases when a run is killed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use super::fault;
use super::metadata::set_mode;
use super::open::flags;
use super::{Error, FileRole, Operation, Result};

/// A held lock, released on drop.
///
/// The lock file (mode 0600) is created if it is missing, stays empty and is never deleted: a run
/// that holds a deleted file would not exclude one that creates it again.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock {
    _file: File,
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

    /// Takes the lock, or returns `None` at once if another run holds it exclusively.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the lock file cannot be opened, created or locked.
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        attempt(path, File::try_lock_shared)
    }
}

fn wait(path: &Path, take: impl Fn(&File) -> io::Result<()>) -> Result<Lock> {
    let file = open(path)?;
    loop {
        match take(&file) {
            Ok(()) => return Ok(Lock { _file: file }),
            // A signal interrupts flock(2).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(path, FileRole::Node, Operation::Lock)(error)),
        }
    }
}

fn attempt(
    path: &Path,
    take: impl Fn(&File) -> std::result::Result<(), TryLockError>,
) -> Result<Option<Lock>> {
    let file = open(path)?;
    match take(&file) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(Error::io(path, FileRole::Node, Operation::Lock)(error))
        }
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
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
        assert!(path.exists());
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
    fn without_its_directory_there_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let error = Lock::exclusive(&dir.path().join("lock/node")).unwrap_err();
        assert_eq!((error.is_not_found(), error.role()), (true, FileRole::Node));
    }
}
