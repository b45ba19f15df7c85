//! ContentInfo (RFC 5652 §3), around every CMS value.
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
//! ```

use der::asn1::ObjectIdentifier;

use crate::asn1::{self, Buffer, Cursor, Element, oid, tag};

/// The type and the content of a ContentInfo that is all of `octets`.
///
/// # Errors
/// When it is malformed or octets follow it.
pub fn parse(octets: &[u8]) -> Result<(ObjectIdentifier, Element<'_>), asn1::Error> {
    let mut cursor = Cursor::ber(octets);
    let mut fields = cursor.take(tag::SEQUENCE)?.children();
    cursor.finish()?;
    let content_type = fields.take(tag::OID)?.oid()?;
    let mut explicit = fields.take(0xa0)?.children();
    fields.finish()?;
    let content = explicit.take(tag::SEQUENCE)?;
    explicit.finish()?;
    Ok((content_type, content))
}

/// Puts a ContentInfo around the content in `buffer`.
pub fn wrap(buffer: &mut Buffer, content_type: &ObjectIdentifier) {
    buffer.wrap(0xa0);
    buffer.prepend(&oid::to_der(content_type));
    buffer.wrap(tag::SEQUENCE);
}
