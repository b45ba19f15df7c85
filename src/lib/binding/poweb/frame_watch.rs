//! What of a WebSocket's octets moves a message on.
//!
//! Heads of frames move nothing: a message may be cut into any number of empty frames, and a library that puts it together
//! reads them for ever.

use std::time::Instant;

use crate::binding::connect::SILENCE;
use crate::binding::pace::{LOWEST_RATE, Pace, PaceFailure};

/// The end of the head of HTTP, before the frames.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Where the octets of a server are. Frames of servers are not masked (RFC 6455 §5.1), a masked one ends the connection.
#[derive(Debug, Clone, Copy)]
enum FramePlace {
    /// In the head of HTTP, with the number of octets of its end that have come.
    Head(usize),
    /// In the head of a frame.
    Frame,
    /// In a payload, with the number of octets that are missing.
    Payload { left: u64, is_control: bool },
}

/// Watches what a server sends.
#[derive(Debug)]
pub(super) struct FrameWatch {
    place: FramePlace,
    /// The head of a frame, as far as it has come.
    head: Vec<u8>,
    /// The pace of the message that is under way, if one is.
    pace: Option<Pace>,
    /// Whether this frame is its last.
    is_last: bool,
}

impl FrameWatch {
    /// Nothing has come yet.
    pub(super) fn new() -> Self {
        Self {
            place: FramePlace::Head(0),
            head: Vec::with_capacity(10),
            pace: None,
            is_last: true,
        }
    }

    /// Sees octets that came.
    ///
    /// # Errors
    /// When the message that is under way is too slow.
    pub(super) fn see(&mut self, mut octets: &[u8], now: Instant) -> Result<(), PaceFailure> {
        while let Some((first, rest)) = octets.split_first() {
            match self.place {
                FramePlace::Head(matched) => {
                    let matched = if *first == END_OF_HEAD[matched] {
                        matched + 1
                    } else {
                        usize::from(*first == END_OF_HEAD[0])
                    };
                    self.place = if matched == END_OF_HEAD.len() {
                        FramePlace::Frame
                    } else {
                        FramePlace::Head(matched)
                    };
                    octets = rest;
                }
                FramePlace::Frame => {
                    self.head.push(*first);
                    self.begin_payload(now);
                    octets = rest;
                }
                FramePlace::Payload { left, is_control } => {
                    let here = left.min(octets.len() as u64);
                    if let (false, Some(pace)) = (is_control, &mut self.pace) {
                        pace.add(here, now);
                    }
                    self.go_on(left - here, is_control);
                    octets = &octets[usize::try_from(here).unwrap_or(octets.len())..];
                }
            }
        }
        match &self.pace {
            Some(pace) => pace.left(now).map(drop),
            None => Ok(()),
        }
    }

    /// Begins the payload, once the head of its frame is whole.
    fn begin_payload(&mut self, now: Instant) {
        let [first, second, length @ ..] = self.head.as_slice() else {
            return;
        };
        let of_length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if length.len() < of_length {
            return;
        }
        let len = match second & 0x7f {
            126 | 127 => length
                .iter()
                .fold(0_u64, |len, octet| len << 8 | u64::from(*octet)),
            len => u64::from(len),
        };
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        self.head.clear();
        if !is_control {
            // It is under way until its last frame is here.
            let pace = self
                .pace
                .take()
                .unwrap_or_else(|| Pace::new(SILENCE, LOWEST_RATE, now));
            self.pace = (!is_last || len > 0).then_some(pace);
            self.is_last = is_last;
        }
        self.go_on(len, is_control);
    }

    /// So many octets of a payload are missing.
    fn go_on(&mut self, left: u64, is_control: bool) {
        if left > 0 {
            self.place = FramePlace::Payload { left, is_control };
            return;
        }
        self.place = FramePlace::Frame;
        if !is_control && self.is_last {
            self.pace = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// When a server fails that sends these octets after a head, again and again, ten times a second.
    fn fails(first: &[u8], again: &[u8], seconds: u32) -> Option<u32> {
        let start = Instant::now();
        let mut watch = FrameWatch::new();
        watch
            .see(b"HTTP/1.1 101 Go\r\nA: b\r\n\r\n", start)
            .unwrap();
        watch.see(first, start).unwrap();
        (1..=seconds * 10)
            .find(|at| {
                let now = start + Duration::from_millis(100) * *at;
                watch.see(again, now).is_err()
            })
            .map(|at| at / 10)
    }

    #[test]
    fn empty_frames_move_no_message() {
        // A message begins and goes on with empty frames, also between pings.
        assert_eq!(fails(&[0x02, 1, 7], &[0x00, 0].repeat(30), 60), Some(30));
        assert_eq!(
            fails(&[0x02, 0], &[0x00, 0, 0x89, 0].repeat(30), 60),
            Some(30)
        );
        // One octet a second is too slow in any form, and 60 in a tenth are not.
        assert_eq!(fails(&[0x02, 0], &[0x00, 1, 9], 60), Some(30));
        let quick = [&[0x00, 60][..], &[9; 60]].concat();
        assert_eq!(fails(&[0x02, 0], &quick, 60), None);
    }

    #[test]
    fn between_messages_nothing_has_to_move() {
        assert_eq!(fails(&[], &[0x89, 0], 100), None);
        assert_eq!(fails(&[], &[0x82, 1, 7], 100), None);
        // Of each length a head may have.
        let long = [&[0x82, 126, 1, 0][..], &[9; 256]].concat();
        let longer = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![9; 1 << 16]].concat();
        assert_eq!(fails(&long, &longer, 40), None);
        // A message that is not whole has to.
        assert_eq!(fails(&long[..100], &[], 60), Some(30));
    }

    #[test]
    fn octets_may_come_in_any_pieces() {
        let octets = [
            b"HTTP/1.1 101 \r\n\r\r\n\r\n".as_slice(),
            &[0x82, 126, 0, 200],
            &[0; 200],
            &[0x89, 4, 1, 2, 3, 4],
            &[0x02, 1, 5],
        ]
        .concat();
        let start = Instant::now();
        for size in [1, 2, 3, 7, 1000] {
            let mut watch = FrameWatch::new();
            for piece in octets.chunks(size) {
                watch.see(piece, start).unwrap();
            }
            assert!(watch.pace.is_some() && watch.head.is_empty(), "{size}");
            assert!(watch.see(&[], start + SILENCE).is_err(), "{size}");
            assert!(watch.see(&[0x80, 0], start + SILENCE).is_ok(), "{size}");
        }
    }
}
