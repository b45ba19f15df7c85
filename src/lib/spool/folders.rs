//! The folders of a spool that are not queues.

/// Temporary files, until they are in a queue.
pub(crate) const TMP: &str = "tmp";

/// The spool itself, in a node directory.
pub(crate) const SPOOL: &str = "spool";

/// Notes of relay-deliver and relay-route for their next run.
pub(crate) const DELIVERING: &str = "delivering";

/// Notes on what happened to messages, a file for each day.
pub(crate) const SENT: &str = "sent";

/// The medium for what goes over the network by CogRPC.
pub(crate) const WIRE: &str = "wire";
