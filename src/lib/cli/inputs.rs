//! What a program reads: streams of messages, objects or content, in the files named or on standard
//! input.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::exit::{self, Empty, Reported, Status, Usage};
use super::report;
use crate::asn1::{Buffer, pem};
use crate::describe;
use crate::disk::{self, Role, files};
use crate::message::Object;
use crate::message::stream::{Stream, StreamError};
use crate::ramf::{Kind, fields, limits};

/// `[FILE]...` and what goes with streams.
#[derive(Debug, clap::Args)]
pub struct Inputs {
    /// Files to read; - is standard input, as is none
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Accept an input without a single octet
    #[arg(long)]
    allow_empty: bool,
    /// Write a line of JSON for each message to this file descriptor
    #[arg(long, value_name = "N")]
    status_fd: Option<u32>,
}

/// Streams whose inputs may also be single objects without a format signature.
#[derive(Debug, clap::Args)]
pub struct Objects {
    #[command(flatten)]
    inputs: Inputs,
}

/// A message, and where it was.
pub struct Message {
    /// The octets.
    pub octets: Vec<u8>,
    /// Where it was.
    pub place: Place,
}

/// Where a message was.
#[derive(Debug, Clone)]
pub struct Place {
    /// The input, as diagnostics name it; `-` is standard input.
    pub input: String,
    /// Which message of the input, counted from 1.
    pub index: usize,
    /// Whether the input has only this one.
    pub is_only: bool,
}

impl Place {
    /// The input, with the message's index if there are several: `FILE[2]`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.is_only {
            self.input.clone()
        } else {
            format!("{}[{}]", self.input, self.index)
        }
    }
}

/// An input, whatever it is; boxed, so that each kind reads into memory that was not cleared before.
type Source = Box<dyn Read>;

/// The messages of all inputs, one by one, and how the program fared with them.
pub struct Messages {
    pending: std::vec::IntoIter<PathBuf>,
    current: Option<(String, usize, Stream<Source>)>,
    /// Whether an input may be a single object.
    takes_objects: bool,
    allow_empty: bool,
    status_lines: Option<File>,
    taken: usize,
    failures: Vec<Status>,
}

impl Inputs {
    /// Whether more than one input is named.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.files.len() > 1
    }

    /// Starts to read.
    ///
    /// # Errors
    /// When standard input is named twice, or the descriptor for status lines is not open.
    pub fn read(&self) -> anyhow::Result<Messages> {
        let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
        if self.files.iter().filter(is_stdin).count() > 1 {
            return Err(Usage("standard input can be read only once".to_owned()).into());
        }
        let files = if self.files.is_empty() {
            vec![PathBuf::from("-")]
        } else {
            self.files.clone()
        };
        let status_lines = match self.status_fd {
            Some(descriptor) => {
                let file = files::open_descriptor(descriptor);
                let closed = |_| {
                    Usage(format!(
                        "file descriptor {descriptor} is not open for writing"
                    ))
                };
                Some(file.map_err(closed)?)
            }
            None => None,
        };
        Ok(Messages {
            pending: files.into_iter(),
            current: None,
            takes_objects: false,
            allow_empty: self.allow_empty,
            status_lines,
            taken: 0,
            failures: Vec::new(),
        })
    }

    /// Hands every message to `each`. What fails is reported, and the others go on.
    ///
    /// # Errors
    /// The status that the failures add up to, or what cannot be gone on from.
    pub fn each(&self, mut each: impl FnMut(Message) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut messages = self.read()?;
        while let Some(message) = messages.next_message() {
            let place = message.place.clone();
            let result = each(message);
            messages.done(&place, result)?;
        }
        messages.finish()
    }
}

impl Objects {
    /// Hands every object to `each`. What fails is reported, and the others go on.
    ///
    /// # Errors
    /// The status that the failures add up to, or what cannot be gone on from.
    pub fn each(
        &self,
        mut each: impl FnMut(Object, &Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut messages = self.inputs.read()?;
        messages.takes_objects = true;
        while let Some(message) = messages.next_message() {
            let place = message.place;
            let result = match Object::parse_owned(message.octets) {
                Ok(object) => each(object, &place),
                Err(error) => Err(error.into()),
            };
            messages.done(&place, result)?;
        }
        messages.finish()
    }
}

impl Messages {
    /// The next message; what is none was reported.
    pub fn next_message(&mut self) -> Option<Message> {
        loop {
            if self.current.is_none() {
                let path = self.pending.next()?;
                let place = Place {
                    input: report::path(&path),
                    index: 1,
                    is_only: true,
                };
                match open(&path, self.takes_objects) {
                    Ok(Opened::Stream(stream)) => self.current = Some((place.input, 0, stream)),
                    Ok(Opened::Object(octets)) => {
                        self.taken += 1;
                        return Some(Message { octets, place });
                    }
                    Err(error) => {
                        self.taken += 1;
                        self.failed(&place, &error);
                    }
                }
                continue;
            }
            let (input, index, stream) = self.current.as_mut()?;
            let next = stream.next_message();
            let more = stream.has_more();
            let place = Place {
                input: input.clone(),
                index: *index + 1,
                is_only: *index == 0 && matches!(more, Ok(false)),
            };
            match next {
                Some(Ok(octets)) => {
                    *index += 1;
                    self.taken += 1;
                    return Some(Message { octets, place });
                }
                Some(Err(error)) => {
                    self.taken += 1;
                    let error = match error {
                        StreamError::Read(cause) => {
                            read_error(Path::new(&place.input), cause).into()
                        }
                        StreamError::Message(error) => error.into(),
                    };
                    self.failed(&place, &error);
                }
                None => {
                    if *index == 0 && !self.allow_empty && place.is_only && !stream.has_failed() {
                        self.taken += 1;
                        self.failed(&place, &Empty.into());
                    }
                    self.current = None;
                }
            }
        }
    }

    /// Whether anything more is to come, from this input or another.
    ///
    /// # Errors
    /// When reading fails.
    pub fn has_more(&mut self) -> anyhow::Result<bool> {
        let more = match &mut self.current {
            Some((input, _, stream)) => stream.has_more().with_context(|| input.clone())?,
            None => false,
        };
        Ok(more || self.pending.len() > 0)
    }

    /// Takes note of how a message fared, and reports it if it failed.
    ///
    /// # Errors
    /// What cannot be gone on from: nobody reads the output any more, or it cannot be written.
    pub fn done(&mut self, place: &Place, result: anyhow::Result<()>) -> anyhow::Result<()> {
        match result {
            Ok(()) => self.status_line(place, Status::OK, None),
            Err(error) if exit::status(&error) == Status::BROKEN_PIPE => return Err(error),
            Err(error) => self.failed(place, &error),
        }
        Ok(())
    }

    fn failed(&mut self, place: &Place, error: &anyhow::Error) {
        let status = exit::status(error);
        report::failure(Some(&place.label()), error);
        self.status_line(place, status, Some(&report::text_of(error)));
        self.failures.push(status);
    }

    fn status_line(&mut self, place: &Place, status: Status, error: Option<&str>) {
        use std::io::Write as _;
        if let Some(lines) = &mut self.status_lines {
            let line = serde_json::json!({
                "v": describe::VERSION, "input": place.input, "index": place.index, "status": status.code(), "error": error,
            });
            // Whoever asked for the lines and does not read them gets the exit status all the same.
            let _ = lines.write_all(format!("{line}\n").as_bytes());
        }
    }

    /// The status that all failures add up to: of several messages, one that was seen before is no
    /// failure; 75 when another try may cure every one; else the first that it cannot.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(self) -> anyhow::Result<()> {
        if let ([status], 1) = (&self.failures[..], self.taken) {
            return Err(Reported(*status).into());
        }
        let mut failures = self
            .failures
            .into_iter()
            .filter(|status| *status != Status::SEEN)
            .peekable();
        if failures.peek().is_none() {
            return Ok(());
        }
        Err(Reported(
            failures
                .find(|status| !status.may_pass())
                .unwrap_or(Status::TEMP_FAIL),
        )
        .into())
    }
}

/// An input, opened.
enum Opened {
    /// A stream of messages.
    Stream(Stream<Source>),
    /// A single object without a format signature.
    Object(Vec<u8>),
}

fn open(path: &Path, takes_objects: bool) -> anyhow::Result<Opened> {
    let (source, _) = source(path)?;
    let mut stream = Stream::new(source);
    if !takes_objects
        || stream
            .begins_with_message()
            .map_err(|cause| read_error(path, cause))?
    {
        return Ok(Opened::Stream(stream));
    }
    let octets = stream
        .into_rest(MAX_OBJECT_LEN)
        .map_err(|cause| read_error(path, cause))?;
    fields::check_len("object", octets.len(), MAX_OBJECT_LEN)?;
    let is_stream = octets.is_empty() || is_armored_message(&octets);
    Ok(if is_stream {
        Opened::Stream(Stream::new(Box::new(Cursor::new(octets))))
    } else {
        Opened::Object(octets)
    })
}

/// The largest object that is no message, in octets; PEM takes four for three.
const MAX_OBJECT_LEN: usize = limits::MAX_MESSAGE_LEN * 3 / 2;

/// Whether the first PEM block in a text is a message.
fn is_armored_message(octets: &[u8]) -> bool {
    if !pem::is_pem(octets) {
        return false;
    }
    let text = String::from_utf8_lossy(octets);
    Kind::ALL.into_iter().any(|kind| {
        let label = format!(
            "-----BEGIN {}{}-----",
            pem::RELAYNET,
            kind.word().to_ascii_uppercase()
        );
        text.contains(&label)
    })
}

/// Opens an input; with it, how many octets it seems to have.
fn source(path: &Path) -> anyhow::Result<(Source, usize)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(std::io::stdin()), 0));
    }
    let file = files::open_input(path)?;
    let len = file
        .metadata()
        .map_or(0, |meta| usize::try_from(meta.len()).unwrap_or(usize::MAX));
    Ok((Box::new(file), len))
}

fn read_error(path: &Path, cause: std::io::Error) -> disk::Error {
    disk::Error::Io {
        path: path.to_owned(),
        role: Role::Input,
        doing: disk::Doing::Read,
        cause,
    }
}

/// Reads an input that is one object, whole.
///
/// # Errors
/// When it cannot be read, is empty, or is longer than any object.
pub fn read_whole(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || report::path(path);
    let (mut source, _) = source(path).with_context(name)?;
    let octets =
        files::read_from(&mut source, path, Role::Input, MAX_OBJECT_LEN).with_context(name)?;
    if octets.is_empty() {
        return Err(anyhow::Error::new(Empty)).with_context(name);
    }
    Ok(octets)
}

/// Reads an input that is content to be sealed, straight to where it is encrypted.
///
/// # Errors
/// When it cannot be read, or has more than `limit` octets.
pub fn read_content(path: &Path, limit: usize) -> anyhow::Result<Buffer> {
    let name = || report::path(path);
    let (source, expected) = source(path).with_context(name)?;
    let mut buffer = Buffer::with_capacity(expected.min(limit));
    let (octets, _) = buffer.parts_mut();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source
        .take(most)
        .read_to_end(octets)
        .map_err(|cause| read_error(path, cause))
        .with_context(name)?;
    if buffer.len() > limit {
        let error = disk::Error::TooLarge {
            path: path.to_owned(),
            role: Role::Input,
            limit,
        };
        return Err(anyhow::Error::new(error)).with_context(name);
    }
    Ok(buffer)
}
