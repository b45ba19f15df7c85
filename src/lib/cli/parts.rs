//! Content that is too large for one parcel: reading it to be cut, and reading streams of parts.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::errors::{Empty, Fatal};
use super::input_ref::InputRef;
use super::inputs::{Operands, Source, Trees, read_error, source};
use super::outcome::Outcome;
use super::report;
use crate::asn1::Buffer;
use crate::disk::files::{self, FileId};
use crate::message::Part;
use crate::message::parts::{MAX_LEN, PartStream};
use crate::message::stream::StreamError;
use crate::pipeline::workers::WorkItem;
use crate::transfer::cut::{Piece, Pieces, Spare};
use crate::transfer::join;
use crate::transfer::joiner::{CannotStore, PartFile};

/// A stream of parts in one input.
pub struct PartInput {
    path: PathBuf,
    stream: PartStream<Source>,
    taken: usize,
}

impl PartInput {
    /// Opens an input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let (source, _) = source(path)?;
        Ok(Self::new(path, source))
    }

    fn new(path: &Path, source: Source) -> Self {
        Self {
            path: path.to_owned(),
            stream: PartStream::new(source),
            taken: 0,
        }
    }

    /// Puts the next part after what is in `into`; false at the end.
    ///
    /// # Errors
    /// When there is no part, reading fails, or the file is no part. After that nothing more comes.
    pub fn next_part(&mut self, into: &mut Vec<u8>) -> anyhow::Result<bool> {
        match self.stream.next_part(into) {
            Some(Ok(_)) => {
                self.taken += 1;
                Ok(true)
            }
            Some(Err(StreamError::Read(cause))) => Err(read_error(&self.path, cause).into()),
            Some(Err(StreamError::Message(error))) => Err(error.into()),
            None if self.taken == 0 => Err(Empty.into()),
            None => Ok(false),
        }
    }

    /// Where the part after those so far is.
    fn place(&self) -> InputRef {
        InputRef {
            input: report::path(&self.path),
            index: self.taken + 1,
            is_only: false,
        }
    }
}

/// Parts that are each sealed for several peers, in memory that is used again.
pub struct PartFeed {
    input: PartInput,
    /// How many peers there are.
    peers: usize,
    /// What the ids of the parcels begin with, unless they are random.
    id: Option<String>,
    /// The part that is next, its index, and for which peer.
    current: Option<(Buffer, u32, usize)>,
    has_failed: bool,
    spare: Spare,
}

/// A part to be sealed for one peer.
pub struct PartJob {
    /// Its octets.
    pub octets: Buffer,
    /// For which of the peers.
    pub peer: usize,
    /// The id of the parcel, unless it is random.
    pub id: Option<String>,
}

impl PartFeed {
    /// Opens an input, and reads the first part. Each is for so many peers; the ids of parcels are random
    /// unless they are to begin like `id`, and end with the number of the part.
    ///
    /// # Errors
    /// When it cannot be opened, or does not begin with a part.
    pub fn open(path: &Path, peers: usize, id: Option<&str>) -> anyhow::Result<Self> {
        let input = PartInput::open(path).with_context(|| report::path(path))?;
        let mut feed = Self {
            input,
            peers,
            id: id.map(str::to_owned),
            current: None,
            has_failed: false,
            spare: Spare::default(),
        };
        feed.read()?;
        Ok(feed)
    }

    /// Where to put memory that is free again.
    #[must_use]
    pub fn spare(&self) -> Spare {
        self.spare.clone()
    }

    /// The next part and whom it is for. After an error nothing more comes.
    pub fn next_job(&mut self) -> Option<WorkItem<anyhow::Result<PartJob>>> {
        if self.current.is_none()
            && !self.has_failed
            && let Err(error) = self.read()
        {
            self.has_failed = true;
            return Some(WorkItem {
                item: Err(error),
                octets: 0,
            });
        }
        let (octets, index, peer) = self.current.take()?;
        let octets = if peer + 1 < self.peers {
            let mut copy = self.spare.take(MAX_LEN);
            copy.append(octets.as_slice());
            self.current = Some((octets, index, peer + 1));
            copy
        } else {
            octets
        };
        let id = self.id.as_ref().map(|id| format!("{id}.{index}"));
        Some(WorkItem {
            octets: octets.len(),
            item: Ok(PartJob { octets, peer, id }),
        })
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let place = self.input.place();
        let mut buffer = self.spare.take(MAX_LEN);
        let (octets, first) = buffer.parts_mut();
        let read = self.input.next_part(octets).and_then(|is_there| {
            if !is_there {
                return Ok(None);
            }
            let part = Part::parse(&octets[first..])?;
            Ok(Some(part.header().index))
        });
        let label = if place.index == 1 {
            place.input
        } else {
            place.label()
        };
        self.current = read.context(label)?.map(|index| (buffer, index, 0));
        Ok(())
    }
}

/// The parts in all inputs, and how the program fared with them.
pub struct PartInputs {
    operands: Operands,
    outcome: Outcome,
    allow_empty: bool,
}

/// What is met in the inputs.
pub enum PartVisit<'a> {
    /// A part.
    Part(Part<'a>),
    /// The end of an input; its file, unless something in it was no part, or it was not one itself.
    End(Option<PartFile>),
}

impl PartInputs {
    /// Starts to read parts from these inputs.
    ///
    /// # Errors
    /// As [`Trees::read`].
    pub fn read(inputs: &Trees) -> anyhow::Result<Self> {
        let (operands, outcome, allow_empty) = inputs.start_parts()?;
        Ok(Self {
            operands,
            outcome,
            allow_empty,
        })
    }

    /// Hands every part to `each`, and tells it where each input ends. What is no part is reported, and the
    /// others go on.
    ///
    /// # Errors
    /// What `each` gives; nothing more is read then.
    pub fn each(
        &mut self,
        mut each: impl FnMut(PartVisit<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut buffer = Vec::new();
        while let Some(next) = self.operands.next() {
            let opened = next.and_then(|path| match open(&path) {
                Ok(opened) => Ok(opened),
                Err(error) => Err((path, error)),
            });
            let (mut input, mut file) = match opened {
                Ok(opened) => opened,
                Err((path, error)) => {
                    self.failed(&InputRef::named(report::path(&path)), &error);
                    continue;
                }
            };
            loop {
                buffer.clear();
                let place = input.place();
                match input.next_part(&mut buffer) {
                    Ok(true) => match Part::parse(&buffer) {
                        Ok(part) => each(PartVisit::Part(part))?,
                        Err(error) => {
                            file = None;
                            self.failed(&place, &error.into());
                        }
                    },
                    Ok(false) => break,
                    Err(error) if error.is::<Empty>() && self.allow_empty => break,
                    Err(error) => {
                        file = None;
                        let named = InputRef::named(place.input.clone());
                        let is_all = input.taken == 0;
                        self.failed(if is_all { &named } else { &place }, &error);
                        break;
                    }
                }
            }
            each(PartVisit::End(file))?;
        }
        Ok(())
    }

    fn failed(&mut self, place: &InputRef, error: &anyhow::Error) {
        self.outcome.take();
        self.outcome.failed(place, &place.label(), error);
    }

    /// Whether an input may be without any octet.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.allow_empty
    }

    /// How the program fared so far.
    pub fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }

    /// The status that all failures add up to.
    ///
    /// # Errors
    /// As [`Outcome::finish`].
    pub fn finish(self) -> anyhow::Result<()> {
        self.outcome.finish()
    }
}

fn open(path: &Path) -> anyhow::Result<(PartInput, Option<PartFile>)> {
    if path.as_os_str() == "-" {
        return Ok((PartInput::open(path)?, None));
    }
    let file = files::open_input(path)?;
    let file_of_parts = FileId::of(&file).map(|identity| PartFile {
        path: path.to_owned(),
        identity,
    });
    Ok((PartInput::new(path, Box::new(file)), file_of_parts))
}

/// An input that is read to be cut.
pub struct ContentInput {
    path: PathBuf,
    source: Source,
    /// How many octets there are, if it is a regular file.
    len: Option<u64>,
}

impl ContentInput {
    /// Opens an input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let (source, len) = source(path).with_context(|| report::path(path))?;
        Ok(Self {
            path: path.to_owned(),
            source,
            len,
        })
    }

    /// How many octets there are, if it is a regular file.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        self.len
    }

    /// Cuts it into pieces of `size` octets; gives them, and where to put their memory when they are done with.
    pub fn pieces(self, size: usize) -> (impl Iterator<Item = anyhow::Result<Piece>>, Spare) {
        let pieces = Pieces::of(self.source, size);
        let spare = pieces.spare();
        let path = self.path;
        let pieces = pieces.map(move |piece| {
            piece
                .map_err(|cause| read_error(&path, cause))
                .with_context(|| report::path(&path))
        });
        (pieces, spare)
    }
}

/// The error for content that cannot be stored. Where content is only put together for standard output, it is
/// about the scratch file.
#[must_use]
pub fn cannot_store(CannotStore { path, cause }: CannotStore) -> anyhow::Error {
    match (cause, path) {
        (join::Error::Disk(error), None) => Fatal::Aside(error).into(),
        (cause, Some(path)) => anyhow::Error::new(cause).context(report::path(&path)),
        (cause, None) => cause.into(),
    }
}
