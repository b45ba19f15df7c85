//! RS-003: channel sessions. Each message carries a session key of its originator, to seal the
//! answer to.

pub mod session_key;
pub mod agreement;
pub mod ratchet;

pub use agreement::{OpenedPayload, Sealed};
pub use session_key::{KeyId, PrivateSessionKey, PublicSessionKey};

use crate::kind::ErrorKind;
use crate::{asn1, cms, crypto};

/// Why a session key or a payload cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A session key is malformed or on a curve that RS-018 does not allow.
    #[error("malformed session key: {0}")]
    Key(asn1::Error),
    /// A private session key cannot be used.
    #[error("unusable session key: {0}")]
    PrivateKey(#[source] crypto::Error),
    /// A session key id is not 1 to 64 octets, or not in hexadecimal digits.
    #[error("malformed session key id")]
    KeyId,
    /// The payload is not a well-formed EnvelopedData for a session key.
    #[error("malformed payload: {0}")]
    Payload(#[source] cms::Error),
    /// A step from key agreement to parsing the plaintext failed. All have one text: a difference
    /// would be an oracle for anyone who can have messages opened.
    #[error("cannot be decrypted")]
    Undecryptable,
    /// A session key could not be generated or used, or the random number generator failed.
    #[error(transparent)]
    Crypto(crypto::Error),
    /// The payload could not be encrypted.
    #[error(transparent)]
    Cms(cms::Error),
}

impl Error {
    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Crypto(_) => ErrorKind::Internal,
            Self::Cms(error) => error.kind(),
            Self::Undecryptable => ErrorKind::Corrupt,
            Self::Key(_) | Self::PrivateKey(_) | Self::KeyId | Self::Payload(_) => {
                ErrorKind::Malformed
            }
        }
    }
}
