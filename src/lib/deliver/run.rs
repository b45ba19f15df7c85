//! Delivers all messages that wait for a node, in groups.
//!
//! The order of effects: the content is stored at its destination, the delivery is noted in `sent`,
//! the sender's session key is stored, the message is remembered, its file is removed. Each step
//! may be repeated.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use jiff::SignedDuration;

use super::names::Names;
use super::parts::{PartsLeft, Transfers};
use super::{Content, Destination, Error};
use crate::command::{RunOptions, Runs};
use crate::disk::publish::{IfExists, PublishOptions, sweep_ours};
use crate::disk::{self, FileRole, files};
use crate::node::Directory;
use crate::node::import::SuccessorFate;
use crate::pipeline::Buffers;
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::ramf::limits;
use crate::receive::ReceiveOptions;
use crate::receive::inbox::{ClockReading, InboxReader};
use crate::spool::moves::Moves;
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::{self, Intents, QueueId, Spool, Time};

/// How often a message is tried that another message of its group was in the way of, or whose name
/// was refused: it has three names.
const ROUNDS: usize = 4;

/// The most senders in a group, each of which is claimed with an open file.
pub(super) const MOST_CLAIMS: usize = 64;

/// No further message is opened while the open ones have more octets than this together: of the
/// largest messages, two are open at a time.
pub(super) const IN_FLIGHT: usize = limits::MAX_MESSAGE_LEN;

/// A temporary file older than this is a leftover of a killed run.
const ABANDONED: SignedDuration = SignedDuration::from_hours(36);

/// Delivers the messages that wait for a node.
pub struct Delivery<'a> {
    /// The spool. The caller holds the lock of the node's queue in it.
    pub spool: &'a Spool,
    /// The node.
    pub node: &'a Directory,
    /// The node's directory as an absolute path, for the environment of commands.
    pub path: PathBuf,
    /// The options for receiving messages, under a clock that is believed.
    pub terms: ReceiveOptions,
    /// The time. Under a doubted clock nothing is set aside. What waits here is still delivered,
    /// since it arrived in time.
    pub time: Time,
    /// The media types to deliver; all if empty.
    pub types: Vec<String>,
    /// The destination.
    pub destination: Destination,
    /// How a command is run.
    pub commands: RunOptions,
    /// Whether to wait for all parts of a content and join them.
    pub joins: bool,
    /// Whether to change nothing.
    pub is_dry: bool,
}

/// The result for a message.
#[derive(Debug)]
pub struct DeliveryOutcome {
    /// Its file in the queue.
    pub path: PathBuf,
    /// The id, sender and recipient of one that was set aside unopened.
    pub head: Option<MessageHead>,
    /// The facts about its content, if it could be opened.
    pub content: Option<Content>,
    /// The effect, or the error.
    pub result: Result<DeliveryEffect, Error>,
    /// Whether it is content put together from parts, each of which had a result of its own before.
    pub is_joined: bool,
    /// Whether it was set aside because of the error.
    pub is_aside: bool,
    /// Whether it waits until the clock is believed.
    pub is_untimely: bool,
}

/// The id, sender and recipient of a message.
#[derive(Debug, Clone)]
pub struct MessageHead {
    /// Its id; `None` if it cannot be read, and the rest is what its file's name says.
    pub id: Option<String>,
    /// The sender.
    pub sender: NodeId,
    /// The recipient.
    pub recipient: NodeId,
}

/// The effect of delivering a message.
#[derive(Debug)]
pub enum DeliveryEffect {
    /// Its content is in this file; `None` for a command.
    Delivered(Option<PathBuf>),
    /// It was delivered before.
    Repeated,
    /// It was an authorization for the node itself, which was imported.
    Imported,
    /// It was an authorization from an unknown sender, and was dropped: today's quota for those is
    /// used up.
    NotKept,
    /// It names the successor of a peer.
    Successor(SuccessorFate),
    /// It was for the node itself, from an unknown sender, and was dropped.
    Ignored,
    /// Its media type is not delivered by this run.
    Left,
    /// It is a part, and waits for the other parts.
    Part,
}

/// The state of a run.
pub(super) struct DeliveryState<'a> {
    pub(super) home: InboxReader<'a>,
    /// The user whose files are known to have arrived in time.
    pub(super) keeper: Option<u32>,
    pub(super) intents: Intents,
    pub(super) runs: Runs,
    /// Files that were removed or set aside, and are not synced yet.
    pub(super) moves: Moves,
    /// Of how many groups.
    pub(super) unsynced: usize,
    /// Folders that are known to exist.
    folders: Mutex<HashSet<PathBuf>>,
    pub(super) names: Names,
    transfers: Mutex<Transfers>,
    pub(super) buffers: Buffers,
}

impl DeliveryState<'_> {
    /// Notes what failed when a file was to get its name: the name, or the folder has gone.
    pub(super) fn not_named(&mut self, error: &disk::Error) {
        let folder = error.path().parent();
        match folder.filter(|folder| !folder.exists()) {
            Some(folder) => _ = mutex::lock(&self.folders).remove(folder),
            None => self.names.refuse(error.path().to_owned()),
        }
    }

    /// The contents that come in parts.
    pub(super) fn transfers(&self) -> MutexGuard<'_, Transfers> {
        mutex::lock(&self.transfers)
    }

    /// Forgets the names noted for joined contents, except those in `failed` and those whose parts
    /// still wait.
    pub(super) fn retain_intents(&mut self, failed: &BTreeSet<String>) {
        let transfers = mutex::lock(&self.transfers);
        self.intents
            .retain_transfers(|key| failed.contains(key) || transfers.has(key));
    }
}

impl<'a> Delivery<'a> {
    /// Delivers all messages that wait for the node. The result for each goes to `each`, unexpected
    /// files go to `unexpected`. Returns what is left of contents in parts; a dry run joins none, and
    /// does not know.
    ///
    /// # Errors
    /// Fatal errors only: the queue cannot be read or changed, the destination cannot take content,
    /// the command cannot be run, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(DeliveryOutcome) -> Result<(), E>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> Result<PartsLeft, E> {
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
            // What was read before the error is delivered first.
            if let Some(error) = failed {
                return Err(Error::from(error).into());
            }
        }
        if self.is_dry {
            return Ok(PartsLeft::default());
        }
        state.moves.commit().map_err(Error::from)?;
        if self.joins {
            self.join_all(&mut state, each)?;
        }
        state.intents.finish().map_err(Error::from)?;
        Ok(state.transfers().left())
    }

    fn state(&self) -> Result<DeliveryState<'a>, Error> {
        let clock = ClockReading {
            told: self.time.told,
            is_believed: self.time.is_believed(),
        };
        let state = DeliveryState {
            home: InboxReader::new(self.node, self.terms, clock)?,
            keeper: self.spool.keeper()?,
            intents: Intents::of(self.spool, QueueId::Home(self.node.id()))?,
            runs: Runs::new(self.commands),
            moves: Moves::default(),
            unsynced: 0,
            folders: Mutex::default(),
            names: Names::default(),
            transfers: Mutex::new(Transfers::at(self.terms.now)),
            buffers: Buffers::default(),
        };
        // The folders of senders in a directory are swept when `make` meets them.
        if let (Destination::Maildir(dir), false) = (&self.destination, self.is_dry) {
            self.sweep(&dir.join("tmp"));
        }
        Ok(state)
    }

    /// Removes the temporary files of killed runs. Under a doubted clock the old ones cannot be
    /// told from new ones, so all stay.
    fn sweep(&self, dir: &Path) {
        if self.time.is_believed() {
            let before = self.terms.now.checked_sub(ABANDONED).ok();
            let before = before.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
            sweep_ours(dir, before);
        }
    }

    /// The next group of messages, and the error that ended it if the queue cannot be read further.
    fn group(
        &self,
        entries: &mut impl Iterator<Item = Result<QueueEntry, spool::Error>>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> (Vec<Waiting>, Option<spool::Error>) {
        let (most, most_octets) = self.destination.group();
        let mut group = Vec::new();
        let mut octets = 0;
        let mut senders = BTreeSet::new();
        while group.len() < most
            && senders.len() < MOST_CLAIMS
            && (group.is_empty() || octets < most_octets)
        {
            match entries.next() {
                Some(Ok(QueueEntry::Message(message))) => {
                    if !matches!(message.len(), Ok(None)) {
                        octets += message.len_or_most() as u64;
                        senders.insert(message.name.identity.sender);
                        group.push(message);
                    }
                }
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
                self.sweep(folder);
            }
            folders.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Whether an error may only be due to the clock, which is doubted.
    pub(super) fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.kind().depends_on_clock()
    }
}

/// The options for writing content.
pub(super) fn publish_options<'a>() -> PublishOptions<'a> {
    PublishOptions::delivery(IfExists::SameIsSuccess)
}
