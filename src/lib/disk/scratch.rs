//! Temporary storage for one run, in a file without a name.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::fault;
use super::{Error, FileRole, Operation, Result};
use crate::pipeline::mutex::lock;

/// A file without a name. The system removes it when the run ends, even if it is killed.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    /// Created at the first write.
    file: Mutex<Option<Arc<File>>>,
    len: AtomicU64,
}

impl Scratch {
    /// A file in `dir`, which is created at the first write.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            file: Mutex::default(),
            len: AtomicU64::new(0),
        }
    }

    /// Its length in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends octets, and returns their offset. Several threads may do so at once.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Create`] or [`Operation::Write`], naming the directory.
    pub fn append(&self, octets: &[u8]) -> Result<u64> {
        let file = self.made()?;
        // Reserves the range, so that threads write theirs without a lock.
        let start = self.len.fetch_add(octets.len() as u64, Ordering::Relaxed);
        self.change(Operation::WriteScratch, || file.write_all_at(octets, start))?;
        Ok(start)
    }

    /// Writes octets at an offset of `start` octets.
    ///
    /// # Errors
    ///
    /// As [`Scratch::append`].
    pub fn write_at(&self, start: u64, octets: &[u8]) -> Result<()> {
        let file = self.made()?;
        self.change(Operation::WriteScratch, || file.write_all_at(octets, start))?;
        let end = start.saturating_add(octets.len() as u64);
        self.len.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    /// The file, positioned at its beginning, for another process to read.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Create`] or [`Operation::Open`].
    pub fn into_file(self) -> Result<File> {
        // All reads and writes were at offsets (pread, pwrite), so the file position is still at
        // the beginning.
        let file = self.made()?;
        file.try_clone()
            .map_err(Error::io(&self.dir, FileRole::Spool, Operation::Open))
    }

    /// The file, created if this is the first use.
    fn made(&self) -> Result<Arc<File>> {
        let mut file = lock(&self.file);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let made = self.change(Operation::CreateScratch, || {
            tempfile::tempfile_in(&self.dir)
        })?;
        Ok(Arc::clone(file.insert(Arc::new(made))))
    }

    fn change<T>(
        &self,
        operation: Operation,
        make: impl FnOnce() -> std::io::Result<T>,
    ) -> Result<T> {
        fault::change(operation, &[&self.dir], &self.dir, FileRole::Spool, make)
    }

    /// Reads octets back, from an offset of `start` octets. Several threads may do so at once.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn read_at(&self, start: u64, octets: &mut [u8]) -> Result<()> {
        // Cloned, so that the lock is not held while reading.
        let file = lock(&self.file).clone();
        let read = match file {
            Some(file) => file.read_exact_at(octets, start),
            None => Err(std::io::ErrorKind::UnexpectedEof.into()),
        };
        read.map_err(Error::io(&self.dir, FileRole::Spool, Operation::Read))
    }
}

/// A file that holds `octets`, positioned at its beginning: in memory (`memfd_create(2)`) where the
/// system has that, otherwise without a name in `dir`.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Create`] or [`Operation::Write`].
pub fn holding(dir: &Path, octets: &[u8]) -> Result<File> {
    let mut file = match in_memory() {
        Some(file) => file,
        None => fault::change(
            Operation::CreateScratch,
            &[dir],
            dir,
            FileRole::Spool,
            || tempfile::tempfile_in(dir),
        )?,
    };
    file.write_all(octets)
        .and_then(|()| file.rewind())
        .map_err(Error::io(dir, FileRole::Spool, Operation::Write))?;
    Ok(file)
}

#[cfg(target_os = "linux")]
fn in_memory() -> Option<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    // On failure the caller uses a file in `dir`.
    Some(memfd_create("relay", MemfdFlags::CLOEXEC).ok()?.into())
}

#[cfg(not(target_os = "linux"))]
fn in_memory() -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_back_and_no_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(dir.path());
        assert_eq!(scratch.append(b"one").unwrap(), 0);
        assert_eq!(scratch.append(b"three").unwrap(), 3);
        let mut octets = [0; 5];
        scratch.read_at(3, &mut octets).unwrap();
        assert_eq!(&octets, b"three");
        assert!(scratch.read_at(4, &mut octets).is_err());
        scratch.write_at(20, b"there").unwrap();
        scratch.write_at(5, b"here").unwrap();
        assert_eq!(scratch.len(), 25);
        scratch.read_at(4, &mut octets).unwrap();
        assert_eq!(&octets, b"hhere");
        let mut whole = Vec::new();
        std::io::Read::read_to_end(&mut scratch.into_file().unwrap(), &mut whole).unwrap();
        assert_eq!((whole.len(), &whole[..4]), (25, &b"onet"[..]));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_holds_what_it_was_given() {
        use std::io::Read as _;
        let dir = tempfile::tempdir().unwrap();
        let mut octets = Vec::new();
        let mut file = holding(dir.path(), b"octets").unwrap();
        file.read_to_end(&mut octets).unwrap();
        assert_eq!(octets, b"octets");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_made_where_nothing_is_set_aside() {
        let scratch = Scratch::new(Path::new("/nonexistent"));
        assert!(scratch.read_at(0, &mut [0]).is_err());
        let scratch = Scratch::new(Path::new("/nonexistent"));
        assert_eq!(
            scratch.append(b"x").unwrap_err().doing(),
            Some(Operation::Create)
        );
    }
}
