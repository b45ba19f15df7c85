//! Keeps account of the parts of a transfer: which have arrived, which are missing, and whether
//! they agree.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::{MAX_COUNT, Part, PartHeader, TransferId};
use crate::message::Error;

/// Bits in a word of the table of parts.
const BITS: u32 = u64::BITS;

/// The parts of one transfer that have arrived. Memory grows with the number of parts, not with
/// their indexes: at most a word and its number for each part.
#[derive(Clone, Debug)]
pub struct Ledger {
    transfer: TransferId,
    size: u32,
    name: Option<String>,
    /// The words of a table with a bit for each part, the lowest bit for the first part. Words
    /// without a part are absent, since the sender chooses the indexes.
    table: BTreeMap<u32, u64>,
    count: u32,
    highest: u32,
    last: Option<Last>,
}

/// The facts that the last part gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Last {
    index: u32,
    len: u32,
    sha256: [u8; 32],
}

/// Whether a part is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It has not arrived before.
    New,
    /// It has arrived before, as far as its header tells; the content was not compared.
    Known,
}

impl Ledger {
    /// A ledger for the transfer of this part; the part itself is not noted.
    #[must_use]
    pub fn of(part: &PartHeader) -> Self {
        Self {
            transfer: part.transfer,
            size: part.size,
            name: part.name.clone(),
            table: BTreeMap::new(),
            count: 0,
            highest: 0,
            last: None,
        }
    }

    /// Notes that a part has arrived. If it had arrived before, the caller must compare the
    /// content.
    ///
    /// # Errors
    /// [`Error::PartConflict`] when it contradicts earlier parts; it is then not noted.
    pub fn note(&mut self, part: &Part<'_>) -> Result<Noted, Error> {
        let header = part.header();
        let index = header.index;
        let conflict = |what| Error::PartConflict { index, what };
        if header.transfer != self.transfer {
            return Err(conflict("transfer"));
        }
        if header.size != self.size {
            return Err(conflict("size"));
        }
        if header.name != self.name {
            return Err(conflict("name"));
        }
        let last = header.sha256.map(|sha256| Last {
            index,
            // This always fits: parts have 8 MiB at most.
            len: u32::try_from(part.content().len()).unwrap_or(u32::MAX),
            sha256,
        });
        match (self.last, last) {
            // A transfer has one last part, which no part may contradict or exceed.
            (Some(before), Some(last)) if before != last => return Err(conflict("end")),
            (Some(before), None) if index == before.index => return Err(conflict("end")),
            (Some(before), None) if index > before.index => return Err(conflict("end")),
            // A part that claims to be the last, although this one or a later one has arrived.
            (None, Some(_)) if index < self.highest || self.has(index) => {
                return Err(conflict("end"));
            }
            _ => {}
        }
        if self.has(index) {
            return Ok(Noted::Known);
        }
        let (word, bit) = place(index);
        *self.table.entry(word).or_default() |= bit;
        self.count += 1;
        self.highest = self.highest.max(index);
        self.last = self.last.or(last);
        Ok(Noted::New)
    }

    /// Whether this part has arrived.
    #[must_use]
    pub fn has(&self, index: u32) -> bool {
        let (word, bit) = place(index);
        index > 0 && self.table.get(&word).is_some_and(|word| word & bit != 0)
    }

    /// Whether every part has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts() == Some(self.count)
    }

    /// The transfer that the parts belong to.
    #[must_use]
    pub fn transfer(&self) -> TransferId {
        self.transfer
    }

    /// The sender's name for the file, as received.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The length of the content of every part but the last, in octets.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The number of parts that have arrived.
    #[must_use]
    pub fn received(&self) -> u32 {
        self.count
    }

    /// The number of parts; `None` until the last one has arrived.
    #[must_use]
    pub fn parts(&self) -> Option<u32> {
        self.last.map(|last| last.index)
    }

    /// The length of the whole in octets; `None` until the last part has arrived.
    #[must_use]
    pub fn len(&self) -> Option<u64> {
        let last = self.last?;
        Some(u64::from(last.index - 1) * u64::from(self.size) + u64::from(last.len))
    }

    /// Whether no part has arrived.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The SHA-256 of the whole; `None` until the last part has arrived.
    #[must_use]
    pub fn sha256(&self) -> Option<&[u8; 32]> {
        self.last.as_ref().map(|last| &last.sha256)
    }

    /// The length of the content of a part in octets; of the last one, once it has arrived.
    #[must_use]
    pub fn len_of(&self, index: u32) -> u32 {
        match self.last {
            Some(last) if last.index == index => last.len,
            _ => self.size,
        }
    }

    /// The number of words in the table.
    #[cfg(test)]
    pub(crate) fn words(&self) -> usize {
        self.table.len()
    }

    /// The parts that have arrived, in order: one range for consecutive parts of a word.
    fn came(&self) -> impl Iterator<Item = Range<u32>> {
        self.table.iter().flat_map(|(word, bits)| {
            let first = word * BITS + 1;
            let mut at = 0;
            std::iter::from_fn(move || {
                // A shift by 64 gives `None` and ends the word; a rest without bits has 64 zeros.
                at += bits.checked_shr(at)?.trailing_zeros();
                let len = bits.checked_shr(at)?.trailing_ones();
                let came = first + at..first + at + len;
                at += len;
                Some(came)
            })
        })
    }

    /// The parts that are missing.
    #[must_use]
    pub fn missing(&self) -> Missing {
        let mut ranges = Vec::new();
        let mut next = 1;
        for came in self.came() {
            if came.start > next {
                ranges.push((next, Some(came.start - 1)));
            }
            next = came.end;
        }
        if self.last.is_none() {
            ranges.push((self.highest + 1, None));
        }
        Missing {
            transfer: self.transfer,
            name: self.name.clone(),
            parts: self.parts(),
            ranges,
        }
    }
}

/// The word of the table that has the bit of a part, and the bit.
fn place(index: u32) -> (u32, u64) {
    let at = index.saturating_sub(1);
    (at / BITS, 1 << (at % BITS))
}

/// The missing parts of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The transfer that they belong to.
    pub transfer: TransferId,
    /// The sender's name for the file, as received.
    pub name: Option<String>,
    /// The number of parts, if the last one has arrived.
    pub parts: Option<u32>,
    /// The first and last part of each gap, in order. The last is `None` where the number of parts
    /// is unknown.
    pub ranges: Vec<(u32, Option<u32>)>,
}

/// Maximum number of gaps in a message to the user; JSON has all of them.
const MAX_LISTED: usize = 50;

impl Missing {
    /// Each gap, as `7`, `3-5` or `9-`.
    pub fn ranges(&self) -> impl Iterator<Item = String> {
        self.ranges.iter().map(|range| match range {
            (first, Some(last)) if first == last => format!("{first}"),
            (first, Some(last)) => format!("{first}-{last}"),
            (first, None) => format!("{first}-"),
        })
    }
}

/// As `parts 3-5, 7 of 9 are missing`.
impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.ranges().take(MAX_LISTED).collect();
        let is_one = matches!(&self.ranges[..], [(first, Some(last))] if first == last);
        let (noun, verb) = if is_one {
            ("part", "is")
        } else {
            ("parts", "are")
        };
        write!(formatter, "{noun} {}", text.join(", "))?;
        if self.ranges.len() > MAX_LISTED {
            write!(
                formatter,
                " and in {} more gaps",
                self.ranges.len() - MAX_LISTED
            )?;
        }
        if let Some(parts) = self.parts {
            write!(formatter, " of {parts}")?;
        }
        write!(formatter, " {verb} missing")
    }
}

/// Parses indexes of parts, in the form of [`Missing::ranges`]: `7`, `3-5` or `9-`.
///
/// # Errors
/// A text with the reason.
pub fn parse_range(text: &str) -> Result<(u32, u32), &'static str> {
    let number = |text: &str| match text.parse::<u32>() {
        Ok(number) if (1..=MAX_COUNT).contains(&number) && !text.starts_with('+') => Ok(number),
        _ => Err("not parts such as 7, 3-5 or 9-, of which the first is 1"),
    };
    let (first, last) = match text.split_once('-') {
        None => (number(text)?, number(text)?),
        Some((first, "")) => (number(first)?, MAX_COUNT),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if first > last {
        return Err("the last of these parts comes before the first");
    }
    Ok((first, last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{header, last, part};
    use super::*;

    /// Notes parts, given as index and whether it is the last.
    fn noted(parts: &[(u32, bool)]) -> Ledger {
        let mut ledger = Ledger::of(&header(1, 3));
        for (index, is_last) in parts {
            note(&mut ledger, *index, *is_last).unwrap();
        }
        ledger
    }

    fn note(ledger: &mut Ledger, index: u32, is_last: bool) -> Result<Noted, Error> {
        let header = if is_last {
            last(index, 3)
        } else {
            header(index, 3)
        };
        ledger.note(&Part::parse(&part(&header, b"abc")).unwrap())
    }

    #[test]
    fn gaps_are_told_as_ranges() {
        let text = |parts: &[(u32, bool)]| noted(parts).missing().to_string();
        assert_eq!(text(&[(1, false)]), "parts 2- are missing");
        assert_eq!(text(&[(2, true)]), "part 1 of 2 is missing");
        assert_eq!(
            text(&[(9, true), (2, false), (6, false), (7, false)]),
            "parts 1, 3-5, 8 of 9 are missing"
        );
        assert_eq!(
            text(&[(3, false), (500, false)]),
            "parts 1-2, 4-499, 501- are missing"
        );
        let sieve: Vec<(u32, bool)> = (1..=100).map(|at| (2 * at, at == 100)).collect();
        let text = text(&sieve);
        assert!(
            text.ends_with("97, 99 and in 50 more gaps of 200 are missing"),
            "{text}"
        );
        assert!(noted(&[(2, true), (1, false)]).is_complete());
    }

    #[test]
    fn an_index_far_ahead_costs_no_more_than_the_first() {
        let ledger = noted(&[(MAX_COUNT, true)]);
        assert_eq!(ledger.table.len(), 1);
        assert_eq!(ledger.missing().ranges().collect::<Vec<_>>(), ["1-1048575"]);
        assert_eq!(ledger.len(), Some(3 * u64::from(MAX_COUNT)));
    }

    #[test]
    fn parts_that_contradict_each_other_are_refused_and_not_noted() {
        for (before, contradicting) in [
            (&[(5, true)][..], (4, true)),
            (&[(5, true)], (6, true)),
            (&[(5, true)], (6, false)),
            (&[(5, true)], (5, false)),
            (&[(5, false)], (5, true)),
            (&[(5, false)], (4, true)),
        ] {
            let mut ledger = noted(before);
            let (index, is_last) = contradicting;
            let error = note(&mut ledger, index, is_last).unwrap_err();
            assert!(matches!(error, Error::PartConflict { what: "end", .. }));
            assert_eq!(ledger.received(), 1);
        }
        let mut ledger = noted(&[(5, true)]);
        for (header, content, what) in [
            (header(1, 4), &b"abcd"[..], "size"),
            (
                PartHeader {
                    name: Some("x".to_owned()),
                    ..header(1, 3)
                },
                b"abc",
                "name",
            ),
            (
                PartHeader {
                    transfer: [8; 16].into(),
                    ..header(1, 3)
                },
                b"abc",
                "transfer",
            ),
            (last(5, 3), b"ab", "end"),
            (
                PartHeader {
                    sha256: Some([1; 32]),
                    ..header(5, 3)
                },
                b"abc",
                "end",
            ),
        ] {
            let octets = part(&header, content);
            let error = ledger.note(&Part::parse(&octets).unwrap()).unwrap_err();
            assert!(
                matches!(error, Error::PartConflict { what: found, .. } if found == what),
                "{error}"
            );
        }
        assert_eq!(note(&mut ledger, 5, true).unwrap(), Noted::Known);
    }

    #[test]
    fn ranges_are_read_as_they_are_told() {
        for (text, range) in [
            ("7", (7, 7)),
            ("3-5", (3, 5)),
            ("9-", (9, MAX_COUNT)),
            ("1048576", (MAX_COUNT, MAX_COUNT)),
        ] {
            assert_eq!(parse_range(text), Ok(range));
        }
        for bad in [
            "",
            "-",
            "0",
            "0-3",
            "-3",
            "5-3",
            "1-1048577",
            "1-2-3",
            "+1",
            "1,2",
            " 1",
            "x",
        ] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_came_and_what_is_missing_make_the_whole(
            count in 1_u32..400,
            came in proptest::collection::vec(1_u32..400, 0..300),
            has_last in any::<bool>(),
        ) {
            let mut ledger = Ledger::of(&header(1, 3));
            let mut expected: std::collections::BTreeSet<u32> = (1..=count).collect();
            for index in came.iter().copied().filter(|index| *index < count) {
                let is_new = expected.remove(&index);
                let noted = note(&mut ledger, index, false).unwrap();
                prop_assert_eq!(noted == Noted::New, is_new);
            }
            if has_last {
                note(&mut ledger, count, true).unwrap();
                expected.remove(&count);
            }
            let end = |range: Option<u32>| range.unwrap_or(count);
            let missing: Vec<u32> = ledger
                .missing()
                .ranges
                .iter()
                .flat_map(|(first, last)| *first..=end(*last))
                .collect();
            prop_assert!(missing.iter().copied().eq(expected.iter().copied()));
            prop_assert_eq!(ledger.is_complete(), expected.is_empty());
            prop_assert!(ledger.table.len() <= usize::try_from(ledger.received()).unwrap());
        }

        #[test]
        fn parts_far_apart_are_told_from_those_that_are_missing(
            came in proptest::collection::btree_set(1..=MAX_COUNT, 1..50),
            run in 1_u32..300,
        ) {
            let mut ledger = Ledger::of(&header(1, 3));
            let mut expected = std::collections::BTreeSet::new();
            for first in &came {
                for index in (*first..=MAX_COUNT).take(run.try_into().unwrap()) {
                    let is_new = expected.insert(index);
                    let noted = note(&mut ledger, index, false).unwrap();
                    prop_assert_eq!(noted == Noted::New, is_new);
                }
            }
            prop_assert!(ledger.table.len() <= expected.len());
            let mut next = 1;
            for (first, last) in ledger.missing().ranges {
                prop_assert!((next..first).all(|index| expected.contains(&index) && ledger.has(index)));
                next = match last {
                    Some(last) => {
                        prop_assert!(first <= last && expected.range(first..=last).next().is_none());
                        last + 1
                    }
                    None => first,
                };
            }
            prop_assert_eq!(Some(&(next - 1)), expected.last());
        }
    }
}
