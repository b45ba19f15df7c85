//! The existing file under a name that is to be published, and whether it has the same octets.

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
use super::placeholder;
use super::sync::sync_dir;
use super::{Error, FileRole, Operation, Result};

/// Maximum chain of symbolic links followed to an output; Linux's own limit.
const MAX_LINKS: usize = 40;

/// How many octets are compared at once.
pub(super) const BLOCK: u64 = 65_536;

/// The state of a name that is to be published.
#[derive(Clone, Copy, Debug)]
pub(super) enum PublishTarget {
    /// It is free, or for [`FileRole::Output`] and [`IfExists::Replace`] a dangling link.
    Free,
    /// A regular file, with these permission bits.
    Taken(u32),
    /// A device or FIFO, which is written to and keeps its name.
    Through,
}

/// The state of a name, compared with a file that may get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It is free.
    Nothing,
    /// A file with the same octets; it has been synced.
    Same,
    /// Anything else.
    Other,
}

/// Examines the name that is to be published; fails if `existing` forbids using it.
pub(super) fn survey(path: &Path, role: FileRole, existing: IfExists) -> Result<PublishTarget> {
    let exists = || Error::Exists {
        path: path.to_owned(),
        role,
    };
    // A user who names a link as output means its target; elsewhere a link is not followed.
    let found = if role == FileRole::Output {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    match found {
        Ok(found)
            if found.is_file()
                && existing != IfExists::Replace
                && placeholder::is_at(path, found.len())
                && placeholder::is_abandoned(path) =>
        {
            Ok(PublishTarget::Free)
        }
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
        // The error that opening it for writing would give.
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

/// Whether nothing has the name.
pub(super) fn is_free(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Calls `give`, which gives a file the name `path`, and once more if that says that the name is
/// taken while nothing has it: what had it may have been removed in between.
pub(super) fn once_more<T>(path: &Path, mut give: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match give() {
        Err(error) if is_taken(&error, path) || error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error)
        }
        Err(_) => give(),
        given => given,
    }
}

/// Whether a name could not be given because something has it. A file system may say so of a name
/// that it does not take, and then nothing with these octets is there.
pub(super) fn is_taken(error: &io::Error, path: &Path) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists && !is_free(path)
}

/// The path that `path` leads to through symbolic links in its last component.
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

/// A regular file that exists under a name, opened to be compared.
#[derive(Debug)]
pub struct ExistingFile {
    file: File,
    path: PathBuf,
    role: FileRole,
}

impl ExistingFile {
    /// Opens the file; `None` if it is not a regular file, or cannot be read.
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

    /// Keeps it instead of a new file with the same octets: syncs it and its directory, because the
    /// run that wrote it may have been killed before it did.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn keep(self) -> Result<()> {
        keep(&self.path, self.role, &self.file, true).map(drop)
    }
}

/// Opens an existing regular file; `None` if there is none, it is not written yet, or it cannot be
/// read.
pub(super) fn open_existing(path: &Path, role: FileRole) -> Option<File> {
    // Opening a FIFO would wait for a writer.
    let mut wanted = OFlags::NONBLOCK;
    if role != FileRole::Output {
        wanted |= OFlags::NOFOLLOW;
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(wanted))
        .open(path)
        .ok()?;
    let found = file.metadata().ok()?;
    let is_whole = found.is_file() && !placeholder::is_in(&file, found.len());
    is_whole.then_some(file)
}

/// Keeps the existing file `found` if it has the octets of `content`; otherwise fails with
/// [`Error::Exists`].
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

/// Keeps the existing file `found`, which has the octets of the new one.
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
        // read(2) may return less than asked for; whole blocks keep the two files aligned.
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
