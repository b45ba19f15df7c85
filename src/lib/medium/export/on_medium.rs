//! Messages that need not go onto a medium: they are on it already, or the next hop has them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;

use super::context::{Context, unlisted};
use super::record::PackedMessage;
use crate::disk::{FileRole, files};
use crate::medium::{Error, ExchangeEvent, MediumFile};
use crate::message::Item;
use crate::pki::NodeId;
use crate::ramf::{Kind, limits};
use crate::spool::carried::{Load, Record};
use crate::spool::name::KeyDigest;
use crate::spool::{self, Name, QueueId, QueueKind, Spool};

/// After this time a message is exported again although it is still on the medium, unless the
/// config says otherwise.
const RESEND_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The messages that each next hop has or will get from this medium, and what a killed run left to
/// do.
#[derive(Default)]
pub(super) struct OnMedium {
    /// The messages, by next hop.
    messages: HashMap<NodeId, HashSet<KeyDigest>>,
    /// What a killed run left to do, by next hop.
    unsettled: HashMap<NodeId, Unsettled>,
    /// What was done, and what cannot be read.
    pub events: Vec<ExchangeEvent>,
    /// The parcels that wait for a next hop, listed when cargo for it is met.
    waiting: HashMap<NodeId, HashSet<KeyDigest>>,
}

/// Cargo that is on the medium, but whose consequences are not complete.
#[derive(Default)]
pub(super) struct Unsettled {
    pub records: Vec<Record>,
    /// The CCA that it answers, which may not be used up yet.
    pub answered: Option<Name>,
}

impl OnMedium {
    /// Whether a message need not be sent to this hop.
    pub(super) fn has(&self, hop: NodeId, name: &Name) -> bool {
        let has_it = |messages: &HashSet<KeyDigest>| messages.contains(&name.identity.key());
        self.messages.get(&hop).is_some_and(has_it)
    }

    /// The parcels that wait for a next hop.
    pub(super) fn waiting_for(
        &mut self,
        hop: NodeId,
        spool: &Spool,
    ) -> Result<&HashSet<KeyDigest>, spool::Error> {
        match self.waiting.entry(hop) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let mut keys = HashSet::new();
                for message in spool.queue(QueueId::Out(hop)).messages()? {
                    keys.insert(message?.name.identity.key());
                }
                Ok(unknown.insert(keys))
            }
        }
    }

    /// The next hops for which a killed run left something to do.
    pub(super) fn unsettled_hops(&self) -> impl Iterator<Item = &NodeId> {
        self.unsettled.keys()
    }

    /// Takes what a killed run left to do for this hop.
    pub(super) fn take_unsettled(&mut self, hop: NodeId) -> Unsettled {
        self.unsettled.remove(&hop).unwrap_or_default()
    }
}

impl Context<'_> {
    /// Surveys the medium. Messages whose cargo is gone or has been there for long may be exported
    /// again. Our own cargo that has expired, or that nobody needs any more, is removed.
    ///
    /// # Errors
    /// When the spool or the medium cannot be read or changed.
    pub(super) fn survey(&self) -> Result<OnMedium, Error> {
        let mut on_medium = OnMedium::default();
        for record in self.carried.records()? {
            if self.covers(record.hop) {
                self.look_at(record, &mut on_medium)?;
            }
        }
        self.add_acknowledged(&mut on_medium)?;
        Ok(on_medium)
    }

    fn look_at(&self, record: Record, on_medium: &mut OnMedium) -> Result<(), Error> {
        let ends = (record.hop, self.spool.owner().id());
        let found = self.medium.find(Kind::Cargo, ends, record.cargo);
        // Unknown whether it is there. The export to that hop reports the error.
        if let Err(Error::Unreadable(_)) = found {
            return Ok(());
        }
        let file = found?;
        let load = match self.carried.read(&record) {
            // What it says cannot be known, so its messages may go once more.
            Err(error) if error.is_of_one_file() => {
                on_medium.events.push(ExchangeEvent::Failed {
                    what: record.path.display().to_string(),
                    error: error.into(),
                });
                return Ok(());
            }
            load => load?,
        };
        let Some(load) = load else {
            return self.forget(&record);
        };
        // Only expired by a believed clock; the drift is allowed for.
        let is_over = self.time.is_believed() && self.options.window.is_after(load.expiry);
        let Some(file) = file else {
            // Cargo that is gone was taken or is lost. Of what went over the network a mark tells; what nobody knows of
            // may go again.
            let is_taken = self.medium.mark_of(record.hop, &record.cargo)?.is_some();
            return if is_taken && !is_over {
                self.count(record, load, on_medium);
                Ok(())
            } else {
                self.forget(&record)
            };
        };
        if is_over || !record.is_settled && !self.finish(&file, &load)? {
            self.medium.remove(&file)?;
            return self.forget(&record);
        }
        if record.is_settled && self.withdraw(&record, &file, &load, on_medium)? {
            return Ok(());
        }
        self.count(record, load, on_medium);
        Ok(())
    }

    /// Removes the record of a cargo, and the mark that it was taken.
    pub(super) fn forget(&self, record: &Record) -> Result<(), Error> {
        self.carried.forget(record)?;
        self.medium.unmark(record.hop, &record.cargo)
    }

    /// Counts what is in cargo that its next hop has or will get, and what a killed run left to do with it.
    fn count(&self, record: Record, load: Load, on_medium: &mut OnMedium) {
        let config = self.spool.owner().config();
        let resend_after = config.resend_after().unwrap_or(RESEND_AFTER);
        // A date far in the future came from a wrong clock, so the messages go again.
        if self.time.told.duration_since(load.date).abs() < resend_after {
            let keys = load.names.iter().map(|name| name.identity.key());
            on_medium
                .messages
                .entry(record.hop)
                .or_default()
                .extend(keys);
        }
        if !record.is_settled {
            let cca = load
                .names
                .into_iter()
                .find(|it| it.identity.kind == Kind::Cca);
            let unsettled = on_medium.unsettled.entry(record.hop).or_default();
            unsettled.records.push(record);
            unsettled.answered = unsettled.answered.take().or(cca);
        }
    }

    /// Completes the consequences of cargo that a killed run wrote. Returns false if the file is
    /// not the cargo that it wrote.
    fn finish(&self, file: &MediumFile, load: &Load) -> Result<bool, Error> {
        let item = match file.read() {
            Ok(octets) => octets.and_then(|octets| Item::parse(octets).ok()),
            Err(Error::Damaged | Error::Unreadable(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(cargo) = item.as_ref().and_then(Item::message) else {
            return Ok(false);
        };
        let mut packed = Vec::new();
        for name in &load.names {
            let place = match name.identity.kind {
                Kind::Parcel => QueueId::Out(file.recipient),
                Kind::Cca => continue,
                _ => QueueId::Acks(file.recipient),
            };
            let path = self.spool.queue(place).path_of(name);
            // A message that was renamed or removed since has been released already.
            let octets = match files::read(&path, FileRole::Spool, limits::MAX_MESSAGE_LEN) {
                Ok(octets) => octets,
                Err(error) if error.is_not_found() => continue,
                // Its name is enough to release it.
                Err(error) if error.is_of_reading() => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let item = Item::parse(octets).ok();
            let message = item.as_ref().and_then(Item::message);
            packed.push(PackedMessage {
                path,
                name: name.clone(),
                id: message.map(|message| message.fields().id.clone()),
                parcel_id: None,
            });
        }
        self.note_and_release(file.recipient, &cargo.fields().id, &packed)?;
        Ok(true)
    }

    /// Adds the parcels that a next hop has acknowledged. relay-route may not have applied the
    /// acknowledgements yet, since this same medium may have brought them.
    fn add_acknowledged(&self, on_medium: &mut OnMedium) -> Result<(), Error> {
        for (hop, queue) in self.spool.queues_in(QueueKind::Control)? {
            let acknowledged = on_medium.messages.entry(hop).or_default();
            let found = queue.messages().and_then(|messages| {
                for message in messages {
                    let identity = message?.name.identity;
                    if identity.kind == Kind::Pca {
                        acknowledged.insert(identity.of_parcel().key());
                    }
                }
                Ok(())
            });
            if let Err(error) = found {
                on_medium.events.push(unlisted(&queue, error));
            }
        }
        Ok(())
    }
}
