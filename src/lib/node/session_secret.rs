//! The password of an encrypted node's session keys, which its identity key gives.

use super::passphrase::open_with;
use super::{Error, PassphraseError};
use crate::asn1::Hex;
use crate::crypto::Secret;
use crate::crypto::pbes2::{Derivation, EncryptedKey};
use crate::pki::{self, IdentityKey};

/// What the identity key signs for [`SessionSecret`]; relay-node(5) has the command that does the same.
const LABEL: &[u8] = b"relay-node session keys";

/// The password of the session keys of an encrypted node: 64 hexadecimal digits.
pub struct SessionSecret(Secret);

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionSecret")
    }
}

impl SessionSecret {
    /// That of the node with this identity key.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn of(identity: &IdentityKey) -> Result<Self, Error> {
        let secret = identity.derive(LABEL)?;
        let digits = Hex(secret.as_bytes()).to_string();
        Ok(Self(digits.into_bytes().into()))
    }

    /// Decrypts a session key, and returns its PKCS#8.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn open(&self, encrypted: &EncryptedKey) -> Result<Secret, Error> {
        let key = encrypted.derivation().derive(self.0.as_bytes());
        open_with(encrypted, &key.map_err(PassphraseError::Refused)?)
    }

    /// Encrypts the PKCS#8 of a session key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, pkcs8: &[u8]) -> Result<Vec<u8>, Error> {
        let seal = || {
            // The password is random, so that guessing it is hopeless at any cost.
            let derivation = Derivation::cheap()?;
            let key = derivation.derive(self.0.as_bytes())?;
            EncryptedKey::seal(&derivation, &key, pkcs8)
        };
        Ok(seal().map_err(pki::Error::Crypto)?)
    }
}
