//! RS-000: the messages of the network, and the parameters that nodes exchange to set up their
//! transport.

pub mod media_type;
pub mod service_message;
pub mod file_name;
pub mod parcel;
pub mod message_set;
pub mod cargo;
pub mod collection_request;
pub mod cca;
pub mod pca;
pub mod pdd;
pub mod certification_path;
pub mod rotation;
pub mod registration;
pub mod countersignature; // by a registered node, for its gateway
pub mod parcel_collection; // what a gateway and its node say while parcels are collected
pub mod connection_params;
pub mod successor; // a node that takes the place of another
pub mod item;
mod phrase; // words for objects in a sentence
pub mod scanned; // the text of codes that phones read
pub mod object;
pub mod stream;
pub mod parts;

pub use cargo::Cargo;
pub use cca::Cca;
pub use certification_path::CertificationPath;
pub use collection_request::CollectionRequest;
pub use connection_params::{NodeConnectionParams, PrivateEndpointConnectionParams};
pub use item::Item;
pub use message_set::CargoMessageSet;
pub use object::Object;
pub use parcel::Parcel;
pub use parts::Part;
pub use pca::Pca;
pub use pdd::Pdd;
pub use phrase::phrase;
pub use registration::Registration;
pub use rotation::Rotation;
pub use service_message::ServiceMessage;
pub use successor::SuccessorNotice;

use jiff::Timestamp;

use crate::kind::ErrorKind;
use crate::{asn1, pki, ramf, session};

/// Why octets are not an acceptable message or set of parameters.
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
    /// The octets are not an object of this network.
    #[error("neither a message, a key, a certificate nor parameters of this network")]
    Unknown,
    /// The text of a code with digits to compare, where an object is to be read.
    #[error("digits to compare an object with, not the object")]
    LoneDigest,
    /// The message is not acceptable.
    #[error(transparent)]
    Ramf(#[from] ramf::Error),
    /// A key or certificate is not acceptable.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// A session key, or a payload, is not acceptable.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// A message is followed by neither a message nor the end, so that nothing after it can be
    /// recognised.
    #[error("neither another message nor the end of the input follows the message")]
    Framing,
    /// The input ends inside a message.
    #[error("cut short")]
    Truncated,
    /// A PEM block is malformed.
    #[error("malformed PEM")]
    Pem,
    /// A PEM block does not hold a message.
    #[error("{}, not a message", phrase(.0))]
    NotAMessage(String),
    /// A signature in a registration does not match, or a certificate was not issued by its
    /// gateway.
    #[error("bad signature in the {0}")]
    Signature(&'static str),
    /// A deauthorization is signed by neither the issuer of the authorizations nor a gateway that
    /// certified it.
    #[error("signed by {signer}, which may not revoke authorizations of {issuer}")]
    Revoker {
        /// The node that signed it.
        signer: pki::NodeId,
        /// The issuer of the authorizations.
        issuer: pki::NodeId,
    },
    /// A deauthorization has more serial numbers than allowed.
    #[error("{found} serial numbers, over {limit}")]
    TooManySerials {
        /// Their number, or that of those which were read.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A kind of message that is not carried in cargo.
    #[error("{0} is not carried in cargo")]
    NotInCargo(ramf::Kind),
    /// An object of a kind that has nothing to verify.
    #[error("nothing about {} can be verified", phrase(.0))]
    NotVerifiable(&'static str),
    /// An object lacks what is asked for.
    #[error("no {what} in {}", phrase(.object))]
    Lacks {
        /// The kind of the object.
        object: &'static str,
        /// What it lacks.
        what: &'static str,
    },
    /// The octets are not a part of a transfer.
    #[error("not a part of a transfer")]
    NotAPart,
    /// A part in a format that is newer than these programs.
    #[error("a part in version {0}, which is not supported")]
    PartVersion(u8),
    /// A part contradicts earlier ones of the same transfer.
    #[error("part {index} contradicts others of its transfer: another {what}")]
    PartConflict {
        /// The index of the part.
        index: u32,
        /// The property that differs.
        what: &'static str,
    },
    /// A media type is empty, or not a VisibleString.
    #[error("malformed media type")]
    MediaType,
    /// A media type is no type and subtype.
    #[error("{0}: not a media type such as text/plain")]
    NotAMediaType(String),
    /// Content of this media type is not sent in parts.
    #[error(
        "content of type {0} cannot be sent in parts: the type has over 160 octets, or is one that programs act on"
    )]
    NotAWhole(String),
    /// A media type is over the limit; both are in octets.
    #[error("a media type of {len} octets, over {limit}")]
    LongMediaType {
        /// Its length, with the name of a file if that makes it too long.
        len: usize,
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// The time from which a message will be valid, if it is early.
    #[must_use]
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        match self {
            Self::Ramf(error) => error.begins(),
            Self::Pki(error) => error.begins(),
            _ => None,
        }
    }

    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Ramf(error) => error.kind(),
            Self::Pki(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::MediaType
            | Self::NotAMediaType(_)
            | Self::NotAWhole(_)
            | Self::LongMediaType { .. } => ErrorKind::Usage,
            Self::Signature(_) => ErrorKind::Corrupt,
            Self::PartConflict { .. } => ErrorKind::Conflict,
            Self::Revoker { .. } => ErrorKind::Unauthorized,
            Self::NotInCargo(_) | Self::NotVerifiable(_) | Self::Lacks { .. } => {
                ErrorKind::Unsuitable
            }
            Self::Malformed { .. }
            | Self::Unknown
            | Self::LoneDigest
            | Self::Framing
            | Self::Truncated
            | Self::Pem
            | Self::NotAMessage(_)
            | Self::TooManySerials { .. }
            | Self::NotAPart
            | Self::PartVersion(_) => ErrorKind::Malformed,
        }
    }
}

/// Adds the name of the structure to a parser's error.
pub(crate) fn malformed(what: &'static str) -> impl Fn(asn1::Error) -> Error + Copy {
    move |cause| Error::Malformed { what, cause }
}
