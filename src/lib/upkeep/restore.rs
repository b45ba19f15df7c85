//! A node whose directory was restored from an old backup.
//!
//! It lacks the session keys that were made since, and the memory of what was received since.

use jiff::Timestamp;

use crate::node::seen;
use crate::node::{Directory, Error, sessions};
use crate::pki::Window;

/// Makes the node safe to be used again: whatever was made until `now` is taken for received unless it is known not
/// to be, and each peer gets a new session key with the next message to it, since it may hold a newer one than is
/// known here. Gives how many keys are not put into messages any more.
///
/// # Errors
/// When something cannot be read or stored; it may be repeated.
pub fn make_good(node: &Directory, now: Timestamp, window: &Window) -> Result<usize, Error> {
    let _lock = node.lock_exclusive()?;
    seen::restore_floor(node.root(), now, window)?;
    sessions::retire(node.root(), now)
}
