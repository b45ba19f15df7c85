//! Certificates as Relaynet uses X.509 (RS-002, RFC 5280).

use std::ops::Range;

use jiff::Timestamp;

use super::{Error, NodeId, PublicKey, RateLimit, Window, signature};
use crate::asn1::algorithm::Algorithm;
use crate::asn1::{self, Cursor, Element, date_time, oid, tag};
use crate::crypto::hash::{self, Digest};

/// The bit of keyCertSign in the first octet of keyUsage (RFC 5280 §4.2.1.3).
const KEY_CERT_SIGN: u8 = 0x04;

/// Maximum number of extensions; deployed certificates have three.
const MAX_EXTENSIONS: usize = 32;

/// Maximum length of a Name, in octets; deployed ones have 143.
const MAX_NAME_LEN: usize = 4096;

/// A parsed certificate, with its octets as received.
#[derive(Debug, Clone)]
pub struct Certificate {
    octets: Vec<u8>,
    tbs: Range<usize>,
    serial: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    signature: Range<usize>,
    digest: Option<Digest>,
    not_before: Timestamp,
    not_after: Timestamp,
    key: PublicKey,
    extensions: Extensions,
}

/// The attributes of a Name, as text.
type NameText = Vec<(der::asn1::ObjectIdentifier, String)>;

/// The extensions that are evaluated.
#[derive(Debug, Clone, Default)]
struct Extensions {
    ca: bool,
    path_len: Option<u32>,
    subject_key_id: Option<Vec<u8>>,
    authority_key_id: Option<Vec<u8>>,
    may_sign_certificates: Option<bool>,
    rate_limit: Option<RateLimit>,
    unknown_critical: bool,
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for Certificate {}

impl Certificate {
    /// Parses all of `octets` as a DER certificate.
    ///
    /// The signature is not verified. A signature algorithm that is not allowed is refused only by
    /// [`verify_signature`](Self::verify_signature), so that such a certificate can still be shown.
    ///
    /// # Errors
    /// When it is malformed or its subject key is not an identity key.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let malformed = Error::Certificate;
        let element = Element::der(octets, tag::SEQUENCE).map_err(malformed)?;
        let parts = CertificateParts::parse(&element).map_err(malformed)?;
        let range = |part: &[u8]| {
            let start = part.as_ptr() as usize - octets.as_ptr() as usize;
            start..start + part.len()
        };
        Ok(Self {
            tbs: range(parts.tbs),
            serial: range(parts.serial),
            issuer: range(parts.issuer),
            subject: range(parts.subject),
            signature: range(parts.signature),
            digest: signature::pss_digest(&parts.algorithm).ok(),
            not_before: parts.not_before,
            not_after: parts.not_after,
            key: PublicKey::parse(parts.spki)?,
            extensions: parts.extensions,
            octets: octets.to_vec(),
        })
    }

    /// The DER octets as received.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// SHA-256 of the DER octets.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        hash::sha256(&self.octets)
    }

    /// The content octets of the serial number. They need not be minimal: deployed JavaScript
    /// writes leading zeros.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.octets[self.serial.clone()]
    }

    /// The DER Name of the issuer.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.octets[self.issuer.clone()]
    }

    /// The DER Name of the subject.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.octets[self.subject.clone()]
    }

    /// The issuer's common name, normally its node id; `None` if it is not text.
    #[must_use]
    pub fn issuer_common_name(&self) -> Option<String> {
        common_name(self.issuer())
    }

    /// The subject's common name; `None` if it is not text. It is not authoritative:
    /// [`Certificate::id`] is.
    #[must_use]
    pub fn subject_common_name(&self) -> Option<String> {
        common_name(self.subject())
    }

    /// The subject's key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The subject's node id, computed from its key.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.key.id()
    }

    /// The start of its validity.
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// The end of its validity.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether its subject may issue certificates.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.extensions.ca && self.extensions.may_sign_certificates != Some(false)
    }

    /// The path length: how many authorities may follow between this one and the leaf; `None`
    /// without a limit.
    #[must_use]
    pub fn path_len(&self) -> Option<u32> {
        self.extensions.path_len
    }

    /// Whether this is a certificate of an endpoint, self-issued or issued by its gateway: an
    /// authority with path length 0. A gateway has path length 1 or 2, and a delivery authorization
    /// is not an authority.
    #[must_use]
    pub fn is_endpoint(&self) -> bool {
        self.is_ca() && self.path_len() == Some(0)
    }

    /// The subject key identifier, if there is one.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.extensions.subject_key_id.as_deref()
    }

    /// The authority key identifier, if there is one.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.extensions.authority_key_id.as_deref()
    }

    /// How many parcels may be sent under it; `None` without a limit, or with one that nodes do not count.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.extensions.rate_limit
    }

    /// Whether an extension that we do not know is marked critical (RFC 5280 §4.2).
    #[must_use]
    pub fn has_unknown_critical_extension(&self) -> bool {
        self.extensions.unknown_critical
    }

    /// Whether subject and issuer have the same name.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        names_match(self.issuer(), self.subject())
    }

    /// Whether `issuer` has the name and the key identifier that this certificate gives for its
    /// issuer. Names are compared as text, so their string types may differ.
    #[must_use]
    pub fn names_as_issuer(&self, issuer: &Certificate) -> bool {
        // Deployed readers compare the identifiers only where both exist.
        let ids_agree = match (self.authority_key_id(), issuer.subject_key_id()) {
            (Some(authority), Some(subject)) => authority == subject,
            _ => true,
        };
        ids_agree && names_match(self.issuer(), issuer.subject())
    }

    /// The nodes that this certificate names as its issuer, by key identifier and by common name;
    /// normally these agree and there is one.
    #[must_use]
    pub fn issuer_ids(&self) -> Vec<NodeId> {
        let by_key = self
            .authority_key_id()
            .and_then(|id| id.try_into().ok())
            .map(NodeId::of_digest);
        let by_name = self
            .issuer_common_name()
            .and_then(|name| name.parse().ok())
            .filter(|id| Some(*id) != by_key);
        by_key.into_iter().chain(by_name).collect()
    }

    /// Whether this certificate has that issuer Name and serial number; names are compared as text.
    #[must_use]
    pub fn is_issued(&self, issuer: &[u8], serial: &[u8]) -> bool {
        self.serial() == serial && names_match(self.issuer(), issuer)
    }

    /// Verifies that `key` signed this certificate.
    ///
    /// # Errors
    /// [`Error::SignatureAlgorithm`] for an algorithm that is not allowed, [`Error::Signature`]
    /// when the signature does not match.
    pub fn verify_signature(&self, key: &PublicKey) -> Result<(), Error> {
        let digest = self.digest.ok_or(Error::SignatureAlgorithm)?;
        key.verify(
            digest,
            &self.octets[self.tbs.clone()],
            &self.octets[self.signature.clone()],
        )
    }

    /// Checks that the certificate is valid at some instant of `window`.
    ///
    /// # Errors
    /// [`Error::Expired`] or [`Error::Early`].
    pub fn check_dates(&self, window: &Window) -> Result<(), Error> {
        if window.is_after(self.not_after) {
            Err(Error::Expired {
                subject: self.id(),
                at: self.not_after,
            })
        } else if window.is_before(self.not_before) {
            Err(Error::Early {
                subject: self.id(),
                at: self.not_before,
            })
        } else {
            Ok(())
        }
    }
}

/// The parts of a certificate, borrowed from its octets.
struct CertificateParts<'a> {
    tbs: &'a [u8],
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    spki: &'a [u8],
    algorithm: Algorithm<'a>,
    signature: &'a [u8],
    not_before: Timestamp,
    not_after: Timestamp,
    extensions: Extensions,
}

impl<'a> CertificateParts<'a> {
    /// Parses `Certificate` and `TBSCertificate` (RFC 5280 §4.1).
    fn parse(certificate: &Element<'a>) -> Result<Self, asn1::Error> {
        let mut outer = certificate.children();
        let tbs = outer.take(tag::SEQUENCE)?;
        let algorithm = outer.take(tag::SEQUENCE)?;
        let signature = outer.take(tag::BIT_STRING)?.bit_string()?;
        outer.finish()?;

        let mut fields = tbs.children();
        let v3 = fields
            .optional(0xa0)?
            .is_some_and(|version| version.content() == [tag::INTEGER, 1, 2]);
        if !v3 {
            return Err(asn1::Error::Unsupported("certificate version"));
        }
        let serial = fields.take(tag::INTEGER)?.content();
        // RFC 5280 §4.1.1.2: the algorithm must be the same within the signed part.
        if fields.take(tag::SEQUENCE)?.whole() != algorithm.whole() {
            return Err(asn1::Error::Value("signature algorithm"));
        }
        let issuer = fields.take(tag::SEQUENCE)?.whole();
        let mut validity = fields.take(tag::SEQUENCE)?.children();
        let mut date = || -> Result<Timestamp, asn1::Error> {
            let time = validity.any()?.ok_or(asn1::Error::Missing(tag::UTC_TIME))?;
            date_time::parse_x509(&time)
        };
        let (not_before, not_after) = (date()?, date()?);
        validity.finish()?;
        let subject = fields.take(tag::SEQUENCE)?.whole();
        // Names are decoded at each comparison, so their length is bounded.
        if issuer.len().max(subject.len()) > MAX_NAME_LEN {
            return Err(asn1::Error::TooLong(MAX_NAME_LEN));
        }
        let spki = fields.take(tag::SEQUENCE)?.whole();
        // issuerUniqueID and subjectUniqueID are obsolete and ignored.
        fields.optional(0x81)?;
        fields.optional(0x82)?;
        let extensions = match fields.optional(0xa3)? {
            Some(extensions) => Extensions::parse(&extensions)?,
            None => Extensions::default(),
        };
        fields.finish()?;
        let algorithm = Algorithm::parse(&algorithm)?;
        Ok(Self {
            tbs: tbs.whole(),
            serial,
            issuer,
            subject,
            spki,
            algorithm,
            signature,
            not_before,
            not_after,
            extensions,
        })
    }
}

impl Extensions {
    fn parse(explicit: &Element<'_>) -> Result<Self, asn1::Error> {
        let mut explicit = explicit.children();
        let mut list = explicit.take(tag::SEQUENCE)?.children();
        explicit.finish()?;
        let mut known = Self::default();
        let mut seen = Vec::new();
        while let Some(extension) = list.any()? {
            // `seen` is searched for each extension, so their number is bounded.
            if seen.len() == MAX_EXTENSIONS {
                return Err(asn1::Error::Value("number of extensions"));
            }
            let mut fields = extension.children();
            let kind = fields.take(tag::OID)?.oid()?;
            let critical = match fields.optional(tag::BOOLEAN)? {
                Some(critical) => critical.boolean()?,
                None => false,
            };
            let value = fields.take(tag::OCTET_STRING)?.content();
            fields.finish()?;
            // RFC 5280 §4.2: an extension must not occur twice.
            if seen.contains(&kind) {
                return Err(asn1::Error::Value("extensions"));
            }
            seen.push(kind);
            known.add(&kind, value, critical)?;
        }
        Ok(known)
    }

    fn add(
        &mut self,
        kind: &der::asn1::ObjectIdentifier,
        value: &[u8],
        critical: bool,
    ) -> Result<(), asn1::Error> {
        match *kind {
            oid::BASIC_CONSTRAINTS => {
                let mut fields = Element::der(value, tag::SEQUENCE)?.children();
                // An explicit FALSE is not DER, but the JVM writes it in PDAs and CDAs.
                if let Some(ca) = fields.optional(tag::BOOLEAN)? {
                    self.ca = ca.boolean()?;
                }
                if let Some(len) = fields.optional(tag::INTEGER)? {
                    self.path_len = Some(len.small_integer()?);
                }
                fields.finish()
            }
            oid::SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_id =
                    Some(Element::der(value, tag::OCTET_STRING)?.content().to_vec());
                Ok(())
            }
            oid::AUTHORITY_KEY_IDENTIFIER => {
                let mut fields = Element::der(value, tag::SEQUENCE)?.children();
                self.authority_key_id = fields.optional(0x80)?.map(|id| id.content().to_vec());
                Ok(())
            }
            oid::KEY_USAGE => {
                // The first content octet of a BIT STRING counts unused bits.
                let bits = Element::der(value, tag::BIT_STRING)?.content();
                self.may_sign_certificates =
                    Some(bits.get(1).is_some_and(|bits| bits & KEY_CERT_SIGN != 0));
                Ok(())
            }
            // It limits only those who count, so a malformed one must not make the certificate unreadable here and
            // readable elsewhere.
            oid::PDA_RATE_LIMIT => {
                self.rate_limit = RateLimit::parse(value).ok().flatten();
                Ok(())
            }
            _ => {
                self.unknown_critical |= critical;
                Ok(())
            }
        }
    }
}

/// The first commonName of a DER Name; `None` if it is missing or not text.
fn common_name(name: &[u8]) -> Option<String> {
    let mut found = None;
    each_attribute(name, |kind, value| {
        if kind == oid::COMMON_NAME && found.is_none() {
            found = text(value);
        }
    })
    .ok()?;
    found
}

/// The attributes of a DER Name as text; `None` if there are none or one is not text.
fn name_text(name: &[u8]) -> Option<NameText> {
    let mut attributes = Vec::new();
    let mut all_text = true;
    let walk = each_attribute(name, |kind, value| match text(value) {
        Some(text) => attributes.push((kind, text)),
        None => all_text = false,
    });
    (walk.is_ok() && all_text && !attributes.is_empty()).then_some(attributes)
}

/// Whether two Names are the same text, whatever their string types.
fn names_match(one: &[u8], other: &[u8]) -> bool {
    one == other
        || matches!((name_text(one), name_text(other)), (Some(one), Some(other)) if one == other)
}

/// Calls `each` with the attributes of `RDNSequence ::= SEQUENCE OF SET OF AttributeTypeAndValue`
/// (RFC 5280 §4.1.2.4).
fn each_attribute(
    name: &[u8],
    mut each: impl FnMut(der::asn1::ObjectIdentifier, &Element<'_>),
) -> Result<(), asn1::Error> {
    let mut rdns = Element::der(name, tag::SEQUENCE)?.children();
    while let Some(rdn) = rdns.any()? {
        let mut attributes: Cursor<'_> = rdn.children();
        while let Some(attribute) = attributes.any()? {
            let mut fields = attribute.children();
            let kind = fields.take(tag::OID)?.oid()?;
            let value = fields.any()?.ok_or(asn1::Error::Truncated)?;
            each(kind, &value);
        }
    }
    Ok(())
}

/// The text of a directory string; `None` for types that do not occur on this network.
fn text(value: &Element<'_>) -> Option<String> {
    match value.tag() {
        tag::UTF8_STRING | tag::PRINTABLE_STRING => {
            std::str::from_utf8(value.content()).ok().map(str::to_owned)
        }
        // UTF-16 in big-endian order: deployed issuers write node ids in it.
        tag::BMP_STRING if value.content().len().is_multiple_of(2) => {
            let units: Vec<u16> = value
                .content()
                .chunks_exact(2)
                .map(|unit| u16::from_be_bytes([unit[0], unit[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}
