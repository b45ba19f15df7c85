//! A directory as one content: a tar stream, and the directory that it was made of.
//!
//! The stream is ustar (POSIX.1-2017, pax §Ustar Interchange Format) with the pax records `path`,
//! `size` and `mtime`. It has files and directories alone, all of them below one directory, which
//! comes first. Its media type is [`MEDIA_TYPE`].

mod format; // what both directions agree on: limits, blocks, records
pub mod write; // a directory that is read as a tar stream
pub mod read; // a tar stream that is read entry by entry
pub mod extract; // the directory that it was made of

use std::io;
use std::path::PathBuf;

use crate::disk;
use crate::kind::ErrorKind;

pub use extract::{Extracted, extract};
pub use format::{MAX_DEPTH, MAX_ENTRIES, MAX_PATH_LEN, MEDIA_TYPE, is_tree};
pub use write::{Omission, Tree};

/// The reason why a directory cannot be made content, or content a directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are too many files and directories.
    #[error("over {MAX_ENTRIES} files and directories")]
    TooMany,
    /// A directory is nested too deep.
    #[error("{0}: over {MAX_DEPTH} directories deep")]
    TooDeep(String),
    /// A path is too long.
    #[error("{0}: over {MAX_PATH_LEN} octets")]
    LongPath(String),
    /// This is not a name for a directory.
    #[error("{0:?} is not a name for a directory")]
    BadName(String),
    /// A file was changed while it was read.
    #[error("{}: changed while it was read", .0.display())]
    Unsteady(PathBuf),
    /// The stream is not a tar archive, or damaged.
    #[error("not a tar archive that is accepted here: {what}, before octet {at}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// How many octets are before it.
        at: u64,
    },
    /// The archive has something that is not accepted: a path or key, and what it is.
    #[error("{0}: {1}, which is not accepted")]
    Unsuitable(String, &'static str),
    /// The stream cannot be read.
    #[error("cannot read: {}", disk::reason(.0))]
    Source(io::Error),
    /// A file or directory cannot be read or written.
    #[error("{}: {_0}", .0.path().display())]
    Disk(#[from] disk::Error),
}

impl Error {
    /// The kind of the error, for callers to act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMany
            | Self::TooDeep(_)
            | Self::LongPath(_)
            | Self::BadName(_)
            | Self::Malformed { .. }
            | Self::Unsuitable(..) => ErrorKind::Malformed,
            Self::Source(_) => ErrorKind::Io,
            Self::Unsteady(_) => ErrorKind::Busy,
            Self::Disk(error) => error.kind(),
        }
    }
}
