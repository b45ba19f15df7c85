//! Per-input results, and the exit status that they add up to.

use std::fs::File;

use super::errors::Fatal;
use super::input_ref::InputRef;
use super::limited::Limited;
use super::status::{self, Reported, Status};
use super::{report, tally};
use crate::describe;
use crate::spool::{self, Time};

/// The most failures reported for the items of one input.
const MAX_OF_ITEMS: usize = 20;

/// The most failures reported for the files of one directory that others may write to.
const MAX_OF_DIRECTORY: usize = 8;

/// The most failures reported for the files of all such directories.
const MAX_OF_DIRECTORIES: usize = 64;

/// The results of a run so far.
#[derive(Debug, Default)]
pub struct Outcome {
    directories: DirectoryReports,
    status_lines: Option<File>,
    taken: usize,
    failures: Vec<Status>,
    /// Whether one failed because it is unknown whether it was received before.
    is_unjudged: bool,
    /// The reason why the clock is not believed, and the number of inputs that wait until it is.
    doubt: Option<spool::Error>,
    untimely: usize,
    /// Inputs that are done as soon as the output is; empty without status lines.
    held: Vec<InputRef>,
}

impl Outcome {
    /// Starts without results; a line of JSON for each input goes to `status_lines`.
    #[must_use]
    pub fn new(status_lines: Option<File>) -> Self {
        Self {
            status_lines,
            ..Self::default()
        }
    }

    /// Counts an input.
    pub fn take(&mut self) {
        self.taken += 1;
    }

    /// Notes the reason why the clock is not believed, if it is not.
    pub fn doubt(&mut self, time: &Time) {
        self.doubt = time.doubt();
    }

    /// Counts inputs that wait until the clock is believed. They are reported once, at the end.
    pub fn wait_for_clock(&mut self, things: usize) {
        self.taken += things;
        self.untimely += things;
    }

    /// Reports how many inputs wait for the clock. Returns whether nothing else was done.
    fn tell_untimely(&self) -> bool {
        let Some(doubt) = self.doubt.as_ref().filter(|_| self.untimely > 0) else {
            return false;
        };
        let wait = tally::counted(self.untimely, "message waits", "messages wait");
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

    /// Whether there are status lines to write.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.status_lines.is_some()
    }

    /// Notes the result of an input, and reports a failure.
    ///
    /// # Errors
    /// The error that ends the run: the output is closed, or cannot be written for anything.
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

    /// As [`Outcome::done`], for one of many files in a directory that others may write to: only
    /// the first failures are reported. The others are counted.
    ///
    /// # Errors
    /// As [`Outcome::done`].
    pub fn done_in(
        &mut self,
        dir: &str,
        place: &InputRef,
        result: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match result {
            Err(error) if status::status(&error) != Status::BROKEN_PIPE && !error.is::<Fatal>() => {
                self.directories.failed(dir, &place.label(), &error);
                self.note(place, &error);
                Ok(())
            }
            result => self.done(place, result),
        }
    }

    /// Notes an input that is done as soon as the output is; [`Outcome::settle`] gives the result.
    pub fn hold(&mut self, place: &InputRef) {
        if self.is_told() {
            self.held.push(place.clone());
        }
    }

    /// Writes the status lines of all held inputs. An error is not reported here, since it ends the
    /// program.
    pub fn settle(&mut self, result: &anyhow::Result<()>) {
        for place in std::mem::take(&mut self.held) {
            self.tell(&place, &result.as_ref().copied());
        }
    }

    /// Writes the status line of an input, without counting or reporting its result.
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

    /// Counts a failure whose reason was reported before.
    pub fn count(&mut self, place: &InputRef, error: &anyhow::Error) {
        self.note(place, error);
    }

    /// Reports a failure under this label, and counts it.
    pub fn failed(&mut self, place: &InputRef, label: &str, error: &anyhow::Error) {
        report::failure(Some(label), error);
        self.note(place, error);
    }

    /// Counts a failure, and writes its status line.
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
            // A caller that asked for the lines but does not read them still gets the exit status.
            let line = describe::json::line(&line) + "\n";
            let _ = lines.write_all(line.as_bytes());
        }
    }

    /// Ends the run with the status that all failures add up to:
    /// - 75 if every input waits for the clock;
    /// - the status of the only input;
    /// - of several inputs, repetitions do not count as failures, unless it is unknown whether they
    ///   are;
    /// - 75 if another run may succeed for every failure, else the first status for which it
    ///   cannot.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.directories.finish();
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

/// Reports the failures of files in directories that others may write to: the first ones of each
/// directory.
#[derive(Debug)]
struct DirectoryReports {
    /// The directory of the last failure.
    dir: String,
    of_dir: Limited,
    of_all: Limited,
}

impl Default for DirectoryReports {
    fn default() -> Self {
        Self {
            dir: String::new(),
            of_dir: Limited::new(MAX_OF_DIRECTORY),
            of_all: Limited::new(MAX_OF_DIRECTORIES),
        }
    }
}

impl DirectoryReports {
    fn failed(&mut self, dir: &str, label: &str, error: &anyhow::Error) {
        if self.dir != dir {
            self.finish_directory();
            dir.clone_into(&mut self.dir);
        }
        if self.of_all.is_full() {
            self.of_all.suppress(1);
        } else if self.of_dir.admit() {
            self.of_all.admit();
            report::failure(Some(label), error);
        }
    }

    fn finish_directory(&mut self) {
        let of_dir = std::mem::replace(&mut self.of_dir, Limited::new(MAX_OF_DIRECTORY));
        if let Some(more) = of_dir.suppressed() {
            report::error(&format!("{}: and {more} more", self.dir));
        }
    }

    fn finish(&mut self) {
        self.finish_directory();
        if let Some(more) = self.of_all.suppressed() {
            report::error(&format!("and {more} more"));
        }
    }
}

/// Reports failures and warnings for the items of one input, of which there may be very many.
#[derive(Debug)]
pub struct PartReports<'a> {
    place: &'a InputRef,
    failures: Limited,
    warnings: Limited,
}

impl<'a> PartReports<'a> {
    /// Starts without reports.
    #[must_use]
    pub fn of(place: &'a InputRef) -> Self {
        Self {
            place,
            failures: Limited::new(MAX_OF_ITEMS),
            warnings: Limited::new(MAX_OF_ITEMS),
        }
    }

    /// Counts a failed item, and reports it: `FILE[2]: item 3: …`.
    pub fn failed(&mut self, outcome: &mut Outcome, item: usize, error: &anyhow::Error) {
        outcome.take();
        if self.failures.admit() {
            report::failure(Some(&self.label(item)), error);
        }
        outcome.note(self.place, error);
    }

    /// Warns of an item.
    pub fn warn(&mut self, item: usize, text: &str) {
        if self.warnings.admit() {
            report::warn(&format!("{}: {text}", self.label(item)));
        }
    }

    /// Reports the number of suppressed lines; `warned_of` completes "N more messages in it …".
    pub fn finish(self, warned_of: &str) {
        let label = self.place.label();
        if let Some(more) = self.warnings.suppressed() {
            report::warn(&format!("{label}: {more} more messages in it {warned_of}"));
        }
        if let Some(more) = self.failures.suppressed() {
            report::error(&format!("{label}: {more} more messages in it are bad"));
        }
    }

    fn label(&self, item: usize) -> String {
        format!("{}: item {item}", self.place.label())
    }
}
