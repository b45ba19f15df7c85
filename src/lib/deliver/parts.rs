//! Content that comes in parts: which of it is complete, and its parts put together.
//!
//! While messages are opened it is only noted which parts there are. What is complete is then put together in
//! another pass, each part where it belongs as it comes, so that memory does not grow with the content.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::{Content, Error};
use crate::join::{self, Join, Site};
use crate::message::Part;
use crate::message::parts::{Ledger, TransferId};
use crate::pki::NodeId;
use crate::receive::Due;
use crate::receive::home::Joined;
use crate::spool::queue::Waiting;
use crate::spool::{Name, name};

/// The most contents of which it is noted which parts there are.
const MAX_KNOWN: usize = 10_000;

/// The most contents that are put together at once, each of which takes an open file.
const MAX_AT_ONCE: usize = 32;

/// The most parts of contents that are put together at once, each of which takes a few hundred octets of memory.
const MAX_PARTS: u32 = 65_536;

/// The type of content that came in parts, which do not tell it.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Which content parts belong to: no two senders share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The sender.
    pub sender: NodeId,
    /// What the parts say that they belong to.
    pub transfer: TransferId,
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.sender, self.transfer)
    }
}

/// The most messages of which it is known where in its content the part is that they hold.
const MAX_PLACED: usize = 65_536;

/// What is known of contents whose parts wait.
#[derive(Debug, Default)]
pub struct Transfers {
    /// Which parts came, or how they contradict each other.
    known: BTreeMap<Key, Result<Ledger, join::Error>>,
    /// Which part a message holds.
    places: HashMap<name::Key, (TransferId, u32)>,
}

impl Transfers {
    /// Takes note of a part, and of the message that holds it.
    pub fn note(&mut self, sender: NodeId, part: &Part<'_>, name: &Name) {
        let transfer = part.header().transfer;
        let key = Key { sender, transfer };
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&key) {
            return; // it waits for another run
        }
        if !self.places_are_full() {
            let place = (transfer, part.header().index);
            self.places.insert(name.identity.key(), place);
        }
        let known = self
            .known
            .entry(key)
            .or_insert_with(|| Ok(Ledger::of(part.header())));
        if let Ok(ledger) = known
            && let Err(error) = ledger.note(part)
        {
            *known = Err(error.into());
        }
    }

    /// Which part a message holds, if that was noted.
    #[must_use]
    pub fn place_of(&self, name: &Name) -> Option<(Key, u32)> {
        let (transfer, index) = *self.places.get(&name.identity.key())?;
        let sender = name.identity.sender;
        Some((Key { sender, transfer }, index))
    }

    /// Whether there may be messages with parts that were not noted.
    #[must_use]
    pub fn places_are_full(&self) -> bool {
        self.places.len() >= MAX_PLACED
    }

    /// Whether parts of this content wait.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.known.keys().any(|known| known.to_string() == key)
    }

    /// Takes some contents of which nothing more can come: they are complete, or refused.
    pub fn take_settled(&mut self) -> Vec<(Key, Result<Ledger, join::Error>)> {
        let mut parts = 0_u32;
        let mut keys = Vec::new();
        for (key, known) in &self.known {
            let count = match known {
                Ok(ledger) if ledger.is_complete() => ledger.received(),
                Ok(_) => continue,
                Err(_) => 0,
            };
            let has_room = parts.saturating_add(count) <= MAX_PARTS || keys.is_empty();
            if keys.len() < MAX_AT_ONCE && has_room {
                parts = parts.saturating_add(count);
                keys.push(*key);
            }
        }
        let take = |key: Key| self.known.remove(&key).map(|known| (key, known));
        keys.into_iter().filter_map(take).collect()
    }
}

/// A parcel with a part: what its file is called, and its message id.
pub struct Parcel {
    /// Its name in the queue.
    pub name: Name,
    /// Its message id.
    pub id: String,
}

/// Content that is put together.
pub struct Desk<'a> {
    /// What is known of it, once a part has come.
    pub content: Option<Content>,
    /// What its sender calls it.
    pub name: Option<String>,
    /// The parts so far, or why they are of no use.
    pub join: Result<Option<Join>, Error>,
    /// What is left to do about its parts.
    pub due: Joined<'a>,
    /// The parcels that held them.
    pub parcels: Vec<Parcel>,
    /// The file of one of them.
    pub path: PathBuf,
}

impl<'a> Desk<'a> {
    /// For content of which these parts are there.
    pub fn new(known: Result<Ledger, join::Error>) -> Self {
        Self {
            content: None,
            name: known
                .as_ref()
                .ok()
                .and_then(|ledger| ledger.name().map(str::to_owned)),
            join: known.map(|_| None).map_err(Error::Join),
            due: Joined::default(),
            parcels: Vec::new(),
            path: PathBuf::new(),
        }
    }

    /// Takes a part, from the parcel that brought it; the first begins at the site that is made for it.
    pub fn take(
        &mut self,
        part: &Part<'_>,
        (message, content, due): (Waiting, Content, Due<'a>),
        site: impl FnOnce(&Content) -> Result<Site, Error>,
    ) {
        self.parcels.push(Parcel {
            name: message.name,
            id: content.id.clone(),
        });
        self.due.add(due);
        let whole = if let Some(whole) = self.content.take() {
            Content {
                date: whole.date.min(content.date),
                expiry: whole.expiry.max(content.expiry),
                ..whole
            }
        } else {
            self.path = message.path;
            Content {
                id: part.header().transfer.to_string(),
                media_type: MEDIA_TYPE.to_owned(),
                name: self.name.clone(),
                transfer: Some(part.header().transfer),
                ..content
            }
        };
        let added = match &mut self.join {
            Ok(Some(join)) => join.add(part).map(drop).map_err(Error::Join),
            Ok(begun @ None) => site(&whole).and_then(|site| {
                *begun = Some(Join::begin(part, site)?);
                Ok(())
            }),
            Err(_) => Ok(()),
        };
        if let Err(error) = added {
            self.join = Err(error);
        }
        self.content = Some(whole);
    }
}
