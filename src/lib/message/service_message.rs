//! Service messages, which applications send each other: the plaintext of a parcel (RS-000).
//!
//! ```text
//! ServiceMessage ::= SEQUENCE { type [0] VisibleString, content [1] OCTET STRING }
//! ```
//!
//! RS-000 §Service Message describes a binary layout with length prefixes, which no deployed node
//! uses.

use std::ops::Range;

use super::{Error, file_name, malformed, media_type};
use crate::asn1::{Buffer, Element, tag, visible_string, write};

/// Longest media type that is emitted or delivered, in octets, without the name of a file. IMAP and
/// MIME libraries accept it, and it is small beside the rest of the environment of a command.
pub const MAX_TYPE_LEN: usize = 255;

/// The same with the name of a file, in octets: percent-encoding may take three for one.
pub const MAX_NAMED_TYPE_LEN: usize = 1024;

/// Longest media type that is parsed, in octets.
const MAX_READ_TYPE_LEN: usize = 64 * 1024;

/// A parsed service message, in the octets that were decrypted.
pub struct ServiceMessage {
    octets: Vec<u8>,
    media_type: String,
    content: Range<usize>,
}

impl ServiceMessage {
    /// Parses all of `octets` as a service message.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        let all = 0..octets.len();
        Self::parse_within(octets, all)
    }

    /// Parses `octets[part]` as a service message, without copying the content.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse_within(octets: Vec<u8>, part: Range<usize>) -> Result<Self, Error> {
        let wrong = malformed("service message");
        let element = Element::der(&octets[part], tag::SEQUENCE).map_err(wrong)?;
        let mut fields = element.children();
        let media_type = fields.take(0x80).map_err(wrong)?;
        if media_type.content().len() > MAX_READ_TYPE_LEN {
            return Err(wrong(crate::asn1::Error::TooLong(MAX_READ_TYPE_LEN)));
        }
        let media_type = visible_string::parse(media_type.content())
            .map_err(wrong)?
            .to_owned();
        let content = fields.take(0x81).map_err(wrong)?.content();
        let start = content.as_ptr() as usize - octets.as_ptr() as usize;
        let content = start..start + content.len();
        // Further fields are ignored, as deployed readers do.
        Ok(Self {
            octets,
            media_type,
            content,
        })
    }

    /// The media type, as the sender gave it.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.octets[self.content.clone()]
    }

    /// Takes the octets, to use their memory again.
    #[must_use]
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

/// Checks that a media type can be emitted.
///
/// # Errors
/// [`Error::MediaType`], [`Error::LongMediaType`].
pub fn check_type(media_type: &str) -> Result<(), Error> {
    if media_type.is_empty() || !visible_string::is_visible(media_type) {
        return Err(Error::MediaType);
    }
    check_type_len(media_type)
}

/// Checks that a media type is a type and a subtype, as a sender should give it (RFC 6838 §4.2). Receivers take any.
///
/// # Errors
/// [`Error::NotAMediaType`], and as [`check_type`].
pub fn check_syntax(media_type: &str) -> Result<(), Error> {
    check_type(media_type)?;
    let is_name = |name: &str| {
        let is_mark = |octet: u8| b"!#$&-^_.+".contains(&octet);
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || is_mark(octet))
    };
    match media_type::essence(media_type).split_once('/') {
        Some((name, subtype))
            if is_name(name) && is_name(subtype) && media_type.starts_with(name) =>
        {
            Ok(())
        }
        _ => Err(Error::NotAMediaType(media_type.to_owned())),
    }
}

/// Checks the length of a media type, with and without the name of a file.
///
/// # Errors
/// [`Error::LongMediaType`].
pub fn check_type_len(media_type: &str) -> Result<(), Error> {
    let (plain, _) = file_name::split(media_type);
    for (len, limit) in [
        (plain.len(), MAX_TYPE_LEN),
        (media_type.len(), MAX_NAMED_TYPE_LEN),
    ] {
        if len > limit {
            return Err(Error::LongMediaType { len, limit });
        }
    }
    Ok(())
}

/// Wraps the content in `buffer` in a service message of this media type.
///
/// # Errors
/// When the media type cannot be emitted.
pub fn wrap(buffer: &mut Buffer, media_type: &str) -> Result<(), Error> {
    check_type(media_type)?;
    buffer.wrap(0x81);
    buffer.prepend(&write::tlv(0x80, media_type.as_bytes()));
    buffer.wrap(tag::SEQUENCE);
    Ok(())
}
