//! A backup: a copy of a node directory as it is at one instant, its local endpoints included.
//!
//! The caller holds the locks ([`lock`]) for [`Backup::take`] alone, which opens files and reads none.
//! Messages come before what is known of them: without `lock/queue` of the local endpoints, a message
//! may be delivered meanwhile, and is then both waiting and remembered as delivered, as after a crash,
//! or neither. `failed` is last of the queues, since relay-deliver moves messages there.
//!
//! A backup is no node until [`restore`](super::restore) has made it one.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::check_node::shape_in_node;
use crate::disk::copy::{CopyTotals, TreeCopy};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, Lock};
use crate::node::{Directory, Error, endpoints};
use crate::spool::{self, hosts, served};

/// Directories of a node that are not in a backup: locks do not outlive a run.
const LOCKS: &str = "lock";

/// The locks under which nothing moves or is forgotten in a node and its local endpoints.
#[derive(Debug, Default)]
#[must_use = "the locks are released when this is dropped"]
pub struct BackupLocks {
    held: Vec<Lock>,
    /// Whether a lock could not be made, since nothing can be written here.
    pub is_incomplete: bool,
}

/// Takes the locks of a node and its local endpoints: they are held together or not at all. `None` if
/// another run holds one.
///
/// # Errors
/// When a lock file cannot be made or locked, unless the file system is read-only.
pub fn lock(node: &Directory) -> Result<Option<BackupLocks>, Error> {
    let mut locks = BackupLocks::default();
    // Waited for, as by all programs: no run holds it long, and none takes others under it.
    if !locks.take(node, "node", |path| Lock::exclusive(path).map(Some))?
        || !locks.take(node, "queue", Lock::try_exclusive)?
    {
        return Ok(None);
    }
    for endpoint in endpoints::paths(node.root())? {
        // One that cannot be used does not change either.
        if let Ok(endpoint) = Directory::open(&endpoint)
            && !locks.take(&endpoint, "node", Lock::try_exclusive)?
        {
            return Ok(None);
        }
    }
    Ok(Some(locks))
}

impl BackupLocks {
    /// Takes a lock of a node. Returns `false` if another run holds it.
    fn take(
        &mut self,
        node: &Directory,
        name: &str,
        take: impl Fn(&Path) -> disk::Result<Option<Lock>>,
    ) -> Result<bool, Error> {
        let taken = node.lock_file(name).and_then(|path| Ok(take(&path)?));
        let lock = match taken {
            // A file that is there can be locked all the same, and excludes those who may write.
            Err(Error::Disk(error)) if error.io_kind() == Some(ErrorKind::ReadOnlyFilesystem) => {
                let path = node.root().join(LOCKS).join(name);
                let found = Lock::try_read_only(&path)?;
                self.is_incomplete |= matches!(found, Some(None));
                found
            }
            taken => taken?.map(Some),
        };
        let is_free = lock.is_some();
        self.held.extend(lock.flatten());
        Ok(is_free)
    }
}

/// What is not in a backup.
#[derive(Debug)]
pub enum Omitted {
    /// A message, or a file or directory that no program made, that cannot be read or is not regular.
    Unreadable(disk::Error),
    /// The local endpoint of another user.
    OfAnother(PathBuf),
}

/// Called with what is not in the backup.
pub type OnOmitted<'a> = &'a mut dyn FnMut(&Omitted);

/// A backup that is being made. If it is dropped before [`Backup::finish`], nothing is left.
#[must_use = "the backup is removed unless it is finished"]
pub struct Backup {
    copy: TreeCopy,
    /// The directories that become nodes, by their paths in the copy.
    nodes: Vec<PathBuf>,
    /// The node.
    root: PathBuf,
}

impl Backup {
    /// Begins a backup that is to be called `target`.
    ///
    /// # Errors
    /// As [`TreeCopy::create`].
    pub fn create(target: &Path) -> Result<Self, Error> {
        Ok(Self {
            copy: TreeCopy::create(target)?,
            nodes: Vec::new(),
            root: PathBuf::new(),
        })
    }

    /// Takes everything as it is now. The caller holds the locks.
    ///
    /// # Errors
    /// When a key or record of a node cannot be opened; when the copy cannot be written.
    pub fn take(&mut self, node: &Directory, each: OnOmitted<'_>) -> Result<(), Error> {
        node.root().clone_into(&mut self.root);
        self.copy.top(node.root(), FileRole::Node)?;
        self.node(node.root(), Path::new(""), each)
    }

    /// Copies what was taken, syncs it, and gives the backup its name.
    ///
    /// # Errors
    /// When the copy cannot be written, or the name is taken.
    pub fn finish(mut self, each: OnOmitted<'_>) -> Result<CopyTotals, Error> {
        let root = &self.root;
        self.copy.fill(&mut |error| omit(root, error, each))?;
        // Last, as in a node that is made.
        for node in &self.nodes {
            let version = Directory::backup_version();
            self.copy.octets(&node.join(VERSION), version.as_bytes())?;
        }
        Ok(self.copy.place()?)
    }

    fn node(&mut self, from: &Path, to: &Path, each: OnOmitted<'_>) -> Result<(), Error> {
        let entries = self.listed(from, FileRole::Node, each)?.into_iter();
        let mut entries: Vec<_> = entries
            .filter(|entry| Directory::is_entry(&entry.name) && entry.name != LOCKS)
            .collect();
        // Messages before what is known of them.
        entries.sort_by_key(|entry| entry.name != spool::SPOOL);
        for entry in entries {
            let to = to.join(&entry.name);
            if entry.kind == EntryKind::File && entry.name == VERSION {
                self.nodes
                    .push(to.parent().map(Path::to_owned).unwrap_or_default());
            } else if entry.name == spool::SPOOL {
                self.tree(&entry, &to, FileRole::Spool, each)?;
            } else if entry.kind == EntryKind::Dir && entry.name == endpoints::FOLDER {
                self.endpoints(&entry, &to, each)?;
            } else {
                self.tree(&entry, &to, FileRole::Node, each)?;
            }
        }
        Ok(())
    }

    /// The local endpoints of the node's own user.
    fn endpoints(
        &mut self,
        folder: &tree::Entry,
        to: &Path,
        each: OnOmitted<'_>,
    ) -> Result<(), Error> {
        self.copy.dir(&folder.path, to, FileRole::Node)?;
        for entry in self.listed(&folder.path, FileRole::Node, each)? {
            let to = to.join(&entry.name);
            if entry.kind != EntryKind::Dir {
                self.tree(&entry, &to, FileRole::Node, each)?;
            } else if disk::files::is_of_another(&entry.path, FileRole::Node)? {
                each(&Omitted::OfAnother(entry.path));
            } else if self.copy.dir(&entry.path, &to, FileRole::Node)? {
                self.node(&entry.path, &to, each)?;
            }
        }
        Ok(())
    }

    /// A file, or a directory with what is in it.
    fn tree(
        &mut self,
        entry: &tree::Entry,
        to: &Path,
        role: FileRole,
        each: OnOmitted<'_>,
    ) -> Result<(), Error> {
        if is_left_out(to) {
            return Ok(());
        }
        if entry.kind == EntryKind::File {
            return match self.copy.file(&entry.path, to, role) {
                Err(error) if error.role() == role => Ok(omit(&self.root, error, each)?),
                taken => Ok(taken?),
            };
        }
        if !self.copy.dir(&entry.path, to, role)? || is_temporary(to) {
            return Ok(());
        }
        let mut entries = self.listed(&entry.path, role, each)?;
        // In the order in which messages move.
        entries.sort_by_key(|entry| place(&entry.name));
        for entry in entries {
            let to = to.join(&entry.name);
            self.tree(&entry, &to, role, each)?;
        }
        Ok(())
    }

    /// What is in a directory. What is no file or directory is not, and neither is what is in a folder
    /// of the spool, or of none of our programs, that cannot be listed.
    fn listed(
        &self,
        dir: &Path,
        role: FileRole,
        each: OnOmitted<'_>,
    ) -> Result<Vec<tree::Entry>, Error> {
        let listing = match tree::entries(dir, role) {
            Err(error) => {
                omit(&self.root, error, each)?;
                return Ok(Vec::new());
            }
            Ok(listing) => listing,
        };
        for path in listing.skipped {
            let is_ours = path.file_name().is_none_or(Directory::is_entry);
            // Beside a node users may keep what they like.
            if (role == FileRole::Spool && !is_left_out(&path))
                || is_ours && role != FileRole::Spool
            {
                each(&Omitted::Unreadable(disk::Error::NotRegular { path, role }));
            }
        }
        Ok(listing.entries)
    }
}

/// The file that makes a directory a node.
const VERSION: &str = "VERSION";

/// Where a folder of the spool stands in the order in which messages move.
fn place(name: &OsStr) -> u8 {
    match name.to_str() {
        Some("in") => 0,
        Some("home") => 1,
        Some("failed") => 3,
        _ => 2,
    }
}

/// Whether it is the folder of a spool for files that are being written.
fn is_temporary(path: &Path) -> bool {
    path.ends_with(Path::new(spool::SPOOL).join(spool::TMP))
}

/// Whether it is the ledger of a spool, what it knows of servers, or what its own server did: all are of no use elsewhere
/// or later.
fn is_left_out(path: &Path) -> bool {
    let mut names = [spool::LEDGER, hosts::FOLDER, served::FOLDER].into_iter();
    names.any(|name| path.ends_with(Path::new(spool::SPOOL).join(name)))
}

/// Goes on without a message, or a file that none of our programs made, that cannot be read. Without a
/// key or a record, a backup would be worth nothing when it is needed.
fn omit(root: &Path, error: disk::Error, each: OnOmitted<'_>) -> disk::Result<()> {
    let is_needed = error.role() != FileRole::Spool && is_ours(root, error.path());
    if !is_needed && (error.is_of_reading() || is_no_file(&error)) {
        each(&Omitted::Unreadable(error));
        return Ok(());
    }
    Err(error)
}

/// Whether programs make such a file or directory in the node in `root`, or in an endpoint of it.
fn is_ours(root: &Path, path: &Path) -> bool {
    let parts = path.strip_prefix(root).unwrap_or(path).iter();
    // A name that is no text is none of ours.
    let Some(parts): Option<Vec<&str>> = parts.map(OsStr::to_str).collect() else {
        return false;
    };
    let parts = match &parts[..] {
        [endpoints::FOLDER, _, own @ ..] if !own.is_empty() => own,
        own => own,
    };
    let kinds = [EntryKind::File, EntryKind::Dir];
    parts.is_empty()
        || kinds
            .iter()
            .any(|kind| shape_in_node(parts, *kind, false).is_some())
}

fn is_no_file(error: &disk::Error) -> bool {
    matches!(error, disk::Error::NotRegular { .. })
}
