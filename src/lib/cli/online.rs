//! Reports an exchange with gateways online.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::errors::Postponed;
use super::hourly::HourlyLimit;
use super::input_ref::InputRef;
use super::limited::Limited;
use super::outcome::Outcome;
use super::tally::counted;
use super::{files, online_hints, report};
use crate::binding::Error;
use crate::binding::online::{OnlineEvent, OnlineTally};
use crate::describe::{self, json};
use crate::kind::{DiskCause, ErrorKind};
use crate::spool::Spool;
use crate::spool::hosts::HostFailure;

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
    outcome: Outcome,
    /// Whether it was said that a name cannot be looked up without a resolver.
    is_unresolved: bool,
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
            outcome: Outcome::default(),
            is_unresolved: false,
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
            self.outcome.take();
        }
        match event {
            OnlineEvent::Accepted { name, id, .. } => moved("accepted", &name, &id, gateway),
            OnlineEvent::Collected { name, id, .. } => moved("collected", &name, &id, gateway),
            OnlineEvent::CollectedAgain { name, id } => moved("repeated", &name, &id, gateway),
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
            return self.outcome.done_in(gateway, &place, Err(error.into()));
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

    /// Notes how an exchange with the servers of an address ended, in the spool too: one that cannot be reached is
    /// left alone for a while. With `-q` the same error is reported once a day.
    ///
    /// # Errors
    /// When the error is of the node or the spool, and not of a server or the way to it.
    pub fn ended(
        &mut self,
        spool: &Spool,
        address: &str,
        result: anyhow::Result<()>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let error = match result {
            Ok(()) => {
                noted(spool.note_host_success(address, now));
                return Ok(());
            }
            Err(error) => error,
        };
        let Some(cause) = error.downcast_ref::<Error>() else {
            return Err(error);
        };
        if !is_of_network(cause) && !is_of_settings(cause) {
            return Err(error);
        }
        self.outcome.take();
        let remedy = remedy(cause, address);
        let is_news = note(spool, address, &error, now);
        // One line stands for all addresses that need one.
        let is_another = matches!(cause, Error::NoResolver(_))
            && std::mem::replace(&mut self.is_unresolved, true);
        if (is_news || !report::is_quiet()) && !is_another {
            // It names the server.
            match remedy {
                // Of what is said once a day, somebody is to learn how it ends.
                Some(remedy) => {
                    report::error(&report::text_of(&error));
                    report::hint(&remedy);
                }
                None => report::failure(None, &error),
            }
        }
        self.outcome
            .count(&InputRef::named(address.to_owned()), &error);
        Ok(())
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
        let remedy = remedy(&error, address);
        let error = anyhow::Error::from(error);
        let text = report::text_of(&error);
        if is_of_network {
            note(spool, address, &error, now);
        }
        let troubles = self.troubles.entry(address.to_owned()).or_default();
        if troubles.is_new(&text, now) {
            match remedy {
                Some(remedy) => {
                    report::error(&text);
                    report::hint(&remedy);
                }
                None => report::failure(None, &error),
            }
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

    /// Notes a gateway that is left alone until a time, since it could not be reached.
    pub fn left_alone(&mut self, address: &str, until: Timestamp) {
        self.outcome.take();
        report::detail(&format!("{address}: not tried before {until}"));
        let error = Postponed(format!("not tried before {until}")).into();
        self.outcome
            .count(&InputRef::named(address.to_owned()), &error);
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
        let failures = self.outcome.finish();
        report::summary(&sentence(&self.tally));
        ended.and(failures).and(printed)
    }

    /// Reports something that was not sent, for a run that reports events of its own.
    ///
    /// # Errors
    /// As [`Outcome::done`].
    pub fn kept(&mut self, what: &str, error: Error) -> anyhow::Result<()> {
        self.outcome.take();
        let place = InputRef::named(what.to_owned());
        self.outcome.done_in("", &place, Err(error.into()))
    }

    /// The results, for such a run.
    #[must_use]
    pub fn into_outcome(self) -> Outcome {
        self.outcome
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

fn moved(event: &str, name: &crate::spool::Name, id: &str, gateway: &str) {
    let (sender, recipient) = (name.identity.sender, name.identity.recipient);
    report::event(
        event,
        &[
            ("id", id),
            ("from", &sender.to_string()),
            ("to", &recipient.to_string()),
            ("gateway", gateway),
        ],
    );
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

/// Warns of a state that cannot be kept: it saves questions and pauses, and keeps nothing from being exchanged.
pub fn noted(result: Result<(), crate::spool::Error>) {
    if let Err(error) = result {
        report::warn(&report::text_of_error(&error));
    }
}

/// Whether the error is about a server or the way to it, so that the node itself is well.
fn is_of_network(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable | ErrorKind::Refused | ErrorKind::Protocol
    )
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

/// Whether the error is about the settings for the way to a server. The next run has it again, until somebody changes
/// them.
fn is_of_settings(error: &Error) -> bool {
    matches!(error, Error::NoResolver(_) | Error::Setting { .. })
}

/// What somebody must do about an error with the servers of an address, if it does not pass by itself.
fn remedy(error: &Error, address: &str) -> Option<String> {
    let goes_on = matches!(
        error.kind(),
        ErrorKind::Config | ErrorKind::Refused | ErrorKind::Protocol
    );
    online_hints::hint_for_address(error, address).filter(|_| goes_on)
}

/// Notes a failure in the spool. Returns whether it is news; what cannot be kept always is.
fn note(spool: &Spool, address: &str, error: &anyhow::Error, now: Timestamp) -> bool {
    let text = report::text_of(error);
    let cause = error.downcast_ref::<Error>();
    let asked = cause.and_then(|cause| {
        // What was changed in the config is tried at once.
        let at_once = is_of_settings(cause).then_some(SignedDuration::ZERO);
        at_once.or_else(|| retry_after(cause))
    });
    let remedy = cause.and_then(|cause| remedy(cause, address));
    let failure = HostFailure {
        error: &text,
        is_answered: cause.is_some_and(Error::is_answer),
        remedy: remedy.as_deref(),
        asked,
    };
    match spool.note_host_failure(address, &failure, now) {
        Ok(is_news) => is_news,
        Err(error) => {
            noted(Err(error));
            true
        }
    }
}

/// How long the server asks to be left alone.
fn retry_after(error: &Error) -> Option<SignedDuration> {
    match error {
        Error::Answer { retry_after, .. } => {
            retry_after.and_then(|pause| SignedDuration::try_from(pause).ok())
        }
        _ => None,
    }
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
