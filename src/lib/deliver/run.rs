//! Delivers everything that waits for a node, in groups.
//!
//! The order of effects: the content is stored at its destination; that is noted in `sent`; the sender's session key is
//! stored; the message is remembered; its file is removed. Each step may be repeated.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use jiff::SignedDuration;

use super::intents::Intents;
use super::parts::{LeftOut, Transfers};
use super::{Content, Destination, Error};
use crate::disk::publish::{IfExists, PublishOptions, sweep};
use crate::disk::{self, FileRole, files};
use crate::node::Directory;
use crate::pipeline::Buffers;
use crate::pipeline::mutex;
use crate::ramf::limits;
use crate::receive::ReceiveOptions;
use crate::receive::inbox::{ClockReading, InboxReader};
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::{self, QueueId, Spool, Time};

/// How often a message is tried that another one of its group was in the way of.
const ROUNDS: usize = 3;

/// No further message is opened while those that are open have more octets than this together: of the largest, two
/// are open at a time.
pub(super) const IN_FLIGHT: usize = limits::MAX_MESSAGE_LEN;

/// A temporary file older than this is a leftover of a killed run: no run writes one for so long.
const ABANDONED: SignedDuration = SignedDuration::from_hours(36);

/// Delivers what waits for a node.
pub struct Delivery<'a> {
    /// The spool; the queue of the node in it is locked.
    pub spool: &'a Spool,
    /// The node.
    pub node: &'a Directory,
    /// The node's directory as an absolute path, which commands get.
    pub path: PathBuf,
    /// How messages are received under a clock that is believed.
    pub terms: ReceiveOptions,
    /// The time. Under a clock that is not believed nothing is set aside, and what waits here is delivered all the
    /// same: it arrived in time.
    pub time: Time,
    /// The media types that are delivered; all if empty.
    pub types: Vec<String>,
    /// Where to.
    pub destination: Destination,
    /// Whether parts wait until all are there and are joined.
    pub joins: bool,
    /// Whether nothing is changed.
    pub is_dry: bool,
}

/// What became of a message.
#[derive(Debug)]
pub struct DeliveryOutcome {
    /// Its file in the queue.
    pub path: PathBuf,
    /// What is known of it, if it could be opened.
    pub content: Option<Content>,
    /// What was done, or why nothing was.
    pub result: Result<DeliveryEffect, Error>,
    /// Whether it was set aside, with the reason.
    pub is_aside: bool,
    /// Whether it waits for a clock that is believed.
    pub is_untimely: bool,
}

/// What was done about a message.
#[derive(Debug)]
pub enum DeliveryEffect {
    /// It is in this file, or where the command put it.
    Delivered(Option<PathBuf>),
    /// It was delivered before.
    Repeated,
    /// It was for the node itself: an authorization.
    Imported,
    /// It was an authorization of an unknown sender, and is not kept: too many of them wrote today.
    NotKept,
    /// It is of another type, and waits for another run.
    Left,
    /// It is a part, and waits for the others.
    Part,
}

/// What a run knows.
pub(super) struct DeliveryState<'a> {
    pub(super) home: InboxReader<'a>,
    /// The user whose files arrived in time.
    pub(super) keeper: Option<u32>,
    pub(super) intents: Intents,
    /// Directories that are known to exist.
    folders: Mutex<HashSet<PathBuf>>,
    transfers: Mutex<Transfers>,
    pub(super) buffers: Buffers,
}

impl DeliveryState<'_> {
    /// What is known of contents that come in parts.
    pub(super) fn transfers(&self) -> MutexGuard<'_, Transfers> {
        mutex::lock(&self.transfers)
    }

    /// Forgets the names noted for joined contents, except for these and those whose parts still wait.
    pub(super) fn retain_intents(&mut self, failed: &BTreeSet<String>) {
        let transfers = mutex::lock(&self.transfers);
        self.intents
            .retain_transfers(|key| failed.contains(key) || transfers.has(key));
    }
}

impl<'a> Delivery<'a> {
    /// Delivers everything that waits for the node. What became of each message goes to `each`; files that are no
    /// message go to `unexpected`. Returns which parts are left for another run because there are too many.
    ///
    /// # Errors
    /// Fatal errors only: the queue cannot be read or changed, content cannot be stored at all, the command cannot be
    /// run, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(DeliveryOutcome) -> Result<(), E>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> Result<Option<LeftOut>, E> {
        let mut state = self.state()?;
        let queue = self.spool.queue(QueueId::Home(self.node.id()));
        let mut entries = queue.entries().map_err(Error::from)?;
        loop {
            let (mut group, failed) = self.group(&mut entries, unexpected);
            if group.is_empty() && failed.is_none() {
                break;
            }
            let mut rounds = 0;
            while !group.is_empty() && rounds < ROUNDS {
                rounds += 1;
                let (outcomes, again) = self.deliver(group, rounds == ROUNDS, &mut state)?;
                outcomes.into_iter().try_for_each(&mut *each)?;
                group = again;
            }
            if let Some(error) = failed {
                return Err(Error::from(error).into());
            }
        }
        if self.is_dry {
            return Ok(None);
        }
        if self.joins {
            self.join_all(&mut state, each)?;
        }
        state.intents.finish().map_err(Error::from)?;
        Ok(state.transfers().left_out())
    }

    fn state(&self) -> Result<DeliveryState<'a>, Error> {
        let clock = ClockReading {
            told: self.time.told,
            is_believed: self.time.is_believed(),
        };
        let state = DeliveryState {
            home: InboxReader::new(self.node, self.terms, clock)?,
            keeper: self.spool.keeper()?,
            intents: Intents::of(self.spool, self.node)?,
            folders: Mutex::default(),
            transfers: Mutex::new(Transfers::at(self.terms.now)),
            buffers: Buffers::default(),
        };
        if let (Destination::Maildir(dir), false) = (&self.destination, self.is_dry) {
            self.sweep(&dir.join("tmp"))?;
        }
        Ok(state)
    }

    /// Removes the temporary files of killed runs. A clock that is not believed cannot tell which are old, so nothing
    /// is removed then.
    fn sweep(&self, dir: &Path) -> Result<(), disk::Error> {
        if !self.time.is_believed() {
            return Ok(());
        }
        let before = self.terms.now.checked_sub(ABANDONED).ok();
        let before = before.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
        sweep(dir, FileRole::Delivery, Some(before))?;
        Ok(())
    }

    /// The next group of messages, and the error that ended it if the queue could not be read on.
    fn group(
        &self,
        entries: &mut impl Iterator<Item = Result<QueueEntry, spool::Error>>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> (Vec<Waiting>, Option<spool::Error>) {
        let (most, most_octets) = self.destination.group();
        let mut group = Vec::new();
        let mut octets = 0;
        while group.len() < most && (group.is_empty() || octets < most_octets) {
            match entries.next() {
                Some(Ok(QueueEntry::Message(message))) => match message.len() {
                    Ok(Some(len)) => {
                        octets += len;
                        group.push(message);
                    }
                    Ok(None) => {}
                    Err(error) => return (group, Some(error)),
                },
                Some(Ok(QueueEntry::Unexpected(path))) => unexpected(path),
                Some(Err(error)) => return (group, Some(error)),
                None => break,
            }
        }
        (group, None)
    }

    /// Makes the folder of a sender, once in a run.
    pub(super) fn make(&self, folder: &Path, state: &DeliveryState<'a>) -> Result<(), Error> {
        let mut folders = mutex::lock(&state.folders);
        if !folders.contains(folder) {
            if !files::create_dir_for_user(folder, FileRole::Delivery)? {
                self.sweep(folder)?;
            }
            folders.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Whether an error may be for the clock alone, which is not believed.
    pub(super) fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.kind().depends_on_clock()
    }
}

/// How content is written.
pub(super) fn publish_options<'a>() -> PublishOptions<'a> {
    PublishOptions::delivery(IfExists::SameIsSuccess)
}
