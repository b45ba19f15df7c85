//! What happened at a server, in order, and waiting for it.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::listener::held;

/// The limit of a wait: only a fault reaches it.
const LIMIT: Duration = Duration::from_secs(60);

/// Events in the order in which they happened. Copies share them.
pub(crate) struct Journal<E> {
    shared: Arc<(Mutex<Vec<E>>, Condvar)>,
}

impl<E> Clone for Journal<E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<E: Clone> Journal<E> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new((Mutex::new(Vec::new()), Condvar::new())),
        }
    }

    /// Adds an event, and wakes who waits.
    pub(crate) fn add(&self, event: E) {
        held(&self.shared.0).push(event);
        self.shared.1.notify_all();
    }

    /// All events until now.
    pub(crate) fn all(&self) -> Vec<E> {
        held(&self.shared.0).clone()
    }

    /// How many events are such.
    pub(crate) fn count(&self, is_such: impl Fn(&E) -> bool) -> usize {
        let events = held(&self.shared.0);
        events.iter().filter(|event| is_such(event)).count()
    }

    /// Waits until the events are as wanted, and returns them; panics after a minute.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, is_enough: impl Fn(&[E]) -> bool) -> Vec<E> {
        let end = Instant::now() + LIMIT;
        let mut events = held(&self.shared.0);
        while !is_enough(&events) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "in {LIMIT:?} this did not happen: {what}");
            let woken = self.shared.1.wait_timeout(events, left);
            events = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        events.clone()
    }
}
