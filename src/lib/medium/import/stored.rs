//! The messages of one cargo on their way into the queues: written, then named together.

use super::super::{Error, ExchangeEvent, MediumFile};
use crate::disk;
use crate::disk::batch::{self, Batch, Staged};
use crate::disk::publish::PublishOptions;
use crate::node::ReplayKey;
use crate::pki::NodeId;
use crate::ramf::{Head, Kind};
use crate::spool::{Name, Queue};

/// A verified message from cargo, and what becomes of it.
pub(super) struct StagedItem {
    pub(super) name: Name,
    pub(super) id: Option<String>,
    pub(super) fate: ItemDisposition,
}

pub(super) enum ItemDisposition {
    /// It is written but not named; whether it passes through here for the first time.
    New(Staged, bool),
    /// A control message, written but not named.
    Control(Staged),
    /// An acknowledgement for a parcel that does not wait here, beyond the limit.
    Useless,
    /// It was here before; whether it is still to be remembered that this hop brought it.
    Known(bool),
}

/// Writes a message for its queue, where it gets another name if something else has this one: what anybody put there.
pub(super) fn stage(
    queue: &Queue,
    name: &mut Name,
    octets: &[u8],
    manner: &PublishOptions<'_>,
) -> Result<Staged, Error> {
    for other in name.and_others() {
        match batch::stage(&queue.path_of(&other), &[octets], manner) {
            Err(disk::Error::Exists { .. } | disk::Error::NotRegular { .. }) => {}
            staged => {
                *name = other;
                return Ok(staged?);
            }
        }
    }
    Err(Error::Replaces)
}

/// Messages of a cargo with problems of one kind. Only the first is reported, with the number of the others: the sender of
/// the cargo could fill a log.
#[derive(Default)]
pub(super) struct SimilarFailures {
    first: Option<(usize, Error)>,
    others: usize,
}

impl SimilarFailures {
    pub(super) fn add(&mut self, number: usize, error: Error) {
        match self.first {
            Some(_) => self.others += 1,
            None => self.first = Some((number, error)),
        }
    }

    pub(super) fn tell(self, file: &MediumFile, each: &mut dyn FnMut(ExchangeEvent)) {
        let Some((number, error)) = self.first else {
            return;
        };
        let others = match self.others {
            0 => String::new(),
            others => format!(" and {others} others"),
        };
        each(ExchangeEvent::Failed {
            what: format!("{file}: item {number}{others}"),
            error,
        });
    }
}

/// The messages of a cargo that were stored.
#[derive(Default)]
pub(super) struct StoredItems {
    /// Whether another run could get nothing more from the cargo.
    pub(super) is_whole: bool,
    /// Whether any message was here before.
    pub(super) is_repeated: bool,
    /// The parcels to acknowledge, with their message ids.
    pub(super) parcels: Vec<(Name, String)>,
    /// Records for parcels that pass through here for the first time.
    pub(super) brought: Vec<ReplayKey>,
}

impl StoredItems {
    pub(super) fn add(
        &mut self,
        ready: StagedItem,
        head: &Head,
        hop: NodeId,
        batch: &mut Batch,
        events: &mut Vec<ExchangeEvent>,
    ) -> Result<(), Error> {
        let StagedItem { name, id, fate } = ready;
        // Repeated parcels are acknowledged again: the first acknowledgement may be lost.
        if let (Kind::Parcel, Some(id)) = (name.identity.kind, &id) {
            self.parcels.push((name.clone(), id.clone()));
        }
        let identity = name.to_replay_key(id.as_deref().unwrap_or_default());
        let staged = match fate {
            ItemDisposition::Useless => return Ok(()),
            ItemDisposition::Known(is_unremembered) => {
                self.is_repeated = true;
                if is_unremembered {
                    self.brought.push(identity.brought_by(hop));
                }
                events.push(ExchangeEvent::Repeated { name, id });
                return Ok(());
            }
            ItemDisposition::New(staged, is_first) => {
                if is_first {
                    self.brought.push(identity.brought_by(hop));
                }
                staged
            }
            ItemDisposition::Control(staged) => staged,
        };
        batch.add(staged)?;
        events.push(ExchangeEvent::Stored {
            name,
            id,
            cargo: head.fields.id.clone(),
        });
        Ok(())
    }
}
