//! What a purge removes, and why.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::pki::NodeId;

/// What kind of file or directory a purge removes.
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
    /// The session keys and authorizations that unknown senders sent on a day.
    UnknownSenders,
    /// A certification path.
    Certificate,
    /// A private session key of ours.
    SessionKey,
    /// The notes of a day on what happened to messages.
    Sent,
    /// The record of cargo that was written onto a medium.
    Carried,
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
            Self::UnknownSenders => "strangers",
            Self::Certificate => "certificate",
            Self::SessionKey => "session-key",
            Self::Sent => "sent",
            Self::Carried => "carried",
        }
    }
}

/// Why something is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeReason {
    /// The message's life has ended.
    Expired,
    /// The message that it belongs to is gone.
    Orphan,
    /// It is past its retention period.
    Old,
    /// It is not valid any more.
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

/// Something that is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeItem {
    /// What it is.
    pub what: PurgeKind,
    /// Why it is of no use.
    pub why: PurgeReason,
    /// Since when it is of no use, or when its retention period began.
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

/// What a purge reports.
#[derive(Debug)]
pub enum PurgeFinding {
    /// Of no use any more, and removed unless this is a dry run.
    Useless(PurgeItem),
    /// Not what belongs there, and why; it stays.
    Unexpected(PathBuf, String),
}
