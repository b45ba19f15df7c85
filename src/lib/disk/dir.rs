//! Directories that another user may change while we work in them: each is held open, and names are
//! looked up relative to it.
//!
//! A path is resolved anew at each use, and a directory in it may have become a link by then. Here
//! each step from a directory to one in it is made once (openat(2)) and follows no link, so that
//! nothing outside is read or changed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::entry::{EntryFacts, OpenEntry, facts_of, type_of};
use super::existing::BLOCK;
use super::fault;
use super::metadata::free_of;
use super::names::is_temporary;
use super::open::refused;
use super::read::read_regular;
use super::sync::synced;
use super::temporary::{self, Temporary};
use super::tree::EntryKind;
use super::{Error, FileRole, Operation, Result};

/// A directory that is held open.
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    role: FileRole,
}

/// Flags to open a directory for lookups only: `O_PATH` needs no permission to read it.
#[cfg(target_os = "linux")]
const HELD: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
#[cfg(not(target_os = "linux"))]
const HELD: OFlags = OFlags::DIRECTORY;

/// Flags that keep open(2) from blocking, as it does on a FIFO without a writer.
const AT_ONCE: OFlags = OFlags::NONBLOCK
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The entries of a directory, one by one.
#[derive(Debug)]
pub struct DirEntries<'a> {
    dir: &'a Dir,
    found: rustix::fs::Dir,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: OsString,
    /// Its kind; `None` for a symbolic link, device, FIFO or socket.
    pub kind: Option<EntryKind>,
}

impl Dir {
    /// Opens a directory that the user named; a link is followed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`], also if it is not a directory.
    pub fn open(path: &Path, role: FileRole) -> Result<Self> {
        let opened = retry_on_intr(|| rustix::fs::open(path, HELD | AT_ONCE, Mode::empty()));
        let fd = opened.map_err(|error| Error::io(path, role, Operation::Examine)(error.into()))?;
        Ok(Self {
            fd: Arc::new(fd),
            path: path.to_owned(),
            role,
        })
    }

    /// Its descriptor, for lookups only.
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// The path by which it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory in it, without following a link; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] when something else has the name; [`Error::Io`] while
    /// [`Operation::Examine`].
    pub fn dir(&self, name: impl AsRef<OsStr>) -> Result<Option<Self>> {
        let path = self.path.join(name.as_ref());
        let wanted = HELD | OFlags::NOFOLLOW | AT_ONCE;
        let open = || rustix::fs::openat(&self.fd, name.as_ref(), wanted, Mode::empty());
        match retry_on_intr(open) {
            Ok(fd) => Ok(Some(Self {
                fd: Arc::new(fd),
                path,
                role: self.role,
            })),
            Err(Errno::NOENT) => Ok(None),
            // With O_DIRECTORY and O_NOFOLLOW systems answer one or the other to a link.
            Err(Errno::NOTDIR | Errno::LOOP | Errno::MLINK) => Err(self.not_regular(path)),
            Err(error) => Err(Error::io(&path, self.role, Operation::Examine)(
                error.into(),
            )),
        }
    }

    /// Creates a directory in it, unless there is one, and syncs its name. Returns whether it was
    /// created. The permission bits are those that the umask leaves: a medium is for others to
    /// read, and FAT has no other bits.
    ///
    /// # Errors
    ///
    /// As [`Dir::dir`]; [`Error::Io`] while [`Operation::Create`] or [`Operation::Sync`].
    pub fn make_dir(&self, name: impl AsRef<OsStr>) -> Result<(Self, bool)> {
        let name = name.as_ref();
        if let Some(dir) = self.dir(name)? {
            return Ok((dir, false));
        }
        let path = self.path.join(name);
        let made = fault::change(Operation::CreateDir, &[&path], &path, self.role, || {
            Ok(rustix::fs::mkdirat(
                &self.fd,
                name,
                Mode::from_raw_mode(0o777),
            )?)
        });
        let is_made = match made {
            // Another program created the name since the look above.
            Err(error) if error.is_already_there() => false,
            made => {
                made?;
                self.sync()?;
                true
            }
        };
        // Opened without following a link: another user may have replaced the new directory
        // already.
        match self.dir(name)? {
            Some(dir) => Ok((dir, is_made)),
            None => Err(Error::io(&path, self.role, Operation::CreateDir)(
                Errno::NOENT.into(),
            )),
        }
    }

    /// Whether a name is taken, even by a dangling link.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn has(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        Ok(self.stat(name.as_ref())?.is_some())
    }

    /// The length of a regular file in octets; `None` if it does not exist or is not one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn len_of(&self, name: impl AsRef<OsStr>) -> Result<Option<u64>> {
        let found = self.stat(name.as_ref())?;
        let file = found.filter(|found| type_of(found) == FileType::RegularFile);
        Ok(file.and_then(|file| u64::try_from(file.st_size).ok()))
    }

    /// The metadata of what has this name, links not followed; `None` if nothing has it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn facts(&self, name: impl AsRef<OsStr>) -> Result<Option<EntryFacts>> {
        let found = self.stat(name.as_ref())?;
        Ok(found.as_ref().map(EntryFacts::of))
    }

    /// Its own metadata.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn own_facts(&self) -> Result<EntryFacts> {
        facts_of(&*self.fd, &self.path, self.role)
    }

    /// Opens a regular file to be read piece by piece, without following a link.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] when something else has the name; [`Error::Io`] while
    /// [`Operation::Open`].
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<OpenEntry> {
        let path = self.path.join(name.as_ref());
        let wanted = OFlags::RDONLY | OFlags::NOFOLLOW | AT_ONCE;
        let open = || rustix::fs::openat(&self.fd, name.as_ref(), wanted, Mode::empty());
        let opened = retry_on_intr(open);
        let fd = opened.map_err(|error| {
            // Named by the user or not, a link or socket in a directory is no regular file.
            match error {
                Errno::LOOP | Errno::NXIO => self.not_regular(path.clone()),
                error => refused(&path, self.role, error.into()),
            }
        })?;
        let file = OpenEntry::of(File::from(fd), path, self.role);
        match file.facts()?.kind {
            Some(EntryKind::File) => Ok(file),
            _ => Err(self.not_regular(file.path().to_owned())),
        }
    }

    /// Reads a whole file of at most `limit` octets.
    ///
    /// # Errors
    ///
    /// As [`read`](super::read::read).
    pub fn read(&self, name: impl AsRef<OsStr>, limit: usize) -> Result<Vec<u8>> {
        let path = self.path.join(name.as_ref());
        let wanted = OFlags::RDONLY | OFlags::NOFOLLOW | AT_ONCE;
        let open = || rustix::fs::openat(&self.fd, name.as_ref(), wanted, Mode::empty());
        let opened = retry_on_intr(open);
        let file = opened.map_err(|error| refused(&path, self.role, error.into()))?;
        read_regular(File::from(file), &path, self.role, limit)
    }

    /// Removes a file, or a symbolic link itself, and syncs the directory. Returns `false` if there
    /// was none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Remove`] or [`Operation::Sync`].
    pub fn remove(&self, name: impl AsRef<OsStr>) -> Result<bool> {
        let removed = self.remove_unsynced(name.as_ref())?;
        if removed {
            self.sync()?;
        }
        Ok(removed)
    }

    /// Removes an empty directory; the caller syncs this one.
    pub(super) fn remove_dir(&self, name: &OsStr) -> Result<()> {
        let path = self.path.join(name);
        fault::change(Operation::Remove, &[&path], &path, self.role, || {
            Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
        })
    }

    pub(super) fn remove_unsynced(&self, name: &OsStr) -> Result<bool> {
        let path = self.path.join(name);
        let removed = fault::change(Operation::Remove, &[&path], &path, self.role, || {
            Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
        });
        match removed {
            Err(error) if error.is_not_found() => Ok(false),
            removed => removed.map(|()| true),
        }
    }

    /// Waits until the names in it are on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Sync`].
    pub fn sync(&self) -> Result<()> {
        synced(&self.path, self.role, || {
            // fsync(2) refuses an O_PATH descriptor.
            File::from(self.readable()?).sync_all()
        })
    }

    /// Opens the same directory for reading.
    pub(super) fn readable(&self) -> io::Result<OwnedFd> {
        let wanted = OFlags::RDONLY | OFlags::DIRECTORY | AT_ONCE;
        let open = || rustix::fs::openat(&self.fd, ".", wanted, Mode::empty());
        Ok(retry_on_intr(open)?)
    }

    /// The free space of its file system for an unprivileged user, in octets.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn free_space(&self) -> Result<u64> {
        let found = rustix::fs::fstatvfs(&self.fd).map_err(io::Error::from);
        let found = found.map_err(Error::io(&self.path, self.role, Operation::Examine))?;
        Ok(free_of(&found))
    }

    /// Lists it in the order of the file system, temporary files included, in constant memory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::List`].
    pub fn names(&self) -> Result<DirEntries<'_>> {
        let found = self.readable().and_then(|fd| Ok(rustix::fs::Dir::new(fd)?));
        let found = found.map_err(Error::io(&self.path, self.role, Operation::List))?;
        Ok(DirEntries { dir: self, found })
    }

    /// Removes the temporary files in it that were last written before `before`, and returns their
    /// number. Directories stay: these programs create no temporary ones on a medium.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::List`] or [`Operation::Remove`].
    pub fn sweep(&self, before: SystemTime) -> Result<usize> {
        let mut leftovers = Vec::new();
        for named in self.names()? {
            let DirEntry { name, kind } = named?;
            if kind == Some(EntryKind::File) && is_temporary(&name) && self.is_older(&name, before)
            {
                leftovers.push(name);
            }
        }
        // Directory order differs between file systems; removals happen in a fixed order.
        leftovers.sort_unstable();
        let mut removed = 0;
        for name in leftovers {
            removed += usize::from(self.remove_unsynced(&name)?);
        }
        Ok(removed)
    }

    fn is_older(&self, name: &OsStr, before: SystemTime) -> bool {
        let Ok(Some(found)) = self.stat(name) else {
            return false;
        };
        // A time before 1970 counts as 1970.
        let since = Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or_default());
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .is_some_and(|modified| modified < before)
    }

    /// Writes the file for `name` as a temporary one in `tmp`, on the same file system, syncs it
    /// and reads it back from the disk. [`PendingEntry::place`] then renames it, and replaces an
    /// existing file.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] if something other than a file has the name; [`Error::Differs`] if
    /// other octets are read back; [`Error::Io`] while [`Operation::Create`], [`Operation::Write`],
    /// [`Operation::Sync`] or [`Operation::Read`].
    pub fn prepare(&self, name: &str, parts: &[&[u8]], tmp: &Self) -> Result<PendingEntry> {
        let mut pending = self.written(name, parts, tmp)?;
        check(&mut pending.file, &pending.target, self.role, parts)?;
        Ok(pending)
    }

    /// Writes a file as [`Dir::prepare`] does, without reading it back, and gives it its name.
    ///
    /// # Errors
    ///
    /// As [`Dir::prepare`] and [`PendingEntry::place`].
    pub fn publish(&self, name: &str, parts: &[&[u8]], tmp: &Self) -> Result<()> {
        self.written(name, parts, tmp)?.place()
    }

    fn written(&self, name: &str, parts: &[&[u8]], tmp: &Self) -> Result<PendingEntry> {
        let target = self.path.join(name);
        let found = self.stat(OsStr::new(name))?;
        // renameat(2) would replace a link, device or socket silently.
        if found.is_some_and(|found| type_of(&found) != FileType::RegularFile) {
            return Err(self.not_regular(target));
        }
        let (file, temporary) = Temporary::create_in(&tmp.fd, &tmp.path).map_err(Error::io(
            &target,
            self.role,
            Operation::Create,
        ))?;
        let mut pending = PendingEntry {
            file,
            temporary,
            target,
            dir: self.clone(),
        };
        pending.write(parts)?;
        Ok(pending)
    }

    fn stat(&self, name: &OsStr) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => {
                let path = self.path.join(name);
                Err(Error::io(&path, self.role, Operation::Examine)(
                    error.into(),
                ))
            }
        }
    }

    fn not_regular(&self, path: PathBuf) -> Error {
        Error::NotRegular {
            path,
            role: self.role,
        }
    }
}

impl Iterator for DirEntries<'_> {
    type Item = Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Dir { path, role, .. } = self.dir;
        loop {
            let entry = match self.found.next()? {
                Ok(entry) => entry,
                Err(error) => {
                    return Some(Err(Error::io(path, *role, Operation::List)(error.into())));
                }
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let file_type = match entry.file_type() {
                // Not every file system gives the type of an entry (readdir(3)).
                FileType::Unknown => match self.dir.stat(name) {
                    Ok(Some(found)) => type_of(&found),
                    Ok(None) => continue, // gone meanwhile
                    Err(error) => return Some(Err(error)),
                },
                file_type => file_type,
            };
            return Some(Ok(DirEntry {
                name: name.to_owned(),
                kind: EntryKind::of(file_type),
            }));
        }
    }
}

/// A file that is written and synced. It gets its name from [`PendingEntry::place`]; if it is
/// dropped before, nothing is left.
#[derive(Debug)]
#[must_use = "the file is removed unless it is placed"]
pub struct PendingEntry {
    file: File,
    temporary: Temporary,
    target: PathBuf,
    dir: Dir,
}

impl PendingEntry {
    fn write(&mut self, parts: &[&[u8]]) -> Result<()> {
        let (path, role) = (&*self.temporary.path, self.dir.role);
        temporary::write(&mut self.file, path, parts).map_err(Error::io(
            &self.target,
            role,
            Operation::Write,
        ))?;
        fault::change(Operation::Sync, &[path], &self.target, role, || {
            self.file.sync_all()
        })
    }

    /// Gives the file its name, and syncs the directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Rename`] or [`Operation::Sync`].
    pub fn place(mut self) -> Result<()> {
        self.temporary
            .rename_in(&self.dir.fd, &self.target)
            .map_err(Error::io(&self.target, self.dir.role, Operation::Rename))?;
        self.dir.sync()
    }
}

/// Compares the octets on the disk with those that were written.
fn check(file: &mut File, target: &Path, role: FileRole, parts: &[&[u8]]) -> Result<()> {
    let failed = || Error::io(target, role, Operation::Read);
    // Drops the file from the page cache, so that it is read from the stick. Only Linux can do
    // that; elsewhere the comparison proves less.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed);
    file.rewind().map_err(failed())?;
    let mut block = vec![0; usize::try_from(BLOCK).unwrap_or_default()];
    for part in parts {
        for expected in part.chunks(block.len()) {
            let found = &mut block[..expected.len()];
            match file.read_exact(found) {
                // A file that ends early differs, too; other read errors are reported as such.
                Ok(()) if found == expected => {}
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(failed()(error));
                }
                _ => {
                    return Err(Error::Differs {
                        path: target.to_owned(),
                        role,
                    });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::disk::names::TEMPORARY_PREFIX;
    use crate::disk::sync::sync_dir;
    use crate::disk::testdir::names;

    /// A directory `inside` that was opened, and one `outside`, with a file each; then a link to
    /// the other one has the name of the first.
    fn swapped() -> (tempfile::TempDir, Dir, Dir) {
        let root = tempfile::tempdir().unwrap();
        for dir in ["inside", "outside"] {
            fs::create_dir(root.path().join(dir)).unwrap();
            fs::write(root.path().join(dir).join("x"), dir).unwrap();
        }
        let top = Dir::open(root.path(), FileRole::Spool).unwrap();
        let dir = top.dir("inside").unwrap().unwrap();
        swap(root.path());
        (root, top, dir)
    }

    fn swap(root: &Path) {
        fs::rename(root.join("inside"), root.join("moved")).unwrap();
        symlink("outside", root.join("inside")).unwrap();
    }

    #[test]
    fn a_link_that_has_the_name_of_a_directory_leads_nowhere() {
        let (root, top, dir) = swapped();
        let outside = root.path().join("outside");
        assert_eq!(dir.read("x", 9).unwrap(), b"inside");
        assert_eq!(dir.len_of("x").unwrap(), Some(6));
        assert_eq!(dir.names().unwrap().count(), 1);
        assert!(dir.remove("x").unwrap());
        assert!(!dir.has("x").unwrap() && !dir.remove("x").unwrap());
        dir.publish("y", &[b"octets"], &dir).unwrap();
        assert!(dir.make_dir("z").unwrap().1);
        dir.sync().unwrap();
        assert_eq!(names(&outside), ["x"]);
        assert_eq!(names(&root.path().join("moved")), ["y", "z"]);
        for refused in [
            top.dir("inside").map(drop),
            top.make_dir("inside").map(drop),
        ] {
            assert!(
                matches!(refused, Err(Error::NotRegular { path, .. }) if path.ends_with("inside"))
            );
        }
    }

    #[test]
    fn a_file_goes_where_it_was_to_go_when_it_was_begun() {
        let root = tempfile::tempdir().unwrap();
        for dir in ["inside", "outside"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let top = Dir::open(root.path(), FileRole::Spool).unwrap();
        let dir = top.dir("inside").unwrap().unwrap();
        let placed = dir.prepare("x", &[b"oc", b"tets"], &dir).unwrap();
        let dropped = dir.prepare("y", &[b"octets"], &dir).unwrap();
        swap(root.path());
        placed.place().unwrap();
        drop(dropped);
        assert_eq!(names(&root.path().join("outside")), [""; 0]);
        assert_eq!(names(&root.path().join("moved")), ["x"]);
        assert_eq!(dir.read("x", 6).unwrap(), b"octets");
        fs::create_dir(root.path().join("moved/dir")).unwrap();
        let taken = dir.publish("dir", &[b"octets"], &dir);
        assert!(matches!(taken, Err(Error::NotRegular { .. })));
        assert_eq!(names(&root.path().join("moved")), ["dir", "x"]);
    }

    #[test]
    fn only_files_of_killed_runs_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let top = Dir::open(root.path(), FileRole::Spool).unwrap();
        let name = |name: &str| format!("{TEMPORARY_PREFIX}{name}.tmp");
        fs::write(root.path().join(name("a")), "").unwrap();
        fs::write(root.path().join("b"), "").unwrap();
        fs::create_dir(root.path().join(name("dir"))).unwrap();
        fs::write(root.path().join(name("dir")).join(name("x")), "").unwrap();
        symlink("b", root.path().join(name("link"))).unwrap();
        assert_eq!(top.sweep(SystemTime::UNIX_EPOCH).unwrap(), 0);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(top.sweep(later).unwrap(), 1);
        let left = [name("dir"), name("link"), "b".to_owned()];
        assert_eq!(names(root.path()), left);
        assert_eq!(names(&root.path().join(name("dir"))), [name("x")]);
    }

    #[test]
    fn what_is_no_file_is_not_read_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let top = Dir::open(root.path(), FileRole::Spool).unwrap();
        let fifo = (FileType::Fifo, Mode::from_raw_mode(0o600));
        rustix::fs::mknodat(&top.fd, "fifo", fifo.0, fifo.1, 0).unwrap();
        symlink("nowhere", root.path().join("link")).unwrap();
        fs::create_dir(root.path().join("dir")).unwrap();
        for name in ["fifo", "link", "dir"] {
            let read = top.read(name, 9);
            assert!(
                matches!(read, Err(Error::NotRegular { .. })),
                "{name}: {read:?}"
            );
            assert_eq!(top.len_of(name).unwrap(), None, "{name}");
            assert!(top.has(name).unwrap(), "{name}");
        }
        assert!(top.dir("fifo").is_err());
        assert!(Dir::open(&root.path().join("fifo"), FileRole::Spool).is_err());
        assert!(sync_dir(&root.path().join("fifo"), FileRole::Spool).is_err());
        // A directory may be named through a link.
        symlink("dir", root.path().join("other")).unwrap();
        sync_dir(&root.path().join("other"), FileRole::Output).unwrap();
        Dir::open(&root.path().join("other"), FileRole::Spool).unwrap();
    }
}
