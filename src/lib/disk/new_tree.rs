//! Publication of a directory: it appears under its final name whole and synced, or not at all.
//!
//! It is filled as `.relay-*.tmp` beside that name, with mode 0700, so that nobody else reads or
//! changes it, and renamed at last. All of it is reached through handles: the directory that it is in
//! may be one that other users can write to.

use std::ffi::{OsStr, OsString};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps};
use rustix::io::{Errno, retry_on_intr};

use super::dir::Dir;
use super::entry::EntryFacts;
use super::existing::{is_taken, once_more};
use super::fault;
use super::metadata::user;
use super::names::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX, name_of};
use super::temporary;
use super::tree::EntryKind;
use super::{Error, FileRole, Operation, Result};

/// A tree of at least this many files and directories is synced with one syncfs(2), not one by one.
const MANY: usize = 8;

/// A directory that is being filled. It gets its name from [`NewTree::place`]; if it is dropped
/// before, nothing is left.
#[derive(Debug)]
#[must_use = "the directory is removed unless it is placed"]
pub struct NewTree {
    /// The directory that it is in.
    parent: Dir,
    /// Itself, under its temporary name.
    root: Dir,
    /// Itself, locked as long as this is open.
    _lock: File,
    /// How many files and directories were made in it.
    made: usize,
    is_placed: bool,
}

/// A file of a [`NewTree`] that is being written.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
}

impl NewTree {
    /// Creates a directory in `dir`, where it will get its name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`], [`Operation::Create`] or [`Operation::Open`].
    pub fn create(dir: &Path) -> Result<Self> {
        let parent = Dir::open(dir, ROLE)?;
        let made = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .suffix(TEMPORARY_SUFFIX)
            // tempfile tries another name as long as this fails with EEXIST.
            .make_in(dir, |path| {
                fault::step(Operation::CreateDir, &[path])?;
                Ok(rustix::fs::mkdirat(parent.fd(), name_of(path), PRIVATE)?)
            });
        let made = made.and_then(|made| made.keep().map_err(|failed| failed.error));
        let ((), path) = made.map_err(Error::io(dir, ROLE, Operation::CreateDir))?;
        let root = parent.dir(name_of(&path))?;
        let gone = || Error::io(&path, ROLE, Operation::Open)(Errno::NOENT.into());
        let root = root.ok_or_else(gone)?;
        let lock = root.readable().map(File::from);
        let lock = lock.map_err(Error::io(&path, ROLE, Operation::Open))?;
        // For `sweep`; not every file system has locks.
        let _ = lock.try_lock();
        Ok(Self {
            parent,
            root,
            _lock: lock,
            made: 0,
            is_placed: false,
        })
    }

    /// Checks that nobody else can look into it: not every file system has modes.
    ///
    /// # Errors
    ///
    /// [`Error::CannotHold`]; [`Error::Io`] while [`Operation::Examine`].
    pub fn check_private(&self) -> Result<()> {
        let path = self.root.path();
        let found = rustix::fs::fstat(self.root.fd()).map_err(io::Error::from);
        let found = found.map_err(Error::io(path, ROLE, Operation::Examine))?;
        if found.st_mode & !OF_OWNER & 0o777 != 0 {
            return Err(Error::CannotHold {
                path: self.parent.path().to_owned(),
                role: ROLE,
            });
        }
        Ok(())
    }

    /// Creates a directory in it, by its path from the top, with mode 0700 less the umask.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`]; [`Error::Io`] while [`Operation::Create`].
    pub fn make_dir(&mut self, path: &Path) -> Result<()> {
        let shown = self.root.path().join(path);
        self.made += 1;
        named(&shown, Operation::CreateDir, || {
            Ok(rustix::fs::mkdirat(self.root.fd(), path, PRIVATE)?)
        })
    }

    /// Creates a file in it, by its path from the top, with mode 0600, or 0700 if it is executable,
    /// less the umask.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`]; [`Error::Io`] while [`Operation::Create`].
    pub fn create_file(&mut self, path: &Path, is_executable: bool) -> Result<NewFile> {
        let shown = self.root.path().join(path);
        let wanted = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = if is_executable { PRIVATE } else { PRIVATE_FILE };
        self.made += 1;
        let file = named(&shown, Operation::Create, || {
            let open = || rustix::fs::openat(self.root.fd(), path, wanted | OFlags::CLOEXEC, mode);
            Ok(File::from(retry_on_intr(open)?))
        })?;
        Ok(NewFile { file, path: shown })
    }

    /// Sets when a directory in it was changed last, by its path from the top: empty for the top.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn date_dir(&self, path: &Path, modified: SystemTime) -> Result<()> {
        let shown = self.root.path().join(path);
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let times = times(modified);
        let dated = fault::change(Operation::SetTime, &[&shown], &shown, ROLE, || {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            Ok(rustix::fs::utimensat(self.root.fd(), path, &times, flags)?)
        });
        or_untimed(dated)
    }

    /// Gives a file or directory in it this mode and group, by its path from the top. Without the
    /// group, as where this user is not in it, it is for its owner alone. A file system without modes
    /// keeps its own.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`] or [`Operation::Share`].
    pub fn give(&self, path: &Path, mode: u32, group: u32) -> Result<()> {
        let shown = self.root.path().join(path);
        let found = rustix::fs::statat(self.root.fd(), path, AtFlags::SYMLINK_NOFOLLOW);
        let found = found.map_err(io::Error::from);
        let found = found.map_err(Error::io(&shown, ROLE, Operation::Examine))?;
        let mut mode = mode;
        if found.st_gid != group && mode & !OF_OWNER != 0 {
            let given = fault::change(Operation::SetGroup, &[&shown], &shown, ROLE, || {
                let (group, flags) = (Gid::from_raw(group), AtFlags::SYMLINK_NOFOLLOW);
                Ok(rustix::fs::chownat(
                    self.root.fd(),
                    path,
                    None,
                    Some(group),
                    flags,
                )?)
            });
            if or_unsupported(given)?.is_none() {
                mode &= OF_OWNER;
            }
        }
        if found.st_mode & 0o7777 == mode {
            return Ok(());
        }
        let given = fault::change(Operation::SetMode, &[&shown], &shown, ROLE, || {
            let mode = Mode::from_raw_mode(mode);
            Ok(rustix::fs::chmodat(
                self.root.fd(),
                path,
                mode,
                AtFlags::empty(),
            )?)
        });
        or_unsupported(given).map(drop)
    }

    /// Removes a file in it, by its path from the top.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Remove`].
    pub fn discard(&mut self, path: &Path) -> Result<()> {
        let shown = self.root.path().join(path);
        fault::change(Operation::Remove, &[&shown], &shown, ROLE, || {
            Ok(rustix::fs::unlinkat(
                self.root.fd(),
                path,
                AtFlags::empty(),
            )?)
        })
    }

    /// Waits until all of it is on the disk: with one syncfs(2) if it has many files, else one by
    /// one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn sync(&self) -> Result<()> {
        self.sync_as_many(&self.root)
    }

    /// Syncs a directory that has as many files as this one.
    fn sync_as_many(&self, dir: &Dir) -> Result<()> {
        #[cfg(target_os = "linux")]
        if self.made >= MANY {
            let path = dir.path();
            let synced = fault::change(Operation::SyncFs, &[path], path, ROLE, || {
                Ok(rustix::fs::syncfs(dir.readable()?)?)
            });
            // Where that fails, the files are synced one by one: another may be the one concerned.
            if synced.is_ok() {
                return Ok(());
            }
        }
        sync_all(dir)
    }

    /// Whether a directory of this name, beside it, has the same files and directories, with the same
    /// content. Then it is synced, since the run that made it may have been killed before it did.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::List`], [`Operation::Read`] or [`Operation::Sync`], and for
    /// a name that the file system refuses.
    pub fn is_at(&self, name: &str) -> Result<bool> {
        let other = match self.parent.dir(name) {
            Ok(Some(other)) => other,
            Ok(None) | Err(Error::NotRegular { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        match is_same(&self.root, &other) {
            // One that cannot be read is another one.
            Err(error) if error.is_denied() => return Ok(false),
            same => {
                if !same? {
                    return Ok(false);
                }
            }
        }
        self.sync_as_many(&other)?;
        self.parent.sync()?;
        Ok(true)
    }

    /// Gives it a name, and syncs the directory that it is in. Nothing is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if the name is taken, after which another may be tried; [`Error::Io`] while
    /// [`Operation::Rename`] or [`Operation::Sync`].
    pub fn place(&mut self, name: impl AsRef<OsStr>) -> Result<()> {
        let target = self.parent.path().join(name.as_ref());
        let from = self.root.path();
        let placed = once_more(&target, || {
            fault::step(Operation::Rename, &[from, &target])?;
            self.rename(&target)
        });
        or_exists(placed, &target, Operation::Rename)?;
        self.is_placed = true;
        self.parent.sync()
    }

    fn rename(&self, target: &Path) -> io::Result<()> {
        let (parent, from, to) = (self.parent.fd(), name_of(self.root.path()), name_of(target));
        #[cfg(target_os = "linux")]
        match fault::bare(target, Errno::INVAL).and_then(|()| {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(parent, from, parent, to, flags)
        }) {
            // A kernel or file system without RENAME_NOREPLACE, such as NFS.
            Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM) => {}
            renamed => return renamed.map_err(io::Error::from),
        }
        // rename(2) replaces an empty directory, and nothing else that has the name. Killed in between,
        // the empty one stays.
        rustix::fs::mkdirat(parent, to, PRIVATE)?;
        match rustix::fs::renameat(parent, from, parent, to) {
            Err(Errno::NOTEMPTY | Errno::NOTDIR) => Err(Errno::EXIST.into()),
            renamed => Ok(renamed?),
        }
    }
}

impl Drop for NewTree {
    fn drop(&mut self) {
        if !self.is_placed {
            // A failure cannot be reported from here; `sweep` removes the directory later.
            let _ = remove(&self.parent, &self.root);
        }
    }
}

impl NewFile {
    /// Appends octets.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn write(&mut self, octets: &[u8]) -> Result<()> {
        let written = temporary::write(&mut self.file, &self.path, &[octets]);
        written.map_err(Error::io(&self.path, ROLE, Operation::Write))
    }

    /// Sets when it was changed last.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Write`].
    pub fn date(&self, modified: SystemTime) -> Result<()> {
        let path = &*self.path;
        let dated = fault::change(Operation::SetTime, &[path], path, ROLE, || {
            self.file.set_modified(modified)
        });
        or_untimed(dated)
    }
}

/// Removes what a killed run of this user left of a directory, if it was last changed before that
/// instant and no run holds its lock. Without an instant: if its lock shows that no run holds it. An
/// empty one stays then, since a run that has just made it takes the lock only after that.
pub(super) fn sweep(dir: &Path, path: &Path, before: Option<SystemTime>) -> Result<()> {
    let parent = Dir::open(dir, ROLE)?;
    let Some(root) = parent.dir(name_of(path))? else {
        return Ok(());
    };
    let facts = root.own_facts()?;
    let since = Duration::from_secs(u64::try_from(facts.changed).unwrap_or_default());
    // Not by the time of its content, which is that of the files that it is to have.
    let changed = SystemTime::UNIX_EPOCH.checked_add(since);
    let handle = root.readable().map(File::from);
    let locked = handle
        .map_err(TryLockError::Error)
        .and_then(|it| it.try_lock().map(|()| it));
    let is_left = match (before, &locked) {
        (_, Err(TryLockError::WouldBlock)) => false,
        (Some(before), _) => changed.is_some_and(|it| it < before),
        (None, locked) => locked.is_ok() && root.names()?.next().is_some(),
    };
    if facts.owner == user() && is_left {
        remove(&parent, &root)?;
    }
    Ok(())
}

/// Results in directories of users.
const ROLE: FileRole = FileRole::Delivery;

const PRIVATE: Mode = Mode::RWXU;

/// The bits of the owner.
const OF_OWNER: u32 = 0o700;

const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Creates a name, and tries once more if a file system says that it is taken by nothing.
fn named<T>(
    path: &Path,
    operation: Operation,
    mut create: impl FnMut() -> io::Result<T>,
) -> Result<T> {
    let created = once_more(path, || {
        fault::step(operation, &[path])?;
        create()
    });
    or_exists(created, path, operation)
}

fn or_exists<T>(named: io::Result<T>, path: &Path, operation: Operation) -> Result<T> {
    match named {
        Err(error) if is_taken(&error, path) => Err(Error::Exists {
            path: path.to_owned(),
            role: ROLE,
        }),
        named => named.map_err(Error::io(path, ROLE, operation)),
    }
}

/// Passes over what a file system answers that has no such times.
fn or_untimed(dated: Result<()>) -> Result<()> {
    or_unsupported(dated).map(drop)
}

/// `None` for what a file system answers that has no such metadata, or to a user who may not change
/// it.
fn or_unsupported(changed: Result<()>) -> Result<Option<()>> {
    let unsupported = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL];
    let errno = changed.as_ref().err().and_then(Error::raw_os_error);
    match errno {
        Some(errno) if unsupported.iter().any(|it| it.raw_os_error() == errno) => Ok(None),
        _ => changed.map(Some),
    }
}

fn times(modified: SystemTime) -> Timestamps {
    // Times before 1970 are not set.
    let since = modified.duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let time = Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or_default(),
        tv_nsec: since.subsec_nanos().into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// The names in a directory, in the order of their octets, so that runs do not differ.
fn sorted(dir: &Dir) -> Result<Vec<(OsString, Option<EntryKind>)>> {
    let names = dir.names()?.map(|entry| entry.map(|it| (it.name, it.kind)));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

fn sync_all(dir: &Dir) -> Result<()> {
    for (name, kind) in sorted(dir)? {
        match kind {
            Some(EntryKind::File) => dir.open_file(&name)?.sync()?,
            Some(EntryKind::Dir) => {
                if let Some(inner) = dir.dir(&name)? {
                    sync_all(&inner)?;
                }
            }
            None => {}
        }
    }
    dir.sync()
}

/// Removes a directory and what is in it.
fn remove(parent: &Dir, dir: &Dir) -> Result<()> {
    for (name, kind) in sorted(dir)? {
        match kind {
            Some(EntryKind::Dir) => {
                if let Some(inner) = dir.dir(&name)? {
                    remove(dir, &inner)?;
                }
            }
            _ => {
                dir.remove_unsynced(&name)?;
            }
        }
    }
    parent.remove_dir(name_of(dir.path()))
}

/// Whether two directories have the same files and directories, with the same content.
fn is_same(ours: &Dir, other: &Dir) -> Result<bool> {
    let names = sorted(ours)?;
    if names != sorted(other)? {
        return Ok(false);
    }
    for (name, kind) in names {
        let is_same = match kind {
            Some(EntryKind::File) => is_same_file(ours, other, &name)?,
            Some(EntryKind::Dir) => match (ours.dir(&name)?, other.dir(&name)?) {
                (Some(ours), Some(other)) => is_same(&ours, &other)?,
                _ => false,
            },
            None => false,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_same_file(ours: &Dir, other: &Dir, name: &OsStr) -> Result<bool> {
    let (mut ours, mut other) = (ours.open_file(name)?, other.open_file(name)?);
    let outline = |facts: EntryFacts| (facts.len, facts.is_executable);
    if outline(ours.facts()?) != outline(other.facts()?) {
        return Ok(false);
    }
    ours.is_same(&mut other)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;
    use crate::disk::leftovers::sweep_ours;
    use crate::disk::testdir::{mode, names};

    /// A tree with a file and a directory in it, not placed yet.
    fn filled(dir: &Path, content: &[u8]) -> NewTree {
        let mut tree = NewTree::create(dir).unwrap();
        tree.make_dir(Path::new("d")).unwrap();
        let mut file = tree.create_file(Path::new("d/f"), true).unwrap();
        file.write(content).unwrap();
        tree
    }

    #[test]
    fn a_tree_has_its_name_whole_or_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path(), b"x"));
        assert_eq!(names(dir.path()), [""; 0]);
        let mut tree = filled(dir.path(), b"x");
        assert!(names(dir.path())[0].starts_with(TEMPORARY_PREFIX));
        let then = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        tree.date_dir(Path::new("d"), then).unwrap();
        tree.date_dir(Path::new(""), then).unwrap();
        tree.sync().unwrap();
        tree.place("photos").unwrap();
        drop(tree);
        assert_eq!(names(dir.path()), ["photos"]);
        let at = |path: &str| dir.path().join(path);
        assert_eq!(fs::read(at("photos/d/f")).unwrap(), b"x");
        for (path, expected) in [
            ("photos", 0o700),
            ("photos/d", 0o700),
            ("photos/d/f", 0o700),
        ] {
            assert_eq!(mode(&at(path)), expected, "{path}");
        }
        for path in ["photos", "photos/d"] {
            let found = fs::metadata(at(path)).unwrap();
            assert_eq!((found.mtime(), found.mtime_nsec()), (1, 500_000_000));
        }
    }

    #[test]
    fn nothing_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for empty in ["file", "link", "empty", "full/inside"] {
            match empty {
                "file" => fs::write(at(empty), b"").unwrap(),
                "link" => symlink("nowhere", at(empty)).unwrap(),
                _ => fs::create_dir_all(at(empty)).unwrap(),
            }
        }
        for bare in ["", "bare="] {
            let mut tree = filled(dir.path(), b"x");
            if !bare.is_empty() {
                let spec = format!("bare={}", dir.path().display());
                fault::arm(&spec).unwrap();
            }
            for taken in ["file", "link", "empty", "full"] {
                let placed = tree.place(taken);
                assert!(matches!(placed, Err(Error::Exists { .. })), "{taken}");
            }
            let name = format!("new{}", bare.len());
            tree.place(&name).unwrap();
            fault::disarm();
            assert_eq!(names(&at(&name)), ["d"]);
        }
        assert_eq!(
            names(dir.path()),
            ["empty", "file", "full", "link", "new0", "new5"]
        );
        assert!(at("full/inside").exists() && names(&at("empty")).is_empty());
    }

    #[test]
    fn the_same_tree_is_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = filled(dir.path(), b"one");
        tree.place("t").unwrap();
        let at = |path: &str| dir.path().join("t").join(path);
        let is_same = |content: &[u8]| filled(dir.path(), content).is_at("t").unwrap();
        assert!(is_same(b"one"));
        assert!(!is_same(b"two") && !is_same(b"longer"));
        assert!(!filled(dir.path(), b"one").is_at("none").unwrap());
        fs::write(at("d/more"), b"").unwrap();
        assert!(!is_same(b"one"));
        fs::remove_file(at("d/more")).unwrap();
        fs::rename(at("d/f"), at("f")).unwrap();
        symlink("../f", at("d/f")).unwrap();
        assert!(!is_same(b"one"));
        assert_eq!(names(dir.path()), ["t"]);
    }

    #[test]
    fn many_files_are_synced_at_once() {
        for (count, word) in [(1, "sync"), (MANY, "syncfs")] {
            let dir = tempfile::tempdir().unwrap();
            let trace = dir.path().join("trace");
            let mut tree = NewTree::create(dir.path()).unwrap();
            for number in 0..count {
                let path = number.to_string();
                drop(tree.create_file(Path::new(&path), false).unwrap());
            }
            fault::arm(&format!("trace:{}", trace.display())).unwrap();
            tree.sync().unwrap();
            fault::disarm();
            let text = fs::read_to_string(trace).unwrap();
            let words: Vec<_> = text.lines().map(|line| line.split('\t').next()).collect();
            assert!(words.contains(&Some(word)), "{text}");
            assert_eq!(words.len(), if count == 1 { 2 } else { 1 }, "{text}");
        }
        // So is one that is kept.
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("trace");
        let many = || {
            let mut tree = NewTree::create(dir.path()).unwrap();
            for number in 0..MANY {
                let path = number.to_string();
                drop(tree.create_file(Path::new(&path), false).unwrap());
            }
            tree
        };
        many().place("t").unwrap();
        let again = many();
        fault::arm(&format!("trace:{}", trace.display())).unwrap();
        assert!(again.is_at("t").unwrap());
        fault::disarm();
        let text = fs::read_to_string(&trace).unwrap();
        let words: Vec<_> = text.lines().map(|line| line.split('\t').next()).collect();
        assert_eq!(words, [Some("syncfs"), Some("syncdir")]);
        // Where that fails, one by one.
        let dir = tempfile::tempdir().unwrap();
        let mut tree = NewTree::create(dir.path()).unwrap();
        for number in 0..MANY {
            let path = number.to_string();
            drop(tree.create_file(Path::new(&path), false).unwrap());
        }
        fault::arm("EIO:1").unwrap();
        tree.sync().unwrap();
        fault::arm("EIO:2").unwrap();
        tree.sync().unwrap();
        fault::disarm();
    }

    #[test]
    fn what_a_killed_run_left_is_swept_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let later = SystemTime::now() + Duration::from_secs(60);
        let left = dir.path().join(".relay-left.tmp");
        fs::create_dir_all(left.join("d")).unwrap();
        fs::write(left.join("d/f"), b"x").unwrap();
        fs::create_dir(dir.path().join("kept")).unwrap();
        fs::write(dir.path().join("kept/f"), b"").unwrap();
        symlink("../kept", left.join("link")).unwrap();
        symlink("kept", dir.path().join(".relay-link.tmp")).unwrap();
        let at_work = filled(dir.path(), b"x");
        // The time of its content does not make it old.
        at_work
            .date_dir(Path::new(""), SystemTime::UNIX_EPOCH)
            .unwrap();
        sweep_ours(dir.path(), SystemTime::now() - Duration::from_secs(60));
        assert!(left.exists());
        sweep_ours(dir.path(), later);
        assert!(!left.exists());
        let mut left = names(dir.path());
        left.retain(|name| !name.starts_with(".relay-"));
        assert_eq!(left, ["kept"]);
        assert!(dir.path().join("kept/f").exists());
        assert_eq!(names(at_work.root.path()), ["d"]);
        assert!(
            dir.path()
                .join(".relay-link.tmp")
                .symlink_metadata()
                .is_ok()
        );
    }
}
