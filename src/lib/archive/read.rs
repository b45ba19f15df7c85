//! A tar stream, read entry by entry.
//!
//! Only what [`write`](super::write) makes is accepted, and what other programs make of files and
//! directories alone: ustar headers, and pax headers with `path`, `size`, `mtime` or `comment`. All
//! else is an error, since two readers could differ on what it means.

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::format::{BLOCK, COMMENT, MTIME, PATH, SIZE, padding_of, shown};
use super::{Error, MAX_DEPTH, MAX_ENTRIES, MAX_PATH_LEN};
use crate::disk;

/// The longest pax header, in octets. The longest path takes a fraction of it.
const MAX_RECORDS: u64 = 16_384;

/// Reads the entries of a tar stream.
pub struct TarReader<R> {
    source: R,
    /// The length of the stream, and how much of it has been read.
    len: u64,
    at: u64,
    /// How much of the content of the current entry has not been read.
    left: u64,
    padding: usize,
    /// How many headers have been read, those before an entry not counted.
    entries: usize,
}

/// A file or directory, as its headers say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFile {
    /// The names in its path: the top directory's, and so on. None is empty, `.` or `..`.
    pub names: Vec<String>,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Whether its owner may execute it.
    pub is_executable: bool,
    /// The length of its content, in octets: no more than the rest of the stream.
    pub len: u64,
    /// When it was changed last: seconds since 1970, and nanoseconds after them.
    pub modified: (i64, u32),
}

impl ArchivedFile {
    /// Its path in the stream.
    #[must_use]
    pub fn path(&self) -> String {
        self.names.join("/")
    }
}

/// What a pax header says.
#[derive(Debug, Default)]
struct Records {
    path: Option<String>,
    size: Option<u64>,
    modified: Option<(i64, u32)>,
}

impl<R: Read> TarReader<R> {
    /// Reads a stream of `len` octets.
    pub fn new(source: R, len: u64) -> Self {
        Self {
            source,
            len,
            at: 0,
            left: 0,
            padding: 0,
            entries: 0,
        }
    }

    /// The next file or directory; `None` at the end, after which nothing but zeros follows. What is
    /// left of the content before is skipped.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Unsuitable`] and the limits; [`Error::Source`] and
    /// [`Error::Disk`] when the stream cannot be read.
    pub fn next_file(&mut self) -> Result<Option<ArchivedFile>, Error> {
        let mut records: Option<Records> = None;
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return match records {
                    Some(_) => Err(self.malformed("a pax header without an entry")),
                    None => Ok(None),
                };
            };
            let size = header.entry_size();
            let size = size.map_err(|_| self.malformed("a size that is no number"))?;
            match header.entry_type() {
                EntryType::XHeader if records.is_some() => {
                    return Err(self.malformed("two pax headers for one entry"));
                }
                EntryType::XHeader => records = Some(self.records(size, false)?),
                EntryType::XGlobalHeader => {
                    self.count()?;
                    self.records(size, true)?;
                }
                _ => {
                    self.count()?;
                    let records = records.unwrap_or_default();
                    return self.file(&header, size, records).map(Some);
                }
            }
        }
    }

    /// Reads some octets of the content of the current file; none at its end, or if `octets` is
    /// empty.
    ///
    /// # Errors
    /// As [`TarReader::next_file`].
    pub fn content(&mut self, octets: &mut [u8]) -> Result<usize, Error> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let len = octets.len().min(left);
        self.fill(&mut octets[..len])?;
        self.left -= len as u64;
        Ok(len)
    }

    fn count(&mut self) -> Result<(), Error> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Error::TooMany);
        }
        Ok(())
    }

    /// Skips what is left of the current entry.
    fn skip(&mut self) -> Result<(), Error> {
        let mut block = [0; 16 * BLOCK];
        while self.content(&mut block)? > 0 {}
        let padding = std::mem::take(&mut self.padding);
        self.fill(&mut block[..padding])
    }

    /// Begins the content of an entry.
    fn begin(&mut self, len: u64) -> Result<(), Error> {
        if len > self.len - self.at {
            return Err(self.malformed("an entry that is longer than the rest"));
        }
        self.left = len;
        self.padding = padding_of(len);
        Ok(())
    }

    /// The next header; `None` at the end.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        if block == [0; BLOCK] {
            self.end()?;
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let mut right = header.clone();
        right.set_cksum();
        // The numbers are compared, since programs end them in several ways.
        match (header.cksum(), right.cksum()) {
            (Ok(sum), Ok(right)) if sum == right => {}
            _ => return Err(self.malformed("a wrong checksum")),
        }
        if header.as_ustar().is_none() {
            return Err(self.malformed("a header that is not ustar"));
        }
        Ok(Some(header))
    }

    /// Checks that nothing follows the first block of zeros but another one, and more zeros.
    fn end(&mut self) -> Result<(), Error> {
        let mut block = [0; 16 * BLOCK];
        self.fill(&mut block[..BLOCK])?;
        let mut len = BLOCK;
        loop {
            if block[..len].iter().any(|octet| *octet != 0) {
                return Err(self.malformed("octets after the end"));
            }
            len = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
            len = len.min(block.len());
            if len == 0 {
                return Ok(());
            }
            self.fill(&mut block[..len])?;
        }
    }

    /// Reads a pax header. That of all entries may only have comments.
    fn records(&mut self, len: u64, is_global: bool) -> Result<Records, Error> {
        if len > MAX_RECORDS {
            return Err(self.malformed("a pax header that is too long"));
        }
        self.begin(len)?;
        let mut octets = vec![0; usize::try_from(len).unwrap_or_default()];
        self.content(&mut octets)?;
        let mut found = Records::default();
        let mut rest = &*octets;
        while !rest.is_empty() {
            let (key, value, after) =
                record(rest).ok_or_else(|| self.malformed("a pax header that is no list"))?;
            rest = after;
            let is_known = match key {
                COMMENT => true,
                _ if is_global => false,
                PATH => found.path.replace(value.to_owned()).is_none(),
                SIZE => {
                    let size = number(value);
                    let size = size.ok_or_else(|| self.malformed("a size that is no number"))?;
                    found.size.replace(size).is_none()
                }
                MTIME => {
                    let time = time(value);
                    let time = time.ok_or_else(|| self.malformed("a time that is no number"))?;
                    found.modified.replace(time).is_none()
                }
                _ => false,
            };
            if !is_known {
                let what = "a pax record that is not accepted";
                return Err(Error::Unsuitable(shown(key), what));
            }
        }
        Ok(found)
    }

    fn file(
        &mut self,
        header: &Header,
        size: u64,
        records: Records,
    ) -> Result<ArchivedFile, Error> {
        let path = records
            .path
            .unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
        let is_dir = match header.entry_type() {
            EntryType::Regular => false,
            EntryType::Directory => true,
            other => return Err(Error::Unsuitable(shown(&path), word(other))),
        };
        let len = records.size.unwrap_or(size);
        if is_dir && len > 0 {
            return Err(Error::Unsuitable(shown(&path), "a directory with content"));
        }
        let mode = header.mode();
        let mode = mode.map_err(|_| self.malformed("a mode that is no number"))?;
        let modified = match records.modified {
            Some(modified) => modified,
            None => match header.mtime() {
                Ok(seconds) => (i64::try_from(seconds).unwrap_or(i64::MAX), 0),
                Err(_) => return Err(self.malformed("a time that is no number")),
            },
        };
        let names = names(&path, is_dir)?;
        self.begin(len)?;
        Ok(ArchivedFile {
            names,
            is_dir,
            is_executable: mode & 0o100 != 0,
            len,
            modified,
        })
    }

    /// Fills all of `octets`.
    fn fill(&mut self, octets: &mut [u8]) -> Result<(), Error> {
        if octets.len() as u64 > self.len - self.at {
            return Err(self.malformed("a stream that ends early"));
        }
        let filled = self.source.read_exact(octets);
        filled.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.malformed("a stream that ends early"),
            _ => match error.downcast::<disk::Error>() {
                Ok(error) => Error::Disk(error),
                Err(error) => Error::Source(error),
            },
        })?;
        self.at += octets.len() as u64;
        Ok(())
    }

    fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed { what, at: self.at }
    }
}

/// Splits off the first pax record: its key, its value and what follows.
fn record(octets: &[u8]) -> Option<(&str, &str, &[u8])> {
    let space = octets.iter().position(|octet| *octet == b' ')?;
    let digits = str::from_utf8(&octets[..space]).ok()?;
    let len = usize::try_from(number(digits)?).ok()?;
    if len <= space + 1 || len > octets.len() {
        return None;
    }
    let (record, rest) = octets.split_at(len);
    let text = str::from_utf8(&record[space + 1..]).ok()?;
    let (key, value) = text.strip_suffix('\n')?.split_once('=')?;
    Some((key, value, rest))
}

/// A decimal number without a sign.
fn number(digits: &str) -> Option<u64> {
    let is_decimal = digits.bytes().all(|digit| digit.is_ascii_digit());
    if is_decimal {
        digits.parse().ok()
    } else {
        None
    }
}

/// A time in decimal: `1.5`, `-3`. Digits after the ninth behind the point do not count.
fn time(text: &str) -> Option<(i64, u32)> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = i64::try_from(number(seconds)?).ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = nanoseconds.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

/// The names in a path, if none of them leads elsewhere.
fn names(path: &str, is_dir: bool) -> Result<Vec<String>, Error> {
    let refused = |what| Err(Error::Unsuitable(shown(path), what));
    if path.len() > MAX_PATH_LEN {
        return Err(Error::LongPath(shown(path)));
    }
    // Directories end with a slash, or not.
    let whole = if is_dir {
        path.strip_suffix('/').unwrap_or(path)
    } else {
        path
    };
    if whole.starts_with('/') {
        return refused("an absolute path");
    }
    let names: Vec<String> = whole.split('/').map(str::to_owned).collect();
    for name in &names {
        match &**name {
            "" => return refused("an empty name in a path"),
            "." => return refused("`.` in a path"),
            ".." => return refused("`..` in a path"),
            name if name.contains('\0') => return refused("a null character in a path"),
            _ => {}
        }
    }
    if names.len() > MAX_DEPTH {
        return Err(Error::TooDeep(shown(path)));
    }
    Ok(names)
}

/// A word for what is neither a file nor a directory.
fn word(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a FIFO",
        EntryType::GNUSparse => "a sparse file",
        _ => "an entry of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_exactly() {
        for (text, expected) in [
            ("0", Some((0, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("1.", Some((1, 0))),
            ("-0.25", Some((-1, 750_000_000))),
            ("-3", Some((-3, 0))),
            ("10.0000000019", Some((10, 1))),
            ("9223372036854775807", Some((i64::MAX, 0))),
            ("-9223372036854775807.5", Some((i64::MIN, 500_000_000))),
            ("9223372036854775808", None),
            ("", None),
            ("+1", None),
            ("1.-5", None),
            ("1e3", None),
            ("--1", None),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
    }

    #[test]
    fn records_are_read_by_their_length() {
        let whole = b"9 path=x\n19 comment=a\nb = c\n";
        let (key, value, rest) = record(whole).unwrap();
        assert_eq!((key, value), ("path", "x"));
        let (key, value, rest) = record(rest).unwrap();
        assert_eq!((key, value, rest), ("comment", "a\nb = c", &b""[..]));
        for broken in [
            &b""[..],
            b"9 path=x",
            b"11 path=x\n",
            b"8 path=x\n",
            b"2 \n",
            b"0 path=x\n",
            b" path=x\n",
            b"+9 path=x\n",
            b"9  path=x\n",
            b"99999999999999999999 path=x\n",
            b"7 pathx\n",
            b"8 a=\xff\xff\n",
        ] {
            let is_read = record(broken).is_some_and(|(key, ..)| !key.starts_with(' '));
            assert!(!is_read, "{}", broken.escape_ascii());
        }
    }
}
