//! Messages that are the same but for the form in which they are written, which nobody signed.

use std::path::Path;

use super::Error;
use crate::disk::{self, FileRole, files};
use crate::message::Item;
use crate::ramf::{SignedMessage, limits};

/// Whether the file `held` makes `octets` useless: it holds the same message, with the same certificates, in
/// whatever encoding. What cannot be read there is another one.
pub(super) fn is_twin(held: &Path, octets: &[u8]) -> bool {
    let Ok(held) = files::read(held, FileRole::Spool, limits::MAX_MESSAGE_LEN) else {
        return false;
    };
    held == octets || are_twins(held, octets)
}

/// The same for two files; `from` is the one that is to go.
///
/// # Errors
/// When `from` cannot be read.
pub(super) fn is_twin_of_file(held: &Path, from: &Path) -> Result<bool, Error> {
    let octets = files::read(from, FileRole::Spool, limits::MAX_MESSAGE_LEN)?;
    Ok(is_twin(held, &octets))
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

/// Whatever certificates come with a message, it is shown to be authorized by them: with others it is another one.
fn is_same(held: &SignedMessage, other: &SignedMessage) -> bool {
    held.kind() == other.kind()
        && held.fields() == other.fields()
        && held.payload() == other.payload()
        && held.sender_certificate() == other.sender_certificate()
        && held.attached() == other.attached()
        && held.verify_signature().is_ok()
}

/// Whether something else has a name already.
pub(super) fn is_taken(error: &Error) -> bool {
    matches!(
        error,
        Error::Disk(disk::Error::Exists { .. } | disk::Error::NotRegular { .. })
    )
}
