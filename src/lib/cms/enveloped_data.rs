//! EnvelopedData for one recipient, by key agreement (RFC 5652 §6, RFC 5753, RS-003).

use std::ops::Range;

use super::{Error, content_info, malformed};
use crate::asn1::algorithm::{self, Algorithm};
use crate::asn1::{self, Buffer, Cursor, Element, ber, oid, spki, tag, write};
use crate::crypto::hash::Digest;
use crate::crypto::secret::Secret;
use crate::crypto::{self, aes_cbc, aes_gcm, hash, random};

/// Maximum length of a session key id, in octets.
pub const MAX_KEY_ID_LEN: usize = 64;

/// The content cipher; lengths of AES keys are in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES-CBC with PKCS#7 padding (RFC 3565), which every deployed reader opens.
    Cbc {
        /// 16, 24 or 32.
        key_len: usize,
    },
    /// AES-GCM (RFC 5084), which RS-018 requires. JavaScript and the JVM read different forms of
    /// its parameters, so no form reaches every deployed reader.
    Gcm {
        /// 16, 24 or 32.
        key_len: usize,
    },
}

impl Cipher {
    /// The length of the content encryption key, in octets.
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::Cbc { key_len } | Self::Gcm { key_len } => key_len,
        }
    }

    fn oid(self) -> der::asn1::ObjectIdentifier {
        match self {
            Self::Cbc { key_len: 16 } => oid::AES128_CBC,
            Self::Cbc { key_len: 24 } => oid::AES192_CBC,
            Self::Cbc { .. } => oid::AES256_CBC,
            Self::Gcm { key_len: 16 } => oid::AES128_GCM,
            Self::Gcm { key_len: 24 } => oid::AES192_GCM,
            Self::Gcm { .. } => oid::AES256_GCM,
        }
    }

    fn from_oid(algorithm: der::asn1::ObjectIdentifier) -> Option<Self> {
        match algorithm {
            oid::AES128_CBC => Some(Self::Cbc { key_len: 16 }),
            oid::AES192_CBC => Some(Self::Cbc { key_len: 24 }),
            oid::AES256_CBC => Some(Self::Cbc { key_len: 32 }),
            oid::AES128_GCM => Some(Self::Gcm { key_len: 16 }),
            oid::AES192_GCM => Some(Self::Gcm { key_len: 24 }),
            oid::AES256_GCM => Some(Self::Gcm { key_len: 32 }),
            _ => None,
        }
    }
}

/// The key agreement that gives the recipient the content encryption key: KeyAgreeRecipientInfo
/// (RFC 5652 §6.2.2).
#[derive(Debug)]
pub struct KeyAgreement {
    /// The curve of the originator's key.
    pub curve: der::asn1::ObjectIdentifier,
    /// The originator's public key: a point, as SEC 1 §2.3.3 encodes it.
    pub point: Vec<u8>,
    /// User keying material, which makes the wrapping key of each message different.
    pub ukm: Option<Vec<u8>>,
    /// The hash of the key derivation function (ANSI X9.63).
    pub kdf: Digest,
    /// The AlgorithmIdentifier of the key wrap, as received since it is an input of the derivation.
    pub wrap: Vec<u8>,
    /// The length of the wrapping key, in octets.
    pub wrap_key_len: usize,
    /// The id of the recipient's session key.
    pub recipient_key_id: Vec<u8>,
    /// The wrapped content encryption key.
    pub wrapped_key: Vec<u8>,
}

/// A parsed EnvelopedData, with the range of the encrypted content in its octets.
#[derive(Debug)]
pub struct EnvelopedData {
    agreement: KeyAgreement,
    originator_key_id: Option<Vec<u8>>,
    cipher: Cipher,
    parameters: Parameters,
    encrypted: Range<usize>,
}

/// The parameters of the content cipher.
#[derive(Debug)]
enum Parameters {
    Cbc { iv: [u8; 16] },
    Gcm { nonce: Vec<u8>, tag_len: usize },
}

impl EnvelopedData {
    /// Reads a ContentInfo with EnvelopedData, in BER or DER.
    ///
    /// # Errors
    /// When it is malformed, uses an algorithm that is not allowed, or is not for exactly one
    /// recipient named by a session key id.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("enveloped data");
        let (content_type, enveloped_data) = content_info::parse(octets).map_err(wrong)?;
        if content_type != oid::ENVELOPED_DATA {
            return Err(Error::Unsupported("content type"));
        }
        let mut fields = enveloped_data.children();
        // The version follows from the other fields (RFC 5652 §6.1), which are checked themselves.
        fields.take(tag::INTEGER).map_err(wrong)?;
        fields.optional(0xa0).map_err(wrong)?;
        let mut recipients = fields.take(tag::SET).map_err(wrong)?.children();
        let first = recipients.any().map_err(wrong)?;
        let mut found = usize::from(first.is_some());
        while recipients.any().map_err(wrong)?.is_some() {
            found += 1;
        }
        let recipient = match first {
            Some(first) if found == 1 => first,
            _ => {
                return Err(Error::Count {
                    what: "recipients",
                    found,
                });
            }
        };
        // `[1]` is key agreement. Deployed nodes refuse key transport too.
        if recipient.tag() != 0xa1 {
            return Err(Error::NotASession);
        }
        let agreement = KeyAgreement::parse(&recipient)?;
        let mut content = fields.take(tag::SEQUENCE).map_err(wrong)?.children();
        content.take(tag::OID).map_err(wrong)?;
        let algorithm = content.take(tag::SEQUENCE).map_err(wrong)?;
        // Segments stay as received: they are joined when the content is decrypted, in place.
        let encrypted = content.string_element(0x80).map_err(wrong)?.whole();
        let start = encrypted.as_ptr() as usize - octets.as_ptr() as usize;
        let encrypted = start..start + encrypted.len();
        content.finish().map_err(wrong)?;
        let (cipher, parameters) = content_algorithm(&algorithm)?;
        let originator_key_id = match fields.optional(0xa1).map_err(wrong)? {
            Some(attributes) => originator_key_id(&attributes).map_err(wrong)?,
            None => None,
        };
        fields.finish().map_err(wrong)?;
        Ok(Self {
            agreement,
            originator_key_id,
            cipher,
            parameters,
            encrypted,
        })
    }

    /// The key agreement with the recipient.
    #[must_use]
    pub fn agreement(&self) -> &KeyAgreement {
        &self.agreement
    }

    /// The id of the originator's session key; `None` without the attribute, in which case the
    /// session cannot continue.
    #[must_use]
    pub fn originator_key_id(&self) -> Option<&[u8]> {
        self.originator_key_id.as_deref()
    }

    /// The content cipher.
    #[must_use]
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Decrypts the content in place, in the octets that this was parsed from, and returns the
    /// range of the plaintext. After an error the octets are garbage.
    ///
    /// # Errors
    /// [`Error::Decrypt`], whichever step fails.
    pub fn decrypt_in_place(&self, key: &Secret, octets: &mut [u8]) -> Result<Range<usize>, Error> {
        if key.len() != self.cipher.key_len() {
            return Err(Error::Decrypt);
        }
        let joined =
            ber::join_in_place(octets, self.encrypted.clone()).map_err(|_| Error::Decrypt)?;
        let content = &mut octets[joined.clone()];
        let len = match &self.parameters {
            Parameters::Cbc { iv } => aes_cbc::decrypt_in_place(key.as_bytes(), iv, content),
            Parameters::Gcm { nonce, tag_len } => {
                aes_gcm::open_in_place(key.as_bytes(), nonce, &[], *tag_len, content)
            }
        };
        let len = len.map_err(|_| Error::Decrypt)?;
        Ok(joined.start..joined.start + len)
    }
}

impl KeyAgreement {
    /// Parses `[1] KeyAgreeRecipientInfo`, which must have exactly one recipient, named by rKeyId.
    fn parse(element: &Element<'_>) -> Result<Self, Error> {
        let wrong = malformed("recipient");
        let mut fields = element.children();
        fields.take(tag::INTEGER).map_err(wrong)?;
        let originator = fields.take(0xa0).map_err(wrong)?;
        let (curve, point) = originator_key(&originator).map_err(wrong)?;
        let ukm = match fields.optional(0xa1).map_err(wrong)? {
            Some(explicit) => {
                let mut explicit = explicit.children();
                let ukm = explicit
                    .string(tag::OCTET_STRING)
                    .map_err(wrong)?
                    .into_owned();
                explicit.finish().map_err(wrong)?;
                Some(ukm)
            }
            None => None,
        };
        let algorithm =
            Algorithm::parse(&fields.take(tag::SEQUENCE).map_err(wrong)?).map_err(wrong)?;
        let mut keys = fields.take(tag::SEQUENCE).map_err(wrong)?.children();
        fields.finish().map_err(wrong)?;
        let key = keys.take(tag::SEQUENCE).map_err(wrong)?;
        keys.finish().map_err(|_| Error::Count {
            what: "recipients",
            found: 2,
        })?;
        let mut key = key.children();
        // The other choice, issuerAndSerialNumber, names a certificate, which session keys do not
        // have.
        let rid = key.take(0xa0).map_err(|_| Error::NotASession)?;
        let wrapped_key = key.string(tag::OCTET_STRING).map_err(wrong)?.into_owned();
        key.finish().map_err(wrong)?;
        let recipient_key_id = rid
            .children()
            .string(tag::OCTET_STRING)
            .map_err(wrong)?
            .into_owned();
        if !(1..=MAX_KEY_ID_LEN).contains(&recipient_key_id.len()) {
            return Err(wrong(asn1::Error::Value("key id")));
        }

        let kdf = match algorithm.oid {
            oid::STD_DH_SHA256 => Digest::Sha256,
            oid::STD_DH_SHA384 => Digest::Sha384,
            oid::STD_DH_SHA512 => Digest::Sha512,
            _ => return Err(Error::Unsupported("key agreement")),
        };
        let parameters = algorithm.parameters.ok_or(Error::Unsupported("key wrap"))?;
        let wrap = Algorithm::parse(&parameters).map_err(wrong)?;
        let wrap_key_len = match wrap.oid {
            oid::AES128_WRAP if wrap.is_bare() => 16,
            oid::AES192_WRAP if wrap.is_bare() => 24,
            oid::AES256_WRAP if wrap.is_bare() => 32,
            _ => return Err(Error::Unsupported("key wrap")),
        };
        Ok(Self {
            curve,
            point,
            ukm,
            kdf,
            wrap: wrap.whole.to_vec(),
            wrap_key_len,
            recipient_key_id,
            wrapped_key,
        })
    }
}

/// `[0] EXPLICIT { [1] OriginatorPublicKey { algorithm, publicKey BIT STRING } }`
fn originator_key(
    explicit: &Element<'_>,
) -> Result<(der::asn1::ObjectIdentifier, Vec<u8>), asn1::Error> {
    let mut choice = explicit.children();
    let mut key = choice.take(0xa1)?.children();
    choice.finish()?;
    let algorithm = Algorithm::parse(&key.take(tag::SEQUENCE)?)?;
    let point = key.take(tag::BIT_STRING)?.bit_string()?;
    key.finish()?;
    if algorithm.oid != oid::EC_PUBLIC_KEY {
        return Err(asn1::Error::Unsupported("key type"));
    }
    // RFC 5753 allows the curve to be left out, but then the key cannot be stored to answer with,
    // and neither deployed reader accepts it.
    let curve = algorithm
        .parameters
        .ok_or(asn1::Error::Unsupported("curve"))?;
    Ok((
        curve.oid().map_err(|_| asn1::Error::Unsupported("curve"))?,
        point.to_vec(),
    ))
}

/// Parses the content cipher and its parameters; those of GCM in either deployed form.
fn content_algorithm(element: &Element<'_>) -> Result<(Cipher, Parameters), Error> {
    let wrong = malformed("content encryption algorithm");
    let mut fields = element.children();
    let kind = fields
        .take(tag::OID)
        .and_then(|kind| kind.oid())
        .map_err(wrong)?;
    let cipher = Cipher::from_oid(kind).ok_or(Error::Unsupported("content cipher"))?;
    let parameters = match cipher {
        Cipher::Cbc { .. } => {
            let iv = fields.string(tag::OCTET_STRING).map_err(wrong)?;
            let iv = <[u8; 16]>::try_from(&*iv).map_err(|_| wrong(asn1::Error::Value("iv")))?;
            Parameters::Cbc { iv }
        }
        // GCMParameters ::= SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 }
        Cipher::Gcm { .. } if fields.peek() == Some(tag::SEQUENCE) => {
            let mut fields = fields.take(tag::SEQUENCE).map_err(wrong)?.children();
            let nonce = fields
                .string(tag::OCTET_STRING)
                .map_err(wrong)?
                .into_owned();
            let tag_len = match fields.optional(tag::INTEGER).map_err(wrong)? {
                Some(len) => len.small_integer().map_err(wrong)?,
                None => 12,
            };
            fields.finish().map_err(wrong)?;
            let tag_len = usize::try_from(tag_len).map_err(|_| Error::Unsupported("tag length"))?;
            if !(12..=16).contains(&tag_len) {
                return Err(Error::Unsupported("tag length"));
            }
            Parameters::Gcm { nonce, tag_len }
        }
        // JavaScript nodes read the nonce as a bare OCTET STRING, and the tag has 16 octets.
        Cipher::Gcm { .. } => {
            let nonce = fields
                .string(tag::OCTET_STRING)
                .map_err(wrong)?
                .into_owned();
            Parameters::Gcm { nonce, tag_len: 16 }
        }
    };
    fields.finish().map_err(wrong)?;
    Ok((cipher, parameters))
}

/// Finds the originator's session key id among the unprotected attributes. Deployed nodes write an
/// OCTET STRING, RS-003 says INTEGER; the content octets of either are the id.
fn originator_key_id(attributes: &Element<'_>) -> Result<Option<Vec<u8>>, asn1::Error> {
    let mut list = attributes.children();
    let mut found = None;
    while let Some(attribute) = list.any()? {
        let mut fields = attribute.children();
        if fields.take(tag::OID)?.oid()? != oid::ORIGINATOR_KEY_ID {
            continue;
        }
        let mut values: Cursor<'_> = fields.take(tag::SET)?.children();
        fields.finish()?;
        let id = if values.peek() == Some(tag::INTEGER) {
            values.take(tag::INTEGER)?.content().to_vec()
        } else {
            values.string(tag::OCTET_STRING)?.into_owned()
        };
        values.finish()?;
        if !(1..=MAX_KEY_ID_LEN).contains(&id.len()) || found.replace(id).is_some() {
            return Err(asn1::Error::Value("originator key id"));
        }
    }
    Ok(found)
}

/// A ContentInfo with EnvelopedData for one recipient, whose content is still to be encrypted. That
/// comes last, when all headers are in place: with AES-CBC, the same pass computes the hash that is
/// signed.
#[must_use]
pub struct Envelope {
    value: Buffer,
    key: Secret,
    start: Start,
    /// The length of the encrypted content, in octets.
    len: usize,
    /// The octets after the content: the unprotected attributes.
    attributes: Vec<u8>,
}

/// The initialization vector or nonce.
enum Start {
    Cbc { iv: [u8; aes_cbc::BLOCK_LEN] },
    Gcm { nonce: [u8; aes_gcm::NONCE_LEN] },
}

impl Envelope {
    /// Wraps the content in `value` in an EnvelopedData and its ContentInfo, to be encrypted with
    /// `key`.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn new(
        mut value: Buffer,
        cipher: Cipher,
        key: Secret,
        agreement: &KeyAgreement,
        originator_key_id: &[u8],
    ) -> Result<Self, Error> {
        let (start, parameters) = match cipher {
            Cipher::Cbc { .. } => {
                let (octets, from) = value.parts_mut();
                aes_cbc::pad(octets, from).map_err(Error::Crypto)?;
                let iv = random::array().map_err(Error::Crypto)?;
                (Start::Cbc { iv }, write::tlv(tag::OCTET_STRING, &iv))
            }
            Cipher::Gcm { .. } => {
                // Space for the tag, which follows the ciphertext.
                value.append(&[0; aes_gcm::TAG_LEN]);
                let nonce = random::array().map_err(Error::Crypto)?;
                let written = write::tlv(tag::OCTET_STRING, &nonce);
                let parameters =
                    write::constructed(tag::SEQUENCE, &[&written, &[tag::INTEGER, 1, 16]]);
                (Start::Gcm { nonce }, parameters)
            }
        };
        let len = value.len();
        // One primitive string: the only shape that all deployed readers take at full size.
        value.wrap(0x80);
        value.prepend(&algorithm::to_der(&cipher.oid(), &parameters));
        value.prepend(&oid::to_der(&oid::DATA));
        value.wrap(tag::SEQUENCE);

        value.prepend(&write::tlv(tag::SET, &recipient_info(agreement)));
        value.prepend(&[tag::INTEGER, 1, 2]);
        let attributes = originator_attribute(originator_key_id);
        value.append(&attributes);
        value.wrap(tag::SEQUENCE);
        content_info::wrap(&mut value, &oid::ENVELOPED_DATA);
        Ok(Self {
            value,
            key,
            start,
            len,
            attributes,
        })
    }

    /// The value, to prepend headers to. Nothing may be appended to it.
    pub(crate) fn value_mut(&mut self) -> &mut Buffer {
        &mut self.value
    }

    /// Encrypts the content, and returns all that is in the buffer now, and its SHA-256.
    ///
    /// # Errors
    /// When the key does not fit the cipher, or something was appended to the value.
    pub fn encrypt(self) -> Result<(Buffer, [u8; 32]), Error> {
        let Self {
            mut value,
            key,
            start,
            len,
            attributes,
        } = self;
        // The content is located from the end, so appended octets would leave as many octets of it
        // unencrypted.
        if !value.as_slice().ends_with(&attributes) {
            return Err(Error::Crypto(crypto::Error::Range));
        }
        let end = value.len() - attributes.len();
        let content = end - len..end;
        let octets = value.as_mut_slice();
        let sha256 = match start {
            Start::Cbc { iv } => aes_cbc::encrypt_and_hash(key.as_bytes(), &iv, octets, content),
            Start::Gcm { nonce } => {
                aes_gcm::seal_in_place(key.as_bytes(), &nonce, &[], &mut octets[content])
                    .map(|()| hash::sha256(octets))
            }
        };
        Ok((value, sha256.map_err(Error::Crypto)?))
    }
}

/// Encodes `[1] KeyAgreeRecipientInfo`.
fn recipient_info(agreement: &KeyAgreement) -> Vec<u8> {
    let kdf = match agreement.kdf {
        Digest::Sha384 => oid::STD_DH_SHA384,
        Digest::Sha512 => oid::STD_DH_SHA512,
        Digest::Sha256 => oid::STD_DH_SHA256,
    };
    let originator = write::retagged(0xa1, &spki::ec_to_der(&agreement.curve, &agreement.point));
    let ukm = agreement
        .ukm
        .as_deref()
        .map(|ukm| write::tlv(0xa1, &write::tlv(tag::OCTET_STRING, ukm)));
    let rid = write::tlv(
        0xa0,
        &write::tlv(tag::OCTET_STRING, &agreement.recipient_key_id),
    );
    let key = write::constructed(
        tag::SEQUENCE,
        &[&rid, &write::tlv(tag::OCTET_STRING, &agreement.wrapped_key)],
    );
    write::constructed(
        0xa1,
        &[
            &[tag::INTEGER, 1, 3],
            &write::tlv(0xa0, &originator),
            ukm.as_deref().unwrap_or_default(),
            &algorithm::to_der(&kdf, &agreement.wrap),
            &write::tlv(tag::SEQUENCE, &key),
        ],
    )
}

/// Encodes the unprotected attributes: the originator's session key id alone.
fn originator_attribute(originator_key_id: &[u8]) -> Vec<u8> {
    // An OCTET STRING, although RS-003 says INTEGER: the JVM refuses that.
    let key_id = write::tlv(tag::SET, &write::tlv(tag::OCTET_STRING, originator_key_id));
    let attribute = write::constructed(
        tag::SEQUENCE,
        &[&oid::to_der(&oid::ORIGINATOR_KEY_ID), &key_id],
    );
    write::tlv(0xa1, &attribute)
}

/// The DER AlgorithmIdentifier of the AES key wrap with a key of `key_len` octets (RFC 3565
/// §2.3.2).
#[must_use]
pub fn key_wrap_algorithm(key_len: usize) -> Vec<u8> {
    let wrap = match key_len {
        16 => oid::AES128_WRAP,
        24 => oid::AES192_WRAP,
        _ => oid::AES256_WRAP,
    };
    // No parameters: these octets are part of the derivation, and deployed nodes leave them out.
    algorithm::to_der(&wrap, &[])
}
