//! Joins the parts of several contents in one run, each into a file of its own, or of one content into a file
//! that is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::join::{Error, Join, Site, Whole};
use crate::disk::files::{self, FileId};
use crate::disk::{self, FileRole, IfExists, PublishOptions};
use crate::message::parts::{Ledger, TransferId};
use crate::message::{Part, file_name};

/// The most contents that are joined in one run, each of which takes an open file.
pub const MAX_TRANSFERS: usize = 200;

/// Where content is stored once it is whole.
#[derive(Debug, Clone)]
pub enum JoinTarget {
    /// In this directory, each content in a file of its own.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Whether files get the names that senders gave.
        keeps_names: bool,
    },
    /// In this file, which has room for one content.
    File(PathBuf),
    /// Nowhere: the caller gets one content.
    Caller,
}

/// How content is joined.
#[derive(Debug)]
pub struct JoinOptions {
    /// Where it is stored.
    pub target: JoinTarget,
    /// Whether it replaces another file of its name.
    pub replaces: bool,
    /// Whether the files that parts are read from may be removed afterwards.
    pub may_remove: bool,
    /// The directory for what cannot be put together in its own file.
    pub scratch: PathBuf,
}

/// Content cannot be stored.
#[derive(Debug)]
pub struct CannotStore {
    /// Its file, or the directory for it; `None` if it has none, or if the content itself is at fault.
    pub path: Option<PathBuf>,
    /// Why not.
    pub cause: Error,
}

/// Joins contents while their parts are read, in any order.
pub struct Joiner {
    options: JoinOptions,
    transfers: Vec<Transfer>,
    files: Vec<ReadFile>,
    /// About the file that is being read.
    current: CurrentFile,
    is_full: bool,
}

/// A regular file that was read to its end, and had nothing but parts in it.
#[derive(Debug)]
pub struct PartFile {
    /// Where it was.
    pub path: PathBuf,
    /// Which file it was.
    pub identity: FileId,
}

/// A file that may be removed once all contents are stored that its parts belong to.
#[derive(Debug)]
struct ReadFile {
    file: PartFile,
    transfers: Vec<TransferId>,
    /// Whether one of its parts is the last of a content.
    has_last: bool,
}

#[derive(Debug, Default)]
struct CurrentFile {
    transfers: Vec<TransferId>,
    has_last: bool,
    /// Whether it has a part of one content too many.
    has_more: bool,
}

/// What was read when all inputs are at their end.
pub struct JoinedParts {
    /// The contents, in the order in which their first parts came.
    pub transfers: Vec<Transfer>,
    /// Whether there were parts of more than [`MAX_TRANSFERS`] contents.
    pub is_full: bool,
    /// The files that the parts were read from.
    pub files: PartFiles,
}

/// Files that may be removed once their parts are of no use any more.
#[derive(Debug)]
pub struct PartFiles(Vec<ReadFile>);

/// A content, as far as its parts have come.
pub struct Transfer {
    /// What its parts belong to.
    pub id: TransferId,
    /// The name that its sender gave it, as its first part has it.
    pub name: Option<String>,
    /// The name of its file, instead of one that follows from the id.
    kept_name: Option<String>,
    state: TransferState,
}

enum TransferState {
    Joining(Box<Join>),
    /// Its parts contradict each other.
    Refused(Error),
}

/// Content that is whole.
pub enum StoredContent {
    /// It is in this file; `None` where it went into a device or FIFO that has no name of its sender's.
    Stored(Option<PathBuf>),
    /// It has no file.
    Unstored(Box<Whole>),
}

impl Joiner {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(options: JoinOptions) -> Self {
        Self {
            options,
            transfers: Vec::new(),
            files: Vec::new(),
            current: CurrentFile::default(),
            is_full: false,
        }
    }

    /// Whether there is a place for the content that a part belongs to: only a directory has one for a second.
    #[must_use]
    pub fn accepts(&self, part: &Part<'_>) -> bool {
        let id = part.header().transfer;
        matches!(self.options.target, JoinTarget::Directory { .. })
            || self.transfers.iter().all(|known| known.id == id)
    }

    /// Takes a part of an accepted content. One that contradicts those before it refuses the content; that of one
    /// content too many is left where it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn take(&mut self, part: &Part<'_>) -> Result<(), CannotStore> {
        let id = part.header().transfer;
        self.current.has_last |= part.header().is_last();
        if self.options.may_remove && !self.current.transfers.contains(&id) {
            self.current.transfers.push(id);
        }
        let known = self.transfers.iter_mut().find(|known| known.id == id);
        let Some(transfer) = known else {
            return self.begin(part);
        };
        let TransferState::Joining(join) = &mut transfer.state else {
            return Ok(());
        };
        match join.add(part) {
            Ok(_) => Ok(()),
            Err(error @ Error::Part(_)) => {
                transfer.state = TransferState::Refused(error);
                Ok(())
            }
            Err(cause) => Err(self.options.target.cannot_store(cause)),
        }
    }

    /// Takes the first part of a content.
    fn begin(&mut self, part: &Part<'_>) -> Result<(), CannotStore> {
        let id = part.header().transfer;
        if self.transfers.len() == MAX_TRANSFERS {
            self.current.has_more = true;
            return Ok(());
        }
        let name = part.header().name.clone();
        let keeps_names = matches!(
            self.options.target,
            JoinTarget::Directory {
                keeps_names: true,
                ..
            }
        );
        let kept_name = name.as_deref().filter(|_| keeps_names);
        let kept_name = kept_name.and_then(file_name::safe);
        let site = self.options.site(id, kept_name.is_some())?;
        let join = Join::begin(part, site);
        let join = join.map_err(|cause| self.options.target.cannot_store(cause))?;
        self.transfers.push(Transfer {
            id,
            name,
            kept_name,
            state: TransferState::Joining(Box::new(join)),
        });
        Ok(())
    }

    /// Takes note of the end of an input; `file` is the one that may be removed, unless something in it was no
    /// part.
    pub fn end_of_input(&mut self, file: Option<PartFile>) {
        let current = std::mem::take(&mut self.current);
        self.is_full |= current.has_more;
        // Parts that are left for another run are still needed.
        if let (true, false, Some(file)) = (self.options.may_remove, current.has_more, file) {
            self.files.push(ReadFile {
                file,
                transfers: current.transfers,
                has_last: current.has_last,
            });
        }
    }

    /// Ends reading: no more parts come. The contents are to be stored with [`Transfer::store`].
    #[must_use]
    pub fn finish(self) -> JoinedParts {
        JoinedParts {
            transfers: self.transfers,
            is_full: self.is_full,
            files: PartFiles(self.files),
        }
    }
}

impl PartFiles {
    /// Removes those of which all parts belong to these contents, which are on the disk.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove(&self, joined: &BTreeSet<TransferId>) -> disk::Result<()> {
        // The last part alone tells whether a file is what the parts make. A run that is killed here is recognised
        // by it, so it goes after the others.
        for has_last in [false, true] {
            let is_done = |read: &&ReadFile| read.transfers.iter().all(|id| joined.contains(id));
            let done = self.0.iter().filter(is_done);
            let done = done.filter(|read| read.has_last == has_last);
            let done = done.map(|read| (&*read.file.path, read.file.identity));
            files::remove_same(done, FileRole::Spool)?;
        }
        Ok(())
    }
}

impl JoinOptions {
    /// Where content is put together.
    fn site(&self, id: TransferId, has_kept_name: bool) -> Result<Site, CannotStore> {
        // A name that somebody else gave replaces nothing.
        let existing = if self.replaces && !has_kept_name {
            IfExists::Replace
        } else {
            IfExists::SameIsSuccess
        };
        let (path, options) = match &self.target {
            JoinTarget::Directory { dir, .. } => {
                (own_path(dir, id), PublishOptions::delivery(existing))
            }
            JoinTarget::File(file) => (file.clone(), PublishOptions::output(existing)),
            JoinTarget::Caller => return Ok(Site::aside(&self.scratch)),
        };
        let site = Site::file(&path, &options.unnamed(), &self.scratch);
        site.map_err(|error| cannot_store_in(path, error))
    }
}

impl JoinTarget {
    fn cannot_store(&self, cause: Error) -> CannotStore {
        let path = match self {
            Self::Directory { dir: path, .. } | Self::File(path) => Some(path.clone()),
            Self::Caller => None,
        };
        CannotStore { path, cause }
    }
}

impl Transfer {
    /// Which parts have come; `None` if they contradict each other.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        match &self.state {
            TransferState::Joining(join) => Some(join.ledger()),
            TransferState::Refused(_) => None,
        }
    }

    /// Stores the content if it is whole. If it is stored already, it does not matter which of its parts an
    /// earlier run has removed.
    ///
    /// # Errors
    /// When it is not whole, its parts contradict each other, or it cannot be stored.
    pub fn store(self, target: &JoinTarget) -> Result<StoredContent, CannotStore> {
        let unusable = |cause| CannotStore { path: None, cause };
        let kept_name = self.kept_name.as_deref();
        let join = match self.state {
            TransferState::Joining(join) => *join,
            TransferState::Refused(cause) => return Err(unusable(cause)),
        };
        if !join.ledger().is_complete()
            && let Some(path) = stored(target, self.id, kept_name, &join)?
        {
            return Ok(StoredContent::Stored(Some(path)));
        }
        let whole = join.verify().map_err(unusable)?;
        let path = match (target, kept_name) {
            (JoinTarget::Caller, _) => return Ok(StoredContent::Unstored(Box::new(whole))),
            (JoinTarget::File(file), _) => file.clone(),
            (JoinTarget::Directory { dir, .. }, Some(name)) => {
                let path = whole.publish_as(numbered(dir, name));
                let path = path.map_err(|error| cannot_store_in(dir.join(name), error))?;
                return Ok(StoredContent::Stored(path));
            }
            (JoinTarget::Directory { dir, .. }, None) => own_path(dir, self.id),
        };
        match whole.publish() {
            Ok(_) => Ok(StoredContent::Stored(Some(path))),
            Err(error) => Err(cannot_store_in(path, error)),
        }
    }
}

impl StoredContent {
    /// Its file; content without one is handed to `each`, block by block.
    ///
    /// # Errors
    /// What `each` gives, or when the content cannot be read back.
    pub fn file_or<E: From<disk::Error>>(
        self,
        each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<PathBuf>, E> {
        match self {
            Self::Stored(path) => Ok(path),
            Self::Unstored(whole) => whole.copy(each).map(|()| None),
        }
    }
}

/// The file that has the content already, if one does.
fn stored(
    target: &JoinTarget,
    id: TransferId,
    kept_name: Option<&str>,
    join: &Join,
) -> Result<Option<PathBuf>, CannotStore> {
    let (paths, role) = match (target, kept_name) {
        (JoinTarget::Directory { dir, .. }, Some(name)) => {
            (numbered(dir, name).collect(), FileRole::Delivery)
        }
        (JoinTarget::Directory { dir, .. }, None) => (vec![own_path(dir, id)], FileRole::Delivery),
        (JoinTarget::File(file), _) => (vec![file.clone()], FileRole::Output),
        (JoinTarget::Caller, _) => return Ok(None),
    };
    for path in paths.into_iter().take_while(|path| path.exists()) {
        match join.is_at(&path, role) {
            Ok(true) => return Ok(Some(path)),
            Ok(false) => {}
            Err(cause) => {
                let path = Some(path);
                return Err(CannotStore { path, cause });
            }
        }
    }
    Ok(None)
}

fn cannot_store_in(path: PathBuf, error: disk::Error) -> CannotStore {
    CannotStore {
        path: Some(path),
        cause: Error::Disk(error),
    }
}

/// The files in a directory that content may get which its sender calls `name`.
fn numbered(dir: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    file_name::numbered_names(name).map(|name| dir.join(name))
}

/// The file of content whose name is not known, or not kept.
fn own_path(dir: &Path, id: TransferId) -> PathBuf {
    dir.join(format!("{id}.content"))
}
