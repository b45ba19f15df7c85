//! Exit statuses: those of sysexits(3), and three of our own. Only this module maps errors to
//! statuses.

use std::process::ExitCode;

use super::errors::{
    Again, Changed, Empty, Fatal, ForNeighbour, ForTerminal, LeakedKey, LonePart, NoCode, NoFile,
    Postponed, Unchecked, Usage,
};
use crate::disk::{self, FileRole, Operation};
use crate::kind::{DiskCause, ErrorKind};
use crate::message::stream::StreamError;
use crate::transfer::join;
use crate::{
    archive, asn1, cms, command, deliver, medium, message, node, outbox, pki, ramf, route, session,
    spool,
};

/// An exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(u8);

impl Status {
    /// Everything succeeded.
    pub const OK: Self = Self(0);
    /// relay-check found something.
    pub const FOUND: Self = Self(1);
    /// To a monitoring system: a number is near its limit.
    pub const WARNING: Self = Self(1);
    /// To a monitoring system: a number is over its limit.
    pub const CRITICAL: Self = Self(2);
    /// To a monitoring system: a number is not known.
    pub const UNKNOWN: Self = Self(3);
    /// The command line is wrong.
    pub const USAGE: Self = Self(64);
    /// An input is malformed, too large, badly signed or undecryptable.
    pub const DATA: Self = Self(65);
    /// A named input is missing, unreadable or empty.
    pub const NO_INPUT: Self = Self(66);
    /// A peer, recipient, session key or message id is not known to this node.
    pub const NO_USER: Self = Self(67);
    /// The next hop or a command refused the message, or does not exist.
    pub const UNAVAILABLE: Self = Self(69);
    /// A bug in this program.
    pub const SOFTWARE: Self = Self(70);
    /// An output exists or cannot be created, or a key would be replaced.
    pub const CANT_CREATE: Self = Self(73);
    /// Reading or writing failed, or the disk is full.
    pub const IO: Self = Self(74);
    /// Another try may succeed.
    pub const TEMP_FAIL: Self = Self(75);
    /// The answer of a host breaks its protocol.
    pub const PROTOCOL: Self = Self(76);
    /// The sender is not authorized by the recipient.
    pub const NO_PERMISSION: Self = Self(77);
    /// The node directory is unusable, or its keys are readable by others.
    pub const CONFIG: Self = Self(78);
    /// The message or a certificate has expired.
    pub const EXPIRED: Self = Self(80);
    /// Dated in the future by more than the allowed clock drift.
    pub const EARLY: Self = Self(81);
    /// Received before.
    pub const SEEN: Self = Self(82);
    /// The reader of the output has gone: 128 + SIGPIPE, as shells show it.
    pub const BROKEN_PIPE: Self = Self(141);

    /// The number that the process exits with.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }

    /// Whether another run may succeed without any change.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Self::IO | Self::TEMP_FAIL | Self::EARLY)
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.0)
    }
}

/// A failure that was reported already; only the exit status is left.
#[derive(Debug, thiserror::Error)]
#[error("exit status {}", .0.0)]
pub struct Reported(pub Status);

/// The status for an error: that of its first cause that has one.
#[must_use]
pub fn status(error: &anyhow::Error) -> Status {
    error.chain().find_map(of_cause).unwrap_or(Status::SOFTWARE)
}

/// Whether the error is that it is unknown whether a message was received before.
#[must_use]
pub fn is_unjudged(error: &anyhow::Error) -> bool {
    error.chain().find_map(kind_of) == Some(ErrorKind::Unjudged)
}

/// The status of a cause, if it is an error of this crate.
fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Status> {
    if let Some(Reported(status)) = cause.downcast_ref() {
        // An error that carries its status overrides all kinds.
        return Some(*status);
    }
    if cause.is::<Usage>() || cause.is::<ForTerminal>() || cause.is::<Unchecked>() {
        return Some(Status::USAGE);
    }
    if cause.is::<Changed>() || cause.is::<Postponed>() || cause.is::<Again>() {
        return Some(Status::TEMP_FAIL);
    }
    if cause.is::<LeakedKey>() || cause.is::<LonePart>() || cause.is::<NoCode>() {
        return Some(Status::DATA);
    }
    if cause.is::<ForNeighbour>() {
        return Some(Status::NO_USER);
    }
    if cause.is::<Empty>() || cause.is::<NoFile>() {
        return Some(Status::NO_INPUT);
    }
    kind_of(cause).map(of_kind)
}

/// The kind of a cause, if it is an error of the library.
fn kind_of(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    if let Some(Fatal::Aside(error) | Fatal::Output(error)) = cause.downcast_ref() {
        return Some(error.kind());
    }
    #[cfg(feature = "online")]
    if let Some(error) = cause.downcast_ref::<crate::binding::Error>() {
        return Some(error.kind());
    }
    #[cfg(feature = "online")]
    if let Some(error) = cause.downcast_ref::<crate::serve::Error>() {
        return Some(error.kind());
    }
    macro_rules! kind_of_any {
        ($($error:ty),+ $(,)?) => {
            None$(.or_else(|| cause.downcast_ref::<$error>().map(<$error>::kind)))+
        };
    }
    kind_of_any!(
        disk::Error,
        node::Error,
        node::DirectoryError,
        node::PeerError,
        node::AuthorizationError,
        node::SessionKeyError,
        node::ReplayError,
        node::ImportError,
        node::PassphraseError,
        spool::Error,
        command::Error,
        route::Error,
        medium::Error,
        deliver::Error,
        outbox::Error,
        join::Error,
        archive::Error,
        message::Error,
        StreamError,
        ramf::Error,
        session::Error,
        cms::Error,
        pki::Error,
        asn1::Error,
    )
}

/// The table from kinds of errors to statuses.
fn of_kind(kind: ErrorKind) -> Status {
    use ErrorKind as K;
    match kind {
        K::Usage => Status::USAGE,
        K::Malformed | K::Corrupt | K::Conflict | K::Unsuitable | K::Outlived => Status::DATA,
        K::NotFound => Status::NO_INPUT,
        K::UnknownPeer | K::UnknownKey | K::UnknownMessage | K::OtherRecipient | K::NoRoute => {
            Status::NO_USER
        }
        K::Refused | K::Loop => Status::UNAVAILABLE,
        K::Exists | K::CannotCreate | K::Pinned => Status::CANT_CREATE,
        K::Io => Status::IO,
        K::Busy | K::Full | K::ClockDoubted | K::Incomplete | K::Unreachable => Status::TEMP_FAIL,
        K::Protocol => Status::PROTOCOL,
        K::Unauthorized | K::Untrusted | K::OverRate | K::Forbidden => Status::NO_PERMISSION,
        K::Config => Status::CONFIG,
        K::Expired => Status::EXPIRED,
        K::Early => Status::EARLY,
        K::Seen | K::Unjudged => Status::SEEN,
        K::Disk {
            role,
            operation,
            cause,
        } => of_disk(role, operation, cause),
        K::Internal => Status::SOFTWARE,
    }
}

/// The status for a failure of a file, by its role in the program.
fn of_disk(role: FileRole, operation: Option<Operation>, cause: DiskCause) -> Status {
    use DiskCause as C;
    use std::io::ErrorKind as K;
    // Before the role: it ends the program silently.
    if cause == C::System(K::BrokenPipe) {
        return Status::BROKEN_PIPE;
    }
    if matches!(operation, Some(Operation::Share | Operation::SetGroupId)) {
        return if cause == C::System(K::PermissionDenied) {
            Status::CONFIG
        } else {
            Status::IO
        };
    }
    match (cause, role) {
        (C::Exists, _) | (C::NotRegular, FileRole::Output | FileRole::Delivery) => {
            Status::CANT_CREATE
        }
        (C::NotRegular, FileRole::Input | FileRole::Dropped | FileRole::Keys) => Status::NO_INPUT,
        (C::Exposed | C::NotRegular, _) | (C::TooLarge, FileRole::Node) => Status::CONFIG,
        (C::TooLarge, _) => Status::DATA,
        (C::Full | C::Differs, _) | (C::System(_), FileRole::Spool) => Status::IO,
        // A directory given as a file is a wrong input, not a failing disk.
        (C::System(cause), FileRole::Input | FileRole::Dropped | FileRole::Keys) => match operation
        {
            Some(Operation::Read) if cause != K::IsADirectory => Status::IO,
            _ => Status::NO_INPUT,
        },
        (C::System(_), FileRole::Output | FileRole::Delivery) => match operation {
            Some(Operation::Write | Operation::Sync) => Status::IO,
            _ => Status::CANT_CREATE,
        },
        (C::System(_), FileRole::Node) => match operation {
            Some(Operation::Write | Operation::Sync | Operation::Read) => Status::IO,
            _ => Status::CONFIG,
        },
    }
}
