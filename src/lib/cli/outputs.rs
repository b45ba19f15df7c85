//! Message outputs: a stream on standard output or in a file, or a directory with a file for each.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;

use super::errors::{Fatal, Usage};
use super::files::{self, Output, OutputForm};
use super::{named_files, report};
use crate::archive::{self, Extracted};
use crate::asn1::{Hex, pem};
use crate::crypto::hash;
use crate::disk::batch::{self, Batch, Staged};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{self, FileRole, Operation, Pending};
use crate::ramf::Kind;
use crate::transfer::joiner::StoredContent;

/// `-o`, `-f`, `-d` and `--armor`.
#[derive(Debug, clap::Args)]
pub struct MessageOutput {
    #[command(flatten)]
    output: Output,
    /// Write each message into DIR, under a name of its own
    #[arg(short, long, value_name = "DIR", conflicts_with = "output")]
    directory: Option<PathBuf>,
    /// Write PEM instead of binary
    #[arg(long)]
    armor: bool,
}

/// `-o`, `-f` and `-d`, for parts of large content.
#[derive(Debug, clap::Args)]
pub struct PartOutput {
    #[command(flatten)]
    output: Output,
    /// Write each part into DIR, under a name of its own
    #[arg(short, long, value_name = "DIR", conflicts_with = "output")]
    directory: Option<PathBuf>,
}

/// An output for messages.
pub struct Sink {
    place: OutputPlace,
    stager: Stager,
    /// Whether the run has produced anything; otherwise no file is created.
    is_used: bool,
}

enum OutputPlace {
    Stdout,
    /// The file appears under its name when it is complete.
    File(OutputFile),
    Directory(PathBuf, Batch),
}

/// A file that is created with the first message.
struct OutputFile {
    path: PathBuf,
    existing: IfExists,
    pending: Option<Pending>,
}

impl OutputFile {
    fn begun(&mut self) -> anyhow::Result<&mut Pending> {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => Pending::create(
                &self.path,
                &named_files::sparing(PublishOptions::output(self.existing)),
            )
            .map_err(failed(&self.path))?,
        };
        Ok(self.pending.insert(pending))
    }

    /// Appends octets.
    fn write(&mut self, octets: &[u8]) -> anyhow::Result<()> {
        let written = self.begun()?.write(&[octets]);
        written.map_err(failed(&self.path))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.begun()?;
        let finished = self.pending.map(Pending::finish).transpose();
        finished.map_err(failed(&self.path))?;
        Ok(())
    }
}

/// Wraps an error of a file that holds all messages: it is fatal.
fn failed(path: &Path) -> impl FnOnce(disk::Error) -> anyhow::Error {
    move |error| anyhow::Error::new(Fatal::Output(error)).context(report::path(path))
}

/// Prepares messages for an output; cloned for use on several threads.
#[derive(Clone)]
pub struct Stager {
    /// The directory, and how to treat existing files.
    directory: Option<(PathBuf, IfExists)>,
    armor: bool,
    /// Whether a message gets another name if its own is taken.
    keeps_all: bool,
}

/// A message that is prepared for its output.
pub enum StagedOutput {
    /// Unchanged.
    Plain,
    /// As PEM.
    Text(String),
    /// A file in the directory.
    File(Filed),
}

/// A message whose file is written but not yet named.
pub struct Filed {
    /// `None` for a part of large content.
    kind: Option<Kind>,
    /// The name that was asked for.
    name: String,
    /// The path that it will have.
    path: PathBuf,
    staged: Staged,
}

impl MessageOutput {
    /// The directory, if the output is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Whether standard output is free for status lines.
    #[must_use]
    pub fn leaves_stdout(&self) -> bool {
        self.directory.is_some() || self.output.file().is_some()
    }

    /// Checks before anything is done that lines of JSON can go to standard output; `what` is the word for the
    /// messages.
    ///
    /// # Errors
    /// When the messages go there, or as [`files::check_lines`].
    pub fn check_lines(&self, what: &str) -> anyhow::Result<()> {
        if self.leaves_stdout() {
            return files::check_lines();
        }
        Err(Usage(format!(
            "--json needs -d DIR or -o FILE, since {what} go to standard output"
        ))
        .into())
    }

    /// Checks before anything is done that messages can be written, as far as that is known; `what`
    /// is the word for them in diagnostics.
    ///
    /// # Errors
    /// When the file exists and is not to be replaced, the directory does not exist, or messages
    /// are not for a terminal.
    pub fn check(&self, what: &'static str) -> anyhow::Result<()> {
        match &self.directory {
            Some(dir) => check_directory(dir),
            None => self.output.check(self.form(what)),
        }
    }

    /// Opens the output.
    ///
    /// # Errors
    /// As [`MessageOutput::check`].
    pub fn open(&self, what: &'static str) -> anyhow::Result<Sink> {
        self.check(what)?;
        Ok(self.start(IfExists::Refuse))
    }

    /// Opens the output for messages that are identical in every run, so that a file which a killed
    /// run left is success for the next one.
    ///
    /// # Errors
    /// When the directory does not exist, or messages are not for a terminal.
    pub fn open_repeatable(&self, what: &'static str) -> anyhow::Result<Sink> {
        if self.directory.is_some() || self.output.file().is_none() {
            self.check(what)?;
        } else {
            self.output.check_stream()?;
        }
        Ok(self.start(IfExists::SameIsSuccess))
    }

    fn start(&self, of_file: IfExists) -> Sink {
        Sink::start(&self.output, self.directory.as_deref(), self.armor, of_file)
    }

    fn form(&self, what: &'static str) -> OutputForm {
        if self.armor {
            OutputForm::Text
        } else {
            OutputForm::Binary(what)
        }
    }
}

impl PartOutput {
    /// Opens the output for parts. With `is_repeatable` they are identical in every run, so that a
    /// file which a killed run left is success for the next one.
    ///
    /// # Errors
    /// When the file exists and is not to be replaced, the directory does not exist, or parts are
    /// not for a terminal.
    pub fn open(&self, is_repeatable: bool) -> anyhow::Result<Sink> {
        match &self.directory {
            Some(dir) => check_directory(dir)?,
            None if is_repeatable && self.output.file().is_some() => self.output.check_stream()?,
            None => self.output.check(OutputForm::Binary("a stream of parts"))?,
        }
        let of_file = if is_repeatable {
            IfExists::SameIsSuccess
        } else {
            IfExists::Refuse
        };
        let directory = self.directory.as_deref();
        Ok(Sink::start(&self.output, directory, false, of_file))
    }
}

/// Checks that results can be written into a directory, as far as that is known.
///
/// # Errors
/// When it is not a directory.
pub fn check_directory(dir: &Path) -> anyhow::Result<()> {
    let failed = |cause| disk::Error::Io {
        path: dir.to_owned(),
        role: FileRole::Delivery,
        doing: Operation::Open,
        cause,
    };
    let found = std::fs::metadata(dir).map_err(failed);
    let found = found.with_context(|| report::path(dir))?;
    if !found.is_dir() {
        let error = failed(std::io::ErrorKind::NotADirectory.into());
        return Err(anyhow::Error::new(error).context(report::path(dir)));
    }
    files::sweep(dir);
    Ok(())
}

/// Makes a directory of a tar stream of `len` octets, in `dir`. Returns its path.
///
/// # Errors
/// When it is no such stream; [`Fatal`] for what the disk refuses, since it does so for each.
pub fn extract(
    content: impl Read,
    len: u64,
    dir: &Path,
    now: SystemTime,
) -> anyhow::Result<PathBuf> {
    match archive::extract(content, len, dir, now).and_then(Extracted::place) {
        Ok(name) => Ok(dir.join(name)),
        Err(archive::Error::Disk(error)) => {
            let path = report::path(error.path());
            Err(Fatal::output(error).context(path))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a directory in `dir` of joined content.
///
/// # Errors
/// As [`extract`].
pub fn extract_joined(stored: StoredContent, dir: &Path) -> anyhow::Result<Option<PathBuf>> {
    match stored {
        StoredContent::Stored(path) => Ok(path),
        StoredContent::Unstored(whole) => {
            extract(whole.reader(), whole.len(), dir, SystemTime::now()).map(Some)
        }
    }
}

impl Stager {
    fn replaces(&self) -> bool {
        matches!(self.directory, Some((_, IfExists::Replace)))
    }

    /// Prepares a message; `name` is that of its file in a directory.
    ///
    /// # Errors
    /// [`Fatal`] when its file cannot be written; when another file has the name and is not to be
    /// replaced.
    pub fn stage(&self, kind: Kind, name: &str, octets: &[u8]) -> anyhow::Result<StagedOutput> {
        self.stage_as(Some(kind), name, octets)
    }

    /// Prepares a message of this kind, or a part if it is `None`.
    fn stage_as(
        &self,
        kind: Option<Kind>,
        name: &str,
        octets: &[u8],
    ) -> anyhow::Result<StagedOutput> {
        let armored = kind.filter(|_| self.armor);
        let text = armored.map(|kind| pem::encode(&label(kind), octets));
        let Some((dir, existing)) = &self.directory else {
            return Ok(text.map_or(StagedOutput::Plain, StagedOutput::Text));
        };
        let written = text.as_ref().map_or(octets, String::as_bytes);
        let manner = named_files::sparing(PublishOptions::delivery(*existing));
        let mut path = dir.join(name);
        let mut staged = batch::stage(&path, &[written], &manner);
        let is_taken = matches!(
            staged,
            Err(disk::Error::Exists { .. } | disk::Error::NotRegular { .. })
        );
        if is_taken && self.keeps_all {
            path = dir.join(other_name(name, octets));
            staged = batch::stage(&path, &[written], &manner);
        }
        let staged = staged.map_err(|error| Fatal::output(error).context(report::path(&path)))?;
        Ok(StagedOutput::File(Filed {
            kind,
            name: name.to_owned(),
            path,
            staged,
        }))
    }
}

/// Another name for a message whose own is taken: with its digest, so that no other message can
/// have it.
fn other_name(name: &str, octets: &[u8]) -> String {
    let digest = Hex(&hash::sha256(octets)[..16]).to_string();
    match name.rsplit_once('.') {
        Some((stem, kind)) => format!("{stem}.{digest}.{kind}"),
        None => format!("{name}.{digest}"),
    }
}

impl Sink {
    fn start(output: &Output, dir: Option<&Path>, armor: bool, of_file: IfExists) -> Self {
        // -f overrides the policy of the output.
        let existing = |otherwise| {
            if output.force() {
                IfExists::Replace
            } else {
                otherwise
            }
        };
        let place = match (dir, output.file()) {
            (Some(dir), _) => OutputPlace::Directory(dir.to_owned(), Batch::default()),
            (None, Some(file)) => OutputPlace::File(OutputFile {
                path: file.to_owned(),
                existing: existing(of_file),
                pending: None,
            }),
            (None, None) => OutputPlace::Stdout,
        };
        let stager = Stager {
            directory: dir.map(|dir| (dir.to_owned(), existing(IfExists::SameIsSuccess))),
            armor,
            keeps_all: false,
        };
        Self {
            place,
            stager,
            is_used: false,
        }
    }

    /// Never leaves a message out: in a directory it gets another name if its own is taken.
    #[must_use]
    pub fn keeping_all(mut self) -> Self {
        self.stager.keeps_all = true;
        self
    }

    /// The stager for this output.
    #[must_use]
    pub fn stager(&self) -> Stager {
        self.stager.clone()
    }

    /// Writes a prepared message; `octets` are the message itself. Returns its path.
    ///
    /// # Errors
    /// [`Fatal`] when the output cannot be written, or earlier messages cannot be synced or named.
    pub fn take(&mut self, ready: StagedOutput, octets: &[u8]) -> anyhow::Result<Option<PathBuf>> {
        self.is_used = true;
        let text;
        let octets = match ready {
            StagedOutput::File(filed) => return self.file(filed, octets).map(Some),
            StagedOutput::Text(armored) => {
                text = armored;
                text.as_bytes()
            }
            StagedOutput::Plain => octets,
        };
        let OutputPlace::File(file) = &mut self.place else {
            files::write_stdout(&[octets])?;
            return Ok(None);
        };
        file.write(octets)?;
        Ok(Some(file.path.clone()))
    }

    fn file(&mut self, filed: Filed, octets: &[u8]) -> anyhow::Result<PathBuf> {
        let OutputPlace::Directory(dir, batch) = &mut self.place else {
            return Ok(filed.path);
        };
        let not_synced = |error| Fatal::output(error).context(report::path(dir));
        let mut filed = filed;
        // The name was free when this file was written, but another message of this run may have
        // taken it since.
        let is_held = batch.holds(&filed.path);
        let is_taken = is_held || filed.staged.is_new() && filed.path.symlink_metadata().is_ok();
        if is_taken && !self.stager.replaces() {
            // The other message needs its name first, so that staging again can compare the octets.
            if is_held {
                batch.commit().map_err(not_synced)?;
            }
            if let StagedOutput::File(again) =
                self.stager.stage_as(filed.kind, &filed.name, octets)?
            {
                filed = again;
            }
        }
        batch.add(filed.staged).map_err(not_synced)?;
        Ok(filed.path)
    }

    /// Prepares a message and writes it.
    ///
    /// # Errors
    /// As [`Stager::stage`] and [`Sink::take`].
    pub fn put(
        &mut self,
        kind: Kind,
        name: &str,
        octets: &[u8],
    ) -> anyhow::Result<Option<PathBuf>> {
        let ready = self.stager.stage(kind, name, octets)?;
        self.take(ready, octets)
    }

    /// Writes a part; `name` is that of its file in a directory.
    ///
    /// # Errors
    /// As [`Sink::put`].
    pub fn put_part(&mut self, name: &str, octets: &[u8]) -> anyhow::Result<Option<PathBuf>> {
        let ready = self.stager.stage_as(None, name, octets)?;
        self.take(ready, octets)
    }

    /// Syncs the messages so far, and returns whether they are complete: in a directory each has
    /// its name then; a file gets its name only at the end. A run without messages counts as used,
    /// so that a file is created.
    ///
    /// # Errors
    /// [`Fatal`] when one cannot be synced or named.
    pub fn settle(&mut self) -> anyhow::Result<bool> {
        self.is_used = true;
        match &mut self.place {
            OutputPlace::Stdout => Ok(true),
            OutputPlace::File(..) => Ok(false),
            OutputPlace::Directory(dir, batch) => {
                let committed = batch.commit().map_err(Fatal::output);
                committed.with_context(|| report::path(dir))?;
                Ok(true)
            }
        }
    }

    /// Whether every message so far is synced under its name.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match &self.place {
            OutputPlace::Stdout => true,
            OutputPlace::File(..) => false,
            OutputPlace::Directory(_, batch) => batch.is_empty() && !batch.has_refused(),
        }
    }

    /// The errors of messages that were synced but not named, since the names were taken meanwhile.
    pub fn take_refused(&mut self) -> Vec<anyhow::Error> {
        let OutputPlace::Directory(_, batch) = &mut self.place else {
            return Vec::new();
        };
        let named = |error: disk::Error| {
            let path = report::path(error.path());
            anyhow::Error::new(error).context(path)
        };
        batch.take_refused().into_iter().map(named).collect()
    }

    /// Completes the output. Without any message and any call of [`Sink::settle`] no file is
    /// created.
    ///
    /// # Errors
    /// When something cannot be synced or named.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if !self.is_used {
            return Ok(());
        }
        self.settle()?;
        if let Some(refused) = self.take_refused().into_iter().next() {
            return Err(refused);
        }
        if let OutputPlace::File(file) = self.place {
            file.finish()?;
        }
        Ok(())
    }
}

/// The label of a message's PEM block.
fn label(kind: Kind) -> String {
    format!("{}{}", pem::RELAYNET, kind.word().to_ascii_uppercase())
}
