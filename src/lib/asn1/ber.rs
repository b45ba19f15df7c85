//! Reads BER and DER values in place, without copying them (X.690 §8 and §10).
//!
//! Nothing is normalised: an [`Element`] borrows the octets as received, whether its length is
//! definite or indefinite, because signatures cover those octets. No function recurses on its
//! input: hostile nesting costs no stack, and strings are joined in one pass.

use std::borrow::Cow;
use std::ops::Range;

use der::asn1::ObjectIdentifier;

use super::{Error, tag};

/// Maximum nesting depth of indefinite lengths and constructed strings.
pub const MAX_DEPTH: usize = 32;

/// The constructed bit of an identifier octet (X.690 §8.1.2.5).
const CONSTRUCTED: u8 = 0x20;

/// The encoding rules that octets are read under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Indefinite lengths, constructed strings and long length forms are allowed.
    Ber,
    /// Only definite lengths in their shortest form.
    Der,
}

/// An identifier octet and the length that follows it.
struct Header {
    tag: u8,
    /// Length of the identifier and length octets together.
    len: usize,
    /// Length of the content in octets; `None` if it is indefinite.
    content: Option<usize>,
}

impl Header {
    /// Reads the header at the start of `octets`; `Ok(None)` when more octets are needed.
    fn read(octets: &[u8], rules: Rules) -> Result<Option<Self>, Error> {
        let (Some(&tag), Some(&first)) = (octets.first(), octets.get(1)) else {
            return Ok(None);
        };
        // Tag numbers over 30 need more identifier octets (X.690 §8.1.2.4); no structure here has
        // one.
        if tag & 0x1f == 0x1f {
            return Err(Error::Value("tag"));
        }
        if first < 0x80 {
            return Ok(Some(Self {
                tag,
                len: 2,
                content: Some(usize::from(first)),
            }));
        }
        if first == 0x80 {
            return match (rules, tag & CONSTRUCTED) {
                (Rules::Der, _) => Err(Error::Indefinite),
                // A primitive value must have a definite length (X.690 §8.1.3.2).
                (Rules::Ber, 0) => Err(Error::Length),
                (Rules::Ber, _) => Ok(Some(Self {
                    tag,
                    len: 2,
                    content: None,
                })),
            };
        }
        let count = usize::from(first & 0x7f);
        // `count` is the sender's, up to 127, so no more than eight digits are waited for.
        let Some(digits) = octets.get(2..2 + count.min(8)) else {
            return Ok(None);
        };
        // Lengths over 32 bits are refused: 4 GiB is far over every limit of RS-001. Leading zeros
        // are allowed in BER only.
        let value = digits
            .iter()
            .fold(0_u64, |value, &digit| value << 8 | u64::from(digit));
        if count > 8 || value > u64::from(u32::MAX) {
            return Err(Error::Length);
        }
        if rules == Rules::Der && (value < 0x80 || digits.first() == Some(&0)) {
            return Err(Error::Length);
        }
        let content = usize::try_from(value).map_err(|_| Error::Length)?;
        Ok(Some(Self {
            tag,
            len: 2 + count,
            content: Some(content),
        }))
    }
}

/// Finds the end of an outermost value while its octets are still arriving.
///
/// Nested values with a definite length are skipped whole, so only indefinite lengths count towards
/// [`MAX_DEPTH`].
#[derive(Debug, Default)]
pub struct Framer {
    position: usize,
    open: usize,
}

/// The result of [`Framer::advance`].
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    /// The value has this many octets.
    Ends(usize),
    /// The end is not known yet; at least this many octets of the value are needed to go on.
    Needs(usize),
}

impl Framer {
    /// Continues in `octets`, which start at the value and have grown since the last call.
    ///
    /// # Errors
    /// When `octets` cannot begin a value, when indefinite lengths nest too deep, or when the value
    /// would have more than `limit` octets.
    pub fn advance(&mut self, octets: &[u8], limit: usize) -> Result<Framing, Error> {
        loop {
            if self.position > limit {
                return Err(Error::TooLong(limit));
            }
            // Back at depth 0, the outermost value ends here, although its octets may still be
            // missing.
            if self.position > 0 && self.open == 0 {
                return Ok(if self.position > octets.len() {
                    Framing::Needs(self.position)
                } else {
                    Framing::Ends(self.position)
                });
            }
            let rest = octets.get(self.position..).unwrap_or_default();
            // End-of-contents closes the innermost indefinite length (X.690 §8.1.5).
            if self.open > 0 && rest.starts_with(&[0, 0]) {
                self.position += 2;
                self.open -= 1;
                continue;
            }
            let Some(header) = Header::read(rest, Rules::Ber)? else {
                // A definite length may have moved the position beyond the octets at hand.
                return Ok(Framing::Needs(self.position.max(octets.len()) + 1));
            };
            match header.content {
                // Tag 0 is reserved for end-of-contents, which was handled above.
                Some(_) if header.tag == 0 => return Err(Error::Value("tag")),
                Some(content) => self.position += header.len + content,
                None if self.open == MAX_DEPTH => return Err(Error::TooDeep),
                None => {
                    self.position += header.len;
                    self.open += 1;
                }
            }
        }
    }
}

/// Reads consecutive values from octets.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    rules: Rules,
}

impl<'a> Cursor<'a> {
    /// A cursor that reads `octets` as BER.
    #[must_use]
    pub fn ber(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            rules: Rules::Ber,
        }
    }

    /// A cursor that reads `octets` as DER.
    #[must_use]
    pub fn der(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            rules: Rules::Der,
        }
    }

    /// The identifier octet of the next value; `None` at the end. Nothing else of the value is
    /// checked.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The octets that were not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes the next value, whatever its tag; `None` at the end.
    ///
    /// # Errors
    /// When the next octets are not a value under the rules of this cursor.
    pub fn any(&mut self) -> Result<Option<Element<'a>>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let header = Header::read(self.rest, self.rules)?.ok_or(Error::Truncated)?;
        let (content, end) = match header.content {
            Some(len) => {
                let end = header.len.checked_add(len).ok_or(Error::Length)?;
                (self.rest.get(header.len..end).ok_or(Error::Truncated)?, end)
            }
            None => match Framer::default().advance(self.rest, self.rest.len())? {
                // The two octets of end-of-contents are part of the value, but not of its content.
                Framing::Ends(end) => (&self.rest[header.len..end - 2], end),
                Framing::Needs(_) => return Err(Error::Truncated),
            },
        };
        let (whole, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(Element {
            tag: header.tag,
            content,
            whole,
            rules: self.rules,
        }))
    }

    /// Takes the next value, which must have this tag (the whole identifier octet).
    ///
    /// # Errors
    /// When it has another tag, is missing, or is malformed.
    pub fn take(&mut self, tag: u8) -> Result<Element<'a>, Error> {
        match self.peek() {
            Some(found) if found == tag => self.any()?.ok_or(Error::Missing(tag)),
            Some(found) => Err(Error::Tag {
                expected: tag,
                found,
            }),
            None => Err(Error::Missing(tag)),
        }
    }

    /// Takes the next value if it has this tag, and else leaves it.
    ///
    /// # Errors
    /// When it has this tag and is malformed.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Error> {
        if self.peek() == Some(tag) {
            self.any()
        } else {
            Ok(None)
        }
    }

    /// Takes the next value, a string with this primitive tag. Under BER it may be constructed from
    /// segments (X.690 §8.7.3), which are joined.
    ///
    /// # Errors
    /// When it has another tag or a malformed segment.
    pub fn string(&mut self, primitive: u8) -> Result<Cow<'a, [u8]>, Error> {
        self.string_element(primitive)?.joined()
    }

    /// Like [`Cursor::string`], without joining the segments.
    ///
    /// # Errors
    /// When the value has another tag or is malformed.
    pub fn string_element(&mut self, primitive: u8) -> Result<Element<'a>, Error> {
        let constructed = primitive | CONSTRUCTED;
        if self.rules == Rules::Ber && self.peek() == Some(constructed) {
            self.take(constructed)
        } else {
            self.take(primitive)
        }
    }

    /// Checks that all values were read.
    ///
    /// # Errors
    /// [`Error::Trailing`] when octets are left.
    pub fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Error::Trailing)
        }
    }
}

/// Where a constructed value ends that is being read.
struct Open {
    /// Nothing inside may go beyond this index.
    limit: usize,
    /// Whether end-of-contents octets end it before that, since its length is indefinite.
    is_marked: bool,
}

/// Finds the primitive segments of a string, however deep they are, in one pass.
///
/// It holds no octets, so that they can be moved between two segments.
struct Segments {
    position: usize,
    open: Vec<Open>,
    value: Range<usize>,
    rules: Rules,
}

impl Segments {
    /// Of the string at the start of this range of some octets.
    fn of(value: Range<usize>, rules: Rules) -> Self {
        Self {
            position: value.start,
            open: Vec::new(),
            value,
            rules,
        }
    }

    /// The range of the next segment, or `None` after the last one. `octets` from there on must be as they were
    /// received.
    fn next(&mut self, octets: &[u8]) -> Result<Option<Range<usize>>, Error> {
        loop {
            let is_outermost = self.open.is_empty();
            if is_outermost && self.position > self.value.start {
                return Ok(None);
            }
            let innermost = self.open.last();
            let limit = innermost.map_or(self.value.end, |open| open.limit);
            let is_marked = innermost.is_some_and(|open| open.is_marked);
            let rest = octets.get(self.position..limit).ok_or(Error::Truncated)?;
            if is_marked && rest.starts_with(&[0, 0]) {
                self.position += 2;
                self.open.pop();
                continue;
            }
            if !is_outermost && !is_marked && rest.is_empty() {
                self.open.pop();
                continue;
            }
            let header = Header::read(rest, self.rules)?.ok_or(Error::Truncated)?;
            // The outermost tag may be an implicit one, such as the `[0]` of encryptedContent.
            if !is_outermost && header.tag & !CONSTRUCTED != tag::OCTET_STRING {
                return Err(Error::Tag {
                    expected: tag::OCTET_STRING,
                    found: header.tag,
                });
            }
            self.position += header.len;
            let end = header.content.map(|len| self.position + len);
            if end.is_some_and(|end| end > limit) {
                return Err(Error::Truncated);
            }
            match end {
                Some(end) if header.tag & CONSTRUCTED == 0 => {
                    let segment = self.position..end;
                    self.position = end;
                    return Ok(Some(segment));
                }
                _ if self.open.len() == MAX_DEPTH => return Err(Error::TooDeep),
                end => self.open.push(Open {
                    limit: end.unwrap_or(limit),
                    is_marked: end.is_none(),
                }),
            }
        }
    }
}

/// Joins the segments of the string at the start of `octets[value]` in place, and returns the range
/// of the joined content, which starts at `value.start`. A primitive string is not moved. The
/// string's headers are overwritten, and nothing is allocated for the content.
///
/// # Errors
/// When a segment is not an OCTET STRING or nests too deep.
pub fn join_in_place(octets: &mut [u8], value: Range<usize>) -> Result<Range<usize>, Error> {
    let start = value.start;
    let is_primitive = octets.get(start).is_some_and(|tag| tag & CONSTRUCTED == 0);
    let mut segments = Segments::of(value, Rules::Ber);
    let mut write = start;
    while let Some(segment) = segments.next(octets)? {
        if is_primitive {
            return Ok(segment);
        }
        // `write` is never ahead of the segment, since each one loses its header.
        let len = segment.len();
        octets.copy_within(segment, write);
        write += len;
    }
    Ok(start..write)
}

/// One value, as received.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
    rules: Rules,
}

impl<'a> Element<'a> {
    /// Reads all of `octets` as one DER value with this tag.
    ///
    /// # Errors
    /// When it has another tag, is not DER, or octets follow.
    pub fn der(octets: &'a [u8], tag: u8) -> Result<Self, Error> {
        let mut cursor = Cursor::der(octets);
        let element = cursor.take(tag)?;
        cursor.finish()?;
        Ok(element)
    }

    /// The identifier octet.
    #[must_use]
    pub fn tag(&self) -> u8 {
        self.tag
    }

    /// The content octets, without the end-of-contents of an indefinite length.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }

    /// The whole value as received: identifier, length, content and end-of-contents, if any.
    #[must_use]
    pub fn whole(&self) -> &'a [u8] {
        self.whole
    }

    /// A cursor over the values inside, under the same rules.
    #[must_use]
    pub fn children(&self) -> Cursor<'a> {
        Cursor {
            rest: self.content,
            rules: self.rules,
        }
    }

    /// A cursor over the values inside, under DER whatever rules this value was read with.
    #[must_use]
    pub fn der_children(&self) -> Cursor<'a> {
        Cursor::der(self.content)
    }

    /// Calls `each` with each primitive segment of this string; a primitive string is one segment.
    ///
    /// # Errors
    /// When a segment is not an OCTET STRING or nests too deep.
    pub fn segments(&self, mut each: impl FnMut(&'a [u8])) -> Result<(), Error> {
        let mut segments = Segments::of(0..self.whole.len(), self.rules);
        while let Some(segment) = segments.next(self.whole)? {
            each(&self.whole[segment]);
        }
        Ok(())
    }

    /// The content of this string, borrowed unless segments had to be joined.
    ///
    /// # Errors
    /// As [`Element::segments`].
    pub fn joined(&self) -> Result<Cow<'a, [u8]>, Error> {
        if self.tag & CONSTRUCTED == 0 {
            return Ok(Cow::Borrowed(self.content));
        }
        // Two passes: the first counts, so that the second allocates once.
        let mut len = 0;
        self.segments(|segment| len += segment.len())?;
        let mut octets = Vec::with_capacity(len);
        self.segments(|segment| octets.extend_from_slice(segment))?;
        Ok(Cow::Owned(octets))
    }

    /// The value as an object identifier.
    ///
    /// # Errors
    /// When the tag is not OBJECT IDENTIFIER or the content is malformed.
    pub fn oid(&self) -> Result<ObjectIdentifier, Error> {
        self.expect(tag::OID)?;
        ObjectIdentifier::from_bytes(self.content).map_err(|_| Error::Value("object identifier"))
    }

    /// The content as a non-negative INTEGER of at most 31 bits. The tag is not checked, since it
    /// may be implicit.
    ///
    /// # Errors
    /// When it is negative, longer, or not minimal.
    pub fn small_integer(&self) -> Result<u32, Error> {
        let minimal = match self.content {
            [] => false,
            [0, second, ..] => *second >= 0x80,
            [first, ..] => *first < 0x80,
        };
        if !minimal || self.content.len() > 4 {
            return Err(Error::Value("integer"));
        }
        Ok(self
            .content
            .iter()
            .fold(0, |value, &digit| value << 8 | u32::from(digit)))
    }

    /// The octets of a BIT STRING. Unused bits are refused, since keys and signatures are whole
    /// octets.
    ///
    /// # Errors
    /// When the tag is not BIT STRING, or bits are unused.
    pub fn bit_string(&self) -> Result<&'a [u8], Error> {
        self.expect(tag::BIT_STRING)?;
        match self.content.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(Error::Value("bit string")),
        }
    }

    /// The value of a DER BOOLEAN.
    ///
    /// # Errors
    /// When the tag is not BOOLEAN, or the content is neither `00` nor `FF`.
    pub fn boolean(&self) -> Result<bool, Error> {
        self.expect(tag::BOOLEAN)?;
        match self.content {
            [0x00] => Ok(false),
            [0xff] => Ok(true),
            _ => Err(Error::Value("boolean")),
        }
    }

    fn expect(&self, expected: u8) -> Result<(), Error> {
        if self.tag == expected {
            Ok(())
        } else {
            Err(Error::Tag {
                expected,
                found: self.tag,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indefinite_length_ends_at_its_own_end_of_contents() {
        let octets = [
            0x30, 0x80, 0x24, 0x80, 0x04, 0x02, 0, 0, 0, 0, 0x05, 0x00, 0, 0, 0xff,
        ];
        let mut cursor = Cursor::ber(&octets);
        let outer = cursor.take(tag::SEQUENCE).unwrap();
        assert_eq!(cursor.rest(), [0xff]);
        let mut inner = outer.children();
        assert_eq!(*inner.string(tag::OCTET_STRING).unwrap(), [0, 0]);
        inner.take(tag::NULL).unwrap();
        inner.finish().unwrap();
    }

    #[test]
    fn der_refuses_what_only_ber_allows() {
        assert_eq!(
            Cursor::der(&[0x30, 0x80, 0, 0]).any().unwrap_err(),
            Error::Indefinite
        );
        assert_eq!(
            Cursor::der(&[0x04, 0x81, 0x01, 0]).any().unwrap_err(),
            Error::Length
        );
        assert!(Cursor::ber(&[0x04, 0x81, 0x01, 0]).any().is_ok());
        assert!(
            Cursor::der(&[0x24, 0x02, 0x04, 0x00])
                .string(tag::OCTET_STRING)
                .is_err()
        );
    }

    #[test]
    fn a_primitive_value_has_no_indefinite_length() {
        assert_eq!(
            Cursor::ber(&[0x04, 0x80, 0, 0]).any().unwrap_err(),
            Error::Length
        );
    }

    #[test]
    fn nesting_stops_at_the_limit_without_recursion() {
        for (levels, fine) in [(32, true), (33, false), (10_000, false)] {
            let mut octets = [0x24, 0x80].repeat(levels);
            octets.extend([0, 0].repeat(levels));
            assert_eq!(
                Cursor::ber(&octets).any().is_ok(),
                fine,
                "{levels} indefinite"
            );
        }
        let mut octets = Vec::new();
        for _ in 0..1000 {
            octets = super::super::write::tlv(0x24, &octets);
        }
        let string = Cursor::ber(&octets).any().unwrap().unwrap();
        assert_eq!(string.joined().unwrap_err(), Error::TooDeep);
    }

    #[test]
    fn joining_in_place_gives_what_joining_gives() {
        let primitive = [0x80, 3, 1, 2, 3];
        let segmented = [
            0xa0, 0x80, 4, 2, 1, 2, 4, 0, 0x24, 3, 4, 1, 3, 0x24, 0x80, 4, 1, 4, 0, 0, 0, 0,
        ];
        let definite = [0xa0, 7, 4, 1, 9, 4, 2, 8, 7];
        let empty = [0xa0, 0x80, 0, 0];
        for octets in [&primitive[..], &segmented, &definite, &empty] {
            let element = Cursor::ber(octets).any().unwrap().unwrap();
            let mut buffer = [&[0xee], octets, &[0xee; 4]].concat();
            let joined =
                join_in_place(&mut buffer, 1..octets.len() + 1).map(|range| buffer[range].to_vec());
            assert_eq!(joined.unwrap(), *element.joined().unwrap());
        }
        let mut deep = [[0x24, 0x80].repeat(40), [0, 0].repeat(40)].concat();
        let all = 0..deep.len();
        assert_eq!(join_in_place(&mut deep, all), Err(Error::TooDeep));
        for bad in [
            &[0xa0, 0x80, 2, 1, 1, 0, 0][..],
            &[0xa0, 0x80, 4, 1, 1],
            &[0xa0, 5, 4, 9, 1, 2, 3],
            // An inner string that goes on where the one around it ends, of either form.
            &[0x24, 6, 0x24, 2, 4, 1, 9, 0],
            &[0x24, 0x80, 0x24, 2, 0x24, 0x80, 0, 0, 0, 0],
        ] {
            let mut bad = bad.to_vec();
            let element = Cursor::ber(&bad).any();
            let joined = element.and_then(|element| Ok(element.unwrap().joined()?.into_owned()));
            assert!(joined.is_err(), "{bad:02x?}");
            let all = 0..bad.len();
            assert!(join_in_place(&mut bad, all).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn deep_segments_are_read_once() {
        // 28 levels of a million octets in all; each level would be framed anew by reading it as a value.
        let depth = 28;
        let leaves = 1 << 18;
        let open = [0x24, 0x80].repeat(depth);
        let octets = [open, [4, 0].repeat(leaves), [0, 0].repeat(depth)].concat();
        let mut segments = Segments::of(0..octets.len(), Rules::Ber);
        let mut read = 0;
        while let Some(segment) = segments.next(&octets).unwrap() {
            assert!(segment.start > read, "each octet is read once");
            read = segment.start;
        }
        assert_eq!(segments.position, octets.len());
        assert_eq!(read, 2 * (depth + leaves), "where the last one is");
    }

    #[test]
    fn four_million_empty_segments_are_an_empty_string() {
        let mut octets = vec![0x24, 0x80];
        octets.extend([0x04, 0x00].repeat(4_000_000));
        octets.extend([0, 0]);
        let string = Cursor::ber(&octets).string(tag::OCTET_STRING).unwrap();
        assert!(string.is_empty());
    }

    #[test]
    fn huge_lengths_are_refused_before_anything_is_reserved() {
        let four_gib = [0x30, 0x85, 0x01, 0, 0, 0, 0];
        assert_eq!(Cursor::ber(&four_gib).any().unwrap_err(), Error::Length);
        assert_eq!(
            Framer::default().advance(&four_gib, 100).unwrap_err(),
            Error::Length
        );
        let almost = [0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Cursor::ber(&almost).any().unwrap_err(), Error::Truncated);
        assert_eq!(
            Framer::default().advance(&almost, 100).unwrap_err(),
            Error::TooLong(100)
        );
    }

    #[test]
    fn framing_resumes_octet_by_octet() {
        let definite = [0x30, 0x03, 0x04, 0x01, 0xaa];
        let indefinite = [0x30, 0x80, 0x30, 0x80, 0x04, 0x01, 0xaa, 0, 0, 0, 0];
        for octets in [&definite[..], &indefinite] {
            let mut framer = Framer::default();
            for end in 0..octets.len() {
                match framer.advance(&octets[..end], 100).unwrap() {
                    Framing::Needs(more) => assert!(more > end, "{end}"),
                    Framing::Ends(at) => panic!("ended at {at} with {end} octets"),
                }
            }
            let with_more = [octets, &[0x30, 0x80]].concat();
            assert_eq!(
                framer.advance(&with_more, 100).unwrap(),
                Framing::Ends(octets.len())
            );
        }
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        let integer = |content: &[u8]| {
            let octets = super::super::write::tlv(tag::INTEGER, content);
            Cursor::der(&octets).any().unwrap().unwrap().small_integer()
        };
        assert_eq!(integer(&[0x01, 0x2c]), Ok(300));
        assert_eq!(integer(&[0x00, 0x80]), Ok(128));
        for bad in [
            &[][..],
            &[0x00, 0x7f],
            &[0x80],
            &[1, 2, 3, 4, 5],
            &[0, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(integer(bad).is_err(), "{bad:?}");
        }
    }
}
