//! The turns of addresses: where more wait than may be connected to at a time, none keeps the others from being served.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long an address is served while others wait.
#[derive(Debug, Clone, Copy)]
pub struct TurnLimits {
    /// After this time no other parcel is begun.
    pub turn: Duration,
    /// After this time a parcel is broken off that is still being sent, once; the address is served again, without
    /// this limit, after those that were not slow.
    pub parcel: Duration,
}

impl Default for TurnLimits {
    /// 5 s, so that connections made anew cost little; and 1 min, in which 8 MB pass at 1 Mbit/s.
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(5),
            parcel: Duration::from_secs(60),
        }
    }
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnEnd {
    /// With all parcels of the address.
    Done,
    /// At its limit: the address is to have another one.
    Again,
    /// Amid a parcel, since that was slow.
    Overtaken,
}

/// The addresses that wait for a turn.
#[derive(Debug)]
pub(super) struct Turns<T> {
    waiting: VecDeque<T>,
    /// Those that were overtaken.
    slow: VecDeque<T>,
}

impl<T> Turns<T> {
    pub(super) fn new(waiting: VecDeque<T>) -> Self {
        let slow = VecDeque::new();
        Self { waiting, slow }
    }

    /// Whose turn it is, and whether it was overtaken before.
    pub(super) fn next(&mut self) -> Option<(T, bool)> {
        let next = self.waiting.pop_front().map(|it| (it, false));
        next.or_else(|| self.slow.pop_front().map(|it| (it, true)))
    }

    /// Takes one back after its turn.
    pub(super) fn put_back(&mut self, it: T, is_slow: bool) {
        if is_slow {
            self.slow.push_back(it);
        } else {
            self.waiting.push_back(it);
        }
    }

    /// Whether another one waits for a turn.
    pub(super) fn is_anyone_waiting(&self, is_slow: bool) -> bool {
        !self.waiting.is_empty() || is_slow && !self.slow.is_empty()
    }

    /// The number of those that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.slow.len()
    }

    /// Nobody has another turn.
    pub(super) fn end(&mut self) {
        self.waiting.clear();
        self.slow.clear();
    }
}

/// A turn.
pub(super) struct Turn<'a> {
    pub(super) limits: TurnLimits,
    /// When it began.
    pub(super) began: Instant,
    /// Whether the address was overtaken before.
    pub(super) is_slow: bool,
    /// Whether another address waits.
    pub(super) others_wait: &'a dyn Fn() -> bool,
}

impl Turn<'_> {
    /// Whether no other parcel is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.began.elapsed() >= self.limits.turn && (self.others_wait)()
    }

    /// Whether a parcel that was begun then is to be broken off.
    pub(super) fn is_overtaken(&self, begun: Instant) -> bool {
        !self.is_slow && begun.elapsed() >= self.limits.parcel && (self.others_wait)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_overtaken_comes_after_all_others() {
        let mut turns = Turns::new(VecDeque::from(["a", "b"]));
        let (a, is_slow) = turns.next().unwrap();
        assert!((a, is_slow) == ("a", false) && turns.is_anyone_waiting(false));
        turns.put_back(a, true);
        let (b, _) = turns.next().unwrap();
        assert!(!turns.is_anyone_waiting(false) && turns.is_anyone_waiting(true));
        turns.put_back(b, false);
        assert_eq!(turns.len(), 2);
        assert_eq!(turns.next(), Some(("b", false)));
        assert_eq!(turns.next(), Some(("a", true)));
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn a_turn_goes_on_while_nobody_waits() {
        let (short, long) = (Duration::ZERO, Duration::MAX);
        // The limits, whether others wait, whether it was slow; whether it is over, and whether its parcel is.
        for (turn, parcel, others, is_slow, expected) in [
            (short, short, true, false, (true, true)),
            (short, short, false, false, (false, false)),
            (short, short, true, true, (true, false)),
            (long, short, true, false, (false, true)),
            (short, long, true, false, (true, false)),
        ] {
            let turn = Turn {
                limits: TurnLimits { turn, parcel },
                began: Instant::now(),
                is_slow,
                others_wait: &|| others,
            };
            let found = (turn.is_over(), turn.is_overtaken(turn.began));
            assert_eq!(found, expected, "{:?} {others} {is_slow}", turn.limits);
        }
    }
}
