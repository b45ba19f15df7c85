//! Parcel collection as a state machine: frames go in, and what to do comes out (RS-016 §Parcel collection).
//!
//! ```text
//! gateway  challenge (nonce)
//! node     response (signature of the nonce)
//! gateway  delivery, delivery, ...            as fast as they are read
//! node     acknowledgement, ...               each once its parcel is on the disk, or refused for good
//! gateway  close 1000                         everything sent and acknowledged; never in a stream that stays open
//! ```

use std::collections::HashSet;
use std::time::Duration;

use super::super::excerpt::excerpt;
use crate::message::parcel_collection::{Challenge, ParcelDelivery};
use crate::ramf::limits;

/// The longest frame, in octets: the largest message with room for the delivery around it.
///
/// Deployed clients take 9 437 184, and gateways take parcels of that length: one of those, sent by anybody who may send
/// to this node, would keep all that follow it from coming.
pub const MAX_FRAME_LEN: usize = limits::MAX_MESSAGE_LEN + 1024;

/// The time without an octet after which a gateway that sends pings, every 5 s, counts as gone.
///
/// Not every gateway sends them, so the time runs from the first one.
pub const PING_SILENCE: Duration = Duration::from_secs(7);

/// The value of the header that says how long the gateway is to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamingMode {
    /// Until what waits is collected.
    CloseUponCompletion,
    /// For as long as both sides want.
    KeepAlive,
}

impl StreamingMode {
    /// The value of the header, which deployed gateways compare octet by octet.
    #[must_use]
    pub fn value(self) -> &'static str {
        match self {
            Self::CloseUponCompletion => "close-upon-completion",
            Self::KeepAlive => "keep-alive",
        }
    }
}

/// A frame from the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerFrame {
    /// A challenge or a delivery.
    Binary(Vec<u8>),
    /// No gateway sends text.
    Text(String),
    /// It is alive.
    Ping,
    /// It ends the collection, with this code and reason.
    Close(Option<u16>, String),
}

/// What is to be done about a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum CollectionStep {
    /// Nothing.
    Wait,
    /// Sign the nonce, and answer.
    Sign(Challenge),
    /// Look at a parcel, and acknowledge its delivery or not.
    Take(ParcelDelivery),
    /// The gateway has ended the collection, with this code and reason.
    End(Option<u16>, String),
    /// It broke the protocol; the connection is to be closed with this code.
    Break(u16, String),
}

/// The state of a collection.
#[derive(Debug, Default)]
pub struct Collection {
    is_signed: bool,
    has_pinged: bool,
    has_delivered: bool,
    /// Deliveries that were not acknowledged yet.
    open: HashSet<String>,
}

impl Collection {
    /// Takes a frame.
    pub fn take(&mut self, frame: ServerFrame) -> CollectionStep {
        match frame {
            ServerFrame::Ping => {
                self.has_pinged = true;
                CollectionStep::Wait
            }
            ServerFrame::Close(code, reason) => {
                CollectionStep::End(code, excerpt(reason.as_bytes()))
            }
            ServerFrame::Text(text) => CollectionStep::Break(
                1003,
                format!(
                    "text where a delivery must be: {}",
                    excerpt(text.as_bytes())
                ),
            ),
            ServerFrame::Binary(octets) if !self.is_signed => match Challenge::parse(&octets) {
                Ok(challenge) => {
                    self.is_signed = true;
                    CollectionStep::Sign(challenge)
                }
                Err(error) => CollectionStep::Break(1003, error.to_string()),
            },
            ServerFrame::Binary(octets) => match ParcelDelivery::parse(octets) {
                // Two open deliveries of one id could not be told apart in an acknowledgement.
                Ok(delivery) if !self.open.insert(delivery.id.clone()) => {
                    CollectionStep::Break(1003, format!("the delivery {} came twice", delivery.id))
                }
                Ok(delivery) => {
                    self.has_delivered = true;
                    CollectionStep::Take(delivery)
                }
                Err(error) => CollectionStep::Break(1003, error.to_string()),
            },
        }
    }

    /// Notes that a delivery is acknowledged.
    pub fn acknowledge(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// Whether a delivery has come.
    #[must_use]
    pub fn has_delivered(&self) -> bool {
        self.has_delivered
    }

    /// Whether the gateway has the answer to its challenge.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// How many deliveries are not acknowledged.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The time without an octet after which the gateway counts as gone; `usual` until it pings.
    #[must_use]
    pub fn silence(&self, usual: Duration) -> Duration {
        if self.has_pinged { PING_SILENCE } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/bindings/poweb/{name}")).unwrap()
    }

    /// The frames of one direction of a capture.
    fn frames(name: &str) -> Vec<ServerFrame> {
        let capture = fixture(name);
        let end = capture.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
        let mut rest = &capture[end..];
        let mut frames = Vec::new();
        while let [first, second, ..] = rest {
            let (len, head) = match second & 0x7f {
                126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
                len => (usize::from(len), 2),
            };
            let payload = rest[head..head + len].to_vec();
            frames.push(match first & 0x0f {
                1 => ServerFrame::Text(String::from_utf8(payload).unwrap()),
                2 => ServerFrame::Binary(payload),
                8 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    ServerFrame::Close(Some(code), String::new())
                }
                9 => ServerFrame::Ping,
                other => panic!("frame of type {other}"),
            });
            rest = &rest[head + len..];
        }
        frames
    }

    /// What is done about each frame of a capture, in a word, and the parcels in it.
    fn replayed(name: &str) -> (Vec<&'static str>, Vec<Vec<u8>>) {
        let mut collection = Collection::default();
        let (mut steps, mut parcels) = (Vec::new(), Vec::new());
        for frame in frames(name) {
            steps.push(match collection.take(frame) {
                CollectionStep::Wait => "wait",
                CollectionStep::Sign(challenge) => {
                    assert_eq!(challenge.nonce().len(), 16);
                    "sign"
                }
                CollectionStep::Take(delivery) => {
                    assert_eq!(delivery.id.len(), 36);
                    collection.acknowledge(&delivery.id);
                    parcels.push(delivery.into_parcel());
                    "take"
                }
                CollectionStep::End(code, _) => {
                    assert_eq!(code, Some(1000));
                    "end"
                }
                CollectionStep::Break(_, problem) => panic!("{problem}"),
            });
        }
        assert_eq!(collection.open(), 0);
        (steps, parcels)
    }

    #[test]
    fn captures_of_the_deployed_gateway_are_understood() {
        let (steps, parcels) = replayed("collect.server.ws");
        assert_eq!(steps, ["sign", "take", "take", "end"]);
        assert_eq!(parcels, [fixture("p1.parcel"), fixture("p2.parcel")]);
        assert_eq!(replayed("collect-empty.server.ws").0, ["sign", "end"]);
        assert_eq!(replayed("collect-live.server.ws").0, ["sign", "take"]);
    }

    #[test]
    fn what_breaks_the_protocol_ends_the_collection() {
        let signed = || {
            let mut collection = Collection::default();
            let challenge = Challenge::new(vec![1; 36]);
            let step = collection.take(ServerFrame::Binary(challenge.to_der()));
            assert_eq!(step, CollectionStep::Sign(challenge));
            collection
        };
        let broken = |step| matches!(step, CollectionStep::Break(1003, _));
        let delivery = || ServerFrame::Binary(ParcelDelivery::encode("id", b"parcel"));
        assert!(broken(Collection::default().take(delivery())));
        assert!(broken(
            Collection::default().take(ServerFrame::Text("id".to_owned()))
        ));
        assert!(broken(signed().take(ServerFrame::Text("id".to_owned()))));
        assert!(broken(signed().take(ServerFrame::Binary(b"junk".to_vec()))));
        let mut collection = signed();
        assert!(matches!(
            collection.take(delivery()),
            CollectionStep::Take(_)
        ));
        assert!(broken(collection.take(delivery())));
        // The same id may come again once it is acknowledged.
        let mut collection = signed();
        assert!(matches!(
            collection.take(delivery()),
            CollectionStep::Take(_)
        ));
        collection.acknowledge("id");
        assert!(matches!(
            collection.take(delivery()),
            CollectionStep::Take(_)
        ));
        assert_eq!(collection.open(), 1);
    }

    #[test]
    fn the_first_ping_starts_the_shorter_timer() {
        let usual = Duration::from_secs(30);
        let mut collection = Collection::default();
        assert_eq!(collection.silence(usual), usual);
        assert_eq!(collection.take(ServerFrame::Ping), CollectionStep::Wait);
        assert_eq!(collection.silence(usual), PING_SILENCE);
        assert!(!collection.is_signed());
    }

    #[test]
    fn a_reason_is_fit_for_a_terminal() {
        let frame = ServerFrame::Close(Some(1003), "\x1b[2J bad\n".to_owned());
        let CollectionStep::End(Some(1003), reason) = Collection::default().take(frame) else {
            panic!("not an end");
        };
        assert!(!reason.contains(['\x1b', '\n']), "{reason}");
    }
}
