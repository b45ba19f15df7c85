//! Makes messages, in this order: the session key that the message carries is stored, the content
//! is sealed to the peer's session key, and the message is signed.

use jiff::{SignedDuration, Timestamp};

use crate::asn1::Buffer;
use crate::cms::enveloped_data::Cipher;
use crate::crypto::random;
use crate::message::{CollectionRequest, message_set, service_message};
use crate::node::AuthorizationError;
use crate::node::certificates::MIN_LIFE;
use crate::node::sessions::OriginatorKey;
use crate::node::{Correspondent, Error, Keyring};
use crate::pki::{Certificate, IdentityKey, NodeId};
use crate::ramf::{Fields, Kind, SignedMessage, fields, limits};
use crate::session::{PublicSessionKey, agreement};

/// The sender's choices for a parcel.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// The media type of the content.
    pub media_type: &'a str,
    /// How long the parcel lives.
    pub ttl: SignedDuration,
    /// Its id; a random UUID if `None`.
    pub id: Option<&'a str>,
    /// The cipher for the content.
    pub cipher: Cipher,
    /// The time of sending.
    pub now: Timestamp,
}

/// A message that is ready to leave.
#[derive(Debug)]
pub struct Sent {
    /// The message.
    pub octets: Buffer,
    /// Its fields.
    pub fields: Fields,
    /// The time that its life was cut to, because a certificate ends before it would.
    pub cut_to: Option<Timestamp>,
    /// The date up to which earlier messages to the recipient were dated ahead by a wrong clock, if
    /// a new session key was made for that reason.
    pub dated_ahead: Option<Timestamp>,
}

/// Seals the content in `buffer` for `peer`.
///
/// # Errors
/// When the peer cannot be sealed to, a key cannot be made or stored, or the parcel is larger than
/// deployed gateways carry.
pub fn parcel(
    keyring: &dyn Keyring,
    peer: NodeId,
    buffer: Buffer,
    draft: &Draft<'_>,
) -> Result<Sent, Error> {
    fields::check_len("content", buffer.len(), limits::MAX_EMITTED_PARCEL_LEN)?;
    let sealer = parcels(keyring, peer, draft)?;
    content(&sealer, buffer, draft)
}

/// Prepares to seal several parcels for `peer`, which carry the same session key of ours.
///
/// # Errors
/// When the peer cannot be sealed to, the media type is not valid, or a key cannot be made or
/// stored.
pub fn parcels(keyring: &dyn Keyring, peer: NodeId, draft: &Draft<'_>) -> Result<Sealer, Error> {
    let peer = keyring.correspondent(peer, draft.now)?;
    let _locks = keyring.lock_peer(peer.id)?;
    service_message::check_type(draft.media_type)?;
    Sealer::new(keyring, peer, Kind::Parcel, draft.cipher, draft.now)
}

/// Seals the content in `buffer` as one of several parcels. Thread-safe.
///
/// # Errors
/// When the media type is not valid, the system has no random octets, or the parcel is larger than
/// deployed gateways carry.
pub fn content(sealer: &Sealer, mut buffer: Buffer, draft: &Draft<'_>) -> Result<Sent, Error> {
    service_message::wrap(&mut buffer, draft.media_type)?;
    let sent = sealer.seal(buffer, draft.id, sealer.date() + draft.ttl)?;
    fields::check_len("parcel", sent.octets.len(), limits::MAX_EMITTED_PARCEL_LEN)?;
    Ok(sent)
}

/// Makes a CCA: for `valid_for`, the gateway that certified this node may give cargo for it to
/// couriers.
///
/// # Errors
/// When that gateway did not certify this node, or a key or certificate cannot be made or stored.
pub fn cca(
    keyring: &dyn Keyring,
    gateway: NodeId,
    valid_for: SignedDuration,
    cipher: Cipher,
    now: Timestamp,
) -> Result<Sent, Error> {
    let gateway = keyring.registrar(gateway, now)?;
    // Until the session key is stored: two runs must not choose a current key at the same time.
    let _locks = keyring.lock_peer(gateway.id)?;
    check_life(&gateway, now)?;
    let authorization = keyring.authorize_carrier(gateway.id, now, valid_for)?;
    let end = authorization.not_after();
    let request = CollectionRequest { authorization };
    let sealer = Sealer::new(keyring, gateway, Kind::Cca, cipher, now)?;
    sealer.seal(request.to_buffer(), None, end)
}

/// Makes cargo of the messages in `buffer`, which lacks the frame of a set. Its life ends with that
/// of its last message.
///
/// # Errors
/// When the system has no random octets, or the cargo is larger than deployed gateways carry.
pub fn cargo(sealer: &Sealer, mut buffer: Buffer, expiry: Timestamp) -> Result<Sent, Error> {
    message_set::wrap(&mut buffer);
    // RS-001 allows 180 days, from a date that may be hours back.
    let longest = sealer.date() + SignedDuration::from_secs(i64::from(limits::MAX_TTL));
    sealer.seal(buffer, None, expiry.min(longest))
}

/// The common part of messages to one peer. Making one stores the session key that the messages
/// carry; the caller holds the lock of the peer until then.
pub struct Sealer {
    peer: Correspondent,
    kind: Kind,
    cipher: Cipher,
    date: Timestamp,
    end: Timestamp,
    identity: IdentityKey,
    originator: OriginatorKey,
}

impl Sealer {
    /// Prepares to seal messages of this kind for this peer.
    ///
    /// # Errors
    /// When a certificate to send under ends too soon, or a key cannot be made, read or stored.
    pub fn new(
        keyring: &dyn Keyring,
        peer: Correspondent,
        kind: Kind,
        cipher: Cipher,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let end = check_life(&peer, now)?;
        let signer = peer.certificates.first().ok_or_else(|| {
            Error::Authorization(AuthorizationError::NotAuthorized(peer.name.clone()))
        })?;
        let backdated = match kind {
            Kind::Cargo => limits::CARGO_BACKDATED,
            Kind::Cca => limits::CCA_BACKDATED,
            _ => limits::PARCEL_BACKDATED,
        };
        // A message must not be dated before the certificate that it is sent under.
        let date = (whole_seconds(now) - backdated).max(signer.not_before());
        // On disk before any message carries it, so that every answer can be opened.
        let originator = keyring.originator_key(peer.id, peer.session_key.curve(), date)?;
        let identity = keyring.identity()?;
        Ok(Self {
            peer,
            kind,
            cipher,
            date,
            end,
            identity,
            originator,
        })
    }

    /// The date of the messages.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        self.date
    }

    /// When the first of the certificates that the messages are sent under ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Our session key that the messages carry.
    #[must_use]
    pub fn session_key(&self) -> &PublicSessionKey {
        self.originator.key.public()
    }

    /// The recipient of the messages.
    #[must_use]
    pub fn peer(&self) -> &Correspondent {
        &self.peer
    }

    /// The sender of the messages.
    #[must_use]
    pub fn sender(&self) -> NodeId {
        self.identity.id()
    }

    fn seal(&self, content: Buffer, id: Option<&str>, expiry: Timestamp) -> Result<Sent, Error> {
        let lives_until = expiry.min(self.end);
        let life = lives_until.duration_since(self.date).as_secs();
        let fields = Fields {
            recipient: self.peer.id,
            address: self.peer.address.clone(),
            id: match id {
                Some(id) => id.to_owned(),
                None => uuid4()?,
            },
            date: self.date,
            ttl: u32::try_from(life.max(0)).unwrap_or(limits::MAX_TTL),
        };
        let (cipher, recipient) = (self.cipher, &self.peer.session_key);
        let payload = agreement::seal(content, cipher, recipient, &self.originator.key)?;
        let certificates: Vec<&Certificate> = self.peer.certificates.iter().collect();
        let octets =
            SignedMessage::seal(payload, self.kind, &fields, &self.identity, &certificates)?;
        fields::check_len("message", octets.len(), limits::MAX_EMITTED_MESSAGE_LEN)?;
        Ok(Sent {
            octets,
            fields,
            cut_to: (lives_until < expiry).then_some(lives_until),
            dated_ahead: self.originator.dated_ahead,
        })
    }
}

/// The end of the first certificate to send under; at least a day is left.
fn check_life(peer: &Correspondent, now: Timestamp) -> Result<Timestamp, Error> {
    let ends = peer.certificates.iter().map(Certificate::not_after);
    let end = ends.min().unwrap_or(now);
    if end < whole_seconds(now) + MIN_LIFE {
        return Err(Error::Authorization(AuthorizationError::Expired {
            peer: peer.name.clone(),
            at: end,
        }));
    }
    Ok(end)
}

/// Truncates to whole seconds, as dates are written on the wire.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A random UUID as text.
///
/// # Errors
/// When the system's random number generator fails.
pub fn uuid4() -> Result<String, Error> {
    let octets = random::array::<16>().map_err(crate::pki::Error::Crypto)?;
    Ok(uuid(octets))
}

/// A UUID of version 4 with the bits of these octets, as text (RFC 9562 §5.4).
#[must_use]
pub fn uuid(mut octets: [u8; 16]) -> String {
    // Version 4.
    octets[6] = octets[6] & 0x0f | 0x40;
    // Variant 10xx.
    octets[8] = octets[8] & 0x3f | 0x80;
    let digits = crate::asn1::Hex(&octets).to_string();
    [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-")
}
