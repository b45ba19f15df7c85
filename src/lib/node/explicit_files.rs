//! A node made of the files that options name. No other file is read, and nothing is remembered.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::key_file::{self, Headers};
use super::sessions::OriginatorKey;
use super::{Correspondent, Error, Keyring, Recall, ReplayKey, authorizations};
use super::{ImportError, PeerError, SessionKeyError};
use crate::crypto::ecdh::Curve;
use crate::disk::{self, FileRole, Lock};
use crate::message::{
    CertificationPath, NodeConnectionParams, PrivateEndpointConnectionParams, Registration,
};
use crate::pki::issuance::{self, CertificateRole};
use crate::pki::{Certificate, IdentityKey, NodeId, Trust, Window};
use crate::ramf::{Authorized, SignedMessage, Valid};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

/// The parameters of the recipient.
pub enum Params {
    /// Of a node with an Internet address, which accepts messages from anybody.
    Internet(NodeConnectionParams),
    /// Of a private endpoint, with its authorization.
    Private(Box<PrivateEndpointConnectionParams>),
    /// Of a gateway that certified this node.
    Registration(Box<Registration>),
}

impl Params {
    /// The node that they describe.
    fn peer(&self) -> NodeId {
        match self {
            Self::Internet(params) => params.identity.id(),
            Self::Private(params) => params.identity.id(),
            Self::Registration(registration) => registration.gateway.id(),
        }
    }
}

/// Reads the private session key. Called for each use, since keys have no `Clone`.
pub type ReadSessionKey = Box<dyn Fn() -> Result<PrivateSessionKey, Error> + Send + Sync>;

/// Explicit files in place of a node directory.
#[derive(Default)]
pub struct ExplicitFiles {
    /// Our identity key, as PKCS#8.
    pub identity: Option<crate::crypto::Secret>,
    /// The node that messages must be for.
    pub recipient: Option<NodeId>,
    /// The trust anchors of senders.
    pub trust: Trust,
    /// Intermediate certificates for paths to the anchors.
    pub chain: Vec<Certificate>,
    /// Whether messages from any sender are accepted.
    pub any_sender: bool,
    /// Our private session key.
    pub session_key: Option<ReadSessionKey>,
    /// Whether that key has its real id. If not, it is tried for every message, whatever key id it
    /// names.
    pub session_key_has_id: bool,
    /// The parameters of the recipient.
    pub params: Option<Params>,
    /// Our own certification path.
    pub certificate: Option<CertificationPath>,
    /// The file for a new session key.
    pub save_session_key: Option<PathBuf>,
}

impl ExplicitFiles {
    /// Our certification path: the given one, or a self-issued certificate made now.
    fn own_certificates(&self, now: Timestamp) -> Result<Vec<Certificate>, Error> {
        let identity = self.identity()?;
        if let Some(path) = &self.certificate {
            if path.leaf.id() != identity.id() {
                return Err(Error::Import(ImportError::ForAnotherNode(path.leaf.id())));
            }
            return Ok(path.iter().cloned().collect());
        }
        let start = now - issuance::BACKDATED;
        let validity = (start, start + issuance::MAX_LIFE);
        Ok(vec![issuance::issue(
            &identity,
            None,
            identity.public(),
            CertificateRole::Endpoint,
            validity,
        )?])
    }

    /// Checks that the parameters were made for this node.
    ///
    /// # Errors
    /// [`ImportError::ForAnotherNode`] when they were made for another one.
    pub fn check_params(&self) -> Result<(), Error> {
        match &self.params {
            Some(Params::Private(params)) if self.certificate.is_none() => {
                self.check_holder(&params.authorization.leaf)
            }
            Some(Params::Registration(registration)) => self.check_holder(&registration.node),
            _ => Ok(()),
        }
    }

    /// The only peer that can be sealed to: the one that the parameters describe.
    ///
    /// # Errors
    /// [`Error::Needs`] without parameters.
    pub fn peer(&self) -> Result<NodeId, Error> {
        let params = self.params.as_ref();
        Ok(params.ok_or(Error::Needs("--params"))?.peer())
    }

    /// The parameters, if they describe `peer`.
    ///
    /// # Errors
    /// [`Error::Needs`] without parameters, [`PeerError::Unknown`] when they describe another node.
    fn params_of(&self, peer: NodeId) -> Result<&Params, Error> {
        let params = self.params.as_ref().ok_or(Error::Needs("--params"))?;
        if params.peer() == peer {
            Ok(params)
        } else {
            Err(Error::Peer(PeerError::Unknown(peer.to_string())))
        }
    }

    /// A copy of the trust anchors, for another policy.
    #[must_use]
    pub fn trust_anew(&self) -> Trust {
        let mut trust = Trust::certificates(self.trust.certificates.clone());
        trust.keys.clone_from(&self.trust.keys);
        trust
    }

    fn check_holder(&self, certificate: &Certificate) -> Result<(), Error> {
        if certificate.id() == self.identity()?.id() {
            Ok(())
        } else {
            Err(Error::Import(ImportError::ForAnotherNode(certificate.id())))
        }
    }

    /// The gateway of a registration, to send under the certificate that it issued.
    fn registrar_of(registration: &Registration) -> Result<Correspondent, Error> {
        registration.verify()?;
        let id = registration.gateway.id();
        let name = super::peers::short_id(id);
        let session_key = registration
            .session_key
            .clone()
            .ok_or_else(|| Error::SessionKey(SessionKeyError::Missing(name.clone())))?;
        Ok(Correspondent {
            id,
            name,
            address: Some(registration.gateway_address.clone())
                .filter(|address| !address.is_nowhere()),
            session_key,
            certificates: vec![registration.node.clone()],
        })
    }

    /// Makes a session key, and stores it in the file [`ExplicitFiles::save_session_key`]. Without
    /// that, an answer cannot be opened.
    ///
    /// # Errors
    /// When it cannot be made or stored, or the file exists.
    pub fn new_session_key(&self, curve: Curve) -> Result<PrivateSessionKey, Error> {
        let key = PrivateSessionKey::generate(curve)?;
        if let Some(path) = &self.save_session_key {
            let text = key_file::private_to_text(&key, &Headers::default(), None)?;
            disk::publish::publish_key(path, FileRole::Output, &[text.as_bytes()]).map_err(
                |cause| {
                    Error::SessionKey(SessionKeyError::NotSaved {
                        path: path.clone(),
                        cause,
                    })
                },
            )?;
        }
        Ok(key)
    }
}

impl Keyring for ExplicitFiles {
    fn node(&self) -> Option<NodeId> {
        self.recipient
            .or_else(|| self.identity().ok().map(|key| key.id()))
    }

    fn identity(&self) -> Result<IdentityKey, Error> {
        let pkcs8 = self
            .identity
            .as_ref()
            .ok_or(Error::Needs("--identity-key"))?;
        Ok(IdentityKey::from_pkcs8(pkcs8.as_bytes())?)
    }

    fn admit(&self, message: Valid, window: &Window) -> Result<Authorized, Error> {
        if let Some(node) = self.node() {
            message.check_recipient(node)?;
        }
        if self.any_sender {
            return Ok(message.from_anybody());
        }
        Ok(message.authorize(&self.trust, &self.chain, window)?)
    }

    fn lock_peer(&self, _peer: NodeId) -> Result<Vec<Lock>, Error> {
        // Nothing of a peer is stored, so there is nothing to lock.
        Ok(Vec::new())
    }

    fn recall(&self, _message: &ReplayKey) -> Result<Recall, Error> {
        // Without a node directory there is no replay memory: the caller has to expect repetitions.
        Ok(Recall::New)
    }

    fn count(&self, _parcel: &SignedMessage) -> Result<(), Error> {
        Ok(())
    }

    fn session_keys(&self, _peer: NodeId, id: &KeyId) -> Result<Vec<PrivateSessionKey>, Error> {
        let read = self
            .session_key
            .as_ref()
            .ok_or(Error::Needs("--session-key"))?;
        let key = read()?;
        let counts = !self.session_key_has_id || key.id() == id;
        Ok(if counts { vec![key] } else { Vec::new() })
    }

    fn peer_name(&self, _peer: NodeId) -> Option<String> {
        None
    }

    fn advance_session(
        &self,
        _sender: &Certificate,
        _key: &PublicSessionKey,
        _used: &KeyId,
        _date: Timestamp,
        _now: Timestamp,
    ) -> Result<(), Error> {
        Ok(())
    }

    fn remember(&self, _message: &ReplayKey) -> Result<(), Error> {
        Ok(())
    }

    fn correspondent(&self, peer: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        match self.params_of(peer)? {
            Params::Internet(params) => Ok(Correspondent {
                id: params.identity.id(),
                name: params.address.to_string(),
                address: Some(params.address.clone()),
                session_key: params.session_key.clone(),
                certificates: self.own_certificates(now)?,
            }),
            Params::Registration(_) => Err(Error::Import(ImportError::Unsuitable(
                "a registration does not authorize anybody to receive parcels",
            ))),
            Params::Private(params) => {
                let id = params.identity.id();
                let path = self.certificate.as_ref().unwrap_or(&params.authorization);
                self.check_holder(&path.leaf)?;
                path.leaf.verify_signature(&params.identity)?;
                let name = super::peers::short_id(id);
                let certificates = authorizations::to_attach(path, id, now)?;
                let address =
                    Some(params.gateway_address.clone()).filter(|address| !address.is_nowhere());
                Ok(Correspondent {
                    id,
                    name,
                    address,
                    session_key: params.session_key.clone(),
                    certificates,
                })
            }
        }
    }

    fn registrar(&self, gateway: NodeId, _now: Timestamp) -> Result<Correspondent, Error> {
        match self.params_of(gateway)? {
            Params::Registration(registration) => Self::registrar_of(registration),
            _ => Err(Error::Needs("--params with a registration")),
        }
    }

    fn carrier(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        match self.params_of(gateway)? {
            Params::Registration(registration) => Self::registrar_of(registration),
            Params::Private(_) => {
                let mut gateway = self.correspondent(gateway, now)?;
                gateway.address = None;
                Ok(gateway)
            }
            Params::Internet(_) => Err(Error::Needs(
                "--params with a registration or an authorization",
            )),
        }
    }

    fn authorize_carrier(
        &self,
        _gateway: NodeId,
        now: Timestamp,
        valid_for: SignedDuration,
    ) -> Result<Certificate, Error> {
        let Some(Params::Registration(registration)) = &self.params else {
            return Err(Error::Needs("--params with a registration"));
        };
        let identity = self.identity()?;
        let own = super::certificates::issue_own(&identity, super::NodeType::Gateway, now)?;
        let issuer = CertificationPath {
            leaf: own,
            authorities: Vec::new(),
        };
        let key = registration.gateway.key();
        let path =
            authorizations::authorize(&identity, &issuer, key, None, (now, now + valid_for))?;
        Ok(path.leaf)
    }

    fn newest_session_key(
        &self,
        _peer: NodeId,
        sent: &PublicSessionKey,
        _date: Timestamp,
    ) -> Result<PublicSessionKey, Error> {
        Ok(sent.clone())
    }

    fn originator_key(
        &self,
        _peer: NodeId,
        curve: Curve,
        _date: Timestamp,
    ) -> Result<OriginatorKey, Error> {
        match &self.session_key {
            Some(read) => {
                let key = read()?;
                if key.public().curve() == curve {
                    Ok(key.into())
                } else {
                    Err(Error::Import(ImportError::Unsuitable(
                        "the session key is on another curve than the recipient's",
                    )))
                }
            }
            None => self.new_session_key(curve).map(OriginatorKey::from),
        }
    }
}
