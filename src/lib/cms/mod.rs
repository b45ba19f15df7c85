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
        /// The name of the structure.
        what: &'static str,
        /// The reason.
        cause: asn1::Error,
    },
    /// A structure has fewer or more parts of a kind than this network allows.
    #[error("{found} {what} where exactly one is allowed")]
    Count {
        /// The name of the parts, in the plural.
        what: &'static str,
        /// Their number.
        found: usize,
    },
    /// The signer is not named by issuer and serial number, or its certificate is not attached.
    #[error("the signer's certificate is not attached")]
    NoSignerCertificate,
    /// The signature is detached where content must be attached.
    #[error("the signed content is missing")]
    NoContent,
    /// The recipient is not named by a session key id (RS-003); key transport and passwords are
    /// never used.
    #[error("not encrypted to a session key")]
    NotASession,
    /// An algorithm that RS-018 does not allow.
    #[error("unsupported {0}")]
    Unsupported(&'static str),
    /// The attached certificates or the signature are not acceptable.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// Decryption failed. The reason is not given, since it would help an attacker.
    #[error("cannot be decrypted")]
    Decrypt,
    /// Encryption failed: no random octets, or a key of the wrong length.
    #[error(transparent)]
    Crypto(crypto::Error),
}

impl Error {
    /// The kind of this error, which callers act on.
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

/// Adds the name of the structure to a parser's error.
pub(crate) fn malformed(what: &'static str) -> impl Fn(asn1::Error) -> Error + Copy {
    move |cause| Error::Malformed { what, cause }
}
