//! How a program fared with what it was given, thing by thing, and the exit status that this adds up to.

use std::fs::File;

use super::exit::{self, Fatal, Reported, Status};
use super::inputs::Place;
use super::report;
use crate::describe;

/// How a program fared so far.
#[derive(Debug, Default)]
pub struct Outcome {
    status_lines: Option<File>,
    taken: usize,
    failures: Vec<Status>,
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

    /// Takes note of how one thing fared, and reports it if it failed.
    ///
    /// # Errors
    /// What cannot be gone on from: nobody reads the output any more.
    pub fn done(&mut self, place: &Place, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match result {
            Ok(()) => self.status_line(place, Status::OK, None),
            Err(error) if exit::status(&error) == Status::BROKEN_PIPE => return Err(error),
            Err(error) if error.is::<Fatal>() => return Err(error),
            Err(error) => self.failed(place, &place.label(), &error),
        }
        Ok(())
    }

    /// Reports what failed, under this label.
    pub fn failed(&mut self, place: &Place, label: &str, error: &anyhow::Error) {
        let status = exit::status(error);
        report::failure(Some(label), error);
        self.status_line(place, status, Some(&report::text_of(error)));
        self.failures.push(status);
    }

    fn status_line(&mut self, place: &Place, status: Status, error: Option<&str>) {
        use std::io::Write as _;
        if let Some(lines) = &mut self.status_lines {
            let line = serde_json::json!({
                "v": describe::VERSION, "input": place.input, "index": place.index, "status": status.code(), "error": error,
            });
            // Whoever asked for the lines and does not read them gets the exit status all the same.
            let _ = lines.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// The status that all failures add up to: of several things, one that was seen before is no failure;
    /// 75 when another try may cure every one; else the first that it cannot.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(self) -> anyhow::Result<()> {
        if let ([status], 1) = (&self.failures[..], self.taken) {
            return Err(Reported(*status).into());
        }
        let mut failures = self
            .failures
            .into_iter()
            .filter(|status| *status != Status::SEEN)
            .peekable();
        if failures.peek().is_none() {
            return Ok(());
        }
        Err(Reported(
            failures
                .find(|status| !status.may_pass())
                .unwrap_or(Status::TEMP_FAIL),
        )
        .into())
    }
}
