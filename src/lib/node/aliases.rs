//! Names for several peers: the file `aliases`, in the form of aliases(5), and a file for each name in
//! `aliases.d`, in which a line is a member.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::authorizations::{HeldAuthorization, newest_held};
use super::files::damaged;
use super::nearest::Nearest;
use super::peers::check_name;
use super::{Directory, DirectoryError, Error, PeerError, Revocations};
use crate::asn1::text;
use crate::disk::{FileRole, files, tree};
use crate::pki::NodeId;

/// The name of the built-in alias: every peer that lets this node send to it.
pub const ALL: &str = "all";

/// What is put before an alias where a peer can stand, too.
pub const MARK: char = '@';

/// The file, and the directory.
pub(crate) const FILE: &str = "aliases";
pub(crate) const FOLDER: &str = "aliases.d";

/// The largest file that is read, in octets.
const MAX_LEN: usize = 1024 * 1024;

/// The most members that an alias comes to.
const MAX_MEMBERS: usize = 10_000;

/// The aliases of a node.
#[derive(Debug, Default)]
pub struct Aliases {
    members: BTreeMap<String, Vec<String>>,
}

/// The peers that an alias comes to.
#[derive(Debug, Default)]
pub struct Members {
    /// The peers, each once, in the order of the alias.
    pub ids: Vec<NodeId>,
    /// The members that are no peers of this node, and why.
    pub unknown: Vec<(String, Error)>,
}

impl Aliases {
    /// Reads the aliases of a node; without the files there are none.
    ///
    /// # Errors
    /// For the first line that is wrong: [`DirectoryError::Config`]; when a file cannot be read.
    pub fn of(node: &Directory) -> Result<Self, Error> {
        let (aliases, mut problems) = Self::read(node.root());
        if problems.is_empty() {
            Ok(aliases)
        } else {
            Err(problems.swap_remove(0))
        }
    }

    /// Reads the aliases of the node in `root`, and everything that is wrong with them.
    #[must_use]
    pub fn read(root: &Path) -> (Self, Vec<Error>) {
        let (mut aliases, mut problems) = (Self::default(), Vec::new());
        let path = root.join(FILE);
        each_line(&path, &mut problems, |line| aliases.define(line));
        let folder = root.join(FOLDER);
        let listed = match tree::entries(&folder, FileRole::Node) {
            Ok(listed) => listed.entries,
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => {
                problems.push(error.into());
                Vec::new()
            }
        };
        for entry in listed {
            let path = folder.join(&entry.name);
            match entry.name.to_str().map(alias_name) {
                Some(Ok(name)) => each_line(&path, &mut problems, |line| {
                    aliases.add(&name, line, "each has a line of its own")
                }),
                // Left by an editor or a killed run.
                _ if is_passed_over(&path) => {}
                _ => problems.push(damaged(&path, &"its name cannot be an alias")),
            }
        }
        (aliases, problems)
    }

    /// The names, in order, without the built-in one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// The peers that an alias comes to, through other aliases, too.
    ///
    /// # Errors
    /// [`PeerError::UnknownAlias`]; when it comes to nothing but aliases; when the peers cannot be listed, or are too many.
    pub fn resolve(&self, alias: &str, node: &Directory, now: Timestamp) -> Result<Members, Error> {
        let mut members = Members::default();
        let mut known = BTreeSet::new();
        let mut open = vec![alias.to_ascii_lowercase()];
        let mut followed = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !followed.insert(name.clone()) {
                continue;
            }
            if name == ALL {
                let all = reachable(node, now)?;
                let new = all.into_iter().filter(|id| known.insert(*id));
                members.ids.extend(new);
                continue;
            }
            let Some(its) = self.members.get(&name) else {
                let error = Error::Peer(self.no_such(&name));
                if followed.len() == 1 {
                    return Err(error);
                }
                members.unknown.push((format!("{MARK}{name}"), error));
                continue;
            };
            let mut aliases = Vec::new();
            for member in its {
                match self.member(member, node) {
                    Ok(AliasMember::Alias(name)) => aliases.push(name),
                    Ok(AliasMember::Peer(id)) if known.insert(id) => members.ids.push(id),
                    Ok(AliasMember::Peer(_)) => {}
                    Err(error) => members.unknown.push((member.clone(), error)),
                }
            }
            open.extend(aliases.into_iter().rev());
            if members.ids.len() > MAX_MEMBERS {
                return Err(Error::Peer(PeerError::ManyMembers(name)));
            }
        }
        let is_empty = members.ids.is_empty() && members.unknown.is_empty();
        if is_empty && !followed.contains(ALL) {
            let problem = format!("the alias {alias} comes back to itself, and to no peer");
            return Err(damaged(&node.root().join(FILE), &problem));
        }
        Ok(members)
    }

    /// That there is no such alias, with the one that was meant, perhaps.
    fn no_such(&self, name: &str) -> PeerError {
        let mut nearest = Nearest::to(name);
        nearest.offer(ALL);
        self.members.keys().for_each(|other| nearest.offer(other));
        PeerError::UnknownAlias {
            name: name.to_owned(),
            meant: nearest.into_name(),
        }
    }

    /// What a member means: `@NAME` an alias; anything else a peer, or else an alias.
    fn member(&self, text: &str, node: &Directory) -> Result<AliasMember, Error> {
        if let Some(name) = text.strip_prefix(MARK) {
            return Ok(AliasMember::Alias(name.to_ascii_lowercase()));
        }
        match node.find_peer(text) {
            Ok(peer) => Ok(AliasMember::Peer(peer.id)),
            Err(Error::Peer(PeerError::Unknown(_) | PeerError::Mistyped { .. }))
                if self.has(text) =>
            {
                Ok(AliasMember::Alias(text.to_ascii_lowercase()))
            }
            Err(error) => Err(error),
        }
    }

    /// The members that are neither peers nor aliases, each with its alias and why. What only mail can reach is not among
    /// them: an address, a file, a command.
    #[must_use]
    pub fn unknown(&self, node: &Directory) -> Vec<(&str, &str, Error)> {
        let members = self.members.iter();
        let members = members.flat_map(|(name, its)| its.iter().map(move |it| (name, it)));
        let unknown = members.filter_map(|(name, member)| {
            let error = match self.member(member, node) {
                Ok(AliasMember::Alias(other)) if other != ALL && !self.has(&other) => {
                    Error::Peer(self.no_such(&other))
                }
                Ok(_) => return None,
                Err(_) if is_for_mail(member) => return None,
                Err(error) => error,
            };
            Some((name.as_str(), member.as_str(), error))
        });
        unknown.collect()
    }

    /// Whether there is an alias of this name, apart from the built-in one.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(&name.to_ascii_lowercase())
    }

    /// Takes a line `NAME: MEMBER, …`.
    fn define(&mut self, line: &str) -> Result<(), String> {
        let (name, members) = line
            .split_once(':')
            .ok_or_else(|| format!("{line}: not NAME: MEMBER, ..."))?;
        let name = alias_name(name.trim())?;
        if self.has(&name) {
            return Err(format!("the alias {name} is defined twice"));
        }
        self.members.insert(name.clone(), Vec::new());
        let members = members.split(',').map(str::trim);
        let mut members = members.filter(|member| !member.is_empty()).peekable();
        if members.peek().is_none() {
            return Err(format!("the alias {name} has no members"));
        }
        members.try_for_each(|member| self.add(&name, member, "a comma separates members"))
    }

    /// Adds a member; `rule` says how members are separated where it stands.
    fn add(&mut self, name: &str, member: &str, rule: &str) -> Result<(), String> {
        if member.contains(|character: char| character.is_whitespace() || character.is_control()) {
            return Err(format!("{member}: a member has no blanks; {rule}"));
        }
        let members = self.members.entry(name.to_owned()).or_default();
        members.push(member.to_owned());
        Ok(())
    }
}

/// Whether a member has a form that aliases(5) has for mail alone.
fn is_for_mail(member: &str) -> bool {
    member.contains(MARK) || member.starts_with(['/', '|', ':', '"'])
}

enum AliasMember {
    Alias(String),
    Peer(NodeId),
}

/// The peers that let this node send to them, by id.
fn reachable(node: &Directory, now: Timestamp) -> Result<Vec<NodeId>, Error> {
    let (peers, _) = node.peers()?;
    let revocations = Revocations::of(node)?;
    let mut reachable = Vec::new();
    for peer in peers {
        // What cannot be read is no reason not to write to the others; relay-check reports it.
        if let Ok(HeldAuthorization::Valid(_)) = newest_held(node, peer.id, &revocations, now) {
            reachable.push(peer.id);
        }
    }
    Ok(reachable)
}

/// The name of an alias, in small letters.
fn alias_name(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    if name == ALL {
        return Err(format!("the alias {ALL} is built in"));
    }
    match check_name(&name) {
        Ok(()) => Ok(name),
        Err(_) => Err(format!(
            "{text} cannot be an alias: a name is of 1 to 63 of a-z 0-9 . _ -, and no id"
        )),
    }
}

/// Hands each line of a file that is neither empty nor a comment to `each`.
fn each_line(
    path: &Path,
    problems: &mut Vec<Error>,
    mut each: impl FnMut(&str) -> Result<(), String>,
) {
    let octets = match files::read(path, FileRole::Node, MAX_LEN) {
        Ok(octets) => octets,
        Err(error) if error.is_not_found() => return,
        Err(error) => {
            problems.push(error.into());
            return;
        }
    };
    let text = match text::read(&octets) {
        Ok(text) => text,
        Err(error) => {
            problems.push(damaged(path, &text::problem(&error)));
            return;
        }
    };
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Err(problem) = each(text) {
            let path = PathBuf::from(path);
            problems.push(Error::Directory(DirectoryError::Config {
                path,
                line,
                problem,
            }));
        }
    }
}

/// Whether a file has a name as editors give to their own.
fn is_passed_over(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.starts_with('.') || name.ends_with('~'))
}
