//! A file that is open, to be read in parts.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::open::open;
use super::{Error, FileRole, Operation, Result};

/// A regular file that is open. It is read from the beginning as often as wanted, although it may be removed meanwhile.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    path: PathBuf,
    role: FileRole,
    len: u64,
}

impl OpenFile {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] when it is not a regular one, [`Error::Io`] when it cannot be opened.
    pub fn open(path: &Path, role: FileRole) -> Result<Self> {
        let (file, len) = open(path, role)?;
        let path = path.to_owned();
        Ok(Self {
            file,
            path,
            role,
            len,
        })
    }

    /// The file, positioned at its beginning, for another process to read.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// Its length when it was opened, in octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Reads octets from an offset on, as many as the system gives at once; none at the end alone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, or has become shorter.
    pub fn read_at(&self, octets: &mut [u8], offset: u64) -> Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = octets.len().min(left);
        let read = loop {
            match self.file.read_at(&mut octets[..wanted], offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) if wanted > 0 => break Err(io::ErrorKind::UnexpectedEof.into()),
                read => break read,
            }
        };
        read.map_err(Error::io(&self.path, self.role, Operation::Read))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_in_parts_and_although_it_was_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"12345").unwrap();
        let file = OpenFile::open(&path, FileRole::Spool).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(file.size(), 5);
        for (offset, expected) in [(0, "1234"), (4, "5"), (5, ""), (9, ""), (1, "2345")] {
            let mut part = [0; 4];
            let read = file.read_at(&mut part, offset).unwrap();
            assert_eq!(&part[..read], expected.as_bytes(), "{offset}");
        }
    }

    #[test]
    fn a_file_that_has_become_shorter_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"12345").unwrap();
        let file = OpenFile::open(&path, FileRole::Spool).unwrap();
        fs::write(&path, b"1").unwrap();
        assert_eq!(file.read_at(&mut [0; 4], 0).unwrap(), 1);
        let error = file.read_at(&mut [0; 4], 1).unwrap_err();
        assert_eq!(error.io_kind(), Some(io::ErrorKind::UnexpectedEof));
        assert!(OpenFile::open(dir.path(), FileRole::Spool).is_err());
    }
}
