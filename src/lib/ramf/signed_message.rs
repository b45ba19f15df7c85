//! A whole RAMF message: its octets as received, and the parsed fields.

use std::borrow::Cow;
use std::ops::Range;

use super::{Error, Fields, Kind, fields, format_signature, limits};
use crate::asn1::Buffer;
use crate::cms;
use crate::cms::enveloped_data::Envelope;
use crate::cms::signed_data::{self, Signature, SignedData};
use crate::crypto::hash;
use crate::pki::{Certificate, IdentityKey, NodeId};

/// A parsed RAMF message within its limits. Signature and dates are not checked yet.
#[derive(Debug)]
pub struct SignedMessage {
    octets: Vec<u8>,
    head: Head,
    content: SignedContent,
    /// The range of the payload in the content.
    payload: Range<usize>,
    signature: Signature,
}

/// A message without its payload.
#[derive(Debug)]
pub struct Head {
    /// The kind of the message.
    pub kind: Kind,
    /// The fields without the payload.
    pub fields: Fields,
    /// The certificate of the signer.
    pub sender: Certificate,
    /// The other certificates that are attached, in the order received.
    pub attached: Vec<Certificate>,
}

/// The signed content: the DER fields.
#[derive(Debug)]
enum SignedContent {
    /// A range of the octets received.
    Received(Range<usize>),
    /// Joined from segments, since the signature covers them without their headers.
    Joined(Vec<u8>),
}

impl SignedMessage {
    /// Parses all of `octets` as a message, in BER or DER.
    ///
    /// # Errors
    /// When it is malformed or a part of it is over its limit.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        fields::check_len("message", octets.len(), limits::MAX_MESSAGE_LEN)?;
        // Checked before the CMS parser runs, which gives the clearer error.
        let kind = Kind::read(&octets)?;
        let signed = SignedData::parse(&octets[format_signature::LEN..])?;
        let (content, sender, attached, signature) = signed.into_parts();
        // Detached signatures are objects of their own, not messages.
        let content = content.ok_or(cms::Error::NoContent)?;
        let (fields, payload) = Fields::parse(&content)?;
        let content = match content {
            Cow::Borrowed(content) => {
                let start = content.as_ptr() as usize - octets.as_ptr() as usize;
                SignedContent::Received(start..start + content.len())
            }
            Cow::Owned(content) => SignedContent::Joined(content),
        };
        Ok(Self {
            octets,
            head: Head {
                kind,
                fields,
                sender,
                attached,
            },
            content,
            payload,
            signature,
        })
    }

    /// Wraps a payload in the fields, encrypts its content, signs the whole, and returns the
    /// message.
    ///
    /// The first of `certificates` is the sender's.
    ///
    /// # Errors
    /// When a part would be over its limit, or the system's random number generator fails.
    pub fn seal(
        mut payload: Envelope,
        kind: Kind,
        fields: &Fields,
        key: &IdentityKey,
        certificates: &[&Certificate],
    ) -> Result<Buffer, Error> {
        fields.wrap(payload.value_mut())?;
        // After all that is signed is in place, since encryption also computes its hash.
        let (value, sha256) = payload.encrypt()?;
        Self::finish(value, &sha256, kind, key, certificates)
    }

    /// Like [`SignedMessage::seal`], for a payload that is encrypted already.
    ///
    /// # Errors
    /// As [`SignedMessage::seal`].
    pub fn sign(
        mut payload: Buffer,
        kind: Kind,
        fields: &Fields,
        key: &IdentityKey,
        certificates: &[&Certificate],
    ) -> Result<Buffer, Error> {
        fields.wrap(&mut payload)?;
        let sha256 = hash::sha256(payload.as_slice());
        Self::finish(payload, &sha256, kind, key, certificates)
    }

    fn finish(
        mut value: Buffer,
        sha256: &[u8; 32],
        kind: Kind,
        key: &IdentityKey,
        certificates: &[&Certificate],
    ) -> Result<Buffer, Error> {
        signed_data::sign(&mut value, sha256, key, certificates)?;
        value.prepend(&kind.signature());
        Ok(value)
    }

    /// Verifies the signature with the sender's certificate.
    ///
    /// # Errors
    /// When it does not match.
    pub fn verify_signature(&self) -> Result<(), Error> {
        Ok(self.signature.verify(&self.head.sender, self.content())?)
    }

    /// Whether the same sender signed the same, in whatever encoding, and whatever certificates are
    /// attached: those are not signed.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && self.sender() == other.sender()
            && self.content() == other.content()
    }

    /// The kind of the message.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.head.kind
    }

    /// The octets as received.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Takes the octets as received.
    #[must_use]
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// The fields without the payload.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.head.fields
    }

    /// The payload: a ContentInfo with EnvelopedData.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.content()[self.payload.clone()]
    }

    fn content(&self) -> &[u8] {
        match &self.content {
            SignedContent::Received(range) => &self.octets[range.clone()],
            SignedContent::Joined(content) => content,
        }
    }

    /// Splits the message into its head, and octets with the range of the payload in them, to be
    /// decrypted in place.
    #[must_use]
    pub fn into_payload(self) -> (Head, Vec<u8>, Range<usize>) {
        let (octets, start) = match self.content {
            SignedContent::Received(range) => (self.octets, range.start),
            SignedContent::Joined(content) => (content, 0),
        };
        (
            self.head,
            octets,
            start + self.payload.start..start + self.payload.end,
        )
    }

    /// The certificate of the signer.
    #[must_use]
    pub fn sender_certificate(&self) -> &Certificate {
        &self.head.sender
    }

    /// The node that signed the message.
    #[must_use]
    pub fn sender(&self) -> NodeId {
        self.head.sender.id()
    }

    /// The other certificates that are attached, in the order received.
    #[must_use]
    pub fn attached(&self) -> &[Certificate] {
        &self.head.attached
    }
}
