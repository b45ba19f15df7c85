//! The users and groups that the system lists.
//!
//! A static executable reads the local files itself: the name services of glibc (nsswitch.conf(5))
//! are loaded at run time, and only those of the very version that it was linked with work.

#[cfg(any(test, target_feature = "crt-static"))]
mod local;
#[cfg(not(target_feature = "crt-static"))]
mod services;

#[cfg(target_feature = "crt-static")]
pub(super) use local::{group_named, group_numbered, groups_of, user_numbered};
#[cfg(not(target_feature = "crt-static"))]
pub(super) use services::{group_named, group_numbered, groups_of, user_numbered};

/// Whether lookups ask all services of the system.
pub(super) const ARE_ALL_ASKED: bool = cfg!(not(target_feature = "crt-static"));

/// The local list of users.
pub(super) const USERS: &str = "/etc/passwd";

/// The local list of groups.
const GROUPS: &str = "/etc/group";

/// A group, and the names of the members that its own list has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedGroup {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) members: Vec<String>,
}

/// A user, and the number of their primary group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListedUser {
    pub(super) name: String,
    pub(super) group: u32,
}
