//! A node whose directory was restored from an old backup.
//!
//! It lacks the session keys that were made since, and the memory of what was received since.

use jiff::Timestamp;

use crate::node::seen::{self, Floor};
use crate::node::{Directory, Error, sessions};

/// Makes the node safe to be used again: whatever was made until `now` is taken for received unless it is known not
/// to be, and each peer gets a new session key with the next message to it, since it may hold a newer one than is
/// known here. Gives how many keys are not put into messages any more.
///
/// # Errors
/// When something cannot be read or stored; it may be repeated.
pub fn make_good(node: &Directory, now: Timestamp) -> Result<usize, Error> {
    let _lock = node.lock_exclusive()?;
    let floor = Floor {
        expiry: None,
        dated: Some(now),
    };
    seen::raise_floor(node.root(), floor)?;
    sessions::retire(node.root(), now)
}
