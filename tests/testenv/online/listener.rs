//! A port on loopback that is served by threads, with or without TLS.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

/// How a connection is served: once for each, on a thread of its own.
type Serve = dyn Fn(&mut Connection) + Send + Sync;

/// A connection from a client.
pub(crate) struct Connection {
    stream: Stream,
    tcp: TcpStream,
    /// The name that the client asked for in TLS (SNI).
    pub(crate) server_name: Option<String>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// A server.
pub(crate) struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    is_stopped: AtomicBool,
    is_unplugged: AtomicBool,
    accepted: AtomicUsize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, TcpStream>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Listener {
    /// Serves a free port of 127.0.0.1.
    pub(crate) fn start(
        tls: Option<Arc<rustls::ServerConfig>>,
        serve: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Self {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST), tls, serve)
    }

    /// Serves a free port of an address of this machine.
    pub(crate) fn start_at(
        address: IpAddr,
        tls: Option<Arc<rustls::ServerConfig>>,
        serve: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Self {
        assert!(address.is_loopback());
        let listener = TcpListener::bind((address, 0)).unwrap();
        let shared = Arc::new(Shared {
            is_stopped: AtomicBool::new(false),
            is_unplugged: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            open: Mutex::default(),
            workers: Mutex::default(),
        });
        let bound = listener.local_addr().unwrap();
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            let serve: Arc<Serve> = Arc::new(serve);
            move || accept(&listener, &shared, tls.as_ref(), &serve)
        });
        Self {
            address: bound,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Ends all connections without TLS's goodbye, as a cable that is pulled; new ones are accepted.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }
}

impl Listener {
    /// Pulls the cable: ends all connections, and each new one at once, until it is [plugged](Self::plug) in again.
    pub(crate) fn unplug(&self) {
        self.shared.is_unplugged.store(true, Ordering::SeqCst);
        self.shared.cut();
    }

    /// Serves again.
    pub(crate) fn plug(&self) {
        self.shared.is_unplugged.store(false, Ordering::SeqCst);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.shared.cut();
        let workers = std::mem::take(&mut *held(&self.shared.workers));
        for worker in workers {
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn cut(&self) {
        for tcp in held(&self.open).values() {
            let _ = tcp.shutdown(Shutdown::Both);
        }
    }
}

/// Locks; a test that failed with the lock has been reported already.
pub(super) fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    tls: Option<&Arc<rustls::ServerConfig>>,
    serve: &Arc<Serve>,
) {
    while let Ok((tcp, _)) = listener.accept() {
        if shared.is_stopped.load(Ordering::SeqCst) {
            return;
        }
        if shared.is_unplugged.load(Ordering::SeqCst) {
            continue; // closes it
        }
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        let Ok(copy) = tcp.try_clone() else { continue };
        held(&shared.open).insert(number, copy);
        let worker = std::thread::spawn({
            let (shared, serve, tls) = (Arc::clone(shared), Arc::clone(serve), tls.cloned());
            move || {
                if let Ok(mut connection) = Connection::new(tcp, tls) {
                    serve(&mut connection);
                    connection.finish();
                }
                held(&shared.open).remove(&number);
            }
        });
        held(&shared.workers).push(worker);
    }
}

impl Connection {
    fn new(tcp: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Self> {
        let copy = tcp.try_clone()?;
        tcp.set_nodelay(true)?;
        let Some(config) = tls else {
            return Ok(Self {
                stream: Stream::Plain(tcp),
                tcp: copy,
                server_name: None,
            });
        };
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = Box::new(StreamOwned::new(session, tcp));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let server_name = stream.conn.server_name().map(str::to_owned);
        Ok(Self {
            stream: Stream::Tls(stream),
            tcp: copy,
            server_name,
        })
    }

    /// How long a read waits before it fails with `WouldBlock`; `None` is for ever.
    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) {
        let _ = self.tcp.set_read_timeout(timeout);
    }

    /// Ends the connection at once, without TLS's goodbye.
    pub(crate) fn cut(&mut self) {
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Says nothing more, and reads until the client ends the connection or the server stops.
    pub(crate) fn stay_silent(&mut self) {
        self.set_read_timeout(None);
        let mut octets = [0; 4096];
        while matches!(self.read(&mut octets), Ok(1..)) {}
    }

    /// Ends what it says in good order. What the client still sends is read first, since the kernel would answer it
    /// with a reset, which destroys what was sent.
    fn finish(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
        let _ = self.tcp.set_read_timeout(Some(Duration::from_secs(2)));
        let mut octets = [0; 4096];
        while matches!(self.tcp.read(&mut octets), Ok(1..)) {}
    }
}

impl Read for Connection {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(octets),
            Stream::Tls(tls) => tls.read(octets),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write(octets),
            Stream::Tls(tls) => tls.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}
