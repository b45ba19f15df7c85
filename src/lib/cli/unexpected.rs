//! What is said of files in a queue that these programs did not put there.

use std::path::PathBuf;

use super::report;

/// How many of them are named.
const NAMED: usize = 8;

/// Such files of one queue: the first, and how many more there are.
#[derive(Debug, Default)]
pub struct UnexpectedReport {
    first: Vec<PathBuf>,
    more: usize,
}

impl UnexpectedReport {
    /// Takes note of one.
    pub fn add(&mut self, path: PathBuf) {
        if self.first.len() < NAMED {
            self.first.push(path);
        } else {
            self.more += 1;
        }
    }

    /// Warns of them.
    pub fn tell(self) {
        for path in &self.first {
            report::warn(&format!(
                "{}: not a message that these programs stored",
                report::path(path)
            ));
        }
        let dir = self.first.first().and_then(|path| path.parent());
        if let (Some(dir), true) = (dir, self.more > 0) {
            let (dir, more) = (report::path(dir), self.more);
            report::warn(&format!(
                "{dir}: {more} others are not messages that these programs stored"
            ));
        }
    }
}
