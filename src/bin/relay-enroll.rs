//! relay-enroll: registers this node with a gateway over a network.

use std::process::ExitCode;

use clap::Parser;

use relaynet::asn1::pem;
use relaynet::binding::poweb::register;
use relaynet::binding::{Error, walk};
use relaynet::cli::args::{KeyedNode, NetworkOptions};
use relaynet::cli::clock::NowArgs;
use relaynet::cli::enrolling::{self, EnrollTarget};
use relaynet::cli::files::ObjectOutput;
use relaynet::cli::{self, report};
use relaynet::crypto::hash;
use relaynet::node::Keyring as _;

/// Register this node with a gateway over a network: registration to standard output
#[derive(Debug, Parser)]
#[command(name = "relay-enroll", version)]
pub(crate) struct Args {
    #[command(flatten)]
    target: EnrollTarget,
    #[command(flatten)]
    node: KeyedNode,
    /// Print where it would connect to, and connect to no gateway
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print a line of JSON for each server
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    output: ObjectOutput,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    now: NowArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(enroll)
}

fn enroll(args: &Args) -> anyhow::Result<()> {
    if !args.dry_run {
        args.output.check()?;
    }
    let node = args.node.open()?;
    if !args.dry_run {
        enrolling::check_user(&node)?;
    }
    // The registration that is made by this time is kept by both nodes.
    let now = args.now.get((!args.dry_run).then_some(node.config()))?;
    let network = args.target.network(&args.network, node.config())?;
    let servers = args.target.servers(&network, now)?;
    if args.dry_run {
        return enrolling::print_plan(&servers, args.json);
    }
    let key = node.identity()?;
    let registered = walk::first_reached(&servers, "gateway", |server| {
        let client = network.client(server, now);
        Ok::<_, Error>(client.and_then(|client| register::register(&client, &key)))
    });
    let (registration, octets) = registered??;
    args.target.check(&registration)?;
    args.output.write(pem::REGISTRATION, &octets)?;
    report::note(&format!(
        "fingerprint {}",
        registration.gateway.id().fingerprint()
    ));
    report::whole(None, "registration", &hash::sha256(&octets));
    if let Some(next) = args.target.next_step() {
        report::note(&next);
    }
    Ok(())
}
