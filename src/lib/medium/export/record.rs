//! The consequences of cargo on a medium: it is noted, and messages that nobody will acknowledge
//! leave their queue.

use std::path::PathBuf;

use super::context::Context;
use crate::medium::Error;
use crate::node::seen::Memory;
use crate::pki::NodeId;
use crate::ramf::Kind;
use crate::spool::moves::Moves;
use crate::spool::sent::{Line, SentEvent};
use crate::spool::{Name, Queue, QueueId};

/// A message in cargo on the medium.
pub(super) struct PackedMessage {
    pub path: PathBuf,
    pub name: Name,
    pub id: Option<String>,
    /// The id of the parcel that it acknowledges, for the record.
    pub parcel_id: Option<String>,
}

impl PackedMessage {
    /// Whether it is a parcel that nobody will acknowledge, and this was its last copy.
    fn is_last_copy(&self) -> bool {
        self.name.identity.kind == Kind::Parcel && self.name.copies.is_some_and(|it| it <= 1)
    }
}

impl Context<'_> {
    /// Notes that messages are in cargo on the medium, then releases those that nobody will
    /// acknowledge.
    pub(super) fn note_and_release(
        &self,
        hop: NodeId,
        cargo: &str,
        packed: &[PackedMessage],
    ) -> Result<(), Error> {
        let line = |message: &PackedMessage, event| {
            Some(Line {
                time: self.time.told,
                event,
                recipient: message.name.identity.recipient,
                sender: message.name.identity.sender,
                id: message.id.clone()?,
                to: Some(hop.to_string()),
                cargo: Some(cargo.to_owned()),
                medium: Some(self.medium.id().to_owned()),
                transfer: None,
            })
        };
        let noted = packed.iter().filter_map(|it| line(it, SentEvent::Packed));
        let last = packed.iter().filter(|it| it.is_last_copy());
        let released = last.filter_map(|it| line(it, SentEvent::Released));
        self.spool
            .note(&noted.chain(released).collect::<Vec<_>>())?;
        self.release(&self.spool.queue(QueueId::Out(hop)), packed)
    }

    /// Removes acknowledgements, and parcels that enough copies were exported of. Other parcels
    /// wait for their acknowledgement.
    fn release(&self, out: &Queue, packed: &[PackedMessage]) -> Result<(), Error> {
        let owner = self.spool.owner();
        let mut memory = None;
        let mut moves = Moves::default();
        let mut passed = Vec::new();
        let mut gone = Vec::new();
        for message in packed {
            let PackedMessage { path, name, id, .. } = message;
            match (name.identity.kind, name.copies) {
                (Kind::Parcel, None) => {}
                // The number of copies left is in the name, so a rename is all that is needed.
                (Kind::Parcel, Some(copies)) if !message.is_last_copy() => {
                    let fewer = Name {
                        copies: Some(copies - 1),
                        ..name.clone()
                    };
                    moves.rename(path, &out.path_of(&fewer))?;
                }
                (Kind::Parcel, Some(_)) => {
                    if memory.is_none() {
                        memory = Some(Memory::of(owner.root())?);
                    }
                    passed.push(name.to_replay_key(id.as_deref().unwrap_or_default()));
                    gone.push(path);
                }
                _ => gone.push(path),
            }
        }
        // Remembered before the file is removed: after a crash in between, the message must not
        // count as new if it comes back.
        if let Some(memory) = &mut memory {
            memory.pass_on(&passed)?;
        }
        for path in gone {
            moves.remove(path)?;
        }
        moves.commit()?;
        Ok(())
    }
}
