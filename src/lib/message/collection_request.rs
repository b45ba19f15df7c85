//! Cargo collection requests: the plaintext of a CCA (RS-000 §CCA).
//!
//! ```text
//! CargoCollectionRequest ::= SEQUENCE { cargoDeliveryAuthorization [0] OCTET STRING } -- a certificate
//! ```

use std::ops::Range;

use super::{Error, malformed};
use crate::asn1::{Buffer, Element, tag};
use crate::pki::Certificate;

/// The authorization to deliver cargo that a private gateway gives with a CCA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRequest {
    /// The cargo delivery authorization.
    pub authorization: Certificate,
}

impl CollectionRequest {
    /// Reads a request that is this part of `octets`.
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

    /// The request as DER, to be sealed.
    #[must_use]
    pub fn to_buffer(&self) -> Buffer {
        let mut buffer = Buffer::with_capacity(self.authorization.octets().len());
        buffer.append(self.authorization.octets());
        buffer.wrap(0x80);
        buffer.wrap(tag::SEQUENCE);
        buffer
    }
}
