//! relay-serve: lets other nodes reach this one over a network.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli;
use relaynet::cli::args::KeyedNode;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::couriering::{self, CourierOptions};
use relaynet::cli::listening::ListenAddress;
use relaynet::cli::serving::{self, ServeOptions};
use relaynet::node::config::parse_size;
use relaynet::serve;
use relaynet::spool::Spool;

/// Serve other nodes: take parcels, register nodes, and give them theirs
#[derive(Debug, Parser)]
#[command(name = "relay-serve", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: KeyedNode,
    /// Listen at ADDRESS:PORT or on a Unix socket [default: `[::]:443`, for local applications 127.0.0.1:13276, as a courier `[::]:21473`]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<ListenAddress>,
    /// Show the certificate in FILE, with its issuers, in PEM
    #[arg(
        long,
        value_name = "FILE",
        requires = "key",
        conflicts_with = "courier"
    )]
    cert: Option<PathBuf>,
    /// Use the key of that certificate in FILE, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Let a proxy on this machine have the certificate, and name the clients (PROXY protocol, version 2)
    #[arg(long, conflicts_with_all = ["cert", "courier"])]
    behind_proxy: bool,
    /// Be a courier with the medium in DIR, without a node, for gateways in a local network
    #[arg(long, value_name = "DIR", conflicts_with = "node")]
    courier: Option<PathBuf>,
    /// Make it a medium first, if it is not one
    #[arg(long, requires = "courier")]
    init: bool,
    /// Leave at most SIZE octets of messages on that medium, as in 500M
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "courier")]
    quota: Option<u64>,
    /// Serve N connections at once
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    #[command(flatten)]
    clock: ClockArgs,
    /// Speak with the network for the process at the other end of standard input
    #[arg(long, hide = true, exclusive = true)]
    front: bool,
}

pub(crate) fn main() -> ExitCode {
    cli::run(serve)
}

fn serve(args: &Args) -> anyhow::Result<()> {
    if args.front {
        return serving::run_front();
    }
    let connections = usize::try_from(args.connections).unwrap_or(usize::MAX);
    if let Some(medium) = &args.courier {
        let options = CourierOptions {
            medium: medium.clone(),
            makes_medium: args.init,
            quota: args.quota,
            listen: args.listen.clone(),
            connections,
        };
        return couriering::serve(&options, &args.clock);
    }
    let node = args.node.open()?;
    // One that lives in a gateway's directory would serve that gateway.
    let id = node.id();
    let spool = Spool::of(node)?;
    if spool.owner().id() != id {
        return Err(serve::Error::NoRole.into());
    }
    args.clock.now(Some(spool.owner().config()))?;
    let options = ServeOptions {
        listen: args.listen.clone(),
        certificate: args.cert.clone(),
        key: args.key.clone(),
        is_behind_proxy: args.behind_proxy,
        connections,
    };
    serving::serve(&spool, &options, &args.clock)
}
