//! relay-open: makes service messages of parcels.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use relaynet::cli;
use relaynet::cli::args::{KeyedNode, OpeningFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::errors::{LonePart, Usage};
use relaynet::cli::files::{self, Output, OutputForm};
use relaynet::cli::inputs::Inputs;
use relaynet::cli::opening::{self, Opener, Outputs};
use relaynet::receive::Repeats;
use relaynet::spool::clock::note_time;

/// Verify parcels, decrypt them and write out their service messages
#[derive(Debug, Parser)]
#[command(name = "relay-open", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    node: KeyedNode,
    /// Write each content into DIR, under a name of its own
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["output", "cat"])]
    directory: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// In DIR, use the names that senders gave
    #[arg(long, requires = "directory", conflicts_with = "output")]
    keep_name: bool,
    /// In DIR, give back directories that were sent as one content
    #[arg(long, requires = "directory", conflicts_with = "output")]
    extract: bool,
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

pub(crate) fn main() -> ExitCode {
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
    let repeats = if args.again {
        Repeats::Taken
    } else {
        Repeats::Refused
    };
    let options = args.clock.receive_options(node.config(), repeats)?;
    note_time(node.directory(), &options.window);
    let opener = Opener {
        node: &node,
        options,
        outputs: args.outputs(),
        output: &args.output,
        keeps_names: args.keep_name,
        extracts: args.extract,
        json: args.json,
    };
    match opener.outputs {
        Outputs::Directory(dir) => {
            files::sweep(dir);
            args.inputs.each(|message| opener.open(message, true))
        }
        Outputs::Concatenated => {
            args.output.check(OutputForm::Content)?;
            if args.output.file().is_some() {
                return Err(Usage(
                    "--cat writes to standard output; -d DIR writes a file each".to_owned(),
                )
                .into());
            }
            args.inputs.each(|message| opener.open(message, true))
        }
        Outputs::File(_) | Outputs::Stdout => {
            args.output.check(OutputForm::Content)?;
            open_single(&args.inputs, &opener)
        }
    }
}

impl Args {
    fn outputs(&self) -> Outputs<'_> {
        match (&self.directory, self.output.file()) {
            (Some(dir), _) => Outputs::Directory(dir),
            (None, _) if self.cat => Outputs::Concatenated,
            (None, Some(file)) => Outputs::File(file),
            (None, None) => Outputs::Stdout,
        }
    }
}

/// Opens the single parcel of the inputs; on standard output also several, if all of them are
/// parts.
fn open_single(inputs: &Inputs, opener: &Opener<'_>) -> anyhow::Result<()> {
    let mut messages = inputs.read()?;
    if inputs.are_several() && matches!(opener.outputs, Outputs::File(_)) {
        return Err(opening::several());
    }
    // Whether more follows is asked before the first parcel is opened, since opening remembers it.
    let mut first = Vec::from_iter(messages.next_message());
    if !first.is_empty() && !inputs.are_several() && messages.has_more()? {
        first.extend(messages.next_message());
    }
    let is_alone = match &first[..] {
        [_] => !inputs.are_several(),
        // What relay-seal --authorize makes, in either order.
        [one, other] if !messages.has_more()? => {
            opener.is_for_node(one) || opener.is_for_node(other)
        }
        _ => false,
    };
    let mut first = first.into_iter();
    while let Some(message) = first.next().or_else(|| messages.next_message()) {
        let place = message.place.clone();
        let result = opener.open(message, is_alone);
        // A usage error would be the same for each parcel, so it ends the run; so would the error of
        // a part.
        match result {
            Err(error) if error.is::<Usage>() => return Err(error),
            Err(error) if error.is::<LonePart>() => return Err(error.context(place.label())),
            result => messages.done(&place, result)?,
        }
    }
    messages.finish()
}
