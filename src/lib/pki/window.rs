//! The time of a verification, with the allowed clock drift.

use jiff::{SignedDuration, Timestamp};

/// The time at which something is verified, plus or minus the allowed clock drift.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    earliest: Timestamp,
    latest: Timestamp,
}

impl Window {
    /// From `drift` before `at` to `drift` after it.
    #[must_use]
    pub fn new(at: Timestamp, drift: SignedDuration) -> Self {
        Self {
            earliest: at.checked_sub(drift).unwrap_or(Timestamp::MIN),
            latest: at.checked_add(drift).unwrap_or(Timestamp::MAX),
        }
    }

    /// All of time: for what was verified when it arrived, while the clock is not trusted.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            earliest: Timestamp::MIN,
            latest: Timestamp::MAX,
        }
    }

    /// This window, extended back to `end`: for what was verified on arrival, before it expired.
    #[must_use]
    pub fn back_to(self, end: Timestamp) -> Self {
        Self {
            earliest: self.earliest.min(end),
            ..self
        }
    }

    /// Whether something that ends at `end` has expired, even by the slowest clock allowed.
    #[must_use]
    pub fn is_after(&self, end: Timestamp) -> bool {
        end < self.earliest
    }

    /// Whether something that starts at `start` is still in the future, even by the fastest clock
    /// allowed.
    #[must_use]
    pub fn is_before(&self, start: Timestamp) -> bool {
        start > self.latest
    }
}
