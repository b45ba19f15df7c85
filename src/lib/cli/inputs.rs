//! What a program reads: streams of messages, objects or content, in the files named or on standard
//! input.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::errors::{Empty, NoFile, Usage};
pub use super::input_ref::InputRef;
use super::outcome::Outcome;
use super::report;
pub(super) use super::whole::{MAX_OBJECT_LEN, Source, read_error, source};
pub use super::whole::{read_content, read_message, read_whole};
use crate::asn1::pem;
use crate::disk::{self, FileRole, files, tree};
use crate::message::Object;
use crate::message::stream::{MAX_PREAMBLE_LEN, Stream, StreamError};
use crate::pipeline::Buffers;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::{Kind, fields, limits};

/// `[FILE]...` and what goes with streams.
#[derive(Debug, clap::Args)]
pub struct Inputs {
    /// Files to read; standard input if omitted or -
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    terms: StreamArgs,
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
    pub place: InputRef,
}

/// Streams whose inputs may also be directories, in which every file is read.
#[derive(Debug, clap::Args)]
pub struct Trees {
    /// Files to read, and directories with files; standard input if omitted or -
    #[arg(value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    terms: StreamArgs,
}

/// What goes with streams.
#[derive(Debug, clap::Args)]
pub struct StreamArgs {
    /// Accept an empty input
    #[arg(long)]
    allow_empty: bool,
    /// Write a line of JSON for each message to this file descriptor
    #[arg(long, value_name = "N")]
    status_fd: Option<u32>,
}

/// The messages of all inputs, one by one, and how the program fared with them.
pub struct Messages {
    reader: Reader,
    outcome: Outcome,
}

/// What is read, one by one.
struct Reader {
    operands: Operands,
    current: Option<Current>,
    takes: Takes,
    allow_empty: bool,
    /// Memory that messages were in.
    spare: Arc<Buffers>,
}

/// The files that operands name, and those in directories if they may be that.
pub(super) struct Operands {
    pending: std::vec::IntoIter<PathBuf>,
    /// The directory that is being walked.
    walk: Option<InputWalk>,
    has_trees: bool,
    allow_empty: bool,
}

/// A directory that is being walked.
struct InputWalk {
    dir: PathBuf,
    files: tree::TreeWalk,
    /// Whether there was anything to read, or to report.
    is_used: bool,
}

/// What an input may be beside a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Streams,
    /// A single object.
    Objects,
    /// A directory.
    Trees,
}

/// The input that is being read.
struct Current {
    input: String,
    /// The file and its length, if it is a regular one.
    file: Option<(PathBuf, u64)>,
    taken: usize,
    stream: Stream<Source>,
}

/// Something that was read, or was to be.
struct TakenInput {
    place: InputRef,
    octets: anyhow::Result<Vec<u8>>,
    /// The file that holds these octets and no more.
    file: Option<PathBuf>,
}

impl StreamArgs {
    fn read(&self, files: &[PathBuf], takes: Takes) -> anyhow::Result<Messages> {
        let (operands, outcome) = self.start(files, takes == Takes::Trees)?;
        Ok(Messages {
            reader: Reader {
                operands,
                current: None,
                takes,
                allow_empty: self.allow_empty,
                spare: Arc::default(),
            },
            outcome,
        })
    }

    fn start(&self, files: &[PathBuf], has_trees: bool) -> anyhow::Result<(Operands, Outcome)> {
        let is_stdin = |path: &&PathBuf| path.as_os_str() == "-";
        if files.iter().filter(is_stdin).count() > 1 {
            return Err(Usage("standard input can be read only once".to_owned()).into());
        }
        let files = if files.is_empty() {
            vec![PathBuf::from("-")]
        } else {
            files.to_vec()
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
        let operands = Operands {
            pending: files.into_iter(),
            walk: None,
            has_trees,
            allow_empty: self.allow_empty,
        };
        Ok((operands, Outcome::new(status_lines)))
    }
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
        self.terms.read(&self.files, Takes::Streams)
    }

    /// Hands every message to `each`. What fails is reported, and the others go on.
    ///
    /// # Errors
    /// The status that the failures add up to, or the error that ends the run.
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
    /// Hands every object to `judge`, on all cores, and what it says to `each`, in order. What fails is
    /// reported, and the others go on.
    ///
    /// # Errors
    /// The status that the failures add up to, or the error that ends the run.
    pub fn each<T: Send>(
        &self,
        judge: impl Fn(Object) -> anyhow::Result<T> + Sync,
        mut each: impl FnMut(&InputRef, T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut messages = self.inputs.terms.read(&self.inputs.files, Takes::Objects)?;
        messages.prepare(|octets, _| judge(Object::parse_owned(octets)?), &mut each)?;
        messages.finish()
    }
}

impl Trees {
    /// Whether standard input is read.
    #[must_use]
    pub fn has_stdin(&self) -> bool {
        self.files.is_empty() || self.files.iter().any(|path| path.as_os_str() == "-")
    }

    /// Starts to read.
    ///
    /// # Errors
    /// When standard input is named twice, or the descriptor for status lines is not open.
    pub fn read(&self) -> anyhow::Result<Messages> {
        self.terms.read(&self.files, Takes::Trees)
    }

    /// The operands, for parts of large content instead of messages, and whether an input may be without an octet.
    pub(super) fn start_parts(&self) -> anyhow::Result<(Operands, Outcome, bool)> {
        let (mut operands, outcome) = self.terms.start(&self.files, true)?;
        // Where parts are removed once they are joined, the directory is empty most of the time.
        operands.allow_empty = true;
        Ok((operands, outcome, self.terms.allow_empty))
    }
}

impl Messages {
    /// The next message; inputs that are not messages were reported.
    pub fn next_message(&mut self) -> Option<Message> {
        loop {
            let TakenInput { place, octets, .. } = self.reader.next()?;
            self.outcome.take();
            match octets {
                Ok(octets) => return Some(Message { octets, place }),
                Err(error) => self.outcome.failed(&place, &place.label(), &error),
            }
        }
    }

    /// Hands every message that is left to `prepare`, on all cores, with the file that holds it and nothing
    /// else, if there is one; and what that makes of it to `each`, in order. What fails is reported, and
    /// the others go on.
    ///
    /// # Errors
    /// The error that ends the run: nobody reads the output any more.
    pub fn prepare<T: Send>(
        &mut self,
        prepare: impl Fn(Vec<u8>, Option<PathBuf>) -> anyhow::Result<T> + Sync,
        mut each: impl FnMut(&InputRef, T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.prepare_with(prepare, |outcome, place, result| {
            let result = result.and_then(|result| each(&place, result));
            outcome.done(&place, result)
        })
    }

    /// The same, but `each` is told what could not be prepared, too, and takes note of how each message
    /// fared when it knows.
    ///
    /// # Errors
    /// As [`Messages::prepare`].
    pub fn prepare_with<T: Send>(
        &mut self,
        prepare: impl Fn(Vec<u8>, Option<PathBuf>) -> anyhow::Result<T> + Sync,
        mut each: impl FnMut(&mut Outcome, InputRef, anyhow::Result<T>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self { reader, outcome } = self;
        workers::in_order(
            Bounds::octets(limits::MAX_MESSAGE_LEN),
            || {
                let item = reader.next()?;
                let octets = item.octets.as_ref().map_or(0, Vec::capacity);
                Some(WorkItem { item, octets })
            },
            |taken| {
                let TakenInput {
                    place,
                    octets,
                    file,
                } = taken;
                let result = octets.and_then(|octets| prepare(octets, file));
                (place, result)
            },
            |(place, result)| {
                outcome.take();
                each(outcome, place, result)
            },
        )
    }

    /// Where to put the memory of messages that are done with.
    #[must_use]
    pub fn spare(&self) -> Arc<Buffers> {
        self.reader.spare.clone()
    }

    /// Whether anything more is to come, from this input or another.
    ///
    /// # Errors
    /// When reading fails.
    pub fn has_more(&mut self) -> anyhow::Result<bool> {
        let more = match &mut self.reader.current {
            Some(current) => current
                .stream
                .has_more()
                .with_context(|| current.input.clone())?,
            None => false,
        };
        Ok(more || self.reader.operands.pending.len() > 0)
    }

    /// How the program fared so far.
    pub fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }

    /// Takes note of how a message fared, and reports it if it failed.
    ///
    /// # Errors
    /// The error that ends the run: nobody reads the output any more.
    pub fn done(&mut self, place: &InputRef, result: anyhow::Result<()>) -> anyhow::Result<()> {
        self.outcome.done(place, result)
    }

    /// The status that all failures add up to: of several messages, one that was seen before is no
    /// failure; 75 when another try may cure every one; else the first that it cannot.
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(self) -> anyhow::Result<()> {
        self.outcome.finish()
    }
}

impl Reader {
    /// The next message, object, or what stands in the place of one.
    fn next(&mut self) -> Option<TakenInput> {
        loop {
            if self.current.is_none() {
                match self.open_next() {
                    Opening::Began => continue,
                    Opening::Single(taken) => return Some(taken),
                    Opening::End => return None,
                }
            }
            let current = self.current.as_mut()?;
            let next = current.stream.next_message();
            let more = current.stream.has_more();
            let place = InputRef {
                input: current.input.clone(),
                index: current.taken + 1,
                is_only: current.taken == 0 && matches!(more, Ok(false)),
            };
            let failed = |error| TakenInput {
                place: place.clone(),
                octets: Err(error),
                file: None,
            };
            match next {
                Some(Ok(octets)) => {
                    current.taken += 1;
                    let file = match &current.file {
                        Some((file, len)) if place.is_only && *len == octets.len() as u64 => {
                            Some(file.clone())
                        }
                        _ => None,
                    };
                    return Some(TakenInput {
                        place,
                        octets: Ok(octets),
                        file,
                    });
                }
                Some(Err(StreamError::Read(cause))) => {
                    let error = read_error(Path::new(&place.input), cause);
                    return Some(failed(error.into()));
                }
                Some(Err(StreamError::Message(error))) => return Some(failed(error.into())),
                None => {
                    let is_empty = current.taken == 0 && place.is_only;
                    let empty = is_empty && !self.allow_empty && !current.stream.has_failed();
                    self.current = None;
                    if empty {
                        return Some(failed(Empty.into()));
                    }
                }
            }
        }
    }

    /// Opens the next input, or the next file of a directory.
    fn open_next(&mut self) -> Opening {
        let path = match self.operands.next() {
            None => return Opening::End,
            Some(Err((path, error))) => return Opening::Single(TakenInput::failed(&path, error)),
            Some(Ok(path)) => path,
        };
        match open(&path, self.takes, self.spare.clone()) {
            Ok(OpenedInput::Stream(stream, len)) => {
                self.current = Some(Current {
                    input: report::path(&path),
                    file: len.map(|len| (path, len)),
                    taken: 0,
                    stream,
                });
                Opening::Began
            }
            Ok(OpenedInput::Object(octets)) => Opening::Single(TakenInput {
                octets: Ok(octets),
                ..TakenInput::failed(&path, Empty.into())
            }),
            Err(error) => Opening::Single(TakenInput::failed(&path, error)),
        }
    }
}

impl Iterator for Operands {
    type Item = Result<PathBuf, (PathBuf, anyhow::Error)>;

    /// The next file, or what cannot be listed and why. What is no file in a directory is warned of.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.walk.as_mut().map(InputWalk::next) {
                Some(Some(Ok(path))) => return Some(Ok(path)),
                Some(Some(Err(error @ disk::Error::NotRegular { .. }))) => {
                    let text = format!("{}: {error}", report::path(error.path()));
                    report::warn(&text);
                }
                Some(Some(Err(error))) => {
                    let path = error.path().to_owned();
                    return Some(Err((path, error.into())));
                }
                // A queue that is not mounted is not one in which all is done.
                Some(None) => match self.walk.take() {
                    Some(walk) if !walk.is_used && !self.allow_empty => {
                        return Some(Err((walk.dir, NoFile.into())));
                    }
                    _ => {}
                },
                None => {
                    let path = self.pending.next()?;
                    if !self.has_trees || !path.is_dir() {
                        return Some(Ok(path));
                    }
                    self.walk = Some(InputWalk {
                        files: tree::walk(&path, FileRole::Input),
                        dir: path,
                        is_used: false,
                    });
                }
            }
        }
    }
}

impl InputWalk {
    fn next(&mut self) -> Option<disk::Result<PathBuf>> {
        let next = self.files.next();
        self.is_used |= !matches!(next, None | Some(Err(disk::Error::NotRegular { .. })));
        next
    }
}

/// What opening the next input came to.
enum Opening {
    /// A stream was begun.
    Began,
    /// An input that is one thing by itself, or cannot be read.
    Single(TakenInput),
    /// There are no more inputs.
    End,
}

impl TakenInput {
    /// An input that cannot be read, whole.
    fn failed(path: &Path, error: anyhow::Error) -> Self {
        Self {
            place: InputRef::named(report::path(path)),
            octets: Err(error),
            file: None,
        }
    }
}

/// An input, opened.
enum OpenedInput {
    /// A stream of messages; its length, if it is a regular file.
    Stream(Stream<Source>, Option<u64>),
    /// A single object without a format signature.
    Object(Vec<u8>),
}

fn open(path: &Path, takes: Takes, spare: Arc<Buffers>) -> anyhow::Result<OpenedInput> {
    let (source, len) = source(path)?;
    let mut stream = Stream::with_spare(source, spare);
    if let Some(len) = len {
        stream.expect(len);
    }
    if takes != Takes::Objects
        || stream
            .begins_with_message()
            .map_err(|cause| read_error(path, cause))?
    {
        return Ok(OpenedInput::Stream(stream, len));
    }
    let ahead = stream
        .ahead(MAX_PREAMBLE_LEN)
        .map_err(|cause| read_error(path, cause))?;
    if ahead.is_empty() || is_armored_message(ahead) {
        return Ok(OpenedInput::Stream(stream, len));
    }
    let octets = stream
        .into_rest(MAX_OBJECT_LEN)
        .map_err(|cause| read_error(path, cause))?;
    fields::check_len("object", octets.len(), MAX_OBJECT_LEN)?;
    Ok(OpenedInput::Object(octets))
}

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
