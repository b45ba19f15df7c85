//! A stream of messages: their concatenation, binary or PEM, in any mixture.
//!
//! A message begins with its format signature and ends where its outermost value ends. It is
//! accepted only if the end of the input, another format signature or a PEM block follows. Reading
//! needs no more memory than the largest message.

use std::io::{self, Read};
use std::sync::Arc;

use super::Error;
use crate::asn1::{self, ber::Framer, ber::Framing, pem, text};
use crate::kind::ErrorKind;
use crate::pipeline::Buffers;
use crate::ramf::{self, Kind, format_signature, limits};

/// Octets that suffice to recognise what follows a message.
const LOOKAHEAD: usize = pem::BEGIN.len() + text::MARK.len();

/// Octets that are read at once while the end of a message is not known: the minimum, and the
/// maximum, for a large message.
const CHUNK: usize = 64 * 1024;
const MAX_CHUNK: usize = 1024 * 1024;

/// The length octet of a value of indefinite length (X.690 §8.1.3.6).
const INDEFINITE: u8 = 0x80;

/// Longest text above the first PEM block, in octets.
pub const MAX_PREAMBLE_LEN: usize = CHUNK;

/// Longest PEM block: 48 octets take a line of 64 characters and CRLF.
const MAX_PEM_LEN: usize = limits::MAX_MESSAGE_LEN / 48 * 66 + 1024;

/// Why a message could not be taken from a stream.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Reading the input failed.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The octets are not a message, or its end cannot be recognised.
    #[error(transparent)]
    Message(#[from] Error),
}

impl StreamError {
    /// The kind of this error, which callers act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(_) => ErrorKind::Io,
            Self::Message(error) => error.kind(),
        }
    }
}

/// Reads messages from an input one by one.
pub struct Stream<R> {
    input: R,
    buffer: Vec<u8>,
    /// The pool that memory is taken from.
    spare: Arc<Buffers>,
    /// Where in the buffer the next message starts.
    start: usize,
    ended: bool,
    /// Framing was lost, so that no further message can be recognised.
    lost: bool,
    /// Whether the last item taken was PEM, after which line ends may follow.
    after_pem: bool,
    /// Whether anything was taken yet.
    has_taken: bool,
    /// The expected length of the input in octets; 0 if unknown.
    expected: usize,
}

impl<R: Read> Stream<R> {
    /// A stream that reads from `input`.
    pub fn new(input: R) -> Self {
        Self::with_spare(input, Arc::default())
    }

    /// A stream that reads from `input` into memory from a pool; the caller puts the octets of
    /// messages back.
    pub fn with_spare(input: R, spare: Arc<Buffers>) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            spare,
            start: 0,
            ended: false,
            lost: false,
            after_pem: true,
            has_taken: false,
            expected: 0,
        }
    }

    /// Announces the length of the input, so that a short one is read at once.
    pub fn expect(&mut self, len: u64) {
        self.expected = usize::try_from(len).unwrap_or(usize::MAX);
    }

    /// The octets of the next message, of whatever kind; `None` at the end.
    ///
    /// A message whose end cannot be recognised ends the stream after its error.
    ///
    /// # Errors
    /// When reading fails, or the next octets are not a message.
    pub fn next_message(&mut self) -> Option<Result<Vec<u8>, StreamError>> {
        if self.lost {
            return None;
        }
        let taken = self.take();
        self.has_taken = true;
        match taken {
            Ok(message) => message.map(Ok),
            Err(error) => {
                self.lost = true;
                Some(Err(error))
            }
        }
    }

    /// Whether the next octets begin with a format signature.
    ///
    /// # Errors
    /// When reading fails.
    pub fn begins_with_message(&mut self) -> io::Result<bool> {
        self.fill(LOOKAHEAD)?;
        Ok(self.rest().starts_with(format_signature::MAGIC))
    }

    /// Looks ahead at up to `len` octets, without taking them.
    ///
    /// # Errors
    /// When reading fails.
    pub fn ahead(&mut self, len: usize) -> io::Result<&[u8]> {
        self.fill(len)?;
        let rest = self.rest();
        Ok(&rest[..len.min(rest.len())])
    }

    /// The rest of the input, up to `limit` octets and one more, by which the caller notices that
    /// there are too many.
    ///
    /// # Errors
    /// When reading fails.
    pub fn into_rest(mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.fill(limit + 1)?;
        self.buffer.drain(..self.start);
        Ok(self.buffer)
    }

    /// Whether an error has ended the stream.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lost
    }

    /// Whether another message may follow.
    ///
    /// # Errors
    /// When reading fails.
    pub fn has_more(&mut self) -> io::Result<bool> {
        if self.lost {
            return Ok(false);
        }
        self.skip_to_next()?;
        self.fill(1)?;
        Ok(!self.rest().is_empty())
    }

    fn take(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        self.skip_to_next()?;
        self.fill(LOOKAHEAD)?;
        if self.rest().is_empty() {
            return Ok(None);
        }
        if self.after_pem && !self.rest().starts_with(format_signature::MAGIC) {
            self.skip_preamble()?;
        }
        if self.rest().starts_with(pem::BEGIN) {
            let message = self.take_pem()?;
            self.after_pem = true;
            return Ok(Some(message));
        }
        self.after_pem = false;
        if !self.rest().starts_with(format_signature::MAGIC) {
            // Former formats and unknown versions have errors of their own.
            return Err(match Kind::read(self.rest()) {
                Err(_) if text::is_utf16(self.rest()) => Error::Malformed {
                    what: "message",
                    cause: asn1::Error::Utf16,
                }
                .into(),
                Err(error) => Error::from(error).into(),
                Ok(_) => Error::Unknown.into(),
            });
        }
        self.take_binary().map(Some)
    }

    fn take_binary(&mut self) -> Result<Vec<u8>, StreamError> {
        let mut framer = Framer::default();
        let limit = limits::MAX_MESSAGE_LEN - format_signature::LEN;
        let end = loop {
            let value = self.rest().get(format_signature::LEN..).unwrap_or_default();
            let framing = framer.advance(value, limit).map_err(|cause| match cause {
                asn1::Error::TooLong(_) => Error::Ramf(ramf::Error::TooLong {
                    part: "message",
                    found: limits::MAX_MESSAGE_LEN + 1,
                    limit: limits::MAX_MESSAGE_LEN,
                }),
                cause => Error::Malformed {
                    what: "message",
                    cause,
                },
            })?;
            match framing {
                Framing::Ends(end) => break format_signature::LEN + end,
                Framing::Needs(needed) => {
                    let have = self.rest().len();
                    let needed = format_signature::LEN + needed;
                    // With an indefinite length, the framer asks for one header after another.
                    let ahead = if self.rest().get(format_signature::LEN + 1) == Some(&INDEFINITE) {
                        needed.max(have + more(have))
                    } else {
                        needed
                    };
                    self.fill(ahead + LOOKAHEAD)?;
                    if self.rest().len() < needed {
                        return Err(Error::Truncated.into());
                    }
                }
            }
        };
        self.fill(end + LOOKAHEAD)?;
        let next = &self.rest()[end..];
        // Anything else behind a message means that framing is lost, so the message is refused too.
        let follows = next.is_empty()
            || text::without_mark(next).starts_with(pem::BEGIN)
            || next
                .get(..format_signature::LEN)
                .is_some_and(|next| Kind::read(next).is_ok());
        if !follows {
            return Err(Error::Framing.into());
        }
        Ok(self.consume(end))
    }

    fn take_pem(&mut self) -> Result<Vec<u8>, StreamError> {
        const END: &[u8] = b"-----END ";
        let mut searched = 0;
        let end = loop {
            let rest = self.rest();
            let from = searched.min(rest.len());
            if let Some(at) = find(&rest[from..], END).map(|at| from + at)
                && let Some(line) = rest[at..].iter().position(|&octet| octet == b'\n')
            {
                break at + line + 1;
            }
            // The last line may lack its line end.
            if self.ended {
                break rest.len();
            }
            if rest.len() > MAX_PEM_LEN {
                return Err(Error::Pem.into());
            }
            // A read may end within the last line; 128 octets are enough for its label.
            searched = rest.len().saturating_sub(END.len() + 128);
            let have = rest.len();
            self.fill(have + more(have))?;
        };
        let text = self.consume(end);
        let decoded = decoded(&text);
        self.spare.put(text);
        decoded
    }

    /// Skips text above a PEM block, if a block begins within [`MAX_PREAMBLE_LEN`].
    fn skip_preamble(&mut self) -> io::Result<()> {
        if !is_text(self.rest()) || Kind::read(self.rest()).is_ok() {
            return Ok(());
        }
        self.fill(MAX_PREAMBLE_LEN)?;
        let rest = self.rest();
        let at = (0..rest.len().min(MAX_PREAMBLE_LEN))
            .find(|&at| rest[at..].starts_with(pem::BEGIN) && pem::is_line_start(&rest[..at]));
        self.start += at.unwrap_or(0);
        Ok(())
    }

    /// Skips line ends and any text between PEM blocks and after the last, such as that of a mail.
    fn skip_to_next(&mut self) -> io::Result<()> {
        self.skip_line_ends()?;
        if self.after_pem && self.has_taken && !self.begins_with_message()? {
            self.skip_preamble()?;
            if !self.rest().starts_with(pem::BEGIN) && is_text(self.rest()) {
                // Text without another block, such as the signature of a mail, ends the stream.
                self.start = self.buffer.len();
                self.ended = true;
            }
        }
        Ok(())
    }

    /// Steps over line ends after PEM, and over a byte order mark before text.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            self.fill(LOOKAHEAD)?;
            let rest = self.rest();
            let after_mark = rest.strip_prefix(text::MARK.as_bytes());
            match (rest.first(), after_mark) {
                (Some(b'\r' | b'\n' | b' ' | b'\t'), _) if self.after_pem => self.start += 1,
                // No message begins so, and what is text begins with PEM or with what may stand above it.
                (_, Some(after)) if self.after_pem || after.starts_with(pem::BEGIN) => {
                    self.start += text::MARK.len();
                }
                _ => return Ok(()),
            }
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Takes `len` octets off the front, copying those behind them instead where these are fewer.
    fn consume(&mut self, len: usize) -> Vec<u8> {
        let (message, behind) = self.rest().split_at(len);
        // The buffer itself becomes the message only if it begins with it.
        if self.start > 0 || message.len() < behind.len() {
            let message = message.to_vec();
            self.start += len;
            return message;
        }
        let behind = behind.to_vec();
        let mut message = std::mem::replace(&mut self.buffer, behind);
        message.truncate(len);
        message
    }

    /// Reads until `len` octets are buffered, or the input ends.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        let have = self.rest().len();
        if self.ended || have >= len {
            return Ok(());
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let mut missing = len - have;
        if self.buffer.is_empty() && self.expected < CHUNK {
            // One read for a short input; the octet more shows that it has ended.
            missing = missing.max(self.expected + 1);
        }
        // `missing` may be a limit far over what comes: beyond one message the buffer grows as it
        // is read.
        let room = missing.min(limits::MAX_MESSAGE_LEN);
        if self.buffer.capacity() < have + room {
            let mut larger = self.spare.take(have + room);
            // The pool has no buffer of a suitable size.
            if larger.capacity() == 0 {
                self.buffer.reserve_exact(room);
            } else {
                larger.extend_from_slice(&self.buffer);
                self.buffer = larger;
            }
        }
        let limit = u64::try_from(missing).unwrap_or(u64::MAX);
        let read = self
            .input
            .by_ref()
            .take(limit)
            .read_to_end(&mut self.buffer)?;
        self.ended = read < missing;
        Ok(())
    }
}

/// Octets to read while the end of a message is unknown: as many again, within bounds, so that the
/// number of reads grows only with the logarithm.
fn more(have: usize) -> usize {
    have.clamp(CHUNK, MAX_CHUNK)
}

/// Decodes the message in a PEM block.
fn decoded(text: &[u8]) -> Result<Vec<u8>, StreamError> {
    let mut blocks = pem::blocks(text).map_err(|_| Error::Pem)?;
    match blocks.pop() {
        Some(block) if !is_message(block.label) => {
            Err(Error::NotAMessage(block.label.to_ascii_lowercase()).into())
        }
        Some(block) if blocks.is_empty() => {
            let value = block
                .contents
                .get(format_signature::LEN..)
                .unwrap_or_default();
            match Framer::default().advance(value, limits::MAX_MESSAGE_LEN) {
                Ok(Framing::Ends(end)) if end != value.len() => Err(Error::Framing.into()),
                _ => Ok(block.contents),
            }
        }
        _ => Err(Error::Pem.into()),
    }
}

/// Whether octets look like text: no control characters but white space.
fn is_text(octets: &[u8]) -> bool {
    octets
        .iter()
        .take(MAX_PREAMBLE_LEN)
        .all(|octet| !matches!(octet, 0..=8 | 14..=31 | 127))
}

/// Whether a PEM label is that of a message.
fn is_message(label: &str) -> bool {
    let kind = label.strip_prefix(pem::RELAYNET);
    Kind::ALL
        .into_iter()
        .any(|known| kind == Some(&known.word().to_ascii_uppercase()))
}

fn find(octets: &[u8], pattern: &[u8]) -> Option<usize> {
    octets
        .windows(pattern.len())
        .position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::{tag, write};

    fn message(content: &[u8]) -> Vec<u8> {
        [
            &Kind::Pca.signature()[..],
            &write::tlv(tag::OCTET_STRING, content),
        ]
        .concat()
    }

    fn read(octets: &[u8]) -> Vec<Result<Vec<u8>, String>> {
        let mut stream = Stream::new(octets);
        std::iter::from_fn(|| {
            stream
                .next_message()
                .map(|next| next.map_err(|error| error.to_string()))
        })
        .collect()
    }

    #[test]
    fn messages_follow_each_other_in_either_form() {
        let (one, two) = (message(b"one"), message(&vec![7; 100_000]));
        let indefinite = [&Kind::Pca.signature()[..], &[0x24, 0x80, 4, 1, 9, 0, 0]].concat();
        let pem = pem::encode("RELAYNET PCA", &one);
        let stream = [
            &one[..],
            &two,
            &indefinite,
            pem.as_bytes(),
            b"\n",
            pem.as_bytes(),
            &two,
        ]
        .concat();
        let expected: Vec<_> = [&one, &two, &indefinite, &one, &one, &two]
            .map(|message| Ok(message.clone()))
            .into();
        assert_eq!(read(&stream), expected);
        assert_eq!(
            read(format!("Subject: mail\n\n{pem}").as_bytes()),
            [Ok(one.clone())]
        );
        let mail = format!("Subject: mail\n\n{pem}-- \nBob – ☎ 12\n");
        assert_eq!(read(mail.as_bytes()), [Ok(one.clone())]);
        let two_mails = mail.repeat(2);
        assert_eq!(read(two_mails.as_bytes()), [Ok(one.clone()), Ok(one)]);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn large_messages_are_read_into_memory_that_was_put_back() {
        let messages: Vec<Vec<u8>> = (0..5).map(|octet| message(&vec![octet; 300_000])).collect();
        let octets = [messages.concat(), message(b"small"), messages.concat()].concat();
        let spare = Arc::new(Buffers::default());
        let memory = Vec::with_capacity(400_000);
        let place = memory.as_ptr();
        spare.put(memory);
        let mut stream = Stream::with_spare(&octets[..], spare.clone());
        let (mut taken, mut there) = (Vec::new(), 0);
        while let Some(message) = stream.next_message() {
            let message = message.unwrap();
            taken.push(message.clone());
            there += usize::from(message.as_ptr() == place);
            assert!(message.len() > 300_000 || message.capacity() < 300_000);
            spare.put(message);
        }
        let small = vec![message(b"small")];
        assert_eq!(taken, [&messages[..], &small, &messages].concat());
        assert_eq!(there, 10);
    }

    /// Counts how often it is read.
    struct Counted<'a>(&'a [u8], usize);

    impl Read for &mut Counted<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            self.0.read(into)
        }
    }

    #[test]
    fn segments_are_not_read_one_by_one() {
        let segments: Vec<u8> = write::tlv(tag::OCTET_STRING, &[7; 100]).repeat(20_000);
        let one = [
            &Kind::Pca.signature()[..],
            &[0x24, 0x80],
            &segments,
            &[0, 0],
        ]
        .concat();
        let two = one.repeat(2);
        let mut counted = Counted(&two, 0);
        let mut stream = Stream::new(&mut counted);
        assert_eq!(stream.next_message().unwrap().unwrap(), one);
        assert_eq!(stream.next_message().unwrap().unwrap(), one);
        assert!(stream.next_message().is_none());
        assert!(counted.1 < 1000, "read from {} times", counted.1);
    }

    #[test]
    fn a_message_counts_only_if_the_stream_goes_on_after_it() {
        for tail in [&b"x"[..], b"\0", b"\n", b"Awala", b"AwalaP", b"-----BEGI"] {
            let results = read(&[&message(b"one"), tail].concat());
            assert_eq!(results.len(), 1, "{tail:?}");
            assert!(results[0].is_err(), "{tail:?}");
        }
    }

    #[test]
    fn a_stream_cut_anywhere_gives_an_error_and_nothing_more() {
        let one = message(b"one");
        for len in 1..one.len() {
            let results = read(&one[..len]);
            assert!(matches!(&results[..], [Err(_)]), "{len}: {results:?}");
        }
    }

    #[test]
    fn lengths_over_the_limit_are_refused_at_once() {
        let huge = [
            &Kind::Parcel.signature()[..],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        assert_eq!(
            read(&huge),
            [Err("message has 9437185 octets, over 9437184".to_owned())]
        );
    }
}
