//! relay-check: checks a node directory: modes, orphans, the clock, what ends soon.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;

use relaynet::cli::args::{KeyedNode, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::findings::Findings;
use relaynet::cli::{self, backup, findings, report};
use relaynet::node::{Directory, endpoints};
use relaynet::route::Table;
use relaynet::spool::Spool;
use relaynet::upkeep::checker::Checker;
use relaynet::upkeep::restore;

/// Check a node directory, and print a line for each thing that is not as it should be
#[derive(Debug, Parser)]
#[command(name = "relay-check", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: KeyedNode,
    /// Make the node safe to be used after an old backup of it was restored, then check it
    #[arg(long)]
    restored: bool,
    /// Copy the node, as it is at one instant, to the new directory DIR
    #[arg(long, value_name = "DIR", conflicts_with_all = ["restored", "json"])]
    backup: Option<PathBuf>,
    /// Print a line of JSON for each finding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(check)
}

fn check(args: &Args) -> anyhow::Result<()> {
    let root = args.node.path()?;
    if let Some(target) = &args.backup {
        return backup::back_up(&root, target, &args.wait);
    }
    if args.wait.is_given() {
        return Err(Usage("--wait goes with --backup".to_owned()).into());
    }
    let now = if args.restored {
        make_good(args, Directory::open_restored(&root)?)?
    } else {
        args.clock.now(None)?
    };
    let mut findings = Findings::new(args.json);
    let config = Directory::open_to_check(&root).ok();
    let config = config.as_ref().map(Directory::config);
    let mut checker = Checker {
        now,
        window: args.clock.window(now, config),
        passphrase: args.node.passphrase(),
        user: rustix::process::geteuid().as_raw(),
        each: &mut |finding| findings.add(finding),
        newest: None,
    };
    let node = checker.node(&root)?;
    let mut nodes: Vec<_> = node.iter().map(Directory::id).collect();
    for path in endpoints::paths(&root)? {
        match checker.node(&path) {
            Ok(endpoint) => {
                if let (Some(node), Some(endpoint)) = (&node, &endpoint) {
                    checker.endpoint_of(node, endpoint);
                }
                nodes.extend(endpoint.map(|endpoint| endpoint.id()));
            }
            // One broken endpoint does not keep the others from being checked.
            Err(error) => checker.damaged(&path, &error),
        }
    }
    if let Some(node) = node {
        // Endpoints of other users cannot be opened, but their ids are needed for the queues in
        // `home`.
        match endpoints::local(&node) {
            Ok(endpoints) => nodes.extend(endpoints.iter().map(|endpoint| endpoint.id)),
            Err(error) => checker.damaged(&root, &error),
        }
        Table::check(&node, &findings::search_path(), &mut checker);
        // An endpoint shares its gateway's spool, which is checked together with the gateway.
        let spool = Spool::shared_with(node)?;
        if spool.owner().root() == root {
            spool.check(&mut checker, &nodes);
        }
    }
    checker.newest();
    findings.finish()
}

/// Makes a restored node and its local endpoints safe to use, and returns the time that was used.
fn make_good(args: &Args, node: Directory) -> anyhow::Result<Timestamp> {
    let spool = Spool::shared_with(node)?;
    let endpoints = endpoints::paths(spool.owner().root())?.into_iter();
    let endpoints: Vec<_> = endpoints
        .map(|path| Directory::open_restored(&path))
        .collect::<Result<_, _>>()?;
    let nodes = [spool.owner()].into_iter();
    let nodes: Vec<_> = nodes.chain(&endpoints).collect();
    // `--now` is allowed only if every node that changes allows it.
    let strictest = nodes.iter().find(|node| !node.config().allows_test_clock());
    let config = strictest.map_or(spool.owner().config(), |node| node.config());
    let now = args.clock.now(Some(config))?;
    let window = args.clock.window(now, Some(spool.owner().config()));
    // A clock that is behind would set the floor too low, so that repetitions would be delivered.
    spool.check_not_behind(now, &window)?;
    for node in nodes {
        let retired = restore::make_good(node, now, &window)?;
        let path = report::path(node.root());
        report::note(&format!(
            "{path}: messages made before {now} are refused from now on, {retired} session keys were replaced"
        ));
    }
    Ok(now)
}
