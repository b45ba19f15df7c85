//! Memory that messages were in and is free again. A large message in each of several threads would otherwise leave its
//! own behind there.

use std::sync::{Mutex, PoisonError};

/// How much free memory is kept: no more messages are under way at a time.
const MAX_FREE: usize = 4;

/// Free memory, for whoever reads the next message.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Some, with whatever is in it.
    pub(super) fn take(&self) -> Vec<u8> {
        self.free().pop().unwrap_or_default()
    }

    /// Takes it back.
    pub(super) fn put(&self, octets: Vec<u8>) {
        let mut free = self.free();
        if free.len() < MAX_FREE {
            free.push(octets);
        }
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // Nothing in here can panic while the lock is held, so what it guards is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
