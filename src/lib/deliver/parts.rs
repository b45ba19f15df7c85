//! Keeps track of contents that come in parts: which of them are complete, and their parts as they are joined.
//!
//! While messages are opened it is only noted which parts there are. What is complete is then joined in a second
//! pass, which writes each part at its place as it comes, so that memory does not grow with the content.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{Content, Error};
use crate::crypto::hash;
use crate::message::Part;
use crate::message::parts::{Ledger, TransferId};
use crate::pki::NodeId;
use crate::receive::PendingReceipt;
use crate::receive::inbox::Joined;
use crate::spool::queue::Waiting;
use crate::spool::{Name, name};
use crate::transfer::join::{self, Join, Site};

/// The most contents whose parts are kept track of. Each takes a few hundred octets.
const MAX_KNOWN: usize = 10_000;

/// The most contents that are joined at once, each of which takes an open file.
const MAX_AT_ONCE: usize = 32;

/// The most parts of the contents that are joined at once, each of which takes a few hundred octets of memory.
const MAX_PARTS: u32 = 65_536;

/// The media type of joined content: parts do not carry one.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Identifies a content that comes in parts. Senders choose the transfer, so it counts only with its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferKey {
    /// The sender.
    pub sender: NodeId,
    /// What the parts say that they belong to.
    pub transfer: TransferId,
}

impl std::fmt::Display for TransferKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.sender, self.transfer)
    }
}

/// The most messages of which it is kept which part they hold.
const MAX_PLACED: usize = 65_536;

/// How often parts are searched for whose messages are not known, which takes opening all messages of a sender.
const MAX_SEARCHES: usize = 16;

/// What is known of contents whose parts wait.
///
/// Room is limited and shared between the senders, so that one of them cannot crowd out the others: what one sender
/// does not use is free for others until that sender needs it. Of a sender with more than its share, the contents
/// whose turn comes first are kept. The order of turns differs in each run, so that each content has its turn.
#[derive(Debug)]
pub struct Transfers {
    now: Timestamp,
    most: Most,
    senders: BTreeMap<NodeId, Sender>,
    searches: usize,
    /// How many parts of each sender were left out.
    left: BTreeMap<NodeId, usize>,
}

/// How much is kept at the most.
#[derive(Debug, Clone, Copy)]
struct Most {
    known: usize,
    placed: usize,
    searches: usize,
}

/// What is known of a sender's contents.
#[derive(Debug, Default)]
struct Sender {
    /// By their turns: which parts came, or how they contradict each other.
    known: BTreeMap<u128, (TransferId, Result<Ledger, join::Error>)>,
    /// Which part a message holds.
    places: BTreeMap<name::KeyDigest, (TransferId, u32)>,
    /// Whether there may be messages with parts of what is known that have no place here.
    is_unplaced: bool,
}

/// Parts that are left for another run because there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Who sent most of them.
    pub sender: NodeId,
    /// How many others sent some.
    pub others: usize,
    /// How many parts there are in all.
    pub parts: usize,
}

/// As `20 parts, most of them from <sender>, wait for another run: …`.
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
    /// Starts without any, in a run at this time.
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

    /// Takes note of a part, and of the message that holds it.
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

    /// The turn of a transfer; the order differs in each run.
    fn turn(&self, transfer: TransferId) -> u128 {
        let now = self.now.as_second().to_be_bytes();
        let digest = hash::sha256(&[&now[..], transfer.octets()].concat());
        let mut turn = [0; 16];
        turn.copy_from_slice(&digest[..16]);
        u128::from_be_bytes(turn)
    }

    /// Whether there is room for content of a sender. If the sender has less than its share, room is made.
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
        let loser = if size > count + 1 {
            loser
        } else if is_sooner {
            sender
        } else {
            return false;
        };
        let last = self.senders.get_mut(&loser);
        if let Some((_, (_, known))) = last.and_then(|it| it.known.pop_last()) {
            let parts = known.map_or(1, |ledger| ledger.received());
            *self.left.entry(loser).or_default() += usize::try_from(parts).unwrap_or(usize::MAX);
        }
        true
    }

    /// Whether there is a place for a message of a sender. If the sender has less than its share, one is made.
    fn has_place(&mut self, sender: NodeId) -> bool {
        let count: usize = self.senders.values().map(|it| it.places.len()).sum();
        if count < self.most.placed {
            return true;
        }
        let own = self.senders.get(&sender).map_or(0, |it| it.places.len());
        let (loser, size) = self.largest(|it| it.places.len());
        match self.senders.get_mut(&loser) {
            Some(loser) if size > own + 1 => {
                loser.places.pop_last();
                loser.is_unplaced = true;
                true
            }
            _ => false,
        }
    }

    /// The sender that has most of something, and how much.
    fn largest(&self, size: impl Fn(&Sender) -> usize) -> (NodeId, usize) {
        let sizes = self.senders.iter().map(|(id, it)| (*id, size(it)));
        sizes
            .max_by_key(|(_, size)| *size)
            .unwrap_or((NodeId::of_spki(&[]), 0))
    }

    /// Which part a message holds, if that was noted.
    #[must_use]
    pub fn place_of(&self, name: &Name) -> Option<(TransferKey, u32)> {
        let sender = name.identity.sender;
        let places = &self.senders.get(&sender)?.places;
        let (transfer, index) = *places.get(&name.identity.key())?;
        Some((TransferKey { sender, transfer }, index))
    }

    /// Whether there may be messages of a sender with parts that have no place here.
    #[must_use]
    pub fn is_unplaced(&self, sender: NodeId) -> bool {
        let of_sender = self.senders.get(&sender);
        of_sender.is_some_and(|of_sender| of_sender.is_unplaced)
    }

    /// Whether parts of this content may wait.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        let is_it = |sender: NodeId, transfer| TransferKey { sender, transfer }.to_string() == key;
        !self.left.is_empty()
            || self.senders.iter().any(|(sender, it)| {
                let mut known = it.known.values();
                known.any(|(transfer, _)| is_it(*sender, *transfer))
            })
    }

    /// Takes some contents that are complete or refused. Those of which all messages are known come first.
    pub fn take_settled(&mut self) -> Vec<(TransferKey, Result<Ledger, join::Error>)> {
        let settled = self.settled(false);
        if !settled.is_empty() {
            return self.take(settled);
        }
        if self.searches >= self.most.searches {
            return Vec::new();
        }
        self.searches += 1;
        let settled = self.settled(true);
        self.take(settled)
    }

    /// The next of such contents with how many parts came, of each sender the first before the second of any other.
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

    /// What waits for another run though no part of it may be missing.
    #[must_use]
    pub fn left_out(&self) -> Option<LeftOut> {
        let mut left = self.left.clone();
        for (sender, of_sender) in &self.senders {
            for (_, known) in of_sender.known.values() {
                if let Some(parts) = parts_of_settled(known) {
                    // One that is refused counts as a part.
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
}

/// How many parts came of what is complete, and 0 for what is refused; `None` for what is neither.
fn parts_of_settled(known: &Result<Ledger, join::Error>) -> Option<u32> {
    match known {
        Ok(ledger) if ledger.is_complete() => Some(ledger.received()),
        Ok(_) => None,
        Err(_) => Some(0),
    }
}

/// A parcel with a part: what its file is called, and its message id.
pub struct PartParcel {
    /// Its name in the queue.
    pub name: Name,
    /// Its message id.
    pub id: String,
}

/// A content whose parts are being joined.
pub struct PartsJoiner<'a> {
    /// What is known of it; `None` until the first part comes.
    pub content: Option<Content>,
    /// What its sender calls it.
    pub name: Option<String>,
    /// The parts so far, or why they are of no use.
    pub join: Result<Option<Join>, Error>,
    /// What is left to do about its parts once it is delivered.
    pub due: Joined<'a>,
    /// The parcels that held them.
    pub parcels: Vec<PartParcel>,
    /// The file of one of them.
    pub path: PathBuf,
}

impl<'a> PartsJoiner<'a> {
    /// Begins with what is known of its parts.
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

    /// Takes a part, from the parcel that brought it; the first begins at the site that is made for it.
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
        let whole = if let Some(whole) = self.content.take() {
            Content {
                date: whole.date.min(content.date),
                expiry: whole.expiry.max(content.expiry),
                ..whole
            }
        } else {
            self.path = message.path;
            Content {
                id: part.header().transfer.to_string(),
                media_type: MEDIA_TYPE.to_owned(),
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

    /// Notes the part of this index of a transfer; its message is the only one of that.
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

    /// How many contents of this sender are complete.
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
