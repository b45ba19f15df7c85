//! One session of parcel collection over WebSocket, as a list of steps (RS-016): the usual ones, or any others.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use relaynet::pki::NodeId;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::gateway::{Event, State};
use super::http::{Answer, Request};
use super::listener::Connection;
use super::objects;
use crate::testenv::sha256;

/// How soon a session looks after its other duties while the client says nothing.
const TURN: Duration = Duration::from_millis(10);

/// The largest `HandshakeResponse` or acknowledgement that the deployed gateway takes, in octets.
const MAX_FROM_CLIENT: usize = 6144;

/// How a session goes.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The answer to the request.
    pub(crate) upgrade: Upgrade,
    /// Whether there are pings, as often as the gateway's setting says.
    pub(crate) pings: bool,
    /// What happens then; the connection ends after the last step.
    pub(crate) steps: Vec<Step>,
}

/// How the request for a WebSocket is answered.
#[derive(Debug, Clone)]
pub(crate) enum Upgrade {
    /// As it should be.
    Usual,
    /// As it should be, with another field: a subprotocol or an extension that nobody offered, or a Date.
    With(&'static str, String),
    /// With the accept key of another request.
    WrongKey,
    /// With this answer instead.
    Answer(Answer),
    /// With these octets, whatever they are; then the connection ends.
    Raw(Vec<u8>),
    /// Not at all.
    Silence,
}

/// A step of a session.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends a challenge with a nonce of so many octets; 16 are usual.
    Nonce(usize),
    /// Reads the response, and checks that it is one good signature of a registered node; else closes with 1003.
    Response,
    /// Reads the response, whatever it is.
    AnyResponse,
    /// Sends what is in the mailbox, reads acknowledgements, and ends the session if the mode says so. Else it goes on
    /// until the client ends it.
    Mailbox,
    /// Sends what is in the mailbox now, and reads nothing.
    SendMail,
    /// Sends a parcel that is in no mailbox.
    Deliver(Vec<u8>),
    /// Sends a parcel under this delivery id.
    DeliverAs(String, Vec<u8>),
    /// Reads so many acknowledgements.
    Acknowledgements(usize),
    /// Sends a binary message of these octets.
    Binary(Vec<u8>),
    /// Sends a text message.
    Text(String),
    /// Sends a binary message in so many frames.
    Fragments(usize, Vec<u8>),
    /// Sends octets as they are: halves of frames, frames that nobody may send.
    Raw(Vec<u8>),
    /// Sends a ping.
    Ping,
    /// Sends a close frame with this code and reason, and waits for the client's.
    Close(u16, &'static str),
    /// Sends a close frame without a code, and waits for the client's.
    CloseWithoutCode,
    /// Ends the connection without a close frame.
    Cut,
    /// Says nothing, and pings nothing, until the client ends the connection.
    Silence,
    /// Says nothing but pings until the client ends the connection.
    OnlyPings,
}

impl Session {
    /// As it should go.
    pub(crate) fn usual() -> Self {
        Self::of(vec![Step::Nonce(16), Step::Response, Step::Mailbox])
    }

    /// These steps after a good handshake.
    pub(crate) fn after_handshake(steps: impl IntoIterator<Item = Step>) -> Self {
        let mut all = vec![Step::Nonce(16), Step::Response];
        all.extend(steps);
        Self::of(all)
    }

    /// These steps alone.
    pub(crate) fn of(steps: Vec<Step>) -> Self {
        Self {
            upgrade: Upgrade::Usual,
            pings: true,
            steps,
        }
    }

    /// No WebSocket: this answer.
    pub(crate) fn refused(answer: Answer) -> Self {
        Self::of(Vec::new()).upgraded(Upgrade::Answer(answer))
    }

    /// The same with another answer to the request.
    pub(crate) fn upgraded(mut self, upgrade: Upgrade) -> Self {
        self.upgrade = upgrade;
        self
    }

    /// The same without pings.
    pub(crate) fn without_pings(mut self) -> Self {
        self.pings = false;
        self
    }
}

/// A frame from a server: not masked, with FIN, whatever its opcode.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = frame_header(0x80 | opcode, payload.len() as u64);
    octets.extend_from_slice(payload);
    octets
}

/// The header of a frame that has, or pretends to have, a payload of so many octets.
pub(crate) fn frame_header(first: u8, len: u64) -> Vec<u8> {
    let mut octets = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..126), _) => octets.push(len),
        (_, Ok(len)) => {
            octets.push(126);
            octets.extend(len.to_be_bytes());
        }
        _ => {
            octets.push(127);
            octets.extend(len.to_be_bytes());
        }
    }
    octets
}

/// Why a session is over.
enum End {
    /// The client closed it, with this code, or the connection ended.
    ByClient(Option<u16>),
    /// A step ended it.
    ByStep,
}

struct Running<'a> {
    state: &'a State,
    socket: WebSocket<&'a mut Connection>,
    closes_upon_completion: bool,
    ping_every: Option<Duration>,
    last_ping: Instant,
    nonce: Vec<u8>,
    node: Option<NodeId>,
    /// What was sent and not acknowledged: delivery id and parcel.
    pending: Vec<(String, Vec<u8>)>,
    sent: u64,
}

/// Serves a request for a collection.
pub(super) fn serve(
    state: &State,
    connection: &mut Connection,
    request: &Request,
    session: Session,
) {
    let mode = request.header("x-relaynet-streaming-mode");
    state
        .journal
        .add(Event::Collecting(mode.map(str::to_owned)));
    let closes_upon_completion = mode == Some("close-upon-completion");
    let has_origin = request.header("origin").is_some();
    if !upgrade(connection, request, &session.upgrade).unwrap_or(false) {
        state.journal.add(Event::Ended(None));
        return;
    }
    connection.set_read_timeout(Some(TURN));
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FROM_CLIENT))
        .max_frame_size(Some(MAX_FROM_CLIENT));
    let mut running = Running {
        state,
        socket: WebSocket::from_raw_socket(connection, Role::Server, Some(config)),
        closes_upon_completion,
        ping_every: session.pings.then(|| state.ping_every()).flatten(),
        last_ping: Instant::now(),
        nonce: Vec::new(),
        node: None,
        pending: Vec::new(),
        sent: 0,
    };
    let steps = if has_origin {
        vec![Step::Close(1008, "Browser requests are not allowed")]
    } else {
        session.steps
    };
    let end = steps.into_iter().try_for_each(|step| running.run(step));
    let code = match end {
        Err(End::ByClient(code)) => code,
        _ => None,
    };
    state.journal.add(Event::Ended(code));
}

/// Answers the request. Returns whether a WebSocket follows.
fn upgrade(connection: &mut Connection, request: &Request, how: &Upgrade) -> io::Result<bool> {
    let Some(key) = request.header("sec-websocket-key") else {
        connection.write_all(&Answer::message(404, "Not Found").octets(None, true))?;
        return Ok(false);
    };
    let key = match how {
        Upgrade::WrongKey => derive_accept_key(b"the key of another"),
        _ => derive_accept_key(key.as_bytes()),
    };
    let mut switching = Answer::new(101)
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Accept", &key);
    match how {
        Upgrade::Usual | Upgrade::WrongKey => {}
        Upgrade::With(name, value) => switching = switching.with(name, value),
        Upgrade::Answer(answer) => {
            connection.write_all(&answer.octets(None, true))?;
            return Ok(false);
        }
        Upgrade::Raw(octets) => {
            connection.write_all(octets)?;
            return Ok(false);
        }
        Upgrade::Silence => {
            connection.stay_silent();
            return Ok(false);
        }
    }
    connection.write_all(&switching.octets(None, true))?;
    connection.flush()?;
    Ok(true)
}

/// The end that an error of the WebSocket means.
fn ended(_: Error) -> End {
    End::ByClient(None)
}

impl Running<'_> {
    fn run(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Nonce(octets) => {
                // Any octets will do, if they are others in each session.
                let seed = format!("{:?}", Instant::now());
                let digest = sha256(seed.as_bytes()).repeat(octets / 64 + 1);
                self.nonce = digest.as_bytes()[..octets].to_vec();
                self.send(Message::binary(objects::challenge(&self.nonce)))
            }
            Step::Response => self.check_response(),
            Step::AnyResponse => self.read().map(drop),
            Step::Mailbox => self.serve_mailbox(),
            Step::SendMail => self.send_mail(),
            Step::Deliver(parcel) => self.deliver(None, parcel),
            Step::DeliverAs(id, parcel) => self.deliver(Some(id), parcel),
            Step::Acknowledgements(count) => (0..count).try_for_each(|_| {
                let acknowledgement = self.read()?;
                self.acknowledged(&acknowledgement);
                Ok(())
            }),
            Step::Binary(octets) => self.send(Message::binary(octets)),
            Step::Text(text) => self.send(Message::text(text)),
            Step::Fragments(count, octets) => self.send_fragments(count, &octets),
            Step::Raw(octets) => self.send_raw(&octets),
            Step::Ping => self.send(Message::Ping(Vec::new().into())),
            Step::Close(code, reason) => self.close(Some((code, reason))),
            Step::CloseWithoutCode => self.close(None),
            Step::Cut => {
                self.socket.get_mut().cut();
                Err(End::ByStep)
            }
            Step::Silence => {
                self.ping_every = None;
                self.until_end()
            }
            Step::OnlyPings => self.until_end(),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), End> {
        self.socket.send(message).map_err(ended)
    }

    fn send_raw(&mut self, octets: &[u8]) -> Result<(), End> {
        let connection = self.socket.get_mut();
        let written = connection.write_all(octets);
        let written = written.and_then(|()| connection.flush());
        written.map_err(|_| End::ByClient(None))
    }

    fn send_fragments(&mut self, count: usize, octets: &[u8]) -> Result<(), End> {
        let parts: Vec<&[u8]> = octets.chunks(octets.len().div_ceil(count)).collect();
        let last = parts.len() - 1;
        for (at, part) in parts.into_iter().enumerate() {
            let opcode = if at == 0 { 2 } else { 0 };
            let fin = if at == last { 0x80 } else { 0 };
            self.send_raw(&frame_header(fin | opcode, part.len() as u64))?;
            self.send_raw(part)?;
        }
        Ok(())
    }

    /// What the client says next, or `None` if it says nothing now. Pings when it is time.
    fn poll(&mut self) -> Result<Option<Message>, End> {
        if let Some(every) = self.ping_every
            && self.last_ping.elapsed() >= every
        {
            self.last_ping = Instant::now();
            self.send(Message::Ping(Vec::new().into()))?;
        }
        match self.socket.read() {
            Ok(Message::Close(frame)) => {
                // Sends the answer to it.
                let _ = self.socket.flush();
                Err(End::ByClient(frame.map(|it| it.code.into())))
            }
            Ok(Message::Pong(_)) => {
                self.state.journal.add(Event::Pong);
                Ok(None)
            }
            Ok(message @ (Message::Binary(_) | Message::Text(_))) => Ok(Some(message)),
            Ok(_) => Ok(None),
            Err(Error::Io(error))
                if [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut].contains(&error.kind()) =>
            {
                Ok(None)
            }
            Err(Error::Capacity(_)) => self.close(Some((1009, ""))).map(|()| None),
            Err(error) => Err(ended(error)),
        }
    }

    fn read(&mut self) -> Result<Message, End> {
        loop {
            if let Some(message) = self.poll()? {
                return Ok(message);
            }
        }
    }

    fn until_end(&mut self) -> Result<(), End> {
        loop {
            self.poll()?;
        }
    }

    fn close(&mut self, frame: Option<(u16, &'static str)>) -> Result<(), End> {
        let frame = frame.map(|(code, reason)| CloseFrame {
            code: code.into(),
            reason: reason.into(),
        });
        self.socket.close(frame).map_err(ended)?;
        let _ = self.socket.flush();
        // Acknowledgements that were on their way are too late now.
        self.ping_every = None;
        self.until_end()
    }

    fn check_response(&mut self) -> Result<(), End> {
        let response = self.read()?.into_data();
        let Some(signatures) = objects::signatures(&response) else {
            return self.close(Some((1003, "Invalid handshake response")));
        };
        let [signature] = signatures.as_slice() else {
            let reason = "Handshake response did not include exactly one nonce signature";
            return self.close(Some((1003, reason)));
        };
        let signer = self
            .state
            .countersigner(signature, objects::COLLECTION, &self.nonce);
        let Ok(node) = signer else {
            return self.close(Some((1003, "Nonce signature is invalid")));
        };
        self.state.journal.add(Event::Shown(node));
        self.node = Some(node);
        Ok(())
    }

    fn deliver(&mut self, id: Option<String>, parcel: Vec<u8>) -> Result<(), End> {
        self.sent += 1;
        // Of the form of a UUID of version 4, which the deployed gateway uses.
        let id = id.unwrap_or_else(|| format!("8f14e45f-ceea-467f-a0e6-{:012x}", self.sent));
        let message = objects::delivery(&id, &parcel);
        let event = Event::Sent(id.clone(), sha256(&parcel));
        self.pending.push((id, parcel));
        // Before it leaves, so that an acknowledgement never comes before it in the journal.
        self.state.journal.add(event);
        self.send(Message::binary(message))
    }

    /// Sends what is in the mailbox and was not sent in this session.
    fn send_mail(&mut self) -> Result<(), End> {
        let Some(node) = self.node else { return Ok(()) };
        let mut unsent = self.state.mailbox(node);
        for (_, parcel) in &self.pending {
            if let Some(at) = unsent.iter().position(|it| it == parcel) {
                unsent.remove(at);
            }
        }
        unsent
            .into_iter()
            .try_for_each(|parcel| self.deliver(None, parcel))
    }

    /// Takes an acknowledgement. Returns whether that delivery id was sent.
    fn acknowledged(&mut self, message: &Message) -> bool {
        let id = String::from_utf8_lossy(&message.clone().into_data()).into_owned();
        let at = self.pending.iter().position(|(it, _)| *it == id);
        let parcel = at.map(|at| self.pending.remove(at).1);
        let digest = parcel.as_deref().map(sha256);
        if let (Some(node), Some(parcel)) = (self.node, &parcel) {
            self.state.remove(node, parcel);
        }
        self.state.journal.add(Event::Acknowledged(id, digest));
        parcel.is_some()
    }

    fn serve_mailbox(&mut self) -> Result<(), End> {
        loop {
            self.send_mail()?;
            if self.closes_upon_completion && self.pending.is_empty() {
                return self.close(Some((1000, "")));
            }
            if let Some(message) = self.poll()?
                && !self.acknowledged(&message)
            {
                let reason = "Unknown delivery id sent as acknowledgement";
                return self.close(Some((1003, reason)));
            }
        }
    }
}
