//! What a verifier believes, as data: trusted keys and certificates, and the instants that count.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::{Certificate, PublicKey};
use crate::crypto::hash::{Digest, Hasher};

/// The instant that something is verified at, give or take the clock drift that is allowed.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    earliest: Timestamp,
    latest: Timestamp,
}

impl Window {
    /// `at`, plus and minus `drift`.
    #[must_use]
    pub fn new(at: Timestamp, drift: SignedDuration) -> Self {
        Self {
            earliest: at.checked_sub(drift).unwrap_or(Timestamp::MIN),
            latest: at.checked_add(drift).unwrap_or(Timestamp::MAX),
        }
    }

    /// Every instant: for what was verified in time, under a clock that is not believed.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            earliest: Timestamp::MIN,
            latest: Timestamp::MAX,
        }
    }

    /// The same, and back to `end`: for what was verified in time, before it ended.
    #[must_use]
    pub fn back_to(self, end: Timestamp) -> Self {
        Self {
            earliest: self.earliest.min(end),
            ..self
        }
    }

    /// Whether something that ends at `end` is over, even for the slowest clock allowed.
    #[must_use]
    pub fn is_after(&self, end: Timestamp) -> bool {
        end < self.earliest
    }

    /// Whether something that starts at `start` lies in the future, even for the fastest clock
    /// allowed.
    #[must_use]
    pub fn is_before(&self, start: Timestamp) -> bool {
        start > self.latest
    }
}

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
        let verified = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
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
