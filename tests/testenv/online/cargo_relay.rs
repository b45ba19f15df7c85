//! A server of CogRPC on loopback: a courier or Internet gateway, with misbehaviour to order.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use relaynet::binding::cogrpc::{
    Call, CargoDelivery, CargoDeliveryAck, FrameDecoder, MAX_MESSAGE, authorization, frame,
};
use tokio::sync::oneshot;

use super::authority::Leaf;
use super::listener::held;

/// What becomes of cargo that is delivered.
#[derive(Clone, Debug)]
pub(crate) enum Delivers {
    /// Each is acknowledged, then the call ends with OK.
    Acknowledges,
    /// Each is acknowledged twice.
    Twice,
    /// None is acknowledged; the call ends with OK at the half-close, or after so many.
    Nothing(usize),
    /// An id is acknowledged that was not sent.
    UnknownId,
    /// The call ends with this status, and text, after so many were acknowledged.
    Refuses(u32, Option<&'static str>, usize),
    /// Cargo with this octet at this offset from its end ends its call with `INVALID_ARGUMENT`.
    RefusesOne(Vec<u8>),
    /// The first is acknowledged, then the connection is cut.
    Cuts,
    /// The first is acknowledged with half a message.
    HalfMessage,
    /// Each is acknowledged, and no status comes.
    NoEnd,
    /// An answer of HTTP alone.
    Http(u16),
    /// Says nothing at all.
    Silent,
}

/// What becomes of a request for cargo.
#[derive(Clone, Debug)]
pub(crate) enum Collects {
    /// All is given, then OK once it is acknowledged.
    Gives,
    /// All is given, then OK at once.
    GivesAndEnds,
    /// The call ends with this status, and text.
    Refuses(u32, Option<&'static str>),
    /// A message of this many octets is announced, and sent as far as the client takes it.
    TooLong(usize),
    /// Half of the first cargo is given, then OK.
    HalfMessage,
    /// Half of the first cargo is given, then the connection is cut.
    Cuts,
    /// All is given, and the stream ends without a status.
    NoEnd,
    /// A message is said to be compressed.
    Compressed,
    /// Octets that are no message.
    Junk,
    /// A message of which an octet comes now and then.
    Trickles,
    /// The first cargo is given again and again, each time acknowledged.
    ForEver,
}

/// What a server saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// The calls, in their order, and the deadline that each had.
    pub(crate) calls: Vec<(Call, Option<Duration>)>,
    /// The cargo that was delivered, whole.
    pub(crate) cargo: Vec<Vec<u8>>,
    /// The most that was unacknowledged.
    pub(crate) most_unacknowledged: usize,
    /// The CCAs that were shown.
    pub(crate) ccas: Vec<Vec<u8>>,
    /// How many cargoes that it gave were acknowledged.
    pub(crate) acknowledged: usize,
    /// Which they are.
    pub(crate) acknowledged_cargo: Vec<Vec<u8>>,
    /// Whether a client closed its side before it had all acknowledgements.
    pub(crate) closed_early: bool,
}

impl Seen {
    fn note_unacknowledged(&mut self, cargoes: usize) {
        self.most_unacknowledged = self.most_unacknowledged.max(cargoes);
    }

    /// The id of a delivery ends in the number of its cargo.
    fn note_acknowledged(&mut self, id: &str, gives: &[Vec<u8>]) {
        self.acknowledged += 1;
        let number = id.rsplit('-').next().unwrap();
        let number = usize::from_str_radix(number, 16).unwrap();
        self.acknowledged_cargo.push(gives[number].clone());
    }
}

struct Shared {
    delivers: Mutex<Delivers>,
    collects: Mutex<Collects>,
    gives: Mutex<Vec<Vec<u8>>>,
    seen: Mutex<Seen>,
    /// How many connections are open.
    open: AtomicUsize,
}

/// A server of CogRPC.
pub(crate) struct CargoRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl CargoRelay {
    /// Serves a free port of loopback with this certificate.
    pub(crate) fn start(leaf: &Leaf) -> Self {
        let mut config = rustls::ServerConfig::clone(&leaf.server());
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            delivers: Mutex::new(Delivers::Acknowledges),
            collects: Mutex::new(Collects::Gives),
            gives: Mutex::default(),
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || run(listener, Arc::new(config), &shared, stopped)
        });
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Its `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Says what becomes of cargo from now on.
    pub(crate) fn delivers(&self, delivers: Delivers) {
        *held(&self.shared.delivers) = delivers;
    }

    /// Says what becomes of requests from now on.
    pub(crate) fn collects(&self, collects: Collects) {
        *held(&self.shared.collects) = collects;
    }

    /// Gives this cargo from now on.
    pub(crate) fn gives(&self, cargo: &[Vec<u8>]) {
        *held(&self.shared.gives) = cargo.to_vec();
    }

    /// Waits until it has no connection any more, so that it saw all that clients sent.
    pub(crate) fn settle(&self) {
        let begun = std::time::Instant::now();
        while self.shared.open.load(Ordering::SeqCst) > 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "a connection stays"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Takes what it saw so far.
    pub(crate) fn seen(&self) -> Seen {
        std::mem::take(&mut *held(&self.shared.seen))
    }
}

impl Drop for CargoRelay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    listener: std::net::TcpListener,
    config: Arc<rustls::ServerConfig>,
    shared: &Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    let accepting = {
        let shared = Arc::clone(shared);
        async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                shared.open.fetch_add(1, Ordering::SeqCst);
                tokio::task::spawn_local(async move {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        serve(stream, &shared).await;
                    }
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }
    };
    tasks.spawn_local(accepting);
    let _ = tasks.block_on(&runtime, stopped);
}

type Stream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

async fn serve(stream: Stream, shared: &Arc<Shared>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let (cut, mut is_cut) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let next = std::future::poll_fn(|cx| {
            if is_cut.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(None);
            }
            connection.poll_accept(cx)
        });
        let Some(Ok((request, respond))) = next.await else {
            return;
        };
        let (shared, cut) = (Arc::clone(shared), cut.clone());
        tokio::task::spawn_local(async move {
            let _ = answer(request, respond, &shared, &cut).await;
        });
    }
}

type Cut = tokio::sync::mpsc::Sender<()>;

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
    cut: &Cut,
) -> Result<(), h2::Error> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let within = header("grpc-timeout")
        .map(|it| relaynet::binding::cogrpc::timeout::parse(it).expect("a timeout of gRPC"));
    let call = Call::of_path(request.uri().path()).expect("a call of CogRPC");
    held(&shared.seen).calls.push((call, within));
    match call {
        Call::Deliver => {
            let delivers = held(&shared.delivers).clone();
            deliver(request.into_body(), &mut respond, shared, (&delivers, cut)).await
        }
        Call::Collect => {
            let cca = header("authorization").and_then(authorization::parse);
            held(&shared.seen).ccas.extend(cca);
            let collects = held(&shared.collects).clone();
            collect(request.into_body(), &mut respond, shared, (&collects, cut)).await
        }
    }
}

fn head() -> Response<()> {
    let response = Response::builder().header("content-type", "application/grpc+proto");
    response.body(()).unwrap()
}

fn trailers(code: u32, text: Option<&str>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    if let Some(text) = text {
        trailers.insert("grpc-message", text.parse().unwrap());
    }
    trailers
}

/// Ends a call with a status alone.
fn refuse(respond: &mut SendResponse<Bytes>, code: u32, text: Option<&str>) {
    let mut response = head();
    response.headers_mut().extend(trailers(code, text));
    let _ = respond.send_response(response, true);
}

/// The next message of a stream; `None` at its end.
async fn next<M: prost::Message + Default>(
    body: &mut RecvStream,
    decoder: &mut FrameDecoder,
) -> Result<Option<M>, h2::Error> {
    loop {
        if let Some(message) = decoder.next_decoded().unwrap() {
            return Ok(Some(message));
        }
        let Some(octets) = body.data().await else {
            return Ok(None);
        };
        let octets = octets?;
        body.flow_control().release_capacity(octets.len())?;
        decoder.feed(octets);
    }
}

fn send(stream: &mut SendStream<Bytes>, id: &str) -> Result<(), h2::Error> {
    let ack = CargoDeliveryAck { id: id.to_owned() };
    stream.send_data(frame::encode(&ack).unwrap(), false)
}

async fn deliver(
    mut body: RecvStream,
    respond: &mut SendResponse<Bytes>,
    shared: &Shared,
    (delivers, cut): (&Delivers, &Cut),
) -> Result<(), h2::Error> {
    match delivers {
        Delivers::Http(status) => {
            let response = Response::builder().status(*status).body(()).unwrap();
            respond.send_response(response, true)?;
            return Ok(());
        }
        Delivers::Silent => std::future::pending().await,
        Delivers::Refuses(code, text, 0) => {
            // It reads nothing, and so the client's window closes.
            refuse(respond, *code, *text);
            return Ok(());
        }
        _ => {}
    }
    let mut decoder = FrameDecoder::new(MAX_MESSAGE);
    let mut stream = respond.send_response(head(), false)?;
    let mut held_back: Vec<String> = Vec::new();
    let (mut taken, mut given) = (0, 0);
    while let Some(message) = next::<CargoDelivery>(&mut body, &mut decoder).await? {
        taken += 1;
        let cargo = message.cargo.to_vec();
        if let Delivers::RefusesOne(it) = delivers
            && *it == cargo
        {
            return stream.send_trailers(trailers(3, Some("refused")));
        }
        held(&shared.seen).cargo.push(cargo);
        held_back.push(message.id.clone());
        held(&shared.seen).note_unacknowledged(taken - given);
        match delivers {
            Delivers::Acknowledges | Delivers::NoEnd | Delivers::RefusesOne(_) => {
                // The newest are acknowledged late, to see how many come.
                tokio::time::sleep(Duration::from_millis(5)).await;
                send(&mut stream, &message.id)?;
                given += 1;
            }
            Delivers::Twice => {
                send(&mut stream, &message.id)?;
                send(&mut stream, &message.id)?;
                given += 1;
            }
            Delivers::Nothing(most) if taken >= *most => {
                return stream.send_trailers(trailers(0, None));
            }
            Delivers::UnknownId => send(&mut stream, "8f14e45f-ceea-467f-a0e6-c0ffee000001")?,
            Delivers::Refuses(code, text, after) => {
                if taken <= *after {
                    send(&mut stream, &message.id)?;
                }
                if taken >= *after {
                    return stream.send_trailers(trailers(*code, *text));
                }
            }
            Delivers::Cuts => {
                send(&mut stream, &message.id)?;
                // The acknowledgement is to leave first.
                tokio::time::sleep(Duration::from_millis(200)).await;
                let _ = cut.send(()).await;
                return Ok(());
            }
            Delivers::HalfMessage => {
                let ack = CargoDeliveryAck { id: message.id };
                let whole = frame::encode(&ack).unwrap();
                stream.send_data(whole.slice(..20), false)?;
                return stream.send_trailers(trailers(0, None));
            }
            _ => {}
        }
    }
    let is_early = given < taken && matches!(delivers, Delivers::Acknowledges);
    held(&shared.seen).closed_early |= is_early;
    if matches!(delivers, Delivers::NoEnd) {
        std::future::pending::<()>().await;
    }
    stream.send_trailers(trailers(0, None))
}

async fn collect(
    mut body: RecvStream,
    respond: &mut SendResponse<Bytes>,
    shared: &Shared,
    (collects, cut): (&Collects, &Cut),
) -> Result<(), h2::Error> {
    if let Collects::Refuses(code, text) = collects {
        refuse(respond, *code, *text);
        return Ok(());
    }
    let mut stream = respond.send_response(head(), false)?;
    let gives = held(&shared.gives).clone();
    let frames = gives.iter().enumerate().map(|(number, cargo)| {
        let message = CargoDelivery {
            id: format!("8f14e45f-ceea-467f-a0e6-{number:012x}"),
            cargo: cargo.clone().into(),
        };
        frame::encode(&message).unwrap()
    });
    let frames: Vec<Bytes> = frames.collect();
    match collects {
        Collects::TooLong(len) => {
            let prefix = u32::try_from(*len).unwrap().to_be_bytes();
            let octets = [&[0], &prefix[..], &vec![7; 60_000]].concat();
            stream.send_data(octets.into(), false)?;
            std::future::pending::<()>().await;
        }
        Collects::HalfMessage => {
            stream.send_data(frames[0].slice(..frames[0].len() / 2), false)?;
            return stream.send_trailers(trailers(0, None));
        }
        Collects::Cuts => {
            stream.send_data(frames[0].slice(..frames[0].len() / 2), false)?;
            tokio::time::sleep(Duration::from_millis(200)).await;
            let _ = cut.send(()).await;
            return Ok(());
        }
        Collects::Compressed => {
            stream.send_data(Bytes::from_static(&[1, 0, 0, 0, 1, 7]), false)?;
            std::future::pending::<()>().await;
        }
        Collects::Trickles => {
            stream.send_data(Bytes::from_static(&[0, 0, 0, 200, 0]), false)?;
            // Until the client ends the call.
            loop {
                stream.send_data(Bytes::from_static(&[7]), false)?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Collects::Junk => {
            stream.send_data(Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff]), false)?;
            std::future::pending::<()>().await;
        }
        _ => {}
    }
    let mut decoder = FrameDecoder::new(MAX_MESSAGE);
    loop {
        for frame in &frames {
            stream.send_data(frame.clone(), false)?;
        }
        if matches!(collects, Collects::GivesAndEnds) {
            break;
        }
        for _ in &frames {
            match next::<CargoDeliveryAck>(&mut body, &mut decoder).await? {
                Some(ack) => held(&shared.seen).note_acknowledged(&ack.id, &gives),
                None => break,
            }
        }
        if !matches!(collects, Collects::ForEver) {
            break;
        }
    }
    if matches!(collects, Collects::NoEnd) {
        return stream.send_data(Bytes::new(), true);
    }
    stream.send_trailers(trailers(0, None))
}
