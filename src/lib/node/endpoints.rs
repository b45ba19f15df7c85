//! Local endpoints of a gateway: `endpoints/<name>/`, node directories that the gateway registered.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::DirectoryError;
use super::creation::{self, NodePlan};
use super::files::ensure_dir;
use super::import::Options;
use super::registrations::{self, RegistrationOptions};
use super::seen::Memory;
use super::{Directory, Error, NodeType, certificates, peer_files, peers};
use crate::disk::{FileRole, files, group, tree};
use crate::message::CertificationPath;
use crate::pki::{Certificate, NodeId, Window, issuance};

/// The folder of a gateway's local endpoints.
pub(crate) const FOLDER: &str = "endpoints";

/// The name that a local endpoint has for its gateway.
pub const GATEWAY_NAME: &str = "gateway";

/// Whether a node directory lies where a gateway has its local endpoints.
#[must_use]
pub fn is_within(node: &Path) -> bool {
    let folder = node.parent().and_then(Path::file_name);
    folder.is_some_and(|name| name == FOLDER)
}

/// The path of the gateway's local endpoint of this name, whether it exists or not.
///
/// # Errors
/// When the name is not valid, or the node is not a gateway.
pub fn path_of(gateway: &Directory, name: &str) -> Result<PathBuf, Error> {
    gateway.check_is_gateway()?;
    peers::check_name(name)?;
    Ok(gateway.root().join(FOLDER).join(name))
}

/// A local endpoint as its gateway knows it. Its directory may belong to another user.
#[derive(Debug, Clone)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: NodeId,
    root: PathBuf,
    is_own: bool,
}

impl Local {
    /// Its directory, if it belongs to the gateway's user.
    #[must_use]
    pub fn own_root(self) -> Option<PathBuf> {
        self.is_own.then_some(self.root)
    }

    /// The user id of the directory's owner.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn user(&self) -> Result<Option<u32>, Error> {
        Ok(files::owner(&self.root, FileRole::Node)?)
    }

    /// Its replay memory; empty if the directory belongs to another user, since only they can read
    /// it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn memory(&self) -> Result<Memory, Error> {
        if self.is_own {
            Memory::of(&self.root)
        } else {
            Ok(Memory::unknown(&self.root))
        }
    }
}

/// The local endpoints of the gateway.
///
/// The gateway's record of the name decides which node a directory is, since another user may write
/// anything into theirs. Only a directory of the gateway's own user is opened if there is no
/// record.
///
/// # Errors
/// When the record cannot be read.
pub fn local(gateway: &Directory) -> Result<Vec<Local>, Error> {
    let folders = tree::entries(&gateway.root().join(FOLDER), FileRole::Node)?.entries;
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let mut endpoints = Vec::new();
    for entry in folders {
        if entry.kind != tree::EntryKind::Dir {
            continue;
        }
        let name = entry.name.to_string_lossy().into_owned();
        let is_own = is_own(gateway.root(), &entry.path)?;
        let id = match id_of(gateway, &name, &entry.path)? {
            Some(id) => id,
            None if is_own && files::exists(&entry.path.join("VERSION"), FileRole::Node)? => {
                Directory::open(&entry.path)?.id()
            }
            None => continue,
        };
        endpoints.push(Local {
            name,
            id,
            root: entry.path,
            is_own,
        });
    }
    Ok(endpoints)
}

/// The node that the gateway registered under this name. The key in `endpoint` says where its record
/// is, and only the record counts; without one that agrees, all records are listed.
fn id_of(gateway: &Directory, name: &str, endpoint: &Path) -> Result<Option<NodeId>, Error> {
    let claimed = peer_files::read_identity(endpoint).ok().flatten();
    if let Some(id) = claimed.map(|key| key.id())
        && gateway.is_registered_as(id, name)?
    {
        return Ok(Some(id));
    }
    Ok(gateway.registered_names()?.get(name).copied())
}

/// Whether a local endpoint has the same owner as its gateway. The gateway never trusts files that
/// another user wrote.
fn is_own(gateway: &Path, endpoint: &Path) -> Result<bool, Error> {
    let owner = |path| files::owner(path, FileRole::Node);
    Ok(owner(endpoint)? == owner(gateway)?)
}

/// The local endpoints of the gateway's own user, with their names.
///
/// # Errors
/// When one cannot be read.
pub fn all(gateway: &Directory) -> Result<Vec<(String, Directory)>, Error> {
    let mut endpoints = Vec::new();
    for path in paths(gateway.root())? {
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        endpoints.push((name, gateway.open_other(&path)?));
    }
    Ok(endpoints)
}

/// The directories of the local endpoints that belong to the same user as the gateway in `root`,
/// whether they are usable or not.
///
/// # Errors
/// When a directory cannot be examined.
pub fn paths(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        // Without a VERSION it is still being made.
        if entry.kind == tree::EntryKind::Dir
            && is_own(root, &entry.path)?
            && files::exists(&entry.path.join("VERSION"), FileRole::Node)?
        {
            paths.push(entry.path);
        }
    }
    Ok(paths)
}

/// Makes a local endpoint, and registers it with its gateway, which calls it `name`. After a crash,
/// the next run completes it. Returns also whether an Internet gateway leads to it.
///
/// # Errors
/// When it exists, the name is taken, or a key or certificate cannot be made or stored.
pub fn create(
    gateway: &Directory,
    name: &str,
    plan: NodePlan,
    now: Timestamp,
) -> Result<(Directory, bool), Error> {
    let root = path_of(gateway, name)?;
    let _lock = gateway.lock_exclusive()?;
    if !files::exists(&root.join("VERSION"), FileRole::Node)? {
        gateway.check_name_unused(name)?;
    }
    if let Some(group) = gateway.config().find_group()? {
        group.create_dir(&gateway.root().join(FOLDER), FileRole::Node, group::GATE)?;
    }
    ensure_dir(gateway.root(), &root)?;
    let endpoint = match creation::create(&root, plan) {
        Ok(endpoint) => endpoint,
        Err(Error::Directory(DirectoryError::Exists(root))) => {
            let endpoint = gateway.open_other(&root)?;
            // Complete only with both: the registration, and the name of the gateway, which comes
            // last.
            if certificates::issuers(&endpoint)?.contains(&gateway.id())
                && endpoint
                    .peer(gateway.id())?
                    .is_some_and(|peer| peer.name.is_some())
            {
                return Err(Error::Directory(DirectoryError::Exists(root)));
            }
            endpoint
        }
        Err(error) => return Err(error),
    };
    gateway.check_name_free(endpoint.id(), name)?;
    let options = RegistrationOptions {
        now,
        valid_for: issuance::MAX_LIFE,
        node_type: Some(NodeType::Endpoint),
    };
    let given = registrations::give(gateway, endpoint.public(), &options)?;
    gateway.name_peer(endpoint.id(), name)?;
    gateway.note_compared(endpoint.id())?;
    let _own_lock = endpoint.lock_exclusive()?;
    endpoint.import(
        &given.registration.to_der(),
        &local_options(Some(GATEWAY_NAME), now),
    )?;
    Ok((endpoint, given.has_gateway))
}

/// What a local endpoint imports from its gateway under.
fn local_options(name: Option<&str>, now: Timestamp) -> Options<'_> {
    Options {
        name,
        replace: false,
        expected: None,
        vouched: true,
        is_local: true,
        one_way: false,
        now,
        window: Window::new(now, SignedDuration::ZERO),
    }
}

/// Whether a local endpoint has this certificate from its gateway.
///
/// # Errors
/// When its certificates cannot be read.
pub fn has(endpoint: &Directory, gateway: NodeId, leaf: &Certificate) -> Result<bool, Error> {
    let held = certificates::paths_from(endpoint, gateway)?;
    Ok(held.iter().any(|held| held.leaf == *leaf))
}

/// Stores a certificate that the gateway issued in the local endpoint that it is for.
///
/// # Errors
/// When it cannot be stored.
pub fn hand_in(
    gateway: &Directory,
    endpoint: &Directory,
    path: &CertificationPath,
    now: Timestamp,
) -> Result<(), Error> {
    let registration = registrations::object_of(gateway, path, None)?;
    let _lock = endpoint.lock_exclusive()?;
    endpoint.import(&registration.to_der(), &local_options(None, now))?;
    Ok(())
}
