//! Where messages go: a stream on standard output or in a file, or a directory with a file for each.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::errors::Fatal;
use super::files::{self, Output, OutputForm};
use super::report;
use crate::asn1::{Hex, pem};
use crate::crypto::hash;
use crate::disk::batch::{self, Batch, Staged};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{self, FileRole, Operation, Pending};
use crate::ramf::Kind;

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

/// An output that takes messages.
pub struct Sink {
    place: OutputPlace,
    stager: Stager,
    /// Whether anything came of the run; a file is not made of nothing.
    is_used: bool,
}

enum OutputPlace {
    Stdout,
    /// It gets its name when all is written.
    File(OutputFile),
    Directory(PathBuf, Batch),
}

/// A file that is begun when the first message comes.
struct OutputFile {
    path: PathBuf,
    existing: IfExists,
    pending: Option<Pending>,
}

impl OutputFile {
    fn begun(&mut self) -> anyhow::Result<&mut Pending> {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => Pending::create(&self.path, &PublishOptions::output(self.existing))
                .map_err(failed(&self.path))?,
        };
        Ok(self.pending.insert(pending))
    }

    /// Writes octets after those before.
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

/// What writing a file fails with that all messages are for.
fn failed(path: &Path) -> impl FnOnce(disk::Error) -> anyhow::Error {
    move |error| anyhow::Error::new(Fatal::Output(error)).context(report::path(path))
}

/// Makes messages ready for an output, on whatever core.
#[derive(Clone)]
pub struct Stager {
    /// The directory, and what becomes of a file that is there.
    directory: Option<(PathBuf, IfExists)>,
    armor: bool,
    /// Whether a message gets another name where its own is taken.
    keeps_all: bool,
}

/// A message that is ready for its output.
pub enum StagedOutput {
    /// As it is.
    Plain,
    /// As PEM.
    Text(String),
    /// Its file in the directory.
    File(Filed),
}

/// A message whose file is written and waits for its name.
pub struct Filed {
    /// None for a part.
    kind: Option<Kind>,
    /// The name that it should have.
    name: String,
    /// The file that it gets.
    path: PathBuf,
    staged: Staged,
}

impl MessageOutput {
    /// The directory, if it is one.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Whether standard output is left for something else.
    #[must_use]
    pub fn leaves_stdout(&self) -> bool {
        self.directory.is_some() || self.output.file().is_some()
    }

    /// Checks, before anything is done, that messages can be written as far as one can tell; `what` is the
    /// word for them.
    ///
    /// # Errors
    /// When the file exists and is not to be replaced, the directory is not one, or messages are not for
    /// the terminal.
    pub fn check(&self, what: &'static str) -> anyhow::Result<()> {
        match &self.directory {
            Some(dir) => check_directory(dir),
            None => self.output.check(self.form(what)),
        }
    }

    /// Starts to write.
    ///
    /// # Errors
    /// As [`MessageOutput::check`].
    pub fn open(&self, what: &'static str) -> anyhow::Result<Sink> {
        self.check(what)?;
        Ok(self.start(IfExists::Refuse))
    }

    /// Starts to write messages that are the same in every run: a file that a run left which was killed
    /// before it was done is success for the next one.
    ///
    /// # Errors
    /// When the directory is not one or messages are not for the terminal.
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
    /// Starts to write parts. If they are the same in every run, as `is_repeatable` says, a file that a run left
    /// which was killed before it was done is success for the next one.
    ///
    /// # Errors
    /// When the file exists and is not to be replaced, the directory is not one, or parts are not for the
    /// terminal.
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

/// Makes sure that results can be written into a directory, as far as one can tell.
///
/// # Errors
/// When it is not one.
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
    Ok(())
}

impl Stager {
    fn replaces(&self) -> bool {
        matches!(self.directory, Some((_, IfExists::Replace)))
    }

    /// Makes a message ready, whose file in a directory has this name.
    ///
    /// # Errors
    /// [`Fatal`] when its file cannot be written; when another one has the name and is not to be replaced.
    pub fn stage(&self, kind: Kind, name: &str, octets: &[u8]) -> anyhow::Result<StagedOutput> {
        self.stage_as(Some(kind), name, octets)
    }

    /// Makes octets ready, which are a message of this kind, or a part.
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
        let manner = PublishOptions::delivery(*existing);
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

/// The name of a message where its own is taken: no other message can have it.
fn other_name(name: &str, octets: &[u8]) -> String {
    let digest = Hex(&hash::sha256(octets)[..16]).to_string();
    match name.rsplit_once('.') {
        Some((stem, kind)) => format!("{stem}.{digest}.{kind}"),
        None => format!("{name}.{digest}"),
    }
}

impl Sink {
    fn start(output: &Output, dir: Option<&Path>, armor: bool, of_file: IfExists) -> Self {
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

    /// In a directory, no message is left out since something else has its name: then it gets another one.
    #[must_use]
    pub fn keeping_all(mut self) -> Self {
        self.stager.keeps_all = true;
        self
    }

    /// What makes messages ready for this output.
    #[must_use]
    pub fn stager(&self) -> Stager {
        self.stager.clone()
    }

    /// Takes a message that is ready, whose octets are these; gives its file.
    ///
    /// # Errors
    /// [`Fatal`] when it cannot be written, its file not be made, or those before it not be synced and named.
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
        // The name was free when this was written, but others of this run came before it.
        let is_held = batch.holds(&filed.path);
        let is_taken = is_held || filed.staged.is_new() && filed.path.symlink_metadata().is_ok();
        if is_taken && !self.stager.replaces() {
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

    /// Makes a message ready and takes it.
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

    /// Takes a part, whose file in a directory has this name.
    ///
    /// # Errors
    /// As [`Sink::put`].
    pub fn put_part(&mut self, name: &str, octets: &[u8]) -> anyhow::Result<Option<PathBuf>> {
        let ready = self.stager.stage_as(None, name, octets)?;
        self.take(ready, octets)
    }

    /// Waits until the messages so far, be they none, are where they belong, and gives whether they are: in
    /// a directory each has its name then, a file has its own only at the end.
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

    /// Whether every message so far is where it belongs.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        match &self.place {
            OutputPlace::Stdout => true,
            OutputPlace::File(..) => false,
            OutputPlace::Directory(_, batch) => batch.is_empty() && !batch.has_refused(),
        }
    }

    /// The messages that were settled but for their names, which others had meanwhile.
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

    /// Waits until all messages are where they belong. Where nothing was taken or settled there is no file.
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
