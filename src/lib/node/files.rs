//! Reading and storing the files of a node.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Error;
use super::ownership::check_user;
use super::{DirectoryError, ImportError};
use crate::asn1::text;
use crate::disk::{self, FileRole, files};

/// The largest file of a node that is read, in octets.
pub(super) const MAX_FILE_LEN: usize = 64 * 1024;

/// The largest private key file, in octets.
pub(super) const MAX_KEY_LEN: usize = 16 * 1024;

/// The path of a lock file, in a folder that is made. Nothing is synced, since locks do not survive
/// a reboot.
pub(super) fn lock_file(root: &Path, name: &str) -> Result<PathBuf, Error> {
    check_user(root)?;
    let locks = root.join("lock");
    files::create_dir(&locks, FileRole::Node, 0o700)?;
    Ok(locks.join(name))
}

/// Reads a text file; `None` if it does not exist.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, Error> {
    match files::read(path, FileRole::Node, MAX_FILE_LEN) {
        Ok(octets) => match text::read(&octets) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(error) => Err(damaged(path, &text::problem(&error))),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads a secret file; `None` if it does not exist. An error if others may read it.
pub(super) fn read_secret(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Error> {
    match files::read_secret(path, FileRole::Node, MAX_KEY_LEN) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The error for a file of the node whose content is wrong.
pub(super) fn damaged(path: &Path, problem: &impl ToString) -> Error {
    Error::Directory(DirectoryError::Damaged {
        path: path.to_owned(),
        problem: problem.to_string(),
    })
}

/// Makes the directories from the node's `root` down to `dir`, with access for the owner only.
///
/// The parent of an existing directory is synced, since the run that made the directory may have
/// been killed before it did. So this is for new files: the directory of a file that is replaced is
/// on disk already.
pub(super) fn ensure_dir(root: &Path, dir: &Path) -> Result<(), Error> {
    let Ok(below) = dir.strip_prefix(root) else {
        return Ok(());
    };
    check_user(root)?;
    let mut path = root.to_owned();
    for part in below.components() {
        let above = path.clone();
        path.push(part);
        if !files::create_dir(&path, FileRole::Node, 0o700)? {
            files::sync_dir(&above, FileRole::Node)?;
        }
    }
    Ok(())
}

/// Stores a file of the node, and makes its directory. An existing file is replaced.
pub(super) fn store(root: &Path, path: &Path, content: &[u8]) -> Result<(), Error> {
    // Otherwise it could not be read back.
    if content.len() > MAX_FILE_LEN {
        return Err(Error::Import(ImportError::Unsuitable(
            "too large to be kept",
        )));
    }
    check_user(root)?;
    if let Some(dir) = path.parent()
        && !files::exists(path, FileRole::Node)?
    {
        ensure_dir(root, dir)?;
    }
    let options = disk::PublishOptions::stored(FileRole::Node, disk::IfExists::Replace);
    disk::publish::publish(path, &[content], &options)?;
    Ok(())
}

/// Syncs the name of an existing file, before something is built on it: the run that stored it may
/// have been killed before it synced the directory.
pub(super) fn rely_on(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(dir) => Ok(files::sync_dir(dir, FileRole::Node)?),
        None => Ok(()),
    }
}

/// A time as part of a file name, in a form that sorts: `20270522T101112Z`.
pub(super) fn file_date(at: Timestamp) -> String {
    jiff::tz::Offset::UTC
        .to_datetime(at)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}
