//! What relay-keygen makes.

use std::path::Path;

use jiff::Timestamp;

use super::args::PassphraseChange;
use super::errors::Usage;
use super::input_ref::InputRef;
use super::outcome::Outcome;
use super::report;
use crate::node::creation::NodePlan;
use crate::node::{
    self, Config, Directory, DirectoryError, NodeType, endpoints, passphrase_change,
};
use crate::spool::{self, Spool};

/// Makes a local endpoint, and says if only some gateways lead to it.
///
/// # Errors
/// As [`endpoints::create`].
pub fn endpoint(
    gateway: &Directory,
    name: &str,
    plan: NodePlan,
    now: Timestamp,
) -> Result<Directory, node::Error> {
    let (node, has_gateway) = endpoints::create(gateway, name, plan, now)?;
    if !has_gateway {
        report::detail(
            "no Internet gateway knows this gateway, so the endpoint is reached only through gateways that peer with it",
        );
    }
    Ok(node)
}

/// The error for a node that is there already. A killed run may have made it but not shared its spool.
///
/// # Errors
/// When the spool cannot be shared.
pub fn exists(root: &Path) -> Result<node::Error, spool::Error> {
    if let Ok(node) = Directory::open(root) {
        Spool::of(node)?.share()?;
    }
    Ok(node::Error::Directory(DirectoryError::Exists(
        root.to_owned(),
    )))
}

/// Sets, changes or removes the passphrase of a node's private keys.
///
/// # Errors
/// When the new passphrase is not given, the keys are not opened, or one cannot be stored.
pub fn change_passphrase(node: &Directory, options: &PassphraseChange) -> anyhow::Result<()> {
    let new = options.new_passphrase()?;
    let mut outcome = Outcome::default();
    let changed = passphrase_change::change(node, new.as_deref(), &mut |path, error| {
        let place = InputRef::named(path.to_string_lossy().into_owned());
        outcome.take();
        outcome.failed(&place, &place.label(), &error.into());
    })?;
    let count = changed.session_keys.to_string();
    let identity = if changed.identity { "stored" } else { "kept" };
    let facts = [("identity", identity), ("session-keys", &count)];
    report::event("passphrase-changed", &facts);
    for endpoint in endpoints::paths(node.root())? {
        let path = report::path(&endpoint);
        report::note(&format!("{path} keeps its own passphrase: use -N {path}"));
    }
    let all = if new.is_some() {
        "encrypted under it"
    } else {
        "not encrypted"
    };
    report::summary(&format!(
        "the identity key and {} session keys are {all}",
        changed.of
    ));
    outcome.finish()
}

/// The settings that the options give: type, address, and lines `KEY=VALUE`; those of the node that it
/// follows come first.
///
/// # Errors
/// When one is unknown, or has a value that it cannot have.
pub fn config(
    old: Option<&Directory>,
    node_type: Option<&str>,
    address: Option<&str>,
    lines: &[String],
) -> anyhow::Result<Config> {
    let mut config = old.map_or_else(Config::default, |old| old.config().clone());
    if old.is_none() {
        config.set("type", node_type.unwrap_or(NodeType::default().word()))?;
    }
    if let Some(address) = address {
        config.set("address", address)?;
    }
    for setting in lines {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| Usage(format!("{setting}: not KEY=VALUE")))?;
        config.set(key.trim(), value.trim())?;
    }
    Ok(config)
}
