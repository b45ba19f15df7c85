//! Names of files on a medium, and the files that have them.
//!
//! ```text
//! relaynet/cargo/<recipient gateway>/<sender>.<sha256>.cargo
//! relaynet/cca/<gateway asked>/<sender>.<sha256>.cca
//! ```
//!
//! A name is only a claim: [`MediumFile::read`] checks the digest in it, and `MediumFile::verified`
//! the sender and recipient.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use super::Error;
use crate::asn1::{Hex, hex};
use crate::crypto::hash;
use crate::disk;
use crate::disk::dir::Dir;
use crate::disk::entry::OpenEntry;
use crate::message::{Item, Object};
use crate::pki::NodeId;
use crate::ramf::{Kind, limits};
use crate::verify::{self, Policy, Verdict};

/// The directories of a medium.
pub(super) const FOLDERS: [&str; 5] = ["cargo", "cca", "got", "taken", "tmp"];

/// A file on a medium, as its name describes it; nothing is verified yet.
#[derive(Debug, Clone)]
pub struct MediumFile {
    /// The gateway that it is for.
    pub recipient: NodeId,
    /// The gateway that sent it.
    pub sender: NodeId,
    /// The SHA-256 of the message.
    pub sha256: [u8; 32],
    /// Its path.
    pub path: PathBuf,
    /// The length of the file, in octets.
    pub len: u64,
    pub(super) kind: Kind,
    pub(super) top: Dir,
}

impl fmt::Display for MediumFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind.word(), self.name());
        write!(formatter, "{kind}/{}/{name}", self.recipient)
    }
}

impl MediumFile {
    /// The kind of message.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads the message and checks its digest; `None` if the file is gone.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the digest differs; [`Error::Unreadable`] when the file cannot be
    /// read.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let read = self.dir().and_then(|dir| match dir {
            Some(dir) => dir.read(self.name(), limits::MAX_MESSAGE_LEN).map(Some),
            None => Ok(None),
        });
        let octets = match read {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(None),
            Err(error) if error.is_not_found() => return Ok(None),
            // It was replaced by something else since it was listed.
            Err(disk::Error::NotRegular { .. }) => return Err(Error::Damaged),
            Err(error) => return Err(Error::Unreadable(error)),
        };
        if hash::sha256(&octets) == self.sha256 {
            Ok(Some(octets))
        } else {
            Err(Error::Damaged)
        }
    }

    /// Opens the file; `None` if it is gone.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it cannot be opened.
    pub fn open(&self) -> Result<Option<File>, Error> {
        let dir = self.dir().map_err(Error::Unreadable)?;
        let opened = dir.map(|dir| dir.open_file(self.name())).transpose();
        match opened {
            Ok(file) => Ok(file.map(OpenEntry::into_file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(Error::Unreadable(error)),
        }
    }

    pub(super) fn name(&self) -> String {
        file_name(self.sender, &self.sha256, self.kind)
    }

    /// The directory that it is in; `None` if that is gone.
    pub(super) fn dir(&self) -> disk::Result<Option<Dir>> {
        below(&self.top, &[self.kind.word(), &self.recipient.to_string()])
    }

    /// Verifies the message, and that it is what its name says.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::OtherSender`] when it is not; when it is malformed, badly
    /// signed or not valid now.
    pub(super) fn verified(&self, octets: Vec<u8>, policy: &Policy) -> Result<Verdict, Error> {
        let item = Item::parse(octets)?;
        if item.kind() != self.kind {
            return Err(Error::Damaged);
        }
        let verdict = verify::object(Object::Message(Box::new(item)), policy)?;
        if (verdict.sender, verdict.recipient) == (Some(self.sender), Some(self.recipient)) {
            Ok(verdict)
        } else {
            Err(Error::OtherSender)
        }
    }
}

/// Whether a name has the form of [`MediumFile`] and [`dir_name`], so that it is one within a
/// medium.
pub(crate) fn is_within(name: &str) -> bool {
    let mut segments = name.split('/');
    let (folder, node) = (segments.next(), segments.next());
    folder.is_some_and(|folder| FOLDERS.contains(&folder))
        && node.is_some_and(|node| node.parse::<NodeId>().is_ok())
}

/// The name of a gateway's directory, for diagnostics.
pub(super) fn dir_name(kind: Kind, recipient: NodeId) -> String {
    format!("{}/{recipient}", kind.word())
}

pub(super) fn file_name(sender: NodeId, sha256: &[u8; 32], kind: Kind) -> String {
    format!("{sender}.{}.{}", Hex(sha256), kind.word())
}

/// The sender and digest in a file name for this kind; `None` for any other form of name.
pub(super) fn parse_file_name(name: &str, kind: Kind) -> Option<(NodeId, [u8; 32])> {
    let mut parts = name.split('.');
    let sender = parts.next()?.parse().ok()?;
    let sha256 = hex::octets(parts.next()?.as_bytes())?;
    // Only the canonical spelling counts, so that no message has two names: ids and digests have no
    // other.
    (parts.next() == Some(kind.word()) && parts.next().is_none()).then_some((sender, sha256))
}

/// Opens a directory below another one; `None` if it or a directory above it does not exist.
pub(super) fn below(dir: &Dir, parts: &[&str]) -> disk::Result<Option<Dir>> {
    let mut dir = dir.clone();
    for part in parts {
        match dir.dir(part)? {
            Some(next) => dir = next,
            None => return Ok(None),
        }
    }
    Ok(Some(dir))
}
