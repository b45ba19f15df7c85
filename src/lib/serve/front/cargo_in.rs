//! Cargo that a client delivers (RS-008 §DeliverCargo): each is acknowledged once the keeper has stored it.
//!
//! Deployed clients end a call once nothing is left to be acknowledged, although they have more to send. So the
//! acknowledgement of the newest cargo is held until the next one begins to come, or for a moment.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::{Request, Response};
use tokio::time::{Instant, timeout, timeout_at};

use super::body_turns::{self, RoomHeld};
use super::grpc::{self, CallDeadline};
use super::link::KeeperAnswer;
use super::places::HeldPlace;
use super::state::{FrontState, PeerConnection, RequestUnderWay};
use crate::binding::cogrpc::frame::{self, FramePiece, FrameSplitter};
use crate::binding::cogrpc::{CargoDeliveryAck, FrameError, GrpcCode, GrpcStatus, MAX_MESSAGE};
use crate::binding::pace::{LOWEST_RATE, Pace};
use crate::serve::channel::MAX_INLINE;
use crate::serve::protocol::{ParcelRoute, ServeVerdict, ToKeeper};

/// How long the acknowledgement of the newest cargo is held, at most. With half of it a stock client still stopped when its
/// next cargo took longer to make.
const HOLD: Duration = Duration::from_secs(1);

/// Of the time that the client gave, the part of what is left that it is held at most: a third.
const HOLD_PART: u32 = 3;

/// How long a client may take between two cargoes.
const NEXT_WITHIN: Duration = Duration::from_secs(120);

/// How long nothing may come within a cargo.
const SILENCE: Duration = Duration::from_secs(30);

/// How long an acknowledgement may take to be sent.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// What came.
enum Came {
    Piece(FramePiece),
    /// The client sends nothing more.
    End,
    /// Nothing came in time.
    Nothing,
}

/// The messages of a client.
struct CargoStream {
    body: Body,
    chunk: Bytes,
    splitter: FrameSplitter,
}

/// Why a call ends before the client ends it.
enum CallEnd {
    Status(GrpcStatus),
    /// The client is gone.
    Gone,
}

impl From<FrameError> for CallEnd {
    fn from(error: FrameError) -> Self {
        Self::Status(GrpcStatus::with_text(error.code(), error.to_string()))
    }
}

impl CallEnd {
    fn of(code: GrpcCode, text: &str) -> Self {
        Self::Status(GrpcStatus::with_text(code, text))
    }
}

impl CargoStream {
    async fn next(&mut self, until: Instant) -> Result<Came, CallEnd> {
        loop {
            if let Some(piece) = self.splitter.next_piece(&mut self.chunk)? {
                return Ok(Came::Piece(piece));
            }
            match timeout_at(until, self.body.frame()).await {
                Err(_) => return Ok(Came::Nothing),
                Ok(None) => {
                    self.splitter.finish()?;
                    return Ok(Came::End);
                }
                Ok(Some(Err(_))) => return Err(CallEnd::Gone),
                Ok(Some(Ok(frame))) => {
                    if let Ok(octets) = frame.into_data() {
                        self.chunk = octets;
                    }
                }
            }
        }
    }
}

/// An acknowledgement that is held.
struct HeldAck {
    id: String,
    until: Instant,
}

/// Begins a call.
pub(super) fn answer(
    state: &Arc<FrontState>,
    peer: &Arc<PeerConnection>,
    mut request: Request<Body>,
    deadline: CallDeadline,
) -> Response<Body> {
    let Some(under_way) = state.begin() else {
        let text = "the server is about to stop";
        return grpc::refusal(&GrpcStatus::with_text(GrpcCode::Unavailable, text));
    };
    let activity = request.extensions_mut().remove::<Arc<RequestUnderWay>>();
    let (mut acks, body) = Channel::<Bytes>::new(1);
    let (state, peer) = (Arc::clone(state), Arc::clone(peer));
    let stream = CargoStream {
        body: request.into_body(),
        chunk: Bytes::new(),
        splitter: FrameSplitter::new(MAX_MESSAGE),
    };
    tokio::spawn(async move {
        let mut call = DeliveryCall {
            state: &state,
            peer: &peer,
            stream,
            deadline,
        };
        let status = match call.take_all(&mut acks).await {
            Ok(()) => GrpcStatus::bare(GrpcCode::Ok),
            Err(CallEnd::Status(status)) => status,
            Err(CallEnd::Gone) => return,
        };
        let sent = acks.send_trailers(grpc::trailers(&status));
        let _ = timeout(SEND_WITHIN, sent).await;
        drop((under_way, activity));
    });
    grpc::begun(Body::new(body))
}

/// A call that is under way.
struct DeliveryCall<'a> {
    state: &'a FrontState,
    peer: &'a PeerConnection,
    stream: CargoStream,
    deadline: CallDeadline,
}

impl DeliveryCall<'_> {
    /// Takes cargo until the client ends it.
    async fn take_all(&mut self, acks: &mut Sender<Bytes>) -> Result<(), CallEnd> {
        let mut held: Option<HeldAck> = None;
        loop {
            let until = match &held {
                Some(held) => held.until,
                None => self.sooner(Instant::now() + NEXT_WITHIN),
            };
            let came = self.stream.next(until).await;
            // Whatever comes next: the newest is not held any longer.
            if let Some(held) = held.take() {
                acknowledge(acks, held.id).await?;
                if matches!(came, Ok(Came::Nothing)) {
                    continue;
                }
            }
            match came? {
                Came::End => return Ok(()),
                Came::Nothing => return Err(self.too_late()),
                Came::Piece(FramePiece::Begins(len)) => {
                    let id = self.take(len).await?;
                    let until = self.hold_until();
                    held = Some(HeldAck { id, until });
                }
                // Each message was taken whole.
                Came::Piece(FramePiece::Octets(_) | FramePiece::Ends) => {
                    return Err(FrameError::Malformed.into());
                }
            }
        }
    }

    /// This instant, or the client's deadline if that is sooner.
    fn sooner(&self, at: Instant) -> Instant {
        self.deadline.at(100).map_or(at, |end| end.min(at))
    }

    /// Until when an acknowledgement is held.
    fn hold_until(&self) -> Instant {
        let now = Instant::now();
        let left = self
            .deadline
            .at(100)
            .map(|end| end.saturating_duration_since(now));
        now + left.map_or(HOLD, |left| HOLD.min(left / HOLD_PART))
    }

    fn too_late(&self) -> CallEnd {
        if self
            .deadline
            .at(100)
            .is_some_and(|end| Instant::now() >= end)
        {
            CallEnd::of(GrpcCode::DeadlineExceeded, "the time for the call is over")
        } else {
            CallEnd::of(GrpcCode::Unavailable, "nothing came for too long")
        }
    }

    /// Receives a message of this length, and has it stored. Returns the id of the delivery.
    async fn take(&mut self, len: usize) -> Result<String, CallEnd> {
        let Some(_turn) = body_turns::turn(self.state, self.peer).await else {
            let text = "too much cargo at once";
            return Err(CallEnd::of(GrpcCode::Unavailable, text));
        };
        let (verdict, id) = if len <= MAX_INLINE {
            self.take_short(len).await?
        } else {
            self.take_long(len).await?
        };
        match grpc::status_of(&verdict) {
            None => Ok(String::from_utf8_lossy(&id).into_owned()),
            Some(status) => Err(CallEnd::Status(status)),
        }
    }

    async fn take_short(&mut self, len: usize) -> Result<CargoVerdict, CallEnd> {
        let place = self.state.short_bodies.enter_for_body().await;
        let place = place.ok_or_else(no_place)?;
        let mut octets = Vec::with_capacity(len);
        self.receive(&place, |piece| {
            octets.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        let call = self.state.keeper.new_call();
        let route = ParcelRoute::Carried;
        let asks = ToKeeper::Parcel { call, route };
        Ok(verdict(self.state, call, asks, octets).await)
    }

    async fn take_long(&mut self, len: usize) -> Result<CargoVerdict, CallEnd> {
        let place = self
            .state
            .long_bodies
            .enter_for_body()
            .await
            .ok_or_else(no_place)?;
        let call = self.state.keeper.new_call();
        let asks = ToKeeper::Room {
            call,
            route: ParcelRoute::Carried,
            len: len as u64,
        };
        let mut file: File = match self.state.keeper.ask(call, asks, Vec::new()).await {
            Some(KeeperAnswer::Room(file)) => file,
            Some(KeeperAnswer::Verdict(verdict, id, _)) => return Ok((verdict, id)),
            _ => {
                return Err(CallEnd::of(
                    GrpcCode::Unavailable,
                    "the server is about to stop",
                ));
            }
        };
        let room = RoomHeld::new(self.state, call);
        self.receive(&place, |piece| file.write_all(piece)).await?;
        room.used();
        let route = ParcelRoute::Carried;
        let asks = ToKeeper::Parcel { call, route };
        Ok(verdict(self.state, call, asks, Vec::new()).await)
    }

    /// Receives a message, piece by piece.
    async fn receive(
        &mut self,
        place: &HeldPlace,
        mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), CallEnd> {
        let mut progress = Pace::new(SILENCE, LOWEST_RATE, Instant::now().into_std());
        loop {
            let left = progress.left(Instant::now().into_std());
            let left =
                left.map_err(|slow| CallEnd::of(GrpcCode::Unavailable, &slow.to_string()))?;
            let until = self.sooner(Instant::now() + left);
            let came = tokio::select! {
                came = self.stream.next(until) => came?,
                () = place.must_end() => return Err(no_place()),
            };
            match came {
                Came::Piece(FramePiece::Octets(octets)) => {
                    progress.add(octets.len() as u64, Instant::now().into_std());
                    let len = octets.len() as u64;
                    place.octets().fetch_add(len, Ordering::Relaxed);
                    self.state.octets_in.fetch_add(len, Ordering::Relaxed);
                    write(&octets).map_err(|_| {
                        CallEnd::of(GrpcCode::Unavailable, "it cannot be stored now")
                    })?;
                }
                Came::Piece(FramePiece::Ends) => {
                    place.is_done();
                    return Ok(());
                }
                Came::Nothing
                    if self
                        .deadline
                        .at(100)
                        .is_some_and(|end| Instant::now() >= end) =>
                {
                    return Err(self.too_late());
                }
                Came::Nothing => {}
                Came::End | Came::Piece(FramePiece::Begins(_)) => {
                    return Err(FrameError::Truncated.into());
                }
            }
        }
    }
}

/// The verdict on cargo, and the id of its delivery. Whoever carries cargo shows nothing of its sender.
type CargoVerdict = (ServeVerdict, Vec<u8>);

async fn verdict(
    state: &FrontState,
    call: crate::serve::protocol::CallId,
    head: ToKeeper,
    body: Vec<u8>,
) -> CargoVerdict {
    match state.keeper.ask(call, head, body).await {
        Some(KeeperAnswer::Verdict(verdict, id, _)) => (verdict, id),
        _ => (body_turns::stopping(), Vec::new()),
    }
}

fn no_place() -> CallEnd {
    CallEnd::of(GrpcCode::Unavailable, "too much cargo at once")
}

async fn acknowledge(acks: &mut Sender<Bytes>, id: String) -> Result<(), CallEnd> {
    let ack = frame::encode(&CargoDeliveryAck { id })?;
    match timeout(SEND_WITHIN, acks.send_data(ack)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(CallEnd::Gone),
    }
}
