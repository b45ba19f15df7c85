//! What already has the name that a file is to get, and whether that is the same file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::fault;
use super::names::parent;
use super::open::flags;
use super::options::{IfExists, Published};
use super::sync::sync_dir;
use super::{Error, FileRole, Operation, Result};

/// Maximum chain of symbolic links followed to an output; Linux's own limit.
const MAX_LINKS: usize = 40;

/// How many octets are compared at a time.
pub(super) const BLOCK: u64 = 65_536;

/// What has the name that a file is to get.
#[derive(Clone, Copy, Debug)]
pub(super) enum PublishTarget {
    /// Nothing, or for [`FileRole::Output`] a dangling link under [`IfExists::Replace`].
    Free,
    /// A regular file, with these permission bits.
    Taken(u32),
    /// A device or FIFO, which is written to and keeps its name.
    Through,
}

/// What has a name, compared with a file that is to get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// Nothing.
    Nothing,
    /// A file with the same octets; it has been synced.
    Same,
    /// Anything else.
    Other,
}

/// Looks at the name that a file is to get, and fails if `existing` forbids it.
pub(super) fn survey(path: &Path, role: FileRole, existing: IfExists) -> Result<PublishTarget> {
    let exists = || Error::Exists {
        path: path.to_owned(),
        role,
    };
    let found = if role == FileRole::Output {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    match found {
        Ok(found) if found.is_file() => match existing {
            IfExists::Refuse => Err(exists()),
            IfExists::Replace | IfExists::SameIsSuccess => {
                Ok(PublishTarget::Taken(found.permissions().mode() & 0o777))
            }
        },
        Ok(_) if role != FileRole::Output => Err(Error::NotRegular {
            path: path.to_owned(),
            role,
        }),
        Ok(found) if found.is_dir() => Err(Error::io(path, role, Operation::Create)(
            Errno::ISDIR.into(),
        )),
        Ok(_) => Ok(PublishTarget::Through),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // With -f the target of a dangling link is created, as the redirection of a shell does.
            if role == FileRole::Output
                && existing != IfExists::Replace
                && fs::symlink_metadata(path).is_ok()
            {
                Err(exists())
            } else {
                Ok(PublishTarget::Free)
            }
        }
        Err(error) => Err(Error::io(path, role, Operation::Create)(error)),
    }
}

/// The path to which the symbolic links at the end of `path` lead.
pub(super) fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => return Ok(path), // not a link, or the target of a dangling one
        }
    }
    Err(Errno::LOOP.into())
}

/// A regular file that has the name already, opened to be compared.
#[derive(Debug)]
pub struct ExistingFile {
    file: File,
    path: PathBuf,
    role: FileRole,
}

impl ExistingFile {
    /// Opens it; `None` if there is no regular file, or it cannot be read.
    #[must_use]
    pub fn open(path: &Path, role: FileRole) -> Option<Self> {
        Some(Self {
            file: open_existing(path, role)?,
            path: path.to_owned(),
            role,
        })
    }

    /// Its length in octets.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    #[allow(clippy::len_without_is_empty, reason = "no caller needs it")]
    pub fn len(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        let failed = Error::io(&self.path, self.role, Operation::Examine);
        metadata.map(|it| it.len()).map_err(failed)
    }

    /// Fills `octets` from `start` octets after the beginning.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn read_at(&self, start: u64, octets: &mut [u8]) -> Result<()> {
        let read = self.file.read_exact_at(octets, start);
        read.map_err(Error::io(&self.path, self.role, Operation::Read))
    }

    /// Keeps it in place of a file with the same octets: syncs it and its directory, because the
    /// run that wrote it may have been killed before it did.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn keep(self) -> Result<()> {
        keep(&self.path, self.role, &self.file, true).map(drop)
    }
}

/// Opens the regular file that has a name already; `None` if there is none, or it cannot be read.
pub(super) fn open_existing(path: &Path, role: FileRole) -> Option<File> {
    let mut wanted = OFlags::NONBLOCK;
    if role != FileRole::Output {
        wanted |= OFlags::NOFOLLOW;
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(wanted))
        .open(path)
        .ok()?;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file())
        .then_some(file)
}

/// Keeps `found`, which has the name already, if it has the octets of `content`; otherwise fails
/// with [`Error::Exists`].
pub(super) fn same(
    path: &Path,
    role: FileRole,
    found: &mut File,
    content: &mut impl Read,
    syncs_dir: bool,
) -> Result<Published> {
    if !is_same(found, content).map_err(Error::io(path, role, Operation::Read))? {
        return Err(Error::Exists {
            path: path.to_owned(),
            role,
        });
    }
    keep(path, role, found, syncs_dir)
}

/// Keeps `found`, which has the octets of the file that was to get its name.
pub(super) fn keep(
    path: &Path,
    role: FileRole,
    found: &File,
    syncs_dir: bool,
) -> Result<Published> {
    // The run that wrote it may have been killed before it synced.
    fault::change(Operation::Sync, &[path], path, role, || found.sync_all())?;
    if syncs_dir {
        sync_dir(parent(path), role)?;
    }
    Ok(Published::Same)
}

pub(super) fn is_same(a: &mut impl Read, b: &mut impl Read) -> io::Result<bool> {
    let room = usize::try_from(BLOCK).unwrap_or_default();
    let (mut of_a, mut of_b) = (Vec::with_capacity(room), Vec::with_capacity(room));
    loop {
        of_a.clear();
        of_b.clear();
        a.by_ref().take(BLOCK).read_to_end(&mut of_a)?;
        b.by_ref().take(BLOCK).read_to_end(&mut of_b)?;
        if of_a != of_b {
            return Ok(false);
        }
        if of_a.is_empty() {
            return Ok(true);
        }
    }
}
