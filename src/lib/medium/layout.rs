//! A medium: how one is made, opened, written to and freed.
//!
//! ```text
//! relaynet/VERSION  relaynet/ID
//! relaynet/cargo/<recipient gateway>/<sender>.<sha256>.cargo
//! relaynet/cca/<gateway asked>/<sender>.<sha256>.cca
//! relaynet/got/<gateway>/<sha256>
//! relaynet/tmp/
//! ```
//!
//! Names are in lower case and files are only ever renamed, so that FAT will do.

use std::io::ErrorKind;
use std::path::Path;

use super::Error;
use super::names::{FOLDERS, MediumFile, below, file_name};
use crate::asn1::{Hex, hex};
use crate::crypto::{hash, random};
use crate::disk::dir::{Dir, PendingEntry};
use crate::disk::{self, FileRole, Operation, files};
use crate::pki::{self, NodeId};
use crate::ramf::Kind;

pub(crate) use super::names::is_within;

/// The directory of all that is ours.
pub(crate) const TOP: &str = "relaynet";

/// What VERSION says.
const VERSION: &str = "relay-medium 1";

/// The longest VERSION or ID that is read, in octets.
const MAX_TEXT_LEN: usize = 64;

/// What every VERSION of a medium begins with.
const ANY_VERSION: &str = "relay-medium ";

/// A medium that is there.
#[derive(Debug)]
pub struct Medium {
    /// The directory that it is in.
    pub(super) dir: Dir,
    /// The one of all that is ours; what is below it may be changed by somebody else at any time.
    pub(super) top: Dir,
    id: String,
}

impl Medium {
    /// Makes a medium of a directory that exists; one that is a medium stays the one that it is, unless its id was
    /// damaged: then it gets a new one.
    ///
    /// # Errors
    /// [`Error::NotADirectory`]; [`Error::NotAPlace`] within a medium or a node; or when it cannot be made.
    pub fn init(dir: &Path) -> Result<Self, Error> {
        match Self::open(dir) {
            Err(Error::NotAMedium(_) | Error::Broken(_)) => {}
            opened => return opened,
        }
        if !dir.is_dir() {
            return Err(Error::NotADirectory(dir.to_owned()));
        }
        let outer = Dir::open(dir, FileRole::Spool)?;
        check_place(dir)?;
        // A run that was killed may have made a directory and no more.
        let make = |above: &Dir, name: &str| match above.make_dir(name).map_err(in_the_way)? {
            (made, true) => Ok(made),
            (found, false) => above.sync().map(|()| found).map_err(Error::from),
        };
        let top = make(&outer, TOP)?;
        for folder in FOLDERS {
            make(&top, folder)?;
        }
        for name in ["ID", "VERSION"] {
            if top.has(name)? && top.len_of(name)?.is_none() {
                return Err(Error::InTheWay(top.path().join(name)));
            }
        }
        let id =
            random::array::<16>().map_err(|error| Error::Node(pki::Error::Crypto(error).into()))?;
        // It is a medium from the moment at which it has a version, and then it has all else.
        for (name, text) in [
            ("ID", Hex(&id).to_string()),
            ("VERSION", VERSION.to_owned()),
        ] {
            top.publish(name, &[text.as_bytes(), b"\n"], &top)
                .map_err(in_the_way)?;
        }
        Self::open(dir)
    }

    /// The medium in a directory.
    ///
    /// # Errors
    /// [`Error::NotAMedium`] where there is none; [`Error::Broken`] for what is left of one; [`Error::Version`] for one
    /// that we do not know.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let none = || Error::NotAMedium(dir.to_owned());
        let found = Dir::open(dir, FileRole::Spool).and_then(|outer| {
            let top = outer.dir(TOP)?;
            Ok(top.map(|top| (outer, top)))
        });
        let (outer, top) = match found {
            Ok(Some(found)) => found,
            Ok(None) | Err(disk::Error::NotRegular { .. }) => return Err(none()),
            Err(error) => match error.io_kind() {
                Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(none()),
                _ => return Err(error.into()),
            },
        };
        if !top.has("VERSION")? && !top.has("ID")? {
            return Err(none());
        }
        let broken = || Error::Broken(dir.to_owned());
        let text = |name: &str| match top.read(name, MAX_TEXT_LEN) {
            Ok(octets) => Ok(String::from_utf8_lossy(&octets).trim().to_owned()),
            Err(disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }) => Err(broken()),
            Err(error) if error.is_not_found() => Err(broken()),
            Err(error) => Err(error.into()),
        };
        let version = text("VERSION")?;
        if version != VERSION {
            return Err(if version.starts_with(ANY_VERSION) {
                Error::Version(dir.to_owned())
            } else {
                broken()
            });
        }
        let id = text("ID")?;
        let is_id = id.len() == 32 && hex::parse(&id).is_some() && id == id.to_ascii_lowercase();
        if is_id {
            Ok(Self {
                dir: outer,
                top,
                id,
            })
        } else {
            Err(broken())
        }
    }

    /// The medium's id: 32 lower-case digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory that it is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How many octets may be written to it.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn free_space(&self) -> Result<u64, Error> {
        Ok(self.top.free_space()?)
    }

    /// A directory below the top if it is there, itself and not behind a link, as each above it.
    pub(super) fn has_dir(&self, parts: &[&str]) -> Result<Option<Dir>, Error> {
        match below(&self.top, parts) {
            Err(disk::Error::NotRegular { .. }) => Ok(None),
            found => Ok(found?),
        }
    }

    /// A message that lies here, if it does.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn find(
        &self,
        kind: Kind,
        (recipient, sender): (NodeId, NodeId),
        sha256: [u8; 32],
    ) -> Result<Option<MediumFile>, Error> {
        let name = recipient.to_string();
        let found = self.has_dir(&[kind.word(), &name]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(None);
        };
        let name = file_name(sender, &sha256, kind);
        let len = dir.len_of(&name).map_err(Error::Unreadable)?;
        Ok(len.map(|len| MediumFile {
            recipient,
            sender,
            sha256,
            path: dir.path().join(name),
            len,
            kind,
            top: self.top.clone(),
        }))
    }

    /// Whether what lies on another medium lies here as well, whole as far as its length tells, or its octets if
    /// `is_certain`.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn holds(&self, other: &MediumFile, is_certain: bool) -> Result<bool, Error> {
        let ends = (other.recipient, other.sender);
        Ok(match self.find(other.kind, ends, other.sha256)? {
            Some(own) if own.len == other.len => !is_certain || matches!(own.read(), Ok(Some(_))),
            _ => false,
        })
    }

    /// Writes a message, and reads it back; [`PendingEntry::place`] puts it where it belongs.
    ///
    /// # Errors
    /// When it cannot be written, or reads back as something else; [`Error::Unreadable`] when its directory may not be
    /// used.
    pub fn prepare(
        &self,
        kind: Kind,
        (recipient, sender): (NodeId, NodeId),
        octets: &[u8],
    ) -> Result<(PendingEntry, [u8; 32]), Error> {
        let sha256 = hash::sha256(octets);
        let (dir, tmp) = self.make_dirs(kind.word(), recipient)?;
        // What has the name holds the same octets, or what somebody made of them.
        let name = file_name(sender, &sha256, kind);
        let pending = dir.prepare(&name, &[octets], &tmp).map_err(denied)?;
        Ok((pending, sha256))
    }

    /// Makes the directory of a gateway, the one that it is in, and the one where files are written. Not those above:
    /// where they are missing, the medium is gone.
    pub(super) fn make_dirs(&self, folder: &str, gateway: NodeId) -> Result<(Dir, Dir), Error> {
        let made = |above: &Dir, name: &str| above.make_dir(name).map_err(denied);
        let (above, _) = made(&self.top, folder)?;
        let (dir, _) = made(&above, &gateway.to_string())?;
        let (tmp, _) = made(&self.top, "tmp")?;
        Ok((dir, tmp))
    }

    /// Removes a message that is where it was going.
    ///
    /// # Errors
    /// When it cannot be removed; [`Error::InTheWay`] when a directory above it is no directory any more.
    pub fn remove(&self, file: &MediumFile) -> Result<(), Error> {
        if let Some(dir) = file.dir().map_err(in_the_way)? {
            dir.remove(file.name())?;
        }
        Ok(())
    }
}

/// Refuses a directory that is something else's, or in one that is: what begins with a version of ours is a node or the
/// inside of a medium, and nobody else makes directories there.
fn check_place(dir: &Path) -> Result<(), Error> {
    let place = files::canonical(dir, FileRole::Spool)?;
    for above in place.ancestors() {
        let version = files::read(&above.join("VERSION"), FileRole::Spool, MAX_TEXT_LEN);
        if version.is_ok_and(|version| version.starts_with(b"relay-")) {
            return Err(Error::NotAPlace(dir.to_owned()));
        }
    }
    Ok(())
}

/// What stands where something of the medium should be is no error of the disk.
fn in_the_way(error: disk::Error) -> Error {
    match error {
        disk::Error::NotRegular { path, .. } => Error::InTheWay(path),
        error => error.into(),
    }
}

/// The same; and one directory may be used though another may not.
pub(super) fn denied(error: disk::Error) -> Error {
    if error.is_denied() || error.doing() == Some(Operation::Examine) {
        Error::Unreadable(error)
    } else {
        in_the_way(error)
    }
}

/// What concerns one directory is no reason to end.
pub(super) fn unreadable(error: Error) -> Error {
    match error {
        Error::Disk(error) => Error::Unreadable(error),
        error => error,
    }
}
