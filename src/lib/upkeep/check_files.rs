//! Checks modes, owners and kinds of files, and reports unknown ones.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::checker::Checker;
use super::finding::{Check, Level};
use crate::disk::FileRole;
use crate::disk::mounts;
use crate::disk::publish::leftovers;
use crate::disk::tree::{self, EntryKind, Visited};
use crate::node::sessions;

/// The age from which a temporary file is taken for one of a killed run. Shorter than that of
/// relay-purge, which is 36 hours: a check only reports.
const LEFTOVER_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The kind of file or directory that is expected at a path, which sets its mode and owner.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A file for the node alone.
    File,
    /// A file without secrets that people edit: others may read it.
    Text,
    /// A private key.
    Key,
    /// A directory for the node alone, whose entries are checked too.
    Dir,
    /// A directory that a group may traverse, but not list.
    Gate,
    /// A directory into which a group may write.
    Shared,
    /// A shared directory for one endpoint; `Spool::check` checks its owner and mode.
    Given,
    /// A directory that another check covers.
    Elsewhere,
    /// A node that may be another user's, who runs the check themselves.
    Endpoint,
}

impl Shape {
    fn modes(self) -> &'static [u32] {
        match self {
            Self::File | Self::Key => &[0o600],
            Self::Text => &[0o600, 0o640, 0o644],
            Self::Dir | Self::Elsewhere | Self::Endpoint => &[0o700],
            Self::Gate => &[0o710, 0o700],
            Self::Shared => &[0o3770],
            Self::Given => &[],
        }
    }
}

/// Returns the shape of an entry by its path below the top; `None` for an unknown one.
pub type Shapes<'a> = &'a dyn Fn(&[&str], EntryKind) -> Option<Shape>;

/// What fails while a directory has the name of this file.
fn fails_for(parts: &[&str]) -> &'static str {
    match *parts {
        ["lock", name] if name.starts_with("open.") => {
            "messages of this sender are neither delivered nor opened"
        }
        ["sessions", _, name] if sessions::is_senders(name) => {
            "messages sealed to this key are neither delivered nor opened"
        }
        _ => "what needs the file fails",
    }
}

/// The expected owner of files, and whether files of other users are allowed.
#[derive(Clone, Copy)]
struct Ownership {
    owner: u32,
    is_shared: bool,
}

impl Checker<'_> {
    /// Checks modes, owners and kinds of everything below a directory, which itself must have one
    /// of these modes, and reports entries without a shape.
    pub fn tree(&mut self, top: &Path, role: FileRole, modes: &[u32], shapes: Shapes<'_>) {
        let stat = match tree::stat(top, role) {
            Ok(Some(stat)) => stat,
            Ok(None) => return,
            Err(error) => return self.damaged(top, &error.into()),
        };
        self.mode(top, Shape::Dir, stat.mode, modes);
        let ownership = Ownership {
            owner: stat.owner,
            is_shared: false,
        };
        self.dir(top, role, &mut Vec::new(), ownership, shapes);
    }

    /// Reports a file system on which a power cut can lose a message.
    pub fn file_system(&mut self, top: &Path) {
        if let Some(kind) = mounts::unjournalled(top) {
            let what = format!(
                "on a file system without a journal ({kind}): a power cut can lose messages"
            );
            let hint = "move the node to a journalled file system, such as ext4".to_owned();
            self.report(Level::Warning, Check::FileSystem, top, &what, Some(hint));
        }
    }

    fn dir(
        &mut self,
        dir: &Path,
        role: FileRole,
        above: &mut Vec<String>,
        ownership: Ownership,
        shapes: Shapes<'_>,
    ) {
        // A younger one may belong to a run that is still at work.
        let before = SystemTime::from(self.now) - LEFTOVER_AFTER;
        match leftovers(dir, role, Some(before)) {
            Ok(found) => {
                for leftover in found {
                    let hint = "relay-purge removes it after 36 hours".to_owned();
                    let what = "left by a run that was killed";
                    let (level, check) = (Level::Warning, Check::Temporary);
                    self.report(level, check, &leftover.path, &what, Some(hint));
                }
            }
            Err(error) => return self.damaged(dir, &error.into()),
        }
        let entries = match tree::stream(dir, role) {
            Ok(entries) => entries,
            Err(error) => return self.damaged(dir, &error.into()),
        };
        for met in entries {
            match met {
                Ok(Visited::Entry(entry)) => self.entry(&entry, role, above, ownership, shapes),
                Ok(Visited::Other(path)) => {
                    let what = "neither a file nor a directory";
                    self.report(Level::Error, Check::Unknown, &path, &what, None);
                }
                Err(error) => return self.damaged(dir, &error.into()),
            }
        }
    }

    fn entry(
        &mut self,
        entry: &tree::Entry,
        role: FileRole,
        above: &mut Vec<String>,
        ownership: Ownership,
        shapes: Shapes<'_>,
    ) {
        let path = &entry.path;
        above.push(entry.name.to_string_lossy().into_owned());
        let parts: Vec<&str> = above.iter().map(String::as_str).collect();
        let shape = shapes(&parts, entry.kind).filter(|_| entry.name.to_str().is_some());
        match (shape, entry.stat()) {
            // Removed since it was listed: other programs may be running.
            (_, Ok(None)) => {}
            (_, Err(error)) => self.damaged(path, &error.into()),
            (None, Ok(Some(_))) => self.misplaced(entry, &parts, shapes),
            (Some(shape), Ok(Some(stat))) => {
                self.stat(path, shape, &stat, ownership, entry.kind);
                let is_shared = matches!(shape, Shape::Shared | Shape::Given);
                if matches!(shape, Shape::Dir | Shape::Gate) || is_shared {
                    let ownership = Ownership {
                        is_shared,
                        ..ownership
                    };
                    self.dir(path, role, above, ownership, shapes);
                }
            }
        }
        above.pop();
    }

    /// Reports an entry without a shape. In the place of something else it is in the way of it.
    fn misplaced(&mut self, entry: &tree::Entry, parts: &[&str], shapes: Shapes<'_>) {
        let is_named = entry.name.to_str().is_some();
        let is_instead = |kind| is_named && shapes(parts, kind).is_some();
        let what = match entry.kind {
            EntryKind::Dir if is_instead(EntryKind::File) => {
                format!("a directory in the place of a file: {}", fails_for(parts))
            }
            EntryKind::File if parts.len() == 1 && is_instead(EntryKind::Dir) => {
                "a file in the place of a directory".to_owned()
            }
            _ => {
                let what = "does not belong here";
                return self.report(Level::Warning, Check::Unknown, &entry.path, &what, None);
            }
        };
        let hint = Some("move it away".to_owned());
        self.report(Level::Error, Check::Unknown, &entry.path, &what, hint);
    }

    fn stat(
        &mut self,
        path: &Path,
        shape: Shape,
        stat: &tree::Stat,
        ownership: Ownership,
        kind: EntryKind,
    ) {
        let modes: &[u32] = if ownership.is_shared {
            &[0o600, 0o640, 0o660]
        } else {
            shape.modes()
        };
        if !matches!(shape, Shape::Elsewhere | Shape::Endpoint) {
            self.mode(path, shape, stat.mode, modes);
        }
        // Files of other users are normal there.
        let is_given = ownership.is_shared || matches!(shape, Shape::Given | Shape::Endpoint);
        if stat.owner != ownership.owner && !is_given {
            let what = format!(
                "belongs to user {}, and the directory to user {}",
                stat.owner, ownership.owner
            );
            let hint = format!("chown {} {}", ownership.owner, path.display());
            self.report(Level::Error, Check::Owner, path, &what, Some(hint));
        }
        if kind == EntryKind::File
            && let Ok(modified) = Timestamp::try_from(stat.modified)
            && self.newest.as_ref().is_none_or(|(at, _)| modified > *at)
        {
            self.newest = Some((modified, path.to_owned()));
        }
    }

    fn mode(&mut self, path: &Path, shape: Shape, mode: u32, modes: &[u32]) {
        let Some(expected) = modes.first().filter(|_| !modes.contains(&mode)) else {
            return;
        };
        let what = format!("mode {mode:04o}, not {expected:04o}");
        let level = match shape {
            // A key that others may read must be taken as known to them.
            Shape::Key if mode & 0o077 != 0 => Level::Error,
            _ => Level::Warning,
        };
        // With up to four digits GNU chmod keeps the set-ID bits of a directory; five clear them.
        let digits = if mode & !expected & 0o6000 == 0 { 4 } else { 5 };
        let hint = format!("chmod {expected:0digits$o} {}", path.display());
        self.report(level, Check::Mode, path, &what, Some(hint));
    }

    /// Reports a file whose modification time is in the future.
    pub fn newest(&mut self) {
        let newest = self.newest.clone();
        if let Some((at, path)) = newest.filter(|(at, _)| self.window.is_before(*at)) {
            let what = format!("the clock says {}, and this changed at {at}", self.now);
            let hint = "check this clock: it is wrong, or was wrong then".to_owned();
            self.report(Level::Error, Check::Clock, &path, &what, Some(hint));
        }
    }
}
