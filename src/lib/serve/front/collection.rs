//! The collection of parcels over a WebSocket (RS-016 §Parcel collection).

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use hyper::header::{HeaderMap, ORIGIN};
use hyper::{Request, Response, StatusCode};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::answers;
use super::link::{CollectionEvent, CollectionLink, ParcelSource};
use super::places::{HeldPlace, Places};
use super::state::{FrontState, PeerConnection};
use crate::binding::pace::LOWEST_RATE;
use crate::message::parcel_collection::{MAX_DELIVERY_ID_LEN, ParcelDelivery, WINDOW_HEADER};
use crate::serve::channel::MAX_INLINE;
use crate::serve::protocol::{CollectionClose, ToKeeper};

/// How often the server sends a ping, from the beginning on. Stock clients give up after 7 s without one.
const PING_EVERY: Duration = Duration::from_secs(5);

/// A client that sends nothing for this long, not even the answer to a ping, is gone (RS-016).
const GONE_AFTER: Duration = Duration::from_secs(9);

/// How long a client may take for its answer to the challenge.
const RESPONSE_WITHIN: Duration = Duration::from_secs(5);

/// The longest frame of a client, in octets. An answer to a challenge has 1 800.
const MAX_FRAME: usize = 16 * 1024;

/// The buffers of a connection, in octets, of which thousands may be idle.
const BUFFER: usize = 4096;

/// How long a frame of a few octets may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// The rate at which a longer one must go, in octets a second. A slower client has the line, or the server, for itself.
const SEND_RATE: u64 = LOWEST_RATE;

/// The rate at which a client must read before it counts as gone, in octets a second: it answers a ping after it has read
/// what was sent before.
const READ_RATE: u64 = 500;

/// But no longer than this.
const MAX_PATIENCE: Duration = Duration::from_secs(600);

/// Frames that are longer than this, in octets, have places of their own.
const LARGE: u64 = 1 << 20;

/// The most deliveries that are open at once, whatever a client asks for.
const MAX_WINDOW: u16 = 256;

/// Close codes (RFC 6455 §7.4.1, RS-016).
const COMPLETE: u16 = 1000;
const UNACCEPTABLE: u16 = 1003;
const POLICY: u16 = 1008;
const FAILED: u16 = 1011;
const AGAIN: u16 = 4000;

/// What the client asked for in the head of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CollectionTerms {
    /// Whether it ends once everything was collected.
    ends: bool,
    /// How many deliveries may be unacknowledged. Stock clients lose the second of two that come in one read, so they
    /// get one at a time.
    window: u16,
}

impl CollectionTerms {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mode = text("x-relaynet-streaming-mode").or_else(|| text("x-awala-streaming-mode"));
        let window = text(WINDOW_HEADER).and_then(|value| value.trim().parse().ok());
        Self {
            ends: mode
                .is_some_and(|mode| mode.trim().eq_ignore_ascii_case("close-upon-completion")),
            window: window.map_or(1, |window: u16| window.clamp(1, MAX_WINDOW)),
        }
    }
}

/// Begins a collection, if the request asks for a WebSocket.
pub(super) async fn upgrade(
    state: &Arc<FrontState>,
    peer: &Arc<PeerConnection>,
    request: Request<Body>,
) -> Response<Body> {
    let (mut head, _) = request.into_parts();
    let terms = CollectionTerms::of(&head.headers);
    let is_of_browser = head.headers.contains_key(ORIGIN);
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut head, &()).await else {
        let text = "this path is for a WebSocket";
        return answers::explained(StatusCode::NOT_FOUND, text, &head.headers);
    };
    let (state, peer) = (Arc::clone(state), Arc::clone(peer));
    upgrade
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_frame_size(MAX_FRAME)
        .max_message_size(MAX_FRAME)
        .on_upgrade(move |mut socket| async move {
            state.collections.fetch_add(1, Ordering::Relaxed);
            state.sessions.fetch_add(1, Ordering::Relaxed);
            let end = if is_of_browser {
                Some((POLICY, "no browsers".to_owned()))
            } else {
                collect(&state, &peer, &mut socket, terms).await
            };
            if let Some((code, reason)) = end {
                close(&mut socket, code, reason).await;
            }
            state.collections.fetch_sub(1, Ordering::Relaxed);
        })
}

/// Ends a connection with a code, and waits for the client's own a moment.
async fn close(socket: &mut WebSocket, code: u16, reason: String) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if timeout(SEND_WITHIN, socket.send(Message::Close(Some(frame))))
        .await
        .is_ok_and(|sent| sent.is_ok())
    {
        // A client that has not read the code yet would see a broken connection.
        let until_closed = async { while let Some(Ok(_)) = socket.recv().await {} };
        let _ = timeout(SEND_WITHIN, until_closed).await;
    }
}

/// Collects until either side ends it. Returns the code to close with; `None` where the client is gone.
async fn collect(
    state: &FrontState,
    peer: &PeerConnection,
    socket: &mut WebSocket,
    terms: CollectionTerms,
) -> Option<(u16, String)> {
    let again = || Some((AGAIN, "try again".to_owned()));
    let Some(mut collection) = state
        .keeper
        .begin_session(|session| ToKeeper::Collection { session }, Vec::new())
        .await
    else {
        return again();
    };
    let mut stops = state.stops.clone();
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = Instant::now();
    let mut heard = started;
    let mut patient_until = started;
    let mut has_answered = false;
    loop {
        tokio::select! {
            event = collection.events.recv() => match event {
                None => return again(),
                Some(CollectionEvent::End(end)) => return Some(code_of(end)),
                Some(CollectionEvent::Open(node)) => peer.shows_node(node),
                Some(CollectionEvent::Challenge(challenge)) => {
                    send(socket, Message::Binary(challenge.into())).await?;
                }
                Some(CollectionEvent::Delivery { id, len, parcel }) => {
                    deliver((state, peer), socket, &id, len, parcel).await?;
                    let (session, delivery) = (collection.id, id);
                    let sent = ToKeeper::Sent { session, delivery };
                    collection.tell(sent, Vec::new()).await;
                    // While it was under way nothing was read, and much of it may still be on the way.
                    heard = Instant::now();
                    let patience = Duration::from_secs(len / READ_RATE).min(MAX_PATIENCE);
                    patient_until = patient_until.max(heard + patience);
                }
            },
            message = socket.recv() => {
                heard = Instant::now();
                match message {
                    Some(Ok(message)) => {
                        let told = tell(&collection, message, terms, &mut has_answered).await;
                        if let Err(end) = told {
                            return end;
                        }
                    }
                    // Over the limit, or against the protocol: the library has closed it.
                    Some(Err(_)) | None => return None,
                }
            },
            _ = pings.tick() => {
                if heard.elapsed() >= GONE_AFTER && Instant::now() >= patient_until {
                    return None;
                }
                if !has_answered && started.elapsed() >= RESPONSE_WITHIN {
                    return Some((POLICY, "no answer to the challenge".to_owned()));
                }
                send(socket, Message::Ping(Bytes::new())).await?;
            }
            _ = stops.changed() => return again(),
        }
    }
}

/// Tells the keeper what the client sent. An error is the end of the connection.
async fn tell(
    collection: &CollectionLink,
    message: Message,
    terms: CollectionTerms,
    has_answered: &mut bool,
) -> Result<(), Option<(u16, String)>> {
    let session = collection.id;
    let octets = match message {
        Message::Binary(octets) if !*has_answered => {
            *has_answered = true;
            let head = ToKeeper::CollectionResponse {
                session,
                window: terms.window,
                ends: terms.ends,
            };
            collection.tell(head, octets.into()).await;
            return Ok(());
        }
        Message::Text(_) if !*has_answered => {
            let reason = "Invalid handshake response".to_owned();
            return Err(Some((UNACCEPTABLE, reason)));
        }
        // Deployed gateways take either.
        Message::Text(text) => Bytes::from(text),
        Message::Binary(octets) => octets,
        Message::Ping(_) | Message::Pong(_) => return Ok(()),
        Message::Close(_) => return Err(None),
    };
    let delivery = std::str::from_utf8(&octets)
        .ok()
        .filter(|id| id.len() <= MAX_DELIVERY_ID_LEN);
    let Some(delivery) = delivery.map(str::to_owned) else {
        let reason = "Unknown delivery id sent as acknowledgement".to_owned();
        return Err(Some((UNACCEPTABLE, reason)));
    };
    let head = ToKeeper::Collected { session, delivery };
    collection.tell(head, Vec::new()).await;
    Ok(())
}

fn code_of(end: CollectionClose) -> (u16, String) {
    match end {
        CollectionClose::Complete => (COMPLETE, String::new()),
        CollectionClose::Refused(reason) => (UNACCEPTABLE, reason),
        CollectionClose::Again | CollectionClose::Used => (AGAIN, "try again".to_owned()),
        CollectionClose::Failed => (FAILED, "the gateway failed".to_owned()),
    }
}

/// Sends a short message; `None` if the client does not take it.
async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    timeout(SEND_WITHIN, socket.send(message)).await.ok()?.ok()
}

/// Sends a parcel; `None` if the client does not take it.
async fn deliver(
    (state, peer): (&FrontState, &PeerConnection),
    socket: &mut WebSocket,
    id: &str,
    len: u64,
    parcel: ParcelSource,
) -> Option<()> {
    // A long frame is in memory twice, once in the library's buffer.
    let places = match len {
        len if len > LARGE => Some(&state.large_frames),
        len if len > MAX_INLINE as u64 => Some(&state.long_frames),
        _ => None,
    };
    let place = match places {
        Some(places) => Some(place(places, socket, &peer.written).await?),
        None => None,
    };
    let frame = frame(id, len, parcel).ok()?;
    let within = SEND_WITHIN + Duration::from_secs(len / SEND_RATE);
    let must_end = async {
        match &place {
            Some(place) => place.must_end().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        sent = timeout(within, socket.send(Message::Binary(frame.into()))) => sent.ok()?.ok()?,
        // Others wait for its place, and the client hardly reads: it gets the parcel in its next collection.
        () = must_end => return None,
    }
    state.octets_out.fetch_add(len, Ordering::Relaxed);
    Some(())
}

/// A place for a frame; `None` if the client goes away before there is one.
async fn place(
    places: &Arc<Places>,
    socket: &mut WebSocket,
    written: &Arc<AtomicU64>,
) -> Option<HeldPlace> {
    // A slow line is served while others can wait a little.
    let mut makes_room = false;
    loop {
        if let Some(place) = places.enter(written, PING_EVERY, makes_room).await {
            return Some(place);
        }
        makes_room = true;
        // Otherwise the client would give up.
        send(socket, Message::Ping(Bytes::new())).await?;
    }
}

/// The frame of a delivery.
fn frame(id: &str, len: u64, parcel: ParcelSource) -> io::Result<Vec<u8>> {
    let len = usize::try_from(len).map_err(io::Error::other)?;
    let mut frame = ParcelDelivery::encode_head(id, len);
    let head = frame.len();
    frame.reserve_exact(len);
    match parcel {
        ParcelSource::Octets(octets) => frame.extend_from_slice(&octets),
        ParcelSource::File(file) => read_whole(file, len, &mut frame)?,
    }
    if frame.len() - head == len {
        Ok(frame)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn read_whole(file: File, len: usize, into: &mut Vec<u8>) -> io::Result<()> {
    file.take(len as u64).read_to_end(into).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_head_of_a_request_says_how_it_is_collected() {
        let terms = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            let terms = CollectionTerms::of(&map);
            (terms.ends, terms.window)
        };
        assert_eq!(terms(&[]), (false, 1));
        let mode = "x-relaynet-streaming-mode";
        assert_eq!(terms(&[(mode, "keep-alive")]), (false, 1));
        assert_eq!(terms(&[(mode, "close-upon-completion")]), (true, 1));
        assert_eq!(
            terms(&[("x-awala-streaming-mode", "close-upon-completion")]),
            (true, 1)
        );
        for (asked, window) in [
            ("64", 64),
            ("0", 1),
            ("65535", MAX_WINDOW),
            ("x", 1),
            ("-1", 1),
        ] {
            assert_eq!(terms(&[(WINDOW_HEADER, asked)]), (false, window), "{asked}");
        }
    }

    #[test]
    fn a_frame_holds_the_parcel_from_wherever_it_comes() {
        let parcel = vec![7; 70_000];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&parcel).unwrap();
        file.rewind().unwrap();
        for source in [
            ParcelSource::Octets(parcel.clone()),
            ParcelSource::File(file),
        ] {
            let frame = frame("id", 70_000, source).unwrap();
            assert_eq!(frame, ParcelDelivery::encode("id", &parcel));
        }
        assert!(frame("id", 3, ParcelSource::Octets(vec![1; 2])).is_err());
    }
}
