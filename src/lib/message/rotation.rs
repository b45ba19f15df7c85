//! Certificate rotations: a gateway renews a node's certificate (RS-002).

use super::certification_path::{CertificationPath, Form};
use super::{Error, malformed, pca};
use crate::asn1::{Element, tag};
use crate::ramf::Kind;

/// A renewed certificate with its issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The new certificate and its authorities.
    pub path: CertificationPath,
    /// Which of the deployed encodings it has.
    pub form: Form,
}

impl Rotation {
    /// Reads octets that are all one rotation.
    ///
    /// # Errors
    /// When they are malformed or another kind of message.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let value = pca::control_message(octets, Kind::Rotation)?;
        let element = Element::der(value, tag::SEQUENCE).map_err(malformed("rotation"))?;
        let (path, form) = CertificationPath::parse(&element)?;
        Ok(Self { path, form })
    }
}
