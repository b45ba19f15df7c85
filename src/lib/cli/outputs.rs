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

/// An output that takes messages.
pub struct Sink {
    place: Place,
    stager: Stager,
    /// Whether anything came of the run; a file is not made of nothing.
    is_used: bool,
}

enum Place {
    Stdout,
    /// It gets its name when all is written.
    File(PathBuf, Box<Pending>),
    Directory(PathBuf, Batch),
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
        if let Some(dir) = &self.directory {
            let failed = |cause| disk::Error::Io {
                path: dir.clone(),
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
            return Ok(());
        }
        self.output.check(self.form(what))
    }

    /// Starts to write.
    ///
    /// # Errors
    /// As [`MessageOutput::check`], or when the file cannot be made.
    pub fn open(&self, what: &'static str) -> anyhow::Result<Sink> {
        self.check(what)?;
        let existing = |otherwise| {
            if self.output.force() {
                Existing::Replace
            } else {
                otherwise
            }
        };
        let place = match (&self.directory, self.output.file()) {
            (Some(dir), _) => Place::Directory(dir.clone(), Batch::default()),
            (None, Some(file)) => {
                let manner = Manner::output(existing(Existing::Refuse));
                let pending = Pending::create(file, &manner).with_context(|| report::path(file))?;
                Place::File(file.to_owned(), Box::new(pending))
            }
            (None, None) => Place::Stdout,
        };
        let directory = self.directory.clone();
        let stager = Stager {
            directory: directory.map(|dir| (dir, existing(Existing::SameIsSuccess))),
            armor: self.armor,
        };
        Ok(Sink {
            place,
            stager,
            is_used: false,
        })
    }

    fn form(&self, what: &'static str) -> Form {
        if self.armor {
            Form::Text
        } else {
            Form::Binary(what)
        }
    }
}

impl Stager {
    /// Makes a message ready, whose file in a directory has this name.
    ///
    /// # Errors
    /// When its file cannot be written, or another one has the name and is not to be replaced.
    pub fn stage(&self, kind: Kind, name: &str, octets: &[u8]) -> anyhow::Result<Ready> {
        let text = self.armor.then(|| pem::encode(&label(kind), octets));
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
    /// What makes messages ready for this output.
    #[must_use]
    pub fn stager(&self) -> Stager {
        self.stager.clone()
    }

    /// Takes a message that is ready, whose octets are these; gives its file.
    ///
    /// # Errors
    /// When it cannot be written, or those before it cannot be synced and named.
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
        let Place::File(file, pending) = &mut self.place else {
            files::write_stdout(&[octets])?;
            return Ok(None);
        };
        pending
            .write(&[octets])
            .with_context(|| report::path(file))?;
        Ok(Some(file.clone()))
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

    /// Waits until all messages are where they belong. Where nothing was taken or settled, there is no file
    /// either.
    ///
    /// # Errors
    /// When something cannot be synced or named.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if !self.is_used {
            return Ok(());
        }
        self.settle()?;
        if let Place::File(file, pending) = self.place {
            pending.finish().with_context(|| report::path(&file))?;
        }
        Ok(())
    }
}

/// The label of a message's PEM block.
fn label(kind: Kind) -> String {
    format!("{}{}", pem::RELAYNET, kind.word().to_ascii_uppercase())
}
