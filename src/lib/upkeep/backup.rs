//! A backup: a copy of a node directory as it is at one instant, its local endpoints included.
//!
//! The caller holds the locks ([`lock`]) for [`Backup::take`] alone, which opens files and reads none.
//! Messages come before what is known of them: without `lock/queue` of the local endpoints, a message
//! may be delivered meanwhile, and is then both waiting and remembered as delivered, as after a crash,
//! or neither. `failed` is last of the queues, since relay-deliver moves messages there.
//!
//! A backup is no node until [`restore`](super::restore) has made it one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::disk::copy::{CopyTotals, TreeCopy};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{self, FileRole, Lock};
use crate::node::{Directory, Error, endpoints};
use crate::spool;

/// Directories of a node that are not in a backup: locks do not outlive a run.
const LOCKS: &str = "lock";

/// Takes the locks under which nothing moves or is forgotten in a node and its local endpoints: they
/// are held together or not at all. `None` if another run holds one.
///
/// # Errors
/// When a lock file cannot be made or locked.
pub fn lock(node: &Directory) -> Result<Option<Vec<Lock>>, Error> {
    // Waited for, as by all programs: no run holds it long, and none takes others under it.
    let mut locks = vec![Lock::exclusive(&node.lock_file("node")?)?];
    let mut paths = vec![node.lock_file("queue")?];
    for endpoint in endpoints::paths(node.root())? {
        // One that cannot be used does not change either.
        if let Ok(endpoint) = Directory::open(&endpoint) {
            paths.push(endpoint.lock_file("node")?);
        }
    }
    for path in paths {
        match Lock::try_exclusive(&path)? {
            Some(lock) => locks.push(lock),
            None => return Ok(None),
        }
    }
    Ok(Some(locks))
}

/// What is not in a backup.
#[derive(Debug)]
pub enum Omitted {
    /// A file or directory of this node that cannot be read, or is none.
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
        })
    }

    /// Takes everything as it is now. The caller holds the locks.
    ///
    /// # Errors
    /// When a file of a node, other than a message, cannot be opened; when the copy cannot be written.
    pub fn take(&mut self, node: &Directory, each: OnOmitted<'_>) -> Result<(), Error> {
        self.copy.top(node.root(), FileRole::Node)?;
        self.node(node.root(), Path::new(""), each)
    }

    /// Copies what was taken, syncs it, and gives the backup its name.
    ///
    /// # Errors
    /// When the copy cannot be written, or the name is taken.
    pub fn finish(mut self, each: OnOmitted<'_>) -> Result<CopyTotals, Error> {
        self.copy.fill(&mut |error| omit(error, each))?;
        // Last, as in a node that is made.
        for node in &self.nodes {
            let version = Directory::backup_version();
            self.copy.octets(&node.join(VERSION), version.as_bytes())?;
        }
        Ok(self.copy.place()?)
    }

    fn node(&mut self, from: &Path, to: &Path, each: OnOmitted<'_>) -> Result<(), Error> {
        let entries = listed(from, FileRole::Node, each)?.into_iter();
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
        for entry in listed(&folder.path, FileRole::Node, each)? {
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
        if entry.kind == EntryKind::File {
            return match self.copy.file(&entry.path, to, role) {
                Err(error) if error.role() == role => Ok(omit(error, each)?),
                taken => Ok(taken?),
            };
        }
        if !self.copy.dir(&entry.path, to, role)? || is_temporary(to) {
            return Ok(());
        }
        let mut entries = listed(&entry.path, role, each)?;
        // In the order in which messages move.
        entries.sort_by_key(|entry| place(&entry.name));
        for entry in entries {
            let to = to.join(&entry.name);
            self.tree(&entry, &to, role, each)?;
        }
        Ok(())
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

/// What is in a directory. What is no file or directory is not, and neither is what is in a folder of
/// the spool that cannot be listed.
fn listed(dir: &Path, role: FileRole, each: OnOmitted<'_>) -> Result<Vec<tree::Entry>, Error> {
    let listing = match tree::entries(dir, role) {
        Err(error) => {
            omit(error, each)?;
            return Ok(Vec::new());
        }
        Ok(listing) => listing,
    };
    for path in listing.skipped {
        let is_ours = path.file_name().is_none_or(Directory::is_entry);
        // Beside a node users may keep what they like.
        if role == FileRole::Spool || is_ours {
            each(&Omitted::Unreadable(disk::Error::NotRegular { path, role }));
        }
    }
    Ok(listing.entries)
}

/// Goes on without a message that cannot be read. Without a key or a record, a backup would be worth
/// nothing when it is needed.
fn omit(error: disk::Error, each: OnOmitted<'_>) -> disk::Result<()> {
    if error.role() == FileRole::Spool && (error.is_of_reading() || is_no_file(&error)) {
        each(&Omitted::Unreadable(error));
        return Ok(());
    }
    Err(error)
}

fn is_no_file(error: &disk::Error) -> bool {
    matches!(error, disk::Error::NotRegular { .. })
}
