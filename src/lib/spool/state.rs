//! The state of a message, from the queue where it waits and the notes on it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::sent::{Line, SentEvent};
use super::{Error, QueueId, Spool, name};
use crate::crypto::hash;
use crate::message::Item;
use crate::pki::NodeId;

/// The state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// It waits to be routed.
    In,
    /// It waits for a next hop, or is with a courier.
    Out,
    /// It waits to be delivered here.
    Home,
    /// The next gateway has it, or it was delivered here.
    Acknowledged,
    /// It left, and no acknowledgement will come.
    Released,
    /// It was under way, but its file no longer exists.
    Missing,
    /// It expired before that.
    Expired,
    /// It was set aside.
    Failed,
}

impl MessageState {
    /// The word in output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Home => "home",
            Self::Acknowledged => "acknowledged",
            Self::Released => "released",
            Self::Missing => "missing",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }

    fn of_place(place: QueueId, has_expired: bool) -> Self {
        match place {
            // A message that arrived in time is delivered at any age.
            QueueId::Home(_) => Self::Home,
            QueueId::Failed if !has_expired => Self::Failed,
            _ if has_expired => Self::Expired,
            QueueId::In => Self::In,
            _ => Self::Out,
        }
    }

    /// The state of a message that no longer waits, from its last event.
    fn of_last(event: Option<SentEvent>) -> Self {
        match event {
            Some(SentEvent::Expired) => Self::Expired,
            Some(SentEvent::Failed) => Self::Failed,
            Some(SentEvent::Acknowledged) => Self::Acknowledged,
            Some(SentEvent::Released) => Self::Released,
            Some(SentEvent::Queued | SentEvent::Packed) | None => Self::Missing,
        }
    }
}

/// The history of one message.
#[derive(Debug)]
pub struct Story {
    /// The recipient.
    pub recipient: NodeId,
    /// The sender.
    pub sender: NodeId,
    /// Its state.
    pub state: MessageState,
    /// Its events, oldest first.
    pub lines: Vec<Line>,
}

impl Spool {
    /// The id of the message that a user means by this text: the text itself, unless it only is the
    /// beginning of the digest of an id.
    ///
    /// # Errors
    /// [`Error::AmbiguousMessage`], or when a queue or the notes cannot be read.
    pub fn find_id(&self, text: &str) -> Result<String, Error> {
        let is_digits = text.bytes().all(|octet| octet.is_ascii_hexdigit());
        if !is_digits || !self.find(text)?.is_empty() || !self.noted(text)?.is_empty() {
            return Ok(text.to_owned());
        }
        let mut ids = BTreeSet::new();
        for queue in self.queues()? {
            for message in queue.messages()? {
                let message = message?;
                if name::begins(text, &message.name.identity.id)
                    && let Ok(Some(octets)) = message.read()
                    && let Ok(item) = Item::parse(octets)
                {
                    ids.extend(item.message().map(|message| message.fields().id.clone()));
                }
            }
        }
        let is_of = |line: &Line| name::begins(text, &hash::sha256(line.id.as_bytes()));
        let lines = self.noted_where("", is_of)?;
        ids.extend(lines.into_iter().map(|line| line.id));
        let mut ids = ids.into_iter();
        match (ids.next(), ids.next()) {
            (None, _) => Ok(text.to_owned()),
            (Some(id), None) => Ok(id),
            (Some(one), Some(two)) => Err(Error::AmbiguousMessage {
                text: text.to_owned(),
                names: [one, two].into_iter().chain(ids).collect(),
            }),
        }
    }

    /// The histories of the messages with this id: several senders may choose the same one.
    ///
    /// # Errors
    /// When a queue or the notes cannot be read.
    pub fn stories(&self, id: &str, now: Timestamp) -> Result<Vec<Story>, Error> {
        let stories = self.stories_now(id, now)?;
        if stories
            .iter()
            .any(|story| story.state == MessageState::Missing)
        {
            // It may have moved to a queue that was already searched.
            return self.stories_now(id, now);
        }
        Ok(stories)
    }

    fn stories_now(&self, id: &str, now: Timestamp) -> Result<Vec<Story>, Error> {
        let mut stories: Vec<Story> = Vec::new();
        for (queue, message) in self.find(id)? {
            let identity = &message.name.identity;
            stories.push(Story {
                recipient: identity.recipient,
                sender: identity.sender,
                state: MessageState::of_place(queue.place(), message.name.has_expired(now)),
                lines: Vec::new(),
            });
        }
        let waiting = stories.len();
        for line in self.noted(id)? {
            let is_of = |story: &&mut Story| {
                (story.recipient, story.sender) == (line.recipient, line.sender)
            };
            match stories.iter_mut().find(is_of) {
                Some(story) => story.lines.push(line),
                None => stories.push(Story {
                    recipient: line.recipient,
                    sender: line.sender,
                    state: MessageState::Missing,
                    lines: vec![line],
                }),
            }
        }
        for story in &mut stories[waiting..] {
            let last = story.lines.last();
            story.state = MessageState::of_last(last.map(|line| line.event));
            let went_home = last.and_then(|line| line.to.as_ref());
            let went_home = went_home.is_some_and(|to| to.starts_with("home:"));
            if story.state == MessageState::Missing && went_home && self.is_shared() {
                // The user of that node, possibly another one, took it and notes that in their own
                // spool.
                story.state = MessageState::Acknowledged;
            }
        }
        Ok(stories)
    }
}
