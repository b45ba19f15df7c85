//! Counts the control messages of a gateway, of which only so many wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ramf::Kind;
use crate::spool::Queue;

/// The most rotations of a gateway that wait to be applied; one cargo has two.
const MAX_ROTATIONS: usize = 100;

/// The most deauthorizations that a gateway brought and that wait to be applied.
const MAX_PDDS: usize = 1000;

/// The rotations and deauthorizations that wait from one gateway.
#[derive(Debug, Default)]
pub(super) struct ControlTally {
    rotations: AtomicUsize,
    pdds: AtomicUsize,
}

impl ControlTally {
    /// Counts those in the queue of a gateway. relay-route reports one that cannot be listed.
    pub(super) fn count(&self, queue: &Queue) {
        let (mut rotations, mut pdds) = (0, 0);
        for waiting in queue.messages().into_iter().flatten().map_while(Result::ok) {
            match waiting.name.identity.kind {
                Kind::Rotation => rotations += 1,
                Kind::Pdd => pdds += 1,
                _ => {}
            }
            if rotations >= MAX_ROTATIONS && pdds >= MAX_PDDS {
                break;
            }
        }
        self.rotations.store(rotations, Ordering::Relaxed);
        self.pdds.store(pdds, Ordering::Relaxed);
    }

    /// Counts one more of this kind. Whether as many waited already as may.
    pub(super) fn is_over(&self, kind: Kind) -> bool {
        let (count, most) = match kind {
            Kind::Rotation => (&self.rotations, MAX_ROTATIONS),
            Kind::Pdd => (&self.pdds, MAX_PDDS),
            _ => return false,
        };
        count.fetch_add(1, Ordering::Relaxed) >= most
    }
}
