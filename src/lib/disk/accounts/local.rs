//! Lookups in the local files, in the form of passwd(5) and group(5).

#![cfg_attr(not(target_feature = "crt-static"), allow(dead_code))] // only tests use it there

use std::io;
use std::path::Path;

use super::{GROUPS, ListedGroup, ListedUser, USERS};
use crate::disk::{Error, FileRole, Operation, Result};

pub(in crate::disk) fn group_named(name: &str) -> Result<Option<ListedGroup>> {
    Ok(groups(&read(GROUPS)?).find(|group| group.name == name))
}

pub(in crate::disk) fn group_numbered(number: u32) -> Result<Option<ListedGroup>> {
    Ok(groups(&read(GROUPS)?).find(|group| group.number == number))
}

pub(in crate::disk) fn user_numbered(number: u32) -> Result<Option<ListedUser>> {
    Ok(user(&read(USERS)?, number))
}

/// The numbers of all groups of a user.
pub(in crate::disk) fn groups_of(number: u32) -> Result<Option<Vec<u32>>> {
    let Some(user) = user_numbered(number)? else {
        return Ok(None);
    };
    Ok(Some(groups_with(&read(GROUPS)?, &user)))
}

/// The primary group of a user, and those whose own lists have them.
fn groups_with(text: &str, user: &ListedUser) -> Vec<u32> {
    let others = groups(text).filter(|group| group.members.contains(&user.name));
    let mut numbers: Vec<u32> = others.map(|group| group.number).collect();
    numbers.retain(|number| *number != user.group);
    numbers.insert(0, user.group);
    numbers
}

/// The text of a list; a system without one has no users or groups with names.
fn read(file: &str) -> Result<String> {
    match std::fs::read(file) {
        // A name in another encoding does not hide the others.
        Ok(octets) => Ok(String::from_utf8_lossy(&octets).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io(
            Path::new(file),
            FileRole::Node,
            Operation::Examine,
        )(error)),
    }
}

/// The groups of `name:password:number:member,member` lines. Other lines are passed over, as glibc
/// does.
fn groups(text: &str) -> impl Iterator<Item = ListedGroup> + '_ {
    text.lines().filter_map(|line| {
        let [name, _, number, members] = fields(line)?;
        let members = members.split(',').filter(|member| !member.is_empty());
        Some(ListedGroup {
            name: name.to_owned(),
            number: number.parse().ok()?,
            members: members.map(str::to_owned).collect(),
        })
    })
}

/// The user with this number in `name:password:number:group:…` lines.
fn user(text: &str, number: u32) -> Option<ListedUser> {
    text.lines().find_map(|line| {
        let [name, _, found, rest] = fields(line)?;
        let group = rest.split(':').next()?;
        (found.parse() == Ok(number)).then_some(ListedUser {
            name: name.to_owned(),
            group: group.parse().ok()?,
        })
    })
}

/// The first three fields of a line, and the rest.
fn fields(line: &str) -> Option<[&str; 4]> {
    let mut fields = line.trim_start().splitn(4, ':');
    let first = fields.next()?;
    // `+` begins a line for NIS (nsswitch.conf(5), "compat").
    if first.is_empty() || first.starts_with(['#', '+', '-']) {
        return None;
    }
    Some([first, fields.next()?, fields.next()?, fields.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_group_5_has_them() {
        let text = "root:x:0:\n# games:x:60:\n\nbad\nshort:x:7\nrelay-users:x:4711:relay,anna\n+:::\n\
                    wrong:x:-1:\nlarge:x:4294967296:\nlast:!:4294967294:bert,";
        let found: Vec<(String, u32, Vec<String>)> = groups(text)
            .map(|group| (group.name, group.number, group.members))
            .collect();
        let expected = [
            ("root", 0, &[][..]),
            ("relay-users", 4711, &["relay", "anna"]),
            ("last", 4_294_967_294, &["bert"]),
        ];
        let expected = expected.map(|(name, number, members)| {
            let members = members.iter().map(ToString::to_string).collect();
            (name.to_owned(), number, members)
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn users_are_read_as_passwd_5_has_them() {
        let text = "root:x:0:0:root:/root:/bin/bash\n+anna\nrelay:x:990:991::/var/lib/relay:/usr/sbin/nologin\n\
                    short:x:7:8\nno:x:9\n";
        let found = |number| user(text, number).map(|user| (user.name, user.group));
        assert_eq!(found(0), Some(("root".to_owned(), 0)));
        assert_eq!(found(990), Some(("relay".to_owned(), 991)));
        assert_eq!(found(7), Some(("short".to_owned(), 8)));
        assert_eq!([found(9), found(991)], [None, None]);
    }

    #[test]
    fn a_user_is_in_the_groups_that_list_them() {
        let anna = ListedUser {
            name: "anna".to_owned(),
            group: 1001,
        };
        let text =
            "ann:x:1:ann\nanna:x:1001:anna\ncouriers:x:4711:bert,anna\nothers:x:4712:annabel\n";
        assert_eq!(groups_with(text, &anna), [1001, 4711]);
        assert_eq!(groups_with("", &anna), [1001]);
    }

    #[test]
    fn the_files_say_what_the_name_services_say_of_root() {
        let lookups = [group_numbered(0), super::super::group_numbered(0)];
        let [local, services] = lookups.map(|group| group.unwrap().map(|group| group.number));
        assert_eq!(local, services);
        let lookups = [user_numbered(0), super::super::user_numbered(0)];
        let [local, services] = lookups.map(Result::unwrap);
        assert_eq!(local, services);
        let [local, services] = [groups_of(0), super::super::groups_of(0)].map(Result::unwrap);
        assert!(local.is_some_and(|groups| groups.contains(&0)));
        assert!(services.is_some_and(|groups| groups.contains(&0)));
        assert_eq!(group_named("no-such-group-here").unwrap(), None);
        assert_eq!(read("/etc/no-such-list-here").unwrap(), "");
    }
}
