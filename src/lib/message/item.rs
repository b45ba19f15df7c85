//! What a stream of messages, and later cargo, consists of.

use super::{Cargo, Cca, Error, Parcel, Pca, Rotation};
use crate::ramf::{self, Kind};

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
            Kind::Pdd => Err(ramf::Error::NotRamf.into()),
        }
    }
}
