//! Places for what takes memory or a file while it moves: bodies that come, and long frames that go. When all are taken,
//! who is slowest gives up its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::pipeline::mutex::lock;

/// Who is slower than this, in octets a second, makes room for another when all places are taken.
const SLOW: u64 = 64_000;

/// How long another body waits for that room.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// How often somebody is looked for meanwhile who is slow.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is measured of a place before its holder may be called slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// Some places.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Vec<Arc<TakenPlace>>>,
}

/// A place that somebody has.
#[derive(Debug)]
struct TakenPlace {
    octets: Arc<AtomicU64>,
    /// When its octets were last looked at, and how many they were.
    seen: Mutex<(Instant, u64)>,
    /// Told when it has to be given up.
    ends: Notify,
}

impl TakenPlace {
    /// Its octets a second since somebody last looked; `None` while that is too short a time to tell.
    fn rate(&self, now: Instant) -> Option<u64> {
        let mut seen = lock(&self.seen);
        let (since, before) = *seen;
        let age = now.duration_since(since);
        if age < SLOW_AFTER {
            return None;
        }
        let octets = self.octets.load(Ordering::Relaxed);
        *seen = (now, octets);
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Some(octets.saturating_sub(before).saturating_mul(1000) / millis.max(1))
    }
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct HeldPlace {
    all: Arc<Places>,
    place: Arc<TakenPlace>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.is_done();
    }
}

impl HeldPlace {
    /// The octets that moved, by which its pace is measured.
    pub(super) fn octets(&self) -> &AtomicU64 {
        &self.place.octets
    }

    /// What it was taken for has moved whole: what is left is up to this server, so it has not to be given up.
    pub(super) fn is_done(&self) {
        lock(&self.all.taken).retain(|it| !Arc::ptr_eq(it, &self.place));
    }

    /// Waits until the place has to be given up.
    pub(super) async fn must_end(&self) {
        self.place.ends.notified().await;
    }
}

impl Places {
    /// So many places.
    #[must_use]
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(places)),
            taken: Mutex::default(),
        })
    }

    /// A place for a body, at once or after a moment; `None` if all stay taken.
    pub(super) async fn enter_for_body(self: &Arc<Self>) -> Option<HeldPlace> {
        let octets = Arc::new(AtomicU64::new(0));
        self.enter(&octets, ROOM_WITHIN, true).await
    }

    /// A place for what moves these octets, at once or within a time; with `makes_room`, who is slow has to go meanwhile.
    pub(super) async fn enter(
        self: &Arc<Self>,
        octets: &Arc<AtomicU64>,
        within: Duration,
        makes_room: bool,
    ) -> Option<HeldPlace> {
        let acquiring = Arc::clone(&self.free).acquire_owned();
        tokio::pin!(acquiring);
        let ends = Instant::now() + within;
        let mut wait = Duration::ZERO;
        let permit = loop {
            if let Ok(permit) = timeout(wait, acquiring.as_mut()).await {
                break permit.ok()?;
            }
            let now = Instant::now();
            if now >= ends {
                return None;
            }
            if makes_room {
                self.end_slowest(now);
            }
            wait = LOOK_EVERY.min(ends - now);
        };
        let seen = (Instant::now(), octets.load(Ordering::Relaxed));
        let place = Arc::new(TakenPlace {
            octets: Arc::clone(octets),
            seen: Mutex::new(seen),
            ends: Notify::new(),
        });
        lock(&self.taken).push(Arc::clone(&place));
        Some(HeldPlace {
            all: Arc::clone(self),
            place,
            _permit: permit,
        })
    }

    /// Tells the slowest to go, if it is slow.
    fn end_slowest(&self, now: Instant) {
        let mut taken = lock(&self.taken);
        let slowest = taken
            .iter()
            .enumerate()
            .filter_map(|(at, place)| Some((place.rate(now)?, at)))
            .min();
        if let Some((rate, at)) = slowest
            && rate < SLOW
        {
            // No longer among them, so that the next who waits gets another one's place.
            taken.swap_remove(at).ends.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
            .block_on(future)
    }

    async fn is_told(place: &HeldPlace) -> bool {
        timeout(Duration::from_millis(1), place.must_end())
            .await
            .is_ok()
    }

    #[test]
    fn the_slowest_of_many_makes_room() {
        run(async {
            let places = Places::new(2);
            let fast = places.enter_for_body().await.unwrap();
            let slow = places.enter_for_body().await.unwrap();
            fast.octets().store(1 << 30, Ordering::Relaxed);
            slow.octets().store(5000, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let ended = tokio::spawn(async move { slow.must_end().await });
            let third = places.enter_for_body().await.unwrap();
            ended.await.unwrap();
            assert!(!is_told(&fast).await);
            // Where none is slow, who comes later waits, and gets nothing.
            third.octets().store(1 << 30, Ordering::Relaxed);
            fast.octets().store(1 << 40, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1500)).await;
            assert!(places.enter_for_body().await.is_none());
            drop(third);
            assert!(places.enter_for_body().await.is_some());
        });
    }

    #[test]
    fn who_was_fast_once_is_slow_when_nothing_moves() {
        run(async {
            let places = Places::new(1);
            let octets = Arc::new(AtomicU64::new(77));
            let held = places.enter(&octets, ROOM_WITHIN, true).await.unwrap();
            octets.store(1 << 30, Ordering::Relaxed);
            tokio::time::sleep(SLOW_AFTER).await;
            // Without making room, nobody has to go.
            let other = Arc::new(AtomicU64::new(0));
            assert!(places.enter(&other, ROOM_WITHIN, false).await.is_none());
            assert!(!is_told(&held).await);
            let ended = tokio::spawn(async move { held.must_end().await });
            // The first look finds it fast, the second one a second later does not.
            assert!(places.enter(&other, ROOM_WITHIN, true).await.is_some());
            ended.await.unwrap();
        });
    }

    #[test]
    fn many_silent_ones_make_room_for_as_many() {
        run(async {
            let places = Places::new(256);
            for _ in 0..256 {
                let held = places.enter_for_body().await.unwrap();
                tokio::spawn(async move { held.must_end().await });
            }
            tokio::time::sleep(SLOW_AFTER).await;
            let entering = (0..64).map(|_| {
                let places = Arc::clone(&places);
                tokio::spawn(async move { places.enter_for_body().await })
            });
            let entering: Vec<_> = entering.collect();
            for entered in entering {
                assert!(entered.await.unwrap().is_some());
            }
        });
    }
}
