//! Cargo message sets: the plaintext of cargo (RS-000 §Cargo).
//!
//! ```text
//! CargoMessageSet ::= SEQUENCE OF OCTET STRING
//! ```

use std::ops::Range;

use super::{Error, malformed};
use crate::asn1::{self, Buffer, Cursor, Element, tag, write};
use crate::ramf::limits;

/// Maximum length of the header of an item or a set, in octets: a tag, and a length in four.
pub const HEADER_LEN: usize = 5;

/// A parsed message set, in the octets that were decrypted.
pub struct CargoMessageSet {
    octets: Vec<u8>,
    content: Range<usize>,
    len: usize,
}

impl CargoMessageSet {
    /// Parses all of `octets` as a set.
    ///
    /// # Errors
    /// When it is malformed, or has more messages than cargo may have.
    pub fn parse(octets: Vec<u8>) -> Result<Self, Error> {
        let all = 0..octets.len();
        Self::parse_within(octets, all)
    }

    /// Parses `octets[part]` as a set, without copying. No memory is reserved for the messages,
    /// however many there are.
    ///
    /// # Errors
    /// When it is malformed, or has more messages than cargo may have.
    pub fn parse_within(octets: Vec<u8>, part: Range<usize>) -> Result<Self, Error> {
        let wrong = malformed("cargo message set");
        let set = Element::der(&octets[part], tag::SEQUENCE).map_err(wrong)?;
        let mut list = set.children();
        let mut len = 0;
        while list.peek().is_some() {
            list.take(tag::OCTET_STRING).map_err(wrong)?;
            len += 1;
            // An empty message takes two octets, so a set could have millions.
            if len > limits::MAX_ITEMS {
                return Err(wrong(asn1::Error::Value("number of messages")));
            }
        }
        let content = set.content();
        let start = content.as_ptr() as usize - octets.as_ptr() as usize;
        let content = start..start + content.len();
        Ok(Self {
            octets,
            content,
            len,
        })
    }

    /// Takes the octets, to use their memory again.
    #[must_use]
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The messages in their order, unparsed.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let mut list = Cursor::der(&self.octets[self.content.clone()]);
        // Parsing has read all of them, so none can fail now.
        std::iter::from_fn(move || list.any().ok().flatten().map(|message| message.content()))
    }
}

/// The octets that a message of this length takes in a set, header included.
#[must_use]
pub fn item_len(message: usize) -> usize {
    message
        + match message {
            0..0x80 => 2,
            0x80..0x100 => 3,
            0x100..0x1_0000 => 4,
            _ => HEADER_LEN,
        }
}

/// Appends the header of the next message, whose octets the caller appends.
pub fn append_header(set: &mut Buffer, message: usize) {
    set.append(&write::header(tag::OCTET_STRING, message));
}

/// Wraps the messages in `buffer` in a set.
pub fn wrap(buffer: &mut Buffer) {
    buffer.wrap(tag::SEQUENCE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_of(items: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Buffer::with_capacity(100);
        for item in items {
            append_header(&mut buffer, item.len());
            buffer.append(item);
        }
        wrap(&mut buffer);
        buffer.as_slice().to_vec()
    }

    #[test]
    fn messages_come_back_in_their_order() {
        let long = vec![7; 70_000];
        let items: [&[u8]; 4] = [b"one", b"", &long, b"four"];
        let set = CargoMessageSet::parse(set_of(&items)).unwrap();
        assert_eq!(set.len(), 4);
        assert_eq!(set.messages().collect::<Vec<_>>(), items);
        assert!(CargoMessageSet::parse(set_of(&[])).unwrap().is_empty());
        assert_eq!(
            set_of(&items).len(),
            HEADER_LEN + items.iter().map(|item| item_len(item.len())).sum::<usize>()
        );
    }

    #[test]
    fn a_set_that_lies_about_lengths_is_refused_whole() {
        let good = set_of(&[b"one", b"two"]);
        for (at, octet) in [
            (1, 9),
            (1, 11),
            (3, 4),
            (3, 2),
            (3, 0x80),
            (8, 9),
            (2, 0x24),
        ] {
            let mut bad = good.clone();
            bad[at] = octet;
            assert!(CargoMessageSet::parse(bad).is_err(), "{at}: {octet}");
        }
        assert!(CargoMessageSet::parse(good[..9].to_vec()).is_err());
    }

    #[test]
    fn a_million_messages_are_over_the_limit() {
        let many = write::tlv(tag::SEQUENCE, &[tag::OCTET_STRING, 0].repeat(1_000_000));
        assert!(CargoMessageSet::parse(many).is_err());
        let most = write::tlv(
            tag::SEQUENCE,
            &[tag::OCTET_STRING, 0].repeat(limits::MAX_ITEMS),
        );
        assert_eq!(
            CargoMessageSet::parse(most).unwrap().len(),
            limits::MAX_ITEMS
        );
    }
}
