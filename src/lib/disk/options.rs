//! How a file is published.

use std::path::Path;

use super::FileRole;

/// What becomes of a file that already has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// It stays, and that is [`Error::Exists`].
    Refuse,
    /// It is replaced.
    Replace,
    /// It stays: [`Published::Same`] if it holds the same octets, else [`Error::Exists`].
    SameIsSuccess,
}

/// The permission bits of a published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Those of the file that it replaces, else 0666 less the umask.
    User,
    /// Exactly 0600, whatever the umask.
    Secret,
    /// Exactly these.
    Exact(u32),
}

/// What publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Published {
    /// The file is in its place, or was written through to a device or FIFO.
    Written,
    /// A file with the same octets was already there ([`IfExists::SameIsSuccess`]), and is synced.
    Same,
}

/// How a file is published.
#[derive(Clone, Copy, Debug)]
pub struct PublishOptions<'a> {
    pub(super) role: FileRole,
    pub(super) mode: Mode,
    pub(super) existing: IfExists,
    pub(super) temporary_dir: Option<&'a Path>,
    pub(super) syncs_dir: bool,
    pub(super) is_unnamed: bool,
}

impl<'a> PublishOptions<'a> {
    /// A result for the user: [`FileRole::Output`], [`Mode::User`].
    #[must_use]
    pub const fn output(existing: IfExists) -> Self {
        Self::stored(FileRole::Output, existing).mode(Mode::User)
    }

    /// A result in a directory that the user named: [`FileRole::Delivery`], [`Mode::User`].
    #[must_use]
    pub const fn delivery(existing: IfExists) -> Self {
        Self::stored(FileRole::Delivery, existing).mode(Mode::User)
    }

    /// A file of a node or spool: [`Mode::Secret`] unless told otherwise.
    #[must_use]
    pub const fn stored(role: FileRole, existing: IfExists) -> Self {
        Self {
            role,
            mode: Mode::Secret,
            existing,
            temporary_dir: None,
            syncs_dir: true,
            is_unnamed: false,
        }
    }

    /// With these permission bits.
    #[must_use]
    pub const fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Written in `dir`, which is on the same file system, instead of beside its place.
    #[must_use]
    pub const fn written_in(self, dir: &'a Path) -> Self {
        Self {
            temporary_dir: Some(dir),
            ..self
        }
    }

    /// The same, unless another directory was given for that.
    pub(super) fn written_by_default_in(self, dir: &'a Path) -> Self {
        self.written_in(self.temporary_dir.unwrap_or(dir))
    }

    /// Without a name until it gets its own, where the file system can: a run that is killed leaves nothing.
    /// What stands at the name is never replaced then.
    #[must_use]
    pub const fn unnamed(self) -> Self {
        Self {
            is_unnamed: true,
            ..self
        }
    }

    /// What the file is to the program, and what becomes of one that has its name.
    pub(super) const fn role_and_existing(&self) -> (FileRole, IfExists) {
        (self.role, self.existing)
    }

    /// Without syncing the directory of the final name: the caller does it, once for many files.
    #[must_use]
    pub const fn dir_unsynced(self) -> Self {
        Self {
            syncs_dir: false,
            ..self
        }
    }
}
