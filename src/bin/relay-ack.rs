//! relay-ack: acknowledges stored parcels.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::inputs::Inputs;
use relaynet::cli::outputs::{MessageOutput, Sink};
use relaynet::cli::{self, report};
use relaynet::message::{self, Item, Pca};
use relaynet::ramf::{self, Kind};

/// Acknowledge stored parcels: parcels to parcel collection acknowledgements
#[derive(Debug, Parser)]
#[command(name = "relay-ack", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    output: MessageOutput,
}

fn main() -> ExitCode {
    cli::run(acknowledge)
}

fn acknowledge(args: &Args) -> anyhow::Result<()> {
    let mut sink = args.output.open_repeatable("a PCA")?;
    let mut messages = args.inputs.read()?;
    let read = messages.prepare_with(
        |octets, _| Ok(acknowledgement(Item::parse(octets)?)?),
        |outcome, place, pca| {
            match pca.and_then(|pca| put(&mut sink, pca)) {
                Ok(()) => outcome.hold(&place),
                Err(error) => outcome.done(&place, Err(error))?,
            }
            if sink.is_settled() {
                outcome.settle(&Ok(()));
            }
            Ok(())
        },
    );
    let written = read.and_then(|()| sink.finish());
    messages.outcome().settle(&written);
    written?;
    messages.finish()
}

/// Writes an acknowledgement, if there is one.
fn put(sink: &mut Sink, pca: Option<Pca>) -> anyhow::Result<()> {
    let Some(pca) = pca else {
        return Ok(());
    };
    sink.put(Kind::Pca, &pca.file_name(), &pca.to_octets())?;
    report::event(
        "acknowledged",
        &[
            ("id", &pca.parcel_id),
            ("from", &pca.sender.to_string()),
            ("to", &pca.recipient.to_string()),
        ],
    );
    Ok(())
}

/// The acknowledgement of a parcel, whose signature must be good; its dates do not matter any more once it
/// is stored. Control messages are not acknowledged.
fn acknowledgement(item: Item) -> Result<Option<Pca>, message::Error> {
    match item {
        Item::Parcel(parcel) => {
            let message = parcel.into_message();
            message.verify_signature()?;
            Ok(Some(Pca::of(&message)))
        }
        Item::Pca(_) | Item::Rotation(_) => Ok(None),
        Item::Cargo(_) | Item::Cca(_) => Err(ramf::Error::Kind {
            expected: Kind::Parcel,
            found: item.kind(),
        }
        .into()),
    }
}
