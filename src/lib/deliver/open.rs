//! Opens messages and writes their content, on every core; files have no name yet.

use std::path::PathBuf;

use jiff::Timestamp;

use super::names::Wish;
use super::run::{Delivery, DeliveryEffect, DeliveryState, IN_FLIGHT, publish_options};
use super::{Content, Destination, Error, maildir};
use crate::command::Command;
use crate::disk::batch::{self, UnnamedFile};
use crate::kind::ErrorKind;
use crate::message::{Part, ServiceMessage, service_message};
use crate::node::{self, Keyring as _};
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::receive::{Arrival, AuthorizationEffect, PendingReceipt};
use crate::spool::queue::Waiting;

/// What opening a message came to.
pub(super) enum OpenedMessage<'a> {
    /// Its content, which is staged.
    Content(Box<OpenedContent<'a>>),
    /// It was delivered before.
    Repeated,
    /// It is of a type that is left for another run.
    Left(Content),
    /// It is a part, and waits for the others.
    Part(Content),
    /// It cannot be opened, or its content not be written.
    Failed(Error),
    /// Another program took it meanwhile.
    Gone,
}

/// Content, and what is left to do about it.
pub(super) struct OpenedContent<'a> {
    pub(super) content: Content,
    pub(super) due: PendingReceipt<'a>,
    pub(super) staged: StagedContent<'a>,
}

/// How far content is on its way to its destination.
pub(super) enum StagedContent<'a> {
    /// It is written into a file, which has no name yet.
    File(StagedFile),
    /// This command gets it when its turn comes.
    ForCommand(ServiceMessage, &'a Command),
    /// Nothing is left to do but what follows from this.
    Done(DeliveryEffect),
}

/// Content that is written.
pub(super) struct StagedFile {
    /// The directory that it is in.
    pub(super) dir: PathBuf,
    /// The file.
    pub(super) file: UnnamedFile,
    /// What it is to be called.
    pub(super) wish: Wish,
    /// Whether the name is noted before it is given, since the message alone does not tell it to a later run.
    pub(super) is_noted: bool,
}

impl<'a> DeliveryState<'a> {
    /// Opens a message; `None` when it has gone. A file of the user who keeps the spool arrived in time,
    /// since their programs check dates before they write one.
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
        // Another user may have set the time of their file back.
        let stored = if is_in_time {
            message.stored()?.unwrap_or(Timestamp::MAX)
        } else {
            Timestamp::MAX
        };
        match self.home.open(octets, stored, is_in_time) {
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
    /// Opens the messages of a group and writes their content.
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
        service_message::check_type_len(arrival.content().media_type()).map_err(Error::Type)?;
        let is_authorization = arrival.is_authorization();
        if !is_authorization && !content.is_of(&self.types) {
            return Ok(OpenedMessage::Left(content));
        }
        if self.joins && content.is_part() {
            let part = Part::parse(arrival.content().content()).map_err(Error::Part)?;
            let transfer = part.header().transfer;
            if !state.home.is_joined(content.sender, transfer)? {
                state.transfers().note(content.sender, &part, &message.name);
                state.buffers.put(arrival.into_due().0.into_octets());
                return Ok(OpenedMessage::Part(content));
            }
            return Ok(done(content, arrival, DeliveryEffect::Repeated));
        }
        if is_authorization {
            let effect = self.import(&arrival)?;
            return Ok(done(content, arrival, effect));
        }
        if self.is_dry {
            return Ok(done(content, arrival, DeliveryEffect::Delivered(None)));
        }
        self.stage(message, content, arrival, state)
    }

    /// Imports the authorization that a message holds.
    fn import(&self, arrival: &Arrival<'_, ServiceMessage>) -> Result<DeliveryEffect, Error> {
        if self.is_dry {
            return Ok(DeliveryEffect::Imported);
        }
        // It changes what is known of one node. A lock of the whole node would sweep the folders of all its peers.
        let _locks = self.node.lock_sender(&arrival.head().sender)?;
        let imported = arrival.import_authorization(self.node, &self.terms.window);
        Ok(match imported.map_err(Error::Import)? {
            AuthorizationEffect::NoRoom => DeliveryEffect::NotKept,
            AuthorizationEffect::OfPeer | AuthorizationEffect::OfStranger => {
                DeliveryEffect::Imported
            }
        })
    }

    /// Writes content where it belongs, without a name; a command gets it later, in the order of the queue.
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
            Destination::Directory { dir, keeps_names } => {
                let folder = dir.join(content.folder());
                self.make(&folder, state)?;
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
            // Its mail reader has moved it to `cur`: it is not delivered again.
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
        state.buffers.put(message.into_octets());
        Ok(opened(content, due, staged))
    }
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

/// Content with which nothing is left to do.
fn done(
    content: Content,
    arrival: Arrival<'_, ServiceMessage>,
    effect: DeliveryEffect,
) -> OpenedMessage<'_> {
    let (_, due) = arrival.into_due();
    opened(content, due, StagedContent::Done(effect))
}
