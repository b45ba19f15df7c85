//! The access of the current user to a spool: full, or, as a member of its group, only to leave
//! messages.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::folders::TMP;
use super::precedent::Precedents;
use super::store::{Spool, door};
use super::{Error, Queue, QueueId, Room};
use crate::disk::publish::{IfExists, PublishOptions};
use crate::disk::{FileRole, Mode, group};
use crate::node::{self, Config, Directory};
use crate::pki::Window;
use crate::verify::Policy;

/// The access of the current user to a spool.
#[derive(Debug)]
pub enum Access {
    /// Full access.
    Owner(Box<Spool>),
    /// May only leave messages, and can read nothing of the node that owns the spool.
    Member(Member),
}

/// A member of the group of a spool's node.
#[derive(Debug)]
pub struct Member {
    spool: PathBuf,
    /// The config of their own endpoint, if the spool was found through it; otherwise the default.
    config: Config,
}

impl Access {
    /// Determines the access to the spool of the node in the directory `root`; `opened` is the
    /// result of opening that node.
    ///
    /// # Errors
    /// When neither the node nor the spool of its gateway can be used.
    pub fn of(root: &Path, opened: Result<Directory, node::Error>) -> Result<Self, Error> {
        match opened {
            Ok(node) => {
                let spool = Spool::shared_with(node)?;
                if !spool.is_guest() {
                    return Ok(Self::Owner(Box::new(spool)));
                }
                Ok(Self::Member(Member {
                    spool: spool.shared,
                    config: spool.owner.config().clone(),
                }))
            }
            // A member cannot read the node's directory, but can enter its spool.
            Err(error) if error.is_denied() => match door(root) {
                Some(spool) => Ok(Self::Member(Member {
                    spool,
                    config: Config::default(),
                })),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The settings that apply: those of the node that owns the spool, if this user can read them.
    #[must_use]
    pub fn config(&self) -> &Config {
        match self {
            Self::Owner(spool) => spool.owner().config(),
            Self::Member(member) => &member.config,
        }
    }

    /// The queue `in`, and the directory for temporary files.
    ///
    /// # Errors
    /// When they do not exist and cannot be created.
    pub fn entrance(&self) -> Result<(Queue, PathBuf), Error> {
        match self {
            Self::Owner(spool) => Ok((spool.make(QueueId::In)?, spool.tmp())),
            Self::Member(Member { spool, .. }) => {
                let queue = Queue::new(spool.join(QueueId::In.path()), QueueId::In);
                Ok((queue, spool.join(TMP)))
            }
        }
    }

    /// The publication options for the file of a parcel.
    #[must_use]
    pub fn manner(&self, existing: IfExists) -> PublishOptions<'static> {
        match self {
            Self::Owner(spool) => spool.arriving(crate::ramf::Kind::Parcel, existing),
            // The owner is another user, and reads the file through the group.
            Self::Member(_) => {
                PublishOptions::stored(FileRole::Spool, existing).mode(Mode::Exact(group::READABLE))
            }
        }
    }

    /// The earlier messages, to compare new ones with, and the room for these. A member has no earlier
    /// messages, since only the owner can read the node's replay memory and queues; and no quota applies to
    /// them, since they cannot read the config.
    ///
    /// # Errors
    /// When a queue, the ledger or the memory cannot be read.
    pub(super) fn precedents_and_room(&self) -> Result<(Option<Precedents<'_>>, Room<'_>), Error> {
        match self {
            Self::Owner(spool) => {
                let (precedents, ledger) = spool.precedents()?;
                Ok((Some(precedents), Room::with(spool, ledger)))
            }
            Self::Member(Member { spool, .. }) => {
                Ok((None, Room::new(spool, &Config::default(), None)))
            }
        }
    }

    /// The policy that messages are verified against: the node's, or for a member, who cannot read
    /// the node, a courier's. The node verifies each message again.
    ///
    /// # Errors
    /// When the node cannot be read.
    pub fn policy(&self, window: Window, now: Timestamp) -> Result<Policy, Error> {
        match self {
            Self::Owner(spool) => Ok(Policy::of_node(spool.owner(), Vec::new(), window, now)?),
            Self::Member(_) => Ok(Policy::courier(Vec::new(), window, now)),
        }
    }
}
