//! A server's certificate, as far as rustls does not show it: dates, issuer, and whether it is self-signed.

use jiff::Timestamp;
use rustls::pki_types::SignatureVerificationAlgorithm;

use crate::asn1::ber::{Cursor, Element};
use crate::asn1::{date_time, oid, tag};

/// When a certificate in DER ends; `None` when it is malformed.
#[must_use]
pub fn end_of(der: &[u8]) -> Option<Timestamp> {
    TlsCertificate::parse(der).map(|it| it.not_after)
}

/// The parts of a certificate of TLS (RFC 5280 §4.1), of any algorithm. Nothing is verified.
#[derive(Debug)]
pub(super) struct TlsCertificate<'a> {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    tbs: &'a [u8],
    issuer: Element<'a>,
    /// The contents of both `AlgorithmIdentifier`s, without tag and length.
    key_algorithm: &'a [u8],
    signature_algorithm: &'a [u8],
    key: &'a [u8],
    signature: &'a [u8],
}

impl<'a> TlsCertificate<'a> {
    /// Parses a certificate; `None` when it is malformed.
    pub(super) fn parse(octets: &'a [u8]) -> Option<Self> {
        let mut outer = Element::der(octets, tag::SEQUENCE).ok()?.children();
        let tbs = outer.take(tag::SEQUENCE).ok()?;
        let algorithm = outer.take(tag::SEQUENCE).ok()?;
        let signature = outer.take(tag::BIT_STRING).ok()?.bit_string().ok()?;
        outer.finish().ok()?;

        let mut fields = tbs.children();
        fields.optional(0xa0).ok()?; // version
        fields.take(tag::INTEGER).ok()?; // serial
        fields.take(tag::SEQUENCE).ok()?; // signature algorithm
        let issuer = fields.take(tag::SEQUENCE).ok()?;
        let mut validity = fields.take(tag::SEQUENCE).ok()?.children();
        let not_before = date(&mut validity)?;
        let not_after = date(&mut validity)?;
        fields.take(tag::SEQUENCE).ok()?; // subject
        let mut key = fields.take(tag::SEQUENCE).ok()?.children();
        let key_algorithm = key.take(tag::SEQUENCE).ok()?.content();
        Some(Self {
            not_before,
            not_after,
            tbs: tbs.whole(),
            issuer,
            key_algorithm,
            signature_algorithm: algorithm.content(),
            key: key.take(tag::BIT_STRING).ok()?.bit_string().ok()?,
            signature,
        })
    }

    /// Whether its signature verifies with its own key.
    pub(super) fn is_self_signed(
        &self,
        algorithms: &[&'static dyn SignatureVerificationAlgorithm],
    ) -> bool {
        algorithms.iter().any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == self.key_algorithm
                && algorithm.signature_alg_id().as_ref() == self.signature_algorithm
                && algorithm
                    .verify_signature(self.key, self.tbs, self.signature)
                    .is_ok()
        })
    }

    /// The first common name of the issuer, in whatever string type it is, unescaped.
    pub(super) fn issuer_common_name(&self) -> Option<&'a [u8]> {
        let mut sets = self.issuer.children();
        while let Some(set) = sets.any().ok()? {
            let mut attribute = set.children().take(tag::SEQUENCE).ok()?.children();
            if attribute.take(tag::OID).ok()?.oid().ok()? == oid::COMMON_NAME {
                return Some(attribute.any().ok()??.content());
            }
        }
        None
    }
}

fn date(validity: &mut Cursor<'_>) -> Option<Timestamp> {
    date_time::parse_x509(&validity.any().ok()??).ok()
}
