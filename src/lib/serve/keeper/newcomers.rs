//! Nodes that registered by themselves, where anybody may: one that has signed nothing within a day is dropped, since
//! registrations cost a stranger nothing and this node some files.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use crate::node::{self, Directory};
use crate::pipeline::mutex::lock;
use crate::pki::NodeId;

/// How long a node has for its first signature.
const DROPPED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The registered nodes that have signed nothing yet, and since when they are registered.
#[derive(Debug)]
pub(super) struct Newcomers<'a> {
    node: &'a Directory,
    untried: Mutex<HashMap<NodeId, Timestamp>>,
}

impl<'a> Newcomers<'a> {
    /// Those that are noted in the node.
    ///
    /// # Errors
    /// When its peers cannot be listed.
    pub(super) fn of(node: &'a Directory) -> Result<Self, node::Error> {
        let untried = node.untried()?.into_iter().collect();
        Ok(Self {
            node,
            untried: Mutex::new(untried),
        })
    }

    /// A node has registered by itself. The caller holds the node's lock alone.
    ///
    /// # Errors
    /// When that cannot be noted.
    pub(super) fn add(&self, id: NodeId, now: Timestamp) -> Result<(), node::Error> {
        self.node.note_untried(id, now)?;
        lock(&self.untried).insert(id, now);
        Ok(())
    }

    /// A node has signed something that this gateway asked for.
    ///
    /// # Errors
    /// When that cannot be noted.
    pub(super) fn signed(&self, id: NodeId) -> Result<(), node::Error> {
        // Once for each node, so that others do not wait for the lock of the node.
        if lock(&self.untried).remove(&id).is_none() {
            return Ok(());
        }
        let _lock = self.node.lock_exclusive()?;
        self.node.note_tried(id)
    }

    /// Forgets those that have signed nothing in time, and returns them. Only by a clock that is believed.
    ///
    /// # Errors
    /// When one cannot be forgotten.
    pub(super) fn drop_old(&self, now: Timestamp) -> Result<Vec<NodeId>, node::Error> {
        let is_old = |since: Timestamp| now.duration_since(since) >= DROPPED_AFTER;
        let old: Vec<NodeId> = lock(&self.untried)
            .iter()
            .filter(|(_, since)| is_old(**since))
            .map(|(id, _)| *id)
            .collect();
        let mut dropped = Vec::new();
        for id in old {
            let _lock = self.node.lock_exclusive()?;
            // It may have signed, or a person may have registered it, since then.
            if lock(&self.untried).remove(&id).is_some() && self.node.is_untried(id)? {
                self.node.forget_peer(id)?;
                dropped.push(id);
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::testspool;

    #[test]
    fn who_signs_nothing_in_a_day_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        let node = spool.owner();
        let start: Timestamp = "2027-05-01T00:00:00Z".parse().unwrap();
        let newcomers = Newcomers::of(node).unwrap();
        let ids = [1, 2, 3].map(|octet| NodeId::of_digest([octet; 32]));
        let path = |id: NodeId| node.root().join("peers").join(id.to_string());
        for id in ids {
            newcomers.add(id, start).unwrap();
        }
        newcomers.signed(ids[0]).unwrap();
        // As after another start, and after relay-register did the same for one of them.
        let newcomers = Newcomers::of(node).unwrap();
        node.note_tried(ids[1]).unwrap();
        let before = start + DROPPED_AFTER - SignedDuration::from_secs(1);
        assert_eq!(newcomers.drop_old(before).unwrap(), []);
        let dropped = newcomers.drop_old(start + DROPPED_AFTER).unwrap();
        assert_eq!(dropped, [ids[2]]);
        assert!(path(ids[0]).exists() && path(ids[1]).exists() && !path(ids[2]).exists());
        assert_eq!(node.untried().unwrap(), []);
    }
}
