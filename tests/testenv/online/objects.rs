//! What an Internet gateway signs, checks and sends (RS-000, RS-016): made by hand from `wire-format.md` where the
//! library has it too, so that a mistake of one is seen by the other.

use jiff::Timestamp;
use relaynet::asn1::ber::Element;
use relaynet::asn1::{date_time, oid, write};
use relaynet::cms::signed_data::SignedData;
use relaynet::pki::{Certificate, IdentityKey, PublicKey};

/// The largest frame and the largest body of a request, in octets.
pub(crate) const MAX_PARCEL: usize = 9_437_184;

/// What a countersignature is for, as the content of an object identifier: to deliver a parcel.
pub(crate) const DELIVERY: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xca, 0x54, 0, 3, 0];

/// To collect parcels.
pub(crate) const COLLECTION: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xca, 0x54, 0, 3, 1];

const SEQUENCE: u8 = 0x30;

/// A promise to register the node whose key has this digest (PNRA).
pub(crate) fn promise(gateway: &IdentityKey, digest: &[u8], expiry: Timestamp) -> Vec<u8> {
    let expiry = date_time::to_ramf(expiry);
    let purpose = write::retagged(0x80, &oid::to_der(&oid::PNRA_SIGNATURE));
    let signed = [
        purpose,
        write::tlv(0x81, expiry.as_bytes()),
        write::tlv(0x82, digest),
    ];
    let signature = gateway
        .sign(&write::tlv(SEQUENCE, &signed.concat()))
        .unwrap();
    let fields = [
        write::tlv(0x80, expiry.as_bytes()),
        write::tlv(0x81, digest),
        write::tlv(0x82, &signature),
    ];
    write::tlv(SEQUENCE, &fields.concat())
}

/// A `HandshakeChallenge`.
pub(crate) fn challenge(nonce: &[u8]) -> Vec<u8> {
    write::tlv(SEQUENCE, &write::tlv(0x80, nonce))
}

/// The signatures in a `HandshakeResponse`.
pub(crate) fn signatures(response: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = Element::der(response, SEQUENCE).ok()?.children();
    let mut set = fields.take(0xa0).ok()?.children();
    fields.finish().ok()?;
    let mut signatures = Vec::new();
    while let Some(signature) = set.any().ok()? {
        signatures.push(signature.content().to_vec());
    }
    Some(signatures)
}

/// A `ParcelDelivery`.
pub(crate) fn delivery(id: &str, parcel: &[u8]) -> Vec<u8> {
    let fields = [write::tlv(0x80, id.as_bytes()), write::tlv(0x81, parcel)];
    write::tlv(SEQUENCE, &fields.concat())
}

/// The node that countersigned `plaintext` for `purpose`, with a certificate that `gateway` issued.
pub(crate) fn countersigner(
    signature: &[u8],
    purpose: &[u8],
    plaintext: &[u8],
    gateway: &PublicKey,
    now: Timestamp,
) -> Result<Certificate, String> {
    let signed = SignedData::parse(signature).map_err(|error| error.to_string())?;
    if signed.content().is_some() {
        return Err("the signature is not detached".to_owned());
    }
    let fields = [write::tlv(0x80, purpose), write::tlv(0x81, plaintext)];
    let content = write::tlv(SEQUENCE, &fields.concat());
    let verified = signed.verify_detached(&content);
    verified.map_err(|error| error.to_string())?;
    let certificate = signed.signer();
    let issued = certificate.verify_signature(gateway);
    issued.map_err(|_| "its signer is not a node of this gateway".to_owned())?;
    if now < certificate.not_before() || now > certificate.not_after() {
        return Err("its signer's certificate is expired, or not valid yet".to_owned());
    }
    Ok(certificate.clone())
}
