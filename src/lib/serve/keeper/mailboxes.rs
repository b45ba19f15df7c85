//! How full mailboxes are: what waits for each registered node, against the quota of the node that serves.
//!
//! What is counted here is for the recipient, beside the account of who brought it: many senders together may not fill a
//! mailbox, and a full one is full for itself alone.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::pipeline::mutex::lock;
use crate::pki::NodeId;
use crate::serve::Error;
use crate::spool::payers::MIN_COUNTED;
use crate::spool::queue::QueueEntry;
use crate::spool::{QueueId, Spool};

/// How long a count is added to before the mailbox is counted anew.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// The same for one that seems full: its node may have collected.
const FULL_FOR: Duration = Duration::from_secs(2);

/// The most mailboxes whose counts are remembered.
const REMEMBERED: usize = 100_000;

/// What waits in a mailbox.
#[derive(Debug, Clone, Copy)]
struct MailboxCount {
    octets: u64,
    at: Instant,
}

/// What waits for each registered node.
#[derive(Debug)]
pub(super) struct MailboxCounts<'a> {
    spool: &'a Spool,
    quota: Option<u64>,
    counts: Mutex<HashMap<NodeId, MailboxCount>>,
}

impl<'a> MailboxCounts<'a> {
    /// Nothing is counted yet.
    pub(super) fn of(spool: &'a Spool) -> Self {
        Self {
            spool,
            quota: spool.owner().config().quota(),
            counts: Mutex::default(),
        }
    }

    /// Whether a parcel of this length, in octets, fits into the mailbox of a node; if so it is counted.
    ///
    /// # Errors
    /// When the queue cannot be listed.
    pub(super) fn admits(&self, node: NodeId, len: usize) -> Result<bool, Error> {
        let Some(quota) = self.quota else {
            return Ok(true);
        };
        let len = (len as u64).max(MIN_COUNTED);
        let mut count = self.count(node, COUNTED_FOR)?;
        if count.octets.saturating_add(len) > quota {
            count = self.count(node, FULL_FOR)?;
        }
        let octets = count.octets.saturating_add(len);
        if octets > quota {
            return Ok(false);
        }
        if let Some(count) = lock(&self.counts).get_mut(&node) {
            count.octets = count.octets.saturating_add(len);
        }
        Ok(true)
    }

    /// What waits for a node, by a count that is at most so old.
    fn count(&self, node: NodeId, most: Duration) -> Result<MailboxCount, Error> {
        if let Some(count) = lock(&self.counts).get(&node)
            && count.at.elapsed() < most
        {
            return Ok(*count);
        }
        // Without the lock: others go on meanwhile.
        let mut octets = 0_u64;
        for entry in self.spool.queue(QueueId::Out(node)).entries()? {
            if let QueueEntry::Message(message) = entry?
                && let Some(len) = message.len()?
            {
                octets = octets.saturating_add(len.max(MIN_COUNTED));
            }
        }
        let count = MailboxCount {
            octets,
            at: Instant::now(),
        };
        let mut counts = lock(&self.counts);
        if counts.len() >= REMEMBERED {
            counts.clear();
        }
        counts.insert(node, count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Item, Parcel};
    use crate::node::Directory;
    use crate::spool::{Name, testspool};

    #[test]
    fn a_mailbox_takes_up_to_the_quota() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(&dir.path().join("node"));
        let (one, other) = (NodeId::of_digest([1; 32]), NodeId::of_digest([2; 32]));
        assert!(MailboxCounts::of(&spool).admits(one, usize::MAX).unwrap());

        let config = spool.owner().root().join("config");
        std::fs::write(config, "quota = 10240\n").unwrap();
        let spool = Spool::of(Directory::open(spool.owner().root()).unwrap()).unwrap();
        let counts = MailboxCounts::of(&spool);
        // Each counts 1024 at least, so that a quota bounds the number, too.
        assert!((0..10).all(|_| counts.admits(one, 1).unwrap()));
        assert!(!counts.admits(one, 1).unwrap());
        assert!(counts.admits(other, 10_240).unwrap());
        assert!(!counts.admits(other, 1).unwrap());
        // What waits already counts, and what has left does not.
        let queue = spool.make(QueueId::Out(one)).unwrap();
        let item = Item::Parcel(Parcel::try_from(testspool::parcel(0)).unwrap());
        let expiry = item.expiry().unwrap();
        std::fs::write(queue.path_of(&Name::of(&item, expiry)), [0; 10]).unwrap();
        let counts = MailboxCounts::of(&spool);
        assert!(counts.admits(one, 9216).unwrap());
        assert!(!counts.admits(one, 1).unwrap());
    }
}
