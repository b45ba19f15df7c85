//! Locking without poisoning: a panic of one thread ends the run, and the others need no error for
//! that.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also when a thread panicked while it held it. The caller makes sure that what it
/// guards is whole at each point at which that could happen.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a signal, and locks the mutex again as [`lock`] does.
pub fn wait<'a, T>(signal: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    signal.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
