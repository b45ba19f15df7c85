//! relay-deliver: hands what arrived to a directory, a Maildir or a command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Parser};

use relaynet::cli::args::{CommandTime, KeyedNode, Wait};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::delivery::DeliveryReport;
use relaynet::cli::errors::Usage;
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, delivery, elsewhere, files, report};
use relaynet::command::Command;
use relaynet::deliver::{Delivery, Destination};
use relaynet::receive::{ReceiveOptions, Repeats};
use relaynet::spool::{QueueId, Spool};

/// Hand what arrived for this node to a directory, a Maildir or a command
#[derive(Debug, Parser)]
#[command(
    name = "relay-deliver",
    version,
    override_usage = "relay-deliver [OPTIONS] <--dir DIR|--maildir DIR|-- COMMAND...>",
    group = ArgGroup::new("destination").required(true)
)]
pub(crate) struct Args {
    #[command(flatten)]
    node: KeyedNode,
    /// Deliver only content of this media type; a * at the end stands for anything [default: all]
    #[arg(short = 'y', long = "type", value_name = "PATTERN")]
    types: Vec<String>,
    /// Write each content into DIR, in a folder for its sender
    #[arg(long, value_name = "DIR", group = "destination")]
    dir: Option<PathBuf>,
    /// In DIR, use the names that senders gave
    #[arg(long, requires = "dir", conflicts_with_all = ["maildir", "command"])]
    keep_name: bool,
    /// In DIR, give back directories that were sent as one content
    #[arg(long, requires = "dir", conflicts_with_all = ["maildir", "command"])]
    extract: bool,
    /// Write each content into this Maildir, as a mail
    #[arg(long, value_name = "DIR", group = "destination")]
    maildir: Option<PathBuf>,
    /// Run this command for each content, with the content on standard input
    #[arg(last = true, value_name = "COMMAND", group = "destination")]
    command: Vec<OsString>,
    /// Deliver parts of larger content as they are, instead of putting them together
    #[arg(long)]
    no_join: bool,
    // What is done anyway; scripts still say it.
    #[arg(long, hide = true)]
    join: bool,
    /// Print what would be done, without doing it
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print a line of facts in JSON for each content
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    time: CommandTime,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    clock: ClockArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(deliver)
}

fn deliver(args: &Args) -> anyhow::Result<()> {
    if args.json {
        files::check_lines()?;
    }
    let node = args.node.open()?;
    // A second handle on the node, because the spool owns the one that it is opened with.
    let spool = Spool::shared_with(args.node.open()?)?;
    let now = args.clock.now((!args.dry_run).then_some(node.config()))?;
    let destination = args.destination()?;
    destination.check().map_err(delivery::labelled)?;
    let _lock = if args.dry_run {
        None
    } else {
        Some(args.wait.lock_of(&spool, &node)?)
    };
    let home = QueueId::Home(node.id());
    if !matches!(spool.count(home), Ok(0)) {
        node.check_opened()?;
    }
    let window = args.clock.window(now, Some(node.config()));
    // A local endpoint locks its own queue, not those of its gateway.
    let holds_queues = spool.owner().id() == node.id();
    let time = if args.dry_run || !holds_queues {
        spool.time(now, &window)?
    } else {
        spool.see_time(now, &window)?
    };
    let run = Delivery {
        spool: &spool,
        node: &node,
        path: std::path::absolute(node.root()).with_context(|| report::path(node.root()))?,
        terms: ReceiveOptions {
            window,
            // Not the clock's time: a key superseded "in 1970" would be purged at once.
            now: time.sure,
            repeats: Repeats::Refused,
        },
        time,
        types: args.types.clone(),
        destination,
        commands: args.time.options(),
        joins: !args.no_join,
        is_dry: args.dry_run,
    };
    let reports = DeliveryReport::new(&node, &time, args.dry_run, args.json);
    let mut reports = reports.for_guest(spool.is_guest());
    let mut unexpected = UnexpectedReport::default();
    report::progress(args.json || args.dry_run, || spool.count(home).ok());
    let ended = run.run(&mut |delivered| reports.add(delivered), &mut |path| {
        unexpected.add(path);
    });
    unexpected.report();
    if ended.is_ok() && reports.is_empty() {
        elsewhere::tell_what_waits(&spool, &node, now);
    }
    reports.finish(node.id(), ended)
}

impl Args {
    fn destination(&self) -> anyhow::Result<Destination> {
        Ok(
            match (&self.dir, &self.maildir, self.command.split_first()) {
                (Some(dir), ..) => Destination::Directory {
                    dir: dir.clone(),
                    keeps_names: self.keep_name,
                    extracts: self.extract,
                },
                (_, Some(dir), _) => Destination::Maildir(dir.clone()),
                (.., Some((program, args))) => Destination::Command(Command::new(program, args)),
                (None, None, None) => {
                    return Err(Usage("--dir, --maildir or a command is needed".to_owned()).into());
                }
            },
        )
    }
}
