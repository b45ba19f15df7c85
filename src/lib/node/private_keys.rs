//! How a node keeps its private keys: plain, or encrypted.
//!
//! `identity.key` is encrypted under the passphrase. Session keys are encrypted under a secret that only
//! the identity key gives. So a run derives one key of the passphrase, however many session keys it needs,
//! and changing the passphrase replaces one file: at each instant either the old one opens everything, or
//! the new one.

use std::path::Path;
use std::sync::Arc;

use super::files::{MAX_KEY_LEN, damaged};
use super::session_secret::SessionSecret;
use super::{Directory, DirectoryError, Error, key_file};
use crate::crypto::Secret;
use crate::crypto::pbes2::EncryptedKey;
use crate::disk::{FileRole, files};
use crate::pipeline::mutex;
use crate::pki::IdentityKey;

/// The file of the identity key.
pub(super) const IDENTITY: &str = "identity.key";

/// The error for a private key in a node directory: that it is not opened, or what is wrong with it.
pub(super) fn key_problem(path: &Path, error: Error) -> Error {
    match error {
        Error::Passphrase(cause) => Error::Directory(DirectoryError::Locked {
            path: path.to_owned(),
            cause,
        }),
        // Of the passphrase itself, or it names the file.
        Error::Disk(_) | Error::Directory(_) => error,
        error => damaged(path, &error),
    }
}

impl Directory {
    /// Whether the identity key is encrypted, as all private keys then are to be.
    ///
    /// # Errors
    /// When it cannot be read, or others can read it.
    pub fn is_encrypted(&self) -> Result<bool, Error> {
        let path = self.root().join(IDENTITY);
        let text = files::read_secret(&path, FileRole::Node, MAX_KEY_LEN)?;
        key_file::is_encrypted(&text).map_err(|error| key_problem(&path, error))
    }

    /// Checks that encrypted keys can be opened, for a run that would say of each message that they are not.
    ///
    /// # Errors
    /// [`DirectoryError::Locked`] when they cannot.
    pub fn check_opened(&self) -> Result<(), Error> {
        // What else is wrong with the identity key is no matter where it is not needed.
        if let Ok(true) = self.is_encrypted() {
            self.read_identity_key()?;
        }
        Ok(())
    }

    /// The identity key as the file has it.
    pub(super) fn read_identity_key(&self) -> Result<IdentityKey, Error> {
        let path = self.root().join(IDENTITY);
        let text = files::read_secret(&path, FileRole::Node, MAX_KEY_LEN)?;
        let read = || {
            let (pkcs8, _) = key_file::pkcs8_from_text(&text, &|key| self.passphrase().open(key))?;
            Ok(IdentityKey::from_pkcs8(pkcs8.as_bytes())?)
        };
        read().map_err(|error| key_problem(&path, error))
    }

    /// The password of its session keys.
    pub(super) fn session_secret(&self) -> Result<Arc<SessionSecret>, Error> {
        let mut known = mutex::lock(self.session_secret_cache());
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let secret = Arc::new(SessionSecret::of(&self.read_identity_key()?)?);
        *known = Some(Arc::clone(&secret));
        Ok(secret)
    }

    /// The password for a new session key; `None` if the node is not encrypted.
    pub(super) fn secret_to_seal(&self) -> Result<Option<Arc<SessionSecret>>, Error> {
        // Asked anew: another run may have changed it.
        self.is_encrypted()?
            .then(|| self.session_secret())
            .transpose()
    }

    /// Decrypts a session key, and returns its PKCS#8. One that a user encrypted under the passphrase itself is opened,
    /// too.
    pub(super) fn open_session_key(&self, encrypted: &EncryptedKey) -> Result<Secret, Error> {
        match self.session_secret()?.open(encrypted) {
            Err(Error::Passphrase(_)) if self.passphrase().is_given()? => {
                self.passphrase().open(encrypted)
            }
            opened => opened,
        }
    }
}
