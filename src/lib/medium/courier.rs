//! From medium to medium, without keys.
//!
//! What is for whom, and how long it lives, is in clear; the rest is nobody's business on the way.

use jiff::Timestamp;

use super::{Error, Event, Hint, Lying, Medium, Why, is_full};
use crate::disk::batch::Batch;
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::verify::{Authorized, Judge};

/// What a message takes on a medium besides its octets, at the most: what a file system rounds up.
const OVERHEAD: u64 = 64 * 1024;

/// The most hints of one gateway that are passed by a run.
const MAX_HINTS_OF_GATEWAY: usize = 1024;

/// The most hints that are passed by a run.
const MAX_HINTS: usize = 4096;

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
        self.free(each)?;
        let (mut free, mut allowed) = self.room()?;
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

    /// Takes off each medium what it or the other one says has arrived; the hints of the other one that free something
    /// take its place. Neither is needed for what is carried, so that one of both cannot be changed is no reason to
    /// end.
    fn free<E: From<Error>>(&self, each: &mut dyn FnMut(Event) -> Result<(), E>) -> Result<(), E> {
        for (medium, other) in [(self.from, self.to), (self.to, self.from)] {
            let freed = self.free_one(medium, other);
            if let Err(error) = freed.and_then(|()| medium.tidy(self.now)) {
                failed(medium.dir().display().to_string(), error, each)?;
            }
        }
        Ok(())
    }

    fn free_one(&self, medium: &Medium, other: &Medium) -> Result<(), Error> {
        let mut most = MAX_HINTS;
        for recipient in medium.recipients(Kind::Cargo)?.0 {
            let mut passing = Vec::new();
            let mut pile = medium.lying(Kind::Cargo, recipient)?;
            while let Some(lying) = pile.next_message()? {
                if self.hint(medium, &lying)?.is_some() {
                    medium.remove(&lying)?;
                } else if let Some(hint) = self.hint(other, &lying)? {
                    // An empty file takes no block, which a hint does.
                    if passing.len() < most.min(MAX_HINTS_OF_GATEWAY) && lying.len > 0 {
                        passing.push((lying, hint));
                    } else {
                        medium.remove(&lying)?;
                    }
                }
            }
            most -= passing.len();
            pass(medium, &passing)?;
        }
        Ok(())
    }

    /// What a medium says of the arrival of cargo, unless that is in the future.
    fn hint(&self, medium: &Medium, lying: &Lying) -> Result<Option<Hint>, Error> {
        let hint = medium.hint_of(lying.recipient, lying.sha256, self.now)?;
        Ok(hint.filter(|hint| !self.judge.window.is_before(hint.date)))
    }

    /// How many octets there is room for, and how many may go.
    fn room(&self) -> Result<(u64, u64), Error> {
        let free = self.to.free_space()?.saturating_sub(OVERHEAD);
        let Some(quota) = self.quota else {
            return Ok((free, u64::MAX));
        };
        let mut used = 0;
        for kind in [Kind::Cca, Kind::Cargo] {
            for recipient in self.to.recipients(kind)?.0 {
                let mut pile = self.to.lying(kind, recipient)?;
                while let Some(lying) = pile.next_message()? {
                    used += lying.len;
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
        let mut pile = self.from.lying(kind, recipient)?;
        pile.take_strays().tell(self.from.dir(), each)?;
        while let Some(lying) = pile.next_message()? {
            // What has arrived and could not be taken off waits for another run.
            if self.hint(self.from, &lying)?.is_some() || self.hint(self.to, &lying)?.is_some() {
                continue;
            }
            if self.to.holds(&lying, self.moves)? {
                self.is_there(&lying, each)?;
                continue;
            }
            match self.verified(&lying) {
                Ok(Some(end)) => wanted.push((lying, end)),
                Ok(None) => {}
                Err(error) => failed(lying.to_string(), error, each)?,
            }
        }
        Ok(())
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
        pending.place()?;
        Ok(true)
    }
}

/// Writes hints, those for which there is room, and then takes off what they name.
fn pass(medium: &Medium, passing: &[(Lying, Hint)]) -> Result<(), Error> {
    if passing.is_empty() {
        return Ok(());
    }
    let room = medium.free_space()?.saturating_sub(OVERHEAD) / OVERHEAD;
    let most = usize::try_from(room).unwrap_or(usize::MAX);
    let mut batch = Batch::default();
    for (_, hint) in passing.iter().take(most) {
        batch.add(medium.stage_hint(hint)?)?;
    }
    batch.commit()?;
    if let Some(refused) = batch.take_refused().into_iter().next() {
        return Err(refused.into());
    }
    for (lying, _) in passing {
        medium.remove(lying)?;
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
