//! A message of any kind: the element of streams and of cargo.

use std::ops::Deref;

use jiff::Timestamp;

use super::{Cargo, Cca, Error, Parcel, Pca, Pdd, Rotation};
use crate::asn1::Hex;
use crate::crypto::hash;
use crate::pki::Certificate;
use crate::ramf::{Kind, SignedMessage};

/// A message of a stream or of cargo, with the octets that it was read from.
#[derive(Debug)]
pub enum Item {
    /// A parcel.
    Parcel(Parcel),
    /// Cargo.
    Cargo(Cargo),
    /// A cargo collection authorization.
    Cca(Cca),
    /// A parcel collection acknowledgement.
    Pca(Received<Pca>),
    /// A certificate rotation.
    Rotation(Received<Rotation>),
    /// A parcel delivery deauthorization.
    Pdd(Received<Pdd>),
}

/// A control message with its octets as received: encoding it again could give others.
#[derive(Debug)]
pub struct Received<T> {
    value: T,
    octets: Vec<u8>,
}

impl<T> Received<T> {
    /// The octets as received.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Takes the parsed value.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Received<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl From<Pca> for Item {
    fn from(pca: Pca) -> Self {
        Self::Pca(Received {
            octets: pca.to_octets(),
            value: pca,
        })
    }
}

impl Item {
    /// Parses all of `octets` as one message, and keeps them.
    ///
    /// # Errors
    /// When it is malformed, over a limit, or of a kind that is not read yet.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        match Kind::read(&octets)? {
            Kind::Parcel => Ok(Self::Parcel(Parcel::parse(octets)?)),
            Kind::Cargo => Ok(Self::Cargo(Cargo::parse(octets)?)),
            Kind::Cca => Ok(Self::Cca(Cca::parse(octets)?)),
            Kind::Pca => Ok(Self::Pca(Received {
                value: Pca::parse(&octets)?,
                octets,
            })),
            Kind::Rotation => Ok(Self::Rotation(Received {
                value: Rotation::parse(&octets)?,
                octets,
            })),
            Kind::Pdd => Ok(Self::Pdd(Received {
                value: Pdd::parse(&octets)?,
                octets,
            })),
        }
    }

    /// The kind of the message.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Parcel(_) => Kind::Parcel,
            Self::Cargo(_) => Kind::Cargo,
            Self::Cca(_) => Kind::Cca,
            Self::Pca(_) => Kind::Pca,
            Self::Rotation(_) => Kind::Rotation,
            Self::Pdd(_) => Kind::Pdd,
        }
    }

    /// The octets as received.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        match self {
            Self::Parcel(Parcel(message))
            | Self::Cargo(Cargo(message))
            | Self::Cca(Cca(message)) => message.octets(),
            Self::Pca(pca) => pca.octets(),
            Self::Rotation(rotation) => rotation.octets(),
            Self::Pdd(pdd) => pdd.octets(),
        }
    }

    /// Takes the octets as received.
    #[must_use]
    pub fn into_octets(self) -> Vec<u8> {
        match self {
            Self::Parcel(Parcel(message))
            | Self::Cargo(Cargo(message))
            | Self::Cca(Cca(message)) => message.into_octets(),
            Self::Pca(pca) => pca.octets,
            Self::Rotation(rotation) => rotation.octets,
            Self::Pdd(pdd) => pdd.octets,
        }
    }

    /// The RAMF message; `None` for control messages.
    #[must_use]
    pub fn message(&self) -> Option<&SignedMessage> {
        match self {
            Self::Parcel(parcel) => Some(parcel.as_ref()),
            Self::Cargo(cargo) => Some(cargo.as_ref()),
            Self::Cca(cca) => Some(cca.as_ref()),
            Self::Pca(_) | Self::Rotation(_) | Self::Pdd(_) => None,
        }
    }

    /// Takes the RAMF message; `None` for control messages.
    #[must_use]
    pub fn into_message(self) -> Option<SignedMessage> {
        match self {
            Self::Parcel(parcel) => Some(parcel.into_message()),
            Self::Cargo(cargo) => Some(cargo.into_message()),
            Self::Cca(cca) => Some(cca.into_message()),
            Self::Pca(_) | Self::Rotation(_) | Self::Pdd(_) => None,
        }
    }

    /// When it expires; `None` for acknowledgements and rotations, which live as long as what
    /// carries them.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        match self {
            Self::Pdd(pdd) => Some(pdd.expiry),
            item => item.message().map(|message| message.fields().expiry()),
        }
    }

    /// A file name for the message, of which nothing untrusted becomes part.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Pca(pca) => pca.file_name(),
            Self::Rotation(rotation) => {
                let leaf = &rotation.path.leaf;
                // A rotation has no sender; the issuer takes that place in the name.
                let issuer = rotation
                    .path
                    .authorities
                    .first()
                    .map_or(leaf.id(), Certificate::id);
                format!(
                    "{}.{issuer}.{}.rotation",
                    leaf.id(),
                    Hex(&hash::sha256(rotation.octets()))
                )
            }
            Self::Pdd(pdd) => format!(
                "{}.{}.{}.pdd",
                pdd.issuer,
                pdd.signer(),
                Hex(&hash::sha256(pdd.octets()))
            ),
            Self::Parcel(Parcel(message))
            | Self::Cargo(Cargo(message))
            | Self::Cca(Cca(message)) => message
                .fields()
                .file_name(message.sender(), message.kind().word()),
        }
    }
}
