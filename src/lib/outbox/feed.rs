//! Contents cut into jobs: what one parcel for one recipient holds.

use std::io::Read as _;
use std::sync::Arc;

use super::ids::IdsKind;
use super::source::Outgoing;
use super::source::{self, OutgoingSource, SteadyCheck};
use super::{Error, Ids};
use crate::asn1::Buffer;
use crate::crypto::hash::Hash;
use crate::message::file_name;
use crate::message::parts::{self, MAX_COUNT, MAX_EMITTED_CONTENT_LEN, MAX_LEN, PartHeader};
use crate::pipeline::WorkItem;
use crate::send::Sealer;
use crate::transfer::cut::{Pieces, Spare};

/// Longest content that is read at once, without a thread that reads ahead, in octets.
const SMALL: u64 = 256 * 1024;

/// The octets of content that a parcel holds at most.
const SIZE: usize = MAX_EMITTED_CONTENT_LEN as usize;

/// What a worker makes a parcel of.
pub(super) struct Job {
    /// The number of the content, in the order in which contents came.
    pub(super) content: usize,
    /// Whether nothing of this content follows.
    pub(super) is_last: bool,
    pub(super) kind: IdsKind,
    pub(super) task: Result<SealTask, Error>,
}

/// A piece of content for a recipient.
pub(super) struct SealTask {
    pub(super) sealer: Arc<Sealer>,
    pub(super) octets: Buffer,
    pub(super) media_type: Arc<str>,
    /// The id of the content.
    pub(super) id: String,
    /// The header of a part; `None` if the piece is the whole content.
    pub(super) part: Option<PartHeader>,
    /// The length of the whole content in octets, if it is known.
    pub(super) of: Option<u64>,
}

/// Contents, of which one is being read.
pub(super) struct Feed<N> {
    next: N,
    /// How many contents have come.
    contents: usize,
    /// The kind of ids of the current one.
    kind: IdsKind,
    reading: Option<Reading>,
    /// A piece that is still to be handed out to some recipients.
    piece: Option<CutPiece>,
    spare: Spare,
}

/// A content that is being read.
struct Reading {
    outgoing: Arc<ContentFacts>,
    pieces: Pieces,
    check: SteadyCheck,
    /// The index of the next piece.
    index: u32,
    read: u64,
}

/// What is the same for all parcels of a content.
struct ContentFacts {
    to: Vec<Arc<Sealer>>,
    ids: Ids,
    name: Option<String>,
    len: Option<u64>,
    /// The media type of the content where it is whole, with its name.
    whole: Arc<str>,
    /// The media type of its parts.
    part: Arc<str>,
}

struct CutPiece {
    head: Arc<ContentFacts>,
    octets: Buffer,
    index: u32,
    /// The digest of the whole, if this is the last piece.
    sha256: Option<Hash>,
    /// The next recipient.
    recipient: usize,
    is_last: bool,
}

impl<N: FnMut() -> Option<Outgoing>> Feed<N> {
    /// Takes contents from `next`, which is asked for one when the one before it is read.
    pub(super) fn of(next: N) -> Self {
        Self {
            next,
            contents: 0,
            kind: IdsKind::Drawn,
            reading: None,
            piece: None,
            spare: Spare::default(),
        }
    }

    /// The pool that buffers return to.
    pub(super) fn spare(&self) -> Spare {
        self.spare.clone()
    }

    /// Reads no more of this content.
    pub(super) fn give_up(&mut self, content: usize) {
        if content + 1 == self.contents {
            self.reading = None;
            self.piece = None;
        }
    }

    /// The next job; `None` when there is no more content.
    pub(super) fn next_job(&mut self) -> Option<WorkItem<Job>> {
        while self.piece.is_none() {
            if self.reading.is_none() {
                let outgoing = (self.next)()?;
                self.contents += 1;
                self.kind = outgoing.ids.kind();
                if let Err(error) = self.begin(outgoing) {
                    return Some(self.failed(error));
                }
            } else if let Err(error) = self.read() {
                return Some(self.failed(error));
            }
        }
        let piece = self.piece.take()?;
        Some(self.hand_out(piece))
    }

    /// Begins a content; a small file is read whole.
    fn begin(&mut self, outgoing: Outgoing) -> Result<(), Error> {
        let Outgoing {
            to,
            media_type,
            name,
            source,
            ids,
        } = outgoing;
        let head = Arc::new(ContentFacts {
            to,
            ids,
            whole: match &name {
                Some(name) => file_name::with_name(&media_type, name).into(),
                None => media_type.as_str().into(),
            },
            part: parts::media_type_of(&media_type)?.into(),
            len: source.len,
            name,
        });
        match source.len {
            Some(len) if len <= SMALL => self.read_small(head, source, len),
            _ => {
                let (reader, check) = source.split();
                self.reading = Some(Reading {
                    outgoing: head,
                    pieces: Pieces::with(reader, SIZE, self.spare.clone()),
                    check,
                    index: 0,
                    read: 0,
                });
                Ok(())
            }
        }
    }

    fn read_small(
        &mut self,
        head: Arc<ContentFacts>,
        source: OutgoingSource,
        len: u64,
    ) -> Result<(), Error> {
        let (reader, check) = source.split();
        let mut octets = Buffer::with_capacity(usize::try_from(len).unwrap_or(SIZE) + 1);
        let (into, _) = octets.parts_mut();
        // One more than there should be, to see whether it has grown.
        let read = reader.take(len + 1).read_to_end(into);
        read.map_err(source::read_error)?;
        check.ask(octets.len() as u64)?;
        self.piece = Some(CutPiece {
            head,
            octets,
            index: 1,
            sha256: None,
            recipient: 0,
            is_last: true,
        });
        Ok(())
    }

    /// Reads the next piece of the content.
    fn read(&mut self) -> Result<(), Error> {
        let Some(reading) = &mut self.reading else {
            return Ok(());
        };
        let Some(piece) = reading.pieces.next() else {
            self.reading = None;
            return Ok(());
        };
        let piece = piece.map_err(source::read_error)?;
        reading.index += 1;
        reading.read += piece.octets.len() as u64;
        let is_last = piece.sha256.is_some();
        if is_last {
            // Before the last parcel is made: content that changed is not stored as a whole.
            reading.check.ask(reading.read)?;
        } else if reading.index == MAX_COUNT {
            return Err(Error::TooManyParts);
        }
        self.piece = Some(CutPiece {
            head: reading.outgoing.clone(),
            octets: piece.octets,
            index: reading.index,
            sha256: piece.sha256,
            recipient: 0,
            is_last,
        });
        Ok(())
    }

    /// The job for the next recipient of a piece. Sealing encrypts in place, so every recipient but the last gets a copy.
    fn hand_out(&mut self, mut piece: CutPiece) -> WorkItem<Job> {
        let head = piece.head.clone();
        let (is_end, sealer) = (
            piece.recipient + 1 >= head.to.len(),
            head.to[piece.recipient].clone(),
        );
        let (index, sha256) = (piece.index, piece.sha256);
        let is_whole = piece.is_last && index == 1;
        let is_last = piece.is_last && is_end;
        let octets = if is_end {
            piece.octets
        } else {
            let mut copy = if piece.octets.len() as u64 > SMALL {
                self.spare.take(MAX_LEN)
            } else {
                Buffer::with_capacity(piece.octets.len())
            };
            copy.append(piece.octets.as_slice());
            piece.recipient += 1;
            self.piece = Some(piece);
            copy
        };
        let recipient = sealer.peer().id;
        let id = head.ids.id_for(recipient);
        let part = (!is_whole).then(|| PartHeader {
            transfer: head.ids.transfer_for(recipient),
            index,
            size: MAX_EMITTED_CONTENT_LEN,
            name: head.name.clone(),
            sha256: sha256.and_then(|hash| hash.as_bytes().try_into().ok()),
        });
        let task = SealTask {
            sealer,
            media_type: if is_whole {
                head.whole.clone()
            } else {
                head.part.clone()
            },
            id,
            part,
            of: head.len,
            octets,
        };
        WorkItem {
            octets: task.octets.len(),
            item: Job {
                content: self.contents - 1,
                is_last,
                kind: self.kind,
                task: Ok(task),
            },
        }
    }

    /// The job that tells of a content which cannot be read on.
    fn failed(&mut self, error: Error) -> WorkItem<Job> {
        self.reading = None;
        self.piece = None;
        WorkItem {
            octets: 0,
            item: Job {
                content: self.contents - 1,
                is_last: true,
                kind: self.kind,
                task: Err(error),
            },
        }
    }
}
