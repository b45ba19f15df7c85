//! Messages that come from the network onto a medium, and go from a medium over the network: without keys, as
//! relay-carry moves them from medium to medium.

use jiff::Timestamp;

use super::layout::{Medium, denied};
use super::{Error, MediumFile};
use crate::crypto::hash;
use crate::kind::ErrorKind;
use crate::message::{Item, Object};
use crate::node;
use crate::pki::NodeId;
use crate::ramf::{InternetAddress, Kind};
use crate::verify::{self, AuthorizationVerdict, Policy};

/// Cargo, or a request for it, that is signed, not expired, and not sent against the will of its recipient.
#[derive(Debug)]
pub struct PassingMessage {
    /// The kind of message.
    pub kind: Kind,
    /// The gateway that it is for.
    pub recipient: NodeId,
    /// Where that is on the Internet, if it is there.
    pub address: Option<InternetAddress>,
    /// The gateway that sent it.
    pub sender: NodeId,
    /// When it was made.
    pub date: Timestamp,
    /// When it expires.
    pub expiry: Timestamp,
    /// Whether it shows, with what the policy knows, that its recipient authorized its sender.
    pub is_authorized: bool,
    /// The SHA-256 of its octets.
    pub sha256: [u8; 32],
    octets: Vec<u8>,
}

impl PassingMessage {
    /// Verifies a message of one of these kinds.
    ///
    /// # Errors
    /// When it is malformed, of another kind, badly signed, not valid now, or its sender is not authorized.
    pub fn verify(octets: Vec<u8>, kinds: &[Kind], policy: &Policy) -> Result<Self, Error> {
        let sha256 = hash::sha256(&octets);
        let item = Item::parse(octets.clone())?;
        let kind = item.kind();
        let address = match item.message() {
            Some(message) if kinds.contains(&kind) => message.fields().address.clone(),
            _ => return Err(Error::Damaged),
        };
        let verdict = verify::object(Object::Message(Box::new(item)), policy)?;
        let is_authorized = match verdict.authorized {
            AuthorizationVerdict::Yes => true,
            AuthorizationVerdict::NotShown => false,
            AuthorizationVerdict::No(error) => return Err(error.into()),
        };
        let facts = (
            verdict.sender,
            verdict.recipient,
            verdict.date,
            verdict.expiry,
        );
        let (Some(sender), Some(recipient), Some(date), Some(expiry)) = facts else {
            return Err(Error::Damaged);
        };
        Ok(Self {
            kind,
            recipient,
            address,
            sender,
            date,
            expiry,
            is_authorized,
            sha256,
            octets,
        })
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// Cargo on a medium that may go over the network, and what it is for.
#[derive(Debug)]
pub struct WaitingCargo {
    /// The file.
    pub file: MediumFile,
    /// When it expires.
    pub expiry: Timestamp,
    /// Where its recipient is on the Internet, if it is there.
    pub address: Option<InternetAddress>,
}

impl Medium {
    /// Stores a message, durably. Whether it was new here.
    ///
    /// # Errors
    /// When it cannot be written, or reads back differently.
    pub fn store(&self, message: &PassingMessage) -> Result<bool, Error> {
        let ends = (message.recipient, message.sender);
        let found = self.find(message.kind, ends, message.sha256)?;
        if let Some(file) = found
            && matches!(file.read(), Ok(Some(_)))
            && let Some(dir) = file.dir()?
        {
            // Who stored it may have been killed before its name was on the disk.
            dir.sync()?;
            return Ok(false);
        }
        let (pending, _) = self.prepare(message.kind, ends, message.octets())?;
        pending.place().map_err(denied)?;
        Ok(true)
    }

    /// Stores a request, durably, in place of earlier ones between the same gateways. One that is older than a stored one
    /// is not stored. Whether it was.
    ///
    /// # Errors
    /// When it cannot be written, or those that are there cannot be listed.
    pub fn store_request(&self, message: &PassingMessage, policy: &Policy) -> Result<bool, Error> {
        let mut older = Vec::new();
        let mut files = self.files_for(Kind::Cca, message.recipient)?;
        while let Some(file) = files.next_message()? {
            if file.sender != message.sender || file.sha256 == message.sha256 {
                continue;
            }
            let octets = match file.read() {
                Ok(Some(octets)) => octets,
                Ok(None) => continue,
                // It counts for nothing.
                Err(Error::Damaged) => Vec::new(),
                Err(error) => return Err(error),
            };
            match Self::verify_stored(octets, policy) {
                Some(other) if other.sender == message.sender && other.date > message.date => {
                    return Ok(false);
                }
                _ => older.push(file),
            }
        }
        let is_new = self.store(message)?;
        for file in older {
            self.remove(&file)?;
        }
        Ok(is_new)
    }

    fn verify_stored(octets: Vec<u8>, policy: &Policy) -> Option<PassingMessage> {
        PassingMessage::verify(octets, &[Kind::Cca], policy).ok()
    }

    /// The messages of a kind for a gateway, those that expire first first. Files that are damaged, expired or of another
    /// sender than their name says are left out, and reported.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn waiting(
        &self,
        kind: Kind,
        gateway: NodeId,
        policy: &Policy,
        report: &mut dyn FnMut(MediumFile, Error),
    ) -> Result<Vec<WaitingCargo>, Error> {
        let mut waiting = Vec::new();
        let mut files = self.files_for(kind, gateway)?;
        while let Some(file) = files.next_message()? {
            let judged = file.read().and_then(|octets| match octets {
                Some(octets) => PassingMessage::verify(octets, &[kind], policy).map(Some),
                None => Ok(None),
            });
            match judged {
                Ok(Some(it)) if (it.sender, it.recipient) == (file.sender, gateway) => {
                    waiting.push(WaitingCargo {
                        file,
                        expiry: it.expiry,
                        address: it.address,
                    });
                }
                Ok(Some(_)) => report(file, Error::OtherSender),
                Ok(None) => {}
                Err(error) => report(file, error),
            }
        }
        waiting.sort_by_key(|it| (it.expiry, it.file.sha256));
        Ok(waiting)
    }
}

/// Whether a message that came over the network is refused for good, so that another try would not help it.
#[must_use]
pub fn is_refused_for_good(error: &Error, is_clock_believed: bool) -> bool {
    use ErrorKind as K;
    match error.kind() {
        K::Early => false,
        kind if kind.depends_on_clock() => is_clock_believed,
        K::Malformed
        | K::Corrupt
        | K::Conflict
        | K::Unsuitable
        | K::OtherRecipient
        | K::UnknownKey
        | K::Unauthorized
        | K::Untrusted
        | K::Forbidden
        | K::Seen => !matches!(error, Error::Node(node::Error::UnreadablePeer { .. })),
        _ => false,
    }
}
