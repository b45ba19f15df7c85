//! Reports an exchange with gateways online.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::host_reports::{HostReports, is_of_network, moved, note, report_host};
use super::hourly::HourlyLimit;
use super::input_ref::InputRef;
use super::limited::Limited;
use super::tally::counted;
use super::{files, report};
use crate::binding::Error;
use crate::binding::online::{OnlineEvent, OnlineTally};
use crate::describe::{self, json};
use crate::kind::{DiskCause, ErrorKind};
use crate::spool::Spool;

/// How many parcels that were refused are named in a run, or in an hour of one that goes on.
const MAX_NAMED: usize = 20;

/// How many of each other kind are named in an hour of a run that goes on, beside so many that were refused.
const MAX_LEFT: usize = 8;

/// How often an error that goes on is reported with `-q`.
const REPORT_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// A connection that lasted so long was well, and what is wrong after it is news.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// So many errors of an address are known as reported: those of submitting and of collecting may alternate.
const MAX_TROUBLES: usize = 8;

/// The errors of an address that were reported.
#[derive(Debug, Default)]
struct Troubles {
    /// When each was, and its text; the newest last.
    told: VecDeque<(Timestamp, String)>,
    /// When a connection began.
    connected: Option<Instant>,
}

impl Troubles {
    /// Whether an error is news; then it counts as reported.
    fn is_new(&mut self, text: &str, now: Timestamp) -> bool {
        if self
            .connected
            .take()
            .is_some_and(|at| at.elapsed() >= WELL_AFTER)
        {
            self.told.clear();
        }
        self.told
            .retain(|(at, _)| now.duration_since(*at).abs() < REPORT_EVERY);
        if self.told.iter().any(|(_, told)| told == text) {
            return false;
        }
        if self.told.len() >= MAX_TROUBLES {
            self.told.pop_front();
        }
        self.told.push_back((now, text.to_owned()));
        true
    }
}

/// Reports what happens with gateways, and collects the exit status.
#[derive(Debug)]
pub struct OnlineLog {
    is_printed: bool,
    named: Limited,
    tally: OnlineTally,
    /// How the servers were reached.
    pub hosts: HostReports,
    /// What was reported of each address, in a run that goes on.
    troubles: BTreeMap<String, Troubles>,
    /// What is named in such a run.
    hourly: Option<HourlyNames>,
}

/// The parcels that are named in a run that goes on.
#[derive(Debug)]
struct HourlyNames {
    refused: HourlyLimit,
    left: HourlyLimit,
    kept: HourlyLimit,
}

impl HourlyNames {
    const fn new() -> Self {
        Self {
            refused: HourlyLimit::new(MAX_NAMED),
            left: HourlyLimit::new(MAX_LEFT),
            kept: HourlyLimit::new(MAX_LEFT),
        }
    }

    /// Says how many were not named, each time with `take` of their limit.
    fn tell_more(&mut self, take: impl Fn(&mut HourlyLimit) -> Option<usize>) {
        for (limit, what) in [
            (&mut self.refused, "refused"),
            (&mut self.left, "left with a gateway"),
            (&mut self.kept, "not taken"),
        ] {
            if let Some(more) = take(limit) {
                let parcels = counted(more, "more parcel was", "more parcels were");
                report::warn(&format!("{parcels} {what}"));
            }
        }
    }
}

impl OnlineLog {
    /// Starts without events, for a run that goes on until it is stopped.
    #[must_use]
    pub fn following(json: bool) -> Self {
        Self {
            hourly: Some(HourlyNames::new()),
            ..Self::new(json)
        }
    }

    /// Says how many parcels were not named in an hour that is over.
    pub fn tell_more(&mut self, now: Instant) {
        if let Some(hourly) = &mut self.hourly {
            hourly.tell_more(|limit| limit.take_over(now));
        }
    }

    /// Starts without events. With `json`, a line is printed for each.
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self {
            is_printed: json,
            named: Limited::new(MAX_NAMED),
            tally: OnlineTally::default(),
            hosts: HostReports::default(),
            troubles: BTreeMap::new(),
            hourly: None,
        }
    }

    /// Reports an event with this gateway.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn tell(&mut self, gateway: &str, event: OnlineEvent) -> anyhow::Result<()> {
        self.tally.count(&event);
        if self.is_printed {
            let mut line = describe::exchanged_online(&event, gateway);
            if let Some(error) = error_of(&event) {
                line["error"] = report::text_of_error(error).into();
            }
            files::print_line(&json::line(&line))?;
        }
        self.tell_more(Instant::now());
        if self.hourly.is_none() {
            self.hosts.take();
        }
        let by = ("gateway", gateway);
        match event {
            OnlineEvent::Accepted { name, id, .. } => moved("accepted", &name, Some(&id), by),
            OnlineEvent::Collected { name, id, .. } => moved("collected", &name, Some(&id), by),
            OnlineEvent::CollectedAgain { name, id } => moved("repeated", &name, Some(&id), by),
            OnlineEvent::Refused { id, error, .. } => {
                // Set aside with its reason: work that is done.
                self.warn(&format!("{}: set aside", report::escaped(&id)), &error);
            }
            OnlineEvent::Rejected { delivery, error } => {
                self.warn(
                    &format!("{gateway}: delivery {delivery}: refused for good"),
                    &error,
                );
            }
            OnlineEvent::Left { delivery, error } => {
                let what = format!("{gateway}: delivery {delivery}");
                return self.failed(gateway, what, error, |hourly| &mut hourly.left);
            }
            OnlineEvent::Kept { what, error } => {
                return self.failed(gateway, what, error, |hourly| &mut hourly.kept);
            }
        }
        Ok(())
    }

    /// Reports what may succeed another time. In a run that goes on it is no failure of the run.
    fn failed(
        &mut self,
        gateway: &str,
        what: String,
        error: Error,
        limit: fn(&mut HourlyNames) -> &mut HourlyLimit,
    ) -> anyhow::Result<()> {
        let Some(hourly) = &mut self.hourly else {
            let place = InputRef::named(what);
            return self.hosts.failed_in(gateway, &place, error.into());
        };
        if limit(hourly).admit(Instant::now()) {
            report::failure(Some(&what), &error.into());
        }
        Ok(())
    }

    fn warn(&mut self, what: &str, error: &Error) {
        let is_named = match &mut self.hourly {
            Some(hourly) => hourly.refused.admit(Instant::now()),
            None => self.named.admit(),
        };
        if is_named {
            report::warn(&format!("{what}: {}", report::text_of_error(error)));
        }
    }

    /// Reports an error of a run that goes on, once a day unless it was well meanwhile. That of a server or the way to it
    /// is noted in the spool.
    ///
    /// # Errors
    /// The error, if it is of this node and does not pass by itself.
    pub fn trouble(
        &mut self,
        spool: &Spool,
        address: &str,
        error: Error,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let is_of_network = is_of_network(&error);
        if !is_of_network && !is_shortage(&error) {
            return Err(error.into());
        }
        let error = anyhow::Error::from(error);
        if is_of_network {
            note(spool, address, &error, now);
        }
        let troubles = self.troubles.entry(address.to_owned()).or_default();
        if troubles.is_new(&report::text_of(&error), now) {
            report_host(&error, address);
        }
        Ok(())
    }

    /// Notes that a server can be reached. If that lasts, what was reported of it before is forgotten.
    pub fn connected(&mut self, address: &str) {
        let troubles = self.troubles.entry(address.to_owned()).or_default();
        troubles.connected = Some(Instant::now());
    }

    /// Ends a run that went on until it was stopped: what failed meanwhile was reported, and is no failure of it.
    ///
    /// # Errors
    /// That of the run.
    pub fn finish_following(mut self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Some(hourly) = &mut self.hourly {
            hourly.tell_more(HourlyLimit::take);
        }
        if self.is_printed {
            files::print_line(&json::line(&describe::online_summary(&self.tally)))?;
        }
        report::summary(&sentence(&self.tally));
        ended
    }

    /// Ends the run with the exit status of all events, and says what was done.
    ///
    /// # Errors
    /// That of the run, else that status, unless it is 0.
    pub fn finish(self, ended: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Some(more) = self.named.suppressed() {
            report::warn(&format!("and {more} more"));
        }
        let printed = if self.is_printed {
            files::print_line(&json::line(&describe::online_summary(&self.tally)))
        } else {
            Ok(())
        };
        let failures = self.hosts.finish();
        report::summary(&sentence(&self.tally));
        ended.and(failures).and(printed)
    }
}

/// What was done, in words.
fn sentence(tally: &OnlineTally) -> String {
    let mut parts = Vec::new();
    for (count, verb) in [
        (tally.accepted, "submitted"),
        (tally.collected, "collected"),
        (tally.refused, "set aside"),
        (tally.rejected, "refused"),
        (tally.left, "left"),
    ] {
        if count > 0 {
            parts.push(format!("{verb} {}", counted(count, "parcel", "parcels")));
        }
    }
    if parts.is_empty() {
        "nothing to exchange".to_owned()
    } else {
        parts.join(", ")
    }
}

fn error_of(event: &OnlineEvent) -> Option<&Error> {
    match event {
        OnlineEvent::Refused { error, .. }
        | OnlineEvent::Rejected { error, .. }
        | OnlineEvent::Left { error, .. }
        | OnlineEvent::Kept { error, .. } => Some(error),
        OnlineEvent::Accepted { .. }
        | OnlineEvent::Collected { .. }
        | OnlineEvent::CollectedAgain { .. } => None,
    }
}

/// Whether this system lacks something for now: space, files, memory, or a lock.
fn is_shortage(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Busy
            | ErrorKind::Full
            | ErrorKind::Disk {
                cause: DiskCause::Full,
                ..
            }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_reported_once_a_day_or_after_a_connection_that_lasted() {
        let mut troubles = Troubles::default();
        let first: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        assert!(troubles.is_new("a", first));
        assert!(troubles.is_new("b", first));
        assert!(!troubles.is_new("a", first));
        troubles.connected = Some(Instant::now());
        assert!(!troubles.is_new("b", first));
        troubles.connected = Instant::now().checked_sub(WELL_AFTER);
        assert!(troubles.is_new("b", first));
        assert!(troubles.is_new("a", first));
        let next = first + REPORT_EVERY;
        assert!(troubles.is_new("a", next));
        for at in 0..100 {
            assert!(troubles.is_new(&format!("{at}"), next));
        }
        assert!(troubles.told.len() <= MAX_TROUBLES);
    }
}
