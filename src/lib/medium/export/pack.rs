//! Packs the messages chosen for a next hop into cargo, seals it and writes it.

use jiff::Timestamp;

use super::context::{Context, check_len};
use super::hop::{Chosen, NextHop};
use super::record::PackedMessage;
use super::space::Space;
use crate::asn1::Buffer;
use crate::kind::ErrorKind;
use crate::medium::layout::denied;
use crate::medium::{Error, ExchangeEvent, is_full};
use crate::message::{Item, cargo, message_set};
use crate::node;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::{Kind, limits};
use crate::send::{self, Sealer};
use crate::spool::QueueId;
use crate::spool::carried::Packed;
use crate::spool::queue::Waiting;
use crate::verify;

/// A message that was read and verified.
struct LoadedMessage {
    octets: Vec<u8>,
    id: Option<String>,
    /// The id of the parcel that it acknowledges.
    parcel_id: Option<String>,
    /// When it expires; `None` if only its file name tells.
    expiry: Option<Timestamp>,
}

/// Cargo that is being filled.
struct CargoBuilder {
    set: Buffer,
    expiry: Timestamp,
    messages: Vec<PackedMessage>,
    /// The octets of its messages together.
    octets: u64,
}

impl CargoBuilder {
    fn new(sealer: &Sealer, now: Timestamp) -> Self {
        Self {
            set: Buffer::with_capacity(0),
            expiry: sealer.date().max(now),
            messages: Vec::new(),
            octets: 0,
        }
    }

    fn add(&mut self, message: Waiting, loaded: LoadedMessage, now: Timestamp) {
        let len = loaded.octets.len();
        message_set::append_header(&mut self.set, len);
        self.set.append(&loaded.octets);
        self.expiry = self
            .expiry
            .max(loaded.expiry.unwrap_or(message.name.expiry))
            .max(now);
        self.octets += len as u64;
        self.messages.push(PackedMessage {
            path: message.path,
            name: message.name,
            id: loaded.id,
            parcel_id: loaded.parcel_id,
        });
    }
}

impl<'a> Context<'a> {
    /// Packs the chosen messages into as few cargoes as possible, and writes each. Messages are
    /// read and verified on all cores.
    ///
    /// # Errors
    /// Fatal errors only: the spool or the medium cannot be read or changed, or `each` failed.
    pub(super) fn pack<E: From<Error>>(
        &self,
        hop: &mut NextHop<'a>,
        space: &mut Space,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let now = self.time.told;
        let chosen = std::mem::take(&mut hop.chosen);
        let sizes: Vec<usize> = chosen.iter().map(|chosen| chosen.len).collect();
        let cargoes = cargo::distribute(&sizes, self.room());
        space.take_overhead(cargoes.len());
        let mut chosen: Vec<Option<Chosen>> = chosen.into_iter().map(Some).collect();
        // The messages in the order of the cargoes, each with whether it is the last of its cargo.
        let mut order = cargoes.iter().flat_map(|cargo| {
            let last = cargo.last().copied();
            cargo.iter().map(move |&at| (at, Some(at) == last))
        });
        let mut builder = CargoBuilder::new(&hop.sealer, now);
        let mut is_full_now = false;
        workers::in_order(
            Bounds::octets(limits::MAX_EMITTED_MESSAGE_LEN),
            || {
                let (at, is_last) = order.next()?;
                let item = chosen[at].take()?;
                let octets = item.len;
                Some(WorkItem {
                    item: (item.message, is_last),
                    octets,
                })
            },
            |(message, is_last)| {
                let loaded = self.load(&message);
                (message, is_last, loaded)
            },
            |(message, is_last, loaded)| {
                match loaded {
                    Ok(Some(loaded)) => builder.add(message, loaded, now),
                    Ok(None) => {}
                    Err(error) => self.report_unloaded(&message, error, each)?,
                }
                if !is_last || builder.messages.is_empty() {
                    return Ok(());
                }
                // The cargo is sealed as soon as its last message is there: one at a time is in
                // memory.
                let next = CargoBuilder::new(&hop.sealer, now);
                let full = std::mem::replace(&mut builder, next);
                // After a full medium, the rest is only counted.
                if is_full_now {
                    hop.left.add(full.messages.len(), full.octets);
                } else if !hop.is_blocked {
                    is_full_now = !self.write(hop, full, each)?;
                }
                Ok::<(), E>(())
            },
        )?;
        if is_full_now {
            space.exhaust();
        }
        Ok(())
    }

    /// Reports a message that cannot be packed. What never will be is set aside, the rest waits on.
    fn report_unloaded<E: From<Error>>(
        &self,
        message: &Waiting,
        error: Error,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.is_untimely(&error) {
            return each(ExchangeEvent::Untimely(1));
        }
        let what = message.path.display().to_string();
        // A peer that cannot be read may be the one that authorized the sender.
        let is_in_doubt = matches!(error, Error::Node(node::Error::UnreadablePeer { .. }));
        if is_in_doubt || !is_settled(&error) {
            return each(ExchangeEvent::Failed { what, error });
        }
        match self.set_aside(message, QueueId::In, &error) {
            Ok(()) => each(ExchangeEvent::SetAside { what, error }),
            Err(unmoved) => [error, unmoved.into()].into_iter().try_for_each(|error| {
                let what = what.clone();
                each(ExchangeEvent::Failed { what, error })
            }),
        }
    }

    /// Reads and verifies a message; `None` if it is gone.
    fn load(&self, message: &Waiting) -> Result<Option<LoadedMessage>, Error> {
        check_len(message, limits::MAX_ITEM_LEN)?;
        let Some(octets) = message.read()? else {
            return Ok(None);
        };
        // Verified again, at the time of this run: it may have expired while it waited.
        let item = verify::transport(Item::parse(octets)?, &self.policy)?;
        if item.kind() != message.name.identity.kind {
            return Err(Error::Damaged);
        }
        let id = item.message().map(|message| message.fields().id.clone());
        let parcel_id = match &item {
            Item::Pca(pca) => Some(pca.parcel_id.clone()),
            _ => None,
        };
        let expiry = item.expiry();
        let octets = item.into_octets();
        Ok(Some(LoadedMessage {
            octets,
            id,
            parcel_id,
            expiry,
        }))
    }

    /// Writes cargo and reports it. Returns false if the medium is full.
    fn write<E: From<Error>>(
        &self,
        hop: &mut NextHop<'a>,
        mut builder: CargoBuilder,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<bool, E> {
        match self.seal(hop, &mut builder) {
            Ok(event) => each(event)?,
            // The file system had less room than it reported.
            Err(Error::Disk(error)) if is_full(&error) => {
                hop.left.add(builder.messages.len(), builder.octets);
                return Ok(false);
            }
            Err(error @ (Error::InTheWay(_) | Error::Unreadable(_))) => {
                hop.is_blocked = true;
                each(ExchangeEvent::Failed {
                    what: hop.sealer.peer().name.clone(),
                    error,
                })?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Seals cargo, writes it, and does what follows, in the order that `export` promises.
    fn seal(
        &self,
        hop: &mut NextHop<'a>,
        builder: &mut CargoBuilder,
    ) -> Result<ExchangeEvent, Error> {
        let set = std::mem::replace(&mut builder.set, Buffer::with_capacity(0));
        let cargo = send::cargo(&hop.sealer, set, builder.expiry)?;
        let (now, fields) = (self.time.told, &cargo.fields);
        let octets = cargo.octets.as_slice();
        let ends = (hop.id, hop.sealer.sender());
        let (pending, sha256) = self.medium.prepare(Kind::Cargo, ends, octets)?;
        let answered = hop.answered.iter().map(|answered| Packed {
            name: &answered.name,
            parcel_id: None,
        });
        let packed = builder.messages.iter().map(|packed| Packed {
            name: &packed.name,
            parcel_id: packed.parcel_id.as_deref(),
        });
        let dates = (now, fields.expiry());
        let record = self
            .carried
            .note((hop.id, &sha256), dates, packed.chain(answered))?;
        // After the record: a crash in between leaves a record without cargo, which the next survey
        // forgets.
        pending.place().map_err(denied)?;
        self.note_and_release(hop.id, &fields.id, &builder.messages)?;
        hop.cargoes += 1;
        // A CCA is used up only when all cargo that answers it is written. Until then the record
        // stays unsettled.
        if hop.answered.is_some() {
            hop.records.push(record);
        } else {
            self.carried.settle(&[record])?;
        }
        Ok(ExchangeEvent::Packed {
            cargo: fields.id.clone(),
            hop: hop.id,
            messages: builder.messages.len(),
            len: octets.len(),
        })
    }
}

/// Whether a message can never be packed: it is no message, is not what its name says, or nobody would take it any more. A
/// right clock is assumed.
fn is_settled(error: &Error) -> bool {
    use ErrorKind as K;
    matches!(
        error.kind(),
        K::Malformed
            | K::Corrupt
            | K::Conflict
            | K::Unsuitable
            | K::Expired
            | K::Unauthorized
            | K::Untrusted
            | K::Forbidden
    )
}
