//! Files, atomic publication, locks and directory walks: the only floor that changes files.
//!
//! Reads are bounded; a file that is written appears whole or not at all; what is reported as done
//! has been synced. A file under its final name is complete. One that is being written is called
//! `.relay-*.tmp`, and [`publish::sweep`] removes those that a killed run left. Each change of the
//! file system passes [`fault`], so that tests can stop a program immediately before it.
//!
//! To write a result, see [`publish::publish`]; many of them, [`Batch`]; into a directory that
//! another user may change meanwhile, as on a medium, [`dir::Dir`].

// Each module uses only modules above it.
mod operation; // what is done to a file, in errors and in traces
pub mod fault; // every change passes here: traces, kills and failures for the tests
mod names; // of temporary files, and of the directory that holds a name
mod metadata; // whether a file exists, whose it is, its mode
mod placeholder; // names that are taken for files to come
mod open; // files that exist
mod standard; // the standard streams
mod read; // whole files, within a limit
mod open_file; // files that are read in parts
mod sync; // waiting for the disk
mod dirs; // creating directories
mod accounts; // users and groups of the system
pub mod group; // directories that other users may use
pub mod permission; // what a user may do
pub mod lock; // flock(2), released by the kernel when a run is killed
pub mod mounts; // kinds of file systems
pub mod scratch; // files without a name, for the length of a run
pub mod records; // files that are appended to
pub mod sorted; // files of sorted records, which are searched
pub mod watch; // waiting for changes in directories
pub mod tree; // what is in a directory
mod remove; // files and trees
mod options; // how a file is published
mod existing; // a file that has the name already
mod rename; // and link
mod temporary; // files that are being written
pub mod entry; // a name in a directory that is held open
pub mod dir; // directories that another user may change meanwhile
pub mod new_tree; // directories that appear whole, under their final names
pub mod copy; // directories as they are at one instant
mod leftovers; // temporary files of killed runs
pub mod publish; // files that appear whole, under their final names
pub mod batch; // many of them, synced together
pub mod files; // operations on files and directories by their paths
#[cfg(test)]
mod testdir; // names and modes, for the tests

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use batch::Batch;
pub use existing::ExistingFile;
pub use group::Group;
pub use lock::Lock;
pub use open_file::OpenFile;
pub use operation::Operation;
pub use options::{IfExists, Mode, PublishOptions, Published};
pub use publish::Pending;
pub use scratch::Scratch;

/// The result of an operation on files.
pub type Result<T> = std::result::Result<T, Error>;

/// The role of a file in a program: `NotFound` alone does not say which file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileRole {
    /// An operand to be read. Symbolic links are followed, FIFOs and devices are read.
    Input,
    /// A file that was left in a directory to be taken from there, perhaps by somebody else. Regular files only, no
    /// symbolic links.
    Dropped,
    /// A result, named by the user or the standard output. Symbolic links are followed.
    Output,
    /// A result in a directory that the user named, under a name that another user could predict:
    /// the user did not ask for links and devices there, so they are not followed.
    Delivery,
    /// A key file that the user named outside a node directory. Links are followed, FIFOs are read.
    Keys,
    /// A file of a node directory, its keys included. Regular files only, no symbolic links.
    Node,
    /// A message of a spool or a medium. Regular files only, no symbolic links.
    Spool,
}

impl FileRole {
    /// Whether the user named the file. They may name it through a link, or mean a FIFO, and the
    /// caller's report begins with its name.
    const fn named_by_user(self) -> bool {
        matches!(
            self,
            Self::Input | Self::Output | Self::Delivery | Self::Keys
        )
    }
}

/// The reason why a file could not be read or changed.
///
/// The text names the file unless it is an operand ([`FileRole::Input`], [`FileRole::Output`]),
/// which the caller's report begins with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("cannot {doing}{}: {}", after(*.role, .path), reason(.cause))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Its role.
        role: FileRole,
        /// The operation that failed.
        doing: Operation,
        /// The system's error. The text includes it, so it is not the `source` as well.
        cause: io::Error,
    },
    /// The file is longer than the caller accepts.
    #[error("{}over {limit} octets", before(*.role, .path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
        /// The maximum length, in octets.
        limit: usize,
    },
    /// A symbolic link, device, FIFO, socket or directory is where only a regular file may be.
    #[error("{}not a regular file", before(*.role, .path))]
    NotRegular {
        /// The name.
        path: PathBuf,
        /// The role of the expected file.
        role: FileRole,
    },
    /// A secret file that its group or others may read, write or execute.
    #[error("{}open to other users (mode {mode:04o})", before(*.role, .path))]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
        /// Its permission bits.
        mode: u32,
    },
    /// The octets that were read back differ from those written: a worn or counterfeit stick.
    #[error("{}does not read back as it was written", before(*.role, .path))]
    Differs {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
    },
    /// The file that would be replaced is one that this run reads.
    #[error("{}is read by this run, which would replace it", before(*.role, .path))]
    IsInput {
        /// The file.
        path: PathBuf,
        /// Its role.
        role: FileRole,
    },
    /// The name is taken, and the options do not allow replacing the file.
    #[error("{}already exists", before(*.role, .path))]
    Exists {
        /// The name.
        path: PathBuf,
        /// Its role.
        role: FileRole,
    },
    /// Another run took the name and has not written the file, or was killed before it did.
    #[error("{}only reserved by a run that did not write it yet", before(*.role, .path))]
    Placeholder {
        /// The name.
        path: PathBuf,
        /// The role of the expected file.
        role: FileRole,
    },
    /// The file system gives no file a name without replacing what has it.
    #[error("{}this file system cannot hold a node or a key", before(*.role, .path))]
    CannotHold {
        /// The name.
        path: PathBuf,
        /// The role of the file.
        role: FileRole,
    },
}

impl Error {
    /// Returns a function that makes an [`Error::Io`] of the system's error.
    fn io(path: &Path, role: FileRole, operation: Operation) -> impl FnOnce(io::Error) -> Self {
        move |cause| {
            let path = path.to_owned();
            // Of `rename::place` alone: what the system says has a number.
            if cause.raw_os_error().is_none() && cause.kind() == io::ErrorKind::Unsupported {
                return Self::CannotHold { path, role };
            }
            Self::Io {
                path,
                role,
                doing: operation.reported(),
                cause,
            }
        }
    }

    /// An error of [`Operation::Read`], for a file that the caller reads itself.
    #[must_use]
    pub fn reading(path: &Path, role: FileRole, cause: io::Error) -> Self {
        Self::io(path, role, Operation::Read)(cause)
    }

    /// The file or directory; `-` for the standard output.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::TooLarge { path, .. }
            | Self::NotRegular { path, .. }
            | Self::Exposed { path, .. }
            | Self::Differs { path, .. }
            | Self::IsInput { path, .. }
            | Self::Placeholder { path, .. }
            | Self::CannotHold { path, .. }
            | Self::Exists { path, .. } => path,
        }
    }

    /// The role of the file.
    #[must_use]
    pub const fn role(&self) -> FileRole {
        match self {
            Self::Io { role, .. }
            | Self::TooLarge { role, .. }
            | Self::NotRegular { role, .. }
            | Self::Exposed { role, .. }
            | Self::Differs { role, .. }
            | Self::IsInput { role, .. }
            | Self::Placeholder { role, .. }
            | Self::CannotHold { role, .. }
            | Self::Exists { role, .. } => *role,
        }
    }

    /// The operation that failed, for [`Error::Io`] only: one of those that are
    /// [reported](Operation::reported).
    #[must_use]
    pub const fn doing(&self) -> Option<Operation> {
        match self {
            Self::Io { doing, .. } => Some(*doing),
            _ => None,
        }
    }

    /// The [`io::ErrorKind`] of the system's error, for [`Error::Io`] only.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { cause, .. } => Some(cause.kind()),
            _ => None,
        }
    }

    /// The errno of the system's error, for [`Error::Io`] only.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Io { cause, .. } => cause.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the file does not exist, or not yet.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound) || matches!(self, Self::Placeholder { .. })
    }

    /// Whether a file or directory that is there cannot be read, so that others may be readable. That this process
    /// has no memory or descriptors left is true for all of them.
    #[must_use]
    pub fn is_of_reading(&self) -> bool {
        let Self::Io { doing, cause, .. } = self else {
            return false;
        };
        let is_of_process = [Errno::MFILE, Errno::NFILE, Errno::NOMEM]
            .iter()
            .any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()));
        !is_of_process
            && matches!(
                doing,
                Operation::Open | Operation::Examine | Operation::Read | Operation::List
            )
    }

    /// Whether the user who runs this lacks permission.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::PermissionDenied)
    }

    /// Whether the name exists already, from a system call that only creates.
    fn is_already_there(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::AlreadyExists)
    }

    /// Whether the file system may have refused the name alone, while the directory takes other
    /// names. Many file systems know fewer names than others do: FAT, NTFS and CIFS have none with
    /// a colon, and each says so with another errno. Some of these also mean that the directory has
    /// gone (`ENOENT`) or has no hard links (`EPERM`).
    #[must_use]
    pub fn is_of_name(&self) -> bool {
        let Self::Io { cause, doing, .. } = self else {
            return matches!(self, Self::Exists { .. } | Self::NotRegular { .. });
        };
        let looks = matches!(doing, Operation::Create | Operation::Examine);
        match Errno::from_io_error(cause) {
            Some(Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG | Errno::LOOP | Errno::ISDIR) => {
                looks || matches!(doing, Operation::Rename | Operation::Link)
            }
            Some(Errno::NOENT | Errno::EXIST | Errno::PERM) => {
                matches!(doing, Operation::Rename | Operation::Link)
            }
            _ => false,
        }
    }

    /// Whether something has the name, so that one with a number may be free. A file system that
    /// takes no such name may say the same of it.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        let is_taken = matches!(self, Self::Exists { .. } | Self::NotRegular { .. });
        is_taken && self.path().symlink_metadata().is_ok()
    }

    /// The same error once more, since one failure may be that of many files.
    #[must_use]
    pub fn repeated(&self) -> Self {
        let path = self.path().to_owned();
        let role = self.role();
        match self {
            Self::Io { doing, cause, .. } => Self::Io {
                path,
                role,
                doing: *doing,
                cause: cause.raw_os_error().map_or_else(
                    || io::Error::new(cause.kind(), cause.to_string()),
                    io::Error::from_raw_os_error,
                ),
            },
            Self::TooLarge { limit, .. } => Self::TooLarge {
                path,
                role,
                limit: *limit,
            },
            Self::Exposed { mode, .. } => Self::Exposed {
                path,
                role,
                mode: *mode,
            },
            Self::NotRegular { .. } => Self::NotRegular { path, role },
            Self::IsInput { .. } => Self::IsInput { path, role },
            Self::Differs { .. } => Self::Differs { path, role },
            Self::Exists { .. } => Self::Exists { path, role },
            Self::Placeholder { .. } => Self::Placeholder { path, role },
            Self::CannotHold { .. } => Self::CannotHold { path, role },
        }
    }

    /// Whether the reader of a pipe that was written to has closed it.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::BrokenPipe)
    }
}

/// The path after a verb, unless the caller's report begins with it.
fn after(role: FileRole, path: &Path) -> String {
    if role.named_by_user() {
        String::new()
    } else {
        format!(" {}", path.display())
    }
}

/// The path before a finding, unless the caller's report begins with it.
fn before(role: FileRole, path: &Path) -> String {
    if role.named_by_user() {
        String::new()
    } else {
        format!("{}: ", path.display())
    }
}

/// The text of a system error, without the `(os error N)` that the standard library appends.
#[must_use]
pub fn reason(cause: &io::Error) -> String {
    let mut text = cause.to_string();
    if let Some(end) = text.find(" (os error ") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(role: FileRole) -> Error {
        Error::io(Path::new("a/b"), role, Operation::Open)(io::Error::from_raw_os_error(2))
    }

    #[test]
    fn operands_are_left_to_the_caller_to_name() {
        assert_eq!(
            missing(FileRole::Input).to_string(),
            "cannot open: No such file or directory"
        );
        assert_eq!(
            missing(FileRole::Node).to_string(),
            "cannot open a/b: No such file or directory"
        );
        let exists = |role| {
            Error::Exists {
                path: "a/b".into(),
                role,
            }
            .to_string()
        };
        assert_eq!(exists(FileRole::Output), "already exists");
        assert_eq!(exists(FileRole::Keys), "already exists");
        assert_eq!(exists(FileRole::Node), "a/b: already exists");
        let exposed = Error::Exposed {
            path: "k".into(),
            role: FileRole::Node,
            mode: 0o644,
        };
        assert_eq!(exposed.to_string(), "k: open to other users (mode 0644)");
    }

    #[test]
    fn errors_tell_what_a_status_needs() {
        let error = missing(FileRole::Node);
        assert_eq!(error.path(), Path::new("a/b"));
        assert_eq!(
            (error.role(), error.doing()),
            (FileRole::Node, Some(Operation::Open))
        );
        assert_eq!(error.raw_os_error(), Some(2));
        assert!(error.is_not_found() && !error.is_broken_pipe());
    }
}
