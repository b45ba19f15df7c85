//! relay-unpack-cargo: takes the messages out of cargo.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use relaynet::cli::args::{Node, NodeDir, OpeningFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::{Again, Fatal, Usage};
use relaynet::cli::inputs::{InputRef, Inputs, Message, Messages};
use relaynet::cli::outcome::PartReports;
use relaynet::cli::outputs::{MessageOutput, Sink};
use relaynet::cli::status;
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::node;
use relaynet::pipeline::workers::{self, Bounds, WorkItem};
use relaynet::ramf::limits;
use relaynet::receive::{self, PendingReceipt, ReceiveOptions, Repeats, Unpacked};
use relaynet::verify::Policy;

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
    clock: ClockArgs,
    #[command(flatten)]
    files: OpeningFiles,
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
    if args.json {
        files::check_lines()?;
    }
    let node = args.files.open(&args.node)?;
    if let Some(directory) = node.directory() {
        directory.check_is_gateway()?;
    }
    let now = args.clock.now(node.config())?;
    let terms = ReceiveOptions {
        window: args.clock.window(now, node.config()),
        now,
        // What is in cargo is sealed, and judged by its recipient.
        repeats: if args.again {
            Repeats::Taken
        } else {
            Repeats::Unjudged
        },
    };
    let sink = args.output.open_repeatable("a stream of messages")?;
    let mut run = Run {
        args,
        node: &node,
        terms,
        judge: node.judge(terms.window, now)?,
        sink: sink.keeping_all(),
        messages: args.inputs.read()?,
        due: Vec::new(),
    };
    // Cargo is remembered once all that was in it is where it belongs.
    let read = run.unpack();
    let written = read.and_then(|()| run.sink.finish());
    let mut messages = run.messages;
    for (place, due) in run.due {
        match &written {
            Ok(()) => messages.done(&place, due.complete_later().map_err(Into::into))?,
            Err(error) => messages.outcome().tell(&place, &Err(error)),
        }
    }
    written?;
    messages.finish()
}

/// What unpacking takes.
struct Run<'a> {
    args: &'a Args,
    node: &'a Node,
    terms: ReceiveOptions,
    judge: Policy,
    sink: Sink,
    messages: Messages,
    /// Cargo whose messages are where they belong only when all are.
    due: Vec<(InputRef, PendingReceipt<'a>)>,
}

impl Run<'_> {
    fn unpack(&mut self) -> anyhow::Result<()> {
        while let Some(message) = self.messages.next_message() {
            let place = message.place.clone();
            match self.unpack_one(message) {
                Ok(Fate::Done) => self.messages.done(&place, Ok(()))?,
                Ok(Fate::Left) => {
                    let error = Again.into();
                    self.messages.outcome().tell(&place, &Err(&error));
                }
                Ok(Fate::Held) => {}
                Err(error) => self.messages.done(&place, Err(error))?,
            }
        }
        Ok(())
    }

    /// Writes out what one cargo holds.
    fn unpack_one(&mut self, message: Message) -> anyhow::Result<Fate> {
        let place = message.place;
        let cargo = receive::cargo(self.node.keyring(), message.octets, &self.terms)?;
        if self.due.iter().any(|(_, due)| cargo.repeats(due)) {
            return Err(node::Error::Seen.into());
        }
        let (sink, messages) = (&mut self.sink, &mut self.messages);
        let mut parts = PartReports::of(&place);
        let mut number = 0;
        let mut may_pass = false;
        let head = cargo.head();
        let stager = sink.stager();
        let (judge, spare) = (&self.judge, messages.spare());
        workers::in_order(
            Bounds::octets(limits::MAX_MESSAGE_LEN),
            {
                let mut items = cargo.content().messages();
                move || {
                    let item = items.next()?;
                    let octets = item.len();
                    Some(WorkItem { item, octets })
                }
            },
            |octets| {
                let unpacked = receive::item(octets, head, judge, &spare)?;
                let ready = stager.stage(unpacked.kind, &unpacked.file_name, octets);
                Ok((unpacked, octets, ready))
            },
            |item: Result<_, node::Error>| {
                number += 1;
                let (unpacked, octets, ready) = match item {
                    Ok(item) => item,
                    Err(error) => {
                        let error = anyhow::Error::new(error);
                        may_pass |= status::status(&error).may_pass();
                        parts.failed(messages.outcome(), number, &error);
                        return Ok(());
                    }
                };
                // Where a message is not written, the cargo is not unpacked.
                let path = ready.and_then(|ready| sink.take(ready, octets));
                let path = path.map_err(|error| {
                    if error.is::<Fatal>() {
                        error
                    } else {
                        error.context(format!("item {number}"))
                    }
                })?;
                say_where(self.args, &unpacked, path.as_deref(), number, &mut parts);
                if self.args.json {
                    let facts = facts(&place, number, &unpacked, octets.len(), path);
                    files::print_line(&facts.to_string())?;
                }
                anyhow::Ok(())
            },
        )?;
        parts.finish("have another name");
        report::event(
            "unpacked",
            &[
                ("cargo", &head.fields.id),
                ("from", &head.sender.id().to_string()),
                ("messages", &number.to_string()),
            ],
        );
        let is_settled = sink.settle()?;
        if let Some(refused) = sink.take_refused().into_iter().next() {
            return Err(refused);
        }
        if may_pass {
            // Another try may get what failed, so this one is not the last.
            return Ok(Fate::Left);
        }
        let (set, fate) = if is_settled {
            (cargo.complete()?, Fate::Done)
        } else {
            let (set, due) = cargo.into_due();
            self.due.push((place, due));
            (set, Fate::Held)
        };
        messages.spare().put(set.into_octets());
        Ok(fate)
    }
}

/// What becomes of one cargo.
enum Fate {
    /// All that was in it is where it belongs, and it is remembered.
    Done,
    /// It is not remembered: another run may get more of it.
    Left,
    /// It is remembered when the output is complete.
    Held,
}

/// Warns where a message is that does not have its own name.
fn say_where(
    args: &Args,
    unpacked: &Unpacked,
    path: Option<&Path>,
    number: usize,
    parts: &mut PartReports,
) {
    if let (Some(dir), Some(path)) = (args.output.directory(), path)
        && !path.ends_with(&unpacked.file_name)
    {
        let own = report::path(&dir.join(&unpacked.file_name));
        let path = report::path(path);
        parts.warn(number, &format!("{own} is something else; it is {path}"));
    }
}

fn facts(
    place: &InputRef,
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
