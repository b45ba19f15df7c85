//! Connections: accepted within limits, with TLS or without, and served.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustix::net::{AddressFamily, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::first_head::FirstHead;
use super::state::{
    Activity, FrontState, OpenConnection, PeerConnection, RequestUnderWay, STOP_WITHIN,
};
use super::{proxied, requests};
use crate::binding::server::is_private;
use crate::serve::Error;

/// The first head of a request must be here so soon after the connection.
const FIRST_HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long a connection may be idle, and how long the head of a later request may take.
const IDLE: Duration = Duration::from_secs(10);

/// How long a connection lasts, and how long what is under way then still has.
const AGE: Duration = Duration::from_secs(15 * 60);
const GRACE: Duration = Duration::from_secs(30);

/// How long what was sent may stay unread, in milliseconds. A slow line is longer at it, since its end says only now and
/// then how much it has read.
const UNREAD_FOR: u32 = 60_000;

/// The longest head of a request, in octets.
const MAX_HEAD: u32 = 16 * 1024;

/// The most requests at once on a connection of HTTP/2.
const STREAMS: u32 = 3;

/// What the other end of a connection of HTTP/2 may send before it is read, in octets: it is in memory until its turn.
const WINDOW: u32 = 64 * 1024;

/// The longest queue of what goes out on a request of HTTP/2, in octets.
const SEND_BUFFER: usize = 64 * 1024;

/// How long to wait when the system has no more files or memory for a connection.
const SHORTAGE: Duration = Duration::from_millis(100);

/// A socket that connections are accepted from.
enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection before anything was read.
enum Accepted {
    /// The addresses of the client and of this end.
    Tcp(TcpStream, IpAddr, IpAddr),
    Unix(UnixStream),
}

impl Accepting {
    fn of(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(match sockopt::socket_domain(&socket)? {
            AddressFamily::UNIX => Self::Unix(UnixListener::from_std(socket.into())?),
            _ => Self::Tcp(TcpListener::from_std(socket.into())?),
        })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                // One that reads nothing, or is gone, is noticed by the system, however much is on the way.
                let _ = sockopt::set_tcp_user_timeout(&stream, UNREAD_FOR);
                let local = stream.local_addr()?.ip().to_canonical();
                Accepted::Tcp(stream, address.ip().to_canonical(), local)
            }
            Self::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
        })
    }
}

/// Starts to accept connections from a socket.
///
/// # Errors
/// When it is no socket that listens.
pub(super) fn start(state: &Arc<FrontState>, socket: OwnedFd) -> Result<(), Error> {
    let socket = Accepting::of(socket)?;
    tokio::spawn(accept(Arc::clone(state), socket));
    Ok(())
}

/// Accepts connections until the server stops.
async fn accept(state: Arc<FrontState>, socket: Accepting) {
    let mut stops = state.stops.clone();
    loop {
        // A connection is accepted when there is a place for it: until then it waits in the system's queue.
        let place = tokio::select! {
            place = Arc::clone(&state.places).acquire_owned() => place,
            _ = stops.changed() => return,
        };
        let (Ok(place), accepted) = (
            place,
            tokio::select! {
                accepted = socket.accept() => accepted,
                _ = stops.changed() => return,
            },
        ) else {
            return;
        };
        let (Ok(accepted), Some(under_way)) = (accepted, state.begin()) else {
            tokio::time::sleep(SHORTAGE).await;
            continue;
        };
        let open = OpenConnection::new(&state, place, under_way);
        // Without a word: whatever a client does is no error of the server.
        tokio::spawn(async move { admit(open, accepted).await });
    }
}

/// Serves a connection, if its address has not too many.
async fn admit(open: OpenConnection, accepted: Accepted) -> io::Result<()> {
    let deadline = Instant::now() + FIRST_HEAD_WITHIN;
    match accepted {
        Accepted::Tcp(stream, address, local) => {
            // Who is not near has no business with a certificate that nobody vouches for.
            let is_near = is_private(address) && is_private(local);
            if open.state.terms.makes_certificates && !is_near {
                return Ok(());
            }
            prepare(open, stream, (address, local), deadline).await
        }
        Accepted::Unix(stream) => {
            let local = Ipv4Addr::LOCALHOST.into();
            prepare(open, stream, (local, local), deadline).await
        }
    }
}

/// Does what comes before the first request: the proxy's header, the share of the address, TLS.
async fn prepare<S>(
    open: OpenConnection,
    mut stream: S,
    (address, local): (IpAddr, IpAddr),
    deadline: Instant,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let state = &Arc::clone(&open.state);
    let address = if state.terms.is_behind_proxy {
        match timeout_at(deadline, proxied::client_of(&mut stream)).await?? {
            Some(client) => client,
            None => address,
        }
    } else {
        address
    };
    let Some(hold) = state.connections_of_address.hold(address) else {
        state.refused.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    };
    let peer = Arc::new(PeerConnection {
        address,
        hold: Mutex::new(Some(hold)),
        node: OnceLock::new(),
        written: Arc::default(),
        _open: open,
    });
    if !state.terms.has_tls {
        return serve(state, stream, peer, deadline).await;
    }
    let config = if state.terms.makes_certificates {
        state.lan_certificates.get(local, &state.keeper).await
    } else {
        state.certificate.get()
    };
    let Some(config) = config else {
        return Ok(());
    };
    let stream = timeout_at(deadline, TlsAcceptor::from(config).accept(stream)).await??;
    serve(state, stream, peer, deadline).await
}

/// Serves the requests of a connection.
async fn serve<S>(
    state: &Arc<FrontState>,
    stream: S,
    peer: Arc<PeerConnection>,
    deadline: Instant,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let was_seen = Arc::new(AtomicBool::new(false));
    let written = Arc::clone(&peer.written);
    let stream = FirstHead::new(stream, deadline, Arc::clone(&was_seen), written);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(MAX_HEAD)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(Some(IDLE))
        .keep_alive_timeout(IDLE);
    let activity = Arc::new(Activity::default());
    let service = service_fn(|request: Request<Incoming>| {
        was_seen.store(true, Ordering::Relaxed);
        let (state, peer) = (Arc::clone(state), Arc::clone(&peer));
        let under_way = Arc::new(RequestUnderWay::new(&activity));
        async move {
            let mut request = request.map(Body::new);
            // For those whose answer goes on after its head.
            request.extensions_mut().insert(Arc::clone(&under_way));
            let response = requests::answer(&state, &peer, request).await;
            state.answered.fetch_add(1, Ordering::Relaxed);
            drop(under_way);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut stops = state.stops.clone();
    let started = Instant::now();
    let mut answered = activity.answered.load(Ordering::Relaxed);
    let grace = loop {
        tokio::select! {
            served = connection.as_mut() => return served.map_err(io::Error::other),
            _ = stops.changed() => break STOP_WITHIN,
            () = tokio::time::sleep(IDLE) => {
                let before = std::mem::replace(&mut answered, activity.answered.load(Ordering::Relaxed));
                let is_idle = before == answered && activity.open.load(Ordering::Relaxed) == 0;
                if is_idle || started.elapsed() >= AGE {
                    break GRACE;
                }
            }
        }
    };
    connection.as_mut().graceful_shutdown();
    let served = tokio::time::timeout(grace, connection).await?;
    served.map_err(io::Error::other)
}
