//! What happens when a message is sent, once and in this order: the session key that it carries is
//! stored, the content is sealed to the peer's session key, and the message is signed.

use jiff::{SignedDuration, Timestamp};

use crate::asn1::Buffer;
use crate::cms::enveloped_data::Cipher;
use crate::crypto::random;
use crate::message::{CollectionRequest, message_set, service_message};
use crate::node::AuthorizationError;
use crate::node::certificates::MIN_LIFE;
use crate::node::{Correspondent, Error, Keyring};
use crate::pki::{Certificate, IdentityKey, NodeId};
use crate::ramf::{Fields, Kind, SignedMessage, fields, limits};
use crate::session::{PrivateSessionKey, agreement};

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

/// A message that may leave.
#[derive(Debug)]
pub struct Sent {
    /// The message.
    pub octets: Buffer,
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
    peer: NodeId,
    buffer: Buffer,
    draft: &Draft<'_>,
) -> Result<Sent, Error> {
    fields::check_len("content", buffer.len(), limits::MAX_EMITTED_PARCEL_LEN)?;
    let sealer = parcels(keyring, peer, draft)?;
    content(&sealer, buffer, draft)
}

/// Prepares to seal several parcels for `peer`, all of which carry one session key of ours.
///
/// # Errors
/// When the peer cannot be sealed to, the media type cannot be written, or a key cannot be made or stored.
pub fn parcels(keyring: &dyn Keyring, peer: NodeId, draft: &Draft<'_>) -> Result<Sealer, Error> {
    let peer = keyring.correspondent(peer, draft.now)?;
    let _locks = keyring.lock_peer(peer.id)?;
    service_message::check_type(draft.media_type)?;
    Sealer::new(keyring, peer, Kind::Parcel, draft.cipher, draft.now)
}

/// Seals the content in `buffer` as one of several parcels, which may be sealed at the same time.
///
/// # Errors
/// When the media type cannot be written, there are no random octets, or the parcel would be larger than
/// deployed gateways carry.
pub fn content(sealer: &Sealer, mut buffer: Buffer, draft: &Draft<'_>) -> Result<Sent, Error> {
    service_message::wrap(&mut buffer, draft.media_type)?;
    let sent = sealer.seal(buffer, draft.id, sealer.date() + draft.ttl)?;
    fields::check_len("parcel", sent.octets.len(), limits::MAX_EMITTED_PARCEL_LEN)?;
    Ok(sent)
}

/// Makes a CCA: the gateway that certified this node may give couriers cargo for it, for `valid_for`.
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
    let _locks = keyring.lock_peer(gateway.id)?;
    check_life(&gateway, now)?;
    let authorization = keyring.authorize_carrier(gateway.id, now, valid_for)?;
    let end = authorization.not_after();
    let request = CollectionRequest { authorization };
    let sealer = Sealer::new(keyring, gateway, Kind::Cca, cipher, now)?;
    sealer.seal(request.to_buffer(), None, end)
}

/// Puts what makes it a set of messages around those in `buffer`, and makes cargo of it. Its life ends
/// with that of the last message in it.
///
/// # Errors
/// When there are no random octets, or the cargo would be larger than deployed gateways carry.
pub fn cargo(sealer: &Sealer, mut buffer: Buffer, expiry: Timestamp) -> Result<Sent, Error> {
    message_set::wrap(&mut buffer);
    let longest = sealer.date() + SignedDuration::from_secs(i64::from(limits::MAX_TTL));
    sealer.seal(buffer, None, expiry.min(longest))
}

/// What messages to one peer have in common. The session key that they carry is stored when there is
/// one of these; its maker has locked the peer until then.
pub struct Sealer {
    peer: Correspondent,
    kind: Kind,
    cipher: Cipher,
    date: Timestamp,
    end: Timestamp,
    identity: IdentityKey,
    originator: PrivateSessionKey,
}

impl Sealer {
    /// Prepares to seal messages of this kind for this peer.
    ///
    /// # Errors
    /// When the certificates to be sent under end too soon, or a key cannot be made, read or stored.
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
        let date = (whole_seconds(now) - backdated).max(signer.not_before());
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

    /// The date that the messages bear.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        self.date
    }

    /// When the first of the certificates that the messages are sent under ends.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Whom the messages are for.
    #[must_use]
    pub fn peer(&self) -> &Correspondent {
        &self.peer
    }

    /// Who sends the messages.
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
        let payload = agreement::seal(content, cipher, recipient, &self.originator)?;
        let certificates: Vec<&Certificate> = self.peer.certificates.iter().collect();
        let octets =
            SignedMessage::seal(payload, self.kind, &fields, &self.identity, &certificates)?;
        fields::check_len("message", octets.len(), limits::MAX_EMITTED_MESSAGE_LEN)?;
        Ok(Sent {
            octets,
            fields,
            cut_to: (lives_until < expiry).then_some(lives_until),
        })
    }
}

/// The end of the certificates to be sent under, which have a day left at least.
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
