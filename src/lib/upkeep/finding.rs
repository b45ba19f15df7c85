//! What a check finds.

use std::path::PathBuf;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing, and in order.
    Information,
    /// It will be bad, or is a little.
    Warning,
    /// Something does not work, or is not safe.
    Error,
}

impl Level {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Permission bits.
    Mode,
    /// Whose a file is.
    Owner,
    /// Whether a file belongs there.
    Unknown,
    /// Whether a file holds what it should.
    Damaged,
    /// Whether what a file belongs to is there.
    Orphan,
    /// Files that were being written.
    Temporary,
    /// The time.
    Clock,
    /// When certificates and authorizations end.
    Ending,
    /// Keys to seal to.
    SessionKey,
    /// Ways of messages.
    Route,
    /// How long messages wait.
    Waiting,
    /// Messages that were set aside.
    Failed,
    /// Space that is left.
    Room,
}

impl Check {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Unknown => "unknown",
            Self::Damaged => "damaged",
            Self::Orphan => "orphan",
            Self::Temporary => "temporary",
            Self::Clock => "clock",
            Self::Ending => "ending",
            Self::SessionKey => "session-key",
            Self::Route => "route",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Room => "room",
        }
    }
}

/// Something that is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub check: Check,
    /// Where.
    pub path: PathBuf,
    /// What was found.
    pub what: String,
    /// What the user can do, where there is something.
    pub hint: Option<String>,
}
