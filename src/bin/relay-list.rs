//! relay-list: shows what waits in the spool, or what became of one message.

use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::NodeDir;
use relaynet::cli::clock::NowArgs;
use relaynet::cli::inputs::InputRef;
use relaynet::cli::labels::Labels;
use relaynet::cli::listing::List;
use relaynet::cli::outcome::Outcome;
use relaynet::cli::unexpected::UnexpectedReport;
use relaynet::cli::{self, files, queues};
use relaynet::describe::{json, lines};
use relaynet::spool::queue::{QueueEntry, Waiting};
use relaynet::spool::{self, Queue, Spool};

/// List what waits in the spool, or tell what became of one message
#[derive(Debug, Parser)]
#[command(name = "relay-list", version)]
pub(crate) struct Args {
    /// in, failed, home, out, control, acks or cca; or one of these for a single node, as in out/hub
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
    #[command(flatten)]
    node: NodeDir,
    /// Show what became of this message: its id, its name, or what the ids of parts begin with
    #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["queue", "long", "null"])]
    id: Option<String>,
    /// Add what the messages themselves say, without verifying it: id, date, octets
    #[arg(long, conflicts_with = "null")]
    long: bool,
    /// Print the paths of the files, each followed by a NUL
    #[arg(short = '0', long, conflicts_with = "json")]
    null: bool,
    /// Print a line of JSON for each message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    now: NowArgs,
}

pub(crate) fn main() -> ExitCode {
    cli::run(list)
}

fn list(args: &Args) -> anyhow::Result<()> {
    let spool = Spool::shared_with(args.node.open()?)?;
    let now = args.now.get(None)?;
    if let Some(id) = &args.id {
        return queues::tell(&spool, id, now, args.json);
    }
    let named = match &args.queue {
        Some(queue) => spool.find_queues(queue)?,
        None => spool.queues()?,
    };
    let is_table = files::is_terminal() && !args.json && !args.null;
    let mut labels = is_table.then(|| Labels::of(spool.owner()));
    let mut listing = List::new(is_table, |text| files::write_stdout(&[text]));
    let mut outcome = Outcome::default();
    for queue in named {
        outcome.take();
        let mut unexpected = UnexpectedReport::default();
        let listed = add_all(
            args,
            (&mut listing, labels.as_mut()),
            &queue,
            &mut unexpected,
        )?;
        unexpected.report();
        // The other queues are listed all the same.
        let place = queue.place().path().display().to_string();
        outcome.done(&InputRef::named(place), listed.map_err(Into::into))?;
    }
    let mut head = vec!["QUEUE", "KIND", "TO", "FROM", "EXPIRES", "PRIORITY", "NAME"];
    if args.long {
        head.extend(["ID", "DATE", "OCTETS"]);
    }
    listing.finish(&head)?;
    outcome.finish()
}

/// Adds the messages of a queue; the inner error tells why it cannot be listed.
fn add_all(
    args: &Args,
    (listing, mut labels): (&mut List, Option<&mut Labels<'_>>),
    queue: &Queue,
    unexpected: &mut UnexpectedReport,
) -> anyhow::Result<Result<(), spool::Error>> {
    let entries = match queue.entries() {
        Ok(entries) => entries,
        Err(error) => return Ok(Err(error)),
    };
    for found in entries {
        match found {
            // Without --long no file is opened: names say everything else.
            Ok(QueueEntry::Message(message)) => {
                add(args, (listing, labels.as_deref_mut()), queue, &message)?;
            }
            Ok(QueueEntry::Unexpected(path)) => unexpected.add(path),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

fn add(
    args: &Args,
    (listing, labels): (&mut List, Option<&mut Labels<'_>>),
    queue: &Queue,
    message: &Waiting,
) -> anyhow::Result<()> {
    let header = if args.long {
        Some(queues::read_header(message)?)
    } else {
        None
    };
    if args.null {
        return listing.line(message.path.as_os_str().as_bytes(), 0);
    }
    if args.json {
        let facts = lines::waiting(queue, message, header.as_ref());
        return listing.line(json::line(&facts).as_bytes(), b'\n');
    }
    let row = queues::columns(queue, message, header.as_ref(), labels);
    listing.row(row)
}
