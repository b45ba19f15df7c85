//! Limits on stored messages: the quota of each peer, and the free space to keep.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::name::HopPrefix;
use super::{Error, Name, QueueId, QueueKind, Spool};
use crate::disk::{FileRole, files};
use crate::node::Config;
use crate::node::peers::short_id;
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::ramf::limits;

/// The space to keep free unless the config sets `reserve`, in octets.
pub const DEFAULT_RESERVE: u64 = 16 * 1024 * 1024;

/// How many octets are promised before the free space is read again.
const ASK_AFTER: u64 = 16 * 1024 * 1024;

/// For how many payers the queues are listed one by one, before all payers are counted at once.
const ONE_BY_ONE: usize = 2;

/// The peer whose quota a message counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Payer {
    /// The recipient, for a message sent from here.
    Recipient(NodeId),
    /// The hop, for a message that its cargo brought.
    Hop(HopPrefix),
}

impl Payer {
    /// The payer of a waiting message.
    #[must_use]
    pub fn of(name: &Name) -> Self {
        match name.from {
            Some(hop) => Self::Hop(hop),
            None => Self::Recipient(name.identity.recipient),
        }
    }
}

/// The room for messages. Several threads may ask at once.
#[derive(Debug)]
pub struct Room<'a> {
    dir: PathBuf,
    /// Whose messages count; none for a user who may not know.
    spool: Option<&'a Spool>,
    quota: Option<u64>,
    reserve: u64,
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
    /// The room on the file system of `dir`. What waits in `in` and `out` of `spool` counts already.
    #[must_use]
    pub fn new(dir: &Path, config: &Config, spool: Option<&'a Spool>) -> Self {
        Self {
            dir: dir.to_owned(),
            spool,
            quota: config.quota(),
            reserve: config.reserve().unwrap_or(DEFAULT_RESERVE),
            state: Mutex::default(),
        }
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
            for (payer, len) in usage(spool, only)? {
                // What was counted before has what was promised since.
                state.used.entry(payer).or_insert(len);
            }
        }
        Ok(*state.used.entry(payer).or_default())
    }

    /// Reserves room for a message of `len` octets on the quota of `payer`; an error names `peer`.
    ///
    /// # Errors
    /// [`Error::Quota`] or [`Error::Reserve`] when there is not enough; [`Error::Disk`] when the
    /// free space cannot be read.
    pub fn promise(&self, payer: Payer, peer: NodeId, len: usize) -> Result<(), Error> {
        let len = len as u64;
        let mut state = mutex::lock(&self.state);
        let mut used = 0;
        if let Some(limit) = self.quota {
            used = self.used(&mut state, payer)?;
            if used.saturating_add(len) > limit {
                return Err(Error::Quota {
                    peer: short_id(peer),
                    used,
                    limit,
                });
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
        if self.quota.is_some() {
            state.used.insert(payer, used + len);
        }
        Ok(())
    }
}

/// What waits in `in` and `out`, for each payer or for one.
fn usage(spool: &Spool, only: Option<Payer>) -> Result<HashMap<Payer, u64>, Error> {
    let mut used: HashMap<Payer, u64> = HashMap::new();
    let out = spool.queues_in(QueueKind::Out)?;
    let mut queues = vec![spool.queue(QueueId::In)];
    queues.extend(out.into_iter().map(|(_, queue)| queue));
    for queue in queues {
        queue.each_name(|dir, file| {
            let name = file.to_str().and_then(|name| name.parse::<Name>().ok());
            let Some(mut name) = name else {
                return Ok(());
            };
            let said = Payer::of(&name);
            let by_another = Payer::Recipient(name.identity.recipient);
            let is_wanted = |payer| only.is_none_or(|only| only == payer);
            let may_count = is_wanted(said) || (spool.is_shared() && is_wanted(by_another));
            if !may_count {
                return Ok(());
            }
            let mut len = dir.len_of(file)?.unwrap_or(0);
            if spool.is_by_another(&queue.dir().join(file))? {
                // A user who put it can only have sent it from here, and at most a whole message.
                name.from = None;
                len = len.min(limits::MAX_MESSAGE_LEN as u64);
            }
            let payer = Payer::of(&name);
            if is_wanted(payer) {
                *used.entry(payer).or_default() += len;
            }
            Ok(())
        })?;
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ramf::Kind;
    use crate::spool::name::MessageKey;
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
        let (_dir, room) = room(Some("100"), "0");
        let (bob, carol) = (NodeId::of_spki(b"bob"), NodeId::of_spki(b"carol"));
        let promise = |peer, len| room.promise(Payer::Recipient(peer), peer, len);
        promise(bob, 60).unwrap();
        assert!(matches!(
            promise(bob, 41),
            Err(Error::Quota {
                used: 60,
                limit: 100,
                ..
            })
        ));
        promise(bob, 40).unwrap();
        promise(carol, 100).unwrap();
        room.promise(Payer::Hop(bob.into()), bob, 100).unwrap();
        assert!(promise(carol, 1).is_err());
    }

    #[test]
    fn the_reserve_is_kept() {
        let (_dir, room) = room(None, &u64::MAX.to_string());
        let bob = NodeId::of_spki(b"bob");
        let refused = room.promise(Payer::Recipient(bob), bob, 1).unwrap_err();
        assert!(matches!(refused, Error::Reserve { .. }), "{refused}");
    }

    #[test]
    fn what_waits_is_counted_for_those_who_pay_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let node = |nth: u8| NodeId::of_spki(&[nth]);
        for nth in 0..8 {
            let name = Name {
                identity: MessageKey {
                    recipient: node(nth / 2),
                    sender: node(9),
                    id: [nth; 32],
                    kind: Kind::Parcel,
                },
                expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
                priority: None,
                copies: None,
                from: (nth == 7).then(|| node(8).into()),
            };
            let place = [QueueId::In, QueueId::Out(node(7))][usize::from(nth % 2)];
            let queue = spool.make(place).unwrap();
            std::fs::write(queue.path_of(&name), vec![0; 10 + usize::from(nth)]).unwrap();
        }
        let mut config = Config::default();
        config.set("reserve", "0").unwrap();
        config.set("quota", "100").unwrap();
        let room = Room::new(spool.root(), &config, Some(&spool));
        let used = |payer, peer| {
            let refused = room.promise(payer, peer, 101).unwrap_err();
            let Error::Quota { used, .. } = refused else {
                panic!("{refused}");
            };
            used
        };
        let sent = |nth| used(Payer::Recipient(node(nth)), node(nth));
        assert_eq!([0, 1].map(sent), [21, 25]);
        room.promise(Payer::Recipient(node(0)), node(0), 5).unwrap();
        assert_eq!([0, 1, 2, 3, 4].map(sent), [26, 25, 29, 16, 0]);
        assert_eq!(used(Payer::Hop(node(8).into()), node(8)), 17);
        assert_eq!(mutex::lock(&room.state).listings, ONE_BY_ONE + 1);
    }
}
