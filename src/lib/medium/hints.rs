//! Hints that cargo has arrived, which free the medium where they lie, and the removal of old hints, marks and
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

/// The largest hint or mark that is read, in octets.
const MAX_HINT_LEN: usize = 128;

/// The age from which a hint is useless.
const HINT_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// How long after a hint was written a clock is believed that nothing else vouches for.
const VOUCHED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

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

impl Hint {
    /// The directory on the medium that it belongs to.
    pub(super) fn dir_name(&self) -> String {
        format!("got/{}", self.gateway)
    }
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
        let date = dir.and_then(|dir| date_of_hint(&dir, &Hex(&sha256).to_string()));
        Ok(date.filter(|date| counts(*date, now)).map(|date| Hint {
            gateway,
            sha256,
            date,
        }))
    }

    /// Gives the hints or marks of a gateway to `each`, until one returns true: the directory, the name, and the date,
    /// which a damaged one lacks. Returns whether one did.
    fn any_hint(
        &self,
        folder: &str,
        gateway: NodeId,
        mut each: impl FnMut(&Dir, &str, Option<Timestamp>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let found = self.has_dir(&[folder, &gateway.to_string()]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(false);
        };
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            let name = name.to_str().unwrap_or_default();
            let sha256: Option<[u8; 32]> = hex::parse(name).and_then(|it| it.try_into().ok());
            // Other files are not ours, and stay.
            let is_hint = kind == Some(EntryKind::File)
                && sha256.is_some_and(|sha256| Hex(&sha256).to_string() == name);
            if is_hint && each(&dir, name, date_of_hint(&dir, name))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the useless hints or marks of a gateway; by age only if the clock `is_sure`.
    fn tidy_hints(
        &self,
        folder: &str,
        gateway: NodeId,
        now: Timestamp,
        is_sure: bool,
    ) -> Result<(), Error> {
        self.any_hint(folder, gateway, |dir, name, date| {
            if date.is_none_or(|date| is_sure && !counts(date, now)) {
                dir.remove(name)?;
            }
            Ok(false)
        })?;
        Ok(())
    }

    /// Whether a hint was written not long before this time. A courier remembers no time by which a clock could be
    /// judged, and a wrong one must not end what gateways have written.
    fn is_vouched_for(&self, now: Timestamp) -> Result<bool, Error> {
        for gateway in self.gateways_in("got")?.0 {
            let is_recent = |date: Timestamp| {
                let age = now.duration_since(date);
                (SignedDuration::ZERO..=VOUCHED_FOR).contains(&age)
            };
            match self.any_hint("got", gateway, |_, _, date| Ok(date.is_some_and(is_recent))) {
                Ok(true) => return Ok(true),
                // Reported when old hints are removed.
                Ok(false) | Err(Error::Unreadable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
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
        tell_unlisted(self.tidy(now, true)?, each)
    }

    /// Removes old hints and leftovers. Unless the clock `is_sure`, no hint is removed by age if
    /// none was written in the month before. Returns the directories that cannot be listed.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(super) fn tidy(&self, now: Timestamp, is_sure: bool) -> Result<Unlisted, Error> {
        let is_sure = is_sure || self.is_vouched_for(now)?;
        let mut unlisted = Vec::new();
        for folder in ["got", "taken"] {
            for gateway in self.gateways_in(folder)?.0 {
                match self.tidy_hints(folder, gateway, now, is_sure) {
                    Err(error @ Error::Unreadable(_)) => {
                        unlisted.push((format!("{folder}/{gateway}"), error));
                    }
                    tidied => tidied?,
                }
            }
        }
        let before = SystemTime::from(now).checked_sub(LEFTOVER_LIFE);
        if let (Some(tmp), Some(before)) = (self.has_dir(&["tmp"])?, before) {
            tmp.sweep(before)?;
        }
        Ok(unlisted)
    }
}

/// The date of a hint or mark, which is its first line; `None` if that is damaged.
fn date_of_hint(dir: &Dir, name: &str) -> Option<Timestamp> {
    let octets = dir.read(name, MAX_HINT_LEN).ok()?;
    let text = String::from_utf8_lossy(&octets);
    text.lines().next()?.trim().parse().ok()
}

/// Whether a hint of this date is not too old. One in the future counts as well, since either clock may be wrong.
fn counts(date: Timestamp, now: Timestamp) -> bool {
    date.duration_since(now).abs() <= HINT_LIFE
}
