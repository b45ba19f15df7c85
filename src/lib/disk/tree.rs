//! Lists directories, and walks directory trees.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::names::is_temporary;
use super::placeholder;
use super::{Error, FileRole, Operation, Result};

/// The kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
}

impl EntryKind {
    /// `None` for a symbolic link, device, FIFO or socket.
    pub(super) fn of(file_type: FileType) -> Option<Self> {
        match file_type {
            FileType::RegularFile => Some(Self::File),
            FileType::Directory => Some(Self::Dir),
            _ => None,
        }
    }
}

/// A regular file or directory in a listed directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The listed directory joined with the name.
    pub path: PathBuf,
    /// The name alone.
    pub name: OsString,
    /// The kind of the entry itself: links are not followed.
    pub kind: EntryKind,
    role: FileRole,
}

/// The metadata of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// In octets.
    pub len: u64,
    /// When its content last changed.
    pub modified: SystemTime,
    /// When its content, its name or its metadata last changed.
    pub changed: SystemTime,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// The file system that it is on.
    pub device: u64,
    /// How many names it has.
    pub links: u64,
    /// The user id of its owner.
    pub owner: u32,
    /// The id of its group.
    pub group: u32,
}

/// The user id of root.
const ROOT: u32 = 0;

/// The bits that let others than the owner write.
const BY_OTHERS: u32 = 0o022;

impl Stat {
    /// Whether it belongs to this user, or to root.
    #[must_use]
    pub fn is_of(&self, user: u32) -> bool {
        self.owner == user || self.owner == ROOT
    }

    /// Whether its mode lets others than its owner write.
    #[must_use]
    pub fn is_writable_by_others(&self) -> bool {
        self.mode & BY_OTHERS != 0
    }
}

/// The metadata of a file, directory or link itself; `None` if it does not exist.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be examined.
pub fn stat(path: &Path, role: FileRole) -> Result<Option<Stat>> {
    stat_of(fs::symlink_metadata(path), path, role)
}

/// The same of what a link leads to.
///
/// # Errors
///
/// [`Error::Io`] when it cannot be examined.
pub fn stat_behind(path: &Path, role: FileRole) -> Result<Option<Stat>> {
    stat_of(fs::metadata(path), path, role)
}

fn stat_of(found: io::Result<fs::Metadata>, path: &Path, role: FileRole) -> Result<Option<Stat>> {
    let stat = found.and_then(|metadata| {
        Ok(Stat {
            len: metadata.len(),
            modified: metadata.modified()?,
            changed: time_of(metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.permissions().mode() & 0o7777,
            is_dir: metadata.is_dir(),
            device: metadata.dev(),
            links: metadata.nlink(),
            owner: metadata.uid(),
            group: metadata.gid(),
        })
    });
    match stat {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path, role, Operation::Examine)(error)),
    }
}

/// A time that a file system gave; the beginning of 1970 if it cannot be expressed.
fn time_of(seconds: i64, nanoseconds: i64) -> SystemTime {
    let fraction = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    time.and_then(|time| time.checked_add(fraction))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

impl Entry {
    /// Its current metadata; `None` if it has been removed since it was listed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be examined.
    pub fn stat(&self) -> Result<Option<Stat>> {
        stat(&self.path, self.role)
    }
}

/// The entries of a directory, sorted by the octets of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Regular files and directories.
    pub entries: Vec<Entry>,
    /// Symbolic links, devices, FIFOs and sockets, which are never read.
    pub skipped: Vec<PathBuf>,
    role: Option<FileRole>,
}

impl Listing {
    /// The entries, if nothing was skipped.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`] with the first skipped path.
    pub fn complete(self) -> Result<Vec<Entry>> {
        match (self.skipped.into_iter().next(), self.role) {
            (Some(path), Some(role)) => Err(Error::NotRegular { path, role }),
            _ => Ok(self.entries),
        }
    }
}

/// Lists a directory without its temporary files. A missing directory counts as empty.
///
/// # Errors
///
/// [`Error::Io`] when the directory cannot be read.
pub fn entries(dir: &Path, role: FileRole) -> Result<Listing> {
    let mut listing = Listing {
        role: Some(role),
        ..Listing::default()
    };
    for met in stream(dir, role)? {
        match met? {
            Visited::Entry(entry) => listing.entries.push(entry),
            Visited::Other(path) => listing.skipped.push(path),
        }
    }
    listing.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    listing.skipped.sort_unstable();
    Ok(listing)
}

/// The entries of one directory, one by one.
#[derive(Debug)]
pub struct DirStream {
    dir: PathBuf,
    role: FileRole,
    names: Option<DirNames>,
}

/// An entry from a [`DirStream`].
#[derive(Debug)]
pub enum Visited {
    /// A regular file or a directory.
    Entry(Entry),
    /// A symbolic link, device, FIFO or socket, which is never read.
    Other(PathBuf),
}

/// Lists a directory in the order of the file system, without its temporary files, in constant
/// memory. A missing directory counts as empty.
///
/// # Errors
///
/// [`Error::Io`] when the directory cannot be read.
pub fn stream(dir: &Path, role: FileRole) -> Result<DirStream> {
    let names = DirNames::of(dir).map_err(Error::io(dir, role, Operation::List))?;
    Ok(DirStream {
        dir: dir.to_owned(),
        role,
        names,
    })
}

impl Iterator for DirStream {
    type Item = Result<Visited>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, kind) = match self.names.as_mut()?.next()? {
                Ok(met) => met,
                Err(error) => {
                    let failed = Error::io(&self.dir, self.role, Operation::List);
                    return Some(Err(failed(error)));
                }
            };
            if is_temporary(&name) {
                continue;
            }
            let path = self.dir.join(&name);
            let role = self.role;
            return Some(Ok(match kind {
                Some(kind) => Visited::Entry(Entry {
                    path,
                    name,
                    kind,
                    role,
                }),
                None => Visited::Other(path),
            }));
        }
    }
}

/// The names in a directory, each with what it is, but for files and directories `None`.
///
/// The standard library's way to list a directory panics where closing it fails, as it may on a
/// network file system that has gone.
#[derive(Debug)]
struct DirNames(rustix::fs::Dir);

impl DirNames {
    /// `None` for a missing directory.
    fn of(dir: &Path) -> io::Result<Option<Self>> {
        let wanted = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::open(dir, wanted, Mode::empty())) {
            Ok(opened) => Ok(Some(Self(rustix::fs::Dir::new(opened)?))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What has this name, which the listing does not say on every file system; `None` if it has
    /// gone meanwhile.
    fn look_up(&self, name: &OsStr) -> io::Result<Option<FileType>> {
        match rustix::fs::statat(self.0.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Iterator for DirNames {
    type Item = io::Result<(OsString, Option<EntryKind>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let entry = match self.0.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let file_type = match entry.file_type() {
                FileType::Unknown => match self.look_up(name) {
                    Ok(Some(file_type)) => file_type,
                    Ok(None) => continue,
                    Err(error) => return Some(Err(error)),
                },
                file_type => file_type,
            };
            return Some(Ok((name.to_owned(), EntryKind::of(file_type))));
        }
    }
}

/// The files below a directory, in the order of the file system: to sort them, all names would have
/// to be in memory.
#[derive(Debug)]
pub struct TreeWalk {
    entries: walkdir::IntoIter,
    role: FileRole,
}

/// Walks a directory and those below it, without temporary files and those that only take a name.
/// Links are not followed, except
/// `dir` itself.
#[must_use]
pub fn walk(dir: &Path, role: FileRole) -> TreeWalk {
    let entries = walkdir::WalkDir::new(dir).into_iter();
    TreeWalk { entries, role }
}

impl Iterator for TreeWalk {
    type Item = Result<PathBuf>;

    /// The next file; [`Error::NotRegular`] for a link, device, FIFO or socket, [`Error::Io`] for a
    /// directory that cannot be listed.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.entries.next()? {
                // A user who names a link means its target.
                Ok(entry) if entry.depth() == 0 && entry.path().is_dir() => {}
                Ok(entry) if is_temporary(entry.file_name()) => {
                    if entry.file_type().is_dir() {
                        // A tree that was being removed when the run was killed (`retire_tree`).
                        self.entries.skip_current_dir();
                    }
                }
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) if entry.file_type().is_file() => {
                    let len = entry.metadata().map_or(u64::MAX, |found| found.len());
                    if !placeholder::is_at(entry.path(), len) {
                        return Some(Ok(entry.into_path()));
                    }
                }
                Ok(entry) => {
                    return Some(Err(Error::NotRegular {
                        path: entry.into_path(),
                        role: self.role,
                    }));
                }
                Err(error) => {
                    let path = error.path().map(Path::to_owned).unwrap_or_default();
                    // The text of walkdir's error would name the path again.
                    let cause = error.into_io_error();
                    let cause = cause.unwrap_or_else(|| Errno::LOOP.into());
                    return Some(Err(Error::io(&path, self.role, Operation::List)(cause)));
                }
            }
        }
    }
}

/// Calls `visit` with each entry of `dir`, in the order of the file system; a missing directory has
/// none.
pub(super) fn each(
    dir: &Path,
    role: FileRole,
    mut visit: impl FnMut(PathBuf, OsString, Option<EntryKind>) -> Result<()>,
) -> Result<()> {
    let failed = || Error::io(dir, role, Operation::List);
    for met in DirNames::of(dir).map_err(failed())?.into_iter().flatten() {
        let (name, kind) = met.map_err(failed())?;
        visit(dir.join(&name), name, kind)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn entries_are_sorted_and_others_set_apart() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".dot", ".relay-x.tmp"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("c")).unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        let listing = entries(dir.path(), FileRole::Spool).unwrap();
        let names: Vec<_> = listing
            .entries
            .iter()
            .map(|e| (e.name.to_str().unwrap(), e.kind))
            .collect();
        assert_eq!(
            names,
            [
                (".dot", EntryKind::File),
                ("a", EntryKind::File),
                ("b", EntryKind::File),
                ("c", EntryKind::Dir)
            ]
        );
        assert_eq!(listing.entries[0].stat().unwrap().unwrap().len, 4);
        assert_eq!(listing.skipped, [dir.path().join("link")]);
        assert!(
            matches!(listing.complete(), Err(Error::NotRegular { path, .. }) if path.ends_with("link"))
        );
    }

    #[test]
    fn a_stream_meets_what_a_listing_has() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".relay-x.tmp"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("c")).unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        let mut entries = Vec::new();
        let mut others = Vec::new();
        for met in stream(dir.path(), FileRole::Spool).unwrap() {
            match met.unwrap() {
                Visited::Entry(entry) => entries.push(entry),
                Visited::Other(path) => others.push(path),
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let listing = super::entries(dir.path(), FileRole::Spool).unwrap();
        assert_eq!((entries, others), (listing.entries, listing.skipped));
        let missing = stream(&dir.path().join("none"), FileRole::Spool).unwrap();
        assert_eq!(missing.count(), 0);
    }

    #[test]
    fn a_walk_meets_every_file_below() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        fs::create_dir(dir.path().join(".relay-gone.tmp")).unwrap();
        for name in ["z", "b/c/deep", "b/a", ".relay-x.tmp", ".relay-gone.tmp/x"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        symlink("z", dir.path().join("b/link")).unwrap();
        let mut met: Vec<_> = walk(dir.path(), FileRole::Input)
            .map(|met| match met {
                Ok(path) => path.strip_prefix(dir.path()).unwrap().display().to_string(),
                Err(error) => error.to_string(),
            })
            .collect();
        met.sort_unstable();
        assert_eq!(met, ["b/a", "b/c/deep", "not a regular file", "z"]);
        let missing = walk(&dir.path().join("none"), FileRole::Input)
            .next()
            .unwrap();
        let missing = missing.unwrap_err();
        assert!(missing.is_not_found());
        assert_eq!(
            missing.to_string(),
            "cannot list: No such file or directory"
        );
    }

    #[test]
    fn a_walk_begins_behind_a_link_and_follows_no_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("queue")).unwrap();
        fs::write(dir.path().join("queue/x"), "x").unwrap();
        symlink(dir.path(), dir.path().join("queue/back")).unwrap();
        let link = dir.path().join(".relay-link.tmp"); // a user who names it means it
        symlink("queue", &link).unwrap();
        let (files, others): (Vec<_>, Vec<_>) =
            walk(&link, FileRole::Input).partition(std::result::Result::is_ok);
        let files: Vec<_> = files.into_iter().map(std::result::Result::unwrap).collect();
        assert_eq!(files, [link.join("x")]);
        assert_eq!(others.len(), 1);
    }

    #[test]
    fn a_missing_directory_is_empty_and_a_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            entries(&dir.path().join("x"), FileRole::Node)
                .unwrap()
                .complete()
                .unwrap()
                .is_empty()
        );
        fs::write(dir.path().join("f"), "").unwrap();
        let error = entries(&dir.path().join("f"), FileRole::Node).unwrap_err();
        assert_eq!(error.doing(), Some(Operation::List));
    }

    #[test]
    fn an_entry_may_go() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "").unwrap();
        let listed = entries(dir.path(), FileRole::Node)
            .unwrap()
            .complete()
            .unwrap();
        fs::remove_file(dir.path().join("f")).unwrap();
        assert_eq!(listed[0].stat().unwrap(), None);
    }
}
