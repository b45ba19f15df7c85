//! Whether the system clock can be believed: the file `clock`, lines of `key = value`.
//!
//! Purged messages are lost, so one boot with a wrong clock must not purge anything. A time is
//! believed if it continues the times known here; any other only if the clock still agrees a day
//! later, or if the user vouches for it. While the time is not believed, no message expires, is set
//! aside or removed; everything else continues.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

use super::store::gateway_of;
use super::{Error, SENT, SPOOL, Spool};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::tree;
use crate::disk::{FileRole, Lock, files};
use crate::node::{self, Directory, certificates, endpoints, seen};
use crate::pki::Window;
use crate::ramf::Kind;

/// The name of the file, in the spool.
pub(crate) const FILE: &str = "clock";

/// Maximum length of the file, in octets: it has at most a line for each day in `sent`.
const MAX_LEN: usize = 64 * 1024;

/// How far after the newest known time a time is still believed.
pub(crate) const QUIET_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a doubted time must continue before it is believed.
const DOUBTED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// How far after the accepted time a time is believed while an earlier candidate contradicts it.
const CONTRADICTED_FOR: SignedDuration = SignedDuration::from_hours(3 * 24);

/// How long after a purge began the replay memory may be purged by it.
const PURGE_LASTS: SignedDuration = SignedDuration::from_hours(24);

/// The stored record: which time is believed, and which one is doubted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// The newest believed time.
    pub accepted: Option<Timestamp>,
    /// A doubted time, which will be believed if the clock continues from there.
    pub candidate: Option<Timestamp>,
    /// Whether the run that accepted the time has not finished.
    pub is_unfinished: bool,
    /// First instants of days with notes in `sent` that lay ahead of a believed time: a wrong clock
    /// began them.
    pub false_days: BTreeSet<Timestamp>,
}

/// Other evidence of the time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The start of the node's oldest own certificate.
    pub made: Option<Timestamp>,
    /// First instants of the days with notes in `sent`, in ascending order.
    pub days: Vec<Timestamp>,
    /// The newest date from other nodes: of a certificate that they issued to this one, or of a
    /// message. Looked up only if it can decide.
    pub others: Option<Timestamp>,
}

/// The verdict on a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockVerdict {
    /// It is believed.
    Believed,
    /// It is before this time, at which a certificate or message was made, so it cannot be right.
    Impossible(Timestamp),
    /// It is before this time, which was believed.
    Behind(Timestamp),
    /// It is too far after this newest known time; `None` if no time is known.
    Ahead(Option<Timestamp>),
}

impl ClockVerdict {
    /// The error for a time `now` that is not believed; `again` is when relay-purge will believe
    /// it. `None` if the time is believed.
    pub(crate) fn doubt(self, now: Timestamp, again: Option<Timestamp>) -> Option<Error> {
        match self {
            Self::Believed => None,
            Self::Impossible(known) | Self::Behind(known) => {
                Some(Error::ClockBehind { now, known, again })
            }
            Self::Ahead(last) => Some(Error::ClockAhead { now, last, again }),
        }
    }
}

/// The time of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The time of the system clock.
    pub told: Timestamp,
    /// The verdict on it.
    pub verdict: ClockVerdict,
    /// The believed time: that of the system clock, otherwise the newest known one.
    pub sure: Timestamp,
}

impl Time {
    /// A time that is believed without a check.
    #[must_use]
    pub fn believed(told: Timestamp) -> Self {
        Self {
            told,
            verdict: ClockVerdict::Believed,
            sure: told,
        }
    }

    /// Whether the system clock is believed.
    #[must_use]
    pub fn is_believed(&self) -> bool {
        self.verdict == ClockVerdict::Believed
    }

    /// Why the clock is not believed; `None` if it is.
    #[must_use]
    pub fn doubt(&self) -> Option<Error> {
        self.verdict.doubt(self.told, None)
    }
}

impl ClockRecord {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut clock = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once(" = ").ok_or("not key = value")?;
            let time = || value.parse().map(Some).map_err(|_| "not an instant");
            match key {
                "accepted" => clock.accepted = time()?,
                "candidate" => clock.candidate = time()?,
                "false-day" => clock.false_days.extend(time()?),
                "unfinished" => clock.is_unfinished = value == "yes",
                _ => return Err("an unknown key"),
            }
        }
        Ok(clock)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let times = [("accepted", self.accepted), ("candidate", self.candidate)];
        for (key, time) in times {
            if let Some(time) = time {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{key} = {time}");
            }
        }
        for day in &self.false_days {
            let _ = writeln!(text, "false-day = {day}");
        }
        if self.is_unfinished {
            text.push_str("unfinished = yes\n");
        }
        text
    }

    /// The newest time that is known for certain. A day counts only if it follows the one before
    /// within `QUIET_FOR`, since one boot with a wrong clock may have written notes, too. False
    /// days never count.
    #[must_use]
    pub fn newest(&self, evidence: &Evidence) -> Option<Timestamp> {
        let mut newest = self.accepted.max(evidence.made)?;
        for day in &evidence.days {
            if *day <= after(newest, QUIET_FOR) && !self.false_days.contains(day) {
                newest = newest.max(*day);
            }
        }
        Some(newest)
    }

    /// The latest time that is believed. If a candidate before the accepted time contradicts it,
    /// either of the two may be wrong; the limit is then stricter, so that one wrong clock does not
    /// justify the next.
    fn latest(&self, newest: Timestamp) -> Timestamp {
        match (self.accepted, self.candidate) {
            (Some(accepted), Some(candidate)) if candidate < accepted => {
                after(accepted, CONTRADICTED_FOR).max(after(candidate, QUIET_FOR))
            }
            _ => after(newest, QUIET_FOR),
        }
    }

    /// Whether a clock that was doubted still agrees.
    fn goes_on_at(&self, now: Timestamp) -> bool {
        self.candidate.is_some_and(|candidate| {
            let since = now.duration_since(candidate);
            (DOUBTED_FOR..=QUIET_FOR).contains(&since)
        })
    }

    /// Judges a time; `window` is `now` with the allowed clock drift.
    #[must_use]
    pub fn judge(&self, now: Timestamp, window: &Window, evidence: &Evidence) -> ClockVerdict {
        // First, since nothing overrides it: a certificate or message cannot be made in the future.
        let made = evidence.made.max(evidence.others);
        if let Some(made) = made.filter(|made| window.is_before(*made)) {
            return ClockVerdict::Impossible(made.max(self.accepted.unwrap_or(made)));
        }
        // Before the accepted time is compared: a candidate behind it may be what replaces it.
        if self.goes_on_at(now) {
            return ClockVerdict::Believed;
        }
        if let Some(accepted) = self.accepted.filter(|known| window.is_before(*known)) {
            return ClockVerdict::Behind(accepted);
        }
        match self.newest(evidence) {
            Some(newest) if now <= self.latest(newest) => ClockVerdict::Believed,
            newest => ClockVerdict::Ahead(newest),
        }
    }

    /// The record after `now` was believed.
    #[must_use]
    pub fn accepting(&self, now: Timestamp, window: &Window, evidence: &Evidence) -> Self {
        // A time before the accepted one is believed only after it continued for a day, so the
        // accepted one was wrong.
        let accepted = self.accepted.filter(|known| !window.is_before(*known));
        Self {
            accepted: accepted.max(Some(now)),
            candidate: None,
            is_unfinished: true,
            false_days: self.false_days_at(window, evidence),
        }
    }

    /// The false days in `sent`, given that the time of `window` is believed.
    fn false_days_at(&self, window: &Window, evidence: &Evidence) -> BTreeSet<Timestamp> {
        let is_false = |day: &&Timestamp| window.is_before(**day) || self.false_days.contains(day);
        evidence.days.iter().filter(is_false).copied().collect()
    }

    /// The record after `now` was doubted; a candidate that already waits stays.
    #[must_use]
    pub fn doubting(&self, now: Timestamp) -> Self {
        let waits = |candidate: &Timestamp| {
            let since = now.duration_since(*candidate);
            (SignedDuration::ZERO..DOUBTED_FOR).contains(&since)
        };
        Self {
            candidate: self.candidate.filter(waits).or(Some(now)),
            ..self.clone()
        }
    }

    /// The record after any run saw this time. A clock that went back before a candidate does not go on from
    /// there: what it says later is doubted anew, even where this time cannot be right either.
    fn contradicted(&self, window: &Window) -> Self {
        Self {
            candidate: self.candidate.filter(|it| !window.is_before(*it)),
            ..self.clone()
        }
    }

    /// The record after a run that purges nothing saw this time.
    fn seeing(&self, time: &Time, window: &Window, evidence: &Evidence) -> Self {
        match time.verdict {
            // Two wrong clocks some days apart would confirm each other, so only relay-purge
            // records a candidate ahead.
            ClockVerdict::Impossible(_) | ClockVerdict::Ahead(_) => self.contradicted(window),
            ClockVerdict::Behind(_) => self.doubting(time.told),
            // The clock is where it was before: what was doubted in between came from a wrong one.
            ClockVerdict::Believed if self.accepted.is_none_or(|it| !window.is_before(it)) => {
                Self {
                    candidate: None,
                    false_days: self.false_days_at(window, evidence),
                    ..self.clone()
                }
            }
            ClockVerdict::Believed => Self {
                false_days: self.false_days_at(window, evidence),
                ..self.contradicted(window)
            },
        }
    }
}

/// `at` plus `by`, or [`Timestamp::MAX`] on overflow.
pub(crate) fn after(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

impl Spool {
    fn clock_path(&self) -> PathBuf {
        self.root().join(FILE)
    }

    /// Reads the record; the default if there is no file.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read.
    pub fn clock(&self) -> Result<ClockRecord, Error> {
        read(self.clock_path())
    }

    /// Stores the record.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_clock(&self, clock: &ClockRecord) -> Result<(), Error> {
        files::create_dir_all_private(self.root(), FileRole::Spool)?;
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        publish::publish(&self.clock_path(), &[clock.to_text().as_bytes()], &manner)?;
        Ok(())
    }

    /// Collects evidence of the time, without `others`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn evidence(&self) -> Result<Evidence, Error> {
        let listed = tree::entries(&self.root().join(SENT), FileRole::Spool)?.entries;
        let day = |entry: &tree::Entry| format!("{}T00:00:00Z", entry.name.to_str()?).parse().ok();
        Ok(Evidence {
            made: certificates::own_since(self.owner())?,
            days: listed.iter().filter_map(day).collect(),
            others: None,
        })
    }

    /// Judges a time. Dates from other nodes are looked up only if the time is before the accepted
    /// one, since only then they can decide.
    fn judged(
        &self,
        clock: &ClockRecord,
        evidence: &mut Evidence,
        now: Timestamp,
        window: &Window,
    ) -> Result<ClockVerdict, Error> {
        let verdict = clock.judge(now, window, evidence);
        // Most times are not behind; then the files of all peers need not be read.
        if clock.accepted.is_none_or(|known| !window.is_before(known)) {
            return Ok(verdict);
        }
        evidence.others = newest_of_others(self.owner())?;
        Ok(clock.judge(now, window, evidence))
    }

    /// Judges the time for programs that remove nothing because of it. A damaged `clock` does not
    /// stop them; relay-purge and relay-check report it.
    ///
    /// # Errors
    /// When the record or the evidence cannot be read.
    pub fn time(&self, now: Timestamp, window: &Window) -> Result<Time, Error> {
        let (clock, mut evidence) = (self.clock_or_none()?.unwrap_or_default(), self.evidence()?);
        self.time_by(&clock, &mut evidence, now, window)
    }

    fn time_by(
        &self,
        clock: &ClockRecord,
        evidence: &mut Evidence,
        now: Timestamp,
        window: &Window,
    ) -> Result<Time, Error> {
        let mut verdict = self.judged(clock, evidence, now, window)?;
        // Who removes nothing can wait for relay-purge to decide between the clock and later days.
        if verdict == ClockVerdict::Believed
            && !clock.goes_on_at(now)
            && let Some(newest) = clock.newest(evidence).filter(|it| window.is_before(*it))
        {
            verdict = ClockVerdict::Behind(newest);
        }
        let sure = match verdict {
            ClockVerdict::Believed => now,
            _ => clock.newest(evidence).unwrap_or(now),
        };
        Ok(Time {
            told: now,
            verdict,
            sure,
        })
    }

    /// As [`Spool::time`], and stores what later runs need to judge the time. The caller holds the
    /// queue lock.
    ///
    /// # Errors
    /// As [`Spool::time`]; or when the record cannot be stored.
    pub fn see_time(&self, now: Timestamp, window: &Window) -> Result<Time, Error> {
        let (known, mut evidence) = (self.clock_or_none()?, self.evidence()?);
        let before = known.clone().unwrap_or_default();
        let time = self.time_by(&before, &mut evidence, now, window)?;
        let after = before.seeing(&time, window, &evidence);
        // A damaged file is not overwritten: relay-purge and relay-check still have to report it.
        if known.is_some() && after != before {
            self.set_clock(&after)?;
        }
        Ok(time)
    }

    /// The time whose day in `sent` gets notes of events at `now`: the newest known time if `now`
    /// is not believed, since a later run would take a false day as evidence.
    ///
    /// # Errors
    /// As [`Spool::time`].
    pub(super) fn day_of(&self, now: Timestamp) -> Result<Timestamp, Error> {
        if let Some((known, day)) = self.day.get()
            && *known == now
        {
            return Ok(*day);
        }
        let window = Window::new(now, SignedDuration::ZERO);
        let day = self.time(now, &window)?.sure;
        // Another thread may have stored it first; within a run the time is the same.
        let _ = self.day.set((now, day));
        Ok(day)
    }

    /// The record; `None` if the file is damaged.
    fn clock_or_none(&self) -> Result<Option<ClockRecord>, Error> {
        match self.clock() {
            Err(Error::Node(node::Error::Directory(node::DirectoryError::Damaged { .. }))) => {
                Ok(None)
            }
            clock => clock.map(Some),
        }
    }

    /// Accepts the time or refuses it, and stores the new record unless `is_dry`. Returns the
    /// record before that, or the new one if the user vouches for the time. The caller holds the
    /// queue lock.
    ///
    /// # Errors
    /// [`Error::ClockBehind`] and [`Error::ClockAhead`], unless the user vouches for the time
    /// (`is_vouched`).
    pub fn accept_time(
        &self,
        now: Timestamp,
        window: &Window,
        is_vouched: bool,
        is_dry: bool,
    ) -> Result<ClockRecord, Error> {
        let mut evidence = self.evidence()?;
        if is_vouched {
            // The stored record is not read: the user overrides it, even if it is damaged.
            let unknown = ClockRecord::default();
            let clock = unknown.accepting(now, window, &evidence);
            if !is_dry {
                self.set_clock(&clock)?;
            }
            return Ok(clock);
        }
        let before = self.clock()?;
        let verdict = self.judged(&before, &mut evidence, now, window)?;
        let (after, again) = match verdict {
            ClockVerdict::Believed => (before.accepting(now, window, &evidence), None),
            // The certificate or message that proves it wrong will prove the same later.
            ClockVerdict::Impossible(_) => (before.contradicted(window), None),
            ClockVerdict::Behind(_) | ClockVerdict::Ahead(_) => {
                let after = before.doubting(now);
                let since = after.candidate;
                let again = since.and_then(|since| since.checked_add(DOUBTED_FOR).ok());
                (after, again)
            }
        };
        // Also where this run is refused: a run a day later depends on it.
        if !is_dry && after != before {
            self.set_clock(&after)?;
        }
        match verdict.doubt(now, again) {
            Some(doubt) => Err(doubt),
            None => Ok(before),
        }
    }

    /// Checks that the time is not before anything that happened here.
    ///
    /// # Errors
    /// [`Error::ClockBehind`] when it does.
    pub fn check_not_behind(&self, now: Timestamp, window: &Window) -> Result<(), Error> {
        let (clock, mut evidence) = (self.clock()?, self.evidence()?);
        let verdict = self.judged(&clock, &mut evidence, now, window)?;
        match verdict.doubt(now, None) {
            Some(doubt @ Error::ClockBehind { .. }) => Err(doubt),
            _ => Ok(()),
        }
    }

    /// Records that the run that accepted the time has finished. The caller holds the queue lock.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub fn finish(&self) -> Result<(), Error> {
        let clock = ClockRecord {
            is_unfinished: false,
            ..self.clock()?
        };
        self.set_clock(&clock)
    }

    /// The options for the file of a message of this kind that arrives now. It is not older than the last purge of the
    /// replay memories here, even if the clock is: by its age relay-deliver knows which messages that purge may have
    /// forgotten.
    #[must_use]
    pub fn arriving(&self, kind: Kind, existing: IfExists) -> PublishOptions<'static> {
        let purged = self.purged.get_or_init(|| self.purged().ok().flatten());
        let options = PublishOptions::stored(FileRole::Spool, existing);
        options.mode(self.mode_of(kind)).not_before(*purged)
    }

    /// When replay memories here were purged last, unless that was by a clock that was ahead.
    fn purged(&self) -> Result<Option<SystemTime>, Error> {
        let Some(accepted) = self.clock()?.accepted else {
            return Ok(None);
        };
        let locals = endpoints::local(&self.owner)?.into_iter();
        let roots = locals.filter_map(endpoints::Local::own_root);
        let mut newest = seen::raised(self.owner.root())?;
        for root in roots {
            newest = newest.max(seen::raised(&root)?);
        }
        let is_right = |time: &SystemTime| *time <= SystemTime::from(after(accepted, PURGE_LASTS));
        Ok(newest.filter(is_right))
    }
}

/// Reads a record; the default if there is no file.
fn read(path: PathBuf) -> Result<ClockRecord, Error> {
    let octets = match files::read(&path, FileRole::Spool, MAX_LEN) {
        Ok(octets) => octets,
        Err(error) if error.is_not_found() => return Ok(ClockRecord::default()),
        Err(error) => return Err(error.into()),
    };
    ClockRecord::parse(&String::from_utf8_lossy(&octets)).map_err(|problem| {
        let problem = problem.to_owned();
        node::Error::Directory(node::DirectoryError::Damaged { path, problem }).into()
    })
}

/// Stores that a program of this node which moves no messages ran at the time of `window`, if a doubted clock went
/// back by that. What cannot be read or stored, the programs that need it report.
pub fn note_time(node: Option<&Directory>, window: &Window) {
    let Some(node) = node else {
        return;
    };
    let contradicts = |clock: &ClockRecord| clock.contradicted(window) != *clock;
    let gateway = gateway_of(node).ok().flatten();
    let root = gateway.as_deref().unwrap_or(node.root());
    // Hardly ever: the rest need not be read for it.
    if !read(root.join(SPOOL).join(FILE)).is_ok_and(|clock| contradicts(&clock)) {
        return;
    }
    let spool = node.open_other(node.root()).ok().map(Spool::shared_with);
    let Some(Ok(spool)) = spool else {
        return;
    };
    let lock = spool.owner().lock_file("queue");
    // Another run that holds the lock sees the time, too.
    let Ok(Ok(Some(_lock))) = lock.map(|path| Lock::try_exclusive(&path)) else {
        return;
    };
    if let Ok(clock) = spool.clock()
        && contradicts(&clock)
    {
        let _ = spool.set_clock(&clock.contradicted(window));
    }
}

/// The newest date that other nodes gave this one, by their own clocks: when a certificate that
/// they issued to it begins, or a message that it opened was made.
fn newest_of_others(node: &Directory) -> Result<Option<Timestamp>, Error> {
    let mut newest = certificates::newest_from_others(node)?;
    for peer in node.peers()?.0 {
        newest = newest.max(node.newest_date_from(peer.id));
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judged(clock: &ClockRecord, evidence: &Evidence, now: &str) -> ClockVerdict {
        let now = at(now);
        let window = Window::new(now, SignedDuration::from_hours(2));
        clock.judge(now, &window, evidence)
    }

    const PURGED: &str = "2026-03-01T12:00:00Z";

    fn purged() -> ClockRecord {
        ClockRecord {
            accepted: Some(at(PURGED)),
            ..ClockRecord::default()
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
            assert_eq!(
                judged(&purged(), &none, now),
                ClockVerdict::Believed,
                "{now}"
            );
        }
        let behind = ClockVerdict::Behind(at(PURGED));
        // Dates from other nodes are not after a time that is right.
        let made = Evidence {
            others: Some(at("2026-02-20T12:00:00Z")),
            ..Evidence::default()
        };
        let now = "2026-02-20T09:00:00Z";
        assert_eq!(
            judged(&purged(), &made, now),
            ClockVerdict::Impossible(at(PURGED))
        );
        let now = "2026-02-20T11:00:00Z";
        assert_eq!(judged(&purged(), &made, now), behind);
        for now in ["2026-03-01T09:59:59Z", "2016-03-01T12:00:00Z"] {
            assert_eq!(judged(&purged(), &none, now), behind, "{now}");
        }
        let ahead = ClockVerdict::Ahead(Some(at(PURGED)));
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
            others: None,
        };
        let new = ClockRecord::default();
        let steps = days(&["2026-01-20", "2026-02-10", "2026-03-10"]);
        assert_eq!(
            judged(&new, &steps, "2026-04-01T00:00:00Z"),
            ClockVerdict::Believed
        );
        // One boot with a wrong clock wrote notes, too.
        let jump = days(&["2026-01-20", "2036-01-01"]);
        let last = Some(at("2026-01-20T00:00:00Z"));
        assert_eq!(
            judged(&new, &jump, "2036-01-02T00:00:00Z"),
            ClockVerdict::Ahead(last)
        );
        assert_eq!(
            judged(&new, &Evidence::default(), PURGED),
            ClockVerdict::Ahead(None)
        );
    }

    #[test]
    fn what_is_doubted_has_to_go_on_for_a_day() {
        let none = Evidence::default();
        let doubting = purged().doubting(at("2036-03-01T12:00:00Z"));
        let ahead = ClockVerdict::Ahead(Some(at(PURGED)));
        for (now, verdict) in [
            ("2036-03-02T11:59:59Z", ahead),
            ("2036-03-02T12:00:00Z", ClockVerdict::Believed),
            ("2036-03-31T12:00:01Z", ahead),
            ("2036-02-29T12:00:00Z", ahead),
            ("2026-03-02T12:00:00Z", ClockVerdict::Believed),
        ] {
            assert_eq!(judged(&doubting, &none, now), verdict, "{now}");
        }
        // A candidate waits from when it was first seen, unless another one replaces it.
        let again = doubting.doubting(at("2036-03-02T00:00:00Z"));
        assert_eq!(again, doubting);
        let other = at("2036-04-20T00:00:00Z");
        assert_eq!(doubting.doubting(other).candidate, Some(other));
        let accepting = |clock: &ClockRecord, now: &str| {
            let window = Window::new(at(now), SignedDuration::from_hours(2));
            clock.accepting(at(now), &window, &none)
        };
        assert_eq!(accepting(&doubting, PURGED).candidate, None);
        // A time before the accepted one lowers it, if it continues for a day.
        let behind = purged().doubting(at("2026-02-10T12:00:00Z"));
        let again = "2026-02-11T12:00:00Z";
        assert_eq!(judged(&behind, &none, again), ClockVerdict::Believed);
        assert_eq!(accepting(&behind, again).accepted, Some(at(again)));
        assert_eq!(
            accepting(&purged(), "2026-03-01T11:00:00Z").accepted,
            Some(at(PURGED))
        );
    }

    /// Two wrong times in the same future, with the wrong past between them: once they were taken for a clock
    /// that went on, and a key was deleted.
    #[test]
    fn a_clock_that_went_back_does_not_go_on() {
        let evidence = Evidence {
            made: Some(at("2026-01-01T00:00:00Z")),
            ..Evidence::default()
        };
        let window = |now: &str| Window::new(at(now), SignedDuration::from_hours(2));
        let doubting = purged().doubting(at("2080-12-02T12:00:00Z"));
        let past = "2025-01-26T12:00:00Z";
        assert!(matches!(
            judged(&doubting, &evidence, past),
            ClockVerdict::Impossible(_)
        ));
        let contradicted = doubting.contradicted(&window(past));
        let again = "2080-12-12T12:00:00Z";
        assert_eq!(judged(&doubting, &evidence, again), ClockVerdict::Believed);
        assert!(matches!(
            judged(&contradicted, &evidence, again),
            ClockVerdict::Ahead(_)
        ));
        // By less than the drift, clocks go back every day.
        let drift = doubting.contradicted(&window("2080-12-02T10:30:00Z"));
        assert_eq!(drift, doubting);
    }

    #[test]
    fn days_ahead_of_a_time_that_was_believed_never_count() {
        let days = ["2026-02-20", "2026-04-10"].map(|day| at(&format!("{day}T00:00:00Z")));
        let evidence = Evidence {
            days: days.to_vec(),
            ..Evidence::default()
        };
        let now = at("2026-03-12T12:00:00Z");
        let window = Window::new(now, SignedDuration::from_hours(2));
        let clock = purged().accepting(now, &window, &evidence);
        assert_eq!(clock.false_days, BTreeSet::from([days[1]]));
        let ahead = ClockVerdict::Ahead(Some(now));
        assert_eq!(judged(&clock, &evidence, "2026-04-21T12:00:00Z"), ahead);
        // Nor once that day has come, as long as its file exists.
        let now = at("2026-04-11T12:00:00Z");
        let window = Window::new(now, SignedDuration::from_hours(2));
        let clock = clock.accepting(now, &window, &evidence);
        assert_eq!(clock.false_days, BTreeSet::from([days[1]]));
        let clock = clock.accepting(now, &window, &Evidence::default());
        assert_eq!(clock.false_days, BTreeSet::new());
    }

    #[test]
    fn one_wrong_clock_does_not_lead_to_the_next() {
        let none = Evidence::default();
        // A purge on day 29 was believed; then the right clock contradicted it.
        let wrong = ClockRecord {
            accepted: Some(at("2026-03-30T12:00:00Z")),
            candidate: Some(at("2026-03-01T13:00:00Z")),
            ..ClockRecord::default()
        };
        for (now, is_believed) in [
            ("2026-03-01T14:00:00Z", false),
            ("2026-03-02T13:00:00Z", true),
            ("2026-04-02T12:00:00Z", true),
            ("2026-04-02T12:00:01Z", false),
            ("2026-04-28T12:00:00Z", false),
        ] {
            let verdict = judged(&wrong, &none, now);
            assert_eq!(
                verdict == ClockVerdict::Believed,
                is_believed,
                "{now}: {verdict:?}"
            );
        }
    }

    #[test]
    fn a_clock_comes_back_as_it_was_written() {
        let clock = ClockRecord {
            candidate: Some(at("2036-01-01T00:00:00Z")),
            is_unfinished: true,
            ..purged()
        };
        let false_days = BTreeSet::from([at("2036-01-01T00:00:00Z"), at("2037-01-01T00:00:00Z")]);
        let doubting = ClockRecord {
            false_days,
            ..purged()
        };
        for clock in [clock, doubting, purged(), ClockRecord::default()] {
            assert_eq!(ClockRecord::parse(&clock.to_text()), Ok(clock));
        }
        for bad in ["accepted", "accepted = soon", "when = 2036-01-01T00:00:00Z"] {
            assert!(ClockRecord::parse(bad).is_err(), "{bad}");
        }
    }
}
