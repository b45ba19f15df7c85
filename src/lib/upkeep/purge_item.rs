//! The items that a purge removes, with the reasons.

use std::path::PathBuf;

use crate::disk;
use jiff::Timestamp;

use crate::pki::NodeId;

/// The kind of file or directory that a purge removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeKind {
    /// A message that waits.
    Message,
    /// The reason why a message was set aside: `failed/NAME.why`.
    Reason,
    /// A temporary file of a killed run.
    Temporary,
    /// The replay memory of a day.
    Seen,
    /// What a sender with a limited authorization sent on a day.
    Rates,
    /// The session keys and authorizations that unknown senders sent on a day.
    UnknownSenders,
    /// A certification path.
    Certificate,
    /// That a peer is still to get a renewed certificate.
    Renewal,
    /// A successor notice.
    Successor,
    /// A deauthorization.
    Revocation,
    /// A private session key of ours.
    SessionKey,
    /// The notes of a day on events of messages (`sent`).
    Sent,
    /// The record of cargo that was written onto a medium.
    Carried,
    /// What is known of a medium, of which every record is old.
    Medium,
    /// What is known of the servers of an address.
    Host,
}

impl PurgeKind {
    /// The word in the output of relay-purge.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Reason => "reason",
            Self::Temporary => "temporary",
            Self::Seen => "seen",
            Self::Rates => "rates",
            Self::UnknownSenders => "strangers",
            Self::Certificate => "certificate",
            Self::Renewal => "renewal",
            Self::Successor => "successor",
            Self::Revocation => "revocation",
            Self::SessionKey => "session-key",
            Self::Sent => "sent",
            Self::Carried => "carried",
            Self::Medium => "medium",
            Self::Host => "host",
        }
    }
}

/// The reason why something is no longer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeReason {
    /// The message has expired.
    Expired,
    /// Its message no longer exists.
    Orphan,
    /// It is past its retention period.
    Old,
    /// It is no longer valid.
    Ended,
    /// The peer uses a later key.
    Superseded,
}

impl PurgeReason {
    /// The word in the output of relay-purge.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Orphan => "orphan",
            Self::Old => "old",
            Self::Ended => "ended",
            Self::Superseded => "superseded",
        }
    }
}

/// Something that is no longer needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeItem {
    /// Its kind.
    pub what: PurgeKind,
    /// The reason.
    pub why: PurgeReason,
    /// Since when it is no longer needed, or when its retention period began.
    pub since: Option<Timestamp>,
    /// Its file or directory.
    pub path: PathBuf,
    /// The parcel, if it is one.
    pub parcel: Option<ParcelId>,
}

/// Identifies a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParcelId {
    /// The recipient.
    pub recipient: NodeId,
    /// The sender.
    pub sender: NodeId,
    /// Its message id.
    pub id: String,
}

/// A report of a purge.
#[derive(Debug)]
pub enum PurgeFinding {
    /// No longer needed, and removed unless this is a dry run.
    Useless(PurgeItem),
    /// An unknown or damaged file, which stays, and the problem with it.
    Unexpected(PathBuf, String),
    /// It cannot be read, and why; it stays.
    Unreadable(PathBuf, disk::Error),
}
