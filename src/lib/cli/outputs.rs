//! Where messages go: a stream on standard output or in a file, or a directory with a file for each.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::files::{self, Form, Output};
use super::report;
use crate::asn1::pem;
use crate::disk::batch::{self, Batch, Staged};
use crate::disk::publish::{Existing, Manner};
use crate::disk::{self, Doing, Pending, Role};
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
    place: Place,
    stager: Stager,
    /// Whether anything came of the run; a file is not made of nothing.
    is_used: bool,
    /// Whether something could not be written to the file, which then does not get its name.
    is_broken: bool,
}

enum Place {
    Stdout,
    /// It gets its name when all is written.
    File(OutputFile),
    Directory(PathBuf, Batch),
}

/// A file that is begun when the first message comes.
struct OutputFile {
    path: PathBuf,
    existing: Existing,
    pending: Option<Pending>,
}

impl OutputFile {
    fn begun(&mut self) -> anyhow::Result<&mut Pending> {
        let pending = match self.pending.take() {
            Some(pending) => pending,
            None => Pending::create(&self.path, &Manner::output(self.existing))
                .with_context(|| report::path(&self.path))?,
        };
        Ok(self.pending.insert(pending))
    }

    /// Writes octets after those before.
    fn write(&mut self, octets: &[u8]) -> anyhow::Result<()> {
        let written = self.begun()?.write(&[octets]);
        written.with_context(|| report::path(&self.path))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.begun()?;
        let finished = self.pending.map(Pending::finish).transpose();
        finished.with_context(|| report::path(&self.path))?;
        Ok(())
    }
}

/// Makes messages ready for an output, on whatever core.
#[derive(Clone)]
pub struct Stager {
    /// The directory, and what becomes of a file that is there.
    directory: Option<(PathBuf, Existing)>,
    armor: bool,
}

/// A message that is ready for its output.
pub enum Ready {
    /// As it is.
    Plain,
    /// As PEM.
    Text(String),
    /// Its file in the directory.
    File(PathBuf, Staged),
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
    /// When the file exists and is not to be replaced, the directory is none, or messages are not for
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
        Ok(self.start(Existing::Refuse))
    }

    /// Starts to write messages that are the same in every run: a file that a run left which was killed
    /// before it was done is success for the next one.
    ///
    /// # Errors
    /// When the directory is none or messages are not for the terminal.
    pub fn open_repeatable(&self, what: &'static str) -> anyhow::Result<Sink> {
        if self.directory.is_some() || self.output.file().is_none() {
            self.check(what)?;
        }
        Ok(self.start(Existing::SameIsSuccess))
    }

    fn start(&self, of_file: Existing) -> Sink {
        Sink::start(&self.output, self.directory.as_deref(), self.armor, of_file)
    }

    fn form(&self, what: &'static str) -> Form {
        if self.armor {
            Form::Text
        } else {
            Form::Binary(what)
        }
    }
}

impl PartOutput {
    /// Starts to write parts. If they are the same in every run, as `is_repeatable` says, a file that a run left
    /// which was killed before it was done is success for the next one.
    ///
    /// # Errors
    /// When the file exists and is not to be replaced, the directory is none, or parts are not for the
    /// terminal.
    pub fn open(&self, is_repeatable: bool) -> anyhow::Result<Sink> {
        match &self.directory {
            Some(dir) => check_directory(dir)?,
            None if is_repeatable && self.output.file().is_some() => {}
            None => self.output.check(Form::Binary("a stream of parts"))?,
        }
        let of_file = if is_repeatable {
            Existing::SameIsSuccess
        } else {
            Existing::Refuse
        };
        let directory = self.directory.as_deref();
        Ok(Sink::start(&self.output, directory, false, of_file))
    }
}

/// Makes sure that results can be written into a directory, as far as one can tell.
///
/// # Errors
/// When it is none.
pub fn check_directory(dir: &Path) -> anyhow::Result<()> {
    let failed = |cause| disk::Error::Io {
        path: dir.to_owned(),
        role: Role::Delivery,
        doing: Doing::Open,
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
    /// Makes a message ready, whose file in a directory has this name.
    ///
    /// # Errors
    /// When its file cannot be written, or another one has the name and is not to be replaced.
    pub fn stage(&self, kind: Kind, name: &str, octets: &[u8]) -> anyhow::Result<Ready> {
        let text = self.armor.then(|| pem::encode(&label(kind), octets));
        self.stage_as(name, octets, text)
    }

    /// Makes octets ready, which are written as this text if there is one.
    fn stage_as(&self, name: &str, octets: &[u8], text: Option<String>) -> anyhow::Result<Ready> {
        let Some((dir, existing)) = &self.directory else {
            return Ok(text.map_or(Ready::Plain, Ready::Text));
        };
        let path = dir.join(name);
        let octets = text.as_ref().map_or(octets, String::as_bytes);
        let staged = batch::stage(&path, &[octets], &Manner::delivery(*existing))
            .with_context(|| report::path(&path))?;
        Ok(Ready::File(path, staged))
    }
}

impl Sink {
    fn start(output: &Output, dir: Option<&Path>, armor: bool, of_file: Existing) -> Self {
        let existing = |otherwise| {
            if output.force() {
                Existing::Replace
            } else {
                otherwise
            }
        };
        let place = match (dir, output.file()) {
            (Some(dir), _) => Place::Directory(dir.to_owned(), Batch::default()),
            (None, Some(file)) => Place::File(OutputFile {
                path: file.to_owned(),
                existing: existing(of_file),
                pending: None,
            }),
            (None, None) => Place::Stdout,
        };
        let stager = Stager {
            directory: dir.map(|dir| (dir.to_owned(), existing(Existing::SameIsSuccess))),
            armor,
        };
        Self {
            place,
            stager,
            is_used: false,
            is_broken: false,
        }
    }

    /// What makes messages ready for this output.
    #[must_use]
    pub fn stager(&self) -> Stager {
        self.stager.clone()
    }

    /// Takes a message that is ready, whose octets are these; gives its file.
    ///
    /// # Errors
    /// When it cannot be written, its file not be made, or those before it not be synced and named.
    pub fn take(&mut self, ready: Ready, octets: &[u8]) -> anyhow::Result<Option<PathBuf>> {
        self.is_used = true;
        let text;
        let octets = match ready {
            Ready::File(path, staged) => {
                if let Place::Directory(dir, batch) = &mut self.place {
                    batch.add(staged).with_context(|| report::path(dir))?;
                }
                return Ok(Some(path));
            }
            Ready::Text(armored) => {
                text = armored;
                text.as_bytes()
            }
            Ready::Plain => octets,
        };
        let Place::File(file) = &mut self.place else {
            files::write_stdout(&[octets])?;
            return Ok(None);
        };
        let written = file.write(octets);
        self.is_broken |= written.is_err();
        written.map(|()| Some(file.path.clone()))
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
        let ready = self.stager.stage_as(name, octets, None)?;
        self.take(ready, octets)
    }

    /// Waits until the messages so far, be they none, are where they belong, and gives whether they are: in
    /// a directory each has its name then, a file has its own only at the end.
    ///
    /// # Errors
    /// When one cannot be synced or named.
    pub fn settle(&mut self) -> anyhow::Result<bool> {
        self.is_used = true;
        match &mut self.place {
            Place::Stdout => Ok(true),
            Place::File(..) => Ok(false),
            Place::Directory(dir, batch) => {
                batch.commit().with_context(|| report::path(dir))?;
                Ok(true)
            }
        }
    }

    /// The messages that were settled but for their names, which others had meanwhile.
    pub fn take_refused(&mut self) -> Vec<anyhow::Error> {
        let Place::Directory(_, batch) = &mut self.place else {
            return Vec::new();
        };
        let named = |error: disk::Error| {
            let path = report::path(error.path());
            anyhow::Error::new(error).context(path)
        };
        batch.take_refused().into_iter().map(named).collect()
    }

    /// Waits until all messages are where they belong, and gives whether they are. Where nothing was taken
    /// or settled, or something could not be written, there is no file.
    ///
    /// # Errors
    /// When something cannot be synced or named.
    pub fn finish(mut self) -> anyhow::Result<bool> {
        if !self.is_used || self.is_broken {
            return Ok(!self.is_broken);
        }
        self.settle()?;
        if let Some(refused) = self.take_refused().into_iter().next() {
            return Err(refused);
        }
        if let Place::File(file) = self.place {
            file.finish()?;
        }
        Ok(true)
    }
}

/// The label of a message's PEM block.
fn label(kind: Kind) -> String {
    format!("{}{}", pem::RELAYNET, kind.word().to_ascii_uppercase())
}
