//! What a gateway and its node say while parcels are collected (RS-016 §Parcel collection).

use super::{Error, malformed};
use crate::asn1::{Element, tag, visible_string, write};

/// The longest nonce, in octets. The Internet gateway sends 16, Android's local gateway 36.
pub const MAX_NONCE_LEN: usize = 64;

/// The longest id of a delivery, in octets; deployed gateways send UUIDs.
pub const MAX_DELIVERY_ID_LEN: usize = 64;

/// The header by which a node says how many parcels it takes before it acknowledges one. Deployed nodes do not send it,
/// and lose the second of two that come in one read: they get one at a time.
pub const WINDOW_HEADER: &str = "x-relaynet-delivery-window";

/// What the gateway wants to be signed.
///
/// ```text
/// HandshakeChallenge ::= SEQUENCE { nonce [0] OCTET STRING }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// A challenge with this nonce.
    #[must_use]
    pub fn new(nonce: Vec<u8>) -> Self {
        Self(nonce)
    }

    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> &[u8] {
        &self.0
    }

    /// Parses all of `octets` as a challenge.
    ///
    /// # Errors
    /// When it is malformed, or its nonce is empty or over [`MAX_NONCE_LEN`].
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("collection challenge");
        let whole = Element::der(octets, tag::SEQUENCE).map_err(wrong)?;
        let mut fields = whole.children();
        let nonce = fields.take(0x80).map_err(wrong)?;
        fields.finish().map_err(wrong)?;
        let nonce = nonce.content();
        if nonce.is_empty() || nonce.len() > MAX_NONCE_LEN {
            return Err(wrong(crate::asn1::Error::Value("nonce")));
        }
        Ok(Self(nonce.to_vec()))
    }

    /// Encodes the challenge in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        write::constructed(tag::SEQUENCE, &[&write::tlv(0x80, &self.0)])
    }
}

/// The node's answer: [signatures](super::countersignature) over the nonce.
///
/// ```text
/// HandshakeResponse ::= SEQUENCE { nonceSignatures [0] SEQUENCE OF OCTET STRING }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// One for each node that collects. The Internet gateway wants exactly one.
    pub signatures: Vec<Vec<u8>>,
}

impl Response {
    /// Parses all of `octets` as a response.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("collection response");
        let whole = Element::der(octets, tag::SEQUENCE).map_err(wrong)?;
        let mut signatures = whole.children().take(0xa0).map_err(wrong)?.children();
        let mut found = Vec::new();
        while let Some(signature) = signatures.optional(tag::OCTET_STRING).map_err(wrong)? {
            found.push(signature.content().to_vec());
        }
        signatures.finish().map_err(wrong)?;
        Ok(Self { signatures: found })
    }

    /// Encodes the response in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        let signatures = self.signatures.iter();
        let signatures: Vec<_> = signatures
            .map(|signature| write::tlv(tag::OCTET_STRING, signature))
            .collect();
        write::constructed(tag::SEQUENCE, &[&write::tlv(0xa0, &signatures.concat())])
    }
}

/// A parcel that the gateway delivers. It keeps the octets of its frame.
///
/// ```text
/// ParcelDelivery ::= SEQUENCE { deliveryId [0] VisibleString, parcel [1] OCTET STRING }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelDelivery {
    /// What the node answers once it has the parcel.
    pub id: String,
    octets: Vec<u8>,
    /// Where the parcel begins in them; it ends where they end.
    start: usize,
}

impl ParcelDelivery {
    /// Parses all of `octets` as a delivery.
    ///
    /// # Errors
    /// When it is malformed, or its id is empty or over [`MAX_DELIVERY_ID_LEN`].
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        let wrong = malformed("parcel delivery");
        let whole = Element::der(&octets, tag::SEQUENCE).map_err(wrong)?;
        let mut fields = whole.children();
        let id = fields.take(0x80).map_err(wrong)?;
        let id = visible_string::parse(id.content()).map_err(wrong)?;
        if id.is_empty() || id.len() > MAX_DELIVERY_ID_LEN {
            return Err(wrong(crate::asn1::Error::Value("delivery id")));
        }
        let id = id.to_owned();
        let len = fields.take(0x81).map_err(wrong)?.content().len();
        fields.finish().map_err(wrong)?;
        let start = octets.len() - len;
        Ok(Self { id, octets, start })
    }

    /// The length of the parcel, in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.octets.len() - self.start
    }

    /// Whether there is no parcel in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets of the parcel, in the memory of the frame.
    #[must_use]
    pub fn into_parcel(mut self) -> Vec<u8> {
        self.octets.drain(..self.start);
        self.octets
    }

    /// Encodes a delivery in DER.
    #[must_use]
    pub fn encode(id: &str, parcel: &[u8]) -> Vec<u8> {
        [&Self::encode_head(id, parcel.len()), parcel].concat()
    }

    /// Encodes what comes before a parcel of this length, in octets. The parcel follows as it is, since it is too long
    /// to be copied.
    #[must_use]
    pub fn encode_head(id: &str, parcel_len: usize) -> Vec<u8> {
        let id = write::tlv(0x80, id.as_bytes());
        let parcel = write::header(0x81, parcel_len);
        let len = id.len() + parcel.len() + parcel_len;
        [write::header(tag::SEQUENCE, len), id, parcel].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_back() {
        let challenge = Challenge::new(vec![7; 16]);
        assert_eq!(challenge.to_der()[..4], [0x30, 0x12, 0x80, 0x10]);
        assert_eq!(Challenge::parse(&challenge.to_der()).unwrap(), challenge);
        for bad in [0, 65] {
            assert!(Challenge::parse(&Challenge::new(vec![7; bad]).to_der()).is_err());
        }
        let response = Response {
            signatures: vec![vec![1; 300], vec![2; 5]],
        };
        assert_eq!(Response::parse(&response.to_der()).unwrap(), response);
        let id = "86b7b02f-2124-457d-a0b8-1027a8e8290d";
        let delivery = ParcelDelivery::parse(ParcelDelivery::encode(id, b"parcel")).unwrap();
        assert_eq!(delivery.id, id);
        assert_eq!(delivery.into_parcel(), b"parcel");
        for bad in ["", "a\nb", &"a".repeat(65)] {
            assert!(
                ParcelDelivery::parse(ParcelDelivery::encode(bad, b"p")).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn every_cut_and_change_is_refused_or_read_without_a_panic() {
        let whole = ParcelDelivery::encode("id", &[7; 300]);
        for len in 0..whole.len() {
            assert!(
                ParcelDelivery::parse(whole[..len].to_vec()).is_err(),
                "{len}"
            );
        }
        for at in 0..12 {
            for octet in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = octet;
                let _ = ParcelDelivery::parse(changed.clone());
                let _ = Challenge::parse(&changed);
                let _ = Response::parse(&changed);
            }
        }
    }
}
