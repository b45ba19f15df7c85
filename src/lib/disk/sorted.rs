//! Files of sorted records, which are searched where they are.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::open::open;
use super::publish::Pending;
use super::{Error, FileRole, IfExists, Operation, PublishOptions, Result};
use super::{records, remove};

/// How many records are read at once. Records are digests, so that the place of one can be guessed:
/// among 100 000 the guess is wrong by more than half of this in one of ten cases.
const AT_ONCE: u64 = 512;

/// How many octets of a merged file are written at once.
const PIECE: usize = 256 * 1024;

/// An open file of sorted records of `N` octets each, of which the first eight are spread evenly.
#[derive(Debug)]
pub struct SortedRecords<const N: usize> {
    file: File,
    /// The number of records.
    count: u64,
}

impl<const N: usize> SortedRecords<N> {
    /// Opens a file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`], or [`Error::Io`] while [`Operation::Open`].
    pub fn open(path: &Path, role: FileRole) -> Result<Option<Self>> {
        const { assert!(N >= 8) };
        match open(path, role) {
            Ok((file, len)) => Ok(Some(Self {
                file,
                count: len / N as u64,
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it has this record. The path and the role are for errors.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn contains(&self, record: &[u8; N], path: &Path, role: FileRole) -> Result<bool> {
        Ok(self.find(record, path, role)?.is_some())
    }

    /// The record that begins with these octets, of which there are eight or more.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] while [`Operation::Read`].
    pub fn find(&self, beginning: &[u8], path: &Path, role: FileRole) -> Result<Option<[u8; N]>> {
        let of = |record: &[u8; N]| record[..beginning.len()].cmp(beginning);
        let (mut low, mut high) = (0, self.count);
        let mut middle = self.guess(beginning);
        let mut buffer = vec![[0; N]; usize::try_from(AT_ONCE).unwrap_or_default()];
        while low < high {
            let most = high - low;
            let start = middle.saturating_sub(AT_ONCE / 2);
            let start = start.clamp(low, high - most.min(AT_ONCE));
            let read = &mut buffer[..usize::try_from(most.min(AT_ONCE)).unwrap_or_default()];
            self.file
                .read_exact_at(read.as_flattened_mut(), start * N as u64)
                .map_err(Error::io(path, role, Operation::Read))?;
            match read {
                [first, ..] if of(first).is_gt() => high = start,
                [.., last] if of(last).is_lt() => low = start + most.min(AT_ONCE),
                read => return Ok(read.binary_search_by(of).ok().map(|found| read[found])),
            }
            middle = low.midpoint(high);
        }
        Ok(None)
    }

    /// Where a record with this beginning should be.
    fn guess(&self, beginning: &[u8]) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&beginning[..8]);
        let place = u128::from(u64::from_be_bytes(first)) * u128::from(self.count);
        u64::try_from(place >> 64).unwrap_or_default()
    }
}

/// Moves the records of a file that grows to a sorted one, which appears whole before the other one
/// goes, so that a record is at least in one of them, whenever a run is killed. Memory grows with the
/// first file alone.
///
/// # Errors
///
/// When one cannot be read, or the sorted one not be stored.
pub fn merge<const N: usize>(tail: &Path, sorted: &Path, role: FileRole) -> Result<()> {
    let mut new: Vec<[u8; N]> = Vec::new();
    records::each_record(tail, role, |record| {
        new.push(*record);
        ControlFlow::Continue(())
    })?;
    if !new.is_empty() {
        new.sort_unstable();
        let options = PublishOptions::stored(role, IfExists::Replace);
        let mut merged = Merged::new(Pending::create(sorted, &options)?);
        let mut new = new.iter().peekable();
        let mut failed = None;
        records::each_record(sorted, role, |old: &[u8; N]| {
            while let Some(record) = new.next_if(|record| *record < old) {
                if let Err(error) = merged.add(record) {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            failed = merged.add(old).err();
            match failed {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        new.try_for_each(|record| merged.add(record))?;
        merged.finish()?;
    }
    remove::remove(tail, role)?;
    Ok(())
}

/// A sorted file that is being written, in pieces and without repetitions.
struct Merged<const N: usize> {
    file: Pending,
    piece: Vec<u8>,
    last: Option<[u8; N]>,
}

impl<const N: usize> Merged<N> {
    fn new(file: Pending) -> Self {
        let (piece, last) = (Vec::with_capacity(PIECE + N), None);
        Self { file, piece, last }
    }

    fn add(&mut self, record: &[u8; N]) -> Result<()> {
        if self.last.as_ref() == Some(record) {
            return Ok(());
        }
        self.last = Some(*record);
        self.piece.extend_from_slice(record);
        if self.piece.len() >= PIECE {
            self.file.write(&[&self.piece])?;
            self.piece.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        self.file.write(&[&self.piece])?;
        self.file.finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sorted");
        assert!(
            SortedRecords::<8>::open(&path, FileRole::Node)
                .unwrap()
                .is_none()
        );
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let spread = |nth: u64| nth.wrapping_mul(step);
        // Records that are not spread are found as well, only later.
        let close = |nth: u64| (1 << 40) + nth * 2;
        for values in [&spread as &dyn Fn(u64) -> u64, &close] {
            for count in [0, 1, 2, 511, 512, 513, 5000] {
                let mut records: Vec<[u8; 8]> =
                    (1..=count).map(|nth| values(nth).to_be_bytes()).collect();
                records.sort_unstable();
                // A torn record at the end does not count.
                std::fs::write(&path, [records.as_flattened(), b"torn"].concat()).unwrap();
                let sorted = SortedRecords::open(&path, FileRole::Node).unwrap().unwrap();
                let has = |value: u64| {
                    let record = value.to_be_bytes();
                    sorted.contains(&record, &path, FileRole::Node).unwrap()
                };
                assert!((1..=count).all(|nth| has(values(nth))), "{count}");
                assert!(!(1..=count).any(|nth| has(values(nth) + 1)), "{count}");
                assert!(![0, u64::MAX].into_iter().any(has), "{count}");
            }
        }
    }

    #[test]
    fn a_merge_keeps_each_record_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (tail, sorted) = (dir.path().join("day"), dir.path().join("day.sorted"));
        let spread = |nth: u64| nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let mut all = std::collections::BTreeSet::new();
        // The third file is longer than a piece, and each tail repeats records of the one before.
        for (first, last) in [(0, 3), (2, 5), (3, 40_000), (39_990, 40_100), (0, 1)] {
            let tail_of: Vec<[u8; 8]> = (first..last).map(spread).collect();
            all.extend(tail_of.iter().copied());
            std::fs::write(&tail, [tail_of.as_flattened(), b"torn"].concat()).unwrap();
            merge::<8>(&tail, &sorted, FileRole::Node).unwrap();
            assert!(!tail.exists());
            let merged = std::fs::read(&sorted).unwrap();
            assert_eq!(merged, all.iter().flatten().copied().collect::<Vec<u8>>());
        }
        // Nothing to merge, and nothing there.
        merge::<8>(&tail, &sorted, FileRole::Node).unwrap();
        std::fs::write(&tail, b"torn").unwrap();
        merge::<8>(&tail, &sorted, FileRole::Node).unwrap();
        assert_eq!(std::fs::read(&sorted).unwrap().len(), all.len() * 8);
        assert!(!tail.exists());
    }
}
