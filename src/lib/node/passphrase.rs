//! The passphrase under which private keys are encrypted, and what is derived of it.

use std::sync::{Arc, Mutex};

use super::{Error, PassphraseError};
use crate::asn1::{Element, tag};
use crate::crypto::Secret;
use crate::crypto::pbes2::{Derivation, EncryptedKey};
use crate::pipeline::mutex;

/// The longest passphrase, in octets.
pub const MAX_LEN: usize = 1024;

/// Reads the passphrase; `None` if there is none.
pub type ReadPassphrase = Box<dyn Fn() -> Result<Option<Secret>, Error> + Send + Sync>;

/// The passphrase of a run. It is read when an encrypted key is met, and a key is derived of it once for
/// each salt.
pub struct Passphrase {
    read: ReadPassphrase,
    state: Mutex<PassphraseState>,
}

#[derive(Default)]
struct PassphraseState {
    is_read: bool,
    passphrase: Option<Arc<Secret>>,
    derived: Vec<(Derivation, Arc<Secret>)>,
}

impl Default for Passphrase {
    fn default() -> Self {
        Self::read_by(Box::new(|| Ok(None)))
    }
}

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Passphrase")
    }
}

impl Passphrase {
    /// The passphrase that `read` gives.
    #[must_use]
    pub fn read_by(read: ReadPassphrase) -> Self {
        Self {
            read,
            state: Mutex::default(),
        }
    }

    /// Whether there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_given(&self) -> Result<bool, Error> {
        Ok(self.get(&mut mutex::lock(&self.state))?.is_some())
    }

    /// Decrypts a key, and returns its PKCS#8.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn open(&self, encrypted: &EncryptedKey) -> Result<Secret, Error> {
        let key = self.derive(encrypted.derivation())?;
        open_with(encrypted, &key)
    }

    /// Encrypts the PKCS#8 of a key, under parameters for passphrases of people. Keys that are
    /// encrypted in one run share their salt, so that a later run derives one key for all of them.
    ///
    /// # Errors
    /// [`PassphraseError::Missing`]; when the system has no randomness.
    pub fn seal(&self, pkcs8: &[u8]) -> Result<Vec<u8>, Error> {
        let known = {
            let state = mutex::lock(&self.state);
            let mut known = state.derived.iter().map(|(derivation, _)| derivation);
            known.find(|derivation| derivation.is_costly()).cloned()
        };
        let derivation = match known {
            Some(derivation) => derivation,
            None => Derivation::costly().map_err(crate::pki::Error::Crypto)?,
        };
        let key = self.derive(&derivation)?;
        let sealed = EncryptedKey::seal(&derivation, &key, pkcs8);
        Ok(sealed.map_err(crate::pki::Error::Crypto)?)
    }

    /// The key that is derived so. Other threads wait meanwhile: they would derive the same one.
    fn derive(&self, derivation: &Derivation) -> Result<Arc<Secret>, Error> {
        let mut state = mutex::lock(&self.state);
        let mut known = state.derived.iter();
        if let Some((_, key)) = known.find(|(known, _)| known == derivation) {
            return Ok(Arc::clone(key));
        }
        let passphrase = self.get(&mut state)?.ok_or(PassphraseError::Missing)?;
        let key = derivation.derive(passphrase.as_bytes());
        let key = Arc::new(key.map_err(PassphraseError::Refused)?);
        state.derived.push((derivation.clone(), Arc::clone(&key)));
        Ok(key)
    }

    fn get(&self, state: &mut PassphraseState) -> Result<Option<Arc<Secret>>, Error> {
        if !state.is_read {
            let read = (self.read)()?;
            if read.as_ref().is_some_and(Secret::is_empty) {
                return Err(PassphraseError::Empty.into());
            }
            state.passphrase = read.map(Arc::new);
            state.is_read = true;
        }
        Ok(state.passphrase.clone())
    }
}

/// Decrypts a key with a derived one, and returns its PKCS#8. CBC with a wrong key gives garbage, and
/// for one of 256 even with a right padding.
///
/// # Errors
/// [`PassphraseError::Wrong`].
pub(super) fn open_with(encrypted: &EncryptedKey, key: &Secret) -> Result<Secret, Error> {
    let opened = encrypted
        .open(key)
        .map_err(|_| Error::from(PassphraseError::Wrong))?;
    let is_key = Element::der(&opened, tag::SEQUENCE)
        .is_ok_and(|whole| whole.children().peek() == Some(tag::INTEGER));
    if is_key {
        Ok(opened.into())
    } else {
        Err(PassphraseError::Wrong.into())
    }
}
