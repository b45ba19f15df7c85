//! [`Keyring`]: the interface to a node for sealing and opening.

use jiff::{SignedDuration, Timestamp};

use super::ciphertexts::Ciphertext;
use super::sessions::OriginatorKey;
use super::{Claim, Error, Recall, ReplayKey};
use crate::crypto::ecdh::Curve;
use crate::disk::Lock;
use crate::pki::{Certificate, IdentityKey, NodeId, Window};
use crate::ramf::{Authorized, InternetAddress, SignedMessage, Valid};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

/// A peer that a message can be sealed to.
#[derive(Debug)]
pub struct Correspondent {
    /// The peer's id.
    pub id: NodeId,
    /// Its name for diagnostics.
    pub name: String,
    /// The Internet address of the peer or of its gateway; without one, a parcel travels by courier
    /// only.
    pub address: Option<InternetAddress>,
    /// The session key to seal to.
    pub session_key: PublicSessionKey,
    /// The certificates to attach to a message: the signer's first, then its issuers'.
    pub certificates: Vec<Certificate>,
}

/// The identity, trust, peers and session keys of a node.
pub trait Keyring: Sync {
    /// The node's id; `None` if only its session key is known.
    fn node(&self) -> Option<NodeId>;

    /// The node's identity key.
    ///
    /// # Errors
    /// When it cannot be read, or others can read it.
    fn identity(&self) -> Result<IdentityKey, Error>;

    /// Checks that a message is for this node, and that its sender is authorized to send it.
    ///
    /// # Errors
    /// When the message is not for this node, or its sender is not authorized.
    fn admit(&self, message: Valid, window: &Window) -> Result<Authorized, Error>;

    /// Locks the data of a peer against other programs, until the locks are dropped.
    ///
    /// # Errors
    /// When the node cannot be locked.
    fn lock_peer(&self, peer: NodeId) -> Result<Vec<Lock>, Error>;

    /// Locks the data of a message's sender, whether it is a peer or not.
    ///
    /// # Errors
    /// As [`Keyring::lock_peer`].
    fn lock_sender(&self, sender: &Certificate) -> Result<Vec<Lock>, Error> {
        self.lock_peer(sender.id())
    }

    /// Claims the messages of a sender, while one is handed out; `None` where nothing is remembered.
    ///
    /// # Errors
    /// [`ReplayError::Claimed`](super::ReplayError::Claimed) when another run has the claim. It is
    /// not waited for: it may be that of the relay-deliver whose command this run belongs to.
    fn claim_sender(&self, _sender: NodeId) -> Result<Option<Claim>, Error> {
        Ok(None)
    }

    /// Records who was first to send this ciphertext, and returns the sender if that is another;
    /// `None` where nothing is remembered.
    ///
    /// # Errors
    /// When that cannot be read or stored.
    fn first_sender(&self, _ciphertext: &Ciphertext) -> Result<Option<NodeId>, Error> {
        Ok(None)
    }

    /// Looks a message up in the replay memory.
    ///
    /// # Errors
    /// When it cannot be read.
    fn recall(&self, message: &ReplayKey) -> Result<Recall, Error>;

    /// Counts a parcel against the rate of its sender's authorization, unless it was counted before.
    ///
    /// # Errors
    /// [`AuthorizationError::OverRate`](super::AuthorizationError::OverRate) when the sender has sent as
    /// many as it may; when the parcels that were counted cannot be read or stored.
    fn count(&self, parcel: &SignedMessage) -> Result<(), Error>;

    /// Our private session keys with this id that `peer` may have sealed to.
    ///
    /// # Errors
    /// When one cannot be read, or others can read it.
    fn session_keys(&self, peer: NodeId, id: &KeyId) -> Result<Vec<PrivateSessionKey>, Error>;

    /// The peer's name here, if it has one.
    fn peer_name(&self, peer: NodeId) -> Option<String>;

    /// Stores the effect of an opened message on the session: `key` is the one to seal answers to,
    /// `used` is ours that the message was sealed to.
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

    /// Adds a message to the replay memory, so that it is not accepted again.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn remember(&self, message: &ReplayKey) -> Result<(), Error>;

    /// The data for sealing a message to this peer.
    ///
    /// # Errors
    /// When the peer is unknown, has not authorized this node, or no session key is known.
    fn correspondent(&self, peer: NodeId, now: Timestamp) -> Result<Correspondent, Error>;

    /// The data for requesting cargo from a gateway that certified this node.
    ///
    /// # Errors
    /// When the gateway is unknown or did not certify this node, or no session key is known.
    fn registrar(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error>;

    /// The data for sending cargo to a gateway that certified this node or authorized it to send
    /// cargo.
    ///
    /// # Errors
    /// When the gateway is unknown or did neither, or no session key is known.
    fn carrier(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error>;

    /// Issues a certificate under which a known gateway may send cargo to this node for
    /// `valid_for`.
    ///
    /// # Errors
    /// When the authorization cannot be made or stored.
    fn authorize_carrier(
        &self,
        gateway: NodeId,
        now: Timestamp,
        valid_for: SignedDuration,
    ) -> Result<Certificate, Error>;

    /// The newer of two session keys of a peer: the stored one, or `sent`, which came in a message
    /// of `date`.
    ///
    /// # Errors
    /// When the stored one cannot be read.
    fn newest_session_key(
        &self,
        peer: NodeId,
        sent: &PublicSessionKey,
        date: Timestamp,
    ) -> Result<PublicSessionKey, Error>;

    /// Our session key for the answer, which a message of `date` carries. It is on disk when this
    /// returns.
    ///
    /// # Errors
    /// When it cannot be made or stored.
    fn originator_key(
        &self,
        peer: NodeId,
        curve: Curve,
        date: Timestamp,
    ) -> Result<OriginatorKey, Error>;
}
