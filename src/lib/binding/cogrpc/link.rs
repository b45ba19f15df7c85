//! A connection of HTTP/2 to a server of `CogRPC`, and how much moved on it.

use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::binding::connect::{Connector, of_io};
use crate::binding::pace::{Pace, PaceFailure};
use crate::binding::paced_socket::{Cutoff, MAX_UNUSED, octets_to_acknowledge};
use crate::binding::{Error, Server};
use crate::crypto::hash::sha256;

/// How much of a message may be under way to this node, in octets: enough for a fast line to a far server.
const WINDOW: u32 = 1 << 20;

/// How much of what is sent is held beside the kernel's buffers, in octets.
const SEND_BUFFER: usize = 64 << 10;

/// The longest headers that are read, in octets.
const MAX_HEADERS: u32 = 16 << 10;

/// An open connection.
pub(super) struct Link {
    pub(super) runtime: Runtime,
    pub(super) sender: SendRequest<Bytes>,
    pub(super) watch: LinkWatch,
    /// The SHA-256 of the server's certificate.
    pub(super) certificate: [u8; 32],
}

impl Link {
    /// Connects to a server that shows who it is.
    ///
    /// # Errors
    /// As [`Connector::connect`], and [`Error::Protocol`] when the server does not speak HTTP/2.
    pub(super) fn open(connector: &Connector) -> Result<Self, Error> {
        let options = connector.options();
        let server = connector.server();
        let broken = |cause: io::Error| of_io(server, cause);
        let deadline = Instant::now() + options.within;
        let tls = connector.tls_of(b"h2")?;
        let socket = connector.connect_tcp(deadline)?;
        let copy = socket.try_clone().map_err(broken)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(broken)?;
        let meter = Arc::new(Meter::default());
        let (sender, certificate) = runtime.block_on(async {
            let metered = Metered {
                socket: tokio::net::TcpStream::from_std(socket).map_err(broken)?,
                meter: Arc::clone(&meter),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let handshake = TlsConnector::from(tls.config).connect(tls.name, metered);
            let waited = options.within;
            let silent = || Error::Silent {
                server: server.to_string(),
                waited,
            };
            let stream = timeout(left, handshake).await.map_err(|_| silent())?;
            let stream = stream.map_err(|cause| not_http2(server, cause))?;
            let shown = stream.get_ref().1.peer_certificates();
            let certificate = shown.and_then(|it| it.first()).map(|it| sha256(it));
            let begun = h2::client::Builder::new()
                .initial_window_size(WINDOW)
                .initial_connection_window_size(2 * WINDOW)
                .max_send_buffer_size(SEND_BUFFER)
                .max_header_list_size(MAX_HEADERS)
                .enable_push(false)
                .handshake(stream)
                .await;
            let (sender, connection) = begun.map_err(|error| of_h2(server, error))?;
            // How it ends, each call learns.
            tokio::spawn(async move { drop(connection.await) });
            Ok::<_, Error>((sender, certificate.unwrap_or_default()))
        })?;
        let watch = LinkWatch::new(server.clone(), copy, meter, connector);
        Ok(Self {
            runtime,
            sender,
            watch,
            certificate,
        })
    }
}

/// A failure of the handshake. A server that offers no HTTP/2 is another kind of server.
fn not_http2(server: &Server, cause: io::Error) -> Error {
    let tls = cause.get_ref().and_then(|inner| inner.downcast_ref());
    let alert = rustls::AlertDescription::NoApplicationProtocol;
    if tls == Some(&rustls::Error::AlertReceived(alert)) {
        return Error::Protocol {
            server: server.to_string(),
            problem: "it does not speak HTTP/2".to_owned(),
        };
    }
    of_io(server, cause)
}

/// A failure of HTTP/2, as what it says about the server.
pub(super) fn of_h2(server: &Server, error: h2::Error) -> Error {
    if error.is_io() {
        let cause = error.into_io();
        return of_io(
            server,
            cause.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()),
        );
    }
    // What this side found wrong in the frames.
    if error.is_library() {
        return Error::Protocol {
            server: server.to_string(),
            problem: format!("HTTP/2: {error}"),
        };
    }
    Error::Broken {
        server: server.to_string(),
        cause: io::Error::new(io::ErrorKind::ConnectionReset, error.to_string()),
    }
}

/// How many octets moved on a connection, TLS included.
#[derive(Debug, Default)]
pub(super) struct Meter {
    read: AtomicU64,
    written: AtomicU64,
}

struct Metered {
    socket: tokio::net::TcpStream,
    meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let octets = buffer.filled().len().saturating_sub(before);
        self.meter.read.fetch_add(octets as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, octets);
        if let Poll::Ready(Ok(octets)) = written {
            let octets = octets as u64;
            self.meter.written.fetch_add(octets, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Watches whether the messages on a connection keep their pace, as a paced socket does for one message at a time.
pub(super) struct LinkWatch {
    pub(super) server: Server,
    socket: TcpStream,
    meter: Arc<Meter>,
    cutoff: Cutoff,
    pub(super) silence: Duration,
    begun: Instant,
    /// When calls are given up, however fast they are.
    pub(super) ends: Option<Instant>,
    pace: Pace,
    /// Octets read that were looked at.
    seen: u64,
    /// Octets that came since one was of use.
    unused: u64,
    /// Octets of messages that were given to HTTP/2.
    handed: u64,
    /// Of these, so many certainly reached the peer.
    reached: u64,
}

impl LinkWatch {
    fn new(server: Server, socket: TcpStream, meter: Arc<Meter>, connector: &Connector) -> Self {
        let options = connector.options();
        Self {
            server,
            socket,
            meter,
            cutoff: options.cutoff.clone(),
            silence: options.silence,
            begun: Instant::now(),
            ends: None,
            pace: Pace::new(options.silence, options.rate, Instant::now()),
            seen: 0,
            unused: 0,
            handed: 0,
            reached: 0,
        }
    }

    /// A message begins, in either direction.
    pub(super) fn begin(&mut self) {
        self.begin_within(self.silence);
    }

    /// The same with another time of silence.
    pub(super) fn begin_within(&mut self, silence: Duration) {
        self.pace.begin(silence, Instant::now());
        self.note_use();
    }

    /// Octets of a message were given to HTTP/2, which takes them as the peer does.
    pub(super) fn hand(&mut self, octets: usize) {
        self.handed += octets as u64;
        self.pace.add(octets as u64, Instant::now());
    }

    /// Octets of a message came.
    pub(super) fn note_use(&mut self) {
        self.look();
        self.unused = 0;
    }

    /// Counts what was read since. Beyond a record of TLS and what goes with it, it wins no time until an octet of a
    /// message is in it: a server could send pings for ever.
    fn look(&mut self) {
        let read = self.meter.read.load(Ordering::Relaxed);
        let new = read.saturating_sub(self.seen);
        self.seen = read;
        self.unused = self.unused.saturating_add(new);
        if new > 0 && self.unused <= MAX_UNUSED {
            self.pace.add(new, Instant::now());
        }
    }

    /// Looks whether the message keeps its pace.
    ///
    /// # Errors
    /// [`Error::Silent`], [`Error::Slow`], or [`Error::Broken`] when the run is to end.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        let failed = |server: &Server, failure: PaceFailure| {
            of_io(server, io::Error::new(io::ErrorKind::TimedOut, failure))
        };
        if self.cutoff.is_cut() {
            return Err(failed(&self.server, PaceFailure::Cut));
        }
        self.look();
        let now = Instant::now();
        if self.ends.is_some_and(|ends| now >= ends) {
            let slow = PaceFailure::Slow(now.saturating_duration_since(self.begun));
            return Err(failed(&self.server, slow));
        }
        let Err(failure) = self.pace.left(now) else {
            return Ok(());
        };
        // The peer may still take what the system took at once, for which a slow line needs minutes.
        let written = self.meter.written.load(Ordering::Relaxed);
        let queued = octets_to_acknowledge(&self.socket).unwrap_or(0);
        let reached = written.saturating_sub(queued).min(self.handed);
        let new = reached.saturating_sub(self.reached);
        self.reached = reached.max(self.reached);
        if queued > 0 && new > 0 {
            self.pace.add(new, now);
        }
        match self.pace.left(now) {
            Ok(_) => Ok(()),
            Err(_) => Err(failed(&self.server, failure)),
        }
    }
}
