//! The state of a message, from the queue where it waits and the notes on it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::meant::Meant;
use super::queue::Waiting;
use super::sent::{Line, SentEvent};
use super::{Error, QueueId, Spool};
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
    /// A gateway took it over the network.
    Accepted,
    /// Its recipient took it over the network.
    Posted,
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
            Self::Accepted => "accepted",
            Self::Posted => "posted",
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
            Some(SentEvent::Accepted) => Self::Accepted,
            Some(SentEvent::Posted) => Self::Posted,
            Some(SentEvent::Queued | SentEvent::Packed | SentEvent::Returned) | None => {
                Self::Missing
            }
        }
    }
}

/// The history of one message.
#[derive(Debug)]
pub struct Story {
    /// Its id, if a note has it.
    id: Option<String>,
    /// The file that it waits in.
    file: Option<Waiting>,
    /// The recipient.
    pub recipient: NodeId,
    /// The sender.
    pub sender: NodeId,
    /// Its state.
    pub state: MessageState,
    /// Its events, oldest first.
    pub lines: Vec<Line>,
}

impl Story {
    /// Its id; `None` if its file cannot be read and no note has it.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        let read = || {
            let octets = self.file.as_ref()?.read().ok()??;
            let item = Item::parse(octets).ok()?;
            Some(item.message()?.fields().id.clone())
        };
        self.id.clone().or_else(read)
    }

    /// Its state after the word "it".
    #[must_use]
    pub fn is_where(&self) -> &'static str {
        let to = self.last().and_then(|line| line.to.as_deref());
        match self.state {
            MessageState::In => "waits in in",
            MessageState::Out => "waits in out",
            MessageState::Home => "waits in home",
            // A node that has it is named by its id alone.
            MessageState::Acknowledged if to.is_none_or(|to| !to.contains(':')) => {
                "was acknowledged"
            }
            MessageState::Acknowledged => "was delivered",
            MessageState::Released => "was passed on",
            MessageState::Accepted => "was accepted by a gateway",
            MessageState::Posted => "was posted to its recipient",
            MessageState::Missing => "is missing",
            MessageState::Expired => "expired",
            MessageState::Failed => "was set aside, and its file has gone",
        }
    }

    /// The event that led to its state. A run that was killed may have noted that it was returned,
    /// and left it in `failed`.
    #[must_use]
    pub fn last(&self) -> Option<&Line> {
        let is_aside = self.state == MessageState::Failed;
        let mut lines = self.lines.iter().rev();
        lines.find(|line| !is_aside || line.event != SentEvent::Returned)
    }
}

impl Spool {
    /// The histories of the messages that a user means: several senders may choose the same id.
    ///
    /// # Errors
    /// When a queue or the notes cannot be read.
    pub fn stories(&self, meant: &Meant, now: Timestamp) -> Result<Vec<Story>, Error> {
        let stories = self.stories_now(meant, now)?;
        if stories
            .iter()
            .any(|story| story.state == MessageState::Missing)
        {
            // It may have moved to a queue that was already searched.
            return self.stories_now(meant, now);
        }
        Ok(stories)
    }

    fn stories_now(&self, meant: &Meant, now: Timestamp) -> Result<Vec<Story>, Error> {
        let mut stories: Vec<Story> = Vec::new();
        let mut known = HashMap::new();
        for (queue, message) in self.find(meant)? {
            let key = message.name.identity;
            known
                .entry((key.recipient, key.sender, key.id))
                .or_insert(stories.len());
            stories.push(Story {
                id: None,
                recipient: key.recipient,
                sender: key.sender,
                state: MessageState::of_place(queue.place(), message.name.has_expired(now)),
                lines: Vec::new(),
                file: Some(message),
            });
        }
        let waiting = stories.len();
        for line in self.noted_of(meant)? {
            let key = (
                line.recipient,
                line.sender,
                hash::sha256(line.id.as_bytes()),
            );
            let at = *known.entry(key).or_insert_with(|| {
                stories.push(Story {
                    id: None,
                    recipient: line.recipient,
                    sender: line.sender,
                    state: MessageState::Missing,
                    lines: Vec::new(),
                    file: None,
                });
                stories.len() - 1
            });
            let story = &mut stories[at];
            story.id.get_or_insert_with(|| line.id.clone());
            story.lines.push(line);
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
