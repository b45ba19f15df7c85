//! Cargo that a client collects (RS-008 §CollectCargo): sent as the keeper has it, and each is the client's once it
//! acknowledges that.
//!
//! Stock clients take an error for the end of the whole exchange, before they deliver what they have. So a call ends well
//! inside the time that the client gives it.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use hyper::{Request, Response};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::grpc::{self, CallDeadline};
use super::link::{CollectionEvent, CollectionLink, ParcelSource};
use super::state::{FrontState, RequestUnderWay};
use crate::binding::cogrpc::frame::PREFIX_LEN;
use crate::binding::cogrpc::{CargoDeliveryAck, FrameDecoder, GrpcCode, GrpcStatus, authorization};
use crate::serve::protocol::{CollectionClose, ServeRole, ToKeeper};

/// Of the time that the client gave, the part after which nothing new is sent, and the part after which the call ends, in
/// hundredths.
const SEND_PART: u32 = 50;
const END_PART: u32 = 80;

/// How long a call lasts at most.
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// How long a call that is to end still waits for what is being sent.
const END_WITHIN: Duration = Duration::from_secs(60);

/// The pieces in which cargo is sent, in octets, and the time that each may take: 500 octets a second, as clients of ours
/// read at least.
const PIECE: usize = 16 * 1024;
const PIECE_WITHIN: Duration = Duration::from_secs(32);

/// The longest acknowledgement, in octets. That of a UUID has 38.
const MAX_ACK: usize = 1024;

/// The tags of the fields of a delivery.
const ID_TAG: u8 = 0x0a;
const CARGO_TAG: u8 = 0x12;

/// Something to send.
enum OutgoingPart {
    Delivery {
        id: String,
        len: u64,
        cargo: ParcelSource,
    },
    End(GrpcStatus),
}

/// Begins a call, if the request shows that its sender may collect.
pub(super) async fn answer(
    state: &Arc<FrontState>,
    mut request: Request<Body>,
    deadline: CallDeadline,
) -> Response<Body> {
    let bare = |code| grpc::refusal(&GrpcStatus::bare(code));
    let Some(under_way) = state.begin() else {
        return bare(GrpcCode::Unavailable);
    };
    let mut shown = request.headers().get_all(authorization::HEADER).iter();
    let cca = match (shown.next(), shown.next()) {
        (Some(value), None) => value.to_str().ok().and_then(authorization::parse),
        _ => None,
    };
    let Some(cca) = cca else {
        // As deployed couriers do, who have nothing for somebody who asks for nothing.
        return bare(match state.terms.role {
            ServeRole::Courier => GrpcCode::Ok,
            _ => GrpcCode::Unauthenticated,
        });
    };
    let within = deadline
        .part(SEND_PART)
        .map_or(WITHIN, |part| part.min(WITHIN));
    let begin = |session| ToKeeper::CargoCollection {
        session,
        within: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
    };
    let Some(mut link) = state.keeper.begin_session(begin, cca).await else {
        return bare(GrpcCode::Unavailable);
    };
    match link.events.recv().await {
        // Couriers carry requests, so one shows nothing of who shows it.
        Some(CollectionEvent::Open(_)) => {}
        Some(CollectionEvent::End(end)) => return grpc::refusal(&status_of(&end)),
        _ => return bare(GrpcCode::Unavailable),
    }
    let activity = request.extensions_mut().remove::<Arc<RequestUnderWay>>();
    let (sender, body) = Channel::<Bytes>::new(1);
    let (outgoing, queue) = mpsc::unbounded_channel();
    let (state, acks) = (Arc::clone(state), request.into_body());
    let latest = Instant::now() + WITHIN;
    let ends = deadline.at(END_PART).map_or(latest, |at| at.min(latest));
    tokio::spawn(async move {
        let writer = tokio::spawn(write(Arc::clone(&state), sender, queue));
        let status = serve(&state, link, acks, &outgoing, ends).await;
        if let Some(status) = status {
            let _ = outgoing.send(OutgoingPart::End(status));
            let _ = timeout(END_WITHIN, writer).await;
        } else {
            writer.abort();
        }
        drop((under_way, activity));
    });
    grpc::begun(Body::new(body))
}

/// How a call ends because of how the keeper ends the collection.
fn status_of(end: &CollectionClose) -> GrpcStatus {
    match end {
        CollectionClose::Complete => GrpcStatus::bare(GrpcCode::Ok),
        CollectionClose::Refused(text) => {
            GrpcStatus::with_text(GrpcCode::Unauthenticated, text.clone())
        }
        // With a text, however empty, deployed couriers would keep the request and show it again.
        CollectionClose::Used => GrpcStatus::bare(GrpcCode::PermissionDenied),
        CollectionClose::Again => GrpcStatus::with_text(GrpcCode::Unavailable, "there is more"),
        CollectionClose::Failed => GrpcStatus::with_text(GrpcCode::Unavailable, "try again later"),
    }
}

/// Hands on what the keeper sends and what the client acknowledges. Returns the status at the end; `None` if the client is
/// gone.
async fn serve(
    state: &FrontState,
    mut link: CollectionLink,
    mut acks: Body,
    outgoing: &mpsc::UnboundedSender<OutgoingPart>,
    ends: Instant,
) -> Option<GrpcStatus> {
    let session = link.id;
    let mut decoder = FrameDecoder::new(MAX_ACK);
    let mut stops = state.stops.clone();
    let (mut is_time_up, mut is_half_closed, mut is_told) = (false, false, false);
    loop {
        tokio::select! {
            event = link.events.recv() => match event {
                Some(CollectionEvent::Delivery { id, len, parcel }) => {
                    // An error means that the client is gone.
                    outgoing.send(OutgoingPart::Delivery { id, len, cargo: parcel }).ok()?;
                }
                Some(CollectionEvent::End(end)) => return Some(status_of(&end)),
                Some(_) => {}
                None => return Some(GrpcStatus::bare(GrpcCode::Unavailable)),
            },
            frame = acks.frame(), if !is_half_closed => match frame {
                None => is_half_closed = true,
                Some(Err(_)) => return None,
                Some(Ok(frame)) => {
                    let Ok(octets) = frame.into_data() else { continue };
                    decoder.feed(octets);
                    loop {
                        match decoder.next_decoded::<CargoDeliveryAck>() {
                            Ok(Some(CargoDeliveryAck { id: delivery })) => {
                                let head = ToKeeper::CargoCollected { session, delivery };
                                link.tell(head, Vec::new()).await;
                            }
                            Ok(None) => break,
                            Err(error) => {
                                return Some(GrpcStatus::with_text(error.code(), error.to_string()));
                            }
                        }
                    }
                }
            },
            () = outgoing.closed() => return None,
            () = sleep_until(ends), if !is_time_up => is_time_up = true,
            _ = stops.changed(), if !is_time_up => is_time_up = true,
        }
        // Without acknowledgements nothing more can come of it, either.
        if (is_time_up || is_half_closed) && !is_told {
            is_told = true;
            link.tell(ToKeeper::CargoTimeUp { session }, Vec::new())
                .await;
        }
    }
}

/// Sends what there is to send, in order.
async fn write(
    state: Arc<FrontState>,
    mut sender: Sender<Bytes>,
    mut queue: mpsc::UnboundedReceiver<OutgoingPart>,
) {
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            OutgoingPart::Delivery { id, len, cargo } => {
                if deliver(&mut sender, &id, len, cargo).await.is_none() {
                    return; // which ends the call
                }
                state.octets_out.fetch_add(len, Ordering::Relaxed);
            }
            OutgoingPart::End(status) => {
                let _ = sender.send_trailers(grpc::trailers(&status)).await;
                return;
            }
        }
    }
}

/// Sends a cargo; `None` if the client does not take it, or the file is not what it was.
async fn deliver(
    sender: &mut Sender<Bytes>,
    id: &str,
    len: u64,
    cargo: ParcelSource,
) -> Option<()> {
    send(sender, head(id, len)?).await?;
    let mut left = len;
    match cargo {
        ParcelSource::Octets(octets) => send(sender, octets.into()).await,
        ParcelSource::File(file) => {
            let mut file = file.take(len);
            while left > 0 {
                let piece = read_piece(&mut file)
                    .ok()
                    .filter(|piece| !piece.is_empty())?;
                left -= piece.len() as u64;
                send(sender, piece).await?;
            }
            Some(())
        }
    }
}

fn read_piece(file: &mut io::Take<File>) -> io::Result<Bytes> {
    let mut piece = Vec::with_capacity(PIECE);
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok(piece.into())
}

async fn send(sender: &mut Sender<Bytes>, octets: Bytes) -> Option<()> {
    timeout(PIECE_WITHIN, sender.send_data(octets))
        .await
        .ok()?
        .ok()
}

/// What is before the octets of a cargo in its delivery. `None` for one that is too long for any.
fn head(id: &str, len: u64) -> Option<Bytes> {
    let mut message = vec![ID_TAG];
    prost::encoding::encode_varint(id.len() as u64, &mut message);
    message.extend_from_slice(id.as_bytes());
    message.push(CARGO_TAG);
    prost::encoding::encode_varint(len, &mut message);
    let whole = u32::try_from(message.len() as u64 + len).ok()?;
    let mut head = Vec::with_capacity(PREFIX_LEN + message.len());
    head.push(0); // not compressed
    head.extend_from_slice(&whole.to_be_bytes());
    head.extend_from_slice(&message);
    Some(head.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binding::cogrpc::{CargoDelivery, frame};

    #[test]
    fn the_head_and_the_cargo_are_a_delivery() {
        for len in [0_usize, 1, 127, 128, 70_000] {
            let cargo = vec![7; len];
            let id = "8f14e45f-ceea-467f-a0e6-c0ffee000001";
            let whole = CargoDelivery {
                id: id.to_owned(),
                cargo: cargo.clone().into(),
            };
            let sent = [&head(id, len as u64).unwrap()[..], &cargo].concat();
            let mut decoder = FrameDecoder::new(1 << 20);
            decoder.feed(sent.clone().into());
            assert_eq!(decoder.next_decoded(), Ok(Some(whole.clone())));
            if len > 0 {
                assert_eq!(frame::encode(&whole).unwrap(), sent);
            }
        }
    }
}
