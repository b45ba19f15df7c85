//! The last exchange with each medium: `carried/<medium>/last`. Its lines are the date, and then
//! `key = value`.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::{Error, Spool, carried};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::tree::{self, EntryKind};
use crate::disk::{FileRole, files};
use crate::node;

/// The name of the file, in the directory of a medium.
pub(crate) const LAST: &str = "last";

/// Maximum length of the file, in octets: many times that of what is written here.
const MAX_LEN: usize = 4096;

/// How long an exchange that moves nothing is not noted after another one: a stick that stays where
/// it is may meet relay-sync each minute, and flash memory bears a limited number of writes.
const IDLE_FOR: SignedDuration = SignedDuration::from_hours(1);

/// An exchange with a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When it was, by the newest time that was believed.
    pub date: Timestamp,
    /// Messages that came from the medium and were new.
    pub taken: u64,
    /// Messages that were written to it.
    pub given: u64,
    /// Messages that still waited after it.
    pub waiting: u64,
    /// Things that failed.
    pub failed: u64,
}

/// A medium, with its last exchange, or why that cannot be read.
pub type MediumExchange = (String, Result<Exchange, Error>);

impl Exchange {
    fn counts(&self) -> [(&'static str, u64); 4] {
        [
            ("taken", self.taken),
            ("given", self.given),
            ("waiting", self.waiting),
            ("failed", self.failed),
        ]
    }

    fn to_text(self) -> String {
        let counts = self.counts();
        let lines = counts.map(|(key, count)| format!("{key} = {count}\n"));
        format!("{}\n{}", self.date, lines.concat())
    }

    /// Parses the file; a missing count is 0, and unknown keys are those of a later version.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        let date = lines.next().and_then(|line| line.parse().ok());
        let mut exchange = Self {
            date: date.ok_or("does not begin with a date")?,
            taken: 0,
            given: 0,
            waiting: 0,
            failed: 0,
        };
        for line in lines {
            let (key, value) = line.split_once(" = ").ok_or("not key = value")?;
            let count = match key {
                "taken" => &mut exchange.taken,
                "given" => &mut exchange.given,
                "waiting" => &mut exchange.waiting,
                "failed" => &mut exchange.failed,
                _ => continue,
            };
            *count = value.parse().map_err(|_| "not a number")?;
        }
        Ok(exchange)
    }

    /// Whether it moved nothing, soon after this one.
    fn is_idle_after(&self, before: &Self) -> bool {
        let since = self.date.duration_since(before.date);
        let is_soon = (SignedDuration::ZERO..IDLE_FOR).contains(&since);
        self.taken == 0 && self.given == 0 && is_soon
    }
}

impl Spool {
    /// Stores an exchange as the last one with the medium of this id, which must be safe as a
    /// directory name. The caller holds the queue lock.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn note_exchange(&self, medium: &str, exchange: &Exchange) -> Result<(), Error> {
        let dir = self.root().join(carried::FOLDER).join(medium);
        let path = dir.join(LAST);
        // One that cannot be read is replaced.
        if matches!(read(&path), Ok(Some(before)) if exchange.is_idle_after(&before)) {
            return Ok(());
        }
        files::create_dir_all_private(&dir, FileRole::Spool)?;
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&path, &[exchange.to_text().as_bytes()], &manner)?;
        Ok(())
    }

    /// The media with which an exchange was noted, by id.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn exchanges(&self) -> Result<Vec<MediumExchange>, Error> {
        let mut exchanges = Vec::new();
        for medium in tree::entries(&self.root().join(carried::FOLDER), FileRole::Spool)?.entries {
            if medium.kind != EntryKind::Dir {
                continue;
            }
            let last = read(&medium.path.join(LAST)).transpose();
            let id = medium.name.to_string_lossy().into_owned();
            exchanges.extend(last.map(|last| (id, last)));
        }
        Ok(exchanges)
    }
}

/// Reads the file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Exchange>, Error> {
    let octets = match files::read(path, FileRole::Spool, MAX_LEN) {
        Ok(octets) => octets,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let exchange = Exchange::parse(&String::from_utf8_lossy(&octets));
    exchange.map(Some).map_err(|problem| {
        let (path, problem) = (path.to_owned(), problem.to_owned());
        node::Error::Directory(node::DirectoryError::Damaged { path, problem }).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(date: &str, taken: u64) -> Exchange {
        Exchange {
            date: date.parse().unwrap(),
            taken,
            given: 2,
            waiting: 3,
            failed: 4,
        }
    }

    #[test]
    fn exchanges_come_back() {
        let one = exchange("2027-05-01T00:00:00Z", 1);
        assert_eq!(Exchange::parse(&one.to_text()), Ok(one));
        let later = "2027-05-01T00:00:00Z\ntaken = 1\nstrangers = x\n";
        let other = Exchange {
            given: 0,
            waiting: 0,
            failed: 0,
            ..one
        };
        assert_eq!(Exchange::parse(later), Ok(other));
        for bad in ["", "today\n", "2027-05-01T00:00:00Z\ntaken\n"] {
            assert!(Exchange::parse(bad).is_err(), "{bad}");
        }
        assert!(Exchange::parse("2027-05-01T00:00:00Z\ntaken = -1\n").is_err());
    }

    #[test]
    fn an_exchange_that_moves_nothing_is_noted_once_an_hour() {
        let before = exchange("2027-05-01T00:00:00Z", 7);
        for (date, taken, is_idle) in [
            ("2027-05-01T00:00:00Z", 0, true),
            ("2027-05-01T00:59:59Z", 0, true),
            ("2027-05-01T00:59:59Z", 1, false),
            ("2027-05-01T01:00:00Z", 0, false),
            ("2027-04-30T23:59:59Z", 0, false),
        ] {
            let later = Exchange {
                given: 0,
                ..exchange(date, taken)
            };
            assert_eq!(later.is_idle_after(&before), is_idle, "{date} {taken}");
        }
    }
}
