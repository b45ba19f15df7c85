//! relay-put: stores messages durably in the spool.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use relaynet::cli::args::NodeDir;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Fatal;
use relaynet::cli::inputs::{InputRef as Input, Trees};
use relaynet::cli::outcome::Outcome;
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::disk::batch::{self, Batch, Staged};
use relaynet::disk::publish::IfExists;
use relaynet::disk::{self, FileRole};
use relaynet::message::Item;
use relaynet::node::ReplayKey;
use relaynet::pipeline::Buffers;
use relaynet::ramf::{self, Kind};
use relaynet::spool::precedent::{Precedent, Precedents};
use relaynet::spool::room::Payer;
use relaynet::spool::{self, Access, Name, Queue, Room};
use relaynet::verify::{self, Policy};

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
    clock: ClockArgs,
}

fn main() -> ExitCode {
    cli::run(put)
}

fn put(args: &Args) -> anyhow::Result<()> {
    files::check_lines()?;
    let access = args.node.access()?;
    let now = args.clock.now(Some(access.config()))?;
    let window = args.clock.window(now, Some(access.config()));
    let (queue, tmp) = access.entrance()?;
    let mut messages = args.inputs.read()?;
    let counter = Counter {
        precedents: access.precedents()?,
        judge: access.policy(window, now)?,
        room: access.room()?,
        access: &access,
        tmp,
        queue,
        priority: args.priority,
        spare: messages.spare(),
    };
    let mut shelf = Shelf {
        batch: Batch::default(),
        waiting: Vec::new(),
        json: args.json,
    };
    let read = messages.prepare_with(
        |octets, _| counter.take(octets),
        |outcome, input, parcel| match parcel {
            Ok(parcel) => shelf.add(outcome, input, parcel),
            Err(error) => outcome.done(&input, Err(error)),
        },
    );
    // What was written before something failed is stored all the same.
    let stored = shelf.commit(messages.outcome());
    read.and(stored)?;
    messages.finish()
}

/// Where messages are looked at.
struct Counter<'a> {
    judge: Policy,
    /// What went before, as far as whoever runs this may know.
    precedents: Option<Precedents<'a>>,
    room: Room,
    access: &'a Access,
    tmp: PathBuf,
    queue: Queue,
    priority: Option<u8>,
    /// Memory that messages were in.
    spare: Arc<Buffers>,
}

impl Counter<'_> {
    /// Verifies a message, makes sure that there is room, and writes it.
    fn take(&self, octets: Vec<u8>) -> anyhow::Result<(Option<Staged>, Facts)> {
        let item = Item::parse(octets)?;
        match item {
            Item::Parcel(_) => {}
            Item::Pca(_) | Item::Rotation(_) => {
                return Err(spool::Error::Control(item.kind().word()).into());
            }
            Item::Cargo(_) | Item::Cca(_) => {
                let (expected, found) = (Kind::Parcel, item.kind());
                return Err(ramf::Error::Kind { expected, found }.into());
            }
        }
        let item = verify::transport(item, &self.judge)?;
        let message = item.message().context("only parcels are put")?;
        let name = Name {
            priority: self.priority,
            ..Name::of(&item, message.fields().expiry())
        };
        let octets = message.octets();
        let fields = message.fields();
        let identity = ReplayKey::of(message);
        let precedent = match &self.precedents {
            Some(precedents) => precedents.of(&name, &identity, fields.date, octets)?,
            None => Precedent::None,
        };
        let path = self.queue.path_of(&name);
        let is_same = precedent == Precedent::Same;
        let replaced = match precedent {
            Precedent::Older(paths) => paths,
            Precedent::None | Precedent::Same => Vec::new(),
        };
        if !is_same {
            self.room
                .promise(Payer::of(&name), name.identity.recipient, octets.len())?;
        }
        let existing = if replaced.contains(&path) {
            IfExists::Replace
        } else {
            IfExists::SameIsSuccess
        };
        // The same file is synced once more: whoever wrote it may have been killed before that.
        let staged = if !is_same || disk::files::exists(&path, FileRole::Spool)? {
            let manner = self.access.manner(existing);
            let manner = manner.written_in(&self.tmp);
            Some(batch::stage(&path, &[octets], &manner).map_err(Fatal::output)?)
        } else {
            None
        };
        let facts = Facts {
            replaced: replaced.into_iter().filter(|old| *old != path).collect(),
            path,
            name,
            id: fields.id.clone(),
            len: octets.len(),
        };
        if let Some(message) = item.into_message() {
            self.spare.put(message.into_octets());
        }
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
    /// Older ones, which it replaces.
    replaced: Vec<PathBuf>,
    name: Name,
    id: String,
    len: usize,
}

impl Shelf {
    fn add(
        &mut self,
        outcome: &mut Outcome,
        input: Input,
        (staged, facts): (Option<Staged>, Facts),
    ) -> anyhow::Result<()> {
        self.waiting.push((input, facts));
        if let Some(staged) = staged {
            self.batch.add(staged).map_err(Fatal::output)?;
        }
        if self.batch.is_empty() {
            self.say(outcome)?;
        }
        Ok(())
    }

    /// Waits until all parcels are in the queue, and says so.
    fn commit(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        let committed = self.batch.commit().map_err(Fatal::output);
        if let Err(error) = committed {
            for (input, _) in self.waiting.drain(..) {
                outcome.tell(&input, &Err(&error));
            }
            return Err(error);
        }
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
                for older in &facts.replaced {
                    disk::files::remove(older, FileRole::Spool)?;
                }
                text.push_str(&facts.line(self.json));
                Ok(())
            };
            outcome.done(&input, result)?;
        }
        files::write_lines(text.as_bytes())
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
