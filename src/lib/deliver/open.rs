//! Opens messages and writes their content, on all cores. The files have no name yet.

use std::path::PathBuf;

use jiff::Timestamp;

use super::names::Wish;
use super::run::{Delivery, DeliveryEffect, DeliveryState, IN_FLIGHT, publish_options};
use super::trees::StagedTree;
use super::{Content, Destination, Error, maildir};
use crate::archive;
use crate::command::Command;
use crate::disk::batch::{self, UnnamedFile};
use crate::kind::ErrorKind;
use crate::message::{Part, ServiceMessage, parts, service_message};
use crate::node::{self, Keyring as _};
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::receive::{Arrival, ImportEffect, PendingReceipt};
use crate::spool::queue::Waiting;

/// The result of opening a message.
pub(super) enum OpenedMessage<'a> {
    /// Its content, staged.
    Content(Box<OpenedContent<'a>>),
    /// It was delivered before.
    Repeated,
    /// Its media type is not delivered by this run.
    Left(Content),
    /// It is a part, and waits for the other parts.
    Part(Content, Box<PendingReceipt<'a>>),
    /// It cannot be opened, or its content cannot be written.
    Failed(Error),
    /// Another program has taken it meanwhile.
    Gone,
}

/// Content, and what is left to do for it.
pub(super) struct OpenedContent<'a> {
    pub(super) content: Content,
    pub(super) due: PendingReceipt<'a>,
    pub(super) staged: StagedContent<'a>,
}

/// The progress of content towards its destination.
pub(super) enum StagedContent<'a> {
    /// It is in a file, which has no name yet.
    File(StagedFile),
    /// It is a directory, which has no name yet.
    Tree(Box<StagedTree>),
    /// It is for this command, and waits for its turn.
    ForCommand(ServiceMessage, &'a Command),
    /// It needs no delivery: this is the result.
    Done(DeliveryEffect),
}

/// A file with content.
pub(super) struct StagedFile {
    /// The directory that it is in.
    pub(super) dir: PathBuf,
    /// The file.
    pub(super) file: UnnamedFile,
    /// The names to try for it.
    pub(super) wish: Wish,
    /// Whether the name is noted before it is given, because a later run cannot derive it from the
    /// message.
    pub(super) is_noted: bool,
}

impl<'a> DeliveryState<'a> {
    /// Opens a message; `None` if it is gone. A file of the spool's owner arrived in time, since
    /// our programs check dates before they write a file. Any other file is checked as if it
    /// arrived now.
    pub(super) fn open(
        &self,
        message: &Waiting,
        len: usize,
    ) -> Result<Option<Arrival<'a, ServiceMessage>>, Error> {
        let Some((octets, owner)) = message.read_with_owner(self.buffers.take(len))? else {
            return Ok(None);
        };
        let keeper = self.keeper;
        let is_in_time = keeper == Some(owner);
        // Another user can set the modification time of their file back.
        let stored = if is_in_time {
            message.stored()?.unwrap_or(Timestamp::MAX)
        } else {
            Timestamp::MAX
        };
        match self.home.open(octets, stored, is_in_time) {
            // A late file of another user is reported with its owner: the message may be good, the
            // file is not proof.
            Err(cause) if !is_in_time && cause.kind() == ErrorKind::Expired => Err(Error::Late {
                cause,
                owner,
                keeper,
            }),
            opened => Ok(Some(opened?)),
        }
    }
}

impl<'a> Delivery<'a> {
    /// Opens the messages of a group and writes their content, without names.
    pub(super) fn open_all(
        &self,
        group: &[Waiting],
        state: &DeliveryState<'a>,
    ) -> Result<Vec<OpenedMessage<'_>>, Error> {
        let mut waiting = group.iter().map(|message| {
            let octets = message.len_or_most();
            let item = (message, octets);
            WorkItem { item, octets }
        });
        let mut opened = Vec::new();
        workers::in_order(
            Bounds::octets(IN_FLIGHT),
            || waiting.next(),
            |(message, len)| match self.open(message, len, state) {
                Err(Error::Node(node::Error::Replay(node::ReplayError::Seen))) => {
                    OpenedMessage::Repeated
                }
                Err(error) => OpenedMessage::Failed(error),
                Ok(opened) => opened,
            },
            |result| {
                opened.push(result);
                Ok::<(), Error>(())
            },
        )?;
        check_senders(&mut opened, state)?;
        Ok(opened)
    }

    fn open(
        &self,
        message: &Waiting,
        len: usize,
        state: &DeliveryState<'a>,
    ) -> Result<OpenedMessage<'_>, Error> {
        let Some(arrival) = state.open(message, len)? else {
            return Ok(OpenedMessage::Gone);
        };
        let content = Content::of(&arrival);
        // Checked for every destination: a long type would fail the exec(2) of a command, whose
        // environment has it.
        service_message::check_type_len(arrival.content().media_type()).map_err(Error::Type)?;
        let is_for_node = arrival.is_for_node();
        if !is_for_node && !content.is_of(&self.types, self.joins) {
            return Ok(OpenedMessage::Left(content));
        }
        if self.joins && content.is_part() {
            let part = Part::parse(arrival.content().content()).map_err(Error::Part)?;
            parts::whole_type(&content.media_type).map_err(Error::Part)?;
            let transfer = part.header().transfer;
            // Parts that arrive again after the content was joined.
            if !state.home.is_joined(content.sender, transfer)? {
                state.transfers().note(content.sender, &part, &message.name);
                let (held, due) = arrival.into_due();
                state.buffers.put(held.into_octets());
                return Ok(OpenedMessage::Part(content, Box::new(due)));
            }
            return Ok(done(content, arrival, DeliveryEffect::Repeated));
        }
        if is_for_node {
            let effect = self.import(&arrival)?;
            return Ok(done(content, arrival, effect));
        }
        if self.is_dry {
            return Ok(done(content, arrival, DeliveryEffect::Delivered(None)));
        }
        self.stage(message, content, arrival, state)
    }

    /// Imports a message that is for the node itself.
    fn import(&self, arrival: &Arrival<'_, ServiceMessage>) -> Result<DeliveryEffect, Error> {
        if self.is_dry {
            return Ok(DeliveryEffect::Imported);
        }
        // It changes what the node knows of one peer. The exclusive lock would also sweep the
        // folders of all peers.
        let _locks = self.node.lock_sender(&arrival.head().sender)?;
        let imported = arrival.import_for_node(self.node, &self.terms.window);
        Ok(match imported.map_err(Error::Import)? {
            ImportEffect::NoRoom => DeliveryEffect::NotKept,
            ImportEffect::Successor(fate) => DeliveryEffect::Successor(fate),
            ImportEffect::Ignored => DeliveryEffect::Ignored,
            ImportEffect::OfPeer | ImportEffect::OfStranger => DeliveryEffect::Imported,
        })
    }

    /// Writes content to its destination, without a name. A command gets it later, in the order of
    /// the queue.
    fn stage(
        &self,
        message: &Waiting,
        content: Content,
        arrival: Arrival<'a, ServiceMessage>,
        state: &DeliveryState<'a>,
    ) -> Result<OpenedMessage<'_>, Error> {
        let octets = arrival.content().content();
        let intended = state.intents.name_for(&message.name.to_string());
        let staged = match &self.destination {
            Destination::Directory {
                dir,
                keeps_names,
                extracts,
            } => {
                let folder = dir.join(content.folder());
                self.make(&folder, state)?;
                if *extracts && archive::is_tree(&content.media_type) {
                    let (len, now) = (octets.len() as u64, self.terms.now.into());
                    let made = archive::extract(octets, len, &folder, now)?;
                    let intended = intended.map(str::to_owned);
                    let tree = StagedTree::new(&folder, made, intended, content.file_name());
                    let (message, due) = arrival.into_due();
                    state.buffers.put(message.into_octets());
                    return Ok(opened(content, due, StagedContent::Tree(Box::new(tree))));
                }
                let file = batch::write(&folder, &[octets], &publish_options())?;
                let given = content.safe_name().filter(|_| *keeps_names);
                StagedContent::File(StagedFile {
                    dir: folder,
                    file,
                    is_noted: given.is_some(),
                    wish: Wish {
                        intended: intended.map(str::to_owned),
                        given,
                        own: content.file_name(),
                    },
                })
            }
            // A mail reader has moved the mail of a killed run to `cur`, so it is not delivered
            // again.
            Destination::Maildir(dir)
                if intended.map_or(Ok(false), |name| maildir::is_seen(dir, name))? =>
            {
                StagedContent::Done(DeliveryEffect::Delivered(None))
            }
            Destination::Maildir(dir) => {
                let (new, tmp) = (dir.join("new"), dir.join("tmp"));
                let mail = maildir::mail(&content, octets);
                let file = batch::write(&new, &[&mail], &publish_options().written_in(&tmp))?;
                StagedContent::File(StagedFile {
                    dir: new,
                    file,
                    is_noted: true,
                    wish: Wish {
                        intended: intended.map(str::to_owned),
                        given: None,
                        own: maildir::file_name_of(&content),
                    },
                })
            }
            Destination::Command(command) => {
                let (message, due) = arrival.into_due();
                let staged = StagedContent::ForCommand(message, command);
                return Ok(opened(content, due, staged));
            }
        };
        let (message, due) = arrival.into_due();
        // The content is written out, so its buffer is free.
        state.buffers.put(message.into_octets());
        Ok(opened(content, due, staged))
    }
}

/// Refuses messages whose ciphertext another sender sent first. Of a part that waits it is
/// remembered, too, who was first.
fn check_senders(opened: &mut [OpenedMessage<'_>], state: &DeliveryState<'_>) -> Result<(), Error> {
    let (mut numbers, mut dues) = (Vec::new(), Vec::new());
    for (number, one) in opened.iter().enumerate() {
        let due = match one {
            OpenedMessage::Content(content) => &content.due,
            OpenedMessage::Part(_, due) => due,
            _ => continue,
        };
        numbers.push(number);
        dues.push(due);
    }
    let errors = state.home.check_senders(&dues)?;
    for (number, error) in numbers.into_iter().zip(errors) {
        if let Some(error) = error {
            opened[number] = OpenedMessage::Failed(error.into());
        }
    }
    Ok(())
}

fn opened<'a>(
    content: Content,
    due: PendingReceipt<'a>,
    staged: StagedContent<'a>,
) -> OpenedMessage<'a> {
    OpenedMessage::Content(Box::new(OpenedContent {
        content,
        due,
        staged,
    }))
}

/// Content that needs no delivery.
fn done(
    content: Content,
    arrival: Arrival<'_, ServiceMessage>,
    effect: DeliveryEffect,
) -> OpenedMessage<'_> {
    let (_, due) = arrival.into_due();
    opened(content, due, StagedContent::Done(effect))
}
