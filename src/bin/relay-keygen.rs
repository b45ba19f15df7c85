//! relay-keygen: makes a node directory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;

use relaynet::cli::args::{IdentityKeyFile, NodeDir, SessionKeyFile};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::{self, files, report, slips};
use relaynet::describe::{json, lines};
use relaynet::node::creation::{self, NodePlan};
use relaynet::node::{self, Config, Directory, NodeType, endpoints};
use relaynet::spool::Spool;

/// Make a node directory: identity key, self-issued certificate, first session key
#[derive(Debug, Parser)]
#[command(name = "relay-keygen", version)]
pub(crate) struct Args {
    /// The node directory to make [default: that of -N]
    #[arg(value_name = "DIR", conflicts_with = "endpoint")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    node: NodeDir,
    /// What the node is to be [default: endpoint]
    #[arg(long = "type", value_name = "TYPE", value_parser = ["endpoint", "gateway"])]
    node_type: Option<String>,
    /// Make a local endpoint of the gateway that -N names, registered with it under NAME
    #[arg(long, value_name = "NAME", conflicts_with_all = ["node_type", "address"])]
    endpoint: Option<String>,
    /// The node's domain name on the Internet, if it has one
    #[arg(long, value_name = "NAME")]
    address: Option<String>,
    /// Bits of the new identity key
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = ["2048", "3072", "4096"])]
    rsa: String,
    #[command(flatten)]
    identity: IdentityKeyFile,
    #[command(flatten)]
    session: SessionKeyFile,
    /// Write this setting into the config
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print a line of facts in JSON instead of the id
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    now: NowArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(keygen)
}

fn keygen(args: &Args) -> anyhow::Result<()> {
    if args.dir.is_some() && args.node.is_given() {
        return Err(Usage("DIR and -N name the same thing twice".to_owned()).into());
    }
    if let Some(dir) = &args.dir {
        slips::check_not_a_command(dir, args.node_type.is_some())?;
    }
    let config = config(args)?;
    if args.endpoint.is_some() && config.group().is_some() {
        return Err(
            Usage("the group of a local endpoint is that of its gateway".to_owned()).into(),
        );
    }
    let gateway = match &args.endpoint {
        Some(_) => Some(args.node.open()?),
        None => None,
    };
    let now = args
        .now
        .get_for_new(Some(gateway.as_ref().map_or(&config, Directory::config)))?;
    let session_key = args.session.read_with_id()?;
    let rsa_bits = args.rsa.parse()?;
    let plan = NodePlan {
        config,
        rsa_bits,
        identity: args.identity.read()?,
        session_key,
        now,
    };
    files::check_stdout()?; // a node whose id is not told was made in vain
    report::progress(args.json, || None);
    let made = match (&gateway, &args.endpoint, &args.dir) {
        (Some(gateway), Some(name), _) => make_endpoint(gateway, name, plan, now),
        (_, _, Some(dir)) => creation::create(dir, plan),
        _ => creation::create(&args.node.path()?, plan),
    };
    let node = match made {
        Err(node::Error::Directory(node::DirectoryError::Exists(root))) => {
            // A killed run may have made the node but not shared its spool.
            if let Ok(node) = Directory::open(&root) {
                Spool::of(node)?.share()?;
            }
            return Err(node::Error::Directory(node::DirectoryError::Exists(root)).into());
        }
        made => made?,
    };
    let id = node.id().to_string();
    report::event("made", &[("id", &id), ("dir", &report::path(node.root()))]);
    let facts = args.json.then(|| json::line(&lines::made(&node)));
    let made = report::path(node.root());
    // Shared at once: group members may leave messages before any other program runs here.
    Spool::of(node)?.share()?;
    files::print(facts.as_ref().unwrap_or(&id))?;
    report::summary(&format!("the node {made} is made"));
    Ok(())
}

fn make_endpoint(
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

/// The settings that the options give.
fn config(args: &Args) -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.set(
        "type",
        args.node_type
            .as_deref()
            .unwrap_or(NodeType::default().word()),
    )?;
    if let Some(address) = &args.address {
        config.set("address", address)?;
    }
    for setting in &args.set {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| Usage(format!("{setting}: not KEY=VALUE")))?;
        config.set(key.trim(), value.trim())?;
    }
    Ok(config)
}
