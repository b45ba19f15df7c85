//! The state of a check, and how its findings are reported.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::finding::{Check, Finding, Level};
use crate::disk;
use crate::node::{DirectoryError, Error, Passphrase};
use crate::pki::Window;

/// A check in progress: its parameters, and what it has seen so far.
pub struct Checker<'a> {
    /// The time.
    pub now: Timestamp,
    /// The time, with the allowed clock drift.
    pub window: Window,
    /// The passphrase of private keys, if they are encrypted.
    pub passphrase: &'a Arc<Passphrase>,
    /// The user who runs this.
    pub user: u32,
    /// Called with each finding.
    pub each: &'a mut dyn FnMut(&Finding),
    /// The file that was modified last, and when.
    pub newest: Option<(Timestamp, PathBuf)>,
}

impl Checker<'_> {
    /// Reports a finding.
    pub fn report(
        &mut self,
        level: Level,
        check: Check,
        path: &Path,
        what: &impl ToString,
        hint: Option<String>,
    ) {
        (self.each)(&Finding {
            level,
            check,
            path: path.to_owned(),
            what: what.to_string(),
            hint,
        });
    }

    /// Reports a file that is damaged or cannot be read.
    pub fn damaged(&mut self, path: &Path, error: &Error) {
        let (path, what) = match error {
            Error::Disk(disk::Error::Exposed { .. }) => return, // reported by the check of modes already
            Error::Directory(DirectoryError::Damaged { path, problem }) => {
                (path.as_path(), problem.clone())
            }
            Error::Directory(DirectoryError::Config {
                path,
                line,
                problem,
            }) => (path.as_path(), format!("line {line}: {problem}")),
            error => (path, error.to_string()),
        };
        self.report(Level::Error, Check::Damaged, path, &what, None);
    }
}
