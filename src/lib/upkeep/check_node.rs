//! Checks a node directory. It changes nothing; a file that cannot be read is a finding, too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::check_files::Shape;
use super::checker::Checker;
use super::finding::{Check, Level};
use crate::disk::FileRole;
use crate::disk::tree::{self, EntryKind};
use crate::node::day::end_of_day;
use crate::node::issued::IssuedKind;
use crate::node::seen::{self, Floor};
use crate::node::{
    Directory, Error, Keyring as _, aliases, certificates, endpoints, marks, peers, pinned_host,
    predecessor, rates, revocations, sessions, succession, welcome,
};
use crate::node::{DirectoryError, PassphraseError};
use crate::pki::NodeId;

impl Checker<'_> {
    /// Checks a node without its spool and its local endpoints; returns it if it can be opened.
    ///
    /// # Errors
    /// [`DirectoryError::NotANode`] and [`DirectoryError::Version`], since then there is nothing to
    /// check.
    pub fn node(&mut self, root: &Path) -> Result<Option<Directory>, Error> {
        let node = match Directory::open_to_check(root) {
            Ok(node) => Some(node.with_passphrase(Arc::clone(self.passphrase))),
            Err(
                error @ Error::Directory(
                    DirectoryError::NotANode(_) | DirectoryError::Version { .. },
                ),
            ) => return Err(error),
            Err(error) => {
                let path = match &error {
                    Error::Disk(error) => error.path(),
                    _ => root,
                };
                self.damaged(path, &error);
                None
            }
        };
        let has_group = node
            .as_ref()
            .is_some_and(|node| node.config().get("group").is_some());
        // Modes and owners are checked even if the node cannot be opened: they may be why.
        if let Ok(Some(stat)) = tree::stat(root, FileRole::Node)
            && stat.owner != self.user
        {
            let what = format!(
                "belongs to user {}, but this is user {}",
                stat.owner, self.user
            );
            self.report(Level::Warning, Check::Owner, root, &what, None);
        }
        let mode = if has_group { 0o710 } else { 0o700 };
        let shapes = |parts: &[&str], kind: EntryKind| shape_in_node(parts, kind, has_group);
        self.tree(root, FileRole::Node, &[mode], &shapes);
        self.file_system(root);
        if let Some(node) = &node {
            self.contents(node);
        }
        Ok(node)
    }

    /// Checks the contents of a node's files.
    fn contents(&mut self, node: &Directory) {
        match node.identity() {
            Err(Error::Directory(DirectoryError::Locked {
                cause: PassphraseError::Missing,
                path,
            })) => {
                let what = "encrypted, and not opened without a passphrase";
                self.report(Level::Information, Check::Encryption, &path, &what, None);
            }
            // The passphrase is that of the gateway, and an endpoint may have its own.
            Err(Error::Directory(DirectoryError::Locked {
                cause: PassphraseError::Wrong,
                path,
            })) if endpoints::is_within(node.root()) => {
                let what =
                    "encrypted under another passphrase than the one given, or damaged: not opened";
                self.report(Level::Information, Check::Encryption, &path, &what, None);
            }
            Err(error) => self.damaged(&node.root().join("identity.key"), &error),
            Ok(_) => {}
        }
        match Floor::of(node.root()) {
            Ok(floor) => self.floor(node, floor),
            Err(error) => self.damaged(&node.root().join("seen").join(seen::FLOOR), &error),
        }
        self.registrations(node);
        let mut names = HashMap::new();
        for (id, dir) in self.folders_of_nodes(&node.root().join("peers")) {
            self.peer(node, id, &dir, &mut names);
        }
        self.own_successor(node);
        self.aliases(node);
        if let Err(error) = welcome::allowed(node.root()) {
            self.damaged(&node.root().join(welcome::ALLOWED), &error);
        }
        self.revocations(node);
        self.sessions(node);
        self.seen(node);
        match certificates::own_since(node) {
            Ok(Some(since)) if self.window.is_before(since) => {
                let what = format!(
                    "the clock says {}, and the node was made at {since}",
                    self.now
                );
                let hint = Some("check this clock".to_owned());
                self.report(Level::Error, Check::Clock, node.root(), &what, hint);
            }
            Ok(_) => {}
            Err(error) => self.damaged(&node.root().join("certs"), &error),
        }
    }

    /// Checks that what is revoked can be read: a message that it may concern waits until then.
    fn revocations(&mut self, node: &Directory) {
        for (issuer, dir) in self.folders_of_nodes(&node.root().join(revocations::FOLDER)) {
            let stored = match revocations::stored_in(&dir) {
                Ok(stored) => stored,
                Err(error) => {
                    self.damaged(&dir, &error);
                    continue;
                }
            };
            for one in stored {
                let what = match one.pdd.verify() {
                    Ok(_) if one.pdd.issuer == issuer => continue,
                    Ok(_) => "not of the issuer that the directory is named for".to_owned(),
                    Err(error) => error.to_string(),
                };
                self.report(Level::Error, Check::Damaged, &one.path, &what, None);
            }
        }
    }

    fn floor(&mut self, node: &Directory, floor: Floor) {
        // The purge removed the memory of older messages, so only the floor keeps them from being
        // accepted twice: it must stay. A restoration can simply be repeated.
        let times = [
            (
                floor.expiry,
                "expires",
                "relay-purge ran under a clock that was ahead; keep the line: relay-open --again and relay-route --retry \
                 take single parcels all the same",
            ),
            (
                floor.dated,
                "was made",
                "the node was restored under a clock that was ahead; relay-check --restored, with the right one, mends that",
            ),
        ];
        for (time, what, hint) in times {
            if let Some(time) = time.filter(|time| self.window.is_before(*time)) {
                let what = format!("everything that {what} until {time} is refused");
                let hint = hint.to_owned();
                let path = node.root().join("seen").join(seen::FLOOR);
                self.report(Level::Error, Check::Clock, &path, &what, Some(hint));
            }
        }
    }
}

/// The folders of a peer with certificates: received, and given to it.
const GIVEN: [&str; 4] = ["held", "given", "registered", succession::FOLDER];

/// The shape of an entry of a node directory.
pub(super) fn shape_in_node(parts: &[&str], kind: EntryKind, has_group: bool) -> Option<Shape> {
    let is_node = |name: &str| name.parse::<NodeId>().is_ok();
    let is_day = |name: &str| end_of_day(name).is_some();
    if kind == EntryKind::Dir {
        let is_elsewhere = match *parts {
            ["endpoints", name] => peers::check_name(name).is_ok(),
            [name] => name == "spool",
            _ => false,
        };
        let is_ours = match *parts {
            [name] => [
                aliases::FOLDER,
                "certs",
                "peers",
                "sessions",
                "strangers",
                revocations::FOLDER,
                "seen",
                rates::FOLDER,
                "endpoints",
                "lock",
            ]
            .contains(&name),
            ["certs" | "peers" | revocations::FOLDER, id] => is_node(id),
            ["sessions", id] => is_node(id) || id == sessions::ANYBODY,
            ["strangers", day] => is_day(day),
            [rates::FOLDER, pair] => rates::is_pair(pair),
            ["peers", _, folder] => GIVEN.contains(&folder),
            _ => false,
        };
        return match (is_elsewhere, is_ours) {
            // In a group, local endpoints belong to their own users.
            (true, _) if has_group && parts.len() > 1 => Some(Shape::Endpoint),
            (true, _) => Some(Shape::Elsewhere),
            (_, true) if has_group && *parts == ["endpoints"] => Some(Shape::Gate),
            (_, true) => Some(Shape::Dir),
            _ => None,
        };
    }
    let ends_with = |name: &str, end: &str| name.strip_suffix(end).is_some_and(|it| !it.is_empty());
    let is_key = match *parts {
        ["identity.key"] => true,
        ["sessions", _, name] => ends_with(name, ".key"),
        _ => false,
    };
    let is_ours = match *parts {
        ["VERSION" | "identity.pub" | predecessor::PREDECESSOR | predecessor::SUCCESSOR]
        | ["lock", _] => true,
        [rates::FOLDER, _, day] => end_of_day(day).is_some(),
        ["seen", name] => name == seen::FLOOR || seen::end_of_seen_day(name).is_some(),
        ["peers", _, name] => [
            "identity.pub",
            "name",
            "address",
            "session.pem",
            marks::COMPARED,
            marks::EXPECT_NONE,
            marks::UNTRIED,
            pinned_host::FILE,
            succession::CONFIRMED,
            predecessor::NOTICE,
            IssuedKind::Given.record(),
            IssuedKind::Registered.record(),
        ]
        .contains(&name),
        ["sessions", sessions::ANYBODY, name] if sessions::is_senders(name) => true,
        [revocations::FOLDER, _, name] => revocations::end_in_name(name).is_some(),
        ["certs" | "strangers", _, name] | ["peers", _, _, name] => ends_with(name, ".pem"),
        _ => false,
    };
    match (is_key, is_ours) {
        _ if matches!(
            *parts,
            ["config" | "routes" | aliases::FILE | welcome::ALLOWED] | [aliases::FOLDER, _]
        ) =>
        {
            Some(Shape::Text)
        }
        (true, _) => Some(Shape::Key),
        (_, true) => Some(Shape::File),
        _ => None,
    }
}
