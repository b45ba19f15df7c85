//! Certification paths that were issued to us: `certs/<issuer>/<notAfter>.<hash>.pem`.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::AuthorizationError;
use super::files::{damaged, file_date, read_text, rely_on, store};
use super::{Directory, Error, Keyring, NodeType};
use crate::asn1::{Hex, pem};
use crate::disk::{FileRole, files, tree};
use crate::message::CertificationPath;
use crate::pki::issuance::{self, CertificateRole};
use crate::pki::path::Issuers;
use crate::pki::{self, Certificate, IdentityKey, NodeId, Window};
use crate::ramf::{InternetAddress, limits};

/// The life that a certificate must have left to send under it. Our own is renewed when it has
/// less.
pub const MIN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The longest life of an authorization that is made for a request for cargo.
pub const CCA_LEAF_LIFE: SignedDuration =
    SignedDuration::from_secs(limits::CCA_LIFE.as_secs() + issuance::BACKDATED.as_secs());

/// How much shorter our own certificate may last than what is asked for. Without this, every
/// authorization would need a new certificate.
pub const SLACK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A path as PEM, its leaf first.
#[must_use]
pub fn path_to_pem(path: &CertificationPath) -> String {
    path.iter()
        .map(|certificate| pem::encode(pem::CERTIFICATE, certificate.octets()))
        .collect()
}

/// Reads a path as PEM, its leaf first, or a single DER certificate.
///
/// # Errors
/// When a certificate is malformed, or there is none.
pub fn path_from_octets(octets: &[u8]) -> Result<CertificationPath, Error> {
    path_of(certificates_from_octets(octets)?)
}

/// The path that consists of these certificates, the leaf first.
///
/// # Errors
/// When the list is empty.
pub fn path_of(certificates: Vec<Certificate>) -> Result<CertificationPath, Error> {
    let mut certificates = certificates.into_iter();
    let leaf = certificates
        .next()
        .ok_or(crate::asn1::Error::Value("certificate"))?;
    Ok(CertificationPath {
        leaf,
        authorities: certificates.collect(),
    })
}

/// Reads certificates as PEM, or a single DER one.
///
/// # Errors
/// When one is malformed.
pub fn certificates_from_octets(octets: &[u8]) -> Result<Vec<Certificate>, Error> {
    if !pem::is_pem(octets) {
        return Ok(vec![Certificate::parse(octets)?]);
    }
    let blocks = pem::blocks(octets)?;
    let certificates = blocks
        .iter()
        .filter(|block| block.label == pem::CERTIFICATE);
    Ok(certificates
        .map(|block| Certificate::parse(&block.contents))
        .collect::<Result<_, _>>()?)
}

/// The file name of a path. Names sort by the end of the path, and are unique.
#[must_use]
pub(super) fn path_file_name(leaf: &Certificate) -> String {
    let hash = leaf.sha256();
    format!("{}.{}.pem", file_date(leaf.not_after()), Hex(&hash[..8]))
}

/// The paths in a folder; the one that ends last comes first.
///
/// # Errors
/// When one cannot be read.
pub(super) fn paths_in(dir: &std::path::Path) -> Result<Vec<CertificationPath>, Error> {
    let mut paths = Vec::new();
    for entry in tree::entries(dir, FileRole::Node)?
        .complete()?
        .into_iter()
        // Names begin with the end, and entries are sorted.
        .rev()
    {
        if entry
            .path
            .extension()
            .is_some_and(|extension| extension == "pem")
            && let Some(text) = read_text(&entry.path)?
        {
            paths.push(
                path_from_octets(text.as_bytes()).map_err(|error| damaged(&entry.path, &error))?,
            );
        }
    }
    Ok(paths)
}

fn dir(node: &Directory, issuer: NodeId) -> PathBuf {
    folder_of(node.root(), issuer)
}

/// The folder for the certificates that `issuer` issued to the node in `root`.
pub(super) fn folder_of(root: &std::path::Path, issuer: NodeId) -> PathBuf {
    root.join("certs").join(issuer.to_string())
}

/// The nodes that certified this one, except itself.
///
/// # Errors
/// When the folder cannot be read.
pub fn issuers(node: &Directory) -> Result<Vec<NodeId>, Error> {
    let entries = tree::entries(&node.root().join("certs"), FileRole::Node)?.entries;
    let ids = entries
        .iter()
        .filter_map(|entry| entry.name.to_str().and_then(|name| name.parse().ok()));
    Ok(ids.filter(|issuer| *issuer != node.id()).collect())
}

/// Stores a path that `issuer` issued to us.
///
/// # Errors
/// When it cannot be stored.
pub fn store_path(node: &Directory, issuer: NodeId, path: &CertificationPath) -> Result<(), Error> {
    let file = dir(node, issuer).join(path_file_name(&path.leaf));
    store(node.root(), &file, path_to_pem(path).as_bytes())
}

/// Syncs the name of a path that is stored already, before it is relied on.
///
/// # Errors
/// When its folder cannot be synced.
pub(super) fn rely_on_path(
    node: &Directory,
    issuer: NodeId,
    leaf: &Certificate,
) -> Result<(), Error> {
    rely_on(&dir(node, issuer).join(path_file_name(leaf)))
}

/// Syncs the names of our self-issued certificates, before something is issued under them: the run
/// that stored one may have been killed before it did.
///
/// # Errors
/// When their folder cannot be synced.
pub fn rely_on_own(node: &Directory) -> Result<(), Error> {
    Ok(files::sync_dir(&dir(node, node.id()), FileRole::Node)?)
}

/// Removes all paths that `issuer` issued to us except the one with this leaf.
///
/// # Errors
/// When a file cannot be removed.
pub(super) fn keep_only(node: &Directory, issuer: NodeId, leaf: &Certificate) -> Result<(), Error> {
    remove_others(&dir(node, issuer), leaf)
}

/// Removes all paths in a folder except the one with this leaf.
pub(super) fn remove_others(dir: &std::path::Path, leaf: &Certificate) -> Result<(), Error> {
    let kept = path_file_name(leaf);
    for entry in tree::entries(dir, FileRole::Node)?.complete()? {
        let is_path = entry
            .path
            .extension()
            .is_some_and(|extension| extension == "pem");
        if is_path && entry.name.to_str() != Some(&kept) {
            files::remove_unsynced(&entry.path, FileRole::Node)?;
        }
    }
    Ok(files::sync_dir(dir, FileRole::Node)?)
}

/// Removes everything that a gateway issued to us; our self-issued certificates stay.
///
/// # Errors
/// When a file cannot be removed.
pub(super) fn forget(node: &Directory, issuer: NodeId) -> Result<(), Error> {
    if issuer != node.id() {
        files::remove_tree(&dir(node, issuer), FileRole::Node)?;
    }
    Ok(())
}

/// The paths that `issuer` issued to us; the one that ends last comes first.
///
/// # Errors
/// When one cannot be read.
pub fn paths_from(node: &Directory, issuer: NodeId) -> Result<Vec<CertificationPath>, Error> {
    paths_in(&dir(node, issuer))
}

/// The valid path from a gateway that ends last, and that gateway. Missing issuers are taken from
/// all paths of this gateway, since a renewal may leave them out.
///
/// # Errors
/// When one cannot be read.
pub fn newest_from_gateway(
    node: &Directory,
    now: Timestamp,
) -> Result<Option<(NodeId, CertificationPath)>, Error> {
    let window = Window::new(now, SignedDuration::ZERO);
    let mut newest: Option<(NodeId, CertificationPath)> = None;
    for issuer in issuers(node)? {
        let paths = paths_from(node, issuer)?;
        let pool: Vec<Certificate> = paths
            .iter()
            .flat_map(|path| path.authorities.clone())
            .collect();
        let known = node.issuer_keys(&pool)?;
        for path in paths {
            let lasts = newest
                .as_ref()
                .is_none_or(|(_, known)| path.leaf.not_after() > known.leaf.not_after());
            if !lasts || path.leaf.check_dates(&window).is_err() {
                continue;
            }
            let issuers = Issuers {
                own: &path.authorities,
                pool: &pool,
                known: &known,
            };
            if let Ok(authorities) = issuers.of(&path.leaf, &window) {
                let authorities = authorities.into_iter().cloned().collect();
                newest = Some((
                    issuer,
                    CertificationPath {
                        leaf: path.leaf,
                        authorities,
                    },
                ));
            }
        }
    }
    Ok(newest)
}

/// The registration with `issuer` that ends last, if it has a day left.
///
/// # Errors
/// When there is none, none has a day left or has begun by this clock, or one cannot be read.
pub fn registration_with(
    node: &Directory,
    issuer: NodeId,
    label: &str,
    now: Timestamp,
) -> Result<Certificate, Error> {
    let window = Window::new(now, SignedDuration::ZERO);
    let paths = paths_from(node, issuer)?;
    let (mut ends, mut begins): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    // Registrations of gateways are CA certificates; those of endpoints cannot send cargo.
    for path in paths.into_iter().filter(|path| path.leaf.is_ca()) {
        let leaf = path.leaf;
        match leaf.check_dates(&window) {
            Ok(()) if leaf.not_after() >= now + MIN_LIFE => return Ok(leaf),
            Err(pki::Error::Early { .. }) => {
                let first = begins.map_or(leaf.not_before(), |at| at.min(leaf.not_before()));
                begins = Some(first);
            }
            _ => ends = ends.max(Some(leaf.not_after())),
        }
    }
    let peer = label.to_owned();
    Err(match (begins, ends) {
        (Some(at), _) => Error::Authorization(AuthorizationError::RegistrationEarly { peer, at }),
        (None, Some(at)) => {
            Error::Authorization(AuthorizationError::RegistrationExpired { peer, at })
        }
        (None, None) => Error::Authorization(AuthorizationError::NotRegistered(peer)),
    })
}

/// The path under which this node issues certificates, and the gateway that issued it: the newest
/// path from a gateway, or our own certificate.
///
/// # Errors
/// When one cannot be read, issued or stored.
pub fn issuing_path(
    node: &Directory,
    now: Timestamp,
    end: Timestamp,
) -> Result<(CertificationPath, Option<NodeId>), Error> {
    // An Internet gateway or endpoint is the root of every path below it.
    if node.config().address().is_none()
        && let Some((gateway, path)) = newest_from_gateway(node, now)?
    {
        return Ok((path, Some(gateway)));
    }
    let path = CertificationPath {
        leaf: self_issued_until(node, now, end)?,
        authorities: Vec::new(),
    };
    Ok((path, None))
}

impl Directory {
    /// The Internet address that leads to this node where it uses this certificate of its own: that
    /// of the gateway that issued it, else the node's.
    ///
    /// # Errors
    /// When the gateway cannot be read.
    pub(super) fn address_above(
        &self,
        own: &Certificate,
    ) -> Result<Option<InternetAddress>, Error> {
        for gateway in own.issuer_ids() {
            if gateway != self.id()
                && let Some(gateway) = self.peer(gateway)?
            {
                return Ok(gateway.address);
            }
        }
        Ok(self.config().address())
    }
}

/// The start of our oldest self-issued certificate that can be read.
///
/// # Errors
/// When they cannot be listed.
pub fn own_since(node: &Directory) -> Result<Option<Timestamp>, Error> {
    let mut since: Option<Timestamp> = None;
    for entry in tree::entries(&dir(node, node.id()), FileRole::Node)?.entries {
        let text = read_text(&entry.path).ok().flatten();
        if let Some(path) = text.and_then(|text| path_from_octets(text.as_bytes()).ok()) {
            let start = path.leaf.not_before();
            since = Some(since.map_or(start, |since| since.min(start)));
        }
    }
    Ok(since)
}

/// The end of the certificate of this node that ends last.
///
/// # Errors
/// When one cannot be read.
pub fn newest_end(node: &Directory) -> Result<Option<Timestamp>, Error> {
    let mut newest = None;
    for issuer in issuers(node)?.into_iter().chain([node.id()]) {
        let paths = paths_from(node, issuer)?;
        newest = newest.max(paths.iter().map(|path| path.leaf.not_after()).max());
    }
    Ok(newest)
}

/// The start of the newest certificate that another node issued to this one: a registration or an
/// authorization.
///
/// # Errors
/// When they cannot be listed.
pub fn newest_from_others(node: &Directory) -> Result<Option<Timestamp>, Error> {
    let peers = node.root().join("peers");
    let mut dirs: Vec<PathBuf> = tree::entries(&peers, FileRole::Node)?
        .entries
        .into_iter()
        .map(|peer| peer.path.join("held"))
        .collect();
    let issuers = issuers(node)?.into_iter();
    dirs.extend(
        issuers
            .filter(|issuer| *issuer != node.id())
            .map(|issuer| dir(node, issuer)),
    );
    let mut newest = None;
    for dir in dirs {
        for entry in tree::entries(&dir, FileRole::Node)?.entries {
            // An unreadable file proves nothing about the time.
            let text = read_text(&entry.path).ok().flatten();
            let path = text.and_then(|text| path_from_octets(text.as_bytes()).ok());
            newest = newest.max(path.map(|path| path.leaf.not_before()));
        }
    }
    Ok(newest)
}

/// Our self-issued certificate; a new one if none has a day left.
///
/// # Errors
/// When it cannot be read, issued or stored.
pub fn self_issued(node: &Directory, now: Timestamp) -> Result<Certificate, Error> {
    self_issued_until(node, now, now + MIN_LIFE + SLACK)
}

/// Our self-issued certificate, valid until `end` (at most 180 days) less [`SLACK`]; a new one if
/// there is none.
///
/// # Errors
/// When it cannot be read, issued or stored.
pub fn self_issued_until(
    node: &Directory,
    now: Timestamp,
    end: Timestamp,
) -> Result<Certificate, Error> {
    let window = Window::new(now, SignedDuration::ZERO);
    let end = end.min(now + issuance::MAX_LIFE) - SLACK;
    for path in paths_from(node, node.id())? {
        if path.leaf.not_after() >= end && path.leaf.check_dates(&window).is_ok() {
            return Ok(path.leaf);
        }
    }
    renew_own(node, now)
}

/// Issues and stores a new self-issued certificate.
///
/// # Errors
/// When it cannot be issued or stored.
pub fn renew_own(node: &Directory, now: Timestamp) -> Result<Certificate, Error> {
    let leaf = issue_own(&node.identity()?, node.config().node_type(), now)?;
    let path = CertificationPath {
        leaf: leaf.clone(),
        authorities: Vec::new(),
    };
    store_path(node, node.id(), &path)?;
    Ok(leaf)
}

/// The end of the path under which this node would issue now; `None` if that is our own
/// certificate, of which there is always a new one.
///
/// # Errors
/// When a path cannot be read.
pub fn issuing_until(node: &Directory, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    if node.config().address().is_some() {
        return Ok(None);
    }
    let newest = newest_from_gateway(node, now)?;
    Ok(newest.and_then(|(_, path)| path.iter().map(Certificate::not_after).min()))
}

/// Issues a node's own certificate, with the longest validity.
///
/// # Errors
/// When it cannot be signed.
pub fn issue_own(
    key: &IdentityKey,
    node_type: NodeType,
    now: Timestamp,
) -> Result<Certificate, Error> {
    let role = match node_type {
        NodeType::Endpoint => CertificateRole::Endpoint,
        NodeType::Gateway => CertificateRole::SelfIssuedGateway,
    };
    let start = now - issuance::BACKDATED;
    let validity = (start, start + issuance::MAX_LIFE);
    Ok(issuance::issue(key, None, key.public(), role, validity)?)
}
