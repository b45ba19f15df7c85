//! Applies control messages. They are not signed: they count only with the gateway whose cargo brought them.
//!
//! An acknowledgement removes exactly one message from the queue of that gateway; a rotation renews our
//! certificate from it.
//!
//! Each of them is applied, or removed as useless, or set aside with the reason. One that cannot be read, or is not
//! valid yet, stays, and does not keep the others from being applied.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Error;
use crate::disk::{self, FileRole, files};
use crate::kind::ErrorKind;
use crate::message::item::Received;
use crate::message::{Item, Pca, Rotation};
use crate::node::import::Options;
use crate::node::seen::Memory;
use crate::node::{self, certificates};
use crate::pki::{NodeId, Window};
use crate::ramf::Kind;
use crate::spool::failed::FailedMessage;
use crate::spool::moves::{Moves, Placed};
use crate::spool::name::{MessageKey, Name};
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{self, QueueId, Spool, Time};

/// How many control messages are applied at once.
const MAX_AT_ONCE: usize = 4096;

/// What became of a control message.
#[derive(Debug)]
pub struct Applied {
    /// The message, by its file's name.
    pub message: Waiting,
    /// What it was, or why it could not be applied.
    pub result: Result<ControlEffect, Error>,
    /// Whether it was set aside, with the reason; else what could not be applied stays.
    pub is_aside: bool,
}

/// What a control message did.
#[derive(Debug)]
pub enum ControlEffect {
    /// The gateway has this message, which waits no longer.
    Acknowledged(Pca),
    /// It has it, and nothing waited any more.
    AlreadyAcknowledged,
    /// The certificate from the gateway was renewed.
    Rotated,
    /// The certificate that is held lasts as long or longer.
    Outdated,
    /// The same was set aside before.
    Repeated,
}

/// The control messages of one gateway.
#[derive(Debug)]
pub struct ControlQueue<'a> {
    /// The spool, which is locked.
    pub spool: &'a Spool,
    /// The gateway whose cargo brought them.
    pub gateway: NodeId,
    /// The instants that certificates must be valid at.
    pub window: &'a Window,
    /// The time. Under a clock that is not believed nothing is set aside.
    pub time: &'a Time,
}

/// Acknowledgements by what they acknowledge; several files may say the same.
type Acks = HashMap<MessageKey, Vec<(Waiting, Pca)>>;

impl ControlQueue<'_> {
    /// Applies what this gateway's cargo brought. What became of each message goes to `each`; files that are no
    /// message go to `unexpected`.
    ///
    /// # Errors
    /// When the queue cannot be listed or the spool not be changed, or `each` failed.
    pub fn apply<E: From<Error>>(
        &self,
        each: &mut dyn FnMut(Applied) -> Result<(), E>,
        unexpected: &mut dyn FnMut(PathBuf),
    ) -> Result<(), E> {
        let queue = self.spool.queue(QueueId::Control(self.gateway));
        let mut entries = queue.entries().map_err(Error::from)?;
        let mut failed = None;
        loop {
            let (mut acks, mut applied) = (Acks::new(), Vec::new());
            let mut count = 0;
            let mut moves = Moves::default();
            while count < MAX_AT_ONCE {
                match entries.next() {
                    Some(Ok(QueueEntry::Message(message))) => {
                        count += 1;
                        applied.extend(self.take(message, &mut acks, &mut moves));
                    }
                    Some(Ok(QueueEntry::Unexpected(path))) => unexpected(path),
                    Some(Err(error)) => {
                        failed = Some(Error::from(error));
                        break;
                    }
                    None => break,
                }
            }
            moves.commit().map_err(Error::from)?;
            applied.extend(self.acknowledge(acks)?);
            applied.into_iter().try_for_each(&mut *each)?;
            if let Some(error) = failed {
                return Err(error.into());
            }
            if count < MAX_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Applies one message at once, unless it is an acknowledgement: those are collected in `acks`, since one pass over
    /// the queue serves all of them, and `None` is returned. So it is for a message that has gone.
    fn take(&self, message: Waiting, acks: &mut Acks, moves: &mut Moves) -> Option<Applied> {
        let mut name = message.name.clone();
        let mut back_to = QueueId::Control(self.gateway);
        let read = match message.read() {
            Ok(octets) => Ok(octets?), // or it has gone meanwhile
            Err(error) => Err(error),
        };
        let item = read
            .map_err(Error::from)
            .and_then(|octets| Ok(Item::parse(octets)?));
        let result = match item {
            Ok(Item::Pca(pca)) => {
                let pca = pca.into_value();
                // A file's name is an index; the message itself says what it acknowledges.
                acks.entry(MessageKey::from(&pca))
                    .or_default()
                    .push((message, pca));
                return None;
            }
            Ok(Item::Rotation(rotation)) => self.rotate(&rotation).and_then(|done| {
                moves.remove(&message.path)?;
                Ok(done)
            }),
            Ok(item) => {
                name = Name::of(&item, name.expiry);
                if item.kind() == Kind::Parcel {
                    back_to = QueueId::In;
                }
                Err(Error::NoControl(item.kind().word()))
            }
            Err(error) => Err(error),
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
        let aside = FailedMessage {
            path: &message.path,
            name: &name,
            id: None,
            why: error.to_string(),
            back_to,
        };
        Some(match self.spool.set_aside(&aside, self.time.told, moves) {
            Ok(Placed::New) => Applied {
                message,
                result: Err(error),
                is_aside: true,
            },
            Ok(Placed::Repeated) => Applied {
                message,
                result: Ok(ControlEffect::Repeated),
                is_aside: false,
            },
            Err(error) => Applied::stays(message, error.into()),
        })
    }

    /// Removes what these acknowledge from the queue of the gateway: first it is noted and remembered, then the
    /// messages go, then the acknowledgements.
    fn acknowledge(&self, acks: Acks) -> Result<Vec<Applied>, Error> {
        let mut applied = Vec::new();
        if acks.is_empty() {
            return Ok(applied);
        }
        let out = self.spool.queue(QueueId::Out(self.gateway));
        let mut waiting: HashMap<MessageKey, Vec<Waiting>> = HashMap::new();
        for message in out.messages()? {
            let message = message?;
            if acks.contains_key(&message.name.identity) {
                waiting
                    .entry(message.name.identity)
                    .or_default()
                    .push(message);
            }
        }
        let (mut lines, mut gone, mut passed) = (Vec::new(), Vec::new(), Vec::new());
        for (identity, messages) in acks {
            let mut acked = waiting.remove(&identity);
            for (message, pca) in messages {
                let result = match acked.take() {
                    Some(acked) => {
                        lines.push(Line {
                            time: self.time.told,
                            event: SentEvent::Acknowledged,
                            recipient: pca.recipient,
                            sender: pca.sender,
                            id: pca.parcel_id.clone(),
                            to: Some(self.gateway.to_string()),
                            cargo: None,
                            medium: None,
                        });
                        passed.extend(acked.first().map(|acked| {
                            MessageKey::from(&pca).to_replay_key(&pca.parcel_id, acked.name.expiry)
                        }));
                        gone.extend(acked.into_iter().map(|acked| acked.path));
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
        if !passed.is_empty() {
            Memory::of(self.spool.owner().root())?.pass_on(&passed)?;
        }
        for path in &gone {
            files::remove_unsynced(path, FileRole::Spool)?;
        }
        if !gone.is_empty() {
            files::sync_dir(out.dir(), FileRole::Spool)?;
        }
        let control = self.spool.queue(QueueId::Control(self.gateway));
        for applied in &applied {
            files::remove_unsynced(&applied.message.path, FileRole::Spool)?;
        }
        files::sync_dir(control.dir(), FileRole::Spool)?;
        Ok(applied)
    }

    /// Takes a renewed certificate from the gateway: our key in it, signed by that gateway, lasting longer.
    fn rotate(&self, rotation: &Received<Rotation>) -> Result<ControlEffect, Error> {
        let node = self.spool.owner();
        let leaf = &rotation.path.leaf;
        if leaf.id() != node.id() {
            return Err(node::Error::Import(node::ImportError::ForAnotherNode(leaf.id())).into());
        }
        let key = node.identity_of(self.gateway)?;
        if leaf.verify_signature(&key).is_err() {
            return Err(
                node::Error::Authorization(node::AuthorizationError::ForeignRotation).into(),
            );
        }
        let _lock = node.lock_exclusive()?;
        let held = certificates::paths_from(node, self.gateway)?;
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
            one_way: false,
            now: self.time.told,
            window: *self.window,
        };
        // Its own checks come on top of those here.
        node.import(rotation.octets(), &options)?;
        Ok(ControlEffect::Rotated)
    }

    /// Whether another try gives the same result, so that the message is set aside.
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
            // No message is as long as that.
            Error::Spool(spool::Error::Disk(disk::Error::TooLarge { .. }))
            | Error::Message(_)
            | Error::NoControl(_) => true,
            _ => false,
        }
    }
}

impl Applied {
    /// Whether it waits for a clock that is believed.
    #[must_use]
    pub fn is_untimely(&self, time: &Time) -> bool {
        let stays = self.result.as_ref().err().filter(|_| !self.is_aside);
        !time.is_believed() && stays.is_some_and(|error| error.kind().depends_on_clock())
    }

    fn stays(message: Waiting, error: Error) -> Self {
        Self {
            message,
            result: Err(error),
            is_aside: false,
        }
    }
}
