//! Finishes a group of messages that were handed over: notes, session keys, replay memory, then
//! their files.

use super::hand_over::{Disposition, Task};
use super::run::{Delivery, DeliveryEffect, DeliveryState, MessageHead};
use super::{Destination, Error};
use crate::kind::ErrorKind;
use crate::message::Parcel;
use crate::spool::QueueId;
use crate::spool::failed::FailedMessage;
use crate::spool::moves::{Moves, Placed};
use crate::spool::sent::{Line, SentEvent};

/// How many messages that a command took are removed with one sync.
const GROUP: usize = 256;

impl<'a> Delivery<'a> {
    /// Notes the results of a group, completes the receipts, and removes or sets aside the files.
    pub(super) fn settle(
        &self,
        tasks: &mut [Task<'_>],
        state: &mut DeliveryState<'a>,
    ) -> Result<(), Error> {
        let lines: Vec<Line> = tasks.iter().filter_map(|task| self.line(task)).collect();
        // First, so that a sender on this machine never sees a message disappear without a note.
        self.spool.note(&lines)?;
        let (mut numbers, mut dues) = (Vec::new(), Vec::new());
        for (number, task) in tasks.iter_mut().enumerate() {
            if let Some(due) = task.due.take() {
                numbers.push(number);
                dues.push(due);
            }
        }
        // A message whose session key cannot be stored is not remembered, and is delivered again.
        for (number, error) in state.home.complete(&dues)? {
            let task = &mut tasks[numbers[number]];
            task.result = Err(error.into());
            task.disposition = Disposition::Stays;
        }
        let moves = &mut state.moves;
        self.set_aside(tasks, moves)?;
        for task in tasks {
            match task.disposition {
                Disposition::Stays | Disposition::Again => continue,
                Disposition::Goes => moves.remove(&task.message.path)?,
                Disposition::SetAside => {}
            }
            state.intents.forget(&task.message.name.to_string());
        }
        // A message that is remembered is not delivered again, whether its file is gone or not.
        state.unsynced += 1;
        if !matches!(self.destination, Destination::Command(_)) || state.unsynced >= GROUP {
            state.unsynced = 0;
            moves.commit()?;
        }
        Ok(())
    }

    /// The line for `sent`, which a sender on this machine can read.
    fn line(&self, task: &Task<'_>) -> Option<Line> {
        let (event, to) = match (&task.result, task.disposition) {
            (Ok(DeliveryEffect::Delivered(_)), _) => {
                (SentEvent::Acknowledged, self.destination.to_string())
            }
            (Err(error @ Error::Late { .. }), Disposition::SetAside) => {
                (SentEvent::Expired, error.to_string())
            }
            (
                Ok(
                    DeliveryEffect::Imported
                    | DeliveryEffect::NotKept
                    | DeliveryEffect::Successor(_)
                    | DeliveryEffect::Ignored,
                ),
                _,
            ) => (SentEvent::Acknowledged, format!("home:{}", self.node.id())),
            // What was not signed like this says nothing of any message.
            (Err(error), Disposition::SetAside)
                if !matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Corrupt) =>
            {
                (SentEvent::Failed, error.to_string())
            }
            _ => return None,
        };
        let head = task.read_head();
        Some(Line {
            time: self.time.told,
            event,
            recipient: head.recipient,
            sender: head.sender,
            id: head.id?,
            to: Some(to),
            cargo: None,
            medium: None,
            transfer: None,
        })
    }

    fn set_aside(&self, tasks: &mut [Task<'_>], moves: &mut Moves) -> Result<(), Error> {
        let is_aside = |task: &&mut Task<'_>| task.disposition == Disposition::SetAside;
        let mut tasks: Vec<_> = tasks.iter_mut().filter(is_aside).collect();
        let heads: Vec<_> = tasks.iter().map(|task| task.read_head()).collect();
        let asides = tasks.iter().zip(&heads).map(|(task, head)| {
            // One without an id is no parcel, and what its file's name says counts for nothing.
            let is_ours = head.id.is_none() || head.recipient == self.node.id();
            FailedMessage {
                path: &task.message.path,
                name: &task.message.name,
                id: head.id.as_deref(),
                why: task
                    .result
                    .as_ref()
                    .err()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                back_to: if is_ours {
                    QueueId::Home(self.node.id())
                } else {
                    QueueId::In
                },
                transfer: None,
                has_room: true,
            }
        });
        let asides: Vec<_> = asides.collect();
        let placed = self.spool.set_aside_all(&asides, self.time.told, moves)?;
        for ((task, head), placed) in tasks.iter_mut().zip(heads).zip(placed) {
            task.head = Some(head);
            match placed {
                Ok(Placed::New) => {}
                Ok(Placed::Repeated) => task.result = Ok(DeliveryEffect::Repeated),
                // Removed, without a line that it is kept.
                Ok(Placed::Useless) => task.disposition = Disposition::Goes,
                Err(error) if error.is_of_one_file() => {
                    task.result = Err(error.into());
                    task.disposition = Disposition::Stays;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Task<'_> {
    /// The sender, recipient and id. What cannot be read has no id.
    fn read_head(&self) -> MessageHead {
        if let Some(content) = &self.content {
            return MessageHead {
                id: Some(content.id.clone()),
                sender: content.sender,
                recipient: content.recipient,
            };
        }
        // Only unopened messages are read again, to note them.
        let octets = self.message.read().ok().flatten();
        let parcel = octets.and_then(|octets| Some(Parcel::parse(octets).ok()?.into_message()));
        let named = &self.message.name.identity;
        parcel.map_or(
            MessageHead {
                id: None,
                sender: named.sender,
                recipient: named.recipient,
            },
            |parcel| MessageHead {
                id: Some(parcel.fields().id.clone()),
                sender: parcel.sender(),
                recipient: parcel.fields().recipient,
            },
        )
    }
}
