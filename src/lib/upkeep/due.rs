//! When something is renewed: from the middle of its life on, while that helps. Pure functions of
//! dates.

use jiff::{SignedDuration, Timestamp};

use crate::pki::issuance;

/// When something begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

impl From<(Timestamp, Timestamp)> for Lifetime {
    fn from((start, end): (Timestamp, Timestamp)) -> Self {
        Self { start, end }
    }
}

impl Lifetime {
    /// How long it lasts.
    fn length(&self) -> SignedDuration {
        self.end.duration_since(self.start)
    }

    /// How long the peer has to use it before it is sent again.
    #[must_use]
    pub fn tenth(&self) -> SignedDuration {
        self.length() / 10
    }

    /// The middle, from which on it is due for renewal.
    #[must_use]
    pub fn middle(&self) -> Timestamp {
        self.start
            .checked_add(self.length() / 2)
            .unwrap_or(self.end)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.end < now
    }

    /// Whether it is to be renewed now, given when its successor would end. One that ends hardly
    /// later is no use: it would be issued under a certificate that is itself to be renewed first,
    /// and be followed by ever shorter ones.
    #[must_use]
    pub fn is_due(&self, next_end: Timestamp, now: Timestamp) -> bool {
        let gain = next_end.duration_since(self.end);
        now >= self.middle() && gain >= self.length() / 4
    }
}

/// When a certificate ends that is asked for now for this long, under a path that ends at `above`.
#[must_use]
pub fn next_end(now: Timestamp, valid_for: SignedDuration, above: Option<Timestamp>) -> Timestamp {
    let longest = issuance::MAX_LIFE - issuance::BACKDATED;
    let end = now.checked_add(valid_for.min(longest));
    let end = end.unwrap_or(Timestamp::MAX);
    above.map_or(end, |above| end.min(above))
}

/// Whether something that was emitted then is to be emitted again. A date far in the future came
/// from a wrong clock.
#[must_use]
pub fn is_due_again(emitted: Timestamp, resend_after: SignedDuration, now: Timestamp) -> bool {
    now.duration_since(emitted).abs() >= resend_after
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(days: i32) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + DAY * days
    }

    fn life(start: i32, end: i32) -> Lifetime {
        (at(start), at(end)).into()
    }

    #[test]
    fn it_is_due_from_the_middle_of_its_life_on() {
        let life = life(0, 180);
        let due = |day| life.is_due(next_end(at(day), DAY * 180, None), at(day));
        assert!(!due(0) && !due(89));
        assert!(due(90) && due(179));
        // One that has ended, too: who may not have a successor then, the caller knows.
        assert!(due(181) && life.has_ended(at(181)) && !life.has_ended(at(180)));
        assert_eq!(life.middle(), at(90));
    }

    #[test]
    fn a_short_one_is_renewed_for_as_long_as_it_was_asked_for() {
        let life = life(0, 2);
        let next = next_end(at(1), DAY * 2, None);
        assert_eq!(next, at(3));
        assert!(life.is_due(next, at(1)));
        let longest = next_end(at(0), DAY * 1000, None);
        assert_eq!(longest, at(180) - issuance::BACKDATED);
    }

    #[test]
    fn what_ends_with_the_certificate_above_waits_for_that() {
        // Issued on day 0, under a certificate that ends on day 100.
        let first = life(0, 100);
        let under = |above, now| next_end(at(now), DAY * 180, Some(at(above)));
        for day in [50, 75, 99] {
            assert!(!first.is_due(under(100, day), at(day)), "{day}");
        }
        // A few days more are no reason, and a renewed certificate above is.
        assert!(!first.is_due(under(124, 60), at(60)));
        assert!(first.is_due(under(125, 60), at(60)));
        assert!(first.is_due(under(240, 60), at(60)));
        assert!(!first.is_due(under(240, 49), at(49)));
    }

    #[test]
    fn what_was_emitted_goes_again_after_a_while() {
        let due = |emitted, now| is_due_again(at(emitted), DAY * 7, at(now));
        assert!(!due(0, 0) && !due(0, 6));
        assert!(due(0, 7));
        assert!(due(50, 1), "a wrong clock");
    }
}
