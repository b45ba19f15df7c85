//! Cargo collection authorizations: they let a courier collect cargo (RS-000 §CCA).

use super::Error;
use crate::ramf::{self, Kind, SignedMessage};

/// A CCA whose structure is right; nothing else about it was looked at.
#[derive(Debug)]
pub struct Cca(pub(super) SignedMessage);

impl Cca {
    /// Reads octets that are all one message.
    ///
    /// # Errors
    /// When they are malformed, over a limit, or another kind of message.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        Self::try_from(SignedMessage::parse(octets)?)
    }

    /// The message.
    #[must_use]
    pub fn into_message(self) -> SignedMessage {
        self.0
    }
}

impl AsRef<SignedMessage> for Cca {
    fn as_ref(&self) -> &SignedMessage {
        &self.0
    }
}

impl TryFrom<SignedMessage> for Cca {
    type Error = Error;

    fn try_from(message: SignedMessage) -> Result<Self, Error> {
        match message.kind() {
            Kind::Cca => Ok(Self(message)),
            found => Err(ramf::Error::Kind {
                expected: Kind::Cca,
                found,
            }
            .into()),
        }
    }
}
