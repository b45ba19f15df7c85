//! The replay memory: `seen/<day of expiry>`, records of 32 octets.
//!
//! A record is the digest of a message's identity. Its file is named for the day on which the
//! message expires, after which the memory of it is no longer needed; `seen/floor` has the newest
//! expiry that was ever purged, below which nothing can be judged any more.

use std::path::Path;

use jiff::Timestamp;

use super::Error;
use super::directory::{damaged, ensure_dir, lock_file, read_text};
use crate::crypto::hash::{Digest, Hasher};
use crate::disk::{Lock, Role, files, tree};
use crate::pki::NodeId;
use crate::ramf::{Kind, SignedMessage};

/// Octets of a record.
const RECORD_LEN: usize = 32;

/// The longest file that is read, in octets: 30 million messages of one day.
const MAX_FILE_LEN: usize = 1 << 30;

/// The name of the file with the newest expiry ever purged.
const FLOOR: &str = "floor";

/// What makes two messages the same: their kind, recipient, sender and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    record: [u8; RECORD_LEN],
    expiry: Timestamp,
}

impl Identity {
    /// The identity of a message.
    #[must_use]
    pub fn of(message: &SignedMessage) -> Self {
        let fields = message.fields();
        Self::new(
            message.kind(),
            fields.recipient,
            message.sender(),
            &fields.id,
            fields.expiry(),
        )
    }

    /// The identity of the message with these facts.
    #[must_use]
    pub fn new(kind: Kind, recipient: NodeId, sender: NodeId, id: &str, expiry: Timestamp) -> Self {
        // Every part but the last has a fixed length, so no two identities hash the same octets.
        let mut hasher = Hasher::new(Digest::Sha256);
        hasher.update(&[kind.octet()]);
        hasher.update(recipient.digest());
        hasher.update(sender.digest());
        hasher.update(id.as_bytes());
        let mut record = [0; RECORD_LEN];
        record.copy_from_slice(hasher.finish().as_bytes());
        Self { record, expiry }
    }
}

/// The name of the file for what happens on this day: `2027-05-22`.
pub(super) fn day_name(at: Timestamp) -> String {
    jiff::tz::Offset::UTC.to_datetime(at).date().to_string()
}

/// Whether the message was remembered, or can no longer be judged. The same identity counts on
/// whatever day it expires.
///
/// # Errors
/// When the memory cannot be read.
pub fn contains(root: &Path, message: &Identity) -> Result<bool, Error> {
    let seen = root.join("seen");
    for entry in tree::entries(&seen, Role::Node)?.complete()? {
        if entry.kind != tree::Kind::File {
            continue;
        }
        if entry.name == FLOOR {
            let text = read_text(&entry.path)?.unwrap_or_default();
            let floor: Timestamp = text
                .trim()
                .parse()
                .map_err(|_| damaged(&entry.path, &"not an instant"))?;
            if message.expiry <= floor {
                return Ok(true);
            }
        } else {
            let records = files::read(&entry.path, Role::Node, MAX_FILE_LEN)?;
            // A torn record at the end was never relied upon.
            if records
                .chunks_exact(RECORD_LEN)
                .any(|record| record == message.record)
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Remembers the message; it is on disk when this returns.
///
/// # Errors
/// When it cannot be stored.
pub fn add(root: &Path, message: &Identity) -> Result<(), Error> {
    let seen = root.join("seen");
    let day = seen.join(day_name(message.expiry));
    let _lock = Lock::exclusive(&lock_file(root, "seen")?)?;
    if !files::exists(&day, Role::Node)? {
        ensure_dir(root, &seen)?;
    }
    files::append_record(&day, Role::Node, &message.record)?;
    Ok(())
}
