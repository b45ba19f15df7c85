//! Work on many items at once: on every core, in order, within a bound of memory. Nothing here
//! knows what a message is.

pub mod mutex; // locking without poisoning
pub mod pool; // buffers that are used again
pub mod workers; // an ordered worker pool

pub use pool::Buffers;
pub use workers::{Bounds, WorkItem};
