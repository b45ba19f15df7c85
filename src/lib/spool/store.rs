//! A spool: its folders, its queues, and who may be at work on them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;

use super::queue_id::HOME;
use super::{Error, Name, Queue, QueueId, QueueKind, folders, moves, name, queue};
use crate::disk::{self, FileRole, Lock, Mode, files, group};
use crate::node::seen::Memory;
use crate::node::{Directory, endpoints};
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The spool of a node, which its local endpoints use, too.
#[derive(Debug)]
pub struct Spool {
    /// Where what belongs to the owner is.
    pub(super) root: PathBuf,
    /// Where messages come in and go home: elsewhere for a local endpoint that uses another user's spool.
    pub(super) shared: PathBuf,
    pub(super) owner: Directory,
    /// A time, and the one that is believed for it: a run asks for the same one again and again.
    pub(super) day: OnceLock<(Timestamp, Timestamp)>,
}

impl Spool {
    /// The spool that a node uses: its own, or as a local endpoint its gateway's.
    ///
    /// # Errors
    /// When the gateway's directory is not right.
    pub fn of(node: Directory) -> Result<Self, Error> {
        Ok(match gateway_of(&node)? {
            Some(gateway) => Self::owned_by(Directory::open(&gateway)?),
            None => Self::owned_by(node),
        })
    }

    /// The same, also where the gateway is another user's: then only what members of its group may use of the
    /// spool. What else there is to be stored, the endpoint stores in a spool of its own, and is the owner of that.
    ///
    /// # Errors
    /// When the gateway's directory is not right, or may not be used at all.
    pub fn shared_with(node: Directory) -> Result<Self, Error> {
        let Some(gateway) = gateway_of(&node)? else {
            return Ok(Self::owned_by(node));
        };
        match Directory::open(&gateway) {
            Ok(owner) => Ok(Self::owned_by(owner)),
            Err(error) if error.is_denied() => match door(&gateway) {
                Some(shared) => Ok(Self {
                    root: node.root().join(folders::SPOOL),
                    shared,
                    owner: node,
                    day: OnceLock::new(),
                }),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn owned_by(owner: Directory) -> Self {
        let root = owner.root().join(folders::SPOOL);
        let shared = root.clone();
        Self {
            root,
            shared,
            owner,
            day: OnceLock::new(),
        }
    }

    /// Whether messages come in and go home in another user's spool.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.shared != self.root
    }

    /// Whether files of other users may be in its queues.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_guest() || self.owner.config().group().is_some()
    }

    /// The node that the spool belongs to; of a guest, his own.
    #[must_use]
    pub fn owner(&self) -> &Directory {
        &self.owner
    }

    /// The spool's directory; of a guest, that of his own.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files are written before they are in a queue.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.shared.join(folders::TMP)
    }

    /// The queue at this place; it need not exist.
    #[must_use]
    pub fn queue(&self, place: QueueId) -> Queue {
        let root = if place.is_of_group() {
            &self.shared
        } else {
            &self.root
        };
        Queue::new(root.join(place.path()), place)
    }

    /// The permission bits of the file of a message of this kind: parcels are for the group to read.
    #[must_use]
    pub fn mode_of(&self, kind: Kind) -> Mode {
        if self.is_shared() && kind == Kind::Parcel {
            Mode::Exact(group::READABLE)
        } else {
            Mode::Secret
        }
    }

    /// Makes the queue at this place, for messages to come. A guest makes nothing in another user's spool.
    ///
    /// # Errors
    /// When a directory cannot be made, or not be given to the group.
    pub fn make(&self, place: QueueId) -> Result<Queue, Error> {
        let queue = self.queue(place);
        if self.is_guest() {
            if !place.is_of_group() {
                files::create_dir_all_private(queue.dir(), FileRole::Spool)?;
            }
            return Ok(queue);
        }
        if let Some(group) = self.owner.config().find_group()? {
            group.create_dir(&self.root, FileRole::Spool, group::GATE)?;
            group.create_dir(&self.tmp(), FileRole::Spool, group::SHARED)?;
            match place {
                QueueId::In => {
                    group.create_dir(queue.dir(), FileRole::Spool, group::SHARED)?;
                }
                QueueId::Home(_) => {
                    group.create_dir(&self.root.join(HOME), FileRole::Spool, group::GATE)?;
                    group.create_given_dir(queue.dir(), FileRole::Spool)?;
                }
                _ => {}
            }
        }
        // Those that are there are synced into theirs: a run that was killed may have made them and no more.
        for dir in [&self.root, &self.tmp(), queue.dir()] {
            files::create_dir_all_private(dir, FileRole::Spool)?;
        }
        Ok(queue)
    }

    /// Makes what the members of the node's group need before anything else is there: the queue for what they send, and
    /// one for each local endpoint. Without a group nothing.
    ///
    /// # Errors
    /// As [`Spool::make`].
    pub fn share(&self) -> Result<(), Error> {
        if self.is_guest() || self.owner.config().group().is_none() {
            return Ok(());
        }
        self.make(QueueId::In)?;
        for endpoint in endpoints::local(&self.owner)? {
            self.make(QueueId::Home(endpoint.id))?;
        }
        Ok(())
    }

    /// All queues that there are, in one order: `in` and `failed`, and those for single nodes.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn queues(&self) -> Result<Vec<Queue>, Error> {
        let mut queues = vec![self.queue(QueueId::In)];
        for kind in QueueKind::ALL {
            queues.extend(self.queues_in(kind)?.into_iter().map(|(_, queue)| queue));
        }
        queues.push(self.queue(QueueId::Failed));
        Ok(queues)
    }

    /// The queues of this kind, each with the node that it is for.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn queues_in(&self, kind: QueueKind) -> Result<Vec<(NodeId, Queue)>, Error> {
        // A guest may not list the folder, and is to know of no other node.
        if self.is_guest() && kind == QueueKind::Home {
            let own = self.owner.id();
            return Ok(vec![(own, self.queue(QueueId::Home(own)))]);
        }
        let mut queues = Vec::new();
        let folder = self.root.join(kind.folder());
        for entry in disk::tree::entries(&folder, FileRole::Spool)?.entries {
            let node = entry.name.to_str().and_then(|name| name.parse().ok());
            if let (disk::tree::EntryKind::Dir, Some(node)) = (entry.kind, node) {
                queues.push((node, self.queue(kind.of(node))));
            }
        }
        Ok(queues)
    }

    /// The queues that a person means: `in`, `failed`, all of a folder (`out`), or one of it (`out/hub`).
    ///
    /// # Errors
    /// [`Error::NoQueue`] when there is none of this name; [`crate::node::PeerError::Unknown`] when nobody has it.
    pub fn find_queues(&self, text: &str) -> Result<Vec<Queue>, Error> {
        let no_queue = || Error::NoQueue(text.to_owned());
        match text.split_once('/') {
            None if text == "in" => Ok(vec![self.queue(QueueId::In)]),
            None if text == "failed" => Ok(vec![self.queue(QueueId::Failed)]),
            None => {
                let kind = QueueKind::of_folder(text).ok_or_else(no_queue)?;
                let queues = self.queues_in(kind)?.into_iter();
                Ok(queues.map(|(_, queue)| queue).collect())
            }
            Some((folder, node)) => {
                let kind = QueueKind::of_folder(folder).ok_or_else(no_queue)?;
                let own = self.owner.id();
                let id = if node == own.to_string() {
                    own
                } else {
                    self.owner.find_peer(node)?.id
                };
                Ok(vec![self.queue(kind.of(id))])
            }
        }
    }

    /// The messages with this id that wait anywhere, but for control messages.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn find(&self, id: &str) -> Result<Vec<(Queue, queue::Waiting)>, Error> {
        let digest = crate::crypto::hash::sha256(id.as_bytes());
        let mut found = Vec::new();
        for queue in self.queues()? {
            if matches!(
                queue.place(),
                QueueId::Control(_) | QueueId::Acks(_) | QueueId::Cca(_)
            ) {
                continue;
            }
            for message in queue.messages()? {
                let message = message?;
                // What acknowledges a message has its id, too.
                let identity = &message.name.identity;
                if identity.id == digest && identity.kind != Kind::Pca {
                    found.push((queue.clone(), message));
                }
            }
        }
        Ok(found)
    }

    /// What stands for each message that is on its way here, or set aside, and the hop that brought it.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn waiting(&self) -> Result<HashMap<name::KeyDigest, Option<name::HopPrefix>>, Error> {
        let of_nodes = [QueueKind::Out, QueueKind::Home].map(|kind| self.queues_in(kind));
        let mut queues = Vec::new();
        for of_kind in of_nodes {
            queues.extend(of_kind?.into_iter().map(|(_, queue)| queue));
        }
        queues.extend([QueueId::In, QueueId::Failed].map(|place| self.queue(place)));
        let mut waiting = HashMap::new();
        for queue in queues {
            for message in queue.messages()? {
                let message = message?;
                // What another user calls his files proves nothing.
                if !self.is_by_another(&message.path)? {
                    let name = message.name;
                    waiting.insert(name.identity.key(), name.from);
                }
            }
        }
        Ok(waiting)
    }

    /// What was delivered to each local endpoint.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn delivered(&self) -> Result<HashMap<NodeId, Memory>, Error> {
        let mut delivered = HashMap::new();
        for endpoint in endpoints::local(&self.owner)? {
            delivered.insert(endpoint.id, endpoint.memory()?);
        }
        Ok(delivered)
    }

    /// Whether a file in a queue is another user's, who called it what he liked.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn is_by_another(&self, path: &Path) -> Result<bool, Error> {
        Ok(self.is_shared() && files::is_of_another(path, FileRole::Spool)?)
    }

    /// The same of a file that was read, of which this user is the owner.
    #[must_use]
    pub fn is_anothers(&self, owner: u32) -> bool {
        self.is_shared() && files::is_another(owner)
    }

    /// The user by whose files `home` shows that messages arrived in time: the one whose that folder is, and who judged
    /// them then. What others leave there, root included, says nothing of when.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn keeper(&self) -> Result<Option<u32>, Error> {
        Ok(files::owner(&self.shared.join(HOME), FileRole::Spool)?)
    }

    /// Lets the group read a message that is about to get into a queue of its members.
    fn let_read(&self, path: &Path, place: QueueId) -> Result<(), Error> {
        if let (QueueId::Home(_), false) = (place, self.is_guest())
            && let Some(group) = self.owner.config().find_group()?
        {
            group.let_read(path, FileRole::Spool)?;
        }
        Ok(())
    }

    /// Moves a message of the owner's to a queue, where those whom it is for can read it.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn move_to(
        &self,
        queue: &Queue,
        from: &Path,
        name: &Name,
        moves: &mut moves::Moves,
    ) -> Result<moves::Placed, Error> {
        self.let_read(from, queue.place())?;
        moves.place(from, queue, name)
    }

    /// Keeps other runs from moving what is in the queues. What an earlier one moved, which may have been
    /// killed before it could wait for that, lasts from here on.
    ///
    /// # Errors
    /// [`Error::Locked`] when another run holds it; or when a directory cannot be synced.
    pub fn lock(&self) -> Result<Lock, Error> {
        self.lock_of(&self.owner)
    }

    /// Keeps other runs from delivering what waits for this node, and where the spool is its own, from moving
    /// anything: a local endpoint does not keep its gateway from work. As [`Spool::lock`].
    ///
    /// # Errors
    /// As [`Spool::lock`].
    pub fn lock_of(&self, node: &Directory) -> Result<Lock, Error> {
        let path = node.lock_file("queue")?;
        let lock = Lock::try_exclusive(&path)?.ok_or(Error::Locked)?;
        self.settle()?;
        Ok(lock)
    }

    fn settle(&self) -> Result<(), Error> {
        self.share()?;
        let folders = QueueKind::ALL.into_iter().map(QueueKind::folder);
        let mut dirs: Vec<PathBuf> = folders
            .chain([folders::SENT, folders::DELIVERING])
            .map(|folder| self.root.join(folder))
            .collect();
        dirs.extend(self.queues()?.iter().map(|queue| queue.dir().to_owned()));
        for dir in [self.owner.root(), &self.root]
            .into_iter()
            .chain(dirs.iter().map(PathBuf::as_path))
        {
            if files::exists(dir, FileRole::Spool)? {
                files::sync_dir(dir, FileRole::Spool)?;
            }
        }
        Ok(())
    }
}

/// The directory of the gateway that a node is a local endpoint of.
fn gateway_of(node: &Directory) -> Result<Option<PathBuf>, Error> {
    let endpoints = node.root().parent();
    let gateway = endpoints
        .filter(|dir| dir.file_name().is_some_and(|name| name == "endpoints"))
        .and_then(Path::parent);
    match gateway {
        Some(gateway) if files::exists(&gateway.join("VERSION"), FileRole::Node)? => {
            Ok(Some(gateway.to_owned()))
        }
        _ => Ok(None),
    }
}

/// The spool of the node in this directory, provided that this user may leave messages in it.
pub(super) fn door(node: &Path) -> Option<PathBuf> {
    let spool = node.join(folders::SPOOL);
    let is_open = |dir: &str| files::is_writable_dir(&spool.join(dir));
    (is_open("in") && is_open(folders::TMP)).then_some(spool)
}
