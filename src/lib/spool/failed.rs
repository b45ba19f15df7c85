//! Messages that are set aside in `failed`, each with a `.why` file: the reason, and the queue that
//! it came from.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::moves::{Moves, Placed};
use super::queue::{Queue, WHY};
use super::sent::{Line, SentEvent};
use super::twin::is_twin;
use super::{Error, Name, QueueId, Spool};
use crate::disk::batch::{self, Batch};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{self, FileRole, files};
use crate::message::Item;
use crate::message::parts::TransferId;
use crate::node::{ReplayKey, ciphertexts, endpoints, seen};
use crate::pki::NodeId;
use crate::ramf::limits;

/// Maximum length of a `.why` file, in octets.
const MAX_LEN: usize = 64 * 1024;

/// The most messages that are returned with one sync.
const RETURNED_AT_ONCE: usize = 1000;

/// A message that is to be set aside.
#[derive(Debug)]
pub struct FailedMessage<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Its name in `failed`.
    pub name: &'a Name,
    /// Its message id, if it could be read.
    pub id: Option<&'a str>,
    /// The reason.
    pub why: String,
    /// The queue that a retry returns it to.
    pub back_to: QueueId,
    /// The transfer of the content that is set aside with all of its parts, of which it is one.
    pub transfer: Option<TransferId>,
    /// Whether there is room to keep it; otherwise it is removed. False only where the one who brought
    /// it could fill the disk.
    pub has_room: bool,
}

/// What becomes of a message that is to be set aside.
enum Plan {
    /// It goes to this file, once its reason is stored.
    Move(PathBuf, batch::Staged),
    /// It was set aside before, in any encoding, and is removed.
    Repeated,
    /// It is no message, or there is no room for it, and it is removed.
    Useless,
}

fn read(path: &Path) -> disk::Result<Vec<u8>> {
    files::read(path, FileRole::Spool, limits::MAX_MESSAGE_LEN)
}

impl Spool {
    /// Sets a message aside, as [`Spool::set_aside_all`] does many.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_aside(
        &self,
        aside: &FailedMessage<'_>,
        now: Timestamp,
        moves: &mut Moves,
    ) -> Result<Placed, Error> {
        let mut placed = self.set_aside_all(std::slice::from_ref(aside), now, moves)?;
        placed.pop().unwrap_or(Ok(Placed::Repeated))
    }

    /// Sets messages aside, first the reasons, with one sync, then the messages; of what is another user's, a copy. What
    /// was set aside before, in whatever form, goes. The caller holds a lock of their queue. Gives what became of each.
    ///
    /// # Errors
    /// When nothing can be set aside.
    pub fn set_aside_all(
        &self,
        asides: &[FailedMessage<'_>],
        now: Timestamp,
        moves: &mut Moves,
    ) -> Result<Vec<Result<Placed, Error>>, Error> {
        if asides.is_empty() {
            return Ok(Vec::new());
        }
        let queue = self.make(QueueId::Failed)?;
        let (mut reasons, mut planned) = (Batch::default(), PlannedNames::new());
        let mut plans = Vec::new();
        for aside in asides {
            plans.push(match self.plan(aside, &queue, &mut planned, now) {
                Ok(Plan::Move(to, why)) => {
                    reasons.add(why)?;
                    Ok((Some(to), Placed::New))
                }
                Ok(Plan::Repeated) => Ok((None, Placed::Repeated)),
                Ok(Plan::Useless) => Ok((None, Placed::Useless)),
                Err(error) => Err(error),
            });
        }
        reasons.commit()?;
        let mut placed: Vec<_> = plans
            .into_iter()
            .zip(asides)
            .map(|(plan, aside)| {
                let (to, placed) = plan?;
                if let Some(to) = to {
                    self.put_aside(aside.path, &to, moves)?;
                }
                Ok(placed)
            })
            .collect();
        // After all names are given, since each removal waits for those before it.
        for (placed, aside) in placed.iter_mut().zip(asides) {
            if let Ok(what @ (Placed::Repeated | Placed::Useless)) = *placed {
                *placed = moves.remove(aside.path).map(|()| what);
            }
        }
        Ok(placed)
    }

    /// Decides where a message that is set aside goes.
    fn plan<'a>(
        &self,
        aside: &FailedMessage<'a>,
        queue: &Queue,
        planned: &mut PlannedNames<'a>,
        now: Timestamp,
    ) -> Result<Plan, Error> {
        // The copy is ours. Returned to `home` without being judged, it would count as having
        // arrived in time.
        let is_by_another = self.is_by_another(aside.path)?;
        let back_to = match aside.back_to {
            QueueId::Home(_) if is_by_another && !self.is_guest() => QueueId::In,
            place => place,
        };
        if !aside.has_room || is_by_another && self.is_useless(aside.path)? {
            return Ok(Plan::Useless);
        }
        let Some(name) = free_name(queue, aside, planned)? else {
            return Ok(Plan::Repeated);
        };
        let identity = &name.identity;
        let mut line = json!({
            "v": 1,
            "time": now.to_string(),
            "recipient": identity.recipient.to_string(),
            "sender": identity.sender.to_string(),
            "id": aside.id,
            "error": aside.why,
            "queue": back_to.path().to_string_lossy(),
        });
        if let Some(transfer) = aside.transfer {
            line["transfer"] = transfer.to_string().into();
        }
        let why = queue.dir().join(format!("{name}{WHY}"));
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::Replace);
        // Before the message: one in `failed` without a reason could not be returned to its queue.
        let why = batch::stage(&why, &[line.to_string().as_bytes(), b"\n"], &manner)?;
        let to = queue.path_of(&name);
        planned.insert(to.clone(), aside.path);
        Ok(Plan::Move(to, why))
    }

    /// Whether another user's file is no message at all. A copy would cost us room, as much as that user likes, and nobody
    /// would miss it. What a guest finds is the gateway's, which damage may explain: that is kept.
    fn is_useless(&self, path: &Path) -> Result<bool, Error> {
        match read(path) {
            Ok(octets) => Ok(!self.is_guest() && Item::parse(octets).is_err()),
            Err(disk::Error::TooLarge { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn put_aside(&self, path: &Path, to: &Path, moves: &mut Moves) -> Result<(), Error> {
        if !self.is_by_another(path)? {
            return moves.rename(path, to);
        }
        let octets = read(path)?;
        let manner = PublishOptions::stored(FileRole::Spool, IfExists::SameIsSuccess);
        moves.copy(path, to, &octets, &manner)
    }

    /// The messages in `failed` that a user means: one by its name, its id, or the beginning of the
    /// digest of its id, or all parts of a transfer.
    fn find_failed(&self, text: &str, now: Timestamp) -> Result<Vec<Name>, Error> {
        let failed = self.queue(QueueId::Failed);
        let full: Option<Name> = text.parse().ok();
        if let Some(name) = &full
            && files::exists(&failed.path_of(name), FileRole::Spool)?
        {
            return Ok(full.into_iter().collect());
        }
        let mut meant = Vec::new();
        for message in failed.messages()? {
            let name = message?.name;
            let is_meant = match &full {
                // Where it waited before, it may have had another name.
                Some(full) => name.identity == full.identity,
                None => name.identity.is_meant_by(text),
            };
            if is_meant {
                meant.push(name);
            }
        }
        if let (true, Ok(transfer)) = (meant.is_empty(), text.parse()) {
            meant = self.failed_of(transfer)?;
            // Senders choose transfers, and who returns a message vouches for it.
            let mut senders = HashSet::new();
            let mut firsts = meant.clone();
            firsts.retain(|name| senders.insert(name.identity.sender));
            if firsts.len() < 2 && !meant.is_empty() {
                return Ok(meant);
            }
            meant = firsts;
        }
        match &meant[..] {
            [] => Err(self.not_in_failed(text, now)?),
            [_] => Ok(meant),
            several => Err(Error::AmbiguousMessage {
                text: text.to_owned(),
                names: several.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// The messages in `failed` that are parts of this transfer.
    pub(super) fn failed_of(&self, transfer: TransferId) -> Result<Vec<Name>, Error> {
        let mut names = Vec::new();
        for message in self.queue(QueueId::Failed).messages()? {
            let name = message?.name;
            if self.why_of(&name)?.transfer == Some(transfer) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The error for a message that is not in `failed`.
    fn not_in_failed(&self, text: &str, now: Timestamp) -> Result<Error, Error> {
        let stories = self.stories(&self.meant(text)?, now)?;
        let text = text.to_owned();
        Ok(match stories.first() {
            Some(story) => Error::NotSetAside {
                text,
                state: story.is_where(),
            },
            None => Error::UnknownMessage(text),
        })
    }

    /// Returns messages from `failed` to the queues that they came from: one that is known by this
    /// name, id or beginning of its digest, or all parts of a transfer. Each is given to `returned`
    /// with its queue. The caller holds the queue lock.
    ///
    /// # Errors
    /// [`Error::UnknownMessage`] and [`Error::NotSetAside`] when no message in `failed` is known as
    /// this, and [`Error::AmbiguousMessage`] when several are.
    pub fn retry(
        &self,
        text: &str,
        now: Timestamp,
        returned: &mut dyn FnMut(&Name, QueueId),
    ) -> Result<(), Error> {
        let names = self.find_failed(text, now)?;
        for names in names.chunks(RETURNED_AT_ONCE) {
            self.return_all(names, now, returned)?;
        }
        Ok(())
    }

    fn return_all(
        &self,
        names: &[Name],
        now: Timestamp,
        returned: &mut dyn FnMut(&Name, QueueId),
    ) -> Result<(), Error> {
        let failed = self.queue(QueueId::Failed);
        let (mut ways, mut lines) = (Vec::new(), Vec::new());
        for name in names {
            let aside = failed.path_of(name);
            let why = self.why_of(name)?;
            // From `in` every message is routed anew, so nothing is lost with its `.why` file.
            let place = why.queue.unwrap_or(QueueId::In);
            // Before it moves, so that a delivery at once finds it. The replay memory may be unable
            // to judge the message, but the user wants it.
            self.let_pass(&aside, place)?;
            let key = &name.identity;
            // What has no id is no message, or a control message.
            lines.extend(why.id.map(|id| Line {
                time: now,
                event: SentEvent::Returned,
                recipient: key.recipient,
                sender: key.sender,
                id,
                to: Some(place.path().to_string_lossy().into_owned()),
                cargo: None,
                medium: None,
                transfer: None,
            }));
            ways.push((name, aside, place));
        }
        // Before they move: a delivery at once notes more.
        self.note(&lines)?;
        let mut moves = Moves::default();
        for (name, aside, place) in &ways {
            let _ = self.move_to(&self.make(*place)?, aside, name, &mut moves)?;
        }
        moves.commit()?;
        // Last: if the run is killed before, relay-purge removes the `.why` files as orphans.
        for (name, _, place) in &ways {
            files::remove(&self.path_of_why(name), FileRole::Spool)?;
            returned(name, *place);
        }
        Ok(())
    }

    fn path_of_why(&self, name: &Name) -> PathBuf {
        let failed = self.queue(QueueId::Failed);
        failed.dir().join(format!("{name}{WHY}"))
    }

    /// What its `.why` file says of a message.
    fn why_of(&self, name: &Name) -> Result<Why, Error> {
        match files::read(&self.path_of_why(name), FileRole::Spool, MAX_LEN) {
            Ok(line) => Ok(Why::parse(&line)),
            Err(error) if error.is_not_found() => Ok(Why::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// When a message was set aside, by the clock at that time; `None` if its `.why` file does not
    /// say.
    ///
    /// # Errors
    /// When the `.why` file cannot be read.
    pub(crate) fn set_aside_at(&self, name: &Name) -> Result<Option<Timestamp>, Error> {
        Ok(self.why_of(name)?.time)
    }

    /// Lets a parcel pass that a user returns to `place`: here although its sender has sent too many,
    /// and at a local node although its replay memory cannot judge it, since only the floor covers
    /// it, or another sender sent its ciphertext first.
    fn let_pass(&self, parcel: &Path, place: QueueId) -> Result<(), Error> {
        let root = match place {
            QueueId::In => Some(self.owner().root().to_owned()),
            QueueId::Home(recipient) => self.own_root_of(recipient)?,
            _ => None,
        };
        let Some(root) = root else {
            return Ok(());
        };
        let octets = files::read(parcel, FileRole::Spool, limits::MAX_MESSAGE_LEN)?;
        let Some(parcel) = Item::parse(octets).ok().and_then(Item::into_message) else {
            return Ok(());
        };
        let key = ReplayKey::of(&parcel);
        if place != QueueId::In {
            seen::vouch(&root, &key)?;
            ciphertexts::vouch(&root, &parcel)?;
        } else if parcel.sender_certificate().rate_limit().is_some() {
            let excused = key.whatever_its_rate();
            if seen::recall(&root, &excused)? != seen::Recall::Seen {
                seen::add(&root, &excused)?;
            }
        }
        Ok(())
    }

    /// The directory of a local node, if it belongs to this user.
    fn own_root_of(&self, node: NodeId) -> Result<Option<PathBuf>, Error> {
        if node == self.owner().id() {
            return Ok(Some(self.owner().root().to_owned()));
        }
        let mut locals = endpoints::local(self.owner())?.into_iter();
        let local = locals.find(|it| it.id == node);
        Ok(local.and_then(endpoints::Local::own_root))
    }
}

/// The paths that messages of one group are to get in `failed`, each with where its message is meanwhile.
type PlannedNames<'a> = HashMap<PathBuf, &'a Path>;

/// A free name for a message in `failed`, where another may have its own; `None` if the same
/// message is there in another encoding.
fn free_name(
    failed: &Queue,
    aside: &FailedMessage<'_>,
    planned: &PlannedNames<'_>,
) -> Result<Option<Name>, Error> {
    let mut octets = None;
    for name in aside.name.and_others() {
        let path = failed.path_of(&name);
        let holder = match planned.get(&path) {
            Some(meanwhile) => *meanwhile,
            None if files::exists(&path, FileRole::Spool)? => &path,
            None => return Ok(Some(name)),
        };
        let octets = match &octets {
            Some(octets) => octets,
            None => match read(aside.path) {
                // It is no message, so it is in no other encoding either.
                Err(disk::Error::TooLarge { .. }) => continue,
                read => octets.insert(read?),
            },
        };
        // A killed run may have put it there; the caller stores the reason again.
        if read(holder).is_ok_and(|held| held == *octets) {
            return Ok(Some(name));
        }
        if is_twin(holder, octets) {
            return Ok(None);
        }
    }
    Err(Error::Disk(disk::Error::Exists {
        path: failed.path_of(aside.name),
        role: FileRole::Spool,
    }))
}

/// What a `.why` file says; `None` what is missing or malformed.
#[derive(Default)]
struct Why {
    time: Option<Timestamp>,
    id: Option<String>,
    /// The queue that the message came from.
    queue: Option<QueueId>,
    transfer: Option<TransferId>,
}

impl Why {
    fn parse(line: &[u8]) -> Self {
        let line: Value = serde_json::from_slice(line).unwrap_or_default();
        let text = |key: &str| line.get(key).and_then(Value::as_str);
        Self {
            time: text("time").and_then(|time| time.parse().ok()),
            id: text("id").map(str::to_owned),
            queue: text("queue").and_then(QueueId::to_return_to),
            transfer: text("transfer").and_then(|text| text.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_return_to_where_runs_look_at_them() {
        let node = NodeId::of_spki(b"node");
        for place in [
            QueueId::In,
            QueueId::Home(node),
            QueueId::Control(node),
            QueueId::Cca(node),
        ] {
            let line = json!({"queue": place.path().to_str()}).to_string();
            assert_eq!(Why::parse(line.as_bytes()).queue, Some(place));
        }
        for line in [
            "",
            "{}",
            r#"{"queue":7}"#,
            r#"{"queue":"../in"}"#,
            r#"{"queue":"home/.."}"#,
            r#"{"queue":"failed"}"#,
            &json!({"queue": QueueId::Out(node).path().to_str()}).to_string(),
        ] {
            assert_eq!(Why::parse(line.as_bytes()).queue, None, "{line}");
        }
    }
}
