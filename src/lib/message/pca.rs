//! Parcel collection acknowledgements: a gateway says that it has stored a parcel (RS-000 §PCA).
//!
//! ```text
//! ParcelCollectionAck ::= SEQUENCE {
//!   senderEndpointId [0] VisibleString, recipientEndpointId [1] VisibleString, parcelId [2] VisibleString }
//! ```
//!
//! They are not signed: one counts only for the gateway whose cargo it came in.

use super::{Error, malformed};
use crate::asn1::{self, Element, Hex, tag, visible_string, write};
use crate::crypto::hash;
use crate::pki::NodeId;
use crate::ramf::{self, Kind, SignedMessage, format_signature, limits};

/// An acknowledgement of one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pca {
    /// The endpoint that sent the parcel.
    pub sender: NodeId,
    /// The endpoint that the parcel is addressed to.
    pub recipient: NodeId,
    /// The parcel's id.
    pub parcel_id: String,
}

impl Pca {
    /// The acknowledgement of a parcel.
    #[must_use]
    pub fn of(parcel: &SignedMessage) -> Self {
        let fields = parcel.fields();
        Self {
            sender: parcel.sender(),
            recipient: fields.recipient,
            parcel_id: fields.id.clone(),
        }
    }

    /// Encodes the message, format signature included.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let fields = write::constructed(
            tag::SEQUENCE,
            &[
                &write::tlv(0x80, self.sender.to_string().as_bytes()),
                &write::tlv(0x81, self.recipient.to_string().as_bytes()),
                &write::tlv(0x82, self.parcel_id.as_bytes()),
            ],
        );
        [&Kind::Pca.signature()[..], &fields].concat()
    }

    /// A file name for it: that of its parcel with another kind.
    #[must_use]
    pub fn file_name(&self) -> String {
        // Hashed as in the name of the parcel, since ids are untrusted.
        let id = hash::sha256(self.parcel_id.as_bytes());
        format!("{}.{}.{}.pca", self.recipient, self.sender, Hex(&id))
    }

    /// Parses all of `octets` as one acknowledgement.
    ///
    /// # Errors
    /// When it is malformed or another kind of message.
    pub fn parse(octets: &[u8]) -> Result<Self, Error> {
        let wrong = malformed("PCA");
        let value = control_message(octets, Kind::Pca)?;
        let mut fields = Element::der(value, tag::SEQUENCE)
            .map_err(wrong)?
            .children();
        let mut text = |tag| {
            fields
                .take(tag)
                .and_then(|field| visible_string::parse(field.content()))
                .map_err(wrong)
        };
        let id = |text: &str| {
            text.parse()
                .map_err(|_| wrong(asn1::Error::Value("node id")))
        };
        let (sender, recipient, parcel_id) =
            (id(text(0x80)?)?, id(text(0x81)?)?, text(0x82)?.to_owned());
        ramf::fields::check_len("parcel id", parcel_id.len(), limits::MAX_ID_LEN)?;
        Ok(Self {
            sender,
            recipient,
            parcel_id,
        })
    }
}

/// The value after the format signature of a control message of this kind.
///
/// # Errors
/// When the format signature is missing or of another kind.
pub(super) fn control_message(octets: &[u8], expected: Kind) -> Result<&[u8], Error> {
    let found = Kind::read(octets)?;
    if found == expected {
        Ok(&octets[format_signature::LEN..])
    } else {
        Err(ramf::Error::Kind { expected, found }.into())
    }
}
