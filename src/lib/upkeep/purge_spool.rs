//! Removes expired messages and old records from a spool, then purges the nodes that use it.
//!
//! A message is removed only if it has expired according to its own fields, and a note of that is
//! stored first. Messages in `home`, and the session keys that open waiting messages, are never
//! removed.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use crate::disk::tree::{self, EntryKind, Visited};
use crate::disk::{self, FileRole, files};
use crate::message::Item;
use crate::node::{self, Directory};
use crate::pki::{NodeId, Window};
use crate::ramf::{self, Kind as MessageKind};
use crate::session::Sealed;
use crate::spool::queue::{QueueEntry as Entry, WHY, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{
    Error, Name, Queue, QueueId, QueueKind, SENT, Spool, TMP, carried, exchanges, hosts,
};
use crate::upkeep::purge_item::{ParcelId, PurgeFinding, PurgeItem, PurgeKind, PurgeReason};
use crate::upkeep::purge_node::SpentKey;
use crate::upkeep::remover::{PurgeOptions, Remover};

/// Maximum number of messages removed with one sync of their directory.
const GROUP: usize = 4096;

/// How long notes on messages are kept: the maximum lifetime of a message (180 days, RS-001), and a
/// month.
const SENT_KEPT_FOR: SignedDuration = SignedDuration::from_hours(210 * 24);

/// How long what is known of servers is kept once no program used it.
const HOST_KEPT_FOR: SignedDuration = SignedDuration::from_hours(60 * 24);

/// Maximum length of the first line of a record of cargo, in octets; it has the date.
const DATE_LEN: u64 = 64;

/// Purges a spool and the nodes that use it.
#[derive(Debug)]
pub struct Purger<'a> {
    /// The spool; the caller holds its queue lock, except in a dry run.
    pub spool: &'a Spool,
    /// The local endpoints that use it, each with the time by its own clock drift.
    pub endpoints: &'a [(Directory, Window)],
    /// The options for the spool and the node that it belongs to.
    pub options: PurgeOptions,
}

/// A message that has expired.
struct Ended {
    path: PathBuf,
    expiry: Timestamp,
    parcel: Option<ParcelId>,
}

/// The result of reading a message that has expired according to its file name.
enum Expiry {
    /// It has expired.
    Ended(Ended),
    /// It stays, for this reason.
    Stays(String),
    /// It cannot be read.
    Unreadable(disk::Error),
    /// The file is gone.
    Gone,
}

impl Purger<'_> {
    /// Removes what is no longer needed, and reports each item to `each`.
    ///
    /// # Errors
    /// When something cannot be read or removed, or `each` fails.
    pub fn purge<E>(&self, each: &mut dyn FnMut(PurgeFinding) -> Result<(), E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        let mut remover = Remover {
            options: self.options,
            each,
        };
        for queue in self.spool.queues()? {
            match queue.place() {
                // A message that arrived in time is delivered at any age.
                QueueId::Home(_) => {}
                // Only the owner removes messages of other users.
                QueueId::In if self.spool.is_guest() => {}
                _ => self.messages(&queue, &mut remover)?,
            }
        }
        self.reasons(&mut remover)?;
        self.node(self.spool.owner(), &mut remover)?;
        for (endpoint, window) in self.endpoints {
            let options = PurgeOptions {
                window: *window,
                ..self.options
            };
            let each = &mut *remover.each;
            self.node(endpoint, &mut Remover { options, each })?;
        }
        let root = self.spool.root();
        let days = (FileRole::Spool, EntryKind::File);
        remover.days(&root.join(SENT), days, PurgeKind::Sent, SENT_KEPT_FOR)?;
        self.carried(&mut remover)?;
        self.hosts(&mut remover)?;
        self.leftovers(&mut remover)?;
        if !self.options.is_dry {
            self.spool.renew_ledger();
        }
        Ok(())
    }

    /// Removes temporary files of killed runs. It enters no directory below those that a group may
    /// write to: a member can replace such a directory by a link while this runs.
    fn leftovers<E>(&self, remover: &mut Remover<'_, E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        let root = self.spool.root();
        remover.leftovers(root, FileRole::Spool, false)?;
        for entry in tree::entries(root, FileRole::Spool)
            .map_err(Error::from)?
            .entries
        {
            let is_shared = [TMP, "in", "home"].iter().any(|dir| entry.name == *dir);
            if entry.kind == EntryKind::Dir {
                remover.leftovers(&entry.path, FileRole::Spool, !is_shared)?;
            }
        }
        for (_, home) in self.spool.queues_in(QueueKind::Home)? {
            if !home.is_closed()? {
                remover.leftovers(home.dir(), FileRole::Spool, false)?;
            }
        }
        Ok(())
    }

    /// Purges a node, but keeps what its waiting messages need.
    fn node<E>(&self, node: &Directory, remover: &mut Remover<'_, E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        // Where nobody can say what waits, all is kept that it may need.
        let home = self.spool.queue(QueueId::Home(node.id()));
        let earliest = listed(&home, self.earliest_at_home(node), remover)?;
        remover.node(node, earliest.unwrap_or(Some(Timestamp::MIN)))?;
        let spent = remover.spent_keys(node)?;
        let spent = listed(&home, self.not_named(node, spent), remover)?;
        remover.keys(node, spent.unwrap_or_default())
    }

    /// Removes the expired messages of a queue.
    fn messages<E>(&self, queue: &Queue, remover: &mut Remover<'_, E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        let mut group = Vec::new();
        let entries = listed(queue, queue.entries(), remover)?;
        for entry in entries.into_iter().flatten() {
            let message = match listed(queue, entry, remover)? {
                Some(Entry::Message(message)) => message,
                Some(Entry::Unexpected(path)) => {
                    remover.unexpected(path, &"not a message that these programs stored")?;
                    continue;
                }
                None => break,
            };
            if !self.options.window.is_after(message.name.expiry) {
                continue;
            }
            match self.examine(&message, queue.place())? {
                Expiry::Ended(ended) => group.push(ended),
                Expiry::Stays(problem) => remover.unexpected(message.path, &problem)?,
                Expiry::Unreadable(error) => {
                    remover.readable::<()>(&message.path, Err(error))?;
                }
                Expiry::Gone => {}
            }
            if group.len() >= GROUP {
                self.remove(queue, std::mem::take(&mut group), remover)?;
            }
        }
        self.remove(queue, group, remover)
    }

    /// Reads a message that has expired according to its file name, and checks its own fields: a
    /// name is no evidence.
    fn examine(&self, message: &Waiting, place: QueueId) -> Result<Expiry, Error> {
        // A failed control message that cannot be parsed is removed by its file name: no user's
        // content is lost.
        let is_of_control = place == QueueId::Failed && message.name.is_of_control();
        let ended = || {
            Expiry::Ended(Ended {
                path: message.path.clone(),
                expiry: message.name.expiry,
                parcel: None,
            })
        };
        let octets = match message.read() {
            Ok(Some(octets)) => octets,
            Ok(None) => return Ok(Expiry::Gone),
            Err(Error::Disk(disk::Error::TooLarge { .. })) if is_of_control => return Ok(ended()),
            Err(Error::Disk(error)) if error.is_of_reading() => {
                return Ok(Expiry::Unreadable(error));
            }
            Err(error) if error.is_of_one_file() => return Ok(Expiry::Stays(error.to_string())),
            Err(error) => return Err(error),
        };
        let item = match Item::parse(octets) {
            Ok(item) => item,
            Err(_) if is_of_control => return Ok(ended()),
            Err(error) => return Ok(Expiry::Stays(error.to_string())),
        };
        // A control message may have no expiry of its own; the program that stored it put one into
        // the file name.
        let expiry = item.expiry().unwrap_or(message.name.expiry);
        if !self.options.window.is_after(expiry) {
            let problem = format!("expires at {expiry}, but its name says another time");
            return Ok(Expiry::Stays(problem));
        }
        let parcel = match (item.kind(), item.message()) {
            (MessageKind::Parcel, Some(parcel)) => Some(ParcelId {
                recipient: parcel.fields().recipient,
                sender: parcel.sender(),
                id: parcel.fields().id.clone(),
            }),
            _ => None,
        };
        Ok(Expiry::Ended(Ended {
            path: message.path.clone(),
            expiry,
            parcel,
        }))
    }

    /// Notes that messages of a queue have expired, and removes them.
    fn remove<E>(
        &self,
        queue: &Queue,
        group: Vec<Ended>,
        remover: &mut Remover<'_, E>,
    ) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        if !self.options.is_dry {
            // Before the removal: a message must not disappear without a note, even after a crash.
            self.note(&group)?;
        }
        let mut useless = Vec::with_capacity(group.len());
        for ended in group {
            let reason = match queue.place() {
                QueueId::Failed => reason_of(&ended.path)?,
                _ => None,
            };
            useless.push(PurgeItem {
                what: PurgeKind::Message,
                why: PurgeReason::Expired,
                since: Some(ended.expiry),
                path: ended.path,
                parcel: ended.parcel,
            });
            useless.extend(reason.map(orphan));
        }
        // Earlier removals need no sync either: taking the queue lock synced the queues.
        if useless.is_empty() {
            return Ok(());
        }
        remover.remove(queue.dir(), FileRole::Spool, useless)
    }

    /// Notes that parcels have expired, each once.
    fn note(&self, group: &[Ended]) -> Result<(), Error> {
        let mut parcels: HashSet<&ParcelId> =
            group.iter().filter_map(|it| it.parcel.as_ref()).collect();
        if parcels.is_empty() {
            return Ok(());
        }
        // A killed run may have noted some of them and removed none.
        self.spool.each_noted(SentEvent::Expired, &mut |line| {
            parcels.remove(&ParcelId {
                recipient: line.recipient,
                sender: line.sender,
                id: line.id,
            })
        })?;
        let mut lines = Vec::new();
        for ended in group {
            let Some(parcel) = ended.parcel.as_ref().filter(|it| parcels.remove(it)) else {
                continue;
            };
            lines.push(Line {
                time: self.options.now,
                event: SentEvent::Expired,
                recipient: parcel.recipient,
                sender: parcel.sender,
                id: parcel.id.clone(),
                to: Some(ramf::Error::Expired(ended.expiry).to_string()),
                cargo: None,
                medium: None,
                transfer: None,
            });
        }
        self.spool.note(&lines)
    }

    /// Removes `.why` files in `failed` whose message no longer exists.
    fn reasons<E>(&self, remover: &mut Remover<'_, E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        let queue = self.spool.queue(QueueId::Failed);
        let mut orphans = Vec::new();
        // What cannot be listed or does not belong there, `messages` reported.
        let met = tree::stream(queue.dir(), FileRole::Spool).into_iter();
        for met in met.flatten().map_while(Result::ok) {
            let Visited::Entry(entry) = met else {
                continue;
            };
            let name = entry.name.to_str().and_then(|name| name.strip_suffix(WHY));
            let Some(message) = name.filter(|_| entry.kind == EntryKind::File) else {
                continue;
            };
            if message.parse::<Name>().is_err() {
                remover.unexpected(entry.path, &"not named for a message")?;
            } else if !files::exists(&queue.dir().join(message), FileRole::Spool)
                .map_err(Error::from)?
            {
                orphans.push(orphan(entry.path));
            }
            if orphans.len() >= GROUP {
                remover.remove(queue.dir(), FileRole::Spool, std::mem::take(&mut orphans))?;
            }
        }
        if orphans.is_empty() {
            return Ok(());
        }
        remover.remove(queue.dir(), FileRole::Spool, orphans)
    }

    /// The earliest expiry among the messages that wait for a node of this machine.
    ///
    /// They are delivered at any age, so the replay memory must be complete from that time on.
    fn earliest_at_home(&self, node: &Directory) -> Result<Option<Timestamp>, Error> {
        let mut earliest: Option<Timestamp> = None;
        for message in self.spool.queue(QueueId::Home(node.id())).messages()? {
            let expiry = message?.name.expiry;
            earliest = Some(earliest.map_or(expiry, |earliest| earliest.min(expiry)));
        }
        Ok(earliest)
    }

    /// The `keys` that no waiting message for the node is sealed to.
    fn not_named(&self, node: &Directory, mut keys: Vec<SpentKey>) -> Result<Vec<SpentKey>, Error> {
        for place in [QueueId::Home(node.id()), QueueId::In, QueueId::Failed] {
            if keys.is_empty() {
                break;
            }
            for message in self.spool.queue(place).messages()? {
                let message = message?;
                let identity = &message.name.identity;
                let is_of = |key: &SpentKey| key.peer.is_none_or(|peer| peer == identity.sender);
                if identity.recipient != node.id() || !keys.iter().any(is_of) {
                    continue;
                }
                let octets = match message.read() {
                    // What is no message needs no key; one that cannot be read now may need any.
                    Err(Error::Disk(
                        disk::Error::TooLarge { .. } | disk::Error::NotRegular { .. },
                    )) => continue,
                    read => read?,
                };
                let Some(octets) = octets else {
                    continue;
                };
                let Some(parcel) = Item::parse(octets).ok().and_then(Item::into_message) else {
                    continue;
                };
                if let Ok(sealed) = Sealed::parse(parcel.payload()) {
                    keys.retain(|key| key.id != *sealed.recipient_key_id() || !is_of(key));
                }
            }
        }
        Ok(keys)
    }

    /// Removes old records of cargo that was written onto media, and a medium with nothing else.
    fn carried<E>(&self, remover: &mut Remover<'_, E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        let media = self.spool.root().join(carried::FOLDER);
        let mut gone = Vec::new();
        for medium in tree::entries(&media, FileRole::Spool)
            .map_err(Error::from)?
            .entries
        {
            if medium.kind != EntryKind::Dir {
                remover.unexpected(medium.path, &"not a directory")?;
                continue;
            }
            let mut old = Vec::new();
            let mut is_needed = false;
            let records = tree::stream(&medium.path, FileRole::Spool);
            let Some(records) = remover.readable(&medium.path, records)? else {
                continue;
            };
            for met in records {
                let entry = match remover.readable(&medium.path, met)? {
                    Some(Visited::Entry(entry)) => entry,
                    Some(Visited::Other(path)) => {
                        is_needed = true;
                        remover.unexpected(path, &"not a regular file")?;
                        continue;
                    }
                    None => {
                        is_needed = true;
                        break;
                    }
                };
                let date = remover.readable(&entry.path, date_of_record(&entry))?;
                match date {
                    Some(Some(date)) if self.options.is_over(date, SENT_KEPT_FOR) => {
                        old.push(PurgeItem {
                            what: PurgeKind::Carried,
                            why: PurgeReason::Old,
                            since: Some(date),
                            path: entry.path,
                            parcel: None,
                        });
                        continue;
                    }
                    Some(None) => remover.unexpected(entry.path, &"not a record of cargo")?,
                    Some(Some(_)) | None => {}
                }
                is_needed = true;
            }
            if is_needed {
                remover.remove(&medium.path, FileRole::Spool, old)?;
            } else {
                // With its last exchange goes the medium itself: every stick that ever came leaves one.
                gone.push(PurgeItem {
                    what: PurgeKind::Medium,
                    why: PurgeReason::Old,
                    since: old.iter().filter_map(|it| it.since).max(),
                    path: medium.path,
                    parcel: None,
                });
            }
        }
        // Also without any: an interrupted run may have removed some.
        remover.remove(&media, FileRole::Spool, gone)
    }

    /// Removes what is known of servers that no program has used for long.
    fn hosts<E>(&self, remover: &mut Remover<'_, E>) -> Result<(), E>
    where
        E: From<Error> + From<node::Error>,
    {
        let dir = self.spool.root().join(hosts::FOLDER);
        let listing = remover.readable(&dir, tree::entries(&dir, FileRole::Spool))?;
        let listing = listing.unwrap_or_default();
        for path in listing.skipped {
            remover.unexpected(path, &"not a regular file")?;
        }
        let mut old = Vec::new();
        for entry in listing.entries {
            let is_named = entry.name.to_str().is_some_and(hosts::is_named);
            if !is_named || entry.kind != EntryKind::File {
                remover.unexpected(entry.path, &"not named for an address")?;
                continue;
            }
            // What does not say its time is of no use, but may be of a newer version: it stays until its address is used.
            let changed = hosts::changed_at(&entry.path);
            if changed.is_some_and(|at| self.options.is_over(at, HOST_KEPT_FOR)) {
                old.push(PurgeItem {
                    what: PurgeKind::Host,
                    why: PurgeReason::Old,
                    since: changed,
                    path: entry.path,
                    parcel: None,
                });
            }
        }
        remover.remove(&dir, FileRole::Spool, old)
    }
}

/// What was found in a queue; `None` where it cannot be listed, which is reported.
fn listed<T, E>(
    queue: &Queue,
    found: Result<T, Error>,
    remover: &mut Remover<'_, E>,
) -> Result<Option<T>, E>
where
    E: From<Error> + From<node::Error>,
{
    match found {
        Err(Error::Disk(error)) => remover.readable(queue.dir(), Err(error)),
        found => Ok(Some(found?)),
    }
}

/// The `.why` file of a message in `failed`, if there is one.
fn reason_of(message: &Path) -> Result<Option<PathBuf>, Error> {
    let mut reason = message.as_os_str().to_owned();
    reason.push(WHY);
    let reason = PathBuf::from(reason);
    let is_there = files::exists(&reason, FileRole::Spool)?;
    Ok(is_there.then_some(reason))
}

fn orphan(path: PathBuf) -> PurgeItem {
    PurgeItem {
        what: PurgeKind::Reason,
        why: PurgeReason::Orphan,
        since: None,
        path,
        parcel: None,
    }
}

/// When the cargo of a record was written, or the medium was here last, from the first line; `None`
/// for a file that is neither `<next hop>.<sha256>` nor `last`.
fn date_of_record(entry: &tree::Entry) -> Result<Option<Timestamp>, disk::Error> {
    let name = entry.name.to_str().and_then(|name| name.split_once('.'));
    let is_named = entry.name == exchanges::LAST
        || name.is_some_and(|(hop, cargo)| {
            hop.parse::<NodeId>().is_ok()
                && cargo.len() == 64
                && crate::asn1::hex::parse(cargo).is_some()
        });
    if !is_named || entry.kind != EntryKind::File {
        return Ok(None);
    }
    let file = files::open_to_read(&entry.path, FileRole::Spool)?;
    let mut line = Vec::new();
    let read = BufReader::new(file)
        .take(DATE_LEN)
        .read_until(b'\n', &mut line);
    read.map_err(|error| disk::Error::reading(&entry.path, FileRole::Spool, error))?;
    let date = std::str::from_utf8(line.trim_ascii()).ok();
    Ok(date.and_then(|date| date.parse().ok()))
}
