//! relay-inspect: shows any object of this network.

use std::process::ExitCode;

use clap::Parser;

use relaynet::cli::inputs::{InputRef, Objects};
use relaynet::cli::single_fact::{Fact, SingleFact};
use relaynet::cli::{self, files, report};
use relaynet::describe;
use relaynet::message::Object;

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
    only: SingleFact,
}

pub(crate) fn main() -> ExitCode {
    cli::run(inspect)
}

fn inspect(args: &Args) -> anyhow::Result<()> {
    let mut shown = 0;
    let look = |object: Object| match args.only.of(&object) {
        Some(fact) => Ok(Shown::Fact(fact?)),
        None => Ok(Shown::All(describe::object(&object))),
    };
    args.inputs.each(look, |place, seen| {
        shown += 1;
        let facts = match seen {
            Shown::Fact(fact) => return fact.print(),
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
    Fact(Fact),
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
