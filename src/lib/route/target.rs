//! Targets of routed messages.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::disk::group::label_of_user;
use crate::disk::permission::{Permission, may};
use crate::pki::NodeId;
use crate::spool;

/// The target of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A node here: this one, or a local endpoint.
    Home(NodeId),
    /// A next hop.
    Out(NodeId),
    /// The recipient's own server on the Internet.
    Internet,
    /// A directory.
    Directory(PathBuf),
    /// A command.
    Command(Command),
}

impl Target {
    /// Why this user cannot hand messages over to it, and what helps. Commands are searched in these
    /// directories. What cannot be told is no reason.
    pub(super) fn amiss(&self, user: u32, search: &[PathBuf]) -> Option<(String, String)> {
        match self {
            Self::Home(_) | Self::Out(_) | Self::Internet => None,
            Self::Directory(dir) => directory_amiss(dir, user),
            Self::Command(command) => command_amiss(Path::new(command.program()), user, search),
        }
    }
}

fn directory_amiss(dir: &Path, user: u32) -> Option<(String, String)> {
    let shown = dir.display();
    if !dir.is_dir() {
        let hint = "make it, or mount what it is on: until then messages for it stay";
        return Some((format!("{shown} is not a directory"), hint.to_owned()));
    }
    let hint = "change its owner or mode: until then messages for it stay";
    let what = format!("{} cannot write to {shown}", named(user));
    (may(user, dir, Permission::Fill) == Some(false)).then(|| (what, hint.to_owned()))
}

fn command_amiss(program: &Path, user: u32, search: &[PathBuf]) -> Option<(String, String)> {
    let shown = program.display();
    let is_bare = program.components().count() == 1 && !program.is_absolute();
    // It depends on the directory in which relay-route is started.
    if !is_bare && !program.is_absolute() {
        return None;
    }
    let places: Vec<PathBuf> = if is_bare {
        search.iter().map(|dir| dir.join(program)).collect()
    } else {
        vec![program.to_owned()]
    };
    let there: Vec<&PathBuf> = places.iter().filter(|path| path.is_file()).collect();
    if there.is_empty() {
        let where_to = if is_bare {
            " in the directories of PATH"
        } else {
            ""
        };
        let hint = "install it, or correct the line; cron(8) has a PATH of its own";
        let what = format!("there is no command {shown}{where_to}");
        return Some((what, hint.to_owned()));
    }
    let is_refused = |path: &&PathBuf| may(user, path, Permission::Run) == Some(false);
    if !there.iter().all(is_refused) {
        return None;
    }
    let path = there[0].display();
    let what = format!("{} cannot run {path}", named(user));
    Some((
        what,
        "change its mode, or that of a directory above it".to_owned(),
    ))
}

fn named(user: u32) -> String {
    format!("user {}", label_of_user(user))
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home(node) => write!(formatter, "home:{node}"),
            Self::Out(hop) => write!(formatter, "peer:{hop}"),
            Self::Internet => formatter.write_str(spool::INTERNET),
            Self::Directory(path) => write!(formatter, "dir:{}", path.display()),
            Self::Command(command) => write!(formatter, "exec:{command}"),
        }
    }
}
