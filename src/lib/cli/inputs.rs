//! Program inputs: streams of messages, objects or content, from files or standard input.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::errors::{Empty, NoFile, Usage};
pub use super::input_ref::InputRef;
use super::outcome::Outcome;
use super::report;
pub(super) use super::whole::{MAX_OBJECT_LEN, Source, read_error, source};
pub use super::whole::{objects, read_content, read_message, read_whole};
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

/// A message and its position in the inputs.
pub struct Message {
    /// Its octets.
    pub octets: Vec<u8>,
    /// Its position.
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

/// The messages of all inputs in order, and the results so far.
pub struct Messages {
    reader: Reader,
    outcome: Outcome,
}

/// Reads the inputs one by one.
struct Reader {
    operands: Operands,
    current: Option<Current>,
    takes: Takes,
    allow_empty: bool,
    /// Buffers of messages that are processed, to be used again.
    spare: Arc<Buffers>,
}

/// The files that operands name; if directories are allowed, the files in them, too.
pub(super) struct Operands {
    pending: std::vec::IntoIter<PathBuf>,
    /// The directory that is being listed.
    walk: Option<InputWalk>,
    has_trees: bool,
    allow_empty: bool,
}

/// A directory that is being listed.
struct InputWalk {
    dir: PathBuf,
    files: tree::TreeWalk,
    /// Whether it held anything to read, or an error to report.
    is_used: bool,
}

/// The forms of an input besides a stream.
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
    /// Its path and length, if it is a regular file.
    file: Option<(PathBuf, u64)>,
    taken: usize,
    stream: Stream<Source>,
}

/// A message that was read, or the error in its place.
struct TakenInput {
    place: InputRef,
    octets: anyhow::Result<Vec<u8>>,
    /// The file that has these octets and nothing else.
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
        // Opened before anything is read, since a wrong descriptor is a usage error.
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
    /// Whether any input is named, for programs that work on something else otherwise.
    #[must_use]
    pub fn are_named(&self) -> bool {
        !self.files.is_empty()
    }

    /// Whether more than one input is named.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.files.len() > 1
    }

    /// Opens the inputs for reading.
    ///
    /// # Errors
    /// When standard input is named twice, or the descriptor of `--status-fd` is not open.
    pub fn read(&self) -> anyhow::Result<Messages> {
        self.terms.read(&self.files, Takes::Streams)
    }

    /// Hands every message to `each`. Failures are reported, and the other messages are still read.
    ///
    /// # Errors
    /// The status that all failures add up to, or the error that ends the run.
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
    /// Hands every object to `judge`, on all cores, and the results to `each`, in order. Failures
    /// are reported, and the other objects are still read.
    ///
    /// # Errors
    /// The status that all failures add up to, or the error that ends the run.
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
    /// Whether standard input is among the inputs.
    #[must_use]
    pub fn has_stdin(&self) -> bool {
        self.files.is_empty() || self.files.iter().any(|path| path.as_os_str() == "-")
    }

    /// Opens the inputs for reading.
    ///
    /// # Errors
    /// When standard input is named twice, or the descriptor of `--status-fd` is not open.
    pub fn read(&self) -> anyhow::Result<Messages> {
        self.terms.read(&self.files, Takes::Trees)
    }

    /// The operands, for parts of large content instead of messages. Returns also whether an input
    /// may be empty.
    pub(super) fn start_parts(&self) -> anyhow::Result<(Operands, Outcome, bool)> {
        let (mut operands, outcome) = self.terms.start(&self.files, true)?;
        // relay-join --remove empties the directory, so an empty one is normal.
        operands.allow_empty = true;
        Ok((operands, outcome, self.terms.allow_empty))
    }
}

impl Messages {
    /// The next message. Inputs that are not messages are reported and skipped.
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

    /// Hands every remaining message to `prepare`, on all cores, together with the file that holds
    /// it and nothing else, if there is one. The results go to `each`, in order. Failures are
    /// reported, and the other messages are still read.
    ///
    /// # Errors
    /// The error that ends the run: the output is closed, or cannot be written for anything.
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

    /// As [`Messages::prepare`], but `each` also gets the errors of `prepare`, and notes the result
    /// of each message itself.
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
                // Counted by capacity: that is the memory which is held.
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

    /// The pool that buffers of processed messages return to.
    #[must_use]
    pub fn spare(&self) -> Arc<Buffers> {
        self.reader.spare.clone()
    }

    /// Whether another message may follow, in this input or another.
    ///
    /// # Errors
    /// When the input cannot be read.
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

    /// The results so far.
    pub fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }

    /// Notes the result of a message, and reports a failure.
    ///
    /// # Errors
    /// The error that ends the run: the output is closed, or cannot be written for anything.
    pub fn done(&mut self, place: &InputRef, result: anyhow::Result<()>) -> anyhow::Result<()> {
        self.outcome.done(place, result)
    }

    /// Ends the run with the status that all failures add up to, as [`Outcome::finish`].
    ///
    /// # Errors
    /// That status, unless it is 0.
    pub fn finish(self) -> anyhow::Result<()> {
        self.outcome.finish()
    }
}

impl Reader {
    /// The next message or object, or the error in its place.
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
            // Read ahead, to know whether the message is the only one: then its place is named
            // without an index.
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
                        // Such a message can be read again from its file, so it need not be kept in
                        // memory.
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
                    // A failed stream was reported already, so it is not called empty as well.
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
                    input: path.to_string_lossy().into_owned(),
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

    /// The next file, or the path that cannot be listed and the error. Files in a directory that
    /// are not regular are warned of.
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
                // An empty directory may be one that is not mounted, so it is an error unless
                // allowed.
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

/// The result of opening the next input.
enum Opening {
    /// A stream is open.
    Began,
    /// A single object, or an input that cannot be read.
    Single(TakenInput),
    /// There are no more inputs.
    End,
}

impl TakenInput {
    /// An input that cannot be read at all.
    fn failed(path: &Path, error: anyhow::Error) -> Self {
        Self {
            place: InputRef::named(path.to_string_lossy().into_owned()),
            octets: Err(error),
            file: None,
        }
    }
}

/// An opened input.
enum OpenedInput {
    /// A stream of messages; its length, if it is a regular file.
    Stream(Stream<Source>, Option<u64>),
    /// A single object without a format signature.
    Object(Vec<u8>),
}

fn open(path: &Path, takes: Takes, spare: Arc<Buffers>) -> anyhow::Result<OpenedInput> {
    let (source, len) = source(path)?;
    // The known length lets the stream allocate once.
    let mut stream = Stream::with_spare(source, spare);
    if let Some(len) = len {
        stream.expect(len);
    }
    // Only relay-inspect and relay-verify accept other objects than messages.
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
    // Binary messages begin with their format signature; in PEM only the label tells.
    if ahead.is_empty() || is_armored_message(ahead) {
        return Ok(OpenedInput::Stream(stream, len));
    }
    let octets = stream
        .into_rest(MAX_OBJECT_LEN)
        .map_err(|cause| read_error(path, cause))?;
    fields::check_len("object", octets.len(), MAX_OBJECT_LEN)?;
    Ok(OpenedInput::Object(octets))
}

/// Whether a PEM block in the text is a message.
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
