//! Messages in a stream of octets (gRPC over HTTP/2 §Length-Prefixed-Message):
//!
//! ```text
//! octet 0: whether it is compressed; octets 1 to 4: its length, the most significant octet first; the message
//! ```

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::status::GrpcCode;

/// The length of what is before a message, in octets.
pub const PREFIX_LEN: usize = 5;

/// The longest message that is accepted, in octets: what deployed Internet gateways accept. The largest cargo has
/// 9 437 184, and the id and the tags come on top.
pub const MAX_MESSAGE: usize = 9_437_440;

/// How much room is made for a message before its first octets come: its length alone says nothing.
const FIRST_ROOM: usize = 16 << 10;

/// A stream of octets is not one of messages that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The message is compressed. No compression is ever offered here.
    #[error("a compressed message")]
    Compressed,
    /// The message is over the limit. Both are in octets.
    #[error("a message of {found} octets, over {limit}")]
    TooLong {
        /// The length that it announces.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The stream ended within a message.
    #[error("the stream ended within a message")]
    Truncated,
    /// The octets of a message are not what they should be.
    #[error("a malformed message")]
    Malformed,
}

impl FrameError {
    /// The code by which a server ends a call with such a stream.
    #[must_use]
    pub fn code(self) -> GrpcCode {
        match self {
            Self::Compressed => GrpcCode::Unimplemented,
            Self::TooLong { .. } => GrpcCode::ResourceExhausted,
            Self::Truncated | Self::Malformed => GrpcCode::Internal,
        }
    }
}

/// Writes a message and what is before it.
///
/// # Errors
/// [`FrameError::TooLong`] for one over [`MAX_MESSAGE`].
pub fn encode(message: &impl prost::Message) -> Result<Bytes, FrameError> {
    let found = message.encoded_len();
    check(found, MAX_MESSAGE)?;
    let mut octets = BytesMut::with_capacity(PREFIX_LEN + found);
    octets.extend_from_slice(&[0]);
    octets.extend_from_slice(&u32::try_from(found).unwrap_or(u32::MAX).to_be_bytes());
    // It fails only for a buffer that is too small, and this one grows.
    let _ = message.encode(&mut octets);
    Ok(octets.freeze())
}

fn check(found: usize, limit: usize) -> Result<(), FrameError> {
    if found > limit {
        return Err(FrameError::TooLong { found, limit });
    }
    Ok(())
}

/// A piece of a stream of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FramePiece {
    /// A message of this length begins.
    Begins(usize),
    /// Octets of it, never none.
    Octets(Bytes),
    /// The message ends.
    Ends,
}

/// Splits a stream of octets into pieces of messages, and keeps nothing of them but a prefix that is not whole.
///
/// It is for who writes a message somewhere else as it comes; [`FrameDecoder`] gathers it in memory.
#[derive(Debug)]
pub struct FrameSplitter {
    limit: usize,
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    /// Octets of the message that are to come; `None` between messages.
    left: Option<usize>,
    /// What was wrong. Nothing can be read after it, since the next prefix could be anywhere.
    failed: Option<FrameError>,
}

impl FrameSplitter {
    /// A splitter that refuses messages of more than `limit` octets.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            prefix: [0; PREFIX_LEN],
            prefix_len: 0,
            left: None,
            failed: None,
        }
    }

    /// The next piece of what came, which is taken off the beginning of `chunk`. `None` when more must come.
    ///
    /// # Errors
    /// [`FrameError::Compressed`] and [`FrameError::TooLong`], as soon as the prefix says so, and from then on.
    pub fn next_piece(&mut self, chunk: &mut Bytes) -> Result<Option<FramePiece>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.left {
            Some(0) => {
                self.left = None;
                self.prefix_len = 0;
                Ok(Some(FramePiece::Ends))
            }
            Some(_) if chunk.is_empty() => Ok(None),
            Some(left) => {
                let piece = chunk.split_to(left.min(chunk.len()));
                self.left = Some(left - piece.len());
                Ok(Some(FramePiece::Octets(piece)))
            }
            None => self
                .prefix(chunk)
                .map_err(|error| *self.failed.insert(error)),
        }
    }

    fn prefix(&mut self, chunk: &mut Bytes) -> Result<Option<FramePiece>, FrameError> {
        let missing = &mut self.prefix[self.prefix_len..];
        let taken = missing.len().min(chunk.len());
        chunk.split_to(taken).copy_to_slice(&mut missing[..taken]);
        self.prefix_len += taken;
        // A compressed message is refused by its first octet.
        if self.prefix_len > 0 && self.prefix[0] != 0 {
            return Err(FrameError::Compressed);
        }
        if self.prefix_len < PREFIX_LEN {
            return Ok(None);
        }
        let [_, length @ ..] = self.prefix;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        check(length, self.limit)?;
        self.left = Some(length);
        Ok(Some(FramePiece::Begins(length)))
    }

    /// Whether octets of a message came that is not whole.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        self.prefix_len > 0
    }

    /// The stream ends.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] within a message, and what was wrong before.
    pub fn finish(&self) -> Result<(), FrameError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.is_within_message() => Err(FrameError::Truncated),
            None => Ok(()),
        }
    }
}

/// Gathers messages from a stream of octets. Its memory grows with the octets that came, never with the length that a
/// prefix announces.
#[derive(Debug)]
pub struct FrameDecoder {
    splitter: FrameSplitter,
    chunk: Bytes,
    message: BytesMut,
}

impl FrameDecoder {
    /// A decoder that refuses messages of more than `limit` octets.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            splitter: FrameSplitter::new(limit),
            chunk: Bytes::new(),
            message: BytesMut::new(),
        }
    }

    /// Adds octets. Callers take all messages with [`FrameDecoder::next_message`] before they add more.
    pub fn feed(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.chunk = Bytes::from([&self.chunk[..], &chunk[..]].concat());
        }
    }

    /// The octets of the next message that is whole. `None` when more must come.
    ///
    /// # Errors
    /// Those of [`FrameSplitter::next_piece`].
    pub fn next_message(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            match self.splitter.next_piece(&mut self.chunk)? {
                None => return Ok(None),
                Some(FramePiece::Begins(length)) => {
                    self.message = BytesMut::with_capacity(length.min(FIRST_ROOM));
                }
                Some(FramePiece::Octets(octets)) => self.message.extend_from_slice(&octets),
                Some(FramePiece::Ends) => return Ok(Some(mem::take(&mut self.message).freeze())),
            }
        }
    }

    /// The next message that is whole, decoded. `None` when more must come.
    ///
    /// # Errors
    /// Those of [`FrameDecoder::next_message`], and [`FrameError::Malformed`].
    pub fn next_decoded<M: prost::Message + Default>(&mut self) -> Result<Option<M>, FrameError> {
        let octets = self.next_message()?;
        octets
            .map(|octets| M::decode(octets).map_err(|_| FrameError::Malformed))
            .transpose()
    }

    /// Whether the next message has begun to arrive: octets came that belong to no message that was taken.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        !self.chunk.is_empty() || self.splitter.is_within_message()
    }

    /// The stream ends.
    ///
    /// # Errors
    /// Those of [`FrameSplitter::finish`].
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.chunk.is_empty() {
            return self.splitter.finish();
        }
        Err(FrameError::Truncated)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::binding::cogrpc::{CargoDelivery, CargoDeliveryAck};

    const ID: &str = "8f14e45f-ceea-467f-a0e6-c0ffee000001";

    fn fixture(name: &str) -> Bytes {
        std::fs::read(format!("tests/fixtures/bindings/cogrpc/{name}"))
            .unwrap()
            .into()
    }

    fn read<M: prost::Message + Default>(octets: Bytes) -> Result<Option<M>, FrameError> {
        let mut decoder = FrameDecoder::new(MAX_MESSAGE);
        decoder.feed(octets);
        let message = decoder.next_decoded()?;
        assert_eq!(decoder.next_message(), Ok(None));
        decoder.finish()?;
        Ok(message)
    }

    fn delivery(id: &str, cargo: &'static str) -> CargoDelivery {
        CargoDelivery {
            id: id.to_owned(),
            cargo: Bytes::from_static(cargo.as_bytes()),
        }
    }

    #[test]
    fn each_captured_message_has_its_verdict() {
        let whole = delivery(ID, "Awala C");
        for (name, expected) in [
            ("delivery", whole.clone()),
            ("delivery-reordered", whole.clone()),
            ("delivery-unknown-field", whole.clone()),
            ("delivery-id-twice", whole.clone()),
            ("delivery-no-id", delivery("", "Awala C")),
            ("delivery-no-cargo", delivery(ID, "")),
            ("empty", delivery("", "")),
        ] {
            assert_eq!(
                read(fixture(&format!("{name}.bin"))),
                Ok(Some(expected)),
                "{name}"
            );
        }
        let ack = CargoDeliveryAck { id: ID.to_owned() };
        for name in ["ack.bin", "ack-long-varint.bin"] {
            assert_eq!(read(fixture(name)), Ok(Some(ack.clone())), "{name}");
        }
        for (name, error) in [
            ("id-not-utf8.bin", FrameError::Malformed),
            ("truncated-field.bin", FrameError::Malformed),
            ("wrong-wire-type.bin", FrameError::Malformed),
            ("compressed-flag.bin", FrameError::Compressed),
            (
                "length-over-limit.bin",
                FrameError::TooLong {
                    found: 0xffff_ffff,
                    limit: MAX_MESSAGE,
                },
            ),
        ] {
            assert_eq!(read::<CargoDelivery>(fixture(name)), Err(error), "{name}");
        }
        assert_eq!(encode(&whole).unwrap(), fixture("delivery.bin"));
        assert_eq!(encode(&ack).unwrap(), fixture("ack.bin"));
    }

    /// What the DATA frames of an HTTP/2 capture hold.
    fn data(capture: &str) -> Vec<u8> {
        let capture = fixture(capture);
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let mut rest = capture.strip_prefix(preface).unwrap_or(&capture);
        let mut data = Vec::new();
        while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if *kind == 0 {
                data.extend_from_slice(&after[..length]);
            }
            rest = &after[length..];
        }
        assert!(rest.is_empty());
        data
    }

    #[test]
    fn captures_of_a_stock_client_and_server_are_read() {
        for (sender, reader, lengths) in [
            ("deliver.client.h2", "deliver.server.h2", [5041, 2316]),
            ("collect.server.h2", "collect.client.h2", [2490, 2316]),
        ] {
            let (mut decoder, mut acks) = (FrameDecoder::new(MAX_MESSAGE), FrameDecoder::new(100));
            decoder.feed(data(sender).into());
            acks.feed(data(reader).into());
            for length in lengths {
                let delivery: CargoDelivery = decoder.next_decoded().unwrap().unwrap();
                let ack: CargoDeliveryAck = acks.next_decoded().unwrap().unwrap();
                assert_eq!((delivery.cargo.len(), delivery.id), (length, ack.id));
            }
            assert!(!decoder.has_begun() && !acks.has_begun());
            assert_eq!((decoder.finish(), acks.finish()), (Ok(()), Ok(())));
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let mut decoder = FrameDecoder::new(10);
        decoder.feed(Bytes::from_static(&[0, 0, 0, 0, 10]));
        decoder.feed(Bytes::from_static(&[7; 10]));
        assert_eq!(
            decoder.next_message(),
            Ok(Some(Bytes::from_static(&[7; 10])))
        );
        decoder.feed(Bytes::from_static(&[0, 0, 0, 0, 11]));
        let error = FrameError::TooLong {
            found: 11,
            limit: 10,
        };
        assert_eq!(decoder.next_message(), Err(error));
        // It stays so, whatever comes.
        decoder.feed(fixture("ack.bin"));
        assert_eq!(decoder.next_message(), Err(error));
        assert_eq!(error.code(), GrpcCode::ResourceExhausted);
        let largest = CargoDelivery {
            id: String::new(),
            cargo: vec![0; MAX_MESSAGE].into(),
        };
        assert!(matches!(encode(&largest), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn a_prefix_alone_takes_no_memory() {
        let mut decoder = FrameDecoder::new(MAX_MESSAGE);
        let length = u32::try_from(MAX_MESSAGE).unwrap().to_be_bytes();
        decoder.feed([&[0], &length[..]].concat().into());
        assert_eq!(decoder.next_message(), Ok(None));
        assert!(decoder.message.capacity() <= FIRST_ROOM);
        assert!(decoder.has_begun());
        assert_eq!(decoder.finish(), Err(FrameError::Truncated));
    }

    #[test]
    fn a_message_has_begun_with_its_first_octet() {
        let mut decoder = FrameDecoder::new(MAX_MESSAGE);
        assert!(!decoder.has_begun());
        let ack = fixture("ack.bin");
        decoder.feed([&ack[..], &[0]].concat().into());
        assert!(decoder.next_message().unwrap().is_some());
        assert!(decoder.has_begun(), "one octet of the next one");
        assert_eq!(decoder.next_message(), Ok(None));
        assert!(decoder.has_begun());
        decoder.feed(ack.slice(1..));
        assert!(decoder.next_message().unwrap().is_some());
        assert!(!decoder.has_begun());
        decoder.feed(Bytes::from_static(&[1]));
        assert_eq!(decoder.next_message(), Err(FrameError::Compressed));
        assert_eq!(decoder.finish(), Err(FrameError::Compressed));
        assert_eq!(FrameError::Compressed.code(), GrpcCode::Unimplemented);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn messages_survive_any_chunks(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
            sizes in proptest::collection::vec(0..97usize, 1..20),
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for cargo in messages {
                let message = CargoDelivery { id: ID.to_owned(), cargo: cargo.into() };
                stream.extend_from_slice(&encode(&message).unwrap());
                expected.push(message);
            }
            let mut stream = Bytes::from(stream);
            let mut decoder = FrameDecoder::new(1000);
            let mut found: Vec<CargoDelivery> = Vec::new();
            let mut sizes = sizes.iter().cycle();
            while !stream.is_empty() {
                let size = (*sizes.next().unwrap()).max(1).min(stream.len());
                decoder.feed(stream.split_to(size));
                while let Some(message) = decoder.next_decoded().unwrap() {
                    found.push(message);
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert!(!decoder.has_begun());
            prop_assert_eq!(decoder.finish(), Ok(()));
        }

        #[test]
        fn any_octets_are_judged(octets in any::<Vec<u8>>(), flag in 0..2u8) {
            let mut octets = octets;
            if let Some(first) = octets.first_mut() {
                *first = flag;
            }
            let mut decoder = FrameDecoder::new(64);
            decoder.feed(octets.into());
            while let Ok(Some(message)) = decoder.next_message() {
                prop_assert!(message.len() <= 64);
            }
        }
    }
}
