//! Peers looked up by id: a message names few of them, and a node may have thousands.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::peer_files::{read_identity, read_name};
use super::peers::short_id;
use super::{Directory, Error};
use crate::disk::{FileRole, files, tree};
use crate::pipeline::mutex;
use crate::pki::{NodeId, PublicKey};

/// The most ids that are kept in memory: messages of strangers can name any number.
const MAX_KEPT: usize = 65_536;

/// What a node knows of a peer, as far as messages in transit depend on it.
#[derive(Debug)]
pub struct PeerFacts {
    /// Its identity key.
    pub key: PublicKey,
    /// Whether the node registered it.
    pub is_registered: bool,
    /// Whether it takes cargo from the node.
    pub takes_cargo: bool,
}

/// The peers of a node. Each is read when it is first asked for. Several threads may ask at once.
#[derive(Debug)]
pub struct PeerLookup {
    peers: PathBuf,
    kept: Mutex<HashMap<NodeId, Option<Arc<PeerFacts>>>>,
}

impl PeerLookup {
    /// The peers of this node. Reads nothing yet.
    #[must_use]
    pub fn of(node: &Directory) -> Self {
        Self {
            peers: node.root().join("peers"),
            kept: Mutex::default(),
        }
    }

    /// What is known of the node with this id; `None` if it is no peer.
    ///
    /// # Errors
    /// [`Error::UnreadablePeer`] when its files cannot be read.
    pub fn get(&self, id: NodeId) -> Result<Option<Arc<PeerFacts>>, Error> {
        if let Some(known) = mutex::lock(&self.kept).get(&id) {
            return Ok(known.clone());
        }
        // Read without the lock, so that other threads go on.
        let found = self.read(id).map_err(|error| Error::UnreadablePeer {
            peer: self.label(id),
            cause: Box::new(error),
        })?;
        let found = found.map(Arc::new);
        let mut kept = mutex::lock(&self.kept);
        if kept.len() < MAX_KEPT {
            kept.insert(id, found.clone());
        }
        Ok(found)
    }

    /// The name of a peer for diagnostics, also of one that cannot be read.
    fn label(&self, id: NodeId) -> String {
        let name = read_name(&self.peers.join(id.to_string()));
        name.ok().flatten().unwrap_or_else(|| short_id(id))
    }

    fn read(&self, id: NodeId) -> Result<Option<PeerFacts>, Error> {
        let dir = self.peers.join(id.to_string());
        let Some(key) = read_identity(&dir)? else {
            return Ok(None);
        };
        let has = |folder| files::exists(&dir.join(folder), FileRole::Node);
        let is_registered = has("registered")?;
        Ok(Some(PeerFacts {
            key,
            is_registered,
            takes_cargo: is_registered || has("held")?,
        }))
    }

    /// The keys of all peers that can be read, for objects that do not name their signer.
    ///
    /// # Errors
    /// When the peers cannot be listed.
    pub fn keys(&self) -> Result<Vec<PublicKey>, Error> {
        let listed = tree::entries(&self.peers, FileRole::Node)?;
        let dirs = listed.entries.into_iter().map(|entry| entry.path);
        Ok(dirs
            .filter_map(|dir| read_identity(&dir).ok().flatten())
            .collect())
    }
}
