//! The files of the replay memory: for each day on which messages expire `seen/<day>.sorted`, whose
//! records are searched where they are, and `seen/<day>` with those that came since, which are read.
//!
//! Who appends more than [`MAX_TAIL`] octets sorts the day, and so does who first reads a day that
//! an older version left. The sorted file appears whole before the other one goes, so that a record
//! is at least in one of them, whenever a run is killed.
//!
//! A program that reads a day without the lock reads the tail first: its records may move to the sorted
//! file meanwhile, and never back.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Error;
use super::day::end_of_day;
use super::files::lock_file;
use crate::disk::files::FileVersion;
use crate::disk::sorted::{self, SortedRecords};
use crate::disk::{FileRole, Lock, files, tree};

/// The end of the name of a sorted file.
const SORTED: &str = ".sorted";

/// The longest tail that is left unsorted, in octets.
pub(super) const MAX_TAIL: u64 = 64 * 1024;

/// How many sorted files this process keeps open; others are opened each time. Systems allow 1024
/// open files, and a gateway reads the memory of each local endpoint.
const MAX_OPEN: usize = 400;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Octets of a record.
pub const RECORD_LEN: usize = 32;

/// The name of the file of the floor.
pub(crate) const FLOOR: &str = "floor";

/// A record.
pub(super) type SeenRecord = [u8; RECORD_LEN];

/// The end of the day (UTC) that a file of the memory is for, with its sorted records or those that
/// came since; `None` for other names.
#[must_use]
pub fn end_of_seen_day(name: &str) -> Option<jiff::Timestamp> {
    end_of_day(name.strip_suffix(SORTED).unwrap_or(name))
}

/// The tails of all days that have any records, in order.
pub(super) fn days(seen: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut days = BTreeSet::new();
    for entry in tree::entries(seen, FileRole::Node)?.complete()? {
        if entry.kind != tree::EntryKind::File || entry.name == FLOOR {
            continue;
        }
        let name = entry
            .name
            .to_str()
            .and_then(|name| name.strip_suffix(SORTED));
        days.insert(name.map_or(entry.path.clone(), |day| seen.join(day)));
    }
    Ok(days.into_iter().collect())
}

/// Which files hold the records of a day: its tail and the sorted one.
pub(super) fn versions(day: &Path) -> [Option<FileVersion>; 2] {
    [files::version(day), files::version(&sorted_path(day))]
}

/// Gives the records of a tail to `each`, until it breaks.
pub(super) fn each_of_tail(
    day: &Path,
    each: impl FnMut(&SeenRecord) -> ControlFlow<()>,
) -> Result<(), Error> {
    Ok(files::each_record(day, FileRole::Node, each)?)
}

/// The sorted records of a day.
#[derive(Debug)]
pub(super) struct Sorted {
    path: PathBuf,
    open: Option<SortedRecords<RECORD_LEN>>,
}

impl Sorted {
    /// Those of the day with this tail; `None` if there are none. They stay open if `is_kept`, as
    /// long as not too many are.
    pub(super) fn of(day: &Path, is_kept: bool) -> Result<Option<Self>, Error> {
        let path = sorted_path(day);
        let Some(open) = SortedRecords::open(&path, FileRole::Node)? else {
            return Ok(None);
        };
        let mut sorted = Self { path, open: None };
        if is_kept {
            let is_room = OPEN.fetch_add(1, Ordering::Relaxed) < MAX_OPEN;
            if is_room {
                sorted.open = Some(open);
            } else {
                OPEN.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(Some(sorted))
    }

    /// Whether it has this record. One that it has is on the disk: it was synced before it appeared.
    pub(super) fn contains(&self, record: &SeenRecord) -> Result<bool, Error> {
        let has =
            |open: &SortedRecords<RECORD_LEN>| open.contains(record, &self.path, FileRole::Node);
        Ok(match &self.open {
            Some(open) => has(open)?,
            // It may have been purged.
            None => match SortedRecords::open(&self.path, FileRole::Node)? {
                Some(open) => has(&open)?,
                None => false,
            },
        })
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        if self.open.is_some() {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Sorts a day that has more unsorted records than it should, if this user may.
pub(super) fn sort_if_long(root: &Path, day: &Path) -> Result<(), Error> {
    let stat = tree::stat(day, FileRole::Node)?;
    // In another user's node, files of this one would be in his way.
    if stat.is_none_or(|stat| stat.len <= MAX_TAIL) || files::is_of_another(day, FileRole::Node)? {
        return Ok(());
    }
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    sort(day)
}

/// Sorts a day whose tail is too long. The caller holds the lock of the memory.
pub(super) fn sort_after_append(day: &Path) -> Result<(), Error> {
    match tree::stat(day, FileRole::Node)? {
        Some(stat) if stat.len > MAX_TAIL => sort(day),
        _ => Ok(()),
    }
}

fn sort(day: &Path) -> Result<(), Error> {
    Ok(sorted::merge::<RECORD_LEN>(
        day,
        &sorted_path(day),
        FileRole::Node,
    )?)
}

fn sorted_path(day: &Path) -> PathBuf {
    let mut name = day.file_name().unwrap_or_default().to_owned();
    name.push(SORTED);
    day.with_file_name(name)
}
