//! What relay-keygen makes.

use jiff::Timestamp;

use super::errors::Usage;
use super::report;
use crate::node::creation::NodePlan;
use crate::node::{self, Config, Directory, NodeType, endpoints};

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

/// The settings that the options give: type, address, and lines `KEY=VALUE`.
///
/// # Errors
/// When one is unknown, or has a value that it cannot have.
pub fn config(
    node_type: Option<&str>,
    address: Option<&str>,
    lines: &[String],
) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.set("type", node_type.unwrap_or(NodeType::default().word()))?;
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
