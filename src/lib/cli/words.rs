//! The words of the command line: those of the process, or of the program that it was asked to be.

use std::ffi::OsString;
use std::sync::OnceLock;

static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Replaces the words of the process, the program's name first. For an executable that is several
/// programs, before it calls [`run`](super::run).
pub fn set(words: Vec<OsString>) {
    // Only the first program counts; a second one in a process would be a bug.
    let _ = WORDS.set(words);
}

/// All words, the program's name first.
pub(super) fn all() -> Vec<OsString> {
    let set = WORDS.get().cloned();
    set.unwrap_or_else(|| std::env::args_os().collect())
}

/// The words after the program's name.
pub(super) fn arguments() -> Vec<OsString> {
    all().into_iter().skip(1).collect()
}
