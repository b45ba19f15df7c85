//! What went wrong, once for all floors: an error says it in words, [`ErrorKind`] in one that a caller can act on.
//!
//! Each floor's `Error` has a `kind()`. The programs' table from kinds to exit statuses is in `cli::status`; the library
//! asks for kinds and never looks into another floor's variants.

use std::io;

use crate::disk::{self, FileRole, Operation};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for something that makes no sense.
    Usage,
    /// Octets are not what they should be: malformed, over a limit, or in a form that is not supported.
    Malformed,
    /// A signature, digest or decryption shows that octets were changed or are somebody else's.
    Corrupt,
    /// Parts, names or dates of good objects contradict each other.
    Conflict,
    /// The object is good, and not of a kind that is taken here.
    Unsuitable,
    /// The message is dated after the end of what brought it.
    Outlived,
    /// What should be read is not there.
    NotFound,
    /// A peer is not known here.
    UnknownPeer,
    /// A session key is not known here.
    UnknownKey,
    /// A message or queue entry is not known here.
    UnknownMessage,
    /// It is for somebody else.
    OtherRecipient,
    /// No way leads to the recipient.
    NoRoute,
    /// A command or next hop refused it.
    Refused,
    /// A message comes round in a loop.
    Loop,
    /// Something is there already, or stands in the way.
    Exists,
    /// An output cannot be made where it should be.
    CannotCreate,
    /// It would change what is pinned.
    Pinned,
    /// Another run is at work.
    Busy,
    /// A quota, or the space that is kept free, is reached.
    Full,
    /// The clock is not believed.
    ClockDoubted,
    /// Something is still to come, or may be taken later.
    Incomplete,
    /// The sender is not authorized by the recipient, as far as anything shows.
    Unauthorized,
    /// No path leads to a trusted key.
    Untrusted,
    /// Somebody may not do this at all, whatever the time.
    Forbidden,
    /// The node, its config or its directory cannot be used.
    Config,
    /// The time of a message or certificate is over.
    Expired,
    /// A message or certificate is valid only later.
    Early,
    /// It was received before.
    Seen,
    /// Nobody can tell whether it was received before.
    Unjudged,
    /// Reading from an input failed.
    Io,
    /// A file or directory: what it is to the program, what was being done, and what is wrong.
    Disk {
        /// What the file is to the program.
        role: FileRole,
        /// What was asked of the operating system, if it is the one that refused.
        operation: Option<Operation>,
        /// What is wrong.
        cause: DiskCause,
    },
    /// A bug in these programs, or of what they are built of.
    Internal,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskCause {
    /// Its name is taken.
    Exists,
    /// It is no regular file.
    NotRegular,
    /// It is a secret that others can read.
    Exposed,
    /// It is longer than such a file may be.
    TooLarge,
    /// It does not read back as it was written.
    Differs,
    /// The disk fails (EIO), is full, or a limit for files or memory is reached.
    Full,
    /// The operating system refused for another reason.
    System(io::ErrorKind),
}

impl ErrorKind {
    /// Whether a clock that is right may lead to another answer.
    #[must_use]
    pub fn depends_on_clock(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::Early
                | Self::Outlived
                // That no path shows it may be for a certificate that is not valid at the moment.
                | Self::Unauthorized
                | Self::Untrusted
        )
    }
}

impl disk::Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use io::ErrorKind as K;
        let cause = match self {
            Self::Exists { .. } => DiskCause::Exists,
            Self::NotRegular { .. } => DiskCause::NotRegular,
            Self::Exposed { .. } => DiskCause::Exposed,
            Self::TooLarge { .. } => DiskCause::TooLarge,
            Self::Differs { .. } => DiskCause::Differs,
            Self::Io { cause, .. } => match cause.kind() {
                K::StorageFull | K::QuotaExceeded | K::FileTooLarge | K::OutOfMemory => {
                    DiskCause::Full
                }
                _ if cause.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    DiskCause::Full
                }
                kind => DiskCause::System(kind),
            },
        };
        ErrorKind::Disk {
            role: self.role(),
            operation: self.doing(),
            cause,
        }
    }
}
