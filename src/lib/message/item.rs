//! What a stream of messages, and later cargo, consists of.

use jiff::Timestamp;

use super::{Cargo, Cca, Error, Parcel, Pca, Rotation};
use crate::asn1::Hex;
use crate::crypto::hash;
use crate::pki::Certificate;
use crate::ramf::{Kind, SignedMessage};

/// One message of a stream.
#[derive(Debug)]
pub enum Item {
    /// A parcel.
    Parcel(Parcel),
    /// Cargo.
    Cargo(Cargo),
    /// A cargo collection authorization.
    Cca(Cca),
    /// A parcel collection acknowledgement.
    Pca(Pca),
    /// A certificate rotation.
    Rotation(Rotation),
}

impl Item {
    /// Reads octets that are all one message.
    ///
    /// # Errors
    /// When they are malformed, over a limit, or a kind that is not read yet.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        match Kind::read(&octets)? {
            Kind::Parcel => Ok(Self::Parcel(Parcel::parse(octets)?)),
            Kind::Cargo => Ok(Self::Cargo(Cargo::parse(octets)?)),
            Kind::Cca => Ok(Self::Cca(Cca::parse(octets)?)),
            Kind::Pca => Ok(Self::Pca(Pca::parse(&octets)?)),
            Kind::Rotation => Ok(Self::Rotation(Rotation::parse(&octets)?)),
            Kind::Pdd => Err(Error::NotReadYet(Kind::Pdd)),
        }
    }

    /// What kind of message it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Parcel(_) => Kind::Parcel,
            Self::Cargo(_) => Kind::Cargo,
            Self::Cca(_) => Kind::Cca,
            Self::Pca(_) => Kind::Pca,
            Self::Rotation(_) => Kind::Rotation,
        }
    }

    /// The RAMF message that it is; `None` for control messages.
    #[must_use]
    pub fn message(&self) -> Option<&SignedMessage> {
        match self {
            Self::Parcel(parcel) => Some(parcel.as_ref()),
            Self::Cargo(cargo) => Some(cargo.as_ref()),
            Self::Cca(cca) => Some(cca.as_ref()),
            Self::Pca(_) | Self::Rotation(_) => None,
        }
    }

    /// Takes the RAMF message that it is; `None` for control messages.
    #[must_use]
    pub fn into_message(self) -> Option<SignedMessage> {
        match self {
            Self::Parcel(parcel) => Some(parcel.into_message()),
            Self::Cargo(cargo) => Some(cargo.into_message()),
            Self::Cca(cca) => Some(cca.into_message()),
            Self::Pca(_) | Self::Rotation(_) => None,
        }
    }

    /// When its life ends; `None` for control messages, which live as long as what carries them.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        self.message().map(|message| message.fields().expiry())
    }

    /// The name of a file for it, `octets` being its own: nothing untrusted becomes part of it.
    #[must_use]
    pub fn file_name(&self, octets: &[u8]) -> String {
        match self {
            Self::Pca(pca) => pca.file_name(),
            Self::Rotation(rotation) => {
                let leaf = &rotation.path.leaf;
                let issuer = rotation
                    .path
                    .authorities
                    .first()
                    .map_or(leaf.id(), Certificate::id);
                format!(
                    "{}.{issuer}.{}.rotation",
                    leaf.id(),
                    Hex(&hash::sha256(octets))
                )
            }
            Self::Parcel(Parcel(message))
            | Self::Cargo(Cargo(message))
            | Self::Cca(Cca(message)) => message
                .fields()
                .file_name(message.sender(), message.kind().word()),
        }
    }
}
