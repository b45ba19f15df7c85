//! Writes DER from the inside out (X.690 §10).
//!
//! A message is layers around its content, and each layer's header needs the length of what is
//! inside. [`Buffer`] therefore grows at both ends: the content is read into place once, encrypted
//! there, and headers are prepended.

/// Octets reserved before the content: more than the headers of all layers of a parcel.
const ROOM: usize = 2048;

/// Octets reserved after the content, for the padding, certificates and signature of a parcel.
const ROOM_AFTER: usize = 16 * 1024;

/// A value under construction that can grow at both ends.
#[derive(Debug)]
pub struct Buffer {
    octets: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// An empty value, with memory for `capacity` octets of content and for the layers around it.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut octets = Vec::with_capacity(ROOM + capacity + ROOM_AFTER);
        octets.resize(ROOM, 0);
        Self {
            octets,
            start: ROOM,
        }
    }

    /// Empties the value and keeps its memory.
    pub fn reset(&mut self) {
        self.octets.clear();
        self.octets.resize(ROOM, 0);
        self.start = ROOM;
    }

    /// The value as octets of its own, in the memory that it has.
    #[must_use]
    pub fn into_octets(mut self) -> Vec<u8> {
        self.octets.drain(..self.start);
        self.octets
    }

    /// An empty value in the memory of these octets.
    #[must_use]
    pub fn reusing(octets: Vec<u8>) -> Self {
        let mut buffer = Self { octets, start: 0 };
        buffer.reset();
        buffer
    }

    /// The length of the value in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.octets.len() - self.start
    }

    /// Whether the value is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.octets[self.start..]
    }

    /// The value so far, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.octets[self.start..]
    }

    /// The backing octets, and the index where the value starts in them, for work in place.
    pub fn parts_mut(&mut self) -> (&mut Vec<u8>, usize) {
        (&mut self.octets, self.start)
    }

    /// Appends octets to the value.
    pub fn append(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Prepends octets to the value.
    pub fn prepend(&mut self, octets: &[u8]) {
        // The reserve is used up: the value is moved once to make a new one.
        if octets.len() > self.start {
            let room = octets.len() + ROOM;
            self.octets
                .splice(..self.start, std::iter::repeat_n(0, room));
            self.start = room;
        }
        let start = self.start - octets.len();
        self.octets[start..self.start].copy_from_slice(octets);
        self.start = start;
    }

    /// Prepends a header, so that the value becomes the content of one with this tag.
    pub fn wrap(&mut self, tag: u8) {
        let header = header(tag, self.len());
        self.prepend(&header);
    }
}

/// Identifier and length octets for `len` octets of content, in the shortest form.
#[must_use]
pub fn header(tag: u8, len: usize) -> Vec<u8> {
    let digits = len.to_be_bytes();
    let digits = &digits[digits
        .iter()
        .position(|&digit| digit != 0)
        .unwrap_or(digits.len() - 1)..];
    match digits {
        [short] if *short < 0x80 => vec![tag, *short],
        // At most eight octets, so the count fits its seven bits.
        long => [&[tag, 0x80 | long.len().to_le_bytes()[0]], long].concat(),
    }
}

/// Encodes one DER value with this content.
#[must_use]
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = header(tag, content.len());
    octets.extend_from_slice(content);
    octets
}

/// Encodes one DER value whose content is these whole DER values.
#[must_use]
pub fn constructed(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(tag, &parts.concat())
}

/// Replaces the tag of the DER value `whole`, as IMPLICIT tagging does.
#[must_use]
pub fn retagged(tag: u8, whole: &[u8]) -> Vec<u8> {
    let mut octets = whole.to_vec();
    if let Some(first) = octets.first_mut() {
        *first = tag;
    }
    octets
}

/// The minimal two's complement content of a non-negative INTEGER.
#[must_use]
pub fn integer_content(value: u32) -> Vec<u8> {
    let digits = value.to_be_bytes();
    let first = digits
        .iter()
        .position(|&digit| digit != 0)
        .unwrap_or(digits.len() - 1);
    let mut content = digits[first..].to_vec();
    // A first bit of 1 would make it negative (X.690 §8.3.3).
    if content.first().is_some_and(|&digit| digit >= 0x80) {
        content.insert(0, 0);
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::{Element, tag};

    #[test]
    fn lengths_take_their_shortest_form() {
        assert_eq!(tlv(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(tlv(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[0; 256])[..4], [4, 0x82, 1, 0]);
    }

    #[test]
    fn layers_grow_around_their_content_even_past_the_room() {
        let mut buffer = Buffer::with_capacity(3);
        buffer.append(b"abc");
        buffer.wrap(tag::OCTET_STRING);
        buffer.prepend(&tlv(tag::OCTET_STRING, &[7; 3 * ROOM]));
        buffer.append(&tlv(tag::NULL, &[]));
        buffer.wrap(tag::SEQUENCE);
        let mut inner = Element::der(buffer.as_slice(), tag::SEQUENCE)
            .unwrap()
            .children();
        assert_eq!(
            inner.take(tag::OCTET_STRING).unwrap().content(),
            [7; 3 * ROOM]
        );
        assert_eq!(inner.take(tag::OCTET_STRING).unwrap().content(), b"abc");
        inner.take(tag::NULL).unwrap();
        inner.finish().unwrap();
    }

    #[test]
    fn integers_are_minimal() {
        assert_eq!(integer_content(0), [0]);
        assert_eq!(integer_content(128), [0, 128]);
        assert_eq!(integer_content(300), [1, 0x2c]);
        assert_eq!(integer_content(15_552_000), [0x00, 0xed, 0x4e, 0x00]);
    }
}
