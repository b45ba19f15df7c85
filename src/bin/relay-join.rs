//! relay-join: makes content of its parts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;

use relaynet::asn1::Hex;
use relaynet::cli::errors::{Empty, Fatal, Postponed, Usage};
use relaynet::cli::files::{self, Output, OutputForm};
use relaynet::cli::inputs::{InputRef, Trees};
use relaynet::cli::outputs;
use relaynet::cli::parts::{PartFile, PartInputs, PartVisit};
use relaynet::cli::{self, report};
use relaynet::describe;
use relaynet::disk::publish::{IfExists, PublishOptions};
use relaynet::disk::{self, FileRole};
use relaynet::message::parts::{Ledger, TransferId};
use relaynet::message::{Part, file_name};
use relaynet::transfer::join::{Error, Join, Site};

/// The most contents that are joined in one run, each of which takes an open file.
const MAX_TRANSFERS: usize = 200;

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
    /// Remove the files with parts whose content is whole and stored
    #[arg(long)]
    remove: bool,
    /// Print a line of facts in JSON for each content
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    cli::run(join)
}

fn join(args: &Args) -> anyhow::Result<()> {
    check(args)?;
    let mut parts = PartInputs::read(&args.inputs)?;
    let mut desk = Desk::new(args);
    parts.each(|met| match met {
        PartVisit::Part(part) => desk.take(&part),
        PartVisit::End(file) => {
            desk.end(file);
            Ok(())
        }
    })?;
    // An empty directory is fine where content is joined as it comes, and after a run that had all but ended.
    let may_be_empty = args.directory.is_some() || args.remove || parts.may_be_empty();
    let is_missing = desk.transfers.is_empty() && !may_be_empty;
    let mut joined = BTreeSet::new();
    let outcome = parts.outcome();
    for transfer in desk.transfers {
        outcome.take();
        let (id, name) = (transfer.id, transfer.name.clone());
        let mut facts = facts(&transfer);
        let mut result = match transfer.state {
            State::Joining(join) => store(args, id, transfer.kept.as_deref(), *join),
            State::Refused(error) => Err(error.into()),
        };
        match &result {
            Ok(path) => {
                joined.insert(id);
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
            files::print_line(&facts.to_string())?;
        }
    }
    if desk.is_full {
        outcome.take();
        let text = format!("over {MAX_TRANSFERS} contents: the rest is left for another run");
        outcome.done(
            &InputRef::named("-".to_owned()),
            Err(Postponed(text).into()),
        )?;
    }
    // What is joined is on the disk by now. A run that is killed here is known by the last part to be done, so
    // that goes after the others.
    for has_last in [false, true] {
        let is_done = |read: &&Read| read.transfers.iter().all(|id| joined.contains(id));
        let done = desk.files.iter().filter(is_done);
        let done = done.filter(|read| read.has_last == has_last);
        let done = done.map(|read| (&*read.file.path, read.file.identity));
        disk::files::remove_same(done, FileRole::Spool)?;
    }
    parts.finish()?;
    if is_missing {
        return Err(anyhow::Error::new(Empty).context("input"));
    }
    Ok(())
}

fn check(args: &Args) -> anyhow::Result<()> {
    let has_file = args.directory.is_some() || args.output.file().is_some();
    for (given, option) in [(args.json, "--json"), (args.remove, "--remove")] {
        if given && !has_file {
            return Err(Usage(format!("{option} needs -d DIR or -o FILE")).into());
        }
    }
    if args.json {
        files::check_lines()?;
    }
    match &args.directory {
        Some(dir) => outputs::check_directory(dir),
        None if has_file => Ok(()),
        None => args
            .output
            .check(OutputForm::Binary("content made of parts")),
    }
}

/// Content whose parts come.
struct Transfer {
    id: TransferId,
    /// What its first part calls it.
    name: Option<String>,
    /// What its file is to be called instead of its own name.
    kept: Option<String>,
    state: State,
}

enum State {
    Joining(Box<Join>),
    /// Its parts contradict each other.
    Refused(Error),
}

/// A file that was read, and what its parts belong to.
struct Read {
    file: PartFile,
    transfers: Vec<TransferId>,
    /// Whether one of them is the last.
    has_last: bool,
}

/// Where parts are put together.
struct Desk<'a> {
    args: &'a Args,
    transfers: Vec<Transfer>,
    /// Files that may be removed.
    files: Vec<Read>,
    /// What the parts of the file that is being read belong to.
    met: Vec<TransferId>,
    /// Whether one of those parts is the last of its content.
    has_last: bool,
    /// Whether there were parts of more contents than are joined: in that file, and in any.
    has_more: bool,
    is_full: bool,
}

impl<'a> Desk<'a> {
    fn new(args: &'a Args) -> Self {
        Self {
            args,
            transfers: Vec::new(),
            files: Vec::new(),
            met: Vec::new(),
            has_last: false,
            has_more: false,
            is_full: false,
        }
    }

    fn take(&mut self, part: &Part<'_>) -> anyhow::Result<()> {
        let id = part.header().transfer;
        self.has_last |= part.header().is_last();
        if self.args.remove && !self.met.contains(&id) {
            self.met.push(id);
        }
        let known = self.transfers.iter_mut().find(|known| known.id == id);
        let Some(transfer) = known else {
            return self.begin(part);
        };
        let State::Joining(join) = &mut transfer.state else {
            return Ok(());
        };
        match join.add(part) {
            Ok(_) => Ok(()),
            Err(error @ Error::Part(_)) => {
                transfer.state = State::Refused(error);
                Ok(())
            }
            Err(error) => Err(cannot_write(self.args, error)),
        }
    }

    /// Takes the first part of a content.
    fn begin(&mut self, part: &Part<'_>) -> anyhow::Result<()> {
        let id = part.header().transfer;
        if self.args.directory.is_none() && !self.transfers.is_empty() {
            let text = "parts of more than one content: -d DIR writes a file for each";
            return Err(Usage(text.to_owned()).into());
        }
        if self.transfers.len() == MAX_TRANSFERS {
            self.has_more = true;
            return Ok(());
        }
        let name = part.header().name.clone();
        let kept = name.as_deref().filter(|_| self.args.keep_name);
        let kept = kept.and_then(file_name::safe);
        let begun = Join::begin(part, site(self.args, id, kept.is_some())?);
        let join = begun.map_err(|error| cannot_write(self.args, error))?;
        self.transfers.push(Transfer {
            id,
            name,
            kept,
            state: State::Joining(Box::new(join)),
        });
        Ok(())
    }

    /// Takes note of the end of an input.
    fn end(&mut self, file: Option<PartFile>) {
        let transfers = std::mem::take(&mut self.met);
        let has_last = std::mem::take(&mut self.has_last);
        let has_more = std::mem::take(&mut self.has_more);
        self.is_full |= has_more;
        if let (true, false, Some(file)) = (self.args.remove, has_more, file) {
            self.files.push(Read {
                file,
                transfers,
                has_last,
            });
        }
    }
}

/// Where content is put together.
fn site(args: &Args, id: TransferId, is_kept: bool) -> anyhow::Result<Site> {
    // A name that somebody else gave replaces nothing.
    let existing = if args.output.force() && !is_kept {
        IfExists::Replace
    } else {
        IfExists::SameIsSuccess
    };
    let (path, manner) = match (&args.directory, args.output.file()) {
        (Some(dir), _) => (own_path(dir, id), PublishOptions::delivery(existing)),
        (None, Some(file)) => (file.to_owned(), PublishOptions::output(existing)),
        (None, None) => return Ok(Site::aside(&files::scratch_dir())),
    };
    let site = Site::file(&path, &manner.unnamed(), &files::scratch_dir());
    site.with_context(|| report::path(&path))
}

/// The file of content whose name is not known, or not kept.
fn own_path(dir: &Path, id: TransferId) -> PathBuf {
    dir.join(format!("{id}.content"))
}

fn cannot_write(args: &Args, error: Error) -> anyhow::Error {
    match (error, args.directory.as_deref().or(args.output.file())) {
        (Error::Disk(error), None) => Fatal::Aside(error).into(),
        (error, Some(path)) => anyhow::Error::new(error).context(report::path(path)),
        (error, None) => error.into(),
    }
}

/// Stores content if it is whole; gives its file. If it is stored already, it does not matter which of its parts
/// an earlier run has removed.
fn store(
    args: &Args,
    id: TransferId,
    kept: Option<&str>,
    join: Join,
) -> anyhow::Result<Option<PathBuf>> {
    if !join.ledger().is_complete()
        && let Some(path) = stored(args, id, kept, &join)?
    {
        return Ok(Some(path));
    }
    let whole = join.verify()?;
    let Some(dir) = &args.directory else {
        let Some(file) = args.output.file() else {
            whole.copy(|block| files::write_stdout(&[block]))?;
            return Ok(None);
        };
        whole.publish().with_context(|| report::path(file))?;
        return Ok(Some(file.to_owned()));
    };
    if let Some(name) = kept {
        let stored = whole.publish_as(files::numbered(dir, name));
        return stored.with_context(|| report::path(&dir.join(name)));
    }
    let path = own_path(dir, id);
    whole.publish().with_context(|| report::path(&path))?;
    Ok(Some(path))
}

/// The file that has the content already, if one does.
fn stored(
    args: &Args,
    id: TransferId,
    kept: Option<&str>,
    join: &Join,
) -> anyhow::Result<Option<PathBuf>> {
    let (paths, role) = match (&args.directory, args.output.file()) {
        (Some(dir), _) => match kept {
            Some(name) => (files::numbered(dir, name).collect(), FileRole::Delivery),
            None => (vec![own_path(dir, id)], FileRole::Delivery),
        },
        (None, Some(file)) => (vec![file.to_owned()], FileRole::Output),
        (None, None) => return Ok(None),
    };
    for path in paths.into_iter().take_while(|path| path.exists()) {
        if join
            .is_at(&path, role)
            .with_context(|| report::path(&path))?
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn facts(transfer: &Transfer) -> serde_json::Value {
    let ledger = match &transfer.state {
        State::Joining(join) => Some(join.ledger()),
        State::Refused(_) => None,
    };
    json!({
        "v": describe::VERSION,
        "transfer": transfer.id.to_string(),
        "name": transfer.name,
        "path": null,
        "size": ledger.and_then(Ledger::len),
        "sha256": ledger.and_then(Ledger::sha256).map(|digest| Hex(digest).to_string()),
        "parts": ledger.and_then(Ledger::parts),
        "received": ledger.map(Ledger::received),
        "missing": ledger.map(|ledger| ledger.missing().ranges().collect::<Vec<_>>()),
        "error": null,
    })
}
