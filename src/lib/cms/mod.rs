//! Cryptographic Message Syntax as Relaynet uses it (RFC 5652): read as BER, written as DER.

pub mod content_info;
pub mod signed_data;
pub mod enveloped_data;

pub use enveloped_data::EnvelopedData;
pub use signed_data::SignedData;

use crate::kind::ErrorKind;
use crate::{asn1, crypto, pki};

/// Why octets are not an acceptable CMS value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The structure is malformed.
    #[error("malformed {what}: {cause}")]
    Malformed {
        /// Which structure.
        what: &'static str,
        /// What is wrong with it.
        cause: asn1::Error,
    },
    /// A structure has fewer or more parts of a kind than this network allows.
    #[error("{found} {what} where exactly one is allowed")]
    Count {
        /// Which parts.
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// The signer is not named by issuer and serial number, or its certificate is not attached.
    #[error("the signer's certificate is not attached")]
    NoSignerCertificate,
    /// There is no content where it must be attached.
    #[error("the signed content is missing")]
    NoContent,
    /// The recipient is not named by a session key id (RS-003): key transport and passwords are
    /// never used.
    #[error("not encrypted to a session key")]
    NotASession,
    /// An algorithm that RS-018 does not allow.
    #[error("unsupported {0}")]
    Unsupported(&'static str),
    /// The attached certificates or the signature are not acceptable.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Decryption failed; why is not said, since the answer would help an attacker.
    #[error("cannot be decrypted")]
    Decrypt,
    /// No random octets are available.
    #[error(transparent)]
    Crypto(crypto::Error),
}

impl Error {
    /// What went wrong, in a word that a caller can act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Pki(error) => error.kind(),
            Self::Crypto(_) => ErrorKind::Internal,
            Self::Decrypt => ErrorKind::Corrupt,
            Self::Malformed { .. }
            | Self::Count { .. }
            | Self::NoSignerCertificate
            | Self::NoContent
            | Self::NotASession
            | Self::Unsupported(_) => ErrorKind::Malformed,
        }
    }
}

/// Names the structure that a walk failed in.
pub(crate) fn malformed(what: &'static str) -> impl Fn(asn1::Error) -> Error + Copy {
    move |cause| Error::Malformed { what, cause }
}
