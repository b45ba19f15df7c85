//! How many messages each registered node has sent to other servers today, against the node's `foreign-quota`.
//!
//! The counts are in memory, so they begin anew with the server: they bound what one node makes this gateway send, and
//! need not be right to the message.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::node::Directory;
use crate::pipeline::mutex::lock;
use crate::pki::NodeId;

/// The seconds of a day (UTC).
const DAY: i64 = 86_400;

/// What each node has sent abroad today.
#[derive(Debug)]
pub(super) struct ForeignCounts {
    most: Option<u64>,
    today: Mutex<(i64, HashMap<NodeId, u64>)>,
}

impl ForeignCounts {
    /// Nothing is counted yet.
    pub(super) fn of(node: &Directory) -> Self {
        Self {
            most: node.config().foreign_quota(),
            today: Mutex::default(),
        }
    }

    /// Whether one more message of a node may go; if so it is counted.
    pub(super) fn admits(&self, node: NodeId, now: Timestamp) -> bool {
        let Some(most) = self.most else {
            return true;
        };
        let mut today = lock(&self.today);
        let day = now.as_second().div_euclid(DAY);
        if today.0 != day {
            *today = (day, HashMap::new());
        }
        let count = today.1.entry(node).or_default();
        let is_admitted = *count < most;
        *count += u64::from(is_admitted);
        is_admitted
    }

    /// One that was counted did not go, or had gone before.
    pub(super) fn takes_back(&self, node: NodeId) {
        if let Some(count) = lock(&self.today).1.get_mut(&node) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_sends_so_many_in_a_day() {
        let counts = ForeignCounts {
            most: Some(2),
            today: Mutex::default(),
        };
        let (one, other) = (NodeId::of_digest([1; 32]), NodeId::of_digest([2; 32]));
        let day: Timestamp = "2027-05-01T23:59:59Z".parse().unwrap();
        assert!(counts.admits(one, day) && counts.admits(one, day));
        assert!(!counts.admits(one, day));
        assert!(counts.admits(other, day));
        counts.takes_back(one);
        assert!(counts.admits(one, day));
        assert!(!counts.admits(one, day));
        let next = day + jiff::SignedDuration::from_secs(1);
        assert!(counts.admits(one, next));
    }
}
