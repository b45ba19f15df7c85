//! relay-purge: removes what time has made useless.

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use relaynet::cli::args::{NodeDir, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::inputs::InputRef as Input;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::node::{Directory, endpoints};
use relaynet::spool::Spool;
use relaynet::upkeep::purge_item::{PurgeFinding, PurgeItem};
use relaynet::upkeep::purge_spool::Purger;
use relaynet::upkeep::remover::PurgeOptions;

/// Remove what time has made useless from a node and its spool
#[derive(Debug, Parser)]
#[command(name = "relay-purge", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeDir,
    /// Print what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print it in JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Purge by this clock, although nothing in the spool confirms the time that it shows
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(purge)
}

fn purge(args: &Args) -> anyhow::Result<()> {
    let spool = Spool::shared_with(args.node.open()?)?;
    let owner = spool.owner();
    let endpoints = endpoints::all(owner)?;
    // The run changes all of these nodes, so `--now` needs `clock = test` in each of their configs.
    let mut configs = endpoints.iter().map(|(_, endpoint)| endpoint.config());
    let strictest = configs.find(|config| !config.allows_test_clock());
    let changes = (!args.dry_run).then_some(strictest.unwrap_or(owner.config()));
    let now = args.clock.now(changes)?;
    let window_of = |node: &Directory| args.clock.window(now, Some(node.config()));
    let window = window_of(owner);
    let endpoints: Vec<_> = endpoints
        .into_iter()
        .map(|(_, endpoint)| {
            let window = window_of(&endpoint);
            (endpoint, window)
        })
        .collect();
    let _lock = if args.dry_run {
        None
    } else {
        Some(args.wait.lock(&spool)?)
    };
    // A wrong clock would remove live messages, so the time must be confirmed by the spool or by
    // the user.
    let before = spool.accept_time(now, &window, args.trust_clock, args.dry_run)?;
    let purger = Purger {
        spool: &spool,
        endpoints: &endpoints,
        options: PurgeOptions {
            now,
            window,
            is_dry: args.dry_run,
            is_unfinished: before.is_unfinished,
        },
    };
    let mut outcome = Outcome::default();
    purger.purge(&mut |found| match found {
        PurgeFinding::Useless(useless) if args.dry_run => files::print(&line(&useless, args.json)),
        PurgeFinding::Useless(useless) => {
            tell(&useless);
            Ok(())
        }
        PurgeFinding::Unexpected(path, problem) => {
            report::warn(&format!("{}: stays: {problem}", report::path(&path)));
            Ok(())
        }
        PurgeFinding::Unreadable(path, error) => {
            outcome.take();
            outcome.done(&Input::named(report::path(&path)), Err(error.into()))
        }
    })?;
    // Only now: after a crash before this, the next run knows that the purge was not finished.
    if !args.dry_run {
        spool.finish()?;
    }
    outcome.finish()
}

/// Reports that something was removed.
fn tell(useless: &PurgeItem) {
    let path = report::path(&useless.path);
    let mut facts = vec![
        ("what", useless.what.word()),
        ("why", useless.why.word()),
        ("path", &path),
    ];
    let parcel = useless.parcel.as_ref();
    let ends = parcel.map(|it| (it.sender.to_string(), it.recipient.to_string()));
    if let (Some(parcel), Some((sender, recipient))) = (parcel, &ends) {
        facts.extend([
            ("id", parcel.id.as_str()),
            ("from", sender),
            ("to", recipient),
        ]);
    }
    report::event("purged", &facts);
}

/// A line for something to remove: what, why, since when, and its path.
fn line(useless: &PurgeItem, json: bool) -> String {
    let since = useless.since.map(|since| since.to_string());
    let (what, why) = (useless.what.word(), useless.why.word());
    if !json {
        let since = since.as_deref().unwrap_or("-");
        return format!("{what}\t{why}\t{since}\t{}", report::path(&useless.path));
    }
    let parcel = useless.parcel.as_ref();
    describe::json::line(&json!({
        "v": describe::VERSION,
        "what": what,
        "why": why,
        "since": since,
        "path": useless.path.to_string_lossy(),
        "recipient": parcel.map(|parcel| parcel.recipient.to_string()),
        "sender": parcel.map(|parcel| parcel.sender.to_string()),
        "id": parcel.map(|parcel| &parcel.id),
    }))
}
