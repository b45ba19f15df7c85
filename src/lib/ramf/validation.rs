//! What must hold before a message is processed any further (RS-001 §Processing, RS-002).
//!
//! [`Valid`] has a signature, dates and limits behind it, which is enough to carry a message;
//! [`Authorized`] also a path to a trusted key whose second node is the recipient, which is what
//! opening asks for. The types keep the order: nothing is decrypted before its signature is known
//! to be good.

use super::{Error, SignedMessage};
use crate::pki::{self, NodeId, PublicKey, Trust, Window, path};

/// A message whose signature, dates and limits are right.
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
    /// The message alone cannot tell: the recipient's certificate is not attached, or the recipient
    /// may be an Internet endpoint, which anybody may write to.
    NotShown,
    /// The sender's certificate is signed by somebody else, and the recipient has no Internet address.
    Refuted,
}

impl Valid {
    /// Checks the signature, then the dates of the message and of the sender's certificate.
    ///
    /// Whether the certificate was valid on the message's date is not asked: deployed cargo is
    /// dated before its certificate.
    ///
    /// # Errors
    /// When one of them is not right.
    pub fn check(message: SignedMessage, window: &Window) -> Result<Self, Error> {
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
    /// [`Error::Recipient`] when it is for another one.
    pub fn check_recipient(&self, node: NodeId) -> Result<(), Error> {
        let recipient = self.0.fields().recipient;
        if recipient == node {
            Ok(())
        } else {
            Err(Error::Recipient(recipient))
        }
    }

    /// What the attached certificates alone say about the sender's authorization; `trust` is asked only
    /// for signatures that it knows to be good.
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
            Authorization::Refuted
        } else {
            Authorization::NotShown
        }
    }

    /// Finds a certification path from the sender to a trusted key, and checks that the
    /// certificate after the sender's is the recipient's. `chain` are certificates known from
    /// elsewhere.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] when there is no such path; the dates of a path that is there but
    /// for them.
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

    /// Takes the message as authorized, if [`Valid::authorization_path`] finds that it is.
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

    /// Takes the message as authorized by policy: that of a node with an Internet address, which
    /// anybody may write to, or of a user who asks for any sender.
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

    /// Takes the message, to be opened.
    #[must_use]
    pub fn into_message(self) -> SignedMessage {
        self.0
    }
}
