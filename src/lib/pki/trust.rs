//! What a verifier believes, as data: trusted keys and certificates, and the instants that count.

use jiff::{SignedDuration, Timestamp};

use super::{Certificate, PublicKey};

/// The instant that something is judged at, give or take the clock drift that is allowed.
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

/// Where a certification path may end.
#[derive(Debug, Default)]
pub struct Trust {
    /// Trusted keys: a certificate signed with one of them ends a path.
    pub keys: Vec<PublicKey>,
    /// Trusted certificates; they too must be valid and those of an authority.
    pub certificates: Vec<Certificate>,
}

impl Trust {
    /// Trust in a single key, as a node has in its own.
    #[must_use]
    pub fn key(key: PublicKey) -> Self {
        Self {
            keys: vec![key],
            certificates: Vec::new(),
        }
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.certificates.is_empty()
    }
}
