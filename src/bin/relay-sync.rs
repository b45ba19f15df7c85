//! relay-sync: exchanges this node's messages with a medium.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::{CipherChoice, KeyedNode, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::exchange::Log;
use relaynet::cli::{self, exchange, files, report};
use relaynet::medium::{Exporter, Importer};
use relaynet::receive::{ReceiveOptions, Repeats};
use relaynet::spool::Spool;

/// Exchange messages with a medium: take what is for this node, give what it is to carry
#[derive(Debug, Parser)]
#[command(name = "relay-sync", version)]
pub(crate) struct Args {
    /// The directory of the medium, such as the mount point of a stick
    #[arg(value_name = "MEDIUM")]
    medium: PathBuf,
    #[command(flatten)]
    node: KeyedNode,
    /// Make it a medium first, if it is not one
    #[arg(long, conflicts_with = "if_present")]
    init: bool,
    /// Do nothing, and succeed, if no medium is there
    #[arg(long)]
    if_present: bool,
    /// Take only, and give nothing: it is another run's turn when what came has been routed
    #[arg(long)]
    take: bool,
    /// Print a line of JSON for each event, and one at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    cipher: CipherChoice,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(sync)
}

fn sync(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    let node = args.node.open()?;
    node.check_is_gateway()?;
    let spool = Spool::of(node)?;
    let config = spool.owner().config();
    let now = args.clock.now(Some(config))?;
    let window = args.clock.window(now, Some(config));
    // Opened before the lock: where no medium is, the run does not wait for another one.
    let Some(medium) = exchange::open(&args.medium, args.init, args.if_present)? else {
        return Ok(());
    };
    let _lock = args.wait.lock(&spool)?;
    let time = spool.see_time(now, &window)?;
    let terms = ReceiveOptions {
        window,
        // Sessions are dated by the newest time that is believed, as in relay-deliver.
        now: time.sure,
        // Cargo holds sealed messages, each of which its recipient checks for repetition.
        repeats: Repeats::Unjudged,
    };
    let mut log = Log::of(medium.id())
        .at(&args.medium)
        .by(&time)
        .printed(args.json);
    report::progress(args.json, || None);
    let mut exchange = || {
        // Import first: it frees space, and its acknowledgements and requests go back with this export.
        Importer::new(&spool, &medium, terms, time)?.run(&mut |event| log.tell(event))?;
        if !args.take {
            let mut giver = Exporter::new(&spool, &medium, terms, time, args.cipher.cipher)?;
            giver.run(&mut |event| log.tell(event))?;
        }
        // Under a doubted clock, old hints and leftovers cannot be told from new ones.
        if time.is_believed() {
            medium.clean(now, &mut |event| log.tell(event))?;
        }
        Ok(())
    };
    // A run that an error ended was no exchange.
    let ended = exchange().and_then(|()| log.remember(&spool, &time));
    log.finish(ended)
}
