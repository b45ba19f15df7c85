//! File metadata: existence, owner, identity and mode, and the free space of a file system.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::StatVfs;

use crate::pipeline::mutex::lock;

use super::fault;
use super::{Error, FileRole, Operation, Result};

/// Whether a name is taken, even by a dangling link.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn exists(path: &Path, role: FileRole) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                // Nothing exists below a regular file either.
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(Error::io(path, role, Operation::Examine)(error)),
    }
}

/// The absolute path without symbolic links.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn canonical(path: &Path, role: FileRole) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(Error::io(path, role, Operation::Examine))
}

/// The free space for an unprivileged user on the file system of a directory, in octets.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn free_space(dir: &Path, role: FileRole) -> Result<u64> {
    let found = rustix::fs::statvfs(dir).map_err(io::Error::from);
    let found = found.map_err(Error::io(dir, role, Operation::Examine))?;
    Ok(free_of(&found))
}

/// The free space that a file system tells of. One without any blocks does not count them: many
/// that programs or the network provide, and a tmpfs without a limit. It is as good as without
/// bounds, since a write that fails after all is reported then.
pub(super) fn free_of(found: &StatVfs) -> u64 {
    let block = match found.f_frsize {
        0 => found.f_bsize,
        size => size,
    };
    if found.f_blocks == 0 || block == 0 {
        return u64::MAX;
    }
    found.f_bavail.saturating_mul(block)
}

/// The user id of the owner of a file, directory or link itself; `None` if it does not exist.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn owner(path: &Path, role: FileRole) -> Result<Option<u32>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.uid())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path, role, Operation::Examine)(error)),
    }
}

/// Whether a directory is the top of another file system than the directory above it.
#[must_use]
pub fn is_mounted(dir: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    let above = dir.parent().and_then(device);
    device(dir).is_some_and(|device| above.is_some_and(|above| above != device))
}

/// The user who runs this, as a user id.
#[must_use]
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether the system can tell who has this user id. In a user namespace, as of a container, all
/// users that it does not know have one id, which stands for nobody there.
#[must_use]
pub fn is_mapped(user: u32) -> bool {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let unknown = text("/proc/sys/kernel/overflowuid");
    unknown.trim().parse() != Ok(user) || maps_all(&text("/proc/self/uid_map"))
}

/// Whether all users are known, by a `/proc/self/uid_map`; one that cannot be read is that of a
/// system without user namespaces.
fn maps_all(map: &str) -> bool {
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2));
    let count: u64 = counts.filter_map(|count| count.parse::<u64>().ok()).sum();
    map.is_empty() || count >= u64::from(u32::MAX)
}

/// Whether a user id is not the effective one of this process.
#[must_use]
pub fn is_another(user: u32) -> bool {
    user != rustix::process::geteuid().as_raw()
}

/// Whether a file exists and its owner is not the user who runs this.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Examine`].
pub fn is_of_another(path: &Path, role: FileRole) -> Result<bool> {
    Ok(owner(path, role)?.is_some_and(is_another))
}

/// Whether this is a directory in which the user who runs this may create files.
#[must_use]
pub fn is_writable_dir(path: &Path) -> bool {
    let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
        // access(2) considers ACLs and read-only mounts, which the mode does not show.
        && rustix::fs::access(path, wanted).is_ok()
}

/// The identity of a file: it does not change when the file is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The identity of an open regular file; `None` for anything else.
    #[must_use]
    pub fn of(file: &File) -> Option<Self> {
        file.metadata()
            .ok()
            .and_then(|metadata| Self::from(&metadata))
    }

    /// The identity of the regular file at a path, behind symbolic links; `None` for anything else.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path)
            .ok()
            .and_then(|metadata| Self::from(&metadata))
    }

    /// The identity of a regular file that this process inherited open; `None` for anything else.
    #[must_use]
    pub fn inherited(stream: impl AsFd) -> Option<Self> {
        let stream = stream.as_fd().try_clone_to_owned().ok()?;
        Self::of(&File::from(stream))
    }

    pub(super) fn from(metadata: &fs::Metadata) -> Option<Self> {
        metadata.is_file().then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// Files that a run reads, and must not replace.
#[derive(Debug, Default)]
pub struct FileSet(Mutex<BTreeSet<FileId>>);

impl FileSet {
    /// A set without a file.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }

    /// Adds a file.
    pub fn add(&self, file: FileId) {
        lock(&self.0).insert(file);
    }

    /// Whether a file is in it.
    #[must_use]
    pub fn contains(&self, file: FileId) -> bool {
        lock(&self.0).contains(&file)
    }
}

/// Which file it is, how long, and when its content was changed last. If two of them are equal, nobody wrote to the
/// file in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    id: FileId,
    modified: (i64, i64),
    len: u64,
}

impl FileState {
    /// The state of an open regular file; `None` for anything else.
    #[must_use]
    pub fn of(file: &File) -> Option<Self> {
        file.metadata().ok().and_then(|found| Self::from(&found))
    }

    /// The state of the regular file that has this name; `None` for anything else, links included.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        Self::from(&found)
    }

    fn from(found: &fs::Metadata) -> Option<Self> {
        Some(Self {
            id: FileId::from(found)?,
            modified: (found.mtime(), found.mtime_nsec()),
            len: found.len(),
        })
    }

    /// The length of the file in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A text that is another one once the content was changed, wherever the file was moved to meanwhile.
    #[must_use]
    pub fn version(&self) -> String {
        let (seconds, nanoseconds) = self.modified;
        format!("{}.{seconds}.{nanoseconds}", self.len)
    }
}

/// Which file has a name, and when it was changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    id: FileId,
    changed: (i64, i64),
    len: u64,
}

/// Which file has this name; `None` if it is no regular file, or that cannot be learned.
#[must_use]
pub fn version(path: &Path) -> Option<FileVersion> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some(FileVersion {
        id: FileId::from(&metadata)?,
        // A name that is replaced twice may be that of the same inode again.
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        // The clock of a file system may stand still between two changes.
        len: metadata.len(),
    })
}

/// Sets the exact mode of an open file, from which the umask may have removed bits.
pub(super) fn set_mode(file: &File, path: &Path, mode: u32) -> io::Result<()> {
    if file.metadata()?.permissions().mode() & 0o7777 == mode {
        return Ok(());
    }
    fault::step(Operation::SetMode, &[path])?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_namespace_does_not_know_all_users() {
        assert!(maps_all("         0          0 4294967295\n"));
        assert!(!maps_all("         0       1000          1\n"));
        assert!(!maps_all("  0  1000  1\n  1  100000  65536\n"));
        assert!(maps_all(""));
        assert!(is_mapped(user()) || user() == 65534);
    }

    #[test]
    fn a_file_system_that_counts_no_blocks_is_not_full() {
        let dir = tempfile::tempdir().unwrap();
        let real = rustix::fs::statvfs(dir.path()).unwrap();
        let free = |blocks, free, fragment, block| {
            free_of(&StatVfs {
                f_blocks: blocks,
                f_bavail: free,
                f_frsize: fragment,
                f_bsize: block,
                ..real
            })
        };
        assert_eq!(free(10, 3, 1024, 4096), 3 * 1024);
        assert_eq!(free(10, 0, 1024, 4096), 0);
        assert_eq!(free(10, 3, 0, 4096), 3 * 4096);
        assert_eq!(free(0, 0, 1024, 4096), u64::MAX);
        assert_eq!(free(10, 3, 0, 0), u64::MAX);
        assert_eq!(free(u64::MAX, u64::MAX, 4096, 4096), u64::MAX);
    }
}
