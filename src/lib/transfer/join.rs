//! Joins the parts of one content (relay-parts(5)). Each part is written at its offset as it comes,
//! in any order. The file gets its name only when every part has come and the SHA-256 of the whole
//! is right.
//!
//! Joining takes the memory of one block, and a few bits for each part. If it is dropped before the
//! content is published, nothing is left.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;

use crate::crypto::hash::{Digest, Hasher};
use crate::disk::{self, ExistingFile, FileRole, Pending, PublishOptions, Published, Scratch};
use crate::kind::ErrorKind;
use crate::message::parts::{Ledger, Missing, Noted};
use crate::message::{self, Part};

/// How many octets are read back at once.
const BLOCK: usize = 256 * 1024;

/// Parts of at least this many octets are hashed in another thread while they are being written.
const MUCH: usize = 1 << 20;

/// The reason why parts cannot be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part contradicts those before it.
    #[error(transparent)]
    Part(#[from] message::Error),
    /// The content cannot be written or read back.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Not all parts have come.
    #[error("{0}")]
    Missing(Box<Missing>),
    /// The joined content has another SHA-256 than its last part says.
    #[error("the joined content does not have the SHA-256 that its last part says")]
    Digest,
}

impl Error {
    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Part(error) => error.kind(),
            Self::Disk(error) => error.kind(),
            Self::Missing(_) => ErrorKind::Incomplete,
            Self::Digest => ErrorKind::Corrupt,
        }
    }
}

/// The file that the parts of a content are written to.
#[derive(Debug)]
pub struct Site(SiteKind);

#[derive(Debug)]
enum SiteKind {
    /// The temporary file that gets the final name.
    File(Pending),
    /// A scratch file, for a device or FIFO, which can only be written in order.
    Through(Pending, Scratch),
    /// A scratch file.
    Aside(Scratch),
}

impl Site {
    /// A file that will be named `path`. Content for a device or FIFO is put into a scratch file in
    /// the directory `aside` until it is whole.
    ///
    /// # Errors
    /// As [`Pending::create`].
    pub fn file(path: &Path, options: &PublishOptions<'_>, aside: &Path) -> disk::Result<Self> {
        let pending = Pending::create(path, options)?;
        Ok(Self(if pending.is_through() {
            SiteKind::Through(pending, Scratch::new(aside))
        } else {
            SiteKind::File(pending)
        }))
    }

    /// A scratch file in this directory.
    #[must_use]
    pub fn aside(dir: &Path) -> Self {
        Self(SiteKind::Aside(Scratch::new(dir)))
    }

    fn write_at(&mut self, start: u64, octets: &[u8]) -> disk::Result<()> {
        match &mut self.0 {
            SiteKind::File(file) => file.write_at(start, octets),
            SiteKind::Through(_, scratch) | SiteKind::Aside(scratch) => {
                scratch.write_at(start, octets)
            }
        }
    }

    fn read_at(&self, start: u64, octets: &mut [u8]) -> disk::Result<()> {
        match &self.0 {
            SiteKind::File(file) => file.read_at(start, octets),
            SiteKind::Through(_, scratch) | SiteKind::Aside(scratch) => {
                scratch.read_at(start, octets)
            }
        }
    }

    /// Reads `len` octets from offset `start` and passes them to `each`, block by block, until that
    /// returns false.
    fn blocks<E: From<disk::Error>>(
        &self,
        start: u64,
        len: u64,
        each: impl FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        blocks(
            |start, octets| self.read_at(start, octets),
            start,
            len,
            each,
        )
    }
}

/// Reads `len` octets from offset `start` with `read_at` and passes them to `each`, block by block,
/// until that returns false.
fn blocks<E: From<disk::Error>>(
    read_at: impl Fn(u64, &mut [u8]) -> disk::Result<()>,
    start: u64,
    len: u64,
    mut each: impl FnMut(&[u8]) -> Result<bool, E>,
) -> Result<(), E> {
    // One block, so that content of any size takes the same memory.
    let mut block = vec![0; BLOCK.min(usize::try_from(len).unwrap_or(BLOCK))];
    let (mut at, end) = (start, start + len);
    while at < end {
        let len = BLOCK.min(usize::try_from(end - at).unwrap_or(BLOCK));
        read_at(at, &mut block[..len])?;
        if !each(&block[..len])? {
            break;
        }
        at += len as u64;
    }
    Ok(())
}

/// Joins the parts of one transfer.
pub struct Join {
    ledger: Ledger,
    site: Site,
    hasher: Hasher,
    /// How many parts have been hashed, counted from the first one.
    hashed: u32,
}

impl Join {
    /// Starts with any part of a transfer.
    ///
    /// # Errors
    /// [`Error::Disk`] when it cannot be written.
    pub fn begin(part: &Part<'_>, site: Site) -> Result<Self, Error> {
        let mut join = Self {
            ledger: Ledger::of(part.header()),
            site,
            hasher: Hasher::new(Digest::Sha256),
            hashed: 0,
        };
        join.add(part)?;
        Ok(join)
    }

    /// Adds a part of the same transfer. A repeated part with the same content changes nothing.
    ///
    /// # Errors
    /// [`Error::Part`] when it contradicts earlier ones, or [`Error::Disk`]. After either, the join
    /// cannot be used any more.
    pub fn add(&mut self, part: &Part<'_>) -> Result<Noted, Error> {
        let header = part.header();
        let start = header.offset();
        let noted = self.ledger.note(part)?;
        if noted == Noted::Known {
            // Parts of one transfer are not replaced: which of two contents is right cannot be
            // known.
            if !self.is_same(start, part.content())? {
                let (index, what) = (header.index, "content");
                return Err(message::Error::PartConflict { index, what }.into());
            }
            return Ok(noted);
        }
        let content = part.content();
        // It came early: `hash_on` reads it back once the parts before it have come.
        if header.index != self.hashed + 1 {
            // Only writing: the hash needs the parts in order.
            self.site.write_at(start, content)?;
            return Ok(noted);
        }
        // Hashing and writing overlap, so that neither waits for the other.
        thread::scope(|scope| {
            let hasher = &mut self.hasher;
            if content.len() < MUCH {
                hasher.update(content);
            } else {
                scope.spawn(move || hasher.update(content));
            }
            self.site.write_at(start, content)
        })?;
        self.hashed += 1;
        self.hash_on()?;
        Ok(noted)
    }

    /// The parts that have come.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether a file has the joined content already; then it is synced. The last part alone shows
    /// that, by length and SHA-256: a killed run may have removed the files of the others.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn is_at(&self, path: &Path, role: FileRole) -> Result<bool, Error> {
        let (Some(len), Some(sha256)) = (self.ledger.len(), self.ledger.sha256()) else {
            return Ok(false);
        };
        let Some(held) = ExistingFile::open(path, role) else {
            return Ok(false);
        };
        // Compared first, since hashing a large file of another length would be wasted.
        if held.len()? != len {
            return Ok(false);
        }
        let mut hasher = Hasher::new(Digest::Sha256);
        let read_at = |start, octets: &mut [u8]| held.read_at(start, octets);
        blocks(read_at, 0, len, |block| {
            hasher.update(block);
            Ok::<_, Error>(true)
        })?;
        if hasher.finish().as_bytes() != sha256 {
            return Ok(false);
        }
        held.keep()?;
        Ok(true)
    }

    /// Checks that every part has come, and that the whole has the SHA-256 given in the last part.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Digest`].
    pub fn verify(self) -> Result<Whole, Error> {
        let (Some(len), Some(sha256), true) = (
            self.ledger.len(),
            self.ledger.sha256(),
            self.ledger.is_complete(),
        ) else {
            return Err(Error::Missing(Box::new(self.ledger.missing())));
        };
        if self.hasher.finish().as_bytes() != sha256 {
            return Err(Error::Digest);
        }
        Ok(Whole {
            ledger: self.ledger,
            site: self.site,
            len,
        })
    }

    /// Whether these octets were written at offset `start`.
    fn is_same(&self, start: u64, octets: &[u8]) -> disk::Result<bool> {
        let mut rest = octets;
        self.site.blocks(start, octets.len() as u64, |block| {
            let (now, later) = rest.split_at(block.len());
            if now == block {
                rest = later;
            }
            Ok::<_, disk::Error>(now == block)
        })?;
        Ok(rest.is_empty())
    }

    /// Hashes the parts that came early and now follow those already hashed.
    fn hash_on(&mut self) -> disk::Result<()> {
        let first = self.hashed;
        while self.ledger.has(self.hashed + 1) {
            self.hashed += 1;
        }
        if self.hashed == first {
            return Ok(());
        }
        let size = u64::from(self.ledger.size());
        let start = u64::from(first) * size;
        let last = u64::from(self.ledger.len_of(self.hashed));
        let end = u64::from(self.hashed - 1) * size + last;
        let hasher = &mut self.hasher;
        self.site.blocks(start, end - start, |block| {
            hasher.update(block);
            Ok(true)
        })
    }
}

/// Content that is complete and verified, but not published yet.
#[must_use = "it is removed unless it is published"]
pub struct Whole {
    ledger: Ledger,
    site: Site,
    len: u64,
}

impl Whole {
    /// The parts that it was joined from.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Its length in octets.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "no caller asks whether it is empty"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Passes the content to `each`, block by block.
    ///
    /// # Errors
    /// Any error of `each`, or when the content cannot be read back.
    pub fn copy<E: From<disk::Error>>(
        &self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.site
            .blocks(0, self.len, |block| each(block).map(|()| true))
    }

    /// The content, to be read from its beginning. Its errors are [`disk::Error`]s in an
    /// [`io::Error`].
    #[must_use]
    pub fn reader(&self) -> impl Read + '_ {
        WholeReader { whole: self, at: 0 }
    }

    /// Syncs the file; does nothing for a scratch file, which does not outlast the run.
    ///
    /// # Errors
    /// As [`Pending::finish`].
    pub fn sync(&mut self) -> disk::Result<()> {
        match &mut self.site.0 {
            SiteKind::File(file) => file.sync(),
            SiteKind::Through(..) | SiteKind::Aside(_) => Ok(()),
        }
    }

    /// The scratch file, to be read from its beginning; `None` if the content has a file of its
    /// own.
    ///
    /// # Errors
    /// As [`Scratch::into_file`].
    pub fn into_file(self) -> disk::Result<Option<File>> {
        match self.site.0 {
            SiteKind::Aside(scratch) => scratch.into_file().map(Some),
            SiteKind::File(_) | SiteKind::Through(..) => Ok(None),
        }
    }

    /// Syncs the file and gives it its name; does nothing for a scratch file.
    ///
    /// # Errors
    /// As [`Pending::finish`].
    pub fn publish(self) -> disk::Result<Published> {
        match self.site.0 {
            SiteKind::File(file) => file.finish(),
            SiteKind::Through(mut file, scratch) => {
                let aside = Site(SiteKind::Aside(scratch));
                aside.blocks(0, self.len, |block| file.write(&[block]).map(|()| true))?;
                file.finish()
            }
            SiteKind::Aside(_) => Ok(Published::Written),
        }
    }

    /// Syncs the file and gives it the first of these names that is free or that a file with the
    /// same content has; if the file system refuses a name, one of the next list. Returns that name;
    /// `None` for a scratch file, device or FIFO.
    ///
    /// # Errors
    /// As [`Pending::finish_as`].
    pub fn publish_as<N: IntoIterator<Item = PathBuf>>(
        &mut self,
        lists: impl IntoIterator<Item = N>,
    ) -> disk::Result<Option<PathBuf>> {
        match &mut self.site.0 {
            SiteKind::File(file) => file.finish_as(lists).map(|(path, _)| Some(path)),
            SiteKind::Through(..) | SiteKind::Aside(_) => Ok(None),
        }
    }
}

/// Reads content from its beginning.
struct WholeReader<'a> {
    whole: &'a Whole,
    at: u64,
}

impl Read for WholeReader<'_> {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.whole.len - self.at).unwrap_or(usize::MAX);
        let len = octets.len().min(left);
        let read = self.whole.site.read_at(self.at, &mut octets[..len]);
        read.map_err(io::Error::other)?;
        self.at += len as u64;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::crypto::hash::sha256;
    use crate::disk::{IfExists, Operation};
    use crate::message::parts::{PartHeader, tests::part};

    const SAME: PublishOptions<'static> = PublishOptions::output(IfExists::SameIsSuccess);

    /// Cuts content into parts of this size.
    fn cut(content: &[u8], size: u32) -> Vec<Vec<u8>> {
        let header = |index| PartHeader {
            transfer: [3; 16].into(),
            index,
            size,
            name: Some("n".to_owned()),
            sha256: None,
        };
        let mut chunks: Vec<&[u8]> = content.chunks(size.try_into().unwrap()).collect();
        let last = PartHeader {
            sha256: Some(sha256(content)),
            ..header(u32::try_from(chunks.len().max(1)).unwrap())
        };
        let end = chunks.pop().unwrap_or_default();
        let mut parts: Vec<_> = (1..)
            .zip(chunks)
            .map(|(index, chunk)| part(&header(index), chunk))
            .collect();
        parts.push(part(&last, end));
        parts
    }

    fn join<'a>(parts: impl IntoIterator<Item = &'a Vec<u8>>, site: Site) -> Result<Join, Error> {
        let mut parts = parts.into_iter().map(|part| Part::parse(part).unwrap());
        let mut join = Join::begin(&parts.next().unwrap(), site)?;
        for part in parts {
            join.add(&part)?;
        }
        Ok(join)
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| ((at * at) >> 3).to_le_bytes()[0])
            .collect()
    }

    #[test]
    fn nothing_has_its_name_before_all_of_it_is_there_and_right() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("whole");
        let site = || Site::file(&path, &SAME, dir.path()).unwrap();
        let content = content(1000);
        let mut parts = cut(&content, 300);
        let missing = join(&parts[1..], site()).unwrap().verify();
        let missing = missing.map(|_| ()).unwrap_err();
        assert_eq!(missing.to_string(), "part 1 of 4 is missing");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

        let whole = join(&parts, site()).unwrap().verify().unwrap();
        assert_eq!(whole.len(), 1000);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert_eq!(whole.publish().unwrap(), Published::Written);
        assert_eq!(fs::read(&path).unwrap(), content);
        let again = join(&parts, site()).unwrap().verify().unwrap();
        assert_eq!(again.publish().unwrap(), Published::Same);

        let at = parts[1].len() - 1;
        parts[1][at] ^= 1;
        let damaged = join(&parts, site()).unwrap().verify();
        assert!(matches!(damaged, Err(Error::Digest)));
        let conflict = join(parts.iter().chain(&cut(&content, 300)), site());
        assert!(matches!(
            conflict,
            Err(Error::Part(message::Error::PartConflict {
                index: 2,
                what: "content"
            }))
        ));
    }

    #[test]
    fn empty_content_is_content() {
        let dir = tempfile::tempdir().unwrap();
        let whole = join(&cut(b"", 5), Site::aside(dir.path()))
            .unwrap()
            .verify()
            .unwrap();
        assert_eq!(whole.len(), 0);
        whole.copy(|_| Err(Error::Digest)).unwrap();
    }

    #[test]
    fn what_is_for_a_fifo_waits_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let content = content(700_000);
        let parts = cut(&content, 200_000);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| fs::read(&fifo).unwrap());
            let site = Site::file(&fifo, &SAME, dir.path()).unwrap();
            let whole = join(parts.iter().rev(), site).unwrap().verify().unwrap();
            whole.publish().unwrap();
            assert!(reader.join().unwrap() == content);
        });
    }

    #[test]
    fn names_that_are_taken_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a"), "other").unwrap();
        for _ in 0..2 {
            let site = Site::file(&path("a"), &SAME, dir.path()).unwrap();
            let mut whole = join(&cut(b"content", 3), site).unwrap().verify().unwrap();
            let name = whole.publish_as([[path("a"), path("b")]]).unwrap();
            assert_eq!(name, Some(path("b")));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_result_is_known_by_the_last_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("whole");
        let parts = cut(b"content", 3);
        let is_at = |parts: &[Vec<u8>]| {
            let join = join(parts, Site::aside(dir.path())).unwrap();
            join.is_at(&path, FileRole::Output).unwrap()
        };
        assert!(!is_at(&parts));
        for (there, is_there) in [("content", true), ("contenT", false), ("conten", false)] {
            fs::write(&path, there).unwrap();
            assert_eq!(is_at(&parts[2..]), is_there, "{there}");
            assert!(!is_at(&parts[..2]));
        }
    }

    #[test]
    fn content_that_cannot_be_written_is_no_result() {
        let none = Path::new("/nonexistent");
        let error = Site::file(&none.join("f"), &SAME, none).unwrap_err();
        assert_eq!(error.doing(), Some(Operation::Create));
        let error = join(&cut(b"content", 3), Site::aside(none))
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(error, Error::Disk(_)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_become_what_they_were_in_any_order_and_more_than_once(
            len in 0_usize..2000,
            size in 1_u32..700,
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..40),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let content = content(len);
            let parts = cut(&content, size);
            let some = order.iter().map(|index| index.get(&parts));
            let joined = join(some.chain(&parts), Site::aside(dir.path())).unwrap();
            let mut copy = Vec::new();
            let whole = joined.verify().unwrap();
            whole
                .copy(|block| {
                    copy.extend_from_slice(block);
                    Ok::<_, Error>(())
                })
                .unwrap();
            prop_assert_eq!(copy, content);
        }
    }
}
