//! From medium to medium, without keys.
//!
//! What is for whom, and how long it lives, is in clear; the rest is nobody's business on the way.

use jiff::Timestamp;

use super::hints::Unlisted;
use super::hints::tell_unlisted;
use super::layout::denied;
use super::names::dir_name;
use super::{Error, ExchangeEvent, Hint, Medium, MediumFile, WaitReason, is_full};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::verify::{AuthorizationVerdict, Policy};

/// What a message takes on a medium besides its octets, at the most: what a file system rounds up.
const OVERHEAD: u64 = 64 * 1024;

/// The most hints of one gateway that are passed by a run.
const MAX_HINTS_OF_GATEWAY: usize = 1024;

/// The most hints that are passed by a run.
const MAX_HINTS: usize = 4096;

/// Copies messages from one medium to another.
pub struct Courier<'a> {
    /// Where it lies.
    pub from: &'a Medium,
    /// Where it goes.
    pub to: &'a Medium,
    /// The most octets of messages that are to lie there.
    pub quota: Option<u64>,
    /// Whether it leaves the first one.
    pub moves: bool,
    /// What is held against messages.
    pub policy: Policy,
    /// The time.
    pub now: Timestamp,
}

impl Courier<'_> {
    /// Carries what is worth it, and tells `each` what happened. What the other medium says has arrived is taken off
    /// both.
    ///
    /// # Errors
    /// The error that ends the run: a medium cannot be read or changed, or `each` failed.
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
        // Requests are small, and what ends first is of use for the shortest time.
        wanted.sort_unstable_by(|(a, a_end), (b, b_end)| {
            let key = |file: &MediumFile, end: &Timestamp| (file.kind() == Kind::Cargo, *end);
            (key(a, a_end), &a.path).cmp(&(key(b, b_end), &b.path))
        });
        let (mut messages, mut octets) = (0, 0);
        for (file, _) in wanted {
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
                    // More was thought to fit than does.
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

    /// Takes off each medium what it or the other one says has arrived; the hints of the other one that free something
    /// are there before that goes, and take its place. Neither is needed for what is carried, so that one of both cannot
    /// be changed is no reason to end.
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
        for recipient in medium.recipients(Kind::Cargo)?.0 {
            let most = MAX_HINTS.min(passed + MAX_HINTS_OF_GATEWAY);
            let mut refused = None;
            let listed = each_file(medium, Kind::Cargo, recipient, |file| {
                if self.hint(medium, file)?.is_none() {
                    let Some(hint) = self.hint(other, file)? else {
                        return Ok(());
                    };
                    // An empty file takes no block, which a hint does.
                    if passed < most && file.len > 0 {
                        passed += 1;
                        match medium.hint(&hint) {
                            // That concerns this gateway alone.
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
                // The search for messages to carry reports that.
                Err(Error::Unreadable(_)) if medium.id() == self.from.id() => {}
                Err(error @ Error::Unreadable(_)) => {
                    wrong.push((dir_name(Kind::Cargo, recipient), error));
                }
                listed => listed?,
            }
        }
        Ok(wrong)
    }

    /// What a medium says of the arrival of cargo, unless that is in the future. What cannot be listed says nothing, and
    /// is told when old hints are removed.
    fn hint(&self, medium: &Medium, file: &MediumFile) -> Result<Option<Hint>, Error> {
        match medium.hint_of(file.recipient, file.sha256, self.now) {
            Err(Error::Unreadable(_)) => Ok(None),
            hint => Ok(hint?.filter(|hint| !self.policy.window.is_before(hint.date))),
        }
    }

    /// How many octets there is room for, and how many may go.
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
                    // That of cargo was said when it was looked for what has arrived.
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

    /// Looks at what lies for a gateway, and notes what is worth carrying, with the end of its life.
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
                    let is_held = !has_arrived && self.to.holds(&file, self.moves)?;
                    Ok(Some((file, is_held, has_arrived)))
                }
                None => Ok(None),
            });
            let file = match next {
                // What could not be taken off waits for another run.
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

    /// Takes off the first medium what is on the other one, where it is to leave that.
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

    /// Whether a message is worth carrying: what its name says, signed and alive; `None` when it has gone.
    fn verified(&self, file: &MediumFile) -> Result<Option<Timestamp>, Error> {
        let Some(octets) = file.read()? else {
            return Ok(None);
        };
        let verdict = file.verified(octets, &self.policy)?;
        if let AuthorizationVerdict::No(error) = verdict.authorized {
            return Err(error.into());
        }
        Ok(Some(verdict.expiry.unwrap_or(self.now)))
    }

    /// Carries a message; `false` for one that has gone.
    fn carry(&self, file: &MediumFile) -> Result<bool, Error> {
        let Some(octets) = file.read()? else {
            return Ok(false);
        };
        let ends = (file.recipient, file.sender);
        let (pending, _) = self.to.prepare(file.kind(), ends, &octets)?;
        pending.place().map_err(denied)?;
        Ok(true)
    }
}

/// Gives `each` what lies on a medium for a gateway.
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
