//! Operations on files, with their words in errors and traces.

use std::fmt;

/// An operation on a file or directory.
///
/// Those that change the file system are steps of [`fault`](super::fault), each with its own word
/// in a trace. Errors distinguish fewer: for them, appending is writing (see
/// [`Operation::reported`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opens a file that exists.
    Open,
    /// Asks for the kind, size, owner or mode of a file.
    Examine,
    /// Reads octets.
    Read,
    /// Reads the names in a directory.
    List,
    /// Takes a lock.
    Lock,
    /// Gives a file or directory to a group.
    Share,
    /// Gives a directory to a group, as its files are to be, with the set-group-ID bit.
    SetGroupId,
    /// Creates a file.
    Create,
    /// Creates a directory.
    CreateDir,
    /// Creates a lock file.
    CreateLock,
    /// Creates a file without a name, for the length of a run.
    CreateScratch,
    /// Writes octets to a file.
    Write,
    /// Writes octets to a file without a name.
    WriteScratch,
    /// Appends octets to a file.
    Append,
    /// Writes octets to the standard output.
    Emit,
    /// Cuts off the end of a file.
    Truncate,
    /// Changes the mode of a file or directory.
    SetMode,
    /// Changes the group of a file or directory.
    SetGroup,
    /// Sets when the content of a file or directory was changed last.
    SetTime,
    /// Waits until the octets of a file are on the disk.
    Sync,
    /// Waits until the names in a directory are on the disk.
    SyncDir,
    /// Syncs the whole file system of a directory (syncfs(2)).
    SyncFs,
    /// Gives a file another name; a trace has the old path, then the new one.
    Rename,
    /// Gives a file a second name; a trace has the old path, then the new one.
    Link,
    /// Removes a file or a directory.
    Remove,
}

impl Operation {
    /// The operation that an error names, without details that users do not care about.
    #[must_use]
    pub const fn reported(self) -> Self {
        match self {
            Self::CreateDir | Self::CreateLock | Self::CreateScratch => Self::Create,
            Self::WriteScratch | Self::Append | Self::Emit | Self::SetTime => Self::Write,
            Self::SetMode | Self::SetGroup => Self::Share,
            Self::SyncDir | Self::SyncFs => Self::Sync,
            reported => reported,
        }
    }

    /// The word in a trace, which tests/crash knows.
    #[must_use]
    pub const fn traced(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Examine => "examine",
            Self::Read => "read",
            Self::List => "list",
            Self::Lock | Self::CreateLock => "lock",
            Self::Share | Self::SetGroupId => "share",
            Self::Create => "create",
            Self::CreateDir => "mkdir",
            Self::CreateScratch | Self::WriteScratch => "scratch",
            Self::Write => "write",
            Self::Append => "append",
            Self::Emit => "emit",
            Self::Truncate => "truncate",
            Self::SetMode => "chmod",
            Self::SetGroup => "chown",
            Self::SetTime => "utime",
            Self::Sync => "sync",
            Self::SyncDir => "syncdir",
            Self::SyncFs => "syncfs",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Remove => "remove",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reported().traced())
    }
}
