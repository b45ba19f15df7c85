//! The space that is left on a medium, and the messages that do not fit.

use crate::medium::{Error, Medium};
use crate::message::message_set;

/// The most that a cargo takes besides its messages, in octets: certificates, and the blocks that
/// file systems round up to.
const OVERHEAD: u64 = 64 * 1024;

/// The free space of a medium, in octets. Messages reserve space before they are packed.
#[derive(Debug, Default)]
pub(super) struct Space {
    free: u64,
}

impl Space {
    /// The free space now, less a margin for directories and hints.
    ///
    /// # Errors
    /// When the file system cannot be queried.
    pub(super) fn of(medium: &Medium) -> Result<Self, Error> {
        let free = medium.free_space()?.saturating_sub(4 * OVERHEAD);
        Ok(Self { free })
    }

    /// Whether `octets` of messages for this many next hops may not fit.
    pub(super) fn is_scarce(&self, octets: u64, hops: usize) -> bool {
        octets + OVERHEAD * hops as u64 > self.free
    }

    /// Reserves space for a message of `len` octets. Returns false if it does not fit.
    pub(super) fn reserve(&mut self, len: usize) -> bool {
        let needed = message_set::item_len(len) as u64;
        let fits = needed + OVERHEAD <= self.free;
        if fits {
            self.free -= needed;
        }
        fits
    }

    /// Takes the overhead of this many cargoes.
    pub(super) fn take_overhead(&mut self, cargoes: usize) {
        let taken = OVERHEAD * cargoes as u64;
        self.free = self.free.saturating_sub(taken);
    }

    /// Notes that the medium is full, although more free space was reported.
    pub(super) fn exhaust(&mut self) {
        self.free = 0;
    }
}

/// Messages that do not fit.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Left {
    pub messages: usize,
    pub octets: u64,
}

impl Left {
    pub(super) fn add(&mut self, messages: usize, octets: u64) {
        self.messages += messages;
        self.octets += octets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_fits_only_beside_the_overhead_of_its_cargo() {
        let needed = message_set::item_len(100) as u64;
        let mut space = Space {
            free: OVERHEAD + needed,
        };
        assert!(space.reserve(100));
        assert!(!space.reserve(100));
        space.take_overhead(2);
        assert!(space.is_scarce(1, 0) && !space.is_scarce(0, 0));
    }
}
