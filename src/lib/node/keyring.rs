//! What a program that seals or opens needs of a node.

use jiff::{SignedDuration, Timestamp};

use super::{Error, Recall, ReplayKey};
use crate::crypto::ecdh::Curve;
use crate::disk::Lock;
use crate::pki::{Certificate, IdentityKey, NodeId, Window};
use crate::ramf::{Authorized, InternetAddress, Valid};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

/// A peer that a message can be sealed to.
#[derive(Debug)]
pub struct Correspondent {
    /// The peer's id.
    pub id: NodeId,
    /// What to call it in diagnostics.
    pub name: String,
    /// Where it, or its gateway, is on the Internet.
    pub address: Option<InternetAddress>,
    /// The session key to seal to.
    pub session_key: PublicSessionKey,
    /// The certificates to send under: the signer's first, then those that are attached.
    pub certificates: Vec<Certificate>,
}

/// The identity, trust, peers and session keys of a node.
pub trait Keyring: Sync {
    /// The node's id, unless only its session key is known.
    fn node(&self) -> Option<NodeId>;

    /// The node's identity key.
    ///
    /// # Errors
    /// When it cannot be read, or others can.
    fn identity(&self) -> Result<IdentityKey, Error>;

    /// Decides whether the node takes a message from its sender.
    ///
    /// # Errors
    /// When the message is not for this node, or its sender is not authorized.
    fn admit(&self, message: Valid, window: &Window) -> Result<Authorized, Error>;

    /// Keeps other programs from changing what this node knows of a peer, as long as the locks
    /// live.
    ///
    /// # Errors
    /// When the node cannot be locked.
    fn lock_peer(&self, peer: NodeId) -> Result<Vec<Lock>, Error>;

    /// The same for the sender of a message, whether it is known or not.
    ///
    /// # Errors
    /// As [`Keyring::lock_peer`].
    fn lock_sender(&self, sender: &Certificate) -> Result<Vec<Lock>, Error> {
        self.lock_peer(sender.id())
    }

    /// What the replay memory says of a message with this identity.
    ///
    /// # Errors
    /// When it cannot be read.
    fn recall(&self, message: &ReplayKey) -> Result<Recall, Error>;

    /// The session keys under this id that `peer` may have sealed to.
    ///
    /// # Errors
    /// When one cannot be read, or others can read it.
    fn session_keys(&self, peer: NodeId, id: &KeyId) -> Result<Vec<PrivateSessionKey>, Error>;

    /// What the peer is called here, if it has a name.
    fn peer_name(&self, peer: NodeId) -> Option<String>;

    /// Remembers what an opened message says of the session: the key to answer under, and which of
    /// ours it used.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn advance_session(
        &self,
        sender: &Certificate,
        key: &PublicSessionKey,
        used: &KeyId,
        date: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error>;

    /// Remembers a message, so that it is not taken again.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn remember(&self, message: &ReplayKey) -> Result<(), Error>;

    /// Everything that is needed to seal a message to this peer.
    ///
    /// # Errors
    /// When the peer is unknown, has not authorized this node, or no session key is known.
    fn correspondent(&self, peer: NodeId, now: Timestamp) -> Result<Correspondent, Error>;

    /// Everything that is needed to ask a gateway for cargo: it certified this node.
    ///
    /// # Errors
    /// When the gateway is unknown or did not certify this node, or no session key is known.
    fn registrar(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error>;

    /// Everything that is needed to send cargo to a gateway, which certified this node or authorized it
    /// to send cargo.
    ///
    /// # Errors
    /// When the gateway is unknown or did neither, or no session key is known.
    fn carrier(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error>;

    /// Lets a gateway that is known here send cargo to this node for `valid_for`.
    ///
    /// # Errors
    /// When the authorization cannot be made or stored.
    fn authorize_carrier(
        &self,
        gateway: NodeId,
        now: Timestamp,
        valid_for: SignedDuration,
    ) -> Result<Certificate, Error>;

    /// The peer's session key of the latest date: the one that it sent in a message of `date`, or the
    /// one that is known.
    ///
    /// # Errors
    /// When that cannot be read.
    fn newest_session_key(
        &self,
        peer: NodeId,
        sent: &PublicSessionKey,
        date: Timestamp,
    ) -> Result<PublicSessionKey, Error>;

    /// The session key that a message of `date` carries, stored before it is given out.
    ///
    /// # Errors
    /// When it cannot be made or stored.
    fn originator_key(
        &self,
        peer: NodeId,
        curve: Curve,
        date: Timestamp,
    ) -> Result<PrivateSessionKey, Error>;
}
