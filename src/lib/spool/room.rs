//! Limits on stored messages: the quota of each who brings or gets them, and the free space to keep.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use super::name::{HopPrefix, MessageKey};
use super::queue::Queue;
use super::{Error, Name, QueueId, QueueKind, Spool};
use crate::disk::{FileRole, files};
use crate::node::endpoints;
use crate::node::peers::short_id;
use crate::node::{Config, Directory};
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The space to keep free unless the config sets `reserve`, in octets.
pub const DEFAULT_RESERVE: u64 = 16 * 1024 * 1024;

/// What a file counts at least, in octets: thus a quota bounds the number of files, too.
pub const MIN_COUNTED: u64 = 1024;

/// How many octets are promised before the free space is read again.
const ASK_AFTER: u64 = 16 * 1024 * 1024;

/// For how many payers the queues are listed one by one, before all payers are counted at once.
const ONE_BY_ONE: usize = 2;

/// Whose quota a message counts against: whoever brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Payer {
    /// The recipient, for a message sent from here.
    Recipient(NodeId),
    /// The hop whose cargo brought it, or the other user who put it here, for what goes on to
    /// other nodes, and for rotations.
    Hop(HopPrefix),
    /// The same for what is for a node here. If that node takes nothing, messages of the hop for
    /// others still have room.
    HopTo(HopPrefix, NodeId),
    /// The hop that acknowledgements are for.
    Acks(HopPrefix),
}

/// The room for messages. Several threads may ask at once.
#[derive(Debug)]
pub struct Room<'a> {
    dir: PathBuf,
    /// Whose messages count; none for a user who may not know.
    spool: Option<&'a Spool>,
    quota: Option<u64>,
    reserve: u64,
    /// The nodes here, once they are asked for.
    here: OnceLock<HashSet<NodeId>>,
    state: Mutex<RoomState>,
}

#[derive(Debug, Default)]
struct RoomState {
    /// The octets of waiting messages, by payer, as far as they were counted.
    used: HashMap<Payer, u64>,
    /// How often the queues were listed for that.
    listings: usize,
    /// The free space when it was last read, less the octets promised since.
    free: u64,
    promised: u64,
    was_asked: bool,
}

impl<'a> Room<'a> {
    /// The room on the file system of `dir`. What is in the queues of `spool` counts already.
    #[must_use]
    pub fn new(dir: &Path, config: &Config, spool: Option<&'a Spool>) -> Self {
        Self {
            dir: dir.to_owned(),
            spool,
            quota: config.quota(),
            reserve: config.reserve().unwrap_or(DEFAULT_RESERVE),
            here: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// The payer of a message with this name.
    #[must_use]
    pub fn payer(&self, name: &Name) -> Payer {
        let MessageKey {
            recipient,
            sender,
            kind,
            ..
        } = name.identity;
        if kind != Kind::Parcel {
            // A gateway makes its requests and rotations itself.
            return Payer::Hop(sender.into());
        }
        match name.from {
            Some(hop) if self.here().contains(&recipient) => Payer::HopTo(hop, recipient),
            Some(hop) => Payer::Hop(hop),
            None => Payer::Recipient(recipient),
        }
    }

    fn here(&self) -> &HashSet<NodeId> {
        self.here.get_or_init(|| {
            let owner = self.spool.map(Spool::owner);
            // One that cannot be read has no account of its own.
            let local = owner.and_then(|owner| endpoints::local(owner).ok());
            let local = local.into_iter().flatten().map(|local| local.id);
            owner.map(Directory::id).into_iter().chain(local).collect()
        })
    }

    /// What the messages of `payer` take, those included that were promised room.
    ///
    /// The name of a file tells whose it is, and only the file its length. A ledger of lengths could
    /// be wrong, and a name is too short to hold one. So files are examined only once a message is
    /// to be stored, and only those of its payer: one message costs nothing for what waits for
    /// others. From the third payer on all are counted in one listing, since there may be many.
    fn used(&self, state: &mut RoomState, payer: Payer) -> Result<u64, Error> {
        if let Some(used) = state.used.get(&payer) {
            return Ok(*used);
        }
        if let Some(spool) = self.spool.filter(|_| state.listings < ONE_BY_ONE + 1) {
            let only = (state.listings < ONE_BY_ONE).then_some(payer);
            state.listings += 1;
            for (payer, len) in self.usage(spool, only)? {
                // What was counted before has what was promised since.
                state.used.entry(payer).or_insert(len);
            }
        }
        Ok(*state.used.entry(payer).or_default())
    }

    /// Reserves room for a message of `len` octets on the quota of `payer`; an error names `peer`.
    ///
    /// # Errors
    /// [`Error::OverQuota`] when it never fits; [`Error::Quota`] or [`Error::Reserve`] when there is
    /// not enough room now; [`Error::Disk`] when the free space cannot be read.
    pub fn promise(&self, payer: Payer, peer: NodeId, len: usize) -> Result<(), Error> {
        self.promise_all(&[(payer, len as u64)], peer)
    }

    /// Gives back what was promised to a message that is not stored, or was removed again.
    pub fn give_back(&self, payer: Payer, len: usize) {
        let mut state = mutex::lock(&self.state);
        let len = len as u64;
        if let Some(used) = state.used.get_mut(&payer) {
            *used = used.saturating_sub(len.max(MIN_COUNTED));
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
        let parcel = (self.payer(name), len as u64);
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
    fn of_ack(&self, name: &Name, hop: NodeId) -> Result<Option<(Payer, u64)>, Error> {
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
        Ok((!is_there).then_some((Payer::Acks(hop.into()), 0)))
    }

    /// Reserves room for all of these or for none.
    fn promise_all(&self, claims: &[(Payer, u64)], peer: NodeId) -> Result<(), Error> {
        let len = claims.iter().map(|(_, len)| len).sum();
        let mut state = mutex::lock(&self.state);
        let mut promised = Vec::new();
        if let Some(limit) = self.quota {
            for (payer, len) in claims {
                let len = (*len).max(MIN_COUNTED);
                if len > limit {
                    let peer = short_id(peer);
                    return Err(Error::OverQuota { peer, len, limit });
                }
                let used = self.used(&mut state, *payer)?;
                let then = used.saturating_add(len);
                if then > limit {
                    return Err(Error::Quota {
                        peer: short_id(peer),
                        used,
                        limit,
                    });
                }
                promised.push((*payer, then));
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
        state.free -= len;
        state.promised += len;
        state.used.extend(promised);
        Ok(())
    }

    /// What each payer uses that has used up the quota, if there is one.
    ///
    /// # Errors
    /// When a queue cannot be listed.
    pub fn full(&self) -> Result<Vec<(Payer, u64)>, Error> {
        let (Some(spool), Some(limit)) = (self.spool, self.quota) else {
            return Ok(Vec::new());
        };
        let used = self.usage(spool, None)?.into_iter();
        // One more file counts at least this, and would be refused.
        let is_full = |used: u64| used.saturating_add(MIN_COUNTED) > limit;
        let mut full: Vec<_> = used.filter(|(_, used)| is_full(*used)).collect();
        full.sort_unstable();
        Ok(full)
    }

    /// What is in the queues, for each payer or for one.
    fn usage(&self, spool: &Spool, only: Option<Payer>) -> Result<HashMap<Payer, u64>, Error> {
        let mut used: HashMap<Payer, u64> = HashMap::new();
        for queue in queues(spool, only)? {
            let of_queue = match queue.place() {
                QueueId::Acks(hop) => Some(Payer::Acks(hop.into())),
                QueueId::Control(hop) => Some(Payer::Hop(hop.into())),
                _ => None,
            };
            queue.each_name(|dir, file| {
                let name = file.to_str().and_then(|name| name.parse::<Name>().ok());
                let Some(name) = name else {
                    return Ok(());
                };
                let payer = of_queue.unwrap_or_else(|| self.payer(&name));
                // Acknowledgements that come are not counted: those of messages that wait here let
                // these go, and of others there are few.
                let is_free =
                    matches!(queue.place(), QueueId::Control(_)) && name.identity.kind == Kind::Pca;
                if is_free || only.is_some_and(|only| only != payer) {
                    return Ok(());
                }
                // What another user left is theirs until it is copied, and they choose its name.
                if spool.is_by_another(&queue.dir().join(file))? {
                    return Ok(());
                }
                let len = dir.len_of(file)?.unwrap_or(0).max(MIN_COUNTED);
                let why = match queue.place() {
                    QueueId::Failed => MIN_COUNTED,
                    _ => 0,
                };
                *used.entry(payer).or_default() += len + why;
                Ok(())
            })?;
        }
        Ok(used)
    }
}

/// The queues in which something of this payer, or of any, can be.
fn queues(spool: &Spool, only: Option<Payer>) -> Result<Vec<Queue>, Error> {
    use QueueKind as K;
    let is_wanted = |kind, id: NodeId| match (only, kind) {
        // Of requests for cargo, there is one of each gateway, which a new one replaces.
        (None, kind) => kind != K::Cca,
        (Some(Payer::Acks(hop)), K::Acks) | (Some(Payer::Hop(hop)), K::Control) => hop == id.into(),
        (Some(Payer::HopTo(_, to) | Payer::Recipient(to)), K::Home) => id == to,
        (Some(Payer::Acks(_)), _) | (Some(_), K::Acks | K::Control | K::Cca) => false,
        (Some(_), K::Out | K::Home) => true,
    };
    let mut queues = Vec::new();
    if !matches!(only, Some(Payer::Acks(_))) {
        queues.extend([QueueId::In, QueueId::Failed].map(|place| spool.queue(place)));
    }
    for kind in K::ALL {
        let of_kind = spool.queues_in(kind)?.into_iter();
        queues.extend(of_kind.filter_map(|(id, queue)| is_wanted(kind, id).then_some(queue)));
    }
    Ok(queues)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn a_peer_has_its_quota_and_no_more() {
        let (_dir, room) = room(Some("10000"), "0");
        let (bob, carol) = (NodeId::of_spki(b"bob"), NodeId::of_spki(b"carol"));
        let promise = |peer, len| room.promise(Payer::Recipient(peer), peer, len);
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
        room.promise(Payer::Hop(hop), bob, 10_000).unwrap();
        room.promise(Payer::HopTo(hop, carol), bob, 10_000).unwrap();
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
        room.promise(room.payer(&here), hop, 1024).unwrap();
    }

    #[test]
    fn the_reserve_is_kept() {
        let (_dir, room) = room(None, &u64::MAX.to_string());
        let bob = NodeId::of_spki(b"bob");
        let refused = room.promise(Payer::Recipient(bob), bob, 1).unwrap_err();
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
                let found = room.used(&mut mutex::lock(&room.state), payer);
                assert_eq!(found.unwrap(), used, "{payer:?}");
            }
            room.promise(Payer::Recipient(bob), bob, 5000).unwrap();
            let used = mutex::lock(&room.state).used[&Payer::Recipient(bob)];
            assert_eq!(used, expected[0].1 + 5000);
            assert_eq!(mutex::lock(&room.state).listings, ONE_BY_ONE + 1);
        }
    }
}
