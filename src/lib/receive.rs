//! What happens when a parcel arrives, once and in this order: it is verified, admitted, known not
//! to be a repetition, and decrypted; its content is stored by the caller; then the sender's session
//! key is stored; then the parcel is remembered.
//!
//! Each step may be repeated. A run that is killed on the way may cost a duplicate, never a loss.

use jiff::Timestamp;

use crate::disk::Lock;
use crate::message::{Object, Parcel, ServiceMessage};
use crate::node::import::Options;
use crate::node::{Directory, Error, Identity, Keyring, strangers};
use crate::pki::Window;
use crate::ramf::{Head, Valid};
use crate::session::{self, KeyId, PublicSessionKey, Sealed};

/// The media type under which an endpoint sends an authorization in a parcel.
pub const AUTHORIZATION_TYPE: &str = "application/vnd+relaycorp.awala.pda-path";

/// How a parcel is taken.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The instants that dates are held against.
    pub window: Window,
    /// When it arrives.
    pub now: Timestamp,
    /// Open a parcel that was received before.
    pub again: bool,
}

/// A parcel that was opened, and what is left to do about it. While it lives, no other run takes a
/// parcel from the same sender.
pub struct Arrival<'a> {
    keyring: &'a dyn Keyring,
    head: Head,
    content: ServiceMessage,
    originator: PublicSessionKey,
    used_key: KeyId,
    /// What to remember it by, unless it is remembered.
    identity: Option<Identity>,
    now: Timestamp,
    _locks: Vec<Lock>,
}

/// Opens a parcel that is all of `octets`.
///
/// # Errors
/// When it is malformed, not valid now, not for this node, from somebody who is not authorized,
/// received before, sealed to a key that is not known, or cannot be decrypted.
pub fn open<'a>(
    keyring: &'a dyn Keyring,
    octets: Vec<u8>,
    terms: &Terms,
) -> Result<Arrival<'a>, Error> {
    let message = Parcel::parse(octets)?.into_message();
    let valid = Valid::check(message, &terms.window)?;
    let parcel = keyring.admit(valid, &terms.window)?;
    let sender = parcel.message().sender();
    let locks = keyring.lock_peer(sender)?;
    let identity = Identity::of(parcel.message());
    let was_seen = keyring.is_seen(&identity)?;
    if was_seen && !terms.again {
        return Err(Error::Seen);
    }
    let sealed = Sealed::parse(parcel.message().payload())?;
    let used_key = sealed.recipient_key_id().clone();
    let keys = keyring.session_keys(sender, &used_key)?;
    if keys.is_empty() {
        return Err(Error::UnknownSessionKey(used_key));
    }
    let (head, mut octets, payload) = parcel.into_message().into_payload();
    let opened = sealed.open_in_place(&keys, &mut octets[payload.clone()])?;
    let plaintext = payload.start + opened.plaintext.start..payload.start + opened.plaintext.end;
    let content = ServiceMessage::parse_within(octets, plaintext)
        .map_err(|_| session::Error::Undecryptable)?;
    Ok(Arrival {
        keyring,
        head,
        content,
        originator: opened.originator,
        used_key,
        identity: (!was_seen).then_some(identity),
        now: terms.now,
        _locks: locks,
    })
}

impl Arrival<'_> {
    /// What the parcel says but its payload.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What the parcel holds.
    #[must_use]
    pub fn content(&self) -> &ServiceMessage {
        &self.content
    }

    /// What the sender is called here, if it has a name.
    #[must_use]
    pub fn peer_name(&self) -> Option<String> {
        self.keyring.peer_name(self.head.sender.id())
    }

    /// Whether the content is for the node itself: a renewed or reverse authorization.
    #[must_use]
    pub fn is_authorization(&self) -> bool {
        self.content.media_type() == AUTHORIZATION_TYPE
    }

    /// Finishes what is to be done, once the content is where it belongs: stores the sender's session
    /// key, then remembers the parcel.
    ///
    /// # Errors
    /// When one cannot be stored; then the parcel can be opened again.
    pub fn complete(self) -> Result<(), Error> {
        let date = self.head.fields.date;
        self.keyring.advance_session(
            &self.head.sender,
            &self.originator,
            &self.used_key,
            date,
            self.now,
        )?;
        match &self.identity {
            Some(identity) => self.keyring.remember(identity),
            None => Ok(()),
        }
    }

    /// Imports the authorization that the parcel holds: only from the node that issued it, and only
    /// if it is for this one.
    ///
    /// # Errors
    /// [`Error::ForeignAuthorization`] when it is somebody else's; otherwise as
    /// [`Directory::import`].
    pub fn import_authorization(&self, node: &Directory, window: &Window) -> Result<(), Error> {
        match Object::parse(self.content.content())? {
            Object::PrivateEndpointConnectionParams(params)
                if params.identity.id() == self.head.sender.id()
                    && params.authorization.leaf.id() == node.id() => {}
            _ => return Err(Error::ForeignAuthorization),
        }
        if node.peer(self.head.sender.id())?.is_none() {
            if strangers::is_full(node.root(), self.now)? {
                return Err(Error::Strangers);
            }
            let date = self.head.fields.date;
            strangers::store(
                node.root(),
                self.head.sender.id(),
                &self.originator,
                date,
                self.now,
            )?;
        }
        let options = Options {
            name: None,
            replace: false,
            expected: None,
            vouched: true,
            one_way: false,
            now: self.now,
            window: *window,
        };
        node.import(self.content.content(), &options)?;
        Ok(())
    }
}
