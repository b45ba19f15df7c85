//! relay-rotate: renews what is past the middle of its life.

use std::collections::HashMap;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::KeyedNode;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::inputs::InputRef as Input;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::rotating::Rotating;
use relaynet::cli::{self, report};
use relaynet::node::{Directory, NodeType, endpoints};
use relaynet::spool::Spool;
use relaynet::spool::clock::note_time;
use relaynet::upkeep::handing_on::Outlet;
use relaynet::upkeep::rotate::Rotator;

/// Renew certificates, authorizations and keys that are past the middle of their life
#[derive(Debug, Parser)]
#[command(name = "relay-rotate", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: KeyedNode,
    /// Print what is due, and renew nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print it in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(rotate)
}

fn rotate(args: &Args) -> anyhow::Result<()> {
    let node = args.node.open()?;
    let mut outcome = Outcome::default();
    let endpoints = local_endpoints(&node, &mut outcome)?;
    // The run changes all of these nodes, so `--now` needs `clock = test` in each of their configs.
    let mut configs = endpoints.iter().map(|(_, endpoint)| endpoint.config());
    let strictest = configs.find(|config| !config.allows_test_clock());
    let changes = (!args.dry_run).then_some(strictest.unwrap_or(node.config()));
    let now = args.clock.now(changes)?;
    let window = args.clock.window(now, Some(node.config()));
    if !args.dry_run {
        note_time(Some(&node), &window);
    }
    // By a wrong clock, all would be renewed for a time that others do not believe.
    let spool = Spool::shared_with(args.node.open()?)?;
    if let Some(doubt) = spool.time(now, &window)?.doubt() {
        return Err(doubt.into());
    }
    let access = args.node.access()?;
    let outlet = Outlet::of(&access, window, now);
    let mut rotating = Rotating::new(args.dry_run, args.json, outcome);
    let locals = endpoints.iter().map(|(_, local)| (local.id(), local));
    let locals: HashMap<_, _> = locals.collect();
    let own = (String::new(), node);
    // The gateway first: what it renews is what its endpoints issue under.
    for (name, node) in [&own].into_iter().chain(&endpoints) {
        let rotator = Rotator {
            node,
            outlet: &outlet,
            locals: if name.is_empty() {
                locals.clone()
            } else {
                HashMap::new()
            },
            now,
            is_dry: args.dry_run,
        };
        let rotated = rotator.rotate(&mut |rotated| rotating.tell(node, name, rotated));
        let label = || match &**name {
            "" => report::path(node.root()),
            name => name.to_owned(),
        };
        rotating.ended(label, rotated)?;
    }
    rotating.finish()
}

/// The local endpoints of a gateway's own user. One that cannot be opened keeps nothing from being
/// renewed elsewhere.
fn local_endpoints(
    node: &Directory,
    outcome: &mut Outcome,
) -> anyhow::Result<Vec<(String, Directory)>> {
    let mut opened = Vec::new();
    if node.config().node_type() == NodeType::Endpoint {
        return Ok(opened);
    }
    for path in endpoints::paths(node.root())? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match node.open_other(&path) {
            Ok(endpoint) => opened.push((name.into_owned(), endpoint)),
            Err(error) => {
                outcome.take();
                let place = Input::named(report::path(&path));
                outcome.done(&place, Err(error.into()))?;
            }
        }
    }
    for local in endpoints::local(node)? {
        let name = local.name.clone();
        if local.own_root().is_none() {
            report::detail(&format!(
                "endpoint {name} belongs to another user, who runs relay-rotate for it"
            ));
        }
    }
    Ok(opened)
}
