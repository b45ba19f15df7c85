//! Session keys of senders that an Internet node does not know: `strangers/<day>/<id>.pem`.
//!
//! Anybody may write to such a node, so what is kept of them is bounded; a key counts once its
//! holder is imported.

use std::path::Path;

use jiff::Timestamp;

use super::Error;
use super::directory::{damaged, read_text, store as store_file};
use super::key_file::{self, Headers};
use crate::disk::{Role, tree};
use crate::pki::NodeId;
use crate::session::PublicSessionKey;

/// How many strangers are remembered in a day.
const DAILY_QUOTA: usize = 10_000;

/// The date of the message that brought a key.
const DATE: &str = "Date";

/// Remembers the session key of a stranger, unless today's quota is reached.
///
/// # Errors
/// When it cannot be stored.
pub fn store(
    root: &Path,
    stranger: NodeId,
    key: &PublicSessionKey,
    date: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    if newest(root, stranger)?.is_some_and(|(_, known)| known >= date) {
        return Ok(());
    }
    let day = root.join("strangers").join(super::seen::day_name(now));
    let path = day.join(format!("{stranger}.pem"));
    if tree::entries(&day, Role::Node)?.entries.len() >= DAILY_QUOTA && read_text(&path)?.is_none()
    {
        return Ok(());
    }
    let mut headers = Headers::default();
    headers.set(DATE, &date);
    store_file(
        root,
        &path,
        key_file::public_to_text(key, &headers).as_bytes(),
    )
}

/// Whether as many strangers as are remembered in a day were heard of today already.
///
/// # Errors
/// When today's folder cannot be read.
pub fn is_full(root: &Path, now: Timestamp) -> Result<bool, Error> {
    let day = root.join("strangers").join(super::seen::day_name(now));
    Ok(tree::entries(&day, Role::Node)?.entries.len() >= DAILY_QUOTA)
}

/// The newest session key that a stranger sent, and the date of the message that brought it.
///
/// # Errors
/// When it cannot be read.
pub fn newest(
    root: &Path,
    stranger: NodeId,
) -> Result<Option<(PublicSessionKey, Timestamp)>, Error> {
    let mut newest: Option<(PublicSessionKey, Timestamp)> = None;
    for day in tree::entries(&root.join("strangers"), Role::Node)?.entries {
        let path = day.path.join(format!("{stranger}.pem"));
        if let Some(text) = read_text(&path)? {
            let (key, headers) = key_file::public_from_text(text.as_bytes())
                .map_err(|error| damaged(&path, &error))?;
            let date = headers.date(DATE).unwrap_or(Timestamp::MIN);
            if newest.as_ref().is_none_or(|(_, known)| date > *known) {
                newest = Some((key, date));
            }
        }
    }
    Ok(newest)
}
