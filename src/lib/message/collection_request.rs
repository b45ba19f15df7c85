//! Cargo collection requests: the plaintext of a CCA (RS-000 §CCA).
//!
//! ```text
//! CargoCollectionRequest ::= SEQUENCE { cargoDeliveryAuthorization [0] OCTET STRING } -- a certificate
//! ```

use std::ops::Range;

use super::{Error, malformed};
use crate::asn1::{Buffer, Element, tag};
use crate::pki::Certificate;

/// A private gateway's authorization to deliver cargo to it, given with a CCA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRequest {
    /// The cargo delivery authorization.
    pub authorization: Certificate,
}

impl CollectionRequest {
    /// Parses `octets[part]` as a request.
    ///
    /// # Errors
    /// When it, or the certificate in it, is malformed.
    pub fn parse_within(octets: &[u8], part: Range<usize>) -> Result<Self, Error> {
        let wrong = malformed("cargo collection request");
        let mut fields = Element::der(&octets[part], tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let authorization = fields.take(0x80).map_err(wrong)?.content();
        Ok(Self {
            authorization: Certificate::parse(authorization)?,
        })
    }

    /// Encodes the request in DER, to be sealed.
    #[must_use]
    pub fn to_buffer(&self) -> Buffer {
        let mut buffer = Buffer::with_capacity(self.authorization.octets().len());
        buffer.append(self.authorization.octets());
        buffer.wrap(0x80);
        buffer.wrap(tag::SEQUENCE);
        buffer
    }
}
