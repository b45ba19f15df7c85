//! Warnings of unexpected files in a queue: not stored by these programs.

use std::path::PathBuf;

use super::limited::Limited;
use super::{report, tally};

/// The most files of a queue that are named.
const MAX_NAMED: usize = 8;

/// Warns of the unexpected files of one queue: the first ones by name, then the number of the
/// others.
#[derive(Debug)]
pub struct UnexpectedReport {
    /// Collected and named at the end, so that they appear in one block.
    named: Vec<PathBuf>,
    lines: Limited,
}

impl Default for UnexpectedReport {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            lines: Limited::new(MAX_NAMED),
        }
    }
}

impl UnexpectedReport {
    /// Adds a file.
    pub fn add(&mut self, path: PathBuf) {
        if self.lines.admit() {
            self.named.push(path);
        }
    }

    /// Prints the warnings.
    pub fn report(self) {
        for path in &self.named {
            report::warn(&format!(
                "{}: not a message that these programs stored",
                report::path(path)
            ));
        }
        let dir = self.named.first().and_then(|path| path.parent());
        if let (Some(dir), Some(more)) = (dir, self.lines.suppressed()) {
            let dir = report::path(dir);
            let others = tally::counted(more, "other is not a message", "others are not messages");
            report::warn(&format!("{dir}: {others} that these programs stored"));
        }
    }
}
