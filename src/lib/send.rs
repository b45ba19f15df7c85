//! What happens when a message is sent, once and in this order: the session key that it carries is
//! stored, the content is sealed to the peer's session key, and the message is signed.

use jiff::{SignedDuration, Timestamp};

use crate::asn1::Buffer;
use crate::cms::enveloped_data::Cipher;
use crate::crypto::random;
use crate::message::service_message;
use crate::node::{Error, Keyring};
use crate::pki::Certificate;
use crate::ramf::{Fields, Kind, SignedMessage, fields, limits};
use crate::session::agreement;

/// The least life that the certificates of a message must have left.
const MIN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What the sender decides about a parcel.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The media type of the content.
    pub media_type: &'a str,
    /// How long the parcel lives.
    pub ttl: SignedDuration,
    /// Its id; a random UUID if there is none.
    pub id: Option<&'a str>,
    /// How the content is encrypted.
    pub cipher: Cipher,
    /// When it is sent.
    pub now: Timestamp,
}

/// A parcel that may leave.
#[derive(Debug)]
pub struct Sent {
    /// The parcel.
    pub parcel: Buffer,
    /// Its fields.
    pub fields: Fields,
    /// The earlier end that its life was cut to: its certificates do not last longer.
    pub cut_to: Option<Timestamp>,
}

/// Seals the content in `buffer` for `peer`.
///
/// # Errors
/// When the peer cannot be sealed to, a key cannot be made or stored, or the parcel would be larger
/// than deployed gateways carry.
pub fn parcel(
    keyring: &dyn Keyring,
    peer: &str,
    mut buffer: Buffer,
    draft: &Draft<'_>,
) -> Result<Sent, Error> {
    fields::check_len("content", buffer.len(), limits::MAX_EMITTED_PARCEL_LEN)?;
    let peer = keyring.correspondent(peer, draft.now)?;
    let _locks = keyring.lock_peer(peer.id)?;
    let signer = peer
        .certificates
        .first()
        .ok_or_else(|| Error::NotAuthorized(peer.name.clone()))?;

    let now = whole_seconds(draft.now);
    let end = peer
        .certificates
        .iter()
        .map(Certificate::not_after)
        .min()
        .unwrap_or(now);
    if end < now + MIN_LIFE {
        return Err(Error::AuthorizationExpired {
            peer: peer.name,
            at: end,
        });
    }
    let date = (now - limits::PARCEL_BACKDATED).max(signer.not_before());
    let expiry = (date + draft.ttl).min(end);
    let fields = Fields {
        recipient: peer.id,
        address: peer.address,
        id: match draft.id {
            Some(id) => id.to_owned(),
            None => uuid4()?,
        },
        date,
        ttl: u32::try_from(expiry.duration_since(date).as_secs()).unwrap_or(limits::MAX_TTL),
    };

    service_message::wrap(&mut buffer, draft.media_type)?;
    let originator = keyring.originator_key(peer.id, peer.session_key.curve(), date)?;
    agreement::seal(&mut buffer, draft.cipher, &peer.session_key, &originator)?;
    let certificates: Vec<&Certificate> = peer.certificates.iter().collect();
    let parcel = SignedMessage::sign(
        buffer,
        Kind::Parcel,
        &fields,
        &keyring.identity()?,
        &certificates,
    )?;
    fields::check_len("parcel", parcel.len(), limits::MAX_EMITTED_PARCEL_LEN)?;
    let cut_to = (expiry < date + draft.ttl).then_some(expiry);
    Ok(Sent {
        parcel,
        fields,
        cut_to,
    })
}

/// Dates on the wire have whole seconds.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A random UUID as text (RFC 9562 §5.4).
fn uuid4() -> Result<String, Error> {
    let mut octets = random::array::<16>().map_err(crate::pki::Error::Crypto)?;
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    let digits = crate::asn1::Hex(&octets).to_string();
    Ok([
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-"))
}
