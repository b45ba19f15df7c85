//! How much is kept a day of senders that this node does not know.

use std::path::{Path, PathBuf};

use super::Error;
use crate::disk::{FileRole, tree};

/// How many strangers are remembered in a day.
const DAILY_QUOTA: usize = 10_000;

/// How many octets are kept of those of a day.
const DAILY_OCTETS: u64 = 16 * 1024 * 1024;

/// After how many new ones the day is counted anew: other runs may have added some.
const RECOUNT_AFTER: usize = 256;

/// How much is kept of the strangers of a day.
#[derive(Debug, Default)]
pub(super) struct UnknownSenderTally {
    day: PathBuf,
    files: usize,
    octets: u64,
    /// How many were added since it was counted.
    added: usize,
}

impl UnknownSenderTally {
    /// Counts what is there, unless that is known.
    pub(super) fn of(&mut self, day: &Path) -> Result<&mut Self, Error> {
        if self.day != day || self.added >= RECOUNT_AFTER {
            let entries = tree::entries(day, FileRole::Node)?.entries;
            let mut octets = 0;
            for entry in &entries {
                octets += tree::stat(&entry.path, FileRole::Node)?.map_or(0, |stat| stat.len);
            }
            *self = Self {
                day: day.to_owned(),
                files: entries.len(),
                octets,
                added: 0,
            };
        }
        Ok(self)
    }

    /// Takes a file of this length in, in place of one of that length in the same day; `false` where there is no room.
    pub(super) fn admit(&mut self, len: u64, replaced: Option<u64>) -> bool {
        let octets = self.octets.saturating_sub(replaced.unwrap_or(0)) + len;
        let is_new = replaced.is_none();
        // What does not grow is always let in.
        let grows = replaced.is_none_or(|replaced| len > replaced);
        if grows && (octets > DAILY_OCTETS || is_new && self.files >= DAILY_QUOTA) {
            return false;
        }
        self.octets = octets;
        self.files += usize::from(is_new);
        self.added += usize::from(is_new);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_room_for_so_much() {
        let mut tally = UnknownSenderTally {
            files: DAILY_QUOTA - 1,
            octets: DAILY_OCTETS - 1000,
            ..UnknownSenderTally::default()
        };
        assert!(!tally.admit(1001, None));
        assert!(tally.admit(1000, None));
        // It is full, and what was there may be replaced by what is not longer.
        assert!(!tally.admit(1, None));
        assert!(!tally.admit(1001, Some(1000)));
        assert!(tally.admit(900, Some(1000)));
        assert!(tally.admit(1000, Some(900)));
        assert!(!tally.admit(1, None));
    }
}
