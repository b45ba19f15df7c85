//! Locks mutexes regardless of poisoning: a panic of one thread ends the run, so the others need no
//! error for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even if a thread panicked while holding it. The caller makes sure that the
/// guarded value is consistent wherever that can happen.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a signal, and locks the mutex again as [`lock`] does.
pub fn wait<'a, T>(signal: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    signal.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
