//! Messages are opened, and what is in them is written; it has no name yet.

use std::path::PathBuf;

use jiff::Timestamp;

use super::run::{Delivery, DeliveryState, IN_FLIGHT, manner};
use super::{Content, Destination, Error, maildir};
use crate::disk::batch::{self, UnnamedFile};
use crate::message::{Part, ServiceMessage, service_message};
use crate::node::{self, Keyring as _};
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::receive::{Arrival, AuthorizationEffect, PendingReceipt};
use crate::spool::queue::Waiting;
use crate::{pki, ramf};

/// What opening a message came to.
pub(super) enum OpenedMessage<'a> {
    Content(Box<(Content, PendingReceipt<'a>, StagedContent)>),
    Repeated,
    Left(Content),
    Part(Content),
    Failed(Error),
    /// Somebody else took it.
    Gone,
}

/// How far content is on its way.
pub(super) enum StagedContent {
    /// It is written, into this directory, and has no name yet.
    Written(PathBuf, UnnamedFile),
    /// It is to be handed over in its turn.
    Message(ServiceMessage),
    /// It is a mail already that somebody has seen.
    There,
    /// It was an authorization, and this became of it.
    Imported(AuthorizationEffect),
    /// It is a part of what was put together before.
    Repeated,
    /// Nothing is to be done.
    Dry,
}

impl<'a> DeliveryState<'a> {
    /// Opens a message; `None` when it has gone. Whose file was read decides whether it arrived in time.
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
        // Another user may have dated their file back.
        let stored = if is_in_time {
            message.stored()?.unwrap_or(Timestamp::MAX)
        } else {
            Timestamp::MAX
        };
        match self.home.open(octets, stored, is_in_time) {
            Err(cause) if !is_in_time && is_expiry(&cause) => Err(Error::Late {
                cause,
                owner,
                keeper,
            }),
            opened => Ok(Some(opened?)),
        }
    }
}

impl<'a> Delivery<'a> {
    /// Opens the messages, on every core, and writes what is in them.
    pub(super) fn open_all(
        &self,
        group: &[Waiting],
        state: &DeliveryState<'a>,
    ) -> Result<Vec<OpenedMessage<'a>>, Error> {
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
                Err(Error::Node(node::Error::Seen)) => OpenedMessage::Repeated,
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
    ) -> Result<OpenedMessage<'a>, Error> {
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
            let (_, due) = arrival.into_due();
            return Ok(OpenedMessage::Content(Box::new((
                content,
                due,
                StagedContent::Repeated,
            ))));
        }
        if self.is_dry {
            let (_, due) = arrival.into_due();
            let ready = if is_authorization {
                StagedContent::Imported(AuthorizationEffect::OfPeer)
            } else {
                StagedContent::Dry
            };
            return Ok(OpenedMessage::Content(Box::new((content, due, ready))));
        }
        if is_authorization {
            // It changes what is known of one node. To have the whole node, all its peers' folders would be swept.
            let _locks = self.node.lock_sender(&arrival.head().sender)?;
            let imported = arrival.import_authorization(self.node, &self.terms.window);
            let ready = StagedContent::Imported(imported.map_err(Error::Import)?);
            let (_, due) = arrival.into_due();
            return Ok(OpenedMessage::Content(Box::new((content, due, ready))));
        }
        let octets = arrival.content().content();
        let written = match &self.destination {
            Destination::Directory { dir, .. } => {
                let folder = dir.join(content.folder());
                self.make(&folder, state)?;
                let file = batch::write(&folder, &[octets], &manner())?;
                Some(StagedContent::Written(folder, file))
            }
            Destination::Maildir(dir) => {
                let intended = state.intents.name_for(&message.name.to_string());
                if intended.map_or(Ok(false), |name| maildir::is_seen(dir, name))? {
                    Some(StagedContent::There)
                } else {
                    let (new, tmp) = (dir.join("new"), dir.join("tmp"));
                    let mail = maildir::mail(&content, octets);
                    let file = batch::write(&new, &[&mail], &manner().written_in(&tmp))?;
                    Some(StagedContent::Written(new, file))
                }
            }
            Destination::Command(_) => None,
        };
        let (message, due) = arrival.into_due();
        let ready = match written {
            Some(ready) => {
                state.buffers.put(message.into_octets());
                ready
            }
            None => StagedContent::Message(message),
        };
        Ok(OpenedMessage::Content(Box::new((content, due, ready))))
    }
}

/// Whether the time of a message or a certificate is over.
fn is_expiry(error: &node::Error) -> bool {
    use node::Error as E;
    matches!(
        error,
        E::Pki(pki::Error::Expired { .. })
            | E::Ramf(ramf::Error::Expired(_) | ramf::Error::Pki(pki::Error::Expired { .. }))
    )
}
