//! What happens when a message arrives, once and in this order: it is verified, admitted, known not
//! to be a repetition, and decrypted; what it holds is stored by the caller; then the sender's session
//! key is stored; then the message is remembered.
//!
//! Each step may be repeated. A run that is killed on the way may cost a duplicate, never a loss.

pub mod inbox; // what arrived in time and waited

use std::ops::{Deref, Range};

use jiff::Timestamp;

use crate::disk::Lock;
use crate::message::{
    self, Cargo, CargoMessageSet, Cca, CollectionRequest, Item, Object, Parcel, ServiceMessage,
};
use crate::node::certificates::MIN_LIFE;
use crate::node::import::Options;
use crate::node::seen::Memory;
use crate::node::{AuthorizationError, ImportError, ReplayError, SessionKeyError};
use crate::node::{Correspondent, Directory, Error, Keyring, Recall, ReplayKey};
use crate::pipeline::Buffers;
use crate::pki::{self, Certificate, NodeId, Window};
use crate::ramf::{self, Authorized, Head, Kind, SignedMessage, Valid, fields, limits};
use crate::session::{self, KeyId, PrivateSessionKey, PublicSessionKey, Sealed};
use crate::verify::{self, Policy};

/// The media type under which an endpoint sends an authorization in a parcel.
pub const AUTHORIZATION_TYPE: &str = "application/vnd+relaycorp.awala.pda-path";

/// How a message is taken.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveOptions {
    /// The instants that dates are held against.
    pub window: Window,
    /// When it arrives.
    pub now: Timestamp,
    /// What is opened although it may be a repetition.
    pub repeats: Repeats,
}

/// Which messages are opened although they may repeat one that was received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// None.
    Refused,
    /// Those that the replay memory cannot judge.
    Unjudged,
    /// All.
    Taken,
}

impl Repeats {
    /// Checks that a message of which the memory says this is opened.
    fn check(self, recall: Recall) -> Result<(), Error> {
        match (recall, self) {
            (Recall::Seen, Self::Refused | Self::Unjudged) => Err(Error::Replay(ReplayError::Seen)),
            (Recall::Unjudged, Self::Refused) => Err(Error::Replay(ReplayError::Unjudged)),
            _ => Ok(()),
        }
    }
}

/// A message that was opened, with `T` in it, and what is left to do about it. While it lives, no other
/// run takes a message from the same sender.
pub struct Arrival<'a, T> {
    content: T,
    due: PendingReceipt<'a>,
    _locks: Vec<Lock>,
}

/// What is left to do about a message whose content is where it belongs.
pub struct PendingReceipt<'a> {
    keyring: &'a dyn Keyring,
    head: Head,
    originator: PublicSessionKey,
    used_key: KeyId,
    /// What to remember it by, unless it is remembered.
    identity: Option<ReplayKey>,
    now: Timestamp,
}

/// Opens a parcel that is all of `octets`.
///
/// # Errors
/// When it is malformed, not valid now, not for this node, from somebody who is not authorized,
/// received before, sealed to a key that is not known, or cannot be decrypted.
pub fn parcel<'a>(
    keyring: &'a dyn Keyring,
    octets: Vec<u8>,
    terms: &ReceiveOptions,
) -> Result<Arrival<'a, ServiceMessage>, Error> {
    let parcel = Parcel::parse(octets)?.into_message();
    open(keyring, parcel, terms, ServiceMessage::parse_within)
}

/// Opens cargo that is all of `octets`.
///
/// # Errors
/// As [`parcel`].
pub fn cargo<'a>(
    keyring: &'a dyn Keyring,
    octets: Vec<u8>,
    terms: &ReceiveOptions,
) -> Result<Arrival<'a, CargoMessageSet>, Error> {
    let cargo = Cargo::parse(octets)?.into_message();
    open(keyring, cargo, terms, CargoMessageSet::parse_within)
}

/// Opens a CCA that is all of `octets`, and checks that the authorization in it lets this node send
/// cargo to its issuer.
///
/// # Errors
/// As [`parcel`]; and when the authorization is for another node, issued by another one, or not valid
/// now.
pub fn cca<'a>(
    keyring: &'a dyn Keyring,
    octets: Vec<u8>,
    terms: &ReceiveOptions,
) -> Result<Arrival<'a, CollectionRequest>, Error> {
    let cca = Cca::parse(octets)?.into_message();
    let arrival = open(keyring, cca, terms, |octets, part| {
        CollectionRequest::parse_within(&octets, part)
    })
    .map_err(|error| match error {
        Error::Replay(ReplayError::Seen) => Error::Replay(ReplayError::CcaUsed),
        other => other,
    })?;
    let authorization = &arrival.content.authorization;
    let issuer = &arrival.due.head.sender;
    if Some(authorization.id()) != keyring.node()
        || authorization.verify_signature(issuer.key()).is_err()
    {
        return Err(Error::Authorization(AuthorizationError::ForeignCarrier));
    }
    authorization.check_dates(&terms.window)?;
    Ok(arrival)
}

fn open<'a, T>(
    keyring: &'a dyn Keyring,
    message: SignedMessage,
    terms: &ReceiveOptions,
    parse: impl Fn(Vec<u8>, Range<usize>) -> Result<T, message::Error>,
) -> Result<Arrival<'a, T>, Error> {
    let valid = Valid::check(message, &terms.window)?;
    let message = keyring.admit(valid, &terms.window)?;
    let locks = keyring.lock_sender(message.message().sender_certificate())?;
    let identity = ReplayKey::of(message.message());
    let recall = keyring.recall(&identity)?;
    let keys = |sender, id: &KeyId| keyring.session_keys(sender, id).map(Box::new);
    let admitted = Verified {
        message,
        identity,
        recall,
        locks,
    };
    opened(keyring, admitted, terms, keys, parse)
}

/// A message that is verified and authorized, and what the replay memory says of it.
struct Verified {
    message: Authorized,
    identity: ReplayKey,
    recall: Recall,
    /// The locks under which the memory was asked, which keep the answer true.
    locks: Vec<Lock>,
}

/// Opens a message that is admitted.
fn opened<'a, T, K: Deref<Target = Vec<PrivateSessionKey>>>(
    keyring: &'a dyn Keyring,
    admitted: Verified,
    terms: &ReceiveOptions,
    keys: impl Fn(NodeId, &KeyId) -> Result<K, Error>,
    parse: impl Fn(Vec<u8>, Range<usize>) -> Result<T, message::Error>,
) -> Result<Arrival<'a, T>, Error> {
    let Verified {
        message,
        identity,
        recall,
        locks,
    } = admitted;
    let sender = message.message().sender();
    terms.repeats.check(recall)?;
    let sealed = Sealed::parse(message.message().payload())?;
    let used_key = sealed.recipient_key_id().clone();
    let keys = keys(sender, &used_key)?;
    if keys.is_empty() {
        return Err(Error::SessionKey(SessionKeyError::Unknown(used_key)));
    }
    let (head, mut octets, payload) = message.into_message().into_payload();
    let opened = sealed.open_in_place(&keys, &mut octets[payload.clone()])?;
    let plaintext = payload.start + opened.plaintext.start..payload.start + opened.plaintext.end;
    let content = parse(octets, plaintext).map_err(|_| session::Error::Undecryptable)?;
    Ok(Arrival {
        content,
        due: PendingReceipt {
            keyring,
            head,
            originator: opened.originator,
            used_key,
            identity: (recall != Recall::Seen).then_some(identity),
            now: terms.now,
        },
        _locks: locks,
    })
}

impl<'a, T> Arrival<'a, T> {
    /// What the message says but its payload.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.due.head
    }

    /// What the message holds.
    #[must_use]
    pub fn content(&self) -> &T {
        &self.content
    }

    /// What the sender is called here, if it has a name.
    #[must_use]
    pub fn peer_name(&self) -> Option<String> {
        self.due.keyring.peer_name(self.due.head.sender.id())
    }

    /// Finishes what is to be done, once the content is where it belongs: stores the sender's session
    /// key, then remembers the message. Gives the content.
    ///
    /// # Errors
    /// When one cannot be stored; then the message can be opened again.
    pub fn complete(self) -> Result<T, Error> {
        self.due.complete()?;
        Ok(self.content)
    }

    /// Whether this is the message that `other` is about, and neither is remembered.
    #[must_use]
    pub fn repeats(&self, other: &PendingReceipt<'_>) -> bool {
        self.due.identity.is_some() && self.due.identity == other.identity
    }

    /// Lets go of the sender, and leaves what is to be done for later.
    #[must_use]
    pub fn into_due(self) -> (T, PendingReceipt<'a>) {
        (self.content, self.due)
    }
}

impl PendingReceipt<'_> {
    /// Does what is left, as [`Arrival::complete`]; messages from the same sender may have been taken
    /// since.
    ///
    /// # Errors
    /// As [`Arrival::complete`].
    pub fn complete_later(self) -> Result<(), Error> {
        let _locks = self.keyring.lock_sender(&self.head.sender)?;
        self.complete()
    }

    /// What the message is remembered by, unless it is already.
    #[must_use]
    pub fn identity(&self) -> Option<&ReplayKey> {
        self.identity.as_ref()
    }

    /// Stores what the message says of the session with its sender.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn advance(&self) -> Result<(), Error> {
        self.keyring.advance_session(
            &self.head.sender,
            &self.originator,
            &self.used_key,
            self.head.fields.date,
            self.now,
        )
    }

    /// What to remember the message by, unless it is remembered.
    #[must_use]
    pub fn into_identity(self) -> Option<ReplayKey> {
        self.identity
    }

    /// As [`PendingReceipt::advance`], while no other run takes a message from the same sender.
    fn advance_locked(&self) -> Result<(), Error> {
        let _locks = self.keyring.lock_peer(self.head.sender.id())?;
        self.advance()
    }

    fn complete(self) -> Result<(), Error> {
        self.advance()?;
        match &self.identity {
            Some(identity) => self.keyring.remember(identity),
            None => Ok(()),
        }
    }
}

/// Does what is left about several messages whose content is where it belongs: stores what they say of sessions, lets
/// the caller acknowledge them, then remembers `groups`, each of which lasts before the next.
///
/// A message is remembered last: from then on a killed run could not do the other steps, since it is not looked at again.
///
/// # Errors
/// When a session or the memory cannot be stored, or `acknowledge` failed.
pub fn complete_all<'r, 'k: 'r, E: From<Error>>(
    receipts: impl IntoIterator<Item = &'r PendingReceipt<'k>>,
    acknowledge: impl FnOnce() -> Result<(), E>,
    memory: &mut Memory,
    groups: &[&[ReplayKey]],
) -> Result<(), E> {
    for receipt in receipts {
        receipt.advance_locked()?;
    }
    acknowledge()?;
    for keys in groups {
        memory.add_all(keys)?;
    }
    Ok(())
}

impl Arrival<'_, ServiceMessage> {
    /// Whether the content is for the node itself: a renewed or reverse authorization.
    #[must_use]
    pub fn is_authorization(&self) -> bool {
        self.content.media_type() == AUTHORIZATION_TYPE
    }

    /// Takes the authorization that the parcel holds: only from the node that issued it, and only if it is for this
    /// one. That of a peer is imported; what a stranger sends makes no peer, and is kept apart until somebody
    /// imports the stranger. The caller holds the lock of the sender.
    ///
    /// # Errors
    /// [`AuthorizationError::Foreign`] when it is somebody else's; otherwise as
    /// [`Directory::import`].
    pub fn import_authorization(
        &self,
        node: &Directory,
        window: &Window,
    ) -> Result<AuthorizationEffect, Error> {
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
            vouched: true,
            one_way: false,
            now: self.due.now,
            window: *window,
        };
        if node.knows(sender)? {
            node.import(self.content.content(), &options)?;
            return Ok(AuthorizationEffect::OfPeer);
        }
        let key = (&self.due.originator, self.due.head.fields.date);
        let is_kept = node.hear(&params, key, &options)?;
        Ok(if is_kept {
            AuthorizationEffect::OfStranger
        } else {
            AuthorizationEffect::NoRoom
        })
    }
}

/// What became of an authorization that a parcel held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationEffect {
    /// It is among those of a peer.
    OfPeer,
    /// It is kept for answers to a stranger.
    OfStranger,
    /// It was a stranger's, of whom too many wrote today, and is not kept.
    NoRoom,
}

impl Arrival<'_, CollectionRequest> {
    /// Everything that is needed to pack the cargo that the CCA asks for. It goes under the
    /// authorization in it; its issuer's certificate lets a courier see that.
    ///
    /// # Errors
    /// [`AuthorizationError::CcaEnds`] when less than a day is left of the authorization; when the peer's session key
    /// cannot be read.
    pub fn correspondent(&self) -> Result<Correspondent, Error> {
        let id = self.due.head.sender.id();
        let name = self
            .peer_name()
            .unwrap_or_else(|| crate::node::peers::short_id(id));
        let ends = [&self.content.authorization, &self.due.head.sender].map(Certificate::not_after);
        if let Some(at) = ends.into_iter().min()
            && at < self.due.now + MIN_LIFE
        {
            return Err(Error::Authorization(AuthorizationError::CcaEnds {
                peer: name,
                at,
            }));
        }
        Ok(Correspondent {
            id,
            name,
            address: None,
            session_key: self.due.keyring.newest_session_key(
                id,
                &self.due.originator,
                self.due.head.fields.date,
            )?,
            certificates: vec![
                self.content.authorization.clone(),
                self.due.head.sender.clone(),
            ],
        })
    }
}

/// From when on a message will be valid that is not valid yet.
fn begins(error: &message::Error) -> Option<Timestamp> {
    match error {
        message::Error::Ramf(
            ramf::Error::Early(at) | ramf::Error::Pki(pki::Error::Early { at, .. }),
        )
        | message::Error::Pki(pki::Error::Early { at, .. }) => Some(*at),
        _ => None,
    }
}

/// A message of cargo that may be handed on.
#[derive(Debug)]
pub struct Unpacked {
    /// What kind of message it is.
    pub kind: Kind,
    /// Who sent it; of an acknowledgement, who sent the parcel.
    pub sender: NodeId,
    /// Whom it is for; of an acknowledgement, whom the parcel is for.
    pub recipient: NodeId,
    /// Its id; of an acknowledgement, the parcel's. Rotations have none.
    pub id: Option<String>,
    /// When its life ends, if it has an end of its own.
    pub expiry: Option<Timestamp>,
    /// The name of a file for it.
    pub file_name: String,
}

/// Verifies a message of cargo on its own. Parcels have to be valid and authorized as `policy` requires;
/// a rotation has to be signed by the gateway that sent the cargo, for the node that it is for. What is
/// read owns its octets, and they are copied into memory of `pool` for that.
///
/// # Errors
/// When it is malformed, of a kind that cargo does not hold, or one of these is not so. What is dated in the
/// future may be valid later, unless the cargo is over by then ([`Error::AfterCargo`]).
pub fn item(
    octets: &[u8],
    cargo: &Head,
    policy: &Policy,
    pool: &Buffers,
) -> Result<Unpacked, Error> {
    fields::check_len("message", octets.len(), limits::MAX_ITEM_LEN)?;
    let end = cargo.fields.expiry();
    let mut copy = pool.take(octets.len());
    copy.extend_from_slice(octets);
    let item =
        verify::transport(Item::parse(copy)?, policy).map_err(|error| match begins(&error) {
            Some(at) if at > end => Error::AfterCargo(at),
            _ => error.into(),
        })?;
    if let Item::Rotation(rotation) = &item {
        let leaf = &rotation.path.leaf;
        if leaf.id() != cargo.fields.recipient {
            return Err(Error::Import(ImportError::ForAnotherNode(leaf.id())));
        }
        if leaf.verify_signature(cargo.sender.key()).is_err() {
            return Err(Error::Authorization(AuthorizationError::ForeignRotation));
        }
    }
    let (sender, recipient, id) = match &item {
        Item::Pca(pca) => (pca.sender, pca.recipient, Some(pca.parcel_id.clone())),
        Item::Rotation(rotation) => (cargo.sender.id(), rotation.path.leaf.id(), None),
        Item::Parcel(_) | Item::Cargo(_) | Item::Cca(_) => match item.message() {
            Some(message) => {
                let fields = message.fields();
                (message.sender(), fields.recipient, Some(fields.id.clone()))
            }
            None => return Err(message::Error::Unknown.into()),
        },
    };
    let unpacked = Unpacked {
        kind: item.kind(),
        sender,
        recipient,
        id,
        expiry: item.expiry(),
        file_name: item.file_name(),
    };
    pool.put(item.into_octets());
    Ok(unpacked)
}
