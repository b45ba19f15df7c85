//! Reports how servers were reached, in a run that goes to several, and collects its exit status.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::errors::Postponed;
use super::input_ref::InputRef;
use super::outcome::Outcome;
use super::{online_hints, report};
use crate::binding::Error;
use crate::kind::ErrorKind;
use crate::spool::hosts::HostFailure;
use crate::spool::{Name, Spool};

/// How servers were reached, and the results so far.
#[derive(Debug, Default)]
pub struct HostReports {
    outcome: Outcome,
    /// Whether it was said that a name cannot be looked up without a resolver.
    is_unresolved: bool,
    /// What servers said of messages that stay, each text once, by address.
    kept: BTreeMap<String, Vec<anyhow::Error>>,
}

impl HostReports {
    /// Counts a message or an address.
    pub fn take(&mut self) {
        self.outcome.take();
    }

    /// Reports the failure of a message, as [`Outcome::done_in`].
    ///
    /// # Errors
    /// As [`Outcome::done_in`].
    pub fn failed_in(
        &mut self,
        dir: &str,
        place: &InputRef,
        error: anyhow::Error,
    ) -> anyhow::Result<()> {
        self.outcome.done_in(dir, place, Err(error))
    }

    /// Counts a message that stays. What the servers of an address said is reported once for all of its messages, when
    /// it is known how the exchange [ended](Self::ended).
    ///
    /// # Errors
    /// As [`Outcome::done_in`].
    pub fn kept(
        &mut self,
        address: Option<&str>,
        what: String,
        error: Error,
    ) -> anyhow::Result<()> {
        self.outcome.take();
        let place = InputRef::named(what);
        let Some(address) = address.filter(|_| is_of_network(&error)) else {
            return self.failed_in("", &place, error.into());
        };
        let error = anyhow::Error::from(error);
        self.outcome.count(&place, &error);
        let kept = self.kept.entry(address.to_owned()).or_default();
        let text = report::text_of(&error);
        if kept.iter().all(|it| report::text_of(it) != text) {
            kept.push(error);
        }
        Ok(())
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
        let kept = self.kept.remove(address).unwrap_or_default();
        let error = match result {
            Ok(()) => {
                noted(spool.note_host_success(address, now));
                for error in kept {
                    report::failure(None, &error);
                }
                return Ok(());
            }
            // Its line is enough for the address.
            Err(error) => error,
        };
        let Some(cause) = error.downcast_ref::<Error>() else {
            return Err(error);
        };
        if !is_of_network(cause) && !is_of_settings(cause) {
            return Err(error);
        }
        self.outcome.take();
        let is_news = note(spool, address, &error, now);
        // One line stands for all addresses that need one.
        let is_another = matches!(cause, Error::NoResolver(_))
            && std::mem::replace(&mut self.is_unresolved, true);
        if (is_news || !report::is_quiet()) && !is_another {
            report_host(&error, address);
        }
        self.outcome
            .count(&InputRef::named(address.to_owned()), &error);
        Ok(())
    }

    /// Notes a gateway that is left alone until a time, since it could not be reached.
    pub fn left_alone(&mut self, address: &str, until: Timestamp) {
        self.outcome.take();
        report::detail(&format!("{address}: not tried before {until}"));
        let error = Postponed(format!("not tried before {until}")).into();
        self.outcome
            .count(&InputRef::named(address.to_owned()), &error);
    }

    /// Counts that nobody is there, where that is no news.
    pub fn absent(&mut self, what: &str, error: &anyhow::Error) {
        self.outcome.take();
        if !report::is_quiet() {
            report::failure(None, error);
        }
        self.outcome.count(&InputRef::named(what.to_owned()), error);
    }

    /// Ends the run with the exit status of all events, as [`Outcome::finish`].
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(self) -> anyhow::Result<()> {
        self.outcome.finish()
    }
}

/// Reports that a parcel moved, with `-v`; `by` is the fact that says how.
pub(super) fn moved(event: &str, name: &Name, id: Option<&str>, by: (&str, &str)) {
    let (sender, recipient) = (name.identity.sender, name.identity.recipient);
    let (from, to) = (sender.to_string(), recipient.to_string());
    let id = id.map(|id| ("id", id));
    let facts: Vec<_> = id
        .into_iter()
        .chain([("from", &*from), ("to", &*to), by])
        .collect();
    report::event(event, &facts);
}

/// Reports an error with the servers of an address, whose text names the server.
pub(super) fn report_host(error: &anyhow::Error, address: &str) {
    let cause = error.downcast_ref::<Error>();
    match cause.and_then(|cause| remedy(cause, address)) {
        // Of what is said once a day, somebody is to learn how it ends.
        Some(remedy) => {
            report::error(&report::text_of(error));
            report::hint(&remedy);
        }
        None => report::failure(None, error),
    }
}

/// Warns of a state that cannot be kept: it saves questions and pauses, and keeps nothing from being exchanged.
pub fn noted(result: Result<(), crate::spool::Error>) {
    if let Err(error) = result {
        report::warn(&report::text_of_error(&error));
    }
}

/// Whether the error is about a server or the way to it, so that the node itself is well.
pub(super) fn is_of_network(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable | ErrorKind::Refused | ErrorKind::Protocol
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
pub(super) fn note(spool: &Spool, address: &str, error: &anyhow::Error, now: Timestamp) -> bool {
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
