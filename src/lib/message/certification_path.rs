//! A certificate with those of its issuers, in both deployed encodings (RS-002).
//!
//! ```text
//! CertificationPath ::= SEQUENCE {
//!   leaf                   [0] OCTET STRING or Certificate,
//!   certificateAuthorities [1] SEQUENCE OF (OCTET STRING or Certificate) }
//! ```
//!
//! JavaScript nodes put each certificate into an OCTET STRING, JVM nodes since 1.67.1 write it
//! directly under the tag, and neither reads the other form. The first tag tells them apart.

use super::{Error, malformed};
use crate::asn1::{self, Element, tag, write};
use crate::pki::Certificate;

/// The media type under which an endpoint sends an authorization in a parcel.
pub const AUTHORIZATION_TYPE: &str = "application/vnd+relaycorp.awala.pda-path";

/// Maximum number of authorities in a path.
const MAX_AUTHORITIES: usize = 16;

/// The encoding of certificates in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathForm {
    /// Each in an OCTET STRING: rotations of JavaScript nodes, RS-002.
    OctetStrings,
    /// Each directly under its tag: rotations of JVM nodes, and connection parameters of both.
    Certificates,
}

/// A certificate and its authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificationPath {
    /// The certificate that the path is about.
    pub leaf: Certificate,
    /// Its issuer, the issuer of that one, and so on.
    pub authorities: Vec<Certificate>,
}

impl CertificationPath {
    /// Parses a path, whose own tag may have been replaced by an implicit one.
    ///
    /// # Errors
    /// When it, or a certificate in it, is malformed.
    pub fn parse(element: &Element<'_>) -> Result<(Self, PathForm), Error> {
        let wrong = malformed("certification path");
        let mut fields = element.der_children();
        let form = if fields.peek() == Some(0x80) {
            PathForm::OctetStrings
        } else {
            PathForm::Certificates
        };
        let leaf = match form {
            PathForm::OctetStrings => {
                Certificate::parse(fields.take(0x80).map_err(wrong)?.content())?
            }
            PathForm::Certificates => {
                let leaf = fields.take(0xa0).map_err(wrong)?;
                Certificate::parse(&write::retagged(tag::SEQUENCE, leaf.whole()))?
            }
        };
        let mut list = fields.take(0xa1).map_err(wrong)?.children();
        let mut authorities = Vec::new();
        while let Some(authority) = list.any().map_err(wrong)? {
            if authorities.len() == MAX_AUTHORITIES {
                return Err(wrong(asn1::Error::Value("number of certificates")));
            }
            // JVM 1.67.1 and 1.67.2 mixed the forms, so each entry is read by its own tag.
            authorities.push(match authority.tag() {
                tag::OCTET_STRING => Certificate::parse(authority.content())?,
                _ => Certificate::parse(authority.whole())?,
            });
        }
        Ok((Self { leaf, authorities }, form))
    }

    /// Encodes the path in DER under this tag.
    #[must_use]
    pub fn to_der(&self, tag: u8, form: PathForm) -> Vec<u8> {
        // In path order. JavaScript declares a SET OF, but sorting it would lose the order.
        let authorities = self.authorities.iter().map(Certificate::octets);
        let (leaf, authorities) = match form {
            PathForm::OctetStrings => (
                write::tlv(0x80, self.leaf.octets()),
                authorities
                    .map(|octets| write::tlv(tag::OCTET_STRING, octets))
                    .collect::<Vec<_>>()
                    .concat(),
            ),
            PathForm::Certificates => (
                write::retagged(0xa0, self.leaf.octets()),
                authorities.collect::<Vec<_>>().concat(),
            ),
        };
        write::constructed(tag, &[&leaf, &write::tlv(0xa1, &authorities)])
    }

    /// All certificates, the leaf first.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.leaf).chain(&self.authorities)
    }
}
