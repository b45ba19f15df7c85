//! A node directory: plain files that the usual tools can read (relay-node(5)).

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::DirectoryError;
use super::files::{MAX_FILE_LEN, damaged, lock_file, read_text, rely_on, store};
use super::key_file::public_key_from_pem;
use super::quota::UnknownSenderTally;
use super::session_secret::SessionSecret;
use super::{Config, Error, NodeType, Passphrase, ownership};
use crate::asn1::{self, text};
use crate::disk::files::FileVersion;
use crate::disk::{self, FileRole, Lock, files, tree};
use crate::pipeline::mutex;
use crate::pki::{NodeId, PublicKey};

/// What the file VERSION begins with, in every version.
const NAME: &str = "relay-node";

/// The content of the file VERSION.
pub const VERSION: &str = "relay-node 1";

/// What it says in a backup, which nobody uses as a node by mistake.
const BACKUP_VERSION: &str = "relay-node 1 backup";

/// What a node directory consists of.
const ENTRIES: [&str; 20] = [
    "VERSION",
    "aliases",
    "aliases.d",
    "config",
    "routes",
    "identity.key",
    "identity.pub",
    "predecessor",
    "register.allow",
    "successor",
    "certs",
    "peers",
    "sessions",
    "strangers",
    "revoked",
    "seen",
    "rates",
    "endpoints",
    "lock",
    "spool",
];

/// An opened node directory of the layout that we know.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    config: Config,
    public: PublicKey,
    /// Of its private keys, if they are encrypted.
    passphrase: Arc<Passphrase>,
    /// The password of its session keys, if this run needed it.
    session_secret: Mutex<Option<Arc<SessionSecret>>>,
    /// Whether this run has already removed the temporary files of killed runs.
    is_rid_of_leftovers: AtomicBool,
    /// What is stored today for unknown senders.
    tally: Mutex<UnknownSenderTally>,
    /// The nodes that it registered, by name, if this run had to list them.
    registered: Mutex<Option<Arc<HashMap<String, NodeId>>>>,
    /// Files of which this run has synced the name.
    relied_on: Mutex<BTreeMap<PathBuf, FileVersion>>,
}

impl Directory {
    /// Opens the node in `root`.
    ///
    /// # Errors
    /// When there is no node in it, or its version, config or public key is not valid.
    pub fn open(root: &Path) -> Result<Self, Error> {
        if is_backup(root)? {
            return Err(Error::Directory(DirectoryError::Backup(root.to_owned())));
        }
        Self::open_restored(root)
    }

    /// Opens the node, or a backup that is to become one.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn open_restored(root: &Path) -> Result<Self, Error> {
        is_backup(root)?;
        ownership::check(root)?;
        Self::read(root)
    }

    /// Opens it without asking who owns or can change it, which relay-check reports, or whether it is
    /// a backup.
    ///
    /// # Errors
    /// When there is none, or its version, config or public key is not right.
    pub fn open_to_check(root: &Path) -> Result<Self, Error> {
        is_backup(root)?;
        Self::read(root)
    }

    /// Makes a restored backup a node.
    ///
    /// # Errors
    /// When VERSION cannot be stored.
    pub fn end_restoration(&self) -> Result<(), Error> {
        if is_backup(&self.root)? {
            let version = format!("{VERSION}\n");
            store(&self.root, &self.root.join("VERSION"), version.as_bytes())?;
        }
        Ok(())
    }

    /// What the file VERSION of a backup says.
    #[must_use]
    pub fn backup_version() -> String {
        format!("{BACKUP_VERSION}\n")
    }

    /// Whether a node directory consists of files or directories of this name. What else users keep
    /// there is theirs: where services run as the user `relay`, it is their home.
    #[must_use]
    pub fn is_entry(name: &OsStr) -> bool {
        ENTRIES.iter().any(|own| *own == name)
    }

    fn read(root: &Path) -> Result<Self, Error> {
        let path = root.join("config");
        let text = read_text(&path)?.unwrap_or_default();
        let config = Config::parse(&text).map_err(|(line, error)| {
            Error::Directory(DirectoryError::Config {
                path,
                line,
                problem: error.to_string(),
            })
        })?;
        let path = root.join("identity.pub");
        let octets = files::read(&path, FileRole::Node, MAX_FILE_LEN)?;
        let public = public_key_from_pem(&octets).map_err(|error| damaged(&path, &error))?;
        Ok(Self {
            root: root.to_owned(),
            config,
            public,
            passphrase: Arc::default(),
            session_secret: Mutex::default(),
            is_rid_of_leftovers: AtomicBool::new(false),
            tally: Mutex::default(),
            registered: Mutex::default(),
            relied_on: Mutex::default(),
        })
    }

    pub(super) fn registered_cache(&self) -> &Mutex<Option<Arc<HashMap<String, NodeId>>>> {
        &self.registered
    }

    /// Whether a path, absolute and without symbolic links, is that of a node directory or leads to what belongs to
    /// one.
    #[must_use]
    pub fn owns(path: &Path) -> bool {
        let is_node = |dir: &&Path| {
            let version = files::read(&dir.join("VERSION"), FileRole::Node, MAX_FILE_LEN);
            version.is_ok_and(|version| text::without_mark(&version).starts_with(NAME.as_bytes()))
        };
        let Some(root) = path.ancestors().find(is_node) else {
            return false;
        };
        let entry = path.strip_prefix(root).unwrap_or(path).iter().next();
        entry.is_none_or(Self::is_entry)
    }

    /// Syncs the name of a file, as [`rely_on`], unless this run did so since the file got it.
    pub(super) fn rely_on_once(&self, path: &Path) -> Result<(), Error> {
        let version = files::version(path);
        if version.is_some() && mutex::lock(&self.relied_on).get(path) == version.as_ref() {
            return Ok(());
        }
        rely_on(path)?;
        if let Some(version) = version {
            mutex::lock(&self.relied_on).insert(path.to_owned(), version);
        }
        Ok(())
    }

    /// The same node, whose private keys this passphrase opens if they are encrypted.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Arc<Passphrase>) -> Self {
        self.passphrase = passphrase;
        self
    }

    /// Opens another node, whose private keys the same passphrase opens.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn open_other(&self, root: &Path) -> Result<Self, Error> {
        Ok(Self::open(root)?.with_passphrase(Arc::clone(&self.passphrase)))
    }

    /// The passphrase of its private keys.
    #[must_use]
    pub fn passphrase(&self) -> &Arc<Passphrase> {
        &self.passphrase
    }

    pub(super) fn session_secret_cache(&self) -> &Mutex<Option<Arc<SessionSecret>>> {
        &self.session_secret
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The node's settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The node's public identity key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The node's id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.public.id()
    }

    /// Checks that the node is a gateway.
    ///
    /// # Errors
    /// [`DirectoryError::NotAGateway`] when it is not.
    pub fn check_is_gateway(&self) -> Result<(), Error> {
        match self.config.node_type() {
            NodeType::Gateway => Ok(()),
            NodeType::Endpoint => Err(Error::Directory(DirectoryError::NotAGateway(
                self.root.clone(),
            ))),
        }
    }

    /// Locks the node for changes of single peers. Several runs may hold this lock.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn lock_shared(&self) -> Result<Lock, Error> {
        Ok(Lock::shared(&self.lock_file("node")?)?)
    }

    /// Locks the node exclusively, for changes that concern several peers, such as names.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn lock_exclusive(&self) -> Result<Lock, Error> {
        let lock = Lock::exclusive(&self.lock_file("node")?)?;
        // Once in a run, since it lists the folders of all peers.
        if !self.is_rid_of_leftovers.load(Ordering::Relaxed) {
            self.remove_leftovers(&self.root)?;
            for dir in ["certs", "peers", "revoked", "seen", "sessions"] {
                self.remove_leftovers(&self.root.join(dir))?;
            }
            self.is_rid_of_leftovers.store(true, Ordering::Relaxed);
        }
        Ok(lock)
    }

    /// Removes temporary files of killed runs from a folder and those below it. The caller holds
    /// the exclusive lock, so no living run has any.
    fn remove_leftovers(&self, dir: &Path) -> Result<(), Error> {
        let swept = disk::publish::sweep(dir, FileRole::Node, None);
        // What cannot be listed keeps its leftovers, and nobody from what this run is for.
        if swept.as_ref().is_err_and(disk::Error::is_of_reading) {
            return Ok(());
        }
        swept?;
        if dir == self.root {
            return Ok(());
        }
        for entry in tree::entries(dir, FileRole::Node)?.entries {
            if entry.kind == tree::EntryKind::Dir {
                self.remove_leftovers(&entry.path)?;
            }
        }
        Ok(())
    }

    /// What is stored today for unknown senders, as far as this run knows.
    pub(super) fn tally(&self) -> MutexGuard<'_, UnknownSenderTally> {
        // A panicking thread leaves the tally consistent.
        mutex::lock(&self.tally)
    }

    /// The lock file of this name.
    ///
    /// # Errors
    /// When the folder for locks cannot be made.
    pub fn lock_file(&self, name: &str) -> Result<PathBuf, Error> {
        lock_file(&self.root, name)
    }
}

/// What is said of a VERSION that is not ours, so that people know what to do.
fn other_version(version: &str) -> String {
    let number = |version: &str| -> Option<u64> {
        let rest = version.strip_prefix(NAME)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    if version.is_empty() {
        "its VERSION is empty".to_owned()
    } else if number(version) > number(VERSION) {
        format!("{version} is newer than these programs: upgrade them")
    } else {
        version.to_owned()
    }
}

/// Checks that there is a node, of the layout that we know, and returns whether it is a backup.
fn is_backup(root: &Path) -> Result<bool, Error> {
    let version = match files::read(&root.join("VERSION"), FileRole::Node, MAX_FILE_LEN) {
        Ok(version) => version,
        Err(error) if error.is_not_found() => {
            return Err(Error::Directory(DirectoryError::NotANode(root.to_owned())));
        }
        Err(error) => return Err(error.into()),
    };
    if text::is_utf16(&version) {
        let path = root.join("VERSION");
        return Err(damaged(&path, &text::problem(&asn1::Error::Utf16)));
    }
    let version = text::without_mark(&version);
    let version = String::from_utf8_lossy(version).trim().to_owned();
    match &*version {
        VERSION => Ok(false),
        BACKUP_VERSION => Ok(true),
        _ => Err(Error::Directory(DirectoryError::Version {
            path: root.to_owned(),
            version: other_version(&version),
        })),
    }
}
