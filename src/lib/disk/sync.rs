//! Syncs files and directories.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::fault;
use super::open::{flags, open_to_read};
use super::{FileRole, Operation, Result};

/// Waits until the octets of a file are on the disk: the run that wrote them may have been killed
/// before it did.
///
/// # Errors
///
/// [`Error::NotRegular`](super::Error::NotRegular), or [`Error::Io`](super::Error::Io) while
/// [`Operation::Open`] or [`Operation::Sync`].
pub fn sync(path: &Path, role: FileRole) -> Result<()> {
    let file = open_to_read(path, role)?;
    fault::change(Operation::Sync, &[path], path, role, || file.sync_all())
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
///
/// [`Error::Io`](super::Error::Io) while [`Operation::Sync`].
pub fn sync_dir(dir: &Path, role: FileRole) -> Result<()> {
    synced(dir, role, || {
        // The name may be that of a FIFO by now, whose opening would block.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(flags(OFlags::DIRECTORY | OFlags::NONBLOCK));
        options.open(dir)?.sync_all()
    })
}

/// Syncs a directory as a step of [`fault`], and ignores failures that do not matter.
pub(super) fn synced(
    dir: &Path,
    role: FileRole,
    sync: impl FnOnce() -> io::Result<()>,
) -> Result<()> {
    match fault::change(Operation::SyncDir, &[dir], dir, role, sync) {
        // FUSE and SMB may return EINVAL, and a user may write into a directory that they cannot
        // read, such as another user's in a spool. The file has its name by now; a reported failure
        // would make the user send it twice.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        Err(error) if matches!(role, FileRole::Output | FileRole::Spool) && error.is_denied() => {
            Ok(())
        }
        synced => synced,
    }
}

/// Starts writeback of written octets without waiting for it.
pub(super) fn start_writeback(file: &File, start: u64, len: usize) {
    #[cfg(target_os = "linux")]
    {
        use std::num::NonZero;

        use rustix::fs::{Advice, fadvise};
        let len = u64::try_from(len).ok().and_then(NonZero::new);
        // Linux starts to write the dirty pages that it is asked to drop, and keeps them until then
        // (fadvise64(2)). This is advice, so a failure changes nothing.
        let _ = fadvise(file, start, len, Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, start, len);
}
