//! relay-ferry: takes cargo to gateways and couriers, and fetches cargo from them, over a network.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use jiff::SignedDuration;

use relaynet::binding::ferry::DEFAULT_PAUSE;
use relaynet::binding::ferry::errand::Errand;
use relaynet::cli::args::{CipherChoice, KeyedNode, NetworkOptions};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::ferrying::{self, FerryLog};
use relaynet::cli::visiting::{self, VisitOptions};
use relaynet::cli::{self, exchange, files, report};
use relaynet::node::Directory;
use relaynet::node::config::parse_duration;
use relaynet::verify::Policy;

/// Take cargo to gateways and couriers, and fetch cargo from them, over a network
#[derive(Debug, Parser)]
#[command(name = "relay-ferry", version)]
#[command(mut_arg("cipher", |it| it.requires("sync")))]
pub(crate) struct Args {
    /// The directory of a medium, whose cargo is taken to its gateways
    #[arg(value_name = "MEDIUM", required_unless_present = "sync")]
    medium: Option<PathBuf>,
    /// The only server: HOST:PORT, a courier's address, or an Internet address; nothing is removed from MEDIUM then
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// Exchange this node's cargo with the courier of this network
    #[arg(long, conflicts_with_all = ["medium", "address", "if_present", "private", "resolver"])]
    sync: bool,
    /// Where the courier is, as a private IPv4 address [default: that of the default route, if couriers is yes]
    #[arg(long, value_name = "HOST:PORT", requires = "sync")]
    courier_address: Option<String>,
    #[command(flatten)]
    node: KeyedNode,
    /// Print where it would connect to, and connect to no server
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do nothing, and succeed, if no medium is there
    #[arg(long)]
    if_present: bool,
    /// Connect to private addresses too, such as 10.0.0.1: where the network is one that you trust
    #[arg(long)]
    private: bool,
    /// Pause for DURATION between delivering and collecting [default: 10s; with --sync, 5s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pause: Option<SignedDuration>,
    /// Start at another moment within DURATION, which depends on the node
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "sync")]
    splay: Option<SignedDuration>,
    /// Print a line of JSON for each event, and one at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    cipher: CipherChoice,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(ferry)
}

fn ferry(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    match &args.medium {
        Some(medium) => run_errand(args, medium),
        None => sync(args),
    }
}

/// Takes what is on a medium to its gateways, or to the server that was named.
fn run_errand(args: &Args, medium: &Path) -> anyhow::Result<()> {
    let Some(medium) = exchange::open(medium, false, args.if_present)? else {
        return Ok(());
    };
    // A node is not needed; one that there is has settings, and the hosts of peers.
    let node = args.node.open_if_any()?;
    let now = args.clock.now(None)?;
    let mut network = args.network.network(node.as_ref().map(Directory::config))?;
    network.allows_private = args.private || args.address.is_some();
    let named = args.address.as_deref();
    let target = named.map(|text| ferrying::target(&network, text, now));
    let errand = Errand {
        medium: &medium,
        network: &network,
        node: node.as_ref(),
        target: target.transpose()?,
        policy: Policy::courier(Vec::new(), args.clock.window(now, None), now),
        pause: args
            .pause
            .map_or(DEFAULT_PAUSE, SignedDuration::unsigned_abs),
        now,
    };
    if args.dry_run {
        return ferrying::print_plan(&errand, args.json);
    }
    let mut log = FerryLog::new(args.json);
    report::progress(args.json, || None);
    let ended = errand.run(&mut |event| log.tell(event));
    log.finish(ended)
}

/// Exchanges the node's cargo with the courier of this network.
fn sync(args: &Args) -> anyhow::Result<()> {
    let node = args.node.open()?;
    let options = VisitOptions {
        address: args.courier_address.as_deref(),
        pause: args.pause.map(SignedDuration::unsigned_abs),
        json: args.json,
        splay: args.splay,
        network: &args.network,
        cipher: &args.cipher,
        clock: &args.clock,
    };
    if args.dry_run {
        return visiting::print_plan(&node, &options);
    }
    visiting::visit(node, &options)
}
