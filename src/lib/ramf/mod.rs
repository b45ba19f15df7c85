//! RS-001: the Relaynet Abstract Message Format, the form of parcels, cargo and CCAs.
//!
//! A message is a format signature, then SignedData around five fields, the last of which is the
//! sealed payload.

pub mod format_signature;
pub mod limits;
pub mod address;
pub mod fields;
pub mod signed_message;
pub mod validation;

use jiff::Timestamp;

pub use address::InternetAddress;
pub use fields::Fields;
pub use format_signature::Kind;
pub use signed_message::{Head, SignedMessage};
pub use validation::{Authorization, Authorized, Valid};

use crate::kind::ErrorKind;
use crate::pki::NodeId;
use crate::{asn1, cms, pki};

/// Why octets are not an acceptable RAMF message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format signature is missing, or of an unknown kind.
    #[error("not a Relaynet message")]
    NotRamf,
    /// The format signature is the one that was in use until 2020.
    #[error("a message in the former `Relaynet` format, which is no longer supported")]
    FormerFormat,
    /// The version of this kind of message is unknown.
    #[error("version {0} of this kind of message is unknown")]
    Version(u8),
    /// Another kind of message was expected.
    #[error("a {found}, not a {expected}")]
    Kind {
        /// The kind that was expected.
        expected: Kind,
        /// The kind that was found.
        found: Kind,
    },
    /// A part is over its limit; both are in octets (RS-001 §Format).
    #[error("{part} has {found} octets, over {limit}")]
    TooLong {
        /// The name of the part.
        part: &'static str,
        /// Its length.
        found: usize,
        /// Its limit.
        limit: usize,
    },
    /// A field is malformed.
    #[error("malformed {field}: {cause}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// The reason.
        cause: asn1::Error,
    },
    /// The time to live is over 180 days, in seconds.
    #[error("time to live of {0} seconds, over {limit}", limit = limits::MAX_TTL)]
    Ttl(u32),
    /// An Internet address is not a domain name of two labels or more.
    #[error("malformed Internet address")]
    Address,
    /// The signed data, a certificate in it, or the signature is not acceptable.
    #[error(transparent)]
    Cms(#[from] cms::Error),
    /// The sender's certificate is not acceptable.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// The message has expired.
    #[error("expired at {0}")]
    Expired(Timestamp),
    /// The message is dated in the future.
    #[error("dated in the future, at {0}")]
    Early(Timestamp),
    /// The message is addressed to another node.
    #[error("addressed to {0}, not to this node")]
    Recipient(NodeId),
    /// The sender's certificate was not issued by the recipient.
    #[error("the recipient has not authorized {sender} to send to it")]
    Unauthorized {
        /// The node that signed the message.
        sender: NodeId,
    },
}

impl Error {
    /// The time from which a message will be valid, if it is early.
    #[must_use]
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        match self {
            Self::Early(at) => Some(*at),
            Self::Pki(error) => error.begins(),
            _ => None,
        }
    }

    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Cms(error) => error.kind(),
            Self::Pki(error) => error.kind(),
            Self::Expired(_) => ErrorKind::Expired,
            Self::Early(_) => ErrorKind::Early,
            Self::Recipient(_) => ErrorKind::OtherRecipient,
            Self::Unauthorized { .. } => ErrorKind::Unauthorized,
            Self::Kind { .. } => ErrorKind::Unsuitable,
            Self::NotRamf
            | Self::FormerFormat
            | Self::Version(_)
            | Self::TooLong { .. }
            | Self::Field { .. }
            | Self::Ttl(_)
            | Self::Address => ErrorKind::Malformed,
        }
    }
}
