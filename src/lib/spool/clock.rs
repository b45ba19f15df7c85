//! Whether the clock may be believed: `clock`, lines of `key = value`.
//!
//! What is purged is lost, so one boot with a wrong clock must not purge anything. A time is believed that follows on
//! what is known of times here; another one only when it is there a day later, too, or when the user vouches for it.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::{Error, Spool, sent};
use crate::disk::publish::{self, Existing, Manner};
use crate::disk::tree;
use crate::disk::{Role, files};
use crate::node::{self, certificates};
use crate::pki::Window;

/// The name of the file, in the spool.
pub(super) const FILE: &str = "clock";

/// The longest such file, in octets.
const MAX_LEN: usize = 4096;

/// How long nothing need have happened here for the time to be believed.
pub(super) const QUIET_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a time that nothing leads to must go on before it is believed.
const DOUBTED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What was made of the clock so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    /// The latest time that was believed.
    pub accepted: Option<Timestamp>,
    /// A time that was not, and may be if it goes on from there.
    pub candidate: Option<Timestamp>,
    /// Whether the run that believed it has not ended.
    pub is_unfinished: bool,
}

/// What else tells what time it may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Since when there has been a certificate of the node's own.
    pub made: Option<Timestamp>,
    /// The beginnings of days on which something was noted of messages, the earliest first.
    pub days: Vec<Timestamp>,
}

/// What is to be made of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is believed.
    Believed,
    /// It lies before this time, at which something happened here.
    Behind(Timestamp),
    /// Nothing leads to it since this time, if there is any.
    Ahead(Option<Timestamp>),
}

impl Clock {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut clock = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once(" = ").ok_or("not key = value")?;
            let time = || value.parse().map(Some).map_err(|_| "not an instant");
            match key {
                "accepted" => clock.accepted = time()?,
                "candidate" => clock.candidate = time()?,
                "unfinished" => clock.is_unfinished = value == "yes",
                _ => return Err("an unknown key"),
            }
        }
        Ok(clock)
    }

    fn to_text(self) -> String {
        let mut text = String::new();
        let times = [("accepted", self.accepted), ("candidate", self.candidate)];
        for (key, time) in times {
            if let Some(time) = time {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key} = {time}");
            }
        }
        if self.is_unfinished {
            text.push_str("unfinished = yes\n");
        }
        text
    }

    /// The newest time that is known for certain: days count as far as they follow each other, since one boot
    /// with a wrong clock may have noted something, too.
    #[must_use]
    pub fn newest(&self, evidence: &Evidence) -> Option<Timestamp> {
        let mut newest = self.accepted.max(evidence.made)?;
        for day in &evidence.days {
            if *day <= newest + QUIET_FOR {
                newest = newest.max(*day);
            }
        }
        Some(newest)
    }

    /// What is to be made of the time.
    #[must_use]
    pub fn judge(&self, now: Timestamp, window: &Window, evidence: &Evidence) -> Verdict {
        let known = self.accepted.max(evidence.made);
        if let Some(known) = known.filter(|known| window.is_before(*known)) {
            return Verdict::Behind(known);
        }
        let newest = self.newest(evidence);
        let goes_on = |candidate: &Timestamp| {
            let since = now.duration_since(*candidate);
            (DOUBTED_FOR..=QUIET_FOR).contains(&since)
        };
        if newest.is_some_and(|newest| now <= newest + QUIET_FOR)
            || self.candidate.as_ref().is_some_and(goes_on)
        {
            Verdict::Believed
        } else {
            Verdict::Ahead(newest)
        }
    }

    /// The clock with a time that is believed.
    #[must_use]
    pub fn accepting(self, now: Timestamp) -> Self {
        Self {
            accepted: self.accepted.max(Some(now)),
            candidate: None,
            is_unfinished: true,
        }
    }

    /// The clock with a time that is not; one that waits already goes on waiting.
    #[must_use]
    pub fn doubting(self, now: Timestamp) -> Self {
        let waits = |candidate: &Timestamp| {
            let since = now.duration_since(*candidate);
            (SignedDuration::ZERO..DOUBTED_FOR).contains(&since)
        };
        Self {
            candidate: self.candidate.filter(waits).or(Some(now)),
            ..self
        }
    }
}

impl Spool {
    fn clock_path(&self) -> PathBuf {
        self.root().join(FILE)
    }

    /// What was made of the clock so far.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read.
    pub fn clock(&self) -> Result<Clock, Error> {
        let path = self.clock_path();
        let octets = match files::read(&path, Role::Spool, MAX_LEN) {
            Ok(octets) => octets,
            Err(error) if error.is_not_found() => return Ok(Clock::default()),
            Err(error) => return Err(error.into()),
        };
        Clock::parse(&String::from_utf8_lossy(&octets)).map_err(|problem| {
            let problem = problem.to_owned();
            node::Error::Damaged { path, problem }.into()
        })
    }

    /// Stores what was made of the clock.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_clock(&self, clock: Clock) -> Result<(), Error> {
        files::create_dir_all_private(self.root(), Role::Spool)?;
        let manner = Manner::stored(Role::Spool, Existing::Replace);
        publish::publish(&self.clock_path(), &[clock.to_text().as_bytes()], &manner)?;
        Ok(())
    }

    /// What else tells what time it may be.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn evidence(&self) -> Result<Evidence, Error> {
        let listed = tree::entries(&self.root().join(sent::FOLDER), Role::Spool)?.entries;
        let day = |entry: &tree::Entry| format!("{}T00:00:00Z", entry.name.to_str()?).parse().ok();
        Ok(Evidence {
            made: certificates::own_since(self.owner())?,
            days: listed.iter().filter_map(day).collect(),
        })
    }

    /// Takes the time for right or refuses it, and stores what was made of it unless `is_dry`. Gives what was made of
    /// it before. The caller holds the lock of the queues.
    ///
    /// # Errors
    /// [`Error::ClockBehind`] and [`Error::ClockAhead`], unless the user vouches for the time.
    pub fn accept_time(
        &self,
        now: Timestamp,
        window: &Window,
        is_vouched: bool,
        is_dry: bool,
    ) -> Result<Clock, Error> {
        if is_vouched {
            let accepted = Some(now);
            let clock = Clock {
                accepted,
                candidate: None,
                is_unfinished: true,
            };
            if !is_dry {
                self.set_clock(clock)?;
            }
            return Ok(clock);
        }
        let before = self.clock()?;
        match before.judge(now, window, &self.evidence()?) {
            Verdict::Believed => {
                if !is_dry {
                    self.set_clock(before.accepting(now))?;
                }
                Ok(before)
            }
            Verdict::Behind(known) => Err(Error::ClockBehind { now, known }),
            Verdict::Ahead(last) => {
                let after = before.doubting(now);
                if !is_dry && after != before {
                    self.set_clock(after)?;
                }
                let again = after.candidate.map(|since| since + DOUBTED_FOR);
                Err(Error::ClockAhead { now, last, again })
            }
        }
    }

    /// Checks that the time does not lie before what happened here.
    ///
    /// # Errors
    /// [`Error::ClockBehind`] when it does.
    pub fn check_not_behind(&self, now: Timestamp, window: &Window) -> Result<(), Error> {
        match self.clock()?.judge(now, window, &self.evidence()?) {
            Verdict::Behind(known) => Err(Error::ClockBehind { now, known }),
            Verdict::Believed | Verdict::Ahead(_) => Ok(()),
        }
    }

    /// Notes that the run has ended which believed the time last. The caller holds the lock of the queues.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn finish(&self) -> Result<(), Error> {
        let clock = Clock {
            is_unfinished: false,
            ..self.clock()?
        };
        self.set_clock(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judged(clock: &Clock, evidence: &Evidence, now: &str) -> Verdict {
        let now = at(now);
        let window = Window::new(now, SignedDuration::from_hours(2));
        clock.judge(now, &window, evidence)
    }

    const PURGED: &str = "2026-03-01T12:00:00Z";

    fn purged() -> Clock {
        Clock {
            accepted: Some(at(PURGED)),
            ..Clock::default()
        }
    }

    #[test]
    fn a_clock_that_goes_a_little_wrong_is_believed() {
        let none = Evidence::default();
        for now in [
            "2026-03-01T10:00:00Z",
            PURGED,
            "2026-03-01T14:00:00Z",
            "2026-03-31T12:00:00Z",
        ] {
            assert_eq!(judged(&purged(), &none, now), Verdict::Believed, "{now}");
        }
        let behind = Verdict::Behind(at(PURGED));
        for now in ["2026-03-01T09:59:59Z", "2016-03-01T12:00:00Z"] {
            assert_eq!(judged(&purged(), &none, now), behind, "{now}");
        }
        let ahead = Verdict::Ahead(Some(at(PURGED)));
        for now in ["2026-03-31T12:00:01Z", "2036-03-01T12:00:00Z"] {
            assert_eq!(judged(&purged(), &none, now), ahead, "{now}");
        }
    }

    #[test]
    fn days_lead_to_a_time_only_where_they_follow_each_other() {
        let days = |days: &[&str]| Evidence {
            made: Some(at("2026-01-01T00:00:00Z")),
            days: days
                .iter()
                .map(|day| at(&format!("{day}T00:00:00Z")))
                .collect(),
        };
        let new = Clock::default();
        let steps = days(&["2026-01-20", "2026-02-10", "2026-03-10"]);
        assert_eq!(
            judged(&new, &steps, "2026-04-01T00:00:00Z"),
            Verdict::Believed
        );
        // One boot with a wrong clock noted something, too.
        let jump = days(&["2026-01-20", "2036-01-01"]);
        let last = Some(at("2026-01-20T00:00:00Z"));
        assert_eq!(
            judged(&new, &jump, "2036-01-02T00:00:00Z"),
            Verdict::Ahead(last)
        );
        assert_eq!(
            judged(&new, &Evidence::default(), PURGED),
            Verdict::Ahead(None)
        );
    }

    #[test]
    fn what_is_doubted_has_to_go_on_for_a_day() {
        let none = Evidence::default();
        let doubting = purged().doubting(at("2036-03-01T12:00:00Z"));
        let ahead = Verdict::Ahead(Some(at(PURGED)));
        for (now, verdict) in [
            ("2036-03-02T11:59:59Z", ahead),
            ("2036-03-02T12:00:00Z", Verdict::Believed),
            ("2036-03-31T12:00:01Z", ahead),
            ("2036-02-29T12:00:00Z", ahead),
            ("2026-03-02T12:00:00Z", Verdict::Believed),
        ] {
            assert_eq!(judged(&doubting, &none, now), verdict, "{now}");
        }
        // It waits from when it was there first, unless it is another one.
        let again = doubting.doubting(at("2036-03-02T00:00:00Z"));
        assert_eq!(again, doubting);
        let other = at("2036-04-20T00:00:00Z");
        assert_eq!(doubting.doubting(other).candidate, Some(other));
        assert_eq!(doubting.accepting(at(PURGED)).candidate, None);
    }

    #[test]
    fn a_clock_comes_back_as_it_was_written() {
        let clock = Clock {
            candidate: Some(at("2036-01-01T00:00:00Z")),
            is_unfinished: true,
            ..purged()
        };
        for clock in [clock, purged(), Clock::default()] {
            assert_eq!(Clock::parse(&clock.to_text()), Ok(clock));
        }
        for bad in ["accepted", "accepted = soon", "when = 2036-01-01T00:00:00Z"] {
            assert!(Clock::parse(bad).is_err(), "{bad}");
        }
    }
}
