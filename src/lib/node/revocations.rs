//! Revoked authorizations: `revoked/<issuer>/<end>.<sha256>.pdd`, each file a PDD as received.
//!
//! Whether an authorization is revoked is asked for each message, so a node without a `revoked`
//! folder pays one system call for each run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::AuthorizationError;
use super::files::{damaged, file_date};
use super::peer_files::registered_folder;
use super::{Directory, Error, certificates};
use crate::asn1::{Hex, hex};
use crate::crypto::hash;
use crate::disk::{FileRole, files, tree};
use crate::message::Pdd;
use crate::message::pdd::{self, RevocationScope, Revoker};
use crate::pipeline::mutex;
use crate::pki::{Certificate, NodeId, PublicKey, Trust, Window};

/// The folder in a node directory.
pub const FOLDER: &str = "revoked";

/// The form of the end in the name of a file, which sorts by time.
const END: &str = "%Y%m%dT%H%M%SZ";

/// The most issuers that are kept in memory: messages of strangers can name any number.
const MAX_KEPT: usize = 65_536;

/// A deauthorization that is stored.
#[derive(Debug)]
pub struct StoredPdd {
    /// Its file.
    pub path: PathBuf,
    /// Its length, in octets.
    pub len: usize,
    /// When this node stored it.
    pub stored: Timestamp,
    /// Until when it counts here, which may be earlier than what it says.
    pub end: Timestamp,
    /// The deauthorization. Its signature was verified before it was stored.
    pub pdd: Pdd,
}

/// The folder for an issuer.
pub(super) fn dir_of(node: &Directory, issuer: NodeId) -> PathBuf {
    node.root().join(FOLDER).join(issuer.to_string())
}

/// The name of the file of a deauthorization.
pub(super) fn file_name(end: Timestamp, octets: &[u8]) -> String {
    format!("{}.{}.pdd", file_date(end), Hex(&hash::sha256(octets)))
}

/// The end in the name of a file; `None` if no deauthorization has such a name.
#[must_use]
pub fn end_in_name(name: &str) -> Option<Timestamp> {
    let (digits, rest) = name.strip_suffix(".pdd")?.split_once('.')?;
    hex::octets::<32>(rest.as_bytes())?;
    let end = DateTime::strptime(END, digits).ok()?;
    let end = Offset::UTC.to_timestamp(end).ok()?;
    // Years before Christ are read, too, and fewer digits than are written.
    let is_written_so = !digits.starts_with('-') && file_date(end) == digits;
    is_written_so.then_some(end)
}

/// The deauthorizations in the folder of an issuer, ended ones included; the one that ends first
/// comes first.
///
/// # Errors
/// When one cannot be read.
pub fn stored_in(dir: &Path) -> Result<Vec<StoredPdd>, Error> {
    let mut all = Vec::new();
    for entry in tree::entries(dir, FileRole::Node)?.complete()? {
        let Some(end) = entry.name.to_str().and_then(end_in_name) else {
            continue;
        };
        let octets = match files::read(&entry.path, FileRole::Node, pdd::MAX_LEN) {
            Err(error) if error.is_not_found() => continue, // it ended, and was purged meanwhile
            octets => octets?,
        };
        let pdd = Pdd::parse(&octets).map_err(|error| damaged(&entry.path, &error))?;
        let stat = entry.stat()?;
        all.push(StoredPdd {
            // A time out of range comes from a broken clock: then the file counts as an old one.
            stored: stat
                .and_then(|stat| Timestamp::try_from(stat.modified).ok())
                .unwrap_or(Timestamp::MIN),
            end: end.min(pdd.expiry),
            len: octets.len(),
            path: entry.path,
            pdd,
        });
    }
    Ok(all)
}

/// What a node knows to be revoked. Each issuer is read when it is first asked for. Several threads
/// may ask at once.
#[derive(Debug)]
pub struct Revocations {
    root: PathBuf,
    own: NodeId,
    /// Whether anything is revoked at all.
    is_any: bool,
    kept: Mutex<HashMap<NodeId, Arc<Vec<Revocation>>>>,
    /// Only a cache of verified signatures.
    verified: Trust,
}

/// A deauthorization in the form in which messages are compared with it.
#[derive(Debug)]
struct Revocation {
    scope: RevocationScope,
    end: Timestamp,
    stored: Timestamp,
    by: NodeId,
    issuer: PublicKey,
    /// The key of the gateway that signed it, if one did, and whether this node knows by itself
    /// that it certified the issuer.
    gateway: Option<(PublicKey, bool)>,
}

/// A message whose authorization is looked up.
#[derive(Debug, Clone, Copy)]
pub struct RevocationQuery<'a> {
    /// The node that issued the authorization.
    pub issuer: NodeId,
    /// The authorization.
    pub leaf: &'a Certificate,
    /// The certificates that are attached to it.
    pub attached: &'a [Certificate],
    /// When this node stored the message. What it stored before a deauthorization arrived is
    /// delivered.
    pub stored: Timestamp,
}

impl Revocations {
    /// What this node knows to be revoked. Reads only whether there is anything.
    ///
    /// # Errors
    /// When that cannot be examined.
    pub fn of(node: &Directory) -> Result<Self, Error> {
        let root = node.root().join(FOLDER);
        Ok(Self {
            is_any: files::exists(&root, FileRole::Node)?,
            root: node.root().to_owned(),
            own: node.id(),
            kept: Mutex::default(),
            verified: Trust::default(),
        })
    }

    /// Whether anything is revoked.
    pub(super) fn is_any(&self) -> bool {
        self.is_any
    }

    /// Checks that an authorization is not revoked at some instant of `window`.
    ///
    /// # Errors
    /// [`AuthorizationError::Revoked`] when it is; when what its issuer revoked cannot be read.
    pub fn check(&self, query: &RevocationQuery<'_>, window: &Window) -> Result<(), Error> {
        if !self.is_any {
            return Ok(());
        }
        let known = self.of_issuer(query.issuer)?;
        let serial = query.leaf.serial();
        let found = known.iter().filter(|it| {
            !window.is_after(it.end)
                && it.scope.includes(serial)
                && query.stored >= it.stored
                // Another issuer may have given the same serial number.
                && self.verified.verifies(query.leaf, &it.issuer)
                && self.may_revoke(it, query)
        });
        match found.max_by_key(|it| it.end) {
            Some(it) => Err(Error::Authorization(AuthorizationError::Revoked {
                sender: query.leaf.id(),
                by: it.by,
                until: it.end,
            })),
            None => Ok(()),
        }
    }

    /// Whether the path of an authorization, or what this node knows, shows the gateway that
    /// revoked it. Any gateway can certify any key.
    fn may_revoke(&self, revocation: &Revocation, query: &RevocationQuery<'_>) -> bool {
        match &revocation.gateway {
            None | Some((_, true)) => true,
            Some((gateway, false)) => query.attached.iter().any(|endpoint| {
                endpoint.id() == query.issuer && self.verified.verifies(endpoint, gateway)
            }),
        }
    }

    /// Until when an authorization that `issuer` gave this node is revoked, which is the first of
    /// these certificates; `None` if it is not revoked.
    ///
    /// # Errors
    /// When what the issuer revoked cannot be read.
    pub fn held(
        &self,
        issuer: NodeId,
        certificates: &[Certificate],
        window: &Window,
    ) -> Result<Option<Timestamp>, Error> {
        let Some((leaf, attached)) = certificates.split_first() else {
            return Ok(None);
        };
        let query = RevocationQuery {
            issuer,
            leaf,
            attached,
            stored: Timestamp::MAX,
        };
        match self.check(&query, window) {
            Err(Error::Authorization(AuthorizationError::Revoked { until, .. })) => Ok(Some(until)),
            checked => checked.map(|()| None),
        }
    }

    /// Until when an authorization that this node gave is revoked, or all of them are; `None` if
    /// it is not revoked.
    ///
    /// # Errors
    /// When what this node revoked cannot be read.
    pub fn own(
        &self,
        leaf: Option<&Certificate>,
        window: &Window,
    ) -> Result<Option<Timestamp>, Error> {
        if !self.is_any {
            return Ok(None);
        }
        let known = self.of_issuer(self.own)?;
        let found = known.iter().filter(|it| {
            let scope = &it.scope;
            let is_meant = leaf.map_or(*scope == RevocationScope::All, |leaf| {
                scope.includes(leaf.serial())
            });
            let is_certain = it.gateway.as_ref().is_none_or(|(_, is_known)| *is_known);
            is_meant && is_certain && !window.is_after(it.end)
        });
        Ok(found.map(|it| it.end).max())
    }

    fn of_issuer(&self, issuer: NodeId) -> Result<Arc<Vec<Revocation>>, Error> {
        if let Some(known) = mutex::lock(&self.kept).get(&issuer) {
            return Ok(Arc::clone(known));
        }
        // Read without the lock, so that other threads go on.
        let dir = self.root.join(FOLDER).join(issuer.to_string());
        let mut found = Vec::new();
        for stored in stored_in(&dir)? {
            let revoker = stored.pdd.verify();
            let revoker = revoker.map_err(|error| damaged(&stored.path, &error))?;
            found.push(Revocation {
                gateway: match revoker {
                    Revoker::Issuer(_) => None,
                    Revoker::Gateway { gateway, .. } => Some((
                        gateway.key().clone(),
                        self.is_gateway_of(gateway.id(), issuer)?,
                    )),
                },
                issuer: revoker.issuer_key().clone(),
                by: stored.pdd.signer(),
                end: stored.end,
                stored: stored.stored,
                scope: stored.pdd.scope.clone(),
            });
        }
        let found = Arc::new(found);
        let mut kept = mutex::lock(&self.kept);
        if kept.len() < MAX_KEPT {
            kept.insert(issuer, Arc::clone(&found));
        }
        Ok(found)
    }

    /// Whether the files of this node show that a gateway certified a node: this one, or one that
    /// this one registered.
    fn is_gateway_of(&self, gateway: NodeId, endpoint: NodeId) -> Result<bool, Error> {
        let folder = if gateway == self.own {
            registered_folder(&self.root, endpoint)
        } else if endpoint == self.own {
            certificates::folder_of(&self.root, gateway)
        } else {
            return Ok(false);
        };
        Ok(files::exists(&folder, FileRole::Node)?)
    }
}
