//! Hints that cargo has arrived, which free the medium where they lie, and the removal of old hints and
//! leftovers.
//!
//! `relaynet/got/<gateway>/<sha256>` holds the time at which the gateway had the cargo.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::layout::{Medium, denied, unreadable};
use super::{Error, ExchangeEvent};
use crate::asn1::{Hex, hex};
use crate::disk::dir::{Dir, DirEntry};
use crate::disk::tree::EntryKind;
use crate::pki::NodeId;

/// The largest hint that is read, in octets.
const MAX_HINT_LEN: usize = 64;

/// The age from which a hint is useless.
const HINT_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The age from which a temporary file is a leftover of a killed run.
const LEFTOVER_LIFE: Duration = Duration::from_secs(36 * 3600);

/// A hint that cargo has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    /// The gateway that has it.
    pub gateway: NodeId,
    /// The SHA-256 of the cargo's octets.
    pub sha256: [u8; 32],
    /// The time at which the gateway wrote the hint.
    pub date: Timestamp,
}

/// Directories that could not be listed, and the errors.
pub(super) type Unlisted = Vec<(String, Error)>;

/// Reports the directories that could not be listed.
pub(super) fn tell_unlisted<E>(
    unlisted: Unlisted,
    each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
) -> Result<(), E> {
    for (what, error) in unlisted {
        each(ExchangeEvent::Failed { what, error })?;
    }
    Ok(())
}

impl Medium {
    /// Writes a hint, for couriers who have the same cargo on another medium: they do not put it onto
    /// this one again.
    ///
    /// # Errors
    /// When it cannot be written; [`Error::Unreadable`] when its directory may not be used.
    pub fn hint(&self, hint: &Hint) -> Result<(), Error> {
        let (dir, tmp) = self.make_dirs("got", hint.gateway)?;
        let name = Hex(&hint.sha256).to_string();
        dir.publish(&name, &[hint.date.to_string().as_bytes(), b"\n"], &tmp)
            .map_err(denied)?;
        Ok(())
    }

    /// The hint that this cargo has arrived, if there is one that still counts.
    ///
    /// # Errors
    /// When the directory cannot be examined.
    pub fn hint_of(
        &self,
        gateway: NodeId,
        sha256: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<Hint>, Error> {
        let found = self.has_dir(&["got", &gateway.to_string()]);
        let dir = found.map_err(unreadable)?;
        let date = dir.and_then(|dir| date_of_hint(&dir, &Hex(&sha256).to_string(), now));
        Ok(date.map(|date| Hint {
            gateway,
            sha256,
            date,
        }))
    }

    /// Removes the useless hints of a gateway.
    fn tidy_hints(&self, gateway: NodeId, now: Timestamp) -> Result<(), Error> {
        let found = self.has_dir(&["got", &gateway.to_string()]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(());
        };
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            let name = name.to_str().unwrap_or_default();
            let sha256: Option<[u8; 32]> = hex::parse(name).and_then(|it| it.try_into().ok());
            // Other files are not ours, and stay.
            let is_hint = kind == Some(EntryKind::File)
                && sha256.is_some_and(|sha256| Hex(&sha256).to_string() == name);
            if is_hint && date_of_hint(&dir, name, now).is_none() {
                dir.remove(name)?;
            }
        }
        Ok(())
    }

    /// Removes old hints and leftovers of killed runs. Reports directories that cannot be listed.
    ///
    /// # Errors
    /// When something cannot be removed, or `each` failed.
    pub fn clean<E: From<Error>>(
        &self,
        now: Timestamp,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        tell_unlisted(self.tidy(now)?, each)
    }

    /// Removes old hints and leftovers. Returns the directories that cannot be listed.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(super) fn tidy(&self, now: Timestamp) -> Result<Unlisted, Error> {
        let mut unlisted = Vec::new();
        for gateway in self.gateways_in("got")?.0 {
            match self.tidy_hints(gateway, now) {
                Err(error @ Error::Unreadable(_)) => {
                    unlisted.push((format!("got/{gateway}"), error));
                }
                tidied => tidied?,
            }
        }
        let before = SystemTime::from(now).checked_sub(LEFTOVER_LIFE);
        if let (Some(tmp), Some(before)) = (self.has_dir(&["tmp"])?, before) {
            tmp.sweep(before)?;
        }
        Ok(unlisted)
    }
}

/// The date of a hint; `None` if the hint is damaged or too old. A date in the future counts as
/// well, since either clock may be wrong.
fn date_of_hint(dir: &Dir, name: &str, now: Timestamp) -> Option<Timestamp> {
    let octets = dir.read(name, MAX_HINT_LEN).ok()?;
    let date: Timestamp = String::from_utf8_lossy(&octets).trim().parse().ok()?;
    (date.duration_since(now).abs() <= HINT_LIFE).then_some(date)
}
