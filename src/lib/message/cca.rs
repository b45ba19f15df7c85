//! Cargo collection authorizations: with one, a courier collects cargo for a gateway (RS-000 §CCA).

use super::Error;
use crate::ramf::{self, Kind, SignedMessage};

/// A well-formed CCA, whose signature and dates are not checked yet.
#[derive(Debug)]
pub struct Cca(pub(super) SignedMessage);

impl Cca {
    /// Parses all of `octets` as one message.
    ///
    /// # Errors
    /// When it is malformed, over a limit, or another kind of message.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        Self::try_from(SignedMessage::parse(octets)?)
    }

    /// Takes the RAMF message.
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
