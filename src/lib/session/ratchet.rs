//! Decides which of our session keys a message carries, what an opened message changes, and which
//! keys are no longer of use (RS-003).
//!
//! Pure functions: the caller passes the metadata of keys, and stores the decisions.

use jiff::{SignedDuration, Timestamp};

use super::KeyId;

/// How long one of our keys is put into messages before a new one is generated.
pub const CURRENT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How long messages may be sealed to an initial key, one that came with an authorization or
/// parameters.
pub const INITIAL_SEALED_FOR: SignedDuration = SignedDuration::from_hours(60 * 24);

/// How long an initial key that is bound to no peer is handed out.
pub const INITIAL_HANDED_OUT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How far a key may be dated ahead of a message before the clock of that time counts as wrong: as
/// much as clocks may differ between nodes.
const AHEAD: SignedDuration = SignedDuration::from_hours(2);

/// The metadata of one of our session keys for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKey {
    /// The key's id.
    pub id: KeyId,
    /// The date of the first message that carried it, or of the authorization that it came with.
    pub first: Timestamp,
    /// The date of the last message that carried it; `None` before the first.
    pub last: Option<Timestamp>,
    /// When we first opened a message that the peer had sealed to it; `None` before.
    pub used: Option<Timestamp>,
    /// Whether it must not be put into messages any more.
    pub retired: bool,
    /// The end of its retention, if it was handed out with an authorization or parameters: such a
    /// key is for the peer's first message and is not put into ours.
    pub kept_until: Option<Timestamp>,
}

impl OwnKey {
    /// The latest date with which the peer may have received it.
    fn latest(&self) -> Timestamp {
        self.last.unwrap_or(self.first)
    }

    /// Whether a message dated far after `date` carried it, so that the clock was wrong then or is
    /// wrong now.
    fn is_ahead_of(&self, date: Timestamp) -> bool {
        // Initial keys are dated by the authorization, and never chosen by date.
        self.kept_until.is_none() && self.latest().duration_since(date) > AHEAD
    }
}

/// The latest date of a message with one of these keys, if that lies far ahead of `date`.
#[must_use]
pub fn dated_ahead(keys: &[OwnKey], date: Timestamp) -> Option<Timestamp> {
    let ahead = keys.iter().filter(|key| key.is_ahead_of(date));
    ahead.map(OwnKey::latest).max()
}

/// The key that a message of `date` to the peer carries; `None` if a new one must be generated.
///
/// The current key is the one that was introduced last. It is used until the peer has used it, it
/// is 24 hours old, or it is retired. A new key is introduced only by a message dated later than
/// every message with the old one, since the peer answers to the key of the latest date.
///
/// A key that a clock far ahead dated is passed over, else one message under such a clock would fix
/// the key until the true time has caught up. If the peer opens that message meanwhile, it answers
/// to its key until then: the key is kept, since nothing supersedes it before its last date.
#[must_use]
pub fn current(keys: &[OwnKey], date: Timestamp) -> Option<&OwnKey> {
    let current = keys
        .iter()
        // Initial keys are for the peer's first message only.
        .filter(|key| key.kept_until.is_none() && !key.is_ahead_of(date))
        .max_by_key(|key| (key.first, key.id.clone()))?;
    let is_in_use = current.used.is_none() && !current.retired;
    let fresh = is_in_use && date.duration_since(current.first) < CURRENT_FOR;
    let later = current.last.is_none_or(|last| date > last) && date > current.first;
    // A new key in a message that is not later would never be adopted by the peer.
    if fresh || !later { Some(current) } else { None }
}

/// How long a message with one of our keys may be in transit: the maximum time to live (RS-001
/// §Format).
const UNDER_WAY_FOR: SignedDuration = SignedDuration::from_hours(180 * 24);

/// The retention policy for our keys for a peer.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// The current time.
    pub now: Timestamp,
    /// How long a superseded key is kept; `None` keeps it until the next completed exchange.
    pub grace: Option<SignedDuration>,
    /// Whether the peer may send to us.
    pub may_send: bool,
}

/// The reason why a key is no longer of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpentReason {
    /// The peer has used a later key, first at this time.
    Superseded(Timestamp),
    /// Its retention ended at this time.
    Over(Timestamp),
}

/// The reason why `key`, one of our `keys` for a peer, is no longer of use; `None` while it is.
///
/// A message sealed to one key supersedes those with earlier dates, since the peer seals to the key
/// of the latest date that it knows. Other keys are kept while the peer may send to us and may
/// still learn of them, and initial keys until the end of their retention.
#[must_use]
pub fn useless(key: &OwnKey, keys: &[OwnKey], keeping: &Keeping) -> Option<SpentReason> {
    let later = keys.iter().filter(|other| other.first > key.latest());
    let mut uses: Vec<Timestamp> = later.filter_map(|other| other.used).collect();
    uses.sort_unstable();
    let superseded = match keeping.grace {
        Some(grace) => uses
            .first()
            .filter(|since| keeping.now.duration_since(**since) > grace),
        // A second use of a later key completes another exchange.
        None => uses.get(1),
    };
    if let Some(since) = superseded {
        return Some(SpentReason::Superseded(*since));
    }
    let end = match key.kept_until {
        Some(until) => until,
        None if keeping.may_send => return None,
        None => key.latest().checked_add(UNDER_WAY_FOR).ok()?,
    };
    (end < keeping.now).then_some(SpentReason::Over(end))
}

/// The metadata of the session key of a peer, to which we seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerKey {
    /// The date of the message, authorization or registration that brought it; `None` for
    /// connection parameters, which are not dated.
    pub date: Option<Timestamp>,
}

/// Whether the key of a message or authorization of `date` replaces the stored one: we seal to the
/// key with the latest date, and any date is later than none.
#[must_use]
pub fn replaces(stored: Option<&PeerKey>, date: Timestamp) -> bool {
    stored
        .and_then(|stored| stored.date)
        .is_none_or(|stored| date > stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(hours: i64) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + HOUR * i32::try_from(hours).unwrap()
    }

    fn key(id: u8, first: i64, last: i64, used: bool) -> OwnKey {
        OwnKey {
            id: KeyId::new(&[id]).unwrap(),
            first: at(first),
            last: Some(at(last)),
            used: used.then(|| at(last)),
            retired: false,
            kept_until: None,
        }
    }

    #[test]
    fn a_key_is_kept_until_it_is_used_or_a_day_old() {
        assert_eq!(current(&[], at(0)), None);
        assert_eq!(
            current(&[key(1, 0, 5, false)], at(6)).unwrap().id.octets(),
            [1]
        );
        assert_eq!(current(&[key(1, 0, 5, true)], at(6)), None);
        assert_eq!(current(&[key(1, 0, 5, false)], at(24)), None);
        assert_eq!(
            current(&[key(1, 0, 5, true), key(2, 6, 6, false)], at(7))
                .unwrap()
                .id
                .octets(),
            [2]
        );
    }

    #[test]
    fn a_retired_key_is_put_into_no_later_message() {
        let retired = OwnKey {
            retired: true,
            ..key(1, 0, 5, false)
        };
        assert_eq!(current(std::slice::from_ref(&retired), at(6)), None);
        assert_eq!(current(&[retired], at(5)).unwrap().id.octets(), [1]);
    }

    #[test]
    fn a_clock_that_went_back_keeps_the_key() {
        assert_eq!(
            current(&[key(1, 0, 5, true)], at(5)).unwrap().id.octets(),
            [1]
        );
        assert_eq!(
            current(&[key(1, 0, 5, true)], at(3)).unwrap().id.octets(),
            [1]
        );
    }

    #[test]
    fn a_key_of_a_clock_far_ahead_is_passed_over_and_kept() {
        let (before, ahead) = (key(1, 0, 5, true), key(2, 720, 720, false));
        let mut keys = vec![before, ahead];
        assert_eq!(current(&keys, at(6)), None);
        assert_eq!(dated_ahead(&keys, at(6)), Some(at(720)));
        assert_eq!(dated_ahead(&keys, at(719)), None);
        keys.push(key(3, 6, 6, false));
        assert_eq!(current(&keys, at(7)).unwrap().id.octets(), [3]);
        // Its use does not supersede the other, whose message may be opened late.
        keys[2].used = Some(at(8));
        let keeping = Keeping {
            now: at(500),
            grace: Some(HOUR),
            may_send: true,
        };
        assert_eq!(useless(&keys[1], &keys, &keeping), None);
        // Once the true time is there, the key is used like any other.
        assert_eq!(current(&keys, at(720)).unwrap().id.octets(), [2]);
    }

    #[test]
    fn a_key_that_came_with_an_authorization_is_not_put_into_messages() {
        let initial = OwnKey {
            kept_until: Some(at(1000)),
            last: None,
            ..key(1, 0, 0, false)
        };
        assert_eq!(current(&[initial], at(1)), None);
    }

    const DAY: i64 = 24;

    fn keeping(now: i64, grace: Option<i64>) -> Keeping {
        Keeping {
            now: at(now),
            grace: grace.map(SignedDuration::from_hours),
            may_send: true,
        }
    }

    #[test]
    fn a_superseded_key_outlives_the_grace_and_no_more() {
        let keys = [key(1, 0, 5, false), key(2, 6, 8, true), key(3, 9, 9, false)];
        let of =
            |at_key: usize, now: i64| useless(&keys[at_key], &keys, &keeping(now, Some(30 * DAY)));
        assert_eq!(of(0, 8 + 30 * DAY), None);
        assert_eq!(of(0, 9 + 30 * DAY), Some(SpentReason::Superseded(at(8))));
        // The one that was used, and a later one that was not.
        assert_eq!(of(1, 10_000 * DAY), None);
        assert_eq!(of(2, 10_000 * DAY), None);
        let at_once = keeping(9, Some(0));
        assert!(useless(&keys[0], &keys, &at_once).is_some());
    }

    #[test]
    fn without_a_grace_the_next_exchange_has_to_be_complete() {
        let keeping = keeping(10_000, None);
        let mut keys = vec![key(1, 0, 5, true), key(2, 6, 8, true), key(3, 9, 9, false)];
        assert_eq!(useless(&keys[0], &keys, &keeping), None);
        keys[2].used = Some(at(20));
        assert_eq!(
            useless(&keys[0], &keys, &keeping),
            Some(SpentReason::Superseded(at(20)))
        );
        assert_eq!(useless(&keys[1], &keys, &keeping), None);
    }

    #[test]
    fn a_key_that_was_carried_later_is_not_superseded() {
        // The second was handed out while the first was still put into messages.
        let keys = [key(1, 0, 10, false), key(2, 6, 6, true)];
        assert_eq!(useless(&keys[0], &keys, &keeping(10_000, Some(0))), None);
    }

    #[test]
    fn what_nobody_may_use_ends_when_nothing_carries_it_any_more() {
        let keys = [key(1, 0, 5, false)];
        let of = |now: i64, may_send: bool| {
            let keeping = Keeping {
                may_send,
                ..keeping(now, Some(0))
            };
            useless(&keys[0], &keys, &keeping)
        };
        assert_eq!(of(1_000 * DAY, true), None);
        assert_eq!(of(5 + 180 * DAY, false), None);
        let end = at(5 + 180 * DAY);
        assert_eq!(of(6 + 180 * DAY, false), Some(SpentReason::Over(end)));
    }

    #[test]
    fn an_initial_key_is_kept_as_long_as_was_said() {
        let initial = OwnKey {
            kept_until: Some(at(240 * DAY)),
            last: None,
            ..key(1, 0, 0, false)
        };
        let keys = [initial];
        let of = |now: i64| useless(&keys[0], &keys, &keeping(now, Some(0)));
        assert_eq!(of(240 * DAY), None);
        assert_eq!(of(240 * DAY + 1), Some(SpentReason::Over(at(240 * DAY))));
    }

    #[test]
    fn only_a_later_date_replaces_the_peers_key() {
        let stored = PeerKey { date: Some(at(5)) };
        assert!(replaces(None, at(-100)));
        assert!(replaces(Some(&PeerKey { date: None }), at(-100)));
        assert!(replaces(Some(&stored), at(6)));
        assert!(!replaces(Some(&stored), at(5)));
        assert!(!replaces(Some(&stored), at(4)));
    }
}
