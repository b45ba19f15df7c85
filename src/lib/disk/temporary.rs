//! Creates and writes files that have a temporary name, or none, until they get their final one.
//!
//! [`publish`](super::publish) names them by path, [`dir`](super::dir) from a directory that it
//! holds open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::names::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX, name_of, parent};
use super::open::flags;
use super::rename::place;
use super::sync::start_writeback;
use super::{Operation, fault};

/// Writes of at least this many octets start writeback immediately.
const WRITEBACK_FROM: usize = 1 << 20;

/// Where Linux lists the open files of this process, through which a file without a name is linked.
const OPEN_FILES: &str = "/proc/self/fd";

/// The temporary name of a file that is being written. It is removed on drop, unless the file has
/// got its final name.
#[derive(Debug)]
pub(super) struct Temporary {
    /// The directory, if it is held open: the name is then looked up in it, not by path.
    dir: Option<Arc<OwnedFd>>,
    /// The path; for a file without a name, only its label in traces.
    pub(super) path: PathBuf,
    is_placed: bool,
    pub(super) is_unnamed: bool,
}

impl Temporary {
    /// Creates a file in a directory.
    pub(super) fn create(dir: &Path, mode: u32) -> io::Result<(File, Self)> {
        Self::make(dir, None, |path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(path)
        })
    }

    /// Creates a file, with the permission bits that the umask leaves, in a directory that is held
    /// open; `path` is the path of the directory.
    pub(super) fn create_in(dir: &Arc<OwnedFd>, path: &Path) -> io::Result<(File, Self)> {
        let wanted = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        Self::make(path, Some(Arc::clone(dir)), |path| {
            let mode = Mode::from_raw_mode(0o666);
            let created = rustix::fs::openat(dir, name_of(path), wanted | OFlags::CLOEXEC, mode);
            Ok(File::from(created?))
        })
    }

    fn make(
        dir: &Path,
        handle: Option<Arc<OwnedFd>>,
        mut create: impl FnMut(&Path) -> io::Result<File>,
    ) -> io::Result<(File, Self)> {
        let named = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .suffix(TEMPORARY_SUFFIX)
            // tempfile tries another name as long as this fails with EEXIST.
            .make_in(dir, |path| {
                fault::step(Operation::Create, &[path])?;
                create(path)
            })?;
        // Removal on drop is ours, because it is a step like any other.
        let (file, path) = named.keep().map_err(|failed| failed.error)?;
        let temporary = Self {
            dir: handle,
            path,
            is_placed: false,
            is_unnamed: false,
        };
        Ok((file, temporary))
    }

    /// Creates a file without a name (`O_TMPFILE`); `None` if the file system does not support it,
    /// or the file could not be linked later.
    pub(super) fn unnamed(dir: &Path, mode: u32) -> io::Result<Option<(File, Self)>> {
        static CAN_BE_NAMED: OnceLock<bool> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if cfg!(not(target_os = "linux"))
            // Without /proc, as in some containers and chroots, the file could not be linked.
            || !CAN_BE_NAMED.get_or_init(|| Path::new(OPEN_FILES).is_dir())
            || fault::bare(dir, Errno::OPNOTSUPP).is_err()
        {
            return Ok(None);
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{TEMPORARY_PREFIX}{count}{TEMPORARY_SUFFIX}"));
        fault::step(Operation::Create, &[&path])?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(mode)
            .custom_flags(flags(OFlags::TMPFILE))
            .open(dir);
        match opened {
            Ok(file) => {
                let temporary = Self {
                    dir: None,
                    path,
                    is_placed: false,
                    is_unnamed: true,
                };
                Ok(Some((file, temporary)))
            }
            // A kernel that does not know O_TMPFILE sees an attempt to write to a directory
            // (open(2)).
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Gives a file without a name the name `target`; without `replace`, fails with `EEXIST` if
    /// that is taken.
    pub(super) fn name(&mut self, file: &File, target: &Path, replace: bool) -> io::Result<()> {
        if !replace {
            self.link_open(file, target)?;
            self.is_placed = true;
            return Ok(());
        }
        // linkat(2) replaces no file, so the complete file gets a temporary name first.
        let named = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .suffix(TEMPORARY_SUFFIX)
            .make_in(parent(target), |path| self.link_open(file, path))?;
        let ((), path) = named.keep().map_err(|failed| failed.error)?;
        self.path = path;
        self.is_unnamed = false;
        self.rename(target, true, false)
    }

    /// Links an open file without a name to a path, which must be free.
    fn link_open(&self, file: &File, path: &Path) -> io::Result<()> {
        fault::step(Operation::Link, &[&self.path, path])?;
        let open = Path::new(OPEN_FILES).join(file.as_raw_fd().to_string());
        let cwd = rustix::fs::CWD;
        // AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH; following the link in /proc needs no
        // privilege.
        Ok(rustix::fs::linkat(
            cwd,
            &open,
            cwd,
            path,
            AtFlags::SYMLINK_FOLLOW,
        )?)
    }

    /// Renames the file to `target`; without `replace`, fails with `EEXIST` if that is taken, which
    /// with `reserves` works on every file system.
    pub(super) fn rename(
        &mut self,
        target: &Path,
        replace: bool,
        reserves: bool,
    ) -> io::Result<()> {
        place(&self.path, target, replace, reserves)?;
        self.is_placed = true;
        Ok(())
    }

    /// Renames a file of [`create_in`](Self::create_in) into the directory `dir`, under the name in
    /// `target`; an existing file is replaced.
    pub(super) fn rename_in(&mut self, dir: &OwnedFd, target: &Path) -> io::Result<()> {
        fault::step(Operation::Rename, &[&self.path, target])?;
        let from = self.dir.as_deref().ok_or(Errno::BADF)?;
        rustix::fs::renameat(from, name_of(&self.path), dir, name_of(target))?;
        self.is_placed = true;
        Ok(())
    }

    /// Gives the file its name by a hard link, which fails with `EEXIST` if that is taken; the
    /// temporary name is removed on drop.
    pub(super) fn link(&mut self, target: &Path) -> io::Result<()> {
        match fault::step(Operation::Link, &[&self.path, target])
            .and_then(|()| Ok(fault::bare(target, Errno::PERM)?))
            .and_then(|()| fs::hard_link(&self.path, target))
        {
            // FAT and some network file systems have no hard links.
            Err(error) if is_unsupported(&error) => self.rename(target, false, false),
            linked => linked,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_placed {
            return;
        }
        // A failure cannot be reported from here; `sweep` removes the file later. The kernel frees
        // a file without a name.
        let _ = fault::step(Operation::Remove, &[&self.path]).and_then(|()| match &self.dir {
            _ if self.is_unnamed => Ok(()),
            None => fs::remove_file(&self.path),
            Some(dir) => Ok(rustix::fs::unlinkat(
                dir,
                name_of(&self.path),
                AtFlags::empty(),
            )?),
        });
    }
}

/// Appends `parts` to a file whose current path is `path`. Large writes start writeback, so that
/// the later sync has less to wait for: of 1 GiB in parts, 0.25 s instead of 1 s.
pub(super) fn write(file: &mut File, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    fault::write(Operation::Write, path, file, parts)?;
    let len = parts.iter().map(|part| part.len()).sum();
    if let (true, Ok(end)) = (len >= WRITEBACK_FROM, file.stream_position()) {
        start_writeback(file, end.saturating_sub(len as u64), len);
    }
    Ok(())
}

/// As [`write()`], at an offset of `start` octets.
pub(super) fn write_at(file: &File, path: &Path, start: u64, octets: &[u8]) -> io::Result<()> {
    let mut location = Location { file, at: start };
    fault::write(Operation::Write, path, &mut location, &[octets])?;
    if octets.len() >= WRITEBACK_FROM {
        start_writeback(file, start, octets.len());
    }
    Ok(())
}

/// A position in a file, which advances with each write; the file's own offset is not used.
struct Location<'a, F> {
    file: &'a F,
    at: u64,
}

impl<F: FileExt> Write for Location<'_, F> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write_at(octets, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether link(2) may have failed because the file system has no hard links.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK)
    )
}
