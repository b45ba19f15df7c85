//! Earlier messages with the key of a new one: the same sender, recipient and id.
//!
//! A newer message replaces an older one only if that was never packed or passed on.

use std::cmp;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::arrival::{History, Known, Origin};
use super::ledger::SpoolLedger;
use super::name::{KeyDigest, beginning_of_id};
use super::queue::Waiting;
use super::{Error, Name, Queue, QueueId, QueueKind, Spool};
use crate::message::Item;
use crate::node::ReplayKey;
use crate::pipeline::Once;
use crate::ramf::SignedMessage;

/// The earlier messages that a spool knows.
///
/// Most messages are new, so 8 octets of each name are enough, from the ledger or a
/// listing, and nothing is read, hashed or examined. Only what may be known is looked for by its name.
#[derive(Debug)]
pub struct Precedents<'a> {
    spool: &'a Spool,
    history: History,
    /// The beginnings of the ids of all messages that wait, and of some that have left, sorted.
    ids: Vec<u64>,
    /// How often the queues were listed for what may be known.
    listings: AtomicUsize,
    /// All that waits, by the beginnings of the ids.
    index: Once<Index>,
    /// What was written onto media.
    carried: Once<HashSet<KeyDigest>>,
}

/// The names of all files that wait.
#[derive(Debug, Default)]
struct Index {
    queues: Vec<Queue>,
    /// For each beginning of an id the files, each with the position of its queue.
    files: HashMap<u64, Vec<(usize, OsString)>>,
}

/// A new message that was verified.
pub struct Newcomer<'a> {
    /// It.
    pub message: &'a SignedMessage,
    /// Whether it shows that its recipient authorized its sender.
    pub is_shown: bool,
    /// Whether another one shows that.
    pub shows: &'a dyn Fn(SignedMessage) -> bool,
}

/// How a new message relates to earlier ones.
#[derive(Debug, PartialEq, Eq)]
pub enum Precedent {
    /// There is no earlier one.
    None,
    /// It waits here already, octet for octet.
    Same,
    /// The same waits here in another form, which is as good or better.
    Twin,
    /// It replaces these files once it is stored.
    Older(Vec<PathBuf>),
}

impl Spool {
    /// Reads the earlier messages, once for many new ones, and opens the ledger in which the new ones are
    /// noted.
    ///
    /// # Errors
    /// When a queue, the ledger or the memory cannot be read.
    pub(super) fn precedents(&self) -> Result<(Precedents<'_>, SpoolLedger), Error> {
        // Queues before memory: a message that is acknowledged meanwhile is recorded before it
        // leaves its queue, so one of the two has it.
        let (ledger, mut ids) = SpoolLedger::open_with_ids(self, || {
            let mut ids = Vec::new();
            each_waiting(self, |_, id, _| ids.push(id))?;
            Ok(ids)
        })?;
        ids.sort_unstable();
        let precedents = Precedents {
            spool: self,
            history: History::of(self)?,
            ids,
            listings: AtomicUsize::new(0),
            index: Once::default(),
            carried: Once::default(),
        };
        Ok((precedents, ledger))
    }
}

/// Gives each file that may be a message on its way here, or set aside: its queue, the beginning of
/// its id, and its name. The queues come in the order in which messages move through them, so that
/// one that moves meanwhile is met.
fn each_waiting(spool: &Spool, mut each: impl FnMut(&Queue, u64, &OsStr)) -> Result<(), Error> {
    let mut queues = [QueueId::In, QueueId::Failed]
        .map(|place| spool.queue(place))
        .to_vec();
    for kind in [QueueKind::Out, QueueKind::Home] {
        queues.extend(spool.queues_of(kind)?);
    }
    for queue in &queues {
        queue.each_name(|_, name| {
            if let Some(id) = beginning_of_id(name.as_encoded_bytes()) {
                each(queue, id, name);
            }
            Ok(())
        })?;
    }
    Ok(())
}

impl Precedents<'_> {
    /// Compares a verified message with this name and replay key with the earlier ones.
    ///
    /// # Errors
    /// [`Error::HandedOn`] when one was packed, passed on or delivered; [`Error::Outdated`] when a
    /// later one waits; [`Error::OtherContent`] when another one of the same date waits; or when the
    /// spool cannot be read.
    pub fn of(
        &self,
        name: &Name,
        identity: &ReplayKey,
        newcomer: &Newcomer<'_>,
    ) -> Result<Precedent, Error> {
        match self.history.known(name, identity, Origin::Here)? {
            Known::New | Known::Waits => self.compare(name, newcomer),
            Known::Delivered | Known::PassedOn(_) | Known::TakenFrom | Known::BroughtBy => {
                Err(Error::HandedOn)
            }
        }
    }

    /// Compares a message with those that wait under the same key.
    fn compare(&self, name: &Name, newcomer: &Newcomer<'_>) -> Result<Precedent, Error> {
        let id = name.identity.beginning_of_id();
        if self.ids.binary_search(&id).is_err() {
            return Ok(Precedent::None);
        }
        // Most runs that repeat anything repeat one message, or many.
        if self.listings.load(Ordering::Relaxed) > 0 {
            let found = self.compare_with(&self.indexed(id)?, name, newcomer)?;
            if !found.is_gone {
                return self.conclude(found, name);
            }
            // One was moved or replaced since it was listed.
        }
        let found = self.compare_with(&self.find(id)?, name, newcomer)?;
        self.conclude(found, name)
    }

    /// The files that wait now with this beginning of an id.
    fn find(&self, id: u64) -> Result<Vec<(QueueId, Waiting)>, Error> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        let mut waiting = Vec::new();
        each_waiting(self.spool, |queue, other, name| {
            if other == id {
                let message = queue.waiting_in(name);
                waiting.extend(message.map(|message| (queue.place(), message)));
            }
        })?;
        Ok(waiting)
    }

    /// Those that waited when all were listed.
    fn indexed(&self, id: u64) -> Result<Vec<(QueueId, Waiting)>, Error> {
        let index = self.index.get_or_read(|| {
            self.listings.fetch_add(1, Ordering::Relaxed);
            Index::of(self.spool)
        })?;
        let files = index.files.get(&id).into_iter().flatten();
        Ok(files
            .filter_map(|(queue, name)| {
                let queue = index.queues.get(*queue)?;
                Some((queue.place(), queue.waiting_in(name)?))
            })
            .collect())
    }

    /// Compares a message with these files, as far as they are of the same message.
    fn compare_with(
        &self,
        waiting: &[(QueueId, Waiting)],
        name: &Name,
        newcomer: &Newcomer<'_>,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        for (place, message) in waiting {
            // What another user calls his files proves nothing.
            if message.name.identity != name.identity || self.spool.is_by_another(&message.path)? {
                continue;
            }
            // In `home` it may be delivered at any moment, so it cannot be replaced.
            let is_home = matches!(place, QueueId::Home(_));
            // A file that another user closed, or that is not a message, stops nothing.
            let held = match message.read() {
                Err(error) if error.is_of_one_file() => {
                    found.is_handed_on |= is_home;
                    continue;
                }
                read => read?,
            };
            let Some(held) = held else {
                found.is_gone = true;
                continue;
            };
            match (place, newcomer.stands_to(held)) {
                (QueueId::Failed, Standing::Earlier) => return Err(Error::Outdated),
                // What was set aside does not keep it from being tried again.
                (QueueId::Failed, _) => {}
                (_, Standing::Same) => found.is_same = true,
                (_, Standing::Twin) | (QueueId::Home(_), Standing::Better) => found.is_twin = true,
                (QueueId::Home(_), _) => found.is_handed_on = true,
                (_, Standing::Earlier) => return Err(Error::Outdated),
                (_, Standing::Other) => return Err(Error::OtherContent),
                (_, Standing::Better | Standing::Later) => found.older.push(message.path.clone()),
            }
        }
        Ok(found)
    }

    fn conclude(&self, found: Found, name: &Name) -> Result<Precedent, Error> {
        if found.is_same {
            return Ok(Precedent::Same);
        }
        if found.is_twin {
            return Ok(Precedent::Twin);
        }
        // On a medium it may arrive, even if it still waits here as well.
        if found.is_handed_on || self.was_carried(name.identity.key())? {
            return Err(Error::HandedOn);
        }
        Ok(if found.older.is_empty() {
            Precedent::None
        } else {
            Precedent::Older(found.older)
        })
    }

    fn was_carried(&self, message: KeyDigest) -> Result<bool, Error> {
        let carried = self.carried.get_or_read(|| self.spool.all_carried())?;
        Ok(carried.contains(&message))
    }
}

/// How a new message stands to one with the same identity that waits.
enum Standing {
    /// It has the same octets.
    Same,
    /// It says the same, and the one that waits shows its authorization as well or better.
    Twin,
    /// It says the same, and only it shows its authorization.
    Better,
    /// It has the same date, and says something else.
    Other,
    /// It has an earlier date.
    Earlier,
    /// It has a later date, or the other one is no message.
    Later,
}

impl Newcomer<'_> {
    /// Only what its sender signed counts: anybody can take attached certificates off a message, or
    /// write it in another form.
    fn stands_to(&self, held: Vec<u8>) -> Standing {
        if held == self.message.octets() {
            return Standing::Same;
        }
        let Some(message) = Item::parse(held).ok().and_then(Item::into_message) else {
            return Standing::Later;
        };
        match message.fields().date.cmp(&self.message.fields().date) {
            cmp::Ordering::Greater => Standing::Earlier,
            cmp::Ordering::Less => Standing::Later,
            cmp::Ordering::Equal if !message.says_the_same(self.message) => Standing::Other,
            cmp::Ordering::Equal if !self.is_shown || (self.shows)(message) => Standing::Twin,
            cmp::Ordering::Equal => Standing::Better,
        }
    }
}

/// What was found of a message.
#[derive(Debug, Default)]
struct Found {
    /// It waits, octet for octet.
    is_same: bool,
    /// It waits in another form.
    is_twin: bool,
    /// It was handed on to a node here.
    is_handed_on: bool,
    /// These files are older.
    older: Vec<PathBuf>,
    /// A file has gone since it was listed.
    is_gone: bool,
}

impl Index {
    fn of(spool: &Spool) -> Result<Self, Error> {
        let mut files: HashMap<u64, Vec<(usize, OsString)>> = HashMap::new();
        let mut queues: Vec<Queue> = Vec::new();
        each_waiting(spool, |queue, id, name| {
            if queues
                .last()
                .is_none_or(|last| last.place() != queue.place())
            {
                queues.push(queue.clone());
            }
            let file = (queues.len() - 1, name.to_owned());
            files.entry(id).or_default().push(file);
        })?;
        Ok(Self { queues, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::NodeId;
    use crate::ramf::Kind;
    use crate::spool::name::MessageKey;
    use crate::spool::testspool;

    fn named(nth: u8) -> Name {
        Name {
            identity: MessageKey {
                recipient: NodeId::of_spki(b"recipient"),
                sender: NodeId::of_spki(b"sender"),
                id: crate::crypto::hash::sha256(&[nth]),
                kind: Kind::Parcel,
            },
            expiry: "2027-05-22T10:11:12Z".parse().unwrap(),
            priority: None,
            copies: None,
            from: None,
        }
    }

    #[test]
    fn many_are_found_with_a_few_listings() {
        let dir = tempfile::tempdir().unwrap();
        let spool = testspool::spool(dir.path());
        let (same, other) = (testspool::parcel(0), testspool::parcel(1));
        let hop = NodeId::of_spki(b"hop");
        for (nth, place) in (0..90).zip([QueueId::In, QueueId::Out(hop)].into_iter().cycle()) {
            let queue = spool.make(place).unwrap();
            std::fs::write(queue.path_of(&named(nth)), same.octets()).unwrap();
        }
        let (precedents, _ledger) = spool.precedents().unwrap();
        let ask = |name: &Name, content: &SignedMessage| {
            let newcomer = Newcomer {
                message: content,
                is_shown: true,
                shows: &|_| true,
            };
            let identity = name.to_replay_key("id");
            precedents.of(name, &identity, &newcomer).unwrap()
        };
        let listings = || precedents.listings.load(Ordering::Relaxed);
        for nth in 90..=255 {
            assert_eq!(ask(&named(nth), &same), Precedent::None);
        }
        assert_eq!(listings(), 0);
        for nth in 0..90 {
            assert_eq!(ask(&named(nth), &same), Precedent::Same);
        }
        assert_eq!(listings(), 2);
        // One that was routed since it was listed is looked for once more.
        let (from, to) = (spool.queue(QueueId::In), spool.queue(QueueId::Out(hop)));
        std::fs::rename(from.path_of(&named(0)), to.path_of(&named(0))).unwrap();
        assert_eq!(ask(&named(0), &same), Precedent::Same);
        let older = Precedent::Older(vec![to.path_of(&named(0))]);
        assert_eq!(ask(&named(0), &other), older);
        assert_eq!(listings(), 4);
        let unknown = Name {
            identity: MessageKey {
                sender: hop,
                ..named(1).identity
            },
            ..named(1)
        };
        assert_eq!(ask(&unknown, &same), Precedent::None);
    }
}
