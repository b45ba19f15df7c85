//! How the files of a node are read and stored.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Error;
use crate::disk::{self, FileRole, files};

/// The longest file of a node that is read whole, in octets.
pub(super) const MAX_FILE_LEN: usize = 64 * 1024;

/// The longest private key file, in octets.
pub(super) const MAX_KEY_LEN: usize = 16 * 1024;

/// The lock file of this name; locks need not outlast anything, so nothing is synced.
pub(super) fn lock_file(root: &Path, name: &str) -> Result<PathBuf, Error> {
    let locks = root.join("lock");
    files::create_dir(&locks, FileRole::Node, 0o700)?;
    Ok(locks.join(name))
}

/// The text of a file, `None` if there is none.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, Error> {
    match files::read(path, FileRole::Node, MAX_FILE_LEN) {
        Ok(octets) => match String::from_utf8(octets) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::Damaged {
                path: path.to_owned(),
                problem: "not text".to_owned(),
            }),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The text of a secret file, `None` if there is none.
pub(super) fn read_secret(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Error> {
    match files::read_secret(path, FileRole::Node, MAX_KEY_LEN) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Says that a file of the node is not what it should be.
pub(super) fn damaged(path: &Path, problem: &impl ToString) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// Makes the directories down to `dir`, which lies in the node in `root`, each for its owner alone.
///
/// Those that are there are synced into theirs: a run that was killed may have made them and no
/// more. So this is for new files; what is replaced has its directory for certain.
pub(super) fn ensure_dir(root: &Path, dir: &Path) -> Result<(), Error> {
    let Ok(below) = dir.strip_prefix(root) else {
        return Ok(());
    };
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

/// Stores a file of the node in place of the one that is there, making its directory.
pub(super) fn store(root: &Path, path: &Path, content: &[u8]) -> Result<(), Error> {
    if content.len() > MAX_FILE_LEN {
        return Err(Error::Import("too large to be kept"));
    }
    if let Some(dir) = path.parent()
        && !files::exists(path, FileRole::Node)?
    {
        ensure_dir(root, dir)?;
    }
    let options = disk::PublishOptions::stored(FileRole::Node, disk::IfExists::Replace);
    disk::publish::publish(path, &[content], &options)?;
    Ok(())
}

/// Relies on a file that is there: its name is synced, since the run that gave it may have been
/// killed before it was.
pub(super) fn rely_on(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(dir) => Ok(files::sync_dir(dir, FileRole::Node)?),
        None => Ok(()),
    }
}

/// An instant as file names have it, so that they sort by it: `20270522T101112Z`.
pub(super) fn file_date(at: Timestamp) -> String {
    jiff::tz::Offset::UTC
        .to_datetime(at)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}
