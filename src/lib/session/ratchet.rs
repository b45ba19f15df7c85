//! Which of our session keys a message carries, and what an opened message changes (RS-003).
//!
//! Pure: facts about keys go in, decisions come out; whoever calls stores them.

use jiff::{SignedDuration, Timestamp};

use super::KeyId;

/// How long one of our keys is put into messages.
pub const CURRENT_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How long an initial key (of an authorization or of parameters) is sealed to.
pub const INITIAL_SEALED_FOR: SignedDuration = SignedDuration::from_hours(60 * 24);

/// How long an initial key that is bound to nobody is handed out.
pub const INITIAL_HANDED_OUT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is known of one of our session keys for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKey {
    /// The key's id.
    pub id: KeyId,
    /// The date of the first message that carried it, or of the authorization that it came with.
    pub first: Timestamp,
    /// The date of the last message that carried it; `None` before the first.
    pub last: Option<Timestamp>,
    /// Whether the peer has sealed a message to it that we opened.
    pub used: bool,
    /// Whether it was handed out with an authorization or parameters: such a key is for the
    /// peer's first message and is not put into ours.
    pub initial: bool,
}

/// The key that a message of `date` to the peer carries; `None` asks for a new one.
///
/// One key is current: the one first carried last. It is kept until the peer has used it or it is
/// 24 hours old. A new key is taken only for a message dated later than every message sent under
/// the old one, since the peer answers under the key of the latest date.
#[must_use]
pub fn current(keys: &[OwnKey], date: Timestamp) -> Option<&OwnKey> {
    let current = keys
        .iter()
        .filter(|key| !key.initial)
        .max_by_key(|key| (key.first, key.id.clone()))?;
    let fresh = !current.used && date.duration_since(current.first) < CURRENT_FOR;
    let later = current.last.is_none_or(|last| date > last) && date > current.first;
    if fresh || !later { Some(current) } else { None }
}

/// What is known of the key that a peer wants to be answered under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerKey {
    /// The date of the message, authorization or registration that brought it; connection parameters
    /// have none.
    pub date: Option<Timestamp>,
}

/// Whether the key of a message (or authorization) of `date` replaces the one that is stored: the
/// peer's key with the latest date is the one to seal to, and any date is later than none.
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
            used,
            initial: false,
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
    fn a_clock_that_went_back_keeps_the_key() {
        assert_eq!(
            current(&[key(1, 0, 5, true)], at(5)).unwrap().id.octets(),
            [1]
        );
        assert_eq!(
            current(&[key(1, 0, 5, true)], at(-30)).unwrap().id.octets(),
            [1]
        );
    }

    #[test]
    fn a_key_that_came_with_an_authorization_is_not_put_into_messages() {
        let initial = OwnKey {
            initial: true,
            last: None,
            ..key(1, 0, 0, false)
        };
        assert_eq!(current(&[initial], at(1)), None);
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
