//! Earlier messages with the key of a new one: the same sender, recipient and id.
//!
//! A newer message replaces an older one only if that was never packed or passed on.

use std::path::PathBuf;

use jiff::Timestamp;

use super::arrival::{History, Known, Origin};
use super::name::KeyDigest;
use super::{Error, Name, QueueId, QueueKind, Spool};
use crate::message::Item;
use crate::node::ReplayKey;

/// The earlier messages that a spool knows.
#[derive(Debug)]
pub struct Precedents<'a> {
    spool: &'a Spool,
    history: History,
}

/// How a new message relates to earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub enum Precedent {
    /// There is no earlier one.
    None,
    /// It waits here already, octet for octet.
    Same,
    /// It replaces these files once it is stored.
    Older(Vec<PathBuf>),
}

impl Spool {
    /// Reads the earlier messages, once for many new ones.
    ///
    /// # Errors
    /// When a queue or the memory cannot be read.
    pub fn precedents(&self) -> Result<Precedents<'_>, Error> {
        // Queues before memory: a message that is acknowledged meanwhile is recorded before it
        // leaves its queue, so one of the two has it.
        let waiting = self.waiting()?;
        let mut history = History::of(self)?;
        history.set_waiting(waiting);
        Ok(Precedents {
            spool: self,
            history,
        })
    }
}

impl Precedents<'_> {
    /// Compares a message with this name, replay key and date with the earlier ones.
    ///
    /// # Errors
    /// [`Error::HandedOn`] when one was packed, passed on or delivered; [`Error::Outdated`] when a
    /// later one waits; or when the spool cannot be read.
    pub fn of(
        &self,
        name: &Name,
        identity: &ReplayKey,
        date: Timestamp,
        octets: &[u8],
    ) -> Result<Precedent, Error> {
        match self.history.known(name, identity, Origin::Here) {
            Known::New => Ok(Precedent::None),
            Known::Waits => self.compare(name.identity.key(), date, octets),
            Known::Delivered | Known::PassedOn(_) | Known::TakenFrom | Known::BroughtBy => {
                Err(Error::HandedOn)
            }
        }
    }

    /// Compares a message with those that wait under the same key.
    fn compare(&self, key: KeyDigest, date: Timestamp, octets: &[u8]) -> Result<Precedent, Error> {
        let mut older = Vec::new();
        for place in [QueueId::In, QueueId::Failed] {
            self.add(place, key, date, octets, &mut older)?;
        }
        for (_, queue) in self.spool.queues_in(QueueKind::Out)? {
            self.add(queue.place(), key, date, octets, &mut older)?;
        }
        if older.iter().any(Option::is_none) {
            return Ok(Precedent::Same);
        }
        for (_, home) in self.spool.queues_in(QueueKind::Home)? {
            for message in home.messages()? {
                let message = message?;
                // In `home` it may be delivered at any moment, so it cannot be replaced.
                if message.name.identity.key() == key && !self.spool.is_by_another(&message.path)? {
                    return match message.read() {
                        Ok(Some(held)) if held == octets => Ok(Precedent::Same),
                        Err(error) if !error.is_of_one_file() => Err(error),
                        _ => Err(Error::HandedOn),
                    };
                }
            }
        }
        // On a medium it may arrive, even if it still waits here as well.
        if self.spool.was_carried(key)? {
            return Err(Error::HandedOn);
        }
        let older: Vec<PathBuf> = older.into_iter().flatten().collect();
        Ok(if older.is_empty() {
            Precedent::None
        } else {
            Precedent::Older(older)
        })
    }

    /// Adds the older files in a queue to `older`, and `None` for one with the same octets.
    fn add(
        &self,
        place: QueueId,
        key: KeyDigest,
        date: Timestamp,
        octets: &[u8],
        older: &mut Vec<Option<PathBuf>>,
    ) -> Result<(), Error> {
        for message in self.spool.queue(place).messages()? {
            let message = message?;
            if message.name.identity.key() != key {
                continue;
            }
            // A file that another user closed, or that is not a message, stops nothing.
            let held = match message.read() {
                Err(error) if error.is_of_one_file() => continue,
                read => read?,
            };
            let Some(held) = held else {
                continue;
            };
            // A message in `failed` may be sent again.
            if held == octets && place != QueueId::Failed {
                older.push(None);
                continue;
            }
            let item = Item::parse(held).ok();
            let held_date = item
                .as_ref()
                .and_then(Item::message)
                .map(|held| held.fields().date);
            if held_date.is_some_and(|held| held > date) {
                return Err(Error::Outdated);
            }
            if place != QueueId::Failed {
                older.push(Some(message.path));
            }
        }
        Ok(())
    }
}
