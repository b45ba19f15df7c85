//! The [`Keyring`] of a node directory.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::ciphertexts::Ciphertext;
use super::files::damaged;
use super::peers::{Peer, short_id};
use super::private_keys::IDENTITY;
use super::revocations::RevocationQuery;
use super::sessions::OriginatorKey;
use super::{AuthorizationError, PeerError, ReplayError, SessionKeyError};
use super::{
    Claim, Correspondent, Directory, Error, Keyring, RateClaim, Rates, Recall, ReplayKey,
    Revocations,
};
use super::{authorizations, certificates, ciphertexts, issued, seen, sessions, unknown_senders};
use crate::crypto::ecdh::Curve;
use crate::disk::Lock;
use crate::pki::{Certificate, IdentityKey, NodeId, Trust, Window};
use crate::ramf::{Authorized, Kind, SignedMessage, Valid};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

impl Directory {
    /// Checks that a sender which we certified may send cargo and CCAs: it is known, and not an
    /// endpoint.
    fn check_carrier(&self, sender: &Certificate) -> Result<(), Error> {
        if !self.knows(sender.id())? {
            return Err(Error::Authorization(AuthorizationError::UnknownCarrier(
                sender.id(),
            )));
        }
        if sender.is_endpoint() {
            return Err(Error::Authorization(AuthorizationError::EndpointCarrier(
                sender.id(),
            )));
        }
        Ok(())
    }

    /// As [`Keyring::admit`], for a message that this node stored at this time. Whether its
    /// authorization is revoked is asked for a window of its own.
    pub(crate) fn admit_stored(
        &self,
        message: Valid,
        window: &Window,
        revocations: &Revocations,
        (stored, at): (Timestamp, &Window),
    ) -> Result<Authorized, Error> {
        message.check_recipient(self.id())?;
        let query = RevocationQuery {
            issuer: self.id(),
            leaf: message.message().sender_certificate(),
            attached: message.message().attached(),
            stored,
        };
        revocations.check(&query, at)?;
        let is_parcel = message.message().kind() == Kind::Parcel;
        // An Internet endpoint accepts parcels from anybody, but cargo only from those that it
        // authorized.
        if self.config().address().is_some() && is_parcel {
            return Ok(message.from_anybody());
        }
        let message = message.authorize(&Trust::key(self.public().clone()), &[], window)?;
        if !is_parcel {
            self.check_carrier(message.message().sender_certificate())?;
        }
        Ok(message)
    }

    /// The session key to seal messages for a peer to.
    fn sealed_to(&self, peer: &Peer, now: Timestamp) -> Result<PublicSessionKey, Error> {
        let stored = self
            .session_key_of(peer.id)?
            .ok_or_else(|| Error::SessionKey(SessionKeyError::Missing(peer.label())))?;
        match stored.sealed_until.filter(|until| *until < now) {
            Some(at) => Err(Error::SessionKey(SessionKeyError::Expired {
                peer: peer.label(),
                at,
            })),
            None => Ok(stored.key),
        }
    }

    /// Takes the shared lock of the node, then that of a peer or of all unknown senders.
    fn lock_node_and(
        &self,
        peer: NodeId,
        sender: Option<&Certificate>,
    ) -> Result<Vec<Lock>, Error> {
        let node = self.lock_shared()?;
        let is_ours = |sender: &Certificate| sender.verify_signature(self.public()).is_ok();
        // Anybody may write to an Internet node, and each lock is a file, so unknown senders share
        // one. A node that we certified has its own, which is the same before and after it becomes
        // a peer.
        let name = if self.knows(peer)? || sender.is_some_and(is_ours) {
            format!("peer.{peer}")
        } else {
            "strangers".to_owned()
        };
        let peer = Lock::exclusive(&self.lock_file(&name)?)?;
        Ok(vec![node, peer])
    }

    /// The data for answering an unknown sender that sent an authorization.
    fn unknown_sender(&self, id: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        let heard = unknown_senders::newest(self.root(), id)?;
        let heard = heard.ok_or_else(|| Error::Peer(PeerError::Unknown(id.to_string())))?;
        let name = short_id(id);
        let Some(authorization) = heard.authorization else {
            return Err(Error::Authorization(AuthorizationError::NotAuthorized(
                name,
            )));
        };
        let revocations = Revocations::of(self)?;
        let held = authorizations::judge_held(&authorization.path, id, &revocations, now)?;
        let certificates = held.certificates(&name)?.unwrap_or_default();
        Ok(Correspondent {
            id,
            name,
            address: authorization.address,
            session_key: heard.key,
            certificates,
        })
    }
}

impl Keyring for Directory {
    fn node(&self) -> Option<NodeId> {
        Some(self.id())
    }

    fn identity(&self) -> Result<IdentityKey, Error> {
        let key = self.read_identity_key()?;
        if key.id() == self.id() {
            Ok(key)
        } else {
            let path = self.root().join(IDENTITY);
            Err(damaged(&path, &"not the private half of identity.pub"))
        }
    }

    fn admit(&self, message: Valid, window: &Window) -> Result<Authorized, Error> {
        let revocations = Revocations::of(self)?;
        self.admit_stored(message, window, &revocations, (Timestamp::MAX, window))
    }

    fn lock_peer(&self, peer: NodeId) -> Result<Vec<Lock>, Error> {
        self.lock_node_and(peer, None)
    }

    fn lock_sender(&self, sender: &Certificate) -> Result<Vec<Lock>, Error> {
        self.lock_node_and(sender.id(), Some(sender))
    }

    fn claim_sender(&self, sender: NodeId) -> Result<Option<Claim>, Error> {
        let mut patience = Duration::ZERO;
        match self.claim(sender, &mut patience)? {
            Some(claim) => Ok(Some(claim)),
            None => Err(Error::Replay(ReplayError::Claimed(self.label_of(sender)))),
        }
    }

    fn first_sender(&self, ciphertext: &Ciphertext) -> Result<Option<NodeId>, Error> {
        let others = ciphertexts::record(self.root(), &[ciphertext])?;
        Ok(others.into_iter().flatten().next())
    }

    fn recall(&self, message: &ReplayKey) -> Result<Recall, Error> {
        seen::recall(self.root(), message)
    }

    fn count(&self, parcel: &SignedMessage) -> Result<(), Error> {
        // An endpoint sees a parcel long after it was sent, whatever its gateway is.
        let Some(claim) = RateClaim::of(parcel, None) else {
            return Ok(());
        };
        let mut rates = Rates::of(self.root());
        if !rates.count(&claim)? {
            return Err(Error::Authorization(AuthorizationError::OverRate(
                claim.limit(),
            )));
        }
        rates.store()
    }

    fn session_keys(&self, peer: NodeId, id: &KeyId) -> Result<Vec<PrivateSessionKey>, Error> {
        sessions::find(self.root(), peer, id)?
            .iter()
            .map(|stored| stored.key(self))
            .collect()
    }

    fn peer_name(&self, peer: NodeId) -> Option<String> {
        self.peer(peer).ok().flatten().and_then(|peer| peer.name)
    }

    fn advance_session(
        &self,
        sender: &Certificate,
        key: &PublicSessionKey,
        used: &KeyId,
        date: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let peer = sender.id();
        issued::note_use(self, sender)?;
        // A forgotten peer does not become a peer again by sending a message.
        if self.knows(peer)? {
            self.offer_session_key(peer, key, date, None)?;
        } else {
            let heard = unknown_senders::Heard {
                key: key.clone(),
                date,
                authorization: None,
            };
            unknown_senders::store(self, peer, heard, now)?;
        }
        sessions::mark_used(self, peer, used, date, now)
    }

    fn remember(&self, message: &ReplayKey) -> Result<(), Error> {
        seen::add(self.root(), message)
    }

    fn correspondent(&self, peer: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        let Some(peer) = self.peer(peer)? else {
            return self.unknown_sender(peer, now);
        };
        let name = peer.label();
        let session_key = self.sealed_to(&peer, now)?;
        let held = authorizations::newest_held(self, peer.id, &Revocations::of(self)?, now)?;
        let certificates = match held.certificates(&name)? {
            Some(certificates) => certificates,
            // An Internet endpoint accepts messages from anybody, under the sender's self-issued
            // certificate.
            None if peer.address.is_some() => vec![certificates::self_issued(self, now)?],
            None => {
                return Err(Error::Authorization(AuthorizationError::NotAuthorized(
                    name,
                )));
            }
        };
        Ok(Correspondent {
            id: peer.id,
            name,
            address: peer.address,
            session_key,
            certificates,
        })
    }

    fn registrar(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        self.check_is_gateway()?;
        let gateway = self.known_peer(gateway)?;
        let name = gateway.label();
        let certificate = certificates::registration_with(self, gateway.id, &name, now)?;
        Ok(Correspondent {
            id: gateway.id,
            session_key: self.sealed_to(&gateway, now).map_err(|error| match error {
                Error::SessionKey(SessionKeyError::Expired { peer, at }) => {
                    Error::SessionKey(SessionKeyError::RegistrationExpired { peer, at })
                }
                other => other,
            })?,
            name,
            address: gateway.address,
            certificates: vec![certificate],
        })
    }

    fn carrier(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        let registered = self.registrar(gateway, now);
        let Err(
            refusal @ Error::Authorization(
                AuthorizationError::NotRegistered(_)
                | AuthorizationError::RegistrationExpired { .. },
            ),
        ) = registered
        else {
            return registered;
        };
        let gateway = self.known_peer(gateway)?;
        let name = gateway.label();
        let held = authorizations::newest_held(self, gateway.id, &Revocations::of(self)?, now)?;
        let Some(certificates) = held.certificates(&name)? else {
            return Err(match refusal {
                Error::Authorization(AuthorizationError::NotRegistered(name)) => {
                    Error::Authorization(AuthorizationError::NotCarrier(name))
                }
                expired => expired,
            });
        };
        Ok(Correspondent {
            id: gateway.id,
            session_key: self.sealed_to(&gateway, now)?,
            name,
            address: None,
            certificates,
        })
    }

    fn authorize_carrier(
        &self,
        gateway: NodeId,
        now: Timestamp,
        valid_for: SignedDuration,
    ) -> Result<Certificate, Error> {
        authorizations::give_carrier(self, gateway, now, valid_for)
    }

    fn newest_session_key(
        &self,
        peer: NodeId,
        sent: &PublicSessionKey,
        date: Timestamp,
    ) -> Result<PublicSessionKey, Error> {
        Ok(match self.session_key_of(peer)? {
            // Connection parameters have no date, so a key from a message is newer than one from
            // those.
            Some(stored) if !stored.is_undated && stored.date >= date => stored.key,
            _ => sent.clone(),
        })
    }

    fn originator_key(
        &self,
        peer: NodeId,
        curve: Curve,
        date: Timestamp,
    ) -> Result<OriginatorKey, Error> {
        sessions::current(self, peer, curve, date)
    }
}
