//! How fast a message must move on a connection, in either direction.

use std::time::{Duration, Instant};

/// The lowest rate of a message that is under way, in octets a second.
///
/// It is less than half of what a line of 9.6 kbit/s carries. A handshake of TLS at this rate, with about 5 000 octets of
/// certificates, just ends within the time for a connection. A parcel of the largest size takes less than five hours.
pub const LOWEST_RATE: u64 = 500;

/// The time within which an answer must be whole: octets that come do not prolong it.
pub const WHOLE_AT_ONCE: u64 = u64::MAX;

/// Why a connection is given up while a message is under way. It travels in an [`io::Error`](std::io::Error), of which the
/// binding makes its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaceFailure {
    /// Nothing moved for this time.
    #[error("nothing came for {} s", _0.as_secs())]
    Silent(Duration),
    /// The message was under way for this time, and fell behind the lowest rate.
    #[error("too slow: not whole after {} s", _0.as_secs())]
    Slow(Duration),
    /// The run is to end.
    #[error("the run ends")]
    Cut,
}

/// The pace of a message that is under way.
///
/// It may be behind its lowest rate by the time of silence at most. So nothing may move for that long; each octet then
/// wins the time back in which it should have moved; and what was won is never more than that time, so that a beginning
/// that was fast allows no slow end.
#[derive(Debug)]
pub struct Pace {
    silence: Duration,
    rate: u64,
    begun: Instant,
    moved: Instant,
    until: Instant,
}

impl Pace {
    /// The pace of a message that begins now.
    #[must_use]
    pub fn new(silence: Duration, rate: u64, now: Instant) -> Self {
        Self {
            silence,
            rate,
            begun: now,
            moved: now,
            until: now + silence,
        }
    }

    /// A message begins.
    pub fn begin(&mut self, silence: Duration, now: Instant) {
        *self = Self::new(silence, self.rate, now);
    }

    /// Octets of it moved.
    pub fn add(&mut self, octets: u64, now: Instant) {
        let won = Duration::from_nanos(octets.saturating_mul(1_000_000_000) / self.rate);
        self.moved = now;
        self.until = (self.until + won).min(now + self.silence);
    }

    /// The time that is left until something must move.
    ///
    /// # Errors
    /// When there is none.
    pub fn left(&self, now: Instant) -> Result<Duration, PaceFailure> {
        let left = self.until.saturating_duration_since(now);
        if !left.is_zero() {
            return Ok(left);
        }
        // A few octets at the beginning win no time worth mentioning.
        let idle = now.saturating_duration_since(self.moved);
        if idle >= self.silence / 2 {
            Err(PaceFailure::Silent(idle))
        } else {
            Err(PaceFailure::Slow(now.saturating_duration_since(self.begun)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(30);

    /// When a message fails of which `octets` move every `every` milliseconds, a number of times.
    fn fails(octets: u64, every: u64, times: u64) -> Option<(u64, PaceFailure)> {
        let start = Instant::now();
        let mut pace = Pace::new(SILENCE, LOWEST_RATE, start);
        for at in (1..=times).map(|it| it * every) {
            let now = start + Duration::from_millis(at);
            if let Err(failure) = pace.left(now) {
                return Some((at / 1000, failure));
            }
            pace.add(octets, now);
        }
        None
    }

    #[test]
    fn a_message_that_trickles_is_given_up_after_half_a_minute() {
        for octets in [1, 10, 30] {
            let (at, failure) = fails(octets, 1000, 100_000).unwrap();
            assert!((30..=32).contains(&at), "{octets}: {at} s");
            assert!(
                matches!(failure, PaceFailure::Slow(_)),
                "{octets}: {failure:?}"
            );
        }
        // One that is nearly fast enough takes longer.
        let (at, _) = fails(400, 1000, 100_000).unwrap();
        assert!((140..=160).contains(&at), "{at} s");
        assert_eq!(
            fails(1, 31_000, 2),
            Some((31, PaceFailure::Silent(Duration::from_secs(31))))
        );
    }

    #[test]
    fn honest_slow_lines_are_fast_enough() {
        // 9.6 kbit/s with ten bits for an octet, with and without pauses, and a satellite that hides for 25 s.
        assert_eq!(fails(960, 1000, 10_000), None);
        assert_eq!(fails(9600, 10_000, 1000), None);
        assert_eq!(fails(24_000, 25_000, 400), None);
        // A record of TLS shows nothing until it is whole.
        assert_eq!(fails(16_384, 17_000, 600), None);
    }

    #[test]
    fn a_fast_beginning_allows_no_slow_end() {
        let start = Instant::now();
        let mut pace = Pace::new(SILENCE, LOWEST_RATE, start);
        pace.add(9 << 20, start);
        assert_eq!(pace.left(start), Ok(SILENCE));
        let later = start + SILENCE;
        assert_eq!(pace.left(later), Err(PaceFailure::Silent(SILENCE)));
        pace.begin(SILENCE / 3, later);
        assert_eq!(pace.left(later), Ok(SILENCE / 3));
    }

    #[test]
    fn what_must_be_whole_at_once_wins_no_time() {
        let start = Instant::now();
        let mut pace = Pace::new(SILENCE, WHOLE_AT_ONCE, start);
        let soon = start + Duration::from_secs(20);
        pace.add(1 << 30, soon);
        assert_eq!(pace.left(soon), Ok(Duration::from_secs(10)));
    }
}
