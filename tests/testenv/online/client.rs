//! A plain client for the servers of the tests: TLS, HTTP and WebSocket without the library, so that a server's fault is
//! seen as it is.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use relaynet::asn1::ber::Element;
use relaynet::asn1::{Buffer, write};
use relaynet::cms::signed_data;
use relaynet::crypto::hash;
use relaynet::pki::{Certificate, IdentityKey};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, RootCertStore, StreamOwned};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use super::Authority;
use super::objects;

/// No answer takes this long: a read that does has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection.
pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Connects and greets: the server must be certified by `authority` for `name`.
pub(crate) fn connect(port: u16, name: &str, authority: &Authority) -> io::Result<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    tcp.set_read_timeout(Some(LIMIT))?;
    let mut stream = StreamOwned::new(session, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// An answer: its head, and its body.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The head.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Answered {
    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// A header field, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// The octets of a request; its length is added.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Reads the head of an answer.
pub(crate) fn answer_head(stream: &mut impl Read) -> io::Result<Answered> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    Ok(Answered {
        head: String::from_utf8(head).unwrap(),
        body: Vec::new(),
    })
}

/// Reads an answer.
pub(crate) fn answer(stream: &mut impl Read) -> io::Result<Answered> {
    let mut answered = answer_head(stream)?;
    let length = answered.header("content-length").map(str::parse);
    answered.body = vec![0; length.transpose().unwrap().unwrap_or(0)];
    stream.read_exact(&mut answered.body)?;
    Ok(answered)
}

/// The fate of a whole exchange on a connection of its own.
pub(crate) fn exchange(
    port: u16,
    name: &str,
    authority: &Authority,
    octets: &[u8],
) -> io::Result<Answered> {
    let mut stream = connect(port, name, authority)?;
    stream.write_all(octets)?;
    stream.flush()?;
    answer(&mut stream)
}

/// Octets until the end of the connection.
pub(crate) fn rest(stream: &mut Tls) -> usize {
    let mut octets = [0; 4096];
    let mut count = 0;
    while let Ok(some @ 1..) = stream.read(&mut octets) {
        count += some;
    }
    count
}

/// Signs octets for a purpose, detached (`wire-format.md` §9).
pub(crate) fn countersigned(
    key: &IdentityKey,
    certificate: &Certificate,
    purpose: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let fields = [write::tlv(0x80, purpose), write::tlv(0x81, plaintext)];
    let content = write::tlv(0x30, &fields.concat());
    let mut buffer = Buffer::with_capacity(content.len());
    buffer.append(&content);
    let digest = hash::sha256(&content);
    signed_data::sign(&mut buffer, &digest, key, &[certificate]).unwrap();
    without_content(buffer.as_slice())
}

/// `SignedData` without its content: SEQUENCE { type, [0] { SEQUENCE { version, digests, content, … } } }.
fn without_content(octets: &[u8]) -> Vec<u8> {
    let mut info = Element::der(octets, 0x30).unwrap().children();
    let content_type = info.any().unwrap().unwrap().whole();
    let mut explicit = info.any().unwrap().unwrap().children();
    let mut fields = explicit.any().unwrap().unwrap().children();
    let mut parts = Vec::new();
    while let Some(field) = fields.any().unwrap() {
        // The third field is encapContentInfo: its type alone stays.
        if parts.len() == 2 {
            let data = field.children().any().unwrap().unwrap();
            parts.push(write::tlv(0x30, data.whole()));
        } else {
            parts.push(field.whole().to_vec());
        }
    }
    let signed = write::tlv(0xa0, &write::tlv(0x30, &parts.concat()));
    write::tlv(0x30, &[content_type, &signed].concat())
}

/// A `HandshakeResponse` with these signatures.
pub(crate) fn response(signatures: &[&[u8]]) -> Vec<u8> {
    let signatures: Vec<u8> = signatures.iter().flat_map(|it| write::tlv(4, it)).collect();
    write::tlv(0x30, &write::tlv(0xa0, &signatures))
}

/// Asks for a collection; the answer is checked as RFC 6455 §4.1 wants it.
pub(crate) fn collect(
    port: u16,
    name: &str,
    authority: &Authority,
    headers: &[(&'static str, &'static str)],
) -> Result<WebSocket<Tls>, tungstenite::Error> {
    let stream = connect(port, name, authority)?;
    let url = format!("wss://{name}:{port}/v1/parcel-collection");
    let mut request = url.into_client_request()?;
    for (name, value) in headers {
        let value = value.parse().unwrap();
        request.headers_mut().insert(*name, value);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(2 * objects::MAX_PARCEL))
        .max_frame_size(Some(2 * objects::MAX_PARCEL));
    let socket = tungstenite::client::client_with_config(request, stream, Some(config));
    socket.map(|it| it.0).map_err(|error| match error {
        tungstenite::HandshakeError::Failure(error) => error,
        tungstenite::HandshakeError::Interrupted(_) => {
            io::Error::from(io::ErrorKind::WouldBlock).into()
        }
    })
}

/// The challenge; a ping may come before it.
pub(crate) fn challenge<S: Read + Write>(socket: &mut WebSocket<S>) -> Vec<u8> {
    loop {
        if let Message::Binary(octets) = socket.read().unwrap() {
            return octets.to_vec();
        }
    }
}

/// Answers the challenge as the node with this key and certificate.
pub(crate) fn shake_hands(
    socket: &mut WebSocket<Tls>,
    key: &IdentityKey,
    certificate: &Certificate,
) {
    let challenge = challenge(socket);
    let nonce = Element::der(&challenge, 0x30).unwrap().children();
    let nonce = { nonce }.take(0x80).unwrap().content();
    let signature = countersigned(key, certificate, objects::COLLECTION, nonce);
    let message = Message::binary(response(&[&signature]));
    socket.send(message).unwrap();
}

/// The delivery id and the parcel in a `ParcelDelivery`.
pub(crate) fn delivered(message: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut fields = Element::der(message, 0x30).ok()?.children();
    let id = fields.take(0x80).ok()?.content().to_vec();
    let parcel = fields.take(0x81).ok()?.content().to_vec();
    Some((String::from_utf8(id).ok()?, parcel))
}
