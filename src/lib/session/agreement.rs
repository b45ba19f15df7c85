//! Sealing to a session key and opening with one (RS-003, RFC 5753 §3.1).

use std::ops::Range;

use super::{Error, KeyId, PrivateSessionKey, PublicSessionKey};
use crate::asn1::{Buffer, tag, write};
use crate::cms::EnvelopedData;
use crate::cms::enveloped_data::{self, Cipher, Envelope, KeyAgreement};
use crate::crypto::hash::{self, Digest};
use crate::crypto::secret::Secret;
use crate::crypto::{key_wrap, random, x963_kdf};

/// Length of the user keying material, in octets. It is always sent: JavaScript nodes cannot
/// decrypt a message without it.
const UKM_LEN: usize = 64;

/// A parsed payload that was not opened yet.
#[derive(Debug)]
pub struct Sealed {
    enveloped: EnvelopedData,
    recipient_key_id: KeyId,
}

/// An opened payload.
#[derive(Debug)]
pub struct OpenedPayload {
    /// The range of the plaintext in the octets of the payload.
    pub plaintext: Range<usize>,
    /// The originator's session key, to seal the answer to.
    pub originator: PublicSessionKey,
}

impl Sealed {
    /// Parses a payload: a ContentInfo with EnvelopedData, in BER or DER.
    ///
    /// # Errors
    /// [`Error::Payload`] when it is malformed or not sealed to a session key.
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        let enveloped = EnvelopedData::parse(payload).map_err(Error::Payload)?;
        let recipient_key_id = KeyId::new(&enveloped.agreement().recipient_key_id)?;
        Ok(Self {
            enveloped,
            recipient_key_id,
        })
    }

    /// The id of the session key that the payload is sealed to.
    #[must_use]
    pub fn recipient_key_id(&self) -> &KeyId {
        &self.recipient_key_id
    }

    /// A digest that tells the ciphertext from others, in whatever form it comes: of the wrapped
    /// content encryption key, which nobody can wrap in another way who does not know it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        hash::sha256(&self.enveloped.agreement().wrapped_key)
    }

    /// The id of the originator's session key, if the payload names one.
    #[must_use]
    pub fn originator_key_id(&self) -> Option<KeyId> {
        self.enveloped
            .originator_key_id()
            .and_then(|id| KeyId::new(id).ok())
    }

    /// The key agreement with the recipient.
    #[must_use]
    pub fn agreement(&self) -> &KeyAgreement {
        self.enveloped.agreement()
    }

    /// The content cipher.
    #[must_use]
    pub fn cipher(&self) -> Cipher {
        self.enveloped.cipher()
    }

    /// Decrypts `payload` in place, the octets that this was parsed from, with the first of `keys`
    /// that unwraps the content encryption key.
    ///
    /// # Errors
    /// [`Error::Undecryptable`], whichever step fails.
    pub fn open_in_place(
        &self,
        keys: &[PrivateSessionKey],
        payload: &mut [u8],
    ) -> Result<OpenedPayload, Error> {
        let agreement = self.enveloped.agreement();
        // Without the originator's key nothing could be answered, so deployed readers refuse it
        // too.
        let id = self.originator_key_id().ok_or(Error::Undecryptable)?;
        let originator = PublicSessionKey::from_point(id, agreement.curve, &agreement.point)
            .map_err(|_| Error::Undecryptable)?;
        let content_key = keys
            .iter()
            .find_map(|key| content_key(agreement, key, &originator))
            .ok_or(Error::Undecryptable)?;
        let plaintext = self
            .enveloped
            .decrypt_in_place(&content_key, payload)
            .map_err(|_| Error::Undecryptable)?;
        Ok(OpenedPayload {
            plaintext,
            originator,
        })
    }
}

/// Unwraps the content encryption key; `None` if it was not wrapped for `key`.
fn content_key(
    agreement: &KeyAgreement,
    key: &PrivateSessionKey,
    originator: &PublicSessionKey,
) -> Option<Secret> {
    let shared = key.agree(originator.curve(), originator.point()).ok()?;
    // Without a ukm RFC 5753 leaves entityUInfo out, but JavaScript nodes write an empty one.
    let forms = match agreement.ukm.as_deref() {
        Some(ukm) => vec![Some(ukm)],
        None => vec![None, Some(&[][..])],
    };
    forms.into_iter().find_map(|ukm| {
        let key = wrapping_key(&shared, agreement, ukm);
        key_wrap::unwrap(key.as_bytes(), &agreement.wrapped_key).ok()
    })
}

/// Seals `content` to the session key of `recipient`; `originator` is the key to seal the answer
/// to. The content is encrypted only when the envelope is.
///
/// # Errors
/// When the system's random number generator fails.
pub fn seal(
    content: Buffer,
    cipher: Cipher,
    recipient: &PublicSessionKey,
    originator: &PrivateSessionKey,
) -> Result<Envelope, Error> {
    // Fails unless both keys are on the same curve, which is the recipient's choice.
    let shared = originator
        .agree(recipient.curve(), recipient.point())
        .map_err(Error::Crypto)?;
    let ukm = random::array::<UKM_LEN>().map_err(Error::Crypto)?;
    let content_key = random::secret(cipher.key_len()).map_err(Error::Crypto)?;
    let wrap = enveloped_data::key_wrap_algorithm(cipher.key_len());
    let mut agreement = KeyAgreement {
        curve: originator.public().curve_oid(),
        point: originator.public().point().to_vec(),
        ukm: Some(ukm.to_vec()),
        // As the JVM writes it. JavaScript nodes write SHA-512 and read every SHA-2.
        kdf: Digest::Sha256,
        wrap,
        wrap_key_len: cipher.key_len(),
        recipient_key_id: recipient.id().octets().to_vec(),
        wrapped_key: Vec::new(),
    };
    let key = wrapping_key(&shared, &agreement, Some(&ukm));
    let wrapped = key_wrap::wrap(key.as_bytes(), content_key.as_bytes()).map_err(Error::Crypto)?;
    agreement.wrapped_key = wrapped;
    let originator = originator.public().id();
    Envelope::new(
        content,
        cipher,
        content_key,
        &agreement,
        originator.octets(),
    )
    .map_err(Error::Cms)
}

/// Derives the key that wraps the content encryption key (RFC 5753 §7.2).
///
/// ```text
/// ECC-CMS-SharedInfo ::= SEQUENCE {
///   keyInfo AlgorithmIdentifier,
///   entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,
///   suppPubInfo [2] EXPLICIT OCTET STRING }   -- bits of the key, in four octets
/// ```
fn wrapping_key(shared: &Secret, agreement: &KeyAgreement, ukm: Option<&[u8]>) -> Secret {
    let bits = u32::try_from(agreement.wrap_key_len * 8)
        .unwrap_or_default()
        .to_be_bytes();
    let ukm = ukm.map(|ukm| write::tlv(0xa0, &write::tlv(tag::OCTET_STRING, ukm)));
    let shared_info = write::constructed(
        tag::SEQUENCE,
        &[
            &agreement.wrap,
            ukm.as_deref().unwrap_or_default(),
            &write::tlv(0xa2, &write::tlv(tag::OCTET_STRING, &bits)),
        ],
    );
    x963_kdf::derive(
        agreement.kdf,
        shared.as_bytes(),
        &shared_info,
        agreement.wrap_key_len,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ecdh::Curve;

    const CONTENT: &[u8] = b"nobody else may read what is said in here";

    fn sealed(recipient: &PrivateSessionKey, cipher: Cipher) -> Envelope {
        let originator = PrivateSessionKey::generate(Curve::P256).unwrap();
        let mut content = Buffer::with_capacity(CONTENT.len());
        content.append(CONTENT);
        seal(content, cipher, recipient.public(), &originator).unwrap()
    }

    #[test]
    fn what_goes_before_an_envelope_does_no_harm_and_nothing_goes_behind_it() {
        let recipient = PrivateSessionKey::generate(Curve::P256).unwrap();
        for cipher in [Cipher::Cbc { key_len: 16 }, Cipher::Gcm { key_len: 32 }] {
            let mut envelope = sealed(&recipient, cipher);
            envelope.value_mut().prepend(&[7; 5000]);
            let (value, sha256) = envelope.encrypt().unwrap();
            assert_eq!(sha256, crate::crypto::hash::sha256(value.as_slice()));
            let shown = value.as_slice().windows(16);
            assert!(
                !CONTENT
                    .chunks(16)
                    .any(|piece| shown.clone().any(|octets| octets == piece))
            );
            let mut payload = value.as_slice()[5000..].to_vec();
            let parsed = Sealed::parse(&payload).unwrap();
            let opened = parsed.open_in_place(std::slice::from_ref(&recipient), &mut payload);
            assert_eq!(&payload[opened.unwrap().plaintext], CONTENT);

            let mut envelope = sealed(&recipient, cipher);
            envelope.value_mut().append(b"x");
            assert!(envelope.encrypt().is_err());
        }
    }
}
