//! The standard streams, and other descriptors that this process inherited.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::fault;
use super::{Error, FileRole, Operation, Result};

/// How a standard stream was open when this process inherited it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// It can be used.
    Open,
    /// It was closed, or is `/dev/null` opened for reading and writing. The runtime of Rust opens
    /// that in place of a closed stream before `main`, and afterwards the two look the same.
    Closed,
    /// It is open in the other direction only. The standard library hides the EBADF that such a
    /// stream gives.
    OtherWay,
}

impl Standard {
    /// The state of standard input.
    #[must_use]
    pub fn input(stream: impl AsFd) -> Self {
        Self::of(stream, OFlags::WRONLY)
    }

    /// The state of standard output.
    #[must_use]
    pub fn output(stream: impl AsFd) -> Self {
        Self::of(stream, OFlags::RDONLY)
    }

    fn of(stream: impl AsFd, other_way: OFlags) -> Self {
        let Ok(flags) = rustix::fs::fcntl_getfl(&stream) else {
            return Self::Closed;
        };
        let mode = flags & OFlags::RWMODE;
        if mode == other_way {
            Self::OtherWay
        } else if mode == OFlags::RDWR && is_null(&stream) {
            Self::Closed
        } else {
            Self::Open
        }
    }
}

/// Whether a descriptor is `/dev/null`, by its device number.
fn is_null(stream: impl AsFd) -> bool {
    let null = fs::metadata("/dev/null");
    rustix::fs::fstat(stream).is_ok_and(|found| {
        rustix::fs::FileType::from_raw_mode(found.st_mode).is_char_device()
            && null.is_ok_and(|null| null.rdev() == found.st_rdev)
    })
}

/// Opens an inherited descriptor to write lines to. If the system can duplicate it, file and offset
/// are shared, so that other writers continue after these lines; otherwise lines are appended to
/// the file.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::Open`], when it is not open for writing.
pub fn open_descriptor(descriptor: u32) -> Result<File> {
    let path = PathBuf::from(format!("/dev/fd/{descriptor}"));
    let failed = || Error::io(&path, FileRole::Output, Operation::Open);
    #[cfg(target_os = "linux")]
    match duplicate(descriptor) {
        // Linux before 5.6, or a sandbox that forbids `pidfd_getfd(2)`.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
        duplicated => return duplicated.map_err(|error| failed()(error.into())),
    }
    let opened = OpenOptions::new().append(true).open(&path);
    opened.map_err(failed())
}

/// Duplicates a descriptor of this process, given by number. dup(2) in safe Rust takes a borrowed
/// descriptor, which cannot be made of a number; `pidfd_getfd`(2) takes the number.
#[cfg(target_os = "linux")]
fn duplicate(descriptor: u32) -> std::result::Result<File, Errno> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let descriptor = i32::try_from(descriptor).map_err(|_| Errno::BADF)?;
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let copy = pidfd_getfd(this, descriptor, PidfdGetfdFlags::empty())?;
    // Reported now: the first write would fail only after work is done.
    if rustix::fs::fcntl_getfl(&copy)? & OFlags::RWMODE == OFlags::RDONLY {
        return Err(Errno::BADF);
    }
    Ok(File::from(copy))
}

/// Writes `parts` to the standard output, which the caller has locked, and flushes it.
///
/// # Errors
///
/// [`Error::Io`] of [`FileRole::Output`] and path `-`; see [`Error::is_broken_pipe`].
pub fn emit(stdout: &mut impl Write, parts: &[&[u8]]) -> Result<()> {
    let path = Path::new("-");
    fault::write(Operation::Emit, path, stdout, parts)
        .and_then(|()| stdout.flush())
        .map_err(Error::io(path, FileRole::Output, Operation::Emit))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_told_apart() {
        let mut out = Vec::new();
        emit(&mut out, &[b"a", b"b"]).unwrap();
        assert_eq!(out, b"ab");
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let error = emit(&mut writer, &[b"x"]).unwrap_err();
        assert!(error.is_broken_pipe());
        assert_eq!(error.path(), Path::new("-"));
    }
}
