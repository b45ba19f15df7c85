//! Joins parts once all of them have arrived, and delivers the content.
//!
//! No part is remembered or removed before the content is stored at its destination. Then the
//! content is remembered first: after a crash, or if parts are sent again, they are known by the
//! content.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter;
use std::path::{Path, PathBuf};

use super::names::{Names, Wish, first_free};
use super::parts::{PartParcel, PartsJoiner, TransferKey, Transfers};
use super::run::{
    Delivery, DeliveryEffect, DeliveryOutcome, DeliveryState, IN_FLIGHT, MOST_CLAIMS,
    publish_options,
};
use super::trees::{StagedTree, place_joined};
use super::{Content, Destination, Error, maildir};
use crate::archive;
use crate::disk::batch;
use crate::disk::{self, FileRole, files};
use crate::message::file_name::{self, numbered_names};
use crate::message::parts::TransferId;
use crate::message::{Part, ServiceMessage};
use crate::pipeline::workers::{self, Bounds, WorkItem};
use crate::pki::NodeId;
use crate::receive::PendingReceipt;
use crate::spool::failed::FailedMessage;
use crate::spool::moves::Moves;
use crate::spool::queue::{Queue, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{self, Intents, Name, QueueId};
use crate::transfer::join::{self, Join, Site, Whole};

/// The most lines that are noted in one write.
const NOTED_AT_ONCE: usize = 1000;

/// How many names of a content are tried that the file system refuses: as it was given, another
/// spelling, and the one that follows from the parts.
const MOST_REFUSALS: usize = 2;

impl<'a> Delivery<'a> {
    /// Joins and delivers all contents whose parts have arrived.
    pub(super) fn join_all<E: From<Error>>(
        &self,
        state: &mut DeliveryState<'a>,
        each: &mut dyn FnMut(DeliveryOutcome) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut failed = BTreeSet::new();
        loop {
            let settled = state.transfers().take_settled();
            if settled.is_empty() {
                break;
            }
            let mut settled = settled.into_iter().peekable();
            while settled.peek().is_some() {
                let joiners = settled.by_ref().take(MOST_CLAIMS);
                let mut joiners: BTreeMap<TransferKey, PartsJoiner<'a>> = joiners
                    .map(|(key, known)| (key, PartsJoiner::new(known)))
                    .collect();
                // Anew, and held until all parts are remembered: relay-open opens parts, too.
                let senders = joiners.keys().map(|key| key.sender);
                state.home.claim(&senders.collect()).map_err(Error::from)?;
                self.gather(&mut joiners, state)?;
                for (key, joiner) in joiners {
                    let Some(outcome) = self.finish(key, joiner, state)? else {
                        continue;
                    };
                    if outcome.result.is_err() && !outcome.is_aside {
                        failed.insert(key.to_string());
                    }
                    each(outcome)?;
                }
                state.home.release();
            }
        }
        state.retain_intents(&failed);
        Ok(())
    }

    /// Reads the parts from the parcels that wait, in the order of the parts as far as that is
    /// known. While one part is written, the next is opened.
    fn gather(
        &self,
        joiners: &mut BTreeMap<TransferKey, PartsJoiner<'a>>,
        state: &DeliveryState<'a>,
    ) -> Result<(), Error> {
        let queue = self.spool.queue(QueueId::Home(self.node.id()));
        let parcels = parcels_of(joiners, &queue, &state.transfers())?;
        // Parts of these senders may be in messages that were not noted, so all their messages are
        // opened.
        let mut senders: HashSet<NodeId> = joiners.keys().map(|key| key.sender).collect();
        senders.retain(|sender| state.transfers().is_unplaced(*sender));
        let others = (!senders.is_empty()).then(|| queue.messages());
        let others = others.transpose()?;
        let mut failed = None;
        let mut others = others.into_iter().flatten().map_while(|message| {
            let message = message.map_err(|error| failed = Some(error));
            message.ok()
        });
        let is_other = |message: &Waiting| {
            let name = &message.name;
            senders.contains(&name.identity.sender) && state.transfers().place_of(name).is_none()
        };
        let parcels = parcels.into_iter().map(|(_, name)| queue.waiting(name));
        let mut messages = parcels.chain(others.by_ref().filter(is_other));
        workers::in_order(
            Bounds::octets(IN_FLIGHT),
            || {
                let message = messages.next()?;
                let octets = message.len_or_most();
                let item = (message, octets);
                Some(WorkItem { item, octets })
            },
            |(message, len)| {
                let opened = self.open_part(&message, len, state);
                (message, opened)
            },
            // Errors were reported in the first pass, so such a message is only skipped here.
            |(message, opened)| {
                let Some((content, held, due)) = opened else {
                    return Ok(());
                };
                let Ok(part) = Part::parse(held.content()) else {
                    return Ok(());
                };
                let (sender, transfer) = (content.sender, part.header().transfer);
                if let Some(joiner) = joiners.get_mut(&TransferKey { sender, transfer }) {
                    let site = |whole: &Content| self.site(whole, state);
                    joiner.take(&part, (message, content, due), site);
                }
                state.buffers.put(held.into_octets());
                Ok::<(), Error>(())
            },
        )?;
        drop(messages);
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Opens a parcel that may hold a part. Its errors were reported when it was opened for the
    /// first time.
    fn open_part(
        &self,
        message: &Waiting,
        len: usize,
        state: &DeliveryState<'a>,
    ) -> Option<(Content, ServiceMessage, PendingReceipt<'a>)> {
        let arrival = state.open(message, len).ok()??;
        let content = Content::of(&arrival);
        if !content.is_part() || !content.is_of(&self.types, true) {
            return None;
        }
        let (held, due) = arrival.into_due();
        // It may have come since the first pass.
        match state.home.check_senders(&[&due]).ok()?[..] {
            [None] => Some((content, held, due)),
            _ => None,
        }
    }

    /// The file that the parts of a content are written to.
    fn site(&self, whole: &Content, state: &DeliveryState<'a>) -> Result<Site, Error> {
        if let Destination::Directory { dir, .. } = &self.destination {
            let folder = dir.join(whole.folder());
            self.make(&folder, state)?;
            let path = folder.join(whole.file_name());
            return Ok(Site::file(&path, &publish_options(), &folder)?);
        }
        self.spool.make(QueueId::Home(self.node.id()))?;
        Ok(Site::aside(&self.spool.tmp()))
    }

    /// Delivers joined content, then notes, remembers and removes its parts. `None` if some of them
    /// are gone.
    fn finish(
        &self,
        key: TransferKey,
        joiner: PartsJoiner<'a>,
        state: &mut DeliveryState<'a>,
    ) -> Result<Option<DeliveryOutcome>, Error> {
        let Some(mut content) = joiner.content else {
            return Ok(None);
        };
        let handed = match joiner.join {
            Ok(Some(join)) => self.hand_over_whole(key, join, &mut content, state),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        let (mut is_aside, parcels) = (false, &joiner.parcels);
        let result = match handed {
            // Another program took a part since it was noted.
            Err(Error::Join(join::Error::Missing(_))) => return Ok(None),
            Ok(path) => {
                self.note_all(
                    key,
                    parcels,
                    SentEvent::Acknowledged,
                    &self.destination.to_string(),
                )?;
                // The content is remembered before its parts are removed.
                let completed = state.home.complete_joined(&joiner.due, key.transfer);
                match completed {
                    Ok(()) => {
                        let mut moves = Moves::default();
                        let queue = self.spool.queue(QueueId::Home(self.node.id()));
                        for parcel in parcels {
                            moves.remove(&queue.path_of(&parcel.name))?;
                        }
                        moves.commit()?;
                        state.intents.forget(&key.to_string());
                        Ok(DeliveryEffect::Delivered(path))
                    }
                    Err(error) => Err(Error::Node(error)),
                }
            }
            Err(error) => {
                is_aside = error.is_settled();
                Err(error)
            }
        };
        let result = result.map_err(|cause| Error::Parts {
            count: parcels.len(),
            transfer: key.transfer,
            cause: Box::new(cause),
        });
        if let (Err(error), true) = (&result, is_aside) {
            let why = error.to_string();
            // Set aside together: one part alone could not be retried.
            self.note_all(key, parcels, SentEvent::Failed, &why)?;
            self.set_all_aside(key.transfer, parcels, &why)?;
            state.intents.forget(&key.to_string());
        }
        Ok(Some(DeliveryOutcome {
            path: joiner.path,
            head: None,
            content: Some(content),
            result,
            is_joined: true,
            is_aside,
            is_untimely: false,
        }))
    }

    /// Delivers joined content. Returns its file, if it has one.
    fn hand_over_whole(
        &self,
        key: TransferKey,
        join: Join,
        content: &mut Content,
        state: &mut DeliveryState<'a>,
    ) -> Result<Option<PathBuf>, Error> {
        content.size = join.ledger().len().unwrap_or_default();
        match &self.destination {
            Destination::Directory {
                dir,
                keeps_names,
                extracts,
            } => {
                let folder = dir.join(content.folder());
                let intended = state.intents.name_for(&key.to_string()).map(str::to_owned);
                if *extracts && archive::is_tree(&content.media_type) {
                    let whole = join.verify()?;
                    let now = self.terms.now.into();
                    let made = archive::extract(whole.reader(), whole.len(), &folder, now)?;
                    drop(whole); // gives its room back
                    let tree = StagedTree::new(&folder, made, intended, content.file_name());
                    return place_joined(tree, &key.to_string(), &mut state.intents).map(Some);
                }
                let given = content.safe_name().filter(|_| *keeps_names);
                let own = content.file_name();
                let (name, is_there) = choose(&folder, &join, [intended, given.clone()], &own)?;
                let mut whole = join.verify()?;
                if is_there {
                    return Ok(Some(folder.join(name)));
                }
                // A name of the sender's choice says nothing to a later run, so it is noted
                // before it is given.
                if given.is_some() {
                    // The content must be on the disk before the note promises it.
                    whole.sync()?;
                }
                let key = key.to_string();
                let note = |name: &str| {
                    if given.is_some() {
                        state.intents.intend(&key, name);
                        state.intents.save()?;
                    }
                    Ok(())
                };
                let other = given
                    .as_deref()
                    .map(file_name::spellings)
                    .unwrap_or_default();
                let other = other.into_iter().skip(1).filter_map(|name| {
                    let free = first_free(&folder, &name, 1, |_| false).ok()??;
                    Some(free.0)
                });
                let names = iter::once(name).chain(other).chain(numbered_names(&own));
                name_whole(&mut whole, &folder, names, note).map(Some)
            }
            Destination::Maildir(dir) => {
                let whole = join.verify()?;
                let key = key.to_string();
                let intended = state.intents.name_for(&key);
                // A mail reader has moved the mail of a killed run to `cur`.
                if intended.map_or(Ok(false), |name| maildir::is_seen(dir, name))? {
                    return Ok(None);
                }
                mail(&key, dir, &whole, content, &mut state.intents).map(Some)
            }
            Destination::Command(command) => {
                let Some(input) = join.verify()?.into_file()? else {
                    return Ok(None);
                };
                let name = content.safe_name();
                let facts = content.facts(&self.path, name.as_deref());
                let counted = (&mut state.intents, &*key.to_string());
                state.runs.run::<Error>(command, &facts, input, counted)?;
                Ok(None)
            }
        }
    }

    fn note_all(
        &self,
        key: TransferKey,
        parcels: &[PartParcel],
        event: SentEvent,
        to: &str,
    ) -> Result<(), spool::Error> {
        for some in parcels.chunks(NOTED_AT_ONCE) {
            let lines = some.iter().map(|parcel| Line {
                time: self.time.told,
                event,
                recipient: self.node.id(),
                sender: key.sender,
                id: parcel.id.clone(),
                to: Some(to.to_owned()),
                cargo: None,
                medium: None,
                transfer: Some(key.transfer),
            });
            self.spool.note(&lines.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn set_all_aside(
        &self,
        transfer: TransferId,
        parcels: &[PartParcel],
        why: &str,
    ) -> Result<(), spool::Error> {
        let home = QueueId::Home(self.node.id());
        let queue = self.spool.queue(home);
        let mut moves = Moves::default();
        for parcels in parcels.chunks(NOTED_AT_ONCE) {
            let paths: Vec<_> = parcels.iter().map(|it| queue.path_of(&it.name)).collect();
            let asides = parcels
                .iter()
                .zip(&paths)
                .map(|(parcel, path)| FailedMessage {
                    path,
                    name: &parcel.name,
                    id: Some(&parcel.id),
                    why: why.to_owned(),
                    back_to: home,
                    transfer: Some(transfer),
                    has_room: true,
                });
            let asides: Vec<_> = asides.collect();
            let placed = self
                .spool
                .set_aside_all(&asides, self.time.told, &mut moves)?;
            placed.into_iter().try_for_each(|placed| placed.map(drop))?;
        }
        moves.commit()
    }
}

/// The parcels that are known to hold parts of these contents, in the order of the parts.
fn parcels_of(
    joiners: &BTreeMap<TransferKey, PartsJoiner<'_>>,
    queue: &Queue,
    transfers: &Transfers,
) -> Result<Vec<(u32, Name)>, Error> {
    let mut parcels = Vec::new();
    for message in queue.messages()? {
        let name = message?.name;
        if let Some((key, index)) = transfers.place_of(&name)
            && joiners.contains_key(&key)
        {
            parcels.push((index, name));
        }
    }
    parcels.sort_by_key(|(index, _)| *index);
    Ok(parcels)
}

/// Writes content as a mail into a Maildir.
fn mail(
    key: &str,
    dir: &Path,
    whole: &Whole,
    content: &Content,
    intents: &mut Intents,
) -> Result<PathBuf, Error> {
    let (new, tmp) = (dir.join("new"), dir.join("tmp"));
    let mut file = batch::write(&new, &[], &publish_options().written_in(&tmp))?;
    let mut writer = maildir::MailWriter::of(content);
    whole.copy(|block| file.write(&[&writer.block(block)]))?;
    file.write(&[&writer.end()])?;
    let wish = Wish {
        intended: intents.name_for(key).map(str::to_owned),
        given: None,
        own: maildir::file_name_of(content),
    };
    let (name, staged) = Names::default().choose(&new, file, &wish)?;
    intents.intend(key, &name);
    let refused = batch::name_all(vec![staged], || intents.save().map_err(Error::from))?;
    match refused.into_iter().next() {
        Some(refused) => Err(refused.into()),
        None => Ok(new.join(name)),
    }
}

/// Gives joined content the first of these names that the file system takes; `note` is called before
/// each is tried.
fn name_whole(
    whole: &mut Whole,
    folder: &Path,
    names: impl Iterator<Item = String>,
    mut note: impl FnMut(&str) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let mut refusals = 0;
    for name in names {
        note(&name)?;
        let path = folder.join(name);
        match whole.publish_as([[path.clone()]]) {
            Ok(_) => return Ok(path),
            Err(error) if error.is_taken() => {}
            // A name that follows from the message is one that every file system takes: if it is
            // refused, so are all.
            Err(error) if error.is_of_name() && refusals < MOST_REFUSALS => refusals += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Disk(disk::Error::Exists {
        path: folder.to_owned(),
        role: FileRole::Delivery,
    }))
}

/// Chooses a name in a folder for joined content. Returns also whether the file of that name
/// already has this content, because a killed run left it or the name follows from the parts.
fn choose(
    folder: &Path,
    join: &Join,
    [intended, given]: [Option<String>; 2],
    own: &str,
) -> Result<(String, bool), Error> {
    let is_free =
        |name: &str| Ok::<_, Error>(!files::exists(&folder.join(name), FileRole::Delivery)?);
    let is_it = |name: &str| join.is_at(&folder.join(name), FileRole::Delivery);
    if let Some(name) = intended {
        if is_free(&name)? {
            return Ok((name, false));
        }
        if is_it(&name)? {
            return Ok((name, true));
        }
    }
    // A file with the sender's name is never compared: it is another file, whatever is in it.
    let given = given.iter();
    for given in given.flat_map(|given| file_name::spellings(given)) {
        if let Some((name, _)) = first_free(folder, &given, 1, |_| false)? {
            return Ok((name, false));
        }
    }
    for name in numbered_names(own) {
        if is_free(&name)? {
            return Ok((name, false));
        }
        if is_it(&name)? {
            return Ok((name, true));
        }
    }
    Err(Error::Disk(disk::Error::Exists {
        path: folder.join(own),
        role: FileRole::Delivery,
    }))
}
