//! Result outputs: standard output, a file, or a directory.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rustix::fs::FileType;

use super::errors::{Fatal, ForTerminal};
use super::{named_files, progress, report};
use crate::asn1::pem;
use crate::disk::files::Standard;
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{self, FileRole, Operation};
use crate::message::file_name::{self, is_harmful};

/// `-o` and `-f`.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// Write to FILE, which appears only when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(short, long)]
    force: bool,
}

/// `-o`, `-f` and `--der`: where keys, certificates and parameters go.
#[derive(Debug, clap::Args)]
pub struct ObjectOutput {
    #[command(flatten)]
    output: Output,
    /// Write DER instead of PEM
    #[arg(long)]
    der: bool,
}

impl ObjectOutput {
    /// Checks before anything is done that an object can be written, as far as that is known.
    ///
    /// # Errors
    /// As [`Output::check`], and when a file cannot be created.
    pub fn check(&self) -> anyhow::Result<()> {
        self.output.check(self.form())?;
        // Keys and certificates that belong to the object are stored before it is written, and are
        // not undone.
        if let Some(file) = self.output.file() {
            let existing = self.output.existing(self.form());
            publish::check(
                file,
                &named_files::sparing(PublishOptions::output(existing)),
            )
            .with_context(|| report::path(file))?;
        }
        Ok(())
    }

    /// Writes an object, in PEM with this label or in DER.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn write(&self, label: &str, der: &[u8]) -> anyhow::Result<()> {
        let text;
        let octets = if self.der {
            der
        } else {
            text = pem::encode(label, der);
            text.as_bytes()
        };
        self.output.write(&[octets], self.form())
    }

    /// Whether `-o` says where it goes.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.output.output.is_some()
    }

    /// Whether `-o` sends it to standard output.
    #[must_use]
    pub fn is_to_stdout(&self) -> bool {
        self.is_given() && self.output.file().is_none()
    }

    /// Where it goes.
    #[must_use]
    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    fn form(&self) -> OutputForm {
        if self.der {
            OutputForm::Binary("DER")
        } else {
            OutputForm::Text
        }
    }
}

/// The form of the output, which decides whether a terminal may get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputForm {
    /// Text that this program makes.
    Text,
    /// Binary data; the word for it in diagnostics.
    Binary(&'static str),
    /// Content from another node: shown on a terminal only if it is harmless text.
    Content,
}

impl Output {
    /// The file; `None` for standard output.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.output
            .as_deref()
            .filter(|path| path.as_os_str() != "-")
    }

    /// Whether results in a directory may replace existing files.
    #[must_use]
    pub fn force(&self) -> bool {
        self.force
    }

    /// Writes a result that consists of `parts`.
    ///
    /// # Errors
    /// When it cannot be written, the file exists and is not to be replaced, or it is not for a
    /// terminal.
    pub fn write(&self, parts: &[&[u8]], form: OutputForm) -> anyhow::Result<()> {
        let Some(file) = self.file() else {
            // `-o -` says that the user wants it on the terminal.
            if self.output.is_none() && std::io::stdout().is_terminal() {
                check_for_terminal(parts, form)?;
            }
            return write_stdout(parts);
        };
        let options = named_files::sparing(PublishOptions::output(self.existing(form)));
        let published = publish::publish(file, parts, &options);
        published.with_context(|| report::path(file))?;
        Ok(())
    }

    /// How to treat an existing file.
    fn existing(&self, form: OutputForm) -> IfExists {
        match form {
            _ if self.force => IfExists::Replace,
            // After a crash before the parcel was remembered, the next run writes the same content
            // again.
            OutputForm::Content => IfExists::SameIsSuccess,
            OutputForm::Text | OutputForm::Binary(_) => IfExists::Refuse,
        }
    }

    /// Checks before anything is done that standard output is usable, if the result goes there;
    /// else removes what killed runs left beside the file.
    ///
    /// # Errors
    /// As [`check_stdout`].
    pub(super) fn check_stream(&self) -> anyhow::Result<()> {
        match self.file() {
            // Opening one of these would succeed even if the stream itself is unusable.
            Some(file) if STDOUT_NAMES.iter().all(|name| file != Path::new(name)) => {
                // With -f, that is beside the target of a symbolic link.
                let target = file.canonicalize();
                let target = target.as_deref().unwrap_or(file);
                if let Some(dir) = target.parent() {
                    sweep(dir);
                }
                Ok(())
            }
            _ => check_stdout(),
        }
    }

    /// Checks before anything is done that the result can be written, as far as that is known.
    ///
    /// # Errors
    /// As [`check_stdout`]; when the file exists and is not to be replaced, or the result is not
    /// for a terminal.
    pub fn check(&self, form: OutputForm) -> anyhow::Result<()> {
        self.check_stream()?;
        match self.file() {
            // An existing file may turn out to have the same content, which is success: see
            // `existing`.
            Some(file) if !self.force && form != OutputForm::Content => {
                let is_file = std::fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file());
                if is_file && !publish::is_abandoned(file) {
                    let error = disk::Error::Exists {
                        path: file.to_owned(),
                        role: FileRole::Output,
                    };
                    return Err(anyhow::Error::new(error).context(report::path(file)));
                }
                Ok(())
            }
            None if self.output.is_none()
                && matches!(form, OutputForm::Binary(_))
                && std::io::stdout().is_terminal() =>
            {
                check_for_terminal(&[], form)
            }
            _ => Ok(()),
        }
    }
}

/// The age from which a temporary file is a leftover of a killed run.
const ABANDONED: Duration = Duration::from_secs(36 * 60 * 60);

/// Removes what killed runs of this user left in a directory that results go to.
pub fn sweep(dir: &Path) {
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
    };
    // By the clock of the file system's times, whatever --now says.
    if let Some(before) = SystemTime::now().checked_sub(ABANDONED) {
        publish::sweep_ours(dir, before);
    }
}

/// Removes at once what killed runs of this user left of directories that nobody holds any more.
pub fn sweep_trees(dir: &Path) {
    let is_here = dir.as_os_str().is_empty();
    publish::sweep_trees(if is_here { Path::new(".") } else { dir });
}

/// The names that systems have for standard output.
const STDOUT_NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

fn check_for_terminal(parts: &[&[u8]], form: OutputForm) -> anyhow::Result<()> {
    match form {
        OutputForm::Text => Ok(()),
        OutputForm::Binary(what) => Err(ForTerminal(what).into()),
        OutputForm::Content => {
            let text = String::from_utf8(parts.concat());
            let harmless = text.is_ok_and(|text| {
                text.chars()
                    // Escape sequences from another node could control the terminal.
                    .all(|character| matches!(character, '\n' | '\t') || !is_harmful(character))
            });
            if harmless {
                Ok(())
            } else {
                Err(ForTerminal("content that is not plain text").into())
            }
        }
    }
}

/// Writes the result that the program was run for to standard output.
///
/// # Errors
/// As [`check_stdout`]; [`Fatal`] when it cannot be written.
pub fn write_stdout(parts: &[&[u8]]) -> anyhow::Result<()> {
    if parts.iter().any(|part| !part.is_empty()) {
        check_stdout()?;
    }
    progress::away(|| emit(parts))
}

/// Writes a line of the result that the program was run for.
///
/// # Errors
/// As [`write_stdout`].
pub fn print(line: &str) -> anyhow::Result<()> {
    write_stdout(&[line.as_bytes(), b"\n"])
}

/// Writes lines about work that is done whether they are read or not. Daemons and Python's
/// `DEVNULL` open `/dev/null` for reading and writing, which cannot be told from a closed stream,
/// so neither is an error here.
///
/// # Errors
/// As [`check_lines`]; [`Fatal`] when it cannot be written.
pub fn write_lines(lines: &[u8]) -> anyhow::Result<()> {
    if !lines.is_empty() {
        check_lines()?;
    }
    emit(&[lines])
}

/// Writes one line as [`write_lines`] does.
///
/// # Errors
/// As [`write_lines`].
pub fn print_line(line: &str) -> anyhow::Result<()> {
    write_lines(format!("{line}\n").as_bytes())
}

fn emit(parts: &[&[u8]]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    publish::emit(&mut stdout, parts).map_err(Fatal::output)
}

/// Checks before anything is done that standard output is open for writing, and not closed.
///
/// # Errors
/// [`Fatal`] when it is closed or not open for writing.
pub fn check_stdout() -> anyhow::Result<()> {
    match stdout() {
        Standard::Open => Ok(()),
        // Rust's runtime opens /dev/null for reading and writing in place of a closed stream.
        Standard::Closed => Err(unwritable(
            "standard output is closed, or is /dev/null opened for reading, too",
        )),
        Standard::OtherWay => Err(unwritable(NOT_FOR_WRITING)),
    }
}

/// Checks before anything is done that lines can be written to standard output; a closed stream is
/// fine.
///
/// # Errors
/// [`Fatal`] when it is open, but not for writing.
pub fn check_lines() -> anyhow::Result<()> {
    match stdout() {
        Standard::Open | Standard::Closed => Ok(()),
        Standard::OtherWay => Err(unwritable(NOT_FOR_WRITING)),
    }
}

const NOT_FOR_WRITING: &str = "standard output is not open for writing";

/// The state of standard output, examined once.
fn stdout() -> Standard {
    static STDOUT: OnceLock<Standard> = OnceLock::new();
    *STDOUT.get_or_init(|| Standard::output(std::io::stdout()))
}

fn unwritable(why: &'static str) -> anyhow::Error {
    Fatal::output(disk::Error::Io {
        path: PathBuf::from("-"),
        role: FileRole::Output,
        doing: Operation::Write,
        cause: std::io::Error::other(why),
    })
}

/// Whether standard output is a regular file, which keeps what it gets.
#[must_use]
pub fn is_stdout_a_file() -> bool {
    let found = rustix::fs::fstat(std::io::stdout());
    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file())
}

/// Whether standard output is a terminal.
#[must_use]
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Writes a message into a directory under this name; an identical file there is success.
///
/// # Errors
/// [`Fatal`] when it cannot be written; when another file has the name and is not to be replaced.
pub fn write_into(dir: &Path, name: &str, parts: &[&[u8]], force: bool) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    let existing = if force {
        IfExists::Replace
    } else {
        IfExists::SameIsSuccess
    };
    let manner = named_files::sparing(PublishOptions::delivery(existing));
    let published = publish::publish(&path, parts, &manner).map_err(Fatal::output);
    published.with_context(|| report::path(&path))?;
    Ok(path)
}

/// The directory for scratch files: `TMPDIR`, else `/tmp`.
#[must_use]
pub fn scratch_dir() -> PathBuf {
    std::env::temp_dir()
}

/// Writes a file into a directory under a name that its sender chose. No other file is replaced:
/// the name becomes `name~2` and so on. An identical file is success, so that a repeated run leaves
/// no second copy. Returns `None` if the file system takes no name of this form.
///
/// # Errors
/// [`Fatal`] when it cannot be written; when too many files have names of this form.
pub fn write_numbered(dir: &Path, name: &str, content: &[u8]) -> anyhow::Result<Option<PathBuf>> {
    for name in file_name::spellings(name) {
        let mut is_refused = false;
        for name in file_name::numbered_names(&name) {
            let path = dir.join(name);
            let options = PublishOptions::delivery(IfExists::SameIsSuccess);
            match publish::publish(&path, &[content], &options) {
                Ok(_) => return Ok(Some(path)),
                Err(error) if error.is_taken() => {}
                Err(error) if error.is_of_name() => {
                    is_refused = true;
                    break;
                }
                Err(error) => return Err(Fatal::output(error).context(report::path(&path))),
            }
        }
        if !is_refused {
            let path = dir.join(name);
            let error = disk::Error::Exists {
                path: path.clone(),
                role: FileRole::Delivery,
            };
            return Err(anyhow::Error::new(error).context(report::path(&path)));
        }
    }
    Ok(None)
}
