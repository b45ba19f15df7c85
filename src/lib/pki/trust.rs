//! What a verifier believes, as data: trusted keys and certificates.

use std::collections::HashSet;
use std::sync::Mutex;

use super::{Certificate, PublicKey};
use crate::crypto::hash::{Digest, Hasher};
use crate::pipeline::mutex;

/// The most signatures that are remembered.
const MAX_VERIFIED: usize = 100_000;

/// Where a certification path may end, and which signatures of certificates are known to be good: the
/// messages of one sender bring the same ones again and again.
#[derive(Debug, Default)]
pub struct Trust {
    /// Trusted keys: a certificate signed with one of them ends a path.
    pub keys: Vec<PublicKey>,
    /// Trusted certificates; they too must be valid and those of an authority.
    pub certificates: Vec<Certificate>,
    /// Digests of a certificate and the key that verified it.
    verified: Mutex<HashSet<[u8; 32]>>,
}

impl Trust {
    /// Trust in a single key, as a node has in its own.
    #[must_use]
    pub fn key(key: PublicKey) -> Self {
        Self {
            keys: vec![key],
            ..Self::default()
        }
    }

    /// Trust in these certificates.
    #[must_use]
    pub fn certificates(certificates: Vec<Certificate>) -> Self {
        Self {
            certificates,
            ..Self::default()
        }
    }

    /// Whether the certificate was signed with this key.
    #[must_use]
    pub fn verifies(&self, certificate: &Certificate, key: &PublicKey) -> bool {
        let mut hasher = Hasher::new(Digest::Sha256);
        hasher.update(key.id().digest());
        hasher.update(certificate.octets());
        let mut record = [0; 32];
        record.copy_from_slice(hasher.finish().as_bytes());
        // A thread that panicked with the lock held had added no record or a whole one.
        let verified = || mutex::lock(&self.verified);
        if verified().contains(&record) {
            return true;
        }
        let is_good = certificate.verify_signature(key).is_ok();
        if is_good && verified().len() < MAX_VERIFIED {
            verified().insert(record);
        }
        is_good
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.certificates.is_empty()
    }
}
