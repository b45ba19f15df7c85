//! Append-only files of records or lines; each append is synced.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::fault;
use super::metadata::set_mode;
use super::names::parent;
use super::open::{flags, open, refused};
use super::read::GROWTH;
use super::sync::sync_dir;
use super::{Error, FileRole, Operation, Result};

/// Appends one record to a file of records of `N` octets each, created with mode 0600, and syncs
/// it.
///
/// A torn record that a killed run left is cut off first. The caller holds the lock of the file.
///
/// # Errors
///
/// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`], [`Operation::Create`],
/// [`Operation::Truncate`], [`Operation::Write`] or [`Operation::Sync`].
pub fn append_record<const N: usize>(path: &Path, role: FileRole, record: &[u8; N]) -> Result<()> {
    append_records(path, role, std::slice::from_ref(record))
}

/// Appends many records as [`append_record`] does, with one sync.
///
/// # Errors
///
/// As [`append_record`].
pub fn append_records<const N: usize>(
    path: &Path,
    role: FileRole,
    records: &[[u8; N]],
) -> Result<()> {
    const { assert!(N > 0) };
    append(path, role, &[records.as_flattened()], |_, len| {
        Ok(len - len % N as u64)
    })
}

/// A file of records that is open for many more, which are not synced: it can be made anew.
#[derive(Debug)]
pub struct OpenRecords<const N: usize> {
    file: File,
    path: PathBuf,
    role: FileRole,
}

impl<const N: usize> OpenRecords<N> {
    /// Opens an existing file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`] or [`Operation::Examine`].
    pub fn open(path: &Path, role: FileRole) -> Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .append(true)
            .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| refused(path, role, error))?,
        };
        let path = path.to_owned();
        let metadata = file.metadata();
        let metadata = metadata.map_err(Error::io(&path, role, Operation::Examine))?;
        if !metadata.is_file() {
            return Err(Error::NotRegular { path, role });
        }
        Ok(Some(Self { file, path, role }))
    }

    /// Whether there are whole records only.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn is_whole(&self) -> Result<bool> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(Error::io(&self.path, self.role, Operation::Examine))?;
        Ok(metadata.len() % N as u64 == 0)
    }

    /// Appends a record. Others may append to the same file. After an error part of it may be there.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Append`].
    pub fn append(&mut self, record: &[u8; N]) -> Result<()> {
        let (path, role) = (&self.path, self.role);
        fault::write(Operation::Append, path, &mut self.file, &[record]).map_err(Error::io(
            path,
            role,
            Operation::Append,
        ))
    }
}

/// Appends one line to a text file, created with mode 0600, and syncs it. `line` comes without its
/// newline.
///
/// A torn line that a killed run left is cut off first. The caller holds the lock of the file.
///
/// # Errors
///
/// As [`append_record`].
pub fn append_line(path: &Path, role: FileRole, line: &[u8]) -> Result<()> {
    append(path, role, &[line, b"\n"], end_of_last_line)
}

fn append(
    path: &Path,
    role: FileRole,
    parts: &[&[u8]],
    whole: impl FnOnce(&mut File, u64) -> io::Result<u64>,
) -> Result<()> {
    let failed = |doing| Error::io(path, role, doing);
    let mut file = open_appendable(path, role)?;
    let metadata = file.metadata().map_err(failed(Operation::Examine))?;
    if !metadata.is_file() {
        return Err(Error::NotRegular {
            path: path.to_owned(),
            role,
        });
    }
    let len = whole(&mut file, metadata.len()).map_err(failed(Operation::Read))?;
    if len < metadata.len() {
        fault::change(Operation::Truncate, &[path], path, role, || {
            file.set_len(len)
        })?;
    }
    fault::write(Operation::Append, path, &mut file, parts).map_err(failed(Operation::Append))?;
    let synced =
        // fdatasync(2) also syncs the length of the file, without which the record would be lost.
        fault::change(Operation::Sync, &[path], path, role, || file.sync_data()).and_then(|()| {
            if len == 0 {
                sync_dir(parent(path), role)?; // also when an earlier run created the file and was killed
            }
            Ok(())
        });
    if synced.is_err() {
        // The caller takes this record as not written, so the next run must not find it. If this
        // fails as well, the error to report is still the first one.
        let _ = fault::change(Operation::Truncate, &[path], path, role, || {
            file.set_len(len)
        });
    }
    synced
}

fn open_appendable(path: &Path, role: FileRole) -> Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .mode(0o600)
        // A FIFO must be refused as not regular, not waited for.
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK));
    match options.open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fault::change(Operation::Create, &[path], path, role, || {
                let file = options.create_new(true).open(path)?;
                set_mode(&file, path, 0o600)?;
                Ok(file)
            })
        }
        Err(error) => Err(refused(path, role, error)),
    }
}

/// Calls `each` with the records of a file of [`append_record`], until it breaks. Memory is
/// constant. A torn record at the end was never acknowledged, and is ignored; a missing file has no
/// records.
///
/// # Errors
///
/// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`] or [`Operation::Read`].
pub fn each_record<const N: usize>(
    path: &Path,
    role: FileRole,
    mut each: impl FnMut(&[u8; N]) -> ControlFlow<()>,
) -> Result<()> {
    const { assert!(N > 0) };
    let file = match open(path, role) {
        Ok((file, _)) => file,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut records = BufReader::with_capacity(GROWTH, file);
    let mut record = [0; N];
    loop {
        match records.read_exact(&mut record) {
            Ok(()) if each(&record).is_break() => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(Error::io(path, role, Operation::Read)(error)),
        }
    }
}

/// The offset at which the last whole line ends.
fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    let mut end = len;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(4096);
        block.clear();
        // The position does not matter to the later write: the file is open with O_APPEND.
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(newline) = block.iter().rposition(|octet| *octet == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::disk::testdir::mode;

    #[test]
    fn records_follow_one_another_and_torn_ones_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        append_record(&path, FileRole::Node, b"1111").unwrap();
        assert_eq!(mode(&path), 0o600);
        append_record(&path, FileRole::Node, b"2222").unwrap();
        fs::write(&path, b"11112222333").unwrap();
        append_record(&path, FileRole::Node, b"4444").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"111122224444");
        append_records(&path, FileRole::Node, &[*b"5555", *b"6666"]).unwrap();
        append_records::<4>(&path, FileRole::Node, &[]).unwrap();
        fs::write(&path, b"1111222244445555666677").unwrap();
        let mut records = Vec::new();
        let take = |record: &[u8; 4]| {
            records.push(*record);
            match record {
                b"6666" => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        each_record(&path, FileRole::Node, take).unwrap();
        assert_eq!(records.as_flattened(), b"11112222444455556666");
        let missing = dir.path().join("missing");
        each_record::<4>(&missing, FileRole::Node, |_| panic!("a record of nothing")).unwrap();
        symlink("seen", dir.path().join("link")).unwrap();
        let error = append_record(&dir.path().join("link"), FileRole::Node, b"5555").unwrap_err();
        assert!(matches!(error, Error::NotRegular { .. }));
    }

    #[test]
    fn lines_follow_one_another_and_torn_ones_are_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("day");
        append_line(&path, FileRole::Spool, b"first").unwrap();
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(&[b'x'; 9000]);
        fs::write(&path, torn).unwrap();
        append_line(&path, FileRole::Spool, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first\nsecond\n");
        fs::write(&path, b"only torn").unwrap();
        append_line(&path, FileRole::Spool, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third\n");
    }
}
