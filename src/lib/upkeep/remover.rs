//! How a purge removes files, and reports what it removed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::purge_item::{PurgeFinding, PurgeItem, PurgeKind, PurgeReason};
use crate::disk::publish::leftovers;
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{FileRole, files};
use crate::node::Error;
use crate::node::day::end_of_day;
use crate::pki::Window;

/// After how long a file that is being written was left by a killed run: writers give up after 24 hours.
const LEFTOVER_AFTER: Duration = Duration::from_secs(36 * 3600);

/// How useless things are removed.
#[derive(Debug, Clone, Copy)]
pub struct PurgeOptions {
    /// The time.
    pub now: Timestamp,
    /// The instants that ends are held against.
    pub window: Window,
    /// Whether nothing is to be removed.
    pub is_dry: bool,
    /// Whether what an earlier run removed may not be on the disk yet.
    pub is_unfinished: bool,
}

impl PurgeOptions {
    /// Whether this has passed, however slow the clocks of others may be, and then this long.
    #[must_use]
    pub fn is_over(&self, end: Timestamp, kept_for: SignedDuration) -> bool {
        end.checked_add(kept_for)
            .is_ok_and(|end| self.window.is_after(end))
    }

    fn leftover_before(&self) -> SystemTime {
        SystemTime::from(self.now) - LEFTOVER_AFTER
    }
}

/// Removes what is of no use, and tells of it.
pub struct Remover<'a, E> {
    /// How.
    pub options: PurgeOptions,
    /// Whom it tells.
    pub each: &'a mut dyn FnMut(PurgeFinding) -> Result<(), E>,
}

impl<E: From<Error>> Remover<'_, E> {
    /// Removes files or directories that are in `dir`, which then lasts.
    ///
    /// # Errors
    /// When one cannot be removed, or nobody wants to be told.
    pub fn remove(&mut self, dir: &Path, role: FileRole, useless: Vec<PurgeItem>) -> Result<(), E> {
        let removed = || -> Result<(), Error> {
            for one in &useless {
                match one.what {
                    PurgeKind::UnknownSenders => files::remove_tree(&one.path, role)?,
                    _ => files::remove_unsynced(&one.path, role)?,
                };
            }
            let may_lack = self.options.is_unfinished && files::exists(dir, role)?;
            if !useless.is_empty() || may_lack {
                files::sync_dir(dir, role)?;
            }
            Ok(())
        };
        if !self.options.is_dry {
            removed()?;
        }
        self.report(useless)
    }

    /// Tells of what has gone.
    ///
    /// # Errors
    /// When nobody wants to be told.
    pub fn report(&mut self, useless: Vec<PurgeItem>) -> Result<(), E> {
        useless
            .into_iter()
            .try_for_each(|one| (self.each)(PurgeFinding::Useless(one)))
    }

    /// Tells of something that does not belong where it is.
    ///
    /// # Errors
    /// When nobody wants to be told.
    pub fn unexpected(&mut self, path: PathBuf, problem: &impl ToString) -> Result<(), E> {
        (self.each)(PurgeFinding::Unexpected(path, problem.to_string()))
    }

    /// Removes what killed runs left of files in `dir`, and where `is_deep` in all directories in it.
    ///
    /// # Errors
    /// When a directory cannot be listed, or a file not removed.
    pub fn leftovers(&mut self, dir: &Path, role: FileRole, is_deep: bool) -> Result<(), E> {
        let before = self.options.leftover_before();
        for leftover in leftovers(dir, role, Some(before)).map_err(Error::from)? {
            // No program here makes such a directory in a spool, and in one that another user made nothing is safe.
            if role == FileRole::Spool && leftover.is_dir() {
                continue;
            }
            if !self.options.is_dry {
                leftover.remove().map_err(Error::from)?;
            }
            self.report(vec![PurgeItem {
                what: PurgeKind::Temporary,
                why: PurgeReason::Old,
                since: None,
                path: leftover.path,
                parcel: None,
            }])?;
        }
        if !is_deep {
            return Ok(());
        }
        for met in tree::stream(dir, role).map_err(Error::from)? {
            if let Visited::Entry(entry) = met.map_err(Error::from)?
                && entry.kind == EntryKind::Dir
            {
                self.leftovers(&entry.path, role, true)?;
            }
        }
        Ok(())
    }

    /// Removes what each day left in `dir` that is older than it is kept.
    ///
    /// # Errors
    /// When it cannot be listed, or something not removed.
    pub fn days(
        &mut self,
        dir: &Path,
        (role, kind): (FileRole, EntryKind),
        what: PurgeKind,
        kept_for: SignedDuration,
    ) -> Result<(), E> {
        let options = self.options;
        let old = self.days_where(dir, (role, kind), what, &[], &|end| {
            options.is_over(end, kept_for)
        })?;
        self.remove(dir, role, old)
    }

    pub(super) fn days_where(
        &mut self,
        dir: &Path,
        (role, kind): (FileRole, EntryKind),
        what: PurgeKind,
        others: &[&str],
        is_over: &dyn Fn(Timestamp) -> bool,
    ) -> Result<Vec<PurgeItem>, E> {
        let listing = tree::entries(dir, role).map_err(Error::from)?;
        for path in listing.skipped {
            self.unexpected(path, &"not a regular file")?;
        }
        let mut old = Vec::new();
        for entry in listing.entries {
            if others.iter().any(|other| entry.name == *other) {
                continue;
            }
            let day = entry.name.to_str().and_then(end_of_day);
            match day.filter(|_| entry.kind == kind) {
                Some(end) if is_over(end) => old.push(PurgeItem {
                    what,
                    why: PurgeReason::Old,
                    since: Some(end),
                    path: entry.path,
                    parcel: None,
                }),
                Some(_) => {}
                None => self.unexpected(entry.path, &"not named for a day")?,
            }
        }
        Ok(old)
    }
}
