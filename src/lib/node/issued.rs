//! Certificates that this node issued to peers, `peers/<id>/given/` and `peers/<id>/registered/`,
//! and which of them a peer is still to get.
//!
//! A renewed certificate travels to its subject by itself. Until it is seen in use, a file beside the folder names it: `renewal` for authorizations, `rotation` for registrations. The
//! file is stored before the certificate, so that a run which is killed in between hands on what it
//! issued, and issues nothing twice.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::certificates::{CCA_LEAF_LIFE, path_from_octets, path_to_pem};
use super::files::{damaged, file_date, read_text, store};
use super::key_file::Headers;
use super::{Directory, Error};
use crate::asn1::Hex;
use crate::disk::{FileRole, files, tree};
use crate::message::CertificationPath;
use crate::pki::issuance::{BACKDATED, MAX_LIFE};
use crate::pki::{Certificate, NodeId};

/// Header of a certificate: how long it was asked to last, in seconds.
const VALID: &str = "Valid";
/// Header of a certificate: it is not renewed.
const ONCE: &str = "Once";
/// Header: the certificate that is to be handed on, by the name of its file.
const CERTIFICATE: &str = "Certificate";
/// Header: when it was put into the spool last.
const EMITTED: &str = "Emitted";

/// What a certificate lets its subject do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssuedKind {
    /// Send to this node: a PDA, or on a gateway a CDA.
    Given,
    /// Be a node behind this gateway.
    Registered,
}

impl IssuedKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Given, Self::Registered];

    /// The folder of the peer that they are in, which is also the word in output.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Registered => "registered",
        }
    }

    /// The file of the peer that names the one to be handed on.
    #[must_use]
    pub fn record(self) -> &'static str {
        match self {
            Self::Given => "renewal",
            Self::Registered => "rotation",
        }
    }
}

/// How a certificate was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedTerms {
    /// How long it was to last; it may end earlier, with the one that it is issued under.
    pub valid_for: SignedDuration,
    /// Whether it is never renewed.
    pub is_once: bool,
}

/// A certificate that this node issued.
#[derive(Debug, Clone)]
pub struct IssuedPath {
    /// The name of its file, without `.pem`.
    pub name: String,
    /// The certificate, and those that it is issued under.
    pub path: CertificationPath,
    /// How it was asked for.
    pub terms: IssuedTerms,
}

impl IssuedPath {
    /// When it begins, and when it or the first of those above it ends.
    #[must_use]
    pub fn life(&self) -> (Timestamp, Timestamp) {
        let start = self.path.leaf.not_before();
        let ends = self.path.iter().map(Certificate::not_after);
        (start, ends.min().unwrap_or(start))
    }

    /// Whether it was made for a request for cargo, each of which brings another.
    #[must_use]
    pub fn is_of_request(&self) -> bool {
        let leaf = &self.path.leaf;
        leaf.not_after().duration_since(leaf.not_before()) <= CCA_LEAF_LIFE
    }
}

/// The file name of an issued certificate, without `.pem`. Names sort by its end.
#[must_use]
pub fn name_of(leaf: &Certificate) -> String {
    format!("{}.{}", file_date(leaf.not_after()), Hex(leaf.serial()))
}

/// Stores a certificate that this node issued to a peer: `<notAfter>.<serial>.pem`.
///
/// # Errors
/// When it cannot be stored.
pub(super) fn store_path(
    node: &Directory,
    peer: NodeId,
    kind: IssuedKind,
    path: &CertificationPath,
    terms: &IssuedTerms,
) -> Result<(), Error> {
    let mut headers = Headers::default();
    headers.set(VALID, &terms.valid_for.as_secs());
    if terms.is_once {
        headers.set(ONCE, &"yes");
    }
    let file = format!("{}.pem", name_of(&path.leaf));
    let file = node.peer_dir(peer).join(kind.folder()).join(file);
    let text = headers.to_text() + &path_to_pem(path);
    store(node.root(), &file, text.as_bytes())
}

/// Stores a renewed certificate; before that, that the peer is to get it. The caller holds the
/// node's exclusive lock.
///
/// # Errors
/// When it cannot be stored.
pub fn store_renewed(
    node: &Directory,
    peer: NodeId,
    kind: IssuedKind,
    path: &CertificationPath,
    terms: &IssuedTerms,
) -> Result<(), Error> {
    let due = HandOver {
        certificate: name_of(&path.leaf),
        emitted: None,
    };
    due.store(node, peer, kind)?;
    store_path(node, peer, kind, path, terms)
}

/// Of the certificates of a kind that this node issued to a peer, the one that ends last; of
/// several, the one that begins last. One that begins later than `now` was issued under a clock that was ahead:
/// nobody can use it yet, so it renews nothing.
///
/// # Errors
/// When it cannot be read.
pub fn newest(
    node: &Directory,
    peer: NodeId,
    kind: IssuedKind,
    now: Timestamp,
) -> Result<Option<IssuedPath>, Error> {
    let dir = node.peer_dir(peer).join(kind.folder());
    let listed = tree::entries(&dir, FileRole::Node)?.complete()?;
    let mut newest: Option<IssuedPath> = None;
    // Names begin with the end, and entries are sorted.
    for entry in listed.into_iter().rev() {
        let name = entry.name.to_str().and_then(|it| it.strip_suffix(".pem"));
        let Some(name) = name else { continue };
        let end_in = |name: &str| name.split('.').next().map(str::to_owned);
        if newest
            .as_ref()
            .is_some_and(|it| end_in(&it.name) != end_in(name))
        {
            break;
        }
        let Some(text) = read_text(&entry.path)? else {
            continue;
        };
        let path =
            path_from_octets(text.as_bytes()).map_err(|error| damaged(&entry.path, &error))?;
        let start = path.leaf.not_before();
        if start > now {
            continue;
        }
        if newest
            .as_ref()
            .is_none_or(|it| it.path.leaf.not_before() < start)
        {
            newest = Some(IssuedPath {
                name: name.to_owned(),
                terms: terms_of(&text, &path),
                path,
            });
        }
    }
    Ok(newest)
}

/// Syncs the names of what was issued to a peer, and of the note on what it is still to get: the run
/// that stored or removed them may have been killed before it did.
///
/// # Errors
/// When a folder cannot be synced.
pub fn rely_on_issued(node: &Directory, peer: NodeId, kind: IssuedKind) -> Result<(), Error> {
    let dir = node.peer_dir(peer);
    files::sync_dir(&dir.join(kind.folder()), FileRole::Node)?;
    Ok(files::sync_dir(&dir, FileRole::Node)?)
}

/// How a certificate was asked for. Those that have no header were made before there was one: one
/// that ends with a gateway's was probably to last as long as possible.
fn terms_of(text: &str, path: &CertificationPath) -> IssuedTerms {
    let headers = Headers::parse(text.split("-----BEGIN").next().unwrap_or_default());
    let leaf = &path.leaf;
    let is_cut = path
        .authorities
        .iter()
        .any(|above| !above.is_self_issued() && above.not_after() <= leaf.not_after());
    let of_leaf = leaf.not_after().duration_since(leaf.not_before()) - BACKDATED;
    let valid = headers.get(VALID).and_then(|value| value.parse().ok());
    let valid_for = match valid {
        Some(seconds) => SignedDuration::from_secs(seconds),
        None if is_cut => MAX_LIFE,
        None => of_leaf,
    };
    IssuedTerms {
        valid_for: valid_for.clamp(SignedDuration::ZERO, MAX_LIFE),
        is_once: is_once(text),
    }
}

/// Whether the file of a certificate says that it is never renewed.
#[must_use]
pub fn is_once(text: &str) -> bool {
    let headers = text.split("-----BEGIN").next().unwrap_or_default();
    Headers::parse(headers).get(ONCE).is_some()
}

/// A renewed certificate that its subject is still to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// The name of its file, without `.pem`.
    pub certificate: String,
    /// When it was put into the spool last; `None` before the first time.
    pub emitted: Option<Timestamp>,
}

impl HandOver {
    fn file(node: &Directory, peer: NodeId, kind: IssuedKind) -> PathBuf {
        node.peer_dir(peer).join(kind.record())
    }

    /// What a peer is still to get; `None` if nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(node: &Directory, peer: NodeId, kind: IssuedKind) -> Result<Option<Self>, Error> {
        let path = Self::file(node, peer, kind);
        let Some(text) = read_text(&path)? else {
            return Ok(None);
        };
        let headers = Headers::parse(&text);
        let certificate = headers.get(CERTIFICATE).map(str::to_owned);
        let certificate = certificate.ok_or_else(|| damaged(&path, &"names no certificate"))?;
        let emitted = headers.date(EMITTED);
        if headers.get(EMITTED).is_some() && emitted.is_none() {
            return Err(damaged(&path, &"Emitted is no time"));
        }
        Ok(Some(Self {
            certificate,
            emitted,
        }))
    }

    /// Stores it. The caller holds the node's exclusive lock.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn store(&self, node: &Directory, peer: NodeId, kind: IssuedKind) -> Result<(), Error> {
        let mut headers = Headers::default();
        headers.set(CERTIFICATE, &self.certificate);
        if let Some(emitted) = &self.emitted {
            headers.set(EMITTED, emitted);
        }
        let path = Self::file(node, peer, kind);
        store(node.root(), &path, headers.to_text().as_bytes())
    }

    /// Notes that the peer needs to get nothing more.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn end(node: &Directory, peer: NodeId, kind: IssuedKind) -> Result<(), Error> {
        files::remove(&Self::file(node, peer, kind), FileRole::Node)?;
        Ok(())
    }
}

/// Notes that a message was signed with this certificate: its subject has got it.
///
/// # Errors
/// When that cannot be stored.
pub(super) fn note_use(node: &Directory, certificate: &Certificate) -> Result<(), Error> {
    let peer = certificate.id();
    for kind in IssuedKind::ALL {
        // A damaged file keeps no message from being opened; relay-check reports it.
        let due = HandOver::of(node, peer, kind).ok().flatten();
        if due.is_some_and(|due| due.certificate == name_of(certificate)) {
            HandOver::end(node, peer, kind)?;
        }
    }
    Ok(())
}
