//! The layout of a medium: making, opening, writing and removing.
//!
//! ```text
//! relaynet/VERSION  relaynet/ID
//! relaynet/cargo/<recipient gateway>/<sender>.<sha256>.cargo
//! relaynet/cca/<gateway asked>/<sender>.<sha256>.cca
//! relaynet/got/<gateway>/<sha256>
//! relaynet/taken/<gateway>/<sha256>
//! relaynet/tmp/
//! ```
//!
//! Names are in lower case, and files are only renamed and never linked, so that FAT is enough.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Error;
use super::names::{FOLDERS, MediumFile, below, file_name};
use crate::asn1::{Hex, hex, text};
use crate::crypto::{hash, random};
use crate::disk::dir::{Dir, PendingEntry};
use crate::disk::{self, FileRole, Operation, files};
use crate::pki::{self, NodeId};
use crate::ramf::Kind;
use crate::spool::room::DEFAULT_RESERVE;
use crate::spool::{Spool, WIRE};

pub(crate) use super::names::is_within;

/// The directory for everything of ours.
pub(crate) const TOP: &str = "relaynet";

/// The content of VERSION.
const VERSION: &str = "relay-medium 1";

/// The largest VERSION or ID that is read, in octets.
const MAX_TEXT_LEN: usize = 64;

/// The beginning of VERSION on a medium of any version.
const ANY_VERSION: &str = "relay-medium ";

/// An opened medium.
#[derive(Debug)]
pub struct Medium {
    /// The directory that the user named.
    pub(super) dir: Dir,
    /// The directory of ours in it. Others may change anything below it at any time.
    pub(super) top: Dir,
    id: String,
    /// The space that is kept free beside it, in octets.
    reserve: u64,
}

impl Medium {
    /// Makes a medium of an existing directory. An existing medium is unchanged, except that one
    /// with a damaged VERSION or ID gets a new id.
    ///
    /// # Errors
    /// [`Error::NotADirectory`]; [`Error::NotAPlace`] within a medium or a node; when the medium
    /// cannot be made.
    pub fn init(dir: &Path) -> Result<Self, Error> {
        match Self::open(dir) {
            Err(Error::NotAMedium(_) | Error::Broken(_)) => {}
            opened => return opened,
        }
        if !dir.is_dir() {
            return Err(Error::NotADirectory(dir.to_owned()));
        }
        check_place(dir)?;
        Self::make(dir)
    }

    /// Makes a medium of a directory, wherever that is.
    fn make(dir: &Path) -> Result<Self, Error> {
        let outer = Dir::open(dir, FileRole::Spool)?;
        // A killed run may have made the directory but not synced its name.
        let make = |above: &Dir, name: &str| match above.make_dir(name).map_err(in_the_way)? {
            (made, true) => Ok(made),
            (found, false) => above.sync().map(|()| found).map_err(Error::from),
        };
        let top = make(&outer, TOP)?;
        for folder in FOLDERS {
            make(&top, folder)?;
        }
        // Checked first, so that nothing is written if one of them is not a regular file.
        for name in ["ID", "VERSION"] {
            if top.has(name)? && top.len_of(name)?.is_none() {
                return Err(Error::InTheWay(top.path().join(name)));
            }
        }
        let id =
            random::array::<16>().map_err(|error| Error::Node(pki::Error::Crypto(error).into()))?;
        // VERSION comes last: a directory with it is a complete medium.
        for (name, text) in [
            ("ID", Hex(&id).to_string()),
            ("VERSION", VERSION.to_owned()),
        ] {
            top.publish(name, &[text.as_bytes(), b"\n"], &top)
                .map_err(in_the_way)?;
        }
        Self::open(dir)
    }

    /// The medium within a spool, which holds what goes over the network and what came from there. It is made if it is
    /// missing. Of the disk it leaves the reserve of the node free.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn of_spool(spool: &Spool) -> Result<Self, Error> {
        let dir = spool.root().join(WIRE);
        let medium = match Self::open(&dir) {
            Err(Error::NotAMedium(_) | Error::Broken(_)) => {
                files::create_dir_all_private(&dir, FileRole::Spool)?;
                files::sync_dir(spool.root(), FileRole::Spool)?;
                Self::make(&dir)?
            }
            opened => opened?,
        };
        let reserve = spool.owner().config().reserve();
        Ok(Self {
            reserve: reserve.unwrap_or(DEFAULT_RESERVE),
            ..medium
        })
    }

    /// Opens the medium in a directory.
    ///
    /// # Errors
    /// [`Error::NotAMedium`] if there is none; [`Error::Broken`] if its VERSION or ID is damaged;
    /// [`Error::Version`] if it is of another version.
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
            Ok(octets) => Ok(String::from_utf8_lossy(text::without_mark(&octets))
                .trim()
                .to_owned()),
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
                reserve: 0,
            })
        } else {
            Err(broken())
        }
    }

    /// The medium's id: 32 hexadecimal digits in lower case.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory that the user named.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The free space that may be used, in octets.
    ///
    /// # Errors
    /// When the file system cannot be queried.
    pub fn free_space(&self) -> Result<u64, Error> {
        Ok(self.top.free_space()?.saturating_sub(self.reserve))
    }

    /// A directory below the top, if it exists. Links are not followed, here or above it.
    pub(super) fn has_dir(&self, parts: &[&str]) -> Result<Option<Dir>, Error> {
        match below(&self.top, parts) {
            Err(disk::Error::NotRegular { .. }) => Ok(None),
            found => Ok(found?),
        }
    }

    /// Finds a message by its name.
    ///
    /// # Errors
    /// When the directory or file cannot be examined.
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

    /// Finds the file of the same name on this medium.
    pub(super) fn find_same(&self, other: &MediumFile) -> Result<Option<MediumFile>, Error> {
        let ends = (other.recipient, other.sender);
        self.find(other.kind, ends, other.sha256)
    }

    /// Whether this medium has the same file: by name and length, or with `is_certain` by its
    /// octets.
    ///
    /// # Errors
    /// When the file cannot be examined.
    pub fn holds(&self, other: &MediumFile, is_certain: bool) -> Result<bool, Error> {
        Ok(match self.find_same(other)? {
            Some(own) if own.len == other.len => !is_certain || matches!(own.read(), Ok(Some(_))),
            _ => false,
        })
    }

    /// Writes a message without its name and reads it back; [`PendingEntry::place`] gives it the
    /// name.
    ///
    /// # Errors
    /// When it cannot be written, or reads back differently; [`Error::Unreadable`] when its
    /// directory cannot be used.
    pub fn prepare(
        &self,
        kind: Kind,
        (recipient, sender): (NodeId, NodeId),
        octets: &[u8],
    ) -> Result<(PendingEntry, [u8; 32]), Error> {
        let sha256 = hash::sha256(octets);
        let (dir, tmp) = self.make_dirs(kind.word(), recipient)?;
        // An existing file of this name has the same octets, or is damaged, so it may be replaced.
        let name = file_name(sender, &sha256, kind);
        let pending = dir.prepare(&name, &[octets], &tmp).map_err(denied)?;
        Ok((pending, sha256))
    }

    /// Makes the directory of a gateway, its parent, and the one for temporary files. The
    /// directories above are not made: if they are missing, the medium is gone.
    pub(super) fn make_dirs(&self, folder: &str, gateway: NodeId) -> Result<(Dir, Dir), Error> {
        let made = |above: &Dir, name: &str| above.make_dir(name).map_err(denied);
        let (above, _) = made(&self.top, folder)?;
        let (dir, _) = made(&above, &gateway.to_string())?;
        let (tmp, _) = made(&self.top, "tmp")?;
        Ok((dir, tmp))
    }

    /// The directory for temporary files, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_tmp(&self) -> Result<PathBuf, Error> {
        let (tmp, _) = self.top.make_dir("tmp").map_err(denied)?;
        Ok(tmp.path().to_owned())
    }

    /// Removes a message.
    ///
    /// # Errors
    /// When it cannot be removed; [`Error::InTheWay`] when a directory above it is not a directory
    /// any more.
    pub fn remove(&self, file: &MediumFile) -> Result<(), Error> {
        if let Some(dir) = file.dir().map_err(in_the_way)? {
            dir.remove(file.name())?;
        }
        Ok(())
    }
}

/// Refuses a directory in a node or medium, since nothing but ours belongs there. Both have a
/// VERSION that begins with `relay-`.
fn check_place(dir: &Path) -> Result<(), Error> {
    let place = files::canonical(dir, FileRole::Spool)?;
    for above in place.ancestors() {
        let version = files::read(&above.join("VERSION"), FileRole::Spool, MAX_TEXT_LEN);
        if version.is_ok_and(|version| text::without_mark(&version).starts_with(b"relay-")) {
            return Err(Error::NotAPlace(dir.to_owned()));
        }
    }
    Ok(())
}

/// Something else in the place of our file or directory is not a failure of the disk.
fn in_the_way(error: disk::Error) -> Error {
    match error {
        disk::Error::NotRegular { path, .. } => Error::InTheWay(path),
        error => error.into(),
    }
}

/// The same. Also, that one directory may not be used does not stop the use of others.
pub(super) fn denied(error: disk::Error) -> Error {
    if error.is_denied() || error.doing() == Some(Operation::Examine) {
        Error::Unreadable(error)
    } else {
        in_the_way(error)
    }
}

/// An error of one directory does not end the run.
pub(super) fn unreadable(error: Error) -> Error {
    match error {
        Error::Disk(error) => Error::Unreadable(error),
        error => error,
    }
}
