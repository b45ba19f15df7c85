//! Files under a temporary name, or without any, until they get their own.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::Operation;
use super::fault;
use super::names::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX};
use super::open::flags;
use super::rename::place;

/// A file under a temporary name, removed on drop, or one without any.
#[derive(Debug)]
pub(super) struct Temporary {
    /// The name; of one without, what traces call it.
    pub(super) path: PathBuf,
    placed: bool,
    pub(super) is_unnamed: bool,
}

/// Where the system shows the open files of this process, for them to be named.
const OPEN_FILES: &str = "/proc/self/fd";

impl Temporary {
    /// A file without a name; `None` where the file system has no such, or it could not be named later.
    pub(super) fn unnamed(dir: &Path, mode: u32) -> io::Result<Option<(File, Self)>> {
        static CAN_BE_NAMED: OnceLock<bool> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if cfg!(not(target_os = "linux"))
            || !CAN_BE_NAMED.get_or_init(|| Path::new(OPEN_FILES).is_dir())
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
                    path,
                    placed: false,
                    is_unnamed: true,
                };
                Ok(Some((file, temporary)))
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Gives a file without a name one that is free.
    pub(super) fn name(&mut self, file: &File, target: &Path) -> io::Result<()> {
        fault::step(Operation::Link, &[&self.path, target])?;
        let open = Path::new(OPEN_FILES).join(file.as_raw_fd().to_string());
        let cwd = rustix::fs::CWD;
        rustix::fs::linkat(cwd, &open, cwd, target, AtFlags::SYMLINK_FOLLOW)?;
        self.placed = true;
        Ok(())
    }

    pub(super) fn create(dir: &Path, mode: u32) -> io::Result<(File, Self)> {
        let named = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .suffix(TEMPORARY_SUFFIX)
            .make_in(dir, |path| {
                fault::step(Operation::Create, &[path])?;
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(mode)
                    .open(path)
            })?;
        // Removal on drop is ours, because it is a step like any other.
        let (file, path) = named.keep().map_err(|failed| failed.error)?;
        Ok((
            file,
            Self {
                path,
                placed: false,
                is_unnamed: false,
            },
        ))
    }

    pub(super) fn rename(&mut self, target: &Path, replace: bool) -> io::Result<()> {
        place(&self.path, target, replace)?;
        self.placed = true;
        Ok(())
    }

    pub(super) fn link(&mut self, target: &Path) -> io::Result<()> {
        match fault::step(Operation::Link, &[&self.path, target])
            .and_then(|()| fs::hard_link(&self.path, target))
        {
            // FAT and some network file systems have no hard links.
            Err(error) if is_unsupported(&error) => self.rename(target, false),
            linked => linked,
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // Nobody can be told, and what stays is swept; one without a name goes by itself.
            let _ = fault::step(Operation::Remove, &[&self.path]).and_then(|()| {
                if self.is_unnamed {
                    Ok(())
                } else {
                    fs::remove_file(&self.path)
                }
            });
        }
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK)
    )
}
