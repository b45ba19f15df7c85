//! A copy of directories as they are at one instant, though other programs go on changing them.
//!
//! Taking a file only opens it, under the locks of the caller. Then these may be released: a file that
//! is replaced or removed later keeps its octets as long as it is open, and of one that is appended to
//! only the octets of that instant are copied.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::names::{name_of, parent};
use super::new_tree::NewTree;
use super::open::open;
use super::tree::stat;
use super::{Error, FileRole, Operation, Result};

/// Descriptors that are left for everything else.
const SPARE: u64 = 64;

/// The most descriptors that are used: the kernel's default maximum.
const MOST: u64 = 1 << 20;

/// How many octets are copied at once.
const BLOCK: usize = 1 << 20;

/// A copy that is being made. It gets its name from [`TreeCopy::place`]; if it is dropped before,
/// nothing is left.
#[derive(Debug)]
#[must_use = "the copy is removed unless it is placed"]
pub struct TreeCopy {
    tree: NewTree,
    /// The path that it gets.
    target: PathBuf,
    held: Vec<HeldFile>,
    /// Directories that get their mode at the end, by their paths in the copy.
    dirs: Vec<(PathBuf, FileAccess)>,
    /// How many files may be held open.
    room: usize,
    block: Vec<u8>,
    totals: CopyTotals,
}

/// What a copy consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyTotals {
    /// Its files.
    pub files: usize,
    /// The octets of all files.
    pub octets: u64,
}

/// The permission bits and the group of a file or directory.
#[derive(Clone, Copy, Debug)]
struct FileAccess {
    mode: u32,
    group: u32,
}

/// A file that is held open.
#[derive(Debug)]
struct HeldFile {
    file: File,
    from: PathBuf,
    role: FileRole,
    /// Its path in the copy.
    to: PathBuf,
    len: u64,
    modified: SystemTime,
    access: FileAccess,
}

impl TreeCopy {
    /// Creates the copy that is to be called `target`, under a temporary name beside that.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`]; as [`NewTree::create`]; [`Error::CannotHold`] when the file system keeps no
    /// modes, so that others could read the copy.
    pub fn create(target: &Path) -> Result<Self> {
        let role = FileRole::Delivery;
        let path = target.to_owned();
        // Before anything is copied; `place` makes sure of it.
        if target.file_name().is_none() || stat(target, role)?.is_some() {
            return Err(Error::Exists { path, role });
        }
        let tree = NewTree::create(parent(target))?;
        tree.check_private()?;
        Ok(Self {
            tree,
            target: path,
            held: Vec::new(),
            dirs: Vec::new(),
            room: room(),
            block: Vec::new(),
            totals: CopyTotals::default(),
        })
    }

    /// Creates a directory in the copy that is to have the mode of `from`. Returns `false` if `from`
    /// has gone.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`], and as [`NewTree::make_dir`].
    pub fn dir(&mut self, from: &Path, to: &Path, role: FileRole) -> Result<bool> {
        let Some(found) = stat(from, role)? else {
            return Ok(false);
        };
        self.tree.make_dir(to)?;
        let (mode, group) = (found.mode, found.group);
        self.dirs.push((to.to_owned(), FileAccess { mode, group }));
        Ok(true)
    }

    /// Gives the copy itself the mode of `from` in the end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Examine`].
    pub fn top(&mut self, from: &Path, role: FileRole) -> Result<()> {
        if let Some(found) = stat(from, role)? {
            let (mode, group) = (found.mode, found.group);
            self.dirs.push((".".into(), FileAccess { mode, group }));
        }
        Ok(())
    }

    /// Takes a file as it is now. Where no more can be held open, the file is copied at once. A file
    /// that has gone is passed over.
    ///
    /// # Errors
    ///
    /// Those of reading the file ([`Error::NotRegular`], [`Error::Io`]), and those of writing the
    /// copy.
    pub fn file(&mut self, from: &Path, to: &Path, role: FileRole) -> Result<()> {
        let (file, len) = match open(from, role) {
            // Only the name is taken as yet.
            Err(error) if error.is_not_found() => return Ok(()),
            opened => opened?,
        };
        let found = file.metadata();
        let found = found.map_err(Error::io(from, role, Operation::Examine))?;
        let modified = found.modified();
        let held = HeldFile {
            from: from.to_owned(),
            role,
            to: to.to_owned(),
            len,
            modified: modified.map_err(Error::io(from, role, Operation::Examine))?,
            access: FileAccess {
                mode: found.permissions().mode() & 0o7777,
                group: found.gid(),
            },
            file,
        };
        if self.held.len() < self.room {
            self.held.push(held);
            return Ok(());
        }
        self.write(held)
    }

    /// Creates a file with these octets in the copy.
    ///
    /// # Errors
    ///
    /// As [`NewTree::create_file`] and [`NewFile::write`](super::new_tree::NewFile::write).
    pub fn octets(&mut self, to: &Path, octets: &[u8]) -> Result<()> {
        self.tree.create_file(to, false)?.write(octets)
    }

    /// Copies the files that are held open. `amiss` decides about one that cannot be read: if it
    /// takes the error, the copy goes on without that file.
    ///
    /// # Errors
    ///
    /// Those of `amiss`, and those of writing the copy.
    pub fn fill(&mut self, amiss: &mut dyn FnMut(Error) -> Result<()>) -> Result<()> {
        for held in std::mem::take(&mut self.held) {
            let role = held.role;
            match self.write(held) {
                Err(error) if error.role() == role => amiss(error)?,
                written => written?,
            }
        }
        Ok(())
    }

    /// Syncs the copy, and gives it its name. Returns what it consists of.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if the name is taken; [`Error::Io`] while [`Operation::Share`],
    /// [`Operation::Sync`] or [`Operation::Rename`].
    pub fn place(mut self) -> Result<CopyTotals> {
        for (path, access) in &self.dirs {
            self.tree.give(path, access.mode, access.group)?;
        }
        self.tree.sync()?;
        self.tree.place(name_of(&self.target))?;
        Ok(self.totals)
    }

    /// Copies a file. An error of reading it has its role; then it is not in the copy.
    fn write(&mut self, mut held: HeldFile) -> Result<()> {
        self.block.resize(BLOCK, 0);
        let mut new = self.tree.create_file(&held.to, false)?;
        let mut left = held.len;
        while left > 0 {
            let wanted = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
            match read(&mut held.file, &mut self.block[..wanted]) {
                // A record that a killed run left half written was cut off.
                Ok(0) => break,
                Ok(count) => {
                    new.write(&self.block[..count])?;
                    left -= count as u64;
                    self.totals.octets += count as u64;
                }
                Err(cause) => {
                    self.tree.discard(&held.to)?;
                    return Err(Error::io(&held.from, held.role, Operation::Read)(cause));
                }
            }
        }
        new.date(held.modified)?;
        self.totals.files += 1;
        self.tree
            .give(&held.to, held.access.mode, held.access.group)
    }
}

/// Reads some octets; none at the end.
fn read(file: &mut File, octets: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(octets) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// How many files may be held open: the soft limit is raised to the hard one.
fn room() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(MOST).min(MOST);
    let mut current = limit.current.unwrap_or(MOST).min(MOST);
    if current < most {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            current = most;
        }
    }
    usize::try_from(current.saturating_sub(SPARE)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::disk::testdir::{mode, names};

    const ROLE: FileRole = FileRole::Spool;

    #[test]
    fn a_copy_is_what_was_there_when_it_was_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["kept", "grown", "replaced", "removed"] {
            fs::write(path(name), name).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        let before = fs::metadata(path("kept")).unwrap().modified().unwrap();
        for room in [usize::MAX, 1] {
            let mut copy = TreeCopy::create(&dir.path().join("copy")).unwrap();
            copy.room = room;
            assert!(copy.dir(dir.path(), Path::new("in"), ROLE).unwrap());
            assert!(!copy.dir(&path("no"), Path::new("no"), ROLE).unwrap());
            for name in ["kept", "grown", "replaced", "removed", "gone"] {
                let to = Path::new("in").join(name);
                copy.file(&path(name), &to, ROLE).unwrap();
            }
            fs::write(path("grown"), "grown further").unwrap();
            fs::write(path("new"), "other").unwrap();
            fs::rename(path("new"), path("replaced")).unwrap();
            fs::remove_file(path("removed")).unwrap();
            copy.octets(Path::new("VERSION"), b"1\n").unwrap();
            copy.fill(&mut Err).unwrap();
            let totals = copy.place().unwrap();
            assert_eq!(
                totals,
                CopyTotals {
                    files: 4,
                    octets: 24
                }
            );
            for name in ["kept", "grown", "replaced", "removed"] {
                let copied = path("copy/in").join(name);
                assert_eq!(fs::read_to_string(&copied).unwrap(), name);
                assert_eq!(mode(&copied), 0o640);
            }
            let copied = fs::metadata(path("copy/in/kept")).unwrap();
            assert_eq!(copied.modified().unwrap(), before);
            assert_eq!(mode(&path("copy/in")), mode(dir.path()));
            fs::remove_dir_all(path("copy")).unwrap();
            for name in ["grown", "replaced", "removed"] {
                fs::write(path(name), name).unwrap();
                fs::set_permissions(path(name), fs::Permissions::from_mode(0o640)).unwrap();
            }
        }
    }

    #[test]
    fn a_name_that_is_taken_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "content").unwrap();
        let target = dir.path().join("copy");
        let mut copy = TreeCopy::create(&target).unwrap();
        copy.file(&dir.path().join("f"), Path::new("f"), ROLE)
            .unwrap();
        copy.fill(&mut Err).unwrap();
        fs::create_dir(&target).unwrap();
        assert!(matches!(copy.place(), Err(Error::Exists { .. })));
        let late = TreeCopy::create(&target);
        assert!(matches!(late, Err(Error::Exists { .. })));
        assert!(names(&dir.path().join("copy")).is_empty());
        assert_eq!(names(dir.path()), ["copy", "f"]);
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let mut copy = TreeCopy::create(&dir.path().join("copy")).unwrap();
        let error = copy.file(&dir.path().join("link"), Path::new("link"), ROLE);
        assert!(matches!(error, Err(Error::NotRegular { .. })));
        drop(copy);
        assert_eq!(names(dir.path()), ["link"]);
    }
}
