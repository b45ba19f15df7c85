//! Applies control messages. Acknowledgements and rotations count only for the gateway whose cargo
//! brought them.
//!
//! An acknowledgement removes exactly one message from the queue for that gateway. A rotation
//! renews our certificate from it. A deauthorization counts wherever it comes from, also from a
//! node here.
//!
//! Each message is applied, removed as useless, or set aside with the reason. One that cannot be
//! read or is not valid yet stays, and does not keep the others from being applied.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use jiff::SignedDuration;

use super::Error;
use super::revocation::{RevocationDesk, RevocationEffect};
use super::target::Target;
use crate::crypto::sha256;
use crate::disk::{self, FileRole, files};
use crate::kind::ErrorKind;
use crate::message::item::Received;
use crate::message::{Item, Pca, Pdd, Rotation};
use crate::node::import::Options;
use crate::node::seen::Memory;
use crate::node::{self, authorizations, certificates};
use crate::pki::{NodeId, Window};
use crate::ramf::Kind;
use crate::spool::failed::FailedMessage;
use crate::spool::moves::{Moves, Placed};
use crate::spool::name::{MessageKey, Name};
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{self, QueueId, Spool, Time};

/// The most control messages that are applied together.
const MAX_AT_ONCE: usize = 4096;

/// How far ahead of its time a deauthorization waits.
const MAX_EARLY: SignedDuration = SignedDuration::from_hours(24);

/// The result for a control message.
#[derive(Debug)]
pub struct Applied {
    /// The message and its file.
    pub message: Waiting,
    /// The effect, or the error.
    pub result: Result<ControlEffect, Error>,
    /// Whether it was set aside because of the error; otherwise it stays.
    pub is_aside: bool,
}

/// The effect of a control message.
#[derive(Debug)]
pub enum ControlEffect {
    /// It acknowledges this parcel, which was removed from the queue, or had left it because a server took it.
    Acknowledged(Pca),
    /// It acknowledges a parcel that does not wait any more.
    AlreadyAcknowledged,
    /// It renewed the certificate from the gateway.
    Rotated,
    /// Our certificate lasts as long or longer.
    Outdated,
    /// That of a deauthorization.
    OfPdd(RevocationEffect),
    /// The same message was set aside before.
    Repeated,
}

/// The control messages of one gateway, or the deauthorizations that were left in `in`.
#[derive(Debug)]
pub struct ControlQueue<'a> {
    /// The spool. The caller holds the queue lock.
    pub spool: &'a Spool,
    /// The gateway whose cargo brought them; `None` for `in`.
    pub gateway: Option<NodeId>,
    /// Takes deauthorizations.
    pub desk: &'a RevocationDesk<'a>,
    /// The instants that certificates must be valid at.
    pub window: &'a Window,
    /// The time. Under a doubted clock nothing is set aside.
    pub time: &'a Time,
}

/// Acknowledgements by the message that they are for. Several files may acknowledge the same.
type Acks = HashMap<MessageKey, Vec<(Waiting, Pca)>>;

/// A message that cannot be applied, ever.
struct Aside {
    message: Waiting,
    name: Name,
    back_to: QueueId,
    error: Error,
    /// False for what another user left, who could fill the disk.
    has_room: bool,
}

impl ControlQueue<'_> {
    fn place(&self) -> QueueId {
        self.gateway.map_or(QueueId::In, QueueId::Control)
    }

    /// Applies the control messages from this gateway. The result for each goes to `each`,
    /// unexpected files go to `unexpected`.
    ///
    /// # Errors
    /// When the queue cannot be listed, the spool cannot be changed, or `each` failed.
    pub fn apply<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Applied) -> Result<(), E>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> Result<(), E> {
        let queue = self.spool.queue(self.place());
        let mut entries = queue.entries().map_err(Error::from)?;
        let mut failed = None;
        loop {
            let (mut acks, mut asides, mut applied) = (Acks::new(), Vec::new(), Vec::new());
            let mut count = 0;
            let mut moves = Moves::default();
            while count < MAX_AT_ONCE {
                match entries.next() {
                    Some(Ok(QueueEntry::Message(message))) if !self.is_meant(&message) => {}
                    // The parcels there are looked at later.
                    Some(Ok(QueueEntry::Unexpected(_))) if self.gateway.is_none() => {}
                    Some(Ok(QueueEntry::Message(message))) => {
                        count += 1;
                        applied.extend(self.take(message, &mut acks, &mut asides, &mut moves));
                    }
                    Some(Ok(QueueEntry::Unexpected(path))) => unexpected(path),
                    Some(Err(error)) => {
                        failed = Some(Error::from(error));
                        break;
                    }
                    None => break,
                }
            }
            applied.extend(self.set_aside(asides, &mut moves)?);
            moves.commit().map_err(Error::from)?;
            if let Some(gateway) = self.gateway {
                applied.extend(self.acknowledge(gateway, acks)?);
            }
            applied.into_iter().try_for_each(&mut *each)?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            if count < MAX_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Whether a message is one of those that are applied: in `in`, those named as a
    /// deauthorization.
    fn is_meant(&self, message: &Waiting) -> bool {
        self.gateway.is_some() || message.name.identity.kind == Kind::Pdd
    }

    /// Applies one message at once, unless it is an acknowledgement: those are collected in `acks`, since one pass over
    /// the queue serves all of them; or it is to be set aside, for which it is collected in `asides`. `None` is returned
    /// for these, and for a message that has gone.
    fn take(
        &self,
        message: Waiting,
        acks: &mut Acks,
        asides: &mut Vec<Aside>,
        moves: &mut Moves,
    ) -> Option<Applied> {
        let mut name = message.name.clone();
        let mut back_to = self.place();
        let read = match message.read_with_owner(Vec::new()) {
            Ok(read) => Ok(read?), // or it has gone meanwhile
            Err(error) => Err(error),
        };
        let is_anothers = matches!(&read, Ok((_, owner)) if self.spool.is_anothers(*owner));
        let item = read
            .map_err(Error::from)
            .and_then(|(octets, _)| Ok(Item::parse(octets)?));
        let result = match (item, self.gateway) {
            (Ok(Item::Pca(pca)), Some(_)) => {
                let pca = pca.into_value();
                // File names are only an index: the message itself says what it acknowledges.
                acks.entry(MessageKey::from(&pca))
                    .or_default()
                    .push((message, pca));
                return None;
            }
            // Removed with the batch: what they change is stored already.
            (Ok(Item::Rotation(rotation)), Some(gateway)) => {
                self.rotate(gateway, &rotation).and_then(|done| {
                    moves.remove(&message.path)?;
                    Ok(done)
                })
            }
            (Ok(Item::Pdd(pdd)), from) => {
                let name = Name::of_pdd(&pdd);
                self.revoke(&pdd, &name, from).and_then(|done| {
                    moves.remove(&message.path)?;
                    Ok(ControlEffect::OfPdd(done))
                })
            }
            (Ok(item), _) => {
                name = Name::of(&item, name.expiry);
                if item.kind() == Kind::Parcel {
                    // A parcel that was put here by mistake is routed after a retry.
                    back_to = QueueId::In;
                }
                Err(Error::NoControl(item.kind().word()))
            }
            (Err(error), _) => Err(error),
        };
        let error = match result {
            Err(error) if self.is_settled(&error) => error,
            result => {
                return Some(Applied {
                    message,
                    result,
                    is_aside: false,
                });
            }
        };
        asides.push(Aside {
            message,
            name,
            back_to,
            error,
            has_room: !is_anothers,
        });
        None
    }

    /// Sets aside what cannot be applied, with one sync.
    fn set_aside(&self, asides: Vec<Aside>, moves: &mut Moves) -> Result<Vec<Applied>, Error> {
        let failed = asides.iter().map(|aside| FailedMessage {
            path: &aside.message.path,
            name: &aside.name,
            id: None,
            why: aside.error.to_string(),
            back_to: aside.back_to,
            transfer: None,
            has_room: aside.has_room,
        });
        let failed: Vec<_> = failed.collect();
        let placed = self.spool.set_aside_all(&failed, self.time.told, moves)?;
        let applied = asides.into_iter().zip(placed).map(|(aside, placed)| {
            let (result, is_aside) = match placed {
                Ok(Placed::New) => (Err(aside.error), true),
                Ok(Placed::Repeated) => (Ok(ControlEffect::Repeated), false),
                Ok(Placed::Useless) => (Err(aside.error), false),
                Err(error) => (Err(error.into()), false),
            };
            Applied {
                message: aside.message,
                result,
                is_aside,
            }
        });
        Ok(applied.collect())
    }

    /// Removes acknowledged messages from the queue for the gateway: first this is noted and
    /// remembered, then the messages are removed, then the acknowledgements.
    fn acknowledge(&self, gateway: NodeId, acks: Acks) -> Result<Vec<Applied>, Error> {
        let mut applied = Vec::new();
        if acks.is_empty() {
            return Ok(applied);
        }
        let out = self.spool.queue(QueueId::Out(gateway));
        let mut waiting: HashMap<MessageKey, Vec<Waiting>> = HashMap::new();
        // One pass over the queue, whatever the number of acknowledgements.
        for message in out.messages()? {
            let message = message?;
            if acks.contains_key(&message.name.identity) {
                waiting
                    .entry(message.name.identity)
                    .or_default()
                    .push(message);
            }
        }
        let unmatched = acks.iter().filter(|(key, _)| !waiting.contains_key(*key));
        let mut accepted = self.accepted(
            gateway,
            unmatched.filter_map(|(_, acks)| Some(&acks.first()?.1)),
        )?;
        let (mut lines, mut gone, mut passed) = (Vec::new(), Vec::new(), Vec::new());
        for (identity, messages) in acks {
            let mut acked = waiting.remove(&identity);
            for (message, pca) in messages {
                let result = match acked.take() {
                    Some(acked) => {
                        lines.push(self.acknowledged(gateway, &pca));
                        passed.extend(acked.first().map(|acked| {
                            MessageKey::from(&pca).to_replay_key(&pca.parcel_id, acked.name.expiry)
                        }));
                        gone.extend(acked.into_iter().map(|acked| acked.path));
                        ControlEffect::Acknowledged(pca)
                    }
                    None if accepted.remove(&identity) => {
                        lines.push(self.acknowledged(gateway, &pca));
                        ControlEffect::Acknowledged(pca)
                    }
                    None => ControlEffect::AlreadyAcknowledged,
                };
                applied.push(Applied {
                    message,
                    result: Ok(result),
                    is_aside: false,
                });
            }
        }
        self.spool.note(&lines)?;
        // Remembered before the files are removed: if a message comes back, it must not count as
        // new.
        if !passed.is_empty() {
            Memory::of(self.spool.owner().root())?.pass_on(&passed)?;
        }
        for path in &gone {
            files::remove_unsynced(path, FileRole::Spool)?;
        }
        if !gone.is_empty() {
            files::sync_dir(out.dir(), FileRole::Spool)?;
        }
        let control = self.spool.queue(QueueId::Control(gateway));
        for applied in &applied {
            files::remove_unsynced(&applied.message.path, FileRole::Spool)?;
        }
        files::sync_dir(control.dir(), FileRole::Spool)?;
        Ok(applied)
    }

    /// The note that this gateway acknowledged a parcel.
    fn acknowledged(&self, gateway: NodeId, pca: &Pca) -> Line {
        Line {
            time: self.time.told,
            event: SentEvent::Acknowledged,
            recipient: pca.recipient,
            sender: pca.sender,
            id: pca.parcel_id.clone(),
            to: Some(gateway.to_string()),
            cargo: None,
            medium: None,
            transfer: None,
        }
    }

    /// Which of these parcels went to this gateway, and left its queue because a server took them, which is the last
    /// thing that is noted of them. One pass over the notes, whatever the number of acknowledgements.
    fn accepted<'a>(
        &self,
        gateway: NodeId,
        pcas: impl Iterator<Item = &'a Pca>,
    ) -> Result<HashSet<MessageKey>, Error> {
        // Whether it went to this gateway, and whether a server took it.
        let mut parcels: HashMap<MessageKey, (bool, bool)> = HashMap::new();
        let mut ids = Vec::new();
        for pca in pcas {
            parcels.insert(MessageKey::from(pca), (false, false));
            ids.push(pca.parcel_id.as_str());
        }
        // As relay-route notes it, and as relay-sync does.
        let here = [Target::Out(gateway).to_string(), gateway.to_string()];
        self.spool.each_noted_of(ids.into_iter(), &mut |line| {
            let key = MessageKey {
                recipient: line.recipient,
                sender: line.sender,
                id: sha256(line.id.as_bytes()),
                kind: Kind::Parcel,
            };
            if let Some((is_meant, is_taken)) = parcels.get_mut(&key) {
                *is_meant |= line.to.is_some_and(|to| here.contains(&to));
                *is_taken = matches!(line.event, SentEvent::Accepted | SentEvent::Posted);
            }
        })?;
        parcels.retain(|_, known| *known == (true, true));
        Ok(parcels.into_keys().collect())
    }

    /// Imports a renewed certificate: with our key, signed by this gateway, and ending later than
    /// the stored ones.
    fn rotate(
        &self,
        gateway: NodeId,
        rotation: &Received<Rotation>,
    ) -> Result<ControlEffect, Error> {
        let node = self.spool.owner();
        let leaf = &rotation.path.leaf;
        if leaf.id() != node.id() {
            return Err(node::Error::Import(node::ImportError::ForAnotherNode(leaf.id())).into());
        }
        let key = node.identity_of(gateway)?;
        if leaf.verify_signature(&key).is_err() {
            return Err(
                node::Error::Authorization(node::AuthorizationError::ForeignRotation).into(),
            );
        }
        let _lock = node.lock_exclusive()?;
        // Gateways that peer directly renew authorizations to send cargo in the same way.
        let held = if leaf.is_ca() {
            certificates::paths_from(node, gateway)?
        } else {
            authorizations::held(node, gateway)?
        };
        let is_held = held.iter().any(|held| held.leaf == *leaf);
        if !is_held
            && held
                .iter()
                .any(|held| held.leaf.not_after() >= leaf.not_after())
        {
            return Ok(ControlEffect::Outdated);
        }
        let options = Options {
            name: None,
            replace: false,
            expected: None,
            vouched: true,
            is_local: false,
            one_way: false,
            now: self.time.told,
            window: *self.window,
        };
        // The import checks more than is checked here.
        node.import(rotation.octets(), &options)?;
        Ok(ControlEffect::Rotated)
    }

    /// Takes a deauthorization. One that begins far in the future is useless: by then, another can
    /// come.
    fn revoke(
        &self,
        pdd: &Received<Pdd>,
        name: &Name,
        from: Option<NodeId>,
    ) -> Result<RevocationEffect, Error> {
        let taken = self.desk.take(pdd, name, from);
        let begins = |error: &Error| match error {
            Error::Node(node::Error::Message(error)) => error.begins(),
            _ => None,
        };
        let latest = self.time.told.checked_add(MAX_EARLY);
        match &taken {
            Err(error)
                if self.time.is_believed()
                    && begins(error).is_some_and(|at| latest.is_ok_and(|latest| at > latest)) =>
            {
                Ok(RevocationEffect::Useless(
                    "it begins more than a day from now",
                ))
            }
            _ => taken,
        }
    }

    /// Whether every further try fails in the same way, so that the message is set aside.
    fn is_settled(&self, error: &Error) -> bool {
        if !self.time.is_believed() && error.kind().depends_on_clock() {
            return false;
        }
        match error {
            Error::Node(error) => match error {
                node::Error::Disk(_)
                | node::Error::Directory(_)
                | node::Error::SessionKey(node::SessionKeyError::NotSaved { .. }) => false,
                error => error.kind() != ErrorKind::Early,
            },
            // A file over the limit holds no valid message.
            Error::Spool(spool::Error::Disk(disk::Error::TooLarge { .. }))
            | Error::Message(_)
            | Error::NoControl(_) => true,
            _ => false,
        }
    }
}

impl Applied {
    /// Whether it waits until the clock is believed.
    #[must_use]
    pub fn is_untimely(&self, time: &Time) -> bool {
        let stays = self.result.as_ref().err().filter(|_| !self.is_aside);
        !time.is_believed() && stays.is_some_and(|error| error.kind().depends_on_clock())
    }
}
