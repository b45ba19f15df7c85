//! Kinds of errors, common to all floors. The text of an error is for people; its [`ErrorKind`] is
//! for callers.
//!
//! Each floor's `Error` has a `kind()`. `cli::status` maps kinds to exit statuses. The library asks
//! for kinds, and never looks into the variants of another floor.

use std::io;

use crate::disk::{self, FileRole, Operation};

/// The kind of an error, which callers act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request makes no sense.
    Usage,
    /// Octets are malformed, over a limit, or in an unsupported form.
    Malformed,
    /// A signature, digest or decryption shows that octets were changed or made with another key.
    Corrupt,
    /// Well-formed objects contradict each other, in parts, names or dates.
    Conflict,
    /// A well-formed object of a kind that is not accepted here.
    Unsuitable,
    /// A message in cargo is dated after the cargo expires.
    Outlived,
    /// An input does not exist.
    NotFound,
    /// The peer is not known to this node.
    UnknownPeer,
    /// The session key is not known to this node.
    UnknownKey,
    /// The message or queue entry is not known to this node.
    UnknownMessage,
    /// The message is addressed to another node.
    OtherRecipient,
    /// There is no route to the recipient.
    NoRoute,
    /// A command or the next hop refused the message.
    Refused,
    /// A host cannot be reached, is busy, or does not show who it is: another try may succeed.
    Unreachable,
    /// The answer of a host breaks its protocol.
    Protocol,
    /// A message came back to this node in a loop.
    Loop,
    /// The output exists already, or another file has its name.
    Exists,
    /// The output cannot be created.
    CannotCreate,
    /// The import would change a pinned value.
    Pinned,
    /// Another process holds the lock, or the system is out of resources.
    Busy,
    /// A quota is reached, or the space that is kept free.
    Full,
    /// The system clock is not trusted.
    ClockDoubted,
    /// Parts are missing, or the message is to be offered again later.
    Incomplete,
    /// The message does not show that its recipient authorized the sender.
    Unauthorized,
    /// No certification path leads to a trusted key.
    Untrusted,
    /// The sender has sent as many messages as its authorization allows.
    OverRate,
    /// The operation is never allowed, whatever the time.
    Forbidden,
    /// The node, its configuration or its directory cannot be used.
    Config,
    /// A message or certificate has expired.
    Expired,
    /// A message or certificate is not valid yet.
    Early,
    /// The message was received before.
    Seen,
    /// It cannot be decided whether the message was received before.
    Unjudged,
    /// Reading from an input failed.
    Io,
    /// A file or directory: its role, the operation, and the cause.
    Disk {
        /// The role of the file for the program.
        role: FileRole,
        /// The operation that the operating system refused; `None` for other causes.
        operation: Option<Operation>,
        /// The cause.
        cause: DiskCause,
    },
    /// An internal failure: a bug in these programs or their dependencies, or no randomness.
    Internal,
}

/// The cause of a failure with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskCause {
    /// Its name is taken.
    Exists,
    /// It is not a regular file.
    NotRegular,
    /// It is a secret that others can read.
    Exposed,
    /// It is over the size limit of its role.
    TooLarge,
    /// It does not read back as it was written.
    Differs,
    /// The disk fails (EIO) or is full, or a limit for files or memory is reached.
    Full,
    /// The operating system refused for another reason.
    System(io::ErrorKind),
}

impl ErrorKind {
    /// Whether the result may differ when the clock is right.
    #[must_use]
    pub fn depends_on_clock(self) -> bool {
        matches!(
            self,
            Self::Expired
                | Self::Early
                | Self::Outlived
                // A path may be missing only because a certificate is not valid at this time.
                | Self::Unauthorized
                | Self::Untrusted
                // An Internet gateway counts by its own clock.
                | Self::OverRate
        )
    }
}

impl disk::Error {
    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        use io::ErrorKind as K;
        let cause = match self {
            Self::Exists { .. } => DiskCause::Exists,
            Self::NotRegular { .. } => DiskCause::NotRegular,
            Self::Exposed { .. } => DiskCause::Exposed,
            Self::TooLarge { .. } => DiskCause::TooLarge,
            Self::Differs { .. } => DiskCause::Differs,
            Self::IsInput { .. } => return ErrorKind::Usage,
            Self::Placeholder { .. } => DiskCause::System(K::NotFound),
            Self::CannotHold { .. } => return ErrorKind::Config,
            Self::Io { cause, .. } => match cause.kind() {
                K::StorageFull | K::QuotaExceeded | K::FileTooLarge | K::OutOfMemory => {
                    DiskCause::Full
                }
                // `io::ErrorKind` has no stable kind for EIO.
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
