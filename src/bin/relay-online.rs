//! relay-online: exchanges parcels with this node's gateways over a network.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Parser;
use jiff::{SignedDuration, Timestamp};

use relaynet::binding::{Network, Server};
use relaynet::cli::args::{KeyedNode, NetworkOptions};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::gateways::{self, OnlineGateway, OnlinePolicy};
use relaynet::cli::online::OnlineLog;
use relaynet::cli::online_when::NetworkLeave;
use relaynet::cli::{self, files, following, report};
use relaynet::node::config::parse_duration;
use relaynet::pipeline::mutex::lock;
use relaynet::spool::Spool;

/// Exchange parcels with this node's gateways over a network
#[derive(Debug, Parser)]
#[command(name = "relay-online", version)]
pub(crate) struct Args {
    /// Only these gateways, by name or id [default: all that registered this node and have an address]
    #[arg(value_name = "GATEWAY")]
    gateways: Vec<String>,
    #[command(flatten)]
    node: KeyedNode,
    /// Print where it would connect to, and connect to no gateway
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Go on: submit what is routed at once, and collect what comes
    #[arg(long, conflicts_with = "dry_run")]
    follow: bool,
    /// Start at another moment within DURATION, which depends on the node
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    splay: Option<SignedDuration>,
    /// Print a line of JSON for each event, and one at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(online)
}

fn online(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    let spool = Spool::of(args.node.open()?)?;
    let owner = spool.owner();
    let changes = (!args.dry_run).then_some(owner.config());
    let now = args.clock.now(changes)?;
    let found = gateways::chosen(owner, &args.gateways)?;
    if args.dry_run {
        let network = args.network.network(Some(owner.config()))?;
        return found.iter().try_for_each(|gateway| {
            let servers = gateways::servers(&network, None, gateway, now)?;
            gateways::print_plan(gateway, &servers, args.json)
        });
    }
    if found.is_empty() && !report::is_quiet() {
        report::warn_with(
            "no gateway that can be found on a network has registered this node",
            "relay-enroll asks one to, and relay-peers --host says where one is",
        );
    }
    cli::splay::wait(owner.id(), args.splay);
    if args.follow {
        return following::follow(&spool, &found, (&args.network, &args.clock), args.json);
    }
    let log = Mutex::new(OnlineLog::new(args.json));
    let leave = NetworkLeave::of(owner.config());
    let ended = gateways::side_by_side(&found, &|gateway| {
        exchange(args, &spool, gateway, (&leave, &log))
    });
    let log = log.into_inner();
    log.unwrap_or_else(PoisonError::into_inner).finish(ended)
}

/// Exchanges with one gateway. One that cannot be reached keeps the others from nothing.
fn exchange(
    args: &Args,
    spool: &Spool,
    gateway: &OnlineGateway,
    (leave, log): (&NetworkLeave<'_>, &Mutex<OnlineLog>),
) -> anyhow::Result<()> {
    // Another run does it.
    let Some(_lock) = gateways::lock(spool, gateway.id)? else {
        report::detail(&format!("{}: another run is active", gateway.label));
        return Ok(());
    };
    let config = spool.owner().config();
    let now = args.clock.now(Some(config))?;
    // Somebody who looks on wants it now.
    if report::is_quiet() {
        let policy = OnlinePolicy::of(config, now);
        if let Some(until) = policy.pause(spool, gateway) {
            lock(log).hosts.left_alone(&gateway.address, until);
            return Ok(());
        }
        if !policy.is_time(spool, gateway)? {
            return Ok(());
        }
        match leave.is_given() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let hosts = &mut lock(log).hosts;
                return hosts.ended(spool, &gateway.address, Err(error.into()), now);
            }
        }
    }
    let exchanged = reach(args, spool, gateway, now).and_then(|(network, servers)| {
        let reached = (&network, &servers[..]);
        gateways::exchange_once(reached, spool, gateway, &args.clock, log)
    });
    let hosts = &mut lock(log).hosts;
    hosts.ended(spool, &gateway.address, exchanged, now)
}

/// The way to a gateway, and its servers.
fn reach(
    args: &Args,
    spool: &Spool,
    gateway: &OnlineGateway,
    now: Timestamp,
) -> anyhow::Result<(Network, Vec<Server>)> {
    let network = args.network.network(Some(spool.owner().config()))?;
    let servers = gateways::servers(&network, Some(spool), gateway, now)?;
    Ok((network, servers))
}
