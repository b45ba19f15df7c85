//! Claims: locks under which messages of one sender are handed out, so that no two runs hand out the
//! same one.
//!
//! They are not the locks of session keys ([`Keyring::lock_sender`](super::Keyring::lock_sender)):
//! relay-deliver holds them while its command runs, which may answer the sender with relay-seal.

use std::path::PathBuf;
use std::time::Duration;

use super::{Directory, Error};
use crate::disk::Lock;
use crate::pki::NodeId;

/// A claim on the messages of a sender, released on drop. The holder asks the replay memory
/// again, and holds it until the messages are remembered.
#[derive(Debug)]
#[must_use = "the claim is released when this is dropped"]
pub struct Claim {
    lock: Option<Lock>,
    path: PathBuf,
    /// Whether its file stays, since the sender is a peer.
    stays: bool,
}

impl Claim {
    fn new(node: &Directory, sender: NodeId, path: PathBuf, lock: Lock) -> Result<Self, Error> {
        Ok(Self {
            lock: Some(lock),
            path,
            // Anybody may write to an Internet node, under ever new ids. Its name does not depend on
            // that: a sender may become a peer while its messages are handed out.
            stays: node.knows(sender)?,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let (Some(lock), false) = (self.lock.take(), self.stays) {
            lock.remove(&self.path);
        }
    }
}

impl Directory {
    /// Takes the claim on this sender, and waits for another run as [`Lock::exclusive_within`] does;
    /// `None` if that has it even then. Who takes several takes them in the order of the ids.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn claim(&self, sender: NodeId, patience: &mut Duration) -> Result<Option<Claim>, Error> {
        let path = self.lock_file(&format!("open.{sender}"))?;
        let lock = Lock::exclusive_within(&path, patience)?;
        lock.map(|lock| Claim::new(self, sender, path, lock))
            .transpose()
    }

    /// Whether the file for claims on this sender is there, or anything else in its place.
    #[must_use]
    pub fn has_claim_file(&self, sender: NodeId) -> bool {
        let path = self.root().join("lock").join(format!("open.{sender}"));
        path.symlink_metadata().is_ok()
    }
}
