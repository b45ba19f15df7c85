//! relay-inspect: shows any object of this network.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::inputs::{InputRef, Objects};
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::message::{Item, Object};
use relaynet::ramf::SignedMessage;

/// Show any object of this network as text or JSON
#[derive(Debug, Parser)]
#[command(name = "relay-inspect", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Objects,
    /// Print a line of JSON for each object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    only: Only,
}

/// A single fact to print.
#[derive(Debug, clap::Args)]
#[group(multiple = false, conflicts_with = "json")]
struct Only {
    /// Print just the id of the node behind the object
    #[arg(long)]
    id: bool,
    /// Print just the id of the message
    #[arg(long)]
    message_id: bool,
    /// Print just the id of the node that sent the message
    #[arg(long)]
    sender: bool,
    /// Print just the id of the node that the message is for
    #[arg(long)]
    recipient: bool,
}

pub(crate) fn main() -> ExitCode {
    cli::run(inspect)
}

fn inspect(args: &Args) -> anyhow::Result<()> {
    let mut shown = 0;
    let look = |object: Object| match args.only.fact(&object) {
        Some(fact) => Ok(Shown::Fact(fact?)),
        None => Ok(Shown::All(describe::object(&object))),
    };
    args.inputs.each(look, |place, seen| {
        shown += 1;
        let facts = match seen {
            Shown::Fact(fact) => return files::print(&report::escaped(&fact)),
            Shown::All(facts) => facts,
        };
        if args.json {
            return files::print(&describe::json::line(&to_json(facts, place)));
        }
        let heading = if shown == 1 && place.is_only {
            String::new()
        } else {
            format!("{}:\n", place.label())
        };
        let lines: String = describe::to_text(&facts)
            .lines()
            .map(|line| report::escaped(line) + "\n")
            .collect();
        files::write_stdout(&[heading.as_bytes(), lines.as_bytes()])
    })
}

/// What to print of an object.
enum Shown {
    /// The single fact that an option asks for.
    Fact(String),
    /// All facts.
    All(serde_json::Map<String, serde_json::Value>),
}

fn to_json(
    facts: serde_json::Map<String, serde_json::Value>,
    place: &InputRef,
) -> serde_json::Value {
    let mut line = serde_json::Map::new();
    line.insert("v".to_owned(), describe::VERSION.into());
    line.insert("input".to_owned(), place.input.clone().into());
    line.insert("index".to_owned(), place.index.into());
    line.extend(facts);
    line.into()
}

impl Only {
    /// The fact that an option asks for; `None` without such an option.
    fn fact(&self, object: &Object) -> Option<anyhow::Result<String>> {
        let (what, fact) = if self.id {
            ("node id", object.node().map(|id| id.to_string()))
        } else if self.message_id {
            (
                "message id",
                message_fact(
                    object,
                    |message| message.fields().id.clone(),
                    |pca| pca.parcel_id.clone(),
                ),
            )
        } else if self.sender {
            (
                "sender",
                message_fact(
                    object,
                    |message| message.sender().to_string(),
                    |pca| pca.sender.to_string(),
                ),
            )
        } else if self.recipient {
            let recipient = |message: &SignedMessage| message.fields().recipient.to_string();
            (
                "recipient",
                message_fact(object, recipient, |pca| pca.recipient.to_string()),
            )
        } else {
            return None;
        };
        Some(fact.ok_or_else(|| {
            relaynet::message::Error::Lacks {
                object: object.word(),
                what,
            }
            .into()
        }))
    }
}

fn message_fact(
    object: &Object,
    of_message: impl Fn(&SignedMessage) -> String,
    of_pca: impl Fn(&relaynet::message::Pca) -> String,
) -> Option<String> {
    match object {
        Object::Message(item) => match &**item {
            Item::Pca(pca) => Some(of_pca(pca)),
            item => item.message().map(of_message),
        },
        _ => None,
    }
}
