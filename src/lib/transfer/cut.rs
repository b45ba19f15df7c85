//! Cuts content of any size into pieces, one for each part. It is read and hashed once, piece by
//! piece.

use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use crate::asn1::Buffer;
use crate::crypto::hash::{Digest, Hash, Hasher};
use crate::pipeline::mutex;

/// The reader of the content.
pub type Source = Box<dyn Read + Send>;

/// A pool of buffers for parts, which clones share.
#[derive(Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<Buffer>>>);

impl Spare {
    /// Returns a buffer to the pool.
    pub fn put(&self, mut buffer: Buffer) {
        buffer.reset();
        self.free().push(buffer);
    }

    /// Takes an empty buffer from the pool, or a new one with a capacity of `len` octets.
    #[must_use]
    pub fn take(&self, len: usize) -> Buffer {
        let spare = self.free().pop();
        spare.unwrap_or_else(|| Buffer::with_capacity(len))
    }

    fn free(&self) -> MutexGuard<'_, Vec<Buffer>> {
        // No code panics while it holds the lock, so the list is consistent.
        mutex::lock(&self.0)
    }
}

/// How many octets are read at once, then hashed while they are in the processor's cache.
const BLOCK: usize = 256 * 1024;

/// A piece of content.
pub struct Piece {
    /// The octets of the piece.
    pub octets: Buffer,
    /// For the last piece only: the SHA-256 of the whole content.
    pub sha256: Option<Hash>,
}

/// An iterator over the pieces of content.
pub struct Pieces {
    source: Cut,
    spare: Spare,
}

/// The thread in which pieces are cut.
enum Cut {
    /// In this thread; `None` after the last piece.
    Here(Option<Box<Cutter>>),
    /// In another one.
    There(Receiver<io::Result<Piece>>, Option<JoinHandle<()>>),
}

/// Content that is being cut.
struct Cutter {
    source: Source,
    size: usize,
    /// The first octet of the next piece, read ahead to learn whether there is one.
    ahead: Option<u8>,
    /// The hash of the pieces so far.
    sha256: Hasher,
    spare: Spare,
}

impl Cutter {
    fn next(&mut self) -> io::Result<Piece> {
        let mut octets = self.spare.take(self.size);
        self.fill(&mut octets)?;
        let is_last = self.ahead.is_none();
        Ok(Piece {
            octets,
            sha256: is_last.then(|| self.sha256.clone().finish()),
        })
    }

    /// Reads the next piece into a buffer that is empty.
    fn fill(&mut self, into: &mut Buffer) -> io::Result<()> {
        into.append(self.ahead.take().as_slice());
        let mut hashed = 0;
        loop {
            // Hashed block by block, since a whole piece would have left the cache by then.
            let wanted = BLOCK.min(self.size - into.len());
            let (octets, _) = into.parts_mut();
            let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
            let read = self.source.by_ref().take(limit).read_to_end(octets)?;
            self.sha256.update(&into.as_slice()[hashed..]);
            hashed = into.len();
            if read < wanted {
                return Ok(());
            }
            if hashed == self.size {
                self.ahead = one(&mut self.source)?;
                return Ok(());
            }
        }
    }

    /// Cuts in another thread, one piece ahead, or in this one if no thread can be created.
    fn read_ahead(self: Box<Self>) -> Cut {
        // The cutter is sent to the running thread: moved into its closure, it would be lost if the
        // thread cannot be created.
        let (hand_over, handed_over) = mpsc::channel::<Box<Self>>();
        // Without capacity, so that the thread is at most one piece ahead.
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

/// Whether a piece is the last one, or an error.
fn is_over(piece: &io::Result<Piece>) -> bool {
    !matches!(piece, Ok(piece) if piece.sha256.is_none())
}

impl Pieces {
    /// Cuts what `source` reads into pieces of `size` octets; the last one may be shorter. If they
    /// are large, a thread reads and hashes the next one while the caller works on one. The thread
    /// may still wait in a read when `Pieces` is dropped, and ends with the program.
    #[must_use]
    pub fn of(source: Source, size: usize) -> Self {
        Self::with(source, size, Spare::default())
    }

    /// As [`Pieces::of`], with buffers of this pool.
    #[must_use]
    pub fn with(source: Source, size: usize, spare: Spare) -> Self {
        let cutter = Box::new(Cutter {
            source,
            size,
            ahead: None,
            sha256: Hasher::new(Digest::Sha256),
            spare: spare.clone(),
        });
        let source = if size > BLOCK {
            cutter.read_ahead()
        } else {
            Cut::Here(Some(cutter))
        };
        Self { source, spare }
    }

    /// The pool to return buffers of pieces to.
    #[must_use]
    pub fn spare(&self) -> Spare {
        self.spare.clone()
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Piece>;

    /// The next piece; `None` after the last one, or after an error.
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
                // The channel is closed: the thread has ended, or panicked.
                if let Err(panic) = reader.take()?.join() {
                    std::panic::resume_unwind(panic);
                }
                None
            }
        }
    }
}

/// Reads one octet; `None` at the end.
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
