//! A node directory: plain files that the usual tools can read (relay-node(5)).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::unknown_senders::{self, StrangerTally};
use super::{Config, Correspondent, Error, Keyring, NodeType, Peer, Recall, ReplayKey};
use super::{authorizations, certificates, sessions};
use crate::asn1::pem;
use crate::crypto::ecdh::Curve;
use crate::disk::{self, FileRole, Lock, files, tree};
use crate::pki::{self, Certificate, IdentityKey, NodeId, PublicKey, Trust, Window};
use crate::ramf::{Authorized, Kind, Valid};
use crate::session::{KeyId, PrivateSessionKey, PublicSessionKey};

/// What VERSION says.
pub const VERSION: &str = "relay-node 1";

/// The longest file of a node that is read whole, in octets.
const MAX_FILE_LEN: usize = 64 * 1024;

/// The longest private key file, in octets.
const MAX_KEY_LEN: usize = 16 * 1024;

/// A node directory that exists and is of the layout that we know.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    config: Config,
    public: PublicKey,
    /// Whether this run has removed what killed ones left.
    is_swept: AtomicBool,
    /// How much is kept of today's strangers.
    tally: Mutex<StrangerTally>,
}

impl Directory {
    /// Opens the node in `root`.
    ///
    /// # Errors
    /// When there is none, or its version, config or public key is not right.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let version = match files::read(&root.join("VERSION"), FileRole::Node, MAX_FILE_LEN) {
            Ok(version) => version,
            Err(error) if error.is_not_found() => return Err(Error::NotANode(root.to_owned())),
            Err(error) => return Err(error.into()),
        };
        if version.trim_ascii() != VERSION.as_bytes() {
            let version = String::from_utf8_lossy(&version).trim().to_owned();
            return Err(Error::Version {
                path: root.to_owned(),
                version,
            });
        }
        let path = root.join("config");
        let text = read_text(&path)?.unwrap_or_default();
        let config = Config::parse(&text).map_err(|(line, error)| Error::Config {
            path,
            line,
            problem: error.to_string(),
        })?;
        let path = root.join("identity.pub");
        let octets = files::read(&path, FileRole::Node, MAX_FILE_LEN)?;
        let public = public_key_from_pem(&octets).map_err(|error| damaged(&path, &error))?;
        Ok(Self {
            root: root.to_owned(),
            config,
            public,
            is_swept: AtomicBool::new(false),
            tally: Mutex::default(),
        })
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
    /// [`Error::NotAGateway`] when it is not.
    pub fn check_is_gateway(&self) -> Result<(), Error> {
        match self.config.node_type() {
            NodeType::Gateway => Ok(()),
            NodeType::Endpoint => Err(Error::NotAGateway(self.root.clone())),
        }
    }

    /// Checks that whoever this node certified so may send it cargo and CCAs: endpoints may not, nor may
    /// those that were forgotten.
    fn check_carrier(&self, sender: &Certificate) -> Result<(), Error> {
        if !self.knows(sender.id())? {
            return Err(Error::UnknownCarrier(sender.id()));
        }
        if sender.is_endpoint() {
            return Err(Error::EndpointCarrier(sender.id()));
        }
        Ok(())
    }

    /// The session key to seal messages for a peer to.
    fn sealed_to(&self, peer: &Peer, now: Timestamp) -> Result<PublicSessionKey, Error> {
        let stored = self
            .session_key_of(peer.id)?
            .ok_or_else(|| Error::NoSessionKey(peer.label()))?;
        match stored.sealed_until.filter(|until| *until < now) {
            Some(at) => Err(Error::SessionKeyExpired {
                peer: peer.label(),
                at,
            }),
            None => Ok(stored.key),
        }
    }

    /// Lets this run change single peers, while others may too.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn lock_shared(&self) -> Result<Lock, Error> {
        Ok(Lock::shared(&self.lock_file("node")?)?)
    }

    /// The node's lock, shared, then that of a peer.
    fn lock_node_and(
        &self,
        peer: NodeId,
        sender: Option<&Certificate>,
    ) -> Result<Vec<Lock>, Error> {
        let node = self.lock_shared()?;
        let is_ours = |sender: &Certificate| sender.verify_signature(&self.public).is_ok();
        // Anybody may write to a node on the Internet, so those that are not known share a lock. Whoever
        // this node certified has one of its own, so that it is the same before it is known and after.
        let name = if self.knows(peer)? || sender.is_some_and(is_ours) {
            format!("peer.{peer}")
        } else {
            "strangers".to_owned()
        };
        let peer = Lock::exclusive(&self.lock_file(&name)?)?;
        Ok(vec![node, peer])
    }

    /// Keeps every other run from changing the node: for what spans peers, such as their names.
    ///
    /// # Errors
    /// When the lock cannot be taken.
    pub fn lock_exclusive(&self) -> Result<Lock, Error> {
        let lock = Lock::exclusive(&self.lock_file("node")?)?;
        // Once a run: the folders of all peers are listed for it.
        if !self.is_swept.load(Ordering::Relaxed) {
            self.sweep(&self.root)?;
            for dir in ["certs", "peers", "seen", "sessions"] {
                self.sweep(&self.root.join(dir))?;
            }
            self.is_swept.store(true, Ordering::Relaxed);
        }
        Ok(lock)
    }

    /// Removes what killed runs left in a folder and the folders in it; nobody else is at work.
    fn sweep(&self, dir: &Path) -> Result<(), Error> {
        disk::publish::sweep(dir, FileRole::Node, None)?;
        if dir == self.root {
            return Ok(());
        }
        for entry in tree::entries(dir, FileRole::Node)?.entries {
            if entry.kind == tree::EntryKind::Dir {
                self.sweep(&entry.path)?;
            }
        }
        Ok(())
    }

    /// How much is kept of today's strangers, as far as this run knows.
    pub(super) fn tally(&self) -> MutexGuard<'_, StrangerTally> {
        // Whoever panicked with it held had changed nothing or all of it.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a peer, or of a stranger that wrote to this node, who has to be named by all of it.
    ///
    /// # Errors
    /// As [`Directory::find_peer`].
    pub fn find_recipient(&self, text: &str) -> Result<NodeId, Error> {
        match (self.find_peer(text), text.parse()) {
            (Ok(peer), _) => Ok(peer.id),
            (Err(Error::UnknownPeer(_)), Ok(id)) if unknown_senders::is_known(&self.root, id)? => {
                Ok(id)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What is needed to answer a stranger that sent an authorization.
    fn stranger(&self, id: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        let heard = unknown_senders::newest(&self.root, id)?;
        let heard = heard.ok_or_else(|| Error::UnknownPeer(id.to_string()))?;
        let name = super::peers::short_id(id);
        let Some(authorization) = heard.authorization else {
            return Err(Error::NotAuthorized(name));
        };
        let certificates = match authorizations::to_attach(&authorization.path, id, now) {
            Ok(certificates) => certificates,
            Err(pki::Error::Expired { at, .. }) => {
                return Err(Error::AuthorizationExpired { peer: name, at });
            }
            Err(pki::Error::Early { at, .. }) => {
                return Err(Error::AuthorizationEarly { peer: name, at });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Correspondent {
            id,
            name,
            address: authorization.address,
            session_key: heard.key,
            certificates,
        })
    }

    /// The lock file of this name.
    ///
    /// # Errors
    /// When the folder for locks cannot be made.
    pub fn lock_file(&self, name: &str) -> Result<PathBuf, Error> {
        lock_file(&self.root, name)
    }
}

impl Keyring for Directory {
    fn node(&self) -> Option<NodeId> {
        Some(self.id())
    }

    fn identity(&self) -> Result<IdentityKey, Error> {
        let path = self.root.join("identity.key");
        let text = files::read_secret(&path, FileRole::Node, MAX_KEY_LEN)?;
        let (pkcs8, _) = pem::private_key(&text).map_err(|error| damaged(&path, &error))?;
        let key = IdentityKey::from_pkcs8(&pkcs8).map_err(|error| damaged(&path, &error))?;
        if key.id() == self.id() {
            Ok(key)
        } else {
            Err(Error::Damaged {
                path,
                problem: "not the private half of identity.pub".to_owned(),
            })
        }
    }

    fn admit(&self, message: Valid, window: &Window) -> Result<Authorized, Error> {
        message.check_recipient(self.id())?;
        let is_parcel = message.message().kind() == Kind::Parcel;
        if self.config.address().is_some() && is_parcel {
            return Ok(message.from_anybody());
        }
        let message = message.authorize(&Trust::key(self.public.clone()), &[], window)?;
        if !is_parcel {
            self.check_carrier(message.message().sender_certificate())?;
        }
        Ok(message)
    }

    fn lock_peer(&self, peer: NodeId) -> Result<Vec<Lock>, Error> {
        self.lock_node_and(peer, None)
    }

    fn lock_sender(&self, sender: &Certificate) -> Result<Vec<Lock>, Error> {
        self.lock_node_and(sender.id(), Some(sender))
    }

    fn recall(&self, message: &ReplayKey) -> Result<Recall, Error> {
        super::seen::recall(&self.root, message)
    }

    fn session_keys(&self, peer: NodeId, id: &KeyId) -> Result<Vec<PrivateSessionKey>, Error> {
        sessions::find(&self.root, peer, id)?
            .iter()
            .map(sessions::StoredOwnKey::key)
            .collect()
    }

    fn peer_name(&self, peer: NodeId) -> Option<String> {
        self.peer(peer).ok().flatten().and_then(|peer| peer.name)
    }

    fn advance_session(
        &self,
        sender: &Certificate,
        key: &PublicSessionKey,
        used: &KeyId,
        date: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let peer = sender.id();
        // Whoever was forgotten does not come back by a message of its own.
        if self.knows(peer)? {
            self.offer_session_key(peer, key, date, None)?;
        } else {
            let heard = unknown_senders::Heard {
                key: key.clone(),
                date,
                authorization: None,
            };
            unknown_senders::store(self, peer, heard, now)?;
        }
        sessions::mark_used(&self.root, peer, used, date, now)
    }

    fn remember(&self, message: &ReplayKey) -> Result<(), Error> {
        super::seen::add(&self.root, message)
    }

    fn correspondent(&self, peer: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        let Some(peer) = self.peer(peer)? else {
            return self.stranger(peer, now);
        };
        let name = peer.label();
        let session_key = self.sealed_to(&peer, now)?;
        let certificates = match authorizations::newest_held(self, peer.id, now)? {
            authorizations::HeldAuthorization::Valid(path) => path,
            authorizations::HeldAuthorization::Expired(at) => {
                return Err(Error::AuthorizationExpired { peer: name, at });
            }
            authorizations::HeldAuthorization::Early(at) => {
                return Err(Error::AuthorizationEarly { peer: name, at });
            }
            // An Internet endpoint takes messages from anybody, under the sender's own certificate.
            authorizations::HeldAuthorization::None if peer.address.is_some() => {
                vec![certificates::self_issued(self, now)?]
            }
            authorizations::HeldAuthorization::None => return Err(Error::NotAuthorized(name)),
        };
        Ok(Correspondent {
            id: peer.id,
            name,
            address: peer.address,
            session_key,
            certificates,
        })
    }

    fn registrar(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        self.check_is_gateway()?;
        let gateway = self.known_peer(gateway)?;
        let name = gateway.label();
        let certificate = certificates::registration_with(self, gateway.id, &name, now)?;
        Ok(Correspondent {
            id: gateway.id,
            session_key: self.sealed_to(&gateway, now).map_err(|error| match error {
                Error::SessionKeyExpired { peer, at } => Error::RegistrationKeyExpired { peer, at },
                other => other,
            })?,
            name,
            address: gateway.address,
            certificates: vec![certificate],
        })
    }

    fn carrier(&self, gateway: NodeId, now: Timestamp) -> Result<Correspondent, Error> {
        let registered = self.registrar(gateway, now);
        let Err(refusal @ (Error::NotRegistered(_) | Error::RegistrationExpired { .. })) =
            registered
        else {
            return registered;
        };
        let gateway = self.known_peer(gateway)?;
        let name = gateway.label();
        let certificates = match authorizations::newest_held(self, gateway.id, now)? {
            authorizations::HeldAuthorization::Valid(path) => path,
            authorizations::HeldAuthorization::None => {
                return Err(match refusal {
                    Error::NotRegistered(name) => Error::NotCarrier(name),
                    expired => expired,
                });
            }
            authorizations::HeldAuthorization::Expired(at) => {
                return Err(Error::AuthorizationExpired { peer: name, at });
            }
            authorizations::HeldAuthorization::Early(at) => {
                return Err(Error::AuthorizationEarly { peer: name, at });
            }
        };
        Ok(Correspondent {
            id: gateway.id,
            session_key: self.sealed_to(&gateway, now)?,
            name,
            address: None,
            certificates,
        })
    }

    fn authorize_carrier(
        &self,
        gateway: NodeId,
        now: Timestamp,
        valid_for: SignedDuration,
    ) -> Result<Certificate, Error> {
        authorizations::give_carrier(self, gateway, now, valid_for)
    }

    fn newest_session_key(
        &self,
        peer: NodeId,
        sent: &PublicSessionKey,
        date: Timestamp,
    ) -> Result<PublicSessionKey, Error> {
        Ok(match self.session_key_of(peer)? {
            Some(stored) if !stored.is_undated && stored.date >= date => stored.key,
            _ => sent.clone(),
        })
    }

    fn originator_key(
        &self,
        peer: NodeId,
        curve: Curve,
        date: Timestamp,
    ) -> Result<PrivateSessionKey, Error> {
        sessions::current(&self.root, peer, curve, date)
    }
}

/// The lock file of this name; locks need not outlast anything, so nothing is synced.
pub(super) fn lock_file(root: &Path, name: &str) -> Result<PathBuf, Error> {
    let locks = root.join("lock");
    files::create_dir(&locks, FileRole::Node, 0o700)?;
    Ok(locks.join(name))
}

/// The text of a file, `None` if there is none.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, Error> {
    match files::read(path, FileRole::Node, MAX_FILE_LEN) {
        Ok(octets) => match String::from_utf8(octets) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Error::Damaged {
                path: path.to_owned(),
                problem: "not text".to_owned(),
            }),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The text of a secret file, `None` if there is none.
pub(super) fn read_secret(path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, Error> {
    match files::read_secret(path, FileRole::Node, MAX_KEY_LEN) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Says that a file of the node is not what it should be.
pub(super) fn damaged(path: &Path, problem: &impl ToString) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}

/// The identity key in a `PUBLIC KEY` block.
pub(crate) fn public_key_from_pem(octets: &[u8]) -> Result<PublicKey, Error> {
    let blocks = pem::blocks(octets)?;
    let block = blocks.iter().find(|block| block.label == pem::PUBLIC_KEY);
    Ok(PublicKey::parse(
        &block
            .ok_or(crate::asn1::Error::Value("public key"))?
            .contents,
    )?)
}

/// Makes the directories down to `dir`, which lies in the node in `root`, each for its owner alone.
///
/// Those that are there are synced into theirs: a run that was killed may have made them and no
/// more. So this is for new files; what is replaced has its directory for certain.
pub(super) fn ensure_dir(root: &Path, dir: &Path) -> Result<(), Error> {
    let Ok(below) = dir.strip_prefix(root) else {
        return Ok(());
    };
    let mut path = root.to_owned();
    for part in below.components() {
        let above = path.clone();
        path.push(part);
        if !files::create_dir(&path, FileRole::Node, 0o700)? {
            files::sync_dir(&above, FileRole::Node)?;
        }
    }
    Ok(())
}

/// Stores a file of the node in place of the one that is there, making its directory.
pub(super) fn store(root: &Path, path: &Path, content: &[u8]) -> Result<(), Error> {
    if content.len() > MAX_FILE_LEN {
        return Err(Error::Import("too large to be kept"));
    }
    if let Some(dir) = path.parent()
        && !files::exists(path, FileRole::Node)?
    {
        ensure_dir(root, dir)?;
    }
    let manner = disk::PublishOptions::stored(FileRole::Node, disk::IfExists::Replace);
    disk::publish::publish(path, &[content], &manner)?;
    Ok(())
}

/// Relies on a file that is there: its name is synced, since the run that gave it may have been
/// killed before it was.
pub(super) fn rely_on(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(dir) => Ok(files::sync_dir(dir, FileRole::Node)?),
        None => Ok(()),
    }
}

/// An instant as file names have it, so that they sort by it: `20270522T101112Z`.
pub(super) fn file_date(at: Timestamp) -> String {
    jiff::tz::Offset::UTC
        .to_datetime(at)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}
