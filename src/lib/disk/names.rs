//! Names of temporary files, and the directory and file name of a path.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Prefix of the name of a temporary file.
pub(super) const TEMPORARY_PREFIX: &str = ".relay-";

/// Suffix of the name of a temporary file.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// The name that a directory gets before it is removed: if the run is killed,
/// [`sweep`](super::leftovers::sweep) removes it.
pub(super) fn temporary_name(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(TEMPORARY_PREFIX);
    temporary.push(name);
    temporary.push(TEMPORARY_SUFFIX);
    temporary
}

/// Whether a name is that of a temporary file: one that is being written, or that a killed run
/// left.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(TEMPORARY_PREFIX.as_bytes())
        && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
        && name.len() > TEMPORARY_PREFIX.len() + TEMPORARY_SUFFIX.len()
}

/// The directory of the file that a path names; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => path,
    }
}

/// The name at the end of a path.
pub(super) fn name_of(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}
