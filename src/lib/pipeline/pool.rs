//! A pool of buffers. Without it, the kernel would have to clear the memory of each large message
//! anew, and the allocator would keep freed memory for each thread, so that memory would grow with
//! their number.

use std::sync::{Mutex, MutexGuard};

use super::mutex::lock;

/// Maximum number of free buffers.
const MAX_FREE: usize = 4;

/// Buffers that held a message and are free for the next one.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Takes the smallest free buffer, emptied, whose capacity is between `len` octets and twice
    /// that: a larger one is left for a larger message. Otherwise returns a new buffer without
    /// memory.
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

    /// Puts a buffer back. If there are too many, the smallest is freed.
    pub fn put(&self, octets: Vec<u8>) {
        let mut free = self.free();
        free.push(octets);
        if free.len() > MAX_FREE {
            let smallest = (0..free.len()).min_by_key(|&at| free[at].capacity());
            smallest.map(|at| free.swap_remove(at));
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // No code panics while it holds the lock, so the list is consistent.
        lock(&self.0)
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
