//! Single files in the directory of a peer.

use std::path::{Path, PathBuf};

use super::Error;
use super::files::{damaged, read_text};
use super::key_file::public_key_from_pem;
use crate::pki::{NodeId, PublicKey};

/// The identity key of the peer in this directory; `None` if it has none.
pub(super) fn read_identity(dir: &Path) -> Result<Option<PublicKey>, Error> {
    let path = dir.join("identity.pub");
    let Some(text) = read_text(&path)? else {
        return Ok(None);
    };
    let key = public_key_from_pem(text.as_bytes()).map_err(|error| damaged(&path, &error))?;
    Ok(Some(key))
}

/// The name of the peer in this directory; `None` if it has none.
pub(super) fn read_name(dir: &Path) -> Result<Option<String>, Error> {
    let name = read_text(&dir.join("name"))?.map(|name| name.trim().to_owned());
    Ok(name.filter(|name| !name.is_empty()))
}

/// The folder for the certificates that the gateway in `root` issued to a peer.
pub(super) fn registered_folder(root: &Path, peer: NodeId) -> PathBuf {
    let peers = root.join("peers");
    peers.join(peer.to_string()).join("registered")
}
