//! Messages that differ only in their encoding, which no signature covers.

use std::path::Path;

use super::Error;
use crate::disk::{self, FileRole, files};
use crate::message::Item;
use crate::ramf::{SignedMessage, limits};

/// Whether the file `held` has the message of `octets`, with the same certificates, in any
/// encoding. A file that cannot be read counts as another message.
pub(super) fn is_twin(held: &Path, octets: &[u8]) -> bool {
    let Ok(held) = files::read(held, FileRole::Spool, limits::MAX_MESSAGE_LEN) else {
        return false;
    };
    held == octets || are_twins(held, octets)
}

/// As [`is_twin`], for two files; `from` is the one that the caller would remove.
///
/// # Errors
/// When `from` cannot be read.
pub(super) fn is_twin_of_file(held: &Path, from: &Path) -> Result<bool, Error> {
    match files::read(from, FileRole::Spool, limits::MAX_MESSAGE_LEN) {
        Ok(octets) => Ok(is_twin(held, &octets)),
        // It is no message, so it is in no other encoding either.
        Err(disk::Error::TooLarge { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn are_twins(held: Vec<u8>, other: &[u8]) -> bool {
    match (Item::parse(held), Item::parse(other.to_vec())) {
        (Ok(Item::Pca(held)), Ok(Item::Pca(other))) => *held == *other,
        (Ok(held), Ok(other)) => match (held.message(), other.message()) {
            (Some(held), Some(other)) => is_same(held, other),
            _ => false,
        },
        _ => false,
    }
}

/// Certificates are compared, too: they may be what proves the authorization, so with others it
/// counts as another message.
fn is_same(held: &SignedMessage, other: &SignedMessage) -> bool {
    held.kind() == other.kind()
        && held.fields() == other.fields()
        && held.payload() == other.payload()
        && held.sender_certificate() == other.sender_certificate()
        && held.attached() == other.attached()
        // A damaged or forged file must not cause the removal of a good one.
        && held.verify_signature().is_ok()
}

/// Whether the error is that another file has the name.
pub(super) fn is_taken(error: &Error) -> bool {
    matches!(
        error,
        Error::Disk(disk::Error::Exists { .. } | disk::Error::NotRegular { .. })
    )
}
