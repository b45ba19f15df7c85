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
    /// Which of the deployed encodings it has.
    pub form: PathForm,
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

    /// The message.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let path = self.path.to_der(tag::SEQUENCE, self.form);
        [&Kind::Rotation.signature()[..], &path].concat()
    }

    /// Finds the certificate of the authority that signed the renewed one.
    ///
    /// # Errors
    /// [`Error::Signature`] when it did not come with the message, or did not sign the certificate.
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
