//! Each message counts for the one who brought it: the payers of messages, and what each of them uses.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::name::{HopPrefix, MessageKey};
use super::queue::Queue;
use super::{Error, Name, QueueId, QueueKind, Spool};
use crate::crypto::hash;
use crate::node::Directory;
use crate::node::endpoints;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// What a file counts at least, in octets: thus a quota bounds the number of files, too.
pub const MIN_COUNTED: u64 = 1024;

/// Whose quota a message counts against: the sender or hop that brought it.
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

impl Payer {
    /// Stands for the payer in the ledger.
    pub(super) fn digest(self) -> u64 {
        let (kind, hop, node) = match self {
            Self::Recipient(node) => (0, None, Some(node)),
            Self::Hop(hop) => (1, Some(hop), None),
            Self::HopTo(hop, node) => (2, Some(hop), Some(node)),
            Self::Acks(hop) => (3, Some(hop), None),
        };
        // Each kind has a fixed length, so that no two payers have the same octets.
        let mut octets = vec![kind];
        octets.extend(hop.iter().flat_map(HopPrefix::octets));
        octets.extend(node.iter().flat_map(NodeId::digest));
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&hash::sha256(&octets)[..8]);
        u64::from_be_bytes(beginning)
    }
}

/// What a file counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedFile {
    /// For whom.
    pub(super) payer: Payer,
    /// The beginning of the id of its message.
    pub(super) id: u64,
    /// How much, in octets.
    pub(super) len: u64,
}

/// Tells the payers of messages.
#[derive(Debug)]
pub struct Payers<'a> {
    /// Whose messages count; none for a user who may not know.
    spool: Option<&'a Spool>,
    /// The nodes here, once they are asked for.
    here: OnceLock<HashSet<NodeId>>,
}

impl<'a> Payers<'a> {
    /// The payers of what is in `spool`.
    #[must_use]
    pub fn of(spool: Option<&'a Spool>) -> Self {
        Self {
            spool,
            here: OnceLock::new(),
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

    /// What is in the queues, for each payer or for one.
    ///
    /// # Errors
    /// When a queue cannot be listed.
    pub fn usage(&self, only: Option<Payer>) -> Result<HashMap<Payer, u64>, Error> {
        let mut used = HashMap::new();
        self.each(only, |counted, _| {
            *used.entry(counted.payer).or_default() += counted.len;
        })?;
        Ok(used)
    }

    /// Gives each file in the queues that counts, with the key of its message, for each payer or for one.
    ///
    /// # Errors
    /// When a queue cannot be listed.
    pub(super) fn each(
        &self,
        only: Option<Payer>,
        mut each: impl FnMut(CountedFile, &MessageKey),
    ) -> Result<(), Error> {
        let Some(spool) = self.spool else {
            return Ok(());
        };
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
                let counted = CountedFile {
                    payer,
                    id: name.identity.beginning_of_id(),
                    len: len + why,
                };
                each(counted, &name.identity);
                Ok(())
            })?;
        }
        Ok(())
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
        let places = [QueueId::In, QueueId::Internet, QueueId::Failed];
        queues.extend(places.map(|place| spool.queue(place)));
    }
    for kind in K::ALL {
        let of_kind = spool.queues_in(kind)?.into_iter();
        queues.extend(of_kind.filter_map(|(id, queue)| is_wanted(kind, id).then_some(queue)));
    }
    Ok(queues)
}
