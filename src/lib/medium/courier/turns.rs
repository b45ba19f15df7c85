//! Whose messages go first. Signatures cost nothing, so neither they nor dates say who matters: those
//! that a courier has a reason to know come first, and each recipient has its turns.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::crypto::hash;
use crate::medium::names::MediumFile;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The most that a message takes on a medium besides its octets: what file systems round up to.
pub(super) const OVERHEAD: u64 = 64 * 1024;

/// A message to carry.
pub(super) struct Wanted {
    pub(super) file: MediumFile,
    /// When it ends.
    pub(super) end: Timestamp,
    /// Whether it shows that its recipient authorized its sender.
    pub(super) is_shown: bool,
}

/// Sorts messages: known recipients first, requests before cargo since they are small, and then a
/// message for each recipient in turn, of which those that end first go first.
pub(super) fn sort(wanted: &mut [Wanted], known: &HashSet<NodeId>, now: Timestamp) {
    wanted.sort_unstable_by(|a, b| (a.end, &a.file.path).cmp(&(b.end, &b.file.path)));
    let mut turns: HashMap<(NodeId, bool), usize> = HashMap::new();
    let mut keys: HashMap<_, _> = HashMap::new();
    for Wanted { file, .. } in wanted.iter() {
        let (recipient, is_cargo) = (file.recipient, file.kind() == Kind::Cargo);
        let turn = turns.entry((recipient, is_cargo)).or_default();
        let key = (
            !known.contains(&recipient),
            is_cargo,
            *turn,
            lot(recipient, now),
        );
        keys.insert(file.path.clone(), key);
        *turn += 1;
    }
    wanted.sort_by_key(|it| keys.get(&it.file.path).copied());
}

/// The place of a recipient among the others in this run. Nobody is last in each, and no id can be
/// chosen for its place.
fn lot(recipient: NodeId, now: Timestamp) -> [u8; 32] {
    hash::sha256(format!("{} {recipient}", now.as_second()).as_bytes())
}

/// Room on a medium, in octets.
#[derive(Clone, Copy)]
pub(super) struct FreeRoom {
    /// The free space.
    pub(super) free: u64,
    /// What the quota still allows.
    pub(super) allowed: u64,
}

impl FreeRoom {
    pub(super) fn has(&self, len: u64) -> bool {
        len.saturating_add(OVERHEAD) <= self.free && len <= self.allowed
    }

    /// Takes the room of a message, which must be there.
    pub(super) fn take(&mut self, len: u64) {
        self.free -= len + OVERHEAD;
        self.allowed -= len;
    }

    /// Gives back the room of a message that left. What it took besides its octets is not known.
    pub(super) fn give(&mut self, len: u64) {
        self.free = self.free.saturating_add(len);
        self.allowed = self.allowed.saturating_add(len);
    }

    /// What messages for unknown recipients may take of it, which have this much already: they get
    /// half of all.
    pub(super) fn for_strangers(&self, held: u64) -> Self {
        let half = |room: u64| (room.saturating_add(held) / 2).saturating_sub(held);
        Self {
            free: half(self.free),
            allowed: half(self.allowed),
        }
    }
}

/// The messages for recipients that a courier has no reason to know.
#[derive(Default)]
pub(super) struct Strangers {
    recipients: HashSet<NodeId>,
    pub(super) messages: usize,
    pub(super) not_shown: usize,
    pub(super) left: usize,
}

impl Strangers {
    pub(super) fn count(&mut self, wanted: &Wanted, is_left: bool) {
        self.recipients.insert(wanted.file.recipient);
        self.messages += 1;
        self.not_shown += usize::from(!wanted.is_shown);
        self.left += usize::from(is_left);
    }

    pub(super) fn recipients(&self) -> usize {
        self.recipients.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::medium::layout::Medium;

    #[test]
    fn each_recipient_has_its_turn_and_known_ones_come_first() {
        let root = tempfile::tempdir().unwrap();
        let medium = Medium::init(root.path()).unwrap();
        let id = |name: &str| NodeId::of_spki(name.as_bytes());
        let now = Timestamp::UNIX_EPOCH;
        let wanted = |name: &'static str, kind, nth: u8| Wanted {
            file: MediumFile {
                recipient: id(name),
                sender: id("sender"),
                sha256: [nth; 32],
                path: format!("{name}{nth}{}", if kind == Kind::Cca { "!" } else { "" }).into(),
                len: 1,
                kind,
                top: medium.top.clone(),
            },
            end: Timestamp::from_second(nth.into()).unwrap(),
            is_shown: nth == 0,
        };
        let mut all: Vec<Wanted> = (0..9).map(|nth| wanted("junk", Kind::Cargo, nth)).collect();
        all.extend((20..22).map(|nth| wanted("other", Kind::Cargo, nth)));
        all.extend((30..32).map(|nth| wanted("friend", Kind::Cargo, nth)));
        all.push(wanted("friend", Kind::Cca, 33));
        sort(&mut all, &HashSet::from([id("friend")]), now);
        let order: Vec<_> = all
            .iter()
            .map(|it| it.file.path.display().to_string())
            .collect();
        assert_eq!(order[..3], ["friend33!", "friend30", "friend31"]);
        let mut turns: Vec<Vec<String>> = order[3..7].chunks(2).map(<[_]>::to_vec).collect();
        for turn in &mut turns {
            turn.sort();
        }
        assert_eq!(turns, [["junk0", "other20"], ["junk1", "other21"]]);
        assert_eq!(order[7..9], ["junk2", "junk3"]);
    }

    #[test]
    fn strangers_get_half_of_all_with_what_they_have() {
        let room = FreeRoom {
            free: 100,
            allowed: u64::MAX,
        };
        assert_eq!(room.for_strangers(0).free, 50);
        assert_eq!(room.for_strangers(50).free, 25);
        assert_eq!(room.for_strangers(100).free, 0);
        assert!(room.for_strangers(7).allowed > u64::MAX / 4);
    }
}
