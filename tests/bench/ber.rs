//! Messages in BER, as Bouncy Castle streams them: indefinite lengths, and strings in segments.

use relaynet::asn1::{Buffer, Cursor, Element, tag, write};
use relaynet::cms::enveloped_data::Cipher;
use relaynet::pki::{Certificate, IdentityKey};
use relaynet::ramf::{Fields, Kind, SignedMessage, format_signature};
use relaynet::session::{PrivateSessionKey, PublicSessionKey, agreement};

/// Octets of a segment; Bouncy Castle takes 1000.
const SEGMENT: usize = 1000;

/// What a parcel is made of but its content.
pub(crate) struct Parts<'a> {
    pub(crate) fields: &'a Fields,
    pub(crate) identity: &'a IdentityKey,
    pub(crate) certificates: &'a [&'a Certificate],
    pub(crate) recipient: &'a PublicSessionKey,
    pub(crate) originator: &'a PrivateSessionKey,
}

/// Seals a service message, and signs it, in BER. The payload is rewritten before it is signed; what is signed
/// is the same in segments and in one piece.
pub(crate) fn parcel(service_message: Buffer, parts: &Parts<'_>) -> Vec<u8> {
    let cipher = Cipher::Cbc { key_len: 16 };
    let (recipient, originator) = (parts.recipient, parts.originator);
    let envelope = agreement::seal(service_message, cipher, recipient, originator).unwrap();
    let (der, _) = envelope.encrypt().unwrap();
    let mut payload = Buffer::with_capacity(der.len() * 21 / 20);
    payload.append(&enveloped_data(der.as_slice()));
    let signed = SignedMessage::sign(
        payload,
        Kind::Parcel,
        parts.fields,
        parts.identity,
        parts.certificates,
    )
    .unwrap();
    let (signature, value) = signed.as_slice().split_at(format_signature::LEN);
    [signature, &signed_data(value)].concat()
}

/// A ContentInfo with EnvelopedData.
fn enveloped_data(der: &[u8]) -> Vec<u8> {
    content_info(der, |mut fields| {
        let version_and_recipients = [whole(&mut fields), whole(&mut fields)].concat();
        let mut content = fields.take(tag::SEQUENCE).unwrap().children();
        let kind_and_algorithm = [whole(&mut content), whole(&mut content)].concat();
        let encrypted = segments(0xa0, content.take(0x80).unwrap().content());
        let content = indefinite(tag::SEQUENCE, &[&kind_and_algorithm, &encrypted]);
        indefinite(
            tag::SEQUENCE,
            &[&version_and_recipients, &content, fields.rest()],
        )
    })
}

/// A ContentInfo with SignedData.
fn signed_data(der: &[u8]) -> Vec<u8> {
    content_info(der, |mut fields| {
        let version_and_digests = [whole(&mut fields), whole(&mut fields)].concat();
        let mut content = fields.take(tag::SEQUENCE).unwrap().children();
        let kind = whole(&mut content);
        let explicit = content.take(0xa0).unwrap();
        let octets = explicit
            .children()
            .take(tag::OCTET_STRING)
            .unwrap()
            .content();
        let explicit = indefinite(0xa0, &[&segments(tag::OCTET_STRING | 0x20, octets)]);
        let content = indefinite(tag::SEQUENCE, &[&kind, &explicit]);
        indefinite(
            tag::SEQUENCE,
            &[&version_and_digests, &content, fields.rest()],
        )
    })
}

fn content_info(der: &[u8], rewrite: impl FnOnce(Cursor<'_>) -> Vec<u8>) -> Vec<u8> {
    let mut fields = Element::der(der, tag::SEQUENCE).unwrap().children();
    let kind = whole(&mut fields);
    let explicit = fields.take(0xa0).unwrap();
    let content = explicit.children().take(tag::SEQUENCE).unwrap();
    let content = rewrite(content.children());
    indefinite(tag::SEQUENCE, &[&kind, &indefinite(0xa0, &[&content])])
}

/// The next value as it stands.
fn whole(fields: &mut Cursor<'_>) -> Vec<u8> {
    fields.any().unwrap().unwrap().whole().to_vec()
}

fn segments(tag: u8, content: &[u8]) -> Vec<u8> {
    let segments: Vec<Vec<u8>> = content
        .chunks(SEGMENT)
        .map(|chunk| write::tlv(tag::OCTET_STRING, chunk))
        .collect();
    indefinite(tag, &[&segments.concat()])
}

fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag, 0x80], &*parts.concat(), &[0, 0]].concat()
}
