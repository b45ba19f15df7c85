//! RS-000: what travels on the network, and what nodes tell each other to make it travel.

pub mod service_message;
pub mod file_name;
pub mod parcel;
pub mod message_set;
pub mod cargo;
pub mod collection_request;
pub mod cca;
pub mod pca;
pub mod certification_path;
pub mod rotation;
pub mod registration;
pub mod connection_params;
pub mod item;
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
pub use registration::Registration;
pub use rotation::Rotation;
pub use service_message::ServiceMessage;

use crate::kind::ErrorKind;
use crate::{asn1, pki, ramf, session};

/// Why octets are not an acceptable message or set of parameters.
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
    /// The octets are not an object of this network.
    #[error("neither a message, a key, a certificate nor parameters of this network")]
    Unknown,
    /// The message is not acceptable.
    #[error(transparent)]
    Ramf(#[from] ramf::Error),
    /// A key or certificate is not acceptable.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// A session key, or a payload, is not acceptable.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// Something else than a message or the end follows a message, so that nothing after it can be recognised.
    #[error("neither another message nor the end of the input follows the message")]
    Framing,
    /// The input ends inside a message.
    #[error("cut short")]
    Truncated,
    /// A PEM block is malformed.
    #[error("malformed PEM")]
    Pem,
    /// A PEM block holds something else than a message.
    #[error("a {0}, not a message")]
    NotAMessage(String),
    /// A signature in a registration does not match, or one of its certificates was not issued as it says.
    #[error("bad signature in the {0}")]
    Signature(&'static str),
    /// A kind of message that is specified, but that nobody emits and we do not read yet.
    #[error("a {0}, which is not read yet")]
    NotReadYet(ramf::Kind),
    /// A kind of message that is not carried in cargo.
    #[error("{0} is not carried in cargo")]
    NotInCargo(ramf::Kind),
    /// An object of this kind carries nothing that could be verified.
    #[error("nothing about a {} can be verified", .0.replace('-', " "))]
    NotVerifiable(&'static str),
    /// An object does not have what is asked for.
    #[error("a {} has no {what}", object.replace('-', " "))]
    Lacks {
        /// What kind of object it is.
        object: &'static str,
        /// What it does not have.
        what: &'static str,
    },
    /// The octets are not a part of a transfer.
    #[error("not a part of a transfer")]
    NotAPart,
    /// A part in a format that is newer than these programs.
    #[error("a part in version {0}, which is not read")]
    PartVersion(u8),
    /// A part contradicts those of the same transfer that came before it.
    #[error("part {index} contradicts others of its transfer: another {what}")]
    PartConflict {
        /// Which part it is.
        index: u32,
        /// What it says otherwise.
        what: &'static str,
    },
    /// A media type is empty, or not VisibleString.
    #[error("malformed media type")]
    MediaType,
    /// A media type is over the limit; both are in octets.
    #[error("a media type of {len} octets, over {limit}")]
    LongMediaType {
        /// How long it is, with the name of a file if that makes it too long.
        len: usize,
        /// The most.
        limit: usize,
    },
}

impl Error {
    /// What went wrong, in a word that a caller can act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Ramf(error) => error.kind(),
            Self::Pki(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::MediaType | Self::LongMediaType { .. } => ErrorKind::Usage,
            Self::Signature(_) => ErrorKind::Corrupt,
            Self::PartConflict { .. } => ErrorKind::Conflict,
            Self::NotInCargo(_) | Self::NotVerifiable(_) | Self::Lacks { .. } => {
                ErrorKind::Unsuitable
            }
            Self::Malformed { .. }
            | Self::Unknown
            | Self::Framing
            | Self::Truncated
            | Self::Pem
            | Self::NotAMessage(_)
            | Self::NotReadYet(_)
            | Self::NotAPart
            | Self::PartVersion(_) => ErrorKind::Malformed,
        }
    }
}

/// Names the structure that a walk failed in.
pub(crate) fn malformed(what: &'static str) -> impl Fn(asn1::Error) -> Error + Copy {
    move |cause| Error::Malformed { what, cause }
}
