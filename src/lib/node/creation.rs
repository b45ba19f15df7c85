//! Makes node directories.
//!
//! Files appear one by one, and VERSION last. A directory without it belongs to a run that was
//! killed; the next run completes it, and keeps the keys that are there.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::DirectoryError;
use super::certificates;
use super::directory::VERSION;
use super::files::{damaged, ensure_dir, lock_file, read_secret, rely_on, store};
use super::predecessor::{self, PREDECESSOR};
use super::private_keys::{IDENTITY, key_problem};
use super::session_secret::SessionSecret;
use super::{Config, Directory, Error, Passphrase, key_file, ownership, sessions};
use crate::asn1::pem;
use crate::crypto::ecdh::Curve;
use crate::disk::{self, FileRole, files, group};
use crate::message::CertificationPath;
use crate::pki::{IdentityKey, PublicKey};
use crate::session::PrivateSessionKey;

/// How long the private half of an unbound session key is kept.
const UNBOUND_KEPT_FOR: SignedDuration = SignedDuration::from_hours(240 * 24);

/// The plan for a new node.
pub struct NodePlan {
    /// Its settings.
    pub config: Config,
    /// The size of a new identity key, in bits.
    pub rsa_bits: usize,
    /// The passphrase of the node's keys, if they are to be encrypted.
    pub passphrase: Option<Arc<Passphrase>>,
    /// An existing identity key to use, as PKCS#8.
    pub identity: Option<crate::crypto::Secret>,
    /// An existing session key to use.
    pub session_key: Option<PrivateSessionKey>,
    /// The node whose place it takes.
    pub predecessor: Option<PublicKey>,
    /// The time of creation.
    pub now: Timestamp,
}

/// Makes the node in `root`, or completes one that a killed run began.
///
/// # Errors
/// [`DirectoryError::Exists`] when the node is complete; when a key cannot be made or stored.
pub fn create(root: &Path, plan: NodePlan) -> Result<Directory, Error> {
    files::create_dir_all_private(root, FileRole::Output).map_err(|cause| {
        Error::Directory(DirectoryError::CannotMake {
            path: root.to_owned(),
            cause,
        })
    })?;
    ownership::check_place(root)?;
    let _lock = disk::Lock::exclusive(&lock_file(root, "node")?)?;
    if files::exists(&root.join("VERSION"), FileRole::Node)? {
        return Err(Error::Directory(DirectoryError::Exists(root.to_owned())));
    }
    if let Some(group) = plan.config.find_group()? {
        group.give(root, FileRole::Node, group::GATE)?;
    }
    // The lock is exclusive, so every temporary file is of a killed run.
    disk::publish::sweep(root, FileRole::Node, None)?;
    let (identity, secret) = identity_key(root, &plan)?;
    let public = pem::encode(pem::PUBLIC_KEY, identity.public().spki());
    store(root, &root.join("identity.pub"), public.as_bytes())?;
    store(root, &root.join("config"), plan.config.to_text().as_bytes())?;

    let certificates = root.join("certs").join(identity.id().to_string());
    if certificates::paths_in(&certificates)?.is_empty() {
        let leaf = certificates::issue_own(&identity, plan.config.node_type(), plan.now)?;
        let file = certificates.join(certificates::path_file_name(&leaf));
        let path = CertificationPath {
            leaf,
            authorities: Vec::new(),
        };
        store(root, &file, certificates::path_to_pem(&path).as_bytes())?;
    }
    ensure_dir(root, &certificates)?;
    files::sync_dir(&certificates, FileRole::Node)?;
    for dir in ["peers", "seen", "sessions"] {
        ensure_dir(root, &root.join(dir))?;
    }
    let kept_until = plan.now + UNBOUND_KEPT_FOR;
    let known = sessions::list(root, None)?;
    match plan.session_key {
        Some(key) if known.iter().any(|known| known.id() == key.public().id()) => {}
        None if !known.is_empty() => {}
        given => {
            let key = match given {
                Some(key) => key,
                None => PrivateSessionKey::generate(Curve::P256)?,
            };
            let times = (plan.now, kept_until);
            sessions::adopt(root, None, key, times, secret.as_ref())?;
        }
    }
    let unbound = root.join("sessions").join("any");
    ensure_dir(root, &unbound)?;
    files::sync_dir(&unbound, FileRole::Node)?;
    if let Some(predecessor) = &plan.predecessor {
        let text = predecessor::key_to_text(predecessor);
        store(root, &root.join(PREDECESSOR), text.as_bytes())?;
    }
    // Last, once everything before it is synced: it makes the directory a node.
    store(
        root,
        &root.join("VERSION"),
        format!("{VERSION}\n").as_bytes(),
    )?;
    let node = Directory::open(root)?;
    Ok(match plan.passphrase {
        Some(passphrase) => node.with_passphrase(passphrase),
        None => node,
    })
}

/// The identity key of the node: the one of a killed run, the given one, or a new one. Returns with it the
/// password of session keys, if keys are to be encrypted.
fn identity_key(
    root: &Path,
    plan: &NodePlan,
) -> Result<(IdentityKey, Option<SessionSecret>), Error> {
    let identity = stored_or_new(root, plan)?;
    let secret = plan
        .passphrase
        .is_some()
        .then(|| SessionSecret::of(&identity));
    Ok((identity, secret.transpose()?))
}

fn stored_or_new(root: &Path, plan: &NodePlan) -> Result<IdentityKey, Error> {
    let path = root.join(IDENTITY);
    let none = Passphrase::default();
    let passphrase = plan.passphrase.as_deref().unwrap_or(&none);
    if let Some(text) = read_secret(&path)? {
        let read = || {
            // A node is made in one way: a killed run cannot have encrypted what this one would not.
            if key_file::is_encrypted(&text)? != plan.passphrase.is_some() {
                return Err(damaged(
                    &path,
                    &"made by a run with other options: move it away",
                ));
            }
            let (pkcs8, _) = key_file::pkcs8_from_text(&text, &|key| passphrase.open(key))?;
            Ok(IdentityKey::from_pkcs8(pkcs8.as_bytes())?)
        };
        let known = read().map_err(|error| key_problem(&path, error))?;
        // A node never changes its key, so another given key is refused.
        if let Some(adopted) = &plan.identity
            && IdentityKey::from_pkcs8(adopted.as_bytes())?.id() != known.id()
        {
            let path = path.clone();
            return Err(disk::Error::Exists {
                path,
                role: FileRole::Node,
            }
            .into());
        }
        // A killed run may not have synced the name of the key.
        rely_on(&path)?;
        return Ok(known);
    }
    let generated;
    let pkcs8 = if let Some(adopted) = &plan.identity {
        adopted
    } else {
        generated = IdentityKey::generate(plan.rsa_bits)?;
        &generated
    };
    let key = IdentityKey::from_pkcs8(pkcs8.as_bytes())?;
    let text = match &plan.passphrase {
        Some(passphrase) => {
            let sealed = passphrase.seal(pkcs8.as_bytes())?;
            pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &sealed).into()
        }
        None => pem::encode_private_key(pkcs8.as_bytes())?,
    };
    disk::publish::publish_key(&path, FileRole::Node, &[text.as_bytes()])?;
    Ok(key)
}

impl Directory {
    /// The unbound session key to hand out with connection parameters: the newest one, or a new one
    /// if that is older than 30 days.
    ///
    /// # Errors
    /// When it cannot be read, made or stored.
    pub fn unbound_session_key(&self, now: Timestamp) -> Result<PrivateSessionKey, Error> {
        if let Some(newest) = self.newest_unbound_key()?
            && newest.first().is_some_and(|first| {
                now.duration_since(first) < crate::session::ratchet::INITIAL_HANDED_OUT_FOR
            })
        {
            return newest.key_to_hand_out(self);
        }
        self.renew_unbound_key(now)
    }

    /// Makes a new unbound session key, which is handed out from now on.
    ///
    /// # Errors
    /// When it cannot be made or stored.
    pub fn renew_unbound_key(&self, now: Timestamp) -> Result<PrivateSessionKey, Error> {
        sessions::create_initial(self, None, now, now + UNBOUND_KEPT_FOR)
    }

    /// The unbound session key that is handed out.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn newest_unbound_key(&self) -> Result<Option<sessions::StoredOwnKey>, Error> {
        let keys = sessions::list(self.root(), None)?.into_iter();
        Ok(keys.max_by_key(sessions::StoredOwnKey::first))
    }
}
