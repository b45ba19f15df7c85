//! Joins the parts of several contents in one run, each into its own file, or those of one content
//! into a named file.

use std::collections::BTreeSet;
use std::iter;
use std::path::{Path, PathBuf};

use super::join::{Error, Join, Site, Whole};
use crate::disk::files::{self, FileId, FileSet};
use crate::disk::{self, FileRole, IfExists, PublishOptions};
use crate::message::parts::{Ledger, TransferId};
use crate::message::{Part, file_name};

/// Maximum number of contents joined in one run: each needs an open file.
pub const MAX_TRANSFERS: usize = 200;

/// The destination of joined content.
#[derive(Debug, Clone)]
pub enum JoinTarget {
    /// A directory, with a file for each content.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Whether files get the names that their senders gave them.
        keeps_names: bool,
    },
    /// A directory, in which the caller makes something of each content.
    Workplace(PathBuf),
    /// A file, for one content only.
    File(PathBuf),
    /// No file: the caller gets one content.
    Caller,
}

/// Options of a [`Joiner`].
#[derive(Debug)]
pub struct JoinOptions {
    /// The destination.
    pub target: JoinTarget,
    /// Whether it replaces an existing file.
    pub replaces: bool,
    /// The files that it does not replace for all that.
    pub spared: &'static FileSet,
    /// Whether the files of parts may be removed afterwards.
    pub may_remove: bool,
    /// The directory for scratch files, for content that cannot be joined in its final file.
    pub scratch: PathBuf,
}

/// The error for content that cannot be stored.
#[derive(Debug)]
pub struct CannotStore {
    /// Its file or directory; `None` if it has none, or if the content itself is the cause.
    pub path: Option<PathBuf>,
    /// The cause.
    pub cause: Error,
}

/// Joins contents while their parts are read, in any order.
pub struct Joiner {
    options: JoinOptions,
    transfers: Vec<Transfer>,
    files: Vec<ReadFile>,
    /// The state of the file that is being read.
    current: CurrentFile,
    is_full: bool,
}

/// A regular file that was read to its end and contained only parts.
#[derive(Debug)]
pub struct PartFile {
    /// Its path.
    pub path: PathBuf,
    /// The identity of the file that was read.
    pub identity: FileId,
}

/// A file that may be removed once all contents of its parts are stored.
#[derive(Debug)]
struct ReadFile {
    file: PartFile,
    transfers: Vec<TransferId>,
    /// Whether it contains the last part of a content.
    has_last: bool,
}

#[derive(Debug, Default)]
struct CurrentFile {
    transfers: Vec<TransferId>,
    has_last: bool,
    /// Whether it contains a part beyond [`MAX_TRANSFERS`].
    has_more: bool,
}

/// The result of reading all inputs.
pub struct JoinedParts {
    /// The contents, in the order in which they first appeared.
    pub transfers: Vec<Transfer>,
    /// Whether there were parts of more than [`MAX_TRANSFERS`] contents.
    pub is_full: bool,
    /// The files that the parts were read from.
    pub files: PartFiles,
}

/// Files that may be removed once their parts are no longer needed.
#[derive(Debug)]
pub struct PartFiles(Vec<ReadFile>);

/// A content whose parts are being joined.
pub struct Transfer {
    /// The id that its parts have in common.
    pub id: TransferId,
    /// The name that its sender gave it, from the part that came first.
    pub name: Option<String>,
    /// The name of its file, if it is not derived from the id.
    kept_name: Option<String>,
    state: TransferState,
}

enum TransferState {
    Joining(Box<Join>),
    /// Its parts contradict each other.
    Refused(Error),
}

/// Content that is complete.
pub enum StoredContent {
    /// It is in this file; `None` for a device or FIFO, which gets no name.
    Stored(Option<PathBuf>),
    /// It has no file.
    Unstored(Box<Whole>),
}

impl Joiner {
    /// A joiner that has seen no part.
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

    /// Whether the target can hold the content of a part: only a directory holds more than one.
    #[must_use]
    pub fn accepts(&self, part: &Part<'_>) -> bool {
        let id = part.header().transfer;
        matches!(
            self.options.target,
            JoinTarget::Directory { .. } | JoinTarget::Workplace(_)
        ) || self.transfers.iter().all(|known| known.id == id)
    }

    /// Takes a part of an accepted content. If it contradicts earlier ones, the content is refused;
    /// if it is beyond [`MAX_TRANSFERS`], it is ignored and its file stays.
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
                // This content cannot be joined, but the others can.
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

    /// Ends an input. `file` is the file that was read, if it may be removed: it contained nothing
    /// but parts.
    pub fn end_of_input(&mut self, file: Option<PartFile>) {
        let current = std::mem::take(&mut self.current);
        self.is_full |= current.has_more;
        // Another run still needs the parts beyond the maximum.
        if let (true, false, Some(file)) = (self.options.may_remove, current.has_more, file) {
            self.files.push(ReadFile {
                file,
                transfers: current.transfers,
                has_last: current.has_last,
            });
        }
    }

    /// Ends reading. The caller stores the contents with [`Transfer::store`].
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
    /// Removes the files whose parts all belong to `joined`: contents that are on disk.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove(&self, joined: &BTreeSet<TransferId>) -> disk::Result<()> {
        // The last part goes last: it alone shows that a stored file is the joined content, from
        // which the next run recognises that this one was killed here.
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
    /// The file that content is joined in.
    fn site(&self, id: TransferId, has_kept_name: bool) -> Result<Site, CannotStore> {
        // A sender's choice of name must not replace a file of the user.
        let existing = if self.replaces && !has_kept_name {
            IfExists::Replace
        } else {
            IfExists::SameIsSuccess
        };
        let (path, options) = match &self.target {
            JoinTarget::Directory { dir, .. } | JoinTarget::Workplace(dir) => {
                (own_path(dir, id), PublishOptions::delivery(existing))
            }
            JoinTarget::File(file) => (file.clone(), PublishOptions::output(existing)),
            JoinTarget::Caller => return Ok(Site::aside(&self.scratch)),
        };
        let options = options.sparing(self.spared);
        let site = Site::file(&path, &options, &self.scratch);
        site.map_err(|error| cannot_store_in(path, error))
    }
}

impl JoinTarget {
    fn cannot_store(&self, cause: Error) -> CannotStore {
        let path = match self {
            Self::Directory { dir: path, .. } | Self::Workplace(path) | Self::File(path) => {
                Some(path.clone())
            }
            Self::Caller => None,
        };
        CannotStore { path, cause }
    }
}

impl Transfer {
    /// The parts that have come; `None` if they contradict each other.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        match &self.state {
            TransferState::Joining(join) => Some(join.ledger()),
            TransferState::Refused(_) => None,
        }
    }

    /// Stores the content if it is complete, or if an earlier run stored it already and removed
    /// some of its parts.
    ///
    /// # Errors
    /// When it is incomplete, its parts contradict each other, or it cannot be stored.
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
        let mut whole = join.verify().map_err(unusable)?;
        let path = match (target, kept_name) {
            (JoinTarget::Caller | JoinTarget::Workplace(_), _) => {
                return Ok(StoredContent::Unstored(Box::new(whole)));
            }
            (JoinTarget::File(file), _) => file.clone(),
            (JoinTarget::Directory { dir, .. }, Some(name)) => {
                let path = whole.publish_as(lists(dir, name, self.id));
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
    /// Returns its file; content without one is passed to `each`, block by block.
    ///
    /// # Errors
    /// Any error of `each`, or when the content cannot be read back.
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

/// The file that already has the content, if there is one.
fn stored(
    target: &JoinTarget,
    id: TransferId,
    kept_name: Option<&str>,
    join: &Join,
) -> Result<Option<PathBuf>, CannotStore> {
    let only = |path| vec![Box::new(iter::once(path)) as PathList];
    let (lists, role) = match (target, kept_name) {
        (JoinTarget::Directory { dir, .. }, Some(name)) => {
            (lists(dir, name, id), FileRole::Delivery)
        }
        (JoinTarget::Directory { dir, .. }, None) => (only(own_path(dir, id)), FileRole::Delivery),
        (JoinTarget::File(file), _) => (only(file.clone()), FileRole::Output),
        (JoinTarget::Caller | JoinTarget::Workplace(_), _) => return Ok(None),
    };
    // Names are taken in order, so the content has none after the first free one of a list.
    let lists = lists.into_iter();
    for path in lists.flat_map(|list| list.take_while(|path| path.exists())) {
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

/// Paths that are tried one after the other.
type PathList = Box<dyn Iterator<Item = PathBuf>>;

/// The possible files in a directory for content that its sender named `name`. Those of a later list
/// are used only if the file system refuses the names before it.
fn lists(dir: &Path, name: &str, id: TransferId) -> Vec<PathList> {
    let mut lists: Vec<PathList> = Vec::new();
    for name in file_name::spellings(name) {
        let path = dir.join(&name);
        let counts = 1..file_name::MAX_NUMBERED;
        lists.push(Box::new(counts.map(move |count| {
            path.with_file_name(file_name::numbered(&name, count))
        })));
    }
    lists.push(Box::new(iter::once(own_path(dir, id))));
    lists
}

/// The file of content without a name, or whose name is not kept.
fn own_path(dir: &Path, id: TransferId) -> PathBuf {
    dir.join(format!("{id}.content"))
}
