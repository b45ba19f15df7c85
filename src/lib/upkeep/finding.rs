//! The findings of a check.

use std::path::PathBuf;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing; nothing is wrong.
    Information,
    /// It will be a problem soon, or is a small one now.
    Warning,
    /// Something does not work, or is unsafe.
    Error,
}

impl Level {
    /// The word in the output of relay-check.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The subject of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// Permission bits.
    Mode,
    /// The owner of a file.
    Owner,
    /// Files that no program here makes.
    Unknown,
    /// Contents of files.
    Damaged,
    /// Files that belong to something that is not there.
    Orphan,
    /// Temporary files of killed runs.
    Temporary,
    /// The clock.
    Clock,
    /// When certificates and authorizations end.
    Ending,
    /// Keys to seal to.
    SessionKey,
    /// Whether private keys are encrypted.
    Encryption,
    /// Nodes that take the place of others.
    Successor,
    /// Names for several peers.
    Alias,
    /// Routes of messages.
    Route,
    /// How long messages wait.
    Waiting,
    /// What keeps a gateway from being reached over the network.
    Online,
    /// Messages in `failed`.
    Failed,
    /// Free space, and quotas.
    Room,
    /// The kind of file system.
    FileSystem,
}

impl Check {
    /// The word in the output of relay-check.
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
            Self::Encryption => "encryption",
            Self::Successor => "successor",
            Self::Alias => "alias",
            Self::Route => "route",
            Self::Waiting => "waiting",
            Self::Online => "online",
            Self::Failed => "failed",
            Self::Room => "room",
            Self::FileSystem => "file-system",
        }
    }
}

/// One result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How serious it is.
    pub level: Level,
    /// The check that found it.
    pub check: Check,
    /// The file or directory.
    pub path: PathBuf,
    /// The problem, in words.
    pub what: String,
    /// What the user can do about it, if anything.
    pub hint: Option<String>,
}
