//! The peer that an operand means.

use std::path::Path;

use anyhow::Context as _;

use crate::cli::errors::{LeakedKey, Unchecked};
use crate::cli::{inputs, report};
use crate::message::{self, Object};
use crate::node::Directory;
use crate::pki::{NodeId, PublicKey};

/// The id of a peer, known or not: the id itself, or that of the [`peer_key`].
///
/// # Errors
/// As [`peer_key`].
pub fn peer_id(peer: Option<&Path>, node: &Directory) -> anyhow::Result<NodeId> {
    let id = peer
        .filter(|path| !path.exists()) // a file of this name is read
        .and_then(Path::to_str)
        .and_then(|text| text.parse().ok());
    match id {
        Some(id) => Ok(id),
        None => Ok(peer_key(peer, Some(node))?.id()),
    }
}

/// The identity key of a peer: of a known one, or from a file or standard input.
///
/// # Errors
/// When the operand is neither a known peer nor an object with an identity key. A private key is
/// refused, and so is a registration request, since its key is not yet shown to be its sender's.
pub fn peer_key(peer: Option<&Path>, node: Option<&Directory>) -> anyhow::Result<PublicKey> {
    let path = peer.unwrap_or(Path::new("-"));
    if let (Some(node), Some(text)) = (node, path.to_str())
        && text != "-"
        // A file wins over a peer of the same name, a directory does not.
        && !path.metadata().is_ok_and(|meta| !meta.is_dir())
    {
        match node.find_peer(text) {
            Ok(peer) => return Ok(node.identity_of(peer.id)?),
            // A directory of this name is not a peer: reading it below gives the better error.
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{}: neither a file nor a peer", report::path(path)));
            }
        }
    }
    let octets = inputs::read_whole(path)?;
    let name = || report::path(path);
    let object = Object::parse(&octets).map_err(|error| {
        let error = anyhow::Error::new(error);
        let is_hidden =
            |node: &Directory| path.to_str().is_some_and(|it| node.find_peer(it).is_ok());
        if node.is_some_and(is_hidden) {
            let text = "a file, which hides the peer of that name";
            return error.context(format!("{}: {text}", name()));
        }
        error.context(name())
    })?;
    match object {
        Object::RegistrationRequest(_) => {
            return Err(anyhow::Error::new(Unchecked)).with_context(name);
        }
        // Its public half would do, but then nobody would learn that the key has left its node.
        Object::PrivateIdentityKey(_) | Object::PrivateSessionKey(..) => {
            return Err(anyhow::Error::new(LeakedKey)).with_context(name);
        }
        _ => {}
    }
    match object.identity_key() {
        Some(key) => Ok(key.clone()),
        None => Err(message::Error::Lacks {
            object: object.word(),
            what: "identity key",
        })
        .with_context(name),
    }
}
