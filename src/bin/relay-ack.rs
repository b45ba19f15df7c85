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

pub(crate) fn main() -> ExitCode {
    cli::run(acknowledge)
}

fn acknowledge(args: &Args) -> anyhow::Result<()> {
    let mut sink = args.output.open_repeatable("a PCA")?;
    let mut messages = args.inputs.read()?;
    let read = messages.prepare_with(
        |octets, _| Ok(acknowledgement(Item::parse(octets)?)?),
        |outcome, place, pca| {
            match pca.and_then(|pca| put(&mut sink, pca)) {
                // Reported only once the PCA is in its place: a status line promises that the
                // message is done.
                Ok(()) => outcome.hold(&place),
                Err(error) => outcome.done(&place, Err(error))?,
            }
            // A directory is settled whenever its batch was synced, a file only at the end.
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

/// Writes the acknowledgement to the sink and reports it; control messages have none.
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

/// Makes the acknowledgement of a parcel; `None` for control messages, which nobody acknowledges.
/// Only the signature is checked: the parcel is stored by now, so its dates no longer matter.
fn acknowledgement(item: Item) -> Result<Option<Pca>, message::Error> {
    match item {
        Item::Parcel(parcel) => {
            let message = parcel.into_message();
            message.verify_signature()?;
            Ok(Some(Pca::of(&message)))
        }
        Item::Pca(_) | Item::Rotation(_) | Item::Pdd(_) => Ok(None),
        Item::Cargo(_) | Item::Cca(_) => Err(ramf::Error::Kind {
            expected: Kind::Parcel,
            found: item.kind(),
        }
        .into()),
    }
}
