//! Arriving messages: whether one is already known, and the effects once it is stored.
//!
//! Each step is on disk before the next begins, and may be repeated:
//!
//! ```text
//! killed after            the next run
//! content is stored       knows it: it waits, or was taken from this cargo; does all that follows
//! session is advanced     advances it once more, which changes nothing
//! PCAs are queued         queues the same names once more
//! messages are remembered remembers the cargo
//! cargo is remembered     removes it from the medium
//! ```

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::name::{HopPrefix, KeyDigest};
use super::{Error, Name, QueueId, Spool};
use crate::disk::batch::{self, Batch};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{FileRole, files};
use crate::message::{Item, Pca};
use crate::node::ReplayKey;
use crate::node::seen::Memory;
use crate::pki::NodeId;
use crate::receive::{self, PendingReceipt};

/// How often all queues are listed again, at most.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// But not more often than this for each message that waits, which is some twenty times what it takes.
const LIST_EACH: Duration = Duration::from_micros(20);

/// How many times a message is taken again after it was passed on and no longer waits here.
const MAX_AGAIN: u8 = 3;

/// The origin of a message.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// A program on this machine.
    Here,
    /// Cargo of a hop.
    Cargo {
        /// The gateway that made it.
        hop: NodeId,
        /// The SHA-256 of its octets.
        sha256: &'a [u8; 32],
    },
    /// A hop that is connected, and brings each message by itself.
    Wire {
        /// The gateway.
        hop: NodeId,
    },
}

/// The state of an arriving message, according to the spool's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is not known.
    New,
    /// It waits in a queue.
    Waits,
    /// It was delivered to a node here.
    Delivered,
    /// It was passed on this many times, and no longer waits here.
    PassedOn(u8),
    /// An earlier run took it from this same cargo, which also had messages that could not be taken
    /// yet.
    TakenFrom,
    /// It was passed on too often to be taken again, and this hop had brought it before.
    BroughtBy,
}

impl Known {
    /// Whether it was passed on so often that its routes must be a loop.
    #[must_use]
    pub fn is_loop(self) -> bool {
        matches!(self, Self::PassedOn(times) if times > MAX_AGAIN)
    }
}

/// What the spool remembers of earlier messages, read once for many new ones.
#[derive(Debug)]
pub struct History {
    /// The node whose own messages `memory` has; a guest does not deliver here.
    own: Option<NodeId>,
    /// Messages that passed through here, and those delivered to the node itself.
    memory: Memory,
    /// Messages delivered to each local endpoint; empty for a guest.
    delivered: HashMap<NodeId, Memory>,
    /// Waiting messages, each with the hop that brought it.
    waiting: HashMap<KeyDigest, Option<HopPrefix>>,
    /// When these may be listed again.
    lists_after: Option<Instant>,
}

/// Where routing puts a message, and under which name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedPlace {
    /// The queue.
    pub queue: QueueId,
    /// The priority that the route gives it.
    pub priority: Option<u8>,
    /// The number of copies to export.
    pub copies: Option<u8>,
    /// When the message came.
    pub at: Instant,
}

impl History {
    /// Reads the replay memories. Waiting messages are added by [`History::set_waiting`]: to list
    /// all queues takes long, and a run without cargo does not need it.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn of(spool: &Spool) -> Result<Self, Error> {
        let owner = spool.owner();
        let is_guest = spool.is_guest();
        Ok(Self {
            own: (!is_guest).then(|| owner.id()),
            memory: Memory::of(owner.root())?,
            delivered: if is_guest {
                HashMap::new()
            } else {
                spool.delivered()?
            },
            waiting: HashMap::new(),
            lists_after: None,
        })
    }

    /// Sets the waiting messages, as [`Spool::waiting`] returns them.
    pub fn set_waiting(&mut self, waiting: HashMap<KeyDigest, Option<HopPrefix>>) {
        self.waiting = waiting;
    }

    /// Whether a message that waited when it was last looked is still on the disk: in `in`, or where routing puts it.
    /// Elsewhere it is found by listing all queues, which is done once a second at most, and less often if much waits; what
    /// was found then counts until the next list.
    ///
    /// # Errors
    /// When the queues cannot be listed.
    pub fn still_waits(
        &mut self,
        spool: &Spool,
        name: &Name,
        expected: &ExpectedPlace,
    ) -> Result<bool, Error> {
        let key = name.identity.key();
        let Some(from) = self.waiting.get(&key) else {
            return Ok(false);
        };
        let arrived = Name {
            from: *from,
            ..name.clone()
        };
        let routed = Name {
            priority: arrived.priority.or(expected.priority),
            copies: expected.copies,
            ..arrived.clone()
        };
        // In the order in which it moves, so that it is not missed on its way.
        for (place, name) in [(QueueId::In, &arrived), (expected.queue, &routed)] {
            if files::exists(&spool.queue(place).path_of(name), FileRole::Spool)? {
                return Ok(true);
            }
        }
        if self.lists_after.is_none_or(|after| expected.at >= after) {
            self.waiting = spool.waiting()?;
            let count = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            self.lists_after = Some(expected.at + LIST_EVERY.max(LIST_EACH * count));
        }
        Ok(self.waits(key))
    }

    /// Reads what other runs have delivered or passed on since.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.memory.refresh()?;
        for memory in self.delivered.values_mut() {
            memory.refresh()?;
        }
        Ok(())
    }

    /// Records that this hop brought messages; they wait from now on.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn add_brought<'n>(
        &mut self,
        brought: &[ReplayKey],
        names: impl Iterator<Item = &'n Name>,
    ) -> Result<(), Error> {
        self.memory.add_all(brought)?;
        for name in names {
            self.add_waiting(name);
        }
        Ok(())
    }

    /// Notes that a message waits from now on.
    pub fn add_waiting(&mut self, name: &Name) {
        self.waiting.entry(name.identity.key()).or_insert(name.from);
    }

    /// Notes that a message has left.
    pub fn forget_waiting(&mut self, name: &Name) {
        self.waiting.remove(&name.identity.key());
    }

    /// Whether a message with this key waits.
    #[must_use]
    pub fn waits(&self, key: KeyDigest) -> bool {
        self.waiting.contains_key(&key)
    }

    /// Looks up an arriving message.
    ///
    /// If it was passed on before, either its acknowledgement was lost or the routes form a loop.
    /// To take it again costs a trip; to acknowledge it without taking it would lose it, if the
    /// routes form a loop.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn known(
        &self,
        name: &Name,
        identity: &ReplayKey,
        origin: Origin<'_>,
    ) -> Result<Known, Error> {
        let delivered = self.delivered_to(name.identity.recipient);
        if let Some(memory) = delivered
            && memory.knows(identity)?
        {
            return Ok(Known::Delivered);
        }
        let waits = self.waits(name.identity.key());
        let times = self.memory.times_passed_on(identity)?;
        Ok(match origin {
            // A message that was passed on may have arrived, so it cannot be replaced, even if a
            // copy still waits.
            Origin::Here if times > 0 => Known::PassedOn(times),
            _ if waits => Known::Waits,
            // A message for a local node is delivered here, however often it was passed on while
            // that node was elsewhere.
            Origin::Cargo { .. } | Origin::Wire { .. } if delivered.is_some() => Known::New,
            // Before the count of passes: this is the same copy, not one more.
            Origin::Cargo { sha256, .. } if self.memory.knows(&identity.taken_from(sha256))? => {
                Known::TakenFrom
            }
            Origin::Cargo { hop, .. } | Origin::Wire { hop }
                if times > MAX_AGAIN && self.memory.knows(&identity.brought_by(hop))? =>
            {
                Known::BroughtBy
            }
            _ if times > 0 => Known::PassedOn(times),
            _ => Known::New,
        })
    }

    /// Whether a message passes through here for the first time. One for a node here does not pass
    /// through.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn is_first_pass(&self, name: &Name, identity: &ReplayKey) -> Result<bool, Error> {
        Ok(self.delivered_to(name.identity.recipient).is_none()
            && self.memory.times_passed_on(identity)? == 0)
    }

    /// Whether a killed run stored this parcel from this hop, but did not record that.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn is_unremembered(
        &self,
        name: &Name,
        identity: &ReplayKey,
        hop: NodeId,
    ) -> Result<bool, Error> {
        let from = self.waiting.get(&name.identity.key());
        Ok(from == Some(&Some(HopPrefix::from(hop)))
            && self.is_first_pass(name, identity)?
            && !self.memory.knows(&identity.brought_by(hop))?)
    }

    /// The replay keys that record that these parcels were taken from this cargo, without those
    /// already recorded.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub fn taken_from(
        &self,
        parcels: &[(Name, String)],
        sha256: &[u8; 32],
    ) -> Result<Vec<ReplayKey>, Error> {
        let mut unknown = Vec::new();
        for (name, id) in parcels {
            let taken = name.to_replay_key(id).taken_from(sha256);
            if !self.memory.knows(&taken)? {
                unknown.push(taken);
            }
        }
        Ok(unknown)
    }

    fn delivered_to(&self, recipient: NodeId) -> Option<&Memory> {
        if Some(recipient) == self.own {
            Some(&self.memory)
        } else {
            self.delivered.get(&recipient)
        }
    }
}

/// The effects of cargo whose messages are already in their queues.
pub struct Effects<'a> {
    /// The cargo's own receipt.
    pub receipt: &'a PendingReceipt<'a>,
    /// The gateway that sent it.
    pub hop: NodeId,
    /// The parcels to acknowledge, with their ids.
    pub parcels: &'a [(Name, String)],
    /// The replay keys to record for its messages.
    pub brought: &'a [ReplayKey],
    /// The replay keys to record last: those of the cargo itself, which is not opened again after
    /// that.
    pub last: &'a [ReplayKey],
}

impl Effects<'_> {
    /// Performs the effects in the order of this module's table. `settle` is called before anything
    /// is recorded, and syncs the records of a killed run.
    ///
    /// # Errors
    /// When a session, an acknowledgement or the memory cannot be stored.
    pub fn complete(
        &self,
        spool: &Spool,
        history: &mut History,
        settle: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        receive::complete_all(
            [self.receipt],
            || {
                // Before the memory: recorded cargo is not opened again, so its parcels would never
                // be acknowledged.
                acknowledge(spool, self.hop, self.parcels)?;
                settle()
            },
            &mut history.memory,
            &[self.brought, self.last],
        )?;
        for (name, _) in self.parcels {
            history.add_waiting(name);
        }
        Ok(())
    }
}

/// Queues the acknowledgements of parcels, for the hop that brought them.
fn acknowledge(spool: &Spool, hop: NodeId, parcels: &[(Name, String)]) -> Result<(), Error> {
    if parcels.is_empty() {
        return Ok(());
    }
    let queue = spool.make(QueueId::Acks(hop))?;
    let tmp = spool.tmp();
    let mut batch = Batch::default();
    for (name, id) in parcels {
        let pca = Pca {
            sender: name.identity.sender,
            recipient: name.identity.recipient,
            parcel_id: id.clone(),
        };
        let pca = Item::from(pca);
        let name = Name::of(&pca, name.expiry);
        let options =
            // The name follows from the parcel, so a repeated step adds no second acknowledgement.
            PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess).written_in(&tmp);
        batch.add(batch::stage(
            &queue.path_of(&name),
            &[pca.octets()],
            &options,
        )?)?;
    }
    batch.commit()?;
    // A parcel without one is not remembered, so that it is acknowledged when it comes again.
    match batch.take_refused().into_iter().next() {
        Some(refused) => Err(refused.into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::ramf::Kind;
    use crate::spool::name::MessageKey;
    use crate::spool::testspool;

    const CARGO: [u8; 32] = [1; 32];

    fn node(name: &str) -> NodeId {
        NodeId::of_spki(name.as_bytes())
    }

    /// A parcel from a hop, and its replay key.
    fn parcel(recipient: &str, id: &str) -> (Name, ReplayKey) {
        let name = Name {
            identity: MessageKey {
                recipient: node(recipient),
                sender: node("sender"),
                id: crate::crypto::hash::sha256(id.as_bytes()),
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: Some(HopPrefix::from(node("hop"))),
        };
        let key = name.to_replay_key(id);
        (name, key)
    }

    /// The history of a gateway with an endpoint, and the directories that its memory is in.
    fn empty_history() -> ([TempDir; 2], History) {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [own, endpoint] = [&dirs[0], &dirs[1]].map(|dir| Memory::of(dir.path()).unwrap());
        let history = History {
            own: Some(node("gateway")),
            memory: own,
            delivered: HashMap::from([(node("endpoint"), endpoint)]),
            waiting: HashMap::new(),
            lists_after: None,
        };
        (dirs, history)
    }

    /// The answers for a parcel that is put here, and for one that the hop brings.
    fn asked(history: &History, (name, key): &(Name, ReplayKey)) -> [Known; 2] {
        let (hop, sha256) = (node("hop"), &CARGO);
        let cargo = Origin::Cargo { hop, sha256 };
        [Origin::Here, cargo].map(|origin| history.known(name, key, origin).unwrap())
    }

    /// Where the system said that its name was taken, the parcel counted as acknowledged.
    #[test]
    #[cfg(debug_assertions)]
    fn a_parcel_whose_acknowledgement_has_no_name_is_not_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let parcels = ["a", "b"].map(|id| (parcel("far", id).0, id.to_owned()));
        crate::disk::fault::arm("EEXIST=.pca").unwrap();
        let refused = acknowledge(&spool, node("hop"), &parcels);
        crate::disk::fault::disarm();
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains(".pca: "), "{refused}");
        acknowledge(&spool, node("hop"), &parcels).unwrap();
        let queue = spool.queue(QueueId::Acks(node("hop")));
        assert_eq!(queue.messages().unwrap().count(), 2);
    }

    #[test]
    fn each_state_has_one_answer() {
        let (_dirs, mut history) = empty_history();
        let far = parcel("far", "a");
        assert_eq!(asked(&history, &far), [Known::New; 2]);
        assert!(history.is_first_pass(&far.0, &far.1).unwrap());

        // Stored by a run that was killed before it recorded that.
        history.add_waiting(&far.0);
        assert_eq!(asked(&history, &far), [Known::Waits; 2]);
        assert!(
            history
                .is_unremembered(&far.0, &far.1, node("hop"))
                .unwrap()
        );
        assert!(
            !history
                .is_unremembered(&far.0, &far.1, node("other"))
                .unwrap()
        );
        let brought = far.1.brought_by(node("hop"));
        history.memory.add_all(&[brought]).unwrap();
        assert!(
            !history
                .is_unremembered(&far.0, &far.1, node("hop"))
                .unwrap()
        );

        // A waiting copy cannot be replaced once another copy was passed on.
        for times in 1..=MAX_AGAIN + 1 {
            history
                .memory
                .pass_on(std::slice::from_ref(&far.1))
                .unwrap();
            assert_eq!(
                asked(&history, &far),
                [Known::PassedOn(times), Known::Waits]
            );
        }
        history.set_waiting(HashMap::new());
        assert_eq!(asked(&history, &far)[1], Known::BroughtBy);
        let cargo = Origin::Cargo {
            hop: node("other"),
            sha256: &CARGO,
        };
        assert!(history.known(&far.0, &far.1, cargo).unwrap().is_loop());

        // Taken from cargo that has more messages, and passed on since.
        let taken = parcel("far", "b");
        history
            .memory
            .pass_on(std::slice::from_ref(&taken.1))
            .unwrap();
        assert_eq!(asked(&history, &taken), [Known::PassedOn(1); 2]);
        let parcels = [(taken.0.clone(), "b".to_owned())];
        let keys = history.taken_from(&parcels, &CARGO).unwrap();
        history.memory.add_all(&keys).unwrap();
        assert_eq!(
            asked(&history, &taken),
            [Known::PassedOn(1), Known::TakenFrom]
        );
        assert_eq!(history.taken_from(&parcels, &CARGO).unwrap(), []);
    }

    #[test]
    fn what_is_delivered_here_is_known_however_it_comes() {
        let (_dirs, mut history) = empty_history();
        let here = ["gateway", "endpoint"].map(|recipient| parcel(recipient, "a"));
        for parcel in &here {
            // One that was passed on when its recipient was elsewhere is taken again, and not put
            // again.
            history
                .memory
                .pass_on(std::slice::from_ref(&parcel.1))
                .unwrap();
            assert_eq!(asked(&history, parcel), [Known::PassedOn(1), Known::New]);
            assert!(!history.is_first_pass(&parcel.0, &parcel.1).unwrap());
        }
        history.memory.add_all(&[here[0].1.clone()]).unwrap();
        let delivered = history.delivered.get_mut(&node("endpoint")).unwrap();
        delivered.add_all(&[here[1].1.clone()]).unwrap();
        for parcel in &here {
            assert_eq!(asked(&history, parcel), [Known::Delivered; 2]);
            // It may still wait, until the run that delivered it removes it.
            history.add_waiting(&parcel.0);
            assert_eq!(asked(&history, parcel), [Known::Delivered; 2]);
        }
    }
}
