//! The state of a check, and how its findings are reported.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::finding::{Check, Finding, Level};
use crate::disk;
use crate::node::Error;
use crate::pki::Window;

/// Whoever looks at a node.
pub struct Checker<'a> {
    /// The time.
    pub now: Timestamp,
    /// The instants that times are held against.
    pub window: Window,
    /// The user who runs this.
    pub user: u32,
    /// Whom it tells.
    pub each: &'a mut dyn FnMut(&Finding),
    /// The file that changed last, and when.
    pub newest: Option<(Timestamp, PathBuf)>,
}

impl Checker<'_> {
    /// Tells of something.
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

    /// Tells of something that is not what it should be.
    pub fn damaged(&mut self, path: &Path, error: &Error) {
        let (path, what) = match error {
            Error::Disk(disk::Error::Exposed { .. }) => return, // the mode was looked at
            Error::Damaged { path, problem } => (path.as_path(), problem.clone()),
            error => (path, error.to_string()),
        };
        self.report(Level::Error, Check::Damaged, path, &what, None);
    }
}
