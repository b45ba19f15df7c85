//! Messages that are for the node itself: authorizations, and successors of peers.

use super::Arrival;
use crate::message::certification_path::AUTHORIZATION_TYPE;
use crate::message::successor::SUCCESSOR_TYPE;
use crate::message::{Object, ServiceMessage, SuccessorNotice};
use crate::node::import::{Options, SuccessorFate};
use crate::node::{AuthorizationError, Directory, Error, ImportError};
use crate::pki::Window;

impl Arrival<'_, ServiceMessage> {
    /// Whether the content is for the node itself: a renewed or reverse authorization, or a successor
    /// notice.
    #[must_use]
    pub fn is_for_node(&self) -> bool {
        [AUTHORIZATION_TYPE, SUCCESSOR_TYPE].contains(&self.content.media_type())
    }

    /// Imports content that is for the node itself. The caller holds the lock of the sender.
    ///
    /// # Errors
    /// When it is not from its sender or not for this node, or cannot be imported or stored.
    pub fn import_for_node(
        &self,
        node: &Directory,
        window: &Window,
    ) -> Result<ImportEffect, Error> {
        if self.content.media_type() == SUCCESSOR_TYPE {
            self.keep_notice(node, window)
        } else {
            self.import_authorization(node, window)
        }
    }

    /// Stores a successor notice of a peer until a person confirms it. That of an unknown sender is
    /// ignored: nobody here expects that node.
    fn keep_notice(&self, node: &Directory, window: &Window) -> Result<ImportEffect, Error> {
        let sender = self.due.head.sender.id();
        let notice = SuccessorNotice::parse(self.content.content())?;
        if notice.unverified().old.id() != sender {
            return Err(Error::Import(ImportError::Unsuitable(
                "names the successor of another node than its sender",
            )));
        }
        if !node.knows(sender)? {
            return Ok(ImportEffect::Ignored);
        }
        Ok(ImportEffect::Successor(node.keep_notice(&notice, window)?))
    }

    /// Imports the authorization in the parcel, if its sender issued it to this node. That of a
    /// peer is stored with the peer's. That of an unknown sender makes no peer, and is stored apart
    /// until a user imports the sender.
    fn import_authorization(
        &self,
        node: &Directory,
        window: &Window,
    ) -> Result<ImportEffect, Error> {
        let sender = self.due.head.sender.id();
        let params = match Object::parse(self.content.content())? {
            Object::PrivateEndpointConnectionParams(params)
                if params.identity.id() == sender
                    && params.authorization.leaf.id() == node.id() =>
            {
                params
            }
            _ => return Err(Error::Authorization(AuthorizationError::Foreign)),
        };
        let options = Options {
            name: None,
            replace: false,
            expected: None,
            // The sender signed the parcel, so it vouches for all of the object.
            vouched: true,
            is_local: false,
            one_way: false,
            now: self.due.now,
            window: *window,
        };
        if node.knows(sender)? {
            node.import(self.content.content(), &options)?;
            return Ok(ImportEffect::OfPeer);
        }
        let key = (&self.due.originator, self.due.head.fields.date);
        let is_kept = node.hear(&params, key, &options)?;
        Ok(if is_kept {
            ImportEffect::OfStranger
        } else {
            ImportEffect::NoRoom
        })
    }
}

/// The effect of content that is for the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportEffect {
    /// It is stored with those of a peer.
    OfPeer,
    /// It is stored for answers to an unknown sender.
    OfStranger,
    /// It was dropped: the quota for unknown senders is used up today.
    NoRoom,
    /// It names the successor of a peer.
    Successor(SuccessorFate),
    /// It was dropped: it says something of a node that is not known here.
    Ignored,
}
