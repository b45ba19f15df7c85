//! The checks before a message is processed any further (RS-001 §Processing, RS-002).
//!
//! A [`Valid`] message has a good signature and is within its dates and limits, which is enough to
//! carry it. An [`Authorized`] one also has a path to a trusted key whose second node is the
//! recipient, which is required to open it. The types enforce the order: nothing is decrypted
//! before its signature was verified.

use super::{Error, SignedMessage};
use crate::pki::{self, NodeId, PublicKey, Trust, Window, path};

/// A message whose signature, dates and limits were checked.
#[derive(Debug)]
pub struct Valid(SignedMessage);

/// A valid message whose sender may send to its recipient.
#[derive(Debug)]
pub struct Authorized(SignedMessage);

/// Whether a message shows that its recipient authorized its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// The sender's certificate is signed with the recipient's key.
    Shown,
    /// The message alone does not tell: the recipient's certificate is not attached, or the
    /// recipient may be an Internet endpoint, to which anyone may send.
    NotShown,
    /// The sender's certificate is signed with another key, and the recipient has no Internet
    /// address.
    Refuted,
}

impl Valid {
    /// Checks the signature, then the dates of the message and of the sender's certificate.
    ///
    /// The certificate need not have been valid on the message's date, although RS-001 requires it:
    /// deployed gateways date cargo before its certificate.
    ///
    /// # Errors
    /// When one of these checks fails.
    pub fn check(message: SignedMessage, window: &Window) -> Result<Self, Error> {
        // First, since the dates of a forged message mean nothing.
        message.verify_signature()?;
        let fields = message.fields();
        if window.is_before(fields.date) {
            return Err(Error::Early(fields.date));
        }
        if window.is_after(fields.expiry()) {
            return Err(Error::Expired(fields.expiry()));
        }
        message.sender_certificate().check_dates(window)?;
        Ok(Self(message))
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &SignedMessage {
        &self.0
    }

    /// Takes the message.
    #[must_use]
    pub fn into_message(self) -> SignedMessage {
        self.0
    }

    /// Checks that the message is for this node.
    ///
    /// # Errors
    /// [`Error::Recipient`] when it is addressed to another one.
    pub fn check_recipient(&self, node: NodeId) -> Result<(), Error> {
        let recipient = self.0.fields().recipient;
        if recipient == node {
            Ok(())
        } else {
            Err(Error::Recipient(recipient))
        }
    }

    /// What the attached certificates alone show of the sender's authorization. `trust` serves only
    /// as a cache of verified signatures.
    #[must_use]
    pub fn authorization(&self, trust: &Trust, window: &Window) -> Authorization {
        let sender = self.0.sender_certificate();
        let recipient = self.0.fields().recipient;
        let signed_by = |key: &PublicKey| trust.verifies(sender, key);
        let mut issuers = self
            .0
            .attached()
            .iter()
            .filter(|issuer| signed_by(issuer.key()));
        if issuers.clone().any(|issuer| {
            issuer.id() == recipient && issuer.is_ca() && issuer.check_dates(window).is_ok()
        }) {
            Authorization::Shown
        } else if self.0.fields().address.is_none()
            && (issuers.next().is_some() || signed_by(sender.key()))
        {
            // Without an address it is a private node, which must have issued the sender's
            // certificate.
            Authorization::Refuted
        } else {
            Authorization::NotShown
        }
    }

    /// Finds a certification path from the sender to a trusted key, and checks that the second
    /// certificate is the recipient's. `chain` has certificates from other sources than the
    /// message.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when there is no such path; a date error when there is one that is
    /// not valid in `window`.
    pub fn authorization_path(
        &self,
        trust: &Trust,
        chain: &[pki::Certificate],
        window: &Window,
    ) -> Result<Vec<NodeId>, Error> {
        let sender = self.0.sender_certificate();
        let unauthorized = Error::Unauthorized {
            sender: sender.id(),
        };
        let pool: Vec<pki::Certificate> = self.0.attached().iter().chain(chain).cloned().collect();
        let nodes = match path::find(sender, &pool, trust, window) {
            Ok(path) => path.nodes,
            Err(pki::Error::NoPath) => return Err(unauthorized),
            Err(dates) => return Err(dates.into()),
        };
        if nodes.get(1) == Some(&self.0.fields().recipient) {
            Ok(nodes)
        } else {
            Err(unauthorized)
        }
    }

    /// Turns the message into an authorized one, if [`Valid::authorization_path`] finds a path.
    ///
    /// # Errors
    /// As [`Valid::authorization_path`].
    pub fn authorize(
        self,
        trust: &Trust,
        chain: &[pki::Certificate],
        window: &Window,
    ) -> Result<Authorized, Error> {
        self.authorization_path(trust, chain, window)?;
        Ok(Authorized(self.0))
    }

    /// Turns the message into an authorized one by policy: that of a node with an Internet address,
    /// to which anyone may send, or of a user who accepts any sender.
    #[must_use]
    pub fn from_anybody(self) -> Authorized {
        Authorized(self.0)
    }
}

impl Authorized {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &SignedMessage {
        &self.0
    }

    /// Takes the message, to open it.
    #[must_use]
    pub fn into_message(self) -> SignedMessage {
        self.0
    }
}
