//! Removes files for a purge, and reports them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::purge_item::{PurgeFinding, PurgeItem, PurgeKind, PurgeReason};
use crate::disk::publish::leftovers;
use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{self, FileRole, files};
use crate::node::Error;
use crate::node::day::end_of_day;
use crate::node::seen::end_of_seen_day;
use crate::pki::Window;

/// The age from which a temporary file counts as left by a killed run: writers give up after 24
/// hours.
const LEFTOVER_AFTER: Duration = Duration::from_secs(36 * 3600);

/// Options of a purge.
#[derive(Debug, Clone, Copy)]
pub struct PurgeOptions {
    /// The time.
    pub now: Timestamp,
    /// The time, with the allowed clock drift.
    pub window: Window,
    /// Whether this is a dry run, which only reports.
    pub is_dry: bool,
    /// Whether an earlier run was interrupted, so that its removals may not be on the disk yet.
    pub is_unfinished: bool,
}

impl PurgeOptions {
    /// Whether `end` has passed for at least `kept_for`, even by a clock that is slow by the
    /// allowed drift.
    #[must_use]
    pub fn is_over(&self, end: Timestamp, kept_for: SignedDuration) -> bool {
        end.checked_add(kept_for)
            .is_ok_and(|end| self.window.is_after(end))
    }

    fn leftover_before(&self) -> SystemTime {
        SystemTime::from(self.now) - LEFTOVER_AFTER
    }
}

/// Removes files that are no longer needed, and reports them.
pub struct Remover<'a, E> {
    /// The options.
    pub options: PurgeOptions,
    /// Called with each finding; its error ends the purge.
    pub each: &'a mut dyn FnMut(PurgeFinding) -> Result<(), E>,
}

impl<E: From<Error>> Remover<'_, E> {
    /// Removes files or directories from `dir`, syncs it, and reports them.
    ///
    /// # Errors
    /// When one cannot be removed, or `each` fails.
    pub fn remove(&mut self, dir: &Path, role: FileRole, useless: Vec<PurgeItem>) -> Result<(), E> {
        let removed = || -> Result<(), Error> {
            for one in &useless {
                match one.what {
                    // The only items that are directories.
                    PurgeKind::UnknownSenders | PurgeKind::Medium => {
                        files::remove_tree(&one.path, role)?
                    }
                    _ => files::remove_unsynced(&one.path, role)?,
                };
            }
            // An interrupted run may have removed files without syncing the directory.
            let may_lack = self.options.is_unfinished && files::exists(dir, role)?;
            if !useless.is_empty() || may_lack {
                files::sync_dir(dir, role)?;
            }
            Ok(())
        };
        if !self.options.is_dry {
            removed()?;
        }
        // Reported last: what is reported has been removed, and that is on disk.
        self.report(useless)
    }

    /// Reports the removed items.
    ///
    /// # Errors
    /// When `each` fails.
    pub fn report(&mut self, useless: Vec<PurgeItem>) -> Result<(), E> {
        useless
            .into_iter()
            .try_for_each(|one| (self.each)(PurgeFinding::Useless(one)))
    }

    /// What was read; `None` where that cannot be read, which is reported, and keeps nothing else from being purged.
    ///
    /// # Errors
    /// When `each` fails, or nothing else could be read either.
    pub fn readable<T>(
        &mut self,
        path: &Path,
        read: Result<T, disk::Error>,
    ) -> Result<Option<T>, E> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if error.is_of_reading() => {
                (self.each)(PurgeFinding::Unreadable(path.to_owned(), error))?;
                Ok(None)
            }
            Err(error) => Err(Error::from(error).into()),
        }
    }

    /// Reports an unknown file, which stays.
    ///
    /// # Errors
    /// When `each` fails.
    pub fn unexpected(&mut self, path: PathBuf, problem: &impl ToString) -> Result<(), E> {
        (self.each)(PurgeFinding::Unexpected(path, problem.to_string()))
    }

    /// Removes temporary files of killed runs from `dir`, and with `is_deep` from all directories
    /// below it.
    ///
    /// # Errors
    /// When a directory cannot be listed, or a file not removed.
    pub fn leftovers(&mut self, dir: &Path, role: FileRole, is_deep: bool) -> Result<(), E> {
        let before = self.options.leftover_before();
        let found = leftovers(dir, role, Some(before));
        for leftover in self.readable(dir, found)?.unwrap_or_default() {
            // No program here makes temporary directories in a spool. Another user may have made
            // this one, and can change what is in it while it is removed.
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
        for met in tree::stream(dir, role).into_iter().flatten() {
            if let Visited::Entry(entry) = met.map_err(Error::from)?
                && entry.kind == EntryKind::Dir
            {
                self.leftovers(&entry.path, role, true)?;
            }
        }
        Ok(())
    }

    /// Removes entries of `dir` that are named for days, once they are past their retention period.
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
        let listing = self.readable(dir, tree::entries(dir, role))?;
        let listing = listing.unwrap_or_default();
        for path in listing.skipped {
            self.unexpected(path, &"not a regular file")?;
        }
        let mut old = Vec::new();
        for entry in listing.entries {
            if others.iter().any(|other| entry.name == *other) {
                continue;
            }
            let day = entry.name.to_str().and_then(match what {
                PurgeKind::Seen => end_of_seen_day,
                _ => end_of_day,
            });
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
