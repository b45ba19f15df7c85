//! relay-route: decides where each queued message goes next, and moves it there.

use std::collections::HashSet;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use relaynet::cli::args::{NodeDir, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::inputs::InputRef as Input;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::pki::{NodeId, Window};
use relaynet::route::control::{Applied, ControlEffect, ControlQueue};
use relaynet::route::{Hops, Router, Target, run};
use relaynet::spool::{QueueKind, Spool, Time};
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
    /// Print decisions in JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Try again with this message, which was set aside: its name in relay-list failed
    #[arg(long, value_name = "NAME", conflicts_with = "dry_run")]
    retry: Vec<String>,
    /// Decide anew on what waits for PEER, after a change of routes
    #[arg(long, value_name = "PEER", conflicts_with = "dry_run")]
    reroute: Vec<String>,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    clock: ClockArgs,
}

fn main() -> ExitCode {
    cli::run(route)
}

fn route(args: &Args) -> anyhow::Result<()> {
    let spool = Spool::of(args.node.open()?)?;
    let owner = spool.owner();
    let changes = (!args.dry_run).then_some(owner.config());
    let now = args.clock.now(changes)?;
    let window = args.clock.window(now, Some(owner.config()));
    let _lock = if args.dry_run {
        None
    } else {
        Some(args.wait.lock(&spool)?)
    };
    let time = if args.dry_run {
        spool.time(now, &window)?
    } else {
        spool.see_time(now, &window)?
    };
    let mut outcome = Outcome::default();
    outcome.doubt(&time);
    for name in &args.retry {
        outcome.take();
        let returned = spool.retry(name).map_err(anyhow::Error::from);
        outcome.done(&Input::named(name.clone()), returned)?;
    }
    for peer in &args.reroute {
        outcome.take();
        let recalled = recall(&spool, peer);
        outcome.done(&Input::named(peer.clone()), recalled)?;
    }
    if !args.dry_run {
        apply(&spool, &window, &time, &mut outcome)?;
    }
    let router = Router {
        spool: &spool,
        hops: Hops::of(owner)?,
        judge: Policy::of_node(owner, Vec::new(), window, now)?,
        time,
        is_dry: args.dry_run,
    };
    let (mut unexpected, mut filled) = (UnexpectedReport::default(), HashSet::new());
    router.run(
        &mut |routed| {
            if args.dry_run {
                return files::print(&decision(&routed, args.json));
            }
            if let Ok(Target::Home(node)) = &routed.result {
                filled.insert(*node);
            }
            tell(routed, &mut outcome)
        },
        &mut |path| unexpected.add(path),
    )?;
    unexpected.report();
    tell_of_closed(&spool, &filled)?;
    outcome.finish()
}

/// Warns of what was put where the user whom it is for cannot take it.
fn tell_of_closed(spool: &Spool, filled: &HashSet<NodeId>) -> anyhow::Result<()> {
    if filled.is_empty() {
        return Ok(());
    }
    for amiss in spool.homes_amiss()? {
        if amiss.is_closed && filled.contains(&amiss.node) {
            let path = report::path(&amiss.path);
            report::warn_with(
                &format!("{path}: {}", amiss.what),
                &format!("root makes it right: {}", amiss.remedy),
            );
        }
    }
    Ok(())
}

/// Takes back what waits for a peer.
fn recall(spool: &Spool, peer: &str) -> anyhow::Result<()> {
    let hop = spool.owner().find_peer(peer)?.id;
    let count = spool.recall(hop)?.to_string();
    report::event(
        "recalled",
        &[("from", &hop.to_string()), ("messages", &count)],
    );
    Ok(())
}

/// Applies the control messages that each gateway's cargo brought. Whatever is wrong with some keeps neither the
/// others nor parcels waiting.
fn apply(spool: &Spool, window: &Window, time: &Time, outcome: &mut Outcome) -> anyhow::Result<()> {
    for (gateway, queue) in spool.queues_in(QueueKind::Control)? {
        let desk = ControlQueue {
            spool,
            gateway,
            window,
            time,
        };
        let mut unexpected = UnexpectedReport::default();
        let applied = desk.apply(
            &mut |applied| tell_applied(gateway, applied, time, outcome),
            &mut |path| unexpected.add(path),
        );
        unexpected.report();
        if applied.is_err() {
            outcome.take();
            outcome.done(&Input::named(report::path(queue.dir())), applied)?;
        }
    }
    Ok(())
}

/// Says what became of a control message; what was set aside is work done.
fn tell_applied(
    gateway: NodeId,
    applied: Applied,
    time: &Time,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    if applied.is_untimely(time) {
        outcome.wait_for_clock(1);
        return Ok(());
    }
    outcome.take();
    let from = gateway.to_string();
    let path = report::path(&applied.message.path);
    let useless = |why| report::event("useless", &[("file", &path), ("why", why)]);
    match applied.result {
        Ok(ControlEffect::Acknowledged(pca)) => {
            let (by, to) = (pca.sender.to_string(), pca.recipient.to_string());
            let facts = [
                ("id", pca.parcel_id.as_str()),
                ("from", &by),
                ("to", &to),
                ("by", &from),
            ];
            report::event("acknowledged", &facts);
        }
        Ok(ControlEffect::AlreadyAcknowledged) => useless("nothing waits that it acknowledges"),
        Ok(ControlEffect::Rotated) => report::event("rotated", &[("by", &from)]),
        Ok(ControlEffect::Outdated) => useless("the certificate here lasts as long or longer"),
        Ok(ControlEffect::Repeated) => report::event("repeated", &[("file", &path)]),
        Err(error) if applied.is_aside => report::warn(&format!("{path}: set aside: {error}")),
        Err(error) => {
            let queue = applied.message.path.parent().map(report::path);
            let queue = queue.unwrap_or_default();
            return outcome.done_in(&queue, &Input::named(path), Err(error.into()));
        }
    }
    Ok(())
}

/// Says what became of a message; what was set aside is work done.
fn tell(routed: run::RouteOutcome, outcome: &mut Outcome) -> anyhow::Result<()> {
    let identity = &routed.name.identity;
    let (sender, recipient) = (identity.sender.to_string(), identity.recipient.to_string());
    if routed.is_untimely {
        outcome.wait_for_clock(1);
        return Ok(());
    }
    outcome.take();
    let path = report::path(&routed.path);
    if routed.is_repeated {
        report::event("repeated", &[("file", &path)]);
        return Ok(());
    }
    match routed.result {
        Ok(target) => {
            let facts = [
                ("id", routed.id.as_deref().unwrap_or_default()),
                ("from", &sender),
                ("to", &recipient),
                ("next", &target.to_string()),
            ];
            report::event("routed", &facts);
            Ok(())
        }
        Err(error) if routed.is_aside => {
            report::warn(&format!("{path}: set aside: {error}"));
            Ok(())
        }
        Err(error) => {
            let queue = routed.path.parent().map(report::path);
            let queue = queue.unwrap_or_default();
            outcome.done_in(&queue, &Input::named(path), Err(error.into()))
        }
    }
}

/// A decision as a line: the message's name, what is done, and where to or why not.
fn decision(routed: &run::RouteOutcome, json: bool) -> String {
    let (what, target) = match &routed.result {
        Ok(target) => ("move", target.to_string()),
        Err(error) if routed.is_aside => ("fail", error.to_string()),
        Err(error) => ("leave", error.to_string()),
    };
    let name = routed
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    if !json {
        return format!("{name}\t{what}\t{}", report::escaped(&target));
    }
    let identity = &routed.name.identity;
    let target = match &routed.result {
        Ok(_) => ("target", target),
        Err(_) => ("error", target),
    };
    json!({
        "v": describe::VERSION,
        "name": name,
        "recipient": identity.recipient.to_string(),
        "sender": identity.sender.to_string(),
        "id": routed.id,
        "priority": routed.name.urgency(),
        "decision": what,
        "target": (target.0 == "target").then_some(&target.1),
        "error": (target.0 == "error").then_some(&target.1),
    })
    .to_string()
}
