//! Checks which nodes take the place of others, and which wait until a person has compared digits.

use std::path::Path;

use super::checker::Checker;
use super::finding::{Check, Level};
use crate::disk::{FileRole, files, tree};
use crate::node::peers::short_id;
use crate::node::predecessor;
use crate::node::succession::{self, Succession};
use crate::node::{Directory, Peer};

/// Whether a killed run left the folder of notices: it has notices, or nothing at all. Anything else in
/// it is reported as unexpected.
fn is_left(folder: &Path) -> bool {
    let Ok(true) = files::exists(folder, FileRole::Node) else {
        return false;
    };
    tree::entries(folder, FileRole::Node).is_ok_and(|found| {
        found.entries.iter().any(succession::is_file)
            || found.entries.is_empty() && found.skipped.is_empty()
    })
}

impl Checker<'_> {
    /// Checks the successors that a peer named.
    pub(super) fn successors(&mut self, node: &Directory, peer: &Peer, dir: &Path) {
        let folder = dir.join(succession::FOLDER);
        match node.successor_of(peer.id) {
            Ok(None) => {}
            Ok(Some(confirmed)) => {
                // The last thing that a confirmation does is to remove it.
                if is_left(&folder) {
                    let name = confirmed.name.unwrap_or_else(|| short_id(peer.id));
                    let what = format!("the run was killed that let a node succeed {name}");
                    let hint = format!("the same command again: relay-import --successor {name}");
                    self.report(Level::Warning, Check::Successor, &folder, &what, Some(hint));
                }
                return;
            }
            Err(error) => return self.damaged(dir, &error),
        }
        let found = match node.succession_of(peer.id, self.now) {
            Ok(found) => found,
            Err(error) => return self.damaged(&folder, &error),
        };
        for error in &found.unreadable {
            self.damaged(&folder, error);
        }
        let label = peer.label();
        if let Some(what) = found.text(&label) {
            let level = if found.is_contested() {
                Level::Error
            } else {
                Level::Warning
            };
            let hint = Succession::remedy(&label);
            self.report(level, Check::Successor, &folder, &what, Some(hint));
        }
    }

    /// Checks which node takes the place of this one, and whose place it takes.
    pub(super) fn own_successor(&mut self, node: &Directory) {
        let path = node.root().join(predecessor::SUCCESSOR);
        match node.own_successor() {
            Ok(None) => {}
            Ok(Some(by)) => {
                let what = format!("{} takes the place of this node", short_id(by));
                let hint = "send from that node; this one opens what is still under way".to_owned();
                let (level, check) = (Level::Information, Check::Successor);
                self.report(level, check, &path, &what, Some(hint));
            }
            Err(error) => self.damaged(&path, &error),
        }
        if let Err(error) = node.predecessor() {
            self.damaged(&node.root().join(predecessor::PREDECESSOR), &error);
        }
    }
}
