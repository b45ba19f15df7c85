//! relay-route: decides where each queued message goes next, and moves it there.

use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;

use relaynet::cli::args::{CommandTime, NodeDir, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::inputs::InputRef as Input;
use relaynet::cli::routing::{self, RouteReport};
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, files, report};
use relaynet::node::Rates;
use relaynet::pki::Window;
use relaynet::route::control::ControlQueue;
use relaynet::route::revocation::RevocationDesk;
use relaynet::route::{Hops, Router};
use relaynet::spool::{QueueId, QueueKind, Room, Spool, Time};
use relaynet::verify::Policy;

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
    /// Decide anew on what waits for PEER, after a change of routes
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
    if !args.dry_run
        && let Err(error) = apply(&spool, &window, &time, &mut reports)
    {
        return reports.finish(&spool, Err(error));
    }
    let router = Router {
        spool: &spool,
        hops: Hops::of(owner)?,
        policy: Policy::of_node(owner, Vec::new(), window, now)?,
        room: Room::new(spool.root(), owner.config(), Some(&spool)),
        rates: Mutex::new(Rates::of(owner.root())),
        time,
        commands: args.time.options(),
        is_dry: args.dry_run,
    };
    let mut unexpected = UnexpectedReport::default();
    report::progress(args.json || args.dry_run, || spool.count(QueueId::In).ok());
    let ended = router.run(
        lock,
        &mut |routed| {
            if args.dry_run {
                return files::print(&routing::decision(&routed, args.json));
            }
            reports.add(routed)
        },
        &mut |path| unexpected.add(path),
    );
    unexpected.report();
    if args.dry_run {
        return ended.and_then(|()| reports.outcome.finish());
    }
    reports.finish(&spool, ended)
}

/// Applies the control messages of each gateway, and the deauthorizations in `in`. An error of one queue keeps neither the other
/// queues nor the parcels from being handled.
fn apply(
    spool: &Spool,
    window: &Window,
    time: &Time,
    reports: &mut RouteReport<'_>,
) -> anyhow::Result<()> {
    let revocations = RevocationDesk::new(spool, window, time);
    let by_gateways = spool.queues_in(QueueKind::Control)?.into_iter();
    let by_gateways = by_gateways.map(|(gateway, queue)| (Some(gateway), queue));
    let left_here = (None, spool.queue(QueueId::In));
    for (gateway, queue) in by_gateways.chain([left_here]) {
        let desk = ControlQueue {
            spool,
            gateway,
            desk: &revocations,
            window,
            time,
        };
        let mut unexpected = UnexpectedReport::default();
        let applied = desk.apply(
            &mut |applied| reports.add_control(gateway, applied, time),
            &mut |path| unexpected.add(path),
        );
        unexpected.report();
        if applied.is_err() {
            reports.outcome.take();
            let queue = Input::named(report::path(queue.dir()));
            reports.outcome.done(&queue, applied)?;
        }
    }
    Ok(())
}
