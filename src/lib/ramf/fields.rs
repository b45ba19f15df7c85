//! The five fields of a message (RS-001 §Format).
//!
//! ```text
//! RAMFMessage ::= SEQUENCE {
//!   recipient    [0] SEQUENCE { id [0] VisibleString, internetAddress [1] VisibleString OPTIONAL },
//!   id           [1] VisibleString,
//!   creationTime [2] DATE-TIME,
//!   ttl          [3] INTEGER,
//!   payload      [4] OCTET STRING }
//! ```

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::{Error, InternetAddress, limits};
use crate::asn1::{self, Buffer, Element, Hex, date_time, tag, visible_string, write};
use crate::crypto::hash;
use crate::pki::NodeId;

/// The fields of a message without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The node that the message is for.
    pub recipient: NodeId,
    /// The Internet address of that node or of its gateway.
    pub address: Option<InternetAddress>,
    /// The message's id, unique among those from the same sender to the same recipient.
    pub id: String,
    /// The creation date.
    pub date: Timestamp,
    /// The time to live, in seconds.
    pub ttl: u32,
}

impl Fields {
    /// When the message expires: its date plus its time to live.
    #[must_use]
    pub fn expiry(&self) -> Timestamp {
        self.date
            .checked_add(SignedDuration::from_secs(i64::from(self.ttl)))
            .unwrap_or(Timestamp::MAX)
    }

    /// A file name for the message or its content. The id is hashed, so that nothing untrusted
    /// becomes part of a path.
    #[must_use]
    pub fn file_name(&self, sender: NodeId, kind: &str) -> String {
        let id = hash::sha256(self.id.as_bytes());
        format!("{}.{sender}.{}.{kind}", self.recipient, Hex(&id))
    }

    /// Parses the fields, and returns them with the range of the payload in `octets`. Fields after
    /// the fifth are ignored, as JavaScript nodes do.
    ///
    /// # Errors
    /// When a field is missing, malformed or over its limit.
    pub fn parse(octets: &[u8]) -> Result<(Self, Range<usize>), Error> {
        let wrong = |field| move |cause| Error::Field { field, cause };
        let message = Element::der(octets, tag::SEQUENCE).map_err(wrong("fields"))?;
        let mut fields = message.children();

        let mut recipient = fields.take(0xa0).map_err(wrong("recipient"))?.children();
        let id = recipient.take(0x80).map_err(wrong("recipient"))?;
        let id = visible_string::parse(id.content()).map_err(wrong("recipient"))?;
        let malformed = |_| Error::Field {
            field: "recipient",
            cause: asn1::Error::Value("node id"),
        };
        let recipient_id: NodeId = id.parse().map_err(malformed)?;
        let address = match recipient
            .optional(0x81)
            .map_err(wrong("Internet address"))?
        {
            Some(address) => {
                let text = visible_string::parse(address.content()).map_err(|_| Error::Address)?;
                Some(text.parse()?)
            }
            None => None,
        };
        recipient.finish().map_err(wrong("recipient"))?;

        let id = fields.take(0x81).map_err(wrong("message id"))?.content();
        let id = visible_string::parse(id)
            .map_err(wrong("message id"))?
            .to_owned();
        // JavaScript nodes replace an empty id by a random one, so it would identify nothing.
        if id.is_empty() {
            return Err(wrong("message id")(asn1::Error::Truncated));
        }
        check_len("message id", id.len(), limits::MAX_ID_LEN)?;

        let date = fields.take(0x82).map_err(wrong("date"))?;
        let date = date_time::parse_ramf(date.content()).map_err(wrong("date"))?;

        let ttl = fields.take(0x83).map_err(wrong("time to live"))?;
        let ttl = ttl.small_integer().map_err(wrong("time to live"))?;
        if ttl > limits::MAX_TTL {
            return Err(Error::Ttl(ttl));
        }

        let payload = fields.take(0x84).map_err(wrong("payload"))?;
        check_len("payload", payload.content().len(), limits::MAX_PAYLOAD_LEN)?;
        // Further fields are ignored, but must be well-formed.
        while fields.any().map_err(wrong("fields"))?.is_some() {}
        // A range instead of a slice, since the caller owns the octets and decrypts them in place.
        let start = payload.content().as_ptr() as usize - octets.as_ptr() as usize;
        let range = start..start + payload.content().len();
        Ok((
            Self {
                recipient: recipient_id,
                address,
                id,
                date,
                ttl,
            },
            range,
        ))
    }

    /// Wraps the payload in `buffer` in the fields.
    ///
    /// # Errors
    /// When a field or the payload is over the limit of a deployed reader.
    pub fn wrap(&self, buffer: &mut Buffer) -> Result<(), Error> {
        check_len("payload", buffer.len(), limits::MAX_EMITTED_PAYLOAD_LEN)?;
        check_id(&self.id)?;
        if self.ttl > limits::MAX_TTL {
            return Err(Error::Ttl(self.ttl));
        }
        let address = self
            .address
            .as_ref()
            .map(|address| write::tlv(0x81, address.as_str().as_bytes()));
        let recipient = write::constructed(
            0xa0,
            &[
                &write::tlv(0x80, self.recipient.to_string().as_bytes()),
                address.as_deref().unwrap_or_default(),
            ],
        );
        // From the last field to the first, since headers are prepended.
        buffer.wrap(0x84);
        buffer.prepend(&write::tlv(0x83, &write::integer_content(self.ttl)));
        buffer.prepend(&write::tlv(0x82, date_time::to_ramf(self.date).as_bytes()));
        buffer.prepend(&write::tlv(0x81, self.id.as_bytes()));
        buffer.prepend(&recipient);
        buffer.wrap(tag::SEQUENCE);
        Ok(())
    }
}

/// Checks an id for a message to be emitted: 1 to 63 characters of printable ASCII.
///
/// # Errors
/// When it is empty, longer, or has other characters.
pub fn check_id(id: &str) -> Result<(), Error> {
    check_len("message id", id.len(), limits::MAX_EMITTED_ID_LEN)?;
    if id.is_empty() || !visible_string::is_visible(id) {
        let cause = asn1::Error::Value("visible string");
        return Err(Error::Field {
            field: "message id",
            cause,
        });
    }
    Ok(())
}

/// Checks a length in octets against its limit.
///
/// # Errors
/// [`Error::TooLong`], naming the part.
pub fn check_len(part: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit {
        Err(Error::TooLong { part, found, limit })
    } else {
        Ok(())
    }
}
