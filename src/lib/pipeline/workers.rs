//! An ordered worker pool: items are worked on by every core, and their results come in the order
//! of the items.
//!
//! The items under way are bounded in number and in octets, so that a stream of any length needs no
//! more memory than a few of its messages.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;

use super::mutex::{lock, wait};

/// Maximum number of items under way.
const MAX_ITEMS: usize = 256;

/// How many results wait before the reader is woken for them, unless the workers run out of items.
const WAKE_AT: usize = 64;

/// Bounds of the octets under way and of the number of workers.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Maximum octets of items under way; a single item may have more.
    pub octets: usize,
    /// Maximum number of workers.
    pub workers: usize,
}

impl Bounds {
    /// This many octets, and as many workers as there are cores.
    #[must_use]
    pub fn octets(octets: usize) -> Self {
        Self {
            octets,
            workers: thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

/// An item, and how many octets it occupies until its result is finished.
#[derive(Debug)]
pub struct WorkItem<T> {
    /// The item.
    pub item: T,
    /// How many octets it occupies.
    pub octets: usize,
}

/// The state that the reader and the workers share.
struct Shared<T, R> {
    /// Items that no worker has taken yet, with their numbers.
    waiting: VecDeque<(usize, T)>,
    /// Results that the reader has not taken yet, by the numbers of their items.
    results: BTreeMap<usize, R>,
    /// No more items will come, or a worker panicked.
    is_over: bool,
    has_panicked: bool,
}

struct Workers<T, R> {
    shared: Mutex<Shared<T, R>>,
    /// Signals to workers that an item waits, or that no more will come.
    items: Condvar,
    /// Signals to the reader that results wait.
    results: Condvar,
}

impl<T, R> Workers<T, R> {
    fn lock(&self) -> MutexGuard<'_, Shared<T, R>> {
        // No code panics while it holds the lock, so the state is consistent.
        lock(&self.shared)
    }

    fn work(&self, work: impl Fn(T) -> R) {
        let alarm = Alarm(self);
        let mut shared = self.lock();
        loop {
            if let Some((number, item)) = shared.waiting.pop_front() {
                drop(shared);
                let result = work(item);
                shared = self.lock();
                shared.results.insert(number, result);
                // Not for each result: that would cost a context switch for each.
                if shared.waiting.is_empty() || shared.results.len() >= WAKE_AT {
                    self.results.notify_one();
                }
            } else if shared.is_over {
                break;
            } else {
                shared = wait(&self.items, shared);
            }
        }
        drop(shared);
        // No panic: the alarm must not go off.
        std::mem::forget(alarm);
    }

    /// Waits for the result of an item; `None` if a worker panicked.
    fn take(&self, number: usize) -> Option<R> {
        let mut shared = self.lock();
        loop {
            if shared.has_panicked {
                return None;
            }
            if let Some(result) = shared.results.remove(&number) {
                return Some(result);
            }
            shared = wait(&self.results, shared);
        }
    }

    fn put(&self, number: usize, item: T) {
        self.lock().waiting.push_back((number, item));
        self.items.notify_one();
    }

    fn end(&self) {
        let mut shared = self.lock();
        shared.is_over = true;
        // After an error of the reader, nobody takes these results.
        shared.waiting.clear();
        self.items.notify_all();
    }
}

/// Wakes all threads when a worker panics.
struct Alarm<'a, T, R>(&'a Workers<T, R>);

impl<T, R> Drop for Alarm<'_, T, R> {
    fn drop(&mut self) {
        let mut shared = self.0.lock();
        shared.has_panicked = true;
        shared.is_over = true;
        self.0.items.notify_all();
        self.0.results.notify_all();
    }
}

/// Ends the workers when the reader returns, fails or panics.
struct Finished<'a, T, R>(&'a Workers<T, R>);

impl<T, R> Drop for Finished<'_, T, R> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Calls `work` with the items from `next`, on several cores at once, and `finish` with the
/// results, on this thread and in order. A single item is worked on by this thread.
///
/// # Errors
/// The first error of `finish`; `next` is not called after it.
///
/// # Panics
/// When `work` does.
pub fn in_order<T: Send, R: Send, E>(
    bounds: Bounds,
    mut next: impl FnMut() -> Option<WorkItem<T>>,
    work: impl Fn(T) -> R + Sync,
    mut finish: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let Some(first) = next() else {
        return Ok(());
    };
    // A single item needs no threads.
    let Some(second) = next() else {
        return finish(work(first.item));
    };
    if bounds.workers < 2 {
        finish(work(first.item))?;
        finish(work(second.item))?;
        while let Some(item) = next() {
            finish(work(item.item))?;
        }
        return Ok(());
    }
    let workers = Workers {
        shared: Mutex::new(Shared {
            waiting: VecDeque::new(),
            results: BTreeMap::new(),
            is_over: false,
            has_panicked: false,
        }),
        items: Condvar::new(),
        results: Condvar::new(),
    };
    thread::scope(|scope| {
        for _ in 0..bounds.workers {
            scope.spawn(|| workers.work(&work));
        }
        // The scope waits for all workers, so they must end however this closure ends.
        let _end = Finished(&workers);
        let mut ahead = [first, second].into_iter();
        // The octets of each item under way; the first is item number `taken`.
        let mut under_way: VecDeque<usize> = VecDeque::new();
        let mut octets = 0;
        let mut taken = 0;
        while let Some(item) = ahead.next().or_else(&mut next) {
            octets += item.octets;
            workers.put(taken + under_way.len(), item.item);
            under_way.push_back(item.octets);
            // One item stays under way, so that a worker is busy while results are finished.
            while under_way.len() > 1 && (under_way.len() > MAX_ITEMS || octets > bounds.octets) {
                // A worker panicked: `thread::scope` passes the panic on when it joins the thread.
                let Some(result) = workers.take(taken) else {
                    return Ok(());
                };
                taken += 1;
                octets -= under_way.pop_front().unwrap_or(0);
                finish(result)?;
            }
        }
        for _ in under_way {
            let Some(result) = workers.take(taken) else {
                return Ok(());
            };
            taken += 1;
            finish(result)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        octets: 100,
        workers: 3,
    };

    fn weighed(count: usize, octets: usize) -> impl FnMut() -> Option<WorkItem<usize>> {
        let mut numbers = 0..count;
        move || numbers.next().map(|item| WorkItem { item, octets })
    }

    fn collect(bounds: Bounds, count: usize, octets: usize) -> Vec<usize> {
        let mut results = Vec::new();
        let work = |item: usize| {
            if item.is_multiple_of(3) {
                thread::sleep(Duration::from_micros(200));
            }
            item * 2
        };
        let done: Result<(), ()> = in_order(bounds, weighed(count, octets), work, |result| {
            results.push(result);
            Ok(())
        });
        done.unwrap();
        results
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for workers in 1..4 {
            for (count, octets) in [(0, 1), (1, 1), (2, 1), (3, 1000), (100, 30), (2000, 0)] {
                let expected: Vec<usize> = (0..count).map(|item| item * 2).collect();
                let bounds = Bounds { workers, ..BOUNDS };
                assert_eq!(
                    collect(bounds, count, octets),
                    expected,
                    "{workers} {count}"
                );
            }
        }
    }

    #[test]
    fn no_more_octets_are_under_way_than_allowed() {
        let under_way = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let mut source = weighed(200, 30);
        let next = || {
            source().inspect(|_| {
                let now = under_way.fetch_add(30, Ordering::SeqCst) + 30;
                most.fetch_max(now, Ordering::SeqCst);
            })
        };
        let done: Result<(), ()> = in_order(BOUNDS, next, drop, |()| {
            under_way.fetch_sub(30, Ordering::SeqCst);
            Ok(())
        });
        done.unwrap();
        // One was read when all that is allowed was under way.
        assert_eq!(most.load(Ordering::SeqCst), 120);
    }

    #[test]
    fn after_an_error_nothing_more_is_read() {
        let read = AtomicUsize::new(0);
        let mut source = weighed(1_000_000, 50);
        let next = || {
            read.fetch_add(1, Ordering::SeqCst);
            source()
        };
        let done = in_order(
            BOUNDS,
            next,
            |item| item,
            |item| if item == 5 { Err(item) } else { Ok(()) },
        );
        assert_eq!(done, Err(5));
        assert!(read.load(Ordering::SeqCst) < 12);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_of_a_worker_ends_it_all() {
        let done: Result<(), ()> = in_order(
            BOUNDS,
            weighed(1000, 1),
            |item| assert_ne!(item, 500),
            |()| Ok(()),
        );
        done.unwrap();
    }
}
