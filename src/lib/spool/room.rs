//! Limits on stored messages: the quota of each who brings or gets them, and the free space to keep.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::ledger::SpoolLedger;
use super::name::{KeyDigest, MessageKey};
use super::payers::{CountedFile, MIN_COUNTED, Payer, Payers};
use super::{Error, Name, QueueId, Spool};
use crate::disk::{FileRole, files};
use crate::node::Config;
use crate::node::peers::short_id;
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The space to keep free unless the config sets `reserve`, in octets.
pub const DEFAULT_RESERVE: u64 = 16 * 1024 * 1024;

/// How many octets are promised before the free space is read again.
const ASK_AFTER: u64 = 16 * 1024 * 1024;

/// For how many payers the queues are listed one by one, before all payers are counted at once.
const ONE_BY_ONE: usize = 2;

/// The room for messages. Several threads may ask at once.
#[derive(Debug)]
pub struct Room<'a> {
    dir: PathBuf,
    /// Whose messages count; none for a user who may not know.
    spool: Option<&'a Spool>,
    quota: Option<u64>,
    reserve: u64,
    payers: Payers<'a>,
    state: Mutex<RoomState>,
}

#[derive(Debug, Default)]
struct RoomState {
    /// Where it is noted what gets room; opened before the first one.
    ledger: Option<SpoolLedger>,
    /// The octets of waiting messages, by payer, as far as they were asked for.
    used: HashMap<Payer, Used>,
    /// What got room, with a quota.
    own: HashSet<KeyDigest>,
    /// How many messages got room in this run.
    stored: usize,
    /// How often the queues were listed for that.
    listings: usize,
    /// Whether all payers were counted.
    is_counted: bool,
    /// The free space when it was last read, less the octets promised since.
    free: u64,
    promised: u64,
    was_asked: bool,
}

/// What a payer uses.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    /// The octets that wait, or by the ledger may.
    before: u64,
    /// The octets that were promised since.
    promised: u64,
    /// Whether the queues say so.
    is_counted: bool,
}

impl Used {
    fn counted(before: u64) -> Self {
        Self {
            before,
            promised: 0,
            is_counted: true,
        }
    }

    fn all(self) -> u64 {
        self.before.saturating_add(self.promised)
    }
}

/// A message that asks for room: of which payer, and how long it is.
#[derive(Debug, Clone, Copy)]
struct RoomClaim {
    payer: Payer,
    message: MessageKey,
    len: u64,
}

impl RoomClaim {
    fn new(payer: Payer, name: &Name, len: usize) -> Self {
        Self {
            payer,
            message: name.identity,
            len: len as u64,
        }
    }

    /// What it counts.
    fn counted(self) -> u64 {
        self.len.max(MIN_COUNTED)
    }
}

impl RoomState {
    /// Notes what got room.
    fn note(&mut self, claim: RoomClaim, has_quota: bool) -> Result<(), Error> {
        if let Some(ledger) = &mut self.ledger {
            ledger.add(&CountedFile {
                payer: claim.payer,
                id: claim.message.beginning_of_id(),
                len: claim.counted(),
            })?;
        }
        if has_quota {
            self.own.insert(claim.message.key());
            let used = self.used.entry(claim.payer).or_default();
            used.promised = used.promised.saturating_add(claim.counted());
        }
        self.stored += 1;
        Ok(())
    }
}

impl<'a> Room<'a> {
    /// The room in a spool whose ledger is open.
    pub(super) fn with(spool: &'a Spool, ledger: SpoolLedger) -> Self {
        let room = Self::new(spool.root(), spool.owner().config(), Some(spool));
        mutex::lock(&room.state).ledger = Some(ledger);
        room
    }

    /// The room on the file system of `dir`. What is in the queues of `spool` counts already.
    #[must_use]
    pub fn new(dir: &Path, config: &Config, spool: Option<&'a Spool>) -> Self {
        Self {
            dir: dir.to_owned(),
            spool,
            quota: config.quota(),
            reserve: config.reserve().unwrap_or(DEFAULT_RESERVE),
            payers: Payers::of(spool),
            state: Mutex::default(),
        }
    }

    /// The payer of a message with this name.
    #[must_use]
    pub fn payer(&self, name: &Name) -> Payer {
        self.payers.payer(name)
    }

    /// What the messages of `payer` take, those included that were promised room.
    ///
    /// The name of a file tells whose it is, and only the file its length. Where there is a ledger, it says at
    /// most how much waits, and files are examined only where that is too much. Without one only files of this
    /// payer are examined, so that one message costs nothing for what waits for others; from the third payer on
    /// all are counted in one listing, since there may be many.
    fn used(&self, state: &mut RoomState, payer: Payer, limit: u64) -> Result<Used, Error> {
        let noted = state.ledger.as_ref().and_then(|ledger| ledger.used(payer));
        let known = state.used.get(&payer).copied().or(match noted {
            _ if state.is_counted => Some(Used::counted(0)),
            Some(before) => Some(Used {
                before,
                ..Used::default()
            }),
            None => None,
        });
        if let Some(used) = known
            && (used.is_counted || used.all() <= limit)
        {
            state.used.insert(payer, used);
            return Ok(used);
        }
        self.count(state, payer)
    }

    /// Counts what waits in the queues.
    fn count(&self, state: &mut RoomState, payer: Payer) -> Result<Used, Error> {
        let only = (state.listings < ONE_BY_ONE).then_some(payer);
        state.listings += 1;
        let mut found: HashMap<Payer, u64> = HashMap::new();
        self.payers.each(only, |counted, message| {
            // What got room in this run is in `promised`.
            if !state.own.contains(&message.key()) {
                *found.entry(counted.payer).or_default() += counted.len;
            }
        })?;
        state.is_counted = only.is_none();
        found.entry(payer).or_default();
        for (payer, used) in &mut state.used {
            if only.is_none() || only == Some(*payer) {
                used.before = found.remove(payer).unwrap_or_default();
                used.is_counted = true;
            }
        }
        let found = found.into_iter();
        state
            .used
            .extend(found.map(|(payer, before)| (payer, Used::counted(before))));
        Ok(state.used.get(&payer).copied().unwrap_or_default())
    }

    /// Reserves room for a message with this name, of `len` octets, on the quota of `payer`; an error names `peer`.
    /// What gets it is noted in the ledger.
    ///
    /// # Errors
    /// [`Error::OverQuota`] when it never fits; [`Error::Quota`] or [`Error::Reserve`] when there is
    /// not enough room now; [`Error::Disk`] when the queues or the free space cannot be read, or the ledger not be written.
    pub fn promise(
        &self,
        payer: Payer,
        name: &Name,
        peer: NodeId,
        len: usize,
    ) -> Result<(), Error> {
        self.promise_all(&[RoomClaim::new(payer, name, len)], peer)
    }

    /// Gives back what was promised to a message that is not stored, or was removed again.
    pub fn give_back(&self, payer: Payer, len: usize) {
        let mut state = mutex::lock(&self.state);
        let len = len as u64;
        if let Some(used) = state.used.get_mut(&payer) {
            used.promised = used.promised.saturating_sub(len.max(MIN_COUNTED));
        }
        state.free = state.free.saturating_add(len);
    }

    /// The quota of each payer, if there is one.
    #[must_use]
    pub fn quota(&self) -> Option<u64> {
        self.quota
    }

    /// Reserves room for a parcel of `len` octets that the cargo of `hop` brought, and for its
    /// acknowledgement.
    ///
    /// # Errors
    /// As [`Room::promise`]. Then for neither.
    pub fn promise_acknowledged(&self, name: &Name, hop: NodeId, len: usize) -> Result<(), Error> {
        let parcel = RoomClaim::new(self.payer(name), name, len);
        match self.of_ack(name, hop)? {
            Some(ack) => self.promise_all(&[parcel, ack], hop),
            None => self.promise_all(&[parcel], hop),
        }
    }

    /// Reserves room for the acknowledgement of a parcel that is not stored again.
    ///
    /// # Errors
    /// As [`Room::promise`].
    pub fn promise_ack(&self, name: &Name, hop: NodeId) -> Result<(), Error> {
        match self.of_ack(name, hop)? {
            Some(ack) => self.promise_all(&[ack], hop),
            None => Ok(()),
        }
    }

    /// What the acknowledgement of a parcel takes; `None` if it waits there already, or if no quota
    /// is set.
    fn of_ack(&self, name: &Name, hop: NodeId) -> Result<Option<RoomClaim>, Error> {
        let (Some(spool), Some(_)) = (self.spool, self.quota) else {
            return Ok(None);
        };
        let ack = Name {
            identity: MessageKey {
                kind: Kind::Pca,
                ..name.identity
            },
            priority: None,
            copies: None,
            from: None,
            expiry: name.expiry,
        };
        let path = spool.queue(QueueId::Acks(hop)).path_of(&ack);
        let is_there = files::exists(&path, FileRole::Spool)?;
        Ok((!is_there).then(|| RoomClaim::new(Payer::Acks(hop.into()), &ack, 0)))
    }

    /// Reserves room for all of these or for none.
    fn promise_all(&self, claims: &[RoomClaim], peer: NodeId) -> Result<(), Error> {
        let len = claims.iter().map(|claim| claim.len).sum();
        let mut state = mutex::lock(&self.state);
        if let (None, Some(spool)) = (&state.ledger, self.spool) {
            state.ledger = Some(SpoolLedger::open(spool)?);
        }
        if let Some(limit) = self.quota {
            for claim in claims {
                self.fits(&mut state, *claim, peer, limit)?;
            }
        }
        let lacks = |free: u64| free < self.reserve.saturating_add(len);
        // Read again before a refusal: other programs may have freed space since.
        if !state.was_asked || state.promised >= ASK_AFTER || lacks(state.free) {
            state.free = files::free_space(&self.dir, FileRole::Spool)?;
            state.promised = 0;
            state.was_asked = true;
        }
        if lacks(state.free) {
            return Err(Error::Reserve {
                free: state.free,
                reserve: self.reserve,
            });
        }
        for claim in claims {
            state.note(*claim, self.quota.is_some())?;
        }
        state.free -= len;
        state.promised += len;
        Ok(())
    }

    /// Checks that a message fits on the quota of its payer.
    fn fits(
        &self,
        state: &mut RoomState,
        claim: RoomClaim,
        peer: NodeId,
        limit: u64,
    ) -> Result<(), Error> {
        let (peer, len) = (short_id(peer), claim.counted());
        if len > limit {
            return Err(Error::OverQuota { peer, len, limit });
        }
        let used = self.used(state, claim.payer, limit - len)?.all();
        if used > limit - len {
            return Err(Error::Quota { peer, used, limit });
        }
        Ok(())
    }

    /// Ends a run that is done: the next one need not list what this one stored.
    pub fn close(&self) {
        let mut state = mutex::lock(&self.state);
        let stored = state.stored;
        if let (Some(ledger), Some(spool)) = (state.ledger.take(), self.spool) {
            ledger.close(spool, stored);
        }
    }

    /// What each payer uses that has used up the quota, if there is one.
    ///
    /// # Errors
    /// When a queue cannot be listed.
    pub fn full(&self) -> Result<Vec<(Payer, u64)>, Error> {
        let Some(limit) = self.quota else {
            return Ok(Vec::new());
        };
        let used = self.payers.usage(None)?.into_iter();
        // One more file counts at least this, and would be refused.
        let is_full = |used: u64| used.saturating_add(MIN_COUNTED) > limit;
        let mut full: Vec<_> = used.filter(|(_, used)| is_full(*used)).collect();
        full.sort_unstable();
        Ok(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hash;
    use crate::spool::name::HopPrefix;
    use crate::spool::testspool;

    fn room(quota: Option<&str>, reserve: &str) -> (tempfile::TempDir, Room<'static>) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.set("reserve", reserve).unwrap();
        if let Some(quota) = quota {
            config.set("quota", quota).unwrap();
        }
        let room = Room::new(dir.path(), &config, None);
        (dir, room)
    }

    /// The name of a message for a node.
    fn named(recipient: NodeId) -> Name {
        Name {
            identity: MessageKey {
                recipient,
                sender: NodeId::of_spki(b"sender"),
                id: [1; 32],
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: None,
        }
    }

    #[test]
    fn a_peer_has_its_quota_and_no_more() {
        let (_dir, room) = room(Some("10000"), "0");
        let (bob, carol) = (NodeId::of_spki(b"bob"), NodeId::of_spki(b"carol"));
        let promise = |peer, len| room.promise(Payer::Recipient(peer), &named(peer), peer, len);
        promise(bob, 6000).unwrap();
        assert!(matches!(
            promise(bob, 4001),
            Err(Error::Quota {
                used: 6000,
                limit: 10_000,
                ..
            })
        ));
        assert!(matches!(
            promise(bob, 10_001),
            Err(Error::OverQuota {
                len: 10_001,
                limit: 10_000,
                ..
            })
        ));
        promise(bob, 4000).unwrap();
        promise(carol, 9000).unwrap();
        let hop = bob.into();
        room.promise(Payer::Hop(hop), &named(bob), bob, 10_000)
            .unwrap();
        room.promise(Payer::HopTo(hop, carol), &named(carol), bob, 10_000)
            .unwrap();
        // Small files count, too.
        assert!(promise(carol, 1).is_err());
        let dave = NodeId::of_spki(b"dave");
        let many = || (0..100).take_while(|_| promise(dave, 1).is_ok()).count();
        assert_eq!(many(), 9);
        // What was not stored, or is gone again, has left its room.
        for len in [1, 1, 1024] {
            room.give_back(Payer::Recipient(dave), len);
        }
        assert_eq!(many(), 3);
    }

    #[test]
    fn what_is_refused_takes_no_room_for_its_acknowledgement() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        spool.make(QueueId::In).unwrap();
        let mut config = Config::default();
        config.set("reserve", "0").unwrap();
        config.set("quota", "2048").unwrap();
        let room = Room::new(spool.root(), &config, Some(&spool));
        let hop = NodeId::of_spki(b"hop");
        let name = |to: NodeId| Name {
            identity: MessageKey {
                recipient: to,
                sender: NodeId::of_spki(b"sender"),
                id: [1; 32],
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: Some(hop.into()),
        };
        let far = name(NodeId::of_spki(b"far"));
        room.promise_acknowledged(&far, hop, 2000).unwrap();
        for _ in 0..5 {
            assert!(room.promise_acknowledged(&far, hop, 2000).is_err());
        }
        let here = name(spool.owner().id());
        room.promise_acknowledged(&here, hop, 1024).unwrap();
        // There is room for the message, and none for its acknowledgement.
        assert!(room.promise_acknowledged(&here, hop, 1024).is_err());
        room.promise(room.payer(&here), &here, hop, 1024).unwrap();
    }

    /// The ledger says at most how much waits: a message for which that would be too much is measured against
    /// what does wait.
    #[test]
    fn what_has_left_takes_no_room_whatever_the_ledger_says() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let (bob, carol) = (NodeId::of_spki(b"bob"), NodeId::of_spki(b"carol"));
        let name = |nth: usize| Name {
            identity: MessageKey {
                id: hash::sha256(&nth.to_be_bytes()),
                ..named(bob).identity
            },
            ..named(bob)
        };
        let queue = spool.make(QueueId::In).unwrap();
        for nth in 0..3000 {
            std::fs::write(queue.path_of(&name(nth)), [0; 10]).unwrap();
        }
        let mut config = Config::default();
        config.set("reserve", "0").unwrap();
        config.set("quota", "4000K").unwrap();
        // The next program that stores many leaves the ledger for the others.
        Room::new(spool.root(), &config, Some(&spool)).close();
        drop(spool.precedents().unwrap());
        let room = Room::new(spool.root(), &config, Some(&spool));
        let promise = |nth: usize| room.promise(Payer::Recipient(bob), &name(nth), bob, 10);
        let listings = || mutex::lock(&room.state).listings;
        for nth in 3000..4000 {
            promise(nth).unwrap();
            std::fs::write(queue.path_of(&name(nth)), [0; 10]).unwrap();
        }
        room.promise(Payer::Recipient(carol), &named(carol), carol, 10)
            .unwrap();
        assert_eq!(listings(), 0);
        for nth in 0..5 {
            std::fs::remove_file(queue.path_of(&name(nth))).unwrap();
        }
        for nth in 4000..4005 {
            promise(nth).unwrap();
        }
        let refused = promise(4005).unwrap_err();
        assert!(matches!(refused, Error::Quota { .. }), "{refused}");
        assert_eq!(listings(), 1);
        drop(room);
        // Those five never came, and the next run has their room.
        let room = Room::new(spool.root(), &config, Some(&spool));
        let promise = |nth: usize| room.promise(Payer::Recipient(bob), &name(nth), bob, 10);
        for nth in 4005..4010 {
            promise(nth).unwrap();
        }
        assert!(promise(4010).is_err());
    }

    #[test]
    fn the_reserve_is_kept() {
        let (_dir, room) = room(None, &u64::MAX.to_string());
        let bob = NodeId::of_spki(b"bob");
        let refused = room
            .promise(Payer::Recipient(bob), &named(bob), bob, 1)
            .unwrap_err();
        assert!(matches!(refused, Error::Reserve { .. }), "{refused}");
    }

    /// Stores a message of this length, brought by a hop or from here.
    fn store(spool: &Spool, place: QueueId, (to, from): (NodeId, Option<NodeId>), len: usize) {
        let name = Name {
            identity: MessageKey {
                recipient: to,
                sender: NodeId::of_spki(b"sender"),
                id: crate::crypto::hash::sha256(&len.to_be_bytes()),
                kind: match place {
                    QueueId::Control(_) => Kind::Rotation,
                    QueueId::Acks(_) => Kind::Pca,
                    _ => Kind::Parcel,
                },
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: from.map(HopPrefix::from),
        };
        let queue = spool.make(place).unwrap();
        std::fs::write(queue.path_of(&name), vec![0; len]).unwrap();
    }

    #[test]
    fn what_is_in_any_queue_is_counted_for_those_who_brought_it() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let here = spool.owner().id();
        let [bob, carol, hop, other] = [1_u8, 2, 3, 4].map(|nth| NodeId::of_spki(&[nth]));
        for (place, ends, len) in [
            (QueueId::In, (bob, None), 2000),
            (QueueId::Out(hop), (bob, None), 3000),
            (QueueId::Failed, (bob, None), 4000),
            (QueueId::Home(here), (here, None), 5000),
            (QueueId::In, (bob, Some(hop)), 2001),
            (QueueId::Out(other), (carol, Some(hop)), 3001),
            (QueueId::Failed, (carol, Some(hop)), 1),
            (QueueId::Control(hop), (here, None), 6000),
            (QueueId::Home(here), (here, Some(hop)), 7000),
            (QueueId::In, (here, Some(hop)), 8000),
            (QueueId::Home(here), (here, Some(other)), 9000),
            (QueueId::Acks(hop), (bob, None), 100),
            (QueueId::Acks(hop), (bob, None), 101),
        ] {
            store(&spool, place, ends, len);
        }
        let mut config = Config::default();
        config.set("reserve", "0").unwrap();
        config.set("quota", "1000000").unwrap();
        let expected = [
            (Payer::Recipient(bob), 2000 + 3000 + 4000 + MIN_COUNTED),
            (Payer::Recipient(here), 5000),
            (Payer::Recipient(carol), 0),
            (Payer::Hop(hop.into()), 2001 + 3001 + 2 * MIN_COUNTED + 6000),
            (Payer::HopTo(hop.into(), here), 7000 + 8000),
            (Payer::HopTo(other.into(), here), 9000),
            (Payer::Acks(hop.into()), 2 * MIN_COUNTED),
            (Payer::Acks(other.into()), 0),
        ];
        // Each is counted first once, by itself, and else together with others.
        for first in 0..expected.len() {
            let room = Room::new(spool.root(), &config, Some(&spool));
            for nth in 0..expected.len() {
                let (payer, used) = expected[(first + nth) % expected.len()];
                let found = room.used(&mut mutex::lock(&room.state), payer, u64::MAX);
                assert_eq!(found.unwrap().all(), used, "{payer:?}");
            }
            let new = named(bob);
            room.promise(Payer::Recipient(bob), &new, bob, 5000)
                .unwrap();
            let used = mutex::lock(&room.state).used[&Payer::Recipient(bob)];
            assert_eq!(used.all(), expected[0].1 + 5000);
            assert_eq!(mutex::lock(&room.state).listings, ONE_BY_ONE + 1);
        }
    }
}
