//! relay-put: stores messages durably in the spool.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use relaynet::cli::args::{Common, NodeDir, Talk};
use relaynet::cli::clock::Clock;
use relaynet::cli::inputs::{Place as Input, Trees};
use relaynet::cli::outcome::Outcome;
use relaynet::cli::report::Verbosity;
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::disk::batch::{self, Batch, Staged};
use relaynet::disk::publish::Manner;
use relaynet::message::Item;
use relaynet::spool::room::Payer;
use relaynet::spool::{self, Access, Name, Queue, Room};
use relaynet::verify::{self, Judge};

/// Store messages in the spool, where relay-route takes them from; print a line for each
#[derive(Debug, Parser)]
#[command(name = "relay-put", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Trees,
    #[command(flatten)]
    node: NodeDir,
    /// How urgent they are; 9 goes first
    #[arg(long, value_name = "DIGIT", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// Print a line of facts in JSON for each message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    talk: Talk,
}

impl Common for Args {
    fn verbosity(&self) -> Verbosity {
        self.talk.verbosity()
    }
}

fn main() -> ExitCode {
    cli::run(put)
}

fn put(args: &Args) -> anyhow::Result<()> {
    let access = Access::of(&args.node.path()?)?;
    let now = args.clock.now(Some(access.config()))?;
    let window = args.clock.window(now, Some(access.config()));
    let (queue, tmp) = access.entrance()?;
    let counter = Counter {
        judge: access.judge(window, now)?,
        room: access.room()?,
        manner: access.manner(),
        tmp,
        queue,
        priority: args.priority,
    };
    let mut messages = args.inputs.read()?;
    let mut shelf = Shelf {
        batch: Batch::default(),
        waiting: Vec::new(),
        json: args.json,
    };
    messages.prepare_with(
        |octets, _| counter.take(octets),
        |outcome, input, parcel| match parcel {
            Ok(parcel) => shelf.add(outcome, input, parcel),
            Err(error) => outcome.done(&input, Err(error)),
        },
    )?;
    shelf.commit(messages.outcome())?;
    messages.finish()
}

/// Where messages are looked at.
struct Counter {
    judge: Judge,
    room: Room,
    manner: Manner<'static>,
    tmp: PathBuf,
    queue: Queue,
    priority: Option<u8>,
}

impl Counter {
    /// Verifies a message, makes sure that there is room, and writes it.
    fn take(&self, octets: Vec<u8>) -> anyhow::Result<(Staged, Facts)> {
        let item = Item::parse(octets)?;
        if let Item::Pca(_) | Item::Rotation(_) = item {
            return Err(spool::Error::Control(item.kind().word()).into());
        }
        let item = verify::transport(item, &self.judge)?;
        let message = item.message().context("only parcels are put")?;
        let name = Name {
            priority: self.priority,
            ..Name::of(&item, message.octets(), message.fields().expiry())
        };
        let octets = message.octets();
        self.room
            .promise(Payer::of(&name), name.identity.recipient, octets.len())?;
        let path = self.queue.path_of(&name);
        let staged = batch::stage(&path, &[octets], &self.manner.written_in(&self.tmp))?;
        let facts = Facts {
            path,
            name,
            id: message.fields().id.clone(),
            len: octets.len(),
        };
        Ok((staged, facts))
    }
}

/// Parcels that wait for one sync.
struct Shelf {
    batch: Batch,
    waiting: Vec<(Input, Facts)>,
    json: bool,
}

/// What is said of a parcel that is in the queue.
struct Facts {
    path: PathBuf,
    name: Name,
    id: String,
    len: usize,
}

impl Shelf {
    fn add(
        &mut self,
        outcome: &mut Outcome,
        input: Input,
        (staged, facts): (Staged, Facts),
    ) -> anyhow::Result<()> {
        self.waiting.push((input, facts));
        self.batch.add(staged)?;
        if self.batch.is_empty() {
            self.say(outcome)?;
        }
        Ok(())
    }

    /// Waits until all parcels are in the queue, and says so.
    fn commit(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        self.batch.commit()?;
        self.say(outcome)
    }

    fn say(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        let mut refused = self.batch.take_refused();
        let mut text = String::new();
        for (input, facts) in self.waiting.drain(..) {
            let taken = refused.iter().position(|error| error.path() == facts.path);
            let result = if let Some(at) = taken {
                Err(refused.swap_remove(at).into())
            } else {
                text.push_str(&facts.line(self.json));
                Ok(())
            };
            outcome.done(&input, result)?;
        }
        files::write_stdout(&[text.as_bytes()])
    }
}

impl Facts {
    fn line(&self, json: bool) -> String {
        let identity = &self.name.identity;
        report::event(
            "put",
            &[
                ("id", &self.id),
                ("from", &identity.sender.to_string()),
                ("to", &identity.recipient.to_string()),
            ],
        );
        let (recipient, sender) = (&identity.recipient, &identity.sender);
        if !json {
            return format!("{recipient}\t{sender}\t{}\n", report::escaped(&self.id));
        }
        let facts = json!({
            "v": describe::VERSION,
            "path": self.path.to_string_lossy(),
            "kind": identity.kind.word(),
            "recipient": recipient.to_string(),
            "sender": sender.to_string(),
            "id": self.id,
            "expiry": self.name.expiry.to_string(),
            "priority": self.name.urgency(),
            "size": self.len,
        });
        format!("{facts}\n")
    }
}
