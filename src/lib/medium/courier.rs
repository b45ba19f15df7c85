//! From medium to medium, without keys.
//!
//! What is for whom, and how long it lives, is in clear; the rest is nobody's business on the way.

use jiff::Timestamp;

use super::{Error, Event, Lying, Medium, Why};
use crate::message::Object;
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::verify::{self, Authorized, Judge};

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
        self.pass_hints()?;
        let mut room = self.room()?;
        let mut wanted = Vec::new();
        for kind in [Kind::Cca, Kind::Cargo] {
            for recipient in self.from.recipients(kind)? {
                self.look(kind, recipient, &mut wanted, each)?;
            }
        }
        // Requests are small, and what ends first is of use for the shortest time.
        wanted.sort_unstable_by(|(a, a_end), (b, b_end)| {
            let key = |lying: &Lying, end: &Timestamp| (lying.kind() == Kind::Cargo, *end);
            (key(a, a_end), &a.path).cmp(&(key(b, b_end), &b.path))
        });
        let (mut messages, mut octets) = (0, 0);
        for (lying, _) in wanted {
            if lying.len + OVERHEAD > room {
                messages += 1;
                octets += lying.len;
                continue;
            }
            room -= lying.len + OVERHEAD;
            match self.carry(&lying) {
                Ok(()) => each(Event::Carried(lying))?,
                Err(error @ Error::Disk(_)) => return Err(error.into()),
                Err(error) => each(Event::Failed {
                    what: lying.to_string(),
                    error,
                })?,
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

    /// Hints go both ways, and what they name is freed.
    fn pass_hints(&self) -> Result<(), Error> {
        for (a, b) in [(self.from, self.to), (self.to, self.from)] {
            for (gateway, sha256) in a.hints()? {
                if !b.has_hint(gateway, &sha256)? {
                    b.hint(gateway, &sha256, self.now)?;
                }
            }
        }
        for medium in [self.from, self.to] {
            for recipient in medium.recipients(Kind::Cargo)? {
                let mut pile = medium.lying(Kind::Cargo, recipient, &mut |_| {})?;
                while let Some(lying) = pile.next_message()? {
                    if medium.has_hint(recipient, &lying.sha256)? {
                        medium.remove(&lying)?;
                    }
                }
            }
            medium.tidy(self.now)?;
        }
        Ok(())
    }

    /// How many octets may go.
    fn room(&self) -> Result<u64, Error> {
        let free = self.to.free_space()?.saturating_sub(OVERHEAD);
        let Some(quota) = self.quota else {
            return Ok(free);
        };
        let mut used = 0;
        for kind in [Kind::Cca, Kind::Cargo] {
            for recipient in self.to.recipients(kind)? {
                let mut pile = self.to.lying(kind, recipient, &mut |_| {})?;
                while let Some(lying) = pile.next_message()? {
                    used += lying.len;
                }
            }
        }
        Ok(free.min(quota.saturating_sub(used)))
    }

    /// Looks at what lies for a gateway, and notes what is worth carrying, with the end of its life.
    fn look<E: From<Error>>(
        &self,
        kind: Kind,
        recipient: NodeId,
        wanted: &mut Vec<(Lying, Timestamp)>,
        each: &mut dyn FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut strays = Vec::new();
        let mut pile = self
            .from
            .lying(kind, recipient, &mut |path| strays.push(path))?;
        for path in strays {
            each(Event::Stray(path))?;
        }
        while let Some(lying) = pile.next_message()? {
            if self.to.has(kind, recipient, lying.sender, &lying.sha256)? {
                if self.moves {
                    self.from.remove(&lying)?;
                }
                continue;
            }
            match self.verified(&lying) {
                Ok(Some(end)) => wanted.push((lying, end)),
                Ok(None) => {}
                Err(error) => each(Event::Failed {
                    what: lying.to_string(),
                    error,
                })?,
            }
        }
        Ok(())
    }

    /// Whether a message is worth carrying: what its name says, signed and alive; `None` when it has gone.
    fn verified(&self, lying: &Lying) -> Result<Option<Timestamp>, Error> {
        let Some(octets) = lying.read()? else {
            return Ok(None);
        };
        let object = Object::parse(&octets)?;
        if object.word() != lying.kind().word() {
            return Err(Error::Damaged);
        }
        let verdict = verify::object(object, &self.judge)?;
        if let Authorized::No(error) = verdict.authorized {
            return Err(error.into());
        }
        if (verdict.sender, verdict.recipient) != (Some(lying.sender), Some(lying.recipient)) {
            return Err(Error::OtherSender);
        }
        Ok(Some(verdict.expiry.unwrap_or(self.now)))
    }

    fn carry(&self, lying: &Lying) -> Result<(), Error> {
        let Some(octets) = lying.read()? else {
            return Ok(());
        };
        let ends = (lying.recipient, lying.sender);
        let (pending, _) = self.to.prepare(lying.kind(), ends, &octets)?;
        pending.place()?;
        if self.moves {
            self.from.remove(lying)?;
        }
        Ok(())
    }
}
