//! What a purge removes, and why.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::pki::NodeId;

/// What kind of thing is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeKind {
    /// A message that waits.
    Message,
    /// Why a message was set aside.
    Reason,
    /// A file that was being written.
    Temporary,
    /// The replay memory of a day.
    Seen,
    /// The session keys and authorizations of strangers that were heard of last on a day.
    UnknownSenders,
    /// A certificate with its issuers'.
    Certificate,
    /// A private session key of ours.
    SessionKey,
    /// What happened to messages on a day.
    Sent,
    /// What was written onto a medium.
    Carried,
}

impl PurgeKind {
    /// The word for it.
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

/// Why something is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PurgeReason {
    /// The message's life has ended.
    Expired,
    /// What it belongs to is not there.
    Orphan,
    /// It is older than such things are kept.
    Old,
    /// It is not valid any more.
    Ended,
    /// The peer uses a later one.
    Superseded,
}

impl PurgeReason {
    /// The word for it.
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
    /// Since when; of what is kept for some time, when that time began.
    pub since: Option<Timestamp>,
    /// Its file or directory.
    pub path: PathBuf,
    /// The parcel that it is.
    pub parcel: Option<ParcelId>,
}

/// Which parcel it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParcelId {
    /// Whom it is for.
    pub recipient: NodeId,
    /// Who sent it.
    pub sender: NodeId,
    /// Its message id.
    pub id: String,
}

/// What a sweep comes upon.
#[derive(Debug)]
pub enum PurgeFinding {
    /// This is of no use, and has gone unless nothing is to be removed.
    Useless(PurgeItem),
    /// This is not what belongs there, and why; it stays.
    Unexpected(PathBuf, String),
}
