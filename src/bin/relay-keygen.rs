//! relay-keygen: makes a node directory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::{IdentityKeyFile, KeyedNode, PassphraseChange, SessionKeyFile};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::succeeding::{self, SuccessorArgs};
use relaynet::cli::{self, files, making, report, slips};
use relaynet::describe::{json, lines};
use relaynet::node::creation::{self, NodePlan};
use relaynet::node::{self, Directory, endpoints};
use relaynet::spool::Spool;

/// Make a node directory: identity key, self-issued certificate, first session key
#[derive(Debug, Parser)]
#[command(name = "relay-keygen", version)]
pub(crate) struct Args {
    /// The node directory to make [default: that of -N]
    #[arg(value_name = "DIR", conflicts_with = "endpoint")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    node: KeyedNode,
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
    succession: SuccessorArgs,
    #[command(flatten)]
    identity: IdentityKeyFile,
    #[command(flatten)]
    session: SessionKeyFile,
    /// Encrypt the private keys under the passphrase
    #[arg(long)]
    passphrase: bool,
    #[command(flatten)]
    change: PassphraseChange,
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
    if args.change.is_given() {
        let node = args.node.open_at(args.dir.as_deref())?;
        return making::change_passphrase(&node, &args.change);
    }
    if let Some(dir) = &args.dir {
        slips::check_not_a_command(dir, args.node_type.is_some())?;
    }
    let old = args.succession.old(&args.node)?;
    let config = making::config(
        old.as_ref(),
        args.node_type.as_deref(),
        args.address.as_deref(),
        &args.set,
    )?;
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
    let passphrase = args.node.passphrase();
    let opens = args.identity.is_given() || args.session.is_given();
    let plan = NodePlan {
        config,
        rsa_bits: args.rsa.parse()?,
        passphrase: args.node.to_encrypt(
            args.passphrase,
            gateway.as_ref().or(old.as_ref()),
            opens,
        )?,
        identity: args.identity.read(passphrase)?,
        session_key: args.session.read_with_id(passphrase)?,
        predecessor: old.as_ref().map(|old| old.public().clone()),
        now,
    };
    let root = match (&gateway, &args.endpoint, &args.dir) {
        (Some(gateway), Some(name), _) => endpoints::path_of(gateway, name)?,
        (_, _, Some(dir)) => dir.clone(),
        _ => args.node.path()?,
    };
    if let Some(old) = &old {
        succeeding::check(old, &root, now)?;
    }
    files::check_stdout()?; // a node whose id is not told was made in vain
    report::progress(args.json, || None);
    let made = match (&gateway, &args.endpoint) {
        (Some(gateway), Some(name)) => making::endpoint(gateway, name, plan, now),
        _ => creation::create(&root, plan),
    };
    let node = match made {
        Err(node::Error::Directory(node::DirectoryError::Exists(root))) => {
            let succeeding = old.as_ref().map(Directory::id);
            match succeeding::made_before(succeeding, &root, &args.node) {
                Some(node) => node,
                None => return Err(making::exists(&root)?.into()),
            }
        }
        made => made?,
    };
    let id = node.id().to_string();
    let made = report::path(node.root());
    report::event("made", &[("id", &id), ("dir", &made)]);
    let facts = args.json.then(|| json::line(&lines::made(&node)));
    // Shared at once: group members may leave messages before any other program runs here.
    Spool::of(node.open_other(node.root())?)?.share()?;
    let told = match &old {
        Some(old) => succeeding::succeed(old, &node, &args.succession, now),
        None => Ok(()),
    };
    files::print(facts.as_ref().unwrap_or(&id))?;
    report::summary(&format!("the node {made} is made"));
    told
}
