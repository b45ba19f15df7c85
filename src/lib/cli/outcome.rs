//! How a program fared with what it was given, thing by thing, and the exit status that this adds up to.

use std::collections::BTreeSet;
use std::fs::File;

use super::errors::Fatal;
use super::input_ref::InputRef;
use super::report;
use super::status::{self, Reported, Status};
use crate::describe;
use crate::spool::{self, Time};

/// How many failures of the parts of one thing are reported; the others are counted.
const SAID: usize = 20;

/// How many failures of what lies in one place are reported, where anybody may put things there.
const SAID_OF_PILE: usize = 8;

/// How many of all such places.
const SAID_OF_PILES: usize = 64;

/// How a program fared so far.
#[derive(Debug, Default)]
pub struct Outcome {
    piles: Piles,
    status_lines: Option<File>,
    taken: usize,
    failures: Vec<Status>,
    /// Whether nobody can tell of one of them whether it was received before.
    is_unjudged: bool,
    /// Why the clock is not believed, and how many things wait for one that is.
    doubt: Option<spool::Error>,
    untimely: usize,
    /// What is done but for that of which it is known only later; empty where nobody is told.
    held: Vec<InputRef>,
}

impl Outcome {
    /// Nothing was taken yet; a line of JSON for each thing goes to `status_lines`.
    #[must_use]
    pub fn new(status_lines: Option<File>) -> Self {
        Self {
            status_lines,
            ..Self::default()
        }
    }

    /// Counts one thing more.
    pub fn take(&mut self) {
        self.taken += 1;
    }

    /// Takes note of why the clock is not believed, if it is not.
    pub fn doubt(&mut self, time: &Time) {
        self.doubt = time.doubt();
    }

    /// Counts things that wait until the clock is believed, which is said once for all of them.
    pub fn wait_for_clock(&mut self, things: usize) {
        self.taken += things;
        self.untimely += things;
    }

    /// Says how many things wait until the clock is believed, and whether nothing else was done.
    fn tell_untimely(&self) -> bool {
        let Some(doubt) = self.doubt.as_ref().filter(|_| self.untimely > 0) else {
            return false;
        };
        let wait = match self.untimely {
            1 => "1 message waits".to_owned(),
            more => format!("{more} messages wait"),
        };
        let text = format!("{doubt}: {wait} until the clock is right");
        let is_all = self.taken == self.untimely;
        if is_all {
            report::error(&text);
        } else {
            report::warn(&text);
        }
        if !report::is_quiet() {
            report::hint(
                "check this clock; if it is right, relay-purge --trust-clock has it believed",
            );
        }
        is_all
    }

    /// Whether anybody is told how each thing fared.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.status_lines.is_some()
    }

    /// Takes note of how one thing fared, and reports it if it failed.
    ///
    /// # Errors
    /// What cannot be gone on from: nobody reads the output any more, or it fails for everything.
    pub fn done(&mut self, place: &InputRef, result: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = result else {
            self.status_line(place, Status::OK, None);
            return Ok(());
        };
        if status::status(&error) == Status::BROKEN_PIPE || error.is::<Fatal>() {
            self.tell(place, &Err(&error));
            return Err(error);
        }
        self.failed(place, &place.label(), &error);
        Ok(())
    }

    /// As [`Outcome::done`], for one of many things that lie in this place, where anybody may put them: of those that
    /// failed only the first are reported, and each hint once. The others are counted.
    ///
    /// # Errors
    /// As [`Outcome::done`].
    pub fn done_in(
        &mut self,
        pile: &str,
        place: &InputRef,
        result: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match result {
            Err(error) if status::status(&error) != Status::BROKEN_PIPE && !error.is::<Fatal>() => {
                self.piles.failed(pile, &place.label(), &error);
                self.note(place, &error);
                Ok(())
            }
            result => self.done(place, result),
        }
    }

    /// Takes note of a thing that is done as soon as the output is: [`Outcome::settle`] says how that ended.
    pub fn hold(&mut self, place: &InputRef) {
        if self.is_told() {
            self.held.push(place.clone());
        }
    }

    /// Tells of all that was held how it fared. An error is not reported here: it ends the program.
    pub fn settle(&mut self, result: &anyhow::Result<()>) {
        for place in std::mem::take(&mut self.held) {
            self.tell(&place, &result.as_ref().copied());
        }
    }

    /// Tells how one thing fared, and no more.
    pub fn tell(&mut self, place: &InputRef, result: &Result<(), &anyhow::Error>) {
        match result {
            Ok(()) => self.status_line(place, Status::OK, None),
            Err(error) if self.is_told() => {
                let text = report::text_of(error);
                self.status_line(place, status::status(error), Some(&text));
            }
            Err(_) => {}
        }
    }

    /// Reports what failed, under this label.
    pub fn failed(&mut self, place: &InputRef, label: &str, error: &anyhow::Error) {
        report::failure(Some(label), error);
        self.note(place, error);
    }

    /// Takes note of what failed.
    fn note(&mut self, place: &InputRef, error: &anyhow::Error) {
        self.tell(place, &Err(error));
        self.failures.push(status::status(error));
        self.is_unjudged |= status::is_unjudged(error);
    }

    fn status_line(&mut self, place: &InputRef, status: Status, error: Option<&str>) {
        use std::io::Write as _;
        if let Some(lines) = &mut self.status_lines {
            let line = serde_json::json!({
                "v": describe::VERSION, "input": place.input, "index": place.index, "status": status.code(), "error": error,
            });
            // Whoever asked for the lines and does not read them gets the exit status all the same.
            let _ = lines.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// The status that all failures add up to: 75 where everything waits for the clock, else of several things, one that was seen before is no failure, unless
    /// nobody can tell whether it was; 75 when another try may cure every one; else the first that it cannot.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.piles.finish();
        if self.tell_untimely() {
            return Err(Reported(Status::TEMP_FAIL).into());
        }
        if let ([status], 1) = (&self.failures[..], self.taken) {
            return Err(Reported(*status).into());
        }
        let mut failures = self
            .failures
            .into_iter()
            .filter(|status| *status != Status::SEEN)
            .peekable();
        if failures.peek().is_none() {
            return if self.is_unjudged {
                Err(Reported(Status::SEEN).into())
            } else {
                Ok(())
            };
        }
        Err(Reported(
            failures
                .find(|status| !status.may_pass())
                .unwrap_or(Status::TEMP_FAIL),
        )
        .into())
    }
}

/// What is said of what lies in places where anybody may put things: no more than somebody reads.
#[derive(Debug, Default)]
struct Piles {
    /// The last place.
    pile: String,
    /// How many failures there were in it that count for what is said.
    bad: usize,
    /// How many were reported in all.
    said: usize,
    /// How many were not, nor counted with those of one place.
    more: usize,
    hints: BTreeSet<String>,
}

impl Piles {
    fn failed(&mut self, pile: &str, label: &str, error: &anyhow::Error) {
        if self.pile != pile {
            self.finish_pile();
            pile.clone_into(&mut self.pile);
        }
        if self.said >= SAID_OF_PILES {
            self.more += 1;
            return;
        }
        if self.bad < SAID_OF_PILE {
            self.said += 1;
            report::failure_with(Some(label), error, |hint| {
                self.hints.insert(hint.to_owned())
            });
        }
        self.bad += 1;
    }

    fn finish_pile(&mut self) {
        let more = std::mem::take(&mut self.bad).saturating_sub(SAID_OF_PILE);
        if more > 0 {
            report::error(&format!("{}: and {more} more", self.pile));
        }
    }

    fn finish(&mut self) {
        self.finish_pile();
        if self.more > 0 {
            report::error(&format!("and {} more", self.more));
        }
    }
}

/// What is said of the parts of one thing, of which there may be very many.
#[derive(Debug)]
pub struct PartReports<'a> {
    place: &'a InputRef,
    bad: usize,
    odd: usize,
}

impl<'a> PartReports<'a> {
    /// Nothing was said yet.
    #[must_use]
    pub fn of(place: &'a InputRef) -> Self {
        Self {
            place,
            bad: 0,
            odd: 0,
        }
    }

    /// Takes note of a part that failed, and reports it: `FILE[2]: item 3: …`.
    pub fn failed(&mut self, outcome: &mut Outcome, part: usize, error: &anyhow::Error) {
        outcome.take();
        if self.bad < SAID {
            report::failure(Some(&self.label(part)), error);
        }
        self.bad += 1;
        outcome.note(self.place, error);
    }

    /// Warns of something about a part.
    pub fn warn(&mut self, part: usize, text: &str) {
        if self.odd < SAID {
            report::warn(&format!("{}: {text}", self.label(part)));
        }
        self.odd += 1;
    }

    /// Says how many more there were; `are` is what there was to warn of.
    pub fn finish(self, are: &str) {
        let label = self.place.label();
        let more = |count: usize| count.checked_sub(SAID).filter(|more| *more > 0);
        if let Some(more) = more(self.odd) {
            report::warn(&format!("{label}: {more} more messages in it {are}"));
        }
        if let Some(more) = more(self.bad) {
            report::error(&format!("{label}: {more} more messages in it are bad"));
        }
    }

    fn label(&self, part: usize) -> String {
        format!("{}: item {part}", self.place.label())
    }
}
