//! relay-status: shows the numbers of a node and its spool.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::NodeDir;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::files::{Output, OutputForm};
use relaynet::cli::input_ref::InputRef;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, nagios, overview, report};
use relaynet::describe::{self, json, metrics};
use relaynet::spool::Spool;
use relaynet::upkeep::status::{NodeStatus, StatusProblem};

/// Show what waits, what failed, when media came and what ends, for people or for a monitoring system
#[derive(Debug, Parser)]
#[command(name = "relay-status", version)]
pub(crate) struct Args {
    #[command(flatten)]
    node: NodeDir,
    #[command(flatten)]
    output: Output,
    /// Print a line of JSON
    #[arg(long, group = "form")]
    json: bool,
    /// Print gauges in the text format of Prometheus
    #[arg(long, group = "form")]
    prometheus: bool,
    /// Print a line for a monitoring system, and end with 0, 1, 2 or 3
    #[arg(long, value_name = "METRIC=WARNING:CRITICAL", num_args = 1.., group = "form", conflicts_with = "output")]
    nagios: Vec<String>,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(status)
}

fn status(args: &Args) -> anyhow::Result<()> {
    if !args.nagios.is_empty() {
        let collect = || collect(args).map(|(status, problems)| (status, problems.len()));
        return nagios::answer(&args.nagios, collect);
    }
    args.output.check(OutputForm::Text)?;
    let (status, problems) = collect(args)?;
    let text = if args.json {
        json::line(&describe::numbers(&status)) + "\n"
    } else if args.prometheus {
        metrics::metrics(&status)
    } else {
        overview::text(&status)
    };
    args.output.write(&[text.as_bytes()], OutputForm::Text)?;
    let mut outcome = Outcome::default();
    for (place, error) in problems {
        outcome.take();
        outcome.done(&InputRef::named(place), Err(error))?;
    }
    outcome.finish()
}

/// The numbers of the node, and what could not be read, with the reason.
fn collect(args: &Args) -> anyhow::Result<(NodeStatus, Vec<(String, anyhow::Error)>)> {
    let root = args.node.path()?;
    let spool = Spool::shared_with(args.node.open()?)?;
    let now = args.clock.now(None)?;
    let window = args.clock.window(now, Some(spool.owner().config()));
    let mut unexpected = UnexpectedReport::default();
    let mut problems = Vec::new();
    let status = NodeStatus::of(&root, &spool, (now, window), &mut |problem| match problem {
        StatusProblem::Unexpected(path) => unexpected.add(path),
        StatusProblem::Unreadable(path, error) => {
            problems.push((report::path(&path), error.into()));
        }
    });
    unexpected.report();
    Ok((status, problems))
}
