//! relay-carry: moves cargo and requests for it from one medium to another, without keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::clock::ClockArgs;
use relaynet::cli::exchange::{self, Log};
use relaynet::cli::{self, files, report};
use relaynet::medium::Courier;
use relaynet::node::config::parse_size;
use relaynet::pki::NodeId;
use relaynet::verify::Policy;

/// Carry cargo and requests for it from one medium to another; needs no node and no keys
#[derive(Debug, Parser)]
#[command(name = "relay-carry", version)]
pub(crate) struct Args {
    /// Medium to carry from
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// Medium to carry to
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Make TO a medium first, if it is not one
    #[arg(long, conflicts_with = "if_present")]
    init: bool,
    /// Do nothing, and succeed, if one of the media is not there
    #[arg(long)]
    if_present: bool,
    /// Leave at most SIZE octets of messages on TO, as in 500M
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    quota: Option<u64>,
    /// Remove from FROM what has arrived on TO
    #[arg(long = "move")]
    moves: bool,
    /// Print a line of JSON for each event, and one at the end
    #[arg(long)]
    json: bool,
    /// Carry first what is for the gateway ID; may be repeated
    #[arg(long = "for", value_name = "ID")]
    known: Vec<NodeId>,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(carry)
}

fn carry(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    let Some(from) = exchange::open(&args.from, false, args.if_present)? else {
        return Ok(());
    };
    let Some(to) = exchange::open(&args.to, args.init, args.if_present)? else {
        return Ok(());
    };
    let now = args.clock.now(None)?;
    let courier = Courier {
        from: &from,
        to: &to,
        quota: args.quota,
        moves: args.moves,
        known: args.known.clone(),
        policy: Policy::courier(Vec::new(), args.clock.window(now, None), now),
        now,
    };
    // A courier needs no node: the policy trusts nobody, as of messages that pass.
    let mut log = Log::of(to.id()).printed(args.json);
    report::progress(args.json, || None);
    let ended = courier.run(&mut |event| log.tell(event));
    log.finish(ended)
}
