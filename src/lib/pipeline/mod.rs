//! Work on many messages at once: every core, in order, within a bound of memory. Nothing here knows what a message is.

pub mod pool; // memory that is used again
pub mod workers; // work on every core, with the results in order

pub use pool::Buffers;
pub use workers::{Bounds, WorkItem};
