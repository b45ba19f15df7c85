//! Parallel work on many items: on every core, with results in order, in bounded memory. Nothing
//! here knows about messages.

pub mod mutex; // locking without poisoning
pub mod pool; // buffers that are used again
pub mod workers; // an ordered worker pool

pub use pool::Buffers;
pub use workers::{Bounds, WorkItem};
