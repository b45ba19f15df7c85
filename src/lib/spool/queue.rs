//! A directory of messages.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Error, Name, QueueId};
use crate::disk::dir::{Dir, DirEntry};
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{self, FileRole, OpenFile, files};
use crate::ramf::limits;

/// A directory of messages, each in a file of its own.
#[derive(Debug, Clone)]
pub struct Queue {
    dir: PathBuf,
    place: QueueId,
}

/// An entry of a queue.
#[derive(Debug)]
pub enum QueueEntry {
    /// A message, according to its name; it has not been read.
    Message(Waiting),
    /// An unknown file or directory.
    Unexpected(PathBuf),
}

/// A waiting message.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// Its parsed file name.
    pub name: Name,
}

impl Waiting {
    /// Its length in octets; `None` if it has been removed since it was listed.
    ///
    /// # Errors
    /// When its file cannot be examined.
    pub fn len(&self) -> Result<Option<u64>, Error> {
        Ok(tree::stat(&self.path, FileRole::Spool)?.map(|stat| stat.len))
    }

    /// When its file was last written; `None` if it has been removed since it was listed.
    ///
    /// # Errors
    /// When its file cannot be examined.
    pub fn stored(&self) -> Result<Option<Timestamp>, Error> {
        let stat = tree::stat(&self.path, FileRole::Spool)?;
        // A time out of range comes from a broken clock or file system: it proves no age.
        Ok(stat.map(|stat| Timestamp::try_from(stat.modified).unwrap_or(Timestamp::MAX)))
    }

    /// Its length in octets, to plan memory; the maximum of any message if it is unknown.
    #[must_use]
    pub fn len_or_most(&self) -> usize {
        let len = self.len().ok().flatten();
        let len = len.and_then(|len| usize::try_from(len).ok());
        len.unwrap_or(limits::MAX_MESSAGE_LEN)
    }

    /// Its octets; `None` if it has been removed since it was listed.
    ///
    /// # Errors
    /// When its file cannot be read, or is not a regular one.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        self.read_into(Vec::new())
    }

    /// As [`Waiting::read`], into a buffer that is reused.
    ///
    /// # Errors
    /// As [`Waiting::read`].
    pub fn read_into(&self, octets: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.read_with_owner(octets)?.map(|(octets, _)| octets))
    }

    /// Opens its file, to be read in parts; `None` if it has been removed since it was listed.
    ///
    /// # Errors
    /// As [`Waiting::read`].
    pub fn open(&self) -> Result<Option<OpenFile>, Error> {
        match OpenFile::open(&self.path, FileRole::Spool) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Waiting::read_into`], with the owner of the file that was read: it may have been
    /// exchanged since it was listed.
    ///
    /// # Errors
    /// As [`Waiting::read`].
    pub fn read_with_owner(&self, octets: Vec<u8>) -> Result<Option<(Vec<u8>, u32)>, Error> {
        let limit = limits::MAX_MESSAGE_LEN;
        match files::read_with_owner(octets, &self.path, FileRole::Spool, limit) {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The order of waiting messages: higher priority first, then earlier expiry, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    urgency: Reverse<u8>,
    expiry: Timestamp,
    name: OsString,
}

/// A message that is ordered by its rank.
struct Ranked(Rank, Waiting);

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Waiting {
    /// Its rank among waiting messages.
    #[must_use]
    pub fn rank(&self) -> Rank {
        Rank {
            urgency: Reverse(self.name.urgency()),
            expiry: self.name.expiry,
            name: self.path.file_name().unwrap_or_default().to_owned(),
        }
    }
}

impl Queue {
    pub(super) fn new(dir: PathBuf, place: QueueId) -> Self {
        Self { dir, place }
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which queue it is.
    #[must_use]
    pub fn place(&self) -> QueueId {
        self.place
    }

    /// Waits until a message that is in it is on the disk.
    ///
    /// # Errors
    /// When it cannot be synced.
    pub(super) fn sync(&self, name: &Name) -> Result<(), Error> {
        let path = self.path_of(name);
        if files::exists(&path, FileRole::Spool)? {
            files::sync(&path, FileRole::Spool)?;
            files::sync_dir(&self.dir, FileRole::Spool)?;
        }
        Ok(())
    }

    /// The message in the file of this name; `None` if it is not the name of a message.
    pub(super) fn waiting_in(&self, file: &OsStr) -> Option<Waiting> {
        let name = file.to_str()?.parse().ok()?;
        Some(Waiting {
            path: self.dir.join(file),
            name,
        })
    }

    /// The message of this name; its file need not exist.
    #[must_use]
    pub fn waiting(&self, name: Name) -> Waiting {
        let path = self.path_of(&name);
        Waiting { path, name }
    }

    /// The file of a message of this name.
    #[must_use]
    pub fn path_of(&self, name: &Name) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Its entries in the order of the file system, in constant memory. `.why` files are skipped.
    ///
    /// # Errors
    /// When it cannot be listed; one that does not exist counts as empty. The iterator of a
    /// [closed](Self::is_closed) queue gives [`Error::Closed`].
    pub fn entries(
        &self,
    ) -> Result<impl Iterator<Item = Result<QueueEntry, Error>> + use<>, Error> {
        let is_aside = self.place == QueueId::Failed;
        let found = move |met: Visited| match met {
            Visited::Entry(entry) => {
                let name = entry.name.to_str().unwrap_or_default();
                if is_aside && name.ends_with(WHY) {
                    return None;
                }
                Some(match (entry.kind, name.parse()) {
                    (EntryKind::File, Ok(name)) => QueueEntry::Message(Waiting {
                        path: entry.path,
                        name,
                    }),
                    _ => QueueEntry::Unexpected(entry.path),
                })
            }
            Visited::Other(path) => Some(QueueEntry::Unexpected(path)),
        };
        let entries = self.stream()?;
        let closed = entries
            .is_none()
            .then(|| Err(Error::Closed(self.dir.clone())));
        let entries = entries.into_iter().flatten();
        let found = entries.filter_map(move |met| met.map(found).map_err(Error::from).transpose());
        Ok(closed.into_iter().chain(found))
    }

    /// Whether it is in `home` and this user has no permission to list it.
    ///
    /// # Errors
    /// When it cannot be listed for another reason.
    pub fn is_closed(&self) -> Result<bool, Error> {
        Ok(self.stream()?.is_none())
    }

    fn stream(&self) -> Result<Option<tree::DirStream>, Error> {
        match tree::stream(&self.dir, FileRole::Spool) {
            Err(error) if self.is_closed_by(&error) => Ok(None),
            stream => Ok(Some(stream?)),
        }
    }

    /// Only in `home` a directory belongs to another user, who may close it.
    fn is_closed_by(&self, error: &disk::Error) -> bool {
        error.is_denied() && matches!(self.place, QueueId::Home(_))
    }

    /// The first `most` messages by rank that come after `after` and that `is_wanted` accepts. Each
    /// call lists the queue once, in memory for `most` messages.
    ///
    /// # Errors
    /// As [`Queue::entries`].
    pub fn in_order(
        &self,
        after: Option<&Rank>,
        most: usize,
        mut is_wanted: impl FnMut(&Waiting) -> bool,
    ) -> Result<Vec<Waiting>, Error> {
        let mut first: BinaryHeap<Ranked> = BinaryHeap::new();
        for message in self.messages()? {
            let message = message?;
            let rank = message.rank();
            if after.is_some_and(|after| rank <= *after) || !is_wanted(&message) {
                continue;
            }
            if first.len() < most {
                first.push(Ranked(rank, message));
            // The heap has the greatest rank on top, which a smaller one replaces.
            } else if let Some(mut last) = first.peek_mut()
                && rank < last.0
            {
                *last = Ranked(rank, message);
            }
        }
        let sorted = first.into_sorted_vec().into_iter();
        Ok(sorted.map(|Ranked(_, message)| message).collect())
    }

    /// Gives the name of each file in it to `each`, unread, with the directory in which it is. For
    /// runs that want few of many messages: to read all names takes several times as long.
    ///
    /// # Errors
    /// As [`Queue::entries`], or an error of `each`.
    pub fn each_name(
        &self,
        mut each: impl FnMut(&Dir, &OsStr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let dir = match Dir::open(&self.dir, FileRole::Spool) {
            Err(error) if error.is_not_found() => return Ok(()),
            opened => opened?,
        };
        let names = match dir.names() {
            Err(error) if self.is_closed_by(&error) => return Ok(()),
            names => names?,
        };
        for named in names {
            let DirEntry { name, kind } = named?;
            if kind == Some(EntryKind::File) {
                each(&dir, &name)?;
            }
        }
        Ok(())
    }

    /// The messages in it; unknown files are skipped. A closed queue counts as empty.
    ///
    /// # Errors
    /// As [`Queue::entries`] otherwise.
    pub fn messages(&self) -> Result<impl Iterator<Item = Result<Waiting, Error>> + use<>, Error> {
        Ok(self.entries()?.filter_map(|found| match found {
            Ok(QueueEntry::Message(message)) => Some(Ok(message)),
            Ok(QueueEntry::Unexpected(_)) | Err(Error::Closed(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }
}

/// Suffix of the file with the reason why a message was set aside.
pub const WHY: &str = ".why";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::pki::NodeId;
    use crate::ramf::Kind;
    use crate::spool::name::MessageKey;

    fn queue_of(dir: &Path, count: u8) -> Queue {
        let queue = Queue::new(dir.to_owned(), QueueId::In);
        for at in 0..count {
            let name = Name {
                identity: MessageKey {
                    recipient: NodeId::of_spki(b"recipient"),
                    sender: NodeId::of_spki(b"sender"),
                    id: [at; 32],
                    kind: Kind::Parcel,
                },
                expiry: Timestamp::from_second(2_000_000_000 - i64::from(at / 2)).unwrap(),
                priority: (at % 3 > 0).then_some(at % 3 * 4),
                copies: None,
                from: None,
            };
            fs::write(queue.path_of(&name), [at]).unwrap();
        }
        queue
    }

    #[test]
    fn parts_in_order_are_the_whole_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let queue = queue_of(dir.path(), 40);
        let whole = queue.in_order(None, 100, |_| true).unwrap();
        assert_eq!(whole.len(), 40);
        assert!(whole.windows(2).all(|pair| {
            let key = |it: &Waiting| (Reverse(it.name.urgency()), it.name.expiry);
            key(&pair[0]) <= key(&pair[1])
        }));
        for most in [1, 7, 39, 40] {
            let mut parts: Vec<PathBuf> = Vec::new();
            let mut after = None;
            loop {
                let part = queue.in_order(after.as_ref(), most, |_| true).unwrap();
                let Some(last) = part.last() else {
                    break;
                };
                after = Some(last.rank());
                parts.extend(part.into_iter().map(|message| message.path));
            }
            let paths: Vec<PathBuf> = whole.iter().map(|message| message.path.clone()).collect();
            assert_eq!(parts, paths, "{most}");
        }
        let urgent = |message: &Waiting| message.name.urgency() == 8;
        assert_eq!(queue.in_order(None, 100, urgent).unwrap().len(), 13);
    }
}
