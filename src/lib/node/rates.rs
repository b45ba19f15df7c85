//! The parcels that senders with a limited authorization have sent (RS-002 §Rate Limiting Extension):
//! `rates/<recipient>.<sender>/<day>`, with records of 32 octets.
//!
//! A record is a time in seconds since 1970, big-endian, and the beginning of what makes the parcel
//! unique ([`ReplayKey`]). A parcel counts once, however often a run that is killed, a copy of it or
//! another program comes back to it. All authorizations from one recipient to one sender are counted
//! together, so that a renewed one gives no second allowance.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::day::{day_name, end_of_day};
use super::files::{ensure_dir, lock_file, rely_on};
use super::{Error, ReplayKey};
use crate::disk::{FileRole, Lock, files, tree};
use crate::pki::{NodeId, RateLimit};
use crate::ramf::SignedMessage;

/// The folder in a node directory.
pub(crate) const FOLDER: &str = "rates";

/// How long the records of a day are kept: a message may come 180 days after its date, and counts with
/// those of a period of at most 180 days before it.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(360 * 24);

/// Octets of a record, and of the time in it.
const RECORD_LEN: usize = 32;
const TIME_LEN: usize = 8;

type RateRecord = [u8; RECORD_LEN];

/// A recipient and a sender.
type Pair = (NodeId, NodeId);

/// What a parcel counts against.
#[derive(Debug, Clone, Copy)]
pub struct RateClaim {
    pair: Pair,
    limit: RateLimit,
    record: RateRecord,
    at: i64,
}

impl RateClaim {
    /// What this parcel counts against; `None` if its sender may send any number. A node without an
    /// Internet address counts it at its date, and one with an address, at `received`.
    #[must_use]
    pub fn of(parcel: &SignedMessage, received: Option<Timestamp>) -> Option<Self> {
        let limit = parcel.sender_certificate().rate_limit()?;
        let fields = parcel.fields();
        let at = received.unwrap_or(fields.date).as_second();
        let mut record = [0; RECORD_LEN];
        record[..TIME_LEN].copy_from_slice(&at.to_be_bytes());
        let identity = ReplayKey::of(parcel);
        record[TIME_LEN..].copy_from_slice(&identity.digest()[..RECORD_LEN - TIME_LEN]);
        Some(Self {
            pair: (fields.recipient, parcel.sender()),
            limit,
            record,
            at,
        })
    }

    /// The rate.
    #[must_use]
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// The day that it counts on.
    fn day(&self) -> String {
        day_name(Timestamp::from_second(self.at).unwrap_or_default())
    }

    /// The first and last day on which parcels count with this one.
    fn days(&self) -> RangeInclusive<String> {
        let period = self.limit.period();
        let at = Timestamp::from_second(self.at).unwrap_or_default();
        let first = at.checked_sub(period).unwrap_or(Timestamp::MIN);
        day_name(first)..=day_name(at.checked_add(period).unwrap_or(Timestamp::MAX))
    }
}

/// What is known of one sender.
#[derive(Debug, Default)]
struct Counted {
    /// The days with records that are not read yet.
    unread: BTreeSet<String>,
    /// In order.
    times: Vec<i64>,
    /// Each with the day that it counts on.
    parcels: HashMap<[u8; RECORD_LEN - TIME_LEN], String>,
}

impl Counted {
    /// What the records in a folder are to tell; none is read yet.
    fn of(folder: &Path) -> Result<Self, Error> {
        let entries = tree::entries(folder, FileRole::Node)?.complete()?;
        let names = entries
            .into_iter()
            .filter_map(|it| it.name.into_string().ok());
        Ok(Self {
            unread: names.filter(|name| end_of_day(name).is_some()).collect(),
            ..Self::default()
        })
    }

    fn add(&mut self, record: &RateRecord, day: &str) {
        let (time, parcel) = record.split_at(TIME_LEN);
        let (Ok(time), Ok(parcel)) = (time.try_into(), parcel.try_into()) else {
            return;
        };
        if let Entry::Vacant(place) = self.parcels.entry(parcel) {
            place.insert(day.to_owned());
            let time = i64::from_be_bytes(time);
            let place = self.times.partition_point(|other| *other <= time);
            self.times.insert(place, time);
        }
    }

    /// Whether one more at this time leaves no more than the limit in any span of the period.
    fn has_room(&self, at: i64, limit: RateLimit) -> bool {
        let most = limit.parcels() as usize;
        let place = self.times.partition_point(|other| *other <= at);
        let with_it = |nth: usize| match nth.cmp(&place) {
            std::cmp::Ordering::Less => self.times.get(nth).copied(),
            std::cmp::Ordering::Equal => Some(at),
            std::cmp::Ordering::Greater => self.times.get(nth - 1).copied(),
        };
        (place.saturating_sub(most)..=place).all(|first| {
            match (with_it(first), with_it(first + most)) {
                (Some(first), Some(last)) => last - first >= limit.period().as_secs(),
                _ => true,
            }
        })
    }
}

/// The parcels of senders with a limited authorization, read as they are needed. The caller holds a lock
/// that keeps other runs from taking the same parcels.
#[derive(Debug)]
pub struct Rates {
    root: PathBuf,
    counted: HashMap<Pair, Counted>,
    new: Vec<RateClaim>,
    /// Files with records that a killed run may not have synced, and whether this one did.
    relied_on: BTreeMap<PathBuf, bool>,
}

impl Rates {
    /// Those of a node.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            counted: HashMap::new(),
            new: Vec::new(),
            relied_on: BTreeMap::new(),
        }
    }

    /// Counts a parcel, unless it was counted before. Returns whether its sender may send it: if not,
    /// it is not counted.
    ///
    /// # Errors
    /// When records cannot be read.
    pub fn count(&mut self, claim: &RateClaim) -> Result<bool, Error> {
        let folder = self.folder(claim.pair);
        let counted = match self.counted.entry(claim.pair) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Counted::of(&folder)?),
        };
        let days = claim.days();
        let due = counted.unread.iter().filter(|day| days.contains(*day));
        for day in due.cloned().collect::<Vec<_>>() {
            files::each_record(&folder.join(&day), FileRole::Node, |record: &RateRecord| {
                counted.add(record, &day);
                ControlFlow::Continue(())
            })?;
            counted.unread.remove(&day);
        }
        if let Some(day) = counted.parcels.get(&claim.record[TIME_LEN..]) {
            self.relied_on.entry(folder.join(day)).or_default();
            return Ok(true);
        }
        if !counted.has_room(claim.at, claim.limit) {
            return Ok(false);
        }
        counted.add(&claim.record, &claim.day());
        self.new.push(*claim);
        Ok(true)
    }

    /// Records the parcels that were counted since the last call. They are on disk when this returns.
    ///
    /// # Errors
    /// When they cannot be stored.
    pub fn store(&mut self) -> Result<(), Error> {
        self.append()?;
        for (day, is_synced) in &mut self.relied_on {
            if !*is_synced {
                files::sync(day, FileRole::Node)?;
                rely_on(day)?;
                *is_synced = true;
            }
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), Error> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut days: BTreeMap<PathBuf, Vec<RateRecord>> = BTreeMap::new();
        for claim in &self.new {
            let day = self.folder(claim.pair).join(claim.day());
            days.entry(day).or_default().push(claim.record);
        }
        let _lock = Lock::exclusive(&lock_file(&self.root, FOLDER)?)?;
        for (day, records) in days {
            if let Some(folder) = day.parent() {
                ensure_dir(&self.root, folder)?;
            }
            files::append_records(&day, FileRole::Node, &records)?;
            // A run that was killed may have made the file without that.
            rely_on(&day)?;
            self.relied_on.insert(day, true);
        }
        self.new.clear();
        Ok(())
    }

    fn folder(&self, (recipient, sender): Pair) -> PathBuf {
        let name = format!("{recipient}.{sender}");
        self.root.join(FOLDER).join(name)
    }
}

/// Whether this is the name of a folder of a recipient and a sender.
#[must_use]
pub fn is_pair(name: &str) -> bool {
    name.split_once('.').is_some_and(|(recipient, sender)| {
        recipient.parse::<NodeId>().is_ok() && sender.parse::<NodeId>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn claim(nth: u64, at: i64, limit: RateLimit) -> RateClaim {
        let node = |name: &str| NodeId::of_spki(name.as_bytes());
        let mut record = [0; RECORD_LEN];
        record[..TIME_LEN].copy_from_slice(&at.to_be_bytes());
        record[TIME_LEN..2 * TIME_LEN].copy_from_slice(&nth.to_be_bytes());
        RateClaim {
            pair: (node("recipient"), node("sender")),
            limit,
            record,
            at,
        }
    }

    fn rate(parcels: u32, seconds: i64) -> RateLimit {
        RateLimit::new(parcels, SignedDuration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn no_span_of_the_period_has_more_than_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let limit = rate(3, DAY);
        let start = 1_800_000_000;
        // Times in any order, and whether each is taken.
        let parcels = [
            (0, true),
            (DAY - 1, true),
            (10, true),
            // Four within a day.
            (20, false),
            (DAY / 2, false),
            // A day after the first there are three again, and a day after the second.
            (DAY, true),
            (DAY + 5, false),
            (DAY + 10, true),
            // Long before, and between.
            (-DAY, true),
            (-DAY + 11, true),
            (-DAY + 12, false),
        ];
        for (nth, (offset, is_taken)) in parcels.into_iter().enumerate() {
            // Each by a run of its own, as after a kill.
            let mut rates = Rates::of(dir.path());
            let claim = claim(nth as u64, start + offset, limit);
            assert_eq!(rates.count(&claim).unwrap(), is_taken, "{offset}");
            rates.store().unwrap();
            // It counts once.
            assert_eq!(rates.count(&claim).unwrap(), is_taken, "{offset}");
            assert!(rates.new.is_empty());
        }
    }

    #[test]
    fn what_is_not_stored_is_counted_again() {
        let dir = tempfile::tempdir().unwrap();
        let limit = rate(1, DAY);
        let [first, second] = [1, 2].map(|nth| claim(nth, 1_800_000_000, limit));
        assert!(Rates::of(dir.path()).count(&first).unwrap());
        let mut rates = Rates::of(dir.path());
        assert!(rates.count(&second).unwrap());
        rates.store().unwrap();
        assert!(!Rates::of(dir.path()).count(&first).unwrap());
    }

    #[test]
    fn the_longest_period_and_the_ends_of_time() {
        let dir = tempfile::tempdir().unwrap();
        let limit = rate(1, 180 * DAY);
        let mut rates = Rates::of(dir.path());
        assert!(rates.count(&claim(1, 1_800_000_000, limit)).unwrap());
        assert!(
            !rates
                .count(&claim(2, 1_800_000_000 + 179 * DAY, limit))
                .unwrap()
        );
        assert!(
            rates
                .count(&claim(3, 1_800_000_000 + 180 * DAY, limit))
                .unwrap()
        );
        for end in [Timestamp::MIN, Timestamp::MAX] {
            assert!(rates.count(&claim(4, end.as_second(), limit)).unwrap());
        }
        rates.store().unwrap();
    }
}
