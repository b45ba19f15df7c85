//! Certificate rotations: a gateway renews a node's certificate (RS-002).

use super::certification_path::{CertificationPath, PathForm};
use super::{Error, malformed, pca};
use crate::asn1::{Element, tag};
use crate::pki::{self, Certificate};
use crate::ramf::Kind;

/// A renewed certificate with its issuers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The new certificate and its authorities.
    pub path: CertificationPath,
    /// The encoding of its path; neither deployed reader reads the other's.
    pub form: PathForm,
}

impl Rotation {
    /// Parses all of `octets` as one rotation.
    ///
    /// # Errors
    /// When it is malformed or another kind of message.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let value = pca::control_message(octets, Kind::Rotation)?;
        let element = Element::der(value, tag::SEQUENCE).map_err(malformed("rotation"))?;
        let (path, form) = CertificationPath::parse(&element)?;
        Ok(Self { path, form })
    }

    /// Encodes the message, format signature included.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let path = self.path.to_der(tag::SEQUENCE, self.form);
        [&Kind::Rotation.signature()[..], &path].concat()
    }

    /// Finds the certificate of the authority that signed the renewed one.
    ///
    /// # Errors
    /// [`Error::Signature`] when that certificate is missing, or its key did not sign the renewed
    /// one.
    pub fn verify(&self) -> Result<&Certificate, Error> {
        let leaf = &self.path.leaf;
        let issuer = self
            .path
            .authorities
            .iter()
            .find(|issuer| leaf.names_as_issuer(issuer))
            .ok_or(Error::Signature("rotation"))?;
        leaf.verify_signature(issuer.key())
            .map_err(|_: pki::Error| Error::Signature("rotation"))?;
        Ok(issuer)
    }
}
