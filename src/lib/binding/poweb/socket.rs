//! The WebSocket on which a gateway sends parcels.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::client::generate_key;
use tungstenite::http::Request;
use tungstenite::http::header::{self, HeaderMap, HeaderName};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{HandshakeError, Message, WebSocket};

use super::collect::{Collection, CollectionStep, MAX_FRAME_LEN, ServerFrame, StreamingMode};
use super::frame_watch::FrameWatch;
use super::{BASE, unauthenticated};
use crate::binding::Error;
use crate::binding::connect::{Connection, SILENCE, of_pace};
use crate::binding::excerpt::excerpt;
use crate::binding::pace::{LOWEST_RATE, Pace, PaceFailure};
use crate::binding::retry::{RequestKind, SendOutcome, http_date, retry_after};
use crate::kind::ErrorKind;
use crate::message::countersignature::{self, Purpose};
use crate::message::parcel_collection::{ParcelDelivery, Response, WINDOW_HEADER};
use crate::pki::{Certificate, IdentityKey};

/// What is read at once, in octets. A parcel is read into its own memory.
const READ_LEN: usize = 16 * 1024;

/// How many parcels are taken before one is acknowledged: those that are stored together, several times.
const WINDOW: &str = "128";

/// How long the gateway may take to answer our close.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// The code with which deployed gateways close where the signature is by a node that they do not know.
const FORGOTTEN: u16 = 1003;

/// What comes from the gateway.
#[derive(Debug)]
pub enum Collected {
    /// A parcel, to be acknowledged or not.
    Delivery(ParcelDelivery),
    /// Nothing whole came in the time that was given.
    Nothing,
    /// The gateway has sent everything and has every acknowledgement.
    Done,
}

/// A connection on which parcels are collected.
pub struct CollectionSocket {
    socket: WebSocket<OctetCounter>,
    collection: Collection,
    label: String,
    /// The pace of what is no ping. That of the connection is kept by pings alone.
    pace: Pace,
    /// When something came that is no ping: a part of a frame counts, since a large one may take long.
    busy: Instant,
    /// How many octets had come by then, without those of pings.
    octets: u64,
    /// How many octets of pings have come.
    of_pings: u64,
}

/// A connection that counts what is read, since a large parcel may take longer than any time-out.
struct OctetCounter {
    connection: Connection,
    octets: u64,
    watch: FrameWatch,
}

impl Read for OctetCounter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.connection.read(buffer)?;
        self.octets += read as u64;
        let seen = self.watch.see(&buffer[..read], Instant::now());
        seen.map_err(|failure| io::Error::new(io::ErrorKind::TimedOut, failure))?;
        Ok(read)
    }
}

impl Write for OctetCounter {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.connection.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.connection.flush()
    }
}

impl CollectionSocket {
    /// Opens the WebSocket, and answers the challenge of the gateway with a signature by the certificate that it issued.
    /// `now` is for a gateway that says until when it wants to be left alone.
    ///
    /// # Errors
    /// When the gateway refuses, is silent, or breaks the protocol.
    pub fn open(
        mut connection: Connection,
        mode: StreamingMode,
        signer: (&IdentityKey, &Certificate),
        now: Timestamp,
    ) -> Result<Self, Error> {
        connection.begin_within(SILENCE);
        connection.read_within(SILENCE);
        let label = connection.server().to_string();
        let socket = upgrade(connection, mode, &label, now)?;
        let mut opened = Self {
            socket,
            collection: Collection::default(),
            label,
            pace: Pace::new(SILENCE, LOWEST_RATE, Instant::now()),
            busy: Instant::now(),
            octets: 0,
            of_pings: 0,
        };
        let deadline = Instant::now() + SILENCE;
        while !opened.collection.is_signed() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(opened.silent(SILENCE));
            }
            if let CollectionStep::Sign(challenge) = opened.step(left)? {
                let (key, certificate) = signer;
                let nonce = challenge.nonce();
                let signature =
                    countersignature::sign(Purpose::Collection, nonce, key, certificate)?;
                let signatures = vec![signature];
                opened.send(Message::binary(Response { signatures }.to_der()))?;
            }
        }
        Ok(opened)
    }

    /// Waits at most so long for the next parcel, or the end.
    ///
    /// # Errors
    /// When the gateway is silent for too long, goes away, or breaks the protocol.
    pub fn next(&mut self, wait: Duration) -> Result<Collected, Error> {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.step(left)? {
                CollectionStep::Take(delivery) => return Ok(Collected::Delivery(delivery)),
                CollectionStep::End(code, reason) => return self.ended(code, &reason),
                _ if left.is_zero() => return Ok(Collected::Nothing),
                _ => {}
            }
        }
    }

    /// Acknowledges deliveries, whose parcels are on the disk or refused for good.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn acknowledge<'i>(&mut self, ids: impl Iterator<Item = &'i str>) -> Result<(), Error> {
        self.socket.get_mut().connection.begin_within(SILENCE);
        for id in ids {
            let written = self.socket.write(Message::text(id));
            written.map_err(|error| self.failed(error))?;
            self.collection.acknowledge(id);
        }
        self.socket.flush().map_err(|error| self.failed(error))?;
        self.begin_next();
        Ok(())
    }

    /// How many deliveries are not acknowledged.
    #[must_use]
    pub fn open_deliveries(&self) -> usize {
        self.collection.open()
    }

    /// How long nothing but pings has come.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.busy.elapsed()
    }

    /// Checks that something comes besides pings, which alone do not make a gateway well that is to end the collection.
    ///
    /// # Errors
    /// When nothing has come for too long, or a parcel comes too slowly.
    pub fn check_pace(&self) -> Result<(), Error> {
        let server = self.label.clone();
        match self.pace.left(Instant::now()) {
            Ok(_) => Ok(()),
            Err(PaceFailure::Slow(waited)) => Err(Error::Slow { server, waited }),
            Err(_) => Err(self.silent(self.quiet_for())),
        }
    }

    /// Ends the collection from this side.
    pub fn close(mut self) {
        self.close_with(CloseCode::Normal, "");
    }

    /// One frame, if one comes within `wait`.
    fn step(&mut self, wait: Duration) -> Result<CollectionStep, Error> {
        // A time-out of zero would be none.
        let wait = wait.clamp(Duration::from_millis(1), SILENCE);
        self.socket.get_mut().connection.read_within(wait);
        let read = self.socket.read();
        self.note(&read);
        let frame = match read {
            Ok(Message::Binary(octets)) => ServerFrame::Binary(octets.into()),
            Ok(Message::Text(text)) => ServerFrame::Text(text.to_string()),
            Ok(Message::Ping(_)) => {
                // The answer to a ping leaves with the next write.
                self.socket.flush().map_err(|error| self.failed(error))?;
                ServerFrame::Ping
            }
            Ok(Message::Close(frame)) => close_of(frame),
            Ok(Message::Pong(_) | Message::Frame(_)) => {
                self.begin_next();
                return Ok(CollectionStep::Wait);
            }
            // The pace of the connection is kept.
            Err(tungstenite::Error::Io(cause)) if cause.kind() == io::ErrorKind::WouldBlock => {
                return Ok(CollectionStep::Wait);
            }
            Err(error) => {
                let code = match &error {
                    tungstenite::Error::Capacity(_) => Some(CloseCode::Size),
                    tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => {
                        Some(CloseCode::Protocol)
                    }
                    _ => None,
                };
                let failed = self.failed(error);
                if let Some(code) = code {
                    self.close_with(code, "");
                }
                return Err(failed);
            }
        };
        let step = self.collection.take(frame);
        self.begin_next();
        match step {
            CollectionStep::Break(code, problem) => {
                self.close_with(code.into(), "");
                Err(self.protocol(problem))
            }
            CollectionStep::End(code, reason) if !self.collection.is_signed() => {
                // An end before the challenge is never the end of the parcels.
                match self.ended(code, &reason) {
                    Ok(_) => Err(self.protocol("closed before it said who is to sign".to_owned())),
                    Err(error) => Err(error),
                }
            }
            step => Ok(step),
        }
    }

    /// Whether this node has said who it is, and nothing came since.
    fn is_unheard(&self) -> bool {
        self.collection.is_signed() && !self.collection.has_delivered()
    }

    /// The next frame begins.
    fn begin_next(&mut self) {
        let silence = self.collection.silence(SILENCE);
        self.socket.get_mut().connection.begin_within(silence);
    }

    /// Notes what was read, or that a part of a frame may have come.
    fn note(&mut self, read: &tungstenite::Result<Message>) {
        let now = Instant::now();
        let is_ping = match read {
            Ok(Message::Ping(data) | Message::Pong(data)) => {
                // With a header of two octets.
                self.of_pings += 2 + data.len() as u64;
                true
            }
            _ => false,
        };
        let octets = self.socket.get_ref().octets.saturating_sub(self.of_pings);
        if octets > self.octets && !is_ping {
            self.pace.add(octets - self.octets, now);
            (self.octets, self.busy) = (octets, now);
        }
        if read.is_ok() && !is_ping {
            self.pace.begin(SILENCE, now);
        }
    }

    /// What an end by the gateway means.
    fn ended(&mut self, code: Option<u16>, reason: &str) -> Result<Collected, Error> {
        // Ours leaves in answer.
        let _ = self.socket.flush();
        let closed = |code| Error::Closed {
            server: self.label.clone(),
            code,
            reason: reason.to_owned(),
        };
        match SendOutcome::of_close(code) {
            SendOutcome::Accepted if self.collection.open() == 0 => Ok(Collected::Done),
            // It does not wait for what it was not told.
            SendOutcome::Accepted => Err(closed(1000)),
            SendOutcome::Later(ErrorKind::Unreachable) => Err(closed(code.unwrap_or(1005))),
            SendOutcome::Later(kind) if code == Some(FORGOTTEN) && self.is_unheard() => {
                Err(Error::Unauthenticated {
                    server: self.label.clone(),
                    answer: format!("closed: {FORGOTTEN} {reason}"),
                    kind,
                })
            }
            _ => Err(self.protocol(format!("closed: {} {reason}", code.unwrap_or(1005)))),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        self.socket
            .send(message)
            .map_err(|error| self.failed(error))
    }

    /// Closes as well as that works: the connection is given up in any case.
    fn close_with(&mut self, code: CloseCode, reason: &str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        self.socket.get_mut().connection.begin_within(CLOSE_WITHIN);
        if self.socket.close(Some(frame)).is_ok() {
            let _ = self.socket.flush();
        }
    }

    fn silent(&self, waited: Duration) -> Error {
        Error::Silent {
            server: self.label.clone(),
            waited,
        }
    }

    fn protocol(&self, problem: String) -> Error {
        Error::Protocol {
            server: self.label.clone(),
            problem,
        }
    }

    fn failed(&self, error: tungstenite::Error) -> Error {
        use tungstenite::Error as E;
        match error {
            E::Io(cause) => self.socket.get_ref().connection.error(cause),
            E::Protocol(ProtocolError::ResetWithoutClosingHandshake)
            | E::ConnectionClosed
            | E::AlreadyClosed => broken(&self.label, io::ErrorKind::UnexpectedEof.into()),
            E::Capacity(error) => self.protocol(error.to_string()),
            error => self.protocol(excerpt(error.to_string().as_bytes())),
        }
    }
}

fn broken(label: &str, cause: io::Error) -> Error {
    Error::Broken {
        server: label.to_owned(),
        cause,
    }
}

fn close_of(frame: Option<CloseFrame>) -> ServerFrame {
    match frame {
        Some(frame) => ServerFrame::Close(Some(frame.code.into()), frame.reason.to_string()),
        None => ServerFrame::Close(None, String::new()),
    }
}

/// Makes a WebSocket of a connection.
fn upgrade(
    connection: Connection,
    mode: StreamingMode,
    label: &str,
    now: Timestamp,
) -> Result<WebSocket<OctetCounter>, Error> {
    let protocol = |problem: String| Error::Protocol {
        server: label.to_owned(),
        problem,
    };
    let host = connection.server().authority();
    let request = Request::builder()
        .uri(format!("ws://{host}{BASE}/parcel-collection"))
        .header("Host", &host)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("X-Relaynet-Streaming-Mode", mode.value())
        .header(WINDOW_HEADER, WINDOW)
        .body(())
        .map_err(|error| protocol(error.to_string()))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_LEN)
        .write_buffer_size(READ_LEN)
        .max_frame_size(Some(MAX_FRAME_LEN))
        .max_message_size(Some(MAX_FRAME_LEN));
    let counted = OctetCounter {
        connection,
        octets: 0,
        watch: FrameWatch::new(),
    };
    let (socket, _) = match tungstenite::client::client_with_config(request, counted, Some(config))
    {
        Ok(upgraded) => upgraded,
        Err(HandshakeError::Interrupted(_)) => {
            return Err(Error::Silent {
                server: label.to_owned(),
                waited: SILENCE,
            });
        }
        Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            let status = response.status().as_u16();
            let text = response.body().as_deref().map(excerpt).unwrap_or_default();
            let pause = pause_of(response.headers(), now);
            return Err(refusal(label, (status, text), pause));
        }
        Err(HandshakeError::Failure(tungstenite::Error::Io(cause))) => {
            return Err(of_pace(label, &cause).unwrap_or_else(|| broken(label, cause)));
        }
        Err(HandshakeError::Failure(tungstenite::Error::Protocol(
            ProtocolError::HandshakeIncomplete,
        ))) => {
            return Err(broken(label, io::ErrorKind::UnexpectedEof.into()));
        }
        Err(HandshakeError::Failure(error)) => {
            return Err(protocol(excerpt(error.to_string().as_bytes())));
        }
    };
    Ok(socket)
}

/// A gateway that answers in plain HTTP. There is no parcel to refuse: what it refuses is this node.
fn refusal(label: &str, (status, text): (u16, String), retry_after: Option<Duration>) -> Error {
    let kind = match SendOutcome::of_status(RequestKind::Delivery, status) {
        SendOutcome::Later(kind) => kind,
        SendOutcome::Accepted | SendOutcome::RefusedForGood => ErrorKind::Protocol,
    };
    unauthenticated(Error::Answer {
        server: label.to_owned(),
        status,
        text,
        kind,
        retry_after,
    })
}

/// How long the gateway asks to be left alone.
fn pause_of(fields: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let field = |name: HeaderName| fields.get(name)?.to_str().ok();
    let date = field(header::DATE).and_then(http_date);
    field(header::RETRY_AFTER).and_then(|value| retry_after(value, date, now))
}
