//! The bodies of requests: how long they may be, how slow, and how many at once.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::header::{EXPECT, HeaderMap};
use tokio::time::{Instant, timeout};

use super::places::HeldPlace;
use crate::binding::pace::{LOWEST_RATE, Pace};
use crate::ramf::limits::MAX_MESSAGE_LEN;

/// The rate that a body must keep up, in octets a second: as our clients do, so that a line of 9.6 kbit/s serves. Who is slow
/// is the first to go when places are scarce.
const LEAST: u64 = LOWEST_RATE;

/// How far it may be behind that.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the rest of a body is still read after its answer.
const DRAINED_FOR: Duration = Duration::from_secs(1);

/// Why a body did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is longer than allowed.
    TooLong,
    /// It came too slowly.
    TooSlow,
    /// Others need its place more.
    NoPlace,
    /// The connection ended or broke the protocol.
    Broken,
    /// What came could not be written.
    NotWritten,
}

/// Receives a body in a place, as [`receive`].
///
/// # Errors
/// Also when it has to give up its place.
pub(super) async fn receive_in(
    place: &HeldPlace,
    body: &mut Body,
    most: u64,
    sink: BodySink<'_>,
) -> Result<u64, BodyError> {
    tokio::select! {
        received = receive(body, most, sink, place.octets()) => received,
        () = place.must_end() => Err(BodyError::NoPlace),
    }
}

/// The length that a body announces, if it does.
#[must_use]
pub(super) fn announced(body: &Body) -> Option<u64> {
    body.size_hint().exact()
}

/// Where a body goes.
pub(super) enum BodySink<'a> {
    /// Into memory.
    Memory(&'a mut Vec<u8>),
    /// Into a file, from its beginning.
    File(&'a mut File),
}

/// Receives a body of at most `most` octets. Returns its length.
///
/// # Errors
/// When it does not come whole.
pub(super) async fn receive(
    body: &mut Body,
    most: u64,
    mut sink: BodySink<'_>,
    counted: &AtomicU64,
) -> Result<u64, BodyError> {
    let mut len = 0_u64;
    let mut pace = Pace::new(SILENCE, LEAST, Instant::now().into_std());
    loop {
        let left = pace.left(Instant::now().into_std());
        let left = left.map_err(|_| BodyError::TooSlow)?;
        let frame = match timeout(left, body.frame()).await {
            Ok(None) => return Ok(len),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
            Err(_) => continue,
        };
        let Ok(octets) = frame.into_data() else {
            continue; // trailers
        };
        let came = octets.len() as u64;
        len += came;
        pace.add(came, Instant::now().into_std());
        counted.store(len, Ordering::Relaxed);
        if len > most {
            return Err(BodyError::TooLong);
        }
        match &mut sink {
            BodySink::Memory(memory) => memory.extend_from_slice(&octets),
            // Into the system's cache, which takes less time than to hand it to another thread.
            BodySink::File(file) => {
                file.write_all(&octets).map_err(|_| BodyError::NotWritten)?;
            }
        }
    }
}

/// Reads and drops what is left of a body for a moment, while its answer goes out: a client that still writes would find
/// a broken connection, and not the answer. One that waits to be told to go on sends nothing.
pub(super) fn let_go(mut body: Body, request: &HeaderMap) {
    if body.is_end_stream() || request.contains_key(EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let until_end = async {
            let mut left = MAX_MESSAGE_LEN;
            while let Some(Ok(frame)) = body.frame().await {
                let len = frame.data_ref().map_or(0, axum::body::Bytes::len);
                match left.checked_sub(len) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        };
        let _ = timeout(DRAINED_FOR, until_end).await;
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use axum::body::Bytes;
    use http_body_util::{Full, channel::Channel};

    use super::super::places::Places;
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_body_is_received_up_to_its_limit() {
        run(async {
            for (most, expected) in [(5, Ok(5)), (4, Err(BodyError::TooLong))] {
                let mut octets = Vec::new();
                let mut body = Body::new(Full::new(Bytes::from_static(b"12345")));
                assert_eq!(announced(&body), Some(5));
                let sink = BodySink::Memory(&mut octets);
                let received = receive(&mut body, most, sink, &AtomicU64::new(0)).await;
                assert_eq!(received, expected);
                assert_eq!(octets, if expected.is_ok() { &b"12345"[..] } else { b"" });
            }
        });
    }

    /// A body that comes at this rate, in octets a second.
    fn trickle(rate: usize, seconds: u32) -> Body {
        let (mut sender, body) = Channel::<Bytes>::new(1);
        tokio::spawn(async move {
            for _ in 0..seconds {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if sender.send_data(Bytes::from(vec![7; rate])).await.is_err() {
                    return;
                }
            }
        });
        Body::new(body)
    }

    #[test]
    fn a_slow_body_ends_and_one_that_keeps_up_does_not() {
        run(async {
            let most = 1 << 20;
            for (rate, expected) in [
                (0, Err(BodyError::TooSlow)),
                (450, Err(BodyError::TooSlow)),
                (550, Ok(198_000)),
            ] {
                let mut octets = Vec::new();
                let mut body = trickle(rate, 360);
                let sink = BodySink::Memory(&mut octets);
                let received = receive(&mut body, most, sink, &AtomicU64::new(0)).await;
                assert_eq!(received, expected, "{rate}");
            }
        });
    }

    #[test]
    fn a_body_that_has_to_make_room_ends() {
        run(async {
            let places = Places::new(1);
            let slow = places.enter_for_body().await.unwrap();
            let slow = tokio::spawn(async move {
                let mut file = tempfile::tempfile().unwrap();
                let mut body = trickle(5000, 60);
                let sink = BodySink::File(&mut file);
                let received = receive_in(&slow, &mut body, 1 << 20, sink).await;
                let mut written = Vec::new();
                file.rewind().unwrap();
                file.read_to_end(&mut written).unwrap();
                (received, written.len())
            });
            tokio::time::sleep(Duration::from_millis(2500)).await;
            assert!(places.enter_for_body().await.is_some());
            assert_eq!(slow.await.unwrap(), (Err(BodyError::NoPlace), 10_000));
        });
    }
}
