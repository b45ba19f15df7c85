//! The bodies of requests: how long they may be, how slow, and how many at once.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::header::{EXPECT, HeaderMap};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::pipeline::mutex::lock;
use crate::ramf::limits::MAX_MESSAGE_LEN;

/// The octets that a body must bring in each [`WINDOW`], or it ends: 4 kB/s.
const LEAST: u64 = 40_000;

/// How long is measured.
const WINDOW: Duration = Duration::from_secs(10);

/// How many long bodies are received at once.
pub(super) const LONG_BODIES: usize = 32;

/// A long body that is slower than this, in octets a second, makes room for another when all places are taken.
const SLOW: u64 = 64_000;

/// How long another one waits for that room.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// What is measured of a body before it may be called slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

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
    let (mut ends, mut in_window) = (Instant::now() + WINDOW, 0_u64);
    loop {
        let frame = match timeout_at(ends, body.frame()).await {
            Ok(None) => return Ok(len),
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
            Err(_) if in_window < LEAST => return Err(BodyError::TooSlow),
            Err(_) => {
                (ends, in_window) = (Instant::now() + WINDOW, 0);
                continue;
            }
        };
        let Ok(octets) = frame.into_data() else {
            continue; // trailers
        };
        let came = octets.len() as u64;
        (len, in_window) = (len + came, in_window + came);
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

/// The long bodies that are received now. When all places are taken, the slowest gives up its own.
#[derive(Debug)]
pub(super) struct LongBodies {
    places: Arc<Semaphore>,
    under_way: Mutex<Vec<Arc<LongBody>>>,
}

/// A long body.
#[derive(Debug)]
struct LongBody {
    since: Instant,
    octets: AtomicU64,
    /// Told when it has to give up its place.
    ends: Notify,
}

impl LongBody {
    /// Its octets a second; `None` while it is too young to tell.
    fn rate(&self, now: Instant) -> Option<u64> {
        let age = now.duration_since(self.since);
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        (age >= SLOW_AFTER).then(|| self.octets.load(Ordering::Relaxed) * 1000 / millis.max(1))
    }
}

/// The place of a long body.
#[derive(Debug)]
pub(super) struct BodyPlace {
    all: Arc<LongBodies>,
    body: Arc<LongBody>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for BodyPlace {
    fn drop(&mut self) {
        lock(&self.all.under_way).retain(|it| !Arc::ptr_eq(it, &self.body));
    }
}

impl BodyPlace {
    /// Receives a body into a file, as [`receive`].
    ///
    /// # Errors
    /// Also when it has to give up its place.
    pub(super) async fn receive(
        &self,
        body: &mut Body,
        most: u64,
        file: &mut File,
    ) -> Result<u64, BodyError> {
        tokio::select! {
            received = receive(body, most, BodySink::File(file), &self.body.octets) => received,
            () = self.body.ends.notified() => Err(BodyError::NoPlace),
        }
    }
}

impl LongBodies {
    /// So many places.
    #[must_use]
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            under_way: Mutex::default(),
        })
    }

    /// A place, at once or after a moment; `None` if all stay taken.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<BodyPlace> {
        let places = Arc::clone(&self.places);
        let permit = if let Ok(permit) = Arc::clone(&places).try_acquire_owned() {
            permit
        } else {
            self.end_slowest(Instant::now());
            let waited = timeout(ROOM_WITHIN, places.acquire_owned()).await;
            waited.ok()?.ok()?
        };
        let body = Arc::new(LongBody {
            since: Instant::now(),
            octets: AtomicU64::new(0),
            ends: Notify::new(),
        });
        lock(&self.under_way).push(Arc::clone(&body));
        Some(BodyPlace {
            all: Arc::clone(self),
            body,
            _permit: permit,
        })
    }

    /// Ends the slowest body, if it is slow.
    fn end_slowest(&self, now: Instant) {
        let under_way = lock(&self.under_way);
        let slowest = under_way
            .iter()
            .filter_map(|body| Some((body.rate(now)?, body)))
            .min_by_key(|(rate, _)| *rate);
        if let Some((rate, body)) = slowest
            && rate < SLOW
        {
            body.ends.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use axum::body::Bytes;
    use http_body_util::{Full, channel::Channel};

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
            for (rate, expected) in [(100, Err(BodyError::TooSlow)), (5000, Ok(300_000))] {
                let mut octets = Vec::new();
                let mut body = trickle(rate, 60);
                let sink = BodySink::Memory(&mut octets);
                let received = receive(&mut body, most, sink, &AtomicU64::new(0)).await;
                assert_eq!(received, expected, "{rate}");
            }
        });
    }

    #[test]
    fn the_slowest_of_many_makes_room() {
        run(async {
            let bodies = LongBodies::new(2);
            let fast = bodies.enter().await.unwrap();
            fast.body.octets.store(1 << 30, Ordering::Relaxed);
            let slow = bodies.enter().await.unwrap();
            let slow = tokio::spawn(async move {
                let mut file = tempfile::tempfile().unwrap();
                let mut body = trickle(5000, 60);
                let received = slow.receive(&mut body, 1 << 20, &mut file).await;
                let mut written = Vec::new();
                file.rewind().unwrap();
                file.read_to_end(&mut written).unwrap();
                (received, written.len())
            });
            tokio::time::sleep(Duration::from_millis(2500)).await;
            let third = bodies.enter().await.unwrap();
            assert_eq!(slow.await.unwrap(), (Err(BodyError::NoPlace), 10_000));
            // Where none is slow, who comes later waits, and gets nothing.
            third.body.octets.store(1 << 30, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2500)).await;
            assert!(bodies.enter().await.is_none());
            drop(third);
            assert!(bodies.enter().await.is_some());
            drop(fast);
        });
    }
}
