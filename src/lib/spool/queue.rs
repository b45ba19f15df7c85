//! A directory of messages.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Error, Name, QueueId};
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{FileRole, files};
use crate::ramf::limits;

/// A directory of messages, each in a file of its own.
#[derive(Debug, Clone)]
pub struct Queue {
    dir: PathBuf,
    place: QueueId,
}

/// What a queue holds.
#[derive(Debug)]
pub enum QueueEntry {
    /// A message, as far as its name tells.
    Message(Waiting),
    /// Something that no program here put there.
    Unexpected(PathBuf),
}

/// A message that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its file.
    pub path: PathBuf,
    /// What the file's name says.
    pub name: Name,
}

impl Waiting {
    /// How many octets it has; `None` when it has gone since it was listed.
    ///
    /// # Errors
    /// When its file cannot be examined.
    pub fn len(&self) -> Result<Option<u64>, Error> {
        Ok(tree::stat(&self.path, FileRole::Spool)?.map(|stat| stat.len))
    }

    /// When its file was last written; `None` when it has gone since it was listed.
    ///
    /// # Errors
    /// When its file cannot be examined.
    pub fn stored(&self) -> Result<Option<Timestamp>, Error> {
        let stat = tree::stat(&self.path, FileRole::Spool)?;
        Ok(stat.map(|stat| Timestamp::try_from(stat.modified).unwrap_or(Timestamp::MAX)))
    }

    /// How many octets to reckon with when it is read; the most that any has when nobody can say.
    #[must_use]
    pub fn len_or_most(&self) -> usize {
        let len = self.len().ok().flatten();
        let len = len.and_then(|len| usize::try_from(len).ok());
        len.unwrap_or(limits::MAX_MESSAGE_LEN)
    }

    /// Its octets; `None` when it has gone since it was listed.
    ///
    /// # Errors
    /// When its file cannot be read, or is no regular one.
    pub fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        self.read_into(Vec::new())
    }

    /// The same, in memory that was used before.
    ///
    /// # Errors
    /// As [`Waiting::read`].
    pub fn read_into(&self, octets: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.read_with_owner(octets)?.map(|(octets, _)| octets))
    }

    /// The same, and the user whose file was read, which could have been exchanged since it was listed.
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

/// Where a message stands among those that wait: the most urgent first, of these the one whose life ends first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    urgency: Reverse<u8>,
    expiry: Timestamp,
    name: OsString,
}

/// A message with its rank, for heaps.
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
    /// Where it stands among others.
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

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which queue it is.
    #[must_use]
    pub fn place(&self) -> QueueId {
        self.place
    }

    /// The message of this name, if it still waits.
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

    /// What is in it, as the file system gives it, in memory that does not grow with it. What says why a
    /// message was set aside is passed over. The queue of a node here whose user has closed it is something that no
    /// program here made.
    ///
    /// # Errors
    /// When it cannot be listed; one that does not exist is empty.
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
            .then(|| Ok(QueueEntry::Unexpected(self.dir.clone())));
        let entries = entries.into_iter().flatten();
        let found = entries.filter_map(move |met| met.map(found).map_err(Error::from).transpose());
        Ok(closed.into_iter().chain(found))
    }

    /// Whether it is the queue of a node here whose user, another one, has closed it.
    ///
    /// # Errors
    /// When that cannot be learned.
    pub fn is_closed(&self) -> Result<bool, Error> {
        Ok(self.stream()?.is_none())
    }

    fn stream(&self) -> Result<Option<tree::DirStream>, Error> {
        match tree::stream(&self.dir, FileRole::Spool) {
            Err(error) if error.is_denied() && matches!(self.place, QueueId::Home(_)) => Ok(None),
            stream => Ok(Some(stream?)),
        }
    }

    /// The first `most` messages that `is_wanted`, in the order of their ranks, after the one of rank `after`. The
    /// queue is read once for each such part, in memory that does not grow with it.
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
            } else if let Some(mut last) = first.peek_mut()
                && rank < last.0
            {
                *last = Ranked(rank, message);
            }
        }
        let sorted = first.into_sorted_vec().into_iter();
        Ok(sorted.map(|Ranked(_, message)| message).collect())
    }

    /// The messages in it; what else is there is passed over.
    ///
    /// # Errors
    /// As [`Queue::entries`].
    pub fn messages(&self) -> Result<impl Iterator<Item = Result<Waiting, Error>> + use<>, Error> {
        Ok(self.entries()?.filter_map(|found| match found {
            Ok(QueueEntry::Message(message)) => Some(Ok(message)),
            Ok(QueueEntry::Unexpected(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }
}

/// The end of the name of a file that says why a message was set aside.
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
