//! The output of relay-check.

use std::path::PathBuf;

use super::listing::List;
use super::status::{Reported, Status};
use super::{files, report};
use crate::describe::{json, lines};
use crate::upkeep::finding::{Finding, Level};

/// The directories in which commands are searched.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    // As execvp(3) does without the variable.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).collect()
}

/// The findings of a check, while they are printed.
#[derive(Debug)]
pub struct Findings {
    json: bool,
    listing: List,
    /// Whether any finding is more than information.
    has_found: bool,
    /// The first error of printing; nothing more is printed after it.
    printed: anyhow::Result<()>,
}

impl Findings {
    /// Starts the output: lines, of JSON if asked for, or a table on a terminal.
    #[must_use]
    pub fn new(json: bool) -> Self {
        let is_table = files::is_terminal() && !json;
        Self {
            json,
            listing: List::new(is_table, files::write_lines),
            has_found: false,
            printed: Ok(()),
        }
    }

    /// Prints a finding; information only with `-v`.
    pub fn add(&mut self, finding: &Finding) {
        let is_information = finding.level == Level::Information;
        self.has_found |= !is_information;
        if is_information && !report::is_verbose() || self.printed.is_err() {
            return;
        }
        self.printed = if self.json {
            let facts = json::line(&lines::finding(finding));
            self.listing.line(facts.as_bytes(), b'\n')
        } else {
            self.listing.row(vec![
                finding.level.word().to_owned(),
                report::escaped(&finding.what),
                report::path(&finding.path),
                report::escaped(finding.hint.as_deref().unwrap_or("-")),
            ])
        };
    }

    /// Writes the rest of the output.
    ///
    /// # Errors
    /// When the output cannot be written; status 1 when a finding is more than information.
    pub fn finish(self) -> anyhow::Result<()> {
        self.printed?;
        self.listing.finish(&["LEVEL", "WHAT", "WHERE", "HINT"])?;
        if self.has_found {
            return Err(Reported(Status::FOUND).into());
        }
        Ok(())
    }
}
