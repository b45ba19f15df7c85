//! Inputs of relay-split, relay-seal --parts and relay-join: content to cut, and streams of parts.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::errors::{Empty, Fatal};
use super::input_ref::InputRef;
use super::inputs::{Operands, Source, Trees, read_error, source};
use super::outcome::Outcome;
use super::{named_files, report};
use crate::asn1::Buffer;
use crate::disk::files::{self, FileId};
use crate::message::Part;
use crate::message::parts::{self, MAX_LEN, PartStream};
use crate::message::stream::StreamError;
use crate::pipeline::workers::WorkItem;
use crate::transfer::cut::{Piece, Pieces, Spare};
use crate::transfer::join;
use crate::transfer::joiner::{CannotStore, PartFile};

/// An input with a stream of parts.
pub struct PartInput {
    path: PathBuf,
    stream: PartStream<Source>,
    taken: usize,
}

impl PartInput {
    /// Opens the input.
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

    /// Appends the next part to `into`; false at the end.
    ///
    /// # Errors
    /// When the input has no part, cannot be read, or holds something else. Nothing more can be
    /// read then.
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

    /// The position of the next part.
    fn place(&self) -> InputRef {
        InputRef {
            input: self.path.to_string_lossy().into_owned(),
            index: self.taken + 1,
            is_only: false,
        }
    }
}

/// Parts to seal, each for several peers; their buffers are reused.
pub struct PartFeed {
    input: PartInput,
    /// The number of peers.
    peers: usize,
    /// The beginning of the parcels' ids; `None` for random ids.
    id: Option<String>,
    /// The current part, its index, and the next peer to seal it for.
    current: Option<(Buffer, u32, usize)>,
    has_failed: bool,
    spare: Spare,
}

/// A part to seal for one peer.
pub struct PartJob {
    /// The part.
    pub octets: Buffer,
    /// The index of the peer.
    pub peer: usize,
    /// The id of the parcel; `None` for a random one.
    pub id: Option<String>,
}

impl PartFeed {
    /// Opens an input and reads the first part. With `id`, the ids of parcels are `id.INDEX`, else
    /// random.
    ///
    /// # Errors
    /// When the input cannot be opened, or does not begin with a part.
    pub fn open(path: &Path, id: Option<&str>) -> anyhow::Result<Self> {
        let input = PartInput::open(path).with_context(|| report::path(path))?;
        let mut feed = Self {
            input,
            peers: 1,
            id: id.map(str::to_owned),
            current: None,
            has_failed: false,
            spare: Spare::default(),
        };
        feed.read()?;
        Ok(feed)
    }

    /// Hands out each part for so many peers.
    pub fn for_peers(&mut self, peers: usize) {
        self.peers = peers;
    }

    /// The pool that buffers return to.
    #[must_use]
    pub fn spare(&self) -> Spare {
        self.spare.clone()
    }

    /// The next part and its peer. Nothing follows an error.
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
        // Sealing encrypts in place, so every peer but the last needs a copy.
        let octets = if peer + 1 < self.peers {
            let mut copy = self.spare.take(MAX_LEN);
            copy.append(octets.as_slice());
            self.current = Some((octets, index, peer + 1));
            copy
        } else {
            octets
        };
        let id = self.id.as_ref().map(|id| parts::parcel_id(id, index));
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

/// The parts in all inputs, and the results so far.
pub struct PartInputs {
    operands: Operands,
    outcome: Outcome,
    allow_empty: bool,
}

/// What reading the inputs visits.
pub enum PartVisit<'a> {
    /// A part.
    Part(Part<'a>),
    /// The end of an input; its file, if the input is a file that holds nothing but parts.
    End(Option<PartFile>),
}

impl PartInputs {
    /// Opens the inputs.
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

    /// Hands every part and the end of every input to `each`. Anything else is reported, and
    /// reading goes on.
    ///
    /// # Errors
    /// The error of `each`, which ends the reading.
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
                    self.failed(
                        &InputRef::named(path.to_string_lossy().into_owned()),
                        &error,
                    );
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
                            // A file with anything but parts must not be removed after the join.
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

    /// Whether an input may be empty.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        self.allow_empty
    }

    /// The results so far.
    pub fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }

    /// Ends the run with the status that all failures add up to.
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
    named_files::note_read(&file)?;
    // Identified by device and inode, so that no other file is removed that has its name by then.
    let file_of_parts = FileId::of(&file).map(|identity| PartFile {
        path: path.to_owned(),
        identity,
    });
    Ok((PartInput::new(path, Box::new(file)), file_of_parts))
}

/// An input to cut into parts.
pub struct ContentInput {
    path: PathBuf,
    source: Source,
    /// Its length in octets, if it is a regular file.
    len: Option<u64>,
}

impl ContentInput {
    /// Opens the input.
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

    /// Its length in octets, if it is a regular file.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        self.len
    }

    /// Cuts it into pieces of `size` octets. Returns them, and the pool that their buffers return
    /// to.
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

/// The error for content that cannot be stored. If the content is only joined for standard output,
/// the file that failed is the scratch file.
#[must_use]
pub fn cannot_store(CannotStore { path, cause }: CannotStore) -> anyhow::Error {
    match (cause, path) {
        (join::Error::Disk(error), None) => Fatal::Aside(error).into(),
        (cause, Some(path)) => anyhow::Error::new(cause).context(report::path(&path)),
        (cause, None) => cause.into(),
    }
}
