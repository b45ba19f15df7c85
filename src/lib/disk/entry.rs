//! What is known of a name in a directory that is held open, and of a file that is opened there.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use super::existing::is_same;
use super::fault;
use super::tree::EntryKind;
use super::{Error, FileRole, Operation, Result};

/// The metadata of what has a name in a directory, or of a file that was opened there.
#[derive(Clone, Copy, Debug)]
pub struct EntryFacts {
    /// Its kind; `None` for a symbolic link, device, FIFO or socket.
    pub kind: Option<EntryKind>,
    /// In octets.
    pub len: u64,
    /// Whether its owner may execute it.
    pub is_executable: bool,
    /// When its content last changed: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// When it was changed last in any way, its name and mode included: seconds since 1970.
    pub changed: i64,
    /// The user id of its owner.
    pub owner: u32,
    /// The number of its file system.
    pub device: u64,
    inode: u64,
    file_type: FileType,
}

impl EntryFacts {
    #[allow(
        clippy::useless_conversion,
        reason = "the types differ between systems"
    )]
    pub(super) fn of(found: &Stat) -> Self {
        let file_type = type_of(found);
        Self {
            kind: EntryKind::of(file_type),
            len: u64::try_from(found.st_size).unwrap_or_default(),
            is_executable: found.st_mode & 0o100 != 0,
            modified: (
                i64::from(found.st_mtime),
                u32::try_from(found.st_mtime_nsec).unwrap_or_default(),
            ),
            changed: i64::from(found.st_ctime),
            owner: found.st_uid,
            device: u64::from(found.st_dev),
            inode: u64::from(found.st_ino),
            file_type,
        }
    }

    /// Whether this is the same file as before, and its content did not change.
    #[must_use]
    pub fn is_unchanged_since(&self, before: &Self) -> bool {
        let of = |it: &Self| (it.device, it.inode, it.len, it.modified);
        of(self) == of(before)
    }

    /// A word for its kind.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.file_type {
            FileType::RegularFile => "a file",
            FileType::Directory => "a directory",
            FileType::Symlink => "a symbolic link",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            _ => "a device",
        }
    }
}

pub(super) fn type_of(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

pub(super) fn facts_of(fd: impl AsFd, path: &Path, role: FileRole) -> Result<EntryFacts> {
    let found = rustix::fs::fstat(fd).map_err(io::Error::from);
    let found = found.map_err(Error::io(path, role, Operation::Examine))?;
    Ok(EntryFacts::of(&found))
}

/// A regular file that was opened in a [`Dir`](super::dir::Dir), and is read piece by piece.
#[derive(Debug)]
pub struct OpenEntry {
    file: File,
    path: PathBuf,
    role: FileRole,
}

impl OpenEntry {
    pub(super) fn of(file: File, path: PathBuf, role: FileRole) -> Self {
        Self { file, path, role }
    }

    /// Its metadata now.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn facts(&self) -> Result<EntryFacts> {
        facts_of(&self.file, &self.path, self.role)
    }

    /// The path of its directory, with its name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads some octets; none at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn read(&mut self, octets: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(octets) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(Error::io(&self.path, self.role, Operation::Read)),
            }
        }
    }

    /// The file, which is read on from here.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// Whether another file has the same octets from here on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub(super) fn is_same(&mut self, other: &mut Self) -> Result<bool> {
        let same = is_same(&mut self.file, &mut other.file);
        same.map_err(Error::io(&other.path, self.role, Operation::Read))
    }

    /// Waits until its octets are on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub(super) fn sync(&self) -> Result<()> {
        fault::change(
            Operation::Sync,
            &[&self.path],
            &self.path,
            self.role,
            || self.file.sync_all(),
        )
    }
}
