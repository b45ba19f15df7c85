//! Contents sealed on all cores, and stored in groups with common syncs.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::Error;
use super::feed::{Feed, Job, SealTask};
use super::ids::IdsKind;
use super::source::Outgoing;
use crate::asn1::Buffer;
use crate::cms::enveloped_data::Cipher;
use crate::disk::batch::{Batch, Staged};
use crate::disk::{self, FileRole, files};
use crate::message::parts;
use crate::pipeline::workers::{self, Bounds};
use crate::pki::NodeId;
use crate::send::{self, Draft};
use crate::spool::admission::{Admission, AdmittedParcel};
use crate::transfer::cut::Spare;

/// What was stored for a recipient.
#[derive(Debug, Clone)]
pub struct SubmittedTo {
    /// The recipient.
    pub recipient: NodeId,
    /// The id of the parcel; of parts without their indexes.
    pub id: String,
    /// The number of parcels.
    pub parcels: u32,
    /// Whether the parcels hold parts.
    pub is_in_parts: bool,
    /// Their date.
    pub date: Timestamp,
    /// When they expire.
    pub expiry: Timestamp,
    /// The time that their life was cut to.
    pub cut_to: Option<Timestamp>,
    /// See [`send::Sent::dated_ahead`].
    pub dated_ahead: Option<Timestamp>,
    sender: NodeId,
}

/// Seals contents and stores them.
pub struct Submission<'a> {
    /// What admits parcels to the spool.
    pub admission: &'a Admission<'a>,
    /// How long parcels live.
    pub ttl: SignedDuration,
    /// The cipher for contents.
    pub cipher: Cipher,
    /// The time of sending.
    pub now: Timestamp,
}

/// A parcel that was made, and has no name in the queue yet.
struct Made {
    staged: Option<Staged>,
    /// `None` if a run before stored it.
    parcel: Option<AdmittedParcel>,
    to: SubmittedTo,
}

impl Made {
    /// A run before this one stored it.
    fn before(to: SubmittedTo) -> Self {
        Self {
            staged: None,
            parcel: None,
            to,
        }
    }
}

/// Why no parcel was made.
enum NotMade {
    /// Because of the content or its recipient.
    Content(Error),
    /// The spool cannot take any file.
    Spool(disk::Error),
}

impl<E: Into<Error>> From<E> for NotMade {
    fn from(error: E) -> Self {
        Self::Content(error.into())
    }
}

/// The contents of which some parcels are stored.
struct Stored<'a> {
    admission: &'a Admission<'a>,
    batch: Batch,
    /// The parcels in the batch, each with the number of its content.
    waiting: Vec<(usize, AdmittedParcel)>,
    open: BTreeMap<usize, Progress>,
    /// Contents that failed, of which more parcels may come.
    failed: HashSet<usize>,
}

/// How far a content is.
#[derive(Default)]
struct Progress {
    to: Vec<SubmittedTo>,
    /// How many of its parcels are in the batch.
    waiting: usize,
    /// How many were stored by this run, and not by one before.
    stored: usize,
    is_whole: bool,
    kind: IdsKind,
    error: Option<Error>,
}

impl Submission<'_> {
    /// Sends the contents that `next` gives. The result of each goes to `done` with the number of the content, counted
    /// from 0; `step` is called for each parcel.
    ///
    /// # Errors
    /// When the spool can take nothing more, or the error of `done`.
    pub fn run<E: From<Error>>(
        &self,
        next: impl FnMut() -> Option<Outgoing>,
        step: fn(),
        done: &mut dyn FnMut(usize, Result<Vec<SubmittedTo>, Error>) -> Result<(), E>,
    ) -> Result<(), E> {
        let feed = RefCell::new(Feed::of(next));
        let spare = feed.borrow().spare();
        let mut stored = Stored {
            admission: self.admission,
            batch: Batch::default(),
            waiting: Vec::new(),
            open: BTreeMap::new(),
            failed: HashSet::new(),
        };
        let sent = workers::in_order(
            Bounds::octets(2 * parts::MAX_LEN),
            || feed.borrow_mut().next_job(),
            |Job {
                 content,
                 is_last,
                 kind,
                 task,
             }| {
                let made = task.map_err(NotMade::Content);
                let made = made.and_then(|task| self.make(task, kind, &spare));
                (content, (is_last, kind), made)
            },
            |(content, facts, made)| {
                step();
                if stored.failed.contains(&content) {
                    stored.drop_made(made);
                    return Ok(());
                }
                if !stored.take(content, facts, made)? {
                    feed.borrow_mut().give_up(content);
                }
                stored.tell(done)
            },
        );
        let committed = stored.commit().map_err(E::from);
        let committed = committed.and_then(|()| stored.tell(done));
        // Left where the spool can take nothing more.
        for (_, progress) in std::mem::take(&mut stored.open) {
            if progress.kind == IdsKind::Drawn {
                stored.withdraw(&progress);
            }
        }
        sent.and(committed)
    }

    fn make(&self, task: SealTask, kind: IdsKind, spare: &Spare) -> Result<Made, NotMade> {
        let SealTask {
            sealer,
            mut octets,
            media_type,
            id,
            part,
            of,
        } = task;
        let len = octets.len() as u64;
        if let Some(part) = &part {
            parts::wrap(&mut octets, part)?;
        }
        let of_part = part.as_ref().map(|part| parts::parcel_id(&id, part.index));
        let draft = Draft {
            media_type: &media_type,
            ttl: self.ttl,
            id: Some(of_part.as_ref().unwrap_or(&id)),
            cipher: self.cipher,
            now: self.now,
        };
        let sent = send::content(&sealer, octets, &draft)?;
        if let (Some(_), Some(whole)) = (&part, of) {
            self.check_whole(whole, sent.octets.len() as u64 - len)?;
        }
        // Moved to the front, not copied: a second buffer for each part under way would double the memory of a run.
        let octets = sent.octets.into_octets();
        let to = SubmittedTo {
            recipient: sent.fields.recipient,
            id,
            parcels: part.as_ref().map_or(1, |part| part.index),
            is_in_parts: part.is_some(),
            date: sent.fields.date,
            expiry: sent.fields.expiry(),
            cut_to: sent.cut_to,
            dated_ahead: sent.dated_ahead,
            sender: sealer.sender(),
        };
        let admitted = match kind {
            IdsKind::Repeated | IdsKind::Given => self.admission.admit_missing(octets),
            IdsKind::Drawn => self.admission.admit(octets).map(Some),
        };
        let admitted = match admitted.map_err(Error::from) {
            Err(error) if kind != IdsKind::Drawn && error.is_there_already() => None,
            admitted => admitted?,
        };
        let Some(admitted) = admitted else {
            self.admission.sync_earlier().map_err(NotMade::Spool)?;
            return Ok(Made::before(to));
        };
        let staged = self.admission.write(&admitted);
        let (parcel, octets) = admitted.into_parts();
        if to.is_in_parts {
            spare.put(Buffer::reusing(octets));
        }
        let staged = match staged {
            // Who cannot read the queues learns only here that a run before made it at this very time.
            Err(disk::Error::Exists { .. }) if kind != IdsKind::Drawn => {
                self.admission.give_back(&parcel);
                self.admission.sync_earlier().map_err(NotMade::Spool)?;
                return Ok(Made::before(to));
            }
            // A name that is taken concerns this content alone.
            Err(error @ disk::Error::Exists { .. }) => return Err(Error::Disk(error).into()),
            staged => staged.map_err(NotMade::Spool)?,
        };
        let parcel = Some(parcel);
        Ok(Made { staged, parcel, to })
    }

    /// Checks that the parts of a content could wait together for a recipient; each parcel has `more` octets beside its
    /// content.
    fn check_whole(&self, whole: u64, more: u64) -> Result<(), Error> {
        let count = whole.div_ceil(u64::from(parts::MAX_EMITTED_CONTENT_LEN));
        let len = whole.saturating_add(count.saturating_mul(more));
        match self.admission.quota() {
            Some(limit) if len > limit => Err(Error::OverQuota { len, limit }),
            _ => Ok(()),
        }
    }
}

impl Stored<'_> {
    /// Drops a parcel of a content that has failed.
    fn drop_made(&self, made: Result<Made, NotMade>) {
        if let Ok(Made {
            parcel: Some(parcel),
            ..
        }) = made
        {
            self.admission.give_back(&parcel);
        }
    }

    /// Takes what became of a job. Returns whether the content goes on.
    fn take<E: From<Error>>(
        &mut self,
        content: usize,
        (is_last, kind): (bool, IdsKind),
        made: Result<Made, NotMade>,
    ) -> Result<bool, E> {
        let progress = self.open.entry(content).or_default();
        progress.kind = kind;
        match made {
            Ok(Made { staged, parcel, to }) => {
                progress.is_whole |= is_last;
                progress.note(to);
                let Some(parcel) = parcel else {
                    return Ok(true);
                };
                progress.waiting += 1;
                progress.stored += 1;
                self.waiting.push((content, parcel));
                if let Some(Err(error)) = staged.map(|staged| self.batch.add(staged)) {
                    // It is not known which of them are stored: none of their contents counts as sent.
                    self.waiting.clear();
                    return Err(Error::from(error).into());
                }
                if self.batch.is_empty() {
                    self.settle();
                }
            }
            Err(NotMade::Spool(error)) => return Err(Error::from(error).into()),
            Err(NotMade::Content(error)) => {
                progress.error = Some(error);
                self.failed.insert(content);
                // What waits of it goes soon, so that others have its room.
                if progress.waiting > 0 {
                    self.commit()?;
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until all parcels of the batch are synced in the queue.
    fn commit(&mut self) -> Result<(), Error> {
        if let Err(error) = self.batch.commit() {
            // It is not known which of them are stored: none of their contents counts as sent.
            self.waiting.clear();
            return Err(error.into());
        }
        self.settle();
        Ok(())
    }

    /// Notes that the parcels of the batch are stored.
    fn settle(&mut self) {
        let mut refused = self.batch.take_refused();
        for (content, parcel) in self.waiting.drain(..) {
            let Some(progress) = self.open.get_mut(&content) else {
                continue;
            };
            progress.waiting -= 1;
            let taken = refused.iter().position(|it| it.path() == parcel.path);
            if let Some(at) = taken {
                progress.error = Some(refused.swap_remove(at).into());
                self.failed.insert(content);
                self.admission.give_back(&parcel);
                continue;
            }
            // The older file goes only after its replacement is synced.
            for older in &parcel.replaced {
                if let Err(error) = files::remove(older, FileRole::Spool) {
                    progress.error.get_or_insert(error.into());
                }
            }
        }
    }

    /// Tells of each content that has ended.
    fn tell<E>(
        &mut self,
        done: &mut dyn FnMut(usize, Result<Vec<SubmittedTo>, Error>) -> Result<(), E>,
    ) -> Result<(), E> {
        // Contents come in order, so those that go on are the last ones.
        while let Some(first) = self.open.first_entry() {
            let progress = first.get();
            let is_over = progress.is_whole || progress.error.is_some();
            if progress.waiting > 0 || !is_over {
                break;
            }
            let (content, mut progress) = first.remove_entry();
            if let Some(error) = progress.error.take() {
                // What is stored of content that has changed fits nothing that a later run would read.
                if progress.kind == IdsKind::Drawn || error.is_of_content() {
                    self.withdraw(&progress);
                }
                done(content, Err(error))?;
            } else if progress.kind == IdsKind::Given && progress.stored == 0 {
                done(content, Err(Error::NothingMissing))?;
            } else {
                done(content, Ok(progress.to))?;
            }
        }
        Ok(())
    }

    /// Removes what is stored of a content that failed: without the rest it is of no use to its recipients. What was
    /// routed meanwhile stays, and expires.
    fn withdraw(&self, progress: &Progress) {
        for to in &progress.to {
            for index in 1..=to.parcels {
                let id = if to.is_in_parts {
                    parts::parcel_id(&to.id, index)
                } else {
                    to.id.clone()
                };
                // Nothing more can be done about one that cannot be removed.
                let _ = self
                    .admission
                    .withdraw((to.recipient, to.sender), &id, to.expiry);
            }
        }
    }
}

impl Progress {
    fn note(&mut self, to: SubmittedTo) {
        match self
            .to
            .iter_mut()
            .find(|known| known.recipient == to.recipient)
        {
            Some(known) => known.parcels = known.parcels.max(to.parcels),
            None => self.to.push(to),
        }
    }
}
