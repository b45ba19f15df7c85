//! Takes our own cargo off a medium that nobody needs any more: all parcels in it have left `out` by another way.
//!
//! Its acknowledgements are made again and return to their queue first, then the file is removed, then the record. A
//! crash in between leaves an acknowledgement in its queue and on the medium, or a record without cargo, and both are
//! known states: nothing is lost, and an acknowledgement may come twice.

use super::context::Context;
use super::on_medium::OnMedium;
use crate::disk::batch::{self, Batch};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{self, FileRole};
use crate::medium::{Error, ExchangeEvent, MediumFile};
use crate::message::Pca;
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::spool::carried::{Load, Record};
use crate::spool::{self, Name, QueueId};

impl Context<'_> {
    /// Removes settled cargo whose parcels have all left the queue for its next hop. Returns whether it was removed.
    /// Why it was not is reported; its next hop may still get it.
    pub(super) fn withdraw(
        &self,
        record: &Record,
        file: &MediumFile,
        load: &Load,
        on_medium: &mut OnMedium,
    ) -> Result<bool, Error> {
        if !may_be_withdrawn(load) {
            return Ok(false);
        }
        let Ok(waiting) = on_medium.waiting_for(record.hop, self.spool) else {
            // The export to this hop reports that it cannot be listed.
            return Ok(false);
        };
        let mut keys = load.names.iter().map(|name| name.identity.key());
        if keys.any(|key| waiting.contains(&key)) {
            return Ok(false);
        }
        let removed = self
            .return_acks(record.hop, &load.acks)
            .map_err(Error::from)
            .and_then(|()| self.medium.remove(file));
        match removed {
            Ok(()) => {}
            Err(error) if is_of_one_place(&error) => {
                on_medium.events.push(ExchangeEvent::Failed {
                    what: file.to_string(),
                    error,
                });
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.carried.forget(record)?;
        on_medium.events.push(ExchangeEvent::Withdrawn {
            file: file.clone(),
            acks: load.acks.len(),
        });
        Ok(true)
    }

    /// Removes cargo whatever waits, except what cannot be packed again, and the records of cargo that was taken.
    ///
    /// # Errors
    /// When the spool or the medium cannot be read or changed.
    pub(super) fn withdraw_all(&self) -> Result<(), Error> {
        let owner = self.spool.owner();
        for record in self.carried.records()? {
            if !self.covers(record.hop) {
                continue;
            }
            let ends = (record.hop, owner.id());
            let file = self.medium.find(Kind::Cargo, ends, record.cargo)?;
            let Some(file) = file else {
                self.forget(&record)?;
                continue;
            };
            let is_taken = self.medium.mark_of(record.hop, &record.cargo)?.is_some();
            let load = self.carried.read(&record)?.filter(is_packed_again);
            let Some(load) = load else {
                // It goes again as it is.
                self.medium.unmark(record.hop, &record.cargo)?;
                continue;
            };
            if !is_taken {
                self.return_acks(record.hop, &load.acks)?;
            }
            self.medium.remove(&file)?;
            self.forget(&record)?;
        }
        Ok(())
    }

    /// Puts acknowledgements that were in cargo into the queue for its next hop again.
    fn return_acks(&self, hop: NodeId, acks: &[(Name, Pca)]) -> Result<(), spool::Error> {
        if acks.is_empty() {
            return Ok(());
        }
        let queue = self.spool.make(QueueId::Acks(hop))?;
        let tmp = self.spool.tmp();
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess);
        let manner = manner.written_in(&tmp);
        let mut batch = Batch::default();
        for (name, pca) in acks {
            let octets = pca.to_octets();
            batch.add(batch::stage(&queue.path_of(name), &[&octets], &manner)?)?;
        }
        batch.commit()?;
        match batch.take_refused().into_iter().next() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// Whether all that is in cargo can be had without it, once its parcels have left their queue.
fn may_be_withdrawn(load: &Load) -> bool {
    // Cargo that only acknowledges has nothing that could have gone another way.
    count(load, Kind::Parcel) > 0
        && is_packed_again(load)
        // The request that it answers is used up, so its acknowledgements might have no other way.
        && (load.acks.is_empty() || count(load, Kind::Cca) == 0)
}

/// Whether all that is in cargo waits in a queue, or can be made again.
pub(super) fn is_packed_again(load: &Load) -> bool {
    let is_known = |name: &Name| match name.identity.kind {
        // Nobody acknowledges a parcel that goes in a number of copies: it left its queue because it is in cargo.
        Kind::Parcel => name.copies.is_none(),
        Kind::Pca | Kind::Cca => true,
        // A rotation or deauthorization left its queue, too, and a name alone does not say what was in it.
        _ => false,
    };
    load.names.iter().all(is_known)
        // An id is missing in the record of an earlier version.
        && load.acks.len() == count(load, Kind::Pca)
}

fn count(load: &Load, kind: Kind) -> usize {
    let names = load.names.iter();
    names.filter(|name| name.identity.kind == kind).count()
}

/// Whether other cargo may be removed although this one was not.
fn is_of_one_place(error: &Error) -> bool {
    match error {
        Error::InTheWay(_) | Error::Unreadable(_) => true,
        Error::Spool(spool::Error::Disk(error)) => matches!(error, disk::Error::Exists { .. }),
        _ => false,
    }
}
