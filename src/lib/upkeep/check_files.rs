//! Whether files have the modes and owners that they should, and belong where they are.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::checker::Checker;
use super::finding::{Check, Level};
use crate::disk::FileRole;
use crate::disk::publish::leftovers;
use crate::disk::tree::{self, EntryKind, Visited};

/// After how long a file that is being written is one that a killed run left.
const LEFTOVER_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What a file or directory is to be like.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A file for the node alone.
    File,
    /// A file without secrets that people write with an editor.
    Text,
    /// A private key.
    Key,
    /// A directory for the node alone, with others in it that have shapes.
    Dir,
    /// A directory that a group may go through to others.
    Gate,
    /// A directory into which a group may write.
    Shared,
    /// Such a directory, for one endpoint: whose it is and its mode are looked at elsewhere.
    Given,
    /// Something that is looked at elsewhere.
    Elsewhere,
    /// A node that may be another user's, who looks at it himself.
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

/// The shape of what lies here, by its path below the top; `None` for what does not belong there.
pub type Shapes<'a> = &'a dyn Fn(&[&str], EntryKind) -> Option<Shape>;

/// Whose files they should be, and whether those of others are theirs to write here.
#[derive(Clone, Copy)]
struct Ownership {
    owner: u32,
    is_shared: bool,
}

impl Checker<'_> {
    /// Looks at modes, owners and kinds of all that is in a directory, which itself has one of these modes, and at what
    /// does not belong there.
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

    fn dir(
        &mut self,
        dir: &Path,
        role: FileRole,
        above: &mut Vec<String>,
        ownership: Ownership,
        shapes: Shapes<'_>,
    ) {
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
            (_, Ok(None)) => {}
            (_, Err(error)) => self.damaged(path, &error.into()),
            (None, Ok(Some(_))) => {
                let what = "does not belong here";
                self.report(Level::Warning, Check::Unknown, path, &what, None);
            }
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
            Shape::Key if mode & 0o077 != 0 => Level::Error,
            _ => Level::Warning,
        };
        // GNU's needs five digits to take such bits away from a directory.
        let digits = if mode & !expected & 0o6000 == 0 { 4 } else { 5 };
        let hint = format!("chmod {expected:0digits$o} {}", path.display());
        self.report(level, Check::Mode, path, &what, Some(hint));
    }

    /// Tells of a file that changed at a time that is still to come.
    pub fn newest(&mut self) {
        let newest = self.newest.clone();
        if let Some((at, path)) = newest.filter(|(at, _)| self.window.is_before(*at)) {
            let what = format!("the clock tells {}, and this changed at {at}", self.now);
            let hint = "check this clock, which is wrong or was it then".to_owned();
            self.report(Level::Error, Check::Clock, &path, &what, Some(hint));
        }
    }
}
