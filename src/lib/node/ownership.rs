//! Who may change a node: its user alone, and root.
//!
//! Anybody who can write to a node's directory decides what its user runs (`routes` names commands), whom the node trusts,
//! and under which name it speaks. So a node that others can change is not used.

use std::path::Path;

use super::{DirectoryError, Error};
use crate::disk::group::label_of_user;
use crate::disk::tree::{self, Stat};
use crate::disk::{FileRole, files};

/// What is checked in the directory. What others may do to single keys is asked where they are read.
const CHECKED: [&str; 11] = [
    "VERSION",
    "aliases",
    "aliases.d",
    "certs",
    "config",
    "identity.key",
    "identity.pub",
    "peers",
    "register.allow",
    "revoked",
    "routes",
];

const ROOT: u32 = 0;

/// Checks that the node in `root` is of the user who runs this, or root's, and that nobody else can change it. Root
/// may read every node.
///
/// # Errors
/// [`DirectoryError::Anothers`] and [`DirectoryError::Writable`]; when a file cannot be examined.
pub(super) fn check(root: &Path) -> Result<(), Error> {
    let us = files::user();
    let Some(found) = stat(root)? else {
        return Ok(());
    };
    if us != ROOT && !found.is_of(us) {
        return Err(anothers(root, found.owner));
    }
    let user = found.owner;
    check_one(root, &found, user)?;
    for name in CHECKED {
        let path = root.join(name);
        if let Some(found) = stat(&path)? {
            check_one(&path, &found, user)?;
        }
    }
    Ok(())
}

/// Refuses root the change of another user's node: files that root makes there are root's, so that the node's user
/// could not use it any more.
///
/// # Errors
/// [`DirectoryError::Anothers`]; when the directory cannot be examined.
pub(crate) fn check_user(root: &Path) -> Result<(), Error> {
    if files::user() != ROOT {
        return Ok(());
    }
    match stat(root)? {
        Some(found) if found.owner != ROOT => Err(anothers(root, found.owner)),
        _ => Ok(()),
    }
}

/// Checks that a directory in which a node is to be made is no other user's, and that nobody else can write there.
///
/// # Errors
/// As [`check`].
pub(super) fn check_place(root: &Path) -> Result<(), Error> {
    match stat(root)? {
        Some(found) if files::is_another(found.owner) => Err(anothers(root, found.owner)),
        Some(found) => check_one(root, &found, found.owner),
        None => Ok(()),
    }
}

fn check_one(path: &Path, found: &Stat, user: u32) -> Result<(), Error> {
    if !found.is_of(user) {
        return Err(anothers(path, found.owner));
    }
    if found.is_writable_by_others() {
        return Err(Error::Directory(DirectoryError::Writable {
            path: path.to_owned(),
            mode: found.mode,
        }));
    }
    Ok(())
}

fn stat(path: &Path) -> Result<Option<Stat>, Error> {
    Ok(tree::stat_behind(path, FileRole::Node)?)
}

fn anothers(path: &Path, owner: u32) -> Error {
    let is_mapped = files::is_mapped(owner);
    Error::Directory(DirectoryError::Anothers {
        path: path.to_owned(),
        user: is_mapped.then(|| label_of_user(owner)),
        us: (files::user() != ROOT).then(|| label_of_user(files::user())),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in CHECKED {
            fs::write(dir.path().join(name), "").unwrap();
            set(&dir.path().join(name), 0o644);
        }
        fs::write(dir.path().join("lock"), "").unwrap();
        set(&dir.path().join("lock"), 0o666);
        let paths = CHECKED.map(|name| dir.path().join(name));
        for path in paths.iter().map(|it| &**it).chain([dir.path()]) {
            for (mode, is_right) in [
                (0o700, true),
                (0o755, true),
                (0o710, true),
                (0o720, false),
                (0o702, false),
                (0o1777, false),
            ] {
                set(path, mode);
                match check(dir.path()) {
                    Ok(()) => assert!(is_right, "{path:?} {mode:o}"),
                    Err(Error::Directory(DirectoryError::Writable {
                        path: found,
                        mode: is,
                    })) => {
                        assert_eq!((&*found, is), (path, mode));
                        assert!(!is_right, "{path:?} {mode:o}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            set(path, 0o700);
        }
        check_user(dir.path()).unwrap();
        check_place(dir.path()).unwrap();
    }
}
