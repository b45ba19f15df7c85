//! The instants that count when something is verified.

use jiff::{SignedDuration, Timestamp};

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
