//! Parts: content too large for one parcel, cut up so that it can be joined in any order;
//! relay-parts(5).
//!
//! ```text
//! "RelayPart" 00
//! Part ::= SEQUENCE {
//!     transfer [0] OCTET STRING (SIZE (16)), index [1] INTEGER (1..1048576), size [2] INTEGER (1..8388608),
//!     name [3] UTF8String (SIZE (1..255)) OPTIONAL, sha256 [4] OCTET STRING (SIZE (32)) OPTIONAL,
//!     content [5] OCTET STRING (SIZE (0..8388608)) }
//! ```
//!
//! Every part of a transfer but the last has `size` octets of content, so the index alone gives its
//! offset. The last part is recognised by the digest of the whole, which only it has.

pub mod ledger;
pub mod stream;

use std::fmt;
use std::str::FromStr;

pub use ledger::{Ledger, Missing, Noted};
pub use stream::PartStream;

use super::certification_path::AUTHORIZATION_TYPE;
use super::successor::SUCCESSOR_TYPE;
use super::{Error, malformed, media_type, service_message};
use crate::asn1::{self, Buffer, Element, Hex, hex, tag, write};
use crate::ramf::fields;

/// The media type of a part in a parcel.
pub const MEDIA_TYPE: &str = "application/vnd.relaynet.part";

/// Whether content of this media type is a part. Parameters do not count, so that later senders may say more
/// there, nor does case (RFC 2045 §5.1).
#[must_use]
pub fn is_part_type(media_type: &str) -> bool {
    media_type::essence(media_type).eq_ignore_ascii_case(MEDIA_TYPE)
}

/// The id of the parcel with a part of content that has this id.
#[must_use]
pub fn parcel_id(id: &str, index: u32) -> String {
    format!("{id}.{index}")
}

/// The parameter of that type for the media type of the whole.
const WHOLE_TYPE: &str = "of";

/// Longest media type of the whole, in octets.
pub const MAX_WHOLE_TYPE_LEN: usize = 160;

/// What content in parts cannot be: parts again, and what programs act on as soon as it comes.
const NEVER_WHOLE: [&str; 5] = [
    MEDIA_TYPE,
    AUTHORIZATION_TYPE,
    SUCCESSOR_TYPE,
    "application/vnd.relaynet.request",
    "application/vnd.relaynet.topic",
];

/// The media type of parts of content of this type.
///
/// # Errors
/// [`Error::NotAWhole`], or when it is not a media type.
pub fn media_type_of(whole: &str) -> Result<String, Error> {
    check_whole_type(whole)?;
    Ok(format!(
        "{MEDIA_TYPE}; {WHOLE_TYPE}={}",
        media_type::quoted(whole)
    ))
}

/// The media type of the whole, from that of a part; `None` where the sender does not say it.
///
/// # Errors
/// When content of that type cannot come in parts.
pub fn whole_type(part: &str) -> Result<Option<String>, Error> {
    let Some(whole) = media_type::parameter(part, WHOLE_TYPE) else {
        return Ok(None);
    };
    match check_whole_type(&whole) {
        Ok(()) => Ok(Some(whole)),
        Err(_) => Err(malformed("type of a part")(asn1::Error::Value(WHOLE_TYPE))),
    }
}

/// Checks that content of this media type can come in parts.
fn check_whole_type(whole: &str) -> Result<(), Error> {
    service_message::check_syntax(whole)?;
    let essence = media_type::essence(whole);
    let is_never = NEVER_WHOLE
        .iter()
        .any(|never| essence.eq_ignore_ascii_case(never));
    if whole.len() > MAX_WHOLE_TYPE_LEN || is_never {
        return Err(Error::NotAWhole(whole.to_owned()));
    }
    Ok(())
}

/// The start of a part, followed by the version.
const MAGIC: &[u8] = b"RelayPart";

/// The version that is written, and the only one that is read.
const VERSION: u8 = 0;

/// The length of magic and version, in octets.
const SIGNATURE_LEN: usize = MAGIC.len() + 1;

/// Largest content of a part that is accepted, in octets.
pub const MAX_CONTENT_LEN: usize = 8_388_608;

/// Largest content of a part that is emitted, in octets: the largest multiple of 64 KiB that fits a
/// parcel ([`MAX_EMITTED_PARCEL_LEN`](crate::ramf::limits::MAX_EMITTED_PARCEL_LEN)) with everything
/// around it.
pub const MAX_EMITTED_CONTENT_LEN: u32 = 8_257_536;

/// Upper bound of the octets of a part beside its content.
const MAX_OVERHEAD: usize = 512;

/// The longest part, in octets.
pub const MAX_LEN: usize = MAX_CONTENT_LEN + MAX_OVERHEAD;

/// Maximum number of parts of one transfer.
pub const MAX_COUNT: u32 = 1_048_576;

/// Longest name of a file, in octets.
pub const MAX_NAME_LEN: usize = 255;

/// The id of a transfer, the same in all of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId([u8; 16]);

impl From<[u8; 16]> for TransferId {
    fn from(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}

impl TransferId {
    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// As 32 lower-case hexadecimal digits.
impl fmt::Display for TransferId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(formatter)
    }
}

/// From 32 hexadecimal digits in either case.
impl FromStr for TransferId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let octets = hex::parse(text).and_then(|octets| octets.try_into().ok());
        octets.map(Self).ok_or("not 32 hexadecimal digits")
    }
}

/// The fields of a part without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHeader {
    /// The transfer that it belongs to.
    pub transfer: TransferId,
    /// The index of the part, from 1 to [`MAX_COUNT`].
    pub index: u32,
    /// The length of the content of every part but the last, in octets.
    pub size: u32,
    /// The sender's name for the file. [`Part::parse`] keeps it as received, so see
    /// [`file_name::safe`](super::file_name::safe).
    pub name: Option<String>,
    /// The SHA-256 of the whole: in the last part, and in no other.
    pub sha256: Option<[u8; 32]>,
}

impl PartHeader {
    /// The offset of the part's content in the whole, in octets.
    #[must_use]
    pub fn offset(&self) -> u64 {
        u64::from(self.index.saturating_sub(1)) * u64::from(self.size)
    }

    /// Whether it is the last part.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.sha256.is_some()
    }

    /// The name of the part's file in a directory.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{:07}.part", self.transfer, self.index)
    }

    /// Checks the fields of a part with this many octets of content against the limits.
    fn check(&self, content: usize) -> Result<(), asn1::Error> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        // Empty content is one part, which is also the last.
        let is_empty_whole = self.index == 1 && content == 0;
        let fits = if self.is_last() {
            content <= size && (content > 0 || is_empty_whole)
        } else {
            content == size
        };
        let name = self.name.as_ref().map_or(1, String::len);
        for (right, what) in [
            ((1..=MAX_COUNT).contains(&self.index), "index"),
            ((1..=MAX_CONTENT_LEN).contains(&size), "size"),
            ((1..=MAX_NAME_LEN).contains(&name), "name"),
            (fits, "length of the content"),
        ] {
            if !right {
                return Err(asn1::Error::Value(what));
            }
        }
        Ok(())
    }
}

/// A parsed part, in the octets that were received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    header: PartHeader,
    content: &'a [u8],
}

impl<'a> Part<'a> {
    /// Parses all of `octets` as a part.
    ///
    /// # Errors
    /// [`Error::NotAPart`], [`Error::PartVersion`], or when it is malformed or over a limit.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Error> {
        let wrong = malformed("part");
        fields::check_len("part", octets.len(), MAX_LEN)?;
        check_signature(octets)?;
        let value = octets.get(SIGNATURE_LEN..).ok_or(Error::Truncated)?;
        let value = Element::der(value, tag::SEQUENCE).map_err(wrong)?;
        let mut list = value.children();
        let transfer = list.take(0x80).map_err(wrong)?.content();
        let index = list.take(0x81).map_err(wrong)?;
        let size = list.take(0x82).map_err(wrong)?;
        let name = list.optional(0x83).map_err(wrong)?;
        let sha256 = list.optional(0x84).map_err(wrong)?;
        let content = list.take(0x85).map_err(wrong)?.content();
        // A part has only one encoding: further fields are refused, unlike in messages.
        list.finish().map_err(wrong)?;
        let value = |what| wrong(asn1::Error::Value(what));
        let text = |name: Element<'_>| {
            let text = std::str::from_utf8(name.content());
            text.map(str::to_owned).map_err(|_| value("name"))
        };
        let digest = |sha256: Element<'_>| {
            let digest = sha256.content().try_into();
            digest.map_err(|_| value("sha256"))
        };
        let transfer = transfer.try_into().map_err(|_| value("transfer"))?;
        let header = PartHeader {
            transfer: TransferId(transfer),
            index: index.small_integer().map_err(wrong)?,
            size: size.small_integer().map_err(wrong)?,
            name: name.map(text).transpose()?,
            sha256: sha256.map(digest).transpose()?,
        };
        header.check(content.len()).map_err(wrong)?;
        Ok(Self { header, content })
    }

    /// The fields of the part without its content.
    #[must_use]
    pub fn header(&self) -> &PartHeader {
        &self.header
    }

    /// Its content.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }
}

/// Wraps the content in `buffer` in a part.
///
/// # Errors
/// When a field or the length of the content is out of range.
pub fn wrap(buffer: &mut Buffer, header: &PartHeader) -> Result<(), Error> {
    header.check(buffer.len()).map_err(malformed("part"))?;
    // From the last field to the first, since headers are prepended.
    buffer.wrap(0x85);
    if let Some(sha256) = &header.sha256 {
        buffer.prepend(&write::tlv(0x84, sha256));
    }
    if let Some(name) = &header.name {
        buffer.prepend(&write::tlv(0x83, name.as_bytes()));
    }
    let integer = |tag, value| write::tlv(tag, &write::integer_content(value));
    buffer.prepend(&integer(0x82, header.size));
    buffer.prepend(&integer(0x81, header.index));
    buffer.prepend(&write::tlv(0x80, &header.transfer.0));
    buffer.wrap(tag::SEQUENCE);
    buffer.prepend(&[VERSION]);
    buffer.prepend(MAGIC);
    Ok(())
}

/// Whether octets begin like a part of any version.
#[must_use]
pub fn is_part(octets: &[u8]) -> bool {
    octets.starts_with(MAGIC)
}

/// Checks that octets begin with the signature of a part. Fewer octets pass if they may be the
/// beginning of one.
fn check_signature(octets: &[u8]) -> Result<(), Error> {
    let len = octets.len().min(MAGIC.len());
    if octets[..len] != MAGIC[..len] {
        return Err(Error::NotAPart);
    }
    match octets.get(MAGIC.len()) {
        Some(&version) if version != VERSION => Err(Error::PartVersion(version)),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The octets of a part.
    pub(crate) fn part(header: &PartHeader, content: &[u8]) -> Vec<u8> {
        let mut buffer = Buffer::with_capacity(content.len());
        buffer.append(content);
        wrap(&mut buffer, header).unwrap();
        buffer.as_slice().to_vec()
    }

    pub(crate) fn header(index: u32, size: u32) -> PartHeader {
        PartHeader {
            transfer: TransferId([7; 16]),
            index,
            size,
            name: None,
            sha256: None,
        }
    }

    pub(crate) fn last(index: u32, size: u32) -> PartHeader {
        PartHeader {
            sha256: Some([9; 32]),
            ..header(index, size)
        }
    }

    #[test]
    fn a_part_is_known_by_its_type_alone() {
        for (media_type, expected) in [
            (MEDIA_TYPE, true),
            ("Application/VND.relaynet.PART", true),
            ("application/vnd.relaynet.part;of=\"video/mp4\"", true),
            (" application/vnd.relaynet.part ; of=x", true),
            ("application/vnd.relaynet.parts", false),
            ("text/plain; application/vnd.relaynet.part", false),
            ("", false),
        ] {
            assert_eq!(is_part_type(media_type), expected, "{media_type}");
        }
    }

    #[test]
    fn a_part_comes_back_as_it_was_made() {
        let named = |name: &str, header| PartHeader {
            name: Some(name.to_owned()),
            ..header
        };
        for (header, content) in [
            (header(1, 3), &b"abc"[..]),
            (named("report – 2.pdf", header(2, 3)), b"abc"),
            (named(&"x".repeat(255), last(3, 3)), b"a"),
            (last(MAX_COUNT, 1), b"a"),
            (last(1, 8_388_608), b""),
            (header(77, 300), &[1; 300]),
        ] {
            let octets = part(&header, content);
            let read = Part::parse(&octets).unwrap();
            assert_eq!((read.header(), read.content()), (&header, content));
            assert!(is_part(&octets) && octets.len() <= content.len() + MAX_OVERHEAD);
        }
    }

    #[test]
    fn a_part_is_written_as_the_page_says() {
        let octets = part(
            &PartHeader {
                name: Some("n".to_owned()),
                ..last(3, 5)
            },
            b"d",
        );
        let expected = [
            &b"RelayPart\0\x30\x40\x80\x10"[..],
            &[7; 16],
            b"\x81\x01\x03\x82\x01\x05\x83\x01n\x84\x20",
            &[9; 32],
            b"\x85\x01d",
        ];
        assert_eq!(octets, expected.concat());
    }

    #[test]
    fn what_no_part_can_be_is_neither_made_nor_read() {
        let mut wrong = vec![
            (header(0, 3), 3),
            (header(MAX_COUNT + 1, 3), 3),
            (header(1, 0), 0),
            (header(1, 8_388_609), 8_388_609),
            (header(1, 3), 2),
            (header(1, 3), 4),
            (header(1, 3), 0),
            (last(1, 3), 4),
            (last(2, 3), 0),
        ];
        for name in [String::new(), "x".repeat(256)] {
            let header = PartHeader {
                name: Some(name),
                ..last(1, 3)
            };
            wrong.push((header, 2));
        }
        for (header, len) in wrong {
            let mut buffer = Buffer::with_capacity(len);
            buffer.append(&vec![0; len]);
            let made = wrap(&mut buffer, &header);
            assert!(matches!(made, Err(Error::Malformed { .. })), "{header:?}");
        }
    }

    #[test]
    fn anything_but_the_one_way_to_write_it_is_refused() {
        let good = part(&last(3, 5), b"data");
        let refused = |octets: &[u8]| Part::parse(octets).unwrap_err();
        for len in 0..good.len() {
            refused(&good[..len]);
        }
        refused(&[&good[..], b"x"].concat());
        assert!(matches!(refused(b"AwalaP\0"), Error::NotAPart));
        assert!(matches!(refused(b"RelayPart\x01"), Error::PartVersion(1)));
        let body = &good[12..];
        for (from, to) in [
            // other tags, orders and lengths, and numbers with zeros in front or a sign
            (&b"\x80\x10"[..], &b"\x04\x10"[..]),
            (b"\x81\x01\x03\x82\x01\x05", b"\x82\x01\x05\x81\x01\x03"),
            (b"\x81\x01\x03", b""),
            (b"\x81\x01\x03", b"\x81\x01\x03\x81\x01\x03"),
            (b"\x81\x01\x03", b"\x81\x02\x00\x03"),
            (b"\x81\x01\x03", b"\x81\x01\x83"),
            (b"\x81\x01\x03", b"\x81\x00"),
            (b"\x81\x01\x03", b"\x81\x05\x01\x00\x00\x00\x03"),
            (b"\x81\x01\x03", b"\x81\x81\x01\x03"),
            (b"\x82\x01\x05", b"\x82\x01\x05\x83\x00"),
            (b"\x82\x01\x05", b"\x82\x01\x05\x83\x01\xff"),
            (b"\x85\x04data", b"\x85\x04data\x86\x00"),
            (b"\x85\x04data", b"\x85\x03data"),
            (b"\x85\x04data", b"\x85\x06data"),
            (b"\x85\x04data", b""),
        ] {
            let at = body.windows(from.len()).position(|it| it == from).unwrap();
            let changed = [&body[..at], to, &body[at + from.len()..]].concat();
            let octets = [&good[..SIGNATURE_LEN], &write::tlv(tag::SEQUENCE, &changed)].concat();
            assert!(Part::parse(&octets).is_err(), "{from:x?} {to:x?}");
        }
    }

    #[test]
    fn places_and_names_of_files_follow_the_index() {
        let header = header(1_048_576, 8_388_608);
        assert_eq!(header.offset(), (1 << 43) - (1 << 23));
        assert_eq!(
            header.file_name(),
            "07070707070707070707070707070707.1048576.part"
        );
        assert_eq!(super::tests::header(1, 5).offset(), 0);
        let id: TransferId = "0707070707070707070707070707070A".parse().unwrap();
        assert!(id.to_string().ends_with("070a"));
        for bad in ["", "07", "0707070707070707070707070707070g", "é"] {
            assert!(bad.parse::<TransferId>().is_err(), "{bad}");
        }
    }
}
