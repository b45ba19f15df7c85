//! A gateway's local endpoints: `endpoints/<name>/`, each a node directory that the gateway registered.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::DirectoryError;
use super::creation::{self, NodePlan};
use super::files::ensure_dir;
use super::import::Options;
use super::registrations::{self, RegistrationOptions};
use super::seen::Memory;
use super::{Directory, Error, NodeType, certificates, peers};
use crate::disk::{FileRole, files, group, tree};
use crate::pki::{NodeId, Window, issuance};

/// The folder of a gateway's local endpoints.
const FOLDER: &str = "endpoints";

/// The name of a local endpoint's gateway in its own node.
pub const GATEWAY_NAME: &str = "gateway";

/// Where the gateway's local endpoint of this name is, or would be.
///
/// # Errors
/// When it cannot be a name, or the node is not a gateway.
pub fn path_of(gateway: &Directory, name: &str) -> Result<PathBuf, Error> {
    gateway.check_is_gateway()?;
    peers::check_name(name)?;
    Ok(gateway.root().join(FOLDER).join(name))
}

/// A local endpoint as its gateway knows it; its directory may be another user's.
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
    /// Its directory, if its owner is that of the gateway.
    #[must_use]
    pub fn own_root(self) -> Option<PathBuf> {
        self.is_own.then_some(self.root)
    }

    /// The owner of its directory, as a user id.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn user(&self) -> Result<Option<u32>, Error> {
        Ok(files::owner(&self.root, FileRole::Node)?)
    }

    /// Its replay memory; empty if it is another user's, since only they can read it.
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

/// The gateway's local endpoints.
///
/// The gateway's own record of the name decides which node a directory is, since another user can write anything into
/// theirs. Only a directory of the gateway's own user is asked itself if there is no record.
///
/// # Errors
/// When the record cannot be read.
pub fn local(gateway: &Directory) -> Result<Vec<Local>, Error> {
    let folders = tree::entries(&gateway.root().join(FOLDER), FileRole::Node)?.entries;
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let mut named = HashMap::new();
    for peer in gateway.peers()? {
        if let Some(name) = peer.name
            && registrations::is_registered(gateway, peer.id)?
        {
            named.insert(name, peer.id);
        }
    }
    let mut endpoints = Vec::new();
    for entry in folders {
        if entry.kind != tree::EntryKind::Dir {
            continue;
        }
        let name = entry.name.to_string_lossy().into_owned();
        let is_own = is_own(gateway.root(), &entry.path)?;
        let id = match named.get(&name) {
            Some(id) => *id,
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

/// Whether a local endpoint has the same owner as its gateway. Files that another user wrote are never trusted in the
/// gateway's name.
fn is_own(gateway: &Path, endpoint: &Path) -> Result<bool, Error> {
    let owner = |path| files::owner(path, FileRole::Node);
    Ok(owner(endpoint)? == owner(gateway)?)
}

/// The gateway's local endpoints of the same user, with their names.
///
/// # Errors
/// When one cannot be read.
pub fn all(gateway: &Directory) -> Result<Vec<(String, Directory)>, Error> {
    let mut endpoints = Vec::new();
    for path in paths(gateway.root())? {
        let name = path.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        endpoints.push((name, Directory::open(&path)?));
    }
    Ok(endpoints)
}

/// Where the local endpoints are of the gateway in `root` that are of the same user, whether they can be used or not.
///
/// # Errors
/// When that cannot be learned.
pub fn paths(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in tree::entries(&root.join(FOLDER), FileRole::Node)?.entries {
        // Without a version it is being made.
        if entry.kind == tree::EntryKind::Dir
            && is_own(root, &entry.path)?
            && files::exists(&entry.path.join("VERSION"), FileRole::Node)?
        {
            paths.push(entry.path);
        }
    }
    Ok(paths)
}

/// Makes a local endpoint and registers it with its gateway, which calls it `name`. Where a run was
/// killed on the way, the next one completes it.
///
/// # Errors
/// When there is one, the name is taken, or a key or certificate cannot be made or stored.
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
            let endpoint = Directory::open(&root)?;
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
    let options = Options {
        name: Some(GATEWAY_NAME),
        replace: false,
        expected: None,
        vouched: true,
        one_way: false,
        now,
        window: Window::new(now, SignedDuration::ZERO),
    };
    let _own_lock = endpoint.lock_exclusive()?;
    endpoint.import(&given.registration.to_der(), &options)?;
    Ok((endpoint, given.has_gateway))
}
