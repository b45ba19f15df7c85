//! The name of a file in a queue, which is an index of its message.
//!
//! `<recipient>.<sender>.<sha256 of message
//! id>.<expiry>[.p<priority>][.c<copies>][.f<from>].<kind>`

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::asn1::{Hex, hex};
use crate::crypto::hash;
use crate::message::item::Received;
use crate::message::{Item, Pca, Pdd};
use crate::node::ReplayKey;
use crate::pki::NodeId;
use crate::ramf::{Kind, SignedMessage};

/// Format of the expiry, which sorts by time: `20270522T101112Z`.
const EXPIRY: &str = "%Y%m%dT%H%M%SZ";

/// The priority of a message whose name has none.
pub const DEFAULT_PRIORITY: u8 = 5;

/// The highest priority: such messages go first.
pub const MAX_PRIORITY: u8 = 9;

/// Maximum number of copies of a message that are sent.
pub const MAX_COPIES: u8 = 9;

/// Maximum number of names that are tried for a message while others have them.
const MAX_NAMES: i64 = 1000;

/// The first 8 octets of a hop's id, enough to tell hops apart; or those of a digest that stands for
/// another user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HopPrefix([u8; 8]);

impl HopPrefix {
    /// Stands for another user of this machine, who is no hop.
    #[must_use]
    pub fn of_user(user: u32) -> Self {
        let mut hop = [0; 8];
        hop.copy_from_slice(&hash::sha256(format!("user {user}").as_bytes())[..8]);
        Self(hop)
    }

    /// Stands for the Internet, of a message that could not be posted to its recipient's own server.
    #[must_use]
    pub fn internet() -> Self {
        let mut hop = [0; 8];
        hop.copy_from_slice(&hash::sha256(super::INTERNET.as_bytes())[..8]);
        Self(hop)
    }

    pub(super) fn octets(&self) -> &[u8; 8] {
        &self.0
    }
}

impl From<NodeId> for HopPrefix {
    fn from(node: NodeId) -> Self {
        let mut hop = [0; 8];
        hop.copy_from_slice(&node.digest()[..8]);
        Self(hop)
    }
}

/// Identifies a message: one with the same key is a repetition, or may replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageKey {
    /// The recipient.
    pub recipient: NodeId,
    /// The sender.
    pub sender: NodeId,
    /// The SHA-256 of its id.
    pub id: [u8; 32],
    /// The kind of message.
    pub kind: Kind,
}

/// A truncated digest of a [`MessageKey`], for large sets.
pub type KeyDigest = [u8; 16];

impl MessageKey {
    /// The first 16 octets of the SHA-256 of the key.
    #[must_use]
    pub fn key(&self) -> KeyDigest {
        // The parts have fixed lengths, so that no two keys have the same concatenation.
        let parts = [
            &[self.kind.octet()][..],
            self.recipient.digest(),
            self.sender.digest(),
            &self.id,
        ];
        let digest = hash::sha256(&parts.concat());
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }

    /// The first 16 hexadecimal digits of the digest of the id, which name a message for a user.
    #[must_use]
    pub fn short(&self) -> String {
        short_digest(&self.id)
    }

    /// Whether a user may mean this message by a text: its id, or the beginning of its digest.
    #[must_use]
    pub fn is_meant_by(&self, text: &str) -> bool {
        self.id == hash::sha256(text.as_bytes()) || begins(text, &self.id)
    }

    /// The first octets of the digest of the id, as [`beginning_of_id`] finds them in a name.
    pub(super) fn beginning_of_id(&self) -> u64 {
        let mut octets = [0; 8];
        octets.copy_from_slice(&self.id[..8]);
        u64::from_be_bytes(octets)
    }

    /// The parcel that an acknowledgement with this key is for: both have the same id, sender and
    /// recipient.
    #[must_use]
    pub fn of_parcel(&self) -> Self {
        Self {
            kind: Kind::Parcel,
            ..*self
        }
    }

    /// The key of the message in the replay memory. It needs the `id` itself, since a name has only
    /// its digest, and the expiry, until which the message is remembered.
    #[must_use]
    pub fn to_replay_key(&self, id: &str, expiry: Timestamp) -> ReplayKey {
        ReplayKey::new(self.kind, self.recipient, self.sender, id, expiry)
    }
}

/// The hexadecimal digits of a digest that are shown.
const SHORT_LEN: usize = 16;

fn short_digest(digest: &[u8; 32]) -> String {
    Hex(&digest[..SHORT_LEN / 2]).to_string()
}

/// Whether a text is the beginning of this digest of an id, and long enough to stand for it.
pub(super) fn begins(text: &str, digest: &[u8; 32]) -> bool {
    (SHORT_LEN..=64).contains(&text.len())
        && Hex(digest)
            .to_string()
            .starts_with(&text.to_ascii_lowercase())
}

impl From<&Pca> for MessageKey {
    /// The parcel that it acknowledges.
    fn from(pca: &Pca) -> Self {
        Self {
            recipient: pca.recipient,
            sender: pca.sender,
            id: hash::sha256(pca.parcel_id.as_bytes()),
            kind: Kind::Parcel,
        }
    }
}

/// The name of a file in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Which message it is.
    pub identity: MessageKey,
    /// When the message expires.
    pub expiry: Timestamp,
    /// Its priority, if one was set: 0 to 9, of which 9 goes first.
    pub priority: Option<u8>,
    /// How many copies are still to be sent, if no acknowledgement will come.
    pub copies: Option<u8>,
    /// The hop whose cargo brought it, or the user of whose file it is a copy.
    pub from: Option<HopPrefix>,
}

impl Name {
    /// The name for a message. `expiry` is used for control messages that have none of their own.
    #[must_use]
    pub fn of(item: &Item, expiry: Timestamp) -> Self {
        let id = |id: &str| hash::sha256(id.as_bytes());
        let of_message = |message: &SignedMessage| {
            let fields = message.fields();
            (fields.recipient, message.sender(), id(&fields.id))
        };
        let (recipient, sender, id) = match item {
            Item::Parcel(parcel) => of_message(parcel.as_ref()),
            Item::Cargo(cargo) => of_message(cargo.as_ref()),
            Item::Cca(cca) => of_message(cca.as_ref()),
            Item::Pca(pca) => (pca.recipient, pca.sender, id(&pca.parcel_id)),
            Item::Rotation(rotation) => {
                // A rotation has no recipient, sender or id field; its certificates and digest
                // stand in.
                let leaf = rotation.path.leaf.id();
                let issuer = rotation.path.authorities.first();
                let issuer = issuer.map_or(leaf, crate::pki::Certificate::id);
                (leaf, issuer, hash::sha256(rotation.octets()))
            }
            Item::Pdd(pdd) => return Self::of_pdd(pdd),
        };
        Self {
            identity: MessageKey {
                recipient,
                sender,
                id,
                kind: item.kind(),
            },
            expiry: item.expiry().unwrap_or(expiry),
            priority: None,
            copies: None,
            from: None,
        }
    }

    /// The name for a deauthorization, which has no id: its digest stands in.
    #[must_use]
    pub fn of_pdd(pdd: &Received<Pdd>) -> Self {
        Self {
            identity: MessageKey {
                recipient: pdd.issuer,
                sender: pdd.signer(),
                id: hash::sha256(pdd.octets()),
                kind: Kind::Pdd,
            },
            expiry: pdd.expiry,
            priority: None,
            copies: None,
            from: None,
        }
    }

    /// This name, then alternatives if other files have it: each expires one second later. That is
    /// harmless, since names are only an index.
    pub fn and_others(&self) -> impl Iterator<Item = Self> + use<> {
        let name = self.clone();
        (0..MAX_NAMES).filter_map(move |later| {
            let later = SignedDuration::from_secs(later);
            let expiry = name.expiry.checked_add(later).ok()?;
            Some(Self {
                expiry,
                ..name.clone()
            })
        })
    }

    /// The key in the replay memory of the message with this `id`: see
    /// [`MessageKey::to_replay_key`].
    #[must_use]
    pub fn to_replay_key(&self, id: &str) -> ReplayKey {
        self.identity.to_replay_key(id, self.expiry)
    }

    /// The priority, or the default one.
    #[must_use]
    pub fn urgency(&self) -> u8 {
        self.priority.unwrap_or(DEFAULT_PRIORITY)
    }

    /// Whether it is the name of a control message.
    #[must_use]
    pub fn is_of_control(&self) -> bool {
        matches!(self.identity.kind, Kind::Pca | Kind::Rotation | Kind::Pdd)
    }

    /// Whether this is the hop that brought the message.
    #[must_use]
    pub fn is_from(&self, hop: NodeId) -> bool {
        self.from == Some(HopPrefix::from(hop))
    }

    /// Whether the message has expired, according to this name.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry < now
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageKey {
            recipient,
            sender,
            id,
            kind,
        } = &self.identity;
        let expiry = Offset::UTC.to_datetime(self.expiry);
        write!(
            formatter,
            "{recipient}.{sender}.{}.{}",
            Hex(id),
            expiry.strftime(EXPIRY)
        )?;
        if let Some(priority) = self.priority {
            write!(formatter, ".p{priority}")?;
        }
        if let Some(copies) = self.copies {
            write!(formatter, ".c{copies}")?;
        }
        if let Some(from) = &self.from {
            write!(formatter, ".f{}", Hex(&from.0))?;
        }
        write!(formatter, ".{}", kind.word())
    }
}

/// The error for a file name that is not that of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a message")]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NotAName);
        let node = |text: &str| text.parse().map_err(|_| NotAName);
        let (recipient, sender) = (node(next()?)?, node(next()?)?);
        let id = hex::octets(next()?.as_bytes());
        let expiry = parse_expiry(next()?.as_bytes());
        let mut name = Self {
            identity: MessageKey {
                recipient,
                sender,
                id: id.ok_or(NotAName)?,
                kind: Kind::Parcel,
            },
            expiry: expiry.ok_or(NotAName)?,
            priority: None,
            copies: None,
            from: None,
        };
        // Only the canonical form is valid: no leading zeros, no other order, nothing after it.
        loop {
            let part = next()?;
            if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.word() == part) {
                name.identity.kind = kind;
                break;
            }
            match (part.as_bytes(), name.priority, name.copies, name.from) {
                ([b'p', digit @ b'0'..=b'9'], None, None, None) => {
                    name.priority = Some(digit - b'0');
                }
                ([b'c', digit @ b'1'..=b'9'], _, None, None) => name.copies = Some(digit - b'0'),
                ([b'f', hop @ ..], _, _, None) => {
                    name.from = Some(HopPrefix(hex::octets(hop).ok_or(NotAName)?));
                }
                _ => return Err(NotAName),
            }
        }
        match parts.next() {
            None => Ok(name),
            Some(_) => Err(NotAName),
        }
    }
}

/// Reads what [`EXPIRY`] writes. Queues hold names by the hundred thousand, and jiff's reader of
/// formats takes longer than all the rest of a name.
fn parse_expiry(text: &[u8]) -> Option<Timestamp> {
    let [date @ .., b'T', _, _, _, _, _, _, b'Z'] = text else {
        return None;
    };
    let time = text.get(date.len() + 1..text.len() - 1)?;
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i16, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i16::from(digit - b'0'))
        })
    };
    let two = |digits: &[u8]| number(digits).and_then(|number| i8::try_from(number).ok());
    let (&[y1, y2, y3, y4, ref day @ ..], &[h1, h2, m1, m2, s1, s2]) = (date, time) else {
        return None;
    };
    let &[n1, n2, d1, d2] = day else {
        return None;
    };
    let date = (number(&[y1, y2, y3, y4])?, two(&[n1, n2])?, two(&[d1, d2])?);
    let time = (two(&[h1, h2])?, two(&[m1, m2])?, two(&[s1, s2])?);
    let at = DateTime::new(date.0, date.1, date.2, time.0, time.1, time.2, 0).ok()?;
    Offset::UTC.to_timestamp(at).ok()
}

/// The first octets of the digest of the message id in what may be the name of a message: enough to
/// find the few names that are worth reading.
pub(super) fn beginning_of_id(name: &[u8]) -> Option<u64> {
    const START: usize = 2 * (NodeId::LEN + 1);
    let digits = name.get(START..START + 16)?;
    hex::octets(digits).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Name {
        Name {
            identity: MessageKey {
                recipient: NodeId::of_spki(b"recipient"),
                sender: NodeId::of_spki(b"sender"),
                id: [7; 32],
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: None,
        }
    }

    #[test]
    fn names_come_back() {
        for (priority, copies, from) in [
            (None, None, None),
            (Some(9), None, None),
            (None, Some(2), Some(HopPrefix([1; 8]))),
            (Some(0), Some(9), Some(HopPrefix([0xfe; 8]))),
        ] {
            let name = Name {
                priority,
                copies,
                from,
                ..sample()
            };
            let text = name.to_string();
            assert!(text.len() <= 255 - ".why".len(), "{text}");
            let beginning = beginning_of_id(text.as_bytes());
            assert_eq!(beginning, Some(name.identity.beginning_of_id()));
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
        assert_eq!(beginning_of_id(b"short"), None);
        assert!(sample().to_string().contains(".20270522T101112Z.parcel"));
    }

    #[test]
    fn nothing_else_is_a_name() {
        let good = sample().to_string();
        let from = |from: &str, to: &str| good.replace(from, to);
        for bad in [
            String::new(),
            "report.parcel".to_owned(),
            format!("{good}.parcel"),
            format!("{good}."),
            from(".parcel", ""),
            from(".parcel", ".cargoes"),
            from(".parcel", ".p10.parcel"),
            from(".parcel", ".p05.parcel"),
            from(".parcel", ".p5.p5.parcel"),
            from(".parcel", ".f0101010101010101.p5.parcel"),
            from(".parcel", ".f01.parcel"),
            from(".parcel", ".c0.parcel"),
            from(".parcel", ".c2.p5.parcel"),
            from("20270522T101112Z", "20270532T101112Z"),
            from("20270522T101112Z", "2027-05-22T10:11:12Z"),
            from("20270522T101112Z", "20270522T101160Z"),
            from("20270522T101112Z", "20270522T10111 Z"),
            from("20270522T101112Z", "020270522T101112Z"),
            from(".parcel", ".p5"),
            from(".parcel", ".p+.parcel"),
            from(".parcel", ".f01010101010101FE.parcel"),
            from(".0707", ".0G07"),
            good.to_ascii_uppercase(),
            from("0707", "07"),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(NotAName), "{bad}");
        }
    }
}
