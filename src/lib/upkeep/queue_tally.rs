//! What waits in a queue, counted by the names and dates of its files.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::disk::FileRole;
use crate::disk::tree;
use crate::spool::queue::QueueEntry;
use crate::spool::{Error, Name, Queue};

/// Maximum number of late messages of which the names are kept, to bound memory.
const MOST: usize = 1000;

/// What waits in a queue.
#[derive(Debug, Default)]
pub struct QueueTally {
    /// The number of messages.
    pub count: usize,
    /// Their octets together.
    pub octets: u64,
    /// When the one that has waited longest was stored.
    pub oldest: Option<Timestamp>,
    /// When the first of those that have not expired expires.
    pub next_expiry: Option<Timestamp>,
    /// How many have waited longer than the patience that was asked for.
    pub late: usize,
    /// The names of the first of those.
    pub some: Vec<Name>,
}

impl QueueTally {
    /// Counts the messages of a queue, in constant memory; what is no message goes to `unexpected`.
    ///
    /// # Errors
    /// When the queue cannot be listed, or a file not examined.
    pub fn of(
        queue: &Queue,
        now: Timestamp,
        patience: SignedDuration,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> Result<Self, Error> {
        let mut tally = Self::default();
        for entry in queue.entries()? {
            let message = match entry? {
                QueueEntry::Message(message) => message,
                QueueEntry::Unexpected(path) => {
                    unexpected(path);
                    continue;
                }
            };
            let Some(stat) = tree::stat(&message.path, FileRole::Spool)? else {
                continue;
            };
            tally.count += 1;
            tally.octets += stat.len;
            let expiry = message.name.expiry;
            if !message.name.has_expired(now) && tally.next_expiry.is_none_or(|next| expiry < next)
            {
                tally.next_expiry = Some(expiry);
            }
            // A time out of range comes from a broken clock or file system: it proves no age.
            let Ok(stored) = Timestamp::try_from(stat.modified) else {
                continue;
            };
            // Whole seconds, for the text.
            let stored = Timestamp::from_second(stored.as_second()).unwrap_or(stored);
            tally.oldest = Some(tally.oldest.map_or(stored, |oldest| oldest.min(stored)));
            if now.duration_since(stored) > patience {
                tally.late += 1;
                if tally.some.len() < MOST {
                    tally.some.push(message.name);
                }
            }
        }
        Ok(tally)
    }
}
