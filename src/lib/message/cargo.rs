//! Cargo: sealed messages, from gateway to gateway (RS-000 §Cargo).

use std::collections::BTreeSet;

use super::{Error, message_set};
use crate::ramf::{self, Kind, SignedMessage, limits};

/// Well-formed cargo, whose signature and dates are not checked yet.
#[derive(Debug)]
pub struct Cargo(pub(super) SignedMessage);

impl Cargo {
    /// Parses all of `octets` as one message.
    ///
    /// # Errors
    /// When it is malformed, over a limit, or another kind of message.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        Self::try_from(SignedMessage::parse(octets)?)
    }

    /// Takes the RAMF message.
    #[must_use]
    pub fn into_message(self) -> SignedMessage {
        self.0
    }
}

impl AsRef<SignedMessage> for Cargo {
    fn as_ref(&self) -> &SignedMessage {
        &self.0
    }
}

impl TryFrom<SignedMessage> for Cargo {
    type Error = Error;

    fn try_from(message: SignedMessage) -> Result<Self, Error> {
        match message.kind() {
            Kind::Cargo => Ok(Self(message)),
            found => Err(ramf::Error::Kind {
                expected: Kind::Cargo,
                found,
            }
            .into()),
        }
    }
}

/// The space for messages in one cargo, headers included, in octets.
pub const ROOM: usize = limits::MAX_EMITTED_PLAINTEXT_LEN - message_set::HEADER_LEN;

/// The same in cargo for who collects it over a network. Phones receive messages of at most 4 194 304 octets with gRPC,
/// and the certificates and the envelope are a part of that.
pub const COLLECTED_ROOM: usize =
    4_190_000 - (limits::MAX_EMITTED_MESSAGE_LEN - limits::MAX_EMITTED_PLAINTEXT_LEN);

/// Distributes messages of these sizes over as few cargoes with `room` octets as possible: the largest first, each
/// into the fullest cargo with space for it, and one that needs more into a cargo of its own. Returns the messages of each cargo, as ascending
/// indexes into `sizes`.
///
/// Finding the fewest is NP-hard. Best-fit decreasing finds them for what occurs, and needs at most
/// 11/9 of them and one more. No size may be over [`limits::MAX_ITEM_LEN`].
#[must_use]
pub fn distribute(sizes: &[usize], room: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // The index breaks ties, so that equal input gives equal cargo.
    order.sort_by_key(|&at| (std::cmp::Reverse(sizes[at]), at));
    let mut cargoes: Vec<Vec<usize>> = Vec::new();
    // The cargoes with space left: (space, index).
    let mut open: BTreeSet<(usize, usize)> = BTreeSet::new();
    for at in order {
        let needed = message_set::item_len(sizes[at]);
        let fullest = open.range((needed, 0)..).next().copied();
        let (left, cargo) = fullest.unwrap_or((room, cargoes.len()));
        if !open.remove(&(left, cargo)) {
            cargoes.push(Vec::new());
        }
        cargoes[cargo].push(at);
        // Small messages reach the maximum number before the maximum size.
        if cargoes[cargo].len() < limits::MAX_ITEMS {
            open.insert((left.saturating_sub(needed), cargo));
        }
    }
    for cargo in &mut cargoes {
        cargo.sort_unstable();
    }
    cargoes.sort_unstable();
    cargoes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1_000_000;

    #[test]
    fn small_messages_fill_up_large_ones() {
        let sizes = [5 * MB, 5 * MB, 5 * MB, 3 * MB, 3 * MB, 3 * MB];
        assert_eq!(
            distribute(&sizes, ROOM),
            [vec![0, 3], vec![1, 4], vec![2, 5]]
        );
        assert_eq!(distribute(&[], ROOM), [[0; 0]; 0]);
        assert_eq!(distribute(&[0], ROOM), [[0]]);
    }

    #[test]
    fn the_largest_message_fits_alone_and_with_nothing() {
        let sizes = [limits::MAX_ITEM_LEN, 0, limits::MAX_ITEM_LEN];
        assert_eq!(distribute(&sizes, ROOM), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn a_message_over_the_room_is_alone() {
        let sizes = [5 * MB, 2 * MB, 2 * MB, 1, MB];
        let cargoes = distribute(&sizes, COLLECTED_ROOM);
        assert_eq!(cargoes, [vec![0], vec![1, 2, 3], vec![4]]);
    }

    #[test]
    fn no_cargo_has_more_messages_than_it_may() {
        let cargoes = distribute(&vec![1; limits::MAX_ITEMS + 1], ROOM);
        let lens: Vec<usize> = cargoes.iter().map(Vec::len).collect();
        assert_eq!(lens, [limits::MAX_ITEMS, 1]);
    }

    #[test]
    fn every_message_is_in_one_cargo_that_it_fits() {
        let sizes: Vec<usize> = (0..2000_usize)
            .map(|at| at.wrapping_mul(2_654_435_761) % limits::MAX_ITEM_LEN)
            .collect();
        let cargoes = distribute(&sizes, ROOM);
        let mut all: Vec<usize> = cargoes.concat();
        all.sort_unstable();
        assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
        let filled = |cargo: &Vec<usize>| -> usize {
            cargo
                .iter()
                .map(|&at| message_set::item_len(sizes[at]))
                .sum()
        };
        assert!(cargoes.iter().all(|cargo| filled(cargo) <= ROOM));
        let least = cargoes.iter().map(filled).sum::<usize>().div_ceil(ROOM);
        assert!(cargoes.len() <= least + least / 50 + 1, "{}", cargoes.len());
    }
}
