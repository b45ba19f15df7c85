//! Registrations: certificates that a gateway issues to endpoints, and to other gateways.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::AuthorizationError;
use super::authorizations::kept_until;
use super::issued::{self, IssuedKind, IssuedPath, IssuedTerms};
use super::peer_files::registered_folder;
use super::{Directory, Error, Keyring, NodeType, certificates, sessions};
use crate::disk::{FileRole, files};
use crate::message::registration::{RegistrationAuthorization, RegistrationRequest};
use crate::message::{CertificationPath, Registration};
use crate::pki::issuance::{self, CertificateRole};
use crate::pki::{NodeId, PublicKey, Window};
use crate::ramf::InternetAddress;
use crate::session::PublicSessionKey;

/// Options of a registration.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationOptions {
    /// The time of issue.
    pub now: Timestamp,
    /// How long it lasts.
    pub valid_for: SignedDuration,
    /// The type of node to register; by default, Internet gateways register gateways, and others
    /// endpoints.
    pub node_type: Option<NodeType>,
}

/// A new registration.
#[derive(Debug)]
pub struct IssuedRegistration {
    /// The object for the node to import.
    pub registration: Registration,
    /// Whether a gateway has certified this one, or it is on the Internet itself. Otherwise nodes
    /// registered here are reached only by gateways that peer with this one.
    pub has_gateway: bool,
}

/// Registers the holder of `key`: issues its certificate, makes a session key bound to it if it is
/// a gateway, stores both, and returns the registration that carries them.
///
/// # Errors
/// When this node is not a gateway, or they cannot be made or stored.
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
    let terms = IssuedTerms {
        valid_for: options.valid_for,
        is_once: false,
    };
    let (path, has_gateway) = certify(node, key, node_type, &terms, options.now)?;
    // From here on, files of the node are stored, so everything that may be refused comes before.
    node.pin_identity(key)?;
    node.expect_mail(key.id(), true)?;
    node.note_tried(key.id())?;
    node.adopt_unknown_sender(key, &Window::new(options.now, SignedDuration::ZERO))?;
    // Only gateways send cargo and CCAs to this node, which are sealed to that key.
    let session_key = match node_type {
        NodeType::Endpoint => None,
        NodeType::Gateway => {
            let start = path.leaf.not_before();
            let kept_until = kept_until(start, options.now);
            let key = sessions::create_initial(node, Some(key.id()), start, kept_until)?;
            Some(key.public().clone())
        }
    };
    issued::store_path(node, key.id(), IssuedKind::Registered, &path, &terms)?;
    Ok(IssuedRegistration {
        has_gateway,
        registration: object_of(node, &path, session_key)?,
    })
}

/// Issues the certificate of a node behind this gateway. Returns also whether an Internet gateway
/// leads to it.
fn certify(
    node: &Directory,
    key: &PublicKey,
    node_type: NodeType,
    terms: &IssuedTerms,
    now: Timestamp,
) -> Result<(CertificationPath, bool), Error> {
    let end = now + terms.valid_for;
    let (issuer, gateway) = certificates::issuing_path(node, now, end)?;
    let has_gateway = match gateway {
        Some(gateway) => node.peer(gateway)?.is_some_and(|it| it.address.is_some()),
        None => node.config().address().is_some(),
    };
    let start = now - issuance::BACKDATED;
    let role = match node_type {
        NodeType::Gateway => CertificateRole::Gateway,
        NodeType::Endpoint => CertificateRole::Endpoint,
    };
    let validity = (start, end.min(start + issuance::MAX_LIFE));
    let leaf = issuance::issue(&node.identity()?, Some(&issuer.leaf), key, role, validity)?;
    let path = CertificationPath {
        leaf,
        authorities: issuer.iter().cloned().collect(),
    };
    Ok((path, has_gateway))
}

/// The registration that carries a certificate to its node.
///
/// # Errors
/// When the path has no issuer, or our own gateway cannot be read.
pub fn object_of(
    node: &Directory,
    path: &CertificationPath,
    session_key: Option<PublicSessionKey>,
) -> Result<Registration, Error> {
    let own = path.authorities.first();
    let own = own.ok_or(crate::asn1::Error::Value("certification path"))?;
    Ok(Registration {
        node: path.leaf.clone(),
        gateway: own.clone(),
        gateway_address: node
            .address_above(own)?
            .unwrap_or_else(InternetAddress::nowhere),
        session_key,
    })
}

/// Issues the next certificate of a registered node, and stores it as one that the node is still to
/// get. The caller holds the node's exclusive lock.
///
/// # Errors
/// When it cannot be issued or stored.
pub fn renew(
    node: &Directory,
    key: &PublicKey,
    newest: &IssuedPath,
    now: Timestamp,
) -> Result<CertificationPath, Error> {
    let node_type = if newest.path.leaf.is_endpoint() {
        NodeType::Endpoint
    } else {
        NodeType::Gateway
    };
    let (path, _) = certify(node, key, node_type, &newest.terms, now)?;
    issued::store_renewed(node, key.id(), IssuedKind::Registered, &path, &newest.terms)?;
    Ok(path)
}

/// Promises to register the holder of `key` until `expiry`. Nothing is stored.
///
/// # Errors
/// When this node is not a gateway, or its key cannot be read.
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

/// Checks that a request answers a promise of this gateway which still holds, and comes from the
/// node that got the promise. No clock drift is allowed.
///
/// # Errors
/// When it does not.
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

/// Whether this gateway has ever registered a node.
///
/// # Errors
/// When its directory cannot be examined.
pub fn is_registered(node: &Directory, peer: NodeId) -> Result<bool, Error> {
    is_known(node.root(), peer)
}

/// As [`is_registered`], of the gateway whose directory is `root`.
///
/// # Errors
/// As [`is_registered`].
pub fn is_known(root: &Path, peer: NodeId) -> Result<bool, Error> {
    Ok(files::exists(
        &registered_folder(root, peer),
        FileRole::Node,
    )?)
}

/// The certificates that this gateway issued to a node; the one that ends last comes first.
///
/// # Errors
/// When one cannot be read.
pub fn given_to(node: &Directory, peer: NodeId) -> Result<Vec<CertificationPath>, Error> {
    certificates::paths_in(&registered_folder(node.root(), peer))
}
