//! A stream of parts: their concatenation. Reading it takes the memory of one part.

use std::io::Read;

use super::{MAX_LEN, SIGNATURE_LEN, check_signature};
use crate::asn1::{self, tag};
use crate::message::stream::StreamError;
use crate::message::{Error, malformed};
use crate::ramf;

/// Reads parts from an input one by one.
#[derive(Debug)]
pub struct PartStream<R> {
    input: R,
    /// Whether an error was met, after which no part can be recognised.
    lost: bool,
}

impl<R: Read> PartStream<R> {
    /// A stream that reads from `input`.
    pub fn new(input: R) -> Self {
        Self { input, lost: false }
    }

    /// Appends the octets of the next part to `into` and returns their number; `None` at the end.
    /// Only the signature and the length of the part are checked. After an error the stream has
    /// ended.
    ///
    /// # Errors
    /// When reading fails, or the next octets are not a part or are cut short.
    pub fn next_part(&mut self, into: &mut Vec<u8>) -> Option<Result<usize, StreamError>> {
        if self.lost {
            return None;
        }
        let start = into.len();
        match self.take(into) {
            Ok(()) if into.len() == start => None,
            Ok(()) => Some(Ok(into.len() - start)),
            Err(error) => {
                into.truncate(start);
                self.lost = true;
                Some(Err(error))
            }
        }
    }

    fn take(&mut self, into: &mut Vec<u8>) -> Result<(), StreamError> {
        let start = into.len();
        let wrong = malformed("part");
        self.fill(into, SIGNATURE_LEN)?;
        check_signature(&into[start..])?;
        if into.len() == start {
            return Ok(());
        }
        let whole = into.len() - start == SIGNATURE_LEN;
        if !whole || self.fill(into, 2)? < 2 {
            return Err(Error::Truncated.into());
        }
        let [found, first] = [into[start + SIGNATURE_LEN], into[start + SIGNATURE_LEN + 1]];
        if found != tag::SEQUENCE {
            let expected = tag::SEQUENCE;
            return Err(wrong(asn1::Error::Tag { expected, found }).into());
        }
        let len = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            // Zero digits would be an indefinite length, which a part in DER never has.
            if !(1..=4).contains(&count) {
                return Err(wrong(asn1::Error::Length).into());
            }
            if self.fill(into, count)? < count {
                return Err(Error::Truncated.into());
            }
            let digits = &into[into.len() - count..];
            digits
                .iter()
                .fold(0, |len, &digit| len << 8 | usize::from(digit))
        };
        let found = (into.len() - start).saturating_add(len);
        // Before the content is read, so that a false length reserves no memory.
        if found > MAX_LEN {
            let limit = MAX_LEN;
            let part = "part";
            return Err(Error::Ramf(ramf::Error::TooLong { part, found, limit }).into());
        }
        if self.fill(into, len)? < len {
            return Err(Error::Truncated.into());
        }
        Ok(())
    }

    /// Reads `len` more octets, or fewer at the end, and returns their number.
    fn fill(&mut self, into: &mut Vec<u8>, len: usize) -> std::io::Result<usize> {
        into.reserve(len);
        let limit = u64::try_from(len).unwrap_or(u64::MAX);
        self.input.by_ref().take(limit).read_to_end(into)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{header, last, part};
    use super::*;

    fn read(octets: &[u8]) -> Vec<Result<Vec<u8>, String>> {
        let mut stream = PartStream::new(octets);
        let mut parts = Vec::new();
        let mut buffer = b"before".to_vec();
        while let Some(next) = stream.next_part(&mut buffer) {
            assert!(buffer.starts_with(b"before"));
            let octets = buffer.split_off(6);
            if let Ok(len) = next {
                assert_eq!(len, octets.len());
            }
            parts.push(next.map(|_| octets).map_err(|error| error.to_string()));
        }
        parts
    }

    #[test]
    fn parts_follow_each_other() {
        let parts = [
            part(&header(1, 3), b"abc"),
            part(&header(2, 300), &[5; 300]),
            part(&last(3, 70_000), &vec![6; 70_000]),
            part(&last(1, 1), b""),
        ];
        let expected: Vec<_> = parts.iter().cloned().map(Ok).collect();
        assert_eq!(read(&parts.concat()), expected);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_stream_cut_anywhere_ends_with_an_error() {
        let parts = [part(&header(1, 3), b"abc"), part(&last(2, 300), &[5; 200])];
        let stream = parts.concat();
        for len in (1..stream.len()).filter(|len| *len != parts[0].len()) {
            let taken = read(&stream[..len]);
            assert_eq!(taken.len(), 1 + usize::from(len > parts[0].len()), "{len}");
            assert_eq!(taken.last().unwrap(), &Err("cut short".to_owned()), "{len}");
        }
    }

    #[test]
    fn nothing_is_read_where_parts_cannot_be_told_apart() {
        let good = part(&header(1, 3), b"abc");
        for (junk, problem) in [
            (&b"junk"[..], "not a part of a transfer"),
            (b"\n", "not a part of a transfer"),
            (b"AwalaP\0\x30", "not a part of a transfer"),
            (
                b"RelayPart\x01\x30\0",
                "a part in version 1, which is not supported",
            ),
            (
                b"RelayPart\0\x04\0",
                "malformed part: tag 30 expected, 04 found",
            ),
            (b"RelayPart\0\x30\x80", "malformed part: malformed length"),
            (
                b"RelayPart\0\x30\x85\0\0\0\0\x01",
                "malformed part: malformed length",
            ),
            (
                b"RelayPart\0\x30\x84\xff\xff\xff\xff",
                "part has 4294967311 octets, over 8389120",
            ),
        ] {
            let taken = read(&[&good, junk, &good[..]].concat());
            let expected = [Ok(good.clone()), Err(problem.to_owned())];
            assert_eq!(taken, expected, "{junk:x?}");
        }
    }

    #[test]
    fn what_is_only_said_to_come_costs_nothing() {
        // 100 octets that claim to be 8 million.
        let liar = [b"RelayPart\0\x30\x83\x80\0\0".as_slice(), &[0; 100]].concat();
        assert_eq!(read(&liar), [Err("cut short".to_owned())]);
    }
}
