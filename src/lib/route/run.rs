//! Routes the messages in `in`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::SignedDuration;

use super::{Error, Hops, Target};
use crate::command::{Command, RunOptions};
use crate::disk::publish::{self, IfExists, PublishOptions};
use crate::disk::{self, Lock, Mode, batch};
use crate::kind::ErrorKind;
use crate::message::Item;
use crate::node::seen::Memory;
use crate::node::{RateClaim, Rates, ReplayKey};
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::ramf::{Kind, limits};
use crate::spool::failed::FailedMessage;
use crate::spool::moves::{Moves, Placed};
use crate::spool::name::HopPrefix;
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{self, Intents, Name, QueueId, Room, Spool, Time};
use crate::verify::{self, Policy};

/// The most messages that are moved with one sync.
const GROUP: usize = 256;

/// The octets of messages in memory from which they are moved, even if they are fewer.
const MAX_HELD: usize = 32 * 1024 * 1024;

/// How far ahead of its time a message waits in `in`.
const MAX_EARLY: SignedDuration = SignedDuration::from_hours(24);

/// Routes the messages in `in`.
pub struct Router<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// The next hops.
    pub hops: Hops,
    /// The policy that messages are verified against.
    pub policy: Policy,
    /// The room for copies of what other users left.
    pub room: Room<'a>,
    /// What senders with a limited authorization have sent.
    pub rates: Mutex<Rates>,
    /// The time. Under a doubted clock nothing is set aside.
    pub time: Time,
    /// How commands are run.
    pub commands: RunOptions,
    /// Whether to move nothing.
    pub is_dry: bool,
}

/// The result for a message.
#[derive(Debug)]
pub struct RouteOutcome {
    /// Its file before it was moved.
    pub path: PathBuf,
    /// Its name.
    pub name: Name,
    /// Its message id, if the message could be read.
    pub id: Option<String>,
    /// The target, or the error.
    pub result: Result<Target, Error>,
    /// What became of its file.
    pub fate: Fate,
    /// Whether it waits until the clock is believed.
    pub is_untimely: bool,
}

/// What became of the file of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It went to the target.
    Routed,
    /// It stays where it is, because of the error.
    Stays,
    /// It was set aside, because of the error.
    SetAside,
    /// It was removed: the same message was at the target already, in this or another encoding.
    Repeated,
    /// It was removed: it is another user's, and no message, or there is no room for a copy.
    Useless,
}

/// A message with its routing decision.
pub(super) struct Decided {
    pub(super) message: Waiting,
    pub(super) name: Name,
    pub(super) id: Option<String>,
    /// The date of a message that is handed over, and its octets.
    pub(super) date: jiff::Timestamp,
    pub(super) octets: Vec<u8>,
    /// The other user who owns the file, if one does. They could change it at any time, so the
    /// octets that were verified go on.
    user: Option<u32>,
    /// Whether there is room for a copy of what they left, if it is to be set aside.
    has_room: bool,
    /// What it counts against, if its sender may not send any number.
    pub(super) rate: Option<RateClaim>,
    pub(super) result: Result<Target, Error>,
}

impl Decided {
    /// The command that the message is for.
    pub(super) fn command(&self) -> Option<&Command> {
        match &self.result {
            Ok(Target::Command(command)) => Some(command),
            _ => None,
        }
    }

    pub(super) fn identity(&self) -> Option<ReplayKey> {
        Some(self.name.to_replay_key(self.id.as_deref()?))
    }
}

impl Router<'_> {
    /// Routes all messages in `in`. `lock` is the queue lock, which is released for commands; a dry
    /// run needs none. The result for each goes to `each`, unexpected files go to `unexpected`.
    ///
    /// # Errors
    /// Fatal errors only: the spool cannot be read or changed, or `each` failed.
    pub fn run<E: From<Error>>(
        &self,
        lock: Option<Lock>,
        each: &mut dyn FnMut(RouteOutcome) -> Result<(), E>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> Result<(), E> {
        let mut entries = self
            .spool
            .queue(QueueId::In)
            .entries()
            .map_err(Error::from)?;
        let mut group = Vec::new();
        let mut held = 0;
        let mut has_commands = false;
        let mut failed = None;
        workers::in_order(
            Bounds::octets(limits::MAX_MESSAGE_LEN),
            || {
                loop {
                    match entries.next()? {
                        Ok(QueueEntry::Message(item)) => {
                            let is_pdd = item.name.identity.kind == Kind::Pdd;
                            if is_pdd || matches!(item.len(), Ok(None)) {
                                continue; // taken before, or gone
                            }
                            let octets = item.len_or_most();
                            return Some(WorkItem { item, octets });
                        }
                        Ok(QueueEntry::Unexpected(path)) => unexpected(path),
                        Err(error) => {
                            failed = Some(error);
                            return None;
                        }
                    }
                }
            },
            |message| self.decide(message),
            |decided| {
                let Some(decided) = decided? else {
                    return Ok(());
                };
                // After everything else: a slow command delays only what is for it.
                if decided.command().is_some() && !self.is_dry {
                    has_commands = true;
                    return Ok(());
                }
                held += decided.octets.len();
                group.push(decided);
                if group.len() >= GROUP || held >= MAX_HELD {
                    held = 0;
                    self.commit(std::mem::take(&mut group), each)?;
                }
                Ok::<(), E>(())
            },
        )?;
        self.commit(group, each)?;
        if has_commands {
            self.run_commands(lock, each)?;
        } else if !self.is_dry {
            // Drops notes on messages that are gone. They do no harm, so an error does not end the
            // run; relay-check reports a file that cannot be read.
            let _ = Intents::of(self.spool, QueueId::In).map(|mut notes| notes.finish());
        }
        // Messages that were read before the error are routed first.
        match failed {
            Some(error) => Err(Error::from(error).into()),
            None => Ok(()),
        }
    }

    /// Decides on a message; `None` if it is gone.
    pub(super) fn decide(&self, message: Waiting) -> Result<Option<Decided>, Error> {
        let (octets, user) = match message.read_with_owner(Vec::new()) {
            Ok(Some((octets, owner))) => {
                (Ok(octets), self.spool.is_anothers(owner).then_some(owner))
            }
            Ok(None) => return Ok(None),
            // An unreadable file is reported and stays; a failing disk ends the run.
            Err(error) if error.is_of_one_file() => (Err(error), None),
            Err(error) => return Err(error.into()),
        };
        let mut decided = Decided {
            name: Name {
                from: from(user, &message.name),
                ..message.name.clone()
            },
            user,
            has_room: true,
            rate: None,
            message,
            id: None,
            date: self.time.told,
            octets: Vec::new(),
            // A placeholder, which the next statement replaces.
            result: Err(Error::Kind("message")),
        };
        let len = octets.as_ref().map_or(0, Vec::len);
        decided.result = octets
            .map_err(Error::from)
            .and_then(|octets| self.way(octets, &mut decided));
        if decided.user.is_some() {
            self.find_room(&mut decided, len);
        }
        Ok(Some(decided))
    }

    /// Reserves room for the copy of what another user left, on the quota of that user: for what
    /// cannot be copied now, there may be room later.
    fn find_room(&self, decided: &mut Decided, len: usize) {
        let is_stored = matches!(
            &decided.result,
            Ok(Target::Home(_) | Target::Out(_) | Target::Internet)
        );
        let may_fail = match &decided.result {
            // What a command refuses is set aside.
            Ok(target) => matches!(target, Target::Command(_)),
            Err(error) => self.is_settled(error),
        };
        if !is_stored && !may_fail {
            return;
        }
        let (payer, name) = (self.room.payer(&decided.name), &decided.name);
        if let Err(error) = self.room.promise(payer, name, name.identity.sender, len) {
            decided.has_room = false;
            if is_stored {
                decided.result = Err(error.into());
            }
        }
    }

    /// Verifies a message and decides where it goes.
    fn way(&self, octets: Vec<u8>, decided: &mut Decided) -> Result<Target, Error> {
        let item = Item::parse(octets)?;
        if item.kind() != Kind::Parcel {
            return Err(Error::Kind(item.kind().word()));
        }
        decided.id = item.message().map(|message| message.fields().id.clone());
        let (item, is_shown) = verify::transit(item, &self.policy).map_err(Error::of_message)?;
        let Some(message) = item.message() else {
            return Err(Error::Kind(item.kind().word()));
        };
        // The writer of a file chose its name, so the message itself says what it is. Only the
        // priority is taken from the name, and the hop if the file is ours.
        decided.name = Name {
            priority: decided.message.name.priority,
            from: from(decided.user, &decided.message.name),
            ..Name::of(&item, self.time.told)
        };
        let decision = self.hops.decide(message, decided.name.from, is_shown)?;
        decided.name.priority = decided.name.priority.or(decision.priority);
        decided.name.copies = decision.copies;
        // RS-002: an Internet gateway counts a parcel when it receives it, a private one at its date.
        let is_on_internet = self.spool.owner().config().address().is_some();
        decided.rate = RateClaim::of(message, is_on_internet.then_some(self.time.told));
        // Other messages are moved by a rename, so their octets need not stay in memory.
        let is_handed_over = matches!(decision.target, Target::Directory(_) | Target::Command(_));
        if is_handed_over || decided.user.is_some() {
            decided.date = message.fields().date;
            decided.octets = item.into_octets();
        }
        Ok(decision.target)
    }

    /// Moves a group of messages, and reports them.
    pub(super) fn commit<E: From<Error>>(
        &self,
        group: Vec<Decided>,
        each: &mut dyn FnMut(RouteOutcome) -> Result<(), E>,
    ) -> Result<(), E> {
        self.moved(group)?.into_iter().try_for_each(each)
    }

    /// Hands over, notes and moves a group of messages, in this order.
    fn moved(&self, mut group: Vec<Decided>) -> Result<Vec<RouteOutcome>, Error> {
        let mut placed = Vec::new();
        self.count(&mut group)?;
        if !self.is_dry {
            // Handed over before it is noted: a crash in between hands it over twice, but never
            // notes what was not handed over.
            let passed = hand_over_all(&mut group);
            // Remembered before the file is removed: if it comes back, it must not count as new.
            if !passed.is_empty() {
                Memory::of(self.spool.owner().root())?.pass_on(&passed)?;
            }
            let lines: Vec<Line> = group.iter().filter_map(|it| self.line(it)).collect();
            self.spool.note(&lines)?;
            placed = self.place_all(&group)?;
        }
        let mut placed = placed.into_iter();
        let outcomes = group.into_iter().map(|decided| {
            let mut result = decided.result;
            let mut fate = match &result {
                Ok(_) => Fate::Routed,
                Err(error) if self.is_settled(error) => Fate::SetAside,
                Err(_) => Fate::Stays,
            };
            match placed.next() {
                Some(Ok(Placed::Repeated)) => fate = Fate::Repeated,
                Some(Ok(Placed::Useless)) => fate = Fate::Useless,
                Some(Err(error)) => {
                    fate = Fate::Stays;
                    result = Err(error.into());
                }
                Some(Ok(Placed::New)) | None => {}
            }
            RouteOutcome {
                path: decided.message.path,
                name: decided.name,
                id: decided.id,
                is_untimely: result.as_ref().is_err_and(|error| self.is_untimely(error)),
                result,
                fate,
            }
        });
        Ok(outcomes.collect())
    }

    /// Moves the messages of a group to their queues, sets aside, or removes what was handed over. Gives what became of
    /// each; only what is of one file does not end the run.
    fn place_all(&self, group: &[Decided]) -> Result<Vec<Result<Placed, spool::Error>>, Error> {
        let mut moves = Moves::default();
        let is_aside = |decided: &&Decided| {
            let result = decided.result.as_ref();
            result.is_err_and(|error| self.is_settled(error))
        };
        let asides = group.iter().filter(is_aside).map(|decided| FailedMessage {
            path: &decided.message.path,
            name: &decided.name,
            id: decided.id.as_deref(),
            why: decided
                .result
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default(),
            back_to: QueueId::In,
            transfer: None,
            has_room: decided.has_room,
        });
        let asides: Vec<_> = asides.collect();
        let aside = self
            .spool
            .set_aside_all(&asides, self.time.told, &mut moves)?;
        let mut aside = aside.into_iter();
        let mut placed: Vec<_> = group
            .iter()
            .map(|decided| {
                if is_aside(&decided) {
                    aside.next().unwrap_or(Ok(Placed::New))
                } else {
                    self.place(decided, &mut moves)
                }
            })
            .collect();
        // After all names are given, since each removal waits for those before it.
        for (placed, decided) in placed.iter_mut().zip(group) {
            if let Ok(Target::Directory(_) | Target::Command(_)) = decided.result {
                *placed = moves.remove(&decided.message.path).map(|()| Placed::New);
            }
        }
        moves.commit()?;
        placed
            .into_iter()
            .map(|placed| match placed {
                Err(error) if !error.is_of_one_file() => Err(error.into()),
                placed => Ok(placed),
            })
            .collect()
    }

    /// Whether every further try fails in the same way.
    pub(super) fn is_settled(&self, error: &Error) -> bool {
        (is_settled(error) || self.is_far_ahead(error)) && !self.is_untimely(error)
    }

    /// Whether a message, or a certificate in it, is so far in the future that waiting for it is no
    /// use. What is a little early is only from another clock, and is routed in time.
    fn is_far_ahead(&self, error: &Error) -> bool {
        let Error::Message(error) = error else {
            return false;
        };
        let latest = self.time.told.checked_add(MAX_EARLY);
        error
            .begins()
            .is_some_and(|at| latest.is_ok_and(|latest| at > latest))
    }

    /// Whether an error may only be due to the clock, which is doubted.
    fn is_untimely(&self, error: &Error) -> bool {
        !self.time.is_believed() && error.kind().depends_on_clock()
    }

    /// The line for `sent`, which the sender can read.
    fn line(&self, decided: &Decided) -> Option<Line> {
        let identity = &decided.name.identity;
        let (event, to) = match &decided.result {
            Ok(target @ (Target::Home(_) | Target::Out(_) | Target::Internet)) => {
                (SentEvent::Queued, target.to_string())
            }
            Ok(target @ (Target::Directory(_) | Target::Command(_))) => {
                (SentEvent::Released, target.to_string())
            }
            // What was not signed like this says nothing of any message.
            Err(error) if is_unsigned(error) => return None,
            Err(error) if self.is_settled(error) => {
                let is_message = matches!(error, Error::Message(_));
                let event = if is_message && error.kind() == ErrorKind::Expired {
                    SentEvent::Expired
                } else {
                    SentEvent::Failed
                };
                (event, error.to_string())
            }
            Err(_) => return None,
        };
        Some(Line {
            time: self.time.told,
            event,
            recipient: identity.recipient,
            sender: identity.sender,
            id: decided.id.clone()?,
            to: Some(to),
            cargo: None,
            medium: None,
            transfer: None,
        })
    }

    /// Moves a message to its queue, if it goes to one.
    fn place(&self, decided: &Decided, moves: &mut Moves) -> Result<Placed, spool::Error> {
        let from = &decided.message.path;
        let place = match &decided.result {
            Ok(Target::Home(node)) => QueueId::Home(*node),
            Ok(Target::Out(hop)) => QueueId::Out(*hop),
            Ok(Target::Internet) => QueueId::Internet,
            Ok(Target::Directory(_) | Target::Command(_)) | Err(_) => return Ok(Placed::New),
        };
        let queue = self.spool.make(place)?;
        if decided.user.is_none() {
            return self.spool.move_to(&queue, from, &decided.name, moves);
        }
        // Copied instead of renamed: the owner of the file could still change it afterwards.
        let tmp = self.spool.tmp();
        // An endpoint's own user has to read what is in `home`.
        let mode = match place {
            QueueId::Home(_) => self.spool.mode_of(decided.name.identity.kind),
            _ => Mode::Secret,
        };
        let kind = decided.name.identity.kind;
        let options = self
            .spool
            .arriving(kind, IfExists::SameIsSuccess)
            .mode(mode);
        let (to, options) = ((&queue, &decided.name), options.written_in(&tmp));
        moves.place_copy(from, to, &decided.octets, &options)
    }
}

/// Hands messages over to directories; those for commands were. Gives the identities of those that
/// were taken.
fn hand_over_all(group: &mut [Decided]) -> Vec<ReplayKey> {
    put_into_dirs(group);
    let is_passed = |decided: &&Decided| {
        matches!(
            decided.result,
            Ok(Target::Directory(_) | Target::Command(_))
        )
    };
    let passed = group.iter().filter(is_passed);
    passed.filter_map(Decided::identity).collect()
}

/// Who brought a message: the other user who owns its file, else the hop in its name.
fn from(user: Option<u32>, name: &Name) -> Option<HopPrefix> {
    user.map(HopPrefix::of_user).or(name.from)
}

/// Puts messages into directories outside of the spool, with one sync.
fn put_into_dirs(group: &mut [Decided]) {
    let (mut staged, mut numbers) = (Vec::new(), Vec::new());
    for (number, decided) in group.iter_mut().enumerate() {
        let Ok(Target::Directory(dir)) = &decided.result else {
            continue;
        };
        let (path, options) = handed_file(dir, decided);
        if !dir.is_dir() {
            decided.result = Err(Error::NoDirectory(dir.clone()));
            continue;
        }
        match batch::stage(&path, &[&decided.octets], &options) {
            Ok(file) => {
                staged.push(file);
                numbers.push((number, path));
            }
            Err(error) => decided.result = Err(error.into()),
        }
    }
    let named = batch::name_all(staged, || Ok::<(), disk::Error>(()));
    for (number, path) in numbers {
        let is_there = named
            .as_ref()
            .is_ok_and(|refused| refused.iter().all(|error| error.path() != path));
        let decided = &mut group[number];
        let Ok(Target::Directory(dir)) = &decided.result else {
            continue;
        };
        // One after another then, which tells whose failure it is.
        if !is_there {
            let (path, options) = handed_file(dir, decided);
            if let Err(error) = publish::publish(&path, &[&decided.octets], &options) {
                decided.result = Err(error.into());
            }
        }
    }
}

/// The file of a message that is put into a directory outside of the spool, and how it is written.
fn handed_file(dir: &Path, decided: &Decided) -> (PathBuf, PublishOptions<'static>) {
    let name = Name {
        priority: None,
        copies: None,
        from: None,
        ..decided.name.clone()
    };
    let options = PublishOptions::delivery(IfExists::SameIsSuccess);
    (dir.join(name.to_string()), options)
}

/// Whether every further try by a right clock fails in the same way. Files appear whole in a queue, so nothing completes
/// later what is no message now.
fn is_settled(error: &Error) -> bool {
    match error {
        Error::NoRoute { .. }
        | Error::Back(_)
        | Error::NotShown
        | Error::Kind(_)
        | Error::Spool(
            spool::Error::Disk(disk::Error::TooLarge { .. }) | spool::Error::OverQuota { .. },
        ) => true,
        Error::Command(error) => error.is_settled(),
        Error::Message(error) => !matches!(error.kind(), ErrorKind::Early | ErrorKind::Internal),
        Error::Node(error) => {
            matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::OverRate)
        }
        _ => false,
    }
}

/// Whether the file is no message, or not as it was signed.
fn is_unsigned(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Corrupt)
}

impl Spool {
    /// Moves the messages of a queue back to `in`, to be routed again. The caller holds the queue lock.
    ///
    /// # Errors
    /// When a message cannot be moved.
    pub fn recall(&self, from: QueueId) -> Result<usize, spool::Error> {
        let queue = self.make(QueueId::In)?;
        let mut moves = Moves::default();
        let mut count = 0;
        for message in self.queue(from).messages()? {
            let message = message?;
            let name = Name {
                // Set again by the route that is found now.
                copies: None,
                ..message.name
            };
            let _ = moves.place(&message.path, &queue, &name)?;
            count += 1;
        }
        moves.commit()?;
        Ok(count)
    }
}
