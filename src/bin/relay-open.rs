//! relay-open: makes service messages of parcels.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use relaynet::cli::args::{Node, NodeDir, OpeningFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::Usage;
use relaynet::cli::files::{self, Output, OutputForm};
use relaynet::cli::inputs::{InputRef, Inputs, Message};
use relaynet::cli::{self, report};
use relaynet::describe;
use relaynet::message::{ServiceMessage, file_name, parts};
use relaynet::receive::{self, Arrival, AuthorizationEffect, ReceiveOptions, Repeats};

/// What is said of an authorization that is not kept.
const NOT_KEPT: &str = "the authorization in it is not kept: too many strangers wrote today";

/// Verify parcels, decrypt them and write out their service messages
#[derive(Debug, Parser)]
#[command(name = "relay-open", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    node: NodeDir,
    /// Write each content into DIR, under a name of its own
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["output", "cat"])]
    directory: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// In DIR, use the names that senders gave
    #[arg(long, requires = "directory", conflicts_with = "output")]
    keep_name: bool,
    /// Open parcels that were received before, too
    #[arg(long)]
    again: bool,
    /// Write the contents of several parcels one after the other
    #[arg(long)]
    cat: bool,
    /// Print a line of facts in JSON for each parcel
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    files: OpeningFiles,
}

fn main() -> ExitCode {
    cli::run(open)
}

fn open(args: &Args) -> anyhow::Result<()> {
    if args.json && args.directory.is_none() && args.output.file().is_none() {
        return Err(Usage(
            "--json needs -d DIR or -o FILE, since content goes to standard output".to_owned(),
        )
        .into());
    }
    if args.json {
        files::check_lines()?;
    }
    let node = args.files.open(&args.node)?;
    let now = args.clock.now(node.config())?;
    let terms = ReceiveOptions {
        window: args.clock.window(now, node.config()),
        now,
        repeats: if args.again {
            Repeats::Taken
        } else {
            Repeats::Refused
        },
    };
    if args.directory.is_some() {
        return args
            .inputs
            .each(|message| open_one(args, &node, &terms, message, true));
    }
    args.output.check(OutputForm::Content)?;
    if args.cat {
        if args.output.file().is_some() {
            return Err(Usage(
                "--cat writes to standard output; -d DIR writes a file each".to_owned(),
            )
            .into());
        }
        return args
            .inputs
            .each(|message| open_one(args, &node, &terms, message, true));
    }
    let mut messages = args.inputs.read()?;
    if args.inputs.are_several() && args.output.file().is_some() {
        return Err(several());
    }
    let mut may_be_alone = !args.inputs.are_several();
    while let Some(message) = messages.next_message() {
        let is_alone = std::mem::take(&mut may_be_alone) && !messages.has_more()?;
        let place = message.place.clone();
        let result = open_one(args, &node, &terms, message, is_alone);
        if result.as_ref().is_err_and(anyhow::Error::is::<Usage>) {
            return result;
        }
        messages.done(&place, result)?;
    }
    messages.finish()
}

fn several() -> anyhow::Error {
    Usage("more than one parcel: -d DIR writes a file for each, --cat writes them one after the other".to_owned()).into()
}

/// The order of effects: what the parcel holds is stored, then the session advances and the parcel is
/// remembered. Beside other content only parts are written.
fn open_one(
    args: &Args,
    node: &Node,
    terms: &ReceiveOptions,
    message: Message,
    stands_alone: bool,
) -> anyhow::Result<()> {
    let arrival = receive::parcel(node.keyring(), message.octets, terms)?;
    if arrival.is_authorization()
        && let Some(directory) = node.directory()
    {
        let imported = arrival.import_authorization(directory, &terms.window)?;
        let sender = arrival.head().sender.id().to_string();
        drop(arrival.complete()?);
        match imported {
            AuthorizationEffect::OfPeer => report::event("imported", &[("peer", &sender)]),
            AuthorizationEffect::OfStranger => report::event("imported", &[("stranger", &sender)]),
            // It ends here all the same: tomorrow's room is for those who write tomorrow.
            AuthorizationEffect::NoRoom => {
                report::warn(&format!("{}: {NOT_KEPT}", message.place.label()));
            }
        }
        return Ok(());
    }
    // Parts are told apart by relay-join.
    let is_part = arrival.content().media_type() == parts::MEDIA_TYPE;
    if !stands_alone && (!is_part || args.output.file().is_some()) {
        return Err(several());
    }
    let path = write(args, &arrival)?;
    let facts = facts(&arrival, &message.place, path.as_ref());
    let head = arrival.head();
    let (id, sender) = (head.fields.id.clone(), head.sender.id().to_string());
    drop(arrival.complete()?);
    report::event("opened", &[("id", &id), ("from", &sender)]);
    if args.json {
        files::print_line(&facts.to_string())
    } else {
        Ok(())
    }
}

/// Writes the content; gives the file that has it.
fn write(args: &Args, arrival: &Arrival<'_, ServiceMessage>) -> anyhow::Result<Option<PathBuf>> {
    let content = arrival.content().content();
    let Some(dir) = &args.directory else {
        args.output.write(&[content], OutputForm::Content)?;
        return Ok(args.output.file().map(PathBuf::from));
    };
    let (_, given) = file_name::split(arrival.content().media_type());
    if let Some(given) = given
        .filter(|_| args.keep_name)
        .and_then(|given| file_name::safe(&given))
    {
        return Ok(Some(files::write_numbered(dir, &given, content)?));
    }
    let head = arrival.head();
    let own = head.fields.file_name(head.sender.id(), "content");
    Ok(Some(files::write_into(
        dir,
        &own,
        &[content],
        args.output.force(),
    )?))
}

fn facts(
    arrival: &Arrival<'_, ServiceMessage>,
    place: &InputRef,
    path: Option<&PathBuf>,
) -> serde_json::Value {
    let head = arrival.head();
    let (media_type, given) = file_name::split(arrival.content().media_type());
    json!({
        "v": describe::VERSION,
        "input": place.input,
        "index": place.index,
        "path": path.map(|path| path.to_string_lossy()),
        "sender": head.sender.id().to_string(),
        "peer": arrival.peer_name(),
        "recipient": head.fields.recipient.to_string(),
        "type": media_type,
        "name": given,
        "id": head.fields.id,
        "date": head.fields.date.to_string(),
        "expiry": head.fields.expiry().to_string(),
        "size": arrival.content().content().len(),
    })
}
