//! Content that is too large for one parcel: reading it to be cut, and reading streams of parts.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;

use super::errors::Empty;
use super::input_ref::InputRef;
use super::inputs::{Operands, Source, Trees, read_error, source};
use super::outcome::Outcome;
use super::report;
use crate::asn1::Buffer;
use crate::crypto::hash::{Digest, Hash, Hasher};
use crate::disk::files::{self, FileId};
use crate::message::Part;
use crate::message::parts::{MAX_LEN, PartStream};
use crate::message::stream::StreamError;
use crate::pipeline::workers::WorkItem;

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
    /// When there is no part, reading fails, or what is there is none. After that nothing more comes.
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

/// Memory that parts were in and is free again.
#[derive(Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<Buffer>>>);

impl Spare {
    /// Takes back the memory of a part that is done with.
    pub fn put(&self, mut buffer: Buffer) {
        buffer.reset();
        self.free().push(buffer);
    }

    /// Some of it, or new memory for so many octets.
    fn take(&self, len: usize) -> Buffer {
        let spare = self.free().pop();
        spare.unwrap_or_else(|| Buffer::with_capacity(len))
    }

    fn free(&self) -> MutexGuard<'_, Vec<Buffer>> {
        // Nothing in here can panic while the lock is held, so what it guards is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// A regular file that was read to its end, and had nothing but parts in it.
#[derive(Debug)]
pub struct PartFile {
    /// Where it was.
    pub path: PathBuf,
    /// Which file it was.
    pub identity: FileId,
}

/// What is met in the inputs.
pub enum PartVisit<'a> {
    /// A part.
    Part(Part<'a>),
    /// The end of an input; its file, unless something in it was no part, or it is none.
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

/// Content that is read to be cut into pieces.
pub struct CutContent {
    path: PathBuf,
    source: Source,
    /// How many octets there are, if it is a regular file.
    len: Option<u64>,
    /// The first octet of the next piece, which was read to know whether there is one.
    ahead: Option<u8>,
    /// Of the pieces so far.
    sha256: Hasher,
}

/// How many octets are read at once, and hashed while the processor has them at hand.
const BLOCK: usize = 256 * 1024;

impl CutContent {
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
            ahead: None,
            sha256: Hasher::new(Digest::Sha256),
        })
    }

    /// How many octets there are, if it is a regular file.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        self.len
    }

    /// Cuts it into pieces of `size` octets, the last of which may have fewer. While a large one is worked on, the next
    /// is read and hashed by a thread that ends with the program.
    #[must_use]
    pub fn pieces(self, size: usize) -> Pieces {
        let spare = Spare::default();
        let cutter = Box::new(Cutter {
            content: self,
            size,
            spare: spare.clone(),
        });
        let source = if size > BLOCK {
            cutter.read_ahead()
        } else {
            Cut::Here(Some(cutter))
        };
        Pieces { source, spare }
    }

    /// Reads the next piece into a buffer that is empty; gives whether it is the last one.
    fn next_piece(&mut self, size: usize, into: &mut Buffer) -> anyhow::Result<bool> {
        self.fill(size, into)
            .map_err(|cause| read_error(&self.path, cause))
            .with_context(|| report::path(&self.path))?;
        Ok(self.ahead.is_none())
    }

    fn fill(&mut self, size: usize, into: &mut Buffer) -> io::Result<()> {
        into.append(self.ahead.take().as_slice());
        let mut hashed = 0;
        loop {
            let wanted = BLOCK.min(size - into.len());
            let (octets, _) = into.parts_mut();
            let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
            let read = self.source.by_ref().take(limit).read_to_end(octets)?;
            self.sha256.update(&into.as_slice()[hashed..]);
            hashed = into.len();
            if read < wanted {
                return Ok(());
            }
            if hashed == size {
                self.ahead = one(&mut self.source)?;
                return Ok(());
            }
        }
    }
}

/// A piece of content.
pub struct Piece {
    /// Its octets.
    pub octets: Buffer,
    /// If it is the last one: SHA-256 of the whole content.
    pub sha256: Option<Hash>,
}

/// The pieces of content, one after the other.
pub struct Pieces {
    source: Cut,
    spare: Spare,
}

/// Where pieces are cut.
enum Cut {
    /// In this thread; none after the last piece.
    Here(Option<Box<Cutter>>),
    /// In another one.
    There(Receiver<anyhow::Result<Piece>>, Option<JoinHandle<()>>),
}

/// Content that is being cut.
struct Cutter {
    content: CutContent,
    size: usize,
    spare: Spare,
}

impl Cutter {
    fn next(&mut self) -> anyhow::Result<Piece> {
        let mut octets = self.spare.take(self.size);
        let is_last = self.content.next_piece(self.size, &mut octets)?;
        Ok(Piece {
            octets,
            sha256: is_last.then(|| self.content.sha256.clone().finish()),
        })
    }

    /// Cuts in a thread of its own, one piece ahead, or where there can be no other thread in this one.
    fn read_ahead(self: Box<Self>) -> Cut {
        let (hand_over, handed_over) = mpsc::channel::<Box<Self>>();
        let (give, taken) = mpsc::sync_channel(0);
        let reader = thread::Builder::new().spawn(move || {
            let Ok(mut cutter) = handed_over.recv() else {
                return;
            };
            loop {
                let piece = cutter.next();
                let is_over = is_over(&piece);
                if give.send(piece).is_err() || is_over {
                    return;
                }
            }
        });
        match reader {
            Ok(reader) => match hand_over.send(self) {
                Ok(()) => Cut::There(taken, Some(reader)),
                Err(mpsc::SendError(cutter)) => Cut::Here(Some(cutter)),
            },
            Err(_) => Cut::Here(Some(self)),
        }
    }
}

/// Whether no piece follows.
fn is_over(piece: &anyhow::Result<Piece>) -> bool {
    !matches!(piece, Ok(piece) if piece.sha256.is_none())
}

impl Pieces {
    /// Where to put the memory of pieces that are done with.
    #[must_use]
    pub fn spare(&self) -> Spare {
        self.spare.clone()
    }
}

impl Iterator for Pieces {
    type Item = anyhow::Result<Piece>;

    /// The next piece. After the last one, or an error, there is none.
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.source {
            Cut::Here(cutter) => {
                let piece = cutter.as_mut()?.next();
                if is_over(&piece) {
                    *cutter = None;
                }
                Some(piece)
            }
            Cut::There(taken, reader) => {
                if let Ok(piece) = taken.recv() {
                    return Some(piece);
                }
                if let Err(panic) = reader.take()?.join() {
                    std::panic::resume_unwind(panic);
                }
                None
            }
        }
    }
}

/// One octet more, if there is one.
fn one(source: &mut Source) -> io::Result<Option<u8>> {
    let mut octets = [0];
    loop {
        match source.read(&mut octets) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(octets[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
