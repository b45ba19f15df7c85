//! Exit statuses: those of sysexits(3), and three of our own. This is the only place that knows
//! which error has which.

use std::process::ExitCode;

use super::errors::{
    Again, Changed, Empty, Fatal, ForTerminal, NoFile, Postponed, Unchecked, Usage,
};
use crate::disk::{self, FileRole, Operation};
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
    let causes = error
        .chain()
        .filter_map(<dyn std::error::Error>::downcast_ref);
    causes
        .into_iter()
        .any(|error| matches!(error, node::Error::Unjudged))
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Status> {
    if let Some(Reported(status)) = cause.downcast_ref() {
        return Some(*status);
    }
    if let Some(Fatal::Aside(error) | Fatal::Output(error)) = cause.downcast_ref() {
        return Some(of_disk(error));
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
    if let Some(error) = cause.downcast_ref() {
        return Some(of_disk(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_node(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_spool(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_command(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_route(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_medium(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_deliver(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_join(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_message(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_ramf(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_session(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_cms(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_pki(error));
    }
    if cause.is::<asn1::Error>() {
        return Some(Status::DATA);
    }
    cause.downcast_ref().map(|error| match error {
        StreamError::Read(_) => Status::IO,
        StreamError::Message(error) => of_message(error),
    })
}

fn of_disk(error: &disk::Error) -> Status {
    use std::io::ErrorKind;
    if error.is_broken_pipe() {
        return Status::BROKEN_PIPE;
    }
    let is_full = matches!(
        error.io_kind(),
        Some(
            ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::OutOfMemory
        )
    ) || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    if error.doing() == Some(Operation::Share) {
        return if error.is_denied() {
            Status::CONFIG
        } else {
            Status::IO
        };
    }
    match (error, error.role()) {
        (disk::Error::Exists { .. }, _)
        | (disk::Error::NotRegular { .. }, FileRole::Output | FileRole::Delivery) => {
            Status::CANT_CREATE
        }
        (disk::Error::NotRegular { .. }, FileRole::Input | FileRole::Keys) => Status::NO_INPUT,
        (disk::Error::Exposed { .. } | disk::Error::NotRegular { .. }, _)
        | (disk::Error::TooLarge { .. }, FileRole::Node) => Status::CONFIG,
        (disk::Error::TooLarge { .. }, _) => Status::DATA,
        _ if is_full || matches!(error, disk::Error::Differs { .. }) => Status::IO,
        (_, FileRole::Input | FileRole::Keys) => match error.doing() {
            Some(Operation::Read) if error.io_kind() != Some(ErrorKind::IsADirectory) => Status::IO,
            _ => Status::NO_INPUT,
        },
        (_, FileRole::Output | FileRole::Delivery) => match error.doing() {
            Some(Operation::Write | Operation::Sync) => Status::IO,
            _ => Status::CANT_CREATE,
        },
        (_, FileRole::Node) => match error.doing() {
            Some(Operation::Write | Operation::Sync | Operation::Read) => Status::IO,
            _ => Status::CONFIG,
        },
        (_, FileRole::Spool) => Status::IO,
    }
}

fn of_node(error: &node::Error) -> Status {
    use node::Error as E;
    match error {
        E::NotANode(_)
        | E::Version { .. }
        | E::Config { .. }
        | E::Damaged { .. }
        | E::UnknownGroup(_)
        | E::TestClock => Status::CONFIG,
        E::Setting { .. } | E::PeerName(_) | E::Needs(_) | E::NotAGateway(_) => Status::USAGE,
        E::UnknownPeer(_)
        | E::AmbiguousPeer(_)
        | E::NoSessionKey(_)
        | E::UnknownSessionKey(_)
        | E::ForAnotherNode(_)
        | E::OtherCollector(_) => Status::NO_USER,
        E::NodeExists(_) | E::NameTaken { .. } | E::NamedAlready(_) | E::Pinned(_) => {
            Status::CANT_CREATE
        }
        E::NotAuthorized(_)
        | E::NotRegistered(_)
        | E::NotCarrier(_)
        | E::ForeignAuthorization
        | E::ForeignCarrier
        | E::UnknownCarrier(_)
        | E::EndpointCarrier(_)
        | E::ForeignRotation
        | E::ForeignPromise => Status::NO_PERMISSION,
        E::AuthorizationExpired { .. }
        | E::SessionKeyExpired { .. }
        | E::RegistrationExpired { .. }
        | E::RegistrationKeyExpired { .. }
        | E::CcaEnds { .. }
        | E::PromiseExpired(_) => Status::EXPIRED,
        E::AuthorizationEarly { .. } | E::RegistrationEarly { .. } => Status::EARLY,
        E::Seen | E::Unjudged | E::CcaUsed => Status::SEEN,
        E::Import(_)
        | E::Expectation { .. }
        | E::NotImportable(_)
        | E::AfterCargo(_)
        | E::Asn1(_) => Status::DATA,
        E::Disk(error)
        | E::SaveSessionKey { cause: error, .. }
        | E::CannotMake { cause: error, .. } => of_disk(error),
        E::Pki(error) => of_pki(error),
        E::Session(error) => of_session(error),
        E::Ramf(error) => of_ramf(error),
        E::Message(error) => of_message(error),
    }
}

fn of_spool(error: &spool::Error) -> Status {
    use spool::Error as E;
    match error {
        E::Locked
        | E::Quota { .. }
        | E::Reserve { .. }
        | E::ClockBehind { .. }
        | E::ClockAhead { .. } => Status::TEMP_FAIL,
        E::Control(_) => Status::NO_PERMISSION,
        E::HandedOn | E::Outdated => Status::SEEN,
        E::UnknownMessage(_) => Status::NO_USER,
        E::NoQueue(_) => Status::USAGE,
        E::Node(error) => of_node(error),
        E::Disk(error) => of_disk(error),
    }
}

fn of_command(error: &command::Error) -> Status {
    use std::io::ErrorKind as K;
    match error {
        command::Error::NotRun { cause, .. } => match cause.kind() {
            K::WouldBlock | K::OutOfMemory | K::ExecutableFileBusy => Status::TEMP_FAIL,
            _ => Status::UNAVAILABLE,
        },
        command::Error::Unfit { .. } => Status::DATA,
        command::Error::Refused { .. } => Status::UNAVAILABLE,
        command::Error::Postponed { .. } => Status::TEMP_FAIL,
    }
}

fn of_route(error: &route::Error) -> Status {
    use route::Error as E;
    match error {
        E::Table { .. } => Status::CONFIG,
        E::NoRoute(_) | E::Back(_) => Status::NO_USER,
        E::NotShown => Status::NO_PERMISSION,
        E::Kind(_) | E::NoControl(_) => Status::DATA,
        E::NoDirectory(_) => Status::CANT_CREATE,
        E::Command(error) => of_command(error),
        E::Message(error) => of_message(error),
        E::Node(error) => of_node(error),
        E::Spool(error) => of_spool(error),
        E::Disk(error) => of_disk(error),
    }
}

fn of_medium(error: &medium::Error) -> Status {
    use medium::Error as E;
    match error {
        E::NotAMedium(_) | E::Broken(_) | E::Version(_) | E::NotADirectory(_) => Status::NO_INPUT,
        E::SameMedium(_) | E::NotAPlace(_) => Status::USAGE,
        E::InTheWay(_) => Status::CANT_CREATE,
        E::Damaged | E::OtherSender => Status::DATA,
        E::Loop => Status::UNAVAILABLE,
        E::Replaces => Status::SEEN,
        E::Message(error) => of_message(error),
        E::Node(error) => of_node(error),
        E::Spool(error) => of_spool(error),
        E::Unreadable(error) | E::Disk(error) => of_disk(error),
    }
}

fn of_deliver(error: &deliver::Error) -> Status {
    use deliver::Error as E;
    match error {
        E::NotAMaildir(_) => Status::CANT_CREATE,
        E::TooManyParts(_) => Status::TEMP_FAIL,
        E::Import(error) | E::Node(error) | E::Late { cause: error, .. } => of_node(error),
        E::Part(error) | E::Type(error) => of_message(error),
        E::Parts { cause, .. } => of_deliver(cause),
        E::Join(error) => of_join(error),
        E::Command(error) => of_command(error),
        E::Spool(error) => of_spool(error),
        E::Disk(error) => of_disk(error),
    }
}

fn of_join(error: &join::Error) -> Status {
    match error {
        join::Error::Part(error) => of_message(error),
        join::Error::Disk(error) => of_disk(error),
        join::Error::Missing(_) => Status::TEMP_FAIL,
        join::Error::Digest => Status::DATA,
    }
}

fn of_message(error: &message::Error) -> Status {
    match error {
        message::Error::Ramf(error) => of_ramf(error),
        message::Error::Pki(error) => of_pki(error),
        message::Error::Session(error) => of_session(error),
        message::Error::MediaType | message::Error::LongMediaType { .. } => Status::USAGE,
        message::Error::Malformed { .. }
        | message::Error::Unknown
        | message::Error::Framing
        | message::Error::Truncated
        | message::Error::Pem
        | message::Error::NotAMessage(_)
        | message::Error::NotReadYet(_)
        | message::Error::NotInCargo(_)
        | message::Error::NotVerifiable(_)
        | message::Error::Lacks { .. }
        | message::Error::NotAPart
        | message::Error::PartVersion(_)
        | message::Error::PartConflict { .. }
        | message::Error::Signature(_) => Status::DATA,
    }
}

fn of_ramf(error: &ramf::Error) -> Status {
    match error {
        ramf::Error::Cms(error) => of_cms(error),
        ramf::Error::Pki(error) => of_pki(error),
        ramf::Error::Expired(_) => Status::EXPIRED,
        ramf::Error::Early(_) => Status::EARLY,
        ramf::Error::Recipient(_) => Status::NO_USER,
        ramf::Error::Unauthorized { .. } => Status::NO_PERMISSION,
        ramf::Error::NotRamf
        | ramf::Error::FormerFormat
        | ramf::Error::Version(_)
        | ramf::Error::Kind { .. }
        | ramf::Error::TooLong { .. }
        | ramf::Error::Field { .. }
        | ramf::Error::Ttl(_)
        | ramf::Error::Address => Status::DATA,
    }
}

fn of_session(error: &session::Error) -> Status {
    match error {
        session::Error::Crypto(_) => Status::SOFTWARE,
        session::Error::Cms(error) => of_cms(error),
        session::Error::Key(_)
        | session::Error::PrivateKey(_)
        | session::Error::KeyId
        | session::Error::Payload(_)
        | session::Error::Undecryptable => Status::DATA,
    }
}

fn of_cms(error: &cms::Error) -> Status {
    match error {
        cms::Error::Pki(error) => of_pki(error),
        cms::Error::Crypto(_) => Status::SOFTWARE,
        cms::Error::Malformed { .. }
        | cms::Error::Count { .. }
        | cms::Error::NoSignerCertificate
        | cms::Error::NoContent
        | cms::Error::NotASession
        | cms::Error::Unsupported(_)
        | cms::Error::Decrypt => Status::DATA,
    }
}

fn of_pki(error: &pki::Error) -> Status {
    match error {
        pki::Error::NoPath => Status::NO_PERMISSION,
        pki::Error::Expired { .. } => Status::EXPIRED,
        pki::Error::Early { .. } => Status::EARLY,
        pki::Error::Crypto(_) => Status::SOFTWARE,
        pki::Error::NodeId
        | pki::Error::Key(_)
        | pki::Error::PrivateKey(_)
        | pki::Error::Certificate(_)
        | pki::Error::SignatureAlgorithm
        | pki::Error::Signature
        | pki::Error::Issuer(_) => Status::DATA,
    }
}
