//! relay-route: decides where each queued message goes next, and moves it there.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::{CommandTime, NodeDir, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::route_run::RouteTerms;
use relaynet::cli::routing::{self, RouteReport};
use relaynet::cli::{self, files, report};
use relaynet::spool::{QueueId, Spool};

/// Decide where each message in the spool goes next, and move it there
#[derive(Debug, Parser)]
#[command(name = "relay-route", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeDir,
    /// Print the decisions and move nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print a line of JSON for each message
    #[arg(long)]
    json: bool,
    /// Try again with this message, which was set aside: its name, its id, or the transfer of its parts
    #[arg(long, value_name = "NAME", conflicts_with = "dry_run")]
    retry: Vec<String>,
    /// Decide anew on what waits for PEER or for @internet, after a change of routes
    #[arg(long, value_name = "PEER", conflicts_with = "dry_run")]
    reroute: Vec<String>,
    #[command(flatten)]
    time: CommandTime,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(route)
}

fn route(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    let spool = Spool::of(args.node.open()?)?;
    let owner = spool.owner();
    let changes = (!args.dry_run).then_some(owner.config());
    let now = args.clock.now(changes)?;
    let window = args.clock.window(now, Some(owner.config()));
    let lock = if args.dry_run {
        None
    } else {
        Some(args.wait.lock(&spool)?)
    };
    let time = if args.dry_run {
        spool.time(now, &window)?
    } else {
        spool.see_time(now, &window)?
    };
    let mut reports = RouteReport::new(owner, &time, args.json);
    let named = (&args.retry[..], &args.reroute[..]);
    if !routing::return_all(&spool, named, &time, &mut reports.outcome)? {
        return reports.outcome.finish();
    }
    let terms = RouteTerms {
        spool: &spool,
        window: &window,
        time,
        commands: args.time.options(),
    };
    report::progress(args.json || args.dry_run, || spool.count(QueueId::In).ok());
    match lock {
        Some(lock) => terms.run(lock, reports),
        None => terms
            .print(args.json)
            .and_then(|()| reports.outcome.finish()),
    }
}
