//! Publication: a file appears under its final name whole and synced, or not at all.
//!
//! It is written as `.relay-*.tmp` beside its place (or in a `tmp` directory of the same file system),
//! synced, renamed, and then the directory is synced. At the instant of the rename it is delivered.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt, MetadataExt as _, OpenOptionsExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;

use super::batch::TargetState;
use super::fault::{self, Op};
use super::files::{flags, parent, remove_tree, remove_unsynced, set_mode, sync_dir};
use super::{Error, FileRole, Operation, Result, tree};

/// How the name of a file that is being written begins.
pub(super) const TEMPORARY_PREFIX: &str = ".relay-";

/// How it ends.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Links to links that are followed to an output, as many as Linux follows.
const MAX_LINKS: usize = 40;

/// From so many octets on that are written at once, the disk begins with them early.
pub(super) const MUCH: usize = 1 << 20;

/// Octets compared at a time.
pub(super) const BLOCK: u64 = 65_536;

/// What becomes of a file that already has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// It stays, and that is [`Error::Exists`].
    Refuse,
    /// It is replaced.
    Replace,
    /// It stays: [`Published::Same`] if it holds the same octets, else [`Error::Exists`].
    SameIsSuccess,
}

/// The permission bits of a published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Those of the file that it replaces, else 0666 less the umask.
    User,
    /// Exactly 0600, whatever the umask.
    Secret,
    /// Exactly these.
    Exact(u32),
}

/// What publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Published {
    /// The file is in its place, or was written through to a device or FIFO.
    Written,
    /// A file with the same octets was already there ([`IfExists::SameIsSuccess`]), and is synced.
    Same,
}

/// How a file is published.
#[derive(Clone, Copy, Debug)]
pub struct PublishOptions<'a> {
    role: FileRole,
    mode: Mode,
    existing: IfExists,
    temporary_dir: Option<&'a Path>,
    syncs_dir: bool,
    is_unnamed: bool,
}

impl<'a> PublishOptions<'a> {
    /// A result for the user: [`FileRole::Output`], [`Mode::User`].
    #[must_use]
    pub const fn output(existing: IfExists) -> Self {
        Self::stored(FileRole::Output, existing).mode(Mode::User)
    }

    /// A result in a directory that the user named: [`FileRole::Delivery`], [`Mode::User`].
    #[must_use]
    pub const fn delivery(existing: IfExists) -> Self {
        Self::stored(FileRole::Delivery, existing).mode(Mode::User)
    }

    /// A file of a node or spool: [`Mode::Secret`] unless told otherwise.
    #[must_use]
    pub const fn stored(role: FileRole, existing: IfExists) -> Self {
        Self {
            role,
            mode: Mode::Secret,
            existing,
            temporary_dir: None,
            syncs_dir: true,
            is_unnamed: false,
        }
    }

    /// With these permission bits.
    #[must_use]
    pub const fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Written in `dir`, which is on the same file system, instead of beside its place.
    #[must_use]
    pub const fn written_in(self, dir: &'a Path) -> Self {
        Self {
            temporary_dir: Some(dir),
            ..self
        }
    }

    /// The same, unless another directory was given for that.
    pub(super) fn written_by_default_in(self, dir: &'a Path) -> Self {
        self.written_in(self.temporary_dir.unwrap_or(dir))
    }

    /// Without a name until it gets its own, where the file system can: a run that is killed leaves nothing.
    /// What stands at the name is never replaced then.
    #[must_use]
    pub const fn unnamed(self) -> Self {
        Self {
            is_unnamed: true,
            ..self
        }
    }

    /// What the file is to the program, and what becomes of one that has its name.
    pub(super) const fn role_and_existing(&self) -> (FileRole, IfExists) {
        (self.role, self.existing)
    }

    /// Without syncing the directory of the final name: the caller does it, once for many files.
    #[must_use]
    pub const fn dir_unsynced(self) -> Self {
        Self {
            syncs_dir: false,
            ..self
        }
    }
}

/// Publishes a file that holds `parts`, one after the other.
///
/// Where `path` is named by the user ([`FileRole::Output`]), a symbolic link there stays and its target is replaced,
/// and a device or FIFO is written straight through, whatever `manner` says about existing files.
///
/// # Errors
///
/// [`Error::Exists`]; [`Error::NotRegular`] for anything but a regular file in the way, in other roles;
/// [`Error::Io`] while [`Operation::Create`] or [`Operation::Open`] (it cannot be there), [`Operation::Write`],
/// [`Operation::Sync`], [`Operation::Rename`]. Nothing is left behind then; only after a failure to sync the directory
/// does the file have its name.
pub fn publish(path: &Path, parts: &[&[u8]], manner: &PublishOptions<'_>) -> Result<Published> {
    if manner.existing == IfExists::SameIsSuccess
        && let Some(mut existing) = open_existing(path, manner.role)
    {
        let mut content: Box<dyn Read + '_> = Box::new(io::empty());
        for part in parts {
            content = Box::new(content.chain(*part));
        }
        return same(
            path,
            manner.role,
            &mut existing,
            &mut content,
            manner.syncs_dir,
        );
    }
    let mut pending = Pending::create(path, manner)?;
    pending.write(parts)?;
    pending.finish()
}

/// Makes sure, as far as one can tell, that a file could be published now: one is begun, and given up.
///
/// # Errors
///
/// As [`publish`], but for what happens after [`Operation::Create`].
pub fn check(path: &Path, manner: &PublishOptions<'_>) -> Result<()> {
    match survey(path, manner.role, manner.existing)? {
        // To open a FIFO for nothing would end its reader.
        PublishTarget::Through => Ok(()),
        place => Pending::create_in(place, path, manner).map(drop),
    }
}

/// Publishes a secret key: mode 0600, by hard link, which fails if the name is taken.
///
/// # Errors
///
/// As [`publish`], with [`Operation::Link`] for [`Operation::Rename`].
pub fn publish_key(path: &Path, role: FileRole, parts: &[&[u8]]) -> Result<()> {
    let mut pending = Pending::create(path, &PublishOptions::stored(role, IfExists::Refuse))?;
    pending.placing = Naming::Link;
    pending.write(parts)?;
    pending.finish().map(drop)
}

/// Writes `parts` to the standard output, which the caller has locked, and flushes it.
///
/// # Errors
///
/// [`Error::Io`] of [`FileRole::Output`] and path `-`; see [`Error::is_broken_pipe`].
pub fn emit(stdout: &mut impl Write, parts: &[&[u8]]) -> Result<()> {
    let path = Path::new("-");
    fault::write(Op::Emit, path, stdout, parts)
        .and_then(|()| stdout.flush())
        .map_err(Error::io(path, FileRole::Output, Operation::Write))
}

/// Moves a synced file to another name on the same file system, and syncs first its new directory, then the old one.
///
/// # Errors
///
/// [`Error::Exists`] as `existing` says; [`Error::Io`] while [`Operation::Rename`] or [`Operation::Sync`].
pub fn rename(from: &Path, to: &Path, role: FileRole, existing: IfExists) -> Result<Published> {
    let moved = rename_unsynced(from, to, role, existing)?;
    sync_dir(parent(to), role)?;
    if parent(from) != parent(to) {
        sync_dir(parent(from), role)?;
    }
    Ok(moved)
}

/// Moves a file as [`rename`] does; the caller syncs both directories, the new one first.
///
/// # Errors
///
/// [`Error::Exists`] as `existing` says; [`Error::Io`] while [`Operation::Rename`].
pub fn rename_unsynced(
    from: &Path,
    to: &Path,
    role: FileRole,
    existing: IfExists,
) -> Result<Published> {
    match place(from, to, existing == IfExists::Replace) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let (true, Some(mut held), Some(mut moved)) = (
                existing == IfExists::SameIsSuccess,
                open_existing(to, role),
                open_existing(from, role),
            ) else {
                return Err(Error::Exists {
                    path: to.to_owned(),
                    role,
                });
            };
            let outcome = same(to, role, &mut held, &mut moved, true)?;
            remove_unsynced(from, role)?;
            Ok(outcome)
        }
        Err(error) => {
            let culprit = if fs::symlink_metadata(from).is_ok() {
                to
            } else {
                from
            };
            Err(Error::io(culprit, role, Operation::Rename)(error))
        }
        Ok(()) => Ok(Published::Written),
    }
}

/// Gives a synced file a second name on the same file system, and syncs the directory of that.
///
/// # Errors
///
/// [`Error::Exists`] if the name is taken; [`Error::Io`] while [`Operation::Link`] or [`Operation::Sync`].
pub fn link(from: &Path, to: &Path, role: FileRole) -> Result<()> {
    match fault::step(Op::Link, &[from, to]).and_then(|()| fs::hard_link(from, to)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::Exists {
                path: to.to_owned(),
                role,
            });
        }
        linked => linked.map_err(Error::io(to, role, Operation::Link))?,
    }
    sync_dir(parent(to), role)
}

/// What killed runs left of their files in `dir`, sorted. A missing directory has none.
///
/// Without `before`, nobody else may be writing there: the caller holds its lock. With it, only those last
/// written before that instant count.
///
/// # Errors
///
/// [`Error::Io`] while [`Operation::List`].
pub fn leftovers(dir: &Path, role: FileRole, before: Option<SystemTime>) -> Result<Vec<Leftover>> {
    let mut leftovers = Vec::new();
    tree::each(dir, role, |path, name, file_type| {
        let is_old = || match before {
            None => true,
            Some(before) => fs::symlink_metadata(&path)
                .and_then(|it| it.modified())
                .is_ok_and(|modified| modified < before),
        };
        if (file_type.is_file() || file_type.is_dir()) && is_temporary(&name) && is_old() {
            leftovers.push(Leftover {
                path,
                is_dir: file_type.is_dir(),
                role,
            });
        }
        Ok(())
    })?;
    leftovers.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(leftovers)
}

/// What a killed run left.
#[derive(Debug)]
pub struct Leftover {
    /// The file, or the directory that was to be removed.
    pub path: PathBuf,
    is_dir: bool,
    role: FileRole,
}

impl Leftover {
    /// Whether it is a directory, with whatever is in it.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.is_dir
    }

    /// Removes it, with all that is in it; it need not last. Gives `false` when it has gone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::List`] or [`Operation::Remove`].
    pub fn remove(&self) -> Result<bool> {
        if self.is_dir {
            remove_tree(&self.path, self.role)
        } else {
            remove_unsynced(&self.path, self.role)
        }
    }
}

/// Removes the [`leftovers`] in `dir`, and gives their number.
///
/// # Errors
///
/// As [`leftovers`] and [`Leftover::remove`].
pub fn sweep(dir: &Path, role: FileRole, before: Option<SystemTime>) -> Result<usize> {
    let mut removed = 0;
    for leftover in leftovers(dir, role, before)? {
        removed += usize::from(leftover.remove()?);
    }
    Ok(removed)
}

/// The name under which a directory waits to be removed.
pub(super) fn temporary_name(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(TEMPORARY_PREFIX);
    temporary.push(name);
    temporary.push(TEMPORARY_SUFFIX);
    temporary
}

/// Whether a name is one that files have while they are being written.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(TEMPORARY_PREFIX.as_bytes())
        && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
        && name.len() > TEMPORARY_PREFIX.len() + TEMPORARY_SUFFIX.len()
}

#[derive(Clone, Copy, Debug)]
enum Naming {
    Rename,
    Link,
}

/// A file being written, which has its final name only after [`Pending::finish`]. Dropped before, nothing is left.
#[derive(Debug)]
#[must_use = "the file is removed unless it is finished"]
pub struct Pending {
    file: File,
    /// `None` when it is written straight through to a device or FIFO.
    temporary: Option<Temporary>,
    target: PathBuf,
    role: FileRole,
    existing: IfExists,
    placing: Naming,
    syncs_dir: bool,
}

impl Pending {
    /// Begins a file; a name that is taken is refused now if nothing can change that.
    ///
    /// # Errors
    ///
    /// As [`publish`].
    pub fn create(path: &Path, manner: &PublishOptions<'_>) -> Result<Self> {
        Self::create_in(survey(path, manner.role, manner.existing)?, path, manner)
    }

    /// Begins a file where the name was looked at.
    pub(super) fn create_in(
        place: PublishTarget,
        path: &Path,
        manner: &PublishOptions<'_>,
    ) -> Result<Self> {
        let PublishOptions { role, existing, .. } = *manner;
        let failed = || Error::io(path, role, Operation::Create);
        let (file, temporary, target) = if let PublishTarget::Through = place {
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(flags(OFlags::NOCTTY));
            let file = options
                .open(path)
                .map_err(Error::io(path, role, Operation::Open))?;
            (file, None, path.to_owned())
        } else {
            let target = if role == FileRole::Output && existing == IfExists::Replace {
                behind_links(path).map_err(failed())?
            } else {
                path.to_owned()
            };
            let (bits, exact) = match (manner.mode, place) {
                (Mode::User, PublishTarget::Taken(mode)) if existing == IfExists::Replace => {
                    (mode, Some(mode))
                }
                (Mode::Exact(mode), _) => (mode, Some(mode)),
                (Mode::User, _) => (0o666, None),
                (Mode::Secret, _) => (0o600, Some(0o600)),
            };
            let dir = manner.temporary_dir.unwrap_or_else(|| parent(&target));
            let unnamed = if manner.is_unnamed && existing != IfExists::Replace {
                Temporary::unnamed(dir, bits & 0o777).map_err(failed())?
            } else {
                None
            };
            let (file, temporary) = match unnamed {
                Some(unnamed) => unnamed,
                None => Temporary::create(dir, bits & 0o777).map_err(failed())?,
            };
            if let Some(mode) = exact {
                set_mode(&file, &temporary.path, mode).map_err(failed())?;
            }
            (file, Some(temporary), target)
        };
        Ok(Self {
            file,
            temporary,
            target,
            role,
            existing,
            placing: Naming::Rename,
            syncs_dir: manner.syncs_dir,
        })
    }

    /// Writes `parts` after what is written so far.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        let path = match &self.temporary {
            Some(temporary) => &temporary.path,
            None => &self.target,
        };
        let written = fault::write(Op::Write, path, &mut self.file, parts);
        written.map_err(Error::io(&self.target, self.role, Operation::Write))?;
        let len = parts.iter().map(|part| part.len()).sum();
        if let (true, Ok(end)) = (len >= MUCH, self.file.stream_position()) {
            start_writeback(&self.file, end.saturating_sub(len as u64), len);
        }
        Ok(())
    }

    /// Whether it is written straight through to a device or FIFO, and so only from its beginning to its end.
    #[must_use]
    pub fn is_through(&self) -> bool {
        self.temporary.is_none()
    }

    /// Writes octets where they belong, `start` octets from the beginning; what lies before them and was not
    /// written takes no room where the file system has holes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn write_at(&mut self, start: u64, octets: &[u8]) -> Result<()> {
        let mut place = Location {
            file: &self.file,
            at: start,
        };
        let written = fault::write(Op::Write, self.shown(), &mut place, &[octets]);
        written.map_err(Error::io(&self.target, self.role, Operation::Write))?;
        if octets.len() >= MUCH {
            start_writeback(&self.file, start, octets.len());
        }
        Ok(())
    }

    /// Reads octets back that were written.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn read_at(&self, start: u64, octets: &mut [u8]) -> Result<()> {
        let read = self.file.read_exact_at(octets, start);
        read.map_err(Error::io(&self.target, self.role, Operation::Read))
    }

    /// What the file is called in traces and is to be found as when the run is killed.
    fn shown(&self) -> &Path {
        match &self.temporary {
            Some(temporary) => &temporary.path,
            None => &self.target,
        }
    }

    /// The name that it is to have.
    pub(super) fn target(&self) -> &OsStr {
        self.target.as_os_str()
    }

    /// Syncs the file, gives it its name and syncs the directory.
    ///
    /// # Errors
    ///
    /// As [`publish`].
    pub fn finish(mut self) -> Result<Published> {
        self.sync()?;
        self.place()
    }

    /// As [`Pending::finish`], but under the first of these names, in its own directory, that nothing else
    /// has; which one that is is given, too.
    ///
    /// # Errors
    ///
    /// As [`publish`]; [`Error::Exists`] when all are taken.
    pub fn finish_as(
        mut self,
        names: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(PathBuf, Published)> {
        self.sync()?;
        for name in names {
            self.target.clone_from(&name);
            match self.try_place() {
                Err(Error::Exists { .. } | Error::NotRegular { .. }) => {}
                placed => return Ok((name, placed?)),
            }
        }
        Err(Error::Exists {
            path: self.target.clone(),
            role: self.role,
        })
    }

    /// Waits until the file's octets are on the disk; nothing to wait for where it is written through.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn sync(&mut self) -> Result<()> {
        let Some(temporary) = &self.temporary else {
            return Ok(());
        };
        fault::step(Op::Sync, &[&temporary.path])
            .and_then(|()| self.file.sync_all())
            .map_err(Error::io(&self.target, self.role, Operation::Sync))
    }

    /// The file system that the file is on.
    #[cfg(target_os = "linux")]
    pub(super) fn device(&self) -> Result<u64> {
        let found = self.file.metadata();
        let found = found.map_err(Error::io(&self.target, self.role, Operation::Examine))?;
        Ok(found.dev())
    }

    /// Waits until all that was written to the file's file system is on the disk.
    #[cfg(target_os = "linux")]
    pub(super) fn sync_file_system(&self) -> Result<()> {
        let Some(temporary) = &self.temporary else {
            return Ok(());
        };
        fault::step(Op::SyncFs, &[parent(&temporary.path)])
            .and_then(|()| Ok(rustix::fs::syncfs(&self.file)?))
            .map_err(Error::io(&self.target, self.role, Operation::Sync))
    }

    /// What stands at a name that the file may get; a file of the same octets is synced.
    pub(super) fn held_at(&mut self, target: &Path) -> Result<TargetState> {
        let role = self.role;
        match survey(target, role, IfExists::SameIsSuccess) {
            Ok(PublishTarget::Free) => return Ok(TargetState::Nothing),
            Ok(PublishTarget::Taken(_)) => {}
            Ok(PublishTarget::Through) | Err(Error::NotRegular { .. }) => {
                return Ok(TargetState::Other);
            }
            Err(error) => return Err(error),
        }
        let Some(mut held) = open_existing(target, role) else {
            return Ok(TargetState::Other);
        };
        self.file
            .rewind()
            .map_err(Error::io(target, role, Operation::Read))?;
        match same(target, role, &mut held, &mut self.file, false) {
            Ok(_) => Ok(TargetState::Same),
            Err(Error::Exists { .. }) => Ok(TargetState::Other),
            Err(error) => Err(error),
        }
    }

    /// The name that the file gets.
    pub(super) fn set_target(&mut self, target: PathBuf) {
        self.target = target;
    }

    /// Gives the synced file its name, and syncs the directory.
    ///
    /// # Errors
    ///
    /// As [`Pending::finish`].
    pub fn place(mut self) -> Result<Published> {
        self.try_place()
    }

    /// As [`Pending::place`]; where the name is taken, another one may be tried.
    fn try_place(&mut self) -> Result<Published> {
        let Some(temporary) = &mut self.temporary else {
            return Ok(Published::Written);
        };
        let (target, role) = (&*self.target, self.role);
        let (placed, doing) = match self.placing {
            Naming::Rename if temporary.is_unnamed => {
                (temporary.name(&self.file, target), Operation::Link)
            }
            Naming::Rename => (
                temporary.rename(target, self.existing == IfExists::Replace),
                Operation::Rename,
            ),
            Naming::Link => (temporary.link(target), Operation::Link),
        };
        match placed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.existing == IfExists::SameIsSuccess
                    && let Some(mut held) = open_existing(target, role)
                {
                    let file = &mut self.file;
                    let same = file.rewind().and_then(|()| is_same(&mut held, file));
                    if same.map_err(Error::io(target, role, Operation::Read))? {
                        drop(self.temporary.take());
                        return keep(target, role, &held, self.syncs_dir);
                    }
                }
                return Err(Error::Exists {
                    path: target.to_owned(),
                    role,
                });
            }
            placed => placed.map_err(Error::io(target, role, doing))?,
        }
        drop(self.temporary.take());
        if self.syncs_dir {
            sync_dir(parent(target), role)?;
        }
        Ok(Published::Written)
    }
}

/// Lets the disk begin with octets that were written, so that there is less to wait for when the file is synced.
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

/// A place in a file, which moves on as it is written to.
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

impl Write for Pending {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let path = self
            .temporary
            .as_ref()
            .map_or(&self.target, |temporary| &temporary.path);
        fault::write(Op::Write, path, &mut self.file, &[octets])?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file under a temporary name, removed on drop, or one without any.
#[derive(Debug)]
struct Temporary {
    /// The name; of one without, what traces call it.
    path: PathBuf,
    placed: bool,
    is_unnamed: bool,
}

/// Where the system shows the open files of this process, for them to be named.
const OPEN_FILES: &str = "/proc/self/fd";

impl Temporary {
    /// A file without a name; `None` where the file system has no such, or it could not be named later.
    fn unnamed(dir: &Path, mode: u32) -> io::Result<Option<(File, Self)>> {
        static CAN_BE_NAMED: OnceLock<bool> = OnceLock::new();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if cfg!(not(target_os = "linux"))
            || !CAN_BE_NAMED.get_or_init(|| Path::new(OPEN_FILES).is_dir())
        {
            return Ok(None);
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{TEMPORARY_PREFIX}{count}{TEMPORARY_SUFFIX}"));
        fault::step(Op::Create, &[&path])?;
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
    fn name(&mut self, file: &File, target: &Path) -> io::Result<()> {
        fault::step(Op::Link, &[&self.path, target])?;
        let open = Path::new(OPEN_FILES).join(file.as_raw_fd().to_string());
        let cwd = rustix::fs::CWD;
        rustix::fs::linkat(cwd, &open, cwd, target, AtFlags::SYMLINK_FOLLOW)?;
        self.placed = true;
        Ok(())
    }

    fn create(dir: &Path, mode: u32) -> io::Result<(File, Self)> {
        let named = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .suffix(TEMPORARY_SUFFIX)
            .make_in(dir, |path| {
                fault::step(Op::Create, &[path])?;
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

    fn rename(&mut self, target: &Path, replace: bool) -> io::Result<()> {
        place(&self.path, target, replace)?;
        self.placed = true;
        Ok(())
    }

    fn link(&mut self, target: &Path) -> io::Result<()> {
        match fault::step(Op::Link, &[&self.path, target])
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
            let _ = fault::step(Op::Remove, &[&self.path]).and_then(|()| {
                if self.is_unnamed {
                    Ok(())
                } else {
                    fs::remove_file(&self.path)
                }
            });
        }
    }
}

/// Renames, and without `replace` fails with `EEXIST` if the new name is taken.
fn place(from: &Path, to: &Path, replace: bool) -> io::Result<()> {
    fault::step(Op::Rename, &[from, to])?;
    if replace {
        // Of two names of one file rename(2) removes neither, and calls it success.
        return if is_one_file(from, to) {
            fs::remove_file(from)
        } else {
            fs::rename(from, to)
        };
    }
    #[cfg(target_os = "linux")]
    match rustix::fs::renameat_with(
        rustix::fs::CWD,
        from,
        rustix::fs::CWD,
        to,
        rustix::fs::RenameFlags::NOREPLACE,
    ) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {}
        renamed => return renamed.map_err(io::Error::from),
    }
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

fn is_one_file(a: &Path, b: &Path) -> bool {
    let identity = |path| fs::symlink_metadata(path).map(|it| (it.dev(), it.ino()));
    matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK)
    )
}

/// What stands where a file is to be published.
#[derive(Clone, Copy, Debug)]
pub(super) enum PublishTarget {
    Free,
    /// A regular file with these permission bits.
    Taken(u32),
    /// A device or FIFO.
    Through,
}

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
            // Under -f a dangling link is written behind, as the shell does.
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

/// The path that remains when every link at the end of `path` has been followed.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = parent(&path).join(target),
            Err(_) => return Ok(path), // not a link, or nothing at all
        }
    }
    Err(Errno::LOOP.into())
}

/// A regular file that has a name already, and may be what was to get it.
#[derive(Debug)]
pub struct ExistingFile {
    file: File,
    path: PathBuf,
    role: FileRole,
}

impl ExistingFile {
    /// Opens it; `None` when there is no such file, or it cannot be read.
    #[must_use]
    pub fn open(path: &Path, role: FileRole) -> Option<Self> {
        Some(Self {
            file: open_existing(path, role)?,
            path: path.to_owned(),
            role,
        })
    }

    /// How many octets it has.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        let failed = Error::io(&self.path, self.role, Operation::Examine);
        metadata.map(|it| it.len()).map_err(failed)
    }

    /// Reads octets of it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn read_at(&self, start: u64, octets: &mut [u8]) -> Result<()> {
        let read = self.file.read_exact_at(octets, start);
        read.map_err(Error::io(&self.path, self.role, Operation::Read))
    }

    /// Takes it for what was to get its name: syncs it and its directory, for the run that wrote it may have been
    /// killed before it could.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn keep(self) -> Result<()> {
        keep(&self.path, self.role, &self.file, true).map(drop)
    }
}

/// Opens the regular file that has a name already, to compare it.
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

/// Whether `held`, which has the name already, may stay for `content`.
pub(super) fn same(
    path: &Path,
    role: FileRole,
    held: &mut File,
    content: &mut impl Read,
    syncs_dir: bool,
) -> Result<Published> {
    if !is_same(held, content).map_err(Error::io(path, role, Operation::Read))? {
        return Err(Error::Exists {
            path: path.to_owned(),
            role,
        });
    }
    keep(path, role, held, syncs_dir)
}

/// Lets `held` stay in its place, which holds what was to come there.
fn keep(path: &Path, role: FileRole, held: &File, syncs_dir: bool) -> Result<Published> {
    // The run that wrote it may have been killed before it could sync.
    fault::step(Op::Sync, &[path])
        .and_then(|()| held.sync_all())
        .map_err(Error::io(path, role, Operation::Sync))?;
    if syncs_dir {
        sync_dir(parent(path), role)?;
    }
    Ok(Published::Same)
}

fn is_same(a: &mut impl Read, b: &mut impl Read) -> io::Result<bool> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    use std::process::Command;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::disk::files;

    const OUTPUT: PublishOptions<'static> = PublishOptions::output(IfExists::Refuse);
    const REPLACE: PublishOptions<'static> = PublishOptions::output(IfExists::Replace);
    const SAME: PublishOptions<'static> = PublishOptions::output(IfExists::SameIsSuccess);

    fn names(dir: &TempDir) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn parts_become_one_file() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        assert_eq!(
            publish(&path, &[b"ab", b"", b"cd"], &OUTPUT).unwrap(),
            Published::Written
        );
        assert_eq!(fs::read(&path).unwrap(), b"abcd");
        assert_eq!(
            publish(&dir.path().join("empty"), &[], &OUTPUT).unwrap(),
            Published::Written
        );
        assert_eq!(names(&dir), ["empty", "f"]);
    }

    #[test]
    fn an_existing_file_is_refused_replaced_or_the_same() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"old").unwrap();
        let taken = |manner, octets: &[u8]| {
            assert!(matches!(
                publish(&path, &[octets], &manner),
                Err(Error::Exists { .. })
            ));
            assert_eq!(fs::read(&path).unwrap(), b"old");
        };
        taken(OUTPUT, b"old");
        taken(SAME, b"new");
        taken(SAME, b"ol");
        taken(SAME, b"older");
        assert_eq!(
            publish(&path, &[b"o", b"ld"], &SAME).unwrap(),
            Published::Same
        );
        assert_eq!(
            publish(&path, &[b"new"], &REPLACE).unwrap(),
            Published::Written
        );
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(&dir), ["f"]);
    }

    #[test]
    fn a_name_taken_while_writing_is_noticed() {
        for (manner, octets, expected) in [
            (OUTPUT, &b"ours"[..], None),
            (SAME, b"theirs", None),
            (SAME, b"ours", Some(Published::Same)),
        ] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("f");
            let mut pending = Pending::create(&path, &manner).unwrap();
            pending.write(&[b"ou", b"rs"]).unwrap();
            fs::write(&path, octets).unwrap();
            assert_eq!(pending.finish().ok(), expected);
            assert_eq!(fs::read(&path).unwrap(), octets);
            assert_eq!(names(&dir), ["f"]);
        }
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let dir = tempdir().unwrap();
        let mut pending = Pending::create(&dir.path().join("f"), &OUTPUT).unwrap();
        pending.write(&[b"octets"]).unwrap();
        let during = names(&dir);
        assert!(
            during.len() == 1 && is_temporary(during[0].as_ref()),
            "{during:?}"
        );
        drop(pending);
        assert!(names(&dir).is_empty());
    }

    #[test]
    fn octets_may_come_in_any_order() {
        for manner in [OUTPUT, SAME.unnamed()] {
            let dir = tempdir().unwrap();
            let path = dir.path().join("f");
            let mut pending = Pending::create(&path, &manner).unwrap();
            assert!(!pending.is_through());
            pending.write_at(70_000, b"end").unwrap();
            pending.write_at(0, b"begin").unwrap();
            let mut octets = [1; 6];
            pending.read_at(69_997, &mut octets).unwrap();
            assert_eq!(&octets, b"\0\0\0end");
            let error = pending.read_at(70_000, &mut octets).unwrap_err();
            assert_eq!(error.doing(), Some(Operation::Read));
            pending.finish().unwrap();
            let read = fs::read(&path).unwrap();
            assert_eq!((read.len(), &read[..6]), (70_003, &b"begin\0"[..]));
        }
        let null = Pending::create(Path::new("/dev/null"), &OUTPUT).unwrap();
        assert!(null.is_through());
    }

    #[test]
    fn a_file_takes_the_first_name_that_is_free_or_its_own() {
        for manner in [
            SAME,
            SAME.unnamed(),
            PublishOptions::delivery(IfExists::SameIsSuccess),
        ] {
            let dir = tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            let under = |content: &[u8], names: &[&str]| {
                let mut pending = Pending::create(&at(names[0]), &manner)?;
                pending.write(&[content])?;
                pending.finish_as(names.iter().map(|name| at(name)))
            };
            let all = ["a", "b", "c"];
            for (content, name, published) in [
                (b"one", "a", Published::Written),
                (b"two", "b", Published::Written),
                (b"one", "a", Published::Same),
                (b"two", "b", Published::Same),
            ] {
                assert_eq!(under(content, &all).unwrap(), (at(name), published));
            }
            fs::create_dir(at("c")).unwrap();
            let error = under(b"tri", &all).unwrap_err();
            assert!(matches!(error, Error::Exists { path, .. } if path == at("c")));
            assert_eq!(names(&dir), all);
            assert_eq!(fs::read(at("a")).unwrap(), b"one");
        }
    }

    #[test]
    fn what_could_be_published_leaves_nothing() {
        let dir = tempdir().unwrap();
        let at = |name| dir.path().join(name);
        fs::write(at("taken"), b"old").unwrap();
        for manner in [OUTPUT, REPLACE, SAME] {
            check(&at("f"), &manner).unwrap();
            check(Path::new("/dev/null"), &manner).unwrap();
            let error = check(&at("none/f"), &manner).unwrap_err();
            assert_eq!(error.doing(), Some(Operation::Create));
        }
        check(&at("taken"), &REPLACE).unwrap();
        let refused = check(&at("taken"), &OUTPUT);
        assert!(matches!(refused, Err(Error::Exists { .. })));
        assert_eq!(names(&dir), ["taken"]);
        assert_eq!(fs::read(at("taken")).unwrap(), b"old");
    }

    #[test]
    fn a_missing_or_wrong_directory_is_an_uncreatable_output() {
        let dir = tempdir().unwrap();
        for path in [dir.path().join("none/f"), dir.path().to_owned()] {
            for manner in [OUTPUT, REPLACE, SAME] {
                let error = publish(&path, &[b"x"], &manner).unwrap_err();
                assert_eq!(
                    (error.doing(), error.role()),
                    (Some(Operation::Create), FileRole::Output)
                );
            }
        }
        assert!(names(&dir).is_empty());
    }

    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let dir = tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let (file, link) = (dir.path().join("sub/f"), dir.path().join("l"));
        symlink("sub/m", &link).unwrap();
        symlink("f", dir.path().join("sub/m")).unwrap();
        assert!(matches!(
            publish(&link, &[b"x"], &OUTPUT),
            Err(Error::Exists { .. })
        ));
        assert!(matches!(
            publish(&link, &[b"x"], &SAME),
            Err(Error::Exists { .. })
        ));
        for octets in [b"first", b"other"] {
            publish(&link, &[octets], &REPLACE).unwrap();
            assert_eq!(fs::read(&file).unwrap(), octets);
        }
        assert_eq!(publish(&link, &[b"other"], &SAME).unwrap(), Published::Same);
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("sub/m"));
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(publish(&dir.path().join("loop"), &[b"x"], &REPLACE).is_err());
    }

    #[test]
    fn a_node_never_writes_through_links_or_fifos() {
        let dir = tempdir().unwrap();
        symlink("elsewhere", dir.path().join("l")).unwrap();
        for existing in [IfExists::Refuse, IfExists::Replace, IfExists::SameIsSuccess] {
            let error = publish(
                &dir.path().join("l"),
                &[b"x"],
                &PublishOptions::stored(FileRole::Spool, existing),
            )
            .unwrap_err();
            assert!(matches!(error, Error::NotRegular { .. }));
        }
        assert_eq!(names(&dir), ["l"]);
    }

    #[test]
    fn devices_and_fifos_are_written_through() {
        for manner in [OUTPUT, REPLACE, SAME] {
            publish(Path::new("/dev/null"), &[b"x"], &manner).unwrap();
        }
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        let dir = tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read(&fifo).unwrap());
            publish(&fifo, &[b"thr", b"ough"], &OUTPUT).unwrap();
            assert_eq!(reader.join().unwrap(), b"through");
        });
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_device_is_a_failure_to_write() {
        let error = publish(Path::new("/dev/full"), &[b"x"], &OUTPUT).unwrap_err();
        assert_eq!(
            (error.doing(), error.io_kind()),
            (Some(Operation::Write), Some(io::ErrorKind::StorageFull))
        );
        assert_eq!(error.to_string(), "cannot write: No space left on device");
    }

    #[test]
    fn keys_are_never_replaced() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("identity.key");
        publish_key(&path, FileRole::Node, &[b"key"]).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(
            publish_key(&path, FileRole::Node, &[b"key"]),
            Err(Error::Exists { .. })
        ));
        let other = dir.path().join("other");
        let mut pending = Pending::create(
            &other,
            &PublishOptions::stored(FileRole::Keys, IfExists::Refuse),
        )
        .unwrap();
        pending.placing = Naming::Link;
        fs::write(&other, b"theirs").unwrap();
        assert!(matches!(pending.finish(), Err(Error::Exists { .. })));
        assert_eq!(names(&dir), ["identity.key", "other"]);
    }

    #[test]
    fn modes_are_what_was_asked_for_under_any_umask() {
        for (umask, user) in [(0, 0o666), (0o022, 0o644), (0o777, 0)] {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "disk::publish::tests::umask_child"])
                .env("DISK_TEST_UMASK", format!("{umask} {user}"))
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            assert!(status.success(), "{umask:o}");
        }
    }

    #[test]
    fn umask_child() {
        let Ok(masks) = std::env::var("DISK_TEST_UMASK") else {
            return;
        };
        let (umask, user) = masks.split_once(' ').unwrap();
        let dir = tempdir().unwrap();
        rustix::process::umask(umask.parse::<u32>().unwrap().into());
        let at = |name| dir.path().join(name);
        publish(&at("user"), &[b"x"], &OUTPUT).unwrap();
        assert_eq!(mode(&at("user")), user.parse::<u32>().unwrap());
        let stored = PublishOptions::stored(FileRole::Node, IfExists::Refuse);
        publish(&at("secret"), &[b"x"], &stored).unwrap();
        publish(&at("shared"), &[b"x"], &stored.mode(Mode::Exact(0o664))).unwrap();
        publish_key(&at("key"), FileRole::Node, &[b"x"]).unwrap();
        assert_eq!(
            (mode(&at("secret")), mode(&at("shared")), mode(&at("key"))),
            (0o600, 0o664, 0o600)
        );
        files::create_dir(&at("dir"), FileRole::Node, 0o3770).unwrap();
        files::create_dir_all_private(&at("a/b"), FileRole::Node).unwrap();
        assert_eq!(
            (mode(&at("dir")), mode(&at("a")), mode(&at("a/b"))),
            (0o3770, 0o700, 0o700)
        );
        files::append_record(&at("seen"), FileRole::Node, b"1234").unwrap();
        drop(crate::disk::Lock::exclusive(&at("lock")).unwrap());
        assert_eq!((mode(&at("seen")), mode(&at("lock"))), (0o600, 0o600));
    }

    #[test]
    fn a_replaced_file_keeps_its_mode() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"private").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        publish(&path, &[b"new"], &REPLACE).unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_spool_writes_in_its_own_tmp() {
        let dir = tempdir().unwrap();
        let (tmp, queue) = (dir.path().join("tmp"), dir.path().join("in"));
        fs::create_dir(&tmp).unwrap();
        fs::create_dir(&queue).unwrap();
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess)
            .written_in(&tmp)
            .dir_unsynced();
        let mut pending = Pending::create(&queue.join("m"), &manner).unwrap();
        io::copy(&mut &b"message"[..], &mut pending).unwrap();
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 1);
        pending.finish().unwrap();
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
        assert_eq!(fs::read(queue.join("m")).unwrap(), b"message");
    }

    #[test]
    fn a_message_moves_between_queues() {
        let dir = tempdir().unwrap();
        let at = |name| dir.path().join(name);
        fs::write(at("a"), b"message").unwrap();
        assert_eq!(
            rename(&at("a"), &at("b"), FileRole::Spool, IfExists::Refuse).unwrap(),
            Published::Written
        );
        fs::write(at("a"), b"another").unwrap();
        for existing in [IfExists::Refuse, IfExists::SameIsSuccess] {
            assert!(matches!(
                rename(&at("a"), &at("b"), FileRole::Spool, existing),
                Err(Error::Exists { .. })
            ));
        }
        assert!(matches!(
            link(&at("a"), &at("b"), FileRole::Spool),
            Err(Error::Exists { .. })
        ));
        rename(&at("a"), &at("b"), FileRole::Spool, IfExists::Replace).unwrap();
        fs::write(at("a"), b"another").unwrap();
        assert_eq!(
            rename(&at("a"), &at("b"), FileRole::Spool, IfExists::SameIsSuccess).unwrap(),
            Published::Same
        );
        assert_eq!(names(&dir), ["b"]);
        for existing in [IfExists::SameIsSuccess, IfExists::Replace] {
            link(&at("b"), &at("c"), FileRole::Spool).unwrap();
            rename(&at("b"), &at("c"), FileRole::Spool, existing).unwrap();
            assert_eq!(names(&dir), ["c"]);
            fs::rename(at("c"), at("b")).unwrap();
        }
        fs::remove_file(at("b")).unwrap();
        assert!(
            rename(&at("b"), &at("d"), FileRole::Spool, IfExists::Refuse)
                .unwrap_err()
                .is_not_found()
        );
    }

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

    #[test]
    fn only_leftovers_are_swept() {
        let dir = tempdir().unwrap();
        for name in [
            ".relay-a1b2c3.tmp",
            ".relay-.tmp",
            ".relay-x",
            ".other.tmp",
            "relay-x.tmp",
            ".profile",
        ] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        fs::create_dir(dir.path().join(".relay-dir.tmp")).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        assert_eq!(
            sweep(dir.path(), FileRole::Node, Some(long_ago)).unwrap(),
            0
        );
        assert_eq!(sweep(dir.path(), FileRole::Node, None).unwrap(), 2);
        assert_eq!(
            names(&dir),
            [
                ".other.tmp",
                ".profile",
                ".relay-.tmp",
                ".relay-x",
                "relay-x.tmp"
            ]
        );
        assert_eq!(
            sweep(&dir.path().join("none"), FileRole::Node, None).unwrap(),
            0
        );
    }
}
