//! SignedData with exactly one signer, whose certificate is attached (RFC 5652 §5).

use std::borrow::Cow;

use super::{Error, content_info, malformed};
use crate::asn1::algorithm::{self, Algorithm};
use crate::asn1::{self, Buffer, Cursor, Element, oid, tag, write};
use crate::crypto::hash::{self, Digest};
use crate::pki::{self, Certificate, IdentityKey, signature};

/// Maximum number of attached certificates; deployed messages have up to three.
const MAX_CERTIFICATES: usize = 64;

/// A parsed SignedData, whose signature is not verified yet.
#[derive(Debug)]
pub struct SignedData<'a> {
    content: Option<Cow<'a, [u8]>>,
    certificates: Vec<Certificate>,
    signer: usize,
    signature: Signature,
}

/// The signature of a SignedData, with the signed attributes that it covers.
#[derive(Debug, Clone)]
pub struct Signature {
    digest: Digest,
    /// The signed attributes, if there are any.
    signed_attributes: Option<SignedAttributes>,
    value: Vec<u8>,
}

/// Signed attributes as the SET OF that is signed, although the field has an implicit tag (RFC 5652
/// §5.4).
#[derive(Debug, Clone)]
struct SignedAttributes {
    /// In DER, in which they are to be signed in whatever order they are sent.
    sorted: Vec<u8>,
    /// In the order received, if that is another one: some senders sign what they send.
    received: Option<Vec<u8>>,
    /// The value of the messageDigest attribute.
    message_digest: Vec<u8>,
}

impl Signature {
    /// Verifies the signature of `signer` over `content`.
    ///
    /// # Errors
    /// [`pki::Error::Signature`] when it does not match.
    pub fn verify(&self, signer: &Certificate, content: &[u8]) -> Result<(), Error> {
        self.verify_parts(signer, &[content])
    }

    /// As [`Signature::verify`], over content in several parts.
    fn verify_parts(&self, signer: &Certificate, parts: &[&[u8]]) -> Result<(), Error> {
        let key = signer.key();
        let Some(attributes) = &self.signed_attributes else {
            return Ok(key.verify(self.digest, &parts.concat(), &self.value)?);
        };
        let mut hasher = hash::Hasher::new(self.digest);
        for part in parts {
            hasher.update(part);
        }
        // The signature covers only the attributes; the digest among them binds the content.
        if attributes.message_digest != hasher.finish().as_bytes() {
            return Err(pki::Error::Signature.into());
        }
        let verify = |attributes: &[u8]| key.verify(self.digest, attributes, &self.value);
        let verified = match (verify(&attributes.sorted), &attributes.received) {
            (Err(_), Some(received)) => verify(received),
            (verified, _) => verified,
        };
        Ok(verified?)
    }
}

/// The one SignerInfo (RFC 5652 §5.3).
struct SignerInfo<'a> {
    issuer: &'a [u8],
    serial: &'a [u8],
    signature: Signature,
}

impl<'a> SignedData<'a> {
    /// Reads a ContentInfo with SignedData, in BER or DER.
    ///
    /// # Errors
    /// When it is malformed, uses an algorithm that is not allowed, does not have exactly one
    /// signer, or the signer's certificate is not attached.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Error> {
        let wrong = malformed("signed data");
        let (content_type, signed_data) = content_info::parse(octets).map_err(wrong)?;
        if content_type != oid::SIGNED_DATA {
            return Err(Error::Unsupported("content type"));
        }
        let mut fields = signed_data.children();
        let version = fields
            .take(tag::INTEGER)
            .and_then(|version| version.small_integer());
        // Deployed nodes write 1; RFC 5652 §5.1 requires 3 when the content is not id-data.
        if !matches!(version.map_err(wrong)?, 1 | 3) {
            return Err(Error::Unsupported("signed data version"));
        }
        // digestAlgorithms is for readers in one pass; the SignerInfo names its own digest.
        fields.take(tag::SET).map_err(wrong)?;
        let (content_type, content) =
            encapsulated_content(&fields.take(tag::SEQUENCE).map_err(wrong)?).map_err(wrong)?;
        let (certificates, unreadable) = match fields.optional(0xa0).map_err(wrong)? {
            Some(set) => certificates(&set)?,
            None => (Vec::new(), None),
        };
        // No deployed node sends crls, and none is evaluated.
        fields.optional(0xa1).map_err(wrong)?;
        let signers = fields.take(tag::SET).map_err(wrong)?;
        fields.finish().map_err(wrong)?;

        let signer = SignerInfo::parse(&only(&signers, "signers")?, content_type)?;
        // The order in the set is the sender's choice, so the signer is looked up by its sid.
        let position = certificates
            .iter()
            .position(|certificate| certificate.is_issued(signer.issuer, signer.serial))
            .ok_or_else(|| unreadable.map_or(Error::NoSignerCertificate, Error::Pki))?;
        Ok(Self {
            content,
            certificates,
            signer: position,
            signature: signer.signature,
        })
    }

    /// The signed content; `None` if the signature is detached.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Splits the value into the content, the signer's certificate, the other certificates and the
    /// signature.
    #[must_use]
    pub fn into_parts(
        mut self,
    ) -> (
        Option<Cow<'a, [u8]>>,
        Certificate,
        Vec<Certificate>,
        Signature,
    ) {
        let signer = self.certificates.remove(self.signer);
        (self.content, signer, self.certificates, self.signature)
    }

    /// The signer's certificate.
    #[must_use]
    pub fn signer(&self) -> &Certificate {
        &self.certificates[self.signer]
    }

    /// All attached certificates, in the order received.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Verifies the signature over the attached content.
    ///
    /// # Errors
    /// [`Error::NoContent`] when it is detached, [`pki::Error::Signature`] when it does not match.
    pub fn verify(&self) -> Result<(), Error> {
        self.verify_detached(self.content().ok_or(Error::NoContent)?)
    }

    /// Verifies a detached signature over `content`.
    ///
    /// # Errors
    /// [`pki::Error::Signature`] when it does not match.
    pub fn verify_detached(&self, content: &[u8]) -> Result<(), Error> {
        self.signature.verify(self.signer(), content)
    }

    /// As [`SignedData::verify_detached`], over content in several parts.
    ///
    /// # Errors
    /// As [`SignedData::verify_detached`]; [`Error::Unsupported`] when it has content of its own.
    pub fn verify_detached_parts(&self, parts: &[&[u8]]) -> Result<(), Error> {
        if self.content.is_some() {
            return Err(Error::Unsupported("content in a detached signature"));
        }
        self.signature.verify_parts(self.signer(), parts)
    }
}

/// The DER object identifier of the content's type, and the content unless it is detached.
type Encapsulated<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

/// `SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }`
fn encapsulated_content<'a>(element: &Element<'a>) -> Result<Encapsulated<'a>, asn1::Error> {
    let mut fields = element.children();
    let content_type = fields.take(tag::OID)?;
    let content = match fields.optional(0xa0)? {
        Some(explicit) => {
            let mut explicit = explicit.children();
            let content = explicit.string(tag::OCTET_STRING)?;
            explicit.finish()?;
            Some(content)
        }
        None => None,
    };
    fields.finish()?;
    Ok((content_type.whole(), content))
}

/// Parses the X.509 certificates of a CertificateSet (RFC 5652 §10.2.3), each as received. Those
/// that this network does not use are skipped, as deployed readers do; the error of the last one is
/// returned beside the others, in case it was the signer's.
fn certificates(set: &Element<'_>) -> Result<(Vec<Certificate>, Option<pki::Error>), Error> {
    let mut certificates: Vec<Certificate> = Vec::new();
    let mut unreadable = None;
    let mut choices = set.children();
    let mut count = 0;
    while let Some(choice) = choices.any().map_err(malformed("certificates"))? {
        count += 1;
        if count > MAX_CERTIFICATES {
            return Err(Error::Unsupported("number of certificates"));
        }
        match Certificate::parse(choice.whole()) {
            Ok(certificate) => {
                // The JVM too drops duplicates before it looks for a path.
                if !certificates.contains(&certificate) {
                    certificates.push(certificate);
                }
            }
            Err(error) => unreadable = Some(error),
        }
    }
    Ok((certificates, unreadable))
}

/// Returns the only value of a SET.
fn only<'a>(set: &Element<'a>, what: &'static str) -> Result<Element<'a>, Error> {
    let mut values = set.children();
    let first = values.any().map_err(malformed(what))?;
    let mut found = usize::from(first.is_some());
    while values.any().map_err(malformed(what))?.is_some() {
        found += 1;
    }
    match first {
        Some(first) if found == 1 => Ok(first),
        _ => Err(Error::Count { what, found }),
    }
}

impl<'a> SignerInfo<'a> {
    fn parse(element: &Element<'a>, content_type: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("signer");
        let mut fields = element.children();
        // The version follows from the form of the sid (RFC 5652 §5.3), which is checked below.
        fields.take(tag::INTEGER).map_err(wrong)?;
        // Only issuerAndSerialNumber: no deployed reader finds a signer by its key identifier.
        let sid = fields
            .take(tag::SEQUENCE)
            .map_err(|_| Error::NoSignerCertificate)?;
        let mut sid = sid.children();
        let issuer = sid.take(tag::SEQUENCE).map_err(wrong)?.whole();
        let serial = sid.take(tag::INTEGER).map_err(wrong)?.content();
        let digest = algorithm(&mut fields).map_err(wrong)?;
        let digest = signature::digest(&digest)?;
        let signed_attributes = fields.optional(0xa0).map_err(wrong)?;
        let signature_algorithm = algorithm(&mut fields).map_err(wrong)?;
        // No deployed node hashes the content with one function and signs with another.
        if signature::pss_digest(&signature_algorithm)? != digest {
            return Err(pki::Error::SignatureAlgorithm.into());
        }
        let value = fields
            .string(tag::OCTET_STRING)
            .map_err(wrong)?
            .into_owned();
        // unsignedAttrs are ignored: no signature protects them.
        fields.optional(0xa1).map_err(wrong)?;
        fields.finish().map_err(wrong)?;

        let signed_attributes = match signed_attributes {
            Some(attributes) => Some(SignedAttributes::parse(&attributes, content_type)?),
            None if content_type == oid::to_der(&oid::DATA) => None,
            // RFC 5652 §5.3: without signed attributes the content must be id-data.
            None => return Err(Error::Unsupported("content type")),
        };
        Ok(Self {
            issuer,
            serial,
            signature: Signature {
                digest,
                signed_attributes,
                value,
            },
        })
    }
}

impl SignedAttributes {
    /// Reads the `[0]` of a signer of content of this type.
    fn parse(attributes: &Element<'_>, content_type: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("signer");
        // The signature covers the DER of the attributes (RFC 5652 §5.4). But for their order they
        // are verified as received, so each must be DER already; both implementations send DER.
        let whole = Element::der(attributes.whole(), 0xa0).map_err(wrong)?;
        let signed_type = attribute(&whole, &oid::CONTENT_TYPE).map_err(wrong)?;
        if signed_type != content_type {
            return Err(Error::Unsupported("content type"));
        }
        let digest = attribute(&whole, &oid::MESSAGE_DIGEST).map_err(wrong)?;
        let digest = Element::der(digest, tag::OCTET_STRING).map_err(wrong)?;
        let mut list = whole.der_children();
        let mut each = Vec::new();
        while let Some(attribute) = list.any().map_err(wrong)? {
            each.push(attribute.whole());
        }
        // X.690 §11.6 pads the shorter one, but no encoding is the beginning of another.
        each.sort_unstable();
        let sorted = write::tlv(tag::SET, &each.concat());
        let received = write::retagged(tag::SET, whole.whole());
        Ok(Self {
            received: (received != sorted).then_some(received),
            sorted,
            message_digest: digest.content().to_vec(),
        })
    }
}

fn algorithm<'a>(fields: &mut Cursor<'a>) -> Result<Algorithm<'a>, asn1::Error> {
    Algorithm::parse(&fields.take(tag::SEQUENCE)?)
}

/// Finds the single value of the attribute `kind`, which must occur exactly once (RFC 5652 §11).
fn attribute<'a>(
    attributes: &Element<'a>,
    kind: &der::asn1::ObjectIdentifier,
) -> Result<&'a [u8], asn1::Error> {
    let mut list = attributes.der_children();
    let mut found = None;
    while let Some(attribute) = list.any()? {
        let mut fields = attribute.children();
        if fields.take(tag::OID)?.oid()? != *kind {
            continue;
        }
        let mut values = fields.take(tag::SET)?.children();
        fields.finish()?;
        let value = values.any()?.ok_or(asn1::Error::Value("attribute"))?;
        values.finish()?;
        if found.replace(value.whole()).is_some() {
            return Err(asn1::Error::Value("attribute"));
        }
    }
    found.ok_or(asn1::Error::Value("attribute"))
}

/// Signs the content in `buffer` and wraps it in a ContentInfo with SignedData, in DER. `sha256` is
/// the hash of the content, which encryption computes in the same pass.
///
/// The first of `certificates` is the signer's; all of them are attached, in this order.
///
/// # Errors
/// When `certificates` is empty, or the system's random number generator fails.
pub fn sign(
    buffer: &mut Buffer,
    sha256: &[u8; 32],
    key: &IdentityKey,
    certificates: &[&Certificate],
) -> Result<(), Error> {
    let signer = certificates.first().ok_or(Error::NoSignerCertificate)?;
    debug_assert_eq!(*sha256, hash::sha256(buffer.as_slice()));
    // One primitive string: segments cost octets, and asn1js 3.1.0 stops at 10 000 nodes.
    buffer.wrap(tag::OCTET_STRING);
    buffer.wrap(0xa0);
    wrap_signed(buffer, sha256, key, (signer, certificates))
}

/// Signs content that is sent elsewhere, and gives the ContentInfo with SignedData, in DER. Only the signer's
/// certificate is attached.
///
/// # Errors
/// When the system's random number generator fails.
pub fn sign_detached(
    sha256: &[u8; 32],
    key: &IdentityKey,
    signer: &Certificate,
) -> Result<Vec<u8>, Error> {
    let mut buffer = Buffer::with_capacity(0);
    wrap_signed(&mut buffer, sha256, key, (signer, &[signer]))?;
    Ok(buffer.into_octets())
}

/// Signs content with this hash, and makes a ContentInfo of what is in `buffer`: the content, or nothing.
fn wrap_signed(
    buffer: &mut Buffer,
    sha256: &[u8; 32],
    key: &IdentityKey,
    (signer, certificates): (&Certificate, &[&Certificate]),
) -> Result<(), Error> {
    let data = oid::to_der(&oid::DATA);
    // The DER order of a SET OF: contentType is shorter. The JVM refuses any other order.
    let attributes = [
        signed_attribute(&oid::CONTENT_TYPE, &data),
        signed_attribute(&oid::MESSAGE_DIGEST, &write::tlv(tag::OCTET_STRING, sha256)),
    ]
    .concat();
    let signature = key.sign(&write::tlv(tag::SET, &attributes))?;
    // Without parameters, as the JVM writes it; every deployed reader accepts both forms.
    let sha256 = algorithm::to_der(&oid::SHA256, &[]);
    let signer_info = write::constructed(
        tag::SEQUENCE,
        &[
            &[tag::INTEGER, 1, 1],
            &write::constructed(
                tag::SEQUENCE,
                &[signer.issuer(), &write::tlv(tag::INTEGER, signer.serial())],
            ),
            &sha256,
            &write::tlv(0xa0, &attributes),
            &signature::pss_sha256(),
            &write::tlv(tag::OCTET_STRING, &signature),
        ],
    );

    buffer.prepend(&data);
    buffer.wrap(tag::SEQUENCE);
    buffer.prepend(&write::tlv(tag::SET, &sha256));
    buffer.prepend(&[tag::INTEGER, 1, 1]);
    let attached: Vec<&[u8]> = certificates
        .iter()
        .map(|certificate| certificate.octets())
        .collect();
    buffer.append(&write::constructed(0xa0, &attached));
    buffer.append(&write::tlv(tag::SET, &signer_info));
    buffer.wrap(tag::SEQUENCE);
    content_info::wrap(buffer, &oid::SIGNED_DATA);
    Ok(())
}

fn signed_attribute(kind: &der::asn1::ObjectIdentifier, value: &[u8]) -> Vec<u8> {
    write::constructed(
        tag::SEQUENCE,
        &[&oid::to_der(kind), &write::tlv(tag::SET, value)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::pem;
    use crate::pki::issuance::{self, CertificateRole};

    fn signed() -> (IdentityKey, Certificate, Vec<u8>) {
        let text = include_bytes!("../../../tests/interop/alpha/nodes/endpoint-a/identity.key.pem");
        let key = IdentityKey::from_pkcs8(&pem::private_key(text).unwrap().0).unwrap();
        let validity = (
            "2026-01-01T00:00:00Z".parse().unwrap(),
            "2026-06-01T00:00:00Z".parse().unwrap(),
        );
        let certificate = issuance::issue(
            &key,
            None,
            key.public(),
            CertificateRole::Endpoint,
            validity,
        )
        .unwrap();
        let mut buffer = Buffer::with_capacity(64);
        buffer.append(b"content");
        let sha256 = hash::sha256(b"content");
        sign(&mut buffer, &sha256, &key, &[&certificate]).unwrap();
        (key, certificate, buffer.as_slice().to_vec())
    }

    /// The same signed data with other octets in place of its certificates.
    fn with_certificates(octets: &[u8], certificates: &[u8]) -> Vec<u8> {
        let (_, signed_data) = content_info::parse(octets).unwrap();
        let mut fields = signed_data.children();
        let mut buffer = Buffer::with_capacity(octets.len());
        while let Some(field) = fields.any().unwrap() {
            let attached = write::tlv(0xa0, certificates);
            buffer.append(if field.tag() == 0xa0 {
                &attached
            } else {
                field.whole()
            });
        }
        buffer.wrap(tag::SEQUENCE);
        content_info::wrap(&mut buffer, &oid::SIGNED_DATA);
        buffer.as_slice().to_vec()
    }

    #[test]
    fn what_is_signed_verifies() {
        let (_, certificate, octets) = signed();
        let parsed = SignedData::parse(&octets).unwrap();
        assert_eq!(parsed.content(), Some(&b"content"[..]));
        assert_eq!(*parsed.signer(), certificate);
        parsed.verify().unwrap();
        assert!(matches!(
            parsed.verify_detached(b"other"),
            Err(Error::Pki(pki::Error::Signature))
        ));
    }

    /// The signed data of [`signed`] with its attributes sent and signed in these orders.
    fn with_attributes(sent: [usize; 3], signed: [usize; 3]) -> Vec<u8> {
        let (key, certificate, _) = self::signed();
        let digest = write::tlv(tag::OCTET_STRING, &hash::sha256(b"content"));
        let attributes = [
            signed_attribute(&oid::CONTENT_TYPE, &oid::to_der(&oid::DATA)),
            signed_attribute(&oid::MESSAGE_DIGEST, &digest),
            // Another one, which is unknown and longer.
            signed_attribute(&oid::SHA256, &write::tlv(tag::OCTET_STRING, &[7; 90])),
        ];
        let ordered = |order: [usize; 3]| order.map(|at| attributes[at].clone()).concat();
        let signature = key.sign(&write::tlv(tag::SET, &ordered(signed))).unwrap();
        let sha256 = algorithm::to_der(&oid::SHA256, &[]);
        let serial = write::tlv(tag::INTEGER, certificate.serial());
        let info = write::constructed(
            tag::SEQUENCE,
            &[
                &[tag::INTEGER, 1, 1],
                &write::constructed(tag::SEQUENCE, &[certificate.issuer(), &serial]),
                &sha256,
                &write::tlv(0xa0, &ordered(sent)),
                &signature::pss_sha256(),
                &write::tlv(tag::OCTET_STRING, &signature),
            ],
        );
        let content = write::tlv(0xa0, &write::tlv(tag::OCTET_STRING, b"content"));
        let mut buffer = Buffer::with_capacity(4096);
        buffer.append(&[tag::INTEGER, 1, 1]);
        buffer.append(&write::tlv(tag::SET, &sha256));
        buffer.append(&write::constructed(
            tag::SEQUENCE,
            &[&oid::to_der(&oid::DATA), &content],
        ));
        buffer.append(&write::tlv(0xa0, certificate.octets()));
        buffer.append(&write::tlv(tag::SET, &info));
        buffer.wrap(tag::SEQUENCE);
        content_info::wrap(&mut buffer, &oid::SIGNED_DATA);
        buffer.as_slice().to_vec()
    }

    #[test]
    fn attributes_may_be_sent_in_another_order_than_they_are_signed() {
        const SORTED: [usize; 3] = [0, 1, 2];
        let verified = |sent, signed| {
            let octets = with_attributes(sent, signed);
            SignedData::parse(&octets).unwrap().verify().is_ok()
        };
        for sent in [SORTED, [1, 0, 2], [2, 1, 0], [0, 2, 1]] {
            assert!(verified(sent, SORTED), "{sent:?}");
            assert!(verified(sent, sent), "{sent:?}");
        }
        assert!(!verified([1, 0, 2], [2, 0, 1]));
        assert!(!verified(SORTED, [1, 0, 2]));
    }

    #[test]
    fn an_attached_certificate_of_another_kind_does_no_harm() {
        let (_, certificate, octets) = signed();
        // X.509 v1 certificates and those with an elliptic curve key are not Relaynet's either.
        let foreign = write::tlv(tag::SEQUENCE, &write::tlv(tag::INTEGER, &[1]));
        let octets = with_certificates(
            &octets,
            &[&foreign, certificate.octets(), &foreign].concat(),
        );
        let parsed = SignedData::parse(&octets).unwrap();
        assert_eq!(parsed.certificates(), [certificate]);
        parsed.verify().unwrap();
        let alone = with_certificates(&octets, &foreign);
        assert!(matches!(
            SignedData::parse(&alone),
            Err(Error::Pki(pki::Error::Certificate(_)))
        ));
        let none = with_certificates(&octets, &[]);
        assert!(matches!(
            SignedData::parse(&none),
            Err(Error::NoSignerCertificate)
        ));
    }
}
