//! A spool: its folders, its queues and its locks.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use jiff::Timestamp;

use super::queue_id::{HOME, INTERNET};
use super::{Error, Name, Queue, QueueId, QueueKind, folders, moves, name};
use crate::disk::{self, FileRole, Lock, Mode, files, group};
use crate::node::seen::Memory;
use crate::node::{Directory, endpoints, ownership, peers};
use crate::pipeline::mutex;
use crate::pki::NodeId;
use crate::ramf::Kind;

/// The spool of a node and its local endpoints. A local endpoint whose gateway belongs to another
/// user is a guest in it.
#[derive(Debug)]
pub struct Spool {
    /// The directory of the owner's own folders.
    pub(super) root: PathBuf,
    /// The directory of `in`, `home` and `tmp`: for a guest, the gateway's spool, otherwise `root`.
    pub(super) shared: PathBuf,
    pub(super) owner: Directory,
    /// A time with the believed one for it, kept because a run asks for the same one many times.
    pub(super) day: OnceLock<(Timestamp, Timestamp)>,
    /// When replay memories here were purged last.
    pub(super) purged: OnceLock<Option<SystemTime>>,
    /// Directories that this run made or synced into theirs.
    made: Mutex<HashSet<PathBuf>>,
}

impl Spool {
    /// The spool that a node uses: its own, or its gateway's if it is a local endpoint.
    ///
    /// # Errors
    /// When the gateway's directory cannot be opened.
    pub fn of(node: Directory) -> Result<Self, Error> {
        Ok(match gateway_of(&node)? {
            Some(gateway) => Self::owned_by(node.open_other(&gateway)?),
            None => Self::owned_by(node),
        })
    }

    /// As [`Spool::of`], but the gateway may belong to another user. The endpoint is then a guest:
    /// it uses the folders that are open to members of the gateway's group, and stores everything
    /// else in a spool of its own.
    ///
    /// # Errors
    /// When the gateway's directory cannot be opened, and its spool is not open to this user.
    pub fn shared_with(node: Directory) -> Result<Self, Error> {
        let Some(gateway) = gateway_of(&node)? else {
            return Ok(Self::owned_by(node));
        };
        match node.open_other(&gateway) {
            Ok(owner) => Ok(Self::owned_by(owner)),
            Err(error) if error.is_denied() => match door(&gateway) {
                Some(shared) => Ok(Self {
                    root: node.root().join(folders::SPOOL),
                    shared,
                    owner: node,
                    day: OnceLock::new(),
                    purged: OnceLock::new(),
                    made: Mutex::default(),
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
            purged: OnceLock::new(),
            made: Mutex::default(),
        }
    }

    /// Whether `in` and `home` are in another user's spool.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.shared != self.root
    }

    /// Whether files of other users may be in its queues.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.is_guest() || self.owner.config().group().is_some()
    }

    /// The node that owns the spool; for a guest, their own node.
    #[must_use]
    pub fn owner(&self) -> &Directory {
        &self.owner
    }

    /// The spool's directory; for a guest, that of their own spool.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory for temporary files.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.shared.join(folders::TMP)
    }

    /// The queue with this id; it need not exist.
    #[must_use]
    pub fn queue(&self, place: QueueId) -> Queue {
        let root = if place.is_of_group() {
            &self.shared
        } else {
            &self.root
        };
        Queue::new(root.join(place.path()), place)
    }

    /// The permission bits for the file of a message of this kind: the group may read parcels.
    #[must_use]
    pub fn mode_of(&self, kind: Kind) -> Mode {
        if self.is_shared() && kind == Kind::Parcel {
            Mode::Exact(group::READABLE)
        } else {
            Mode::Secret
        }
    }

    /// Creates the queue with this id if it is missing, and looks only once in a run. A guest creates
    /// nothing in another user's spool.
    ///
    /// # Errors
    /// When a directory cannot be created, or not given to the group.
    pub fn make(&self, place: QueueId) -> Result<Queue, Error> {
        let queue = self.queue(place);
        if self.is_made(queue.dir()) {
            return Ok(queue);
        }
        ownership::check_user(self.owner.root())?;
        if self.is_guest() {
            if !place.is_of_group() {
                self.make_dir(queue.dir())?;
            }
            return Ok(queue);
        }
        if let Some(group) = self.owner.config().find_group()? {
            // From the top, so that each directory is created in one that has its final mode.
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
        for dir in [&self.root, &self.tmp(), queue.dir()] {
            self.make_dir(dir)?;
        }
        Ok(queue)
    }

    /// Creates a directory of the spool, once in a run. An existing one is synced into its parent: a
    /// killed run may have created it without that.
    pub(super) fn make_dir(&self, dir: &Path) -> Result<(), Error> {
        if !self.is_made(dir) {
            files::create_dir_all_private(dir, FileRole::Spool)?;
            mutex::lock(&self.made).insert(dir.to_owned());
        }
        Ok(())
    }

    /// Whether this run made the directory, and it is still there.
    fn is_made(&self, dir: &Path) -> bool {
        mutex::lock(&self.made).contains(dir) && dir.is_dir()
    }

    /// Creates the queues that members of the node's group need: `in`, and one for each local
    /// endpoint. Does nothing without a group.
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

    /// All queues in a fixed order: `in`, those for single nodes, then `failed`.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn queues(&self) -> Result<Vec<Queue>, Error> {
        let mut queues = vec![self.queue(QueueId::In)];
        for kind in QueueKind::ALL {
            queues.extend(self.queues_of(kind)?);
        }
        queues.push(self.queue(QueueId::Failed));
        Ok(queues)
    }

    /// All queues in the folder of this kind, with that of the Internet.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn queues_of(&self, kind: QueueKind) -> Result<Vec<Queue>, Error> {
        let queues = self.queues_in(kind)?.into_iter().map(|(_, queue)| queue);
        let internet = self.queue(QueueId::Internet);
        let has_it = kind == QueueKind::Out && files::exists(internet.dir(), FileRole::Spool)?;
        Ok(queues.chain(has_it.then_some(internet)).collect())
    }

    /// The queues of this kind, each with the node that it is for.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn queues_in(&self, kind: QueueKind) -> Result<Vec<(NodeId, Queue)>, Error> {
        // A guest cannot list the folder, and must not learn of other nodes.
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

    /// The queues that a user names: `in`, `failed`, all of a folder (`out`), or one of it
    /// (`out/hub`).
    ///
    /// # Errors
    /// [`Error::NoQueue`] when there is no such queue; [`crate::node::PeerError::Unknown`] and
    /// [`crate::node::PeerError::Mistyped`] when no peer has the name.
    pub fn find_queues(&self, text: &str) -> Result<Vec<Queue>, Error> {
        let no_queue = || Error::NoQueue(text.to_owned());
        match text.split_once('/') {
            None if text == "in" => Ok(vec![self.queue(QueueId::In)]),
            None if text == "failed" => Ok(vec![self.queue(QueueId::Failed)]),
            None => {
                let kind = QueueKind::of_folder(text).ok_or_else(no_queue)?;
                self.queues_of(kind)
            }
            Some((folder, INTERNET)) if QueueKind::of_folder(folder) == Some(QueueKind::Out) => {
                Ok(vec![self.queue(QueueId::Internet)])
            }
            Some((folder, node)) => {
                let kind = QueueKind::of_folder(folder).ok_or_else(no_queue)?;
                let own = self.owner.id();
                let id = if peers::is_short_for(node, own) {
                    own
                } else {
                    self.owner.find_peer(node)?.id
                };
                Ok(vec![self.queue(kind.of(id))])
            }
        }
    }

    /// How many messages are in a queue.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn count(&self, queue: QueueId) -> Result<usize, Error> {
        Ok(self.queue(queue).messages()?.count())
    }

    /// The key digests of all messages that wait or are set aside, each with the hop that brought
    /// it.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub fn waiting(&self) -> Result<HashMap<name::KeyDigest, Option<name::HopPrefix>>, Error> {
        let mut queues = self.queues_of(QueueKind::Out)?;
        queues.extend(self.queues_of(QueueKind::Home)?);
        queues.extend([QueueId::In, QueueId::Failed].map(|place| self.queue(place)));
        let mut waiting = HashMap::new();
        for queue in queues {
            // What waits in a queue that cannot be listed is not known, and comes there a second time at worst. The
            // programs that need what is in it report it.
            let Ok(messages) = queue.messages() else {
                continue;
            };
            for message in messages.map_while(Result::ok) {
                // The name of another user's file proves nothing.
                if self.is_by_another(&message.path).is_ok_and(|is_it| !is_it) {
                    let name = message.name;
                    waiting.insert(name.identity.key(), name.from);
                }
            }
        }
        Ok(waiting)
    }

    /// The replay memory of each local endpoint.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn delivered(&self) -> Result<HashMap<NodeId, Memory>, Error> {
        let mut delivered = HashMap::new();
        for endpoint in endpoints::local(&self.owner)? {
            delivered.insert(endpoint.id, endpoint.memory()?);
        }
        Ok(delivered)
    }

    /// Whether a file in a queue is another user's, so that its name proves nothing.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn is_by_another(&self, path: &Path) -> Result<bool, Error> {
        Ok(self.is_shared() && files::is_of_another(path, FileRole::Spool)?)
    }

    /// As [`Spool::is_by_another`], for a file that was read and has this owner.
    #[must_use]
    pub fn is_anothers(&self, owner: u32) -> bool {
        self.is_shared() && files::is_another(owner)
    }

    /// The owner of `home`. Only files there that belong to this user show that a message arrived
    /// in time, since this user judged it then. Files of any other user, even root, do not.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn keeper(&self) -> Result<Option<u32>, Error> {
        Ok(files::owner(&self.shared.join(HOME), FileRole::Spool)?)
    }

    /// Lets the group read a message that is about to enter a queue of its members.
    fn let_read(&self, path: &Path, place: QueueId) -> Result<(), Error> {
        if let (QueueId::Home(_), false) = (place, self.is_guest())
            && let Some(group) = self.owner.config().find_group()?
        {
            group.let_read(path, FileRole::Spool)?;
        }
        Ok(())
    }

    /// Moves a message of the owner to a queue, and lets the users of that queue read it.
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

    /// Takes the queue lock, so that no other run moves messages, and syncs the queues: an earlier
    /// run may have been killed before it did.
    ///
    /// # Errors
    /// [`Error::Locked`] when another run holds it; or when a directory cannot be synced.
    pub fn lock(&self) -> Result<Lock, Error> {
        self.lock_of(&self.owner)
    }

    /// As [`Spool::lock`], with the lock of `node`: it keeps other runs from delivering messages to
    /// that node. A local endpoint has another lock than its gateway, and does not block it.
    ///
    /// # Errors
    /// As [`Spool::lock`].
    pub fn lock_of(&self, node: &Directory) -> Result<Lock, Error> {
        let path = node.lock_file("queue")?;
        let lock = Lock::try_exclusive(&path)?.ok_or(Error::Locked)?;
        self.settle()?;
        Ok(lock)
    }

    /// Waits for the queue lock, for a run that held it before.
    ///
    /// # Errors
    /// When the lock file cannot be opened or locked.
    pub fn lock_again(&self) -> Result<Lock, Error> {
        Ok(Lock::exclusive(&self.owner.lock_file("queue")?)?)
    }

    /// Takes the lock of those who hand messages over to commands; `None` if another run holds it. A
    /// command may take long, so the queue lock is not held meanwhile.
    ///
    /// # Errors
    /// When the lock file cannot be opened or locked.
    pub fn lock_commands(&self) -> Result<Option<Lock>, Error> {
        Ok(Lock::try_exclusive(&self.owner.lock_file("commands")?)?)
    }

    /// Creates the shared queues and syncs all folders and queues.
    fn settle(&self) -> Result<(), Error> {
        self.share()?;
        let folders = QueueKind::ALL.into_iter().map(QueueKind::folder);
        let mut dirs: Vec<PathBuf> = folders
            // Not `carried`: opening the records of a medium syncs them.
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

/// The directory of the gateway of a local endpoint; `None` for any other node.
pub(super) fn gateway_of(node: &Directory) -> Result<Option<PathBuf>, Error> {
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

/// The spool of the node in this directory, if this user may leave messages in it.
pub(super) fn door(node: &Path) -> Option<PathBuf> {
    let spool = node.join(folders::SPOOL);
    let is_open = |dir: &str| files::is_writable_dir(&spool.join(dir));
    (is_open("in") && is_open(folders::TMP)).then_some(spool)
}
