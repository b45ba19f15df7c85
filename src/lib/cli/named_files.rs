//! The files that a command line names. None that is read is replaced, and no output goes to a node's own files: after
//! `-f -o DIR/identity.key` the node would be gone, and nothing could bring it back.

use std::any::TypeId;
use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command};

use super::errors::Usage;
use super::report;
use crate::disk::files::{FileId, FileSet};
use crate::disk::publish::PublishOptions;
use crate::node::Directory;

/// The files that this run reads.
static READ: FileSet = FileSet::new();

/// The options that name a file or directory to write to. What else is a path is read.
const OUTPUTS: [&str; 5] = ["output", "directory", "save_session_key", "dir", "maildir"];

/// The files that this run reads, as far as it is known by now.
#[must_use]
pub fn read() -> &'static FileSet {
    &READ
}

/// Publication that replaces no file which this run reads.
#[must_use]
pub(super) fn sparing(options: PublishOptions<'_>) -> PublishOptions<'_> {
    options.sparing(&READ)
}

/// Takes note of a file that was opened to be read.
///
/// # Errors
/// [`Usage`] when standard output is appended to it: it would be read for ever.
pub(super) fn note_read(file: &File) -> anyhow::Result<()> {
    let Some(file) = FileId::of(file) else {
        return Ok(());
    };
    READ.add(file);
    if FileId::inherited(std::io::stdout()) == Some(file) {
        let text = "standard output goes to this file, which is read, too";
        return Err(Usage(text.to_owned()).into());
    }
    Ok(())
}

/// The files and directories that a command line names.
pub(super) struct NamedFiles {
    read: Vec<PathBuf>,
    /// Those in which every file is read, if they are directories.
    walked: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

impl NamedFiles {
    pub(super) fn of(command: &Command, matches: &ArgMatches) -> Self {
        let paths = || command.get_arguments().filter(|arg| is_path(arg));
        let (written, read) = paths().partition(|arg| is_output(arg));
        Self {
            read: values(matches, read),
            walked: values(matches, paths().filter(|arg| is_walked(arg)).collect()),
            written: values(matches, written),
        }
    }

    /// Takes note of the files that are read, and checks, before anything is done, that no output is one of them,
    /// another output, or a file of a node.
    ///
    /// # Errors
    /// [`Usage`] when one is.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let stdin = FileId::inherited(std::io::stdin());
        let read = self.read.iter().filter_map(|path| FileId::at(path));
        read.chain(stdin).for_each(|file| READ.add(file));
        let is_read = |file| READ.contains(file);
        if FileId::inherited(std::io::stdout()).is_some_and(is_read) || self.holds_stdout() {
            let text = "standard output goes to a file that is read, too: name another one";
            return Err(Usage(text.to_owned()).into());
        }
        let mut places = Vec::new();
        for path in &self.written {
            let refuse = |why: &str| Err(Usage(format!("{}: {why}", report::path(path))).into());
            if FileId::at(path).is_some_and(is_read) {
                return refuse("is read, too, and would be replaced: name another file");
            }
            let place = place(path);
            if Directory::owns(&place) {
                return refuse(
                    "belongs to a node, whose files no output replaces: name a place outside",
                );
            }
            if places.contains(&place) {
                return refuse("is named for two outputs");
            }
            places.push(place);
        }
        Ok(())
    }

    /// Whether standard output is a file below a directory in which every file is read, as far as the system tells.
    fn holds_stdout(&self) -> bool {
        if FileId::inherited(std::io::stdout()).is_none() {
            return false;
        }
        let Ok(output) = std::fs::read_link("/proc/self/fd/1") else {
            return false;
        };
        self.walked.iter().any(|dir| output.starts_with(place(dir)))
    }
}

fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

fn is_output(arg: &Arg) -> bool {
    !arg.is_positional() && OUTPUTS.contains(&arg.get_id().as_str())
}

fn is_walked(arg: &Arg) -> bool {
    arg.is_positional()
        && arg
            .get_value_names()
            .is_some_and(|names| names == ["FILE|DIR"])
}

/// What the command line gives for these, but for standard streams.
fn values(matches: &ArgMatches, args: Vec<&Arg>) -> Vec<PathBuf> {
    let raw = args
        .into_iter()
        .filter_map(|arg| matches.get_raw(arg.get_id().as_str()));
    let paths = raw.flatten().map(PathBuf::from);
    paths.filter(|path| path.as_os_str() != "-").collect()
}

/// The absolute path of an output, which need not exist yet, without symbolic links.
fn place(path: &Path) -> PathBuf {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(path).unwrap_or_else(|| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = whole(parent.unwrap_or(Path::new(".")));
        parent
            .unwrap_or_default()
            .join(path.file_name().unwrap_or_default())
    })
}
