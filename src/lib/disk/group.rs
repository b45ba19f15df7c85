//! Directories that the members of a group may use, besides their owner.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Gid, OFlags};

use super::accounts::{self, ListedGroup, USERS};
use super::dirs;
use super::fault;
use super::metadata::set_mode;
use super::open::flags;
use super::{Error, FileRole, Operation, Result};

/// Mode of a directory that members of the group may only pass through.
pub const GATE: u32 = 0o710;

/// Mode of a directory in which members create files and remove only their own (sticky). New files
/// belong to the group (set-group-ID).
pub const SHARED: u32 = 0o3770;

/// The bit that gives the files in a directory its group.
const SET_GROUP_ID: u32 = 0o2000;

/// Mode of one user's directory, into which the spool's owner puts files through their own group.
pub const GIVEN: u32 = 0o770;

/// Mode of a file that members read.
pub const READABLE: u32 = 0o640;

/// Mode of a directory before it is given to the group.
pub const PRIVATE: u32 = 0o700;

/// A group of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(Gid);

impl Group {
    /// The group of this name, else of this number, as for chown(1); `None` if it does not exist. A
    /// number needs no entry: a group of a directory service may not be listed here.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`], if the lookup itself fails.
    pub fn find(name: &str) -> Result<Option<Self>> {
        let found = accounts::group_named(name)?;
        Ok(match found {
            Some(group) => Some(Self::of_number(group.number)),
            None => number(name).map(Self::of_number),
        })
    }

    /// The group of this number.
    #[must_use]
    pub fn of_number(gid: u32) -> Self {
        Self(Gid::from_raw(gid))
    }

    /// The primary group of a user, as the system lists it. If the user is not listed: the group of
    /// this process for the user who runs it, `None` for any other.
    ///
    /// # Errors
    ///
    /// As [`Group::find`].
    pub fn of_user(uid: u32) -> Result<Option<Self>> {
        let listed = accounts::user_numbered(uid)?;
        let us = rustix::process::geteuid().as_raw();
        Ok(match listed {
            Some(user) => Some(Self::of_number(user.group)),
            None if uid == us => Some(Self(rustix::process::getegid())),
            None => None,
        })
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.as_raw()
    }

    /// The name that `chown` takes, or the number if it has no name.
    #[must_use]
    pub fn label(self) -> String {
        self.listed()
            .map_or_else(|| self.number().to_string(), |group| group.name.clone())
    }

    /// The names of its members except this user, as far as the local files list them: those listed
    /// in the group, and users whose primary group it is.
    #[must_use]
    pub fn others_than(self, uid: u32) -> Vec<String> {
        let mut names = self.listed().map(|group| group.members).unwrap_or_default();
        let user = label_of_user(uid);
        names.retain(|name| *name != user);
        let (gid, uid) = (self.number().to_string(), uid.to_string());
        // A group's own list leaves out users whose primary group it is.
        let users = fs::read_to_string(USERS).unwrap_or_default();
        names.extend(users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let (found, own) = (fields.nth(1)?, fields.next()?);
            (own == gid && found != uid).then(|| name.to_owned())
        }));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether its members are known as far as the system knows them. A group that a static
    /// executable does not find may be a directory's, with any number of members.
    fn is_seen(self) -> bool {
        accounts::ARE_ALL_ASKED || self.listed().is_some()
    }

    fn listed(self) -> Option<ListedGroup> {
        accounts::group_numbered(self.number()).ok().flatten()
    }

    /// Creates a directory of the group with exactly these permission bits, and syncs its parent.
    /// An existing one is not changed, unless a killed run created it and had not given it to the
    /// group. Returns whether it is new.
    ///
    /// # Errors
    ///
    /// As [`dirs::create_dir`], and as [`Group::give`].
    pub fn create_dir(self, path: &Path, role: FileRole, mode: u32) -> Result<bool> {
        let created = dirs::create_dir(path, role, PRIVATE)?;
        // Created private: until it has the group and mode, a killed run leaves nothing that is
        // open to others.
        if created || is_private_and_ours(path) {
            self.give(path, role, mode)?;
        }
        Ok(created)
    }

    /// Creates the directory for messages to one user's endpoint, and syncs its parent. Its group
    /// is the own group of the user who runs this, so that other members of this group have no
    /// access. Root then makes the user of the endpoint its owner, and keeps the group. Returns
    /// whether it is new.
    ///
    /// If the user who runs this has no group for themselves, the directory is shared with the
    /// members of this group instead. If they have one, but this process is not in it, as a service
    /// may not be, the directory stays private.
    ///
    /// # Errors
    ///
    /// As [`Group::create_dir`].
    pub fn create_given_dir(self, path: &Path, role: FileRole) -> Result<bool> {
        let created = dirs::create_dir(path, role, PRIVATE)?;
        if !created && !is_private_and_ours(path) {
            return Ok(false);
        }
        let us = rustix::process::geteuid().as_raw();
        match self.own_beside(us)? {
            Some(own) => match own.give(path, role, GIVEN) {
                // This process is not in the user's own group: the directory stays private.
                Err(error) if error.is_denied() => {}
                given => given?,
            },
            None => self.give(path, role, SHARED)?,
        }
        Ok(created)
    }

    /// The primary group of a user, if they are its only member and it is not this one.
    ///
    /// # Errors
    ///
    /// As [`Group::find`].
    pub fn own_beside(self, uid: u32) -> Result<Option<Self>> {
        let own = Self::of_user(uid)?;
        Ok(own.filter(|own| *own != self && own.is_seen() && own.others_than(uid).is_empty()))
    }

    /// Lets the group read a file that belongs to the user who runs this; does nothing for any
    /// other file. Links are not followed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Share`]: that user is not a member of the group.
    pub fn let_read(self, path: &Path, role: FileRole) -> Result<()> {
        let shared = || -> io::Result<()> {
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
                .open(path)?;
            let found = file.metadata()?;
            if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
                return Ok(());
            }
            if found.gid() != self.number() {
                fault::step(Operation::SetGroup, &[path])?;
                rustix::fs::fchown(&file, None, Some(self.0))?;
            }
            set_mode(&file, path, READABLE)
        };
        shared().map_err(Error::io(path, role, Operation::Share))
    }

    /// Gives a directory to the group, with exactly these permission bits.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Share`]: it is another user's, or this one is not a member
    /// of the group.
    pub fn give(self, path: &Path, role: FileRole, mode: u32) -> Result<()> {
        let given = || -> io::Result<fs::File> {
            let dir = OpenOptions::new()
                .read(true)
                // By descriptor: another user could put a link there between two calls by path.
                .custom_flags(flags(OFlags::NOFOLLOW | OFlags::DIRECTORY))
                .open(path)?;
            if dir.metadata()?.gid() != self.0.as_raw() {
                fault::step(Operation::SetGroup, &[path])?;
                rustix::fs::fchown(&dir, None, Some(self.0))?;
            }
            Ok(dir)
        };
        let dir = given().map_err(Error::io(path, role, Operation::Share))?;
        // After that, since the set-group-id bit is for this group.
        let operation = if mode & SET_GROUP_ID == 0 {
            Operation::Share
        } else {
            Operation::SetGroupId
        };
        set_mode(&dir, path, mode).map_err(Error::io(path, role, operation))
    }
}

/// The name of a user that `chown` takes, or the number if there is no name.
#[must_use]
pub fn label_of_user(uid: u32) -> String {
    let listed = accounts::user_numbered(uid).ok().flatten();
    listed.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The numbers of all groups of a user; `None` if the system does not list that user.
#[must_use]
pub(super) fn groups_of_user(uid: u32) -> Option<Vec<u32>> {
    accounts::groups_of(uid).ok()?
}

/// The number of a group, written in digits alone. The last one means "no group" to chown(2).
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    number.filter(|_| is_number)
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
    use crate::disk::testdir::mode;

    /// A group of the user who runs the tests.
    fn ours() -> Group {
        Group(rustix::process::getegid())
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
    fn a_group_is_found_by_its_number_though_nothing_lists_it() {
        let number = Group::find("4294967290").unwrap();
        assert_eq!(number, Some(Group::of_number(4_294_967_290)));
        for wrong in ["4294967295", "4294967296", "-1", "+7", "7a", ""] {
            assert_eq!(Group::find(wrong).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn a_directory_is_given_away_once_and_then_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in");
        assert!(ours().create_dir(&path, FileRole::Spool, SHARED).unwrap());
        assert_eq!(mode(&path), SHARED);
        for (found, then) in [(0o750, 0o750), (PRIVATE, GATE)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(found)).unwrap();
            assert!(!ours().create_dir(&path, FileRole::Spool, GATE).unwrap());
            assert_eq!(mode(&path), then);
        }
    }

    #[test]
    fn a_user_has_a_group_of_their_own() {
        let us = nix::unistd::geteuid();
        let expected = match nix::unistd::User::from_uid(us).unwrap() {
            Some(user) => Group::of_number(user.gid.as_raw()),
            None => ours(),
        };
        assert_eq!(Group::of_user(us.as_raw()).unwrap(), Some(expected));
        // No user or group has this number.
        assert_eq!(Group::of_user(u32::MAX - 1).unwrap(), None);
        assert_eq!(label_of_user(u32::MAX - 1), "4294967294");
        assert_eq!(Group::of_number(u32::MAX - 1).label(), "4294967294");
        assert!(
            Group::of_number(u32::MAX - 1)
                .others_than(us.as_raw())
                .is_empty()
        );
        // Root is in its own group on every system.
        let root = Group::of_number(0);
        assert!(root.others_than(u32::MAX - 1).contains(&"root".to_owned()));
        assert!(!root.others_than(0).contains(&"root".to_owned()));
    }

    #[test]
    fn a_directory_for_one_user_is_not_the_shared_groups() {
        let dir = tempfile::tempdir().unwrap();
        let us = rustix::process::geteuid().as_raw();
        let own = Group::of_user(us).unwrap().unwrap();
        let other = Group::of_number(own.number() + 1);
        if own != ours() || other.own_beside(us).unwrap().is_none() {
            eprintln!("not tested, since this user has no group for themselves");
            return;
        }
        let path = dir.path().join("home");
        assert!(other.create_given_dir(&path, FileRole::Spool).unwrap());
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.gid(), mode(&path)), (own.number(), GIVEN));
        // A mode that a user set stays; the one that a killed run left is completed.
        for (found, then) in [(0o750, 0o750), (SHARED, SHARED), (PRIVATE, GIVEN)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(found)).unwrap();
            assert!(!other.create_given_dir(&path, FileRole::Spool).unwrap());
            assert_eq!(mode(&path), then);
        }
        // If the own group is the shared one, its members share the directory.
        let path = dir.path().join("shared");
        assert!(own.create_given_dir(&path, FileRole::Spool).unwrap());
        assert_eq!(mode(&path), SHARED);
    }

    #[test]
    fn a_file_is_for_the_group_to_read_if_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&path, "octets").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for found in [0o600, 0o644, READABLE] {
            fs::set_permissions(&path, fs::Permissions::from_mode(found)).unwrap();
            let error = ours().let_read(&link, FileRole::Spool).unwrap_err();
            assert_eq!(
                (error.doing(), mode(&path)),
                (Some(Operation::Share), found)
            );
            ours().let_read(&path, FileRole::Spool).unwrap();
            assert_eq!(mode(&path), READABLE);
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (link, before) = (dir.path().join("link"), mode(dir.path()));
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let error = ours().give(&link, FileRole::Spool, SHARED).unwrap_err();
        assert_eq!(error.doing(), Some(Operation::Share));
        assert_eq!(mode(dir.path()), before);
    }
}
