//! The certificate by which a gateway knows this node.

use crate::binding::Error;
use crate::node::{self, AuthorizationError, Directory, Keyring as _, certificates};
use crate::pki::{Certificate, IdentityKey, NodeId};

/// A registration of this node with a gateway, and the key that it is for.
pub struct Registered {
    /// The gateway.
    pub gateway: NodeId,
    /// The certificate that the gateway issued.
    pub certificate: Certificate,
    /// The node's key.
    pub key: IdentityKey,
}

impl Registered {
    /// The registration with this gateway that ends last. Whether it is valid now is the gateway's to say, whose clock
    /// may be better.
    ///
    /// # Errors
    /// When the gateway has not registered this node, or the key cannot be read.
    pub fn with(node: &Directory, gateway: NodeId) -> Result<Self, Error> {
        let paths = certificates::paths_from(node, gateway)?.into_iter();
        // Several may end with the gateway's own certificate: then the one that was made last is known to it.
        let newest = paths.max_by_key(|path| (path.leaf.not_after(), path.leaf.not_before()));
        let newest = newest.ok_or_else(|| {
            let label = node.label_of(gateway);
            node::Error::Authorization(AuthorizationError::NotRegistered(label))
        })?;
        let certificate = newest.leaf;
        let key = node.identity()?;
        Ok(Self {
            gateway,
            certificate,
            key,
        })
    }
}
