//! Registrations: the certificates that a gateway gives endpoints, and other gateways.

use jiff::{SignedDuration, Timestamp};

use super::AuthorizationError;
use super::authorizations::{kept_until, store_issued};
use super::{Directory, Error, Keyring, NodeType, certificates, sessions};
use crate::disk::{FileRole, files};
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::message::{CertificationPath, Registration};
use crate::pki::issuance::{self, CertificateRole};
use crate::pki::{NodeId, PublicKey, Window};
use crate::ramf::InternetAddress;

/// Options of a registration.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationOptions {
    /// When it is given.
    pub now: Timestamp,
    /// How long it is to last.
    pub valid_for: SignedDuration,
    /// What is registered; a gateway with an Internet address registers gateways, others endpoints.
    pub node_type: Option<NodeType>,
}

/// A new registration.
#[derive(Debug)]
pub struct IssuedRegistration {
    /// The object for the node to import.
    pub registration: Registration,
    /// Whether a gateway has certified this one, or it is on the Internet itself; otherwise what is
    /// registered here is reached only by gateways that peer with this one.
    pub has_gateway: bool,
}

/// Registers the holder of `key`: makes its certificate and, for a gateway, a session key bound to it,
/// stores both, and gives the registration that carries them.
///
/// # Errors
/// When this node is no gateway, or they cannot be made or stored.
pub fn give(
    node: &Directory,
    key: &PublicKey,
    options: &RegistrationOptions,
) -> Result<IssuedRegistration, Error> {
    node.check_is_gateway()?;
    let own_address = node.config().address();
    let default_type = match own_address {
        Some(_) => NodeType::Gateway,
        None => NodeType::Endpoint,
    };
    let node_type = options.node_type.unwrap_or(default_type);
    let end = options.now + options.valid_for;
    let (issuer, gateway) = certificates::issuing_path(node, options.now, end)?;
    let gateway_address = match gateway {
        Some(gateway) => node.peer(gateway)?.and_then(|gateway| gateway.address),
        None => own_address,
    };
    let start = options.now - issuance::BACKDATED;
    let role = match node_type {
        NodeType::Gateway => CertificateRole::Gateway,
        NodeType::Endpoint => CertificateRole::Endpoint,
    };
    let validity = (start, end.min(start + issuance::MAX_LIFE));
    let leaf = issuance::issue(&node.identity()?, Some(&issuer.leaf), key, role, validity)?;
    // Nothing of the node is stored before everything that can be refused is done.
    node.pin_identity(key)?;
    node.adopt_unknown_sender(key, &Window::new(options.now, SignedDuration::ZERO))?;
    let session_key = match node_type {
        NodeType::Endpoint => None,
        NodeType::Gateway => {
            let kept_until = kept_until(leaf.not_before(), options.now);
            let start = leaf.not_before();
            let key = sessions::create_initial(node.root(), Some(key.id()), start, kept_until)?;
            Some(key.public().clone())
        }
    };
    let gateway_certificate = issuer.leaf.clone();
    let path = CertificationPath {
        leaf,
        authorities: issuer.iter().cloned().collect(),
    };
    store_issued(node, key.id(), "registered", &path)?;
    Ok(IssuedRegistration {
        has_gateway: gateway_address.is_some(),
        registration: Registration {
            node: path.leaf,
            gateway: gateway_certificate,
            gateway_address: gateway_address.unwrap_or_else(InternetAddress::nowhere),
            session_key,
        },
    })
}

/// Promises to register the holder of `key` until `expiry`; nothing is stored.
///
/// # Errors
/// When this node is no gateway, or its key cannot be read.
pub fn promise(
    node: &Directory,
    key: &PublicKey,
    expiry: Timestamp,
) -> Result<RegistrationAuthorization, Error> {
    node.check_is_gateway()?;
    Ok(RegistrationAuthorization::sign(
        &node.identity()?,
        key,
        expiry,
    )?)
}

/// Checks that a request is the answer to a promise of this gateway, which still holds, by the node that
/// it was given to. No drift of clocks is allowed for.
///
/// # Errors
/// When it is not.
pub fn check_request(
    node: &Directory,
    request: &RegistrationRequest,
    now: Timestamp,
) -> Result<(), Error> {
    node.check_is_gateway()?;
    request.authorization.verify(node.public())?;
    request.verify()?;
    if !request.authorization.is_for(&request.node) {
        return Err(Error::Authorization(AuthorizationError::ForeignPromise));
    }
    if request.authorization.expiry < now {
        return Err(Error::Authorization(AuthorizationError::PromiseExpired(
            request.authorization.expiry,
        )));
    }
    Ok(())
}

/// Whether this gateway ever registered a node.
///
/// # Errors
/// When that cannot be learned.
pub fn is_registered(node: &Directory, peer: NodeId) -> Result<bool, Error> {
    let folder = node.peer_dir(peer).join("registered");
    Ok(files::exists(&folder, FileRole::Node)?)
}
