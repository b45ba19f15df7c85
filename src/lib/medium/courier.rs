//! Carries messages from one medium to another, without keys.
//!
//! The recipient and expiry of a message are in clear; the rest is sealed.

use std::collections::HashSet;
use std::path::PathBuf;

use jiff::Timestamp;

mod turns; // whose messages go first

use self::turns::{FreeRoom, OVERHEAD, Strangers, Wanted};
use super::hints::Unlisted;
use super::hints::tell_unlisted;
use super::layout::denied;
use super::names::dir_name;
use super::{Error, ExchangeEvent, Medium, MediumFile, WaitReason, is_full};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::verify::{AuthorizationVerdict, Policy};

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
    /// Recipients that the courier knows, besides those that it has a reason to know.
    pub known: Vec<NodeId>,
    /// The policy that messages are verified against.
    pub policy: Policy,
    /// The time of the run.
    pub now: Timestamp,
}

impl Courier<'_> {
    /// Carries messages that are worth it, and reports to `each`. A hint of arrival on a medium frees
    /// that medium only: nobody has signed it, and the other one may be the courier's own store.
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
        self.free(self.to, &HashSet::new(), each)?;
        let known = self.known()?;
        let room = self.room(each)?;
        let mut found = Offer::default();
        let mut unexpected = vec![(self.from.dir(), self.from.unexpected(None)?)];
        for kind in [Kind::Cca, Kind::Cargo] {
            let (recipients, others) = self.from.recipients(kind)?;
            unexpected.push((self.from.dir(), others));
            for recipient in recipients {
                self.look(kind, recipient, &mut found, each)?;
            }
        }
        for (dir, unexpected) in unexpected {
            unexpected.tell(dir, each)?;
        }
        turns::sort(&mut found.wanted, &known, self.now);
        let kept = self.carry_all(found, &known, room, each)?;
        self.free(self.from, &kept, each)
    }

    /// Carries what was found while there is room, and reports the rest. Returns the files that must
    /// stay on `from`, since their copies made room on `to`.
    fn carry_all<E: From<Error>>(
        &self,
        found: Offer,
        known: &HashSet<NodeId>,
        mut room: FreeRoom,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<HashSet<PathBuf>, E> {
        let Offer { wanted, mut twice } = found;
        let mut kept = HashSet::new();
        let mut their_room = room.for_strangers(self.held_by_strangers(known));
        let (mut messages, mut octets, mut strangers) = (0, 0, Strangers::default());
        for wanted in wanted {
            let file = &wanted.file;
            let is_known = known.contains(&file.recipient);
            let may_go = is_known || their_room.has(file.len);
            if may_go && !room.has(file.len) {
                self.make_room(file.len, &mut room, &mut twice, &mut kept, each)?;
            }
            // Smaller messages after one that does not fit are still tried.
            let mut fits = may_go && room.has(file.len);
            if fits {
                room.take(file.len);
                if !is_known {
                    their_room.take(file.len);
                }
                match self.carry(file) {
                    Ok(true) => {
                        self.is_there(file, each)?;
                        each(ExchangeEvent::Carried(file.clone()))?;
                    }
                    Ok(false) => {}
                    // The file system had less room than it reported.
                    Err(Error::Disk(error)) if is_full(&error) => {
                        fits = false;
                        room.free = 0;
                    }
                    Err(error @ Error::Disk(_)) => return Err(error.into()),
                    Err(error) => failed(file.to_string(), error, each)?,
                }
            }
            if !fits {
                messages += 1;
                octets += file.len;
            }
            if !is_known {
                strangers.count(&wanted, !fits);
            }
        }
        if strangers.messages > 0 {
            each(ExchangeEvent::Strangers {
                recipients: strangers.recipients(),
                messages: strangers.messages,
                not_shown: strangers.not_shown,
                left: strangers.left,
            })?;
        }
        if messages > 0 {
            each(ExchangeEvent::Waiting {
                hop: self.to.dir().display().to_string(),
                messages,
                octets,
                why: WaitReason::NoRoom,
            })?;
        }
        Ok(kept)
    }

    /// Removes from `to` what `from` has a hint for, and holds itself: the last copy of anything
    /// stays. Removes nothing if that would not be enough for a message of this length.
    fn make_room<E: From<Error>>(
        &self,
        len: u64,
        room: &mut FreeRoom,
        twice: &mut Vec<MediumFile>,
        kept: &mut HashSet<PathBuf>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut most = *room;
        for file in twice.iter() {
            most.give(file.len);
        }
        if !most.has(len) {
            return Ok(());
        }
        while !room.has(len)
            && let Some(file) = twice.pop()
        {
            // Names are claims: only octets show that a copy is left.
            if !matches!(file.read(), Ok(Some(_))) {
                continue;
            }
            match self.to.find_same(&file).and_then(|copy| {
                copy.map(|copy| self.to.remove(&copy).map(|()| copy))
                    .transpose()
            }) {
                Ok(None) => {}
                Ok(Some(copy)) => {
                    room.give(copy.len);
                    kept.insert(file.path);
                    each(freed_by(self.to, copy))?;
                }
                Err(error) => failed(file.to_string(), error, each)?,
            }
        }
        Ok(())
    }

    /// Removes from a medium what it has a hint for, except what is to stay, and then what is
    /// useless there. An error is only reported, since carrying does not need it.
    fn free<E: From<Error>>(
        &self,
        medium: &Medium,
        kept: &HashSet<PathBuf>,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut freed = Vec::new();
        let ended = self
            .free_one(medium, kept, &mut freed)
            .and_then(|mut wrong| {
                wrong.extend(medium.tidy(self.now, false)?);
                Ok(wrong)
            });
        for file in freed {
            each(freed_by(medium, file))?;
        }
        match ended {
            Ok(wrong) => tell_unlisted(wrong, each),
            Err(error) => failed(medium.dir().display().to_string(), error, each),
        }
    }

    fn free_one(
        &self,
        medium: &Medium,
        kept: &HashSet<PathBuf>,
        freed: &mut Vec<MediumFile>,
    ) -> Result<Unlisted, Error> {
        let mut wrong = Vec::new();
        for recipient in medium.recipients(Kind::Cargo)?.0 {
            let listed = each_file(medium, Kind::Cargo, recipient, |file| {
                if !kept.contains(&file.path) && self.has_hint(medium, file)? {
                    medium.remove(file)?;
                    freed.push(file.clone());
                }
                Ok(())
            });
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

    /// Whether a medium has a hint that cargo has arrived, not dated in the future. Hints that
    /// cannot be listed do not count; the error is reported when old hints are removed.
    fn has_hint(&self, medium: &Medium, file: &MediumFile) -> Result<bool, Error> {
        if file.kind() != Kind::Cargo {
            return Ok(false);
        }
        match medium.hint_of(file.recipient, file.sha256, self.now) {
            Err(Error::Unreadable(_)) => Ok(false),
            hint => Ok(hint?.is_some_and(|hint| !self.policy.window.is_before(hint.date))),
        }
    }

    /// The recipients that the courier has a reason to know: they sent a request or were asked in
    /// one, or a hint of theirs lay on one of the media, or the user named them.
    fn known(&self) -> Result<HashSet<NodeId>, Error> {
        let mut known: HashSet<NodeId> = self.known.iter().copied().collect();
        for medium in [self.from, self.to] {
            known.extend(medium.gateways_in("got")?.0);
            for recipient in medium.recipients(Kind::Cca)?.0 {
                let listed = each_file(medium, Kind::Cca, recipient, |file| {
                    let ends = [file.recipient, file.sender];
                    // A name is only a claim.
                    let is_news = ends.iter().any(|end| !known.contains(end));
                    if is_news && matches!(self.verified(file), Ok(Some(_))) {
                        known.extend(ends);
                    }
                    Ok(())
                });
                match listed {
                    // The code that needs this directory reports the error.
                    Err(Error::Unreadable(_)) => {}
                    listed => listed?,
                }
            }
        }
        Ok(known)
    }

    /// The octets of cargo on `to` for recipients that are not known, as far as it can be listed.
    fn held_by_strangers(&self, known: &HashSet<NodeId>) -> u64 {
        let mut held = 0;
        let recipients = self.to.recipients(Kind::Cargo).map(|(all, _)| all);
        for recipient in recipients.unwrap_or_default() {
            if !known.contains(&recipient) {
                // What cannot be listed is reported when hints are followed.
                let _ = each_file(self.to, Kind::Cargo, recipient, |file| {
                    held += file.len;
                    Ok(())
                });
            }
        }
        held
    }

    /// The room on `to`.
    fn room<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
    ) -> Result<FreeRoom, E> {
        let free = self.to.free_space()?.saturating_sub(OVERHEAD);
        let Some(quota) = self.quota else {
            let allowed = u64::MAX;
            return Ok(FreeRoom { free, allowed });
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
        let allowed = quota.saturating_sub(used);
        Ok(FreeRoom { free, allowed })
    }

    /// Lists the messages for a gateway, and notes those worth carrying with their expiry.
    fn look<E: From<Error>>(
        &self,
        kind: Kind,
        recipient: NodeId,
        found: &mut Offer,
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
                Some(file) => Ok(Some((self.state(&file)?, file))),
                None => Ok(None),
            });
            let file = match next {
                Ok(Some((State::Arrived, _))) => continue,
                Ok(Some((State::Twice, file))) => {
                    found.twice.push(file);
                    continue;
                }
                Ok(Some((State::Held, file))) => {
                    self.is_there(&file, each)?;
                    continue;
                }
                Ok(Some((State::Missing, file))) => file,
                Ok(None) => return Ok(()),
                Err(error @ Error::Unreadable(_)) => return failed(what(), error, each),
                Err(error) => return Err(error.into()),
            };
            match self.verified(&file) {
                Ok(Some((end, is_shown))) => found.wanted.push(Wanted {
                    file,
                    end,
                    is_shown,
                }),
                Ok(None) => {}
                Err(error) => failed(file.to_string(), error, each)?,
            }
        }
    }

    /// How a message on `from` stands to `to`.
    fn state(&self, file: &MediumFile) -> Result<State, Error> {
        Ok(if self.has_hint(self.from, file)? {
            match self.to.find_same(file)? {
                Some(_) => State::Twice,
                None => State::Arrived,
            }
        } else if self.has_hint(self.to, file)? {
            State::Arrived
        } else if self.to.holds(file, self.moves)? {
            // When the original is to be removed, the copy is compared by its octets.
            State::Held
        } else {
            State::Missing
        })
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

    /// Verifies that a message matches its name, is signed and has not expired. Returns its expiry,
    /// and whether it shows that its sender is authorized; `None` if it is gone.
    fn verified(&self, file: &MediumFile) -> Result<Option<(Timestamp, bool)>, Error> {
        // All of it is read and hashed: a damaged file would only take space on the other medium.
        let Some(octets) = file.read()? else {
            return Ok(None);
        };
        let verdict = file.verified(octets, &self.policy)?;
        let is_shown = match verdict.authorized {
            AuthorizationVerdict::Yes => true,
            AuthorizationVerdict::NotShown => false,
            AuthorizationVerdict::No(error) => return Err(error.into()),
        };
        Ok(Some((verdict.expiry.unwrap_or(self.now), is_shown)))
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

/// What was found on `from`.
#[derive(Default)]
struct Offer {
    /// The messages to carry.
    wanted: Vec<Wanted>,
    /// What has arrived, as a hint on `from` says, and is on both.
    twice: Vec<MediumFile>,
}

/// How a message on `from` stands to `to`.
enum State {
    /// A hint on one of them says that it has arrived.
    Arrived,
    /// A hint on `from` says so, and both have it.
    Twice,
    /// It is on `to`.
    Held,
    /// It is not on `to`.
    Missing,
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

fn freed_by(medium: &Medium, file: MediumFile) -> ExchangeEvent {
    ExchangeEvent::Freed {
        file,
        medium: medium.id().to_owned(),
    }
}

fn failed<E>(
    what: String,
    error: Error,
    each: &mut dyn FnMut(ExchangeEvent) -> Result<(), E>,
) -> Result<(), E> {
    each(ExchangeEvent::Failed { what, error })
}
