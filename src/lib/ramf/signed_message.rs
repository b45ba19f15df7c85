//! A whole RAMF message: its octets as received, and what was read from them.

use std::borrow::Cow;
use std::ops::Range;

use super::{Error, Fields, Kind, fields, format_signature, limits};
use crate::asn1::Buffer;
use crate::cms;
use crate::cms::enveloped_data::Envelope;
use crate::cms::signed_data::{self, Signature, SignedData};
use crate::crypto::hash;
use crate::pki::{Certificate, IdentityKey, NodeId};

/// A RAMF message whose structure and limits are right; its signature and dates were not looked at.
#[derive(Debug)]
pub struct SignedMessage {
    octets: Vec<u8>,
    head: Head,
    content: SignedContent,
    /// Where the payload lies in the content.
    payload: Range<usize>,
    signature: Signature,
}

/// All that a message says but its payload.
#[derive(Debug)]
pub struct Head {
    /// The kind of the message.
    pub kind: Kind,
    /// The fields but the payload.
    pub fields: Fields,
    /// The certificate of the signer.
    pub sender: Certificate,
    /// The other certificates that are attached, in the order received.
    pub attached: Vec<Certificate>,
}

/// The signed content: the DER fields.
#[derive(Debug)]
enum SignedContent {
    /// It lies in one piece in the octets received.
    Received(Range<usize>),
    /// Its segments had to be joined.
    Joined(Vec<u8>),
}

impl SignedMessage {
    /// Reads a message that is all of `octets`, in BER or DER.
    ///
    /// # Errors
    /// When it is malformed or a part of it is over its limit.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        fields::check_len("message", octets.len(), limits::MAX_MESSAGE_LEN)?;
        let kind = Kind::read(&octets)?;
        let signed = SignedData::parse(&octets[format_signature::LEN..])?;
        let (content, sender, attached, signature) = signed.into_parts();
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

    /// Puts the fields around a payload, encrypts what is in that, signs all, and gives the message's octets.
    ///
    /// The first of `certificates` is the sender's.
    ///
    /// # Errors
    /// When a part would be over its limit, or there are no random octets.
    pub fn seal(
        mut payload: Envelope,
        kind: Kind,
        fields: &Fields,
        key: &IdentityKey,
        certificates: &[&Certificate],
    ) -> Result<Buffer, Error> {
        fields.wrap(payload.value_mut())?;
        let (value, sha256) = payload.encrypt()?;
        Self::finish(value, &sha256, kind, key, certificates)
    }

    /// The same for a payload that is encrypted already.
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

    /// The fields but the payload.
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

    /// Takes the message apart: what it says, and octets with its payload in that part of them, to be
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
