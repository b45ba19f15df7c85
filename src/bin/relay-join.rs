//! relay-join: makes content of its parts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use relaynet::cli::errors::{Empty, Postponed, Usage};
use relaynet::cli::files::{self, Output, OutputForm};
use relaynet::cli::inputs::{InputRef, Trees};
use relaynet::cli::outputs;
use relaynet::cli::parts::{PartInputs, PartVisit, cannot_store};
use relaynet::cli::{self, named_files, report};
use relaynet::describe;
use relaynet::transfer::joiner::{JoinOptions, JoinTarget, Joiner, MAX_TRANSFERS};

/// The error for parts of several contents without `-d`.
const ONE_ALONE: &str = "parts of more than one content: -d DIR writes a file for each";

/// Join parts, in any order, to the content that they were cut from
#[derive(Debug, Parser)]
#[command(name = "relay-join", version)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: Trees,
    /// Write each content into DIR, under a name of its own
    #[arg(short, long, value_name = "DIR", conflicts_with = "output")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// In DIR, use the names that senders gave
    #[arg(long, requires = "directory")]
    keep_name: bool,
    /// In DIR, make a directory of each content, which must be a directory that was sent as tar
    #[arg(long, requires = "directory", conflicts_with_all = ["keep_name", "remove"])]
    extract: bool,
    /// Remove the files with parts whose content is whole and stored
    #[arg(long)]
    remove: bool,
    /// Print a line of facts in JSON for each content
    #[arg(long)]
    json: bool,
}

pub(crate) fn main() -> ExitCode {
    cli::run(join)
}

fn join(args: &Args) -> anyhow::Result<()> {
    let target = target(args);
    check(args, &target)?;
    let mut parts = PartInputs::read(&args.inputs)?;
    let mut joiner = Joiner::new(JoinOptions {
        target: target.clone(),
        replaces: args.output.force(),
        spared: named_files::read(),
        may_remove: args.remove,
        scratch: files::scratch_dir(),
    });
    parts.each(|visit| match visit {
        PartVisit::Part(part) if !joiner.accepts(&part) => Err(Usage(ONE_ALONE.to_owned()).into()),
        PartVisit::Part(part) => joiner.take(&part).map_err(cannot_store),
        PartVisit::End(file) => {
            joiner.end_of_input(file);
            Ok(())
        }
    })?;
    let found = joiner.finish();
    // With `-d` or `--remove` an empty directory is normal: content is joined as it arrives, or an
    // earlier run joined all.
    let may_be_empty = args.directory.is_some() || args.remove || parts.may_be_empty();
    let is_missing = found.transfers.is_empty() && !may_be_empty;
    // Bad parts were reported above; from here on, each content counts as one input.
    let outcome = parts.outcome();
    let mut done = BTreeSet::new();
    for transfer in found.transfers {
        outcome.take();
        let (id, name) = (transfer.id, transfer.name.clone());
        let mut facts = describe::transfer(&transfer);
        let stored = transfer.store(&target).map_err(cannot_store);
        let mut result = stored.and_then(|stored| match &target {
            JoinTarget::Workplace(dir) => outputs::extract_joined(stored, dir),
            _ => stored.file_or(|block| files::write_stdout(&[block])),
        });
        match &result {
            Ok(path) => {
                done.insert(id);
                facts["path"] = json!(path.as_ref().map(|path| path.to_string_lossy()));
                report::event("joined", &[("transfer", &id.to_string())]);
            }
            Err(error) => facts["error"] = json!(report::text_of(error)),
        }
        if let Some(name) = name {
            result = result.context(name);
        }
        outcome.done(&InputRef::named(id.to_string()), result.map(drop))?;
        if args.json {
            files::print_line(&describe::json::line(&facts))?;
        }
    }
    if found.is_full {
        outcome.take();
        let text = format!("over {MAX_TRANSFERS} contents: the rest is left for another run");
        let error = Postponed(text).into();
        outcome.done(&InputRef::named("-".to_owned()), Err(error))?;
    }
    // Every content in `done` is synced under its name by now, so its parts may be removed.
    found.files.remove(&done)?;
    parts.finish()?;
    if is_missing {
        return Err(anyhow::Error::new(Empty).context("input"));
    }
    Ok(())
}

fn check(args: &Args, target: &JoinTarget) -> anyhow::Result<()> {
    if let JoinTarget::Caller = target {
        for (given, option) in [(args.json, "--json"), (args.remove, "--remove")] {
            if given {
                return Err(Usage(format!("{option} needs -d DIR or -o FILE")).into());
            }
        }
        let content = OutputForm::Binary("content made of parts");
        return args.output.check(content);
    }
    if args.json {
        files::check_lines()?;
    }
    match &args.directory {
        Some(dir) => outputs::check_directory(dir),
        None => args.output.check(OutputForm::Content),
    }
}

fn target(args: &Args) -> JoinTarget {
    match (&args.directory, args.output.file()) {
        (Some(dir), _) if args.extract => JoinTarget::Workplace(dir.clone()),
        (Some(dir), _) => JoinTarget::Directory {
            dir: dir.clone(),
            keeps_names: args.keep_name,
        },
        (None, Some(file)) => JoinTarget::File(file.to_owned()),
        (None, None) => JoinTarget::Caller,
    }
}
