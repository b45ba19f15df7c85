//! Directories that the members of a group may use beside their owner.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use rustix::fs::{Gid, OFlags};

use super::fault::{self, Op};
use super::files::{self, flags, set_mode};
use super::{Doing, Error, Result, Role};

/// The permission bits of a directory that members may go through, to others in it, and no more.
pub const GATE: u32 = 0o710;

/// Those of a directory in which members make files, which then are the group's, and remove only their own.
pub const SHARED: u32 = 0o3770;

/// Those of a file in such a directory, which members read.
pub const READABLE: u32 = 0o640;

/// Those of a directory that is not given to the group yet.
const PRIVATE: u32 = 0o700;

/// A group of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(Gid);

impl Group {
    /// The group of this name; `None` when the system knows none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Doing::Examine`], when the system cannot tell.
    pub fn find(name: &str) -> Result<Option<Self>> {
        match nix::unistd::Group::from_name(name) {
            Ok(found) => Ok(found.map(|group| Self(Gid::from_raw(group.gid.as_raw())))),
            // What some services say of a group that they do not know.
            Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
            Err(errno) => {
                let path = Path::new("/etc/group");
                Err(Error::io(path, Role::Node, Doing::Examine)(errno.into()))
            }
        }
    }

    /// Creates a directory with exactly these permission bits, for the group, and syncs its parent. One that is
    /// there stays as it is, unless a run was killed before it could give it away. Tells whether it was new.
    ///
    /// # Errors
    ///
    /// As [`files::create_dir`], and as [`Group::give`].
    pub fn create_dir(self, path: &Path, role: Role, mode: u32) -> Result<bool> {
        let created = files::create_dir(path, role, PRIVATE)?;
        if created || is_private_and_ours(path) {
            self.give(path, role, mode)?;
        }
        Ok(created)
    }

    /// Gives a directory to the group, with exactly these permission bits.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Doing::Share`]: it is another user's, or this one is no member of the group.
    pub fn give(self, path: &Path, role: Role, mode: u32) -> Result<()> {
        let given = || -> io::Result<()> {
            let dir = OpenOptions::new()
                .read(true)
                .custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY))
                .open(path)?;
            if dir.metadata()?.gid() != self.0.as_raw() {
                fault::step(Op::Chown, &[path])?;
                rustix::fs::fchown(&dir, None, Some(self.0))?;
            }
            // After that, since the set-group-id bit is for this group.
            set_mode(&dir, path, mode)
        };
        given().map_err(Error::io(path, role, Doing::Share))
    }
}

fn is_private_and_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        found.permissions().mode() & 0o7777 == PRIVATE
            && found.uid() == rustix::process::geteuid().as_raw()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group of whoever runs the tests.
    fn ours() -> Group {
        Group(rustix::process::getegid())
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn groups_are_found_by_name() {
        let gid = nix::unistd::getegid();
        if let Some(own) = nix::unistd::Group::from_gid(gid).unwrap() {
            assert_eq!(Group::find(&own.name).unwrap(), Some(ours()));
        }
        assert_eq!(Group::find("no-such-group-here").unwrap(), None);
    }

    #[test]
    fn a_directory_is_given_away_once_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in");
        assert!(ours().create_dir(&path, Role::Spool, SHARED).unwrap());
        assert_eq!(mode(&path), SHARED);
        for (found, then) in [(0o750, 0o750), (PRIVATE, GATE)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(found)).unwrap();
            assert!(!ours().create_dir(&path, Role::Spool, GATE).unwrap());
            assert_eq!(mode(&path), then);
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (link, before) = (dir.path().join("link"), mode(dir.path()));
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let error = ours().give(&link, Role::Spool, SHARED).unwrap_err();
        assert_eq!(error.doing(), Some(Doing::Share));
        assert_eq!(mode(dir.path()), before);
    }
}
