//! Connections to servers, with TLS or without, directly or through a proxy.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::dial::{dial, families_in_turn, left};
use super::pace::{LOWEST_RATE, Pace, PaceFailure, WHOLE_AT_ONCE};
use super::paced_socket::{Cutoff, PacedSocket};
use super::proxy::Proxy;
use super::server::{CertificateRule, Host, Server, is_private};
use super::tls::{self, Authorities, TlsClient};
use super::{Error, proxy};

/// The time for a connection: all addresses of the server, the proxy and the handshake of TLS.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The time without an octet after which a connection counts as dead.
pub const SILENCE: Duration = Duration::from_secs(30);

/// How connections are made.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The authorities that issue public certificates.
    pub authorities: Authorities,
    /// The proxy for all servers but those on loopback.
    pub proxy: Option<Proxy>,
    /// Whether private addresses are refused. What is judged is the address that is dialled, whatever its name.
    pub refuses_private: bool,
    /// The time for a connection, TLS included.
    pub within: Duration,
    /// The time without an octet, read or written, after which a connection counts as dead. A message that is under way
    /// may be behind `rate` by this time.
    pub silence: Duration,
    /// The lowest rate of a message that is under way, in octets a second.
    pub rate: u64,
    /// Ends the connections from outside.
    pub cutoff: Cutoff,
    /// The time by which certificates are judged; it goes on from when the [`Connector`] is made.
    pub now: Timestamp,
}

impl ConnectOptions {
    /// The usual: the system's authorities, no proxy, private addresses allowed, 10 s, 30 s and 500 octets a second.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            authorities: Authorities::system(),
            proxy: None,
            refuses_private: false,
            within: CONNECT_WITHIN,
            silence: SILENCE,
            rate: LOWEST_RATE,
            cutoff: Cutoff::default(),
            now,
        }
    }
}

/// Makes connections to one server. TLS sessions are resumed from one to the next.
#[derive(Debug, Clone)]
pub struct Connector {
    server: Server,
    addresses: Vec<IpAddr>,
    options: ConnectOptions,
    tls: Option<TlsClient>,
}

/// Connects to a server once. See [`Connector`].
///
/// # Errors
/// Those of [`Connector::new`] and [`Connector::connect`].
pub fn connect(
    server: &Server,
    addresses: &[IpAddr],
    options: &ConnectOptions,
) -> Result<Connection, Error> {
    Connector::new(server.clone(), addresses, options)?.connect()
}

impl Connector {
    /// A connector to a server at `addresses`, in order of preference; those of a literal are itself.
    ///
    /// Where there is a proxy, it is asked for these addresses, so that what was judged here is what it dials, and
    /// what the resolver validated is not replaced by what it believes. Without any the proxy looks up the name.
    ///
    /// # Errors
    /// [`Error::PrivateAddress`] when all addresses are private and refused, [`Error::Unresolved`] when there are none,
    /// and [`Error::Setting`] for plaintext beyond loopback, or when no authority can be loaded.
    pub fn new(
        server: Server,
        addresses: &[IpAddr],
        options: &ConnectOptions,
    ) -> Result<Self, Error> {
        let mut options = options.clone();
        let mut addresses = match server.host {
            Host::Literal(address) => vec![address],
            Host::Name(_) => families_in_turn(addresses),
        };
        if options.refuses_private {
            let first = addresses.first().copied();
            addresses.retain(|address| !is_private(*address));
            if let (Some(address), true) = (first, addresses.is_empty()) {
                return Err(Error::PrivateAddress {
                    server: server.to_string(),
                    address,
                });
            }
        }
        // One loopback address among others must not be a way around the proxy.
        let is_local = !addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback);
        if is_local {
            options.proxy = None;
        }
        if addresses.is_empty() && (options.proxy.is_none() || options.refuses_private) {
            return Err(Error::Unresolved {
                name: server.host.to_string(),
                problem: "it has no address".to_owned(),
            });
        }
        let tls = if server.certificate != CertificateRule::Plaintext {
            Some(TlsClient::new(&server, &options.authorities, options.now)?)
        } else if !is_local {
            return Err(Error::Setting {
                what: server.to_string(),
                problem: "only a server on loopback may do without TLS".to_owned(),
            });
        } else {
            None
        };
        Ok(Self {
            server,
            addresses,
            options,
            tls,
        })
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Connects, within the time that the options give.
    ///
    /// # Errors
    /// [`Error::NoConnection`], [`Error::Proxy`], [`Error::Certificate`], [`Error::Silent`] or [`Error::Broken`].
    pub fn connect(&self) -> Result<Connection, Error> {
        let socket = self.socket(Instant::now() + self.options.within)?;
        let peer = socket.socket.peer_addr();
        let stream = match &self.tls {
            None => ConnectionStream::Plain(socket),
            Some(tls) => self.handshake(tls, socket)?,
        };
        let mut connection = Connection {
            server: self.server.clone(),
            peer: peer.map_err(|cause| self.no_connection(cause))?,
            stream,
            silence: self.options.silence,
        };
        let (silence, rate) = (self.options.silence, self.options.rate);
        let pace = Pace::new(silence, rate, Instant::now());
        connection.paced_mut().set_pace(pace);
        Ok(connection)
    }

    /// A connection of TCP, directly or through the proxy.
    fn socket(&self, deadline: Instant) -> Result<PacedSocket, Error> {
        let cutoff = &self.options.cutoff;
        let dial = |targets: &[SocketAddr]| {
            let socket = dial(targets, deadline, cutoff).and_then(|socket| {
                let pace = Pace::new(left(deadline)?, WHOLE_AT_ONCE, Instant::now());
                Ok(PacedSocket::new(socket, pace, cutoff.clone()))
            });
            socket.map_err(|cause| self.no_connection(cause))
        };
        match &self.options.proxy {
            None => {
                let targets: Vec<SocketAddr> =
                    self.addresses.iter().map(|it| self.at(*it)).collect();
                dial(&targets)
            }
            Some(proxy) => self.through(proxy, &dial),
        }
    }

    /// A connection of TCP that does not block, for a client that speaks TLS by itself, as [`Connector::tls_of`] says.
    ///
    /// # Errors
    /// [`Error::NoConnection`] or [`Error::Proxy`].
    pub(super) fn connect_tcp(&self, deadline: Instant) -> Result<TcpStream, Error> {
        Ok(self.socket(deadline)?.socket)
    }

    /// How a client speaks TLS with the server for a protocol on top of it.
    ///
    /// # Errors
    /// [`Error::Setting`] for a server without TLS.
    pub(super) fn tls_of(&self, protocol: &[u8]) -> Result<TlsClient, Error> {
        let tls = self.tls.as_ref().ok_or_else(|| Error::Setting {
            what: self.server.to_string(),
            problem: "this protocol needs TLS".to_owned(),
        })?;
        let mut config = ClientConfig::clone(&tls.config);
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(TlsClient {
            config: Arc::new(config),
            name: tls.name.clone(),
        })
    }

    /// How connections are made.
    pub(super) fn options(&self) -> &ConnectOptions {
        &self.options
    }

    fn at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.server.port)
    }

    fn through(
        &self,
        proxy: &Proxy,
        dial: &dyn Fn(&[SocketAddr]) -> Result<PacedSocket, Error>,
    ) -> Result<PacedSocket, Error> {
        let mut targets: Vec<String> = self
            .addresses
            .iter()
            .map(|address| self.at(*address).to_string())
            .collect();
        if targets.is_empty() {
            targets.push(self.server.to_string());
        }
        let mut last = None;
        for target in targets {
            match proxy::ask(dial(&proxy.sockets())?, &target) {
                Ok(socket) => return Ok(socket),
                Err(proxy::Refusal::Answer(answer)) => {
                    last = Some(Error::Proxy {
                        server: self.server.to_string(),
                        answer,
                    });
                }
                Err(proxy::Refusal::Failed(cause)) => return Err(self.no_connection(cause)),
            }
        }
        Err(last.unwrap_or_else(|| self.no_connection(io::ErrorKind::AddrNotAvailable.into())))
    }

    fn no_connection(&self, cause: io::Error) -> Error {
        Error::NoConnection {
            server: self.server.to_string(),
            cause,
        }
    }

    /// The handshake, before whose end the server must have shown who it is.
    fn handshake(
        &self,
        tls: &TlsClient,
        mut socket: PacedSocket,
    ) -> Result<ConnectionStream, Error> {
        let failed = |error: &rustls::Error| tls::failure(&self.server, error);
        let broken = |cause: io::Error| {
            let server = self.server.to_string();
            if is_timeout(&cause) {
                let waited = self.options.within;
                return Error::Silent { server, waited };
            }
            Error::Broken { server, cause }
        };
        let mut client = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone())
            .map_err(|error| failed(&error))?;
        while client.is_handshaking() || client.wants_write() {
            if client.wants_write() {
                match client.write_tls(&mut socket) {
                    Err(cause) if cause.kind() != io::ErrorKind::Interrupted => {
                        return Err(broken(cause));
                    }
                    _ => continue,
                }
            }
            match client.read_tls(&mut socket) {
                Ok(0) => return Err(broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(broken(cause)),
            }
            if let Err(error) = client.process_new_packets() {
                // The server's log says why, if the alert still reaches it.
                let _ = client.write_tls(&mut socket);
                return Err(failed(&error));
            }
        }
        Ok(ConnectionStream::Tls(Box::new(StreamOwned::new(
            client, socket,
        ))))
    }
}

/// An open connection to a server that has shown who it is.
///
/// Reading and writing fail with [`io::ErrorKind::TimedOut`] when the message under way does not keep its pace. Reading
/// fails with [`io::ErrorKind::WouldBlock`] after the time that the caller gave; what was read so far is kept, so it may
/// be tried again.
pub struct Connection {
    server: Server,
    peer: SocketAddr,
    stream: ConnectionStream,
    silence: Duration,
}

enum ConnectionStream {
    Plain(PacedSocket),
    Tls(Box<StreamOwned<ClientConnection, PacedSocket>>),
}

impl Connection {
    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The address that was dialled: the server's or the proxy's.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn paced_mut(&mut self) -> &mut PacedSocket {
        match &mut self.stream {
            ConnectionStream::Plain(socket) => socket,
            ConnectionStream::Tls(stream) => &mut stream.sock,
        }
    }

    /// A message begins, in either direction: it has the whole time of silence before it.
    pub fn begin(&mut self) {
        let silence = self.silence;
        self.begin_within(silence);
    }

    /// The same with another time of silence.
    pub fn begin_within(&mut self, silence: Duration) {
        self.paced_mut().begin(silence);
    }

    /// Sets how long reads may take from now on, all together: a message of which an octet comes now and then must not
    /// hold a run that is to look at other things.
    pub fn read_within(&mut self, wait: Duration) {
        self.paced_mut().read_within(wait);
    }

    /// An error of this connection, as what it says about the server.
    #[must_use]
    pub fn error(&self, cause: io::Error) -> Error {
        of_io(&self.server, cause)
    }

    /// Reads what the server still says after writing has failed. Nothing can be read or written as usual afterwards.
    pub(super) fn read_last_words(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream = match &mut self.stream {
            ConnectionStream::Plain(socket) => return socket.read(buffer),
            ConnectionStream::Tls(stream) => stream,
        };
        // As usual rustls would first write what is left to be written.
        loop {
            match stream.conn.reader().read(buffer) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            stream.conn.read_tls(&mut stream.sock)?;
            let processed = stream.conn.process_new_packets();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// Whether it is open and the server has sent nothing that was not read.
    pub fn is_idle(&mut self) -> bool {
        match &mut self.stream {
            ConnectionStream::Plain(paced) => nothing_comes(paced.socket.peek(&mut [0])),
            // Tickets for resumption come at any time: what counts is what is behind TLS.
            ConnectionStream::Tls(stream) => loop {
                match stream.conn.read_tls(&mut stream.sock.socket) {
                    Ok(0) => break false,
                    Ok(_) => match stream.conn.process_new_packets() {
                        Ok(state)
                            if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {
                        }
                        _ => break false,
                    },
                    Err(cause) => break nothing_comes(Err(cause)),
                }
            },
        }
    }
}

/// An error of a connection, as what it says about the server.
pub(super) fn of_io(server: &Server, cause: io::Error) -> Error {
    if let Some(error) = of_pace(&server.to_string(), &cause) {
        return error;
    }
    if cause.kind() == io::ErrorKind::UnexpectedEof {
        // rustls explains at length that TLS did not end it.
        let cause = io::Error::new(cause.kind(), "the server ended it");
        let server = server.to_string();
        return Error::Broken { server, cause };
    }
    let tls = cause.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        Some(error) => tls::failure(server, error),
        None => Error::Broken {
            server: server.to_string(),
            cause,
        },
    }
}

/// The error of a connection that was given up while a message was under way, if it was.
pub(super) fn of_pace(server: &str, cause: &io::Error) -> Option<Error> {
    let server = server.to_owned();
    let failure = cause.get_ref().and_then(|inner| inner.downcast_ref());
    Some(match failure {
        Some(PaceFailure::Silent(waited)) => {
            let waited = *waited;
            Error::Silent { server, waited }
        }
        Some(PaceFailure::Slow(waited)) => {
            let waited = *waited;
            Error::Slow { server, waited }
        }
        Some(PaceFailure::Cut) => {
            let cause = io::Error::new(cause.kind(), PaceFailure::Cut);
            Error::Broken { server, cause }
        }
        None => return None,
    })
}

fn nothing_comes(read: io::Result<usize>) -> bool {
    read.is_err_and(|cause| cause.kind() == io::ErrorKind::WouldBlock)
}

pub(super) fn is_timeout(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            ConnectionStream::Plain(socket) => socket.read(buffer),
            ConnectionStream::Tls(stream) => stream.read(buffer),
        }?;
        self.paced_mut().note_use();
        Ok(read)
    }
}

impl Write for Connection {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            ConnectionStream::Plain(socket) => socket.write(octets),
            ConnectionStream::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let ConnectionStream::Tls(stream) = &mut self.stream else {
            return Ok(()); // a socket keeps nothing back
        };
        loop {
            match stream.flush() {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                flushed => return flushed,
            }
        }
    }
}

impl Drop for Connection {
    /// Tells the server that nothing was cut off, unless that would have to wait.
    fn drop(&mut self) {
        if let ConnectionStream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            let _ = stream.conn.write_tls(&mut stream.sock.socket);
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Connection");
        shown
            .field("server", &self.server)
            .field("peer", &self.peer);
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::Mutex;

    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    use super::*;
    use crate::binding::testserver::{
        CertificateShape, Identity, TestAuthority, TestServer, answer_ok, now, options, stay_silent,
    };

    const LOOPBACK: [IpAddr; 1] = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
    const NAME: &str = "gw.example.org";

    fn said(mut connection: Connection) -> String {
        connection.write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = [0; 21];
        connection.read_exact(&mut answer).unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    }

    /// Why a server with this certificate is refused; nothing when it is not.
    fn refusal(
        identity: &Identity,
        host: &str,
        rule: CertificateRule,
        ca: &TestAuthority,
    ) -> String {
        let server = TestServer::tls(identity, |_, peer| answer_ok(peer));
        match connect(&server.under(host, rule), &LOOPBACK, &options(ca)) {
            Ok(connection) => {
                assert_eq!(said(connection), "HTTP/1.1 202 Accepted");
                String::new()
            }
            Err(Error::Certificate { problem, .. }) => problem,
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn a_public_certificate_names_the_host_and_has_a_path_to_an_authority() {
        let ca = TestAuthority::new();
        let refused = |identity: &Identity| refusal(identity, NAME, CertificateRule::Public, &ca);
        let issued = |names: &[&'static str], minutes: (i64, i64)| {
            ca.issue(&CertificateShape {
                minutes,
                ..CertificateShape::of(names)
            })
        };
        assert_eq!(refused(&issued(&[NAME], (-60, 60))), "");
        assert_eq!(refused(&issued(&["*.example.org"], (-60, 60))), "");
        assert_eq!(
            refused(&issued(&[NAME], (-120, -60))),
            "expired at 2026-06-01T11:00:00Z, and this clock shows 2026-06-01T12:00:00Z"
        );
        assert_eq!(
            refused(&issued(&[NAME], (60, 120))),
            "not valid before 2026-06-01T13:00:00Z, and this clock shows 2026-06-01T12:00:00Z"
        );
        assert_eq!(
            refused(&issued(&["portal.example.net", "10.0.0.1"], (-60, 60))),
            "it is for portal.example.net, 10.0.0.1, not for gw.example.org"
        );
        assert_eq!(
            refused(&issued(&[], (-60, 60))),
            "it names no host, and not gw.example.org"
        );
        assert_eq!(
            refused(&TestAuthority::new().issue(&CertificateShape::of(&[NAME]))),
            "a signature of it or by it is wrong"
        );
        let own = CertificateShape::of(&[NAME]).self_signed();
        let problem = refused(&own);
        assert_eq!(
            problem,
            format!(
                "it is self-signed: the SHA-256 of its key is {}",
                hex(&own.pin)
            )
        );
    }

    fn hex(octets: &[u8]) -> String {
        crate::asn1::hex::Hex(octets).to_string()
    }

    #[test]
    fn an_unknown_authority_is_named() {
        let ca = TestAuthority::new();
        let other = CertificateShape::of(&["other"]).self_signed();
        let server = TestServer::tls(&ca.issue(&CertificateShape::of(&[NAME])), |_, peer| {
            answer_ok(peer);
        });
        let mut options = options(&ca);
        options.authorities = Authorities::from_pem(other.pem().as_bytes(), "test").unwrap();
        let server = server.under(NAME, CertificateRule::Public);
        let error = connect(&server, &LOOPBACK, &options).unwrap_err();
        let end = "certificate: its issuer is no authority here: test authority";
        assert!(error.to_string().ends_with(end), "{error}");
    }

    #[test]
    fn a_pin_is_about_the_key_alone() {
        let ca = TestAuthority::new();
        let identity = CertificateShape {
            minutes: (-9000, -8000),
            ..CertificateShape::of(&["elsewhere"])
        };
        let identity = identity.self_signed();
        let pinned = |pin| refusal(&identity, NAME, CertificateRule::Pin(pin), &ca);
        assert_eq!(pinned(identity.pin), "");
        let text = "its key is not the pinned one: its SHA-256 is ";
        assert_eq!(pinned([7; 32]), format!("{text}{}", hex(&identity.pin)));
    }

    #[test]
    fn a_private_literal_may_be_self_signed() {
        let ca = TestAuthority::new();
        let rule = CertificateRule::SelfSigned;
        let shape = |minutes| CertificateShape {
            minutes,
            ..CertificateShape::of(&["127.0.0.1", "10.9.8.7"])
        };
        let refused =
            |shape: &CertificateShape| refusal(&shape.self_signed(), "127.0.0.1", rule, &ca);
        for minutes in [(-120, 1440), (-300, -118), (118, 300)] {
            assert_eq!(refused(&shape(minutes)), "", "{minutes:?}");
        }
        let authority = CertificateShape {
            ca: true,
            ..shape((-60, 60))
        };
        assert_eq!(refused(&authority), "");
        assert!(refused(&shape((-300, -122))).starts_with("expired at 2026-06-01T09:58:00Z"));
        assert!(refused(&shape((122, 300))).starts_with("not valid before 2026-06-01T14:02:00Z"));
        assert_eq!(
            refused(&CertificateShape::of(&["10.9.8.7"])),
            "it is for 10.9.8.7, not for 127.0.0.1"
        );
        assert_eq!(
            refused(&CertificateShape::of(&[])),
            "it names no host, and not 127.0.0.1"
        );
        // One that an authority of the operator's issued is as good, and has no tolerance.
        let issued = |minutes| refusal(&ca.issue(&shape(minutes)), "127.0.0.1", rule, &ca);
        assert_eq!(issued((-60, 60)), "");
        assert!(issued((-120, -60)).starts_with("expired"));
        // A name proves nothing about where it leads.
        let named = refusal(
            &CertificateShape::of(&[NAME]).self_signed(),
            NAME,
            rule,
            &ca,
        );
        assert!(named.starts_with("it is self-signed"), "{named}");
    }

    #[test]
    fn both_versions_of_tls_are_spoken_and_sessions_resumed() {
        let ca = TestAuthority::new();
        let identity = ca.issue(&CertificateShape::of(&[NAME]));
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let server = TestServer::tls_of(Some(version), &identity, |_, peer| answer_ok(peer));
            let server = server.under(NAME, CertificateRule::Public);
            let connector = Connector::new(server, &LOOPBACK, &options(&ca)).unwrap();
            for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
                let connection = connector.connect().unwrap();
                let ConnectionStream::Tls(stream) = &connection.stream else {
                    panic!("no TLS");
                };
                assert_eq!(stream.conn.protocol_version(), Some(version.version));
                assert_eq!(stream.conn.handshake_kind(), Some(expected), "{version:?}");
                assert_eq!(said(connection), "HTTP/1.1 202 Accepted");
            }
        }
    }

    #[test]
    fn a_server_that_says_nothing_is_left() {
        let ca = TestAuthority::new();
        let silent = TestServer::plain(|_, peer| stay_silent(peer));
        let mut short = options(&ca);
        short.within = Duration::from_millis(300);
        let error = connect(&silent.named("127.0.0.1"), &[], &short).unwrap_err();
        assert!(matches!(error, Error::Silent { .. }), "{error:?}");

        let identity = CertificateShape::of(&["127.0.0.1"]).self_signed();
        let silent = TestServer::tls(&identity, |_, peer| stay_silent(peer));
        let mut connection = connect(&silent.named("127.0.0.1"), &[], &options(&ca)).unwrap();
        connection.begin_within(Duration::from_millis(50));
        let cause = connection.read(&mut [0; 9]).unwrap_err();
        let error = connection.error(cause);
        let text = "no answer for 0 s";
        assert!(error.to_string().ends_with(text), "{error}");
    }

    #[test]
    fn what_is_no_tls_is_no_certificate() {
        let ca = TestAuthority::new();
        let web = TestServer::plain(|_, peer| {
            let _ = peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            stay_silent(peer);
        });
        let error = connect(&web.named("127.0.0.1"), &[], &options(&ca)).unwrap_err();
        assert!(
            matches!(&error, Error::Broken { cause, .. } if cause.to_string().starts_with("TLS: "))
        );
        let closing = TestServer::plain(|_, _| {});
        let error = connect(&closing.named("127.0.0.1"), &[], &options(&ca)).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    }

    #[test]
    fn the_next_address_is_tried() {
        // Nothing listens at [::1], and 127.0.0.2 does not answer, since its queue is full.
        let ca = TestAuthority::new();
        let identity = ca.issue(&CertificateShape::of(&[NAME]));
        let server = TestServer::tls(&identity, |_, peer| answer_ok(peer));
        let full = SocketAddr::new([127, 0, 0, 2].into(), server.address.port());
        let _queue = full_queue(full);
        let addresses = ["::1", "127.0.0.2", "127.0.0.1"].map(|it| it.parse().unwrap());
        let server = server.under(NAME, CertificateRule::Public);
        let connection = connect(&server, &addresses, &options(&ca)).unwrap();
        assert_eq!(connection.peer().ip(), LOOPBACK[0]);
        assert_eq!(said(connection), "HTTP/1.1 202 Accepted");

        let mut short = options(&ca);
        short.within = Duration::from_millis(400);
        let error = connect(&server, &addresses[..2], &short).unwrap_err();
        let Error::NoConnection { cause, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(cause.kind(), io::ErrorKind::TimedOut);
        let error = connect(&server, &addresses[..1], &short).unwrap_err();
        assert!(matches!(error, Error::NoConnection { .. }), "{error:?}");
    }

    /// A listener whose queue is full: the system drops what else connects.
    fn full_queue(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
        let kind = SocketType::STREAM;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None);
        let socket = socket.unwrap();
        rustix::net::bind(&socket, &address).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let connected = std::iter::from_fn(|| {
            TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok()
        });
        let connected = connected.take(64).collect::<Vec<_>>();
        assert!(connected.len() < 64);
        (TcpListener::from(socket), connected)
    }

    #[test]
    fn families_take_turns() {
        let parsed =
            |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|it| it.parse().unwrap()).collect() };
        let sorted = families_in_turn(&parsed(&["::1", "::2", "::3", "10.0.0.1", "10.0.0.2"]));
        assert_eq!(
            sorted,
            parsed(&["::1", "10.0.0.1", "::2", "10.0.0.2", "::3"])
        );
        let sorted = families_in_turn(&parsed(&["10.0.0.1", "::1"]));
        assert_eq!(sorted, parsed(&["10.0.0.1", "::1"]));
        assert!(families_in_turn(&[]).is_empty());
    }

    #[test]
    fn private_addresses_are_refused_by_what_is_dialled() {
        let ca = TestAuthority::new();
        let server = TestServer::tls(&ca.issue(&CertificateShape::of(&[NAME])), |_, peer| {
            answer_ok(peer);
        });
        let mut options = options(&ca);
        options.refuses_private = true;
        for (host, addresses) in [
            (NAME, &LOOPBACK[..]),
            ("127.0.0.1", &[]),
            ("[::ffff:10.0.0.1]", &[]),
        ] {
            let server = server.under(host, CertificateRule::Public);
            let error = connect(&server, addresses, &options).unwrap_err();
            assert!(matches!(error, Error::PrivateAddress { .. }), "{error:?}");
        }
        // Of several only the public ones are dialled.
        let both = ["127.0.0.1", "203.0.113.9"].map(|it| it.parse().unwrap());
        let server = server.under(NAME, CertificateRule::Public);
        let connector = Connector::new(server, &both, &options).unwrap();
        assert_eq!(connector.addresses, both[1..]);
    }

    #[test]
    fn without_tls_is_for_loopback() {
        let ca = TestAuthority::new();
        let server = TestServer::plain(|_, peer| answer_ok(peer));
        let local = Server::local(server.address.port());
        let connection = connect(&local, &[], &options(&ca)).unwrap();
        assert_eq!(said(connection), "HTTP/1.1 202 Accepted");
        let public = server.under("203.0.113.9", CertificateRule::Plaintext);
        let error = connect(&public, &[], &options(&ca)).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error:?}");
    }

    fn through(proxy: &TestServer, ca: &TestAuthority) -> ConnectOptions {
        ConnectOptions {
            proxy: Some(Proxy::parse(&format!("http://{}/", proxy.address)).unwrap()),
            ..options(ca)
        }
    }

    #[test]
    fn a_proxy_connects_to_addresses_that_were_judged_here() {
        let ca = TestAuthority::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let proxy = TestServer::proxy(&ca.issue(&CertificateShape::of(&[NAME])), move |head| {
            noted
                .lock()
                .unwrap()
                .push(head.lines().next().unwrap().to_owned());
            let answer = if head.contains("203.0.113.1") {
                "HTTP/1.1 504 Gateway Timeout\r\n\r\n"
            } else {
                "HTTP/1.1 200 Connection established\r\nVia: a\r\n\r\n"
            };
            answer.to_owned()
        });
        let options = through(&proxy, &ca);
        let server = Server::named_by_operator("gw.example.org:443", None).unwrap();
        let addresses = ["203.0.113.1", "2001:db8::1"].map(|it| it.parse().unwrap());
        let connection = connect(&server, &addresses, &options).unwrap();
        assert_eq!(said(connection), "HTTP/1.1 202 Accepted");
        // Without an address the proxy looks up the name, unless private addresses are refused.
        said(connect(&server, &[], &options).unwrap());
        assert_eq!(
            *asked.lock().unwrap(),
            [
                "CONNECT 203.0.113.1:443 HTTP/1.1",
                "CONNECT [2001:db8::1]:443 HTTP/1.1",
                "CONNECT gw.example.org:443 HTTP/1.1",
            ]
        );
        // Loopback is dialled directly, unless it is only one of several addresses.
        for (addresses, is_proxied) in [
            (["127.0.0.1", "::1"], false),
            (["127.0.0.1", "203.0.113.1"], true),
        ] {
            let addresses = addresses.map(|it| it.parse().unwrap());
            let connector = Connector::new(server.clone(), &addresses, &options).unwrap();
            assert_eq!(connector.options.proxy.is_some(), is_proxied);
        }
        let strict = ConnectOptions {
            refuses_private: true,
            ..options
        };
        let error = connect(&server, &[], &strict).unwrap_err();
        assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
    }

    #[test]
    fn a_proxy_that_does_not_connect_is_reported() {
        let ca = TestAuthority::new();
        let server = Server::named_by_operator("gw.example.org:443", None).unwrap();
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000));
        for (answer, expected) in [
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 403 Forbidden"),
            ("HTTP/1.1 407 Log in\r\n\r\n<html>", "HTTP/1.1 407 Log in"),
            (
                "220 mail.example.org \x1b[2J\r\n\r\n",
                "220 mail.example.org \\u{1b}[2J",
            ),
            ("HTTP/1.1 200 OK\r\n\r\nboo", "HTTP/1.1 200 OK"),
            (&long, "HTTP/1.1 200 OK"),
        ] {
            let answer = answer.to_owned();
            let proxy = TestServer::proxy(&ca.issue(&CertificateShape::of(&[NAME])), move |_| {
                answer.clone()
            });
            let error = connect(&server, &[], &through(&proxy, &ca)).unwrap_err();
            let Error::Proxy { answer, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(answer, expected);
        }
        let closing = TestServer::plain(|_, peer| drop(peer.read(&mut [0; 4096])));
        let error = connect(&server, &[], &through(&closing, &ca)).unwrap_err();
        assert!(matches!(error, Error::Proxy { .. }), "{error:?}");
        let hanging = TestServer::plain(|_, peer| stay_silent(peer));
        let mut options = through(&hanging, &ca);
        options.within = Duration::from_millis(300);
        let error = connect(&server, &[], &options).unwrap_err();
        assert!(matches!(error, Error::NoConnection { .. }), "{error:?}");
        for malformed in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://a:b@c:1",
        ] {
            assert!(Proxy::parse(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn authorities_are_certificates_in_pem() {
        let ca = TestAuthority::new();
        let text = format!("# a comment\n{}{}", ca.pem, TestAuthority::new().pem);
        assert!(Authorities::from_pem(text.as_bytes(), "ca.pem").is_ok());
        let torn = &ca.pem[..ca.pem.len() / 2];
        let wrong = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in ["", "no certificate", torn, wrong] {
            let error = Authorities::from_pem(bad.as_bytes(), "ca.pem").unwrap_err();
            assert!(error.to_string().starts_with("ca.pem: "), "{error}");
        }
        let missing = std::path::Path::new("no/such/file");
        let error = Authorities::from_file(missing).unwrap_err();
        assert!(error.to_string().starts_with("no/such/file: "), "{error}");
        assert_eq!(ConnectOptions::new(now()).within, CONNECT_WITHIN);
    }
}
