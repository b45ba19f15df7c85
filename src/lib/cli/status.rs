//! Exit statuses: those of sysexits(3), and three of our own. This is the only place that knows
//! which error has which.

use std::process::ExitCode;

use super::errors::{
    Again, Changed, Empty, Fatal, ForTerminal, NoFile, Postponed, Unchecked, Usage,
};
use crate::disk::{self, FileRole, Operation};
use crate::kind::{DiskCause, ErrorKind};
use crate::message::stream::StreamError;
use crate::transfer::join;
use crate::{asn1, cms, command, deliver, medium, message, node, pki, ramf, route, session, spool};

/// An exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(u8);

impl Status {
    /// Done, all of it.
    pub const OK: Self = Self(0);
    /// Something was found.
    pub const FOUND: Self = Self(1);
    /// The command line is wrong.
    pub const USAGE: Self = Self(64);
    /// Malformed, over a limit, badly signed, or not to be decrypted.
    pub const DATA: Self = Self(65);
    /// A named input is missing, unreadable or empty.
    pub const NO_INPUT: Self = Self(66);
    /// A peer, recipient, session key or message id is not known to this node.
    pub const NO_USER: Self = Self(67);
    /// The next hop, or a command that is to take a message, refused or is not there.
    pub const UNAVAILABLE: Self = Self(69);
    /// A bug in these programs.
    pub const SOFTWARE: Self = Self(70);
    /// An output exists or cannot be created, or a key would be replaced.
    pub const CANT_CREATE: Self = Self(73);
    /// Reading or writing failed; the disk is full.
    pub const IO: Self = Self(74);
    /// Another try may succeed.
    pub const TEMP_FAIL: Self = Self(75);
    /// The sender is not authorized by the recipient.
    pub const NO_PERMISSION: Self = Self(77);
    /// The node directory is unusable, or keys can be read by others.
    pub const CONFIG: Self = Self(78);
    /// The message or a certificate has expired.
    pub const EXPIRED: Self = Self(80);
    /// Dated in the future, beyond the allowed clock drift.
    pub const EARLY: Self = Self(81);
    /// Already received.
    pub const SEEN: Self = Self(82);
    /// Nobody reads what is written any more: what the shell shows of SIGPIPE.
    pub const BROKEN_PIPE: Self = Self(141);

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self.0
    }

    /// Whether another try may succeed without anything being changed.
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

/// A failure that was reported where it happened; only its status is left to give.
#[derive(Debug, thiserror::Error)]
#[error("exit status {}", .0.0)]
pub struct Reported(pub Status);

/// The status that an error ends a program with.
#[must_use]
pub fn status(error: &anyhow::Error) -> Status {
    error.chain().find_map(of_cause).unwrap_or(Status::SOFTWARE)
}

/// Whether nobody can tell if a message was received before.
#[must_use]
pub fn is_unjudged(error: &anyhow::Error) -> bool {
    error.chain().find_map(kind_of) == Some(ErrorKind::Unjudged)
}

/// The status that a cause has by itself, if it is an error of these programs.
fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Status> {
    if let Some(Reported(status)) = cause.downcast_ref() {
        return Some(*status);
    }
    if cause.is::<Usage>() || cause.is::<ForTerminal>() || cause.is::<Unchecked>() {
        return Some(Status::USAGE);
    }
    if cause.is::<Changed>() || cause.is::<Postponed>() || cause.is::<Again>() {
        return Some(Status::TEMP_FAIL);
    }
    if cause.is::<Empty>() || cause.is::<NoFile>() {
        return Some(Status::NO_INPUT);
    }
    kind_of(cause).map(of_kind)
}

/// What went wrong, for each error of the library.
fn kind_of(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    if let Some(Fatal::Aside(error) | Fatal::Output(error)) = cause.downcast_ref() {
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
        spool::Error,
        command::Error,
        route::Error,
        medium::Error,
        deliver::Error,
        join::Error,
        message::Error,
        StreamError,
        ramf::Error,
        session::Error,
        cms::Error,
        pki::Error,
        asn1::Error,
    )
}

/// The table: what each kind of error ends a program with.
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
        K::Busy | K::Full | K::ClockDoubted | K::Incomplete => Status::TEMP_FAIL,
        K::Unauthorized | K::Untrusted | K::Forbidden => Status::NO_PERMISSION,
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

/// What the failure of a file means depends on what the file is to the program.
fn of_disk(role: FileRole, operation: Option<Operation>, cause: DiskCause) -> Status {
    use DiskCause as C;
    use std::io::ErrorKind as K;
    if cause == C::System(K::BrokenPipe) {
        return Status::BROKEN_PIPE;
    }
    if operation == Some(Operation::Share) {
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
        (C::NotRegular, FileRole::Input | FileRole::Keys) => Status::NO_INPUT,
        (C::Exposed | C::NotRegular, _) | (C::TooLarge, FileRole::Node) => Status::CONFIG,
        (C::TooLarge, _) => Status::DATA,
        (C::Full | C::Differs, _) | (C::System(_), FileRole::Spool) => Status::IO,
        (C::System(cause), FileRole::Input | FileRole::Keys) => match operation {
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
