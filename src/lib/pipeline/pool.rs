//! Memory that messages were in and is free again. If each large message were given new memory, that would have to be
//! cleared each time, and what several threads free would pile up with each of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many pieces of free memory are kept.
const MAX_FREE: usize = 4;

/// Free memory, for whoever reads the next message.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// The smallest piece for `len` octets, empty. A piece twice as large is left for a larger message: this one would
    /// keep it from that. Where there is none, it is one without memory.
    #[must_use]
    pub fn take(&self, len: usize) -> Vec<u8> {
        let mut free = self.free();
        let fits = len..=len.saturating_mul(2);
        let smallest = (0..free.len())
            .filter(|&at| fits.contains(&free[at].capacity()))
            .min_by_key(|&at| free[at].capacity());
        let mut octets = smallest.map_or_else(Vec::new, |at| free.swap_remove(at));
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
    fn the_largest_pieces_are_kept_and_the_smallest_that_fits_is_given() {
        let buffers = Buffers::default();
        assert_eq!(buffers.take(1).capacity(), 0);
        for capacity in [10, 60, 20, 50, 41, 30] {
            let mut octets = Vec::with_capacity(capacity);
            octets.push(1);
            buffers.put(octets);
        }
        // Those of 30, 41, 50 and 60 were kept.
        for (len, capacity) in [
            (14, 0),
            (61, 0),
            (40, 41),
            (40, 50),
            (40, 60),
            (40, 0),
            (15, 30),
        ] {
            let octets = buffers.take(len);
            assert!(octets.is_empty());
            assert_eq!(octets.capacity(), capacity, "{len}");
        }
    }
}
