//! What this user may do with a spool: everything, or as a member of its group leave messages there.

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

/// What this user may do with a spool.
#[derive(Debug)]
pub enum Access {
    /// Everything.
    Owner(Box<Spool>),
    /// To leave messages: nothing of the node that the spool belongs to can be read.
    Member(Member),
}

/// A member of the group of a spool's node.
#[derive(Debug)]
pub struct Member {
    spool: PathBuf,
    /// That of his own endpoint, if he came by that.
    config: Config,
}

impl Access {
    /// What may be done with the spool that the node in this directory uses, which was opened or could not be.
    ///
    /// # Errors
    /// When the node, or its gateway, cannot be used at all.
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

    /// The settings that go: those of the node that the spool belongs to, unless nobody but its user knows them.
    #[must_use]
    pub fn config(&self) -> &Config {
        match self {
            Self::Owner(spool) => spool.owner().config(),
            Self::Member(member) => &member.config,
        }
    }

    /// The queue where messages are left, and the directory where they are written.
    ///
    /// # Errors
    /// When they are not there and cannot be made.
    pub fn entrance(&self) -> Result<(Queue, PathBuf), Error> {
        match self {
            Self::Owner(spool) => Ok((spool.make(QueueId::In)?, spool.tmp())),
            Self::Member(Member { spool, .. }) => {
                let queue = Queue::new(spool.join(QueueId::In.path()), QueueId::In);
                Ok((queue, spool.join(TMP)))
            }
        }
    }

    /// How the file of a parcel is stored.
    #[must_use]
    pub fn manner(&self, existing: IfExists) -> PublishOptions<'static> {
        let mode = match self {
            Self::Owner(spool) => spool.mode_of(crate::ramf::Kind::Parcel),
            Self::Member(_) => Mode::Exact(group::READABLE),
        };
        PublishOptions::stored(FileRole::Spool, existing).mode(mode)
    }

    /// What went before, for who may know it. Members do without: the node's memory and queues are its user's alone.
    ///
    /// # Errors
    /// When a queue or the memory cannot be read.
    pub fn precedents(&self) -> Result<Option<Precedents<'_>>, Error> {
        match self {
            Self::Owner(spool) => spool.precedents().map(Some),
            Self::Member(_) => Ok(None),
        }
    }

    /// What is held against messages: by who knows the node what it holds against them, else what a courier does. The
    /// node looks at all of them again.
    ///
    /// # Errors
    /// When the node cannot be read.
    pub fn policy(&self, window: Window, now: Timestamp) -> Result<Policy, Error> {
        match self {
            Self::Owner(spool) => Ok(Policy::of_node(spool.owner(), Vec::new(), window, now)?),
            Self::Member(_) => Ok(Policy::courier(Vec::new(), window, now)),
        }
    }

    /// The room for messages. Members know of no quota.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn room(&self) -> Result<Room, Error> {
        match self {
            Self::Owner(spool) => Room::new(spool.root(), spool.owner().config()).count(spool),
            Self::Member(Member { spool, .. }) => Ok(Room::new(spool, &Config::default())),
        }
    }
}
