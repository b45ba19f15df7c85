//! Hints that cargo has arrived, which free other media of it, and what else is removed when it is of no use any more.
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

/// The longest hint that is read, in octets.
const MAX_HINT_LEN: usize = 64;

/// After how long a hint that cargo arrived is of no use any more.
const HINT_LIFE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// After how long what a killed run left is removed.
const LEFTOVER_LIFE: Duration = Duration::from_secs(36 * 3600);

/// A hint that cargo has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    /// The gateway that has it.
    pub gateway: NodeId,
    /// The SHA-256 of the cargo's octets.
    pub sha256: [u8; 32],
    /// When the gateway said so.
    pub date: Timestamp,
}

/// Directories that cannot be listed, and why not; all others are.
pub(super) type Unlisted = Vec<(String, Error)>;

/// Tells `each` which directories cannot be listed.
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
    /// Leaves a hint, for couriers who have the cargo elsewhere, too.
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

    /// The hint that this cargo has arrived, if there is one that is of use.
    ///
    /// # Errors
    /// When that cannot be learned.
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

    /// Removes the hints of a gateway that are of no use.
    fn tidy_hints(&self, gateway: NodeId, now: Timestamp) -> Result<(), Error> {
        let found = self.has_dir(&["got", &gateway.to_string()]);
        let Some(dir) = found.map_err(unreadable)? else {
            return Ok(());
        };
        for named in dir.names().map_err(Error::Unreadable)? {
            let DirEntry { name, kind } = named.map_err(Error::Unreadable)?;
            let name = name.to_str().unwrap_or_default();
            let sha256: Option<[u8; 32]> = hex::parse(name).and_then(|it| it.try_into().ok());
            let is_hint = kind == Some(EntryKind::File)
                && sha256.is_some_and(|sha256| Hex(&sha256).to_string() == name);
            if is_hint && date_of_hint(&dir, name, now).is_none() {
                dir.remove(name)?;
            }
        }
        Ok(())
    }

    /// Removes what is of no use any more: old hints, and what killed runs left. Tells `each` what cannot be listed.
    ///
    /// # Errors
    /// When it cannot be removed, or `each` failed.
    pub fn clean<E: From<Error>>(
        &self,
        now: Timestamp,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        tell_unlisted(self.tidy(now)?, each)
    }

    /// Removes what is of no use any more, and gives what cannot be listed.
    ///
    /// # Errors
    /// When it cannot be removed.
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

/// What a hint says, unless it is damaged or too old. One dated ahead of this clock counts as well: either may be
/// wrong.
fn date_of_hint(dir: &Dir, name: &str, now: Timestamp) -> Option<Timestamp> {
    let octets = dir.read(name, MAX_HINT_LEN).ok()?;
    let date: Timestamp = String::from_utf8_lossy(&octets).trim().parse().ok()?;
    (date.duration_since(now).abs() <= HINT_LIFE).then_some(date)
}
