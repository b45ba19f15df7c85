//! Renames synced files, and links them to a second name.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::io::Errno;

use super::existing::{is_taken, once_more, open_existing, same};
use super::fault;
use super::names::parent;
use super::options::{IfExists, Published};
use super::placeholder;
use super::remove::remove_unsynced;
use super::sync::sync_dir;
use super::{Error, FileRole, Operation, Result};

/// Renames a synced file on the same file system, and syncs its new directory, then the old one: in
/// the other order a crash between could lose both names.
///
/// # Errors
///
/// [`Error::Exists`] as `existing` says; [`Error::Io`] while [`Operation::Rename`] or
/// [`Operation::Sync`].
pub fn rename(from: &Path, to: &Path, role: FileRole, existing: IfExists) -> Result<Published> {
    let moved = rename_unsynced(from, to, role, existing)?;
    sync_dir(parent(to), role)?;
    if parent(from) != parent(to) {
        sync_dir(parent(from), role)?;
    }
    Ok(moved)
}

/// Renames a file as [`rename`] does; the caller syncs both directories, the new one first.
///
/// # Errors
///
/// [`Error::Exists`] as `existing` says; [`Error::Io`] while [`Operation::Rename`].
pub fn rename_unsynced(
    from: &Path,
    to: &Path,
    role: FileRole,
    existing: IfExists,
) -> Result<Published> {
    let replace = existing == IfExists::Replace;
    match once_more(to, || place(from, to, replace, false)) {
        Err(error) if !replace && is_taken(&error, to) => {
            let (true, Some(mut found), Some(mut moved)) = (
                existing == IfExists::SameIsSuccess,
                open_existing(to, role),
                open_existing(from, role),
            ) else {
                return Err(Error::Exists {
                    path: to.to_owned(),
                    role,
                });
            };
            // The file that stays is synced with its directory before the other one goes.
            let outcome = same(to, role, &mut found, &mut moved, true)?;
            remove_unsynced(from, role)?;
            Ok(outcome)
        }
        Err(error) => {
            // rename(2) does not say which of its paths caused an error.
            let culprit = if fs::symlink_metadata(from).is_ok() {
                to
            } else {
                from
            };
            Err(Error::io(culprit, role, Operation::Rename)(error))
        }
        Ok(()) => Ok(Published::Written),
    }
}

/// Links a synced file to a second name on the same file system, and syncs the new directory.
///
/// # Errors
///
/// [`Error::Exists`] if the name is taken; [`Error::Io`] while [`Operation::Link`] or
/// [`Operation::Sync`].
pub fn link(from: &Path, to: &Path, role: FileRole) -> Result<()> {
    let linked = once_more(to, || {
        fault::step(Operation::Link, &[from, to])?;
        fs::hard_link(from, to)
    });
    match linked {
        Err(error) if is_taken(&error, to) => {
            return Err(Error::Exists {
                path: to.to_owned(),
                role,
            });
        }
        linked => linked.map_err(Error::io(to, role, Operation::Link))?,
    }
    sync_dir(parent(to), role)
}

/// Renames a file; without `replace`, fails with `EEXIST` if the new name is taken. With `reserves`
/// it does so on every file system, by a [`placeholder`].
pub(super) fn place(from: &Path, to: &Path, replace: bool, reserves: bool) -> io::Result<()> {
    fault::step(Operation::Rename, &[from, to])?;
    if replace {
        // For two names of one file rename(2) does nothing, and reports success.
        return if is_one_file(from, to) {
            fs::remove_file(from)
        } else {
            fs::rename(from, to)
        };
    }
    #[cfg(target_os = "linux")]
    match fault::bare(to, Errno::INVAL).and_then(|()| {
        rustix::fs::renameat_with(
            rustix::fs::CWD,
            from,
            rustix::fs::CWD,
            to,
            rustix::fs::RenameFlags::NOREPLACE,
        )
    }) {
        // A kernel or file system without RENAME_NOREPLACE.
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {}
        Err(Errno::PERM) if reserves => {}
        renamed => return renamed.map_err(io::Error::from),
    }
    // link(2) does not replace a file. Killed in between, the file has both names, which loses
    // nothing.
    let linked = fault::bare(to, Errno::PERM).map_err(io::Error::from);
    match linked.and_then(|()| fs::hard_link(from, to)) {
        Err(error) if has_none(&error) && reserves => placeholder::rename(from, to),
        Err(error) if has_none(&error) => Err(io::ErrorKind::Unsupported.into()),
        linked => linked.and_then(|()| fs::remove_file(from)),
    }
}

/// Whether link(2) may have failed because the file system has no hard links.
fn has_none(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM)
    )
}

fn is_one_file(a: &Path, b: &Path) -> bool {
    let identity = |path| fs::symlink_metadata(path).map(|it| (it.dev(), it.ino()));
    matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::testdir::names;

    #[test]
    fn a_message_moves_between_queues() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        fs::write(at("a"), b"message").unwrap();
        assert_eq!(
            rename(&at("a"), &at("b"), FileRole::Spool, IfExists::Refuse).unwrap(),
            Published::Written
        );
        fs::write(at("a"), b"another").unwrap();
        for existing in [IfExists::Refuse, IfExists::SameIsSuccess] {
            assert!(matches!(
                rename(&at("a"), &at("b"), FileRole::Spool, existing),
                Err(Error::Exists { .. })
            ));
        }
        assert!(matches!(
            link(&at("a"), &at("b"), FileRole::Spool),
            Err(Error::Exists { .. })
        ));
        rename(&at("a"), &at("b"), FileRole::Spool, IfExists::Replace).unwrap();
        fs::write(at("a"), b"another").unwrap();
        assert_eq!(
            rename(&at("a"), &at("b"), FileRole::Spool, IfExists::SameIsSuccess).unwrap(),
            Published::Same
        );
        assert_eq!(names(dir.path()), ["b"]);
        for existing in [IfExists::SameIsSuccess, IfExists::Replace] {
            link(&at("b"), &at("c"), FileRole::Spool).unwrap();
            rename(&at("b"), &at("c"), FileRole::Spool, existing).unwrap();
            assert_eq!(names(dir.path()), ["c"]);
            fs::rename(at("c"), at("b")).unwrap();
        }
        fs::remove_file(at("b")).unwrap();
        assert!(
            rename(&at("b"), &at("d"), FileRole::Spool, IfExists::Refuse)
                .unwrap_err()
                .is_not_found()
        );
    }

    /// What had the name was moved on since, or the file system says so of a name that it does not take.
    #[test]
    #[cfg(debug_assertions)]
    fn a_name_that_is_taken_by_nothing_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        let role = FileRole::Spool;
        for existing in [IfExists::Refuse, IfExists::SameIsSuccess] {
            fs::write(at("a"), b"message").unwrap();
            fault::arm("EEXIST:1").unwrap();
            let moved = rename(&at("a"), &at("b"), role, existing);
            fault::disarm();
            assert_eq!(moved.unwrap(), Published::Written);
            assert_eq!(names(dir.path()), ["b"]);
            fault::arm("EEXIST=never").unwrap();
            let refused = rename(&at("b"), &at("never"), role, existing).unwrap_err();
            fault::disarm();
            assert!(matches!(refused, Error::Io { .. }), "{refused}");
            assert_eq!(names(dir.path()), ["b"]);
            fs::remove_file(at("b")).unwrap();
        }
    }
}
