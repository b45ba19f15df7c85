//! Carries messages from one medium to another, without keys.
//!
//! The recipient and expiry of a message are in clear; the rest is sealed.

use jiff::Timestamp;

use super::hints::Unlisted;
use super::hints::tell_unlisted;
use super::layout::denied;
use super::names::dir_name;
use super::{Error, ExchangeEvent, Hint, Medium, MediumFile, WaitReason, is_full};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::verify::{AuthorizationVerdict, Policy};

/// The most that a message takes on a medium besides its octets: what file systems round up to.
const OVERHEAD: u64 = 64 * 1024;

/// The most hints of one gateway that a run copies.
const MAX_HINTS_OF_GATEWAY: usize = 1024;

/// The most hints that a run copies.
const MAX_HINTS: usize = 4096;

/// Copies messages from one medium to another.
pub struct Courier<'a> {
    /// The medium to carry from.
    pub from: &'a Medium,
    /// The medium to carry to.
    pub to: &'a Medium,
    /// The most octets of messages on `to`, with those that are there.
    pub quota: Option<u64>,
    /// Whether to remove from `from` what is on `to`.
    pub moves: bool,
    /// The policy that messages are verified against.
    pub policy: Policy,
    /// The time of the run.
    pub now: Timestamp,
}

impl Courier<'_> {
    /// Carries messages that are worth it, and reports to `each`. Messages for which one medium has
    /// a hint of their arrival are removed from both.
    ///
    /// # Errors
    /// Fatal errors only: a medium cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.from.id() == self.to.id() {
            return Err(Error::SameMedium(self.to.dir().to_owned()).into());
        }
        for medium in [self.from, self.to] {
            medium.settle()?;
        }
        // Before the space is measured, which this enlarges.
        self.free(each)?;
        let (mut free, mut allowed) = self.room(each)?;
        let mut wanted = Vec::new();
        let mut unexpected = vec![(self.from.dir(), self.from.unexpected(None)?)];
        for kind in [Kind::Cca, Kind::Cargo] {
            let (recipients, others) = self.from.recipients(kind)?;
            unexpected.push((self.from.dir(), others));
            for recipient in recipients {
                self.look(kind, recipient, &mut wanted, each)?;
            }
        }
        for (dir, unexpected) in unexpected {
            unexpected.tell(dir, each)?;
        }
        // Requests are small and come first; then cargo with the least time left.
        wanted.sort_unstable_by(|(a, a_end), (b, b_end)| {
            let key = |file: &MediumFile, end: &Timestamp| (file.kind() == Kind::Cargo, *end);
            (key(a, a_end), &a.path).cmp(&(key(b, b_end), &b.path))
        });
        let (mut messages, mut octets) = (0, 0);
        for (file, _) in wanted {
            // Smaller messages after one that does not fit are still tried.
            let mut fits = file.len + OVERHEAD <= free && file.len <= allowed;
            if fits {
                free -= file.len + OVERHEAD;
                allowed -= file.len;
                match self.carry(&file) {
                    Ok(true) => {
                        self.is_there(&file, each)?;
                        each(ExchangeEvent::Carried(file.clone()))?;
                    }
                    Ok(false) => {}
                    // The file system had less room than it reported.
                    Err(Error::Disk(error)) if is_full(&error) => {
                        fits = false;
                        free = 0;
                    }
                    Err(error @ Error::Disk(_)) => return Err(error.into()),
                    Err(error) => failed(file.to_string(), error, each)?,
                }
            }
            if !fits {
                messages += 1;
                octets += file.len;
            }
        }
        if messages > 0 {
            each(ExchangeEvent::Waiting {
                hop: self.to.dir().display().to_string(),
                messages,
                octets,
                why: WaitReason::NoRoom,
            })?;
        }
        Ok(())
    }

    /// Removes from each medium what it or the other one has a hint for. The other medium's hint is
    /// copied before the message that it frees is removed. An error on one medium is only reported,
    /// since carrying needs neither.
    fn free<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        for (medium, other) in [(self.from, self.to), (self.to, self.from)] {
            let freed = self.free_one(medium, other).and_then(|mut freed| {
                freed.extend(medium.tidy(self.now)?);
                Ok(freed)
            });
            match freed {
                Ok(wrong) => tell_unlisted(wrong, each)?,
                Err(error) => failed(medium.dir().display().to_string(), error, each)?,
            }
        }
        Ok(())
    }

    fn free_one(&self, medium: &Medium, other: &Medium) -> Result<Unlisted, Error> {
        let mut wrong = Vec::new();
        let mut passed = 0;
        // The limit is counted for each gateway: hints of one cannot crowd out those of others.
        for recipient in medium.recipients(Kind::Cargo)?.0 {
            let most = MAX_HINTS.min(passed + MAX_HINTS_OF_GATEWAY);
            let mut refused = None;
            let listed = each_file(medium, Kind::Cargo, recipient, |file| {
                if self.hint(medium, file)?.is_none() {
                    let Some(hint) = self.hint(other, file)? else {
                        return Ok(());
                    };
                    // A hint takes a block. An empty file has none to give for it.
                    if passed < most && file.len > 0 {
                        passed += 1;
                        match medium.hint(&hint) {
                            // The error concerns the hints of this gateway only.
                            Err(error @ (Error::InTheWay(_) | Error::Unreadable(_))) => {
                                refused.get_or_insert(error);
                            }
                            written => written?,
                        }
                    }
                }
                medium.remove(file)
            });
            if let Some(error) = refused {
                wrong.push((medium.dir().display().to_string(), error));
            }
            match listed {
                // On `from`, the search for messages to carry reports this error.
                Err(Error::Unreadable(_)) if medium.id() == self.from.id() => {}
                Err(error @ Error::Unreadable(_)) => {
                    wrong.push((dir_name(Kind::Cargo, recipient), error));
                }
                listed => listed?,
            }
        }
        Ok(wrong)
    }

    /// The hint that cargo has arrived, unless it is dated in the future. Hints that cannot be
    /// listed do not count; the error is reported when old hints are removed.
    fn hint(&self, medium: &Medium, file: &MediumFile) -> Result<Option<Hint>, Error> {
        match medium.hint_of(file.recipient, file.sha256, self.now) {
            Err(Error::Unreadable(_)) => Ok(None),
            hint => Ok(hint?.filter(|hint| !self.policy.window.is_before(hint.date))),
        }
    }

    /// The free space, and the octets that the quota still allows.
    fn room<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(u64, u64), E> {
        let free = self.to.free_space()?.saturating_sub(OVERHEAD);
        let Some(quota) = self.quota else {
            return Ok((free, u64::MAX));
        };
        let mut used = 0;
        for kind in [Kind::Cca, Kind::Cargo] {
            for recipient in self.to.recipients(kind)?.0 {
                let listed = each_file(self.to, kind, recipient, |file| {
                    used += file.len;
                    Ok(())
                });
                match listed {
                    // For cargo, this error was reported when arrived messages were removed.
                    Err(Error::Unreadable(_)) if kind == Kind::Cargo => {}
                    Err(error @ Error::Unreadable(_)) => {
                        failed(dir_name(kind, recipient), error, each)?;
                    }
                    listed => listed?,
                }
            }
        }
        Ok((free, quota.saturating_sub(used)))
    }

    /// Lists the messages for a gateway, and notes those worth carrying with their expiry.
    fn look<E: From<Error>>(
        &self,
        kind: Kind,
        recipient: NodeId,
        wanted: &mut Vec<(MediumFile, Timestamp)>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let what = || dir_name(kind, recipient);
        let mut files = match self.from.files_for(kind, recipient) {
            Ok(files) => files,
            Err(error @ Error::Unreadable(_)) => return failed(what(), error, each),
            Err(error) => return Err(error.into()),
        };
        files.take_unexpected().tell(self.from.dir(), each)?;
        loop {
            let next = files.next_message().and_then(|next| match next {
                Some(file) => {
                    let has_arrived = self.hint(self.from, &file)?.is_some()
                        || self.hint(self.to, &file)?.is_some();
                    // When the original is to be removed, the copy is compared by its octets.
                    let is_held = !has_arrived && self.to.holds(&file, self.moves)?;
                    Ok(Some((file, is_held, has_arrived)))
                }
                None => Ok(None),
            });
            let file = match next {
                // A message that arrived but could not be removed waits for another run.
                Ok(Some((_, _, true))) => continue,
                Ok(Some((file, true, _))) => {
                    self.is_there(&file, each)?;
                    continue;
                }
                Ok(Some((file, ..))) => file,
                Ok(None) => return Ok(()),
                Err(error @ Error::Unreadable(_)) => return failed(what(), error, each),
                Err(error) => return Err(error.into()),
            };
            match self.verified(&file) {
                Ok(Some(end)) => wanted.push((file, end)),
                Ok(None) => {}
                Err(error) => failed(file.to_string(), error, each)?,
            }
        }
    }

    /// Removes a message from `from` if it is on `to` and is to be moved.
    fn is_there<E: From<Error>>(
        &self,
        file: &MediumFile,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.moves {
            return Ok(());
        }
        match self.from.remove(file) {
            Err(error) => failed(file.to_string(), error, each),
            Ok(()) => Ok(()),
        }
    }

    /// Verifies that a message matches its name, is signed and has not expired. Returns its expiry;
    /// `None` if it is gone.
    fn verified(&self, file: &MediumFile) -> Result<Option<Timestamp>, Error> {
        // All of it is read and hashed: a damaged file would only take space on the other medium.
        let Some(octets) = file.read()? else {
            return Ok(None);
        };
        let verdict = file.verified(octets, &self.policy)?;
        if let AuthorizationVerdict::No(error) = verdict.authorized {
            return Err(error.into());
        }
        Ok(Some(verdict.expiry.unwrap_or(self.now)))
    }

    /// Copies a message; `false` if it is gone.
    fn carry(&self, file: &MediumFile) -> Result<bool, Error> {
        let Some(octets) = file.read()? else {
            return Ok(false);
        };
        let ends = (file.recipient, file.sender);
        let (pending, _) = self.to.prepare(file.kind(), ends, &octets)?;
        // Written and read back by `prepare`, so the name appears only for a whole copy.
        pending.place().map_err(denied)?;
        Ok(true)
    }
}

/// Calls `each` for the messages for a gateway on a medium.
fn each_file(
    medium: &Medium,
    kind: Kind,
    recipient: NodeId,
    mut each: impl FnMut(&MediumFile) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut files = medium.files_for(kind, recipient)?;
    while let Some(file) = files.next_message()? {
        each(&file)?;
    }
    Ok(())
}

fn failed<E>(
    what: String,
    error: Error,
    each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
) -> Result<(), E> {
    each(ExchangeEvent::Failed { what, error })
}
