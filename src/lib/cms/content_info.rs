//! ContentInfo (RFC 5652 §3), around every CMS value.
//!
//! ```text
//! ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY }
//! ```

use der::asn1::ObjectIdentifier;

use crate::asn1::{self, Buffer, Cursor, Element, oid, tag};

/// Parses all of `octets` as a ContentInfo, and returns its type and content.
///
/// # Errors
/// When it is malformed or octets follow it.
pub fn parse(octets: &[u8]) -> Result<(ObjectIdentifier, Element<'_>), asn1::Error> {
    let mut cursor = Cursor::ber(octets);
    let mut fields = cursor.take(tag::SEQUENCE)?.children();
    // Deployed readers ignore trailing octets, but no node emits them, so they are refused.
    cursor.finish()?;
    let content_type = fields.take(tag::OID)?.oid()?;
    let mut explicit = fields.take(0xa0)?.children();
    fields.finish()?;
    let content = explicit.take(tag::SEQUENCE)?;
    explicit.finish()?;
    Ok((content_type, content))
}

/// Wraps the content in `buffer` in a ContentInfo.
pub fn wrap(buffer: &mut Buffer, content_type: &ObjectIdentifier) {
    buffer.wrap(0xa0);
    buffer.prepend(&oid::to_der(content_type));
    buffer.wrap(tag::SEQUENCE);
}
