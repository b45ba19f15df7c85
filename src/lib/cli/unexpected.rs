//! Warnings of files in a queue that these programs did not put there.

use std::path::PathBuf;

use super::limited::Limited;
use super::report;

/// How many of them are named.
const MAX_NAMED: usize = 8;

/// Warns of such files of one queue: the first by name, then how many more there are.
#[derive(Debug)]
pub struct UnexpectedReport {
    /// Named when all are known: standard error has them in one block.
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
    /// Notes one file.
    pub fn add(&mut self, path: PathBuf) {
        if self.lines.admit() {
            self.named.push(path);
        }
    }

    /// Warns of the files noted.
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
            report::warn(&format!(
                "{dir}: {more} others are not messages that these programs stored"
            ));
        }
    }
}
