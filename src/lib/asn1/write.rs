//! Writing DER from the inside out (X.690 §10).
//!
//! A message is layers around its content, and each layer's header needs the length of what is
//! inside. [`Buffer`] therefore grows at both ends: the content is read into place once, encrypted
//! there, and headers are put before it.

/// Octets of header that all layers of a parcel need before the content, with certificates to spare.
const ROOM: usize = 2048;

/// Octets that follow the content in a parcel: padding, certificates, the signature.
const ROOM_AFTER: usize = 16 * 1024;

/// A value under construction that can grow at both ends.
#[derive(Debug)]
pub struct Buffer {
    octets: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// An empty value, with room for `capacity` octets of content, and for what layers put before and
    /// after it.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut octets = Vec::with_capacity(ROOM + capacity + ROOM_AFTER);
        octets.resize(ROOM, 0);
        Self {
            octets,
            start: ROOM,
        }
    }

    /// Makes it empty again, with the memory that it has.
    pub fn reset(&mut self) {
        self.octets.clear();
        self.octets.resize(ROOM, 0);
        self.start = ROOM;
    }

    /// How many octets the value has.
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

    /// The backing octets and where the value starts in them, for what must work in place.
    pub fn parts_mut(&mut self) -> (&mut Vec<u8>, usize) {
        (&mut self.octets, self.start)
    }

    /// Puts octets after the value.
    pub fn append(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Puts octets before the value.
    pub fn prepend(&mut self, octets: &[u8]) {
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

    /// Makes the value the content of one with this tag.
    pub fn wrap(&mut self, tag: u8) {
        let header = header(tag, self.len());
        self.prepend(&header);
    }
}

/// Identifier and length octets for `len` octets of content.
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

/// One DER value.
#[must_use]
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut octets = header(tag, content.len());
    octets.extend_from_slice(content);
    octets
}

/// One DER value made of others, which are given whole.
#[must_use]
pub fn constructed(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(tag, &parts.concat())
}

/// `whole` under another tag, as IMPLICIT tagging does; `whole` is one DER value.
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
