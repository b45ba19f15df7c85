//! The folders of a spool that are not queues.

/// Temporary files, until they are in a queue.
pub(crate) const TMP: &str = "tmp";

/// The spool itself, in a node directory.
pub(super) const SPOOL: &str = "spool";

/// Notes of relay-deliver for its next run: the names of files that it is about to create.
pub const DELIVERING: &str = "delivering";

/// Notes on what happened to messages, a file for each day.
pub(crate) const SENT: &str = "sent";
