//! The daily quota for what this node stores of unknown senders.

use std::path::{Path, PathBuf};

use super::Error;
use crate::disk::{FileRole, tree};

/// The most unknown senders that are stored in a day.
const DAILY_QUOTA: usize = 10_000;

/// The most octets that are stored of them in a day.
const DAILY_OCTETS: u64 = 16 * 1024 * 1024;

/// The number of new files after which the day's folder is counted again, since other runs may have
/// added files.
const RECOUNT_AFTER: usize = 256;

/// What is stored of unknown senders in a day.
#[derive(Debug, Default)]
pub(super) struct UnknownSenderTally {
    day: PathBuf,
    files: usize,
    octets: u64,
    /// The number of files added since the last count.
    added: usize,
}

impl UnknownSenderTally {
    /// Counts the files of a day, unless that was done recently.
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

    /// Counts a file of `len` octets, which replaces one of `replaced` octets. Returns false if the
    /// quota is exceeded.
    pub(super) fn admit(&mut self, len: u64, replaced: Option<u64>) -> bool {
        let octets = self.octets.saturating_sub(replaced.unwrap_or(0)) + len;
        let is_new = replaced.is_none();
        // A replacement that does not grow is always allowed: a session key must be able to change
        // on a full day.
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
        // Full: an existing file may only be replaced by one that is not longer.
        assert!(!tally.admit(1, None));
        assert!(!tally.admit(1001, Some(1000)));
        assert!(tally.admit(900, Some(1000)));
        assert!(tally.admit(1000, Some(900)));
        assert!(!tally.admit(1, None));
    }
}
