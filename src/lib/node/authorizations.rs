//! Delivery authorizations: those that peers gave us, and those that we give.

use jiff::{SignedDuration, Timestamp};

use super::certificates::{self, path_file_name, path_to_pem, paths_in};
use super::files::{file_date, rely_on, store};
use super::{Directory, Error, Keyring, NodeType, sessions};
use crate::asn1::Hex;
use crate::disk::{FileRole, files, tree};
use crate::message::{CertificationPath, PrivateEndpointConnectionParams};
use crate::pki::issuance::{self, CertificateRole};
use crate::pki::path::Issuers;
use crate::pki::{self, Certificate, NodeId, PublicKey, Window};
use crate::ramf::{InternetAddress, limits};

/// How long the private half of a key that was handed out is kept: as long as it is sealed to, and
/// then as long as a message can live.
const INITIAL_KEPT_FOR: SignedDuration = SignedDuration::from_hours(240 * 24);

/// How many authorizations of a peer are kept, of those that it sends in parcels.
const MAX_HELD: usize = 4;

/// The authorizations that a peer gave us.
#[derive(Debug)]
pub enum HeldAuthorization {
    /// A valid authorization: the certificate to sign with, then those to attach.
    Valid(Vec<Certificate>),
    /// None is valid any more; when the last one stopped being so.
    Expired(Timestamp),
    /// There is one that is not valid yet; from when on it is.
    Early(Timestamp),
    /// There never was one.
    None,
}

/// The authorization from `peer` that lasts longest.
///
/// # Errors
/// When one cannot be read.
pub fn newest_held(
    node: &Directory,
    peer: NodeId,
    now: Timestamp,
) -> Result<HeldAuthorization, Error> {
    let mut ended = None;
    for path in paths_in(&node.peer_dir(peer).join("held"))? {
        match to_attach(&path, peer, now) {
            Ok(certificates) => return Ok(HeldAuthorization::Valid(certificates)),
            Err(pki::Error::Expired { at, .. }) => ended = ended.max(Some(at)),
            Err(pki::Error::Early { at, .. }) => return Ok(HeldAuthorization::Early(at)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ended.map_or(HeldAuthorization::None, HeldAuthorization::Expired))
}

/// The certificates of a message under this path, the signer's first: then its issuers, of each node
/// only one, and of roots only the recipient's own, which lets others see that it authorized the
/// sender. Deployed readers fail over an expired certificate even beside a good one.
///
/// # Errors
/// When the signer's certificate is not valid now, or none of one of its issuers is.
pub fn to_attach(
    path: &CertificationPath,
    recipient: NodeId,
    now: Timestamp,
) -> Result<Vec<Certificate>, pki::Error> {
    let window = Window::new(now, SignedDuration::ZERO);
    path.leaf.check_dates(&window)?;
    let issuers = Issuers {
        own: &path.authorities,
        ..Issuers::default()
    };
    let attached = issuers
        .of(&path.leaf, &window)?
        .into_iter()
        .filter(|issuer| !issuer.is_self_issued() || issuer.id() == recipient);
    Ok([&path.leaf].into_iter().chain(attached).cloned().collect())
}

/// Stores an authorization that `peer` gave us.
///
/// # Errors
/// When it cannot be stored.
pub fn store_held(node: &Directory, peer: NodeId, path: &CertificationPath) -> Result<(), Error> {
    let file = node
        .peer_dir(peer)
        .join("held")
        .join(path_file_name(&path.leaf));
    store(node.root(), &file, path_to_pem(path).as_bytes())
}

/// Relies on an authorization that is stored already.
///
/// # Errors
/// When its folder cannot be synced.
pub(super) fn rely_on_held(
    node: &Directory,
    peer: NodeId,
    leaf: &Certificate,
) -> Result<(), Error> {
    let held = node.peer_dir(peer).join("held");
    rely_on(&held.join(path_file_name(leaf)))
}

/// Removes those that end first of the authorizations that `peer` sent, who may send any number.
///
/// # Errors
/// When one cannot be removed.
pub(super) fn keep_few(node: &Directory, peer: NodeId) -> Result<(), Error> {
    let dir = node.peer_dir(peer).join("held");
    let mut names = tree::entries(&dir, FileRole::Node)?.entries;
    names.retain(|entry| entry.path.extension().is_some_and(|it| it == "pem"));
    // Their names begin with when they end.
    let surplus = names.len().saturating_sub(MAX_HELD);
    for entry in &names[..surplus] {
        files::remove_unsynced(&entry.path, FileRole::Node)?;
    }
    if surplus > 0 {
        files::sync_dir(&dir, FileRole::Node)?;
    }
    Ok(())
}

/// The authorizations that `peer` gave us, those that end last first.
///
/// # Errors
/// When one cannot be read.
pub fn held(node: &Directory, peer: NodeId) -> Result<Vec<CertificationPath>, Error> {
    paths_in(&node.peer_dir(peer).join("held"))
}

/// Removes every authorization that `peer` gave us but the one with this leaf.
///
/// # Errors
/// When a file cannot be removed.
pub fn keep_only(node: &Directory, peer: NodeId, leaf: &Certificate) -> Result<(), Error> {
    certificates::remove_others(&node.peer_dir(peer).join("held"), leaf)
}

/// The end of the last authorization or registration that `peer` gave us.
///
/// # Errors
/// When one cannot be read.
pub fn held_until(node: &Directory, peer: NodeId) -> Result<Option<Timestamp>, Error> {
    let held = paths_in(&node.peer_dir(peer).join("held"))?;
    let registrations = certificates::paths_from(node, peer)?;
    Ok(last_end(held).max(last_end(registrations)))
}

/// The end of the last authorization or registration that we gave `peer`.
///
/// # Errors
/// When one cannot be read.
pub fn given_until(node: &Directory, peer: NodeId) -> Result<Option<Timestamp>, Error> {
    let dir = node.peer_dir(peer);
    let given = paths_in(&dir.join("given"))?;
    let registrations = paths_in(&dir.join("registered"))?;
    Ok(last_end(given).max(last_end(registrations)))
}

fn last_end(paths: Vec<CertificationPath>) -> Option<Timestamp> {
    let ends = paths.into_iter().map(|path| path.leaf.not_after());
    ends.max()
}

/// Options of an authorization.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationOptions {
    /// When it is given.
    pub now: Timestamp,
    /// How long it is to last.
    pub valid_for: SignedDuration,
    /// Whether the peer will never be answered, so that its first session key must last as long.
    pub one_way: bool,
}

/// A new authorization.
#[derive(Debug)]
pub struct IssuedAuthorization {
    /// The object for the peer to import.
    pub params: PrivateEndpointConnectionParams,
    /// Whether a gateway has certified this node; otherwise its parcels come by hand, or by
    /// gateways that peer directly.
    pub has_gateway: bool,
}

/// Lets the holder of `key` send to this node: makes a certificate (PDA, or CDA on a gateway) and a
/// session key bound to that peer, stores both, and gives the parameters that carry them.
///
/// # Errors
/// When they cannot be made or stored.
pub fn give(
    node: &Directory,
    key: &PublicKey,
    options: &AuthorizationOptions,
) -> Result<IssuedAuthorization, Error> {
    let peer = key.id();
    let is_gateway = node.config().node_type() == NodeType::Gateway;
    let end = options.now + options.valid_for;
    // Gateways that peer directly need nobody above them.
    let (issuer, gateway) = if is_gateway {
        let leaf = certificates::self_issued_until(node, options.now, end)?;
        let authorities = Vec::new();
        (CertificationPath { leaf, authorities }, None)
    } else {
        certificates::issuing_path(node, options.now, end)?
    };
    let gateway_address = match gateway {
        Some(gateway) => node.peer(gateway)?.and_then(|gateway| gateway.address),
        None => node.config().address(),
    };
    let identity = node.identity()?;
    let authorization = authorize(&identity, &issuer, key, (options.now, end))?;
    let leaf = &authorization.leaf;
    // Nothing of the peer is stored before everything that can be refused is done.
    node.pin_identity(key)?;
    node.adopt_unknown_sender(key, &Window::new(options.now, SignedDuration::ZERO))?;

    let sealed_until = if options.one_way { end } else { options.now };
    let kept_until = kept_until(leaf.not_before(), sealed_until);
    let session_key =
        sessions::create_initial(node.root(), Some(peer), leaf.not_before(), kept_until)?;
    store_issued(node, peer, "given", &authorization)?;

    let params = PrivateEndpointConnectionParams {
        identity: node.public().clone(),
        gateway_address: gateway_address.unwrap_or_else(InternetAddress::nowhere),
        authorization,
        session_key: session_key.public().clone(),
    };
    Ok(IssuedAuthorization {
        params,
        has_gateway: gateway.is_some() || is_gateway || node.config().address().is_some(),
    })
}

/// Lets a gateway that is known here send cargo to this node: makes a certificate (CDA) for `valid_for`
/// and stores it among what was given.
///
/// # Errors
/// When it cannot be made or stored.
pub fn give_carrier(
    node: &Directory,
    gateway: NodeId,
    now: Timestamp,
    valid_for: SignedDuration,
) -> Result<Certificate, Error> {
    let key = node.identity_of(gateway)?;
    let end = now + valid_for;
    let issuer = CertificationPath {
        leaf: certificates::self_issued_until(node, now, end)?,
        authorities: Vec::new(),
    };
    let authorization = authorize(&node.identity()?, &issuer, &key, (now, end))?;
    store_issued(node, gateway, "given", &authorization)?;
    Ok(authorization.leaf)
}

/// Stores what was issued to a peer in one of its folders: `<notAfter>.<serial>.pem`.
///
/// # Errors
/// When it cannot be stored.
pub(super) fn store_issued(
    node: &Directory,
    peer: NodeId,
    folder: &str,
    path: &CertificationPath,
) -> Result<(), Error> {
    let leaf = &path.leaf;
    let file = format!("{}.{}.pem", file_date(leaf.not_after()), Hex(leaf.serial()));
    let file = node.peer_dir(peer).join(folder).join(file);
    store(node.root(), &file, path_to_pem(path).as_bytes())
}

/// How long the private half of a session key is kept that was handed out with a certificate of this
/// start, and may be sealed to until then.
pub(super) fn kept_until(start: Timestamp, sealed_until: Timestamp) -> Timestamp {
    let longest_life = SignedDuration::from_secs(i64::from(limits::MAX_TTL));
    (start + INITIAL_KEPT_FOR).max(sealed_until + longest_life)
}

/// Issues a delivery authorization to `subject` under the path of the recipient, whose key signs it.
///
/// # Errors
/// When it cannot be signed.
pub fn authorize(
    identity: &crate::pki::IdentityKey,
    issuer: &CertificationPath,
    subject: &PublicKey,
    (now, end): (Timestamp, Timestamp),
) -> Result<CertificationPath, Error> {
    let start = now - issuance::BACKDATED;
    let leaf = issuance::issue(
        identity,
        Some(&issuer.leaf),
        subject,
        CertificateRole::DeliveryAuthorization,
        (start, end.min(start + issuance::MAX_LIFE)),
    )?;
    Ok(CertificationPath {
        leaf,
        authorities: issuer.iter().cloned().collect(),
    })
}
