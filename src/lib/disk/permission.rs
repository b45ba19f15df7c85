//! What a user may do with a file or directory, asked by that user or by root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::group::groups_of_user;

/// What a user wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Run a file.
    Run,
    /// Make files in a directory.
    Fill,
}

impl Permission {
    /// The permission bits that it needs, as in the last digit of a mode.
    fn bits(self) -> u32 {
        match self {
            Self::Run => 0o1,
            Self::Fill => 0o3,
        }
    }
}

/// Whether a user may do this; `None` if that cannot be told. Whether a file can be run says nothing
/// of its format.
#[must_use]
pub fn may(uid: u32, path: &Path, permission: Permission) -> Option<bool> {
    let us = rustix::process::geteuid();
    if us.as_raw() == uid {
        let access = match permission {
            Permission::Run => Access::EXEC_OK,
            Permission::Fill => Access::WRITE_OK | Access::EXEC_OK,
        };
        return Some(accessat(CWD, path, access, AtFlags::EACCESS).is_ok());
    }
    // Others do not see each directory above it.
    if !us.is_root() {
        return None;
    }
    let whole = fs::canonicalize(path).ok()?;
    let groups = groups_of_user(uid)?;
    for above in whole.ancestors().skip(1) {
        if !has(uid, &groups, above, 0o1)? {
            return Some(false);
        }
    }
    has(uid, &groups, &whole, permission.bits())
}

/// Whether a user of these groups has these permission bits; `None` if something else than the mode
/// can decide it.
fn has(uid: u32, groups: &[u32], path: &Path, bits: u32) -> Option<bool> {
    let stat = fs::metadata(path).ok()?;
    let shift = match uid {
        uid if uid == stat.uid() => 6,
        _ if groups.contains(&stat.gid()) => 3,
        _ => 0,
    };
    if stat.mode() >> shift & bits == bits {
        return Some(true);
    }
    // An access control list may name the user.
    let list = rustix::fs::getxattr(path, "system.posix_acl_access", &mut [0; 0][..]);
    list.is_err().then_some(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn modes_owners_and_groups_decide() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let (owner, group) = {
            let stat = fs::metadata(&path).unwrap();
            (stat.uid(), stat.gid())
        };
        let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let (other, others) = (owner + 1, group + 1);
        for (bits, expected) in [
            (0o100, [true, false, false]),
            (0o010, [false, true, false]),
            (0o001, [false, false, true]),
            (0o111, [true, true, true]),
        ] {
            mode(bits);
            let found = [(owner, others), (other, group), (other, others)];
            let found = found.map(|(uid, gid)| has(uid, &[gid], &path, 0o1));
            assert_eq!(found, expected.map(Some), "{bits:o}");
        }
        mode(0o200);
        assert_eq!(has(owner, &[], &path, 0o3), Some(false));
        assert_eq!(has(owner, &[], &dir.path().join("none"), 0o1), None);
    }

    #[test]
    fn whoever_asks_for_themselves_gets_the_answer_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        let us = rustix::process::geteuid().as_raw();
        assert_eq!(may(us, dir.path(), Permission::Fill), Some(true));
        assert_eq!(
            may(us, &dir.path().join("none"), Permission::Run),
            Some(false)
        );
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(may(us, &file, Permission::Run), Some(false));
    }
}
