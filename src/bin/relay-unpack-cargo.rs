//! relay-unpack-cargo: takes the messages out of cargo.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use relaynet::cli::args::{Common, Node, NodeDir, OpeningFiles, Talk};
use relaynet::cli::clock::Clock;
use relaynet::cli::exit::{self, Status, Usage};
use relaynet::cli::inputs::{Inputs, Message, Messages, Place};
use relaynet::cli::outputs::{MessageOutput, Sink};
use relaynet::cli::report::Verbosity;
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::message::stream::workers::{self, Bounds, Weighed};
use relaynet::ramf::limits;
use relaynet::receive::{self, Due, Terms, Unpacked};
use relaynet::verify::Judge;

/// Verify cargo, decrypt it and write out the messages in it, each verified on its own
#[derive(Debug, Parser)]
#[command(name = "relay-unpack-cargo", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    node: NodeDir,
    #[command(flatten)]
    output: MessageOutput,
    /// Unpack cargo that was received before, too
    #[arg(long)]
    again: bool,
    /// Print a line of facts in JSON for each message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    files: OpeningFiles,
    #[command(flatten)]
    talk: Talk,
}

impl Common for Args {
    fn verbosity(&self) -> Verbosity {
        self.talk.verbosity()
    }
}

fn main() -> ExitCode {
    cli::run(unpack)
}

fn unpack(args: &Args) -> anyhow::Result<()> {
    if args.json && !args.output.leaves_stdout() {
        return Err(Usage(
            "--json needs -d DIR or -o FILE, since messages go to standard output".to_owned(),
        )
        .into());
    }
    let node = args.files.open(&args.node)?;
    if let Some(directory) = node.directory() {
        directory.check_is_gateway()?;
    }
    let now = args.clock.now(node.config())?;
    let terms = Terms {
        window: args.clock.window(now, node.config()),
        now,
        again: args.again,
    };
    let judge = node.judge(terms.window, now)?;
    let mut sink = args.output.open_repeatable("a stream of messages")?;
    let mut messages = args.inputs.read()?;
    let mut due = Vec::new();
    while let Some(message) = messages.next_message() {
        let place = message.place.clone();
        let result = unpack_one(
            args,
            &node,
            &terms,
            &judge,
            message,
            &mut sink,
            &mut messages,
        );
        let result = result.map(|left| due.extend(left));
        messages.done(&place, result)?;
    }
    // Cargo is remembered once all that was in it is where it belongs.
    if sink.finish()? {
        for left in due {
            left.complete_later()?;
        }
    }
    messages.finish()
}

/// Writes out what one cargo holds. What is left to do about it is given back where its messages are
/// not where they belong before all are.
fn unpack_one<'a>(
    args: &Args,
    node: &'a Node,
    terms: &Terms,
    judge: &Judge,
    message: Message,
    sink: &mut Sink,
    messages: &mut Messages,
) -> anyhow::Result<Option<Due<'a>>> {
    let place = message.place;
    let cargo = receive::cargo(node.keyring(), message.octets, terms)?;
    let mut number = 0;
    let mut may_pass = false;
    let head = cargo.head();
    let stager = sink.stager();
    workers::in_order(
        Bounds::octets(limits::MAX_MESSAGE_LEN),
        {
            let mut items = cargo.content().messages();
            move || {
                let item = items.next()?;
                let octets = item.len();
                Some(Weighed { item, octets })
            }
        },
        |octets| {
            let unpacked = receive::item(octets, head, judge)?;
            let ready = stager.stage(unpacked.kind, &unpacked.file_name, octets)?;
            anyhow::Ok((unpacked, octets, ready))
        },
        |unpacked: anyhow::Result<_>| {
            number += 1;
            let result = unpacked.and_then(|(unpacked, octets, ready)| {
                let path = sink.take(ready, octets)?;
                if args.json {
                    let facts = facts(&place, number, &unpacked, octets.len(), path);
                    files::print(&facts.to_string())?;
                }
                Ok(())
            });
            match result {
                Ok(()) => Ok(()),
                // Where one message cannot be written, no other can.
                Err(error) if exit::status(&error) == Status::IO => {
                    Err(error.context(format!("item {number}")))
                }
                Err(error) => {
                    may_pass |= exit::status(&error).may_pass();
                    messages.part_failed(&place, Some(number), error)
                }
            }
        },
    )?;
    report::event(
        "unpacked",
        &[
            ("cargo", &head.fields.id),
            ("from", &head.sender.id().to_string()),
            ("messages", &number.to_string()),
        ],
    );
    if may_pass {
        // Another try may get what failed, so this one is not the last.
        return Ok(None);
    }
    let is_settled = sink.settle()?;
    for refused in sink.take_refused() {
        messages.part_failed(&place, None, refused)?;
    }
    let (set, due) = if is_settled {
        (cargo.complete()?, None)
    } else {
        let (set, due) = cargo.into_due();
        (set, Some(due))
    };
    messages.reuse(set.into_octets());
    Ok(due)
}

fn facts(
    place: &Place,
    number: usize,
    unpacked: &Unpacked,
    len: usize,
    path: Option<PathBuf>,
) -> serde_json::Value {
    json!({
        "v": describe::VERSION,
        "input": place.input,
        "index": place.index,
        "item": number,
        "path": path.map(|path| path.to_string_lossy().into_owned()),
        "kind": unpacked.kind.word(),
        "sender": unpacked.sender.to_string(),
        "recipient": unpacked.recipient.to_string(),
        "id": unpacked.id,
        "expiry": unpacked.expiry.map(|at| at.to_string()),
        "size": len,
    })
}
