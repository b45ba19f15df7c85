//! Files that take a name for one that is about to come.
//!
//! Some file systems have neither a rename that replaces nothing nor hard links: exFAT and FAT
//! through FUSE, those that a virtual machine or a cloud client provides. There, the name is taken
//! by a file of one line, which only creating can do without replacing another, and the complete
//! file is renamed over that one. The run that made it holds its lock meanwhile; one that nobody
//! locks was left by a run that was killed, and is as good as nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::metadata::FileId;
use super::{Operation, fault};

const BEGINNING: &str = "relay placeholder ";

/// The length of a boot id, as text.
const BOOT_ID_LEN: usize = 36;

/// Maximum length of the line, in octets: a process id has at most ten digits.
const MAX_LEN: u64 = (BEGINNING.len() + 10 + 1 + BOOT_ID_LEN + 1) as u64;

/// The line of a placeholder: which process made it, since when the system runs.
fn line() -> String {
    let boot = boot_id().unwrap_or_else(|| "-".to_owned());
    format!("{BEGINNING}{} {boot}\n", std::process::id())
}

/// What tells this boot of the system from others, in hexadecimal digits and hyphens; `None` where nobody knows.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim_end().to_owned()).filter(|text| is_boot_id(text))
}

fn is_boot_id(text: &str) -> bool {
    let is_hex = |octet: u8| octet.is_ascii_hexdigit() || octet == b'-';
    text.len() == BOOT_ID_LEN && text.bytes().all(is_hex)
}

fn is_line(octets: &[u8]) -> bool {
    let text = std::str::from_utf8(octets).unwrap_or_default();
    let words = text.strip_prefix(BEGINNING);
    let words = words.and_then(|text| text.strip_suffix('\n')?.split_once(' '));
    words.is_some_and(|(process, boot)| {
        (1..=10).contains(&process.len())
            && process.bytes().all(|octet| octet.is_ascii_digit())
            && (boot == "-" || is_boot_id(boot))
    })
}

/// Whether an open file of this length is a placeholder.
pub(super) fn is_in(file: &File, len: u64) -> bool {
    if !(BEGINNING.len() as u64..=MAX_LEN).contains(&len) {
        return false;
    }
    let mut octets = vec![0; usize::try_from(len).unwrap_or_default()];
    file.read_exact_at(&mut octets, 0).is_ok() && is_line(&octets)
}

/// Whether the regular file of this length at a path is a placeholder.
pub(super) fn is_at(path: &Path, len: u64) -> bool {
    // Most are not, by their length alone.
    len <= MAX_LEN && open(path, false).is_some_and(|file| is_in(&file, len))
}

/// Takes over a placeholder that a killed run left at a path, until the file that is returned is
/// dropped. `None` for anything else, and where the file system has no locks: nobody knows then
/// whether a run is at work.
pub(super) fn take(path: &Path) -> Option<File> {
    let file = open(path, true)?;
    let is_it = || {
        let found = file.metadata().ok()?;
        Some(found.is_file() && is_in(&file, found.len()))
    };
    // Read first: one that is just being made must not be found locked by its own maker.
    if is_it() != Some(true) || file.try_lock().is_err() {
        return None;
    }
    let named = fs::symlink_metadata(path).ok()?;
    let is_named = FileId::of(&file).is_some() && FileId::from(&named) == FileId::of(&file);
    (is_named && is_it() == Some(true)).then_some(file)
}

/// Whether a killed run left a placeholder at a path.
#[must_use]
pub fn is_abandoned(path: &Path) -> bool {
    take(path).is_some()
}

fn open(path: &Path, is_locked: bool) -> Option<File> {
    // On NFS, only a file that is open for writing can be locked.
    let access = if is_locked {
        OFlags::RDWR
    } else {
        OFlags::RDONLY
    };
    let wanted = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, wanted, Mode::empty())
        .ok()
        .map(File::from)
}

/// Renames a file to a name that no other has, by a placeholder.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault::step(Operation::Create, &[to])?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    let file = options.open(to)?;
    let renamed = fill(&file, to).and_then(|()| {
        fault::step(Operation::Rename, &[from, to])?;
        fs::rename(from, to)
    });
    if renamed.is_err() {
        // Still locked. The error to report is the first one.
        let _ = fault::step(Operation::Remove, &[to]).and_then(|()| fs::remove_file(to));
    }
    renamed
}

/// Makes a new file a placeholder. Without its line it is nobody's to replace, so that it is locked
/// before.
fn fill(mut file: &File, path: &Path) -> io::Result<()> {
    match file.try_lock() {
        // Without locks, others leave it alone.
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::AlreadyExists.into()),
    }
    fault::write(Operation::Write, path, &mut file, &[line().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::testdir::names;

    #[test]
    fn a_placeholder_is_exactly_its_line() {
        assert!(is_line(line().as_bytes()) && line().len() as u64 <= MAX_LEN);
        let boot = "01234567-89ab-cdef-0123-456789abcdef";
        let good = format!("relay placeholder 4294967295 {boot}\n");
        assert_eq!(good.len() as u64, MAX_LEN);
        for text in [&*good, "relay placeholder 1 -\n"] {
            assert!(is_line(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "relay placeholder",
            "relay placeholder 1 -",
            "relay placeholder 1 -\n\n",
            "relay placeholder  -\n",
            "relay placeholder x -\n",
            "relay placeholder 1 x\n",
            "relay placeholder 12345678901 -\n",
            "Relay placeholder 1 -\n",
        ] {
            assert!(!is_line(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn one_that_is_locked_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, line()).unwrap();
        let held = take(&path).unwrap();
        assert!(take(&path).is_none() && !is_abandoned(&path));
        drop(held);
        assert!(is_abandoned(&path));
        fs::write(&path, "something else\n").unwrap();
        assert!(take(&path).is_none());
        std::os::unix::fs::symlink("f", dir.path().join("link")).unwrap();
        fs::write(&path, line()).unwrap();
        assert!(take(&dir.path().join("link")).is_none());
    }

    #[test]
    fn a_name_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name| dir.path().join(name);
        fs::write(at("a"), "one").unwrap();
        rename(&at("a"), &at("f")).unwrap();
        fs::write(at("a"), "two").unwrap();
        let error = rename(&at("a"), &at("f")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(at("f")).unwrap(), b"one");
        // What cannot be renamed leaves no name behind.
        assert!(rename(&at("none"), &at("g")).is_err());
        assert_eq!(names(dir.path()), ["a", "f"]);
    }
}
