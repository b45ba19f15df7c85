//! Files of sorted records, which are searched where they are.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::open::open;
use super::{Error, FileRole, Operation, Result};

/// How many records are read at once. Records are digests, so that the place of one can be guessed:
/// among 100 000 the guess is wrong by more than half of this in one of ten cases.
const AT_ONCE: u64 = 512;

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
        let (mut low, mut high) = (0, self.count);
        let mut middle = self.guess(record);
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
                [first, ..] if record < first => high = start,
                [.., last] if record > last => low = start + most.min(AT_ONCE),
                read => return Ok(read.binary_search(record).is_ok()),
            }
            middle = low.midpoint(high);
        }
        Ok(false)
    }

    /// Where a record should be.
    fn guess(&self, record: &[u8; N]) -> u64 {
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&record[..8]);
        let place = u128::from(u64::from_be_bytes(beginning)) * u128::from(self.count);
        u64::try_from(place >> 64).unwrap_or_default()
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
                // A torn record at the end is none.
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
}
