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
pub struct Room {
    dir: PathBuf,
    quota: Option<u64>,
    reserve: u64,
    state: Mutex<RoomState>,
}

#[derive(Debug, Default)]
struct RoomState {
    /// The octets of waiting messages, by payer.
    used: HashMap<Payer, u64>,
    /// The free space when it was last read, less the octets promised since.
    free: u64,
    promised: u64,
    was_asked: bool,
}

impl Room {
    /// The room on the file system of `dir`.
    #[must_use]
    pub fn new(dir: &Path, config: &Config) -> Self {
        Self {
            dir: dir.to_owned(),
            quota: config.quota(),
            reserve: config.reserve().unwrap_or(DEFAULT_RESERVE),
            state: Mutex::default(),
        }
    }

    /// Counts the messages that wait in `in` and `out`; does nothing without a quota.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn count(self, spool: &Spool) -> Result<Self, Error> {
        if self.quota.is_some() {
            let mut state = mutex::lock(&self.state);
            let out = spool.queues_in(QueueKind::Out)?;
            let queues = out.into_iter().map(|(_, queue)| queue);
            for queue in queues.chain([spool.queue(QueueId::In)]) {
                for message in queue.messages()? {
                    let mut message = message?;
                    let mut len = message.len()?.unwrap_or(0);
                    if spool.is_by_another(&message.path)? {
                        // Another user's file counts as sent from here, whatever its name says, and
                        // its length as at most that of a whole message.
                        message.name.from = None;
                        len = len.min(limits::MAX_MESSAGE_LEN as u64);
                    }
                    *state.used.entry(Payer::of(&message.name)).or_default() += len;
                }
            }
            drop(state);
        }
        Ok(self)
    }

    /// Reserves room for a message of `len` octets on the quota of `payer`; an error names `peer`.
    ///
    /// # Errors
    /// [`Error::Quota`] or [`Error::Reserve`] when there is not enough; [`Error::Disk`] when the
    /// free space cannot be read.
    pub fn promise(&self, payer: Payer, peer: NodeId, len: usize) -> Result<(), Error> {
        let len = len as u64;
        let mut state = mutex::lock(&self.state);
        let used = state.used.get(&payer).copied().unwrap_or(0);
        if let Some(limit) = self.quota.filter(|limit| used.saturating_add(len) > *limit) {
            return Err(Error::Quota {
                peer: short_id(peer),
                used,
                limit,
            });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn room(quota: Option<&str>, reserve: &str) -> (tempfile::TempDir, Room) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.set("reserve", reserve).unwrap();
        if let Some(quota) = quota {
            config.set("quota", quota).unwrap();
        }
        let room = Room::new(dir.path(), &config);
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
}
