//! Keeps track of contents that come in parts: which of them are complete, and their parts while
//! they are joined.
//!
//! The first pass, in which messages are opened, only notes the parts. A second pass joins complete
//! contents and writes each part straight to its place, so that memory use does not grow with the
//! content.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{Content, Error};
use crate::crypto::hash;
use crate::message::parts::{self, Ledger, TransferId};
use crate::message::{self, Part};
use crate::pki::NodeId;
use crate::receive::PendingReceipt;
use crate::receive::inbox::Joined;
use crate::spool::queue::Waiting;
use crate::spool::{Name, name};
use crate::transfer::join::{self, Join, Site};

/// The most contents that are tracked, at a few hundred octets each.
const MAX_KNOWN: usize = 10_000;

/// The most contents that are joined at once, with an open file each.
const MAX_AT_ONCE: usize = 32;

/// The most parts of the contents that are joined at once, at a few hundred octets each.
const MAX_PARTS: u32 = 65_536;

/// The media type of joined content of which the sender said none.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Identifies a content in parts. Senders choose transfer ids, so one counts only together with its
/// sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferKey {
    /// The sender.
    pub sender: NodeId,
    /// The transfer that the parts name.
    pub transfer: TransferId,
}

impl std::fmt::Display for TransferKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.sender, self.transfer)
    }
}

/// The most messages for which it is noted which part they hold.
const MAX_PLACED: usize = 65_536;

/// How often parts in unknown messages are searched for: each search opens all messages of a
/// sender.
const MAX_SEARCHES: usize = 16;

/// The contents whose parts wait.
///
/// Room is limited and shared between senders, so that no sender can crowd out the others. What one
/// sender does not use is free for others until that sender needs it. Of a sender with more than
/// its share, the contents whose turn comes first are kept. The order of turns differs in each run,
/// so that every content has its turn.
#[derive(Debug)]
pub struct Transfers {
    now: Timestamp,
    most: Most,
    senders: BTreeMap<NodeId, Sender>,
    searches: usize,
    /// The number of parts that were left out, by sender.
    left: BTreeMap<NodeId, usize>,
}

/// The limits.
#[derive(Debug, Clone, Copy)]
struct Most {
    known: usize,
    placed: usize,
    searches: usize,
}

/// The contents of a sender.
#[derive(Debug, Default)]
struct Sender {
    /// By turn: the parts that arrived, or the contradiction between them.
    known: BTreeMap<u128, (TransferId, Result<Ledger, join::Error>)>,
    /// The part that a message holds.
    places: BTreeMap<name::KeyDigest, (TransferId, u32)>,
    /// Whether parts of known contents may be in messages that are not in `places`.
    is_unplaced: bool,
}

/// Parts that are left for another run, because there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// The sender of most of them.
    pub sender: NodeId,
    /// The number of other senders with such parts.
    pub others: usize,
    /// The number of parts in all.
    pub parts: usize,
}

/// What a run leaves of contents in parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartsLeft {
    /// The parts that it had no room for.
    pub left_out: Option<LeftOut>,
    /// The contents of which parts are missing.
    pub contents: usize,
    /// The parts of these that are here.
    pub parts: usize,
}

/// Such as `20 parts, most of them from <sender>, wait for another run: …`.
impl std::fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, wait) = match self.parts {
            1 => ("part", "waits"),
            _ => ("parts", "wait"),
        };
        let most = if self.others == 0 {
            ""
        } else {
            "most of them "
        };
        write!(
            formatter,
            "{} {noun}, {most}from {}, {wait} for another run: this one keeps track of no more contents",
            self.parts, self.sender
        )
    }
}

impl Transfers {
    /// Starts empty, for a run at this time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let most = Most {
            known: MAX_KNOWN,
            placed: MAX_PLACED,
            searches: MAX_SEARCHES,
        };
        Self::with(most, now)
    }

    fn with(most: Most, now: Timestamp) -> Self {
        Self {
            now,
            most,
            senders: BTreeMap::new(),
            searches: 0,
            left: BTreeMap::new(),
        }
    }

    /// Notes a part and the message that holds it.
    pub fn note(&mut self, sender: NodeId, part: &Part<'_>, name: &Name) {
        let transfer = part.header().transfer;
        let turn = self.turn(transfer);
        if !self.has_room(sender, turn) {
            *self.left.entry(sender).or_default() += 1;
            return;
        }
        let is_placed = self.has_place(sender);
        let of_sender = self.senders.entry(sender).or_default();
        if is_placed {
            let place = (transfer, part.header().index);
            of_sender.places.insert(name.identity.key(), place);
        } else {
            of_sender.is_unplaced = true;
        }
        let (_, known) = of_sender
            .known
            .entry(turn)
            .or_insert_with(|| (transfer, Ok(Ledger::of(part.header()))));
        if let Ok(ledger) = known
            && let Err(error) = ledger.note(part)
        {
            *known = Err(error.into());
        }
    }

    /// The turn of a transfer. It depends on the time, so the order differs in each run.
    // Hashed, so that a sender cannot choose transfer ids with early turns for a run to come.
    fn turn(&self, transfer: TransferId) -> u128 {
        let now = self.now.as_second().to_be_bytes();
        let digest = hash::sha256(&[&now[..], transfer.octets()].concat());
        let mut turn = [0; 16];
        turn.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(turn)
    }

    /// Whether there is room for a content. If the sender has less than its share, room is made for
    /// it.
    fn has_room(&mut self, sender: NodeId, turn: u128) -> bool {
        let own = self.senders.get(&sender).map(|it| &it.known);
        let is_known = own.is_some_and(|known| known.contains_key(&turn));
        let all = || self.senders.values().map(|it| it.known.len());
        if is_known || all().sum::<usize>() < self.most.known {
            return true;
        }
        let count = own.map_or(0, BTreeMap::len);
        let is_sooner = own.is_some_and(|known| known.keys().next_back() > Some(&turn));
        let (loser, size) = self.largest(|it| it.known.len());
        // Takes from the largest sender only if this one would still not have more than that one.
        let loser = if size > count + 1 {
            loser
        } else if is_sooner {
            sender
        } else {
            return false;
        };
        let last = self.senders.get_mut(&loser);
        if let Some((_, (_, known))) = last.and_then(|it| it.known.pop_last()) {
            // A refused content counts as one part: the number of its parts is not known.
            let parts = known.map_or(1, |ledger| ledger.received());
            *self.left.entry(loser).or_default() += usize::try_from(parts).unwrap_or(usize::MAX);
        }
        true
    }

    /// Whether there is room in `places`. If the sender has less than its share, room is made for
    /// it.
    fn has_place(&mut self, sender: NodeId) -> bool {
        let count: usize = self.senders.values().map(|it| it.places.len()).sum();
        if count < self.most.placed {
            return true;
        }
        let own = self.senders.get(&sender).map_or(0, |it| it.places.len());
        let (loser, size) = self.largest(|it| it.places.len());
        match self.senders.get_mut(&loser) {
            Some(loser) if size > own + 1 => {
                // The message is found again by a search.
                loser.places.pop_last();
                loser.is_unplaced = true;
                true
            }
            _ => false,
        }
    }

    /// The sender with the largest share, and its size.
    fn largest(&self, size: impl Fn(&Sender) -> usize) -> (NodeId, usize) {
        let sizes = self.senders.iter().map(|(id, it)| (*id, size(it)));
        sizes
            .max_by_key(|(_, size)| *size)
            .unwrap_or((NodeId::of_spki(&[]), 0))
    }

    /// The part that a message holds, if that was noted.
    #[must_use]
    pub fn place_of(&self, name: &Name) -> Option<(TransferKey, u32)> {
        let sender = name.identity.sender;
        let places = &self.senders.get(&sender)?.places;
        let (transfer, index) = *places.get(&name.identity.key())?;
        Some((TransferKey { sender, transfer }, index))
    }

    /// Whether parts of this sender may be in messages that are not in `places`.
    #[must_use]
    pub fn is_unplaced(&self, sender: NodeId) -> bool {
        let of_sender = self.senders.get(&sender);
        of_sender.is_some_and(|of_sender| of_sender.is_unplaced)
    }

    /// Whether parts of this content may still wait.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let is_it = |sender: NodeId, transfer| TransferKey { sender, transfer }.to_string() == key;
        // If any part was left out, it may be of this content.
        !self.left.is_empty()
            || self.senders.iter().any(|(sender, it)| {
                let mut known = it.known.values();
                known.any(|(transfer, _)| is_it(*sender, *transfer))
            })
    }

    /// Takes some contents that are complete or refused. Those with all their messages known come
    /// first.
    pub fn take_settled(&mut self) -> Vec<(TransferKey, Result<Ledger, join::Error>)> {
        let settled = self.settled(false);
        if !settled.is_empty() {
            return self.take(settled);
        }
        // Each search opens all messages of the senders, so their number is bounded.
        if self.searches >= self.most.searches {
            return Vec::new();
        }
        self.searches += 1;
        let settled = self.settled(true);
        self.take(settled)
    }

    /// The next such contents with the number of their parts: the first of each sender before the
    /// second of any.
    fn settled(&self, is_unplaced: bool) -> Vec<(NodeId, u128, u32)> {
        let mut settled = Vec::new();
        let senders = self.senders.iter();
        for (sender, of_sender) in senders.filter(|(_, it)| it.is_unplaced == is_unplaced) {
            let of_sender = of_sender.known.iter().filter_map(|(turn, (_, known))| {
                let count = parts_of_settled(known)?;
                Some((*sender, *turn, count))
            });
            settled.extend(of_sender.take(MAX_AT_ONCE).enumerate());
        }
        settled.sort_by_key(|(number, _)| *number);
        let settled = settled.into_iter().map(|(_, settled)| settled);
        settled.take(MAX_AT_ONCE).collect()
    }

    fn take(
        &mut self,
        settled: Vec<(NodeId, u128, u32)>,
    ) -> Vec<(TransferKey, Result<Ledger, join::Error>)> {
        let mut parts = 0_u32;
        let mut taken = Vec::new();
        for (sender, turn, count) in settled {
            // A content with more parts than the limit is taken alone.
            if parts.saturating_add(count) > MAX_PARTS && !taken.is_empty() {
                continue;
            }
            parts = parts.saturating_add(count);
            let of_sender = self.senders.get_mut(&sender);
            if let Some((transfer, known)) = of_sender.and_then(|it| it.known.remove(&turn)) {
                taken.push((TransferKey { sender, transfer }, known));
            }
        }
        taken
    }

    /// The parts that wait for another run although none of them may be missing.
    #[must_use]
    pub fn left_out(&self) -> Option<LeftOut> {
        let mut left = self.left.clone();
        for (sender, of_sender) in &self.senders {
            for (_, known) in of_sender.known.values() {
                if let Some(parts) = parts_of_settled(known) {
                    // A refused content counts as one part.
                    let parts = usize::try_from(parts.max(1)).unwrap_or(usize::MAX);
                    *left.entry(*sender).or_default() += parts;
                }
            }
        }
        let (sender, _) = left.iter().max_by_key(|(_, parts)| **parts)?;
        Some(LeftOut {
            sender: *sender,
            others: left.len() - 1,
            parts: left.values().sum(),
        })
    }

    /// What is left once every content that is complete or refused was taken.
    #[must_use]
    pub fn left(&self) -> PartsLeft {
        let known = self.senders.values().flat_map(|it| it.known.values());
        let waiting: Vec<usize> = known
            .filter(|(_, known)| parts_of_settled(known).is_none())
            .filter_map(|(_, known)| known.as_ref().ok())
            .map(|ledger| usize::try_from(ledger.received()).unwrap_or(usize::MAX))
            .collect();
        PartsLeft {
            left_out: self.left_out(),
            contents: waiting.len(),
            parts: waiting.iter().sum(),
        }
    }
}

/// The number of parts of a complete content, 0 for a refused one, `None` for an incomplete one.
fn parts_of_settled(known: &Result<Ledger, join::Error>) -> Option<u32> {
    match known {
        Ok(ledger) if ledger.is_complete() => Some(ledger.received()),
        Ok(_) => None,
        Err(_) => Some(0),
    }
}

/// A parcel that holds a part.
pub struct PartParcel {
    /// Its name in the queue.
    pub name: Name,
    /// Its message id.
    pub id: String,
}

/// A content whose parts are being joined.
pub struct PartsJoiner<'a> {
    /// The facts about it; `None` until the first part is taken.
    pub content: Option<Content>,
    /// The file name that its sender chose.
    pub name: Option<String>,
    /// The parts so far, or the error that makes them useless.
    pub join: Result<Option<Join>, Error>,
    /// What is left to do for its parts once it is delivered.
    pub due: Joined<'a>,
    /// The parcels that held the parts.
    pub parcels: Vec<PartParcel>,
    /// The file of one of them, for diagnostics.
    pub path: PathBuf,
}

impl<'a> PartsJoiner<'a> {
    /// Begins with what is known of the parts.
    pub fn new(known: Result<Ledger, join::Error>) -> Self {
        Self {
            content: None,
            name: known
                .as_ref()
                .ok()
                .and_then(|ledger| ledger.name().map(str::to_owned)),
            join: known.map(|_| None).map_err(Error::Join),
            due: Joined::default(),
            parcels: Vec::new(),
            path: PathBuf::new(),
        }
    }

    /// Takes a part and the parcel that held it. The first part begins the join at the place that
    /// `site` makes.
    pub fn take(
        &mut self,
        part: &Part<'_>,
        (message, content, due): (Waiting, Content, PendingReceipt<'a>),
        site: impl FnOnce(&Content) -> Result<Site, Error>,
    ) {
        self.parcels.push(PartParcel {
            name: message.name,
            id: content.id.clone(),
        });
        self.due.add(due);
        let of = parts::whole_type(&content.media_type).ok().flatten();
        let of = of.unwrap_or_else(|| MEDIA_TYPE.to_owned());
        let whole = if let Some(whole) = self.content.take() {
            if whole.media_type != of && self.join.is_ok() {
                let (index, what) = (part.header().index, "type");
                self.join = Err(Error::Join(
                    message::Error::PartConflict { index, what }.into(),
                ));
            }
            Content {
                // The content is as old as its oldest part, and lives as long as its last one.
                date: whole.date.min(content.date),
                expiry: whole.expiry.max(content.expiry),
                ..whole
            }
        } else {
            self.path = message.path;
            Content {
                id: part.header().transfer.to_string(),
                media_type: of,
                name: self.name.clone(),
                transfer: Some(part.header().transfer),
                ..content
            }
        };
        let added = match &mut self.join {
            Ok(Some(join)) => join.add(part).map(drop).map_err(Error::Join),
            Ok(begun @ None) => site(&whole).and_then(|site| {
                *begun = Some(Join::begin(part, site)?);
                Ok(())
            }),
            // The parts are refused; their parcels are still collected, to be set aside together.
            Err(_) => Ok(()),
        };
        if let Err(error) = added {
            self.join = Err(error);
        }
        self.content = Some(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::parts::MAX_COUNT;
    use crate::message::parts::tests::{header, last, part};
    use crate::ramf::Kind;
    use crate::spool::name::MessageKey;

    const FEW: Most = Most {
        known: 100,
        placed: 200,
        searches: 2,
    };

    fn sender(name: &str) -> NodeId {
        NodeId::of_spki(name.as_bytes())
    }

    /// Notes a part of a transfer, in a message of its own.
    fn note(transfers: &mut Transfers, sender: NodeId, (transfer, index, count): (u64, u32, u32)) {
        let mut header = if index == count {
            last(index, 3)
        } else {
            header(index, 3)
        };
        header.transfer = u128::from(transfer).to_be_bytes().into();
        let name = Name {
            identity: MessageKey {
                recipient: NodeId::of_spki(b"recipient"),
                sender,
                id: hash::sha256(
                    &[transfer.to_be_bytes(), u64::from(index).to_be_bytes()].concat(),
                ),
                kind: Kind::Parcel,
            },
            expiry: Timestamp::UNIX_EPOCH,
            priority: None,
            copies: None,
            from: None,
        };
        let octets = part(&header, b"abc");
        transfers.note(sender, &Part::parse(&octets).unwrap(), &name);
    }

    /// The number of complete contents of this sender.
    fn joined(transfers: &mut Transfers, sender: NodeId) -> usize {
        let mut count = 0;
        loop {
            let settled = transfers.take_settled();
            if settled.is_empty() {
                return count;
            }
            assert!(settled.len() <= MAX_AT_ONCE);
            count += settled
                .iter()
                .filter(|(key, _)| key.sender == sender)
                .count();
        }
    }

    #[test]
    fn parts_far_ahead_take_little_memory_and_one_sender_keeps_nobody_waiting() {
        let (eve, bob) = (sender("eve"), sender("bob"));
        let mut transfers = Transfers::at(Timestamp::UNIX_EPOCH);
        for transfer in 0..20_100 {
            note(&mut transfers, eve, (transfer, MAX_COUNT, 0));
        }
        for index in 1..=3 {
            (0..1000).for_each(|transfer| note(&mut transfers, bob, (transfer, index, 3)));
        }
        let senders = || transfers.senders.values();
        assert_eq!(senders().map(|it| it.known.len()).sum::<usize>(), MAX_KNOWN);
        assert!(senders().map(|it| it.places.len()).sum::<usize>() <= MAX_PLACED);
        let ledgers = senders().flat_map(|it| it.known.values());
        let words = ledgers.map(|(_, known)| known.as_ref().unwrap().words());
        assert_eq!(words.sum::<usize>(), MAX_KNOWN);
        let left = LeftOut {
            sender: eve,
            others: 0,
            parts: 20_100 - (MAX_KNOWN - 1000),
        };
        assert_eq!(joined(&mut transfers, bob), 1000);
        assert_eq!(transfers.left_out(), Some(left));
    }

    #[test]
    fn what_is_within_its_share_is_joined_in_whatever_order_parts_come() {
        let (eve, mallory, bob) = (sender("eve"), sender("mallory"), sender("bob"));
        for is_first in [true, false] {
            let mut transfers = Transfers::with(FEW, Timestamp::UNIX_EPOCH);
            let ours = |transfers: &mut Transfers, index| {
                (0..33).for_each(|transfer| note(transfers, bob, (transfer, index, 2)));
            };
            if is_first {
                ours(&mut transfers, 1);
            }
            for transfer in 0..500 {
                note(&mut transfers, eve, (transfer, 7, 0));
                note(&mut transfers, mallory, (transfer, 1, 1));
            }
            if !is_first {
                ours(&mut transfers, 1);
            }
            ours(&mut transfers, 2);
            assert_eq!(joined(&mut transfers, bob), 33);
            assert_eq!(transfers.left_out().unwrap().others, 1);
        }
    }

    #[test]
    fn what_a_sender_has_beyond_its_share_has_its_turn() {
        let bob = sender("bob");
        let run = |now: i64| {
            let mut transfers = Transfers::with(FEW, Timestamp::from_second(now).unwrap());
            for transfer in 0..300 {
                note(&mut transfers, bob, (transfer, 1, 2));
            }
            (1..=2).for_each(|index| note(&mut transfers, bob, (1000, index, 2)));
            joined(&mut transfers, bob)
        };
        assert!((0..20).map(run).sum::<usize>() > 0);
    }

    #[test]
    fn parts_without_a_place_are_looked_for_a_few_times() {
        let (eve, bob) = (sender("eve"), sender("bob"));
        let mut transfers = Transfers::with(FEW, Timestamp::UNIX_EPOCH);
        for index in 1..=10 {
            (0..90).for_each(|transfer| note(&mut transfers, eve, (transfer, index, 10)));
            (0..10).for_each(|transfer| note(&mut transfers, bob, (transfer, index, 10)));
        }
        assert!(transfers.is_unplaced(eve) && !transfers.is_unplaced(bob));
        let first = transfers.take_settled();
        assert_eq!(
            first.iter().filter(|(key, _)| key.sender == bob).count(),
            10
        );
        assert_eq!(joined(&mut transfers, eve), FEW.searches * MAX_AT_ONCE);
        let left = transfers.left_out().unwrap();
        assert_eq!((left.sender, left.parts), (eve, (90 - 64) * 10));
    }
}
