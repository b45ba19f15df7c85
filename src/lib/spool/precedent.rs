//! Messages that went before, and that a new one is the same as: of the same sender, recipient and id.
//!
//! A newer message replaces an older one only while that one has never been packed or handed on.

use std::path::PathBuf;

use jiff::Timestamp;

use super::arrival::{History, Known, Origin};
use super::name::KeyDigest;
use super::{Error, Name, QueueId, QueueKind, Spool};
use crate::message::Item;
use crate::node::ReplayKey;

/// What is known of messages that went before.
#[derive(Debug)]
pub struct Precedents<'a> {
    spool: &'a Spool,
    history: History,
}

/// What a new message is to those before it.
#[derive(Debug, PartialEq, Eq)]
pub enum Precedent {
    /// There was none.
    None,
    /// It waits here already, octet for octet.
    Same,
    /// It replaces these files once it is stored.
    Older(Vec<PathBuf>),
}

impl Spool {
    /// What went before, read once for many messages.
    ///
    /// # Errors
    /// When a queue or the memory cannot be read.
    pub fn precedents(&self) -> Result<Precedents<'_>, Error> {
        // The queues first: what is acknowledged meanwhile is remembered before it leaves them, so one of both has it.
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
    /// What a message with this name, identity and date is to those before it.
    ///
    /// # Errors
    /// [`Error::HandedOn`] when one was packed, handed on or delivered; [`Error::Outdated`] when a later one
    /// waits; or when the spool cannot be read.
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
                if message.name.identity.key() == key && !self.spool.is_by_another(&message.path)? {
                    return match message.read() {
                        Ok(Some(held)) if held == octets => Ok(Precedent::Same),
                        Err(error) if !error.is_of_one_file() => Err(error),
                        _ => Err(Error::HandedOn),
                    };
                }
            }
        }
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

    /// Adds the files in a queue that are older; none for one that is the same.
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
            // Nobody is kept waiting by what another user closed, and what is no message.
            let held = match message.read() {
                Err(error) if error.is_of_one_file() => continue,
                read => read?,
            };
            let Some(held) = held else {
                continue;
            };
            // What was set aside does not keep it from being tried again.
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
