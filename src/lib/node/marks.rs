//! What a person said of a peer: that the digits were compared, and that no mail is expected.

use super::files::{rely_on, store};
use super::{Directory, Error};
use crate::disk::{FileRole, files};
use crate::pki::NodeId;

/// The file of a peer whose digits were compared.
pub(crate) const COMPARED: &str = "compared";

/// The file of a peer with whom nothing is to be exchanged any more.
pub(crate) const EXPECT_NONE: &str = "expect-none";

impl Directory {
    /// Whether somebody compared the peer's digits with those that the peer sees.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn is_compared(&self, peer: NodeId) -> Result<bool, Error> {
        Ok(files::exists(
            &self.peer_dir(peer).join(COMPARED),
            FileRole::Node,
        )?)
    }

    /// Notes that somebody compared the peer's digits. The caller holds the node's lock alone.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note_compared(&self, peer: NodeId) -> Result<(), Error> {
        self.mark(peer, COMPARED)
    }

    /// Whether mail is expected to go to the peer and to come from there.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn expects_mail(&self, peer: NodeId) -> Result<bool, Error> {
        let path = self.peer_dir(peer).join(EXPECT_NONE);
        Ok(!files::exists(&path, FileRole::Node)?)
    }

    /// Notes whether mail is expected. The caller holds the node's lock alone.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn expect_mail(&self, peer: NodeId, is_expected: bool) -> Result<(), Error> {
        if !is_expected {
            return self.mark(peer, EXPECT_NONE);
        }
        if !self.expects_mail(peer)? {
            files::remove(&self.peer_dir(peer).join(EXPECT_NONE), FileRole::Node)?;
        }
        Ok(())
    }

    fn mark(&self, peer: NodeId, name: &str) -> Result<(), Error> {
        let path = self.peer_dir(peer).join(name);
        if files::exists(&path, FileRole::Node)? {
            return rely_on(&path);
        }
        store(self.root(), &path, b"")
    }
}
