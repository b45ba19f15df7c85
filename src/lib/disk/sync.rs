//! Waiting until octets and names are on the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::fault;
use super::open::{flags, open_to_read};
use super::{FileRole, Operation, Result};

/// Waits until the octets of a file are on the disk, which the run that wrote them may not have done.
///
/// # Errors
///
/// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`] or [`Operation::Sync`].
pub fn sync(path: &Path, role: FileRole) -> Result<()> {
    let file = open_to_read(path, role)?;
    fault::change(Operation::Sync, &[path], path, role, || file.sync_all())
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Sync`].
pub fn sync_dir(dir: &Path, role: FileRole) -> Result<()> {
    synced(dir, role, || {
        // What has the name may be a FIFO by now, which would keep this waiting.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(flags(OFlags::DIRECTORY | OFlags::NONBLOCK));
        options.open(dir)?.sync_all()
    })
}

/// Announces that a directory is synced, and does so.
pub(super) fn synced(
    dir: &Path,
    role: FileRole,
    sync: impl FnOnce() -> io::Result<()>,
) -> Result<()> {
    match fault::change(Operation::SyncDir, &[dir], dir, role, sync) {
        // Some file systems (FUSE, SMB) cannot, and a user may write into a directory that they cannot read, also
        // one of another user in a spool: the file is in its place by now, and to call that a failure would be worse.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        Err(error) if matches!(role, FileRole::Output | FileRole::Spool) && error.is_denied() => {
            Ok(())
        }
        synced => synced,
    }
}

/// Lets the disk begin with octets that were written.
pub(super) fn start_writeback(file: &File, start: u64, len: usize) {
    #[cfg(target_os = "linux")]
    {
        use std::num::NonZero;

        use rustix::fs::{Advice, fadvise};
        let len = u64::try_from(len).ok().and_then(NonZero::new);
        // Linux writes what is asked to be forgotten, and keeps it until that is done. It is only advice.
        let _ = fadvise(file, start, len, Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, start, len);
}
