//! Removing files and directories.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::fault;
use super::metadata::{FileId, exists};
use super::names::{parent, temporary_name};
use super::sync::sync_dir;
use super::tree::{self, EntryKind};
use super::{Error, FileRole, Operation, Result};

/// Removes a file, or a symbolic link itself, and syncs its directory. Returns `false` if there was
/// none.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`] or [`Operation::Sync`].
pub fn remove(path: &Path, role: FileRole) -> Result<bool> {
    let removed = remove_unsynced(path, role)?;
    if removed {
        sync_dir(parent(path), role)?;
    }
    Ok(removed)
}

/// Removes a file as [`remove`] does; the caller syncs the directory, once for many.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`].
pub fn remove_unsynced(path: &Path, role: FileRole) -> Result<bool> {
    match fault::change(Operation::Remove, &[path], path, role, || {
        fs::remove_file(path)
    }) {
        Err(error) if error.is_not_found() => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// Removes files, or the symbolic links that lead to them, each only if it is still the same file,
/// and syncs each of their directories once. Returns the number removed.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`] or [`Operation::Sync`]; files before the failed one
/// are removed.
pub fn remove_same<'a>(
    files: impl IntoIterator<Item = (&'a Path, FileId)>,
    role: FileRole,
) -> Result<usize> {
    let mut removed = 0;
    let mut dirs = BTreeSet::new();
    for (path, identity) in files {
        // Follows a link, since the identity is that of the file that was read through it.
        let found = fs::metadata(path).ok();
        let is_same = found.and_then(|found| FileId::from(&found)) == Some(identity);
        if is_same && remove_unsynced(path, role)? {
            removed += 1;
            dirs.insert(parent(path));
        }
    }
    dirs.into_iter().try_for_each(|dir| sync_dir(dir, role))?;
    Ok(removed)
}

/// Removes a directory that is empty. Returns `false` if it is not there, or not empty. Nothing is synced.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Remove`].
pub fn remove_dir(path: &Path, role: FileRole) -> Result<bool> {
    let removed = fault::change(Operation::Remove, &[path], path, role, || {
        fs::remove_dir(path)
    });
    match removed {
        Ok(()) => Ok(true),
        Err(Error::Io { cause, .. })
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::DirectoryNotEmpty
                    // Of a directory that is not empty on some file systems.
                    | io::ErrorKind::AlreadyExists
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Removes a directory and its content, then syncs its parent. Returns `false` if there was none.
///
/// Symbolic links in it are removed, not followed. No other user may be able to write to it: a
/// directory that becomes a link while it is listed would be followed.
///
/// # Errors
///
/// [`Error::NotRegular`] when `path` is not itself a directory; [`Error::Io`] while
/// [`Operation::List`], [`Operation::Remove`] or [`Operation::Sync`], after which some files are
/// removed.
pub fn remove_tree(path: &Path, role: FileRole) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            sync_dir_if_any(parent(path), role)?; // a killed run may have removed it
            return Ok(false);
        }
        Err(error) => return Err(Error::io(path, role, Operation::Examine)(error)),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(Error::NotRegular {
                path: path.to_owned(),
                role,
            });
        }
        Ok(_) => {}
    }
    remove_content(path, role)?;
    sync_dir(parent(path), role)?;
    Ok(true)
}

/// Removes a directory and its content atomically: it is renamed first, to a name that [`sweep`]
/// recognises as a leftover. Returns `false` if there was none.
///
/// A directory of a lower layer cannot be renamed on an overlay file system. Then the content is
/// removed where it is, `last` after everything else: a run that is killed leaves that, so that the
/// next one finds what it has to remove.
///
/// # Errors
///
/// As [`remove_tree`], and [`Error::Io`] while [`Operation::Rename`].
///
/// [`sweep`]: super::leftovers::sweep
pub fn retire_tree(path: &Path, last: &str, role: FileRole) -> Result<bool> {
    let Some(name) = path.file_name() else {
        return Ok(false);
    };
    let hidden = path.with_file_name(temporary_name(name));
    // A killed run may have left that name, and rename(2) does not replace a full directory.
    remove_tree(&hidden, role)?;
    if !exists(path, role)? {
        return Ok(false);
    }
    let renamed = fault::change(Operation::Rename, &[path, &hidden], path, role, || {
        fs::rename(path, &hidden)
    });
    match renamed {
        Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::CrossesDevices => {
            remove_all_but(path, last, role)?;
            sync_dir(path, role)?;
            return remove_tree(path, role);
        }
        renamed => renamed?,
    }
    sync_dir(parent(path), role)?;
    // Only now: the new name is on disk, so a crash cannot restore a half-removed tree.
    remove_tree(&hidden, role)
}

fn sync_dir_if_any(dir: &Path, role: FileRole) -> Result<()> {
    if dir.is_dir() {
        sync_dir(dir, role)
    } else {
        Ok(())
    }
}

fn remove_content(dir: &Path, role: FileRole) -> Result<()> {
    remove_all_but(dir, "", role)?;
    fault::change(Operation::Remove, &[dir], dir, role, || fs::remove_dir(dir))
}

/// Removes what is in a directory, but for what has this name.
fn remove_all_but(dir: &Path, kept: &str, role: FileRole) -> Result<()> {
    let mut found: Vec<(PathBuf, bool)> = Vec::new();
    tree::each(dir, role, |path, name, kind| {
        if name != kept {
            found.push((path, kind == Some(EntryKind::Dir)));
        }
        Ok(())
    })?;
    found.sort_unstable();
    for (path, is_dir) in found {
        if is_dir {
            remove_content(&path, role)?;
        } else {
            remove_unsynced(&path, role)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::disk::open::open_input;

    #[test]
    fn removing_twice_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"").unwrap();
        assert!(remove(&path, FileRole::Spool).unwrap());
        assert!(!remove(&path, FileRole::Spool).unwrap());
    }

    #[test]
    fn only_the_file_that_was_read_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("f"), b"one").unwrap();
        let file = open_input(&at("f")).unwrap();
        let identity = FileId::of(&file).unwrap();
        fs::write(at("g"), b"two").unwrap();
        fs::rename(at("f"), at("h")).unwrap();
        fs::rename(at("g"), at("f")).unwrap();
        let paths = [at("f"), at("g"), at("h"), at("h")];
        let files = paths.iter().map(|path| (&**path, identity));
        assert_eq!(remove_same(files, FileRole::Spool).unwrap(), 1);
        assert!(at("f").exists() && !at("h").exists());
        assert_eq!(FileId::of(&File::open(dir.path()).unwrap()), None);
    }

    #[test]
    fn a_tree_is_removed_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("peer");
        fs::create_dir_all(tree.join("held/deep")).unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/f"), b"").unwrap();
        fs::write(tree.join("held/deep/f"), b"").unwrap();
        fs::write(tree.join(".relay-x.tmp"), b"").unwrap();
        symlink("../kept", tree.join("link")).unwrap();
        symlink("peer", dir.path().join("alias")).unwrap();
        assert!(matches!(
            remove_tree(&dir.path().join("alias"), FileRole::Node),
            Err(Error::NotRegular { .. })
        ));
        assert!(remove_tree(&tree, FileRole::Node).unwrap());
        assert!(!tree.exists() && dir.path().join("kept/f").exists());
        assert!(!remove_tree(&tree, FileRole::Node).unwrap());
    }
}
