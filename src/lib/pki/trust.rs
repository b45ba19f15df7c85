//! Trust anchors, as data: keys and certificates.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::{Certificate, PublicKey};
use crate::crypto::hash::{Digest, Hasher};
use crate::pipeline::mutex;

/// Maximum number of verified signatures that are remembered, at 32 octets each.
const MAX_VERIFIED: usize = 100_000;

/// The anchors of certification paths, and a cache of verified certificate signatures: the messages
/// of one sender bring the same certificates again and again.
#[derive(Debug, Default)]
pub struct Trust {
    /// Trusted keys: a certificate signed with one of them ends a path.
    pub keys: Vec<PublicKey>,
    /// Trusted certificates, which must also be valid and those of an authority.
    pub certificates: Vec<Certificate>,
    /// Digests of a certificate and the key that verified it.
    verified: Arc<Mutex<HashSet<[u8; 32]>>>,
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

    /// These certificates with other keys, and with the same cache.
    #[must_use]
    pub fn with_keys(&self, keys: Vec<PublicKey>) -> Self {
        Self {
            keys,
            certificates: self.certificates.clone(),
            verified: Arc::clone(&self.verified),
        }
    }

    /// Whether the certificate was signed with this key. A good signature is verified only once.
    #[must_use]
    pub fn verifies(&self, certificate: &Certificate, key: &PublicKey) -> bool {
        let mut hasher = Hasher::new(Digest::Sha256);
        // The key is part of the record: a signature is good only under the key that made it.
        hasher.update(key.id().digest());
        hasher.update(certificate.octets());
        let mut record = [0; 32];
        record.copy_from_slice(hasher.finish().as_bytes());
        // A poisoned lock may be used: a thread that panicked had added no record or a whole one.
        let verified = || mutex::lock(&self.verified);
        if verified().contains(&record) {
            return true;
        }
        // Verified without the lock, so that other threads go on.
        let is_good = certificate.verify_signature(key).is_ok();
        // Only good signatures: bad ones are new each time, and would fill the cache.
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
