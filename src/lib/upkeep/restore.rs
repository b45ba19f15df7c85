//! A node whose directory was restored from an old backup.
//!
//! It lacks the session keys that were created since, and the memory of messages received since.

use jiff::Timestamp;

use crate::disk::{FileRole, files};
use crate::node::seen;
use crate::node::{Directory, Error, sessions};
use crate::pki::Window;
use crate::spool;

/// Makes the node safe to use again, and returns how many session keys are retired.
///
/// Messages dated until `now` may have been received since the backup, so none of them is opened
/// without a record ([`seen::Recall::Unjudged`]). Each peer gets a new session key with the next
/// message to it, since it may hold a newer one than the backup has.
///
/// # Errors
/// When something cannot be read or stored; it is safe to run it again.
pub fn make_good(node: &Directory, now: Timestamp, window: &Window) -> Result<usize, Error> {
    let _lock = node.lock_exclusive()?;
    seen::restore_floor(node.root(), now, window)?;
    let retired = sessions::retire(node.root(), now)?;
    // It says what waited in another directory.
    let ledger = node.root().join(spool::SPOOL).join(spool::LEDGER);
    if files::exists(&ledger, FileRole::Spool)? {
        // What cannot be removed is no ledger that a program believes.
        let _ = files::remove(&ledger, FileRole::Spool);
    }
    // Last: until then other programs refuse a backup.
    node.end_restoration()?;
    Ok(retired)
}
