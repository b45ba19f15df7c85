//! From medium to medium, without keys.
//!
//! What is for whom, and how long it lives, is in clear; the rest is nobody's business on the way.

use std::collections::HashSet;

use jiff::Timestamp;

use super::layout::{Unlisted, denied, pile_name};
use super::{Error, Event, Lying, Medium, Why, is_full, tell_unlisted};
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::verify::{Authorized, Judge};

/// What a message takes on a medium besides its octets, at the most: what a file system rounds up.
const OVERHEAD: u64 = 64 * 1024;

/// Whoever carries what lies on one medium to another one.
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
    pub judge: Judge,
    /// The time.
    pub now: Timestamp,
}

impl Courier<'_> {
    /// Carries what is worth it, and tells `each` what happened. What the other medium says has arrived is taken off
    /// both.
    ///
    /// # Errors
    /// What cannot be gone on from: a medium cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.from.id() == self.to.id() {
            return Err(Error::SameMedium(self.to.dir().to_owned()).into());
        }
        for medium in [self.from, self.to] {
            medium.settle()?;
        }
        self.pass_hints(each)?;
        let (mut free, mut allowed) = self.room(each)?;
        let mut wanted = Vec::new();
        let mut strays = vec![(self.from.dir(), self.from.strays(None)?)];
        for kind in [Kind::Cca, Kind::Cargo] {
            let (recipients, others) = self.from.recipients(kind)?;
            strays.push((self.from.dir(), others));
            for recipient in recipients {
                self.look(kind, recipient, &mut wanted, each)?;
            }
        }
        for (dir, strays) in strays {
            strays.tell(dir, each)?;
        }
        // Requests are small, and what ends first is of use for the shortest time.
        wanted.sort_unstable_by(|(a, a_end), (b, b_end)| {
            let key = |lying: &Lying, end: &Timestamp| (lying.kind() == Kind::Cargo, *end);
            (key(a, a_end), &a.path).cmp(&(key(b, b_end), &b.path))
        });
        let (mut messages, mut octets) = (0, 0);
        for (lying, _) in wanted {
            let mut fits = lying.len + OVERHEAD <= free && lying.len <= allowed;
            if fits {
                free -= lying.len + OVERHEAD;
                allowed -= lying.len;
                match self.carry(&lying) {
                    Ok(true) => {
                        self.is_there(&lying, each)?;
                        each(Event::Carried(lying.clone()))?;
                    }
                    Ok(false) => {}
                    // More was thought to fit than does.
                    Err(Error::Disk(error)) if is_full(&error) => {
                        fits = false;
                        free = 0;
                    }
                    Err(error @ Error::Disk(_)) => return Err(error.into()),
                    Err(error) => failed(lying.to_string(), error, each)?,
                }
            }
            if !fits {
                messages += 1;
                octets += lying.len;
            }
        }
        if messages > 0 {
            each(Event::Waiting {
                hop: self.to.dir().display().to_string(),
                messages,
                octets,
                why: Why::NoRoom,
            })?;
        }
        Ok(())
    }

    /// Hints go both ways, and what they name is freed. Neither is needed for what is carried, so that one of both
    /// cannot be changed is no reason to end.
    fn pass_hints<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        for (a, b) in [(self.from, self.to), (self.to, self.from)] {
            let (hints, unlisted) = a.hints(self.now)?;
            tell_unlisted(unlisted, each)?;
            let mut told = HashSet::new();
            for hint in hints {
                if b.has_hint(hint.gateway, &hint.sha256, self.now) {
                    continue;
                }
                match b.hint(&hint) {
                    Ok(()) => {}
                    // That concerns this gateway alone.
                    Err(error @ (Error::InTheWay(_) | Error::Unreadable(_))) => {
                        if told.insert(hint.gateway) {
                            failed(b.dir().display().to_string(), error, each)?;
                        }
                    }
                    Err(error) => {
                        failed(b.dir().display().to_string(), error, each)?;
                        break;
                    }
                }
            }
        }
        for medium in [self.from, self.to] {
            let freed = self.free(medium).and_then(|unlisted| {
                medium.tidy(self.now)?; // what it cannot list was told before
                Ok(unlisted)
            });
            match freed {
                Ok(unlisted) => tell_unlisted(unlisted, each)?,
                Err(error) => failed(medium.dir().display().to_string(), error, each)?,
            }
        }
        Ok(())
    }

    /// Removes what a medium says has arrived.
    fn free(&self, medium: &Medium) -> Result<Unlisted, Error> {
        let mut unlisted = Vec::new();
        for recipient in medium.recipients(Kind::Cargo)?.0 {
            let listed = each_lying(medium, Kind::Cargo, recipient, |lying| {
                if medium.has_hint(recipient, &lying.sha256, self.now) {
                    medium.remove(lying)?;
                }
                Ok(())
            });
            match listed {
                // Whoever looks for what is to be carried says so.
                Err(Error::Unreadable(_)) if medium.id() == self.from.id() => {}
                Err(error @ Error::Unreadable(_)) => {
                    unlisted.push((pile_name(Kind::Cargo, recipient), error));
                }
                listed => listed?,
            }
        }
        Ok(unlisted)
    }

    /// How many octets there is room for, and how many may go.
    fn room<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(u64, u64), E> {
        let free = self.to.free_space()?.saturating_sub(OVERHEAD);
        let Some(quota) = self.quota else {
            return Ok((free, u64::MAX));
        };
        let mut used = 0;
        for kind in [Kind::Cca, Kind::Cargo] {
            for recipient in self.to.recipients(kind)?.0 {
                let listed = each_lying(self.to, kind, recipient, |lying| {
                    used += lying.len;
                    Ok(())
                });
                match listed {
                    // That of cargo was said when it was looked for what has arrived.
                    Err(Error::Unreadable(_)) if kind == Kind::Cargo => {}
                    Err(error @ Error::Unreadable(_)) => {
                        failed(pile_name(kind, recipient), error, each)?;
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
        wanted: &mut Vec<(Lying, Timestamp)>,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let what = || pile_name(kind, recipient);
        let mut pile = match self.from.lying(kind, recipient) {
            Ok(pile) => pile,
            Err(error @ Error::Unreadable(_)) => return failed(what(), error, each),
            Err(error) => return Err(error.into()),
        };
        pile.take_strays().tell(self.from.dir(), each)?;
        loop {
            let next = pile.next_message().and_then(|next| match next {
                Some(lying) => {
                    let is_held = self.to.holds(&lying, self.moves)?;
                    Ok(Some((lying, is_held)))
                }
                None => Ok(None),
            });
            let lying = match next {
                Ok(Some((lying, false))) => lying,
                Ok(Some((lying, true))) => {
                    self.is_there(&lying, each)?;
                    continue;
                }
                Ok(None) => return Ok(()),
                Err(error @ Error::Unreadable(_)) => return failed(what(), error, each),
                Err(error) => return Err(error.into()),
            };
            match self.verified(&lying) {
                Ok(Some(end)) => wanted.push((lying, end)),
                Ok(None) => {}
                Err(error) => failed(lying.to_string(), error, each)?,
            }
        }
    }

    /// Takes off the first medium what is on the other one, where it is to leave that.
    fn is_there<E: From<Error>>(
        &self,
        lying: &Lying,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.moves {
            return Ok(());
        }
        match self.from.remove(lying) {
            Err(error) => failed(lying.to_string(), error, each),
            Ok(()) => Ok(()),
        }
    }

    /// Whether a message is worth carrying: what its name says, signed and alive; `None` when it has gone.
    fn verified(&self, lying: &Lying) -> Result<Option<Timestamp>, Error> {
        let Some(octets) = lying.read()? else {
            return Ok(None);
        };
        let verdict = lying.judged(octets, &self.judge)?;
        if let Authorized::No(error) = verdict.authorized {
            return Err(error.into());
        }
        Ok(Some(verdict.expiry.unwrap_or(self.now)))
    }

    /// Carries a message; `false` for one that has gone.
    fn carry(&self, lying: &Lying) -> Result<bool, Error> {
        let Some(octets) = lying.read()? else {
            return Ok(false);
        };
        let ends = (lying.recipient, lying.sender);
        let (pending, _) = self.to.prepare(lying.kind(), ends, &octets)?;
        pending.place().map_err(denied)?;
        Ok(true)
    }
}

/// Gives `each` what lies on a medium for a gateway.
fn each_lying(
    medium: &Medium,
    kind: Kind,
    recipient: NodeId,
    mut each: impl FnMut(&Lying) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut pile = medium.lying(kind, recipient)?;
    while let Some(lying) = pile.next_message()? {
        each(&lying)?;
    }
    Ok(())
}

fn failed<E>(
    what: String,
    error: Error,
    each: &mut dyn FnMut(Event) -> Result<(), E>,
) -> Result<(), E> {
    each(Event::Failed { what, error })
}
