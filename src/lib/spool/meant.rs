//! Which messages a user means by a text: an id, the first digits of the digest of one, the name of
//! a file, the beginning of the ids of parts, or the transfer of content that was joined here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::name::{MessageKey, begins};
use super::queue::Waiting;
use super::sent::Line;
use super::{Error, Name, Queue, QueueId, Spool};
use crate::crypto::hash;
use crate::message::parts::{MAX_COUNT, TransferId, parcel_id};
use crate::pki::NodeId;
use crate::ramf::Kind;

/// How many parts in a row may be gone, before no further ones are looked for.
const MAX_GAP: u32 = 4096;

/// The SHA-256 of a message id.
type IdDigest = [u8; 32];

/// The messages that a user means.
#[derive(Debug, Default)]
pub struct Meant {
    ids: BTreeSet<IdDigest>,
    /// The only recipient and sender, if the text tells them.
    ends: Option<(NodeId, NodeId)>,
    /// The text of their ids as JSON, as far as it is known and the same in all.
    part: String,
    /// Whether they are parts of one content, if they have one sender.
    pub are_parts: bool,
}

impl Meant {
    fn one(id: IdDigest) -> Self {
        Self {
            ids: BTreeSet::from([id]),
            ..Self::default()
        }
    }

    /// Whether a message that waits is meant.
    pub(super) fn has(&self, key: &MessageKey) -> bool {
        key.kind != Kind::Pca
            && self.ids.contains(&key.id)
            && self.is_between(key.recipient, key.sender)
    }

    fn is_between(&self, recipient: NodeId, sender: NodeId) -> bool {
        self.ends.is_none_or(|ends| ends == (recipient, sender))
    }
}

impl Spool {
    /// The messages that a user means by this text; none if no message is known by it.
    ///
    /// # Errors
    /// [`Error::AmbiguousMessage`], or when a queue or the notes cannot be read.
    pub fn meant(&self, text: &str) -> Result<Meant, Error> {
        if let Ok(name) = text.parse::<Name>() {
            let key = name.identity;
            return Ok(Meant {
                ends: Some((key.recipient, key.sender)),
                ..Meant::one(key.id)
            });
        }
        let waiting = self.waiting_ids()?;
        let id = hash::sha256(text.as_bytes());
        if waiting.contains(&id) || !self.noted(text)?.is_empty() {
            return Ok(Meant {
                part: Value::from(text).to_string(),
                ..Meant::one(id)
            });
        }
        let parts = self.parts_of(text, &waiting)?;
        if !parts.ids.is_empty() || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return Ok(parts);
        }
        let by_digest = self.begun_by(text, &waiting)?;
        match text.parse() {
            Ok(transfer) if by_digest.ids.is_empty() => self.parts_joined(transfer),
            _ => Ok(by_digest),
        }
    }

    /// Whether something with this id can be looked up: acknowledgements and requests are not.
    fn is_looked_up(queue: &Queue) -> bool {
        !matches!(
            queue.place(),
            QueueId::Control(_) | QueueId::Acks(_) | QueueId::Cca(_)
        )
    }

    /// The messages that are meant, in all queues but those of control messages.
    pub(super) fn find(&self, meant: &Meant) -> Result<Vec<(Queue, Waiting)>, Error> {
        let mut found = Vec::new();
        for queue in self.queues()?.into_iter().filter(Self::is_looked_up) {
            for message in queue.messages()? {
                let message = message?;
                if meant.has(&message.name.identity) {
                    found.push((queue.clone(), message));
                }
            }
        }
        Ok(found)
    }

    /// The notes on the messages that are meant, oldest first.
    pub(super) fn noted_of(&self, meant: &Meant) -> Result<Vec<Line>, Error> {
        let is_meant = |line: &Line| {
            meant.is_between(line.recipient, line.sender)
                && meant.ids.contains(&hash::sha256(line.id.as_bytes()))
        };
        self.noted_where(&meant.part, is_meant)
    }

    fn waiting_ids(&self) -> Result<HashSet<IdDigest>, Error> {
        let mut ids = HashSet::new();
        for queue in self.queues()?.into_iter().filter(Self::is_looked_up) {
            for message in queue.messages()? {
                let key = message?.name.identity;
                // A PCA has the id of the parcel that it acknowledges.
                if key.kind != Kind::Pca {
                    ids.insert(key.id);
                }
            }
        }
        Ok(ids)
    }

    /// The messages with the ids `text.1`, `text.2` and so on, which relay-seal gives to parts.
    fn parts_of(&self, text: &str, waiting: &HashSet<IdDigest>) -> Result<Meant, Error> {
        let begin = format!("{text}.");
        let index = |line: &Line| line.id.strip_prefix(&begin)?.parse::<u32>().ok();
        let quoted = Value::from(begin.as_str()).to_string();
        let part = quoted.trim_end_matches('"');
        let noted = self.noted_where(part, |line| index(line).is_some())?;
        let mut ids: BTreeSet<IdDigest> = noted
            .iter()
            .map(|line| hash::sha256(line.id.as_bytes()))
            .collect();
        let noted = noted.iter().filter_map(index).max().unwrap_or(0);
        let (mut at, mut last) = (1, noted);
        // A name has only the digest of the id, so ids are tried.
        while at <= MAX_COUNT && at - 1 <= last.saturating_add(MAX_GAP) && !waiting.is_empty() {
            let id = hash::sha256(parcel_id(text, at).as_bytes());
            if waiting.contains(&id) {
                ids.insert(id);
                last = last.max(at);
            }
            at += 1;
        }
        Ok(Meant {
            ids,
            part: part.to_owned(),
            are_parts: true,
            ends: None,
        })
    }

    /// The message whose id has a digest that begins like this.
    fn begun_by(&self, text: &str, waiting: &HashSet<IdDigest>) -> Result<Meant, Error> {
        // With the id, where a note has it.
        let mut ids: BTreeMap<IdDigest, Option<String>> = BTreeMap::new();
        let begun = waiting.iter().filter(|id| begins(text, id));
        ids.extend(begun.map(|id| (*id, None)));
        let is_of = |line: &Line| begins(text, &hash::sha256(line.id.as_bytes()));
        for line in self.noted_where("", is_of)? {
            ids.insert(hash::sha256(line.id.as_bytes()), Some(line.id));
        }
        if ids.len() > 1 {
            let shown = |(id, text): (IdDigest, Option<String>)| {
                text.unwrap_or_else(|| crate::asn1::Hex(&id).to_string())
            };
            return Err(Error::AmbiguousMessage {
                text: text.to_owned(),
                names: ids.into_iter().map(shown).collect(),
            });
        }
        Ok(ids.into_keys().next().map(Meant::one).unwrap_or_default())
    }

    /// The parts of a transfer that were joined here: delivered, or set aside.
    fn parts_joined(&self, transfer: TransferId) -> Result<Meant, Error> {
        // One of each sender: senders choose transfers.
        let mut ids: BTreeMap<(NodeId, NodeId), BTreeSet<IdDigest>> = BTreeMap::new();
        for name in self.failed_of(transfer)? {
            let key = name.identity;
            let of_ends = ids.entry((key.recipient, key.sender)).or_default();
            of_ends.insert(key.id);
        }
        let text = transfer.to_string();
        for line in self.noted_where(&text, |line| line.transfer == Some(transfer))? {
            let of_ends = ids.entry((line.recipient, line.sender)).or_default();
            of_ends.insert(hash::sha256(line.id.as_bytes()));
        }
        if ids.len() > 1 {
            let first =
                |ids: BTreeSet<IdDigest>| ids.first().map(|id| crate::asn1::Hex(id).to_string());
            return Err(Error::AmbiguousMessage {
                text,
                names: ids.into_values().filter_map(first).collect(),
            });
        }
        Ok(match ids.into_iter().next() {
            Some((ends, ids)) => Meant {
                ids,
                ends: Some(ends),
                are_parts: true,
                part: String::new(),
            },
            None => Meant::default(),
        })
    }
}
