//! Options of publication: what happens to an existing file, the mode, and where the temporary file
//! is.

use std::path::Path;
use std::time::SystemTime;

use super::FileRole;
use super::metadata::FileSet;

/// What publication does if the name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// Fails with [`Error::Exists`](super::Error::Exists).
    Refuse,
    /// Replaces the file.
    Replace,
    /// Keeps the file: [`Published::Same`] if it has the same octets, otherwise
    /// [`Error::Exists`](super::Error::Exists).
    SameIsSuccess,
}

/// The permission bits of a published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Those of the replaced file, otherwise 0666 less the umask.
    User,
    /// 0600, regardless of the umask.
    Secret,
    /// Exactly these.
    Exact(u32),
}

/// The result of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Published {
    /// The file has its name, or was written to a device or FIFO.
    Written,
    /// A file with the same octets had the name ([`IfExists::SameIsSuccess`]), and is synced.
    Same,
}

/// Options of publication, built from [`PublishOptions::output`], [`PublishOptions::delivery`] or
/// [`PublishOptions::stored`].
#[derive(Clone, Copy, Debug)]
pub struct PublishOptions<'a> {
    pub(super) role: FileRole,
    pub(super) mode: Mode,
    pub(super) existing: IfExists,
    pub(super) temporary_dir: Option<&'a Path>,
    pub(super) syncs_dir: bool,
    pub(super) is_unnamed: bool,
    pub(super) spared: Option<&'static FileSet>,
    pub(super) not_before: Option<SystemTime>,
}

impl<'a> PublishOptions<'a> {
    /// A result for the user: [`FileRole::Output`], [`Mode::User`], [unnamed](Self::unnamed) until
    /// it is complete.
    #[must_use]
    pub const fn output(existing: IfExists) -> Self {
        Self::stored(FileRole::Output, existing)
            .mode(Mode::User)
            .unnamed()
    }

    /// A result in a directory that the user named: [`FileRole::Delivery`], [`Mode::User`],
    /// [unnamed](Self::unnamed) until it is complete.
    #[must_use]
    pub const fn delivery(existing: IfExists) -> Self {
        Self::stored(FileRole::Delivery, existing)
            .mode(Mode::User)
            .unnamed()
    }

    /// A file of a node or spool: [`Mode::Secret`], unless [`mode`](Self::mode) sets another.
    #[must_use]
    pub const fn stored(role: FileRole, existing: IfExists) -> Self {
        Self {
            role,
            mode: Mode::Secret,
            existing,
            temporary_dir: None,
            syncs_dir: true,
            is_unnamed: false,
            spared: None,
            not_before: None,
        }
    }

    /// Sets the permission bits.
    #[must_use]
    pub const fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Puts the temporary file in `dir`, on the same file system, instead of the directory of the
    /// final name.
    #[must_use]
    pub const fn written_in(self, dir: &'a Path) -> Self {
        Self {
            temporary_dir: Some(dir),
            ..self
        }
    }

    /// Puts the temporary file in `dir`, unless a directory was set before.
    pub(super) fn written_by_default_in(self, dir: &'a Path) -> Self {
        self.written_in(self.temporary_dir.unwrap_or(dir))
    }

    /// Writes a file without a name (`O_TMPFILE`) where the file system has such files, so that a
    /// killed run leaves nothing. It is then named by link(2), which never replaces a file; a result
    /// that does is renamed after that.
    #[must_use]
    pub const fn unnamed(self) -> Self {
        Self {
            is_unnamed: true,
            ..self
        }
    }

    /// Replaces none of these files, whatever happens to others.
    #[must_use]
    pub const fn sparing(self, files: &'static FileSet) -> Self {
        Self {
            spared: Some(files),
            ..self
        }
    }

    /// Gives the file this time if it would have an earlier one, because the system clock went back.
    #[must_use]
    pub const fn not_before(self, time: Option<SystemTime>) -> Self {
        Self {
            not_before: time,
            ..self
        }
    }

    /// The role of the file, and what happens if its name is taken.
    pub(super) const fn role_and_existing(&self) -> (FileRole, IfExists) {
        (self.role, self.existing)
    }

    /// Leaves the sync of the directory of the final name to the caller, who does it once for many
    /// files.
    #[must_use]
    pub const fn dir_unsynced(self) -> Self {
        Self {
            syncs_dir: false,
            ..self
        }
    }
}
