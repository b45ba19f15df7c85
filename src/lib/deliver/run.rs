//! Everything that waits for a node, each to its destination.
//!
//! The order of effects: the content is where it belongs; that is noted for whoever asks what became of it; the
//! sender's session key is stored; the message is remembered; its file is removed. Each step may be repeated.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};

use super::intents::Intents;
use super::names::{Names, Wish};
use super::parts::{LeftOut, Transfers};
use super::{Content, Destination, Error, maildir};
use crate::disk::batch::{self, Staged, UnnamedFile};
use crate::disk::publish::{IfExists, PublishOptions, sweep};
use crate::disk::{self, FileRole, files, scratch};
use crate::message::{Parcel, Part, ServiceMessage, service_message};
use crate::node::{self, Directory, Keyring as _, ReplayKey};
use crate::pipeline::Buffers;
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::pki::NodeId;
use crate::ramf::limits;
use crate::receive::inbox::{ClockReading, InboxReader};
use crate::receive::{Arrival, AuthorizationEffect, PendingReceipt, ReceiveOptions};
use crate::spool::failed::FailedMessage;
use crate::spool::moves::{Moves, Placed};
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{self, QueueId, Spool, Time};
use crate::transfer::join;
use crate::{pki, ramf, session};

/// How often the messages of a group are tried that others of it were in the way of.
const ROUNDS: usize = 3;

/// No other message is opened while those that are have more octets than this: of the largest there are two at a time.
pub(super) const IN_FLIGHT: usize = limits::MAX_MESSAGE_LEN;

/// How old a file has to be that a run was writing when it was killed: none takes so long.
const ABANDONED: SignedDuration = SignedDuration::from_hours(36);

/// Whoever delivers what waits for a node.
pub struct Delivery<'a> {
    /// The spool; the queue of the node in it is locked.
    pub spool: &'a Spool,
    /// The node.
    pub node: &'a Directory,
    /// The node's directory, from the root, as commands are told.
    pub path: PathBuf,
    /// How messages are taken, at a time that is believed.
    pub terms: ReceiveOptions,
    /// The time. By one that is not believed nothing is set aside, and what waits here is delivered all the same:
    /// it arrived in time.
    pub time: Time,
    /// The media types that are delivered; all where there is none.
    pub types: Vec<String>,
    /// Where to.
    pub destination: Destination,
    /// Whether content that comes in parts waits for all of them and is put together.
    pub joins: bool,
    /// Whether nothing is to be done.
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
    /// It was one, of a stranger, and is not kept: too many of them wrote today.
    NotKept,
    /// It is of another type, and waits for another run.
    Left,
    /// It is a part, and waits for the others.
    Part,
}

/// What opening a message came to.
enum OpenedMessage<'a> {
    Content(Box<(Content, PendingReceipt<'a>, StagedContent)>),
    Repeated,
    Left(Content),
    Part(Content),
    Failed(Error),
    /// Somebody else took it.
    Gone,
}

/// How far content is on its way.
enum StagedContent {
    /// It is written, into this directory, and has no name yet.
    Written(PathBuf, UnnamedFile),
    /// It is to be handed over in its turn.
    Message(ServiceMessage),
    /// It is a mail already that somebody has seen.
    There,
    /// It was an authorization, and this became of it.
    Imported(AuthorizationEffect),
    /// It is a part of what was put together before.
    Repeated,
    /// Nothing is to be done.
    Dry,
}

/// A message of a group, on its way.
struct Task<'a> {
    message: Waiting,
    content: Option<Content>,
    due: Option<PendingReceipt<'a>>,
    result: Result<DeliveryEffect, Error>,
    fate: Disposition,
}

/// What becomes of the file of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Stays,
    Goes,
    SetAside,
    /// It stays for now: another one was in its way.
    Again,
}

/// What a run knows.
pub(super) struct DeliveryState<'a> {
    pub(super) home: InboxReader<'a>,
    /// The user whose files arrived in time.
    keeper: Option<u32>,
    pub(super) intents: Intents,
    /// Directories that are there for certain.
    folders: Mutex<HashSet<PathBuf>>,
    transfers: Mutex<Transfers>,
    pub(super) buffers: Buffers,
}

impl<'a> DeliveryState<'a> {
    /// Opens a message; `None` when it has gone. Whose file was read decides whether it arrived in time.
    pub(super) fn open(
        &self,
        message: &Waiting,
        len: usize,
    ) -> Result<Option<Arrival<'a, ServiceMessage>>, Error> {
        let Some((octets, owner)) = message.read_with_owner(self.buffers.take(len))? else {
            return Ok(None);
        };
        let keeper = self.keeper;
        let is_in_time = keeper == Some(owner);
        // Another user may have dated their file back.
        let stored = if is_in_time {
            message.stored()?.unwrap_or(Timestamp::MAX)
        } else {
            Timestamp::MAX
        };
        match self.home.open(octets, stored, is_in_time) {
            Err(cause) if !is_in_time && is_expiry(&cause) => Err(Error::Late {
                cause,
                owner,
                keeper,
            }),
            opened => Ok(Some(opened?)),
        }
    }

    /// What is known of contents that come in parts.
    pub(super) fn transfers(&self) -> MutexGuard<'_, Transfers> {
        locked(&self.transfers)
    }

    /// Forgets what was intended for contents in parts, but for these and those whose parts wait.
    pub(super) fn retain_intents(&mut self, failed: &BTreeSet<String>) {
        let transfers = locked(&self.transfers);
        self.intents
            .retain_transfers(|key| failed.contains(key) || transfers.has(key));
    }
}

impl<'a> Delivery<'a> {
    /// Delivers everything that waits for the node, and tells `each` what became of it. What comes in parts and waits
    /// for another run, because there is too much of it, is given.
    ///
    /// # Errors
    /// What cannot be gone on from: the queue cannot be read or changed, content cannot be stored at all, the
    /// command cannot be run, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(DeliveryOutcome) -> Result<(), E>,
        stray: &mut dyn FnMut(PathBuf),
    ) -> Result<Option<LeftOut>, E> {
        let mut state = self.state()?;
        let queue = self.spool.queue(QueueId::Home(self.node.id()));
        let mut entries = queue.entries().map_err(Error::from)?;
        loop {
            let (mut group, failed) = self.group(&mut entries, stray);
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

    /// Removes what runs left of files long ago that they were killed over, if it is certain that it was.
    fn sweep(&self, dir: &Path) -> Result<(), disk::Error> {
        if !self.time.is_believed() {
            return Ok(());
        }
        let before = self.terms.now.checked_sub(ABANDONED).ok();
        let before = before.map_or(SystemTime::UNIX_EPOCH, SystemTime::from);
        sweep(dir, FileRole::Delivery, Some(before))?;
        Ok(())
    }

    /// The next messages, and why there are no more if that is not the end.
    fn group(
        &self,
        entries: &mut impl Iterator<Item = Result<QueueEntry, spool::Error>>,
        stray: &mut dyn FnMut(PathBuf),
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
                Some(Ok(QueueEntry::Stray(path))) => stray(path),
                Some(Err(error)) => return (group, Some(error)),
                None => break,
            }
        }
        (group, None)
    }

    /// Delivers a group; gives what became of its messages, and those that are to be tried once more.
    fn deliver(
        &self,
        group: Vec<Waiting>,
        is_last: bool,
        state: &mut DeliveryState<'a>,
    ) -> Result<(Vec<DeliveryOutcome>, Vec<Waiting>), Error> {
        let opened = self.open_all(&group, state)?;
        let mut tasks = self.hand_over_all(group, opened, state)?;
        if !self.is_dry {
            self.settle(&mut tasks, state)?;
        }
        let (mut outcomes, mut again) = (Vec::new(), Vec::new());
        for task in tasks {
            let is_wrong = is_last && task.result.is_err();
            if task.fate == Disposition::Again && !is_wrong {
                again.push(task.message);
                continue;
            }
            outcomes.push(DeliveryOutcome {
                path: task.message.path,
                content: task.content,
                is_untimely: task.result.as_ref().is_err_and(|it| self.is_untimely(it)),
                result: task.result,
                is_aside: task.fate == Disposition::SetAside,
            });
        }
        Ok((outcomes, again))
    }

    /// Opens the messages, on every core, and writes what is in them.
    fn open_all(
        &self,
        group: &[Waiting],
        state: &DeliveryState<'a>,
    ) -> Result<Vec<OpenedMessage<'a>>, Error> {
        let mut waiting = group.iter().map(|message| {
            let octets = message.len_or_most();
            let item = (message, octets);
            WorkItem { item, octets }
        });
        let mut opened = Vec::new();
        workers::in_order(
            Bounds::octets(IN_FLIGHT),
            || waiting.next(),
            |(message, len)| match self.open(message, len, state) {
                Err(Error::Node(node::Error::Seen)) => OpenedMessage::Repeated,
                Err(error) => OpenedMessage::Failed(error),
                Ok(opened) => opened,
            },
            |result| {
                opened.push(result);
                Ok::<(), Error>(())
            },
        )?;
        Ok(opened)
    }

    fn open(
        &self,
        message: &Waiting,
        len: usize,
        state: &DeliveryState<'a>,
    ) -> Result<OpenedMessage<'a>, Error> {
        let Some(arrival) = state.open(message, len)? else {
            return Ok(OpenedMessage::Gone);
        };
        let content = Content::of(&arrival);
        service_message::check_type_len(arrival.content().media_type()).map_err(Error::Type)?;
        let is_authorization = arrival.is_authorization();
        if !is_authorization && !content.is_of(&self.types) {
            return Ok(OpenedMessage::Left(content));
        }
        if self.joins && content.is_part() {
            let part = Part::parse(arrival.content().content()).map_err(Error::Part)?;
            let transfer = part.header().transfer;
            if !state.home.is_joined(content.sender, transfer)? {
                locked(&state.transfers).note(content.sender, &part, &message.name);
                state.buffers.put(arrival.into_due().0.into_octets());
                return Ok(OpenedMessage::Part(content));
            }
            let (_, due) = arrival.into_due();
            return Ok(OpenedMessage::Content(Box::new((
                content,
                due,
                StagedContent::Repeated,
            ))));
        }
        if self.is_dry {
            let (_, due) = arrival.into_due();
            let ready = if is_authorization {
                StagedContent::Imported(AuthorizationEffect::OfPeer)
            } else {
                StagedContent::Dry
            };
            return Ok(OpenedMessage::Content(Box::new((content, due, ready))));
        }
        if is_authorization {
            // It changes what is known of one node. To have the whole node, all its peers' folders would be swept.
            let _locks = self.node.lock_sender(&arrival.head().sender)?;
            let imported = arrival.import_authorization(self.node, &self.terms.window);
            let ready = StagedContent::Imported(imported.map_err(Error::Import)?);
            let (_, due) = arrival.into_due();
            return Ok(OpenedMessage::Content(Box::new((content, due, ready))));
        }
        let octets = arrival.content().content();
        let written = match &self.destination {
            Destination::Directory { dir, .. } => {
                let folder = dir.join(content.folder());
                self.make(&folder, state)?;
                let file = batch::write(&folder, &[octets], &manner())?;
                Some(StagedContent::Written(folder, file))
            }
            Destination::Maildir(dir) => {
                let intended = state.intents.name_for(&message.name.to_string());
                if intended.map_or(Ok(false), |name| maildir::is_seen(dir, name))? {
                    Some(StagedContent::There)
                } else {
                    let (new, tmp) = (dir.join("new"), dir.join("tmp"));
                    let mail = maildir::mail(&content, octets);
                    let file = batch::write(&new, &[&mail], &manner().written_in(&tmp))?;
                    Some(StagedContent::Written(new, file))
                }
            }
            Destination::Command(_) => None,
        };
        let (message, due) = arrival.into_due();
        let ready = match written {
            Some(ready) => {
                state.buffers.put(message.into_octets());
                ready
            }
            None => StagedContent::Message(message),
        };
        Ok(OpenedMessage::Content(Box::new((content, due, ready))))
    }

    /// Makes the folder of a sender, once in a run.
    pub(super) fn make(&self, folder: &Path, state: &DeliveryState<'a>) -> Result<(), Error> {
        let mut folders = locked(&state.folders);
        if !folders.contains(folder) {
            if !files::create_dir_for_user(folder, FileRole::Delivery)? {
                self.sweep(folder)?;
            }
            folders.insert(folder.to_owned());
        }
        Ok(())
    }
    /// Hands over what was opened, one after another; files all get their names at once.
    fn hand_over_all(
        &self,
        group: Vec<Waiting>,
        opened: Vec<OpenedMessage<'a>>,
        state: &mut DeliveryState<'a>,
    ) -> Result<Vec<Task<'a>>, Error> {
        let mut tasks = Vec::new();
        let mut identities = HashSet::new();
        let (mut names, mut files) = (Names::default(), Vec::new());
        for (message, opened) in group.into_iter().zip(opened) {
            let mut task = Task {
                message,
                content: None,
                due: None,
                result: Ok(DeliveryEffect::Repeated),
                fate: Disposition::Goes,
            };
            match opened {
                OpenedMessage::Gone => continue,
                OpenedMessage::Repeated => {}
                OpenedMessage::Failed(error) => self.fail(&mut task, error),
                OpenedMessage::Left(content) => {
                    task.content = Some(content);
                    task.result = Ok(DeliveryEffect::Left);
                    task.fate = Disposition::Stays;
                }
                OpenedMessage::Part(content) => {
                    task.content = Some(content);
                    task.result = Ok(DeliveryEffect::Part);
                    task.fate = Disposition::Stays;
                }
                OpenedMessage::Content(opened) => {
                    let (content, due, ready) = *opened;
                    let is_first = |identity: &ReplayKey| identities.insert(identity.clone());
                    if due.identity().is_none_or(is_first) {
                        match self.hand_over(&task.message, &content, ready, state, &mut names) {
                            Ok((done, file)) => {
                                task.result = Ok(done);
                                task.due = Some(due);
                                files.extend(file);
                            }
                            Err(error) => self.fail(&mut task, error),
                        }
                    } else {
                        // The same message waits under two names.
                        task.fate = Disposition::Again;
                    }
                    task.content = Some(content);
                }
            }
            tasks.push(task);
        }
        give_names(files, &mut tasks, &mut state.intents)?;
        Ok(tasks)
    }

    fn hand_over(
        &self,
        message: &Waiting,
        content: &Content,
        ready: StagedContent,
        state: &mut DeliveryState<'a>,
        names: &mut Names,
    ) -> Result<(DeliveryEffect, Option<Staged>), Error> {
        match (ready, &self.destination) {
            (StagedContent::Imported(AuthorizationEffect::NoRoom), _) => {
                Ok((DeliveryEffect::NotKept, None))
            }
            (StagedContent::Imported(_), _) => Ok((DeliveryEffect::Imported, None)),
            (StagedContent::Repeated, _) => Ok((DeliveryEffect::Repeated, None)),
            (StagedContent::Written(dir, file), destination) => {
                let is_mail = matches!(destination, Destination::Maildir(_));
                let keeps_names = matches!(
                    destination,
                    Destination::Directory {
                        keeps_names: true,
                        ..
                    }
                );
                let wish = Wish {
                    intended: state
                        .intents
                        .name_for(&message.name.to_string())
                        .map(str::to_owned),
                    given: content.safe_name().filter(|_| keeps_names),
                    own: if is_mail {
                        maildir::file_name_of(content)
                    } else {
                        content.file_name()
                    },
                };
                let (name, file) = names.choose(&dir, file, &wish)?;
                if is_mail || wish.given.is_some() {
                    state.intents.intend(&message.name.to_string(), &name);
                }
                Ok((DeliveryEffect::Delivered(Some(dir.join(name))), Some(file)))
            }
            (StagedContent::Message(message), Destination::Command(command)) => {
                self.spool.make(QueueId::Home(self.node.id()))?;
                let input = scratch::holding(&self.spool.tmp(), message.content())?;
                let name = content.safe_name();
                command.run(&content.facts(&self.path, name.as_deref()), input)?;
                Ok((DeliveryEffect::Delivered(None), None))
            }
            (StagedContent::There | StagedContent::Dry | StagedContent::Message(_), _) => {
                Ok((DeliveryEffect::Delivered(None), None))
            }
        }
    }

    fn fail(&self, task: &mut Task<'a>, error: Error) {
        task.fate = if error.is_settled() && !self.is_untimely(&error) {
            Disposition::SetAside
        } else {
            Disposition::Stays
        };
        task.result = Err(error);
    }

    /// Whether an error may be for the clock alone, which is not believed.
    pub(super) fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.depends_on_clock()
    }

    /// Finishes what is to be done about a group.
    fn settle(&self, tasks: &mut [Task<'a>], state: &mut DeliveryState<'a>) -> Result<(), Error> {
        let lines: Vec<Line> = tasks.iter().filter_map(|task| self.line(task)).collect();
        self.spool.note(&lines)?;
        let (mut numbers, mut dues) = (Vec::new(), Vec::new());
        for (number, task) in tasks.iter_mut().enumerate() {
            if let Some(due) = task.due.take() {
                numbers.push(number);
                dues.push(due);
            }
        }
        for (number, error) in state.home.complete(&dues)? {
            let task = &mut tasks[numbers[number]];
            task.result = Err(error.into());
            task.fate = Disposition::Stays;
        }
        let mut moves = Moves::default();
        for task in tasks {
            match task.fate {
                Disposition::Stays | Disposition::Again => continue,
                Disposition::Goes => moves.remove(&task.message.path)?,
                Disposition::SetAside => {
                    if self.set_aside(task, &mut moves)? == Placed::Repeated {
                        task.result = Ok(DeliveryEffect::Repeated);
                    }
                }
            }
            state.intents.forget(&task.message.name.to_string());
        }
        moves.commit()?;
        Ok(())
    }

    /// What is noted of a message for whoever sent it from here.
    fn line(&self, task: &Task<'_>) -> Option<Line> {
        let (event, to) = match (&task.result, task.fate) {
            (Ok(DeliveryEffect::Delivered(_)), _) => {
                (SentEvent::Acknowledged, self.destination.to_string())
            }
            (Err(error @ Error::Late { .. }), Disposition::SetAside) => {
                (SentEvent::Expired, error.to_string())
            }
            (Ok(DeliveryEffect::Imported | DeliveryEffect::NotKept), _) => {
                (SentEvent::Acknowledged, format!("home:{}", self.node.id()))
            }
            (Err(error), Disposition::SetAside) => (SentEvent::Failed, error.to_string()),
            _ => return None,
        };
        let head = task.head()?;
        Some(Line {
            time: self.time.told,
            event,
            recipient: head.recipient,
            sender: head.sender,
            id: head.id,
            to: Some(to),
            cargo: None,
            medium: None,
        })
    }

    fn set_aside(&self, task: &Task<'_>, moves: &mut Moves) -> Result<Placed, Error> {
        let head = task.head();
        let is_ours = head
            .as_ref()
            .is_none_or(|head| head.recipient == self.node.id());
        let aside = FailedMessage {
            path: &task.message.path,
            name: &task.message.name,
            id: head.as_ref().map(|head| head.id.as_str()),
            why: task
                .result
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default(),
            back_to: if is_ours {
                QueueId::Home(self.node.id())
            } else {
                QueueId::In
            },
        };
        Ok(self.spool.set_aside(&aside, self.time.told, moves)?)
    }
}

/// Gives the files of a group their names, which are noted before where the files alone would not tell.
fn give_names(
    files: Vec<Staged>,
    tasks: &mut [Task<'_>],
    intents: &mut Intents,
) -> Result<(), Error> {
    let refused = batch::name_all(files, || intents.save().map_err(Error::from))?;
    for refused in refused {
        // Somebody else took the name in this instant: there will be another one.
        let has_it = |task: &&mut Task<'_>| match &task.result {
            Ok(DeliveryEffect::Delivered(Some(path))) => path == refused.path(),
            _ => false,
        };
        if let Some(task) = tasks.iter_mut().find(has_it) {
            task.due = None;
            task.fate = Disposition::Again;
            task.result = Err(refused.into());
        }
    }
    Ok(())
}

/// What a lock guards. Whoever panicked with it held had changed nothing or all of it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How content is written.
pub(super) fn manner<'a>() -> PublishOptions<'a> {
    PublishOptions::delivery(IfExists::SameIsSuccess)
}

/// Whom a message is from and for, and its id.
struct MessageHead {
    sender: NodeId,
    recipient: NodeId,
    id: String,
}

impl Task<'_> {
    /// Whom the message is from and for, as far as it can be read.
    fn head(&self) -> Option<MessageHead> {
        if let Some(content) = &self.content {
            return Some(MessageHead {
                sender: content.sender,
                recipient: content.recipient,
                id: content.id.clone(),
            });
        }
        let parcel = Parcel::parse(self.message.read().ok()??)
            .ok()?
            .into_message();
        Some(MessageHead {
            sender: parcel.sender(),
            recipient: parcel.fields().recipient,
            id: parcel.fields().id.clone(),
        })
    }
}

/// Whether the time of a message or a certificate is over.
fn is_expiry(error: &node::Error) -> bool {
    use node::Error as E;
    matches!(
        error,
        E::Pki(pki::Error::Expired { .. })
            | E::Ramf(ramf::Error::Expired(_) | ramf::Error::Pki(pki::Error::Expired { .. }))
    )
}

impl Error {
    /// Whether a message is genuine, and another try changes nothing.
    pub(super) fn is_settled(&self) -> bool {
        use node::Error as E;
        match self {
            Self::Command(error) => error.is_settled(),
            Self::Type(_)
            | Self::Late { .. }
            | Self::Part(_)
            | Self::Join(join::Error::Part(_) | join::Error::Digest)
            | Self::Node(
                E::Unjudged
                | E::UnknownSessionKey(_)
                | E::Ramf(ramf::Error::Unauthorized { .. } | ramf::Error::Recipient(_)),
            ) => true,
            Self::Node(E::Session(error)) => !matches!(error, session::Error::Crypto(_)),
            // An honest one has begun when its parcel is dated, and that is not early, or it would not be open.
            Self::Import(error) => !matches!(error, E::Disk(_) | E::Damaged { .. }),
            _ => false,
        }
    }

    /// Whether a clock that is right may lead to another answer.
    #[must_use]
    pub fn depends_on_clock(&self) -> bool {
        self.kind().depends_on_clock()
    }

    /// Whether nobody can tell if the message was received before.
    #[must_use]
    pub fn is_unjudged(&self) -> bool {
        matches!(self, Self::Node(node::Error::Unjudged))
    }

    /// Whether other content would fare no better: there is no room for it, or nobody to take it.
    #[must_use]
    pub fn is_of_destination(&self) -> bool {
        match self {
            Self::Command(error) => error.is_of_command(),
            Self::Parts { cause, .. } => cause.is_of_destination(),
            Self::Disk(error) | Self::Join(join::Error::Disk(error)) => matches!(
                error.io_kind(),
                Some(
                    ErrorKind::StorageFull
                        | ErrorKind::QuotaExceeded
                        | ErrorKind::ReadOnlyFilesystem
                )
            ),
            _ => false,
        }
    }
}
