//! Creating directories.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::fault;
use super::metadata::set_mode;
use super::names::parent;
use super::open::flags;
use super::sync::sync_dir;
use super::{Error, FileRole, Operation, Result};

/// Creates one directory with exactly the permission bits of `mode`, regardless of the umask, and
/// syncs its parent.
///
/// Returns `false` if the directory exists already; it is not changed.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Create`] or [`Operation::Sync`].
pub fn create_dir(path: &Path, role: FileRole, mode: u32) -> Result<bool> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(false);
    }
    let created = fault::change(Operation::CreateDir, &[path], path, role, || {
        // mkdir(2) applies the umask and ignores set-ID bits, so the mode is set again below.
        DirBuilder::new().mode(mode & 0o777).create(path)
    });
    match created {
        // Another run created it since the look above.
        Err(error) if error.is_already_there() && path.is_dir() => return Ok(false),
        created => created?,
    }
    set_dir_mode(path, mode).map_err(Error::io(path, role, Operation::CreateDir))?;
    sync_dir(parent(path), role)?;
    Ok(true)
}

/// Creates a directory with the permission bits that the umask leaves; returns `false` if it
/// existed. Its name is synced in either case: a killed run may have created it without syncing its
/// parent.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Create`] or [`Operation::Sync`].
pub fn create_dir_for_user(path: &Path, role: FileRole) -> Result<bool> {
    let is_there = || fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let mut created = false;
    if !is_there() {
        let done = fault::change(Operation::CreateDir, &[path], path, role, || {
            fs::create_dir(path)
        });
        match done {
            Err(error) if error.is_already_there() && is_there() => {}
            done => {
                done?;
                created = true;
            }
        }
    }
    sync_dir(parent(path), role)?;
    Ok(created)
}

/// Creates a directory and its missing parents, with mode 0700; returns `false` if it existed.
///
/// # Errors
///
/// As [`create_dir`].
pub fn create_dir_all_private(path: &Path, role: FileRole) -> Result<bool> {
    // Not `create_dir_all` of the standard library: each new directory is synced into its parent.
    let above = parent(path);
    if above != path && !fs::metadata(above).is_ok_and(|metadata| metadata.is_dir()) {
        create_dir_all_private(above, role)?;
    }
    let created = create_dir(path, role, 0o700)?;
    if !created {
        sync_dir(above, role)?; // a killed run may have created it without syncing its parent
    }
    Ok(created)
}

fn set_dir_mode(path: &Path, mode: u32) -> io::Result<()> {
    let nofollow = OpenOptions::new()
        .read(true)
        // Another user may have put a link there; chmod(2) would follow it.
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY))
        .open(path);
    match nofollow {
        Ok(dir) => set_mode(&dir, path, mode),
        // A umask such as 0777 takes even the owner's permission to open it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fault::step(Operation::SetMode, &[path])?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::testdir::mode;

    #[test]
    fn directories_have_the_mode_that_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("in");
        assert!(create_dir(&shared, FileRole::Node, 0o3770).unwrap());
        assert_eq!(mode(&shared), 0o3770);
        assert!(!create_dir(&shared, FileRole::Node, 0o700).unwrap());
        assert_eq!(mode(&shared), 0o3770);
        assert!(create_dir_all_private(&dir.path().join("a/b/c"), FileRole::Node).unwrap());
        assert_eq!(
            (mode(&dir.path().join("a")), mode(&dir.path().join("a/b/c"))),
            (0o700, 0o700)
        );
        fs::write(dir.path().join("f"), b"").unwrap();
        let error = create_dir(&dir.path().join("f"), FileRole::Node, 0o700).unwrap_err();
        assert_eq!(
            (error.doing(), error.io_kind()),
            (Some(Operation::Create), Some(io::ErrorKind::AlreadyExists))
        );
    }
}
