//! A proxy that connects to servers on behalf of this node (RFC 9110 §9.3.6, CONNECT).

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use super::Error;
use super::excerpt::excerpt;
use super::paced_socket::PacedSocket;
use super::server::{Host, Server};

/// The longest head of a proxy's answer, in octets.
const MAX_HEAD: usize = 8192;

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Its addresses. [`Proxy::parse`] gives those of a literal; the caller looks up a name.
    pub addresses: Vec<IpAddr>,
}

/// Why a proxy does not connect.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It answered so, escaped.
    Answer(String),
    /// The connection to it failed.
    Failed(io::Error),
}

impl Proxy {
    /// Parses `http://HOST:PORT`. A user name and password are not supported.
    ///
    /// # Errors
    /// [`Error::Setting`] when it has another form.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let malformed = || Error::Setting {
            what: "proxy".to_owned(),
            problem: format!("{text} is not http://HOST:PORT"),
        };
        let rest = text.strip_prefix("http://").ok_or_else(malformed)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let server = Server::named_by_operator(rest, None).map_err(|_| malformed())?;
        let addresses = match server.host {
            Host::Literal(address) => vec![address],
            Host::Name(_) => Vec::new(),
        };
        Ok(Self {
            host: server.host,
            port: server.port,
            addresses,
        })
    }

    pub(super) fn sockets(&self) -> Vec<SocketAddr> {
        let addresses = self.addresses.iter();
        addresses
            .map(|address| SocketAddr::new(*address, self.port))
            .collect()
    }
}

/// Asks a proxy to connect to `target`, an authority as in a URL. What it then passes on is the server's.
pub(super) fn ask(mut socket: PacedSocket, target: &str) -> Result<PacedSocket, Refusal> {
    let head = exchange(&mut socket, target).map_err(Refusal::Failed)?;
    let line = head.split(|octet| *octet == b'\n').next().unwrap_or(&[]);
    let is_2xx = line.starts_with(b"HTTP/1.") && line.get(8..10) == Some(b" 2".as_slice());
    // The server speaks only after it is spoken to: octets behind the head are no server's.
    if is_2xx && head.ends_with(b"\r\n\r\n") {
        return Ok(socket);
    }
    Err(Refusal::Answer(if head.is_empty() {
        "it closed the connection".to_owned()
    } else {
        excerpt(line)
    }))
}

/// Sends the request, and reads until the head of the answer ends, the proxy closes, or the head is too long.
fn exchange(socket: &mut PacedSocket, target: &str) -> io::Result<Vec<u8>> {
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while head.len() < MAX_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match socket.read(&mut buffer)? {
            0 => break,
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(head)
}
