//! Memory that messages were in and is free again. If each large message were given new memory, that would have to be
//! cleared each time, and what several threads free would pile up with each of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many pieces of free memory are kept: no more large messages are under way at a time.
const MAX_FREE: usize = 4;

/// Free memory, for whoever reads the next message.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// The largest piece there is, empty; a new one if there is none.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        let mut free = self.free();
        let largest = (0..free.len()).max_by_key(|&at| free[at].capacity());
        let mut octets = largest.map_or_else(Vec::new, |at| free.swap_remove(at));
        octets.clear();
        octets
    }

    /// Takes back memory; of too many pieces the smallest is given up.
    pub fn put(&self, octets: Vec<u8>) {
        let mut free = self.free();
        free.push(octets);
        if free.len() > MAX_FREE {
            let smallest = (0..free.len()).min_by_key(|&at| free[at].capacity());
            smallest.map(|at| free.swap_remove(at));
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // Nothing in here can panic while the lock is held, so what it guards is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_pieces_are_kept_and_given_first() {
        let buffers = Buffers::default();
        assert_eq!(buffers.take().capacity(), 0);
        for capacity in [10, 60, 20, 50, 40, 30] {
            let mut octets = Vec::with_capacity(capacity);
            octets.push(1);
            buffers.put(octets);
        }
        for capacity in [60, 50, 40, 30] {
            let octets = buffers.take();
            assert!(octets.is_empty());
            assert_eq!(octets.capacity(), capacity);
        }
        assert_eq!(buffers.take().capacity(), 0);
    }
}
