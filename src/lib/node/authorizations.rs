//! Authorizations to send: those that peers gave us, and those that we give.

use jiff::{SignedDuration, Timestamp};

use super::certificates::{self, path_file_name, path_to_pem, paths_in};
use super::files::{rely_on, store};
use super::issued::{self, IssuedKind, IssuedPath, IssuedTerms};
use super::{AuthorizationError, Directory, Error, Keyring, NodeType, Revocations, sessions};
use crate::disk::{FileRole, files, tree};
use crate::message::{CertificationPath, PrivateEndpointConnectionParams};
use crate::pki::issuance::{self, CertificateRole};
use crate::pki::path::Issuers;
use crate::pki::{self, Certificate, NodeId, PublicKey, RateLimit, Window};
use crate::ramf::{InternetAddress, limits};
use crate::session::PublicSessionKey;

/// How long the private half of an initial session key is kept: as long as peers seal to it (60
/// days), and then as long as a message can live (180 days).
const INITIAL_KEPT_FOR: SignedDuration = SignedDuration::from_hours(240 * 24);

/// The most authorizations that are kept of those which a peer sent in parcels.
const MAX_HELD: usize = 4;

/// The authorizations that a peer gave us.
#[derive(Debug)]
pub enum HeldAuthorization {
    /// A valid authorization: the certificate to sign with, then those to attach.
    Valid(Vec<Certificate>),
    /// All have expired; the end of the last one.
    Expired(Timestamp),
    /// None is valid yet; the start of the one that ends last.
    Early(Timestamp),
    /// Each one that is valid now is revoked; until when the one is that ends last.
    Revoked(Timestamp),
    /// There is none.
    None,
}

impl HeldAuthorization {
    /// The certificate to sign with, then those to attach; `None` if `peer` gave nothing.
    ///
    /// # Errors
    /// When nothing that it gave is good now.
    pub fn certificates(self, peer: &str) -> Result<Option<Vec<Certificate>>, AuthorizationError> {
        let peer = peer.to_owned();
        Err(match self {
            Self::Valid(certificates) => return Ok(Some(certificates)),
            Self::None => return Ok(None),
            Self::Expired(at) => AuthorizationError::Expired { peer, at },
            Self::Early(at) => AuthorizationError::Early { peer, at },
            Self::Revoked(until) => AuthorizationError::TakenBack { peer, until },
        })
    }
}

/// The authorization from `peer` that ends last, of those that are valid and not revoked.
///
/// One with more certificates goes first: a gateway that was registered after it had certified the peer leads to
/// gateways that know nothing of the authorizations of before.
///
/// # Errors
/// When one, or what the peer revoked, cannot be read.
pub fn newest_held(
    node: &Directory,
    peer: NodeId,
    revocations: &Revocations,
    now: Timestamp,
) -> Result<HeldAuthorization, Error> {
    let (mut revoked, mut early, mut ended) = (None, None, None);
    let mut best: Option<Vec<Certificate>> = None;
    for path in paths_in(&node.peer_dir(peer).join("held"))? {
        let most = path.authorities.len() + 1;
        if best.as_ref().is_some_and(|best| most <= best.len()) {
            continue;
        }
        match judge_held(&path, peer, revocations, now)? {
            HeldAuthorization::Revoked(until) => revoked = revoked.or(Some(until)),
            HeldAuthorization::Early(at) => early = early.or(Some(at)),
            HeldAuthorization::Expired(at) => ended = ended.max(Some(at)),
            HeldAuthorization::Valid(found) => {
                if best.as_ref().is_none_or(|best| found.len() > best.len()) {
                    best = Some(found);
                }
            }
            HeldAuthorization::None => {}
        }
    }
    if let Some(best) = best {
        return Ok(HeldAuthorization::Valid(best));
    }
    let found = revoked.map(HeldAuthorization::Revoked);
    let found = found.or(early.map(HeldAuthorization::Early));
    let found = found.or(ended.map(HeldAuthorization::Expired));
    Ok(found.unwrap_or(HeldAuthorization::None))
}

/// Whether an authorization from `peer` is good now.
///
/// # Errors
/// When it is malformed, or what the peer revoked cannot be read.
pub fn judge_held(
    path: &CertificationPath,
    peer: NodeId,
    revocations: &Revocations,
    now: Timestamp,
) -> Result<HeldAuthorization, Error> {
    let certificates = match to_attach(path, peer, now) {
        Ok(certificates) => certificates,
        Err(pki::Error::Expired { at, .. }) => return Ok(HeldAuthorization::Expired(at)),
        Err(pki::Error::Early { at, .. }) => return Ok(HeldAuthorization::Early(at)),
        Err(error) => return Err(error.into()),
    };
    let at = Window::new(now, SignedDuration::ZERO);
    Ok(match revocations.held(peer, &certificates, &at)? {
        None => HeldAuthorization::Valid(certificates),
        Some(until) => HeldAuthorization::Revoked(until),
    })
}

/// The certificates to attach to a message under this path, the signer's first. Of each issuer only
/// one certificate is attached, and of roots only the recipient's own, which shows others that the
/// recipient authorized the sender. Deployed readers fail over an expired certificate even if a
/// valid one is attached, too.
///
/// # Errors
/// When the signer's certificate, or all certificates of one of its issuers, are not valid now.
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

/// Syncs the name of an authorization that is stored already, before it is relied on.
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

/// Of the authorizations that `peer` sent, removes those that end first: a peer may send any
/// number.
///
/// # Errors
/// When one cannot be removed.
pub(super) fn keep_few(node: &Directory, peer: NodeId) -> Result<(), Error> {
    let dir = node.peer_dir(peer).join("held");
    let mut names = tree::entries(&dir, FileRole::Node)?.entries;
    names.retain(|entry| entry.path.extension().is_some_and(|it| it == "pem"));
    // The names begin with the end of the authorization, and entries are sorted.
    let surplus = names.len().saturating_sub(MAX_HELD);
    for entry in &names[..surplus] {
        files::remove_unsynced(&entry.path, FileRole::Node)?;
    }
    if surplus > 0 {
        files::sync_dir(&dir, FileRole::Node)?;
    }
    Ok(())
}

/// The authorizations that `peer` gave us; the one that ends last comes first.
///
/// # Errors
/// When one cannot be read.
pub fn held(node: &Directory, peer: NodeId) -> Result<Vec<CertificationPath>, Error> {
    paths_in(&node.peer_dir(peer).join("held"))
}

/// The nodes that ever let this one send to them.
///
/// # Errors
/// When the peers cannot be listed.
pub fn holders(node: &Directory) -> Result<Vec<NodeId>, Error> {
    let mut holders = Vec::new();
    for entry in tree::entries(&node.root().join("peers"), FileRole::Node)?.entries {
        let id: Option<NodeId> = entry.name.to_str().and_then(|name| name.parse().ok());
        let held = entry.path.join("held");
        if let Some(id) = id
            && files::exists(&held, FileRole::Node)?
        {
            holders.push(id);
        }
    }
    Ok(holders)
}

/// Removes all authorizations from `peer` except the one with this leaf.
///
/// # Errors
/// When a file cannot be removed.
pub fn keep_only(node: &Directory, peer: NodeId, leaf: &Certificate) -> Result<(), Error> {
    certificates::remove_others(&node.peer_dir(peer).join("held"), leaf)
}

/// The end of the last authorization or registration that `peer` gave us, of those that are not
/// revoked until they end; and whether all are.
///
/// # Errors
/// When one, or what the peer revoked, cannot be read.
pub fn held_until(node: &Directory, peer: NodeId) -> Result<(Option<Timestamp>, bool), Error> {
    let revocations = Revocations::of(node)?;
    let mut until = last_end(certificates::paths_from(node, peer)?);
    let mut is_revoked = false;
    for path in paths_in(&node.peer_dir(peer).join("held"))? {
        let end = path.leaf.not_after();
        if until >= Some(end) {
            continue;
        }
        let certificates: Vec<_> = [path.leaf].into_iter().chain(path.authorities).collect();
        let at = Window::new(end, SignedDuration::ZERO);
        if revocations.held(peer, &certificates, &at)?.is_some() {
            is_revoked = true;
        } else {
            until = Some(end);
        }
    }
    Ok((until, is_revoked && until.is_none()))
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
    /// The time of issue.
    pub now: Timestamp,
    /// How long it lasts.
    pub valid_for: SignedDuration,
    /// Whether the peer will never be answered, so that its first session key must last as long.
    pub one_way: bool,
    /// Whether it is never renewed.
    pub once: bool,
    /// How many parcels the peer may send; `None` for any number.
    pub rate: Option<RateLimit>,
}

/// A new authorization.
#[derive(Debug)]
pub struct IssuedAuthorization {
    /// The object for the peer to import.
    pub params: PrivateEndpointConnectionParams,
    /// Whether this node can be reached over a gateway. Otherwise its parcels come by hand, or over
    /// gateways that peer directly.
    pub has_gateway: bool,
}

/// Lets the holder of `key` send to this node: issues a certificate (PDA, or CDA on a gateway) and
/// makes a session key bound to that peer, stores both, and returns the parameters that carry them.
///
/// # Errors
/// When they cannot be made or stored.
pub fn give(
    node: &Directory,
    key: &PublicKey,
    options: &AuthorizationOptions,
) -> Result<IssuedAuthorization, Error> {
    let peer = key.id();
    let at = Window::new(options.now, SignedDuration::ZERO);
    // A deauthorization has no date: one for all also revokes what is issued after it.
    if let Some(until) = Revocations::of(node)?.own(None, &at)? {
        return Err(Error::Authorization(AuthorizationError::AllRevoked(until)));
    }
    let end = options.now + options.valid_for;
    let (issuer, gateway) = issuer_of(node, options.now, end)?;
    let identity = node.identity()?;
    let authorization = authorize(&identity, &issuer, key, options.rate, (options.now, end))?;
    let leaf = &authorization.leaf;
    // From here on, files of the peer are stored, so everything that may be refused comes before.
    node.pin_identity(key)?;
    node.expect_mail(peer, true)?;
    node.adopt_unknown_sender(key, &Window::new(options.now, SignedDuration::ZERO))?;

    // A one-way peer never learns a newer key from an answer, so it seals to this one until the
    // end.
    let sealed_until = if options.one_way { end } else { options.now };
    let kept_until = kept_until(leaf.not_before(), sealed_until);
    let session_key = sessions::create_initial(node, Some(peer), leaf.not_before(), kept_until)?;
    let terms = IssuedTerms {
        valid_for: options.valid_for,
        is_once: options.once,
    };
    issued::store_path(node, peer, IssuedKind::Given, &authorization, &terms)?;
    let is_gateway = node.config().node_type() == NodeType::Gateway;
    Ok(IssuedAuthorization {
        params: params_of(node, authorization, session_key.public().clone())?,
        has_gateway: gateway.is_some() || is_gateway || node.config().address().is_some(),
    })
}

/// The path under which an authorization is issued, and the gateway that it leads through.
fn issuer_of(
    node: &Directory,
    now: Timestamp,
    end: Timestamp,
) -> Result<(CertificationPath, Option<NodeId>), Error> {
    if node.config().node_type() == NodeType::Endpoint {
        return certificates::issuing_path(node, now, end);
    }
    // Gateways that peer directly need no gateway above them.
    let leaf = certificates::self_issued_until(node, now, end)?;
    let authorities = Vec::new();
    Ok((CertificationPath { leaf, authorities }, None))
}

/// The parameters that carry an authorization to its subject, which is to seal to this session key.
///
/// # Errors
/// When the gateway that it leads through cannot be read.
pub fn params_of(
    node: &Directory,
    authorization: CertificationPath,
    session_key: PublicSessionKey,
) -> Result<PrivateEndpointConnectionParams, Error> {
    let gateway_address = match authorization.authorities.first() {
        Some(own) => node.address_above(own)?,
        None => node.config().address(),
    };
    Ok(PrivateEndpointConnectionParams {
        identity: node.public().clone(),
        gateway_address: gateway_address.unwrap_or_else(InternetAddress::nowhere),
        authorization,
        session_key,
    })
}

/// Issues the next authorization for a peer, and stores it as one that the peer is still to get.
/// The caller holds the node's exclusive lock.
///
/// # Errors
/// When it cannot be issued or stored.
pub fn renew(
    node: &Directory,
    key: &PublicKey,
    newest: &IssuedPath,
    now: Timestamp,
) -> Result<CertificationPath, Error> {
    let (terms, rate) = (&newest.terms, newest.path.leaf.rate_limit());
    let end = now + terms.valid_for;
    let (issuer, _) = issuer_of(node, now, end)?;
    let path = authorize(&node.identity()?, &issuer, key, rate, (now, end))?;
    issued::store_renewed(node, key.id(), IssuedKind::Given, &path, terms)?;
    Ok(path)
}

/// The authorization to send along with a message to a known peer: the newest one that it was
/// given, or a new one for the longest time, at the same rate, where half of the life of that is over.
///
/// # Errors
/// When the peer is not known, its authorization or all are revoked, or it cannot be issued or
/// stored.
pub fn offer(node: &Directory, peer: NodeId, now: Timestamp) -> Result<CertificationPath, Error> {
    let _lock = node.lock_exclusive()?;
    let kind = IssuedKind::Given;
    let at = Window::new(now, SignedDuration::ZERO);
    let revocations = Revocations::of(node)?;
    if let Some(until) = revocations.own(None, &at)? {
        return Err(Error::Authorization(AuthorizationError::AllRevoked(until)));
    }
    let mut rate = None;
    if let Some(newest) = issued::newest(node, peer, kind, now)? {
        // Only relay-authorize gives another one: an option of a message takes nothing back.
        if let Some(until) = revocations.own(Some(&newest.path.leaf), &at)? {
            let peer = node.label_of(peer);
            return Err(Error::Authorization(AuthorizationError::Withdrawn {
                peer,
                until,
            }));
        }
        rate = newest.path.leaf.rate_limit();
        let (start, end) = newest.life();
        if now.duration_since(start) < end.duration_since(start) / 2 {
            issued::rely_on_issued(node, peer, kind)?;
            return Ok(newest.path);
        }
    }
    let key = node.identity_of(peer)?;
    let terms = IssuedTerms {
        valid_for: issuance::MAX_LIFE,
        is_once: false,
    };
    let end = now + terms.valid_for;
    let (issuer, _) = issuer_of(node, now, end)?;
    certificates::rely_on_own(node)?;
    let path = authorize(&node.identity()?, &issuer, &key, rate, (now, end))?;
    node.expect_mail(peer, true)?;
    issued::store_path(node, peer, kind, &path, &terms)?;
    Ok(path)
}

/// Lets a known gateway send cargo to this node: issues a certificate (CDA) for `valid_for` and
/// stores it with those given to the gateway.
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
    let authorization = authorize(&node.identity()?, &issuer, &key, None, (now, end))?;
    let terms = IssuedTerms {
        valid_for,
        is_once: true,
    };
    issued::store_path(node, gateway, IssuedKind::Given, &authorization, &terms)?;
    Ok(authorization.leaf)
}

/// Until when the private half of a session key is kept that was handed out with a certificate of
/// this start, and may be sealed to until `sealed_until`.
pub(super) fn kept_until(start: Timestamp, sealed_until: Timestamp) -> Timestamp {
    let longest_life = SignedDuration::from_secs(i64::from(limits::MAX_TTL));
    (start + INITIAL_KEPT_FOR).max(sealed_until + longest_life)
}

/// Issues a delivery authorization to `subject` under the recipient's path, signed by the
/// recipient's key, and limited to a `rate` of parcels if there is one.
///
/// # Errors
/// When it cannot be signed.
pub fn authorize(
    identity: &crate::pki::IdentityKey,
    issuer: &CertificationPath,
    subject: &PublicKey,
    rate: Option<RateLimit>,
    (now, end): (Timestamp, Timestamp),
) -> Result<CertificationPath, Error> {
    let start = now - issuance::BACKDATED;
    let leaf = issuance::issue(
        identity,
        Some(&issuer.leaf),
        subject,
        CertificateRole::DeliveryAuthorization(rate),
        (start, end.min(start + issuance::MAX_LIFE)),
    )?;
    Ok(CertificationPath {
        leaf,
        authorities: issuer.iter().cloned().collect(),
    })
}
