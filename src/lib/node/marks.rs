//! What a person said of a peer: that the digits were compared, and that no mail is expected; and that nobody knows
//! anything of it but that it registered.

use jiff::Timestamp;

use super::files::{read_text, rely_on, store};
use super::{Directory, Error};
use crate::disk::{FileRole, files, tree};
use crate::pki::NodeId;

/// The file of a peer whose digits were compared.
pub(crate) const COMPARED: &str = "compared";

/// The file of a peer with whom nothing is to be exchanged any more.
pub(crate) const EXPECT_NONE: &str = "expect-none";

/// The file of a peer that registered online by itself and has signed nothing since: when it registered.
pub(crate) const UNTRIED: &str = "untried";

impl Directory {
    /// How many peers there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn count_peers(&self) -> Result<usize, Error> {
        let listed = tree::entries(&self.root().join("peers"), FileRole::Node)?;
        Ok(listed.entries.len())
    }

    /// The peers that registered by themselves and have signed nothing since, and when they did.
    ///
    /// # Errors
    /// When the peers cannot be listed.
    pub fn untried(&self) -> Result<Vec<(NodeId, Timestamp)>, Error> {
        let listed = tree::entries(&self.root().join("peers"), FileRole::Node)?;
        let mut untried = Vec::new();
        for entry in listed.entries {
            let id = entry.name.to_str().and_then(|name| name.parse().ok());
            // What cannot be read is of no peer that would be dropped; relay-check reports it.
            let text = read_text(&entry.path.join(UNTRIED)).ok().flatten();
            let since = text.and_then(|text| text.trim().parse().ok());
            untried.extend(id.zip(since));
        }
        Ok(untried)
    }

    /// Notes that a peer registered by itself. The caller holds the node's lock alone.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note_untried(&self, peer: NodeId, now: Timestamp) -> Result<(), Error> {
        let path = self.peer_dir(peer).join(UNTRIED);
        store(self.root(), &path, format!("{now}\n").as_bytes())
    }

    /// Notes that a peer has signed something, or that somebody vouches for it. The caller holds the node's lock alone.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn note_tried(&self, peer: NodeId) -> Result<(), Error> {
        let path = self.peer_dir(peer).join(UNTRIED);
        if files::exists(&path, FileRole::Node)? {
            files::remove(&path, FileRole::Node)?;
        }
        Ok(())
    }

    /// Whether a peer registered by itself and has signed nothing since.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn is_untried(&self, peer: NodeId) -> Result<bool, Error> {
        Ok(files::exists(
            &self.peer_dir(peer).join(UNTRIED),
            FileRole::Node,
        )?)
    }

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
