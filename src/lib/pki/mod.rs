//! RS-002: node ids, identity keys, certificates, certification paths and trust.

pub mod node_id;
pub mod signature;
pub mod identity_key;
mod window;
pub mod rate_limit;
pub mod certificate;
pub mod issuance;
pub mod trust;
pub mod path;

use jiff::Timestamp;

pub use certificate::Certificate;
pub use identity_key::{IdentityKey, PublicKey};
pub use node_id::NodeId;
pub use rate_limit::RateLimit;
pub use trust::Trust;
pub use window::Window;

use crate::kind::ErrorKind;
use crate::{asn1, crypto};

/// Why a key, a certificate or a path is not acceptable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node id is not `0` and 64 lower-case hexadecimal digits.
    #[error("malformed node id")]
    NodeId,
    /// A key is malformed or of a kind that identity keys cannot be.
    #[error("malformed identity key: {0}")]
    Key(asn1::Error),
    /// A private key cannot be used.
    #[error("unusable identity key: {0}")]
    PrivateKey(#[source] crypto::Error),
    /// A certificate is malformed.
    #[error("malformed certificate: {0}")]
    Certificate(asn1::Error),
    /// The signature algorithm is not one that RS-018 allows.
    #[error("unsupported signature algorithm")]
    SignatureAlgorithm,
    /// A signature does not match what it signs.
    #[error("bad signature")]
    Signature,
    /// An authority's certificate is not signed by the issuer that it names.
    #[error("the certificate of {0} is not signed by the issuer that it names")]
    Issuer(NodeId),
    /// No certification path leads from the certificate to a trusted key.
    #[error("no certification path to a trusted key")]
    NoPath,
    /// A certificate of the path has expired.
    #[error("certificate of {subject} expired at {at}")]
    Expired {
        /// The certificate's subject.
        subject: NodeId,
        /// The end of its validity.
        at: Timestamp,
    },
    /// A certificate of the path is not valid yet.
    #[error("certificate of {subject} is valid only from {at}")]
    Early {
        /// The certificate's subject.
        subject: NodeId,
        /// The start of its validity.
        at: Timestamp,
    },
    /// The random number generator failed, or a key could not be generated or used.
    #[error(transparent)]
    Crypto(crypto::Error),
}

impl Error {
    /// The time from which a message will be valid, if it is early.
    #[must_use]
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        match self {
            Self::Early { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoPath => ErrorKind::Untrusted,
            Self::Expired { .. } => ErrorKind::Expired,
            Self::Early { .. } => ErrorKind::Early,
            Self::Signature | Self::Issuer(_) => ErrorKind::Corrupt,
            Self::Crypto(_) => ErrorKind::Internal,
            Self::NodeId
            | Self::Key(_)
            | Self::PrivateKey(_)
            | Self::Certificate(_)
            | Self::SignatureAlgorithm => ErrorKind::Malformed,
        }
    }
}
