//! Whether and how cargo may be sent to a next hop: as registered or authorized there, or as answer
//! to its CCA.

use std::path::PathBuf;

use super::context::{Context, check_len, unlisted};
use crate::disk::{FileRole, files};
use crate::kind::ErrorKind;
use crate::medium::{Error, ExchangeEvent, WaitReason};
use crate::node::{self, Keyring as _, seen};
use crate::pki::NodeId;
use crate::ramf::{Kind, limits};
use crate::receive::{self, PendingReceipt};
use crate::send::Sealer;
use crate::spool::failed::FailedMessage;
use crate::spool::moves::Moves;
use crate::spool::queue::{QueueEntry, Waiting};
use crate::spool::{self, Name, QueueId};

/// The most requests of one gateway in `failed`.
const MAX_REQUESTS: usize = 10;

/// The way to a next hop.
pub(super) enum Way<'a> {
    /// Cargo can be sent, sealed by this; with the CCA that it answers, if that authorizes it.
    Open(Box<(Sealer, Option<Answered<'a>>)>),
    /// Cargo cannot be sent, for this reason.
    Closed(WaitReason),
}

/// A CCA that cargo answers.
pub(super) struct Answered<'a> {
    receipt: PendingReceipt<'a>,
    pub path: PathBuf,
    pub name: Name,
}

impl Answered<'_> {
    /// Remembers that the CCA was answered, then removes it.
    pub(super) fn use_up(self) -> Result<(), Error> {
        // Remembered first: a crash in between leaves a CCA that the next run knows as used.
        self.receipt.complete_later()?;
        files::remove(&self.path, FileRole::Spool)?;
        Ok(())
    }
}

/// The reason why a CCA is not answered.
enum Unanswered {
    /// It has expired.
    Over,
    /// It can never be answered, whatever the operator does.
    Never(Error),
    /// It may be answered later, when the disk, the keys or the clock are repaired.
    Now(Error),
}

impl<T: Into<Error>> From<T> for Unanswered {
    fn from(error: T) -> Self {
        Self::Now(error.into())
    }
}

impl<'a> Context<'a> {
    /// Finds the way to a next hop: the registration or authorization from it, else its CCA.
    /// Problems of a CCA are added to `events`.
    ///
    /// # Errors
    /// When the node cannot be read, or may not send to the hop and no CCA overrides that.
    pub(super) fn way(
        &self,
        hop: NodeId,
        events: &mut Vec<ExchangeEvent>,
    ) -> Result<Way<'a>, Error> {
        let node = self.spool.owner();
        let refusal = match node.carrier(hop, self.time.told) {
            // The peer is locked until the sealer has stored the session key.
            Ok(peer) => {
                let _locks = node.lock_peer(hop)?;
                let sealer = Sealer::new(node, peer, Kind::Cargo, self.cipher, self.time.told)?;
                return Ok(Way::Open(Box::new((sealer, None))));
            }
            Err(refusal) => refusal,
        };
        let (answer, why) = self.answer(hop, events);
        let is_broken = matches!(
            refusal,
            node::Error::Disk(_) | node::Error::Directory(node::DirectoryError::Damaged { .. })
        );
        match (answer, refusal) {
            (Some((sealer, answered)), refusal) => {
                // The cargo can go, but somebody should repair what is damaged.
                if is_broken {
                    let what = node.label_of(hop);
                    let error = refusal.into();
                    events.push(ExchangeEvent::Failed { what, error });
                }
                Ok(Way::Open(Box::new((sealer, Some(answered)))))
            }
            (
                None,
                node::Error::Authorization(node::AuthorizationError::NotCarrier(_))
                | node::Error::Peer(node::PeerError::Unknown(_)),
            ) => Ok(Way::Closed(why)),
            (None, refusal) => Err(refusal.into()),
        }
    }

    /// The first CCA of a next hop that can be answered, or the reason why messages wait. A bad CCA
    /// does not keep the others from being tried: one that can never be answered is set aside, one
    /// that the operator can repair stays.
    fn answer(
        &self,
        hop: NodeId,
        events: &mut Vec<ExchangeEvent>,
    ) -> (Option<(Sealer, Answered<'a>)>, WaitReason) {
        let mut why = WaitReason::NoWay;
        let queue = self.spool.queue(QueueId::Cca(hop));
        let entries = match queue.entries() {
            Ok(entries) => entries,
            Err(error) => {
                events.push(unlisted(&queue, error));
                return (None, why);
            }
        };
        for entry in entries {
            let cca = match entry {
                Ok(QueueEntry::Message(cca)) => cca,
                Ok(QueueEntry::Unexpected(path)) => {
                    events.push(ExchangeEvent::Unexpected(path));
                    continue;
                }
                Err(error) => {
                    events.push(unlisted(&queue, error));
                    break;
                }
            };
            let what = cca.path.display().to_string();
            match self.answer_to(&cca) {
                Ok(Some(answer)) => return (Some(answer), why),
                Ok(None) => {}
                // relay-purge removes it, if it believes the clock. The gateway sends a new one.
                Err(Unanswered::Over) => why = WaitReason::Ended,
                Err(Unanswered::Never(error)) => {
                    match self.set_aside(&cca, QueueId::Cca(hop), &error) {
                        Ok(()) => events.push(ExchangeEvent::SetAside { what, error }),
                        Err(unmoved) => events.extend([error, unmoved.into()].map(|error| {
                            let what = what.clone();
                            ExchangeEvent::Failed { what, error }
                        })),
                    }
                }
                Err(Unanswered::Now(error)) => events.push(ExchangeEvent::Failed { what, error }),
            }
        }
        (None, why)
    }

    /// Prepares to answer a CCA; `None` if it is gone or was answered before.
    fn answer_to(&self, cca: &Waiting) -> Result<Option<(Sealer, Answered<'a>)>, Unanswered> {
        let node = self.spool.owner();
        check_len(cca, limits::MAX_MESSAGE_LEN).map_err(|error| match error {
            Error::Message(_) => Unanswered::Never(error),
            error => Unanswered::Now(error),
        })?;
        let Some(octets) = cca.read()? else {
            return Ok(None);
        };
        match receive::cca(node, octets, &self.options) {
            Ok(opened) => {
                let peer = opened.correspondent()?;
                let sealer = Sealer::new(node, peer, Kind::Cargo, self.cipher, self.time.told)?;
                // Drops the peer's lock. The lock on the queues keeps other runs from packing, and
                // programs that open messages of this peer need not wait for a slow medium.
                let (_, receipt) = opened.into_due();
                let answered = Answered {
                    receipt,
                    path: cca.path.clone(),
                    name: cca.name.clone(),
                };
                Ok(Some((sealer, answered)))
            }
            Err(node::Error::Replay(node::ReplayError::CcaUsed)) => {
                // A killed run may not have synced the record that allows the removal.
                seen::settle(node.root())?;
                files::remove(&cca.path, FileRole::Spool)?;
                Ok(None)
            }
            // Only the clock may be wrong, so the CCA is neither set aside nor reported.
            Err(error) if !self.time.is_believed() && error.kind().depends_on_clock() => {
                Err(Unanswered::Over)
            }
            Err(error) if is_over(&error) => Err(Unanswered::Over),
            Err(error) if is_settled(&error) => Err(Unanswered::Never(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn set_aside(
        &self,
        message: &Waiting,
        back_to: QueueId,
        error: &Error,
    ) -> Result<(), spool::Error> {
        let has_room = match back_to {
            QueueId::Cca(_) => self.has_room_for(message)?,
            _ => true,
        };
        let failed = FailedMessage {
            path: &message.path,
            name: &message.name,
            id: None,
            why: error.to_string(),
            back_to,
            transfer: None,
            has_room,
        };
        let mut moves = Moves::default();
        self.spool.set_aside(&failed, self.time.told, &mut moves)?;
        moves.commit()
    }
}

impl Context<'_> {
    /// Whether a request may be set aside: no quota keeps one out, and each run can bring another.
    fn has_room_for(&self, request: &Waiting) -> Result<bool, spool::Error> {
        let ends = |name: &Name| (name.identity.kind, name.identity.sender);
        let failed = self.spool.queue(QueueId::Failed).messages()?;
        let alike = failed
            .flatten()
            .filter(|it| ends(&it.name) == ends(&request.name));
        Ok(alike.take(MAX_REQUESTS).count() < MAX_REQUESTS)
    }
}

/// Whether a CCA was refused because it has expired. One that expires within a day is reported
/// instead.
fn is_over(error: &node::Error) -> bool {
    error.kind() == ErrorKind::Expired
        && !matches!(
            error,
            node::Error::Authorization(node::AuthorizationError::CcaEnds { .. })
        )
}

/// Whether a CCA stays refused even when the disk, the keys and the clock are repaired.
fn is_settled(error: &node::Error) -> bool {
    use ErrorKind as K;
    matches!(
        error.kind(),
        K::Malformed
            | K::Corrupt
            | K::Unsuitable
            | K::OtherRecipient
            | K::UnknownKey
            | K::Unauthorized
            | K::Untrusted
            | K::Forbidden
    )
}
