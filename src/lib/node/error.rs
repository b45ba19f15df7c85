//! The errors of a node: one type for each cause, and [`Error`] around them.

use std::path::PathBuf;

use jiff::Timestamp;

use super::authorization_error::AuthorizationError;
use crate::asn1::Hex;
use crate::disk::FileRole;
use crate::kind::ErrorKind;
use crate::pki::NodeId;
use crate::session::KeyId;
use crate::{asn1, disk, message, pki, ramf, session};

/// Why a node cannot do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A peer is not known, or its name is not possible.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// No authorization or registration allows it.
    #[error(transparent)]
    Authorization(#[from] AuthorizationError),
    /// There is no session key for it.
    #[error(transparent)]
    SessionKey(#[from] SessionKeyError),
    /// It was received before, or may have been.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// It cannot be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An encrypted private key is not opened.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// A message of cargo that is dated after the end of the cargo: it will not be valid before that is over.
    #[error("dated {0}, after the end of its cargo")]
    AfterCargo(Timestamp),
    /// The files of a peer that a message depends on cannot be read.
    #[error("peer {peer}: {cause}")]
    UnreadablePeer {
        /// Its name here, or the beginning of its id.
        peer: String,
        /// What cannot be read, and why not.
        cause: Box<Error>,
    },
    /// An explicit file is missing for what was asked.
    #[error("{0} is needed for this")]
    Needs(&'static str),
    /// A file could not be read or written.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A key or certificate is not acceptable.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// A session key is not acceptable.
    #[error(transparent)]
    Session(#[from] session::Error),
    /// A message is not acceptable.
    #[error(transparent)]
    Ramf(#[from] ramf::Error),
    /// A structure is not acceptable.
    #[error(transparent)]
    Message(#[from] message::Error),
    /// PEM or DER is malformed.
    #[error(transparent)]
    Asn1(#[from] asn1::Error),
}

/// Why an encrypted private key is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// No passphrase is given.
    #[error("encrypted, and no passphrase is given")]
    Missing,
    /// The file of the passphrase cannot be read.
    #[error("passphrase in {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: disk::Error,
    },
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    Empty,
    /// The passphrase is that of another key. A damaged file looks the same.
    #[error("the passphrase does not open it, or it is damaged")]
    Wrong,
    /// It is encrypted in a way that is not supported, or that costs too much.
    #[error(transparent)]
    Refused(crate::crypto::Error),
}

/// Why a node directory, its config or a file in it cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// This directory is not a node.
    #[error("{} is not a node directory", .0.display())]
    NotANode(PathBuf),
    /// The directory is a node of a layout that we do not know.
    #[error("{} is a node directory of another version: {version}", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// What its VERSION says, or is wrong with it.
        version: String,
    },
    /// The directory is a backup of a node.
    #[error("{} is a backup", .0.display())]
    Backup(PathBuf),
    /// There is a node already where one was to be made.
    #[error("{} is a node directory already", .0.display())]
    Exists(PathBuf),
    /// The directory of a new node cannot be made.
    #[error("{}: {cause}", path.display())]
    CannotMake {
        /// The directory.
        path: PathBuf,
        /// Why not.
        cause: disk::Error,
    },
    /// A setting is unknown or has a value that it cannot have.
    #[error("{setting}: {problem}")]
    Setting {
        /// The key of the setting.
        setting: String,
        /// What is wrong.
        problem: String,
    },
    /// The node's config is wrong; where and how.
    #[error("{}: line {line}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The system has no group of the name in the node's config.
    #[error("no such group: {0}")]
    UnknownGroup(String),
    /// The content of a file of the node is wrong.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An encrypted private key of the node is not opened.
    #[error("{}: {cause}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: PassphraseError,
    },
    /// The node, or a file of it, is another user's.
    #[error("{} belongs to {}, and this is {}", path.display(), owner(user.as_deref()), us.as_deref().map_or("root".to_owned(), |us| format!("user {us}")))]
    Anothers {
        /// The directory or file.
        path: PathBuf,
        /// The user's name, or number; `None` for one whom this user namespace does not know.
        user: Option<String>,
        /// The user who runs this; `None` for root.
        us: Option<String>,
    },
    /// Others than the node's user can change it.
    #[error("{} can be changed by other users (mode {mode:04o})", path.display())]
    Writable {
        /// The directory or file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// `--now` was given to a program that changes the node.
    #[error("--now is refused: this program would store that time in the node")]
    TestClock,
    /// Another node takes this one's place already.
    #[error("{} has the successor {by}", path.display())]
    Succeeded {
        /// The directory.
        path: PathBuf,
        /// The node that takes its place.
        by: NodeId,
    },
    /// Something that only gateways do was asked of an endpoint.
    #[error("{} is an endpoint, not a gateway", .0.display())]
    NotAGateway(PathBuf),
}

fn owner(user: Option<&str>) -> String {
    user.map_or_else(
        || "a user who is not known in this user namespace".to_owned(),
        |user| format!("user {user}"),
    )
}

/// Why a peer is not found, or cannot be named so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// No peer has this name or id.
    #[error("no peer is known as {0}")]
    Unknown(String),
    /// No peer has this name, and one has a name that is nearly the same.
    #[error("no peer is known as {text}: did you mean {meant}?")]
    Mistyped {
        /// The name that was given.
        text: String,
        /// The name that is near.
        meant: String,
    },
    /// More than one node has an id that begins like this.
    #[error("{text} begins several ids: {}", ids.join(", "))]
    Ambiguous {
        /// The beginning.
        text: String,
        /// The ids.
        ids: Vec<String>,
    },
    /// The beginning of an id, too short to stand for it: somebody could make another one like it.
    #[error("{0}: so few digits of an id may be those of another one, too")]
    ShortId(String),
    /// A name is not one that a peer can have.
    #[error(
        "{0} cannot be a peer's name: a name is of 1 to 63 of a-z 0-9 . _ -, begins with a letter or digit, and is neither an id nor the word \"any\""
    )]
    BadName(String),
    /// No alias has this name.
    #[error("no alias is called {name}{}", did_you_mean(meant.as_deref()))]
    UnknownAlias {
        /// The name that was given.
        name: String,
        /// The name that is near, if there is one.
        meant: Option<String>,
    },
    /// An alias comes to more peers than are written to at once.
    #[error("the alias {0} comes to over 10000 peers")]
    ManyMembers(String),
    /// Another peer has this name.
    #[error("the name {name} is taken by {holder}")]
    NameTaken {
        /// The name.
        name: String,
        /// The peer that has it.
        holder: NodeId,
    },
    /// The peer has another name.
    #[error("this peer is known as {0} already")]
    NamedAlready(String),
}

/// Why a session key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionKeyError {
    /// No session key of the peer is known.
    #[error("no session key of {0} is known")]
    Missing(String),
    /// The peer's first session key is too old to be sealed to, and no message brought another one.
    #[error("the first session key of {peer} expired at {at}")]
    Expired {
        /// The peer.
        peer: String,
        /// Until when.
        at: Timestamp,
    },
    /// The same for the gateway that registered this node.
    #[error("the first session key of {peer} expired at {at}")]
    RegistrationExpired {
        /// The gateway.
        peer: String,
        /// Until when.
        at: Timestamp,
    },
    /// None of our session keys for the sender has this id. One error for keys that never existed, that
    /// were deleted, and that are for another peer: a sender learns nothing by it.
    #[error("sealed to session key {0}, which is not known here")]
    Unknown(KeyId),
    /// A new session key could not be stored where the user wants it.
    #[error("{}: {cause}", path.display())]
    NotSaved {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: disk::Error,
    },
}

/// Why a message is not taken again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The message was received before.
    #[error("already received")]
    Seen,
    /// The message may have been received before: only the floor of the replay memory covers it.
    #[error("already received, or its record was purged or lost with a backup: nobody can tell")]
    Unjudged,
    /// Another sender sent the same ciphertext first, sealed to a key that anybody may use.
    #[error("{first} sent this before {sender}: nobody can tell who wrote it")]
    SentByAnother {
        /// Who was first.
        first: NodeId,
        /// The sender of this message.
        sender: NodeId,
    },
    /// Another run hands out messages of the same sender, so this may be one of them.
    #[error("another run is handing out messages from {0}")]
    Claimed(String),
    /// The CCA was answered before.
    #[error("this CCA was answered already")]
    CcaUsed,
}

/// Why an object is not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// An imported object is for another node.
    #[error("made for {0}, not for this node")]
    ForAnotherNode(NodeId),
    /// A peer that is not what the object needs it to be.
    #[error("{0}")]
    Unsuitable(&'static str),
    /// The object would change what is pinned.
    #[error("{0}")]
    Pinned(&'static str),
    /// Neither the SHA-256 of the whole file nor that of the object in it is the expected one.
    #[error("the file's SHA-256 is {}, not the one expected", expectation(*.file, *.object))]
    Expectation {
        /// That of the file.
        file: [u8; 32],
        /// That of the object, unless it cannot be read.
        object: Option<[u8; 32]>,
    },
    /// A peer named no successor.
    #[error("{0} named no successor")]
    NoSuccessor(String),
    /// No successor that a peer named has the digits that were given.
    #[error("no successor that {0} named has these digits")]
    SuccessorDigits(String),
    /// As many as are kept claim to succeed a peer, and none of them has the digits that were given.
    #[error("several nodes claim to succeed {0}, and none that is kept has these digits")]
    OtherSuccessors(String),
    /// Another node took the place of a peer before.
    #[error("another successor of that node was confirmed before")]
    SucceededByAnother,
    /// The object cannot be imported.
    #[error("cannot import {}", message::phrase(.0))]
    NotImportable(&'static str),
}

impl Error {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Directory(error) => error.kind(),
            Self::Peer(error) => error.kind(),
            Self::Authorization(error) => error.kind(),
            Self::SessionKey(error) => error.kind(),
            Self::Replay(error) => error.kind(),
            Self::Import(error) => error.kind(),
            Self::Passphrase(error) => error.kind(),
            Self::AfterCargo(_) => ErrorKind::Outlived,
            Self::UnreadablePeer { cause, .. } => cause.kind(),
            Self::Needs(_) => ErrorKind::Usage,
            Self::Disk(error) => error.kind(),
            Self::Pki(error) => error.kind(),
            Self::Session(error) => error.kind(),
            Self::Ramf(error) => error.kind(),
            Self::Message(error) => error.kind(),
            Self::Asn1(error) => error.kind(),
        }
    }

    /// Whether this user may not read or change a file.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_denied())
    }
}

impl DirectoryError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotANode(_)
            | Self::Backup(_)
            | Self::Version { .. }
            | Self::Config { .. }
            | Self::Damaged { .. }
            | Self::UnknownGroup(_)
            | Self::Anothers { .. }
            | Self::Writable { .. }
            | Self::TestClock => ErrorKind::Config,
            Self::Setting { .. } | Self::NotAGateway(_) => ErrorKind::Usage,
            Self::Exists(_) | Self::Succeeded { .. } => ErrorKind::Exists,
            Self::CannotMake { cause, .. } => cause.kind(),
            Self::Locked { cause, .. } => cause.kind(),
        }
    }
}

impl PassphraseError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing | Self::Empty | Self::Wrong | Self::Refused(_) => ErrorKind::Config,
            // As for the key that it opens: the file is none of the inputs.
            Self::File { cause, .. } => match cause.kind() {
                ErrorKind::Disk {
                    operation, cause, ..
                } => ErrorKind::Disk {
                    role: FileRole::Node,
                    operation,
                    cause,
                },
                kind => kind,
            },
        }
    }
}

impl Error {
    /// Whether private keys are encrypted and not opened, so that nothing can be done that needs one.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Directory(DirectoryError::Locked { .. }))
    }
}

/// A question after an unknown alias, if another one has nearly the same name.
fn did_you_mean(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!(": did you mean @{meant}?"))
}

impl PeerError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unknown(_) | Self::Mistyped { .. } | Self::UnknownAlias { .. } => {
                ErrorKind::UnknownPeer
            }
            Self::BadName(_) | Self::Ambiguous { .. } | Self::ShortId(_) | Self::ManyMembers(_) => {
                ErrorKind::Usage
            }
            Self::NameTaken { .. } | Self::NamedAlready(_) => ErrorKind::Exists,
        }
    }
}

impl SessionKeyError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing(_) => ErrorKind::UnknownPeer,
            Self::Unknown(_) => ErrorKind::UnknownKey,
            Self::Expired { .. } | Self::RegistrationExpired { .. } => ErrorKind::Expired,
            Self::NotSaved { cause, .. } => cause.kind(),
        }
    }
}

impl ReplayError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Seen | Self::CcaUsed => ErrorKind::Seen,
            Self::Unjudged | Self::SentByAnother { .. } => ErrorKind::Unjudged,
            Self::Claimed(_) => ErrorKind::Busy,
        }
    }
}

impl ImportError {
    /// The reason, as callers of all floors tell reasons apart.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ForAnotherNode(_) => ErrorKind::OtherRecipient,
            Self::Pinned(_) | Self::SucceededByAnother => ErrorKind::Pinned,
            Self::NoSuccessor(_) => ErrorKind::UnknownPeer,
            Self::SuccessorDigits(_) | Self::OtherSuccessors(_) => ErrorKind::Corrupt,
            Self::Unsuitable(_) | Self::Expectation { .. } | Self::NotImportable(_) => {
                ErrorKind::Unsuitable
            }
        }
    }
}

/// The digests that were found in place of the expected one.
fn expectation(file: [u8; 32], object: Option<[u8; 32]>) -> String {
    match object.filter(|object| *object != file) {
        Some(object) => format!("{}, that of the object in it {}", Hex(&file), Hex(&object)),
        None => Hex(&file).to_string(),
    }
}
