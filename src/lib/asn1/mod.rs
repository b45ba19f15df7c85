//! BER, PEM, dates and object identifiers: what the `der` crate lacks.
//!
//! [`ber`] reads values without rewriting them, so that signed octets stay as received;
//! [`mod@write`] builds DER from the inside out in one buffer. X.690 is the reference for both.

pub mod ber;
pub mod write;
pub mod text;
pub mod pem;
pub mod hex;
pub mod base32;
pub mod visible_string;
pub mod date_time;
pub mod oid;
pub mod algorithm;
pub mod spki;

use crate::kind::ErrorKind;

pub use ber::{Cursor, Element};
pub use hex::Hex;
pub use write::Buffer;

/// Why octets are not the ASN.1 value that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value runs past the end of its container.
    #[error("cut short")]
    Truncated,
    /// A length is malformed: reserved, in more than four octets, or not minimal where DER is
    /// required.
    #[error("malformed length")]
    Length,
    /// An indefinite length where DER is required (X.690 §10.1).
    #[error("indefinite length where DER is required")]
    Indefinite,
    /// A string or indefinite length is nested deeper than [`ber::MAX_DEPTH`].
    #[error("nested over {} levels", ber::MAX_DEPTH)]
    TooDeep,
    /// The value is longer than the caller's limit, in octets.
    #[error("over {0} octets")]
    TooLong(usize),
    /// The next value has another tag than the structure requires.
    #[error("tag {expected:02x} expected, {found:02x} found")]
    Tag {
        /// The identifier octet that was expected.
        expected: u8,
        /// The identifier octet that was found.
        found: u8,
    },
    /// The container ended before the value with this tag.
    #[error("value with tag {0:02x} missing")]
    Missing(u8),
    /// Octets follow the last value.
    #[error("octets after the last value")]
    Trailing,
    /// The value's content is not what its type allows.
    #[error("malformed {0}")]
    Value(&'static str),
    /// A character that base32 does not have.
    #[error("{0:?} is no digit of base32")]
    Base32(char),
    /// Text is in UTF-16 where UTF-8 is read.
    #[error("text in UTF-16, not UTF-8")]
    Utf16,
    /// An algorithm, key type or curve that Relaynet does not allow (RS-018).
    #[error("unsupported {0}")]
    Unsupported(&'static str),
}

impl Error {
    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

/// Identifier octets (X.690 §8.1.2) in use on this network; context tags are written as literals.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING, primitive.
    pub const OCTET_STRING: u8 = 0x04;
    /// NULL.
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub const OID: u8 = 0x06;
    /// UTF8String.
    pub const UTF8_STRING: u8 = 0x0c;
    /// PrintableString.
    pub const PRINTABLE_STRING: u8 = 0x13;
    /// UTCTime.
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime.
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// BMPString.
    pub const BMP_STRING: u8 = 0x1e;
    /// SEQUENCE and SEQUENCE OF.
    pub const SEQUENCE: u8 = 0x30;
    /// SET and SET OF.
    pub const SET: u8 = 0x31;
}
