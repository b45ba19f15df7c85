//! Opening files that exist, as their role allows.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::placeholder;
use super::{Error, FileRole, Operation, Result};

/// Opens an operand. FIFOs and devices may be operands, directories may not.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Open`].
pub fn open_input(path: &Path) -> Result<File> {
    open(path, FileRole::Input).map(|(file, _)| file)
}

/// Opens a file that is read piece by piece.
///
/// # Errors
///
/// [`Error::NotRegular`] when the role asks for a regular file, [`Error::Io`] while
/// [`Operation::Open`].
pub fn open_to_read(path: &Path, role: FileRole) -> Result<File> {
    open(path, role).map(|(file, _)| file)
}

/// Opens a file as its role allows, and returns it with its size in octets: 0 unless it is a
/// regular file.
pub(super) fn open(path: &Path, role: FileRole) -> Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true);
    if !role.named_by_user() {
        options.custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK)); // a FIFO would block before it is refused
    }
    let file = options
        .open(path)
        .map_err(|error| refused(path, role, error))?;
    let metadata = file
        .metadata()
        .map_err(Error::io(path, role, Operation::Examine))?;
    match (metadata.is_file(), metadata.is_dir(), role.named_by_user()) {
        (true, ..) if is_placeholder(&file, role, metadata.len()) => Err(Error::Placeholder {
            path: path.to_owned(),
            role,
        }),
        (true, ..) => Ok((file, metadata.len())),
        // open(2) for reading succeeds on a directory; the first read(2) would fail.
        (_, true, true) => Err(Error::io(path, role, Operation::Open)(Errno::ISDIR.into())),
        (_, false, true) => Ok((file, 0)),
        (.., false) => Err(Error::NotRegular {
            path: path.to_owned(),
            role,
        }),
    }
}

/// Whether a file to be read was not written yet. Files of a node are never placeholders.
pub(super) fn is_placeholder(file: &File, role: FileRole, len: u64) -> bool {
    role != FileRole::Node && placeholder::is_in(file, len)
}

/// The error for a failed open(2): with `O_NOFOLLOW` it gives `ELOOP` for a link, and `ENXIO` for a
/// socket. A file whose device has gone may give `ENXIO`, too, and is still a file.
pub(super) fn refused(path: &Path, role: FileRole, error: io::Error) -> Error {
    let is_other = || {
        let found = path.symlink_metadata();
        found.is_ok_and(|found| !found.is_file())
    };
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) if !role.named_by_user() && is_other() => {
            Error::NotRegular {
                path: path.to_owned(),
                role,
            }
        }
        _ => Error::io(path, role, Operation::Open)(error),
    }
}

/// The flags as [`OpenOptionsExt::custom_flags`](std::os::unix::fs::OpenOptionsExt::custom_flags)
/// takes them.
pub(super) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A message on a device that had gone counted as none, and the key that it needs was removed.
    #[test]
    fn a_regular_file_that_is_not_opened_is_still_a_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("f"), dir.path().join("l"));
        std::fs::write(&file, b"x").unwrap();
        symlink("f", &link).unwrap();
        for errno in [Errno::NXIO, Errno::LOOP, Errno::ISDIR] {
            let error = refused(&file, FileRole::Spool, errno.into());
            assert!(error.is_of_reading(), "{error}");
            for other in [&link, dir.path()] {
                let error = refused(other, FileRole::Spool, errno.into());
                assert!(matches!(error, Error::NotRegular { .. }), "{error}");
            }
        }
    }
}
