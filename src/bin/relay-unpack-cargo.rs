//! relay-unpack-cargo: takes the messages out of cargo.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli;
use relaynet::cli::args::{KeyedNode, OpeningFiles};
use relaynet::cli::clock::ClockArgs;
use relaynet::cli::inputs::Inputs;
use relaynet::cli::outputs::MessageOutput;
use relaynet::cli::unpack::Unpacker;
use relaynet::receive::Repeats;

/// Verify cargo, decrypt it and write out the messages in it, each verified on its own
#[derive(Debug, Parser)]
#[command(name = "relay-unpack-cargo", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    node: KeyedNode,
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

pub(crate) fn main() -> ExitCode {
    cli::run(unpack)
}

fn unpack(args: &Args) -> anyhow::Result<()> {
    if args.json {
        args.output.check_lines("messages")?;
    }
    let node = args.files.open(&args.node)?;
    // Only gateways unpack cargo; explicit files do not tell what kind of node they make up.
    if let Some(directory) = node.directory() {
        directory.check_is_gateway()?;
    }
    // The recipient checks what is in cargo for repetition, so cargo of which it is unknown is
    // unpacked.
    let repeats = if args.again {
        Repeats::Taken
    } else {
        Repeats::Unjudged
    };
    let options = args.clock.receive_options(node.config(), repeats)?;
    let sink = args.output.open_repeatable("a stream of messages")?;
    let unpacker = Unpacker {
        node: &node,
        policy: node.judge(options.window, options.now)?,
        options,
        // A message is never dropped because another file has its name: it gets another name.
        sink: sink.keeping_all(),
        directory: args.output.directory(),
        json: args.json,
    };
    unpacker.run(args.inputs.read()?)
}
