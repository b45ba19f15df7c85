//! The folders of a spool that are no queues.

/// Where files are written, in the spool.
pub(crate) const TMP: &str = "tmp";

/// The folder of the spool in a node directory.
pub(super) const SPOOL: &str = "spool";

/// The folder for what programs that deliver note for the next run.
pub const DELIVERING: &str = "delivering";

/// The folder of the files, in the spool.
pub(crate) const SENT: &str = "sent";
