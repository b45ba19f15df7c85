//! relay-put: stores messages durably in the spool.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::args::NodeDir;
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Fatal;
use relaynet::cli::inputs::{InputRef as Input, Trees};
use relaynet::cli::outcome::Outcome;
use relaynet::cli::{self, files, report};
use relaynet::describe::{json, lines};
use relaynet::disk::batch::{Batch, Staged};
use relaynet::disk::{self, FileRole};
use relaynet::spool::admission::{Admission, AdmittedParcel, Entrance};

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

pub(crate) fn main() -> ExitCode {
    cli::run(put)
}

fn put(args: &Args) -> anyhow::Result<()> {
    files::check_lines()?;
    let access = args.node.access()?;
    let now = args.clock.now(Some(access.config()))?;
    let window = args.clock.window(now, Some(access.config()));
    let entrance = Entrance::of(&access)?;
    let mut messages = args.inputs.read()?;
    let admission = Admission::new(&access, entrance, window, now, args.priority)?;
    let pool = messages.spare();
    let mut stored = CommitBatch {
        batch: Batch::default(),
        waiting: Vec::new(),
        json: args.json,
    };
    let read = messages.prepare_with(
        |octets, _| {
            let admitted = admission.admit(octets)?;
            let staged = admission.write(&admitted).map_err(Fatal::output)?;
            let (parcel, octets) = admitted.into_parts();
            pool.put(octets);
            Ok((staged, parcel))
        },
        |outcome, input, admitted| match admitted {
            Ok((staged, parcel)) => stored.add(outcome, input, staged, parcel),
            Err(error) => outcome.done(&input, Err(error)),
        },
    );
    read.and(stored.commit(messages.outcome()))?;
    admission.close();
    messages.finish()
}

/// Parcels that wait for one common sync.
struct CommitBatch {
    batch: Batch,
    waiting: Vec<(Input, AdmittedParcel)>,
    json: bool,
}

impl CommitBatch {
    fn add(
        &mut self,
        outcome: &mut Outcome,
        input: Input,
        staged: Option<Staged>,
        parcel: AdmittedParcel,
    ) -> anyhow::Result<()> {
        self.waiting.push((input, parcel));
        if let Some(staged) = staged {
            self.batch.add(staged).map_err(Fatal::output)?;
        }
        if self.batch.is_empty() {
            self.report(outcome)?;
        }
        Ok(())
    }

    /// Waits until all parcels are synced in the queue, then reports them.
    fn commit(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        let committed = self.batch.commit().map_err(Fatal::output);
        if let Err(error) = committed {
            for (input, _) in self.waiting.drain(..) {
                outcome.tell(&input, &Err(&error));
            }
            return Err(error);
        }
        self.report(outcome)
    }

    fn report(&mut self, outcome: &mut Outcome) -> anyhow::Result<()> {
        let mut refused = self.batch.take_refused();
        let mut text = String::new();
        for (input, parcel) in self.waiting.drain(..) {
            let taken = refused.iter().position(|error| error.path() == parcel.path);
            let result = if let Some(at) = taken {
                Err(refused.swap_remove(at).into())
            } else {
                // The older file goes only after its replacement is synced.
                for older in &parcel.replaced {
                    disk::files::remove(older, FileRole::Spool)?;
                }
                text.push_str(&report(&parcel, self.json));
                Ok(())
            };
            outcome.done(&input, result)?;
        }
        files::write_lines(text.as_bytes())
    }
}

/// Reports a parcel that is in the queue, and returns its line.
fn report(parcel: &AdmittedParcel, json: bool) -> String {
    let (recipient, sender) = (
        &parcel.name.identity.recipient,
        &parcel.name.identity.sender,
    );
    report::event(
        "put",
        &[
            ("id", &parcel.id),
            ("from", &sender.to_string()),
            ("to", &recipient.to_string()),
        ],
    );
    if json {
        json::line(&lines::stored(parcel)) + "\n"
    } else {
        let id = report::escaped(&parcel.id);
        format!("{recipient}\t{sender}\t{id}\n")
    }
}
