//! Parallel work on many items: on every core, with results in order, in bounded memory. Nothing
//! here knows about messages.

pub mod mutex; // locking without poisoning
pub mod once; // values that are read when they are first needed
pub mod pool; // buffers that are used again
pub mod workers; // an ordered worker pool

pub use once::Once;
pub use pool::Buffers;
pub use workers::{Bounds, WorkItem};
