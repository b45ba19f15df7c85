//! A gateway's local endpoints: `endpoints/<name>/`, each a node directory that the gateway registered.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::creation::{self, Plan};
use super::directory::ensure_dir;
use super::import::Options;
use super::registrations::{self, Terms};
use super::{Directory, Error, NodeType, certificates, peers};
use crate::disk::{Role, files, tree};
use crate::pki::{Window, issuance};

/// The folder of a gateway's local endpoints.
const FOLDER: &str = "endpoints";

/// What an endpoint calls the gateway that it belongs to.
pub const GATEWAY_NAME: &str = "gateway";

/// Where the gateway's local endpoint of this name is, or would be.
///
/// # Errors
/// When it cannot be a name, or the node is no gateway.
pub fn path_of(gateway: &Directory, name: &str) -> Result<PathBuf, Error> {
    gateway.check_is_gateway()?;
    peers::check_name(name)?;
    Ok(gateway.root().join(FOLDER).join(name))
}

/// The gateway's local endpoints, with what they are called.
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

/// Where the local endpoints are of the gateway in `root`, whether they can be used or not.
///
/// # Errors
/// When that cannot be learned.
pub fn paths(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in tree::entries(&root.join(FOLDER), Role::Node)?.entries {
        // Without a version it is being made.
        if entry.kind == tree::Kind::Dir && files::exists(&entry.path.join("VERSION"), Role::Node)?
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
    plan: Plan,
    now: Timestamp,
) -> Result<(Directory, bool), Error> {
    let root = path_of(gateway, name)?;
    let _lock = gateway.lock_exclusive()?;
    if !files::exists(&root.join("VERSION"), Role::Node)? {
        gateway.check_name_unused(name)?;
    }
    ensure_dir(gateway.root(), &root)?;
    let endpoint = match creation::create(&root, plan) {
        Ok(endpoint) => endpoint,
        Err(Error::NodeExists(root)) => {
            let endpoint = Directory::open(&root)?;
            if certificates::issuers(&endpoint)?.contains(&gateway.id())
                && endpoint
                    .peer(gateway.id())?
                    .is_some_and(|peer| peer.name.is_some())
            {
                return Err(Error::NodeExists(root));
            }
            endpoint
        }
        Err(error) => return Err(error),
    };
    gateway.check_name_free(endpoint.id(), name)?;
    let terms = Terms {
        now,
        valid_for: issuance::MAX_LIFE,
        node_type: Some(NodeType::Endpoint),
    };
    let given = registrations::give(gateway, endpoint.public(), &terms)?;
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
