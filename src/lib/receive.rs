//! Receives messages, in this order: verify, admit, check for repetition, decrypt; then the caller
//! stores the content; then the sender's session key is stored, and the message is remembered.
//!
//! Each step may be repeated. A crash may cost a duplicate, but never a message.

mod for_node; // what is for the node itself
pub mod inbox; // what arrived in time and waited

use std::ops::{Deref, Range};

use jiff::Timestamp;

use crate::disk::Lock;
use crate::message::{
    self, Cargo, CargoMessageSet, Cca, CollectionRequest, Item, Parcel, ServiceMessage,
};
use crate::node::certificates::MIN_LIFE;
use crate::node::ciphertexts::Ciphertext;
use crate::node::seen::Memory;
use crate::node::{AuthorizationError, ImportError, ReplayError, SessionKeyError};
use crate::node::{Claim, Correspondent, Error, Keyring, Recall, ReplayKey};
use crate::pipeline::Buffers;
use crate::pki::{Certificate, NodeId, Window};
use crate::ramf::{Authorized, Head, Kind, SignedMessage, Valid, fields, limits};
use crate::session::{self, KeyId, PrivateSessionKey, PublicSessionKey, Sealed};
use crate::verify::{self, Policy};

pub use crate::message::certification_path::AUTHORIZATION_TYPE;
pub use for_node::ImportEffect;

/// The options for receiving a message.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveOptions {
    /// The instants that dates are checked against.
    pub window: Window,
    /// The time of arrival.
    pub now: Timestamp,
    /// Whether to open possible repetitions.
    pub repeats: Repeats,
}

/// Which possible repetitions are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// No message that was received before, or may have been.
    Refused,
    /// Messages of which it is unknown whether they were received before.
    Unjudged,
    /// All messages.
    Taken,
}

impl Repeats {
    /// Checks that a message with this answer of the replay memory is opened.
    fn check(self, recall: Recall) -> Result<(), Error> {
        match (recall, self) {
            (Recall::Seen, Self::Refused | Self::Unjudged) => Err(Error::Replay(ReplayError::Seen)),
            (Recall::Unjudged, Self::Refused) => Err(Error::Replay(ReplayError::Unjudged)),
            _ => Ok(()),
        }
    }
}

/// An opened message with its content, and what is left to do. While it exists, no other run
/// receives messages from the same sender.
pub struct Arrival<'a, T> {
    content: T,
    due: PendingReceipt<'a>,
    _held: Held,
}

/// The claim and the locks that were held when the memory was asked, and keep its answer true.
#[derive(Default)]
struct Held {
    // Released before the locks: who waits for those then finds no claim.
    _claim: Option<Claim>,
    _locks: Vec<Lock>,
}

/// What is left to do for a message after its content is stored.
pub struct PendingReceipt<'a> {
    keyring: &'a dyn Keyring,
    head: Head,
    originator: PublicSessionKey,
    used_key: KeyId,
    /// Its ciphertext, if another may have signed that, too.
    ciphertext: Option<Ciphertext>,
    /// The key to remember it by; `None` if it is remembered already.
    identity: Option<ReplayKey>,
    now: Timestamp,
}

/// Opens a parcel that is all of `octets`.
///
/// # Errors
/// When the parcel is malformed, not valid now, for another node, from an unauthorized sender,
/// received before, sealed to an unknown key, or undecryptable.
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
/// As [`parcel`]; and when the authorization is for another node, from another issuer, or not valid
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
    // Locked before the memory is asked, so that no other run opens the same message in between.
    let locks = keyring.lock_sender(message.message().sender_certificate())?;
    // Of what has content for users. relay-deliver holds it while it hands over such messages.
    let claim = match message.message().kind() {
        Kind::Parcel => keyring.claim_sender(message.message().sender())?,
        _ => None,
    };
    let identity = ReplayKey::of(message.message());
    let recall = keyring.recall(&identity)?;
    if message.message().kind() == Kind::Parcel
        && recall == Recall::New
        && terms.repeats != Repeats::Taken
    {
        keyring.count(message.message())?;
    }
    let keys = |sender, id: &KeyId| keyring.session_keys(sender, id).map(Box::new);
    let admitted = Verified {
        message,
        identity,
        recall,
        held: Held {
            _claim: claim,
            _locks: locks,
        },
    };
    let arrival = opened(keyring, admitted, terms, keys, parse)?;
    // Before the content is handed out, so that of two runs one is first.
    arrival.due.check_sender(terms.repeats)?;
    Ok(arrival)
}

/// A verified and authorized message, with the answer of the replay memory.
struct Verified {
    message: Authorized,
    identity: ReplayKey,
    recall: Recall,
    held: Held,
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
        held,
    } = admitted;
    let sender = message.message().sender();
    // Before the session key is looked up: that of a repetition may be deleted by now.
    terms.repeats.check(recall)?;
    let sealed = Sealed::parse(message.message().payload())?;
    let ciphertext = Ciphertext::of(message.message(), &sealed);
    let used_key = sealed.recipient_key_id().clone();
    let keys = keys(sender, &used_key)?;
    if keys.is_empty() {
        return Err(Error::SessionKey(SessionKeyError::Unknown(used_key)));
    }
    let (head, mut octets, payload) = message.into_message().into_payload();
    let opened = sealed.open_in_place(&keys, &mut octets[payload.clone()])?;
    let plaintext = payload.start + opened.plaintext.start..payload.start + opened.plaintext.end;
    // One error for everything behind the decryption, so that a sender learns nothing from it.
    let content = parse(octets, plaintext).map_err(|_| session::Error::Undecryptable)?;
    Ok(Arrival {
        content,
        due: PendingReceipt {
            keyring,
            head,
            originator: opened.originator,
            used_key,
            ciphertext,
            identity: (recall != Recall::Seen).then_some(identity),
            now: terms.now,
        },
        _held: held,
    })
}

impl<'a, T> Arrival<'a, T> {
    /// All of the message but the payload.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.due.head
    }

    /// The decrypted content.
    #[must_use]
    pub fn content(&self) -> &T {
        &self.content
    }

    /// The sender's name here, if it has one.
    #[must_use]
    pub fn peer_name(&self) -> Option<String> {
        self.due.keyring.peer_name(self.due.head.sender.id())
    }

    /// Completes the receipt after the content is stored: stores the sender's session key, then
    /// remembers the message. Returns the content.
    ///
    /// # Errors
    /// When either cannot be stored. Then the message can be opened again.
    pub fn complete(self) -> Result<T, Error> {
        self.due.complete()?;
        Ok(self.content)
    }

    /// Whether `other` is about the same message, and neither is remembered yet.
    #[must_use]
    pub fn repeats(&self, other: &PendingReceipt<'_>) -> bool {
        self.due.identity.is_some() && self.due.identity == other.identity
    }

    /// Releases the lock on the sender, and leaves the rest for later.
    #[must_use]
    pub fn into_due(self) -> (T, PendingReceipt<'a>) {
        (self.content, self.due)
    }
}

impl PendingReceipt<'_> {
    /// Completes the receipt as [`Arrival::complete`] does. Other messages from the same sender may
    /// have been received in between.
    ///
    /// # Errors
    /// As [`Arrival::complete`].
    pub fn complete_later(self) -> Result<(), Error> {
        let _locks = self.keyring.lock_sender(&self.head.sender)?;
        self.complete()
    }

    /// Checks that no other sender sent the ciphertext first, unless the user wants it all the same.
    fn check_sender(&self, repeats: Repeats) -> Result<(), Error> {
        let Some(ciphertext) = &self.ciphertext else {
            return Ok(());
        };
        match self.keyring.first_sender(ciphertext)? {
            Some(first) if repeats != Repeats::Taken => {
                let accepted = self.identity.as_ref().map(ReplayKey::whoever_wrote_it);
                let is_accepted =
                    accepted.map_or(Ok(Recall::New), |it| self.keyring.recall(&it))?;
                match is_accepted {
                    Recall::Seen => Ok(()),
                    Recall::New | Recall::Unjudged => Err(sent_by_another(first, ciphertext)),
                }
            }
            _ => Ok(()),
        }
    }

    /// The key to remember the message by; `None` if it is remembered already.
    #[must_use]
    pub fn identity(&self) -> Option<&ReplayKey> {
        self.identity.as_ref()
    }

    /// Stores the effect of the message on the session with its sender.
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

    /// The key to remember the message by; `None` if it is remembered already.
    #[must_use]
    pub fn into_identity(self) -> Option<ReplayKey> {
        self.identity
    }

    /// As [`PendingReceipt::advance`], under the lock of the sender.
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

/// Completes several receipts after the contents are stored: stores the session keys, lets the
/// caller acknowledge, then remembers `groups`, each of which is synced before the next.
///
/// Messages are remembered last: a killed run could not do the other steps afterwards, since
/// remembered messages are not opened again.
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

impl Arrival<'_, CollectionRequest> {
    /// The data for packing the cargo that the CCA asks for. The cargo is sent under the
    /// authorization in the CCA, with its issuer's certificate, so that a courier can verify it.
    /// # Errors
    /// [`AuthorizationError::CcaEnds`] when the authorization has less than a day left; when the
    /// peer's session key cannot be read.
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
            // Cargo that answers a CCA goes by courier, and needs no address.
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

fn sent_by_another(first: NodeId, ciphertext: &Ciphertext) -> Error {
    Error::Replay(ReplayError::SentByAnother {
        first,
        sender: ciphertext.sender(),
    })
}

/// The time from which a message will be valid, if it is early.
fn begins(error: &Error) -> Option<Timestamp> {
    match error {
        Error::Message(error) => error.begins(),
        Error::Ramf(error) => error.begins(),
        Error::Pki(error) => error.begins(),
        _ => None,
    }
}

/// A message from cargo that is verified.
#[derive(Debug)]
pub struct Unpacked {
    /// The kind of message.
    pub kind: Kind,
    /// The sender; for an acknowledgement, the sender of the parcel; for a deauthorization, its signer.
    pub sender: NodeId,
    /// The recipient; for an acknowledgement, the recipient of the parcel; for a deauthorization, the issuer of what it
    /// revokes.
    pub recipient: NodeId,
    /// The message id; for an acknowledgement, that of the parcel. Rotations and deauthorizations have none.
    pub id: Option<String>,
    /// The expiry, if the message has its own.
    pub expiry: Option<Timestamp>,
    /// A name for its file.
    pub file_name: String,
}

/// Verifies a message from cargo on its own. A parcel must be valid and authorized as `policy`
/// requires. A rotation must be signed by the gateway that sent the cargo, for the recipient of the
/// cargo. `octets` are copied into a buffer of `pool`, since parsed messages own their octets.
///
/// # Errors
/// When it is malformed, of a kind that is not carried in cargo, or not verified. An early message
/// may become valid later, unless the cargo expires before that ([`Error::AfterCargo`]).
pub fn item(
    octets: &[u8],
    cargo: &Head,
    policy: &Policy,
    pool: &Buffers,
) -> Result<Unpacked, Error> {
    Ok(item_seen(octets, cargo, policy, pool, |_, _| ())?.0)
}

/// As [`item`]. Before the message goes back to the pool, `look` sees a parcel, and whether it shows
/// that its recipient authorized its sender.
///
/// # Errors
/// As [`item`].
pub fn item_seen<T>(
    octets: &[u8],
    cargo: &Head,
    policy: &Policy,
    pool: &Buffers,
    look: impl FnOnce(&SignedMessage, bool) -> T,
) -> Result<(Unpacked, Option<T>), Error> {
    fields::check_len("message", octets.len(), limits::MAX_ITEM_LEN)?;
    let end = cargo.fields.expiry();
    let mut copy = pool.take(octets.len());
    copy.extend_from_slice(octets);
    let (item, is_shown) =
        verify::transit(Item::parse(copy)?, policy).map_err(|error| match begins(&error) {
            Some(at) if at > end => Error::AfterCargo(at),
            _ => error,
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
    // An acknowledgement is unsigned, and names the parcel in place of itself.
    let (sender, recipient, id) = match &item {
        Item::Pca(pca) => (pca.sender, pca.recipient, Some(pca.parcel_id.clone())),
        Item::Rotation(rotation) => (cargo.sender.id(), rotation.path.leaf.id(), None),
        Item::Pdd(pdd) => (pdd.signer(), pdd.issuer, None),
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
    let parcel = item.message().filter(|_| item.kind() == Kind::Parcel);
    let seen = parcel.map(|parcel| look(parcel, is_shown));
    pool.put(item.into_octets());
    Ok((unpacked, seen))
}
