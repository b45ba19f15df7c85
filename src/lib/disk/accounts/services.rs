//! Lookups by the name services of the system, which may ask a directory such as LDAP.

use std::ffi::CString;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, User, getgrouplist};

use super::{GROUPS, ListedGroup, ListedUser, USERS};
use crate::disk::{Error, FileRole, Operation, Result};

pub(in crate::disk) fn group_named(name: &str) -> Result<Option<ListedGroup>> {
    found(Group::from_name(name), GROUPS).map(|group| group.map(listed))
}

pub(in crate::disk) fn group_numbered(number: u32) -> Result<Option<ListedGroup>> {
    found(Group::from_gid(Gid::from_raw(number)), GROUPS).map(|group| group.map(listed))
}

pub(in crate::disk) fn user_numbered(number: u32) -> Result<Option<ListedUser>> {
    let user = found(User::from_uid(number.into()), USERS)?;
    Ok(user.map(|user| ListedUser {
        name: user.name,
        group: user.gid.as_raw(),
    }))
}

/// The numbers of all groups of a user.
pub(in crate::disk) fn groups_of(number: u32) -> Result<Option<Vec<u32>>> {
    let Some(user) = user_numbered(number)? else {
        return Ok(None);
    };
    let Ok(name) = CString::new(user.name) else {
        return Ok(None);
    };
    let groups = found(
        getgrouplist(&name, Gid::from_raw(user.group)).map(Some),
        GROUPS,
    )?;
    Ok(groups.map(|groups| groups.into_iter().map(Gid::as_raw).collect()))
}

fn listed(group: Group) -> ListedGroup {
    ListedGroup {
        name: group.name,
        number: group.gid.as_raw(),
        members: group.mem,
    }
}

/// The result of a lookup; `file` is where the system looks unless nsswitch.conf(5) names another
/// service.
fn found<T>(found: nix::Result<Option<T>>, file: &str) -> Result<Option<T>> {
    match found {
        // Some name services return these for an unknown name (getgrnam(3)).
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        found => found.map_err(|errno| {
            Error::io(Path::new(file), FileRole::Node, Operation::Examine)(errno.into())
        }),
    }
}
