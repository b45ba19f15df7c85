//! Sets, changes or removes the passphrase of all private keys of a node.
//!
//! The identity key comes first. Session keys depend on it and not on the passphrase, so at each instant
//! either the old passphrase (or none) opens all keys, or the new one does. A second run completes what a
//! killed one began.

use std::cell::Cell;
use std::path::Path;

use super::files::{MAX_KEY_LEN, damaged, rely_on};
use super::passphrase::Passphrase;
use super::private_keys::{IDENTITY, key_problem};
use super::session_secret::SessionSecret;
use super::{Directory, Error, PassphraseError, key_file};
use crate::asn1::pem;
use crate::crypto::Secret;
use crate::crypto::pbes2::EncryptedKey;
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, files};
use crate::pki::IdentityKey;

/// What a change did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ChangedKeys {
    /// Whether the identity key was stored anew.
    pub identity: bool,
    /// How many session keys were stored anew.
    pub session_keys: usize,
    /// How many session keys there are.
    pub of: usize,
}

/// Encrypts all private keys of the node, which its present passphrase opens, under a `new` one, or
/// decrypts them. A session key that cannot be changed is given to `each` with the reason, and stays as
/// it is.
///
/// # Errors
/// When the identity key is not opened, or cannot be stored.
pub fn change(
    node: &Directory,
    new: Option<&Passphrase>,
    each: &mut dyn FnMut(&Path, Error),
) -> Result<ChangedKeys, Error> {
    let _lock = node.lock_exclusive()?;
    let (identity, is_changed) = change_identity(node, new)?;
    let secret = SessionSecret::of(&identity)?;
    let mut changed = ChangedKeys {
        identity: is_changed,
        ..ChangedKeys::default()
    };
    let sessions = node.root().join("sessions");
    for folder in tree::entries(&sessions, FileRole::Node)?.entries {
        if folder.kind != EntryKind::Dir {
            continue;
        }
        for entry in tree::entries(&folder.path, FileRole::Node)?.entries {
            if entry.path.extension().is_none_or(|end| end != "key") {
                continue;
            }
            changed.of += 1;
            let open = |key: &EncryptedKey| {
                let opened = secret.open(key);
                // One that a user encrypted under the passphrase itself.
                opened.or_else(|wrong| Ok(open_with_any(node, new, key).map_err(|_| wrong)?.0))
            };
            match change_session_key(&entry.path, &secret, new.is_some(), &open) {
                Ok(stored) => changed.session_keys += usize::from(stored),
                Err(error) => each(&entry.path, key_problem(&entry.path, error)),
            }
        }
        // A run that was killed may have stored them.
        files::sync_dir(&folder.path, FileRole::Node)?;
    }
    Ok(changed)
}

/// Stores the identity key as it is to be. Returns it, and whether it was another way before.
fn change_identity(
    node: &Directory,
    new: Option<&Passphrase>,
) -> Result<(IdentityKey, bool), Error> {
    let path = node.root().join(IDENTITY);
    let text = files::read_secret(&path, FileRole::Node, MAX_KEY_LEN)?;
    // Whether the new passphrase opened it: a run that was killed came so far.
    let is_new = Cell::new(false);
    let open = |key: &EncryptedKey| {
        let (opened, by_new) = open_with_any(node, new, key)?;
        is_new.set(by_new);
        Ok(opened)
    };
    let read = || {
        let (pkcs8, _) = key_file::pkcs8_from_text(&text, &open)?;
        let identity = IdentityKey::from_pkcs8(pkcs8.as_bytes())?;
        if identity.id() == node.id() {
            Ok((pkcs8, identity))
        } else {
            Err(damaged(&path, &"not the private half of identity.pub"))
        }
    };
    let (pkcs8, identity) = read().map_err(|error| key_problem(&path, error))?;
    let is_done = match new {
        Some(_) => is_new.get(),
        None => !key_file::is_encrypted(&text)?,
    };
    if is_done {
        // A run that was killed may not have synced its name.
        rely_on(&path)?;
        return Ok((identity, false));
    }
    let block = match new {
        Some(new) => {
            let sealed = new.seal(pkcs8.as_bytes())?;
            pem::encode(pem::ENCRYPTED_PRIVATE_KEY, &sealed).into()
        }
        None => pem::encode_private_key(pkcs8.as_bytes())?,
    };
    let options = disk::PublishOptions::stored(FileRole::Node, disk::IfExists::Replace);
    disk::publish::publish(&path, &[block.as_bytes()], &options)?;
    Ok((identity, true))
}

/// Decrypts a key with the node's present passphrase, else with the new one. Returns whether it was that.
fn open_with_any(
    node: &Directory,
    new: Option<&Passphrase>,
    key: &EncryptedKey,
) -> Result<(Secret, bool), Error> {
    match (node.passphrase().open(key), new) {
        (
            Err(error @ Error::Passphrase(PassphraseError::Missing | PassphraseError::Wrong)),
            Some(new),
        ) => match new.open(key) {
            Ok(opened) => Ok((opened, true)),
            Err(Error::Passphrase(PassphraseError::Wrong)) => Err(error),
            Err(other) => Err(other),
        },
        (opened, _) => Ok((opened?, false)),
    }
}

/// Stores a session key as it is to be. Returns whether it was another way before.
fn change_session_key(
    path: &Path,
    secret: &SessionSecret,
    is_to_be: bool,
    open: key_file::OpenKey<'_>,
) -> Result<bool, Error> {
    let text = files::read_secret(path, FileRole::Node, MAX_KEY_LEN)?;
    let is_encrypted = key_file::is_encrypted(&text)?;
    if is_encrypted == is_to_be {
        let is_as_it_is_to_be =
            || key_file::pkcs8_from_text(&text, &|key| secret.open(key)).is_ok();
        if !is_encrypted || is_as_it_is_to_be() {
            return Ok(false);
        }
    }
    let (pkcs8, _) = key_file::pkcs8_from_text(&text, open)?;
    let changed = key_file::with_key(&text, pkcs8.as_bytes(), is_to_be.then_some(secret))?;
    let options = disk::PublishOptions::stored(FileRole::Node, disk::IfExists::Replace);
    disk::publish::publish(path, &[&changed], &options.dir_unsynced())?;
    Ok(true)
}
